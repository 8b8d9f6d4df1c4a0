"""What a folder's own layout has no place for: class names and the shape of a picture.

`mnistprep.json` lies at the top of every folder that mnistprep writes. Other readers ignore it; a
folder without it reads as far as its layout goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistprep._files import document
from mnistprep.dataset import Dataset, Split, default_classes, top_label
from mnistprep.errors import FormatError

NAME = "mnistprep.json"
CROISSANT = "croissant.json"
OWN = {NAME, CROISSANT}  # what lies in a folder for others than the readers of its layout
PICTURE_LIMIT = 1 << 31  # bytes in a picture; only damage and malice need more
_CLASSES_LIMIT = 1 << 20  # classes that labels alone can mean; damage sets high bits


@dataclass(frozen=True)
class Sidecar:
    """classes: names in label order; shape: (H, W) or (H, W, C) of every picture."""

    classes: tuple[str, ...]
    shape: tuple[int, ...]


def write(dataset: Dataset, folder: Path) -> None:
    """Write the sidecar of `dataset` into `folder`."""
    (folder / NAME).write_bytes(packed(dataset))


def packed(dataset: Dataset) -> bytes:
    """What the sidecar of `dataset` holds."""
    content = {"classes": list(dataset.classes), "shape": list(dataset.shape)}
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def find(folder: Path) -> Sidecar | None:
    """The sidecar of `folder`, if it has one; raises FormatError when it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return None
    return unpacked(document(path, "sidecar; remove it to read without"), path)


def unpacked(data: bytes, where: object) -> Sidecar:
    """The sidecar that a file holds; raises FormatError, which starts with `where`, for others."""
    try:
        content = json.loads(data.decode())
        classes, shape = content["classes"], content["shape"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FormatError(
            f"{where}: not a sidecar of mnistprep; remove it to read without"
        ) from None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise FormatError(f"{where}: `classes` must be a list of names")
    if (
        not isinstance(shape, list)
        or len(shape) not in (2, 3)
        or not all(type(size) is int and size > 0 for size in shape)
        or math.prod(shape) >= PICTURE_LIMIT
    ):
        raise FormatError(f"{where}: `shape` must be [height, width] or [height, width, channels]")
    return Sidecar(tuple(classes), tuple(shape))


def table(path: Path) -> dict[str, Any]:
    """The JSON table that a file holds; raises FormatError for anything else, OSError."""
    data = document(path, "description of a dataset")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FormatError(f"{path}: not a JSON table; the file is damaged: get it again")
    return content


def classes(sidecar: Sidecar | None, splits: Mapping[str, Split], where: object) -> tuple[str, ...]:
    """The class names of the sidecar, or the label numbers where there is none.

    Raises FormatError, which starts with `where`, for labels that number no classes.
    """
    if sidecar is not None:
        return sidecar.classes
    for name, split in splits.items():
        if top_label(split.labels) >= _CLASSES_LIMIT:
            at = int(split.labels.argmax())
            raise FormatError(
                f"{where}: label {split.labels[at]:,} of {name}[{at}] is beyond the "
                f"{_CLASSES_LIMIT:,} classes that can go without names; the file is damaged"
            )
    return default_classes(split.labels for split in splits.values())
