"""Small helpers of peers that take one picture at a time: encode it, decode it, collect many."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.cases import Splits


def encoded(pixels: Any) -> bytes:
    """A picture as the bytes of a PNG, by Pillow as it comes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def decoded(data: bytes) -> Any:
    """The pixels of a picture file in memory, by Pillow."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)))


def stacked(examples: Iterable[tuple[Any, int]]) -> tuple[Any, Any]:
    """Arrays of pictures and labels from pairs of one picture and its label."""
    import numpy as np

    pictures, labels = [], []
    for picture, label in examples:
        pictures.append(picture)
        labels.append(label)
    return np.stack(pictures), np.array(labels, np.int64)


def batches(loader: Iterable[Any]) -> tuple[Any, Any]:
    """Arrays of bytes and labels from batches of floats 0 to 1 (B, 1, H, W) and labels (B,)."""
    import torch

    parts = [((images * 255).round().byte().cpu(), labels.cpu()) for images, labels in loader]
    images, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return images.squeeze(1).numpy(), labels.numpy()


def in_tree(root: Path) -> Iterator[tuple[str, Path]]:
    """Each split of a tree of class folders, and its folder."""
    for name in ("train", "test"):
        yield name, root / name


def classes(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files of a split of a tree, and their labels."""
    for part in sorted(folder.iterdir()):
        label = int(part.name)
        for file in sorted(part.iterdir()):
            yield file, label


def torchvision_datasets() -> ModuleType:
    """torchvision.datasets, also where torchvision does not belong to the build of PyTorch.

    It registers operators for a CUDA build when it is imported; beside a CPU build that fails, and
    its datasets and transforms do not need them.
    """
    sys.modules.setdefault(
        "torchvision._meta_registrations", ModuleType("torchvision._meta_registrations")
    )
    from torchvision import datasets

    return datasets


def floats(images: Any) -> Any:
    """Pictures (N, H, W) as a float tensor (N, 1, H, W) from 0 to 1."""
    import torch

    return torch.from_numpy(images).unsqueeze(1).float().div_(255)


def only(content: tuple[Any, Any], split: str = "train") -> Splits:
    """The content of one split."""
    return {split: content}
