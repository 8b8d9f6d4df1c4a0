"""What a page says of a dataset: what it is, what it looks like, what is counted in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mnistprep import catalog
from mnistprep._progress import Progress
from mnistprep.convert import Found
from mnistprep.dataset import Dataset, Digest
from mnistprep.inspection import match
from mnistprep.report import census, charts, display, duplicates, sheets
from mnistprep.report.census import Census
from mnistprep.report.display import Picture, embedded, plural, share, text, tiles

COLUMNS = 16  # pictures in the row of a class, if they are not too large
LISTED = 300  # classes whose counts are listed
_ROWS_BYTES = 600_000  # of all the rows of classes together, before compression
_LEAST_COLUMNS = 4
_BARS = 32  # of a histogram
_NAMES = 6  # labels of a picture that are named


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset, and where it was read: path as given, and what was found there."""

    dataset: Dataset
    path: str | None = None
    found: Found | None = None

    @property
    def format(self) -> str | None:
        """The format that it was read from, if from any."""
        return self.found.format if self.found else None

    @cached_property
    def digests(self) -> dict[str, Digest]:
        """The digests of the dataset, computed once."""
        return self.dataset.digests()

    def places(self, split: str, indices: Sequence[int]) -> list[str]:
        """Where examples are: a path below that of the dataset, or split and index."""
        if self.found is None:
            return [f"{split} {index}" for index in indices]
        root = f"{self.found.path}{os.sep}"
        return [place.removeprefix(root) for place in self.found.places(split, indices)]


@dataclass(frozen=True)
class Content:
    """Digests of `train` (with `valid`) or `test`, and what the catalog knows it to be."""

    title: str
    match: catalog.Match | None
    digest: Digest

    @property
    def identity(self) -> str:
        """What it is, in a few words."""
        return str(self.match or "unknown to the catalog")


@dataclass(frozen=True)
class ClassRow:
    """A class: its name, examples in each split with the length of a bar, and its pictures."""

    name: str
    counts: tuple[tuple[int, float], ...]
    mean: Picture | None = None
    first: Picture | None = None


@dataclass(frozen=True)
class SplitRow:
    """A split: its size, and what its pixels are like."""

    name: str
    total: int
    mean: str
    std: str
    background: str
    chart: charts.Chart | None


@dataclass(frozen=True)
class Twin:
    """A picture that is there more than once."""

    picture: Picture
    size: int
    labels: str | None  # where there is more than one
    places: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class DataPart:
    """All that a page shows of a dataset."""

    title: str
    known: bool
    identity: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    contents: dict[str, Content]
    one: Picture | None
    strip: Picture | None
    sheet: Picture | None
    splits: tuple[SplitRow, ...]
    rows: tuple[ClassRow, ...]
    listed: tuple[ClassRow, ...]
    classes: int
    longest: int
    duplicates: duplicates.Duplicates
    equal: str
    doubtful: bool
    twins: tuple[Twin, ...]
    means: dict[int, Picture] = field(default_factory=dict)


def describe(source: Source, progress: Progress) -> DataPart:
    """Look at all of a dataset."""
    dataset = source.dataset
    found = {name: match(dataset, name, digest) for name, digest in source.digests.items()}
    counted = census.take(dataset, progress)
    equal = duplicates.find(dataset, counted)
    title, identity = _identity(dataset, found)
    one, strip, sheet = _pictures(dataset)
    means = {
        label: display.tile(mean, f"mean of all pictures of class {_name(dataset, label)}")
        for label, mean in counted.means.items()
    }
    return DataPart(
        title=title,
        known=all(found.values()) and len({m.dataset.name for m in found.values() if m}) == 1,
        identity=identity,
        summary=_summary(dataset),
        facts=_facts(source),
        contents={
            name: Content(_content_title(dataset, name), found[name], digest)
            for name, digest in source.digests.items()
        },
        one=one,
        strip=strip,
        sheet=sheet,
        splits=tuple(_split_row(name, counted) for name in counted.splits),
        rows=_rows(dataset, means),
        listed=_listed(dataset, counted),
        classes=len(dataset.classes),
        longest=max(map(len, dataset.classes), default=0),
        duplicates=equal,
        equal=_equal(equal),
        doubtful=bool(equal.conflicting or any(equal.across.values())),
        twins=_twins(source, equal),
        means=means,
    )


def _name(dataset: Dataset, label: int) -> str:
    return text(dataset.classes[label], display.NAME)


def _identity(dataset: Dataset, found: dict[str, catalog.Match | None]) -> tuple[str, str]:
    """What the page is called, and a sentence on what the catalog knows of the dataset."""
    known = {name: m for name, m in found.items() if m is not None}
    if not known:
        return text(dataset.name, 60), "Not a published dataset that the catalog knows."
    titles = {m.dataset.title for m in known.values()}
    if len(titles) > 1 or len(known) < len(found) or any(m.split != n for n, m in known.items()):
        said = [f"{name} is {found[name] or 'unknown to the catalog'}" for name in found]
        return text(dataset.name, 60), f"{'; '.join(said)}."
    orders = {m.in_order for m in known.values()}
    names = " and ".join(known)
    if orders == {True}:
        order = "in the original order"
    elif orders == {False}:
        order = "in another order"
    else:
        order = "of which " + ", ".join(
            f"{n} is in {'the original' if m.in_order else 'another'} order"
            for n, m in known.items()
        )
    missing = [name for name in ("train", "test") if name not in known]
    without = f"; {missing[0]} is not here" if missing else ""
    return titles.pop(), f"{names[0].upper()}{names[1:]}, complete, {order}{without}."


def _summary(dataset: Dataset) -> str:
    pictures = plural(len(dataset), "picture")
    return f"{pictures} of {_size(dataset)} in {plural(len(dataset.classes), 'class', 'classes')}"


def _size(dataset: Dataset) -> str:
    height, width, *depth = dataset.shape
    channels = f" with {depth[0]} channels" if depth else ""
    return f"{height} × {width} pixels{channels}"


def _facts(source: Source) -> tuple[tuple[str, str], ...]:
    dataset = source.dataset
    facts = [("Name", text(dataset.name))]
    if source.path is not None:
        facts = [("Path", text(source.path, 200)), ("Format", str(source.format))]
        if source.found and str(source.found.path) != source.path:
            facts.insert(1, ("Found at", text(source.found.path, 200)))
    facts.append(("Picture", f"{_size(dataset)}, values 0 to 255"))
    facts += [
        (f"Split {name}", plural(len(split), "picture")) for name, split in dataset.splits.items()
    ]
    names = ", ".join(text(name, display.NAME) for name in dataset.classes[:30])
    rest = f" and {len(dataset.classes) - 30:,} more" if len(dataset.classes) > 30 else ""
    facts.append(("Classes", f"{len(dataset.classes):,}: {names}{rest}"))
    return tuple(facts)


def _content_title(dataset: Dataset, name: str) -> str:
    return "train, followed by valid" if len(dataset.parts(name)) > 1 else _only(dataset, name)


def _only(dataset: Dataset, name: str) -> str:
    return name if name in dataset.splits else "valid"


def _pictures(dataset: Dataset) -> tuple[Picture | None, Picture | None, Picture | None]:
    """One picture enlarged, a strip of ten, and a sheet of a hundred, of the first split."""
    found = next(((name, part) for name, part in dataset.splits.items() if len(part)), None)
    if found is None:
        return None, None, None
    name, split = found
    large = tiles(split.images[:1], display.ONE_SIDE)[0]
    few = type(split)(np.ascontiguousarray(tiles(split.images[:100])), split.labels[:100])
    times = display.factor(few.shape)
    label = _name(dataset, int(split.labels[0]))
    alt = f"the first picture of {name}, of class {label}"
    ten = ", ".join(_name(dataset, int(k)) for k in few.labels[:10])
    return (
        embedded(large, alt, times=display.factor(large.shape, display.ONE_EDGE)),
        embedded(sheets.strip(few), f"the first ten of {name}, of classes {ten}", times=times),
        embedded(
            sheets.sheet(few), f"the first {len(few)} pictures of {name}, line by line", times=times
        ),
    )


def _split_row(name: str, counted: Census) -> SplitRow:
    split = counted.splits[name]
    if not split.total:
        return SplitRow(name, 0, "–", "–", "–", None)
    values = int(split.histogram.sum())
    groups = split.histogram.reshape(_BARS, -1).copy()
    groups[0, 0] = 0  # the background would dwarf all else; its share is given as a number
    chart = charts.bars(
        f"{name}: pixels above 0, in percent of all",
        "pixel value",
        (groups.sum(axis=1) / values).tolist(),
        high=256,
        alt=f"histogram of the pixel values of {name}, without the background: "
        f"{share(1 - split.background, 1)} of all pixels are above 0, "
        f"{share(float(split.histogram[192:].sum() / values), 1)} are 192 or more",
    )
    return SplitRow(
        name,
        split.total,
        f"{split.mean:.4f}",
        f"{split.std:.4f}",
        share(split.background, 1),
        chart if split.background < 1 else None,
    )


def _rows(dataset: Dataset, means: dict[int, Picture]) -> tuple[ClassRow, ...]:
    """The drawn classes with their mean picture and their first ones."""
    drawn = range(min(len(dataset.classes), census.DRAWN))
    size = tiles(np.zeros((1, *dataset.shape), np.uint8)).size * max(1, len(drawn))
    columns = min(COLUMNS, max(_LEAST_COLUMNS, _ROWS_BYTES // size))
    rows = []
    for label in drawn:
        name, first = _name(dataset, label), None
        pictures = tiles(sheets.first_of(dataset, label, columns))
        if len(pictures):
            alt = f"the first {len(pictures)} pictures of class {name}"
            whole = np.concatenate(list(pictures), axis=1)
            first = embedded(whole, alt, times=display.factor(pictures.shape[1:]))
        rows.append(ClassRow(name, (), means.get(label), first))
    return tuple(rows)


def _listed(dataset: Dataset, counted: Census) -> tuple[ClassRow, ...]:
    largest = {name: max(1, *split.counts, 1) for name, split in counted.splits.items()}
    return tuple(
        ClassRow(
            text(name, display.NAME),
            tuple(
                (int(split.counts[label]), round(100 * split.counts[label] / largest[part], 1))
                for part, split in counted.splits.items()
            ),
        )
        for label, name in enumerate(dataset.classes[:LISTED])
    )


def _equal(found: duplicates.Duplicates) -> str:
    """What there is to say of equal pictures, in a sentence or two."""
    if not found.total:
        return "No two pictures are equal, pixel for pixel, neither within a split nor across."
    said = [f"{plural(found.total, 'picture is', 'pictures are')} there more than once"]
    said += [
        f"{name} repeats {plural(count, 'picture')}"
        for name, count in found.within.items()
        if count
    ]
    said += [
        f"{plural(count, 'picture')} of {second} {'is' if count == 1 else 'are'} in {first} too"
        for (first, second), count in found.across.items()
        if count
    ]
    if found.conflicting:
        said.append(
            f"{plural(found.conflicting, 'picture')} {'has' if found.conflicting == 1 else 'have'} "
            "more than one label"
        )
    return f"{'; '.join(said)}."


def _twins(source: Source, found: duplicates.Duplicates) -> tuple[Twin, ...]:
    dataset = source.dataset
    places = _places(source, [(s, i) for group in found.groups for s, i, _ in group.members])
    twins = []
    for group in found.groups:
        split, index, _ = group.members[0]
        names = ", ".join(_name(dataset, label) for label in group.labels[:_NAMES])
        names += " and others" if len(group.labels) > _NAMES else ""
        several = len(group.labels) > 1
        alt = f"a picture that is there {group.size} times, as {names}"
        twins.append(
            Twin(
                picture=display.tile(dataset.splits[split].images[index], alt),
                size=group.size,
                labels=names if several else None,
                places=tuple(
                    f"{places[s, i]}{f', as {_name(dataset, label)}' if several else ''}"
                    for s, i, label in group.members
                ),
                more=group.size - len(group.members),
            )
        )
    return tuple(twins)


def _places(source: Source, wanted: list[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The place of each example, asked for once per split."""
    found = {}
    for split in dict.fromkeys(split for split, _ in wanted):
        indices = sorted({index for name, index in wanted if name == split})
        for index, place in zip(indices, source.places(split, indices), strict=True):
            found[split, index] = text(place)
    return found
