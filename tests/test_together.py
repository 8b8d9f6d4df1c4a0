"""Several processes at the same target, folder or cache: one wins or all do, and all is whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep import Dataset, Split, _renames, _staging
from mnistprep._files import atomic_path
from mnistprep._staging import remove_leftovers, staging_folder
from mnistprep.errors import MnistprepError, TargetError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")

COUNT = 8
KINDS = ["npz", "imagefolder", "csv", "idx", "safetensors"]


def numbered(number: int, count: int = 60) -> Dataset:
    """A set that is like no other of another number, of the same shape."""
    random = np.random.default_rng(number)
    images = random.integers(0, 256, (count, 6, 6), np.uint8)
    split = Split(images, np.arange(count) % 3)
    return Dataset("x", {"train": split}, ("0", "1", "2"))


def together(task: Callable[[int], object], count: int = COUNT) -> list[str]:
    """What each of so many processes says that run task(number) at once: "" when all is well."""
    ready, go = os.pipe()
    children = []
    for number in range(count):
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            said = ""
            try:
                os.close(go)
                os.read(ready, 1)  # until the parent closes its end
                task(number)
            except MnistprepError as error:
                said = f"{type(error).__name__}: {error}"
            except BaseException:
                said = traceback.format_exc()[-600:]
            finally:
                os.write(writer, said.encode()[:4000])
                os._exit(0)
        os.close(writer)
        children.append((pid, reader))
    os.close(ready)
    os.close(go)
    found = []
    for pid, reader in children:
        with os.fdopen(reader) as told:
            found.append(told.read())
        os.waitpid(pid, 0)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_one_target(name: str, tmp_path: Path) -> None:
    """One wins; the others say that the target is there; it is whole, and nothing else stays."""
    said = together(lambda k: mnistprep.write(numbered(k), tmp_path / "new" / "out", name))
    won = [k for k, words in enumerate(said) if not words]
    assert len(won) == 1
    lost = [words for words in said if words]
    assert all(words.startswith("TargetError: ") for words in lost), lost
    assert all("meanwhile" in words or "exists already" in words for words in lost)
    assert mnistprep.read(tmp_path / "new" / "out", name).digests() == numbered(won[0]).digests()
    assert not list(tmp_path.rglob(".mnistprep-*"))


@pytest.mark.parametrize("name", KINDS)
def test_targets_in_one_folder(name: str, tmp_path: Path) -> None:
    """All succeed, in a folder that none of them found there."""
    said = together(lambda k: mnistprep.write(numbered(k), tmp_path / "new" / f"out{k}", name))
    assert said == [""] * COUNT
    for k in range(COUNT):
        found = mnistprep.read(tmp_path / "new" / f"out{k}", name)
        assert found.digests() == numbered(k).digests()
    assert not list(tmp_path.rglob(".mnistprep-*"))


@pytest.mark.slow
@pytest.mark.parametrize("forms", [("npz", "idx"), ("idx", "imagefolder"), ("csv", "imagefolder")])
def test_another_form_takes_the_place_while_others_read(
    forms: tuple[str, str], tmp_path: Path
) -> None:
    """A reader who does not name the form finds one whole set, or says that it was replaced."""
    target = tmp_path / "out"
    mnistprep.write(numbered(0), target, forms[0])
    allowed = [numbered(k).digests() for k in range(COUNT)]

    def work(k: int) -> None:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            if k < 2:
                mnistprep.write(numbered(k), target, forms[k], overwrite=True)
                continue
            try:
                assert mnistprep.read(target).digests() in allowed
            except MnistprepError as error:
                assert "was replaced or removed" in str(error)

    assert together(work) == [""] * COUNT
    assert not list(tmp_path.rglob(".mnistprep-*"))


@pytest.mark.parametrize("which", ["npz", "idx", "npy"])
def test_what_lies_beside_a_file_goes_when_it_is_looked_at(which: str, tmp_path: Path) -> None:
    """What others take away from the same folder is as if it had not been there."""
    data = numbered(0)
    images, labels = data.splits["train"].images, data.splits["train"].labels
    kept = {"npz": "x.npz", "idx": "train-images-idx3-ubyte", "npy": "x_train.npy"}[which]
    partner = {"npz": "", "idx": "train-labels-idx1-ubyte", "npy": "y_train.npy"}[which]
    mnistprep.write(data, tmp_path / "x.npz")
    for each in ("idx", "idx-gz", "csv"):
        mnistprep.write(data, tmp_path / each, each)
        for file in (tmp_path / each).rglob("*.*" if each == "csv" else "*-ubyte*"):
            file.rename(tmp_path / file.name)
    np.save(tmp_path / "x_train.npy", images)
    np.save(tmp_path / "y_train.npy", labels)

    def work(number: int) -> None:
        gone = []

        def see(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and isinstance(arguments[0], (str, bytes)):
                path = Path(os.fsdecode(arguments[0]))
                if path.parent == tmp_path and path.name not in (kept, partner) and path.is_file():
                    path.unlink()
                    gone.append(path)

        sys.addaudithook(see)
        found = mnistprep.read(tmp_path / kept).splits["train"]
        assert np.array_equal(found.images, images)
        assert np.array_equal(found.labels, labels)
        assert gone

    assert together(work, 1) == [""]


@pytest.mark.slow
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_overwriting_while_others_read(
    name: str, exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every writer succeeds; a reader finds one whole set, or says that it was replaced."""
    if not exchange:
        monkeypatch.setattr(_renames, "renamed", lambda *which: False)
    target = tmp_path / "out"
    mnistprep.write(numbered(0), target, name)
    allowed = [numbered(k).digests() for k in range(COUNT)]

    def work(k: int) -> None:
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            if k < 5:
                mnistprep.write(numbered(k), target, name, overwrite=True)
                continue
            try:
                assert mnistprep.read(target, name).digests() in allowed
            except MnistprepError as error:
                # Where replacing takes two steps, it may be away in between.
                assert not exchange or "was replaced or removed" in str(error)

    assert together(work) == [""] * COUNT
    digests = mnistprep.read(target, name).digests()
    assert digests in allowed
    paper = target / "mnistprep.json" if target.is_dir() else tmp_path / "out.mnistprep.json"
    assert json.loads(paper.read_text())["digests"]["train"]["images"] == digests["train"].images
    assert not list(tmp_path.rglob(".mnistprep-*"))


def test_trainings_to_one_output(tmp_path: Path) -> None:
    """One writes the checkpoint; the others say that it or its state is there."""
    data, target = numbered(1, 300), tmp_path / "model.npz"
    said = together(lambda k: mnistprep.train(data, target, recipe="numpy", seed=k, epochs=1))
    assert [words for words in said if words and not words.startswith("TargetError: ")] == []
    won = [k for k, words in enumerate(said) if not words]
    assert len(won) == 1
    from mnistprep.training import load_checkpoint

    assert load_checkpoint(target).seed == won[0]
    assert not list(tmp_path.rglob(".mnistprep-*"))


def test_parents_that_one_makes_and_another_needs(tmp_path: Path) -> None:
    """A run that fails takes away the folders it has made, and those of nobody else."""

    def work(k: int) -> None:
        for turn in range(40):
            with suppress(ValueError), atomic_path(tmp_path / "a" / "b" / f"{k} {turn}") as staging:
                if k % 2:
                    raise ValueError
                staging.write_text("x")
            if k % 2 == 0:
                (tmp_path / "a" / "b" / f"{k} {turn}").unlink()
            with suppress(OSError):
                (tmp_path / "a" / "b").rmdir()

    assert together(work) == [""] * COUNT
    assert not list(tmp_path.rglob(".mnistprep-*"))


def test_kills_and_cleaning_up_at_once(tmp_path: Path) -> None:
    """While some are killed and all tidy up, no living process loses what it stages."""

    def work(k: int) -> None:
        for turn in range(60):
            with staging_folder(tmp_path) as folder:
                (folder / "new" / "x").write_text("x")
                if k >= 6 and turn == 30:
                    os.kill(os.getpid(), signal.SIGKILL)
                assert (folder / "new" / "x").read_text() == "x"

    assert together(work) == [""] * COUNT
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


HOLDING = """
import sys; from pathlib import Path; from mnistprep._staging import staging_folder
with staging_folder(Path(sys.argv[1])) as folder:
    print("ready", flush=True); sys.stdin.read()
    assert (folder / "new").is_dir()
"""


@pytest.mark.parametrize("prefix", [(), ("unshare", "--pid", "--fork", "--kill-child")])
def test_what_lives_in_another_process_or_container_stays(
    prefix: tuple[str, ...], tmp_path: Path
) -> None:
    """A lock that the system drops decides, no process number, which another may have by now."""
    if prefix and (os.getuid() != 0 or shutil.which("unshare") is None):
        pytest.skip("only root makes a namespace of processes")
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", HOLDING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    process.communicate("")
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_what_another_machine_stages_stays_for_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock may not be seen on a network file system; only age tells that it was left."""
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    holding = staging_folder(tmp_path)
    folder = holding.__enter__()
    os.close(_staging._staging.pop(folder))  # a lock that nobody here sees
    monkeypatch.undo()
    remove_leftovers(tmp_path)
    assert folder.exists()
    long_ago = time.time() - 8 * 24 * 3600
    (folder / "new" / "tree").mkdir()
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (long_ago, long_ago))
    (folder / "new" / "tree" / "late").write_text("x")  # work goes on
    remove_leftovers(tmp_path)
    assert folder.exists()
    os.utime(folder / "new" / "tree", (long_ago, long_ago))
    remove_leftovers(tmp_path)
    assert not folder.exists()
    with suppress(KeyError):
        holding.__exit__(None, None, None)


def test_a_target_that_comes_meanwhile_is_never_replaced(tmp_path: Path) -> None:
    """Not even an empty folder, and not by what a killed process had set aside."""
    with pytest.raises(TargetError, match="meanwhile"), atomic_path(tmp_path / "x") as staging:
        staging.mkdir()
        (tmp_path / "x").mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
