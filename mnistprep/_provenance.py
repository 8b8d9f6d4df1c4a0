"""What an export was made from, as a document that lies with it and that its readers ignore."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mnistprep import _croissant, catalog, formats
from mnistprep._files import refuse_existing
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Digest, idx_hashes
from mnistprep.errors import FormatError, TargetError
from mnistprep.formats import _sidecar
from mnistprep.selection import Selection

_NAMELESS = ("pkl",)  # forms without a place for the names of classes
_SUM = "sum"


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
    named = {} if format in _NAMELESS else {"classes": list(dataset.classes)}
    found: dict[str, Any] = {
        **named,
        "shape": list(dataset.shape),
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
        write_text(path, _as_text(_summed({**known, **content})))
        if croissant:
            found = (path for path in sorted(staged.rglob("*")) if path.is_file())
            files = {path.relative_to(staged).as_posix(): path for path in found}
            text = _croissant.as_text(dataset, staged.name, files, content)
            write_text(staged / _sidecar.CROISSANT, text)
        return {}
    texts = {f"{staged.name}.{_sidecar.NAME}": _as_text(_summed(content))}
    if croissant:
        described = _croissant.as_text(dataset, staged.name, {staged.name: staged}, content)
        texts[f"{staged.name}.{_sidecar.CROISSANT}"] = described
    return texts


def stale(target: Path) -> list[Path]:
    """What lies beside `target` and goes with it when it is replaced."""
    beside = [target.with_name(f"{target.name}.{kind}") for kind in sorted(_sidecar.OWN)]
    return [path for path in beside if is_stale(path)]


def is_stale(path: Path) -> bool:
    """Whether a file is what lay beside an export; asked when that is gone, or replaced."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would block
            return False
        content = _sidecar.table(path)
    except (OSError, FormatError):
        return False
    ours = {"mnistprep", "source"} <= content.keys()
    return ours or content.get("conformsTo") == _croissant.CONFORMS


def refuse_unknown(path: Path, *, overwrite: bool) -> None:
    """Raise TargetError for what lies where a document is to be, and must stay.

    With `overwrite` too, when it is a folder: no document ever was one.
    """
    if path.is_dir() and not path.is_symlink():
        raise TargetError(
            f"{path} is a folder, where a file is to say what the export was made from; move it "
            "away"
        )
    refuse_existing(path, overwrite=overwrite or is_stale(path))


def sizes(at: Path, read: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The sizes of the splits as they were written at a place, and as they were read.

    With `valid` as a part of train, which many forms make of it. Both are empty where no document
    is there that says so.
    """
    path = _beside(at)
    try:
        stated = _sidecar.table(path).get("splits") if path.is_file() else None
    except (OSError, FormatError):  # which `disagreements` tells of
        stated = None
    if not isinstance(stated, dict) or not set(SPLITS).issuperset(stated):
        return {}, {}
    if not all(type(n) is int and 0 <= n < 1 << 63 for n in stated.values()):
        return {}, {}
    return _joined(stated), _joined(read)


def disagreements(
    at: Path, shown: Path, found: Dataset | None, digests: Mapping[str, Digest]
) -> list[str]:
    """What the document that lies with an export says otherwise than what was read from it.

    at: where the export lies, shown: what messages call that. found: what was read, None where it
    was read in another way than it was written. digests: those of its splits, in the order that
    they were written in. Nothing where no document lies there.
    """
    path = _beside(at)
    if not path.is_file():
        return []
    name = printable(str(path).replace(str(at), str(shown)))
    try:
        content = _sidecar.table(path)
    except FormatError as error:
        return [str(error).replace(str(path), name)]
    wrong = _not_as_read(content, found, digests) if found is not None else []
    if _SUM in content and content != _summed(content):
        wrong.append("changed since it was written; without its `sum` it passes as it is")
    return [f"{name}: {words}" for words in wrong]


def _beside(at: Path) -> Path:
    """Where the document of what lies at a place is."""
    return at / _sidecar.NAME if at.is_dir() else at.with_name(f"{at.name}.{_sidecar.NAME}")


def _not_as_read(
    content: Mapping[str, Any], found: Dataset, digests: Mapping[str, Digest]
) -> list[str]:
    wrong = []
    if content.get("classes", list(found.classes)) != list(found.classes):
        wrong.append(f"says other classes than {printable(', '.join(found.classes), 200)}")
    stated, read = content.get("splits"), {k: len(split) for k, split in found.splits.items()}
    if isinstance(stated, dict) and not _divided_alike(stated, read):
        wrong.append(f"says splits of {_listed(stated)}; found {_listed(read)}")
    sums = content.get("digests", {})
    for split, digest in digests.items():
        pair = {"images": digest.images, "labels": digest.labels}
        if isinstance(sums, dict) and sums.get(split, pair) != pair:
            wrong.append(f"says other digests of {split} than those found")
    return wrong


def _divided_alike(stated: Mapping[str, Any], read: Mapping[str, int]) -> bool:
    """Whether examples were divided as stated, as far as the form has a place for `valid`.

    One that has none gives them as the end of train, and one that always has it (pkl) makes it.
    """
    if ("valid" in stated) == ("valid" in read) or not all(type(n) is int for n in stated.values()):
        return stated == read
    return _joined(stated) == _joined(read)


def _joined(sizes: Mapping[str, int]) -> dict[str, int]:
    trained = [sizes[name] for name in ("train", "valid") if name in sizes]
    rest = {"test": sizes["test"]} if "test" in sizes else {}
    return {"train": sum(trained), **rest} if trained else rest


def _listed(sizes: Mapping[str, Any]) -> str:
    return printable(", ".join(f"{name} {size}" for name, size in sizes.items()), 200)


def _summed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its own SHA-256, of its text as compact ASCII with sorted keys."""
    rest = {key: value for key, value in content.items() if key != _SUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, _SUM: hashlib.sha256(text.encode()).hexdigest()}


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
