"""Pictures as the tests of CSV have them, written by pandas in the ways of other people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas

import mnistprep
from mnistprep import Dataset, formats
from mnistprep._progress import Quiet

CHANCE = np.random.default_rng(1)
IMAGES = CHANCE.integers(0, 256, (30, 5, 5), dtype=np.uint8)
IMAGES[:, [0, -1], :] = 0
LABELS = np.append(9, CHANCE.integers(0, 10, 29))
FLAT = IMAGES.reshape(30, 25).astype(int)
WORDS = np.array(["sneaker", "bag", "coat", "T-shirt/top", "dress", *"fghij"])


class Notes(Quiet):
    """A Progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)


def frame(names: str = "pixel{}", first: int = 0, pixels: np.ndarray = FLAT) -> pandas.DataFrame:
    """The pictures as a table, the label first."""
    table = pandas.DataFrame(pixels, columns=[names.format(first + k) for k in range(25)])
    table.insert(0, "label", LABELS)
    return table


def same(path: Path, *, notes: str = "", **options: object) -> Dataset:
    """The path is one file of a split with the pictures and labels above; a note says `notes`."""
    assert formats.matches(path) == ["csv"]
    said = Notes()
    found = mnistprep.read(path, progress=said, **options)
    (split,) = found.splits.values()
    assert np.array_equal(split.images, IMAGES)
    assert np.array_equal(split.labels, LABELS)
    assert notes in "\n".join(said.notes)
    places = formats.get("csv").places(path, next(iter(found.splits)), range(30))
    assert len(set(places)) == 30
    return found


def save(tmp_path: Path, text: str | bytes, name: str = "train.csv") -> Path:
    """A file of that content."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def text(table: pandas.DataFrame | None = None, **options: object) -> str:
    """The text of a table as pandas writes it, without an index."""
    return str((frame() if table is None else table).to_csv(index=False, **options))
