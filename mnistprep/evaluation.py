"""What a model gets right and wrong on a split: figures, confusions, and every wrong case."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistprep import convert
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import DataError, UnknownName, UsageError
from mnistprep.training import Trained, load_checkpoint
from mnistprep.training.trainer import checked_probabilities

Counts = npt.NDArray[np.int64]

_MATRIX = 20  # classes whose matrix fits the width of a terminal
_CONFUSIONS = 10  # named; the matrix has them all
_HEAD = 5  # letters of a class name above a column; where one is longer, there are label numbers
_WIDTH = 24  # letters of a class name in a row
_COLUMNS = (
    "split", "index", "true", "predicted", "true_class", "predicted_class", "confidence", "path",
)  # fmt: skip


@dataclass(frozen=True)
class Wrong:
    """An example that the model takes for one of another class.

    split, index: where it is in its dataset, counted from 0. true, predicted: labels. confidence:
    what the model gives for the predicted class, 0 to 1: a probability, or, of recipe `numpy`, an
    output. path: the file of the picture, None where the form has none of its own for each.
    """

    split: str
    index: int
    true: int
    predicted: int
    confidence: float
    path: str | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out of `evaluate`, on one split of a dataset.

    classes: names in label order. confusion: int64 (classes, classes), examples by true label (row)
    and predicted label (column). wrong: every wrong case, in the order of the split. recipe: of the
    model. Raises DataError when the parts do not fit together, and when there are no examples.
    """

    dataset: str
    split: str
    classes: tuple[str, ...]
    confusion: Counts
    wrong: tuple[Wrong, ...]
    recipe: str

    def __post_init__(self) -> None:
        confusion = np.array(self.confusion, np.int64)
        size = len(self.classes)
        if confusion.shape != (size, size):
            raise DataError(f"{size} classes need a matrix of {size}x{size}, not {confusion.shape}")
        if not confusion.sum() or confusion.min() < 0:
            raise DataError("a confusion matrix counts one example or more")
        if len(self.wrong) != confusion.sum() - confusion.trace():
            raise DataError(f"the confusion matrix has another number than {len(self.wrong)} wrong")
        confusion.flags.writeable = False
        object.__setattr__(self, "confusion", confusion)

    @property
    def total(self) -> int:
        """Examples, at least one."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Examples whose class was predicted."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """Share of the examples that is right, 0 to 1."""
        return self.right / self.total

    @property
    def precision(self) -> tuple[float | None, ...]:
        """Share of what was taken for each class that is of it; None where nothing was."""
        return _shares(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> tuple[float | None, ...]:
        """Share of each class's examples that was found; None where there are none."""
        return _shares(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists, strings and numbers; None for what is undefined."""
        wrong = [asdict(case) for case in self.wrong]
        for case in wrong:  # JSON has no nan, which a model that has diverged gives
            case["confidence"] = case["confidence"] if math.isfinite(case["confidence"]) else None
        return {
            "dataset": self.dataset,
            "split": self.split,
            "recipe": self.recipe,
            "classes": list(self.classes),
            "total": self.total,
            "right": self.right,
            "accuracy": self.accuracy,
            "precision": list(self.precision),
            "recall": list(self.recall),
            "confusion": self.confusion.tolist(),
            "wrong": wrong,
        }

    def to_csv(self) -> str:
        """A header, then a line for each wrong case (RFC 4180, but with LF line ends).

        A name that a spreadsheet would take for a formula, such as =1+1, has a ' before it.
        """
        lines = [_csv_line(_COLUMNS)]
        for case in self.wrong:
            names = self.classes[case.true], self.classes[case.predicted]
            labels = case.true, case.predicted
            share = f"{case.confidence:.6f}"
            lines.append(
                _csv_line((case.split, case.index, *labels, *names, share, case.path or ""))
            )
        return "".join(lines)

    def __str__(self) -> str:
        verdict = f"{self.right} / {self.total} = {self.accuracy:.4f}"
        return "\n\n".join(
            [
                *([self._cases()] if self.wrong else []),
                *([self._matrix()] if len(self.classes) <= _MATRIX else []),
                self._figures(),
                *([self._confusions()] if self.wrong else []),
                f"{printable(self.dataset)} {self.split}, recipe {self.recipe}: {verdict}",
            ]
        )

    def _cases(self) -> str:
        names = [printable(name, _WIDTH) for name in self.classes]
        rows = [("true", "predicted", "confidence", "where")]
        for case in self.wrong:
            where = f"{case.split}[{case.index}]" if case.path is None else printable(case.path)
            share = f"{case.confidence:.4f}"
            rows.append((names[case.true], names[case.predicted], share, where))
        return _aligned(rows, "<<><")

    def _matrix(self) -> str:
        heads = [printable(name) for name in self.classes]
        names = heads
        if any(len(head) > _HEAD for head in heads):
            heads = [str(label) for label in range(len(self.classes))]
            names = [f"{k} {printable(name, _WIDTH)}" for k, name in enumerate(self.classes)]
        rows = [("true", *heads)]
        rows += [
            (name, *map(str, counts))
            for name, counts in zip(names, self.confusion.tolist(), strict=True)
        ]
        return f"examples by true (row) and predicted (column) class\n{_aligned(rows, '<>')}"

    def _figures(self) -> str:
        rows: list[tuple[str, ...]] = [("class", "examples", "precision", "recall")]
        counts = self.confusion.sum(axis=1).tolist()
        for row in zip(self.classes, counts, self.precision, self.recall, strict=True):
            name, count, *shares = row
            shown = ("-" if share is None else f"{share:.4f}" for share in shares)
            rows.append((printable(name, _WIDTH), str(count), *shown))
        return _aligned(rows, "<>")

    def _confusions(self) -> str:
        counts = self.confusion * (1 - np.eye(len(self.classes), dtype=np.int64))
        often = np.argsort(-counts, axis=None, kind="stable")[:_CONFUSIONS]
        rows: list[tuple[str, ...]] = [("true", "predicted", "times")]
        for true, predicted in zip(*np.unravel_index(often, counts.shape), strict=True):
            if times := counts[true, predicted]:
                names = (printable(self.classes[k], _WIDTH) for k in (true, predicted))
                rows.append((*names, str(times)))
        return f"most frequent confusions\n{_aligned(rows, '<<>')}"


def evaluate(
    model: Trained | convert.PathLike,
    data: Dataset | convert.PathLike,
    *,
    split: str = "test",
    format: str | None = None,
    recipe: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress = quiet,
) -> Evaluation:
    """Compare what a model predicts for a split with its labels.

    model: a Trained, or a checkpoint's path, which is loaded to `device`; `recipe` is what a bare
    state dict is of. data: a Dataset, or a path in the named `format` or in the one that its
    content shows. split: `train`, `valid` or `test`, as the dataset has it stored.

    Classes go by label. A dataset may have fewer than the model when its names are the first of the
    model's, or label numbers, which is all that some forms keep; other names get a note. Raises
    what reading both raises, UnknownName for a split that is not there, and UsageError for an empty
    one and for pictures or classes that are not those of the model.
    """
    trained = model
    if not isinstance(trained, Trained):
        trained = load_checkpoint(trained, recipe=recipe, device=device)
    places = None
    if isinstance(data, Dataset):
        dataset = data
    else:
        source = convert.locate(data, format, workers=workers, progress=progress)
        dataset, places = source.dataset, source.places
    part = _part(trained, dataset, split)
    classes = _classes(trained, dataset, progress)
    confusion, found = _walk(trained, part, progress, f"evaluate {split}")
    files = _files(places, split, [index for index, *_ in found])
    return Evaluation(
        dataset=dataset.name,
        split=split,
        classes=classes,
        confusion=confusion,
        wrong=tuple(Wrong(split, *case, path) for case, path in zip(found, files, strict=True)),
        recipe=trained.recipe.name,
    )


def _part(trained: Trained, dataset: Dataset, split: str) -> Split:
    """The split, if it is there, is not empty, and has pictures that the model takes."""
    if split not in dataset.splits:
        raise UnknownName("split", split, dataset.splits)
    if not len(dataset.splits[split]):
        raise UsageError(f"{printable(dataset.name)}: {split} is empty, nothing can be evaluated")
    if dataset.shape != trained.shape:
        taken, there = ("x".join(map(str, shape)) for shape in (trained.shape, dataset.shape))
        raise UsageError(
            f"the model takes pictures of {taken}, those of {printable(dataset.name)} are {there}"
        )
    return dataset.splits[split]


def _classes(trained: Trained, dataset: Dataset, progress: Progress) -> tuple[str, ...]:
    """The names to show, by label."""
    known, there = tuple(trained.classes), dataset.classes
    if there == known[: len(there)]:
        return known
    numbers = there == tuple(map(str, range(len(there))))
    both = (
        f"{len(known)} classes ({_listed(known)}), "
        f"{printable(dataset.name)} has {len(there)} ({_listed(there)})"
    )
    if len(there) > len(known) or (len(there) < len(known) and not numbers):
        raise UsageError(f"the model has {both}")
    # Names that only count the labels say nothing of an order; others do.
    labels = {name: label for label, name in enumerate(known)}
    if not numbers and any(labels.get(name, k) != k for k, name in enumerate(there)):
        raise UsageError(
            f"the model has {both}: the same names for other labels; put them in its order"
        )
    progress.note(f"the model has {both}: taken to be the same, by label")
    return known if numbers else there


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name, _WIDTH) for name in names[:4])
    return f"{shown}, ..." if len(names) > 4 else shown


def _walk(
    trained: Trained, part: Split, progress: Progress, what: str
) -> tuple[Counts, list[tuple[int, int, int, float]]]:
    """The confusion matrix, and (index, true, predicted, confidence) of each wrong case."""
    confusion = np.zeros((len(trained.classes), len(trained.classes)), np.int64)
    wrong: list[tuple[int, int, int, float]] = []
    at = 0
    progress.start(what, len(part), "examples")
    for images, labels in part.chunks():
        shares = checked_probabilities(trained, Split(images, labels))
        predicted = shares.argmax(axis=1)
        np.add.at(confusion, (labels, predicted), 1)
        for k in np.flatnonzero(predicted != labels).tolist():
            guess = int(predicted[k])
            wrong.append((at + k, int(labels[k]), guess, float(shares[k, guess])))
        at += len(labels)
        progress.advance(len(labels))
    return confusion, wrong


def _files(
    places: Callable[[str, list[int]], list[str]] | None, split: str, indices: list[int]
) -> list[str | None]:
    """The files of examples; None for those whose place is not a file of their own."""
    if places is None or not indices:
        return [None] * len(indices)
    return [place if os.path.isfile(place) else None for place in places(split, indices)]


def _shares(parts: Counts, wholes: Counts) -> tuple[float | None, ...]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return tuple(part / whole if whole else None for part, whole in pairs)


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO(newline="")
    # to CRLF: with LF alone it would not quote a CR in a name
    csv.writer(text).writerow([_not_run(cell) for cell in cells])
    return text.getvalue().removesuffix("\r\n") + "\n"


def _not_run(cell: object) -> object:
    """The cell with a mark before what a spreadsheet would take for a formula, and carry out."""
    formula = isinstance(cell, str) and len(cell) > 1 and cell[0] in "=+-@\t\r"
    return f"'{cell}" if formula else cell


def _aligned(rows: Sequence[tuple[str, ...]], sides: str) -> str:
    """Lines of columns two blanks apart; `sides`: < or > for each, the last for all that follow."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = sides.ljust(len(widths), sides[-1])
    columns = list(zip(sides, widths, strict=True))
    lines = (
        "  ".join(f"{cell:{side}{width}}" for cell, (side, width) in zip(row, columns, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
