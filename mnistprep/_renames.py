"""Renaming that replaces nothing, or exchanges two things in one step."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from mnistprep.errors import TargetError

NO_REPLACE, EXCHANGE = 1, 2  # flags of Linux's renameat2


def place(staged: Path, target: Path) -> None:
    """Rename; raises TargetError where something is there."""
    try:
        if renamed(staged, target, NO_REPLACE):
            return
        if staged.is_file():
            try:
                os.link(staged, target, follow_symlinks=False)
            except FileExistsError:
                raise
            except (OSError, NotImplementedError):
                pass  # no hard links there
            else:
                staged.unlink()
                return
        if os.path.lexists(target):
            raise FileExistsError
        os.rename(staged, target)  # refuses a folder that holds anything
    except OSError as error:
        if error.errno != errno.ENOTEMPTY and not isinstance(error, FileExistsError):
            raise
        raise TargetError(f"{target} came into being meanwhile; it is left as it is") from None


def renamed(old: Path, new: Path, flag: int) -> bool:
    """Linux's renameat2 with a flag; False where the system or the file system has none."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    here = -100  # AT_FDCWD
    if call(here, os.fsencode(old), here, os.fsencode(new), ctypes.c_uint(flag)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(old), None, str(new))
