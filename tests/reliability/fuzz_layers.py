"""What a fuzzer changes: a tree of files as one run of bytes, and what lies within its files.

A change at a random place of a packed or summed file is nearly always refused by its checksum, and
nothing behind that is ever tried. So the mutator peels: it opens a layer (gzip, zip, PNG, tar,
TFRecord, ...), changes a part, and closes the layer again, with sums that are right.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import google_crc32c

Build = Callable[[list[bytes]], bytes]
Raw = Callable[[bytes], bytes]
"""A change of bytes that knows nothing of their layout."""

LONGEST = 1 << 20  # bytes that a layer may inflate to
_MOST = 40  # files of a tree
_DEPTH = 4  # layers that are opened


@dataclass(frozen=True)
class Tree:
    """A file, or a folder of files by relative name; `flags` are the reader's to use."""

    name: str
    files: tuple[tuple[str, bytes], ...]
    folder: bool = False
    flags: int = 0

    def encoded(self) -> bytes:
        """As a fuzzer has it; `decoded` takes any bytes and gives a tree."""
        out = [bytes([self.flags, self.folder]), _named(self.name)]
        for name, data in self.files[:_MOST]:
            out += [_named(name), struct.pack("<I", len(data)), data]
        return b"".join(out)


def _named(name: str) -> bytes:
    data = name.encode("utf-8", "surrogateescape")[:255]
    return bytes([len(data)]) + data


def decoded(data: bytes, name: str) -> Tree:
    """The tree that bytes mean; what does not parse is a single file of that name, whole."""
    try:
        flags, folder = data[0], data[1] & 1
        own, at = _take_name(data, 2)
        files = []
        while at < len(data) and len(files) < _MOST:
            inner, at = _take_name(data, at)
            (size,) = struct.unpack_from("<I", data, at)
            if at + 4 + size > len(data):
                raise ValueError
            if not any(_collide(inner, other) for other, _ in files):
                files.append((inner, data[at + 4 : at + 4 + size]))
            at += 4 + size
    except (IndexError, struct.error, ValueError):
        return Tree(name, ((name, data),))
    if not folder:
        files = [(own, files[0][1] if files else b"")]
    return Tree(own, tuple(files), bool(folder), flags)


def _collide(first: str, second: str) -> bool:
    """Whether one is the other, or a folder that it lies in."""
    return f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/")


def _take_name(data: bytes, at: int) -> tuple[str, int]:
    stop = at + 1 + data[at]
    if stop > len(data):
        raise ValueError
    text = data[at + 1 : stop].decode("utf-8", "surrogateescape").replace("\0", "_")
    parts = [part[:60] for part in text.split("/")[:5] if part not in ("", ".", "..")]
    return "/".join(parts) or "x", stop


def mutated(
    tree: Tree,
    chance: Random,
    raw: Raw,
    names: Sequence[str],
    pool: Sequence[bytes],
    endings: tuple[str, ...] = ("",),
) -> Tree:
    """The tree with one to four changes: of contents mostly, of names, of which files there are.

    The flags are new each time: a fuzzer would keep to those with which the most is done, slowly.
    names: what files may be called; pool: contents to take pieces from; endings: of the names of
    the files that are changed.
    """
    files = list(tree.files)
    own = tree.name
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3))):
        what = chance.random()
        mine = [at for at, (name, _) in enumerate(files) if name.endswith(endings)]
        at = chance.choice(mine) if mine else -1
        if at < 0 or what < 0.03:
            own = _renamed(own, chance, names)
        elif what < 0.08 and tree.folder:
            files[at] = (_renamed(files[at][0], chance, names), files[at][1])
        elif what < 0.10 and tree.folder:
            kind = chance.randrange(3)
            if kind == 0:
                del files[at]
            elif kind == 1:
                files.append((_renamed(files[at][0], chance, names), files[at][1]))
            else:
                files[at] = (files[at][0], chance.choice(files)[1])
        elif what < 0.13 and pool:
            files[at] = (files[at][0], _spliced(files[at][1], chance.choice(pool), chance))
        else:
            files[at] = (files[at][0], changed(files[at][1], chance, raw))
    return Tree(own, tuple(files), tree.folder, chance.randrange(256))


def _renamed(name: str, chance: Random, names: Sequence[str]) -> str:
    if names and chance.random() < 0.7:
        return chance.choice(names)
    at = chance.randrange(len(name) + 1)
    return name[:at] + chance.choice("_-.0é1\n\x1b x/") + name[at + chance.randrange(2) :]


def _spliced(data: bytes, other: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(other) + 1)
    piece = other[start : start + chance.choice((1, 4, 16, 64, 1024))]
    at = chance.randrange(len(data) + 1)
    return data[:at] + piece + data[at + chance.choice((0, len(piece))) :]


def changed(data: bytes, chance: Random, raw: Raw, depth: int = 0) -> bytes:
    """The content of a file with one change in it, under its layers or to them."""
    if depth < _DEPTH and chance.random() < 0.85:
        for peel in _PEELS:
            layer = _peeled(peel, data)
            if layer is not None:
                parts, build = layer
                at = chance.randrange(len(parts))
                parts[at] = changed(parts[at], chance, raw, depth + 1)
                try:
                    return build(parts)
                except (struct.error, ValueError, OverflowError, zipfile.LargeZipFile):
                    return data
    return _repeated(data, chance) if chance.random() < 0.03 else raw(data)


def _repeated(data: bytes, chance: Random) -> bytes:
    """The data with a piece of it many times: thousands of digits, of brackets, of rows."""
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.choice((1, 1, 2, 8))]
    return data[:at] + piece * (chance.choice((20, 300, 5000)) // (len(piece) or 1)) + data[at:]


def _peeled(peel: Callable[[bytes], tuple[list[bytes], Build] | None], data: bytes):
    try:
        layer = peel(data)
    except Exception:  # damaged: it has no layer to open
        return None
    return layer if layer is not None and layer[0] else None


def _gzip(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:2] != b"\x1f\x8b":
        return None
    inner = zlib.decompressobj(31).decompress(data, LONGEST)
    return [inner], lambda parts: gzip.compress(parts[0], 1, mtime=0)


def _bz2(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:3] != b"BZh":
        return None
    inner = bz2.BZ2Decompressor().decompress(data, LONGEST)
    return [inner], lambda parts: bz2.compress(parts[0], 1)


def _xz(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:6] != b"\xfd7zXZ\0":
        return None
    inner = lzma.LZMADecompressor(memlimit=64 << 20).decompress(data, LONGEST)
    return [inner], lambda parts: lzma.compress(parts[0], preset=0)


def _zip(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:2] != b"PK":
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()[:64]
        if sum(member.file_size for member in members) > LONGEST:
            return None
        parts = [archive.read(member) for member in members]
    kinds = [member.compress_type for member in members]
    names = [member.filename for member in members]

    def build(parts: list[bytes]) -> bytes:
        out = io.BytesIO()
        called = parts[-1].decode("utf-8", "replace").split("\n")
        with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
            warnings.simplefilter("ignore", UserWarning)  # of two members of one name
            for k, (kind, part) in enumerate(zip(kinds, parts[:-1], strict=True)):
                name = called[k] if k < len(called) and called[k] else names[k]
                archive.writestr(zipfile.ZipInfo(name), part, kind)
        return out.getvalue()

    return [*parts, "\n".join(names).encode()], build


def _png(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    at, kinds, parts = 8, [], []
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        kinds.append(kind)
        parts.append(zlib.decompressobj().decompress(body, LONGEST) if kind == b"IDAT" else body)
        at += 12 + size

    def build(parts: list[bytes]) -> bytes:
        out = [data[:8]]
        for kind, part in zip(kinds, parts, strict=True):
            body = zlib.compress(part, 1) if kind == b"IDAT" else part
            crc = zlib.crc32(kind + body)
            out.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc))
        return b"".join(out)

    return parts, build


def _tar(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[257:262] != b"ustar":
        return None
    at, parts = 0, []
    while data[at + 257 : at + 262] == b"ustar":
        size = int(data[at + 124 : at + 135].strip(b"\0 ") or b"0", 8)
        parts += [data[at : at + 512], data[at + 512 : at + 512 + size]]
        at += 512 + -(-size // 512) * 512

    def build(parts: list[bytes]) -> bytes:
        out = []
        for header, body in zip(parts[::2], parts[1::2], strict=True):
            block = bytearray(header.ljust(512, b"\0")[:512])
            if len(body) != int(bytes(block[124:135]).strip(b"\0 ") or b"0", 8):
                block[124:136] = b"%011o\0" % len(body)
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
            out += [bytes(block), body, bytes(-len(body) % 512)]
        return b"".join([*out, data[at:]])

    return parts, build


def _tfrecord(data: bytes) -> tuple[list[bytes], Build] | None:
    at, parts = 0, []
    while at + 16 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        if data[at + 8 : at + 12] != _masked(data[at : at + 8]):
            return None
        parts.append(data[at + 12 : at + 12 + size])
        at += 16 + size

    def build(parts: list[bytes]) -> bytes:
        out = []
        for part in parts:
            length = struct.pack("<Q", len(part))
            out += [length, _masked(length), part, _masked(part)]
        return b"".join(out)

    return parts, build


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _safetensors(data: bytes) -> tuple[list[bytes], Build] | None:
    size = int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or 8 + size > len(data):
        return None
    parts = [data[8 : 8 + size], data[8 + size :]]
    return parts, lambda parts: struct.pack("<Q", len(parts[0])) + parts[0] + parts[1]


def _npy(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[:6] != b"\x93NUMPY":
        return None
    wide = 2 if data[6] == 1 else 4
    size = int.from_bytes(data[8 : 8 + wide], "little")
    start = 8 + wide
    parts = [data[start : start + size], data[start + size :]]
    return parts, lambda parts: data[:8] + len(parts[0]).to_bytes(wide, "little") + b"".join(parts)


def _mat5(data: bytes) -> tuple[list[bytes], Build] | None:
    if data[126:128] != b"IM" or data[124:126] != b"\0\1":
        return None
    at, kinds, parts = 128, [], []
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        body = data[at + 8 : at + 8 + size]
        kinds.append(kind)
        parts.append(zlib.decompressobj().decompress(body, LONGEST) if kind == 15 else body)
        at += 8 + size

    def build(parts: list[bytes]) -> bytes:
        out = [parts[0].ljust(128)[:128]]
        for kind, part in zip(kinds, parts[1:], strict=True):
            body = zlib.compress(part, 1) if kind == 15 else part
            out.append(struct.pack("<II", kind, len(body)) + body)
        return b"".join(out)

    return [data[:128], *parts], build


_PEELS = (_gzip, _bz2, _xz, _zip, _png, _tar, _tfrecord, _safetensors, _npy, _mat5)
