"""Shards and records as they lie on people's disks: folders of splits, pointers, empty files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shards import DIGITS, check, examples, members, records, tar
from test_readers import same

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError

WRONG = [
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    (b"<!DOCTYPE html><html></html>", "a web page"),
    (b"", "an empty file"),
]


@pytest.mark.parametrize(
    "folder", ["", "mnist/3.0.1", "mnist/3.0.1.incompleteABC", "tensorflow_datasets/mnist/3.0.1"]
)
def test_records_without_their_tables_are_found(tmp_path: Path, folder: str) -> None:
    """A folder of TFDS that was copied without dataset_info.json and features.json reads."""
    for split in ("train", "test"):
        name = f"mnist-{split}.tfrecord-00000-of-00001"
        records(tmp_path / "x" / folder / name, examples())
    found = mnistprep.read(tmp_path / "x")
    assert list(found.splits) == ["train", "test"]
    for split in found.splits.values():
        same(DIGITS, split.images, split.labels)
    [place] = formats.get("tfrecord").places(tmp_path / "x", "test", [0])
    assert place.endswith("mnist-test.tfrecord-00000-of-00001, record 0")


def test_records_in_folders_of_splits(tmp_path: Path) -> None:
    """train/ and val/ with files of the same names are two splits."""
    for split in ("train", "val"):
        records(tmp_path / "x" / split / "data.tfrecord", examples())
    found = mnistprep.read(tmp_path / "x")
    assert formats.matches(tmp_path / "x") == ["tfrecord"]
    assert list(found.splits) == ["train", "valid"]
    records(tmp_path / "x" / "validation" / "data.tfrecord", examples())
    with pytest.raises(FormatError, match="validation is valid for a second time"):
        mnistprep.read(tmp_path / "x")


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_files_that_are_no_records_are_called_what_they_are(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """One file among good ones that is a pointer, a page or empty is refused as that."""
    records(tmp_path / "x" / "test.tfrecord", examples())
    (tmp_path / "x" / "train.tfrecord").write_bytes(content)
    with pytest.raises(FormatError, match=rf"train\.tfrecord: {message}"):
        mnistprep.read(tmp_path / "x")
    dataset = mnistprep.read(tmp_path / "x" / "test.tfrecord")
    folder = mnistprep.write(dataset, tmp_path / "tfds", "tfrecord")
    [file] = folder.rglob("*.tfrecord-*")
    file.write_bytes(content)
    with pytest.raises(FormatError, match=f"{file.name}: {message}"):
        mnistprep.read(folder)


def test_records_in_zlib_are_refused_as_such(tmp_path: Path) -> None:
    """TFRecordWriter's ZLIB has no magic that is sure; the name and the first bytes tell."""
    import zlib

    path = records(tmp_path / "x" / "train.tfrecord", examples())
    path.write_bytes(zlib.compress(path.read_bytes()))
    with pytest.raises(FormatError, match=r"train\.tfrecord: compressed by zlib"):
        mnistprep.read(tmp_path / "x")


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_tars_that_are_no_shards_are_called_what_they_are(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """One shard among good ones that is a pointer, a page or empty is refused as that."""
    tar(tmp_path / "x" / "train-000000.tar", members())
    (tmp_path / "x" / "train-000001.tar").write_bytes(content)
    with pytest.raises(FormatError, match=rf"train-000001\.tar: {message}"):
        mnistprep.read(tmp_path / "x")


def test_splits_in_one_tar_are_not_merged(tmp_path: Path) -> None:
    """Samples below train/ and test/ are not run together; those of one are of that split."""
    parts = {s: [(f"{s}/{name}", data) for name, data in members()] for s in ("train", "test")}
    both = tar(tmp_path / "both.tar", [*parts["train"], *parts["test"]])
    with pytest.raises(FormatError, match="samples in folders of test and train"):
        mnistprep.read(both)
    check(tar(tmp_path / "x.tar", parts["test"]), "webdataset", "test")


@pytest.mark.parametrize("key", ["label", "class_id", "digit"])
@pytest.mark.parametrize("kind", [int, str])
def test_labels_in_json_have_many_names(tmp_path: Path, key: str, kind: type) -> None:
    """The label in a table, as a number or in digits."""
    content = [(name, data) for name, data in members() if name.endswith("png")]
    tables = [
        (name.replace(".png", ".json"), json.dumps({"id": "x", key: kind(label)}).encode())
        for (name, _), label in zip(content, DIGITS.labels.tolist(), strict=True)
    ]
    both = [part for pair in zip(content, tables, strict=True) for part in pair]
    check(tar(tmp_path / "x.tar", both), "webdataset")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((("a.npy", b"x"), ("a.cls", b"1")), "no picture among its fields: cls, npy"),
        ((("a.png", b"x"), ("a.json", b'{"caption": "one"}')), "is no label number"),
        ((("a.png", b"x"), ("a.npy", b"x")), "no label among its fields: npy, png"),
    ],
)
def test_samples_that_are_not_read_are_named(
    tmp_path: Path, fields: tuple[tuple[str, bytes], ...], message: str
) -> None:
    """Arrays in the place of pictures or labels, and captions, are the reason."""
    tar(tmp_path / "x" / "train.tar", list(fields))
    with pytest.raises(FormatError, match=message):
        mnistprep.read(tmp_path / "x")
    shutil.rmtree(tmp_path / "x")
