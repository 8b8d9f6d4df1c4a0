"""Tar archives whose members are looked at where they lie, and written the same way everywhere.

    512 bytes    header: name (100), mode, owner and group (8 each), size (12) and time (12) in
                 octal, checksum (8), type (1), link (100), "ustar", ..., prefix of the name (155)
    content      padded with zeros to a multiple of 512
    1024 zeros   after the last member, and further zeros up to a multiple of 10,240

Specification: POSIX.1-2017, pax. Written: USTAR. Read too: pax and GNU headers of long names and
sizes. Nothing is unpacked, and no link is followed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mnistprep._arrays import Images
from mnistprep._text import printable
from mnistprep.errors import FormatError

BLOCK = 512
_RECORD = 20 * BLOCK
_ZEROS = bytes(BLOCK)
HEADER_LIMIT = 1 << 20  # bytes of a long name or a pax header
_COMMENT = "comment"  # the keyword of pax that every reader ignores

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_NOBODY = b"0000000"
_FILES = (b"0", b"\0", b"7", b"5")  # regular, of two ages; contiguous; a folder

Member = tuple[str, int, int]
"""Name of a regular file, where its content starts, and its size."""


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """The header of a member of at most 8 GiB with an ASCII name of at most 100 characters."""
    block = _HEADER.pack(
        name.encode("ascii"), b"0000644", _NOBODY, _NOBODY, b"%011o" % size, b"%011o" % 0,
        b" " * 8, kind, b"", b"ustar", b"00", b"", b"", _NOBODY, _NOBODY, b"",
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> bytes:
    """What follows a content of that size."""
    return bytes(-size % BLOCK)


def end(size: int) -> bytes:
    """What ends an archive of so many bytes."""
    return bytes(2 * BLOCK + -(size + 2 * BLOCK) % _RECORD)


def comment(text: str) -> bytes:
    """A global header with a text that other readers ignore."""
    content = f" {_COMMENT}={text}\n".encode()
    size = len(content)
    while size != len(content) + len(str(size)):  # the size counts its own digits
        size = len(content) + len(str(size))
    content = str(size).encode() + content
    return header("pax_global_header", len(content), b"g") + content + padding(len(content))


def is_start(block: bytes) -> bool:
    """Whether these bytes start with the header of a tar."""
    return len(block) >= BLOCK and block[0] != 0 and _checked(block[:BLOCK])


def found_comment(data: Images, where: object) -> str | None:
    """The text that `comment` put at the start of an archive, if there is one."""
    if data[156:157].tobytes() != b"g":
        return None
    size = _number(data[:BLOCK].tobytes(), 124, 136, where)
    records = _pax(data[BLOCK : BLOCK + min(size, HEADER_LIMIT)].tobytes(), where)
    return records.get(_COMMENT)


def members(data: Images, where: object, *, whole: bool = True) -> Iterator[Member]:
    """The regular files of an archive, in order.

    Unless `whole`, the data may end anywhere. Raises FormatError, which starts with `where`, for
    what is truncated or damaged, and for links and special files.
    """
    view, at, stop = data.data, 0, len(data)
    told: dict[str, str] = {}  # what extended headers say of the next member
    while at + BLOCK <= stop:
        block = view[at : at + BLOCK].tobytes()
        if not block[0] and block == _ZEROS:
            if whole:
                _check_rest(data[at:], where)
            return
        if not _checked(block):
            raise FormatError(
                f"{where}: no header of a member at byte {at:,}; the archive is damaged: "
                "get it again"
            )
        kind, size = block[156:157], _number(block, 124, 136, where)
        at += BLOCK
        if kind in b"xgLK":
            if size > HEADER_LIMIT or at + size > stop:
                if not whole:
                    return
                raise FormatError(f"{where}: a header of {size:,} bytes at byte {at - BLOCK:,}")
            content = view[at : at + size].tobytes()
            if kind == b"x":
                told.update(_pax(content, where))
            elif kind == b"L":
                told["path"] = _text(content)
        else:
            name = told["path"] if "path" in told else _name(block)
            if "size" in told:
                size = _decimal(told["size"], where)
            _check_kind(kind, name, told, where)
            told = {}
            if at + size > stop and whole:
                raise FormatError(
                    f"{where}: {printable(name, 80)!r} needs {size:,} bytes at byte {at:,}, the "
                    f"archive has {stop - at:,}; it is truncated: get it again"
                )
            if kind != b"5" and not name.endswith("/"):
                yield name, at, size
        at += size + -size % BLOCK
    if whole:
        raise FormatError(
            f"{where}: ends after {stop:,} bytes without the mark of an end; it is truncated: "
            "get it again"
        )


def _check_rest(rest: Images, where: object) -> None:
    for start in range(0, len(rest), HEADER_LIMIT):
        if rest[start : start + HEADER_LIMIT].any():
            raise FormatError(
                f"{where}: something follows the end of the archive (two of them in one file?); "
                "unpack it and pack it again"
            )


def _check_kind(kind: bytes, name: str, told: dict[str, str], where: object) -> None:
    shown = printable(name, 80)
    if kind not in _FILES:
        raise FormatError(f"{where}: {shown!r} is a link or special file; put a copy in its place")
    if any(key.startswith("GNU.sparse") for key in told):
        raise FormatError(f"{where}: {shown!r} is a sparse file; pack it again without --sparse")


def _checked(block: bytes) -> bool:
    """Whether the checksum of a header is right; old writers added signed bytes."""
    field = block[148:156].strip(b"\0 ")
    if not field.isdigit():
        return False
    try:
        told = int(field, 8)
    except ValueError:
        return False
    found = sum(block) - sum(block[148:156]) + 8 * 32
    if found == told:
        return True
    return found - 256 * sum(byte > 127 for byte in block[:148] + block[156:]) == told


def _number(block: bytes, first: int, stop: int, where: object) -> int:
    field = block[first:stop]
    if field[0] & 0x80:  # GNU's, for sizes beyond 8 GiB
        return int.from_bytes(field, "big") & (1 << (8 * len(field) - 1)) - 1
    digits = field.strip(b"\0 ")
    try:
        if digits and not digits.isdigit():
            raise ValueError
        return int(digits or b"0", 8)
    except ValueError:
        raise FormatError(f"{where}: a size that is no number; the archive is damaged") from None


def _decimal(text: str, where: object) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise FormatError(f"{where}: a size that is no number; the archive is damaged")
    return int(text)


def _name(block: bytes) -> str:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[345] and block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _pax(content: bytes, where: object) -> dict[str, str]:
    """The records of a pax header: length, blank, keyword, `=`, value, line feed."""
    records, at = {}, 0
    while at < len(content):
        digits = content[at : at + 20].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = content[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length <= len(digits) or not equals or not value.endswith(b"\n"):
            raise FormatError(f"{where}: a pax header that is damaged")
        records[_text(key)] = value[:-1].decode("utf-8", "backslashreplace")
        at += length
    return records
