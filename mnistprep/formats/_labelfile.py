"""Files that say the labels of pictures: tables of names and labels, or a label a line.

.csv .tsv .txt     a column of file names and one of labels, with or without a header, split at
                   commas, semicolons or tabs; or `path label` as Caffe's lists have it; or
                   labels alone, for the pictures in the order of their names
.jsonl             an object a line
.json              names and their labels, or a list of objects
metadata.parquet   what Hugging Face `imagefolder` reads, like metadata.csv and metadata.jsonl
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _csvtext, _labelparquet

ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".json", ".parquet")
_NAMED = re.compile(
    r"metadata|labels?|annotations?|targets?|gt|ground[-_ ]?truth|list|files?|"
    r"(?:.*[-_. ])?(?:train|training|val|valid|validation|dev|test|testing|eval)"
    r"(?:[-_. ].*|labels?|list)?|.*[-_. ]labels?|labels?[-_. ].*",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"(?:image|img|picture|photo|file)?[-_ ]?(?:file)?[-_ ]?(?:name|path|id)|images?|files?|path",
    re.IGNORECASE,
)
_LABEL = (  # the surest first
    re.compile(r"labels?", re.IGNORECASE),
    re.compile(
        r"(?:class|target|digit|category|label)(?:[-_ ]?(?:id|no|index|num(?:ber)?))?", re.I
    ),
    re.compile(r"(?:class|label|category|target)[-_ ]?(?:name|text)|y|gt|ground[-_ ]?truth", re.I),
)
_SPLIT = re.compile(r"(?:data)?[-_ ]?(?:split|subset|partition|usage|phase|set)", re.IGNORECASE)
_UNREAD = re.compile(
    r".*(?:label|annotation|instances|metadata|target|gt).*"
    r"\.(?:npy|npz|mat|xlsx?|ods|json|xml|ya?ml|pkl|pickle|h5|db)|labels?|y\.npy",
    re.IGNORECASE,
)
_TRIED = 20  # rows in which names are looked for
_LIMIT = 1 << 30  # bytes

_MISSING = re.compile(r"|nan|na|n/a|null|none|\?|-[0-9]+(\.0*)?", re.I | re.ASCII)  # among numbers
_LARGEST = 1 << 31
_FLOAT = re.compile(r"[0-9]+(?:[.,][0-9]*)?(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)

Rows = list[list[str]]
Resolve = Callable[[str], str | None]
Note = Callable[[str], None]
Entry = tuple[str, str | None, str | None]
"""A picture, its label, and what a column of splits says; None where a table leaves it out."""


class _NoLabel(str):
    """The text of a value that no label is: a list, an object, bytes, a fraction."""

    __slots__ = ()


def is_missing(text: str) -> bool:
    """Whether a text among numbers says that there is no label, as -1 and nan do."""
    return _MISSING.fullmatch(text) is not None


def is_candidate(name: str) -> bool:
    """Whether a file is called as one with labels is."""
    stem, dot, ending = name.lower().rpartition(".")
    if ending in ("jsonl", "parquet"):
        return stem == "metadata"
    return f".{ending}" in ENDINGS and bool(dot) and _NAMED.fullmatch(stem) is not None


def is_metadata(name: str) -> bool:
    """Whether a file is called as that of Hugging Face's `imagefolder`."""
    return name.lower().startswith("metadata.") and not name.lower().endswith(".json")


def may_hold_labels(name: str) -> bool:
    """Whether a file of another form is called as one with labels is."""
    return _UNREAD.fullmatch(name) is not None


def entries(
    data: bytes,
    name: str,
    where: str,
    resolve: Resolve,
    pictures: Sequence[str] | None,
    note: Note,
) -> list[Entry] | None:
    """The pictures that a file lists with their labels, in its order; None if it lists none.

    resolve: the picture that a name in the file means; pictures: those that labels alone would be
    of, in their order; None if they need names; note: told of what is left out. Raises FormatError
    for a file that lists pictures and is not right.
    """
    rows, header = _rows(data, name, where)
    if not rows:
        return [] if header and _column(header) is not None else None
    if len(rows[0]) == 1:
        return _names_alone(rows, resolve) or _labels_alone(rows, header, where, pictures, note)
    if header is None and _is_header(rows, resolve):
        header, rows = rows[0], rows[1:]
    counts = [_pictures_in(rows, k, resolve) for k in range(len(rows[0]))]
    if header and (called := _column(header)) is not None:
        counts[called] = 0  # label 7 is not the picture 7.png
    titled = [bool(header and _FILE.fullmatch(title)) for title in header or rows[0]]
    file = max(range(len(counts)), key=lambda k: (counts[k] > 0, titled[k], counts[k]))
    if not counts[file]:
        if header and not any(titled):
            return _labels_alone(rows, header, where, pictures, note)
        if not any(titled):
            return None
        file = titled.index(True)
    label = _label_column(header, len(rows[0]), file, where)
    if label is None:
        return None
    part = _split_column(header)
    labels = _labels(rows, label, where)
    listed: list[Entry] = []
    for number, (row, text) in enumerate(zip(rows, labels, strict=True), start=1):
        picture = resolve(row[file])
        if picture is None:
            raise FormatError(
                f"{where}: lists {printable(row[file], 80)!r} (row {number:,}), and there is no "
                "such picture here"
            )
        listed.append((picture, text, row[part] if part is not None else None))
    _say_left(header, {file, label, part}, where, note)
    return listed


def _say_left(header: list[str] | None, used: set[int | None], where: str, note: Note) -> None:
    left = [title for k, title in enumerate(header or ()) if k not in used]
    if left:
        shown = ", ".join(repr(printable(title, 30)) for title in left[:5])
        note(f"{where}: columns that are not read: {shown}{', ...' if len(left) > 5 else ''}")


def _labels(rows: Rows, column: int, where: str) -> list[str | None]:
    """The labels in a column: 3.0 as 3 where all are numbers; None where there is none.

    Raises FormatError for a value that is no label.
    """
    texts = [row[column] for row in rows]
    for number, text in enumerate(texts, start=1):
        if isinstance(text, _NoLabel):
            raise FormatError(
                f"{where}, row {number:,}: the label is {printable(str(text), 40)}; expected a "
                "whole number or a text"
            )
    texts = [text.strip() for text in texts]
    numbers = [_whole(text) for text in texts]
    if not all(whole or is_missing(text) for whole, text in zip(numbers, texts, strict=True)):
        return [text or None for text in texts]
    return [whole or text or None for whole, text in zip(numbers, texts, strict=True)]


def _whole(text: str) -> str | None:
    """The number that 3, 3.0, 3,0 or 3e0 is, as a text; None for anything else."""
    if text.isascii() and text.isdigit():
        return str(int(text)) if len(text) < 5 else text  # 03 is 3; longer ones may be names
    value = float(text.replace(",", ".")) if _FLOAT.fullmatch(text) else math.nan
    return str(int(value)) if value.is_integer() and value < _LARGEST else None


def _names_alone(rows: Rows, resolve: Resolve) -> list[Entry] | None:
    """Pictures that are listed without labels, as those of a test are; None for anything else."""
    if _FILE.fullmatch(rows[0][0]) and resolve(rows[0][0]) is None:
        rows = rows[1:]
    names = [resolve(row[0]) if "." in row[0] or "/" in row[0] else None for row in rows]
    found: list[Entry] = [(name, None, None) for name in names if name is not None]
    return found if found and len(found) == len(rows) else None


def _is_header(rows: Rows, resolve: Resolve) -> bool:
    """Whether the first row names columns: no picture, where others name some."""
    if len(rows) < 2 or any(resolve(cell) is not None for cell in rows[0]):
        return False
    return _column(rows[0]) is not None or any(resolve(cell) is not None for cell in rows[1])


def _pictures_in(rows: Rows, column: int, resolve: Resolve) -> int:
    """How many different pictures the first rows of a column name."""
    return len({resolve(row[column]) for row in rows[:_TRIED]} - {None})


def _column(header: Sequence[str]) -> int | None:
    """The column that a header calls the label."""
    for pattern in _LABEL:
        found = [k for k, title in enumerate(header) if pattern.fullmatch(title)]
        if len(found) == 1:
            return found[0]
    return None


def _split_column(header: Sequence[str] | None) -> int | None:
    found = [k for k, title in enumerate(header or ()) if _SPLIT.fullmatch(title)]
    return found[0] if len(found) == 1 else None


def _label_column(header: list[str] | None, width: int, file: int, where: str) -> int | None:
    label = _column(header) if header else None
    if label is None and width == 2:
        label = 1 - file
        if header and _FILE.fullmatch(header[label]):
            return None
    if label is not None or width == 1:
        return label if label != file else None
    titles = ", ".join(header or [f"column {k}" for k in range(1, width + 1)])
    raise FormatError(f"{where}: no column is called `label` among {printable(titles, 100)}")


def _labels_alone(
    rows: Rows,
    header: list[str] | None,
    where: str,
    pictures: Sequence[str] | None,
    note: Note,
) -> list[Entry] | None:
    if pictures is None:
        return None
    if header is None and _column(rows[0]) is not None:
        header, rows = rows[0], rows[1:]
    label = _column(header) if header else 0
    if label is None:
        return None
    if len(rows) != len(pictures):
        hint = ""
        if len(pictures) == 1:
            hint = "; if it is a sheet of many, read it alone with -R tile=28x28"
        elif len(rows) == len(pictures) + 1 and not header:
            hint = _csvtext.title_hint(rows[0][0])
        raise FormatError(f"{where}: {len(rows):,} labels for {len(pictures):,} pictures{hint}")
    _say_left(header, {label}, where, note)
    labels = _labels(rows, label, where)
    return [(name, text, None) for name, text in zip(pictures, labels, strict=True)]


def values(data: bytes, name: str, where: str) -> list[str]:
    """The labels in a file that lists nothing else, or one column of them with numbers before.

    Raises FormatError where one is missing, or is -1, nan or the like among numbers.
    """
    rows, header = _rows(data, name, where)
    if header is None and rows and _column(rows[0]) is not None:
        header, rows = rows[0], rows[1:]
    label = _column(header) if header else None
    if label is None and rows and len(rows[0]) > 1:
        if header:
            raise FormatError(f"{where}: no column is called `label`")
        rows = [[word] for row in rows for cell in row for word in cell.split()]
    found = [text or "" for text in _labels(rows, label or 0, where)]
    names = {text for text in found if not is_missing(text)}
    if all(text.isascii() and text.isdigit() for text in names):
        for number, text in enumerate(found, start=1):
            if is_missing(text):
                raise FormatError(f"{where}, label {number:,} is {text!r}, which says none")
    return found


def _rows(data: bytes, name: str, where: str) -> tuple[Rows, list[str] | None]:
    """What `_rows_of` gives; rows of nothing are refused."""
    rows, header = _rows_of(data, name, where)
    if rows and not rows[0]:
        raise FormatError(f"{where}: rows without any values")
    return rows, header


def _rows_of(data: bytes, name: str, where: str) -> tuple[Rows, list[str] | None]:
    """The rows of a table, all of one width, and its header where the form has one."""
    if len(data) > _LIMIT:
        raise FormatError(f"{where}: {len(data):,} bytes, larger than any file of labels")
    ending = name.lower().rpartition(".")[2]
    if ending == "parquet":
        return _parquet(data, where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = " but UTF-16; save it as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise FormatError(f"{where}: byte {error.start:,} is no UTF-8 text{wide}") from None
    if ending == "json":
        return _json(text, where)
    if ending == "jsonl":
        return _json_lines(text, where)
    first = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in "\t,;" if mark in first), None)
    if delimiter is None:
        rows = [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
    else:
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise FormatError(f"{where}: not a table ({printable(str(error), 80)})") from None
    rows = [[cell.strip() for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise FormatError(
                f"{where}, row {number:,}: {len(row)} values, the first row has {len(rows[0])}"
            )
    return _headed(rows)


def _headed(rows: Rows) -> tuple[Rows, list[str] | None]:
    titled = len(rows) > 0 and _column(rows[0]) is not None
    if titled and len(rows[0]) > 1 and any(_FILE.fullmatch(cell) for cell in rows[0]):
        return rows[1:], rows[0]
    return rows, None


class _TwiceError(ValueError):
    """Raised for an object with two values of one name, of which JSON readers take the last."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _TwiceError(f"{printable(twice, 40)!r} is there twice")
    return found


def _json(text: str, where: str) -> tuple[Rows, list[str] | None]:
    """A table out of names and labels, or of a list of objects; no rows for anything else."""
    try:
        found = json.loads(text, object_pairs_hook=_object)
    except _TwiceError as error:
        raise FormatError(f"{where}: {error}; keep one") from None
    except (ValueError, RecursionError):
        raise FormatError(f"{where}: no JSON that can be read") from None
    if isinstance(found, dict) and {"images", "annotations"} <= found.keys():
        raise FormatError(
            f"{where}: COCO's annotations, which may say several things of a picture; save one "
            "label each as labels.csv, `file_name,label`"
        )
    if isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
        found = [{"file_name": name, **value} for name, value in found.items()]
    elif isinstance(found, dict):
        found = [{"file_name": name, "label": value} for name, value in found.items()]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found) or not found:
        return [], None
    header = list(found[0])
    values = [value for one in found for value in one.values()]
    if any(one.keys() != found[0].keys() for one in found) or any(
        isinstance(value, (list, dict)) for value in values
    ):
        return [], None
    return [[_text(one[key]) for key in header] for one in found], header


def _json_lines(text: str, where: str) -> tuple[Rows, list[str] | None]:
    rows: Rows = []
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_object)
        except _TwiceError as error:
            raise FormatError(f"{where}, line {number:,}: {error}; keep one") from None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or (header and set(found) != set(header)):
            raise FormatError(
                f"{where}, line {number:,}: not an object with the same keys as others"
            )
        header = header or list(found)
        rows.append([_text(found[key]) for key in header])
    return rows, header


def _parquet(data: bytes, where: str) -> tuple[Rows, list[str]]:
    columns = _labelparquet.read(data, where)
    rows = [[_text(cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    return rows, list(columns)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (str, int)) else _NoLabel(repr(value))
