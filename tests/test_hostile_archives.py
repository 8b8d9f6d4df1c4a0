"""Archives and compressed files made to harm: what they hold is refused, bounded, and stays in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import hostile
import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy.io import savemat

import mnistprep
from mnistprep import _limits, cli
from mnistprep.errors import FormatError, MnistprepError, UsageError


def table() -> bytes:
    """A small dataset, as an .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, x_train=np.zeros((6, 4, 4), np.uint8), y_train=np.arange(6) % 3)
    return buffer.getvalue()


def zipped(path: Path, *names: str, data: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, table() if data is None else data)
    return path


def tarred(target: Path, /, *names: str, kind: bytes = tarfile.REGTYPE, **pax: str) -> Path:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.pax_headers, member.linkname = kind, pax, "/etc/passwd"
            data = table() if kind in (tarfile.REGTYPE, tarfile.CONTTYPE) else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target


OUTSIDE = (
    "/{0}/x.npz", "//{0}/x.npz", "///{0}/x.npz", "\\{0}\\x.npz", "\\\\{0}\\x.npz", "/\\{0}/x.npz",
    "\\/{0}/x.npz", "../x.npz", "a/../../x.npz", "a/./../../x.npz", "..\\x.npz", "a\\..\\..\\x.npz",
    "C:\\x.npz", "C:x.npz", "c:/x.npz", "//server/share/x.npz", "\\\\?\\C:\\x.npz", "./../x.npz",
    "../" * 40 + "{0}/x.npz",
)  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_name_leads_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: Callable[..., Path]
) -> None:
    """Absolute, upwards, with a drive or a server, in any mix of slashes: refused, not written."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir(), inside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(inside))
    path = pack(tmp_path / "x.bin", name.format(str(outside).strip("/")))
    with pytest.raises(FormatError, match="leads out of it"):
        mnistprep.read(path)
    assert not list(outside.iterdir()) and not list(inside.iterdir())


@pytest.mark.parametrize(
    "kind", [b"1", b"2", b"3", b"4", b"6", b"S", b"V", b"M", b"D", b"N", b"A", b"Z"]
)
def test_no_special_member_of_a_tar(tmp_path: Path, kind: bytes) -> None:
    """Links, devices, pipes, sparse files, volumes and kinds that nobody knows are refused."""
    with pytest.raises(FormatError, match=r"link or special file|several volumes or steps"):
        mnistprep.read(tarred(tmp_path / "x.tar", "a.npz", kind=kind))


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666, 0o140666])
def test_no_special_member_of_a_zip(tmp_path: Path, mode: int) -> None:
    """Links, devices, pipes and sockets, as Unix marks them in a zip, are refused."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        member = zipfile.ZipInfo("a.npz")
        member.external_attr = mode << 16
        archive.writestr(member, table())
    with pytest.raises(FormatError, match="link or special file"):
        mnistprep.read(tmp_path / "x.zip")


REFUSED = {
    "two of a name": lambda p: tarred(p, "a.npz", "./a.npz"),
    "a file and a folder": lambda p: zipped(p, "a", "a/b.npz"),
    "two that differ by case": lambda p: zipped(p, "A.npz", "a.npz"),
    "a name of 300 letters": lambda p: zipped(p, "x" * 300 + ".npz"),
    "a name with a NUL": lambda p: tarred(p, "x", path="a\0b.npz"),
    "5,000 folders deep": lambda p: tarred(p, "d/" * 5000 + "a.npz"),
    "5,000 folders deep, zip": lambda p: zipped(p, "d/" * 5000 + "a.npz"),
    "a long pax record": lambda p: tarred(p, "a.npz", comment2="x" * (2 << 20)),
    "a pax size of terabytes": lambda p: tarred(p, "a.npz", size="99999999999999"),
    "a pax size that is none": lambda p: tarred(p, "a.npz", size="-1"),
    "a pax size of digits": lambda p: tarred(p, "a.npz", size="9" * 5000),
    "a pax path that leads out": lambda p: tarred(p, "a.npz", path="../../a.npz"),
    "a sparse file by pax": lambda p: tarred(p, "a.npz", **{"GNU.sparse.major": "1"}),
    "one of nothing": lambda p: zipped(p),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_an_archive_must_not_hold(tmp_path: Path, kind: str) -> None:
    """Duplicates, conflicts, endless names and headers are refused in words."""
    with pytest.raises(FormatError, match=r"x\.bin"):
        mnistprep.read(REFUSED[kind](tmp_path / "x.bin"))


def _directory(data: bytes, at: int, new: bytes) -> bytes:
    start = data.rindex(b"PK\1\2") + at
    return data[:start] + new + data[start + len(new) :]


def _overlapping(data: bytes) -> bytes:
    """500 directory entries for one member: the trick of the "better zip bomb"."""
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"a.npz", b"%05d" % k) for k in range(500))
    tail = data[end : end + 8] + struct.pack("<HHI", 500, 500, len(entries)) + data[end + 16 :]
    return data[:start] + entries + tail


LIES = {
    "size of 2 GB": lambda d: _directory(d, 24, b"\xff\xff\xff\x7f"),
    "size of 0": lambda d: _directory(d, 24, bytes(4)),
    "packed size of 4 GB": lambda d: _directory(d, 20, b"\xfe\xff\xff\xff"),
    "zip64 without its record": lambda d: _directory(d, 20, b"\xff" * 8),
    "offset beyond": lambda d: _directory(d, 42, b"\xff\xff\xff\x7f"),
    "method 99": lambda d: _directory(d, 10, b"\x63\0"),
    "another checksum": lambda d: _directory(d, 16, b"abcd"),
    "another name": lambda d: _directory(d, 46, b"b.npz"),
    "overlapping": _overlapping,
    "count of 65,535": lambda d: d[:-14] + b"\xff\xff\xff\xff" + d[-10:],
    "comment beyond": lambda d: d[:-2] + b"\xff\xff",
}


@pytest.mark.parametrize("kind", LIES)
def test_a_directory_that_lies(tmp_path: Path, kind: str) -> None:
    """The right data or words, whatever the directory of a zip says of its member."""
    path = zipped(tmp_path / "x.zip", "a.npz")
    path.write_bytes(LIES[kind](path.read_bytes()))
    try:
        assert not mnistprep.read(path).splits["train"].images.any()
    except FormatError as error:
        assert "x.zip" in str(error)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress,
}  # fmt: skip


@lru_cache
def bomb(kind: str) -> bytes:
    """Two megabytes of short lines, compressed."""
    return PACKED[kind](b"1 2 3 4 5 6 7 8 9\n" * (1 << 17))


READERS = (None, "idx-gz", "pkl", "csv", "arff", "libsvm")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", PACKED)
def test_a_stream_is_cut_off_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reader: str | None
) -> None:
    """Nothing beyond the limit is inflated, whoever reads; the message names the option."""
    monkeypatch.setattr(_limits, "LIMIT", 1 << 20)
    monkeypatch.setattr(_limits, "RATIO", 1)
    (tmp_path / "x.bin").write_bytes(bomb(kind))
    with pytest.raises(FormatError, match=r"x\.bin"):
        mnistprep.read(tmp_path / "x.bin", reader)


def _sets(folder: Path) -> dict[str, Path]:
    """A megabyte of black pictures, in every form that compression makes small."""
    black = mnistprep.Split(np.zeros((1 << 10, 32, 32), np.uint8), np.arange(1 << 10) % 3)
    dataset = mnistprep.Dataset("x", {"train": black}, ("0", "1", "2"))
    made = {
        name: mnistprep.write(dataset, folder / target)
        for name, target in (("npz", "x.npz"), ("pkl", "x.pkl.gz"), ("csv", "x.csv.gz"))
    }
    made["hdf5"] = mnistprep.write(dataset, folder / "x.h5", compression="gzip")
    made["mat"] = folder / "x.mat"
    savemat(made["mat"], {"images": black.images, "labels": black.labels}, do_compression=True)
    pixels = pa.array(list(black.images.reshape(1 << 10, -1)), pa.list_(pa.uint8()))
    rows = pa.table({"image": pixels, "label": black.labels})
    made["parquet"] = folder / "lists.parquet"
    pq.write_table(rows, made["parquet"], compression="zstd")
    for kind in ("lz4", "zstd"):
        made[f"arrow {kind}"] = folder / f"{kind}.arrow"
        options = ipc.IpcWriteOptions(compression=kind)
        with ipc.new_stream(made[f"arrow {kind}"], rows.schema, options=options) as writer:
            writer.write_table(rows)
    made["arff"] = folder / "x.arff.gz"
    plain = mnistprep.write(dataset, folder / "x.arff").read_bytes()
    made["arff"].write_bytes(gzip.compress(plain))
    made["idx-gz"] = mnistprep.write(dataset, folder / "idx", "idx-gz")
    plain = mnistprep.write(dataset, folder / "x.safetensors").read_bytes()
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        made[ending] = folder / f"y.{ending}"
        made[ending].write_bytes(pack(plain))
    made["zip"] = zipped(folder / "y.zip", "x.safetensors", data=plain)
    with tarfile.open(folder / "y.tar.gz", "w:gz") as archive:
        archive.add(folder / "x.safetensors", "x.safetensors")
    made["tar.gz"] = folder / "y.tar.gz"
    tree = mnistprep.write(dataset, folder / "tree", "imagefolder")
    made["tree"] = tree
    return made


def test_an_option_raises_every_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused without --max-bytes or max_bytes, and names it, reads with it."""
    made = _sets(tmp_path)
    monkeypatch.setattr(_limits, "LIMIT", 100_000)
    monkeypatch.setattr(_limits, "RATIO", 0)
    for kind, path in made.items():
        with pytest.raises(FormatError, match=r"--max-bytes N \(max_bytes=N\)"):
            mnistprep.read(path)
        assert len(mnistprep.read(path, max_bytes=1 << 24)) == 1 << 10, kind
        result = CliRunner().invoke(cli.main, ["inspect", str(path)])
        assert result.exit_code == 1 and "--max-bytes" in result.output, kind
        result = CliRunner().invoke(cli.main, ["inspect", str(path), "--max-bytes", "16777216"])
        assert result.exit_code == 0, (kind, result.output)
    with pytest.raises(UsageError, match="1 or more"):
        mnistprep.read(path, max_bytes=0)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
        + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )  # fmt: skip


_ZEROS = zlib.compress(bytes(100 << 20), 9)
PICTURES = {
    "png 65535x65535": png(65535, 65535, bytes(99)),
    "png 2^31-1": png(2**31 - 1, 2**31 - 1, bytes(99)),
    "png 1x2^31-1": png(1, 2**31 - 1, bytes(99)),
    "png of no size": png(0, 0, b""),
    "iCCP": png(4, 4, bytes(20), chunk(b"iCCP", b"x\0\0" + _ZEROS)),
    "zTXt": png(4, 4, bytes(20), chunk(b"zTXt", b"x\0\0" + _ZEROS)),
    "iTXt": png(4, 4, bytes(20), chunk(b"iTXt", b"x\0\1\0\0\0" + _ZEROS)),
    "apng": png(4, 4, bytes(20), chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60000, 60000, 1, 8, *[0] * 6)
    + bytes(40),
    "gif": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;",
    "pgm": b"P5 99999 99999 255\n" + bytes(9),
    "pgm in text": b"P2 9400 9400 255\n1",
    "pbm": b"P4 4000000000 4000000000\n" + bytes(9),
    "tiff": b"II*\0\x08\0\0\0\4\0" + b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in ((256, 60000), (257, 60000), (258, 8), (273, 8))
    ) + bytes(4),
    "webp": b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + bytes(5),
    "jpeg": b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0"
    b"\xff\xda\0\x08\1\1\0\0\x3f\0\0\xff\xd9",
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_no_picture_is_a_bomb(tmp_path: Path, kind: str) -> None:
    """A few bytes that mean gigabytes of pixels, or of text beside them, are refused in a tree."""
    ending = {"png": "png", "pgm": "pgm"}.get(kind.split()[0], kind.lower())
    ending = ending if ending in ("bmp", "gif", "pgm", "pbm", "tiff", "webp", "jpeg") else "png"
    for k in range(2):
        (tmp_path / "t" / str(k)).mkdir(parents=True)
        (tmp_path / "t" / str(k) / f"0.{ending}").write_bytes(PICTURES[kind])
    with pytest.raises(FormatError, match=rf"0\.{ending}"):
        mnistprep.read(tmp_path / "t")


@pytest.mark.slow
def test_bombs_take_little_memory(tmp_path: Path) -> None:
    """Whole bombs of each kind, at the limit as it is, in a process that is measured."""
    paths = []
    for kind, data in PICTURES.items():
        for k in range(2):
            path = tmp_path / "t" / kind / str(k) / "0.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        paths.append(path.parent.parent)
    for kind, pack in PACKED.items():
        piece = pack(bytes(256 << 20))
        (tmp_path / kind).write_bytes(piece * 5)
        paths.append(tmp_path / kind)
    found = hostile.opened(paths, tmp_path)
    for path, twice in found["said"].items():
        assert all(words.startswith("refused") for words, _ in twice), (path, twice)
    assert found["grown"] < 512 << 20


@pytest.mark.skipif(not hasattr(os, "truncate"), reason="no sparse files here")
@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.json", "x.arff", "x.bin"])
def test_a_gigabyte_without_an_end_of_line(tmp_path: Path, name: str) -> None:
    """A line that does not end is refused after a few megabytes of it."""
    (tmp_path / name).write_bytes(b"1,2,3,4,5,6,7,8\n" * 3 + b"1,2,")
    os.truncate(tmp_path / name, 1 << 30)
    with pytest.raises(MnistprepError, match=name):
        mnistprep.read(tmp_path / name)
