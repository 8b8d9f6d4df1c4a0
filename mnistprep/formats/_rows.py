"""Rows of plain whole numbers, from bytes to pixels without a loop over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images
from mnistprep.errors import FormatError

LABEL_DIGITS, _LABEL_LIMIT = 10, 2**31 - 1
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dialect:
    """What one file looks like: where rows start, their columns, the label's, the separator."""

    start: int  # bytes before the first row
    lines: int  # lines before the first row
    columns: int
    label: int  # column
    shape: tuple[int, ...]  # of a picture
    separator: int  # byte


def parse(file: Path, block: Images, dialect: Dialect, row: int, pixels: Images) -> list[int]:
    """Put the pixels of whole lines into `pixels`, (rows, columns - 1); returns their labels."""
    text = block if block[-1] == 10 else np.append(block, np.uint8(10))
    returns = np.flatnonzero(text == 13)
    if len(returns) and (text[returns + 1] == 10).all():
        text = np.delete(text, returns)
    digits = text - np.uint8(48)
    between = digits > 9
    ends, shape = np.flatnonzero(between), (len(pixels), dialect.columns)
    if len(ends) != shape[0] * shape[1] or not _is_table(
        text[ends].reshape(shape), dialect.separator
    ):
        raise _explain(file, text, dialect, row)
    stops = ends.reshape(shape)[:, dialect.label]
    starts = np.append(-1, ends)[:-1].reshape(shape)[:, dialect.label] + 1
    if not _are_numbers(text, between, stops - starts):
        raise _explain(file, text, dialect, row)
    inside = ~between
    digits *= inside
    # At every byte: the number of up to three digits that ends there.
    numbers = digits.astype(np.uint16)
    numbers[1:] += digits[:-1] * np.uint8(10)
    hundreds = (digits[:-2] * inside[1:-1]).astype(np.uint16)  # up to 900, no byte
    numbers[2:] += hundreds * np.uint16(100)
    table = numbers[ends - 1].reshape(shape)
    table[:, dialect.label] = 0
    if table.max() > 255:
        raise _explain(file, text, dialect, row)
    pixels[:, : dialect.label] = table[:, : dialect.label]
    pixels[:, dialect.label :] = table[:, dialect.label + 1 :]
    whole = text.tobytes()
    labels = [int(whole[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    if max(labels) > _LABEL_LIMIT:
        raise _explain(file, text, dialect, row)
    return labels


def _is_table(found: Images, separator: int) -> bool:
    """Whether what stands between the numbers of every row is separators and a newline."""
    return bool((found[:, :-1] == separator).all() and (found[:, -1] == 10).all())


def _are_numbers(text: Images, between: npt.NDArray[np.bool_], labels: Numbers) -> bool:
    """Whether no field is empty, padded with zeros, or, a label aside, wider than three digits.

    `labels` are the widths of the labels, which may have ten digits.
    """
    inside = ~between
    empty = between[0] or (between[1:] & between[:-1]).any()
    padded = (text[:-1] == 48) & inside[1:]
    padded[1:] &= between[:-2]
    fourth = np.count_nonzero(inside[3:] & inside[2:-1] & inside[1:-2] & inside[:-3])
    return not (
        empty
        or padded.any()
        or labels.max() > LABEL_DIGITS
        or fourth != np.maximum(labels - 3, 0).sum()
    )


def _explain(file: Path, text: Images, dialect: Dialect, row: int) -> FormatError:
    """The error for the first line of a block that is not a row of the dialect."""
    for k, line in enumerate(text.tobytes()[:-1].split(b"\n")):
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
            if len(field) > LABEL_DIGITS or int(field) > limit:
                kind = "labels" if column == dialect.label else "pixels"
                return FormatError(f"{where}: {shown}; {kind} end at {limit:,}")
    return FormatError(f"{file}: a block that starts at line {row + 1} is not rows of numbers")
