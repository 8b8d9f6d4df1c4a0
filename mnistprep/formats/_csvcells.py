"""Rows of any table, cell by cell: slower than _rows, for everything that is not plain.

A file is walked twice, in blocks of whole lines: once for the texts that its cells have, which are
few where the pixels are bytes, and once to put the byte of each text in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from mnistprep import _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _csvprinted, _csvtext
from mnistprep.formats._csvcolumns import Columns
from mnistprep.formats._csvtext import COMMA, LABEL_NAME, NUMBER, STRIPPED, Table
from mnistprep.formats._decimal import vanishes
from mnistprep.formats._splits import named_split

Labels = npt.NDArray[np.int64]

_BLOCK = 1 << 20  # bytes a step
_TEXTS = 4096  # different texts in a file; 256 values have no more, however they are padded
LABEL_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class _Look:
    """What one block of lines has; ids are of columns without a name."""

    rows: int
    lines: int
    skipped: int
    texts: set[bytes]
    labels: list[bytes]
    ids: list[bytes]
    splits: list[bytes]


def read(
    table: Table, columns: Columns, progress: Progress, workers: int | None, scale: str
) -> tuple[Images, list[bytes] | None, list[bytes] | None, bool]:
    """Pictures, the texts of every label and of every split, and whether pixels are divided.

    None for labels and splits where there are no such. Raises FormatError with the line and column
    of what is no byte.
    """
    cuts = _csvtext.blocks(table, _BLOCK)
    single = _one(columns.label) | _one(columns.split)
    columns_out = sorted({*columns.one_hot, *columns.ignored} | single, reverse=True)
    left = {column: k for k, column in enumerate(sorted(columns.pixels))}
    order = [left[column] for column in columns.pixels]
    looks = _looked(table, columns, cuts, columns_out, progress, workers)
    starts = np.cumsum([0, *(look.rows for look in looks)]).tolist()
    texts: set[bytes] = set().union(*(look.texts for look in looks))
    codes = _codes(table, columns, texts, progress, scale) if texts else {}
    unit = any(float(_point(text.strip(STRIPPED), table.separator)) % 1 for text in codes)
    _check_ids(table, [text for look in looks for text in look.ids])
    if skipped := sum(look.skipped for look in looks):
        progress.note(f"{table.file}: {skipped:,} empty lines and comments among the rows")
    images = empty_images((starts[-1], *columns.shape), shared=True)
    pixels = images.reshape(starts[-1], len(columns.pixels))
    progress.start(f"read {table.file.name}", starts[-1], "examples")

    def fill(first: int, last: int) -> int:
        for k in range(first, last):
            found = bytearray()
            for _, fields in _csvtext.rows(table, cuts[k], cuts[k + 1]):
                for column in columns_out:
                    del fields[column]
                found += bytes(map(codes.__getitem__, fields))
            out = pixels[starts[k] : starts[k + 1]]
            cells = np.frombuffer(found, np.uint8).reshape(out.shape)
            out[...] = cells[:, order]
            release(out)
            release(table.data[cuts[k] : cuts[k + 1]])
        return int(starts[last] - starts[first])

    for done in _workers.run(fill, len(cuts) - 1, size=1, workers=workers):
        progress.advance(done)
    splits = [text for look in looks for text in look.splits] if columns.split is not None else None
    if columns.label is None and not columns.one_hot:
        return images, None, splits, unit
    return images, [text for look in looks for text in look.labels], splits, unit


def line_of_rows(table: Table) -> list[int]:
    """The line of every row, from 1."""
    cuts, lines, at = _csvtext.blocks(table, _BLOCK), [], table.lines + 1
    for start, stop in pairwise(cuts):
        lines += [at + number for number, _ in _csvtext.lines(table, start, stop)]
        at += int(np.count_nonzero(table.data[start:stop] == 10))
    return lines


def splits_of_rows(table: Table, column: int) -> list[str]:
    """The split that a column says each row is of; raises FormatError for what is none."""
    texts = []
    for start, stop in pairwise(_csvtext.blocks(table, _BLOCK)):
        texts += [fields[column] for _, fields in _csvtext.rows(table, start, stop)]
    return splits_of(table, column, texts)


def splits_of(table: Table, column: int, texts: list[bytes]) -> list[str]:
    """The splits that the texts of a column mean; raises FormatError for what is none."""
    words = {text: printable(text.strip(STRIPPED).decode("utf-8", "replace"), 24) for text in texts}
    means = {text: named_split(word) for text, word in words.items()}
    for row, text in enumerate(texts):
        if means[text] is None:
            line = line_of_rows(table)[row]
            raise FormatError(
                f"{table.file}, line {line}: column {column + 1} says the split "
                f"{words[text]!r}, which is none of train, valid, test"
            )
    return [means[text] or "" for text in texts]


def _one(column: int | None) -> set[int]:
    return set() if column is None else {column}


def _looked(
    table: Table,
    columns: Columns,
    cuts: list[int],
    out: list[int],
    progress: Progress,
    workers: int | None,
) -> list[_Look]:
    progress.start(f"look at {table.file.name}", len(table.data), "bytes")
    unnamed = [k for k in columns.ignored if not (table.names and table.names[k])]

    def look(first: int, last: int) -> _Look:
        rows = number = filled = 0
        texts: set[bytes] = set()
        labels: list[bytes] = []
        ids: list[bytes] = []
        splits: list[bytes] = []
        for number, fields in _csvtext.rows(table, cuts[first], cuts[last]):
            if len(fields) != table.columns:
                where = _line(table, cuts[first], number)
                raise FormatError(f"{where}: expected {table.columns} values, found {len(fields)}")
            if columns.label is not None:
                labels.append(fields[columns.label])
            elif columns.one_hot:
                labels.append(_hot(table, columns, fields, cuts[first], number))
            ids += [fields[k] for k in unnamed]
            if columns.split is not None:
                splits.append(fields[columns.split])
            for column in out:
                del fields[column]
            texts.update(fields)
            rows += 1
        if len(texts) > _TEXTS:
            raise FormatError(_changed(table, cuts[first], next(iter(texts))))
        part = table.data[cuts[first] : cuts[last]]
        lines = int(np.count_nonzero(part == 10))
        filled = lines + (len(part) > 0 and part[-1] != 10)
        release(part)
        return _Look(rows, lines, filled - rows, texts, labels, ids, splits)

    looks = []
    for k, found in enumerate(_workers.run(look, len(cuts) - 1, size=1, workers=workers)):
        looks.append(found)
        progress.advance(cuts[k + 1] - cuts[k])
    return looks


def _hot(table: Table, columns: Columns, fields: list[bytes], start: int, number: int) -> bytes:
    hot = [fields[k].strip(STRIPPED) for k in columns.one_hot]
    ones = [k for k, text in enumerate(hot) if text not in (b"0", b"0.0")]
    try:
        values = [float(text) for text in (hot[k] for k in ones)]
    except ValueError:
        values = []
    ones = [k for k, value in zip(ones, values, strict=False) if value != 0]
    if [value for value in values if value != 0] != [1.0]:
        raise FormatError(
            f"{_line(table, start, number)}: the {len(hot)} columns of the label must "
            "hold a single 1"
        )
    return str(ones[0]).encode()


def _line(table: Table, start: int, number: int) -> str:
    before = sum(
        int(np.count_nonzero(table.data[k : min(k + _BLOCK, start)] == 10))
        for k in range(table.start, start, _BLOCK)
    )
    return f"{table.file}, line {table.lines + before + number + 1}"


def _changed(table: Table, start: int, text: bytes) -> str:
    shown = printable(text.decode("utf-8", "replace"), 24)
    return (
        f"{_line(table, start, 0)} and on: numbers such as {shown} are neither bytes nor bytes "
        "divided by 255 or 256; they were changed, and the pictures cannot be had back exactly"
    )


def _codes(
    table: Table, columns: Columns, texts: set[bytes], progress: Progress, scale: str
) -> dict[bytes, int]:
    """The byte of every text; raises FormatError with the place of the first that has none."""
    numbers = {text: _point(text.strip(STRIPPED), table.separator) for text in texts}
    bad = {text: reason for text, number in numbers.items() if (reason := _no_number(number))}
    if bad:
        _refuse(table, columns, bad)
    if all(re.fullmatch(rb"0|[1-9][0-9]{0,2}", number) for number in numbers.values()):
        codes = {text: int(number) for text, number in numbers.items()}
        if max(codes.values()) <= 255 and (max(codes.values()) > 1 or scale != "unit"):
            return codes
    values = {text: float(number) for text, number in numbers.items()}
    if {*values.values()} <= {0.0, 1.0}:
        if scale == "auto" and 1.0 in values.values():
            progress.note(
                f"{table.file}: all pixels are 0 or 1, and are read as these bytes; "
                "-R scale=unit takes 1 for white"
            )
        return {
            text: int(value) * (255 if scale == "unit" else 1) for text, value in values.items()
        }
    readings = _csvprinted.bytes_of(set(values.values()))
    if len(readings) == 1:
        return {text: readings[0][value] for text, value in values.items()}
    if readings:
        raise FormatError(
            f"{table.file}: {len(set(values.values()))} different numbers, which could be bytes "
            "divided by 255 or by 256; export them with more digits"
        )
    strange = _csvprinted.strange(set(values.values()))
    whole = any(abs(value) > 1 and value == int(value) for value in values.values())
    reasons = {}
    for text, value in values.items():
        if value in strange:
            if whole and value == int(value):
                reasons[text] = "pixels end at 255" if value > 0 else "not a whole number from 0"
            elif whole:
                reasons[text] = "not a whole number"
            else:
                reasons[text] = (
                    "neither a byte nor one divided by 255 or 256; the pixels were changed, and "
                    "cannot be had back exactly"
                )
    _refuse(table, columns, reasons)


def _point(text: bytes, separator: bytes) -> bytes:
    """A number with a decimal point; it has a comma in many countries, where no comma separates."""
    return text.replace(b",", b".") if separator != b"," and COMMA.fullmatch(text) else text


def _no_number(text: bytes) -> str | None:
    if NUMBER.fullmatch(text):
        if re.match(rb"[-+]?0[0-9]", text):
            return "with leading zeros"
        if vanishes(text):
            return "not a whole number"
        return None if abs(float(text)) < 1e9 else "pixels end at 255"
    return "a missing value" if _csvtext.is_number(text) else "not a whole number"


def _refuse(table: Table, columns: Columns, reasons: dict[bytes, str]) -> NoReturn:
    cuts = _csvtext.blocks(table, _BLOCK)
    for start, stop in pairwise(cuts):
        for number, fields in _csvtext.rows(table, start, stop):
            for column in sorted(columns.pixels):
                if fields[column] in reasons:
                    _refuse_at(table, start, number, column, fields[column], reasons)
    raise FormatError(f"{table.file}: {next(iter(reasons.values()))}")


def _refuse_at(
    table: Table, start: int, number: int, column: int, text: bytes, reasons: dict[bytes, str]
) -> NoReturn:
    shown = repr(printable(text.strip(STRIPPED).decode("utf-8", "replace"), 24))
    raise FormatError(
        f"{_line(table, start, number)}: column {column + 1} is {shown}, {reasons[text]}"
    )


def _check_ids(table: Table, ids: list[bytes]) -> None:
    """Refuse a column without a name that is left out, unless it numbers the rows."""
    texts = {text.strip(STRIPPED) for text in ids}
    if len(texts) < len(ids) or not all(re.fullmatch(rb"[0-9]+(\.0)?", text) for text in texts):
        raise FormatError(
            f"{table.file}: the column without a name does not number the rows; name it `label` "
            "if it is the label, or remove it"
        )


def listed(file: Path) -> tuple[Labels, tuple[str, ...] | None]:
    """The labels of a file that has nothing else, below a name or not, and their names."""
    data = _csvtext.content(file)
    first, *others = data.tobytes().split(b"\n")
    title = _csvtext.unquoted(first)
    word = not _csvtext.is_number(title) and all(map(_csvtext.is_number, others))
    named = word or LABEL_NAME.fullmatch(title.decode("utf-8", "replace")) is not None
    start = min(len(data), len(first) + 1) if named else 0
    table = Table(file, data, start, int(named), b"\t", 1, None, [], [], False)
    rows = [line.strip() for _, line in _csvtext.lines(table, start, len(data))]
    return classes_of(table, 0, rows)


def title_hint(file: Path) -> str:
    """What to do about a list with one label too many, whose first line may be a name of pandas."""
    first = _csvtext.content(file)[:200].tobytes().split(b"\n")[0]
    return _csvtext.title_hint(_csvtext.unquoted(first).decode("utf-8", "replace"))


def classes_of(
    table: Table, column: int | None, labels: list[bytes]
) -> tuple[Labels, tuple[str, ...] | None]:
    """Labels as numbers and, where the file has names for them, these names, sorted."""
    between = table.separator
    texts = {text: _point(_csvtext.unquoted(text), between) for text in set(labels)}
    numbers = {text: _whole(stripped) for text, stripped in texts.items()}
    names = sorted({stripped for text, stripped in texts.items() if numbers[text] is None})
    if any(_csvtext.is_number(name) for name in names):
        _refuse_label(table, column, labels, {name for name in names if _csvtext.is_number(name)})
    if not names:
        return np.array([numbers[text] for text in labels], np.int64), None
    digits = {texts[text] for text, number in numbers.items() if number is not None}
    letters = [name for name in names if len(name) == 1 and name.isalpha()]
    if digits and not (len(letters) == len(names) >= 10 and all(len(d) == 1 for d in digits)):
        _refuse_label(table, column, labels, set(names))
    ordered = sorted({*names, *digits})
    at = {name: k for k, name in enumerate(ordered)}
    try:
        decoded = tuple(name.decode() for name in ordered)
    except UnicodeDecodeError:
        raise FormatError(f"{table.file}: the names of the classes are not plain text") from None
    return np.array([at[texts[text]] for text in labels], np.int64), decoded


def _whole(text: bytes) -> int | None:
    if re.fullmatch(rb"0|[1-9][0-9]{0,9}", text):
        number = int(text)
    elif NUMBER.fullmatch(text) and not re.match(rb"[-+]|0[0-9]", text) and not vanishes(text):
        value = float(text)
        number = int(value) if value < LABEL_LIMIT and value == int(value) else -1
    else:
        return None
    return number if 0 <= number <= LABEL_LIMIT else None


def _refuse_label(
    table: Table, column: int | None, labels: Iterable[bytes], bad: set[bytes]
) -> NoReturn:
    texts = [_csvtext.unquoted(text) for text in labels]
    row = next(k for k, text in enumerate(texts) if _point(text, table.separator) in bad)
    text = texts[row]
    line = line_of_rows(table)[row]
    where = f"{table.file}, line {line}: column {(column or 0) + 1} is"
    shown = repr(printable(text.decode("utf-8", "replace"), 24))
    if _csvtext.is_missing(text):
        raise FormatError(f"{where} {shown}: the label is missing")
    if NUMBER.fullmatch(text) and abs(float(text)) > LABEL_LIMIT:
        raise FormatError(f"{where} {shown}; labels end at {LABEL_LIMIT:,}")
    if re.match(rb"0[0-9]", text):
        raise FormatError(f"{where} {shown}, with leading zeros")
    kind = "not a whole number from 0" if _csvtext.is_number(text) else "a word among numbers"
    raise FormatError(f"{where} {shown}, {kind}; labels are whole numbers or all of them names")
