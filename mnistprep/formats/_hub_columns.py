"""Which columns of a table are pictures and labels, and what its metadata say about them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from mnistprep import _extras
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Labels
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_values, _hub_wide, _parquetrows, _sidecar

OWN = "mnistprep"  # key of the metadata that mnistprep writes
AUTO = "auto"
_LABELS = ("label", "labels", "class", "target", "y", "digit", "category", "class_label")
_IMAGES = ("image", "images", "img", "picture", "pixels", "data", "x", "digit")
_SPLITS = ("split", "subset", "partition", "usage", "phase", "set", "is_train", "is_test")
_NAME_LIMIT = 1 << 20  # characters of a class name
_NUMBERS_LIMIT = 10_000  # texts that are numbers up to this are labels, others are names


@dataclass(frozen=True)
class Columns:
    """What one file holds.

    images: the column of pictures, or those of every pixel, row by row; encoded: whether the
    pictures are PNG or the like; label: the column of labels. classes, shape: from the metadata;
    empty: splits without examples that the metadata name; grid: the shape from the names of pixel
    columns; split: a column that may say the split of each row; notes: what is not used.
    """

    images: tuple[str, ...]
    encoded: bool
    label: str
    classes: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    empty: tuple[str, ...] = ()
    grid: tuple[int, ...] | None = None
    split: str | None = None
    notes: tuple[str, ...] = ()


def find(schema: Any, file: Path, image: str = AUTO, label: str = AUTO) -> Columns:
    """The columns of a file; `image` and `label` are their names, or "auto" to find them.

    Raises FormatError when there are none, or several that could be meant.
    """
    if len(set(schema.names)) < len(schema.names):
        raise FormatError(f"{file}: two columns have the same name")
    features, own = _features(schema, file), _own(schema, file)
    labels = label if label != AUTO else _label(schema, features, file)
    images, encoded, grid = _images(schema, file, image, labels)
    for name in (*images, labels):
        if name not in schema.names:
            raise FormatError(f"{file}: no column {name!r}, only {_listed(schema.names)}")
    unused = [name for name in schema.names if name not in (*images, labels)]
    split = next((name for name in unused if _may_split(name, schema.field(name).type)), None)
    unused = [name for name in unused if name != split]
    notes = (f"not read: {_listed(unused)}",) if unused else ()
    classes = _classes(features.get(labels), file)
    if own and classes != tuple(own["classes"]):
        raise FormatError(
            f"{file}: its two lists of class names differ; the file is damaged: get it again"
        )
    shape, empty = (tuple(own["shape"]), tuple(own["empty"])) if own else (None, ())
    return Columns(images, encoded, labels, classes, shape, empty, grid, split, notes)


def _listed(names: Iterable[str]) -> str:
    shown = [printable(name, 30) or "''" for name in names]
    more = f" and {len(shown) - 8:,} more" if len(shown) > 8 else ""
    return ", ".join(shown[:8]) + more


# Metadata


def _metadata(schema: Any, key: str, file: Path) -> Any:
    text = (schema.metadata or {}).get(key.encode())
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(f"{file}: its {key} metadata are no JSON; the file is damaged") from None


def _features(schema: Any, file: Path) -> dict[str, Any]:
    """The features of Hugging Face's metadata: none where there are no metadata."""
    content = _metadata(schema, "huggingface", file)
    for key in ("info", "features"):
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def classes_of(schema: Any, name: str, file: Path) -> tuple[str, ...] | None:
    """What the numbers in a column stand for, where Hugging Face's metadata say it."""
    return _classes(_features(schema, file).get(name), file)


def _classes(feature: Any, file: Path) -> tuple[str, ...] | None:
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names, count = feature.get("names"), feature.get("num_classes")
    if names is None and type(count) is int and 0 <= count <= _NUMBERS_LIMIT:
        return tuple(map(str, range(count)))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"{file}: the names of its ClassLabel are no list of texts")
    return tuple(names)


def is_own(schema: Any) -> bool:
    """Whether a file has the metadata that mnistprep writes."""
    return OWN.encode() in (schema.metadata or {})


def written_split(schema: Any, file: Path) -> str | None:
    """The split that a file of mnistprep's was written as; None for other files."""
    own = _own(schema, file)
    return str(own["split"]) if own else None


def _own(schema: Any, file: Path) -> dict[str, Any] | None:
    content = _metadata(schema, OWN, file)
    if content is None:
        return None
    classes, shape, split, empty = (
        content.get(key) if isinstance(content, dict) else None
        for key in ("classes", "shape", "split", "empty")
    )
    if (
        not isinstance(classes, list)
        or not isinstance(shape, list)
        or len(shape) not in (2, 3)
        or not all(type(size) is int and size > 0 for size in shape)
        or math.prod(shape) >= _sidecar.PICTURE_LIMIT
        or split not in SPLITS
        or not isinstance(empty, list)
        or not all(name in SPLITS for name in empty)
    ):
        raise FormatError(f"{file}: its {OWN} metadata are not as they were written; get it again")
    return {"classes": classes, "shape": shape, "split": split, "empty": empty}


# Which column


def _label(schema: Any, features: Mapping[str, Any], file: Path) -> str:
    by_name = {name.lower(): name for name in reversed(schema.names)}
    types = _extras.load("pyarrow").types
    for name in _LABELS:
        if name in by_name and _may_label(types, schema.field(by_name[name]).type):
            return str(by_name[name])
    found = [
        name
        for name in schema.names
        if isinstance(features.get(name), dict) and features[name].get("_type") == "ClassLabel"
    ] or [name for name in schema.names if "label" in name.lower()]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise FormatError(
            f"{file}: {_listed(found)} could be the label; say which with -R label=NAME"
        )
    raise FormatError(
        f"{file}: no column of labels among {_listed(schema.names)}; pictures without labels are "
        "no split that can be trained on (another name: -R label=NAME)"
    )


def _may_label(types: Any, kind: Any) -> bool:
    return not (_is_binary(types, kind) or types.is_nested(kind))


def _may_split(name: str, kind: Any) -> bool:
    types, kind = _extras.load("pyarrow").types, stored(kind)
    words = _is_text(types, kind) or types.is_integer(kind) or types.is_boolean(kind)
    return name.lower() in _SPLITS and words


def _images(
    schema: Any, file: Path, image: str, label: str
) -> tuple[tuple[str, ...], bool, tuple[int, ...] | None]:
    """The columns of pictures, whether they are encoded, and the grid that their names span."""
    types = _extras.load("pyarrow").types
    others = [name for name in schema.names if name != label]
    kinds = {name: _kind(types, schema.field(name).type) for name in others}
    if image != AUTO:
        if image not in kinds:
            raise FormatError(f"{file}: no column {image!r} beside {label}: {_listed(others)}")
        if kinds[image] not in ("encoded", "pixels"):
            raise FormatError(f"{file}: column {image} is {schema.field(image).type}, no pictures")
        return (image,), kinds[image] == "encoded", None
    found = [name for name in others if kinds[name] in ("encoded", "pixels")]
    if len(found) > 1:
        named = [name for name in _IMAGES if name in found]
        if not named:
            raise FormatError(
                f"{file}: {_listed(found)} could be the pictures; say which with -R image=NAME"
            )
        found = named[:1]
    if found:
        return (found[0],), kinds[found[0]] == "encoded", None
    numbers = {name: schema.field(name).type for name in others if kinds[name] == "number"}
    wide = _hub_wide.find(numbers, file)
    if wide is None:
        raise FormatError(
            f"{file}: no column of pictures, nor one for each pixel, among {_listed(schema.names)}"
        )
    return wide[0], False, wide[1]


def _kind(types: Any, kind: Any) -> str:
    """What a column can be: "encoded" pictures, nested "pixels", a "number" or something else."""
    kind = stored(kind)
    if types.is_struct(kind):
        named = {kind.field(k).name: kind.field(k).type for k in range(kind.num_fields)}
        return "encoded" if "bytes" in named and _is_binary(types, named["bytes"]) else "other"
    if _is_binary(types, kind):
        return "encoded"
    depth = 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return "pixels" if depth else "number"
    return "other"


def stored(kind: Any) -> Any:
    """The type that a column is stored as, under extension types and dictionaries."""
    while True:
        if hasattr(kind, "storage_type"):
            kind = kind.storage_type
        elif _extras.load("pyarrow").types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def _is_text(types: Any, kind: Any) -> bool:
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or (hasattr(types, "is_string_view") and types.is_string_view(kind))
    )


def _is_binary(types: Any, kind: Any) -> bool:
    kind = stored(kind)
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or (hasattr(types, "is_binary_view") and types.is_binary_view(kind))
    )


# Labels


@dataclass
class Texts:
    """Labels that are texts, numbered in the order they are met; shared by all splits."""

    names: dict[str, int] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)  # of labels that were met: "text", "number"

    def number(self, values: list[str]) -> npt.NDArray[np.int64]:
        """A number for each text."""
        numbers = (self.names.setdefault(value, len(self.names)) for value in values)
        return np.fromiter(numbers, np.int64, len(values))

    def resolve(
        self, labels: dict[str, Labels], classes: tuple[str, ...] | None, where: Path
    ) -> tuple[dict[str, Labels], tuple[str, ...] | None]:
        """The labels that the texts mean, and the class names where the texts are names.

        Texts "0", "1", ... are labels; others are the names of classes, those given in `classes`,
        or else in alphabetical order.
        """
        digits = [re.fullmatch(r"0|[1-9]\d{0,5}", name) for name in self.names]
        numbers = [int(match[0]) for match in digits if match]
        if len(numbers) == len(self.names) and max(numbers) < _NUMBERS_LIMIT and classes is None:
            table, names = np.array(numbers), None
        else:
            names = classes or tuple(sorted(self.names))
            if strange := self.names.keys() - set(names):
                raise FormatError(
                    f"{where}: label {printable(min(strange), 40)!r} is none of the "
                    f"{len(names)} classes"
                )
            place = {name: k for k, name in enumerate(names)}
            table = np.array([place[name] for name in self.names])
        return {split: table[part] for split, part in labels.items()}, names


def labels(
    files: Iterable[tuple[Path, Iterable[Any]]], columns: Mapping[Path, Columns], texts: Texts
) -> Labels:
    """The labels of the files of a split, (N,); raises FormatError with the row that has none.

    Labels that are texts are numbers of `texts` for the time being.
    """
    parts = [np.empty(0, np.int64)]
    for file, batches in files:
        row, packed = 0, file.stat().st_size
        for batch in batches:
            _parquetrows.check_count(row + batch.num_rows, packed, file)
            where = f"{file}, row {{}}: {columns[file].label}"
            parts.append(_labels(batch.column(0), where, row, texts))
            row += batch.num_rows
        if len(texts.kinds) > 1:
            raise FormatError(
                f"{file}: its labels are numbers where those of other files are texts, or the "
                "reverse; they cannot be matched"
            )
    return np.concatenate(parts)


def _labels(column: Any, where: str, row: int, texts: Texts) -> Labels:
    types = _extras.load("pyarrow").types
    if not len(column):
        return np.empty(0, np.int64)
    kind = stored(column.type)
    if types.is_null(kind) or column.null_count:
        k = 0 if types.is_null(kind) else _hub_values.first_null(column)
        _refuse_null(where, row + k)
    if _is_text(types, kind):
        words = _hub_values.objects(column, where.format(row))
        if None in words:  # of a dictionary
            _refuse_null(where, row + words.index(None))
        if len(longest := max(set(words), key=len)) > _NAME_LIMIT:
            raise FormatError(
                f"{where.format(row + words.index(longest))} is a text of {len(longest):,} "
                "characters, no name of a class"
            )
        texts.kinds.add("text")
        return texts.number(words)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise FormatError(f"{where.format(row)} is {kind}, expected whole numbers or names")
    column = _hub_values.plain(column)
    if column.null_count:
        _refuse_null(where, row + _hub_values.first_null(column))
    texts.kinds.add("number")
    values = _hub_values.numbers(column)
    with np.errstate(all="ignore"):
        whole: Labels = values.astype(np.int64)
    wrong = whole != values
    if wrong.any():
        k = int(wrong.argmax())
        raise FormatError(f"{where.format(row + k)} is {values[k]}, no whole number")
    if len(whole) and whole.min() < 0:
        k = int((whole < 0).argmax())
        hint = "not labelled, as Hugging Face has it" if whole[k] == -1 else "damaged"
        raise FormatError(f"{where.format(row + k)} is {whole[k]}: {hint}; leave such rows out")
    return whole


def _refuse_null(where: str, row: int) -> NoReturn:
    raise FormatError(
        f"{where.format(row)} is null: not labelled; leave such rows out, or the whole file"
    )
