"""A process run to its end: its time, what it used, and the memory of it and its children."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from tempfile import TemporaryFile
from threading import Event, Thread
from time import monotonic, perf_counter

_STEP = 0.01  # seconds between two looks at the memory of processes: peaks of short runs are short


class Failed(Exception):
    """A contender that raised an exception, or ended with another exit code than 0."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended well.

    seconds: from its start to its end. samples: when it was looked at, and the memory in MB that it
    and its children took together; none where nobody looked, or the system does not tell.
    """

    seconds: float
    usage: struct_rusage
    output: str
    samples: list[tuple[float, float]]


def run(command: list[str], folder: Path, env: Mapping[str, str], *, watch: bool) -> Ended:
    """Run a command in a folder; raises Failed with the end of what it said of errors.

    watch: whether to look at its memory, which takes some time of the processors.
    """
    with TemporaryFile("w+", errors="replace") as output, TemporaryFile("w+") as errors:
        start = perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=env, cwd=folder
        )
        with _watched(process.pid if watch else None) as samples:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise Failed(f"exit code {process.returncode}: {errors.read()[-2000:]}")
        output.seek(0)
        return Ended(seconds, usage, output.read(), samples)


@contextmanager
def _watched(pid: int | None) -> Iterator[list[tuple[float, float]]]:
    samples: list[tuple[float, float]] = []
    if pid is None:
        yield samples
        return
    done = Event()

    def look() -> None:
        while not done.wait(_STEP):
            if size := _together(pid):
                samples.append((monotonic(), size))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _together(pid: int) -> float:
    """Memory in MB of a process and all below it; what several share counts once.

    That is the sum of their proportional set sizes; 0 where the system does not tell.
    """
    total, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            rollup = (folder / "smaps_rollup").read_text()
            for task in (folder / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended, or this is no Linux
            continue
        total += int(rollup.partition("\nPss:")[2].split()[0])
    return total * 1024 / 1e6
