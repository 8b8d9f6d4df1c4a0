"""The samples of a WebDataset shard: members of a tar, side by side, that share a key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistprep import _tar
from mnistprep._arrays import Images
from mnistprep._text import printable
from mnistprep.dataset import Labels
from mnistprep.errors import FormatError
from mnistprep.formats import _records
from mnistprep.formats._folders import SPLIT_FOLDERS

_FIELD = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)  # key and field, as webdataset
_META = re.compile(r"__[^/]*__($|/)")  # what webdataset skips
PICTURES = {
    "png", "jpg", "jpeg", "bmp", "gif", "pbm", "pgm", "pnm", "ppm", "tif", "tiff", "webp",
    "img", "image",
}  # fmt: skip
LABELS = ("cls", "class", "label", "target", "json", "txt", "text", "id", "index", "inx")
_SURE = ("cls", "class", "label", "target")
_KEYS = (  # of the label in a JSON table
    "label", "cls", "class", "target", "class_id", "label_id", "class_label", "digit", "y",
)  # fmt: skip
_FEW = 10  # samples; of so many, all may be of another class
_LABEL_LIMIT = 1 << 20  # bytes of a label field


@dataclass(frozen=True)
class Shard:
    """Where the pictures of a shard are, and their labels.

    more: the other fields of samples; strays: members of no sample; splits: those that the first
    folders of keys are called as.
    """

    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: Labels
    more: set[str]
    strays: set[str]
    splits: set[str]


def cut(name: str) -> tuple[str, str]:
    """The key and the field that the name of a member means; empty for what is no part of one."""
    name = name.removeprefix("./")
    found = None if name[:2] == "__" and _META.match(name) else _FIELD.fullmatch(name)
    return (found[1], found[2].lower()) if found else ("", "")


def kind(field: str) -> str:
    """The last part of a field, which says what it is: `png` of `input.png`."""
    return field.rpartition(".")[2]


def place(file: Path, key: str) -> str:
    """A sample, for messages."""
    return f"{file}, sample {printable(key, 80)}"


def samples(
    data: Images, file: Path, strays: set[str]
) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
    """The key and the fields of each sample; `strays` collects what belongs to none."""
    key, done = "", set[str]()
    fields: dict[str, tuple[int, int]] = {}
    for name, start, size in _tar.files(data, file):
        found, field = cut(name)
        if not found:
            strays.add(name)
            continue
        if found != key:
            if key:
                yield key, fields
            done.add(key)
            if found in done:
                raise FormatError(
                    f"{place(file, found)}: its members are not next to each other, so no reader "
                    "would put them together; pack them again sorted by name"
                )
            key, fields = found, {}
        if field in fields:
            raise FormatError(f"{place(file, key)}: .{printable(field, 40)} is there twice")
        fields[field] = start, size
    if key:
        yield key, fields


def choose(data: Images, file: Path, image: str, label: str) -> tuple[str, str] | None:
    """The fields with the picture and the label, from the first sample; None without any."""
    walk = samples(data, file, set())
    first = next(walk, None)
    if first is None:
        return None
    key, fields = first
    where, listed = place(file, key), ", ".join(printable(field, 40) for field in sorted(fields))
    pictures = [field for field in fields if kind(field) in PICTURES]
    labels = sorted(
        (field for field in fields if kind(field) in LABELS),
        key=lambda field: LABELS.index(kind(field)),
    )
    pictures = pictures if image == "auto" else [image.lower().lstrip(".")]
    labels = labels if label == "auto" else [label.lower().lstrip(".")]
    if len(pictures) > 1:
        raise FormatError(
            f"{where}: holds several pictures ({listed}); say which with image={pictures[0]} (the "
            "key of a sample ends at the first dot of its name)"
        )
    if not pictures or not labels or not fields.keys() >= {pictures[0], labels[0]}:
        for _ in walk:
            pass  # what is wrong further on, such as members that are apart, says more
        wanted = "picture" if not pictures or pictures[0] not in fields else "label"
        raise FormatError(f"{where}: no {wanted} among its fields: {listed}")
    for field in labels:
        try:
            _label(data, fields[field], field, where)
        except FormatError:
            continue
        return pictures[0], field
    return pictures[0], labels[0]


def index(files: _records.Files, chosen: tuple[str, str], number: int, _: int) -> Shard:
    """Walk a shard: where its pictures are, and their labels."""
    data, file = files[number], files.paths[number]
    picture, label = chosen
    places, labels, more, strays, splits = [], [], set[str](), set[str](), set[str]()
    for key, fields in samples(data, file, strays):
        if picture not in fields or label not in fields:
            lacking = label if picture in fields else picture
            raise FormatError(f"{place(file, key)}: no .{printable(lacking, 40)}")
        if len(fields) > 2:
            more.update(field for field in fields if field not in chosen)
        splits.update(SPLIT_FOLDERS.get(part.lower(), "") for part in key.split("/")[:-1])
        places.append(fields[picture])
        labels.append(_label(data, fields[label], label, (file, key)))
    table = np.array(places, np.int64).reshape(-1, 2)
    splits.discard("")
    return Shard(table[:, 0], table[:, 1], np.array(labels, np.int64), more, strays, splits)


def numbers_samples(field: str, shards: Sequence[Shard]) -> bool:
    """Whether a field that may be a label has another number for each sample of every shard."""
    return (
        kind(field) not in (*_SURE, "json")
        and max((len(shard.labels) for shard in shards), default=0) > _FEW
        and all(len(np.unique(shard.labels)) == len(shard.labels) for shard in shards)
    )


def is_label(data: Images, span: tuple[int, int], field: str) -> bool:
    """Whether a field is a label by its name, or by its content too where others have that name."""
    if kind(field) not in LABELS or kind(field) in _SURE:
        return kind(field) in _SURE
    try:
        _label(data, span, field, "")
    except FormatError:
        return False
    return True


def _label(data: Images, span: tuple[int, int], field: str, where: str | tuple[Path, str]) -> int:
    start, size = span
    text = data[start : start + min(size, _LABEL_LIMIT)].tobytes().strip()
    if text.isdigit() and len(text) < 19:
        return int(text)
    if kind(field) == "json" and (value := _in_table(text)) is not None:
        return value
    shown = printable(text[:40].decode("utf-8", "replace"))
    at = where if isinstance(where, str) else place(*where)
    raise FormatError(f"{at}: .{printable(field, 40)} holds {shown!r}, which is no label number")


def _in_table(text: bytes) -> int | None:
    """The label in a JSON table, if it has one."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(table, dict):
        return None
    value = next((table[key] for key in _KEYS if key in table), None)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    return value if type(value) is int and 0 <= value < 1 << 31 else None
