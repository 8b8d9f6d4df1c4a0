"""The files that TensorFlow Datasets keeps beside its shards, and which shards they name.

    <data_dir>/<name>/[<config>/]<version>/dataset_info.json    name, version, file format, splits
    <data_dir>/<name>/[<config>/]<version>/features.json        what an example is made of
    <data_dir>/<name>/[<config>/]<version>/label.labels.txt     class names, one a line
    <data_dir>/<name>/[<config>/]<version>/<name>-<split>.tfrecord-<k>-of-<n>

Specification: tensorflow_datasets/core/proto/dataset_info.proto and feature.proto, as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mnistprep._text import printable
from mnistprep.dataset import Dataset
from mnistprep.errors import FormatError
from mnistprep.formats import _sidecar
from mnistprep.formats._splits import PUBLISHED

INFO, FEATURES = "dataset_info.json", "features.json"
VERSION = "3.0.1"  # of mnist, fashion_mnist, kmnist and others in TFDS
SPLITS = {name: split for split, name in PUBLISHED.items()} | {"valid": "valid", "val": "valid"}
_LIMIT = 64 << 20  # bytes of a text
_ENTRIES = 200  # of a folder that are looked at for folders
_CLASSES_LIMIT = 1 << 20  # classes that a number alone can mean
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def folders(path: Path) -> list[Path]:
    """The folders with a dataset at `path`: itself, or one, two or three levels below."""
    level: list[Path] = [path]
    for _ in range(4):
        if found := [folder for folder in level if (folder / INFO).is_file()]:
            return found
        level = [inner for folder in level for inner in _inside(folder)][:_ENTRIES]
    return []


def _inside(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        found = [
            entry.name
            for entry in islice(entries, _ENTRIES)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        ]
    return [folder / name for name in sorted(found)]


@dataclass
class Info:
    """What is said of a dataset.

    splits: the shards of each split, under TFDS's own names, each with its number of examples
    (None where nothing says it). image, label: the features with the picture and its class.
    shape: of every picture; classes: names in label order; both None where it is not said.
    """

    splits: dict[str, list[tuple[Path, int | None]]]
    image: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    classes: tuple[str, ...] | None = None


def read(folder: Path) -> Info:
    """What the texts in a dataset's folder say; raises FormatError when they are damaged."""
    path = folder / INFO
    told = _sidecar.table(path)
    try:
        found = list(_splits(folder, told))
        info = Info(dict(found))
        files = [file for shards in info.splits.values() for file, _ in shards]
        if len(info.splits) < len(found) or len(set(files)) < len(files):
            raise ValueError("a split or a shard is there twice")
        if not (folder / FEATURES).is_file():
            return info
        path = folder / FEATURES
        features = _sidecar.table(path)["featuresDict"]["features"]
        info.image = [key for key, value in features.items() if "image" in value]
        info.label = [key for key, value in features.items() if "classLabel" in value]
        if len(info.image) == 1:
            sizes = features[info.image[0]]["image"].get("shape", {}).get("dimensions", [])
            info.shape = _shape([int(size) for size in sizes])
        if len(info.label) == 1:
            count = int(features[info.label[0]]["classLabel"].get("numClasses", 0))
            info.classes = _names(folder / f"{info.label[0]}.labels.txt", count)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise FormatError(f"{path}: not as TensorFlow Datasets writes it; is it damaged?") from None
    return info


def _splits(
    folder: Path, told: Mapping[str, Any]
) -> Iterator[tuple[str, list[tuple[Path, int | None]]]]:
    form = told.get("fileFormat", "tfrecord")
    if form != "tfrecord":
        raise FormatError(
            f"{folder}: its shards are {printable(str(form), 40)}, not tfrecord; have TFDS write "
            'them with file_format="tfrecord"'
        )
    for split in told["splits"]:
        counts = [int(count) for count in split["shardLengths"]]
        if not counts:
            raise ValueError("a split of no shards")
        files: list[tuple[Path, int | None]] = []
        for number, count in enumerate(counts):
            name = split.get("filepathTemplate") or _TEMPLATE
            for key, value in {
                "DATASET": told["name"],
                "SPLIT": split["name"],
                "FILEFORMAT": form,
                "SHARD_X_OF_Y": f"{number:05}-of-{len(counts):05}",
                "SHARD_INDEX": f"{number:05}",
                "NUM_SHARDS": f"{len(counts):05}",
            }.items():
                name = name.replace(f"{{{key}}}", value)
            file = folder / Path(name).name
            if not file.is_file():
                raise FormatError(
                    f"{printable(str(file))}: this shard of {len(counts)} is missing; get it"
                )
            files.append((file, count))
        yield split["name"], files


def _shape(sizes: list[int]) -> tuple[int, ...] | None:
    if len(sizes) != 3 or not all(0 < size < 1 << 31 for size in sizes):
        return None
    return tuple(sizes[:2] if sizes[2] == 1 else sizes)


def _names(path: Path, count: int) -> tuple[str, ...] | None:
    if not path.is_file():
        return tuple(map(str, range(count))) if 0 < count <= _CLASSES_LIMIT else None
    if path.stat().st_size > _LIMIT:
        raise FormatError(f"{path}: larger than any list of class names")
    names = tuple(filter(None, (line.strip() for line in path.read_text("utf-8").split("\n"))))
    if len(names) != count:
        raise FormatError(
            f"{path}: {len(names):,} class names, {FEATURES} says {count:,}; one of them is wrong"
        )
    return names


def write(
    dataset: Dataset, folder: Path, name: str, shards: Mapping[str, list[tuple[int, int]]]
) -> None:
    """Write the texts; `shards` are the examples and bytes of each shard, under TFDS's names."""
    splits = [
        {
            "filepathTemplate": _TEMPLATE,
            "name": split,
            "numBytes": str(sum(size for _, size in sizes)),
            "shardLengths": [str(count) for count, _ in sizes],
        }
        for split, sizes in shards.items()
    ]
    info = {
        "disableShuffling": True,  # TFDS then reads shards one after another, in order
        "fileFormat": "tfrecord",
        "name": name,
        "splits": splits,
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": VERSION,
    }
    module = "tensorflow_datasets.core.features"
    shape = [str(size) for size in (*dataset.shape, 1)[:3]]
    features = {
        "image": {
            "image": {"dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": shape}},
            "pythonClassName": f"{module}.image_feature.Image",
        },
        "label": {
            "classLabel": {"numClasses": str(len(dataset.classes))},
            "pythonClassName": f"{module}.class_label_feature.ClassLabel",
        },
    }
    content = {
        "featuresDict": {"features": features},
        "pythonClassName": f"{module}.features_dict.FeaturesDict",
    }
    for file, value in ((INFO, info), (FEATURES, content)):
        text = json.dumps(value, indent=2, sort_keys=True) + "\n"
        (folder / file).write_text(text, encoding="utf-8", newline="\n")
    if holds_names(dataset):
        text = "".join(f"{name}\n" for name in dataset.classes)
        (folder / "label.labels.txt").write_text(text, encoding="utf-8", newline="\n")


def holds_names(dataset: Dataset) -> bool:
    """Whether class names survive in lines of a text, which TFDS strips and skips when empty."""
    return all(name.splitlines() == [name] == [name.strip()] for name in dataset.classes)
