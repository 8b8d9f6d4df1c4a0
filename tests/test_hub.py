"""What other people store in Parquet: every layout of folders and columns is read, or refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mnistprep
from mnistprep import Dataset, formats
from mnistprep._progress import Quiet
from mnistprep.errors import FormatError, UsageError

FORMAT = formats.get("parquet")


class Notes(Quiet):
    """A Progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)


def png(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


# Layouts of other people

IMAGES = np.random.default_rng(3).integers(0, 256, (6, 4, 4), dtype=np.uint8)
LABELS = [3, 0, 1, 2, 2, 0]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def pictures(images: np.ndarray = IMAGES) -> list[dict[str, Any]]:
    return [{"bytes": png(image), "path": None} for image in images]


def table(image: Any = None, label: Any = LABELS, **columns: Any) -> pa.Table:
    image = pa.array(pictures(), STRUCT) if image is None else image
    return pa.table({"image": image, "label": label, **columns})


def saved(folder: Path, *names: str, content: pa.Table | None = None, **options: Any) -> Path:
    """Write the table under each name; returns the first file, or the folder for several."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table() if content is None else content, folder / name, **options)
    return folder / names[0] if len(names) == 1 else folder


def check(path: Path, *splits: str, **options: Any) -> Dataset:
    """Read, and compare every split with the six pictures."""
    assert FORMAT.sniff(path)
    found = FORMAT.read(path, **options)
    assert tuple(found.splits) == (splits or ("train",))
    for split in found.splits.values():
        assert np.array_equal(split.images, IMAGES)
        assert split.labels.tolist() == LABELS
    return found


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        (
            "data/train-00000-of-00001-0123456789abcdef.parquet",
            "data/test-00000-of-00001-a.parquet",
        ),
        ("mnist/train-00000-of-00001.parquet", "mnist/test-00000-of-00001.parquet"),
        ("mnist_train.parquet", "mnist_test.parquet"),
        ("emnist-byclass-train.parquet", "emnist-byclass-t10k.pq"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("data/training/part-0-x.snappy.parquet", "data/testing/part-0-y.snappy.parquet"),
        ("mnist/train/0000.parquet", "mnist/test/0000.parquet"),
    ],
    ids=lambda names: names[0],
)
def test_every_layout_of_a_folder_is_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Files by the name of split, of folder, in data/ or in a configuration's folder."""
    path = saved(tmp_path, *names)
    (tmp_path / "README.md").write_text("# MNIST")
    found = FORMAT.read(path)
    assert list(found.splits) == ["train", "test"]
    for split in found.splits.values():
        assert np.array_equal(split.images, IMAGES)
    assert formats.detect(tmp_path)[0] == "parquet"


def test_shards_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """part-10 comes after part-9, and every shard keeps its own columns."""
    for k in range(11):
        label = pa.array([k], pa.int64() if k % 2 else pa.int8())
        row = table(pa.array(pictures()[:1], STRUCT), label)
        saved(tmp_path, f"train/part-{k}.parquet", content=row)
    assert FORMAT.read(tmp_path).splits["train"].labels.tolist() == list(range(11))


def test_a_file_alone_is_read_by_its_name(tmp_path: Path) -> None:
    """One file is the split that its name says, train where it says none; a lone shard too."""
    check(saved(tmp_path, "t10k.parquet"), "test")
    check(saved(tmp_path, "digits.parquet"), "train")
    check(saved(tmp_path, "validation-00001-of-00002.parquet"), "valid")


def test_the_sidecar_and_other_files_do_no_harm(tmp_path: Path) -> None:
    """mnistprep.json is not data, nor is metadata.parquet or what Spark leaves."""
    saved(tmp_path, "train.parquet", "metadata.parquet", "_metadata.parquet")
    (tmp_path / "_SUCCESS").touch()
    assert check(tmp_path).classes == ("0", "1", "2", "3")
    (tmp_path / "mnistprep.json").write_text('{"classes": ["a","b","c","d","e"], "shape": [4, 4]}')
    assert check(tmp_path).classes == tuple("abcde")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train.parquet", "nist.parquet"), "nist.parquet and train.parquet would both be train"),
        (("test10k.parquet", "test50k.parquet"), "would both be test"),
        (("train-00000-of-00003.parquet", "train-00002-of-00003.parquet"),
         "train-00001-of-00003.parquet is missing"),
        (("train-00001-of-00002.parquet", "test.parquet"),
         "train-00000-of-00002.parquet is missing"),
        (("train-00000-of-00001.parquet", "train-00000-of-00002.parquet",
          "train-00001-of-00002.parquet"), "shards of two sets"),
        (("a/train.parquet", "b/train.parquet"), "several datasets: a, b"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_files_that_would_be_merged_or_lost_are_refused(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    """No file is taken for a part of a split that it does not name, and no shard may lack."""
    with pytest.raises(FormatError, match=message):
        FORMAT.read(saved(tmp_path, *names))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "an empty file"),
        (b"PAR1", "truncated or damaged"),
    ],
    ids=["lfs", "html", "empty", "short"],
)
def test_a_file_that_is_not_what_it_is_called_is_said(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """A pointer beside real files is no reason to read a part of the dataset."""
    saved(tmp_path, "data/test-00000-of-00001.parquet")
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(content)
    assert FORMAT.sniff(tmp_path)
    with pytest.raises(FormatError, match=message) as caught:
        FORMAT.read(tmp_path)
    assert "train-00000-of-00001.parquet" in str(caught.value)


# Columns of other people


def nested(kind: Any, values: Any = IMAGES) -> pa.Array:
    return pa.array(values.tolist(), kind)


FIXED = pa.list_(pa.list_(pa.uint8(), 4), 4)
RAW = pa.array([png(image) for image in IMAGES])
PICTURES = {
    "struct": pa.array(pictures(), STRUCT),
    "path-first": pa.array(pictures(), pa.struct(list(STRUCT)[::-1])),
    "bytes-only": pa.array(pictures(), pa.struct([("bytes", pa.large_binary())])),
    "binary": RAW,
    "large-binary": RAW.cast(pa.large_binary()),
    "dictionary": RAW.dictionary_encode(),
    "lists": nested(pa.list_(pa.list_(pa.int64()))),
    "large-lists": nested(pa.large_list(pa.large_list(pa.uint8()))),
    "fixed-lists": nested(FIXED),
    "flat": nested(pa.list_(pa.uint8()), IMAGES.reshape(6, 16)),
    "one-channel": nested(pa.list_(pa.list_(pa.list_(pa.uint8()))), IMAGES[..., None]),
    "channel-first": nested(pa.list_(pa.list_(pa.list_(pa.int32()))), IMAGES[:, None]),
    "float": nested(pa.list_(pa.list_(pa.float32())), (IMAGES / 255).astype(np.float32)),
    "double": nested(pa.list_(pa.list_(pa.float64())), IMAGES / 256),
    "rgb-png": pa.array([png(np.repeat(image[..., None], 3, 2)) for image in IMAGES]),
    "bare": pa.array([image.tobytes() for image in IMAGES]),
    "bare-fixed": pa.array([image.tobytes() for image in IMAGES], pa.binary(16)),
    "bmp": pa.array([png(image, "BMP") for image in IMAGES]),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_read_as_whatever_they_are_stored(tmp_path: Path, kind: str) -> None:
    """Structs, bytes and lists of any depth and number give the same pixels."""
    file = saved(tmp_path, "x.parquet", content=table(PICTURES[kind]), row_group_size=2)
    check(file)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (pa.array(LABELS, pa.int8()), "0123"),
        (pa.array(LABELS, pa.uint64()), "0123"),
        (pa.array(LABELS, pa.float64()), "0123"),
        (pa.array([str(k) for k in LABELS]), "0123"),
        (pa.array([str(k) for k in LABELS]).dictionary_encode(), "0123"),
        (pa.array(["abcd"[k] for k in LABELS], pa.large_string()), "abcd"),
    ],
    ids=["int8", "uint64", "float", "digits", "categories", "names"],
)
def test_labels_are_numbers_or_names(tmp_path: Path, label: pa.Array, classes: str) -> None:
    """Whole numbers of any type, digits as text, or names in alphabetical order."""
    found = check(saved(tmp_path, "x.parquet", content=table(label=label)))
    assert found.classes == tuple(classes)


def test_the_class_of_a_name_is_the_same_in_every_split(tmp_path: Path) -> None:
    """A class that only the test split has takes its place in the alphabet."""
    rows = pictures()[:2]
    for name, label in (("train", ["b", "c"]), ("test", ["c", "a"])):
        content = table(pa.array(rows, STRUCT), pa.array(label))
        saved(tmp_path, f"{name}.parquet", content=content)
    notes = Notes()
    found = FORMAT.read(tmp_path, progress=notes)
    assert found.classes == ("a", "b", "c")
    assert [split.labels.tolist() for split in found.splits.values()] == [[1, 2], [2, 0]]
    assert any("alphabetical" in note for note in notes.notes)


def test_numbers_and_names_are_not_mixed(tmp_path: Path) -> None:
    """A split with numbers beside one with names has labels that nobody can match."""
    saved(tmp_path, "train.parquet")
    saved(tmp_path, "test.parquet", content=table(label=pa.array(list("abcdef"))))
    with pytest.raises(FormatError, match="cannot be matched"):
        FORMAT.read(tmp_path)


@pytest.mark.parametrize(
    "columns",
    [
        [f"pixel{k}" for k in range(1, 17)],
        [f"{k}" for k in range(16)],
        [f"{r}x{c}" for r in range(1, 5) for c in range(1, 5)],
    ],
    ids=["pixel1", "numbers", "grid"],
)
@pytest.mark.parametrize("order", ["as-is", "alphabetical"])
def test_a_column_for_each_pixel_is_a_picture(
    tmp_path: Path, columns: list[str], order: str
) -> None:
    """Pixel columns are taken by their numbers, wherever they and the label are."""
    pixels = dict(zip(columns, IMAGES.reshape(6, 16).T, strict=True))
    names = sorted(columns) if order == "alphabetical" else columns
    content = pa.table({**{n: pixels[n] for n in names}, "class": [str(k) for k in LABELS]})
    check(saved(tmp_path, "x.parquet", content=content))


def test_a_file_of_train_and_test_is_cut(tmp_path: Path) -> None:
    """70,000 pictures of 28x28 are 60,000 and 10,000, as OpenML's; others where it is said."""
    one = png(np.zeros((28, 28), np.uint8))
    content = table(pa.array([one] * 70_000), pa.array(np.arange(70_000) % 10))
    file = saved(tmp_path, "dataset_554.pq", content=content)
    notes = Notes()
    found = FORMAT.read(file, progress=notes)
    assert [len(split) for split in found.splits.values()] == [60_000, 10_000]
    assert any("-R train=70000 keeps them one" in note for note in notes.notes)
    assert FORMAT.places(file, "test", [7]) == [f"{file}, row 60007"]
    assert len(FORMAT.read(file, train=70_000).splits["train"]) == 70_000
    few = saved(tmp_path, "x.parquet")
    assert [len(s) for s in FORMAT.read(few, train=4).splits.values()] == [4, 2]
    with pytest.raises(UsageError, match="train=7"):
        FORMAT.read(few, train=7)


def test_extra_columns_are_not_read_and_said(tmp_path: Path) -> None:
    """A writer's number beside the label gives a note."""
    notes = Notes()
    check(saved(tmp_path, "x.parquet", content=table(writer=[1] * 6)), progress=notes)
    assert notes.notes == [f"{tmp_path / 'x.parquet'}: not read: writer"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    """Where several columns could be meant, the error says how to say which."""
    content = table().rename_columns(["first", "fine_label"])
    content = content.append_column("coarse_label", pa.array([0] * 6))
    content = content.append_column("second", content["first"])
    file = saved(tmp_path, "x.parquet", content=content)
    with pytest.raises(FormatError, match="-R label=NAME"):
        FORMAT.read(file)
    with pytest.raises(FormatError, match="-R image=NAME"):
        FORMAT.read(file, label="fine_label")
    check(file, image="second", label="fine_label")
    with pytest.raises(FormatError, match="no column 'third'"):
        FORMAT.read(file, image="third", label="fine_label")


def test_class_names_of_hugging_face_are_kept(tmp_path: Path) -> None:
    """ClassLabel's names in any order, also those of classes without a picture."""
    feature = {"names": ["d", "c", "b", "a", "none"], "_type": "ClassLabel"}
    features = {"image": {"_type": "Image", "mode": "L"}, "label": feature}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    content = table().replace_schema_metadata(metadata)
    assert check(saved(tmp_path, "x.parquet", content=content)).classes == tuple(feature["names"])
    other = table(label=pa.array([9] * 6)).replace_schema_metadata(metadata)
    with pytest.raises(FormatError, match="label 9"):
        mnistprep.read(saved(tmp_path, "y.parquet", content=other), "parquet")


def test_colour_is_found_wherever_it_is(tmp_path: Path) -> None:
    """A set is colour when any picture is; the grey ones get three equal channels."""
    colour = np.repeat(IMAGES[..., None], 3, axis=3).copy()
    colour[4, 0, 0] = (1, 2, 3)
    content = table(pa.array([png(image) for image in colour]))
    file = saved(tmp_path, "train.parquet", content=content)
    assert np.array_equal(FORMAT.read(file).splits["train"].images, colour)
    saved(tmp_path, "test.parquet")
    found = FORMAT.read(tmp_path)
    assert found.splits["test"].images.shape == (6, 4, 4, 3)


def test_lossy_pictures_are_said_to_be(tmp_path: Path) -> None:
    """JPEG is read as it decodes, with a note."""
    notes = Notes()
    content = table(pa.array([png(image, "JPEG") for image in IMAGES]))
    found = FORMAT.read(saved(tmp_path, "x.parquet", content=content), progress=notes)
    assert found.shape == (4, 4)
    assert any("row 0 and 5 more are JPEG, which is lossy" in note for note in notes.notes)


FIVE = pictures()[:5]
NULL = pa.array([*FIVE, None], STRUCT)
PATHS = pa.array([*FIVE, {"bytes": None, "path": "a/5.png"}], STRUCT)
RAGGED = pa.array([[[1, 2], [3, 4]]] * 5 + [[[1, 2, 3], [4]]])
SIZES = pa.array([*(png(i) for i in IMAGES[:5]), png(np.zeros((5, 5), np.uint8))])
BROKEN = pa.array([*(png(i) for i in IMAGES[:5]), png(IMAGES[5])[:-20]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(label=pa.array([1, 2, None, 0, 0, 0])), "row 2: label is null: not labelled"),
        (table(label=pa.array([0, 0, 0, -1, 0, 0])), "row 3: label is -1: not labelled"),
        (table(label=pa.array([0, 0, 0, 0, 1.5, 0])), "row 4: label is 1.5, no whole number"),
        (table(label=pa.array([float("nan")] * 6)), "row 0: label is nan"),
        (table(label=pa.array([[1]] * 6)), "expected whole numbers or names"),
        (table().drop_columns("label"), "no column of labels among image"),
        (table().drop_columns("image"), "no column of pictures"),
        (table(pa.array(["a.png"] * 6)), "no column of pictures"),
        (table(NULL), "row 5: no picture"),
        (table(PATHS), "row 5: no picture, only its path 'a/5.png'"),
        (table(RAGGED), "row 5: lists of several lengths"),
        (table(SIZES), "row 5: 5x5 pixels, the others have 4x4"),
        (table(BROKEN), "row 5: a damaged picture"),
        (table(nested(pa.list_(pa.int64()), IMAGES.reshape(6, 16)[:, 1:])), "15 pixels a row"),
        (table(nested(pa.list_(pa.int64()), IMAGES.reshape(6, 16) * 2.5)), "bytes"),
        (table(pa.array([[None] * 4] * 6, pa.list_(pa.int8()))), "a pixel is null"),
        (table()[:0], "no rows here"),
    ],
    ids=range(17),
)
def test_what_is_no_split_is_refused_with_its_row(
    tmp_path: Path, content: pa.Table, message: str
) -> None:
    """Missing, unlabelled, ragged and damaged rows are named, and nothing is guessed."""
    file = saved(tmp_path, "x.parquet", content=content)
    with pytest.raises(FormatError, match=message) as caught:
        FORMAT.read(file)
    assert str(file) in str(caught.value)


def test_missing_pixel_columns_are_named(tmp_path: Path) -> None:
    """A gap in the numbers is a pixel that was lost."""
    columns = {f"pixel{k}": [0] for k in range(17) if k != 7}
    file = saved(tmp_path, "x.parquet", content=pa.table({"label": [1], **columns}))
    with pytest.raises(FormatError, match="but 7 is missing"):
        FORMAT.read(file)


def test_a_little_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """A million copies of a large blank picture are a few KB, and are refused."""
    blank = pa.array([png(np.zeros((500, 500), np.uint8))] * 20_000).dictionary_encode()
    content = table(blank, pa.array(np.zeros(20_000, np.int64)))
    file = saved(tmp_path, "x.parquet", content=content, compression="zstd")
    assert file.stat().st_size < 200_000
    with pytest.raises(FormatError, match=r"bytes of pictures; .* --max-bytes"):
        FORMAT.read(file)
