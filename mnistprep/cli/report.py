"""mnistprep report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistprep.cli import _shared

if TYPE_CHECKING:
    from mnistprep.report.writing import Subject


@click.command(
    "report",
    epilog="\b\nExamples:\n"
    "  mnistprep report mnist_images --output report.html\n"
    "  mnistprep report mnist_images --verify --output report.html\n"
    "  mnistprep report model.pt mnist_images --output report.html\n"
    "  mnistprep report model.pt --dataset mnist --mirror ~/Downloads --output report.html\n"
    "  mnistprep verify --json > checks.json; mnistprep report checks.json --output report.html",
)
@click.argument("paths", nargs=-1, type=_shared.EXISTING, metavar="[PATH]...")
@click.option("--output", "-o", required=True, type=_shared.TARGET, help="The HTML file to write.")
@click.option(
    "--dataset", metavar="NAME",
    help="Where no PATH is a dataset, the one to show and to test a model on; with --verify, what "
    "PATH should be.",
)  # fmt: skip
@click.option("--input", "input_path", type=_shared.EXISTING, help="The same, as a path.")
@click.option(
    "--from", "source_format", type=_shared.FORMAT,
    help="What the dataset is, PATH or else --input, if it is unclear.",
)  # fmt: skip
@_shared.mirror
@click.option(
    "--verify", "verifies", is_flag=True,
    help="Verify the dataset at PATH, digests and training, and show how it came out.",
)  # fmt: skip
@click.option(
    "--recipe", help="What a bare state dict is a model of, if unclear; what --verify trains."
)
@_shared.device
@click.option(
    "--seed", type=_shared.SEED, default=0, help="Starts the training of --verify, and synth."
)
@_shared.overwrite
@_shared.workers
@_shared.output
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    output: Path,
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    mirrors: tuple[str, ...],
    verifies: bool,
    recipe: str | None,
    device: str,
    seed: int,
    overwrite: bool,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a page about a dataset, a model or a verification.

    Each PATH is what its content says: a dataset in any form, a checkpoint or a bare state dict, or
    what `mnistprep verify --json` has printed; one of each at most. A model is tested on the
    dataset. The page is one HTML file that needs no network. With --verify the command exits with
    1 when the dataset is not right; the page says why.
    """
    from mnistprep import _outputs, convert, download, sources, verification
    from mnistprep.report import subjects
    from mnistprep.report.writing import is_page, write_report

    if input_path and (dataset or mirrors):
        raise click.UsageError("--input is a source, and so are --dataset and --mirror; give one")
    console = _shared.Console(quiet=quiet, as_json=as_json)
    read_too = [input_path] if input_path else []
    local = download.local_sources(mirrors) if dataset or verifies else []
    _outputs.refuse(output, overwrite=overwrite, sources=[*paths, *read_too, *local], own=is_page)
    about: list[Subject] = [*paths]
    data = [path for path in paths if subjects.kind(path) == "dataset"]
    named = dataset or input_path
    if source_format and not (data or input_path):
        raise click.UsageError("--from says what PATH or --input is; no dataset is given as one")
    checks = None
    if verifies:
        if len(data) != 1:
            raise click.UsageError("--verify needs a PATH that is a dataset, and one only")
        source = None
        if input_path:
            source = convert.read(input_path, workers=workers, progress=console)
        checks = verification.verify(
            *data, format=source_format, dataset=dataset, source=source, mirrors=mirrors,
            recipe=recipe or "fast", device=device, seed=seed, workers=workers, progress=console,
        )  # fmt: skip
        about.append(checks)
    elif named and data:
        raise click.UsageError(
            f"{data[0]} is the dataset already; --dataset and --input say what it should be "
            "with --verify"
        )
    elif input_path:
        about.append(input_path)
    elif dataset:
        about.append(
            sources.load(dataset, mirrors=mirrors, seed=seed, workers=workers, progress=console)
        )
    page = write_report(
        output, *about, format=source_format, recipe=None if verifies else recipe, device=device,
        overwrite=overwrite, workers=workers, progress=console,
    )  # fmt: skip
    console.finish(str(page), page.to_json())
    ctx.exit(0 if checks is None else checks.exit_code)
