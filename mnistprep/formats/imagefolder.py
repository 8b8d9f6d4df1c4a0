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
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep import _png, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import FormatError, TargetError, UnsupportedError
from mnistprep.formats import _sidecar, _tree

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_images"
NEEDS: tuple[str, ...] = ()
_STEP = 1000  # pictures
_NOTED = 5  # changed pictures that a note is given for
_TRIED = 1000  # names of equal pictures that are compared before a picture counts as changed


def sniff(path: Path) -> bool:
    """Whether `path` is a folder of class folders with pictures, bare or under split folders."""
    own = (path / _tree.INDEX).is_file() and (
        path / _sidecar.NAME
    ).is_file()  # perhaps without pictures
    return path.is_dir() and (own or _tree.is_tree(path))


def read(path: Path, *, progress: Progress = quiet, workers: int | None = None) -> Dataset:
    """Read the tree; raises FormatError with the file that is wrong.

    In a tree with sidecar and index the names are compared with the pixels too, and a note says
    which picture was changed, without anything to compare it with.
    """
    sidecar = _sidecar.find(path)
    tree = _tree.walk(path, sidecar.classes if sidecar else None)
    for message in tree.ignored:
        progress.note(message)
    order = _tree.indexed(path / _tree.INDEX, tree)
    first = next((file for files in order.values() for file in files), None)
    shape = sidecar.shape if sidecar else None
    if first is not None:  # before room is made for as many
        shape = _tree.load(path / first, shape).shape
    if not order or shape is None:
        raise FormatError(f"{path}: no pictures in class folders here")
    splits = {}
    for name, files in order.items():
        labels = np.array([tree.labels[name][os.path.dirname(file)] for file in files], np.int64)
        progress.start(f"read {name}", len(files), "examples")
        images = empty_images((len(files), *shape), shared=True)
        fill = partial(_fill, path, files, images)
        for done in _workers.run(fill, len(files), size=_STEP, workers=workers):
            progress.advance(done)
        splits[name] = Split(images, labels)
    dataset = Dataset(path.name, splits, tree.classes)
    if sidecar and (path / _tree.INDEX).is_file():
        for file in islice(_changed(dataset, order, _paths(dataset, workers)), _NOTED):
            progress.note(
                f"{path / file}: changed since it was written: its name is of other pixels"
            )
    return dataset


def _fill(path: Path, files: list[str], images: Images, start: int, stop: int) -> int:
    shape, root = images.shape[1:], f"{path}{os.sep}"
    lines = []
    for file in files[start:stop]:
        with open(root + file, "rb", buffering=0) as stream:
            data = stream.read()
        plain = _png.plain_lines(data, shape)
        if plain is None:
            picture = _tree.fit(_png.decode(data, root + file), shape, root + file)
            plain = _png.filtered(picture[np.newaxis]).tobytes()
        lines.append(plain)
    images[start:stop] = _png.unfiltered(b"".join(lines), shape)
    release(images[start:stop])
    return stop - start


def _changed(
    dataset: Dataset, found: dict[str, list[str]], named: dict[str, list[str]]
) -> Iterator[str]:
    """The files whose names are not those of their pixels."""
    for split, files in found.items():
        strange = set(files) - set(named[split])
        for k, file in enumerate(files if strange else ()):
            if file in strange and not _is_name(Path(file).stem, dataset.splits[split].images[k]):
                yield file


def write(
    dataset: Dataset, path: Path, *, progress: Progress = quiet, workers: int | None = None
) -> None:
    """Write the tree. Raises UnsupportedError for channels that PNG does not have."""
    if len(dataset.shape) == 3 and dataset.shape[2] != 3:
        raise UnsupportedError(f"PNG holds grey (H, W) or three channels, not {dataset.shape[2]}")
    path.mkdir()
    with (path / _tree.INDEX).open("x", encoding="ascii", newline="\n") as index:
        for name, files in _paths(dataset, workers).items():
            split = dataset.splits[name]
            folders = [path / name / _folder(dataset, k) for k in range(len(dataset.classes))]
            for folder in folders:
                folder.mkdir(parents=True)
            empty = np.setdiff1d(np.arange(len(folders)), split.labels)
            if len(empty):
                listed = ", ".join(folders[label].name for label in empty[:5])
                progress.note(
                    f"{name}: no pictures in {listed}; ImageFolder needs allow_empty=True"
                )
            progress.start(f"write {name}", len(files), "examples")
            save = partial(_save, path, split, files)
            for done in _workers.run(save, len(files), size=_STEP, workers=workers):
                progress.advance(done)
            index.writelines(f"{file}\n" for file in files)
            there = sum(len(os.listdir(folder)) for folder in folders)
            if there != len(split):
                raise TargetError(f"{path}: {there:,} of {len(split):,} pictures were written")
    _sidecar.write(dataset, path)


def _save(path: Path, split: Split, files: list[str], start: int, stop: int) -> int:
    root = f"{path}{os.sep}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    pictures = _png.encode(split.images[start:stop])
    for file, data in zip(files[start:stop], pictures, strict=True):
        descriptor = os.open(root + file, flags, 0o666)
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(28, os.strerror(28), root + file)  # ENOSPC: the disk took a part
        finally:
            os.close(descriptor)
    release(split.images[start:stop])
    return stop - start


def _folder(dataset: Dataset, label: int) -> str:
    return f"{label:0{len(str(len(dataset.classes) - 1))}}"


def _paths(dataset: Dataset, workers: int | None) -> dict[str, list[str]]:
    """The path of every picture, relative to the tree."""
    folders = [_folder(dataset, label) for label in range(len(dataset.classes))]
    return {
        name: [
            f"{name}/{folders[label]}/{code:016x}.png"
            for label, code in zip(dataset.splits[name].labels.tolist(), codes, strict=True)
        ]
        for name, codes in _names(dataset, workers).items()
    }


def _names(dataset: Dataset, workers: int | None) -> dict[str, list[int]]:
    """The 64-bit name of every picture; no two of the dataset are the same."""
    names = {}
    for name, split in dataset.splits.items():
        parts = _workers.run(partial(_hashes, split), len(split), size=8 * _STEP, workers=workers)
        names[name] = np.concatenate([np.empty(0, np.uint64), *parts])
    unique, first = np.unique(np.concatenate(list(names.values())), return_index=True)
    again = np.ones(len(dataset), bool)
    again[first] = False
    if again.any():
        taken, offset = set(unique.tolist()), 0
        later: dict[bytes, Iterator[int]] = {}  # what is left of the names of equal pictures
        for name, split in dataset.splits.items():
            for k in np.flatnonzero(again[offset : offset + len(split)]):
                picture = split.images[k]
                left = later.setdefault(picture.tobytes(), _later_names(picture))
                names[name][k] = next(code for code in left if code not in taken)
                taken.add(int(names[name][k]))
            offset += len(split)
    return {name: codes.tolist() for name, codes in names.items()}


def _hashes(split: Split, start: int, stop: int) -> npt.NDArray[np.uint64]:
    images = split.images[start:stop]
    sizes = struct.pack(f">{images.ndim - 1}I", *images.shape[1:])
    width = images[0].size
    data = images.reshape(-1).data
    starts = range(0, len(data), width)
    digests = [hashlib.sha256(sizes + data[k : k + width]).digest()[:8] for k in starts]
    release(images)
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _is_name(stem: str, image: Images) -> bool:
    """Whether a picture could have that name, as the first of its like or a later one."""
    first = int(_hashes(Split(image[np.newaxis], np.zeros(1, np.int64)), 0, 1)[0])
    names = chain([first], islice(_later_names(image), _TRIED))
    return any(stem == f"{name:016x}" for name in names)


def _later_names(image: Images) -> Iterator[int]:
    """Names for a picture that is there already: with a counter behind height, width and pixels."""
    content = struct.pack(f">{image.ndim}I", *image.shape) + image.tobytes()
    for counter in count(1):
        digest = hashlib.sha256(content + struct.pack(">I", counter)).digest()
        yield int.from_bytes(digest[:8], "big")


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples."""
    sidecar = _sidecar.find(path)
    tree = _tree.walk(path, sidecar.classes if sidecar else None)
    files = _tree.indexed(path / _tree.INDEX, tree)[split]
    return [str(path / files[index]) for index in indices]
