"""Work with a library that damaged files can crash or hang, kept away from this process.

Where forking is safe (Linux), the work is done in a child process: its crash, or many seconds of
computing without a result, is a damaged file to the parent. Elsewhere it is done in this process.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from mnistprep._interrupts import held_to_fork, leave_to_parent, undisturbed
from mnistprep.errors import FormatError, MnistprepError

T = TypeVar("T")
_SECONDS = 4  # of computing between two results; each is of a few MB at most


def run(task: Callable[[], Iterator[T]], where: str) -> Iterator[T]:
    """Yield what `task` yields, which must not depend on changes to anything but shared memory.

    Every exception in it that is not of this package becomes a FormatError, which starts with
    `where`; so does the end of the process that it runs in.
    """
    if sys.platform != "linux":
        yield from _translated(task, where)
        return
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, where, receiver, sender))
    try:
        with warnings.catch_warnings(), held_to_fork():
            # Python 3.12+ warns when a process with threads forks; the child takes none of their
            # locks.
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            process.start()
        sender.close()
        while True:
            try:
                kind, value = receiver.recv()
            except EOFError:
                raise FormatError(f"{where}: damaged: its library crashes or hangs on it") from None
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        with undisturbed():
            if process.pid is not None:
                process.kill()
                process.join()
            sender.close()
            receiver.close()


def _translated(task: Callable[[], Iterator[T]], where: str) -> Iterator[T]:
    try:
        yield from task()
    except MnistprepError:
        raise
    except Exception as error:  # what these libraries raise on damage is nearly anything
        text = " ".join(str(error).strip("'\"").split())
        raise FormatError(f"{where}: truncated or damaged: get it again ({text[:120]})") from None


def _work(
    task: Callable[[], Iterator[object]], where: str, receiver: Connection, sender: Connection
) -> None:
    import faulthandler
    import resource

    receiver.close()
    leave_to_parent()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the C library's last words
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    with suppress(BrokenPipeError):
        try:
            for value in _translated(task, where):
                sender.send(("value", value))
                signal.setitimer(signal.ITIMER_PROF, _SECONDS)
            sender.send(("end", None))
        except MnistprepError as error:
            sender.send(("error", error))
        sender.close()
    os._exit(0)
