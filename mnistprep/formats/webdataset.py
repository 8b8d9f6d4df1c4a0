"""WebDataset tar shards: a PNG and a label file for each example.

    <out>/mnist-train-000000.tar, ...    000000.png, 000000.cls, 000001.png, 000001.cls, ...
    <out>/mnist-test-000000.tar
    <out>/mnistprep.json                 class names and picture shape (other readers ignore it)

A sample is the members next to each other whose names are the same up to the first dot of the last
part: `.png` is 8-bit, one channel (three for colour sets), `.cls` the label in ASCII digits. The
key is the number of the example in its split. Specification: the WebDataset format (github.com/
webdataset/webdataset) over POSIX ustar; see _tar.py. Read by webdataset, Hugging Face `webdataset`,
and any tar. A target that ends in .tar (.tar.gz, .tgz) is one shard; it holds one split, and keeps
split, class names and shape in a pax comment. Pictures are grey or RGB.

Reading takes any picture field and a label in cls, class, label, json, txt, id or index; the last
three not when they are another number for each sample.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnistprep import _foreign, _png, _tar, _workers
from mnistprep._arrays import map_bytes
from mnistprep._progress import Progress, quiet
from mnistprep._streams import inflated_head, is_packed, write_gzip
from mnistprep._text import printable
from mnistprep.dataset import SPLITS, Dataset, Labels
from mnistprep.errors import FormatError, UnsupportedError
from mnistprep.formats import _records, _samples, _sidecar
from mnistprep.formats._splits import named_split

SUFFIXES: tuple[str, ...] = (".tar", ".tar.gz", ".tgz")
DEFAULT_OUTPUT = "{name}_webdataset"
NEEDS: tuple[str, ...] = ()
Compression = Literal["none", "gzip"]
_Samples = tuple[int, list[bytes], list[int]]  # number of the first, pictures, labels

_SHARD = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz)$", re.IGNORECASE)
_LOOKED_AT = 4000  # members, to know samples by
_HEAD = 1 << 20  # bytes of a compressed shard, for the same
_MARK = b'comment={"mnistprep"'
_LEVEL = 1  # of zlib; headers and padding shrink at any, PNGs at none


def sniff(path: Path) -> bool:
    """Whether `path` is a tar of samples with a picture and a label, or a folder with such tars."""
    if not path.is_dir():
        return _is_samples(path)
    own = (path / _sidecar.NAME).is_file()
    files = [file for group in _groups(path).values() for file in group]
    return any(_is_samples(file) or (own and _is_empty(file)) for file in files[:4])


def _is_samples(path: Path) -> bool:
    start = inflated_head(path, 2 * _tar.BLOCK)
    if not _tar.is_start(start):
        return False
    if start[156:157] == b"g" and _MARK in start:
        return True
    data = (
        np.frombuffer(inflated_head(path, _HEAD), np.uint8) if is_packed(path) else map_bytes(path)
    )
    others: dict[str, set[str]] = {}
    found: dict[str, set[bool]] = {}  # of each key: whether its fields are labels, or pictures
    try:
        for name, at, size in islice(_tar.files(data, path, whole=False), _LOOKED_AT):
            key, field = _samples.cut(name)
            fields = found.setdefault(key, set())
            if _samples.kind(field) in _samples.PICTURES:
                fields.add(False)
            elif _samples.is_label(data, (at, size), field):
                fields.add(True)
            kinds = others.setdefault(key, set())
            kinds.add(_samples.kind(field))
            if key and (len(fields) == 2 or (len(kinds) > 1 and _is_sample(kinds))):
                return True
    except FormatError:
        pass  # damaged further on; nothing before that was a sample
    return False


def _is_sample(kinds: set[str]) -> bool:
    """Whether members of one key are of a sample, be it one that is not read."""
    pictured = kinds & _samples.PICTURES and kinds & {*_samples.LABELS, "npy", "pyd", "pickle"}
    return bool(pictured) or (
        "cls" in kinds and bool(kinds & {"npy", "npz", "pyd", "pth", "pickle"})
    )


def _is_empty(path: Path) -> bool:
    start = inflated_head(path, _tar.BLOCK)
    return len(start) == _tar.BLOCK and not any(start)


def _groups(path: Path) -> dict[str, list[Path]]:
    """The shards in a folder, and in its folders that are called as splits, by folder."""
    found = {"": sorted(_tars(path))}
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and not folder.is_symlink() and named_split(folder.name):
            found[folder.name] = sorted(_tars(folder))
    return {name: files for name, files in found.items() if files}


def _tars(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        if _SHARD.search(file.name) and not file.name.startswith(".") and file.is_file():
            yield file


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    image: str = "auto",
    label: str = "auto",
) -> Dataset:
    """Read one shard or a folder of them; raises FormatError with the sample that is wrong.

    `image` and `label` name the fields to take where several would do, such as `input.png`.
    """
    told, groups = _find(path)
    records: dict[str, _records.Records] = {}
    more, strays = set[str](), set[str]()
    fields: tuple[str, str] | None = None
    for split, paths in groups.items():
        files = _records.Files(paths)
        for file in paths:
            if wrong := _foreign.what(file):
                raise FormatError(f"{file}: {wrong}")
        for number in range(len(paths)) if fields is None else ():
            fields = fields or _samples.choose(files[number], paths[number], image, label)
        task = partial(_samples.index, files, fields or ("", ""))
        shards = list(_workers.run(task, len(paths), size=1, workers=workers))
        if label == "auto" and fields and _samples.numbers_samples(fields[1], shards):
            field = printable(fields[1], 40)
            raise FormatError(
                f"{paths[0]}: .{field} is another number for each sample, which counts them and "
                f"names no class; if it is the label, say label={field}"
            )
        more.update(*(shard.more for shard in shards))
        strays.update(*(shard.strays for shard in shards))
        said = {word for shard in shards for word in shard.splits}
        if len(said) > 1:
            listed = " and ".join(sorted(said))
            raise FormatError(
                f"{paths[0]}: samples in folders of {listed}, which a shard does not keep apart; "
                "pack a tar for each split"
            )
        if not told and not path.is_dir() and said and named_split(path.name) is None:
            split = said.pop()
        records[split] = _Split(files, shards)
    if image == "auto" and any(_samples.kind(field) in _samples.PICTURES for field in more):
        listed = ", ".join(printable(field, 40) for field in sorted(more)[:5])
        raise FormatError(
            f"{path}: some samples hold further pictures ({listed}); say which with image=FIELD"
        )
    for what, names in (("fields of samples", more), ("members of no sample", strays)):
        if names:
            listed = ", ".join(printable(name, 40) for name in sorted(names)[:5])
            progress.note(f"{path}: {what} that are not read: {listed}")
    found = _records.splits(records, told.shape if told else None, path, progress, workers)
    return Dataset(path.name, found, _sidecar.classes(told, found, path))


class _Split(_records.Records):
    """The samples of a split."""

    def __init__(self, files: _records.Files, shards: Sequence[_samples.Shard]) -> None:
        self.shards = shards
        super().__init__(
            files,
            [shard.starts for shard in shards],
            [shard.sizes for shard in shards],
            self.sample,
        )

    def sample(self, shard: int, index: int) -> tuple[bytes, int]:
        return self.bytes_at(shard, index), int(self.shards[shard].labels[index])

    def where(self, shard: int, index: int) -> str:
        file = self.files.paths[shard]
        keys = (key for key, _ in _samples.samples(self.files[shard], file, set()))
        return _samples.place(file, next(islice(keys, index, None)))


def _find(path: Path) -> tuple[_sidecar.Sidecar | None, dict[str, list[Path]]]:
    """What is told of the classes and the shape, and the shards of each split."""
    if not path.is_dir():
        told = _read_comment(path)
        if told is None:
            return None, {named_split(path.name) or "train": [path]}
        return told[1], {told[0]: [path]}
    groups = _groups(path)
    found: dict[str, list[Path]] = {}
    for name, files in groups.items():
        for split, group in _records.by_split(files, path / name).items():
            split = named_split(name) or split
            if split in found:
                raise FormatError(
                    f"{path}: {printable(name)} is {split} for a second time; keep one"
                )
            found[split] = group
    if not found:
        raise FormatError(f"{path}: no tar shards here")
    sidecar = _sidecar.find(path)
    if sidecar is None:
        sidecar, found = _told(path, found)
    return sidecar, {name: found[name] for name in SPLITS if name in found}


def _told(
    path: Path, found: dict[str, list[Path]]
) -> tuple[_sidecar.Sidecar | None, dict[str, list[Path]]]:
    """The same from the comments of shards that mnistprep wrote on their own, if these are such."""
    files = [file for group in found.values() for file in group]
    comments = [comment for file in files if (comment := _read_comment(file))]
    if not comments:
        return None, found
    splits = {split: [file] for (split, _), file in zip(comments, files, strict=False)}
    sidecar = comments[0][1]
    if len(splits) < len(files) or any(comment[1] != sidecar for comment in comments):
        raise FormatError(f"{path}: holds tars of different datasets; give the path of one")
    return sidecar, splits


def _read_comment(path: Path) -> tuple[str, _sidecar.Sidecar] | None:
    """Split, classes and shape from the comment of a shard that mnistprep wrote on its own."""
    if _MARK not in inflated_head(path, 2 * _tar.BLOCK):
        return None
    data = np.frombuffer(inflated_head(path, _tar.HEADER_LIMIT + 2 * _tar.BLOCK), np.uint8)
    text = _tar.found_comment(data, path) or ""
    try:
        told = json.loads(text)["mnistprep"]
        split, classes, shape = told["split"], told["classes"], told["shape"]
        right = (
            split in SPLITS
            and all(isinstance(name, str) for name in classes)
            and all(type(size) is int and size > 0 for size in shape)
            and len(shape) in (2, 3)
            and math.prod(shape) < _sidecar.PICTURE_LIMIT
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        right = False
    if not right:
        raise FormatError(f"{path}: a comment of mnistprep's that is damaged; get the file again")
    return split, _sidecar.Sidecar(tuple(classes), tuple(shape))


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    shard: int = 10_000,
    compression: Compression = "none",
) -> None:
    """Write a folder of shards of at most `shard` examples (0: all), or one tar by its name.

    Raises UnsupportedError for channels that PNG does not have and for several splits in one tar.
    """
    _png.check(dataset.shape)
    if single := path.name.lower().endswith(SUFFIXES):
        start = _comment(dataset)
        packed = compression == "gzip" or not path.name.lower().endswith(".tar")
        names = {split: path for split in dataset.splits}
        shard = min(shard, 0)  # one, whatever is asked for
    else:
        start, packed = b"", compression == "gzip"
        stem = path / _records.set_name(dataset)
    sizes = {
        name: _records.shard_sizes(len(split), shard) for name, split in dataset.splits.items()
    }
    if not single:
        path.mkdir()
        _sidecar.write(dataset, path)
    for name, split in dataset.splits.items():
        progress.start(f"write {name}", len(split), "examples")
        shards = _records.encoded(split, sizes[name], _samples_of, workers)
        for number, pieces in enumerate(shards):
            end = ".tar.gz" if packed else ".tar"
            file = names[name] if single else Path(f"{stem}-{name}-{number:06}{end}")
            content = _archive(start, pieces, progress)
            if packed:
                write_gzip(file, content, level=_LEVEL)
                continue
            with file.open("xb") as stream:
                stream.writelines(content)


def _archive(
    start: bytes, pieces: Iterator[tuple[int, _Samples]], progress: Progress
) -> Iterator[bytes]:
    yield start
    size = len(start)
    for count, samples in pieces:
        data = _members(*samples)
        yield data
        size += len(data)
        progress.advance(count)
    yield _tar.end(size)


def _samples_of(first: int, pictures: Iterator[bytes], labels: Labels) -> _Samples:
    # Members are made of them where they are written: they are six times as many bytes, mostly
    # zeros, and to hand those over takes longer than to make them.
    return first, list(pictures), labels.tolist()


def _members(first: int, pictures: list[bytes], labels: list[int]) -> bytes:
    """The members of consecutive samples, of which the first has that number."""
    members: list[bytes] = []
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True), first):
        for field, content in (("png", picture), ("cls", b"%d" % label)):
            header = _tar.header(f"{number:06}.{field}", len(content))
            members += header, content, _tar.padding(len(content))
    return b"".join(members)


def _comment(dataset: Dataset) -> bytes:
    """What a shard on its own says of the dataset."""
    if len(dataset.splits) > 1:
        listed = " and ".join(dataset.splits)
        raise UnsupportedError(f"one .tar holds one split, not {listed}: choose one, or a folder")
    told: dict[str, Any] = {
        "split": next(iter(dataset.splits)),
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
    }
    comment = _tar.comment(json.dumps({"mnistprep": told}))
    if len(comment) > _tar.HEADER_LIMIT:
        raise UnsupportedError("class names are too many for the head of one .tar: give a folder")
    return comment


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The shards of examples and their keys there."""
    _, groups = _find(path)
    found = [
        _samples.place(file, key)
        for file in groups[split]
        for key, _ in _samples.samples(_records.Files([file])[0], file, set())
    ]
    return [found[index] for index in indices]
