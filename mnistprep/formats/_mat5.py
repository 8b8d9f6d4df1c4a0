"""MATLAB's level 5 MAT-files: the variables of one, and one from variables.

    128 bytes   text (116), place of subsystem data (8), version 0x0100, "IM" (big-endian: "MI")
    elements    type and size, uint32 each, and the data, padded to 8 bytes; data of up to 4 bytes
                lie in the tag. Type 14 is an array: flags, sizes, name, values, each an element;
                type 15 is an array, compressed by zlib. Values are in column-major order.

Specification: MAT-File Format, The MathWorks. Numbers, texts, cells and structs are read; nothing
else can be data here. A variable has less than 2**31 bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mnistprep import _limits
from mnistprep._arrays import Images, empty_images, map_bytes, release
from mnistprep._files import head
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats._named import Array, may_be

LIMIT = (1 << 31) - (1 << 16)  # bytes of values in a variable, with room for the rest of it
HEADER = b"MATLAB 5.0 MAT-file, written by mnistprep".ljust(116) + bytes(8) + b"\0\1IM"

Value = Array | tuple[str, ...]  # numbers in MATLAB's shape, or the texts of a cell or char array

_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODES = {kind: code for code, kind in _TYPES.items()}
_CLASSES = {"f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11, "i4": 12, "u4": 13}
_MATRIX, _COMPRESSED, _UTF8, _UTF16, _UTF32 = 14, 15, 16, 17, 18
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, range(6, 16)
_COMPLEX = 0x0800
_LOGICAL = 0x0200
_DEPTH, _ITEMS = 4, 1 << 20
_RATIO = 1032  # deflate reaches 1032 to 1 and no more
_STEP = 1 << 20
_AXES = 32


def is_mat5(path: Path) -> bool:
    """Whether `path` starts as a level 5 MAT-file does."""
    start = head(path, 128)
    return start.startswith(b"MATLAB") and start[124:] in (b"\0\1IM", b"\1\0MI")


def variables(path: Path) -> dict[str, Value]:
    """The variables of the file by name; fields of structs as struct/field.

    Numbers are views of the file where it is not compressed. Raises FormatError.
    """
    if not is_mat5(path):
        raise FormatError(f"{path}: not a MAT-file of level 5")
    data = map_bytes(path)
    order = "<" if data[126] == ord("I") else ">"
    found: dict[str, Value] = {}
    part = _Part(data, order, str(path))
    left = _limits.most(len(data))
    for kind, start, stop in part.elements(128, len(data)):
        matrix = part.cut(start, stop)
        if kind == _COMPRESSED:
            matrix = _inflated(matrix, left)
            left -= len(matrix.data)
        elif kind != _MATRIX:
            raise FormatError(f"{path}: an element of type {kind} at byte {start:,}; damaged")
        for name, value in matrix.array("", 0):
            if name in found:
                raise FormatError(f"{path}: {printable(name)} is there twice")
            found[name] = value
    return found


def _inflated(part: _Part, most: int) -> _Part:
    """The array, of at most so many bytes, that a compressed element holds."""
    engine = zlib.decompressobj()
    packed = memoryview(part.data.data)
    damaged = FormatError(f"{part.where}: damaged compressed data; get the file again")
    try:
        tag = engine.decompress(packed[: 1 << 10], 8)
        if len(tag) < 8:
            raise damaged
        kind, size = struct.unpack(f"{part.order}II", tag)
        if kind != _MATRIX or size > _RATIO * len(packed):
            raise damaged
        if size > most:
            raise FormatError(
                f"{part.where}: {len(packed):,} bytes that become {size:,}, where {most:,} are "
                f"left; {_limits.RAISE}"
            )
        data, at = empty_images((size,)), 0
        rest, next_ = engine.unconsumed_tail, 1 << 10
        while at < size:
            piece = rest or bytes(packed[next_ : next_ + _STEP])
            next_ += 0 if rest else _STEP
            if not piece or engine.eof:  # whose rest stays as it is
                raise damaged
            made = engine.decompress(piece, min(_STEP, size - at))
            data[at : at + len(made)] = np.frombuffer(made, np.uint8)
            release(data[at : at + len(made)])
            at, rest = at + len(made), engine.unconsumed_tail
        engine.decompress(rest + bytes(packed[next_ : next_ + 64]), 1)  # compares the checksum
    except zlib.error:
        raise damaged from None
    if not engine.eof:
        raise damaged
    return _Part(data, part.order, part.where)


class _Part:
    """Some bytes of a file, made of elements."""

    def __init__(self, data: Images, order: str, where: str) -> None:
        self.data, self.order, self.where = data, order, where

    def cut(self, start: int, stop: int) -> _Part:
        """The bytes from start to stop."""
        return _Part(self.data[start:stop], self.order, self.where)

    def elements(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(type, start, stop) of each element from byte `at` to `end`."""
        while at < end:
            if end - at < 8:
                raise FormatError(f"{self.where}: ends in the middle of a tag; truncated")
            kind, size = struct.unpack(f"{self.order}II", self.data[at : at + 8].tobytes())
            if kind >> 16:
                kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
                if size > 4:
                    raise FormatError(f"{self.where}: {size} bytes in a tag for 4; damaged")
            else:
                start = at + 8
                after = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
            if start + size > end:
                raise FormatError(
                    f"{self.where}: an element of {size:,} bytes, the file has {end - start:,} "
                    "for it; truncated or damaged: get it again"
                )
            yield kind, start, start + size
            at = after

    def array(self, prefix: str, depth: int) -> Iterator[tuple[str, Value]]:
        """The name and value of an array; several for a struct, none for what is no data."""
        if not len(self.data):
            yield prefix, np.empty((0, 0))
            return
        items = self.elements(0, len(self.data))
        flags, sizes, name = (self._whole(items) for _ in range(3))
        code = int(flags[0]) if len(flags) else 0
        shape = tuple(int(size) for size in sizes)
        full = prefix or name.tobytes().decode("latin1")
        where = f"{self.where}: {printable(full, 80)}"
        if not 2 <= len(shape) <= _AXES or min(shape) < 0 or not may_be(shape):
            raise FormatError(f"{where}: an array of shape {shape}; damaged")
        kind, count = code & 0xFF, math.prod(shape)
        if kind in _NUMBERS:
            if code & _COMPLEX:
                raise FormatError(f"{where}: complex numbers, expected plain ones")
            values = self._next(items)
            if len(values) != count:
                raise FormatError(
                    f"{where}: shape {shape} needs {count:,} values, found {len(values):,}"
                )
            if code & _LOGICAL:
                values = values != 0
            yield full, values.reshape(shape, order="F")
        elif kind == _CHAR:
            yield full, self._texts(items, shape, where)
        elif kind == _CELL:
            yield full, tuple(self._cells(items, count, where, depth))
        elif kind == _STRUCT and count == 1 and depth < _DEPTH:
            sizes, fields = self._whole(items), self._next(items).tobytes()
            width = int(sizes[0]) if len(sizes) else 0
            if width < 1:
                raise FormatError(f"{where}: a struct whose fields have no names; damaged")
            for k in range(len(fields) // width):
                field = fields[k * width : (k + 1) * width].partition(b"\0")[0].decode("latin1")
                yield from self._inner(items).array(f"{full}/{field}", depth + 1)
        elif full:  # sparse arrays, objects, functions, several structs
            raise FormatError(f"{where}: neither numbers nor texts nor one struct of them")

    def _inner(self, items: Iterator[tuple[int, int, int]]) -> _Part:
        kind, start, stop = next(items, (0, 0, 0))
        if kind != _MATRIX:
            raise FormatError(f"{self.where}: expected an array in another; damaged")
        return self.cut(start, stop)

    def _whole(self, items: Iterator[tuple[int, int, int]]) -> Array:
        """Numbers that count something."""
        values = self._next(items)
        if values.dtype.kind == "f":
            raise FormatError(f"{self.where}: fractions for sizes; damaged")
        return values

    def _next(self, items: Iterator[tuple[int, int, int]]) -> Array:
        kind, start, stop = next(items, (0, 0, 0))
        if kind not in _TYPES:
            raise FormatError(f"{self.where}: expected numbers, found type {kind}; damaged")
        dtype = np.dtype(self.order + _TYPES[kind])
        stop -= (stop - start) % dtype.itemsize
        return self.data[start:stop].view(dtype)

    def _texts(
        self, items: Iterator[tuple[int, int, int]], shape: tuple[int, ...], where: str
    ) -> tuple[str, ...]:
        kind, start, stop = next(items, (_UTF8, 0, 0))
        data = self.data[start:stop].tobytes()
        big = "be" if self.order == ">" else "le"
        codec = {1: "latin1", 2: "latin1", 4: f"utf-16-{big}", _UTF8: "utf-8"}
        codec |= {_UTF16: f"utf-16-{big}", _UTF32: f"utf-32-{big}"}
        if kind not in codec or len(shape) != 2 or shape[0] > _ITEMS:
            raise FormatError(f"{where}: texts of type {kind} and shape {shape}; damaged")
        text = data.decode(codec[kind], "replace")
        if shape[0] <= 1:
            return (text,)
        if len(text) != math.prod(shape):
            raise FormatError(f"{where}: {len(text)} letters in shape {shape}; damaged")
        return tuple(text[row :: shape[0]].rstrip(" ") for row in range(shape[0]))

    def _cells(
        self, items: Iterator[tuple[int, int, int]], count: int, where: str, depth: int
    ) -> Iterator[str]:
        for _ in range(count):
            part = self._inner(items)
            if depth < _DEPTH:
                for _, value in part.array(where, depth + 1):
                    if not isinstance(value, tuple) and value.size:
                        raise FormatError(f"{where}: a cell array, expected one of texts")
                    yield value[0] if isinstance(value, tuple) and value else ""


def numbers(
    file: BinaryIO,
    name: str,
    shape: tuple[int, ...],
    kind: str,
    steps: Callable[[], Iterable[Images]],
    level: int,
) -> None:
    """Write a variable of numbers of a dtype; `steps` are its bytes, in column-major order."""
    start = _start(_CLASSES[kind], shape, name)
    size = math.prod(shape) * np.dtype(kind).itemsize
    start += struct.pack("<II", _CODES[kind], size)
    padding = bytes(-size % 8)

    def pieces() -> Iterator[bytes | memoryview]:
        yield struct.pack("<II", _MATRIX, len(start) + size + len(padding)) + start
        for step in steps():
            yield memoryview(np.ascontiguousarray(step).reshape(-1).data)
        yield padding

    _write(file, pieces(), level)


def texts(file: BinaryIO, name: str, values: Iterable[str], level: int) -> None:
    """Write a variable that is a cell array, a column of texts."""
    cells = []
    for value in values:
        text = value.encode()
        units = len(value.encode("utf-16-le")) // 2
        inner = _start(_CHAR, (int(units > 0), units), "") + _element(_UTF8, text)
        cells.append(struct.pack("<II", _MATRIX, len(inner)) + inner)
    body = _start(_CELL, (len(cells), 1), name) + b"".join(cells)
    _write(file, iter([struct.pack("<II", _MATRIX, len(body)) + body]), level)


def _start(kind: int, shape: tuple[int, ...], name: str) -> bytes:
    flags = _element(_CODES["u4"], struct.pack("<II", kind, 0))
    sizes = _element(_CODES["i4"], struct.pack(f"<{len(shape)}i", *shape))
    return flags + sizes + _element(_CODES["i1"], name.encode("ascii"))


def _element(code: int, data: bytes) -> bytes:
    return struct.pack("<II", code, len(data)) + data + bytes(-len(data) % 8)


def _write(file: BinaryIO, pieces: Iterator[bytes | memoryview], level: int) -> None:
    if not level:
        for piece in pieces:
            file.write(piece)
        return
    at = file.tell()
    file.write(bytes(8))
    engine = zlib.compressobj(level)
    for piece in pieces:
        file.write(engine.compress(piece))
    file.write(engine.flush())
    end = file.tell()
    file.seek(at)
    file.write(struct.pack("<II", _COMPRESSED, end - at - 8))
    file.seek(end)
