"""Examples that lie one behind another in shards: found by split, read and written in parallel."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistprep import _png, _workers
from mnistprep._arrays import Images, release
from mnistprep._progress import Progress
from mnistprep._streams import inflated_bytes
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _decode, _splits
from mnistprep.formats._decode import Form
from mnistprep.formats._folders import DEVICES
from mnistprep.formats._splits import named_split

T = TypeVar("T")

STEP = 1000  # examples in a part
_PART = 256 << 20  # bytes of pictures in a part that is written
_COUNTED = re.compile(r"(\d{1,9})-of-(\d{1,9})(?!\d)")  # the number of a shard, and of shards


def set_name(dataset: Dataset) -> str:
    """The name of a dataset made fit for names of shards: a Python identifier with no split in it.

    Readers find the split of a shard by a word in its name, TFDS wants an identifier, and Windows
    has no folder called `con`.
    """
    words = re.findall(r"[a-z0-9]+", dataset.name.lower())
    name = "_".join(word for word in words if not named_split(word))[:80] or "dataset"
    return name if name[0].isalpha() and name not in DEVICES else f"set_{name}"


def shard_sizes(count: int, shard: int) -> list[int]:
    """The examples in each shard of at most `shard` (0: all); an empty split is one empty shard."""
    if shard < 0:
        raise UsageError(f"shard must be 0 (one file a split) or more examples, not {shard}")
    return [stop - start for start, stop in _workers.spans(count, shard or max(1, count))] or [0]


def encoded(
    split: Split,
    sizes: Sequence[int],
    pack: Callable[[int, Iterator[bytes], Labels], T],
    workers: int | None,
) -> Iterator[Iterator[tuple[int, T]]]:
    """For each shard its content in pieces, each with its number of examples.

    `pack` makes a piece of consecutive examples from the number of the first in the split, the PNG
    of each, and the labels. Every shard must be used up before the next.
    """
    step = max(1, min(STEP, _PART // math.prod(split.shape)))
    todo, first = _workers.parts(sizes, step), np.cumsum([0, *sizes])

    def task(start: int, _: int) -> tuple[int, T]:
        shard, at, stop = todo[start]
        span = slice(int(first[shard]) + at, int(first[shard]) + stop)
        data = pack(span.start, _png.encode(split.images[span]), split.labels[span])
        release(split.images[span])
        release(split.labels[span])
        return stop - at, data

    pieces = _workers.run(task, len(todo), size=1, workers=workers)
    for size in sizes:
        yield (next(pieces) for _ in _workers.spans(size, step))


def by_split(files: Iterable[Path], where: object) -> dict[str, list[Path]]:
    """Shards by the split that their names say; raises FormatError for a set that is not whole."""
    found = _splits.by_split(files)
    for split, group in found.items():
        check_whole(group, f"{split}", where)
    return found


def check_whole(group: list[Path], split: str, where: object) -> None:
    """Raise FormatError unless the files are the shards of one set, with none missing."""
    kinds = {_kind(file.name): file.name for file in group}
    if len(kinds) > 1:
        first, second = map(printable, list(kinds.values())[:2])
        raise FormatError(
            f"{where}: {first} and {second} are both {split}, of different sets by their names; "
            "give the path of one, or name each after its split"
        )
    numbers = [list(map(int, re.findall(r"\d+", file.name))) for file in group]
    varying = [column for column in zip(*numbers, strict=True) if len(set(column)) > 1]
    counted = _COUNTED.search(group[0].name)
    if counted:
        have = {int(found[1]) for file in group if (found := _COUNTED.search(file.name))}
        start, count = 0, int(counted[2])
    elif len(varying) == 1:
        have = set(varying[0])
        start, count = min(have), max(have) - min(have) + 1
    else:
        return
    if len(have) < count:
        lost = next(k for k in range(start, start + count) if k not in have)
        raise FormatError(
            f"{where}: shard {lost} of {split} is missing ({len(have):,} of {count:,} are here, "
            f"{printable(group[0].name)} among them); get it, or give the path of one shard"
        )


def _kind(name: str) -> str:
    """The name of a shard without its number, the same for all of a set."""
    counted = _COUNTED.search(name)
    return re.sub(r"\d+", "#", name) + (counted[2] if counted else "")


class Files:
    """The bytes of some files, the last one used kept open: many shards need few descriptors."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self._number, self._data = -1, np.empty(0, np.uint8)

    def __getitem__(self, number: int) -> Images:
        if number != self._number:
            self._data = inflated_bytes(self.paths[number])
            self._number = number
        return self._data


@dataclass
class Records:
    """The examples of a split, shard by shard.

    files: their bytes. starts, sizes: where in its file each record is, an array a shard.
    unpack: the encoded picture and the label of the record `index` of a shard. raw: whether
    pictures are bare pixels, not encoded.
    """

    files: Files
    starts: list[NDArray[np.int64]]
    sizes: list[NDArray[np.int64]]
    unpack: Callable[[int, int], tuple[bytes, int]]
    raw: bool = False

    def bytes_at(self, shard: int, index: int) -> bytes:
        """The bytes of a record."""
        start, size = int(self.starts[shard][index]), int(self.sizes[shard][index])
        return self.files[shard][start : start + size].tobytes()

    @property
    def counts(self) -> list[int]:
        """The number of records in each shard."""
        return [len(starts) for starts in self.starts]

    def where(self, shard: int, index: int) -> str:
        """The place of a record, for messages."""
        return f"{self.files.paths[shard]}, record {index:,}"


def splits(
    found: Mapping[str, Records],
    shape: tuple[int, ...] | None,
    where: object,
    progress: Progress,
    workers: int | None,
) -> dict[str, Split]:
    """All examples; `shape` is that of the pictures where something beside them says it.

    Otherwise the first picture does. Grey pictures stored in colour are grey if all of them are.
    Raises FormatError for pictures that are damaged or of several shapes.
    """
    form = None if shape is None else Form(shape)
    starts = ((records, shard) for records in found.values() for shard in _filled(records))
    if form is None and (first := next(starts, None)):
        records, shard = first
        form = _decode.form_of(records.unpack(shard, 0)[0], records.where(shard, 0))
    if form is None:
        raise FormatError(f"{where}: no pictures here, and nothing says their shape")
    try:
        return _read(found, form, progress, workers)
    except _decode.ColourFound as colour:
        return _read(found, colour.args[0], progress, workers)


def _filled(records: Records) -> list[int]:
    return [shard for shard, count in enumerate(records.counts) if count]


def _read(
    found: Mapping[str, Records], form: Form, progress: Progress, workers: int | None
) -> dict[str, Split]:
    read, remarks = {}, _decode.Remarks()
    for name, records in found.items():
        count, packed = sum(records.counts), sum(int(part.sum()) for part in records.sizes)
        images = _decode.room(count, form.shape, packed, records.files.paths[0])
        labels = np.empty(count, np.int64)
        progress.start(f"read {name}", count, "examples")
        todo, at = _workers.parts(records.counts, STEP), 0
        task = partial(_fill, records, todo, images, form)
        for done, what in _workers.run(task, len(todo), size=1, workers=workers):
            labels[at : at + len(done)] = done
            at += len(done)
            remarks.merge(what)
            progress.advance(len(done))
        read[name] = Split(images, labels)
    for message in remarks.notes():
        progress.note(message)
    return read


def _fill(
    records: Records, todo: list[_workers.Part], images: Images, form: Form, number: int, _: int
) -> tuple[list[int], _decode.Remarks]:
    """Decode the pictures of a part into their places; returns their labels."""
    shard, first, stop = todo[number]
    at = sum(records.counts[:shard])
    room, labels, remarks = images[at + first : at + stop], list[int](), _decode.Remarks()

    def pictures() -> Iterator[tuple[int, bytes]]:
        for k in range(stop - first):
            picture, label = records.unpack(shard, first + k)
            labels.append(label)
            yield k, picture

    def place(k: int) -> str:
        return records.where(shard, first + k)

    if records.raw:
        for k, pixels in pictures():
            room[k] = _bare(pixels, form.shape, place(k))
        release(room)
    else:
        _, remarks = _decode.fill(room, pictures(), form, place)
    if stop == records.counts[shard]:
        release(records.files[shard])
    return labels, remarks


def _bare(pixels: bytes, shape: tuple[int, ...], where: str) -> Images:
    if len(pixels) != math.prod(shape):
        raise FormatError(
            f"{where}: {len(pixels):,} bytes of pixels, expected {math.prod(shape):,} for "
            f"{'x'.join(map(str, shape))}"
        )
    return np.frombuffer(pixels, np.uint8).reshape(shape)
