"""The pictures of a store as one array: each read, decoded and compared with the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mnistprep import _png, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep.errors import FormatError
from mnistprep.formats._stores import Store

_STEP = 1000  # pictures


@dataclass
class _Seen:
    """How many pictures a span had.

    remarks: what was lossy, and what was grey in a colour set: the first, and how many.
    """

    count: int
    remarks: dict[str, tuple[str, int]] = field(default_factory=dict)


class Pictures:
    """Reads the pictures of a store, all in one shape.

    shape: of all pictures, when known; else that of the first, in `channels` (0: its own).
    """

    def __init__(self, store: Store, shape: tuple[int, ...] | None, channels: int) -> None:
        self.store, self.shape, self.channels = store, shape, channels
        self.known, self.first = shape is not None, ""
        self._remarks: dict[str, tuple[str, int]] = {}

    def begin(self, first: str) -> None:
        """Take the shape from the first picture; raises FormatError when it is none."""
        picture, _ = _png.examine(self.store.one(first), self.store.where(first))
        if self.shape is None:
            self.shape = picture.shape[:2] if self.channels == 1 else picture.shape
            if self.channels == 3:
                self.shape = (*picture.shape[:2], 3)
        elif self.channels and self.channels != (self.shape[2] if len(self.shape) > 2 else 1):
            raise FormatError(
                f"{self.store.path}: mnistprep.json says pictures of shape {self.shape}; "
                f"leave channels={self.channels} away"
            )
        self.first = first
        self.fit(picture, first)

    def fit(self, picture: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """The picture in the shape of the set; raises FormatError when it is not of that shape."""
        shape = self.shape or picture.shape
        if picture.ndim == 2 and shape[2:] == (3,):
            picture = np.repeat(picture[:, :, None], 3, axis=2)
        if picture.ndim == 3 and len(shape) == 2:
            way_out = "" if self.known else "; -R channels=3 reads all as colour"
            raise FormatError(
                f"{self.store.where(name)}: a colour picture (its channels differ) in a set of "
                f"grey ones{self._like()}{way_out}"
            )
        if picture.shape != shape:
            found, expected = ("x".join(map(str, sides)) for sides in (picture.shape, shape))
            raise FormatError(
                f"{self.store.where(name)}: {found} pixels, the others have {expected}"
                f"{self._like()}"
            )
        return picture

    def _like(self) -> str:
        return "" if self.known or not self.first else f" (as {self.store.where(self.first)})"

    def read(self, files: Sequence[str], progress: Progress, workers: int | None) -> Images:
        """The pictures of a split, (N, *shape)."""
        assert self.shape is not None  # begin was called, or there are none
        images = empty_images((len(files), *self.shape), shared=True)
        for seen in self._fill(files, images, workers):
            progress.advance(seen.count)
            for remark, (file, count) in seen.remarks.items():
                first, before = self._remarks.get(remark, (file, 0))
                self._remarks[remark] = first, before + count
        return images

    def notes(self) -> Iterator[str]:
        """Sentences about what the pictures were."""
        for kind, (first, count) in self._remarks.items():
            start = f"{self.store.where(first)} and {count - 1:,} more are "
            if kind == "grey":
                yield f"{start}stored as grey; read as colour, with three equal channels"
            else:
                yield f"{start}{kind}, which is lossy: these are not the original pixels"

    def _fill(self, files: Sequence[str], images: Images, workers: int | None) -> Iterator[_Seen]:
        if self.store.any_order:
            fill = partial(self._span, files, images)
            yield from _workers.run(fill, len(files), size=_STEP, workers=workers)
            return
        stream = self.store.read(files)
        while batch := list(islice(stream, _STEP)):
            order = [k for k, _ in batch]
            lines, seen = self._lines(batch, files)
            images[order] = _png.unfiltered(lines, images.shape[1:])
            release(images)
            yield seen

    def _span(self, files: Sequence[str], images: Images, start: int, stop: int) -> _Seen:
        span = files[start:stop]
        lines, seen = self._lines(self.store.read(span), span)
        images[start:stop] = _png.unfiltered(lines, images.shape[1:])
        release(images[start:stop])
        return seen

    def _lines(
        self, stream: Iterable[tuple[int, bytes]], files: Sequence[str]
    ) -> tuple[bytes, _Seen]:
        lines, seen = [], _Seen(0)
        shape = self.shape or ()
        for k, data in stream:
            plain = _png.plain_lines(data, shape)
            if plain is None:
                picture, kind = _png.examine(data, self.store.where(files[k]))
                for remark in (kind.lossy, "grey" if kind.grey and len(shape) == 3 else None):
                    if remark:
                        first, count = seen.remarks.get(remark, (files[k], 0))
                        seen.remarks[remark] = first, count + 1
                plain = _png.filtered(self.fit(picture, files[k])[np.newaxis]).tobytes()
            lines.append(plain)
        seen.count = len(lines)
        return b"".join(lines), seen
