"""Optional libraries that cannot be loaded: for want of memory, or since they are broken."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import mnistprep

WORDS = {
    "libx.so: failed to map segment from shared object": "more memory than there is",
    "libx.so.9: cannot open shared object file": "is installed, but cannot be loaded (libx.so.9",
}
NAMES = {"pt": "x.pt", "parquet": "x", "arrow": "x", "hdf5": "x.h5"}


def command(folder: Path, *arguments: str, megabytes: int = 0, **more: str) -> tuple[int, str]:
    """Exit code and words of a command, with a limit to its memory or other surroundings."""

    def limit() -> None:
        if megabytes:
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = subprocess.run(
        [sys.executable, "-m", "mnistprep", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, preexec_fn=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **more},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("torch", "pt"),
        pytest.param("pyarrow", "parquet", marks=pytest.mark.slow),
        pytest.param("h5py", "hdf5", marks=pytest.mark.slow),
    ],
)
def test_a_library_that_cannot_be_loaded(library: str, name: str, tmp_path: Path) -> None:
    """Neither the file is called damaged nor the library missing; training says it as well."""
    mnistprep.write(mnistprep.load("synth:20,10"), tmp_path / NAMES[name], name)
    fake = tmp_path / "fake" / f"{library}.py"
    fake.parent.mkdir()
    for said, expected in WORDS.items():
        fake.write_text(f"raise ImportError({said!r})")
        code, words = command(tmp_path, "inspect", NAMES[name], PYTHONPATH=str(fake.parent))
        assert (code, "Traceback" in words, "pip install" in words) == (1, False, False), words
        assert expected in words
    if library == "torch":
        code, words = command(
            tmp_path, "train", "--dataset", "synth:20,10", PYTHONPATH=str(fake.parent)
        )
        assert code == 1
        assert "PyTorch is installed, but cannot be loaded" in words


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_right_file_is_not_called_damaged_where_memory_is_short(
    name: str, tmp_path: Path
) -> None:
    """A limit to memory at which libraries load in part or not: read, or memory is named."""
    mnistprep.write(mnistprep.load("synth:20,10"), tmp_path / NAMES[name], name)
    for megabytes in (150, 220):
        code, words = command(
            tmp_path, "inspect", NAMES[name], "--workers", "1", megabytes=megabytes
        )
        if "MemoryError" in words:  # the interpreter itself had none left to say anything with
            continue
        assert "get it again" not in words, words
        assert "pip install" not in words, words
        assert code == 0 or "memory" in words.lower() or "threads" in words, words
