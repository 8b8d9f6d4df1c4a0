"""The header of an ARFF file, its quotes, and which of its columns is what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _csvcolumns
from mnistprep.formats._textrows import Lines, shown, square

HEADER_LIMIT = 64 << 20  # bytes
QUOTED = r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"'
TOKEN = re.compile(rf"{QUOTED}|[^\s,{{}}'\"]+".encode(), re.DOTALL)
_ATTRIBUTE = re.compile(
    rf"@attribute\s+({QUOTED}|[^\s{{}}'\"]+)\s*(.*)".encode(), re.IGNORECASE | re.DOTALL
)
_NOMINAL = re.compile(rf"\{{((?:{QUOTED}|[^{{}}'\"])*)\}}\s*(?:%.*)?".encode(), re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_BARE = re.compile(r"[^\s,{}'\"%\\?@][^\s,{}'\"%\\]*")
_NUMERIC = ("numeric", "real", "integer")
_CLASS = re.compile(r"(?:binary)?class|labels?|targets?|digits?|y", re.IGNORECASE)
_IGNORED = re.compile(r"(?:row|image|instance)?[-_ ]?id|index|file_?name|name", re.IGNORECASE)
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})")


@dataclass(frozen=True)
class Attribute:
    """A column: its name; numeric, nominal, or another kind; the values of a nominal one."""

    name: str
    kind: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are: their number, the class's, the pixels' in picture order."""

    attributes: tuple[Attribute, ...]
    label: int
    pixels: tuple[int, ...]
    shape: tuple[int, ...] | None  # where the names of the columns say it
    ignored: tuple[str, ...]


def read_header(lines: Lines) -> tuple[list[Attribute], int, int]:
    """The attributes; the bytes and the lines before the first row. Raises FormatError."""
    found: list[Attribute] = []
    at, number = lines.start, 0
    for _, block in lines.blocks(at):
        for line in block:
            at += len(line) + 1
            number += 1
            word = line.strip()
            if re.match(rb"@data\b", word, re.IGNORECASE):
                if not found:
                    raise FormatError(f"{lines.file}: @data before any @attribute")
                return found, min(at, len(lines.data)), number
            if word and not word.startswith(b"%"):
                where = f"{lines.file}, line {number}"
                if re.match(rb"@attribute\b", word, re.IGNORECASE):
                    found.append(_attribute(word, where))
                elif not re.match(rb"@relation\b", word, re.IGNORECASE):
                    raise FormatError(f"{where}: expected @attribute or @data, found {shown(word)}")
            if at > HEADER_LIMIT:
                raise FormatError(f"{lines.file}: a header of more than {HEADER_LIMIT:,} bytes")
    raise FormatError(f"{lines.file}: no @data here; the file ends in its header: get it again")


def _attribute(line: bytes, where: str) -> Attribute:
    match = _ATTRIBUTE.fullmatch(line)
    if match is None:
        raise FormatError(f"{where}: an @attribute without a name: {shown(line)}")
    name, rest = unquote(match[1]), match[2]
    if rest.startswith(b"{"):
        values = _NOMINAL.fullmatch(rest)
        tokens = TOKEN.findall(values[1]) if values else []
        commas = TOKEN.sub(b"", values[1]).count(b",") if values else 0
        if values is None or commas not in (0, len(tokens) - 1):
            raise FormatError(
                f"{where}: the values of {printable(name, 24)!r} are not a list in braces; "
                "names with spaces or commas stand in quotes"
            )
        names = tuple(map(unquote, tokens))
        if len(set(names)) < len(names):
            raise FormatError(f"{where}: {printable(name, 24)!r} has two values of one name")
        return Attribute(name, "nominal", names)
    kind = re.split(rb"[\s%\[]", rest, maxsplit=1)[0].decode("latin1").lower()
    if not kind:
        raise FormatError(f"{where}: no type for {printable(name, 24)!r}")
    return Attribute(name, "numeric" if kind in _NUMERIC else kind)


def unquote(token: bytes) -> str:
    """The name that a token means, with or without quotes. UTF-8, or else Latin-1."""
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError:
        text = token.decode("latin1")
    if text[:1] not in ("'", '"'):
        return text
    return _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "u" and len(code) == 5:
        letter = chr(int(code[1:], 16))
        return "\ufffd" if "\ud800" <= letter <= "\udfff" else letter
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _LETTERS.get(code, code)


def quote(name: str) -> str:
    """A name as ARFF has it: bare where that is safe, else in single quotes with escapes."""
    if _BARE.fullmatch(name) and name.isprintable():
        return name
    letters = []
    for letter in name:
        if letter in "\\'\"%":
            letters.append("\\" + letter)
        elif not letter.isprintable() and letter <= "\uffff":
            letters.append(f"\\u{ord(letter):04x}")
        else:
            letters.append(letter)
    return f"'{''.join(letters)}'"


def columns(file: Path, attributes: list[Attribute]) -> Columns:
    """Which column is the class, and where each pixel belongs. Raises FormatError."""
    label = _label(file, attributes)
    rest = [k for k in range(len(attributes)) if k != label]
    ignored = [k for k in rest if _IGNORED.fullmatch(attributes[k].name)]
    pixels = [k for k in rest if k not in ignored]
    for k in pixels:
        if attributes[k].kind not in ("numeric", "nominal"):
            raise FormatError(
                f"{file}: column {k + 1}, {printable(attributes[k].name, 24)!r}, is of type "
                f"{printable(attributes[k].kind, 24)}; pixels are numbers"
            )
    if attributes[label].kind not in ("numeric", "nominal", "string"):
        raise FormatError(
            f"{file}: a class of type {printable(attributes[label].kind, 24)}; expected nominal"
        )
    if not pixels:
        raise FormatError(f"{file}: no column but the class")
    order, shape = _order(file, [attributes[k].name for k in pixels])
    return Columns(
        tuple(attributes),
        label,
        tuple(pixels[k] for k in order),
        shape,
        tuple(attributes[k].name for k in ignored),
    )


def _label(file: Path, attributes: list[Attribute]) -> int:
    named = [k for k, found in enumerate(attributes) if _CLASS.fullmatch(found.name)]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        listed = ", ".join(repr(attributes[k].name) for k in named)
        raise FormatError(f"{file}: {listed} could each be the class; name one `class`")
    worded = [k for k, found in enumerate(attributes) if found.kind in ("nominal", "string")]
    if len(worded) == 1:
        return worded[0]
    count = len(attributes)
    stems = [match[1] if (match := _NUMBERED.fullmatch(a.name)) else None for a in attributes]
    if square(count - 1) and (stems[-1] is None or stems[-1] not in stems[:-1]):
        return count - 1
    raise FormatError(
        f"{file}: none of {count} columns is called `class`, and none is the only nominal one; "
        "a file without labels is not a split that can be trained on"
    )


def _order(file: Path, names: list[str]) -> tuple[list[int], tuple[int, ...] | None]:
    """The columns in picture order, and the picture's shape where the names say it.

    Names that end in row and column, or in numbers without a gap, say the order; others are in it.
    """
    count = len(names)
    stems = {re.sub(r"[0-9]+", "#", name) for name in names}
    if len(stems) == 1 and stems.pop().count("#") > 1:
        order, shape = _csvcolumns.in_order(file, names, list(range(count)))
        return list(order), shape
    numbered = [match for name in names if (match := _NUMBERED.fullmatch(name))]
    if len(numbered) == count and len({match[1] for match in numbered}) == 1:
        numbers = [int(match[2]) for match in numbered]
        if len(set(numbers)) < count or max(numbers) - min(numbers) >= count or min(numbers) > 1:
            raise FormatError(
                f"{file}: the {count} pixels are numbered {min(numbers)} to {max(numbers)} with "
                "gaps; pixels are missing, and where is not known"
            )
        return sorted(range(count), key=numbers.__getitem__), None
    return list(range(count)), None
