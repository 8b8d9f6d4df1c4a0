"""The splits of a dataset in text, as its files have them, put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnistprep._arrays import Images
from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.errors import FormatError
from mnistprep.formats import _classnames, _sidecar

_UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Part:
    """A split as a file has it: labels are numbers, of `names` where there are names, or None.

    Where a column says them, the `splits` of the rows. unit: whether pixels are divided there.
    """

    images: Images
    labels: Labels | None
    names: tuple[str, ...] | None
    splits: tuple[str, ...] | None = None
    unit: bool = False

    def of(self, split: str) -> Part:
        """The rows that a column says are of a split."""
        rows = np.flatnonzero(np.array(self.splits) == split)
        labels = None if self.labels is None else self.labels[rows]
        return Part(self.images[rows], labels, self.names, unit=self.unit)


def check_scale(path: Path, parts: dict[str, Part]) -> None:
    """Raise FormatError for a split of 0 and 1 alone, taken for bytes, beside divided pixels."""
    divided = [name for name, part in parts.items() if part.unit]
    for name, part in parts.items():
        if divided and not part.unit and part.images.max(initial=0) == 1:
            raise FormatError(
                f"{path}: the pixels of {divided[0]} are divided by 255 or 256, and those of "
                f"{name} are all 0 or 1: give -R scale=unit if 1 is white, or -R scale=byte"
            )


def joined(
    path: Path,
    parts: dict[str, Part],
    sidecar: _sidecar.Sidecar | None,
    progress: Progress,
) -> Dataset:
    """The dataset of the parts: numbers are labels, names are classes in alphabetical order."""
    filled = {name: part for name, part in parts.items() if part.labels is not None}
    filled = {name: part for name, part in filled.items() if len(part.images)}
    named = [name for name, part in filled.items() if part.names is not None]
    if len(named) not in (0, len(filled)):
        raise FormatError(f"{path}: the labels of {', '.join(named)} are names, others are numbers")
    if sidecar:
        classes = sidecar.classes
    elif named:
        used = {name: set(part.names or ()) for name, part in filled.items()}
        for note in _classnames.check_shared(str(path), used):
            progress.note(note)
        classes = _all_names([part.names or () for part in filled.values()])
    else:
        classes = _sidecar.classes(None, _splits(filled, ()), path)
    if unlabelled := [name for name, part in parts.items() if part.labels is None]:
        classes = classes if _UNLABELLED in classes else (*classes, _UNLABELLED)
        for name in unlabelled:
            images = parts[name].images
            labels = np.full(len(images), classes.index(_UNLABELLED), np.int64)
            parts[name] = Part(images, labels, None)
    return Dataset(path.name, _splits(parts, classes), classes)


def _all_names(names: list[tuple[str, ...]]) -> tuple[str, ...]:
    """All names in alphabetical order; in their own where all have the same."""
    return names[0] if len(set(names)) == 1 else tuple(sorted({n for part in names for n in part}))


def _splits(parts: dict[str, Part], classes: tuple[str, ...]) -> dict[str, Split]:
    splits = {}
    for name, part in parts.items():
        labels = part.labels if part.labels is not None else np.empty(0, np.int64)
        if part.names is not None:
            if strange := [label for label in part.names if label not in classes]:
                raise FormatError(
                    f"{name}: {printable(strange[0], 40)!r} is none of the {len(classes)} classes "
                    f"in {_sidecar.NAME}"
                )
            labels = np.array([classes.index(label) for label in part.names], np.int64)[labels]
        splits[name] = Split(part.images, labels)
    return splits
