"""Where two datasets differ, in sentences that name the place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mnistprep._arrays import Images
from mnistprep.dataset import Dataset, Split, example_hashes

SHOWN = 5  # examples named; the rest are counted
Places = Callable[[str, Sequence[int]], list[str]]
_Indices = np.ndarray[tuple[int], np.dtype[np.intp]]


_CHANGES: tuple[tuple[Callable[[Images], Images], str], ...] = (
    (lambda p: p, "the pictures are right, the labels are not theirs: shuffled or numbered anew"),
    (lambda p: 255 - p, "the pictures are inverted (255 - value)"),
    (lambda p: p.swapaxes(1, 2), "the pictures are transposed (rows for columns)"),
    (lambda p: p[:, ::-1], "the pictures are mirrored, top for bottom"),
    (lambda p: p[:, :, ::-1], "the pictures are mirrored, left for right"),
)


def differences(found: Dataset, true: Dataset, split: str, places: Places) -> list[str]:
    """Sentences about what is wrong with `train` (followed by `valid`) or `test` of `found`.

    places: says where examples (split, indices) of `found` are.
    """
    if found.shape != true.shape:
        return [f"{split}: pictures of {found.shape}, expected {true.shape}"]
    mine, theirs = found.whole(split), true.whole(split)
    where = _stored(found, split, places)
    sentences = []
    if len(mine) != len(theirs):
        sentences.append(f"{split}: {len(mine):,} examples, expected {len(theirs):,}")
    else:
        wrong = _unequal(mine, theirs)
        if len(wrong) <= len(mine) // 10:
            shown = wrong[:SHOWN].tolist()
            sentences += [
                f"{at}: {_describe(mine, theirs, k)}"
                for at, k in zip(where(shown), shown, strict=True)
            ]
            return [*sentences, *_rest(len(wrong))]
        if change := _change(mine, theirs):
            return [f"{split}: {change}"]
    return sentences + _strangers(mine, theirs, split, where)


def _stored(found: Dataset, split: str, places: Places) -> Callable[[list[int]], list[str]]:
    """The places of examples of the joined split, in the splits that they are stored in."""
    first = len(found.splits["train"]) if split == "train" and "train" in found.splits else 0

    def where(indices: list[int]) -> list[str]:
        if split != "train" or "valid" not in found.splits:
            return places(split, indices)
        train = [index for index in indices if index < first]
        valid = [index - first for index in indices if index >= first]
        parts = (("train", train), ("valid", valid))
        return [place for name, own in parts if own for place in places(name, own)]

    return where


def _unequal(mine: Split, theirs: Split) -> _Indices:
    wrong = mine.labels != theirs.labels
    at = 0
    for (left, _), (right, _) in zip(mine.chunks(), theirs.chunks(), strict=True):
        same = (left == right).reshape(len(left), -1).all(axis=1)
        wrong[at : at + len(left)] |= ~same
        at += len(left)
    return np.flatnonzero(wrong)


def _describe(mine: Split, theirs: Split, index: int) -> str:
    parts = []
    pixels = np.argwhere(mine.images[index] != theirs.images[index])
    if len(pixels):
        at = tuple(int(n) for n in pixels[0])
        found, expected = mine.images[index][at], theirs.images[index][at]
        parts.append(
            f"{len(pixels)} wrong pixel{'s' if len(pixels) > 1 else ''}, the first at row {at[0]}, "
            f"column {at[1]}: found {found}, expected {expected}"
        )
    if mine.labels[index] != theirs.labels[index]:
        parts.append(f"label {mine.labels[index]}, expected {theirs.labels[index]}")
    return "; ".join(parts)


def _rest(count: int) -> list[str]:
    return [f"and {count - SHOWN:,} examples more"] if count > SHOWN else []


def _change(mine: Split, theirs: Split) -> str | None:
    """What was done to all examples, where it is one of the mishaps that converters have."""
    for change, sentence in _CHANGES:
        pairs = zip(mine.chunks(), theirs.chunks(), strict=True)
        if all(np.array_equal(left, change(right)) for (left, _), (right, _) in pairs):
            return sentence
    return None


def _strangers(
    mine: Split, theirs: Split, split: str, where: Callable[[list[int]], list[str]]
) -> list[str]:
    """Examples that the true split does not have, and how many of its own are missing."""
    left, right = example_hashes(mine), example_hashes(theirs)
    strange = np.flatnonzero(~np.isin(left, right))
    missing = int(np.count_nonzero(~np.isin(right, left)))
    shown = where(strange[:SHOWN].tolist())
    sentences = [f"{at}: not one of the expected examples" for at in shown]
    sentences += _rest(len(strange))
    if missing:
        sentences.append(f"{split}: {missing:,} of {len(theirs):,} expected examples are missing")
    if not strange.size and not missing and len(mine) != len(theirs):
        sentences.append(f"{split}: examples are there more or less often than they should")
    return sentences
