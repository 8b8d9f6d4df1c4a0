"""What is measured: groups of cases, the contenders of each, the figures that are to be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy.typing as npt

from benchmarks.given import Given

OURS = "mnistprep"
Splits = Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]

# Each group is the module of this name, with its cases in CASES; the page has them in this order.
GROUPS = {
    "tree": "A tree of PNG files",
    "tables": "CSV",
    "packed": "Arrays: idx, idx-gz, pkl, npz, safetensors, pt",
    "records": "Records: parquet, arrow, webdataset, tfrecord",
    "stores": "Other tools' files: hdf5, mat, arff, libsvm",
    "loading": "Loaders",
    "training": "Training",
    "verifying": "Verification",
    "startup": "Start",
    "memory": "Memory",
    "growth": "Growth",
}


class Told(dict[str, float]):
    """Numbers that a contender tells of its work, such as an accuracy; kept beside the seconds."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case.

    setup: imports and prepares what it needs, and returns the function that is timed; that one's
        result goes to `content`, or is a Told. command: instead, what to run as a process, which is
        measured as a whole; `tells` makes a Told of its output.
    content: what was read, or what is in `given.out` now, as arrays for each split; not timed.
    role: mnistprep itself, somebody else's tool, or the least that any tool has to do.
    needs: modules without which it is left out; "cuda" is a GPU for PyTorch.
    rounds: the most rounds, for what is slow. pictures: where they are not those of the case.
    """

    name: str
    setup: Callable[[Given], Callable[[], Any]] | None = None
    content: Callable[[Given, Any], Splits] | None = None
    role: Literal["ours", "peer", "floor"] = "peer"
    needs: tuple[str, ...] = ()
    rounds: int | None = None
    pictures: int | None = None
    command: Callable[[Given], list[str]] | None = None
    tells: Callable[[str], Told] | None = None


@dataclass(frozen=True)
class Figure:
    """A bound on a measure of `of`: on its ratio to that of `against`, or on the value itself.

    least: `against` takes at least so many times what `of` takes (alone: the value is at least
    that). most: `of` takes at most so many times what `against` takes (alone: at most that).
    """

    against: str | None = None
    least: float | None = None
    most: float | None = None
    of: str = OURS
    measure: str = "seconds"


@dataclass(frozen=True)
class Case:
    """A piece of work, and who does it.

    inputs: what is made before anything is timed; see Given.made.
    splits: what every content holds. ordered: whether the order of the examples is part of it.
    pictures: the splits that a time per picture is about; none where that says nothing.
    rounds: instead of the number that was asked for.
    """

    name: str
    contenders: tuple[Contender, ...]
    figures: tuple[Figure, ...] = ()
    inputs: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "test")
    ordered: bool = True
    pictures: tuple[str, ...] = ("train", "test")
    rounds: int | None = None


def cases(group: str) -> tuple[Case, ...]:
    """The cases of a group."""
    found: tuple[Case, ...] = import_module(f"benchmarks.{group}").CASES
    return found


def find(group: str, case: str, contender: str) -> tuple[Case, Contender]:
    """A case and one of its contenders, by their names."""
    row = next(row for row in cases(group) if row.name == case)
    return row, next(one for one in row.contenders if one.name == contender)
