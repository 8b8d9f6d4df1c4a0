"""Pixels written as decimal numbers, brought back to the bytes they were made from, or refused.

A file of pixels holds bytes, or bytes divided by 255 or by 256 and rounded to five decimals or
more; with so many, no number is of two scales, except that 1 is a byte too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from mnistprep._progress import Progress

BYTE, UNIT = 1, 255
_NUMBER = re.compile(rb"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_LENGTH = 40  # characters; %.17g needs 24
_LEARNT = 1 << 16  # texts that a table keeps
_WHOLE = re.compile(rb"\+?([0-9]{1,10})(?:\.0*)?(?:[eE]\+?0+)?")


class Pixels(dict[bytes, int]):
    """Texts and the pixels that they mean on one scale; new texts are looked up once.

    A text that is no pixel raises ValueError.
    """

    def __init__(self, scale: int) -> None:
        super().__init__((str(k).encode(), k) for k in range(256 if scale == BYTE else 1))
        self._values = _values(scale)

    def __missing__(self, text: bytes) -> int:
        pixel = self._values.get(_number(text), -1)
        if pixel < 0:
            raise ValueError("not a pixel")
        if len(self) < _LEARNT:
            self[text] = pixel
        return pixel


def scale_of(rows: Iterable[Iterable[bytes]]) -> tuple[int | None, bool]:
    """The scale of the pixels in rows, by the first that tells, and whether any is 1.

    None where all are 0 or 1. What is no number on any scale counts as a byte, for the reader to
    say where it is.
    """
    ones = False
    for row in rows:
        for text in set(row) - {b"0"}:
            try:
                value = _number(text)
            except ValueError:
                return BYTE, ones
            if value == 1:
                ones = True
            elif value != 0:
                return next((s for s in (BYTE, UNIT, 256) if value in _values(s)), BYTE), ones
    return None, ones


def chosen(rows: Iterable[Iterable[bytes]], scale: str, where: Path, progress: Progress) -> int:
    """The scale of the pixels in rows, as `scale` ("auto", "byte" or "unit") has it."""
    if scale == "byte":
        return BYTE
    found, ones = scale_of(rows)
    if found is None and ones and scale == "auto":
        progress.note(
            f"{where.name}: all pixels are 0 or 1, taken for bytes; -R scale=unit takes 1 for 255"
        )
    if scale == "unit":
        return found if found in (255, 256) else UNIT
    return found or BYTE


def whole(text: bytes) -> int:
    """The label that 7, 7.0, +7 or 7e0 means; ValueError for anything else."""
    if (match := _WHOLE.fullmatch(text)) is None:
        raise ValueError("not a whole number")
    return int(match[1])


def vanishes(number: bytes) -> bool:
    """Whether a number that is not 0 is too small to be told from it."""
    return float(number) == 0 and re.search(rb"[1-9]", re.split(rb"[eE]", number)[0]) is not None


def _number(text: bytes) -> float:
    plain = text.strip().strip(b"\"'")
    if len(plain) > _LENGTH or not _NUMBER.fullmatch(plain) or vanishes(plain):
        raise ValueError("not a number")
    return float(plain)


@cache
def _values(scale: int) -> dict[float, int]:
    values = {float(k): k for k in range(256)} if scale == BYTE else {}
    if scale != BYTE:
        for k in range(256):
            # Divided in double or in single precision, and printed with any number of digits.
            for value in (k / scale, float(np.float32(k) / np.float32(scale))):
                values[value] = k
                values.update((float(f"{value:.{digits}f}"), k) for digits in range(5, 20))
                values.update((float(f"{value:.{digits}g}"), k) for digits in range(6, 18))
    return values
