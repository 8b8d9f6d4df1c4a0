"""Recipes: how a model is trained, as rows of data. A new one is a row and a model.

`mlp`, `lenet5`, `cnn`, `numpy` and `mlp2` are five well-known walk-throughs with the models and
hyper-parameters that they publish; `fast` is the package's own. Nothing here loads PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import numpy as np

from mnistprep.dataset import Split
from mnistprep.errors import UnknownName

_STEP = 256  # pictures whose squares stay within a processor's cache


def constant(done: float) -> float:
    """The full rate all the time."""
    return 1.0


def one_cycle(done: float, warmup: float = 0.2) -> float:
    """A line up to the full rate over the first `warmup` of the run, then a line down to zero.

    After L. N. Smith and N. Topin, "Super-convergence" (2018), which ends in one cycle.
    """
    return done / warmup if done < warmup else (1 - done) / (1 - warmup)


@dataclass(frozen=True)
class Cadence:
    """Which batches of each epoch a run tells of, and what it says.

    every, first: after batch `first` (from 1) and each `every` later. mean: the mean loss since the
    last line instead of that batch's. accuracy: the share of the test split that is right, too.
    """

    every: int
    first: int = 1
    mean: bool = False
    accuracy: bool = False

    def tells(self, batch: int) -> bool:
        """Whether there is a line after that batch, counted from 1."""
        return batch >= self.first and (batch - self.first) % self.every == 0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run except the data, the seed and the device.

    library: what it computes with. model: a function of the shape of a picture and the number of
    classes, itself or its name in mnistprep.training.models (for NumPy in numpy_net).
    scaling: mean and deviation of pixels as 0..1, which are taken off and divided by; None measures
    them on the training pictures. optimiser: a class of torch.optim, by name or itself, which takes
    the parameters, lr and `settings`. schedule: share of the run done -> share of the rate.
    form: the format that its walk-through reads. published, measured: shares of MNIST's test digits
    that come out right, as published, and here, for seeds 0, 1 and 2.
    """

    name: str
    about: str  # one line
    model: str | Callable[[tuple[int, ...], int], Any]
    optimiser: str | Callable[..., Any]
    rate: float  # change of a weight per step, largest over the run
    batch: int  # pictures per step
    epochs: int  # passes over the training pictures
    library: Literal["torch", "numpy"] = "torch"
    scaling: tuple[float, float] | None = (0.0, 1.0)
    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: Callable[[float], float] = constant
    least_steps: int = 0  # small sets get more epochs, until there are that many steps
    smoothing: float = 0.0  # share of the label's weight spread evenly over all classes
    mixed: bool = False  # bfloat16 autocast, on GPUs that compute in it
    threads: int | None = None  # of the CPU; None leaves PyTorch's setting
    held_out: bool = False  # without a valid split, the last sixth of train is one
    cadence: Cadence | None = None  # None: nothing between epochs
    form: str = "idx"
    published: float | None = None
    measured: tuple[float, ...] = ()


def get(name: str) -> Recipe:
    """The recipe of that name; raises UnknownName, which lists the names there are."""
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES)
    return RECIPES[name]


def resolve(value: str | Callable[..., Any], module: str) -> Callable[..., Any]:
    """What a row names in that module, or has itself."""
    found: Callable[..., Any] = (
        getattr(import_module(module), value) if isinstance(value, str) else value
    )
    return found


def standard(train: Split) -> tuple[float, float]:
    """Mean and deviation over all pixels of all training pictures, as shares of 255.

    Summed as integers, so that neither the order nor the size of a step matters. A deviation of
    zero (one colour only) is given as 1.
    """
    total = squares = 0
    for pictures, _ in train.chunks():
        for start in range(0, len(pictures), _STEP):
            part = pictures[start : start + _STEP]
            total += int(part.sum(dtype=np.uint64))
            squares += int(np.square(part, dtype=np.uint16).sum(dtype=np.uint64))
    count = train.images.size
    mean = total / count
    spread = (squares * count - total * total) / count**2
    return mean / 255, spread**0.5 / 255 or 1.0


# fast, as measured on MNIST: a first stride of 4 in place of 2 halved the time; label smoothing and
# a short memory for squared gradients (0.95) gave 0.3 points at no cost; 32 channels would give 0.1
# points more for a third more time. A second thread saves a fifth of the time on idle cores and
# takes four times as long on busy ones; one thread also makes the weights depend on nothing else.
RECIPES: dict[str, Recipe] = {
    "fast": Recipe(
        name="fast",
        about="small convolutional net, one epoch: the quickest way to a reliable 98 %",
        model="strided_pair",
        scaling=None,
        optimiser="Adam",
        settings={"betas": (0.9, 0.95), "fused": True},
        rate=1e-2,
        schedule=one_cycle,
        batch=128,
        epochs=1,
        least_steps=300,
        smoothing=0.05,
        mixed=True,
        threads=1,
        measured=(0.9876, 0.9876, 0.9866),
    ),
    "mlp": Recipe(
        name="mlp",
        about="two linear layers, as learnt from a tree of PNGs",
        model="one_hidden",
        optimiser="Adam",
        rate=1e-3,
        batch=64,
        epochs=10,
        threads=1,
        cadence=Cadence(every=100),
        form="imagefolder",
        published=0.9779,
        measured=(0.9803, 0.9789, 0.9795),
    ),
    "lenet5": Recipe(
        name="lenet5",
        about="LeNet-5 with ReLU, by plain gradient descent with momentum",
        model="lenet5",
        # To -1..1. Its walk-through does not say how it scales, but prints a loss of 0.46 after
        # 1,600 steps: so do five seeds (0.33 to 0.77), while four seeds on 0..1 print 0.6 to 2.3.
        scaling=(0.5, 0.5),
        optimiser="SGD",
        settings={"momentum": 0.9},
        rate=1e-3,
        batch=32,
        epochs=10,
        threads=1,
        cadence=Cadence(every=200, first=200, mean=True),
        published=0.98,
        measured=(0.9819, 0.9860, 0.9844),
    ),
    "cnn": Recipe(
        name="cnn",
        about="two wide convolutions with pooling, one linear layer",
        model="two_convolutions",
        optimiser="Adam",
        rate=1e-3,
        batch=50,
        epochs=10,
        cadence=Cadence(every=100, accuracy=True),
        published=0.9835,
        measured=(0.9899, 0.9898, 0.9899),
    ),
    "numpy": Recipe(
        name="numpy",
        about="sigmoid network in NumPy alone, one example at a time, from the CSV",
        library="numpy",
        model="sigmoid_pair",
        # value / 255 * 0.99 + 0.01, written as (value / 255 - mean) / std
        scaling=(-0.01 / 0.99, 1 / 0.99),
        optimiser="SGD",
        rate=0.1,
        batch=1,
        epochs=5,
        form="csv",
        published=0.97,
        measured=(0.9727, 0.9711, 0.9727),
    ),
    "mlp2": Recipe(
        name="mlp2",
        about="three linear layers, from the pickle, watched on its validation split",
        model="two_hidden",
        scaling=(0.0, 256 / 255),  # value / 256, as the pickle has it
        optimiser="SGD",
        rate=1e-3,
        batch=64,
        epochs=25,
        threads=1,
        held_out=True,
        form="pkl",
        measured=(0.8926, 0.8893, 0.8888),
    ),
}
