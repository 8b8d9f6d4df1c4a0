"""LIBSVM files (svmlight), a row a picture: the label, then the pixels that are not 0.

    <out>/mnist_train.libsvm, <out>/mnist_test.libsvm (and mnist_valid.libsvm), LF line ends
    <out>/mnistprep.json       class names and picture shape (other readers ignore it)
    <file>.libsvm alone        one split of grey square pictures without class names

    5 153:3 154:18 155:18      label, then index:value, indices from 1 and rising, row by row
    scale=byte                 values 0 to 255, as in LIBSVM's `mnist`, the default
    scale=unit                 divided by 255 and printed with %.6g, as in `mnist.scale`

Specification: the README of LIBSVM. Read by svm-train, LIBLINEAR, XGBoost and
sklearn.datasets.load_svmlight_file(path, n_features=784). Read too: LIBSVM's own names (mnist,
mnist.t, mnist.scale, ...), indices from 0, comments, values divided by 256, gzip, bzip2 and xz.
Without the sidecar the form says neither the shape nor where indices start; see the options.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mnistprep import _workers
from mnistprep._arrays import release
from mnistprep._progress import Progress, quiet
from mnistprep._streams import inflated_head
from mnistprep.dataset import SPLITS, Dataset, Split, default_classes, idx_label_type
from mnistprep.errors import FormatError, UnsupportedError
from mnistprep.formats import _classnames, _decimal, _libsvm, _sidecar
from mnistprep.formats._libsvm import whole_index
from mnistprep.formats._splits import named_split
from mnistprep.formats._textrows import (
    PACKED,
    Lines,
    Table,
    check_name,
    parse_shape,
    square,
)

SUFFIXES: tuple[str, ...] = (".libsvm", ".svmlight", ".svm")
DEFAULT_OUTPUT = "{name}_libsvm"
NEEDS: tuple[str, ...] = ()
Written = Literal["byte", "unit"]
Scale = Literal["auto", "byte", "unit"]
First = Literal["auto", "0", "1"]

_ROWS = 250  # rows a step, written
_SNIFFED = 64 << 10  # bytes
_FILES = 64  # files of a folder that are looked into
_LIKELY = re.compile(_libsvm.NUMBER + rb"(?:[ \t]+(?:qid|[0-9]{1,9}):[-+0-9.eE]+)*")
_ENDINGS = {".t": "test", ".val": "valid", ".tr": "train"}  # LIBSVM's
_FAMILY = (28, 28)  # the shape of sets whose last pixels are never inked: `mnist` ends at 780


def sniff(path: Path) -> bool:
    """Whether `path` is a text of labels and index:value pairs, or a folder of such files."""
    if not path.is_dir():
        return _is_rows(path, bare=path.name.lower().endswith(SUFFIXES))
    own = (path / _sidecar.NAME).is_file()
    if not own and any(entry.is_dir() for entry in path.glob("[!.]*")):
        return False  # what lies in the folders may be the dataset
    return bool(_texts(path))


def _texts(folder: Path) -> list[Path]:
    """The files of this form in a folder; with a sidecar, those named so count even if empty."""
    own = (folder / _sidecar.NAME).is_file()
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if len(entries) > _FILES:
        return []
    found = []
    for file in entries:
        named = file.name.lower().endswith(SUFFIXES)
        empty = own and named and file.is_file() and not file.stat().st_size
        if empty or _is_rows(file, bare=named):
            found.append(file)
    return found


def _is_rows(path: Path, *, bare: bool) -> bool:
    """Whether all lines at the start of a file are rows, one with a pair unless `bare` ones do."""
    start = inflated_head(path, _SNIFFED)
    lines = start.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if len(start) == _SNIFFED:
        cut = lines.pop()
        lines += [cut[: cut.rfind(b" ")]] if not lines else []
    rows = [text for line in lines if (text := line.partition(b"#")[0].strip())]
    return (
        bool(rows)
        and (bare or any(b":" in row for row in rows))
        and all(map(_LIKELY.fullmatch, rows))
    )


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    scale: Scale = "auto",
    shape: str = "auto",
    first: First = "auto",
) -> Dataset:
    """Read one file or a folder of them; raises FormatError with the line that is wrong.

    `scale` says what pixels are where they are all 0 and 1: bytes, or black and white. `shape` is
    that of a picture, such as 28x28, and `first` the index of its first pixel. All splits have the
    same of each.
    """
    given = parse_shape(shape)
    files = _files(path, progress)
    sidecar = _sidecar.find(path) if path.is_dir() else None
    tables = {name: Table(Lines(file), b"#") for name, file in files.items()}
    lowest, highest = _extent(tables)
    said = given or (sidecar.shape if sidecar else None)
    base = _base(path, tables, first, said, sidecar is not None, (lowest, highest), progress)
    size = said or _shape(path, highest - base + 1, progress)
    if lowest < base or highest - base >= math.prod(size):
        raise FormatError(
            f"{path}: indices {lowest:,} to {highest:,} do not fit {math.prod(size):,} pixels "
            f"that start at index {base}"
        )
    rows = (
        [pair.partition(b":")[2] for pair in row.partition(b"#")[0].split()[1:]]
        for table in tables.values()
        for _, row in table.rows()
    )
    factor = _decimal.chosen(rows, scale, path, progress)
    splits = {}
    for name, table in tables.items():
        if not table.ended:
            progress.note(f"{table.file.name}: the last row has no end of line; is it cut short?")
        parse = _libsvm.parser(table.file, base, factor)
        images, texts = table.fill(size, parse, progress, workers)
        splits[name] = Split(images, _libsvm.labels(table, texts))
    return Dataset(path.name, splits, _sidecar.classes(sidecar, splits, path))


def _files(path: Path, progress: Progress = quiet) -> dict[str, Path]:
    if not path.is_dir():
        return {_split_name(path): path}
    files: dict[str, Path] = {}
    texts = _texts(path)
    stems = {PACKED.sub("", file.name).rpartition(".")[0] for file in texts}
    entries = [file for file in sorted(path.glob("[!.]*")) if file.name not in _sidecar.OWN]
    for file in [file for file in entries if file in texts or (texts and _is_meant(file, stems))]:
        name = _split_name(file)
        if name in files:
            raise FormatError(
                f"{path}: {files[name].name} and {file.name} are both {name}; "
                "give one of them, or name the other after its split"
            )
        files[name] = file
    if not files:
        raise FormatError(f"{path}: no files of labels and index:value pairs here")
    if others := [file.name for file in entries if file not in files.values()]:
        progress.note(f"{path.name}: left out, as they hold no rows: {', '.join(others[:5])}")
    return {name: files[name] for name in SPLITS if name in files}


def _is_meant(file: Path, stems: set[str]) -> bool:
    """Whether a file without rows is a split by its name: then it is damaged, which reading says.

    stems: what the others are called without their endings, as `mnist` is beside `mnist.t`.
    """
    name = PACKED.sub("", file.name)
    called = name.lower().endswith(SUFFIXES) and named_split(name) is not None
    return file.is_file() and (called or name in stems or name.lower().endswith(tuple(_ENDINGS)))


def _split_name(file: Path) -> str:
    name = PACKED.sub("", file.name).lower()
    ending = next((split for end, split in _ENDINGS.items() if name.endswith(end)), None)
    return ending or named_split(name) or "train"


def _extent(tables: dict[str, Table]) -> tuple[int, int]:
    """The lowest and the highest index of all rows, by their first and last pair."""
    lowest, highest = 1 << 30, -1
    for table in tables.values():
        for number, row in table.rows():
            text = row.partition(b"#")[0]
            if b":" in text:
                try:
                    lowest = min(lowest, whole_index(text.partition(b":")[0].split()[-1]))
                    highest = max(
                        highest, _libsvm.whole_index(text.rpartition(b":")[0].rsplit(None, 1)[-1])
                    )
                except (ValueError, IndexError):
                    raise _libsvm.explain(table.file, number, text) from None
    return lowest, highest


def _base(
    path: Path,
    tables: dict[str, Table],
    first: First,
    shape: tuple[int, ...] | None,
    own: bool,
    extent: tuple[int, int],
    progress: Progress,
) -> int:
    """The index of the first pixel."""
    lowest, highest = extent
    if first != "auto":
        return int(first)
    if lowest == 0:
        return 0
    if own or highest < 0 or (shape and highest == math.prod(shape)) or square(highest):
        return 1
    said = {base for table in tables.values() if (base := _said(table)) is not None}
    if len(said) == 1:
        return said.pop()
    progress.note(
        f"{path.name}: indices are taken to start at 1, as LIBSVM has them; no 0 shows otherwise. "
        "For files from scikit-learn's dump_svmlight_file, read with -R first=0"
    )
    return 1


def _said(table: Table) -> int | None:
    """The index that a comment of scikit-learn's says columns start at."""
    start = inflated_head(table.file, 4096)
    found = re.search(rb"^# *Column indices are (zero|one)-based", start, re.MULTILINE)
    return None if found is None else int(found[1] == b"one")


def _shape(path: Path, pixels: int, progress: Progress) -> tuple[int, int]:
    """The shape of pictures whose last inked pixel is the `pixels`-th, where that tells."""
    if pixels < 1:
        raise FormatError(
            f"{path}: no row has a pixel that is not 0, so nothing says the shape of the pictures; "
            "give it with -R shape=28x28"
        )
    last_row = (_FAMILY[0] - 1) ** 2 < pixels <= math.prod(_FAMILY)
    shape = _FAMILY if last_row else square(pixels)
    if shape is None:
        raise FormatError(
            f"{path}: the last of the pixels that are not 0 is number {pixels:,}, which does not "
            "say the shape of the pictures; give it with -R shape=28x28"
        )
    progress.note(
        f"{path.name}: read as pictures of {shape[0]}x{shape[1]}, as the last of the pixels that "
        f"are not 0 is number {pixels:,}"
    )
    return shape


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    scale: Written = "byte",
    name: str = "mnist",
) -> None:
    """Write the folder `path`, or one file when it ends in .libsvm, .svmlight or .svm.

    `name` begins the names of the files. Raises UnsupportedError for what a single file cannot
    hold.
    """
    check_name(name)
    if scale == "unit":
        _check_unit(dataset)
    if path.name.lower().endswith(SUFFIXES):
        _check_single(dataset, path, progress)
        if _split_name(path) not in dataset.splits:
            progress.note(f"{path.name} will be read as {_split_name(path)}, by its name")
        targets = {split: path for split in dataset.splits}
    else:
        path.mkdir()
        targets = {split: path / f"{name}_{split}.libsvm" for split in dataset.splits}
        _sidecar.write(dataset, path)
    for part, target in targets.items():
        split = dataset.splits[part]
        progress.start(f"write {target.name}", len(split), "examples")
        with target.open("xb") as file:
            for rows in _rows(split, scale, workers):
                file.write(rows)
                progress.advance(rows.count(b"\n"))


def _check_unit(dataset: Dataset) -> None:
    """Each split must show its scale: 0 and 1 alone would be read as bytes."""
    for name, split in dataset.splits.items():
        black_and_white = white = False
        for images, _ in split.chunks():
            white = white or bool((images == 255).any())
            black_and_white = not ((images > 0) & (images < 255)).any()
            if not black_and_white:
                break
        if white and black_and_white:
            raise UnsupportedError(
                f"{name} is black and white alone: divided by 255 that is 0 and 1, which are "
                "bytes too; use scale=byte"
            )


def _check_single(dataset: Dataset, path: Path, progress: Progress) -> None:
    if len(dataset.splits) > 1:
        listed = " and ".join(dataset.splits)
        raise UnsupportedError(
            f"one file of LIBSVM holds one split, not {listed}: choose one, or a folder"
        )
    found = default_classes(split.labels for split in dataset.splits.values())
    if dataset.classes != tuple(map(str, range(len(dataset.classes)))):
        raise UnsupportedError("one file of LIBSVM has no place for class names: give a folder")
    if not len(dataset) or idx_label_type(len(found)) != idx_label_type(len(dataset.classes)):
        raise UnsupportedError(
            "one file of LIBSVM cannot say how many classes there are: give a folder"
        )
    if note := _classnames.lost(path, dataset, len(found)):
        progress.note(note)
    inked = max(map(_last_inked, dataset.splits.values()))
    try:
        shape: tuple[int, ...] | None = _shape(Path(), inked, quiet)
    except FormatError:
        shape = None
    if shape != dataset.shape:
        raise UnsupportedError(
            f"one file of LIBSVM cannot say the shape of these pictures, "
            f"{'x'.join(map(str, dataset.shape))}: give a folder"
        )


def _last_inked(split: Split) -> int:
    """How many pixels there are up to the last that is not 0 in any picture."""
    last = 0
    for images, _ in split.chunks():
        inked = np.flatnonzero(images.reshape(len(images), -1).any(axis=0))
        last = max(last, int(inked[-1]) + 1 if len(inked) else 0)
    return last


def _rows(split: Split, scale: str, workers: int | None) -> Iterator[bytes]:
    count = math.prod(split.shape)
    starts = [f" {index}:".encode() for index in range(1, count + 1)]
    texts = [(f"{k}" if scale == "byte" else f"{k / 255:.6g}").encode() for k in range(256)]

    def format_rows(start: int, stop: int) -> bytes:
        pieces: list[bytes] = []
        pictures = split.images[start:stop].reshape(stop - start, count)
        for label, picture in zip(split.labels[start:stop].tolist(), pictures, strict=True):
            inked = np.flatnonzero(picture)
            pieces.append(str(label).encode())
            pairs = zip(inked.tolist(), picture[inked].tobytes(), strict=True)
            pieces += [text for at, value in pairs for text in (starts[at], texts[value])]
            pieces.append(b"\n")
        release(split.images[start:stop])
        return b"".join(pieces)

    return _workers.run(format_rows, len(split), size=_ROWS, workers=workers)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The file and the lines of examples."""
    file = _files(path)[split]
    return [f"{file}, line {line}" for line in Table(Lines(file), b"#").lines_of(indices)]
