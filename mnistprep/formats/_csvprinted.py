"""Bytes that were printed as fractions, told by how they were printed, exactly or not at all.

A program that divides pixels by 255 or 256 prints each of the 256 values in one way. A set of
numbers is read when there is one such way (a scale, a number type, a number of digits) that gives
every number in it; two ways that differ about a picture, and numbers that none gives, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

_SCALES = (255, 256)
_LEAST_DIGITS, _MOST_DIGITS = 3, 18  # two digits are too few to tell 1/255 from 2/255


def bytes_of(values: set[float]) -> list[dict[float, int]]:
    """The different readings of `values` as bytes; one, where it is clear what they were.

    Numbers that are exact quotients in double or single precision are those; only else are they
    looked for among the roundings.
    """
    if all(0 <= value <= 255 and value == int(value) for value in values) and max(values) > 1:
        return [{value: int(value) for value in values}]
    for tables in (_exact(), _rounded(), _halves()):
        found: list[dict[float, int]] = []
        for table in tables:
            if values <= table.keys():
                reading = {value: table[value] for value in values}
                if reading not in found:
                    found.append(reading)
        if found:
            return found
    return []


def strange(values: set[float]) -> set[float]:
    """Those of `values` that the best way of printing does not give."""
    if max(map(abs, values)) > 1:
        return {value for value in values if not 0 <= value <= 255 or value != int(value)}
    return min((values - table.keys() for table in (*_exact(), *_rounded())), key=len)


@cache
def _exact() -> tuple[dict[float, int], ...]:
    return tuple(_table(float, row) for scale in _SCALES for row in _divided(scale, np.float32))


@cache
def _halves() -> tuple[dict[float, int], ...]:
    return tuple(_table(float, row) for scale in _SCALES for row in _divided(scale, np.float16))


@cache
def _rounded() -> tuple[dict[float, int], ...]:
    tables = [
        _table(lambda value, way=f".{digits}{kind}": float(format(value, way)), row)  # type: ignore[misc]
        for scale in _SCALES
        for row in _divided(scale, np.float32)
        for kind in "gf"
        for digits in range(_LEAST_DIGITS, _MOST_DIGITS)
    ]
    return tuple(table for table in tables if len(table) == 256)


def _table(way: Callable[[float], float], quotients: list[float]) -> dict[float, int]:
    return {way(value): byte for byte, value in enumerate(quotients)}


def _divided(scale: int, kind: type[np.float32] | type[np.float16]) -> Iterator[list[float]]:
    """0 to 255 by `scale`, divided or multiplied, in double precision and in that of `kind`.

    A number of lower precision is printed in the fewest digits that give it back, or in full.
    """
    numbers = np.arange(256)
    if kind is np.float32:
        yield (numbers / scale).tolist()
        yield (numbers * (1 / scale)).tolist()
    for row in (
        (numbers / scale).astype(kind),
        numbers.astype(kind) / np.asarray(scale, kind),
        numbers.astype(kind) * np.asarray(1 / scale, kind),
    ):
        yield row.tolist()
        yield [float(str(value)) for value in row]
