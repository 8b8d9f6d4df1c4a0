"""How people write the ten digits: the skeletons that `synth` bends, slants and inks.

A skeleton is a string of strokes separated by "/"; a stroke is a pen's way through points "x,y",
x to the right and y down, the digit about 100 high. The way is smooth through a point and straight
into and out of a point marked "!". All were set down by hand for this package.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

SKELETONS: tuple[tuple[str, ...], ...] = (
    (
        "54,0 20,18 14,76 52,100 86,74 80,18 48,0",
        "62,2 20,20 14,78 50,100 88,62 66,4 40,14",
        "46,2 80,18 84,78 46,100 14,66 30,8 56,0",
        "80,14 46,0 12,40 24,92 64,96 90,44 66,6 36,8",
        "54,0 30,30 30,76 50,100 72,70 68,22 48,0",
        "84,4 50,2 16,30 16,80 50,100 82,70 80,24 52,2",
    ),
    (
        "50,0 50,34 50,67 50,100",
        "54,0 49,30 48,70 52,100",
        "52,0 51,50 50,100",
        "38,20 54,0! 53,50 52,100",
        "32,28 45,17 55,0! 54,50 54,100",
        "32,22 52,0! 52,50 52,100 / 24,100 50,99 78,100",
        "50,0 50,50 50,100 / 30,100 70,100",
    ),
    (
        "16,22 28,4 58,0 80,20 68,52 40,78 14,98! 50,97 86,98",
        "16,24 34,2 66,4 78,26 66,58 40,86 16,96 10,84 26,76 52,88 90,94",
        "12,26 38,2 70,10 76,38 52,70 14,98! 46,88 88,97",
        "20,30 18,12 48,0 78,14 74,44 44,72 12,96! 34,92 62,100 90,90",
        "14,10 46,0 76,10 74,34 44,68 14,99! 50,98 84,99",
        "20,16 50,0 76,20 60,54 30,88 18,99 12,90 24,82 48,92 70,99 88,88",
    ),
    (
        "16,14 44,0 74,10 72,34 40,46! 74,52 86,76 58,99 14,88",
        "16,2 48,2 80,2! 60,22 42,40! 72,46 86,72 56,100 14,90",
        "18,12 48,0 76,18 62,40 40,48 44,42 70,50 84,76 54,100 12,86",
        "22,8 54,0 76,18 66,38 46,44! 82,54 82,84 46,100 16,90",
        "14,18 36,1 68,5 72,28 52,44 34,46! 60,46 82,62 76,90 42,100 12,82",
        "12,6 44,0 78,4! 56,26 44,42 74,50 80,78 48,100 16,96",
    ),
    (
        "22,0 18,28 14,54! 48,54 88,52 / 66,12 64,56 62,100",
        "62,100 63,50 64,0! 36,34 10,68! 50,68 90,66",
        "24,2 18,30 26,52 50,54 76,44 / 80,2 74,48 66,100",
        "18,4 16,34 26,50 52,50 78,36 82,4! 76,50 70,100",
        "60,0 34,30 12,60! 48,60 84,58 / 66,34 64,66 60,100",
        "30,0 22,26 12,58! 50,60 86,56 / 62,22 58,60 54,100",
        "70,2 40,26 14,54 44,58 84,50 / 72,4 66,50 60,100",
    ),
    (
        "82,0 54,1 28,2! 24,24 21,46! 48,36 78,52 78,84 48,100 14,90",
        "26,4 24,24 20,46! 50,38 80,56 76,88 44,100 12,86 / 28,3 54,4 84,0",
        "80,4 44,2 26,14 26,36 52,46 78,64 72,92 40,100 14,90",
        "34,12 28,30 22,48! 54,44 78,62 72,90 40,100 12,92 / 34,8 60,6 88,2",
        "84,6 58,0 36,6 24,42! 46,38 70,50 76,74 56,96 18,98",
    ),
    (
        "70,0 42,18 20,48 14,78 34,99 66,94 78,74 62,56 36,62 18,80",
        "58,0 36,30 20,62 22,90 48,100 76,88 76,66 52,56 24,72",
        "78,10 56,0 30,18 16,54 18,86 46,100 78,84 74,60 46,52 18,70",
        "46,0 28,34 20,68 26,94 50,99 68,84 60,68 40,68 22,84",
        "72,2 46,24 24,58 26,88 52,100 74,82 66,62 44,64 30,84",
    ),
    (
        "6,5 48,4 94,4! 66,50 40,100",
        "8,6 48,4 92,4! 66,50 42,100 / 34,54 56,52 82,51",
        "4,12 26,5 60,9 92,4! 62,38 46,70 42,100",
        "8,22 9,4! 48,4 92,3! 62,46 42,100",
        "6,16 26,4 54,12 92,3! 60,46 46,100 / 28,54 50,52 78,52",
        "8,6 48,4 80,4 92,16 76,46 56,72 46,100",
    ),
    (
        "78,14 46,0 24,24 76,70 48,100 18,76 56,44 78,18 66,4",
        "50,46 24,20 50,0 76,20 50,46 16,74 50,100 84,74 50,46",
        "54,0 24,22 50,46 76,22 48,0 / 50,46 18,72 50,100 82,74 48,46",
        "86,6 50,0 28,24 70,64 50,100 24,78 58,40 84,10",
        "34,16 56,0 72,22 26,74 48,100 72,76 30,22 52,2",
        "70,6 42,2 28,26 60,48 76,76 48,100 22,76 44,46 72,28 76,8",
    ),
    (
        "76,16 48,0 20,16 22,44 48,52 72,36 78,12! 76,56 72,100",
        "78,20 54,0 24,10 20,40 46,52 74,34 80,16 82,56 66,92 40,100 20,90",
        "74,8 42,2 18,24 26,48 52,48 74,10! 70,50 56,100",
        "70,18 50,0 26,14 32,38 54,40 72,16 74,50 68,100",
        "60,2 30,10 22,36 46,50 74,28 76,4! 76,50 74,100",
        "80,10 48,0 22,22 34,46 62,38 80,12! 70,56 52,100",
    ),
)

_SPACING = 3.6  # skeleton units between dots of the pen: about 0.6 pixels


class Tables(NamedTuple):
    """The skeletons as arrays; a dot of the pen is a weighted mean of four of their points."""

    first: Rows  # (10,): row of a digit's first skeleton
    variants: Rows  # (10,): skeletons of a digit
    points: Floats  # (2, rows, K): x and y in -1..1, unused ones 0
    dots: Rows  # (rows,): dots of a skeleton; those after it repeat the last one
    sources: Rows  # (4, M, rows): points that a dot is made of
    weights: Floats  # (4, M, rows)


@lru_cache(maxsize=1)
def tables() -> Tables:
    """The skeletons of all digits, with the same bits everywhere (see `synth`)."""
    rows = [_skeleton(text) for digit in SKELETONS for text in digit]
    most_points = max(len(points) for points, _ in rows)
    most_dots = max(len(dots) for _, dots in rows)
    found = Tables(
        first=np.array([0, *accumulate(len(digit) for digit in SKELETONS)][:-1], np.int64),
        variants=np.array([len(digit) for digit in SKELETONS], np.int64),
        points=np.zeros((2, len(rows), most_points)),
        dots=np.array([len(dots) for _, dots in rows], np.int64),
        sources=np.zeros((4, most_dots, len(rows)), np.int64),
        weights=np.zeros((4, most_dots, len(rows))),
    )
    for row, (points, dots) in enumerate(rows):
        for k, (x, y) in enumerate(points):
            found.points[:, row, k] = (x - 50) / 50, (y - 50) / 50
        for k in range(most_dots):
            sources, weights = dots[min(k, len(dots) - 1)]
            found.sources[:, k, row] = sources
            found.weights[:, k, row] = weights
    return found


_Shares = tuple[float, ...]  # of four points: the one before, from, to, the one after
_Dot = tuple[tuple[int, ...], _Shares]

_STRAIGHT: _Shares = (0, -1, 1, 0)


def _skeleton(text: str) -> tuple[list[tuple[float, float]], list[_Dot]]:
    """Points of a skeleton, and the dots along it as numbers and shares of four points."""
    points: list[tuple[float, float]] = []
    pieces: list[tuple[tuple[int, ...], _Shares, _Shares]] = []
    for stroke in text.split("/"):
        words = stroke.split()
        numbers = range(len(points), len(points) + len(words))
        corners = [word.endswith("!") for word in words]
        for k in range(len(words) - 1):
            around = (max(k - 1, 0), k, k + 1, min(k + 2, len(words) - 1))
            pieces.append((tuple(numbers[at] for at in around), *_tangents(corners, k)))
        for word in words:
            x, y = map(float, word.rstrip("!").split(","))
            points.append((x, y))
    lengths = []
    for (_, start, stop, _), _, _ in pieces:
        x, y = points[stop][0] - points[start][0], points[stop][1] - points[start][1]
        lengths.append(sqrt(x * x + y * y))
    ends = list(accumulate(lengths))  # not sum(), which rounds otherwise from Python 3.12 on
    count = ceil(ends[-1] / _SPACING)
    dots: list[_Dot] = []
    for k in range(count):
        way = (k + 0.5) / count * ends[-1]
        at = next(n for n, end in enumerate(ends) if way < end)
        sources, leaving, arriving = pieces[at]
        dots.append((sources, _hermite(1 - (ends[at] - way) / lengths[at], leaving, arriving)))
    return points, dots


def _tangents(corners: list[bool], k: int) -> tuple[_Shares, _Shares]:
    """Tangents of the piece from point k of a stroke to the next, at its two ends.

    At a smooth point Catmull and Rom's, half of the way from neighbour to neighbour; at a corner
    the straight one; at the end of a stroke that of a parabola.
    """

    def parabola(other: _Shares) -> _Shares:
        return tuple(2 * straight - share for straight, share in zip(_STRAIGHT, other, strict=True))

    leaving = _STRAIGHT if corners[k] else (-0.5, 0, 0.5, 0)
    arriving = _STRAIGHT if corners[k + 1] else (0, -0.5, 0, 0.5)
    if k + 2 == len(corners):
        arriving = _STRAIGHT if k == 0 else parabola(leaving)
    if k == 0:
        leaving = parabola(arriving)
    return leaving, arriving


def _hermite(t: float, leaving: _Shares, arriving: _Shares) -> _Shares:
    """Shares of four points in the place at t in 0..1 of a cubic with those tangents."""
    rise = t * t * (3 - 2 * t)
    leave, arrive = t * (1 - t) * (1 - t), t * t * (t - 1)
    return tuple(
        place + leave * first + arrive * second
        for place, first, second in zip((0, 1 - rise, rise, 0), leaving, arriving, strict=True)
    )
