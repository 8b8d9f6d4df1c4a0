"""mnistprep formats."""

from __future__ import annotations

import click

from mnistprep.cli import _shared


@click.command("formats", epilog="\b\nExamples:\n  mnistprep formats\n  mnistprep formats csv")
@click.argument("name", required=False, type=_shared.FORMAT, metavar="[NAME]")
@_shared.output
def command(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the formats, or show the layout and the options of one."""
    from mnistprep import formats

    console = _shared.Console(quiet=quiet, as_json=as_json)
    names = [name] if name else list(formats.FORMATS)
    document = [
        {
            "name": n,
            "summary": formats.summary(n),
            "suffixes": list(formats.get(n).SUFFIXES),
            "options": [formats.describe(k, p) for k, p in formats.options(n).items()],
            "reading_options": [
                formats.describe(k, p) for k, p in formats.options(n, "read").items()
            ],
            "missing": formats.missing(n),
        }
        for n in names
    ]
    if name:
        lines = [formats.layout(name).rstrip(), ""]
        lines += [f"-O {formats.describe(k, p)}" for k, p in formats.options(name).items()]
        lines += [f"-R {formats.describe(k, p)}" for k, p in formats.options(name, "read").items()]
        lines += [f"{name} {formats.missing(name)}"] if formats.missing(name) else []
    else:
        lines = [
            f"{n:12} {formats.summary(n)}{' (not installed)' if formats.missing(n) else ''}"
            for n in names
        ]
    console.finish("\n".join(lines).rstrip(), {"formats": document}, always=True)
