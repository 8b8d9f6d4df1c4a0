"""Parquet and Arrow as they lie on people's disks: clones, caches, parts of Spark, pointers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from test_hub import IMAGES, LABELS, Notes, saved, table

import mnistprep
from mnistprep import convert, formats
from mnistprep.errors import FormatError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
PAGE = b"<!DOCTYPE html><html></html>"


def check(path: Path, *splits: str) -> None:
    found = mnistprep.read(path)
    assert tuple(found.splits) == splits
    for split in found.splits.values():
        assert np.array_equal(split.images, IMAGES)
        assert split.labels.tolist() == LABELS


@pytest.mark.parametrize(
    "around",
    [
        "repository/mnist",
        "datasets--ylecun--mnist/snapshots/77f3279/mnist",
        "mnist-main/data",
        "a/b/c/default",
    ],
)
def test_folders_around_a_dataset_are_opened(tmp_path: Path, around: str) -> None:
    """A clone, its archive and the cache of the hub read from the top."""
    folder, top = tmp_path / around, tmp_path / around.partition("/")[0]
    saved(folder, "train-00000-of-00001.parquet", "test-00000-of-00001.parquet", content=table())
    (top / "README.md").write_text("what it is")
    if "snapshots" in around:
        for inner in ("blobs", "refs"):
            (top / inner).mkdir()
    check(top, "train", "test")
    assert formats.get("parquet").places(top, "test", [2])[0].endswith("parquet, row 2")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, top.name)
    check(tmp_path / "packed.zip", "train", "test")


@pytest.mark.parametrize(
    "names",
    [
        ("train.parquet/part-00000-c000.snappy.parquet", "test.parquet/part-00000-c000.parquet"),
        ("mnist_train/part.0.parquet", "mnist_test/part.0.parquet"),
        ("train.parquet.gzip", "test.parquet.gzip"),
    ],
)
def test_parts_and_names_of_other_tools(tmp_path: Path, names: tuple[str, str]) -> None:
    """Folders of parts as Spark and Dask write them, and the name in pandas's documentation."""
    saved(tmp_path / "x", *names, content=table())
    check(tmp_path / "x", "train", "test")


@pytest.mark.parametrize("names", ["part.{}.parquet", "000{}.parquet", "train_{}.parquet"])
def test_a_gap_in_the_numbers_is_found_out(tmp_path: Path, names: str) -> None:
    """Parts 0 and 2 without 1 are not the whole of a split."""
    saved(tmp_path / "x", names.format(0), names.format(2), content=table())
    with pytest.raises(FormatError, match=r"number 1 of .* is missing"):
        mnistprep.read(tmp_path / "x")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_column_says_the_splits(tmp_path: Path, form: str) -> None:
    """Rows whose column `split` says train and test are divided, wherever they are."""
    words = ["train", "Test", "train", "train", "test", "train"]
    path, content = tmp_path / f"all.{form}", table(split=words)
    if form == "parquet":
        pq.write_table(content, path)
    else:
        feather.write_feather(content, path)
    found, chosen = mnistprep.read(path), [1, 4]
    assert np.array_equal(found.splits["test"].images, IMAGES[chosen])
    assert found.splits["train"].labels.tolist() == [3, 1, 2, 0]
    assert formats.get(form).places(path, "test", [1]) == [f"{path}, row 4"]


def test_a_column_of_other_words_is_said(tmp_path: Path) -> None:
    """Folds are no splits, and the note about columns that are not read names theirs."""
    path, notes = saved(tmp_path, "all.parquet", content=table(split=list("aabbab"))), Notes()
    assert len(mnistprep.read(path, progress=notes).splits["train"]) == len(LABELS)
    assert any("not read: split" in note for note in notes.notes)


def test_a_column_must_agree_with_the_names_of_files(tmp_path: Path) -> None:
    """Rows of train in test.parquet are refused."""
    content = table(split=["train"] * len(LABELS))
    saved(tmp_path, "train.parquet", "test.parquet", content=content)
    with pytest.raises(FormatError, match=r"test\.parquet: rows of train in a file that is test"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(POINTER, "a Git LFS pointer"), (PAGE, "a web page"), (b"", "an empty file")],
)
def test_what_is_no_data_is_called_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    """Pointers, pages and empty files in the place of Parquet and of what save_to_disk wrote."""
    saved(tmp_path / "x" / "data", "train-00000-of-00001.parquet", content=table())
    file = tmp_path / "x" / "data" / "train-00000-of-00001.parquet"
    file.write_bytes(content)
    with pytest.raises(FormatError, match=f"00001.parquet: not Parquet, but {message}"):
        mnistprep.read(tmp_path / "x")
    dataset = mnistprep.read(saved(tmp_path, "train.parquet", content=table()))
    folder = mnistprep.write(dataset, tmp_path / "disk", "arrow")
    (folder / "train" / "data-00000-of-00001.arrow").write_bytes(content)
    with pytest.raises(FormatError, match=rf"00001\.arrow: not Arrow, but {message}"):
        mnistprep.read(folder)


def test_splits_that_were_saved_one_by_one(tmp_path: Path) -> None:
    """train/ and test/ of save_to_disk without a dataset_dict.json are two splits."""
    for name in ("train", "test"):
        dataset = mnistprep.read(saved(tmp_path / name, f"{name}.parquet", content=table()))
        folder = mnistprep.write(dataset, tmp_path / "out" / f"{name}.d", "arrow")
        (folder / name).rename(tmp_path / "out" / name)
        shutil.rmtree(folder)
    check(tmp_path / "out", "train", "test")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_feather_of_version_1_is_named(tmp_path: Path) -> None:
    """What old pandas and R wrote is refused as that."""
    flat = pa.table({"image": pa.array([b"x"], pa.binary()), "label": [1]})
    feather.write_feather(flat, tmp_path / "train.feather", version=1)
    with pytest.raises(FormatError, match="Feather of version 1; write it again as version 2"):
        mnistprep.read(tmp_path)


def test_shards_that_store_pictures_in_two_ways_are_refused(tmp_path: Path) -> None:
    """PNGs in one shard of a split and lists of pixels in the next are not of one set."""
    pq.write_table(table(), tmp_path / "train-00000-of-00002.parquet")
    pixels = {"image": [image.tolist() for image in IMAGES], "label": LABELS}
    pq.write_table(pa.table(pixels), tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(FormatError, match="different kinds of pictures"):
        mnistprep.read(tmp_path)


def test_places_in_a_file_that_was_cut_as_asked_for(tmp_path: Path) -> None:
    """Where the test split starts is known to the reader alone; the place says its row there."""
    file = tmp_path / "all.parquet"
    pq.write_table(table(), file)
    found = convert.locate(file, train=1)
    assert found.places("train", [0]) == [f"{file}, row 0"]
    assert found.places("test", [0]) == [f"{file}, row 0 of test"]


def test_places_where_options_chose_the_columns(tmp_path: Path) -> None:
    """What is clear with -R alone has a place all the same."""
    file = tmp_path / "two.parquet"
    lists = [image.tolist() for image in IMAGES]
    pq.write_table(pa.table({"a": lists, "b": lists, "label": LABELS}), file)
    found = convert.locate(file, image="a")
    assert found.places("train", [1]) == [f"{file}, train[1]"]
