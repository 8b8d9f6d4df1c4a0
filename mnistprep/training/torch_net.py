"""Learning with PyTorch: pictures as one uint8 tensor on the device, scaled there, no DataLoader.

Nothing waits for the device within an epoch but a line that is to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from mnistprep._progress import Progress
from mnistprep.dataset import Split
from mnistprep.errors import DataError, UsageError
from mnistprep.training.batches import TensorLoader, seeded
from mnistprep.training.devices import choose, computes_in_bfloat16
from mnistprep.training.processes import World, joined
from mnistprep.training.recipes import Recipe, resolve
from mnistprep.training.results import Line, Trained

_SCORED = 1000  # pictures per step when nothing is learnt
_MODELS = "mnistprep.training.models"


@contextmanager
def learning(
    row: Recipe,
    train: Split,
    classes: int,
    scaling: tuple[float, float],
    *,
    seed: int,
    device: str | torch.device,
    mixed: bool | None,
    world: World,
) -> Iterator[Learner]:
    """The learner of a run; PyTorch's random state and thread count are as before, afterwards."""
    target = choose(device) if world.count == 1 else _own_device(str(device), world)
    orders = seeded(seed)
    with threads(row.threads), torch.random.fork_rng(devices=[]), joined(world, target):
        # Models are built on the CPU, so that a seed gives the same first weights on every device.
        torch.default_generator.manual_seed(seed)
        model = resolve(row.model, _MODELS)(train.shape, classes).to(target)
        model.to(memory_format=_layout(target))
        mean, std = scaling
        batches = TensorLoader(train, row.batch, device=target, seed=orders, mean=mean, std=std)
        yield Learner(row, model, batches, world, mixed)
        model.eval()


def _own_device(name: str, world: World) -> torch.device:
    """The device of one of several processes: a GPU for each, or the CPU for all."""
    if name == "mps":
        raise UsageError("several processes compute on GPUs of NVIDIA or on the CPU, not on MPS")
    target = choose("cpu" if name == "auto" and not torch.cuda.is_available() else name)
    if target.type == "cuda":
        target = choose(f"cuda:{world.local}")
        torch.cuda.set_device(target)
    return target


class Learner:
    """What a run asks of PyTorch; see mnistprep.training.trainer."""

    def __init__(
        self, row: Recipe, model: nn.Module, batches: TensorLoader, world: World, mixed: bool | None
    ) -> None:
        self.model = model
        self.steps = len(batches)
        self.leads = world.leads
        self.device = str(batches.device)
        self._row, self._batches, self._world = row, batches, world
        self._optimiser = resolve(row.optimiser, "torch.optim")(
            model.parameters(), lr=row.rate, **row.settings
        )
        able = computes_in_bfloat16(batches.device)
        self._half = row.mixed and able if mixed is None else mixed
        self._shared = model if world.count == 1 else DistributedDataParallel(model)

    def epoch(
        self,
        number: int,
        epochs: int,
        test: Split | None,
        tell: Callable[[Line], None],
        progress: Progress,
    ) -> float:
        """One pass; returns the mean loss."""
        total = before = torch.zeros((), device=self._batches.device)
        since = 0
        self.model.train()
        for batch, (images, labels) in enumerate(self._batches, 1):
            done = (number - 1 + (batch - 0.5) / self.steps) / epochs  # in the middle of the step
            loss = self._step(images, labels, self._row.rate * self._row.schedule(done))
            total = total + loss  # stays on the device: reading it would wait
            since += len(labels)
            cadence = self._row.cadence
            if cadence is not None and cadence.tells(batch):
                part, count = (total - before, since) if cadence.mean else (loss, len(labels))
                mean = self._world.total(part).item() / count
                share = self._share(test) if cadence.accuracy else None
                tell(Line(number, batch, mean, share))
                before, since = total, 0
            progress.advance(len(labels))
        return self._world.total(total).item() / len(self._batches.dataset)

    def _share(self, test: Split | None) -> float | None:
        if test is None or not len(test):
            return None
        share = self.score(test)[1]
        self.model.train()
        return share

    def _step(self, images: torch.Tensor, labels: torch.Tensor, rate: float) -> torch.Tensor:
        """One step down the gradient; the summed loss of this process's part of the batch."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        whole = len(labels)
        images, labels = self._world.share(images), self._world.share(labels)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._half):
            scores = self._shared(images.contiguous(memory_format=_layout(images.device)))
            loss = cross_entropy(
                scores, labels, label_smoothing=self._row.smoothing, reduction="sum"
            )
        self._optimiser.zero_grad()
        # Gradients are averaged over the processes: so times their number, by the whole batch, what
        # is left is the mean that one process would take.
        torch.autograd.backward(loss * (self._world.count / whole))
        self._optimiser.step()
        return loss.detach()

    def score(self, split: Split) -> tuple[float, float]:
        """Mean cross-entropy, without smoothing, and the share that is right."""
        like = self._batches
        batches = TensorLoader(
            split, _SCORED, shuffle=False, device=like.device, mean=like.mean, std=like.std
        )
        loss = right = torch.zeros((), device=like.device)
        for scores, labels in _scores(self.model, batches):
            loss = loss + cross_entropy(scores, labels, reduction="sum")
            right = right + (scores.argmax(1) == labels).sum()
        return loss.item() / len(split), right.item() / len(split)

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the weights, on the CPU."""
        return weights(self.model)

    def put(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take these weights; raises DataError when they are not of this model."""
        self.model.load_state_dict(_fitting(self.model, weights))

    def state(self) -> dict[str, Any]:
        """What it takes to go on, beside the weights: the optimiser and the orders to come."""
        return {
            "optimiser": deepcopy(self._optimiser.state_dict()),  # its tensors change in place
            "orders": self._orders.get_state(),
            "random": torch.get_rng_state(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from that state; raises DataError when it is not of such a run."""
        try:
            self._optimiser.load_state_dict(deepcopy(state["optimiser"]))
            self._orders.set_state(state["orders"])
            torch.set_rng_state(state["random"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(f"not the state of a run of {self._row.name}: {error}") from None

    @property
    def _orders(self) -> torch.Generator:
        assert self._batches.generator is not None  # for the type checker: `learning` gives one
        return self._batches.generator


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of a model's weights by name, in their order."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of a model's weights, on the CPU, in the layout of any device."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def restore(model: nn.Module, found: Mapping[str, torch.Tensor]) -> None:
    """Give a model copies of these weights; raises DataError when they are not its own."""
    copies = {name: value.float().clone() for name, value in _fitting(model, found).items()}
    model.load_state_dict(copies, assign=True)


def _fitting(model: nn.Module, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    fitting = {}
    for name, expected in shapes(model).items():
        weights = found.get(name)
        shape = "nothing" if weights is None else tuple(weights.shape)
        if weights is None or shape != expected:
            raise DataError(f"weights {name!r}: expected {expected}, found {shape}")
        if (
            not isinstance(weights, torch.Tensor)
            or weights.device.type != "cpu"
            or weights.layout != torch.strided
            or weights.nbytes > weights.untyped_storage().nbytes()  # a small tensor expanded
        ):
            raise DataError(f"weights {name!r} are not a plain tensor")
        fitting[name] = weights.detach()
    return fitting


def blank(row: Recipe, shape: tuple[int, ...], classes: int) -> nn.Module:
    """A model of the recipe, in evaluation mode, that takes no memory before it is restored."""
    with torch.device("meta"):
        model: nn.Module = resolve(row.model, _MODELS)(shape, classes)
    return model.eval()


def moved(trained: Trained, device: str | torch.device) -> Trained:
    """The same on that device; raises UsageError for one that is not there."""
    target = choose(device)
    return replace(trained, model=trained.model.to(target), device=str(target))


def outputs(trained: Trained, split: Split) -> Iterator[npt.NDArray[np.float32]]:
    """Probabilities for all pictures of a split, in its order, as float32 parts (n, classes)."""
    batches = TensorLoader(
        split, _SCORED, shuffle=False, device=trained.device, mean=trained.mean, std=trained.std
    )
    with threads(trained.recipe.threads):
        for scores, _ in _scores(trained.model, batches):
            yield scores.float().softmax(1).cpu().numpy()


def _scores(model: nn.Module, batches: TensorLoader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    model.eval()
    for images, labels in batches:
        with torch.inference_mode():
            scores = model(images.contiguous(memory_format=_layout(batches.device)))
        yield scores, labels


def _layout(device: torch.device) -> torch.memory_format:
    # Tensor cores want the channels last; CPU convolutions of one channel are slower that way.
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """So many threads of the CPU within the block; None leaves their number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
