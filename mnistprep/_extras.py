"""Libraries that only some formats need, imported when such a format is used."""

from __future__ import annotations

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


def load(module: str) -> Any:
    """The module of that dotted name, as one without types.

    Raises MissingDependency, which says what to install, when its library is not there.
    """
    top = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != top:
            raise
        raise MissingDependency(missing(top) or str(error)) from None


def library(module: str) -> str:
    """What is installed to have a module."""
    return _EXTRAS[module][0]


def missing(module: str) -> str | None:
    """What to do to have a module that is not installed; None when it is."""
    if find_spec(module) is not None:
        return None
    name, package = _EXTRAS[module]
    return f"needs {name}, which is not installed: pip install {package}"
