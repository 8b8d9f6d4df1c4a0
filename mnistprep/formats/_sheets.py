"""A sheet: one picture of many of one size, row by row, with their labels in a file beside it.

Beside sheet.png that is sheet.txt, sheet.csv or sheet.tsv: a label for each picture, in order.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mnistprep import _png
from mnistprep._arrays import Images, empty_images
from mnistprep._progress import Progress
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _classnames, _labelfile, _tree
from mnistprep.formats._folders import split_word


def read(path: Path, tile: str, channels: int, *, unlabelled: bool, progress: Progress) -> Dataset:
    """The pictures of a sheet; raises FormatError, and UsageError for what `tile` cannot be."""
    size = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", tile, re.ASCII)
    if size is None:
        raise UsageError(f"tile={tile!r}: expected height x width, such as 28x28")
    if not path.is_file():
        raise FormatError(f"{path}: not a file; tile= reads one picture that holds many")
    sheet, kind = _png.examine(path.read_bytes(), str(path))
    if channels == 3 and sheet.ndim == 2:
        sheet = np.repeat(sheet[:, :, None], 3, axis=2)
    if channels == 1 and sheet.ndim == 3:
        raise FormatError(f"{path}: in colour (its channels differ), not grey")
    height, width = int(size[1]), int(size[2])
    if sheet.shape[0] % height or sheet.shape[1] % width:
        raise FormatError(
            f"{path}: {sheet.shape[0]}x{sheet.shape[1]} pixels (height x width) are no whole "
            f"number of tiles of {height}x{width}"
        )
    if kind.lossy:
        progress.note(f"{path}: {kind.lossy}, which is lossy: these are not the original pixels")
    images = _cut(sheet, height, width)
    texts = _texts(path, unlabelled)
    if texts is None:
        labels = np.zeros(len(images), np.int64)
        classes: tuple[str, ...] = (_tree.UNLABELLED,)
    else:
        images = _without_blanks(path, images, len(texts), progress)
        numbers, classes = _classnames.numbered(str(path), set(texts))
        for note in _classnames.renumbered(str(path), numbers):
            progress.note(note)
        labels = np.array([numbers[text] for text in texts], np.int64)
    return Dataset(path.name, {split_word(path.stem) or "train": Split(images, labels)}, classes)


def _cut(sheet: Images, height: int, width: int) -> Images:
    down, across = sheet.shape[0] // height, sheet.shape[1] // width
    shape = (height, width, *sheet.shape[2:])
    images = empty_images((down * across, *shape))
    rows = sheet.reshape(down, height, across, width, *sheet.shape[2:])
    for k, row in enumerate(rows):
        images[k * across : (k + 1) * across] = np.moveaxis(row, 1, 0)
    return images


def labels_of(path: Path) -> list[Path]:
    """The files with labels beside a file; none where it is no picture."""
    return [file for file in _beside(path) if file.is_file()] if _tree.is_picture(path) else []


def _beside(path: Path) -> list[Path]:
    return [path.with_suffix(ending) for ending in (".txt", ".csv", ".tsv")]


def _texts(path: Path, unlabelled: bool) -> list[str] | None:
    """The labels beside a sheet, or None where it may have none."""
    beside = _beside(path)
    there = [file for file in beside if file.is_file()]
    if len(there) > 1:
        names = " and ".join(file.name for file in there)
        raise FormatError(f"{path}: {names} could both be its labels; keep one")
    if not there:
        if unlabelled:
            return None
        raise FormatError(
            f"{path}: no labels beside it ({beside[0].name}, one a line); -R unlabelled=yes reads "
            "the sheet without"
        )
    return _labelfile.values(there[0].read_bytes(), there[0].name, str(there[0]))


def _without_blanks(path: Path, images: Images, count: int, progress: Progress) -> Images:
    """As many pictures as there are labels; what is left must be blank."""
    if not count or count > len(images):
        raise FormatError(f"{path}: {count:,} labels for {len(images):,} tiles")
    left = images[count:]
    if left.any():
        at = count + int(left.reshape(len(left), -1).any(axis=1).argmax())
        raise FormatError(
            f"{path}: {count:,} labels for {len(images):,} tiles, and tile {at + 1:,} is not blank"
        )
    if len(left):
        progress.note(f"{path}: {len(left):,} blank tiles beyond the {count:,} labels are left out")
    return images[:count]
