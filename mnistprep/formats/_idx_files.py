"""Which IDX files a path means: found by their first bytes, told apart by their names."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mnistprep._foreign import what
from mnistprep._stored import published_as
from mnistprep._streams import Inflater, inflated_head, is_packed
from mnistprep._text import printable
from mnistprep.errors import FormatError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_STEP = 1 << 20
_FOLDERS = ("", "raw", "*/raw")
_NAMES = (("train", "train"), ("t10k", "test"), ("test", "test"), ("val", "valid"))


@dataclass(frozen=True)
class Pair:
    """The image file and the label file of one split."""

    images: Path
    labels: Path

    @property
    def compressed(self) -> bool:
        """Whether either file is compressed, by content."""
        return any(is_packed(path) for path in (self.images, self.labels))


@dataclass(frozen=True)
class Found:
    """The IDX files of one dataset: where they are, whose published names they have, the pairs."""

    folder: Path
    published: str = ""
    pairs: dict[str, Pair] = field(default_factory=dict)


def find(path: Path, name: str = "auto") -> Found:
    """The IDX files at `path`, a pair for each split; no pairs when there are none.

    `path` is a file of a pair, or a folder with the files in it, in raw/ or in MNIST/raw/. Files
    are recognised by their first bytes; their names only say which dataset and split they belong
    to. Where a file is there plain and compressed, the plain one counts. `name` chooses one of
    several datasets, which are otherwise refused with FormatError.
    """
    if path.is_file():
        if _role(path) is None:  # which is known without all that lies beside it
            return Found(path.parent)
        for published, files in _datasets(path.parent, path).items():
            if any(path in same for same in files.values()):
                pairs = _pairs(path.parent, files)
                chosen = {k: v for k, v in pairs.items() if path in (v.images, v.labels)}
                return Found(path.parent, published, chosen)
        return Found(path.parent)
    for pattern in _FOLDERS:
        folders = sorted(path.glob(pattern)) if pattern else [path]
        found = {
            (folder, published): files
            for folder in folders
            if folder.is_dir()
            for published, files in _datasets(folder).items()
        }
        meant = {key: files for key, files in found.items() if name in ("auto", key[1])}
        if found and not meant:
            here = _listed(path, found)
            raise FormatError(f"{path}: no IDX files of {printable(name, 80)}, but of {here}")
        if len(meant) > 1:
            more = " or say -R name=NAME" if sum(bool(key[1]) for key in meant) > 1 else ""
            raise FormatError(
                f"{path} holds several datasets: {_listed(path, meant)}; "
                f"give the path of one (a folder, or a file for its split){more}"
            )
        for (folder, published), files in meant.items():
            return Found(folder, published, _pairs(folder, files))
    return _scattered(path)


def _scattered(path: Path) -> Found:
    """The files where each lies in a folder of its own, as some archives have them."""
    together: dict[str, dict[tuple[str, str], list[Path]]] = {}
    for folder in sorted(path.iterdir()) if path.is_dir() else ():
        if folder.is_symlink() or not folder.is_dir() or folder.name.startswith("."):
            continue
        for published, files in _datasets(folder).items():
            if len(files) > 1:
                return Found(path)  # a dataset of its own
            for key, paths in files.items():
                together.setdefault(published, {}).setdefault(key, []).extend(paths)
    if len(together) != 1:
        return Found(path)
    ((published, files),) = together.items()
    return Found(path, published, _pairs(path, files))


def _listed(path: Path, found: dict[tuple[Path, str], dict[tuple[str, str], list[Path]]]) -> str:
    shown = []
    for (folder, published), files in found.items():
        first = next(iter(files.values()))[0]
        inside = "" if folder == path else f" in {folder.relative_to(path)}"
        shown.append(f"{published or printable(first.name, 80)}{inside}")
    return ", ".join(shown)


def compressed(path: Path) -> bool | None:
    """Whether any IDX file at `path` is compressed; None without IDX files.

    False too for files that are no whole pairs, or several datasets: reading says what is wrong.
    """
    try:
        pairs = find(path).pairs
    except FormatError:
        return False
    return any(pair.compressed for pair in pairs.values()) if pairs else None


def _datasets(
    folder: Path, chosen: Path | None = None
) -> dict[str, dict[tuple[str, str], list[Path]]]:
    """IDX files by the dataset that their names say ("" for none), then by split and role.

    `chosen` counts before others of its name.
    """
    stems: dict[tuple[str, str, str, str], Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path != chosen, path)):
        role = None if path.name.startswith(".") else _role(path)
        if role is None:
            continue
        dataset, split = published_as(path.name) or ("", _split(path.name))
        stem = re.sub(r"[.-]", "-", re.sub(r"\.(gz|bz2|xz)$", "", path.name.lower()))
        key = (dataset, split, role, stem)
        if (other := stems.get(key)) is not None and other == chosen:
            continue
        if other is None or is_packed(other) > is_packed(path):
            stems[key] = path
        elif is_packed(other) == is_packed(path) and not _equal(other, path):
            stems[dataset, split, role, path.name] = path
    found: dict[str, dict[tuple[str, str], list[Path]]] = {}
    for (dataset, split, role, stem), path in stems.items():
        # QMNIST's repository has the first column of a table as a file of its own beside it.
        table = stem.replace("idx1-ubyte", "idx2-int")
        if table == stem or (dataset, split, role, table) not in stems:
            found.setdefault(dataset, {}).setdefault((split, role), []).append(path)
    return found


def _equal(one: Path, other: Path) -> bool:
    """Whether two files hold the same, after inflation; False where that cannot be told."""
    with suppress(FormatError), Inflater(one) as first, Inflater(other) as second:
        if not is_packed(one) and first.size != second.size:
            return False
        a, b = bytearray(_STEP), bytearray(_STEP)
        while (size := first.readinto(a)) == second.readinto(b):
            if not size:
                return True
            if a[:size] != b[:size]:
                return False
    return False


def _split(name: str) -> str:
    return next((split for part, split in _NAMES if part in name.lower()), "train")


def _pairs(folder: Path, files: dict[tuple[str, str], list[Path]]) -> dict[str, Pair]:
    pairs = {}
    for split in ("train", "valid", "test"):
        images, labels = files.get((split, "images"), []), files.get((split, "labels"), [])
        for kind, paths in (("image", images), ("label", labels)):
            if len(paths) > 1:
                names = ", ".join(path.name for path in paths)
                raise FormatError(f"{folder}: several {kind} files for {split}: {names}; keep one")
        if images and not labels:
            raise FormatError(f"{images[0]}: its label file is missing{_instead(images[0])}")
        if labels and not images:
            raise FormatError(f"{labels[0]}: its image file is missing{_instead(labels[0])}")
        if images:
            pairs[split] = Pair(images[0], labels[0])
    return pairs


def _instead(path: Path) -> str:
    """What lies beside a file and is no data, such as a page in the place of its partner."""
    for other in sorted(path.parent.iterdir()):
        if other.is_file() and not other.name.startswith(".") and (words := what(other)):
            return f"; {printable(other.name, 80)} is {words}"
    return ""


def _role(path: Path) -> str | None:
    start = inflated_head(path, 4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
        return None
    return {1: "labels", 2: "labels", 3: "images", 4: "images"}.get(start[3])
