"""PNG pictures, many of one shape: written by the same bytes everywhere, read fast where plain.

Specification: Portable Network Graphics, W3C Recommendation, third edition. Written: 8 bits, grey
(colour type 0) or RGB (type 2), no filter, one IDAT chunk, no ancillary chunks. Everything else is
read by Pillow.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mnistprep._arrays import Images
from mnistprep.errors import FormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_IDAT = zlib.crc32(b"IDAT")
_HEAD = len(SIGNATURE) + 25  # bytes up to the end of IHDR


@lru_cache
def _start(shape: tuple[int, ...]) -> bytes:
    colour = {(): 0, (3,): 2}[shape[2:]]
    header = b"IHDR" + struct.pack(">IIBBBBB", shape[1], shape[0], 8, colour, 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def encode(images: Images) -> Iterator[bytes]:
    """The PNG of each picture of (N, H, W) or (N, H, W, 3)."""
    shape, rows = images.shape[1:], filtered(images)
    data, size = rows.reshape(-1).data, rows[0].size if len(rows) else 1
    start, pack = _start(shape), struct.Struct(">I").pack
    for at in range(0, len(data), size):
        # Runs alone, no search for longer matches: on digits two thirds of the time of zlib's
        # default, and files a twenty-fifth larger.
        engine = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
        packed = engine.compress(data[at : at + size]) + engine.flush()
        checksum = zlib.crc32(packed, _IDAT)
        yield b"".join((start, pack(len(packed)), b"IDAT", packed, pack(checksum), _END))


def filtered(images: Images) -> Images:
    """(N, H, 1 + W * C): the lines of each picture, each after its filter, 0 for none."""
    lines = images.reshape(len(images), images.shape[1], math.prod(images.shape[2:]))
    return np.pad(lines, ((0, 0), (0, 0), (1, 0)))


def unfiltered(lines: bytes, shape: tuple[int, ...]) -> Images:
    """The pictures, (N, *shape), whose filtered lines these are."""
    height, width = shape[0], math.prod(shape[1:])
    table = np.frombuffer(lines, np.uint8).reshape(-1, height, 1 + width)
    return table[:, :, 1:].reshape(-1, *shape)


def plain_lines(data: bytes, shape: tuple[int, ...]) -> bytes | None:
    """The lines of a picture as `filtered` has them, if `data` is a PNG as `encode` writes it.

    None if it is anything else. Lengths and checksums are all compared, so that damage gives None
    too, and the slower reader's opinion.
    """
    stop = len(data) - len(_END) - 4
    if (
        not data.startswith(_start(shape))
        or not data.endswith(_END)
        or data[_HEAD : _HEAD + 8] != (stop - _HEAD - 8 & 0xFFFFFFFF).to_bytes(4, "big") + b"IDAT"
        or zlib.crc32(data[_HEAD + 4 : stop]).to_bytes(4, "big") != data[stop : stop + 4]
    ):
        return None
    line = 1 + math.prod(shape[1:])
    size = shape[0] * line
    try:
        engine = zlib.decompressobj()
        lines = engine.decompress(data[_HEAD + 8 : stop], size + 1)
    except zlib.error:
        return None
    whole = len(lines) == size and engine.eof
    return lines if whole and not any(lines[::line]) else None


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """Any picture that Pillow reads, as (H, W), or as (H, W, 3) when its channels differ.

    Raises FormatError, which starts with `where`, for what is damaged, has no exact 8-bit form or
    is not opaque.
    """
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise FormatError(f"{where}: holds {frames} pictures, expected one")
                image.load()
                return _exact(image, where)
    except UnidentifiedImageError:
        raise FormatError(f"{where}: not a picture that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FormatError(f"{where}: a picture far larger than its file; refused") from None
    # Pillow's decoders raise nearly anything on damaged data.
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        IndexError,
    ) as error:
        raise FormatError(f"{where}: a damaged picture ({str(error)[:80]})") from None


def _exact(image, where: str) -> NDArray[np.uint8]:  # type: ignore[no-untyped-def]
    if image.mode == "L":
        return np.asarray(image)
    if image.mode not in ("1", "P", "LA", "PA", "RGB", "RGBA"):
        raise FormatError(f"{where}: a picture of mode {image.mode} has no exact 8-bit form")
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[:, :, 3] != 255).any():
        raise FormatError(f"{where}: partly transparent; put it on a background first")
    red, green, blue = pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2]
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red)
    return np.ascontiguousarray(pixels[:, :, :3])
