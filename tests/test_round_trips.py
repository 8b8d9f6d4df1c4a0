"""Any dataset goes through every pair of formats, with any options, or is refused for a reason."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from reliability import round_trips

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import UnsupportedError, UsageError

PAGES = Path(__file__).parent.parent / "docs" / "reference" / "formats"
SHORT = 16


@pytest.mark.slow
@pytest.mark.parametrize("case", round_trips.cases())
def test_any_dataset_goes_through_any_pair(case: str, tmp_path: Path) -> None:
    """From one format into all, with what hypothesis draws: the same, or a reason."""
    trials = round_trips.run(case, SHORT, 1, tmp_path)
    assert not trials.failures
    assert trials.tried == SHORT


@pytest.mark.parametrize("name", sorted(round_trips.REASONS))
def test_the_page_of_a_format_states_its_refusals(name: str) -> None:
    """Why a form refuses a dataset stands among the limits on its page."""
    page = " ".join((PAGES / f"{name}.md").read_text(encoding="utf-8").split())
    limits = page.partition("## Limits")[2]
    for words in round_trips.REASONS[name].values():
        assert words in limits


@pytest.mark.parametrize("header", ["rowcol", "pixel0", "none"])
@pytest.mark.parametrize("splits", [("train",), ("test",), ("train", "valid", "test")])
def test_tables_of_no_rows_come_back(header: str, splits: tuple[str, ...], tmp_path: Path) -> None:
    """A folder of tables in which no split has an example is known by its names."""
    none = Split(np.empty((0, 3, 4), np.uint8), np.empty(0, np.int64))
    empty = Dataset("x", dict.fromkeys(splits, none), ("a", "b"))
    path = mnistprep.write(empty, tmp_path / "set", "csv", header=header)
    found = mnistprep.read(path)
    assert found.digests() == empty.digests()
    assert (found.classes, tuple(found.splits)) == (empty.classes, splits)


@pytest.mark.parametrize("separator", ["comma", "semicolon", "tab", "space"])
@pytest.mark.parametrize("label", ["first", "last"])
@pytest.mark.parametrize("header", ["rowcol", "pixel0", "none"])
def test_a_table_of_little_comes_back_or_is_refused(
    header: str, label: str, separator: str, tmp_path: Path
) -> None:
    """A single file of few or small pictures leaves open what it is, and is then not written."""
    chance = np.random.default_rng(3)
    for number, (side, count) in enumerate(itertools.product((1, 2, 3), (0, 1, 2, 9))):
        images = chance.integers(0, 256, (count, side, side), dtype=np.uint8)
        labels = chance.integers(0, 3, count)
        small = Dataset("x", {"train": Split(images, labels)}, ("0", "1", "2"))
        path = tmp_path / f"{number}.csv"
        options = {"header": header, "label": label, "separator": separator}
        try:
            mnistprep.write(small, path, provenance=False, **options)
        except (UnsupportedError, UsageError):
            assert not path.exists()
        else:
            assert mnistprep.read(path).digests() == small.digests()
