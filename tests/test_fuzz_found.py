"""What the fuzzer found once: each input in its shortest form, with what is said of it now."""

from __future__ import annotations

import json
import struct
import sys
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from shards import DIGITS, field, record, records
from test_formats import split

import mnistprep
from mnistprep import Dataset, formats
from mnistprep.drawings import as_is, open_picture
from mnistprep.errors import FormatError
from mnistprep.formats import _mat5
from mnistprep.formats._flatnames import label, natural, rule
from mnistprep.training import fit, load_checkpoint, save_checkpoint

SMALL = split(3, (4, 4), classes=2)


def refused(path: Path, words: str, format: str | None = None) -> None:
    """The path is refused with these words, format named or not."""
    for name in {format, None}:
        with pytest.raises(FormatError, match=words):
            mnistprep.read(path, name, workers=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_letters_that_are_none(tmp_path: Path, order: str) -> None:
    """Texts of NumPy may hold numbers beyond Unicode, over which Python breaks."""
    path = tmp_path / "x.npz"
    names = np.frombuffer(b"\x7f\xff\xff\xff", f"{order}U1").reshape(())
    np.savez(path, x_train=SMALL.images, y_train=SMALL.labels, classes=names)
    refused(path, "letters that no text can have", "npz")


def test_text_for_labels(tmp_path: Path) -> None:
    """A text without axes in the place of labels, in a file that is one of several."""
    np.savez(tmp_path / "train_images.npz", SMALL.images)
    np.savez(tmp_path / "train_labels.npz", np.array("none"))
    refused(tmp_path, "expected 3 labels", "npz")


@pytest.mark.parametrize("height", [5.5, b"5", b""])
def test_sizes_that_are_no_integers(tmp_path: Path, height: float | bytes) -> None:
    """A height that is no integer says nothing of bare pixels, which are square here."""
    content = [
        {"image_raw": x.tobytes(), "label": int(y), "height": height, "width": 5}
        for x, y in zip(DIGITS.images, DIGITS.labels, strict=True)
    ]
    path = records(tmp_path / "train.tfrecords", content)
    assert mnistprep.read(path).splits["train"].shape == (5, 5)


def test_a_size_that_is_damaged(tmp_path: Path) -> None:
    """A list of integers that does not parse, beside bare pixels."""
    entries = {b"image_raw": field(1, field(1, bytes(25))), b"label": field(3, field(1, b"\1")),
               b"height": field(3, b"\xff"), b"width": field(3, field(1, b"\5"))}  # fmt: skip
    features = b"".join(field(1, field(1, key) + field(2, value)) for key, value in entries.items())
    path = tmp_path / "train.tfrecords"
    path.write_bytes(record(field(1, features)))
    refused(path, "'height' is damaged", "tfrecord")


@pytest.mark.parametrize("size", [40, 93, 125, 640, 896, 1152, 1408])
def test_a_length_that_looks_like_a_pickle(tmp_path: Path, size: int) -> None:
    """The length that a record begins with may be the bytes that a pickle begins with."""
    path = tmp_path / "train.tfrecords"
    path.write_bytes(record(bytes(size)))
    assert formats.matches(path) == ["tfrecord"]


def test_a_place_before_the_start(tmp_path: Path) -> None:
    """A zip whose directory lies: a member is before the file, where the system seeks nothing."""
    whole = tmp_path / "whole.npz"
    save_checkpoint(fit(SMALL, classes=("a", "b"), recipe="numpy", epochs=1), whole)
    data = bytearray(whole.read_bytes())
    at = data.rindex(b"PK\5\6") + 16  # where its end says that the directory begins
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "little") + 400).to_bytes(4, "little")
    path = tmp_path / "model.npz"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged"):
        load_checkpoint(path)


def element(kind: int, data: bytes) -> bytes:
    """A data element of a MAT-file of level 5."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def mat(path: Path, *variables: tuple[str, bytes, bytes]) -> Path:
    """A MAT-file of bytes: the name, the element with the sizes, the values of each variable."""
    whole = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\0\1IM"
    for name, sizes, values in variables:
        start = element(6, struct.pack("<II", 9, 0)) + sizes + element(1, name.encode())
        whole += element(14, start + element(2, values))
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    "sizes",
    [
        element(9, struct.pack("<2d", float("nan"), 4)),
        element(9, struct.pack("<2d", float("inf"), 4)),
        element(13, struct.pack("<2Q", 0, 1 << 63)),
        element(12, struct.pack("<2q", 0, 1 << 62)),
        element(5, struct.pack("<4i", 0, *[(1 << 31) - 1] * 3)),
        element(5, struct.pack("<70i", *[1] * 70)),
        element(5, b""),
    ],
)
def test_sizes_of_matlab_that_are_none(tmp_path: Path, sizes: bytes) -> None:
    """Sizes as fractions, beyond all memory, or of more axes than there are."""
    path = mat(tmp_path / "x.mat", ("train_x", sizes, b"\1"))
    refused(path, "damaged", "mat")


def test_one_column_that_is_not_one_hot(tmp_path: Path) -> None:
    """A column of other numbers than 1 beside `shape` is neither one-hot nor labels."""
    sizes = element(5, struct.pack("<2i", 2, 1))
    pair = element(5, struct.pack("<2i", 1, 2))
    content = [("train_x", sizes, b"\7\x08"), ("train_y", sizes, b"\1\7"), ("shape", pair, b"\1\1")]
    refused(mat(tmp_path / "x.mat", *content), "not one-hot", "mat")
    content[1] = ("train_y", sizes, b"\1\1")
    assert (
        mnistprep.read(mat(tmp_path / "y.mat", *content)).splits["train"].labels.tolist() == [0] * 2
    )


def test_an_array_of_nothing_that_is_too_large(tmp_path: Path) -> None:
    """HDF5 has arrays without values whose other sides are beyond what NumPy takes."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x_train", shape=(0, 1 << 40, 1 << 40), dtype="u1")
        file["y_train"] = np.zeros(0, np.uint8)
    refused(path, "no array has the shape", "hdf5")


@pytest.mark.parametrize(
    ("lengths", "again"), [([], False), ([float("inf")], False), (["x"], False), ([3], True)]
)
def test_splits_of_tfds_that_are_none(tmp_path: Path, lengths: list[object], again: bool) -> None:
    """A split of no shards, of endless ones, or a second one of the same name."""
    mnistprep.write(Dataset("x", {"train": SMALL}, ("a", "b")), tmp_path / "x", "tfrecord")
    (path,) = (tmp_path / "x").rglob("dataset_info.json")
    content = json.loads(path.read_text())
    if again:
        content["splits"] *= 2
    else:
        content["splits"][0]["shardLengths"] = lengths
    path.write_text(json.dumps(content))
    refused(tmp_path / "x", "not as TensorFlow Datasets writes it", "tfrecord")


def test_one_shard_for_two(tmp_path: Path) -> None:
    """A template without the number of the shard would read one file for each of them."""
    data = Dataset("x", {"train": SMALL}, ("a", "b"))
    mnistprep.write(data, tmp_path / "x", "tfrecord", shard=2)
    (path,) = (tmp_path / "x").rglob("dataset_info.json")
    content = json.loads(path.read_text())
    first = sorted(path.parent.glob("*.tfrecord-*"))[0].name
    content["splits"][0] |= {"filepathTemplate": first, "shardLengths": ["2", "2"]}
    path.write_text(json.dumps(content))
    refused(tmp_path / "x", "not as TensorFlow Datasets writes it", "tfrecord")


@pytest.mark.parametrize("dimension", [float("inf"), float("nan"), None, "x"])
def test_sizes_of_tfds_that_are_none(tmp_path: Path, dimension: object) -> None:
    """A side of a picture that is no number."""
    mnistprep.write(Dataset("x", {"train": SMALL}, ("a", "b")), tmp_path / "x", "tfrecord")
    (path,) = (tmp_path / "x").rglob("features.json")
    text = json.loads(path.read_text())
    text["featuresDict"]["features"]["image"]["image"]["shape"]["dimensions"][0] = dimension
    path.write_text(json.dumps(text))
    refused(tmp_path / "x", "not as TensorFlow Datasets writes it", "tfrecord")


def test_a_tensor_of_nothing_that_is_too_large(tmp_path: Path) -> None:
    """PyTorch has tensors without values whose other sides are beyond what NumPy takes."""
    path = tmp_path / "x.pt"
    images = torch.empty(0, 1 << 31, 1 << 31)
    torch.save({"train_images": images, "train_labels": torch.zeros(0, dtype=torch.int64)}, path)
    refused(path, "is a tensor of", "pt")


@pytest.mark.parametrize("version", [1, 2])
def test_a_header_that_takes_long(tmp_path: Path, version: int) -> None:
    """NumPy tries a header that does not parse once more, in a time that grows with its square."""
    text = b"{" + b"(" * 9000
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in ("x_train", "y_train"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY" + bytes([version, 0]) + size + text)
    refused(tmp_path / "x.npz", "a header of 9,001 bytes", "npz")


@pytest.mark.parametrize("size", [float("inf"), 1e300, 3.0])
def test_sides_that_are_no_integers(tmp_path: Path, size: float) -> None:
    """JSON as Python reads it knows Infinity."""
    entry = {"dtype": "U8", "shape": [size, 2], "data_offsets": [0, 4]}
    header = json.dumps({"train_images": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    refused(path, "no plain type, shape and place", "safetensors")


def test_numbers_of_any_length_are_sorted() -> None:
    """Python turns no text of more than 4,300 digits into a number."""
    long = "1" + "0" * 5000
    assert sorted([f"a{long}", "a10", "a9", "a010", "b"], key=natural) == [
        "a9", "a010", "a10", f"a{long}", "b",
    ]  # fmt: skip


def test_a_message_has_an_end(tmp_path: Path) -> None:
    """An array of thousands of axes is refused in few words."""
    entry = {"dtype": "U8", "shape": [3] * 3000, "data_offsets": [0, 4]}
    header = json.dumps({"train_images": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path)
    assert len(str(caught.value)) <= 5000


def test_blanks_without_end(tmp_path: Path) -> None:
    """A head of a PGM that is blanks, which a careless pattern tries in every combination."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.pgm").write_bytes(b"P5" + b" " * 5000 + b"x")
    refused(tmp_path, "damaged picture", "imagefolder")


def test_a_picture_far_larger_than_its_file(tmp_path: Path) -> None:
    """81 million pixels in a few hundred bytes take seconds and a gigabyte."""
    (tmp_path / "0").mkdir()
    path = tmp_path / "0" / "a.webp"
    Image.new("L", (9000, 9000)).save(path, lossless=True)
    refused(tmp_path, "far larger than its file; .* --max-bytes", "imagefolder")
    with pytest.raises(FormatError, match="9,000 x 9,000 pixels in a file of"):
        open_picture(path)


def test_a_picture_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    """Fifty million pixels that a model takes none of."""
    with pytest.raises(FormatError, match="1835008x28 pixels, where as it is it must have 28x28"):
        as_is(Image.new("1", (28, 1835008)), (28, 28))


def test_compressed_data_that_end_too_early(tmp_path: Path) -> None:
    """A stream that is over, with bytes left, before the array that it should be."""
    body = zlib.compress(struct.pack("<II", 14, 20000) + bytes(9000), 0) + bytes(3000)
    path = tmp_path / "x.mat"
    path.write_bytes(_mat5.HEADER + struct.pack("<II", 15, len(body)) + body)
    refused(path, "damaged compressed data", "mat")


def test_a_table_without_rows_near_its_start(tmp_path: Path) -> None:
    """Names that are numbers, then more empty lines than are looked at, then rows."""
    row = ",".join(["1"] * 65)
    path = tmp_path / "x.csv"
    path.write_text(",".join(map(str, range(65))) + "\n" * 400 + f"{row}\n" * 4)
    refused(path, "name the columns", "csv")


def test_a_large_number_in_a_first_line(tmp_path: Path) -> None:
    """Whether a line counts up is not found out by counting to what is in it."""
    path = tmp_path / "x.csv"
    path.write_text("0,999999999,2,3,4,5,6\n")
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            mnistprep.read(path, "csv", workers=1)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("content", [b"1" * (1 << 20) + b"\1", b"0," + b"1" * (1 << 20) + b"x"])
def test_digits_without_end(tmp_path: Path, content: bytes) -> None:
    """A number of a million digits that is none is not tried at each of them."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    before = time.process_time()
    with pytest.raises(FormatError):
        mnistprep.read(path, workers=1)
    assert time.process_time() - before < 10


def test_names_of_many_underscores() -> None:
    """The word in the name of a picture is found without trying every end of it."""
    before = time.process_time()
    assert rule(["a" + "_" * 60_000 + "!", "b" + "_" * 60_000 + "!"] * 2) is None
    assert rule(["cat_1", "cat_dog-2", "cat 3", "cat_dog_4"]) == ("word first", 0)
    assert label(("word first", 0), "cat_dog-_2") == "cat_dog"
    assert time.process_time() - before < 10


def test_dimensions_whose_names_are_no_text(tmp_path: Path) -> None:
    """Labels of HDF5's dimensions may be bytes that no text can be made of."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x_train"] = np.zeros((2, 5, 6, 3), np.uint8)
        file["y_train"] = [0, 1]
        for k, name in enumerate((b"N", b"\xff", b"H", b"W")):
            h5py.h5ds.set_label(file["x_train"].id, k, name)
    assert mnistprep.read(path).shape == (5, 6, 3)


def test_a_label_with_a_decimal_comma(tmp_path: Path) -> None:
    """It is a fraction, and refused in its own place."""
    path = tmp_path / "x.csv"
    path.write_text("label\tpixel0\tpixel1\tpixel2\tpixel3\n1\t1\t2\t3\t4\n0,249\t1\t2\t3\t4\n")
    refused(path, "line 3: column 1 is '0,249', not a whole number")


@pytest.mark.skipif(sys.platform != "linux", reason="limits and sizes as Linux has")
def test_a_chunk_that_says_it_has_gigabytes(tmp_path: Path) -> None:
    """Pillow would ask a file for as many bytes, which a limit of the process forbids."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.png"
    start = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\x08\0\0\0\0"
    start += zlib.crc32(start[12:]).to_bytes(4, "big")
    path.write_bytes(start + b"\x7f\xff\xff\xffIDAT" + zlib.compress(b"\0" * 29 * 28))
    open_picture(path)  # what Pillow loads once is loaded
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), before[1]))
    try:
        assert open_picture(path).size == (28, 28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_metadata_of_nothing(tmp_path: Path) -> None:
    """A list of objects without keys beside pictures."""
    path = mnistprep.write(
        Dataset("x", {"train": SMALL}, ("0", "1")), tmp_path / "x", "imagefolder"
    )
    folder = tmp_path / "y"
    folder.mkdir()
    for number, picture in enumerate(sorted(path.rglob("*.png"))):
        picture.rename(folder / f"{number}.png")
    for content in ("{}\n\n", "{}\n{}\n"):
        (folder / "metadata.jsonl").write_text(content)
        with pytest.raises(FormatError, match="rows without any values"):
            mnistprep.read(folder, "imagefolder", workers=1)


def test_weights_that_are_an_array_and_hold_some(tmp_path: Path) -> None:
    """One array in the place of all weights, beside those in it."""
    weights = {"state_dict/hidden": np.zeros((2, 3), np.float32)}
    np.savez(tmp_path / "x.npz", state_dict=np.zeros(3, np.float32), **weights)
    with pytest.raises(FormatError, match="metadata is damaged"):
        load_checkpoint(tmp_path / "x.npz")
