"""Files that are there whole or not at all, and what becomes of them on failure."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mnistprep.errors import MissingPath, MnistprepError, TargetError, describe

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".mnistprep-", ".partial"
_NEW, _OLD = "new", "old"  # folders in a staging folder: what is written, what it replaces


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a path to write a file or folder to, which becomes `target` when the block succeeds.

    The staging path has the target's name, in a hidden folder beside it. Nothing else ever sees it,
    and on any failure it goes, with the parent folders made for it. An existing target is refused,
    or with `overwrite` replaced at the end: a file in one step, a folder in two, and the next run
    makes good a kill between them. Raises TargetError for what the file system refuses.
    """
    target = Path(os.path.abspath(target))
    refuse_existing(target, overwrite=overwrite)
    made: list[Path] = []
    try:
        made = _make_parents(target.parent)
        with staging_folder(target.parent) as folder:
            staged = folder / _NEW / target.name
            yield staged
            _move(staged, target, folder / _OLD / target.name, overwrite)
    except BaseException as error:
        for parent in reversed(made):
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError) and not isinstance(error, MnistprepError):
            raise TargetError(f"cannot write {target}: {describe(error)}") from error
        raise


def refuse_existing(target: Path, *, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Raise TargetError when `target` is there and must stay.

    That is without `overwrite`; and with it when the target is, or holds, one of the `sources`, the
    working folder or the home folder, and when it is neither file nor folder nor link.
    """
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise TargetError(f"{target} exists already; choose another path or pass --overwrite")
    whole, here, home = target.resolve(), Path.cwd(), Path(os.path.expanduser("~")).resolve()
    if whole in (here, *here.parents, home, *home.parents):
        raise TargetError(f"{target} is a folder that work goes on in; it is never overwritten")
    for source in sources:
        if whole in (source.resolve(), *source.resolve().parents):
            raise TargetError(f"{target} is or holds the source {source}; it is not overwritten")
    if not (target.is_symlink() or target.is_file() or target.is_dir()):
        raise TargetError(f"{target} is neither a file nor a folder; it is never overwritten")


def remove_leftovers(folder: Path) -> None:
    """Remove staging folders whose process was killed: nobody holds their lock any more.

    Only this user's own, since `folder` may be one that all users write to. Not on Windows, which
    has no such locks; there they stay until removed by hand.
    """
    if sys.platform == "win32":
        return
    for entry in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid != os.getuid():
                    continue
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for replaced in (entry / _OLD).glob("*"):
                    if not os.path.lexists(folder / replaced.name):  # killed between two renames
                        os.rename(replaced, folder / replaced.name)
                shutil.rmtree(entry)
            finally:
                os.close(descriptor)


@contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in `parent` that goes with the block, or, after a kill, with the next."""
    remove_leftovers(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=parent))
        if sys.platform == "win32":
            lock = -1
            break
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # taken for a leftover meanwhile: make another
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # being taken for a leftover
        except OSError:
            break  # no locks on this file system: nobody can take it for a leftover
        else:
            if folder.exists():
                break
        os.close(lock)
    try:
        (folder / _NEW).mkdir()
        (folder / _OLD).mkdir()
        yield folder
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)
            if lock >= 0:
                os.close(lock)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C, and SIGTERM where it is handled, take effect behind the block, not within it."""
    before: dict[signal.Signals, Any] = {}
    caught: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():  # no other gets signals
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(
                    number, lambda number, frame: caught.append(signal.Signals(number))
                )
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            before[caught[0]](caught[0], None)


def _move(staged: Path, target: Path, aside: Path, overwrite: bool) -> None:
    if overwrite and not staged.is_dir() and not target.is_dir():
        os.replace(staged, target)
    elif overwrite and os.path.lexists(target):
        os.rename(target, aside)
        try:
            os.rename(staged, target)
        except BaseException:
            os.rename(aside, target)
            raise
    elif staged.is_dir():
        os.rename(staged, target)  # refuses a target that holds anything
    else:
        try:
            os.link(staged, target)  # unlike rename, refuses a target that came meanwhile
        except FileExistsError:
            raise TargetError(f"{target} came into being meanwhile; it is left as it is") from None
        except OSError:  # a file system without hard links
            refuse_existing(target, overwrite=False)
            os.rename(staged, target)


def _make_parents(folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing[::-1]


@contextmanager
def entered(path: Path) -> Iterator[tuple[str, int | None]]:
    """What a name in the folder starts with, and its descriptor where the system takes one.

    With it the way to the folder is walked once, and not for every file.
    """
    if os.open not in os.supports_dir_fd:
        yield f"{path}{os.sep}", None
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield "", descriptor
    finally:
        os.close(descriptor)


def existing(path: Path) -> Path:
    """The path, if something is there; raises MissingPath otherwise."""
    try:
        path.stat()
    except OSError as error:
        raise MissingPath(f"{path}: {error.strerror or error}") from None
    return path


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a regular file; nothing for anything else (a pipe would block)."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)
