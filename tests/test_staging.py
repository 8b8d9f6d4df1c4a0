"""What becomes of files that were about to appear, and of folders that only look like them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnistprep import _renames
from mnistprep._files import atomic_path, refuse_existing
from mnistprep._staging import remove_leftovers
from mnistprep.errors import TargetError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks at renameat2")

STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"}
LONG_AGO = 1_000_000_000


def put(folder: Path, kind: str, word: str) -> None:
    """A target of a kind, with what lies beside it if it is a file."""
    if kind == "folder":
        (folder / "x").mkdir()
        (folder / "x" / word).write_text(word)
        (folder / "x" / "about").write_text(word)
    elif kind == "file":
        (folder / "x").write_text(word)
        (folder / "x.json").write_text(f"about {word}")


def content(folder: Path) -> dict[str, str]:
    """All files of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def in_a_process(work: Callable[[], None]) -> int:
    """What a forked process ends with."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, exchange: bool) -> None:
    """Have this process killed before a step that changes a folder, or when one is exchanged."""
    count, renamed = 0, _renames.renamed

    def see(event: str, _: object) -> None:
        nonlocal count
        count += event in STEPS
        if event in STEPS and count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def seen(*which: object) -> bool:
        see("os.rename", ())
        done = exchange and renamed(*which)  # type: ignore[arg-type]
        see("os.rename", ())
        return done

    _renames.renamed = seen
    sys.addaudithook(see)


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("new", ["file", "folder"])
@pytest.mark.parametrize("old", ["nothing", "file", "folder"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new(
    old: str, new: str, exchange: bool, tmp_path: Path
) -> None:
    """Target and what lies beside it are of one run, once the next has tidied up."""
    (tmp_path / "expected").mkdir()
    put(tmp_path / "expected", new, "new")
    made = content(tmp_path / "expected")
    outcomes = []
    for step in range(1, 200):
        place = tmp_path / str(step)
        place.mkdir()
        put(place, old, "old")
        before = content(place)

        def replace(place: Path = place, step: int = step) -> None:
            killed_at(step, exchange)
            stale = [place / "x.json"]
            with atomic_path(place / "x", overwrite=True, replaced=stale) as staging:
                put(staging.parent, new, "new")

        code = in_a_process(replace)
        remove_leftovers(place)
        outcomes.append(content(place))
        assert outcomes[-1] in (before, made), step
        assert not list(place.glob(".*"))
        shutil.rmtree(place)
        if not code:
            break
        assert code == -signal.SIGKILL
    assert len(outcomes) > 10
    assert outcomes[-1] == made


def aged(folder: Path) -> None:
    """Give all in a folder a time long ago, as an archive does."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)


def strangers() -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Folders that look like ours, with what could do harm in them."""
    yield "a paper to replace one", lambda entry: (entry / "beside" / "thesis").write_text("evil")
    yield "a target to replace one", lambda entry: (entry / "old" / "thesis").write_text("evil")
    for name in ("beside", "old", "new"):

        def link(entry: Path, name: str = name) -> None:
            (entry / name).rmdir()
            (entry / name).symlink_to("../../mine")

        yield f"{name} leads elsewhere", link


@pytest.mark.parametrize("appeared", [True, False])
@pytest.mark.parametrize("what", [name for name, _ in strangers()])
def test_a_leftover_from_an_archive_does_no_harm(what: str, appeared: bool, tmp_path: Path) -> None:
    """Its name and its age are whatever a stranger wants: nothing of mine is replaced or moved."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("mine")
    entry = tmp_path / "set" / ".mnistprep-x.partial"
    for name in ("beside", "old", "new"):
        (entry / name).mkdir(parents=True)
    if appeared:
        (entry / "appears-1").mkdir()
    (tmp_path / "set" / "thesis").write_text("mine")
    dict(strangers())[what](entry)
    aged(entry)
    with atomic_path(tmp_path / "set" / "out") as staging:
        staging.write_text("x")
    assert content(tmp_path) == {"mine/letter": "mine", "set/thesis": "mine", "set/out": "x"}


def test_a_link_to_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    """Such as /dev/stdout, which leads to a pipe; one to a file, or to nothing, may be."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("old")
    for name, where in (("device", "/dev/null"), ("to", "pipe"), ("a", "file"), ("b", "nothing")):
        (tmp_path / name).symlink_to(where)
    for name in ("device", "to"):
        with pytest.raises(TargetError, match="neither a file nor a folder"):
            refuse_existing(tmp_path / name, overwrite=True)
    for name in "ab":
        with atomic_path(tmp_path / name, overwrite=True) as staging:
            staging.write_text("new")
        assert (tmp_path / name).read_text() == "new"
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_below_a_link_to_nothing(tmp_path: Path) -> None:
    """The message names the link, not what is hidden below it."""
    (tmp_path / "link").symlink_to("nowhere")
    with (
        pytest.raises(TargetError, match=r"link is a link to nowhere, which is not there"),
        atomic_path(tmp_path / "link" / "x"),
    ):
        raise AssertionError


@pytest.mark.parametrize("umask", [0o777, 0o700, 0o500, 0o300])
def test_a_umask_that_takes_rights_from_the_owner(umask: int, tmp_path: Path) -> None:
    """Nothing is left that nobody can remove, whether it can be written or not."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)

    def write() -> None:
        if not os.getuid():
            os.setuid(65534)
        os.umask(umask)
        with atomic_path(tmp_path / "home" / "a" / "x") as staging:
            staging.mkdir()
            (staging / "train").mkdir()
            (staging / "train" / "0").write_text("x")

    in_a_process(write)
    assert not list(tmp_path.glob("home/**/.*"))
