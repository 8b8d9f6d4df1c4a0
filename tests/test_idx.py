"""IDX as people have it: names, places, types, and everything that can be wrong with a file."""

from __future__ import annotations

import gzip
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import FormatError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 4), dtype=np.uint8)
LABELS = np.arange(30) % 10
NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
HEADERS = {  # code and dtype, as the format's page lists them
    "u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E,
}  # fmt: skip


def idx(array: np.ndarray, dtype: str = "u1") -> bytes:
    """The bytes of an IDX file, written here a second time to have something to compare with."""
    header = bytes([0, 0, HEADERS[dtype], array.ndim]) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(dtype).tobytes()


def folder_of(path: Path, names: dict[tuple[str, str], str] = NAMES) -> Path:
    """A folder with the four files, train of 30 pictures and test of 10."""
    path.mkdir(parents=True)
    for (part, role), name in names.items():
        count = 30 if part == "train" else 10
        content = idx((IMAGES if role == "images" else LABELS)[:count])
        (path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def check(path: Path, format: str = "idx", splits: tuple[str, ...] = ("train", "test")) -> None:
    """The path is of that format, and holds the pictures above."""
    name, where = formats.detect(path)
    assert name == format
    found = mnistprep.read(where)
    assert tuple(found.splits) == splits
    for part, split in found.splits.items():
        count = 30 if part == "train" else 10
        assert np.array_equal(split.images, IMAGES[:count])
        assert np.array_equal(split.labels, LABELS[:count])
    assert found.classes == tuple(map(str, range(10)))


@pytest.mark.parametrize("place", ["", "raw", "MNIST/raw", "FashionMNIST/raw", "mnist/MNIST/raw"])
def test_files_are_found_flat_or_nested(tmp_path: Path, place: str) -> None:
    """Flat, in raw/ or in the folder of a torchvision class, also from the folder above."""
    folder_of(tmp_path / "top" / place)
    check(tmp_path / "top")


@pytest.mark.parametrize("pattern", ["{}.{}", "{}-{}.bin", "mnist-{}-{}", "emnist-x-{}-{}"])
@pytest.mark.parametrize("packed", [False, True])
def test_names_only_say_which_split(tmp_path: Path, pattern: str, packed: bool) -> None:
    """Dotted names, prefixes and suffixes are all the same to the reader."""
    names = {}
    for (part, role), name in NAMES.items():
        first, _, rest = name.replace("-idx", "#idx").partition("#")
        names[part, role] = pattern.format(first, rest) + (".gz" if packed else "")
    check(folder_of(tmp_path / "x", names), "idx-gz" if packed else "idx")


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    """A .gz name on a plain file, as browsers leave it, and gzip under a plain name are read."""
    folder = folder_of(tmp_path / "named", {key: f"{name}.gz" for key, name in NAMES.items()})
    for file in folder.iterdir():
        file.write_bytes(gzip.decompress(file.read_bytes()))
    check(folder, "idx")
    folder = folder_of(tmp_path / "plain")
    for file in folder.iterdir():
        file.write_bytes(gzip.compress(file.read_bytes()))
    check(folder, "idx-gz")


def test_a_plain_file_counts_before_its_gzip(tmp_path: Path) -> None:
    """torchvision leaves both; the compressed ones are then not even opened."""
    folder = folder_of(tmp_path / "MNIST" / "raw")
    for name in NAMES.values():
        (folder / f"{name}.gz").write_bytes(b"\x1f\x8b damaged")
    check(tmp_path, "idx")
    for name in NAMES.values():
        (folder / name).rename(folder / "rest")
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / "rest").read_bytes()))
    (folder / "rest").unlink()
    check(tmp_path, "idx-gz")


def test_half_of_the_files_in_gzip_are_read(tmp_path: Path) -> None:
    """Labels may be compressed where pictures are not."""
    names = {k: f"{v}.gz" if k[1] == "labels" else v for k, v in NAMES.items()}
    check(folder_of(tmp_path / "x", names), "idx-gz")


@pytest.mark.parametrize("role", ["images", "labels"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_one_file_stands_for_its_split(tmp_path: Path, part: str, role: str) -> None:
    """The path of a file gives the split of that file, with its partner beside it."""
    folder = folder_of(tmp_path / "x")
    check(folder / NAMES[part, role], splits=(part,))


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", ">i4"])
def test_labels_of_every_integer_type(tmp_path: Path, dtype: str) -> None:
    """The type byte and the big-endian order are honoured."""
    folder = folder_of(tmp_path / "x")
    (folder / NAMES["train", "labels"]).write_bytes(idx(LABELS, dtype))
    check(folder)


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_labels_gives_its_first_column(tmp_path: Path, packed: bool) -> None:
    """QMNIST has eight columns of int32, the class in column 0."""
    table = np.arange(30 * 8).reshape(30, 8)
    table[:, 0] = LABELS
    names = {k: v + ".gz" * packed for k, v in NAMES.items()}
    names["train", "labels"] = "train-labels-idx2-int" + ".gz" * packed
    folder = folder_of(tmp_path / "x", names)
    content = idx(table, ">i4")
    (folder / names["train", "labels"]).write_bytes(gzip.compress(content) if packed else content)
    check(folder, "idx-gz" if packed else "idx")


DAMAGE = {
    "truncated": (lambda data: data[:-7], "expected 616 bytes, found 609; it is truncated"),
    "longer": (lambda data: data + b"\0", "expected 616 bytes, found 617"),
    "a promise": (
        lambda data: data[:4] + b"\xff" * 4 + data[8:],
        "expected 85,899,345,916 bytes, found 616",
    ),
    "a huge size": (lambda data: data[:8] + b"\xff" * 8, "no pictures are 4294967295x4294967295"),
    "no size": (
        lambda data: data[:4] + b"\0\0\0\x1e\0\0\0\0\0\0\0\4",
        "no pictures are 0x4 pixels",
    ),
    "short header": (lambda data: data[:9], "the IDX header ends early"),
    "floats": (lambda data: b"\0\0\x0d\x03" + data[4:], "must be unsigned bytes, not type 0x0d"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_wrong_pictures_are_named(tmp_path: Path, kind: str, packed: bool) -> None:
    """The message has the file, what was expected and what was found; no memory is reserved."""
    damage, message = DAMAGE[kind]
    folder = folder_of(tmp_path / "x")
    file = folder / NAMES["train", "images"]
    content = damage(file.read_bytes())
    file.write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            mnistprep.read(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert str(file) in str(caught.value)
    if packed and kind == "a promise":
        assert "promises 85,899,345,900 bytes" in str(caught.value)
    elif packed and kind == "longer":
        assert "followed by something else" in str(caught.value)
    elif not packed and kind == "short header":
        assert "promises 12 bytes, more than it can hold" in str(caught.value)
    else:
        assert message in str(caught.value)


def test_a_gzip_file_that_ends_early_is_named(tmp_path: Path) -> None:
    """A download that broke off is called truncated, wherever it broke."""
    folder = folder_of(tmp_path / "x", {k: f"{v}.gz" for k, v in NAMES.items()})
    file = folder / f"{NAMES['train', 'images']}.gz"
    whole = file.read_bytes()
    for size in (40, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(FormatError, match="truncated: get it again"):
            mnistprep.read(folder)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (idx(LABELS[:29]), "30 pictures, but train-labels-idx1-ubyte holds 29 labels"),
        (idx(LABELS)[:-1], "expected 38 bytes, found 37; it is truncated"),
        (idx(LABELS) + b"\0\0", "expected 38 bytes, found 3"),
        (idx(LABELS - 3, "i1"), "label 0 is -3; labels start at 0"),
        (idx(LABELS, ">f4"), "labels must be one integer an example"),
        (idx(LABELS + 2**30, ">i4"), "beyond the 1,048,576 classes"),
        (b"\0\0\x08\x01\xff\xff\xff\xff" + bytes(30), "promises 4,294,967,295 bytes"),
        (b"\0\0\x0c\x02\0\0\0\x1e\0\0\0\0", "a label table without columns"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, labels: bytes, message: str) -> None:
    """Counts that differ, negative, missing, huge and fractional labels are refused."""
    folder = folder_of(tmp_path / "x")
    (folder / NAMES["train", "labels"]).write_bytes(labels)
    with pytest.raises(FormatError) as caught:
        mnistprep.read(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("role", "message"),
    [("labels", "its label file is missing"), ("images", "its image file is missing")],
)
def test_a_missing_partner_is_said(tmp_path: Path, role: str, message: str) -> None:
    """Pictures without labels and labels without pictures name the file that is alone."""
    folder = folder_of(tmp_path / "x")
    (folder / NAMES["test", role]).unlink()
    with pytest.raises(FormatError, match=message) as caught:
        mnistprep.read(folder)
    assert "t10k-" in str(caught.value)
    with pytest.raises(FormatError, match=message):
        mnistprep.read(folder / NAMES["test", "images" if role == "labels" else "labels"])


def test_two_files_of_one_split_are_listed(tmp_path: Path) -> None:
    """Several EMNIST sets in one folder are several datasets, not one."""
    folder = folder_of(tmp_path / "x")
    shutil.copy(folder / NAMES["train", "images"], folder / "letters-train-images-idx3-ubyte")
    with pytest.raises(FormatError, match="several image files for train: letters-"):
        mnistprep.read(folder)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    """Notes, hidden files, folders and links to nowhere beside the data are passed over."""
    folder = folder_of(tmp_path / "x")
    (folder / "README").write_text("hello")
    (folder / ".train-images-idx3-ubyte.swp").write_bytes(idx(IMAGES)[:50])
    (folder / "empty.gz").write_bytes(b"")
    (folder / "old").mkdir()
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    check(folder)


def test_what_is_written_is_what_lecun_would_have(tmp_path: Path) -> None:
    """Files have the published names and layout, in torchvision's folders or flat."""
    dataset = Dataset("mnist", {"train": Split(IMAGES, LABELS)}, tuple("0123456789"))
    nested = mnistprep.write(dataset, tmp_path / "nested", "idx") / "MNIST" / "raw"
    flat = mnistprep.write(dataset, tmp_path / "flat", "idx", layout="flat")
    packed = mnistprep.write(dataset, tmp_path / "packed", "idx-gz")
    for role, array in (("images", IMAGES), ("labels", LABELS)):
        name = NAMES["train", role]
        assert (nested / name).read_bytes() == idx(array)
        assert (flat / name).read_bytes() == idx(array)
        assert gzip.decompress((packed / f"{name}.gz").read_bytes()) == idx(array)


def test_colour_and_many_classes_have_their_own_types(tmp_path: Path) -> None:
    """Colour is a fourth dimension, labels beyond 256 classes are big-endian int32."""
    images = np.repeat(IMAGES[..., None], 3, axis=3)
    labels = LABELS * 30
    dataset = Dataset("x", {"train": Split(images, labels)}, tuple(map(str, range(271))))
    folder = mnistprep.write(dataset, tmp_path / "x", "idx", layout="flat")
    assert (folder / "train-images-idx4-ubyte").read_bytes() == idx(images)
    assert (folder / "train-labels-idx1-int").read_bytes() == idx(labels, ">i4")


def test_pictures_are_mapped_not_copied(tmp_path: Path) -> None:
    """Reading uncompressed IDX takes no memory for pictures."""
    images = np.zeros((60_000, 28, 28), np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.zeros(60_000, np.int64))}, ("0",))
    path = mnistprep.write(dataset, tmp_path / "x", "idx")
    tracemalloc.start()
    try:
        found = mnistprep.read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert len(found.splits["train"]) == 60_000


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_come_last(tmp_path: Path, channels: int, packed: bool) -> None:
    """Files of (N, C, H, W), as arrays of PyTorch are saved, give (N, H, W) or (N, H, W, C)."""
    images = np.random.default_rng(4).integers(0, 256, (30, channels, 9, 8), dtype=np.uint8)
    end = ".gz" if packed else ""
    for name, content in (("images-idx4-ubyte", idx(images)), ("labels-idx1-ubyte", idx(LABELS))):
        data = gzip.compress(content) if packed else content
        (tmp_path / f"train-{name}{end}").write_bytes(data)
    found = mnistprep.read(tmp_path).splits["train"]
    expected = images[:, 0] if channels == 1 else np.moveaxis(images, 1, 3)
    assert np.array_equal(found.images, expected)
    assert found.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("name", ["idx", "idx-gz"])
@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 9, 8), (9, 8, 3), (9, 8, 7)])
def test_low_pictures_of_many_channels_come_back(
    tmp_path: Path, name: str, shape: tuple[int, ...]
) -> None:
    """What mnistprep writes has its shape beside it, and is read as that."""
    images = np.random.default_rng(5).integers(0, 256, (30, *shape), dtype=np.uint8)
    dataset = Dataset("x", {"train": Split(images, LABELS)}, tuple("0123456789"))
    path = mnistprep.write(dataset, tmp_path / "x", name)
    assert mnistprep.read(path).digests() == dataset.digests()
    (file,) = path.rglob("*images*")
    assert mnistprep.read(file).digests() == dataset.digests()
