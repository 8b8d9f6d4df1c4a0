"""ARFF: what other readers open, and what other writers wrote."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats import numbered

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.formats import _arff

GOLDEN = Path(__file__).with_name("golden") / "arff"
COUNTS = {"train": 6, "valid": 2, "test": 3}
PIXELS = {"train": 12_080, "valid": 4_112, "test": 5_912}  # sums, of the rule in golden/make.py
LABELS = {"train": 25, "valid": 11, "test": 9}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """60 + 20 drawn digits; every class is in both splits."""
    return mnistprep.load("synth:60,20")


@pytest.mark.parametrize("types", ["real", "integer", "numeric"])
def test_scipy_and_liac_arff_read_every_pixel(tmp_path: Path, digits: Dataset, types: str) -> None:
    """Both give pixels, order and the class as text, whatever the word for the type."""
    import arff
    from scipy.io.arff import loadarff

    folder = mnistprep.write(digits, tmp_path / "out", "arff", types=types)
    for name, examples in digits.splits.items():
        path = folder / f"mnist_{name}.arff"
        data, meta = loadarff(path)
        assert meta.names()[:2] == ["pixel1", "pixel2"]
        assert meta["class"] == ("nominal", tuple("0123456789"))
        pixels = np.array([list(row)[:-1] for row in data])
        assert np.array_equal(pixels, examples.images.reshape(len(examples), -1))
        assert [int(label) for label in data["class"]] == examples.labels.tolist()
        with path.open(encoding="utf-8") as file:
            table = arff.load(file)
        assert table["relation"] == "mnist_784"
        pixels = np.array([row[:-1] for row in table["data"]])
        assert np.array_equal(pixels, examples.images.reshape(len(examples), -1))
        assert [row[-1] for row in table["data"]] == list(map(str, examples.labels))


def test_what_fetch_openml_parses_with_reads_a_file(tmp_path: Path, digits: Dataset) -> None:
    """scikit-learn's parser of OpenML's files gives float pixels and the class as a category."""
    from sklearn.datasets._arff_parser import load_arff_from_gzip_file

    train = Dataset("x", {"train": digits.splits["train"]}, digits.classes)
    path = mnistprep.write(train, tmp_path / "train.arff")
    names = [f"pixel{k}" for k in range(1, 785)]
    info = {
        name: {"name": name, "data_type": "numeric", "index": str(k)}
        for k, name in enumerate(names)
    }
    info["class"] = {"name": "class", "data_type": "nominal", "index": "784"}
    with gzip.open(io.BytesIO(gzip.compress(path.read_bytes())), "rb") as file:
        x, y, _, _ = load_arff_from_gzip_file(
            file, "liac-arff", "numpy", info, names, ["class"], shape=(60, 785)
        )
    assert np.array_equal(x, digits.splits["train"].images.reshape(60, -1))
    assert [int(label) for label in y] == digits.splits["train"].labels.tolist()


def test_names_in_need_of_quotes_are_quoted_for_others(tmp_path: Path) -> None:
    """liac-arff gives back class names with spaces, quotes, commas, signs and line ends."""
    import arff

    names = ("T-shirt/top", "it's", 'a "b"', "a,b", "{x}", "50%", "a\\b", "é 日", "a\nb", "@data")
    labels = np.arange(10)
    dataset = Dataset("x", {"train": Split(np.zeros((10, 2, 2), np.uint8), labels)}, names)
    path = mnistprep.write(dataset, tmp_path / "train.arff")
    assert mnistprep.read(path).classes == names
    with path.open(encoding="utf-8") as file:
        table = arff.load(file)
    assert tuple(table["attributes"][-1][1]) == names
    assert tuple(row[-1] for row in table["data"]) == names


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_any_name_survives_its_quotes(name: str) -> None:
    """A name in the header and in a row is one token, whatever it is made of."""
    token = _arff.quote(name).encode()
    assert _arff.TOKEN.findall(token) == [token]
    assert b"\n" not in token
    assert _arff.unquote(token) == name


@pytest.mark.parametrize("style", ["liac", "sparse"])
def test_files_of_liac_arff_read(tmp_path: Path, style: str) -> None:
    """Dense and sparse files of another writer have the counts and sums that they were made of."""
    for name, count in COUNTS.items():
        (tmp_path / f"{name}.arff").write_bytes((GOLDEN / f"{style}_{name}.arff").read_bytes())
        single = mnistprep.read(GOLDEN / f"{style}_{name}.arff")
        assert {k: len(v) for k, v in single.splits.items()} == {name: count}
    found = mnistprep.read(tmp_path)
    assert formats.matches(tmp_path) == ["arff"]
    assert found.classes == numbered(10)
    for name, examples in found.splits.items():
        assert len(examples) == COUNTS[name]
        assert int(examples.images.sum(dtype=int)) == PIXELS[name]
        assert int(examples.labels.sum()) == LABELS[name]
        first = {"train": 0, "valid": 6, "test": 8}[name]
        assert examples.images[0, 0, 0] == (37 * 16 * first + 11) % 256


def test_a_file_by_wekas_rules_reads() -> None:
    """Quoted names, CRLF, and class values listed as they come: the numbers are the labels."""
    found = mnistprep.read(GOLDEN / "weka_train.arff").splits["train"]
    assert found.labels.tolist() == [0, 7, 4, 1, 8, 5]
    assert int(found.images.sum(dtype=int)) == PIXELS["train"]
