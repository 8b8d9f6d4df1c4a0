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
    from mnistprep.evaluation import Evaluation, evaluate
    from mnistprep.inspection import Inspection, inspect
    from mnistprep.prediction import Prediction, predict
    from mnistprep.report.writing import write_report
    from mnistprep.selection import Selection, select
    from mnistprep.sources import load
    from mnistprep.training.runs import train
    from mnistprep.verification import VerifyReport, verify

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Digest",
    "Evaluation",
    "Inspection",
    "MnistprepError",
    "Prediction",
    "Selection",
    "Split",
    "VerifyReport",
    "__version__",
    "evaluate",
    "fetch",
    "inspect",
    "load",
    "predict",
    "read",
    "select",
    "train",
    "verify",
    "write",
    "write_report",
]

_HOMES = {
    "Dataset": "dataset",
    "Digest": "dataset",
    "Evaluation": "evaluation",
    "Inspection": "inspection",
    "MnistprepError": "errors",
    "Prediction": "prediction",
    "Selection": "selection",
    "Split": "dataset",
    "VerifyReport": "verification",
    "evaluate": "evaluation",
    "fetch": "download",
    "inspect": "inspection",
    "load": "sources",
    "predict": "prediction",
    "read": "convert",
    "select": "selection",
    "train": "training.runs",
    "verify": "verification",
    "write": "convert",
    "write_report": "report.writing",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
