"""Other readers open what mnistprep writes, and mnistprep opens what other tools wrote."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnistprep
from mnistprep import Dataset, Split, formats

GOLDEN = Path(__file__).with_name("golden")
COUNTS = {"train": 6, "valid": 2, "test": 3}
PIXELS = {"train": 12_080, "valid": 4_112, "test": 5_912}  # sums, of the rule in make.py
LABELS = {"train": 25, "valid": 11, "test": 9}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """300 + 60 drawn digits; every class is in both splits."""
    return mnistprep.load("synth:300,60")


def same(split: Split, images: object, labels: object) -> None:
    """What a reader gave is the split, in order."""
    assert np.array_equal(np.asarray(images).reshape(split.images.shape), split.images)
    assert np.array_equal(np.asarray(labels), split.labels)


# What mnistprep wrote


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_torchvision_reads_idx(tmp_path: Path, digits: Dataset, name: str) -> None:
    """torchvision's class of the dataset's name finds the files, without a download."""
    from torchvision import datasets

    kind = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}[name]
    mnistprep.write(Dataset(name, digits.splits, digits.classes), tmp_path / "out", "idx")
    for part, train in (("train", True), ("test", False)):
        found = getattr(datasets, kind)(str(tmp_path / "out"), train=train, download=False)
        same(digits.splits[part], found.data, found.targets)
        picture, label = found[7]
        assert (picture.mode, label) == ("L", digits.splits[part].labels[7])


def test_idx2numpy_and_python_mnist_read_idx(tmp_path: Path, digits: Dataset) -> None:
    """Two more readers of IDX open the flat files, and one of them the compressed ones."""
    import idx2numpy
    from mnist import MNIST

    flat = mnistprep.write(digits, tmp_path / "flat", "idx", layout="flat")
    packed = mnistprep.write(digits, tmp_path / "packed", "idx-gz")
    for prefix, part in (("train", "train"), ("t10k", "test")):
        same(
            digits.splits[part],
            idx2numpy.convert_from_file(str(flat / f"{prefix}-images-idx3-ubyte")),
            idx2numpy.convert_from_file(str(flat / f"{prefix}-labels-idx1-ubyte")),
        )
    for folder, compressed in ((flat, False), (packed, True)):
        reader = MNIST(str(folder), gz=compressed, return_type="numpy")
        same(digits.splits["train"], *reader.load_training())
        same(digits.splits["test"], *reader.load_testing())


def test_zalandos_way_reads_idx_gz(tmp_path: Path, digits: Dataset) -> None:
    """gzip, an offset of 16 or 8 bytes and a reshape, as Fashion-MNIST's mnist_reader and Keras."""
    folder = mnistprep.write(digits, tmp_path / "out", "idx-gz")
    for prefix, part in (("train", "train"), ("t10k", "test")):
        with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz", "rb") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz", "rb") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(len(labels), 784)
        same(digits.splits[part], images, labels)


def test_the_gzip_program_reads_idx_gz(tmp_path: Path, digits: Dataset) -> None:
    """gzip itself finds length and checksum right."""
    folder = mnistprep.write(digits, tmp_path / "out", "idx-gz")
    for file in folder.glob("*.gz"):
        subprocess.run(["gzip", "--test", str(file)], check=True)


def test_pickle_reads_pkl(tmp_path: Path, digits: Dataset) -> None:
    """pickle.load as in the tutorials, with either of the encodings that people pass."""
    path = mnistprep.write(digits, tmp_path / "mnist.pkl.gz")
    for encoding in ("latin1", "bytes"):
        with gzip.open(path, "rb") as file:
            (x, y), (valid_x, valid_y), (test_x, test_y) = pickle.load(file, encoding=encoding)
        assert (x.shape, x.dtype, y.dtype) == ((250, 784), np.float32, np.int64)
        assert x.max() == np.float32(255 / 256)
        same(digits.splits["train"], np.vstack([x, valid_x]) * 256, np.append(y, valid_y))
        same(digits.splits["test"], test_x * 256, test_y)


def test_numpy_reads_npz(tmp_path: Path, digits: Dataset) -> None:
    """numpy.load without pickles, as Keras does, finds Keras's keys."""
    path = mnistprep.write(digits, tmp_path / "mnist.npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["x_test", "x_train", "y_test", "y_train"]
        assert arrays["x_train"].dtype == arrays["y_train"].dtype == np.uint8
        same(digits.splits["train"], arrays["x_train"], arrays["y_train"])
        same(digits.splits["test"], arrays["x_test"], arrays["y_test"])


def test_torch_reads_pt(tmp_path: Path, odd: Dataset) -> None:
    """torch.load gives tensors and names with weights_only=True."""
    import torch

    found = torch.load(mnistprep.write(odd, tmp_path / "x.pt"), weights_only=True)
    assert found["train_images"].dtype == torch.uint8
    assert found["train_labels"].dtype == torch.int64
    assert json.loads(found["classes"]) == list(odd.classes)
    for part, split in odd.splits.items():
        same(split, found[f"{part}_images"], found[f"{part}_labels"])


def test_safetensors_reads_safetensors(tmp_path: Path, odd: Dataset) -> None:
    """Both of the library's readers give the arrays, and its metadata the class names."""
    import safetensors
    import safetensors.numpy
    import safetensors.torch

    path = mnistprep.write(odd, tmp_path / "x.safetensors")
    for found in (safetensors.numpy.load_file(path), safetensors.torch.load_file(path)):
        for part, split in odd.splits.items():
            same(split, found[f"{part}_images"], found[f"{part}_labels"])
    with safetensors.safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["classes"]) == list(odd.classes)


@pytest.mark.parametrize("header", ["none", "rowcol", "pixel0", "pixel1"])
def test_pandas_polars_and_numpy_read_csv(tmp_path: Path, digits: Dataset, header: str) -> None:
    """Every dialect opens in the three, with the names that its publisher gave the columns."""
    import pandas
    import polars

    folder = mnistprep.write(digits, tmp_path / "out", "csv", header=header)
    for part, split in digits.splits.items():
        path = folder / f"mnist_{part}.csv"
        frame = pandas.read_csv(path, header=None if header == "none" else 0)
        same(split, frame.iloc[:, 1:], frame.iloc[:, 0])
        table = polars.read_csv(path, has_header=header != "none").to_numpy()
        same(split, table[:, 1:], table[:, 0])
        rows = np.loadtxt(path, delimiter=",", dtype=int, skiprows=int(header != "none"))
        same(split, rows[:, 1:], rows[:, 0])
        expected = {
            "rowcol": ["label", "1x1", "1x2", "28x28"],
            "pixel0": ["label", "pixel0", "pixel1", "pixel783"],
            "pixel1": ["label", "pixel1", "pixel2", "pixel784"],
        }
        if header != "none":
            assert list(frame.columns[[0, 1, 2, -1]]) == expected[header]


def test_torchvision_reads_imagefolder(tmp_path: Path, digits: Dataset) -> None:
    """ImageFolder sees every picture of each split under its label, as the same pixels."""
    from torchvision.datasets import ImageFolder

    folder = mnistprep.write(digits, tmp_path / "out", "imagefolder")
    for part, split in digits.splits.items():
        found = ImageFolder(str(folder / part), loader=_open)
        assert found.classes == [str(k) for k in range(10)]
        assert _bag(found) == _bag(zip(split.images, split.labels, strict=True))


def test_torchvision_reads_more_than_ten_classes(tmp_path: Path, odd: Dataset) -> None:
    """Class folders sort as text in the order of labels, and an empty class keeps its place."""
    from torchvision.datasets import ImageFolder

    folder = mnistprep.write(odd, tmp_path / "out", "imagefolder")
    for part, split in odd.splits.items():
        found = ImageFolder(str(folder / part), loader=_open, allow_empty=True)
        assert found.classes == [f"{k:02}" for k in range(11)]
        assert len(found) == len(split)
        assert _bag(found) == _bag(zip(split.images, split.labels, strict=True))


def _open(path: str) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.mode, image.format) == ("L", "PNG")
        return np.asarray(image)


def _bag(examples: object) -> list[tuple[int, bytes]]:
    return sorted((int(label), np.asarray(image).tobytes()) for image, label in examples)


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 500), (28, 28, 3)])
def test_pillow_reads_every_png(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Pictures are mode L, or RGB for colour, and pass Pillow's own check of the file."""
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    images[::3] = 0
    dataset = Dataset("x", {"train": Split(images, np.arange(12) % 2)}, ("0", "1"))
    folder = mnistprep.write(dataset, tmp_path / "out", "imagefolder")
    order = (folder / "index.txt").read_text().split()
    for file, pixels in zip(order, images, strict=True):
        with Image.open(folder / file) as image:
            image.verify()
        with Image.open(folder / file) as image:
            assert (image.mode, image.format) == ("L" if len(shape) == 2 else "RGB", "PNG")
            assert image.info == {}
            assert np.array_equal(np.asarray(image), pixels)


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """load_dataset, with its cache in the test's own folder and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        from datasets import load_dataset

        yield lambda *a, **k: load_dataset(*a, cache_dir=str(tmp_path / "hf"), **k)


@pytest.mark.parametrize("kind", ["imagefolder", None], ids=["named", "found"])
def test_hugging_face_reads_imagefolder(
    tmp_path: Path, digits: Dataset, hugging_face: object, kind: str | None
) -> None:
    """load_dataset finds splits, labels and grey pictures, told the kind or not."""
    folder = mnistprep.write(digits, tmp_path / "out", "imagefolder")
    found = hugging_face(kind, data_dir=str(folder)) if kind else hugging_face(str(folder))
    assert sorted(found) == ["test", "train"]
    for part, split in digits.splits.items():
        assert found[part].features["label"].names == [str(k) for k in range(10)]
        examples = [(row["image"], row["label"]) for row in found[part]]
        assert {image.mode for image, _ in examples} == {"L"}
        assert _bag(examples) == _bag(zip(split.images, split.labels, strict=True))


@pytest.mark.parametrize("kind", ["csv", None], ids=["named", "found"])
def test_hugging_face_reads_csv(
    tmp_path: Path, digits: Dataset, hugging_face: object, kind: str | None
) -> None:
    """load_dataset finds splits, columns and every row, told the files or not."""
    folder = mnistprep.write(digits, tmp_path / "out", "csv")
    files = {part: str(folder / f"mnist_{part}.csv") for part in digits.splits}
    found = hugging_face(kind, data_files=files) if kind else hugging_face(str(folder))
    for part, split in digits.splits.items():
        table = found[part].to_pandas()
        assert list(table.columns[[0, 1, -1]]) == ["label", "1x1", "28x28"]
        same(split, table.iloc[:, 1:], table.iloc[:, 0])


# What other tools wrote


def golden(path: str, format: str, parts: tuple[str, ...] = ("train", "test")) -> Dataset:
    """Read a golden file and compare it with counts, sums and the rule it was made by."""
    found = mnistprep.read(GOLDEN / path)
    assert formats.matches(GOLDEN / path) == [format]
    assert tuple(found.splits) == parts
    assert found.shape == (4, 4)
    first = {"train": 0, "valid": 6, "test": 8}
    for part, split in found.splits.items():
        numbers = np.arange(first[part], first[part] + COUNTS[part])
        assert (len(split), split.images.sum(), split.labels.sum()) == (
            COUNTS[part],
            PIXELS[part],
            LABELS[part],
        )
        if format != "imagefolder":
            pixels = (37 * (16 * numbers[:, None] + np.arange(16)) + 11) % 256
            same(split, pixels, 7 * numbers % 10)
    return found


def test_golden_idx() -> None:
    """IDX files of idx2numpy, plain and in gzip with name and time."""
    golden("idx", "idx")
    golden("idx-gz", "idx-gz")


def test_golden_qmnist() -> None:
    """A table of int32 labels gives its first column."""
    golden("qmnist", "idx", ("train",))


@pytest.mark.parametrize("path", sorted((GOLDEN / "pickles").glob("*.pkl")), ids=lambda p: p.stem)
def test_golden_pickles(path: Path) -> None:
    """Pickles of Python 2.7, 3.8 and 3.11 in every protocol, of NumPy 1 and 2."""
    golden(f"pickles/{path.name}", "pkl", ("train", "valid", "test"))


@pytest.mark.parametrize("name", ["keras.npz", "keras-deflated.npz"])
def test_golden_npz(name: str) -> None:
    """Archives of numpy.savez with Keras's keys."""
    golden(name, "npz")


def test_golden_pt() -> None:
    """Tensors of torch.save: a table, torchvision's pair, and the form before PyTorch 1.6."""
    golden("tensors.pt", "pt", ("train", "valid", "test"))
    golden("training.pt", "pt", ("train",))
    golden("training-legacy.pt", "pt", ("train",))


def test_golden_safetensors() -> None:
    """A file of the safetensors library."""
    golden("tensors.safetensors", "safetensors", ("train", "valid", "test"))


@pytest.mark.parametrize("dialect", ["none", "rowcol", "pixel0", "pixel1"])
def test_golden_csv(tmp_path: Path, dialect: str) -> None:
    """Files of pandas and numpy.savetxt in each dialect, singly and as a folder."""
    for part in ("train", "test"):
        copy = tmp_path / f"{dialect}_{part}.csv"
        copy.write_bytes((GOLDEN / "csv" / copy.name).read_bytes())
        golden(f"csv/{copy.name}", "csv", (part,))
    assert list(mnistprep.read(tmp_path).splits) == ["train", "test"]


def test_golden_imagefolder() -> None:
    """Pillow's PNGs in grey, RGB, RGBA, palette and grey with alpha, ordered by label."""
    found = golden("imagefolder", "imagefolder")
    assert found.splits["train"].labels.tolist() == [0, 1, 4, 5, 7, 8]
    assert found.classes == tuple(map(str, range(9)))


def test_every_format_has_a_golden_file() -> None:
    """A new format brings a file that somebody else's tool made."""
    paths = [path for top in GOLDEN.iterdir() for path in (top, *top.glob("*"))]
    found = {match for path in paths for match in formats.matches(path)}
    assert found == set(formats.FORMATS)
