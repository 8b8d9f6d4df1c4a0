"""What happened to one file of a set: its split is right, or an error, and never just left out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, MnistprepError

DIGITS = mnistprep.load("synth:60,20", workers=1)
SIZES = {name: len(split) for name, split in DIGITS.splits.items()}
FOLDERS = [name for name in formats.FORMATS if formats.missing(name) is None]
SINGLE = ["npz", "pt", "safetensors", "hdf5", "mat"]
DAMAGES = {
    "nothing": lambda data: b"",
    "the first half": lambda data: data[: len(data) // 2],
    "all but the first byte": lambda data: data[1:],
    "a page": lambda data: b"<!DOCTYPE html><html><body>404</body></html>",
    "a pointer": lambda data: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    ),
    "zeros": lambda data: bytes(len(data)),
    "noise": lambda data: random.Random(1).randbytes(3000),
    **{f"a bit, {k}": lambda data, k=k: flipped(data, k) for k in range(8)},
}


class Notes:
    """A Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.note = self.said.append

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""


def flipped(data: bytes, seed: int) -> bytes:
    """The data with one bit changed near its start, where it says what it is."""
    chance, data_ = random.Random(seed), bytearray(data)
    data_[chance.randrange(min(len(data), 300))] ^= 1 << chance.randrange(8)
    return bytes(data_)


def check(folder: Path, file: Path) -> None:
    """Whatever is done to the file, every split of the set has its size, or nothing is read."""
    whole, refused = file.read_bytes(), 0
    for what, damage in DAMAGES.items():
        file.write_bytes(damage(whole))
        try:
            found = mnistprep.read(folder, workers=1)
        except MnistprepError:
            refused += 1
        else:
            assert {name: len(split) for name, split in found.splits.items()} == SIZES, what
            del found  # nothing maps the file when it is written again
    file.write_bytes(whole)
    assert refused > 4
    assert mnistprep.read(folder, workers=1).digests() == DIGITS.digests()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_damaged_file_of_a_set_is_not_left_out(tmp_path: Path, name: str) -> None:
    """In the forms that are folders."""
    path = mnistprep.write(DIGITS, tmp_path / "set", name, workers=1)
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.suffix not in (".json", ".png", ".txt")]
        for file in filter(Path.is_file, files):
            check(path, file)


@pytest.mark.parametrize("name", SINGLE)
def test_a_damaged_file_beside_that_of_another_split_is_not_left_out(
    tmp_path: Path, name: str
) -> None:
    """In the forms that are files, of which a folder has one for each split."""
    for split, examples in DIGITS.splits.items():
        one = Dataset("x", {split: examples}, DIGITS.classes)
        mnistprep.write(one, tmp_path / f"{split}.{name}", name, provenance=False)
    check(tmp_path, tmp_path / f"train.{name}")


def test_the_file_that_is_no_split_is_named(tmp_path: Path) -> None:
    """Also where the others are two; what is called something else is another thing."""
    for split in ("train", "test"):
        one = Dataset("x", {split: DIGITS.splits[split]}, DIGITS.classes)
        mnistprep.write(one, tmp_path / f"{split}.npz", provenance=False)
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "train.log").write_text("hello")
    assert mnistprep.read(tmp_path).digests() == DIGITS.digests()
    (tmp_path / "valid.npz").write_text("hello")
    with pytest.raises(DetectionError, match=r"valid\.npz: .*; remove it to read the others"):
        mnistprep.read(tmp_path)


def test_a_file_of_a_split_has_a_document_too(tmp_path: Path) -> None:
    """Where each split is a file, each is held against the document beside it."""
    for split, examples in DIGITS.splits.items():
        mnistprep.write(Dataset("x", {split: examples}, DIGITS.classes), tmp_path / f"{split}.npz")
    assert mnistprep.read(tmp_path).digests() == DIGITS.digests()
    paper = tmp_path / "test.npz.mnistprep.json"
    paper.write_text(paper.read_text().replace('"test": 20', '"test": 21'))
    with pytest.raises(FormatError, match=r"test\.npz: test has 20 examples, and had 21 when"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize("name", ["mnist", "mnist.t", "mnist_test.svm"])
def test_rows_of_libsvm_that_are_damaged_are_named(tmp_path: Path, name: str) -> None:
    """Under LIBSVM's own names too; a text that is no split is left out with a note."""
    beside = {"mnist": "mnist.t", "mnist.t": "mnist", "mnist_test.svm": "mnist_train.svm"}[name]
    (tmp_path / beside).write_text("5 153:3 784:18\n" * 9)
    (tmp_path / name).write_text("5 153:3 784:18\n" * 4 + "5 153;3 784:18\n" + "5 153:3\n" * 4)
    (tmp_path / "notes").write_text("hello\n")
    with pytest.raises(FormatError, match=f"{name}, line 5"):
        mnistprep.read(tmp_path)
    (tmp_path / name).unlink()
    notes = Notes()
    assert len(mnistprep.read(tmp_path, progress=notes)) == 9
    assert any("notes" in said for said in notes.said)


def test_an_archive_of_zeros_alone_is_refused(tmp_path: Path) -> None:
    """What a crash of a machine leaves; the empty archive of ten kilobytes is one."""
    train = DIGITS.splits["train"]
    none = Split(train.images[:0], train.labels[:0])
    empty = Dataset("x", {"train": train, "test": none}, DIGITS.classes)
    path = mnistprep.write(empty, tmp_path / "set", "webdataset", provenance=False)
    assert [len(split) for split in mnistprep.read(path).splits.values()] == [60, 0]
    (shard,) = path.glob("*test*.tar")
    assert not any(shard.read_bytes())
    shard.write_bytes(bytes(shard.stat().st_size + 512))
    with pytest.raises(FormatError, match="that are all zero"):
        mnistprep.read(path)


def test_rows_that_are_gone_are_missed(tmp_path: Path) -> None:
    """A text cut at the end of a line is whole to its reader; the document beside it knows."""
    path, notes = mnistprep.write(DIGITS, tmp_path / "set", "csv"), Notes()
    mnistprep.read(path, progress=notes)
    assert not notes.said
    file = path / "mnist_train.csv"
    rows = file.read_bytes().splitlines(keepends=True)
    for left in (58, 1):
        file.write_bytes(b"".join(rows[:left]))
        with pytest.raises(FormatError, match=f"train has {left - 1} examples, and had 60 when"):
            mnistprep.read(path)
    file.write_bytes(b"".join(rows + rows[-1:]))
    assert len(mnistprep.read(path, progress=notes)) == 81
    (path / "mnist_test.csv").unlink()
    assert len(mnistprep.read(path, progress=notes)) == 61
    assert [said.rpartition(", read with ")[2] for said in notes.said] == [
        "train 61, test 20",
        "train 61",
    ]


@pytest.mark.parametrize("splits", ['{"train": 1e400}', '{"\\u001b": 1}', '{"test": -1}', "[]"])
def test_a_document_of_strange_sizes_says_none(tmp_path: Path, splits: str) -> None:
    """It is not what the examples are counted by; `verify` says what is wrong with it."""
    path = mnistprep.write(DIGITS, tmp_path / "a.npz")
    path.with_name("a.npz.mnistprep.json").write_text(f'{{"splits": {splits}}}')
    assert mnistprep.read(path).digests() == DIGITS.digests()
