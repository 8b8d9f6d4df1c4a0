"""mnistprep convert."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from mnistprep._text import printable
from mnistprep.cli import _shared


@click.command(
    "convert",
    epilog="\b\nExamples:\n"
    "  mnistprep convert mnist.pkl.gz mnist.npz\n"
    "  mnistprep convert MNIST/raw mnist_images --to imagefolder\n"
    "  mnistprep convert mnist_images mnist_csv --to csv -O header=pixel0 --split train",
)
@click.argument("src", type=_shared.EXISTING)
@click.argument("dst", type=_shared.TARGET)
@click.option("--from", "source_format", type=_shared.FORMAT, help="What SRC is, if it is unclear.")
@click.option(
    "--to", "target_format", type=_shared.FORMAT, help="What to write, if DST's name does not say."
)
@_shared.reading
@_shared.writing
@_shared.selection
@_shared.seed
@_shared.workers
@_shared.output
def command(
    src: Path,
    dst: Path,
    source_format: str | None,
    target_format: str | None,
    reading: dict[str, Any],
    format_options: tuple[str, ...],
    croissant: bool,
    overwrite: bool,
    splits: tuple[str, ...],
    limit: int | None,
    per_class: int | None,
    validation: int | None,
    seed: int | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Convert SRC, in any form, to DST, in any other."""
    from mnistprep import convert, formats

    begun = perf_counter()
    console = _shared.Console(quiet=quiet, as_json=as_json)
    name = target_format or formats.of_target(dst)
    written = convert.convert(
        src, dst, source_format=source_format, target_format=name, reading=reading,
        selection=_shared.chosen(splits, limit, per_class, validation, seed),
        croissant=croissant, overwrite=overwrite, workers=workers, progress=console,
        **formats.parse_options(name, format_options),
    )  # fmt: skip
    seconds = perf_counter() - begun
    console.finish(
        f"{printable(str(dst))}: {name} of {_shared.counts(written)} ({seconds:.1f} s)",
        _shared.written(written, dst, name, seconds),
    )
