"""A witness of what a reader does: an audit hook that ends what no reader may do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = """
    os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.kill os.killpg
    subprocess.Popen socket.connect socket.bind socket.sendto socket.getaddrinfo pty.spawn
    os.symlink os.link os.chown os.putenv shutil.move webbrowser.open code.__new__
"""
_FORBIDDEN = frozenset(_NEVER.split())
_PLACED = {
    "os.remove", "os.rmdir", "os.mkdir", "os.rename", "os.chmod", "shutil.rmtree", "os.truncate",
}  # fmt: skip


class Escape(BaseException):
    """Raised in the middle of a reader that does what no reader may; nothing there catches it."""


class Watch:
    """What must not happen while an input is read: processes, sockets, files elsewhere."""

    def __init__(self) -> None:
        self.scratch = ""
        self.armed = self.hooked = False
        self.seen: list[str] = []

    def start(self, scratch: Path) -> None:
        """Look on from now; files may be written in `scratch`."""
        self.scratch = os.path.realpath(scratch)
        if not self.hooked:
            sys.addaudithook(self)  # which nothing removes
            self.hooked = True
        self.before, sys.unraisablehook = sys.unraisablehook, self._unraisable

    def stop(self) -> None:
        """Look away."""
        sys.unraisablehook = self.before

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event of Python's, and end what must not go on."""
        if not self.armed:
            return
        if event == "open":
            path, _, flags = args
            if not flags & _WRITES or isinstance(path, int) or self._inside(path):
                return
        elif event in _PLACED:
            if self._inside(args[0]) or (len(args) > 1 and args[-1] != -1):  # relative to a folder
                return
        elif event not in _FORBIDDEN:
            return
        self.seen.append(f"{event} {args!r:.300}")
        raise Escape(self.seen[-1])

    def _inside(self, path: object) -> bool:
        text = os.fspath(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        text = os.fsdecode(text)
        return os.path.realpath(text).startswith(self.scratch + os.sep) or text == self.scratch

    def _unraisable(self, found: Any) -> None:
        if self.armed:
            self.seen.append(f"unraisable {found.exc_value!r:.200} in {found.object!r:.100}")


WATCH = Watch()
