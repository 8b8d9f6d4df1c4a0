"""NumPy's array files: single ones (.npy), mapped, and archives of them (.npz), inflated.

Specification: numpy.lib.format, PKZIP APPNOTE.
"""

from __future__ import annotations

import errno
import io
import sys
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from mnistprep import _archives, _limits
from mnistprep._arrays import Images, empty_images, map_bytes, release
from mnistprep._files import head
from mnistprep._progress import Progress, quiet
from mnistprep._streams import Deflater
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _named

MAGIC = b"\x93NUMPY"
_STEP = 1 << 20
_NAMES = 1 << 20  # classes that can have names
_HEADER = 1 << 10  # bytes; NumPy takes seconds over a damaged one of 10,000


def is_array(path: Path) -> bool:
    """Whether a file is a single array, by its first bytes."""
    return path.is_file() and head(path, 6) == MAGIC


def names(path: Path) -> list[str] | None:
    """The names of an archive's arrays; None for what is no archive of arrays."""
    if not path.is_file() or head(path, 4) not in (b"PK\3\4", b"PK\5\6"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if not members or not all(member.endswith(".npy") for member in members):
        return None
    return [member.removesuffix(".npy") for member in members]


def load(path: Path, progress: Progress = quiet) -> dict[str, _named.Array]:
    """All arrays of an archive; raises FormatError when it is damaged or holds pickled ones."""
    arrays: dict[str, _named.Array] = {}
    size = path.stat().st_size
    reach = 1032 * size  # deflate reaches 1032 to 1 and no more
    left = limit = _limits.most(size)
    try:
        with zipfile.ZipFile(path) as archive:
            _archives.check_members(path, archive.infolist())
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                shown = printable(name, 80)
                if name in arrays:
                    raise FormatError(f"{path}: {shown} is there twice")
                progress.start(f"read {shown}", None, "examples")
                left -= min(member.file_size, reach)
                if left < 0:
                    raise FormatError(
                        f"{path}: {size:,} bytes that become more than {limit:,}; {_limits.RAISE}"
                    )
                arrays[name] = _member(archive, member, reach, f"{path}: {shown}")
                progress.advance(len(arrays[name]) if arrays[name].ndim else 0)
    except FormatError:
        raise
    # Damage makes zipfile and NumPy raise nearly anything: BadZipFile, zlib.error, TokenError, ...
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the start
            raise
        raise FormatError(
            f"{path}: a truncated or damaged archive: get it again ({printable(str(error), 80)})"
        ) from None
    return arrays


def class_names(arrays: dict[str, _named.Array], where: object) -> tuple[str, ...] | None:
    """The names of classes among the arrays, which are taken out of them; None where none are.

    They are texts (K,), or one text, a JSON list. Raises FormatError for anything else.
    """
    found = sorted(filter(_named.is_classes, arrays))
    if not found:
        return None
    if len(found) > 1:
        raise FormatError(f"{where}: {_named.shown(found)} are both names of classes; keep one")
    values = arrays.pop(found[0])
    texts: list[str] | None = None
    if values.ndim < 2 and values.dtype.kind in "US" and values.size <= _NAMES:
        with suppress(UnicodeDecodeError):
            listed: list[Any] = values.reshape(-1).tolist()
            texts = [text if isinstance(text, str) else text.decode("utf-8") for text in listed]
    if texts is None:
        raise FormatError(
            f"{where}: {printable(found[0], 80)} holds {values.dtype} of shape {values.shape}, "
            "expected the names of classes as texts (K,) in the order of labels; leave it out if "
            "it is something else"
        )
    return tuple(texts) if values.ndim else _named.parse_classes(texts[0], str(where))


def mapped(path: Path) -> _named.Array:
    """The array of a .npy file, memory-mapped; raises FormatError when it is not right."""
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _header(file, str(path))
            start = file.tell()
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        found = path.stat().st_size
        if found != start + size:
            what = "truncated: get it again" if found < start + size else "followed by something"
            raise FormatError(
                f"{path}: expected {start + size:,} bytes, found {found:,}; it is {what}"
            )
        return _array(map_bytes(path)[start:], shape, fortran, dtype, str(path))
    except (FormatError, OSError):
        raise
    except Exception as error:  # of NumPy, about the header
        raise FormatError(f"{path}: a damaged array file ({printable(str(error), 80)})") from None


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, reach: int, where: str
) -> _named.Array:
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file, where)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        room = min(member.file_size - file.tell(), reach)
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
    return _array(data, shape, fortran, dtype, where)


def _array(
    data: Images, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[np.generic], where: str
) -> _named.Array:
    """The values that bytes are. Python breaks over texts of letters that Unicode has not."""
    if dtype.kind == "U" and dtype.itemsize:
        letters = data.view(np.dtype("u4").newbyteorder(dtype.byteorder))
        if letters.max(initial=0) > sys.maxunicode:
            raise FormatError(f"{where}: letters that no text can have; damaged: get it again")
    return data.view(dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy, about headers of Python 2, which are read too
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise FormatError(f"{where}: an array file of version {version}")
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        stated = file.read(2 if version == (1, 0) else 4)
        length = int.from_bytes(stated, "little")
        if length > _HEADER:
            raise FormatError(f"{where}: a header of {length:,} bytes; it is damaged")
        text = io.BytesIO(stated + file.read(length))
        try:
            shape, fortran, dtype = header(text)
            if dtype.shape or any(type(side) is not int for side in shape):
                raise ValueError(shape)
        except Exception:  # NumPy's words are of no use to a person, and have addresses in them
            raise FormatError(
                f"{where}: a damaged header of an array (its type, order and shape cannot be "
                "read); get the file again, or save the array with numpy.save"
            ) from None
    if dtype.hasobject:
        raise FormatError(f"{where}: holds pickled objects, which mnistprep does not open")
    return shape, fortran, dtype


def write(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    chunks: Iterable[bytes | memoryview],
) -> None:
    """Add an array, given as the bytes of its values, to an archive; no time is in it."""
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
        if archive.compression == zipfile.ZIP_DEFLATED:
            # zipfile takes no member that is deflated already; its own engine has one processor.
            level = -1 if archive.compresslevel is None else archive.compresslevel
            file._compressor = Deflater(level)  # type: ignore[attr-defined]
        file.write(header.getvalue())
        for chunk in chunks:
            file.write(chunk)
