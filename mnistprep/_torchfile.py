"""Opening a file of torch.save without trusting it: tensors and plain values, nothing that runs."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from mnistprep import _limits
from mnistprep._files import head
from mnistprep.errors import FormatError, MissingDependency

_PICKLE = 4 << 20  # bytes of the pickle in a zip; each may take a hundred of memory


def load(path: Path) -> Any:
    """The content, on the CPU, memory-mapped where the file allows; raises FormatError."""
    torch = require("reading it")
    mapped = head(path, 2) == b"PK"
    try:
        _check_size(path)
        try:
            with warnings.catch_warnings():
                # That it looks like a program is said below, as an error.
                warnings.filterwarnings("ignore", message=".*TorchScript", category=UserWarning)
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except UnicodeEncodeError:  # a locale that cannot spell the path to PyTorch
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except FormatError:
        raise
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        named = f"{wanted[1]!r}, which is no tensor" if wanted else "something else than tensors"
        raise FormatError(f"{path}: it wants {named}; nothing of it was run") from None
    # A damaged file makes the loader raise nearly anything.
    except Exception as error:
        if "TorchScript archives" in str(error):
            raise FormatError(
                f"{path}: a TorchScript model, not a dataset; nothing was run"
            ) from None
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
        raise FormatError(
            f"{path}: a truncated or damaged PyTorch file: get it again ({reason})"
        ) from None


def _check_size(path: Path) -> None:
    """Raise FormatError for a zip that becomes too large, or whose pickle has too many steps."""
    if head(path, 2) != b"PK":
        return
    with zipfile.ZipFile(path) as archive:
        members, size = archive.infolist(), path.stat().st_size
    if sum(member.file_size for member in members) > _limits.most(size):
        raise FormatError(
            f"{path}: {size:,} bytes that become more than {_limits.most(size):,}; {_limits.RAISE}"
        )
    for member in members:
        if member.filename.endswith("data.pkl") and member.file_size > _PICKLE:
            raise FormatError(
                f"{path}: {member.file_size:,} bytes that say how the tensors lie, more than any "
                "dataset or model has; refused"
            )


def save(content: Any, path: Path) -> None:
    """Write the file, which does not exist yet; its bytes do not depend on its name."""
    torch = require("writing it")
    with path.open("xb") as file:  # given a path, torch.save would put its name into the bytes
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # what the system said, such as a full disk
                raise error.__context__ from None
            raise


def require(what: str) -> ModuleType:
    """PyTorch; raises MissingDependency with what needs it."""
    try:
        import torch
    except ImportError:
        raise MissingDependency(f"{what} needs PyTorch: pip install torch") from None
    return torch
