"""CSV of EMNIST, in colour, and with every option of writing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas
import pytest
from csvtables import CHANCE, FLAT, IMAGES, LABELS, Notes, save, text

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError, UnsupportedError, UsageError

# EMNIST


def emnist(tmp_path: Path, name: str, labels: np.ndarray, part: str = "train") -> Path:
    """A file to the published layout: no names, pictures transposed."""
    images = CHANCE.integers(0, 256, (len(labels), 28, 28))
    rows = np.column_stack([labels, images.transpose(0, 2, 1).reshape(len(labels), -1)])
    path = tmp_path / f"emnist-{name}-{part}.csv"
    np.savetxt(path, rows, "%d", delimiter=",")
    np.save(tmp_path / "images", images)
    return path


@pytest.mark.parametrize("name", ["letters", "balanced", "digits", "byclass", "bymerge", "mnist"])
def test_emnist_is_read_upright(tmp_path: Path, name: str) -> None:
    """By its published name, with its classes; letters are 0 to 25; a note says so."""
    classes = {"letters": 26, "balanced": 47, "byclass": 62, "bymerge": 47}.get(name, 10)
    labels = np.arange(40) % classes
    path = emnist(tmp_path, name, labels + (name == "letters"))
    images = np.load(tmp_path / "images.npy")
    said = Notes()
    found = mnistprep.read(path, progress=said)
    assert np.array_equal(found.splits["train"].images, images)
    assert np.array_equal(found.splits["train"].labels, labels)
    assert len(found.classes) == classes
    assert found.classes[0] == ("a" if name == "letters" else "0")
    assert "read upright" in said.notes[0]


def test_emnist_as_stored(tmp_path: Path) -> None:
    """`orientation=stored` gives what the file holds, under another name nothing is turned."""
    path = emnist(tmp_path, "letters", np.arange(1, 27))
    images = np.load(tmp_path / "images.npy").transpose(0, 2, 1)
    found = mnistprep.read(path, orientation="stored")
    assert np.array_equal(found.splits["train"].images, images)
    assert found.splits["train"].labels.tolist() == list(range(1, 27))
    other = path.rename(tmp_path / "mine.csv")
    assert np.array_equal(mnistprep.read(other).splits["train"].images, images)


def test_emnist_of_other_labels_and_several_of_it(tmp_path: Path) -> None:
    """A label that the set does not have is refused; so are several sets in a folder."""
    with pytest.raises(FormatError, match="label 0 is none of EMNIST letters's, 1 to 26"):
        mnistprep.read(emnist(tmp_path, "letters", np.arange(5)))
    emnist(tmp_path, "digits", np.arange(5))
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n")
    with pytest.raises(FormatError, match="are both train"):
        mnistprep.read(tmp_path)


def test_our_own_file_is_not_turned(tmp_path: Path) -> None:
    """A file of EMNIST's name that mnistprep wrote reads as it was written, or is not written."""
    images = CHANCE.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.arange(4))}, tuple("0123"))
    path = tmp_path / "emnist-digits-train.csv"
    with pytest.raises(UnsupportedError, match="transposed"):
        mnistprep.write(dataset, path, header="none")
    assert mnistprep.read(mnistprep.write(dataset, path)).digests() == dataset.digests()


# Colour


def test_colour_needs_a_word(tmp_path: Path) -> None:
    """2,352 columns are 28x28x3 where names of columns or file say so, else in no order known."""
    images = CHANCE.integers(0, 256, (6, 28, 28, 3))
    labels = np.arange(6) % 2
    for name, columns, message in (
        ("train.csv", [f"p{k}" for k in range(2352)], "28x28x3 in two orders"),
        ("hmnist_28_28_RGB.csv", [f"pixel{k:04}" for k in range(2352)], None),
        (
            "train.csv",
            [f"{r}_{c}_{k}" for r in range(28) for c in range(28) for k in range(3)],
            None,
        ),
    ):
        table = pandas.DataFrame(images.reshape(6, -1), columns=columns).assign(label=labels)
        path = save(tmp_path, text(table), name)
        if message:
            with pytest.raises(FormatError, match=message):
                mnistprep.read(path)
        else:
            assert np.array_equal(mnistprep.read(path).splits["train"].images, images)
    planes = [f"{k}_{r}_{c}" for k in range(3) for r in range(28) for c in range(28)]
    table = pandas.DataFrame(images.transpose(0, 3, 1, 2).reshape(6, -1), columns=planes)
    path = save(tmp_path, text(table.assign(label=labels)))
    assert np.array_equal(mnistprep.read(path).splits["train"].images, images)


# Writing


@pytest.mark.parametrize("separator", ["comma", "semicolon", "tab", "space"])
@pytest.mark.parametrize("label", ["first", "last"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_options_of_writing(tmp_path: Path, separator: str, label: str, compression: str) -> None:
    """pandas opens every combination, and it reads back, as a folder and as one file."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, tuple("0123456789"))
    options = {"separator": separator, "label": label, "compression": compression}
    folder = mnistprep.write(dataset, tmp_path / "out", "csv", **options)
    (file,) = folder.glob("*.csv*")
    mark = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}[separator]
    table = pandas.read_csv(file, sep=mark)
    assert list(table.columns).index("label") == (0 if label == "first" else 25)
    assert np.array_equal(table.pop("label"), LABELS)
    assert np.array_equal(table, FLAT)
    assert mnistprep.read(folder).digests() == dataset.digests()
    (folder / "mnistprep.json").unlink()
    assert mnistprep.read(folder).digests() == dataset.digests()
    if compression == "gzip":
        single = mnistprep.write(dataset, tmp_path / "train.csv.gz", **options)
        assert single.read_bytes() == file.read_bytes()
        assert file.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_options_that_cannot_be(tmp_path: Path) -> None:
    """A label that nobody could find, and a compressed file under a plain name, are refused."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, tuple("0123456789"))
    with pytest.raises(UsageError, match="label=last needs a header"):
        mnistprep.write(dataset, tmp_path / "out", "csv", header="none", label="last")
    with pytest.raises(UsageError, match=r"called \.csv\.gz"):
        mnistprep.write(dataset, tmp_path / "train.csv", compression="gzip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("separator", "mark"), [("semicolon", ";"), ("tab", "\t"), ("space", " ")])
def test_other_readers_open_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: str, mark: str
) -> None:
    """polars, NumPy and Hugging Face read other separators, gzip, and the label at the end."""
    import polars

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, tuple("0123456789"))
    folder = mnistprep.write(
        dataset, tmp_path / "out", "csv", separator=separator, label="last", compression="gzip"
    )
    path = folder / "mnist_train.csv.gz"
    expected = np.column_stack([FLAT, LABELS])
    assert np.array_equal(polars.read_csv(path, separator=mark).to_numpy(), expected)
    assert np.array_equal(np.loadtxt(path, int, delimiter=mark, skiprows=1), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        from datasets import load_dataset

        found = load_dataset(
            "csv", data_files=str(path), sep=mark, cache_dir=str(tmp_path / "hf"), split="train"
        )
    assert np.array_equal(found.to_pandas(), expected)
