"""Fetching what is published in a zip, in pieces, under proven names: EMNIST, QMNIST, K49."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from httpserver import Fault, Handler, Server, etag_of, plain, running, status
from test_family import emnist_files, put, qmnist_files, same, upright
from zippeddata import BODY, DIGITS, FILES, LETTERS, ZIP, parts, publish_zip, published, sent

import mnistprep
from mnistprep import catalog, cli
from mnistprep.catalog import Content
from mnistprep.dataset import Dataset, Split
from mnistprep.download import fetch
from mnistprep.errors import FetchError, OfflineError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Server]:
    """A server with the zip, which serves parts of it, and a catalog that knows it."""
    with running() as server:
        publish_zip(monkeypatch, server)
        yield server


def ranges(server: Server) -> list[str]:
    """The ranges that were asked for, in order."""
    return [headers.get("Range", "all") for _, headers in server.seen]


def test_the_command_names_what_it_has_proven(server: Server, cache: Path) -> None:
    """`mnistprep fetch` prints each file in the form that is kept, and its digest as JSON."""
    result = CliRunner().invoke(cli.main, ["fetch", "--dataset", "emnist-letters"])
    assert result.exit_code == 0, result.output
    for name in (name for name in FILES if "letters" in name):
        said = f"{cache / 'emnist-letters' / name}  {len(FILES[name]):,} bytes, verified"
        assert said in result.output
    result = CliRunner().invoke(cli.main, ["fetch", "--dataset", "emnist-letters", "--json"])
    sums = {file["name"]: file["sha256"] for file in json.loads(result.stdout)["files"]}
    assert sums == {
        name: hashlib.sha256(data).hexdigest() for name, data in FILES.items() if "letters" in name
    }


@pytest.mark.parametrize("tag", [True, False])
def test_members_come_out_of_a_zip_by_ranges(server: Server, cache: Path, tag: bool) -> None:
    """Only the directory and the members that are needed are sent; each is proven."""
    server.faults[ZIP] = parts(BODY, tag=tag)
    sent.clear()
    found = mnistprep.load("emnist-letters")
    same(found, LETTERS)
    assert found.digests() == LETTERS.digests()
    assert sum(sent) < len(BODY) // 2
    assert len(sent) == 5
    names = sorted(path.name for path in (cache / "emnist-letters").iterdir())
    assert names == sorted(name for name in FILES if "letters" in name)
    assert sorted(path.name for path in cache.iterdir()) == [
        "emnist-letters",
        "emnist-letters.lock",
    ]
    mnistprep.load("emnist-letters")
    assert len(server.seen) == 5
    same(mnistprep.load("emnist-digits"), DIGITS)
    kept = {path.name: path.read_bytes() for path in (cache / "emnist-digits").iterdir()}
    assert kept == emnist_files(DIGITS, "digits")  # uncompressed: their own sums are known


def test_without_ranges_the_zip_comes_once(server: Server, cache: Path) -> None:
    """It is got whole, proven and kept, and the next dataset in it needs no network."""
    server.faults[ZIP] = plain(BODY)
    same(mnistprep.load("emnist-letters"), LETTERS)
    assert (cache / "archives" / "gzip.zip").read_bytes() == BODY
    asked = len(server.seen)
    same(mnistprep.load("emnist-digits"), DIGITS)
    assert len(server.seen) == asked == 2


def test_a_kept_zip_serves_offline(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the disk needs no socket."""
    (cache / "archives").mkdir(parents=True)
    (cache / "archives" / "gzip.zip").write_bytes(BODY)
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    same(mnistprep.load("emnist-letters"), LETTERS)
    assert server.seen == []


def test_another_zip_is_not_kept(server: Server, cache: Path) -> None:
    """A zip that is not the published one is not kept, and its wrong members are not taken."""
    server.faults[ZIP] = plain(BODY[:500] + bytes(1000) + BODY[1500:])
    with pytest.raises(FetchError, match=r"gzip.zip: its [0-9,]+ bytes are not gzip.zip as it is"):
        fetch("emnist-letters")
    assert not (cache / "archives").exists()


def test_a_zip_packed_anew_serves_its_members(server: Server, cache: Path) -> None:
    """A zip of somebody else is not kept, but each of its members is as good as it is proven."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(f"other/{name}", data)
    server.faults["mine.zip"] = plain(body.getvalue())
    fetch("emnist-letters", [server.base + "mine.zip"])
    assert not (cache / "archives").exists()
    same(mnistprep.load("emnist-letters"), LETTERS)


def test_a_member_is_resumed(server: Server, cache: Path) -> None:
    """Broken off in the middle of a member, the next fetch asks for the rest of it alone."""
    server.faults[ZIP] = [parts(BODY), *[parts(BODY, cut=700)] * 3]
    with pytest.raises(FetchError, match=r"(breaks off|ends after .*); tried 3 times"):
        fetch("emnist-letters")
    begun = ranges(server)
    begin = int(begun[1].removeprefix("bytes=").split("-")[0])
    assert [r.startswith(f"bytes={begin + 700 * k}-") for k, r in enumerate(begun[1:4])]
    server.seen.clear()
    server.faults[ZIP] = parts(BODY)
    same(mnistprep.load("emnist-letters"), LETTERS)
    assert ranges(server)[1].startswith(f"bytes={begin + 2100}-")


def test_a_zip_that_changes_between_ranges_is_noticed(server: Server, cache: Path) -> None:
    """Parts of two files are never put together: the server says that it changed, or is asked."""
    changed = BODY + b"\0"
    server.faults[ZIP] = [parts(BODY), parts(BODY), *[parts(changed)] * 9]
    with pytest.raises(FetchError, match="is another file than a moment ago"):
        fetch("emnist-letters")
    server.faults[ZIP] = [parts(BODY, tag=False), *[parts(changed, tag=False)] * 9]
    with pytest.raises(FetchError, match="answers with another range than asked for"):
        fetch("emnist-letters")
    server.faults[ZIP] = parts(BODY)
    same(mnistprep.load("emnist-letters"), LETTERS)


def wrong(handler: Handler) -> None:
    """Send the start of the zip whatever is asked for."""
    span = f"bytes 0-99/{len(BODY)}"
    handler.head(206, Content_Length=100, Content_Range=span, ETag=etag_of(BODY))
    handler.wfile.write(BODY[:100])


def test_a_server_that_lies_about_ranges_is_noticed(server: Server, cache: Path) -> None:
    """Wrong ranges, and right ranges with other bytes, never become data."""
    server.faults[ZIP] = [parts(BODY), *[wrong] * 9]
    with pytest.raises(FetchError, match="answers with another range than asked for"):
        fetch("emnist-letters")
    other = bytearray(BODY)
    for at in range(200, 20_000, 300):
        other[at] ^= 255

    def lie(handler: Handler) -> None:
        parts(bytes(other), tag=False)(handler)

    server.faults[ZIP] = [parts(BODY, tag=False), *[lie] * 12]
    with pytest.raises(FetchError, match=r"gzip/emnist-letters-train-images\S+: (damaged|cannot)"):
        fetch("emnist-letters")
    folder = cache / "emnist-letters"
    for path in folder.iterdir() if folder.exists() else ():
        assert path.read_bytes() == FILES[path.name]
    server.faults[ZIP] = [wrong, plain(BODY)]  # from the start: then the zip is got whole
    same(mnistprep.load("emnist-letters"), LETTERS)


@pytest.mark.parametrize("fault", [status(404), status(503), plain(b"<html>sign in</html>")])
def test_a_server_without_the_zip_is_named(server: Server, cache: Path, fault: Fault) -> None:
    """The error has every attempt, and what to get by hand, the zip too."""
    server.faults[ZIP] = fault
    with pytest.raises(FetchError) as caught:
        fetch("emnist-letters")
    text = str(caught.value)
    assert f"{server.base}{ZIP}" in text
    assert "emnist-letters-train-images-idx3-ubyte.gz: SHA-256 " in text
    assert f"All of them are in gzip.zip ({len(BODY):,} bytes, SHA-256 " in text
    assert "as they are published" in text


@pytest.mark.parametrize("kind", ["zip", "folder of the zip", "members", "base", "url"])
def test_mirrors_of_a_zip(server: Server, cache: Path, tmp_path: Path, kind: str) -> None:
    """The zip or its members, on the disk or on another server, do as well."""
    own = server.faults.pop(ZIP)
    folder = tmp_path / "have"
    folder.mkdir()
    if kind == "members":
        put(folder / "gzip", FILES)
        mirror: str | Path = folder
    elif kind in ("base", "url"):
        server.faults["else/gzip.zip"] = own
        mirror = server.base + ("else" if kind == "base" else "else/gzip.zip")
    else:
        (folder / "gzip.zip").write_bytes(BODY)
        mirror = folder if kind == "folder of the zip" else folder / "gzip.zip"
    fetch("emnist-letters", [mirror])
    same(mnistprep.load("emnist-letters"), LETTERS)
    assert any("else" in path for path in server.paths()) == (kind in ("base", "url"))


def test_a_damaged_zip_is_named_or_right(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut anywhere or with bytes changed, a zip gives proven members or an error, nothing else."""
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    path, folder = tmp_path / "gzip.zip", cache / "emnist-letters"
    end = len(BODY)
    places = [*range(3, 4000, 401), *range(end - 1200, end, 61)]
    for at in places:
        for data in (BODY[:at], BODY[:at] + bytes([BODY[at] ^ 0x55]) + BODY[at + 1 :]):
            path.write_bytes(data)
            try:
                fetch("emnist-letters", [path])
            except FetchError as error:
                assert str(path) in str(error)
            for file in folder.iterdir() if folder.exists() else ():
                assert file.read_bytes() == FILES[file.name]
                file.unlink()


def test_a_zip_with_a_huge_member_is_refused(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is unpacked than the file that is looked for can have."""
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.writestr(name, bytes(20_000_000))
    with pytest.raises(OfflineError, match=r"more than the [0-9,]+ bytes that can be right"):
        fetch("emnist-letters", [path])


def test_what_cannot_be_proven_is_refused_with_the_reason(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of letters only sums of the compressed files are known; others may be right, or not."""
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    folder = put(tmp_path / "plain", emnist_files(LETTERS, "letters"))
    with pytest.raises(OfflineError, match=r"cannot be proven: all that is known is the SHA-256"):
        fetch("emnist-letters", [folder])
    again = put(tmp_path / "again", emnist_files(LETTERS, "letters"), lambda b: gzip.compress(b, 1))
    with pytest.raises(OfflineError, match=r"cannot be proven"):
        fetch("emnist-letters", [again])
    same(mnistprep.read(folder), LETTERS)  # reading needs no proof
    fetch("emnist-digits", [put(tmp_path / "d", emnist_files(DIGITS, "digits"))])


def test_a_rotten_member_is_fetched_again(server: Server, cache: Path) -> None:
    """What lies in the cache is proven each time."""
    folder = fetch("emnist-letters")
    path = folder / "emnist-letters-test-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    same(mnistprep.load("emnist-letters"), LETTERS)
    assert path.read_bytes() == FILES[path.name]


def test_qmnist_is_one_set_of_files_for_three_rows(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """test10k and test50k are parts of the test files, which come once."""
    dataset = upright("qmnist", (28, 28))
    files = {f"{k}.gz": gzip.compress(v, mtime=0) for k, v in qmnist_files(dataset).items()}
    with running() as server:
        for name, counts, cut in (
            ("qmnist", {"train": 40, "test": 15}, {}),
            ("qmnist-test10k", {"test": 10}, {"test": (0, 10)}),
            ("qmnist-test50k", {"test": 5}, {"test": (10, 15)}),
        ):
            row = published(catalog.get(name), files, counts, known="packed")
            row = replace(row, mirrors=(server.base,), slices=cut)
            monkeypatch.setitem(catalog.DATASETS, name, row)
        server.files.update(files)
        test = dataset.splits["test"]
        for name, (begin, end) in (("qmnist-test10k", (0, 10)), ("qmnist-test50k", (10, 15))):
            part = Split(test.images[begin:end], test.labels[begin:end])
            expected = Dataset(name, {"test": part}, dataset.classes)
            same(mnistprep.load(name), expected, ("test",))
        assert len(server.seen) == 2
        same(mnistprep.load("qmnist"), dataset)
        assert len(server.seen) == 4


def test_k49_is_fetched_as_it_is_published(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four npz files under their names, read as the dataset that they are."""
    dataset = upright("k49", (28, 28))
    with running() as server:
        row, files = catalog.get("k49"), []
        for file in row.files:
            split, body = dataset.splits[file.split], io.BytesIO()
            np.savez_compressed(body, split.images if file.role == "images" else split.labels)
            data = body.getvalue()
            server.files[file.plain.name] = data
            content = Content(file.plain.name, len(data), hashlib.md5(data).hexdigest())
            files.append(replace(file, plain=content, packed=content))
        counts = {name: len(split) for name, split in dataset.splits.items()}
        row = replace(row, files=tuple(files), splits=counts, mirrors=(server.base,))
        monkeypatch.setitem(catalog.DATASETS, "k49", row)
        same(mnistprep.load("k49"), dataset)
        server.faults = {name: status(500) for name in server.files}
        same(mnistprep.load("k49"), dataset)
