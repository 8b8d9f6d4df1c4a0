"""Rows of a table of pictures as text: the header, the rows, and what one file cannot hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from mnistprep import _workers
from mnistprep._arrays import release
from mnistprep._progress import Progress
from mnistprep._streams import write_gzip
from mnistprep.dataset import Dataset, Split, default_classes, idx_label_type
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.formats import _csvfiles

_ROWS = 250  # rows a step
_LEVEL = 6  # of zlib


def save(
    target: Path, title: bytes, blocks: Iterable[bytes], packed: bool, progress: Progress
) -> None:
    """Write a file of the title and the blocks of rows, as gzip where it is to be packed."""

    def advancing() -> Iterator[bytes]:
        for block in blocks:
            yield block
            progress.advance(block.count(b"\n"))

    if packed:
        write_gzip(target, chain([title], advancing()), level=_LEVEL)
        return
    with target.open("xb") as file:
        file.write(title)
        file.writelines(advancing())


def check_single(dataset: Dataset, path: Path, header: str, packed: bool) -> None:
    """Raise UnsupportedError for what one file without a sidecar cannot hold."""
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


def rows(split: Split, workers: int | None, between: bytes, last: bool) -> Iterator[bytes]:
    """The rows of a split in blocks, `between` between the numbers."""
    columns = math.prod(split.shape)
    cells = np.zeros((256, 4), np.uint8)  # ",0" to ",255", zero bytes for what is not there
    for value in range(256):
        text = b"%d%b" % (value, between) if last else b"%b%d" % (between, value)
        cells[value, : len(text)] = list(text)
    labels, pixels = slice(0, 10), slice(10, 10 + 4 * columns)
    if last:
        labels, pixels = slice(4 * columns, 4 * columns + 10), slice(0, 4 * columns)

    def format_rows(start: int, stop: int) -> bytes:
        table = np.zeros((stop - start, 10 + 4 * columns + 1), np.uint8)
        numbers = split.labels[start:stop].astype("S10").view(np.uint8)
        table[:, labels] = numbers.reshape(-1, 10)
        table[:, pixels] = cells[split.images[start:stop].reshape(stop - start, -1)].reshape(
            stop - start, -1
        )
        table[:, -1] = 10
        release(split.images[start:stop])
        return table.tobytes().translate(None, b"\0")

    return _workers.run(format_rows, len(split), size=_ROWS, workers=workers)
