"""Rows of plain whole numbers, from bytes to pixels and back, without a loop over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images, release
from mnistprep.dataset import Labels, Split
from mnistprep.errors import FormatError

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LABEL_DIGITS, _LABEL_LIMIT = 10, 2**31 - 1
BLOCK = 64 << 10  # bytes a step: what is made of them stays in the processor's cache
_STEP = 50_000  # pixels at once, written, for the same reason
_STEPS = 8  # that a worker takes at once
_BEFORE = b"\n\n\n"  # so that three bytes stand before every byte of a block


@dataclass(frozen=True)
class Dialect:
    """What one file looks like: where rows start, their columns, the label's, the separator."""

    start: int  # bytes before the first row
    lines: int  # lines before the first row
    columns: int
    label: int  # column
    shape: tuple[int, ...]  # of a picture
    separator: int  # byte

    def lines_of(self, size: int) -> int:
        """Bytes, `size` or more, that always hold a whole row."""
        return max(size, 4 * self.columns + _LABEL_DIGITS)


def parse(file: Path, text: Images, dialect: Dialect, row: int, pixels: Images) -> Labels:
    """Put the pixels of whole lines into `pixels`, (rows, columns - 1); the labels of the lines.

    `row` is the number of the first. Raises FormatError with the line and column of what is no
    number of a row.
    """
    labels: list[Labels] = []
    size = dialect.lines_of(BLOCK)
    start = done = 0
    while start < len(text):
        block = text[start : start + size].tobytes()
        if start + size < len(text):
            block = block[: block.rfind(b"\n") + 1]
            if not block:
                raise too_long(file, dialect, row + done)
        labels.append(_parse_block(file, block, dialect, row + done, pixels[done:]))
        start, done = start + len(block), done + len(labels[-1])
    return np.concatenate(labels)


def too_long(file: Path, dialect: Dialect, row: int) -> FormatError:
    """The error for a line that is longer than any row."""
    where = f"{file}, line {row + dialect.lines + 1}"
    return FormatError(f"{where}: longer than any row of {dialect.columns} values")


def _parse_block(file: Path, block: bytes, dialect: Dialect, row: int, pixels: Images) -> Labels:
    if not block.endswith(b"\n"):
        block += b"\n"
    if b"\r" in block and block.count(b"\r") == block.count(b"\r\n"):
        block = block.replace(b"\r\n", b"\n")
    labels = _numbers(block, dialect, pixels)
    if labels is None:
        raise _explain(file, block, dialect, row)
    return labels


def _numbers(block: bytes, dialect: Dialect, pixels: Images) -> Labels | None:
    """The labels of lines whose pixels it puts into `pixels`; None where not all are rows.

    Nearly every step is over bytes, one after the other, also where few of them count: that is
    many times as fast as picking, or as steps over wider numbers.
    """
    text = np.frombuffer(_BEFORE + block, np.uint8)
    digits = text - np.uint8(48)
    between = digits > 9
    inside = ~between
    digits *= inside.view(np.uint8)
    found = np.flatnonzero(between[3:])
    if len(found) % dialect.columns:
        return None
    ends = found.reshape(-1, dialect.columns)
    if not _is_table(text[3:], ends, dialect):
        return None
    stops = ends[:, dialect.label] + 3
    starts = np.full(len(ends), 3)
    if dialect.label:
        starts = ends[:, dialect.label - 1] + 4
    else:
        starts[1:] = ends[:-1, -1] + 4
    if not _are_numbers(text, between, inside, stops - starts):
        return None
    labels = _take_labels(digits, starts, stops)
    # At every byte of the block: the number of up to three digits that ends before it.
    hundreds = digits[:-3] * inside[1:-2].view(np.uint8)
    hundreds *= inside[2:-1].view(np.uint8)
    rest = digits[1:-2] * np.uint8(10)
    rest += digits[2:-1]
    too_large = labels.max() > _LABEL_LIMIT or hundreds.max() > 2
    numbers = hundreds * np.uint8(100)
    numbers += rest
    if too_large or (numbers < rest).any():  # beyond 255 a byte starts again at 0
        return None
    table = numbers.take(ends)
    pixels[: len(table), : dialect.label] = table[:, : dialect.label]
    pixels[: len(table), dialect.label :] = table[:, dialect.label + 1 :]
    return labels


def _is_table(text: Images, ends: Numbers, dialect: Dialect) -> bool:
    """Whether what stands between the numbers of every row is separators and a newline."""
    separators = np.count_nonzero(text == dialect.separator)
    return separators == ends[:, :-1].size and bool((text[ends[:, -1]] == 10).all())


def _are_numbers(text: Images, between: Mask, inside: Mask, labels: Numbers) -> bool:
    """Whether no field is empty, padded with zeros, or, a label aside, wider than three digits.

    `labels` are the widths of the labels, which may have ten digits.
    """
    pairs = inside[:-1] & inside[1:]
    padded = pairs[3:] & between[2:-2]
    padded &= text[3:-1] == 48
    fourth = np.count_nonzero(pairs[:-2] & pairs[2:])
    return not (
        (between[2:-1] & between[3:]).any()
        or padded.any()
        or labels.max() > _LABEL_DIGITS
        or fourth != np.maximum(labels - 3, 0).sum()
    )


def _take_labels(digits: Images, starts: Numbers, stops: Numbers) -> Labels:
    """The labels between `starts` and `stops`; in `digits` they become 0."""
    labels = np.zeros(len(starts), np.int64)
    for k in range(int((stops - starts).max())):
        at = np.maximum(stops - 1 - k, starts - 1)  # what stands before a number counts as 0
        labels += digits[at] * np.int64(10**k)
        digits[at] = 0
    return labels


def _explain(file: Path, block: bytes, dialect: Dialect, row: int) -> FormatError:
    """The error for the first line of a block that is not a row of the dialect."""
    for k, line in enumerate(block[:-1].split(b"\n")):
        where = f"{file}, line {row + k + dialect.lines + 1}"
        fields = line.split(bytes([dialect.separator]))
        if len(fields) != dialect.columns:
            return FormatError(f"{where}: expected {dialect.columns} values, found {len(fields)}")
        for column, field in enumerate(fields):
            shown = f"column {column + 1} is {field[:20].decode('latin1')!r}"
            limit = _LABEL_LIMIT if column == dialect.label else 255
            if not field.isdigit():
                return FormatError(f"{where}: {shown}, not a whole number")
            if len(field) > 1 and field.startswith(b"0"):
                return FormatError(f"{where}: {shown}, with leading zeros")
            if len(field) > _LABEL_DIGITS or int(field) > limit:
                kind = "labels" if column == dialect.label else "pixels"
                return FormatError(f"{where}: {shown}; {kind} end at {limit:,}")
    return FormatError(f"{file}: a block that starts at line {row + 1} is not rows of numbers")


def span(split: Split) -> int:
    """How many rows of a split to format at once."""
    return _STEPS * _step(split)


def _step(split: Split) -> int:
    return max(1, _STEP // math.prod(split.shape))


def formatter(
    split: Split, between: bytes, *, last: bool, names: Sequence[bytes] | None = None
) -> Callable[[int, int], list[bytes]]:
    """What makes the text, in pieces, of rows from one to before another.

    `between` the numbers is a byte; `last` says where the label is; it is a number, or one of
    `names`, which have no zero bytes.
    """
    cells = np.zeros((256, 4), np.uint8)  # ",0" to ",255", zero bytes for what is not there
    for value in range(256):
        text = b"%d%b" % (value, between) if last else b"%b%d" % (between, value)
        cells[value, : len(text)] = list(text)
    texts: npt.NDArray[Any] = cells.view(np.uint32)[:, 0]
    unit: np.dtype[Any] = np.dtype(np.uint8)
    pixels, step = math.prod(split.shape), _step(split)
    if pixels % 2 == 0 and len(split) * pixels > 1 << 16:  # by a larger table, two at a time
        unit = np.dtype(np.uint16)
        texts = texts[np.arange(1 << 16, dtype=unit).view(np.uint8)].view(np.uint64)
    units = split.images.reshape(len(split), pixels).view(unit)
    labels = None if names is None else np.array(names, "S")
    width = 16 if labels is None else 8 * math.ceil(labels.itemsize / 8)
    fields: list[tuple[str, str, tuple[int, ...]]] = [
        ("label", f"S{width}", ()),
        ("pixels", texts.dtype.str, units.shape[1:]),
    ]
    table = np.zeros(step, [*(reversed(fields) if last else fields), ("end", "S8")])
    table["end"] = b"\n"

    def format_rows(start: int, stop: int) -> list[bytes]:
        pieces = []
        for at in range(start, stop, step):
            part = slice(at, min(at + step, stop))
            rows, numbers = table[: part.stop - at], split.labels[part]
            rows["label"] = numbers.astype("S") if labels is None else labels[numbers]
            rows["pixels"] = texts.take(units[part])
            pieces.append(rows.tobytes().translate(None, b"\0"))
        for array in (split.images, split.labels):
            release(array[start:stop])
        return pieces

    return format_rows
