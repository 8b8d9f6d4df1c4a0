"""One epoch of the training pictures: shuffled, in batches of 64, as floats.

It is the second epoch, as most are: in the first, threads start and kernels are loaded. That of
ImageFolder is the first, since for files of a memory file system it makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.cases import OURS, Case, Contender, Figure, Splits
from benchmarks.given import Given
from benchmarks.pictures import batches, floats, torchvision_datasets

BATCH = 64
FLOOR = "floor: gathered, converted, divided"
_TOGETHER = 256  # pictures, with which it is fastest
_Loader = Iterable[Any]


def _tensor_loader(device: str) -> Callable[[Given], _Loader]:
    def loader(given: Given) -> _Loader:
        from mnistprep.loaders import TensorLoader

        return TensorLoader(given.dataset("train").splits["train"], BATCH, device=device)

    return loader


def _tensor_dataset(given: Given) -> _Loader:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    images, labels = given.arrays("train")
    return DataLoader(TensorDataset(floats(images), torch.from_numpy(labels)), BATCH, shuffle=True)


def _image_folder(given: Given) -> _Loader:
    datasets = torchvision_datasets()
    from torch.utils.data import DataLoader
    from torchvision import transforms

    transform = transforms.Compose([transforms.Grayscale(1), transforms.ToTensor()])
    folder = datasets.ImageFolder(given.made("imagefolder") / "train", transform)
    return DataLoader(folder, BATCH, shuffle=True)


class _Moved:
    """The batches of a DataLoader, each moved to the GPU when it comes."""

    def __init__(self, given: Given) -> None:
        self._loader = _tensor_dataset(given)

    def __iter__(self) -> Any:
        return ((images.cuda(), labels.cuda()) for images, labels in self._loader)


class _Indexed:
    """Plain PyTorch: floats on the GPU, an order drawn there, a slice of it for each batch."""

    def __init__(self, given: Given) -> None:
        import torch

        images, labels = given.arrays("train")
        self._images, self._labels = floats(images).cuda(), torch.from_numpy(labels).cuda()

    def __iter__(self) -> Any:
        import torch

        order = torch.randperm(len(self._labels), device="cuda")
        return ((self._images[part], self._labels[part]) for part in order.split(BATCH))


class _Floor:
    """What PyTorch has to do for exact floats, without batches: gather, convert, divide."""

    def __init__(self, given: Given) -> None:
        import torch

        images, labels = given.arrays("train")
        self._images, self._labels = torch.from_numpy(images)[:, None], torch.from_numpy(labels)

    def __iter__(self) -> Any:
        import torch

        order = torch.randperm(len(self._labels))
        for part in order.split(_TOGETHER):
            pictures = self._images.index_select(0, part).float().div_(255)
            yield pictures, self._labels[part]


def _epoch(
    make: Callable[[Given], _Loader], *, first: bool = False
) -> Callable[[Given], Callable[[], Any]]:
    """An epoch whose batches are looked at by nobody; returns the loader, for its content."""

    def setup(given: Given) -> Callable[[], Any]:
        import torch

        loader = make(given)

        def run() -> _Loader:
            for _ in loader:
                pass
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return loader

        if not first:
            run()
        return run

    return setup


def _content(given: Given, loader: _Loader) -> Splits:
    return {"train": batches(loader)}


_TORCH = ("torch",)
_CUDA = ("torch", "cuda")
CASES = (
    Case(
        "shuffled epoch on the CPU",
        (
            Contender(OURS, _epoch(_tensor_loader("cpu")), _content, role="ours", needs=_TORCH),
            Contender(FLOOR, _epoch(_Floor), _content, role="floor", needs=_TORCH),
            Contender("DataLoader(TensorDataset)", _epoch(_tensor_dataset), _content, needs=_TORCH),
            Contender(
                "DataLoader(ImageFolder)",
                _epoch(_image_folder, first=True),
                _content,
                needs=("torchvision",),
                rounds=1,
            ),
        ),
        (
            Figure("DataLoader(TensorDataset)", least=15),
            Figure("DataLoader(ImageFolder)", least=300),
        ),
        inputs=("imagefolder",),
        splits=("train",),
        ordered=False,
        pictures=("train",),
    ),
    Case(
        "shuffled epoch on a GPU",
        (
            Contender(OURS, _epoch(_tensor_loader("cuda")), _content, role="ours", needs=_CUDA),
            Contender("plain PyTorch, tensors on the GPU", _epoch(_Indexed), _content, needs=_CUDA),
            Contender("DataLoader(TensorDataset), moved", _epoch(_Moved), _content, needs=_CUDA),
        ),
        splits=("train",),
        ordered=False,
        pictures=("train",),
    ),
)
