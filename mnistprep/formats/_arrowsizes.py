"""The messages of an Arrow file, looked at before pyarrow makes anything of them.

A few kB of zstd stand for gigabytes, and pyarrow takes a record batch as a whole; what is behind
the first of two streams in one file it does not see. Specification:
Arrow columnar format (IPC messages, body compression: an int64 before each buffer is its size
inflated, -1 where it is stored as it is), format/Message.fbs and File.fbs; FlatBuffers internals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mnistprep import _limits
from mnistprep.errors import FormatError

FILE_MAGIC, CONTINUATION = b"ARROW1", b"\xff\xff\xff\xff"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # kinds of message
_EARLY = b"ARROW:experimental_compression"  # how version 0.17 said it, among metadata
_BUFFER, _BLOCK = 16, 24  # bytes of these structs
_GAP = 128  # bytes between the last block and the footer: the end of a stream, and padding


def is_start(start: bytes) -> bool:
    """Whether bytes start a file, or a stream: one whose first message is a schema."""
    if start.startswith(FILE_MAGIC):
        return True
    whole = _Bytes(memoryview(start))
    try:
        at, length = _prefix(whole, 0)
        kind = whole.field(whole.target(at), 1)
        # Before 0.15 the length stood there alone; what may be any number must be a likely one.
        return (
            (start.startswith(CONTINUATION) or at + length <= len(start))
            and length > 0
            and kind is not None
            and whole.number("B", kind) == _SCHEMA
        )
    except struct.error:
        return False


def check(data: memoryview, where: object) -> None:
    """Raise FormatError for a stream or file (bytes) that inflates to more than the limit.

    And for one with more behind its end.
    """
    limit, size = _limits.most(len(data)), 0
    # Bytes to look at: no two messages have any in common, and buffers are counted twice.
    whole, left = _Bytes(data), 2 * len(data)
    try:
        for start, body in _messages(whole, where):
            left -= body - start
            for inflated in _inflated(whole, start, body):
                size, left = size + inflated, left - _BUFFER
                if left < 0:
                    break
                if size > limit:
                    raise FormatError(
                        f"{where}: {len(data):,} bytes that would become {size:,} or more; "
                        f"{_limits.RAISE}"
                    )
            if left < 0 or body < start:
                raise struct.error
    except struct.error:
        raise FormatError(
            f"{where}: a truncated or damaged Arrow file (its messages do not fit together): get "
            "it again"
        ) from None


class _Bytes:
    """Bytes with FlatBuffers in them; struct.error beyond their ends."""

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def number(self, kind: str, at: int) -> int:
        if at < 0:  # which struct would count from the end
            raise struct.error
        return int(struct.unpack_from(f"<{kind}", self.data, at)[0])

    def target(self, at: int) -> int:
        """Where an offset leads."""
        return at + self.number("I", at)

    def field(self, table: int, number: int) -> int | None:
        """Where a field of a table is; None where it is left out."""
        fields, slot = table - self.number("i", table), 4 + 2 * number
        if slot + 2 > self.number("H", fields):
            return None
        place = self.number("H", fields + slot)
        return table + place if place else None

    def items(self, at: int | None, size: int) -> Iterator[int]:
        """Where the structs of a vector are, to which an offset leads."""
        if at is not None:
            first = self.target(at) + 4
            for k in range(self.number("I", first - 4)):
                yield first + size * k


def _messages(whole: _Bytes, where: object) -> Iterator[tuple[int, int]]:
    """Where the metadata and where the body of each message start."""
    size = len(whole.data)
    if whole.data[:6] == FILE_MAGIC:
        ends = []
        begin = size - 10 - whole.number("i", size - 10)
        footer = whole.target(begin)
        for kind in (2, 3):  # of dictionaries, of batches
            for block in whole.items(whole.field(footer, kind), _BLOCK):
                start, length = whole.number("q", block), whole.number("i", block + 8)
                yield _prefix(whole, start)[0], start + length
                ends.append(start + length + whole.number("q", block + 16))
        if ends and begin - max(ends) > _GAP:
            raise _more(where)
        return
    at = 0
    while at < size:
        at, length = _prefix(whole, at)
        if not length:
            if at < size:
                raise _more(where)
            return
        body = whole.field(whole.target(at), 3)
        extent = 0 if body is None else whole.number("q", body)
        if length < 0 or extent < 0:
            raise struct.error
        yield at, at + length
        at += length + extent
    raise struct.error  # no message says that there are no more


def _more(where: object) -> FormatError:
    return FormatError(
        f"{where}: holds more than belongs to it; are two files in one? take them apart"
    )


def _prefix(whole: _Bytes, at: int) -> tuple[int, int]:
    """Where the metadata behind a prefix start, and their length; before 0.15 it was shorter."""
    at += 4 * (whole.data[at : at + 4] == CONTINUATION)
    return at + 4, whole.number("i", at)


def _inflated(whole: _Bytes, start: int, body: int) -> Iterator[int]:
    """The size of each compressed buffer of a message."""
    message = whole.target(start)
    kind, header = whole.field(message, 1), whole.field(message, 2)
    if kind is None or header is None:
        return
    batch: int | None = whole.target(header)
    if whole.number("B", kind) == _DICTIONARY:
        inner = whole.field(batch or 0, 1)
        batch = None if inner is None else whole.target(inner)
    elif whole.number("B", kind) != _BATCH:
        return
    if batch is None:
        return
    if whole.field(batch, 3) is None and _EARLY not in bytes(whole.data[start:body]):
        return
    for buffer in whole.items(whole.field(batch, 2), _BUFFER):
        if whole.number("q", buffer + 8) >= 8:
            yield max(0, whole.number("q", body + whole.number("q", buffer)))
