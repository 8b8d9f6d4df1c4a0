"""What people find in the place of data: pages, pointers, other archives; told by first bytes."""

from __future__ import annotations

from pathlib import Path

from mnistprep._files import head
from mnistprep._streams import compression, inflated_head
from mnistprep._text import printable

_LOOK = 1024  # bytes
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")
_POINTERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the data; run `git lfs pull`"),
    (b"/annex/objects/", "a git-annex pointer, not the data; run `git annex get`"),
    (b"[internetshortcut]", "a link to a web page, not the data; open it and download"),
)
_OTHERS = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive, which is not opened; unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive, which is not opened; unpack it first"),
    (b"L\0\0\0\1\x14\2\0", "a Windows shortcut, not the data"),
    (b"%PDF-", "a PDF document, not data"),
    (b"%!PS", "a PostScript document, not data"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document, not data"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document; save it as CSV"),
    (b"(\xb5/\xfd", "compressed with zstd, which is not opened; decompress it first"),
    (b"\x04\"M\x18", "compressed with LZ4, which is not opened; decompress it first"),
    (b"]\0\0", "compressed as .lzma, which is not opened; decompress it first (`unlzma`)"),
    (b"LZIP\1", "compressed with lzip, which is not opened; decompress it first"),
    (b"\x1f\x9d", "compressed with `compress`, which is not opened; decompress it first"),
)  # fmt: skip


def quoted(path: Path) -> str:
    """The first line of a small file of text, quoted to be told; "" for anything else."""
    start = head(path, _LOOK)
    if not start.strip(b"\0"):
        return ": all of them are 0"
    try:
        line = start.decode().strip().partition("\n")[0].strip()
    except UnicodeDecodeError:
        return ""
    return f": {printable(line, 80)!r}" if len(start) < _LOOK and line.isprintable() else ""


def what(path: Path) -> str | None:
    """What a file is in the place of data, in words for a person; None where it may be data."""
    raw = head(path, _LOOK)
    told = of(raw, path.stat().st_size)
    if told is None and compression(raw) is not None:
        return of(inflated_head(path, _LOOK), path.stat().st_size)
    return told


def of(start: bytes, size: int) -> str | None:
    """What `size` bytes that begin with `start` are in the place of data; None for what may be."""
    if not size:
        return "an empty file"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return f"a web page of {size:,} bytes, not data"
    if text.startswith(b"<?xml"):
        kind = "an error message" if b"<error" in text else "a web page or other XML"
        return f"{kind} of {size:,} bytes, not data"
    for magic, words in _POINTERS:
        if text.startswith(magic):
            return words
    if text.startswith((b"../", b".git/")) and b".git/annex/" in text.partition(b"\n")[0]:
        return _POINTERS[1][1]
    return next((words for magic, words in _OTHERS if start.startswith(magic)), None)
