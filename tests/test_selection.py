"""Choosing examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnistprep import Dataset, Selection, Split, select, write
from mnistprep.errors import UnknownName, UsageError


@pytest.fixture
def numbered() -> Dataset:
    """1,000 + 100 pictures of one pixel row that says which they are; classes of unequal size."""
    splits = {}
    for name, count in (("train", 1000), ("test", 100)):
        index = np.arange(count, dtype=np.uint32)
        labels = np.minimum(index % 10, 5).astype(np.int64)
        splits[name] = Split(index.view(np.uint8).reshape(count, 1, 4), labels)
    return Dataset("numbered", splits, tuple("012345"))


def indices(split: Split) -> list[int]:
    return split.images.reshape(-1).view(np.uint32).tolist()


def test_the_default_keeps_everything(numbered: Dataset) -> None:
    """No wish, no change."""
    assert select(numbered, Selection()).digests() == numbered.digests()


def test_limit_takes_the_first_of_each_split(numbered: Dataset) -> None:
    """--limit is a quick run on the first rows, as walk-throughs do it."""
    chosen = select(numbered, Selection(limit=150))
    assert indices(chosen.splits["train"]) == list(range(150))
    assert indices(chosen.splits["test"]) == list(range(100))


def test_per_class_takes_the_first_of_each_class_in_order(numbered: Dataset) -> None:
    """--per-class keeps the order of the set and has no more than asked of any class."""
    split = select(numbered, Selection(per_class=3, splits=("train",))).splits["train"]
    assert np.bincount(split.labels).tolist() == [3] * 6
    assert indices(split) == sorted(indices(split))
    assert indices(split)[:6] == [0, 1, 2, 3, 4, 5]


def test_validation_is_the_tail_of_train_and_moves_nothing(numbered: Dataset) -> None:
    """--validation only sets the boundary; 0 takes it away; the digest stays."""
    cut = select(numbered, Selection(validation=250))
    assert indices(cut.splits["valid"]) == list(range(750, 1000))
    assert cut.digests() == numbered.digests()
    again = select(cut, Selection(validation=100))
    assert len(again.splits["train"]) == 900
    assert set(select(cut, Selection(validation=0)).splits) == {"train", "test"}


def test_a_seeded_limit_keeps_the_shares_of_the_classes(numbered: Dataset) -> None:
    """A random choice is stratified, in order, and the same for the same seed."""
    first = select(numbered, Selection(limit=100, seed=1)).splits["train"]
    assert np.bincount(first.labels).tolist() == [10, 10, 10, 10, 10, 50]
    assert indices(first) == sorted(indices(first)) != list(range(100))
    again = select(numbered, Selection(limit=100, seed=1)).splits["train"]
    other = select(numbered, Selection(limit=100, seed=2)).splits["train"]
    assert indices(first) == indices(again) != indices(other)


def test_a_seeded_choice_is_the_same_on_every_machine(numbered: Dataset) -> None:
    """The choice of a seed is fixed for good, whatever NumPy's generators do."""
    chosen = select(numbered, Selection(per_class=1, seed=3)).splits["test"]
    assert indices(chosen) == [0, 2, 3, 69, 74, 91]


def test_impossible_wishes_are_refused(numbered: Dataset) -> None:
    """A split that is not there and numbers out of range raise UsageError."""
    with pytest.raises(UnknownName, match="valid"):
        select(numbered, Selection(splits=("valid",)))
    with pytest.raises(UsageError, match="1,001 is more"):
        select(numbered, Selection(validation=1001))
    with pytest.raises(UsageError, match="per-class"):
        Selection(per_class=-1)


@pytest.mark.parametrize("value", [1.5, 2.0, float("nan"), True, "2", np.float32(1), -1])
@pytest.mark.parametrize("name", ["limit", "per_class", "validation", "seed"])
def test_numbers_that_are_not_whole_are_refused(name: str, value: object) -> None:
    """Half an example is no number of examples, and a seed is what the command line takes."""
    with pytest.raises(UsageError, match=f"{name.replace('_', '-')} must be"):
        Selection(**{name: value})  # type: ignore[arg-type]


def test_a_seed_ends_where_the_command_line_has_its_end() -> None:
    """2**64 - 1 is the last one, and numbers too long to print are refused in words."""
    assert Selection(seed=2**64 - 1).seed == 2**64 - 1
    with pytest.raises(UsageError, match="seed must be"):
        Selection(seed=2**64)
    with pytest.raises(UsageError, match="bits"):
        Selection(seed=10**5000)


def test_numbers_of_numpy_and_large_ones_are_numbers(numbered: Dataset) -> None:
    """A count from an array selects as Python's own does; more than there are is all of them."""
    some = select(numbered, Selection(limit=np.int64(5), seed=np.uint8(1)))
    assert some.digests() == select(numbered, Selection(limit=5, seed=1)).digests()
    everything = select(numbered, Selection(limit=10**30, per_class=10**30))
    assert everything.digests() == numbered.digests()


def test_only_a_dataset_is_selected_from_and_written(tmp_path: Path) -> None:
    """A name, which `export` takes, is no dataset here."""
    with pytest.raises(UsageError, match="takes a Dataset, not str"):
        select("mnist", Selection())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes a Dataset, not str"):
        write("mnist", tmp_path / "x.npz")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_counts_of_many_classes_add_up(numbered: Dataset) -> None:
    """A stratified choice gives exactly as many as asked for, whatever the remainders."""
    for limit in (1, 7, 33, 99):
        assert len(select(numbered, Selection(limit=limit, seed=5)).splits["test"]) == limit
