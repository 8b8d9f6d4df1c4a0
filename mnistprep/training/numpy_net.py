"""The network of recipe `numpy`: forward, backward and the learning step, in NumPy alone.

After the walk-through it reproduces: sigmoid nodes in both layers, no biases, the gradient of the
squared error, one example at a time, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistprep._progress import Progress
from mnistprep.dataset import Split
from mnistprep.errors import DataError, UsageError
from mnistprep.training.processes import World
from mnistprep.training.recipes import Recipe, resolve
from mnistprep.training.results import Line, Trained

Floats = npt.NDArray[np.float64]

NODES = 200  # of the hidden layer
_SCORED = 1000  # pictures per step when nothing is learnt
_TOLD = 1000  # examples between two steps of the progress bar
_LOW, _HIGH = 0.01, 0.99  # targets: a sigmoid never reaches 0 and 1


class Network:
    """Two layers of sigmoid nodes.

    weights: `hidden`, float64 (nodes, inputs), and `output`, float64 (classes, nodes).
    """

    def __init__(self, hidden: Floats, output: Floats) -> None:
        self.weights = {"hidden": hidden, "output": output}
        self._step: Floats | None = None  # room for a step; a new array for each costs more time

    def __call__(self, pictures: npt.NDArray[np.floating[Any]]) -> Floats:
        """The outputs, each from 0 to 1, for pictures of any shape (B, ...): (B, classes)."""
        hidden = _sigmoid(pictures.reshape(len(pictures), -1) @ self.weights["hidden"].T)
        return _sigmoid(hidden @ self.weights["output"].T)

    def learn(self, inputs: Floats, target: Floats, rate: float) -> float:
        """One step down the gradient for one example (inputs,); returns its squared error."""
        first, second = self.weights["hidden"], self.weights["output"]
        hidden = _sigmoid(first @ inputs)
        outputs = _sigmoid(second @ hidden)
        error = target - outputs
        slope = rate * error * outputs * (1 - outputs)
        back = (slope @ second) * hidden * (1 - hidden)  # with the weights that made the outputs
        second += np.outer(slope, hidden)
        if self._step is None:
            self._step = np.empty_like(first)
        np.multiply(back[:, np.newaxis], inputs, out=self._step)
        first += self._step
        return float(error @ error)


def sigmoid_pair(shape: tuple[int, ...], classes: int, random: np.random.Generator) -> Network:
    """200 hidden nodes; weights from N(0, 1/sqrt(200)): 158,800 parameters for 28x28 pictures."""
    return Network(
        random.normal(0.0, NODES**-0.5, (NODES, prod(shape))),
        random.normal(0.0, NODES**-0.5, (classes, NODES)),
    )


def outputs(trained: Trained, split: Split) -> Iterator[npt.NDArray[np.float32]]:
    """The outputs for all pictures of a split, in its order, as float32 parts (n, classes)."""
    for pictures, _ in split.chunks(_SCORED):
        scaled = _scaled(pictures, (trained.mean, trained.std))
        yield trained.model(scaled).astype(np.float32)


@contextmanager
def learning(
    row: Recipe,
    train: Split,
    classes: int,
    scaling: tuple[float, float],
    *,
    seed: int,
    device: object,
    mixed: bool | None,
    world: World,
) -> Iterator[Learner]:
    """The learner of a run; raises UsageError for what only PyTorch does."""
    if world.count > 1:
        raise UsageError(f"recipe {row.name} learns one example at a time, in one process")
    if str(device) not in ("auto", "cpu") or mixed:
        raise UsageError(f"recipe {row.name} computes with NumPy, on the CPU, in double precision")
    network = resolve(row.model, __name__)(train.shape, classes, _random(seed))
    yield Learner(row, train, classes, scaling, network)


class Learner:
    """What a run asks of NumPy; see mnistprep.training.trainer."""

    device = "cpu"
    leads = True

    def __init__(
        self,
        row: Recipe,
        train: Split,
        classes: int,
        scaling: tuple[float, float],
        network: Network,
    ) -> None:
        self.model = network
        self.steps = len(train)
        self._row, self._train, self._scaling = row, train, scaling
        self._targets = np.where(np.eye(classes, dtype=bool), _HIGH, _LOW)

    def epoch(
        self,
        number: int,
        epochs: int,
        test: Split | None,
        tell: Callable[[Line], None],
        progress: Progress,
    ) -> float:
        """One pass; returns the mean squared error. There are no lines within it."""
        total, done = 0.0, 0
        for pictures, labels in self._train.chunks(_TOLD):
            scaled = _scaled(pictures, self._scaling).reshape(len(pictures), -1)
            for inputs, label in zip(scaled, labels.tolist(), strict=True):
                share = (number - 1 + (done + 0.5) / self.steps) / epochs
                rate = self._row.rate * self._row.schedule(share)
                total += self.model.learn(inputs, self._targets[label], rate)
                done += 1
            progress.advance(len(labels))
        return total / self.steps

    def score(self, split: Split) -> tuple[float, float]:
        """Mean squared error and the share that is right."""
        error = right = 0.0
        for pictures, labels in split.chunks(_SCORED):
            found = self.model(_scaled(pictures, self._scaling))
            error += float(np.square(found - self._targets[labels]).sum())
            right += int((found.argmax(1) == labels).sum())
        return error / len(split), right / len(split)

    def weights(self) -> dict[str, Floats]:
        """A copy of the weights."""
        return weights(self.model)

    def put(self, weights: Mapping[str, Floats]) -> None:
        """Take these weights."""
        restore(self.model, weights)

    def state(self) -> dict[str, Any]:
        """What it takes to go on, beside the weights: nothing, since no order is drawn."""
        return {}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from that state."""


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's weights by name, in their order."""
    return {name: array.shape for name, array in network.weights.items()}


def weights(network: Network) -> dict[str, Floats]:
    """A copy of a network's weights."""
    return {name: array.copy() for name, array in network.weights.items()}


def restore(network: Network, found: Mapping[str, Any]) -> None:
    """Put weights into a network; raises DataError when they are not of its names and shapes."""
    for name, array in network.weights.items():
        shape = np.shape(found[name]) if name in found else "nothing"
        if not isinstance(found.get(name, array), np.ndarray):
            raise DataError(f"weights {name!r} are not a NumPy array")
        if shape != array.shape:
            raise DataError(f"weights {name!r}: expected {array.shape}, found {shape}")
    network.weights = {name: np.array(found[name], np.float64) for name in network.weights}


def blank(row: Recipe, shape: tuple[int, ...], classes: int) -> Network:
    """A network of the recipe that takes no memory before it is restored."""
    zero = np.float64(0)
    return Network(
        np.broadcast_to(zero, (NODES, prod(shape))), np.broadcast_to(zero, (classes, NODES))
    )


def _random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _scaled(pictures: npt.NDArray[np.uint8], scaling: tuple[float, float]) -> Floats:
    mean, deviation = scaling
    scaled: Floats = (pictures / 255 - mean) / deviation
    return scaled


def _sigmoid(sums: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp of a very negative sum is infinite, and 1 / inf is 0
        result: Floats = 1 / (1 + np.exp(-sums))
    return result
