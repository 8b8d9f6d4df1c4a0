"""The embedded dataset: what it promises about its pictures, and that its bits never change."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from mnistprep.dataset import Split
from mnistprep.errors import UsageError
from mnistprep.synth import draw, generate

# SHA-256 of 300 pictures followed by their labels as bytes; a change here is a change of dataset.
GOLDEN = {
    (0, "train", 0): "484ee9d152c4ffbcb3cac7fd192abf1b1c97fb5e85fbbb05562a32630a8d8efb",
    (0, "test", 0): "41dabfb2d046a2e81ebff2e827756bdfd7608f4c5873e33a82996f35c8fa20b2",
    (1, "train", 59_900): "aa2cbb170a5db1c59b950a36d29b62a957a383a8d890bfc1238a741879c0ac87",
    (2**64 - 1, "test", 2**40): "a5bde1caadd5b55aa5b7a6e62e3888fd42481b2e57fb9e96e7fbe3515b42402e",
}


@pytest.fixture(scope="module")
def digits() -> Split:
    """Two thousand training pictures."""
    return Split(*draw(0, "train", 0, 2000))


def fingerprint(seed: int, split: str, start: int) -> str:
    images, labels = draw(seed, split, start, start + 300)
    return hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()


@pytest.mark.parametrize(("seed", "split", "start"), GOLDEN)
def test_the_bits_are_the_published_ones(seed: int, split: str, start: int) -> None:
    """A seed gives the same pictures and labels on every machine and NumPy version."""
    assert fingerprint(seed, split, start) == GOLDEN[seed, split, start]


def test_the_bits_do_not_depend_on_the_processor() -> None:
    """NumPy without the vector instructions that it found draws the same pictures."""
    try:
        found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    except (TypeError, KeyError):
        pytest.skip("this NumPy does not tell its vector instructions, or has none to switch off")
    code = (
        "import hashlib, numpy as np; from mnistprep.synth import draw;"
        "images, labels = draw(0, 'train', 0, 300);"
        "data = images.tobytes() + labels.astype(np.uint8).tobytes();"
        "print(hashlib.sha256(data).hexdigest())"
    )
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": ",".join(found)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == GOLDEN[0, "train", 0]


def test_a_picture_does_not_depend_on_its_chunk(digits: Split) -> None:
    """Any chunking gives the same stream."""
    for start, stop in ((0, 1), (1020, 1030), (1500, 2000), (7, 7)):
        images, labels = draw(0, "train", start, stop)
        assert np.array_equal(images, digits.images[start:stop])
        assert np.array_equal(labels, digits.labels[start:stop])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dataset_is_the_beginning_of_the_streams(workers: int) -> None:
    """generate gives the first pictures of both streams, whatever the number of workers."""
    dataset = generate(2100, 30, seed=5, workers=workers)
    assert dataset.name == "synth"
    assert dataset.classes == tuple("0123456789")
    for name, count in (("train", 2100), ("test", 30)):
        images, labels = draw(5, name, 0, count)
        assert np.array_equal(dataset.splits[name].images, images)
        assert np.array_equal(dataset.splits[name].labels, labels)


def test_splits_and_seeds_differ() -> None:
    """Train, test and other seeds have no picture in common."""
    seen: set[bytes] = set()
    for seed, split in ((0, "train"), (0, "test"), (1, "train"), (1, "test")):
        images, _ = draw(seed, split, 0, 500)
        seen.update(image.tobytes() for image in images)
    assert len(seen) == 2000


def test_labels_are_uniform_and_unordered(digits: Split) -> None:
    """Each digit is about a tenth of the labels, and one does not tell the next."""
    pairs = np.zeros((10, 10), int)
    np.add.at(pairs, (digits.labels[:-1], digits.labels[1:]), 1)
    assert np.all(np.abs(pairs.sum(1) - 200) < 60)
    assert np.all(np.abs(pairs - 20) < 25)


def test_ink_fits_the_box_of_mnist(digits: Split) -> None:
    """The ink of every picture lies within 20x20 pixels and nearly fills them one way."""
    for axis in (1, 2):
        ink = (digits.images > 0).max(axis=axis)
        extent = 28 - ink.argmax(1) - ink[:, ::-1].argmax(1)
        assert extent.max() <= 20
    rows, columns = digits.images.any(axis=2).sum(1), digits.images.any(axis=1).sum(1)
    assert np.maximum(rows, columns).min() >= 14


def test_ink_is_centred_by_mass(digits: Split) -> None:
    """The centre of mass is the centre of the field, to half a pixel."""
    mass = digits.images.astype(float)
    centre = np.arange(28) - 13.5
    for axis in (1, 2):
        off = (mass.sum(axis) * centre).sum(1) / mass.sum((1, 2))
        assert np.abs(off).max() <= 0.5


def test_pictures_look_like_pen_on_paper(digits: Split) -> None:
    """The background is 0, ink reaches far up the scale, and edges are soft."""
    ink = digits.images > 0
    assert 0.08 < ink.mean() < 0.30
    assert np.median(digits.images.max(axis=(1, 2))) > 220
    assert digits.images.max(axis=(1, 2)).min() > 90
    assert 0.2 < ((digits.images > 0) & (digits.images < 128)).sum() / ink.sum() < 0.6


def test_either_split_may_be_empty() -> None:
    """A size of 0 gives an empty split of the same shape."""
    dataset = generate(0, 3)
    assert dataset.splits["train"].images.shape == (0, 28, 28)
    assert len(dataset.splits["test"]) == 3


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_has_64_bits(seed: int) -> None:
    """A seed outside 0..2**64 - 1 is refused, even where there is nothing to draw."""
    with pytest.raises(UsageError, match="seed"):
        generate(0, 0, seed=seed)


def test_sizes_are_not_negative() -> None:
    """A negative size is refused by name."""
    with pytest.raises(UsageError, match="test size"):
        generate(10, -1)
    with pytest.raises(UsageError, match="numbered"):
        draw(0, "train", 5, 4)


def test_only_train_and_test_can_be_drawn() -> None:
    """An unknown split is refused with the ones there are."""
    with pytest.raises(UsageError, match="train, test"):
        draw(0, "valid", 0, 1)


def test_neither_torch_nor_pillow_is_needed() -> None:
    """Drawing loads no library but NumPy."""
    code = (
        "import sys; from mnistprep.synth import draw; draw(0, 'train', 0, 2);"
        "print(sorted({'torch', 'PIL', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
