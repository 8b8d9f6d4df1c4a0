"""CSV in folders as people have them: which files are splits, where labels are, what is told."""

from __future__ import annotations

import bz2
import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from csvtables import CHANCE, FLAT, IMAGES, LABELS, Notes, frame, same, save, text

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError, MnistprepError

TABLE = text(frame())
HALVES = {"train": slice(None, 20), "test": slice(20, None)}


def halves(path: Path) -> None:
    """The path is the first 20 pictures as train, the others as test."""
    assert formats.matches(path) == ["csv"]
    found = mnistprep.read(path)
    assert list(found.splits) == ["train", "test"]
    for name, rows in HALVES.items():
        split = found.splits[name]
        assert np.array_equal(split.images, IMAGES[rows])
        assert np.array_equal(split.labels, LABELS[rows])
        places = formats.get("csv").places(path, name, range(len(split)))
        assert len(set(places)) == len(split)


def part(rows: slice, **options: object) -> str:
    """Some of the rows."""
    return text(frame()[rows], **options)


def zipped(content: dict[str, str | bytes], path: Path) -> None:
    """A zip of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_zips_of_pandas_in_a_folder(tmp_path: Path) -> None:
    """A table alone in a zip is a table, whatever a Macintosh left beside it."""
    for name, rows in HALVES.items():
        frame()[rows].to_csv(tmp_path / f"mnist_{name}.csv.zip", index=False)
    halves(tmp_path)
    zipped(
        {"test.csv": part(HALVES["test"]), "__MACOSX/._test.csv": b"\0\5"},
        tmp_path / "mnist_test.csv.zip",
    )
    halves(tmp_path)


def test_copies_are_left_out(tmp_path: Path) -> None:
    """The same table once more, compressed or downloaded again, is no second one."""
    for name, rows in HALVES.items():
        (tmp_path / f"{name}.csv").write_text(part(rows))
        (tmp_path / f"{name} (1).csv").write_text(part(rows))
        zipped({f"{name}.csv": part(rows)}, tmp_path / f"{name}.csv.zip")
    said = Notes()
    mnistprep.read(tmp_path, progress=said)
    assert sum("the same as t" in note for note in said.notes) == 4
    halves(tmp_path)
    (tmp_path / "test (1).csv").write_text(part(HALVES["train"]))
    with pytest.raises(FormatError, match=r"test\.csv and test \(1\)\.csv are both test"):
        mnistprep.read(tmp_path)


def test_zips_that_are_no_table_are_said_to_be(tmp_path: Path) -> None:
    """Two files in a zip, and a zip that was cut, are refused with the reason."""
    save(tmp_path, TABLE)
    path = tmp_path / "test.csv.zip"
    zipped({"a.csv": TABLE, "b.csv": TABLE}, path)
    with pytest.raises(FormatError, match=r"test\.csv\.zip: a zip of 2 files, expected one table"):
        mnistprep.read(tmp_path)
    zipped({"a.csv": TABLE}, path)
    whole = path.read_bytes()
    for end in range(4, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(FormatError, match=r"test\.csv\.zip: .*(truncated|damaged|lease)"):
            mnistprep.read(tmp_path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_tables_that_were_cut(tmp_path: Path, pack: object) -> None:
    """The message says that the file is truncated, also where no other file is whole."""
    data = pack(TABLE.encode())  # type: ignore[operator]
    (tmp_path / "train.csv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"train\.csv\.gz: .* truncated"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize("names", ["{}.txt", "mnist_{}", "{}.dat", "{}.txt.gz"])
def test_pairs_of_any_name(tmp_path: Path, names: str) -> None:
    """Files that are called after their splits and hold rows are read, whatever they end in."""
    for name, rows in HALVES.items():
        data = part(rows, sep=" ", header=False).encode()
        path = tmp_path / names.format(name)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    (tmp_path / "README").write_text("About these files.\n")
    halves(tmp_path)


def test_files_of_uci(tmp_path: Path) -> None:
    """Rows in .tra are train and in .tes test."""
    for name, rows in (("digits.tra", HALVES["train"]), ("digits.tes", HALVES["test"])):
        (tmp_path / name).write_text(part(rows, header=False))
    (tmp_path / "digits.names").write_text("1. Title\n")
    halves(tmp_path)


def test_texts_that_are_no_rows_are_nobody_s_tables(tmp_path: Path) -> None:
    """Lists of pictures and of other files are no tables."""
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("a/0.png 3\na/1.png 4\na/2.png 5\n")
    assert formats.matches(tmp_path) == []


@pytest.mark.parametrize("names", ["{0}/{0}.csv", "{0}/data.csv", "mnist_{0}.csv/mnist_{0}.csv"])
def test_a_folder_for_each_table(tmp_path: Path, names: str) -> None:
    """A table alone in a folder is of the split that the folder is called after."""
    for name, rows in HALVES.items():
        path = tmp_path / names.format(name)
        path.parent.mkdir()
        path.write_text(part(rows))
    halves(tmp_path)


@pytest.mark.parametrize("column", ["split", "Usage", "set"])
@pytest.mark.parametrize("at", [0, 1, 26])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_column_that_says_the_split(tmp_path: Path, column: str, at: int, mixed: bool) -> None:
    """Rows are put into the splits that a column says, each in the order of the file."""
    table = frame()
    table.insert(at, column, ["Training"] * 20 + ["test"] * 10)
    if mixed:
        table = pandas.concat([table[25:], table[:20], table[20:25]])
    path = save(tmp_path, text(table), "all.csv")
    if not mixed:
        halves(path)
        return
    found = mnistprep.read(path).splits
    assert np.array_equal(found["train"].images, IMAGES[:20])
    order = [*range(25, 30), *range(20, 25)]
    assert np.array_equal(found["test"].images, IMAGES[order])
    assert np.array_equal(found["test"].labels, LABELS[order])
    assert formats.get("csv").places(path, "test", [0, 5]) == [
        f"{path}, line 2", f"{path}, line 27"
    ]  # fmt: skip


def test_a_split_that_is_none(tmp_path: Path) -> None:
    """Other words in the column are refused with their line; so are two columns."""
    table = frame()
    table.insert(0, "Usage", ["Training"] * 20 + ["PrivateTest"] * 10)
    path = save(tmp_path, text(table))
    with pytest.raises(FormatError, match=r"line 22: column 1 says the split 'PrivateTest', which"):
        mnistprep.read(path)
    table.insert(0, "set", "train")
    with pytest.raises(FormatError, match="'set' and 'Usage' could both be the split"):
        mnistprep.read(save(tmp_path, text(table)))


@pytest.mark.parametrize(
    "names", [("x_{}.csv", "y_{}.csv"), ("{}_images.csv", "{}_labels.csv"),
              ("X{}.csv", "Y{}.csv"), ("csv{}Images 30x25.csv", "csv{}Label 30x1.csv")],
)  # fmt: skip
@pytest.mark.parametrize("titles", [False, True])
def test_labels_in_files_of_their_own(tmp_path: Path, names: tuple[str, str], titles: bool) -> None:
    """Pictures and labels that lie side by side go together, row by row."""
    for name, rows in HALVES.items():
        word = name.title() if "csv{}" in names[0] else name
        table = frame()[rows]
        table.drop(columns="label").to_csv(
            tmp_path / names[0].format(word), index=False, header=titles
        )
        table["label"].to_csv(tmp_path / names[1].format(word), index=False, header=titles)
    if "X" in names[0]:
        return  # no end of the word: not asked for
    found = mnistprep.read(tmp_path)
    for name, rows in HALVES.items():
        assert np.array_equal(found.splits[name].images, IMAGES[rows])
        assert np.array_equal(found.splits[name].labels, LABELS[rows])


def test_labels_beside_pictures_that_do_not_fit(tmp_path: Path) -> None:
    """Another number of labels, and labels of pictures that have some, are refused."""
    pixels = frame().drop(columns="label")
    save(tmp_path, text(pixels), "x_train.csv")
    save(tmp_path, "\n".join(map(str, LABELS[:-1])), "y_train.csv")
    with pytest.raises(FormatError, match=r"y_train\.csv: 29 labels of 30 pictures beside it"):
        mnistprep.read(tmp_path)
    save(tmp_path, TABLE, "x_train.csv")
    with pytest.raises(FormatError, match=r"y_train\.csv: labels of x_train\.csv, which has its"):
        mnistprep.read(tmp_path)
    save(tmp_path, text(pixels), "x_train.csv")
    save(tmp_path, "\n".join(map(str, [*LABELS[:-1], -3])), "y_train.csv")
    with pytest.raises(FormatError, match=r"y_train\.csv, line 30: column 1 is '-3'"):
        mnistprep.read(tmp_path)


def test_row_names_of_r(tmp_path: Path) -> None:
    """write.table names no column for the names of rows, which are left out."""
    rows = [f'"{k + 1}" {line}' for k, line in enumerate(text(sep=" ", header=False).splitlines())]
    names = " ".join(f'"{name}"' for name in frame().columns)
    same(save(tmp_path, "\n".join([names, *rows]) + "\n", "digits.txt"), notes="without a name")
    bare = "\n".join([names, *rows]).replace('"', "")
    same(save(tmp_path, bare, "digits.txt"))


def test_columns_left_out_at_the_end(tmp_path: Path) -> None:
    """An index behind the pixels is no pixel."""
    table = frame()
    table["index"] = range(30)
    same(save(tmp_path, text(table)), notes="'index'")


def test_one_hot_labels_beside_background(tmp_path: Path) -> None:
    """Pixels that are always 0 are no more classes."""
    pixels = np.zeros((30, 784))
    pixels[:, 200:225] = FLAT / 255
    table = np.column_stack([np.eye(10)[LABELS], pixels])
    path = save(tmp_path, "\n".join(",".join(map(str, row)) for row in table))
    found = mnistprep.read(path)
    assert len(found.classes) == 10
    assert np.array_equal(found.splits["train"].images.reshape(30, 784)[:, 200:225], FLAT)
    assert np.array_equal(found.splits["train"].labels, LABELS)


def test_two_ends_that_could_be_labels(tmp_path: Path) -> None:
    """Rows without names whose first and last values are both small numbers are refused."""
    rows = np.column_stack([CHANCE.integers(1, 99, (30, 16)), CHANCE.integers(1, 10, 30)])
    path = save(tmp_path, "\n".join(",".join(map(str, row)) for row in rows))
    with pytest.raises(FormatError, match="the first and the last of 17 values a row could both"):
        mnistprep.read(path)


STRANGERS = {
    "title": ("MNIST export,,,\n" + TABLE, r"4 names of columns \(MNIST export,,,\) over rows"),
    "names twice": (TABLE.partition("\n")[0] + "\n" + TABLE, "line 2: column 2 is 'pixel0'"),
    "number signs": (TABLE.replace("pixel7", "pixel#"), "do not say which are pixels"),
    "octave": ("# Created by Octave 6.4.0\n# name: X\n 0 0 3\n 0 1 2\n", "save -v7"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_lines_that_do_not_belong_there(tmp_path: Path, kind: str) -> None:
    """What is not read is said with what it is."""
    content, reason = STRANGERS[kind]
    with pytest.raises(FormatError, match=reason):
        mnistprep.read(save(tmp_path, content))


@pytest.mark.parametrize("content", [b"404: Not Found", b'{"error": 403}', b"Access denied\n"])
def test_answers_of_servers_in_the_place_of_a_split(tmp_path: Path, content: bytes) -> None:
    """They are shown, and never left out."""
    save(tmp_path, TABLE)
    save(tmp_path, content, "test.csv")
    shown = content.decode().strip()
    with pytest.raises(MnistprepError) as caught:
        mnistprep.read(tmp_path)
    assert "test.csv" in str(caught.value)
    assert shown in str(caught.value) or "not data" in str(caught.value)
