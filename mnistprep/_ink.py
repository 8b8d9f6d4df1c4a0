"""Where the ink is in a grey picture of a digit: its strokes, black and white, nothing else.

The ground may be the one grey of a drawing or the unevenly lit paper of a photograph, and the ink
darker or lighter than it. Specks are left out, and so is what reaches in from the border. Lengths
are in pixels of a picture whose longest side is WORKING, which the caller makes it.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from mnistprep._arrays import Images

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

WORKING = 256, 1024  # least and most pixels of the longest side

_SAME = 2  # levels of 255 that a drawing's ground strays, after JPEG
_FAINT = 0.02  # what differs less from the ground, as a share of all it could, is no ink
_CLEAR = 5  # times the noise that ink rises on average; the highest of the noise does by 3 to 4
_DIM = 32  # levels of 255 between ground and possible ink, at least: what is less is no light
_SMALL = 96  # longest side at which the ground is found, so that pen and noise hardly count
_CLUES = 48  # longest side at which it is found out whether the ink is light or dark
_STROKE = 1 / 3  # of the picture's longest side; wider than the stroke of any pen
_PARTS = 256  # longest side at which parts are told apart; gaps below a pixel of it are bridged
_SPECK = 0.15  # share of the largest part's size below which a part is not of the digit ...
_NEAR = 0.3  # ... and share of it beyond which it is too far away
_RIM = 0.05  # share of the picture's longest side within which a frame goes round
_DIGIT = 0.06  # share of it that a digit takes up beside things at the border ...
_LEAST = 1 / 50  # ... and without any
_LONGEST = 200  # pixels of a digit's longest side at which its strokes are thickened
_THIN, _THICK = 2.0, 4.0  # width of the strokes of a digit 20 high or wide, as MNIST has them
_FAR = 24  # pixels; farther distances are not told apart


class _Strokes(NamedTuple):
    """What was found, cropped, half of _LONGEST to _LONGEST high or wide."""

    mask: Mask
    width: float  # pixels
    strength: float  # mean rise

    @property
    def thickness(self) -> float:
        """Width in a digit 20 high or wide."""
        longest: int = max(self.mask.shape)
        return 20 * self.width / longest


def find(grey: Images) -> Mask | None:
    """The strokes of the digit in a uint8 picture (H, W), cropped to them; None if there are none.

    They are about _LONGEST high or wide. Strokes thinner or thicker than MNIST's are thickened or
    thinned to the limit: what is left of thin ones in a box of 20x20 would be too faint to read.
    """
    values = grey.astype(np.float32)
    paper = _paper(grey)
    if paper is not None:
        found = _strokes(_drawn(values, paper))
    else:
        dark = _is_dark(values)
        found = _strokes(_photographed(values, dark))
        if found is None or found.thickness > _THICK:  # perhaps it is the paper, on a dark table
            other = _strokes(_photographed(values, not dark))
            if found is None or (
                other and other.width < found.width and other.strength > found.strength
            ):
                found = other
    return None if found is None else _evened(found)


def _strokes(rise: Floats) -> _Strokes | None:
    """What is ink where the rise is high; None if that is too little."""
    level = _level(rise)
    if level is None:
        return None
    mask = _digit(rise > level)
    if max(mask[window(mask)].shape) < _LEAST * max(mask.shape):
        return None
    scaled = _scaled(mask, rise / level)
    # Across a stroke of even width, distances from its edge are 1, 2, ... half of it, and back.
    distances = _distances(~np.pad(scaled, 1))[1:-1, 1:-1]
    width = max(4 * float(np.median(distances[scaled])) - 2, 1)
    return _Strokes(scaled, width, float(rise[mask].mean()))


def window(picture: Images | Mask) -> tuple[slice, slice]:
    """The lines and columns that the pixels other than 0 span; there must be one."""
    lines, columns = (np.flatnonzero(picture.any(axis)) for axis in (1, 0))
    return slice(lines[0], lines[-1] + 1), slice(columns[0], columns[-1] + 1)


# The rise of a pixel is how much it differs from its ground, as a share of how much it could: 0 for
# the ground, above 0 for ink, float32 (H, W).


def _drawn(values: Floats, paper: float) -> Floats:
    """The rise in a drawing: its ink is what most of the rest is, darker or lighter."""
    apart = values - np.float32(paper)
    if float(apart[np.abs(apart) > _SAME].sum(dtype=np.float64)) < 0:
        apart, paper = -apart, 255 - paper
    return _softened(apart / np.float32(max(255 - paper, _DIM)))


def _photographed(values: Floats, dark: bool) -> Floats:
    """The rise in a photograph, of dark ink or of light."""
    if dark:
        values = 255 - values
    ground = _ground(values)
    room: Floats = np.maximum(255 - ground, _DIM)
    rise = _softened((values - ground) / room)
    return rise - np.median(rise)


def _paper(grey: Images) -> float | None:
    """The grey of a drawing's ground: most of its frame has it. None for a photograph."""
    frame = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    around = np.convolve(np.bincount(frame, minlength=256), np.ones(2 * _SAME + 1), "same")
    most = int(around.argmax())
    same = np.abs(grey.astype(np.int16) - most) <= _SAME
    if around[most] < len(frame) / 2 or same.mean() < 0.15:
        return None
    return float(np.median(grey[same]))


def _is_dark(values: Floats) -> bool:
    """Whether the ink of a photograph is darker than its paper.

    Ink differs from the median of its surroundings, near and wide, to the same side. The edge of
    a shadow does so to both sides alike, a wide one only from the wide surroundings, and what
    thick strokes enclose only from the near ones.
    """
    small = _shrunk(values, _CLUES)
    near, wide = (small - _medians(small, _odd(small, share)) for share in (1 / 4, 1 / 2))
    light = np.minimum(np.maximum(near, 0), np.maximum(wide, 0))
    dark = np.minimum(np.maximum(-near, 0), np.maximum(-wide, 0))
    return float(np.square(dark).sum()) > float(np.square(light).sum())


def _ground(values: Floats) -> Floats:
    """The ground below light ink, float32 (H, W): values without anything narrow.

    It is an opening, the highest of the lowest values in windows around each pixel, which keeps
    the edges of shadows. Windows end at the border, so that light may fall off towards it.
    """
    small = _shrunk(values, _SMALL)
    size = _odd(small, _STROKE)
    beyond = np.pad(small, size, constant_values=256)
    opened = _highest(-_highest(-beyond, size), size)[size:-size, size:-size]
    # The width of a pixel is given to the higher side of an edge: else a sliver there is ink.
    ground = Image.fromarray(_highest(opened, 3))
    return np.asarray(ground.resize(values.shape[::-1], Image.Resampling.BICUBIC))


def _level(rise: Floats) -> float | None:
    """The rise at which ink begins, half that of all ink on average; None when there is none.

    After T. W. Ridler and S. Calvard, "Picture thresholding using an iterative selection method"
    (1978), with the ground known to be at 0: how little of the picture is ink does not matter.
    """
    # 1.4826 medians are a deviation, if it is normal. Ink may be more than half of the picture.
    below = -rise[rise < 0] if (rise < 0).any() else np.zeros(1)
    noise = 1.4826 * min(float(np.median(below)), float(np.median(np.abs(rise))))
    level, before = max(3 * noise, _FAINT), 0.0
    ink = rise[rise > level]
    while ink.size and level > before:
        level, before = max(level, float(ink.mean()) / 2), level
        ink = ink[ink > level]
    return level if ink.size and float(ink.mean()) > _CLEAR * noise else None


def _softened(values: Floats) -> Floats:
    """Each pixel with half of its neighbours: a line between two rows is as strong as in one."""
    for axis in (0, 1):
        windows = sliding_window_view(_edged(values, 3, axis), 3, axis)
        values = windows @ np.array([0.25, 0.5, 0.25], np.float32)
    return values


def _highest(values: Floats, size: int) -> Floats:
    """The highest of `size` x `size` pixels around each."""
    for axis in (0, 1):
        values = sliding_window_view(_edged(values, size, axis), size, axis).max(-1)
    return values


def _medians(values: Floats, size: int) -> Floats:
    """The median of `size` x `size` pixels around each."""
    windows = sliding_window_view(np.pad(values, size // 2, mode="symmetric"), (size, size))
    medians: Floats = np.median(windows, axis=(2, 3))
    return medians


def _edged(values: Floats, size: int, axis: int) -> Floats:
    return np.pad(values, [(size // 2 * (k == axis),) * 2 for k in (0, 1)], mode="edge")


def _odd(values: Floats, share: float) -> int:
    """An odd number of pixels, about that share of the longest side."""
    half: int = round(max(values.shape) * share / 2)
    return 2 * max(half, 1) + 1


def _shrunk(values: Floats, longest: int) -> Floats:
    scale = min(1, longest / max(values.shape))
    size = tuple(max(1, round(side * scale)) for side in values.shape[::-1])
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


# Which parts of the ink are the digit.


def _digit(mask: Mask) -> Mask:
    """The ink, some of which there must be, without specks, frames and what the border cuts off."""
    step = ceil(max(mask.shape) / _PARTS)
    coarse = _pooled(mask, step)
    part, lines, columns = _parts(coarse)
    first = np.full((2, part.max() + 1), max(coarse.shape))
    last = np.zeros_like(first)
    for k, places in enumerate((lines, columns)):
        np.minimum.at(first[k], part, places)
        np.maximum.at(last[k], part, places)
    kept = np.zeros_like(coarse)
    kept[lines, columns] = _chosen(first, last, coarse.shape)[part]
    return mask & kept.repeat(step, 0).repeat(step, 1)[: mask.shape[0], : mask.shape[1]]


def _chosen(first: Places, last: Places, shape: tuple[int, ...]) -> Mask:
    """Whether each part belongs to the digit: the largest one, and others neither small nor far.

    first, last: line and column where each part begins and ends, (2, N). Parts that touch the
    border or go round along it come into question only if no other is as large as a digit.
    """
    ends = np.array(shape)[:, None] - 1
    sizes = (last - first + 1).max(0)
    rim = _RIM * max(shape)
    border = (first == 0).any(0) | (last == ends).any(0)
    border |= (first <= rim).all(0) & (last >= ends - rim).all(0)
    if (sizes[~border] >= _DIGIT * max(shape)).any():
        sizes[border] = 0
    main = int(sizes.argmax())
    gaps = np.maximum(first - last[:, [main]], first[:, [main]] - last).max(0)
    chosen: Mask = (sizes >= _SPECK * sizes[main]) & (gaps <= _NEAR * sizes[main])
    return chosen


def _parts(mask: Mask) -> tuple[Places, ...]:
    """The part that each pixel of the mask belongs to, numbered from 0, and its line and column.

    Pixels that touch, be it at a corner, are of one part.
    """
    lines, columns = np.nonzero(mask)
    number = np.full(np.array(mask.shape) + 2, -1)
    number[lines + 1, columns + 1] = np.arange(len(lines))
    pairs = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = number[lines + 1 + down, columns + 1 + right]
        pairs.append(np.stack([np.flatnonzero(other >= 0), other[other >= 0]]))
    one, other = np.concatenate(pairs, axis=1)
    root = np.arange(len(lines))  # of a tree per part, once neighbours have the same
    while (apart := root[one] != root[other]).any():
        ends = np.stack([root[one[apart]], root[other[apart]]])
        np.minimum.at(root, ends.max(0), ends.min(0))
        while (root != root[root]).any():
            root = root[root]
    return np.unique(root, return_inverse=True)[1], lines, columns


def _pooled(mask: Mask, step: int) -> Mask:
    """A pixel for each `step` x `step` pixels, ink if any of them is."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % step), (0, -width % step)))
    blocks = padded.reshape(padded.shape[0] // step, step, -1, step)
    pooled: Mask = np.logical_or.reduce(blocks, (1, 3))
    return pooled


# Size and width of the strokes.


def _scaled(mask: Mask, strength: Floats) -> Mask:
    """The ink of the mask, cropped, half of _LONGEST to _LONGEST high or wide.

    strength: 1 where ink begins. A shape that is small in the picture is drawn larger from it.
    """
    across, down = window(mask)
    longest = max(mask[across, down].shape)
    if longest > _LONGEST:
        return _pooled(mask[across, down], ceil(longest / _LONGEST))
    around = _highest(mask.astype(np.float32), 3)
    inked = np.pad(np.clip(strength, 0, 2) * around, 1)[
        across.start : across.stop + 2, down.start : down.stop + 2
    ]
    size = tuple(round(side * _LONGEST / longest) for side in inked.shape[::-1])
    return np.asarray(Image.fromarray(inked).resize(size, Image.Resampling.BICUBIC)) > 1


def _evened(strokes: _Strokes) -> Mask:
    """The mask, cropped, with strokes of MNIST's widths."""
    mask, width = strokes.mask, strokes.width
    aim = min(max(strokes.thickness, _THIN), _THICK)
    # The digit grows too, by as much on each side.
    grow = (aim / 20 * max(mask.shape) - width) / 2 / (1 - aim / 20)
    if abs(grow) >= 0.5:
        field = np.pad(mask, ceil(max(grow, 0)) + 1)
        away = _distances(field) if grow > 0 else -_distances(~field)
        grown = np.where(away <= grow, True, False)
        mask = grown if grown.any() else mask
    return mask[window(mask)]


def _distances(mask: Mask) -> Floats:
    """Distance of each pixel from the nearest of the mask, float32; exact up to _FAR."""
    lines = np.where(mask, 0, 2 * _FAR).astype(np.int32)
    for flipped in (lines, lines[::-1]):
        for k in range(1, len(lines)):
            flipped[k] = np.minimum(flipped[k], flipped[k - 1] + 1)
    beside = np.pad(lines**2, ((0, 0), (_FAR, _FAR)), constant_values=4 * _FAR**2)
    squares = np.arange(-_FAR, _FAR + 1, dtype=np.int32) ** 2
    nearest = (sliding_window_view(beside, len(squares), 1) + squares).min(-1)
    distances: Floats = np.sqrt(nearest, dtype=np.float32)
    return distances
