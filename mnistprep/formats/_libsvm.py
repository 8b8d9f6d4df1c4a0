"""Rows of LIBSVM files: from text to pixels and labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mnistprep._arrays import Images
from mnistprep.dataset import Labels
from mnistprep.errors import FormatError
from mnistprep.formats import _decimal
from mnistprep.formats._textrows import Row, Table, shown

NUMBER = rb"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_ROW = re.compile(NUMBER + rb"(?:[ \t]+[0-9]{1,9}:[^\s:#]+)*")


class Places(dict[bytes, int]):
    """Texts of indices and the places of the pixels that they mean."""

    def __init__(self, base: int) -> None:
        super().__init__()
        self._base = base

    def __missing__(self, text: bytes) -> int:
        self[text] = place = whole_index(text) - self._base
        return place


def parser(file: Path, base: int, factor: int) -> Callable[[Sequence[Row], Images], list[bytes]]:
    """What parses rows of a file whose indices start at `base`; raises FormatError."""

    def parse(rows: Sequence[Row], out: Images) -> list[bytes]:
        values, places = _decimal.Pixels(factor), Places(base)
        labels = []
        out[:] = 0
        for k, (number, row) in enumerate(rows):
            text = row.partition(b"#")[0].rstrip()
            try:
                if not _ROW.fullmatch(text):
                    raise ValueError
                label, *fields = text.replace(b":", b" ").split()
                at = np.fromiter(map(places.__getitem__, fields[::2]), np.int64)
                if (at[1:] <= at[:-1]).any() or (at[:1] < 0).any() or (at >= out.shape[1]).any():
                    raise ValueError
                out[k, at] = np.frombuffer(bytes(map(values.__getitem__, fields[1::2])), np.uint8)
            except ValueError:
                raise explain(file, number, text, values) from None
            labels.append(label)
        return labels

    return parse


def explain(
    file: Path, number: int, row: bytes, values: _decimal.Pixels | None = None
) -> FormatError:
    """The error for a row that cannot be read."""
    where, last = f"{file}, line {number}", -1
    for pair in row.split()[1:]:
        index, colon, value = pair.partition(b":")
        if index == b"qid":
            return FormatError(f"{where}: a query id (qid) belongs to ranking, not to pictures")
        try:
            place = whole_index(index)
        except ValueError:
            place = -1
        if not colon or place < 0:
            return FormatError(f"{where}: expected index:value, found {shown(pair)}")
        if place <= last:
            return FormatError(f"{where}: index {place} after {last}; indices must rise")
        last = place
        try:
            if values is not None:
                values[value]
        except ValueError:
            return FormatError(
                f"{where}: {shown(pair)} is no pixel: expected 0 to 255, or all pixels divided "
                "by 255 or 256"
            )
    return FormatError(f"{where}: expected a label and index:value pairs, found {shown(row)}")


def labels(table: Table, texts: Sequence[bytes]) -> Labels:
    """The labels that texts mean; raises FormatError with the line of one that is none."""
    numbers = {}
    for text in set(texts):
        try:
            numbers[text] = _decimal.whole(text)
        except ValueError:
            line = table.lines_of([texts.index(text)])[0]
            raise FormatError(
                f"{table.file}, line {line}: label {shown(text)}: expected a whole number from 0"
            ) from None
    return np.array([numbers[text] for text in texts], np.int64)


def whole_index(text: bytes) -> int:
    """The number that an index is; ValueError for anything else."""
    if not text.isdigit() or len(text) > 9:
        raise ValueError
    return int(text)
