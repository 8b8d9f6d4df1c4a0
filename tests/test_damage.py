"""A bit flipped or bytes lost anywhere: an error or another digest, whatever the format."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from test_formats import FORMATS, content, split, write

import mnistprep
from mnistprep import Dataset
from mnistprep.errors import MnistprepError

DAMAGES = 30


@pytest.mark.parametrize("damage", ["flip", "truncate", "overwrite"])
@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_an_error_or_another_digest(tmp_path: Path, name: str, damage: str) -> None:
    """A damaged file is refused, or read as what it now holds; nothing else is ever raised."""
    check_damage(tmp_path, name, damage, DAMAGES, seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flip", "truncate", "overwrite"])
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_an_error_or_another_digest(tmp_path: Path, name: str, damage: str) -> None:
    """The same, with more places."""
    check_damage(tmp_path, name, damage, 5 * DAMAGES, seed=6)


def check_damage(folder: Path, name: str, damage: str, times: int, seed: int) -> None:
    """Damage an output again and again, and read it with and without saying its format."""
    chance = random.Random(f"{seed} {name} {damage}")
    small = Dataset("x", {"train": split(24), "test": split(5)}, ("a", "b", "c"))
    path = write(small, folder, name)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    refused = 0
    for _ in range(times // 8 if name == "hdf5" else times):  # which reads in a process of its own
        file = chance.choice(files)
        whole = file.read_bytes()
        file.write_bytes(_damaged(whole, damage, chance))
        for format in (name, None):
            started = time.monotonic()
            try:
                found = mnistprep.read(path, format, workers=1)
                if content(found.joined()) != content(small):
                    assert found.digests() != small.digests()
                del found  # nothing maps the file when it is written again
            except MnistprepError as error:
                refused += 1
                assert 10 < len(str(error)) < 1000
            # Where HDF5 hangs, four seconds of computing are waited for, twice.
            assert time.monotonic() - started < (40 if name == "hdf5" else 10)
        file.write_bytes(whole)
    assert refused
    assert mnistprep.read(path).digests() == small.digests()


def _damaged(whole: bytes, damage: str, chance: random.Random) -> bytes:
    at = chance.randrange(len(whole))
    if damage == "truncate":
        return whole[:at]
    data = bytearray(whole)
    if damage == "flip":
        data[at] ^= 1 << chance.randrange(8)
    else:
        new = chance.choice((b"\0" * 8, b"\xff" * 8, chance.randbytes(8)))
        data[at : at + 8] = new[: len(data) - at]
    return bytes(data)
