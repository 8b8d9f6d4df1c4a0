"""Contenders of every group: mnistprep itself, and the floors under it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from benchmarks.cases import OURS, Case, Contender, Figure, Splits
from benchmarks.given import Given

NEEDS = {
    "arrow": ("pyarrow",),
    "hdf5": ("h5py",),
    "parquet": ("pyarrow",),
    "pt": ("torch",),
    "tfrecord": ("google_crc32c",),
}
ZLIB = "floor: one pass of zlib"
_STEP = 1 << 18  # bytes of a file taken at a time


def arrays(dataset: Any) -> Splits:
    """The splits of a Dataset, `valid` back at the end of `train`."""
    return {name: (part.images, part.labels) for name, part in dataset.joined().splits.items()}


def in_memory(dataset: Any) -> Splits:
    """The same with the pictures copied, where reading has only mapped them."""
    return {name: (images.copy(), labels) for name, (images, labels) in arrays(dataset).items()}


def read_back(form: str, **options: Any) -> Callable[[Given, Any], Splits]:
    """What is at `given.target(form)`, whoever wrote it, as mnistprep reads it."""

    def content(given: Given, _: Any) -> Splits:
        import mnistprep

        return arrays(mnistprep.read(given.target(form), form, **options))

    return content


def writes(form: str, *splits: str, name: str = OURS, **options: Any) -> Contender:
    """mnistprep.write of a dataset in memory, or of some of its splits."""

    def setup(given: Given) -> Callable[[], Any]:
        write = _loaded(form).write
        dataset = given.dataset(*splits)
        return lambda: write(dataset, given.target(form), form, **options)

    return Contender(name, setup, read_back(form), role="ours", needs=NEEDS.get(form, ()))


def reads(form: str, file: str = "", *, keep: Callable[[Any], Splits] = arrays) -> Contender:
    """mnistprep.read of what is there in a format, or of a file in it; `keep` is timed too."""

    def setup(given: Given) -> Callable[[], Any]:
        read = _loaded(form).read
        path = given.made(form) / file
        return lambda: keep(read(path, form))

    return Contender(OURS, setup, as_read, role="ours", needs=NEEDS.get(form, ()))


def as_read(given: Given, found: Splits) -> Splits:
    """The content of a contender that returns it as it is."""
    return found


def pair(
    form: str,
    writers: tuple[Contender, ...],
    readers: tuple[Contender, ...],
    *,
    figures: tuple[tuple[Figure, ...], tuple[Figure, ...]] = ((), ()),
    whole: bool = False,
) -> tuple[Case, Case]:
    """A format written, and read, by mnistprep and its peers, with the figures of both.

    The floor of reading is one pass of zlib where the first of the figures is about that, else the
    bytes of the files. whole: mnistprep only maps such files, and is to copy them too.
    """
    floor = inflated(form) if any(f.against == ZLIB for f in figures[1]) else bytes_read(form)
    ours = reads(form, keep=in_memory if whole else arrays)
    return (
        Case(f"{form} written", (writes(form), bytes_written(form), *writers), figures[0], (form,)),
        Case(f"{form} read", (ours, floor, *readers), figures[1], (form,)),
    )


def bytes_written(form: str, named: str = "") -> Contender:
    """The files of a format written again, from memory, by one process."""

    def setup(given: Given) -> Callable[[], Any]:
        parts = [path.read_bytes() for path in given.files(form) if named in path.name]

        def run() -> None:
            for number, data in enumerate(parts):
                with open(given.out / str(number), "wb", buffering=0) as file:
                    file.write(data)

        return run

    return Contender("floor: same bytes written", setup, role="floor")


def bytes_read(form: str, named: str = "") -> Contender:
    """The files of a format read to memory, and nothing done with them."""

    def setup(given: Given) -> Callable[[], Any]:
        paths = [path for path in given.files(form) if named in path.name]

        def run() -> None:
            for path in paths:
                with open(path, "rb", buffering=0) as file:
                    file.readall()

        return run

    return Contender("floor: same bytes read", setup, role="floor")


def inflated(form: str) -> Contender:
    """One pass of zlib over the files of a format that are gzip, or over the members of a zip."""

    def setup(given: Given) -> Callable[[], Any]:
        paths = [path for path in given.files(form) if path.suffix in (".gz", ".npz")]

        def run() -> None:
            for path in paths:
                for start, bits in _deflated(path):
                    stream = zlib.decompressobj(bits)
                    with open(path, "rb", buffering=0) as file:
                        file.seek(start)
                        while not stream.eof and (data := file.read(_STEP)):
                            stream.decompress(data)

        return run

    return Contender(ZLIB, setup, role="floor")


def _deflated(path: Path) -> Iterator[tuple[int, int]]:
    """Where streams of zlib begin in a file, and their kind in zlib's words."""
    if path.suffix == ".gz":
        yield 0, 31
        return
    with ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            file.seek(member.header_offset + 26)
            yield member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))), -15


def _loaded(form: str) -> Any:
    """mnistprep, with what the format uses imported, as peers import theirs before being timed."""
    import mnistprep
    from mnistprep import formats

    formats.get(form)
    for module in NEEDS.get(form, ()):
        import_module(module)
    return mnistprep
