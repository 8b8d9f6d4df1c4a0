"""The pickle of the deep learning tutorials (mnist.pkl.gz): floats in three splits, in gzip.

    gzip of a pickle of ((train_x, train_y), (valid_x, valid_y), (test_x, test_y))
    x   float32 (N, height * width), value = byte / 256, so at most 0.99609375
    y   int64 (N,)

As LISA (University of Montreal) published it: the last 10,000 of MNIST's 60,000 training digits are
`valid`. Written as Python 2 wrote it (protocol 2, numpy.core), which every Python and NumPy reads:
pickle.load(file, encoding="latin1"). A set without `valid` gets the last sixth of `train` as one.
Pictures that are not square grey keep their shape: x is then (N, H, W) or (N, H, W, C). There is no
place for class names. Reading runs nothing but the rebuilding of arrays, accepts protocols 0 to 5,
bare or compressed, and values in 256ths, 255ths or bytes; pairs or arrays in a row, and a dict of
arrays (training_images, train_img, x_train, ...), too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images
from mnistprep._progress import Progress, quiet
from mnistprep._streams import Inflater, check_level, inflated_head, write_gzip
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split, default_classes, idx_label_type
from mnistprep.errors import FormatError, UnsupportedError
from mnistprep.formats import _named, _nested, _pickle

_BARE = (".pkl", ".pickle")  # endings that promise a pickle without gzip
SUFFIXES: tuple[str, ...] = (".pkl.gz", *_BARE)
DEFAULT_OUTPUT = "{name}.pkl.gz"
NEEDS: tuple[str, ...] = ()
_NAMES = ("train", "valid", "test")
_LIMIT = 2**31 - 1  # bytes in a string of a Python 2 pickle


def sniff(path: Path) -> bool:
    """Whether `path` is a pickle, bare or in gzip."""
    return _pickle.is_pickle(inflated_head(path, 64))


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Read the pickle; raises FormatError when it is not one of three splits of pictures."""
    progress.start("read the pickle", None, "examples")
    with Inflater(path) as stream:
        content = _pickle.load(stream)
    if isinstance(content, dict):
        return _from_table(path, content, progress)
    parts = list(content) if isinstance(content, (tuple, list)) else []
    if len(parts) in (2, 4, 6) and all(isinstance(part, _pickle.Array) for part in parts):
        arrays = parts
        named = list((_nested.flat(arrays, "train", _axes) or {}).values())
        parts = list(zip(named[::2], named[1::2], strict=True))
        if not parts:
            raise FormatError(f"{path}: {len(arrays)} arrays that are not x, y for each split")
    elif not 2 <= len(parts) <= 3:
        raise FormatError(f"{path}: not ((x, y), (x, y), (x, y)) for train, valid and test")
    names = {1: ("train",), 2: ("train", "test")}.get(len(parts), _NAMES)
    splits, widths = {}, []
    for name, pair in zip(names, parts, strict=True):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise FormatError(f"{path}: {name} is not a pair (x, y)")
        x, y = (part.values if isinstance(part, _pickle.Array) else None for part in pair)
        if x is None or y is None:
            raise FormatError(f"{path}: {name} is not a pair of arrays")
        if not x.ndim:
            raise FormatError(f"{path}: {name}: x is a single number, not (N, height * width)")
        if len(x) or y.size:  # an absent split is written as one without examples
            labels, width = _labels(y, f"{path}: {name}")
            widths.append(width)
            splits[name] = Split(_pictures(x, f"{path}: {name}"), labels)
            progress.advance(len(x))
    if not splits:
        raise FormatError(f"{path}: it holds no pictures")
    _named.note_shape(splits, path, progress)
    return Dataset(path.name, splits, _named.of_classes(None, splits, widths, path))


def _from_table(path: Path, content: dict[object, object], progress: Progress) -> Dataset:
    """The dataset of a pickled dict of arrays: train_img, train_label, training_images, ..."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in (_nested.flat(content, "train", _axes) or {}).items():
        if isinstance(value, list) and _nested.are_numbers(value):
            values: npt.NDArray[np.generic] | None = np.array(value, np.int64)
        else:
            values = value.values if isinstance(value, _pickle.Array) else None
        if values is None:
            raise FormatError(f"{path}: {printable(name, 80)!r} in it is not an array of numbers")
        means = _named.meaning(name)
        arrays[name] = _one_hot(values) if means and means.role == "labels" else values
    dataset = _named.dataset(str(path), path.name, arrays, None, progress=progress)
    progress.advance(len(dataset))
    return dataset


def _axes(value: object) -> int | None:
    """The axes of an array, or of a list of numbers; None for anything else."""
    if value and _nested.are_numbers(value):
        return 1
    if isinstance(value, _pickle.Array) and value.values is not None:
        return int(value.values.ndim)
    return None


def _one_hot(values: _named.Array) -> _named.Array:
    """One-hot labels as 0 and 1: the reader takes floats for pictures, and 1.0 for white."""
    white = values == 255
    if values.ndim == 2 and (white | (values == 0)).all() and (white.sum(axis=1) == 1).all():
        hot: _named.Array = white.astype(np.uint8)
        return hot
    return values


def _pictures(values: npt.NDArray[np.generic], where: str) -> Images:
    shape = values.shape
    if values.ndim == 2:
        side = math.isqrt(shape[1])
        if side * side != shape[1]:
            raise FormatError(f"{where}: {shape[1]} values a picture are not a square")
        shape = (shape[0], side, side)
    if len(shape) not in (3, 4) or 0 in shape:
        raise FormatError(f"{where}: x has the shape {values.shape}, not (N, height * width)")
    return values.reshape(shape).astype(np.uint8, copy=False)


def _labels(values: _named.Array, where: str) -> tuple[npt.NDArray[np.int64], int]:
    """Labels, and how many classes they are said to be of, as `_named.numbers` gives them."""
    if values.ndim == 2:
        return _named.numbers(_one_hot(values), len(values), f"{where}: y")
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise FormatError(
            f"{where}: y must be one integer an example, not {values.dtype} of shape {values.shape}"
        )
    return values.astype(np.int64), 0


def write(dataset: Dataset, path: Path, *, progress: Progress = quiet, level: int = 4) -> None:
    """Write the pickle; `level` is zlib's, 0 (stored) to 9 (small); .pkl and .pickle get no gzip.

    Raises UnsupportedError for what the pickle cannot hold: an empty split beside others, labels
    whose number of classes would be lost, 2 GiB or more in an array.
    """
    check_level(level)
    splits = _three(dataset, progress)
    names = default_classes(split.labels for split in splits if split is not None)
    if idx_label_type(len(names)) != idx_label_type(len(dataset.classes)):
        raise UnsupportedError("a pickle cannot say how many classes there are beyond the labels")
    if names != dataset.classes:
        progress.note(
            f"a pickle has no place for class names: they come back as 0 to {len(names) - 1}"
        )
    width = int(np.prod(dataset.shape))
    square = len(dataset.shape) == 2 and dataset.shape[0] == dataset.shape[1]
    shape = (width,) if square else dataset.shape
    arrays: list[tuple[Iterator[bytes], str, tuple[int, ...]]] = []
    for split in splits:
        count = 0 if split is None else len(split)
        if 4 * count * width > _LIMIT or 8 * count > _LIMIT:
            raise UnsupportedError(
                "a pickle as Python 2 wrote it holds less than 2 GiB in an array"
            )
        arrays.append((_scaled(split, progress), "f4", (count, *shape)))
        arrays.append((_numbers(split), "i8", (count,)))
    progress.start("write the pickle", len(dataset), "examples")
    if path.suffix in _BARE:
        with path.open("xb") as file:
            file.writelines(_pickle.dump(arrays))
    else:
        write_gzip(path, _pickle.dump(arrays), level=level)


def _three(dataset: Dataset, progress: Progress) -> list[Split | None]:
    for name, split in dataset.splits.items():
        if not len(split):
            raise UnsupportedError(f"a pickle cannot tell an empty {name} split from a missing one")
    train, valid = dataset.splits.get("train"), dataset.splits.get("valid")
    if train is not None and valid is None:
        rest = len(train) - len(train) // 6
        if rest < len(train):
            progress.note(f"the pickle's `valid` is the last {len(train) - rest:,} of train")
        valid = Split(train.images[rest:], train.labels[rest:])
        train = Split(train.images[:rest], train.labels[:rest])
    return [train, valid, dataset.splits.get("test")]


def _scaled(split: Split | None, progress: Progress) -> Iterator[bytes]:
    for images, _ in split.chunks(1024) if split is not None else ():
        values = np.multiply(images, np.float32(1 / 256), dtype=np.float32)  # exactly
        yield values.astype("<f4", copy=False).tobytes()
        progress.advance(len(images))


def _numbers(split: Split | None) -> Iterator[bytes]:
    if split is not None:
        yield split.labels.astype("<i8").tobytes()


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The arrays of examples and their rows there."""
    return [f"{path}, {split} x[{index}], y[{index}]" for index in indices]
