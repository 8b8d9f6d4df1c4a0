"""ARFF that is cut, changed or hostile, and how much memory a large one takes."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arff import save, text
from test_formats import numbered

import mnistprep
from mnistprep import Dataset
from mnistprep.errors import FormatError

GOLDEN = Path(__file__).with_name("golden") / "arff"


@pytest.mark.parametrize("style", ["dense", "sparse"])
def test_a_truncated_file_is_refused_or_shorter(tmp_path: Path, style: str) -> None:
    """Cut anywhere, a file gives FormatError, or the rows that are whole."""
    name = {"dense": "liac_train.arff", "sparse": "sparse_train.arff"}[style]
    whole = (GOLDEN / name).read_bytes()
    path = tmp_path / "train.arff"
    for size in range(0, len(whole), 11):
        path.write_bytes(whole[:size])
        try:
            found = mnistprep.read(path, "arff")
        except FormatError as error:
            assert str(path) in str(error)
        else:
            assert len(found.splits["train"]) <= 6


@pytest.mark.parametrize("name", ["liac_train.arff", "sparse_train.arff", "weka_train.arff"])
def test_flipped_bits_raise_nothing_but_format_errors(tmp_path: Path, name: str) -> None:
    """Whatever is in a file, reading it gives a dataset or a FormatError."""
    chance, path = random.Random(name), tmp_path / "train.arff"
    whole = (GOLDEN / name).read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 5))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            mnistprep.read(path, "arff")
        except FormatError as error:
            assert len(str(error)) < 1000


def test_a_header_does_not_make_room_for_what_is_not_there(tmp_path: Path) -> None:
    """Many columns and many short rows are a bad row, not terabytes."""
    names = [f"p{k}" for k in range(90_000)]
    for row, message in (("0", "expected 90001 values"), ("{}", "is damaged")):
        path = save(tmp_path, text(names=names, at=90_000, rows=[[row]] * 200_000))
        with pytest.raises(FormatError, match=message):
            mnistprep.read(path, "arff")


@pytest.mark.parametrize("line", ["{" + "'" * 20_000, "{" + "a," * 20_000 + "'", "'" * 20_001])
def test_hostile_quotes_do_not_hang(tmp_path: Path, line: str) -> None:
    """A line of nothing but quotes is refused at once, in the header and in a row."""
    for hostile in (
        text(label=f"@attribute class {line}\n", rows=[]),
        text(rows=[[line]]),
        text(label="@attribute class string\n", rows=[[line]]),
    ):
        with pytest.raises(FormatError):
            mnistprep.read(save(tmp_path, hostile), "arff")


MEASURE = """
import pathlib, sys, time, mnistprep
found = mnistprep.read(sys.argv[1], sys.argv[2], workers=1)
status = pathlib.Path("/proc/self/status").read_text().split()
print(len(found.splits["train"]), int(status[status.index("VmHWM:") + 1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("packed", [False, True])
def test_sixty_thousand_rows_take_little_memory(tmp_path: Path, packed: bool) -> None:
    """Reading a training set of MNIST's size stays below 300 MB in all, compressed or not."""
    train = Dataset("x", {"train": mnistprep.load("synth").splits["train"]}, numbered(10))
    path = mnistprep.write(train, tmp_path / "train.arff")
    if packed:
        path = save(tmp_path, gzip.compress(path.read_bytes(), 1), "train.arff.gz")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), "arff"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    count, peak = map(int, done.stdout.split())
    assert count == 60_000
    assert peak < 300


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_bytes_after_the_header_are_rows_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """No text after @data raises anything but FormatError."""
    rows = data.draw(st.text(st.sampled_from("0123,.{}'\"% \\?\n-e"), max_size=80))
    folder = tmp_path_factory.mktemp("any")
    names = ["pixel1"]
    path = save(folder, text(names=names, at=1, rows=[]) + rows)
    try:
        found = mnistprep.read(path, "arff")
    except FormatError:
        return
    assert found.shape == (1, 1)
