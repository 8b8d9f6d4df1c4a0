"""What is written on one system can be copied to any other: names by the rules of all of them."""

from __future__ import annotations

import tarfile
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.formats import _classnames
from mnistprep.report.writing import write_report

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
PORTS = [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$", *PORTS}
FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}
ROOT = "C:\\Users\\a-name-of-twenty-four-ch\\Documents\\projects\\digits\\"
HOSTILE = (
    *sorted(DEVICES), "CON", "Aux", "nul.txt", "com1.tar.gz", "a.", "a ", ".", "..", "...", "", " ",
    "a/b", "a\\b", "a:b", "C:", "a|b", "a?b", "a*b", "<a>", '"a"', "\0", "a\nb", "\x1b[31m", "~",
    "-", "-rf", "--", "train", "Test", "VALID", "0", "1", "10", "007", "١", "²", "x" * 300,
    "é" * 300, "é", "e\u0301", "É", "ß", "SS", "ﬁ", "fi", "K", "\u212a", "ı", "I", "i", "İ",
    "\udcff", "\ud800", "😀", "\u202e", "mnistprep.json", "index.txt", ".hidden", "Thumbs.db",
    "eval", "class", "class_1",
)  # fmt: skip


def problems(names: list[str]) -> list[str]:
    """What Windows or macOS would refuse, change or mistake in the parts of one folder's names."""
    found = []
    for name in names:
        if set(name) & FORBIDDEN or name.endswith((".", " ")) or not name:
            found.append(f"{name!r} has what Windows refuses or drops")
        if name.partition(".")[0].rstrip(" ").lower() in DEVICES:
            found.append(f"{name!r} is a device")
        if not name.isascii():
            found.append(f"{name!r} is not spelt alike everywhere")
    alike = {unicodedata.normalize("NFD", name).casefold() for name in names}
    if len(alike) != len(names):
        found.append(f"some of {names} are one name on Windows or macOS")
    return found


def check(top: Path) -> None:
    """Every folder below `top`, and every tar in it, has names that all systems have."""
    for folder in (top, *(path for path in top.rglob("*") if path.is_dir())):
        assert not problems([path.name for path in folder.iterdir()])
    for path in top.rglob("*"):
        assert len(ROOT) + len(str(path.relative_to(top))) < 240, path
        if path.suffix == ".tar":
            with tarfile.open(path) as archive:
                assert not problems(archive.getnames())


def dataset(name: str, classes: tuple[str, ...]) -> Dataset:
    """A picture of every class in each split."""
    images = np.arange(len(classes) * 12, dtype=np.uint8).reshape(-1, 3, 4)
    labels = np.arange(len(classes))
    splits = {split: Split(images, labels) for split in ("train", "valid", "test")}
    return Dataset(name, splits, classes)


NAMES = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.text("aAeEé\u0301 ._", max_size=4)),
    min_size=1,
    max_size=40,
    unique=True,
)


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_folders_of_classes_are_distinct_everywhere(names: list[str]) -> None:
    """Whatever classes are called, their folders have names that no system refuses or merges."""
    folders = _classnames.slugs(names)
    assert len(folders) == len(names)
    assert not problems(folders)
    assert max(map(len, folders)) < 100
    for label, folder in enumerate(folders):
        assert not folder.isdigit() or int(folder) == label
        assert folder.lower() not in ("train", "valid", "test")


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("called", ['CON<>:"|?*\x01. ', "aux", "a/b\\..", "é" * 300, "", "com1"])
def test_names_written_are_names_on_windows(name: str, called: str, tmp_path: Path) -> None:
    """Folders, files and members of archives have names that Windows and macOS take as they are."""
    odd = dataset(
        called, ("CON", "con", "a.", "a ", "é", "e\u0301", "<>", "..", "", "COM¹", "x" * 300)
    )
    options = {"folders": "names"} if "folders" in formats.options(name) else {}
    target = tmp_path / "top" / "out"
    mnistprep.write(odd, target, name, croissant=True, **options)
    check(target.parent)
    assert mnistprep.read(target).joined().digests() == odd.joined().digests()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(NAMES)
@pytest.mark.slow
def test_a_tree_survives_the_way_over_windows(names: list[str]) -> None:
    """A tree whose names come back in other letters and another order is the same dataset.

    So do file systems without case that shout, such as FAT's short names.
    """
    told = dataset("told", tuple(name.encode("utf-8", "replace").decode() for name in names))
    if len(set(told.classes)) != len(told.classes):
        return
    with tempfile.TemporaryDirectory() as folder:
        target = mnistprep.write(told, Path(folder) / "top" / "tree", "imagefolder")
        check(target.parent)
        found = mnistprep.read(target)
        assert found.digests() == told.digests()
        assert found.classes == told.classes


def test_a_report_has_the_name_it_was_given(tmp_path: Path) -> None:
    """A report is one file, and nothing else is written beside it."""
    path = mnistprep.write(dataset("x", ("CON", "aux")), tmp_path / "in.npz")
    (tmp_path / "out").mkdir()
    write_report(tmp_path / "out" / "r.html", path)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["r.html"]
