"""Files of records without the tables of TensorFlow Datasets, and their splits."""

from __future__ import annotations

import re
from pathlib import Path

from mnistprep import _foreign
from mnistprep._files import head
from mnistprep._text import printable
from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_files, _records, _sidecar, _tfds
from mnistprep.formats._splits import named_split

_NAMED = re.compile(r"tf_?rec|\.records?\b", re.IGNORECASE)
_TEXT_LIMIT = 64 << 20  # bytes
_ZLIB = (b"x\x01", b"x\x9c", b"x\xda")  # TFRecordOptions("_ZLIB")


def homes(path: Path) -> list[Path]:
    """The folders with files of records: one, or those that are called as splits."""
    found = _hub_files.unwrapped(path, _holds)
    return [found] if files(found) else _split_folders(found) or [found]


def _holds(folder: Path) -> bool:
    return bool(files(folder) or _split_folders(folder))


def _split_folders(folder: Path) -> list[Path]:
    inner = _hub_files.folders(folder)
    return [entry for entry in inner if _hub_files.is_split_folder(entry) and files(entry)]


def files(folder: Path) -> list[Path]:
    """The files in a folder that are called as those of records are."""
    return sorted(
        file
        for file in folder.iterdir()
        if _NAMED.search(file.name) and not file.name.startswith(".") and file.is_file()
    )


def is_in_place(file: Path) -> bool:
    """Whether a file, called as one of records, is known for something else: a pointer, say."""
    return head(file, 2) in _ZLIB or (file.stat().st_size > 0 and _foreign.what(file) is not None)


def loose(path: Path) -> _tfds.Info:
    """The files of records in a folder, or in its folders of splits, without TFDS's tables."""
    found: dict[str, list[Path]] = {}
    tops = homes(path)
    for folder in tops:
        for name, group in _records.by_split(files(folder), folder).items():
            split = (
                named_split(folder.name) if _hub_files.is_split_folder(folder) else None
            ) or name
            if split in found:
                raise FormatError(
                    f"{path}: {printable(folder.name)} is {split} for a second time; keep one"
                )
            found[split] = group
    if not found:
        raise FormatError(f"{path}: no files of records here")
    for file in (file for group in found.values() for file in group):
        if head(file, 2) in _ZLIB:
            raise FormatError(
                f"{file}: compressed by zlib, which is not opened; decompress it first"
            )
        empty = not file.stat().st_size and (path / _sidecar.NAME).is_file()
        if not empty and (wrong := _foreign.what(file)):
            raise FormatError(f"{file}: {wrong}")
    info = _tfds.Info(
        {name: [(file, None) for file in found[name]] for name in SPLITS if name in found}
    )
    home = tops[0] if len(tops) == 1 else tops[0].parent
    info.classes = _slim_names(home / "labels.txt")
    return info


def _slim_names(path: Path) -> tuple[str, ...] | None:
    """The class names in TF-slim's labels.txt: a line `<label>:<name>` for each; None without."""
    if not path.is_file() or path.stat().st_size > _TEXT_LIMIT:
        return None
    lines = path.read_text("utf-8", "replace").splitlines()
    pairs = [line.partition(":") for line in lines]
    numbered = [number for number, _, _ in pairs] == [str(k) for k in range(len(pairs))]
    names = tuple(name for _, _, name in pairs)
    return names if numbered and len(set(names)) == len(names) else None
