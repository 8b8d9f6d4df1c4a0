"""Files of a dataset out of a zip: one on the disk, or parts of one on a server.

A server that serves ranges is asked for the end of the zip, where its directory is, and then for
the members that are needed; zipfile reads them as if the zip were here. Specification: PKZIP
APPNOTE 4.3; RFC 9110, section 14, for ranges.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mnistprep._content import is_content, packed_limit
from mnistprep._files import head
from mnistprep._published import Archive, IdxFile
from mnistprep._search import Search, display, try_file
from mnistprep._text import printable
from mnistprep.errors import FormatError, MnistprepError

if TYPE_CHECKING:
    from mnistprep._http import Network, Span

_TAIL = 1 << 16  # bytes at the end of a zip that are got first
_DIRECTORY = 16 << 20  # the most bytes that a zip's directory may have
_BLOCK = 1 << 20


def kept_archive(search: Search) -> Path | None:
    """Where a row's archive is kept, once it had to be downloaded whole; None without archive."""
    if search.row.archive is None:
        return None
    return search.folder.parent / "archives" / search.row.archive.content.name


def search_kept(search: Search) -> None:
    """Take what a kept archive has, or one that a person has put beside the files."""
    kept = kept_archive(search)
    for path in (kept, search.folder / kept.name) if kept else ():
        if os.path.isfile(path) and search.needed:
            search_zip(search, path, str(path))


def search_zip(search: Search, path: Path, source: str) -> bool:
    """Take the members of a local zip that are needed; returns whether it has any."""
    if head(path, 4) != b"PK\3\4":
        return False
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises nearly anything on damaged data
        reason = f"a truncated or damaged zip ({printable(str(error), 80)})"
        search.failed(source, reason, note=True)
        return True
    with archive:
        wanted = _members(archive, search.needed)
        for file, member in wanted:
            _take(search, archive, member, file, f"{source}/{printable(member.filename, 80)}")
        if wanted:
            _say_missing(search, wanted, source)
    return bool(wanted)


def _say_missing(
    search: Search, wanted: list[tuple[IdxFile, zipfile.ZipInfo]], source: str
) -> None:
    had = [file for file, _ in wanted]
    for file in search.needed:
        if file not in had:
            search.failed(source, f"has no {file.packed.name}")


def search_archive(search: Search, archive: Archive, url: str) -> None:
    """Take the needed members of a zip at a URL: by ranges, or after getting it whole, once."""
    from mnistprep._http_faults import Unavailable

    try:
        if _by_ranges(search, url) or not search.needed:
            return
        _get_whole(search, archive, url)
    except Unavailable as error:
        search.failed(display(url), error, note=True)


def _members(
    archive: zipfile.ZipFile, files: list[IdxFile]
) -> list[tuple[IdxFile, zipfile.ZipInfo]]:
    """The member of each of the files that the zip has, by their names, in whatever folder."""
    members = {PurePosixPath(info.filename).name: info for info in archive.infolist()}
    found = []
    for file in files:
        names = [file.packed.name, *([file.plain.name] if file.plain.known else [])]
        found += [(file, members[name]) for name in names if name in members][:1]
    return found


def _take(
    search: Search, archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: IdxFile, source: str
) -> None:
    """Accept a member, if it is that file."""
    limit = packed_limit(file.plain.size or 0)
    search.partials.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=search.partials) as folder:
        target = Path(folder) / PurePosixPath(member.filename).name
        try:
            with archive.open(member) as stream, target.open("xb") as out:
                while block := stream.read(_BLOCK):
                    out.write(block)
                    if out.tell() > limit:
                        raise FormatError(f"more than the {limit:,} bytes that can be right")
        except FormatError as error:
            search.failed(source, error, note=True)
        except (MnistprepError, OSError):
            raise
        except Exception as error:  # zipfile's, about damaged data
            reason = f"damaged in the zip ({printable(str(error), 80)})"
            search.failed(source, reason, note=True)
        else:
            try_file(search, target, source)


def _by_ranges(search: Search, url: str) -> bool:
    """Whether the members could be got by ranges; False means that the zip has to be got whole."""
    from mnistprep._http import Span

    network = search.network
    tail = network.tail(url, _TAIL)
    if tail is None:
        return False
    data, span = tail
    remote = _Remote(network, url, data, span)
    try:
        with zipfile.ZipFile(remote) as archive:
            wanted = _members(archive, search.needed)
            starts = sorted({info.header_offset for info in archive.infolist()})
            for file, member in wanted:
                begin = member.header_offset
                end = next((start for start in starts if start > begin), archive.start_dir)
                part = Span(begin, end, span.size, span.validator)
                _take_remote(search, archive, member, file, remote, part)
    except (MnistprepError, OSError):
        raise
    except Exception as error:  # zipfile's
        search.failed(display(url), f"not a zip that can be read ({printable(str(error), 80)})")
        return True
    finally:
        remote.close_parts()
    _say_missing(search, wanted, display(url))
    return True


def _take_remote(
    search: Search,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    file: IdxFile,
    remote: _Remote,
    part: Span,
) -> None:
    """Get the part of the zip that a member is in, and accept the member, if it is that file."""
    source = f"{display(remote.url)}/{printable(member.filename, 80)}"
    if not 0 < part.stop - part.start <= packed_limit(packed_limit(file.plain.size or 0)):
        search.failed(source, f"takes {part.stop - part.start:,} bytes, which cannot be right")
        return
    for _ in range(2):
        resumed = search.network.part(remote.url, part)
        count = len(search.attempts)
        remote.add(part)
        try:
            _take(search, archive, member, file, source)
        finally:
            remote.close_parts()
        search.network.discard(part.key(remote.url))
        if not resumed or file not in search.needed:
            return
        del search.attempts[count:]  # the rest of one file behind the start of another: once more


def _get_whole(search: Search, archive: Archive, url: str) -> None:
    network, content = search.network, archive.content
    search.progress.note(
        f"{display(url)} gives no parts of the zip: all {content.size or 0:,} bytes are needed"
    )
    limit = packed_limit(content.size or search.bulk)
    part = network.partial(url)
    if network.download(url, content.size, limit) and not is_content(part, content):
        network.discard(url)  # the rest of one file behind the start of another: once more, whole
        network.download(url, content.size, limit)
    right, kept = is_content(part, content), kept_archive(search)
    if right and kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, kept)
        part = kept
    size = part.stat().st_size
    search_zip(search, part, display(url))  # each member is proven, whatever it came in
    network.discard(url)
    if search.needed and not right:
        reason = f"its {size:,} bytes are not {content.name} as it is published"
        search.failed(display(url), reason, note=True)


class _Remote(io.RawIOBase):
    """A file on a server as zipfile reads it: its end, and the parts of it that are on the disk."""

    def __init__(self, network: Network, url: str, tail: bytes, span: Span) -> None:
        self._network, self.url = network, url
        self._span = span
        self._pieces: list[tuple[Span, io.BufferedIOBase]] = [(span, io.BytesIO(tail))]
        self._at = 0

    def add(self, span: Span) -> None:
        """Read from the part of that span, which is on the disk."""
        self._pieces.append((span, self._network.partial(span.key(self.url)).open("rb")))

    def close_parts(self) -> None:
        """Let go of all parts but the end."""
        while len(self._pieces) > 1:
            self._pieces.pop()[1].close()

    def seekable(self) -> bool:
        """Whether seek works; it does."""
        return True

    def readable(self) -> bool:
        """Whether read works; it does."""
        return True

    def tell(self) -> int:
        """Where the next read starts."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as every file does."""
        self._at = offset + (0, self._at, self._span.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on, no more than the piece that they are in has."""
        if size < 0:
            size = self._span.size - self._at
        for span, file in reversed(self._pieces):
            if span.start <= self._at < span.stop:
                file.seek(self._at - span.start)
                data = file.read(min(size, span.stop - self._at))
                self._at += len(data)
                return data
        if not 0 <= self._at < self._span.start:
            return b""
        return self._directory(size)

    def _directory(self, size: int) -> bytes:
        """The part of a directory that is before the end that is here."""
        from mnistprep._http_faults import Unavailable

        begin, end = self._at, self._span.start
        if end - begin > _DIRECTORY or not size:
            raise Unavailable(f"has a zip directory of {end - begin:,} bytes", absent=True)
        part = self._span._replace(start=begin, stop=end)
        self._network.part(self.url, part)
        path = self._network.partial(part.key(self.url))
        data = path.read_bytes()
        self._network.discard(part.key(self.url))
        first = self._pieces[0][1]
        first.seek(0)
        self._span = self._span._replace(start=begin)
        self._pieces[0] = (self._span, io.BytesIO(data + first.read()))
        return self.read(size)
