"""Text of a table: what a file's bytes are before anybody asks what its columns mean.

Compression, byte-order marks, UTF-16, line ends, comments, separators, quotes, a line of names.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistprep import _foreign
from mnistprep._arrays import Images, empty_images, release
from mnistprep._files import head
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _csvpacked

NUMBER = re.compile(rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
COMMA = re.compile(rb"[-+]?[0-9]+,[0-9]+")  # a number with a decimal comma
STRIPPED = b' \t\r"'
LABEL_NAME = re.compile(
    r"(class|label|target)s?([ _-]?(id|idx|index|name|no|number))?|y([ _-]?(true|train|test))?"
    r"|digits?|categor(y|ies)|characters?|letters?|symbol|lbl|annotation|class_?label",
    re.IGNORECASE,
)
OTHER_NAME = re.compile(
    r"|unnamed: ?\d+([._]\d+)?(_level_\d+)?|(image|img|row|sample|example)?[ _-]?(id|idx|index)"
    r"|row|#|no|file([ _-]?name)?|path",
    re.IGNORECASE,
)
LINE_LIMIT = 16 << 20  # bytes; a picture of 2048 x 2048 fits
_MISSING = (b"", b"nan", b"na", b"n/a", b"null", b"none", b"?")
_UTF8 = codecs.BOM_UTF8
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_WORKBOOK = re.compile(
    rb"PK\x03\x04.{26}(?:\[Content_Types\]\.xml|_rels/|docProps/|xl/)", re.DOTALL
)
_SHEET = re.compile(rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis\.opendocument", re.DOTALL)
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SEPARATORS = (b"\t", b";", b"|", b",", b" ")
_STEP = 1 << 20  # bytes
_TAIL = 1 << 18  # bytes
_SAMPLE = 200  # lines
_COUNTED = 65  # fields that count up from 0 or 1 are the numbers of columns, and no picture


@dataclass(frozen=True)
class Table:
    """Rows of fields, and what stands before them.

    data: the bytes; lines end in LF or CRLF. start, lines: bytes and lines before the first row.
    separator: one byte; a space means any white space. columns: fields of a row. names: the
    columns', where the file says them. first: some rows of the start; last: some of the end.
    trailing: a separator ends every row.
    """

    file: Path
    data: Images
    start: int
    lines: int
    separator: bytes
    columns: int
    names: tuple[str, ...] | None
    first: list[list[bytes]]
    last: list[list[bytes]]
    trailing: bool


def is_spreadsheet(path: Path) -> bool:
    """Whether a file is a workbook of Excel or LibreOffice, by its first bytes."""
    start = head(path, 512)
    return start.startswith(_OLD_WORKBOOK) or bool(_WORKBOOK.match(start) or _SHEET.match(start))


def is_octave(path: Path) -> bool:
    """Whether a file is what Octave's `save` writes by itself."""
    return path.is_file() and head(path, 20).startswith(b"# Created by Octave")


def no_table(path: Path) -> str | None:
    """What a file is that is no table at all, by its first bytes; None where it may be one."""
    if not path.is_file():
        return "not a file"
    if is_spreadsheet(path):
        return "a spreadsheet under the name of a CSV; open it there and save it as CSV"
    if is_octave(path):
        return "Octave's own text form, not data that are read; save it there with `save -v7`"
    return _foreign.what(path)


def no_rows(path: Path) -> str:
    """Why a file that may be a table has no rows of pictures: damage, or another text."""
    try:
        start = _csvpacked.content_of(path)[:200].tobytes()
    except FormatError as error:
        return str(error).removeprefix(f"{path}: ")
    lines = [line.strip() for line in start.splitlines() if line.strip()]
    if not lines or not all(byte >= 32 or byte == 9 for byte in lines[0]):
        return "no rows of pictures"
    return f"no rows of pictures, but {printable(lines[0].decode('utf-8', 'replace'), 40)!r}"


def is_list(path: Path) -> bool:
    """Whether a file has one column, of numbers or of words, below a name or not."""
    if no_table(path):
        return False
    found = [line for line in first_lines(path, _STEP) if line.strip()]
    return bool(found) and all(re.fullmatch(rb'"?[-+\w. ]{1,40}"?', line.strip()) for line in found)


def first_lines(path: Path, size: int) -> list[bytes]:
    """The first lines of a file, no more than `size` bytes of them, only to be looked at."""
    start = _csvpacked.start_of(path, size)
    for mark, codec in _UTF16.items():
        if start.startswith(mark):
            start = start[2:].decode(codec, "replace").encode()
    found = start.removeprefix(_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return [line for line in found[: -1 if len(found) > 1 else None] if not is_skipped(line)]


def is_skipped(line: bytes) -> bool:
    """Whether a line is empty, a comment, or Excel's own word on the separator."""
    text = line.strip()
    return not text.strip(b",;|") or text.startswith(b"#") or bool(re.match(rb'(?i)"?sep=.', text))


def is_number(field: bytes) -> bool:
    """Whether a field is a number, or says that there is none."""
    text = field.strip(STRIPPED)
    return (NUMBER.fullmatch(text) or COMMA.fullmatch(text)) is not None or is_missing(text)


def is_missing(text: bytes) -> bool:
    """Whether a field without quotes and white space says that there is no value."""
    return text.lower() in _MISSING


def split(line: bytes, separator: bytes) -> list[bytes]:
    """The fields of a line; separators within quotes are none."""
    if separator == b" ":
        return line.split()
    fields = line.rstrip(b"\r").split(separator)
    if b'"' in line and any(field.count(b'"') % 2 for field in fields):
        try:
            text = line.rstrip(b"\r").decode("latin1")
            found = next(csv.reader([text], delimiter=separator.decode(), strict=True))
        except (csv.Error, StopIteration):
            return fields
        return [b'"%b"' % field.encode("latin1").replace(b'"', b'""') for field in found]
    return fields


def title_hint(first: str) -> str:
    """What to do about a list with one label too many, which starts with that."""
    shown = printable(first, 24)
    return f"; if line 1, {shown!r}, is the name of the column, call it `label` or remove it"


def unquoted(field: bytes) -> bytes:
    """The text in a field."""
    text = field.strip()
    if len(text) > 1 and text.startswith(b'"') and text.endswith(b'"'):
        return text[1:-1].replace(b'""', b'"').strip()
    return text


def separator_of(found: list[bytes]) -> bytes:
    """The separator of rows: one that gives all of them as many fields, and more than one."""
    counts = {s: [len(split(line, s)) for line in (found[1:] or found)[:20]] for s in _SEPARATORS}
    for separator, numbers in counts.items():
        if len(set(numbers)) == 1 and numbers[0] > 1:
            return separator
    return max(counts, key=lambda s: (s != b" " and max(counts[s]) > 1, sum(counts[s])))


def open_table(path: Path, *, own: bool) -> Table | None:
    """The table in a file; None where it has neither rows nor names.

    `own` says that mnistprep wrote it: its names of columns are never numbers. Raises FormatError
    for what is no table.
    """
    data = content(path)
    sample = _sample(path, data)
    at, number, comment = 0, 0, b""
    while number < len(sample) and is_skipped(sample[number]):
        comment = sample[number] if sample[number].lstrip().startswith(b"#") else comment
        at += len(sample[number]) + 1
        number += 1
    rest = [line for line in sample[number:] if not is_skipped(line)]
    if not rest:
        return None
    separator = separator_of(rest)
    names = _names(path, rest, separator, own)
    if names is not None:
        at += len(sample[number]) + 1
        number += 1
        rest = rest[1:]
    fields = [split(line, separator) for line in rest]
    columns = len(fields[0]) if fields else len(names or ())
    if names is None and comment:
        titles = split(comment.lstrip().lstrip(b"# "), separator)
        if len(titles) == columns and not all(map(is_number, titles)):
            names = _decoded(path, titles)
    trailing = columns > 1 and bool(fields) and all(not row[-1].strip() for row in fields)
    if trailing:
        columns -= 1
        fields = [row[:-1] for row in fields]
        names = names[:columns] if names else None
    if names and len(names) == columns - 1 and _are_row_names([row[0] for row in fields]):
        names = ("", *names)
    end = data[-_TAIL:].tobytes().split(b"\n")[1:]
    last = [split(line, separator) for line in end[-_SAMPLE:] if not is_skipped(line)]
    last = [row[:columns] for row in last if len(row) == columns + trailing]
    return Table(path, data, at, number, separator, columns, names, fields, last, trailing)


def _are_row_names(first: list[bytes]) -> bool:
    """Whether fields are what R's write.table puts before every row, and names no column for."""
    numbers = [field.strip(STRIPPED) for field in first]
    quoted = all(field.startswith(b'"') for field in first)
    counted = numbers == [str(k + 1).encode() for k in range(len(numbers))] and len(numbers) > 1
    return counted or (quoted and all(number.isdigit() for number in numbers))


def blocks(table: Table, size: int) -> list[int]:
    """Byte positions that cut the rows of a table into blocks of whole lines."""
    data, cuts = table.data, [min(table.start, len(table.data))]
    while cuts[-1] < len(data):
        at = cuts[-1] + size
        while at < len(data):
            ends = np.flatnonzero(data[at : at + size] == 10)
            if len(ends):
                at += int(ends[0]) + 1
                break
            if at - cuts[-1] > LINE_LIMIT:
                raise FormatError(f"{table.file}: a line longer than {LINE_LIMIT:,} bytes")
            at += size
        release(data[cuts[-1] : at])
        cuts.append(min(at, len(data)))
    return cuts


def lines(table: Table, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """The lines of rows in a span of bytes, each with its number in the span, from 0."""
    for number, line in enumerate(table.data[start:stop].tobytes().split(b"\n")):
        if line[:1].isdigit() or not is_skipped(line):
            yield number, line


def rows(table: Table, start: int, stop: int) -> Iterator[tuple[int, list[bytes]]]:
    """The fields of the rows in a span of bytes, with the number of the line in the span.

    A row of another number of fields than the table's has all that are there.
    """
    columns, separator = table.columns, table.separator
    for number, line in lines(table, start, stop):
        fields = line.split(separator) if separator != b" " else line.split()
        if table.trailing and not fields[-1].strip():
            fields.pop()
        if len(fields) != columns and b'"' in line:
            fields = split(line, separator)[: -1 if table.trailing else None]
        yield number, fields


def content(path: Path) -> Images:
    """The bytes of a text in UTF-8, lines ending in LF or CRLF, without empty lines at its end."""
    if reason := no_table(path):
        raise FormatError(f"{path}: {reason}")
    data = _csvpacked.content_of(path)
    start = data[:4].tobytes()
    for mark, codec in _UTF16.items():
        if start.startswith(mark):
            data = _recoded(path, data[2:], codec)
    if start.startswith(_UTF8):
        data = data[3:]
    begin = data[:_STEP].tobytes()
    if b"\n" not in begin:
        begin = data[:LINE_LIMIT].tobytes()
    if b"\n" not in begin and b"\r" in begin.rstrip(b"\r"):  # line ends of the first Macintosh
        data = _with_newlines(data)
    elif b"\n" not in begin and len(data) > LINE_LIMIT:
        raise FormatError(f"{path}: the first line is longer than {LINE_LIMIT:,} bytes")
    end = data[-_TAIL:].tobytes()
    return data[: len(data) - len(end) + len(end.rstrip(b"\r\n"))]


def _recoded(path: Path, data: Images, codec: str) -> Images:
    decoder = codecs.getincrementaldecoder(codec)()
    found, at = empty_images((len(data) // 2 * 3 + 3,)), 0
    for start in range(0, len(data), _STEP):
        part = data[start : start + _STEP]
        try:
            text = decoder.decode(part.tobytes(), start + _STEP >= len(data)).encode()
        except UnicodeError:
            raise FormatError(f"{path}: damaged UTF-16 near byte {start:,}") from None
        found[at : at + len(text)] = np.frombuffer(text, np.uint8)
        release(part)
        release(found[at : at + len(text)])
        at += len(text)
    return found[:at]


def _with_newlines(data: Images) -> Images:
    found = empty_images(data.shape)
    for start in range(0, len(data), _STEP):
        part = data[start : start + _STEP]
        found[start : start + _STEP] = np.where(part == 13, np.uint8(10), part)
        release(part)
        release(found[start : start + _STEP])
    return found


def _sample(path: Path, data: Images) -> list[bytes]:
    start = data[:LINE_LIMIT].tobytes()
    if not start.isascii():
        try:
            start[: start.rfind(b"\n") + 1 or len(start)].decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"{path}: byte {error.start:,} is not plain text") from None
    found = start[:_STEP].split(b"\n", _SAMPLE)
    if len(found) <= _SAMPLE:
        found = start.split(b"\n", _SAMPLE)
    if b"\0" in found[0]:
        raise FormatError(f"{path}: byte {start.index(0):,} is not plain text")
    return found if len(data) <= len(start) and len(found) <= _SAMPLE else found[:-1]


def _decoded(path: Path, fields: list[bytes]) -> tuple[str, ...]:
    try:
        return tuple(field.strip(STRIPPED).decode() for field in fields)
    except UnicodeDecodeError:
        raise FormatError(f"{path}: the names of the columns are not plain text") from None


def _names(path: Path, found: list[bytes], separator: bytes, own: bool) -> tuple[str, ...] | None:
    """The fields of the first line, if they are names of columns and not a picture."""
    fields = _decoded(path, split(found[0], separator))
    words = [field for field in fields if not is_number(field.encode())]
    if len(words) > 2 or (words and (len(fields) < 5 or own)):
        return fields
    if own:
        return None
    second = split(found[1], separator) if len(found) > 1 else []
    if not words:
        _refuse_mangled(path, fields, second)
    numbers = [int(field) for field in fields if re.fullmatch("[0-9]{1,9}", field)]
    counted = len(numbers) > 1 and min(numbers) in (0, 1)
    counted &= sorted(numbers) == [min(numbers, default=0) + k for k in range(len(numbers))]
    counted &= len(numbers) + len(words) + fields.count("") == len(fields)
    if counted and len(numbers) >= _COUNTED:
        return fields
    others = [k for k, field in enumerate(fields) if field in words or not field]
    usual = all(LABEL_NAME.fullmatch(word) or OTHER_NAME.fullmatch(word) for word in words)
    if counted and others and (usual or all(map(is_number, second[: others[-1] + 1]))):
        return fields
    if counted and len(fields) > 4 and (others or numbers == sorted(numbers)):
        raise FormatError(
            f"{path}, line 1: counts {min(numbers)} to {max(numbers)}, which may be names of "
            "columns or a picture; remove the line, or give names such as label,pixel0,..."
        )
    return None


def _refuse_mangled(path: Path, fields: tuple[str, ...], second: list[bytes]) -> None:
    """Refuse names that pandas made of a first row: 0, 0.1, 0.2, ... over whole numbers."""
    made = sum(re.fullmatch(r"[0-9]+\.[0-9]+", field) is not None for field in fields)
    whole = all(re.fullmatch(rb"[0-9]+", field.strip(STRIPPED)) for field in second)
    if made > 3 and len(set(fields)) == len(fields) > 8 and second and whole:
        raise FormatError(
            f"{path}, line 1: {printable(','.join(fields), 40)}: a first picture that was read as "
            "names of columns and changed; export it again from the source with header=None"
        )
