"""Fetching: where a dataset is looked for, what is accepted, and what is said when it fails."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import pytest
from httpserver import Server, refusing
from tinydata import (
    BODY,
    FIRST,
    NAMES,
    OTHER,
    TINY,
    assert_fetched,
    in_new_process,
    keras_npz,
    publish,
)

from mnistprep import catalog
from mnistprep.catalog import Content, Published, WholeFile
from mnistprep.download import cache_dir, fetch
from mnistprep.errors import (
    FetchError,
    MissingPath,
    OfflineError,
    TargetError,
    UnknownName,
    UsageError,
)

pytestmark = pytest.mark.usefixtures("cache")


class Watcher:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None, str]] = []
        self.done = 0
        self.notes: list[str] = []

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Remember the phase."""
        self.phases.append((what, total, unit))

    def advance(self, count: int) -> None:
        """Add up."""
        self.done += count

    def note(self, message: str) -> None:
        """Remember the line."""
        self.notes.append(message)


# Sources and their order


def test_a_mirror_fills_the_cache(server: Server, tiny: Published, cache: Path) -> None:
    """One request a file brings the four files, uncompressed, under their own names."""
    watcher = Watcher()
    folder = fetch("tiny", progress=watcher)
    assert folder == cache / "tiny"
    assert_fetched(folder)
    assert sorted(server.paths()) == sorted(f"/{name}.gz" for name in NAMES)
    assert watcher.done == sum(len(server.files[f"{name}.gz"]) for name in NAMES)
    assert watcher.phases[0] == (f"{FIRST} from localhost", len(BODY), "B")
    assert {path.name for path in cache.iterdir()} <= {"tiny", "tiny.lock"}


def test_a_full_cache_needs_no_network(server: Server, tiny: Published, cache: Path) -> None:
    """What is there already is verified and used, even where nothing can be written."""
    fetch("tiny")
    server.seen.clear()
    (cache / "tiny.lock").unlink(missing_ok=True)
    for folder in (cache / "tiny", cache):
        folder.chmod(0o555)
    try:
        assert_fetched(fetch("tiny"))
    finally:
        for folder in (cache, cache / "tiny"):
            folder.chmod(0o755)
    assert server.seen == []


def test_a_rotted_file_is_found_and_fetched_again(server: Server, tiny: Published) -> None:
    """One changed bit in the cache brings that file, and no other, once more."""
    folder = fetch("tiny")
    server.seen.clear()
    rotted = bytearray(TINY[NAMES[2]])
    rotted[777] ^= 1
    (folder / NAMES[2]).write_bytes(rotted)
    watcher = Watcher()
    assert_fetched(fetch("tiny", progress=watcher))
    assert server.paths() == [f"/{NAMES[2]}.gz"]
    assert "SHA-256 of the content is" in watcher.notes[0]


def test_files_put_into_the_cache_by_hand_are_taken(
    server: Server, tiny: Published, cache: Path
) -> None:
    """A compressed file in the cache folder saves its download."""
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / FIRST).write_bytes(BODY)
    fetch("tiny")
    assert (cache / "tiny" / NAMES[0]).read_bytes() == TINY[NAMES[0]]
    assert f"/{FIRST}" not in server.paths()


def test_mirrors_come_before_the_environment_and_the_published_ones(
    server: Server, tiny: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source is asked only for what those before it lacked."""
    server.files["mine/" + FIRST] = BODY
    server.files[f"env/{NAMES[1]}"] = TINY[NAMES[1]]
    monkeypatch.setenv("MNISTPREP_MIRROR", server.base + "env")
    assert_fetched(fetch("tiny", [server.base + "mine"]))
    good = [path for path in server.paths() if path.lstrip("/") in server.files]
    assert good == [f"/mine/{FIRST}", f"/env/{NAMES[1]}", f"/{NAMES[2]}.gz", f"/{NAMES[3]}.gz"]


def test_local_folder_in_any_names_and_nesting(
    tiny: Published, server: Server, tmp_path: Path
) -> None:
    """IDX files are known by content: dotted, nested, falsely suffixed or renamed."""
    folder = tmp_path / "mine"
    (folder / "MNIST" / "raw").mkdir(parents=True)
    (folder / "train-images.idx3-ubyte").write_bytes(TINY[NAMES[0]])
    (folder / "MNIST" / "raw" / f"{NAMES[1]}.gz").write_bytes(TINY[NAMES[1]])
    (folder / "MNIST" / "raw" / NAMES[2]).write_bytes(gzip.compress(gzip.compress(TINY[NAMES[2]])))
    (folder / "renamed.bin").write_bytes(gzip.compress(TINY[NAMES[3]], 1))
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    assert_fetched(fetch("tiny", [folder]))
    assert server.seen == []


def test_local_files_one_by_one(tiny: Published, server: Server, tmp_path: Path) -> None:
    """Several single files are as good as a folder, also as a file URL."""
    mirrors = []
    for number, body in enumerate(TINY.values()):
        path = tmp_path / f"with space {number}"
        path.write_bytes(body)
        mirrors.append(path.as_uri() if number % 2 else str(path))
    assert_fetched(fetch("tiny", mirrors))
    assert server.seen == []


def test_datasets_known_by_md5_only(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no SHA-256 is published, MD5 decides, over HTTP and locally."""
    publish(monkeypatch, (server.base,), "md5")
    assert_fetched(fetch("tiny"))
    (tmp_path / NAMES[0]).write_bytes(OTHER[NAMES[0]])
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / "second"))
    assert_fetched(fetch("tiny", [tmp_path / NAMES[0]]))


def test_local_sources_load_no_network_library(tiny: Published, tmp_path: Path) -> None:
    """With local files, requests is not even imported, and offline mode works."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, body in TINY.items():
        (folder / name).write_bytes(body)
    code = "import sys; print(fetch('tiny', [sys.argv[2]]), 'requests' in sys.modules)"
    found = in_new_process(tiny, tmp_path, code, str(folder), MNISTPREP_OFFLINE="1")
    assert found.communicate()[0].split()[-1] == "False"
    assert found.returncode == 0


def test_whole_files_are_sources(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file with the whole dataset serves locally, by its URL, under a base URL, and published."""
    path = tmp_path / "tiny.npz"
    server.files["whole/tiny.npz"] = server.files["elsewhere"] = keras_npz(path, TINY)
    base = publish(monkeypatch, (server.base + "none/",))
    whole = Content("tiny.npz", path.stat().st_size)
    urls = (server.base + "whole/tiny.npz",)
    row = Published(**{**vars(base), "whole": (WholeFile(whole, urls),)})
    bare = Published(**{**vars(base), "mirrors": ()})
    for number, (published, mirrors) in enumerate(
        [
            (row, []),
            (row, [server.base + "whole"]),
            (bare, [urls[0]]),
            (bare, [server.base + "elsewhere"]),
            (bare, [path]),
            (bare, [tmp_path]),
        ]
    ):
        monkeypatch.setitem(catalog.DATASETS, "tiny", published)
        monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / f".cache{number}"))
        assert_fetched(fetch("tiny", mirrors))


def test_whole_files_of_something_else_are_called_what_they_are(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another dataset under the right name is refused with its own name."""
    publish(monkeypatch, (), "md5")
    keras_npz(tmp_path / "tiny.npz", OTHER)
    with pytest.raises(FetchError, match="its train examples are OTHER train, complete"):
        fetch("tiny", [tmp_path / "tiny.npz"])
    (tmp_path / "page.npz").write_text("<html>")
    with pytest.raises(FetchError, match=r"page\.npz: this is an HTML page"):
        fetch("tiny", [tmp_path / "page.npz"])


def test_real_digits_from_a_local_folder(real_digits: Path, tmp_path: Path) -> None:
    """The files in the cache have LeCun's sums, though one was recompressed."""
    folder = fetch("mnist", [real_digits])
    for file in catalog.get("mnist").files:
        body = (folder / file.plain.name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == file.plain.sha256


def test_a_pickle_alone_is_a_complete_source(real_digits: Path, tmp_path: Path) -> None:
    """A folder with nothing but mnist.pkl.gz gives the four IDX files."""
    shutil.copy(real_digits / "mnist.pkl.gz", tmp_path / "mnist.pkl.gz")
    folder = fetch("mnist", [tmp_path])
    body = (folder / NAMES[0]).read_bytes()
    assert hashlib.sha256(body).hexdigest() == catalog.get("mnist").files[0].plain.sha256


# Wrong calls and places


def test_wrong_names_and_mirrors_are_usage_errors(tiny: Published, tmp_path: Path) -> None:
    """What can only be a mistake of the caller is said before anything is tried."""
    with pytest.raises(UnknownName, match="known: mnist"):
        fetch("mnits")
    with pytest.raises(UsageError, match="nothing to fetch"):
        fetch("synth")
    with pytest.raises(MissingPath, match="nowhere"):
        fetch("tiny", [tmp_path / "nowhere"])
    for mirror in ("ftp://host/mnist", "http://", "https://host:port/", ""):
        with pytest.raises(UsageError, match="mirror"):
            fetch("tiny", [mirror])


def test_cache_location(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MNISTPREP_HOME, then XDG_CACHE_HOME, then the home folder; without any, a clear error."""
    monkeypatch.setenv("MNISTPREP_HOME", "relative")
    assert cache_dir() == Path.cwd() / "relative"
    monkeypatch.delenv("MNISTPREP_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "mnistprep"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "home" / ".cache" / "mnistprep"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(UsageError, match="set MNISTPREP_HOME"):
        cache_dir()


def test_a_cache_that_cannot_be_written(
    tiny: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file in the cache's place is reported with what to do."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / "file"))
    with pytest.raises(TargetError, match=r"cannot be written.*MNISTPREP_HOME"):
        fetch("tiny")


def test_offline_opens_no_socket(
    server: Server, tiny: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With MNISTPREP_OFFLINE neither mirrors nor published hosts are asked."""
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    with pytest.raises(OfflineError, match="MNISTPREP_OFFLINE is set"):
        fetch("tiny", [server.base])
    assert server.seen == []


# When nothing is left


def test_the_error_lists_every_attempt_and_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    """Each source stands there with its reason, then each file with size, digest and place."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / NAMES[0]).write_bytes(OTHER[NAMES[0]])
    row = publish(monkeypatch, (server.base + "gone/", refusing()))
    with pytest.raises(FetchError) as caught:
        fetch("tiny", [tmp_path / "mine"])
    message = str(caught.value)
    assert message.startswith(
        "cannot get TINY: no source gave train-images-idx3-ubyte and 3 more; tried:"
    )
    assert f"{tmp_path}/mine/{NAMES[0]}: this is OTHER's {NAMES[0]}" in message
    assert f"gone/{FIRST}: answers 404 Not Found" in message
    assert f"{row.mirrors[1]}{FIRST}: no connection (Connection refused)" in message
    for file in row.files:
        assert (
            f"{file.plain.name}: {file.plain.size:,} bytes, SHA-256 {file.plain.sha256}" in message
        )
        assert server.base + "gone/" + file.packed.name in message
    assert str(cache / "tiny") in message
    assert "--mirror" in message and "--dataset synth" in message


def test_passwords_in_urls_are_not_shown(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """User name, password and query of a mirror's URL are used but never printed."""
    publish(monkeypatch, ())
    mirror = server.base.replace("//", "//user:secret@") + "x?token=secret"
    with pytest.raises(FetchError) as caught:
        fetch("tiny", [mirror])
    assert "secret" not in str(caught.value)
    assert f"/x/{FIRST}?token=secret" in server.paths()
    assert server.seen[0][1]["Authorization"].startswith("Basic ")
