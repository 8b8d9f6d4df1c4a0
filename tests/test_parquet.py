"""Parquet: its real readers open what is written, damage is found, golden files are read."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import odd_dataset
from PIL import Image
from test_hub import Notes

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DataError, FormatError, UnsupportedError, UsageError
from mnistprep.formats import _records

GOLDEN = Path(__file__).with_name("golden")
FORMAT = formats.get("parquet")


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """load_dataset, with its cache in the test's own folder and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        import datasets

    return lambda *a, **k: datasets.load_dataset(*a, cache_dir=str(tmp_path / "hf"), **k)


def with_valid(shape: tuple[int, ...] = (12, 20)) -> Dataset:
    """The odd set with a validation split, and a test split that is empty."""
    odd = odd_dataset(shape)
    empty = Split(odd.splits["test"].images[:0], odd.splits["test"].labels[:0])
    splits = {"train": odd.splits["train"], "valid": odd.splits["test"], "test": empty}
    return Dataset("odd", splits, odd.classes)


def same(dataset: Dataset, split: Split, images: Any, labels: Any) -> None:
    """What a reader gave is the split, in order."""
    assert np.array_equal(np.array(images).reshape(split.images.shape), split.images)
    assert np.array_equal(np.array(labels), split.labels)


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


# Its real readers


def test_a_split_without_examples_has_no_file(tmp_path: Path) -> None:
    """load_dataset refuses a set with an empty split, so the other files name it."""
    dataset = with_valid()
    folder = mnistprep.write(dataset, tmp_path / "out", "parquet")
    assert len(list((folder / "data").iterdir())) == 2
    found = FORMAT.read(folder)
    assert found.digests() == dataset.digests()
    assert {name: len(split) for name, split in found.splits.items()} == {
        "train": 37, "valid": 13, "test": 0
    }  # fmt: skip
    nothing = Dataset("x", {"test": dataset.splits["test"]}, dataset.classes)
    folder = mnistprep.write(nothing, tmp_path / "nothing", "parquet")
    assert FORMAT.read(folder).digests() == nothing.digests()


@pytest.mark.parametrize("shape", [(12, 20), (12, 20, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("shard", [0, 10])
def test_hugging_face_reads_a_folder(
    tmp_path: Path, load_dataset: Callable[..., Any], shape: tuple[int, ...], shard: int
) -> None:
    """load_dataset finds all splits, pictures in their mode, and the names of the classes."""
    dataset = with_valid(shape)
    folder = mnistprep.write(dataset, tmp_path / "out", "parquet", shard=shard)
    found = load_dataset(str(folder))
    assert sorted(found) == ["train", "validation"]
    for name, part in (("train", "train"), ("valid", "validation")):
        split = dataset.splits[name]
        assert found[part].features["label"].names == list(dataset.classes)
        assert type(found[part].features["image"]).__name__ == "Image"
        rows = list(found[part])
        assert {row["image"].mode for row in rows} <= {"L" if len(shape) == 2 else "RGB"}
        same(dataset, split, [row["image"] for row in rows], [row["label"] for row in rows])


def test_pandas_polars_and_pyarrow_read_a_file(tmp_path: Path) -> None:
    """The three give bytes of PNGs and int64 labels, in order."""
    import pandas
    import polars

    dataset = odd_dataset()
    folder = mnistprep.write(dataset, tmp_path / "out", "parquet", compression="zstd")
    for name, split in dataset.splits.items():
        file = folder / "data" / f"{name}-00000-of-00001.parquet"
        frame = pandas.read_parquet(file)
        assert frame.label.dtype == np.int64
        same(dataset, split, [decoded(i["bytes"]) for i in frame.image], frame.label)
        table = polars.read_parquet(file)
        same(dataset, split, [decoded(i["bytes"]) for i in table["image"]], table["label"])
        rows = pq.read_table(file).to_pylist()
        same(dataset, split, [decoded(row["image"]["bytes"]) for row in rows], frame.label)


# Writing


def test_a_split_is_cut_into_shards(tmp_path: Path) -> None:
    """Shards hold the examples that were asked for, are numbered, and the places name them."""
    folder = mnistprep.write(odd_dataset(), tmp_path / "out", "parquet", shard=10)
    names = sorted(file.name for file in (folder / "data").iterdir())
    assert names == [
        *(f"test-{k:05}-of-00002.parquet" for k in range(2)),
        *(f"train-{k:05}-of-00004.parquet" for k in range(4)),
    ]
    assert [pq.read_metadata(folder / "data" / n).num_rows for n in names] == [10, 3, 10, 10, 10, 7]
    places = FORMAT.places(folder, "train", [0, 9, 10, 36])
    assert [place.split("train-")[1] for place in places] == [
        "00000-of-00004.parquet, row 0", "00000-of-00004.parquet, row 9",
        "00001-of-00004.parquet, row 0", "00003-of-00004.parquet, row 6",
    ]  # fmt: skip
    assert FORMAT.read(folder).digests() == odd_dataset().digests()


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
def test_compression_is_the_one_asked_for(tmp_path: Path, compression: str) -> None:
    """Every column of the file has it."""
    folder = mnistprep.write(odd_dataset(), tmp_path / "out", "parquet", compression=compression)
    group = pq.read_metadata(folder / "data" / "train-00000-of-00001.parquet").row_group(0)
    found = {group.column(k).compression.lower() for k in range(group.num_columns)}
    assert found == {compression.replace("none", "uncompressed")}
    assert FORMAT.read(folder).digests() == odd_dataset().digests()


@pytest.mark.parametrize("name", ["x.parquet", "test.parquet", "x.pq"])
def test_one_split_fits_into_one_file(tmp_path: Path, name: str) -> None:
    """A single file keeps split, names of classes and shape, colour that is grey included."""
    grey = odd_dataset().splits["test"]
    images = np.repeat(grey.images[..., None], 3, axis=3)
    dataset = Dataset("x", {"test": Split(images, grey.labels)}, odd_dataset().classes)
    file = mnistprep.write(dataset, tmp_path / name)
    found = mnistprep.read(file, "parquet")
    assert found.digests() == dataset.digests()
    assert (found.classes, found.shape) == (dataset.classes, dataset.shape)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Two splits in a file, channels that PNG lacks, and options out of range."""
    odd = odd_dataset()
    with pytest.raises(UnsupportedError, match="one split, not train and test"):
        mnistprep.write(odd, tmp_path / "x.parquet")
    with pytest.raises(UnsupportedError, match="not 2"):
        mnistprep.write(odd_dataset((4, 4, 2)), tmp_path / "x", "parquet")
    with pytest.raises(UsageError, match="shard"):
        mnistprep.write(odd, tmp_path / "x", "parquet", shard=-1)
    with pytest.raises(UsageError, match="shard"):
        one = Dataset("x", {"test": odd.splits["test"]}, odd.classes)
        mnistprep.write(one, tmp_path / "x.parquet", shard=5)
    with pytest.raises(UsageError, match="compression"):
        mnistprep.write(odd, tmp_path / "x", "parquet", compression="rar")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_will_be_read_as_another_split_is_said(tmp_path: Path) -> None:
    """A file of test examples that is called train.parquet gets a note."""
    notes = Notes()
    dataset = Dataset("x", {"test": odd_dataset().splits["test"]}, odd_dataset().classes)
    mnistprep.write(dataset, tmp_path / "train.parquet", progress=notes)
    assert notes.notes == ["train.parquet will be read as train, by its name"]
    assert list(FORMAT.read(tmp_path / "train.parquet").splits) == ["train"]


# Damage


def small(folder: Path) -> tuple[Path, Dataset]:
    odd = odd_dataset((3, 4), train=7, test=5)
    return mnistprep.write(odd, folder / "out", "parquet"), odd


def attempt(path: Path, dataset: Dataset) -> None:
    """Reading gives the right data or FormatError (DataError becomes one in mnistprep.read)."""
    try:
        found = FORMAT.read(path, workers=1)
    except (FormatError, DataError) as error:
        assert str(error).count("\n") < 2
    else:
        assert found.digests() == dataset.digests()
        assert found.classes == dataset.classes


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, it is never read."""
    folder, _ = small(tmp_path)
    file = folder / "data" / "train-00000-of-00001.parquet"
    data = file.read_bytes()
    for end in range(0, len(data), 11):
        file.write_bytes(data[:end])
        with pytest.raises(FormatError):
            FORMAT.read(folder, workers=1)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_pictures_in_delta_encodings(tmp_path: Path, encoding: str) -> None:
    """As DuckDB writes them for version 2 of the format; pyarrow makes no dictionary of these."""
    (file, *_) = (mnistprep.write(odd_dataset(), tmp_path / "set", "parquet") / "data").iterdir()
    whole = pq.read_table(file).flatten().select(["image.bytes", "label"])
    whole = whole.rename_columns(["image", "label"])
    encodings = {"image": encoding, "label": "PLAIN"}
    pq.write_table(
        whole, tmp_path / "a.parquet", use_dictionary=False, column_encoding=encodings,
        row_group_size=7,
    )  # fmt: skip
    found = mnistprep.read(tmp_path / "a.parquet")
    assert sum(map(len, found.splits.values())) == whole.num_rows
    # Texts of a megabyte that all begin alike take no room: a hundred of them, in one or two.
    many = pa.table({"image": pa.array([b"\x89PNG" + bytes(1 << 20)] * 100), "label": [1] * 100})
    pq.write_table(many, tmp_path / "b.parquet", use_dictionary=False, column_encoding=encodings)
    with pytest.raises(FormatError, match="would become"):
        mnistprep.read(tmp_path / "b.parquet", max_bytes=50 << 20)


def test_a_flipped_byte_is_found_or_does_no_harm(tmp_path: Path) -> None:
    """Nothing but FormatError, and never other data."""
    folder, dataset = small(tmp_path)
    file = folder / "data" / "train-00000-of-00001.parquet"
    data = file.read_bytes()
    chance = np.random.default_rng(5)
    for place in chance.choice(len(data), 500, replace=False):
        changed = bytearray(data)
        changed[place] ^= int(chance.integers(1, 256))
        file.write_bytes(changed)
        attempt(folder, dataset)


def test_changed_class_names_are_found(tmp_path: Path) -> None:
    """The names in the sidecar and in the files must be the same."""
    folder, dataset = small(tmp_path)
    sidecar = folder / "mnistprep.json"
    sidecar.write_text(sidecar.read_text().replace("class/3", "klass/3"))
    with pytest.raises(FormatError, match="are not those in the data"):
        FORMAT.read(folder)
    sidecar.unlink()
    assert FORMAT.read(folder).classes == dataset.classes


# Golden files


def test_golden_files(tmp_path: Path) -> None:
    """Files of datasets (pictures, arrays) and pandas hold the numbers they were made from."""
    first = {"train": 0, "valid": 6, "test": 8}
    counts = {"train": 6, "valid": 2, "test": 3}
    found = FORMAT.read(GOLDEN / "parquet")
    assert {name: len(split) for name, split in found.splits.items()} == counts
    assert found.classes == tuple("0123456789")
    for file in ("parquet-arrays.parquet", "parquet-wide.parquet"):
        assert FORMAT.sniff(GOLDEN / file)
        same(found, FORMAT.read(GOLDEN / file).splits["train"], *_golden(0, 6))
    for name, split in found.splits.items():
        same(found, split, *_golden(first[name], counts[name]))


def _golden(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.arange(first, first + count)
    return (37 * (16 * numbers[:, None] + np.arange(16)) + 11) % 256, 7 * numbers % 10


def test_an_empty_copy_of_the_folder_is_not_recognised(tmp_path: Path) -> None:
    """A folder without files, or with files of other kinds, is none."""
    folder, _ = small(tmp_path)
    shutil.rmtree(folder / "data")
    assert not FORMAT.sniff(folder)
    assert not FORMAT.sniff(tmp_path / "nothing")
    with pytest.raises(FormatError, match=r"no \.parquet files here"):
        FORMAT.read(folder)


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_pandas_is_not_loaded(tmp_path: Path, name: str) -> None:
    """Writing and reading do without pandas: loading it takes longer than either, and memory."""
    code = f"""
        import sys
        import mnistprep
        from mnistprep import synth
        mnistprep.write(synth.generate(20, 10), "set", "{name}", workers=1)
        mnistprep.read("set", workers=1)
        assert "pandas" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)


@pytest.mark.parametrize("name", ["parquet", "arrow", "webdataset", "tfrecord"])
def test_few_large_pictures_are_held_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Pieces are of fewer examples where pictures are large; what is read back is the same."""
    monkeypatch.setattr(_records, "_PART", 3 * 12 * 20)
    dataset = with_valid()
    mnistprep.write(dataset, tmp_path / "set", name, shard=7)
    found = mnistprep.read(tmp_path / "set", name)
    for part, split in dataset.splits.items():
        same(found, found.splits[part], split.images, split.labels)
