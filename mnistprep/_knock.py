"""Whether a host takes connections, found out in a bounded time."""

from __future__ import annotations

import socket
import threading
import time


class Knock(threading.Thread):
    """A trial connection; a thread, because looking up a name cannot be given a time limit."""

    def __init__(self, peer: tuple[str, int], seconds: float) -> None:
        super().__init__(daemon=True)
        self.peer = peer
        self.reason: str | None = f"no answer within {seconds:g} s"
        self.failed = False
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self.start()

    def run(self) -> None:
        """Knock."""
        reason = None
        try:
            socket.create_connection(self.peer, self._seconds / 2).close()
        except socket.gaierror as error:
            reason = f"no address for the host name ({error.strerror})"
        except TimeoutError:
            reason = self.reason
        except (OSError, ValueError) as error:  # the latter: a name that is none
            reason = f"no connection ({getattr(error, 'strerror', None) or error})"
        self.reason = reason

    def wait(self) -> str | None:
        """Why nobody opens, once that is known or the time is over; None when somebody does."""
        self.join(max(0.0, self._deadline - time.monotonic()))
        self.failed = self.reason is not None
        return self.reason
