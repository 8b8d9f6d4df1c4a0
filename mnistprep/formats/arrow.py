"""Arrow files of PNGs and labels, as save_to_disk of Hugging Face datasets leaves them.

    <out>/dataset_dict.json                         {"splits": ["train", "test"]}
    <out>/train/data-00000-of-00001.arrow           (and validation/, test/); Arrow IPC stream
        image    struct<bytes: binary, path: string>, a PNG; path is null
        label    int64
        metadata of the schema: `huggingface` (features, with the names of the classes) and
        `mnistprep` (classes, shape of a picture, split); of a batch: CRC-32 of its labels
    <out>/train/state.json, dataset_info.json       the files, a fingerprint, the features
    <out>/mnistprep.json                            class names and picture shape
    <out>.arrow         one stream, when the target ends in .arrow and there is one split

Specification: Arrow columnar format, IPC streaming; datasets of huggingface/datasets. Read by
datasets.load_from_disk(<out>), Dataset.from_file, pyarrow.ipc.open_stream, polars.read_ipc_stream.
Read as well: a Dataset without DatasetDict, one with an indices mapping, the files of the cache of
datasets, .arrow and .feather files (stream or file); columns as for parquet.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mnistprep import _extras
from mnistprep._arrays import map_bytes, release
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Split
from mnistprep.errors import FormatError
from mnistprep.formats import (
    _arrowsizes,
    _hub,
    _hub_columns,
    _hub_disk,
    _hub_files,
    _hub_split,
    _hub_values,
    _hub_write,
    _sidecar,
)
from mnistprep.formats._arrowsizes import CONTINUATION, FILE_MAGIC
from mnistprep.formats._splits import PUBLISHED

SUFFIXES: tuple[str, ...] = (".arrow",)
DEFAULT_OUTPUT = "{name}_arrow"
NEEDS: tuple[str, ...] = ("pyarrow.ipc",)
_OLD = b"FEA1"  # of Feather's first version
_END = bytes(4)  # of a stream, behind CONTINUATION; without it the last batches may be missing
_ENDINGS = (".arrow", ".feather", ".ipc")
_CHECKSUM = b"mnistprep.labels.crc32"
_HEAD = 1 << 16  # bytes of a stream's first message that are looked at
_PART = 16 << 20  # bytes of a file that are read before its pages are given back


def sniff(path: Path) -> bool:
    """Whether `path` is an Arrow stream or file, or a folder of save_to_disk or of such files."""
    if not path.is_dir():
        return _is_arrow(path)
    folder = _hub_files.unwrapped(path, _holds)
    if b'"splits"' in head(folder / _hub_disk.DICT, 4096) or b'"_data_files"' in head(
        folder / _hub_disk.STATE, 4096
    ):
        return True
    loose = _loose(folder)
    return any(_is_arrow(file) or head(file, 4) == _OLD for file in loose) or bool(
        _hub_disk.saved(folder)
    )


def _holds(folder: Path) -> bool:
    """Whether a folder is that of save_to_disk, or has files of its own."""
    at_top = any((folder / name).is_file() for name in (_hub_disk.DICT, _hub_disk.STATE))
    return at_top or bool(_loose(folder)) or bool(_hub_disk.saved(folder))


def _is_arrow(path: Path) -> bool:
    return _arrowsizes.is_start(head(path, _HEAD))


def _loose(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _ENDINGS and not file.name.startswith(".") and file.is_file()
    )


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    image: str = _hub_columns.AUTO,
    label: str = _hub_columns.AUTO,
) -> Dataset:
    """Read one file or a folder; `image` and `label` are columns, found when "auto".

    Raises FormatError with the file and the row that is wrong.
    """
    path = _home(path)
    files, indices = _files(path, progress)
    dataset = _hub.read(
        path, files, _READER, image=image, label=label, progress=progress, workers=workers
    )
    if not indices:
        return dataset
    splits = dict(dataset.splits)
    for name, mapping in indices.items():
        chosen = _mapping(mapping, len(splits[name]))
        progress.note(f"{path}: {len(chosen):,} of {len(splits[name]):,} rows, as chosen in it")
        splits[name] = splits[name].take(chosen)
    return Dataset(dataset.name, splits, dataset.classes)


def _home(path: Path) -> Path:
    return _hub_files.unwrapped(path, _holds) if path.is_dir() else path


def _files(
    path: Path, progress: Progress = quiet
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """The files of the rows of each split, and those of the chosen rows, where there are any."""
    if path.is_file():
        return _hub_files.splits(path.parent, [path], _written, whole=False), {}
    if (path / _hub_disk.DICT).is_file():
        folders = _hub_disk.split_folders(path)
    elif (path / _hub_disk.STATE).is_file():
        folders = {_hub_disk.own_split(path): path}
    elif saved := _hub_disk.saved(path):
        folders = {name: saved[name] for name in SPLITS if name in saved}
    else:
        loose = [file for file in _loose(path) if not file.name.startswith("cache-")]
        if not loose:
            raise FormatError(f"{path}: no .arrow files here")
        if len(loose) < len(_loose(path)):
            progress.note(f"{path}: cache-*.arrow are ignored: results that datasets keeps")
        for file in loose:
            if not _is_arrow(file):
                raise FormatError(f"{file}: not Arrow, but {_hub_files.instead(file)}")
        return _hub_files.splits(path, loose, _written, whole=True), {}
    files, indices = {}, {}
    for name, folder in folders.items():
        state = _sidecar.table(folder / _hub_disk.STATE)
        files[name] = _hub_disk.listed(folder, state.get("_data_files"), _is_arrow)
        if chosen := state.get("_indices_data_files"):
            indices[name] = _hub_disk.listed(folder, chosen, _is_arrow)
    used = {file for found in (files, indices) for group in found.values() for file in group}
    if others := _hub_disk.unlisted(path, folders.values(), used):
        listed = printable(", ".join(str(other.relative_to(path)) for other in others[:5]), 200)
        progress.note(f"{path}: not read, as its tables do not list them: {listed}")
    return files, indices


def _mapping(files: list[Path], count: int) -> npt.NDArray[np.intp]:
    """The rows that were chosen of `count`, in order."""
    parts = [np.empty(0, np.intp)]
    for file in files:
        for batch in _batches(file, ["indices"]):
            column = batch.column(0)
            if column.null_count or column.type != _extras.load("pyarrow").uint64():
                raise FormatError(f"{file}: indices are {column.type}, expected uint64")
            parts.append(_hub_values.numbers(column).astype(np.intp))
    chosen = np.concatenate(parts)
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < count:
        raise FormatError(f"{files[0]}: row {chosen.max():,} of {count:,}; it is damaged")
    return chosen


def _schema(file: Path) -> Any:
    with _opened(file, None) as (reader, _):
        return reader.schema


def _written(file: Path) -> str | None:
    return _hub_columns.written_split(_schema(file), file)


def _batches(file: Path, columns: list[str]) -> Iterator[Any]:
    with _opened(file, columns) as (reader, data):
        read_on = 0
        for batch, extra in _with_metadata(reader):
            batch.validate(full=True)
            _check(file, batch, extra)
            yield batch.select(columns)
            read_on += batch.get_total_buffer_size()  # which all types have
            if read_on >= _PART:
                read_on = 0
                release(data)


def _with_metadata(reader: Any) -> Iterator[tuple[Any, Any]]:
    """The batches of a file or stream, with the metadata of each."""
    if hasattr(reader, "num_record_batches"):
        for k in range(reader.num_record_batches):
            found = reader.get_batch_with_custom_metadata(k)
            yield found.batch, found.custom_metadata
    else:
        for found in reader.iter_batches_with_custom_metadata():
            yield found.batch, found.custom_metadata


def _check(file: Path, batch: Any, extra: Any) -> None:
    """Compare the checksum of the labels, where mnistprep wrote one: Arrow itself has none."""
    if not extra or _CHECKSUM not in extra:
        return
    if not _hub_columns.is_own(batch.schema):
        raise FormatError(f"{file}: its metadata are lost; it is damaged: get it again")
    if "label" in batch.schema.names:
        column = batch.column("label")
        if column.null_count or str(_crc32(column)).encode() != extra[_CHECKSUM]:
            raise FormatError(f"{file}: the checksum of labels is wrong; get the file again")


def _crc32(column: Any) -> int:
    return zlib.crc32(_hub_values.numbers(column).astype("<i8").tobytes())


@contextmanager
def _opened(file: Path, columns: list[str] | None) -> Iterator[tuple[Any, Any]]:
    """The reader of a file or stream, and the map that it reads; of some columns only."""
    arrow, ipc = _extras.load("pyarrow"), _extras.load("pyarrow.ipc")
    with _hub.translated(file):
        data = map_bytes(file)
        whole = ipc.open_file if head(file, 6) == FILE_MAGIC else ipc.open_stream
        mark = CONTINUATION if head(file, 4) == CONTINUATION else b""  # before 0.15 there was none
        if whole is ipc.open_stream and not data[-8:].tobytes().endswith(mark + _END):
            raise FormatError(f"{file}: the stream has no end; it is truncated: get it again")
        if columns is not None:  # not the schema alone
            _arrowsizes.check(data.data, file)
            release(data)
        buffer = arrow.py_buffer(data)
        included = None
        if columns is not None:
            with whole(arrow.BufferReader(buffer)) as reader:
                names = reader.schema.names
            included = [k for k, name in enumerate(names) if name in columns]
        options = ipc.IpcReadOptions(included_fields=included, use_threads=False)
        with whole(arrow.BufferReader(buffer), options=options) as reader:
            yield reader, data


_READER = _hub.Reader(_schema, _batches)


class _Writer:
    """A stream of record batches, each with the checksum of its labels."""

    def __init__(self, file: BinaryIO, form: Any) -> None:
        self._stream = _extras.load("pyarrow.ipc").new_stream(file, form)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def write_batch(self, batch: Any) -> None:
        checksum = str(_crc32(batch.column("label")))
        self._stream.write_batch(batch, custom_metadata={_CHECKSUM: checksum})


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    shard: int = 0,
) -> None:
    """Write the folder `path`, or one stream when it ends in .arrow.

    `shard` is the number of examples in a file, 0 for one file a split. Raises UnsupportedError
    for channels that PNG does not have, and for what a single file cannot hold.
    """
    _hub_write.check(dataset, shard)
    single = path.suffix.lower() in SUFFIXES
    if single:
        _hub_write.check_single(dataset, shard, path, progress)
    else:
        path.mkdir()
        _sidecar.write(dataset, path)
        _dump(path / _hub_disk.DICT, {"splits": [PUBLISHED[name] for name in dataset.splits]})
    for name, split in dataset.splits.items():
        form, folder = _hub_write.schema(dataset, name), path / PUBLISHED[name]
        count = _hub_write.shards(split, shard)
        files = [folder / f"data-{k:05}-of-{count:05}.arrow" for k in range(count)]
        if not single:
            folder.mkdir()
            _describe(dataset, split, name, files)
        progress.start(f"write {name}", len(split), "examples")

        def opened(file: BinaryIO, form: Any = form) -> _Writer:
            return _Writer(file, form)

        _hub_write.write(
            split, form, [path] if single else files, shard, opened,
            progress=progress, workers=workers,
        )  # fmt: skip


def _describe(dataset: Dataset, split: Split, name: str, files: list[Path]) -> None:
    """The two small files of a split."""
    state: dict[str, Any] = {
        "_data_files": [{"filename": file.name} for file in files],
        "_fingerprint": _fingerprint(dataset, split),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": PUBLISHED[name],
    }
    _dump(files[0].parent / _hub_disk.STATE, state)
    texts = dict.fromkeys(("citation", "description", "homepage", "license"), "")
    _dump(
        files[0].parent / "dataset_info.json", {**texts, "features": _hub_write.features(dataset)}
    )


def _fingerprint(dataset: Dataset, split: Split) -> str:
    """16 hex digits that differ where the content does; datasets names cached results by them."""
    import hashlib

    digest = hashlib.sha256(repr((dataset.classes, dataset.shape)).encode())
    for images, labels in split.chunks():
        digest.update(images.reshape(-1).data)
        digest.update(labels.astype("<i8").data)
    return digest.hexdigest()[:16]


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples and their rows there."""
    files, chosen = _files(_home(path))
    if (rows := _hub_split.rows(_READER, files, split)) is not None and not chosen:
        return _hub.places(_READER, next(iter(files.values())), rows[indices].tolist())
    if split in chosen:
        count = sum(batch.num_rows for file in files[split] for batch in _all(file))
        indices = _mapping(chosen[split], count)[np.asarray(indices, np.intp)].tolist()
    return _hub.places(_READER, files[split], indices)


def _all(file: Path) -> Iterator[Any]:
    return _batches(file, [_schema(file).names[0]])
