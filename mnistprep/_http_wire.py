"""What the answer of a server may take: each of its bytes is counted, framing and all.

http.client reads what stands before, between and behind the parts of a body for as long as it comes
(interim answers, chunk sizes, trailers; RFC 9112, section 7.1). Here it reads through a `Wire`.
"""

from __future__ import annotations

import io
import re
import socket
import time
from functools import cache
from http.client import HTTPException, HTTPResponse, parse_headers
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_HEAD = 1 << 18  # bytes before a body; no server needs a tenth of that
_FRAMING = 1 << 20  # bytes beside the body, to which as many again may come as the body has


class Excess(Exception):
    """Raised when an answer takes more bytes, or more time, than it may."""


class Wire(io.RawIOBase):
    """The bytes of one answer, as many and for as long as it may take."""

    def __init__(self, connection: socket.socket) -> None:
        self._source = connection.makefile("rb", buffering=0)
        self._left = _HEAD
        self._refusal = f"sends more than {_HEAD:,} bytes before its answer"
        self._seconds = connection.gettimeout() or 60.0  # for the whole head
        self._slowest: float | None = None
        self._since, self._body, self._before = time.monotonic(), 0, 0
        self._end = float("inf")

    def allow(self, size: int, seconds: float, slowest: float, end: float) -> None:
        """The head is over: a body of `size` bytes may come, no slower than `slowest` a second.

        That is on average over `seconds`, and of the bytes that `receive` is told of. By `end`, a
        time of time.monotonic(), it has to be here.
        """
        self._left = 2 * size + _FRAMING
        self._refusal = f"sends more than {self._left:,} bytes for a body of {size:,}"
        self._seconds, self._slowest = seconds, slowest
        self._since, self._end = time.monotonic(), end

    def receive(self, count: int) -> None:
        """Say that so many bytes of the body have come."""
        self._body += count

    def readinto(self, buffer: Any) -> int:
        """What the system gives for one read; raises Excess."""
        self._check_pace()
        size = self._source.readinto(buffer) or 0
        self._left -= size
        if self._left < 0:
            raise Excess(self._refusal)
        return size

    def _check_pace(self) -> None:
        now = time.monotonic()
        if now > self._end:
            raise Excess("takes too long; what has come is kept for the next try")
        if now - self._since < self._seconds:
            return
        if self._slowest is None:
            raise Excess(f"no answer within {self._seconds:g} s")
        if self._body - self._before < self._slowest * (now - self._since):
            raise Excess(f"sends too slowly: {self._body:,} bytes so far")
        self._since, self._before = now, self._body

    def readable(self) -> bool:
        """Whether read works; it does."""
        return True

    def fileno(self) -> int:
        """The socket's."""
        return self._source.fileno()

    def close(self) -> None:
        """Let go of the socket."""
        if not self.closed:
            self._source.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.wire = Wire(sock)
        self.fp = io.BufferedReader(self.wire, 1 << 16)

    def begin(self) -> None:
        """Read the head; raises Excess for more headers than http.client takes."""
        try:
            super().begin()
        except HTTPException as error:
            found = re.fullmatch(r"got more than (\d+) headers", str(error))
            if not found:
                raise
            raise Excess(f"sends more than {found[1]} header lines in an answer") from None

    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer itself.

        http.client knows 100 as the one interim answer; any other than 101 is to be read past too
        (RFC 9110, section 15.2).
        """
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            parse_headers(self.fp)


class Adapter(HTTPAdapter):
    """The adapter of requests, with a Wire below every answer, a proxy's too."""

    def cert_verify(self, conn: Any, *args: Any, **options: Any) -> None:
        """Prepare a pool of connections: the one hook that each goes through before it is used."""
        super().cert_verify(conn, *args, **options)  # type: ignore[no-untyped-call]
        conn.ConnectionCls = _counted(conn.ConnectionCls)


def wire_of(response: requests.Response) -> Wire | None:
    """What the body of a response is read from; None where somebody's test has faked it."""
    found = getattr(getattr(response.raw, "_original_response", None), "wire", None)
    return found if isinstance(found, Wire) else None


@cache
def _counted(kind: type) -> type:
    if getattr(kind, "response_class", None) is _Answer:
        return kind
    return type(kind.__name__, (kind,), {"response_class": _Answer})
