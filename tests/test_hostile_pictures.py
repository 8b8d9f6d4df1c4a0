"""Pictures that say one thing and hold another, or are programs: refused, in any container."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import EpsImagePlugin, Image

import mnistprep
from mnistprep import _png
from mnistprep.drawings import open_picture
from mnistprep.errors import FormatError

POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n"
    b"(/etc/passwd) (r) file\nshowpage\n%%EOF\n"
)
GREY, PALETTE = 0, 3
LINES = (b"\0" + b"\xc8" * 28) * 28
INDICES = (b"\0" + bytes(range(28))) * 28


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(colour: int = GREY, width: int = 28, height: int = 28) -> bytes:
    """IHDR of 8 bits."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))


def png(*chunks: bytes, lines: bytes = LINES) -> bytes:
    """A PNG of these chunks, its lines and its end."""
    return _png.SIGNATURE + b"".join(chunks) + chunk(b"IDAT", zlib.compress(lines)) + END


END = chunk(b"IEND", b"")
WHOLE = chunk(b"PLTE", bytes(range(28 * 3)))
BAD_PNGS = {
    "too few lines": (png(header(), lines=LINES[: 29 * 10]), "fewer or more lines"),
    "part of a line": (png(header(), lines=LINES[:-1]), "fewer or more lines"),
    "too many lines": (png(header(), lines=LINES + LINES[:29]), "fewer or more lines"),
    "no lines": (png(header(), lines=b""), "fewer or more lines"),
    "no palette": (png(header(PALETTE), lines=INDICES), "no palette"),
    "a short palette": (
        png(header(PALETTE), chunk(b"PLTE", bytes(27 * 3)), lines=INDICES),
        "colours it has not",
    ),
    "two palettes": (png(header(PALETTE), WHOLE, WHOLE, lines=INDICES), "more than one"),
    "two headers": (png(header(), header(height=14)), "more than one"),
    "what nobody knows": (png(header(), chunk(b"ABCD", b"")), "ABCD"),
    "a stream without its end": (
        _png.SIGNATURE + header() + chunk(b"IDAT", zlib.compress(LINES)[:-4]) + END,
        "fewer or more lines",
    ),
}


@pytest.mark.parametrize("fault", BAD_PNGS)
def test_a_png_whose_parts_do_not_fit_is_refused(fault: str) -> None:
    """All its checksums are right; Pillow makes black of what is missing."""
    data, words = BAD_PNGS[fault]
    with pytest.raises(FormatError, match=f"^x.png: .*{words}"):
        _png.examine(data, "x.png")


def test_a_palette_that_is_as_long_as_it_must_be() -> None:
    """The colours of 28 indices, from a palette of 28."""
    found, _ = _png.examine(png(header(PALETTE), WHOLE, lines=INDICES), "x.png")
    assert found[0].tolist() == [list(range(k, k + 3)) for k in range(0, 84, 3)]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 5), (8, 9), (28, 28), (33, 17)])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_interlaced_pngs_have_the_lines_they_must_have(size: tuple[int, int], depth: int) -> None:
    """Seven passes, of which small pictures lack some; the pixels are Pillow's."""
    height, width = size
    chance = np.random.default_rng(3)
    values = chance.integers(0, 1 << depth, size)
    lines = b""
    for line, column, down, right in _PASSES:
        for row in values[line::down, column::right]:
            if len(row):
                bits = "".join(f"{value:0{depth}b}" for value in row)
                bits += "0" * (-len(bits) % 8)
                lines += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, GREY, 0, 0, 1))
    found, _ = _png.examine(png(ihdr, lines=lines), "x.png")
    assert np.array_equal(found, values * (255 // ((1 << depth) - 1)))
    with pytest.raises(FormatError, match="fewer or more lines"):
        _png.examine(png(ihdr, lines=lines[:-1]), "x.png")


# Starts and steps of Adam7, as the specification of PNG has them in its section 8.2.
_PASSES = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
)  # fmt: skip


@pytest.mark.parametrize("mode", ["1", "I;16"])
def test_transparency_is_not_lost(mode: str) -> None:
    """Of one bit and of 16 as of any other depth."""
    out = io.BytesIO()
    Image.new(mode, (4, 4)).save(out, "PNG", transparency=0)
    with pytest.raises(FormatError, match="partly transparent"):
        _png.examine(out.getvalue(), "x.png")


def test_white_that_is_zero() -> None:
    """A TIFF of 16 bits that counts from white: Pillow does not turn it round."""
    out = io.BytesIO()
    Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 257).save(
        out, "TIFF", tiffinfo={262: 0}
    )
    with pytest.raises(FormatError, match="0 is white"):
        _png.examine(out.getvalue(), "x.tif")


@pytest.mark.parametrize(
    "start",
    [b"P5\n2 2 0000000100\n", b"P5\n2 2 +100\n", b"P5\n2 2 1_00\n", b"P5 #c\r2 2 100\n", b"Pf\n"],
)
def test_netpbm_that_pillow_would_stretch(start: bytes) -> None:
    """Whatever spelling Pillow takes, the largest value is seen or the header is refused."""
    with pytest.raises(FormatError, match=r"not a plain one|brightness up to 100"):
        _png.examine(start + b"\0\1\2\3", "x.pgm")


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000", "ICO", "TGA", "PCX"])
def test_kinds_that_lose_pixels_or_pictures(kind: str) -> None:
    """What Pillow reads besides is a picture to predict, and no data."""
    out = io.BytesIO()
    Image.new("L", (28, 28), 7).save(out, kind)
    with pytest.raises(FormatError, match="expected PNG"):
        _png.examine(out.getvalue(), "x")


def in_parquet(folder: Path) -> Path:
    """Behind a real picture, in a column of pictures."""
    pictures = [{"bytes": data, "path": None} for data in (png(header()), POSTSCRIPT)]
    pq.write_table(pa.table({"image": pictures, "label": [0, 1]}), folder / "x.parquet")
    return folder / "x.parquet"


def in_tar(folder: Path) -> Path:
    """Behind a real picture, as a sample of WebDataset."""
    with tarfile.open(folder / "x.tar", "w") as packed:
        for k, data in enumerate((png(header()), POSTSCRIPT)):
            for ending, content in (("png", data), ("cls", b"%d" % k)):
                member = tarfile.TarInfo(f"{k:03}.{ending}")
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
    return folder / "x.tar"


def in_tree(folder: Path) -> Path:
    """Behind a real picture, in a folder of a class."""
    for k, data in enumerate((png(header()), POSTSCRIPT)):
        (folder / "x" / "train" / str(k)).mkdir(parents=True)
        (folder / "x" / "train" / str(k) / "0.png").write_bytes(data)
    return folder / "x"


def as_drawing(folder: Path) -> Path:
    """By itself."""
    (folder / "x.png").write_bytes(POSTSCRIPT)
    return folder / "x.png"


@pytest.mark.parametrize("put", [in_parquet, in_tar, in_tree, as_drawing])
def test_no_program_is_run_for_a_picture(
    put: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow has Ghostscript run what begins as PostScript does; here it is no picture."""
    called = tmp_path / "called"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\necho called >> {called}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with pytest.raises(subprocess.CalledProcessError):
        Image.open(io.BytesIO(POSTSCRIPT)).load()
    assert called.exists()  # so that the test can fail
    called.unlink()
    path = put(tmp_path)
    with pytest.raises(FormatError, match=r"not a picture|PostScript"):
        open_picture(path) if put is as_drawing else mnistprep.read(path, workers=1)
    assert not called.exists()


def test_what_pillow_logs_is_not_printed(tmp_path: Path) -> None:
    """Python prints it where a program has no logging, as the command line has none."""
    out = io.BytesIO()
    Image.new("L", (28, 28)).save(out, "TIFF", tiffinfo={277: 1})
    samples = struct.pack("<HHIHH", 277, 3, 1, 1, 0)  # samples per pixel: a tag, type and number
    assert out.getvalue().count(samples) == 1
    (tmp_path / "cat").mkdir()
    damaged = out.getvalue().replace(samples, samples[:8] + b"\x54\0\0\0")
    (tmp_path / "cat" / "x.tif").write_bytes(damaged)
    command = [sys.executable, "-m", "mnistprep", "inspect", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "x.tif" in run.stderr
    assert "samples" not in run.stderr
