"""Splits as named arrays; what the array files (npz, pt, safetensors) share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mnistprep._arrays import Images
from mnistprep.dataset import Dataset, Split, default_classes
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._scale import to_bytes

Array = npt.NDArray[np.generic]

KEYS = {  # names of the picture and the label array of a split, by who uses them
    "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    "valid": (
        ("valid_images", "valid_labels"),
        ("val_images", "val_labels"),
        ("x_valid", "y_valid"),
        ("x_val", "y_val"),
    ),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
CLASSES = "classes"


def dataset(
    where: str, name: str, arrays: Mapping[str, Array], classes: tuple[str, ...] | None
) -> Dataset:
    """The dataset of named arrays; raises FormatError for names or arrays that are not one."""
    splits: dict[str, Split] = {}
    used: set[str] = set()
    for split, pairs in KEYS.items():
        for images, labels in pairs:
            if images in arrays and labels in arrays:
                splits[split] = Split(
                    _images(arrays[images], f"{where}: {images}"),
                    _labels(arrays[labels], f"{where}: {labels}"),
                )
                used |= {images, labels}
                break
            if images in arrays or labels in arrays:
                raise FormatError(f"{where}: {images} and {labels} go together; one is missing")
    if not splits:
        listed = ", ".join(sorted(arrays)[:8]) or "none"
        raise FormatError(f"{where}: no arrays named train_images or x_train here, but: {listed}")
    if left := sorted(arrays.keys() - used):
        raise FormatError(f"{where}: holds {', '.join(left[:8])} too, which no dataset has")
    if classes is None:
        classes = _sidecar.classes(None, splits, where)
    return Dataset(name, splits, classes)


def named_classes(dataset: Dataset) -> str | None:
    """The class names as a JSON list, where the labels alone would not give them back."""
    if dataset.classes == default_classes(split.labels for split in dataset.splits.values()):
        return None
    return json.dumps(list(dataset.classes), ensure_ascii=False)


def parse_classes(text: str | None, where: str) -> tuple[str, ...] | None:
    """The class names that named_classes gave; raises FormatError for anything else."""
    if text is None:
        return None
    try:
        names = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"{where}: `classes` must be a JSON list of names")
    return tuple(names)


def _images(values: Array, where: str) -> Images:
    if values.ndim == 4 and values.shape[1] == 1 and values.shape[3] > 4:
        values = values[:, 0]  # grey with channels first, as PyTorch has them
    if (
        values.ndim not in (3, 4)
        or not 0 < math.prod(values.shape[1:]) < _sidecar.PICTURE_LIMIT
        or values.dtype.kind not in "biuf"
    ):
        raise FormatError(
            f"{where}: expected pictures (N, H, W) or (N, H, W, C), "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values.view(np.uint8) if values.dtype == np.uint8 else to_bytes(values, where)


def _labels(values: Array, where: str) -> npt.NDArray[np.int64]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise FormatError(
            f"{where}: expected one integer an example, "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values.astype(np.int64)
