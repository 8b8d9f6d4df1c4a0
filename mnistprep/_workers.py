"""Work over spans of examples, in this process or in forked ones; results come in order.

Only Linux forks: elsewhere fork is unsafe and spawn would run a caller's script again unless it
has an `if __name__ == "__main__"` guard, which mnistprep does not ask for. There the same code runs
in one process, with the same result.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

from mnistprep._arrays import keep_freed
from mnistprep._interrupts import held_to_fork, leave_to_parent, undisturbed
from mnistprep.errors import MnistprepError, UsageError

T = TypeVar("T")
Span = tuple[int, int]
Part = tuple[int, int, int]


def default_workers() -> int:
    """Number of processors this process may use (at least 1)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spans(total: int, size: int) -> list[Span]:
    """Half-open spans of at most `size` that cover range(total) in order."""
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def parts(counts: Iterable[int], size: int) -> list[Part]:
    """Several ranges, of so many each, as spans: the number of the range, start and stop."""
    return [(k, *span) for k, count in enumerate(counts) for span in spans(count, size)]


def run(
    task: Callable[[int, int], T], total: int, *, size: int, workers: int | None = None
) -> Iterator[T]:
    """Yield task(start, stop) for consecutive spans of range(total), in order.

    With more than one worker the spans are dealt out in turn to forked processes, so that what a
    worker does never depends on timing. Work of a single span never forks. An exception in a
    worker is raised here.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    todo = spans(total, size)
    count = min(default_workers() if workers is None else workers, len(todo))
    keep_freed()
    if count <= 1 or sys.platform != "linux":
        for start, stop in todo:
            yield task(start, stop)
        return
    with _forked(task, todo, count) as pipes:
        for index in range(len(todo)):
            yield _received(pipes[index % count])


@contextmanager
def beside(task: Callable[[], T], *, workers: int | None = None) -> Iterator[Callable[[], T]]:
    """Yield what gives the result of `task`, which a forked process does during the block.

    With one worker, and where nothing forks, it is done when the result is asked for.
    """
    given = task
    with ExitStack() as stack:
        if sys.platform == "linux" and (default_workers() if workers is None else workers) > 1:
            with suppress(MnistprepError):  # no process can be had
                pipes = stack.enter_context(_forked(lambda *_: task(), [(0, 1)], 1))
                given = partial(_received, pipes[0])
        yield given


@contextmanager
def _forked(
    task: Callable[[int, int], object], todo: list[Span], count: int
) -> Iterator[list[Connection]]:
    """So many processes, which the spans are dealt out to; yields where each one's results come."""
    context = get_context("fork")
    pipes: list[tuple[Connection, Connection]] = []
    try:
        while len(pipes) < count:
            pipes.append(context.Pipe(duplex=False))
    except OSError as error:
        _close(pipes)
        raise _no_more(error) from error
    processes = [
        context.Process(target=_work, args=(task, todo[k::count], pipes, k)) for k in range(count)
    ]
    try:
        with warnings.catch_warnings():
            # Python 3.12+ warns when a process with threads forks. The children run NumPy, zlib
            # and file calls only, and take no lock that another thread could hold.
            warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
            with held_to_fork():
                _start(processes)
        for _, sender in pipes:
            sender.close()
        yield [receiver for receiver, _ in pipes]
    finally:
        with undisturbed():
            for process in processes:
                if process.pid is not None:
                    process.kill()
                    process.join()
            _close(pipes)


def _received(pipe: Connection) -> Any:
    try:
        good, value = pipe.recv()
    except EOFError:
        raise MnistprepError(
            "a worker process ended early (killed, or out of memory); try --workers 1"
        ) from None
    if not good:
        raise value
    return value


def _start(processes: list[ForkProcess]) -> None:
    try:
        with _one_thread:
            for process in processes:
                process.start()
    except OSError as error:
        raise _no_more(error) from error


def _renew() -> None:
    global _one_thread
    _one_thread = threading.Lock()


# filelock, once it is loaded, refuses a fork while another thread is about to do one.
_one_thread = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _close(pipes: Iterable[tuple[Connection, Connection]]) -> None:
    for ends in pipes:
        for end in ends:
            end.close()


def _no_more(error: OSError) -> MnistprepError:
    reason = error.strerror or error
    return MnistprepError(f"no worker process can be started: {reason}; try --workers 1")


def _work(
    task: Callable[[int, int], object],
    parts: list[Span],
    pipes: list[tuple[Connection, Connection]],
    own: int,
) -> None:
    leave_to_parent()
    # A pipe must have one reader and one writer, so that each notices the other's death.
    for k, ends in enumerate(pipes):
        for end in ends if k != own else ends[:1]:
            end.close()
    sender = pipes[own][1]
    try:
        for start, stop in parts:
            sender.send((True, task(start, stop)))
    except BrokenPipeError:
        pass  # the parent is gone
    except Exception as error:
        with suppress(Exception):  # the parent is gone, or the error cannot be sent
            sender.send((False, error))
    finally:
        sender.close()
