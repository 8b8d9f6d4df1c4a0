"""Label tables of IDX files: all that QMNIST says of a digit, not its class alone."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistprep._files import atomic_path, existing, head
from mnistprep.errors import FormatError, MnistprepError, describe
from mnistprep.formats import _idx

Tables = dict[str, npt.NDArray[np.int64]]

# The README of github.com/facebookresearch/qmnist.
QMNIST_COLUMNS = (
    "class", "hsf_series", "writer", "digit_of_writer", "nist_class", "nist_index", "duplicate",
    "unused",
)  # fmt: skip


def read_tables(path: str | os.PathLike[str], name: str = "auto") -> Tables:
    """The label files at `path` by split, int64 (N, columns), as they are in the files.

    `path` is what the format `idx` reads, `name` which of several datasets there. QMNIST has the
    columns QMNIST_COLUMNS, other sets one. Raises MissingPath, FormatError.
    """
    where = existing(Path(path))
    try:
        return _idx.tables(where, name)
    except OSError as error:
        if isinstance(error, MnistprepError):
            raise
        raise FormatError(f"cannot read {where}: {describe(error)}") from error


def columns(count: int) -> tuple[str, ...]:
    """What the columns of a table are called: those of QMNIST where there are as many."""
    if count == len(QMNIST_COLUMNS):
        return QMNIST_COLUMNS
    return ("class", *(f"column{at}" for at in range(1, count)))


def is_table(path: Path) -> bool:
    """Whether a file starts as those that `write_csv` writes."""
    return head(path, 12).startswith((b"split,class\n", b"split,class,"))


def write_csv(
    tables: Mapping[str, npt.NDArray[np.int64]],
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Path:
    """Write tables as CSV: a header, then the split and the numbers of each example.

    Returns the path. Raises TargetError.
    """
    names = columns(max((table.shape[1] for table in tables.values()), default=1))
    with (
        atomic_path(Path(target), overwrite=overwrite) as staging,
        staging.open("x", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("split", *names))
        for split, table in tables.items():
            rows.writerows([split, *row] for row in table.tolist())
    return Path(target)
