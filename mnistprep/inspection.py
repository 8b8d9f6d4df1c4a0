"""What a path holds: its format, its examples, its digests, and whether the catalog knows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistprep import _outputs, _png, catalog, convert
from mnistprep._files import atomic_path
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Digest, class_counts, idx_hashes
from mnistprep.errors import TargetError, UsageError
from mnistprep.report.sheets import by_class


@dataclass(frozen=True)
class Content:
    """What is known of the examples of one digest: `train` (followed by `valid`) or `test`."""

    identity: str
    digest: Digest


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found.

    shape: of one picture. counts: examples per class, in label order, of every split. contents:
    digests and identity of `train` (with `valid` at its end) and `test`.
    """

    path: str
    format: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    contents: dict[str, Content]

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists, strings and numbers."""
        return asdict(self)

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        lines = [
            f"path     {printable(self.path)}",
            f"format   {self.format}",
            f"picture  {size}, uint8",
            f"classes  {len(self.classes)}: {printable(', '.join(self.classes[:60]))}",
        ]
        for name, counts in self.counts.items():
            lines.append(f"{name:8} {sum(counts):,} examples")
            lines.append(f"         per class: {' '.join(map(str, counts))}")
        for name, content in self.contents.items():
            with_valid = (
                " (followed by valid)" if name == "train" and "valid" in self.counts else ""
            )
            lines += [
                f"{name}{with_valid} is: {content.identity}",
                f"    images     {content.digest.images}",
                f"    labels     {content.digest.labels}",
                f"    unordered  {content.digest.unordered}",
            ]
        return "\n".join(lines)


def inspect(
    path: convert.PathLike,
    format: str | None = None,
    *,
    preview: convert.PathLike | None = None,
    labels: convert.PathLike | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Inspection:
    """Read what is at `path` and say what it is; `preview` is a PNG file for a contact sheet.

    labels: a CSV file for all columns of IDX label files, of which QMNIST has eight. `options` are
    those of the format's `read`. Raises what mnistprep.read raises, UsageError for a preview that
    is not called .png and for labels of what is not IDX, and TargetError for what cannot be
    written.
    """
    sheet = None if preview is None else Path(preview)
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise UsageError(f"{sheet}: the preview is a PNG; give a name that ends in .png")
        _outputs.refuse(sheet, overwrite=overwrite, sources=[Path(path)])
        if labels is not None:
            _outputs.refuse_same(sheet, Path(labels), "the preview and the label table")
    found = convert.locate(path, format, workers=workers, progress=progress, **options)
    dataset = found.dataset
    if sheet is not None and found.format == "imagefolder" and _outputs.lies_in(sheet, found.at):
        raise TargetError(
            f"{sheet} would be one of the pictures of {found.path}; choose a path outside of it"
        )
    if labels is not None:
        _write_labels(found, Path(path), Path(labels), str(options.get("name", "auto")), overwrite)
    if sheet is not None:
        with atomic_path(sheet, overwrite=overwrite) as staging:
            staging.write_bytes(next(_png.encode(by_class(dataset)[np.newaxis])))
    count = len(dataset.classes)
    return Inspection(
        path=str(found.path),
        format=found.format,
        shape=dataset.shape,
        classes=dataset.classes,
        counts={
            split: tuple(class_counts(part, count).tolist())
            for split, part in dataset.splits.items()
        },
        contents={
            split: Content(_identity(dataset, split, digest), digest)
            for split, digest in dataset.digests().items()
        },
    )


def _write_labels(
    found: convert.Found, asked: Path, target: Path, name: str, overwrite: bool
) -> None:
    if found.format not in ("idx", "idx-gz"):
        raise UsageError(f"label tables are a matter of IDX files; {found.path} is {found.format}")
    from mnistprep.labels import is_table, read_tables, write_csv

    _outputs.refuse(target, overwrite=overwrite, sources=[asked, found.path], own=is_table)
    write_csv(read_tables(found.at, name), target, overwrite=overwrite)


def _identity(dataset: Dataset, split: str, digest: Digest) -> str:
    if known := match(dataset, split, digest):
        return str(known)
    count = sum(map(len, dataset.parts(split)))
    if alike := catalog.resembles(split, count, dataset.shape, len(dataset.classes)):
        return f"unknown; as many examples as {alike.title} {split}, whose digests nobody published"
    return "unknown"


def match(dataset: Dataset, split: str, digest: Digest) -> catalog.Match | None:
    """What the catalog knows `train` (followed by `valid`) or `test` of the dataset to be."""
    if not may_match(dataset, split):
        return None
    return catalog.identify(
        digest, lambda: idx_hashes(dataset.parts(split), len(dataset.classes), "md5")
    )


def may_match(dataset: Dataset, split: str) -> bool:
    """Whether the catalog knows any split of as many examples."""
    count = sum(map(len, dataset.parts(split)))
    return any(count in row.splits.values() for row in catalog.DATASETS.values())
