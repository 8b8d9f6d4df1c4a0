"""What mnistprep is made of and what it asks for: its package, its libraries, no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from everycommand import check

ROOT = Path(__file__).parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
OLDEST = ROOT / "tests" / "constraints-oldest.txt"
# Runs a program with what it does with sockets written to a file.
WATCHED = """
import runpy, sys
log = sys.argv.pop(1)
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        with open(log, "a") as file:
            file.write(f"{event} {arguments!r}\\n")
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="commands are run in forked processes")
def test_nothing_is_contacted(tmp_path: Path) -> None:
    """No command that has its data at hand opens a connection or looks up a name.

    Even when it may: MNISTPREP_OFFLINE is not set. Nor do the libraries that it loads.
    """
    (tmp_path / "work").mkdir()
    log = tmp_path / "log"
    every = str(Path(__file__).with_name("everycommand.py"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    del environment["MNISTPREP_OFFLINE"]
    subprocess.run(
        [sys.executable, "-c", WATCHED, log, every, tmp_path / "work", tmp_path / "results"],
        env=environment,
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    for run in json.loads((tmp_path / "results").read_text("ascii"))["runs"]:
        assert check(run, ascii_only=False) is None
    assert not log.exists(), log.read_text()


def bounds(text: str) -> dict[str, str]:
    """The lower bound of each library in a list of requirements, by its name in small letters."""
    found = re.findall(r'"([\w-]+)>=([\d.]+)"', text)
    return {name.lower(): version for name, version in found}


def padded(version: str) -> str:
    """A version with its zeros: 2.0 is 2.0.0."""
    parts = version.split(".")
    return ".".join([*parts, "0", "0"][: max(3, len(parts))])


def test_oldest_libraries_are_the_lower_bounds() -> None:
    """What is tested as the oldest is what pyproject.toml promises, for all but PyTorch."""
    lists = re.findall(r"^(?:dependencies|all) = \[.*?\]$", PROJECT, re.MULTILINE | re.DOTALL)
    asked = {name: padded(version) for text in lists for name, version in bounds(text).items()}
    lines = OLDEST.read_text("utf-8").lower().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert asked.pop("torch") == "2.6.0"
    assert asked == {name: padded(version) for name, version in pinned.items()}


def test_pinned_libraries_are_within_the_bounds() -> None:
    """constraints.txt, which CI installs from, has all that mnistprep asks for, and none older."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").lower().splitlines()
    found = (re.match(r"([\w-]+)==([\d.]+)", line) for line in lines)
    pinned = {match[1].replace("_", "-"): match[2] for match in found if match}
    for name, version in bounds(PROJECT.partition("bench = [")[0]).items():
        if name != "hatchling":
            assert as_numbers(pinned[name]) >= as_numbers(version), name


def as_numbers(version: str) -> list[int]:
    """A version as numbers, to be compared."""
    return [int(part) for part in version.strip(".").split(".")]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive, as they would be published."""
    hatchling = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("packages")
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        return folder / hatchling.build_wheel(folder), folder / hatchling.build_sdist(folder)
    finally:
        os.chdir(here)


def test_wheel_holds_the_package_and_nothing_else(packages: tuple[Path, Path]) -> None:
    """Modules, templates, licence and the mark of types are in it; tests and caches are not."""
    with zipfile.ZipFile(packages[0]) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(wheel.read(metadata))
    inside = {name for name in names if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mnistprep").rglob("*")
        if path.is_file() and not re.search(r"/(__pycache__|\.\w+)/", path.as_posix())
    }
    assert inside == there
    assert "mnistprep/py.typed" in inside
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.10"


def test_source_archive_holds_what_it_takes_to_build_and_test(packages: tuple[Path, Path]) -> None:
    """Package, tests, pages and constraints are in it; caches, environments and data are not."""
    with tarfile.open(packages[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        sizes = sum(member.size for member in archive.getmembers())
    wanted = ("pyproject.toml", "LICENSE", "constraints.txt", "docs/SECURITY.md", "tests/pages.py")
    assert {*wanted, "mnistprep/py.typed"} <= names
    strange = ("__pycache__", ".venv", ".git/", ".hypothesis", "ubyte.gz", ".pyc", ".mnistprep-")
    assert not [name for name in names if any(part in name for part in strange)
                and not name.startswith("tests/golden/")]  # fmt: skip
    assert sizes < 32 << 20
