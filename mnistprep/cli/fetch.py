"""mnistprep fetch."""

from __future__ import annotations

import click

from mnistprep.cli import _shared


@click.command(
    "fetch",
    epilog="\b\nExamples:\n"
    "  mnistprep fetch\n"
    "  mnistprep fetch --dataset fashion-mnist\n"
    "  mnistprep fetch --mirror https://mirror.example.org/mnist --mirror ~/Downloads/mnist.npz",
)
@_shared.dataset
@_shared.mirror
@_shared.output
def command(dataset: str | None, mirrors: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Download a dataset into the cache, and check it by its content.

    The cache is $MNISTPREP_HOME, or mnistprep in $XDG_CACHE_HOME or ~/.cache.
    """
    from mnistprep import catalog, download

    console = _shared.Console(quiet=quiet, as_json=as_json)
    name = dataset or "mnist"
    folder = download.fetch(name, mirrors, progress=console)
    files = [file.plain for file in catalog.get(name).files]
    console.finish(
        "\n".join(f"{folder / file.name}  {file.size:,} bytes, verified" for file in files),
        {
            "dataset": name,
            "path": str(folder),
            "files": [{"name": f.name, "sha256": f.sha256, "md5": f.md5} for f in files],
        },
    )
