"""Splits as named arrays; what the array files (npz, pt, safetensors) share."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Split, default_classes
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._scale import to_bytes

Array = npt.NDArray[np.generic]

CLASSES = "classes"
_SPLITS = {
    "train": ("training", "train"),
    "valid": ("validation", "valid", "val", "dev"),
    "test": ("evaluation", "testing", "test", "t10k", "eval"),
}
# What the pictures of a split are called, and what their labels are called then.
_ROLES = (
    ("images", "labels"), ("image", "label"), ("imgs", "labels"), ("img", "label"),
    ("pictures", "labels"), ("pixels", "labels"), ("features", "targets"), ("feature", "target"),
    ("data", "target"), ("inputs", "targets"), ("x", "y"),
)  # fmt: skip
_SPLIT = {word: split for split, words in _SPLITS.items() for word in words}
_ROLE = {label: "labels" for _, label in _ROLES} | {image: "images" for image, _ in _ROLES}
_ANY_SPLIT, _ANY_ROLE = "|".join(_SPLIT), "|".join(sorted(_ROLE, key=len, reverse=True))
_GAP = r"[-_. ]?"
_MEANS = (
    rf"(?:(?P<before>{_ANY_SPLIT}){_GAP}(?:set{_GAP})?)?(?P<role>{_ANY_ROLE})"
    rf"|(?P<first>{_ANY_ROLE}){_GAP}(?P<after>{_ANY_SPLIT})(?:{_GAP}set)?"
    rf"|(?P<only>{_ANY_SPLIT})(?:{_GAP}set)?"
)
_ARRAY = re.compile(_MEANS, re.IGNORECASE)
_FILE = re.compile(rf"(?:(?P<prefix>.*?)[-_. ])??(?:{_MEANS})", re.IGNORECASE)


class Meaning(NamedTuple):
    """What a name says: split and role (`images`, `labels`), each "" where it says none."""

    prefix: str
    split: str
    role: str


def meaning(name: str, *, file: bool = False) -> Meaning | None:
    """What the name of an array, or of a file (which may have a prefix), says it holds."""
    if not (found := (_FILE if file else _ARRAY).fullmatch(name)):
        return None
    words = {key: (word or "").lower() for key, word in found.groupdict().items()}
    split = words["before"] or words["after"] or words["only"]
    role = words["role"] or words["first"]
    return Meaning(words.get("prefix", ""), _SPLIT.get(split, ""), _ROLE.get(role, ""))


def roles(names: Iterable[str], where: str, split: str = "train") -> dict[tuple[str, str], str]:
    """The names by the split and role that each means; `split` for those that name none.

    Raises FormatError for a name that means nothing, for two that mean the same, and for pictures
    or labels that are alone.
    """
    found: dict[tuple[str, str], str] = {}
    left = []
    for name in sorted(names):
        means = meaning(name)
        if means is None or not means.role:
            left.append(name)
            continue
        key = (means.split or split, means.role)
        if key in found:
            raise FormatError(
                f"{where}: {printable(found[key], 80)} and {printable(name, 80)} are both the "
                f"{key[1]} of {key[0]}; keep one"
            )
        found[key] = name
    if not found:
        listed = printable(", ".join(left[:8]) or "none", 400)
        raise FormatError(f"{where}: no arrays named train_images or x_train here, but: {listed}")
    for (part, role), name in found.items():
        other = "labels" if role == "images" else "images"
        if (part, other) not in found:
            both = sorted((name, _partner(name)), key=lambda n: n != name, reverse=role == "labels")
            raise FormatError(f"{where}: {' and '.join(both)} go together; one is missing")
    if left:
        listed = printable(", ".join(left[:8]), 400)
        raise FormatError(f"{where}: holds {listed} too, which no dataset has")
    return found


def _partner(name: str) -> str:
    """What the labels of that name's pictures are called, or the pictures of its labels."""
    means = _ARRAY.fullmatch(name)
    key = "role" if means is not None and means["role"] else "first"
    word = means[key] if means is not None else ""
    pairs = dict(_ROLES) | {label: image for image, label in reversed(_ROLES)}
    at = means.start(key) if means is not None else 0
    return f"{name[:at]}{pairs.get(word.lower(), '')}{name[at + len(word) :]}"


def dataset(
    where: str,
    name: str,
    arrays: Mapping[str, Array],
    classes: tuple[str, ...] | None,
    split: str = "train",
) -> Dataset:
    """The dataset of named arrays; raises FormatError for names or arrays that are not one.

    split: what arrays belong to whose names say no split.
    """
    found = roles(arrays, where, split)
    splits = {
        part: Split(
            _images(arrays[found[part, "images"]], f"{where}: {found[part, 'images']}"),
            _labels(arrays[found[part, "labels"]], f"{where}: {found[part, 'labels']}"),
        )
        for part in SPLITS
        if (part, "images") in found
    }
    if classes is None:
        classes = _sidecar.classes(None, splits, where)
    return Dataset(name, splits, classes)


def named_classes(dataset: Dataset) -> str | None:
    """The class names as a JSON list, where the labels alone would not give them back."""
    if dataset.classes == default_classes(split.labels for split in dataset.splits.values()):
        return None
    return json.dumps(list(dataset.classes), ensure_ascii=False)


def parse_classes(text: str | None, where: str) -> tuple[str, ...] | None:
    """The class names that named_classes gave; raises FormatError for anything else."""
    if text is None:
        return None
    try:
        names = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"{where}: `classes` must be a JSON list of names")
    return tuple(names)


def _images(values: Array, where: str) -> Images:
    if values.ndim == 4 and values.shape[1] == 1 and values.shape[3] > 4:
        values = values[:, 0]  # grey with channels first, as PyTorch has them
    if values.ndim == 2 and values.dtype.kind in "biuf" and (side := math.isqrt(values.shape[1])):
        if side * side != values.shape[1]:
            raise FormatError(
                f"{where}: expected pictures (N, H, W) or (N, H, W, C), or square ones as rows; "
                f"found {values.dtype} of shape {values.shape}"
            )
        values = values.reshape(len(values), side, side)
    if (
        values.ndim not in (3, 4)
        or not 0 < math.prod(values.shape[1:]) < _sidecar.PICTURE_LIMIT
        or values.dtype.kind not in "biuf"
    ):
        raise FormatError(
            f"{where}: expected pictures (N, H, W) or (N, H, W, C), "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values.view(np.uint8) if values.dtype == np.uint8 else to_bytes(values, where)


def _labels(values: Array, where: str) -> npt.NDArray[np.int64]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind in "biuf":
        marked = values != 0
        if not (marked.sum(axis=1) == 1).all() or not (values[marked] == 1).all():
            raise FormatError(
                f"{where}: {values.shape[1]} labels an example, which are not one-hot "
                "(a multi-label set?); a dataset here has one class an example"
            )
        column: npt.NDArray[np.int64] = marked.argmax(axis=1).astype(np.int64)
        return column
    if values.ndim == 1 and values.dtype.kind in "fU":
        values = _whole(values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise FormatError(
            f"{where}: expected one integer an example, "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values.astype(np.int64)


def _whole(values: Array) -> Array:
    """Whole numbers of floats or texts, where all are such; else the values themselves."""
    if values.dtype.kind == "U":
        whole = all(re.fullmatch("[0-9]{1,9}", str(value)) for value in values)
        return values.astype(np.int64) if whole else values
    with np.errstate(all="ignore"):
        numbers = values.astype(np.int64)
    return numbers if np.array_equal(numbers, values) else values
