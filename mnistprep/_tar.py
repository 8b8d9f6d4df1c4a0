"""Tar archives: members looked at as they come or where they lie, and written the same everywhere.

    512 bytes    header: name (100), mode, owner and group (8 each), size (12) and time (12) in
                 octal, checksum (8), type (1), link (100), "ustar", ..., prefix of the name (155)
    content      padded with zeros to a multiple of 512
    1024 zeros   after the last member, and further zeros up to a multiple of 10,240

Specification: POSIX.1-2017, pax. Written: USTAR. Read too: pax and GNU headers of long names and
sizes. Nothing is unpacked, and no link is followed. The standard library's tarfile takes a damaged
header for the end of an archive; here it is an error.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

from mnistprep import _limits
from mnistprep._arrays import Images
from mnistprep._streams import Inflater
from mnistprep._text import printable
from mnistprep.errors import FormatError

BLOCK = 512
_RECORD = 20 * BLOCK
_ZEROS = bytes(BLOCK)
HEADER_LIMIT = 1 << 20  # bytes of a long name or a pax header
_COMMENT = "comment"  # the keyword of pax that every reader ignores

_TOLD = ("path", "size", _COMMENT)  # the records of a pax header that matter
_SPARSE = "GNU.sparse"

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_NOBODY = b"0000000"
_FOLDER = b"5"
_FILES = (b"0", b"\0", b"7", _FOLDER)  # regular, of two ages; contiguous
_OF_SEVERAL = b"VDMN"  # GNU's labels of volumes, folders of an incremental dump, continued files
_BUFFER = 1 << 18  # bytes; small steps of an Inflater are slow


class Member(NamedTuple):
    """A regular file or a folder: its name, where its content starts, and the size of that."""

    name: str
    start: int
    size: int
    folder: bool


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """The header of a member of at most 8 GiB with an ASCII name of at most 100 characters."""
    field = name.encode("ascii").ljust(100, b"\0")
    middle, last, others = _behind_name(size, kind)
    return b"%b%b%06o\0 %b" % (field, middle, _sum(field) + others, last)


@lru_cache(1 << 12)
def _behind_name(size: int, kind: bytes) -> tuple[bytes, bytes, int]:
    """A header between name and checksum, what follows that, and the sum of all but the name."""
    block = _HEADER.pack(
        b"", b"0000644", _NOBODY, _NOBODY, b"%011o" % size, b"%011o" % 0,
        b" " * 8, kind, b"", b"ustar", b"00", b"", b"", _NOBODY, _NOBODY, b"",
    )  # fmt: skip
    return block[100:148], block[156:], _sum(block)


def _sum(block: bytes) -> int:
    """The sum of the bytes of a header, or of a part of one."""
    # The lower half of Adler-32 is 1 + the sum modulo 65521, which 256 bytes do not reach: a
    # fifth of the time of sum().
    halves = zlib.adler32(block[:256]), zlib.adler32(block[256:])
    return (halves[0] & 0xFFFF) + (halves[1] & 0xFFFF) - 2


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


class Source(Protocol):
    """The bytes of an archive, used up from the start on.

    at: how many were; left: how many there are at the most.
    """

    at: int

    @property
    def left(self) -> int: ...

    def take(self, size: int) -> bytes:
        """The next bytes, `size` of them; fewer only at the end."""

    def skip(self, size: int) -> None:
        """Go on behind the next bytes, or to the end."""


class _Mapped:
    """Bytes that lie in an array."""

    def __init__(self, data: Images) -> None:
        self._view, self.at = data.data, 0

    @property
    def left(self) -> int:
        return len(self._view) - self.at

    def take(self, size: int) -> bytes:
        data = self._view[self.at : self.at + size].tobytes()
        self.at += len(data)
        return data

    def skip(self, size: int) -> None:
        self.at += min(size, self.left)


class _Stream:
    """Bytes of a file, inflated in large steps; beyond `limit` of them are refused."""

    left = sys.maxsize

    def __init__(self, stream: Inflater, limit: int) -> None:
        self._stream, self.at = stream, 0
        self._limit = min(stream.limit, limit)
        self._ready, self._used = memoryview(b""), 0

    def take(self, size: int) -> bytes:
        return b"".join(self._parts(size))

    def skip(self, size: int) -> None:
        for _ in self._parts(size):
            pass

    def _parts(self, size: int) -> Iterator[memoryview]:
        while size:
            if self._used == len(self._ready):
                step = min(_BUFFER, self._stream.limit)
                self._ready, self._used = memoryview(self._stream.read(step)), 0
                if not len(self._ready):
                    break
            part = self._ready[self._used : self._used + size]
            self._used += len(part)
            self.at += len(part)
            size -= len(part)
            if self.at > self._limit:
                raise FormatError(
                    f"{self._stream.path}: holds more than {self._limit:,} bytes; {_limits.RAISE}"
                )
            yield part


@contextmanager
def opened(path: Path, limit: int) -> Iterator[Source]:
    """The bytes of an archive, inflated if it is compressed, of which there may be `limit`."""
    with Inflater(path) as stream:
        yield _Stream(stream, limit)


def files(data: Images, where: object, *, whole: bool = True) -> Iterator[tuple[str, int, int]]:
    """Name, start and size of the regular files in the bytes of an archive, as `members` has them.

    Unless `whole`, the data may end anywhere.
    """
    found = members(_Mapped(data), where, whole=whole)
    return (member[:3] for member in found if not member.folder)


def members(source: Source, where: object, *, whole: bool = True) -> Iterator[Member]:
    """The files and folders of an archive, in order; what `source` is at is the content of each.

    A content may be taken before the next member is asked for. After the last one all is read, so
    that the checksum of compressed data is compared. Unless `whole`, the data may end anywhere.
    Raises FormatError, which starts with `where`, for what is truncated or damaged, and for links
    and special files.
    """
    told: dict[str, str] = {}  # what extended headers say of the next member
    while len(block := source.take(BLOCK)) == BLOCK:
        if not block[0] and block == _ZEROS:
            if whole:
                empty = source.at == BLOCK
                _check_rest(source, where)
                if empty and source.at > _RECORD:
                    raise FormatError(
                        f"{where}: {source.at:,} bytes that are all zero, where an empty archive "
                        f"has {_RECORD:,} at most; what was in it is lost: get it again"
                    )
            return
        if not _checked(block):
            raise FormatError(
                f"{where}: no header of a member at byte {source.at - BLOCK:,}; the archive is "
                "damaged: get it again"
            )
        kind, start, size = block[156:157], source.at, _number(block, 124, 136, where)
        if kind in b"xXgLK":
            if size > HEADER_LIMIT:
                raise FormatError(f"{where}: a header of {size:,} bytes at byte {start - BLOCK:,}")
            content = source.take(size)
            if len(content) < size:
                break
            if kind in b"xX":
                told.update(_pax(content, where))
            elif kind == b"L":
                told["path"] = _text(content)
        else:
            name = told["path"] if "path" in told else _name(block)
            if "size" in told:
                size = _decimal(told["size"], where)
            if told or kind not in _FILES:
                _check_kind(kind, name, told, where)
                told = {}
            if size > source.left and whole:
                break
            folder = kind == _FOLDER or name.endswith("/")
            yield Member(name, start, size, folder)
        stop = start + size + -size % BLOCK
        source.skip(stop - source.at)
        if source.at < stop:
            break
    if whole:
        raise FormatError(
            f"{where}: ends after {source.at:,} bytes without the mark of its end; the archive is "
            "truncated or damaged: get it again"
        )


def _check_rest(source: Source, where: object) -> None:
    while rest := source.take(_BUFFER):
        if rest.strip(b"\0"):
            raise FormatError(
                f"{where}: something follows the end of the archive (two of them in one file?); "
                "unpack it and pack it again"
            )


def _check_kind(kind: bytes, name: str, told: dict[str, str], where: object) -> None:
    shown = printable(name, 80)
    if kind in _OF_SEVERAL:
        raise FormatError(
            f"{where}: {shown!r} is the label or a part of a backup in several volumes or steps, "
            "which may not have all; unpack it with GNU tar and pack the files again"
        )
    if kind not in _FILES:
        raise FormatError(f"{where}: {shown!r} is a link or special file; put a copy in its place")
    if any(key.startswith(_SPARSE) for key in told):
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
    found = _sum(block[:148] + b" " * 8 + block[156:])
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
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


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
        name = _text(key)
        if name in _TOLD or name.startswith(_SPARSE):
            records[name] = value[:-1].decode("utf-8", "surrogateescape")
        at += length
    return records
