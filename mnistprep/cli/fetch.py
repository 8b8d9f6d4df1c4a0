"""mnistprep fetch."""

from __future__ import annotations

import click

from mnistprep._text import printable
from mnistprep.catalog import DATASETS
from mnistprep.cli import _shared


@click.command(
    "fetch",
    epilog="\b\nExamples:\n"
    "  mnistprep fetch\n"
    "  mnistprep fetch --dataset fashion-mnist\n"
    "  mnistprep fetch --mirror https://mirror.example.org/mnist --mirror ~/Downloads/mnist.npz",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help=f"One of {', '.join(name for name, row in DATASETS.items() if row.files)}."
    "  [default: mnist]",
)
@_shared.mirror
@_shared.output
def command(dataset: str | None, mirrors: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Download a dataset into the cache, and check it.

    Content decides, not names. The cache is $MNISTPREP_HOME, or mnistprep in $XDG_CACHE_HOME or
    ~/.cache. $MNISTPREP_MIRROR is asked after every --mirror; with $MNISTPREP_OFFLINE set to 1 no
    connection is made.
    """
    from mnistprep import download

    console = _shared.Console(quiet=quiet, as_json=as_json)
    name = dataset or "mnist"
    folder = download.fetch(name, mirrors, progress=console)
    files = [file.kept for file in DATASETS[name].files]
    paths = [folder / file.name for file in files]
    console.finish(
        "\n".join(
            f"{printable(str(path))}  {path.stat().st_size:,} bytes, verified" for path in paths
        ),
        {
            "dataset": name,
            "path": str(folder),
            "files": [{"name": f.name, "sha256": f.sha256, "md5": f.md5} for f in files],
        },
    )
