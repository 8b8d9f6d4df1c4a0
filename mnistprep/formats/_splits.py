"""Which split a file is of, by its name; what the forms with a file (or files) per split share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mnistprep.dataset import SPLITS

_WORDS = (
    ("train", "train"), ("test", "test"), ("t10k", "test"), ("eval", "test"),
    ("val", "valid"), ("dev", "valid"),
)  # fmt: skip


def named_split(name: str) -> str | None:
    """The split that a word of the name begins with, if any: `latest` has no `test`."""
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


def _natural(file: Path) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9]+", file.name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
