"""The catalog: complete rows, live https hosts, and look-ups by content."""

import gzip
import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from mnistprep import catalog
from mnistprep._stored import STORED, Stored
from mnistprep.dataset import Digest, Split, digest
from mnistprep.errors import UnknownName

PUBLISHED = [row for row in catalog.DATASETS.values() if row.files]


def real_split(folder: Path, prefix: str, count: int) -> Split:
    """A split of the real digits, read by hand."""
    with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(count, 28, 28)
    with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return Split(images, labels)


def test_rows_stand_under_their_names() -> None:
    """A dataset is found under the name it carries."""
    assert all(catalog.get(name).name == name for name in catalog.DATASETS)


def test_unknown_dataset_lists_the_known_ones() -> None:
    """A misspelt name gets the nearest one and all there are."""
    with pytest.raises(UnknownName, match=r"did you mean 'kmnist'.*fashion-mnist"):
        catalog.get("kmnits")


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_rows_are_complete(row: catalog.Published) -> None:
    """Every published dataset has a pair of files a split, each with a digest that proves it."""
    assert [(file.split, file.role) for file in row.files] == [
        (split, role) for split in row.splits for role in ("images", "labels")
    ]
    for file in row.files:
        begin, end = row.slices.get(file.split, (0, row.splits[file.split]))
        assert end - begin == row.splits[file.split]
        assert file.kept.known
        for content in (file.plain, file.packed):
            assert re.fullmatch("[0-9a-f]{32}", content.md5 or "0" * 32)
            assert re.fullmatch("[0-9a-f]{64}", content.sha256 or "0" * 64)
        if row.form == "idx" and not row.slices:
            each = STORED.get(row.name, Stored()).columns * 4
            start, each = (12, each) if each else (8, 1)
            if file.role == "images":
                start, each = 16, row.shape[0] * row.shape[1]
            assert file.plain.size == start + (end - begin) * each
            assert file.packed.name.rpartition(".")[::2] in [
                (file.plain.name, "gz"),
                (file.plain.name, "xz"),
            ]
        if row.archive:
            assert file.member.endswith(f"/{file.packed.name}")
    for split, counts in row.class_counts.items():
        assert sum(counts) == row.splits[split]
        assert len(counts) == len(row.classes)
    assert row.licence and row.licence_note and row.citation and row.homepage and row.about


def test_what_mnist_has_is_all_known() -> None:
    """Class counts, mean and deviation of the three of which they are published are there."""
    for name in ("mnist", "fashion-mnist", "kmnist"):
        row = catalog.get(name)
        assert set(row.class_counts) == set(row.splits)
        assert row.mean and row.std
        assert all(file.plain.md5 and file.packed.sha256 for file in row.files)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_default_hosts_are_live_ones_over_https(row: catalog.Published) -> None:
    """No default goes to a dead host or over plain http."""
    urls = [*row.mirrors, *(url for whole in row.whole for url in whole.urls)]
    urls += row.archive.urls if row.archive else ()
    assert urls and all(url.startswith("https://") for url in urls)
    assert all(base.endswith("/") for base in row.mirrors)
    hosts = {urlsplit(url).hostname for url in urls}
    assert not hosts & {"yann.lecun.com", "deeplearning.net", "www.itl.nist.gov"}


def test_names_of_classes_are_those_of_the_stored_files() -> None:
    """A row has the class names that reading its files gives."""
    for name, stored in STORED.items():
        assert not stored.classes or catalog.get(name).classes == stored.classes
    sizes = {name: len(row.classes) for name, row in catalog.DATASETS.items()}
    assert {name: size for name, size in sizes.items() if size != 10} == {
        "emnist-byclass": 62,
        "emnist-bymerge": 47,
        "emnist-balanced": 47,
        "emnist-letters": 26,
        "k49": 49,
    }


@pytest.mark.parametrize(
    ("split", "count", "classes", "expected"),
    [
        ("train", 42_000, 10, "digit-recognizer"),
        ("train", 124_800, 26, "emnist-letters"),
        ("test", 116_323, 62, "emnist-byclass"),
        ("test", 116_323, 47, "emnist-bymerge"),
        ("train", 232_365, 49, "k49"),
        ("train", 60_000, 10, None),
        ("train", 124_800, 27, None),
        ("train", 42_001, 10, None),
    ],
)
def test_a_size_may_tell_what_no_digest_can(
    split: str, count: int, classes: int, expected: str | None
) -> None:
    """A size that one dataset alone has names it, where no digest could; others name nothing."""
    found = catalog.resembles(split, count, (28, 28), classes)
    assert (found.name if found else None) == expected
    assert catalog.resembles(split, count, (32, 32), classes) is None


def test_digests_of_a_row_are_those_of_its_files() -> None:
    """The pair that names a split is the SHA-256 sums of its two files."""
    for row in PUBLISHED:
        for split, known in row.digests.items():
            sums = [file.plain.sha256 for file in row.files if file.split == split]
            assert sums == [known.images, known.labels]


@pytest.mark.parametrize(
    ("split", "prefix", "count"), [("train", "train", 60000), ("test", "t10k", 10000)]
)
def test_mnist_facts_hold_for_the_real_digits(
    real_digits: Path, split: str, prefix: str, count: int
) -> None:
    """Digests, class counts, mean and deviation are those of the digits themselves."""
    data = real_split(real_digits, prefix, count)
    row = catalog.get("mnist")
    assert digest([data], 10) == row.digests[split]
    assert tuple(np.bincount(data.labels)) == row.class_counts[split]
    if split == "train":
        mean = data.images.sum(dtype=np.int64) / data.images.size
        square = np.square(data.images, dtype=np.uint16).sum(dtype=np.int64) / data.images.size
        assert mean / 255 == pytest.approx(row.mean, abs=1e-9)
        assert (square - mean**2) ** 0.5 / 255 == pytest.approx(row.std, abs=1e-9)


def test_identify_says_which_split_and_which_order() -> None:
    """The pair means the original order, the order-free digest alone another one."""
    train = catalog.get("mnist").digests["train"]
    assert str(catalog.identify(train)) == "MNIST train, complete, original order"
    shuffled = Digest("0" * 64, "1" * 64, train.unordered)
    assert str(catalog.identify(shuffled)) == (
        "MNIST train, the same 60,000 examples, another order"
    )
    assert catalog.identify(Digest("0" * 64, "1" * 64, "2" * 64)) is None


def test_identify_asks_for_md5_only_when_needed() -> None:
    """Datasets of which only MD5 sums are known are found by them."""
    unknown = Digest("0" * 64, "1" * 64, "2" * 64)
    pair = ("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965")
    assert (
        str(catalog.identify(unknown, lambda: pair))
        == "Fashion-MNIST test, complete, original order"
    )

    def never() -> tuple[str, str]:
        raise AssertionError("asked for MD5")

    assert catalog.identify(catalog.get("mnist").digests["test"], never) is not None


def test_a_file_is_named_by_any_of_its_digests() -> None:
    """Plain, packed, whole and withdrawn files are called what they are."""
    names = {
        "6bbc9ace898e44ae57da46a324031adb": "MNIST's train-images-idx3-ubyte",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609": (
            "MNIST's train-images-idx3-ubyte.gz"
        ),
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1": "MNIST's mnist.npz",
        "949e75301f8813e0dc5800dcc320fc52": "KMNIST's train-labels-idx1-ubyte",
        "42bd18137a62d5998cdeae52bf3a0676ac6b706f5cf8439b47bb5b151ae3dccf": (
            "Fashion-MNIST's t10k-labels-idx1-ubyte.gz of an earlier release, since replaced"
        ),
    }
    assert {sum_: str(catalog.known_file(sum_)) for sum_ in names} == names
    assert catalog.known_file(hashlib.md5(b"").hexdigest()) is None
