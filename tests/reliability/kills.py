"""Commands killed at random moments, each followed by the same command left alone."""

from __future__ import annotations

import ctypes
import gzip
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import tinydata

import mnistprep
from mnistprep import __main__, catalog, cli, formats
from reliability import pieces
from reliability.trials import Trials

TITLE = "Processes killed at any moment"
ABOUT = """\
The real command runs in a process of its own on 1,020 + 80 pictures and gets SIGKILL: five times in
eight at a moment drawn evenly from its whole duration and a little more, once near its end, once
when something has just changed in the target's folder, once when the target has just appeared.
Every second time all its worker processes are killed with it; half of the runs have two workers.
Right is: within two seconds no process of it is left; under the final name is nothing or the whole
output, byte for byte (with `--overwrite`: the old or the new one, and never nothing); the same
command, run again, succeeds, or says that the target exists where it is whole; then there is no
temporary file in the target's folder, in the folder for temporary files or in the cache. `fetch`
has files of its own to get, sent in small pieces; `train` is gone on with by `--resume` where there
is a state, and must end in the bytes of a run that was never stopped."""
COUNT = 500

_GONE = 2.0  # seconds in which every process must have ended
_WAIT = 60.0  # seconds after which a run is taken for one that hangs
_SERVED = ("fetch from a server", "fetch from a folder")
_OVERWRITTEN = ("export --overwrite npz", "export --overwrite imagefolder")
_OTHERS = ("convert of a zip", "train mlp", "train numpy", "report")
_SUBREAPER = 36  # prctl: orphans become children of this process, which can wait for them

Content = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """A command, run in an empty folder.

    again: what is added where a run was stopped that left a state. old: what lies there before.
    """

    arguments: tuple[str, ...]
    target: str
    old: Content
    workers: bool = True
    again: tuple[str, ...] = ()


def cases() -> list[str]:
    """Fetching, every export, and what else writes."""
    usable = [name for name in formats.FORMATS if formats.missing(name) is None]
    return [*_SERVED, *(f"export {name}" for name in usable), *_OVERWRITTEN, *_OTHERS]


def run(case: str, count: int, seed: int, folder: Path) -> Trials:
    """Kill the command of a case `count` times."""
    trials, chance = Trials(case), random.Random(f"{seed} {case}")
    with _job(case, folder) as job, _prepared():
        place = folder / "trial"
        whole, duration = _unhindered(job, place)
        for number in range(count):
            _lay(job, place)
            try:
                trials.outcomes[_trial(job, place, number, chance, whole, duration)] += 1
            except _Wrong as wrong:
                trials.failures.append(f"{case}, trial {number} of seed {seed}: {wrong}")
            finally:
                _end_all()
    return trials


class _Wrong(Exception):
    """Something that must not happen."""


def _trial(
    job: Job,
    place: Path,
    number: int,
    chance: random.Random,
    whole: Content,
    duration: float,
) -> str:
    workers = "12"[number // 2 % 2]
    process = _Child(job, place, workers)
    _wait_for_the_moment(process, job, place, number % 8, chance, duration)
    process.kill(group=number % 2 == 1)
    killed = time.monotonic()
    while not _all_ended():
        if time.monotonic() - killed > _GONE:
            raise _Wrong("processes live on")
        time.sleep(0.0005)
    outcome = _outcome(job, place, whole)
    stopped = (place / "work" / f"{job.target}.resume").exists()
    process = _Child(job, place, workers, *(job.again if stopped else ()))
    code, said = process.finished(), process.said()
    if code == 1 and "--resume goes on with it" in said:  # killed when the state was set aside
        process = _Child(job, place, workers, *job.again)
        code, said = process.finished(), process.said()
    if code is None:
        raise _Wrong(f"after {outcome}, the next run hangs")
    refused = code == 1 and "exists already" in said and outcome == "the whole output"
    if code != 0 and not refused:
        raise _Wrong(f"after {outcome}, the next run ends with {code}: {said}")
    found = _content(place)
    if found != whole:
        raise _Wrong(f"after {outcome}, the next run ({code}) leaves {_difference(found, whole)}")
    return f"{outcome}{' and a state' if stopped else ''}"


def _wait_for_the_moment(
    process: _Child, job: Job, place: Path, kind: int, chance: random.Random, duration: float
) -> None:
    begun = time.monotonic()
    if kind <= 5:
        time.sleep(chance.uniform(0.8 if kind == 5 else 0, 1.1) * duration)
    else:
        watched = place / "work" / job.target if kind == 7 else place / "work"
        if job.target.startswith("cache"):
            watched = place / job.target
        before = _identity(watched)
        while _identity(watched) == before and not process.ended():
            if time.monotonic() - begun > 10 * duration:
                break
        time.sleep(chance.choice([0, chance.uniform(0, 0.002)]))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _outcome(job: Job, place: Path, whole: Content) -> str:
    """What is under the final names right after the kill; raises _Wrong for what must not be."""
    found = {name: data for name, data in _content(place).items() if _is_final(name, job)}
    wrong = [name for name, data in found.items() if data != whole.get(name)]
    if job.target.startswith("cache"):  # file by file
        if any(not name.endswith("/") for name in wrong):
            raise _Wrong(f"{wrong} of the cache: not as published")
        return f"{len(found) - len(wrong)} of the files"
    top = f"work/{job.target}"
    new = {name for name in whole if _is_of(name, top)}
    if found.keys() >= new and not wrong:
        return "the whole output"
    old = {f"work/{name}": data for name, data in job.old.items()}
    if old and found.items() <= old.items() and {n for n in old if _is_of(n, top)} <= found.keys():
        return "the old output"
    if found or job.old:
        raise _Wrong(f"something partial: {sorted(found)[:5]} ({len(found)}), wrong: {wrong[:5]}")
    return "nothing"


def _is_final(name: str, job: Job) -> bool:
    temporary = (".mnistprep-", ".downloads/", ".lock", ".resume")
    return not name.startswith("tmp/") and not any(part in name for part in temporary)


def _is_of(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}/")


def _difference(found: Content, whole: Content) -> str:
    extra, lacking = sorted(found.keys() - whole.keys()), sorted(whole.keys() - found.keys())
    other = sorted(name for name in found.keys() & whole.keys() if found[name] != whole[name])
    return f"{extra[:5]} too many, {lacking[:5]} too few, {other[:5]} with another content"


def _content(place: Path) -> Content:
    """Every file and every empty folder below; a lock file is no leftover."""
    found = {}
    for top, folders, files in os.walk(place):
        for name in files:
            path = os.path.join(top, name)
            if not name.endswith(".lock"):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, place)] = file.read()
        if not folders and not files and Path(top).parent != place:
            found[os.path.relpath(top, place) + "/"] = b""
    return found


def _lay(job: Job, place: Path) -> None:
    """The folder as it is before the command runs."""
    shutil.rmtree(place, ignore_errors=True)
    for name in ("work", "tmp", "cache"):
        (place / name).mkdir(parents=True)
    for name, data in job.old.items():
        path = place / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _unhindered(job: Job, place: Path) -> tuple[Content, float]:
    """What a run writes that nobody disturbs, and its median duration in seconds."""
    times = []
    for _ in range(4):
        _lay(job, place)
        begun = time.monotonic()
        process = _Child(job, place, "2")
        if process.finished() != 0:
            raise RuntimeError(f"{job.arguments} fails: {process.said()}")
        times.append(time.monotonic() - begun)
    _end_all()
    return _content(place), sorted(times[1:])[1]


class _Child:
    """A command in a forked process, in a session of its own."""

    def __init__(
        self,
        job: Job,
        place: Path,
        workers: str,
        *added: str,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._place = place
        self._code: int | None = None
        arguments = [*job.arguments, *added]
        if job.workers:
            arguments += ["--workers", workers]
        with warnings.catch_warnings():  # of Python 3.12 and later, where a test has threads
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            _live(arguments, place, before)

    def ended(self) -> bool:
        """Whether the process itself has ended."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def kill(self, *, group: bool) -> None:
        """SIGKILL, for the process or for all its session."""
        if group:
            with suppress(ProcessLookupError):  # it has not made its session yet, or all is over
                os.killpg(self.pid, signal.SIGKILL)
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._code = -signal.SIGKILL

    def finished(self) -> int | None:
        """The exit code; None when it had to be killed after a long time."""
        begun = time.monotonic()
        while not self.ended():
            if time.monotonic() - begun > _WAIT:
                self.kill(group=True)
                return None
            time.sleep(0.001)
        return self._code

    def said(self) -> str:
        """What it printed."""
        path = self._place.with_name("said")
        return path.read_text() if path.exists() else ""


def _live(arguments: list[str], place: Path, before: Callable[[], None]) -> None:
    """Be that command; never returns."""
    code = 70
    try:
        said = os.open(place.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(place / "work")
        os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
        os.environ["MNISTPREP_HOME"] = str(place / "cache")
        before()
        sys.argv = ["mnistprep", *arguments]
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what runs the tests may have it ignored
        __main__.run()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    finally:
        os._exit(code)


def _all_ended() -> bool:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return False
    return True


def _end_all() -> None:
    """Wait for every process that a trial has left behind, of which there should be none."""
    for _ in range(10_000):
        if _all_ended():
            return
        time.sleep(0.001)


@contextmanager
def _prepared() -> Iterator[None]:
    """The parent of the commands: all is imported, one thread, orphans come to it."""
    import torch
    import torch._dynamo  # seconds, which an optimiser takes when it is first used

    for name in cli.COMMANDS:
        cli.main.get_command(None, name)  # type: ignore[arg-type]
    from mnistprep.training import runs

    threads, pause = torch.get_num_threads(), runs._PAUSE
    torch.set_num_threads(1)
    runs._PAUSE = 0.0  # a state after every epoch, and not twice a second
    before = {name: os.environ.get(name) for name in ("MNISTPREP_OFFLINE", "MNISTPREP_MIRROR")}
    for name in before:
        os.environ.pop(name, None)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_SUBREAPER, 0, 0, 0, 0)
        torch.set_num_threads(threads)
        runs._PAUSE = pause
        os.environ.update({name: value for name, value in before.items() if value is not None})


@contextmanager
def _job(case: str, folder: Path) -> Iterator[Job]:
    if case in _SERVED:
        with _fetching(case, folder) as job:
            yield job
        return
    source = folder / "digits.npz"
    mnistprep.write(mnistprep.load("synth:1020,80"), source, provenance=False)
    reading = ("--input", str(source))
    name = case.split()[-1]
    if case == "report":
        yield Job(("report", str(source), "-o", "page.html"), "page.html", {})
    elif case.startswith("train"):
        target = "model.npz" if name == "numpy" else "model.pt"
        arguments = ("train", "--recipe", name, *reading, "--limit", "200", "-o", target)
        yield Job((*arguments, "--epochs", "3", "--device", "cpu"), target, {}, again=("--resume",))
    elif case == "convert of a zip":
        packed = folder / "digits.zip"
        mnistprep.write(mnistprep.read(source), folder / "idx", "idx-gz")
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted((folder / "idx").rglob("*.gz")):
                archive.write(path, path.relative_to(folder))
        yield Job(("convert", str(packed), "out.npz"), "out.npz", {})
    else:
        target, old, extra = formats.default_output(name, "out"), {}, ()
        if "--overwrite" in case:
            extra = ("--overwrite",)
            other = folder / "old" / target
            other.parent.mkdir()
            mnistprep.write(mnistprep.load("synth:30,10"), other, name)
            files = [path for path in other.parent.rglob("*") if path.is_file()]
            old = {str(path.relative_to(other.parent)): path.read_bytes() for path in files}
        yield Job(("export", "-f", name, *reading, "-o", target, *extra), target, old)


@contextmanager
def _fetching(case: str, folder: Path) -> Iterator[Job]:
    catalog.DATASETS["tiny"] = tinydata.row_of("tiny", tinydata.TINY, (), "sha256")
    packed = {f"{name}.gz": gzip.compress(body, mtime=0) for name, body in tinydata.TINY.items()}
    try:
        if case == _SERVED[1]:
            (folder / "mirror").mkdir()
            for name, body in packed.items():
                (folder / "mirror" / name).write_bytes(body)
            mirror, server = str(folder / "mirror"), None
        else:
            mirror, server = pieces.serving(packed)
        try:
            arguments = ("fetch", "--dataset", "tiny", "--mirror", mirror)
            yield Job(arguments, "cache/tiny", {}, workers=False)
        finally:
            if server is not None:
                os.kill(server, signal.SIGKILL)
    finally:
        del catalog.DATASETS["tiny"]
