"""Every reader under a coverage-guided fuzzer, atheris, which starts from small valid files."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from reliability.fuzz_readers import READERS
from reliability.fuzz_target import CPU_SECONDS, HANG_SECONDS, MEMORY, SCOUTED
from reliability.trials import Trials

TITLE = "Fuzzing"
ABOUT = f"""\
Every reader is run under [atheris](https://github.com/google/atheris), a coverage-guided fuzzer,
in a process of its own, from small valid files of mnistprep's and of other tools. The mutator opens
what is packed or summed (gzip, bzip2, xz, zip, tar, PNG, TFRecord, safetensors, npy, MATLAB),
changes what is inside and closes it with sums that are right; it renames, drops and swaps the files
of a folder. Most inputs are read with their format named, one in eight by detection. Right is a
dataset that is valid, and the same when it is read again, as one input in four is, or one of
mnistprep's errors. Any other exception, a warning, more than {CPU_SECONDS:.0f} s of computing, more
than {MEMORY >> 20} MiB of memory, a file written or left outside the temporary folder, a process, a
socket are failures; an audit hook is the witness. Users have HDF5 in a process apart; here it is
called in the process that is fuzzed, and a scout reads each such input before: where the library
crashes or hangs there, the input is read as users read it."""
COUNT = 200_000

_MOST_CRASHES = 100
_TESTS = Path(__file__).parent.parent
_CRASHED = "the HDF5 library crashes or hangs, in a process apart"


def cases() -> list[str]:
    """The readers."""
    return list(READERS)


def missing() -> str | None:
    """Why nothing can be fuzzed under atheris here, if so."""
    if sys.platform != "linux" or importlib.util.find_spec("atheris") is None:
        return "atheris is not here; hypothesis alone tries the readers"
    return None


def run(case: str, count: int, seed: int, folder: Path, *, seconds: float = 0) -> Trials:
    """Fuzz a reader with `count` inputs, or for `seconds` where that is not 0."""
    trials = Trials(case)
    home = folder / case
    home.mkdir(parents=True)
    (home / "counts").write_bytes(bytes(32))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)]),
        "MNISTPREP_HOME": str(home / "home"),
        "MNISTPREP_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    crashes: list[str] = []
    until = time.monotonic() + seconds
    for attempt in range(_MOST_CRASHES):
        left = until - time.monotonic()
        if seconds and attempt and left < 5:  # what a start takes
            break
        done = sum(struct.unpack("<4Q", (home / "counts").read_bytes())) + len(crashes)
        if not seconds and done >= count:
            break
        numbers = [seed * _MOST_CRASHES + attempt, 0 if seconds else count - done]
        arguments = [case, str(home), *map(str, numbers), f"{left if seconds else 0:.0f}"]
        command = [sys.executable, "-m", "reliability.fuzz_target", *arguments]
        with (home / "log").open("ab") as log:
            code = subprocess.run(
                command, env=environment, cwd=home, stdout=log, stderr=log, check=False
            ).returncode
        if code == 0:
            break
        found = [file for kind in ("crash", "timeout", "oom") for file in home.glob(f"{kind}-*")]
        if not found:
            trials.failures.append(f"it ended with {code}: {_end(home / 'log')}")
            break
        for file in found:
            if _refused_apart(case, file, environment):
                crashes.append(file.name)
            else:
                trials.failures.append(f"{file.name}: {file.read_bytes().hex()}")
            file.rename(home / "failed" / file.name)
    read, refused, crashed, failed = struct.unpack("<4Q", (home / "counts").read_bytes())
    trials.outcomes.update({"read": read, "refused": refused})
    if crashed or crashes:
        trials.outcomes[_CRASHED] = crashed + len(crashes)
    _add_failures(trials, home, failed)
    if (home / "refused").exists() and (unread := (home / "refused").read_text()):
        trials.failures.append(f"valid inputs are refused: {unread}")
    for leftover in ("corpus", "in", "tmp"):
        shutil.rmtree(home / leftover, ignore_errors=True)
    return trials


def _add_failures(trials: Trials, home: Path, failed: int) -> None:
    lines = home / "failures.jsonl"
    found = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    for entry in found:
        data = (home / "failed" / entry["input"]).read_bytes()
        shown = data.hex() if len(data) < 600 else f"{len(data)} bytes, {entry['input']}"
        trials.failures.append(f"{entry['what']} ({shown})")
    if failed > len(found):
        trials.failures.extend([f"more of these: {failed - len(found)}"])


def _end(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-400:]


def _refused_apart(case: str, file: Path, environment: dict[str, str]) -> bool:
    """Whether what ended the fuzzed process is refused where HDF5 has a process of its own."""
    if case not in SCOUTED:
        return False
    command = [sys.executable, "-m", "reliability.fuzz_once", case, str(file), str(file.parent)]
    try:
        result = subprocess.run(
            command, env=environment, timeout=4 * HANG_SECONDS, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return False
    return result.stdout.strip() in ("refused", "read")
