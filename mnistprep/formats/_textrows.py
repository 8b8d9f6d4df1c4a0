"""Text files with a row a line, read in blocks of whole lines that workers take side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mnistprep import _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep._streams import inflated_bytes
from mnistprep._text import printable
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _sidecar
from mnistprep.formats._splits import named_split

Row = tuple[int, bytes]
"""The number of a line, from 1, and its text without space around it."""

_BLOCK = 256 << 10  # bytes a step
_SPAN = 4  # blocks a worker takes at once
LINE_LIMIT = 64 << 20  # bytes; a picture of 2048 x 2048 fits, with indices
_ROOM = 1 << 30  # bytes of pictures that rows without zeros may mean in any case ...
_RATIO = 1000  # ... and times the file's own size, where that is more
_MARK = b"\xef\xbb\xbf"  # the byte-order mark of UTF-8, as Windows programs write it
PACKED = re.compile(r"\.(gz|bz2|xz)$", re.IGNORECASE)


class Lines:
    """The lines of a file, inflated if it is compressed; a byte-order mark is no part of them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.data: Images = inflated_bytes(file)
        self.start = len(_MARK) if self.data[: len(_MARK)].tobytes() == _MARK else 0

    def blocks(self, start: int) -> Iterator[tuple[int, list[bytes]]]:
        """From byte `start` on: where a block of whole lines ends, and its lines."""
        while start < len(self.data):
            stop = self._stop(start)
            yield stop, self.between(start, stop)
            start = stop

    def between(self, start: int, stop: int) -> list[bytes]:
        """The lines between two bytes."""
        block = self.data[start:stop]
        lines = block.tobytes().removesuffix(b"\n").split(b"\n")
        release(block)
        return lines

    def _stop(self, start: int) -> int:
        size = _BLOCK
        while start + size < len(self.data):
            if end := self.data[start : start + size].tobytes().rfind(b"\n") + 1:
                return start + end
            if size > LINE_LIMIT:
                raise FormatError(
                    f"{self.file}: no end of line within {size:,} bytes from byte {start:,}; "
                    "a row is a line"
                )
            size *= 4
        return len(self.data)


class Table:
    """The rows of a file from a byte on: its lines without empty ones and comments."""

    def __init__(self, lines: Lines, comment: bytes, start: int = -1, before: int = 0) -> None:
        """From byte `start` on, where it is given; `before` lines lie ahead of it."""
        start = lines.start if start < 0 else start
        self.file = lines.file
        self._lines, self._comment = lines, comment
        self._cuts, self._before, self._rows = [start], [before], [0]
        for stop, block in lines.blocks(start):
            self._cuts.append(stop)
            self._before.append(self._before[-1] + len(block))
            self._rows.append(self._rows[-1] + sum(1 for _ in self._select(0, block)))

    def __len__(self) -> int:
        return self._rows[-1]

    @property
    def ended(self) -> bool:
        """Whether the last line has its end, without which a file may be cut short."""
        data = self._lines.data
        return not len(data) or bool(data[-1] == 10)

    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        for k in range(len(self._cuts) - 1):
            yield from self._block(k)

    def lines_of(self, indices: Sequence[int]) -> list[int]:
        """The numbers of the lines that rows are in."""
        wanted = set(indices)
        found = {k: number for k, (number, _) in enumerate(self.rows()) if k in wanted}
        return [found[index] for index in indices]

    def fill(
        self,
        shape: tuple[int, ...],
        parse: Callable[[Sequence[Row], Images], list[bytes]],
        progress: Progress,
        workers: int | None,
    ) -> tuple[Images, list[bytes]]:
        """The pictures of all rows, and the texts of their labels.

        `parse` puts the pixels of rows into (rows, pixels of a picture), and returns their labels.
        """
        pixels = math.prod(shape)
        size = len(self._lines.data)
        if len(self) * pixels > max(_ROOM, _RATIO * size):
            raise FormatError(
                f"{self.file}: {len(self):,} pictures of {pixels:,} pixels in {size:,} bytes; "
                "a file of real pictures is larger: this one is damaged"
            )
        images = empty_images((len(self), *shape), shared=True)
        table = images.reshape(len(self), pixels)
        progress.start(f"read {self.file.name}", len(self), "examples")

        def fill(first: int, last: int) -> list[bytes]:
            labels: list[bytes] = []
            for k in range(first, last):
                part = table[self._rows[k] : self._rows[k + 1]]
                labels += parse(self._block(k), part)
                release(part)
            return labels

        labels: list[bytes] = []
        for part in _workers.run(fill, len(self._cuts) - 1, size=_SPAN, workers=workers):
            labels += part
            progress.advance(len(part))
        return images, labels

    def _block(self, k: int) -> list[Row]:
        lines = self._lines.between(self._cuts[k], self._cuts[k + 1])
        return list(self._select(self._before[k] + 1, lines))

    def _select(self, number: int, lines: list[bytes]) -> Iterator[Row]:
        for k, line in enumerate(lines):
            text = line.strip()
            if text and not text.startswith(self._comment):
                yield number + k, text


def square(pixels: int) -> tuple[int, int] | None:
    """Height and width of a square picture of that many pixels, if there is one."""
    side = math.isqrt(max(0, pixels))
    return (side, side) if side and side * side == pixels else None


def parse_shape(text: str) -> tuple[int, ...] | None:
    """The shape that a text such as 28x28 or 32x32x3 means; None for `auto`."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,6}x[1-9][0-9]{0,6}(x[1-9][0-9]{0,6})?", text):
        raise UsageError(f"shape={text!r}: expected height and width, such as shape=28x28")
    shape = tuple(map(int, text.split("x")))
    if math.prod(shape) >= _sidecar.PICTURE_LIMIT:
        raise UsageError(f"shape={text!r} is larger than any picture")
    return shape


def check_name(name: str) -> None:
    """Raise UsageError for what cannot begin the names of a folder's files."""
    if not re.fullmatch(r"[\w-]+", name, re.ASCII) or named_split(name):
        raise UsageError(f"name={name!r}: letters, digits, - and _, and no name of a split")


def shown(text: bytes) -> str:
    """A piece of a file as a message shows it."""
    return repr(printable(text[:24].decode("utf-8", errors="replace"), 24))
