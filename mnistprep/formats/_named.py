"""Splits as named arrays: what each is by its name and values; for all forms that have such."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Split, default_classes
from mnistprep.errors import FormatError, UnsupportedError
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
_PAIRS = (
    ("images", "labels"), ("image", "label"), ("imgs", "labels"), ("img", "label"),
    ("pictures", "labels"), ("pixels", "labels"), ("features", "targets"), ("feature", "target"),
    ("data", "target"), ("inputs", "targets"), ("x", "y"),
)  # fmt: skip
# Words that are as good in an array's name; in a file's, `digits` says which set it is of.
_MORE = {
    "images": ("input", "samples", "digits"),
    "labels": ("lbl", "lbls", "class", "output", "outputs"),
}
_SPLIT = {word: split for split, words in _SPLITS.items() for word in words}
_OF_FILE = {label: "labels" for _, label in _PAIRS} | {image: "images" for image, _ in _PAIRS}
_ROLE = _OF_FILE | {word: role for role, words in _MORE.items() for word in words}
_CLASSES = {"classes", "classnames", "labelnames", "listclasses", "targetnames", "categories"}
_GAP = "[^a-z0-9]*"
_STEP = 8192  # pictures
_LEAST = 5  # pixels a side from which channels can be told from them
_SQUARE = 64  # pixels of the smallest square pictures that are in use


def _means(words: Iterable[str]) -> str:
    """The pattern of names with a role and a split around it, either of which may be missing."""
    split, role, rest = "|".join(_SPLIT), "|".join(words), rf"(?:{_GAP}(?:set|data|split))?"
    return (
        rf"(?:(?P<before>{split}){rest}{_GAP})?(?P<role>{role})(?:{_GAP}orig)?"
        rf"|(?P<first>{role})(?:{_GAP}orig)?{_GAP}(?P<after>{split}){rest}"
        rf"|(?P<only>{split}){rest}"
    )


_ARRAY = re.compile(rf"{_GAP}(?:(?:mnist|dataset){_GAP})?(?:{_means(_ROLE)}){_GAP}", re.IGNORECASE)
_FILE = re.compile(rf"(?:(?P<prefix>.*?)[-_. ])??(?:{_means(_OF_FILE)})", re.IGNORECASE)


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
        raise FormatError(
            f"{where}: no arrays named train_images or x_train here, but: {shown(left)}"
        )
    for (part, role), name in found.items():
        other = "labels" if role == "images" else "images"
        if (part, other) not in found:
            both = sorted((name, _partner(name)), key=lambda n: n != name, reverse=role == "labels")
            raise FormatError(f"{where}: {' and '.join(both)} go together; one is missing")
    if left:
        raise FormatError(f"{where}: holds {shown(left)} too, which no dataset has")
    return found


def pairs(names: Iterable[str], where: str, split: str = "") -> dict[str, dict[str, str]]:
    """By split, the names of its `images` and `labels`; `split` for those that name none."""
    found: dict[str, dict[str, str]] = {}
    for (part, role), name in roles(names, where, split).items():
        found.setdefault(part, {})[role] = name
    return found


def is_classes(name: str) -> bool:
    """Whether the name of an array says that it holds the names of classes."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _CLASSES


def shown(names: Iterable[str]) -> str:
    """A few of the names, fit for a message."""
    some = [printable(name, 40) for name in names]
    return (", ".join(some[:8]) + (", ..." if len(some) > 8 else "")) or "nothing"


def _partner(name: str) -> str:
    """What the labels of that name's pictures are called, or the pictures of its labels."""
    means = _ARRAY.fullmatch(name)
    key = "role" if means is not None and means["role"] else "first"
    word = means[key] if means is not None else ""
    partners = dict(_PAIRS) | {label: image for image, label in reversed(_PAIRS)}
    other = "labels" if _ROLE.get(word.lower()) == "images" else "images"
    at = means.start(key) if means is not None else 0
    return f"{name[:at]}{partners.get(word.lower(), other)}{name[at + len(word) :]}"


def dataset(
    where: str,
    name: str,
    arrays: Mapping[str, Array],
    classes: tuple[str, ...] | None,
    split: str = "train",
    progress: Progress = quiet,
) -> Dataset:
    """The dataset of named arrays; raises FormatError for names or arrays that are not one.

    split: what arrays belong to whose names say no split.
    """
    found = pairs(arrays, where, split)
    splits, widths = {}, []
    for part in (part for part in SPLITS if part in found):
        x, y = found[part]["images"], found[part]["labels"]
        images = pictures(arrays[x], f"{where}: {x}")
        labels, width = numbers(arrays[y], len(images), f"{where}: {y}")
        splits[part] = Split(images, labels)
        widths.append(width)
    _check_scales({part: arrays[found[part]["images"]] for part in splits}, where)
    note_shape(splits, where, progress)
    return Dataset(name, splits, of_classes(classes, splits, widths, where))


def _check_scales(stored: Mapping[str, Array], where: str) -> None:
    """Raise FormatError where pictures of 0 and 1 alone lie beside ones in which 1 is another grey.

    Each split was read by its own values: real ones of 0 and 1 are black and white, unlike those
    of bytes, whole ones are bytes.
    """
    if len(stored) < 2 or not any(values.dtype.kind in "bf" for values in stored.values()):
        return  # all of them bytes, which need not be looked at
    doubtful = [part for part, values in stored.items() if _is_binary(values)]
    if not doubtful:
        return
    white = {
        part: values.dtype.kind == "b"
        or (values.dtype.kind == "f" and bool(np.less_equal(values, 1).all()))
        for part, values in stored.items()
        if values.any()
    }
    other = next((part for part in white if white[part] != white.get(doubtful[0])), None)
    if doubtful[0] in white and other is not None:
        raise FormatError(
            f"{where}: the pictures of {doubtful[0]} are 0 and 1 alone, in {other} 1 is "
            f"{'white' if white[other] else 'almost black'}; save all splits in one scale and type"
        )


def _is_binary(values: Array) -> bool:
    """Whether numbers, which are no booleans, are 0 and 1 alone."""
    return values.dtype.kind != "b" and all(
        bool(((part == 0) | (part == 1)).all())
        for part in (values[at : at + _STEP] for at in range(0, len(values), _STEP))
    )


def note_shape(splits: Mapping[str, Split], where: object, progress: Progress) -> None:
    """Say so where pictures may be of another shape: square ones as rows, channels first."""
    shape = next(iter(splits.values())).shape
    side = math.isqrt(math.prod(shape))
    if max(shape) == side * side >= _SQUARE:
        progress.note(
            f"{where}: pictures of {'x'.join(map(str, shape))} pixels; if they are {side}x{side} "
            f"ones as rows, store them as (N, {side * side}) or (N, {side}, {side})"
        )
    if len(shape) == 3 and shape[0] < _LEAST <= min(shape[1:]):
        progress.note(
            f"{where}: pictures of {shape[0]}x{shape[1]} pixels with {shape[2]} channels; if the "
            "channels are first, store them last"
        )


def of_classes(
    names: tuple[str, ...] | None, splits: Mapping[str, Split], widths: Iterable[int], where: object
) -> tuple[str, ...]:
    """The class names of a file: its own, or numbers as far as one-hot labels or labels say."""
    if names is not None:
        return names
    width = max(widths, default=0)
    if width > max(
        (int(split.labels.max()) for split in splits.values() if len(split)), default=-1
    ):
        return tuple(map(str, range(width)))
    return _sidecar.classes(None, splits, where)


def agreed(
    names: tuple[str, ...] | None, more: tuple[str, ...] | None, where: object
) -> tuple[str, ...] | None:
    """The class names that several files say; raises FormatError where `more` are others."""
    if names is not None and more is not None and names != more:
        raise FormatError(
            f"{where}: its class names are not those of the other files, so that a label would "
            "mean two things; give the path of one file"
        )
    return more if names is None else names


def named_classes(dataset: Dataset) -> str | None:
    """The class names as a JSON list, where the labels alone would not give them back."""
    if dataset.classes == default_classes(split.labels for split in dataset.splits.values()):
        return None
    return json.dumps(list(dataset.classes), ensure_ascii=False)


def may_be(shape: tuple[int, ...]) -> bool:
    """Whether NumPy can have an array of that shape; without values its sides still count."""
    return math.prod(side or 1 for side in shape) < 1 << 60


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


def check(dataset: Dataset) -> None:
    """Raise UnsupportedError for pictures that would be read with their channels first."""
    if channels_first((1, *dataset.shape)):
        raise UnsupportedError(
            f"arrays of pictures of {'x'.join(map(str, dataset.shape))} are read as pictures of "
            f"{dataset.shape[0]} channels, as PyTorch has them"
        )


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether pictures of that shape are (N, C, H, W): 1 or 3 channels, 5 pixels a side or more."""
    return len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) >= _LEAST


def pictures(values: Array, where: str, shape: tuple[int, ...] | None = None) -> Images:
    """uint8 (N, H, W) or (N, H, W, C) of pictures stored so, as rows of `shape` or of a square.

    Channels may be first where that is clear. Numbers must be bytes, or bytes divided by 255 or
    256. Raises FormatError.
    """
    found = f"found {values.dtype} of shape {values.shape}"
    if (
        values.dtype.kind not in "biuf"
        or not 2 <= values.ndim <= 4
        or not 0 < math.prod(values.shape[1:]) < _sidecar.PICTURE_LIMIT
    ):
        raise FormatError(f"{where}: expected pictures (N, H, W) or (N, H, W, C), {found}")
    if values.ndim == 2:
        side = math.isqrt(values.shape[1])
        shape = (side, side) if shape is None else shape
        if math.prod(shape) != values.shape[1]:
            raise FormatError(
                f"{where}: expected pictures (N, H, W), (N, H, W, C) or square ones as rows; "
                f"{found}"
            )
        values = values.reshape(len(values), *shape)
    elif shape is None and channels_first(values.shape):
        values = values[:, 0] if values.shape[1] == 1 else np.moveaxis(values, 1, 3)
    return in_order(values if values.dtype == np.uint8 else to_bytes(values, where))


def in_order(values: Array) -> Images:
    """The bytes of pictures in C order, copied in steps where they were not."""
    if values.flags.c_contiguous:
        return values.view(np.uint8)
    images = empty_images(values.shape)
    for start in range(0, len(values), _STEP):
        part = values[start : start + _STEP]
        images[start : start + _STEP] = part
        release(images[start : start + _STEP])
        release(part.view(np.uint8))  # a step of these may touch pages all over
    return images


def numbers(values: Array, count: int, where: str) -> tuple[npt.NDArray[np.int64], int]:
    """int64 labels (N,), and how many classes they are said to be of (0: nobody says).

    Labels are (N,), (N, 1) or (1, N) of any number type, or texts of numbers, or (N, K) with a 1 in
    the column of the class. Raises FormatError for anything else, and for another number than
    `count`.
    """
    found = f"{where}: expected {count:,} labels, one integer an example, found {values.dtype} of "
    found += f"shape {values.shape}"
    if values.ndim == 1 and values.dtype.kind == "U":
        values = _whole(values)
    if values.dtype.kind not in "biuf":
        raise FormatError(found)
    if values.ndim == 2 and values.shape[0] == count and values.shape[1] > 1:
        hot = values == 1
        if not ((hot | (values == 0)).all() and (hot.sum(axis=1) == 1).all()):
            raise FormatError(
                f"{where}: {values.shape[1]} labels an example, which are not one-hot (a "
                "multi-label set?); each row must be 0 but for a single 1, in the column of the "
                "class"
            )
        return hot.argmax(axis=1).astype(np.int64), values.shape[1]
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1 or len(values) != count:
        raise FormatError(found)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        at = int((whole != values).argmax())
        raise FormatError(f"{where}: label {at} is {values[at]}, expected one integer an example")
    return whole, 0


def _whole(texts: Array) -> Array:
    """The numbers that texts are, where all are such; else the texts themselves."""
    whole = all(re.fullmatch("[0-9]{1,9}", str(text)) for text in texts)
    return texts.astype(np.int64) if whole else texts
