"""Texts of unknown origin, such as file and class names, made fit for a terminal."""

from __future__ import annotations


def printable(text: str, width: int | None = None) -> str:
    """The text with control characters written as escapes; cut to `width` characters, if given."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown if width is None or len(shown) <= width else f"{shown[: width - 1]}…"
