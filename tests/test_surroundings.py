"""What lies around a command: secrets in the home folder, dead links, full or missing folders."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from httpserver import Server, plain, raw, redirect, running
from test_download_cache import ordinary_user
from test_full_disks import mounted
from tinydata import BODY, FIRST, NAMES, TINY, assert_fetched, assert_nothing, fill, publish

import mnistprep
from mnistprep import Dataset, Split, cli
from mnistprep.catalog import Published
from mnistprep.download import cache_dir, fetch
from mnistprep.errors import FetchError, TargetError, UsageError

pytestmark = pytest.mark.usefixtures("cache")
posix = pytest.mark.skipif(sys.platform == "win32", reason="links and folders as POSIX has them")

# Names and passwords


def sent(server: Server) -> list[str | None]:
    """The credentials that came with each request."""
    return [headers["Authorization"] for _, headers in server.seen]


@pytest.mark.parametrize("variable", ["HOME", "NETRC"])
def test_passwords_of_the_home_folder_are_not_sent(
    variable: str, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No host gets what ~/.netrc has, neither a mirror nor one that it redirects to."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login joe password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv(variable, str(tmp_path if variable == "HOME" else netrc))
    with running() as other:
        fill(other, "", TINY)
        server.faults[FIRST] = redirect(other.base + FIRST)
        publish(monkeypatch, (server.base,))
        assert_fetched(fetch("tiny"))
        assert set(sent(server) + sent(other)) == {None}
        assert other.paths() == [f"/{FIRST}"]


def test_a_netrc_that_is_no_text_is_no_fault_of_a_mirror(
    server: Server, tiny: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is not read cannot be in the way."""
    (tmp_path / ".netrc").write_bytes(b"# caf\xe9\nmachine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert_fetched(fetch("tiny"))


def test_credentials_of_a_url_are_for_its_host_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are sent, whatever ~/.netrc says, and not to where that host redirects."""
    (tmp_path / ".netrc").write_text("default login joe password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    publish(monkeypatch, ())
    with running() as other:
        fill(other, "", TINY)
        server.faults[FIRST] = redirect(other.base + FIRST)
        assert_fetched(fetch("tiny", [server.base.replace("//", "//bob:pw@")]))
        assert set(sent(server)) == {"Basic Ym9iOnB3"}
        assert sent(other) == [None]


# Servers


@pytest.mark.parametrize("count", [90, 101])
def test_many_headers(
    count: int, server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """As many as http.client takes do no harm; more are named as what they are, asked once."""
    more: dict[str, Any] = {f"X_{number}": "x" for number in range(count)}
    with running() as many:
        many.faults[FIRST] = plain(BODY, **more)
        fill(many, "", TINY)
        publish(monkeypatch, (many.base, server.base))
        assert_fetched(fetch("tiny"))
        assert len(many.seen) == (4 if count < 100 else 1)
        publish(monkeypatch, (many.base,))
        if count > 100:
            shutil.rmtree(cache)
            with pytest.raises(FetchError, match="sends more than 100 header lines"):
                fetch("tiny")
            many.faults[FIRST] = raw(b"HTTP/1.1 103 Early\r\n" + b"A: b\r\n" * count + b"\r\n")
            with pytest.raises(FetchError, match="sends more than 100 header lines"):
                fetch("tiny")
            assert_nothing(cache)


# Links


@posix
@pytest.mark.parametrize("place", ["mirror", "cache", "kept"])
def test_a_link_to_a_name_that_no_file_can_have(
    place: str, tiny: Published, server: Server, cache: Path, tmp_path: Path
) -> None:
    """A stray link in a folder that is searched costs nothing of what lies beside it."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, body in TINY.items():
        (mirror / name).write_bytes(body)
    folder = {"mirror": mirror, "cache": cache / "tiny", "kept": mirror / "below"}[place]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "aaa").symlink_to("x" * 300)
    if place == "mirror":
        (mirror / NAMES[0]).unlink()
        (mirror / NAMES[0]).symlink_to("y" * 300)
    got = fetch("tiny", [mirror])
    assert all((got / name).read_bytes() == body for name, body in TINY.items())
    assert server.paths() == ([f"/{FIRST}"] if place == "mirror" else [])


@posix
def test_links_to_where_nobody_may_look(
    tiny: Published, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user's mirror with such a link serves; a mirror that is one is an attempt."""
    with TemporaryDirectory() as place:  # which others may enter, as pytest's own they may not
        os.chmod(place, 0o777)
        closed, mirror = Path(place) / "closed", Path(place) / "mirror"
        mirror.mkdir()
        (closed / "inner").mkdir(parents=True)
        for name, body in TINY.items():
            (mirror / name).write_bytes(body)
        (mirror / "aaa").symlink_to(closed / "inner")
        closed.chmod(0)
        monkeypatch.setenv("MNISTPREP_HOME", str(Path(place) / "cache"))
        try:
            with ordinary_user():
                assert_fetched(fetch("tiny", [mirror]))
                with pytest.raises(UsageError, match="Permission denied"):
                    fetch("tiny", [mirror / "aaa"])
        finally:
            closed.chmod(0o755)
    assert server.seen == []


# Folders


@pytest.mark.skipif(sys.platform != "linux", reason="a file system of its own needs Linux")
@pytest.mark.parametrize("packing", ["mat.xz", "csv.gz", "zip", "tar"])
def test_a_full_folder_for_temporary_files_is_named(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is packed and needs room to be read says where room is lacking, and what to set."""
    digits = mnistprep.load("synth:300,20")
    source = tmp_path / f"digits.{packing}"
    if packing == "mat.xz":
        source.write_bytes(lzma.compress(mnistprep.write(digits, tmp_path / "x.mat").read_bytes()))
    elif packing == "csv.gz":
        mnistprep.write(Dataset("train", {"train": digits.splits["train"]}, digits.classes), source)
    else:
        mnistprep.write(digits, tmp_path / "idx", "idx")
        shutil.make_archive(str(tmp_path / "digits"), packing, tmp_path / "idx")
    with mounted(tmp_path / "disk", "size=16k") as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(TargetError) as caught:
            mnistprep.read(source)
        assert list(disk.iterdir()) == []
    said = str(caught.value)
    assert f"no room to read {source}" in said
    assert f"{disk}, takes no more (No space left on device)" in said
    assert "set TMPDIR to another folder" in said


@pytest.mark.skipif(sys.platform != "linux", reason="a file system of its own needs Linux")
def test_no_room_for_what_is_larger_than_memory_is_said_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing and hashing large sets needs room, and says where it is lacking."""
    count = 200_000
    split = Split(np.zeros((count, 1, 1), np.uint8), np.zeros(count, np.int64))
    calls: dict[str, Callable[[], object]] = {
        "for hashes": Dataset("many", {"train": split}, ("a",)).digests,
        "for a set larger than memory": lambda: mnistprep.load("synth:400000,1"),
    }
    with mounted(tmp_path / "disk", "size=16k") as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        for use, call in calls.items():
            with pytest.raises(TargetError) as caught:
                call()
            expected = f"no room {use}: the folder for temporary files, {disk}, takes no more"
            assert str(caught.value).startswith(expected)
        assert list(disk.iterdir()) == []


@posix
def test_an_empty_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache never goes into the root folder because HOME is empty."""
    monkeypatch.delenv("MNISTPREP_HOME")
    monkeypatch.setenv("HOME", "")
    with pytest.raises(UsageError, match=r"no home folder .*set MNISTPREP_HOME"):
        cache_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_dir() == Path("/elsewhere/mnistprep")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/")  # as containers give users without one; it may be right
    assert cache_dir() == Path("/.cache/mnistprep")


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch"],
        ["convert", "{}/odd.npz", "out.pkl.gz"],
        ["convert", "{}/odd.npz", "out", "--to", "idx"],
    ],
)
def test_a_working_folder_that_is_gone(arguments: list[str], tmp_path: Path, odd: Dataset) -> None:
    """A relative path is named, with what is wrong with it."""
    mnistprep.write(odd, tmp_path / "odd.npz")
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os; os.rmdir(os.getcwd()); from mnistprep.__main__ import run; run()"
    ran = subprocess.run(
        [sys.executable, "-c", code, *(word.format(tmp_path) for word in arguments)],
        cwd=gone,
        env={
            **os.environ,
            "MNISTPREP_HOME": "relative",
            "MNISTPREP_OFFLINE": "1",
            "PYTHONPATH": str(Path(mnistprep.__file__).parent.parent),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode in (1, 2)
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "the working folder is not there any more" in ran.stderr
    assert ("relative" if "fetch" in arguments else "out") in ran.stderr


def _missing(folder: Path) -> list[str]:
    return ["fetch", "--dataset", "tiny"]


def _there(folder: Path) -> list[str]:
    for name, body in TINY.items():
        (folder / name).write_bytes(body)
    return ["fetch", "--dataset", "tiny", "--mirror", str(folder)]


@posix
@pytest.mark.parametrize("arguments", [_there, _missing])
def test_a_line_end_in_the_name_of_the_cache(
    arguments: Callable[[Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`fetch` prints one line for each file, and one for where to put them, whatever its name."""
    publish(monkeypatch, ())
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / "a\nb"))
    result = CliRunner().invoke(cli.main, arguments(tmp_path))
    assert "/a\nb/" not in result.output
    assert r"/a\nb/tiny" in result.output
    if not result.exit_code:
        assert [line.split()[0].rpartition("/")[2] for line in result.output.splitlines()] == [
            *NAMES
        ]
