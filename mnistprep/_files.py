"""Files that are there whole or not at all, and what becomes of them on failure."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mnistprep import _renames
from mnistprep._interrupts import undisturbed
from mnistprep.errors import FormatError, MissingPath, MnistprepError, TargetError, describe

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".mnistprep-", ".partial"
# Folders in a staging folder: what is written, what it replaces, and what will lie beside it.
_NEW, _OLD, _BESIDE = "new", "old", "beside"
_FOREIGN_AGE = 7 * 24 * 3600  # seconds after which another machine's leftover is one
_DOCUMENT = 64 << 20  # bytes; a million class names fit
_TRIES = 500
_TURN = 0.01  # seconds
_staging: dict[Path, int] = {}  # this process's staging folders, each with its lock


@contextmanager
def atomic_path(
    target: Path, *, overwrite: bool = False, replaced: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield a path to write a file or folder to, which becomes `target` when the block succeeds.

    The staging path has the target's name, in a hidden folder beside it. Nothing else ever sees it,
    and on any failure it goes, with the parent folders made for it. What else the block puts beside
    the staging path appears beside the target, right after it. An existing target is refused, or
    with `overwrite` replaced at the end: in one step where the system can exchange folders (Linux),
    else a folder in two, and the next run makes good a kill between them. The files `replaced`,
    beside the target, go when it is replaced. Raises TargetError for what the file system refuses.
    """
    target = Path(os.path.abspath(target))
    refuse_existing(target, overwrite=overwrite)
    made: list[Path] = []
    try:
        with _staging_for(target, made) as folder:
            staged = folder / _NEW / target.name
            with suppress(FileNotFoundError):
                staged.lstat()  # says now that a name is too long, in the system's own words
            yield staged
            with undisturbed(), _in_turn(target.parent):
                _appear(folder, target, overwrite, replaced)
    except BaseException as error:
        with undisturbed():
            for parent in reversed(made):
                with suppress(OSError):
                    parent.rmdir()
        if isinstance(error, OSError) and not isinstance(error, MnistprepError):
            raise TargetError(f"cannot write {target}: {describe(error)}") from error
        raise


def refuse_existing(target: Path, *, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Raise TargetError when `target` is there and must stay.

    That is without `overwrite`; and with it when the target is, or holds, one of the `sources`, the
    working folder or the home folder, and when it is neither file nor folder nor link. What killed
    processes have left, beside it and among temporary files, is made good first.
    """
    for folder in (Path(os.path.abspath(target)).parent, *_temporary()):
        remove_leftovers(folder)
    try:
        mode = os.lstat(target).st_mode
    except OSError:
        return
    if not overwrite:
        raise TargetError(f"{target} exists already; choose another path or pass --overwrite")
    whole, here, home = _real(target), Path.cwd(), _real(Path(os.path.expanduser("~")))
    if whole in (here, *here.parents, home, *home.parents):
        raise TargetError(f"{target} is a folder that work goes on in; it is never overwritten")
    for source in sources:
        if whole in (_real(source), *_real(source).parents):
            raise TargetError(f"{target} is or holds the source {source}; it is not overwritten")
    if not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise TargetError(f"{target} is neither a file nor a folder; it is never overwritten")


def _real(path: Path) -> Path:
    """The path without links; unlike Path.resolve of older Pythons it takes a loop of them."""
    return Path(os.path.realpath(path))


def _temporary() -> list[Path]:
    with suppress(OSError):  # there is no folder for temporary files
        return [Path(tempfile.gettempdir())]
    return []


def remove_leftovers(folder: Path) -> None:
    """Remove staging folders whose process was killed: nobody holds their lock any more.

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
            if any((entry / _NEW).glob("*")):  # killed before that was in the place of what is old
                for aside in (entry / _OLD).glob("*"):
                    with suppress(TargetError):
                        _renames.place(aside, entry.parent / aside.name)
            else:  # or after it
                for paper in (entry / _BESIDE).glob("*"):
                    os.replace(paper, entry.parent / paper.name)
            shutil.rmtree(entry)
        finally:
            os.close(descriptor)


def _may_live_elsewhere(entry: Path) -> bool:
    if entry.name.startswith(_prefix()):
        return False
    changed = max(path.lstat().st_mtime for path in (entry, *entry.glob("*"), *entry.glob("*/*")))
    return time.time() - changed < _FOREIGN_AGE


def _prefix() -> str:
    """How names of this machine's staging folders start."""
    return f"{_PREFIX}{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"


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


def discard_staging() -> None:
    """Remove what this process stages and could not remove, when there is nothing else to do."""
    for folder in list(_staging):
        _discard(folder)


def _discard(folder: Path) -> None:
    with undisturbed():
        lock = _staging.get(folder, -1)
        _staging[folder] = -1
        if lock >= 0:
            os.close(lock)  # first, since removing takes descriptors, which may be what is short
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            del _staging[folder]


def _new_folder(parent: Path) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(), suffix=_SUFFIX, dir=parent))
        _staging[folder] = -1
        try:
            if _locked(folder):
                for name in (_NEW, _OLD, _BESIDE):
                    (folder / name).mkdir()
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


@contextmanager
def _staging_for(target: Path, made: list[Path]) -> Iterator[Path]:
    """A staging folder beside the target; the folders that are made for it go into `made`."""
    for attempt in range(_TRIES):
        with ExitStack() as stack:
            try:
                with undisturbed():
                    _make_parents(target.parent, made)
                folder = stack.enter_context(staging_folder(target.parent))
            except FileNotFoundError:
                # Another process that failed has taken away what it had made and we use.
                if attempt == _TRIES - 1:
                    raise
                continue
            yield folder
            return


def _make_parents(folder: Path, made: list[Path]) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir()
            made.append(path)


@contextmanager
def _in_turn(folder: Path) -> Iterator[None]:
    """One process at a time, so that what lies beside a target is of the same run as the target.

    A lock on the folder itself, which a kill drops and which leaves nothing. Where there is none,
    or somebody holds it for long, the block runs all the same.
    """
    if sys.platform == "win32" or folder in _staging:  # which nobody else writes to
        yield
        return
    try:
        lock = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that takes files and does not list them
        yield
        return
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_TURN)
            except OSError:
                break
        yield
    finally:
        os.close(lock)


def _appear(folder: Path, target: Path, overwrite: bool, replaced: Iterable[Path]) -> None:
    """Move what is staged into place: the target, then what belongs beside it."""
    staged, old = folder / _NEW / target.name, folder / _OLD
    papers: list[Path] = []
    for path in staged.parent.iterdir():
        if path != staged:  # so that what is left here tells whether the target has appeared
            papers.append(path.rename(folder / _BESIDE / path.name))
    aside: dict[Path, Path] = {}
    if not overwrite and os.path.lexists(target):
        raise TargetError(f"{target} came into being meanwhile; it is left as it is")
    try:
        for path in {*replaced, *(target.with_name(paper.name) for paper in papers)}:
            with suppress(FileNotFoundError):
                os.rename(path, old / path.name)
                aside[old / path.name] = path
        _move(staged, target, old / target.name, overwrite)
    except BaseException:
        for moved, path in aside.items():
            os.rename(moved, path)
        raise
    for moved in aside:
        moved.unlink()
    for paper in papers:
        os.replace(paper, target.with_name(paper.name))


def _move(staged: Path, target: Path, aside: Path, overwrite: bool) -> None:
    if not overwrite:
        _renames.place(staged, target)
        return
    for attempt in range(_TRIES):  # others may be at the same target
        try:
            if not staged.is_dir() and not target.is_dir():
                os.replace(staged, target)
            elif not os.path.lexists(target):
                _renames.place(staged, target)
            elif not _renames.renamed(staged, target, _renames.EXCHANGE):
                _swap(staged, target, aside)
            return
        except (FileNotFoundError, TargetError):
            if attempt == _TRIES - 1 or not os.path.lexists(staged):
                raise


def _swap(staged: Path, target: Path, aside: Path) -> None:
    """Replace the target in two steps, where the system has no single one."""
    os.rename(target, aside)
    try:
        _renames.place(staged, target)
    except BaseException:
        with suppress(TargetError):
            _renames.place(aside, target)
        raise
    finally:
        if os.path.lexists(aside):
            aside.rename(Path(tempfile.mkdtemp(dir=staged.parent)) / "replaced")


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
        try:
            return file.read(size)
        except OSError as error:
            error.filename = str(path)  # which the system says of opening only
            raise


def document(path: Path, what: str) -> bytes:
    """All of a file that is a text about a dataset, `what`.

    Raises FormatError for one that is longer than any of these, OSError.
    """
    with path.open("rb") as file:
        size = min(os.fstat(file.fileno()).st_size, _DOCUMENT)
        data = file.read(size + 1)
    if len(data) > size:  # what grows without an end has no size
        raise FormatError(f"{path}: larger than any {what}")
    return data


@contextmanager
def unreplaced(path: Path) -> Iterator[None]:
    """What is read in the block is one file or folder, and not parts of two.

    Raises FormatError, in place of what the block raises too, when another one has taken its place.
    """
    descriptor = -1
    if path.is_file() or path.is_dir():  # a pipe would block
        with suppress(OSError):  # Windows opens no folders
            descriptor = os.open(path, os.O_RDONLY)
    try:
        yield
    except (OSError, MnistprepError):
        _check_same(path, descriptor)
        raise
    else:
        _check_same(path, descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _check_same(path: Path, descriptor: int) -> None:
    if descriptor < 0:
        return
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return
    raise FormatError(f"{path} was replaced or removed while it was read; read it again")
