"""Targets that cannot be written: one message, exit code 1, nothing partial, nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reliability import kills

import mnistprep
from mnistprep import Dataset, Split, cli, formats
from mnistprep._progress import Quiet
from mnistprep.errors import MnistprepError, TargetError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults made by means of Linux")

FORMATS = [name for name in formats.FORMATS if formats.missing(name) is None]
EACH = [
    pytest.param(name, marks=[] if name in ("npz", "imagefolder") else pytest.mark.slow)
    for name in FORMATS
]
FILES = [name for name in FORMATS if "." in formats.default_output(name, "x")]
# Another user than root, who passes all checks; it may read wherever the interpreter lies.
NOBODY = (
    *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)


@pytest.fixture(scope="module")
def noise() -> Dataset:
    """250 + 50 pictures that nothing compresses, 235 kB."""
    random = np.random.default_rng(3)
    splits = {
        name: Split(random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count) % 10)
        for name, count in (("train", 250), ("test", 50))
    }
    return Dataset("noise", splits, tuple("0123456789"))


@pytest.fixture
def source(tmp_path: Path, noise: Dataset) -> Path:
    """The same as a file that any user may read."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    return mnistprep.write(noise, tmp_path / "noise.npz", provenance=False)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A memory file system of its own at a folder; skips where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tests", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a file system, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def as_nobody(*arguments: str | Path, cwd: Path, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code and message of a new process of a user that is not root."""
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root passes all checks, and setpriv(1) is not there to be somebody else")
    user = NOBODY if os.getuid() == 0 else ()
    environment = {**os.environ, "TMPDIR": str(cwd), "HOME": str(cwd), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*user, *prefix, sys.executable, "-m", "mnistprep", *map(str, arguments)],
        cwd=cwd,
        env={**environment, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stderr


def limited(
    arguments: tuple[str, ...], folder: Path, limit: Callable[[], None], workers: str = "2"
) -> tuple[int | None, str]:
    """Exit code and message of a command in a forked process that has set itself a limit."""
    job = kills.Job(arguments, "out", {})
    kills._lay(job, folder / "trial")
    process = kills._Child(job, folder / "trial", workers, before=limit)
    code = process.finished()
    return code, process.said()


def assert_one_message(code: int | None, said: str, *words: str) -> None:
    """Exit code 1, and one error that says what is wrong."""
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if not line.startswith("note: ")]
    assert (code, len(lines)) == (1, 1), said
    assert lines[0].startswith("Error: ")
    assert any(word in lines[0] for word in words), said


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    """Everything below a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(noise: Dataset, target: Path, name: str, *words: str, **given: bool) -> None:
    """Writing raises TargetError with those words, and changes nothing in the target's folder."""
    before = snapshot(target.parent)
    with pytest.raises(TargetError) as caught:
        mnistprep.write(noise, target, name, workers=2, **given)
    assert any(word in str(caught.value) for word in words)
    assert snapshot(target.parent) == before


@pytest.mark.parametrize("name", EACH)
def test_a_full_disk(name: str, tmp_path: Path, noise: Dataset) -> None:
    """No space: the old target stays as it is, and nothing new is there."""
    few = mnistprep.select(noise, mnistprep.Selection(limit=2))
    with mounted(tmp_path / "disk", "size=128k") as disk:
        target = disk / formats.default_output(name, "out")
        mnistprep.write(few, target, name)
        assert_refused(noise, target, name, "No space left", "disk full", overwrite=True)
        assert_refused(noise, disk / f"x{target.name}", name, "No space left", "disk full")
        assert mnistprep.read(target, name).digests() == few.digests()


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_no_more_files(name: str, tmp_path: Path, noise: Dataset) -> None:
    """A file system that takes no more files, or not all that an export has."""
    for inodes in (2, 3, 5):  # its root, three of a staging folder, and a target
        with mounted(tmp_path / f"disk{inodes}", f"nr_inodes={inodes}") as disk:
            target = disk / formats.default_output(name, "out")
            assert_refused(noise, target, name, "No space left", "disk full")


@pytest.mark.parametrize("name", EACH)
def test_a_read_only_disk(name: str, tmp_path: Path, noise: Dataset) -> None:
    """A file system that is read-only, or becomes it while it is written to."""
    with mounted(tmp_path / "disk", "size=4m") as disk:
        target = disk / formats.default_output(name, "out")
        remount = ["mount", "-o", "remount,ro", str(disk)]
        subprocess.run(remount, check=True)
        assert_refused(noise, target, name, "Read-only")
        assert_refused(noise, disk / "new" / target.name, name, "Read-only")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_files_that_may_not_grow(name: str, tmp_path: Path, source: Path) -> None:
    """A limit to the size of a file (`ulimit -f`)."""
    arguments = ("export", "-f", name, "--input", str(source), "-o", "out")
    size = 400 if name == "imagefolder" else 50_000
    code, said = limited(arguments, tmp_path, limit(resource.RLIMIT_FSIZE, size))
    assert_one_message(code, said, "File too large", "disk full", "No space left")
    assert list((tmp_path / "trial").glob("*/*")) == []


def limit(kind: int, number: int) -> Callable[[], None]:
    """What sets a process a limit."""
    return lambda: resource.setrlimit(kind, (number, number))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_quota(name: str, tmp_path: Path, source: Path) -> None:
    """A user's quota is used up: what write(2) then says, said by a library in its place."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler for the library that stands for a quota")
    code = str(Path(__file__).with_name("quota.c"))
    library = str(tmp_path / "quota.so")
    command = [compiler, "-shared", "-fPIC", "-o", library, code, "-ldl"]
    subprocess.run(command, check=True)
    (tmp_path / "work").mkdir(mode=0o777)
    done = subprocess.run(
        [sys.executable, "-m", "mnistprep", "export", "-f", name, "--input", source, "-o", "out"],
        cwd=tmp_path / "work",
        env={**os.environ, "LD_PRELOAD": library, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert_one_message(done.returncode, done.stderr, "quota", "disk full")
    assert list((tmp_path / "work").iterdir()) == []


class Meddling(Quiet):
    """A Progress that does something once, when the first examples are written."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed: Callable[[], object] | None = deed

    def advance(self, count: int) -> None:
        """Do it."""
        deed, self._deed = self._deed, None
        if deed is not None:
            deed()


@pytest.mark.parametrize("name", EACH)
def test_a_folder_that_is_removed_meanwhile(name: str, tmp_path: Path, noise: Dataset) -> None:
    """Somebody removes the folder that the target is to be in."""
    (tmp_path / "folder").mkdir()
    progress = Meddling(lambda: shutil.rmtree(tmp_path / "folder"))
    target = tmp_path / "folder" / formats.default_output(name, "out")
    with pytest.raises(TargetError, match=r"No such file|HDF5"):
        mnistprep.write(noise, target, name, workers=2, progress=progress)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["a file", "an empty folder", "a folder"])
@pytest.mark.parametrize("name", EACH)
def test_a_target_that_somebody_makes_meanwhile(
    name: str, what: str, tmp_path: Path, noise: Dataset
) -> None:
    """What comes into being at the target while it is being written stays."""
    target = tmp_path / formats.default_output(name, "out")

    def make() -> None:
        if what == "a file":
            target.write_text("mine")
            return
        target.mkdir()
        if what == "a folder":
            (target / "mine").write_text("mine")

    with pytest.raises(TargetError, match="meanwhile"):
        mnistprep.write(noise, target, name, workers=2, progress=Meddling(make))
    assert list(tmp_path.iterdir()) == [target]
    found = [target] if what == "a file" else list(target.iterdir())
    assert [path.read_text() for path in found] == ["mine"] * (what != "an empty folder")


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_names_that_are_too_long(name: str, tmp_path: Path, noise: Dataset) -> None:
    """A name, a path, and the name of what lies beside a file: refused, and nothing is there."""
    long = [tmp_path / ("n" * 300), tmp_path.joinpath(*["n" * 200] * 21)]
    if name in FILES:
        long.append(tmp_path / ("n" * 250))  # itself it may be, but x.mnistprep.json may not
    for target in long:
        with pytest.raises(TargetError, match="name too long"):
            mnistprep.write(noise, target, name)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_targets_that_are_no_files(more: list[str], tmp_path: Path, source: Path) -> None:
    """Links, pipes, devices, and a parent that is a file: refused and left, or a link replaced."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    before = snapshot(tmp_path)
    for name in ("npz", "csv"):
        for target in ("pipe", "/dev/full", "/dev/null", "noise.npz/x", "noise.npz"):
            arguments = ["convert", source, tmp_path / target, "--to", name, *more]
            result = CliRunner().invoke(cli.main, list(map(str, arguments)))
            assert_one_message(
                result.exit_code, result.output, "exists already", "neither", "Not a dir", "source"
            )
        for target in ("to folder", "dangling"):
            arguments = ["convert", source, tmp_path / target, "--to", name, *more]
            result = CliRunner().invoke(cli.main, list(map(str, arguments)))
            if not more:
                assert_one_message(result.exit_code, result.output, "exists already")
            else:  # the link itself is replaced, and what it leads to is not touched
                assert result.exit_code == 0
                assert not (tmp_path / target).is_symlink()
    if not more:
        assert snapshot(tmp_path) == before
    assert (tmp_path / "folder" / "mine").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_target_on_another_file_system_than_temporary_files(
    name: str, tmp_path: Path, noise: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be renamed from one to the other is not."""
    with mounted(tmp_path / "disk", "size=8m") as disk:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        path = mnistprep.write(noise, disk / formats.default_output(name, "out"), name, workers=2)
        assert mnistprep.read(path).digests() == noise.digests()


@pytest.mark.parametrize("fault", ["missing", "full", "read-only"])
def test_a_folder_for_temporary_files_that_is_of_no_use(
    fault: str, tmp_path: Path, noise: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that cannot be unpacked is a message; what needs no such folder works."""
    mnistprep.write(noise, tmp_path / "idx", "idx")
    packed = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "idx")
    with mounted(tmp_path / "disk", "size=64k") as disk:
        if fault == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        folder = disk / "gone" if fault == "missing" else disk
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        for name in ("npz", "imagefolder", "pkl"):
            with pytest.raises(MnistprepError, match=r"No such file|No space|Read-only|No usable"):
                mnistprep.write(mnistprep.read(packed), tmp_path / "out", name)
            assert not (tmp_path / "out").exists()
        mnistprep.write(noise, tmp_path / "out.npz")
        assert list(disk.rglob("*")) == []


@pytest.mark.parametrize("files", [6, 8, 12])
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_too_many_open_files(name: str, files: int, tmp_path: Path, source: Path) -> None:
    """A limit to open files (`ulimit -n`): a message, or it is enough."""
    arguments = ("export", "-f", name, "--input", str(source), "-o", "out")
    code, said = limited(arguments, tmp_path, limit(resource.RLIMIT_NOFILE, files))
    if code == 0:
        assert mnistprep.read(tmp_path / "trial" / "work" / "out", name).digests()
        return
    assert_one_message(code, said, "Too many open files", "disk full")
    assert list((tmp_path / "trial").glob("*/*")) == []


@pytest.mark.parametrize("megabytes", [1, 8])
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_little_memory(name: str, megabytes: int, tmp_path: Path, source: Path) -> None:
    """A limit to memory (`ulimit -v`): a message, or it is enough."""

    def lower() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (megabytes << 20))()

    arguments = ("export", "-f", name, "--input", str(source), "-o", "out")
    code, said = limited(arguments, tmp_path, lower)
    if code == 0:
        assert mnistprep.read(tmp_path / "trial" / "work" / "out", name).digests()
        return
    assert_one_message(code, said, "memory", "no more threads")
    assert list((tmp_path / "trial").glob("*/*")) == []


COMMANDS = {
    "export of files": ("export", "-f", "imagefolder", "-o", "shut/out", "--input"),
    "export of a file": ("export", "-f", "npz", "-o", "shut/out.npz", "--input"),
    "train": ("train", "--recipe", "numpy", "-o", "shut/out.npz", "--epochs", "1", "--input"),
    "report": ("report", "-o", "shut/page.html"),
    "cache": ("fetch", "--mirror"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", COMMANDS)
def test_a_folder_that_one_may_not_write_to(case: str, tmp_path: Path, source: Path) -> None:
    """Permission is missing: a message that names the path, whatever writes there."""
    (tmp_path / "shut").mkdir(mode=0o555)
    tmp_path.chmod(0o555)
    prefix = ("env", f"MNISTPREP_HOME={tmp_path / 'shut'}")
    code, said = as_nobody(*COMMANDS[case], source, cwd=tmp_path, prefix=prefix)
    assert_one_message(code, said, "Permission denied", "not a folder to write to")
    assert "shut" in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["noise.npz", "shut"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imagefolder", "pkl", "csv", "parquet", "hdf5", "npz"])
def test_too_many_processes(name: str, tmp_path: Path, source: Path) -> None:
    """No worker can be forked and no thread started: a message that says so, or it needs none."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit(1) limits the number of processes")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    more = ("export", "-f", name, "--input", source, "-o", "out", "--workers", "2")
    code, said = as_nobody(*more, cwd=tmp_path / "open", prefix=("prlimit", "--nproc=1"))
    if code:
        said = "\n".join(line for line in said.splitlines() if "jemalloc" not in line)
        assert_one_message(code, said, "no worker process", "no more threads", "unavailable")
        assert list((tmp_path / "open").iterdir()) == []
