"""One search for a dataset's files: what is still needed, what was tried, and the sources.

A source is a local path or a set of mirrors. Each gives what it has; every file is accepted by its
content alone, so different sources may give different files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from mnistprep import catalog
from mnistprep._content import explain, idx_size, is_markup, kept_chunks, packed_limit, store
from mnistprep._files import head
from mnistprep._progress import Progress
from mnistprep._published import Content, IdxFile, Published
from mnistprep.dataset import (
    Dataset,
    Split,
    digest,
    idx_hashes,
    idx_header,
    idx_label_type,
)
from mnistprep.errors import FormatError, MnistprepError

if TYPE_CHECKING:
    from mnistprep._http import Network

_DEPTH = 4  # folders below the given one: torchvision's MNIST/raw, and some above it
_LOOK = 2000  # entries of a folder to look at; an image tree is not searched for IDX files
_TRY = 50  # files of a folder to try as whole datasets
_BULK = 8  # the largest form of a dataset, as text, is about three times its bytes; be generous


class Attempt(NamedTuple):
    """A source that did not give a file, and why."""

    source: str
    reason: str


@dataclass
class Search:
    """The state of one fetch.

    folder: where accepted files go, under the names of `kept`; partials: where what is received
    waits until it is whole, and is found again by the next process.
    """

    row: Published
    folder: Path
    partials: Path
    needed: list[IdxFile]
    progress: Progress
    attempts: list[Attempt] = field(default_factory=list)

    def failed(self, source: str, reason: object, *, note: bool = False) -> None:
        """Remember an attempt; with `note`, the person should hear of it at once."""
        # Names and answers come from outside: nothing in them may steer a terminal.
        shown = [
            "".join(c if c.isprintable() else "?" for c in f"{text}") for text in (source, reason)
        ]
        self.attempts.append(Attempt(*shown))
        if note:
            self.progress.note(": ".join(shown))

    def accept(self, file: IdxFile, chunks: Iterator[memoryview]) -> None:
        """Keep the content of `file`; raises FormatError if it is another."""
        store(chunks, file.kept, self.folder / file.kept.name)
        self.needed.remove(file)

    @cached_property
    def network(self) -> Network:
        """The network; what is found to be dead stays so for the whole search."""
        from mnistprep._http import Network  # local sources need no requests

        return Network(self.partials, self.progress)

    @property
    def bulk(self) -> int:
        """The most bytes that a file with the whole dataset can have."""
        archive = self.row.archive.content.size if self.row.archive else None
        whole = _BULK * sum(file.plain.size or 0 for file in self.row.files) + (1 << 16)
        return max(whole, packed_limit(archive or 0))


def search_path(search: Search, path: Path, source: str) -> None:
    """Take what a local folder or file has, in any form that mnistprep reads."""
    if not os.path.isdir(path):
        _search_file(search, path, source)
        return
    if not search_idx(search, path) and search.needed:
        _read_whole(search, path, source)
    names = _names(search.row.files)
    for file in list(filter(os.path.isfile, _entries(path)))[:_TRY]:
        tried = idx_size(file) is not None or _plain_name(file.name) in names
        if search.needed and not tried and file.stat().st_size <= search.bulk:
            _search_other(search, file, str(file))


def search_idx(search: Search, folder: Path) -> bool:
    """Take the IDX files in a folder and those below it; returns whether it has any."""
    names = _names(search.row.files)
    paths = sorted(_walk(folder), key=lambda path: _plain_name(path.name) not in names)
    found = False
    for path in paths:
        if not search.needed:
            break
        found = try_file(search, path, str(path)) or found
    return found


def search_mirrors(search: Search, bases: Sequence[str], names: Sequence[str]) -> None:
    """Take IDX files from the first of `bases` that has each.

    names: which of a file's published names to ask for: `packed`, `plain`. Ends with the first
    file that no mirror has, so that dead mirrors are not asked for all of them.
    """
    for file in list(search.needed):
        wanted: list[Content] = [
            getattr(file, name) for name in names if name == "packed" or file.plain.known
        ]
        search.network.expect(join(base, wanted[0].name) for base in bases)
        if not any(_file_from(search, base, file, wanted) for base in bases):
            return


def search_whole(search: Search, url: str, published: int | None = None) -> None:
    """Take all that one file at a URL has, be it one IDX file or a whole dataset in any form."""
    network = search.network
    for _ in range(2):
        resumed = _downloaded(search, url, published, search.bulk)
        if resumed is None:
            return
        count = len(search.attempts)
        with TemporaryDirectory(dir=network.partial(url).parent) as folder:
            # Under its own name, which messages and some forms need.
            name = unquote(urlsplit(url).path).rpartition("/")[2]
            path = Path(folder) / (name if re.fullmatch(r"[\w-][\w. -]{,99}", name) else "download")
            os.replace(network.partial(url), path)
            network.discard(url)
            _search_file(search, path, display(url))
        if not resumed or not search.needed:
            return
        del search.attempts[count:]  # a changed file glued to an older part of it: once more, whole


def join(base: str, name: str) -> str:
    """The URL of a file under a base URL, whose query is kept."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def display(url: str) -> str:
    """A URL as messages show it: without the password or token that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _file_from(search: Search, base: str, file: IdxFile, wanted: list[Content]) -> bool:
    for content in wanted:
        url = join(base, content.name)
        if search.network.is_dead(url):
            return False
        if _idx_from(search, url, file, content.size):
            return True
    return False


def _idx_from(search: Search, url: str, file: IdxFile, published: int | None) -> bool:
    network = search.network
    part = network.partial(url)
    limit = packed_limit(file.plain.size or 0)
    for _ in range(2):
        resumed = _downloaded(search, url, published, limit, file)
        if resumed is None:
            return file not in search.needed
        with suppress(FormatError):
            search.accept(file, kept_chunks(part, file, limit))
            network.discard(url)
            return True
        reason = explain(part, file)
        network.discard(url)
        if not resumed:
            break
    search.failed(display(url), reason, note=True)
    return False


def _downloaded(
    search: Search, url: str, published: int | None, limit: int, file: IdxFile | None = None
) -> bool | None:
    """Whether the bytes now in network.partial(url) are of more than one try; None for failure."""
    from mnistprep._http_faults import Unavailable

    network = search.network
    try:
        return network.download(url, published, limit)
    except Unavailable as error:
        part = network.partial(url)
        if file is not None and part.exists():
            # A server may promise more than there is: if this is the file, that does not matter.
            with suppress(FormatError):
                search.accept(file, kept_chunks(part, file, limit))
                network.discard(url)
                network.revive(url)
                return None
        search.failed(display(url), error, note=True)
        return None


def _search_file(search: Search, path: Path, source: str) -> None:
    if try_file(search, path, source):
        return
    _search_other(search, path, source)


def _search_other(search: Search, path: Path, source: str) -> None:
    from mnistprep._zipped import search_zip

    try:
        head(path, 1)
    except OSError as error:
        search.failed(source, f"cannot be read: {error.strerror or error}")
        return
    if search_zip(search, path, source) or not search.needed:
        return
    if is_markup(path):
        search.failed(source, "this is an HTML page, not data")
        return
    _read_whole(search, path, source)


def try_file(search: Search, path: Path, source: str) -> bool:
    """Take the file if it is one that is needed; returns whether it is IDX, or named like it."""
    size, packed = idx_size(path), path.stat().st_size
    named = [file for file in search.needed if _plain_name(path.name) in _names([file])]
    sized = [
        file
        for file in search.needed
        if file.plain.size == size or packed in (file.packed.size, file.plain.size)
    ]
    # Compressed twice, it does not show its header; then the name is the only hint.
    likely = sorted(sized or named, key=lambda file: file not in named)
    for file in likely:
        with suppress(FormatError):
            search.accept(file, kept_chunks(path, file, packed_limit(file.plain.size or 0)))
            return True
    wrong = named or likely
    if wrong:
        reason = explain(path, wrong[0])
        search.failed(source, reason, note=True)
    return size is not None or bool(wrong)


def _read_whole(search: Search, path: Path, source: str) -> None:
    if not search.row.identifiable:
        search.failed(source, f"has no file of {search.row.title} as it is published")
        return
    # Only what is not IDX needs the formats, which need much.
    from mnistprep import convert

    try:
        dataset = convert.read(path, progress=search.progress)
    except (MnistprepError, OSError) as error:
        search.failed(source, str(error).removeprefix(f"{path}: "))
        return
    for split in ("train", "test"):
        files = [file for file in search.needed if file.split == split]
        names = ("train", "valid") if split == "train" else (split,)
        parts = [dataset.splits[name] for name in names if name in dataset.splits]
        if not files:
            continue
        if not parts:
            search.failed(source, f"holds no {split} split")
            continue
        try:
            for file in files:
                search.accept(file, _idx_chunks(parts, file.role, len(search.row.classes)))
        except FormatError:
            search.failed(source, _what_instead(search.row, split, dataset, parts))


def _what_instead(row: Published, split: str, dataset: Dataset, parts: list[Split]) -> str:
    """Why a readable split is not the published one."""
    classes = len(dataset.classes)
    match = catalog.identify(digest(parts, classes), lambda: idx_hashes(parts, classes, "md5"))
    if match is None:
        count, shape = sum(len(part) for part in parts), "x".join(map(str, dataset.shape))
        return (
            f"its {count:,} {split} examples of {shape} are not those of {row.title}, "
            f"{row.splits[split]:,} of {'x'.join(map(str, row.shape))}"
        )
    if match.dataset == row and not match.in_order:
        return f"has the {split} examples of {row.title} in another order; the files need their own"
    return f"its {split} examples are {match}"


def _idx_chunks(parts: list[Split], role: str, classes: int) -> Iterator[memoryview]:
    """The IDX file of `parts` taken as one split."""
    count = sum(len(part) for part in parts)
    label_type = idx_label_type(classes)
    if role == "images":
        yield memoryview(idx_header(0x08, (count, *parts[0].shape)))
    else:
        yield memoryview(idx_header(0x08 if label_type == "u1" else 0x0C, (count,)))
    for part in parts:
        for images, labels in part.chunks():
            values = images if role == "images" else labels.astype(label_type)
            yield memoryview(values.tobytes())


def _plain_name(name: str) -> str:
    """The published name that a file's name stands for: without .gz, its dots as hyphens."""
    return re.sub(r"\.(gz|xz)$", "", name).replace(".", "-")


def _names(files: Iterable[IdxFile]) -> set[str]:
    return {_plain_name(file.plain.name) for file in files}


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files of a folder and those below it, the nearest first, in the order of names."""
    looked = 0
    level = [folder]
    for _ in range(_DEPTH):
        below: list[Path] = []
        for place in level:
            for path in _entries(place):
                looked += 1
                if looked > _LOOK:
                    return
                if os.path.isfile(path):  # Path's own fails on links that cannot be followed
                    yield path
                elif os.path.isdir(path) and not path.is_symlink():
                    below.append(path)
        level = below


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
