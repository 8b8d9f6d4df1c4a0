"""Opening a file of torch.save without trusting it: tensors and plain values, nothing that runs."""

from __future__ import annotations

import io
import pickle
import re
import traceback
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from mnistprep import _archives, _extras, _limits, _torchpickle
from mnistprep._files import head
from mnistprep.errors import FormatError, MissingDependency

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # before PyTorch 1.6: a pickled magic number
_STEP = 1 << 20  # bytes
_PICKLE = 4 << 20  # bytes that say how the tensors lie; each may take a hundred of memory


def is_one(path: Path) -> bool:
    """Whether `path` starts as torch.save starts a file; other zips do so too."""
    return head(path, len(_LEGACY)).startswith((b"PK\3\4", _LEGACY))


def load(path: Path) -> Any:
    """The content, on the CPU, memory-mapped where the file allows; raises FormatError.

    It holds plain tensors, numbers, texts, lists, tuples and dicts, and, rarely, types and sizes.
    """
    torch = require("reading it")
    if not is_one(path):
        raise FormatError(f"{path}: not a file of torch.save")
    try:
        mapped = _checked(path, torch)
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except UnicodeEncodeError:  # a locale that cannot spell the path to PyTorch
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except FormatError as error:
        said, prefix = str(error), f"{path}: "
        raise FormatError(said if said.startswith(prefix) else prefix + said) from None
    except pickle.UnpicklingError as error:
        operation = re.search(r"Unsupported operand \d+", str(error))
        reason = operation[0].lower() if operation else "no plain tensors"
        raise FormatError(
            f"{path}: PyTorch does not open it without trusting it ({reason}): save it with "
            "torch.save as it is by default; nothing of it was run"
        ) from None
    # A damaged file makes the loader raise nearly anything.
    except Exception as error:
        if _extras.no_memory(error):
            raise MemoryError(str(error)) from None
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
        raise FormatError(
            f"{path}: a truncated or damaged PyTorch file: get it again ({reason})"
        ) from None


def _checked(path: Path, torch: ModuleType) -> bool:
    """Refuse what holds more than plain tensors, or too much; whether the file can be mapped."""
    if head(path, 2) == b"PK":
        return _check_zip(path, torch)
    start = head(path, _PICKLE)
    stream = io.BytesIO(start)
    try:
        _torchpickle.check_stream(stream, path.stat().st_size)
    except FormatError:
        raise
    except Exception:
        if stream.read(1) or len(start) < _PICKLE:
            raise
        raise FormatError(_too_long(f"more than {_PICKLE:,}")) from None
    return False


def _check_zip(path: Path, torch: ModuleType) -> bool:
    with zipfile.ZipFile(path) as archive:
        members, size = archive.infolist(), path.stat().st_size
    _archives.check_members(path, members)
    if sum(member.file_size for member in members) > _limits.most(size):
        raise FormatError(
            f"{size:,} bytes that become more than {_limits.most(size):,}; {_limits.RAISE}"
        )
    sizes = {member.filename: member.file_size for member in members}
    names = [name for name in sizes if name.lower().endswith("/data.pkl")]
    # PyTorch finds members whatever the case of their letters.
    if len(names) != 1 or len({name.lower() for name in sizes}) != len(members):
        raise FormatError("names that are there twice, or no data.pkl; not a file of torch.save")
    if sizes[names[0]] > _PICKLE:
        raise FormatError(_too_long(f"{sizes[names[0]]:,}"))
    with path.open("rb") as file:  # by PyTorch's own reader, so that it is what PyTorch will see
        reader = torch._C.PyTorchFileReader(file)
        if reader.has_record("constants.pkl"):
            raise FormatError("a TorchScript model, not a dataset; nothing was run")
        data = reader.get_record("data.pkl")
    folder = names[0][: -len("data.pkl")] + "data/"
    _torchpickle.check_zipped(
        io.BytesIO(data),
        {name.removeprefix(folder): n for name, n in sizes.items() if name.startswith(folder)},
    )
    _check_sums(path, members)
    # PyTorch maps the bytes of others as they lie, compressed.
    return all(member.compress_type == zipfile.ZIP_STORED for member in members)


def _check_sums(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Compare the checksums, which PyTorch writes, unless told not to, and does not look at."""
    with zipfile.ZipFile(path) as archive:
        for member in members:
            if member.CRC:
                with archive.open(member) as content:
                    while content.read(_STEP):
                        pass


def _too_long(size: str) -> str:
    return f"{size} bytes that say how the tensors lie, more than any dataset or model has; refused"


def save(content: Any, path: Path) -> None:
    """Write the file, which does not exist yet; its bytes do not depend on its name."""
    torch = require("writing it")
    with path.open("xb") as file:  # given a path, torch.save would put its name into the bytes
        try:
            torch.save(content, file)
        except BaseException as error:
            # PyTorch's writer, which the frames hold, writes once more when it goes, and ends the
            # process where that fails.
            traceback.clear_frames(error.__traceback__)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None  # what the system said, such as a full disk
            raise


def require(what: str) -> ModuleType:
    """PyTorch; raises MissingDependency with what needs it, and what `_extras.load` raises."""
    if lacking := _extras.missing("torch"):
        raise MissingDependency(f"{what} {lacking}")
    torch: ModuleType = _extras.load("torch")
    return torch
