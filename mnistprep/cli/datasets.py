"""mnistprep datasets."""

from __future__ import annotations

from typing import Any

import click

from mnistprep.catalog import DATASETS
from mnistprep.cli import _shared


@click.command(
    "datasets", epilog="\b\nExamples:\n  mnistprep datasets\n  mnistprep datasets kmnist --json"
)
@click.argument("name", required=False, type=click.Choice(list(DATASETS)), metavar="[NAME]")
@_shared.output
def command(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the datasets, or show one.

    Of one dataset: classes, sizes, licence, citation, mirrors and digests.
    """
    console = _shared.Console(quiet=quiet, as_json=as_json)
    rows = [_document(n) for n in ([name] if name else DATASETS)]
    if name:
        lines = [f"{key:13} {_text(value)}" for key, value in rows[0].items() if value]
    else:
        lines = [f"{row['name']:16} {row['title']}: {row['about']}" for row in rows]
    console.finish("\n".join(lines), {"datasets": rows}, always=True)


def _document(name: str) -> dict[str, Any]:
    row = DATASETS[name]
    return {
        "name": row.name,
        "title": row.title,
        "about": row.about,
        "homepage": row.homepage,
        "licence": row.licence,
        "licence note": row.licence_note,
        "citation": row.citation,
        "classes": list(row.classes),
        "shape": list(row.shape),
        "splits": dict(row.splits),
        "mean": row.mean,
        "std": row.std,
        "mirrors": list(row.mirrors),
        "archive": [] if row.archive is None else list(row.archive.urls),
        "by hand": row.by_hand,
        "digests": {
            split: {"images": d.images, "labels": d.labels, "unordered": d.unordered}
            for split, d in row.digests.items()
        },
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{k}: {_text(v)}" for k, v in value.items()).replace("\n", f"\n{'':14}")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).replace("\n", f"\n{'':14}")
