"""The cache as it is found: rotten, in the way, full, with the rest of a broken fetch."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import pytest
from httpserver import Server, cut, running, status
from tinydata import (
    BODY,
    FIRST,
    NAMES,
    OTHER,
    TINY,
    assert_fetched,
    assert_nothing,
    in_new_process,
    publish,
)

from mnistprep.catalog import Published
from mnistprep.download import fetch
from mnistprep.errors import FetchError, TargetError, UsageError

linux = pytest.mark.skipif(sys.platform != "linux", reason="links, pipes and locks as Linux has")
pytestmark = pytest.mark.usefixtures("cache")


def as_folder(path: Path, elsewhere: Path) -> None:
    """A folder, with something in it, as some archivers make of a compressed file."""
    path.mkdir()
    (path / "readme").write_text("hello")


def as_link(path: Path, elsewhere: Path) -> None:
    """A link to a file elsewhere."""
    path.symlink_to(elsewhere)


def as_loop(path: Path, elsewhere: Path) -> None:
    """A link to itself."""
    path.symlink_to(path)


def as_pipe(path: Path, elsewhere: Path) -> None:
    """A pipe, which blocks whoever opens it."""
    os.mkfifo(path)


def as_page(path: Path, elsewhere: Path) -> None:
    """A web page."""
    path.write_text("<!DOCTYPE html>")


def as_rotten(path: Path, elsewhere: Path) -> None:
    """The right file, one bit changed."""
    body = TINY.get(path.name, TINY[NAMES[0]])
    path.write_bytes(body[:50] + bytes([body[50] ^ 1]) + body[51:])


def as_empty(path: Path, elsewhere: Path) -> None:
    """An empty file."""
    path.write_bytes(b"")


IN_THE_WAY = {
    made.__name__.removeprefix("as_"): made
    for made in (as_folder, as_link, as_loop, as_pipe, as_page, as_rotten, as_empty)
}
REFUSED = {"pipe", "loop"}


@linux
@pytest.mark.parametrize("what", IN_THE_WAY)
def test_something_else_in_the_place_of_a_file(
    what: str, server: Server, tiny: Published, cache: Path, tmp_path: Path
) -> None:
    """It is replaced by the right file or named; a file that a link leads to is left alone."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(OTHER[NAMES[0]])
    (cache / "tiny").mkdir(parents=True)
    IN_THE_WAY[what](cache / "tiny" / NAMES[0], elsewhere)
    try:
        assert_fetched(fetch("tiny"))
    except TargetError as error:
        assert what in REFUSED
        assert NAMES[0] in str(error)
    assert elsewhere.read_bytes() == OTHER[NAMES[0]]


@linux
@pytest.mark.parametrize("what", IN_THE_WAY)
@pytest.mark.parametrize("suffix", [".part", pytest.param(".tag", marks=pytest.mark.slow)])
def test_something_else_in_the_place_of_a_partial_file(
    what: str, suffix: str, server: Server, tiny: Published, cache: Path, tmp_path: Path
) -> None:
    """What a broken fetch has left is used only if it can be; nothing is written through a link."""
    server.faults[FIRST] = [cut(BODY, 500), *[status(503, Retry_After=999)]]
    with pytest.raises(FetchError):
        fetch("tiny")
    (left,) = (cache / "tiny.downloads").glob(f"*{suffix}")
    left.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(OTHER[NAMES[0]][:900])
    IN_THE_WAY[what](left, elsewhere)
    assert_fetched(fetch("tiny"))
    assert elsewhere.read_bytes() == OTHER[NAMES[0]][:900]
    assert not (cache / "tiny.downloads").exists()


@linux
@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "tiny.downloads", "tiny.lock"])
@pytest.mark.parametrize("what", IN_THE_WAY)
def test_something_else_in_the_place_of_a_folder_or_the_lock(
    what: str, name: str, server: Server, tiny: Published, cache: Path, tmp_path: Path
) -> None:
    """The fetch succeeds, or says that the cache cannot be written; nothing outside changes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    cache.mkdir()
    IN_THE_WAY[what](cache / name, elsewhere)
    try:
        fetch("tiny")
    except TargetError as error:
        assert str(cache) in str(error)
    else:
        assert all((cache / "tiny" / file).read_bytes() == TINY[file] for file in NAMES)
    assert elsewhere.read_bytes() == b"mine"


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Without the superuser's right to everything; what is imported already can still be used."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_what_may_not_be_read_or_written(
    server: Server, tiny: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable file is fetched again; a folder that may not be written or entered is named."""
    with TemporaryDirectory() as place:  # which others may enter, as pytest's own they may not
        os.chmod(place, 0o777)
        home = Path(place) / "cache"
        monkeypatch.setenv("MNISTPREP_HOME", str(home))
        server.faults[FIRST] = status(404)
        with pytest.raises(FetchError):
            fetch("tiny")
        server.faults.clear()
        rmtree(home)
        with ordinary_user():
            folder = fetch("tiny")
            server.seen.clear()
            (folder / NAMES[0]).chmod(0)
            assert_fetched(fetch("tiny"))
            assert len(server.seen) == 1
            home.chmod(0o555)
            assert_fetched(fetch("tiny"))
            (folder / NAMES[0]).write_bytes(b"x")
            errors = []
            for closed, mode in ((home, 0o555), (folder, 0), (home, 0)):
                closed.chmod(mode)
                with pytest.raises(TargetError, match="cannot be written") as caught:
                    fetch("tiny")
                errors.append(str(caught.value))
            home.chmod(0o755)
            folder.chmod(0o755)
            (home / "tiny.lock").chmod(0)
            with pytest.raises(TargetError, match="cannot be written"):
                fetch("tiny")
            (home / "tiny.lock").chmod(0o644)
            assert_fetched(fetch("tiny"))
        assert all("Permission denied" in e and "set MNISTPREP_HOME" in e for e in errors)


def test_another_dataset_in_the_cache(server: Server, tiny: Published, cache: Path) -> None:
    """Right names prove nothing; wrong content is replaced."""
    (cache / "tiny").mkdir(parents=True)
    for name, body in OTHER.items():
        (cache / "tiny" / name).write_bytes(body)
    assert_fetched(fetch("tiny"))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process as POSIX has them")
@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_no_room_in_the_cache(room: int, server: Server, tiny: Published, cache: Path) -> None:
    """Out of room at any point: an error, nothing partial, and the next fetch goes on."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(TargetError, match=r"File too large"):
            fetch("tiny")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert_nothing(cache, *NAMES)
    assert_fetched(fetch("tiny"))
    assert not (cache / "tiny.downloads").exists()


# What a broken fetch leaves


def test_leftovers_go_when_nothing_is_missing(server: Server, tiny: Published, cache: Path) -> None:
    """Files put there by hand make a broken download needless: it is removed, as is staging."""
    server.faults[FIRST] = [cut(BODY, 500), *[status(503, Retry_After=999)]]
    with pytest.raises(FetchError):
        fetch("tiny")
    (cache / "tiny").mkdir(exist_ok=True)
    for name, body in TINY.items():
        (cache / "tiny" / name).write_bytes(body)
    staging = cache / "tiny" / ".mnistprep-abc.partial"
    (staging / "new").mkdir(parents=True)
    (staging / "old").mkdir()
    for path in (staging / "new", staging / "old", staging):
        os.utime(path, (0, 0))
    server.seen.clear()
    assert_fetched(fetch("tiny"))
    assert not (cache / "tiny.downloads").exists()
    assert server.seen == []


def test_leftovers_of_one_mirror_go_with_the_success_of_another(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """What the first mirror sent before it broke off is not kept for ever."""
    with running() as bad:
        bad.faults[FIRST] = cut(BODY, 500)
        publish(monkeypatch, (bad.base, server.base))
        assert_fetched(fetch("tiny"))
    assert {path.name for path in cache.iterdir()} <= {"tiny", "tiny.lock"}


@pytest.mark.parametrize("rot", [b"", b"\0" * 500, b"x" * 200_000, BODY[:300] + b"?" * 200])
def test_a_rotten_leftover_does_no_harm(
    rot: bytes, server: Server, tiny: Published, cache: Path
) -> None:
    """Whatever has become of a partial file, the content decides, and the fetch succeeds."""
    server.faults[FIRST] = [cut(BODY, 500), *[status(503, Retry_After=999)]]
    with pytest.raises(FetchError):
        fetch("tiny")
    (left,) = (cache / "tiny.downloads").glob("*.part")
    left.write_bytes(rot)
    assert_fetched(fetch("tiny"))


@pytest.mark.parametrize("rot", [b"", b'"x\r\nRange: bytes=7-"', b"\xff\0" * 99, b'"other"'])
def test_a_rotten_tag_does_no_harm(
    rot: bytes, server: Server, tiny: Published, cache: Path
) -> None:
    """A tag that no header can hold is not sent, and one of another file gets the whole file."""
    server.faults[FIRST] = [cut(BODY, 500), *[status(503, Retry_After=999)]]
    with pytest.raises(FetchError):
        fetch("tiny")
    (left,) = (cache / "tiny.downloads").glob("*.tag")
    left.write_bytes(rot)
    assert_fetched(fetch("tiny"))


# No network

NO_SOCKET = """
import socket
def refuse(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"{event} {arguments}")
sys.addaudithook(refuse)
from mnistprep.errors import OfflineError
try:
    print(fetch('tiny', sys.argv[2:]))
except OfflineError as error:
    print("offline", str(error).count("MNISTPREP_OFFLINE is set"))
"""


@pytest.mark.parametrize("mirror", ["", "http://localhost:9/", "http://localhost:9/tiny.npz"])
def test_offline_mode_opens_no_socket(
    mirror: str, server: Server, tiny: Published, tmp_path: Path
) -> None:
    """Neither a name is looked up nor a connection made, as the interpreter itself sees it."""
    mirrors = [mirror] if mirror else []
    proxy = {"http_proxy": "http://localhost:9/"}
    code = f"exec({NO_SOCKET!r})"
    found = in_new_process(tiny, tmp_path, code, *mirrors, MNISTPREP_OFFLINE="1", **proxy)
    assert found.communicate()[0].split() == ["offline", str(1 + len(mirrors))]
    assert server.seen == []


def test_a_mirror_that_is_no_path_either(tiny: Published) -> None:
    """What no file system takes as a name is a wrong call."""
    for name in ("a\0b", "file:///a%00b", "x" * 5000, "file:///nowhere", "file://host/x"):
        with pytest.raises(UsageError):
            fetch("tiny", [name])
