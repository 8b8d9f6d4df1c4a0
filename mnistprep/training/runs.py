"""A run from a dataset to a checkpoint: what is learnt from, where it stops, how it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from mnistprep._files import refuse_existing
from mnistprep._progress import Progress, quiet
from mnistprep.convert import PathLike
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError, TargetError, UsageError, describe
from mnistprep.selection import Selection, select
from mnistprep.training import checkpoints, recipes, trainer
from mnistprep.training.processes import launched
from mnistprep.training.results import Epoch, Line, Trained
from mnistprep.training.trainer import Stopped

_PAUSE = 0.5  # seconds between two saved states: runs of tiny sets have hundreds of epochs


def state_path(output: Path) -> Path:
    """Where a run keeps what it takes to go on, until it is done: beside its checkpoint."""
    return output.with_name(f"{output.name}.resume")


def train(
    dataset: Dataset,
    output: PathLike | None = None,
    *,
    recipe: str = "fast",
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    mixed: bool | None = None,
    keep: str = "last",
    plain: bool = False,
    distributed: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    watch: Callable[[Line | Epoch], None] | None = None,
    progress: Progress = quiet,
) -> Trained:
    """Train a recipe on the `train` split of a dataset, and write a checkpoint to `output`.

    The split `valid` is scored after each epoch and never learnt from; the recipe `mlp2` takes the
    last sixth of `train` for it where there is none, as the pickle has it. plain: write the bare
    state dict. While it runs, what it takes to go on is kept in `<output>.resume`; with `resume` a
    run with the same dataset and arguments goes on from there, to the same weights (on a CPU), or
    starts from the beginning where nothing is kept. With `overwrite` alone it starts there too, and
    what is there stays until its successor is whole. `fit` says what the other arguments are.

    With `distributed` the processes that torchrun started all make this call, and the first one
    writes. Raises what `fit` and `save_checkpoint` raise, UsageError for a state that is of another
    run, FormatError for one that is none, and TargetError where a run would have to replace that.
    """
    row = recipes.get(recipe)
    target = None if output is None else Path(output)
    if target is None and (resume or plain):
        raise UsageError("resume and plain are about an output, and there is none")
    if plain and row.scaling is None:
        raise UsageError(
            f"{recipe} measures its normalisation on the pictures that it learns from; a bare "
            "state dict does not keep it: write a checkpoint"
        )
    dataset = _divided(dataset, row)
    about: dict[str, Any] = {
        "dataset": dataset.name,
        "examples": {name: len(split) for name, split in dataset.splits.items()},
        "digests": dataset.digests(),
    }
    asked = {"epochs": epochs, "keep": keep, "mixed": mixed}
    kept: _Kept | None = None
    if target is not None:
        refuse_existing(target, overwrite=overwrite)
        _check_folder(target)
        kept = _Kept(state_path(target), about, asked)
        kept.check(resume=resume, overwrite=overwrite)
    trained = trainer.fit(
        dataset.splits["train"],
        classes=dataset.classes,
        recipe=row,
        seed=seed,
        device=device,
        valid=dataset.splits.get("valid"),
        test=dataset.splits.get("test"),
        epochs=epochs,
        keep=keep,
        mixed=mixed,
        distributed=distributed,
        resume=kept.load(recipe, seed, progress) if kept is not None and resume else None,
        watch=watch,
        save=None if kept is None else kept.save,
        progress=progress,
    )
    trained = replace(trained, **about)
    if target is not None and kept is not None and (launched().leads or not distributed):
        done_with = [kept.path] if kept.there else []
        checkpoints.save_checkpoint(
            trained, target, plain=plain, overwrite=overwrite, replaced=done_with
        )
    return trained


def _divided(dataset: Dataset, row: recipes.Recipe) -> Dataset:
    if "train" not in dataset.splits:
        raise UsageError(
            f"{dataset.name} has no train split to learn from, only {', '.join(dataset.splits)}"
        )
    if not row.held_out or "valid" in dataset.splits:
        return dataset
    return select(dataset, Selection(validation=len(dataset.splits["train"]) // 6))


def _check_folder(target: Path) -> None:
    """Raise TargetError now for what would otherwise show when the training is done."""
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise TargetError(f"cannot write {target}: {folder} is not a folder to write to")


class _Kept:
    """The file with what it takes to go on; `there`: whether it is one that may be replaced."""

    def __init__(self, path: Path, about: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        self.path, self._about, self._asked = path, about, asked
        self._saved = perf_counter()
        self.there = False

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Raise TargetError for what is there and must stay; `load` says whether it can go on.

        What may be replaced stays until there is another state, or the checkpoint.
        """
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise TargetError(f"cannot write {self.path}: {describe(error)}") from error
        if not resume:
            self._check_replaceable(overwrite)
        self.there = True

    def _check_replaceable(self, overwrite: bool) -> None:
        try:
            _stopped(self.path, checkpoints.read(self.path))
        except FormatError:
            raise TargetError(
                f"{self.path} is where the run would keep its state, and is something else, or "
                "damaged; it is never overwritten: move it away, or choose another output"
            ) from None
        if not overwrite:
            raise TargetError(
                f"{self.path} is the state of a run that was stopped; --resume goes on with it, "
                "--overwrite starts from the beginning"
            )

    def save(self, stopped: Stopped) -> None:
        """Keep that state, unless the last one is quite new."""
        if perf_counter() - self._saved < _PAUSE:
            return
        trained = replace(stopped.trained, **self._about)
        content = {"weights": stopped.weights, "state": stopped.state, "asked": dict(self._asked)}
        checkpoints.save_checkpoint(trained, self.path, overwrite=self.there, resume=content)
        self._saved = perf_counter()
        self.there = True

    def load(self, recipe: str, seed: int, progress: Progress) -> Stopped | None:
        """Where the run stopped, or None where nothing is kept; raises UsageError for another."""
        if not self.there:
            progress.note(f"no {self.path} to go on with: the run starts from the beginning")
            return None
        content = checkpoints.read(self.path)
        kept = _stopped(self.path, content)
        trained = checkpoints.restored(self.path, content, recipe=None, device="cpu")
        mine = {"recipe": recipe, "seed": seed, **self._about, **self._asked}
        theirs = {
            "recipe": trained.recipe.name,
            "seed": trained.seed,
            **{key: getattr(trained, key) for key in self._about},
            **kept["asked"],
        }
        for key, value in mine.items():
            if theirs.get(key) != value:
                raise UsageError(
                    f"{self.path} is the state of another run: {key} is {theirs.get(key)}, here "
                    f"{value}; give what that run was given, or --overwrite it without --resume"
                )
        return Stopped(trained, kept["weights"], kept["state"])


def _stopped(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint has for a run to go on; raises FormatError where it is a finished one."""
    kept = content.get("resume")
    parts = ("weights", "state", "asked")
    if not isinstance(kept, dict) or not all(isinstance(kept.get(key), dict) for key in parts):
        raise FormatError(f"{path}: a checkpoint, but not the state of a stopped run")
    return kept
