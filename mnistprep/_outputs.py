"""Where a command may write: never in the place of what it reads, nor twice in one place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from mnistprep._files import absolute, refuse_existing
from mnistprep.errors import MnistprepError, TargetError, UsageError


def refuse(
    target: Path,
    *,
    overwrite: bool,
    sources: Iterable[Path],
    own: Callable[[Path], bool] = lambda path: False,
) -> None:
    """Raise TargetError when `target` is there and must stay, as refuse_existing does.

    That is also when it lies in a folder that is one of the `sources`, unless `own` says that it is
    what the same command has written there before; and when it is of one dataset with a file that
    is one, such as the labels of pictures.
    """
    given = list(sources)
    refuse_existing(target, overwrite=overwrite, sources=given)
    if not os.path.lexists(target):
        return
    for source in given:
        if lies_in(target, source) and not _is(own, target):
            raise TargetError(
                f"{target} is a part of the source {source}; it is not overwritten: choose a path "
                "outside the source"
            )
        if _belongs_with(target, source):
            raise TargetError(
                f"{target} belongs with the source {source}; it is not overwritten: choose another "
                "path"
            )


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is in a folder or below it; a link is where it lies and where it leads."""
    whole = Path(os.path.realpath(folder))
    return whole in _place(path).parents or whole in Path(os.path.realpath(path)).parents


def refuse_same(one: Path, other: Path, names: str) -> None:
    """Raise UsageError when two files that a command is to write are one; names: the options."""
    if os.path.realpath(one) == os.path.realpath(other) or _place(one) == _place(other):
        raise UsageError(f"{names} are two files, and {one} is one; give each its own path")


def _place(path: Path) -> Path:
    """The path without links in its folders; it may be a link itself."""
    return Path(os.path.realpath(absolute(path.parent)), path.name)


def _is(own: Callable[[Path], bool], target: Path) -> bool:
    try:
        return own(target)
    except (OSError, MnistprepError):  # damaged, so it cannot be told
        return False


def _belongs_with(target: Path, source: Path) -> bool:
    """Whether a file is of one dataset with a file beside it that is read."""
    from mnistprep.formats import _idx_files, _npyparts, _sheets, _sidecar

    if _place(target).parent != _place(source).parent or not (
        source.is_file() and target.is_file()
    ):
        return False
    if target.name in {f"{source.name}.{kind}" for kind in _sidecar.OWN}:
        return True
    try:
        if None not in (_idx_files.compressed(source), _idx_files.compressed(target)):
            return True
        beside = [part.path for part in _npyparts.beside(source)]
    except (OSError, MnistprepError):  # damaged, which reading it says
        return False
    return _place(target) in map(_place, [*beside, *_sheets.labels_of(source)])
