"""How much a small file may become: a limit that stops bombs, and that a person can raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mnistprep._numbers import whole

LIMIT = 1 << 30  # bytes that a packed file may become in any case ...
RATIO = 100  # ... and times its own size, where that is more
RAISE = "if that is right, raise the limit with --max-bytes N (max_bytes=N)"
PIXELS = 1 << 24  # that a picture may have in any case ...
DENSEST = 8 * 1032  # ... and so many for each byte of its file: of one bit each, in deflate
TOO_LARGE = "reading it needs more memory than there is; it is damaged, or too large"
_CHANNELS = 3  # bytes that a pixel may take

_chosen: ContextVar[int | None] = ContextVar("max_bytes", default=None)


def most(size: int) -> int:
    """The most bytes that a packed file of `size` bytes may become."""
    limit = _chosen.get()
    return max(LIMIT, RATIO * size) if limit is None else limit


def at_least(usual: int) -> int:
    """A limit of another kind, in bytes: the usual one, or what was chosen where that is more."""
    return max(usual, _chosen.get() or 0)


def pixels(size: int) -> int:
    """The most pixels that a picture in a file of `size` bytes may have."""
    return max(PIXELS, DENSEST * size, at_least(0) // _CHANNELS)


@contextmanager
def raised(max_bytes: int | None) -> Iterator[None]:
    """Within the block a packed file may become so many bytes; None changes nothing.

    A picture may have a third as many pixels, where that is more than Pillow allows by itself.
    Raises UsageError for less than 1, and for what is no whole number.
    """
    if max_bytes is None:
        yield
        return
    max_bytes = whole("max_bytes", max_bytes, 1)
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS  # of the whole process, as Pillow has it
    token = _chosen.set(max_bytes)
    if before is not None:
        Image.MAX_IMAGE_PIXELS = max(before, max_bytes // _CHANNELS)
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
        _chosen.reset(token)
