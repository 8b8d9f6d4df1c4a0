"""What a model makes of pictures: any pictures, brought into the form that the model knows."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mnistprep import drawings
from mnistprep._arrays import Images
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.convert import PathLike
from mnistprep.dataset import Split
from mnistprep.errors import UsageError
from mnistprep.training import Trained, load_checkpoint
from mnistprep.training.trainer import checked_probabilities

_WIDTH = 24  # letters of a class name
_DIGITS = tuple("0123456789")
_BAR = 30  # letters that stand for a probability of 1


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model gives for one picture.

    image: its path, or its number among the pictures given. picture: what the model saw, uint8
    (H, W) or (H, W, C). probabilities: one for each class, 0 to 1, with a sum of 1 but for recipe
    `numpy`. classes: names in label order.
    """

    image: str
    picture: Images
    probabilities: tuple[float, ...]
    classes: tuple[str, ...]

    @property
    def label(self) -> int:
        """The number of the class with the largest probability."""
        return int(np.argmax(self.probabilities))

    @property
    def confidence(self) -> float:
        """The largest probability."""
        return self.probabilities[self.label]

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists, strings and numbers, without the picture."""
        shares = [share if math.isfinite(share) else None for share in self.probabilities]
        return {
            "image": self.image,
            "label": self.label,
            "class": self.classes[self.label],
            "confidence": shares[self.label],
            "probabilities": shares,
        }

    def __str__(self) -> str:
        names = [printable(name, _WIDTH) for name in self.classes]
        width = max(map(len, names))
        lines = [f"{printable(self.image)}: {names[self.label]} ({self.confidence:.4f})"]
        for name, share in zip(names, self.probabilities, strict=True):
            bar = "#" * round(_BAR * share) if math.isfinite(share) else ""
            lines.append(f"  {name:>{width}}  {share:.4f}  {bar}".rstrip())
        return "\n".join(lines)


def predict(
    model: Trained | PathLike,
    images: Sequence[PathLike | Image.Image | Images],
    *,
    as_is: bool = False,
    recipe: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> list[Prediction]:
    """What a model gives for pictures of any kind, one Prediction each, in their order.

    model: a Trained, or a checkpoint's path, which is loaded to `device`; `recipe` is what a bare
    state dict is of. images: paths of files that Pillow reads, pictures of Pillow, or uint8 arrays
    (H, W) or (H, W, 3). They are brought into MNIST's form, but with `as_is` taken as they are,
    which models of colour pictures need; the size is then that of the model's pictures. All are
    read before anything is predicted.

    Raises what loading the model raises, MissingPath and UsageError for what is no file, UsageError
    for no pictures and for a model whose pictures are in colour, and FormatError for a file that is
    no picture, a picture without a digit and, with `as_is`, one of another size.
    """
    if isinstance(images, (str, os.PathLike, Image.Image)) or not len(images):
        raise UsageError("images is a sequence of pictures, one or more")
    trained = model
    if not isinstance(trained, Trained):
        trained = load_checkpoint(trained, recipe=recipe, device=device)
    _check(trained, as_is, progress)
    names, pictures = [], []
    progress.start("read pictures", len(images), "pictures")
    for number, image in enumerate(images, 1):
        name = _name(image) or f"picture {number}"
        names.append(name)
        pictures.append(_seen(image, trained.shape, as_is, printable(name)))
        progress.advance(1)
    found = checked_probabilities(
        trained, Split(np.stack(pictures), np.zeros(len(pictures), np.int64))
    )
    return [
        Prediction(name, picture, tuple(map(float, shares)), tuple(trained.classes))
        for name, picture, shares in zip(names, pictures, found, strict=True)
    ]


def _check(trained: Trained, as_is: bool, progress: Progress) -> None:
    """Refuse a form that the model does not know; note where it may be another."""
    if len(trained.shape) == 3 and (not as_is or trained.shape[2] != 3):
        size = "x".join(map(str, trained.shape))
        raise UsageError(
            f"the model takes pictures of {size}, and MNIST's form is grey; "
            + (
                "pictures of that size are taken as they are with --as-is (as_is=True)"
                if trained.shape[2] == 3
                else "no picture has so many channels"
            )
        )
    if not as_is and any(name not in _DIGITS for name in trained.classes):
        progress.note(
            "the model knows other classes than digits; if its pictures are not in MNIST's form, "
            "--as-is (as_is=True) takes pictures of its size as they are"
        )


def _name(image: PathLike | Image.Image | Images) -> str:
    """What the caller calls it, or nothing."""
    if isinstance(image, (Image.Image, np.ndarray)):
        return str(getattr(image, "filename", ""))
    return os.fspath(image)


def _seen(
    image: PathLike | Image.Image | Images, shape: tuple[int, ...], as_is: bool, name: str
) -> Images:
    """What the model is to see."""
    if isinstance(image, np.ndarray):
        fits = image.ndim == 2 or image.shape[2:] == (3,)
        if image.dtype != np.uint8 or not fits:
            raise UsageError(
                f"{name} is {image.dtype} of shape {image.shape}; expected uint8 (H, W) or "
                "(H, W, 3)"
            )
        image = Image.fromarray(image)
    elif not isinstance(image, Image.Image):
        image = drawings.open_picture(Path(image))
    if as_is:
        return drawings.as_is(image, shape, name=name)
    return drawings.as_digit(image, (shape[0], shape[1]), name=name)
