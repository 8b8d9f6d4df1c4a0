"""tfrecord: records as other people write them, whole and broken."""

from __future__ import annotations

import functools
import gzip
import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import DIGITS, Value, check, examples, field, outcome, picture, record, records
from test_formats import Notes
from test_formats import split as some
from test_readers import GOLDEN, golden, same

import mnistprep
from mnistprep import Dataset, formats
from mnistprep.errors import FormatError
from mnistprep.formats import _example

check = functools.partial(check, format="tfrecord")
outcome = functools.partial(outcome, format="tfrecord")


@pytest.mark.parametrize("kind", ["tfds", "slim", "raw"])
def test_golden_tfrecord(kind: str) -> None:
    """A builder of TFDS, TF-slim's features, and bare pixels in gzip of TensorFlow's writer."""
    found = golden(f"tfrecord/{kind}", "tfrecord", ("train", "valid", "test"))
    assert found.classes == tuple(f"{'' if kind == 'raw' else 'digit '}{k}" for k in range(10))


@pytest.mark.parametrize(
    ("image", "label"),
    [("image", "label"), ("image/encoded", "image/class/label"), ("image_raw", "label"),
     ("img", "class"), ("x", "y"), ("image_bytes", "target")],
)  # fmt: skip
@pytest.mark.parametrize("packed", [True, False])
def test_features_have_many_names(tmp_path: Path, image: str, label: str, packed: bool) -> None:
    """The names that people give, integers packed or not, other features told of."""
    content = examples(image, label, more={"height": 5, "image/format": b"png"})
    notes = Notes()
    path = records(tmp_path / "some.data", content, packed=packed)
    check(path)
    mnistprep.read(path, progress=notes)
    assert notes.notes == [f"{path}: features that are not read: image/format"]


def bare(more: Mapping[str, Value], pixels: object = bytes) -> list[dict[str, Value]]:
    """DIGITS as bare pixels."""
    return [
        {"image_raw": pixels(x.tobytes()), "label": int(y), **more}
        for x, y in zip(DIGITS.images, DIGITS.labels, strict=True)
    ]


@pytest.mark.parametrize(
    "more",
    [{"height": 5, "width": 5, "depth": 1}, {"rows": 5, "cols": 5}, {},
     {"image/height": 5, "image/width": 5, "image/channels": 1}],
)  # fmt: skip
@pytest.mark.parametrize("pixels", [bytes, list])
def test_bare_pixels(tmp_path: Path, more: Mapping[str, Value], pixels: object) -> None:
    """Pixels without an encoding, as bytes or integers, square or with their sizes beside them."""
    check(records(tmp_path / "train.tfrecords", bare(more, pixels)))


def test_bare_pixels_of_other_shapes(tmp_path: Path) -> None:
    """Sizes give the shape, also of colour; without them only a square is clear."""
    for shape in ((2, 7), (2, 5, 3)):
        pixels = some(4, shape)
        sizes = dict(zip(("height", "width", "depth"), shape, strict=False))
        content = [{"image_raw": x.tobytes(), "label": 1, **sizes} for x in pixels.images]
        found = mnistprep.read(records(tmp_path / "x.tfrecord", content)).splits["train"]
        assert np.array_equal(found.images, pixels.images)
        for row in content:
            for key in sizes:
                del row[key]
        with pytest.raises(FormatError, match="record 0: not a picture"):
            mnistprep.read(records(tmp_path / "x.tfrecord", content))


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("kind", ["<f4", "<i4"])
@pytest.mark.parametrize("said", [True, False])
def test_pixels_of_several_bytes(tmp_path: Path, kind: str, scale: int, said: bool) -> None:
    """float32 and int32 pixels, whose bytes would be a larger square, are said to be such."""
    if kind == "<i4" and scale > 1:
        return
    images = DIGITS.images.copy()
    images[0] = 0  # black is the same in every type
    sizes = {"height": 5, "width": 5} if said else {}
    content = [
        {"image_raw": (x / scale).astype(kind).tobytes(), "label": 1, **sizes} for x in images
    ]
    with pytest.raises(FormatError, match=r"pixels are (float|int)32 numbers of four bytes each"):
        mnistprep.read(records(tmp_path / "x.tfrecord", content))


def test_one_hot_labels(tmp_path: Path) -> None:
    """A list with a single one among zeros is the label of its place."""
    content = examples()
    for row in content:
        row["label"] = [int(k == row["label"]) for k in range(10)]
    check(records(tmp_path / "x.tfrecord", content))


def test_two_lists_in_one_feature(tmp_path: Path) -> None:
    """Protobuf joins them, so that there are two labels."""
    label = field(3, field(1, b"\3"))
    entries = field(1, field(2, 2 * label) + field(1, b"label"))
    entries += field(
        1, field(2, field(1, field(1, picture(DIGITS.images[0])))) + field(1, b"image")
    )
    (tmp_path / "x.tfrecord").write_bytes(record(field(1, entries)))
    with pytest.raises(FormatError):
        mnistprep.read(tmp_path / "x.tfrecord")


def test_options_say_which_feature(tmp_path: Path) -> None:
    """Where several features would do the reader asks, and takes what it is told."""
    more = {"img": picture(DIGITS.images[0]), "coarse": 1}
    path = records(tmp_path / "x.tfrecord", examples("image", "fine", more=more))
    with pytest.raises(FormatError, match=r"several could be the image \(coarse, fine, image, img"):
        mnistprep.read(path)
    with pytest.raises(FormatError, match=r"none is known to be the label .*label=NAME"):
        mnistprep.read(path, image="image")
    found = mnistprep.read(path, image="image", label="fine").splits["train"]
    same(DIGITS, found.images, found.labels)


def test_files_of_many_names_find_their_splits(tmp_path: Path) -> None:
    """Splits by names, shards in order, compression by content."""
    for names in (
        ("train-1.tfrecord", "train-2.tfrecord", "validation.tfrecord"),
        ("mnist_train_9.tfrec", "mnist_train_10.tfrec", "mnist_t10k.tfrec"),
        ("train.records-00000-of-00002", "train.records-00001-of-00002", "eval.records"),
    ):
        folder = tmp_path / names[0]
        for name, part in zip(names, (slice(3), slice(3, 6), slice(6)), strict=True):
            file = records(folder / name, examples()[part])
            file.write_bytes(gzip.compress(file.read_bytes()))
        (folder / "readme.txt").write_text("hello")
        (folder / "mnistprep.txt").write_text("{}")
        found = mnistprep.read(folder)
        assert [len(part) for part in found.splits.values()] == [6, 6]
        same(DIGITS, found.splits["train"].images, found.splits["train"].labels)
        (folder / names[1]).rename(folder / names[1].replace("1", "4").replace("2", "7"))
        with pytest.raises(FormatError, match=r"is missing|different sets"):
            mnistprep.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": -1}, r"record 2: its label is \[-1\]"),
        ({"label": 2**40}, r"record 2: its label is \[1099511627776\]"),
        ({"label": b"7"}, "record 2: its label is no integer"),
        ({"label": 7.0}, "record 2: its label is no integer"),
        ({"label": [1, 2]}, r"record 2: its label is \[1, 2\]"),
        ({"label": [0, 1, 1]}, r"record 2: its label is \[0, 1, 1\]"),
        ({"image": [b"a", b"b"]}, "record 2: 2 pictures, expected one"),
        ({"image": b"hello"}, "record 2: not a picture"),
        ({"image": [0.5, 1.0]}, "record 2: its picture is a list of floats"),
        ({"image": [300]}, "record 2: its picture is a list of integers beyond"),
        (
            {"image": picture(np.zeros((3, 3), np.uint8))},
            "record 2: 3x3 pixels, the others have 5x5",
        ),
        ({}, "record 2: no feature 'image'"),
    ],
    ids=str,
)
def test_what_would_change_the_data_is_refused(
    tmp_path: Path, change: dict[str, Value], message: str
) -> None:
    """An example unlike the others is refused by its number."""
    content = examples()
    content[2] = {**content[2], **change} if change else {"label": 1}
    with pytest.raises(FormatError, match=message) as caught:
        mnistprep.read(records(tmp_path / "x.tfrecord", content))
    assert str(tmp_path / "x.tfrecord") in str(caught.value)


def test_records_of_something_else_are_refused(tmp_path: Path) -> None:
    """Records that hold no Example, or one without a picture, are called so."""
    path = tmp_path / "x.tfrecord"
    path.write_bytes(record(b"hello"))
    with pytest.raises(FormatError, match=r"record 0: not a tf\.train\.Example"):
        mnistprep.read(path)
    path.write_bytes(record(b""))
    with pytest.raises(FormatError, match=r"none is known to be the image \(none\)"):
        mnistprep.read(path)


def test_what_tfds_says_must_be_true(tmp_path: Path, odd: Dataset) -> None:
    """Counts, files and formats that dataset_info.json states are compared."""
    whole = mnistprep.write(odd, tmp_path / "whole", "tfrecord", shard=20) / "odd" / "3.0.1"

    def broken(old: str, new: str, file: str = "dataset_info.json") -> Path:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        text = (copy / file).read_text("utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new), "utf-8")
        return copy

    for old, new, message in (
        ('"17"', '"18"', "17 examples, dataset_info.json says 18"),
        ('"fileFormat": "tfrecord"', '"fileFormat": "array_record"', "are array_record, not tfr"),
        ('"shardLengths"', '"lengths"', "not as TensorFlow Datasets writes it"),
        ('"splits": [', '"splits": {', "not a JSON table"),
        ('"name": "odd"', '"name": "even"', "this shard of .* is missing"),
        ('"name": "odd"', '"name": "../../../etc"', "missing"),
        ('"name": "train"', '"name": "other"', "missing"),
    ):
        with pytest.raises(FormatError, match=message):
            mnistprep.read(broken(old, new), "tfrecord")
    with pytest.raises(FormatError, match="says 12; one of them is wrong"):
        mnistprep.read(broken('"numClasses": "11"', '"numClasses": "12"', "features.json"))
    with pytest.raises(FormatError, match="12x20 pixels, expected 12x21"):
        mnistprep.read(broken('"20"', '"21"', "features.json"))
    assert mnistprep.read(broken('"numBytes"', '"bytes"')).digests() == odd.digests()
    (whole / "odd-train.tfrecord-00001-of-00002").unlink()
    with pytest.raises(FormatError, match="00001-of-00002: this shard of 2 is missing"):
        mnistprep.read(whole)


def test_splits_that_have_no_place_are_said(tmp_path: Path) -> None:
    """TFDS's further splits are left out with a note."""
    copy = shutil.copytree(GOLDEN / "tfrecord" / "tfds", tmp_path / "x")
    info = next(copy.rglob("dataset_info.json"))
    told = json.loads(info.read_text())
    told["splits"][1]["name"] = "extra"
    info.write_text(json.dumps(told))
    file = next(copy.rglob("digits-validation*"))
    file.rename(file.with_name(file.name.replace("validation", "extra")))
    notes = Notes()
    assert list(mnistprep.read(copy, progress=notes).splits) == ["train", "test"]
    assert any("split extra is not read" in note for note in notes.notes)


# Damage


def test_any_damage_is_found(tmp_path: Path) -> None:
    """Cut between records a file is a shorter one; cut or flipped anywhere else it is refused."""
    path = tmp_path / "x.tfrecord"
    whole = records(path, examples()[:3]).read_bytes()
    right, size = outcome(path, whole), len(whole) // 3
    for end in range(0, len(whole), 11):
        assert outcome(path, whole[:end]) is None or end % size == 0, end
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        assert outcome(path, bytes(data)) is None, at
    assert outcome(path, whole) == right
    packed = gzip.compress(whole, mtime=0)
    for at in range(10, len(packed), 17):
        data = bytearray(packed)
        data[at] ^= 1 << at % 8
        assert outcome(path, bytes(data)) in (None, right), at


def test_a_hostile_length_costs_nothing(tmp_path: Path) -> None:
    """A length beyond the file, with a right checksum, is refused at once."""
    for length in (2**63, 2**64 - 1, 10**12, 1):
        head = struct.pack("<Q", length)
        crc = google_crc32c.value(head)
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        with pytest.raises(FormatError, match="it is truncated"):
            path = tmp_path / "x.tfrecord"
            path.write_bytes(head + struct.pack("<I", masked))
            mnistprep.read(path)


@given(st.binary(max_size=60))
def test_no_bytes_confuse_the_parser(data: bytes) -> None:
    """Anything at all is an Example or a ValueError."""
    try:
        for feature in _example.features(data).values():
            feature.values()
            feature.integers()
    except ValueError:
        pass


@pytest.mark.parametrize("data", [b"", b"\0" * 12, b"\1" * 40, bytes(range(200))])
def test_noise_is_no_record(tmp_path: Path, data: bytes) -> None:
    """Without the checksum of a length nothing is a record, whatever its name."""
    path = tmp_path / "x.tfrecord"
    path.write_bytes(data)
    assert formats.matches(path) == []
