"""Choosing examples: which splits, how many, which of them, where `valid` begins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnistprep._numbers import SEEDS, whole
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UnknownName, UsageError

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Selection:
    """What to keep of a dataset; the default keeps everything as it is.

    splits: names of the splits to keep; empty for all.
    limit: at most so many examples of each split, the first ones.
    per_class: at most so many examples of each class in each split, the first ones.
    validation: the last so many training examples (train followed by valid) become `valid`;
        0 puts them all into `train`.
    seed: with it, `limit` and `per_class` choose at random instead; `limit` keeps the shares of
        the classes. The examples chosen stay in their order.
    Raises UsageError for numbers that are not whole, or below 0, and a seed beyond 2**64 - 1.
    """

    splits: tuple[str, ...] = ()
    limit: int | None = None
    per_class: int | None = None
    validation: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "per_class", "validation", "seed"):
            value = getattr(self, name)
            if value is not None:
                most = SEEDS if name == "seed" else None
                number = whole(name.replace("_", "-"), value, 0, most)
                object.__setattr__(self, name, number)


def select(dataset: Dataset, selection: Selection) -> Dataset:
    """The chosen examples as a dataset: first `validation`, then `splits`, then the counts.

    Raises UsageError for a split that is not there, a `validation` larger than the training set
    and what is no dataset.
    """
    if not isinstance(dataset, Dataset):
        raise UsageError(f"select takes a Dataset, not {type(dataset).__name__}")
    splits = dict(dataset.splits)
    if selection.validation is not None:
        splits = _with_validation(dataset, selection.validation)
    for name in selection.splits:
        if name not in splits:
            raise UnknownName("split", name, splits)
    if selection.splits:
        splits = {name: split for name, split in splits.items() if name in selection.splits}
    for name, split in splits.items():
        if selection.per_class is not None:
            split = _take(split, _per_class(split, selection.per_class, name, selection.seed))
        if selection.limit is not None and selection.limit < len(split):
            split = _take(split, _limited(split, selection.limit, name, selection.seed))
        splits[name] = split
    return Dataset(dataset.name, splits, dataset.classes)


def _with_validation(dataset: Dataset, count: int) -> dict[str, Split]:
    joined = dataset.joined()
    train = joined.splits.get("train")
    if train is None:
        raise UsageError("validation is the end of train, and there is no train split")
    if count > len(train):
        raise UsageError(f"validation {count:,} is more than the {len(train):,} training examples")
    splits = dict(joined.splits)
    if count:
        rest = len(train) - count
        splits["train"] = Split(train.images[:rest], train.labels[:rest])
        splits["valid"] = Split(train.images[rest:], train.labels[rest:])
    return splits


def _take(split: Split, indices: Indices) -> Split:
    if len(indices) == len(split):
        return split
    if len(indices) == 0 or indices[-1] == len(indices) - 1:  # the first ones: no copy needed
        return Split(split.images[: len(indices)], split.labels[: len(indices)])
    return split.take(indices)


def _per_class(split: Split, count: int, name: str, seed: int | None) -> Indices:
    """The first `count` of each class in order of preference, as sorted indices."""
    _, sizes = np.unique(split.labels, return_counts=True)
    return _ranked(split, np.full(len(sizes), min(count, len(split))), name, seed)


def _limited(split: Split, count: int, name: str, seed: int | None) -> Indices:
    if seed is None:
        return np.arange(count)
    _, sizes = np.unique(split.labels, return_counts=True)
    shares = sizes * count // len(split)  # the largest remainders get the rest, lowest label first
    left = count - int(shares.sum())
    shares[np.argsort(-(sizes * count % len(split)), kind="stable")[:left]] += 1
    return _ranked(split, shares, name, seed)


def _ranked(split: Split, shares: Indices, name: str, seed: int | None) -> Indices:
    """The first `shares[k]` of the k-th class there is, in order of preference; sorted."""
    order = _preference(len(split), name, seed)
    by_class = np.argsort(split.labels[order], kind="stable")
    _, sizes = np.unique(split.labels, return_counts=True)
    rank = np.arange(len(split)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[by_class[rank < np.repeat(shares, sizes)]])


def _preference(size: int, name: str, seed: int | None) -> Indices:
    """range(size), shuffled by `seed` the same way with every version of NumPy."""
    if seed is None:
        return np.arange(size)
    key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    numbers = np.arange(size, dtype=np.uint64) + np.uint64(int.from_bytes(key[:8], "big"))
    # splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)
    numbers *= np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(numbers ^ (numbers >> np.uint64(31)), kind="stable")
