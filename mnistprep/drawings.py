"""Pictures of digits brought into MNIST's form: photographs, drawings, scans, PNGs of a tree.

The form is that of Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
to document recognition" (1998), and of the page of MNIST: white ink on black; black-and-white
strokes scaled to fit a box of 20x20, their aspect ratio kept, grey only by that scaling; placed in
a field of 28x28 with the centre of mass at its centre. In the 70,000 published pictures that
centre, counted from the field's corner, is from 14 up to 15 both ways; so it is here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mnistprep import _ink, _limits
from mnistprep._arrays import Images
from mnistprep._files import existing, head
from mnistprep._pillow import DRAWN, opened
from mnistprep._text import printable
from mnistprep._workers import spans
from mnistprep.errors import FormatError, MnistprepError, UsageError

SHAPE = 28, 28  # of MNIST's pictures

_BOX = 20 / 28  # share of a side of the field that the digit fills
_FILLED = 0.7  # share of the box that a digit in the form fills at least; synth has such
_BRIGHT = 128  # what its brightest pixel reaches at least
_ONE_COLOUR = 64  # levels of 255 over which the greys of one ink spread, at most
_CARD = 0.6  # share of its box that paper fills, at least
_STEP = 1 << 20  # pixels
_HEIC = b"ftyphei", b"ftyphev", b"ftypmif", b"ftypmsf"  # after the first four bytes of a file


def open_picture(path: Path) -> Image.Image:
    """The first picture of a file that Pillow reads; a large JPEG only as large as is needed.

    Raises MissingPath, UsageError for what is no file, and FormatError for a file that is no
    picture, is damaged, or holds more pixels than Pillow deems safe or its bytes allow.
    """
    name = printable(str(path))
    if existing(path).is_dir():
        raise UsageError(f"{name} is a folder; give pictures, such as {name}/*.png")
    if not path.is_file():
        raise UsageError(f"{name} is not a regular file; give a picture")
    size = path.stat().st_size
    if size > _limits.at_least(_limits.LIMIT):
        raise FormatError(f"{name}: {size:,} bytes, larger than any picture; {_limits.RAISE}")
    with _translated(name):
        # Of a file Pillow asks for as many bytes as a chunk says that it has: gigabytes.
        data = io.BytesIO(path.read_bytes())
        try:
            picture = opened(data, DRAWN)
        except UnidentifiedImageError:
            if head(path, 11)[4:] in _HEIC:
                raise FormatError(
                    f"{name}: a HEIC photograph, which cannot be read; save it as JPEG or PNG"
                ) from None
            raise
        with picture:
            if picture.width * picture.height > _limits.pixels(size):
                raise FormatError(
                    f"{name}: {picture.width:,} x {picture.height:,} pixels in a file of "
                    f"{size:,} bytes; {_limits.RAISE}"
                )
            picture.draft(None, (_ink.WORKING[1],) * 2)
            picture.load()
        return picture


def as_digit(
    picture: Image.Image, shape: tuple[int, int] = SHAPE, *, name: str = "the picture"
) -> Images:
    """The digit of a picture in MNIST's form, uint8 `shape` (height, width), 0 = background.

    Any size, mode and colours; dark on light or light on dark; drawn, scanned or photographed; a
    transparent ground; the orientation that a camera recorded is followed. A picture that has the
    form already comes back as it is, to the bit. In a field of another shape than 28x28 the box
    takes up as much of each side. The same picture always gives the same result.

    Raises FormatError when there is no digit in the picture, or it cannot be decoded; `name` is
    what the message calls it.
    """
    with _translated(name):
        grey = _grey(picture)
    values = np.asarray(grey)
    if _in_form(values, shape):
        return values.copy()
    strokes = _ink.find(np.asarray(_resized(grey)))
    if strokes is None:
        raise FormatError(
            f"{name}: no digit found; it must be darker or lighter than what is around it"
        )
    field = np.zeros(shape, np.uint8)
    digit = _boxed(strokes, shape)
    line, column = _corner(digit, shape)
    field[line : line + digit.shape[0], column : column + digit.shape[1]] = digit
    return field


def as_is(picture: Image.Image, shape: tuple[int, ...], *, name: str = "the picture") -> Images:
    """The pixels of a picture, uint8 `shape`: (H, W) for grey, (H, W, 3) for red, green and blue.

    What is transparent becomes black. Raises FormatError for a picture of another size, or one
    that cannot be decoded; `name` is what the message calls it.
    """
    if sorted(picture.size) != sorted(shape[:2]):  # either way up, and before it is decoded
        raise _of_other_size(name, (picture.height, picture.width), shape)
    with _translated(name):
        plain = _plain(picture)
        if plain.mode == "RGBA":
            plain = Image.alpha_composite(Image.new("RGBA", plain.size, (0, 0, 0, 255)), plain)
        values = np.array(plain.convert("RGB" if len(shape) == 3 else "L"))
    if values.shape != shape:
        raise _of_other_size(name, values.shape, shape)
    return values


def _of_other_size(name: str, found: tuple[int, ...], shape: tuple[int, ...]) -> FormatError:
    return FormatError(
        f"{name}: {found[0]}x{found[1]} pixels, where as it is it must have {shape[0]}x{shape[1]}"
    )


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Whatever Pillow raises as FormatError, which starts with `name`; its warnings unheard."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (MnistprepError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise FormatError(f"{name}: not a picture that can be read") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise FormatError(
            f"{name}: more than {most} million pixels; make it smaller, or {_limits.RAISE}"
        ) from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
        reason = printable(str(error), 80)
        raise FormatError(f"{name}: a damaged picture ({reason})") from None


# From any mode to grey.


def _plain(picture: Image.Image) -> Image.Image:
    """The picture upright, in mode L, RGB, or RGBA where it is not opaque."""
    if 0 in picture.size:
        raise ValueError("it has no pixels")
    picture = _upright(picture)
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bit(np.asarray(picture), picture.mode))
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        if picture.mode in ("RGBa", "La"):
            picture = picture.convert(picture.mode.upper())
        picture = picture.convert("RGBA")
        opaque = picture.getchannel("A").getextrema() == (255, 255)
        return picture.convert("RGB") if opaque else picture
    if picture.mode == "LAB":
        return picture.getchannel("L")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # anything, where EXIF is damaged; the picture may not be
        picture.load()
        return picture


def _eight_bit(values: npt.NDArray[np.generic], mode: str) -> Images:
    """16-bit levels by 257; whole or real numbers, whose range nobody knows, stretched to it."""
    steps = spans(len(values), max(1, _STEP // values.shape[1]))  # of little memory each
    least, scale = 0.0, 1 / 257
    if not mode.startswith("I;16"):
        ranges = [(part.min(), part.max()) for part in (_real(values[a:b]) for a, b in steps)]
        least = min(low for low, _ in ranges)
        scale = 255 / (max(high for _, high in ranges) - least or 1)
    found = np.empty(values.shape, np.uint8)
    for a, b in steps:
        found[a:b] = ((_real(values[a:b]) - least) * scale).round()
    return found


def _real(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)


def _grey(picture: Image.Image) -> Image.Image:
    """The picture in mode L.

    Where it is partly transparent, what is not is the drawing if it has one colour or is thin, so
    that any ground would do. Otherwise it is paper with a drawing on it, and there is more paper.
    """
    plain = _plain(picture)
    if plain.mode != "RGBA":
        return plain.convert("L")
    alpha = plain.getchannel("A")
    opaque = np.asarray(alpha) >= _BRIGHT
    if not opaque.any() or opaque[_ink.window(opaque)].mean() < _CARD:
        return alpha
    inside = np.asarray(plain.convert("RGB").convert("L"))[opaque]
    if np.ptp(np.percentile(inside, (0.1, 99.9))) < _ONE_COLOUR:
        return alpha
    ground = int(np.median(inside))
    paper = Image.new("RGBA", plain.size, (ground, ground, ground, 255))
    return Image.alpha_composite(paper, plain).convert("L")


def _resized(grey: Image.Image) -> Image.Image:
    least, most = _ink.WORKING
    longest = max(grey.size)
    if least <= longest <= most:
        return grey
    scale = (least if longest < least else most) / longest
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    smooth = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.HAMMING
    return grey.resize(size, smooth, reducing_gap=2.0)


# The form.


def _in_form(values: Images, shape: tuple[int, int]) -> bool:
    """Whether a grey picture is as MNIST's are: size, black ground, box, bright ink and place.

    A pixel more or less is as good as the place that this module would choose.
    """
    if values.shape != shape or int(values.max()) < _BRIGHT:
        return False
    lines, columns = _ink.window(values)
    digit = values[lines, columns]
    filled = [side / room for side, room in zip(digit.shape, _room(shape), strict=True)]
    line, column = _corner(digit, shape)
    placed = max(abs(lines.start - line), abs(columns.start - column)) <= 1
    return placed and _FILLED <= float(max(filled)) <= 1


def _room(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the box: 20x20 in 28x28."""
    return max(1, round(shape[0] * _BOX)), max(1, round(shape[1] * _BOX))


def _boxed(strokes: npt.NDArray[np.bool_], shape: tuple[int, int]) -> Images:
    """The strokes scaled to fit the box, each pixel as bright as it is covered."""
    scale = min(room / side for room, side in zip(_room(shape), strokes.shape, strict=True))
    height, width = strokes.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(strokes).convert("L").resize(size, Image.Resampling.BOX))


def _corner(digit: Images, shape: tuple[int, int]) -> tuple[int, int]:
    """Where a cropped digit goes, so that its centre of mass is at the centre of the field.

    If that would take it out of the field, as near as it can be.
    """
    mass = digit.astype(np.int64)
    corner = []
    for axis in (0, 1):
        middles = 2 * np.arange(mass.shape[axis]) + 1  # of the pixels, twice from the edge
        centre = int((mass.sum(1 - axis) * middles).sum()) // (2 * max(int(mass.sum()), 1))
        last = shape[axis] - mass.shape[axis]
        corner.append(min(max(shape[axis] // 2 - centre, 0), last))
    return corner[0], corner[1]
