"""Tree of PNGs in a folder per class; what torchvision's ImageFolder and Hugging Face read.

    <out>/train/<class>/<16 hex>.png    8-bit, one channel (three for colour sets)
    <out>/test/<class>/<16 hex>.png
    <out>/index.txt                     a line per picture, its path, in the order of the set
    <out>/mnistprep.json                class names and picture shape

A class folder is the label number, zero-padded beyond ten classes, since readers sort folders as
text; every class has one in every split, since ImageFolder counts folders (one that is empty needs
its allow_empty=True). A name is the first 16 digits of the SHA-256 of height, width (and channels),
each a uint32 big-endian, and the pixels; a picture that is there already gets the SHA-256 of the
same and a counter, so that no two files of a set share a name. Without the index a tree still
reads, ordered by label and name. Pictures in other formats, and grey ones stored as RGB(A), are
read; colour without a sidecar, several sizes, and links are refused with the file's name.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep import _png, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.formats import _sidecar, _tree

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_images"
INDEX = "index.txt"
_STEP = 1000  # pictures


def sniff(path: Path) -> bool:
    """Whether `path` is a folder of class folders with pictures, bare or under split folders."""
    return path.is_dir() and _tree.is_tree(path)


def read(path: Path, *, progress: Progress = quiet, workers: int | None = None) -> Dataset:
    """Read the tree; raises FormatError with the file that is wrong."""
    sidecar = _sidecar.find(path)
    tree = _tree.walk(path, sidecar.classes if sidecar else None)
    for message in tree.ignored:
        progress.note(message)
    order = _tree.indexed(path / INDEX, tree)
    splits = {}
    shape = sidecar.shape if sidecar else None
    for name, files in order.items():
        labels = np.array([tree.labels[name][os.path.dirname(file)] for file in files], np.int64)
        progress.start(f"read {name}", len(files), "examples")
        shape = shape or _tree.load(path / files[0]).shape
        images = empty_images((len(files), *shape), shared=True)
        for count in _workers.run(
            lambda start, stop, f=files, i=images: _fill(path, f, i, start, stop),  # type: ignore[misc]
            len(files),
            size=_STEP,
            workers=workers,
        ):
            progress.advance(count)
        splits[name] = Split(images, labels)
    return Dataset(path.name, splits, tree.classes)


def _fill(path: Path, files: list[str], images: Images, start: int, stop: int) -> int:
    shape, root = images.shape[1:], f"{path}{os.sep}"
    for k in range(start, stop):
        with open(root + files[k], "rb", buffering=0) as file:
            data = file.read()
        picture = _png.decode_plain(data, shape)
        if picture is None:
            picture = _tree.fit(_png.decode(data, root + files[k]), shape, root + files[k])
        images[k] = picture
    release(images[start:stop])
    return stop - start


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    level: int = 6,
) -> None:
    """Write the tree; `level` is zlib's, 0 (stored) to 9 (small)."""
    if not 0 <= level <= 9:
        raise UsageError(f"level must be 0 to 9, not {level}")
    if len(dataset.shape) == 3 and dataset.shape[2] != 3:
        raise UnsupportedError(f"PNG holds one or three channels, not {dataset.shape[2]}")
    names = _names(dataset, workers)
    width = len(str(len(dataset.classes) - 1))
    path.mkdir()
    with (path / INDEX).open("x", encoding="ascii", newline="\n") as index:
        for name, split in dataset.splits.items():
            files = [
                f"{name}/{label:0{width}}/{code:016x}.png"
                for label, code in zip(split.labels.tolist(), names[name].tolist(), strict=True)
            ]
            for label in range(len(dataset.classes)):
                (path / name / f"{label:0{width}}").mkdir(parents=True)
            empty = np.setdiff1d(np.arange(len(dataset.classes)), split.labels)
            if len(empty):
                listed = ", ".join(f"{label:0{width}}" for label in empty[:5])
                progress.note(
                    f"{name}: no pictures in {listed}; ImageFolder needs allow_empty=True"
                )
            progress.start(f"write {name}", len(files), "examples")
            for count in _workers.run(
                lambda start, stop, s=split, f=files: _save(path, s, f, start, stop, level),  # type: ignore[misc]
                len(files),
                size=_STEP,
                workers=workers,
            ):
                progress.advance(count)
            index.writelines(f"{file}\n" for file in files)
    _sidecar.write(dataset, path)


def _save(path: Path, split: Split, files: list[str], start: int, stop: int, level: int) -> int:
    root = f"{path}{os.sep}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    pictures = _png.encode(split.images[start:stop], level=level)
    for file, data in zip(files[start:stop], pictures, strict=True):
        descriptor = os.open(root + file, flags, 0o666)
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(28, os.strerror(28), root + file)  # ENOSPC: the disk took a part
        finally:
            os.close(descriptor)
    release(split.images[start:stop])
    return stop - start


def _names(dataset: Dataset, workers: int | None) -> dict[str, npt.NDArray[np.uint64]]:
    """The 64-bit name of every picture; no two of the dataset are the same."""
    names = {
        name: np.concatenate(
            [
                np.empty(0, np.uint64),
                *_workers.run(
                    lambda start, stop, s=split: _hashes(s.images[start:stop]),  # type: ignore[misc]
                    len(split),
                    size=16 * _STEP,
                    workers=workers,
                ),
            ]
        )
        for name, split in dataset.splits.items()
    }
    together = np.concatenate(list(names.values()))
    unique, first = np.unique(together, return_index=True)
    again = np.ones(len(together), bool)
    again[first] = False
    if again.any():
        taken, offset = set(unique.tolist()), 0
        for name, split in dataset.splits.items():
            for k in np.flatnonzero(again[offset : offset + len(split)]):
                names[name][k] = _next_name(split.images[k], taken)
            offset += len(split)
    return names


def _hashes(images: Images) -> npt.NDArray[np.uint64]:
    sizes = struct.pack(f">{images.ndim - 1}I", *images.shape[1:])
    width = images[0].size
    data = images.reshape(-1).data
    starts = range(0, len(data), width)
    digests = [hashlib.sha256(sizes + data[k : k + width]).digest()[:8] for k in starts]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _next_name(image: Images, taken: set[int]) -> int:
    content = struct.pack(f">{image.ndim}I", *image.shape) + image.tobytes()
    counter = 1
    while True:
        digest = hashlib.sha256(content + struct.pack(">I", counter)).digest()
        name = int.from_bytes(digest[:8], "big")
        if name not in taken:
            taken.add(name)
            return name
        counter += 1


def place(path: Path, split: str, index: int) -> str:
    """The file of an example."""
    sidecar = _sidecar.find(path)
    tree = _tree.walk(path, sidecar.classes if sidecar else None)
    return str(path / _tree.indexed(path / INDEX, tree)[split][index])
