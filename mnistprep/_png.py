"""PNG pictures, many of one shape: written by the same bytes everywhere, read fast where plain.

Specification: Portable Network Graphics, W3C Recommendation, third edition. Written: 8 bits, grey
(colour type 0) or RGB (type 2), no filter, one IDAT chunk, no ancillary chunks. Everything else is
read by Pillow.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mnistprep._arrays import Images
from mnistprep.errors import FormatError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_IDAT = zlib.crc32(b"IDAT")
_HEAD = len(SIGNATURE) + 25  # bytes up to the end of IHDR


def _start(shape: tuple[int, ...]) -> bytes:
    colour = {(): 0, (3,): 2}[shape[2:]]
    header = b"IHDR" + struct.pack(">IIBBBBB", shape[1], shape[0], 8, colour, 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def encode(images: Images, *, level: int = 6) -> Iterator[bytes]:
    """The PNG of each picture of (N, H, W) or (N, H, W, 3); `level` is zlib's."""
    shape = images.shape[1:]
    lines = images.reshape(len(images), shape[0], -1)
    filtered = np.zeros((len(images), shape[0], lines.shape[2] + 1), np.uint8)
    filtered[:, :, 1:] = lines  # every line begins with its filter, 0
    data, size = filtered.reshape(-1).data, filtered[0].size if len(images) else 0
    start, pack = _start(shape), struct.Struct(">I").pack
    for at in range(0, len(data), size or 1):
        packed = zlib.compress(data[at : at + size], level)
        checksum = zlib.crc32(packed, _IDAT)
        yield b"".join((start, pack(len(packed)), b"IDAT", packed, pack(checksum), _END))


def decode_plain(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The picture, if `data` is a PNG as `encode` writes it; None if it is anything else.

    Lengths and checksums are all compared, so damage gives None, and the slower reader's opinion.
    """
    length = len(data) - _HEAD - 12 - len(_END)
    if (
        length < 0
        or data[:_HEAD] != _start(shape)
        or data[_HEAD : _HEAD + 8] != struct.pack(">I", length) + b"IDAT"
        or data[-len(_END) :] != _END
        or zlib.crc32(data[_HEAD + 4 : _HEAD + 8 + length])
        != int.from_bytes(data[_HEAD + 8 + length : _HEAD + 12 + length], "big")
    ):
        return None
    height, width = shape[0], shape[1] * (shape[2] if len(shape) == 3 else 1)
    size = height * (width + 1)
    try:
        engine = zlib.decompressobj()
        lines = engine.decompress(data[_HEAD + 8 : _HEAD + 8 + length], size + 1)
    except zlib.error:
        return None
    if len(lines) != size or not engine.eof:
        return None
    table = np.frombuffer(lines, np.uint8).reshape(height, width + 1)
    if table[:, 0].any():
        return None
    return table[:, 1:].reshape(shape)


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
