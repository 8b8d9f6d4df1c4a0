"""What an export was made from, as a document that lies with it and that its readers ignore."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mnistprep import _croissant, catalog, formats
from mnistprep.dataset import Dataset, Digest, idx_hashes
from mnistprep.formats import _sidecar
from mnistprep.selection import Selection


@dataclass(frozen=True)
class Origin:
    """Where the examples of an export came from.

    dataset: before the selection. format, reading: what it was read from, and with which options;
    None for what was downloaded, drawn or made by a caller.
    """

    dataset: Dataset
    format: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    selection: Selection | None = None


def document(
    dataset: Dataset, format: str, options: Mapping[str, Any], origin: Origin
) -> dict[str, Any]:
    """The document of an export of `dataset`, as plain dicts, lists, strings and numbers.

    It has no times, paths or host names: the same input gives the same document.
    """
    from mnistprep import __version__

    sums, row = _identified(origin.dataset)
    chosen = {} if origin.selection is None else _given(origin.selection)
    defaults = {key: option.default for key, option in formats.options(format).items()}
    source: dict[str, Any] = {"name": origin.dataset.name}
    if origin.format:
        source |= {"format": origin.format, "options": dict(origin.reading)}
    if row is not None:
        source |= {"title": row.title, "homepage": row.homepage}
    found: dict[str, Any] = {
        "mnistprep": __version__,
        "format": format,
        "options": {**defaults, **options},
        "splits": {name: len(split) for name, split in dataset.splits.items()},
        "digests": sums if origin.dataset is dataset or not chosen else _sums(dataset),
        "source": {**source, "digests": sums},
    }
    if chosen:
        found["selection"] = chosen
    if row is not None and row.licence:
        found |= {"licence": row.licence, "licence_note": row.licence_note}
    if row is not None and row.citation:
        found["citation"] = row.citation
    return found


def papers(
    dataset: Dataset, staged: Path, content: Mapping[str, Any], *, croissant: bool
) -> dict[str, str]:
    """Put the document into the folder `staged`, with Croissant metadata where they are wanted.

    For a target that is one file: the names and texts of what is to lie beside it.
    """
    if staged.is_dir():
        path = staged / _sidecar.NAME
        known = json.loads(path.read_text(encoding="utf-8"))
        write_text(path, _as_text({**known, **content}))
        if croissant:
            found = (path for path in sorted(staged.rglob("*")) if path.is_file())
            files = {path.relative_to(staged).as_posix(): path for path in found}
            text = _croissant.as_text(dataset, staged.name, files, content)
            write_text(staged / _sidecar.CROISSANT, text)
        return {}
    texts = {f"{staged.name}.{_sidecar.NAME}": _as_text(content)}
    if croissant:
        described = _croissant.as_text(dataset, staged.name, {staged.name: staged}, content)
        texts[f"{staged.name}.{_sidecar.CROISSANT}"] = described
    return texts


def remove_stale(target: Path, papers: Collection[str]) -> None:
    """Remove what lies beside `target` and is of the export that it replaced: all but `papers`."""
    for kind in sorted(_sidecar.OWN):
        beside = target.with_name(f"{target.name}.{kind}")
        if beside.name not in papers and is_stale(beside):
            beside.unlink(missing_ok=True)


def is_stale(path: Path) -> bool:
    """Whether a file is what lay beside an export; asked when that is gone, or replaced."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and (
        {"mnistprep", "source"} <= content.keys()
        or content.get("conformsTo") == _croissant.CONFORMS
    )


def _as_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write JSON; the bytes of a file name that are no UTF-8 become escapes."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _given(selection: Selection) -> dict[str, Any]:
    return {key: value for key, value in asdict(selection).items() if value not in (None, ())}


def _sums(dataset: Dataset) -> dict[str, dict[str, str]]:
    found = {}
    for name in ("train", "test"):
        if parts := dataset.parts(name):
            images, labels = idx_hashes(parts, len(dataset.classes), "sha256")
            found[name] = {"images": images, "labels": labels}
    return found


def _identified(dataset: Dataset) -> tuple[dict[str, dict[str, str]], catalog.Published | None]:
    """The digests of a dataset, and the row that one of its splits is of.

    Most of what people have is in its published order; the digest without order, which takes
    longer, is computed for the rest.
    """
    from mnistprep.inspection import match, may_match

    sums = _sums(dataset)
    for name, pair in sums.items():
        if found := match(dataset, name, Digest(**pair, unordered="")):
            return sums, found.dataset
    if any(may_match(dataset, name) for name in sums):
        for name, digest in dataset.digests().items():
            if found := match(dataset, name, digest):
                return sums, found.dataset
    return sums, None
