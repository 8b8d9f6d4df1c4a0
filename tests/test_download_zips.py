"""Fetching out of a zip on a server that fails: bounded in time and bytes, never a wrong byte."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpserver import (
    Fault,
    Handler,
    Server,
    endless,
    etag_of,
    for_ever,
    part,
    plain,
    raw,
    redirect,
    refusing,
    running,
    status,
)
from zippeddata import BODY, FILES, ZIP, parts, publish_zip

from mnistprep.download import fetch
from mnistprep.errors import FetchError

SIZE = len(BODY)
TAIL = f"bytes {SIZE - 65536}-{SIZE - 1}/{SIZE}"
HEAD = f"HTTP/1.1 206 Partial\r\nContent-Range: {TAIL}\r\n".encode()


pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with the zip, which serves parts of it."""
    with running() as server:
        publish_zip(monkeypatch, server)
        yield server


def breaks_and_changes(handler: Handler) -> None:
    """Serve no tail; break in the middle of the whole; give other bytes for the rest of it."""
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if found:
        rest = bytes(SIZE - int(found[1]))
        span = f"bytes {found[1]}-{SIZE - 1}/{SIZE}"
        handler.head(206, Content_Length=len(rest), Content_Range=span)
        handler.wfile.write(rest)
    else:
        handler.head(200, Content_Length=SIZE)
        if "Range" not in handler.headers:
            handler.wfile.write(BODY[:1000])


def with_directory(**changed: int) -> bytes:
    """The zip with other figures in the record at its end: `size` and `offset` of the directory."""
    at = BODY.rindex(b"PK\5\6")
    record = list(struct.unpack("<4s4H2LH", BODY[at : at + 22]))
    record[5], record[6] = changed.get("size", record[5]), changed.get("offset", record[6])
    return BODY[:at] + struct.pack("<4s4H2LH", *record)


FAULTS: dict[str, Fault | list[Fault]] = {
    "breaks and changes, again and again": breaks_and_changes,
    "trickles its end": for_ever(HEAD + b"Content-Length: 65536\r\n\r\n", b"x", 0.02),
    "sends its end for ever": for_ever(HEAD + b"\r\n", b"x"),
    "sends its end in endless trailers": for_ever(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"A: b\r\n"
    ),
    "sends half its end": part(BODY[-30_000:], TAIL),
    "sends more than its end": part(BODY[-65536:] * 2, TAIL),
    "sends another end": part(bytes(65536), TAIL),
    "sends its start for its end": part(BODY[:65536], f"bytes 0-65535/{SIZE}"),
    "sends its end without saying which": part(BODY[-65536:], ""),
    "claims to be larger": part(BODY[-65536:], f"bytes {10**15 - 65536}-{10**15 - 1}/{10**15}"),
    "claims to be without a size": part(BODY[-65536:], f"bytes {SIZE - 65536}-{SIZE - 1}/*"),
    "serves no parts, and never ends": endless,
    "serves no parts, and offers terabytes": plain(BODY, length=10**13),
    "serves no parts, but another file": plain(bytes(SIZE)),
    "serves no parts, but a page": plain(b"<html>" * 99),
    "serves no parts, cut": plain(BODY[: SIZE // 2]),
    "has a directory of four gigabytes": parts(with_directory(size=2**32 - 2)),
    "has a directory at four gigabytes": parts(with_directory(offset=2**32 - 2)),
    "has its directory at its start": parts(with_directory(offset=0)),
    "has no directory": parts(bytes(SIZE)),
    "has a directory of zeros": parts(with_directory(size=SIZE - 22, offset=0)),
    "fails after its end": [parts(BODY), *[status(500)] * 9],
    "breaks in every member": [parts(BODY), *[parts(BODY, cut=10)] * 20],
    "sends members for ever": [
        parts(BODY),
        *[for_ever(f"HTTP/1.1 206 x\r\nETag: {etag_of(BODY)}\r\n\r\n".encode(), b"x")] * 9,
    ],
    "sends members whole": [parts(BODY), *[plain(BODY)] * 9],
    "sends pages for members": [parts(BODY), *[plain(b"<html>")] * 9],
    "redirects to nothing": redirect(refusing()),
    "is no server": raw(b"\0\1\2\r\n"),
}


QUICK = {"breaks and changes, again and again", "trickles its end", "sends another end"}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FAULTS],
)
def test_a_failing_server_of_a_zip(fault: str, server: Server, cache: Path) -> None:
    """Right files or an error that names the zip, soon, and after few bytes; then all is well."""
    happens = FAULTS[fault]
    server.faults[ZIP] = list(happens) if isinstance(happens, list) else happens
    begin = time.monotonic()
    try:
        fetch("emnist-letters")
    except FetchError as error:
        assert f"{server.base}{ZIP}" in str(error)
    assert time.monotonic() - begin < 10
    assert len(server.seen) <= 24
    assert server.sent < 40_000_000
    folder = cache / "emnist-letters"
    for path in folder.iterdir() if folder.exists() else ():
        assert path.read_bytes() == FILES[path.name]
    server.faults[ZIP] = parts(BODY)
    fetch("emnist-letters")
