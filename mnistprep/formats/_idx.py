"""IDX files found in a folder, read and written; what `idx` and `idx-gz` share.

Layout, big-endian: 00 00 <type> <dimensions>, a uint32 size per dimension, then the values in C
order. Source: "The IDX file format" on the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, map_bytes, release
from mnistprep._progress import Progress
from mnistprep._streams import Inflater, inflated_head, is_packed
from mnistprep.dataset import CHUNK, Dataset, Split, idx_header, idx_label_type
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PREFIXES = {"train": "train", "test": "t10k"}
_FOLDERS = ("", "raw", "MNIST/raw", "*/raw")
_NAMES = (("train", "train"), ("t10k", "test"), ("test", "test"), ("val", "valid"))
_STEP = 8 << 20


@dataclass(frozen=True)
class Pair:
    """The image file and the label file of one split."""

    images: Path
    labels: Path

    @property
    def compressed(self) -> bool:
        """Whether either file is compressed, by content."""
        return any(is_packed(path) for path in (self.images, self.labels))


def find(path: Path) -> tuple[Path, dict[str, Pair]]:
    """The folder that holds IDX files, and the pair of each split in it; {} when there are none.

    `path` is a file of the pair, or a folder with the files in it, in raw/ or in MNIST/raw/. Files
    are recognised by their first bytes; their names only say which split they belong to. Where a
    file is there plain and as gzip, the plain one counts.
    """
    if path.is_file():
        pairs = _pairs(path.parent)
        return path.parent, {k: v for k, v in pairs.items() if path in (v.images, v.labels)}
    for pattern in _FOLDERS:
        for folder in sorted(path.glob(pattern)) if pattern else [path]:
            if folder.is_dir() and (pairs := _pairs(folder)):
                return folder, pairs
    return path, {}


def compressed(path: Path) -> bool | None:
    """Whether any IDX file at `path` is gzip; None without IDX files, False for unpaired ones."""
    try:
        _, pairs = find(path)
    except FormatError:
        return False  # IDX files, but not whole pairs: reading them says what is wrong
    return any(pair.compressed for pair in pairs.values()) if pairs else None


def _pairs(folder: Path) -> dict[str, Pair]:
    found: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        role = None if path.name.startswith(".") else _role(path)
        if role:
            split = next((name for part, name in _NAMES if part in path.name.lower()), "train")
            stem = re.sub(r"[.-]", "-", re.sub(r"\.(gz|bz2|xz)$", "", path.name.lower()))
            same = found.setdefault((split, role), {})
            if stem not in same or not is_packed(path):
                same[stem] = path
    pairs = {}
    for split in ("train", "valid", "test"):
        images, labels = found.get((split, "images"), {}), found.get((split, "labels"), {})
        for kind, paths in (("image", images), ("label", labels)):
            if len(paths) > 1:
                names = ", ".join(path.name for path in paths.values())
                raise FormatError(f"{folder}: several {kind} files for {split}: {names}; keep one")
        if images and not labels:
            raise FormatError(f"{next(iter(images.values()))}: its label file is missing")
        if labels and not images:
            raise FormatError(f"{next(iter(labels.values()))}: its image file is missing")
        if images:
            pairs[split] = Pair(next(iter(images.values())), next(iter(labels.values())))
    return pairs


def _role(path: Path) -> str | None:
    start = inflated_head(path, 4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
        return None
    return {1: "labels", 2: "labels", 3: "images", 4: "images"}.get(start[3])


def read(path: Path, progress: Progress) -> Dataset:
    """The dataset of the IDX files at `path`; raises FormatError when they are not right."""
    folder, pairs = find(path)
    if not pairs:
        raise FormatError(f"{path}: no IDX files here (nothing starts with 00 00 08 03)")
    splits = {}
    for name, pair in pairs.items():
        progress.start(f"read {name}", None, "examples")
        images, labels = _images(pair.images), _labels(pair.labels)
        if len(images) != len(labels):
            raise FormatError(
                f"{pair.images} holds {len(images):,} pictures, "
                f"but {pair.labels.name} holds {len(labels):,} labels"
            )
        splits[name] = Split(images, labels)
        progress.advance(len(images))
    sidecar = next(filter(None, map(_sidecar.find, (path, *_tops(folder)))), None)
    return Dataset(path.name, splits, _sidecar.classes(sidecar, splits, path))


def _tops(folder: Path) -> list[Path]:
    return [folder, folder.parent, folder.parent.parent] if folder.name == "raw" else [folder]


def _images(path: Path) -> Images:
    with Inflater(path) as stream:
        code, sizes = _header(stream)
        if code != 0x08 or len(sizes) not in (3, 4):
            raise FormatError(f"{path}: pictures must be unsigned bytes, not type {code:#04x}")
        if not 0 < math.prod(sizes[1:]) < _sidecar.PICTURE_LIMIT:
            raise FormatError(f"{path}: no pictures are {'x'.join(map(str, sizes[1:]))} pixels")
        start = 4 + 4 * len(sizes)
        if not is_packed(path):
            _check_size(path, start + int(np.prod(sizes, dtype=object)), path.stat().st_size)
            return map_bytes(path)[start:].reshape(sizes)
        _check_limit(stream, int(np.prod(sizes, dtype=object)))
        images = empty_images(sizes)
        _read_all(stream, images.reshape(-1).data, start)
        return images


def _labels(path: Path) -> npt.NDArray[np.int64]:
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
    # A table has a row an example (QMNIST: eight columns), and the class in column 0.
    labels = (values[:, 0] if values.ndim == 2 else values).astype(np.int64)
    if len(labels) and labels.min() < 0:
        at = int(labels.argmin())
        raise FormatError(f"{path}: label {at} is {labels[at]}; labels start at 0")
    return labels


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


def files(dataset: Dataset) -> Iterator[tuple[str, Iterable[bytes | memoryview], int]]:
    """The (name, content in chunks, number of examples) of every IDX file of `dataset`."""
    label_type = idx_label_type(len(dataset.classes))
    for name, split in dataset.splits.items():
        depth, kind = len(dataset.shape) + 1, "ubyte" if label_type == "u1" else "int"
        yield f"{PREFIXES[name]}-images-idx{depth}-ubyte", _image_bytes(split), len(split)
        yield f"{PREFIXES[name]}-labels-idx1-{kind}", _label_bytes(split, label_type), len(split)


def _image_bytes(split: Split) -> Iterator[bytes | memoryview]:
    yield idx_header(0x08, (len(split), *split.shape))
    for images, _ in split.chunks():
        yield images.reshape(-1).data


def _label_bytes(split: Split, label_type: str) -> Iterator[bytes | memoryview]:
    yield idx_header(0x08 if label_type == "u1" else 0x0C, (len(split),))
    for start in range(0, len(split), CHUNK):
        yield split.labels[start : start + CHUNK].astype(label_type).tobytes()


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of a split, and the examples in them."""
    _, pairs = find(path)
    files = f"{pairs[split].images} and {pairs[split].labels.name}"
    return [f"{files}, example {index} (counted from 0)" for index in indices]
