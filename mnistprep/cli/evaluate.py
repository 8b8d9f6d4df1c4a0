"""mnistprep evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistprep.catalog import DATASETS
from mnistprep.cli import _output, _shared
from mnistprep.dataset import SPLITS
from mnistprep.errors import UsageError

if TYPE_CHECKING:
    from mnistprep.training import Trained


@click.command(
    "evaluate",
    epilog="\b\nExamples:\n"
    "  mnistprep evaluate model.pt\n"
    "  mnistprep evaluate model.pt --input mnist_images\n"
    "  mnistprep evaluate mnist.pth --recipe mlp --dataset mnist --json\n"
    "  mnistprep evaluate model.pt --input mnist_images --csv > wrong.csv",
)
@click.argument("model", type=_shared.EXISTING)
@click.option(
    "--dataset", metavar="NAME",
    help="What to evaluate on, as in `mnistprep export`.  [default: what MODEL was trained on]",
)  # fmt: skip
@click.option("--input", "input_path", type=_shared.EXISTING, help="A path to evaluate on instead.")
@click.option("--from", "source_format", type=_shared.FORMAT, help="What --input is, if unclear.")
@_shared.mirror
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(SPLITS),
    help="The examples to evaluate on, as the dataset has them stored.",
)  # fmt: skip
@click.option("--recipe", help="What a bare state dict is a model of, if unclear.")
@_shared.device
@_shared.workers
@click.option("--csv", "as_csv", is_flag=True, help="Print the wrong cases as CSV, nothing else.")
@_shared.output
def command(
    model: Path,
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    mirrors: tuple[str, ...],
    split: str,
    recipe: str | None,
    device: str,
    workers: int | None,
    as_csv: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what MODEL gets right and wrong.

    MODEL is a checkpoint or a bare state dict. Shown are every wrong case, with the file of its
    picture where it has one, the confusion matrix, precision and recall of each class, and last
    the share that is right.
    """
    from mnistprep import sources
    from mnistprep.evaluation import evaluate
    from mnistprep.training import load_checkpoint

    _shared.check_source(dataset, input_path, source_format, mirrors)
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two kinds of output; give one")
    console = _shared.Console(quiet=quiet, as_json=as_json)
    trained = load_checkpoint(model, recipe=recipe, device=device)
    found = evaluate(
        trained,
        input_path or sources.load(
            dataset or _trained_on(trained, model),
            mirrors=mirrors, workers=workers, progress=console,
        ),
        split=split, format=source_format, workers=workers, progress=console,
    )  # fmt: skip
    if as_csv:
        console.close()
        # A name that is no UTF-8 must not make the whole unreadable.
        _output.echo(_output.shown(found.to_csv()).encode("utf-8", "backslashreplace"))
    else:
        console.finish(str(found), found.to_json(), always=True)


def _trained_on(trained: Trained, model: Path) -> str:
    """The dataset that a checkpoint names, if it can be had by that name."""
    if trained.dataset.partition(":")[0] in DATASETS:
        return trained.dataset
    named = f"was trained on {trained.dataset!r}, which is no name of a dataset"
    raise UsageError(
        f"{model} {named if trained.dataset else 'does not say what it was trained on'}; "
        "give --dataset or --input to evaluate on"
    )
