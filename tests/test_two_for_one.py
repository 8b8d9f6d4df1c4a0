"""Two where one is expected: pictures or archives in a file, scales or spellings in a dataset.

What one reader takes of the two nobody would see: they are refused, or told of.
"""

from __future__ import annotations

import io
import lzma
import unicodedata
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import torch
from csvtables import FLAT, LABELS, Notes, frame, same
from PIL import Image
from trees import IMAGES, save, zipped

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import DetectionError, FormatError

BEHIND = "goes on behind its picture"
APART = "more than its directory lists"
WORDS = ["zero", "one", "two", "three"]


def stored(picture: np.ndarray, kind: str, mode: str = "L") -> bytes:
    """The picture as a file of that kind."""
    file = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(file, kind, **{"lossless": True})
    return file.getvalue()


def told(path: Path, **options: object) -> tuple[Dataset, str]:
    """What is read, and what a person is told of it."""
    notes = Notes()
    return mnistprep.read(path, workers=1, progress=notes, **options), "\n".join(notes.notes)


PLAIN = b"P2\n# by Pierre\n5 6\n255\n%s\n"
FILES = {kind: [stored(one, kind) for one in IMAGES[:2]]
         for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")}  # fmt: skip
FILES |= {
    "colour": [stored(one, "PPM", "RGB") for one in IMAGES[:2]],
    "bits": [stored(one, "PPM", "1") for one in IMAGES[:2]],
    "text": [PLAIN % " ".join(map(str, one.ravel())).encode() for one in IMAGES[:2]],
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("between", [b"", b"\n"])
def test_a_second_picture_behind_the_first_is_refused(
    tmp_path: Path, kind: str, between: bytes
) -> None:
    """Netpbm allows a sequence of pictures in one file, and `cat` makes one of any kind."""
    top, (first, second) = tmp_path / "t", FILES[kind]
    (top / "3").mkdir(parents=True)
    (top / "3" / "a.img").write_bytes(first + between)
    assert len(mnistprep.read(top, workers=1)) == 1
    (top / "3" / "a.img").write_bytes(first + between + second)
    with pytest.raises(FormatError, match=f"a.img: {BEHIND}"):
        mnistprep.read(top, workers=1)


def archive(path: Path, first: int, comment: bytes = b"") -> bytes:
    """A zip of two pictures in class folders."""
    with zipfile.ZipFile(path, "w") as file:
        for k in (first, first + 1):
            file.writestr(f"train/{k % 2}/{k}.png", stored(IMAGES[k], "PNG"))
        file.comment = comment
    return path.read_bytes()


@pytest.mark.parametrize("what", ["two", "comment", "cut comment", "cut", "empty"])
def test_two_archives_in_one_file_are_refused(tmp_path: Path, what: str) -> None:
    """zipfile takes the last of them, or none."""
    path, other = tmp_path / "a.zip", archive(tmp_path / "b.zip", 2)
    content = archive(path, 0, b"made by hand")
    assert len(mnistprep.read(path)) == 2
    if "comment" in what:
        archive(path, 0, other if what == "comment" else other[:200])
    else:
        nothing = b"PK\5\6" + bytes(18)
        path.write_bytes(content + {"two": other, "cut": other[:200], "empty": nothing}[what])
    with pytest.raises(FormatError, match=rf"a\.zip: .*{APART}"):
        mnistprep.read(path)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_two_archives_around_any_form_are_refused(tmp_path: Path, form: str) -> None:
    """The same holds for a zip around one table, which is opened as such, and around arrays."""
    (tmp_path / "in").mkdir()
    if form == "csv":
        frame().to_csv(tmp_path / "in" / "train.csv", index=False)
    else:
        np.savez(tmp_path / "in" / "train.npz", x_train=IMAGES, y_train=np.arange(len(IMAGES)) % 10)
    path = zipped(tmp_path / "in", tmp_path / "a.zip")
    assert len(mnistprep.read(path)) > 20
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(FormatError, match=APART):
        mnistprep.read(path)


BATCHES = pa.table({"image": [stored(one, "PNG") for one in IMAGES[:4]], "label": [0, 1, 2, 3]})


def _arrays(path: Path) -> None:
    np.savez(path, x_train=IMAGES, y_train=np.arange(len(IMAGES)))


def _stream(path: Path, **options: bool) -> None:
    written = ipc.IpcWriteOptions(**options)
    with ipc.new_stream(str(path), BATCHES.schema, options=written) as writer:
        writer.write_table(BATCHES, max_chunksize=2)


def _feather(path: Path) -> None:
    feather.write_feather(BATCHES, str(path), compression="uncompressed", chunksize=2)


def _datasets(path: Path, version: str = "earliest", before: int = 0) -> None:
    with h5py.File(path, "w", libver=version, userblock_size=before) as file:
        file["images"], file["labels"] = IMAGES, np.arange(len(IMAGES))


def _tensors(path: Path, zipped: bool = True) -> None:
    content = (torch.tensor(IMAGES), torch.arange(len(IMAGES)))
    torch.save(content, path, _use_new_zipfile_serialization=zipped)


JOINED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "npz": ("a.npz", _arrays),
    "pt": ("a.pt", _tensors),
    "pt of before 1.6": ("a.pt", partial(_tensors, zipped=False)),
    "arrow": ("a.arrow", _stream),
    "arrow of before 0.15": ("a.arrow", partial(_stream, use_legacy_format=True)),
    "feather": ("a.feather", _feather),
    "hdf5": ("a.h5", _datasets),
    "hdf5 of now": ("a.h5", partial(_datasets, version="latest")),
    "hdf5 of 1.8": ("a.h5", partial(_datasets, version="v108")),
    "hdf5 behind a header": ("a.h5", partial(_datasets, before=512)),
    "hdf5 behind much": ("a.h5", partial(_datasets, before=1 << 20)),
    "parquet": ("a.parquet", lambda path: pq.write_table(BATCHES, path)),
}


@pytest.mark.parametrize("form", JOINED)
def test_two_files_that_cat_has_joined_are_refused(tmp_path: Path, form: str) -> None:
    """Libraries read the first, or the last, and no more."""
    name, make = JOINED[form]
    make(tmp_path / name)
    assert len(mnistprep.read(tmp_path / name)) in (4, len(IMAGES))
    (tmp_path / name).write_bytes(2 * (tmp_path / name).read_bytes())
    with pytest.raises(
        FormatError, match=r"more than|another (HDF5|Parquet) file|something follows"
    ):
        mnistprep.read(tmp_path / name)


@pytest.mark.parametrize("first", [True, False])
def test_tensor_files_of_two_ages_in_one_are_refused(tmp_path: Path, first: bool) -> None:
    """PyTorch reads the one it finds."""
    for name, kind in (("a.pt", first), ("b.pt", not first)):
        _tensors(tmp_path / name, zipped=kind)
    (tmp_path / "c.pt").write_bytes(b"".join((tmp_path / n).read_bytes() for n in ("a.pt", "b.pt")))
    with pytest.raises(FormatError, match=r"more than|something follows"):
        mnistprep.read(tmp_path / "c.pt")


def test_parquet_with_the_pictures_of_another_file_is_refused(tmp_path: Path) -> None:
    """The footer of the second one fits the first one's pictures, which would come in silence."""
    path, data = tmp_path / "a.parquet", b""
    pixels = np.random.default_rng(1).integers(0, 256, (20, 36), dtype=np.uint8)
    for rows in (pixels, 255 - pixels):
        images = pa.array(list(rows), pa.list_(pa.uint8(), 36))
        table = pa.table({"image": images, "label": np.arange(20)})
        pq.write_table(table, path, compression="none", use_dictionary=False)
        assert np.array_equal(mnistprep.read(path).splits["train"].images.reshape(-1, 36), rows)
        data += path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(FormatError, match="another Parquet file follows the first at byte"):
        mnistprep.read(path)


def tree(top: Path, **splits: list[str]) -> Path:
    """A picture in each class folder of each split."""
    for split, names in splits.items():
        for k, name in enumerate(names):
            save(top / split / name / f"{split}.png", IMAGES[k])
    return top


ACCENTS = ["été", "hiver", "août"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([word.title() for word in WORDS], WORDS),
        (WORDS, ["zero", "one", "Two"]),
        (ACCENTS, [unicodedata.normalize("NFD", name) for name in ACCENTS]),
        (["0", "1", "2"], ["00", "01", "02"]),
        (["0", "1", "2"], ["digit_0", "digit_1", "digit_2"]),
        (WORDS, ["0", "1", "2"]),
    ],
)
def test_one_class_in_two_spellings_is_refused(
    tmp_path: Path, train: list[str], test: list[str]
) -> None:
    """Splits that call the same classes otherwise would have twice as many between them."""
    with pytest.raises(FormatError, match="the same"):
        mnistprep.read(tree(tmp_path / "t", train=train, test=test), workers=1)


def test_splits_without_a_common_class_are_told_of(tmp_path: Path) -> None:
    """Some sets are made so; `a` and `A` are letters of their own."""
    for k, (train, test) in enumerate([(list("abc"), list("ABC")), (["cat"], ["dog", "cow"])]):
        found, notes = told(tree(tmp_path / f"{k}", train=train, test=test))
        assert len(found.classes) == len(train + test)
        assert "train and test have no class in common" in notes
    found, notes = told(tree(tmp_path / "same", train=WORDS, test=WORDS[:3]))
    assert len(found.classes) == 4
    assert not notes


def tables(top: Path, **columns: tuple[list[object], np.ndarray]) -> Path:
    """A CSV for each split, of these labels and pixels."""
    top.mkdir()
    for split, (labels, pixels) in columns.items():
        frame(pixels=pixels).assign(label=labels).to_csv(top / f"{split}.csv", index=False)
    return top


def test_a_class_of_a_table_in_two_spellings_is_refused(tmp_path: Path) -> None:
    """A7 in one split and a7 in the other are one class."""
    upper, lower = ([f"{letter}{label}" for label in LABELS] for letter in "Aa")
    with pytest.raises(FormatError, match=r"'A\d' of train is 'a\d' in test"):
        mnistprep.read(tables(tmp_path / "t", train=(upper, FLAT), test=(lower, FLAT)))


def test_splits_of_two_scales_are_refused_until_one_is_given(tmp_path: Path) -> None:
    """0 and 1 are bytes for themselves, but black and white beside pixels divided by 255."""
    bits = (FLAT > 127).astype(int)
    path = tables(tmp_path / "t", train=(LABELS, bits), test=(LABELS, FLAT / 255))
    with pytest.raises(FormatError, match=r"of test are divided .* those of train .*scale=unit"):
        mnistprep.read(path)
    for scale, white in (("unit", 255), ("byte", 1)):
        found = mnistprep.read(path, scale=scale)
        assert np.array_equal(found.splits["train"].images.reshape(30, 25), bits * white)
        assert np.array_equal(found.splits["test"].images.reshape(30, 25), FLAT)


@pytest.mark.parametrize("first", [0, 1])
def test_one_hot_columns_from_1_are_told_of(tmp_path: Path, first: int) -> None:
    """label_1 becomes label 0, which is a name of another."""
    table = frame().drop(columns="label")
    for k in range(10):
        table.insert(k, f"label_{k + first}", (k == LABELS).astype(int))
    table.to_csv(tmp_path / "train.csv", index=False)
    said = "'label_1' to 'label_10' are read as labels 0 to 9" if first else ""
    same(tmp_path / "train.csv", notes=said)
    assert bool(told(tmp_path / "train.csv")[1]) == bool(first)


def test_compression_that_is_not_opened_is_named(tmp_path: Path) -> None:
    """LZMA alone is no pickle, and an xz of a dictionary beyond the limit is not damaged."""
    text = frame().to_csv(index=False).encode()
    alone, large = tmp_path / "train.csv.lzma", tmp_path / "train.csv.xz"
    alone.write_bytes(lzma.compress(text, lzma.FORMAT_ALONE))
    with pytest.raises(DetectionError, match=r"\.lzma, which is not opened; decompress it first"):
        mnistprep.read(alone)
    large.write_bytes(
        lzma.compress(text, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 300 << 20}])
    )
    with pytest.raises(FormatError, match=r"large dictionary; inflate it yourself"):
        mnistprep.read(large)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.csv").write_bytes(text)
    data = bytearray(zipped(tmp_path / "in", tmp_path / "a.zip").read_bytes())
    for place in (8, data.rindex(b"PK\1\2") + 10):  # in the header, in the directory
        data[place] = 9  # Deflate64
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FormatError, match=r"packed in a way that is not opened .*; unpack it"):
        mnistprep.read(tmp_path / "a.zip")


def few(labels: list[int], test: list[int] | None = None) -> Dataset:
    """Pictures of these labels, of ten classes."""
    splits = {"train": Split(IMAGES[: len(labels)], np.array(labels))}
    if test is not None:
        splits["test"] = Split(IMAGES[: len(test)], np.array(test, np.int64))
    return Dataset("few", splits, list("0123456789"))


def test_classes_that_other_readers_lose_are_told_of(tmp_path: Path) -> None:
    """Hugging Face numbers the class folders that hold pictures, whatever they are called."""
    notes = Notes()
    mnistprep.write(few([7, 8, 9]), tmp_path / "t", "imagefolder", progress=notes)
    assert "any split: Hugging Face leaves such classes out and numbers the other 3" in str(
        notes.notes
    )
    notes = Notes()
    options = {"layout": "metadata"}
    mnistprep.write(few([7], []), tmp_path / "m", "imagefolder", progress=notes, **options)
    assert notes.notes == ["test: no pictures; Hugging Face reads no layout=metadata with such"]


def test_hugging_face_numbers_folders_as_the_note_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels are lost where class folders are empty in every split."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    mnistprep.write(few([7, 8, 9]), tmp_path / "t", "imagefolder")
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "t"), cache_dir=str(tmp_path / "cache")
    )
    assert sorted(loaded["train"]["label"]) == [0, 1, 2]


@pytest.mark.parametrize("name", ["a.csv", "a.libsvm"])
def test_a_single_file_says_how_many_classes_it_keeps(tmp_path: Path, name: str) -> None:
    """Numbers for class names end with the last that has an example."""
    inked = Split(np.full((4, 5, 5), 9, np.uint8), np.array([0, 6, 2, 1]))
    notes = Notes()
    dataset = Dataset("d", {"train": inked}, list("0123456789"))
    mnistprep.write(dataset, tmp_path / name, progress=notes)
    assert f"{name}: will be read as 7 of the 10 classes" in str(notes.notes)
    assert len(mnistprep.read(tmp_path / name).classes) == 7
