"""HDF5 file of named arrays, with the keys of Keras, or as Fuel, Caffe or Hugging Face have it.

    layout=keras     one file: x_train, x_valid, x_test   uint8 (N, H, W) or (N, H, W, C)
                     y_train, y_valid, y_test             uint8 (N,), or int32 beyond 256 classes
    layout=fuel      one file: features uint8 (N, C, H, W), targets uint8 or int32 (N, 1), train,
                     then valid, then test; the attribute `split` has the first and last row of each
    layout=caffe     a folder: <split>.h5 with data float32 (N, C, H, W), byte / 256, and label
                     float32 (N,); <split>.txt, the list of files that an HDF5Data layer takes
    layout=hf        a folder: train.h5, validation.h5, test.h5 with image uint8 (N, H, W) or
                     (N, H, W, C) and label int64 (N,)

Class names other than "0", "1", ... are a text `classes`, a JSON list; folders have mnistprep.json.
Specification: HDF5 File Format 3.0, written in its oldest form, without times. Read by h5py,
MATLAB, Julia and R; fuel.datasets.H5PYDataset; Caffe; datasets.load_dataset("hdf5"). Holds
everything a dataset has. Links, virtual arrays and data in other files are not followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnistprep import _extras
from mnistprep._arrays import Images
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split, concatenate, idx_label_type
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import _hdf5, _isolated, _named, _sidecar
from mnistprep.formats._splits import PUBLISHED, by_split, named_split

SUFFIXES: tuple[str, ...] = (".h5", ".hdf5", ".hdf")
DEFAULT_OUTPUT = "{name}.hdf5"
NEEDS: tuple[str, ...] = ("h5py",)
Layout = Literal["keras", "fuel", "caffe", "hf"]
Compression = Literal["gzip", "none"]

_CHUNK = 1 << 18  # bytes that are compressed together
_FLOAT_LABELS = 1 << 24  # whole numbers that float32 has
_FIRST = {"data", "features"}  # arrays with channels first, where nothing else says
_AXES = ("batch", "height", "width", "channel")
_CAFFE_AXES = ("batch", "channel", "height", "width")


@dataclass(frozen=True)
class _Source:
    """Rows start to stop of a file's arrays `images` and `labels`."""

    images: str
    labels: str
    start: int
    stop: int


@dataclass(frozen=True)
class _Plan:
    """Where each split is, and what the file says of classes."""

    file: Path
    listing: _hdf5.Listing
    sources: dict[str, _Source]
    classes: tuple[str, ...] | None
    ignored: list[str]


def sniff(path: Path) -> bool:
    """Whether `path` is an HDF5 file that is not MATLAB's, or a folder with one for each split."""
    if not path.is_dir():
        return _hdf5.is_hdf5(path)
    files = _files(path)
    named = all(named_split(file.name) for file in files)
    own = (path / _sidecar.NAME).is_file()
    return named and len(files) > (0 if own else 1) and all(map(_hdf5.is_hdf5, files))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.glob("[!.]*") if file.is_file() and file.suffix.lower() in SUFFIXES
    )


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Read a file or a folder of them; raises FormatError when damaged, or of other arrays."""
    sidecar = _sidecar.find(path) if path.is_dir() else None
    found: dict[str, list[Split]] = {}
    names: tuple[str, ...] | None = sidecar.classes if sidecar else None
    widths = []
    for plan in _plans(path):
        for name in plan.ignored:
            progress.note(f"{plan.file.name}: {printable(name, 60)} is ignored")
        names = _named.agreed(names, plan.classes, plan.file)
        for split, examples, width in _splits(plan, progress):
            found.setdefault(split, []).append(examples)
            widths.append(width)
    for name, parts in found.items():
        if len(parts) > 1:
            progress.note(f"{path.name}: {name} is {len(parts)} files, in the order of their names")
    splits = {
        name: parts[0] if len(parts) == 1 else concatenate(_alike(path, parts))
        for name, parts in found.items()
    }
    _named.note_shape(splits, path, progress)
    return Dataset(path.name, splits, _named.of_classes(names, splits, widths, path))


def _alike(path: Path, parts: list[Split]) -> list[Split]:
    shapes = sorted({part.shape for part in parts})
    if len(shapes) > 1:
        raise FormatError(f"{path}: pictures of several shapes in one split: {shapes}")
    return parts


def _plans(path: Path) -> Iterator[_Plan]:
    files = by_split(_files(path))
    if not files:
        raise FormatError(f"{path}: no .h5 or .hdf5 files here")
    for split, members in files.items():
        for file in members:
            plan = _plan(file, split)
            if path.is_dir() and split not in plan.sources:
                held = " and ".join(plan.sources)
                raise FormatError(f"{file} is named after {split} and holds {held}; which is it?")
            yield plan


def _plan(file: Path, own: str) -> _Plan:
    """Where the splits are in a file, which is of the split `own` if its arrays name none."""
    listing = _hdf5.listing(file)
    tables = listing.tables
    if {"neighbors", "distances"} <= tables.keys():
        raise FormatError(
            f"{file}: a file of ann-benchmarks: it has no labels, so it cannot be had as a dataset"
        )
    named = sorted(filter(_named.is_classes, tables))
    if len(named) > 1:
        raise FormatError(f"{file}: {_named.shown(named)} are both names of classes; keep one")
    names = next(iter(named), None)
    ignored = [name for name in tables if tables[name].texts is not None and name != names]
    found = _named.pairs(tables.keys() - {names, *ignored}, str(file))
    loose = found.pop("", {})
    if loose and found:
        raise FormatError(
            f"{file}: {_named.shown(loose.values())} of no split beside "
            f"{_named.shown(found[next(iter(found))].values())}; which is meant is not clear"
        )
    for kinds in (loose, *found.values()):
        for name in kinds.values():
            if not tables[name].dtype or not tables[name].shape:
                raise FormatError(f"{file}: {printable(name)} holds no numbers")
    if loose:
        sources = _rows(file, listing, loose, own)
    else:
        sources = {
            split or own: _Source(
                kinds["images"], kinds["labels"], 0, tables[kinds["images"]].shape[0]
            )
            for split, kinds in found.items()
        }
    ignored += [f"the attribute {name}" for name in filter(_named.is_classes, listing.attributes)]
    said = [_classes(file, listing, names)]
    for name in {source.labels: None for source in sources.values()}:
        table = tables[name]
        if table.values and math.prod(table.shape[1:]) == 1:  # one-hot columns hold no classes
            said.append(table.values)
        elif table.values is not None:
            ignored.append(f"what {name} calls its numbers")
    classes = {each for each in said if each is not None}
    if len(classes) > 1:
        raise FormatError(f"{file}: names its classes in {len(classes)} ways; keep one")
    return _Plan(file, listing, sources, next(iter(classes), None), ignored)


def _classes(file: Path, listing: _hdf5.Listing, name: str | None) -> tuple[str, ...] | None:
    if name is None:
        return None
    table = listing.tables[name]
    if table.texts is None:
        raise FormatError(f"{file}: {printable(name)} holds {table.dtype}, expected class names")
    return _named.parse_classes(table.texts[0], str(file)) if table.shape == () else table.texts


def _rows(
    file: Path, listing: _hdf5.Listing, kinds: dict[str, str], own: str
) -> dict[str, _Source]:
    """The splits of arrays that hold all of them, as Fuel's attribute says, if there is one."""
    images, labels = kinds["images"], kinds["labels"]
    count = listing.tables[images].shape[0]
    if not listing.parts:
        return {own: _Source(images, labels, 0, count)}
    spans = _hdf5.spans(listing.parts, images, labels, count, file)
    return {name: _Source(images, labels, *span) for name, span in spans.items()}


def _splits(plan: _Plan, progress: Progress) -> Iterator[tuple[str, Split, int]]:
    """The name of each split, what it holds, and how many classes one-hot labels have (or 0)."""
    tables = plan.listing.tables
    names = {name: None for s in plan.sources.values() for name in (s.images, s.labels)}
    arrays = _hdf5.load(plan.file, tables, names, progress)
    pictures: dict[str, Images] = {}
    for split, source in plan.sources.items():
        if source.images not in pictures:
            pictures[source.images] = _pictures(
                arrays.pop(source.images),
                tables[source.images].dims,
                source.images,
                f"{plan.file}: {printable(source.images)}",
            )
        images = pictures[source.images]
        labels, width = _named.numbers(
            arrays[source.labels], len(images), f"{plan.file}: {printable(source.labels)}"
        )
        rows = slice(source.start, source.stop)
        yield split, Split(images[rows], labels[rows]), width


def _pictures(values: _named.Array, dims: tuple[str, ...], name: str, where: str) -> Images:
    if values.ndim == 4:
        values = _channels_last(values, dims, name, where)
    return _named.pictures(values, where)


def _channels_last(
    values: _named.Array, dims: tuple[str, ...], name: str, where: str
) -> _named.Array:
    if len(dims) == len(_AXES) and set(dims) == set(_AXES):  # names may be bytes, too
        return values.transpose([dims.index(axis) for axis in _AXES])
    few = values.shape[1] in (1, 3)
    if few and (name.rpartition("/")[2] in _FIRST or values.shape[3] > 4):
        return np.moveaxis(values, 1, 3)
    if values.shape[3] <= 4:
        return values
    raise FormatError(
        f"{where}: shape {values.shape} does not show which axis is the channel; "
        "expected (N, H, W, C) or (N, C, H, W) with 1 or 3 channels"
    )


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    layout: Layout = "keras",
    compression: Compression = "gzip",
) -> None:
    """Write the file, or the folder where the layout is one.

    Raises UsageError for a folder whose name ends as a file's, UnsupportedError for labels that
    float32 (layout=caffe) cannot tell apart.
    """
    single = layout in ("keras", "fuel")
    if not single and path.suffix.lower() in SUFFIXES:
        raise UsageError(
            f"layout={layout} is a folder of files; give it a name without {path.suffix}"
        )
    if layout == "caffe" and len(dataset.classes) > _FLOAT_LABELS:
        raise UnsupportedError(f"labels in float32 end at {_FLOAT_LABELS:,} classes")
    if not single:
        path.mkdir()
    contents = _single if single else _several
    progress.start("write arrays", len(dataset), "examples")
    try:
        # libhdf5 crashes where a write fails, as on a full disk: the crash must not be ours.
        for done in _isolated.run(partial(contents, dataset, path, layout, compression), str(path)):
            progress.advance(done)
    except FormatError:
        raise OSError("HDF5 failed to write it; is the disk full?") from None
    if not single:
        _sidecar.write(dataset, path)
    if layout == "hf" and not all(map(len, dataset.splits.values())):
        progress.note("load_dataset fails on a split without examples; leave it out with --split")


def _new(path: Path) -> Any:
    return _extras.load("h5py").File(path, "x", libver=("earliest", "v110"))


def _several(dataset: Dataset, path: Path, layout: str, compression: str) -> Iterator[int]:
    for name, split in dataset.splits.items():
        stem = PUBLISHED[name] if layout == "hf" else name
        with _new(path / f"{stem}.h5") as file:
            writer = _Writer(file, compression)
            if layout == "hf":
                yield from writer.images("image", [split])
                writer.labels("label", [split], "<i8")
            else:
                yield from writer.images("data", [split], "<f4", first=True)
                writer.labels("label", [split], "<f4")
        if layout == "caffe":
            (path / f"{name}.txt").write_text(f"{stem}.h5\n", encoding="ascii", newline="\n")


def _single(dataset: Dataset, path: Path, layout: str, compression: str) -> Iterator[int]:
    with _new(path) as file:
        yield from _write_single(_Writer(file, compression), dataset, layout)
        if names := _named.named_classes(dataset):
            text = names.encode()
            kind = _extras.load("h5py").string_dtype("utf-8", len(text))
            file.create_dataset(_named.CLASSES, data=np.array(text, kind))


def _write_single(writer: _Writer, dataset: Dataset, layout: str) -> Iterator[int]:
    kind = idx_label_type(len(dataset.classes)).replace(">", "<")
    if layout == "keras":
        for name, split in dataset.splits.items():
            yield from writer.images(f"x_{name}", [split])
            writer.labels(f"y_{name}", [split], kind)
        return
    splits = list(dataset.splits.values())
    yield from writer.images("features", splits, first=True)
    writer.labels("targets", splits, kind, column=True)
    writer.parts({name: len(split) for name, split in dataset.splits.items()})


class _Writer:
    """Arrays of splits, one after the other, in an open file."""

    def __init__(self, file: Any, compression: str) -> None:
        self._file, self._compression = file, compression

    def images(
        self, name: str, splits: list[Split], kind: str = "|u1", *, first: bool = False
    ) -> Iterator[int]:
        """The pictures of `splits` as bytes, or in a float type divided by 256; yields counts."""
        shape, count = splits[0].shape, sum(map(len, splits))
        if first:
            shape = (shape[2] if len(shape) == 3 else 1, *shape[:2])
        array = self._array(name, (count, *shape), kind)
        axes = _CAFFE_AXES if first else _AXES[: 1 + len(shape)]
        for dim, axis in zip(array.dims, axes, strict=True):
            dim.label = axis
        rows, at = array.chunks[0] if array.chunks else 1, 0
        step = rows * max(1, 8192 // rows)
        for images, _ in (chunk for split in splits for chunk in split.chunks(step)):
            if first:
                images = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
            values = images if kind == "|u1" else images.astype(kind) / np.float32(256)
            array[at : at + len(images)] = values
            at += len(images)
            yield len(images)

    def labels(self, name: str, splits: list[Split], kind: str, *, column: bool = False) -> None:
        """The labels of `splits`, as one row or one column."""
        steps = [part.astype(kind) for split in splits for _, part in split.chunks()]
        values = np.concatenate([np.empty(0, kind), *steps])
        array = self._array(name, (len(values), 1) if column else (len(values),), kind)
        array[...] = values.reshape(array.shape)
        for dim, axis in zip(array.dims, ("batch", "index"), strict=False):
            dim.label = axis

    def parts(self, counts: dict[str, int]) -> None:
        """Fuel's table of splits."""
        h5py = _extras.load("h5py")
        kind = np.dtype(
            [
                ("split", "S5"), ("source", "S8"), ("start", "<i8"), ("stop", "<i8"),
                ("indices", h5py.ref_dtype), ("available", "?"), ("comment", "S1"),
            ]
        )  # fmt: skip
        rows, at = [], 0
        for name, count in counts.items():
            for source in ("features", "targets"):
                rows.append((name, source, at, at + count, h5py.Reference(), True, b"."))
            at += count
        self._file.attrs["split"] = np.array(rows, kind)

    def _array(self, name: str, shape: tuple[int, ...], kind: str) -> Any:
        options: dict[str, object] = {}
        if self._compression == "gzip" and shape[0]:
            row = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(kind).itemsize
            options = {"compression": "gzip", "compression_opts": 6}
            options["chunks"] = (min(shape[0], max(1, _CHUNK // row)), *shape[1:])
        return self._file.create_dataset(name, shape, kind, track_times=False, **options)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The arrays of examples and their rows there."""
    rows = [
        (plan.file, source, row)
        for plan in _plans(path)
        if (source := plan.sources.get(split))
        for row in range(source.start, source.stop)
    ]
    chosen = (rows[index] for index in indices)
    return [f"{file}, {s.images}[{row}], {s.labels}[{row}]" for file, s, row in chosen]
