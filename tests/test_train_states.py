"""mnistprep train: what an earlier run has left is lost to nothing but what replaces it."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import mnistprep
from mnistprep import Dataset, cli
from mnistprep.cli import _shared
from mnistprep.errors import FormatError, MnistprepError, TargetError, UsageError
from mnistprep.training import load_checkpoint, runs

MODEL, STATE = Path("m.npz"), Path("m.npz.resume")
ASKED: dict[str, Any] = {"recipe": "numpy", "epochs": 3}
FREE = ("same run", "other run")  # kinds of what is there that --overwrite may replace
TAKEN = ("checkpoint", "own file", "empty file", "folder", "link to nothing")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A few drawn digits."""
    return mnistprep.load("synth:30,10", workers=1)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in an empty folder."""
    monkeypatch.chdir(tmp_path)


def stop_when(there: Callable[[], bool]) -> Callable[[object], None]:
    """A watch that is interrupted as soon as something is so."""

    def stop(what: object) -> None:
        if there():
            raise KeyboardInterrupt

    return stop


def leave_a_state(digits: Dataset, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """What an interrupted run leaves."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "_PAUSE", 0.0)
        mnistprep.train(digits, MODEL, watch=stop_when(STATE.exists), **{**ASKED, **changed})


def prepare(kind: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put something where the state of a run goes."""
    match kind:
        case "same run":
            leave_a_state(digits, monkeypatch)
        case "other run":
            leave_a_state(digits, monkeypatch, seed=5)
        case "checkpoint":
            mnistprep.train(digits, STATE, **ASKED)
        case "own file":
            STATE.write_text("mine")
        case "empty file":
            STATE.touch()
        case "folder":
            STATE.mkdir()
            (STATE / "mine").touch()
        case "link to nothing":
            STATE.symlink_to("elsewhere")


def content() -> dict[str, object]:
    """Everything in the working folder, by name."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in sorted(Path().rglob("*"))
    }


@pytest.mark.parametrize("ways", [(), ("overwrite",), ("resume",), ("overwrite", "resume")])
@pytest.mark.parametrize("kind", [*FREE, *TAKEN])
def test_a_run_that_is_refused_loses_nothing(
    kind: str, ways: tuple[str, ...], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is kept nor what else lies there, whatever the reason and the options."""
    prepare(kind, digits, monkeypatch)
    before = content()
    asked = {**ASKED, **dict.fromkeys(ways, True)}
    with pytest.raises(MnistprepError):
        mnistprep.train(digits, MODEL, **asked, device="cuda")
    assert content() == before


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("finished", [False, True])
def test_an_earlier_state_stays_until_there_is_a_new_one(
    kind: str, finished: bool, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With overwriting: interrupted before its first state nothing has changed, then it has."""
    if finished:
        mnistprep.train(digits, MODEL, **ASKED, seed=8)
        kept = MODEL.rename("aside")
    prepare(kind, digits, monkeypatch)
    if finished:
        kept.rename(MODEL)
    before = content()
    with pytest.raises(KeyboardInterrupt):
        mnistprep.train(digits, MODEL, overwrite=True, watch=stop_when(lambda: True), **ASKED)
    assert content() == before

    monkeypatch.setattr(runs, "_PAUSE", 0.0)
    old = STATE.read_bytes()
    asked = {**ASKED, "seed": 9, "overwrite": True}
    newer = stop_when(lambda: STATE.read_bytes() != old)
    with pytest.raises(KeyboardInterrupt):
        mnistprep.train(digits, MODEL, watch=newer, **asked)
    assert load_checkpoint(STATE).seed == 9
    assert MODEL.exists() == finished
    resumed = mnistprep.train(digits, MODEL, resume=True, **asked)
    assert len(resumed.history) == 3
    assert list(content()) == [str(MODEL)]
    assert load_checkpoint(MODEL).seed == 9


@pytest.mark.parametrize("kind", FREE)
def test_a_short_run_takes_an_earlier_state_away(
    kind: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has kept no state of its own when its checkpoint is there."""
    prepare(kind, digits, monkeypatch)
    mnistprep.train(digits, MODEL, overwrite=True, **ASKED)
    assert list(content()) == [str(MODEL)]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", TAKEN)
def test_what_is_no_state_is_never_replaced(
    kind: str, overwrite: bool, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished checkpoint of that name, a file of somebody's: refused before training."""
    prepare(kind, digits, monkeypatch)
    before = content()
    with pytest.raises(TargetError, match=r"m\.npz\.resume is where the run would keep its state"):
        mnistprep.train(digits, MODEL, overwrite=overwrite, **ASKED)
    with pytest.raises(FormatError, match=r"m\.npz\.resume: "):
        mnistprep.train(digits, MODEL, overwrite=overwrite, resume=True, **ASKED)
    assert content() == before


def test_what_comes_into_being_there_is_not_replaced(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the state of a run that began without it, nor when the run is done."""

    def put(what: object) -> None:
        STATE.write_text("mine")

    monkeypatch.setattr(runs, "_PAUSE", math.inf)  # no state is kept
    mnistprep.train(digits, MODEL, watch=put, overwrite=True, **ASKED)
    assert STATE.read_text() == "mine"
    monkeypatch.setattr(runs, "_PAUSE", 0.0)
    STATE.unlink()
    before = MODEL.read_bytes()
    with pytest.raises(TargetError, match=r"m\.npz\.resume exists already"):
        mnistprep.train(digits, MODEL, watch=put, overwrite=True, **ASKED)
    assert STATE.read_text() == "mine"
    assert MODEL.read_bytes() == before


@pytest.mark.parametrize("part", ["weights", "state", "asked"])
def test_a_damaged_state_is_refused(
    part: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state in which a part is something else is none."""
    leave_a_state(digits, monkeypatch)
    read = runs.checkpoints.read(STATE)
    monkeypatch.setattr(runs.checkpoints, "read", lambda path: read)
    read["resume"][part] = 5
    for asked in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(MnistprepError, match=r"m\.npz\.resume"):
            mnistprep.train(digits, MODEL, **ASKED, **asked)


def test_a_name_too_long_for_a_state_is_said_before_training(digits: Dataset) -> None:
    """The checkpoint itself could be written."""
    with pytest.raises(TargetError, match="name too long"):
        mnistprep.train(digits, "m" * 252, **ASKED)
    for overwrite in (False, True):
        with pytest.raises(TargetError):  # these have no name
            mnistprep.train(digits, "", overwrite=overwrite, **ASKED)
    assert content() == {}


def command(*arguments: object) -> Result:
    """The command, in this process."""
    given = ("--recipe", "numpy", "--dataset", "synth:30,10", "--epochs", 3, "-o", MODEL)
    return CliRunner().invoke(cli.main, list(map(str, ("train", *given, *arguments))))


def test_an_interrupted_command_says_what_there_is(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the state of this run, not what another has left."""
    leave_a_state(digits, monkeypatch, seed=5)
    stop = stop_when(lambda: True)
    monkeypatch.setattr(_shared.Console, "say", lambda console, what: stop(what))
    early = command("--overwrite")
    assert (early.exit_code, "--resume" in early.output) == (1, False), early.output
    assert load_checkpoint(STATE).seed == 5

    def later(console: object, what: str) -> None:
        if what.startswith("epoch 2"):
            raise KeyboardInterrupt

    monkeypatch.setattr(_shared.Console, "say", later)
    monkeypatch.setattr(runs, "_PAUSE", 0.0)
    late = command("--overwrite")
    assert "m.npz.resume has what it takes to go on" in late.output
    assert load_checkpoint(STATE).seed == 0
    again = command("--overwrite", "--resume")
    assert "m.npz.resume has what it takes to go on" in again.output
    monkeypatch.undo()


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ends by itself; it is killed otherwise."""
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


@pytest.mark.slow
def test_killed_at_any_moment_there_is_always_something_whole(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --overwrite there is a whole state, or the new checkpoint; and --resume ends in it."""
    mnistprep.write(mnistprep.load("synth:500,30"), "d.npz", provenance=False)
    line = [sys.executable, "-m", "mnistprep", "train", "--recipe", "numpy", "--input", "d.npz",
            "-q", "--epochs", "10", "-o", str(MODEL)]  # fmt: skip
    begun = time.monotonic()
    subprocess.run(line, check=True)
    duration = time.monotonic() - begun
    whole = MODEL.read_bytes()
    mnistprep.train(digits, MODEL, overwrite=True, seed=7, **ASKED)
    first = MODEL.rename("first").read_bytes()
    leave_a_state(digits, monkeypatch, seed=5)
    earlier = STATE.read_bytes()
    chance, outcomes = random.Random(1), []
    while len(outcomes) < 5 or (len(outcomes) < 30 and not set(outcomes) & {"kept", "begun"}):
        for path in (MODEL, STATE):
            path.unlink(missing_ok=True)
        MODEL.write_bytes(first)
        STATE.write_bytes(earlier)
        process = subprocess.Popen([*line, "--overwrite"], start_new_session=True)
        done = ended(process, chance.uniform(0.3, 1.05) * duration)
        duration *= 0.8 if done else 1  # the first run may have been a slow one
        found = MODEL.read_bytes()
        assert found in ((whole,) if done else (first, whole))
        if found == whole:
            outcomes.append("done")
        elif not STATE.exists():  # it had been set aside, and is put back
            outcomes.append("aside")
        else:
            outcomes.append("kept" if load_checkpoint(STATE).seed == 5 else "begun")
        again = [*line, "--overwrite"] + ["--resume"] * (outcomes[-1] == "begun")
        assert subprocess.run(again, check=False).returncode == 0
        assert MODEL.read_bytes() == whole
        assert sorted(content()) == ["d.npz", "first", str(MODEL)], outcomes
    assert set(outcomes) & {"kept", "begun"}


@pytest.mark.slow
def test_a_refused_command_keeps_the_state_of_a_killed_one() -> None:
    """Killed, asked anew for a device that is not there: --resume still goes on."""
    line = [sys.executable, "-m", "mnistprep", "train", "--recipe", "numpy",
            "--dataset", "synth:500,30", "--epochs", "20", "-o", str(MODEL)]  # fmt: skip
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    for _ in range(3000):
        if STATE.exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = STATE.read_bytes()
    refused = subprocess.run([*line, "--overwrite", "--device", "cuda"], capture_output=True)
    assert refused.returncode == 2, refused.stderr
    assert STATE.read_bytes() == before
    resumed = subprocess.run([*line, "--resume"], capture_output=True, text=True, check=True)
    assert "epoch 1:" not in resumed.stdout
    assert list(content()) == [str(MODEL)]


def test_a_state_of_another_run_survives_resuming(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused with what differs, also with overwriting."""
    leave_a_state(digits, monkeypatch, seed=5)
    before = content()
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="seed is 5, here 0"):
            mnistprep.train(digits, MODEL, resume=True, overwrite=overwrite, **ASKED)
    assert content() == before
