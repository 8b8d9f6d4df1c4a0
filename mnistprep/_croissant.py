"""Croissant metadata of an export: its files with their digests, and how records are had from them.

Specification: Croissant 1.0, http://mlcommons.org/croissant/1.0, a JSON-LD document. Records are
described for what its readers can open: parquet, CSV with a header, and trees of pictures; other
forms are listed as files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mnistprep.dataset import SPLITS, Dataset
from mnistprep.formats._splits import by_split

CONFORMS = "http://mlcommons.org/croissant/1.0"
_BLOCK = 1 << 20
_HEAD = 16 << 20  # bytes of a CSV file's first line, at most

_COLUMN = re.compile(r"label|pixel[0-9]+|[0-9]+x[0-9]+")  # of a CSV file with a header

# The context that the specification prescribes, which readers compare with their own.
_CR = (
    "citeAs column conformsTo:dct data:json dataType:vocab examples:json extract field fileProperty"
    " fileObject fileSet format includes isLiveDataset jsonPath key md5 parentField path recordSet"
    " references regex repeated replace samplingRate separator source subField transform"
    " equivalentProperty"
)
_TYPES = {
    ".arff": "text/plain", ".arrow": "application/vnd.apache.arrow.stream", ".csv": "text/csv",
    ".gz": "application/gzip", ".h5": "application/x-hdf5", ".hdf5": "application/x-hdf5",
    ".json": "application/json", ".mat": "application/x-matlab-data", ".npz": "application/zip",
    ".parquet": "application/x-parquet", ".tar": "application/x-tar", ".txt": "text/plain",
    ".zip": "application/zip",
}  # fmt: skip
_PICTURES = {
    ".png": "image/png", ".bmp": "image/bmp", ".pgm": "image/x-portable-graymap",
    ".ppm": "image/x-portable-pixmap", ".tif": "image/tiff", ".tiff": "image/tiff",
    ".webp": "image/webp",
}  # fmt: skip


def as_text(
    dataset: Dataset, name: str, files: Mapping[str, Path], provenance: Mapping[str, Any]
) -> str:
    """The document, as JSON, of the files of an export of `dataset`.

    files: paths relative to where the document will be, with `/`, and where they are now.
    provenance: the document of _provenance.
    """
    pictures = {key for key, path in files.items() if path.suffix.lower() in _PICTURES}
    plain = {key: path for key, path in files.items() if key not in pictures}
    source = provenance["source"]
    content: dict[str, Any] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", name) or "dataset",
        "description": f"{source.get('title', dataset.name)}, written by mnistprep as "
        f"{provenance['format']}: "
        + ", ".join(f"{split} {count:,}" for split, count in provenance["splits"].items())
        + " examples.",
        "version": "1.0.0",
    }
    for key, value in (
        ("url", source.get("homepage")),
        ("license", provenance.get("licence")),
        ("citeAs", provenance.get("citation")),
    ):
        if value:
            content[key] = value
    sets = [*_picture_sets(sorted(pictures)), *_table_sets(plain)]
    content["distribution"] = [
        *(_file_object(key, path) for key, path in plain.items()),
        *(file_set for file_set, _ in sets),
    ]
    content["recordSet"] = [_classes(dataset), *(record_set for _, record_set in sets)]
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _context() -> dict[str, Any]:
    context: dict[str, Any] = {"@language": "en", "@vocab": "https://schema.org/"}
    context |= {
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "sc": "https://schema.org/",
    }
    for word in _CR.split():
        term, _, kind = word.partition(":")
        where = f"{'dct' if kind == 'dct' else 'cr'}:{term}"
        types = {"json": "@json", "vocab": "@vocab"}
        context[term] = {"@id": where, "@type": types[kind]} if kind in types else where
    return dict(sorted(context.items()))


def _file_object(key: str, path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return {
        "@type": "cr:FileObject",
        "@id": f"file/{key}",
        "name": key,
        "contentUrl": key,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _TYPES.get(path.suffix.lower(), "application/octet-stream"),
        "sha256": digest.hexdigest(),
    }


def _classes(dataset: Dataset) -> dict[str, Any]:
    """A record set with its records inside: the labels and their names."""
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "key": {"@id": "classes/label"},
        "field": [
            _field("classes/label", "sc:Integer", None),
            _field("classes/name", "sc:Text", None),
        ],
        "data": [
            {"classes/label": label, "classes/name": name}
            for label, name in enumerate(dataset.classes)
        ],
    }


def _field(key: str, kind: str, source: dict[str, Any] | None) -> dict[str, Any]:
    field = {"@type": "cr:Field", "@id": key, "name": key.rpartition("/")[2], "dataType": kind}
    return field if source is None else {**field, "source": source}


def _sets(
    split: str, includes: list[str], encoding: str, fields: Iterable[tuple[str, str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The files of a split as a FileSet, and the RecordSet that is had from them."""
    files = {
        "@type": "cr:FileSet",
        "@id": f"files/{split}",
        "name": f"{split} files",
        "encodingFormat": encoding,
        "includes": includes if len(includes) > 1 else includes[0],
    }
    records = {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "field": [
            _field(f"{split}/{name}", kind, {"fileSet": {"@id": f"files/{split}"}, **how})
            for name, kind, how in fields
        ],
    }
    return files, records


def _picture_sets(keys: list[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A tree: the label is the folder of a picture, or a table beside has it by the file's name."""
    tops: set[tuple[str, str, int]] = set()
    for key in keys:
        parts = key.split("/")
        if len(parts) in (2, 3) and parts[0] in SPLITS:
            tops.add((parts[0], Path(key).suffix, len(parts)))
    image = ("image", "sc:ImageObject", {"extract": {"fileProperty": "content"}})
    path = {"extract": {"fileProperty": "fullpath"}}
    for split, suffix, depth in sorted(tops, key=lambda top: SPLITS.index(top[0])):
        if depth == 3:
            pattern, name, part = f"{split}/*/*{suffix}", "folder", "^.*/([^/]*)/[^/]*$"
        else:
            pattern, name, part = f"{split}/*{suffix}", "file_name", "^.*/([^/]*)$"
        text = (name, "sc:Text", {**path, "transform": {"regex": part}})
        yield _sets(split, [pattern], _PICTURES[suffix.lower()], (image, text))


def _table_sets(files: Mapping[str, Path]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for suffix, describe in ((".parquet", _parquet_fields), (".csv", _csv_fields)):
        keys = {path: key for key, path in files.items() if path.suffix.lower() == suffix}
        for split, paths in by_split(keys).items():
            if fields := describe(paths[0]):
                yield _sets(split, [keys[path] for path in paths], _TYPES[suffix], fields)


def _parquet_fields(path: Path) -> list[tuple[str, str, Any]]:
    picture = {"extract": {"column": "image"}, "transform": {"jsonPath": "bytes"}}
    return [
        ("image", "sc:ImageObject", picture),
        ("label", "sc:Integer", {"extract": {"column": "label"}}),
    ]


def _csv_fields(path: Path) -> list[tuple[str, str, Any]]:
    with path.open("rb") as file:
        names = file.readline(_HEAD).decode("utf-8", "replace").strip().split(",")
    if not all(map(_COLUMN.fullmatch, names)):
        return []  # no header, another separator, or no table of pixels
    return [(name, "sc:Integer", {"extract": {"column": name}}) for name in names]
