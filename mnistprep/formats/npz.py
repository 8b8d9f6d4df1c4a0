"""NumPy archive with the keys of Keras (mnist.npz) or MedMNIST; arrays in several files.

    zip, deflated, members dated 1980-01-01:
    x_train.npy   uint8 (N, H, W) or (N, H, W, C), or float32, byte / 255
    y_train.npy   uint8 (N,), or int32 beyond 256 classes
    x_test.npy, y_test.npy
    classes.npy   one string, a JSON list of class names; only when they are not "0", "1", ...

    with names=medmnist: train_images, train_labels (N, 1), val_images, ..., test_images, ...

Specification: numpy.lib.format, PKZIP APPNOTE. Read by numpy.load(path, allow_pickle=False) and
whatever reads Keras's or MedMNIST's file. Never put it under ~/.keras: Keras checks the file's own
SHA-256 there, and deletes what does not match before it downloads again. Keras has no place for
`valid`: it becomes the end of `train`. Read too: other names (X and y, images and labels, ...),
pictures as rows of a square's pixels, one-hot labels, an array in each file (k49-train-imgs.npz and
k49-train-labels.npz, x_train.npy and y_train.npy), a split in each, class names as an array of
texts. Pickled members are not.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep._streams import check_level
from mnistprep.dataset import Dataset, Split, idx_label_type
from mnistprep.errors import FormatError
from mnistprep.formats import _named, _npy, _npyparts
from mnistprep.formats._npy import load

__all__ = ["load", "places", "read", "sniff", "write"]

SUFFIXES: tuple[str, ...] = (".npz",)
DEFAULT_OUTPUT = "{name}.npz"
NEEDS: tuple[str, ...] = ()
_WRITTEN = {  # what the pictures and labels of a split are called
    "keras": {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},
    "medmnist": {
        "train": ("train_images", "train_labels"),
        "valid": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
}


def sniff(path: Path) -> bool:
    """Whether `path` is a zip of .npy arrays, a single one, or a folder with a dataset of them."""
    if path.is_dir():
        return bool(_npyparts.groups(path))
    if _npy.is_array(path):
        return True
    if not head(path, 4).startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path):
            return _npy.names(path) is not None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix == ".npz"  # a damaged one: reading it says so


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Read an archive, the folder of several files, or one of them with its partner beside it.

    Raises FormatError for what is damaged, or holds other arrays.
    """
    if path.is_dir():
        found = _npyparts.groups(path)
        if len(found) > 1:
            raise _npyparts.several(path, found)
        if not found:
            raise FormatError(f"{path}: no array files here that make up a dataset")
        _npyparts.check_others(path, found[0], progress)
        return _npyparts.read(path, found[0], progress)
    if parts := _npyparts.beside(path):
        return _npyparts.read(path, parts, progress)
    if _npy.is_array(path):
        raise FormatError(
            f"{path}: its name does not say what it holds; "
            "expected names such as x_train.npy and y_train.npy"
        )
    arrays = load(path, progress)
    classes = _npy.class_names(arrays, path)
    return _named.dataset(
        str(path), path.name, _npyparts.positional(arrays), classes, progress=progress
    )


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    names: Literal["keras", "medmnist"] = "keras",
    dtype: Literal["uint8", "float32"] = "uint8",
    level: int = 6,
) -> None:
    """Write the archive.

    names: whose names the arrays have; MedMNIST has a place for `valid`. dtype: float32 is byte /
    255, and read back exactly. level: zlib's, 0 (stored) to 9 (small).
    """
    check_level(level)
    _named.check(dataset)
    called = _WRITTEN[names]
    written = dataset if "valid" in called else dataset.joined()
    if written is not dataset:
        progress.note("Keras's npz has no place for `valid`: its examples are the last of `train`")
    label_type = idx_label_type(len(dataset.classes)).replace(">", "<")
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, split in written.splits.items():
            progress.start(f"write {name}", len(split), "examples")
            x, y = called[name]
            descr = "|u1" if dtype == "uint8" else "<f4"
            _npy.write(archive, x, split.images.shape, descr, _pixels(split, descr, progress))
            labels = split.labels.astype(label_type)
            shape = (len(labels), 1) if names == "medmnist" else labels.shape
            _npy.write(archive, y, shape, labels.dtype.str, [labels.tobytes()])
        if text := _named.named_classes(dataset):
            array = np.array(text).astype("<U")
            _npy.write(archive, _named.CLASSES, (), array.dtype.str, [array.tobytes()])


def _pixels(split: Split, descr: str, progress: Progress) -> Iterator[bytes | memoryview]:
    for images, _ in split.chunks():
        if descr == "|u1":
            yield images.reshape(-1).data
        else:
            yield (images.astype("<f4") / np.float32(255)).astype("<f4").tobytes()
        progress.advance(len(images))


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The arrays of examples and their rows there."""
    if path.is_dir():
        found = _npyparts.groups(path)
        where = _npyparts.place(found[0], split) if len(found) == 1 else None
        return [f"{where or path}, row {index} of {split}" for index in indices]
    names = _npy.names(path) or []
    called = {}
    for name in names:
        means = _named.meaning(name)
        if means is not None and means.role:
            called[means.split or "train", means.role] = name
    x = called.get((split, "images"), f"x_{split}")
    y = called.get((split, "labels"), f"y_{split}")
    return [f"{path}, {x}[{index}], {y}[{index}]" for index in indices]
