"""Contact sheets: many pictures of a dataset in one."""

from __future__ import annotations

import numpy as np

from mnistprep._arrays import Images
from mnistprep.dataset import Dataset, Split

_GAP = 2  # pixels between pictures
_PAPER = 96  # grey level of the gaps, visible beside black and white


def by_class(dataset: Dataset, *, columns: int = 16) -> Images:
    """A row per class with its first `columns` pictures, training ones first; (H, W) or (H, W, 3).

    A class without pictures keeps its row, empty.
    """
    height, width = dataset.shape[0], dataset.shape[1]
    depth = (3,) if dataset.shape[2:] else ()
    rows = len(dataset.classes)
    size = (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, *depth)
    sheet = np.full(size, _PAPER, np.uint8)
    for label in range(rows):
        top = _GAP + label * (height + _GAP)
        for column, picture in enumerate(_first(dataset, label, columns)):
            left = _GAP + column * (width + _GAP)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def _first(dataset: Dataset, label: int, count: int) -> list[Images]:
    found: list[Images] = []
    for split in dataset.splits.values():
        at = np.flatnonzero(split.labels == label)[: count - len(found)]
        found += [_drawable(split, int(index)) for index in at]
    return found


def _drawable(split: Split, index: int) -> Images:
    picture: Images = split.images[index]
    return picture if picture.ndim == 2 or picture.shape[2] == 3 else picture[:, :, :1]
