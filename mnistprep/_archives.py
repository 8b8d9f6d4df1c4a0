"""Archives (zip, tar, or one compressed file) opened into a temporary folder, and not beyond it.

Formats that read a kind of archive themselves do; this is for the files that people pack around any
other form. Nothing is trusted: names that lead out, links, devices, two members of one name and
more bytes than the limit are refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

from mnistprep import _limits, _tar, _temporary
from mnistprep._files import head
from mnistprep._streams import Inflater, inflated_head, is_packed
from mnistprep._text import printable
from mnistprep.errors import FormatError, MnistprepError

_BLOCK = 1 << 20
_DEPTH = 64  # folders within each other
_MEMBERS = 20_000  # files that are unpacked; pictures of a tree are not
_PART = b"PK\7\x08"  # before a zip that was to be split into parts, and is whole in one
_TAIL = 22 + 65535 + 76  # bytes at the end of a zip: its end records and the longest comment
_JUNK = {"__macosx", ".ds_store", "thumbs.db", "desktop.ini"}
_PACKED = re.compile(r"\.(gz|gzip|bz2|xz)$", re.IGNORECASE)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip, a tar or compressed, by its content."""
    return path.is_file() and (is_zip(path) or is_tar(path) or is_packed(path))


def is_zip(path: Path) -> bool:
    """Whether a file starts as a zip does, be it whole or not."""
    return head(path, 4) in (b"PK\3\4", b"PK\5\6", _PART)


def is_tar(path: Path) -> bool:
    """Whether a file, after inflation, starts with a tar header."""
    block = inflated_head(path, _tar.BLOCK)
    return block[257:262] == b"ustar" or _tar.is_start(block)


def unpack(path: Path, folder: Path) -> Path:
    """The path in `folder`, under the archive's own name, to which all that it holds was unpacked.

    Raises FormatError for anything that is damaged, too large or not to be trusted.
    """
    top = folder / path.name
    with translated(path):
        if is_zip(path):
            _unpack_zip(path, top)
        elif is_tar(path):
            _unpack_tar(path, top)
        else:
            _inflate(path, top)
    return top


def safe_name(name: str, where: Path) -> str | None:
    """The relative path that a member's name means; None for what systems leave in archives.

    Raises FormatError for a name that leads out of the archive or that no file can have.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if any(part.lower() in _JUNK or part.startswith("._") for part in parts):
        return None
    if len(parts) > _DEPTH:
        raise FormatError(f"{where}: a member in {len(parts):,} folders within each other")
    drive = re.match("[A-Za-z]:", name)
    # Two slashes are a root of their own in POSIX, and a server's name on Windows.
    if not parts or parts[0].startswith("/") or ".." in parts or "\0" in name or drive:
        raise FormatError(f"{where}: a member called {printable(name, 80)!r} leads out of it")
    return "/".join(parts)


def check_members(path: Path, found: Sequence[zipfile.ZipInfo]) -> None:
    """Raise FormatError for a zip that holds other members than those that were found.

    Damage in the directory can hide members, which zipfile does not compare with the number that
    the end states; of several archives in one file it reads the last.
    """
    with path.open("rb") as file:
        begin = max(0, path.stat().st_size - _TAIL)
        file.seek(begin)
        tail = file.read()
    end, large = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    stated = int.from_bytes(tail[end + 10 : end + 12], "little")
    if stated == 0xFFFF and large >= 0:
        stated = int.from_bytes(tail[large + 32 : large + 40], "little")
    if stated not in (len(found), len(found) & 0xFFFF):  # some programs let a large number wrap
        raise FormatError(f"{path}: holds {len(found):,} members of {stated:,}; it is damaged")
    first = min(
        (member.header_offset for member in found), default=0 if large >= 0 else begin + end
    )
    if first < 0:
        raise FormatError(f"{path}: its directory lists what lies before it; it is damaged")
    comment = int.from_bytes(tail[end + 20 : end + 22], "little")
    behind = tail[end + 22 + comment :].strip(b"\0\r\n\t ")
    if first not in (0, 4 * (head(path, 4) == _PART)) or b"PK\3\4" in tail[end:] or behind:
        raise FormatError(
            f"{path}: holds more than its directory lists; are two archives in one file? unpack "
            "them apart"
        )


def limit(path: Path) -> int:
    """The most bytes that an archive may hold."""
    return _limits.most(path.stat().st_size)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What the archive libraries raise as FormatError."""
    try:
        yield
    except (MnistprepError, MemoryError):
        raise
    except Exception as error:  # zipfile raises nearly anything on damaged data
        if isinstance(error, OSError) and error.errno in _temporary.NO_ROOM:
            raise  # no fault of the archive: the temporary folder is full
        reason = printable(str(error), 80)
        if isinstance(error, NotImplementedError):  # Deflate64, Zstandard, or damage
            raise FormatError(
                f"{path}: packed in a way that is not opened ({reason}); unpack it first"
            ) from None
        raise FormatError(
            f"{path}: a truncated or damaged archive: get it again ({reason})"
        ) from None


class _Room:
    """Where members go: how many bytes are left, which names are taken."""

    def __init__(self, path: Path, top: Path) -> None:
        self.path, self.top, self.left = path, top, limit(path)
        self.names: set[str] = set()
        top.mkdir()

    def put(self, name: str, blocks: Iterable[bytes]) -> None:
        relative = safe_name(name, self.path)
        if relative is None:
            return
        if relative in self.names:
            raise FormatError(f"{self.path}: two members are called {printable(relative, 80)!r}")
        self.names.add(relative)
        if len(self.names) > _MEMBERS:
            raise FormatError(
                f"{self.path}: holds more than {_MEMBERS:,} files, and is no tree of pictures; "
                "unpack what is the dataset yourself"
            )
        target = self.top / relative
        if self.top not in target.parents:  # whatever the name has become
            shown = printable(name, 80)
            raise FormatError(f"{self.path}: a member called {shown!r} leads out of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for block in blocks:
                self.left -= len(block)
                if self.left < 0:
                    raise FormatError(
                        f"{self.path}: holds more than {limit(self.path):,} bytes; {_limits.RAISE}"
                    )
                file.write(block)


def _unpack_zip(path: Path, top: Path) -> None:
    room = _Room(path, top)
    with zipfile.ZipFile(path) as archive:
        check_members(path, archive.infolist())
        for member in archive.infolist():
            if member.filename.endswith("/"):
                continue
            if member.flag_bits & 1:
                raise FormatError(f"{path}: encrypted; unpack it with its password first")
            kind = member.external_attr >> 28
            if kind not in (0, 8):  # neither unknown nor a regular file, in Unix's numbers
                name = printable(member.filename, 80)
                raise FormatError(f"{path}: {name!r} is a link or special file")
            with closing(_inflated(archive, member)) as blocks:
                room.put(member.filename, blocks)


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Generator[bytes, None, None]:
    with archive.open(member) as file:
        while block := file.read(_BLOCK):
            yield block


def _unpack_tar(path: Path, top: Path) -> None:
    room = _Room(path, top)
    with _tar.opened(path, limit(path)) as source:
        for member in _tar.members(source, path):
            if not member.folder:
                room.put(member.name, _taken(source, member.size))


def _taken(source: _tar.Source, size: int) -> Iterator[bytes]:
    while block := source.take(min(size, _BLOCK)):
        size -= len(block)
        yield block


def _inflate(path: Path, top: Path) -> None:
    top.mkdir()
    with Inflater(path) as stream, (top / _PACKED.sub("", path.name)).open("xb") as file:
        most, size = min(stream.limit, limit(path)), 0
        while block := stream.read(min(_BLOCK, most)):
            size += len(block)
            if size > most:
                raise FormatError(f"{path}: inflates to more than {most:,} bytes; {_limits.RAISE}")
            file.write(block)
