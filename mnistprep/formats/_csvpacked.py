"""The bytes of a table's file, inflated where it is compressed, and those of a zip of one table."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mnistprep import _archives, _limits
from mnistprep._arrays import Images, map_file
from mnistprep._streams import inflated_bytes, inflated_head
from mnistprep._temporary import temporary_file
from mnistprep.errors import FormatError

_BLOCK = 1 << 20


def start_of(path: Path, size: int) -> bytes:
    """The first `size` bytes of a table; b"" if damaged."""
    if not _archives.is_zip(path):
        return inflated_head(path, size)
    with suppress(FormatError), _member(path) as file:
        return file.read(size)
    return b""


def content_of(path: Path) -> Images:
    """All bytes of a table as a read-only 1-D array, as `inflated_bytes` gives them."""
    if not _archives.is_zip(path):
        return inflated_bytes(path)
    left = _archives.limit(path)
    with _member(path) as source, temporary_file(f"to read {path}") as file:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise FormatError(
                    f"{path}: holds more than {_archives.limit(path):,} bytes; {_limits.RAISE}"
                )
            file.write(block)
        file.flush()
        return map_file(file)


@contextmanager
def _member(path: Path) -> Iterator[IO[bytes]]:
    """The one file in a zip; raises FormatError where it is damaged or holds more."""
    with _archives.translated(path), zipfile.ZipFile(path) as archive:
        _archives.check_members(path, archive.infolist())
        found = [one for one in archive.infolist() if not one.is_dir()]
        found = [one for one in found if _archives.safe_name(one.filename, path)]
        if len(found) != 1:
            raise FormatError(f"{path}: a zip of {len(found)} files, expected one table")
        if found[0].flag_bits & 1:
            raise FormatError(f"{path}: encrypted; unpack it with its password first")
        with archive.open(found[0]) as file:
            yield file
