"""MAT-file of MATLAB, with the variables of DeepLearnToolbox's mnist_uint8.mat.

    layout=rows      train_x    uint8 (N, H * W), a row a picture, its pixels row by row
                     train_y    uint8 (N, classes), 1 in the column of the class, else 0
    layout=images    train_images    uint8 (H, W, N) or (H, W, C, N)
                     train_labels    uint8 (N, 1) from 0, or int32 beyond 256 classes
    both             valid_..., test_...; shape, [H W] or [H W C]; classes, a cell array of the
                     names, only when they are not "0", "1", ...

Specification: MAT-File Format, The MathWorks; level 5, written without a date. Read by MATLAB's
load, Octave, scipy.io.loadmat, Julia's MAT.jl. A variable of 2 GB or more is refused. Files of
level 7.3, which are HDF5, are read too, with h5py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress, quiet
from mnistprep._streams import check_level
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split, concatenate, idx_label_type
from mnistprep.errors import FormatError, UnsupportedError
from mnistprep.formats import _hdf5, _mat5, _named, _sidecar
from mnistprep.formats._mat5 import Value
from mnistprep.formats._named import Array
from mnistprep.formats._splits import named_split

SUFFIXES: tuple[str, ...] = (".mat",)
DEFAULT_OUTPUT = "{name}.mat"
NEEDS: tuple[str, ...] = ()
Layout = Literal["rows", "images"]
Orientation = Literal["upright", "stored"]

_ORDERING = "mldata_descr_ordering"
_MLDATA = (70_000, 60_000)  # pictures of mnist-original.mat, and how many are for training
_PER_CLASS = re.compile(r"(train|test)(\d{1,4})")
_ASIDE = re.compile(r"(?:.*/)?(?:writers|count|width|height)")
_LABELS = {"x": "y", "images": "labels"}


def sniff(path: Path) -> bool:
    """Whether `path` is a MAT-file of level 5 or 7.3, or a folder with one for each split."""
    if not path.is_dir():
        return _mat5.is_mat5(path) or _hdf5.is_hdf5(path, matlab=True)
    files = _files(path)
    return len(files) > 1 and all(named_split(file.name) and sniff(file) for file in files)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.glob("[!.]*.mat") if file.is_file())


def read(
    path: Path, *, progress: Progress = quiet, orientation: Orientation = "upright"
) -> Dataset:
    """Read a file, or those of a folder; raises FormatError when damaged, or of other variables.

    EMNIST's pictures are stored transposed; they come upright, or as they are "stored".
    """
    found: dict[str, Split] = {}
    names: tuple[str, ...] | None = None
    widths: list[int] = []
    for file in _files(path):
        content = _content(file, orientation == "upright", progress)
        if both := found.keys() & content.splits.keys():
            raise FormatError(f"{path}: two files hold {' and '.join(sorted(both))}; keep one")
        found |= content.splits
        names = _named.agreed(names, content.classes, file)
        widths.append(content.width)
    if not found:
        raise FormatError(f"{path}: no .mat files here")
    if not (names or any(widths)) and all(len(s) and s.labels.min() == 1 for s in found.values()):
        progress.note(f"{path.name}: labels start at 1; they stay so, and class 0 is empty")
    return Dataset(path.name, found, _named.of_classes(names, found, widths, path))


@dataclass(frozen=True)
class _Content:
    """What a file holds: splits, class names if it has them, the width of one-hot labels or 0."""

    splits: dict[str, Split]
    classes: tuple[str, ...] | None = None
    width: int = 0


def _content(path: Path, upright: bool, progress: Progress) -> _Content:
    values = _v73(path, progress) if _hdf5.is_hdf5(path, matlab=True) else _mat5.variables(path)
    numbers, names = _sorted(path, values, progress)
    if "shape" in numbers:
        return _own(path, numbers, names)
    if numbers and all(_PER_CLASS.fullmatch(name) for name in numbers):
        return _per_class(path, numbers)
    emnist = bool({"dataset/train/images", "dataset/test/images"} & numbers.keys())
    mapping = numbers.pop("dataset/mapping", None) if emnist else None
    if mapping is not None and (mapping.ndim != 2 or not mapping.size):
        raise FormatError(f"{path}: dataset.mapping of shape {mapping.shape} is no table")
    found = _named.pairs(numbers, str(path))
    splits: dict[str, Split] = {}
    width = 0
    for split, kinds in found.items():
        name = split or named_split(path.name) or "train"
        if name in splits:
            raise FormatError(f"{path}: {_named.shown(kinds.values())}: not clear what they are")
        images, labels, hot = _pair(path, kinds, numbers, _ORDERING in values)
        width = max(width, hot)
        if emnist and upright:
            images = _named.in_order(images.swapaxes(1, 2))
        if mapping is not None:
            labels = _mapped(labels, mapping, f"{path}: {kinds['labels']}")
        elif kinds["images"] == "X" and images.ndim == 4 and _is_svhn(labels):
            progress.note(f"{path.name}: 10 in y is the digit 0, as in SVHN; it is 0 here")
            labels, width = labels % 10, 10
        splits[name] = Split(images, labels)
    if mapping is not None:
        names = _mapping_names(path, mapping)
        if mapping[0, 0]:
            low, high = int(mapping[0, 0]), int(mapping[-1, 0])
            progress.note(f"{path.name}: labels {low} to {high} are 0 to {len(names) - 1} here")
    if numbers.keys() == {"data", "label"} and len(splits.get("train", ())) == _MLDATA[0]:
        splits = _published_split(path, splits["train"], progress)
    return _Content(splits, names, width)


def _v73(path: Path, progress: Progress) -> dict[str, Value]:
    """The variables of a file of level 7.3, in which HDF5 has MATLAB's sizes reversed."""
    tables = _hdf5.listing(path).tables
    plain = [name for name, table in tables.items() if table.texts is None]
    values: dict[str, Value] = {
        name: np.atleast_2d(array.T)
        for name, array in _hdf5.load(path, tables, plain, progress).items()
    }
    for name, table in tables.items():
        if table.texts is not None:
            values[name] = table.texts
        elif table.attributes.get("MATLAB_class") == "char":
            units = np.asarray(values[name])
            if units.dtype.kind != "u" or units.dtype.itemsize > 2:
                raise FormatError(f"{path}: {printable(name)}: letters in {units.dtype}; damaged")
            values[name] = (units.astype("<u2").tobytes("F").decode("utf-16-le", "replace"),)
        elif "MATLAB_empty" in table.attributes:
            given = np.asarray(values[name]).reshape(-1)[:4]
            sizes, _ = _named.numbers(given, len(given), f"{path}: {printable(name)}")
            if (
                sizes.all()
                or (sizes < 0).any()
                or (sizes >= _sidecar.PICTURE_LIMIT).any()
                or not _named.may_be(tuple(sizes.tolist()))
            ):
                raise FormatError(f"{path}: {printable(name)}: empty, of shape {sizes}; damaged")
            values[name] = np.empty(tuple(sizes), np.uint8)
        elif table.attributes.get("MATLAB_class") == "logical":
            values[name] = np.asarray(values[name]) != 0
    return values


def _sorted(
    path: Path, values: dict[str, Value], progress: Progress
) -> tuple[dict[str, Array], tuple[str, ...] | None]:
    """The numbers that are or may be data, and the class names; the rest is said to be ignored."""
    numbers: dict[str, Array] = {}
    classes: tuple[str, ...] | None = None
    for name, value in values.items():
        if isinstance(value, tuple) and _named.is_classes(name):
            classes = value
        elif isinstance(value, tuple) or _ASIDE.fullmatch(name):
            if name != _ORDERING:
                progress.note(f"{path.name}: {printable(name, 60)} is ignored")
        else:
            numbers[name] = value
    return numbers, classes


def _own(path: Path, numbers: dict[str, Array], classes: tuple[str, ...] | None) -> _Content:
    """What `write` made: the variable `shape` says which axis is what."""
    sizes = numbers.pop("shape").reshape(-1)
    shape = tuple(
        int(size) for size in sizes[:4] if 0 < size < _sidecar.PICTURE_LIMIT and size % 1 == 0
    )
    if len(shape) not in (2, 3) or len(shape) != len(sizes):
        raise FormatError(f"{path}: shape is {sizes}, expected [H W] or [H W C]")
    splits: dict[str, Split] = {}
    widths = []
    for name in sorted(numbers):
        split, _, kind = name.partition("_")
        if kind not in _LABELS:
            continue
        values, where = numbers[name], f"{path}: {printable(name)}"
        if kind == "images":  # MATLAB drops an axis of one picture
            if values.size % math.prod(shape) or values.shape[: len(shape)] != shape:
                raise FormatError(f"{where}: expected {(*shape, 'N')}, found {values.shape}")
            values = np.moveaxis(values.reshape((*shape, -1), order="F"), -1, 0)
            values = np.empty((0, *shape), np.uint8) if not values.size else values
        images = _named.pictures(values, where, shape)
        other = f"{split}_{_LABELS[kind]}"
        if other not in numbers:
            raise FormatError(f"{path}: {printable(name)} is here, {printable(other)} is not")
        given = numbers[other]
        if kind == "x" and given.shape == (len(images), 1):
            if (given != 1).any():
                raise FormatError(f"{path}: {printable(other)} is not one-hot")
            labels, width = np.zeros(len(images), np.int64), 1  # the only class
        else:
            labels, width = _named.numbers(given, len(images), f"{path}: {printable(other)}")
        splits[split] = Split(images, labels)
        widths.append(width)
    known = {f"{split}_{kind}" for split in splits for pair in _LABELS.items() for kind in pair}
    if not splits or numbers.keys() - known:
        left = _named.shown(sorted(numbers.keys() - known))
        raise FormatError(f"{path}: expected train_x and train_y, found {left}")
    return _Content(splits, classes, max(widths))


def _per_class(path: Path, numbers: dict[str, Array]) -> _Content:
    """mnist_all.mat of S. Roweis: train0 to train9 and test0 to test9, a row a picture."""
    parts: dict[str, list[Split]] = {}
    for name in sorted(numbers, key=lambda name: (len(name), name)):
        match = _PER_CLASS.fullmatch(name)
        if match:
            images = _named.pictures(numbers[name], f"{path}: {name}")
            labels = np.full(len(images), int(match[2]), np.int64)
            parts.setdefault(match[1], []).append(Split(images, labels))
    shapes = {part.shape for found in parts.values() for part in found}
    if len(shapes) > 1:
        raise FormatError(f"{path}: pictures of several shapes: {sorted(shapes)}")
    return _Content({name: concatenate(found) for name, found in parts.items()})


def _pair(
    path: Path, kinds: dict[str, str], numbers: dict[str, Array], columns: bool
) -> tuple[Images, npt.NDArray[np.int64], int]:
    """Pictures (N, ...), labels and the width of one-hot labels, of a pair of variables.

    `columns`: a column a picture, where numbers alone cannot tell.
    """
    images, labels = numbers[kinds["images"]], numbers[kinds["labels"]]
    where = f"{path}: {printable(kinds['images'])}"
    ends = (images.shape[0], images.shape[-1])
    if 1 in labels.shape:
        count = labels.size
    elif labels.ndim == 2 and labels.shape[0] == labels.shape[1]:
        count = len(labels)
        labels = _square(labels, images, f"{path}: {printable(kinds['labels'])}")
    else:
        labels = labels if labels.shape[0] in ends else labels.T
        count = labels.shape[0]
    if count not in ends:
        raise FormatError(f"{where}: shape {images.shape} does not fit {count:,} labels")
    if ends == (count, count) and not columns:
        raise FormatError(
            f"{where}: shape {images.shape} does not show which axis the pictures are"
        )
    if ends[0] != count or columns:
        images = np.moveaxis(images, -1, 0)
    found, width = _named.numbers(labels, count, f"{path}: {printable(kinds['labels'])}")
    return _named.pictures(images, where), found, width


def _square(labels: Array, images: Array, where: str) -> Array:
    """One-hot labels of as many examples as classes, a row an example.

    Where they are one-hot along both axes and differ, they lie as rows or columns of pictures do.
    """
    hot = [
        side
        for side in (labels, labels.T)
        if ((side == 1).sum(1) == (side != 0).sum(1)).all() and ((side == 1).sum(1) == 1).all()
    ]
    if len(hot) < 2 or np.array_equal(hot[0], hot[1]):
        return hot[0] if hot else labels
    if images.ndim != 2:
        raise FormatError(
            f"{where}: shape {labels.shape} does not show which axis the examples are; store the "
            "labels as one number an example"
        )
    return labels if images.shape[0] == len(labels) else labels.T


def _mapped(labels: npt.NDArray[np.int64], mapping: Array, where: str) -> npt.NDArray[np.int64]:
    """The rows of EMNIST's mapping that the labels are in."""
    known, _ = _named.numbers(mapping[:, 0], len(mapping), f"{where}, by dataset.mapping")
    order = np.argsort(known, kind="stable")
    at = np.searchsorted(known[order], labels)
    if not len(known) or (at == len(known)).any() or (known[order][at] != labels).any():
        raise FormatError(f"{where}: holds labels that dataset.mapping does not have")
    return order[at].astype(np.int64)


def _mapping_names(path: Path, mapping: Array) -> tuple[str, ...]:
    """Characters of EMNIST's mapping: its last column, which has the small letter of a pair."""
    codes, _ = _named.numbers(mapping[:, -1], len(mapping), f"{path}: dataset.mapping")
    if mapping.shape[1] < 2 or (codes < 32).any() or (codes > 0xD7FF).any():
        raise FormatError(f"{path}: dataset.mapping of shape {mapping.shape} holds no characters")
    return tuple(map(chr, codes.tolist()))


def _is_svhn(labels: npt.NDArray[np.int64]) -> bool:
    return bool(len(labels)) and labels.min() >= 1 and labels.max() == 10


def _published_split(path: Path, whole: Split, progress: Progress) -> dict[str, Split]:
    """mnist-original.mat has 70,000 pictures, of which the first 60,000 are for training."""
    cut = _MLDATA[1]
    progress.note(f"{path.name}: the first {cut:,} are train, the others test, as published")
    return {
        "train": Split(whole.images[:cut], whole.labels[:cut]),
        "test": Split(whole.images[cut:], whole.labels[cut:]),
    }


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    layout: Layout = "rows",
    level: int = 6,
) -> None:
    """Write the file; `level` is zlib's, 0 (stored) to 9 (small).

    Raises UnsupportedError for a variable of 2 GB or more.
    """
    check_level(level)
    row = max(math.prod(dataset.shape), len(dataset.classes) if layout == "rows" else 4)
    for name, split in dataset.splits.items():
        if len(split) * row > _mat5.LIMIT:
            raise UnsupportedError(
                f"a MAT-file of level 5 holds less than 2 GB in a variable; {name} needs "
                f"{len(split) * row:,} bytes"
            )
    with path.open("xb") as file:
        file.write(_mat5.HEADER)
        for name, split in dataset.splits.items():
            progress.start(f"write {name}", len(split), "examples")
            count, shape = len(split), split.shape
            classes = len(dataset.classes)
            if layout == "rows":
                pixels, hot = partial(_rows, split, progress), partial(_hot, split, classes)
                size = math.prod(shape)
                _mat5.numbers(file, f"{name}_x", (count, size), "u1", pixels, level)
                _mat5.numbers(file, f"{name}_y", (count, classes), "u1", hot, level)
            else:
                pixels, kind = partial(_columns, split, progress), idx_label_type(classes)[-2:]
                labels = split.labels.astype(f"<{kind}").view(np.uint8)
                _mat5.numbers(file, f"{name}_images", (*shape, count), "u1", pixels, level)
                _mat5.numbers(
                    file, f"{name}_labels", (count, 1), kind, partial(iter, [labels]), level
                )
        sizes = np.array(dataset.shape, "<f8").view(np.uint8)
        _mat5.numbers(file, "shape", (1, len(dataset.shape)), "f8", partial(iter, [sizes]), level)
        if _named.named_classes(dataset):
            _mat5.texts(file, _named.CLASSES, dataset.classes, level)


def _rows(split: Split, progress: Progress) -> Iterator[Images]:
    """Rows of pixels in column-major order: the first pixel of every picture, the second, ..."""
    planes = empty_images((math.prod(split.shape), len(split)))
    at = 0
    for images, _ in split.chunks():
        planes[:, at : at + len(images)] = images.reshape(len(images), -1).T
        release(planes)
        at += len(images)
        progress.advance(len(images))
    step = max(1, (1 << 20) // max(1, len(split)))
    for start in range(0, len(planes), step):
        yield planes[start : start + step]
        release(planes[start : start + step])


def _hot(split: Split, classes: int) -> Iterator[Images]:
    for label in range(classes):
        yield (split.labels == label).view(np.uint8)


def _columns(split: Split, progress: Progress) -> Iterator[Images]:
    """Pictures in column-major order, one after the other."""
    for images, _ in split.chunks():
        yield images.transpose(0, *reversed(range(1, images.ndim)))
        progress.advance(len(images))


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The split and the numbers of examples in it."""
    return [f"{path}, {split}[{index}]" for index in indices]
