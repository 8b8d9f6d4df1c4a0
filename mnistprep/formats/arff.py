"""ARFF files, a row a picture: the pixels row by row, 0 to 255, then the class.

    <out>/mnist_train.arff, <out>/mnist_test.arff (and mnist_valid.arff), UTF-8, LF line ends
    <out>/mnistprep.json             class names and picture shape (other readers ignore it)
    <file>.arff alone                one split; or 60,000 + 10,000 pictures of 28x28 as OpenML has
                                     them, train first

    @RELATION mnist_784
    @ATTRIBUTE pixel1 real           to pixel784; pixel1x1 to pixel28x20 where not square
    @ATTRIBUTE class {0,1,...,9}     class names in label order, quoted where ARFF asks for it
    @DATA
    0,0,...,0,5

Specification: the ARFF page of Weka. Read by Weka, scipy.io.arff, liac-arff, and what
scikit-learn's fetch_openml reads. Read too: sparse rows, the class in any column and of any type,
pixel columns in any order, values divided by 255 or 256, gzip, bzip2 and xz. Missing values are
refused. Colour needs the sidecar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from mnistprep import _workers
from mnistprep._arrays import Images
from mnistprep._progress import Progress, quiet
from mnistprep._streams import inflated_head
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Split
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import (
    _arff,
    _arff_classes,
    _arff_rows,
    _classnames,
    _decimal,
    _rows,
    _sidecar,
)
from mnistprep.formats._arff_rows import Sheet
from mnistprep.formats._splits import OPENML, divided, named_split
from mnistprep.formats._textrows import (
    PACKED,
    Lines,
    Table,
    check_name,
    parse_shape,
    square,
)

SUFFIXES: tuple[str, ...] = (".arff",)
DEFAULT_OUTPUT = "{name}_arff"
NEEDS: tuple[str, ...] = ()
Types = Literal["real", "integer", "numeric"]
Scale = Literal["auto", "byte", "unit"]

_SNIFFED = 64 << 10  # bytes; a comment of that length may come first


def sniff(path: Path) -> bool:
    """Whether `path` is a text whose first statement is @relation, or a folder of such files."""
    if not path.is_dir():
        return _is_arff(path)
    own = (path / _sidecar.NAME).is_file()
    if not own and any(entry.is_dir() for entry in path.glob("[!.]*")):
        return False  # what lies in the folders may be the dataset
    return any(_is_arff(file) for file in _texts(path))


def _texts(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if not file.name.startswith(".")
        and file.is_file()
        and PACKED.sub("", file.name).lower().endswith(".arff")
    )


def _is_arff(path: Path) -> bool:
    start = inflated_head(path, _SNIFFED).removeprefix(b"\xef\xbb\xbf")
    for line in start.split(b"\n"):
        text = line.strip()
        if text and not text.startswith(b"%"):
            return re.match(rb"@relation\b", text, re.IGNORECASE) is not None
    return False


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    scale: Scale = "auto",
    shape: str = "auto",
    train: int = -1,
) -> Dataset:
    """Read one file or a folder of them; raises FormatError with the line that is wrong.

    `scale` says what pixels are where they are all 0 and 1: bytes, or black and white. `shape` is
    that of a picture, such as 28x28, where nothing else says it. The first `train` rows of a file
    are the training split, and the rest the test split; by itself a file of 70,000 pictures whose
    name says no split is read as 60,000 and 10,000.
    """
    given = parse_shape(shape)
    files = _files(path)
    sidecar = _sidecar.find(path) if path.is_dir() else None
    sheets = {name: _open(file, progress) for name, file in files.items()}
    size = _shape(path, sheets, sidecar, given)
    pixels = (_arff_rows.values(s, row) for s in sheets.values() for _, row in s.table.rows())
    factor = _decimal.chosen(pixels, scale, path, progress)
    images: dict[str, Images] = {}
    texts: dict[str, list[bytes]] = {}
    for name, sheet in sheets.items():
        parse = _arff_rows.parser(sheet, factor)
        images[name], texts[name] = sheet.table.fill(size, parse, progress, workers)
    labels, classes = _arff_classes.labels(sheets, texts, sidecar.classes if sidecar else None)
    splits = {name: Split(images[name], labels[name]) for name in sheets}
    unsaid = all(named_split(file.name) is None for file in files.values())
    splits = divided(splits, train, path.name, progress, unsaid=unsaid)
    if classes is None:
        classes = _sidecar.classes(None, splits, path)
    elif sidecar is None:
        found = {name: k for k, name in enumerate(classes)}
        for note in _classnames.renumbered(str(path), found):
            progress.note(note)
    return Dataset(path.name, splits, classes)


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
        raise FormatError(f"{path}: no .arff files here")
    return {name: files[name] for name in SPLITS if name in files}


def _split_name(file: Path) -> str:
    return named_split(file.name) or "train"


def _open(file: Path, progress: Progress = quiet) -> Sheet:
    lines = Lines(file)
    attributes, start, before = _arff.read_header(lines)
    columns = _arff.columns(file, attributes)
    if columns.ignored:
        listed = ", ".join(printable(name, 24) for name in columns.ignored[:5])
        progress.note(f"{file.name}: columns that are no pixels are left out: {listed}")
    if list(columns.pixels) != sorted(columns.pixels):
        progress.note(f"{file.name}: the pixels are put in the order of their names")
    table = Table(lines, b"%", start, before)
    if len(table) * len(attributes) > len(lines.data):  # only sparse rows are as short
        for number, row in table.rows():
            if not row.startswith(b"{") and len(row) < 2 * len(attributes) - 1:
                raise _arff_rows.explain(file, columns, None, number, row)
    return Sheet(columns, table)


def _shape(
    path: Path,
    sheets: dict[str, Sheet],
    sidecar: _sidecar.Sidecar | None,
    given: tuple[int, ...] | None,
) -> tuple[int, ...]:
    counts = {len(sheet.columns.pixels) for sheet in sheets.values()}
    if len(counts) > 1:
        found = " and ".join(f"{k:,}" for k in sorted(counts))
        raise FormatError(f"{path}: {found} pixels a row in files of one dataset")
    count = counts.pop()
    if given is not None and math.prod(given) != count:
        raise UsageError(f"shape={'x'.join(map(str, given))} is not that of {count:,} pixels a row")
    named = {sheet.columns.shape for sheet in sheets.values()}
    said = given or (sidecar.shape if sidecar else None)
    if said and math.prod(said) == count:
        return said
    found_shape = (named.pop() if len(named) == 1 else None) or square(count)
    if found_shape is None:
        raise FormatError(
            f"{path}: {count:,} pixels a row are not a square, and neither the names of the "
            "columns nor mnistprep.json say the shape; give it with -R shape=HEIGHTxWIDTH"
        )
    return found_shape


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    types: Types = "real",
    name: str = "mnist",
) -> None:
    """Write the folder `path`, or one file when it ends in .arff.

    `types` is the word for a pixel's type, `name` begins the names of the files. Raises
    UnsupportedError for what a single file cannot hold.
    """
    check_name(name)
    if path.suffix.lower() == ".arff":
        _check_single(dataset, path)
        parts = tuple(dataset.splits)
        if len(parts) == 1 and _split_name(path) != parts[0]:
            progress.note(f"{path.name} will be read as {_split_name(path)}, by its name")
        targets = {path: parts}
    else:
        path.mkdir()
        targets = {path / f"{name}_{part}.arff": (part,) for part in dataset.splits}
        _sidecar.write(dataset, path)
    for target, parts in targets.items():
        with target.open("xb") as file:
            file.write(_header(dataset, types, name))
            for part in parts:
                split = dataset.splits[part]
                progress.start(f"write {target.name}", len(split), "examples")
                for rows in _text(split, dataset.classes, workers):
                    file.write(rows)
                    progress.advance(rows.count(b"\n"))


def _check_single(dataset: Dataset, path: Path) -> None:
    counts = {name: len(split) for name, split in dataset.splits.items()}
    published = counts == OPENML and dataset.shape == (28, 28) and not named_split(path.name)
    if len(counts) > 1 and not published:
        raise UnsupportedError(
            f"one .arff file holds one split, not {' and '.join(counts)}: choose one, or a folder"
        )
    if (
        list(counts.values()) == [sum(OPENML.values())]
        and dataset.shape == (28, 28)
        and not named_split(path.name)
    ):
        raise UnsupportedError(
            "one .arff file of 70,000 pictures is read as 60,000 + 10,000: "
            "put the split into its name, or give a folder"
        )
    if len(dataset.shape) != 2:
        raise UnsupportedError("one .arff file holds grey pictures: give a folder for colour")
    numbers = _arff_classes.numbered(dataset.classes)
    if numbers is not None and dataset.classes != tuple(map(str, range(len(numbers)))):
        raise UnsupportedError(
            "one .arff file cannot say that class names are numbers in another order: give a folder"
        )


def _header(dataset: Dataset, types: str, name: str) -> bytes:
    shape = dataset.shape
    if len(shape) == 2 and shape[0] != shape[1]:
        rows, columns = (range(1, size + 1) for size in shape)
        pixels = [f"pixel{row}x{column}" for row in rows for column in columns]
    else:
        pixels = [f"pixel{k}" for k in range(1, math.prod(shape) + 1)]
    lines = [f"@RELATION {name}_{len(pixels)}", ""]
    lines += [f"@ATTRIBUTE {pixel} {types}" for pixel in pixels]
    lines += [f"@ATTRIBUTE class {{{','.join(map(_arff.quote, dataset.classes))}}}", "", "@DATA"]
    return ("\n".join(lines) + "\n").encode()


def _text(split: Split, classes: tuple[str, ...], workers: int | None) -> Iterator[bytes]:
    names = [_arff.quote(name).encode() for name in classes]
    format_rows = _rows.formatter(split, b",", last=True, names=names)
    for pieces in _workers.run(format_rows, len(split), size=_rows.span(split), workers=workers):
        yield from pieces


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The file and the lines of examples."""
    files = _files(path)
    file = files.get(split) or next(iter(files.values()))
    sheet = _open(file)
    if split in files:
        start = 0
    elif len(sheet.table) == sum(OPENML.values()):
        start = OPENML["train"]
    else:  # where test starts is what the reader was told
        return [f"{file}, row {index + 1} of {split}" for index in indices]
    lines = sheet.table.lines_of([start + index for index in indices])
    return [f"{file}, line {line}" for line in lines]
