"""NumPy archive with the keys of Keras (mnist.npz).

    zip, deflated, members dated 1980-01-01:
    x_train.npy   uint8 (N, H, W) or (N, H, W, C)
    y_train.npy   uint8 (N,), or int32 beyond 256 classes
    x_test.npy, y_test.npy
    classes.npy   one string, a JSON list of class names; only when they are not "0", "1", ...

Specification: numpy.lib.format, PKZIP APPNOTE. Read by numpy.load(path, allow_pickle=False) and
whatever reads Keras's file. Never put it under ~/.keras: Keras checks the file's own SHA-256 there,
and deletes what does not match before it downloads again. There is no place for `valid`: it becomes
the end of `train`. Keys train_images, val_images, ... are read too; pickled members are not.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnistprep._arrays import empty_images, release
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep.dataset import Dataset, Split, idx_label_type
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _named

SUFFIXES: tuple[str, ...] = (".npz",)
DEFAULT_OUTPUT = "{name}.npz"
NEEDS: tuple[str, ...] = ()
_STEP = 1 << 20


def sniff(path: Path) -> bool:
    """Whether `path` is a zip whose members are all .npy arrays."""
    if not head(path, 4).startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix == ".npz"  # a damaged one: reading it says so
    return bool(names) and all(name.endswith(".npy") for name in names)


def read(path: Path, *, progress: Progress = quiet) -> Dataset:
    """Read the archive; raises FormatError when it is damaged or holds other arrays."""
    arrays = load(path, progress)
    names = arrays.pop(_named.CLASSES, None)
    text = None if names is None or names.ndim else str(names)
    classes = _named.parse_classes(text, str(path))
    return _named.dataset(str(path), path.name, arrays, classes)


def load(path: Path, progress: Progress = quiet) -> dict[str, _named.Array]:
    """All arrays of an archive; raises FormatError when it is damaged or holds pickled ones."""
    arrays: dict[str, _named.Array] = {}
    limit = 1032 * path.stat().st_size  # deflate reaches 1032 to 1 and no more
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise FormatError(f"{path}: {name} is there twice")
                progress.start(f"read {name}", None, "examples")
                arrays[name] = _read_array(archive, member, limit, f"{path}: {name}")
                progress.advance(len(arrays[name]) if arrays[name].ndim else 0)
    except (FormatError, OSError):
        raise
    # Damage makes zipfile and NumPy raise nearly anything: BadZipFile, zlib.error, TokenError, ...
    except Exception as error:
        raise FormatError(
            f"{path}: a truncated or damaged archive: get it again ({str(error)[:80]})"
        ) from None
    return arrays


def _read_array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int, where: str
) -> _named.Array:
    with archive.open(member) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy, about headers of Python 2, which are read too
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise FormatError(f"{where}: an array file of version {version}")
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise FormatError(f"{where}: holds pickled objects, which mnistprep does not open")
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        room = min(member.file_size - file.tell(), limit)
        if size != room:
            raise FormatError(
                f"{where}: an array of shape {shape} needs {size:,} bytes, the archive has {room:,}"
            )
        data = empty_images((size,))
        view, got = data.data, 0
        while step := file.readinto(view[got : got + _STEP]) if got < size else 0:  # type: ignore[attr-defined]
            release(data[got : got + step])
            got += step
        file.read(1)  # reaches the end, where the checksum is compared
    if got < size:
        raise FormatError(f"{where}: ends after {got:,} of {size:,} bytes")
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


def write(dataset: Dataset, path: Path, *, progress: Progress = quiet, level: int = 6) -> None:
    """Write the archive; `level` is zlib's, 0 (stored) to 9 (small)."""
    if not 0 <= level <= 9:
        raise UsageError(f"level must be 0 to 9, not {level}")
    if "valid" in dataset.splits:
        progress.note("Keras's npz has no place for `valid`: its examples are the last of `train`")
    joined = dataset.joined()
    label_type = idx_label_type(len(dataset.classes)).replace(">", "<")
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, split in joined.splits.items():
            progress.start(f"write {name}", len(split), "examples")
            _write_array(archive, f"x_{name}", split.images.shape, "|u1", _pixels(split, progress))
            labels = split.labels.astype(label_type)
            _write_array(
                archive, f"y_{name}", labels.shape, labels.dtype.str, iter([labels.tobytes()])
            )
        if names := _named.named_classes(dataset):
            text = np.array(names).astype("<U")
            _write_array(archive, _named.CLASSES, (), text.dtype.str, iter([text.tobytes()]))


def _pixels(split: Split, progress: Progress) -> Iterator[memoryview]:
    for images, _ in split.chunks():
        yield images.reshape(-1).data
        progress.advance(len(images))


def _write_array(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    chunks: Iterator[bytes | memoryview] | Iterator[bytes] | Iterator[memoryview],
) -> None:
    member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980-01-01
    member.compress_type = archive.compression
    # Given a member, zipfile takes the level from it alone; it has no public name before 3.13.
    member._compresslevel = archive.compresslevel  # type: ignore[attr-defined]
    member.create_system = 3
    member.external_attr = 0o644 << 16
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    with archive.open(member, "w", force_zip64=True) as file:
        file.write(header.getvalue())
        for chunk in chunks:
            file.write(chunk)


def places(path: Path, split: str, indices: Sequence[int]) -> list[str]:
    """The arrays of examples and their rows there."""
    return [f"{path}, x_{split}[{index}], y_{split}[{index}]" for index in indices]
