"""Tree of pictures in a folder per class; what torchvision and Hugging Face read.

    <out>/train/<class>/<16 hex>.png    8-bit, one channel (three for colour sets)
    <out>/test/<class>/<16 hex>.png
    <out>/index.txt                     a line per picture, its path, in the order of the set
    <out>/mnistprep.json                class names and picture shape

    layout=metadata: <out>/train/<16 hex>.png and <out>/train/metadata.csv, `file_name,label` in
    the order of the set, in the place of class folders and the index
    <out>.zip, <out>.tar, <out>.tar.gz: the same as the members of an archive

A class folder is the label number, zero-padded beyond ten classes, since readers sort folders as
text; every class has one in every split, since ImageFolder counts folders (one that is empty needs
its allow_empty=True). A name is the first 16 digits of the SHA-256 of height, width (and channels),
each a uint32 big-endian, and the pixels; a picture that is there already gets the SHA-256 of the
same and a counter, so that no two files of a set share a name. Without the index a tree still
reads, ordered by label and name. Trees of other tools are read, also in zip and tar archives
without unpacking them: class folders, files of labels beside pictures, labels in file names, and
with `tile` a sheet of many pictures. Pictures are read if their 8 bits are exact; what is lossy is
said to be; several sizes, colour among grey, transparency and links are refused by name.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mnistprep import _archives, _workers
from mnistprep._arrays import Images, release
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset, Labels, Split, class_counts, picture_hashes
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _classnames, _encode, _sheets, _sidecar, _stores, _target, _tree
from mnistprep.formats._decode import Pictures
from mnistprep.formats._folders import last, stem

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_images"
NEEDS: tuple[str, ...] = ()
_STEP = 1000  # pictures
_NOTED = 5  # changed pictures that a note is given for
_TRIED = 1000  # names of equal pictures that are compared before a picture counts as changed

Codes = npt.NDArray[np.uint64]  # the names of pictures
Layout = Literal["folders", "metadata"]
Folders = Literal["numbers", "names"]


def sniff(path: Path) -> bool:
    """Whether `path` is a folder or an archive with pictures in one of the ways that are read."""
    if not path.is_dir() and not (_archives.is_zip(path) or _archives.is_tar(path)):
        return False
    try:
        return _tree.is_tree(_stores.opened(path, sample=True))
    except FormatError:  # a damaged archive, or one of something else; whoever opens it says so
        return False


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    tile: str = "none",
    channels: int = 0,
    unlabelled: bool = False,
) -> Dataset:
    """Read the tree; raises FormatError with the file that is wrong.

    tile: height and width, such as 28x28, of the pictures in a sheet, which `path` then is;
    channels: 1 for grey or 3 for colour, 0 for what the first picture is; unlabelled: whether
    pictures without a label are read, as a last class of their own. In a tree with sidecar and
    index the names are compared with the pixels too, and a note says which picture was changed,
    without anything to compare it with.
    """
    if channels not in (0, 1, 3):
        raise UsageError(f"channels={channels}: expected 1 for grey, 3 for colour, or 0")
    if tile != "none":
        return _sheets.read(path, tile, channels, unlabelled=unlabelled, progress=progress)
    store = _opened(path)
    tree = _tree.plan(store, unlabelled=unlabelled)
    for message in tree.notes:
        progress.note(message)
    pictures = Pictures(store, tree.shape, channels, _are_others if tree.own else None)
    first = next((file for files in tree.files.values() for file in files), None)
    if first is not None:  # before room is made for as many
        pictures.begin(first)
    if not tree.files or pictures.form is None:
        raise FormatError(f"{path}: no pictures in class folders here")
    splits = {
        name: Split(images, np.array(tree.labels[name], np.int64))
        for name, images in pictures.read(tree.files, progress, workers).items()
    }
    for message in pictures.remarks.notes():
        progress.note(message)
    dataset = Dataset(path.name, splits, tree.classes)
    if pictures.doubtful:
        for file in islice(_changed(dataset, tree, workers), _NOTED):
            progress.note(
                f"{store.where(file)}: changed since it was written: its name is of other pixels"
            )
    return dataset


def _opened(path: Path) -> _stores.Store:
    try:
        return _stores.opened(path)
    except FormatError:
        if path.is_file() and _tree.is_picture(path):
            raise FormatError(
                f"{path}: one picture; if it is a sheet of many, give their size with "
                "-R tile=28x28 (height x width)"
            ) from None
        raise


def _changed(dataset: Dataset, tree: _tree.Tree, workers: int | None) -> Iterator[str]:
    """The files whose names are not those of their pixels."""
    named = _names(dataset, workers)
    for split, files in tree.files.items():
        stems = [stem(file) for file in files]
        known = {f"{code:016x}" for code in named[split].tolist()}
        for k, name in enumerate(stems):
            if name not in known and not _is_name(name, dataset.splits[split].images[k]):
                yield files[k]


def _are_others(images: Images, files: Sequence[str]) -> bool:
    """Whether one of the files is not called by the first name that its picture could have."""
    if not files:
        return False
    cut = -len(Path(files[0]).suffix)
    names = "".join([file[cut - 16 : cut] for file in files])
    return names != _hashes(images).astype(">u8").tobytes().hex()


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    workers: int | None = None,
    image: _encode.Kind = "png",
    compression: _encode.Compression = "fast",
    folders: Folders = "numbers",
    layout: Layout = "folders",
) -> None:
    """Write the tree, into an archive where `path` ends in .zip, .tar, .tar.gz or .tgz.

    image: the kind of the files; compression: of PNG; folders: what class folders are called;
    layout: whether there are any. Raises UnsupportedError for channels that the kind does not have,
    UsageError for options that exclude each other.
    """
    encode, suffix = _encode.encoder(image, compression, dataset.shape)
    if image != "png" and compression != "fast":
        raise UsageError(f"compression={compression} is for image=png, not {image}")
    if layout == "metadata" and folders != "numbers":
        raise UsageError(
            "folders=names is for layout=folders; layout=metadata has no class folders"
        )
    classes = _class_folders(dataset, folders, progress) if layout == "folders" else None
    paths = {
        name: _Paths(name, classes, dataset.splits[name].labels, codes, suffix)
        for name, codes in _names(dataset, workers).items()
    }
    _say_empty(dataset, classes, progress)
    with _target.opened(path, workers) as target:
        for name in paths:
            for folder in classes or [""]:
                target.folder(f"{name}/{folder}".rstrip("/"))
        progress.start("write pictures", len(dataset), "examples")
        parts = [(files, dataset.splits[name].images) for name, files in paths.items()]
        for done in target.pictures(parts, encode):
            progress.advance(done)
        if layout == "metadata":
            for name, files in paths.items():
                target.file(f"{name}/{_tree.METADATA}", files.table())
        if layout == "folders":
            target.file(_tree.INDEX, chain.from_iterable(map(_Paths.lines, paths.values())))
        target.file(_sidecar.NAME, [_sidecar.packed(dataset)])


@dataclass(frozen=True)
class _Paths:
    """The path of every picture of a split, relative to the tree; made when they are needed."""

    split: str
    folders: list[str] | None
    labels: Labels
    codes: Codes
    suffix: str

    def __call__(self, start: int, stop: int) -> list[str]:
        """Those of a span."""
        digits = self.codes[start:stop].astype(">u8").tobytes().hex()
        stems = [digits[k : k + 16] for k in range(0, len(digits), 16)]
        if self.folders is None:
            return [f"{self.split}/{stem}{self.suffix}" for stem in stems]
        starts = [f"{self.split}/{folder}/" for folder in self.folders]
        labels = self.labels[start:stop].tolist()
        return [
            f"{starts[label]}{stem}{self.suffix}" for label, stem in zip(labels, stems, strict=True)
        ]

    def lines(self) -> Iterator[bytes]:
        """A line for each."""
        for start, stop in _workers.spans(len(self.codes), _STEP):
            yield ("\n".join(self(start, stop)) + "\n").encode()

    def table(self) -> Iterator[bytes]:
        """A line for each, with its label, below the names of the columns."""
        yield b"file_name,label\n"
        for start, stop in _workers.spans(len(self.codes), _STEP):
            rows = zip(self(start, stop), self.labels[start:stop].tolist(), strict=True)
            yield "".join(f"{last(file)},{label}\n" for file, label in rows).encode()


def _class_folders(dataset: Dataset, folders: Folders, progress: Progress) -> list[str]:
    if folders == "numbers":
        width = len(str(len(dataset.classes) - 1))
        return [f"{label:0{width}}" for label in range(len(dataset.classes))]
    names = _classnames.slugs(dataset.classes)
    if names != sorted(names):
        progress.note(
            "class folders in alphabetical order are not in the order of the labels: readers that "
            f"number folders, such as ImageFolder, start with {min(names)}"
        )
    return names


def _say_empty(dataset: Dataset, folders: list[str] | None, progress: Progress) -> None:
    """Say which splits, and which class folders, are empty, where other readers mind."""
    size = len(dataset.classes)
    counts = {name: class_counts(split, size) for name, split in dataset.splits.items()}
    for name, of_class in counts.items():
        empty = np.flatnonzero(of_class == 0)
        if folders is None and not len(dataset.splits[name]):
            progress.note(f"{name}: no pictures; Hugging Face reads no layout=metadata with such")
        elif folders and len(empty):
            progress.note(
                f"{name}: no pictures in {_listed(folders, empty)}; ImageFolder needs "
                "allow_empty=True"
            )
    unused = np.flatnonzero(sum(counts.values()) == 0)
    if folders and len(unused):
        others = (
            f"numbers the other {size - len(unused):,} from 0"
            if size - len(unused) > 1
            else "reads no labels"
        )
        progress.note(
            f"no pictures in {_listed(folders, unused)} of any split: Hugging Face leaves such "
            f"classes out and {others}; with layout=metadata it reads the labels"
        )


def _listed(folders: list[str], labels: npt.NDArray[np.intp]) -> str:
    return ", ".join([folders[label] for label in labels[:5]] + ["..."] * (len(labels) > 5))


def _names(dataset: Dataset, workers: int | None) -> dict[str, Codes]:
    """The 64-bit name of every picture; no two of the dataset are the same."""
    names = {name: np.empty(len(split), np.uint64) for name, split in dataset.splits.items()}
    splits, found = list(dataset.splits.values()), list(names.values())
    todo = _workers.parts(map(len, splits), 4 * _STEP)

    def hashes(number: int, _: int) -> Codes:
        split, start, stop = todo[number]
        return _hashes(splits[split].images[start:stop])

    parts = _workers.run(hashes, len(todo), size=1, workers=workers)
    for (split, start, stop), codes in zip(todo, parts, strict=True):
        found[split][start:stop] = codes
    whole = np.concatenate(list(names.values()))
    ordered = np.sort(whole)
    if (ordered[1:] == ordered[:-1]).any():
        _rename(dataset, names, whole)
    return names


def _rename(dataset: Dataset, names: dict[str, Codes], whole: Codes) -> None:
    """Give other names to pictures whose name an earlier one has."""
    unique, first = np.unique(whole, return_index=True)
    again = np.ones(len(dataset), bool)
    again[first] = False
    taken, offset = set(unique.tolist()), 0
    later: dict[bytes, Iterator[int]] = {}  # what is left of the names of equal pictures
    for name, split in dataset.splits.items():
        for k in np.flatnonzero(again[offset : offset + len(split)]):
            picture = split.images[k]
            left = later.setdefault(picture.tobytes(), _later_names(picture))
            names[name][k] = next(code for code in left if code not in taken)
            taken.add(int(names[name][k]))
        offset += len(split)


def _hashes(images: Images) -> Codes:
    """The first name of each picture."""
    found = np.frombuffer(picture_hashes(images), ">u8")[::4].astype(np.uint64)
    release(images)
    return found


def _is_name(stem: str, image: Images) -> bool:
    """Whether a picture could have that name, as the first of its like or a later one."""
    first = int(_hashes(image[np.newaxis])[0])
    names = chain([first], islice(_later_names(image), _TRIED))
    return any(stem == f"{name:016x}" for name in names)


def _later_names(image: Images) -> Iterator[int]:
    """Names for a picture that is there already: with a counter behind height, width and pixels."""
    content = struct.pack(f">{image.ndim}I", *image.shape) + image.tobytes()
    for counter in count(1):
        digest = hashlib.sha256(content + struct.pack(">I", counter)).digest()
        yield int.from_bytes(digest[:8], "big")


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples."""
    if path.is_file() and _tree.is_picture(path):
        return [f"{path}, tile {index + 1}" for index in indices]
    tree = _tree.plan(_stores.opened(path), unlabelled=True)
    return [str(path / tree.files[split][index]) for index in indices]
