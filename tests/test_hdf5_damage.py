"""Damaged HDF5 files, some of which crash or hang its library: errors like any other."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_formats import split

import mnistprep
from mnistprep import Dataset
from mnistprep.errors import DetectionError, FormatError
from mnistprep.formats import _isolated


@pytest.mark.parametrize("layout", ["keras", "fuel"])
def test_a_cut_or_changed_file_never_crashes(tmp_path: Path, layout: str) -> None:
    """Cut anywhere it is refused; with a byte changed it is read or refused, and in good time."""
    small = Dataset("x", {"train": split(9), "test": split(5)}, ("a", "b", "c"))
    path = mnistprep.write(small, tmp_path / "x.h5", layout=layout)
    whole, chance = path.read_bytes(), random.Random(3)
    for _ in range(25):
        path.write_bytes(whole[: chance.randrange(len(whole))])
        with pytest.raises(FormatError):
            mnistprep.read(path, "hdf5")
    for _ in range(25):
        data = bytearray(whole)
        data[chance.randrange(2000)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            mnistprep.read(path)
        except (FormatError, DetectionError) as error:
            assert len(str(error)) < 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where there is fork")
def test_a_crash_or_a_hang_of_the_library_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the process that reads, for whatever reason, is an error of this one."""
    monkeypatch.setattr(_isolated, "_SECONDS", 0.2)

    def crash() -> Iterator[int]:
        yield 1
        os.abort()

    def hang() -> Iterator[int]:
        yield 1
        while True:
            pass

    def fail() -> Iterator[int]:
        yield 1
        raise RuntimeError("b'lost'")

    for task, message in ((crash, "crashes or hangs"), (hang, "crashes or hangs"), (fail, "lost")):
        found = _isolated.run(task, "file")
        assert next(found) == 1
        with pytest.raises(FormatError, match=f"^file: .*{message}"):
            next(found)
    leaving = _isolated.run(hang, "file")
    assert next(leaving) == 1
    leaving.close()


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit(1) limits the file size")
@pytest.mark.parametrize("layout", ["keras", "fuel", "caffe", "hf"])
def test_a_full_disk_is_a_message(tmp_path: Path, layout: str) -> None:
    """libhdf5 crashes where it cannot write; nothing of that reaches the user."""
    target = "out.hdf5" if layout in ("keras", "fuel") else "out"
    result = subprocess.run(
        [
            *("prlimit", "--fsize=20000", sys.executable, "-m", "mnistprep", "export", "--json"),
            *("--format", "hdf5", "--dataset", "synth:600,100", "-O", f"layout={layout}"),
            *("--output", target),
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "cannot write" in json.loads(result.stdout)["error"]
    assert list(tmp_path.iterdir()) == []
