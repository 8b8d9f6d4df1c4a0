"""mnistprep verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnistprep.cli import _shared


@click.command(
    "verify",
    epilog="\b\nExamples:\n"
    "  mnistprep verify\n"
    "  mnistprep verify mnist_images mnist.npz\n"
    "  mnistprep verify --format csv --format pkl --no-train\n"
    "  mnistprep verify copy.npz --input original/ --no-train --json",
)
@click.argument("paths", nargs=-1, type=_shared.EXISTING, metavar="[PATH]...")
@click.option(
    "--format", "-f", "formats", multiple=True, type=_shared.FORMAT,
    help="Without PATH: the formats to try (default: all). With PATH: what it is, if unclear.",
)  # fmt: skip
@click.option(
    "--dataset", metavar="NAME",
    help="What it should be, as in `mnistprep export`.  [default: mnist; with PATH any of them]",
)  # fmt: skip
@click.option("--input", "input_path", type=_shared.EXISTING, help="A path with what it should be.")
@click.option("--from", "source_format", type=_shared.FORMAT, help="What --input is, if unclear.")
@_shared.reading
@_shared.mirror
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(["train", "test"]),
    help="The splits that must be there.  [default: train and test]",
)  # fmt: skip
@click.option(
    "--train/--no-train", default=True, help="Train on what was read, or compare digests only."
)
@click.option(
    "--min-accuracy", type=click.FloatRange(0, 1),
    help="Share of the test split that must come out right.  [default: 0.98, or the dataset's own]",
)  # fmt: skip
@click.option("--recipe", default="fast", show_default=True, help="What to train.")
@_shared.device
@click.option("--seed", type=_shared.SEED, default=0, help="Starts the training, and synth.")
@_shared.workers
@_shared.output
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    formats: tuple[str, ...],
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    reading: dict[str, Any],
    mirrors: tuple[str, ...],
    splits: tuple[str, ...],
    train: bool,
    min_accuracy: float | None,
    recipe: str,
    device: str,
    seed: int,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Prove formats and files right, by digest and training.

    Without PATH the dataset is written in every format, read back, and compared. With PATH what is
    there must be --dataset or --input, or any dataset of the catalog when neither is given. Exits
    with 0 when all is right, with 1 when not.
    """
    from mnistprep import convert
    from mnistprep.verification import verify

    if dataset and input_path:
        raise click.UsageError("--dataset and --input are two sources; give one")
    if source_format and not input_path:
        raise click.UsageError("--from says what --input is; --format says what PATH is")
    if paths and len(formats) > 1:
        raise click.UsageError("with PATH, one --format at most says what it is")
    if reading and not (paths or input_path):
        raise click.UsageError("-R and --unlabelled say how to read PATH or --input; give one")
    console = _shared.Console(quiet=quiet, as_json=as_json)
    source = None
    if input_path:
        how = {} if paths else reading  # with PATH they say how that is read
        source = convert.read(input_path, source_format, workers=workers, progress=console, **how)
    report = verify(
        *paths, format=formats[0] if paths and formats else None, formats=() if paths else formats,
        dataset=dataset, source=source, mirrors=mirrors, splits=splits, train=train,
        min_accuracy=min_accuracy, recipe=recipe, device=device, seed=seed, workers=workers,
        progress=console, **(reading if paths else {}),
    )  # fmt: skip
    console.finish(str(report), report.to_json())
    ctx.exit(report.exit_code)
