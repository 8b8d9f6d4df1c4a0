"""Every command under whatever it is started with: locales, encodings, users, streams, options."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest
from everycommand import check

import mnistprep
from mnistprep import Dataset

REPOSITORY = Path(__file__).parent.parent
EVERY = Path(__file__).with_name("everycommand.py")
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
USUAL = {oct(stat.S_IFREG | 0o644), oct(stat.S_IFDIR | 0o755)}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="bytes as names and fork are Linux's")


def everything(
    folder: Path, *flags: str, python: str = sys.executable, user: str = "", **settings: str | None
) -> dict[str, list[str]]:
    """Run every command so; check what is printed; give mode and digest of each file written."""
    place = folder / os.fsdecode(b"w\xc3\xb6rk \xff")
    place.mkdir(parents=True)
    given = {**os.environ, "PYTHONPATH": str(REPOSITORY), **settings}
    done = subprocess.run(
        [python, "-W", "error", *flags, EVERY, place, folder / "results", *filter(None, [user])],
        env={name: value for name, value in given.items() if value is not None},
        cwd=place,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    found = json.loads((folder / "results").read_text("ascii"))
    for run in found["runs"]:
        ascii_only = "LC_ALL" in settings or "PYTHONIOENCODING" in settings
        assert check(run, ascii_only=ascii_only) is None
    writes = [run for run in found["runs"] if run["argv"][0] in ("convert", "verify", "train")]
    assert [run["code"] for run in writes].count(0) >= 3 * 13 - 13
    return {
        name: entry
        for name, entry in found["files"].items()
        if not name.endswith(".html") and not name.startswith("model")  # which name the input
    }


def with_comma(folder: Path) -> dict[str, str | None]:
    """Settings in which numbers are written with a comma; skips where none can be made."""
    folder.mkdir()
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"],
        capture_output=True,
        check=False,
    )
    if not made or made.returncode:
        pytest.skip("no localedef, or no sources of locales: apt-get install locales")
    comma = {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8", "PYTHONIOENCODING": "ascii"}
    code = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.str(1.5))"
    shown = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **comma})
    assert shown == b"1,5\n"
    return dict(comma)


KINDS: dict[str, tuple[tuple[str, ...], dict[str, str | None]]] = {
    "C locale, warnings of Python's own": (("-X", "dev", "-bb"), ASCII),
    "stdout as Windows has it": ((), {"PYTHONIOENCODING": "ascii:strict"}),
    "stripped, odd terminal": (
        ("-OO",),
        {"COLUMNS": "0", "LINES": "-1", "TERM": "dumb", "NO_COLOR": "1", "TZ": ":nowhere",
         "SOURCE_DATE_EPOCH": "x", "PYTHONDONTWRITEBYTECODE": "1"},
    ),
    "no home": ((), {"HOME": None, "USER": None, "TERM": None, "COLUMNS": "1"}),
}  # fmt: skip


@LINUX
@pytest.mark.slow
def test_every_command_in_every_environment(tmp_path: Path) -> None:
    """Nothing but messages and results is ever printed, and the bytes written are always the same.

    So it is in the C locale and with ASCII output, with a decimal comma, with warnings as errors,
    without docstrings, home or terminal, and for every seed of hashes.
    """
    kinds = {**KINDS, "comma": ((), with_comma(tmp_path / "locales"))}
    usual = everything(tmp_path / "usual", PYTHONHASHSEED="1")
    assert len(usual) > 150
    assert {mode for mode, _ in usual.values()} <= USUAL
    for number, (kind, (flags, settings)) in enumerate(kinds.items()):
        found = everything(tmp_path / str(number), *flags, **settings, PYTHONHASHSEED=str(number))
        assert found == usual, kind


@LINUX
@pytest.mark.slow
def test_modes_are_what_the_mask_leaves(tmp_path: Path) -> None:
    """Files and folders get the modes that any other program would give them."""
    before = os.umask(0o027)
    try:
        found = everything(tmp_path)
    finally:
        os.umask(before)
    expected = {oct(stat.S_IFREG | 0o640), oct(stat.S_IFDIR | 0o750)}
    assert {mode for mode, _ in found.values()} == expected


def readable_python() -> tuple[str, dict[str, str]] | None:
    """An interpreter that any user may start, and what lets it find our packages."""
    here = Path(os.__file__).resolve()
    if all(stat.S_IMODE(parent.stat().st_mode) & 1 for parent in here.parents):
        return sys.executable, {}
    other, version = "/usr/bin/python3", "import sys; print(*sys.version_info[:2])"
    if not Path(other).exists():
        return None
    ran = subprocess.run([other, "-c", version], capture_output=True, text=True, check=False)
    packages = sysconfig.get_paths()["purelib"]
    if ran.stdout.split() != [str(number) for number in sys.version_info[:2]]:
        return None
    return other, {"PYTHONPATH": f"{packages}{os.pathsep}{REPOSITORY}"}


@LINUX
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root is another")
def test_a_user_without_name_or_home(tmp_path: Path) -> None:
    """A user of a number alone, as containers have, does everything that needs no cache."""
    found = readable_python()
    if found is None:
        pytest.skip("no interpreter of this version that another user may start")
    python, settings = found
    for parent in (tmp_path, *tmp_path.parents):
        if not parent.stat().st_mode & 1:
            parent.chmod(0o711)
    home = {"HOME": None, "USER": None, "LOGNAME": None, "MNISTPREP_HOME": None}
    everything(tmp_path / "user", python=python, user="12345", **settings, **home)


# Streams that are closed, full, or that nobody reads


def shell(line: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $M is mnistprep; the exit code is that of all of a pipe."""
    program = shlex.join([sys.executable, "-W", "error", *flags, "-m", "mnistprep"])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; M={shlex.quote(program)}; {line}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def npz(tmp_path: Path, odd: Dataset) -> Path:
    """The odd dataset as odd.npz."""
    return mnistprep.write(odd, tmp_path / "odd.npz")


needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="redirections are a shell's")


@needs_bash
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("$M inspect odd.npz | true", 0, ""),
        ("$M verify odd.npz --no-train | true", 1, ""),
        ("$M inspect odd.npz > /dev/full", 1, "cannot write to standard output: No space left"),
        ("$M inspect odd.npz --json > /dev/full", 1, "cannot write to standard output: No space"),
        ("$M --version > /dev/full", 1, "cannot write to standard output: No space left"),
        ("$M inspect odd.npz >&-", 0, ""),
        ("$M inspect nowhere 2> /dev/full", 2, ""),
        ("$M convert odd.npz out.hdf5 <&- >&- 2>&- && $M convert out.hdf5 a <&- >&- 2>&- --to idx",
         0, ""),
    ],
)  # fmt: skip
@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_output_that_nobody_takes(
    tmp_path: Path, npz: Path, odd: Dataset, line: str, code: int, words: str
) -> None:
    """A reader that went away is no error; a full disk is one, in a line; data stay right."""
    ran = shell(line, tmp_path, "-X", "dev")
    assert ran.returncode == code, ran.stderr
    assert words in ran.stderr
    assert ran.stderr.count("\n") <= (1 if words else 0), ran.stderr
    if (tmp_path / "a").exists():
        assert mnistprep.read(tmp_path / "a").digests() == odd.digests()


@needs_bash
def test_training_goes_on_without_a_reader(tmp_path: Path) -> None:
    """`train | head -1` shows a line and trains to the end: the model is there."""
    mnistprep.write(mnistprep.load("synth:60,20"), tmp_path / "digits.npz")
    ran = shell(
        "$M train --recipe numpy --epochs 3 --input digits.npz --output m.npz | head -1", tmp_path
    )
    assert (ran.returncode, ran.stderr, ran.stdout.count("\n")) == (0, "", 1)
    assert (tmp_path / "m.npz").exists()


def test_names_that_an_encoding_lacks_come_out_as_escapes(tmp_path: Path) -> None:
    """In the C locale a path of control characters or no text is named all the same."""
    wild = os.fsdecode(b"\xff.npz") if sys.platform == "linux" else "x.npz"
    name = f"\x1b[31m\u202e{wild}"
    (tmp_path / name).write_bytes(b"PK")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mnistprep", "inspect", name],
        cwd=tmp_path,
        env={**os.environ, **ASCII, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    assert b"\x1b" not in ran.stderr
    assert ran.stderr.isascii()
    assert rb"\x1b[31m" in ran.stderr


def test_layouts_are_shown_without_docstrings(tmp_path: Path) -> None:
    """`python -OO` leaves docstrings out, and `formats` shows the layouts all the same."""
    shown = [
        subprocess.run(
            [sys.executable, *flags, "-m", "mnistprep", "formats", "csv"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            check=True,
        ).stdout
        for flags in ((), ("-OO",))
    ]
    assert shown[0] == shown[1]


# As a part of another program


def _digests(path: Path, answers: object = None) -> object:
    found = {name: tuple(vars(d).values()) for name, d in mnistprep.read(path).digests().items()}
    if answers is not None:
        answers.put(found)  # type: ignore[attr-defined]
    return found


def test_threads_and_processes_of_another_program(tmp_path: Path, odd: Dataset) -> None:
    """Reading and writing work in threads side by side, and in processes forked or spawned."""
    paths = [tmp_path / str(number) for number in range(4)]
    failures: list[BaseException] = []

    def work(path: Path) -> None:
        try:
            mnistprep.write(odd, path, "imagefolder", workers=2)
            assert mnistprep.read(path).digests() == odd.digests()
        except BaseException as error:  # told in the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for method in ("fork", "spawn") if sys.platform == "linux" else ("spawn",):
        context = get_context(method)
        answers = context.SimpleQueue()
        process = context.Process(target=_digests, args=(paths[0], answers))
        process.start()
        assert answers.get() == _digests(paths[0])
        process.join()
