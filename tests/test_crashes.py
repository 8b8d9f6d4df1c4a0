"""Commands killed or interrupted at any moment: nothing partial, nothing left, no noise."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from reliability import kills

import mnistprep
from mnistprep import _interrupts, _staging, synth
from mnistprep._files import atomic_path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are watched in /proc")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXPORTS = [case for case in kills.cases() if case.startswith("export ")]
OTHERS = [case for case in kills.cases() if not case.startswith("export ")]


def started(cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    """A real new process, the leader of a group, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "mnistprep", *arguments],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What runs the tests may have it ignored, as nohup does.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def ran(cwd: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script in a real new process, to its end."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def wait_for_handler(process: subprocess.Popen[str], last: signal.Signals = signal.SIGHUP) -> None:
    """Until the package has begun to load."""
    while not handles(process.pid, last):
        assert process.poll() is None
        time.sleep(0.001)


def assert_interrupted(process: subprocess.Popen[str], folder: Path, *kept: str) -> bool:
    """It ended soon, with one message or all done; returns whether it was interrupted."""
    begun = time.monotonic()
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - begun < 10  # seconds; the machine may be busy
    assert "Traceback" not in errors
    assert "ignored" not in errors
    if process.returncode:
        assert process.returncode == 1
        lines = [line for line in errors.splitlines() if not line.startswith("note: ")]
        assert lines == ["Error: interrupted; nothing partial is left behind"]
        assert sorted(path.name for path in folder.iterdir()) == sorted(kept)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return process.returncode == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_program_is_loaded_is_a_message(
    tmp_path: Path, number: signal.Signals
) -> None:
    """From the moment that the package is there: one line, exit 1."""
    process = started(tmp_path, "export", "--dataset", "synth:99999,10", "-f", "idx", "-o", "out")
    wait_for_handler(process)  # on a busy machine a short command would be over by then
    process.send_signal(number)
    assert_interrupted(process, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("group", [False, True], ids=["alone", "group"])
def test_a_signal_at_any_moment_of_a_real_process(
    tmp_path: Path, number: signal.Signals, group: bool
) -> None:
    """Its first moments among them, and twice in a row: a message, exit 1, nothing stays."""
    chance = random.Random(f"{number} {group}")
    interrupted = 0
    for moment in (0.0, 0.2, 0.6):
        process = started(
            *(tmp_path, "export", "-f", "imagefolder", "--dataset", "synth:99999,10"),
            *("-o", "tree", "--workers", "2", "--quiet"),
        )
        wait_for_handler(process)
        time.sleep(moment + chance.uniform(0, 0.2))
        for _ in range(2):
            (os.killpg if group else os.kill)(process.pid, number)
            time.sleep(chance.uniform(0, 0.01))
        interrupted += assert_interrupted(process, tmp_path)
    assert interrupted == 3


# A signal at every call of a function from the end of the command's own work on.
AT_EVERY_CALL = """
import os, signal, sys, threading
from mnistprep import __main__, _interrupts

def at_every_call(frame, event, argument):
    if event == "call" and frame.f_code.co_filename != _interrupts.__file__:
        os.kill(os.getpid(), signal.SIGTERM)

class Watched(_interrupts.Interruptible):
    def __enter__(self):
        if first:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        return super().__enter__()

    def __exit__(self, *exception):
        super().__exit__(*exception)
        sys.setprofile(at_every_call)

first = sys.argv.pop(1) == "interrupted"
_interrupts.Interruptible = Watched
__main__.run()
"""
EXPORT = ("export", "--quiet", "-f", "imagefolder", "-o", "out", "--dataset")


@pytest.mark.parametrize(
    ("how", "arguments", "code", "said"),
    [
        ("interrupted", (*EXPORT, "synth:99999,10"), 1, "interrupted; nothing partial is left"),
        ("failed", (*EXPORT, "nowhere"), 2, "nowhere"),
        ("done", (*EXPORT, "synth:20,10"), 0, ""),
    ],
)
def test_a_signal_when_a_command_has_ended_changes_nothing(
    tmp_path: Path, how: str, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """What it said, its exit code and its output stand."""
    process = ran(tmp_path, AT_EVERY_CALL, how, *arguments)
    assert process.returncode == code
    assert said in process.stderr
    assert process.stderr.count("Error: ") == bool(code)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] * (not code)


# A signal when a function of that name is called, in that file or by it.
AT_A_CALL = """
import os, signal, sys
from mnistprep import __main__

def at_it(frame, event, argument):
    if event == "call" and frame.f_code.co_name == name:
        if file in (os.path.basename(f.f_code.co_filename) for f in (frame, frame.f_back) if f):
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGTERM)

file, name = sys.argv.pop(1).split()
sys.setprofile(at_it)
__main__.run()
"""


@pytest.mark.parametrize(
    ("call", "done"),
    [
        pytest.param("weakref.py __call__", True, id="finalizer"),  # it removes what was unpacked
        pytest.param("zipfile.py RLock", False, id="half-made object"),  # its destructor fails
    ],
)
def test_a_signal_in_what_swallows_exceptions(tmp_path: Path, call: str, done: bool) -> None:
    """Destructors and finalizers neither lose it nor say anything of it, and nothing stays."""
    mnistprep.write(mnistprep.load("synth:20,10"), tmp_path / "data.npz")
    shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path, "data.npz")
    process = ran(tmp_path, AT_A_CALL, call, "convert", "data.zip", "out.npz", "--quiet")
    interrupted = (1, "Error: interrupted; nothing partial is left behind\n")
    ended = (process.returncode, process.stderr)
    assert ended == interrupted or (done and ended == (0, ""))  # it may be over before it is told
    written = ["out.npz", "out.npz.mnistprep.json"] * done
    left = ["data.npz", "data.npz.mnistprep.json", "data.zip", *written]
    assert sorted(path.name for path in tmp_path.iterdir()) == left  # and nothing temporary


# Ctrl-C when PyTorch has made its writer, before it is asked to end the file.
IN_A_WRITER = """
import sys
from torch import serialization
import mnistprep

def interrupted(self, file_like):
    raise KeyboardInterrupt

serialization._opener.__init__ = interrupted
try:
    mnistprep.write(mnistprep.load("synth:20,10"), "out.pt")
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def test_an_interruption_does_not_have_pytorch_end_the_process(tmp_path: Path) -> None:
    """Its writer writes again when it goes, and aborts where the file is closed by then."""
    process = ran(tmp_path, IN_A_WRITER)
    assert (process.returncode, process.stderr) == (1, "interrupted\n")
    assert not list(tmp_path.iterdir())


# Ctrl-C at every call of a function, one after the other, while threads compress.
WHILE_THREADS_COMPRESS = """
import itertools, os, signal, sys
from pathlib import Path
from mnistprep import _streams

def at_it(frame, event, argument):
    global calls
    calls += event in ("call", "c_return")
    if calls == number and event in ("call", "c_return"):
        os.kill(os.getpid(), signal.SIGINT)

for number in itertools.count(1):
    calls = 0
    sys.setprofile(at_it)
    try:
        _streams.write_gzip(Path(f"{number}.gz"), [bytes(2 << 20)], level=1)
    except KeyboardInterrupt:
        continue
    finally:
        sys.setprofile(None)
    if calls < number:
        break
"""


def test_an_interruption_at_any_call_leaves_no_thread_waiting(tmp_path: Path) -> None:
    """The locks of Python's thread pools and futures do not bear one; ours never sees it there."""
    process = ran(tmp_path, WHILE_THREADS_COMPRESS)
    assert process.returncode == 0, process.stderr


# A signal to the whole group at the first moment of a process that is forked.
AT_A_FORK = """
import os, signal, sys
from mnistprep import __main__

def at_its_work(frame, event, argument):
    if frame.f_code.co_name == "_work":
        sys.setprofile(None)
        os.killpg(0, signal.SIGINT)

os.register_at_fork(after_in_child=lambda: sys.setprofile(at_its_work))
__main__.run()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "data.h5"),
        ("export", "-f", "imagefolder", "-o", "out", "--workers", "2", "--dataset", "synth:900,9"),
    ],
    ids=["a process for a library", "processes that share the work"],
)
def test_a_signal_while_a_process_is_forked(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The message is that of the command alone."""
    mnistprep.write(synth.generate(20, 10), tmp_path / "data.h5", provenance=False)
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_FORK, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert assert_interrupted(process, tmp_path, "data.h5")


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """What `nohup` starts goes on when the terminal goes."""
    process = subprocess.Popen(
        [
            "nohup",
            sys.executable,
            "-m",
            "mnistprep",
            "export",
            "-f",
            "npz",
            "--dataset",
            "synth:9,9",
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    wait_for_handler(process, signal.SIGTERM)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    assert len(mnistprep.read(tmp_path / "synth.npz")) == 18


@contextmanager
def laid(
    case: str, folder: Path
) -> Iterator[tuple[kills.Job, Path, float, kills.Content, kills.Content]]:
    """A case's command, its folder, how long it takes, and what is there before and after it."""
    with kills._job(case, folder) as job, kills._prepared():
        place = folder / "trial"
        whole, duration = kills._unhindered(job, place)
        kills._lay(job, place)
        yield job, place, duration, kills._content(place), whole


def assert_clean(
    case: str, code: int | None, said: str, now: kills.Content, before: kills.Content,
    whole: kills.Content,
) -> None:  # fmt: skip
    """What a command leaves that got a signal: all or nothing, and one message if nothing."""
    where = f"{case}: {code} {said}"
    assert "Traceback" not in said, where
    assert "ignored" not in said, where
    if code == 0 or case.startswith("fetch"):
        kept = {k: v for k, v in now.items() if ".downloads/" not in k}  # to go on with
        assert kept.items() <= whole.items(), where
    elif now != whole:  # interrupted when all was done, otherwise
        resumable = [name for name in now if name.endswith(".resume")]
        assert {k: v for k, v in now.items() if k not in resumable} == before, where
    if code:
        errors = [line for line in said.splitlines() if line.startswith("Error: ")]
        assert (code, len(errors), errors[0][7:18]) == (1, 1, "interrupted"), where


def interrupt(case: str, folder: Path, times: int) -> None:
    """Send signals at random moments to the command of a case, run in a forked process."""
    chance = random.Random(case)
    with laid(case, folder) as (job, place, duration, before, whole):
        for k in range(times):
            kills._lay(job, place)
            process = kills._Child(job, place, "12"[k % 2])
            while not handles(process.pid, signal.SIGHUP) and not process.ended():
                pass
            number = SIGNALS[k % 3]
            time.sleep(chance.uniform(0, duration))
            for _ in range(1 + k // 3 % 2):
                if not process.ended():
                    (os.killpg if k % 2 else os.kill)(process.pid, number)
            code, said = process.finished(), process.said()
            kills._end_all()
            assert_clean(f"{case}, trial {k}", code, said, kills._content(place), before, whole)


def at_call(number: int, counted: Path) -> Callable[[], None]:
    """What has a process send itself SIGTERM at that call of a function; it counts them all."""
    calls = 0

    def at_it(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event not in ("call", "c_return"):  # Python runs no handler right before a call into C
            return
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGTERM)
        if frame.f_code is _interrupts.end.__code__ and event == "call":
            counted.write_text(str(calls))

    return lambda: sys.setprofile(at_it)


def interrupt_calls(case: str, folder: Path, times: int) -> None:
    """Send a signal at calls of functions, at any of them and, as often, at one near the end."""
    chance = random.Random(case)
    with laid(case, folder) as (job, place, _, before, whole):
        counted = folder / "counted"
        kills._Child(job, place, "1", before=at_call(0, counted)).finished()
        calls = int(counted.read_text())
        for k in range(times):
            kills._lay(job, place)
            first = 200 if k % 2 else calls - 1000  # before it, signals are not handled yet
            number = chance.randint(first, calls)
            process = kills._Child(job, place, "1", before=at_call(number, counted))
            code, said = process.finished(), process.said()
            kills._end_all()
            trial = f"{case}, call {number} of {calls}"
            assert_clean(trial, code, said, kills._content(place), before, whole)


INTERRUPTED = (
    *(*OTHERS, "export imagefolder", "export csv", "export npz"),
    *("export --overwrite imagefolder", "export --overwrite npz"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", INTERRUPTED)
def test_signals_at_random_moments_of_each_command(case: str, tmp_path: Path) -> None:
    """SIGINT, SIGTERM, SIGHUP, once and twice, to the process or its group: clean every time."""
    interrupt(case, tmp_path, 6)


@pytest.mark.slow
@pytest.mark.parametrize("case", INTERRUPTED)
def test_signals_at_any_call_of_each_command(case: str, tmp_path: Path) -> None:
    """Also where moments are so short that a signal from outside seldom meets them."""
    interrupt_calls(case, tmp_path, 20)


@pytest.mark.slow
@pytest.mark.parametrize("case", kills.cases())
def test_a_kill_at_a_random_moment_loses_nothing(case: str, tmp_path: Path) -> None:
    """Nothing partial is under a final name, and the next run succeeds and tidies up."""
    trials = kills.run(case, 4, 1, tmp_path)
    assert not trials.failures
    assert trials.tried == 4


@pytest.mark.slow
def test_a_real_process_that_is_killed_early(tmp_path: Path) -> None:
    """From the first moments of the interpreter on; the next run has what it needs."""
    chance = random.Random(1)
    for k in range(5):
        process = started(tmp_path, "export", "-f", "csv", "--dataset", "synth:900,9", "-o", "out")
        time.sleep(chance.uniform(0, 0.15) * k)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "out").exists() or len(mnistprep.read(tmp_path / "out")) == 909
    process = started(tmp_path, "export", "-f", "csv", "--dataset", "synth:900,9", "-o", "out")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 or "exists already" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_signal_at_any_moment_of_staging_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in its making and removing a staging folder is caught, it is gone in the end."""
    chance, caught = random.Random(2), 0
    monkeypatch.setattr(_interrupts, "SIGNALS", (signal.SIGALRM,))  # which a timer sends
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for k in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 2e-3))
                with atomic_path(tmp_path / "a" / str(k)) as staging:
                    staging.write_text("x")
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
            _staging.discard_staging(KeyboardInterrupt())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught > 10
    assert not list(tmp_path.glob("**/.mnistprep-*"))
