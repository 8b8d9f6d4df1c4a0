"""Rows of CSV as they are written: the same text whoever writes which part of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import DataError, TargetError

CHANCE = np.random.default_rng(0)
IN_PLACE = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has workers")


def pictures(count: int, height: int, width: int, classes: int = 10) -> Dataset:
    """Pictures of all values, two thirds of their pixels background."""
    images = CHANCE.integers(0, 256, (count, height, width), dtype=np.uint8)
    images *= CHANCE.random(images.shape, np.float32) < 1 / 3
    labels = CHANCE.integers(0, classes, count)
    return Dataset("x", {"train": Split(images, labels)}, tuple(map(str, range(classes))))


def lines(dataset: Dataset, *, between: str, last: bool) -> list[str]:
    """The rows as Python prints numbers."""
    split = dataset.splits["train"]
    found = []
    for label, picture in zip(split.labels, split.images, strict=True):
        pixels = picture.ravel().tolist()
        numbers = [*pixels, int(label)] if last else [int(label), *pixels]
        found.append(between.join(map(str, numbers)))
    return found


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(("separator", "between"), [("comma", ","), ("tab", "\t")])
@pytest.mark.parametrize("label", ["first", "last"])
@pytest.mark.parametrize("height, width", [(28, 28), (7, 9), (2, 1)])
def test_rows_are_what_python_prints(
    tmp_path: Path, workers: int, separator: str, between: str, label: str, height: int, width: int
) -> None:
    """Every row is its numbers, for any number of workers, and for even and odd numbers of pixels.

    Labels have one to four digits.
    """
    dataset = pictures(700, height, width, classes=2000)
    path = mnistprep.write(
        dataset, tmp_path / "x", "csv", separator=separator, label=label, workers=workers
    )
    text = (path / "mnist_train.csv").read_text()
    assert text.endswith("\n")
    assert text.splitlines()[1:] == lines(dataset, between=between, last=label == "last")
    assert mnistprep.read(path, workers=workers).digests() == dataset.digests()


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 511, 512, 513])
def test_any_number_of_rows(tmp_path: Path, count: int) -> None:
    """No row is lost or doubled where the steps of writing end."""
    dataset = pictures(count, 28, 28)
    path = mnistprep.write(dataset, tmp_path / "x", "csv", header="none") / "mnist_train.csv"
    assert path.read_text().splitlines() == lines(dataset, between=",", last=False)


@IN_PLACE
@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path, workers: int) -> None:
    """What a worker cannot write is an error with the target's name, and no part of it stays."""
    import resource

    dataset = pictures(2000, 28, 28)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(TargetError, match=r"cannot write .*x_train\.csv: File too large"):
            mnistprep.write(dataset, tmp_path / "x_train.csv", workers=workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_pictures_that_change_on_the_way_are_an_error(tmp_path: Path) -> None:
    """Rows are never put where they do not belong, if a caller changes the arrays meanwhile."""
    images = np.zeros((2000, 28, 28), np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.arange(2000) % 10)}, tuple("0123456789"))

    class Changing:
        def start(self, task: str, total: int, unit: str) -> None: ...
        def note(self, text: str) -> None: ...
        def advance(self, count: int) -> None:
            images[-1] = 255

    with pytest.raises(DataError, match="changed while they were written"):
        mnistprep.write(dataset, tmp_path / "x_train.csv", workers=1, progress=Changing())
    assert not list(tmp_path.iterdir())


def test_steps_of_large_pictures(tmp_path: Path) -> None:
    """A picture with more pixels than a step has is written and read back."""
    dataset = pictures(3, 300, 300)
    path = mnistprep.write(dataset, tmp_path / "x_train.csv", workers=2)
    assert mnistprep.read(path, workers=2).digests() == dataset.digests()
