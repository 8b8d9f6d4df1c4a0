"""IDX files in gzip, as every mirror of MNIST serves them; what Keras and TFDS download.

    <out>/train-images-idx3-ubyte.gz    gzip of the files that the format `idx` describes
    <out>/train-labels-idx1-ubyte.gz
    <out>/t10k-images-idx3-ubyte.gz
    <out>/t10k-labels-idx1-ubyte.gz
    <out>/mnistprep.json                class names (other readers ignore it)

Specification: RFC 1952 for gzip; the header has no time and no name. Read by Fashion-MNIST's
mnist_reader, Keras, python-mnist (gz=True). torchvision wants the files uncompressed. Compressed
bytes differ from LeCun's; the content, and so its digest, is the same. No place for `valid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mnistprep._progress import Progress, quiet
from mnistprep._streams import check_level, write_gzip
from mnistprep.dataset import Dataset
from mnistprep.formats import _idx

SUFFIXES: tuple[str, ...] = ()
DEFAULT_OUTPUT = "{name}_idx-gz"
NEEDS: tuple[str, ...] = ()


def sniff(path: Path) -> bool:
    """Whether `path` holds IDX files, at least one of them in gzip and not there plain too."""
    return _idx.compressed(path) is True


def read(
    path: Path,
    *,
    progress: Progress = quiet,
    orientation: Literal["upright", "stored"] = "upright",
    name: str = "auto",
) -> Dataset:
    """Read IDX files in gzip (or xz, bzip2), as `idx` reads plain ones. Raises FormatError."""
    return _idx.read(path, progress, orientation, name)


def write(dataset: Dataset, path: Path, *, progress: Progress = quiet, level: int = 6) -> None:
    """Write the folder `path`; `level` is zlib's, 0 (stored) to 9 (small)."""
    check_level(level)
    path.mkdir()
    for name, chunks, count in _idx.files(_idx.check_note(dataset, progress)):
        progress.start(f"write {name}.gz", count, "examples")
        write_gzip(path / f"{name}.gz", chunks, level=level)
        progress.advance(count)
    _idx.record(dataset, path)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The files of examples and their numbers there."""
    return _idx.places(path, split, indices)
