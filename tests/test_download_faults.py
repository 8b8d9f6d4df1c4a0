"""Fetching from servers that fail: the next mirror or a clear error, never a wrong byte."""

import gzip
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpserver import (
    Fault,
    Server,
    black_hole,
    cut,
    endless,
    plain,
    range_of,
    raw,
    redirect,
    refusing,
    running,
    serve,
    slow_head,
    status,
    trickle,
    wrong_range,
)
from tinydata import (
    BODY,
    FIRST,
    NAMES,
    OTHER,
    TINY,
    assert_fetched,
    assert_nothing,
    fill,
    in_new_process,
    isolated,
    publish,
    wait_until,
)

from mnistprep import _http
from mnistprep.catalog import Published
from mnistprep.download import fetch
from mnistprep.errors import FetchError

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache for every test, untouched by settings from outside."""
    return isolated(monkeypatch, tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with the four tiny files, compressed."""
    with running() as server:
        fill(server, "", TINY)
        yield server


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, server: Server) -> Published:
    """The tiny dataset, published on the server."""
    return publish(monkeypatch, (server.base,))


def flipped(body: bytes, at: int) -> bytes:
    """The bytes with one bit changed."""
    return body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :]


FAULTS: dict[str, tuple[Fault, str, int]] = {
    # fault, reason that the error must give, most requests that the mirror may get for it
    "forbidden": (status(403), "answers 403 Forbidden", 1),
    "missing": (status(404), "answers 404 Not Found", 1),
    "strange status": (status(299), "answers 299", 1),
    "no content": (status(204), "answers 204", 1),
    "unasked part": (status(206), "another range", 3),
    "too many": (status(429), "answers 429 Too Many Requests; tried 3 times", 3),
    "asks to wait": (status(503, Retry_After=3600), "503 .* asks to wait 3,600 s", 1),
    "asks to wait till": (
        status(503, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"),
        "503 .* asks to wait",
        1,
    ),
    "asks nonsense": (status(503, Retry_After="soon"), "503 .* tried 3 times", 3),
    "server error": (status(500), "answers 500", 3),
    "reset at once": (lambda handler: handler.reset(), "no connection", 3),
    "hangs up at once": (lambda handler: setattr(handler, "close_connection", True), "no conn", 3),
    "reset in the body": (cut(BODY, 10), "breaks off", 3),
    "closed in the body": (cut(BODY, 10, how="close"), "breaks off|ends after", 3),
    "stalls": (cut(BODY, 10, how="stall"), "stalls for 0.3 s", 3),
    "trickles": (trickle(BODY, 0.01), "too slowly", 1),
    "trickles its head": (slow_head, "no answer within 0.7 s", 1),
    "endless": (endless, "more than the [0-9,]+ bytes that can be right", 1),
    "promises too much": (plain(BODY, length=10**12), "offers 1,000,000,000,000 bytes", 1),
    "promises nonsense": (plain(BODY[:50], length=-7), "50 bytes of", 1),
    "truncated": (plain(BODY[:727]), f"727 bytes of {len(BODY):,}", 1),
    "too short a length": (plain(BODY, length=100), f"100 bytes of {len(BODY):,}", 1),
    "a bit flipped": (plain(flipped(BODY, 5000)), "SHA-256|damaged gzip", 1),
    "right length": (
        plain(gzip.compress(flipped(TINY[NAMES[0]], 5000))),
        "SHA-256 of the content is [0-9a-f]{64}, expected [0-9a-f]{64}",
        1,
    ),
    "web page": (plain(b" <!DOCTYPE HTML><title>Hi</title>"), "this is an HTML page", 1),
    "web page, packed": (plain(gzip.compress(b"<html>" * 9999)), "this is an HTML page", 1),
    "empty": (plain(b""), "0 bytes of", 1),
    "wrong dataset": (
        plain(gzip.compress(OTHER[NAMES[0]])),
        "this is OTHER's train-images-idx3-ubyte",
        1,
    ),
    "wrong file": (plain(TINY[NAMES[1]]), "this is TINY's train-labels-idx1-ubyte", 1),
    "bomb": (plain(gzip.compress(bytes(50_000_000))), "more than [0-9,]+ bytes when inflated", 1),
    "nested bomb": (
        plain(gzip.compress(gzip.compress(bytes(50_000_000)))),
        "more than [0-9,]+ bytes when inflated",
        1,
    ),
    "unknown encoding": (
        plain(b"\x1b\x03" + BODY[9:], Content_Encoding="br"),
        "holds [0-9,]+ bytes",
        1,
    ),
    "redirect loop": (lambda handler: redirect(handler.path)(handler), "redirects more than 5", 6),
    "redirect to a file": (redirect("file:///etc/passwd"), "insecure address", 1),
    "redirect to no address": (redirect("http://[::oops"), "no address", 1),
    "not HTTP": (raw(b"\x1b[31mSSH-2.0\r\n"), "the answer is not HTTP", 3),
    "not a chunk": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "breaks off",
        3,
    ),
    "a length of 5000 digits": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello"),
        "5 bytes of",
        1,
    ),
    "redirect to nowhere": (redirect("http://nowhere.invalid/"), "no address", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_mirror_leads_to_the_next(
    fault: str, monkeypatch: pytest.MonkeyPatch, server: Server, cache: Path
) -> None:
    """Alone, a failing mirror gives an error with its reason; before a good one, no harm."""
    happens, reason, most = FAULTS[fault]
    server.faults["bad/" + FIRST] = happens
    publish(monkeypatch, (server.base + "bad/",))
    begin = time.monotonic()
    with pytest.raises(FetchError, match=rf"bad/{FIRST}: .*({reason})"):
        fetch("tiny")
    assert len(server.paths()) <= most
    assert_nothing(cache)
    with running() as good:
        fill(good, "", TINY)
        publish(monkeypatch, (server.base + "bad/", good.base))
        assert_fetched(fetch("tiny"))
    assert time.monotonic() - begin < 5


HARMLESS: dict[str, Fault | list[Fault]] = {
    "busy once": [status(503, Retry_After=0)],
    "reset once": [lambda handler: handler.reset()],
    "breaks once": [cut(BODY, 500)],
    "breaks twice": [cut(BODY, 500), cut(BODY, 700, how="close")],
    "stalls once": [cut(BODY, 500, how="stall")],
    "ignores ranges": [cut(BODY, 500), plain(BODY)],
    "answers another range": [cut(BODY, 500), wrong_range(BODY)],
    "redirects": redirect("/moved/" + FIRST),
    "compressed twice": plain(gzip.compress(BODY), Content_Encoding="gzip"),
    "decompressed on the way": plain(TINY[NAMES[0]]),
    "recompressed": plain(gzip.compress(TINY[NAMES[0]], 1)),
    "stored, not compressed": plain(gzip.compress(TINY[NAMES[0]], 0)),
    "promises more than there is": plain(BODY, length=len(BODY) + 1000),
    "changed meanwhile": [cut(gzip.compress(OTHER[NAMES[0]]), 500), serve(BODY)],
    "changed meanwhile, tag ignored": [
        cut(gzip.compress(OTHER[NAMES[0]]), 500),
        range_of(BODY),
        serve(BODY),
    ],
}


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_a_single_mirror_gets_over(fault: str, server: Server, tiny: Published) -> None:
    """Passing faults are retried, and what has the right content is right."""
    happens = HARMLESS[fault]
    server.faults[FIRST] = list(happens) if isinstance(happens, list) else happens
    server.files["moved/" + FIRST] = BODY
    assert_fetched(fetch("tiny"))


def test_retry_after_is_honoured(server: Server, tiny: Published) -> None:
    """A server that asks for a second gets it."""
    server.faults[FIRST] = [status(429, Retry_After=1)]
    begin = time.monotonic()
    assert_fetched(fetch("tiny"))
    assert time.monotonic() - begin >= 1


def test_a_broken_transfer_resumes_where_it_broke(server: Server, tiny: Published) -> None:
    """The second request asks for the rest, on condition that the file is the same."""
    server.faults[FIRST] = [cut(BODY, 500)]
    fetch("tiny")
    ranges = [headers.get("Range") for path, headers in server.seen if path == f"/{FIRST}"]
    assert ranges == [None, "bytes=500-"]
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.seen)
    assert server.seen[1][1]["If-Range"].startswith('"')


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what a full queue gets")
def test_dead_hosts_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mirrors that never answer cost one time-out each, the later ones side by side."""
    with black_hole() as one, black_hole() as two, black_hole() as three:
        publish(monkeypatch, (one, two, three))
        begin = time.monotonic()
        with pytest.raises(FetchError) as caught:
            fetch("tiny")
        assert time.monotonic() - begin < 1.1
    assert str(caught.value).count("no answer within 0.4 s") == 3


@pytest.mark.parametrize(
    ("partial", "published", "step"),
    [(0, 9, "download"), (4, 9, "resume"), (9, 9, "use"), (5, None, "resume"), (20, 9, "download")],
)
def test_decide(partial: int, published: int | None, step: str) -> None:
    """Nothing or too much is dropped, a whole file is used, anything else is resumed."""
    assert _http.decide(partial, published, 20) == step


# TLS and proxies


def test_tls_is_verified_with_the_bundle_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A self-signed certificate is refused, unless the environment says to trust it."""
    with running(CERTIFICATE) as server:
        fill(server, "", TINY)
        publish(monkeypatch, (server.base,))
        with pytest.raises(
            FetchError, match=r"no trusted TLS connection .*self.signed certificate"
        ):
            fetch("tiny")
        assert server.seen == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
        with pytest.raises(FetchError, match=r"/nowhere/bundle\.pem"):
            fetch("tiny")
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert_fetched(fetch("tiny"))


def test_redirects_from_https_to_http_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encrypted request never goes on in the clear."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with running(CERTIFICATE) as secure:
        secure.faults[FIRST] = redirect(server.base + FIRST)
        publish(monkeypatch, (secure.base,))
        with pytest.raises(FetchError, match="redirects to an insecure address"):
            fetch("tiny")
    assert server.seen == []


def test_proxies_of_the_environment_are_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With http_proxy set, every request goes there; a proxy that is not there is named."""
    monkeypatch.setenv("http_proxy", server.base)
    publish(monkeypatch, ("http://mirror.invalid/",))
    assert_fetched(fetch("tiny"))
    assert server.paths()[0] == f"http://mirror.invalid/{FIRST}"
    monkeypatch.setenv("http_proxy", refusing())
    monkeypatch.setenv("MNISTPREP_HOME", os.environ["MNISTPREP_HOME"] + "2")
    with pytest.raises(FetchError, match="no connection"):
        fetch("tiny")


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


def test_threads_download_once(server: Server, tiny: Published) -> None:
    """Threads of one process wait for each other as processes do."""
    threads = [threading.Thread(target=fetch, args=("tiny",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.paths()) == 4
