"""CSV in every dialect that people have, and every number that is no pixel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, UnsupportedError

DIALECTS = ("none", "rowcol", "pixel0", "pixel1")
CHANCE = np.random.default_rng(0)
IMAGES = CHANCE.integers(0, 256, (40, 6, 6), dtype=np.uint8)
IMAGES[:, [0, -1], :] = 0  # as in MNIST, the edges are background
LABELS = np.append(3, CHANCE.integers(0, 4, 39))
SQUARE = Dataset(
    "x", {"train": Split(IMAGES, LABELS), "test": Split(IMAGES[:9], LABELS[:9])}, tuple("0123")
)


def same(path: Path, splits: tuple[str, ...] = ("train", "test")) -> None:
    """The path is a CSV that holds the pictures above."""
    assert formats.matches(path) == ["csv"]
    found = mnistprep.read(path)
    assert tuple(found.splits) == splits
    for name, split in found.splits.items():
        assert np.array_equal(split.images, SQUARE.splits[name].images)
        assert np.array_equal(split.labels, SQUARE.splits[name].labels)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int64)


def rows(label: int = 0, newline: str = "\n") -> str:
    """The training rows, with the label in that column."""
    table = np.insert(IMAGES.reshape(40, -1).astype(int), label, LABELS, axis=1)
    return newline.join(",".join(map(str, row)) for row in table) + newline


@pytest.mark.parametrize("sidecar", [True, False])
@pytest.mark.parametrize("header", DIALECTS)
def test_every_dialect_is_known_by_itself(tmp_path: Path, header: str, sidecar: bool) -> None:
    """Rows come back from each dialect, with sidecar and without, singly and together."""
    folder = mnistprep.write(SQUARE, tmp_path / "out", "csv", header=header)
    if not sidecar:
        (folder / "mnistprep.json").unlink()
    same(folder)
    same(folder / "mnist_train.csv", ("train",))
    same(folder / "mnist_test.csv", ("test",))


@pytest.mark.parametrize("ends", ["", "\n", "\r\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [True, False])
def test_line_ends_do_not_matter(tmp_path: Path, newline: str, ends: str, header: bool) -> None:
    """LF, CRLF and a missing newline at the end give the same rows; the first is never lost."""
    text = rows(newline=newline).removesuffix(newline) + ends
    if header:
        text = ",".join(["label", *(f"pixel{k}" for k in range(36))]) + newline + text
    (tmp_path / "train.csv").write_bytes(text.encode())
    same(tmp_path / "train.csv", ("train",))


@pytest.mark.parametrize("column", [0, 1, 17, 36])
def test_a_named_label_is_found_in_any_column(tmp_path: Path, column: int) -> None:
    """`label` may stand anywhere; `class`, `y` and quoted names will do."""
    for name in ("label", "Label", '"class"', "y", "target"):
        names = [f"pixel{k}" for k in range(36)]
        names.insert(column, name)
        (tmp_path / "train.csv").write_text(",".join(names) + "\n" + rows(column))
        same(tmp_path / "train.csv", ("train",))


def test_a_label_at_the_end_is_found_without_names(tmp_path: Path) -> None:
    """Where the first column is background and the last is not, the last is the label."""
    (tmp_path / "train.csv").write_text(rows(36))
    same(tmp_path / "train.csv", ("train",))


@pytest.mark.parametrize("column", [0, 36])
def test_rows_sorted_by_label_hide_the_label_column_from_nobody(
    tmp_path: Path, column: int
) -> None:
    """Where a file starts with hundreds of rows of class 0, its end shows where the label is."""
    labels = np.repeat([0, 1, 2], 400)
    table = np.zeros((1200, 37), int)
    table[:, 18] = 200
    table[:, column] = labels
    path = tmp_path / "train.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in table))
    assert mnistprep.read(path).splits["train"].labels.tolist() == labels.tolist()


@pytest.mark.parametrize("header", DIALECTS)
def test_one_class_with_ink_in_the_corner_stays_where_it_was(tmp_path: Path, header: str) -> None:
    """With the sidecar the label is known to come first, whatever the pixels look like."""
    images = np.full((5, 3, 5), 9, np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.zeros(5, int))}, ("only", "unused"))
    found = mnistprep.read(mnistprep.write(dataset, tmp_path / "x", "csv", header=header))
    assert found.digests() == dataset.digests()
    assert found.classes == dataset.classes


@pytest.mark.parametrize("column", [0, 3, 36])
@pytest.mark.parametrize("label", [0, 9, 10, 99, 100, 999, 1000, 65_536, 1_048_575])
def test_labels_of_any_width_in_any_column(tmp_path: Path, column: int, label: int) -> None:
    """Labels are not bound to three digits as pixels are."""
    names = [f"p{k}" for k in range(36)]
    names.insert(column, "label")
    row = [str(k) for k in range(100, 136)]
    lines = [",".join([*row[:column], str(k), *row[column:]]) for k in (label, 1, label)]
    path = tmp_path / "train.csv"
    path.write_text("\n".join([",".join(names), *lines]))
    split = mnistprep.read(path).splits["train"]
    assert split.labels.tolist() == [label, 1, label]
    assert split.images.reshape(3, -1).tolist() == [list(range(100, 136))] * 3


def test_every_pixel_value_is_read_in_every_column(tmp_path: Path) -> None:
    """All 256 values come back from first, middle and last column, beside one and three digits."""
    path = tmp_path / "train.csv"
    path.write_text("".join(f"5,{k},0,{k},{k}\n4,0,{k},199,{k}\n" for k in range(256)))
    split = mnistprep.read(path).splits["train"]
    expected = [row for k in range(256) for row in ([k, 0, k, k], [0, k, 199, k])]
    assert split.images.reshape(-1, 4).tolist() == expected
    assert split.labels.tolist() == [5, 4] * 256


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_blocks_may_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The size of the steps in which a file is read does not show in what is read."""
    from mnistprep.formats import _rows, csv

    monkeypatch.setattr(_rows, "BLOCK", size)
    monkeypatch.setattr(csv, "_SPAN", 3 * size)
    (tmp_path / "train.csv").write_text(rows(newline="\r\n").rstrip())
    same(tmp_path / "train.csv", ("train",))


BAD = {
    "too few values": ("1,2,3,4", "line 31: expected 37 values, found 4"),
    "too many values": (",".join("1" * 38), "line 31: expected 37 values, found 38"),
    "not a number": (",".join(["1"] * 36 + ["NaN"]), "line 31: column 37 is 'NaN', not a whole"),
    "an empty field": (",".join(["1"] * 35 + ["", "1"]), "line 31: column 36 is '', not a whole"),
    "a fraction": (",".join(["1", "0.5"] + ["1"] * 35), "line 31: column 2 is '0.5', not a whole"),
    "negative": (",".join(["1", "-5"] + ["1"] * 35), "line 31: column 2 is '-5', not a whole"),
    "negative label": (",".join(["-1"] + ["1"] * 36), "line 31: column 1 is '-1', not a whole"),
    "256": (",".join(["1", "256"] + ["1"] * 35), "line 31: column 2 is '256'; pixels end at 255"),
    "999": (",".join(["1"] * 36 + ["999"]), "line 31: column 37 is '999'; pixels end at 255"),
    "1000": (",".join(["1", "1000"] + ["1"] * 35), "line 31: column 2 is '1000'; pixels end at"),
    "2560": (",".join(["1"] * 36 + ["65537"]), "line 31: column 37 is '65537'; pixels end at"),
    "zeros": (",".join(["1", "007"] + ["1"] * 35), "line 31: column 2 is '007', with leading"),
    "double zero": (",".join(["1"] * 36 + ["00"]), "line 31: column 37 is '00', with leading"),
    "label zeros": (",".join(["01"] + ["1"] * 36), "line 31: column 1 is '01', with leading"),
    "huge label": (",".join(["2147483648"] + ["1"] * 36), "labels end at 2,147,483,647"),
    "huger label": (",".join(["9" * 30] + ["1"] * 36), "labels end at 2,147,483,647"),
    "many labels": (",".join(["2147483647"] + ["1"] * 36), "beyond the 1,048,576 classes"),
    "a stray return": (",".join(["1"] * 36 + ["1\r1"]), "line 31: column 37 is '1\\r1', not a"),
    "inner spaces": ("1 ,1 1" + ",1" * 35, "line 31: column 1 is '1 ', not a whole"),
    "semicolons": (";".join(["1"] * 37), "line 31: expected 37 values, found 1"),
    "another alphabet": (",".join(["1"] * 36 + ["٣"]), "line 31: column 37 is"),
    "a NUL": (",".join(["1"] * 36 + ["\0"]), "line 31: column 37 is '\\x00', not a whole"),
    "a long line": ("1" * 300, "line 31: longer than any row of 37 values"),
}


@pytest.mark.parametrize("header", [False, True], ids=["no header", "header"])
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_pixel_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, header: bool
) -> None:
    """The message has file, line and column; nothing is guessed, cut or dropped."""
    from mnistprep.formats import _rows, csv

    monkeypatch.setattr(_rows, "BLOCK", 160)
    monkeypatch.setattr(csv, "_SPAN", 320)
    line, message = BAD[kind]
    lines = rows().splitlines()
    lines[30] = line
    if header:
        lines[0] = ",".join(["label", *(f"pixel{k}" for k in range(36))])
    path = tmp_path / "train.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path, "csv")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_without_labels_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The Digit Recognizer's test.csv has no labels; its pixels are never taken for them."""
    path = tmp_path / "test.csv"
    pixels = "\n".join(",".join(map(str, image)) for image in IMAGES.reshape(40, -1))
    path.write_text(",".join(f"pixel{k}" for k in range(36)) + "\n" + pixels)
    with pytest.raises(FormatError, match="no column is called `label` among 36; read it with"):
        mnistprep.read(path)
    path.write_text(pixels)
    with pytest.raises(FormatError, match="36 values a row are a picture without a label"):
        mnistprep.read(path)


@pytest.mark.parametrize("header", DIALECTS)
def test_shapes_that_are_not_square_need_a_word(tmp_path: Path, header: str) -> None:
    """The rowcol header or the sidecar say the shape; without either the file is refused."""
    images = np.zeros((6, 3, 4), np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.arange(6))}, tuple("012345"))
    folder = mnistprep.write(dataset, tmp_path / "x", "csv", header=header)
    assert mnistprep.read(folder).shape == (3, 4)
    (folder / "mnistprep.json").unlink()
    if header == "rowcol":
        assert mnistprep.read(folder).shape == (3, 4)
    else:
        with pytest.raises(FormatError, match="12 pixels a row are not a square"):
            mnistprep.read(folder)


def test_one_file_holds_one_split_and_no_names(tmp_path: Path) -> None:
    """A target that ends in .csv takes one grey split without class names, and says so."""
    train = Dataset("x", {"train": SQUARE.splits["train"]}, SQUARE.classes)
    same(mnistprep.write(train, tmp_path / "train.csv"), ("train",))
    for dataset, message in (
        (SQUARE, "one .csv file holds one split, not train and test"),
        (Dataset("x", train.splits, ("a", "b", "c", "d")), "no place for class names"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            mnistprep.write(dataset, tmp_path / "other.csv")
    flat = Split(IMAGES.reshape(40, 4, 9), LABELS)
    wide = Dataset("x", {"train": flat}, SQUARE.classes)
    with pytest.raises(UnsupportedError, match="header=rowcol only"):
        mnistprep.write(wide, tmp_path / "other.csv", header="none")
    assert mnistprep.read(mnistprep.write(wide, tmp_path / "w_train.csv")).shape == (4, 9)
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == ["train.csv", "w_train.csv"]


def test_files_of_a_folder_are_named_after_their_split(tmp_path: Path) -> None:
    """Two different files of a split are refused; hidden ones, of macOS, do not count."""
    folder = mnistprep.write(SQUARE, tmp_path / "x", "csv")
    (folder / "._mnist_train.csv").write_bytes(b"\0\5\x16\7")
    same(folder)
    rows = (folder / "mnist_train.csv").read_bytes()
    (folder / "fashion_train.csv").write_bytes(rows + rows.partition(b"\n")[2])
    with pytest.raises(FormatError, match=r"mnist_train\.csv and fashion_train\.csv are both"):
        mnistprep.read(folder)


def test_large_pictures_are_recognised(tmp_path: Path) -> None:
    """A header or row longer than any buffer is still a header or row."""
    images = CHANCE.integers(0, 256, (3, 200, 210), dtype=np.uint8)
    dataset = Dataset("x", {"train": Split(images, np.arange(3))}, tuple("012"))
    for header in DIALECTS:
        folder = mnistprep.write(dataset, tmp_path / header, "csv", header=header)
        assert mnistprep.read(folder).digests() == dataset.digests()


@pytest.mark.parametrize(
    "text", ["a,b,c,d\nw,x,y,z\n", "ImageId,Label\n1,2\n2,0\n", "1;2;3;4\n", "1 2 3 4\n"]
)
def test_other_tables_are_not_pictures(tmp_path: Path, text: str) -> None:
    """Tables of words, of two columns or with other separators are not taken for pictures."""
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DetectionError, match="no format recognises"):
        mnistprep.read(tmp_path / "x.csv")


MEASURE = """
import pathlib, sys, mnistprep
found = mnistprep.read(sys.argv[1], "csv", workers=1)
status = pathlib.Path("/proc/self/status").read_text().split()
print(len(found.splits["train"]), int(status[status.index("VmHWM:") + 1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_sixty_thousand_rows_take_little_memory(tmp_path: Path) -> None:
    """Reading a training set of MNIST's size stays below 300 MB in all."""
    train = Dataset("x", {"train": mnistprep.load("synth").splits["train"]}, tuple("0123456789"))
    path = mnistprep.write(train, tmp_path / "train.csv")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    count, peak = map(int, done.stdout.split())
    assert count == 60_000
    assert peak < 300


def test_a_file_from_a_spreadsheet_reads(tmp_path: Path) -> None:
    """A byte-order mark, CRLF and empty lines at the end change nothing."""
    path = mnistprep.write(SQUARE, tmp_path / "x", "csv") / "mnist_train.csv"
    plain = mnistprep.read(path)
    text = path.read_bytes().replace(b"\n", b"\r\n")
    for start, end in ((b"\xef\xbb\xbf", b""), (b"", b"\r\n\r\n"), (b"\xef\xbb\xbf", b"\r\n")):
        path.write_bytes(start + text + end)
        assert mnistprep.read(path).digests() == plain.digests()


def test_a_table_beside_folders_is_not_taken_for_all_there_is(tmp_path: Path) -> None:
    """With a tree beside it, somebody's .csv is one of several datasets, and they are listed."""
    mnistprep.write(SQUARE, tmp_path / "tree", "imagefolder")
    (tmp_path / "stray.csv").write_text(rows())
    with pytest.raises(DetectionError, match=r"stray\.csv \(csv\), tree \(imagefolder\)"):
        mnistprep.read(tmp_path)


def test_names_of_files_are_names(tmp_path: Path) -> None:
    """-O name cannot lead out of the folder, nor give a split another's name."""
    for name in ("../x", "/tmp/x", "test", "", "a b"):
        with pytest.raises(mnistprep.errors.UsageError, match="letters"):
            mnistprep.write(SQUARE, tmp_path / "x", "csv", name=name)
    path = mnistprep.write(SQUARE, tmp_path / "x", "csv", name="latest")
    assert mnistprep.read(path).digests() == SQUARE.digests()
