"""Datasets in several array files: a file for each array, or for each split.

k49-train-imgs.npz, k49-train-labels.npz, ...    one array each, whatever it is called (arr_0)
x_train.npy, y_train.npy, ...                    or train_images.npy, imgs.npy and labels.npy, ...
train.npz, test.npz                              with the arrays x and y, or images and labels
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mnistprep._progress import Progress
from mnistprep._stored import STORED
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset
from mnistprep.errors import FormatError
from mnistprep.formats import _named, _npy, _sidecar


@dataclass(frozen=True)
class Part:
    """A file with a part of a dataset. role: of its only array; "" where it has a whole split."""

    path: Path
    prefix: str
    split: str
    role: str


def part(path: Path) -> Part | None:
    """What part of a dataset a file is, by its name and the names of its arrays; None for none."""
    if path.suffix.lower() not in (".npy", ".npz", ""):
        return None
    means = _named.meaning(path.stem, file=True)
    if means is None or (not path.suffix and not _npy.is_array(path)):
        return None
    if _npy.is_array(path):
        return Part(path, means.prefix, means.split or "train", means.role) if means.role else None
    names = _npy.names(path)
    inside = [_named.meaning(name) for name in names or ()]
    if names is None or any(array is not None and array.split for array in inside):
        return None  # the arrays say of which splits they are: a dataset of its own
    if len(names) == 1:
        role = means.role or (inside[0].role if inside[0] else "")
        return Part(path, means.prefix, means.split or "train", role) if role else None
    return Part(path, means.prefix, means.split, "") if means.split else None


def beside(path: Path) -> list[Part]:
    """The parts of the split that a file is of: itself, and its partner in the same folder."""
    own = part(path)
    if own is None:
        return []
    if not own.role:
        return [own]
    return [
        other
        for other in _parts(path.parent)
        if (other.prefix, other.split) == (own.prefix, own.split) and other.role
    ]


def groups(folder: Path) -> list[list[Part]]:
    """The datasets in several files that are in a folder, which is not one of mnistprep's own."""
    if not folder.is_dir() or (folder / _sidecar.NAME).is_file():
        return []
    found: dict[str, list[Part]] = {}
    for each in _parts(folder):
        found.setdefault(each.prefix, []).append(each)
    return [parts for parts in found.values() if len(parts) > 1 and _has_pair(parts)]


def _has_pair(parts: list[Part]) -> bool:
    has = {(each.split, each.role) for each in parts}
    return any(
        (split, "") in has or {(split, "images"), (split, "labels")} <= has for split in SPLITS
    )


def _parts(folder: Path) -> list[Part]:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [found for path in paths if (found := part(path)) is not None]


def check_others(folder: Path, parts: list[Part], progress: Progress) -> None:
    """Refuse a folder with pictures or labels in other archives too; say which arrays are not read.

    Raises FormatError.
    """
    taken = {each.path for each in parts}
    data, aside = [], []
    for path in sorted(folder.iterdir()):
        if path in taken or path.name.startswith(".") or _named.is_classes(path.stem):
            continue
        names = _npy.names(path) if path.suffix.lower() == ".npz" else None
        if any((means := _named.meaning(name)) is not None and means.role for name in names or ()):
            data.append(path.name)
        elif path.suffix.lower() in (".npy", ".npz") or _npy.is_array(path):
            aside.append(path.name)
    if data:
        raise FormatError(
            f"{folder}: {_named.shown(data)} hold pictures or labels too, which are not of the "
            f"dataset of {printable(parts[0].path.name, 80)} by their names; give the path of one "
            "file, or move away what does not belong here"
        )
    if aside:
        progress.note(f"{folder}: not read: {_named.shown(aside)}")


def read(where: Path, parts: list[Part], progress: Progress) -> Dataset:
    """The dataset of these parts; raises FormatError when they are not one."""
    arrays: dict[str, _named.Array] = {}
    shown: dict[str, str] = {}
    classes: tuple[str, ...] | None = None
    for each in parts:
        progress.start(f"read {each.path.name}", None, "examples")
        if _npy.is_array(each.path):
            content = {"": _npy.mapped(each.path)}
        else:
            content = _npy.load(each.path, progress)
        if each.role and len(content) != 1:
            raise FormatError(f"{each.path}: expected one array, found {len(content)}")
        if not each.role and (said := _npy.class_names(content, each.path)) is not None:
            classes = _named.agreed(classes, said, each.path)
        names = (
            {(each.split, each.role): next(iter(content))}
            if each.role
            else _named.roles(content := positional(content), str(each.path), each.split)
        )
        for (split, role), name in names.items():
            key = f"{split}_{role}"
            if key in arrays:
                raise FormatError(
                    f"{where}: {shown[key]} and {each.path.name} are both the {role} of {split}; "
                    "keep one"
                )
            arrays[key], shown[key] = content[name], each.path.name
        first = content[next(iter(names.values()))]
        progress.advance(len(first) if first.ndim else 0)
    if len(arrays) % 2:
        alone = next(k for k in arrays if _other(k) not in arrays)
        missing = "label" if alone.endswith("images") else "image"
        raise FormatError(f"{where}: the {missing} file that belongs to {shown[alone]} is missing")
    classes = _named.agreed(classes, _names_beside(parts[0].path.parent, progress), where)
    prefix = parts[0].prefix.lower()
    if classes is None and prefix in STORED:
        classes = STORED[prefix].classes or None
    name = prefix if prefix in STORED else where.name
    return _named.dataset(str(where), name, arrays, classes, progress=progress)


def _names_beside(folder: Path, progress: Progress) -> tuple[str, ...] | None:
    """The names of classes in a file of their own, such as classes.npy."""
    files = [
        path
        for path in sorted(folder.iterdir())
        if _named.is_classes(path.stem) and path.suffix.lower() == ".npy" and _npy.is_array(path)
    ]
    try:
        arrays = {path.stem: _npy.mapped(path) for path in files}
        return _npy.class_names(arrays, files[0] if files else folder)
    except FormatError as error:
        progress.note(f"{error}; the names of classes are not read")
        return None


def positional(arrays: dict[str, _named.Array]) -> dict[str, _named.Array]:
    """The arrays, with names for those of numpy.savez(path, images, labels)."""
    if sorted(arrays) != ["arr_0", "arr_1"]:
        return arrays
    images, labels = arrays["arr_0"], arrays["arr_1"]
    flat = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)
    pair = flat and images.ndim > 1 and images.shape[1:] != (1,) and len(images) == len(labels)
    return {"x": images, "y": labels} if pair else arrays


def _other(key: str) -> str:
    split, _, role = key.partition("_")
    return f"{split}_{'labels' if role == 'images' else 'images'}"


def several(folder: Path, found: list[list[Part]]) -> FormatError:
    """The error for a folder with several datasets, which names a file of each."""
    names = ", ".join(printable(parts[0].path.name, 80) for parts in found)
    return FormatError(
        f"{folder} holds several datasets, those of {names}; give the path of one file, for its "
        "split, or keep one dataset in the folder"
    )


def place(parts: list[Part], split: str) -> str | None:
    """The files that hold a split, for messages."""
    names = [str(each.path) for each in parts if each.split == split]
    return " and ".join(names) or None
