"""Rows of a table of pictures as text: the header, the rows, and what one file cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from mnistprep import _workers
from mnistprep._arrays import release
from mnistprep._progress import Progress
from mnistprep._streams import write_gzip
from mnistprep.dataset import Dataset, Split, default_classes, idx_label_type
from mnistprep.errors import DataError, UnsupportedError, UsageError
from mnistprep.formats import _classnames, _csvfiles, _rows

_LEVEL = 6  # of zlib


def save(
    split: Split,
    target: Path,
    title: bytes,
    *,
    between: bytes,
    last: bool,
    packed: bool,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write a file of the title and the rows of a split, as gzip where it is to be packed.

    `between` the numbers is a byte; `last` says where the label is.
    """
    format_rows, size = _rows.formatter(split, between, last=last), _rows.span(split)

    def advancing() -> Iterator[bytes]:
        for blocks in _workers.run(format_rows, len(split), size=size, workers=workers):
            yield from blocks
            progress.advance(sum(block.count(b"\n") for block in blocks))

    if packed:
        write_gzip(target, chain([title], advancing()), level=_LEVEL)
        return
    with target.open("xb") as file:
        file.write(title)
    starts = _starts(split, size, len(title))

    def write_rows(start: int, stop: int) -> int:
        # A pipe to one process that writes would cost as much as the making of the rows.
        blocks = format_rows(start, stop)
        place, end = starts[start // size : start // size + 2]
        if sum(map(len, blocks)) != end - place:
            raise DataError(f"{target.name}: the pictures were changed while they were written")
        with target.open("r+b") as file:
            file.seek(place)
            file.writelines(blocks)
        return stop - start

    for count in _workers.run(write_rows, len(split), size=size, workers=workers):
        progress.advance(count)


def check_single(
    dataset: Dataset, path: Path, header: str, packed: bool, progress: Progress
) -> None:
    """Raise UnsupportedError for what one file without a sidecar cannot hold.

    A note says how many classes will be read where the last ones have no examples.
    """
    if packed and path.suffix.lower() == ".csv":
        raise UsageError(f"a compressed file is called .csv.gz, not {path.name}")
    if len(dataset.splits) > 1:
        listed = " and ".join(dataset.splits)
        raise UnsupportedError(
            f"one .csv file holds one split, not {listed}: choose one, or a folder"
        )
    height, width = dataset.shape
    if header != "rowcol" and height != width:
        raise UnsupportedError(
            "one .csv file keeps a shape that is not square with header=rowcol only"
        )
    if header == "none" and _csvfiles.emnist(path):
        raise UnsupportedError(
            f"a {path.name} without a header would be read as EMNIST's own, which is transposed"
        )
    if dataset.classes != tuple(map(str, range(len(dataset.classes)))):
        raise UnsupportedError("one .csv file has no place for class names: give a folder")
    found = default_classes(split.labels for split in dataset.splits.values())
    if idx_label_type(len(found)) != idx_label_type(len(dataset.classes)):
        raise UnsupportedError("one .csv file cannot say how many classes there are: give a folder")
    if note := _classnames.lost(path, dataset, len(found)):
        progress.note(note)


def header(kind: str, height: int, width: int, last: bool) -> bytes:
    """The first line, with commas; nothing for the kind `none`. `last` says where the label is."""
    if kind == "none":
        return b""
    if kind == "rowcol":
        names = [
            f"{row}x{column}" for row in range(1, height + 1) for column in range(1, width + 1)
        ]
    else:
        first = int(kind[-1])
        names = [f"pixel{k}" for k in range(first, first + height * width)]
    return (",".join([*names, "label"] if last else ["label", *names]) + "\n").encode()


def _starts(split: Split, size: int, start: int) -> list[int]:
    """The bytes before every span of `size` rows, and before the end; `start` before the first."""
    found = [start]
    for first in range(0, len(split), size):
        images, labels = split.images[first : first + size], split.labels[first : first + size]
        numbers = images.size + len(labels)  # each has a digit, and a byte behind it
        width = 2 * numbers + np.count_nonzero(images > 9) + np.count_nonzero(images > 99)
        width += sum(np.count_nonzero(labels >= 10**k) for k in range(1, 10))
        found.append(found[-1] + int(width))
        for array in (split.images, split.labels):
            release(array[first : first + size])
    return found
