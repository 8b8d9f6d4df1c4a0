"""Contact sheets: many pictures of a dataset in one.

All are uint8 arrays, (H, W) or (H, W, 3), which PIL.Image.fromarray and any other library take. Of
pictures with two or more than three channels the first channel is drawn.
"""

from __future__ import annotations

import numpy as np

from mnistprep._arrays import Images
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UsageError

_GAP = 2  # pixels between pictures
_PAPER = 96  # grey level of the gaps, visible beside black and white


def enlarged(picture: Images, factor: int) -> Images:
    """The picture with every pixel as a square of `factor` times `factor`, sharp edges kept."""
    if factor < 1:
        raise UsageError(f"factor must be at least 1, not {factor}")
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def strip(split: Split, count: int = 10) -> Images:
    """The first `count` pictures side by side: (28, 280) for ten of MNIST's.

    Where the split has fewer, the rest is background.
    """
    return sheet(split, rows=1, columns=count)


def sheet(split: Split, rows: int = 10, columns: int = 10) -> Images:
    """The first pictures, line by line, without gaps: (280, 280) for a hundred of MNIST's.

    Where the split has fewer, the rest is background.
    """
    if min(rows, columns) < 1:
        raise UsageError(f"a sheet has at least one row and one column, not {rows} x {columns}")
    pictures = drawable(split.images[: rows * columns])
    height, width = split.shape[:2]
    whole = np.zeros((rows * columns, *pictures.shape[1:]), np.uint8)
    whole[: len(pictures)] = pictures
    lines = whole.reshape(rows, columns, *pictures.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(
        lines.reshape(rows * height, columns * width, *pictures.shape[3:]), dtype=np.uint8
    )


def by_class(dataset: Dataset, *, columns: int = 16) -> Images:
    """A row per class with its first `columns` pictures, training ones first; (H, W) or (H, W, 3).

    A class without pictures keeps its row, empty.
    """
    height, width = dataset.shape[0], dataset.shape[1]
    depth = (3,) if dataset.shape[2:] == (3,) else ()
    rows = len(dataset.classes)
    size = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, *depth)
    whole = np.full(size, _PAPER, np.uint8)
    for label in range(rows):
        top = _GAP + label * (height + _GAP)
        for column, picture in enumerate(first_of(dataset, label, columns)):
            left = _GAP + column * (width + _GAP)
            whole[top : top + height, left : left + width] = picture
    return whole


def first_of(dataset: Dataset, label: int, count: int) -> Images:
    """The first `count` pictures of a class, training ones first; (N, H, W) or (N, H, W, 3)."""
    found: list[Images] = []
    for split in dataset.splits.values():
        at = np.flatnonzero(split.labels == label)[: count - sum(map(len, found))]
        found.append(drawable(split.images[at]))
    return np.concatenate(found)


def drawable(pictures: Images) -> Images:
    """(N, H, W, C) as a screen can show it: grey or three channels, else the first channel."""
    if pictures.ndim == 3 or pictures.shape[3] == 3:
        return pictures
    return pictures[..., 0]
