"""Digits that the tests draw themselves, by several hands, and what they are drawn on."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Random = np.random.Generator

# A pen's way through points x,y in a square of 100, y down; straight into and out of a point
# marked "!", and "/" lifts the pen.
HANDS: dict[str, tuple[str, ...]] = {
    "school": (
        "50,2 22,14 12,50 22,86 50,98 78,86 88,50 78,14 50,2",
        "50,0 50,100",
        "16,26 24,8 50,0 76,10 82,30 66,54 38,78 14,100! 86,100",
        "18,10 46,0 76,12 74,36 44,46! 78,58 84,82 52,100 16,90",
        "64,0! 12,66! 90,66 / 66,34 66,100",
        "80,0! 28,0! 24,42! 54,36 82,56 76,88 44,100 14,88",
        "72,2 40,20 20,58 24,90 52,100 78,84 72,60 46,54 22,72",
        "12,0! 86,0! 56,44 38,100",
        "50,48 24,30 30,6 54,0 76,14 70,34 50,48 22,70 30,94 54,100 80,86 74,62 50,48",
        "78,22 56,0 26,10 22,36 46,52 72,40 78,22 76,60 66,100",
    ),
    "quick": (
        "60,0 34,8 20,40 22,78 44,100 66,88 80,54 76,18 58,0 44,4",
        "56,0 50,40 44,100",
        "18,22 30,4 60,2 76,20 66,46 40,74 12,98! 40,90 62,98 90,96",
        "14,4! 78,2! 46,38! 74,50 82,74 62,98 30,98 10,86",
        "40,0 24,34 14,60! 50,58 88,54 / 70,30 62,66 60,104",
        "30,4 28,26 24,46! 56,38 78,54 78,80 52,98 18,92 / 30,4 56,6 86,0",
        "62,0 34,34 18,66 30,96 60,98 74,76 58,58 34,62 22,80",
        "10,8! 50,6 90,2! 64,48 44,100 / 30,52 80,48",
        "76,14 50,0 26,14 40,40 70,62 74,88 48,100 22,86 28,62 62,38 76,14",
        "80,14 50,0 22,16 24,40 50,52 76,36 80,14! 82,60 70,92 40,100 18,88",
    ),
    "mouse": (
        "40,0! 14,30! 12,72! 36,100! 66,98! 88,66! 84,26! 60,2! 40,0",
        "46,4! 52,50! 48,98",
        "12,20! 30,2! 66,0! 82,22! 70,48! 36,76! 10,98! 48,100! 90,96",
        "14,8! 50,0! 80,16! 66,40! 38,48! 76,58! 82,82! 50,100! 12,92",
        "18,2! 14,48! 52,54! 88,50 / 74,0! 70,54! 72,100",
        "84,4! 22,2! 20,44! 60,40! 82,62! 72,92! 34,100! 10,86",
        "66,0! 30,30! 14,70! 34,98! 68,96! 80,70! 54,54! 20,66",
        "8,4! 90,0! 66,40! 44,98",
        "60,2! 26,14! 34,38! 70,60! 76,88! 44,100! 20,80! 40,52! 74,26! 60,2",
        "74,10! 40,2! 20,26! 36,48! 70,44! 76,12! 74,60! 70,98",
    ),
    "round": (
        "52,0 26,10 16,40 18,72 40,98 68,94 84,62 82,26 62,4 46,0",
        "30,24 50,2! 50,98 / 26,100 50,98 76,99",
        "20,30 26,8 54,0 78,18 70,44 40,72 22,92 12,92 16,80 34,80 56,96 76,98 90,84",
        "20,16 36,2 64,4 72,22 60,40 42,46 60,48 80,62 78,86 52,100 24,96 14,80",
        "58,2 30,36 10,62! 44,64 84,60 / 60,40 58,70 54,102",
        "76,2 50,3 30,4! 28,24 24,44! 44,36 68,42 80,64 70,90 44,100 20,92",
        "78,10 58,0 36,16 20,50 20,80 42,100 68,94 78,72 62,54 38,58 22,76",
        "10,16 14,2! 50,4 88,2! 70,34 56,64 50,100",
        "50,46 28,34 26,12 50,0 74,12 72,34 50,46 / 50,46 22,60 20,86 50,100 80,86 78,60 50,46",
        "50,0 24,12 24,40 50,50 74,38 74,12 50,0 / 76,10 78,50 72,100",
    ),
}
FONT = "font"  # rendered in the font that comes with Pillow


def way(text: str) -> list[Points]:
    """The strokes of a digit, each as points close to each other."""
    strokes = []
    for stroke in text.split("/"):
        words = stroke.split()
        given = np.array([[float(part) for part in word.rstrip("!").split(",")] for word in words])
        sharp = [k in (0, len(words) - 1) or word.endswith("!") for k, word in enumerate(words)]
        points = [given[0]]
        for k in range(len(words) - 1):
            here, there = given[k], given[k + 1]
            leave = there - here if sharp[k] else (there - given[k - 1]) / 2
            arrive = there - here if sharp[k + 1] else (given[k + 2] - here) / 2
            for t in np.linspace(0, 1, 13)[1:]:
                rise = t * t * (3 - 2 * t)
                bent = t * (1 - t) ** 2 * leave - t * t * (1 - t) * arrive
                points.append(here + rise * (there - here) + bent)
        strokes.append(np.array(points))
    return strokes


def moved(strokes: list[Points], random: Random) -> list[Points]:
    """The strokes as the same hand draws them another time: slanted, turned, narrower, bent."""
    turn, slant = random.normal(0, 0.06), random.normal(0.08, 0.1)
    wide = np.clip(random.normal(0.82, 0.1), 0.6, 1.1)
    matrix = np.array(
        [[wide * np.cos(turn), -np.sin(turn) - slant], [wide * np.sin(turn), np.cos(turn)]]
    )
    pace, phase, most = random.uniform(0.04, 0.1), random.uniform(0, 6.3, 2), random.uniform(0, 2.5)
    return [
        (stroke - 50 + most * np.sin(pace * (stroke[:, ::-1] - 50) + phase)) @ matrix.T
        for stroke in strokes
    ]


def ink(
    hand: str,
    digit: int,
    random: Random,
    *,
    size: tuple[int, int] = (200, 200),
    height: float = 120,
    pen: float = 0.09,
    centre: tuple[float, float] | None = None,
) -> Floats:
    """How much of each pixel a digit covers, 0 to 1, (H, W).

    size: width and height of the picture, pixels. height: of the digit, or its width if that is
    more. pen: width of the stroke as a share of it. centre: of the digit, else of the picture.
    """
    middle = np.array(centre or (size[0] / 2, size[1] / 2))
    scale = 4 if max(size) <= 600 else 2 if max(size) <= 1200 else 1
    field = Image.new("L", (size[0] * scale, size[1] * scale))
    draw = ImageDraw.Draw(field)
    if hand == FONT:
        font = ImageFont.load_default(height * 1.35 * scale)
        draw.text(tuple(middle * scale), str(digit), fill=255, font=font, anchor="mm")
    else:
        strokes = moved(way(HANDS[hand][digit]), random)
        points = np.concatenate(strokes)
        first, last = points.min(0), points.max(0)
        wide = max(pen * height * scale, scale * 0.8)
        factor = height * (1 - pen) * scale / (last - first).max()
        for stroke in strokes:
            dots = (stroke - (first + last) / 2) * factor + middle * scale
            draw.line([tuple(dot) for dot in dots], fill=255, width=max(1, round(wide)))
            for x, y in dots if wide > 2 else ():
                draw.ellipse([x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2], fill=255)
    return np.asarray(field.reduce(scale), np.float32) / 255


def picture(values: npt.NDArray[np.generic]) -> Image.Image:
    """Levels of 255 as a picture, grey or RGB."""
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def light(shape: tuple[int, ...], random: Random, fall: float, slope: float) -> Floats:
    """How much light falls on each place: less at the corners, and less to one side."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    (x0, y0), (right, down) = random.uniform(-0.3, 0.3, 2), random.uniform(-slope, slope, 2)
    away = (x - x0) ** 2 + (y - y0) ** 2
    return np.clip(1 - fall / 2 * away + (right * x + down * y) / 2, 0.05, 1.3)


def _anywhere(random: Random, size: tuple[int, int], least: float, most: float) -> dict[str, Any]:
    """A size and place of the digit in the picture: shares of its smaller side."""
    height = min(size) * random.uniform(least, most)
    room = [max(0.0, (side - 1.1 * height) / 2) * 0.85 for side in size]
    x, y = (side / 2 + random.uniform(-1, 1) * free for side, free in zip(size, room, strict=True))
    return {"size": size, "height": height, "centre": (x, y)}


def black_on_white(hand: str, digit: int, random: Random) -> Image.Image:
    """A drawing of any size with a usual pen."""
    side = int(random.integers(100, 900))
    pen = random.uniform(0.06, 0.11)
    place = _anywhere(random, (side, side), 0.5, 0.85)
    return picture(255 * (1 - ink(hand, digit, random, pen=pen, **place)))


def white_on_black(hand: str, digit: int, random: Random) -> Image.Image:
    """The other way round, and not square."""
    size = int(random.integers(60, 500)), int(random.integers(60, 500))
    place = _anywhere(random, size, 0.5, 0.85)
    return picture(255 * ink(hand, digit, random, **place))


def small(hand: str, digit: int, random: Random) -> Image.Image:
    """Hardly larger than a picture of MNIST."""
    side = int(random.integers(24, 40))
    place = _anywhere(random, (side, side), 0.5, 0.85)
    return picture(255 * (1 - ink(hand, digit, random, pen=random.uniform(0.09, 0.14), **place)))


def off_centre(hand: str, digit: int, random: Random) -> Image.Image:
    """A small digit anywhere on a large sheet."""
    size = int(random.integers(300, 900)), int(random.integers(300, 900))
    return picture(255 * (1 - ink(hand, digit, random, **_anywhere(random, size, 0.2, 0.3))))


def thin_pen(hand: str, digit: int, random: Random) -> Image.Image:
    """A line of 2 to 6 pixels in a picture of 2000."""
    place = _anywhere(random, (2000, 2000), 0.5, 0.9)
    pen = random.uniform(2, 6) / place["height"]
    return picture(255 * (1 - ink(hand, digit, random, pen=pen, **place)))


def thick_marker(hand: str, digit: int, random: Random) -> Image.Image:
    """Strokes of a fifth of the digit's height."""
    side = int(random.integers(200, 600))
    place = _anywhere(random, (side, side), 0.5, 0.85)
    return picture(255 * (1 - ink(hand, digit, random, pen=random.uniform(0.18, 0.24), **place)))


def cut_tight(hand: str, digit: int, random: Random) -> Image.Image:
    """A drawing cut to its ink, with no margin or hardly any."""
    drawn = black_on_white(hand, digit, random)
    lines, columns = np.nonzero(np.asarray(drawn) < 128)
    left, top, margin = int(columns.min()), int(lines.min()), int(random.integers(0, 4))
    box = (left - margin, top - margin, columns.max() + 1 + margin, lines.max() + 1 + margin)
    return drawn.crop((max(0, box[0]), max(0, box[1]), *box[2:]))


def framed(hand: str, digit: int, random: Random) -> Image.Image:
    """A drawing with a line around it, on the border or near it."""
    drawn = black_on_white(hand, digit, random)
    gap = int(random.integers(0, drawn.width // 40))
    box = (gap, gap, drawn.width - 1 - gap, drawn.height - 1 - gap)
    ImageDraw.Draw(drawn).rectangle(box, outline=0, width=int(random.integers(1, 4)))
    return drawn


def coloured(hand: str, digit: int, random: Random) -> Image.Image:
    """Ink and ground in colours, some of them of nearly the same grey."""
    size = int(random.integers(100, 500)), int(random.integers(100, 500))
    pairs = (
        ((255, 255, 255), (250, 230, 30)), ((255, 255, 255), (0, 90, 255)),
        ((30, 60, 40), (240, 240, 230)), ((255, 240, 170), (200, 40, 40)),
    )  # fmt: skip
    ground, pen = (np.array(colour) for colour in pairs[random.integers(len(pairs))])
    share = ink(hand, digit, random, **_anywhere(random, size, 0.5, 0.85))[..., None]
    return picture(ground * (1 - share) + pen * share)


def transparent(hand: str, digit: int, random: Random) -> Image.Image:
    """Ink of one colour, black, white or grey, on nothing."""
    size = int(random.integers(60, 500)), int(random.integers(60, 500))
    share = ink(hand, digit, random, **_anywhere(random, size, 0.5, 0.85))
    levels = np.full((*share.shape, 4), random.choice([0, 90, 255]), np.float32)
    levels[..., 3] = 255 * share
    return picture(levels)


def grey_paper(hand: str, digit: int, random: Random) -> Image.Image:
    """Grey paper, lighter to one side, with noise."""
    size = int(random.integers(200, 700)), int(random.integers(200, 700))
    share = ink(hand, digit, random, **_anywhere(random, size, 0.4, 0.8))
    paper = random.uniform(120, 200) * light(share.shape, random, 0.2, 0.35)
    levels = paper * (1 - random.uniform(0.5, 0.8) * share)
    return picture(levels + random.normal(0, random.uniform(2, 8), share.shape))


def photograph(
    hand: str, digit: int, random: Random, *, pen: str = "ink", over: str = "nothing"
) -> Image.Image:
    """A JPEG of a sheet, 800x600 or upright: uneven light, blur, noise, dust, a turned camera.

    pen: black or blue `ink`, or `pencil`. over: a `shadow` falls on it, or there is a `table`.
    """
    size = (800, 600) if random.random() < 0.5 else (600, 800)
    wide = random.uniform(0.03, 0.06) if pen == "pencil" else random.uniform(0.05, 0.1)
    share = ink(hand, digit, random, pen=wide, **_anywhere(random, size, 0.25, 0.6))
    blurred = picture(255 * share).filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5)))
    share = np.asarray(blurred, np.float32)[..., None] / 255
    colour = np.array([[0.2, 0.2, 0.22], [0.18, 0.25, 0.6]][random.integers(2)], np.float32)
    if pen == "pencil":
        colour = np.full(3, random.uniform(0.5, 0.68), np.float32)
        share = share * (1 - 0.35 * random.random(share.shape, np.float32))
    lit = light(share.shape[:2], random, 0.5, 0.3)
    if over == "shadow":
        lit = lit * _shadow(share.shape[:2], random)
    paper = np.array([1, 0.97, 0.92], np.float32) * random.uniform(150, 215)
    levels = (1 - share * (1 - colour)) * paper * lit[..., None]
    for x, y in (random.random((20, 2)) * (np.array(size) - 9)).astype(int):
        reach = int(random.integers(1, 4))
        levels[y : y + reach, x : x + reach] *= random.uniform(0.3, 0.8)
    if over == "table":
        levels = _on_table(levels, random)
    noise = random.standard_normal(levels.shape, np.float32)
    levels = levels + random.uniform(2, 7) * noise
    return _turned(picture(levels), random)


def _shadow(shape: tuple[int, ...], random: Random) -> Floats:
    """The light left by something in its way: a soft edge across the picture."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    angle, place = random.uniform(0, 6.3), random.uniform(-0.5, 0.5)
    across = (x * np.cos(angle) + y * np.sin(angle) - place) / random.uniform(0.02, 0.15)
    return 1 - random.uniform(0.2, 0.45) / (1 + np.exp(-np.clip(across, -30, 30)))


def _on_table(levels: Floats, random: Random) -> Floats:
    """The sheet smaller, a little turned, in the middle of a dark table."""
    sheet = picture(levels)
    table = np.array([1, 0.8, 0.6]) * random.uniform(30, 90)
    scale = random.uniform(0.6, 0.85)
    size = int(sheet.width * scale), int(sheet.height * scale)
    smaller = sheet.resize(size).convert("RGBA").rotate(random.uniform(-8, 8), expand=True)
    whole = picture(np.broadcast_to(table, levels.shape))
    corner = (whole.width - smaller.width) // 2, (whole.height - smaller.height) // 2
    whole.paste(smaller.convert("RGB"), corner, smaller)
    return np.asarray(whole, np.float32)


def _turned(upright: Image.Image, random: Random) -> Image.Image:
    """A JPEG as a camera held in any way writes it: the pixels turned, and how, in EXIF."""
    turn = Image.Transpose
    orientation = int(random.choice([1, 3, 6, 8]))
    stored = {3: turn.ROTATE_180, 6: turn.ROTATE_90, 8: turn.ROTATE_270}.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    written = upright if stored is None else upright.transpose(stored)
    written.save(data, "JPEG", quality=int(random.integers(60, 95)), exif=exif)
    return Image.open(data)


CONDITIONS: dict[str, Callable[[str, int, Random], Image.Image]] = {
    "black on white": black_on_white,
    "white on black": white_on_black,
    "small": small,
    "off-centre": off_centre,
    "thin pen": thin_pen,
    "thick marker": thick_marker,
    "cut tight": cut_tight,
    "framed": framed,
    "coloured": coloured,
    "transparent": transparent,
    "grey paper": grey_paper,
    "photograph": photograph,
    "pencil": partial(photograph, pen="pencil"),
    "shadow": partial(photograph, over="shadow"),
    "table": partial(photograph, over="table"),
}
