"""What a page says of a model's answers: how many are right, and every kind of wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import ceil, isfinite, log

import numpy as np

from mnistprep.evaluation import Evaluation, Wrong
from mnistprep.report.about_data import Source
from mnistprep.report.display import NAME, Picture, share, text, tile
from mnistprep.training import Trained

CASES = 600  # wrong cases shown
CASES_IN_GROUP = 24
GROUPS = 80
CASES_BYTES = 1_200_000  # of their pictures, as embedded
MATRIX = 40  # classes in a confusion matrix
HEAT = 5  # shades of a confusion matrix
SURE = 0.9  # from which confidence on a wrong answer is called a sure one


@dataclass(frozen=True)
class Case:
    """A wrong case: its picture, how sure the model was, and where it is."""

    picture: Picture
    confidence: str
    index: int
    place: str


@dataclass(frozen=True)
class Confusion:
    """Cases of one class that were taken for another, the surest first; more: not shown."""

    true: str
    predicted: str
    size: int
    sure: int
    cases: tuple[Case, ...]
    more: int
    means: tuple[Picture | None, Picture | None]


@dataclass(frozen=True)
class Cell:
    """A number of the confusion matrix; heat: its shade, 0 for none; right: on the diagonal."""

    count: int
    heat: int
    right: bool


@dataclass(frozen=True)
class ClassFigures:
    """How a class came out; often: what it was mostly taken for, and how many times."""

    name: str
    total: int
    right: int
    recall: str
    precision: str
    often: str


@dataclass(frozen=True)
class Outcome:
    """All that a page shows of an evaluation."""

    split: str
    total: int
    right: int
    wrong: int
    accuracy: str
    sure: int
    seen: bool
    names: tuple[str, ...]
    matrix: tuple[tuple[str, tuple[Cell, ...]], ...]
    left_out: int
    figures: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]
    more_confusions: int
    more_cases: int


def describe(
    trained: Trained, found: Evaluation, source: Source, means: Mapping[int, Picture]
) -> Outcome:
    """What came out when the model was tested on a split of the dataset of `source`."""
    names = [text(name, NAME) for name in found.classes]
    drawn = _drawn(found)
    confusions, groups = _confusions(found, names, source, means)
    shown = sum(len(group.cases) + group.more for group in confusions)
    return Outcome(
        split=found.split,
        total=found.total,
        right=found.right,
        wrong=found.total - found.right,
        accuracy=share(found.accuracy),
        sure=sum(case.confidence >= SURE for case in found.wrong),
        seen=_seen(trained, found, source),
        names=tuple(names[k] for k in drawn),
        matrix=_matrix(found, names, drawn),
        left_out=len(names) - len(drawn),
        figures=_figures(found, names),
        confusions=confusions,
        more_confusions=groups - len(confusions),
        more_cases=len(found.wrong) - shown,
    )


def _seen(trained: Trained, found: Evaluation, source: Source) -> bool:
    """Whether the model was trained on the very pictures that it was tested on."""
    learnt = trained.digests.get("train")  # of train and valid, of which valid is only watched
    return found.split != "valid" and learnt is not None and learnt == source.digests[found.split]


def _drawn(found: Evaluation) -> list[int]:
    """The classes in the matrix: all, or those with the most mistakes, in label order."""
    counts = found.confusion
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    most = np.argsort(-mistakes, kind="stable")[:MATRIX]
    return sorted(most.tolist())


def _matrix(
    found: Evaluation, names: list[str], drawn: list[int]
) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    counts = found.confusion[np.ix_(drawn, drawn)]
    wrong = counts * ~np.eye(len(drawn), dtype=bool)
    most_wrong, most_right = max(1, wrong.max(initial=0)), max(1, counts.max(initial=0))
    rows = []
    for row, label in enumerate(drawn):
        cells = []
        for column, count in enumerate(counts[row].tolist()):
            most = most_right if row == column else most_wrong
            cells.append(Cell(count, _heat(count, most), row == column))
        rows.append((names[label], tuple(cells)))
    return tuple(rows)


def _heat(count: int, most: int) -> int:
    """A shade from 1 to HEAT, even steps of the logarithm; 0 for no count."""
    return ceil(HEAT * log(1 + count) / log(1 + most) - 1e-9)


def _figures(found: Evaluation, names: list[str]) -> tuple[ClassFigures, ...]:
    figures = []
    for label in range(min(len(names), 300)):
        row = found.confusion[label].copy()
        total, right = int(row.sum()), int(row[label])
        row[label] = 0
        often = f"{names[int(row.argmax())]} ({int(row.max()):,})" if row.any() else "–"
        recall, precision = found.recall[label], found.precision[label]
        figures.append(
            ClassFigures(
                names[label],
                total,
                right,
                "–" if recall is None else share(recall),
                "–" if precision is None else share(precision),
                often,
            )
        )
    return tuple(figures)


def _confusions(
    found: Evaluation, names: list[str], source: Source, means: Mapping[int, Picture]
) -> tuple[tuple[Confusion, ...], int]:
    """The wrong cases by confusion, the most frequent first, and how many confusions there are."""
    pairs = groupby(
        sorted(found.wrong, key=lambda c: (c.true, c.predicted, -_number(c.confidence), c.index)),
        key=lambda case: (case.true, case.predicted),
    )
    groups = sorted(((key, list(cases)) for key, cases in pairs), key=lambda g: (-len(g[1]), g[0]))
    chosen, left = [], CASES
    for key, cases in groups[:GROUPS]:
        shown = cases[: min(CASES_IN_GROUP, left)]
        left -= len(shown)
        chosen.append((key, cases, shown))
    drawn = _cases([case for _, _, shown in chosen for case in shown], names, source)
    return tuple(
        Confusion(
            true=names[true],
            predicted=names[predicted],
            size=len(cases),
            sure=sum(case.confidence >= SURE for case in cases),
            cases=tuple(drawn[case.index] for case in shown if case.index in drawn),
            more=len(cases) - sum(case.index in drawn for case in shown),
            means=(means.get(true), means.get(predicted)),
        )
        for (true, predicted), cases, shown in chosen
        if any(case.index in drawn for case in shown)
    ), len(groups)


def _cases(wrong: list[Wrong], names: list[str], source: Source) -> dict[int, Case]:
    """The cases to show, by index: as many, from the first, as there is room for."""
    if not wrong:
        return {}
    split, left = wrong[0].split, CASES_BYTES
    indices = sorted(case.index for case in wrong)
    places = dict(zip(indices, source.places(split, indices), strict=True))
    images = source.dataset.splits[split].images
    drawn = {}
    for case in wrong:
        sure, place = _confidence(case.confidence), text(places[case.index])
        alt = f"{names[case.true]} read as {names[case.predicted]}, {sure} sure; {place}"
        picture = tile(images[case.index], alt)
        left -= len(picture.uri)
        if left < 0:
            break
        drawn[case.index] = Case(picture, sure, case.index, place)
    return drawn


def _number(confidence: float) -> float:
    return confidence if isfinite(confidence) else -1.0


def _confidence(value: float) -> str:
    return share(value, 1 if value > 0.99 else 0) if isfinite(value) else "not a number"
