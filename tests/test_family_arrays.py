"""Kuzushiji-49, MedMNIST and others in NumPy's files, published or saved by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_family import same, upright

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, UsageError


def test_k49_is_four_archives_of_one_array(tmp_path: Path) -> None:
    """k49-train-imgs.npz and its like hold arr_0; together they are a dataset, named and all."""
    dataset = upright("k49")
    for split, examples in dataset.splits.items():
        np.savez_compressed(tmp_path / f"k49-{split}-imgs.npz", examples.images)
        np.savez_compressed(tmp_path / f"k49-{split}-labels.npz", examples.labels.astype("u1"))
    (tmp_path / "k49_classmap.csv").write_text("index,codepoint,char\n0,U+3042,\u3042\n")
    assert formats.detect(tmp_path) == ("npz", tmp_path)
    found = mnistprep.read(tmp_path)
    same(found, dataset)
    assert found.name == "k49"
    same(mnistprep.read(tmp_path / "k49-test-labels.npz"), dataset, ("test",))
    places = formats.get("npz").places(tmp_path, "test", [3])
    assert places == [
        f"{tmp_path / 'k49-test-imgs.npz'} and {tmp_path / 'k49-test-labels.npz'}, row 3 of test"
    ]


FILES = {
    "x_{}.npy y_{}.npy": {"train": "train", "test": "test"},
    "{}_images.npy {}_labels.npy": {"train": "train", "test": "test"},
    "{}X.npy {}Y.npy": {"train": "train", "test": "test"},
    "{}-imgs.npz {}-labels.npz": {"train": "training", "test": "t10k"},
    "kmnist-{}-imgs.npz kmnist-{}-labels.npz": {"train": "train", "test": "test"},
    "digits_images_{}.npy digits_labels_{}.npy": {"train": "train", "valid": "val"},
    "imgs.npy labels.npy": {"train": ""},
    "X.npy y.npy": {"train": ""},
}


@pytest.mark.parametrize("pattern", FILES)
def test_an_array_in_each_file(tmp_path: Path, pattern: str) -> None:
    """Names say split and role, in either order; one file of a pair stands for its split."""
    dataset = upright("kmnist")
    splits = {}
    for at, (split, word) in enumerate(FILES[pattern].items()):
        splits[split] = list(dataset.splits.values())[at]
        names = [name.format(word) for name in pattern.split()]
        for name, array in zip(names, (splits[split].images, splits[split].labels), strict=True):
            if name.endswith(".npy"):
                np.save(tmp_path / name, array)
            else:
                np.savez(tmp_path / name, array)
    classes = dataset.classes if "kmnist" in pattern else tuple("0123456789")
    expected = Dataset("x", splits, classes)
    same(mnistprep.read(tmp_path), expected, tuple(splits))
    same(mnistprep.read(tmp_path / names[0]), Dataset("x", splits, classes), (split,))


def test_a_split_in_each_file(tmp_path: Path) -> None:
    """train.npz and test.npz, with x and y in each, or two arrays without names."""
    dataset = upright("qmnist")
    train, test = dataset.splits["train"], dataset.splits["test"]
    np.savez(tmp_path / "train.npz", x=train.images, y=train.labels)
    np.savez(tmp_path / "test.npz", test.images, test.labels)
    same(mnistprep.read(tmp_path), dataset)
    same(mnistprep.read(tmp_path / "test.npz"), dataset, ("test",))


@pytest.mark.parametrize(
    "names",
    ["X y", "images labels", "data target", "imgs labels", "features targets", "arr_0 arr_1"],
)
def test_two_arrays_of_any_usual_name_are_a_training_split(tmp_path: Path, names: str) -> None:
    """What names no split is train."""
    train = upright("qmnist").splits["train"]
    x, y = names.split()
    np.savez(tmp_path / "some.npz", **{x: train.images, y: train.labels})
    expected = Dataset("x", {"train": train}, tuple("0123456789"))
    same(mnistprep.read(tmp_path / "some.npz"), expected, ("train",))


LABELS = {
    "column": lambda labels: labels[:, None],
    "one-hot": lambda labels: np.eye(10)[labels],
    "bool one-hot": lambda labels: np.eye(10, dtype=bool)[labels],
    "whole floats": lambda labels: labels.astype(np.float32),
    "digits as text": lambda labels: labels.astype(str),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_in_any_exact_form(tmp_path: Path, kind: str) -> None:
    """A column, one-hot rows, whole floats and digits mean the same labels."""
    dataset = upright("qmnist", (6, 6))
    arrays = {}
    for split, examples in dataset.splits.items():
        arrays[f"X_{split}"] = examples.images.reshape(len(examples), 36)
        arrays[f"y_{split}"] = LABELS[kind](examples.labels)
    np.savez(tmp_path / "x.npz", **arrays)
    same(mnistprep.read(tmp_path / "x.npz"), dataset)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_medmnist_is_read_and_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """train_images, val_images, ...: labels in a column, three splits, grey or colour."""
    chance = np.random.default_rng(5)
    arrays = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = chance.integers(0, 256, (12, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(12)[:, None] % 8).astype(np.uint8)
    np.savez_compressed(tmp_path / "bloodmnist.npz", **arrays)
    found = mnistprep.read(tmp_path / "bloodmnist.npz")
    assert tuple(found.splits) == ("train", "valid", "test")
    assert found.shape == shape
    for split, examples in found.splits.items():
        word = "val" if split == "valid" else split
        assert np.array_equal(examples.images, arrays[f"{word}_images"])
        assert np.array_equal(examples.labels, arrays[f"{word}_labels"][:, 0])
    path = mnistprep.write(found, tmp_path / "again.npz", names="medmnist")
    with np.load(path, allow_pickle=False) as written:
        assert sorted(written) == sorted(arrays)
        assert all(
            np.array_equal(written[name], array) and written[name].dtype == array.dtype
            for name, array in arrays.items()
        )
    assert mnistprep.read(path).digests() == found.digests()
    assert "valid" in mnistprep.read(path).splits
    assert "val_images[3], val_labels[3]" in formats.get("npz").places(path, "valid", [3])[0]


@pytest.mark.parametrize("labels", [np.zeros((9, 14)), np.ones((9, 2)), np.eye(9)[:, :5] * 2])
def test_several_labels_an_example_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    """Multi-label sets such as ChestMNIST have no one class an example."""
    images = np.zeros((9, 4, 4), np.uint8)
    np.savez(tmp_path / "x.npz", train_images=images, train_labels=labels.astype(np.uint8))
    with pytest.raises(FormatError, match="labels an example, which are not one-hot"):
        mnistprep.read(tmp_path / "x.npz")


def test_scaled_floats_are_written_and_come_back(tmp_path: Path) -> None:
    """dtype=float32 is byte / 255, as Keras's examples make it, for each of the 256 values."""
    images = np.arange(512, dtype=np.uint8).reshape(2, 16, 16)
    dataset = Dataset("x", {"train": Split(images, np.array([0, 1]))}, ("0", "1"))
    path = mnistprep.write(dataset, tmp_path / "x.npz", dtype="float32")
    with np.load(path) as arrays:
        assert arrays["x_train"].dtype == np.float32
        assert np.array_equal(arrays["x_train"], images.astype("float32") / 255)
    assert mnistprep.read(path).digests() == dataset.digests()
    for wrong in ({"dtype": "float64"}, {"names": "fuel"}):
        with pytest.raises(UsageError, match=r"expected (dtype|names)="):
            mnistprep.write(dataset, tmp_path / "y.npz", **wrong)
    assert not (tmp_path / "y.npz").exists()


def test_npy_files_are_mapped(tmp_path: Path) -> None:
    """Pictures in a .npy file take no memory before they are used."""
    import tracemalloc

    np.save(tmp_path / "x_train.npy", np.zeros((30_000, 28, 28), np.uint8))
    np.save(tmp_path / "y_train.npy", np.zeros(30_000, np.uint8))
    tracemalloc.start()
    try:
        found = mnistprep.read(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert found.splits["train"].images.shape == (30_000, 28, 28)


def test_column_order_is_undone(tmp_path: Path) -> None:
    """Fortran order on the disk is not order of the pictures."""
    train = upright("qmnist").splits["train"]
    np.save(tmp_path / "x_train.npy", np.asfortranarray(train.images))
    np.save(tmp_path / "y_train.npy", train.labels)
    assert np.array_equal(mnistprep.read(tmp_path).splits["train"].images, train.images)


def test_arrays_that_are_no_dataset_are_named(tmp_path: Path) -> None:
    """A file alone, two sets in one folder, a name that says nothing, two files of one role."""
    train = upright("qmnist").splits["train"]
    np.save(tmp_path / "x_train.npy", train.images)
    with pytest.raises(FormatError, match=r"label file that belongs to x_train.npy is missing"):
        mnistprep.read(tmp_path / "x_train.npy")
    np.save(tmp_path / "y_train.npy", train.labels)
    np.save(tmp_path / "x_test.npy", train.images)
    with pytest.raises(FormatError, match=r"label file that belongs to x_test.npy is missing"):
        mnistprep.read(tmp_path)
    np.save(tmp_path / "X-train.npy", train.images)
    (tmp_path / "x_test.npy").unlink()
    with pytest.raises(FormatError, match="are both the images of train"):
        mnistprep.read(tmp_path)
    (tmp_path / "X-train.npy").unlink()
    for name in ("k49-train-imgs", "k49-train-labels"):
        np.savez(tmp_path / f"{name}.npz", train.images if "imgs" in name else train.labels)
    with pytest.raises(FormatError, match=r"several datasets, those of k49-train-imgs.npz, x_tr"):
        mnistprep.read(tmp_path)
    np.save(tmp_path / "what.npy", train.images)
    with pytest.raises(FormatError, match="its name does not say what it holds"):
        mnistprep.read(tmp_path / "what.npy")
    np.savez(tmp_path / "twice.npz", x_train=train.images, train_x=train.images)
    with pytest.raises(FormatError, match="are both the images of train; keep one"):
        mnistprep.read(tmp_path / "twice.npz")


def test_other_npy_files_do_not_make_a_dataset_of_a_folder(tmp_path: Path) -> None:
    """One whole archive in a folder is that archive, whatever arrays lie beside it."""
    dataset = upright("qmnist")
    mnistprep.write(dataset, tmp_path / "mnist.npz")
    (tmp_path / "notes.txt").write_text("hello")
    assert mnistprep.read(tmp_path).digests() == dataset.digests()
    np.save(tmp_path / "embedding.npy", np.zeros((3, 2)))
    with pytest.raises(DetectionError, match="several datasets"):
        mnistprep.read(tmp_path)


def test_damaged_arrays_are_named_or_right(tmp_path: Path) -> None:
    """Cut anywhere or with any byte changed, a .npy file is refused or read as what it is."""
    train = upright("qmnist", (3, 3)).splits["train"]
    np.save(tmp_path / "x_train.npy", train.images)
    np.save(tmp_path / "y_train.npy", train.labels)
    path = tmp_path / "x_train.npy"
    whole = path.read_bytes()
    for size in (0, 5, 6, 7, 8, 9, 10, 60, 127, 128, 129, len(whole) - 1, len(whole) + 3):
        path.write_bytes((whole + bytes(3))[:size])
        with pytest.raises(FormatError):
            mnistprep.read(tmp_path, "npz")
    for at in range(0, 140):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
        try:
            found = mnistprep.read(tmp_path, "npz")
        except FormatError:
            continue
        assert len(found.splits["train"]) == len(train)


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    """An array of objects is a pickle, which could run anything."""
    np.save(tmp_path / "x_train.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "y_train.npy", np.zeros(1, int))
    with pytest.raises(FormatError, match="holds pickled objects"):
        mnistprep.read(tmp_path)
