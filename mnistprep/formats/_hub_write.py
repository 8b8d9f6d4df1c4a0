"""Writing rows of pictures and labels as Hugging Face stores them, to parquet and arrow.

    image    struct<bytes: binary, path: string>   a PNG; path is null
    label    int64
    metadata of the schema
        huggingface   {"info": {"features": {"image": {"_type": "Image"},
                      "label": {"names": [...], "_type": "ClassLabel"}}}}
        mnistprep     {"classes": [...], "shape": [...], "split": ..., "empty": [...]}

Specification: datasets/features of huggingface/datasets. The order and the types of the fields must
be these: with any other, load_dataset gives plain tables or bytes, and says nothing. `shape` tells
colour pictures that happen to be grey, `split` what a file is whose name does not say, and `empty`
are splits without examples, which have no file.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from mnistprep import _extras, _png
from mnistprep._progress import Progress
from mnistprep.dataset import Dataset, Labels, Split
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.formats import _hub_columns, _records
from mnistprep.formats._splits import named_split


def check(dataset: Dataset, shard: int) -> None:
    """Raise for what cannot be written: channels that PNG does not have, a shard of no size."""
    _records.shard_sizes(len(dataset), shard)
    _png.check(dataset.shape)


def check_single(dataset: Dataset, shard: int, path: Path, progress: Progress) -> None:
    """Raise for what a single file cannot hold: splits, shards."""
    suffix = path.suffix
    if len(dataset.splits) > 1:
        listed = " and ".join(dataset.splits)
        raise UnsupportedError(
            f"one {suffix} file holds one split, not {listed}: choose one, or a folder"
        )
    if shard:
        raise UsageError(f"shard={shard}: one {suffix} file has no shards: give a folder")
    name = named_split(path.name)
    if name and name not in dataset.splits:
        progress.note(f"{path.name} will be read as {name}, by its name")


def features(dataset: Dataset) -> dict[str, Any]:
    """The features of a dataset as Hugging Face writes them in JSON."""
    label = {"names": list(dataset.classes), "_type": "ClassLabel"}
    return {"image": {"_type": "Image"}, "label": label}


def schema(dataset: Dataset, split: str, empty: Sequence[str] = ()) -> Any:
    """The Arrow schema of a split; `empty` are splits that have no file."""
    arrow = _extras.load("pyarrow")
    own = {
        "classes": list(dataset.classes), "shape": list(dataset.shape),
        "split": split, "empty": list(empty),
    }  # fmt: skip
    metadata = {"huggingface": {"info": {"features": features(dataset)}}, _hub_columns.OWN: own}
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    return arrow.schema(
        [("image", image), ("label", arrow.int64())],
        {key: json.dumps(value) for key, value in metadata.items()},
    )


def write(
    split: Split,
    form: Any,
    files: list[Path],
    shard: int,
    opened: Callable[[BinaryIO], Any],
    *,
    progress: Progress,
    workers: int | None,
) -> None:
    """Write a split in the schema `form` into `files`, `shard` examples each (0: all in one).

    `opened` gives a writer of record batches for a file, which is a context.
    """
    sizes = _records.shard_sizes(len(split), shard)
    for file, pieces in zip(files, _records.encoded(split, sizes, _pack, workers), strict=True):
        with file.open("wb") as sink, opened(sink) as writer:  # its name may be no UTF-8
            for count, buffers in pieces:
                writer.write_batch(_batch(form, count, *buffers))
                progress.advance(count)


def shards(split: Split, shard: int) -> int:
    """The number of files that a split needs."""
    return len(_records.shard_sizes(len(split), shard))


def _pack(_: int, pictures: Iterator[bytes], labels: Labels) -> tuple[bytes, bytes, bytes]:
    """What Arrow has of a row group: the ends of its pictures, the pictures, the labels."""
    found = list(pictures)
    ends = array("i", accumulate(map(len, found), initial=0))
    return ends.tobytes(), b"".join(found), labels.astype("<i8").tobytes()


def _batch(form: Any, count: int, ends: bytes, pictures: bytes, labels: bytes) -> Any:
    # From buffers, as arrow.array imports pandas, which takes longer than writing the digits does.
    arrow = _extras.load("pyarrow")
    made, buffer = arrow.Array.from_buffers, arrow.py_buffer
    data = made(arrow.binary(), count, [None, buffer(ends), buffer(pictures)])
    image = arrow.StructArray.from_arrays(
        [data, arrow.nulls(count, arrow.string())], fields=list(form.field("image").type)
    )
    return arrow.record_batch(
        [image, made(arrow.int64(), count, [None, buffer(labels)])], schema=form
    )
