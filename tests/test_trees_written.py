"""The options of writing trees: exact on reading back, and open to the readers of others."""

from __future__ import annotations

import csv
import gc
import hashlib
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_formats import ODD, Notes, split, tree

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.formats._classnames import slugs

KINDS = ["odd", "colour", "many-classes", "with-valid", "empty-split", "one-pixel", "odd-names"]


def same(found: Dataset, expected: Dataset) -> None:
    assert found.classes == expected.classes
    assert list(found.splits) == list(expected.splits)
    for name, examples in expected.splits.items():
        assert np.array_equal(found.splits[name].images, examples.images)
        assert np.array_equal(found.splits[name].labels, examples.labels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"image": "bmp"},
        {"image": "pgm"},
        {"image": "tiff"},
        {"image": "webp"},
        {"compression": "small"},
        {"compression": "none"},
        {"folders": "names"},
        {"layout": "metadata"},
        {"layout": "metadata", "image": "pgm"},
    ],
    ids=lambda options: "-".join(options.values()),
)
def test_every_option_reads_back(tmp_path: Path, options: dict[str, str], kind: str) -> None:
    """Pictures, labels, order, empty splits and class names come back."""
    path = mnistprep.write(ODD[kind], tmp_path / "x", "imagefolder", **options)
    assert formats.matches(path) == ["imagefolder"]
    notes = Notes()
    same(mnistprep.read(path, progress=notes), ODD[kind])
    assert notes.notes == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_archives_read_back(tmp_path: Path, suffix: str, kind: str) -> None:
    """An archive is written and read without unpacking, the same bytes for any workers."""
    paths = []
    for workers in (1, 2):
        target = tmp_path / str(workers) / f"x{suffix}"
        paths.append(mnistprep.write(ODD[kind], target, "imagefolder", workers=workers))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert formats.matches(paths[0]) == ["imagefolder"]
    same(mnistprep.read(paths[0]), ODD[kind])


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_an_unpacked_archive_is_the_tree(tmp_path: Path, suffix: str) -> None:
    """What Python's own tools unpack is what is written into a folder."""
    data = ODD["odd"]
    archive = mnistprep.write(data, tmp_path / f"x{suffix}", "imagefolder", provenance=False)
    folder = mnistprep.write(data, tmp_path / "folder", "imagefolder", provenance=False)
    if suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            opened.extractall(tmp_path / "out")
    else:
        with tarfile.open(archive) as opened:
            opened.extractall(tmp_path / "out", filter="data")
    assert tree(tmp_path / "out") == tree(folder)


def test_the_default_bytes_stay(tmp_path: Path) -> None:
    """The name and bytes of a picture of the default output, as they have always been."""
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    data = Dataset("x", {"train": Split(image, np.zeros(1, np.int64))}, ("0",))
    path = mnistprep.write(data, tmp_path / "x", "imagefolder")
    (file,) = (path / "train" / "0").iterdir()
    assert file.name == "bc20effaa0b9cf7f.png"
    assert (
        hashlib.sha256(file.read_bytes()).hexdigest()
        == "6b71fdba521b111f9ec727b6c98e603494b77627d0bf2a146646557a58ee8e6b"
    )


def test_class_names_as_folders(tmp_path: Path) -> None:
    """Names become safe folder names, distinct in any case; a note says when order differs."""
    names = ("T-shirt/top", "t shirt top", "Über", "", "nul", "test", "3", "7", "CON", "a" * 99)
    data = Dataset("x", {"train": split(40, classes=10)}, names)
    notes = Notes()
    path = mnistprep.write(data, tmp_path / "x", "imagefolder", folders="names", progress=notes)
    folders = sorted(entry.name for entry in (path / "train").iterdir())
    assert len({folder.lower() for folder in folders}) == 10
    assert {"T-shirt_top", "t_shirt_top", "Uber", "nul_4", "test_5", "3_6", "7", "CON_8"} <= set(
        folders
    )
    assert any("not in the order of the labels" in note for note in notes.notes)
    same(mnistprep.read(path), data)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=15, unique=True))
def test_any_names_give_distinct_folders(names: list[str]) -> None:
    """However alike, names never share a folder, and no folder is another label's number."""
    found = slugs(names)
    assert len({slug.lower() for slug in found}) == len(names)
    assert all(slug and slug.isascii() and slug.strip("._- ") for slug in found)
    assert all(int(slug) == k for k, slug in enumerate(found) if slug.isdigit())


def test_options_that_exclude_each_other_are_usage_errors(tmp_path: Path) -> None:
    """Compression is PNG's; metadata has no folders to name; nothing is written."""
    for options in (
        {"image": "bmp", "compression": "small"},
        {"layout": "metadata", "folders": "names"},
        {"image": "jpeg"},
    ):
        with pytest.raises(UsageError):
            mnistprep.write(ODD["odd"], tmp_path / "x", "imagefolder", **options)
    wide = Dataset("x", {"train": Split(np.zeros((1, 1, 16384), np.uint8), np.zeros(1, int))}, "0")
    with pytest.raises(UnsupportedError, match="WEBP holds at most 16,383 pixels"):
        mnistprep.write(wide, tmp_path / "x", "imagefolder", image="webp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("image", "mode"), [("bmp", "L"), ("pgm", "L"), ("tiff", "L")])
def test_pillow_opens_every_kind(tmp_path: Path, image: str, mode: str) -> None:
    """Pillow sees grey pictures with the same bytes."""
    data = ODD["odd"]
    path = mnistprep.write(data, tmp_path / "x", "imagefolder", image=image)
    lines = (path / "index.txt").read_text().splitlines()
    images = np.concatenate([part.images for part in data.splits.values()])
    for line, pixels in zip(lines, images, strict=True):
        with Image.open(path / line) as picture:
            assert picture.mode == mode
            assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("options", [{"image": "bmp"}, {"image": "pgm"}, {"folders": "names"}])
def test_torchvision_reads_the_options(tmp_path: Path, options: dict[str, str]) -> None:
    """ImageFolder opens other kinds and named folders; all pictures are there."""
    folder_of = pytest.importorskip("torchvision.datasets").ImageFolder
    data = Dataset("x", {"train": split(50, (4, 5))}, ("bird", "cat", "dog"))
    path = mnistprep.write(data, tmp_path / "x", "imagefolder", **options)
    found = folder_of(path / "train", loader=Image.open)
    expected = zip(data.splits["train"].images, data.splits["train"].labels.tolist(), strict=True)
    assert sorted((np.asarray(picture).tobytes(), label) for picture, label in found) == sorted(
        (image.tobytes(), label) for image, label in expected
    )


@pytest.mark.parametrize("options", [{"layout": "metadata"}, {"image": "tiff"}])
def test_hugging_face_reads_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    """`imagefolder` reads metadata.csv with its labels in order, and other kinds of pictures."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    data = Dataset(
        "x", {"train": split(30, (4, 5)), "test": split(9, (4, 5), seed=4)}, ("0", "1", "2")
    )
    path = mnistprep.write(data, tmp_path / "x", "imagefolder", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # datasets leaves metadata.csv open
        found = datasets.load_dataset(
            "imagefolder", data_dir=str(path), cache_dir=str(tmp_path / "cache")
        )
        gc.collect()
    for name, examples in data.splits.items():
        pairs = [(np.asarray(row["image"]).tobytes(), row["label"]) for row in found[name]]
        expected = zip(examples.images, examples.labels.tolist(), strict=True)
        wanted = [(image.tobytes(), label) for image, label in expected]
        assert (pairs if "layout" in options else sorted(pairs)) == (
            wanted if "layout" in options else sorted(wanted)
        )


@pytest.mark.slow
def test_keras_reads_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`image_dataset_from_directory` finds every picture and class."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    utils = pytest.importorskip("keras.utils")
    data = Dataset("x", {"train": split(30, (4, 5))}, ("0", "1", "2"))
    path = mnistprep.write(data, tmp_path / "x", "imagefolder")
    found = utils.image_dataset_from_directory(
        str(path / "train"), color_mode="grayscale", image_size=(4, 5), batch_size=None,
        shuffle=False,
    )  # fmt: skip
    pairs = [(np.asarray(x).astype(np.uint8).tobytes(), int(y)) for x, y in found]
    expected = zip(data.splits["train"].images, data.splits["train"].labels.tolist(), strict=True)
    assert sorted(pairs) == sorted((image.tobytes(), label) for image, label in expected)


def test_metadata_lists_the_set_in_order(tmp_path: Path) -> None:
    """Each split has a metadata.csv of `file_name,label`, and no class folders."""
    data = odd_dataset()
    path = mnistprep.write(data, tmp_path / "x", "imagefolder", layout="metadata")
    for name, examples in data.splits.items():
        with (path / name / "metadata.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["label"]) for row in rows] == examples.labels.tolist()
        assert {row["file_name"] for row in rows} | {"metadata.csv"} == {
            entry.name for entry in (path / name).iterdir()
        }
