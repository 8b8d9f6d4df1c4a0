"""Which pictures a tree holds, of which split and class: folders, files of labels, names."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mnistprep._files import head
from mnistprep._text import printable
from mnistprep.dataset import SPLITS
from mnistprep.errors import FormatError
from mnistprep.formats import _classnames, _flatnames, _labelfile, _labels, _sidecar
from mnistprep.formats._folders import (
    MAGIC,
    PICTURES,
    SPLIT_FOLDERS,
    Folders,
    last,
    split_word,
    stem,
)
from mnistprep.formats._stores import Store

INDEX = "index.txt"
METADATA = "metadata.csv"
UNLABELLED = "unlabelled"
_OWN = {INDEX, *_sidecar.OWN}
_DATA = re.compile(
    r".*(\.(gz|bz2|xz|zip|tar|np[yz]|pkl|pt|pth|safetensors|arrow|tfrecord|h5|hdf5|mat|arff)|ubyte)",
    re.IGNORECASE,
)
_NOTES = re.compile(r"(readme|licen[cs]e|copying|citation|notice)\b.*|.*\.(md|rst|pdf|html?)", re.I)
_IN_PLACE = (  # of pictures, by name: pointers and pages
    b"version https://", b"/annex/", b"../.git", b"<!", b"<html", b"<?xml", b"<svg", b"\0\0\0",
)  # fmt: skip
_SAID = 20  # ignored files that are named each
_TRIED = 5  # files of a folder of which one must be a picture


@dataclass
class Tree:
    """What a tree holds; names are the store's.

    top: the folder that the tree starts in; files: the pictures of each split, in order; labels:
    theirs, in the same order; classes: names in label order; shape: of the pictures, where a
    sidecar says it; notes: sentences about what was decided or ignored.
    """

    top: str
    files: dict[str, list[str]]
    labels: dict[str, list[int]]
    classes: tuple[str, ...]
    shape: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)
    own: bool = False
    """Whether mnistprep wrote it: with its index, and names that are those of the pixels."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its first bytes."""
    return head(path, 8).startswith(MAGIC)


def is_tree(store: Store) -> bool:
    """Whether a store, or a sample of it, holds pictures in one of the ways that are read."""
    folders = Folders(store)
    top = _unwrapped(folders, "")
    told = any(_labelfile.is_candidate(last(name)) for name in folders.others(top))
    top = _split_home(folders, top) if told else top
    if any(split_word(name) and not set("/.") & set(name) for name in store.strange):
        return True  # a link in the place of a split's folder, about which `plan` has a word
    here = {last(name) for name in folders.others(top)}
    if here >= {INDEX, _sidecar.NAME}:
        return True  # mnistprep's own, perhaps without pictures
    tables = (last(name) for folder in folders.inside[top] for name in folders.others(folder))
    if _sidecar.NAME in here and METADATA in tables:
        return True  # the same, in its other layout
    if not store.path.is_dir() and (any(map(_DATA.fullmatch, here)) or _has_samples(folders)):
        return False

    def shown(folder: str) -> bool:
        tried = folders.pictures(folder)[:_TRIED]
        heads = [store.head(name) for name in tried]
        return any(start.startswith((*MAGIC, *_IN_PLACE)) or not start for start in heads)

    for folder in folders.inside[top]:
        if shown(folder) or (
            split_word(last(folder)) and any(map(shown, _two_below(folders, folder)))
        ):
            return True
    flat = len(folders.pictures(top)) > (0 if told else 1) and shown(top)
    return flat and not any(
        not _NOTES.fullmatch(name) and not name.endswith(_labelfile.ENDINGS) for name in here - _OWN
    )


def _two_below(folders: Folders, folder: str) -> list[str]:
    inside = folders.inside[folder]
    return [*inside, *(deeper for one in inside[:1] for deeper in folders.inside[one])]


def _has_samples(folders: Folders) -> bool:
    """Whether pictures have a file of the same name for the label, as WebDataset's samples do."""
    for folder in folders.store.folders:
        keys = {last(name).partition(".")[0] for name in folders.pictures(folder)}
        for name in folders.others(folder):
            key, _, kind = last(name).lower().partition(".")
            if key in keys and kind in ("cls", "json", "txt", "cbor"):
                return True
    return False


def _unwrapped(folders: Folders, top: str) -> str:
    """The innermost folder that all lies in; folders with nothing else around it are packing."""
    while len(folders.inside[top]) == 1 and not folders.pictures(top):
        (only,) = folders.inside[top]
        if any(not _NOTES.fullmatch(last(name)) for name in folders.others(top)):
            break
        if last(only).lower() in SPLIT_FOLDERS or last(only).isdigit():
            break
        pictures = folders.pictures(only)
        if pictures and not folders.inside[only]:
            told = any(_labelfile.is_candidate(last(name)) for name in folders.others(only))
            if not told and _flatnames.rule([stem(name) for name in pictures]) is None:
                break  # a class folder, of the only class
        elif not folders.inside[only]:
            break
        top = only
    return top


def plan(store: Store, *, unlabelled: bool = False) -> Tree:
    """The pictures of a store with their labels.

    unlabelled: pictures without labels get a last class of their own. Raises FormatError for what
    cannot be told, links and special files, and for files of labels, indexes and class folders that
    do not fit the pictures.
    """
    if store.strange:
        where = store.where(sorted(store.strange)[0])
        raise FormatError(f"{where}: a link or special file; put a copy in its place")
    if written := _as_written(store):
        return written
    folders = Folders(store)
    top = _unwrapped(folders, "")
    sidecar = _find_sidecar(store, top)
    tops = _split_tops(folders, top)
    found = _labels.find(folders, top, tops, unlabelled=unlabelled, own=sidecar is not None)
    numbers, classes = _classnames.number(store.path, found.texts() | found.empty, sidecar)
    if found.lacking():
        if UNLABELLED in classes:
            raise FormatError(f"{store.path}: a class is called {UNLABELLED!r} already")
        classes = (*classes, UNLABELLED)
    tree = Tree(top, {}, {}, classes, sidecar.shape if sidecar else None)
    labels: dict[str, int] = {}
    for split in (name for name in SPLITS if name in found.labels):
        group = found.labels[split]
        for name, text in group.items():
            labels[name] = len(classes) - 1 if text is None else numbers[text]
        files = list(group)
        if split in found.by_folder:
            files.sort(key=lambda name: (labels[name], name))
        if files or (sidecar and split in found.listed):
            tree.files[split] = files
    if sidecar is None:
        tree.notes = _classnames.renumbered(str(store.path), numbers)
        texts = {split: set(filter(None, group.values())) for split, group in found.labels.items()}
        tree.notes += _classnames.check_shared(str(store.path), texts)
    tree.notes += found.notes + _ignored(folders, top, tops, found, own=sidecar is not None)
    index = f"{top}/{INDEX}" if top else INDEX
    if index in folders.others(top) and not found.listed:
        _order(store, tree, index, found.labels)
        tree.own = sidecar is not None
    tree.labels = {split: [labels[name] for name in files] for split, files in tree.files.items()}
    return tree


def _as_written(store: Store) -> Tree | None:
    """The tree, if it is just as mnistprep wrote it; None if anything is otherwise.

    Of what most trees are this takes a tenth of the time that all others take to be told.
    """
    top = store.folders[""]
    if store.junk or not {INDEX, _sidecar.NAME} <= set(top) <= _OWN:
        return None
    sidecar = _find_sidecar(store, "")
    try:
        text = store.one(INDEX).decode()
    except ValueError:
        return None
    lines = text.splitlines()
    ending = next((end for end in PICTURES if text.endswith(f"{end}\n")), "\n")
    if sidecar is None or text.count(f"{ending}\n") != len(lines):
        return None
    splits = [name for name in SPLITS if name in store.folders]
    classes = [folder.partition("/") for folder in store.folders if folder not in ("", *splits)]
    if any(split not in splits or "/" in name for split, _, name in classes):
        return None
    numbers = _classnames.of_sidecar(store.path, {name for _, _, name in classes}, sidecar.classes)
    homes: dict[str, dict[str, int]] = {split: {} for split in splits}
    for split, _, name in classes:
        homes[split][f"{split}/{name}"] = numbers[name]
    if any(store.folders[split] for split in splits):
        return None
    there = {
        f"{folder}/{name}"
        for home in homes.values()
        for folder in home
        for name in store.folders[folder]
    }
    if len(there) != len(lines) or there != set(lines):
        return None
    tree = Tree("", {}, {}, sidecar.classes, sidecar.shape, own=True)
    at = 0
    for split, home in homes.items():
        size = sum(len(store.folders[folder]) for folder in home)
        tree.files[split] = lines[at : at + size]
        try:
            tree.labels[split] = [home[line[: line.rindex("/")]] for line in tree.files[split]]
        except KeyError:  # it is not split by split
            return None
        at += size
    return tree


def _find_sidecar(store: Store, top: str) -> _sidecar.Sidecar | None:
    if _sidecar.NAME not in store.folders[top]:
        return None
    if store.path.is_dir():
        return _sidecar.find(store.path / top)
    name = f"{top}/{_sidecar.NAME}" if top else _sidecar.NAME
    return _sidecar.unpacked(store.one(name), store.where(name))


def _split_tops(folders: Folders, top: str) -> dict[str, str]:
    """The folder of each split; the top itself where there are none."""
    top = _split_home(folders, top)
    inside = folders.inside[top]
    exact = [folder for folder in inside if last(folder).lower() in SPLIT_FOLDERS]
    full = [folder for folder in inside if folders.holds(folder)]
    strangers = [folder for folder in full if folder not in exact]
    if strangers and exact and all(map(folders.pictures, exact)):
        exact = []  # class folders, of which one happens to be called so
    elif strangers and any(map(folders.holds, exact)):
        where = folders.store.where(strangers[0])
        raise FormatError(
            f"{where}: pictures beside {last(exact[0])}, in a folder that is no split; move it "
            "away, or name it train, valid or test"
        )
    if not exact and full and all(split_word(last(folder)) for folder in full):
        exact = full
    found: dict[str, list[str]] = defaultdict(list)
    for folder in exact:
        found[split_word(last(folder)) or "train"].append(folder)
    for group in found.values():
        if len(group) > 1:
            names = " and ".join(printable(last(folder)) for folder in group)
            where = folders.store.where(top)
            raise FormatError(f"{where}: {names} are the same split; keep one")
    if found:
        return {s: _unwrapped(folders, found[s][0]) for s in SPLITS if s in found}
    return {split_word(last(top) or folders.store.path.name) or "train": top}


def _split_home(folders: Folders, top: str) -> str:
    """The folder with those of the splits: the top, or the only one with pictures, as `Images`."""
    full = [folder for folder in folders.inside[top] if folders.holds(folder)]
    if len(full) != 1 or split_word(last(full[0])) or folders.pictures(full[0]):
        return top
    inside = folders.inside[full[0]]
    return full[0] if any(last(one).lower() in SPLIT_FOLDERS for one in inside) else top


def _ignored(
    folders: Folders, top: str, tops: dict[str, str], found: _labels.Found, *, own: bool
) -> list[str]:
    """Sentences about what is there and no part of the dataset."""
    where = folders.store.where
    used = {
        top,
        *tops.values(),
        *(name.rpartition("/")[0] for name in chain(*found.labels.values())),
    }
    used |= {
        folder
        for split in found.by_folder
        for folder in folders.inside[tops[split]]
        if folders.pictures(folder) or not folders.others(folder)
    }
    around = {outer for folder in used for outer in _above(folder)}
    said = [(name, "ignored, not a picture") for name in folders.store.junk]
    for folder in used | around:
        for name in folders.others(folder):
            if name not in found.files and not (folder == top and last(name) in _OWN):
                said.append((name, "ignored, not a picture"))
        for inner in folders.inside[folder]:
            if inner not in used | around:
                said.append((inner, "ignored, not a folder of the dataset"))
    if not own:
        said += [(folder, "an empty folder") for folder in found.empty_folders]
    said.sort()
    notes = [f"{where(name)}: {text}" for name, text in said[:_SAID]]
    if len(said) > _SAID:
        notes.append(f"{where('')}: {len(said) - _SAID:,} more files and folders are ignored")
    return notes


def _above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:k]) for k in range(len(parts))] if folder else []


def _order(store: Store, tree: Tree, index: str, labels: _labels.Labels) -> None:
    """Put the files of each split in the order of the index.

    Raises FormatError when index and tree are not the same files: a picture was lost or added.
    """
    where = store.where(index)
    try:
        lines = store.one(index).decode().splitlines()
    except ValueError:
        raise FormatError(f"{where}: not a text; remove it to read the tree without") from None
    order: dict[str, list[str]] = {name: [] for name in SPLITS if name in labels}
    known = {file: name for name, files in tree.files.items() for file in files}
    start = f"{tree.top}/" if tree.top else ""
    for number, line in enumerate(lines, start=1):
        name = known.pop(start + line, None)
        if name is None:
            raise FormatError(
                f"{where}, line {number}: {line[:100]!r} is not in the tree: a picture was lost, "
                "moved or listed twice"
            )
        order[name].append(start + line)
    if known:
        raise FormatError(
            f"{store.where(next(iter(known)))} and {len(known) - 1:,} more are not in "
            f"{INDEX}: pictures were added; remove the index to read the tree without order"
        )
    tree.files = order
