"""Targets that are there whole or not at all; streams that are inflated no further than asked."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistprep._files import atomic_path, existing
from mnistprep._streams import Deflater, Inflater, write_gzip
from mnistprep.errors import FormatError, MissingPath, TargetError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_and_a_folder_appear_when_they_are_whole(tmp_path: Path) -> None:
    """The target is not there before the block ends, and nothing else stays."""
    with atomic_path(tmp_path / "new" / "file.txt") as staging:
        staging.write_text("x")
        assert not (tmp_path / "new" / "file.txt").exists()
    with atomic_path(tmp_path / "folder") as staging:
        staging.mkdir()
    assert names(tmp_path) == ["folder", "new"]
    assert names(tmp_path / "new") == ["file.txt"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """An exception of any kind takes the staging folder and new parents with it."""
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), atomic_path(tmp_path / "a" / "b" / "c") as staging:
            staging.mkdir()
            (staging / "part").write_text("x")
            raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "dangling link"])
def test_an_existing_target_is_refused_and_left(tmp_path: Path, kind: str) -> None:
    """Without overwrite nothing that is there is touched, not even an empty folder."""
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if kind == "folder":
            (target / "mine").write_text("mine")
    with pytest.raises(TargetError, match="exists already"), atomic_path(target):
        raise AssertionError
    assert names(tmp_path) == ["target"]


def test_overwrite_swaps_at_the_end(tmp_path: Path) -> None:
    """The old target stays whole until the new one is, and comes back when that fails."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(ValueError), atomic_path(target, overwrite=True) as staging:
        staging.mkdir()
        assert (target / "old").exists()
        raise ValueError
    assert names(target) == ["old"]
    with atomic_path(target, overwrite=True) as staging:
        staging.mkdir()
        (staging / "new").write_text("new")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["target"]


def test_a_target_that_comes_meanwhile_is_kept(tmp_path: Path) -> None:
    """Two runs to one target: the second to end does not replace the first."""
    with (
        pytest.raises(TargetError, match="meanwhile"),
        atomic_path(tmp_path / "x") as staging,
    ):
        staging.write_text("late")
        (tmp_path / "x").write_text("early")
    assert (tmp_path / "x").read_text() == "early"
    with pytest.raises(TargetError), atomic_path(tmp_path / "y") as staging:
        staging.mkdir()
        (tmp_path / "y").mkdir()
        (tmp_path / "y" / "mine").write_text("early")
    assert names(tmp_path) == ["x", "y"]


def test_the_working_folder_and_its_parents_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--overwrite on the folder one works in is a slip, not a wish."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    (tmp_path / "home" / "me").mkdir(parents=True)
    for target in (Path(), tmp_path, tmp_path / "home", tmp_path / "home" / "me"):
        with (
            pytest.raises(TargetError, match="never overwritten"),
            atomic_path(target, overwrite=True),
        ):
            raise AssertionError


def test_a_path_that_no_system_has(tmp_path: Path) -> None:
    """With a NUL in it nothing is there."""
    with pytest.raises(MissingPath, match="null byte"):
        existing(tmp_path / "a\0b")


def test_what_the_system_refuses_is_a_message(tmp_path: Path) -> None:
    """A parent that is a file, a name that is too long: TargetError, and nothing left."""
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file" / "x", tmp_path / ("n" * 300)):
        with pytest.raises(TargetError), atomic_path(target) as staging:
            staging.mkdir()
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with a process")
def test_leftovers_of_a_killed_process_go_and_those_of_a_live_one_stay(tmp_path: Path) -> None:
    """The next run removes what SIGKILL left; a run that still works keeps its staging folder."""
    code = (
        "import sys, time; from pathlib import Path; from mnistprep._files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as staging:\n"
        "    staging.mkdir(); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "one")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    with atomic_path(tmp_path / "two") as staging:
        staging.mkdir()
    assert len(names(tmp_path)) == 2  # the live one's folder, and the target
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with atomic_path(tmp_path / "three") as staging:
        staging.mkdir()
    assert names(tmp_path) == ["three", "two"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with a process")
def test_a_kill_while_a_folder_is_replaced_loses_nothing(tmp_path: Path) -> None:
    """Where folders cannot be exchanged, and a kill comes between two renames: the old is back."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "old").write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from mnistprep import _files, _renames\n"
        "rename, _renames.renamed = os.rename, lambda *which: False\n"
        "def killed(*paths): rename(*paths); os.kill(os.getpid(), signal.SIGKILL)\n"
        "with _files.atomic_path(Path(sys.argv[1]), overwrite=True) as staging:\n"
        "    staging.mkdir(); os.rename = killed\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "tree")], check=False)
    assert not (tmp_path / "tree").exists()
    with atomic_path(tmp_path / "other") as staging:
        staging.mkdir()
    assert names(tmp_path) == ["other", "tree"]
    assert names(tmp_path / "tree") == ["old"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with a process")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_does_not_part_a_file_from_what_lies_beside_it(tmp_path: Path, moment: str) -> None:
    """Killed at the step in which a file appears: all is old, or made new by the next run."""
    (tmp_path / "one").write_text("old")
    (tmp_path / "one.json").write_text("about old")
    (tmp_path / "one.state").write_text("goes")
    code = (
        "import os, signal, sys; from pathlib import Path; from mnistprep import _files\n"
        "replace = os.replace\n"
        "def killed(old, new):\n"
        "    if sys.argv[2] == 'after': replace(old, new)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "one = Path(sys.argv[1])\n"
        "state = one.with_name('one.state')\n"
        "with _files.atomic_path(one, overwrite=True, replaced=[state]) as staging:\n"
        "    staging.write_text('new')\n"
        "    staging.with_name('one.json').write_text('about new')\n"
        "    os.replace = killed\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "one"), moment], check=False)
    with atomic_path(tmp_path / "other") as staging:
        staging.mkdir()
    word = "old" if moment == "before" else "new"
    state = ["one.state"] if moment == "before" else []
    assert names(tmp_path) == ["one", "one.json", *state, "other"]
    assert (tmp_path / "one").read_text() == word
    assert (tmp_path / "one.json").read_text() == f"about {word}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with a process")
def test_what_only_looks_like_a_leftover_stays(tmp_path: Path) -> None:
    """A link or a file of that name is nobody's leftover, and what it leads to is not touched."""
    (tmp_path / "mine" / "old").mkdir(parents=True)
    (tmp_path / "mine" / "old" / "thesis").write_text("mine")
    (tmp_path / ".mnistprep-1.partial").symlink_to(tmp_path / "mine")
    (tmp_path / ".mnistprep-2.partial").write_text("mine")
    with atomic_path(tmp_path / "x") as staging:
        staging.mkdir()
    assert (tmp_path / "mine" / "old" / "thesis").read_text() == "mine"
    assert names(tmp_path) == [".mnistprep-1.partial", ".mnistprep-2.partial", "mine", "x"]


def test_what_is_put_beside_the_staging_path_appears_beside_the_target(tmp_path: Path) -> None:
    """With it or not at all, and what it replaces goes with what the target replaces."""
    (tmp_path / "x").write_text("old")
    (tmp_path / "x.json").write_text("of the old")
    (tmp_path / "x.more").write_text("of the old")
    given = {"overwrite": True, "replaced": [tmp_path / "x.more"]}
    with pytest.raises(ValueError), atomic_path(tmp_path / "x", **given) as staging:
        staging.with_name("x.json").write_text("of the new")
        raise ValueError
    with pytest.raises(TargetError), atomic_path(tmp_path / "x", **given) as staging:
        staging.with_name("x.json").write_text("of the new")  # and nothing at the staging path
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == [
        "old",
        *2 * ["of the old"],
    ]
    with atomic_path(tmp_path / "x", **given) as staging:
        staging.write_text("new")
        staging.with_name("x.json").write_text("of the new")
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["new", "of the new"]


def test_a_folder_is_never_away_while_it_is_replaced(tmp_path: Path) -> None:
    """Linux exchanges two folders in one step: a kill at any moment leaves one or the other."""
    if sys.platform != "linux":
        pytest.skip("other systems take two steps")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "old").write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from mnistprep import _files, _renames\n"
        "renamed = _renames.renamed\n"
        "def killed(*which): assert renamed(*which); os.kill(os.getpid(), signal.SIGKILL)\n"
        "with _files.atomic_path(Path(sys.argv[1]), overwrite=True) as staging:\n"
        "    staging.mkdir(); _renames.renamed = killed\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "tree")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert names(tmp_path / "tree") == []
    with pytest.raises(TargetError, match="exists already"), atomic_path(tmp_path / "tree"):
        raise AssertionError
    assert names(tmp_path) == ["tree"]  # a run that is refused has tidied up too


def test_gzip_bytes_depend_on_content_alone(tmp_path: Path) -> None:
    """No time, no name, no dependence on how the content came in; other tools read it."""
    content = bytes(range(256)) * 20_000
    write_gzip(tmp_path / "a", [content], level=6)
    time.sleep(0.01)
    write_gzip(tmp_path / "b.gz", [content[:7], content[7:3_000_000], content[3_000_000:]], level=6)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a").read_bytes()) == content
    write_gzip(tmp_path / "empty", [], level=6)
    assert gzip.decompress((tmp_path / "empty").read_bytes()) == b""


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_blocks_side_by_side_are_one_deflate_stream(level: int) -> None:
    """zlib inflates what Deflater gives, which does not depend on the pieces it was given."""
    content = bytes(range(251)) * 40_000
    streams = []
    for step in (len(content), 1 << 20, 999_999):
        engine = Deflater(level)
        pieces = [content[k : k + step] for k in range(0, len(content), step)]
        streams.append(b"".join(map(engine.compress, pieces)) + engine.flush())
    assert streams[0] == streams[1] == streams[2]
    assert zlib.decompress(streams[0], -15) == content
    assert zlib.decompress(Deflater(level).flush(), -15) == b""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_many_bytes_are_read_as_few_are(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """A read of megabytes gives all of them, or as many as there are."""
    content = bytes(range(251)) * 20_000
    (tmp_path / "file").write_bytes(pack(content))
    with Inflater(tmp_path / "file") as stream:
        assert stream.read(3) == content[:3]
        assert stream.read(4_000_000) == content[3:4_000_003]
        assert stream.read(min(5_000_000, stream.limit)) == content[4_000_003:]
        assert stream.read(1) == b""


def test_a_stream_reads_plain_gzip_and_members_alike(tmp_path: Path) -> None:
    """Content decides: gzip by its magic, several members, padding with zeros."""
    content = b"line\n" * 1000
    for name, data in {
        "plain.gz": content,
        "packed": gzip.compress(content),
        "members": gzip.compress(content[:777]) + gzip.compress(content[777:]),
        "padded": gzip.compress(content) + bytes(512),
    }.items():
        (tmp_path / name).write_bytes(data)
        with Inflater(tmp_path / name) as stream:
            assert stream.readline() == b"line\n"
            assert stream.read(4000) + stream.read(995) == content[5:]
            assert stream.read(1) == b""


@pytest.mark.parametrize("size", [1023, 1024, 100_000, 3 << 20])
def test_a_stream_is_whole_whatever_the_sizes_of_its_reads(tmp_path: Path, size: int) -> None:
    """Well compressed content, of which the inflater holds much back, comes out whole."""
    content = (bytes(1000) + b"x") * 5000
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    with Inflater(tmp_path / "x.gz") as stream:
        found = b"".join(iter(lambda: bytes(stream.read(size)), b""))
        assert found == content


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    """Truncated, corrupted and followed by garbage: FormatError with the file's name."""
    packed = gzip.compress(os.urandom(5000))
    flipped = bytearray(packed)
    flipped[-6] ^= 1
    for data in (packed[:-20], bytes(flipped), packed + b"garbage"):
        (tmp_path / "x.gz").write_bytes(data)
        with Inflater(tmp_path / "x.gz") as stream, pytest.raises(FormatError, match=r"x\.gz"):
            stream.read(5000)
            stream.read(1)


def test_a_stream_of_empty_members_takes_no_quadratic_time(tmp_path: Path) -> None:
    """A file of very many tiny gzip members is read in a pass, as its content is small."""
    packed = gzip.compress(b"") * 100_000 + gzip.compress(b"end")
    (tmp_path / "members").write_bytes(packed)
    begun = time.process_time()
    with Inflater(tmp_path / "members") as stream:
        assert stream.read(10) == b"end"
    assert time.process_time() - begun < 10  # seconds; copying all that follows took minutes
