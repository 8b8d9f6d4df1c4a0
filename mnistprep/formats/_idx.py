"""IDX files read and written; what `idx` and `idx-gz` share.

Layout, big-endian: 00 00 <type> <dimensions>, a uint32 size per dimension, then the values in C
order. Source: "The IDX file format" on the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mnistprep import _limits
from mnistprep._arrays import Images, empty_images, map_bytes, release
from mnistprep._progress import Progress
from mnistprep._stored import STORED, Stored
from mnistprep._streams import Inflater, is_packed
from mnistprep.dataset import CHUNK, Dataset, Split, idx_header, idx_label_type
from mnistprep.errors import FormatError
from mnistprep.formats import _named, _sidecar
from mnistprep.formats._idx_files import TYPES, Found, Pair, compressed, find

__all__ = ["Orientation", "check_note", "compressed", "files", "places", "read", "record", "tables"]

Orientation = Literal["upright", "stored"]
_MNIST = {"train": "train", "test": "t10k"}
_QMNIST = 8  # columns
_STEP = 8 << 20


def read(path: Path, progress: Progress, orientation: Orientation, name: str) -> Dataset:
    """The dataset of the IDX files at `path`; raises FormatError when they are not right.

    Published files that hold pictures transposed or labels from another number than 0 are read
    upright and from 0, or with orientation="stored" as they are. name: which of several datasets.
    """
    found = find(path, name)
    if not found.pairs:
        raise FormatError(f"{path}: no IDX files here (nothing starts with 00 00 08 03)")
    published = STORED.get(found.published, Stored())
    quirks = published if orientation == "upright" else Stored()
    sidecar = next(filter(None, map(_sidecar.find, (path, *_tops(found.folder)))), None)
    told, splits, widths = sidecar.shape if sidecar else None, {}, []
    for split, pair in found.pairs.items():
        progress.start(f"read {split}", None, "examples")
        images, table = _images(pair.images, quirks.transposed, told), _table(pair.labels)
        if len(images) != len(table):
            raise FormatError(
                f"{pair.images} holds {len(images):,} pictures, "
                f"but {pair.labels.name} holds {len(table):,} labels"
            )
        labels, width = _labels(table, pair.labels, published.columns)
        widths.append(width)
        splits[split] = Split(images, _from_zero(labels, pair.labels, found, quirks.first_label))
        progress.advance(len(images))
    classes = sidecar.classes if sidecar else published.classes
    if told is None:
        _named.note_shape(splits, path, progress)
    stays = published.transposed and orientation == "stored"
    if stays and classes:
        classes = (*(("N/A",) * published.first_label), *classes)  # as torchvision names them
    elif published.transposed:
        progress.note(_undone(found, published))
    if not classes:
        classes = _named.of_classes(sidecar.classes if sidecar else None, splits, widths, path)
    # What stays as stored must not be taken for the dataset by those who know how it is stored.
    title = found.published + "-stored" * stays
    return Dataset(title or path.name, splits, classes)


def _undone(found: Found, published: Stored) -> str:
    labels = f", labels from {published.first_label}" if published.first_label else ""
    return (
        f"{found.published} is stored with the rows and columns of pictures swapped{labels}: read "
        f"upright{' and from 0' if labels else ''} (-R orientation=stored reads it as it is)"
    )


def tables(path: Path, name: str = "auto") -> dict[str, npt.NDArray[np.int64]]:
    """All columns of the label files at `path` by split, (N, columns), as they are in the files."""
    found = find(path, name)
    if not found.pairs:
        raise FormatError(f"{path}: no IDX files here (nothing starts with 00 00 08 03)")
    return {
        split: _table(pair.labels).astype(np.int64, order="C")
        for split, pair in found.pairs.items()
    }


def _tops(folder: Path) -> list[Path]:
    return [folder, folder.parent, folder.parent.parent] if folder.name == "raw" else [folder]


def _images(path: Path, transposed: bool, told: tuple[int, ...] | None) -> Images:
    """The pictures of a file; channels come last unless `told`, the shape of one, has them so."""
    with Inflater(path) as stream:
        code, sizes = _header(stream)
        if code != 0x08 or len(sizes) not in (3, 4):
            raise FormatError(f"{path}: pictures must be unsigned bytes, not type {code:#04x}")
        if not 0 < math.prod(sizes[1:]) < _sidecar.PICTURE_LIMIT:
            raise FormatError(f"{path}: no pictures are {'x'.join(map(str, sizes[1:]))} pixels")
        start = 4 + 4 * len(sizes)
        if not is_packed(path):
            _check_size(path, start + int(np.prod(sizes, dtype=object)), path.stat().st_size)
            images = map_bytes(path)[start:].reshape(sizes)
        else:
            _check_limit(stream, int(np.prod(sizes, dtype=object)))
            images = empty_images(sizes)
            _read_all(stream, images.reshape(-1).data, start)
    if _named.channels_first(sizes) and sizes[1:] != told:
        return _named.pictures(images, str(path))
    return _swapped(images) if transposed else images


def _swapped(images: Images) -> Images:
    """A copy with the rows and columns of every picture swapped."""
    count, height, width, *channels = images.shape
    upright = empty_images((count, width, height, *channels))
    for start in range(0, count, CHUNK):
        upright[start : start + CHUNK] = images[start : start + CHUNK].swapaxes(1, 2)
        release(images[start : start + CHUNK])
        release(upright[start : start + CHUNK])
    return upright


def _labels(table: npt.NDArray[Any], path: Path, columns: int) -> tuple[npt.NDArray[Any], int]:
    """The classes of a label table, and how many there are said to be (0: nobody says).

    A table of QMNIST (published with so many `columns`, or eight of int32 that are not one-hot)
    has the class in column 0; others must be one-hot.
    """
    count, width = table.shape
    eight = width == _QMNIST and table.dtype.itemsize == 4 and table.max(initial=0) > 1
    if width > 1 and count and width != columns and not eight:
        return _named.numbers(table, count, str(path))
    labels = table[:, 0]
    if count and labels.min() < 0:
        at = int(labels.argmin())
        raise FormatError(f"{path}: label {at} is {labels[at]}; labels start at 0")
    return labels, 0


def _from_zero(labels: npt.NDArray[Any], path: Path, found: Found, first: int) -> npt.NDArray[Any]:
    if len(labels) and labels.min() < first:
        at = int(labels.argmin())
        raise FormatError(
            f"{path}: label {at} is {labels[at]}, where those of {found.published} start at "
            f"{first}; if they are right, -R orientation=stored reads the files as they are"
        )
    return labels - first if first else labels


def _table(path: Path) -> npt.NDArray[Any]:
    with Inflater(path) as stream:
        code, sizes = _header(stream)
        if len(sizes) not in (1, 2) or TYPES[code][-2] == "f":
            raise FormatError(f"{path}: labels must be one integer an example, or a table of them")
        if 0 in sizes[1:]:
            raise FormatError(f"{path}: a label table without columns: {sizes}")
        dtype = np.dtype(TYPES[code])
        _check_limit(stream, int(np.prod(sizes, dtype=object)) * dtype.itemsize)
        values = np.empty(sizes, dtype)
        _read_all(stream, values.reshape(-1).view(np.uint8).data, 4 + 4 * len(sizes))
    return values.reshape(len(values), math.prod(sizes[1:]))


def _header(stream: Inflater) -> tuple[int, tuple[int, ...]]:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= 4:
        raise FormatError(f"{stream.path}: not an IDX file (it starts with {start.hex(' ')!r})")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise FormatError(f"{stream.path}: the IDX header ends early")
    return start[2], struct.unpack(f">{start[3]}I", sizes)


def _check_limit(stream: Inflater, size: int) -> None:
    if size > stream.limit:
        raise FormatError(
            f"{stream.path}: the header promises {size:,} bytes, "
            f"a file of {stream.size:,} bytes cannot hold them; it is truncated or damaged"
            f"{f', or, {_limits.RAISE}' if is_packed(stream.path) else ''}"
        )


def _check_size(path: Path, expected: int, found: int) -> None:
    if expected != found:
        what = "truncated: get it again" if found < expected else "followed by something else"
        raise FormatError(f"{path}: expected {expected:,} bytes, found {found:,}; it is {what}")


def _read_all(stream: Inflater, view: memoryview, start: int) -> None:
    got = 0
    while got < len(view):
        part = view[got : got + _STEP]
        step = stream.readinto(part)
        if step == 0:
            break
        release(np.frombuffer(part, np.uint8))
        got += step
    more = len(stream.read(1))
    _check_size(stream.path, start + len(view), start + got + more)


def check_note(dataset: Dataset, progress: Progress) -> Dataset:
    """The dataset as IDX can hold it: valid at the end of train, said where that changes it."""
    if "valid" in dataset.splits:
        progress.note("IDX has no place for `valid`: its examples are the last of `train`")
    return dataset.joined()


def layout(dataset: Dataset) -> Stored:
    """How the files of `dataset` are named and filled: as it is published, where they can be."""
    stored = STORED.get(dataset.name, Stored())
    fits = (
        len(dataset.shape) == 2
        and dataset.classes == stored.classes
        and set(dataset.joined().splits) <= set(stored.files)
    )
    return stored if fits or (stored.plain and not stored.files) else Stored()


def files(dataset: Dataset) -> Iterator[tuple[str, Iterable[bytes | memoryview], int]]:
    """The (name, content in chunks, number of examples) of every IDX file of `dataset`."""
    stored = layout(dataset)
    label_type = idx_label_type(len(dataset.classes) + stored.first_label)
    for split_name, split in dataset.splits.items():
        begin = (stored.files or _MNIST)[split_name]
        depth, kind = len(dataset.shape) + 1, "ubyte" if label_type == "u1" else "int"
        pixels = _image_bytes(split, stored.transposed)
        yield f"{begin}-images-idx{depth}-ubyte", pixels, len(split)
        if stored.columns:
            labels, ending = _table_bytes(split, stored.columns), "idx2-int"
        else:
            labels, ending = _label_bytes(split, label_type, stored.first_label), f"idx1-{kind}"
        yield f"{begin}-labels-{ending}", labels, len(split)


def record(dataset: Dataset, folder: Path) -> None:
    """Write the sidecar of `dataset`; it says how the files differ from what is read from them."""
    _sidecar.write(dataset, folder)
    stored = layout(dataset)
    if stored.plain:
        return
    path = folder / _sidecar.NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    content["stored"] = {
        "as": dataset.name,
        "transposed": stored.transposed,
        "first_label": stored.first_label,
        "label_columns": max(1, stored.columns),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _image_bytes(split: Split, transposed: bool) -> Iterator[bytes | memoryview]:
    height, width, *channels = split.shape
    shape = (width, height, *channels) if transposed else split.shape
    yield idx_header(0x08, (len(split), *shape))
    for images, _ in split.chunks():
        stored = np.ascontiguousarray(images.swapaxes(1, 2)) if transposed else images
        yield stored.reshape(-1).data


def _label_bytes(split: Split, label_type: str, first: int) -> Iterator[bytes | memoryview]:
    yield idx_header(0x08 if label_type == "u1" else 0x0C, (len(split),))
    for _, labels in split.chunks():
        yield (labels + first).astype(label_type).tobytes()


def _table_bytes(split: Split, columns: int) -> Iterator[bytes | memoryview]:
    yield idx_header(0x0C, (len(split), columns))
    for _, labels in split.chunks():
        table = np.zeros((len(labels), columns), ">i4")
        table[:, 0] = labels
        yield table.tobytes()


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of a split, and the examples in them."""
    pair: Pair = find(path).pairs[split]
    both = f"{pair.images} and {pair.labels.name}"
    return [f"{both}, example {index} (counted from 0)" for index in indices]
