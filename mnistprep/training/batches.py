"""Batches from one uint8 tensor on the device: no worker processes, no work per picture."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isfinite
from typing import Any

import numpy as np
import torch

from mnistprep._arrays import keep_freed
from mnistprep._numbers import SEEDS, whole
from mnistprep.dataset import Split
from mnistprep.errors import UsageError
from mnistprep.training.devices import choose
from mnistprep.training.models import planes

# Pixels gathered and scaled in one go. On a CPU the floats should still be in its cache when they
# are used, and enough of them for all threads; on a GPU what counts is the number of launches.
CPU_BLOCK = 208 << 10
GPU_BLOCK = 1 << 23
_LARGEST = (1 << 31) - 1  # batch: more than any memory has


class TensorLoader:
    """Batches of a split as float tensors, in a new order each epoch; in place of a DataLoader.

    split: the examples, kept as `dataset`; copied once, as uint8, to the device.
    batch_size: examples per batch; the last batch has the rest, or is left out with drop_last.
    device: None (the CPU), auto, cpu, cuda, cuda:N, mps or a torch.device.
    seed: an int or a torch.Generator for the orders, of which an int gives the same ones to every
        new loader. None takes them from torch's global generator, as DataLoader does.
    mean, std: of pixels as 0..1; pictures come out as (pixel / 255 - mean) / std.

    Each iteration yields (images float32 (B, C, H, W), labels int64 (B,)), with C = 1 for grey
    pictures. len() is the number of batches. Raises UsageError for a size or a seed that is not
    whole or out of range, a mean and deviation that leave no float32 to tell pixels apart, a device
    that is not there and what is no Split.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int = 64,
        shuffle: bool = True,
        device: str | torch.device | None = None,
        *,
        seed: int | torch.Generator | None = None,
        drop_last: bool = False,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        if not isinstance(split, Split):
            raise UsageError(f"TensorLoader takes a Split, not {type(split).__name__}")
        self.dataset = split
        self.batch_size = whole("batch_size", batch_size, 1, _LARGEST)
        self.shuffle = shuffle
        self.device = torch.device("cpu") if device is None else choose(device)
        self.drop_last = drop_last
        self.mean, self.std = _scaling(mean, std)
        if seed is not None and not isinstance(seed, torch.Generator):
            seed = seeded(seed)
        self.generator = seed
        keep_freed()
        self._images = images_tensor(split, self.device)
        self._labels = labels_tensor(split, self.device)

    def __len__(self) -> int:
        count = len(self.dataset) / self.batch_size
        return int(count) if self.drop_last else ceil(count)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = None
        if self.shuffle:
            # Drawn on the CPU, so that a seed gives one order on every device.
            order = torch.randperm(len(self.dataset), generator=self.generator).to(self.device)
            labels = self._labels.index_select(0, order)
        else:
            labels = self._labels.clone()  # what the caller does to a batch stays with the caller
        stop = min(len(self) * self.batch_size, len(self.dataset))
        step = self._batches_in_block() * self.batch_size
        numbers = iter(torch.split(labels[:stop], self.batch_size))
        for start in range(0, stop, step):
            pictures = self._pictures(slice(start, min(start + step, stop)), order)
            for batch in torch.split(pictures, self.batch_size):
                yield batch, next(numbers)

    def _batches_in_block(self) -> int:
        pixels = self.batch_size * self._images[:1].numel()
        limit = CPU_BLOCK if self.device.type == "cpu" else GPU_BLOCK
        return max(1, limit // max(1, pixels))

    def _pictures(self, block: slice, order: torch.Tensor | None) -> torch.Tensor:
        if order is None:
            pictures = self._images[block]
        else:
            # index_select copies whole pictures; indexing with a tensor takes twice the time.
            pictures = self._images.index_select(0, order[block])
        # Converted, then scaled in place: one operation on mixed types would be slower.
        scaled = pictures.float()
        if self.mean:
            scaled.sub_(255 * self.mean)
        return scaled.div_(255 * self.std)


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU that starts at `seed`; raises UsageError outside 0..2**64 - 1."""
    return torch.Generator().manual_seed(whole("seed", seed, 0, SEEDS))


def _scaling(mean: Any, std: Any) -> tuple[float, float]:
    """Both as floats; raises UsageError where black and white would not be two finite numbers."""
    try:
        mean, std = float(mean), float(std)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError("mean and std must be one number each, for all channels") from None
    shift, scale = torch.tensor([255 * mean, 255 * std], dtype=torch.float64).float()
    black, white = torch.tensor([0.0, 255.0]).sub_(shift).div_(scale).tolist()
    if not isfinite(black) or not isfinite(white) or black == white:
        raise UsageError(
            f"(pixel / 255 - {mean}) / {std} is no use as a float32: black would be {black}, white "
            f"{white}; mean and std are those of pixels as 0..1"
        )
    return mean, std


def images_tensor(split: Split, device: torch.device | str = "cpu") -> torch.Tensor:
    """The pictures as a new uint8 tensor (N, C, H, W) on the device, copied chunk by chunk."""
    channels, height, width = planes(split.shape)
    shape = len(split), channels, height, width
    try:
        if torch.device(device).type == "cpu":
            # NumPy asks the system for large pages, with which single pictures are found faster.
            images = torch.from_numpy(np.empty(shape, np.uint8))
        else:
            images = torch.empty(shape, dtype=torch.uint8, device=device)
    except RuntimeError as error:  # PyTorch's word for it
        raise MemoryError(str(error)) from None
    at = 0
    for pictures, _ in split.chunks():
        part = torch.tensor(pictures).view(-1, height, width, channels)
        images[at : at + len(part)] = part.permute(0, 3, 1, 2)
        at += len(part)
    return images


def labels_tensor(split: Split, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels as a new int64 tensor (N,) on the device."""
    return torch.tensor(split.labels, device=device)
