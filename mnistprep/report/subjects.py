"""What a path is that a report is to be about: a dataset, a model, or a verification."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from mnistprep import convert
from mnistprep._files import document, existing, head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Digest
from mnistprep.errors import FormatError
from mnistprep.report.about_data import Source
from mnistprep.training import checkpoints
from mnistprep.verification import Check, VerifyReport

Kind = Literal["dataset", "model", "verification"]


def kind(path: Path) -> Kind:
    """What the path is, by its content; a dataset is whatever is nothing else.

    Raises MissingPath.
    """
    existing(path)
    try:
        if head(path, 512).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return "verification"
        return "model" if checkpoints.sniff(path) else "dataset"
    except (FormatError, OSError):  # damaged, which reading it says
        return "dataset"


def data(
    path: Path,
    format: str | None = None,
    *,
    workers: int | None = None,
    progress: Progress = quiet,
) -> Source:
    """The dataset at a path; raises what mnistprep.read raises."""
    found = convert.locate(path, format, workers=workers, progress=progress)
    return Source(found.dataset, str(path), found)


def verification(path: Path) -> VerifyReport:
    """The document that `mnistprep verify --json` printed; raises FormatError for any other."""
    data = document(path, "verification")
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: damaged JSON; expected what `verify --json` prints") from None
    if "error" in content:
        raise FormatError(f"{path}: of a command that failed: {str(content['error'])[:200]}")
    try:
        checks = tuple(_check(check) for check in content["checks"])
        if not checks or content["right"] != all(check.right for check in checks):
            raise ValueError
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        raise FormatError(f"{path}: JSON, but not what `mnistprep verify --json` prints") from None
    return VerifyReport(checks)


def _check(content: dict[str, Any]) -> Check:
    accuracy, path, refused = content["accuracy"], content["path"], content["refused"]
    seconds = float(content["seconds"])
    # Not so of NaN either, nor of Infinity, which Python takes in JSON and nobody else does.
    if not 0 <= seconds < math.inf or not (accuracy is None or 0 <= float(accuracy) <= 1):
        raise ValueError
    return Check(
        format=str(content["format"]),
        path=None if path is None else str(path),
        dataset=str(content["dataset"]),
        order=str(content["order"]),
        digests={
            str(name): Digest(**{key: str(value) for key, value in digest.items()})
            for name, digest in content["digests"].items()
        },
        accuracy=None if accuracy is None else float(accuracy),
        seconds=seconds,
        problems=tuple(map(str, content["problems"])),
        refused=None if refused is None else str(refused),
        missing=None if content.get("missing") is None else str(content["missing"]),
    )
