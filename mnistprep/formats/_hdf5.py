"""The arrays of an HDF5 file: listed and read apart from this process, checked before it.

Nothing is followed out of the file (external links and storage, virtual arrays), nor inside it but
for plain hard links. What an array promises must be there: HDF5 gives zeros for what was never
written, and those are no pictures.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistprep import _extras, _limits
from mnistprep._arrays import empty_images, release
from mnistprep._files import head
from mnistprep._progress import Progress
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _isolated
from mnistprep.formats._named import Array, may_be
from mnistprep.formats._splits import named_split

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Of the signature: behind somebody's own header, as MATLAB's; and so on, as far as is likely.
_PLACES = (0, *(512 << k for k in range(12)))
_BARE = "This is a netCDF dimension but not a netCDF variable"  # what the array is called
_MATLAB = b"MATLAB 7.3 MAT-file"
_STEP = 4 << 20  # bytes
_DEPTH, _NAMES = 3, 10_000  # of groups in groups; of arrays
_RATIO = 1032  # deflate reaches 1032 to 1 and no more
_TEXT = 64 << 20  # bytes of class names


@dataclass(frozen=True)
class Table:
    """An array of a file. `dtype` is "" where it holds `texts`; dims are the names of its axes.

    values: of an enumerated type, the names of 0, 1, ...; none where it names others.
    """

    shape: tuple[int, ...]
    dtype: str
    texts: tuple[str, ...] | None
    dims: tuple[str, ...]
    attributes: dict[str, object]
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Part:
    """A row of Fuel's attribute `split`: rows start to stop of the array `source` are `split`."""

    split: str
    source: str
    start: int
    stop: int
    plain: bool


@dataclass(frozen=True)
class Listing:
    """What a file holds: arrays by path, Fuel's parts, the names of its attributes."""

    tables: dict[str, Table]
    parts: tuple[Part, ...]
    attributes: tuple[str, ...]


def is_hdf5(path: Path, *, matlab: bool = False) -> bool:
    """Whether `path` is an HDF5 file, of MATLAB or (the default) not."""
    if not path.is_file():
        return False
    place, _ = _superblock(path)
    return place is not None and (place > 0 and head(path, len(_MATLAB)) == _MATLAB) == matlab


def _superblock(path: Path) -> tuple[int | None, bytes]:
    """The byte where the superblock is, and its first ones; None where there is none."""
    with path.open("rb") as file:
        for place in _PLACES:
            file.seek(place)
            if not (start := file.read(64)):
                break
            found = start.ljust(64, b"\0")
            # The version, 0 to 3, tells a superblock from other data.
            if found.startswith(_SIGNATURE) and (place == 0 or found[8] < 4):
                return place, found
    return None, b""


def listing(path: Path) -> Listing:
    """What is in the file; raises FormatError for what is damaged, or leads out of the file."""
    h5py = _extras.load("h5py")
    if not path.is_file():
        raise FormatError(f"{path}: not an HDF5 file")
    _check_end(path)
    (found,) = _isolated.run(lambda: _listing(h5py, path), str(path))
    return found


def _check_end(path: Path) -> None:
    """Refuse two files in one: HDF5 ends where its superblock says, and libhdf5 looks no further.

    Specification: HDF5 File Format, "Disk Format: Level 0A - Format Signature and Superblock".
    """
    place, start = _superblock(path)
    if place is None:
        return
    version, width = start[8], start[13 if start[8] < 2 else 9]
    at = {0: 24, 1: 28}.get(version, 12) + 2 * width  # behind two other addresses
    end, size = int.from_bytes(start[at : at + width], "little"), path.stat().st_size
    with path.open("rb") as file:
        for stop in {end, place + end}:
            if place < stop < size:
                file.seek(stop)
                if file.read(len(_SIGNATURE)) == _SIGNATURE:
                    raise FormatError(
                        f"{path}: another HDF5 file follows the first at byte {stop:,}; take them "
                        "apart"
                    )


def load(
    path: Path, tables: Mapping[str, Table], names: Collection[str], progress: Progress
) -> dict[str, Array]:
    """The named arrays of `tables`, each of a number type; a single number as (1,).

    Raises FormatError.
    """
    h5py = _extras.load("h5py")
    size, packed = sum(map(_size, map(tables.__getitem__, names))), path.stat().st_size
    if size > _limits.most(packed):
        raise FormatError(f"{path}: {packed:,} bytes that become {size:,}; {_limits.RAISE}")
    data: dict[str, Array] = {}
    for name in names:
        table, kind = tables[name], np.dtype(tables[name].dtype)
        raw = empty_images((_size(table),), shared=True)
        data[name] = raw.view(kind).reshape(table.shape or (1,))
    progress.start(f"read {path.name}", sum(len(array) for array in data.values()), "examples")
    for step in _isolated.run(lambda: _fill(h5py, path, data), str(path)):
        progress.advance(step)
    return data


def _size(table: Table) -> int:
    return math.prod(table.shape) * np.dtype(table.dtype).itemsize


def _fill(h5py: Any, path: Path, data: dict[str, Array]) -> Iterator[int]:
    with h5py.File(path, "r") as file:
        for name, out in data.items():
            array = file[name]
            if (array.shape or (1,)) != out.shape or array.dtype != out.dtype:
                raise FormatError(f"{path}: changed while it was read")
            if not array.shape:
                out[0] = array[()]
                yield 1
                continue
            chunk = array.chunks[0] if array.chunks else 1
            step = max(1, _STEP // max(1, out[:1].nbytes * chunk)) * chunk
            for start in range(0, len(out) if out.size else 0, step):
                part = out[start : start + step]
                part[...] = array[start : start + step]
                release(part.view(np.uint8))
                yield len(part)


def _listing(h5py: Any, path: Path) -> Iterator[Listing]:
    with h5py.File(path, "r") as file:
        tables: dict[str, Table] = {}
        _walk(h5py, file, "", 0, tables, path.stat().st_size, str(path))
        attributes = tuple(sorted(map(_name, file.attrs)))
        parts = _parts(file.attrs["split"]) if "split" in attributes else ()
        yield Listing(tables, parts, attributes)


def _walk(
    h5py: Any, group: Any, prefix: str, depth: int, tables: dict[str, Table], size: int, where: str
) -> None:
    for name in group:
        full = prefix + _name(name)
        place = f"{where}: {printable(full, 80)}"
        if isinstance(name, bytes):
            raise FormatError(
                f"{place}: a name that is not UTF-8, which h5py cannot open; rename it"
            )
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = "an external" if isinstance(link, h5py.ExternalLink) else "a soft"
            raise FormatError(f"{place}: {kind} link, which mnistprep does not follow")
        item = group[name]
        if isinstance(item, h5py.Group):
            if name == "#refs#" or name == "#subsystem#":  # where MATLAB keeps what cells hold
                continue
            if depth == _DEPTH:
                raise FormatError(f"{place}: groups in groups in groups; not a dataset")
            _walk(h5py, item, f"{full}/", depth + 1, tables, size, where)
        elif isinstance(item, h5py.Dataset) and not _is_bare(item):
            tables[full] = _table(h5py, item, size, place)
        if len(tables) > _NAMES:
            raise FormatError(f"{where}: more than {_NAMES:,} arrays; not a dataset")


def _is_bare(array: Any) -> bool:
    """Whether an array without data stands for the name and length of a netCDF dimension alone."""
    return _BARE in str(array.attrs.get("NAME")) and not array.id.get_storage_size()


def _table(h5py: Any, array: Any, size: int, where: str) -> Table:
    plan = array.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL:
        raise FormatError(f"{where}: a virtual array, whose data are in other files; copy them in")
    if plan.get_external_count():
        raise FormatError(f"{where}: its data are in another file; copy them in")
    if array.shape is None:
        raise FormatError(f"{where}: an array of nothing")
    attributes: dict[str, object] = {}
    for name in map(_name, array.attrs):
        if name in ("scale_factor", "add_offset"):  # of netCDF, whose readers apply them
            raise FormatError(f"{where}: stored with a {name}; save the numbers that are meant")
        if name.startswith("MATLAB_"):
            value = array.attrs[name]
            attributes[name] = value.decode("latin1") if isinstance(value, bytes) else str(value)
    dims = tuple(dim.label for dim in array.dims) if "DIMENSION_LABELS" in array.attrs else ()
    if h5py.check_string_dtype(array.dtype) is not None:
        if array.ndim > 1 or array.size > 1 << 20 or array.size * array.dtype.itemsize > _TEXT:
            raise FormatError(f"{where}: texts of shape {array.shape}, expected class names")
        texts = np.atleast_1d(array.asstr("utf-8")[()])
        return Table(array.shape, "", tuple(map(str, texts)), dims, attributes)
    if h5py.check_ref_dtype(array.dtype) is not None and attributes.get("MATLAB_class") == "cell":
        return Table(array.shape, "", _cell(h5py, array, where), dims, attributes)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise FormatError(f"{where}: holds {array.dtype} values, expected plain numbers")
    if not may_be(array.shape):
        raise FormatError(f"{where}: no array has the shape {array.shape}; damaged")
    _check_written(array, size, where)
    named = h5py.check_enum_dtype(array.dtype)
    return Table(array.shape, array.dtype.str, None, dims, attributes, named and _values(named))


def _values(named: Mapping[str, int]) -> tuple[str, ...]:
    names = tuple(sorted(named, key=named.__getitem__))
    return names if [named[name] for name in names] == list(range(len(names))) else ()


def _name(given: str | bytes) -> str:
    """A name in the file, which h5py has as bytes where it is no UTF-8."""
    return given if isinstance(given, str) else given.decode("latin1")


def _cell(h5py: Any, array: Any, where: str) -> tuple[str, ...]:
    """The texts of a MATLAB cell array; characters are UTF-16 units there."""
    if array.size > 1 << 20:
        raise FormatError(f"{where}: a cell array of {array.size:,} items")
    texts = []
    for reference in np.reshape(array[()], -1):
        item = array.file[reference] if reference else None
        if not isinstance(item, h5py.Dataset) or item.dtype != np.uint16 or item.size > 1 << 20:
            raise FormatError(f"{where}: a cell array, expected one of texts")
        empty = "MATLAB_empty" in item.attrs
        data = b"" if empty else item[()].astype("<u2").tobytes()
        texts.append(data.decode("utf-16-le", "replace"))
    return tuple(texts)


def _check_written(array: Any, size: int, where: str) -> None:
    """All that the array promises is in the file, which has `size` bytes."""
    promised = array.size * array.dtype.itemsize
    stored = array.id.get_storage_size()
    packed = array.chunks is not None and array.id.get_create_plist().get_nfilters() > 0
    if stored > size or stored * (_RATIO if packed else 1) < promised:
        raise FormatError(
            f"{where}: promises {promised:,} bytes, the file has {min(stored, size):,} for it; "
            "it was never fully written, or is damaged"
        )
    if array.chunks and promised:
        if math.prod(array.chunks) * array.dtype.itemsize > max(_STEP, _RATIO * size):
            raise FormatError(f"{where}: chunks of {array.chunks} are beyond the file; damaged")
        pairs = zip(array.shape, array.chunks, strict=True)
        count = math.prod(-(-length // chunk) for length, chunk in pairs)
        if array.id.get_num_chunks() != count:
            raise FormatError(
                f"{where}: {array.id.get_num_chunks():,} of {count:,} chunks were written; "
                "what is missing would read as zeros"
            )


def _parts(rows: Any) -> tuple[Part, ...]:
    """Fuel's table of splits; see fuel.datasets.hdf5.H5PYDataset."""
    needed = {"split", "source", "start", "stop"}
    if not isinstance(rows, np.ndarray) or not needed <= set(rows.dtype.names or ()):
        return ()
    parts = []
    for row in rows.reshape(-1)[:1000]:
        split, source = (bytes(row[key]).decode("utf-8", "replace") for key in ("split", "source"))
        # One number each, or an array of one in the files of older versions.
        start, stop = (int(np.reshape(row[key], -1)[0]) for key in ("start", "stop"))
        whole = "indices" not in rows.dtype.names or not row["indices"]
        if "available" not in rows.dtype.names or np.all(row["available"]):
            parts.append(Part(split, source, start, stop, whole))
    return tuple(parts)


def spans(
    parts: Sequence[Part], images: str, labels: str, count: int, file: Path
) -> dict[str, tuple[int, int]]:
    """The rows of each split, of the `count` that both arrays have; raises FormatError."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        split = named_split(part.split)
        if split is None or not part.plain:
            what = "lists rows one by one" if split else "is neither train, valid nor test"
            raise FormatError(f"{file}: the split {printable(part.split, 40)!r} {what}")
        if part.source not in (images, labels):
            raise FormatError(
                f"{file}: splits of {printable(part.source, 40)!r}, which is not here"
            )
        if found.setdefault(split, (part.start, part.stop)) != (part.start, part.stop):
            raise FormatError(f"{file}: rows of {images} and {labels} differ for {split}")
    at = 0
    for start, stop in sorted(found.values()):
        if start != at or stop < start:
            raise FormatError(f"{file}: splits overlap or leave rows out at row {at:,}")
        at = stop
    if at != count:
        raise FormatError(f"{file}: splits end at row {at:,} of {count:,}")
    return found
