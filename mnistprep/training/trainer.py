"""The training run: arrays, a recipe and a seed in, a trained model and its history out.

    trained = fit(dataset.splits["train"], classes=10)
    accuracy(trained, dataset.splits["test"])       # 0.987

One loop for all recipes: what learns is a Learner of torch_net or numpy_net, which knows one pass.

Recipe `fast` on the 60,000 digits of MNIST, 30 trials (seeds 0 to 29): 98.53 % of the test digits
at least, 98.70 % on average, 98.85 % at most; 2.1 s (median) from array to model on one core of an
Intel Xeon at 2.1 GHz with AVX-512, torch 2.13. On the 60,000 of synth, 8 trials: 98.91 % at least.
tests/benchmarks/fast_seeds.py repeats it. GPUs have not been measured.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import ceil
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import mnistprep
from mnistprep import _torchfile
from mnistprep._numbers import SEEDS, whole
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Split
from mnistprep.errors import DataError, UsageError
from mnistprep.training import recipes
from mnistprep.training.processes import ALONE, launched
from mnistprep.training.recipes import Recipe
from mnistprep.training.results import Epoch, Line, Trained

if TYPE_CHECKING:
    import torch

LIBRARIES = {"torch": "mnistprep.training.torch_net", "numpy": "mnistprep.training.numpy_net"}


@dataclass(frozen=True, eq=False)
class Stopped:
    """Where a run stopped after a pass: the model so far, and what it takes to go on.

    weights: those after the last pass. state: of the learner. trained: with the weights to keep.
    """

    trained: Trained
    weights: Mapping[str, Any]
    state: Mapping[str, Any]


def fit(
    train: Split,
    *,
    classes: int | Sequence[str],
    recipe: str | Recipe = "fast",
    seed: int = 0,
    device: str | torch.device = "auto",
    valid: Split | None = None,
    test: Split | None = None,
    epochs: int | None = None,
    keep: str = "last",
    mixed: bool | None = None,
    distributed: bool = False,
    resume: Stopped | None = None,
    watch: Callable[[Line | Epoch], None] | None = None,
    save: Callable[[Stopped], None] | None = None,
    progress: Progress = quiet,
) -> Trained:
    """Train a model of `recipe` on the split; the same seed on the same CPU gives the same weights.

    classes: their names in label order, or their number. seed: 0 <= seed < 2**64. valid: scored
    after each epoch; test: scored in lines, where the recipe asks for it; neither is learnt from.
    epochs: other than the recipe's. keep: `last`, or `best`, the epoch with the highest accuracy on
    `valid`, the first of equals. mixed: bfloat16 autocast or not; None leaves it to the recipe.
    watch: called with each Line and Epoch. save: called after each pass but the last, with what
    `resume` takes to go on in another process, to the same weights as without a stop (on a CPU).
    distributed: the processes that torchrun started all make this call; each learns from its share
    of every batch, and the first alone calls `watch` and `save`. Torch's global random state and
    thread count stay as they were.

    Raises UnknownName for a recipe nobody knows, UsageError for an empty split, labels or shapes
    that do not fit, a seed out of range, a device that is not there and `best` without `valid`.
    """
    row = recipes.get(recipe) if isinstance(recipe, str) else recipe
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    valid = None if valid is None or not len(valid) else valid
    _check(train, len(names), valid, epochs, keep)
    seed = whole("seed", seed, 0, SEEDS)
    used = library(row)
    begun = perf_counter()
    scaling = recipes.standard(train) if row.scaling is None else row.scaling
    learning = used.learning(
        row,
        train,
        len(names),
        scaling,
        seed=seed,
        device=device,
        mixed=mixed,
        world=launched() if distributed else ALONE,
    )
    with learning as learner:
        passes = epochs or max(row.epochs, ceil(row.least_steps / learner.steps))
        trained = Trained(
            model=learner.model, recipe=row, seed=seed, shape=train.shape, classes=names,
            mean=scaling[0], std=scaling[1], device=learner.device, epoch=0, versions=versions(row),
        )  # fmt: skip
        run = _Run(learner, trained, valid, test, keep, watch, progress)
        if resume is not None:
            run.resume(resume)
        progress.start(f"train {row.name}", passes * len(train), "examples")
        progress.advance(len(run.history) * len(train))
        for number in range(len(run.history) + 1, passes + 1):
            run.epoch(number, passes)
            if save is not None and learner.leads and number < passes:
                save(run.stopped())
        learner.put(run.kept)
    return replace(run.trained(), seconds=perf_counter() - begun)


@dataclass(eq=False)
class _Run:
    """A run under way: what has been told, and the weights to keep."""

    learner: Any
    start: Trained
    valid: Split | None
    test: Split | None
    keep: str
    watch: Callable[[Line | Epoch], None] | None
    progress: Progress
    history: list[Epoch] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    best: int = 0
    kept: Mapping[str, Any] = field(default_factory=dict)

    def resume(self, stopped: Stopped) -> None:
        """Go on where another run stopped."""
        self.learner.put(stopped.weights)
        self.learner.resume(stopped.state)
        self.history, self.lines = list(stopped.trained.history), list(stopped.trained.lines)
        self.best = stopped.trained.epoch
        self.kept = library(self.start.recipe).weights(stopped.trained.model)

    def epoch(self, number: int, passes: int) -> None:
        """One pass, its validation, and the weights if they are the ones to keep."""
        begun = perf_counter()
        loss = self.learner.epoch(number, passes, self.test, self._tell, self.progress)
        scored = (None, None) if self.valid is None else self.learner.score(self.valid)
        epoch = Epoch(number, loss, perf_counter() - begun, *scored)
        self.history.append(epoch)
        if self.keep == "last" or self._share(number) > self._share(self.best):
            self.best, self.kept = number, self.learner.weights()
        self._show(epoch)

    def _share(self, number: int) -> float:
        share = self.history[number - 1].valid_accuracy if number else None
        return -1.0 if share is None else share

    def _tell(self, line: Line) -> None:
        self.lines.append(line)
        self._show(line)

    def _show(self, what: Line | Epoch) -> None:
        if self.watch is not None and self.learner.leads:
            self.watch(what)

    def trained(self) -> Trained:
        """The model so far; its weights are those of the learner."""
        return replace(
            self.start, epoch=self.best, history=tuple(self.history), lines=tuple(self.lines)
        )

    def stopped(self) -> Stopped:
        """What it takes to go on from here."""
        model = deepcopy(self.learner.model)
        library(self.start.recipe).restore(model, self.kept)
        trained = replace(self.trained(), model=model, device="cpu")
        return Stopped(trained, self.learner.weights(), self.learner.state())


def library(row: Recipe) -> ModuleType:
    """The module that knows the recipe's models: torch_net or numpy_net.

    Raises MissingDependency without PyTorch, MemoryError where there is not enough to load it.
    """
    if row.library == "torch":
        _torchfile.require(f"recipe {row.name}")
    return import_module(LIBRARIES[row.library])


def versions(row: Recipe) -> dict[str, str]:
    """The versions of what a recipe computes with."""
    found = {
        "mnistprep": mnistprep.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    if row.library == "torch":
        found["torch"] = str(sys.modules["torch"].__version__)
    return found


def probabilities(trained: Trained, split: Split) -> npt.NDArray[np.float32]:
    """How much each class is believed for every picture, float32 (N, classes), 0 to 1.

    Their sum is 1, but for recipe `numpy`, whose outputs are independent of each other. Raises
    UsageError when the pictures do not have the shape that the model was trained on.
    """
    if split.shape != trained.shape:
        raise UsageError(
            f"the model was trained on pictures of {trained.shape}, these are {split.shape}"
        )
    found = list(library(trained.recipe).outputs(trained, split))
    return np.concatenate(found) if found else np.empty((0, len(trained.classes)), np.float32)


def checked_probabilities(trained: Trained, split: Split) -> npt.NDArray[np.float32]:
    """The same, of a model that gives numbers; raises DataError when one of them is none."""
    found = probabilities(trained, split)
    if not np.isfinite(found).all():
        raise DataError(
            "the model gives no numbers (nan), so that it predicts nothing: its weights or its "
            "normalisation are damaged, or of a run that diverged; train it again, or use another"
        )
    return found


def predict(trained: Trained, split: Split) -> npt.NDArray[np.int64]:
    """The label of the largest probability of every picture, int64 (N,); raises as those do."""
    return np.asarray(probabilities(trained, split).argmax(1), np.int64)


def accuracy(trained: Trained, split: Split) -> float:
    """Share of the split's examples whose label is predicted, 0..1; raises UsageError for none."""
    if not len(split):
        raise UsageError("the accuracy on an empty split is not defined")
    return float(np.mean(predict(trained, split) == split.labels))


def _check(train: Split, classes: int, valid: Split | None, epochs: int | None, keep: str) -> None:
    if not len(train):
        raise UsageError("there is nothing to train on: the training split is empty")
    if epochs is not None and epochs < 1:
        raise UsageError(f"epochs must be at least 1, not {epochs}")
    if keep not in ("last", "best"):
        raise UsageError(f"keep is last or best, not {keep!r}")
    if keep == "best" and valid is None:
        raise UsageError("the best epoch shows on a validation split, and there is none")
    for name, split in (("train", train), ("valid", valid)):
        if split is None:
            continue
        if split.shape != train.shape:
            raise UsageError(f"train has pictures of {train.shape}, {name} of {split.shape}")
        if len(split) and split.labels.max() >= classes:
            raise UsageError(
                f"{name} has label {split.labels.max()}; {classes} classes end at {classes - 1}"
            )
