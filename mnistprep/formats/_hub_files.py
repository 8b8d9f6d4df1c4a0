"""Which files of a folder are of which split: shards by their names, none left out or merged."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from mnistprep import _foreign
from mnistprep._files import head
from mnistprep._streams import is_packed
from mnistprep._text import printable
from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats._splits import by_split, named_split

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?![0-9])")
_HASH = re.compile(r"-[0-9a-f]{16}$")  # datasets once put one behind the number of a shard
_NUMBER = re.compile(r"(?<![a-z0-9])\d+(?![a-z0-9])", re.IGNORECASE)
_SPLIT_FOLDER = re.compile(
    r"(?:(?!partial).*[-_. ])?(?:train|training|valid|validation|val|dev|test|testing|eval|t10k)"
    r"(?:\.(?:parquet|pq|arrow))?",  # as Spark calls a folder of parts
    re.IGNORECASE,
)
_PACKING = re.compile(
    r".*\.(?:md|txt|rst|pdf|html?|py|ipynb|ya?ml|json|toml|cfg|lock|png|jpe?g|svg)|licen[cs]e|readme",
    re.IGNORECASE,
)
_DEPTH = 6  # folders that may be around a dataset, as in the cache of Hugging Face's hub


def folders(path: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones; quick where there are many files."""
    with os.scandir(path) as entries:
        return sorted(
            path / entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir()
        )


def unwrapped(path: Path, holds: Callable[[Path], bool]) -> Path:
    """The folder with a dataset, by `holds`, that others are only packing around; else `path`.

    Packing is a folder with one folder in it and no data, and the clones in the cache of Hugging
    Face's hub (snapshots/<commit> beside blobs and refs).
    """
    folder = path
    for _ in range(_DEPTH):
        if holds(folder):
            return folder
        inside = folders(folder)
        if {"snapshots", "blobs"} <= {one.name for one in inside}:
            inside = [folder / "snapshots"]
        if len(inside) != 1:
            break
        names = (entry.name for entry in folder.iterdir() if entry.is_file())
        if not all(_PACKING.fullmatch(name) or name.startswith(".") for name in names):
            break
        [folder] = inside
    return path


def is_split_folder(folder: Path) -> bool:
    """Whether a folder is called like a split."""
    return _SPLIT_FOLDER.fullmatch(folder.name) is not None


def splits(
    where: Path, files: Iterable[Path], written: Callable[[Path], str | None], *, whole: bool
) -> dict[str, list[Path]]:
    """The files of each split, in the order of their numbers, in the order of SPLITS.

    A file is of the split that its name says, or that of its folder in `where`, or the file itself
    (`written`), or else of train. Raises FormatError when two kinds of names are of one split, and,
    with `whole`, when a shard is not there.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        stem = _NUMBER.sub("#", _HASH.sub("", file.stem))
        groups.setdefault((file.parent, stem), []).append(file)
    found: dict[str, list[Path]] = {}
    for (parent, _), group in groups.items():
        if whole:
            _check_shards(group)
            _check_numbers(group)
        first = group[0]
        split = named_split(first.name) or _of_folder(where, parent) or written(first) or "train"
        if split in found:
            names = " and ".join(printable(part[0].name, 60) for part in (found[split], group))
            raise FormatError(
                f"{where}: {names} would both be {split}, by their names; give the path of one, or "
                "rename the other"
            )
        [found[split]] = by_split(group).values()
    return {split: found[split] for split in SPLITS if split in found}


def _check_numbers(group: list[Path]) -> None:
    """Raise FormatError for a gap in the numbers of files that do not say how many they are."""
    numbers = [list(map(int, _NUMBER.findall(_HASH.sub("", file.stem)))) for file in group]
    columns = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    if len(columns) != 1 or any(_SHARD.search(file.name) for file in group):
        return
    [there] = columns
    first = min(min(there), 1)
    lost = next(k for k in range(first, max(there) + 2) if k not in there)
    if lost <= max(there) and len(set(there)) == len(group):
        raise FormatError(
            f"{group[0].parent}: number {lost} of {printable(group[0].name, 60)} and the others is "
            "missing; get it too, or give the path of one file"
        )


def _of_folder(where: Path, parent: Path) -> str | None:
    folders = [parent, *parent.parents]
    inner = folders[: folders.index(where) + 1]  # a folder of one split may be what was asked for
    return next((named_split(folder.name) for folder in inner if is_split_folder(folder)), None)


def _check_shards(group: list[Path]) -> None:
    numbers = [(int(m[1]), int(m[2])) for file in group if (m := _SHARD.search(file.name))]
    for total in {total for _, total in numbers}:
        there = {number for number, of in numbers if of == total}
        for number in range(total):
            if number not in there:
                some = next(file for file in group if f"of-{total:05}" in file.name)
                name = _SHARD.sub(f"-{number:05}-of-{total:05}", some.name)
                raise FormatError(f"{some.parent}: {name} is missing; get it too")
    if len({total for _, total in numbers}) > 1:
        raise FormatError(
            f"{group[0].parent}: shards of two sets, {group[0].name} and {group[-1].name}; "
            "keep one set"
        )


def instead(file: Path) -> str:
    """What a file is that is not what its name says."""
    if words := _foreign.what(file):
        return words
    if is_packed(file):
        return "a compressed file; decompress it first"
    if head(file, 4) == b"FEA1":
        return "Feather of version 1; write it again as version 2"
    return f"{file.stat().st_size:,} bytes of something else"
