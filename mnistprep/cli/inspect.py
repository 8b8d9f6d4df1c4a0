"""mnistprep inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnistprep.cli import _shared


@click.command(
    "inspect",
    epilog="\b\nExamples:\n"
    "  mnistprep inspect ~/Downloads/mnist.pkl.gz\n"
    "  mnistprep inspect mnist_images --preview sheet.png\n"
    "  mnistprep inspect train-images-idx3-ubyte --json",
)
@click.argument("path", type=_shared.EXISTING)
@click.option(
    "--from", "source_format", type=_shared.FORMAT, help="What PATH is, if it is unclear."
)
@click.option("--preview", type=_shared.TARGET, help="A PNG file to write a contact sheet to.")
@click.option(
    "--labels",
    type=_shared.TARGET,
    help="A CSV file for all columns of IDX label files; QMNIST has eight.",
)
@_shared.reading
@_shared.overwrite
@_shared.workers
@_shared.output
def command(
    path: Path,
    source_format: str | None,
    reading: dict[str, Any],
    preview: Path | None,
    labels: Path | None,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what PATH is, by its content.

    Shown are format, splits, shape, classes, counts, digests, and which dataset it is.
    """
    from mnistprep.inspection import inspect

    console = _shared.Console(quiet=quiet, as_json=as_json)
    found = inspect(
        path,
        source_format,
        preview=preview,
        labels=labels,
        overwrite=overwrite,
        workers=workers,
        progress=console,
        **reading,
    )
    console.finish(str(found), found.to_json(), always=True)
