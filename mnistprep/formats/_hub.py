"""Reading rows of pictures and labels as Hugging Face stores them, from parquet and arrow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mnistprep import _extras, _limits, _workers
from mnistprep._arrays import Images, empty_images, release
from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import FormatError, MnistprepError
from mnistprep.formats import _decode, _hub_columns, _hub_pixels, _hub_split, _sidecar
from mnistprep.formats._decode import Form
from mnistprep.formats._hub_columns import Columns
from mnistprep.formats._scale import to_bytes, wide

_ROWS = 1000  # in a step of a worker
_BLOCK = 64 << 20  # bytes of encoded pictures that are decoded at once
_PROBED = 16  # rows, to know the type of bare pixels by


@dataclass(frozen=True)
class Reader:
    """How the files of a format are opened.

    schema: the Arrow schema of a file; batches: record batches of some of its columns. Both raise
    FormatError, which starts with the path, for anything that is wrong with the file.
    """

    schema: Callable[[Path], Any]
    batches: Callable[[Path, list[str]], Iterator[Any]]


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Whatever pyarrow raises becomes a FormatError: it has no one error for damaged files.

    But MemoryError where memory is short, as far as it can be told.
    """
    try:
        yield
    except MnistprepError:
        raise
    except Exception as error:
        if _extras.no_memory(error):
            raise MemoryError(str(error)) from None
        text = printable(" ".join(str(error).split()), 100)
        if "launch worker thread" in text:
            raise MnistprepError(
                f"{path}: the system starts no more threads or processes; end some, or raise the "
                "limit (ulimit -u, ulimit -v)"
            ) from None
        if isinstance(error, NotImplementedError):
            raise FormatError(
                f"{path}: stored in a way that pyarrow does not read ({text}), or damaged: write "
                "it with plain types"
            ) from None
        raise FormatError(f"{path}: a truncated or damaged file: get it again ({text})") from None


def read(
    where: Path,
    files: Mapping[str, list[Path]],
    reader: Reader,
    *,
    image: str,
    label: str,
    progress: Progress,
    workers: int | None,
) -> Dataset:
    """The dataset of the files of each split; `image` and `label` are columns, or "auto"."""
    sidecar = _sidecar.find(where) if where.is_dir() else None
    columns = {}
    for file in (file for group in files.values() for file in group):
        with translated(file):  # names that are no text show when they are looked at
            columns[file] = _hub_columns.find(reader.schema(file), file, image, label)
    for group in files.values():
        _agreed(where, {f: (columns[f].encoded,) for f in group}, "kinds of pictures")
    for text in dict.fromkeys(note for found in columns.values() for note in found.notes):
        progress.note(f"{where}: {text}")
    classes = _agreed(where, {f: c.classes for f, c in columns.items()}, "class names")
    shape = _agreed(where, {f: c.shape for f, c in columns.items()}, "shapes")
    if sidecar is not None:
        if (classes or sidecar.classes) != sidecar.classes:
            raise FormatError(
                f"{where}: the class names in {_sidecar.NAME} are not those in the data; one of "
                "them was changed: remove the one that is wrong"
            )
        classes, shape = sidecar.classes, shape or sidecar.shape
    texts = _hub_columns.Texts()
    labels = {
        split: _hub_columns.labels(
            ((file, reader.batches(file, [columns[file].label])) for file in group), columns, texts
        )
        for split, group in files.items()
    }
    if texts.names:
        labels, names = texts.resolve(labels, classes, where)
        classes = classes or names
        if names:
            progress.note(f"{where}: labels are texts; their alphabetical order numbers them")
    size = sum(file.stat().st_size for file in columns)
    rows = _Rows(where, reader, columns, size, progress, workers)
    images = rows.images(files, {split: len(part) for split, part in labels.items()}, shape)
    splits = {split: Split(images[split], labels[split]) for split in files}
    splits = _hub_split.divided(where, reader, files, columns, splits, progress)
    for name in {name for found in columns.values() for name in found.empty} - splits.keys():
        if where.is_dir():
            splits[name] = Split(empty_images((0, *shape)), np.empty(0, np.int64))
    if classes is None:
        classes = _sidecar.classes(None, splits, where)
    return Dataset(where.name, splits, classes)


def _agreed(where: Path, found: Mapping[Path, tuple[Any, ...] | None], what: str) -> Any:
    """What the files say, when all that say anything say the same."""
    said = {value: file for file, value in found.items() if value is not None}
    if len(said) > 1:
        first, second, *_ = said.values()
        raise FormatError(
            f"{where}: {first.name} and {second.name} have different {what}; they are not of one "
            "dataset: give the path of one"
        )
    return next(iter(said), None)


@dataclass(frozen=True)
class _Rows:
    """The rows of all files, on their way to pictures."""

    where: Path
    reader: Reader
    columns: Mapping[Path, Columns]
    size: int  # bytes of all files
    progress: Progress
    workers: int | None

    def images(
        self, files: Mapping[str, list[Path]], counts: Mapping[str, int], shape: Any
    ) -> dict[str, Images]:
        """The pictures of each split, in one shape: `shape`, where it is given."""
        try:
            return self._all(files, counts, shape, None if shape is None else Form(shape))
        except _decode.ColourFound as found:
            return self._all(files, counts, shape, found.args[0])

    def _all(
        self,
        files: Mapping[str, list[Path]],
        counts: Mapping[str, int],
        declared: tuple[int, ...] | None,
        form: Form | None,
    ) -> dict[str, Images]:
        images, remarks = {}, _decode.Remarks()
        for split in sorted(files, key=lambda split: not counts[split]):  # empty ones last
            group, count = files[split], counts[split]
            if not count and form is None:
                raise FormatError(f"{self.where}: no rows here, and nothing says a picture's shape")
            self.progress.start(f"read {split}", count, "examples")
            if not count and form is not None:
                images[split] = empty_images((0, *form.shape))
            elif self.columns[group[0]].encoded and not self._bare(group, declared):
                images[split], form = self._encoded(group, count, form, remarks)
            else:
                images[split] = self._pixels(group, count, form.shape if form else None)
                form = Form(images[split].shape[1:])
        for message in remarks.notes():
            self.progress.note(message)
        return images

    def _bare(self, files: list[Path], declared: tuple[int, ...] | None) -> bool:
        """Whether the bytes of pictures are pixels and nothing else, by the first of them."""
        for file in files:
            for batch in self.reader.batches(file, list(self.columns[file].images)):
                if batch.num_rows:
                    [data] = _hub_pixels.encoded(batch.column(0).slice(0, 1), f"{file}, row", 0)
                    return _hub_pixels.is_bare(data, declared)
        return False

    def _encoded(
        self, files: list[Path], count: int, form: Form | None, remarks: _decode.Remarks
    ) -> tuple[Images, Form]:
        images, at = None, 0
        for file, row, block in self._blocks(files):
            form = form or _decode.form_of(block[0], f"{file}, row {row}")
            if images is None:
                images = _decode.room(count, form.shape, self.size, self.where)
            if at + len(block) > count:
                break
            task = partial(_fill, images[at : at + len(block)], block, form, f"{file}, row", row)
            for done, found in _workers.run(task, len(block), size=_ROWS, workers=self.workers):
                self.progress.advance(done)
                remarks.merge(found)
            at += len(block)
        self._check_count(files, at, count)
        assert images is not None and form is not None  # count is not 0
        return images, form

    def _blocks(self, files: list[Path]) -> Iterator[tuple[Path, int, list[bytes]]]:
        """The encoded pictures of the files, many at a time, with the row of the first."""
        total, limit = 0, _limits.most(self.size)
        for file in files:
            block: list[bytes] = []
            row = size = 0
            for batch in self.reader.batches(file, list(self.columns[file].images)):
                found = _hub_pixels.encoded(batch.column(0), f"{file}, row", row + len(block))
                block += found
                more = sum(map(len, found))
                size, total = size + more, total + more
                if total > limit:  # by a dictionary, whose entries stand for any number of rows
                    raise FormatError(
                        f"{file}: {self.size:,} bytes that would become {total:,} or more of "
                        f"encoded pictures; {_limits.RAISE}"
                    )
                if size >= _BLOCK:
                    yield file, row, block
                    row, size, block = row + len(block), 0, []
            if block:
                yield file, row, block

    def _pixels(self, files: list[Path], count: int, shape: tuple[int, ...] | None) -> Images:
        values, at, first = None, 0, files[0]
        for file in files:
            row = 0
            for batch in self.reader.batches(file, list(self.columns[file].images)):
                part = _hub_pixels.table(batch, self.columns[file], f"{file}, row", row)
                if part.dtype.kind != "f" and part.dtype != np.uint8:  # no scale to be found
                    part = to_bytes(part, f"{file}, rows from {row}")
                if values is None and len(part):
                    sizes = (*part.shape[1:], part.dtype.itemsize)
                    room = _decode.room(count, sizes, self.size, self.where)
                    values = room.reshape(-1).view(part.dtype).reshape(count, *part.shape[1:])
                if values is not None and len(part):
                    if (part.dtype, part.shape[1:]) != (values.dtype, values.shape[1:]):
                        raise FormatError(
                            f"{file}, row {row}: {part.dtype} of shape {part.shape[1:]}, "
                            f"the others have {values.dtype} of shape {values.shape[1:]}"
                        )
                    if at + len(part) > count:
                        break
                    values[at : at + len(part)] = part
                    release(values[at : at + len(part)].reshape(-1).view(np.uint8))
                row, at = row + len(part), at + len(part)
                self.progress.advance(len(part))
        self._check_count(files, at, count)
        assert values is not None  # count is not 0
        images = values if values.dtype == np.uint8 else to_bytes(values, str(first))
        if images.ndim == 2 and shape is None and (kind := wide(images[:_PROBED].tobytes())):
            raise FormatError(
                f"{first}: the bytes of its pixels are {kind} numbers of four bytes each; store "
                "them as bytes (uint8), or as PNG"
            )
        found = _hub_pixels.upright(images, shape, str(first))
        if shape is not None and found.shape[1:] != shape:
            raise FormatError(
                f"{first}: pictures of shape {found.shape[1:]}, expected {shape} as the others have"
            )
        return found

    def _check_count(self, files: list[Path], found: int, count: int) -> None:
        if found != count:
            raise FormatError(f"{files[0]}: {count:,} labels, {found:,} pictures; it is damaged")


def _fill(
    images: Images, block: list[bytes], form: Form, where: str, row: int, start: int, stop: int
) -> tuple[int, _decode.Remarks]:
    """Decode a part of `block`, whose first picture is that of `row`."""
    pictures = enumerate(block[start:stop])
    return _decode.fill(images[start:stop], pictures, form, lambda k: f"{where} {row + start + k}")


def places(reader: Reader, files: list[Path], indices: Sequence[int]) -> list[str]:
    """The files of examples and their rows there, from 0."""
    ends, total = [], 0
    for file in files:
        columns = _hub_columns.find(reader.schema(file), file)
        total += sum(batch.num_rows for batch in reader.batches(file, [columns.label]))
        ends.append(total)
    found = []
    for index in indices:
        number = bisect_right(ends, index)
        start = ends[number - 1] if number else 0
        found.append(f"{files[number]}, row {index - start}")
    return found
