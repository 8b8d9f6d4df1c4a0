"""Deciding by content: whether bytes are a published file, and what they are when they are not."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import prod
from pathlib import Path

from mnistprep import catalog
from mnistprep._files import atomic_path
from mnistprep._published import Content, IdxFile
from mnistprep._staging import staging_folder
from mnistprep._streams import GZIP_MAGIC, Inflater, inflated_head, is_packed
from mnistprep.errors import FormatError, describe

_BLOCK = 1 << 20
_ITEM = {0x08: 1, 0x0C: 4}  # bytes of an IDX value: unsigned byte, int32
_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<!--")


class _TooMuch(FormatError):
    """Raised when a file holds more than could be right; it has not been read further."""


def is_content(path: Path, content: Content) -> bool:
    """Whether the file has the published size, where it is known, and digest (SHA-256, or MD5)."""
    try:
        if not path.is_file() or content.size not in (None, path.stat().st_size):
            return False
        algorithm, wanted = _proof(content)
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == wanted


def store(chunks: Iterable[bytes | memoryview], content: Content, target: Path) -> None:
    """Write `chunks` to `target` if they are the published content.

    Nothing else ever appears there, and never more than the published size is written. Raises
    FormatError when the content is another one, TargetError when the file cannot be written.
    """
    algorithm, wanted = _proof(content)
    digest, size = hashlib.new(algorithm, usedforsecurity=False), 0
    with atomic_path(target, overwrite=True) as staging, staging.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if content.size is not None and size > content.size:
                raise FormatError(f"more than {content.size:,} bytes")
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != wanted:
            raise FormatError(_difference(algorithm, wanted, digest.hexdigest()))


def plain_chunks(path: Path, limit: int) -> Iterator[memoryview]:
    """The bytes of a file, inflated while it is gzip by its magic, at most twice.

    No more than about `limit` bytes are ever inflated. Raises FormatError for damaged data and
    for a file that cannot be read.
    """
    try:
        twice = inflated_head(path, 2) == GZIP_MAGIC
    except OSError as error:
        raise FormatError(f"cannot be read: {describe(error)}") from None
    if not twice:
        yield from _inflated(path, limit)
        return
    # A server that compresses what is compressed already, and says so to nobody.
    with staging_folder(Path(tempfile.gettempdir())) as folder:
        inner = folder / "inner.gz"
        with inner.open("wb") as file:
            for chunk in _inflated(path, packed_limit(limit)):
                file.write(chunk)
        yield from _inflated(inner, limit)


def kept_chunks(path: Path, file: IdxFile, limit: int) -> Iterator[memoryview]:
    """The bytes of a file in the form that is kept of it: inflated, or as they are."""
    if file.kept is file.plain:
        yield from plain_chunks(path, limit)
        return
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                yield memoryview(block)
    except OSError as error:
        raise FormatError(f"cannot be read: {describe(error)}") from None


def packed_limit(size: int) -> int:
    """The most bytes that `size` bytes need when compressed, however badly, with any header."""
    return size + size // 100 + (1 << 16)


def idx_size(path: Path) -> int | None:
    """Bytes of the uncompressed IDX file that starts like this one; None if it is not IDX."""
    try:
        start = inflated_head(path, 4 + 4 * 4)
    except OSError:
        return None
    if len(start) < 8 or start[:2] != b"\0\0" or start[2] not in _ITEM or not 1 <= start[3] <= 4:
        return None
    end = 4 + 4 * start[3]
    if len(start) < end:
        return None
    sizes: tuple[int, ...] = struct.unpack(f">{start[3]}I", start[4:end])
    return end + prod(sizes) * _ITEM[start[2]]


def is_markup(path: Path) -> bool:
    """Whether the file is a web page, compressed or not."""
    with suppress(OSError):
        return inflated_head(path, 512).lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP)
    return False


def explain(path: Path, file: IdxFile) -> str:
    """Why a file is not the IDX file it was taken for: what it is instead, or what is wrong."""
    if is_markup(path):
        return f"this is an HTML page, not {file.plain.name}"
    try:
        size, packed = path.stat().st_size, is_packed(path)
        sums, plain_size, fault = _examine(path, file.plain.size or 0)
    except OSError as error:
        return f"cannot be read: {describe(error)}"
    known = catalog.known_file(*sums)
    if known is not None and known.name not in (file.plain.name, file.packed.name):
        return f"this is {known}, not {file.plain.name}"
    if known is not None:
        return f"this is {known}"
    whole = file.packed.size if packed else file.plain.size
    short = whole is not None and size < whole and not isinstance(fault, _TooMuch)
    if short and (fault or plain_size != file.plain.size):
        return f"{size:,} bytes of {whole:,}; the file is not complete"
    if fault:
        return str(fault).removeprefix(f"{path}: ")
    if plain_size != file.plain.size:
        return f"holds {plain_size:,} bytes, expected {file.plain.size:,}"
    algorithm, wanted = _proof(file.kept)
    if file.kept is not file.plain:
        names = {"sha256": "SHA-256", "md5": "MD5"}
        return (
            f"cannot be proven: all that is known is the {names[algorithm]} of {file.packed.name} "
            f"as it is published, {wanted}, and this is not that file"
        )
    return _difference(algorithm, wanted, sums[3 if algorithm == "sha256" else 2])


def _examine(path: Path, expected: int) -> tuple[list[str], int, FormatError | None]:
    """MD5 and SHA-256 of a file as it is and inflated, the inflated size, and what broke it off."""
    raw = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for digest in raw:
                digest.update(block)
    plain, size = (hashlib.md5(usedforsecurity=False), hashlib.sha256()), 0
    # As far as the file in question goes, and the common ones that it may be instead.
    common = (row for row in catalog.DATASETS.values() if row.digests or row.mirrors)
    known = (file.plain for row in common for file in row.files if row.form == "idx")
    limit = max((plain.size or 0 for plain in known if plain.known), default=0)
    limit = max(limit, expected)
    try:
        for chunk in plain_chunks(path, limit):
            size += len(chunk)
            for digest in plain:
                digest.update(chunk)
        fault = None
    except FormatError as error:
        fault = error
    return [digest.hexdigest() for digest in (*raw, *plain)], size, fault


def _inflated(path: Path, limit: int) -> Iterator[memoryview]:
    buffer = bytearray(_BLOCK)
    total = 0
    try:
        with Inflater(path) as stream:
            while size := stream.readinto(buffer):
                total += size
                if total > limit:
                    raise _TooMuch(f"more than {limit:,} bytes when inflated")
                yield memoryview(buffer)[:size]
    except OSError as error:
        raise FormatError(f"cannot be read: {describe(error)}") from None


def _proof(content: Content) -> tuple[str, str]:
    return ("sha256", content.sha256) if content.sha256 else ("md5", content.md5 or "")


def _difference(algorithm: str, wanted: str, got: str) -> str:
    name = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
    return f"{name} of the content is {got}, expected {wanted}"
