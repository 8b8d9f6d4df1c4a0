"""What a verification compares with: a dataset that is given, or one that is published."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import zip_longest

from mnistprep import catalog
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Digest, digest
from mnistprep.errors import FetchError
from mnistprep.inspection import match

ACCURACY = 0.98  # what the fast recipe must reach on the test split, unless the catalog says other
ORIGINAL, OTHER, WRONG, NONE = "original", "another", "wrong", "-"


class Truth:
    """What a dataset should be: digests at once, the examples when something has to be located."""

    def __init__(
        self,
        name: str | None,
        source: Dataset | None,
        load: Callable[[str], Dataset],
        *,
        known: catalog.Published | None = None,
    ) -> None:
        self.name, self.source, self._load = name, source, load
        self._row = known or catalog.DATASETS.get(name or "")
        row = self._row
        published = row is not None and (known or (bool(row.files) and row.identifiable))
        if source is None and name is not None and not published:
            self.source = load(name)

    @property
    def title(self) -> str:
        """What messages call it."""
        if self._row:
            return self._row.title
        return self.source.name if self.source is not None else "a published dataset"

    @property
    def unnamed(self) -> bool:
        """Whether nobody said what is expected."""
        return self.name is None and self.source is None

    @property
    def accuracy(self) -> float:
        """What a recipe must reach on the test split."""
        return self._row.least_accuracy if self._row else ACCURACY

    @cached_property
    def known(self) -> dict[str, Digest]:
        """The digests of the source, when there is one."""
        return {} if self.source is None else self.source.digests()

    def splits(self) -> tuple[str, ...]:
        """The splits that are expected."""
        if self.source is not None:
            return tuple(self.known)
        return tuple(self._row.splits) if self._row else ("train", "test")

    def settled(self, found: Dataset, digests: dict[str, Digest]) -> Truth:
        """Where nobody said what is expected: the dataset that the first known split is of."""
        if not self.unnamed:
            return self
        for split, sums in digests.items():
            if same := match(found, split, sums):
                return Truth(same.dataset.name, None, self._load, known=same.dataset)
        return self

    def order(self, found: Dataset, split: str, digest: Digest) -> str:
        """Whether the split is right, and in which order."""
        if self.source is not None:
            true = self.known[split]
            if (digest.images, digest.labels) == (true.images, true.labels):
                return ORIGINAL
            return OTHER if digest.unordered == true.unordered else WRONG
        same = match(found, split, digest)
        if same is None or (same.split, same.dataset.name) != (split, self.name):
            return WRONG
        return ORIGINAL if same.in_order else OTHER

    def misnamed(self, found: Dataset, where: str) -> list[str]:
        """The first class that is not called as in the source; numbers are no names."""
        if self.source is None or found.classes in (self.source.classes, _numbers(found)):
            return []
        pairs = zip_longest(found.classes, self.source.classes)
        label, (mine, theirs) = next(
            (k, pair) for k, pair in enumerate(pairs) if pair[0] != pair[1]
        )
        called = "is not there" if mine is None else f"is called {printable(repr(mine), 80)}"
        expected = "none" if theirs is None else printable(repr(theirs), 80)
        return [f"{where}: class {label} {called}, expected {expected}"]

    def misdivided(self, found: Dataset, where: str, order: str) -> list[str]:
        """Where `valid` is other examples of the training set than in the source.

        Nothing where one of the two has no `valid`: not every form has a place for it.
        """
        if self.source is None or not all("valid" in d.splits for d in (found, self.source)):
            return []
        mine, true = found.splits["valid"], self.source.splits["valid"]
        if len(mine) != len(true):
            return [f"{where}: valid has {len(mine):,} examples, expected {len(true):,}"]
        if order == ORIGINAL:  # then as many are the same ones
            return []
        sums = {digest([split], len(found.classes)).unordered for split in (mine, true)}
        return [f"{where}: valid has other examples than expected"] if len(sums) > 1 else []

    def examples(self, found: Dataset, split: str) -> Dataset | None:
        """The dataset itself, to find what differs; None when there is none to compare with.

        What nobody has named is compared with MNIST, where it could be MNIST by its size.
        """
        if self.source is not None:
            return self.source
        mnist = catalog.DATASETS["mnist"]
        size = sum(map(len, found.parts(split)))
        if self.name is None and (found.shape, size) != (mnist.shape, mnist.splits[split]):
            return None
        return self._published

    @cached_property
    def _published(self) -> Dataset | None:
        try:
            return self._load(self.name or "mnist")
        except FetchError:
            return None


def _numbers(dataset: Dataset) -> tuple[str, ...]:
    return tuple(map(str, range(len(dataset.classes))))
