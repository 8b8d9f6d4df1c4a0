"""Fetching from servers that fail: the next mirror or a clear error, never a wrong byte."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
from downloadfaults import FAULTS, HARMLESS, LONG, damaged_answer
from httpserver import (
    Server,
    black_hole,
    cut,
    raw,
    redirect,
    running,
    status,
    trickle,
)
from tinydata import (
    BODY,
    FIRST,
    NAMES,
    TINY,
    assert_fetched,
    assert_nothing,
    fill,
    in_new_process,
    publish,
    wait_until,
)

from mnistprep import _http, download
from mnistprep._http_headers import retry_after
from mnistprep.catalog import Published
from mnistprep.download import fetch
from mnistprep.errors import FetchError, TargetError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in FAULTS],
)
def test_a_failing_mirror_leads_to_the_next(
    fault: str, monkeypatch: pytest.MonkeyPatch, server: Server, cache: Path
) -> None:
    """Alone, a failing mirror gives an error with its reason; before a good one, no harm."""
    happens, reason, most = FAULTS[fault]
    if "bytes" in reason:  # cut off by its size, on a slow machine too
        monkeypatch.setattr(_http, "READ_SECONDS", 5.0)
    server.faults["bad/" + FIRST] = happens
    publish(monkeypatch, (server.base + "bad/",))
    begin = time.monotonic()
    with pytest.raises(FetchError, match=rf"bad/{FIRST}: .*({reason})"):
        fetch("tiny")
    assert len(server.paths()) <= most
    assert server.sent < 20_000_000  # most of it waits in the system's buffers
    assert_nothing(cache)
    with running() as good:
        fill(good, "", TINY)
        publish(monkeypatch, (server.base + "bad/", good.base))
        assert_fetched(fetch("tiny"))
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_a_single_mirror_gets_over(fault: str, server: Server, tiny: Published) -> None:
    """Passing faults are retried, and what has the right content is right."""
    happens = HARMLESS[fault]
    server.faults[FIRST] = list(happens) if isinstance(happens, list) else happens
    server.files["moved/" + FIRST] = BODY
    assert_fetched(fetch("tiny"))


@pytest.mark.parametrize(
    "target",
    ["http://a..b/", f"http://{'x' * 100}.org/", "http://localhost:99999/", "http://[::1/",
     "http://localhost:0/", "http://a b/", "http://x\u00e9..y/"],
)  # fmt: skip
def test_a_redirection_to_no_address_costs_one_file(
    target: str, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """A mirror that sends one file nowhere is asked for the others, and the reason says it."""
    fill(server, "", TINY)
    location = target.encode().decode("latin-1")
    server.faults[FIRST] = redirect(location)
    with running() as good:
        good.files[FIRST] = BODY
        publish(monkeypatch, (server.base, good.base))
        assert_fetched(fetch("tiny"))
        assert good.paths() == ["/" + FIRST]
    assert len(server.paths()) == len(TINY)


def test_a_redirection_to_a_dead_host_is_called_that(server: Server, tiny: Published) -> None:
    """The reason names the host that was redirected to."""
    server.faults[FIRST] = redirect("http://nowhere.invalid/x")
    with pytest.raises(FetchError, match=r"redirects to nowhere\.invalid: "):
        fetch("tiny")


@pytest.mark.parametrize("form", ["seconds", pytest.param("date", marks=pytest.mark.slow)])
def test_retry_after_is_honoured(form: str, server: Server, tiny: Published) -> None:
    """A server that asks for a second gets it, as a number or as the time of day."""
    till = formatdate(time.time() + 2, usegmt=True)  # without the fractions of a second
    server.faults[FIRST] = [status(429, Retry_After=1 if form == "seconds" else till)]
    begin = time.monotonic()
    assert_fetched(fetch("tiny"))
    assert 0.9 <= time.monotonic() - begin < 10


@pytest.mark.parametrize("value", ["1", "0", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999"])
def test_retry_after_in_any_form_is_bounded(value: str) -> None:
    """What the header says is at least zero, or nothing at all."""
    response = requests.Response()
    response.headers["Retry-After"] = value
    assert retry_after(response) in (None, 0.0, 1.0)


def test_a_broken_transfer_resumes_where_it_broke(server: Server, tiny: Published) -> None:
    """The second request asks for the rest, on condition that the file is the same."""
    server.faults[FIRST] = [cut(BODY, 500)]
    fetch("tiny")
    ranges = [headers.get("Range") for path, headers in server.seen if path == f"/{FIRST}"]
    assert ranges == [None, "bytes=500-"]
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.seen)
    assert server.seen[1][1]["If-Range"].startswith('"')


def test_no_url_takes_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """Fast enough at every moment, a transfer ends all the same; the next one goes on."""
    monkeypatch.setattr(_http, "SLOWEST", 1)
    monkeypatch.setattr(_http, "LONGEST", 0.5)
    server.faults[FIRST] = trickle(BODY, 0.02)
    publish(monkeypatch, (server.base,))
    with pytest.raises(FetchError, match="takes too long; what has come is kept"):
        fetch("tiny")
    (left,) = (cache / "tiny.downloads").glob("*.part")
    have = left.read_bytes()
    assert BODY.startswith(have)
    server.faults.clear()
    assert_fetched(fetch("tiny"))
    assert server.seen[1][1]["Range"] == f"bytes={len(have)}-"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what a full queue gets")
def test_dead_hosts_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors that never answer cost one time-out each, the later ones side by side."""
    with black_hole() as one, black_hole() as two, black_hole() as three:
        publish(monkeypatch, (one, two, three))
        monkeypatch.setattr(_http, "CONNECT_SECONDS", 2.0)  # so that a busy machine does not matter
        begin = time.monotonic()
        with pytest.raises(FetchError) as caught:
            fetch("tiny")
        assert time.monotonic() - begin < 5.9
    assert str(caught.value).count("no answer within 2 s") == 3


@pytest.mark.parametrize(
    ("partial", "published", "step"),
    [(0, 9, "download"), (4, 9, "resume"), (9, 9, "use"), (5, None, "resume"), (20, 9, "download")],
)
def test_decide(partial: int, published: int | None, step: str) -> None:
    """Nothing or too much is dropped, a whole file is used, anything else is resumed."""
    assert _http.decide(partial, published, 20) == step


# Processes


def test_a_killed_process_is_resumed_by_the_next(
    server: Server, tiny: Published, tmp_path: Path, cache: Path
) -> None:
    """After SIGKILL no lock is left, nothing partial is seen, and what came is used."""
    server.faults[FIRST] = [cut(BODY, 500, how="stall")]
    process = in_new_process(tiny, tmp_path, "fetch('tiny')")
    parts = cache / "tiny.downloads"
    wait_until(lambda: any(part.stat().st_size == 500 for part in parts.glob("*.part")))
    process.kill()
    process.communicate()
    assert_nothing(cache)
    assert_fetched(fetch("tiny"))
    assert server.seen[1][1]["Range"] == "bytes=500-"
    assert not parts.exists()


def test_eight_processes_download_once(server: Server, tiny: Published, tmp_path: Path) -> None:
    """Started together on an empty cache, all succeed on one download."""
    code = "print(fetch('tiny'))"
    processes = [in_new_process(tiny, tmp_path, code) for _ in range(8)]
    folders = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    assert_fetched(Path(folders.pop()))
    assert not folders
    assert sorted(server.paths()) == sorted(f"/{name}.gz" for name in NAMES)


@pytest.mark.slow
def test_eight_processes_on_a_failing_server(
    server: Server, tiny: Published, tmp_path: Path
) -> None:
    """What breaks for one of them breaks for none of the others, and nothing is got twice."""
    server.faults[FIRST] = [cut(BODY, 500), status(503, Retry_After=1)]
    server.faults[NAMES[1] + ".gz"] = [lambda handler: handler.reset(), raw(b"\0")]
    processes = [in_new_process(tiny, tmp_path, "print(fetch('tiny'))") for _ in range(8)]
    folders = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    assert_fetched(Path(folders.pop()))
    assert not folders
    assert len(server.paths()) == 4 + 2 + 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_answers(
    seed: int, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads of answers changed at random: the right files or an error, then the right files."""
    chance = random.Random(seed)
    monkeypatch.setattr(_http, "PATIENCE", 0.1)
    publish(monkeypatch, (server.base,))
    for number in range(50):
        cache = tmp_path / str(number)
        monkeypatch.setenv("MNISTPREP_HOME", str(cache))
        start = [cut(BODY, 500)] if chance.random() < 0.4 else []
        server.faults[FIRST] = [*start, *(raw(damaged_answer(chance)) for _ in range(3))]
        begin = time.monotonic()
        try:
            assert_fetched(fetch("tiny"))
        except FetchError as error:
            assert f"{server.base}{FIRST}: " in str(error) or NAMES[0] not in str(error)
            assert str(error).replace("\n", "").isprintable()
            assert_nothing(cache, *NAMES)
            server.faults.pop(FIRST)
            assert_fetched(fetch("tiny"))
        assert time.monotonic() - begin < 10


def test_threads_download_once(server: Server, tiny: Published) -> None:
    """Threads of one process wait for each other as processes do."""
    threads = [threading.Thread(target=fetch, args=("tiny",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.paths()) == 4


# The lock

HOLD = (
    "import sys, time; from filelock import FileLock; "
    "lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); time.sleep(20)"
)


def holder(cache: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of the dataset and does nothing else."""
    cache.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cache / "tiny.lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


class Notes:
    """A Progress that keeps the notes."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self.notes: list[str] = []
        self._told = told

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Ignore the phase."""

    def advance(self, count: int) -> None:
        """Ignore the step."""

    def note(self, message: str) -> None:
        """Remember the line."""
        self.notes.append(message)
        self._told()


def test_the_lock_of_a_killed_process_is_free(server: Server, tiny: Published, cache: Path) -> None:
    """It goes with the process; one who waits for it goes on."""
    process = holder(cache)
    progress = Notes(process.kill)
    assert_fetched(fetch("tiny", progress=progress))
    process.communicate()
    assert progress.notes == ["waiting for another process that fetches tiny"]


def test_a_process_that_hangs_is_not_waited_for(
    server: Server, tiny: Published, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while without a sign of work the lock is named, and what to do."""
    monkeypatch.setattr(download, "HANGS", 0.2)
    process = holder(cache)
    try:
        with pytest.raises(TargetError, match=r"holds \S+tiny\.lock and has done nothing for"):
            fetch("tiny")
    finally:
        process.kill()
        process.communicate()
    assert_fetched(fetch("tiny"))


@pytest.mark.slow
def test_the_killed_one_of_several_processes(
    server: Server, tiny: Published, tmp_path: Path, cache: Path
) -> None:
    """While others wait, the one that downloads is killed: the next takes over what it has."""
    server.faults[FIRST] = [cut(BODY, 500, how="stall")]
    first = in_new_process(tiny, tmp_path, "fetch('tiny')")
    parts = cache / "tiny.downloads"
    wait_until(lambda: any(part.stat().st_size == 500 for part in parts.glob("*.part")))
    others = [in_new_process(tiny, tmp_path, "fetch('tiny')") for _ in range(2)]
    first.kill()
    first.communicate()
    for other in others:
        other.communicate()
    assert [other.returncode for other in others] == [0, 0]
    assert_fetched(cache / "tiny")
    assert [headers.get("Range") for path, headers in server.seen if path == f"/{FIRST}"] == [
        None,
        "bytes=500-",
    ]
