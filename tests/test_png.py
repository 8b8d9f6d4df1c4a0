"""The PNGs that mnistprep writes: the same pixels for every other reader, and for zlib."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mnistprep import _deflate, _png

SHAPES = [(28, 28), (1, 1), (1, 3000), (64, 64), (80, 60), (28, 28, 3), (40, 40, 3)]


@given(st.data())
def test_each_stream_inflates_to_its_block_and_ends_there(data):
    """Blocks of runs, of noise and of anything between come back from zlib, to the last bit."""
    size = data.draw(st.integers(1, 1500))
    runs = st.lists(st.tuples(st.integers(0, 255), st.integers(1, 700)), min_size=1, max_size=40)
    rows = []
    for drawn in data.draw(st.lists(runs, min_size=1, max_size=5)):
        row = b"".join(bytes([byte]) * length for byte, length in drawn)
        rows.append((row * (size // len(row) + 1))[:size])
    blocks = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), size)
    streams, starts = _deflate.deflate(blocks)
    assert starts[0] == 0 and starts[-1] == len(streams)
    for row, start, stop in zip(rows, starts, starts[1:], strict=False):
        inflater = zlib.decompressobj(-15)
        assert inflater.decompress(streams[start:stop]) == row
        assert inflater.eof and not inflater.unused_data


def test_a_run_of_every_length_of_every_byte_inflates():
    """Each code of the table is right: 256 bytes, alone and in runs of up to 600."""
    for length in [*range(1, 20), *range(250, 270), 517, 518, 519, 600]:
        blocks = np.repeat(np.arange(256, dtype=np.uint8)[:, None], length, axis=1)
        streams, starts = _deflate.deflate(blocks)
        for k in range(256):
            stream = streams[starts[k] : starts[k + 1]]
            assert zlib.decompress(stream, -15) == bytes([k]) * length


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", [_png.QUICK, 0, 9])
@pytest.mark.parametrize("values", [1, 2, 256])
def test_pillow_reads_the_pixels_that_were_encoded(shape, level, values):
    """Blank, sparse and dense pictures of every size are the same in Pillow, and read back here."""
    pictures = np.random.default_rng(7).integers(0, values, (5, *shape)).astype(np.uint8)
    pictures[1:3, : shape[0] // 2] = 0
    lines_of = _png.plain_reader(shape)
    for picture, data in zip(pictures, _png.encode(pictures, level=level), strict=True):
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == ("RGB" if len(shape) == 3 else "L")
            assert np.array_equal(np.asarray(image), picture)
        lines = lines_of(data)
        assert lines is not None
        assert np.array_equal(_png.unfiltered(lines, shape)[0], picture)


def test_a_picture_has_the_same_bytes_in_any_company():
    """What else is encoded with a picture makes no difference to its file."""
    pictures = np.random.default_rng(3).integers(0, 3, (300, 28, 28)).astype(np.uint8)
    together = list(_png.encode(pictures))
    assert together == [data for one in pictures for data in _png.encode(one[None])]


def test_dense_pictures_are_as_small_as_zlibs_own_code_makes_them():
    """Where runs save little, the files do not grow for the sake of speed."""
    rng = np.random.default_rng(5)
    pictures = np.clip(rng.normal(128, 12, (20, 28, 28)), 0, 255).astype(np.uint8)
    lines = _png.filtered(pictures).reshape(20, -1)
    for data, line in zip(_png.encode(pictures), lines, strict=True):
        engine = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
        assert len(data) <= len(engine.compress(line.tobytes()) + engine.flush()) + 100
