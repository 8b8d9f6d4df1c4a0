"""TFRecord shards in the folders of TensorFlow Datasets, a tf.train.Example for each picture.

    <out>/mnist/3.0.1/mnist-train.tfrecord-00000-of-00001         (-test, -validation)
    <out>/mnist/3.0.1/features.json, dataset_info.json, label.labels.txt
    <out>/mnistprep.json      class names and picture shape (other readers ignore it)

An example has `image`, a PNG of 8 bits and one channel (three for colour sets), and `label`, an
int64. Specification: see _example.py and _tfds.py. Read by tfds.load("mnist", data_dir="<out>"),
tfds.builder_from_directory("<out>/mnist/3.0.1") and tf.data.TFRecordDataset. The folder is called
as the dataset. Pictures are grey or RGB. Both checksums of every record are compared on reading.

Reading takes TFDS folders at any level, and files of records, compressed or not, by whatever name:
pictures in `image`, `image/encoded`, `image_raw` and the like, encoded or as bare pixels with
height, width and depth beside them; labels in `label`, `image/class/label` and the like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistprep import _foreign, _png, _workers
from mnistprep._arrays import release
from mnistprep._progress import Progress, quiet
from mnistprep._streams import inflated_head
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Labels
from mnistprep.errors import FormatError
from mnistprep.formats import _example, _recordfiles, _records, _scale, _sidecar, _tfds
from mnistprep.formats._example import Feature
from mnistprep.formats._splits import PUBLISHED, named_split

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_tfrecord"
NEEDS: tuple[str, ...] = (_example.NEEDS,)

_IMAGES = (
    "image", "image/encoded", "image_raw", "image/raw", "image_bytes", "images", "img", "picture",
    "pixels", "x", "jpeg", "png",
)  # fmt: skip
_LABELS = (
    "label", "image/class/label", "labels", "class", "class_id", "target", "digit", "category", "y",
    "cls",
)  # fmt: skip
_SIZES = (
    ("height", "image/height", "image_height", "rows", "h"),
    ("width", "image/width", "image_width", "cols", "columns", "w"),
    ("depth", "channels", "image/depth", "image/channels", "image_channels", "c"),
)
Frames = tuple[NDArray[np.int64], NDArray[np.int64]]
_PROBED = 16  # records, to know the type of bare pixels by
_LOOKED_AT = 4  # files of a folder, to know records by


def sniff(path: Path) -> bool:
    """Whether `path` is a file of records, or a folder with some, bare or as TFDS has them."""
    if not path.is_dir():
        return _example.is_record(inflated_head(path, 12))
    for folder in _tfds.folders(path) or _recordfiles.homes(path):
        files = _recordfiles.files(folder)
        if any(_example.is_record(inflated_head(file, 12)) for file in files[:_LOOKED_AT]):
            return True
        if any(_recordfiles.is_in_place(file) for file in files[:_LOOKED_AT]):
            return True
        if files and (path / _sidecar.NAME).is_file():
            return not any(file.stat().st_size for file in files)  # ours, without examples
    return False


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    image: str = "auto",
    label: str = "auto",
) -> Dataset:
    """Read a file of records or a folder with some; raises FormatError with the record.

    `image` and `label` name the features to take where several would do.
    """
    info, sidecar = _find(path, progress), _sidecar.find(path) if path.is_dir() else None
    records: dict[str, _Split] = {}
    for split, shards in info.splits.items():
        files = _records.Files([file for file, _ in shards])
        task = partial(_frames, files)
        found = list(_workers.run(task, len(shards), size=1, workers=workers))
        for (file, count), (starts, _) in zip(shards, found, strict=True):
            if count is not None and len(starts) != count:
                raise FormatError(
                    f"{file}: {len(starts):,} examples, {_tfds.INFO} says {count:,}; get it again"
                )
        records[split] = _Split(files, found)
    return _dataset(path, info, sidecar, records, (image, label), progress, workers)


def _find(path: Path, progress: Progress) -> _tfds.Info:
    """The shards of each split, and what is said of them."""
    if not path.is_dir():
        return _tfds.Info({named_split(path.name) or "train": [(path, None)]})
    folders = _tfds.folders(path)
    if len(folders) > 1:
        listed = ", ".join(str(folder.relative_to(path)) for folder in folders[:6])
        raise FormatError(f"{path}: holds several datasets: {listed}; give the path of one")
    if not folders:
        return _recordfiles.loose(path)
    info = _tfds.read(folders[0])
    for file, count in (shard for shards in info.splits.values() for shard in shards):
        if count and (wrong := _foreign.what(file)):
            raise FormatError(f"{file}: {wrong}")
    splits: dict[str, list[tuple[Path, int | None]]] = {}
    for name, shards in info.splits.items():
        split = _tfds.SPLITS.get(name, "train" if len(info.splits) == 1 else "")
        if split in splits:
            raise FormatError(
                f"{folders[0]}: two of {', '.join(info.splits)} are {split}; keep one"
            )
        if split:
            splits[split] = shards
        else:
            progress.note(f"{folders[0]}: split {printable(name, 40)} is not read")
    if not splits:
        raise FormatError(f"{folders[0]}: no split called train, validation or test")
    info.splits = {name: splits[name] for name in SPLITS if name in splits}
    return info


def _frames(files: _records.Files, number: int, _: int) -> Frames:
    """Where the records of a shard are."""
    found = _example.frames(files[number], files.paths[number])
    release(files[number])
    return found


class _Split(_records.Records):
    """The records of a split; `fields` are the keys of picture and label."""

    def __init__(self, files: _records.Files, frames: Sequence[Frames]) -> None:
        super().__init__(
            files, [starts for starts, _ in frames], [sizes for _, sizes in frames], self.example
        )
        self.crc = _example.crc_of()
        self.image, self.label = "", ""

    def features(self, shard: int, index: int) -> dict[str, Feature]:
        """The features of a record, whose checksum is compared."""
        try:
            return _example.features(self.checked(shard, index))
        except ValueError:
            raise FormatError(
                f"{self.where(shard, index)}: not a tf.train.Example, whatever else it is"
            ) from None

    def checked(self, shard: int, index: int) -> bytes:
        """The data of a record, whose checksum is compared."""
        start, size = int(self.starts[shard][index]), int(self.sizes[shard][index])
        data = self.files[shard][start : start + size + 4].tobytes()
        if not _example.is_right(data[:-4], data[-4:], self.crc):
            raise FormatError(
                f"{self.where(shard, index)}: the checksum is wrong; the file is damaged: "
                "get it again"
            )
        return data[:-4]

    def example(self, shard: int, index: int) -> tuple[bytes, int]:
        """The picture and the label of a record."""
        if (self.image, self.label, self.raw) == ("image", "label", False):
            found = _example.plain(self.checked(shard, index))
            if found is not None:
                return found
        features = self.features(shard, index)
        try:
            picture, label = _picture(features[self.image]), _label(features[self.label])
        except KeyError:
            lacking = printable(self.label if self.image in features else self.image, 40)
            raise FormatError(f"{self.where(shard, index)}: no feature {lacking!r}") from None
        except ValueError as error:
            what = str(error) or "its features are damaged: get the file again"
            raise FormatError(f"{self.where(shard, index)}: {what}") from None
        if self.raw:
            where = self.where(shard, index)
            if _sizes(features, where) not in (None, self.shape):
                raise FormatError(f"{where}: another size than the first record's")
        return picture, label

    shape: tuple[int, ...] | None = None
    """Of bare pixels."""


def _picture(feature: Feature) -> bytes:
    if feature.kind == _example.FLOATS:
        raise ValueError("its picture is a list of floats, whose bytes are not kept exactly")
    if feature.kind == _example.INTEGERS:
        values = feature.integers()
        if not all(0 <= value < 256 for value in values):
            raise ValueError("its picture is a list of integers beyond 0 to 255")
        return bytes(values)
    found = feature.values()
    if len(found) != 1:
        raise ValueError(f"{len(found)} pictures, expected one")
    return found[0]


def _label(feature: Feature) -> int:
    """The label: an integer, or the place of the one in a list of zeros."""
    values = feature.integers() if feature.kind == _example.INTEGERS else []
    if len(values) == 1 and 0 <= values[0] < 1 << 31:
        return values[0]
    if len(values) > 1 and sorted(values)[-2:] == [0, 1] and sorted(values)[0] == 0:
        return values.index(1)
    shown = f"{values[:5]}" if values else "no integer"
    raise ValueError(f"its label is {shown}, expected one integer of 0 or more")


def _sizes(features: Mapping[str, Feature], where: str) -> tuple[int, ...] | None:
    """Height, width (and channels) as features beside bare pixels say them, if they do."""
    sizes = []
    for names in _SIZES:
        said = [features[name] for name in names if name in features]
        try:
            found = [one.integers() for one in said if one.kind == _example.INTEGERS]
        except ValueError:
            raise FormatError(
                f"{where}: its feature {names[0]!r} is damaged: get the file again"
            ) from None
        sizes.append(found[0][0] if found and len(found[0]) == 1 else 0)
    if not all(0 < size < 1 << 31 for size in sizes[:2]):
        return None
    return tuple(sizes[:2] if sizes[2] in (0, 1) else sizes)


def _dataset(
    path: Path,
    info: _tfds.Info,
    sidecar: _sidecar.Sidecar | None,
    records: Mapping[str, _Split],
    options: tuple[str, str],
    progress: Progress,
    workers: int | None,
) -> Dataset:
    shape = sidecar.shape if sidecar else info.shape
    first = next(
        ((split, shard) for split in records.values() for shard, n in enumerate(split.counts) if n),
        None,
    )
    if first is not None:
        features, where = first[0].features(first[1], 0), first[0].where(first[1], 0)
        images = [options[0]] if options[0] != "auto" else info.image or list(_IMAGES)
        labels = [options[1]] if options[1] != "auto" else info.label or list(_LABELS)
        image = _one(features, images, "image", where)
        label = _one(features, labels, "label", where)
        if ignored := sorted(features.keys() - {image, label} - {n for s in _SIZES for n in s}):
            listed = ", ".join(printable(name, 40) for name in ignored[:6])
            progress.note(f"{path}: features that are not read: {listed}")
        for split in records.values():
            split.image, split.label = image, label
        picture, _ = first[0].example(first[1], 0)
        sizes = _sizes(features, where) or shape
        if sizes is None or len(picture) == 4 * math.prod(sizes):
            _check_width(*first)
        if bare := _bare(picture, sizes, where):
            if sizes is None:
                side = bare[0]
                progress.note(f"{path}: bare pixels without sizes, taken to be {side}x{side}")
            shape = bare
            for split in records.values():
                split.raw, split.shape = True, bare if _sizes(features, where) else None
    found = _records.splits(records, shape, path, progress, workers)
    classes = info.classes if sidecar is None else sidecar.classes
    if classes is None:
        classes = _sidecar.classes(None, found, path)
    return Dataset(path.name, found, classes)


def _one(features: Mapping[str, Feature], names: Sequence[str], what: str, where: str) -> str:
    """The one of the names that is a feature."""
    found = [name for name in names if name in features]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(printable(name, 40) for name in sorted(features)[:10]) or "none"
    several = f"several could be the {what}" if found else f"none is known to be the {what}"
    raise FormatError(f"{where}: of its features, {several} ({listed}); say which: {what}=NAME")


def _check_width(records: _Split, shard: int) -> None:
    """Raise FormatError for pixels of several bytes, whose number may be a square too."""
    count = min(_PROBED, records.counts[shard])
    pixels = b"".join(records.example(shard, index)[0] for index in range(count))
    if kind := _scale.wide(pixels):
        raise FormatError(
            f"{records.where(shard, 0)}: its pixels are {kind} numbers of four bytes each; store "
            "them as bytes (uint8), or as PNG"
        )


def _bare(picture: bytes, sizes: tuple[int, ...] | None, where: str) -> tuple[int, ...] | None:
    """The shape of pictures that are pixels and nothing else; None for encoded ones."""
    try:
        _png.examine(picture, where)
        return None
    except FormatError:
        side = math.isqrt(len(picture))
        if sizes is None and side and side * side == len(picture):
            return side, side
        if sizes is not None and math.prod(sizes) == len(picture):
            return sizes
        raise


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    shard: int = 60_000,
) -> None:
    """Write the folders, with shards of at most `shard` examples (0: all).

    Raises UnsupportedError for channels that PNG does not have.
    """
    _png.check(dataset.shape)
    pack, name = partial(_pack, _example.crc_of()), _records.set_name(dataset)
    counts = {
        part: _records.shard_sizes(len(split), shard) for part, split in dataset.splits.items()
    }
    folder = path / name / _tfds.VERSION
    folder.mkdir(parents=True)
    _sidecar.write(dataset, path)
    shards: dict[str, list[tuple[int, int]]] = {}
    for part, split in dataset.splits.items():
        called = PUBLISHED[part]
        progress.start(f"write {part}", len(split), "examples")
        shards[called] = []
        pieces = _records.encoded(split, counts[part], pack, workers)
        for number, (count, found) in enumerate(zip(counts[part], pieces, strict=True)):
            file = folder / f"{name}-{called}.tfrecord-{number:05}-of-{len(counts[part]):05}"
            with file.open("xb") as stream:
                for done, data in found:
                    stream.write(data)
                    progress.advance(done)
                shards[called].append((count, stream.tell() - _example.FRAME * count))
    _tfds.write(dataset, folder, name, shards)
    if not _tfds.holds_names(dataset):
        progress.note(
            "TFDS has no place for class names of no or several lines, or with blanks at an end"
        )


def _pack(crc: Any, _: int, pictures: Iterator[bytes], labels: Labels) -> bytes:
    """The records of consecutive examples."""
    return b"".join(
        _example.record(_example.example(picture, label), crc)
        for picture, label in zip(pictures, labels.tolist(), strict=True)
    )


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The shards of examples and their records there."""
    shards = _find(path, quiet).splits[split]
    files = _records.Files([file for file, _ in shards])
    found = [
        f"{file}, record {record:,}"
        for number, file in enumerate(files.paths)
        for record in range(len(_frames(files, number, 0)[0]))
    ]
    return [found[index] for index in indices]
