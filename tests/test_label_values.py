"""Labels that are no plain numbers, or say two things: read as meant, refused, or said to a person.

What is never right is a label that changes because another one is odd.
"""

from __future__ import annotations

import decimal
import json
from pathlib import Path

import numpy as np
import pytest
from csvtables import FLAT
from csvtables import LABELS as DIGITS
from test_formats import Notes
from trees import IMAGES, LABELS, pictures, save

import mnistprep
from mnistprep import Dataset
from mnistprep.errors import FormatError

NAMES = [f"{k}.png" for k in range(len(LABELS))]
FIRST = LABELS.index(1)  # the picture whose label is made odd


def heap(folder: Path) -> Path:
    return pictures(folder / "x", lambda k, _: f"{k}.png")


def write(top: Path, kind: str, labels: list[object]) -> None:
    """The labels of the pictures in a file of that kind."""
    if kind == "labels.csv":
        lines = [f"{name},{label}\n" for name, label in zip(NAMES, labels, strict=True)]
        (top / kind).write_text("".join(["file,label\n", *lines]))
    elif kind == "labels.txt":
        (top / kind).write_text("".join(f"{label}\n" for label in labels))
    elif kind == "metadata.jsonl":
        pairs = zip(NAMES, labels, strict=True)
        lines = [json.dumps({"file_name": name, "label": label}) + "\n" for name, label in pairs]
        (top / kind).write_text("".join(lines))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"file_name": NAMES, "label": labels}), top / kind)


def right(found: Dataset) -> None:
    """Every picture has its number for a label, but the first 1, which may have none."""
    labels = found.splits["train"].labels.tolist()
    assert [
        k for k, (one, other) in enumerate(zip(labels, LABELS, strict=True)) if one != other
    ] in (
        [],
        [FIRST],
    )


KINDS = ["labels.csv", "labels.txt", "metadata.jsonl", "metadata.parquet"]


@pytest.mark.parametrize(
    ("kind", "form"),
    [("labels.csv", form) for form in ("{}.0", "{}.", "{}.000000", "{:.18e}", "{}e0", "0{}")]
    + [(kind, "{}.0") for kind in KINDS[1:]],
)
def test_numbers_with_a_point_are_numbers(tmp_path: Path, kind: str, form: str) -> None:
    """3.0 is label 3, as pandas writes a column that has a gap, and 3e0 as NumPy does."""
    write(top := heap(tmp_path), kind, [form.format(label) for label in LABELS])
    right(found := mnistprep.read(top))
    assert found.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("kind", "odd"),
    [("labels.csv", odd) for odd in ("-1", "nan", "NaN", "null", "None", "-1.0", "-2", "?", "N/A")]
    + [(kind, "-1") for kind in KINDS[1:]],
)
def test_a_missing_label_moves_no_other(tmp_path: Path, kind: str, odd: str) -> None:
    """-1, nan and the like among numbers are pictures without a label: refused, or asked for."""
    labels = [odd if k == FIRST else str(label) for k, label in enumerate(LABELS)]
    write(top := heap(tmp_path), kind, labels)
    with pytest.raises(FormatError, match=rf"/{FIRST}\.png and 0 more pictures have no label"):
        mnistprep.read(top)
    right(found := mnistprep.read(top, unlabelled=True))
    assert found.classes == (*"0123456789", "unlabelled")


@pytest.mark.parametrize("odd", [-1, None, float("nan")])
@pytest.mark.parametrize("kind", ["metadata.jsonl", "metadata.parquet"])
def test_a_missing_value_moves_no_other(tmp_path: Path, kind: str, odd: object) -> None:
    """The same as values: -1, null and NaN."""
    values = [odd if k == FIRST else label for k, label in enumerate(LABELS)]
    if isinstance(odd, float):
        values = [float(value) for value in values]  # type: ignore[arg-type]
    write(top := heap(tmp_path), kind, values)
    with pytest.raises(FormatError, match=rf"/{FIRST}\.png and 0 more pictures have no label"):
        mnistprep.read(top)
    right(mnistprep.read(top, unlabelled=True))


def test_none_is_a_name_among_names(tmp_path: Path) -> None:
    """A class called none beside cat and dog is one, as are 1.5 and 2.0."""
    words = ["none", "cat", "dog"]
    write(top := heap(tmp_path), "labels.csv", [words[label % 3] for label in LABELS])
    assert mnistprep.read(top).classes == ("cat", "dog", "none")
    words = ["1.0", "1.5", "2.0"]
    write(top, "labels.csv", [words[label % 3] for label in LABELS])
    assert mnistprep.read(top).classes == ("1.0", "1.5", "2.0")


def test_a_class_folder_of_none_moves_no_other(tmp_path: Path) -> None:
    """Pictures in -1/ beside 0/ to 9/ have no label; an empty -1/ is no class."""
    top = pictures(tmp_path / "x", lambda k, label: f"{label}/{k}.png")
    (top / "-1").mkdir()
    assert mnistprep.read(top).classes == tuple("0123456789")
    save(top / "-1" / "a.png", IMAGES[0] ^ 255)
    with pytest.raises(FormatError, match=r"-1/a\.png .* have no label: '-1' among numbers"):
        mnistprep.read(top)
    found = mnistprep.read(top, unlabelled=True)
    assert found.classes == (*"0123456789", "unlabelled")
    assert np.array_equal(found.splits["train"].labels, [*sorted(LABELS), 10])


@pytest.mark.parametrize("kind", ["folders", "labels.csv"])
def test_numbers_that_become_names_are_said(tmp_path: Path, kind: str) -> None:
    """A class `unknown` beside numbers makes names of all; a note says which label is which."""
    words = ["unknown" if label == 2 else label for label in LABELS]
    top, notes = tmp_path / "x", Notes()
    if kind == "folders":
        pictures(top, lambda k, _: f"{words[k]}/{k}.png")
    else:
        write(heap(tmp_path), kind, words)
    found = mnistprep.read(top, progress=notes)
    assert found.classes == (*"0145679", "unknown")
    (note,) = [note for note in notes.notes if "read as names, not as numbers" in note]
    assert "as 'unknown' is none: '4' is label 2, '5' is label 3" in note


def test_names_in_a_list_of_arff_are_said(tmp_path: Path) -> None:
    """A class that is no number in ARFF's list moves the numbers behind it, with a note."""
    head = "@relation x\n@attribute p1 real\n@attribute class {-1,0,1,2}\n@data\n"
    (tmp_path / "x.arff").write_text(head + "5,0\n6,2\n")
    notes = Notes()
    found = mnistprep.read(tmp_path / "x.arff", progress=notes)
    assert [found.classes[k] for k in found.splits["train"].labels] == ["0", "2"]
    assert any("as '-1' is none: '-1' is label 0, '0' is label 1" in note for note in notes.notes)


def test_numbers_with_a_point_are_numbers_in_arff_too(tmp_path: Path) -> None:
    """Texts 0.0, 3.0 and 9.0 are these labels; in a list they are names, and a note says so."""
    rows = "@data\n5,0.0\n6,3.0\n7,9.0\n"
    for kind, labels, said in (("string", [0, 3, 9], False), ("{0.0,3.0,9.0}", [0, 1, 2], True)):
        head = f"@relation x\n@attribute p1 real\n@attribute class {kind}\n"
        (tmp_path / "x.arff").write_text(head + rows)
        notes = Notes()
        found = mnistprep.read(tmp_path / "x.arff", progress=notes)
        assert found.splits["train"].labels.tolist() == labels
        assert any("'3.0' is label 1" in note for note in notes.notes) == said


@pytest.mark.parametrize(
    "value", [[3, 7], [3], {"id": 3}, {}, 2.5, float("inf")], ids=lambda value: repr(value)
)
def test_values_that_are_no_labels_are_refused(tmp_path: Path, value: object) -> None:
    """Lists, objects and fractions are not made into names of classes."""
    write(heap(tmp_path), "metadata.jsonl", [value if v == 9 else v for v in LABELS])
    with pytest.raises(FormatError, match=r"metadata\.jsonl, row 8: the label is .*; expected a"):
        mnistprep.read(tmp_path / "x")


@pytest.mark.parametrize(
    "change", [lambda v: b"%d" % v, lambda v: [v], lambda v: {"id": v}, decimal.Decimal]
)
def test_values_of_parquet_that_are_no_labels_are_refused(tmp_path: Path, change: object) -> None:
    """Bytes, lists and structures are not made into names of classes."""
    write(heap(tmp_path), "metadata.parquet", [change(v) for v in LABELS])  # type: ignore[operator]
    with pytest.raises(FormatError, match=r"metadata\.parquet, row 1: the label is .*7"):
        mnistprep.read(tmp_path / "x")


def test_columns_that_are_not_read_are_said(tmp_path: Path) -> None:
    """Of label,fine without names of pictures, and of more columns with them."""
    top = heap(tmp_path)
    for title, row in (("label,fine", "{v},a{k}"), ("file,fine,label", "{k}.png,{k},{v}")):
        lines = [row.format(k=k, v=v) for k, v in enumerate(LABELS)]
        (top / "labels.csv").write_text("\n".join([title, *lines]))
        notes = Notes()
        right(mnistprep.read(top, progress=notes))
        assert any("columns that are not read: 'fine'" in note for note in notes.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", '{"0.png": 1, "1.png": 2, "0.png": 3}'),
        ("metadata.jsonl", '{"file_name": "0.png", "label": 1, "label": 2}\n'),
    ],
)
def test_a_label_that_is_there_twice_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """JSON may say two labels of a picture, of which readers take the last."""
    (heap(tmp_path) / name).write_text(text)
    with pytest.raises(FormatError, match=rf"{name}.*: '(0\.png|label)' is there twice; keep one"):
        mnistprep.read(tmp_path / "x")


def test_two_ways_of_writing_a_number_are_one_class(tmp_path: Path) -> None:
    """3, 03 and 3.0 in a file of labels are the same."""
    forms = ("{}", "0{}", "{}.0")
    labels = [forms[k % 3].format(label) for k, label in enumerate(LABELS)]
    write(top := heap(tmp_path), "labels.csv", labels)
    right(found := mnistprep.read(top))
    assert found.classes == tuple("0123456789")


def test_decimal_commas_are_points(tmp_path: Path) -> None:
    """3,0 is label 3, as half of Europe writes a column with a gap."""
    rows = [f"{name}\t{label},0\n" for name, label in zip(NAMES, LABELS, strict=True)]
    (heap(tmp_path) / "labels.tsv").write_text("".join(["file\tlabel\n", *rows]))
    right(mnistprep.read(tmp_path / "x"))


def test_a_name_above_labels_alone_is_pointed_at(tmp_path: Path) -> None:
    """labels.txt with one line more than pictures, the first of which may be a name."""
    write(top := heap(tmp_path), "labels.txt", [0, *LABELS])
    with pytest.raises(FormatError, match=r"25 labels for 24 pictures; if line 1, '0', is the na"):
        mnistprep.read(top)


# Class folders and a file of labels


def listed(top: Path, labels: list[object], folder: str = "{label}") -> Path:
    """Class folders in train/, and labels.csv of all pictures."""
    paths = [f"train/{folder.format(label=v, k=k % 3)}/{k}.png" for k, v in enumerate(LABELS)]
    pictures(top, lambda k, _: paths[k])
    rows = [f"{path},{label}\n" for path, label in zip(paths, labels, strict=True)]
    (top / "labels.csv").write_text("".join(["file,label\n", *rows]))
    return top


@pytest.mark.parametrize("folder", ["{label}", "{label:02}", "digit_{label}"])
def test_a_file_of_labels_that_contradicts_its_folders_is_refused(
    tmp_path: Path, folder: str
) -> None:
    """The first picture whose folder is another class is named; where all agree they are read."""
    right(mnistprep.read(listed(tmp_path / "x", LABELS, folder)))
    labels = [4 if k == 8 else label for k, label in enumerate(LABELS)]
    assert LABELS[8] == 5
    with pytest.raises(FormatError, match=r"5/8\.png and 0 more .* here '4'; correct one of them"):
        mnistprep.read(listed(tmp_path / "y", labels, folder))
    with pytest.raises(FormatError, match=r"7/0\.png and 23 more pictures are in folders"):
        mnistprep.read(listed(tmp_path / "z", [(label + 1) % 10 for label in LABELS], folder))


def test_names_of_classes_may_contradict_too(tmp_path: Path) -> None:
    """Folders cat and dog against a label of the other."""
    words = ["cat" if label % 2 else "dog" for label in LABELS]
    top = tmp_path / "x"
    pictures(top, lambda k, _: f"{words[k]}/{k}.png")
    rows = [f"{word}/{k}.png,{word.title()}\n" for k, word in enumerate(words)]
    (top / "labels.csv").write_text("".join(["file,label\n", *rows]))
    assert mnistprep.read(top).classes == ("Cat", "Dog")
    rows[5] = rows[5].replace(",Cat", ",Dog")
    (top / "labels.csv").write_text("".join(["file,label\n", *rows]))
    with pytest.raises(FormatError, match=r"cat/5\.png and 0 more .* here 'Dog'"):
        mnistprep.read(top)


@pytest.mark.parametrize("folder", ["images", "part{k}", "batch_{k}", "writer {k}"])
def test_folders_that_are_no_classes_contradict_nothing(tmp_path: Path, folder: str) -> None:
    """Heaps, parts and writers are not labels, and the file alone says those."""
    right(mnistprep.read(listed(tmp_path / "x", LABELS, folder)))


# Labels beside a table


def test_a_name_that_pandas_gave_a_list_is_pointed_at(tmp_path: Path) -> None:
    """A list of one label more than pictures, below the name 0, is refused with that reason."""
    rows = ["".join(f",p{k}" for k in range(25))[1:], *(",".join(map(str, row)) for row in FLAT)]
    (tmp_path / "x_train.csv").write_text("\n".join(rows))
    labels = "\n".join(map(str, DIGITS))
    (tmp_path / "y_train.csv").write_text(f"0\n{labels}\n")
    with pytest.raises(FormatError, match=r"31 labels of 30 .*; if line 1, '0', is the name of"):
        mnistprep.read(tmp_path)
    (tmp_path / "y_train.csv").write_text(f"label\n{labels}\n")
    assert np.array_equal(mnistprep.read(tmp_path).splits["train"].labels, DIGITS)
