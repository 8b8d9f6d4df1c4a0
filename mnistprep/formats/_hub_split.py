"""Tables in which a column says the split of each row, such as `split` with train and test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Split
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_columns, _hub_values
from mnistprep.formats._folders import SPLIT_FOLDERS

Rows = npt.NDArray[np.intp]
_YES_NO = {
    "is_train": {"true": "train", "1": "train", "false": "test", "0": "test"},
    "is_test": {"true": "test", "1": "test", "false": "train", "0": "train"},
}


class _Reader(Protocol):
    """What opens the files: see _hub.Reader."""

    @property
    def schema(self) -> Callable[[Path], Any]: ...

    @property
    def batches(self) -> Callable[[Path, list[str]], Iterator[Any]]: ...


def divided(
    where: Path,
    reader: _Reader,
    files: Mapping[str, list[Path]],
    columns: Mapping[Path, _hub_columns.Columns],
    splits: dict[str, Split],
    progress: Progress,
) -> dict[str, Split]:
    """The splits as a column says them, where one does for every row.

    Raises FormatError where the names of the files say others.
    """
    found = {split: _words(reader, group, columns) for split, group in files.items()}
    strange = [words for words in found.values() if words is None or None in words]
    if strange:
        for name in {column.split for column in columns.values() if column.split}:
            progress.note(f"{where}: not read: {printable(name, 30)}")
        return splits
    for split, words in found.items():
        if len(found) > 1 and words and set(words) != {split}:
            other = next(word for word in words if word != split)
            raise FormatError(
                f"{files[split][0]}: rows of {other} in a file that is {split} by its name; "
                "correct one of them"
            )
    if len(found) > 1:
        return splits
    [(split, words)] = found.items()
    return {name: splits[split].take(rows) for name, rows in _rows(words or []).items()} or splits


def rows(reader: _Reader, files: Mapping[str, list[Path]], split: str) -> Rows | None:
    """The rows of a split in the files of one that a column divides; None where none does."""
    if len(files) != 1:
        return None
    [group] = files.values()
    columns = {file: _hub_columns.find(reader.schema(file), file) for file in group}
    words = _words(reader, group, columns)
    return None if not words or None in words else _rows(words).get(split)


def _rows(words: list[str | None]) -> dict[str, Rows]:
    said = np.array(words, dtype=object)
    found = {name: np.flatnonzero(said == name) for name in SPLITS}
    return {name: at for name, at in found.items() if len(at)}


def _words(
    reader: _Reader, files: list[Path], columns: Mapping[Path, _hub_columns.Columns]
) -> list[str | None] | None:
    """The split that every row says, None for a word that is none; None without a column."""
    words: list[str | None] = []
    for file in files:
        name = columns[file].split
        if name is None:
            return None
        for batch in reader.batches(file, [name]):
            values = _hub_values.objects(batch.column(0), f"{file}: {printable(name, 30)}")
            meant = _YES_NO.get(name.lower(), SPLIT_FOLDERS)
            words += [meant.get(str(value).lower()) for value in values]
    return words
