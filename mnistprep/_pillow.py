"""Opening pictures with Pillow: of the kinds that are named here, and of no other.

Pillow knows many more, and would go by the content, whatever a file is called. PostScript among
them is a language of programs, which Pillow hands to Ghostscript where that is installed.
"""

from __future__ import annotations

import logging
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

STORED = ("PNG", "JPEG", "BMP", "DIB", "GIF", "PPM", "TIFF", "WEBP")
DRAWN = (*STORED, "AVIF", "JPEG2000", "ICO", "PCX", "TGA")

# What it has to say of a picture would be printed wherever a program has no logging of its own.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def opened(source: BinaryIO, kinds: tuple[str, ...]) -> Image.Image:
    """The picture, not yet decoded; raises UnidentifiedImageError for one of another kind.

    kinds: names of Pillow; those that it was built without are no kinds.
    """
    Image.preinit()  # the most common ones
    try:
        return Image.open(source, formats=[kind for kind in kinds if kind in Image.OPEN])
    except UnidentifiedImageError:
        Image.init()
        return Image.open(source, formats=[kind for kind in kinds if kind in Image.OPEN])
