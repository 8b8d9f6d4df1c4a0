"""A bit of an export that rots is found by `verify`, or nothing is read from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reliability import rot

import mnistprep
from mnistprep import Dataset, formats

FORMATS = [name for name in formats.FORMATS if formats.missing(name) is None]


@pytest.mark.slow
@pytest.mark.parametrize("case", rot.cases())
def test_a_flipped_bit_is_found(case: str, tmp_path: Path) -> None:
    """A bit anywhere in an export: found, refused, or without effect."""
    trials = rot.run(case, 8 if case.startswith("hdf5") else 40, 3, tmp_path)
    assert not trials.failures
    assert trials.tried == (8 if case.startswith("hdf5") else 40)


@pytest.fixture(scope="module")
def named() -> Dataset:
    """A few pictures in classes with names, the last training ones set aside."""
    return rot.dataset()


def document(path: Path) -> Path:
    """What lies with an export."""
    if path.is_dir():
        return path / "mnistprep.json"
    return path.with_name(f"{path.name}.mnistprep.json")


def verified(path: Path, source: Dataset) -> str:
    """The problems of a path, in a line."""
    (check,) = mnistprep.verify(path, source=source, train=False).checks
    return "; ".join(check.problems)


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_agrees_with_what_lies_with_it(
    name: str, tmp_path: Path, named: Dataset
) -> None:
    """Nothing is said of an export as it was written; a change in its document is."""
    path = rot.export(name, tmp_path)
    assert not verified(path, named)
    paper = document(path)
    text = paper.read_text(encoding="utf-8")
    paper.write_text(text.replace('"source"', '"sourcf"'), encoding="utf-8")
    assert f"{paper}: changed since it was written" in verified(path, named)


@pytest.mark.parametrize("name", ["csv", "imagefolder", "idx", "libsvm"])
def test_another_name_of_a_class_is_found(name: str, tmp_path: Path, named: Dataset) -> None:
    """The names that a folder keeps in mnistprep.json are compared with the source's."""
    path = rot.export(name, tmp_path)
    paper = document(path)
    text = paper.read_text(encoding="utf-8").replace('"nine"', '"nind"')
    paper.write_text(text, encoding="utf-8")
    assert "class 9 is called 'nind', expected 'nine'" in verified(path, named)


def test_another_name_is_found_without_a_document(tmp_path: Path, named: Dataset) -> None:
    """A source says what the classes are called; numbers are no names, and are not compared."""
    wrong = Dataset("x", named.splits, ("ZERO", *named.classes[1:]))
    path = mnistprep.write(wrong, tmp_path / "x.safetensors", provenance=False)
    assert "class 0 is called 'ZERO', expected 'zero'" in verified(path, named)
    numbers = Dataset("x", named.splits, tuple(map(str, range(11))))
    path = mnistprep.write(numbers, tmp_path / "y.safetensors", provenance=False)
    assert not verified(path, named)


def test_names_that_were_lost_are_found_by_the_document(tmp_path: Path, named: Dataset) -> None:
    """A form whose place for names rots reads as one without; its document knows better."""
    path = mnistprep.write(named, tmp_path / "x.safetensors")
    path.write_bytes(path.read_bytes().replace(b'{"classes"', b'{"clarses"'))
    assert f"{document(path)}: says other classes than 0, 1" in verified(path, named)


def test_a_boundary_that_moved_is_found(tmp_path: Path, named: Dataset) -> None:
    """Where `valid` begins is no part of a digest; the document says it."""
    path = mnistprep.write(named, tmp_path / "x.npz", names="medmnist")
    paper = document(path).read_text(encoding="utf-8")
    moved = mnistprep.select(named, mnistprep.Selection(validation=9))
    mnistprep.write(moved, path, names="medmnist", overwrite=True)
    document(path).write_text(paper, encoding="utf-8")
    found = verified(path, named)
    assert "says splits of train 29, valid 5, test 6; found train 25, valid 9, test 6" in found


def test_the_document_of_another_export_is_found(tmp_path: Path, named: Dataset) -> None:
    """A right file beside a wrong document is not the export that the document is of."""
    path = mnistprep.write(named, tmp_path / "x.npz")
    fewer = mnistprep.select(named, mnistprep.Selection(limit=3))
    other = mnistprep.write(fewer, tmp_path / "y.npz")
    document(path).write_bytes(document(other).read_bytes())
    assert "says other digests of train than those found" in verified(path, named)


def test_a_change_on_purpose_passes_without_its_sum(tmp_path: Path, named: Dataset) -> None:
    """Who renames a class in mnistprep.json removes `sum`, as the message says."""
    path = mnistprep.write(named, tmp_path / "csv", "csv")
    content = json.loads(document(path).read_text(encoding="utf-8"))
    content["classes"][0] = "nought"
    document(path).write_text(json.dumps(content), encoding="utf-8")
    renamed = Dataset("x", named.splits, ("nought", *named.classes[1:]))
    assert "without its `sum` it passes" in verified(path, renamed)
    del content["sum"]
    document(path).write_text(json.dumps(content), encoding="utf-8")
    assert not verified(path, renamed)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '{"splits": {"train": "many"}}'])
def test_a_damaged_document_is_a_problem(text: str, tmp_path: Path, named: Dataset) -> None:
    """What is no document is said, with its path; it does not stop a verification."""
    path = mnistprep.write(named, tmp_path / "x.npz")
    document(path).write_text(text, encoding="utf-8")
    assert str(document(path)) in verified(path, named)


def test_another_way_of_reading_is_not_held_against_the_document(
    tmp_path: Path, named: Dataset
) -> None:
    """Options of reading give other content than was written, which is not damage."""
    published = Dataset("emnist-digits", named.splits, named.classes[:10])
    path = mnistprep.write(
        Dataset("emnist-digits", published.splits, tuple("0123456789")), tmp_path / "e", "idx"
    )
    stored = mnistprep.read(path, orientation="stored")
    report = mnistprep.verify(path, source=stored, train=False, orientation="stored")
    assert report.right, str(report)
