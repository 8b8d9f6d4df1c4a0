"""Pixels stored as numbers, brought back to the bytes they were made from, exactly or not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images
from mnistprep.errors import FormatError

_STEP = 1 << 16  # values: what is made of them stays in the processor's cache
_UNIT = (np.arange(256) / 255).astype(np.float32)


def to_unit(images: Images) -> npt.NDArray[np.float32]:
    """float32 pictures of byte / 255, rounded once; `to_bytes` gives back every byte."""
    return _UNIT[images]


def to_bytes(values: npt.NDArray[np.generic], where: str) -> Images:
    """uint8 pictures of `values`: byte / 256, byte / 255 or bytes, in any number type.

    One scale must give back every value bit for bit. Raises FormatError, which starts with `where`,
    for anything else: pictures that were normalised or resampled cannot be had back.
    """
    images = empty_images(values.shape)
    furthest = -1
    for scale in (256, 255, 1) if values.dtype.kind == "f" else (1,):
        wrong = _convert(values, images, scale)
        if wrong is None:
            return images
        furthest = max(furthest, wrong)
    raise FormatError(
        f"{where}: picture {furthest} holds values that are neither bytes nor bytes divided by 255 "
        "or 256; they were changed, and the pictures cannot be had back exactly"
    )


def _convert(values: npt.NDArray[np.generic], images: Images, scale: int) -> int | None:
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
            again = np.divide(found, kind(scale), dtype=kind) if scale != 1 else found
        if np.array_equal(again, part):
            continue
        # Others divide in double precision and round then.
        table = (np.arange(256) / scale).astype(values.dtype)[found]
        if not np.array_equal(table, part):
            wrong = ~((again == part) | (table == part)).reshape(len(part), -1).all(axis=1)
            return start + int(wrong.argmax()) if wrong.any() else start
    return None
