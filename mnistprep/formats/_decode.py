"""Encoded pictures as one array: each decoded, and in the shape that the first one set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from mnistprep import _limits, _png, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._stores import Store

_STEP = 1000  # pictures
_ROOM = 256 << 20  # bytes of pictures that any file may mean
_RATIO = 1032  # bytes of pictures a byte; deflate reaches no more, and other codecs rarely as many


class Remarks(dict[str, tuple[str, int]]):
    """What was lossy, and what was grey in a colour set: the place of the first, and how many."""

    def add(self, remark: str, first: object, count: int = 1) -> None:
        """Count pictures, of which the first is at that place."""
        known, before = self.get(remark, (first, 0))
        self[remark] = str(known), before + count

    def merge(self, others: Remarks) -> None:
        """Count what others counted, in the order of the set."""
        for remark, (first, count) in others.items():
            self.add(remark, first, count)

    def notes(self) -> Iterator[str]:
        """Sentences about what the pictures were."""
        for kind, (first, count) in self.items():
            start = f"{first} and {count - 1:,} more are "
            if kind == "grey":
                yield f"{start}stored as grey; read as colour, with three equal channels"
            else:
                yield f"{start}{kind}, which is lossy: these are not the original pixels"


class ColourFound(Exception):
    """Raised for a colour picture in a set whose first is grey but stored in colour.

    Its only argument is the form of the set, in colour.
    """


@dataclass(frozen=True)
class Form:
    """What all pictures of a set are.

    undecided: whether a colour picture makes it a colour set. first: the place of the picture that
    says the shape, where one does; way_out: what to do about colour among grey.
    """

    shape: tuple[int, ...]
    undecided: bool = False
    first: str = ""
    way_out: str = ""

    def fit(self, picture: Images, where: object) -> Images:
        """The picture in the shape of the set; raises FormatError when it is not of that shape."""
        if picture.ndim == 2 and self.shape[2:] == (3,):
            picture = np.repeat(picture[:, :, None], 3, axis=2)
        like = f" (as {self.first})" if self.first else ""
        if picture.ndim == 3 and len(self.shape) == 2:
            if self.undecided and picture.shape[:2] == self.shape:
                raise ColourFound(Form(picture.shape, first=self.first))
            raise FormatError(
                f"{where}: a colour picture (its channels differ) in a set of grey ones{like}"
                f"{self.way_out}"
            )
        if picture.shape != self.shape:
            found, expected = ("x".join(map(str, sides)) for sides in (picture.shape, self.shape))
            whose = "the others have" if self.first else "expected"
            raise FormatError(f"{where}: {found} pixels, {whose} {expected}{like}")
        return picture


def form_of(first: bytes, where: object) -> Form:
    """The form of a set by its first picture; raises FormatError when it is none."""
    picture, kind = _png.examine(first, where)
    return Form(picture.shape, picture.ndim == 2 and not kind.grey, str(where))


def room(count: int, shape: tuple[int, ...], packed: int, where: object) -> Images:
    """An array for so many pictures; raises FormatError where `packed` bytes cannot hold them."""
    size, limit = count * math.prod(shape), _limits.at_least(max(_ROOM, _RATIO * packed))
    if math.prod(shape) >= _sidecar.PICTURE_LIMIT or size > limit:
        raise FormatError(
            f"{where}: {packed:,} bytes that would become {size:,} bytes of pictures; "
            f"{_limits.RAISE}"
        )
    return empty_images((count, *shape), shared=True)


class _Place:
    """The place of a picture, found when a message needs it."""

    def __init__(self, where: Callable[[int], str], k: int) -> None:
        self._where, self._k = where, k

    def __str__(self) -> str:
        return self._where(self._k)


def fill(
    images: Images,
    pictures: Iterable[tuple[int, bytes]],
    form: Form,
    where: Callable[[int], str],
) -> tuple[int, Remarks]:
    """Decode pictures into their places in `images`; returns how many, and what they were.

    where: the place of a picture for messages, by its index in `images`. Raises FormatError, and
    ColourFound where the form is undecided.
    """
    plain, places = list[bytes](), list[int]()  # as mnistprep writes them, which is fast
    count, remarks = 0, Remarks()
    lines_of = _png.plain_reader(form.shape)
    for k, data in pictures:
        count += 1
        lines = lines_of(data)
        if lines is not None:
            plain.append(lines)
            places.append(k)
            continue
        place = _Place(where, k)
        picture, kind = _png.examine(data, place)
        images[k] = form.fit(picture, place)
        if kind.lossy:
            remarks.add(kind.lossy, place)
        if kind.grey and len(form.shape) == 3:
            remarks.add("grey", place)
    if plain:
        in_order = places == list(range(len(images)))
        images[slice(None) if in_order else places] = _png.unfiltered(b"".join(plain), form.shape)
    release(images)
    return count, remarks


class Pictures:
    """Reads the pictures of a store, all in one shape.

    shape: of all pictures, when known; else that of the first, in `channels` (0: its own).
    doubt: says of pictures, (N, *shape), and their files whether a closer look is needed;
    `doubtful` whether it is of any.
    """

    def __init__(
        self,
        store: Store,
        shape: tuple[int, ...] | None,
        channels: int,
        doubt: Callable[[Images, Sequence[str]], bool] | None = None,
    ) -> None:
        self.store, self.channels, self.doubt = store, channels, doubt
        self.form = None if shape is None else Form(shape)
        self.remarks = Remarks()
        self.doubtful = False

    def begin(self, first: str) -> None:
        """Take the shape from the first picture; raises FormatError when it is none."""
        where, data = self.store.where(first), self.store.one(first)
        as_stored = self.form is not None and self.channels in (0, *(self.form.shape[2:] or (1,)))
        if self.form is not None and as_stored and _png.plain_reader(self.form.shape)(data):
            return  # as mnistprep writes it, which needs no other reader
        picture, _ = _png.examine(data, where)
        if self.form is None:
            shape = picture.shape[:2] if self.channels == 1 else picture.shape
            if self.channels == 3:
                shape = (*picture.shape[:2], 3)
            self.form = Form(shape, first=where, way_out="; -R channels=3 reads all as colour")
        elif not as_stored:
            raise FormatError(
                f"{self.store.path}: mnistprep.json says pictures of shape {self.form.shape}; "
                f"leave channels={self.channels} away"
            )
        self.form.fit(picture, where)

    def read(
        self, files: Mapping[str, Sequence[str]], progress: Progress, workers: int | None
    ) -> dict[str, Images]:
        """The pictures of each split, (N, *shape)."""
        assert self.form is not None  # begin was called, or there are none
        images = {}
        for split, names in files.items():
            self._check(names, self.form.shape)
            images[split] = empty_images((len(names), *self.form.shape), shared=True)
        begun = ""
        for split, count, remarks, doubtful in self._fill(files, images, self.form, workers):
            if split != begun:
                progress.start(f"read {split}", len(files[split]), "examples")
                begun = split
            progress.advance(count)
            self.remarks.merge(remarks)
            self.doubtful |= doubtful
        return images

    def _check(self, files: Sequence[str], shape: tuple[int, ...]) -> None:
        """Raise FormatError where small files would become more than is allowed."""
        size, path = len(files) * math.prod(shape), self.store.path
        if size <= _limits.most(0):
            return
        where = (path / name for name in files) if path.is_dir() else (path,)
        packed = sum(file.stat().st_size for file in where)
        if size > _limits.most(packed):
            raise FormatError(
                f"{path}: {len(files):,} pictures in {packed:,} bytes that become {size:,}; "
                f"{_limits.RAISE}"
            )

    def _fill(
        self,
        files: Mapping[str, Sequence[str]],
        images: Mapping[str, Images],
        form: Form,
        workers: int | None,
    ) -> Iterator[tuple[str, int, Remarks, bool]]:
        """Yields the split, how many more of it are done, what they were, and any doubt."""
        splits = list(files)
        if self.store.any_order:
            todo = _workers.parts(map(len, files.values()), _STEP)

            def task(number: int, _: int) -> tuple[str, int, Remarks, bool]:
                which, start, stop = todo[number]
                split = splits[which]
                return split, *self._span(files[split][start:stop], images[split][start:stop], form)

            yield from _workers.run(task, len(todo), size=1, workers=workers)
            return
        for split, names in files.items():
            stream = self.store.read(names)
            while batch := list(islice(stream, _STEP)):
                yield split, *self._decoded(images[split], batch, form, names), False
            yield split, 0, Remarks(), self._doubt(images[split], names)

    def _span(self, files: Sequence[str], images: Images, form: Form) -> tuple[int, Remarks, bool]:
        found = self._decoded(images, self.store.read(files), form, files)
        return *found, self._doubt(images, files)

    def _decoded(
        self,
        images: Images,
        pictures: Iterable[tuple[int, bytes]],
        form: Form,
        files: Sequence[str],
    ) -> tuple[int, Remarks]:
        return fill(images, pictures, form, lambda k: self.store.where(files[k]))

    def _doubt(self, images: Images, files: Sequence[str]) -> bool:
        return self.doubt is not None and self.doubt(images, files)
