"""Bringing a published dataset into the cache, proven by the digests of its content."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from mnistprep import catalog
from mnistprep._content import is_content
from mnistprep._files import existing
from mnistprep._progress import Progress, quiet
from mnistprep._published import Content, IdxFile, Published
from mnistprep._search import (
    Search,
    display,
    join,
    search_idx,
    search_mirrors,
    search_path,
    search_whole,
)
from mnistprep._staging import remove_leftovers
from mnistprep._text import printable
from mnistprep.errors import FetchError, OfflineError, TargetError, UsageError, describe

if TYPE_CHECKING:
    from filelock import BaseFileLock

HANGS = 900.0  # seconds in which a process that fetches leaves no sign in the cache
_FILE_NAME = re.compile(r".+\.[0-9]*[a-z][a-z0-9]*", re.IGNORECASE)  # v1.0 is a folder


def fetch(
    name: str = "mnist",
    mirrors: Sequence[str | Path] = (),
    *,
    progress: Progress = quiet,
) -> Path:
    """The folder with the files of a dataset, verified now; downloads what is needed.

    IDX files are uncompressed, unless only the digests of the compressed ones are known.

    Sources in order: the cache; `mirrors`, each a URL (of a folder or of one file) or a local
    folder or file in any form that mnistprep reads; the environment's MNISTPREP_MIRROR; the
    published mirrors. With MNISTPREP_OFFLINE set no socket is opened. Any number of processes may
    ask at once; one of them downloads.

    Raises UnknownName, MissingPath, UsageError for a mirror that is neither URL nor path and for a
    dataset that needs no download, TargetError when the cache cannot be written, and FetchError
    (OfflineError) with every attempt when no source is left.
    """
    row = catalog.get(name)
    if row.by_hand:
        raise UsageError(f"{name} is not downloaded by mnistprep: {row.by_hand}")
    if not row.files:
        raise UsageError(f"{name} is made by mnistprep itself; there is nothing to fetch")
    if isinstance(mirrors, (str, Path)):
        mirrors = (mirrors,)
    sources = [_source(mirror) for mirror in mirrors]
    folder = cache_dir() / (row.folder or row.name)
    if not _missing(row, folder):
        _tidy(folder)
        return folder
    with _only_process(folder, progress):
        partials = _partials(folder)
        search = Search(row, folder, partials, _missing(row, folder), progress)
        try:
            _run(search, sources)
        except OSError as error:
            raise _unwritable(folder, error) from error
        if search.needed:
            raise _nothing_left(search)
        rmtree(partials, ignore_errors=True)
    return folder


def cache_dir() -> Path:
    """MNISTPREP_HOME, else XDG_CACHE_HOME/mnistprep, else ~/.cache/mnistprep; it need not exist.

    Raises UsageError when there is no home folder, or no working folder for a relative path.
    """
    if own := os.environ.get("MNISTPREP_HOME"):
        try:
            return Path(os.path.abspath(os.path.expanduser(own)))
        except FileNotFoundError:
            raise UsageError(
                f"MNISTPREP_HOME is {own}, and the working folder is not there any more; "
                "change to another one, or set a whole path"
            ) from None
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # a relative one is to be ignored (XDG Base Directory Specification)
        return Path(shared) / "mnistprep"
    # Of an empty HOME, expanduser makes the root folder.
    home = os.path.expanduser("~") if os.environ.get("HOME", "~") else ""
    if not os.path.isabs(home):
        raise UsageError("no home folder to keep the cache in; set MNISTPREP_HOME to a folder")
    return Path(home) / ".cache" / "mnistprep"


def local_sources(mirrors: Sequence[str | Path]) -> list[Path]:
    """What `fetch` would read on this machine: local mirrors, and the cache where there is one.

    Raises MissingPath and UsageError for mirrors as `fetch` does.
    """
    found = [_source(mirror) for mirror in mirrors]
    if value := os.environ.get("MNISTPREP_MIRROR"):
        with suppress(UsageError):  # `fetch` says so where it matters
            found.append(_source(value))
    with suppress(UsageError):
        found.append(cache_dir())
    return [source for source in found if isinstance(source, Path)]


def is_offline() -> bool:
    """Whether MNISTPREP_OFFLINE forbids the network."""
    return os.environ.get("MNISTPREP_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def _run(search: Search, sources: Sequence[str | Path]) -> None:
    search_idx(search, search.folder)  # whatever a person has put there, compressed or not
    if search.row.archive:
        from mnistprep._zipped import search_kept

        search_kept(search)
    for source in sources:
        _ask(search, source)
    if search.needed and (value := os.environ.get("MNISTPREP_MIRROR")):
        try:
            _ask(search, _source(value))
        except UsageError as error:
            search.failed("MNISTPREP_MIRROR", error)
    if search.needed:
        _ask_published(search)


def _ask(search: Search, source: str | Path) -> None:
    if not search.needed:
        return
    if isinstance(source, Path):
        try:
            search_path(search, source, str(source))
        except OSError as error:  # what cannot be written is a TargetError
            search.failed(str(source), f"cannot be read: {describe(error)}")
    elif is_offline():
        search.failed(display(source), "not tried: MNISTPREP_OFFLINE is set")
    elif search.row.archive and urlsplit(source).path.lower().endswith(".zip"):
        _ask_archive(search, [source])
    elif _is_file_url(source):
        search_whole(search, source)
    else:
        search_mirrors(search, [source], ["packed", "plain"])
        if search.row.archive:
            _ask_archive(search, [join(source, search.row.archive.content.name)])
        urls = [(join(source, whole.content.name), whole.content) for whole in search.row.whole]
        _ask_whole(search, urls)
        if not source.endswith("/"):
            _ask_whole(search, [(source, Content(""))])  # a file whose URL does not look like one


def _ask_published(search: Search) -> None:
    if is_offline():
        search.failed("the published mirrors", "not tried: MNISTPREP_OFFLINE is set")
        return
    row, network = search.row, search.network
    search_mirrors(search, row.mirrors, ["packed"])
    if row.mirrors and all(map(network.is_dead, row.mirrors)):
        return  # there is no network; further hosts would only take further seconds
    _ask_whole(search, [(url, whole.content) for whole in row.whole for url in whole.urls])
    if row.archive:
        _ask_archive(search, row.archive.urls)


def _ask_archive(search: Search, urls: Sequence[str]) -> None:
    from mnistprep._zipped import search_archive

    for url in urls:
        if search.needed and search.row.archive and not search.network.is_dead(url):
            search_archive(search, search.row.archive, url)


def _ask_whole(search: Search, urls: Sequence[tuple[str, Content]]) -> None:
    for url, content in urls:
        if search.needed and not search.network.is_dead(url):
            search_whole(search, url, content.size)


def _missing(row: Published, folder: Path) -> list[IdxFile]:
    return [file for file in row.files if not is_content(folder / file.kept.name, file.kept)]


def _source(value: str | Path) -> str | Path:
    """A mirror as an http(s) URL or as a path that exists."""
    scheme = re.match(r"([a-z][a-z0-9+.-]+)://", str(value), re.IGNORECASE)
    if not isinstance(value, str) or not scheme:
        if not str(value) or "\0" in str(value):
            raise UsageError(f"a mirror is a URL or a path, not {str(value)!r}")
        return existing(Path(os.path.expanduser(value)))
    local = ""
    with suppress(ValueError):  # what is no URL, in one of many ways
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return urlunsplit(parts)
        if parts.scheme == "file" and parts.hostname in (None, "localhost"):
            local = url2pathname(parts.path)
    if local and "\0" not in local:
        return existing(Path(local))
    # A password may hold what ends the part of a URL that has it, so all before the last @ goes.
    shown = re.sub(r"(?<=://).*@|[?#].*", "", value, flags=re.DOTALL)
    raise UsageError(f"{shown}: a mirror is an http or https URL, or a local file or folder")


def _is_file_url(url: str) -> bool:
    name = urlsplit(url).path.rpartition("/")[2]
    files = [file for row in catalog.DATASETS.values() for file in row.files]
    published = {content.name for file in files for content in (file.plain, file.packed)}
    return name in published or _FILE_NAME.fullmatch(name) is not None


def _partials(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.downloads")


def _tidy(folder: Path) -> None:
    """Remove what a process left that was killed when all was there."""
    with suppress(OSError, NotImplementedError):
        remove_leftovers(folder)
        if _partials(folder).exists():
            with _lock(folder).acquire(timeout=0):
                rmtree(_partials(folder))


def _lock(folder: Path) -> BaseFileLock:
    from filelock import FileLock

    path = folder.with_name(f"{folder.name}.lock")
    if path.is_symlink():  # filelock before 3.20.1 would empty the file that it leads to
        raise OSError(errno.ELOOP, "a link where the lock should be", str(path))
    return FileLock(path)


@contextmanager
def _only_process(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the dataset's lock, which goes with the process however that ends.

    Another process is waited for as long as it does something.
    """
    from filelock import Timeout

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"waiting for another process that fetches {folder.name}")
            before, since = _signs(folder), time.monotonic()
            while not lock.is_locked:
                with suppress(Timeout):
                    lock.acquire(timeout=1)
                if (now := _signs(folder)) != before:
                    before, since = now, time.monotonic()
                if not lock.is_locked and time.monotonic() - since > HANGS:
                    raise TargetError(
                        f"another process holds {lock.lock_file} and has done nothing for "
                        f"{HANGS:,g} s; end it, or set MNISTPREP_HOME to another folder"
                    ) from None
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise _unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def _signs(folder: Path) -> list[tuple[str, int, int]]:
    """What changes while a process fetches."""
    found = []
    for place in (folder, _partials(folder)):
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                found.append((entry.path, about.st_size, about.st_mtime_ns))
    return sorted(found)


def _unwritable(folder: Path, error: Exception) -> TargetError:
    reason = describe(error) if isinstance(error, OSError) else str(error)
    return TargetError(
        f"the cache {folder.parent} cannot be written: {reason}; "
        "make room or set MNISTPREP_HOME to another folder"
    )


def _nothing_left(search: Search) -> FetchError:
    """The error that says what is missing, what was tried, and what to do by hand."""
    row = search.row
    names = [file.kept.name for file in search.needed]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    lines = [f"cannot get {row.title}: no source gave {names[0]}{more}; tried:"]
    lines += [f"  {source}: {reason}" for source, reason in search.attempts]
    packed = any(file.kept is not file.plain for file in search.needed)
    which = " (sizes and digests are of the uncompressed ones)"
    which = ", as they are published," if packed else which
    lines += [
        f"To do it by hand, get these files{which} and",
        f"put them{'' if packed else ', compressed or not,'} into {printable(str(search.folder))}",
        "or into any folder that is then given as --mirror FOLDER:",
    ]
    for file in search.needed:
        lines += [f"  {file.kept.name}: {_described(file.kept)}"]
        lines += [f"    {join(base, file.packed.name)}" for base in row.mirrors]
    if row.archive:
        content = row.archive.content
        lines += [f"All of them are in {content.name} ({_described(content)}), which will do too:"]
        lines += [f"    {url}" for url in row.archive.urls]
    lines += ["Without a network, --dataset synth works: digits drawn by mnistprep itself."]
    return (OfflineError if is_offline() else FetchError)("\n".join(lines))


def _described(content: Content) -> str:
    digest = f"SHA-256 {content.sha256}" if content.sha256 else f"MD5 {content.md5}"
    return digest if content.size is None else f"{content.size:,} bytes, {digest}"
