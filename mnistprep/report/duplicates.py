"""Pictures that are there more than once, pixel for pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mnistprep.dataset import Dataset
from mnistprep.report.census import Census

SHOWN = 24  # pictures shown
MEMBERS = 6  # places named of each

_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """One picture and where it is: size times, with these labels; members: the first of them."""

    size: int
    labels: tuple[int, ...]
    members: tuple[tuple[str, int, int], ...]  # split, index, label


@dataclass(frozen=True)
class Duplicates:
    """Equal pictures of a dataset.

    groups: the first SHOWN of `total`, those with several labels first, then those in several
    splits, then the largest. within: for each split, pictures that repeat an earlier one of it.
    across: for each two splits, pictures of the second that are in the first. conflicting: groups
    with more than one label.
    """

    groups: tuple[Group, ...]
    total: int
    within: Mapping[str, int]
    across: Mapping[tuple[str, str], int]
    conflicting: int


def find(dataset: Dataset, census: Census) -> Duplicates:
    """The pictures of a dataset that are equal, by the hashes of the census."""
    names = list(dataset.splits)
    sizes = [census.splits[name].total for name in names]
    hashes = np.concatenate([census.splits[name].hashes for name in names])
    split = np.repeat(np.arange(len(names)), sizes)
    label = np.concatenate([dataset.splits[name].labels for name in names])
    _, group, count = np.unique(hashes, return_inverse=True, return_counts=True)
    at = np.flatnonzero(count[group] > 1)
    at = at[np.argsort(group[at], kind="stable")]
    starts = np.flatnonzero(np.diff(group[at], prepend=-1))
    if not len(starts):
        return Duplicates((), 0, dict.fromkeys(names, 0), _across(names, split[at], starts), 0)
    several = np.minimum.reduceat(label[at], starts) != np.maximum.reduceat(label[at], starts)
    spread = np.minimum.reduceat(split[at], starts) != np.maximum.reduceat(split[at], starts)
    lengths = np.diff(starts, append=len(at))
    order = np.lexsort((at[starts], -lengths, ~spread, ~several))
    offsets = np.cumsum([0, *sizes])
    groups = []
    for k in order[:SHOWN].tolist():
        members = at[starts[k] : starts[k] + lengths[k]]
        named = tuple(
            (names[split[m]], int(m - offsets[split[m]]), int(label[m]))
            for m in members[:MEMBERS].tolist()
        )
        groups.append(Group(len(members), tuple(np.unique(label[members]).tolist()), named))
    return Duplicates(
        groups=tuple(groups),
        total=len(starts),
        within={
            name: census.splits[name].total - len(np.unique(census.splits[name].hashes))
            for name in names
        },
        across=_across(names, split[at], starts),
        conflicting=int(several.sum()),
    )


def _across(names: list[str], split: _Indices, starts: _Indices) -> dict[tuple[str, str], int]:
    """For each two splits, how many pictures of the second are in the first as well."""
    found = {}
    for first, second in combinations(range(len(names)), 2):
        pictures = 0
        if len(starts):
            there = np.maximum.reduceat(split == first, starts)
            pictures = int(np.add.reduceat(split == second, starts)[there].sum())
        found[names[first], names[second]] = pictures
    return found
