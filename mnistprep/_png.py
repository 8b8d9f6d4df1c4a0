"""PNG pictures, many of one shape: written by the same bytes everywhere, read fast where plain.

Specification: Portable Network Graphics, W3C Recommendation, third edition. Written: 8 bits, grey
(colour type 0) or RGB (type 2), no filter, one IDAT chunk, no ancillary chunks. Everything else is
read by Pillow.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnistprep import _deflate, _foreign, _limits
from mnistprep._arrays import Images
from mnistprep.errors import FormatError, UnsupportedError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_NETPBM = re.compile(  # magic, width, height, with comments between; the largest value
    rb"P[2356](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d{1,9})(?=\s)"
)
QUICK = -1
_BATCH = 80 << 10  # bytes of pictures encoded at once: what is made of them stays in the cache
_SMALL = 4096  # bytes of a picture for which the code of its own costs more than it saves
_BEGIN = b"IDAT\x78\x01"  # of a zlib stream: deflate, a window of 32 KB, no dictionary
_BITS_PER_SAMPLE = 258  # a tag of TIFF
_HEAD = len(SIGNATURE) + 25  # bytes up to the end of IHDR


def check(shape: tuple[int, ...]) -> None:
    """Raise UnsupportedError for pictures that PNG, as it is written here, cannot hold."""
    if len(shape) == 3 and shape[2] != 3:
        raise UnsupportedError(f"PNG holds grey (H, W) or three channels, not {shape[2]}")


@lru_cache
def _start(shape: tuple[int, ...]) -> bytes:
    colour = {(): 0, (3,): 2}[shape[2:]]
    header = b"IHDR" + struct.pack(">IIBBBBB", shape[1], shape[0], 8, colour, 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def encode(images: Images, *, level: int = QUICK) -> Iterator[bytes]:
    """The PNG of each picture of (N, H, W) or (N, H, W, 3).

    level: zlib's, 0 to 9, or QUICK: runs of equal bytes, many small pictures at a time, or zlib's
    runs alone where a picture is larger, or has few of them.
    """
    start, pack, crc32 = _start(images.shape[1:]), struct.Struct(">I").pack, zlib.crc32
    step = max(1, _BATCH // math.prod(images.shape[1:]))
    for first in range(0, len(images), step):
        lines = filtered(images[first : first + step])
        lines = lines.reshape(len(lines), lines[0].size)
        for body in _quick(lines) if level == QUICK else _by_zlib(lines, level):
            yield b"".join((start, pack(len(body) - 4), body, pack(crc32(body)), _END))


def _quick(lines: Images) -> Iterator[bytes]:
    """The IDAT of each row, without length and checksum."""
    size = lines.shape[1]
    if size > _SMALL:
        yield from _by_zlib(lines, 6, zlib.Z_RLE)
        return
    streams, starts = _deflate.deflate(lines)
    data, pack, adler32 = lines.reshape(-1).data, struct.Struct(">I").pack, zlib.adler32
    for k, (start, stop) in enumerate(pairwise(starts)):
        row = data[k * size : (k + 1) * size]
        if 2 * (stop - start) > size:  # a code of its own makes these much smaller
            yield from _by_zlib(lines[k : k + 1], 6, zlib.Z_RLE)
        else:
            yield b"".join((_BEGIN, streams[start:stop], pack(adler32(row))))


def _by_zlib(lines: Images, level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Iterator[bytes]:
    for row in lines:
        engine = zlib.compressobj(level, zlib.DEFLATED, 15, 8, strategy)
        yield b"IDAT" + engine.compress(row.data) + engine.flush()


def filtered(images: Images) -> Images:
    """(N, H, 1 + W * C): the lines of each picture, each after its filter, 0 for none."""
    count, height, width = len(images), images.shape[1], math.prod(images.shape[2:])
    lines = np.zeros((count, height, 1 + width), np.uint8)
    lines[:, :, 1:] = images.reshape(count, height, width)
    return lines


def unfiltered(lines: bytes, shape: tuple[int, ...]) -> Images:
    """The pictures, (N, *shape), whose filtered lines these are."""
    height, width = shape[0], math.prod(shape[1:])
    table = np.frombuffer(lines, np.uint8).reshape(-1, height, 1 + width)
    return table[:, :, 1:].reshape(-1, *shape)


def plain_reader(shape: tuple[int, ...]) -> Callable[[bytes], bytes | None]:
    """What gives the lines of a picture of that shape, as `filtered` has them, from its PNG.

    None for anything but a PNG as `encode` writes it. Lengths and checksums are all compared, so
    that damage gives None too, and the slower reader's opinion.
    """
    if shape[2:] not in ((), (3,)):
        return lambda data: None
    line = 1 + math.prod(shape[1:])
    size, start, around = shape[0] * line, _start(shape), _HEAD + 8 + 4 + len(_END)

    def lines_of(data: bytes) -> bytes | None:
        length = len(data) - around
        stop = _HEAD + 8 + length
        if (
            not 0 <= length < 1 << 32
            or not data.startswith(start)
            or not data.endswith(_END)
            or data[_HEAD : _HEAD + 8] != length.to_bytes(4, "big") + b"IDAT"
            or zlib.crc32(data[_HEAD + 4 : stop]).to_bytes(4, "big") != data[stop : stop + 4]
        ):
            return None
        engine = zlib.decompressobj()
        try:
            lines = engine.decompress(data[_HEAD + 8 : stop], size + 1)
        except zlib.error:
            return None
        whole = len(lines) == size and engine.eof
        return lines if whole and lines[::line].count(0) == shape[0] else None

    return lines_of


@dataclass(frozen=True)
class Kind:
    """How a picture was stored. lossy: "JPEG" or "WebP" if so; grey: where colour has no place."""

    lossy: str | None
    grey: bool


def examine(data: bytes, where: object) -> tuple[NDArray[np.uint8], Kind]:
    """Any picture that Pillow reads, as (H, W), or as (H, W, 3) when its channels differ.

    Raises FormatError, which starts with `where`, for what is damaged, has no exact 8-bit form or
    is not opaque.
    """
    import warnings

    from PIL import Image, UnidentifiedImageError

    _check_depth(data, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of odd tags; what matters is compared
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > _limits.pixels(len(data)):
                    raise Image.DecompressionBombError
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise FormatError(f"{where}: holds {frames} pictures, expected one")
                _check_chunks(data, where)
                image.load()
                return _exact(image, where), Kind(_lossy(image, data), image.mode[0] in "1LIF")
    except UnidentifiedImageError:
        told = _foreign.of(data[:1024], len(data)) or "not a picture that can be read"
        raise FormatError(f"{where}: {told}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FormatError(f"{where}: a picture far larger than its file; {_limits.RAISE}") from None
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise FormatError(f"{where}: a damaged picture ({str(error)[:80]})") from None


def _check_chunks(data: bytes, where: object) -> None:
    """Compare the checksums of a PNG; Pillow passes over those of the pixels."""
    at = len(SIGNATURE)
    while data.startswith(SIGNATURE):
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if zlib.crc32(data[at + 4 : stop]).to_bytes(4, "big") != data[stop : stop + 4]:
            raise FormatError(f"{where}: a damaged picture (wrong checksum, or truncated)")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = stop + 4


def _check_depth(data: bytes, where: object) -> None:
    """Refuse what Pillow would round to 8 bits, or stretch, without a word."""
    if data.startswith(SIGNATURE) and len(data) > 25 and data[24] == 16 and data[25] != 0:
        raise FormatError(f"{where}: 16 bits a channel in colour have no exact 8-bit form")
    top = _NETPBM.match(data)
    if top and int(top[1]) not in (1, 255, 65535):
        raise FormatError(f"{where}: brightness up to {int(top[1])}, expected 255")


def _lossy(image, data: bytes) -> str | None:  # type: ignore[no-untyped-def]
    if image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg":
        return "JPEG"
    return "WebP" if image.format == "WEBP" and b"VP8 " in data[12:4096] else None


def _exact(image, where: object) -> NDArray[np.uint8]:  # type: ignore[no-untyped-def]
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    if image.mode == "L" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode.startswith("I"):
        return _of_words(np.asarray(image), where)
    if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA") or max(bits) > 8:
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


def _of_words(pixels: NDArray[np.generic], where: object) -> NDArray[np.uint8]:
    """8 bits from 16 that repeat them: byte * 257."""
    values = pixels.astype(np.int64)
    found = (values // 257).astype(np.uint8)
    if (found.astype(np.int64) * 257 != values).any():
        raise FormatError(f"{where}: more than 8 bits a pixel, with no exact 8-bit form")
    return found
