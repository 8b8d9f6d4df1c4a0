"""Pictures as files of several kinds, all without loss."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from mnistprep import _png
from mnistprep._arrays import Images
from mnistprep.errors import UnsupportedError

Kind = Literal["png", "bmp", "pgm", "tiff", "webp"]
Compression = Literal["fast", "small", "none"]
Encoder = Callable[[Images], Iterator[bytes]]

_LEVELS = {"fast": _png.QUICK, "small": 9, "none": 0}
_SIDES = {"webp": 16383, "bmp": 2**31 - 1}  # the largest width and height


def encoder(kind: Kind, compression: Compression, shape: tuple[int, ...]) -> tuple[Encoder, str]:
    """What makes files of pictures of that shape, and the ending of their names.

    Raises UnsupportedError for channels or sides that the kind does not have.
    """
    if len(shape) == 3 and shape[2] != 3:
        raise UnsupportedError(
            f"{kind.upper()} holds grey (H, W) or three channels, not {shape[2]}"
        )
    if max(shape[:2]) > _SIDES.get(kind, max(shape)):
        raise UnsupportedError(f"{kind.upper()} holds at most {_SIDES[kind]:,} pixels a side")
    if kind == "png":
        return partial(_png.encode, level=_LEVELS[compression]), ".png"
    if kind == "pgm":
        return _netpbm, ".ppm" if len(shape) == 3 else ".pgm"
    return partial(_by_pillow, kind), ".tif" if kind == "tiff" else f".{kind}"


def _netpbm(images: Images) -> Iterator[bytes]:
    magic = b"P6" if images.ndim == 4 else b"P5"
    head = b"%s\n%d %d\n255\n" % (magic, images.shape[2], images.shape[1])
    return (head + image.tobytes() for image in images)


def _by_pillow(kind: str, images: Images) -> Iterator[bytes]:
    from PIL import Image

    options: dict[str, dict[str, Any]] = {
        "webp": {"lossless": True, "exact": True},
        "tiff": {"compression": "raw"},
    }
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, kind, **options.get(kind, {}))
        yield file.getvalue()
