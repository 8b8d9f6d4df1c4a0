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
_REMARK = re.compile(rb"#[^\r\n]*")
_BLANK = b"\0 \t\r\n"
_AGAIN = {  # the end of a picture, blanks, and the start of another
    "PNG": re.compile(re.escape(_END) + rb"[\0\s]*" + re.escape(SIGNATURE)),
    "JPEG": re.compile(rb"\xff\xd9[\0\s]*\xff\xd8\xff"),
    "GIF": re.compile(rb"\0;[\0\s]*GIF8"),
}
_TRANSPARENT = "partly transparent; put it on a background first"
QUICK = -1
_BATCH = 80 << 10  # bytes of pictures encoded at once: what is made of them stays in the cache
_SMALL = 4096  # bytes of a picture for which the code of its own costs more than it saves
_BEGIN = b"IDAT\x78\x01"  # of a zlib stream: deflate, a window of 32 KB, no dictionary
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # tags of TIFF
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by the colour type
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PASSES = (  # of Adam7: the first line and column of each, and the steps between them
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
)  # fmt: skip
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

    from mnistprep._pillow import STORED, opened

    _check_depth(data, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of odd tags; what matters is compared
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with opened(io.BytesIO(data), STORED) as image:
                if image.width * image.height > _limits.pixels(len(data)):
                    raise Image.DecompressionBombError
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise FormatError(f"{where}: holds {frames} pictures, expected one")
                if _goes_on(image, data):
                    raise FormatError(
                        f"{where}: goes on behind its picture, perhaps with another; expected one "
                        "picture a file"
                    )
                colours = _checked(data, where) if data.startswith(SIGNATURE) else None
                image.load()
                if image.mode == "P" and colours and np.asarray(image).max() >= colours:
                    raise FormatError(f"{where}: a damaged picture (it uses colours it has not)")
                return _exact(image, where), Kind(_lossy(image, data), image.mode[0] in "1LIF")
    except UnidentifiedImageError:
        told = _foreign.of(data[:1024], len(data)) or (
            "not a picture that can be read; expected PNG, BMP, GIF, TIFF, WebP, PGM, PPM or JPEG"
        )
        raise FormatError(f"{where}: {told}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FormatError(f"{where}: a picture far larger than its file; {_limits.RAISE}") from None
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        raise FormatError(f"{where}: a damaged picture ({str(error)[:80]})") from None


def _goes_on(image, data: bytes) -> bool:  # type: ignore[no-untyped-def]
    """Whether another picture is behind the one of which Pillow, not having read it, knows.

    A file of netpbm may be a sequence of pictures, so it may hold nothing behind its first.
    """
    if image.format == "PPM":
        start, kind = image.tile[0][2], data[:2]
        if kind in (b"P1", b"P2", b"P3"):
            return b"P" in _REMARK.sub(b"", data[start:])
        top = _NETPBM.match(data)
        wide = 2 if top and int(top[1]) > 255 else 1
        line = {b"P4": -(-image.width // 8), b"P6": 3 * image.width}.get(kind, image.width)
        return bool(data[start + wide * line * image.height :].strip(_BLANK))
    if image.format in ("BMP", "WEBP"):
        at, magic, before = (2, b"BM", 0) if image.format == "BMP" else (4, b"RIFF", 8)
        size = before + int.from_bytes(data[at : at + 4], "little")
        return size > at and data[size:].lstrip(_BLANK).startswith(magic)
    if image.format == "TIFF":
        return data.find(data[:8], 1) > 0
    mark = _AGAIN.get(image.format)
    return mark is not None and mark.search(data) is not None


def _checked(data: bytes, where: object) -> int:
    """Compare checksums, chunks and lines of a PNG, which Pillow takes in nearly any number.

    Returns how many colours its palette has. What is missing Pillow makes black.
    """
    chunks: dict[bytes, list[bytes]] = {kind: [] for kind in _CRITICAL}
    at = len(SIGNATURE)
    while not chunks[b"IEND"]:
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if zlib.crc32(data[at + 4 : stop]).to_bytes(4, "big") != data[stop : stop + 4]:
            raise FormatError(f"{where}: a damaged picture (wrong checksum, or truncated)")
        kind = data[at + 4 : at + 8]
        if kind in chunks:
            chunks[kind].append(data[at + 8 : stop])
        elif not kind[:1].islower():
            raise FormatError(f"{where}: a damaged picture (a chunk {kind!r}, which no PNG has)")
        at = stop + 4
    headers, palettes = chunks[b"IHDR"], chunks[b"PLTE"]
    if [len(header) for header in headers] != [13] or len(palettes) > 1:
        raise FormatError(f"{where}: a damaged picture (more than one header or palette)")
    if headers[0][9] == 3 and not palettes:
        raise FormatError(f"{where}: a damaged picture (no palette)")
    expected = _expected(headers[0])
    engine = zlib.decompressobj()
    lines = engine.decompress(b"".join(chunks[b"IDAT"]), expected + 1)
    if len(lines) != expected or not engine.eof:
        raise FormatError(f"{where}: a damaged picture (fewer or more lines than it says)")
    return len(palettes[0]) // 3 if palettes else 0


def _expected(header: bytes) -> int:
    """The bytes of the filtered lines of a PNG with that IHDR."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _SAMPLES[colour]
    size = 0
    for line, column, down, right in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, lines = -(-(width - column) // right), -(-(height - line) // down)
        if columns > 0 and lines > 0:
            size += lines * (1 + (columns * bits + 7) // 8)
    return size


def _check_depth(data: bytes, where: object) -> None:
    """Refuse what Pillow would round to 8 bits, or stretch, without a word."""
    if data.startswith(SIGNATURE) and len(data) > 25 and data[24] == 16 and data[25] != 0:
        raise FormatError(f"{where}: 16 bits a channel in colour have no exact 8-bit form")
    top = _NETPBM.match(data)
    if data.startswith(b"P") and not (top or data.startswith((b"P1", b"P4"))):
        raise FormatError(f"{where}: a damaged picture (its header is not a plain one of netpbm)")
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
    if image.mode in ("1", "I", "I;16", "I;16B") and "transparency" in image.info:
        raise FormatError(f"{where}: {_TRANSPARENT}")
    if max(bits) > 8 and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
        raise FormatError(f"{where}: more than 8 bits a pixel, of which 0 is white")
    if image.mode.startswith("I"):
        return _of_words(np.asarray(image), where)
    if image.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA") or max(bits) > 8:
        raise FormatError(f"{where}: a picture of mode {image.mode} has no exact 8-bit form")
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[:, :, 3] != 255).any():
        raise FormatError(f"{where}: {_TRANSPARENT}")
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
