"""CSV files, a row a picture: the label, then the pixels row by row, 0 to 255.

    <out>/mnist_train.csv, <out>/mnist_test.csv (and mnist_valid.csv), LF line ends, no quotes
    <out>/mnist_<split>.csv alone when the target ends in .csv and there is one split
    <out>/mnistprep.json      class names and picture shape (other readers ignore it)

    header=rowcol   label,1x1,1x2,...,28x28      "MNIST in CSV" on Kaggle, the default
    header=pixel0   label,pixel0,...,pixel783    Kaggle's Digit Recognizer
    header=pixel1   label,pixel1,...,pixel784    Zalando's Fashion-MNIST
    header=none     no header                    J. Redmon's files

Read by pandas.read_csv (with header=None for `none`), polars, numpy.loadtxt, Hugging Face `csv`.
Grey pictures only. Reading finds the dialect and the label column by itself; pictures that are not
square need the `rowcol` header or the sidecar. A file without labels is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mnistprep import _workers
from mnistprep._arrays import Images, empty_images, map_bytes, release
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import SPLITS, Dataset, Split, default_classes, idx_label_type
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import _rows, _sidecar
from mnistprep.formats._rows import Dialect
from mnistprep.formats._splits import named_split

SUFFIXES: tuple[str, ...] = (".csv",)
DEFAULT_OUTPUT = "{name}_csv"
NEEDS: tuple[str, ...] = ()
Header = Literal["none", "rowcol", "pixel0", "pixel1"]

_ROWS = 250  # rows a step, written
_BLOCK = 64 << 10  # bytes a step, read: what is made of them stays in the processor's cache
_SPAN = 16  # blocks a worker takes at once
_NUMBERS = re.compile(rb'[-+0-9.,eENnAa" ]+')  # what is no pixel among them is said on reading
_LABEL = re.compile(r"label|class|target|digit|y", re.IGNORECASE)
_MARK = b"\xef\xbb\xbf"  # the byte-order mark of UTF-8, as Excel writes it
_LINE_LIMIT = 16 << 20  # bytes; a picture of 2048 x 2048 fits
_TAIL = 1 << 18  # bytes


def sniff(path: Path) -> bool:
    """Whether `path` is a text of comma-separated numbers, or a folder with such .csv files."""
    if not path.is_dir():
        return _is_rows(path, 3)
    own = (path / _sidecar.NAME).is_file()
    if not own and any(entry.is_dir() for entry in path.glob("[!.]*")):
        return False  # what lies in the folders may be the dataset
    return any(_is_rows(file, 1 if own else 3) for file in _texts(path))


def _texts(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.csv") if not file.name.startswith("."))


def _is_rows(path: Path, commas: int) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(_LINE_LIMIT).removeprefix(_MARK)
        line = file.readline(_LINE_LIMIT) or first
    return line.count(b",") >= commas and _NUMBERS.fullmatch(line[:4096].rstrip()) is not None


def read(path: Path, *, progress: Progress = quiet, workers: int | None = None) -> Dataset:
    """Read one file or a folder of them; raises FormatError with the line that is wrong."""
    files = _files(path)
    sidecar = _sidecar.find(path) if path.is_dir() else None
    splits = {}
    for name, file in files.items():
        data = _trimmed(map_bytes(file))
        if not len(data) and sidecar:
            splits[name] = Split(empty_images((0, *sidecar.shape)), np.empty(0, np.int64))
            continue
        dialect = _dialect(file, data, sidecar)
        splits[name] = _read_rows(file, data, dialect, progress, workers)
    return Dataset(path.name, splits, _sidecar.classes(sidecar, splits, path))


def _files(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {_split_name(path): path}
    files: dict[str, Path] = {}
    for file in _texts(path):
        name = _split_name(file)
        if name in files:
            raise FormatError(
                f"{path}: {files[name].name} and {file.name} are both {name}; "
                "keep one, or name the other after its split"
            )
        files[name] = file
    if not files:
        raise FormatError(f"{path}: no .csv files here")
    return {name: files[name] for name in SPLITS if name in files}


def _split_name(file: Path) -> str:
    return named_split(file.name) or "train"


def _dialect(file: Path, data: Images, sidecar: _sidecar.Sidecar | None) -> Dialect:
    lines = _first_lines(file, data)
    fields = [field.strip('" ') for field in lines[0].split(",")]
    named = any(re.search(r"[A-Za-z]", field) for field in fields)
    if named:
        label = _named_label(file, fields)
    else:
        label = 0 if sidecar else _guessed_label(file, lines + _last_lines(data))
    shape = _shape(file, [f for k, f in enumerate(fields) if k != label], named, sidecar)
    start = len(lines[0].encode()) + 1 if named else 0
    return Dialect(start, int(named), len(fields), label, shape)


def _trimmed(data: Images) -> Images:
    """The bytes without a byte-order mark and without empty lines at the end."""
    end = data[-_TAIL:].tobytes()
    stop = len(data) - len(end) + len(end.rstrip(b"\r\n"))
    return data[len(_MARK) if data[: len(_MARK)].tobytes() == _MARK else 0 : stop]


def _first_lines(file: Path, data: Images) -> list[str]:
    start = data[:_LINE_LIMIT].tobytes()
    if b"\n" not in start and len(data) > _LINE_LIMIT:
        raise FormatError(f"{file}: the first line is longer than {_LINE_LIMIT:,} bytes")
    try:
        lines = start.decode("ascii", errors="strict").split("\n")[:200]
    except UnicodeDecodeError as error:
        raise FormatError(f"{file}: byte {error.start} is not plain text") from None
    return lines if len(lines) == 1 else lines[:-1]


def _last_lines(data: Images) -> list[str]:
    end = data[-_TAIL:].tobytes().decode("latin1").rstrip("\r\n")
    return end.split("\n")[1:]


def _named_label(file: Path, fields: list[str]) -> int:
    found = [k for k, field in enumerate(fields) if _LABEL.fullmatch(field)]
    if not found:
        raise FormatError(
            f"{file}: no column is called `label` among {len(fields)}; a file without labels "
            "(such as the Digit Recognizer's test.csv) is not a split that can be trained on"
        )
    if len(found) > 1:
        raise FormatError(f"{file}: {len(found)} columns could be the label; name one `label`")
    return found[0]


def _guessed_label(file: Path, lines: list[str]) -> int:
    """Column of the label in rows without names: the first, unless only the last can be it.

    Corner pixels are background in these sets, so a column of zeros is no label where the other
    end of the row varies. `lines` are some from the start of the file and some from its end, since
    rows may be sorted by label.
    """
    rows = [line.rstrip("\r").split(",") for line in lines]
    columns = len(rows[0])
    if math.isqrt(columns) ** 2 == columns and math.isqrt(columns - 1) ** 2 != columns - 1:
        raise FormatError(
            f"{file}: {columns} values a row are a picture without a label; "
            "give the file with labels, or add a first column with them"
        )
    blank_first = all(row[0] == "0" for row in rows)
    blank_last = all(row[-1] == "0" for row in rows)
    return columns - 1 if blank_first and not blank_last else 0


def _shape(
    file: Path, pixels: list[str], named: bool, sidecar: _sidecar.Sidecar | None
) -> tuple[int, int]:
    count = len(pixels)
    if sidecar and len(sidecar.shape) == 2 and math.prod(sidecar.shape) == count:
        return sidecar.shape[0], sidecar.shape[1]
    corner = re.fullmatch(r"(\d{1,9})x(\d{1,9})", pixels[-1]) if named and pixels else None
    if corner and int(corner[1]) * int(corner[2]) == count:
        return int(corner[1]), int(corner[2])
    side = math.isqrt(count)
    if side * side != count or not count:
        raise FormatError(
            f"{file}: {count} pixels a row are not a square, and neither a 1x1,1x2,... header "
            "nor mnistprep.json says the shape"
        )
    return side, side


def _read_rows(
    file: Path, data: Images, dialect: Dialect, progress: Progress, workers: int | None
) -> Split:
    cuts, rows = _cut(file, data, dialect)
    images = empty_images((rows[-1], *dialect.shape), shared=True)
    labels = np.empty(rows[-1], np.int64)
    pixels = images.reshape(rows[-1], math.prod(dialect.shape))
    progress.start(f"read {file.name}", rows[-1], "examples")

    def parse(first: int, last: int) -> list[int]:
        found = []
        for k in range(first, last):
            block = data[cuts[k] : cuts[k + 1]]
            out = pixels[rows[k] : rows[k + 1]]
            found += _rows.parse(file, block, dialect, rows[k], out)
            release(block)
            release(out)
        return found

    at = 0
    for part in _workers.run(parse, len(cuts) - 1, size=_SPAN, workers=workers):
        labels[at : at + len(part)] = part
        at += len(part)
        progress.advance(len(part))
    return Split(images, labels)


def _cut(file: Path, data: Images, dialect: Dialect) -> tuple[list[int], list[int]]:
    """Byte positions that cut the rows into blocks of whole lines, and rows before each."""
    cuts, rows = [dialect.start], [0]
    longest = 4 * dialect.columns + _rows.LABEL_DIGITS
    while cuts[-1] < len(data):
        block = data[cuts[-1] : cuts[-1] + max(_BLOCK, longest)]
        ends = np.flatnonzero(block == 10)
        last = cuts[-1] + len(block) == len(data)
        if not len(ends) and not last:
            raise FormatError(
                f"{file}, line {rows[-1] + dialect.lines + 1}: longer than any row of "
                f"{dialect.columns} values"
            )
        ended = bool(len(ends)) and int(ends[-1]) + 1 == len(block)
        rows.append(rows[-1] + len(ends) + int(last and not ended))
        cuts.append(len(data) if last else cuts[-1] + int(ends[-1]) + 1)
        release(block)
    return cuts, rows


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    header: Header = "rowcol",
    name: str = "mnist",
) -> None:
    """Write the folder `path`, or one file when it ends in .csv.

    `name` begins the names of the files. Raises UnsupportedError for colour, and for what a single
    file cannot hold.
    """
    if len(dataset.shape) != 2:
        raise UnsupportedError("CSV holds grey pictures; these have channels")
    height, width = dataset.shape
    if not re.fullmatch(r"[\w-]+", name) or named_split(name):
        raise UsageError(f"name={name!r}: letters, digits, - and _, and no name of a split")
    if path.suffix.lower() == ".csv":
        _check_single(dataset, header)
        if _split_name(path) not in dataset.splits:
            progress.note(f"{path.name} will be read as {_split_name(path)}, by its name")
        targets = {split: path for split in dataset.splits}
    else:
        path.mkdir()
        targets = {split: path / f"{name}_{split}.csv" for split in dataset.splits}
        _sidecar.write(dataset, path)
    for split, target in targets.items():
        examples = dataset.splits[split]
        progress.start(f"write {target.name}", len(examples), "examples")
        with target.open("xb") as file:
            file.write(_header(header, height, width))
            for rows in _lines(examples, workers):
                file.write(rows)
                progress.advance(rows.count(b"\n"))


def _check_single(dataset: Dataset, header: str) -> None:
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
    if dataset.classes != tuple(map(str, range(len(dataset.classes)))):
        raise UnsupportedError("one .csv file has no place for class names: give a folder")
    found = default_classes(split.labels for split in dataset.splits.values())
    if idx_label_type(len(found)) != idx_label_type(len(dataset.classes)):
        raise UnsupportedError("one .csv file cannot say how many classes there are: give a folder")


def _header(header: str, height: int, width: int) -> bytes:
    if header == "none":
        return b""
    if header == "rowcol":
        names = [
            f"{row}x{column}" for row in range(1, height + 1) for column in range(1, width + 1)
        ]
    else:
        first = int(header[-1])
        names = [f"pixel{k}" for k in range(first, first + height * width)]
    return (",".join(["label", *names]) + "\n").encode()


def _lines(split: Split, workers: int | None) -> Iterator[bytes]:
    cells = np.zeros((256, 4), np.uint8)  # ",0" to ",255", zero bytes for what is not there
    for value in range(256):
        text = f",{value}".encode()
        cells[value, : len(text)] = list(text)
    columns = math.prod(split.shape)

    def format_rows(start: int, stop: int) -> bytes:
        numbers = split.labels[start:stop].astype("S10").view(np.uint8).reshape(-1, 10)
        table = np.zeros((stop - start, 10 + 4 * columns + 1), np.uint8)
        table[:, :10] = numbers
        table[:, 10:-1] = cells[split.images[start:stop].reshape(stop - start, -1)].reshape(
            stop - start, -1
        )
        table[:, -1] = 10
        release(split.images[start:stop])
        return table.tobytes().translate(None, b"\0")

    return _workers.run(format_rows, len(split), size=_ROWS, workers=workers)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The file and the lines of examples."""
    file = _files(path)[split]
    named = re.search(rb"[A-Za-z]", head(file, 1 << 16).partition(b"\n")[0]) is not None
    return [f"{file}, line {index + 1 + int(named)}" for index in indices]
