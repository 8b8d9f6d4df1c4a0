"""Read, choose, write: from any form to any other."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnistprep import formats
from mnistprep._files import atomic_path, existing, refuse_existing
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset
from mnistprep.errors import DataError, FormatError, MnistprepError, TargetError, describe
from mnistprep.selection import Selection, select

PathLike = str | os.PathLike[str]


def read(
    path: PathLike,
    format: str | None = None,
    *,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Dataset:
    """The dataset at `path`, in the named format or in the one its content shows.

    Pictures may be memory-mapped: the files must stay as they are while the dataset is used.
    Raises MissingPath, DetectionError, FormatError.
    """
    return locate(path, format, workers=workers, progress=progress)[0]


def locate(
    path: PathLike,
    format: str | None = None,
    *,
    workers: int | None = None,
    progress: Progress = quiet,
) -> tuple[Dataset, str, Path]:
    """What `read` gives, with the name of the format and the path that it was found at."""
    where = existing(Path(path))
    try:
        name, where = formats.detect(where) if format is None else (format, where)
        reader = formats.get(name).read
        return reader(where, progress=progress, **_workers(reader, workers)), name, where
    except DataError as error:
        raise FormatError(f"{where}: {error}") from error
    except OSError as error:
        if isinstance(error, MnistprepError):
            raise
        raise FormatError(f"cannot read {where}: {describe(error)}") from error


def write(
    dataset: Dataset,
    path: PathLike,
    format: str | None = None,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Path:
    """Write `dataset` to `path` in the named format, or in the one its name ends in.

    The path appears when everything is written, and not at all otherwise. `options` are those of
    the format's `write`. Returns the path. Raises UsageError, TargetError, UnsupportedError.
    """
    target = Path(path)
    name = formats.of_target(target) if format is None else format
    writer = formats.get(name).write
    formats.check_options(name, options)
    with atomic_path(target, overwrite=overwrite) as staging:
        writer(dataset, staging, progress=progress, **_workers(writer, workers), **options)
    return target


def convert(
    source: PathLike,
    target: PathLike,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    selection: Selection | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Dataset:
    """Read `source`, keep what `selection` says, write it to `target`; returns what was written.

    Raises what `read`, `select` and `write` raise; a target that must stay is refused first.
    """
    end = Path(target)
    refuse_existing(end, overwrite=overwrite, sources=[Path(source)])
    name = formats.of_target(end) if target_format is None else target_format
    formats.check_options(name, options)
    dataset, _, where = locate(source, source_format, workers=workers, progress=progress)
    refuse_existing(end, overwrite=overwrite, sources=[where])
    if os.path.lexists(end) and where.resolve() in end.resolve().parents:
        raise TargetError(f"{target} is a part of the source {where}; it is not overwritten")
    chosen = dataset if selection is None else select(dataset, selection)
    write(chosen, target, name, overwrite=overwrite, workers=workers, progress=progress, **options)
    return chosen


def _workers(function: Callable[..., object], workers: int | None) -> dict[str, int | None]:
    """The `workers` argument, for the formats that work example by example."""
    return {"workers": workers} if "workers" in inspect.signature(function).parameters else {}
