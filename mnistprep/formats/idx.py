"""IDX files as LeCun published MNIST, uncompressed; what torchvision reads.

    <out>/MNIST/raw/train-images-idx3-ubyte    00 00 08 03, N, H, W (uint32 big-endian), pixels
    <out>/MNIST/raw/train-labels-idx1-ubyte    00 00 08 01, N, one byte a label
    <out>/MNIST/raw/t10k-images-idx3-ubyte     the test split
    <out>/MNIST/raw/t10k-labels-idx1-ubyte
    <out>/mnistprep.json                       class names (other readers ignore it)

Specification: the MNIST page of Y. LeCun, C. Cortes and C. Burges. Read by torchvision (which looks
in a folder named after its class), idx2numpy, python-mnist, Caffe. Colour is a fourth dimension
(idx4), labels beyond 256 classes are big-endian int32 (idx1-int); readers made for MNIST refuse
those. There is no place for `valid`: it becomes the end of `train`. Dotted names, files in raw/ or
flat, and gzip beside or in place of the plain files are read too.

EMNIST and QMNIST have names and a layout of their own (pictures transposed, labels from 1, tables
of labels), which are undone on reading and redone on writing, so that torchvision's classes of
those names read what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset
from mnistprep.formats import _idx

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_idx"
NEEDS: tuple[str, ...] = ()


def sniff(path: Path) -> bool:
    """Whether `path` holds IDX files, none of them compressed."""
    return _idx.compressed(path) is False


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    orientation: Literal["upright", "stored"] = "upright",
    name: str = "auto",
) -> Dataset:
    """Read IDX files; the pictures are memory-mapped. Raises FormatError.

    orientation: what EMNIST has transposed and numbered from 1 is read upright and from 0, or as it
    is stored. name: which of several datasets in one folder, such as emnist-letters; auto: the one.
    """
    return _idx.read(path, progress, orientation, name)


def write(
    dataset: Dataset,
    path: Path,
    *,
    progress: Progress = quiet,
    layout: Literal["torchvision", "flat"] = "torchvision",
) -> None:
    """Write the folder `path`, its files under MNIST/raw/ or (layout=flat) directly in it."""
    joined = _idx.check_note(dataset, progress)
    folder = path
    if layout == "torchvision":
        folder = path / _idx.layout(dataset).folder / "raw"
    folder.mkdir(parents=True)
    for file_name, chunks, count in _idx.files(joined):
        progress.start(f"write {file_name}", count, "examples")
        with (folder / file_name).open("xb") as file:
            file.writelines(chunks)
        progress.advance(count)
    _idx.record(dataset, path)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples and their numbers there."""
    return _idx.places(path, split, indices)
