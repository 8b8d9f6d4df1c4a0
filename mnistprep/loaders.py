"""What other projects import: torchvision's MNIST and its family, a fast tensor loader, load_data.

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

from mnistprep import catalog, convert, labels, sources
from mnistprep._files import atomic_path, existing
from mnistprep._streams import inflated_bytes
from mnistprep.dataset import Dataset, Split
from mnistprep.download import fetch
from mnistprep.errors import (
    DataError,
    DetectionError,
    FormatError,
    MissingPath,
    MnistprepError,
    TargetError,
    UnknownName,
    UnsupportedError,
)
from mnistprep.formats import _idx_files
from mnistprep.training.batches import TensorLoader, images_tensor, labels_tensor

__all__ = ["EMNIST", "KMNIST", "MNIST", "QMNIST", "FashionMNIST", "TensorLoader", "load_data"]

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


_FASHION_MNIST, _KMNIST = (list(catalog.get(n).classes) for n in ("fashion-mnist", "kmnist"))
_THEIRS: list[str] = []  # the class names of the dataset, whatever they are
_SUBSETS = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}


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
    _name = "mnist"

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
        if dataset.classes != _DIGITS or not self.classes:
            self.classes = list(dataset.classes)

    def _read(self, download: bool) -> Dataset:
        raw = Path(self.raw_folder)
        try:
            return convert.read(raw if _listed(raw) else self.root)
        except (MissingPath, DetectionError) as error:
            if not download:
                raise _not_found(error) from error
        # Another process may write the same files first, which is as good.
        with suppress(TargetError):
            convert.write(
                sources.load(self._name), raw, "idx", layout="flat", overwrite=_listed(raw) == []
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
    def _part(self) -> str:
        return "Train" if self.train else "Test"

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
            f"Split: {self._part}",
        ]
        if self.transform is not None:
            lines.append(f"Transform: {self.transform!r}")
        if self.target_transform is not None:
            lines.append(f"Target transform: {self.target_transform!r}")
        return "\n    ".join(lines)


class FashionMNIST(MNIST):
    """Drop-in for torchvision.datasets.FashionMNIST: as MNIST, in root/FashionMNIST/raw."""

    classes = _FASHION_MNIST
    _name = "fashion-mnist"


class KMNIST(MNIST):
    """Drop-in for torchvision.datasets.KMNIST: as MNIST, in root/KMNIST/raw."""

    classes = _KMNIST
    _name = "kmnist"


class EMNIST(MNIST):
    """Drop-in for torchvision.datasets.EMNIST, which gives what the files hold: not upright.

    root: a folder with the published IDX files in EMNIST/raw.
    split: `byclass`, `bymerge`, `balanced`, `letters`, `digits` or `mnist`.
    download: when the files are not there, fetch them and put them there, as they are published.
    The rest is as for MNIST. Pictures have rows and columns swapped, and the labels of `letters`
    start at 1, after a class "N/A"; `mnistprep.load("emnist-letters")` is upright and from 0.

    Raises UnknownName for another split, and what MNIST raises.
    """

    classes = _THEIRS
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")

    def __init__(self, root: str | os.PathLike[str], split: str, **others: Any) -> None:
        if split not in self.splits:
            raise UnknownName("split of EMNIST", split, self.splits)
        self.split = split
        super().__init__(root, **others)

    def _read(self, download: bool) -> Dataset:
        name = f"emnist-{self.split}"
        _find_published(name, Path(self.raw_folder), download)
        return convert.read(self.raw_folder, "idx", name=name, orientation="stored")


class QMNIST(MNIST):
    """Drop-in for torchvision.datasets.QMNIST.

    root: a folder with the published IDX files in QMNIST/raw.
    what: `train`, `test`, `test10k`, `test50k` or `nist`; by default what `train` says.
    compat: give the class as an int, or else all eight columns of a label as a tensor.
    train: used where `what` is not given. The rest is as for EMNIST.

    targets: int64 tensor (N, 8), the class in column 0.
    Raises UnknownName for another subset, and what MNIST raises.
    """

    subsets = _SUBSETS

    def __init__(
        self,
        root: str | os.PathLike[str],
        what: str | None = None,
        compat: bool = True,
        train: bool = True,
        **others: Any,
    ) -> None:
        self.what = ("train" if train else "test") if what is None else what
        if self.what not in self.subsets:
            raise UnknownName("subset of QMNIST", self.what, self.subsets)
        self.compat = compat
        super().__init__(root, train=self.subsets[self.what] != "test", **others)
        whole = labels.read_tables(self.raw_folder, self._published)
        table = whole["train" if self.train else "test"]
        begin, end = {"test10k": (0, 10_000), "test50k": (10_000, 60_000)}.get(
            self.what, (0, len(table))
        )
        self.data = self.data[begin:end]
        self.targets = torch.from_numpy(table[begin:end])

    @property
    def _published(self) -> str:
        return "qmnist-nist" if self.what == "nist" else "qmnist"

    @property
    def _part(self) -> str:
        return self.what

    def _read(self, download: bool) -> Dataset:
        raw = Path(self.raw_folder)
        _find_published(self._published, raw, download)
        return convert.read(raw, "idx", name=self._published)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, Any]:
        """As MNIST's, with the class or, without `compat`, all columns of the label."""
        at = operator.index(index)
        picture: Any = Image.fromarray(self.data[at].numpy())
        target: Any = int(self.targets[at, 0]) if self.compat else self.targets[at]
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target


def _find_published(name: str, raw: Path, download: bool) -> None:
    """See that IDX files of that published dataset are in `raw`, fetching them if asked."""
    try:
        if _idx_files.find(existing(raw), name).pairs:
            return
        error: MnistprepError = DetectionError(f"{raw}: no IDX files of {name} here")
    except (MissingPath, FormatError) as found:
        error = found
    if not download:
        raise _not_found(error) from error
    folder = fetch(name)
    for file in catalog.get(name).files:
        with suppress(TargetError), atomic_path(raw / file.plain.name) as staging:
            inflated_bytes(folder / file.kept.name).tofile(staging)


def _not_found(error: MnistprepError) -> MnistprepError:
    kind = type(error) if isinstance(error, MissingPath) else DetectionError
    return kind(
        f"dataset not found ({error}). Give the folder that holds it as root, "
        "or use download=True to fetch it"
    )


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


def _listed(folder: Path) -> list[Path] | None:
    """What is in a folder; None where no folder can be listed."""
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
