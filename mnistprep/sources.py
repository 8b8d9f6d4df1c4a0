"""A dataset by its name: downloaded and read, or drawn by the package itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mnistprep import catalog, convert
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UsageError

_SIZED = re.compile(r"synth:(\d{1,12})(?:,(\d{1,12}))?")


def load(
    name: str = "mnist",
    *,
    mirrors: Sequence[str | Path] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Dataset:
    """The named dataset, verified, from the cache, a mirror or the package itself.

    `synth` is drawn: 60,000 and 10,000 pictures, or as many as "synth:TRAIN" (with a sixth for
    test) or "synth:TRAIN,TEST" says, of the stream that `seed` starts. Raises UnknownName,
    FetchError.
    """
    sizes = _SIZED.fullmatch(name)
    if sizes or name == "synth":
        from mnistprep import synth

        train = int(sizes[1]) if sizes else 60_000
        test = int(sizes[2]) if sizes and sizes[2] else train // 6
        return synth.generate(train, test, seed=seed, workers=workers, progress=progress)
    if name.startswith("synth:"):
        raise UsageError(f"{name!r}: expected synth, synth:TRAIN or synth:TRAIN,TEST in pictures")
    row = catalog.get(name)
    from mnistprep import download

    dataset = convert.read(download.fetch(name, mirrors, progress=progress), row.form)
    splits = {split: _part(dataset.splits[split], row.slices.get(split)) for split in row.splits}
    return Dataset(name, splits, row.classes)


def _part(split: Split, part: tuple[int, int] | None) -> Split:
    if part is None:
        return split
    return Split(split.images[slice(*part)], split.labels[slice(*part)])
