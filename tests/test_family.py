"""EMNIST, QMNIST, Kuzushiji-49 and MedMNIST: small files in their published layouts."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mnistprep
from mnistprep import Dataset, Split, catalog, cli, formats, labels
from mnistprep._progress import Quiet
from mnistprep._stored import STORED
from mnistprep.convert import convert
from mnistprep.dataset import idx_header
from mnistprep.errors import FormatError, UsageError
from mnistprep.formats import _idx

COUNTS = {"train": 40, "test": 15}
PARTS = [name.removeprefix("emnist-") for name in STORED if name.startswith("emnist-")]


class Notes(Quiet):
    """A Progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)


def upright(name: str, shape: tuple[int, ...] = (7, 5), seed: int = 1) -> Dataset:
    """Random pictures that are not square, with every class of a published dataset."""
    chance = np.random.default_rng(seed)
    classes = catalog.get(name).classes
    splits = {}
    for split, count in COUNTS.items():
        labels = np.arange(count) % len(classes)
        labels[0] = len(classes) - 1
        images = chance.integers(0, 256, (count, *shape), dtype=np.uint8)
        splits[split] = Split(images, labels)
    return Dataset(name, splits, classes)


def idx(array: np.ndarray, code: int = 8) -> bytes:
    """The bytes of an IDX file."""
    return idx_header(code, array.shape) + array.astype("u1" if code == 8 else ">i4").tobytes()


def emnist_files(dataset: Dataset, part: str) -> dict[str, bytes]:
    """NIST's files: pictures transposed, letters from 1."""
    first = 1 if part == "letters" else 0
    files = {}
    for split, examples in dataset.splits.items():
        stored = examples.images.transpose(0, 2, 1)
        files[f"emnist-{part}-{split}-images-idx3-ubyte"] = idx(stored)
        files[f"emnist-{part}-{split}-labels-idx1-ubyte"] = idx(examples.labels + first)
    return files


def qmnist_files(dataset: Dataset) -> dict[str, bytes]:
    """Files of QMNIST, with eight columns of labels."""
    files = {}
    for split, examples in dataset.splits.items():
        files[f"qmnist-{split}-images-idx3-ubyte"] = idx(examples.images)
        files[f"qmnist-{split}-labels-idx2-int"] = idx(table(examples), 12)
    return files


def table(split: Split) -> np.ndarray:
    """Eight columns, the class and seven others."""
    return np.column_stack([split.labels, *(np.arange(len(split)) * k - 3 for k in range(1, 8))])


def put(folder: Path, files: dict[str, bytes], pack: Callable[[bytes], bytes] = bytes) -> Path:
    """A folder with those files; packed ones get .gz at the end of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (name if pack is bytes else f"{name}.gz")).write_bytes(pack(data))
    return folder


def same(found: Dataset, expected: Dataset, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Pictures, labels, order, splits and class names are those expected."""
    assert tuple(found.splits) == splits
    for split in splits:
        assert np.array_equal(found.splits[split].images, expected.splits[split].images)
        assert np.array_equal(found.splits[split].labels, expected.splits[split].labels)
    assert found.classes == expected.classes


# EMNIST


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("part", PARTS)
def test_emnist_is_read_upright_and_from_0(
    tmp_path: Path, part: str, pack: Callable[[bytes], bytes]
) -> None:
    """Published names mean transposed pictures, and for letters labels from 1; a note says so."""
    dataset = upright(f"emnist-{part}")
    folder = put(tmp_path / "gzip", emnist_files(dataset, part), pack)
    notes = Notes()
    found = mnistprep.read(folder, progress=notes)
    same(found, dataset)
    assert found.name == f"emnist-{part}"
    assert len(notes.notes) == 1
    assert "rows and columns of pictures swapped" in notes.notes[0]
    assert ("labels from 1" in notes.notes[0]) == (part == "letters")
    assert "-R orientation=stored" in notes.notes[0]
    assert found.digests() == dataset.digests()


def test_emnist_is_read_as_stored_when_asked(tmp_path: Path) -> None:
    """orientation=stored gives exactly what the files hold, and does not pass for the dataset."""
    dataset = upright("emnist-letters")
    folder = put(tmp_path / "x", emnist_files(dataset, "letters"))
    found = mnistprep.read(folder, orientation="stored")
    for split, examples in dataset.splits.items():
        assert np.array_equal(found.splits[split].images, examples.images.transpose(0, 2, 1))
        assert np.array_equal(found.splits[split].labels, examples.labels + 1)
    assert found.classes == ("N/A", *dataset.classes)
    again = mnistprep.read(mnistprep.write(found, tmp_path / "out", "idx"))
    assert again.digests() == found.digests() != dataset.digests()
    assert (tmp_path / "out" / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file()
    with pytest.raises(mnistprep.MnistprepError, match="orientation"):
        formats.parse_options("idx", ["orientation=sideways"], "read")


def test_dotted_names_and_torchvisions_folder_are_read_too(tmp_path: Path) -> None:
    """emnist-letters-train-images.idx3-ubyte, in EMNIST/raw below the path."""
    dataset = upright("emnist-letters")
    files = {k.replace("-idx", ".idx"): v for k, v in emnist_files(dataset, "letters").items()}
    put(tmp_path / "top" / "EMNIST" / "raw", files)
    same(mnistprep.read(tmp_path / "top"), dataset)


def test_other_names_are_read_as_they_are(tmp_path: Path) -> None:
    """Only published names say how files are stored; no content is guessed at."""
    dataset = upright("emnist-letters")
    files = emnist_files(dataset, "letters")
    folder = put(tmp_path / "x", {k.removeprefix("emnist-letters-"): v for k, v in files.items()})
    found = mnistprep.read(folder)
    stored = dataset.splits["train"].images.transpose(0, 2, 1)
    assert np.array_equal(found.splits["train"].images, stored)
    assert found.classes == tuple(map(str, range(27)))


def test_letters_that_start_at_0_are_refused(tmp_path: Path) -> None:
    """A label 0 under the names of letters would be below the first class; stored reads it."""
    files = emnist_files(upright("emnist-letters"), "letters")
    files["emnist-letters-test-labels-idx1-ubyte"] = idx(np.arange(15))
    folder = put(tmp_path / "x", files)
    with pytest.raises(FormatError, match=r"test-labels.*label 0 is 0, where.*start at 1.*stored"):
        mnistprep.read(folder)
    assert mnistprep.read(folder, orientation="stored").splits["test"].labels[0] == 0


def test_all_of_emnist_in_one_folder_is_asked_about(tmp_path: Path) -> None:
    """Six sets are listed; one is chosen by its name, or by the path of a file for its split."""
    for part in PARTS:
        put(tmp_path / "gzip", emnist_files(upright(f"emnist-{part}"), part), gzip.compress)
    with pytest.raises(FormatError) as caught:
        mnistprep.read(tmp_path / "gzip", "idx-gz")
    assert all(f"emnist-{part}" in str(caught.value) for part in PARTS)
    assert "-R name=NAME" in str(caught.value)
    dataset = upright("emnist-digits")
    same(mnistprep.read(tmp_path / "gzip", "idx-gz", name="emnist-digits"), dataset)
    one = tmp_path / "gzip" / "emnist-digits-test-images-idx3-ubyte.gz"
    same(mnistprep.read(one), dataset, ("test",))
    with pytest.raises(FormatError, match="emnist-digits, emnist-letters, emnist-mnist"):
        mnistprep.read(tmp_path / "gzip")  # detection asks too
    with pytest.raises(FormatError, match="no IDX files of qmnist"):
        mnistprep.read(one.parent.parent / "gzip", "idx-gz", name="qmnist")


@pytest.mark.parametrize("part", PARTS)
def test_an_export_is_what_nist_publishes(tmp_path: Path, part: str) -> None:
    """Files read and written again have their names and bytes; the sidecar says what was done."""
    dataset = upright(f"emnist-{part}")
    files = emnist_files(dataset, part)
    folder = put(tmp_path / "published", files)
    convert(folder, tmp_path / "out", target_format="idx")
    raw = tmp_path / "out" / "EMNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == files
    recorded = json.loads((tmp_path / "out" / "mnistprep.json").read_text())["stored"]
    assert recorded == {
        "as": f"emnist-{part}",
        "transposed": True,
        "first_label": int(part == "letters"),
        "label_columns": 1,
    }
    same(mnistprep.read(tmp_path / "out"), dataset)
    convert(folder, tmp_path / "flat", target_format="idx-gz")
    assert {
        path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "flat").glob("*.gz")
    } == {f"{name}.gz": data for name, data in files.items()}
    same(mnistprep.read(tmp_path / "flat"), dataset)


@pytest.mark.parametrize("part", PARTS)
def test_torchvision_reads_an_export_of_emnist(tmp_path: Path, part: str) -> None:
    """Its class finds the files of a part, and in them what it finds in the published ones."""
    from torchvision import datasets

    dataset = upright(f"emnist-{part}", (28, 28))
    mnistprep.write(dataset, tmp_path / "out", "idx")
    for split, examples in dataset.splits.items():
        found = datasets.EMNIST(str(tmp_path / "out"), split=part, train=split == "train")
        assert np.array_equal(found.data.numpy(), examples.images.transpose(0, 2, 1))
        names = [found.classes[label] for label in found.targets]
        assert names == [dataset.classes[label] for label in examples.labels]


def test_what_is_not_as_published_is_written_as_mnist_is(tmp_path: Path) -> None:
    """Other classes or colour under a published name have no published layout; nothing is lost."""
    chance = np.random.default_rng(0)
    for k, (shape, classes) in enumerate([((4, 5), 11), ((4, 5, 3), 26)]):
        images = chance.integers(0, 256, (9, *shape), dtype=np.uint8)
        names = catalog.get("emnist-letters").classes if classes == 26 else tuple("abcdefghijk")
        dataset = Dataset("emnist-letters", {"train": Split(images, np.arange(9))}, names)
        path = mnistprep.write(dataset, tmp_path / str(k), "idx")
        assert (path / "MNIST" / "raw").is_dir()
        assert mnistprep.read(path).digests() == dataset.digests()


def test_valid_goes_to_the_end_of_train_in_published_layouts_too(tmp_path: Path) -> None:
    """The published files have no place for it either."""
    dataset = upright("emnist-letters")
    train = dataset.splits["train"]
    cut = {
        "train": Split(train.images[:30], train.labels[:30]),
        "valid": Split(train.images[30:], train.labels[30:]),
        "test": dataset.splits["test"],
    }
    path = mnistprep.write(Dataset(dataset.name, cut, dataset.classes), tmp_path / "x", "idx")
    same(mnistprep.read(path), dataset)


# QMNIST


def test_qmnist_has_the_class_in_its_first_column(tmp_path: Path) -> None:
    """The class is read by default, all eight columns are there on request."""
    dataset = upright("qmnist")
    folder = put(tmp_path / "x", qmnist_files(dataset), gzip.compress)
    found = mnistprep.read(folder)
    same(found, dataset)
    assert found.name == "qmnist"
    for split, columns in _idx.tables(folder).items():
        assert np.array_equal(columns, table(dataset.splits[split]))


def test_the_repository_of_qmnist_has_the_classes_twice(tmp_path: Path) -> None:
    """A plain label file beside the table of the same split is its first column."""
    dataset = upright("qmnist")
    folder = put(tmp_path / "x", qmnist_files(dataset))
    labels = idx(dataset.splits["test"].labels)
    (folder / "qmnist-test-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    same(mnistprep.read(folder), dataset)
    (folder / "qmnist-test-labels-idx2-int").unlink()
    same(mnistprep.read(folder), dataset)


def test_all_columns_of_a_table_become_csv(tmp_path: Path) -> None:
    """inspect --labels writes a row for each example, with QMNIST's names for the columns."""
    dataset = upright("qmnist")
    folder = put(tmp_path / "x", qmnist_files(dataset), gzip.compress)
    target = tmp_path / "labels.csv"
    result = CliRunner().invoke(cli.main, ["inspect", str(folder), "--labels", str(target)])
    assert result.exit_code == 0, result.output
    lines = target.read_text().splitlines()
    assert lines[0].split(",")[:4] == ["split", "class", "hsf_series", "writer"]
    numbers = [row.split(",") for row in lines[1:]]
    whole = np.concatenate([table(split) for split in dataset.splits.values()])
    assert [row[0] for row in numbers] == ["train"] * 40 + ["test"] * 15
    assert np.array_equal(np.array([row[1:] for row in numbers], int), whole)
    again = CliRunner().invoke(cli.main, ["inspect", str(folder), "--labels", str(target)])
    assert again.exit_code == 1
    assert "exists already" in again.output
    assert np.array_equal(labels.read_tables(folder)["test"], table(dataset.splits["test"]))
    mnistprep.write(dataset, tmp_path / "x.npz")
    with pytest.raises(UsageError, match="a matter of IDX files"):
        mnistprep.inspect(tmp_path / "x.npz", labels=tmp_path / "l.csv")


@pytest.mark.slow
def test_kaggles_digits_are_known_by_their_number(tmp_path: Path) -> None:
    """42,000 examples in ten classes are said to be as many as Digit Recognizer's, no more."""
    labels = np.arange(42_000) % 10
    images = np.zeros((42_000, 28, 28), np.uint8)
    dataset = Dataset("x", {"train": Split(images, labels)}, tuple("0123456789"))
    found = mnistprep.inspect(mnistprep.write(dataset, tmp_path / "x.npz"))
    assert found.contents["train"].identity == (
        "unknown; as many examples as Digit Recognizer train, whose digests nobody published"
    )


def test_nists_digits_are_read_from_xz(tmp_path: Path) -> None:
    """xnist-images-idx3-ubyte.xz and its labels are one split, train."""
    train = upright("qmnist").splits["train"]
    folder = tmp_path / "x"
    folder.mkdir()
    images, labels = idx(train.images), idx(table(train), 12)
    (folder / "xnist-images-idx3-ubyte.xz").write_bytes(lzma.compress(images))
    (folder / "xnist-labels-idx2-int.xz").write_bytes(lzma.compress(labels))
    found = mnistprep.read(folder)
    assert found.name == "qmnist-nist"
    same(found, Dataset("x", {"train": train}, tuple("0123456789")), ("train",))
    put(folder, qmnist_files(upright("qmnist")))
    with pytest.raises(FormatError, match=r"several datasets: qmnist, qmnist-nist"):
        mnistprep.read(folder)
    same(mnistprep.read(folder, "idx", name="qmnist"), upright("qmnist"))


def test_torchvision_reads_an_export_of_qmnist(tmp_path: Path) -> None:
    """Class and table are found; the columns that a dataset does not have are 0."""
    from torchvision import datasets

    dataset = upright("qmnist", (28, 28))
    mnistprep.write(dataset, tmp_path / "out", "idx")
    for what, examples in dataset.splits.items():
        found = datasets.QMNIST(str(tmp_path / "out"), what=what, compat=True)
        assert np.array_equal(found.data.numpy(), examples.images)
        assert [target for _, target in found] == examples.labels.tolist()
        whole = datasets.QMNIST(str(tmp_path / "out"), what=what, compat=False)
        assert whole.targets.shape == (len(examples), 8)
        assert not whole.targets[:, 1:].any()
    first = datasets.QMNIST(str(tmp_path / "out"), what="test10k")
    assert len(first) == COUNTS["test"]
    same(mnistprep.read(tmp_path / "out"), dataset)
    nist = Dataset("qmnist-nist", {"train": dataset.splits["train"]}, dataset.classes)
    mnistprep.write(nist, tmp_path / "nist", "idx")
    found = datasets.QMNIST(str(tmp_path / "nist"), what="nist")
    assert np.array_equal(found.data.numpy(), dataset.splits["train"].images)


def test_several_folders_of_torchvision_are_several_datasets(tmp_path: Path) -> None:
    """A root with MNIST/raw and EMNIST/raw is asked about, not decided by the alphabet."""
    mnistprep.write(upright("emnist-digits"), tmp_path / "a", "idx")
    mnistprep.write(upright("qmnist"), tmp_path / "b", "idx")
    (tmp_path / "b" / "QMNIST").rename(tmp_path / "a" / "QMNIST")
    with pytest.raises(FormatError, match="emnist-digits in EMNIST/raw, qmnist in QMNIST/raw"):
        mnistprep.read(tmp_path / "a")
    same(mnistprep.read(tmp_path / "a" / "QMNIST"), upright("qmnist"))


def test_digit_recognizer_says_what_to_do() -> None:
    """Kaggle wants a login; nothing is asked of it."""
    with pytest.raises(UsageError, match=r"sign in at https://www.kaggle.com/c/digit-recognizer"):
        mnistprep.load("digit-recognizer")
