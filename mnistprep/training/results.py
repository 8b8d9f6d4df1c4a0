"""What training gives: the lines it says on the way, an Epoch per pass, and the Trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnistprep.dataset import Digest
from mnistprep.training.recipes import Recipe


@dataclass(frozen=True)
class Line:
    """What a run says between epochs, at the cadence of its recipe.

    epoch, batch: both from 1. loss: of that batch, or the mean since the last line. accuracy: share
    of the test split that is right at that moment, where the recipe asks for it.
    """

    epoch: int
    batch: int
    loss: float
    accuracy: float | None = None

    def __str__(self) -> str:
        share = "" if self.accuracy is None else f", test accuracy {self.accuracy:.4f}"
        return f"epoch {self.epoch}, batch {self.batch}: loss {self.loss:.4f}{share}"


@dataclass(frozen=True)
class Epoch:
    """One pass over the training pictures, with the validation that followed it, if any.

    number: from 1. loss: mean of the recipe's loss over the pass, while the model changed.
    valid_loss: the same, without label smoothing, on the validation split, after the pass. seconds:
    the pass and its validation; None where it was read from a checkpoint, which keeps no times.
    """

    number: int
    loss: float
    seconds: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None

    def __str__(self) -> str:
        parts = [f"loss {self.loss:.4f}"]
        if self.valid_loss is not None:
            parts.append(f"validation loss {self.valid_loss:.4f}")
            parts.append(f"validation accuracy {self.valid_accuracy:.4f}")
        if self.seconds is not None:
            parts.append(f"{self.seconds:.1f} s")
        return f"epoch {self.number}: {', '.join(parts)}"


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and what it takes to use it, with how it came to be.

    model: a torch.nn.Module in evaluation mode on `device`, which maps (pixels / 255 - mean) / std,
        float32 (B, C, H, W), to scores (B, classes); for recipe `numpy` a `numpy_net.Network`.
    seed, recipe: what decided the run, with the data and the device.
    shape: of one picture, (H, W) or (H, W, C). classes: names in label order.
    epoch: the pass whose weights these are. history: an Epoch per pass. lines: see Line.
    seconds: the whole of `fit`, from array to model; None where it was read from a checkpoint.
    dataset, examples, digests: what it was trained on: its name, the size of each split, and the
        digests of train (followed by valid) and test. versions: of the libraries it was made with.
    """

    model: Any
    recipe: Recipe
    seed: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    mean: float
    std: float
    device: str
    epoch: int
    history: tuple[Epoch, ...] = ()
    lines: tuple[Line, ...] = ()
    seconds: float | None = None
    dataset: str = ""
    examples: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, Digest] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
