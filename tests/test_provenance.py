"""What lies with an export and says what it was made from; its readers ignore it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import odd_dataset

import mnistprep
from mnistprep import Dataset, Split, _files, formats
from mnistprep._progress import Quiet
from mnistprep.cli import main
from mnistprep.convert import convert
from mnistprep.errors import TargetError, UnsupportedError, UsageError
from mnistprep.selection import Selection

FORMATS = [name for name in formats.FORMATS if formats.missing(name) is None]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The embedded dataset's first pictures."""
    return mnistprep.load("synth:60,12")


def document(path: Path, name: str = "mnistprep.json") -> dict[str, Any]:
    """The document of an export."""
    file = path / name if path.is_dir() else path.with_name(f"{path.name}.{name}")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_says_what_it_was_made_from(
    name: str, tmp_path: Path, digits: Dataset
) -> None:
    """Version, options, digests of the source; the form reads as it would without."""
    target = tmp_path / formats.default_output(name, "synth")
    mnistprep.write(digits, target, name)
    found = document(target)
    assert found["mnistprep"] == mnistprep.__version__
    assert (found["format"], found["splits"]) == (name, {"train": 60, "test": 12})
    assert found["options"].keys() == formats.options(name).keys()
    train = digits.digests()["train"]
    assert found["source"]["digests"]["train"] == {"images": train.images, "labels": train.labels}
    assert found["digests"] == found["source"]["digests"]
    assert mnistprep.read(target).digests() == digits.digests()


def test_the_document_follows_a_conversion(tmp_path: Path, digits: Dataset) -> None:
    """Format, reading options and selection are said; the digests before and after it."""
    mnistprep.write(digits, tmp_path / "a.npz")
    chosen = Selection(splits=("test",), limit=5)
    written = convert(tmp_path / "a.npz", tmp_path / "b.csv", selection=chosen, header="none")
    found = document(tmp_path / "b.csv")
    assert found["options"]["header"] == "none"
    assert found["selection"] == {"splits": ["test"], "limit": 5}
    assert (found["source"]["name"], found["source"]["format"]) == ("a.npz", "npz")
    assert found["source"]["digests"]["test"]["images"] == digits.digests()["test"].images
    assert found["digests"] == {
        "test": {k: getattr(written.digests()["test"], k) for k in ("images", "labels")}
    }


def test_a_known_dataset_brings_licence_and_citation(tmp_path: Path) -> None:
    """Known by its digests, also where it was read from a file that does not name it."""
    whole = mnistprep.load("synth")
    mnistprep.write(Dataset("x", whole.splits, whole.classes), tmp_path / "x.safetensors")
    found = document(tmp_path / "x.safetensors")
    assert (found["source"]["title"], found["licence"]) == ("synth", "MIT")
    order = np.arange(10_000)[::-1]
    shuffled = Dataset("y", {"test": whole.splits["test"].take(order)}, whole.classes)
    mnistprep.write(shuffled, tmp_path / "y.safetensors")
    assert document(tmp_path / "y.safetensors")["licence"] == "MIT"


def test_the_same_input_gives_the_same_document(tmp_path: Path, digits: Dataset) -> None:
    """No time, no path, no name of a machine."""
    for folder in ("one", "two"):
        mnistprep.write(digits, tmp_path / folder / "x.npz", croissant=True)
        mnistprep.write(digits, tmp_path / folder / "c", "csv", croissant=True)
    for file in ("x.npz.mnistprep.json", "x.npz.croissant.json", "c/mnistprep.json"):
        text = (tmp_path / "one" / file).read_bytes()
        assert text == (tmp_path / "two" / file).read_bytes()
        assert str(tmp_path).encode() not in text


def test_without_provenance_there_is_none(tmp_path: Path, digits: Dataset) -> None:
    """A caller who wants one file gets one file."""
    mnistprep.write(digits, tmp_path / "x.npz", provenance=False)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    with pytest.raises(UsageError, match="provenance"):
        mnistprep.write(digits, tmp_path / "y.npz", provenance=False, croissant=True)


def test_what_is_not_ours_is_not_overwritten(tmp_path: Path, digits: Dataset) -> None:
    """A file where the document would be is kept, unless it is the document of a file now gone."""
    (tmp_path / "x.npz.mnistprep.json").write_text("mine")
    with pytest.raises(TargetError, match=r"x\.npz\.mnistprep\.json exists"):
        mnistprep.write(digits, tmp_path / "x.npz")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    mnistprep.write(digits, tmp_path / "x.npz", overwrite=True)
    (tmp_path / "x.npz").unlink()
    mnistprep.write(odd_dataset(), tmp_path / "x.npz")
    assert document(tmp_path / "x.npz")["source"]["name"] == odd_dataset().name


def test_a_document_goes_with_the_export_that_it_is_of(tmp_path: Path, digits: Dataset) -> None:
    """Overwriting an export removes what lay beside it and is not written again, and no more."""
    mnistprep.write(digits, tmp_path / "x.npz", croissant=True)
    mnistprep.write(digits, tmp_path / "x.npz", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"x.npz", "x.npz.mnistprep.json"}
    (tmp_path / "x.npz.croissant.json").write_text("mine")
    mnistprep.write(digits, tmp_path / "x.npz", overwrite=True, provenance=False)
    assert {path.name for path in tmp_path.iterdir()} == {"x.npz", "x.npz.croissant.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among its files")
def test_what_lies_in_the_place_of_a_document(tmp_path: Path, digits: Dataset) -> None:
    """A pipe, a folder, an endless device, a file too large: none is waited for, read or lost."""
    beside = tmp_path / "x.npz.mnistprep.json"
    mnistprep.write(digits, tmp_path / "x.npz", provenance=False)
    before = (tmp_path / "x.npz").read_bytes()

    def refused(words: str, *, overwrite: bool = True) -> None:
        with pytest.raises(TargetError, match=words):
            mnistprep.write(odd_dataset(), tmp_path / "x.npz", overwrite=overwrite)
        assert (tmp_path / "x.npz").read_bytes() == before

    os.mkfifo(beside)
    refused("neither a file nor a folder")
    beside.unlink()
    beside.mkdir()
    (beside / "mine").write_text("mine")
    refused("is a folder")
    assert (beside / "mine").read_text() == "mine"
    shutil.rmtree(beside)
    beside.write_text("{}")
    os.truncate(beside, 100 << 30)  # bytes, none of which takes room
    (tmp_path / "x.npz").rename(tmp_path / "y.npz")
    with pytest.raises(TargetError, match=r"x\.npz\.mnistprep\.json exists"):
        mnistprep.write(digits, tmp_path / "x.npz")
    beside.unlink()
    for place in ("/dev/zero", "/proc/self/pagemap", str(beside)):
        beside.symlink_to(place)
        with pytest.raises(TargetError, match=r"x\.npz\.mnistprep\.json exists"):
            mnistprep.write(digits, tmp_path / "x.npz")
        beside.unlink()


def test_a_refused_export_leaves_no_document(tmp_path: Path) -> None:
    """Neither the file nor what would have lain beside it."""
    with pytest.raises(UnsupportedError):
        mnistprep.write(odd_dataset((4, 4, 3)), tmp_path / "x.csv", croissant=True)
    assert list(tmp_path.iterdir()) == []


# What mlcroissant itself calls (rdflib, pandas) warns of its own future.
_QUIET = pytest.mark.filterwarnings("ignore")


@_QUIET
@pytest.mark.parametrize("name", FORMATS)
def test_croissant_metadata_are_valid(
    name: str, tmp_path: Path, digits: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    """mlcroissant accepts the document of every format, and finds every file with its digest."""
    mlc = pytest.importorskip("mlcroissant")
    target = tmp_path / formats.default_output(name, "synth")
    mnistprep.write(digits, target, name, croissant=True)
    beside = target / "croissant.json"
    if target.is_file():
        beside = target.with_name(f"{target.name}.croissant.json")
    with caplog.at_level(logging.WARNING):
        found = mlc.Dataset(str(beside))
    assert not [r for r in caplog.records if "is recommended" not in r.getMessage()]
    for file in found.metadata.distribution:
        if hasattr(file, "sha256") and file.sha256:
            data = (beside.parent / file.content_url).read_bytes()
            assert file.sha256 == hashlib.sha256(data).hexdigest()
    classes = list(found.records("classes"))
    assert [row["classes/label"] for row in classes] == list(range(10))


@_QUIET
@pytest.mark.parametrize("name", [n for n in ("csv", "imagefolder", "parquet") if n in FORMATS])
def test_croissant_records_are_the_examples(name: str, tmp_path: Path, digits: Dataset) -> None:
    """What mlcroissant reads by the document is what was written, in its order."""
    mlc = pytest.importorskip("mlcroissant")
    few = {split: part.images[:, 10:16, 11:16] for split, part in digits.splits.items()}  # columns
    small = {split: Split(few[split], part.labels) for split, part in digits.splits.items()}
    digits = Dataset("synth", small, digits.classes)
    mnistprep.write(digits, tmp_path / "out", name, croissant=True)
    found = mlc.Dataset(str(tmp_path / "out" / "croissant.json"))
    for split, part in digits.splits.items():
        rows = list(found.records(split))
        if name == "csv":
            labels = [row[f"{split}/label"] for row in rows]
            pixels = [[v for k, v in row.items() if not k.endswith("/label")] for row in rows]
            images = np.array(pixels, np.uint8).reshape(part.images.shape)
        else:
            key = "label" if name == "parquet" else "folder"
            labels = [int(row[f"{split}/{key}"]) for row in rows]
            images = np.stack([np.asarray(row[f"{split}/image"].convert("L")) for row in rows])
        if name == "imagefolder":  # a tree has its own order
            order = sorted(range(len(rows)), key=lambda k: (labels[k], images[k].tobytes()))
            mine = sorted(
                range(len(part)), key=lambda k: (part.labels[k], part.images[k].tobytes())
            )
            assert np.array_equal(images[order], part.images[mine])
            assert sorted(labels) == sorted(part.labels.tolist())
        else:
            assert np.array_equal(images, part.images)
            assert labels == part.labels.tolist()


def test_croissant_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    """--croissant of export and convert writes the document with the data."""
    monkeypatch.chdir(tmp_path)
    arguments = ["export", "--format", "csv", "--dataset", "synth:20,10", "--croissant"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert document(Path("synth_csv"), "croissant.json")["name"] == "synth_csv"
    result = CliRunner().invoke(main, ["convert", "synth_csv", "x.npz", "--croissant"])
    assert result.exit_code == 0, result.output
    assert document(Path("x.npz"), "croissant.json")["distribution"][0]["contentUrl"] == "x.npz"


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_with_an_export_is_read_past(name: str, tmp_path: Path, digits: Dataset) -> None:
    """The reader of the format has nothing to say of either document."""
    target = tmp_path / formats.default_output(name, "synth")
    mnistprep.write(digits, target, name, croissant=True)
    said: list[str] = []
    progress = Quiet()
    progress.note = said.append  # type: ignore[method-assign]
    mnistprep.read(target, progress=progress)
    assert not [note for note in said if "json" in note]


@_QUIET
def test_croissant_describes_no_columns_that_its_readers_would_not_find(
    tmp_path: Path, digits: Dataset
) -> None:
    """A table with another separator, and a list of file names, are files without records."""
    mlc = pytest.importorskip("mlcroissant")
    mnistprep.write(digits, tmp_path / "a", "csv", croissant=True, separator="semicolon")
    found = json.loads((tmp_path / "a" / "croissant.json").read_text())
    assert [one["@id"] for one in found["recordSet"]] == ["classes"]
    mnistprep.write(digits, tmp_path / "b", "imagefolder", croissant=True, layout="metadata")
    records = mlc.Dataset(str(tmp_path / "b" / "croissant.json")).records
    for split in digits.splits:
        listed = (tmp_path / "b" / split / "metadata.csv").read_text().splitlines()[1:]
        names = {row[f"{split}/file_name"].decode() for row in records(split)}
        assert names == {line.partition(",")[0] for line in listed}


@pytest.mark.skipif(sys.platform != "linux", reason="file names here are bytes of any kind")
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_name_that_is_no_utf8(name: str, tmp_path: Path, digits: Dataset) -> None:
    """The bytes of a name are of no concern to what is written under it, metadata included."""
    target = tmp_path / os.fsdecode(b"\xff")
    mnistprep.write(digits, target, name, croissant=True)
    assert mnistprep.read(target).digests() == digits.digests()
    for paper in tmp_path.rglob("*.json"):
        json.loads(paper.read_text(encoding="utf-8"))


@pytest.mark.skipif(sys.platform == "win32", reason="kill ends the process there")
def test_an_interruption_does_not_part_an_export_from_its_document(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the two takes effect behind both, and no staging folder stays."""
    move = _files._move

    def interrupted(*which: Any) -> None:
        move(*which)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_files, "_move", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        mnistprep.write(digits, tmp_path / "digits.npz")
    assert signal.getsignal(signal.SIGINT) is before
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["digits.npz", "digits.npz.mnistprep.json"]
