"""Where the files of a tree are: a folder, a zip or a tar; the rest of the package sees one kind.

Names are relative to the top, with `/`. Nothing is unpacked to disk: members of a zip or a plain
tar are read where they lie, in any order and by any process; a compressed tar is walked through
once to list it and once to read it. Specifications: APPNOTE.TXT 6.3.10 for zip (stored and
deflated members), POSIX.1-2001 for tar, with GNU's long names.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mnistprep import _archives, _limits, _tar
from mnistprep._files import entered
from mnistprep._streams import is_packed
from mnistprep._text import printable
from mnistprep.errors import FormatError

HEAD = 16  # bytes of a file that say whether it is a picture
_USUAL = 4096  # bytes that a small picture has at most
_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
_SAMPLE_FOLDERS, _SAMPLE_FILES, _SAMPLE_MEMBERS = 60, 3000, 400
_SAMPLE_LEAST = 200  # files of a folder, however many there are in others


class Store(ABC):
    """Files by name.

    folders: every folder ("" is the top) with the names of the files in it; junk: what systems
    leave behind, by name; strange: links and special files; any_order: whether `read` gives files
    in the order asked for, in any process.
    """

    any_order = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folders: dict[str, list[str]] = {"": []}
        self.junk: list[str] = []
        self.strange: list[str] = []

    @abstractmethod
    def read(self, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """The bytes of each file, with its index in `names`; in that order if any_order."""

    def head(self, name: str) -> bytes:
        """The first bytes of a file, HEAD of them at least, where it has as many."""
        return self.one(name)

    def one(self, name: str) -> bytes:
        """The bytes of one file."""
        return next(self.read([name]))[1]

    def where(self, name: str) -> str:
        """A file or folder as messages name it."""
        return printable(str(self.path / name))

    def _add_folder(self, folder: str) -> list[str]:
        if folder not in self.folders:
            self._add_folder(folder.rpartition("/")[0])
            self.folders[folder] = []
        return self.folders[folder]

    def _add(self, name: str) -> None:
        folder, _, file = name.rpartition("/")
        (self.junk if is_junk(name) else self._add_folder(folder)).append(
            name if is_junk(name) else file
        )


def is_junk(name: str) -> bool:
    """Whether a name, or a folder on the way to it, is hidden or a system's own."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in name.split("/"))


def _may_be_junk(names: list[str]) -> bool:
    """Whether one of the names may be junk; of most folders, one look says that none is."""
    text = "/" + "/".join(names).lower()
    return "/." in text or any(word in text for word in _JUNK)


def opened(path: Path, *, sample: bool = False) -> Store:
    """The files at `path`; of a sample only some, enough to say what they are.

    Raises FormatError for what is neither folder nor archive, or is damaged.
    """
    if path.is_dir():
        return Folder(path, sample)
    if path.is_file() and _archives.is_zip(path):
        return Zip(path)
    if path.is_file() and _archives.is_tar(path):
        return Tar(path, sample)
    raise FormatError(f"{path}: neither a folder nor an archive of pictures")


class Folder(Store):
    """A folder; links are not followed."""

    def __init__(self, path: Path, sample: bool = False) -> None:
        super().__init__(path)
        waiting, left = [""], _SAMPLE_FILES
        for folder in waiting:
            self._list(folder, waiting, max(left, _SAMPLE_LEAST) if sample else None)
            left -= len(self.folders[folder])
            if sample and len(self.folders) >= _SAMPLE_FOLDERS:
                break

    def _list(self, folder: str, waiting: list[str], most: int | None) -> None:
        files = self.folders.setdefault(folder, [])
        start = f"{folder}/" if folder else ""
        with os.scandir(self.path / folder) as entries:
            found = list(islice(entries, most))
        names = [entry.name for entry in found if entry.is_file(follow_symlinks=False)]
        if len(names) == len(found) and not _may_be_junk(names):
            files += sorted(names)  # by far the most: the pictures of a class
            return
        for entry in found:
            name = entry.name
            if name.startswith(".") or name.lower() in _JUNK:
                self.junk.append(start + name)
            elif entry.is_file(follow_symlinks=False):
                files.append(name)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(start + name)
            else:
                self.strange.append(start + name)
        files.sort()

    def read(self, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """The bytes of each file, in the order of `names`."""
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        with entered(self.path) as (root, folder):
            for k, name in enumerate(names):
                descriptor = os.open(root + name, flags, dir_fd=folder)
                try:
                    data = os.read(descriptor, _USUAL)
                    if len(data) == _USUAL:  # fewer are all that there are
                        _check_size(os.fstat(descriptor).st_size, self.where(name))
                        with open(descriptor, "rb", closefd=False) as file:
                            data += file.read()
                finally:
                    os.close(descriptor)
                yield k, data

    def head(self, name: str) -> bytes:
        """The first bytes of a file."""
        with (self.path / name).open("rb", buffering=0) as file:
            return file.read(HEAD)


class Zip(Store):
    """A zip of stored and deflated members; every one is compared with its checksum."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with _archives.translated(path), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        _archives.check_members(path, members)
        self._members: dict[str, zipfile.ZipInfo] = {}
        size, total = path.stat().st_size, 0
        for member in members:
            folder = member.filename.endswith("/")  # zipfile's own question fails on no name at all
            name = _relative(member.filename, folder, path)
            if name is None:
                self.junk.append(member.filename)
            elif folder:
                if not is_junk(name):
                    self._add_folder(name)
            else:
                self._check(member, name, size)
                total += member.file_size
                self._members[name] = member
                self._add(name)
        if total > _archives.limit(path):
            raise FormatError(
                f"{path}: holds {total:,} bytes, far more than its size; {_limits.RAISE}"
            )
        for files in self.folders.values():
            files.sort()

    def _check(self, member: zipfile.ZipInfo, name: str, size: int) -> None:
        where = self.where(name)
        if member.flag_bits & 1:
            raise FormatError(f"{self.path}: encrypted; unpack it with its password first")
        if member.external_attr >> 28 not in (0, 8):  # no kind, or a regular file, in Unix's terms
            raise FormatError(f"{where}: a link or special file; put a copy in its place")
        if name in self._members:
            raise FormatError(f"{where}: two members have this name")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError(
                f"{where}: compressed by method {member.compress_type}, which only some programs "
                "know; unpack the archive first"
            )
        if not 0 <= member.header_offset < size or member.compress_size > size:
            raise FormatError(f"{where}: not within the archive; it is truncated or damaged")

    def read(self, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """The bytes of each file, in the order of `names`."""
        with self.path.open("rb") as file:
            for k, name in enumerate(names):
                yield k, self._inflated(file, name)

    def head(self, name: str) -> bytes:
        """The first bytes of a file; no more of it is inflated, and its checksum not compared."""
        member = self._members[name]
        with self.path.open("rb") as file:
            start = self._begin(file, member, min(member.compress_size, _USUAL), HEAD)
        return start or self.one(name)  # which says what is wrong

    @staticmethod
    def _begin(file: BinaryIO, member: zipfile.ZipInfo, packed: int, most: int) -> bytes:
        """What so many bytes of a member inflate to, no more than `most`; nothing if damaged."""
        file.seek(member.header_offset)
        head = file.read(30)
        if not (head.startswith(b"PK\3\4") and len(head) == 30 and _is_of(member, head, file)):
            return b""
        data = file.read(packed)
        if member.compress_type == zipfile.ZIP_STORED:
            return data[:most]
        try:
            return zlib.decompressobj(-15).decompress(data, most)
        except zlib.error:
            return b""

    def _inflated(self, file: BinaryIO, name: str) -> bytes:
        member = self._members[name]
        data = self._begin(file, member, member.compress_size, member.file_size + 1)
        if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
            raise FormatError(f"{self.where(name)}: damaged in the archive; get it again")
        return data


def _is_of(member: zipfile.ZipInfo, head: bytes, file: BinaryIO) -> bool:
    """Whether a local header has the name that the directory has; skips what is left of it."""
    name = file.read(int.from_bytes(head[26:28], "little"))
    file.seek(int.from_bytes(head[28:30], "little"), 1)
    encoding = "utf-8" if member.flag_bits & 0x800 else "cp437"
    return name == member.orig_filename.encode(encoding, "replace")


class Tar(Store):
    """A tar, plain or in gzip, bzip2 or xz."""

    def __init__(self, path: Path, sample: bool = False) -> None:
        super().__init__(path)
        self.any_order = not is_packed(path)
        self._members: dict[str, tuple[int, int]] = {}
        self._heads: dict[str, bytes] = {}
        with _tar.opened(path, _archives.limit(path)) as source:
            members = _tar.members(source, path, whole=not sample)
            for member in members:
                self._list(member, source)
                if sample and len(self._members) >= _SAMPLE_MEMBERS:
                    break
        for files in self.folders.values():
            files.sort()

    def _list(self, member: _tar.Member, source: _tar.Source) -> None:
        name = _relative(member.name, member.folder, self.path)
        if name is None:
            self.junk.append(member.name)
        elif member.folder:
            if not is_junk(name):
                self._add_folder(name)
        elif name in self._members:
            raise FormatError(f"{self.where(name)}: two members have this name")
        else:
            self._members[name] = member.start, member.size
            self._heads[name] = source.take(min(member.size, HEAD))
            self._add(name)

    def read(self, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """The bytes of each file; those of a compressed tar in the order that they lie there."""
        if self.any_order:
            with self.path.open("rb") as file:
                for k, name in enumerate(names):
                    start, size = self._members[name]
                    _check_size(size, self.where(name))
                    file.seek(start)
                    yield k, file.read(size)
            return
        wanted = sorted((*self._members[name], k) for k, name in enumerate(names))
        with _tar.opened(self.path, _archives.limit(self.path)) as source:
            for start, size, k in wanted:
                source.skip(start - source.at)
                yield k, source.take(size)

    def head(self, name: str) -> bytes:
        """The first bytes of a file."""
        return self._heads[name]


def _check_size(size: int, where: object) -> None:
    """Refuse to read what is larger than any picture or list."""
    if size > _limits.most(0):
        raise FormatError(f"{where}: {size:,} bytes, more than a picture has; {_limits.RAISE}")


def _relative(name: str, folder: bool, path: Path) -> str | None:
    if folder and not PurePosixPath(name.replace("\\", "/")).parts:
        return ""  # "./", the top itself
    return _archives.safe_name(name, path)
