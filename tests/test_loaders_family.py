"""The drop-ins for torchvision's relatives of MNIST give what torchvision gives."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from httpserver import Server, running
from test_download_family import DIGITS, LETTERS, published, server  # noqa: F401
from test_family import emnist_files, idx, put, qmnist_files, table, upright
from torchvision import datasets

import mnistprep
from mnistprep import catalog, loaders
from mnistprep.errors import MissingPath, UnknownName


def assert_same(ours: object, theirs: object) -> None:
    """Data, labels, class names and items are equal."""
    assert torch.equal(ours.data, theirs.data)
    assert torch.equal(ours.targets, theirs.targets)
    assert ours.targets.dtype == theirs.targets.dtype
    assert list(ours.classes) == list(theirs.classes)
    assert ours.class_to_idx == theirs.class_to_idx
    for at in (0, 3, -1):
        assert ours[at][0].tobytes() == theirs[at][0].tobytes()
        assert torch.equal(torch.as_tensor(ours[at][1]), torch.as_tensor(theirs[at][1]))
        assert type(ours[at][1]) is type(theirs[at][1])


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("split", loaders.EMNIST.splits)
def test_emnist_gives_what_torchvision_gives(tmp_path: Path, split: str, train: bool) -> None:
    """Pictures and numbers as they are stored, out of a folder with two sets."""
    for part in {split, "digits"}:
        dataset = upright(f"emnist-{part}", (28, 28))
        put(tmp_path / "EMNIST" / "raw", emnist_files(dataset, part))
    ours = loaders.EMNIST(tmp_path, split, train=train)
    assert_same(ours, datasets.EMNIST(str(tmp_path), split, train=train))


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("what", ["train", "test", "test10k", None])
def test_qmnist_gives_what_torchvision_gives(
    tmp_path: Path, what: str | None, compat: bool
) -> None:
    """All columns, or the class alone."""
    put(tmp_path / "QMNIST" / "raw", qmnist_files(upright("qmnist", (28, 28))))
    ours = loaders.QMNIST(tmp_path, what, compat, train=False)
    theirs = datasets.QMNIST(str(tmp_path), what, compat, train=False)
    assert_same(ours, theirs)
    assert f"Split: {what or 'test'}" in repr(ours)


@pytest.mark.parametrize(
    ("name", "kind"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_drop_ins_have_their_own_classes(tmp_path: Path, name: str, kind: str) -> None:
    """Files without class names, in the folder of the class."""
    mnistprep.write(upright(name, (28, 28)), tmp_path, "idx", overwrite=True)
    (tmp_path / "mnistprep.json").unlink()
    assert_same(getattr(loaders, kind)(tmp_path), getattr(datasets, kind)(str(tmp_path)))


def test_emnist_is_fetched_as_published(server: Server, tmp_path: Path) -> None:  # noqa: F811
    """download=True puts the files where torchvision looks, one set beside another."""
    with pytest.raises(MissingPath, match="use download=True to fetch it"):
        loaders.EMNIST(tmp_path / "root", "letters")
    for part, dataset in (("letters", LETTERS), ("digits", DIGITS)):
        ours = loaders.EMNIST(tmp_path / "root", part, download=True)
        for name, data in emnist_files(dataset, part).items():
            assert (tmp_path / "root" / "EMNIST" / "raw" / name).read_bytes() == data
        assert_same(ours, datasets.EMNIST(str(tmp_path / "root"), part))
    asked = len(server.seen)
    loaders.EMNIST(tmp_path / "root", "letters", download=True)
    assert len(server.seen) == asked


def test_nists_digits_are_fetched_from_xz(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The only files in xz: kept as they are published, unpacked for torchvision."""
    train = upright("qmnist", (28, 28)).splits["train"]
    images, labels = idx(train.images), idx(table(train), 12)
    files = {
        "xnist-images-idx3-ubyte.xz": lzma.compress(images),
        "xnist-labels-idx2-int.xz": lzma.compress(labels),
    }
    row = published(catalog.get("qmnist-nist"), files, {"train": 40}, known="packed")
    with running() as host:
        host.files.update(files)
        row = replace(row, mirrors=(host.base,))
        monkeypatch.setitem(catalog.DATASETS, "qmnist-nist", row)
        found = mnistprep.load("qmnist-nist")
    assert (found.splits["train"].labels == train.labels).all()
    assert (cache / "qmnist-nist" / "xnist-labels-idx2-int.xz").is_file()
    ours = loaders.QMNIST(tmp_path / "root", "nist", compat=False, download=True)
    assert_same(ours, datasets.QMNIST(str(tmp_path / "root"), "nist", compat=False))


def test_unknown_parts_are_named() -> None:
    """The message lists those there are."""
    with pytest.raises(UnknownName, match=r"did you mean 'letters'.*byclass, bymerge"):
        loaders.EMNIST("x", "leters")
    with pytest.raises(UnknownName, match="known: train, test, test10k, test50k, nist"):
        loaders.QMNIST("x", "valid")
