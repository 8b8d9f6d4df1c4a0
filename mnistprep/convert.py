"""Read, choose, write: from any form to any other."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from types import MappingProxyType
from typing import Any
from weakref import finalize

from mnistprep import (
    _archives,
    _extras,
    _limits,
    _outputs,
    _provenance,
    _temporary,
    _workers,
    formats,
)
from mnistprep._files import atomic_path, existing, refuse_existing, unreplaced
from mnistprep._progress import Progress, quiet
from mnistprep._provenance import Origin
from mnistprep._staging import staging_folder
from mnistprep._text import printable
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import (
    DataError,
    FormatError,
    MnistprepError,
    TargetError,
    UsageError,
    describe,
)
from mnistprep.selection import Selection, select

PathLike = str | os.PathLike[str]
_DEPTH = 2  # folders below a dataset's in which its files lie
_DATA = re.compile(  # names of files with examples
    r".*(ubyte|\.(csv|tsv|parquet|pq|np[yz]|pkl|pt|pth|safetensors|arrow|tar|tfrecord.*|h5|hdf5|mat"
    r"|arff|libsvm|svm))(\.(gz|bz2|xz))?",
    re.IGNORECASE,
)
_WORTH_A_PROCESS = 8 << 20  # bytes of pictures


@dataclass(frozen=True)
class Found:
    """A dataset with where it came from.

    format: the name of its format. path: where it was found: the path that was asked for, a folder
    in it, or, for what an archive held, the archive's path and the member's behind it. at: where
    that lies, a temporary folder for an archive's member, which goes with this object.
    """

    dataset: Dataset
    format: str
    path: Path
    at: Path
    _files: Mapping[str, tuple[Path, str]] = field(default_factory=dict)  # one for each split

    def places(self, split: str, indices: Sequence[int]) -> list[str]:
        """Where the examples `indices` of a split are, for messages to a person."""
        file, named = self._files.get(split, (self.at, split))
        try:
            found = formats.get(self.format).places(file, named, indices)
        except FormatError:  # not clear without the options that it was read with
            found = [f"{file}, {named}[{index}]" for index in indices]
        return [place.replace(str(self.at), str(self.path)) for place in found]


def read(
    path: PathLike,
    format: str | None = None,
    *,
    workers: int | None = None,
    max_bytes: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Dataset:
    """The dataset at `path`, in the named format or in the one its content shows.

    A zip, a tar or a compressed file around any form is opened. `options` are those of the format's
    `read`. Pictures may be memory-mapped: the files must stay as they are while the dataset is
    used. `max_bytes` is the most that a compressed or packed file may become: 1 GiB, or 100 times
    its size where that is more. Raises MissingPath, DetectionError, FormatError, UnknownName for an
    option, and TargetError when there is no room for temporary files.
    """
    return locate(
        path, format, workers=workers, max_bytes=max_bytes, progress=progress, **options
    ).dataset


def locate(
    path: PathLike,
    format: str | None = None,
    *,
    workers: int | None = None,
    max_bytes: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Found:
    """What `read` gives, with the name of the format and the path that it was found at."""
    where = existing(Path(path))
    try:
        with _limits.raised(max_bytes), unreplaced(where):
            known = formats.matches(where) if format is None else [format]
            if _archives.is_archive(where):
                claimed = known if format is None else formats.get(format).sniff(where)
                if not claimed:
                    return _in_archive(where, format, workers, progress, options)
            found = _found(where, known, workers, progress, options)
            _check_links(found)
            _check_document(found, progress)
            _note_others(found, format, progress)
            return found
    except DataError as error:
        raise FormatError(f"{where}: {error}") from error
    except MemoryError:
        raise FormatError(f"{where}: {_limits.TOO_LARGE}") from None
    except OSError as error:
        if isinstance(error, MnistprepError):
            raise
        if error.errno in _temporary.NO_ROOM:  # in reading, only temporary files are written
            raise _temporary.no_room(error, f"to read {where}") from error
        gone = Path(error.filename or where)
        own = where == gone or where in gone.parents or where.parent == gone.parent
        if isinstance(error, FileNotFoundError) and own and not gone.is_symlink():
            raise FormatError(
                f"{gone} was replaced or removed while {where} was read; read it again"
            ) from error
        raise FormatError(f"cannot read {where}: {describe(error)}") from error


def _found(
    where: Path,
    known: list[str],
    workers: int | None,
    progress: Progress,
    options: dict[str, Any],
) -> Found:
    """What is at a path that is of one of the `known` formats, or of none as a whole."""
    inside = {} if known else formats.within(where)
    formats.check_splits(where, inside)
    if parts := formats.split_files(inside):
        return _joined(where, *parts, workers, progress, options)
    name, where = formats.detect(where, known, inside)
    reader = formats.get(name).read
    formats.check_installed(name)
    formats.check_options(name, options, "read")
    with unreplaced(where):
        dataset = reader(where, progress=progress, **_given(reader, workers), **options)
    return Found(dataset, name, where, where)


def _check_links(found: Found) -> None:
    """Refuse data files that are links to nothing, without which the others seem to be whole.

    Trees of pictures have no links at all.
    """
    if found.format == "imagefolder" or not found.at.is_dir():
        return
    for folder, inner, names in os.walk(found.at):
        if len(Path(folder).relative_to(found.at).parts) >= _DEPTH:
            inner.clear()
        for name in filter(_DATA.fullmatch, names):
            path = Path(folder, name)
            if path.is_symlink() and not os.path.exists(path):
                raise FormatError(
                    f"{path}: a link to {os.readlink(path)}, which is not there; get that file, or "
                    "remove the link"
                )


def _check_document(found: Found, progress: Progress) -> None:
    """Refuse splits that have become smaller since they were written; say what else has changed.

    In forms that have no end, a part of a file, and even an empty file, is whole to its reader.
    """
    read = {name: len(split) for name, split in found.dataset.splits.items()}
    was, now = _provenance.sizes(found.at, read)
    for name in was.keys() & now.keys():
        if now[name] < was[name]:
            raise FormatError(
                f"{found.at}: {name} has {now[name]:,} examples, and had {was[name]:,} when it was "
                "written, says mnistprep.json; get it again, or remove `splits` from that file if "
                "fewer are meant"
            )
    if now != was:
        before, after = (", ".join(f"{k} {v:,}" for k, v in sizes.items()) for sizes in (was, now))
        progress.note(f"{found.at}: written with {before} examples, read with {after}")


def _note_others(found: Found, format: str | None, progress: Progress) -> None:
    """Say what else is there, where nobody has said which of it is meant."""
    if format is None and found.at.is_dir() and (others := formats.besides(found.at, found.format)):
        listed = printable(", ".join(others[:5]), 200)
        progress.note(f"{found.at}: read as {found.format}; not read: {listed}")


def _joined(
    where: Path,
    name: str,
    files: Mapping[str, Path],
    workers: int | None,
    progress: Progress,
    options: dict[str, Any],
) -> Found:
    """The dataset of a folder with a file for each split."""
    splits: dict[str, Split] = {}
    stored: dict[str, tuple[Path, str]] = {}
    classes: tuple[str, ...] = ()
    for split, file in files.items():
        one = _found(file, [name], workers, progress, options)
        _check_document(one, progress)
        part = one.dataset
        if len(part.splits) != 1:
            listed = " and ".join(part.splits)
            raise FormatError(f"{file} holds {listed} and is not alone in {where}; give its path")
        ((named, examples),) = part.splits.items()
        splits[split], stored[split] = examples, (file, named)
        shorter, longer = sorted((classes, part.classes), key=len)
        if longer[: len(shorter)] != shorter:
            raise FormatError(f"{file}: its classes are not those of the other files in {where}")
        classes = longer
    return Found(Dataset(where.name, splits, classes), name, where, where, stored)


def _in_archive(
    archive: Path,
    format: str | None,
    workers: int | None,
    progress: Progress,
    options: dict[str, Any],
) -> Found:
    kept = ExitStack()
    folder = kept.enter_context(staging_folder(Path(gettempdir())))
    top = folder / archive.name

    def shown(text: object) -> str:
        return str(text).replace(str(top), str(archive))

    try:
        _archives.unpack(archive, folder)
        claimed = formats.get(format).sniff(top) if format else formats.matches(top)
        inside = top if claimed else _only(top)
        known = formats.matches(inside) if format is None else [format]
        translated = _Translated(progress, shown)
        found = _found(inside, known, workers, translated, options)
        _check_document(found, translated)
        _note_others(found, format, translated)
    except BaseException as error:
        kept.close()
        if isinstance(error, (FormatError, DataError)):
            raise type(error)(shown(error)) from None
        raise
    found = replace(found, path=Path(shown(found.path)))
    finalize(found, kept.close)  # memory maps of removed files stay whole
    return found


def _only(folder: Path) -> Path:
    """What a folder holds where that is one thing, and so on inwards; else the folder."""
    while folder.is_dir() and len(inside := formats.visible(folder)) == 1:
        folder = inside[0]
    return folder


class _Translated:
    """A Progress whose texts name a file by another path than the reader sees."""

    def __init__(self, progress: Progress, shown: Callable[[object], str]) -> None:
        self._progress, self._shown = progress, shown
        self.advance = progress.advance

    def start(self, what: str, total: int | None, unit: str) -> None:
        self._progress.start(self._shown(what), total, unit)

    def note(self, message: str) -> None:
        self._progress.note(self._shown(message))


def write(
    dataset: Dataset,
    path: PathLike,
    format: str | None = None,
    *,
    origin: Origin | None = None,
    provenance: bool = True,
    croissant: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Path:
    """Write `dataset` to `path` in the named format, or in the one its name ends in.

    The path appears when everything is written, and not at all otherwise. `options` are those of
    the format's `write`. With `provenance`, what the dataset was made from (`origin`, or itself) is
    said in the mnistprep.json of a folder, or in <path>.mnistprep.json beside a file; `croissant`
    adds a croissant.json in the same place. Returns the path. Raises UsageError, TargetError,
    UnsupportedError.
    """
    if not isinstance(dataset, Dataset):
        raise UsageError(f"write takes a Dataset, not {type(dataset).__name__}")
    target = Path(path)
    if croissant and not provenance:
        raise UsageError("croissant metadata say what provenance says; they go together")
    name = formats.of_target(target) if format is None else format
    writer = formats.get(name).write
    formats.check_installed(name)
    formats.check_options(name, options)
    stale = _provenance.stale(target) if overwrite else []
    document: Callable[[], dict[str, Any]]
    document = partial(_provenance.document, dataset, name, options, origin or Origin(dataset))
    small = sum(split.images.nbytes for split in dataset.splits.values()) < _WORTH_A_PROCESS
    with ExitStack() as stack:
        staging = stack.enter_context(atomic_path(target, overwrite=overwrite, replaced=stale))
        if provenance and not small:  # its digests take as long as some formats take to write
            if _given(writer, workers):  # the format's own processes share what is loaded before
                for library in formats.get(name).NEEDS:
                    _extras.load(library)
            document = stack.enter_context(_workers.beside(document, workers=workers))
        writer(dataset, staging, progress=progress, **_given(writer, workers), **options)
        if provenance:
            content = document()
            # What lies beside a target that is one file.
            papers = _provenance.papers(dataset, staging, content, croissant=croissant)
            for paper, text in papers.items():
                beside = target.with_name(paper)
                _provenance.refuse_unknown(beside, overwrite=overwrite)
                _provenance.write_text(staging.with_name(paper), text)
    return target


def convert(
    source: PathLike,
    target: PathLike,
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    reading: Mapping[str, Any] = MappingProxyType({}),
    selection: Selection | None = None,
    croissant: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> Dataset:
    """Read `source`, keep what `selection` says, write it to `target`; returns what was written.

    `reading` are options of the source's format, `options` those of the target's. Raises what
    `read`, `select` and `write` raise; a target that must stay is refused first.
    """
    end = Path(target)
    refuse_existing(end, overwrite=overwrite, sources=[Path(source)])
    name = formats.of_target(end) if target_format is None else target_format
    formats.check_installed(name)
    formats.check_options(name, options)
    found = locate(source, source_format, workers=workers, progress=progress, **reading)
    dataset, where = found.dataset, found.path
    _outputs.refuse(end, overwrite=overwrite, sources=[where, Path(source)])
    # A tree would have pictures or folders that it did not have.
    spoilt = os.path.lexists(end) or "imagefolder" in (found.format, name)
    if spoilt and _outputs.lies_in(end, where):
        raise TargetError(
            f"{target} would be a part of the source {where}; choose a path outside the source"
        )
    chosen = dataset if selection is None else select(dataset, selection)
    origin = Origin(dataset, found.format, reading, selection)
    write(
        chosen, target, name, origin=origin, croissant=croissant, overwrite=overwrite,
        workers=workers, progress=progress, **options,
    )  # fmt: skip
    return chosen


def _given(function: Callable[..., object], workers: int | None) -> dict[str, int | None]:
    """The `workers` argument, for the formats that work example by example."""
    return {"workers": workers} if "workers" in inspect.signature(function).parameters else {}
