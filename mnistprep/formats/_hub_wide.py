"""Tables with a column for each pixel, whose names say which: `pixel1`, `1x1`, `r0_c0`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _csvcolumns

_FLOAT = re.compile(r"(\d+)\.0")  # what pandas makes of a column that is numbered with floats
_DIGITS = 9  # of a number in a name


def find(
    kinds: Mapping[str, Any], file: Path
) -> tuple[tuple[str, ...], tuple[int, ...] | None] | None:
    """The columns of pixels, row by row, and the shape of a picture if their names say one.

    `kinds` are the types of all columns of numbers. None where no name has a number in it; raises
    FormatError for pixels that are missing, and where other columns could be pixels as well.
    """
    groups: dict[str, list[str]] = {}
    for name in kinds:
        if any(map(str.isdecimal, name)):
            groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    if not groups:
        return None
    stem = max(groups, key=lambda stem: (_starts_a_grid(groups[stem]), len(groups[stem])))
    group = groups[stem]
    types = {kinds[name] for name in group}
    for other in groups.values():  # one alone is an index or the like
        if other is not group and len(other) > 1 and types & {kinds[name] for name in other}:
            shown = [printable(part[0], 30) for part in (group, other)]
            raise FormatError(
                f"{file}: {len(group):,} columns like {shown[0]!r} could be the pixels, and so "
                f"could {len(other):,} like {shown[1]!r}; remove those that are not, or name all "
                "alike, by row, column and channel (0_0_0,0_0_1,...)"
            )
    names = [match[1] if (match := _FLOAT.fullmatch(name)) else name for name in group]
    if any(name == old for name, old in zip(names, group, strict=True)):
        names = group
    _check_gaps(names, file)
    order, shape = _csvcolumns.in_order(file, names, list(range(len(group))))
    return tuple(group[k] for k in order), shape


def _starts_a_grid(names: list[str]) -> bool:
    return "1x1" in names or "0x0" in names


def _check_gaps(names: list[str], file: Path) -> None:
    """Refuse names with one number each that are not numbered from 0 or 1 without gaps."""
    texts = [re.findall(r"\d+", name) for name in names]
    if len(texts[0]) != 1 or any(len(row[0]) > _DIGITS for row in texts):
        return
    numbers = {int(text) for [text] in texts}
    first, last = min(numbers), max(numbers)
    if first > 1 or last - first + 1 != len(numbers):
        missing = next(k for k in range(min(first, 1), last) if k not in numbers)
        raise FormatError(
            f"{file}: columns end in {first} to {last}, but {missing} is missing; "
            "pixels are numbered from 0 or 1 without gaps"
        )
