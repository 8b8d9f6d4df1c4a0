"""Checkpoints: a state dict with what it takes to use it, as plain values.

    {"format": "mnistprep checkpoint 1", "recipe": "mlp", "state_dict": {...},
     "classes": ["0", ...], "shape": [28, 28], "normalisation": {"mean": 0.0, "std": 1.0},
     "dataset": {"name": "mnist", "examples": {"train": 60000, ...}, "digests": {"train": ...}},
     "seed": 0, "epoch": 10, "history": [{"number": 1, "loss": 0.3, ...}], "lines": [...],
     "versions": {"mnistprep": ..., "torch": ..., ...}}

Written by torch.save, with all tensors on the CPU; torch.load(path, weights_only=True) opens it
anywhere. For recipe `numpy` it is an .npz without pickled parts: the arrays by their place
("state_dict/hidden"), all else as JSON in `metadata`. What a run needs to go on is in `resume`.
No times are kept, so that the same run gives the same bytes.

The plain state dict of a model, as a walk-through saves it (`mnist.pth`), is read and written too.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mnistprep import _limits, _torchfile
from mnistprep._files import atomic_path, existing, head
from mnistprep.convert import PathLike
from mnistprep.dataset import SPLITS, Digest
from mnistprep.errors import (
    DataError,
    FormatError,
    MnistprepError,
    UnsupportedError,
    UsageError,
)
from mnistprep.formats import npz
from mnistprep.formats._shapes import check_shape
from mnistprep.training import trainer
from mnistprep.training.recipes import RECIPES, Recipe, get
from mnistprep.training.results import Epoch, Line, Trained

FORMAT = "mnistprep checkpoint 1"
_WEIGHTS, _METADATA = "state_dict", "metadata"
_OWN_MEMBERS = (f"{_WEIGHTS}/hidden.npy", "hidden.npy")  # in an .npz, of a checkpoint or bare

_COUNTS = {"number", "epoch", "batch", *SPLITS}
_OPTIONAL = {"valid_loss", "valid_accuracy", "accuracy"}

T = TypeVar("T")


def save_checkpoint(
    trained: Trained,
    path: PathLike,
    *,
    plain: bool = False,
    overwrite: bool = False,
    resume: Mapping[str, Any] | None = None,
    replaced: Iterable[Path] = (),
) -> None:
    """Write a checkpoint, or with `plain` the bare state dict alone.

    resume: what a run needs to go on, nested dicts of tensors or arrays and plain values.
    replaced: files beside the checkpoint that go when it is there.
    Raises UnsupportedError for a recipe that is not in RECIPES, which could not be found again, and
    TargetError for a path that is there or cannot be written.
    """
    row = trained.recipe
    if row != RECIPES.get(row.name):
        raise UnsupportedError(
            f"recipe {row.name!r} is not one of RECIPES, so a checkpoint could not name it; "
            "save the state dict of the model instead"
        )
    weights = trainer.library(row).weights(trained.model)
    content = weights if plain else _document(trained, weights)
    if resume is not None:
        content["resume"] = resume
    with atomic_path(Path(path), overwrite=overwrite, replaced=replaced) as staging:
        if row.library == "torch":
            _torchfile.save(content, staging)
        else:
            _save_arrays(content, staging)


def load_checkpoint(path: PathLike, *, recipe: str | None = None, device: Any = "auto") -> Trained:
    """The model of a checkpoint, or of a bare state dict, in evaluation mode on the device.

    recipe: which model a bare state dict is of, where the shapes of its weights do not say it.
    Raises MissingPath, FormatError for anything that is no model or is damaged, UsageError for a
    recipe that is not the checkpoint's and a device that is not there.
    """
    where = existing(Path(path))
    return restored(where, read(where), recipe=recipe, device=device)


def restored(path: Path, content: Mapping[str, Any], *, recipe: str | None, device: Any) -> Trained:
    """The model of what `read` found at the path."""
    try:
        if _WEIGHTS not in content:
            trained, weights = _guessed(content, recipe, path)
        else:
            trained, weights = _parsed(content), _field(content, _WEIGHTS, dict)
            if recipe not in (None, trained.recipe.name):
                raise UsageError(f"{path} is a model of {trained.recipe.name}, not of {recipe}")
        if not _is_state_dict(weights):
            raise DataError(f"{_WEIGHTS} is not a table of weights")
        used = trainer.library(trained.recipe)
        if others := weights.keys() - used.shapes(trained.model).keys():
            raise DataError(f"weights {min(others)!r:.80}, which {trained.recipe.name} has none of")
        used.restore(trained.model, weights)
    except (DataError, UnsupportedError) as error:
        raise FormatError(f"{path}: not a whole checkpoint: {error}") from None
    return trained if trained.recipe.library == "numpy" else used.moved(trained, device)


def sniff(path: Path) -> bool:
    """Whether `path` holds a model, with or without metadata, and not a dataset."""
    if npz.sniff(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name in _OWN_MEMBERS for name in archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            # Damaged, which reading it says.
            return False
    if not _torchfile.is_one(path):
        return False
    content = _torchfile.load(path)
    return isinstance(content, dict) and (_WEIGHTS in content or _is_state_dict(content))


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint as nested dicts; raises FormatError."""
    try:
        content = _opened(path)
    except OSError as error:
        if isinstance(error, MnistprepError):
            raise
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError:
        raise FormatError(f"{path}: {_limits.TOO_LARGE}") from None
    if not isinstance(content, dict) or not (_WEIGHTS in content or _is_state_dict(content)):
        raise FormatError(f"{path}: neither a checkpoint nor a state dict")
    return content


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise FormatError(
            f"{path}: {'a folder, no model' if path.is_dir() else 'neither a file nor a folder'}"
        )
    if not head(path, 4):
        raise FormatError(f"{path}: an empty file, no model")
    if npz.sniff(path):
        return _nested(npz.load(path), path)
    return _torchfile.load(path) if _torchfile.is_one(path) else None


def _document(trained: Trained, weights: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": trained.recipe.name,
        _WEIGHTS: weights,
        "classes": list(trained.classes),
        "shape": list(trained.shape),
        "normalisation": {"mean": trained.mean, "std": trained.std},
        "dataset": {
            "name": trained.dataset,
            "examples": dict(trained.examples),
            "digests": {split: asdict(digest) for split, digest in trained.digests.items()},
        },
        "seed": trained.seed,
        "epoch": trained.epoch,
        "history": [
            {key: value for key, value in asdict(epoch).items() if key != "seconds"}
            for epoch in trained.history
        ],
        "lines": [asdict(line) for line in trained.lines],
        "versions": dict(trained.versions),
    }


def _parsed(content: Mapping[str, Any]) -> Trained:
    """The Trained of a checkpoint, its weights not yet put in; raises DataError."""
    if content.get("format") != FORMAT:
        raise DataError(f"its format is {content.get('format')!r:.60}, expected {FORMAT!r}")
    name = _field(content, "recipe", str)
    if name not in RECIPES:
        raise DataError(f"it is of recipe {name!r}, which this version does not have")
    scaling = _field(content, "normalisation", dict)
    dataset = _field(content, "dataset", dict)
    try:
        return _blank(
            RECIPES[name],
            shape=check_shape(_field(content, "shape", list), "shape"),
            classes=_names(_field(content, "classes", list)),
            mean=_finite(scaling, "mean"),
            std=_positive(scaling, "std"),
            seed=_field(content, "seed", int),
            epoch=_numbers({"epoch": content.get("epoch")})["epoch"],
            history=tuple(Epoch(**_numbers(row)) for row in _field(content, "history", list)),
            lines=tuple(Line(**_numbers(row)) for row in _field(content, "lines", list)),
            dataset=_field(dataset, "name", str),
            examples=_numbers(_field(dataset, "examples", dict)),
            digests={
                str(split): Digest(**{key: str(value) for key, value in digest.items()})
                for split, digest in _field(dataset, "digests", dict).items()
            },
            versions={str(k): str(v) for k, v in _field(content, "versions", dict).items()},
        )
    except (ArithmeticError, AttributeError, FormatError, TypeError, ValueError) as error:
        raise DataError(str(error)) from None


def _names(classes: list[object]) -> tuple[str, ...]:
    """Names as a Dataset takes them."""
    names = tuple(name for name in classes if isinstance(name, str))
    if len(set(names)) < len(classes):
        raise DataError("classes holds what is no name, or a name twice")
    return names


def _finite(content: Mapping[str, Any], key: str) -> float:
    value = _field(content, key, float)
    if not math.isfinite(value):
        raise DataError(f"{key} is {value}, expected a number")
    return value


def _positive(content: Mapping[str, Any], key: str) -> float:
    value = _finite(content, key)
    if value <= 0:
        raise DataError(f"{key} is {value}, expected a number above 0")
    return value


def _guessed(
    weights: Mapping[str, Any], recipe: str | None, path: Path
) -> tuple[Trained, dict[str, Any]]:
    """The model that a bare state dict is of, told by the shapes of its weights in their order."""
    found = [tuple(value.shape) for value in weights.values()]
    classes = min(found[-1][0], 1 << 16)  # more are none, and would take long to name
    for row in RECIPES.values() if recipe is None else [get(recipe)]:
        trained = _blank(row, shape=(28, 28), classes=tuple(map(str, range(classes))))
        own = trainer.library(row).shapes(trained.model)
        if list(own.values()) == found:
            if row.scaling is None:
                raise UsageError(
                    f"{path} is a bare state dict of {row.name}, whose normalisation was measured "
                    "on its training pictures and is not in the file; use a checkpoint"
                )
            return trained, dict(zip(own, weights.values(), strict=True))
    raise FormatError(
        f"{path}: the weights, {', '.join(map(str, found))[:200]}, are those of "
        f"{'no recipe' if recipe is None else f'another model than {recipe}'} "
        f"(known: {', '.join(RECIPES)}) for pictures of 28x28"
    )


def _blank(
    row: Recipe, *, shape: tuple[int, ...], classes: tuple[str, ...], **known: Any
) -> Trained:
    if len(shape) not in (2, 3) or not all(0 < side < 1 << 16 for side in shape) or not classes:
        raise DataError(f"pictures of {shape} in {len(classes)} classes are none")
    mean, std = row.scaling or (0.0, 1.0)
    values = {"mean": mean, "std": std, "seed": 0, "epoch": 0, **known}
    model = trainer.library(row).blank(row, shape, len(classes))
    return Trained(model=model, recipe=row, shape=shape, classes=classes, device="cpu", **values)


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(
        isinstance(name, str) and getattr(value, "ndim", 0) > 0 and _is_float(value)
        for name, value in content.items()
    )


def _is_float(value: Any) -> bool:
    return "float" in str(getattr(value, "dtype", ""))


def _field(content: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = content.get(key)
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind):
        raise DataError(f"{key} is {type(value).__name__}, expected {kind.__name__}")
    return value


def _numbers(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same as numbers: counts where the key means one, else floats, some of them optional."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if key in _COUNTS and type(value) is int and 0 <= value < 1 << 40:
            found[key] = value
        elif key in _OPTIONAL and value is None:
            found[key] = None
        elif key not in _COUNTS and type(value) in (int, float):
            found[str(key)] = float(value)
        else:
            raise DataError(f"{key!r:.40} is {value!r:.40}, expected a number")
    return found


def _save_arrays(content: Mapping[str, Any], path: Path) -> None:
    arrays: dict[str, Any] = {}
    plain = _flattened(content, "", arrays)
    if any(plain.values()):
        arrays[_METADATA] = np.array(json.dumps(plain))
    with path.open("xb") as file:  # given a path, NumPy would add a suffix to it
        np.savez(file, **arrays)


def _flattened(content: Mapping[str, Any], prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The plain values, nested as they are; arrays go into `arrays` under their place."""
    plain = {}
    for key, value in content.items():
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping):
            plain[key] = _flattened(value, f"{prefix}{key}/", arrays)
        else:
            plain[key] = value
    return plain


def _nested(arrays: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        content = json.loads(str(arrays.pop(_METADATA, "{}")))
        for place, array in arrays.items():
            *folders, name = place.split("/")
            into = content
            for folder in folders:
                into = into.setdefault(folder, {})
            into[name] = array
        return dict(content)
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError):
        raise FormatError(f"{path}: its metadata is damaged") from None
