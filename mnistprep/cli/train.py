"""mnistprep train."""

from __future__ import annotations

from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnistprep.catalog import DATASETS
from mnistprep.cli import Failure, _shared

if TYPE_CHECKING:
    from mnistprep.training import Trained


@click.command(
    "train",
    epilog="\b\nExamples:\n"
    "  mnistprep train\n"
    "  mnistprep train --recipe mlp --input mnist_images --output mnist_mlp.pt\n"
    "  mnistprep train --recipe numpy --input mnist_csv --limit 1000 --output numpy.npz\n"
    "  mnistprep train --recipe cnn --validation 5000 --keep best --resume\n"
    "  torchrun --nproc_per_node=2 -m mnistprep train --recipe mlp",
)
@click.option(
    "--recipe", default="fast", show_default=True,
    help="What to train, and how; `mnistprep recipes` lists them.",
)  # fmt: skip
@click.option(
    "--output", "-o", type=_shared.TARGET,
    help="The checkpoint.  [default: model.pt, for recipe numpy model.npz]",
)  # fmt: skip
@_shared.source
@_shared.reading
@click.option(
    "--limit", type=click.IntRange(0), help="At most so many examples of each split, the first."
)
@click.option(
    "--validation", type=click.IntRange(0),
    help="Hold back the last so many training examples to validate on.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Passes, instead of the recipe's.")
@click.option(
    "--seed", type=_shared.SEED, default=0, show_default=True,
    help="Decides the first weights and the order of the examples.",
)  # fmt: skip
@_shared.device
@click.option(
    "--amp/--no-amp", "mixed", default=None,
    help="Mixed precision with bfloat16, or not.  [default: as the recipe has it, on CUDA]",
)  # fmt: skip
@click.option(
    "--keep", type=click.Choice(["last", "best"]), default="last", show_default=True,
    help="The weights after the last epoch, or after the one that did best on the validation "
    "split.",
)  # fmt: skip
@click.option("--plain", is_flag=True, help="Write the bare state dict, as in mnist.pth.")
@click.option("--resume", is_flag=True, help="Go on where a run of the same command stopped.")
@_shared.overwrite
@_shared.workers
@_shared.output
def command(
    recipe: str,
    output: Path | None,
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    reading: dict[str, Any],
    mirrors: tuple[str, ...],
    limit: int | None,
    validation: int | None,
    epochs: int | None,
    seed: int,
    device: str,
    mixed: bool | None,
    keep: str,
    plain: bool,
    resume: bool,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a model and write a checkpoint.

    A run that was stopped leaves what it takes to go on in OUTPUT.resume; --resume goes on with it,
    to the same weights as without the stop. Several processes, as torchrun starts them, share the
    batches of one run.
    """
    from mnistprep import _outputs, convert, download, sources
    from mnistprep.selection import Selection, select
    from mnistprep.training import accuracy, checkpoints, processes, recipes, runs

    _shared.check_source(dataset, input_path, source_format, mirrors, reading)
    row = recipes.get(recipe)
    target = output or Path("model.npz" if row.library == "numpy" else "model.pt")
    leads = processes.launched().leads
    console = _shared.Console(quiet=quiet or not leads, as_json=as_json and leads)
    if validation == 0 and row.held_out:
        raise click.UsageError(
            f"{recipe} is watched on a validation split; --validation 0 has none"
        )
    mine = [input_path] if input_path else download.local_sources(mirrors)
    own = checkpoints.sniff
    _outputs.refuse(target, overwrite=overwrite, sources=mine, own=own)
    state = runs.state_path(target)
    _outputs.refuse(state, overwrite=True, sources=mine, own=own)
    if input_path:
        data = convert.read(input_path, source_format, workers=workers, progress=console, **reading)
        # `evaluate` must not take a path for the dataset of that name.
        is_name = str(input_path).partition(":")[0] in DATASETS
        name = f"./{input_path}" if is_name else str(input_path)
    else:
        name = dataset or "mnist"  # with the size of synth, so that it can be had again
        data = sources.load(name, mirrors=mirrors, workers=workers, progress=console)
    data = replace(data, name=name)
    data = select(data, Selection(limit=limit, validation=validation))
    earlier = None if resume else _file(state)
    try:
        trained = runs.train(
            data, target, recipe=recipe, seed=seed, epochs=epochs, device=device, mixed=mixed,
            keep=keep, plain=plain, distributed=True, resume=resume, overwrite=overwrite,
            watch=lambda what: console.say(str(what)), progress=console,
        )  # fmt: skip
    except KeyboardInterrupt:
        if _file(state) in (None, earlier):  # nothing of this run
            raise
        raise Failure(
            f"interrupted; {state} has what it takes to go on: the same command with --resume does"
        ) from None
    test = data.splits.get("test")
    share = accuracy(trained, test) if leads and test is not None and len(test) else None
    console.finish(_text(trained, target, share), _document(trained, target, share))


def _file(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that takes its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _text(trained: Trained, target: Path, share: float | None) -> str:
    row = trained.recipe
    lines = [f"{target}: {row.name}, trained on {trained.examples['train']:,} examples of "]
    lines[0] += f"{trained.dataset} in {trained.seconds:.1f} s on {trained.device}"
    if trained.epoch != len(trained.history):
        lines.append(f"kept: the weights after epoch {trained.epoch}, the best on valid")
    if share is not None:
        right = round(share * trained.examples["test"])
        lines.append(f"test: {right:,} of {trained.examples['test']:,} right, {share:.4f}")
    return "\n".join(lines)


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no nan, which is what a run that has diverged tells."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in values.items()
    }


def _document(trained: Trained, target: Path, share: float | None) -> dict[str, Any]:
    return {
        "path": str(target),
        "recipe": trained.recipe.name,
        "seed": trained.seed,
        "device": trained.device,
        "dataset": trained.dataset,
        "examples": dict(trained.examples),
        "classes": list(trained.classes),
        "normalisation": {"mean": trained.mean, "std": trained.std},
        "epoch": trained.epoch,
        "history": [_finite(asdict(epoch)) for epoch in trained.history],
        "lines": [_finite(asdict(line)) for line in trained.lines],
        "accuracy": share,
        "seconds": round(trained.seconds or 0.0, 3),
    }
