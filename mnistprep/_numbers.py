"""Whole numbers that a caller gives: Python's own, NumPy's, nothing else that compares alike."""

from __future__ import annotations

import operator
from typing import Any

from mnistprep.errors import UsageError

SEEDS = (1 << 64) - 1  # the largest seed


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an int; raises UsageError, which calls it `name`, outside least..most.

    A float is not whole even where it has no fraction, and neither is a bool.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise UsageError(f"{name} must be a whole number, not {_shown(value)}")
    if number < least or (most is not None and number > most):
        allowed = f"{least} or more" if most is None else f"{least} to {most}"
        raise UsageError(f"{name} must be {allowed}, not {_shown(number)}")
    return number


def _shown(value: object) -> str:
    """The value where it is short: Python refuses to print integers of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length():,} bits"
    return f"{value!r:.100}" if isinstance(value, int | float | str) else type(value).__name__
