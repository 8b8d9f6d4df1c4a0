"""Parquet files of PNGs and labels, as Hugging Face hosts MNIST.

    <out>/data/train-00000-of-00001.parquet         (and validation-..., test-...)
        image    struct<bytes: binary, path: string>, a PNG; path is null
        label    int64
        metadata of the schema: `huggingface` (features, with the names of the classes) and
        `mnistprep` (classes, shape of a picture, split, splits that are empty and have no file)
    <out>/mnistprep.json      class names and picture shape
    <out>.parquet             one file, when the target ends in .parquet and there is one split

Specification: Apache Parquet; datasets/features of huggingface/datasets. Read by
datasets.load_dataset(<out>), pandas, polars, pyarrow. The bytes depend on the version of pyarrow.
Read as well: shards in the folder, in data/, in a folder per split or configuration; pictures as
struct, as bytes, as nested lists, or as a column for each pixel (OpenML's dataset_554.pq); labels
as numbers or names. Pictures that are not in the file, and rows without a label, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from mnistprep import _extras, _foreign
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import (
    _hub,
    _hub_columns,
    _hub_files,
    _hub_split,
    _hub_write,
    _parquetrows,
    _sidecar,
)
from mnistprep.formats._splits import OPENML, PUBLISHED, divided, named_split

SUFFIXES: tuple[str, ...] = (".parquet", ".pq")
DEFAULT_OUTPUT = "{name}_parquet"
NEEDS: tuple[str, ...] = ("pyarrow.parquet",)
Compression = Literal["snappy", "zstd", "gzip", "none"]
_MAGIC = b"PAR1"
_NAMED = re.compile(
    r"\.(?:parquet|pq)(?:\.(?:gzip|gz|snappy|zstd|zst|brotli|lz4))?$", re.IGNORECASE
)


def sniff(path: Path) -> bool:
    """Whether `path` is a Parquet file, or a folder with some (or with pointers to them)."""
    if not path.is_dir():
        return head(path, 4) == _MAGIC
    folder = _hub_files.unwrapped(path, _holds)
    return any(head(file, 4) == _MAGIC or _foreign.what(file) for file in _near(folder)) or (
        folder != path and _holds(folder)
    )


def _holds(folder: Path) -> bool:
    """Whether a folder has files of its own, or is one of several datasets' folders."""
    if any(_near(folder)):
        return True
    inner = _hub_files.folders(folder)
    return len(inner) > 1 and all(any(_near(entry)) for entry in inner)


def _near(folder: Path) -> Iterator[Path]:
    """The .parquet files of a folder itself, of its data/ and of its folders of splits."""
    yield from _parquet(folder)
    for inner in _hub_files.folders(folder):
        if inner.name == "data" or _hub_files.is_split_folder(inner):
            yield from _parquet(inner)
            if inner.name == "data":
                yield from (file for split in _split_folders(inner) for file in _parquet(split))


def _split_folders(folder: Path) -> list[Path]:
    inner = (entry for entry in folder.iterdir() if entry.is_dir())
    return sorted(entry for entry in inner if _hub_files.is_split_folder(entry))


def _parquet(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if _NAMED.search(file.name)
        and not file.name.startswith((".", "_"))  # Spark's _metadata among them
        and file.name != "metadata.parquet"  # names of picture files, for imagefolder
        and file.is_file()
    )


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    image: str = _hub_columns.AUTO,
    label: str = _hub_columns.AUTO,
    train: int = -1,
) -> Dataset:
    """Read one file or a folder of them; `image` and `label` are columns, found when "auto".

    The first `train` rows of a file are the training split, and the rest the test split; by itself
    a file of 70,000 pictures of 28x28 that does not say its split is cut as OpenML's, after 60,000.
    Raises FormatError with the file and the row that is wrong.
    """
    path = _home(path)
    files = _files(path)
    dataset = _hub.read(
        path, files, _READER, image=image, label=label, progress=progress, workers=workers
    )
    splits = divided(dataset.splits, train, path, progress, unsaid=_is_unsaid(files))
    return Dataset(dataset.name, splits, dataset.classes)


def _home(path: Path) -> Path:
    return _hub_files.unwrapped(path, _holds) if path.is_dir() else path


def _is_unsaid(files: dict[str, list[Path]]) -> bool:
    """Whether it is one file whose split neither its name nor what mnistprep wrote says."""
    if list(files) != ["train"] or len(files["train"]) > 1:
        return False
    [file] = files["train"]
    return named_split(file.name) is None and _written(file) is None


def _files(path: Path) -> dict[str, list[Path]]:
    """The files of each split; raises FormatError for those that are not Parquet."""
    if path.is_file():
        files = [path]
    else:
        files = list(_near(path))
        inner = [entry for entry in sorted(path.iterdir()) if entry.is_dir()]
        configurations = [entry for entry in inner if not files and any(_near(entry))]
        if len(configurations) > 1:
            listed = ", ".join(entry.name for entry in configurations[:6])
            raise FormatError(f"{path}: holds several datasets: {listed}; give the path of one")
        files = files or [file for entry in configurations for file in _near(entry)]
    if not files:
        raise FormatError(f"{path}: no .parquet files here")
    for file in files:
        if head(file, 4) != _MAGIC:
            raise FormatError(f"{file}: not Parquet, but {_hub_files.instead(file)}")
    where = path if path.is_dir() else path.parent
    return _hub_files.splits(where, files, _written, whole=path.is_dir())


def _schema(file: Path) -> Any:
    with _hub.translated(file), _opened(file) as parquet:
        return parquet.schema_arrow


def _written(file: Path) -> str | None:
    return _hub_columns.written_split(_schema(file), file)


def _batches(file: Path, columns: list[str]) -> Iterator[Any]:
    with _hub.translated(file), file.open("rb") as source:
        yield from _parquetrows.batches(source, columns, file.stat().st_size, file)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    parquet = _extras.load("pyarrow.parquet")
    with (
        file.open("rb") as source,  # pyarrow opens no name that is not UTF-8
        parquet.ParquetFile(source, page_checksum_verification=True) as opened,
    ):
        yield opened


_READER = _hub.Reader(_schema, _batches)


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    shard: int = 0,
    compression: Compression = "snappy",
) -> None:
    """Write the folder `path`, or one file when it ends in .parquet.

    `shard` is the number of examples in a file, 0 for one file a split. Raises UnsupportedError
    for channels that PNG does not have, and for what a single file cannot hold.
    """
    _hub_write.check(dataset, shard)
    if compression not in get_args(Compression):
        listed = ", ".join(get_args(Compression))
        raise UsageError(f"compression={compression!r}: expected one of {listed}")
    parquet = _extras.load("pyarrow.parquet")
    single = path.suffix.lower() in SUFFIXES
    if single:
        _hub_write.check_single(dataset, shard, path, progress)
    else:
        (path / "data").mkdir(parents=True)
        _sidecar.write(dataset, path)
    empty = [name for name, split in dataset.splits.items() if not len(split)]
    if len(empty) == len(dataset.splits):
        empty = []  # something must say what this is
    for name, split in dataset.splits.items():
        if name in empty:  # with a file of no rows load_dataset refuses the whole set
            continue
        form = _hub_write.schema(dataset, name, empty)

        def opened(file: BinaryIO, form: Any = form) -> Any:
            # Without dictionaries: labels behind a damaged one come out as others, unnoticed.
            # Statistics of PNGs are the least and the largest of their bytes: of no use to anybody,
            # and kept in memory until the end, for every row group.
            return parquet.ParquetWriter(
                file, form, compression=compression, use_dictionary=False,
                write_statistics=["label"], write_page_checksum=True,
            )  # fmt: skip

        count = _hub_write.shards(split, shard)
        stem = path / "data" / PUBLISHED[name]
        files = [Path(f"{stem}-{k:05}-of-{count:05}.parquet") for k in range(count)]
        progress.start(f"write {name}", len(split), "examples")
        _hub_write.write(
            split, form, [path] if single else files, shard, opened,
            progress=progress, workers=workers,
        )  # fmt: skip


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples and their rows there."""
    path = _home(path)
    files = _files(path)
    if (chosen := _hub_split.rows(_READER, files, split)) is not None:
        return _hub.places(_READER, next(iter(files.values())), chosen[indices].tolist())
    if split in files:
        return _hub.places(_READER, files[split], indices)
    [group] = files.values()  # one file that was cut
    if sum(map(_count, group)) != sum(OPENML.values()):  # where, the reader was told
        return [f"{path}, row {index} of {split}" for index in indices]
    return _hub.places(_READER, group, [OPENML["train"] + index for index in indices])


def _count(file: Path) -> int:
    with _hub.translated(file), _opened(file) as parquet:
        return int(parquet.metadata.num_rows)
