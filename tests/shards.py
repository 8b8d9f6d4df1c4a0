"""Tars and records written another way than mnistprep does, and what they are read as."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np
from PIL import Image
from test_formats import split
from test_readers import same

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import MnistprepError

DIGITS = split(6, (5, 5), classes=3)
Members = list[tuple[str, bytes]]
Value = bytes | int | float | list[bytes] | list[int] | list[float]


def picture(pixels: np.ndarray, form: str = "png", **options: object) -> bytes:
    """A picture file of Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def members(fields: tuple[str, str] = ("png", "cls"), first: int = 0) -> Members:
    """The members of DIGITS, as a careful person would name them."""
    made = []
    for k, (pixels, label) in enumerate(zip(DIGITS.images, DIGITS.labels, strict=True), first):
        made += [(f"{k:04}.{fields[0]}", picture(pixels)), (f"{k:04}.{fields[1]}", b"%d" % label)]
    return made


def tar(path: Path, content: Members, form: int = tarfile.USTAR_FORMAT, mode: str = "w") -> Path:
    """A tar of Python's own module."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=form) as archive:
        for name, data in content:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(member, io.BytesIO(data))
    return path


def field(number: int, data: bytes) -> bytes:
    """A delimited field of protobuf."""
    size, digits = len(data), b""
    while size > 127:
        digits += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + digits + bytes([size]) + data


def example(values: Mapping[str, Value], *, packed: bool = True) -> bytes:
    """A tf.train.Example, written another way than mnistprep does: any order, packed or not."""
    entries = b""
    for key, value in values.items():
        listed = value if isinstance(value, list) else [value]
        if isinstance(listed[0], bytes):
            feature = field(1, b"".join(field(1, item) for item in listed))
        elif isinstance(listed[0], float):
            feature = field(2, field(1, struct.pack(f"<{len(listed)}f", *listed)))
        else:
            varints = [varint(item) for item in listed]
            whole = (
                field(1, b"".join(varints)) if packed else b"".join(b"\x08" + v for v in varints)
            )
            feature = field(3, whole)
        entries += field(1, field(2, feature) + field(1, key.encode()))
    return field(1, entries)


def varint(value: int) -> bytes:
    """An int64 as protobuf has it: negative ones take ten bytes."""
    value &= (1 << 64) - 1
    digits = b""
    while value > 127:
        digits += bytes([value & 127 | 128])
        value >>= 7
    return digits + bytes([value])


def record(data: bytes) -> bytes:
    """A record with both checksums."""

    def masked(part: bytes) -> bytes:
        crc = google_crc32c.value(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def examples(
    image: str = "image", label: str = "label", *, more: Mapping[str, Value] | None = None
) -> list[dict[str, Value]]:
    """DIGITS as features."""
    return [
        {label: int(number), image: picture(pixels), **(more or {})}
        for pixels, number in zip(DIGITS.images, DIGITS.labels, strict=True)
    ]


def records(path: Path, content: list[dict[str, Value]], **options: bool) -> Path:
    """A file of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(record(example(values, **options)) for values in content))
    return path


def check(path: Path, format: str, part: str = "train", *, expected: Split = DIGITS) -> Dataset:
    """`path` reads, without being told what it is, as the expected split."""
    found = mnistprep.read(path)
    assert formats.matches(path) == [format]
    assert list(found.splits) == [part]
    same(expected, found.splits[part].images, found.splits[part].labels)
    assert found.shape == expected.shape
    return found


def outcome(path: Path, data: bytes, format: str) -> object:
    """What reading damaged data gives: the pictures and labels, or None when it is refused."""
    path.write_bytes(data)
    try:
        found = mnistprep.read(path, format).splits["train"]
    except MnistprepError as error:
        assert str(path) in str(error)
        return None
    return found.images.tobytes(), found.labels.tolist()
