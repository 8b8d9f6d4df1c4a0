"""Which class the folders and labels of a tree name, and what the folders of classes are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from mnistprep._text import printable
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._flatnames import natural
from mnistprep.formats._folders import DEVICES, SPLIT_FOLDERS

_NUMBERS_LIMIT = 10_000  # a folder called 1999 is a name, ten of them called 0 to 9 are labels
_WHOLE = re.compile(r"([0-9]{1,18})(?:\.0+)?")
_PREFIX = re.compile(r"^(?:class|digit|label|number)[-_ ]?(?=[0-9]+$)", re.IGNORECASE)
_RESERVED = {*SPLIT_FOLDERS, "eval", "evaluation", *DEVICES}


def number(
    path: Path, texts: set[str], sidecar: _sidecar.Sidecar | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label that every text means, and the class names: those of the sidecar, where it is."""
    if sidecar is None:
        return numbered(str(path), texts)
    return of_sidecar(path, texts, sidecar.classes), sidecar.classes


def numbered(where: str, texts: set[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label that every text means, and the class names in label order.

    Texts that are all numbers are labels; others are names, sorted with the numbers in them as
    numbers. Raises FormatError, which starts with `where`, for what is no text.
    """
    for text in texts:
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise FormatError(f"{where}: {printable(text, 80)!r} is no name in UTF-8; rename it")
    numbers = _numbers(texts)
    if len(numbers) == len(texts) == len(set(numbers.values())):
        top = max(numbers.values(), default=-1)
        if top < _NUMBERS_LIMIT:
            return numbers, tuple(str(k) for k in range(top + 1))
    ordered = sorted(texts, key=lambda text: (natural(text), text))
    return {name: k for k, name in enumerate(ordered)}, tuple(ordered)


def plain(name: str) -> str:
    """A name for comparisons: 05 and digit_5 are 5, Cat is cat, in whatever form of Unicode."""
    name = _PREFIX.sub("", unicodedata.normalize("NFC", name))
    return name.lstrip("0") or "0" if name.isdigit() else name.casefold()


def check_shared(where: str, splits: Mapping[str, set[str]]) -> list[str]:
    """A sentence for every two splits that have names of classes, but none in common.

    Raises FormatError, which starts with `where`, where those of two splits are evidently the same
    classes in other words: they would be twice as many.
    """
    notes = []
    filled = [(split, names) for split, names in splits.items() if names]
    for (first, names), (second, others) in combinations(filled, 2):
        alone = {plain(name): name for name in sorted(names - others)}
        for other in sorted(others - names):
            name = alone.get(plain(other), "")
            if name and len(name + other) > 2:  # a and A are letters of their own
                raise FormatError(
                    f"{where}: the class {_shown(name)} of {first} is {_shown(other)} in {second}: "
                    "if they are one, give it the same name in both, letter by letter"
                )
        if names & others:
            continue
        shown = f"{first} has {_shown(min(names))}, {second} {_shown(min(others))}"
        if (_numbers(names).keys() == names) != (_numbers(others).keys() == others):
            raise FormatError(
                f"{where}: classes are numbers in one split, names in another: {shown}; call them "
                "the same in both"
            )
        notes.append(f"{where}: {first} and {second} have no class in common: {shown}")
    return notes


def _shown(name: str) -> str:
    return ascii(printable(name, 40))


def renumbered(where: str, found: Mapping[str, int]) -> list[str]:
    """A sentence where most classes are numbers and are names all the same, for one of the others.

    found: the label of every text, as `numbered` gives it.
    """
    numbers = {text: int(match[1]) for text in found if (match := _WHOLE.fullmatch(text))}
    moved = sorted((label, text) for text, label in found.items() if numbers.get(text) != label)
    if not moved or 2 * len(numbers) <= len(found):
        return []
    names = sorted(found.keys() - numbers.keys())
    why = f", as {printable(names[0], 40)!r} is none" if names else ""
    shown = ", ".join(f"{printable(text, 40)!r} is label {label}" for label, text in moved[:5])
    more = ", ..." if len(moved) > 5 else ""
    return [f"{where}: classes are read as names, not as numbers{why}: {shown}{more}"]


def lost(path: Path, dataset: Dataset, found: int) -> str | None:
    """A sentence for a file that has no place for classes beyond the last with an example."""
    if found == len(dataset.classes):
        return None
    return (
        f"{path.name}: will be read as {found:,} of the {len(dataset.classes):,} classes, as the "
        "last ones have no examples; a folder keeps them"
    )


def _numbers(texts: set[str]) -> dict[str, int]:
    return {t: int(t) for t in texts if t.isascii() and t.isdigit() and len(t) < 19}


def of_sidecar(path: Path, texts: set[str], classes: tuple[str, ...]) -> dict[str, int]:
    """The label of every text, of these classes; raises FormatError for one that is of none."""
    numbers = _numbers(texts)
    named = {slug: k for k, slug in enumerate(slugs(classes))} if len(numbers) < len(texts) else {}
    found = {text: numbers.get(text, named.get(text, len(classes))) for text in texts}
    strange = sorted(text for text, label in found.items() if label >= len(classes))
    if strange or len(set(found.values())) < len(found):
        first = (strange or sorted(found))[0]
        raise FormatError(
            f"{path}: class folder {printable(first, 80)!r} is none of the "
            f"{len(classes)} classes of {_sidecar.NAME}"
        )
    return found


def slugs(classes: Sequence[str]) -> list[str]:
    """A folder name for each class: ASCII, allowed on every system, distinct in any case.

    None is a number other than its label, or the name of a split.
    """
    taken: set[str] = set()
    found = []
    for label, name in enumerate(classes):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        slug = re.sub(r"[^A-Za-z0-9+-]+", "_", plain).strip("_-")[:40] or "class"
        if (slug.isdigit() and (int(slug) != label)) or slug.lower() in _RESERVED:
            slug = f"{slug}_{label}"
        while slug.lower() in taken or (slug.isdigit() and int(slug) != label):
            slug = f"{slug}_{label}"
        taken.add(slug.lower())
        found.append(slug)
    return found
