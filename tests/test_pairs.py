"""Every form into every other: equal digests, or a refusal that says what cannot be held."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from conftest import digits_folder

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.convert import convert
from mnistprep.errors import UnsupportedError
from mnistprep.selection import Selection, select

FORMATS = [name for name in formats.FORMATS if formats.missing(name) is None]
pytestmark = pytest.mark.slow


def split(count: int, shape: tuple[int, ...], classes: int) -> Split:
    """Random pictures, some of them there twice, whose labels leave no class out."""
    chance = np.random.default_rng(count)
    images = chance.integers(0, 256, (count, *shape), dtype=np.uint8)
    images[count // 2 : count // 2 + 5] = images[:5]
    labels = np.arange(count) % classes
    chance.shuffle(labels)
    labels[count // 2 : count // 2 + 5] = labels[:5]
    labels[-1:] = classes - 1
    return Split(images, labels)


def dataset(kind: str) -> Dataset:
    """The set of that kind."""
    if kind == "real":
        digits = digits_folder()
        if digits is None:
            pytest.skip("MNISTPREP_TEST_DATA names no folder with the real MNIST digits")
        return select(mnistprep.read(digits, "idx-gz"), Selection(splits=("test",)))
    shape, classes, empty = {
        "eleven": ((9, 5), 11, True),
        "colour": ((6, 7, 3), 300, False),
        "many": ((8, 8), 300, False),
    }[kind]
    splits = {"train": split(700, shape, classes), "test": split(310, shape, classes)}
    if empty:
        splits["test"] = Split(np.empty((0, *shape), np.uint8), np.empty(0, np.int64))
    names = [f"class {k}/{chr(0xE0 + k % 7)}" for k in range(classes)]
    return Dataset(kind, splits, tuple(names))


def target(folder: Path, name: str) -> Path:
    return folder / formats.default_output(name, "set")


@functools.cache
def source(folder: Path, kind: str, name: str) -> Path | UnsupportedError:
    """The set in that form, or why it cannot have it."""
    try:
        return mnistprep.write(dataset(kind), target(folder / kind / name, name), name)
    except UnsupportedError as error:
        return error


@functools.cache
def digests(kind: str) -> object:
    return dataset(kind).digests()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sources of this module are."""
    return tmp_path_factory.mktemp("pairs")


@pytest.mark.parametrize("kind", ["real", "eleven", "colour", "many"])
@pytest.mark.parametrize("first", FORMATS)
def test_every_form_into_every_other(kind: str, first: str, folder: Path, tmp_path: Path) -> None:
    """From each form that can hold the set into all the others; what cannot hold it says why."""
    begun = source(folder, kind, first)
    if isinstance(begun, UnsupportedError):
        assert len(str(begun)) > 20
        return
    for second in FORMATS:
        if second == first:
            continue
        end = target(tmp_path / second, second)
        try:
            convert(begun, end, target_format=second)
        except UnsupportedError as error:
            assert isinstance(source(folder, kind, second), UnsupportedError), (second, error)
            assert not end.parent.exists()
        else:
            assert mnistprep.read(end).digests() == digests(kind), second


@pytest.mark.parametrize("kind", ["eleven", "colour", "many"])
def test_refusals_are_few(kind: str, folder: Path) -> None:
    """The forms that cannot hold a set are those whose pages say so."""
    refused = {f for f in FORMATS if isinstance(source(folder, kind, f), UnsupportedError)}
    assert (
        refused
        <= {
            "eleven": {"pkl"},
            "colour": {"csv", "arff", "libsvm"},
            "many": set(),
        }[kind]
    )
