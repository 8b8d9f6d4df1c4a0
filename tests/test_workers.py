"""Work in forked processes: in order, and with an end whatever happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from mnistprep._workers import beside, run
from mnistprep.errors import FormatError, MnistprepError, UsageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers: int) -> None:
    """The spans cover the range, in order, for any number of workers."""
    found = list(run(lambda start, stop: (start, stop), 23, size=5, workers=workers))
    assert found == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    assert list(run(lambda start, stop: start, 0, size=5, workers=workers)) == []


def test_small_work_does_not_fork() -> None:
    """Work of one span stays in this process."""
    assert list(run(lambda start, stop: os.getpid(), 5, size=5, workers=4)) == [os.getpid()]
    assert os.getpid() not in list(run(lambda start, stop: os.getpid(), 6, size=5, workers=4))


def test_an_error_in_a_worker_is_raised_here() -> None:
    """The package's errors keep their type and message."""

    def fail(start: int, stop: int) -> None:
        raise FormatError(f"wrong at {start}")

    with pytest.raises(FormatError, match="wrong at 0"):
        list(run(fail, 100, size=10, workers=2))
    with pytest.raises(UsageError):
        list(run(fail, 100, size=10, workers=0))


@pytest.mark.parametrize("workers", [1, 2])
def test_work_beside_other_work(workers: int) -> None:
    """Its result is there when it is asked for, its error is raised there, or nobody asks."""
    with beside(lambda: ("done", os.getpid()), workers=workers) as result:
        assert len(list(run(lambda start, stop: start, 100, size=10, workers=workers))) == 10
        found = result()
    assert found[0] == "done"
    assert (found[1] == os.getpid()) == (workers == 1)

    def fail() -> None:
        raise FormatError("wrong")

    with beside(fail, workers=workers) as result, pytest.raises(FormatError, match="wrong"):
        result()
    with beside(lambda: time.sleep(600), workers=2):
        pass


def test_a_worker_that_is_killed_is_noticed_at_once() -> None:
    """A worker that dies while another waits to hand over much is an error, not a hang."""

    def die(start: int, stop: int) -> bytes:
        if start == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(10 << 20)

    begun = time.monotonic()
    with pytest.raises(MnistprepError, match="ended early"):
        list(run(die, 100, size=10, workers=2))
    assert time.monotonic() - begun < 20


def test_workers_end_with_their_parent() -> None:
    """When the parent is killed, its workers do not go on."""
    code = (
        "import os, time; from mnistprep._workers import run\n"
        "for k in run(lambda a, b: time.sleep(0.01) or os.getpid(), 10**6, size=1, workers=2):\n"
        "    print(k, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    workers = {int(process.stdout.readline()) for _ in range(4)}
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{worker}") for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_error_that_cannot_be_sent_is_an_error_here(capfd: pytest.CaptureFixture[str]) -> None:
    """The worker prints nothing, and its death is noticed."""

    def fail(start: int, stop: int) -> None:
        raise ValueError(lambda: None)  # which no pickle holds

    with pytest.raises(MnistprepError, match="ended early"):
        list(run(fail, 100, size=10, workers=2))
    assert capfd.readouterr().err == ""


def test_signals_to_all_processes_end_them_all_in_silence() -> None:
    """The parent decides what a signal to the whole group means."""
    code = (
        "import os, time; from mnistprep._workers import run\n"
        "try:\n"
        "    for k in run(lambda a, b: time.sleep(0.01) or a, 10**6, size=1, workers=2):\n"
        "        print(k, flush=True)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=20)
    assert said.endswith("interrupted\n")
    assert errors == ""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
