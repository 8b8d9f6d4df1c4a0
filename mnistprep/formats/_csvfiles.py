"""Files of a table: which of a folder's are splits, and what is known of some published ones."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path

from mnistprep._files import head
from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats import _csvpacked, _csvtext
from mnistprep.formats._splits import named_split

_NAME = re.compile(r"[^.].*\.(csv|tsv)(\.(gz|bz2|xz|zip))?", re.IGNORECASE)
_PACKED = re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|PK\x03\x04")
_ENDINGS = {".tra": "train", ".tes": "test"}  # UCI's
_LABELS = re.compile(r"(?<![a-z])(labels?|lbls?|targets?|y)(?![a-z])", re.IGNORECASE)
_LOOK = 64 << 10  # bytes; the first lines of most files
_LEAST = 16  # numbers in a row that is not plain: a picture of 4 x 4
_STEP = 1 << 20  # bytes
_MOST = 16  # files of any name, in a folder of train.txt and test.txt
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


def is_told(path: Path) -> bool:
    """Whether a file is no table, but nobody else can say what is wrong with it."""
    spreadsheet = path.suffix.lower() == ".csv" and _csvtext.is_spreadsheet(path)
    return spreadsheet or _csvtext.is_octave(path)


def is_cut(path: Path) -> bool:
    """Whether a file called as a compressed table is, but of nothing that can be inflated."""
    packed = _NAME.fullmatch(path.name) and path.stat().st_size and _PACKED.match(head(path, 6))
    return bool(packed) and not _csvpacked.start_of(path, _LOOK)


def is_rows(path: Path, *, own: bool) -> bool:
    """Whether a file is a text of rows of numbers, below names or other lines."""
    if _csvtext.no_table(path):
        return False
    lines = _csvtext.first_lines(path, _LOOK)
    if len(lines) < 4 and not any(b"\0" in line for line in lines):
        lines = _csvtext.first_lines(path, _csvtext.LINE_LIMIT)
    if not lines or b"\0" in lines[0]:
        return False
    separator = _csvtext.separator_of(lines[:20])
    return any(_is_row(line, separator, own=own) for line in (lines[1:4] or lines))


def is_empty_split(path: Path) -> bool:
    """Whether a file is what mnistprep writes for a split without examples: names, or nothing."""
    lines = _csvtext.first_lines(path, _csvtext.LINE_LIMIT)
    return named_split(path.name) is not None and (
        not lines or (len(lines) == 1 and b"label" in lines[0])
    )


def _is_row(line: bytes, separator: bytes, *, own: bool) -> bool:
    fields = _csvtext.split(line, separator)
    words = [field for field in fields if not _csvtext.is_number(field)]
    if len(words) > 2 or any(re.search(rb"[][{}<>:=@]", word) for word in words):
        return False
    if not words and all(re.fullmatch(rb"[-+0-9.,eE\" ]+", field) for field in fields):
        return len(fields) > (1 if own else 3 if separator == b"," else 4)
    return len(fields) - len(words) >= _LEAST


def tables(folder: Path, *, own: bool) -> list[Path]:
    """The files of a folder that may be its tables.

    They are called .csv, or after their splits; or lie alone in folders that are called so. Beside
    other folders, which may be the dataset, only the files that mnistprep wrote (`own`) count.
    """
    inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in inside if entry.is_dir()]
    files = [entry for entry in inside if entry.is_file()]
    named = [file for file in files if _NAME.fullmatch(file.name)]
    if own or (named and not folders):
        return named
    said = [file for file in files if said_split(file)]
    if not folders:
        return said if len(files) <= _MOST else []
    if named or said or not all(said_split(entry) for entry in folders):
        return []
    below = [[file for file in one.glob("[!.]*") if _NAME.fullmatch(file.name)] for one in folders]
    return [file for group in below for file in group if len(group) == 1 and file.is_file()]


def said_split(path: Path) -> str | None:
    """The split that the name of a file or a folder says: csvTrainImages.csv, optdigits.tes."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.name)
    return named_split(apart) or _ENDINGS.get(path.suffix.lower())


def split_of(file: Path) -> str:
    """The split that a file is, by its name."""
    return said_split(file) or "train"


def says_labels(file: Path) -> bool:
    """Whether the name of a file says that it has labels: y_train.csv, csvTrainLabel.csv."""
    return bool(_LABELS.search(re.sub(r"(?<=[a-z])(?=[A-Z0-9])|_", " ", file.name)))


def emnist(file: Path) -> str | None:
    """The part of EMNIST that a file has the published name of, if any."""
    found = _EMNIST.fullmatch(file.name)
    return found[1].lower() if found else None


def by_split(
    path: Path, is_rows: Callable[[Path], bool], ignored: Callable[[str], None], *, own: bool
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The file of every split, and those of labels alone; `ignored` is told of other tables.

    Raises FormatError for two files of a split, and for a file that should be a split and is none.
    """
    if not path.is_dir():
        return {split_of(path): path}, {}
    files: dict[str, list[Path]] = {}
    lists: dict[str, Path] = {}
    for file in tables(path, own=own):
        split = split_of(file if file.parent == path else file.parent)
        if is_rows(file):
            files.setdefault(split, []).append(file)
        elif not own and says_labels(file) and split not in lists and _csvtext.is_list(file):
            lists[split] = file
        elif said_split(file) is None and file.parent == path:
            ignored(f"{file}: no rows of pictures; left out")
        else:
            reason = _csvtext.no_table(file) or _csvtext.no_rows(file)
            raise FormatError(f"{file}: {reason}; remove it to read the others")
    for name, group in files.items():
        group.sort(key=lambda file: len(file.name))
        for file in [file for file in group[1:] if _same(group[0], file)]:
            ignored(f"{file}: the same as {group[0].name}; left out")
            group.remove(file)
        if len(group) > 1:
            listed = " and ".join(file.name for file in group[:4])
            raise FormatError(
                f"{path}: {listed} are both {name}; give the path of one file, keep one, or name "
                "the others after their splits"
            )
    if not files:
        raise FormatError(f"{path}: no .csv files of pictures here")
    return {name: files[name][0] for name in SPLITS if name in files}, lists


def _same(one: Path, other: Path) -> bool:
    """Whether two tables have the same bytes, once inflated: train.csv.zip beside train.csv."""
    first, second = _csvpacked.content_of(one), _csvpacked.content_of(other)
    steps = range(0, len(first), _STEP)
    return len(first) == len(second) and all(
        bytes(first[k : k + _STEP]) == bytes(second[k : k + _STEP]) for k in steps
    )
