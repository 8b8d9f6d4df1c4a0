"""Get MNIST and its relatives, convert them without loss, prove the result.

    import mnistprep

    dataset = mnistprep.load("mnist")
    mnistprep.write(dataset, "mnist_images", format="imagefolder")
    report = mnistprep.verify("mnist_images")

The names below load on first use: importing the package loads neither NumPy nor PyTorch nor
requests. Loaders for other projects are in mnistprep.loaders.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnistprep.convert import read, write
    from mnistprep.dataset import Dataset, Digest, Split
    from mnistprep.download import fetch
    from mnistprep.errors import MnistprepError
    from mnistprep.inspection import Inspection, inspect
    from mnistprep.selection import Selection, select
    from mnistprep.sources import load
    from mnistprep.verification import VerifyReport, verify

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Digest",
    "Inspection",
    "MnistprepError",
    "Selection",
    "Split",
    "VerifyReport",
    "__version__",
    "fetch",
    "inspect",
    "load",
    "read",
    "select",
    "verify",
    "write",
]

_HOMES = {
    "Dataset": "dataset",
    "Digest": "dataset",
    "Inspection": "inspection",
    "MnistprepError": "errors",
    "Selection": "selection",
    "Split": "dataset",
    "VerifyReport": "verification",
    "fetch": "download",
    "inspect": "inspection",
    "load": "sources",
    "read": "convert",
    "select": "selection",
    "verify": "verification",
    "write": "convert",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
