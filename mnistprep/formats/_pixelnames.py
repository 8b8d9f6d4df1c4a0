"""What the numbers in the names of pixels count, rows or columns: `1x1`, `r0c0`, `x0_y0`."""

from __future__ import annotations

import re
from itertools import product

_PAIRS = {  # what rows are called, and what columns are called then
    "r": ("c",), "row": ("col", "column"), "rows": ("cols", "columns"), "y": ("x",), "h": ("w",),
    "height": ("width",), "i": ("j",), "line": ("col", "column"),
}  # fmt: skip
_LONGEST = 40  # characters before a number that are looked at
_TIMES = (["x"], ["by"])  # in 1x1 and 1by1
_BARE = re.compile(r"\W*\d+ *[^\w. ] *\d+\W*|\W*\d+_\d+\W*")


def order(name: str) -> tuple[int, ...] | None:
    """The numbers of a name, two or three, with that of the row before that of the column.

    They stand as they are where no word says otherwise. None where two of them follow different
    words, which are not known to mean row and column.
    """
    words, known = _words(name), _known(name)
    count = len(words) - 1
    if known:
        at, swapped = known
        found = list(range(count))
        if swapped:
            found[at[0]], found[at[1]] = found[at[1]], found[at[0]]
        return tuple(found)
    first, second = words[0], words[1]
    plain = not second or second == first[-len(second) :] or second in _TIMES
    return tuple(range(count)) if plain or count > 2 else None


def is_said(name: str) -> bool:
    """Whether words say which number of a name is the row."""
    return _known(name) is not None


def is_grid(name: str) -> bool:
    """Whether a name is of a row and a column even if one of them is the same in all names."""
    return is_said(name) or _words(name)[1] in _TIMES or _BARE.fullmatch(name) is not None


def _words(name: str) -> list[list[str]]:
    """The words before each number, and those after the last."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    texts = [text[-_LONGEST:].lower() for text in re.split(r"\d+", apart)]
    return [re.findall(r"[^\W\d_]+", text) for text in texts]


def _known(name: str) -> tuple[tuple[int, int], bool] | None:
    """Two numbers that words say are row and column, and whether the column comes first."""
    words = _words(name)
    pairs = [(at, words[at[0]], words[at[1]]) for at in ((0, 1), (1, 2), (0, 2))
             if at[1] < len(words) - 1]  # fmt: skip
    if not words[0] and len(words) == 3:
        pairs.append(((0, 1), words[1][:1], words[2][:1]))  # 3x4y
    if not any(words[1:]):  # x_y_3_4, xy_3_4
        last = words[0][-1:]
        pairs.append(((0, 1), words[0][-2:-1], last))
        pairs += [((0, 1), [word[:k]], [word[k:]]) for word in last for k in range(1, len(word))]
    for at, first, second in pairs:
        for one, other in [*product(reversed(first), second), *_differing(first, second)]:
            if other in _PAIRS.get(one, ()):
                return at, False
            if one in _PAIRS.get(other, ()):
                return at, True
    return None


def _differing(first: list[str], second: list[str]) -> list[tuple[str, str]]:
    """The last words before two numbers, without what both begin or end with: px0_py0."""
    if not first or not second:
        return []
    one, other = first[-1], second[-1]
    while one[:1] == other[:1] != "":
        one, other = one[1:], other[1:]
    while one[-1:] == other[-1:] != "":
        one, other = one[:-1], other[:-1]
    return [(one, other)]
