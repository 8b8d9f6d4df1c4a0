"""Encoded pictures one after the other: parquet, arrow, webdataset and tfrecord."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.cases import Contender, Figure, Splits
from benchmarks.given import Given
from benchmarks.ours import as_read, pair, read_back
from benchmarks.pictures import decoded, encoded, stacked

_SHARD = 10_000  # examples of a tar, as mnistprep has it


def _examples(given: Given) -> Iterator[tuple[str, Any]]:
    """Each split by name, and its pairs of picture and label."""
    for name, split in given.dataset().splits.items():
        yield name, list(zip(split.images, split.labels.tolist(), strict=True))


def _pyarrow_parquet(given: Given) -> Callable[[], None]:
    """A list of rows with the bytes of a PNG, as one comes by it from pictures."""
    import pyarrow
    from PIL import Image  # noqa: F401  (imported before the clock starts)
    from pyarrow import parquet

    splits = dict(_examples(given))
    folder = given.target("parquet") / "data"
    folder.mkdir(parents=True)

    def run() -> None:
        for name, pairs in splits.items():
            rows = [
                {"image": {"bytes": encoded(pixels), "path": None}, "label": label}
                for pixels, label in pairs
            ]
            table = pyarrow.Table.from_pylist(rows)
            parquet.write_table(table, folder / f"{name}-00000-of-00001.parquet")

    return run


def _hugging_face(given: Given, save: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """A Dataset of pictures of Pillow, built from a generator, then saved."""
    import datasets
    from PIL import Image

    splits = dict(_examples(given))
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=[str(k) for k in range(10)])
    )

    def run() -> None:
        save(
            {
                name: datasets.Dataset.from_dict(
                    {
                        "image": [Image.fromarray(pixels) for pixels, _ in pairs],
                        "label": [label for _, label in pairs],
                    },
                    features=features,
                    split=name,
                )
                for name, pairs in splits.items()
            }
        )

    return run


def _hugging_face_parquet(given: Given) -> Callable[[], None]:
    folder = given.target("parquet") / "data"
    folder.mkdir(parents=True)

    def save(found: dict[str, Any]) -> None:
        for name, dataset in found.items():
            dataset.to_parquet(folder / f"{name}-00000-of-00001.parquet")

    return _hugging_face(given, save)


def _hugging_face_arrow(given: Given) -> Callable[[], None]:
    from datasets import DatasetDict

    return _hugging_face(
        given, lambda found: DatasetDict(found).save_to_disk(given.target("arrow"))
    )


def _shard_writer(given: Given) -> Callable[[], None]:
    import webdataset
    from PIL import Image

    splits = dict(_examples(given))
    folder = given.target("webdataset")
    folder.mkdir()

    def run() -> None:
        for name, pairs in splits.items():
            pattern = str(folder / f"mnist-{name}-%06d.tar")
            with webdataset.ShardWriter(pattern, maxcount=_SHARD, verbose=0) as shards:
                for number, (pixels, label) in enumerate(pairs):
                    key = f"{number:06}"
                    shards.write({"__key__": key, "png": Image.fromarray(pixels), "cls": label})

    return run


def _tfrecord_file(given: Given, name: str) -> Path:
    folder = given.target("tfrecord") / "mnist" / "3.0.1"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"mnist-{name}.tfrecord-00000-of-00001"


def _tfrecord_writer(given: Given) -> Callable[[], None]:
    from PIL import Image  # noqa: F401  (imported before the clock starts)
    from tfrecord import TFRecordWriter

    splits = dict(_examples(given))

    def run() -> None:
        for name, pairs in splits.items():
            writer = TFRecordWriter(str(_tfrecord_file(given, name)))
            for pixels, label in pairs:
                writer.write({"image": (encoded(pixels), "byte"), "label": (label, "int")})
            writer.close()

    return run


def _tensorflow_writer(given: Given) -> Callable[[], None]:
    import tensorflow as tf
    from PIL import Image  # noqa: F401  (imported before the clock starts)

    splits = dict(_examples(given))

    def run() -> None:
        for name, pairs in splits.items():
            with tf.io.TFRecordWriter(str(_tfrecord_file(given, name))) as writer:
                for pixels, label in pairs:
                    data = tf.train.BytesList(value=[encoded(pixels)])
                    number = tf.train.Int64List(value=[label])
                    feature = {
                        "image": tf.train.Feature(bytes_list=data),
                        "label": tf.train.Feature(int64_list=number),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=feature))
                    writer.write(example.SerializeToString())

    return run


def _pyarrow_reads(given: Given) -> Callable[[], Splits]:
    from PIL import Image  # noqa: F401  (imported before the clock starts)
    from pyarrow import parquet

    def rows(file: Path) -> Iterator[tuple[Any, int]]:
        for row in parquet.read_table(file).to_pylist():
            yield decoded(row["image"]["bytes"]), row["label"]

    return lambda: {
        path.name.partition("-")[0]: stacked(rows(path))
        for path in given.files("parquet")
        if path.suffix == ".parquet"
    }


def _rows(found: Any) -> Splits:
    import numpy as np

    return {
        name: stacked((np.asarray(row["image"]), row["label"]) for row in split)
        for name, split in found.items()
    }


def _hugging_face_reads(given: Given) -> Callable[[], Splits]:
    from datasets import load_dataset

    return lambda: _rows(
        load_dataset(str(given.made("parquet")), cache_dir=str(given.out / "cache"))
    )


def _load_from_disk(given: Given) -> Callable[[], Splits]:
    from datasets import load_from_disk

    return lambda: _rows(load_from_disk(given.made("arrow")))


def _web_dataset(given: Given) -> Callable[[], Splits]:
    import numpy as np
    import webdataset

    shards: dict[str, list[str]] = {"train": [], "test": []}
    for path in given.files("webdataset"):
        if path.suffix == ".tar":
            shards[path.name.split("-")[1]].append(str(path))

    def samples(paths: list[str]) -> Iterator[tuple[Any, int]]:
        dataset = webdataset.WebDataset(paths, shardshuffle=False).decode("pil")
        for picture, label in dataset.to_tuple("png", "cls"):
            yield np.asarray(picture.convert("L")), label  # its decoder makes RGB of grey

    return lambda: {name: stacked(samples(paths)) for name, paths in shards.items()}


def _tfrecord_loader(given: Given) -> Callable[[], Splits]:
    from tfrecord.reader import tfrecord_loader

    files = {
        path.name.split("-")[1].partition(".")[0]: path
        for path in given.files("tfrecord")
        if "tfrecord-" in path.name
    }

    def records(path: Path) -> Iterator[tuple[Any, int]]:
        for row in tfrecord_loader(str(path), None, {"image": "byte", "label": "int"}):
            yield decoded(row["image"]), int(row["label"][0])

    return lambda: {name: stacked(records(path)) for name, path in files.items()}


def _peer(
    name: str, setup: Callable[[Given], Callable[[], Any]], written: str = "", *needs: str
) -> Contender:
    """A peer that writes a format, or (without one) reads what is given."""
    return Contender(name, setup, read_back(written) if written else as_read, needs=needs, rounds=2)


def _least(name: str) -> tuple[tuple[Figure, ...], tuple[Figure, ...]]:
    """What writing has to reach against the obvious loop with the format's own library."""
    return (Figure(name, least=3),), ()


CASES = (
    *pair(
        "parquet",
        (
            _peer("Pillow and pyarrow", _pyarrow_parquet, "parquet", "pyarrow"),
            _peer("Hugging Face to_parquet", _hugging_face_parquet, "parquet", "datasets"),
        ),
        (
            _peer("pyarrow and Pillow", _pyarrow_reads, "", "pyarrow"),
            _peer("Hugging Face load_dataset", _hugging_face_reads, "", "datasets"),
        ),
        figures=_least("Pillow and pyarrow"),
    ),
    *pair(
        "arrow",
        (_peer("Hugging Face save_to_disk", _hugging_face_arrow, "arrow", "datasets"),),
        (_peer("Hugging Face load_from_disk", _load_from_disk, "", "datasets"),),
    ),
    *pair(
        "webdataset",
        (_peer("webdataset.ShardWriter", _shard_writer, "webdataset", "webdataset"),),
        (_peer("webdataset.WebDataset", _web_dataset, "", "webdataset"),),
        figures=_least("webdataset.ShardWriter"),
    ),
    *pair(
        "tfrecord",
        (
            _peer("Pillow and tfrecord", _tfrecord_writer, "tfrecord", "tfrecord"),
            _peer("Pillow and TensorFlow", _tensorflow_writer, "tfrecord", "tensorflow"),
        ),
        (_peer("tfrecord and Pillow", _tfrecord_loader, "", "tfrecord"),),
        figures=_least("Pillow and tfrecord"),
    ),
)
