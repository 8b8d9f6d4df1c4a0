"""What is counted in one walk over a dataset: classes, pixel values, mean pictures, equal pictures.

The walk takes a few megabytes at a time, and keeps sixteen bytes per picture, so that the largest
set needs no more memory than its labels do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images
from mnistprep._progress import Progress
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.report.display import tiles

DRAWN = 64  # classes whose pictures are shown, the first in label order
_STEP = 4 << 20  # bytes of pictures looked at in one go
_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SplitCensus:
    """What a split holds. counts: examples of each class. histogram: of its 256 pixel values."""

    counts: _Counts
    histogram: _Counts
    hashes: npt.NDArray[np.bytes_]

    @property
    def total(self) -> int:
        """Number of examples."""
        return len(self.hashes)

    @cached_property
    def mean(self) -> float:
        """Mean of all pixels, from 0 to 1."""
        return float(self.histogram @ np.arange(256) / max(1, self.histogram.sum())) / 255

    @cached_property
    def std(self) -> float:
        """Standard deviation of all pixels, as a share of 255."""
        offsets = np.arange(256) / 255 - self.mean
        return float(np.sqrt(self.histogram @ offsets**2 / max(1, self.histogram.sum())))

    @property
    def background(self) -> float:
        """Share of pixels that are 0."""
        return float(self.histogram[0] / max(1, self.histogram.sum()))


@dataclass(frozen=True, eq=False)
class Census:
    """What a dataset holds. means: the mean picture of each drawn class that has pictures."""

    splits: dict[str, SplitCensus]
    means: dict[int, Images]


def take(dataset: Dataset, progress: Progress) -> Census:
    """Walk over all splits of a dataset."""
    drawn = min(len(dataset.classes), DRAWN)
    shape = tiles(np.zeros((1, *dataset.shape), np.uint8)).shape[1:]
    sums = np.zeros((drawn, *shape), np.uint64)
    splits = {}
    for name, split in dataset.splits.items():
        progress.start(f"look at {name}", len(split), "examples")
        splits[name] = _walk(split, len(dataset.classes), sums, progress)
    means = {}
    totals = np.sum([census.counts for census in splits.values()], axis=0)
    for label in np.flatnonzero(totals[:drawn]).tolist():
        means[label] = (sums[label] / totals[label]).round().astype(np.uint8)
    return Census(splits, means)


def _walk(
    split: Split, classes: int, sums: npt.NDArray[np.uint64], progress: Progress
) -> SplitCensus:
    histogram = np.zeros(256, np.int64)
    hashes = bytearray()
    for pictures, labels in split.chunks(max(1, _STEP // prod(split.shape))):
        histogram += np.bincount(pictures.reshape(-1), minlength=256)
        data, width = pictures.reshape(-1).data, prod(split.shape)
        for start in range(0, len(data), width):
            hashes += hashlib.blake2b(data[start : start + width], digest_size=16).digest()
        _add(pictures, labels, sums)
        progress.advance(len(labels))
    counts = np.bincount(split.labels, minlength=classes)
    return SplitCensus(counts, histogram, np.frombuffer(bytes(hashes), "S16"))


def _add(pictures: Images, labels: Labels, sums: npt.NDArray[np.uint64]) -> None:
    """Add the pictures of each drawn class to its sum."""
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] < len(sums)]
    if not len(order):
        return
    present, starts = np.unique(labels[order], return_index=True)
    sums[present] += np.add.reduceat(tiles(pictures[order]), starts, axis=0, dtype=np.uint64)
