"""Archives around any form: opened without a flag, and not trusted."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset

import mnistprep
from mnistprep import Dataset, Split, _archives, _limits, verify
from mnistprep.convert import locate
from mnistprep.errors import DetectionError, FormatError, TargetError

FORMS = {
    "idx": "MNIST/raw/train-images-idx3-ubyte",
    "csv": "mnist_train.csv",
    "idx-gz": "train-images-idx3-ubyte.gz",
}
GREY = odd_dataset()


@pytest.fixture
def leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where temporary files go in this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
@pytest.mark.parametrize("form", FORMS)
def test_a_folder_in_an_archive_reads_as_it_would_outside(
    form: str, kind: str, tmp_path: Path, leftovers: Path
) -> None:
    """With or without a folder around everything, and with what systems leave in archives."""
    mnistprep.write(GREY, tmp_path / "set", form)
    for top in ("", "mnist/", "download/mnist/files/"):
        members = {f"{top}{name}": data for name, data in files(tmp_path / "set").items()}
        members["__MACOSX/._x.csv"] = b"junk"
        path = tmp_path / f"data.{kind}"
        mode = {"tar": "w"}.get(kind, f"w:{kind[4:]}")
        path = zipped(path, members) if kind == "zip" else tarred(path, members, mode)
        found = locate(path)
        assert found.format == form
        assert found.dataset.digests() == GREY.digests()
        assert found.dataset.classes == GREY.classes
        assert found.places("train", [0])[0].startswith(str(path))
        del found
        assert not list(leftovers.iterdir())


@pytest.mark.parametrize("name", ["npz", "safetensors", "pkl", "pt"])
@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_a_file_in_an_archive(name: str, suffix: str, tmp_path: Path) -> None:
    """One file of any form, compressed or zipped."""
    pytest.importorskip("torch") if name == "pt" else None
    plain = Dataset("x", {k: v for k, v in GREY.joined().splits.items()}, GREY.classes)
    if name == "pkl":
        plain = Dataset("x", plain.splits, tuple(map(str, range(len(plain.classes)))))
    source = mnistprep.write(plain, tmp_path / "set.bin", name)
    target = tmp_path / f"set.bin{suffix}"
    data = source.read_bytes()
    if suffix == ".zip":
        zipped(target, {"set.bin": data})
    else:
        pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
        target.write_bytes(pack(data))
    assert mnistprep.read(target).digests() == plain.digests()


def test_verify_names_the_member(tmp_path: Path) -> None:
    """What is wrong in an archive is located in it."""
    mnistprep.write(GREY, tmp_path / "right", "csv")
    changed = {name: np.array(part.images) for name, part in GREY.splits.items()}
    changed["train"][3, 1, 1] ^= 1
    wrong = Dataset(
        "w", {k: Split(changed[k], v.labels) for k, v in GREY.splits.items()}, GREY.classes
    )
    mnistprep.write(wrong, tmp_path / "wrong", "csv")
    path = zipped(tmp_path / "w.zip", files(tmp_path / "wrong"))
    report = verify(path, source=mnistprep.read(tmp_path / "right"), train=False)
    assert not report.right
    assert f"{path}/mnist_train.csv, line 5" in str(report)


def test_several_datasets_in_an_archive_are_listed(tmp_path: Path) -> None:
    """The refusal names the members, by the archive's own path."""
    mnistprep.write(GREY, tmp_path / "all" / "one.npz", provenance=False)
    mnistprep.write(GREY, tmp_path / "all" / "two.npz", provenance=False)
    path = zipped(tmp_path / "a.zip", files(tmp_path / "all"))
    with pytest.raises(DetectionError, match=r"one\.npz.*two\.npz") as caught:
        mnistprep.read(path)
    assert str(path) in str(caught.value)
    assert "temporary" not in str(caught.value)


@pytest.mark.parametrize("name", ["../out.csv", "/etc/out.csv", "a/../../out.csv", "C:\\out.csv"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_out_are_refused(
    name: str, kind: str, tmp_path: Path, leftovers: Path
) -> None:
    """Nothing is written outside, and nothing stays."""
    make = zipped if kind == "zip" else tarred
    path = make(tmp_path / "evil.zip", {"a.txt": b"1", name: b"1,2,3"})
    with pytest.raises(FormatError, match="leads out of it"):
        mnistprep.read(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.zip", "temporary"]
    assert not list(leftovers.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    """A tar may hold them; a dataset does not."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("train.csv")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(FormatError, match="link or special file"):
        mnistprep.read(tmp_path / "a.tar")


GNU_TAR = shutil.which("tar") if sys.platform == "linux" else None


@pytest.mark.skipif(GNU_TAR is None, reason="needs GNU tar")
@pytest.mark.parametrize(
    "options", [("--label", "digits"), ("--listed-incremental", "when")], ids=str
)
def test_a_backup_that_may_not_have_all_is_named(options: tuple[str, ...], tmp_path: Path) -> None:
    """What GNU tar makes for several volumes or steps; a part of it may lack files."""
    mnistprep.write(GREY, tmp_path / "set", "imagefolder")
    line = [str(GNU_TAR), "--create", "--file", "set.tar", *options, "set"]
    subprocess.run(line, cwd=tmp_path, check=True)
    with pytest.raises(FormatError, match="several volumes or steps"):
        mnistprep.read(tmp_path / "set.tar")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    """Zip keeps them as files of a special kind."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("train.csv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(FormatError, match="link or special file"):
        mnistprep.read(tmp_path / "a.zip")


def csv_bytes() -> bytes:
    """A table of twenty pictures, the label first."""
    chance = np.random.default_rng(1)
    rows = [[k % 10, *chance.integers(0, 256, 16).tolist()] for k in range(20)]
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def test_zeros_between_streams_of_xz_are_padding(tmp_path: Path) -> None:
    """The format has them, in fours; bytes of another kind are damage."""
    data = csv_bytes()
    for padding in (0, 4, 8 << 10):
        path = tmp_path / "x.csv.xz"
        path.write_bytes(lzma.compress(data[:99]) + bytes(padding) + lzma.compress(data[99:]))
        assert sum(map(len, mnistprep.read(path).splits.values())) == 20
    path.write_bytes(lzma.compress(data[:99]) + b"\0\0\0\1" + lzma.compress(data[99:]))
    with pytest.raises(FormatError, match="damaged xz data"):
        mnistprep.read(path)


def test_a_zip_that_could_have_been_split_is_read(tmp_path: Path) -> None:
    """Info-ZIP marks it as the first part of several, and then it is the only one."""
    plain = zipped(tmp_path / "a.zip", {"x.csv": csv_bytes()})
    begin = b"PK\7\x08"
    with zipfile.ZipFile(tmp_path / "b.zip", "x") as archive:
        archive.fp.write(begin)  # type: ignore[union-attr]
        archive.start_dir = len(begin)
        archive.writestr("x.csv", csv_bytes())
    assert (tmp_path / "b.zip").read_bytes()[:8] == begin + b"PK\3\4"
    assert mnistprep.read(tmp_path / "b.zip").digests() == mnistprep.read(plain).digests()


def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which of the two counts, nobody can know."""
    path = tarred(tmp_path / "a.tar", {"x.csv": b"1", "./x.csv": b"2"})
    with pytest.raises(FormatError, match="two members are called"):
        mnistprep.read(path)


def test_a_bomb_is_refused_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Path
) -> None:
    """A small archive of many bytes stops at the stated limit, and leaves nothing."""
    monkeypatch.setattr(_limits, "LIMIT", 1 << 20)
    path = zipped(tmp_path / "bomb.zip", {"x.csv": bytes(8 << 20), "y.csv": b"1"})
    with pytest.raises(FormatError, match=r"holds more than 1,048,576 bytes; .*--max-bytes"):
        mnistprep.read(path)
    assert not list(leftovers.iterdir())


def test_an_encrypted_zip_is_called_so(tmp_path: Path) -> None:
    """The password is asked for in words."""
    path = zipped(tmp_path / "a.zip", {"train.csv": b"1,2,3"})
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="encrypted"):
        mnistprep.read(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar", "gz", "xz", "bz2"])
def test_damaged_archives_are_refused(kind: str, tmp_path: Path, leftovers: Path) -> None:
    """Cut off or flipped anywhere: the right data or words, never another exception."""
    mnistprep.write(GREY, tmp_path / "set", "csv")
    members = files(tmp_path / "set")
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        zipped(path, members)
    elif kind.startswith("tar"):
        tarred(path, members, "w:gz" if kind.endswith("gz") else "w")
    else:
        pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind]
        path.write_bytes(pack(mnistprep.write(GREY, tmp_path / "x.npz").read_bytes()))
    whole, chance = path.read_bytes(), random.Random(1)
    truth = mnistprep.read(path).digests()
    for k in range(60):
        data = bytearray(whole)
        if k % 2:
            del data[chance.randrange(1, len(data)) :]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            found = mnistprep.read(path).digests()
        except FormatError as error:
            assert str(leftovers) not in str(error)
        else:
            # A plain tar has no sums of what it holds; its members are the format's to check.
            assert found == truth or kind == "tar"
    assert not list(leftovers.iterdir())


def test_an_archive_of_nothing(tmp_path: Path) -> None:
    """Empty archives are called that."""
    with pytest.raises(DetectionError, match="empty folder"):
        mnistprep.read(zipped(tmp_path / "a.zip", {}))
    with pytest.raises(FormatError, match=r"a\.gz"):
        (tmp_path / "a.gz").write_bytes(gzip.compress(b""))
        mnistprep.read(tmp_path / "a.gz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe is no archive."""
    os.mkfifo(tmp_path / "p")
    assert not _archives.is_archive(tmp_path / "p")


def test_a_full_disk_is_no_damage_to_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told to get a file again because the temporary folder is full."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.npz", bytes(100))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_archives._Room, "put", full)
    with pytest.raises(TargetError, match=r"No space left.*set TMPDIR") as caught:
        mnistprep.read(archive)
    assert "damaged" not in str(caught.value)


def test_a_member_without_a_name(tmp_path: Path) -> None:
    """Damage makes such; it is an error in words."""
    path = zipped(tmp_path / "a.zip", {"x": b"1,2,3", "train/0/y.png": b"1"})
    data = path.read_bytes()
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))
    nameless = data[: at + 28] + b"\0\0" + data[at + 30 : at + 46] + data[at + 47 :]
    end = nameless.rindex(b"PK\5\6") + 12
    size = int.from_bytes(nameless[end : end + 4], "little") - 1
    path.write_bytes(nameless[:end] + size.to_bytes(4, "little") + nameless[end + 4 :])
    with pytest.raises(FormatError):
        mnistprep.read(path)
