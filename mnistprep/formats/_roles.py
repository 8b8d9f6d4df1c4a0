"""What an array of somebody's file is, by its name and values; for the forms with named arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, release
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._scale import to_bytes
from mnistprep.formats._splits import named_split

Array = npt.NDArray[np.generic]

IMAGES, LABELS, CLASSES = "images", "labels", "classes"
_SPLIT = r"(?:train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?|t10k|eval)(?:set|data|split)?"
_ROLE = (
    r"(?P<images>images?|imgs?|x|data|features?|pixels|inputs?|samples|digits|pictures)"
    r"|(?P<labels>labels?|lbls?|y|targets?|class|outputs?)"
)
_NAME = re.compile(
    rf"(?:mnist|dataset)?(?P<before>{_SPLIT})?(?:{_ROLE})(?:orig)?(?P<after>{_SPLIT})?"
)
_CLASSES = {"classes", "classnames", "labelnames", "listclasses", "targetnames", "categories"}
_STEP = 8192  # pictures


def role(name: str) -> tuple[str | None, str] | None:
    """(split, IMAGES or LABELS or CLASSES) of an array: x_train, test/images, training_labels, ...

    The split is None where the name says none; the result is None where it says nothing.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in _CLASSES:
        return None, CLASSES
    match = _NAME.fullmatch(plain)
    if not match or (match["before"] and match["after"]):
        return None
    split = match["before"] or match["after"]
    return (named_split(split) if split else None), IMAGES if match["images"] else LABELS


def is_data(name: str, texts: object) -> bool:
    """Whether an array is more than texts about the data: numbers, or the names of classes."""
    return texts is None or role(name) == (None, CLASSES)


def pairs(names: Iterable[str], where: str) -> dict[str | None, dict[str, str]]:
    """By split, the names of its pictures and of its labels (and under None those of classes).

    Raises FormatError where a name says nothing, two say the same, or one of a pair is missing.
    """
    found: dict[str | None, dict[str, str]] = {}
    listed = sorted(names)
    for name in listed:
        known = role(name)
        if known is None:
            raise FormatError(
                f"{where}: no place in a dataset for the array {printable(name, 40)!r}; expected "
                f"names such as x_train and y_train, found {shown(listed)}"
            )
        split, kind = known
        other = found.setdefault(split, {}).setdefault(kind, name)
        if other != name:
            raise FormatError(f"{where}: {printable(other)} and {printable(name)} are both {kind}")
    for kinds in found.values():
        if kinds.keys() in ({IMAGES}, {LABELS}):
            ((kind, name),) = kinds.items()
            lacking = LABELS if kind == IMAGES else IMAGES
            raise FormatError(
                f"{where}: {printable(name)} has no {lacking} with it; found {shown(listed)}"
            )
    return found


def shown(names: Iterable[str]) -> str:
    """A few of the names, fit for a message."""
    some = [printable(name, 40) for name in names]
    return (", ".join(some[:8]) + (", ..." if len(some) > 8 else "")) or "nothing"


def pictures(values: Array, where: str, shape: tuple[int, ...] | None = None) -> Images:
    """uint8 (N, H, W) or (N, H, W, C) of pictures stored so, as square rows, or with `shape`.

    Numbers must be bytes, or bytes divided by 255 or 256. Raises FormatError.
    """
    if values.dtype.kind not in "biuf" or not 2 <= values.ndim <= 4:
        raise FormatError(
            f"{where}: expected pictures (N, H, W), (N, H, W, C) or (N, H * W), "
            f"found {values.dtype} of shape {values.shape}"
        )
    if values.ndim == 2:
        side = math.isqrt(values.shape[1])
        shape = (side, side) if shape is None else shape
        if math.prod(shape) != values.shape[1]:
            raise FormatError(
                f"{where}: {values.shape[1]} pixels a picture are no square, "
                "and nothing here says height and width"
            )
        values = values.reshape(len(values), *shape)
    if not 0 < math.prod(values.shape[1:]) < _sidecar.PICTURE_LIMIT:
        raise FormatError(f"{where}: no pictures have the shape {values.shape[1:]}")
    if values.dtype != np.uint8:
        values = to_bytes(values, where)
    return in_order(values.view(np.uint8))


def in_order(values: Images) -> Images:
    """The same in C order, copied in steps where it was not."""
    if values.flags.c_contiguous:
        return values
    images = empty_images(values.shape)
    for start in range(0, len(values), _STEP):
        images[start : start + _STEP] = values[start : start + _STEP]
        release(images[start : start + _STEP])
        release(values)  # a step of these may touch pages all over
    return images


def numbers(values: Array, count: int, where: str) -> tuple[npt.NDArray[np.int64], int]:
    """int64 labels (N,), and how many classes they are said to be of (0: nobody says).

    Labels are (N,), (N, 1) or (1, N) of any number type, or (N, K) with a 1 in the column of the
    class. Raises FormatError for anything else, and for another number than `count`.
    """
    found = f"{where}: expected {count:,} labels, found {values.dtype} of shape {values.shape}"
    if values.dtype.kind not in "biuf":
        raise FormatError(found)
    if values.ndim == 2 and values.shape[0] == count and values.shape[1] > 1:
        hot = values == 1
        if not ((hot | (values == 0)).all() and (hot.sum(axis=1) == 1).all()):
            raise FormatError(
                f"{where}: each row must be 0 but for a single 1, in the column of the class"
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
        raise FormatError(f"{where}: label {at} is {values[at]}, expected whole numbers")
    return whole, 0


def of_classes(
    texts: tuple[str, ...] | None, widths: Iterable[int], highest: int
) -> tuple[str, ...] | None:
    """The class names of a file: its own, or numbers as far as one-hot labels say."""
    if texts is not None:
        return texts
    width = max(widths, default=0)
    return tuple(map(str, range(width))) if width > highest else None
