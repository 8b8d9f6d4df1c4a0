"""CSV files, a row a picture: the label, then the pixels row by row, 0 to 255.

    <out>/mnist_train.csv, <out>/mnist_test.csv (and mnist_valid.csv), LF line ends, no quotes
    <out>/mnist_<split>.csv alone when the target ends in .csv and there is one split
    <out>/mnistprep.json      class names and picture shape (other readers ignore it)

    header=rowcol   label,1x1,1x2,...,28x28      "MNIST in CSV" on Kaggle, the default
    header=pixel0   label,pixel0,...,pixel783    Kaggle's Digit Recognizer
    header=pixel1   label,pixel1,...,pixel784    Zalando's Fashion-MNIST
    header=none     no header                    J. Redmon's files

Read by pandas.read_csv (with header=None for `none`), polars, numpy.loadtxt, Hugging Face `csv`.
Grey pictures only. Reading finds separator, names, label and order of the pixels by itself, and
pixels divided by 255 or 256 where they are exact; pictures that are not square need names such as
`1x1` or the sidecar. A file without labels is refused, unless it is asked for as unlabelled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from mnistprep import _workers
from mnistprep._arrays import Images, empty_images, empty_labels, release
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import CHUNK, SPLITS, Dataset, Labels
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import (
    _csvcells,
    _csvfiles,
    _csvparts,
    _csvtext,
    _csvwrite,
    _rows,
    _sidecar,
)
from mnistprep.formats._csvcolumns import Columns, columns_of
from mnistprep.formats._csvparts import Part
from mnistprep.formats._rows import Dialect
from mnistprep.formats._splits import named_split

SUFFIXES: tuple[str, ...] = (".csv", ".csv.gz")
DEFAULT_OUTPUT = "{name}_csv"
NEEDS: tuple[str, ...] = ()
Header = Literal["none", "rowcol", "pixel0", "pixel1"]
Separator = Literal["comma", "semicolon", "tab", "space"]

_SPAN = 1 << 20  # bytes that a worker takes at once, read
_BYTES = {"comma": b",", "semicolon": b";", "tab": b"\t", "space": b" "}
_SINGLE = re.compile(r"\.csv(\.gz)?$", re.IGNORECASE)


def sniff(path: Path) -> bool:
    """Whether `path` is a text of rows of numbers, or a folder with such .csv files.

    A spreadsheet that is called .csv counts: nobody else can say what is wrong with it.
    """
    if not path.is_dir():
        packed = head(path, 4) == b"PK\3\4"  # a zip is opened as one
        return _csvfiles.is_told(path) or (not packed and _csvfiles.is_rows(path, own=False))
    own = (path / _sidecar.NAME).is_file()
    files = _csvfiles.tables(path, own=own)
    told = any(_csvfiles.is_rows(file, own=own) or _csvfiles.is_cut(file) for file in files)
    return told or (own and bool(files) and all(map(_csvfiles.is_empty_split, files)))


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    unlabelled: bool = False,
    orientation: Literal["upright", "stored"] = "upright",
    scale: Literal["auto", "byte", "unit"] = "auto",
) -> Dataset:
    """Read one file or a folder of them; raises FormatError with the line that is wrong.

    With `unlabelled`, pictures without labels are read too, as the last class of that name.
    `orientation` is for the files of EMNIST, which store pictures transposed and letters from 1:
    `stored` gives what they hold. `scale` is for files whose pixels are all 0 or 1: bytes, or, as
    `unit`, black and white.
    """
    sidecar = _sidecar.find(path) if path.is_dir() else None
    files, lists = _files(path, progress)
    opened = {name: _opened(file, sidecar) for name, file in files.items()}
    for name, (table, columns) in opened.items():
        bare = columns is not None and columns.label is None and not columns.one_hot
        if table and bare and name not in lists and not unlabelled:
            raise FormatError(_no_labels(table, files))
        if name in lists and not bare:
            raise FormatError(f"{lists[name]}: labels of {files[name].name}, which has its own")
        for note in columns.notes if columns else ():
            progress.note(f"{name}: {note}")
    parts = {}
    for name, (table, columns) in opened.items():
        if table is None or columns is None:
            shape = sidecar.shape if sidecar else ()
            parts[name] = Part(empty_images((0, *shape)), np.empty(0, np.int64), None)
            continue
        part = _read_part(table, columns, progress, workers, scale)
        kind = _csvfiles.emnist(table.file)
        if kind and table.names is None and columns.plain and not sidecar:
            part = _emnist(table.file, part, kind, orientation, progress)
        if name in lists:
            part = _listed(lists[name], part)
        found = {split: part.of(split) for split in dict.fromkeys(part.splits or ())}
        for split, one in (found or {name: part}).items():
            if split in parts:
                raise FormatError(f"{table.file}: has rows of {split}, as another file here does")
            parts[split] = one
    ordered = {name: parts[name] for name in SPLITS if name in parts}
    if scale == "auto":
        _csvparts.check_scale(path, ordered)
    return _csvparts.joined(path, ordered, sidecar, progress)


def _listed(file: Path, part: Part) -> Part:
    """Pictures with the labels that are in a file of their own."""
    labels, names = _csvcells.listed(file)
    if len(labels) != len(part.images):
        raise FormatError(
            f"{file}: {len(labels):,} labels of {len(part.images):,} pictures beside it"
            f"{_csvcells.title_hint(file) if len(labels) == len(part.images) + 1 else ''}"
        )
    return replace(part, labels=labels, names=names)


def _files(path: Path, progress: Progress = quiet) -> tuple[dict[str, Path], dict[str, Path]]:
    own = (path / _sidecar.NAME).is_file()

    def holds(file: Path) -> bool:
        # What mnistprep wrote for an empty split has no rows.
        return _csvfiles.is_rows(file, own=own) or (own and named_split(file.name) is not None)

    return _csvfiles.by_split(path, holds, progress.note, own=own)


def _opened(
    file: Path, sidecar: _sidecar.Sidecar | None
) -> tuple[_csvtext.Table, Columns] | tuple[None, None]:
    if sidecar and not file.stat().st_size:
        return None, None
    table = _csvtext.open_table(file, own=sidecar is not None)
    if table is None:
        if sidecar is None:
            raise FormatError(f"{file}: no rows")
        return None, None
    return table, columns_of(table, sidecar)


def _no_labels(table: _csvtext.Table, files: dict[str, Path]) -> str:
    given = [file.name for name, file in files.items() if name == "train" and file != table.file]
    what = f"{table.columns} values a row are a picture without a label"
    if table.names is not None:
        what = f"no column is called `label` among {table.columns}"
    known = table.names and table.names[0] == "pixel0" and table.columns == 784
    whose = ", as in the Digit Recognizer's test.csv" if known else ""
    return (
        f"{table.file}: {what}{whose}; read it with --unlabelled (-R unlabelled=yes), or give "
        f"{f'{given[0]} alone' if given else 'the file with labels, such as train.csv'}"
    )


def _read_part(
    table: _csvtext.Table, columns: Columns, progress: Progress, workers: int | None, scale: str
) -> Part:
    plain = columns.plain and not table.trailing and scale != "unit"
    if plain and all(field.isdigit() for row in table.first[:5] for field in row):
        dialect = Dialect(
            min(table.start, len(table.data)), table.lines, table.columns, columns.label or 0,
            columns.shape, table.separator[0],
        )  # fmt: skip
        try:
            images, labels = _read_rows(table.file, table.data, dialect, progress, workers)
        except FormatError as error:
            try:  # perhaps only an empty line, a comment or a quote on the way
                return _read_cells(table, columns, progress, workers, scale)
            except FormatError:
                raise error from None
        return Part(images, labels, None)
    return _read_cells(table, columns, progress, workers, scale)


def _read_cells(
    table: _csvtext.Table, columns: Columns, progress: Progress, workers: int | None, scale: str
) -> Part:
    images, texts, said, unit = _csvcells.read(table, columns, progress, workers, scale)
    splits = None
    if said is not None and columns.split is not None:
        splits = tuple(_csvcells.splits_of(table, columns.split, said))
    if texts is None:
        return Part(images, None, None, splits, unit)
    return Part(images, *_csvcells.classes_of(table, columns.label, texts), splits, unit)


def _emnist(file: Path, part: Part, kind: str, orientation: str, progress: Progress) -> Part:
    if orientation == "stored":
        progress.note(f"{file.name}: pictures are transposed, as EMNIST stores them")
        return part
    progress.note(
        f"{file.name}: EMNIST stores pictures transposed; they are read upright "
        "(-R orientation=stored reads what is there)"
    )
    names = _csvfiles.EMNIST[kind]
    first = 1 if kind == "letters" else 0
    labels = part.labels if part.labels is not None else np.empty(0, np.int64)
    wrong = np.flatnonzero((labels < first) | (labels >= first + len(names)))
    if len(wrong):
        raise FormatError(
            f"{file}, row {wrong[0] + 1}: label {labels[wrong[0]]} is none of EMNIST {kind}'s, "
            f"{first} to {first + len(names) - 1}; rename the file if it is another set's"
        )
    for start in range(0, len(part.images), CHUNK):
        step = part.images[start : start + CHUNK]
        step[...] = step.transpose(0, 2, 1).copy()
        release(step)
    return replace(part, labels=labels - first, names=tuple(names))


def _read_rows(
    file: Path, data: Images, dialect: Dialect, progress: Progress, workers: int | None
) -> tuple[Images, Labels]:
    cuts, rows = _cut(file, data, dialect)
    images = empty_images((rows[-1], *dialect.shape), shared=True)
    labels = empty_labels(rows[-1])
    pixels = images.reshape(rows[-1], math.prod(dialect.shape))
    progress.start(f"read {file.name}", rows[-1], "examples")

    def parse(first: int, last: int) -> Labels:
        out, text = pixels[rows[first] : rows[last]], data[cuts[first] : cuts[last]]
        found = _rows.parse(file, text, dialect, rows[first], out)
        release(data[cuts[first] : cuts[last]])
        release(out)
        return found

    at = 0
    for part in _workers.run(parse, len(cuts) - 1, size=1, workers=workers):
        labels[at : at + len(part)] = part
        release(labels[at : at + len(part)])
        at += len(part)
        progress.advance(len(part))
    return images, labels


def _cut(file: Path, data: Images, dialect: Dialect) -> tuple[list[int], list[int]]:
    """Byte positions that cut the rows into spans of whole lines, and rows before each."""
    cuts, rows = [dialect.start], [0]
    size, tail = dialect.lines_of(_SPAN), dialect.lines_of(_rows.BLOCK)
    while cuts[-1] < len(data):
        text = data[cuts[-1] : cuts[-1] + size]
        if cuts[-1] + size < len(data):
            end = text[-tail:].tobytes()
            stop = end.rfind(b"\n") + 1
            if not stop:
                before = np.count_nonzero(text[: len(text) - len(end)] == 10)
                raise _rows.too_long(file, dialect, rows[-1] + int(before))
            text = text[: len(text) - len(end) + stop]
        rows.append(rows[-1] + int(np.count_nonzero(text == 10)) + int(text[-1] != 10))
        cuts.append(cuts[-1] + len(text))
        release(data[cuts[-2] : cuts[-1]])
    return cuts, rows


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    header: Header = "rowcol",
    name: str = "mnist",
    separator: Separator = "comma",
    label: Literal["first", "last"] = "first",
    compression: Literal["none", "gzip"] = "none",
) -> None:
    """Write the folder `path`, or one file when it ends in .csv or .csv.gz.

    `name` begins the names of the files. Raises UnsupportedError for colour, and for what a single
    file cannot hold.
    """
    if len(dataset.shape) != 2:
        raise UnsupportedError("CSV holds grey pictures; these have channels")
    height, width = dataset.shape
    if not re.fullmatch(r"[\w-]+", name) or named_split(name):
        raise UsageError(f"name={name!r}: letters, digits, - and _, and no name of a split")
    if label == "last" and header == "none":
        raise UsageError("label=last needs a header, or nobody could tell where the label is")
    packed = compression == "gzip" or path.name.lower().endswith(".csv.gz")
    if _SINGLE.search(path.name):
        _csvwrite.check_single(dataset, path, header, packed, progress)
        if _csvfiles.split_of(path) not in dataset.splits:
            progress.note(f"{path.name} will be read as {_csvfiles.split_of(path)}, by its name")
        targets = {split: path for split in dataset.splits}
    else:
        path.mkdir()
        end = ".csv.gz" if packed else ".csv"
        targets = {split: path / f"{name}_{split}{end}" for split in dataset.splits}
        _sidecar.write(dataset, path)
    between = _BYTES[separator]
    title = _csvwrite.header(header, height, width, label == "last").replace(b",", between)
    for split, target in targets.items():
        examples = dataset.splits[split]
        progress.start(f"write {target.name}", len(examples), "examples")
        _csvwrite.save(
            examples, target, title, between=between, last=label == "last", packed=packed,
            workers=workers, progress=progress,
        )  # fmt: skip
        if target is path:
            _check_told(path, dataset.shape, header, width * height if label == "last" else 0)


def _check_told(path: Path, shape: tuple[int, ...], header: str, label: int) -> None:
    """Raise UnsupportedError for a single file that would be read as something else."""
    if not sniff(path):
        raise UnsupportedError(
            "one .csv file of no rows, or of too few numbers in a row, is not known as a table of "
            "pictures: give a folder"
        )
    try:
        table, columns = _opened(path, None)
    except FormatError:
        table = columns = None
    named = table is not None and table.names is not None
    if not columns or (columns.label, columns.shape, named) != (label, shape, header != "none"):
        raise UnsupportedError(
            "one .csv file of these examples leaves open which column is the label: use a header, "
            "or give a folder"
        )


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The file and the lines of examples."""
    files = _files(path)[0]
    file = files.get(split) or next(iter(files.values()))
    sidecar = _sidecar.find(path) if path.is_dir() else None
    table, columns = _opened(file, sidecar)
    lines = _csvcells.line_of_rows(table) if table else []
    if table and columns and columns.split is not None:
        said = _csvcells.splits_of_rows(table, columns.split)
        lines = [line for line, one in zip(lines, said, strict=True) if one == split]
    return [f"{file}, line {lines[index]}" for index in indices]
