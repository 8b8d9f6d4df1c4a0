"""safetensors file of uint8 pictures and int64 labels, memory-mapped on reading.

    8 bytes        length of the header, uint64 little-endian
    header         JSON, padded with spaces to 8 bytes: {"train_images": {"dtype": "U8",
                   "shape": [N, H, W], "data_offsets": [from, to]}, "train_labels": ..., ...}
    data           the tensors, labels first (they need the larger alignment), then pictures
    __metadata__   {"classes": JSON list of names}; only when they are not "0", "1", ...

Specification: the format page of huggingface/safetensors. Read by safetensors.torch, .numpy, ... as
a dict of tensors {train,valid,test}_{images,labels}. Holds everything a dataset has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnistprep._arrays import map_bytes
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep._text import printable
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError
from mnistprep.formats import _named
from mnistprep.formats._scale import to_unit
from mnistprep.formats._shapes import check_shape

SUFFIXES: tuple[str, ...] = (".safetensors",)
DEFAULT_OUTPUT = "{name}.safetensors"
NEEDS: tuple[str, ...] = ()
_DTYPES = {
    "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_HEADER_LIMIT = 100_000_000  # bytes; the specification's own


def sniff(path: Path) -> bool:
    """Whether `path` starts with a header length and a JSON object."""
    start = head(path, 9)
    return len(start) == 9 and start[8:] == b"{" and 2 <= _length(start) <= _HEADER_LIMIT


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Map the file; pictures are not read before they are used. Raises FormatError."""
    data = map_bytes(path)
    header, start = _header(path, data)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise FormatError(f"{path}: __metadata__ is not a table of strings")
    arrays: dict[str, _named.Array] = {}
    spans = []
    for name, entry in header.items():
        try:
            dtype = np.dtype(_DTYPES[entry["dtype"]])
            shape = check_shape(entry["shape"], name)
            first, last = check_shape(entry["data_offsets"], name)
            size = math.prod(shape) * dtype.itemsize
        except (FormatError, KeyError, TypeError, ValueError):
            raise FormatError(
                f"{path}: tensor {name!r} has no plain type, shape and place"
            ) from None
        if last - first != size or start + last > len(data):
            raise FormatError(
                f"{path}: tensor {name!r} of shape {shape} needs {size:,} bytes at {first:,}, "
                f"the file has {max(0, min(last, len(data) - start) - first):,}; it is truncated"
            )
        spans.append((first, last))
        try:
            arrays[name] = data[start + first : start + last].view(dtype).reshape(shape)
        except ValueError as error:  # sizes beyond an array's, beside a 0
            raise FormatError(f"{path}: tensor {name!r} of shape {shape}: {error}") from None
    _check_cover(path, spans, len(data) - start)
    named = next(filter(_named.is_classes, metadata), "")
    classes = _named.parse_classes(metadata.get(named), str(path))
    return _named.dataset(str(path), path.name, arrays, classes, progress=progress)


def _length(start: bytes) -> int:
    return int.from_bytes(start[:8], "little")


def _header(path: Path, data: np.ndarray[Any, Any]) -> tuple[dict[str, Any], int]:
    length = _length(data[:8].tobytes())
    if len(data) < 8 or length > min(_HEADER_LIMIT, len(data) - 8):
        raise FormatError(f"{path}: the header needs {length:,} bytes, the file has {len(data):,}")
    try:
        text = data[8 : 8 + length].tobytes().decode("utf-8")
        header = json.loads(text, object_pairs_hook=lambda pairs: _table(pairs, path))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise FormatError(f"{path}: the header is not a JSON table; the file is damaged")
    return header, 8 + length


def _table(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    """A table of the header, in which no name may be twice: readers differ on which counts."""
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise FormatError(f"{path}: {printable(name, 80)!r} is in the header twice; damaged")
        table[name] = value
    return table


def _check_cover(path: Path, spans: list[tuple[int, int]], size: int) -> None:
    at = 0
    for first, last in sorted(spans):
        if first != at:
            raise FormatError(f"{path}: tensors overlap or leave a gap at byte {at:,} of the data")
        at = last
    if at != size:
        raise FormatError(f"{path}: expected {at:,} bytes of tensors, found {size:,}")


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    dtype: Literal["uint8", "float32"] = "uint8",
) -> None:
    """Write the file; pixels as bytes, or (dtype=float32) as byte / 255."""
    _named.check(dataset)
    pixel, width = ("U8", 1) if dtype == "uint8" else ("F32", 4)
    header: dict[str, Any] = {}
    if names := _named.named_classes(dataset):
        header["__metadata__"] = {_named.CLASSES: names}
    at = 0
    for kind, stored in (("labels", "I64"), ("images", pixel)):
        for name, split in dataset.splits.items():
            array = split.labels if kind == "labels" else split.images
            size = array.nbytes * (width if kind == "images" else 1)
            header[f"{name}_{kind}"] = {
                "dtype": stored, "shape": list(array.shape), "data_offsets": [at, at + size]
            }  # fmt: skip
            at += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    progress.start("write tensors", len(dataset), "examples")
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for split in dataset.splits.values():
            file.write(split.labels.astype("<i8").tobytes())
        for split in dataset.splits.values():
            for images, _ in split.chunks():
                pixels = images if width == 1 else to_unit(images).astype("<f4")
                file.write(pixels.reshape(-1).data)
                progress.advance(len(images))


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The tensors of examples and their rows there."""
    return [f"{path}, {split}_images[{index}], {split}_labels[{index}]" for index in indices]
