"""The embedded dataset `synth`: handwriting-like digits that need neither a network nor a file.

A picture is a skeleton from `_strokes`, its points moved, then warped, slanted and turned as a
whole, fitted into the 20x20 box of MNIST, drawn with a pen of some width, pressure, softness and
ink, and placed so that its centre of mass is the centre of the 28x28 field.

The same (seed, split, number) gives the same bits on every platform and NumPy version. So
everything here is integer arithmetic or one of + - * / sqrt floor min max on floats, which
IEEE 754 rounds in one way only, each its own ufunc. Nothing that a library may round or order in
its own way: no transcendental function, no sum of floats, no matrix product, no `numpy.random`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, empty_images, empty_labels, release
from mnistprep._numbers import SEEDS, whole
from mnistprep._progress import Progress, quiet
from mnistprep._strokes import Floats, Rows, tables
from mnistprep._workers import run
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.errors import UnknownName, UsageError

CLASSES = tuple("0123456789")
FIELD, BOX = 28, 20  # pixels: side of a picture, side of the box that the ink fits
SPAN = 1024  # pictures drawn at once: their largest arrays stay within a processor's cache

_STREAMS = {"train": 1, "test": 2}
_REACH = 2  # pixels that a pen touches on each side of the one it is in; bounds its width
_PADDED = BOX + 2 * _REACH
_FAR = 64.0  # squared distance, in pen radii, given to pixels that no stroke comes near
_GRAIN = 1 << 20  # number of the first hash for the grain of the ink; lower ones are for the shape

Singles = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]


def draw(seed: int, split: str, start: int, stop: int) -> tuple[Images, Labels]:
    """Pictures `start` to `stop` (exclusive) of the endless stream of a split, with their labels.

    seed: 0 <= seed < 2**64; split: `train` or `test`; 0 <= start <= stop.
    Returns uint8 (N, 28, 28) and int64 (N,). A picture depends on seed, split and its own number
    alone. Raises UsageError for arguments outside these bounds.
    """
    seed = whole("seed", seed, 0, SEEDS)
    if split not in _STREAMS:
        raise UnknownName("split of synth", split, _STREAMS)
    if not 0 <= start <= stop < 1 << 63:
        raise UsageError(f"pictures are numbered from 0 in rising order, not {start} to {stop}")
    images = np.zeros((stop - start, FIELD, FIELD), np.uint8)
    labels = np.empty(stop - start, np.int64)
    for first in range(start, stop, SPAN):
        last = min(first + SPAN, stop)
        here = slice(first - start, last - start)
        _draw_span(_keys(seed, split, first, last), images[here], labels[here])
    return images, labels


def generate(
    train: int = 60_000,
    test: int = 10_000,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Dataset:
    """The dataset `synth` with that many pictures (0 or more) in `train` and `test`.

    A smaller set is the beginning of a larger one with the same seed (0 <= seed < 2**64).
    Raises UsageError for other numbers.
    """
    for name, count in (("train", train), ("test", test)):
        if count < 0:
            raise UsageError(f"synth needs a {name} size of 0 or more, not {count}")
    seed = whole("seed", seed, 0, SEEDS)
    splits = {
        name: _generate_split(seed, name, count, workers, progress)
        for name, count in (("train", train), ("test", test))
    }
    return Dataset("synth", splits, CLASSES)


def _generate_split(
    seed: int, name: str, count: int, workers: int | None, progress: Progress
) -> Split:
    images = empty_images((count, FIELD, FIELD), shared=True)
    labels = empty_labels(count)

    def task(start: int, stop: int) -> Labels:
        images[start:stop], found = draw(seed, name, start, stop)
        release(images[start:stop])
        return found

    progress.start(f"drawing {name}", count, "pictures")
    at = 0
    for found in run(task, count, size=SPAN, workers=workers):
        labels[at : at + len(found)] = found
        release(labels[at : at + len(found)])
        at += len(found)
        progress.advance(len(found))
    return Split(images, labels)


# Randomness: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
# 2014) used as a hash of counters, so that any number can be had without those before it.

_GAMMA = 0x9E3779B97F4A7C15


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _keys(seed: int, split: str, start: int, stop: int) -> Hashes:
    """One hash for each picture, (N,)."""
    stream = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(_STREAMS[split]))
    numbers = np.arange(stop - start, dtype=np.uint64) + np.uint64(start)
    return _mix(stream + numbers * np.uint64(_GAMMA))


def _hashes(keys: Hashes, first: int, count: int) -> Hashes:
    """Hashes number `first` to `first + count` of each picture, (count, N)."""
    counters = np.arange(first + 1, first + 1 + count, dtype=np.uint64) * np.uint64(_GAMMA)
    return _mix(keys + counters[:, None])


def _uniform(hashes: Hashes) -> Floats:
    """Floats in [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _bell(hashes: Hashes) -> Floats:
    """Floats of mean 0 and deviation 1, within 3.5: sums of four 16-bit parts."""
    mask = np.uint64(0xFFFF)
    total = hashes & mask
    for shift in (16, 32, 48):
        total = total + ((hashes >> np.uint64(shift)) & mask)
    return (total.astype(np.float64) - 131070.0) / 37837.0


# Drawing. Arrays over points and dots have the pictures as their last axis.


class _Pen(NamedTuple):
    """How the pictures of a span are inked; each (N,)."""

    radius: Floats  # pixels
    swell: Floats  # change of the radius from the first dot to the last, as a share of it
    belly: Floats  # change of the radius half way, as a share of it
    softness: Floats  # pixels from the radius to the rim, where the ink ends
    ink: Floats  # grey value of full ink
    grain: Floats  # share of the ink that its grain may take away
    size: Floats  # share of the box that the ink fills


def _draw_span(keys: Hashes, images: Images, labels: Labels) -> None:
    """Draw the pictures of `keys` into `images`, which are 0, and `labels`."""
    strokes = tables()
    choice = _hashes(keys, 0, 2) >> np.uint64(32)
    digit = (choice[0] % np.uint64(len(CLASSES))).astype(np.int64)
    variant = (choice[1] % strokes.variants[digit].astype(np.uint64)).astype(np.int64)
    row = strokes.first[digit] + variant
    # The longest first: a step along all strokes then takes a leading part of the pictures.
    order = np.argsort(-strokes.dots[row], kind="stable")
    keys, row = keys[order], row[order]
    pen = _pen(keys)
    x, y = _fit(*_bend(keys, row), pen)
    boxes = _ink(keys, _distances(x, y, strokes.dots[row], pen), pen)
    _place(boxes, images, order)
    labels[:] = digit


def _pen(keys: Hashes) -> _Pen:
    u = _uniform(_hashes(keys, 2, 7))
    faint = np.maximum(u[4] * 8 - 7, 0)
    return _Pen(
        radius=0.7 + 0.85 * u[0],
        swell=0.4 * u[1] - 0.2,
        belly=0.4 * u[2] - 0.2,
        softness=0.35 + 0.3 * u[3],
        ink=255 - 120 * faint,
        grain=0.25 * u[5],
        size=1 - 0.2 * u[6],
    )


def _bend(keys: Hashes, row: Rows) -> tuple[Floats, Floats]:
    """x and y of the dots of skeleton `row` as a hand might place them, (M, N) each."""
    strokes = tables()
    count = strokes.points.shape[2]
    jitter = 0.08 * _bell(_hashes(keys, 32, 2 * count))
    points_x = strokes.points[0, row].T + jitter[:count]
    points_y = strokes.points[1, row].T + jitter[count:]
    x = np.zeros((strokes.sources.shape[1], len(row)))
    y = np.zeros_like(x)
    columns = np.arange(len(row))
    for sources, weights in zip(strokes.sources, strokes.weights, strict=True):
        at, share = sources[:, row], weights[:, row]
        x += points_x[at, columns] * share
        y += points_y[at, columns] * share
    g = _bell(_hashes(keys, 16, 9))
    x = x * np.maximum(0.97 + 0.18 * g[0], 0.62)
    x, y = (
        x + y * (0.14 * g[1] * y + 0.14 * g[2] * x) + 0.15 * g[3] * (y * y * y - 0.6 * y),
        y + x * (0.12 * g[4] * x + 0.16 * g[5] * y + 0.12 * g[6]),
    )
    x = x - (0.15 + 0.26 * g[7]) * y
    half = 0.075 * g[8]  # tangent of half the angle; it gives cosine and sine without either
    whole = 1 + half * half
    cosine, sine = (1 - half * half) / whole, 2 * half / whole
    return x * cosine - y * sine, x * sine + y * cosine


def _fit(x: Floats, y: Floats, pen: _Pen) -> tuple[Floats, Floats]:
    """The dots in pixels of the padded box, moved and scaled so that the ink stays in the box."""
    left, right, top, bottom = x.min(0), x.max(0), y.min(0), y.max(0)
    rim = _widest(pen) * (1 + pen.softness / pen.radius)
    room = BOX * pen.size - 2 * rim
    scale = room / np.maximum(right - left, bottom - top)
    middle = _PADDED / 2
    x = (x - (left + right) / 2) * scale + middle
    y = (y - (top + bottom) / 2) * scale + middle
    return x, y


def _widest(pen: _Pen) -> Floats:
    """Largest radius along the stroke, such that its soft rim ends within _REACH + 0.5 pixels."""
    return np.minimum(pen.radius * 1.2, 1.72)


def _distances(x: Floats, y: Floats, dots: Rows, pen: _Pen) -> Singles:
    """Distance of every pixel of the padded box from the stroke, in pen radii, (N, side, side)."""
    steps, pictures = x.shape
    way = np.minimum(np.arange(steps)[:, None] / dots, 1)
    radius = pen.radius * (1 + pen.swell * (2 * way - 1) + pen.belly * (4 * way * (1 - way)))
    near = 1 / np.minimum(radius, _widest(pen))
    column, line = np.floor(x), np.floor(y)
    stencil = np.arange(-_REACH, _REACH + 1) + 0.5
    across = (((column - x)[..., None] + stencil) * near[..., None]).astype(np.float32)
    down = (((line - y)[..., None] + stencil) * near[..., None]).astype(np.float32)
    across, down = (across * across)[..., None, :], (down * down)[..., None]
    corner = (np.arange(pictures) * _PADDED + line.astype(np.int64)) * _PADDED
    corner += column.astype(np.int64)
    around = np.arange(-_REACH, _REACH + 1)
    around = (around[:, None] * _PADDED + around).reshape(-1)
    squares = np.full(pictures * _PADDED * _PADDED, _FAR, np.float32)
    for step in range(steps):
        drawing = int(np.count_nonzero(dots > step))
        at = corner[step, :drawing, None] + around
        here = (across[step, :drawing] + down[step, :drawing]).reshape(at.shape)
        squares[at] = np.minimum(squares[at], here)
    return np.sqrt(squares).reshape(pictures, _PADDED, _PADDED)


def _ink(keys: Hashes, distances: Singles, pen: _Pen) -> Images:
    """Grey values of the box, uint8 (N, 20, 20)."""
    radius, softness, ink, grain = (
        part.astype(np.float32)[:, None, None]
        for part in (pen.radius, pen.softness, pen.ink, pen.grain)
    )
    inside = distances[:, _REACH:-_REACH, _REACH:-_REACH]
    cover = ((1 - inside) * radius + softness) / (2 * softness)
    cover = np.minimum(np.maximum(cover, 0), 1)
    hashes = _hashes(keys, _GRAIN, BOX * BOX // 8).T.astype("<u8", order="C")
    noise = hashes.view(np.uint8).reshape(-1, BOX, BOX).astype(np.float32)
    shade: Singles = cover * ink * (1 - grain * (noise / 256))
    return shade.astype(np.uint8)


def _place(boxes: Images, images: Images, order: Rows) -> None:
    """Put box k into picture order[k], its centre of mass at the centre of the field."""
    total = boxes.sum((1, 2), dtype=np.int64)
    odd = 2 * np.arange(BOX) + 1  # twice the distance of a pixel's centre from the box's edge
    corner = np.zeros(len(boxes), np.int64)
    for axis, stride in ((2, FIELD), (1, 1)):
        moment = (boxes.sum(axis, dtype=np.int64) * odd).sum(1)
        # The offset that takes moment / (2 total) to FIELD / 2, rounded.
        offset = (FIELD * total - moment + total) // (2 * total)
        corner += np.clip(offset, 0, FIELD - BOX) * stride
    inside = (np.arange(BOX)[:, None] * FIELD + np.arange(BOX)).reshape(-1)
    flat = images.reshape(-1)
    flat[(order * FIELD * FIELD + corner)[:, None] + inside] = boxes.reshape(len(boxes), -1)
