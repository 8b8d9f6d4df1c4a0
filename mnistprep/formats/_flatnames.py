"""Labels that stand in the names of pictures: `00012_7.png`, `7-12.png`, `5.1.png`, `cat.3.jpg`.

Which part is the label is decided by evidence over all names of a folder, or not at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"\d+", re.ASCII)
_MARK = re.compile(r"(?:^|[^A-Za-z])(?:label|class|digit|target|y)[-_= .#]*$", re.IGNORECASE)
_WORD_FIRST = re.compile(r"(?P<word>[^\W\d_](?:[-_ ]*[^\W\d_])*)[-_. ]*\d+", re.ASCII)
_WORD_LAST = re.compile(r"\d+[-_. ]*(?P<word>[^\W\d_](?:[^\W\d]|[ -])*)", re.ASCII)
_CLASSES = 100  # more values than this in a second column are no labels

Rule = tuple[str, int]
"""The names with # for each number, and which number is the label; or a way to find a word."""
_BY_WORD = {"word first": _WORD_FIRST, "word last": _WORD_LAST}


def natural(text: str) -> list[tuple[int, int, str, str]]:
    """A key that sorts numbers in texts as numbers, of any length."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", text)
    numbers = [(digits, digits.lstrip("0"), other) for digits, other in parts]
    return [
        (0, len(value), value, digits) if digits else (1, 0, other, "")
        for digits, value, other in numbers
    ]


def rule(stems: Sequence[str]) -> Rule | None:
    """How these names (without endings) say their labels; None where that is not certain."""
    skeletons = {_NUMBER.sub("#", stem) for stem in stems}
    if len(skeletons) != 1:
        return _word_rule(stems)
    skeleton = skeletons.pop()
    texts = skeleton.split("#")[:-1]
    marked = [k for k, text in enumerate(texts) if _MARK.search(text)]
    if len(marked) == 1:
        return skeleton, marked[0]
    if any(len(number) > 18 for number in _NUMBER.findall(max(stems, key=len))):
        return None
    columns = list(zip(*([int(n) for n in _NUMBER.findall(stem)] for stem in stems), strict=True))
    varied = [k for k, column in enumerate(columns) if len(set(column)) > 1]
    if len(varied) != 2:  # a number that all have in common says nothing
        return None
    first, second = varied
    fits = [
        label
        for label, other in ((first, second), (second, first))
        if _fits(columns[label], columns[other])
    ]
    if not fits:
        padded = [k for k in varied if any(_is_padded(stem, k) for stem in stems)]
        if len(padded) == 1 and len(set(columns[padded[0]])) == len(stems):
            label = first if padded == [second] else second
            fits = [label] if _is_dense(columns[label]) else []
    return (skeleton, fits[0]) if len(fits) == 1 else None


def label(found: Rule, stem: str) -> str | None:
    """The label in a name; None for a name of another kind."""
    kind, column = found
    if kind in _BY_WORD:
        match = _BY_WORD[kind].fullmatch(stem)
        return match["word"].rstrip("- ") if match else None
    numbers = _NUMBER.findall(stem)
    return str(int(numbers[column])) if _NUMBER.sub("#", stem) == kind else None


def _fits(labels: Sequence[int], others: Sequence[int]) -> bool:
    """Whether few values stand beside numbers that count pictures, and not the other way round."""
    if not _is_dense(labels) or 2 * len(set(labels)) > len(labels):
        return False
    if len(set(others)) == len(others):
        return True
    backwards = _counts(others, labels) and len(set(others)) <= _CLASSES
    return _counts(labels, others) and not backwards


def _is_dense(labels: Iterable[int]) -> bool:
    """Whether values could be labels: years and dates could not."""
    distinct = set(labels)
    return max(distinct) < 10 * (len(distinct) + 1)


def _counts(labels: Sequence[int], others: Sequence[int]) -> bool:
    """Whether the others count 0, 1, ... or 1, 2, ... within each label."""
    found = defaultdict(list)
    for key, other in zip(labels, others, strict=True):
        found[key].append(other)
    return all(
        min(run) in (0, 1) and sorted(run) == list(range(min(run), min(run) + len(run)))
        for run in found.values()
    )


def _is_padded(stem: str, column: int) -> bool:
    number = _NUMBER.findall(stem)[column]
    return len(number) > 2 and number.startswith("0")


def _word_rule(stems: Sequence[str]) -> Rule | None:
    for kind, pattern in _BY_WORD.items():
        words = [match["word"] for match in map(pattern.fullmatch, stems) if match]
        if len(words) == len(stems) and 1 < len(set(words)) <= len(words) // 2:
            return kind, 0
    return None
