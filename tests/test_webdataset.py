"""webdataset: shards that the real readers open, and shards as other people make them."""

from __future__ import annotations

import gc
import io
import json
import os
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from shards import DIGITS, check
from test_formats import ODD, numbered
from test_formats import split as some
from test_readers import same

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError, UnsupportedError, UsageError

# What mnistprep wrote


def samples(url: str, *decode: str) -> list[object]:
    """All samples of webdataset's reader, which leaves files to the garbage collector."""
    import webdataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = webdataset.WebDataset(url, shardshuffle=False, empty_check=False)
        if decode:
            found = found.decode(*decode).to_tuple("png", "cls")
        listed = list(found)
        gc.collect()
    return listed


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """250 + 60 + 50 drawn digits, in shards of 100."""
    drawn = mnistprep.load("synth:310,50")
    train = drawn.splits["train"]
    parts = {
        "train": Split(train.images[:250], train.labels[:250]),
        "valid": Split(train.images[250:], train.labels[250:]),
        "test": drawn.splits["test"],
    }
    dataset = Dataset("mnist", parts, drawn.classes)
    folder = tmp_path_factory.mktemp("written") / "out"
    return dataset, mnistprep.write(dataset, folder, "webdataset", shard=100)


def test_webdataset_reads_it(written: tuple[Dataset, Path]) -> None:
    """The library gives the exact pixels, labels and order of each split, over all shards."""
    dataset, folder = written
    urls = {"train": "{000000..000002}", "valid": "000000", "test": "000000"}
    for part, shards in urls.items():
        url = str(folder / f"mnist-{part}-{shards}.tar")
        examples = samples(url, "l8")
        same(dataset.splits[part], [x for x, _ in examples], [y for _, y in examples])
        assert [s["__key__"] for s in samples(url)] == [f"{k:06}" for k in range(len(examples))]


def test_a_torch_loader_batches_it(written: tuple[Dataset, Path]) -> None:
    """A DataLoader over a WebDataset gives batches of tensors."""
    import torch
    import webdataset

    dataset, folder = written
    url = str(folder / "mnist-train-{000000..000002}.tar")
    pipeline = webdataset.WebDataset(url, shardshuffle=False).decode("l8").to_tuple("png", "cls")
    loader = torch.utils.data.DataLoader(pipeline.batched(64), batch_size=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        images, labels = zip(*loader, strict=True)
        gc.collect()
    same(dataset.splits["train"], torch.cat(images).numpy(), np.concatenate(labels))


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Hugging Face's load_dataset, with its cache in the test's own folder and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        from datasets import load_dataset

        yield lambda *a, **k: load_dataset(*a, cache_dir=str(tmp_path / "hf"), **k)


@pytest.mark.parametrize("kind", ["webdataset", None], ids=["named", "found"])
def test_hugging_face_reads_it(
    written: tuple[Dataset, Path], load_dataset: object, kind: str | None
) -> None:
    """load_dataset finds splits, grey pictures, integer labels and keys, told the kind or not."""
    dataset, folder = written
    found = load_dataset(kind, data_dir=str(folder)) if kind else load_dataset(str(folder))
    assert sorted(found) == ["test", "train", "validation"]
    for part, split in dataset.splits.items():
        rows = found["validation" if part == "valid" else part]
        assert {row["png"].mode for row in rows} == {"L"}
        same(split, [np.asarray(row["png"]) for row in rows], [row["cls"] for row in rows])
        assert [row["__key__"] for row in rows] == [f"{k:06}" for k in range(len(split))]


def test_headers_say_nothing_but_names_and_sizes(written: tuple[Dataset, Path]) -> None:
    """Members are regular USTAR files of nobody, without a time, and the end is whole."""
    file = written[1] / "mnist-train-000001.tar"
    assert file.stat().st_size % 10_240 == 0
    with tarfile.open(file) as archive:
        found = archive.getmembers()
    assert [member.name for member in found[:3]] == ["000100.png", "000100.cls", "000101.png"]
    for member in found:
        assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
        assert (member.mode, member.type, member.pax_headers) == (0o644, tarfile.REGTYPE, {})


def test_colour_is_read_as_colour(tmp_path: Path, colour: Dataset) -> None:
    """webdataset's RGB pictures are those of a colour set."""
    folder = mnistprep.write(colour, tmp_path / "out", "webdataset")
    for part, split in colour.splits.items():
        url = str(folder / f"odd-{part}-000000.tar")
        examples = samples(url, "rgb8")
        same(split, [x for x, _ in examples], [y for _, y in examples])


@pytest.mark.parametrize(
    ("name", "part"), [("one.tar", "test"), ("test.tar.gz", "train"), ("one.tgz", "valid")]
)
def test_one_tar_holds_one_split(tmp_path: Path, name: str, part: str) -> None:
    """A target that ends in .tar is one shard, with split, names and shape in it."""
    for dataset in (
        Dataset("x", {part: DIGITS}, ("a", "b", "c é", "never")),
        Dataset("x", {part: some(0, (7, 3))}, ("a",)),
    ):
        path = mnistprep.write(dataset, tmp_path / f"{len(dataset)}-{name}")
        found = check(path, "webdataset", part, expected=dataset.splits[part])
        assert found.classes == dataset.classes
        if len(dataset):
            keys = [sample["__key__"] for sample in samples(str(path))]
            assert keys == [f"{k:06}" for k in range(len(dataset))]


def test_single_tars_side_by_side_are_one_dataset(tmp_path: Path, odd: Dataset) -> None:
    """Tars written one by one keep splits and names in a folder too; other sets do not join in."""
    for name, part in (("a.tar", "test"), ("b.tar", "train")):
        one = Dataset("x", {part: odd.splits[part]}, odd.classes)
        mnistprep.write(one, tmp_path / "set" / name)
    with pytest.raises(FormatError, match="both train, of different sets"):
        mnistprep.read(tmp_path / "set")
    (tmp_path / "set" / "a.tar").rename(tmp_path / "set" / "x-test.tar")
    found = mnistprep.read(tmp_path / "set")
    assert (found.digests(), found.classes) == (odd.digests(), odd.classes)
    mnistprep.write(Dataset("x", {"valid": DIGITS}, numbered(3)), tmp_path / "set" / "val.tar")
    with pytest.raises(FormatError, match="tars of different datasets"):
        mnistprep.read(tmp_path / "set")


def test_one_tar_cannot_hold_two_splits(tmp_path: Path, odd: Dataset) -> None:
    """Two splits are refused, and so are more names than the head of a tar has room for."""
    with pytest.raises(UnsupportedError, match="one split, not train and test"):
        mnistprep.write(odd, tmp_path / "x.tar")
    names = tuple(f"{k:0400}" for k in range(3000))
    with pytest.raises(UnsupportedError, match="give a folder"):
        mnistprep.write(Dataset("x", {"train": DIGITS}, names), tmp_path / "x.tar")
    assert list(tmp_path.iterdir()) == []


def test_shards_are_as_long_as_asked(tmp_path: Path) -> None:
    """`shard` examples in each, the rest in the last; compressed ones read back."""
    dataset = Dataset("Some Test-Set 10", {"train": some(10)}, numbered(3))
    folder = mnistprep.write(dataset, tmp_path / "x", "webdataset", shard=4, compression="gzip")
    names = sorted(file.name for file in folder.glob("*.gz"))
    assert names == [f"some_set_10-train-{k:06}.tar.gz" for k in range(3)]
    assert mnistprep.read(folder).digests() == dataset.digests()
    with pytest.raises(UsageError, match="shard must be 0"):
        mnistprep.write(dataset, tmp_path / "y", "webdataset", shard=-1)


def test_channels_that_png_lacks_are_refused(tmp_path: Path) -> None:
    """Two and four channels are refused before anything is written."""
    for channels in (2, 4):
        dataset = Dataset("x", {"train": some(3, (4, 4, channels))}, numbered(3))
        with pytest.raises(UnsupportedError, match=f"three channels, not {channels}"):
            mnistprep.write(dataset, tmp_path / "x", "webdataset")
    assert list(tmp_path.iterdir()) == []


def test_every_odd_set_comes_back_from_small_shards(tmp_path: Path) -> None:
    """Shards of three examples hold whatever shards of thousands do."""
    for kind in ("odd", "empty-split", "with-valid"):
        dataset = ODD[kind]
        path = mnistprep.write(dataset, tmp_path / kind, "webdataset", shard=3)
        found = mnistprep.read(path)
        assert found.digests() == dataset.digests()
        assert found.classes == dataset.classes
        assert json.loads((path / "mnistprep.json").read_text("utf-8"))["shape"]
        assert len(os.listdir(path)) == 1 + sum(
            max(1, -(-len(part) // 3)) for part in dataset.splits.values()
        )


def test_headers_of_other_writers_add_up(tmp_path: Path) -> None:
    """Names of high bytes, in both places that ustar has for them, have large checksums."""
    key = "\xff" * 70 + "/" + "\xff" * 48
    file = tmp_path / "train.tar"
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for field, content in (("pgm", b"P5 2 2 255\n\0\1\2\3"), ("cls", b"3")):
            member = tarfile.TarInfo(f"{key}.{field}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    split = mnistprep.read(file).splits["train"]
    assert (split.images.tolist(), split.labels.tolist()) == ([[[0, 1], [2, 3]]], [3])
