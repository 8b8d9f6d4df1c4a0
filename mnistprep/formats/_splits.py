"""Which split a file is of, by its name; what the forms with a file (or files) per split share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mnistprep._progress import Progress
from mnistprep.dataset import SPLITS, Split
from mnistprep.errors import UsageError

_WORDS = (
    ("train", "train"), ("test", "test"), ("t10k", "test"),
    # Whole words: `values`, `device` and `evaluator` say nothing.
    (r"eval(uation)?(set|data)?(?![a-z])", "test"),
    (r"(val(id(ation)?)?|dev(elopment)?)(set|data)?(?![a-z])", "valid"),
)  # fmt: skip


PUBLISHED = {"train": "train", "valid": "validation", "test": "test"}  # by Hugging Face and TFDS
OPENML = {"train": 60_000, "test": 10_000}  # pictures of 28x28 that one file has, in this order


def named_split(name: str) -> str | None:
    """The split that a word of the name begins with, if any: `latest` has none."""
    lower = name.lower()
    return next((s for word, s in _WORDS if re.search(rf"(?<![a-z]){word}", lower)), None)


def by_split(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by the split that their names say, `train` where they say none; in the order of SPLITS.

    The files of a split are in the order of their names, in which numbers count as numbers.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(files, key=_natural):
        found.setdefault(named_split(file.name) or "train", []).append(file)
    return {split: found[split] for split in SPLITS if split in found}


def divided(
    splits: Mapping[str, Split], train: int, where: object, progress: Progress, *, unsaid: bool
) -> dict[str, Split]:
    """The splits of files, of which a single one may hold train and then test.

    Its first `train` examples are train. Where that is -1, a file whose split nobody says (unsaid)
    is divided if it is as OpenML has MNIST and its like, and a note says so. Raises UsageError for
    a number that does not fit.
    """
    (whole, *more), first = splits.values(), train
    if train < 0:
        counted = len(whole) == sum(OPENML.values()) and whole.shape == (28, 28)
        if more or not unsaid or not counted:
            return dict(splits)
        first = OPENML["train"]
        progress.note(
            f"{where}: {len(whole):,} pictures, taken for {first:,} of train and then "
            f"{len(whole) - first:,} of test, as they are published; -R train={len(whole)} keeps "
            "them one"
        )
    elif more or train > len(whole):
        raise UsageError(
            f"train={train}: expected one split with as many examples, not {len(whole):,}"
        )
    spans = {"train": slice(first), "test": slice(first, None)}
    parts = {name: Split(whole.images[at], whole.labels[at]) for name, at in spans.items()}
    return {name: part for name, part in parts.items() if len(part)} or dict(splits)


def _natural(file: Path) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", file.name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
