"""Columns of a table of pictures: which is the label, which are the pixels, and in what order."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _pixelnames
from mnistprep.formats._csvtext import LABEL_NAME, OTHER_NAME, STRIPPED, Table, is_number
from mnistprep.formats._sidecar import Sidecar

_ONE_HOT = re.compile(r"(label|class|target|digit|y)s?[ _.:-]?#", re.IGNORECASE)
_SPLIT = re.compile(r"split|set|subset|usage|partition|phase", re.IGNORECASE)
_RGB = re.compile(r"(?<!\d)(\d{1,5})[_x](\d{1,5})_RGB", re.IGNORECASE)
_DIGITS = 9  # of a number in a name
_CLASSES = 1 << 16  # one-hot columns at most
_ENOUGH = 100  # rows that count up: no labels do


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    label: the column, or None for pictures without. one_hot: columns, one of which is 1 in each
    row. ignored: columns that are neither. pixels: columns in the order of the picture.
    shape: (H, W) or (H, W, C). notes: what a person should know of it. split: the column that says
    what split a row is of, if there is one.
    """

    label: int | None
    one_hot: tuple[int, ...]
    ignored: tuple[int, ...]
    pixels: tuple[int, ...]
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()
    split: int | None = None

    @property
    def plain(self) -> bool:
        """Whether all columns but the label are the pixels, in their order."""
        whole = self.label is not None and not self.ignored and self.split is None
        return whole and list(self.pixels) == [
            k for k in range(len(self.pixels) + 1) if k != self.label
        ]


def columns_of(table: Table, sidecar: Sidecar | None) -> Columns:
    """The columns of a table; raises FormatError where they are not clear."""
    names = table.names
    if names is not None and len(names) != table.columns:
        shown = printable(table.separator.decode().join(names), 40)
        raise FormatError(
            f"{table.file}: {len(names)} names of columns ({shown}) over rows of {table.columns} "
            "values; remove the line if it is a title"
        )
    if names is None:
        return _without_names(table, sidecar, list(range(table.columns)))
    parts = [k for k, name in enumerate(names) if _SPLIT.fullmatch(name)]
    if len(parts) > 1:
        listed = " and ".join(repr(names[k]) for k in parts)
        raise FormatError(f"{table.file}: columns {listed} could both be the split; remove one")
    found = _with_names(table, names, sidecar, parts)
    return replace(found, split=parts[0]) if parts else found


def _with_names(
    table: Table, names: Sequence[str], sidecar: Sidecar | None, parts: list[int]
) -> Columns:
    file = table.file
    labels = [k for k, name in enumerate(names) if LABEL_NAME.fullmatch(name)]
    if len(labels) > 1:
        raise FormatError(f"{file}: {len(labels)} columns could be the label; name one `label`")
    nameless = not any(names)
    ignored = [
        k for k, name in enumerate(names) if OTHER_NAME.fullmatch(name) and (name or not nameless)
    ]
    if sum(not names[k] for k in ignored) > 1:
        raise FormatError(f"{file}: several columns have no name; name the label and the pixels")
    rest = [k for k in range(len(names)) if k not in (*labels, *ignored, *parts)]
    groups: dict[str, list[int]] = {}
    for k in rest:
        groups.setdefault(re.sub(r"\d+", "#", names[k]), []).append(k)
    if not groups:
        raise FormatError(f"{file}: {len(names)} columns, and none of them is a pixel")
    main = max(groups, key=lambda stem: len(groups[stem]))
    one_hot: tuple[int, ...] = ()
    if not labels:
        for stem, group in groups.items():
            if _ONE_HOT.fullmatch(stem) and stem != main and len(group) > 1:
                one_hot = in_order(file, [names[k] for k in group], group)[0]
    known = {*groups[main], *one_hot}
    strange = [k for k in rest if k not in known]
    if strange:
        listed = ", ".join(repr(printable(names[k], 30)) for k in strange[:5])
        what = "the label" if not labels and not one_hot else "a pixel"
        raise FormatError(
            f"{file}: columns {listed} beside {len(groups[main])} like "
            f"{printable(names[groups[main][0]], 30)!r}: if one is {what}, name it so; "
            "remove the others"
        )
    notes = _ignoring(file, names, ignored)
    pixels, shape = in_order(file, [names[k] for k in groups[main]], groups[main])
    if list(pixels) != groups[main]:
        notes = (*notes, f"{file.name}: the pixels are put in the order of their names")
    if labels or one_hot:
        shape = shape or _shape(table, len(pixels), sidecar)
        notes = (*notes, *_counting(file.name, [names[k] for k in one_hot]))
        label = labels[0] if labels else None
        return Columns(label, one_hot, tuple(ignored), pixels, shape, notes)
    if list(pixels) != groups[main] or (shape and len(shape) == 3):
        return Columns(None, (), tuple(ignored), pixels, _shape(table, len(pixels), None), notes)
    if shape and math.prod(shape) == len(pixels):
        return Columns(None, (), tuple(ignored), pixels, shape, notes)
    found = _without_names(table, sidecar, groups[main])
    return Columns(
        found.label, found.one_hot, (*ignored, *found.ignored), found.pixels, found.shape,
        (*notes, *found.notes),
    )  # fmt: skip


def _ignoring(file: object, names: Sequence[str], ignored: list[int]) -> tuple[str, ...]:
    if not ignored:
        return ()
    listed = ", ".join(repr(printable(names[k], 30)) if names[k] else "one without a name"
                       for k in ignored)  # fmt: skip
    return (f"{file}: columns that are no pixels are left out: {listed}",)


def _counting(file: str, hot: list[str]) -> tuple[str, ...]:
    """A note where columns of one-hot labels are numbered, but not from 0 as labels are."""
    if not hot or int(re.findall(r"\d+", hot[0])[-1]) == 0:
        return ()
    first, last = (printable(name, 30) for name in (hot[0], hot[-1]))
    return (f"{file}: columns {first!r} to {last!r} are read as labels 0 to {len(hot) - 1}",)


def in_order(
    file: object, names: list[str], columns: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Columns in the order of the numbers in their names, and the shape, if these say one.

    Raises FormatError for numbers with gaps, and where which are the rows is not clear.
    """
    texts = [re.findall(r"\d+", name) for name in names]
    if any(len(text) > _DIGITS for row in texts for text in row):
        raise FormatError(f"{file}: the numbers in the names of the columns are too long")
    numbers = [[int(text) for text in row] for row in texts]
    if len({len(row) for row in numbers}) > 1:  # one of them has a # for a number
        raise FormatError(f"{file}: the names of the columns do not say which are pixels")
    if not numbers[0]:
        if len(set(names)) > 1:
            raise FormatError(f"{file}: the names of the columns do not say which are pixels")
        return tuple(columns), None
    table = np.array(numbers)
    several = (table != table[0]).any(axis=0).sum() > 1
    if table.shape[1] in (2, 3) and (several or _pixelnames.is_said(names[0])):
        table = table[:, _axes(file, names[0])]
    low, sizes = table.min(axis=0), table.max(axis=0) - table.min(axis=0) + 1
    varied = np.flatnonzero(sizes > 1)
    grid = int(np.prod(sizes.astype(object))) == len(names)
    if table.shape[1] in (2, 3) and (low <= 1).all() and grid:
        flat = np.ravel_multi_index(tuple((table - low).T), tuple(sizes))
        shape: tuple[int, ...] | None = tuple(int(size) for size in sizes)
    elif len(varied) <= 1 and grid:
        flat, shape = (table - low)[:, varied].sum(axis=1), None
    else:
        raise FormatError(
            f"{file}: {len(names)} columns like {printable(names[0], 30)!r}, but numbers from "
            f"{printable(names[int(table[:, -1].argmin())], 30)!r} to "
            f"{printable(names[int(table[:, -1].argmax())], 30)!r}: some are missing"
        )
    if len(set(flat.tolist())) != len(flat):
        raise FormatError(f"{file}: two columns have the name of one pixel")
    if shape and not _pixelnames.is_grid(names[0]) and len(varied) < 2 and _is_square(len(names)):
        shape = None  # img0_5: the number that all have in common is not that of a row
    if shape and len(varied) > 1 and not _pixelnames.is_said(names[0]):
        _check_rows(file, names, table[:, varied])
    order = np.array(columns)[np.argsort(flat)]
    if shape and len(shape) == 3:
        if shape[2] > 4 and shape[0] <= 4:  # channels first
            order = order.reshape(shape).transpose(1, 2, 0).reshape(-1)
            shape = (*shape[1:], shape[0])
        elif shape[2] > 4:
            raise FormatError(f"{file}: names of pixels in three dimensions, {shape}")
        shape = shape[:2] if shape[2] == 1 else shape
    return tuple(order.tolist()), shape


def _axes(file: object, name: str) -> list[int]:
    found = _pixelnames.order(name)
    if found is None:
        raise FormatError(
            f"{file}: columns like {printable(name, 30)!r}: which number is the row is not clear; "
            "name them r0c0,r0c1,... (row, column)"
        )
    return list(found)


def _check_rows(file: object, names: list[str], table: npt.NDArray[np.int64]) -> None:
    """Refuse names such as 0_0,1_0,...,0_1, which rows of x_y are, and columns of row_column."""
    channels = table.shape[1] == 3 and int(table[:, 0].max()) - int(table[:, 0].min()) < 4
    axes = [0, 2, 1] if channels else [1, 0, *range(2, table.shape[1])]
    turned = list(map(tuple, table[:, axes].tolist()))
    if turned == sorted(turned):
        raise FormatError(
            f"{file}: columns {printable(names[0], 30)!r}, {printable(names[1], 30)!r}, ...: "
            "whether these are row and column or x and y is not clear; name them r0c0 (row, "
            "column) or x0y0, or put them in the order of their numbers"
        )


def _without_names(table: Table, sidecar: Sidecar | None, columns: list[int]) -> Columns:
    """What columns in the order of the file are, by their number and some of their values."""
    count, shape = len(columns), sidecar.shape if sidecar else ()
    rows = [[row[k] for k in columns if k < len(row)] for row in table.first + table.last]
    rows = [row for row in rows if len(row) == count]
    if count == 0:
        raise FormatError(f"{table.file}: no columns of pixels")
    if shape and math.prod(shape) == count - 1:
        return Columns(columns[0], (), (), tuple(columns[1:]), shape)
    words = {k: sum(not is_number(row[k]) for row in rows) for k in (0, count - 1)}
    texts = [k for k, number in words.items() if 3 * number > len(rows)]
    if len(texts) == 1 and _is_square(count - 1):
        return _labelled(table, columns, texts[0], sidecar)
    counting = bool(table.first) and len(rows) > 2 and _counts_up(rows[: len(table.first)])
    if counting and _is_square(count - 2) and not _is_square(count - 1):
        found = _without_names(table, sidecar, columns[1:])
        note = f"{table.file}: the first column counts the rows and is left out"
        return Columns(
            found.label, found.one_hot, (columns[0],), found.pixels, found.shape, (note,)
        )
    if counting and _is_square(count - 1) and min(len(rows), len(table.first)) >= _ENOUGH:
        shape = _shape(table, count - 1, None)
        note = f"{table.file}: the first column counts the rows and is left out"
        return Columns(None, (), (columns[0],), tuple(columns[1:]), shape, (note,))
    if _is_square(count) and not _is_square(count - 1):
        return Columns(None, (), (), tuple(columns), _shape(table, count, None))
    if hot := _one_hot(table, columns, rows, sidecar):
        return hot
    return _labelled(table, columns, _guessed(table, rows) * (count - 1), sidecar)


def _labelled(table: Table, columns: list[int], at: int, sidecar: Sidecar | None) -> Columns:
    pixels = tuple(column for k, column in enumerate(columns) if k != at)
    return Columns(columns[at], (), (), pixels, _shape(table, len(pixels), sidecar))


def _guessed(table: Table, rows: list[list[bytes]]) -> bool:
    """Whether the label is in the last column of rows without names; else it is in the first.

    Corner pixels are background in these sets, so a column of zeros is no label where the other
    end of the row varies. `rows` are some from the start of the file and some from its end, since
    rows may be sorted by label. Raises FormatError where both ends could be labels, and where
    neither could unless all labels are 0.
    """
    first = [_value(row[0]) for row in rows]
    last = [_value(row[-1]) for row in rows]
    if not any(first) and not any(last) and len(rows) > 1:
        raise FormatError(
            f"{table.file}: the first and the last of {len(rows[0])} values a row are 0 in all "
            "rows that were looked at, and either could be the label, or one between them; name "
            "the columns (label,1x1,1x2,...)"
        )
    if not any(first) or not any(last):
        return not any(first) and any(last)
    both = _like_labels(first) and _like_labels(last)
    if both and max(first.count(0), last.count(0)) < len(rows) / 2:
        raise FormatError(
            f"{table.file}: the first and the last of {len(rows[0])} values a row could both be "
            "the label; name the columns (label,1x1,1x2,...)"
        )
    return not _like_labels(first) and _like_labels(last)


def _like_labels(values: list[float]) -> bool:
    """Whether nearly all are small whole numbers; a few may be wrong, which reading will say."""
    fitting = sum(0 <= value < 100 and value == int(value) for value in values)
    return 10 * fitting >= 9 * len(values)


def _one_hot(
    table: Table, columns: list[int], rows: list[list[bytes]], sidecar: Sidecar | None
) -> Columns | None:
    """Columns at one end of the row of which exactly one is 1, where the rest is a square."""
    count = len(columns)
    fitting = [
        (pixels, classes)
        for side in range(1, math.isqrt(count) + 1)
        if 2 <= (classes := count - side * side) <= min(_CLASSES, count // 2)
        for pixels in (slice(None, -classes), slice(classes, None))
    ]
    found: list[tuple[list[int], list[int]]] = []
    ends = set()
    for pixels, classes in sorted(fitting, key=lambda fit: fit[1]):
        hot = slice(-classes, None) if pixels.start is None else slice(None, classes)
        expected = Counter({1.0: 1, 0.0: classes - 1})
        if rows and all(Counter(map(_value, row[hot])) == expected for row in rows):
            places = {tuple(map(_value, row[hot])).index(1.0) for row in rows}
            # Background beside one-hot labels looks like more classes, which nothing is of.
            if (len(places) > 1 or not _is_square(count - 1)) and (hot.start is None) not in ends:
                ends.add(hot.start is None)
                found.append((columns[hot], columns[pixels]))
    if len(found) > 1:
        raise FormatError(
            f"{table.file}: {count} values a row, of which {len(found[0][0])} or "
            f"{len(found[1][0])} could be one-hot labels; name the columns"
        )
    if not found:
        return None
    hots, rest = found[0]
    return Columns(None, tuple(hots), (), tuple(rest), _shape(table, len(rest), sidecar))


def _value(field: bytes) -> float:
    try:
        return float(field.strip(STRIPPED))
    except ValueError:
        return math.nan


def _counts_up(rows: list[list[bytes]]) -> bool:
    values = [_value(row[0]) for row in rows]
    return values[0] in (0, 1) and values == [values[0] + k for k in range(len(values))]


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count


def _shape(table: Table, count: int, sidecar: Sidecar | None) -> tuple[int, ...]:
    if sidecar and math.prod(sidecar.shape) == count:
        return sidecar.shape
    said = _RGB.search(table.file.name)
    if said and int(said[1]) * int(said[2]) * 3 == count:
        return int(said[1]), int(said[2]), 3
    side = math.isqrt(count)
    if side * side == count and count:
        return side, side
    colours = math.isqrt(count // 3)
    hint = ""
    if count and 3 * colours * colours == count:
        hint = f"; in three colours they could be {colours}x{colours}x3 in two orders"
    raise FormatError(
        f"{table.file}: {count} pixels a row are not a square, and neither a 1x1,1x2,... header "
        f"nor mnistprep.json says the shape{hint}"
    )
