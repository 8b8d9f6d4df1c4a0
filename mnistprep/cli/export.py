"""mnistprep export."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from mnistprep._text import printable
from mnistprep.cli import _shared


@click.command(
    "export",
    epilog="\b\nExamples:\n"
    "  mnistprep export --format imagefolder\n"
    "  mnistprep export --format csv -O header=none --output csv --limit 1000\n"
    "  mnistprep export --format pkl --mirror ~/Downloads\n"
    "  mnistprep export --format npz --dataset synth:6000,1000",
)
@click.option("--format", "-f", "format", required=True, type=_shared.FORMAT, help="What to write.")
@click.option(
    "--output",
    "-o",
    type=_shared.TARGET,
    help="Where to.  [default: named after dataset and format, such as mnist_images]",
)
@_shared.source
@_shared.reading
@_shared.writing
@_shared.selection
@_shared.seed
@_shared.workers
@_shared.output
def command(
    format: str,
    output: Path | None,
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    mirrors: tuple[str, ...],
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
    """Write a dataset in a format.

    The dataset comes from the cache, a mirror or the network, or from --input.
    """
    from mnistprep import _outputs, convert, download, formats, sources
    from mnistprep._provenance import Origin
    from mnistprep.selection import select

    _shared.check_source(dataset, input_path, source_format, mirrors, reading)
    begun = perf_counter()
    console = _shared.Console(quiet=quiet, as_json=as_json)
    values = formats.parse_options(format, format_options)
    selection = _shared.chosen(splits, limit, per_class, validation, seed)
    name = input_path.name.partition(".")[0] if input_path else dataset or "mnist"
    target = output or Path(formats.default_output(format, name.partition(":")[0] or "dataset"))
    local = download.local_sources(mirrors)
    _outputs.refuse(
        target,
        overwrite=overwrite,
        sources=local,
        own=lambda path: _may_be_own(path, format),
    )
    if input_path:
        written = convert.convert(
            input_path, target, source_format=source_format, target_format=format, reading=reading,
            selection=selection, croissant=croissant, overwrite=overwrite, workers=workers,
            progress=console, **values,
        )  # fmt: skip
    else:
        whole = sources.load(
            name, mirrors=mirrors, seed=seed or 0, workers=workers, progress=console
        )
        written = select(whole, selection)
        convert.write(
            written,
            target,
            format,
            origin=Origin(whole, selection=selection),
            croissant=croissant,
            overwrite=overwrite,
            workers=workers,
            progress=console,
            **values,
        )
    seconds = perf_counter() - begun
    console.finish(
        f"{printable(str(target))}: {format} of {_shared.counts(written)} ({seconds:.1f} s)",
        _shared.written(written, target, format, seconds),
    )


def _may_be_own(path: Path, format: str) -> bool:
    """Whether a path holds an export in the format, and no part of one."""
    from mnistprep import formats

    module = formats.get(format)
    return (path.is_dir() or bool(module.SUFFIXES)) and module.sniff(path)
