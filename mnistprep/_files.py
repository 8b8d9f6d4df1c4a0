"""Files that are there whole or not at all, and what becomes of them on failure."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mnistprep import _renames
from mnistprep._interrupts import undisturbed
from mnistprep._staging import (
    BESIDE,
    NEW,
    OLD,
    appearing,
    is_staging,
    remove_leftovers,
    staging_folder,
)
from mnistprep.errors import FormatError, MissingPath, MnistprepError, TargetError, describe

if sys.platform != "win32":
    import fcntl

_DOCUMENT = 64 << 20  # bytes; a million class names fit
_TRIES = 500
_TURN = 0.01  # seconds


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
    target = absolute(target)
    refuse_existing(target, overwrite=overwrite)
    made: list[Path] = []
    try:
        with _staging_for(target, made) as folder:
            staged = folder / NEW / target.name
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
    working folder or the home folder, and when it is neither file nor folder, nor a link to one or
    to nothing. What killed processes have left, beside it and among temporary files, is made good
    first.
    """
    for folder in (absolute(target).parent, *_temporary()):
        remove_leftovers(folder)
    try:
        mode = os.lstat(target).st_mode
    except OSError:
        return
    if not overwrite:
        raise TargetError(f"{target} exists already; choose another path or pass --overwrite")
    whole, stays = _real(target), [_real(Path(os.path.expanduser("~")))]
    with suppress(OSError):  # the working folder was removed
        stays.append(Path.cwd())
    if any(whole in (folder, *folder.parents) for folder in stays):
        raise TargetError(f"{target} is a folder that work goes on in; it is never overwritten")
    for source in sources:
        if whole in (_real(source), *_real(source).parents):
            raise TargetError(f"{target} is or holds the source {source}; it is not overwritten")
    with suppress(OSError):  # a link to nothing
        mode = os.stat(target).st_mode
    if not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise TargetError(f"{target} is neither a file nor a folder; it is never overwritten")


def absolute(path: Path) -> Path:
    """The path from the root; raises TargetError where the working folder is gone."""
    try:
        return Path(os.path.abspath(path))
    except OSError:
        raise TargetError(
            f"{path}: the working folder is not there any more; change to another one"
        ) from None


def _real(path: Path) -> Path:
    """The path without links; unlike Path.resolve of older Pythons it takes a loop of them."""
    return Path(os.path.realpath(path))


def _temporary() -> list[Path]:
    with suppress(OSError):  # there is no folder for temporary files
        return [Path(tempfile.gettempdir())]
    return []


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
        if path.is_symlink():
            raise TargetError(
                f"{path} is a link to {os.readlink(path)}, which is not there; make that folder, "
                "or choose another path"
            )
        with suppress(FileExistsError):
            path.mkdir()
            made.append(path)


@contextmanager
def _in_turn(folder: Path) -> Iterator[None]:
    """One process at a time, so that what lies beside a target is of the same run as the target.

    A lock on the folder itself, which a kill drops and which leaves nothing. Where there is none,
    or somebody holds it for long, the block runs all the same.
    """
    if sys.platform == "win32" or is_staging(folder):  # which nobody else writes to
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
    staged, old = folder / NEW / target.name, folder / OLD
    papers: list[Path] = []
    for path in staged.parent.iterdir():
        if path != staged:
            papers.append(path.rename(folder / BESIDE / path.name))
    aside: dict[Path, Path] = {}
    if not overwrite and os.path.lexists(target):
        raise TargetError(f"{target} came into being meanwhile; it is left as it is")
    with appearing(folder, staged):
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
    try:
        os.rename(target, aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise TargetError(
            f"{target} cannot be replaced: it is a folder of a layer below, such as of the image "
            "of a container; remove it first, or choose another path"
        ) from None
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
    except ValueError as error:  # a NUL
        raise MissingPath(f"{path}: {error}") from None
    return path


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a regular file; nothing for anything else (a pipe would block).

    Nothing for what is not there either, if only by now: others may work in the same folder.
    """
    if not path.is_file():
        return b""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return b""
    with file:
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
