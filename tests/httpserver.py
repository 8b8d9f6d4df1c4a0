"""A real HTTP(S) server on this machine that misbehaves as it is told.

`Server.files` maps paths to bodies, `Server.faults` maps paths to what happens instead: a function
that is given the handler, or a list of them that is used up one request at a time. What is in
neither is answered with 404.
"""

from __future__ import annotations

import hashlib
import io
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

Fault = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Serves `files` on a free port of this machine; `seen` lists the requests.

    sent: bytes that it could get rid of, whether the client has read them or not.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        self.host = f"[{host}]" if ":" in host else "localhost"
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault | list[Fault]] = {}
        self.seen: list[tuple[str, Message]] = []
        self.scheme = "http"
        self.ending = threading.Event()
        self.sent = 0

    @property
    def base(self) -> str:
        """URL of the server, with a slash at its end."""
        return f"{self.scheme}://{self.host}:{self.server_address[1]}/"

    def paths(self) -> list[str]:
        """Paths asked for, in order."""
        return [path for path, _ in self.seen]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what is being tested."""


class _Counted(io.RawIOBase):
    def __init__(self, stream: BinaryIO, server: Server) -> None:
        self._stream, self._server = stream, server

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self._server.sent += len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request as the server's tables say."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        """Count what is sent."""
        super().setup()
        self.wfile = _Counted(self.wfile, self.server)

    def do_GET(self) -> None:
        """Misbehave, or serve."""
        name = re.sub(r"^https?://[^/]*", "", self.path).lstrip("/")
        self.server.seen.append((self.path, self.headers))
        fault = self.server.faults.get(name)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        if fault is not None:
            fault(self)
        elif name in self.server.files:
            serve(self.server.files[name])(self)
        else:
            status(404)(self)

    def do_CONNECT(self) -> None:
        """Be a proxy: relay bytes to and from where the client wants, or do as `faults` says."""
        self.server.seen.append((self.path, self.headers))
        if fault := self.server.faults.get("CONNECT"):
            assert not isinstance(fault, list)
            fault(self)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 5) as other:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_relay, args=(other, self.connection), daemon=True)
            back.start()
            _relay(self.connection, other)
            back.join(5)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""

    def head(self, code: int, **headers: object) -> None:
        """Send status and headers (`Content_Length` for Content-Length); close afterwards."""
        self.send_response(code)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.close_connection = True

    def range_start(self, etag: str) -> int:
        """First byte asked for, 0 without a valid Range."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found is None or self.headers.get("If-Range", etag) != etag:
            return 0
        return int(found[1])

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for stream in (self.rfile, self.wfile, self.connection):
            stream.close()
        self.close_connection = True


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 14):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def running(certificate: Path | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """A running server; with a certificate (PEM, with its key) it speaks TLS."""
    server = Server(host)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def black_hole() -> Iterator[str]:
    """URL of a port that never answers a connection: its queue is full. Works on Linux."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for client in clients:
            client.close()


def refusing() -> str:
    """URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://localhost:{probe.getsockname()[1]}/"


def etag_of(body: bytes) -> str:
    """The strong entity tag that the server gives to a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def serve(body: bytes, **headers: object) -> Fault:
    """Serve well, ranges and If-Range included."""

    def answer(handler: Handler) -> None:
        etag = etag_of(body)
        start = handler.range_start(etag)
        if start >= len(body) > 0 and start:
            handler.head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
            return
        span = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        length = len(body) - start
        handler.head(206 if start else 200, Content_Length=length, ETag=etag, **span, **headers)
        handler.wfile.write(body[start:])

    return answer


def status(code: int, **headers: object) -> Fault:
    """Answer with a status and no body."""
    return lambda handler: handler.head(code, Content_Length=0, **headers)


def cut(body: bytes, size: int, *, how: str = "reset") -> Fault:
    """Promise `body` (or its rest), send `size` bytes of it, then reset, close, or stall."""

    def answer(handler: Handler) -> None:
        etag = etag_of(body)
        start = handler.range_start(etag)
        span = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.head(206 if start else 200, Content_Length=len(body) - start, ETag=etag, **span)
        handler.wfile.write(body[start : start + size])
        handler.wfile.flush()
        if how == "stall":
            handler.server.ending.wait(30)
        elif how == "reset":
            time.sleep(0.05)  # a reset discards what the other side has not read
            handler.reset()

    return answer


def trickle(body: bytes, pause: float) -> Fault:
    """Send one byte at a time."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body))
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if handler.server.ending.wait(pause):
                return

    return answer


def raw(data: bytes) -> Fault:
    """Send these bytes for an answer, then close."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def slow_head(handler: Handler) -> None:
    """Send a header that never ends, one byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.server.ending.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def endless(handler: Handler) -> None:
    """Send zeros without a length until the client hangs up."""
    handler.head(200)
    while not handler.server.ending.is_set():
        handler.wfile.write(bytes(1 << 14))


def plain(body: bytes, *, length: int | None = None, **headers: object) -> Fault:
    """Serve without ranges and tags, with that Content-Length."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body) if length is None else length, **headers)
        handler.wfile.write(body)

    return answer


def wrong_range(body: bytes) -> Fault:
    """Answer a Range with the start of the body, as if that had been asked for."""

    def answer(handler: Handler) -> None:
        if handler.range_start(etag_of(body)) or "Range" in handler.headers:
            span = f"bytes 0-{len(body) - 1}/{len(body)}"
            handler.head(206, Content_Length=len(body), Content_Range=span)
            handler.wfile.write(body)
        else:
            serve(body)(handler)

    return answer


def range_of(body: bytes) -> Fault:
    """Answer any Range with that part of `body`, whatever If-Range says."""

    def answer(handler: Handler) -> None:
        handler.headers.replace_header("If-Range", etag_of(body))
        serve(body)(handler)

    return answer


def redirect(target: str) -> Fault:
    """Redirect."""
    return status(302, Location=target)


def for_ever(start: bytes, again: bytes, pause: float = 0) -> Fault:
    """Send `start`, then `again` until the client hangs up, in blocks or with a pause between."""
    if not pause:
        again *= 1 + (1 << 14) // len(again)

    def answer(handler: Handler) -> None:
        handler.wfile.write(start)
        with suppress(OSError):
            while not handler.server.ending.wait(pause):
                handler.wfile.write(again)
        handler.close_connection = True

    return answer


def part(body: bytes, content_range: str, **headers: object) -> Fault:
    """Answer 206 with `body` and that Content-Range, whatever was asked for."""
    more = {"Content_Range": content_range} if content_range else {}

    def answer(handler: Handler) -> None:
        handler.head(206, Content_Length=len(body), **more, **headers)
        handler.wfile.write(body)

    return answer


def chunked(body: bytes, after: bytes = b"0\r\n\r\n") -> bytes:
    """A whole answer with a body in chunks, one byte long at first."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head + b"1;x=y\r\n%b\r\n%x\r\n%b\r\n" % (body[:1], len(body) - 1, body[1:]) + after
