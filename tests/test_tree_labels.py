"""Files that say the labels of pictures in a tree, as people have them beside or around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_formats import Notes
from trees import IMAGES, LABELS, NAMES, RIGHT, by_pixels, pictures, save, zipped

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError

# Files of labels


def csv_rows(separator: str, header: str | None) -> str:
    rows = [] if header is None else [header]
    rows += [f"{k}.png{separator}{label}" for k, label in enumerate(LABELS)]
    return "\n".join(rows) + "\n"


FILES: dict[str, tuple[str, str]] = {
    "headed": ("labels.csv", csv_rows(",", "filename,label")),
    "annotations": ("annotations.csv", csv_rows(";", "image;class_id")),
    "no header": ("labels.csv", csv_rows(",", None)),
    "odd header": ("labels.csv", csv_rows(",", "what,which")),
    "tabs": ("labels.tsv", csv_rows("\t", "file\tdigit")),
    "caffe": ("train.txt", csv_rows(" ", None)),
    "caffe paths": (
        "train.txt",
        "".join(f"/home/me/x/{k}.png {v}\n" for k, v in enumerate(LABELS)),
    ),
    "windows": ("labels.csv", "\ufeff" + csv_rows(",", "file,label").replace("\n", "\r\n")),
    "ids": ("trainLabels.csv", "id,label\n" + "".join(f"{k},{v}\n" for k, v in enumerate(LABELS))),
    "order": ("label.txt", "".join(f"{label}\n" for label in LABELS)),
    "metadata.csv": ("metadata.csv", csv_rows(",", "file_name,label")),
    "metadata.jsonl": (
        "metadata.jsonl",
        "".join(f'{{"file_name": "{k}.png", "label": {v}}}\n' for k, v in enumerate(LABELS)),
    ),
    "more columns": (
        "labels.csv",
        "width,path,label\n" + "".join(f"5,{k}.png,{v}\n" for k, v in enumerate(LABELS)),
    ),
}


@pytest.mark.parametrize("place", ["beside", "above", "in a split", "zip"])
@pytest.mark.parametrize("kind", FILES)
def test_files_of_labels_are_read(tmp_path: Path, kind: str, place: str) -> None:
    """Tables and lists of labels, beside flat pictures or around a folder of them, in order."""
    name, text = FILES[kind]
    top = tmp_path / "x"
    folder = {"above": top / "images", "in a split": top / "train"}.get(place, top)
    pictures(folder, lambda k, _: f"{k}.png")
    (folder if place == "in a split" else top).joinpath(name).write_text(text, newline="")
    path = zipped(top, tmp_path / "y.zip") if place == "zip" else top
    assert formats.matches(path) == ["imagefolder"]
    split = mnistprep.read(path).splits["train"]
    assert split.labels.tolist() == LABELS
    assert np.array_equal(split.images, IMAGES)


def test_metadata_in_parquet_is_read(tmp_path: Path) -> None:
    """Hugging Face's metadata.parquet, with names for labels."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    names = [f"{k}.png" for k in range(len(LABELS))]
    table = pyarrow.table({"file_name": names, "label": [f"n{label}" for label in LABELS]})
    parquet.write_table(table, top / "metadata.parquet")
    found = mnistprep.read(top)
    assert [found.classes[k] for k in found.splits["train"].labels] == [f"n{x}" for x in LABELS]
    (top / "metadata.parquet").write_bytes((top / "metadata.parquet").read_bytes()[:-20])
    with pytest.raises(FormatError, match=r"metadata\.parquet: not a parquet file"):
        mnistprep.read(top)


def test_metadata_of_a_classlabel_have_its_names(tmp_path: Path) -> None:
    """What `datasets` writes: numbers, and in the file's metadata what they stand for."""
    datasets = pytest.importorskip("datasets")
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    names = [f"n{9 - k}" for k in range(10)]
    features = datasets.Features(
        {"file_name": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    )
    rows = {"file_name": [f"{k}.png" for k in range(len(LABELS))], "label": LABELS}
    datasets.Dataset.from_dict(rows, features).to_parquet(top / "metadata.parquet")
    found = mnistprep.read(top)
    assert [found.classes[k] for k in found.splits["train"].labels] == [names[x] for x in LABELS]


@pytest.mark.parametrize(
    ("fault", "words"), [("extension", "extension type"), ("rows", "max-bytes"), ("twice", "two")]
)
def test_metadata_in_parquet_that_would_harm_are_refused(
    tmp_path: Path, fault: str, words: str
) -> None:
    """What makes pyarrow end the process, or a few bytes many rows."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    names, labels = [[f"{k}.png" for k in range(len(LABELS))], LABELS]
    titles = ["file_name", "label"]
    columns = [pyarrow.array(names), pyarrow.array(labels)]
    if fault == "extension":
        kind = pyarrow.opaque(pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "a", "b")
        columns[0] = pyarrow.ExtensionArray.from_storage(kind, columns[0].dictionary_encode())
    elif fault == "rows":
        columns = [pyarrow.nulls(12_000_000, pyarrow.bool_())] * 2
    else:
        columns, titles = [*columns, columns[1]], [*titles, "label"]
    parquet.write_table(pyarrow.table(columns, titles), top / "metadata.parquet")
    with pytest.raises(FormatError, match=rf"metadata\.parquet: .*{words}"):
        mnistprep.read(top)


def test_lists_of_splits_share_a_heap(tmp_path: Path) -> None:
    """train.txt and test.txt, as Caffe has them, divide one folder of pictures."""
    top = pictures(tmp_path / "x" / "images", lambda k, _: f"{k}.png").parent
    for name, span in (("train", range(20)), ("test", range(20, 24))):
        lines = [f"images/{k}.png {LABELS[k]}\n" for k in span]
        (top / f"{name}.txt").write_text("".join(lines))
    found = mnistprep.read(top)
    assert np.array_equal(found.splits["train"].images, IMAGES[:20])
    assert np.array_equal(found.splits["test"].images, IMAGES[20:])
    assert found.splits["test"].labels.tolist() == LABELS[20:]


@pytest.mark.parametrize("name", ["train_labels.csv", "labels.csv"])
def test_a_file_above_the_splits_is_of_one_or_of_all(tmp_path: Path, name: str) -> None:
    """train_labels.csv is of train alone; labels.csv lists the pictures of all by path."""
    top = tmp_path / "x"
    pictures(top / "train", lambda k, _: f"{k}.png")
    save(top / "test" / "0.png", IMAGES[0])
    start = "" if name.startswith("train") else "train/"
    rows = [f"{start}{k}.png,{label}\n" for k, label in enumerate(LABELS)]
    (top / name).write_text("".join(["name,label\n", *rows]))
    if start:
        (top / name).write_text("".join(["name,label\n", *rows, "test/0.png,7\n"]))
    else:
        (top / "test_labels.csv").write_text("name,label\n0.png,7\n")
    found = mnistprep.read(top)
    assert found.splits["train"].labels.tolist() == LABELS
    assert found.splits["test"].labels.tolist() == [7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("3.png", "33.png", 1), r"lists '33\.png' \(row 4\)"),
        (lambda t: t.replace("5.png,1\n", "", 1), r"5\.png and 0 more pictures are in no file"),
        (lambda t: t + "0.png,7\n", r"'0\.png' is listed twice"),
        (lambda t: t.replace("4.png,4", "4.png,", 1), r"4\.png and 0 more pictures have no label"),
        (lambda t: t.replace("4.png,4", "4.png,4,4", 1), "row 6: 3 values, the first row has 2"),
        (lambda t: t + "\xff", r"labels\.csv, row 26: 1 values|labels\.csv: "),
        (lambda t: "0,1,2\n", r"labels\.csv|have no label"),
    ],
)
def test_files_of_labels_must_fit(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    """A picture that is missing, extra, listed twice or without a label is named."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    (top / "labels.csv").write_text(change(FILES["headed"][1]))
    with pytest.raises(FormatError, match=message):
        mnistprep.read(top)


def test_too_few_labels_in_order_are_refused(tmp_path: Path) -> None:
    """A label a line needs a line for every picture."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    (top / "labels.txt").write_text("1\n2\n")
    with pytest.raises(FormatError, match="2 labels for 24 pictures"):
        mnistprep.read(top)


def test_a_list_of_class_names_beside_class_folders_is_no_file_of_labels(tmp_path: Path) -> None:
    """labels.txt with ten names, as TensorFlow keeps it, changes nothing."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    (top / "labels.txt").write_text("".join(f"{k}\n" for k in range(10)))
    assert by_pixels(mnistprep.read(top).splits["train"]) == RIGHT


# What people have beside pictures


PAIRS = [(f"{k}.png", label) for k, label in enumerate(LABELS)]
TABLES = {
    "labels.json": dict(PAIRS),
    "annotations.json": [{"file_name": name, "label": label} for name, label in PAIRS],
    "train.json": {name: {"label": label, "width": 5} for name, label in PAIRS},
}


@pytest.mark.parametrize("name", TABLES)
def test_labels_in_json_are_read(tmp_path: Path, name: str) -> None:
    """Names with their labels, or a list of objects, in order."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    (top / name).write_text(json.dumps(TABLES[name]))
    split = mnistprep.read(top).splits["train"]
    assert split.labels.tolist() == LABELS
    assert np.array_equal(split.images, IMAGES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("annotations.json", b'{"images": [], "annotations": []}', r"annotations\.json: COCO"),
        ("annotations/instances.json", b"{}", r"instances\.json is no list of names and labels"),
        ("labels.xlsx", b"PK\3\4", r"labels\.xlsx is no list of names and labels"),
        ("labels.mat", b"MATLAB", r"labels\.mat is no list of names and labels"),
        ("labels.csv", b"", r"labels\.csv: an empty file"),
        ("labels.csv", b"<!DOCTYPE html><html>", r"labels\.csv: a web page"),
        ("labels.csv", b"version https://git-lfs.github.com/spec/v1", r"csv: a Git LFS pointer"),
        ("labels.csv", "file,label".encode("utf-16"), "no UTF-8 text but UTF-16"),
    ],
)
def test_labels_that_are_not_read_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """A file that holds the labels in a form that is not read, or is none, is the reason."""
    top = pictures(tmp_path / "x" / "images", lambda k, _: f"{k}.png").parent
    (top / name).parent.mkdir(exist_ok=True)
    (top / name).write_bytes(content)
    with pytest.raises(FormatError, match=message):
        mnistprep.read(top, "imagefolder")


def split_column(top: Path, words: tuple[str, str]) -> Path:
    pictures(top / "images", lambda k, _: f"{k}.png")
    rows = [f"{k}.png,{label},{words[k >= 20]}\n" for k, label in enumerate(LABELS)]
    (top / "labels.csv").write_text("".join(["filename,label,split\n", *rows]))
    return top


def test_a_column_divides_a_heap_into_splits(tmp_path: Path) -> None:
    """A column `split` with train and test in it is followed, not passed over."""
    found = mnistprep.read(split_column(tmp_path / "x", ("Train", "TEST")))
    assert np.array_equal(found.splits["train"].images, IMAGES[:20])
    assert found.splits["test"].labels.tolist() == LABELS[20:]


def test_a_column_of_other_words_is_said(tmp_path: Path) -> None:
    """Folds a and b are no splits; a note says that the column is not read."""
    notes = Notes()
    found = mnistprep.read(split_column(tmp_path / "x", ("a", "b")), progress=notes)
    assert len(found.splits["train"]) == len(LABELS)
    assert any("a column of splits is not read: 'a' is none" in note for note in notes.notes)


def test_a_column_must_agree_with_folders(tmp_path: Path) -> None:
    """A picture in train/ that its row calls test is refused."""
    top = tmp_path / "x"
    for split in ("train", "test"):
        pictures(top / split, lambda k, _: f"{k}.png")
        rows = [f"{k}.png,{label},test\n" for k, label in enumerate(LABELS)]
        (top / split / "labels.csv").write_text("".join(["filename,label,split\n", *rows]))
    with pytest.raises(FormatError, match="is test, by its folder or the name of this file train"):
        mnistprep.read(top)


@pytest.mark.parametrize("header", ["filename\n", ""])
def test_names_alone_are_no_labels(tmp_path: Path, header: str) -> None:
    """A test.csv that only lists the pictures of a test gives them no labels."""
    top = pictures(tmp_path / "x" / "train", lambda k, _: f"{k}.png").parent
    (top / "train.csv").write_text(csv_rows(",", "filename,label"))
    for k in range(3):
        save(top / "test" / f"{k}.png", IMAGES[k])
    (top / "test.csv").write_text(header + "".join(f"{k}.png\n" for k in range(3)))
    with pytest.raises(FormatError, match="have no label"):
        mnistprep.read(top)
    found = mnistprep.read(top, unlabelled=True)
    assert found.splits["test"].labels.tolist() == [10, 10, 10]


def test_lists_of_names_beside_class_folders_are_refused(tmp_path: Path) -> None:
    """A test.txt of some pictures in class folders would divide them; that is not read."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    (top / "test.txt").write_text(f"{LABELS[0]}/0.png\n")
    with pytest.raises(FormatError, match=r"test\.txt: says which pictures are test"):
        mnistprep.read(top)


def test_tables_around_a_folder_of_splits(tmp_path: Path) -> None:
    """Images/train and Images/test with train.csv and test.csv above them, as contests have it."""
    top = tmp_path / "x"
    for split in ("train", "test"):
        pictures(top / "Images" / split, lambda k, _: f"{k}.png")
        (top / f"{split}.csv").write_text(csv_rows(",", "filename,label"))
    found = mnistprep.read(zipped(top, tmp_path / "y.zip"))
    for split in ("train", "test"):
        assert found.splits[split].labels.tolist() == LABELS
        assert np.array_equal(found.splits[split].images, IMAGES)
