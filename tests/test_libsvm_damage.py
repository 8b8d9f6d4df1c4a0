"""LIBSVM files that are cut, changed or hostile, and how much memory a large one takes."""

from __future__ import annotations

import bz2
import gzip
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_formats import Notes, numbered
from test_libsvm import rows, same, save

import mnistprep
from mnistprep import Dataset
from mnistprep.errors import FormatError


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_a_truncated_file_is_refused_or_shorter(tmp_path: Path, pack: object) -> None:
    """Cut anywhere, a file gives FormatError, or rows of the start of what there was."""
    whole = pack(rows().encode())  # type: ignore[operator]
    path = tmp_path / "train.libsvm"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        try:
            found = mnistprep.read(path, "libsvm")
        except FormatError as error:
            assert str(path) in str(error)
        else:
            assert pack is bytes
            assert len(found.splits["train"]) <= 9


def test_a_last_row_without_its_end_is_said(tmp_path: Path) -> None:
    """Where a file may have been cut within a number, a note says so."""
    notes = Notes()
    same(save(tmp_path, rows()), progress=notes)
    assert not any("cut short" in note for note in notes.notes)
    same(save(tmp_path, rows().rstrip("\n")), progress=notes)
    assert any("cut short" in note for note in notes.notes)


def test_flipped_bits_raise_nothing_but_format_errors(tmp_path: Path) -> None:
    """Whatever is in a file, reading it gives a dataset or a FormatError."""
    chance, path = random.Random(3), tmp_path / "train.libsvm"
    for _ in range(300):
        data = bytearray(rows().encode())
        for _ in range(chance.choice((1, 1, 5))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            mnistprep.read(path, "libsvm")
        except FormatError as error:
            assert len(str(error)) < 1000


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("01237 :.#-e+\n\t\rq"), max_size=60))
def test_any_text_is_rows_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text raises anything but FormatError."""
    path = save(tmp_path_factory.mktemp("any"), text)
    try:
        found = mnistprep.read(path, "libsvm", shape="4x4")
    except FormatError:
        return
    assert found.shape == (4, 4)


def test_an_index_does_not_make_room_for_what_is_not_there(tmp_path: Path) -> None:
    """One far index and many bare labels are damage, not terabytes."""
    path = save(tmp_path, f"1 {30_000**2}:7\n" + "1\n" * 100_000)
    with pytest.raises(FormatError, match="is damaged"):
        mnistprep.read(path, "libsvm")


MEASURE = """
import pathlib, sys, mnistprep
found = mnistprep.read(sys.argv[1], "libsvm", workers=1)
status = pathlib.Path("/proc/self/status").read_text().split()
print(len(found.splits["train"]), int(status[status.index("VmHWM:") + 1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("packed", [False, True])
def test_sixty_thousand_rows_take_little_memory(tmp_path: Path, packed: bool) -> None:
    """Reading a training set of MNIST's size stays below 300 MB in all, compressed or not."""
    train = Dataset("x", {"train": mnistprep.load("synth").splits["train"]}, numbered(10))
    path = mnistprep.write(train, tmp_path / "x", "libsvm", scale="unit") / "mnist_train.libsvm"
    if packed:
        path = save(tmp_path, gzip.compress(path.read_bytes(), 1), "mnist.gz")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    count, peak = map(int, done.stdout.split())
    assert count == 60_000
    assert peak < 300
