"""Arrays in dicts, tuples and lists within each other, as one table whose names say roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnistprep.formats import _named

_NAMES = {1: ("train",), 2: ("train", "test"), 3: ("train", "valid", "test")}


def flat(
    content: object, split: str, axes: Callable[[Any], int | None]
) -> dict[str, object] | None:
    """The arrays in `content` by names such as train_images; None for what is nested otherwise.

    Known are dicts of arrays, (x, y), (x, y, x, y), (x, x, y, y), ((x, y), (x, y)), and, by the
    names of splits, dicts of such pairs and dicts. `split` is what a lone pair is of. `axes` gives
    the number of axes of an array, and None for anything else; what is neither an array nor nested
    keeps its name.
    """
    if isinstance(content, Mapping):
        return _of_table(content, axes)
    if not isinstance(content, (tuple, list)) or not 2 <= len(content) <= 6:
        return None
    pairs = [_pair(part, axes) for part in content]
    if all(pair is not None for pair in pairs) and len(content) in _NAMES:
        names = _NAMES[len(content)]
        return _named_pairs(names, [pair for pair in pairs if pair is not None])
    whole = _pair(content, axes)
    if whole is not None:
        return _named_pairs((split,), [whole])
    pictures = [part for part in content if (axes(part) or 0) > 1]
    labels = [part for part in content if axes(part) == 1]
    if len(pictures) != len(labels) or len(pictures) + len(labels) != len(content):
        return None
    return _named_pairs(_NAMES[len(pictures)], list(zip(pictures, labels, strict=True)))


def are_numbers(value: object) -> bool:
    """Whether a value is a list of integers that an int64 holds."""
    return isinstance(value, list) and all(
        type(number) is int and number.bit_length() < 64 for number in value
    )


def _of_table(
    content: Mapping[Any, Any], axes: Callable[[Any], int | None], *, top: bool = True
) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in content.items():
        name = key.decode("latin1") if isinstance(key, bytes) else key
        if not isinstance(name, str):
            name = f"{type(key).__name__} key"
        means = _named.meaning(name)
        split = means.split if means is not None and not means.role else ""
        pair = _pair(value, axes)
        if top and split and isinstance(value, Mapping):  # those in it are no splits again
            below = _of_table(value, axes, top=False)
            found.update({f"{name}_{inner}": array for inner, array in below.items()})
        elif split and pair is not None:
            found.update(_named_pairs((name,), [pair]))
        else:
            found[name] = value
    return found


def _pair(value: object, axes: Callable[[Any], int | None]) -> tuple[object, object] | None:
    """Pictures and labels, where a value is these two."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return None
    x, y = value
    return (x, y) if (axes(x) or 0) > 1 and axes(y) in (1, 2) else None


def _named_pairs(names: tuple[str, ...], pairs: list[tuple[object, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, (x, y) in zip(names, pairs, strict=True):
        found |= {f"{name}_images": x, f"{name}_labels": y}
    return found
