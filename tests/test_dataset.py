"""Split, Dataset and the digests."""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from mnistprep import Dataset, Split
from mnistprep import _arrays as arrays
from mnistprep.dataset import default_classes, example_hashes
from mnistprep.errors import DataError, UsageError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([1, 0])


def test_a_split_is_read_only_and_leaves_its_arrays_as_they_were() -> None:
    """A split cannot be written to; the arrays it was made from still can."""
    images = IMAGES.copy()
    split = Split(images, LABELS.astype(np.uint8))
    assert split.labels.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        split.images[0, 0, 0] = 1
    images[0, 0, 0] = 9


def test_the_digest_of_more_hashes_than_are_sorted_at_once_is_the_same() -> None:
    """Hashes sorted by parts give what all of them sorted together give."""
    count = 300_000
    numbers = np.arange(count, dtype=np.uint32)
    images = numbers.astype(">u4").view(np.uint8).reshape(count, 2, 2)
    split = Split(images, numbers % 7)
    hashes = sorted(
        hashlib.sha256(
            struct.pack(">II", 2, 2) + image.tobytes() + struct.pack(">I", k % 7)
        ).digest()
        for k, image in enumerate(images)
    )
    whole = Dataset("many", {"train": split}, tuple("abcdefg")).digests()["train"]
    assert whole.unordered == hashlib.sha256(b"".join(hashes)).hexdigest()
    assert split.labels.dtype == np.int64 and np.array_equal(split.labels, numbers % 7)


def test_a_split_copies_only_what_is_not_contiguous() -> None:
    """Contiguous pictures are shared, transposed ones are laid out anew."""
    assert np.shares_memory(Split(IMAGES, LABELS).images, IMAGES)
    turned = Split(IMAGES.swapaxes(1, 2), LABELS)
    assert turned.images.flags.c_contiguous
    assert np.array_equal(turned.images, IMAGES.swapaxes(1, 2))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.astype(float), LABELS, "uint8"),
        (IMAGES[0], LABELS, r"\(N, H, W\)"),
        (IMAGES[:, :0], LABELS, "height"),
        (IMAGES, LABELS[:1], "2 pictures need as many labels"),
        (IMAGES, -LABELS, "0 or more"),
        (IMAGES, LABELS.astype(float), "integer"),
        (IMAGES, LABELS + 2**31, "below"),
        ([[1]], LABELS, "list"),
    ],
)
def test_a_split_refuses_other_arrays(images: object, labels: object, message: str) -> None:
    """Wrong types, shapes and labels raise DataError, which says what was expected."""
    with pytest.raises(DataError, match=message):
        Split(images, labels)  # type: ignore[arg-type]


def test_a_dataset_refuses_parts_that_do_not_fit() -> None:
    """Unknown split names, labels beyond the classes and mixed shapes raise DataError."""
    split = Split(IMAGES, LABELS)
    with pytest.raises(DataError, match="label 1 of train"):
        Dataset("x", {"train": split}, ("a",))
    with pytest.raises(DataError, match="named"):
        Dataset("x", {"t10k": split}, ("a", "b"))
    with pytest.raises(DataError, match="same name"):
        Dataset("x", {"train": split}, ("a", "a"))
    with pytest.raises(DataError, match="one shape"):
        Dataset("x", {"train": split, "test": Split(IMAGES.swapaxes(1, 2), LABELS)}, ("a", "b"))


@pytest.mark.parametrize(
    ("name", "splits", "classes", "message"),
    [
        (None, {"train": Split(IMAGES, LABELS)}, ("a", "b"), "text, not NoneType"),
        (b"q", {"train": Split(IMAGES, LABELS)}, ("a", "b"), "text, not bytes"),
        ("d", {"train": IMAGES}, ("a", "b"), "train must be a Split, not uint8"),
        ("d", [Split(IMAGES, LABELS)], ("a", "b"), "mapping, not list"),
        ("d", {"train": Split(IMAGES, LABELS)}, None, "classes are names"),
    ],
)
def test_a_dataset_refuses_other_things(
    name: object, splits: object, classes: object, message: str
) -> None:
    """A name that is no text and splits that are none raise DataError, before any writer."""
    with pytest.raises(DataError, match=message):
        Dataset(name, splits, classes)  # type: ignore[arg-type]


def test_a_split_that_is_not_there_is_no_whole() -> None:
    """Asking for test of a dataset without it says what there is."""
    with pytest.raises(DataError, match="d has no test split, only train"):
        Dataset("d", {"train": Split(IMAGES, LABELS)}, ("a", "b")).whole("test")


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_walk_in_steps_of_nothing_is_refused(size: object) -> None:
    """A step below one would lose every example in silence."""
    with pytest.raises(UsageError, match="size must be"):
        list(Split(IMAGES, LABELS).chunks(size))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([True, False], "flatnonzero"),
        ([0.0], "integer array"),
        ([[0]], "integer array"),
        ([2], "index 2 is outside a split of 2"),
        ([0, -3], "index -3 is outside"),
    ],
)
def test_examples_are_taken_by_number(indices: list[object], message: str) -> None:
    """Masks, fractions and numbers beyond the ends raise DataError; negative ones count back."""
    split = Split(IMAGES, LABELS)
    with pytest.raises(DataError, match=message):
        split.take(np.array(indices))
    assert split.take(np.array([-1, 0, 0])).labels.tolist() == LABELS[[-1, 0, 0]].tolist()
    assert len(split.take(np.array([]))) == 0


def test_digests_are_those_of_the_idx_files() -> None:
    """The ordered digests are SHA-256 of the IDX bytes, written here by hand."""
    digest = Dataset("x", {"test": Split(IMAGES, LABELS)}, ("a", "b")).digests()["test"]
    images = bytes.fromhex("00000803 00000002 00000003 00000004") + IMAGES.tobytes()
    assert digest.images == hashlib.sha256(images).hexdigest()
    assert digest.labels == hashlib.sha256(bytes.fromhex("0000080100000002 0100")).hexdigest()


def test_digests_of_colour_and_of_many_classes() -> None:
    """Colour is a fourth dimension; beyond 256 classes labels are big-endian int32."""
    colour = np.zeros((1, 2, 3, 3), np.uint8)
    classes = tuple(map(str, range(257)))
    digest = Dataset("x", {"test": Split(colour, np.array([256]))}, classes).digests()["test"]
    header = bytes.fromhex("00000804 00000001 00000002 00000003 00000003")
    assert digest.images == hashlib.sha256(header + colour.tobytes()).hexdigest()
    labels = bytes.fromhex("00000c01 00000001 00000100")
    assert digest.labels == hashlib.sha256(labels).hexdigest()


def test_the_order_free_digest_ignores_order_and_nothing_else() -> None:
    """Shuffled examples keep it, any other change gives another; it is as documented."""
    split = Split(IMAGES, LABELS)

    def unordered(part: Split) -> str:
        return Dataset("x", {"test": part}, ("a", "b")).digests()["test"].unordered

    examples = [
        hashlib.sha256(
            struct.pack(">2I", 3, 4) + image.tobytes() + struct.pack(">I", label)
        ).digest()
        for image, label in zip(IMAGES, LABELS.tolist(), strict=True)
    ]
    expected = hashlib.sha256(b"".join(sorted(examples))).hexdigest()
    assert unordered(split) == expected
    assert unordered(split.take(np.array([1, 0]))) == expected
    assert unordered(Split(IMAGES, LABELS[::-1])) != expected
    assert unordered(Split(IMAGES.reshape(2, 4, 3), LABELS)) != expected
    assert bytes(example_hashes(split)[0]) == examples[0]


def test_the_training_digest_does_not_depend_on_where_valid_begins(odd: Dataset) -> None:
    """Train followed by valid has the digest of both as one."""
    train = odd.splits["train"]
    parts = {
        "train": Split(train.images[:30], train.labels[:30]),
        "valid": Split(train.images[30:], train.labels[30:]),
    }
    cut = Dataset("cut", parts, odd.classes)
    assert cut.digests()["train"] == odd.digests()["train"]
    assert np.array_equal(cut.joined().splits["train"].images, train.images)


def test_large_arrays_spill_to_a_file_and_keep_their_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pictures beyond the limit live in a temporary file, and walking them loses nothing."""
    monkeypatch.setattr(arrays, "SPILL", 1000)
    images = arrays.empty_images((3000, 4, 4))
    images[:] = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    before = images.copy()
    split = Split(images, np.zeros(3000, np.int64))
    for _ in range(2):
        walked = np.concatenate([part.copy() for part, _ in split.chunks(100)])
        assert np.array_equal(walked, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is mapped")
def test_walking_a_large_set_leaves_nothing_mapped() -> None:
    """Whatever the kernel maps around the pages of a step, no more than its last ones stay."""
    split = Split(arrays.empty_images((400_000, 28, 28)), np.zeros(400_000, np.int64))
    before = mapped_from_files()
    for images, _ in split.chunks(1024):
        images.max()
    assert mapped_from_files() - before < 2 << 20


def mapped_from_files() -> int:
    """Bytes of files that this process has in memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("RssFile:"))


def test_walking_keeps_a_private_map_of_the_caller(tmp_path: object) -> None:
    """Changes in a caller's copy-on-write map are not lost by giving pages back."""
    path = f"{tmp_path}/images"
    np.zeros(8192 * 4, np.uint8).tofile(path)
    images = np.memmap(path, np.uint8, mode="c").reshape(-1, 2, 2)
    images[:] = 7
    split = Split(images, np.zeros(len(images), np.int64))
    for _ in range(2):
        assert all((part == 7).all() for part, _ in split.chunks(1000))


def test_default_classes_reach_to_the_largest_label() -> None:
    """Forms without names call the classes by their numbers."""
    assert default_classes([np.array([0, 2]), np.array([1])]) == ("0", "1", "2")
    assert default_classes([np.empty(0, np.int64)]) == ()


def test_one_channel_is_grey() -> None:
    """Pictures as Keras has them, (N, H, W, 1), are the same pictures as (N, H, W)."""
    assert np.array_equal(Split(IMAGES[..., np.newaxis], LABELS).images, IMAGES)
