"""MAT-files: SciPy reads them, the published layouts are read, EMNIST's orientation, damage."""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat
from test_formats import ODD, Notes, split
from test_readers import COUNTS, LABELS, PIXELS

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import _mat5

GOLDEN = Path(__file__).with_name("golden") / "mat"
TRAIN, TEST = split(30, (6, 6), 10), split(12, (6, 6), 10, seed=2)
WHOLE = Dataset("x", {"train": TRAIN, "test": TEST}, tuple("0123456789"))
HOT = np.eye(10, dtype=np.uint8)


def told(path: Path, **options: object) -> tuple[Dataset, list[str]]:
    """What is read from a path, and what a person is told."""
    notes = Notes()
    return mnistprep.read(path, "mat", progress=notes, **options), notes.notes


def saved(path: Path, content: dict[str, object], *, compressed: bool = False) -> Path:
    """A file by SciPy."""
    savemat(path, content, do_compression=compressed, oned_as="column")
    return path


def saved_v73(path: Path, content: dict[str, object]) -> Path:
    """A file of level 7.3 as MATLAB lays it out: sizes reversed, a header of 512 bytes."""
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(group: h5py.Group, name: str, value: object) -> None:
            if isinstance(value, dict):
                inner = group.create_group(name)
                inner.attrs["MATLAB_class"] = np.bytes_("struct")
                for key, part in value.items():
                    put(inner, key, part)
            elif isinstance(value, str):
                units = np.frombuffer(value.encode("utf-16-le"), "<u2")
                group.create_dataset(name, data=units[:, None])
                group[name].attrs["MATLAB_class"] = np.bytes_("char")
            elif isinstance(value, list):
                for k, text in enumerate(value):
                    put(file.require_group("#refs#"), f"{name}{k}", text)
                references = [file[f"#refs#/{name}{k}"].ref for k in range(len(value))]
                cells = group.create_dataset(name, (1, len(value)), h5py.ref_dtype)
                cells[0] = references
                cells.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                group.create_dataset(name, data=np.asarray(value).T, compression="gzip")
                group[name].attrs["MATLAB_class"] = np.bytes_("double")

        for name, value in content.items():
            put(file, name, value)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\0\2IM")
    return path


def same(found: Dataset, expected: Dataset = WHOLE) -> None:
    """The two have the same splits, pictures and labels."""
    assert list(found.splits) == list(expected.splits)
    for name, examples in expected.splits.items():
        assert np.array_equal(found.splits[name].images, examples.images)
        assert np.array_equal(found.splits[name].labels, examples.labels)


# What mnistprep wrote


@pytest.mark.parametrize("level", [0, 6])
@pytest.mark.parametrize("layout", ["rows", "images"])
def test_both_layouts_keep_everything(tmp_path: Path, layout: str, level: int) -> None:
    """Pictures, labels, splits and class names come back, for every odd set."""
    one = Dataset("x", {"test": split(1, (1, 4, 7))}, ("a", "b", "c"))
    for name, dataset in {**ODD, "1x4x7": one}.items():
        path = tmp_path / f"{name}.mat"
        mnistprep.write(dataset, path, layout=layout, level=level)
        assert formats.matches(path) == ["mat"]
        found = mnistprep.read(path)
        same(found, dataset)
        assert found.digests() == dataset.digests()
        assert found.classes == dataset.classes


def test_scipy_reads_rows(tmp_path: Path) -> None:
    """loadmat finds DeepLearnToolbox's variables: rows of pixels, and a 1 in the class's column."""
    dataset = ODD["with-valid"]
    found = loadmat(mnistprep.write(dataset, tmp_path / "x.mat"))
    assert found["__header__"] == b"MATLAB 5.0 MAT-file, written by mnistprep"
    assert {name for name in found if not name.startswith("__")} == {
        "shape", *(f"{part}_{key}" for part in dataset.splits for key in "xy")
    }  # fmt: skip
    for name, examples in dataset.splits.items():
        assert found[f"{name}_x"].dtype == found[f"{name}_y"].dtype == np.uint8
        assert np.array_equal(found[f"{name}_x"].reshape(examples.images.shape), examples.images)
        assert np.array_equal(found[f"{name}_y"], np.eye(3)[examples.labels])
    assert found["shape"].tolist() == [[3, 4]]


@pytest.mark.parametrize("kind", ["odd", "colour", "many-classes"])
def test_scipy_reads_images(tmp_path: Path, kind: str) -> None:
    """loadmat finds a picture at each place of the last axis, upright, and the class names."""
    dataset = ODD[kind]
    found = loadmat(mnistprep.write(dataset, tmp_path / "x.mat", layout="images"))
    for name, examples in dataset.splits.items():
        assert np.array_equal(np.moveaxis(found[f"{name}_images"], -1, 0), examples.images)
        assert np.array_equal(found[f"{name}_labels"][:, 0], examples.labels)
    if kind == "odd":
        assert [str(cell[0]) for cell in found["classes"][:, 0]] == list(dataset.classes)


def test_what_cannot_be_written_is_said_before(tmp_path: Path) -> None:
    """2 GB in a variable are refused, pictures or one-hot labels, and so is a level beyond 9."""
    big = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (1 << 16, 1, 1))
    wide = Dataset("x", {"train": Split(np.ascontiguousarray(big), np.zeros(1 << 16, np.int64))},
                   tuple(map(str, range(1 << 15))))  # fmt: skip
    with pytest.raises(UnsupportedError, match="less than 2 GB in a variable; train needs 2,147"):
        mnistprep.write(wide, tmp_path / "x.mat")
    with pytest.raises(UsageError, match="level must be 0 to 9"):
        mnistprep.write(ODD["odd"], tmp_path / "x.mat", level=10)
    assert list(tmp_path.iterdir()) == []


# What others wrote


def test_golden_toolbox_files_have_the_known_numbers() -> None:
    """mnist_uint8.mat, of level 5 by SciPy and of 7.3 by hdf5storage, by counts and sums."""
    for name in ("mnist_uint8.mat", "mnist_uint8_v73.mat"):
        assert formats.matches(GOLDEN / name) == ["mat"]
        found, notes = told(GOLDEN / name)
        assert {k: len(v) for k, v in found.splits.items()} == {"train": 6, "test": 3}
        for part, examples in found.splits.items():
            assert examples.images.sum() == PIXELS[part]
            assert examples.labels.sum() == LABELS[part]
            assert examples.images[0, 0, 1] == (11 + 37 * (1 + 128 * (part == "test"))) % 256
        assert len(found.classes) == 10
        assert notes == []


def test_golden_files_of_other_layouts_have_the_known_numbers(tmp_path: Path) -> None:
    """mnist_all.mat, mnist-original.mat, EMNIST's and SVHN's hold the pictures of the first."""
    first = mnistprep.read(GOLDEN / "mnist_uint8.mat")
    found, notes = told(GOLDEN / "mnist_all.mat")
    assert notes == []
    assert {k: d.unordered for k, d in found.digests().items()} == {
        k: d.unordered for k, d in first.digests().items()
    }
    assert all((np.diff(part.labels) >= 0).all() for part in found.splits.values())

    found, notes = told(GOLDEN / "mnist-original.mat")
    same(found, Dataset("x", {"train": first.splits["train"]}, first.classes))
    assert notes == []

    found, notes = told(GOLDEN / "emnist-letters.mat")
    same(found, first)
    assert found.classes == tuple("abcdefghijklmnopqrstuvwxyz")
    assert len(notes) == 3
    assert notes[-1] == "emnist-letters.mat: labels 1 to 26 are 0 to 25 here"
    assert "dataset/train/writers is ignored" in notes[0]
    found, _ = told(GOLDEN / "emnist-letters.mat", orientation="stored")
    for name, examples in first.splits.items():
        assert np.array_equal(found.splits[name].images, examples.images.swapaxes(1, 2))

    for name in ("train", "test"):
        shutil.copy(GOLDEN / f"{name}_32x32.mat", tmp_path)
    found, notes = told(tmp_path)
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 6, "test": 3}
    for part, examples in found.splits.items():
        grey = first.splits[part].images
        assert np.array_equal(examples.images, np.stack([grey, grey, 255 - grey], axis=3))
        assert np.array_equal(examples.labels, first.splits[part].labels)
    assert any("10 in y is the digit 0" in note for note in notes)
    assert COUNTS["train"] == 6


X, Y, TX, TY = TRAIN.images, TRAIN.labels, TEST.images, TEST.labels


def named(x: str, y: str, pictures: Any, labels: Any) -> dict[str, object]:
    """Variables of train and test by templates for their names, and what makes their values."""
    return {
        template.format(name): make(values)
        for name, part in WHOLE.splits.items()
        for template, make, values in ((x, pictures, part.images), (y, labels, part.labels))
    }


def record(images: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """A split as a struct, with what is known of its sizes."""
    sizes = {key: np.array([[6.0]]) for key in ("count", "width", "height")}
    return {"images": images.transpose(1, 2, 0) / 255, "labels": labels[:, None] * 1.0, **sizes}


WILD = {
    "trainX": named("{}X", "{}Y", lambda x: x.reshape(-1, 36) / 255, lambda y: y[None]),
    "structs": {"training": record(X, Y), "test": record(TX, TY)},
    "columns": named("{}_x", "{}_y", lambda x: x.reshape(-1, 36).T, lambda y: HOT[y].T),
    "first": named("{}_images", "{}_labels", lambda x: x * 1.0, lambda y: y[:, None]),
}


@pytest.mark.parametrize("how", ["plain", "compressed", "v7.3"])
@pytest.mark.parametrize("kind", WILD)
def test_variables_are_found_by_their_names(tmp_path: Path, kind: str, how: str) -> None:
    """Whatever the names, axes, scale and level are, the same pictures and labels come out."""
    path = tmp_path / "x.mat"
    if how == "v7.3":
        saved_v73(path, WILD[kind])
    else:
        saved(path, WILD[kind], compressed=how == "compressed")
    found, notes = told(path)
    same(found)
    assert len(notes) == (6 if kind == "structs" else 0)


def test_texts_name_classes_or_are_ignored(tmp_path: Path) -> None:
    """A cell array or rows of letters name the classes, at each level; other texts are said."""
    names = [f"name {k} é" for k in range(10)]
    arrays = {"train_x": X.reshape(30, 36), "train_y": HOT[Y]}
    cells = np.array(names, object)[:, None]
    files = (
        saved(tmp_path / "cell.mat", {**arrays, "classes": cells, "about": "mine"}),
        saved(tmp_path / "char.mat", {**arrays, "classes": names, "about": "mine"}),
        saved_v73(tmp_path / "v73.mat", {**arrays, "class_names": names, "about": "mine"}),
    )
    for path in files:
        found, notes = told(path)
        assert found.classes == tuple(names)
        assert notes == [f"{path.name}: about is ignored"]


def test_labels_that_start_at_1_stay_and_are_said(tmp_path: Path) -> None:
    """MATLAB's count from 1 is not taken back without a reason."""
    found, notes = told(saved(tmp_path / "x.mat", {"x": X.reshape(30, 36), "y": Y + 1}))
    assert np.array_equal(found.splits["train"].labels, Y + 1)
    assert notes == ["x.mat: labels start at 1; they stay so, and class 0 is empty"]


def test_a_number_without_axes_is_as_matlab_has_it(tmp_path: Path) -> None:
    """HDF5 has single numbers without axes, which MATLAB shows as 1 x 1; a set may be as small."""
    path = saved_v73(tmp_path / "x.mat", {"x": X.reshape(30, 36), "y": Y})
    with h5py.File(path, "r+") as file:
        file["width"] = 6
    found, notes = told(path)
    assert np.array_equal(found.splits["train"].labels, Y)
    assert notes == ["x.mat: width is ignored"]
    with h5py.File(path, "r+") as file:
        file["z"] = 6
    refused(path, "z too")
    single = saved_v73(tmp_path / "one.mat", {})
    with h5py.File(single, "r+") as file:
        file["x"], file["y"] = np.uint8(7), 3
    refused(single, r"shape \(1, 1\) does not show which axis")
    names = saved_v73(tmp_path / "names.mat", {"x": X.reshape(30, 36), "y": Y * 0, "name": "zero"})
    with h5py.File(names, "r+") as file:
        cell = file.create_dataset("classes", (), h5py.ref_dtype)
        cell[()] = file["name"].ref
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    assert told(names)[0].classes == ("zero",)


def test_the_70000_of_mldata_are_the_published_splits(tmp_path: Path) -> None:
    """In a file of mnist-original.mat's size the first 60,000 columns are for training."""
    pixels = np.arange(70_000 * 4, dtype=np.uint32).astype(np.uint8).reshape(70_000, 4)
    labels = (np.arange(70_000) % 10).astype(float)
    path = saved(tmp_path / "x.mat", {"data": pixels.T, "label": labels[None]}, compressed=True)
    found, notes = told(path)
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 60_000, "test": 10_000}
    assert np.array_equal(found.splits["test"].images.reshape(-1, 4), pixels[60_000:])
    assert notes == ["x.mat: the first 60,000 are train, the others test, as published"]


def refused(path: Path, message: str) -> None:
    """The file is refused with that reason, and its path."""
    with pytest.raises(FormatError, match=message) as caught:
        mnistprep.read(path, "mat")
    assert str(path) in str(caught.value)


def test_what_is_no_dataset_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Unknown variables, no labels, changed values, unclear axes: each is said."""
    rows, square = X.reshape(30, 36), np.zeros((30, 6, 30), np.uint8)
    sparse = __import__("scipy.sparse").sparse.csc_array(rows.astype(float))
    for content, message in (
        ({"fea": rows, "gnd": Y}, "no arrays named train_images or x_train here"),
        ({"train_x": rows}, "train_x and train_y go together"),
        ({"x": rows / 254.5, "y": Y}, "cannot be had back exactly"),
        ({"x": square, "y": Y}, "does not show which axis the pictures are"),
        ({"x": rows[:29], "y": Y}, r"does not fit 30 labels"),
        ({"x": rows, "y": Y + 0.5}, "expected one integer an example"),
        ({"x": rows[:, :35], "y": Y}, "square ones as rows; found uint8 of shape"),
        ({"x": sparse, "y": Y}, "neither numbers nor texts"),
        ({"x": rows * 1j, "y": Y}, "complex numbers"),
        ({"x": np.array([[rows]], object), "y": Y}, "a cell array, expected one of texts"),
        ({"about": "nothing else"}, "no arrays named train_images"),
    ):
        refused(saved(tmp_path / "x.mat", content), message)
    path = tmp_path / "x.mat"
    emnist = {"images": rows, "labels": Y + 5.0, "writers": Y}
    mapping = np.array([[k, 48 + k] for k in range(10)], float)
    refused(
        saved(path, {"dataset": {"train": emnist, "mapping": mapping}}), "mapping does not have"
    )
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused(path, "truncated or damaged")
    path.write_bytes(b"nothing of MATLAB")
    refused(path, "not a MAT-file")


# Damage


def matrix(shape: tuple[int, ...], data: bytes, *, size: int | None = None) -> bytes:
    """A variable `x` of bytes, whatever its sizes say."""
    body = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<II", 5, 4 * len(shape))
    body += struct.pack(f"<{len(shape)}i", *shape) + bytes(4 * (len(shape) % 2))
    body += struct.pack("<II", 0x10001, ord("x")) + struct.pack("<II", 2, len(data)) + data
    return struct.pack("<II", 14, len(body) if size is None else size) + body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            matrix((1 << 30, 1 << 30), b"12345678"),
            r"an array of shape \(1073741824, 1073741824\); damaged",
        ),
        (matrix((-2, -4), b"12345678"), "an array of shape"),
        (matrix((2, 4), b"12345678", size=1 << 31), "the file has"),
        (struct.pack("<II", 15, 1 << 30), "the file has 0"),
        (struct.pack("<II", 15, 8) + b"notzlib!", "damaged compressed data"),
        (struct.pack("<II", 99, 8) + bytes(8), "an element of type 99"),
        (struct.pack("<II", 0x00090001, 0), "9 bytes in a tag for 4"),
        (b"123", "in the middle of a tag"),
    ],
    ids=["huge", "negative", "beyond", "nothing", "noise", "type", "tag", "short"],
)
def test_sizes_that_lie_are_refused(tmp_path: Path, body: bytes, message: str) -> None:
    """No size makes room for what the file cannot hold."""
    path = tmp_path / "x.mat"
    path.write_bytes(_mat5.HEADER + body)
    refused(path, message)
    packed = zlib.compress(struct.pack("<II", 14, 0xF0000000) + bytes(1000))
    path.write_bytes(_mat5.HEADER + struct.pack("<II", 15, len(packed)) + packed)
    refused(path, "damaged compressed data")


@pytest.mark.parametrize("name", ["mnist_uint8.mat", "emnist-letters.mat", "mnist-original.mat"])
def test_a_cut_or_changed_file_is_refused_or_read(tmp_path: Path, name: str) -> None:
    """Cut anywhere but between variables a file is refused; with a byte changed it may be read."""
    whole, path, chance = (GOLDEN / name).read_bytes(), tmp_path / "x.mat", random.Random(4)
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at])
        with pytest.raises(FormatError):
            mnistprep.read(path, "mat")
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(124, len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            mnistprep.read(path, "mat")
        except FormatError as error:
            assert len(str(error)) < 1000


def test_other_byte_order_is_read(tmp_path: Path) -> None:
    """A file of a big-endian machine has the same numbers."""

    def swapped(kind: str, *values: int) -> bytes:
        return struct.pack(f">{kind}", *values)

    def variable(name: bytes, kind: int, code: int, shape: tuple[int, int], data: bytes) -> bytes:
        body = swapped("IIII", 6, 8, kind, 0) + swapped("IIii", 5, 8, *shape)
        body += swapped("II", 1, len(name)) + name.ljust(8, b"\0")
        body += swapped("II", code, len(data)) + data + bytes(-len(data) % 8)
        return swapped("II", 14, len(body)) + body

    path = tmp_path / "x.mat"
    pixels = np.asfortranarray(X.reshape(30, 36)).astype(">u2").tobytes("F")
    path.write_bytes(
        _mat5.HEADER[:124] + b"\1\0MI" + variable(b"train_x", 11, 4, (30, 36), pixels)
        + variable(b"train_y", 6, 9, (30, 1), Y.astype(">f8").tobytes())
    )  # fmt: skip
    same(mnistprep.read(path), Dataset("x", {"train": TRAIN}, WHOLE.classes))
    assert np.array_equal(loadmat(path)["train_x"], X.reshape(30, 36))
