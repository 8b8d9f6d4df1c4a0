"""Pictures and texts as a page can hold them: small, self-contained, harmless."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from mnistprep import _png
from mnistprep._arrays import Images
from mnistprep._text import printable
from mnistprep.report.sheets import drawable

GREY_SIDE, COLOUR_SIDE = 48, 32  # pixels; a picture takes no more than 3 KB, however large it was
ONE_SIDE = 128  # the one picture that is shown by itself
TEXT = 80  # letters of a text that are shown
NAME = 24  # of the name of a class
EDGE = 56  # pixels that small pictures are enlarged to, about: twice the size of a digit
ONE_EDGE = 280  # the same for the one that is shown by itself


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with its size in pixels on the page and its text alternative."""

    uri: str
    width: int
    height: int
    alt: str


def embedded(array: Images, alt: str, *, times: int = 1) -> Picture:
    """A drawable array (H, W) or (H, W, 3) as a PNG, shown `times` its size."""
    data = next(_png.encode(array[np.newaxis]))
    uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(uri, array.shape[1] * times, array.shape[0] * times, alt)


def tile(picture: Images, alt: str) -> Picture:
    """One picture of a dataset, shrunk if large, enlarged if small."""
    drawn = tiles(picture[np.newaxis])[0]
    return embedded(drawn, alt, times=factor(drawn.shape))


def tiles(pictures: Images, side: int | None = None) -> Images:
    """Pictures (N, H, W) or (N, H, W, C) as the page shows them: drawable, and shrunk if large."""
    drawn = drawable(pictures)
    return shrunk(drawn, side or (COLOUR_SIDE if drawn.ndim == 4 else GREY_SIDE))


def shrunk(pictures: Images, side: int) -> Images:
    """The pictures with neither height nor width above `side`, each block of pixels averaged."""
    height, width = pictures.shape[1:3]
    factor = -(-max(height, width) // side)
    if factor == 1:
        return pictures
    high, wide = -(-height // factor), -(-width // factor)
    fill = [(0, 0), (0, high * factor - height), (0, wide * factor - width)]
    fill += [(0, 0)] * (pictures.ndim - 3)
    whole = np.pad(pictures, fill, mode="edge")
    blocks = whole.reshape(len(whole), high, factor, wide, factor, *pictures.shape[3:])
    averaged: Images = blocks.mean(axis=(2, 4), dtype=np.float32).round().astype(np.uint8)
    return averaged


def factor(shape: tuple[int, ...], edge: int = EDGE) -> int:
    """How many times a picture of that shape is enlarged, to about `edge`."""
    return max(1, round(edge / max(shape[:2])))


def text(value: object, limit: int = TEXT) -> str:
    """A foreign text as it is safe to show: no control and direction marks, not too long.

    What is left out is left out in the middle: the ends of paths and names say most.
    """
    whole = str(value)
    if len(whole) > 2 * limit:
        whole = whole[:limit] + whole[-limit:]
    whole = printable(whole)
    if len(whole) <= limit:
        return whole
    head = limit * 2 // 5
    return f"{whole[:head]}…{whole[head + 1 - limit :]}"


def share(part: float, digits: int = 2) -> str:
    """A share from 0 to 1 as a person reads it; only the whole is called 100 %."""
    shown = f"{100 * part:.{digits}f}"
    if part < 1 and float(shown) == 100:
        shown = f"{100 - 10.0**-digits:.{digits}f}"
    return f"{shown}\N{NO-BREAK SPACE}%"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A number and its noun: "1 picture", "2,000 pictures"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
