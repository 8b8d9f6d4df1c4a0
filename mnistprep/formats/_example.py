"""TFRecord files and the tf.train.Example in each record, to bytes and back.

    record     length (uint64), masked CRC-32C of it (uint32), data, masked CRC-32C of the data
               (uint32); little-endian; masked is ((crc >> 15) | (crc << 17)) + 0xa282ead8 mod 2**32
    Example    protobuf: 1 features { 1 map<string key, Feature> }, Feature one of 1 bytes_list,
               2 float_list, 3 int64_list, each a repeated field 1

Specification: TensorFlow's guide to TFRecord, example.proto and feature.proto, and protobuf's
encoding; CRC-32C is RFC 3720's. Every checksum is compared on reading. What is written is in one
order, so that equal examples are equal bytes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistprep import _extras
from mnistprep._arrays import Images
from mnistprep.errors import FormatError

BYTES, FLOATS, INTEGERS = 1, 2, 3  # fields of Feature
NEEDS = "google_crc32c"
_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")
FRAME = _HEAD.size + _TAIL.size
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types
_POLYNOMIAL = 0x82F63B78
_BEFORE = re.compile(rb"\nV\nV\n\x05image\x12V\nV\nV".replace(b"V", rb"[\x80-\xff]*[\0-\x7f]"))
_AFTER = 16  # bytes of the entry of a label below 128
_SIZES = 1 << 14  # different ones that are kept


@dataclass(frozen=True)
class Feature:
    """One feature: `kind` is BYTES, FLOATS or INTEGERS, `data` the message with the list."""

    kind: int
    data: bytes

    def values(self) -> list[bytes]:
        """The values of a bytes_list; raises ValueError when it is damaged."""
        found = list(_fields(self.data))
        if any(number != 1 or not isinstance(value, bytes) for number, value in found):
            raise ValueError
        return [value for _, value in found if isinstance(value, bytes)]

    def integers(self) -> list[int]:
        """The values of an int64_list, packed or not; raises ValueError when it is damaged."""
        found: list[int] = []
        for number, value in _fields(self.data):
            if number != 1:
                raise ValueError
            found += [value] if isinstance(value, int) else _varints(value)
        return [value - (1 << 64) if value >> 63 else value for value in found]


def crc_of() -> Any:
    """The function that gives the CRC-32C of bytes; raises MissingDependency."""
    return _extras.load(NEEDS).value


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_record(start: bytes) -> bool:
    """Whether a file with these first 12 bytes starts with a record; needs no library."""
    if len(start) < _HEAD.size:
        return False
    crc = 0xFFFFFFFF
    for byte in start[:8]:
        crc = _table()[(crc ^ byte) & 0xFF] ^ crc >> 8
    return start[8 : _HEAD.size] == _TAIL.pack(_masked(crc ^ 0xFFFFFFFF))


@lru_cache
def _table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


def record(data: bytes, crc: Any) -> bytes:
    """The record with these data."""
    return b"".join((_head(len(data), crc), data, _TAIL.pack(_masked(crc(data)))))


@lru_cache(_SIZES)
def _head(size: int, crc: Any) -> bytes:
    return _HEAD.pack(size, _masked(crc(size.to_bytes(8, "little"))))


def frames(data: Images, where: object) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the data of each record start, and their sizes.

    Raises FormatError for lengths that are damaged or lead out of the file.
    """
    crc, view, at, stop = crc_of(), data.data, 0, len(data)
    right = set[bytes]()  # heads whose checksum was compared; sizes come again and again
    starts: list[int] = []
    sizes: list[int] = []
    while at < stop:
        head = view[at : at + _HEAD.size].tobytes()
        if len(head) < _HEAD.size:
            raise FormatError(
                f"{_place(where, starts, at)}: {len(head)} bytes of a record; the file is truncated"
            )
        size, told = _HEAD.unpack(head)
        if head not in right:
            if _masked(crc(head[:8])) != told:
                raise FormatError(
                    f"{_place(where, starts, at)}: the checksum of its length is wrong; the file "
                    "is damaged: get it again"
                )
            right.add(head)
        start = at + _HEAD.size
        if start + size + _TAIL.size > stop:
            raise FormatError(
                f"{_place(where, starts, at)}: needs {size:,} bytes, the file has "
                f"{max(0, stop - start - _TAIL.size):,}; it is truncated: get it again"
            )
        starts.append(start)
        sizes.append(size)
        at = start + size + _TAIL.size
    return np.array(starts, np.int64), np.array(sizes, np.int64)


def _place(where: object, before: list[int], at: int) -> str:
    return f"{where}, record {len(before):,}, byte {at:,}"


def is_right(data: bytes, tail: bytes, crc: Any) -> bool:
    """Whether the checksum behind the data of a record is that of the data."""
    return _TAIL.pack(_masked(crc(data))) == tail


def example(picture: bytes, label: int) -> bytes:
    """The Example with a picture, under `image`, and an integer, under `label`."""
    before, after = _around(len(picture), label)
    return b"".join((before, picture, after))


@lru_cache(_SIZES)
def _around(size: int, label: int) -> tuple[bytes, bytes]:
    """What is before and behind a picture of so many bytes in the Example with that label."""
    pictures = _delimited(b"\n", _delimited(b"\n", bytes(size)))
    labels = _delimited(b"\x1a", _delimited(b"\n", _varint(label)))
    after = _entry(b"label", labels)
    whole = _delimited(b"\n", _entry(b"image", pictures) + after)
    return whole[: len(whole) - len(after) - size], after


def plain(data: bytes) -> tuple[bytes, int] | None:
    """The picture and the label of an Example that is, byte for byte, as `example` makes it.

    None for any other, be it one that means the same.
    """
    found = _BEFORE.match(data)
    if not found or data[-1] > 127:  # a label of several bytes
        return None
    picture = data[found.end() : -_AFTER]
    before, after = _around(len(picture), data[-1])
    if before != found[0] or data[-_AFTER:] != after or len(data) < len(before) + _AFTER:
        return None
    return picture, data[-1]


def _entry(key: bytes, feature: bytes) -> bytes:
    return _delimited(b"\n", _delimited(b"\n", key) + _delimited(b"\x12", feature))


def _delimited(tag: bytes, data: bytes) -> bytes:
    return b"".join((tag, _varint(len(data)), data))


def _varint(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def features(data: bytes) -> dict[str, Feature]:
    """The features of an Example by key; raises ValueError for anything else."""
    found: dict[str, Feature] = {}
    for number, message in _fields(data):
        if number != 1 or not isinstance(message, bytes):
            raise ValueError
        for field, entry in _fields(message):
            if field != 1 or not isinstance(entry, bytes):
                raise ValueError
            key, feature = _key_and_feature(entry)
            found[key] = feature
    return found


def _key_and_feature(entry: bytes) -> tuple[str, Feature]:
    key, feature = b"", Feature(0, b"")
    for number, value in _fields(entry):
        if not isinstance(value, bytes):
            raise ValueError
        if number == 1:
            key = value
        elif number == 2:
            for kind, message in _fields(value):
                if kind not in (BYTES, FLOATS, INTEGERS) or not isinstance(message, bytes):
                    raise ValueError
                if feature.kind:  # a second list, which no writer makes and readers join
                    raise ValueError
                feature = Feature(kind, message)
    return key.decode("utf-8"), feature


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and the integer or the bytes; ValueError when damaged."""
    at, stop = 0, len(data)
    while at < stop:
        tag = data[at]
        if tag < 128:  # as nearly all are: twice as fast as a call
            at += 1
        else:
            tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _DELIMITED:
            if at < stop and data[at] < 128:
                size, at = data[at], at + 1
            else:
                size, at = _read_varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError
        if at + size > stop:
            raise ValueError
        yield tag >> 3, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ValueError
    value = data[at]
    if value < 128:
        return value, at + 1
    value, shift = value & 127, 7
    for k in range(at + 1, min(at + 10, len(data))):
        byte = data[k]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, k + 1
        shift += 7
    raise ValueError


def _varints(data: bytes) -> list[int]:
    if len(data) == 1 and data[0] < 128:
        return [data[0]]
    values, at = [], 0
    while at < len(data):
        value, at = _read_varint(data, at)
        values.append(value)
    return values
