"""Rows of ARFF, dense and sparse: from text to pixels and the text of the class."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np

from mnistprep._arrays import Images
from mnistprep.errors import FormatError
from mnistprep.formats import _arff, _decimal
from mnistprep.formats._textrows import Row, Table, shown

_PAIR = rf"([0-9]{{1,9}})\s+({_arff.QUOTED}|[^\s,{{}}'\"]+)\s*(,\s*|$)"
_SPARSE = re.compile(_PAIR.encode(), re.DOTALL)


@dataclass(frozen=True)
class Sheet:
    """One file: its columns and its rows."""

    columns: _arff.Columns
    table: Table

    @property
    def label(self) -> _arff.Attribute:
        """The column of the class."""
        return self.columns.attributes[self.columns.label]


def values(sheet: Sheet, row: bytes) -> list[bytes]:
    """The texts of a row's pixels, as far as it is one; reading says what is wrong with it."""
    label = sheet.columns.label
    if row.startswith(b"{"):
        return [m[2] for m in _SPARSE.finditer(row[1:-1].strip()) if int(m[1]) != label]
    fields = fields_of(row, len(sheet.columns.attributes))
    if len(fields) != len(sheet.columns.attributes):
        return []
    return [fields[k] for k in sheet.columns.pixels]


def fields_of(row: bytes, count: int) -> list[bytes]:
    """The texts between the commas of a dense row, or between spaces where it has no comma."""
    fields = row.split(b",")
    if b"'" in row or b'"' in row:
        between = _arff.TOKEN.sub(b"", row)
        return _arff.TOKEN.findall(row) if not between.strip(b", \t") else []
    if len(fields) != count and b"," not in row:
        return row.split()
    return fields


def parser(sheet: Sheet, factor: int) -> Callable[[Sequence[Row], Images], list[bytes]]:
    """What parses rows of a file, pixels on the scale `factor`; raises FormatError."""
    columns, file = sheet.columns, sheet.table.file
    count = len(columns.attributes)
    pick = itemgetter(*columns.pixels, columns.label)
    places = {column: k for k, column in enumerate(columns.pixels)}
    numeric = all(columns.attributes[k].kind == "numeric" for k in columns.pixels)

    def parse(rows: Sequence[Row], out: Images) -> list[bytes]:
        pixels = _decimal.Pixels(factor)
        labels, pictures = [], []
        for number, row in rows:
            try:
                if row.startswith(b"{"):
                    if not numeric:
                        raise FormatError(
                            f"{file}, line {number}: a sparse row of nominal pixels leaves out "
                            "their first values, which need not be 0; expected numeric pixels"
                        )
                    picture, label = _sparse(sheet, places, pixels, row)
                else:
                    fields = fields_of(row, count)
                    if len(fields) != count:
                        raise ValueError
                    *values, label = pick(fields)
                    picture = bytes(map(pixels.__getitem__, values))
                    label = label.strip()
            except ValueError:
                raise explain(file, columns, pixels, number, row) from None
            if label in (b"?", b""):
                raise FormatError(f"{file}, line {number}: the class is missing (?)")
            pictures.append(picture)
            labels.append(label)
        out[:] = np.frombuffer(b"".join(pictures), np.uint8).reshape(out.shape)
        return labels

    return parse


def _sparse(
    sheet: Sheet, places: dict[int, int], pixels: _decimal.Pixels, row: bytes
) -> tuple[bytes, bytes]:
    """The pixels and the label of a row such as {152 3, 153 18, 784 5}; what is not there is 0."""
    columns = sheet.columns
    inside, at, last = row[1:-1].strip(), 0, -1
    if not row.endswith(b"}"):
        raise ValueError
    picture = bytearray(len(places))
    label = b"0"  # where the row does not say: 0, or the first value
    if sheet.label.kind == "nominal" and sheet.label.values:
        label = _arff.quote(sheet.label.values[0]).encode()
    elif sheet.label.kind == "string":
        label = b"?"
    while at < len(inside):
        match = _SPARSE.match(inside, at)
        if match is None or (column := int(match[1])) <= last:
            raise ValueError
        if column == columns.label:
            label = match[2]
        elif column in places:
            picture[places[column]] = pixels[match[2]]
        elif column >= len(columns.attributes):
            raise ValueError
        last, at = column, match.end()
        if at == len(inside) and match[3]:
            raise ValueError
    return bytes(picture), label


def explain(
    file: Path, columns: _arff.Columns, pixels: _decimal.Pixels | None, number: int, row: bytes
) -> FormatError:
    """The error for a row that cannot be read."""
    where, count = f"{file}, line {number}", len(columns.attributes)
    if row.startswith(b"{"):
        found = {int(match[1]): match[2] for match in _SPARSE.finditer(row[1:-1].strip())}
    else:
        fields = fields_of(row, count)
        if len(fields) != count:
            return FormatError(f"{where}: expected {count} values, found {len(fields)}")
        found = dict(enumerate(fields))
    for column in sorted(found.keys() & set(columns.pixels)):
        text = found[column].strip()
        try:
            if pixels is not None:
                pixels[text]
        except ValueError:
            if text == b"?":
                return FormatError(f"{where}: column {column + 1} is missing (?)")
            return FormatError(
                f"{where}: column {column + 1} is {shown(text)}, not a pixel: "
                "expected 0 to 255, or all pixels divided by 255 or 256"
            )
    if row.startswith(b"{"):
        return FormatError(
            f"{where}: not a sparse row, columns from 0 rising below {count}: {shown(row)}"
        )
    return FormatError(f"{where}: not a row of the columns above: {shown(row)}")
