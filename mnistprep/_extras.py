"""Libraries that only some formats need, imported when such a format is used."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mnistprep.errors import MissingDependency

# What is installed for each module, and what brings it: mostly an extra of mnistprep.
_EXTRAS = {
    "torch": ("PyTorch", "torch"),
    "pyarrow": ("pyarrow", "'mnistprep[parquet]'"),
    "google_crc32c": ("google-crc32c", "'mnistprep[tfrecord]'"),
    "h5py": ("h5py", "'mnistprep[hdf5]'"),
}
# What libraries, and the system's loader of them, say where memory is short.
_NO_MEMORY = re.compile("allocate memory|failed to map|out of memory|bad_alloc", re.IGNORECASE)


def load(module: str) -> Any:
    """The module of that dotted name, as one without types.

    Raises MissingDependency, which says what to install, when its library is not there or broken,
    and MemoryError when there is not enough memory to load it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        if no_memory(error):
            raise MemoryError(str(error)) from None
        broken = f"{library(module)} is installed, but cannot be loaded ({error}): install it again"
        raise MissingDependency(missing(module) or broken) from None


def no_memory(error: BaseException) -> bool:
    """Whether an exception, whatever its type, says that memory is short."""
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


def library(module: str) -> str:
    """What is installed to have a module."""
    return _EXTRAS[_top(module)][0]


def missing(module: str) -> str | None:
    """What to do to have a module that is not installed; None when it is."""
    if find_spec(_top(module)) is not None:
        return None
    name, package = _EXTRAS[_top(module)]
    return f"needs {name}, which is not installed: pip install {package}"


def _top(module: str) -> str:
    return module.partition(".")[0]
