"""Hidden folders in which files become whole, and what is made of those of killed processes.

    .mnistprep-<machine>-<random>.partial/
        new/                 what is written
        old/                 what it takes the place of
        beside/              what will lie beside it
        appears-<inode>/     which one in new/ is the new one

The last is there from the moment when the first thing is moved.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistprep import _renames
from mnistprep._interrupts import undisturbed
from mnistprep.errors import TargetError

if sys.platform != "win32":
    import fcntl

NEW, OLD, BESIDE = "new", "old", "beside"
_APPEARS = "appears-"
_PREFIX, _SUFFIX = ".mnistprep-", ".partial"
_FOREIGN_AGE = 7 * 24 * 3600  # seconds after which another machine's leftover is one
_staging: dict[Path, int] = {}  # this process's staging folders, each with its lock


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in `parent` that goes with the block, or, after a kill, with the next."""
    remove_leftovers(parent)
    folder: Path | None = None
    try:
        with undisturbed():
            folder = _new_folder(parent)
        yield folder
    finally:
        if folder is not None:
            _discard(folder)


def is_staging(folder: Path) -> bool:
    """Whether this process stages in a folder, which nobody else writes to."""
    return folder in _staging


@contextmanager
def appearing(folder: Path, staged: Path) -> Iterator[None]:
    """While what is staged is moved into place, what a kill means for the next run is written down.

    Without the block, or when it fails, nothing has appeared.
    """
    mark = folder / f"{_APPEARS}{staged.lstat().st_ino}"
    mark.mkdir()
    try:
        yield
    except BaseException:
        with suppress(OSError):
            mark.rmdir()
        raise


def discard_staging(error: BaseException | None) -> None:
    """Remove what this process stages and could not remove, with what an error holds open."""
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    for folder in list(_staging):
        _discard(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove staging folders whose process was killed: nobody holds their lock any more.

    What was set aside comes back, or what was about to lie beside a target that is there gets its
    place, but never that of anything else: folder and content may be a stranger's, from an archive.

    Only this user's own, since `folder` may be one that all users write to. Those of another
    machine, whose locks a network file system may not show, only after a week without a change. Not
    on Windows, which has no such locks; there they stay until removed by hand.
    """
    if sys.platform == "win32":
        return
    with suppress(OSError):
        for entry in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            _remove_leftover(entry)


def _remove_leftover(entry: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid != os.getuid() or _may_live_elsewhere(entry):
                return
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _has_appeared(entry):
                _remove(entry / OLD)  # first, since without the mark it would come back
                _place_all(entry / BESIDE)
            else:
                for mark in entry.glob(f"{_APPEARS}*"):
                    mark.rmdir()
                _place_all(entry / OLD)
            _remove(entry)
        finally:
            os.close(descriptor)


def _has_appeared(entry: Path) -> bool:
    """Whether the process was killed after what it made was in its place."""
    numbers = [mark.name[len(_APPEARS) :] for mark in entry.glob(f"{_APPEARS}*")]
    if not numbers:
        return False
    for path in (entry / NEW).glob("*"):
        status, target = path.lstat(), entry.parent / path.name
        if str(status.st_ino) in numbers:  # not yet, or under two names for a moment
            return os.path.lexists(target) and os.path.samestat(status, target.lstat())
    return True


def _place_all(folder: Path) -> None:
    """Move what is in a folder of an entry to beside the entry, where nothing is."""
    if folder.is_symlink() or not folder.is_dir():  # a link leads to where others live
        return
    for path in folder.iterdir():
        with suppress(TargetError):
            _renames.place(path, folder.parent.parent / path.name)


def _may_live_elsewhere(entry: Path) -> bool:
    if entry.name.startswith(_prefix()):
        return False
    changed = max(path.lstat().st_mtime for path in (entry, *entry.glob("*"), *entry.glob("*/*")))
    return time.time() - changed < _FOREIGN_AGE


def _prefix() -> str:
    """How names of this machine's staging folders start."""
    return f"{_PREFIX}{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"


def _discard(folder: Path) -> None:
    with undisturbed():
        lock = _staging.get(folder, -1)
        _staging[folder] = -1
        if lock >= 0:
            os.close(lock)  # first, since removing takes descriptors, which may be what is short
        _remove(folder)
        if not os.path.lexists(folder):
            del _staging[folder]


def _remove(folder: Path) -> None:
    """Remove a folder and what is in it, as far as that goes."""
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.lexists(folder):
        return
    for top, names, _ in os.walk(folder):  # a umask may have left the owner no rights
        for name in names:
            with suppress(OSError):
                if not os.path.islink(inner := os.path.join(top, name)):
                    os.chmod(inner, stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _new_folder(parent: Path) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(), suffix=_SUFFIX, dir=parent))
        _staging[folder] = -1
        try:
            if _locked(folder):
                for name in (NEW, OLD, BESIDE):
                    (folder / name).mkdir()
                    (folder / name).chmod(stat.S_IRWXU)
                return folder
        except BaseException:
            _discard(folder)
            raise
        _discard(folder)


def _locked(folder: Path) -> bool:
    """Lock a folder of ours; False when it was taken for a leftover meanwhile."""
    if sys.platform == "win32":
        return True
    try:
        folder.chmod(stat.S_IRWXU)  # whatever the umask takes away
        lock = _staging[folder] = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks on this file system: nobody can take it for a leftover
    return folder.exists()
