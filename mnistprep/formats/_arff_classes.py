"""Which label a text in the class column of an ARFF file is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from mnistprep._text import printable
from mnistprep.dataset import Labels
from mnistprep.errors import FormatError
from mnistprep.formats import _arff, _decimal
from mnistprep.formats._arff_rows import Sheet
from mnistprep.formats._textrows import shown

_WHOLE = re.compile(r"[0-9]{1,10}(\.0+)?")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,8})(\.0+)?")


def labels(
    sheets: Mapping[str, Sheet], texts: Mapping[str, Sequence[bytes]], given: tuple[str, ...] | None
) -> tuple[dict[str, Labels], tuple[str, ...] | None]:
    """The labels of each file, and the class names, None where they are the label numbers.

    `given` names decide, in their order. Else names that are the numbers from 0 on are labels in
    themselves, in whatever order they are listed (Weka lists them as they come); other names are
    labels in the order of the list.
    """
    named = {name: _names(sheet, texts[name]) for name, sheet in sheets.items()}
    listed = [value for sheet in sheets.values() for value in sheet.label.values]
    found = {value for names in named.values() for value in names.values()}
    order = given if given is not None else tuple(dict.fromkeys([*listed, *sorted(found)]))
    classes: tuple[str, ...] | None = order
    where = {value: k for k, value in enumerate(order)}
    if given is None and not listed and all(map(_WHOLE.fullmatch, found)):
        where, classes = {value: int(value.partition(".")[0]) for value in found}, None
    elif given is None and (numbers := numbered(order)) is not None:
        where, classes = numbers, tuple(map(str, range(len(numbers))))
    result = {}
    for name, names in named.items():
        for text, value in names.items():
            if value not in where:
                raise _wrong(sheets[name], texts[name], text, "is none of those in mnistprep.json")
        result[name] = np.array([where[names[text]] for text in texts[name]], np.int64)
    return result, classes


def numbered(names: Sequence[str]) -> dict[str, int] | None:
    """Names as numbers, where they are 0, 1, ... (or 0.0, 1.0, ...) in any order."""
    if not all(map(_NUMBER.fullmatch, names)):
        return None
    numbers = {name: int(name.partition(".")[0]) for name in names}
    return numbers if sorted(numbers.values()) == list(range(len(names))) else None


def _names(sheet: Sheet, texts: Sequence[bytes]) -> dict[bytes, str]:
    """The class that each text means; raises FormatError for one that is none."""
    listed, kind, names = set(sheet.label.values), sheet.label.kind, {}
    for text in set(texts):
        name = _arff.unquote(text)
        if kind == "numeric" or (kind == "nominal" and name not in listed):
            try:
                name = str(_decimal.whole(text.strip(b"\"'")))
            except ValueError:
                if kind == "numeric":
                    expected = "is no label: expected a whole number from 0"
                    raise _wrong(sheet, texts, text, expected) from None
            if kind == "nominal" and name not in listed:
                column = printable(sheet.label.name, 24)
                raise _wrong(sheet, texts, text, f"is not in the list of {column!r}")
        names[text] = name
    return names


def _wrong(sheet: Sheet, texts: Sequence[bytes], text: bytes, expected: str) -> FormatError:
    line = sheet.table.lines_of([texts.index(text)])[0]
    return FormatError(f"{sheet.table.file}, line {line}: class {shown(text)} {expected}")
