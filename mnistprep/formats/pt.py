"""PyTorch file of uint8 pictures and int64 labels, for torch.load(path, weights_only=True).

    {"train_images": uint8 (N, H, W) or (N, H, W, C), "train_labels": int64 (N,),
     "valid_...", "test_...",
     "classes": JSON list of names; only when they are not "0", "1", ...}

A zip as torch.save writes it; the bytes depend on PyTorch's version but not on the file's name.
Memory-mapped on reading. torchvision's own caches (training.pt and test.pt, a pair of tensors) are
read too. A file that asks for anything but plain tensors is refused before PyTorch opens it.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from mnistprep import _torchfile
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError
from mnistprep.formats import _named, _nested
from mnistprep.formats._scale import to_unit
from mnistprep.formats._splits import named_split

SUFFIXES: tuple[str, ...] = (".pt", ".pth")
DEFAULT_OUTPUT = "{name}.pt"
NEEDS: tuple[str, ...] = ("torch",)
_EMNIST = re.compile(r"(training|test)_(byclass|bymerge|balanced|letters|digits|mnist)\.pt")


def sniff(path: Path) -> bool:
    """Whether `path` is a file of torch.save: a zip with a data.pkl, or the older stream."""
    if not _torchfile.is_one(path):
        return False
    if head(path, 2) != b"PK":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix in SUFFIXES  # a damaged one: reading it says so


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Read the tensors, memory-mapped where the file allows. Raises FormatError."""
    torch = _torchfile.require("the format pt")
    if not sniff(path):  # torch.load opens other files too
        raise FormatError(f"{path}: not a file of torch.save")
    progress.start("read tensors", None, "examples")
    content = _torchfile.load(path)
    split = named_split(path.name) or "train"
    held = type(content).__name__
    if _EMNIST.fullmatch(path.name) and not isinstance(content, dict):
        raise FormatError(
            f"{path}: torchvision's cache of EMNIST, in which pictures lie on their side and "
            "letters count from 1; read the IDX files that it was made of (EMNIST/raw)"
        )
    model = isinstance(content, dict) and "state_dict" in content
    content = _nested.flat(content, split, lambda value: _axes(value, torch))
    if content is None:
        raise FormatError(
            f"{path}: holds a {held}, not a table of tensors; expected train_images, "
            "train_labels, ..., or (images, labels)"
        )
    if model:
        raise FormatError(f"{path}: a trained model, not a dataset; `mnistprep evaluate` takes it")
    names = content.pop(_named.CLASSES, None)
    classes = _named.parse_classes(names if names is None else str(names), str(path))
    arrays = {
        str(key): _array(value, f"{path}: {str(key)[:40]}", torch) for key, value in content.items()
    }
    dataset = _named.dataset(str(path), path.name, arrays, classes, progress=progress)
    progress.advance(len(dataset))
    return dataset


def _axes(value: object, torch: ModuleType) -> int | None:
    if isinstance(value, torch.Tensor):
        return int(value.ndim)
    return 1 if _nested.are_numbers(value) else None


def _array(value: object, where: str, torch: ModuleType) -> _named.Array:
    if isinstance(value, list) and _nested.are_numbers(value):
        return np.array(value, np.int64)
    if (
        not isinstance(value, torch.Tensor)
        or value.device.type != "cpu"
        or value.layout != torch.strided
        or value.is_quantized
        or value.nbytes > value.untyped_storage().nbytes()  # a small tensor expanded
    ):
        raise FormatError(
            f"{where} is not a plain tensor; expected train_images, train_labels, ..."
        )
    try:
        array: _named.Array = value.detach().resolve_neg().resolve_conj().numpy()
    except (TypeError, RuntimeError, ValueError):  # the last for sides beyond what NumPy takes
        raise FormatError(f"{where} is a tensor of {value.dtype}") from None
    return array


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    dtype: Literal["uint8", "float32"] = "uint8",
) -> None:
    """Write the file with torch.save; pixels as bytes, or (dtype=float32) as byte / 255."""
    _named.check(dataset)
    torch = _torchfile.require("the format pt")
    content: dict[str, Any] = {}
    with warnings.catch_warnings():
        # The arrays are read-only, and nobody writes to these tensors.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        for name, split in dataset.splits.items():
            content[f"{name}_images"] = torch.from_numpy(
                to_unit(split.images) if dtype == "float32" else np.asarray(split.images)
            )
            content[f"{name}_labels"] = torch.from_numpy(np.asarray(split.labels))
    if names := _named.named_classes(dataset):
        content[_named.CLASSES] = names
    progress.start("write tensors", len(dataset), "examples")
    _torchfile.save(content, path)
    progress.advance(len(dataset))


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The tensors of examples and their rows there."""
    return [f"{path}, {split}_images[{index}], {split}_labels[{index}]" for index in indices]
