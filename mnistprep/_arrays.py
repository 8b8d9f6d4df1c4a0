"""Where pictures live: in memory, in a memory map of a file, or in a temporary file when large."""

from __future__ import annotations

import mmap
import os
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mnistprep._temporary import temporary_file

Images = npt.NDArray[np.uint8]

SPILL = 256 << 20  # bytes of pictures from which a temporary file holds them
_KEPT = 4 << 20  # bytes of the largest array whose memory is kept
_SPILL_LABELS = 1 << 20  # bytes of labels, which are rarely as many
# Linux maps as many bytes around a page that is asked for, those of a neighbour's part among them:
# 64 kB, and all that the page cache holds in one piece, which is a huge page at most.
_AROUND = 1 << 21


class Pages(mmap.mmap):
    """A shared memory map of the package's own: its pages can be given back without loss.

    A caller's own map may be a private copy, whose changes would be lost; those are left alone.
    """


@lru_cache
def keep_freed() -> None:
    """Have the C library keep what is freed for the next array, this once for the whole process.

    glibc gives every array beyond 128 KB back to the system, and gets new pages for the next one,
    until it has seen a larger one freed; where arrays of a step are made again and again, that is
    an eighth of all time. The one here is never touched, and takes no memory.
    """
    np.empty(_KEPT, np.uint8)


def empty_images(shape: tuple[int, ...], *, shared: bool = False) -> Images:
    """A writable uint8 array for pictures, its content undefined.

    Large ones live in an unnamed temporary file, which goes with the array, so that a set larger
    than memory can be read. A shared one can be filled by forked workers.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if size >= SPILL:
        return np.frombuffer(_in_file(size), np.uint8).reshape(shape)
    if shared and size:
        return np.frombuffer(Pages(-1, size), np.uint8).reshape(shape)
    return np.empty(shape, np.uint8)


def empty_labels(count: int) -> npt.NDArray[np.int64]:
    """A writable int64 array, (count,), its content undefined; many are in a temporary file."""
    if 8 * count >= _SPILL_LABELS:
        return np.frombuffer(_in_file(8 * count), np.int64)
    return np.empty(count, np.int64)


def _in_file(size: int) -> Pages:
    with temporary_file("for a set larger than memory") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows here, not as SIGBUS
        else:
            file.truncate(size)
        return Pages(file.fileno(), size)


def map_bytes(path: Path) -> Images:
    """The bytes of a file as a read-only 1-D array, memory-mapped (an empty file: no bytes)."""
    with path.open("rb") as file:
        return map_file(file)


def map_file(file: IO[bytes]) -> Images:
    """The bytes of an open file as `map_bytes` gives them; the file may be closed then."""
    if os.fstat(file.fileno()).st_size == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(Pages(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def release(array: npt.NDArray[Any]) -> None:
    """Give the pages of a mapped array back to the system; its content is not affected."""
    base: object = array
    while isinstance(base, (np.ndarray, memoryview)):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if not isinstance(base, Pages) or not hasattr(base, "madvise"):
        return
    offset = array.ctypes.data - np.frombuffer(base, np.uint8).ctypes.data
    first = max(0, offset - _AROUND) // mmap.PAGESIZE * mmap.PAGESIZE
    stop = min(offset + array.nbytes + _AROUND, len(base))
    if array.nbytes:
        base.madvise(mmap.MADV_DONTNEED, first, stop - first)
