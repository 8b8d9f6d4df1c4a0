"""The folders that save_to_disk of Hugging Face datasets leaves, and what their tables list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from pathlib import Path
from typing import Any

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_files, _sidecar
from mnistprep.formats._splits import named_split

DICT, STATE = "dataset_dict.json", "state.json"


def saved(folder: Path) -> dict[str, Path]:
    """The folders of splits that were saved one by one; none where that is not all there is."""
    inner = _hub_files.folders(folder)
    found = {named_split(entry.name) or "": entry for entry in inner}
    whole = len(found) == len(inner) and all((entry / STATE).is_file() for entry in inner)
    return found if whole and "" not in found else {}


def split_folders(path: Path) -> dict[str, Path]:
    names = _sidecar.table(path / DICT).get("splits")
    if not isinstance(names, list) or not names:
        raise FormatError(f"{path / DICT}: expected a list of `splits`; get it again")
    folders: dict[str, Path] = {}
    for name in names:
        split = named_split(name) if isinstance(name, str) else None
        shown = printable(str(name), 40)
        if split is None or split in folders or Path(name).name != name:
            raise FormatError(
                f"{path}: split {shown!r} is no other train, validation or test; give the path of "
                "one split's folder"
            )
        if not (path / name / STATE).is_file():
            raise FormatError(f"{path / name}: {STATE} is missing; get the split again")
        folders[split] = path / name
    return folders


def unlisted(path: Path, folders: Collection[Path], used: Container[Path]) -> list[Path]:
    """Splits and files of rows in and beside these folders that no table lists.

    Files called cache-* are results that datasets keeps.
    """
    found = [
        other
        for other in _hub_files.folders(path)
        if other not in folders and (other / STATE).is_file()
    ]
    for folder in folders:
        files = sorted(folder.glob("*.arrow"))
        found += [file for file in files if file not in used and not file.name.startswith("cache-")]
    return found


def own_split(folder: Path) -> str:
    """The split of a Dataset that is alone: what it was loaded as, or its folder's name."""
    stated = _sidecar.table(folder / STATE).get("_split")
    named = named_split(stated) if isinstance(stated, str) else None
    return named or named_split(folder.name) or "train"


def listed(folder: Path, entries: Any, is_arrow: Callable[[Path], bool]) -> list[Path]:
    """The files that state.json lists, which lie in its own folder; none for an empty split."""
    files = []
    for entry in entries if isinstance(entries, list) else [None]:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or Path(name).name != name or "\0" in name:
            raise FormatError(f"{folder / STATE}: expected a list of the files of its own folder")
        if not (folder / name).is_file():
            raise FormatError(f"{folder / printable(name, 80)} is missing; get the split again")
        if not is_arrow(folder / name):
            wrong = _hub_files.instead(folder / name)
            raise FormatError(f"{folder / printable(name, 80)}: not Arrow, but {wrong}")
        files.append(folder / name)
    return files
