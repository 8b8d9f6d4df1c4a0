"""Pixels stored as numbers, brought back to the bytes they were made from, exactly or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images
from mnistprep.errors import FormatError

_STEP = 1 << 16  # values: what is made of them stays in the processor's cache
_INK = 16  # bytes other than 0, with which pixels are not taken for wider numbers by chance
_BYTES = np.arange(256)
_UNIT = (_BYTES / 255).astype(np.float32)
_Table = npt.NDArray[np.generic]


def to_unit(images: Images) -> npt.NDArray[np.float32]:
    """float32 pictures of byte / 255, rounded once; `to_bytes` gives back every byte."""
    return _UNIT[images]


def to_bytes(values: npt.NDArray[np.generic], where: str) -> Images:
    """uint8 pictures of `values`: byte / 256, byte / 255 or bytes, in any number type.

    Booleans are black and white, 0 and 255.

    One scale, reckoned in one of the float types no wider than theirs, must give back every value
    bit for bit. Raises FormatError, which starts with `where`, for anything else: pictures that
    were normalised or resampled cannot be had back.
    """
    images = empty_images(values.shape)
    if values.dtype == np.bool_:
        np.not_equal(values.view(np.uint8), 0, out=images.view(np.bool_))
        images *= 255
        return images
    furthest = -1
    for scale in (256, 255, 1) if values.dtype.kind == "f" else (1,):
        for table in _tables(values.dtype, scale):
            wrong = _convert(values, images, scale, table)
            if wrong is None:
                return images
            furthest = max(furthest, wrong)
    raise FormatError(
        f"{where}: picture {furthest} holds values that are neither bytes nor bytes divided by 255 "
        "or 256; they were changed, and the pictures cannot be had back exactly"
    )


def _tables(dtype: np.dtype[np.generic], scale: int) -> Iterator[_Table | None]:
    """What the 256 bytes are as values of that type, the likeliest first.

    None stands for division in the type itself. Others divide, or multiply by 1 / 255, in it or
    in a narrower type: float32 pictures become float64 in a list of Python's, float16 ones float32.
    """
    yield None
    if scale != 255:  # by 256 every way gives the same, and bytes are bytes
        return
    narrower = [
        kind for kind in (np.float64, np.float32, np.float16) if dtype.itemsize > kind().itemsize
    ]
    for kind in (dtype.type, *narrower):
        if kind is not dtype.type:
            yield np.divide(_BYTES, kind(255), dtype=kind).astype(dtype)
        yield np.multiply(_BYTES, kind(1 / 255), dtype=kind).astype(dtype)


def _convert(
    values: npt.NDArray[np.generic], images: Images, scale: int, table: _Table | None
) -> int | None:
    """Fill `images`; the index of the first picture that is not exact, or None."""
    kind = values.dtype.type
    step = max(1, _STEP // max(1, values[:1].size))
    for start in range(0, len(values), step):
        part, found = values[start : start + step], images[start : start + step]
        with np.errstate(all="ignore"):  # infinities, NaN and large values fail the comparison
            numbers = part
            if scale != 1:
                numbers = np.multiply(part, scale, dtype=kind)
                np.rint(numbers, out=numbers)
            np.copyto(found, numbers, casting="unsafe")
            again: npt.NDArray[np.generic] = found
            if table is not None:
                again = table[found]
            elif scale != 1:  # division takes a third of the time that looking up does
                again = np.divide(found, kind(scale), dtype=kind)
        if not np.array_equal(again, part):
            return start + int((again != part).reshape(len(part), -1).any(axis=1).argmax())
    return None


def wide(data: bytes) -> str | None:
    """The type of numbers of four bytes each that hold pixels, if that is what the bytes are.

    There must be some ink: black is the same in every type.
    """
    if len(data) % 4 or np.count_nonzero(np.frombuffer(data, np.uint8)) < _INK:
        return None
    for kind in ("<f4", "<i4"):
        with suppress(FormatError):
            to_bytes(np.frombuffer(data, kind)[:, None], "")
            return np.dtype(kind).name
    return None
