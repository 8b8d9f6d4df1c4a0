"""Where the files of a tree go: a folder, a zip or a tar, in the same bytes every time."""

from __future__ import annotations

import os
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from errno import ENOSPC
from functools import partial
from pathlib import Path

from mnistprep import _workers
from mnistprep._arrays import Images, release
from mnistprep._files import entered
from mnistprep._streams import write_gzip

_STEP = 1000  # pictures
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that zip has

Encoder = Callable[[Images], Iterator[bytes]]
Names = Callable[[int, int], Sequence[str]]  # of the pictures of a span
Part = tuple[Names, Images]


class Target(ABC):
    """Takes folders and files by relative name, with `/`."""

    def __init__(self, path: Path, workers: int | None) -> None:
        self.path, self.workers = path, workers

    @abstractmethod
    def folder(self, name: str) -> None:
        """Make a folder, with those that it lies in."""

    @abstractmethod
    def file(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file of these bytes."""

    @abstractmethod
    def pictures(self, parts: Sequence[Part], encode: Encoder) -> Iterator[int]:
        """Write a file of each picture of the parts; yields how many more are done."""

    @abstractmethod
    def close(self) -> None:
        """Complete the whole."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of a whole that will not be completed."""

    def __enter__(self) -> Target:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def opened(path: Path, workers: int | None) -> Target:
    """The target that the name of a path means: .zip, .tar, .tar.gz, .tgz, else a folder."""
    name = path.name.lower()
    if name.endswith(".zip"):
        return _Zip(path, workers)
    if name.endswith((".tar", ".tar.gz", ".tgz")):
        return _Tar(path, workers)
    return _Folder(path, workers)


class _Folder(Target):
    def __init__(self, path: Path, workers: int | None) -> None:
        super().__init__(path, workers)
        path.mkdir()

    def folder(self, name: str) -> None:
        (self.path / name).mkdir(parents=True)

    def file(self, name: str, parts: Iterable[bytes]) -> None:
        with (self.path / name).open("xb") as file:
            file.writelines(parts)

    def pictures(self, parts: Sequence[Part], encode: Encoder) -> Iterator[int]:
        todo = _workers.parts((len(images) for _, images in parts), _STEP)

        def save(number: int, _: int) -> int:
            part, start, stop = todo[number]
            return self._save(*parts[part], encode, start, stop)

        return _workers.run(save, len(todo), size=1, workers=self.workers)

    def _save(self, names: Names, images: Images, encode: Encoder, start: int, stop: int) -> int:
        # Where a file system takes two names for one, the second is refused, and no picture lost.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with entered(self.path) as (root, folder):
            for name, data in zip(names(start, stop), encode(images[start:stop]), strict=True):
                descriptor = os.open(root + name, flags, 0o666, dir_fd=folder)
                try:
                    if os.write(descriptor, data) != len(data):  # a part was taken
                        raise OSError(ENOSPC, os.strerror(ENOSPC), str(self.path / name))
                finally:
                    os.close(descriptor)
        release(images[start:stop])
        return stop - start

    def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is open."""


class _Archive(Target):
    """Members in the order that they come in."""

    def pictures(self, parts: Sequence[Part], encode: Encoder) -> Iterator[int]:
        for names, images in parts:
            encoded = partial(self._encoded, images, encode)
            at = 0
            for found in _workers.run(encoded, len(images), size=_STEP, workers=self.workers):
                for name, data in zip(names(at, at + len(found)), found, strict=True):
                    self.file(name, [data])
                at += len(found)
                yield len(found)

    @staticmethod
    def _encoded(images: Images, encode: Encoder, start: int, stop: int) -> list[bytes]:
        found = list(encode(images[start:stop]))
        release(images[start:stop])
        return found


class _Zip(_Archive):
    def __init__(self, path: Path, workers: int | None) -> None:
        super().__init__(path, workers)
        self._archive = zipfile.ZipFile(path, "x")

    def folder(self, name: str) -> None:
        self._put(f"{name}/", b"", 0o40755, 0x10)

    def file(self, name: str, parts: Iterable[bytes]) -> None:
        self._put(name, b"".join(parts), 0o100644, 0)

    def _put(self, name: str, data: bytes, mode: int, dos: int) -> None:
        member = zipfile.ZipInfo(name, _DATE)
        member.create_system, member.external_attr = 3, mode << 16 | dos  # Unix, on any system
        stored = name.endswith((".png", ".webp", "/"))
        kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        self._archive.writestr(member, data, kind, 6)

    def close(self) -> None:
        self._archive.close()

    abandon = close


class _Tar(_Archive):
    """Spooled to a plain tar; a .gz is made of that at the end."""

    def __init__(self, path: Path, workers: int | None) -> None:
        super().__init__(path, workers)
        self._packed = not path.name.lower().endswith(".tar")
        self._plain = path.with_name(path.name + ".plain") if self._packed else path
        self._file = self._plain.open("xb")

    def folder(self, name: str) -> None:
        self._header(name, 0, tarfile.DIRTYPE, 0o755)

    def file(self, name: str, parts: Iterable[bytes]) -> None:
        data = b"".join(parts)
        self._header(name, len(data), tarfile.REGTYPE, 0o644)
        self._file.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))

    def _header(self, name: str, size: int, kind: bytes, mode: int) -> None:
        member = tarfile.TarInfo(name)  # no owner, and the time 0
        member.size, member.type, member.mode = size, kind, mode
        self._file.write(member.tobuf(tarfile.USTAR_FORMAT, "ascii"))

    def close(self) -> None:
        size = self._file.tell() + 2 * tarfile.BLOCKSIZE
        self._file.write(bytes(2 * tarfile.BLOCKSIZE + -size % tarfile.RECORDSIZE))
        self._file.close()
        if self._packed:
            with self._plain.open("rb") as file:
                write_gzip(self.path, iter(partial(file.read, 1 << 20), b""), level=6)
            self._plain.unlink()

    def abandon(self) -> None:
        self._file.close()
