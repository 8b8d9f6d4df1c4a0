"""What other projects import: torchvision's MNIST, a fast tensor loader, Keras's load_data.

    from mnistprep.loaders import MNIST, TensorLoader, load_data

Nothing here needs torchvision or Keras.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from mnistprep import convert, sources
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import DataError, DetectionError, MissingPath, TargetError, UnsupportedError
from mnistprep.training.batches import TensorLoader, images_tensor, labels_tensor

__all__ = ["MNIST", "TensorLoader", "load_data"]

Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.integer[Any]]]
Transform = Callable[[Any], Any]

_DIGITS = tuple("0123456789")
DIGIT_NAMES = [
    "0 - zero",
    "1 - one",
    "2 - two",
    "3 - three",
    "4 - four",
    "5 - five",
    "6 - six",
    "7 - seven",
    "8 - eight",
    "9 - nine",
]


class MNIST(TorchDataset[tuple[Any, Any]]):
    """Drop-in for torchvision.datasets.MNIST, without torchvision, over any form on the disk.

    root: a folder with torchvision's layout (root/MNIST/raw/...), or else anything that
        `mnistprep.read` reads. The training set is `train` followed by `valid`.
    train: the training examples, or the test examples.
    transform, target_transform: applied to each picture (PIL, mode L, or RGB for colour) and each
        label (int).
    download: when there is no dataset at root, fetch MNIST and write its four IDX files to
        root/MNIST/raw.

    data: uint8 tensor (N, H, W), or (N, H, W, C) for colour. targets: int64 tensor (N,).
    classes: torchvision's names ("0 - zero") for the ten digits, else the dataset's own.
    Raises MissingPath (a FileNotFoundError) or DetectionError when there is no dataset, FormatError
    when it is damaged, DataError when it lacks the split, FetchError when it cannot be fetched.
    """

    classes = DIGIT_NAMES

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self.root = os.path.expanduser(root)
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        dataset = self._read(download)
        split = _split(dataset, "train" if train else "test")
        self.data = _picture_tensor(split)
        self.targets = labels_tensor(split)
        if dataset.classes != _DIGITS:
            self.classes = list(dataset.classes)

    def _read(self, download: bool) -> Dataset:
        raw = Path(self.raw_folder)
        try:
            return convert.read(raw if raw.is_dir() and any(raw.iterdir()) else self.root)
        except (MissingPath, DetectionError) as error:
            if not download:
                raise type(error)(
                    f"dataset not found ({error}). Give the folder that holds it as root, "
                    "or use download=True to fetch it"
                ) from error
        # Another process may write the same files first, which is as good.
        with suppress(TargetError):
            convert.write(
                sources.load("mnist"), raw, "idx", layout="flat", overwrite=_is_empty(raw)
            )
        return convert.read(raw)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, Any]:
        """The picture and label at `index`, transformed; negative ones count from the end.

        Raises TypeError for a slice and IndexError beyond the ends.
        """
        at = operator.index(index)
        picture: Any = Image.fromarray(self.data[at].numpy())
        target: Any = int(self.targets[at])
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        """Where torchvision's layout has the IDX files."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}

    def __repr__(self) -> str:
        lines = [
            f"Dataset {type(self).__name__}",
            f"Number of datapoints: {len(self)}",
            f"Root location: {self.root}",
            f"Split: {'Train' if self.train else 'Test'}",
        ]
        if self.transform is not None:
            lines.append(f"Transform: {self.transform!r}")
        if self.target_transform is not None:
            lines.append(f"Target transform: {self.target_transform!r}")
        return "\n    ".join(lines)


def load_data(name: str = "mnist") -> tuple[Arrays, Arrays]:
    """(x_train, y_train), (x_test, y_test) of a dataset by name, as Keras's load_data gives them.

    Pictures uint8 (N, H, W) or (N, H, W, C); labels uint8 (N,), int64 beyond 256 classes; all of
    them writable copies. Raises what `mnistprep.load` raises.
    """
    dataset = sources.load(name)
    kind = np.uint8 if len(dataset.classes) <= 256 else np.int64
    train, test = _split(dataset, "train"), _split(dataset, "test")
    return (
        (np.array(train.images), train.labels.astype(kind)),
        (np.array(test.images), test.labels.astype(kind)),
    )


def _split(dataset: Dataset, name: str) -> Split:
    splits = dataset.joined().splits
    if name not in splits:
        raise DataError(f"{dataset.name} has no {name} split, only {', '.join(splits)}")
    return splits[name]


def _picture_tensor(split: Split) -> torch.Tensor:
    channels_first = images_tensor(split)
    if channels_first.shape[1] == 1:
        return channels_first.squeeze(1)
    if channels_first.shape[1] > 4:
        raise UnsupportedError(
            f"Pillow pictures have 1 to 4 channels, these have {channels_first.shape[1]}; "
            "TensorLoader takes them"
        )
    return channels_first.permute(0, 2, 3, 1).contiguous()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
