"""Bytes of files that may be compressed (gzip, bzip2, xz), inflated no further than asked.

Compression is told by the first bytes, never by the name. Specifications: RFC 1952 for gzip, the
format of bzip2 1.0, the .xz file format 1.2.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np

from mnistprep import _limits
from mnistprep._arrays import Images, map_bytes, map_file
from mnistprep._files import head
from mnistprep._interrupts import undisturbed
from mnistprep._temporary import temporary_file
from mnistprep._workers import default_workers
from mnistprep.errors import FormatError, UsageError

GZIP_MAGIC = b"\x1f\x8b"
_MAGICS = {"gzip": GZIP_MAGIC, "bzip2": b"BZh", "xz": b"\xfd7zXZ\0"}
_MEMORY = 256 << 20  # bytes that an xz dictionary may take; xz -9 needs 64 MB
_BLOCK = 1 << 20
_FIRST_STEP = 1 << 10
_AHEAD = 1 << 12
# Bytes that zlib is given and may give in one call. What it has not used, it copies each time: with
# more to use than one call uses up, that takes longer than inflating.
_GIVEN, _GOT = 1 << 16, 1 << 18
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system


def compression(start: bytes) -> str | None:
    """The name of the compression that a file with these first bytes has, if any."""
    return next((name for name, magic in _MAGICS.items() if start.startswith(magic)), None)


def is_packed(path: Path) -> bool:
    """Whether a file is compressed, by its first bytes."""
    return compression(head(path, 6)) is not None


def inflated_head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file, after inflation if compressed; b"" if damaged or gone."""
    if compression(start := head(path, size)) is None and compression(head(path, 6)) is None:
        return start
    with suppress(FormatError, FileNotFoundError), Inflater(path) as stream:
        buffer = bytearray(size)
        return bytes(buffer[: stream.readinto(buffer)])
    return b""


def inflated_bytes(path: Path) -> Images:
    """All bytes of a file as a read-only 1-D array: mapped, or inflated into a temporary file.

    Raises FormatError for compressed data that are damaged, or inflate beyond the limit.
    """
    if not is_packed(path):
        return map_bytes(path)
    buffer = bytearray(_BLOCK)
    with Inflater(path) as stream, temporary_file(f"to read {path}") as file:
        while got := stream.readinto(buffer):
            file.write(memoryview(buffer)[:got])
        file.flush()
        return map_file(file)


class _Engine(Protocol):
    """What the decompressors of bz2 and lzma have in common, and _Deflate with them."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Deflate:
    def __init__(self) -> None:
        self._engine = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _engine(kind: str) -> _Engine:
    if kind == "gzip":
        return _Deflate()
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return cast(_Engine, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY))


class Inflater:
    """A readable stream of a file's bytes, inflated when its first bytes say it is compressed.

    Short compressed data, bad checksums and garbage after the end raise FormatError with the
    file's name; little beyond what is read is ever inflated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._file: BinaryIO = path.open("rb")
        self._kind = compression(self._file.read(6))
        self._file.seek(0)
        self._engine = _engine(self._kind or "gzip")
        self._packed, self._at, self._step = b"", 0, _FIRST_STEP
        self._ready = b""
        self._made, self.limit = 0, self._limit()

    def __enter__(self) -> Inflater:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def _limit(self) -> int:
        """The most bytes this file can hold, or may: deflate reaches 1032 to 1 and no more.

        bzip2 and xz reach thousands; what becomes more than `_limits` allows is refused.
        """
        if self._kind is None:
            return self.size
        most = _limits.most(self.size)
        return min(self.size * 1032, most) if self._kind == "gzip" else most

    @property
    def may_hold(self) -> str:
        """What a message says of the limit: how a person raises it, where it is one to raise."""
        return f"may hold ({self.limit:,}); {_limits.RAISE}" if self._kind else "can hold"

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill `buffer` as far as the stream goes; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        if self._kind is None:
            return _fill(self._file, view)
        done = 0
        while done < len(view):
            if not self._ready and not self._inflate(len(view) - done):
                break
            part = self._ready[: len(view) - done]
            view[done : done + len(part)] = part
            self._ready = self._ready[len(part) :]
            done += len(part)
        return done

    def read(self, size: int) -> bytes | memoryview:
        """At most `size` bytes; fewer only at the end of the stream. A view where they are many."""
        if size <= len(self._ready):
            part, self._ready = self._ready[:size], self._ready[size:]
            return part
        if size > self.limit:
            raise FormatError(f"{self.path}: promises {size:,} bytes, more than it {self.may_hold}")
        if size <= _BLOCK:
            buffer = bytearray(size)
            return bytes(buffer[: self.readinto(buffer)])
        # NumPy leaves memory as it is, where bytearray would fill it with zeros first.
        view = np.empty(size, np.uint8).data
        return view[: self.readinto(view)]

    def readline(self) -> bytes:
        """The bytes up to and with the next newline, or to the end."""
        if self._kind is None:
            return self._file.readline()
        line = bytearray()
        while self._ready or self._inflate(4096):
            end = self._ready.find(b"\n") + 1 or len(self._ready)
            line += self._ready[:end]
            self._ready = self._ready[end:]
            if line.endswith(b"\n"):
                break
        return bytes(line)

    def _inflate(self, wanted: int) -> bool:
        """Make at least one byte ready; False at the end of the stream.

        Those that are wanted, at most, or as many as were made before: one by one would take long.
        """
        wanted = max(wanted, min(self._made, _AHEAD))
        while not self._ready:
            if self._engine.eof and not self._next_member():
                return False
            data = self._feed() if self._engine.needs_input else b""
            starved = not data and self._engine.needs_input
            try:
                self._ready = self._engine.decompress(data, min(wanted, _GOT))
            except Exception as error:  # zlib.error, OSError of bz2, LZMAError
                if self._kind == "xz" and "emory usage limit" in str(error):
                    raise FormatError(
                        f"{self.path}: this xz needs more than {_MEMORY >> 20} MiB of memory to be "
                        "inflated, for its large dictionary; inflate it yourself (`xz -d`) first"
                    ) from None
                raise FormatError(f"{self.path}: damaged {self._kind} data ({error})") from None
            self._made += len(self._ready)
            if self._made > self.limit:
                raise FormatError(
                    f"{self.path}: {self.size:,} bytes that inflate to more than {self.limit:,}; "
                    f"{_limits.RAISE}"
                )
            if starved and not self._ready and not self._engine.eof:
                raise FormatError(
                    f"{self.path}: the {self._kind} data end early, after {self.size:,} bytes; "
                    "the file is truncated: get it again"
                )
        return True

    def _feed(self) -> bytes:
        """The next compressed bytes; more each time, as the rest behind a member is copied."""
        if self._at >= len(self._packed):
            self._packed, self._at = self._file.read(_BLOCK), 0
        piece = self._packed[self._at : self._at + self._step]
        self._at += len(piece)
        self._step = min(2 * self._step, _GIVEN)
        return piece

    def _next_member(self) -> bool:
        """Go on behind the end of a member; False when nothing but zero padding follows."""
        self._at -= len(self._engine.unused_data)
        self._step = _FIRST_STEP
        while data := self._feed():
            if rest := data.lstrip(b"\0"):  # tape and tar pad with zeros, xz does between streams
                self._at -= len(rest)
                self._engine = _engine(self._kind or "gzip")
                return True
        return False


def _fill(file: BinaryIO, view: memoryview) -> int:
    done = 0
    while done < len(view):
        got = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done


def check_level(level: int) -> None:
    """Raise UsageError for what is no level of zlib: 0 (stored) to 9 (small)."""
    if not 0 <= level <= 9:
        raise UsageError(f"level must be 0 to 9, not {level}")


def write_gzip(path: Path, chunks: Iterable[bytes | memoryview], *, level: int) -> None:
    """Write `chunks` as one gzip member with no time and no name in it."""
    checksum, size = 0, 0
    with path.open("xb") as file, closing(Deflater(level)) as engine:
        file.write(_GZIP_HEADER)
        for chunk in chunks:
            checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
            file.write(engine.compress(chunk))
        file.write(engine.flush())
        file.write(checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))


class Deflater:
    """What zlib.compressobj(level, zlib.DEFLATED, -15) does, with all processors.

    Blocks of a fixed size are deflated side by side in threads (zlib lets go of the interpreter),
    so the bytes depend on content and level alone.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._pending = bytearray()
        self._waiting: deque[Future[bytes]] = deque()
        self._pool = ThreadPoolExecutor(default_workers())  # starts a thread at the first block

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take one-byte values; gives the blocks that are ready, once enough wait."""
        self._pending += data
        whole = len(self._pending) - len(self._pending) % _BLOCK
        ready = []
        for start in range(0, whole, _BLOCK):
            block = bytes(self._pending[start : start + _BLOCK])
            # Within the pool's own locks an interruption would have threads wait for ever.
            with undisturbed():
                self._waiting.append(self._pool.submit(_deflate, block, self._level))
            if len(self._waiting) > 2 * default_workers():
                ready.append(self._next())
        del self._pending[:whole]
        return b"".join(ready)

    def flush(self) -> bytes:
        """All that is left, and the end of the stream."""
        rest = [_deflate(bytes(self._pending), self._level)] if self._pending else []
        blocks = [self._next() for _ in range(len(self._waiting))]
        self.close()
        end = zlib.compressobj(self._level, zlib.DEFLATED, -15).flush()
        return b"".join([*blocks, *rest, end])

    def close(self) -> None:
        """End the threads; blocks that nobody fetched are dropped."""
        with undisturbed():
            self._pool.shutdown(cancel_futures=True)

    def _next(self) -> bytes:
        with undisturbed():
            return self._waiting.popleft().result()


def _deflate(block: bytes, level: int) -> bytes:
    engine = zlib.compressobj(level, zlib.DEFLATED, -15)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)
