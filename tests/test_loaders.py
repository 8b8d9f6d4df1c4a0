"""What other projects import: torchvision's MNIST, the tensor loader, Keras's load_data."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import mnistprep
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import DataError, DetectionError, MissingPath, UnsupportedError, UsageError
from mnistprep.loaders import KMNIST, MNIST, FashionMNIST, TensorLoader, load_data


def some(shape: tuple[int, ...], count: int, classes: int = 10) -> Split:
    """Random pictures with the labels 0, 1, ... in turn."""
    images = np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Split(images, np.arange(count) % classes)


@pytest.fixture
def dataset() -> Dataset:
    """Thirty, ten and twenty grey pictures of ten classes."""
    sizes = {"train": 30, "valid": 10, "test": 20}
    splits = {name: some((28, 28), count) for name, count in sizes.items()}
    return Dataset("mnist", splits, tuple("0123456789"))


@pytest.fixture
def root(dataset: Dataset, tmp_path: Path) -> Path:
    """A folder in torchvision's layout."""
    return mnistprep.write(dataset, tmp_path / "root", "idx")


@pytest.fixture
def theirs() -> Callable[..., Any]:
    """torchvision's own class."""
    return pytest.importorskip("torchvision.datasets").MNIST


@pytest.mark.parametrize("train", [True, False])
def test_mnist_gives_what_torchvision_gives(
    root: Path, train: bool, theirs: Callable[..., Any]
) -> None:
    """Data, labels, class names, items and paths equal those of torchvision on the same files."""
    ours, other = MNIST(root, train), theirs(root, train)

    assert len(ours) == len(other)
    assert ours.data.dtype == other.data.dtype == torch.uint8
    assert ours.targets.dtype == other.targets.dtype
    assert torch.equal(ours.data, other.data)
    assert torch.equal(ours.targets, other.targets)
    assert ours.classes == other.classes == MNIST.classes
    assert ours.class_to_idx == other.class_to_idx
    assert ours.raw_folder == other.raw_folder
    for index in (0, 7, -1):
        (picture, label), (expected, number) = ours[index], other[index]
        assert picture.mode == expected.mode == "L"
        assert picture.tobytes() == expected.tobytes()
        assert type(label) is type(number)
        assert label == number
    assert repr(ours).splitlines() == repr(other).splitlines()


def test_mnist_items_pass_through_the_transforms(root: Path) -> None:
    """A picture goes to transform as a PIL image of mode L, a label to target_transform as int."""
    seen: list[object] = []

    def note(value: object) -> object:
        seen.append(value)
        return "changed"

    assert MNIST(root, transform=note, target_transform=note)[3] == ("changed", "changed")
    picture, label = seen
    assert isinstance(picture, Image.Image)
    assert picture.mode == "L"
    assert type(label) is int


def test_mnist_joins_train_and_valid(dataset: Dataset, root: Path) -> None:
    """The training set is train followed by valid; the test set is test."""
    ours = MNIST(root, train=True)

    together = np.concatenate([dataset.splits[name].images for name in ("train", "valid")])
    assert np.array_equal(ours.data.numpy(), together)
    assert len(MNIST(root, train=False)) == 20


@pytest.mark.parametrize("format", ["npz", "pt", "csv"])
def test_mnist_reads_any_form_at_root(dataset: Dataset, tmp_path: Path, format: str) -> None:
    """A root that holds the dataset in another form gives the same pictures and labels."""
    path = mnistprep.write(dataset, tmp_path / "other", format)

    ours = MNIST(path, train=False)

    assert np.array_equal(ours.data.numpy(), dataset.splits["test"].images)
    assert np.array_equal(ours.targets.numpy(), dataset.splits["test"].labels)


def test_mnist_prefers_torchvisions_folder(root: Path) -> None:
    """Other files beside MNIST/raw do not confuse it."""
    (root / "mnist_train.csv").write_text("label,1x1\n3,4\n")

    assert len(MNIST(root)) == 40


def test_mnist_works_in_a_data_loader_with_workers(root: Path) -> None:
    """Worker processes deliver every example once, and the set survives pickling."""
    ours = MNIST(root, transform=_to_tensor)

    batches = list(DataLoader(ours, batch_size=8, num_workers=2))

    assert torch.equal(torch.cat([pictures for pictures, _ in batches]), ours.data)
    assert torch.equal(torch.cat([labels for _, labels in batches]), ours.targets)
    assert torch.equal(pickle.loads(pickle.dumps(ours)).data, ours.data)


def test_mnist_indices_are_single_integers(root: Path) -> None:
    """Integers of any kind count from either end; slices and places beyond the ends are refused."""
    ours = MNIST(root)

    assert ours[np.int64(2)][1] == ours[torch.tensor(2)][1] == 2
    assert ours[-40][1] == ours[0][1]
    assert len(list(ours)) == 40
    with pytest.raises(IndexError):
        ours[40]
    with pytest.raises(TypeError):
        ours[1:3]  # type: ignore[index]


def test_mnist_gives_other_datasets_their_own_classes(tmp_path: Path) -> None:
    """Colour comes as RGB pictures, and class names are those of the dataset."""
    names = ("ant", "bee", "cow")
    splits = {"train": some((6, 4, 3), 9, 3)}
    path = mnistprep.write(Dataset("zoo", splits, names), tmp_path / "zoo.pt", "pt")

    ours = MNIST(path)

    assert ours.class_to_idx == {"ant": 0, "bee": 1, "cow": 2}
    assert ours[0][0].mode == "RGB"
    assert ours[0][0].size == (4, 6)
    assert ours.data.shape == (9, 6, 4, 3)
    with pytest.raises(DataError, match="no test split, only train"):
        MNIST(path, train=False)


def test_mnist_refuses_pictures_that_pillow_cannot_hold(tmp_path: Path) -> None:
    """Five channels are no picture; the message names the loader that takes them."""
    splits = {"train": some((6, 4, 5), 9)}
    path = mnistprep.write(Dataset("deep", splits, tuple("0123456789")), tmp_path / "a.pt", "pt")

    with pytest.raises(UnsupportedError, match="TensorLoader"):
        MNIST(path)


def test_tensor_loader_takes_numbers_of_numpy() -> None:
    """A size from an array makes the batches that Python's own int makes."""
    split = some((5, 3), 20)
    sizes = [
        len(labels)
        for _, labels in TensorLoader(
            split, np.int64(8), seed=np.uint8(1), mean=np.float32(0.5), std=torch.tensor(0.25)
        )
    ]
    assert sizes == [8, 8, 4]
    assert [len(labels) for _, labels in TensorLoader(split, (1 << 31) - 1)] == [20]
    with pytest.raises(UsageError, match="takes a Split, not Dataset"):
        TensorLoader(Dataset("d", {"train": split}, tuple("0123456789")))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, KMNIST])
def test_a_root_too_long_for_the_system_is_not_there(kind: type[MNIST]) -> None:
    """A name that no file system takes is a missing path as any other."""
    with pytest.raises(MissingPath, match="not found"):
        kind("x" * 5000)


def test_mnist_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    """A missing folder and an empty one are both answered with what to give instead."""
    with pytest.raises(MissingPath, match=r"not found .*nowhere.*download=True"):
        MNIST(tmp_path / "nowhere")
    with pytest.raises(DetectionError, match=r"not found .*download=True"):
        MNIST(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["", "MNIST/raw"])
def test_mnist_downloads_into_torchvisions_layout(
    real_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """With download=True an empty root gets the four files, and the next time needs no download."""
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MNISTPREP_MIRROR", str(real_digits))
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    root = tmp_path / "root"
    (root / folder).mkdir(parents=True)

    ours = MNIST(root, download=True)

    assert (len(ours), int(ours.targets[0])) == (60000, 5)
    assert (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").stat().st_size == 10008
    assert len(MNIST(root, train=False)) == 10000


def test_tensor_loader_gives_every_example_once_as_to_tensor_would() -> None:
    """Pictures are float32 pixel / 255 of shape (B, 1, H, W), each with its own int64 label."""
    split = some((28, 28), 1000)
    loader = TensorLoader(split, batch_size=64)

    batches = list(loader)

    assert len(loader) == len(batches) == 16
    assert [len(labels) for _, labels in batches] == [64] * 15 + [40]
    assert {images.dtype for images, _ in batches} == {torch.float32}
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    assert labels.dtype == torch.int64
    expected = torch.tensor(split.images).unsqueeze(1) / 255
    key = {picture.numpy().tobytes(): label for picture, label in zip(images, labels, strict=True)}
    assert len(key) == 1000
    for picture, label in zip(expected, split.labels, strict=True):
        assert key[picture.numpy().tobytes()] == label


def test_tensor_loader_has_938_batches_of_mnists_size() -> None:
    """Sixty thousand examples at 64 are 937 full batches and one of 32."""
    loader = TensorLoader(some((1, 1), 60000))

    assert len(loader) == sum(1 for _ in loader) == 938
    assert len(TensorLoader(some((1, 1), 60000), drop_last=True)) == 937


def test_tensor_loader_without_shuffle_keeps_the_order() -> None:
    """Unshuffled batches are the split in its order; drop_last leaves out the rest."""
    split = some((5, 3), 70)

    images, labels = zip(*TensorLoader(split, 32, shuffle=False), strict=True)
    full = list(TensorLoader(split, 32, shuffle=False, drop_last=True))

    assert np.array_equal((torch.cat(images) * 255).round().squeeze(1).numpy(), split.images)
    assert np.array_equal(torch.cat(labels).numpy(), split.labels)
    assert [len(part) for _, part in full] == [32, 32]


def test_tensor_loader_repeats_its_orders_from_a_seed() -> None:
    """Each epoch has a new order; the same seed or generator state gives the same sequence."""
    split = Split(np.zeros((100, 1, 1), np.uint8), np.arange(100))

    def orders(seed: int | torch.Generator | None) -> list[list[int]]:
        loader = TensorLoader(split, 7, seed=seed)
        return [[int(label) for _, labels in loader for label in labels] for _ in range(2)]

    first, second = orders(5)
    assert first != second
    assert [first, second] == orders(5) == orders(torch.Generator().manual_seed(5))
    assert orders(6) != [first, second]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unseeded = orders(None)
        torch.manual_seed(1)
        assert orders(None) == unseeded


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("mean", "std"), [(0, 1), (0.1307, 0.3081), (0, 0.3), (-1, -2), (0, 1e-37)]
)
def test_every_byte_is_scaled_as_pytorch_scales_it(mean: float, std: float, shuffle: bool) -> None:
    """Bit for bit, whatever the block that a batch is scaled in; without a warning."""
    pixels = np.arange(256, dtype=np.uint8).reshape(256, 1, 1).repeat(3, axis=1)
    loader = TensorLoader(Split(pixels, np.arange(256)), 7, shuffle, mean=mean, std=std)
    expected = torch.arange(256).float().sub_(255 * mean).div_(255 * std)
    for images, labels in loader:
        for row in range(3):
            assert torch.equal(images[:, 0, row, 0], expected[labels])


def test_tensor_loader_puts_channels_first_and_scales() -> None:
    """Colour comes as (B, 3, H, W), and mean and std are applied to pixels as 0..1."""
    split = some((6, 4, 3), 10)

    ((images, _),) = TensorLoader(split, 10, shuffle=False, mean=0.25, std=0.5)

    expected = (split.images.transpose(0, 3, 1, 2) / 255 - 0.25) / 0.5
    assert images.shape == (10, 3, 6, 4)
    assert np.allclose(images.numpy(), expected, atol=1e-6)


def test_tensor_loader_hands_out_tensors_of_the_callers_own() -> None:
    """Changing a batch in place changes neither the split nor the next epoch."""
    split = some((5, 3), 20)
    loader = TensorLoader(split, 8, shuffle=False)
    before = [(images.clone(), labels.clone()) for images, labels in loader]

    for images, labels in loader:
        images.zero_()
        labels.zero_()

    for (images, labels), (expected, numbers) in zip(loader, before, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, numbers)


def test_tensor_loader_has_what_training_loops_ask_for() -> None:
    """The split, the batch size and the device are attributes; an empty split has no batches."""
    split = some((5, 3), 20)
    loader = TensorLoader(split, 8)

    assert loader.dataset is split
    assert len(loader.dataset) == 20
    assert loader.batch_size == 8
    assert loader.device == torch.device("cpu")
    assert list(TensorLoader(some((5, 3), 0))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"batch_size": size} for size in (0, 2.0, True, 10**30, "8", None)),
        *({"std": std} for std in (0.0, math.nan, math.inf, 1e-45, 1e-300, 1e300, "x", (0.3, 0.3))),
        *({"mean": mean} for mean in (math.nan, math.inf, 10**30, 10**400, 1e300, None)),
        *({"seed": seed} for seed in (-1, 1.5, True, 1 << 64, "x")),
        {"device": "tpu"},
    ],
)
def test_tensor_loader_refuses_what_cannot_work(wrong: dict[str, Any]) -> None:
    """Sizes, seeds and scalings that make no batches, and a missing device, are usage errors."""
    with pytest.raises(UsageError):
        TensorLoader(some((5, 3), 20), **wrong)


def test_load_data_gives_writable_arrays_as_keras_does() -> None:
    """Pictures and labels are uint8 arrays that the caller may change."""
    (x_train, y_train), (x_test, y_test) = load_data("synth:120,30")

    assert (x_train.shape, y_train.shape) == ((120, 28, 28), (120,))
    assert (x_test.shape, y_test.shape) == ((30, 28, 28), (30,))
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
        assert array.flags.writeable
        array[:] = 0


def _to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.tensor(np.asarray(picture))
