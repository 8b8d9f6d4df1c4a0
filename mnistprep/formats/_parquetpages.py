"""What the pages of a Parquet file become, as their headers say; no page is read.

A row may be a list of any length, and runs of one value take no room: 900 bytes stand for
gigabytes, which pyarrow makes at once. What the footer promises does not bind the pages, and asked
for more of a damaged footer pyarrow ends the process. Specification: Apache Parquet,
parquet.thrift; Thrift compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mnistprep.errors import FormatError

_HEAD = 1 << 10  # bytes in which most headers of pages end ...
_LONG = 1 << 20  # ... and in which all do
_FOOTER = 16 << 20  # bytes
_PAGES = 100_000  # of columns of lists; each may have a megabyte
_DEPTH = 32  # structs and lists within each other
_NUMBERS = (4, 5, 6)  # kinds of value: of 16, 32 and 64 bits
_BINARY, _LIST, _SET, _MAP, _STRUCT = 8, 9, 10, 11, 12
_BYTES = {1: 0, 2: 0, 3: 1, 7: 8, 13: 16}  # of true, false, a byte, a double, a UUID


class Pages(NamedTuple):
    """Those of a column in a row group: their values in all, and the bytes of the largest."""

    values: int
    largest: int


def sizes(source: Any, size: int, leaves: Iterable[int], where: object) -> list[dict[int, Pages]]:
    """Of each leaf (its number among stored columns) its pages in each row group.

    source: an open file of `size` bytes. Raises FormatError where the file does not say it.
    """
    try:
        end = _at(source, size - 8, 8)
        footer = int.from_bytes(end[:4], "little")
        if footer > _FOOTER:
            raise FormatError(f"{where}: a footer of {footer:,} bytes; write larger row groups")
        groups = _Thrift(_at(source, size - 8 - footer, footer)).struct()[4]
        found: list[dict[int, Pages]] = []
        pages, left = 0, size  # bytes of headers, which no two pages have in common
        for group in groups:
            chunks = {leaf: group[1][leaf][3] for leaf in leaves}
            found.append({})
            for leaf, chunk in chunks.items():
                values = largest = 0
                for count, inflated, length in _pages(source, chunk):
                    values, largest = values + count, max(largest, inflated)
                    pages, left = pages + 1, left - length
                    if pages > _PAGES:
                        raise FormatError(f"{where}: more than {_PAGES:,} pages; write larger ones")
                    if left < 0:
                        raise ValueError(chunk)
                found[-1][leaf] = Pages(values, largest)
        return found
    except (LookupError, TypeError, ValueError):
        raise FormatError(
            f"{where}: its pages do not fit its footer; it is damaged: get it again"
        ) from None


def _at(source: Any, start: int, size: int) -> bytes:
    if start < 0 or size < 0:
        raise ValueError(start)
    source.seek(start)
    return bytes(source.read(size))


def _pages(source: Any, chunk: dict[int, Any]) -> Iterator[tuple[int, int, int]]:
    """The values of each page of a column chunk, its bytes inflated, and those of its header."""
    start = min(filter(None, (chunk.get(11), chunk[9])))  # of a dictionary, of data
    end = start + chunk[7]
    while start < end:
        try:
            head = _Thrift(_at(source, start, min(_HEAD, end - start)))
            page = head.struct()
        except IndexError:
            head = _Thrift(_at(source, start, min(_LONG, end - start)))
            page = head.struct()
        data = page.get(5) or page.get(8)  # of version 1, of version 2
        if page[3] < 0 or (data and data[1] < 0):
            raise ValueError(page)
        yield data[1] if data else 0, page[2], head.at
        start += head.at + page[3]


class _Thrift:
    """Values of the compact protocol; LookupError or ValueError for what is none."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields by their numbers."""
        fields, number = {}, 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._number()
            fields[number] = self._value(kind & 15, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError(depth)
        if kind in _BYTES:
            return self._skip(_BYTES[kind])
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            return self._items(head & 15, count, depth)
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._items(kinds >> 4, 1, depth)
                self._items(kinds & 15, 1, depth)
            return None
        if kind == _STRUCT:
            return self.struct(depth)
        if kind not in _NUMBERS:
            raise ValueError(kind)
        return self._number()

    def _items(self, kind: int, count: int, depth: int) -> list[Any]:
        kind = 3 if kind in (1, 2) else kind  # a byte each, in a list
        return [self._value(kind, depth + 1) for _ in range(count)]

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError(self.at)

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) > 127:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError(shift)
        return value | byte << shift

    def _number(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
