"""Options that several commands have, and how they show progress, notes and results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import click

from mnistprep import _limits
from mnistprep._text import printable
from mnistprep.catalog import DATASETS
from mnistprep.cli import JSON, _output
from mnistprep.dataset import SPLITS, Dataset
from mnistprep.formats import FORMATS
from mnistprep.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

FORMAT = click.Choice(list(FORMATS))
EXISTING = click.Path(exists=True, path_type=Path)
TARGET = click.Path(path_type=Path)


def options(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several click options as one decorator, shown in the order given."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def _json_asked(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    context.meta[JSON] = value  # before the other options are looked at, whose errors it concerns
    return value


output = options(
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,
        callback=_json_asked,
        help="Print one JSON document and nothing else.",
    ),
    click.option("--quiet", "-q", is_flag=True, help="No progress, no notes, no summary."),
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there already.")


def _raise_limit(context: click.Context, parameter: click.Parameter, value: int | None) -> None:
    context.with_resource(_limits.raised(value))


max_bytes = click.option(
    "--max-bytes",
    type=click.IntRange(1),
    callback=_raise_limit,
    expose_value=False,
    help="The most that a compressed or packed file may become.  [default: 1 GiB, or 100 times its "
    "size if that is more]",
)
workers = options(
    max_bytes,
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Processes to use; the result is the same for any number.  [default: all processors]",
    ),
)
SEED = click.IntRange(0, 2**64 - 1)
device = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Where to compute; auto takes CUDA, then MPS, then the CPU.",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
)
seed = click.option(
    "--seed",
    type=SEED,
    help="Choose examples at random, the classes in their proportions; also starts synth.",
)
selection = options(
    click.option(
        "--split", "splits", multiple=True, type=click.Choice(SPLITS), help="Keep this split only."
    ),
    click.option("--limit", type=click.IntRange(0), help="At most so many examples of each split."),
    click.option(
        "--per-class", type=click.IntRange(0), help="At most so many of each class and split."
    ),
    click.option(
        "--validation",
        type=click.IntRange(0),
        help="Make the last so many training examples the split `valid`; 0 puts them back.",
    ),
)
mirror = click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL|PATH",
    help="Where to get the dataset: a server's folder, a file, or a local folder or file in any "
    "readable form. Tried before the published mirrors.",
)
source = options(
    click.option(
        "--dataset",
        metavar="NAME",
        help=f"One of {', '.join(DATASETS)}; synth:TRAIN or synth:TRAIN,TEST draws that many."
        "  [default: mnist]",
    ),
    click.option("--input", "input_path", type=EXISTING, help="A file or folder to read instead."),
    click.option("--from", "source_format", type=FORMAT, help="The format of --input."),
    mirror,
)


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[UNLABELLED] = value


def _parsed(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, Any]:
    if context.meta.get(UNLABELLED):
        value = (*value, "unlabelled=yes")
    if not value:
        return {}
    from mnistprep import formats

    return formats.parse_reading(value)


UNLABELLED = "mnistprep.unlabelled"
reading = options(
    click.option(
        "-R",
        "reading",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_parsed,
        help="An option of the format that is read; see `mnistprep formats NAME`.",
    ),
    click.option(
        "--unlabelled",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_remember,
        help="Read pictures that have no labels; they get a class of that name.",
    ),
)
writing = options(
    click.option(
        "-O",
        "format_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of the format; see `mnistprep formats NAME`.",
    ),
    click.option(
        "--croissant",
        is_flag=True,
        help="Write Croissant metadata (croissant.json) with it.",
    ),
    overwrite,
)


def chosen(
    splits: tuple[str, ...],
    limit: int | None,
    per_class: int | None,
    validation: int | None,
    seed: int | None,
) -> Selection:
    """The selection that the options ask for."""
    return Selection(splits, limit, per_class, validation, seed)


def check_source(
    dataset: str | None,
    input_path: Path | None,
    source_format: str | None,
    mirrors: tuple[str, ...],
    reading: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Refuse two sources at once, and what says how to read one that is not there."""
    if input_path and (dataset or mirrors):
        raise click.UsageError("--input is a source, and so are --dataset and --mirror; give one")
    if source_format and not input_path:
        raise click.UsageError("--from says what --input is, and there is no --input")
    if reading and not input_path:
        raise click.UsageError("-R and --unlabelled say how to read --input, and there is none")


class Console:
    """A Progress that draws a bar on a terminal's stderr, and shows notes there."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.notes: list[str] = []
        self._bar: Any = None
        self._draws = not quiet and sys.stderr.isatty()
        click.get_current_context().meta[JSON] = as_json

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Draw a new bar in place of the last."""
        self.close()
        if self._draws:
            from tqdm import tqdm

            bytes_ = unit in ("B", "bytes")
            self._bar = tqdm(
                total=total,
                desc=printable(what),
                unit="B" if bytes_ else f" {unit}",
                unit_scale=bytes_,
                leave=False,
                file=sys.stderr,
            )

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(count)

    def note(self, message: str) -> None:
        """Show the line, once."""
        if message in self.notes:
            return
        self.notes.append(message)
        if not self.quiet:
            self.close()
            _output.echo(f"note: {printable(message)}", err=True)

    def say(self, line: str) -> None:
        """Print a line of a result that comes in parts; nothing with --quiet or --json."""
        if not self.quiet and not self.as_json:
            if self._bar is not None:
                self._bar.clear()
            _output.echo(line)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def finish(self, text: str, document: dict[str, Any], *, always: bool = False) -> None:
        """Print a result: the JSON document, or the text unless --quiet (`always`: even then)."""
        self.close()
        if self.as_json:
            _output.echo(json.dumps({**document, "notes": self.notes}, indent=2, ensure_ascii=True))
        elif always or not self.quiet:
            _output.echo(text)


def counts(dataset: Dataset) -> str:
    """What a dataset holds, in a few words: "train 60,000, test 10,000"."""
    return ", ".join(f"{name} {len(split):,}" for name, split in dataset.splits.items())


def written(dataset: Dataset, path: Path, format: str, seconds: float) -> dict[str, Any]:
    """What a command that wrote something says in JSON; a form may hold other splits (notes)."""
    return {
        "path": str(path),
        "format": format,
        "selected": {name: len(split) for name, split in dataset.splits.items()},
        "classes": list(dataset.classes),
        "seconds": round(seconds, 3),
    }
