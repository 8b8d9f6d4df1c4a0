"""Finding the pictures of a tree: its split folders, its class folders, its index."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistprep import _png
from mnistprep._files import head
from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar

SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip
INDEX = "index.txt"
_OWN = {INDEX, _sidecar.NAME}
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
_NUMBERS_LIMIT = 10_000  # a folder called 1999 is a name, ten of them called 0 to 9 are labels
_MAGIC = (
    _png.SIGNATURE, b"\xff\xd8\xff", b"BM", b"GIF8", b"P2", b"P5", b"P6",
    b"II*\0", b"MM\0*", b"RIFF",
)  # fmt: skip
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")


@dataclass
class Tree:
    """Where pictures are; paths are relative to the top, with `/`.

    files: the pictures of each split, by label and name; labels: the label of each class folder;
    classes: names in label order; ignored: sentences about what is there and is no picture.
    """

    files: dict[str, list[str]]
    labels: dict[str, dict[str, int]]
    classes: tuple[str, ...]
    ignored: list[str] = field(default_factory=list)


def is_tree(path: Path) -> bool:
    """Whether a picture lies in a class folder of `path`, or in one of a split folder of it."""
    for folder in _folders(path):
        if _holds_picture(folder):
            return True
        if folder.name.lower() in SPLIT_FOLDERS and any(map(_holds_picture, _folders(folder))):
            return True
    return False


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        found = [
            e.name for e in entries if e.is_dir(follow_symlinks=False) and not _is_junk(e.name)
        ]
    return [path / name for name in sorted(found)]


def _holds_picture(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not _is_junk(entry.name):
                return is_picture(Path(entry.path))
    return False


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its first bytes."""
    return head(path, 8).startswith(_MAGIC)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def walk(path: Path, classes: tuple[str, ...] | None) -> Tree:
    """Find every picture under `path`; `classes` are the names, where a sidecar gives them.

    Raises FormatError for links and special files, for a file that is called a picture and is
    none, and for class folders that do not fit.
    """
    tops = _tops(path)
    folders = {name: [f for top in group for f in _folders(top)] for name, group in tops.items()}
    labels, names = _number({f.name for group in folders.values() for f in group}, classes, path)
    tree = Tree({}, {}, names)
    above = list(dict.fromkeys([path, *chain.from_iterable(tops.values())]))
    used = {*above, *chain.from_iterable(folders.values())}
    for top in above:
        tree.ignored += _beside(top, used)
    for split, group in folders.items():
        tree.files[split], tree.labels[split] = [], {}
        for folder in sorted(group, key=lambda folder: labels[folder.name]):
            relative = folder.relative_to(path).as_posix()
            tree.labels[split][relative] = labels[folder.name]
            found = _list(folder, tree.ignored)
            if not found and classes is None:
                tree.ignored.append(f"{folder}: an empty folder")
            tree.files[split] += [f"{relative}/{name}" for name in found]
    _check_suffixes(path, tree)
    return tree


def _beside(top: Path, used: set[Path]) -> list[str]:
    """Sentences about what lies in a folder of folders and is none of those that are read."""
    ignored = []
    for name in sorted(os.listdir(top)):
        entry = top / name
        if entry in used or name in _OWN:
            continue
        if entry.is_dir() and not entry.is_symlink():
            ignored.append(f"{entry}: ignored, not a folder of the dataset")
        elif not _is_junk(name) and is_picture(entry):
            raise FormatError(f"{entry}: a picture outside the class folders; which class is it?")
        else:
            ignored.append(f"{entry}: ignored, not a picture")
    return ignored


def _tops(path: Path) -> dict[str, list[Path]]:
    tops: dict[str, list[Path]] = {}
    for folder in _folders(path):
        if folder.name.lower() in SPLIT_FOLDERS:
            tops.setdefault(SPLIT_FOLDERS[folder.name.lower()], []).append(folder)
    doubled = next((group for group in tops.values() if len(group) > 1), None)
    if doubled:
        names = " and ".join(folder.name for folder in doubled)
        raise FormatError(f"{path}: {names} are the same split; keep one")
    return {name: tops[name] for name in SPLITS if name in tops} or {
        SPLIT_FOLDERS.get(path.name.lower(), "train"): [path]
    }


def _number(
    folders: set[str], classes: tuple[str, ...] | None, path: Path
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label of every class folder, and the class names in label order."""
    numbers = {name: int(name) for name in folders if name.isascii() and name.isdigit()}
    numbered = len(numbers) == len(folders) and len(set(numbers.values())) == len(numbers)
    if classes is not None:
        strange = sorted(set(folders) - {n for n, k in numbers.items() if k < len(classes)})
        if strange or not numbered:
            raise FormatError(
                f"{path}: class folder {(strange or sorted(folders))[0]!r} is none of the "
                f"{len(classes)} classes of mnistprep.json"
            )
        return numbers, classes
    if numbered and max(numbers.values(), default=0) < _NUMBERS_LIMIT:
        return numbers, tuple(str(k) for k in range(max(numbers.values(), default=-1) + 1))
    ordered = sorted(folders)
    return {name: k for k, name in enumerate(ordered)}, tuple(ordered)


def _list(folder: Path, ignored: list[str]) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_junk(entry.name):
                ignored.append(f"{entry.path}: ignored, not a picture")
            elif entry.is_file(follow_symlinks=False) and entry.name.lower().endswith(_SUFFIXES):
                names.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                raise FormatError(f"{entry.path}: a folder inside a class folder")
            elif not entry.is_file(follow_symlinks=False):
                raise FormatError(f"{entry.path}: a link or special file; put a copy in its place")
            elif is_picture(Path(entry.path)):
                names.append(entry.name)
            else:
                ignored.append(f"{entry.path}: ignored, not a picture")
    return sorted(names)


def _check_suffixes(path: Path, tree: Tree) -> None:
    lossy = [
        f for files in tree.files.values() for f in files if f.lower().endswith((".jpg", ".jpeg"))
    ]
    if lossy:
        tree.ignored.append(
            f"{path / lossy[0]} and {len(lossy) - 1:,} more are JPEG, which is lossy: "
            "these are not the original pixels"
        )


def indexed(index: Path, tree: Tree) -> dict[str, list[str]]:
    """The files of each split in the order of the index, or as found when there is none.

    Raises FormatError when index and tree are not the same files: a picture was lost or added.
    """
    if not index.is_file():
        return {name: files for name, files in tree.files.items() if files}
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except ValueError:
        raise FormatError(f"{index}: not a text; remove it to read the tree without") from None
    order: dict[str, list[str]] = {name: [] for name in tree.files}
    known = {file: name for name, files in tree.files.items() for file in files}
    for number, line in enumerate(lines, start=1):
        name = known.pop(line, None)
        if name is None:
            raise FormatError(
                f"{index}, line {number}: {line[:100]!r} is not in the tree: a picture was lost, "
                "moved or listed twice"
            )
        order[name].append(line)
    if known:
        raise FormatError(
            f"{index.parent / next(iter(known))} and {len(known) - 1:,} more are not in "
            f"{index.name}: pictures were added; remove the index to read the tree without order"
        )
    return order


def load(path: Path, shape: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """One picture in that shape; without one (a tree without a sidecar) it must be grey."""
    picture = _png.decode(path.read_bytes(), str(path))
    return fit(picture, shape or picture.shape[:2], str(path))


def fit(picture: NDArray[np.uint8], shape: tuple[int, ...], where: str) -> NDArray[np.uint8]:
    """The picture in the shape of its set; raises FormatError when it is not of that shape."""
    if picture.ndim == 2 and shape[2:] == (3,):
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    if picture.ndim == 3 and len(shape) == 2:
        raise FormatError(f"{where}: a colour picture (its channels differ) in a set of grey ones")
    if picture.shape != shape:
        found = "x".join(map(str, picture.shape))
        raise FormatError(f"{where}: {found} pixels, the others have {'x'.join(map(str, shape))}")
    return picture
