"""Trees of pictures: nothing in them is lost, and equal ones are told apart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_imagefolder import Notes, grey

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError


def test_a_picture_that_no_class_has_is_not_lost(tmp_path: Path) -> None:
    """A picture beside the class folders is an error; a folder or a text there is noted."""
    split = Split(grey(20, (5, 4)), np.arange(20) % 10)
    path = mnistprep.write(
        Dataset("x", {"train": split}, tuple("0123456789")), tmp_path / "x", "imagefolder"
    )
    (path / "README.txt").write_text("about")
    (path / "extra").mkdir()
    heard = Notes()
    mnistprep.read(path, progress=heard)
    assert ["README.txt" in heard.notes[0], "extra" in heard.notes[1]] == [True, True]
    shutil.copy(next(path.glob("train/3/*.png")), path / "train" / "stray.png")
    with pytest.raises(FormatError, match=r"stray\.png.*outside"):
        mnistprep.read(path)


def test_many_equal_pictures_take_no_quadratic_time(tmp_path: Path) -> None:
    """Thousands of blank pictures, as a synthetic set may have, are named one after the other."""
    split = Split(np.zeros((20_000, 2, 2), np.uint8), np.zeros(20_000, np.int64))
    path = mnistprep.write(Dataset("x", {"train": split}, ("0",)), tmp_path / "x", "imagefolder")
    assert len(mnistprep.read(path)) == 20_000


@pytest.mark.parametrize(
    "form", ["idx", "idx-gz", "csv", "parquet", "arrow", "webdataset", "tfrecord", "libsvm"]
)
def test_a_split_that_is_a_link_to_nothing_is_missing(form: str, tmp_path: Path) -> None:
    """As git-annex and DVC leave files that were not fetched: no dataset without its test."""
    parts = {name: Split(grey(20, (5, 5)), np.arange(20) % 10) for name in ("train", "test")}
    whole = Dataset("x", parts, tuple("0123456789"))
    path = mnistprep.write(whole, tmp_path / "x", form, provenance=False)
    if not path.is_dir():
        pytest.skip("one file holds all")
    for file in [file for file in path.rglob("*") if file.is_file()]:
        if re.search(r"\b(t10k|(mnist_)?test)\b", str(file.relative_to(path))):
            file.unlink()
            file.symlink_to(f"../annex/{file.name}")
    for name in (form, None):
        with pytest.raises(FormatError, match=r"not there|missing|links"):
            mnistprep.read(path, name)
