"""Files of a table: which of a folder's are splits, and what is known of some published ones."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path

from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats import _csvtext
from mnistprep.formats._splits import named_split

_NAME = re.compile(r"[^.].*\.(csv|tsv)(\.(gz|bz2|xz))?", re.IGNORECASE)
_EMNIST = re.compile(
    r"emnist-(byclass|bymerge|balanced|letters|digits|mnist)-(train|test)\.csv(\.\w+)?",
    re.IGNORECASE,
)
_MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"
# Classes in label order (arXiv:1702.05373); the labels of letters start at 1.
EMNIST = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


def tables(folder: Path) -> list[Path]:
    """The files of a folder that are called like tables."""
    return sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))


def split_of(file: Path) -> str:
    """The split that a file is, by its name."""
    return named_split(file.name) or "train"


def emnist(file: Path) -> str | None:
    """The part of EMNIST that a file has the published name of, if any."""
    found = _EMNIST.fullmatch(file.name)
    return found[1].lower() if found else None


def by_split(
    path: Path, is_rows: Callable[[Path], bool], ignored: Callable[[str], None]
) -> dict[str, Path]:
    """The file of every split; `ignored` is told of tables that are no pictures.

    Raises FormatError for two files of a split, and for a file that should be a split and is none.
    """
    if not path.is_dir():
        return {split_of(path): path}
    files: dict[str, list[Path]] = {}
    for file in tables(path):
        if is_rows(file):
            files.setdefault(split_of(file), []).append(file)
        elif named_split(file.name) is None:
            ignored(f"{file}: no rows of pictures; left out")
        else:
            reason = _csvtext.no_table(file) or "no rows of pictures"
            raise FormatError(f"{file}: {reason}; remove it to read the others")
    for name, group in files.items():
        if len(group) > 1:
            listed = " and ".join(file.name for file in group[:4])
            raise FormatError(
                f"{path}: {listed} are both {name}; give the path of one file, keep one, or name "
                "the others after their splits"
            )
    if not files:
        raise FormatError(f"{path}: no .csv files of pictures here")
    return {name: files[name][0] for name in SPLITS if name in files}
