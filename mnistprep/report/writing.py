"""The report: one HTML file about a dataset, a model and a verification, with nothing outside it.

    write_report("report.html", "mnist_images", "model.pt")

The file holds its style and its pictures; it has no script, and a policy in it lets the browser
load nothing else. The same subjects give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mnistprep
from mnistprep import _outputs
from mnistprep._files import atomic_path, head
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.convert import PathLike
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError, UsageError
from mnistprep.evaluation import Evaluation, evaluate
from mnistprep.report import about_checks, about_data, about_model, subjects
from mnistprep.report.about_checks import ChecksPart
from mnistprep.report.about_data import DataPart, Source
from mnistprep.report.about_model import ModelPart
from mnistprep.report.display import plural, text, tile
from mnistprep.training import Trained, load_checkpoint
from mnistprep.verification import VerifyReport

if TYPE_CHECKING:
    from jinja2 import Environment

Subject = PathLike | Dataset | Trained | VerifyReport


@dataclass(frozen=True, eq=False)
class Page:
    """A report that was written: where, how large in bytes, and what it says in short."""

    path: Path
    size: int
    title: str
    document: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists, strings and numbers."""
        return {"path": str(self.path), "bytes": self.size, "title": self.title, **self.document}

    def __str__(self) -> str:
        return f"{printable(str(self.path))}: {printable(self.title)}, {self.size:,} bytes"


@dataclass(frozen=True, eq=False)
class _Subjects:
    """What a report is about: one of each kind at most, and the path of the model."""

    source: Source | None
    trained: Trained | None
    model: str | None
    checks: VerifyReport | None


def write_report(
    output: PathLike,
    *about: Subject,
    format: str | None = None,
    recipe: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Page:
    """Write one HTML file about a dataset, a model and a verification, at most one of each.

    about: a Dataset or a path to one (`format` says what it is, where its content does not), a
    Trained or a path to a checkpoint (`recipe`: which model a bare state dict is of; it is loaded
    to `device`), a VerifyReport or a path to the JSON document of `mnistprep verify`. A model is
    tested on the dataset; without one, the model that a verification trained is shown.

    Raises UsageError for nothing, for two of a kind, and for a model that does not fit the dataset,
    TargetError for an output that is there or cannot be written, and what reading the paths raises.
    """
    target = Path(output)
    paths = [Path(s) for s in about if not isinstance(s, (Dataset, Trained, VerifyReport))]
    _outputs.refuse(target, overwrite=overwrite, sources=paths, own=is_page)
    found = _gather(about, format, recipe, device, workers, progress)
    source, trained = found.source, found.trained
    evaluation = None
    if trained is not None and source is None:
        progress.note("the model is not tested: there is no dataset here to test it on")
    if source is not None and trained is not None and len(source.dataset):
        split = next(name for name in ("test", "valid", "train") if _size(source.dataset, name))
        evaluation = evaluate(trained, source.dataset, split=split, progress=progress)
    data = None if source is None else about_data.describe(source, progress)
    model = None
    if trained is not None:
        means = {} if data is None else data.means
        model = about_model.describe(trained, found.model, evaluation, source, means)
    checks = None if found.checks is None else about_checks.describe(found.checks)
    title = _title(data, model, checks)
    page = _render(title, source, data, model, checks)
    with atomic_path(target, overwrite=overwrite) as staging:
        staging.write_bytes(page)
    return Page(target, len(page), title, _document(found, data, model, evaluation))


def is_page(path: Path) -> bool:
    """Whether a file is a web page, as reports are and no part of a dataset is."""
    return head(path, 64).lstrip().lower().startswith(b"<!doctype html>")


def _gather(
    about: tuple[Subject, ...],
    format: str | None,
    recipe: str | None,
    device: str,
    workers: int | None,
    progress: Progress,
) -> _Subjects:
    """Read every subject; a dataset that its verification found unreadable is left out."""
    kinds: dict[str, Any] = {}
    for subject in about:
        kind = _kind(subject)
        if kind in kinds:
            raise UsageError(
                f"two of a kind ({kind}); a report is about one dataset, one model "
                "and one verification at most: write one for each"
            )
        kinds[kind] = subject
    if not kinds:
        raise UsageError("a report is about a dataset, a model or a verification; there is none")
    checks, trained, source = (kinds.get(k) for k in ("verification", "model", "dataset"))
    model = None
    if checks is not None and not isinstance(checks, VerifyReport):
        checks = subjects.verification(Path(checks))
    if trained is not None and not isinstance(trained, Trained):
        model, trained = str(trained), load_checkpoint(trained, recipe=recipe, device=device)
    if trained is None and checks is not None:
        trained = next((check.trained for check in checks.checks if check.trained), None)
    if isinstance(source, Dataset):
        source = Source(source)
    elif source is not None:
        try:
            source = subjects.data(Path(source), format, workers=workers, progress=progress)
        except FormatError:
            if checks is None or checks.right:
                raise
            source = None
    return _Subjects(source, trained, model, checks)


def _kind(subject: Subject) -> subjects.Kind:
    if isinstance(subject, Dataset):
        return "dataset"
    if isinstance(subject, Trained):
        return "model"
    return "verification" if isinstance(subject, VerifyReport) else subjects.kind(Path(subject))


def _size(dataset: Dataset, split: str) -> int:
    return len(dataset.splits.get(split, ()))


def _title(data: DataPart | None, model: ModelPart | None, checks: ChecksPart | None) -> str:
    if data is not None:
        return data.title
    if model is not None:
        return f"Recipe {model.title}"
    return f"Verification of {checks.dataset}" if checks is not None else ""


def _document(
    found: _Subjects, data: DataPart | None, model: ModelPart | None, tested: Evaluation | None
) -> dict[str, Any]:
    """What the page says, in short, for a program."""
    document: dict[str, Any] = {}
    if found.source is not None and data is not None:
        dataset = found.source.dataset
        document["dataset"] = {
            "path": found.source.path,
            "format": found.source.format,
            "shape": list(dataset.shape),
            "classes": list(dataset.classes),
            "splits": {name: len(split) for name, split in dataset.splits.items()},
            "contents": {
                name: {
                    "identity": str(content.match or "unknown"),
                    "digest": asdict(content.digest),
                }
                for name, content in data.contents.items()
            },
            "equal": {
                "pictures": data.duplicates.total,
                "within": dict(data.duplicates.within),
                "across": {f"{a}, {b}": n for (a, b), n in data.duplicates.across.items()},
                "conflicting": data.duplicates.conflicting,
            },
        }
    if found.trained is not None and model is not None:
        document["model"] = {
            "path": found.model,
            "recipe": found.trained.recipe.name,
            "seed": found.trained.seed,
            "parameters": model.parameters,
        }
    if tested is not None:
        keys = ("split", "total", "right", "accuracy", "precision", "recall", "confusion")
        whole = tested.to_json()
        document["evaluation"] = {key: whole[key] for key in keys}
    if found.checks is not None:
        document["verification"] = found.checks.to_json()
    return document


# The page


def _render(
    title: str,
    source: Source | None,
    data: DataPart | None,
    model: ModelPart | None,
    checks: ChecksPart | None,
) -> bytes:
    from markupsafe import Markup

    files = resources.files("mnistprep.report") / "templates"
    style = (files / "style.css").read_text(encoding="utf-8")
    if source is not None:
        shown = tile(np.zeros(source.dataset.shape, np.uint8), "")
        style += f":root {{ --tile-width: {shown.width}px; --tile-height: {shown.height}px; }}\n"
    page = (
        _templates()
        .get_template("page.html")
        .render(
            title=title,
            lead=_lead(source, data, model, checks),
            # Exactly this style, and no other that a text in the page could bring along.
            policy=_policy(style),
            style=Markup(style),
            data=data,
            model=model,
            checks=checks,
            version=mnistprep.__version__,
        )
    )
    return page.encode("utf-8")


def _lead(
    source: Source | None,
    data: DataPart | None,
    model: ModelPart | None,
    checks: ChecksPart | None,
) -> str:
    """One sentence on what the page is about."""
    if source is not None and data is not None:
        origin = f", read from {text(source.path, 120)} ({source.format})" if source.path else ""
        return f"{data.summary}{origin}."
    if model is not None:
        return f"A model of {plural(model.parameters, 'parameter')}."
    return f"{plural(len(checks.rows) + checks.more, 'check')}." if checks is not None else ""


def _policy(style: str) -> str:
    own = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{own}'; base-uri 'none'; "
        "form-action 'none'"
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("mnistprep.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["n"] = "{:,}".format
    return templates
