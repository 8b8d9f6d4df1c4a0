"""Files that are there whole or not at all, and bytes that are inflated no further than asked."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mnistprep._workers import default_workers
from mnistprep.errors import FormatError, MissingPath, MnistprepError, TargetError, describe

if sys.platform != "win32":
    import fcntl

GZIP_MAGIC = b"\x1f\x8b"
_PREFIX, _SUFFIX = ".mnistprep-", ".partial"
_NEW, _OLD = "new", "old"  # folders in a staging folder: what is written, what it replaces
_BLOCK = 1 << 20
_FIRST_STEP = 1 << 10
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a path to write a file or folder to, which becomes `target` when the block succeeds.

    The staging path has the target's name, in a hidden folder beside it. Nothing else ever sees it,
    and on any failure it goes, with the parent folders made for it. An existing target is refused,
    or with `overwrite` replaced at the end: a file in one step, a folder in two, and the next run
    makes good a kill between them. Raises TargetError for what the file system refuses.
    """
    target = Path(os.path.abspath(target))
    refuse_existing(target, overwrite=overwrite)
    made: list[Path] = []
    try:
        made = _make_parents(target.parent)
        with staging_folder(target.parent) as folder:
            staged = folder / _NEW / target.name
            yield staged
            _move(staged, target, folder / _OLD / target.name, overwrite)
    except BaseException as error:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError) and not isinstance(error, MnistprepError):
            raise TargetError(f"cannot write {target}: {describe(error)}") from error
        raise


def refuse_existing(target: Path, *, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Raise TargetError when `target` is there and must stay.

    That is without `overwrite`; and with it when the target is, or holds, one of the `sources`, the
    working folder or the home folder, and when it is neither file nor folder nor link.
    """
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise TargetError(f"{target} exists already; choose another path or pass --overwrite")
    whole, here, home = target.resolve(), Path.cwd(), Path(os.path.expanduser("~")).resolve()
    if whole in (here, *here.parents, home, *home.parents):
        raise TargetError(f"{target} is a folder that work goes on in; it is never overwritten")
    for source in sources:
        if whole in (source.resolve(), *source.resolve().parents):
            raise TargetError(f"{target} is or holds the source {source}; it is not overwritten")
    if not (target.is_symlink() or target.is_file() or target.is_dir()):
        raise TargetError(f"{target} is neither a file nor a folder; it is never overwritten")


def remove_leftovers(folder: Path) -> None:
    """Remove staging folders whose process was killed: nobody holds their lock any more.

    Only this user's own, since `folder` may be one that all users write to. Not on Windows, which
    has no such locks; there they stay until removed by hand.
    """
    if sys.platform == "win32":
        return
    for entry in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid != os.getuid():
                    continue
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for replaced in (entry / _OLD).glob("*"):
                    if not os.path.lexists(folder / replaced.name):  # killed between two renames
                        os.rename(replaced, folder / replaced.name)
                shutil.rmtree(entry)
            finally:
                os.close(descriptor)


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in `parent` that goes with the block, or, after a kill, with the next."""
    remove_leftovers(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=parent))
        if sys.platform == "win32":
            lock = -1
            break
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # taken for a leftover meanwhile: make another
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # being taken for a leftover
        except OSError:
            break  # no locks on this file system: nobody can take it for a leftover
        else:
            if folder.exists():
                break
        os.close(lock)
    try:
        (folder / _NEW).mkdir()
        (folder / _OLD).mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def _move(staged: Path, target: Path, aside: Path, overwrite: bool) -> None:
    if overwrite and not staged.is_dir() and not target.is_dir():
        os.replace(staged, target)
    elif overwrite and os.path.lexists(target):
        os.rename(target, aside)
        try:
            os.rename(staged, target)
        except BaseException:
            os.rename(aside, target)
            raise
    elif staged.is_dir():
        os.rename(staged, target)  # refuses a target that holds anything
    else:
        try:
            os.link(staged, target)  # unlike rename, refuses a target that came meanwhile
        except FileExistsError:
            raise TargetError(f"{target} came into being meanwhile; it is left as it is") from None
        except OSError:  # a file system without hard links
            refuse_existing(target, overwrite=False)
            os.rename(staged, target)


def _make_parents(folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing[::-1]


def existing(path: Path) -> Path:
    """The path, if something is there; raises MissingPath otherwise."""
    try:
        path.stat()
    except OSError as error:
        raise MissingPath(f"{path}: {error.strerror or error}") from None
    return path


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a regular file; nothing for anything else (a pipe would block)."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def inflated_head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file, after inflation if they are gzip by their magic."""
    start = head(path, max(size, 1024))
    if not start.startswith(GZIP_MAGIC):
        return start[:size]
    with suppress(zlib.error):
        return zlib.decompressobj(31).decompress(start, size)
    return b""


class Inflater:
    """A readable stream of a file's bytes, inflated when the file starts with gzip's magic.

    Short gzip data, bad checksums and garbage after the end raise FormatError with the file's name;
    nothing beyond what is read is ever inflated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self._file: BinaryIO = path.open("rb")
        self._gzip = self._file.read(2) == GZIP_MAGIC
        self._file.seek(0)
        self._engine = zlib.decompressobj(31)
        self._packed, self._at, self._step = b"", 0, _FIRST_STEP
        self._ready = b""

    def __enter__(self) -> Inflater:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def limit(self) -> int:
        """The most bytes this file can hold: deflate reaches 1032 to 1 and no more."""
        return self.size * 1032 if self._gzip else self.size

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill `buffer` as far as the stream goes; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        if not self._gzip:
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

    def read(self, size: int) -> bytes | bytearray:
        """At most `size` bytes; fewer only at the end of the stream."""
        if size > self.limit:
            raise FormatError(f"{self.path}: promises {size:,} bytes, more than it can hold")
        buffer = bytearray(size)
        got = self.readinto(buffer)
        if got < size:
            del buffer[got:]
        return bytes(buffer) if size <= _BLOCK else buffer

    def readline(self) -> bytes:
        """The bytes up to and with the next newline, or to the end."""
        if not self._gzip:
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
        """Make at least one byte ready, at most `wanted`; False at the end of the stream."""
        while not self._ready:
            if self._engine.eof and not self._next_member():
                return False
            data = self._engine.unconsumed_tail or self._feed()
            try:
                self._ready = self._engine.decompress(data, min(wanted, _BLOCK))
            except zlib.error as error:
                raise FormatError(f"{self.path}: damaged gzip data ({error})") from None
            if not data and not self._ready and not self._engine.eof:
                raise FormatError(
                    f"{self.path}: the gzip data end early, after {self.size:,} bytes; "
                    "the file is truncated: get it again"
                )
        return True

    def _feed(self) -> bytes:
        """The next compressed bytes; more each time, as the rest behind a member is copied."""
        if self._at >= len(self._packed):
            self._packed, self._at = self._file.read(_BLOCK), 0
        piece = self._packed[self._at : self._at + self._step]
        self._at += len(piece)
        self._step = min(2 * self._step, _BLOCK)
        return piece

    def _next_member(self) -> bool:
        """Go on behind the end of a gzip member; False when nothing but zero padding follows."""
        self._at -= len(self._engine.unused_data)
        self._step = _FIRST_STEP
        while data := self._feed():
            if data.strip(b"\0"):  # tape and tar pad with zeros
                self._at -= len(data)
                self._engine = zlib.decompressobj(31)
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


def write_gzip(path: Path, chunks: Iterable[bytes | memoryview], *, level: int) -> None:
    """Write `chunks` as one gzip member with no time and no name in it.

    Blocks of a fixed size are deflated side by side in threads (zlib lets go of the interpreter),
    so the bytes depend on content and level alone.
    """
    checksum, size = 0, 0
    with path.open("xb") as file, ThreadPoolExecutor(default_workers()) as pool:
        file.write(_GZIP_HEADER)
        waiting = []
        for block in _blocks(chunks):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
            waiting.append(pool.submit(_deflate, block, level))
            if len(waiting) > 2 * default_workers():
                file.write(waiting.pop(0).result())
        for future in waiting:
            file.write(future.result())
        file.write(zlib.compressobj(level, zlib.DEFLATED, -15).flush())
        file.write(checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))


def _deflate(block: bytes, level: int) -> bytes:
    engine = zlib.compressobj(level, zlib.DEFLATED, -15, 9)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)


def _blocks(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        whole = len(pending) - len(pending) % _BLOCK
        for start in range(0, whole, _BLOCK):
            yield bytes(pending[start : start + _BLOCK])
        del pending[:whole]
    if pending:
        yield bytes(pending)
