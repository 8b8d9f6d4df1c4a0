"""Ctrl-C, SIGTERM and SIGHUP: one message and exit code 1, and never in the middle of a step."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
MESSAGE = "interrupted; nothing partial is left behind"
_AGAIN = 1.0  # seconds after which a further signal is no mere repetition
_SOON = 0.01  # seconds


def leave_at_once() -> None:
    """End the process at a signal, while it has begun nothing; one that is ignored stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _leave)


def end() -> None:
    """Let no signal disturb the end of the process, which is near, or decide its exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # A KeyboardInterrupt that came within exec(), with which dataclasses are made, would have the
    # interpreter end by SIGINT in spite of all that was done since. The next exec() forgets it.
    exec("")


def _leave(number: int, frame: object) -> None:
    end()  # a second signal has no second message
    with suppress(OSError):
        os.write(2, f"Error: {MESSAGE}\n".encode())
    os._exit(1)


class Interruptible:
    """Within the block every signal does what Ctrl-C does: it raises KeyboardInterrupt, once.

    A repetition changes nothing, so that what cleans up is not disturbed. Behind the block the
    process is not to end at once any more, should that have been so: there is an end of the command
    to be told.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook
        self._last: float | None = None
        self._came = False

    @property
    def came(self) -> bool:
        """Whether a signal came within the block."""
        return self._came

    @contextmanager
    def destructors(self) -> Iterator[None]:
        """Around the block: an interruption that a destructor or a callback loses is raised again.

        Anything else that they raise after one is not told: they may be those of half-made objects,
        which go with the exception's frames, and so behind the block.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._hook, sys.unraisablehook = sys.unraisablehook, self._lost
        try:
            yield
        finally:
            sys.unraisablehook = self._hook

    def __enter__(self) -> Interruptible:
        if threading.current_thread() is threading.main_thread():  # no other gets signals
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *exception: object) -> None:
        self._last = None
        if hasattr(signal, "SIGALRM") and signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)  # it would end the process
        for number, handler in self._before.items():
            signal.signal(number, self._over if handler is _leave else handler)
        self._before = {}

    def _interrupt(self, number: int, frame: object) -> None:
        now, last = time.monotonic(), self._last
        self._last, self._came = now, True
        if last is None or now - last > _AGAIN:
            raise KeyboardInterrupt

    def _over(self, number: int, frame: object) -> None:
        # Unless what is to be told finds no taker, as where standard output is a full pipe.
        now, last = time.monotonic(), self._last
        if last is not None and now - last > _AGAIN:
            os._exit(1)
        self._last = now

    def _lost(self, unraisable: Any) -> None:
        if not self._came:
            self._hook(unraisable)
        elif (
            self._before
            and unraisable.exc_type is KeyboardInterrupt
            and hasattr(signal, "setitimer")
        ):
            self._before.setdefault(signal.SIGALRM, signal.signal(signal.SIGALRM, self._once_more))
            signal.setitimer(signal.ITIMER_REAL, _SOON)

    def _once_more(self, number: int, frame: object) -> None:
        raise KeyboardInterrupt


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that are handled, such as Ctrl-C, take effect behind the block, not within it."""
    before: dict[signal.Signals, Any] = {}
    caught: list[signal.Signals] = []

    def catch(number: int, frame: object) -> None:
        caught.append(signal.Signals(number))

    try:
        if threading.current_thread() is threading.main_thread():  # no other gets signals
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, catch)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            before[caught[0]](caught[0], None)


@contextmanager
def held_to_fork() -> Iterator[None]:
    """Signals wait until the block ends, so that a child forked within has time to prepare."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent() -> None:
    """In a child so forked: Ctrl-C reaches the whole group, and the parent ends and cleans up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
