"""Examples that lie one behind another in shards: found by split, read and written in parallel."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mnistprep import _png, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep._streams import inflated_bytes
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _splits
from mnistprep.formats._splits import named_split

Part = tuple[int, int, int]
"""A shard, and the first and the end of the examples in it that are worked on in one go."""

STEP = 1000  # examples in a part
_ROOM = 256 << 20  # bytes of pictures that any file may mean
_RATIO = 1032  # pixels a byte; deflate reaches no more, and other codecs rarely as many
_COUNTED = re.compile(r"(\d{1,9})-of-(\d{1,9})(?!\d)")  # the number of a shard, and of shards
_JPEG = b"\xff\xd8\xff"


def set_name(dataset: Dataset) -> str:
    """The name of a dataset made fit for names of shards: a Python identifier with no split in it.

    Readers find the split of a shard by a word in its name, and TFDS wants an identifier.
    """
    words = re.findall(r"[a-z0-9]+", dataset.name.lower())
    name = "_".join(word for word in words if not named_split(word))[:80] or "dataset"
    return name if name[0].isalpha() else f"set_{name}"


def parts(counts: Iterable[int]) -> list[Part]:
    """The shards, of so many examples each, in parts of at most STEP examples, in order."""
    return [
        (shard, *span) for shard, count in enumerate(counts) for span in _workers.spans(count, STEP)
    ]


def shard_sizes(count: int, shard: int) -> list[int]:
    """The examples in each shard of at most `shard`; an empty split is one empty shard."""
    if shard < 1:
        raise UsageError(f"shard must be at least 1 example, not {shard}")
    return [stop - start for start, stop in _workers.spans(count, shard)] or [0]


def encoded(
    split: Split,
    sizes: Sequence[int],
    pack: Callable[[int, Iterator[bytes], Labels], bytes],
    workers: int | None,
) -> Iterator[Iterator[tuple[int, bytes]]]:
    """For each shard its bytes in pieces, each with its number of examples.

    `pack` makes the bytes of consecutive examples from the number of the first in the split, the
    PNG of each, and the labels. Every shard must be used up before the next.
    """
    todo, first = parts(sizes), np.cumsum([0, *sizes])

    def task(start: int, _: int) -> tuple[int, bytes]:
        shard, at, stop = todo[start]
        span = slice(int(first[shard]) + at, int(first[shard]) + stop)
        data = pack(span.start, _png.encode(split.images[span]), split.labels[span])
        release(split.images[span])
        return stop - at, data

    pieces = _workers.run(task, len(todo), size=1, workers=workers)
    for size in sizes:
        yield (next(pieces) for _ in _workers.spans(size, STEP))


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


class _ColourError(FormatError):
    """Raised for the first colour picture of a set that could have been grey."""


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
    maybe_grey = False
    first = next(
        ((r, shard) for r in found.values() for shard, n in enumerate(r.counts) if n), None
    )
    if first is not None and not first[0].raw:
        records, shard = first
        picture, _ = records.unpack(shard, 0)
        pixels = _png.decode(picture, records.where(shard, 0))
        if shape is None:
            shape = pixels.shape
            maybe_grey = pixels.ndim == 2 and _mode(picture) not in ("1", "L")
        if picture.startswith(_JPEG):
            progress.note(
                f"{where}: pictures are JPEG, which is lossy: these are not the original pixels"
            )
    if shape is None:
        raise FormatError(f"{where}: no pictures here, and nothing says their shape")
    try:
        return _read(found, shape, maybe_grey, progress, workers)
    except _ColourError:
        return _read(found, (*shape, 3), False, progress, workers)


def _mode(picture: bytes) -> str:
    with Image.open(io.BytesIO(picture)) as image:
        return image.mode


def _read(
    found: Mapping[str, Records],
    shape: tuple[int, ...],
    maybe_grey: bool,
    progress: Progress,
    workers: int | None,
) -> dict[str, Split]:
    read = {}
    for name, records in found.items():
        count = sum(records.counts)
        size, packed = count * math.prod(shape), sum(int(part.sum()) for part in records.sizes)
        if size > max(_ROOM, _RATIO * packed):
            raise FormatError(
                f"{records.files.paths[0]}: {count:,} pictures of {'x'.join(map(str, shape))} in "
                f"{packed:,} bytes; no file holds as many"
            )
        images, labels = empty_images((count, *shape), shared=True), np.empty(count, np.int64)
        progress.start(f"read {name}", count, "examples")
        todo, at = parts(records.counts), 0
        fill = partial(_fill, records, todo, images, maybe_grey)
        for done in _workers.run(fill, len(todo), size=1, workers=workers):
            labels[at : at + len(done)] = done
            at += len(done)
            progress.advance(len(done))
        read[name] = Split(images, labels)
    return read


def _fill(
    records: Records, todo: list[Part], images: Images, maybe_grey: bool, number: int, _: int
) -> list[int]:
    """Decode the pictures of a part into their places; returns their labels."""
    shard, first, stop = todo[number]
    at = sum(records.counts[:shard]) + first
    shape, pixels, labels = images.shape[1:], [], []
    for index in range(first, stop):
        picture, label = records.unpack(shard, index)
        labels.append(label)
        if records.raw:
            pixels.append(_bare(picture, shape, records, shard, index))
            continue
        plain = _png.plain_lines(picture, shape)
        if plain is None:
            where = records.where(shard, index)
            decoded = _png.decode(picture, where)
            if maybe_grey and decoded.ndim == 3:
                raise _ColourError(where)
            plain = _png.filtered(_fit(decoded, shape, where)[np.newaxis]).tobytes()
        pixels.append(plain)
    joined = b"".join(pixels)
    if records.raw:
        images[at : at + len(labels)] = np.frombuffer(joined, np.uint8).reshape(-1, *shape)
    else:
        images[at : at + len(labels)] = _png.unfiltered(joined, shape)
    release(images[at : at + len(labels)])
    if stop == records.counts[shard]:
        release(records.files[shard])
    return labels


def _fit(picture: Images, shape: tuple[int, ...], where: str) -> Images:
    """The picture in the shape of its set; raises FormatError when it is not of that shape."""
    if picture.ndim == 2 and shape[2:] == (3,):
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    if picture.ndim == 3 and len(shape) == 2:
        raise FormatError(f"{where}: a colour picture (its channels differ) in a set of grey ones")
    if picture.shape != shape:
        found = "x".join(map(str, picture.shape))
        raise FormatError(f"{where}: {found} pixels, expected {'x'.join(map(str, shape))}")
    return picture


def _bare(pixels: bytes, shape: tuple[int, ...], records: Records, shard: int, index: int) -> bytes:
    if len(pixels) != math.prod(shape):
        raise FormatError(
            f"{records.where(shard, index)}: {len(pixels):,} bytes of pixels, expected "
            f"{math.prod(shape):,} for {'x'.join(map(str, shape))}"
        )
    return pixels
