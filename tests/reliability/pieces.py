"""A server in a process of its own that sends files in small pieces."""

from __future__ import annotations

import os
import time

import httpserver
from httpserver import Fault, Handler


def serving(packed: dict[str, bytes]) -> tuple[str, int]:
    """The URL of a server in a process of its own, and the process."""
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        if os.fork():  # so that the server is no child of the process that waits for all of them
            os._exit(0)
        with httpserver.running() as running:
            running.faults = {name: _in_pieces(body) for name, body in packed.items()}
            os.write(writer, f"{os.getpid()} {running.base}".encode())
            os.close(writer)
            time.sleep(24 * 3600)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(writer)
    with os.fdopen(reader) as told:
        pid, base = told.read().split()
    return base, int(pid)


def _in_pieces(body: bytes) -> Fault:
    """Serve well, from where it is asked for, a piece at a time."""

    def answer(handler: Handler) -> None:
        etag = httpserver.etag_of(body)
        start = handler.range_start(etag)
        span = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        handler.head(206 if start else 200, Content_Length=len(body) - start, ETag=etag, **span)
        for at in range(start, len(body), 4096):
            handler.wfile.write(body[at : at + 4096])
            handler.wfile.flush()
            time.sleep(0.001)

    return answer
