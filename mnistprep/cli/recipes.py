"""mnistprep recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import click

from mnistprep.cli import _shared
from mnistprep.training.recipes import RECIPES, Cadence


@click.command(
    "recipes", epilog="\b\nExamples:\n  mnistprep recipes\n  mnistprep recipes mlp --json"
)
@click.argument("name", required=False, type=click.Choice(list(RECIPES)), metavar="[NAME]")
@_shared.output
def command(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the recipes that `train` has, or show one.

    With their accuracy on the test digits of MNIST: as published, and as measured here for seeds 0,
    1 and 2. Of one recipe: everything that decides a run but data, seed and device.
    """
    console = _shared.Console(quiet=quiet, as_json=as_json)
    rows = [_document(n) for n in ([name] if name else RECIPES)]
    if name:
        lines = [f"{key:12} {_text(value)}" for key, value in rows[0].items() if value != {}]
    else:
        lines = [f"{'recipe':8} {'form':12} published  measured  what it is"]
        lines += [
            f"{row['name']:8} {row['form']:12} {_percent(row['published']):>9}  "
            f"{_percent(_mean(row['measured'])):>8}  {row['about']}"
            for row in rows
        ]
    console.finish("\n".join(lines), {"recipes": rows}, always=True)


def _document(name: str) -> dict[str, Any]:
    row = RECIPES[name]
    document = {key: _plain(getattr(row, key)) for key in (field.name for field in fields(row))}
    return {**document, "scaling": document["scaling"] or "measured on the training pictures"}


def _plain(value: Any) -> Any:
    if callable(value):
        return value.__name__
    if isinstance(value, Cadence):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _mean(shares: list[float]) -> float | None:
    return sum(shares) / len(shares) if shares else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return str(value)
