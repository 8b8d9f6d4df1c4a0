"""CSV as other people write it: read exactly as it is, or refused with the true reason."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
from csvtables import CHANCE, FLAT, IMAGES, LABELS, WORDS, frame, same, save, text

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError

# Separators, quotes, line ends, encodings, compression


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("quoting", [0, 1, 2], ids=["least", "all", "words"])
@pytest.mark.parametrize("header", [True, False])
def test_separators_and_quotes(tmp_path: Path, separator: str, quoting: int, header: bool) -> None:
    """Five separators, with and without quotes and names."""
    same(save(tmp_path, text(sep=separator, quoting=quoting, header=header)))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", [True, False])
def test_line_ends_of_three_systems(tmp_path: Path, ends: str, header: bool) -> None:
    """LF, CRLF and lone CR end a line, at the end of the file or not."""
    plain = text(header=header).replace("\n", ends)
    same(save(tmp_path, plain))
    same(save(tmp_path, plain.removesuffix(ends)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_byte_order_marks(tmp_path: Path, encoding: str, ends: str) -> None:
    """UTF-8 and UTF-16 with a mark, as Excel saves them, read; UTF-16 without one is no text."""
    data = text(sep="\t").replace("\n", ends)
    marked = data if encoding in ("utf-8-sig", "utf-16") else "\ufeff" + data
    same(save(tmp_path, marked.encode(encoding)))
    if marked != data:
        with pytest.raises(FormatError, match="not plain text"):
            mnistprep.read(save(tmp_path, data.encode(encoding)), "csv")


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    """gzip, bzip2 and xz around a file, singly, in a folder, and under a name that hides it."""
    data = pack(text().encode())
    same(save(tmp_path, data, f"mnist_test.csv.{suffix}"))
    assert list(mnistprep.read(tmp_path).splits) == ["test"]
    same(save(tmp_path, data, "plain.csv"))
    for end in (5, 30, len(data) // 2, len(data) - 1):
        with pytest.raises(FormatError):
            mnistprep.read(save(tmp_path, data[:end], "cut.csv"), "csv")


def test_a_zip_of_files(tmp_path: Path) -> None:
    """A zip is opened, and its files are splits by their names."""
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for part in ("train", "validation", "test"):
            archive.writestr(f"data/{part}.csv", text())
    assert list(mnistprep.read(tmp_path / "archive.zip").splits) == ["train", "valid", "test"]


@pytest.mark.parametrize(
    "start", ["\n", "# made by hand\n", "sep=,\n", "# 30 rows\n\n#\n", "\ufeffsep=,\r\n"]
)
def test_lines_before_the_rows(tmp_path: Path, start: str) -> None:
    """Comments, empty lines and Excel's sep= may stand first."""
    same(save(tmp_path, start + text()))
    same(save(tmp_path, start + text(header=False)))


def test_empty_lines_and_comments_between_rows(tmp_path: Path) -> None:
    """They are left out and said, and the places of examples count them."""
    lines = text().split("\n")
    lines[7:7] = ["", "# more", ",,,"]
    path = save(tmp_path, "\n".join(lines))
    same(path, notes="3 empty lines and comments")
    places = formats.get("csv").places(path, "train", [0, 5, 6])
    assert [place.rpartition(" ")[2] for place in places] == ["2", "7", "11"]


def test_names_in_a_comment(tmp_path: Path) -> None:
    """numpy.savetxt writes its header behind a #; the names in it are names."""
    names = [f"pixel{k}" for k in range(25)] + ["label"]
    buffer = io.StringIO()
    np.savetxt(buffer, np.column_stack([FLAT, LABELS]), "%d", delimiter=",", header=",".join(names))
    same(save(tmp_path, buffer.getvalue()))


def test_spaces_around_numbers(tmp_path: Path) -> None:
    """Blanks after separators, columns in line, and a separator at the end change nothing."""
    table = np.column_stack([LABELS, FLAT])
    for width in ("%d", "%3d"):
        buffer = io.StringIO()
        np.savetxt(buffer, table, width, delimiter=", ")
        same(save(tmp_path, buffer.getvalue()))
        buffer = io.StringIO()
        np.savetxt(buffer, table, width, delimiter=" ")
        same(save(tmp_path, buffer.getvalue()))
    same(save(tmp_path, text().replace("\n", ",\n")))
    same(save(tmp_path, text(header=False).replace("\n", ",\n")))


# Columns


@pytest.mark.parametrize(
    "names", ["pixel{}", "px_{}", "x{}", "V{}", "{}", "pixel {}", "p.{}", "28x28_{}", "feature_{}"]
)
@pytest.mark.parametrize("first", [0, 1])
def test_any_naming_of_pixels(tmp_path: Path, names: str, first: int) -> None:
    """Whatever the pixels are called, they are in order; the label is where its name is."""
    table = frame(names, first)
    same(save(tmp_path, text(table)))
    last = table[[*table.columns[1:], "label"]].rename(columns={"label": "class"})
    same(save(tmp_path, text(last)))


@pytest.mark.parametrize("form", ["{}x{}", "{}_{}", "pixel_{}_{}", "r{}c{}", "({}, {})"])
@pytest.mark.parametrize("first", [0, 1])
def test_rows_and_columns_in_names_say_the_shape(tmp_path: Path, form: str, first: int) -> None:
    """Two numbers in a name are row and column, for pictures that are not square too."""
    names = [form.format(r + first, c + first) for r in range(5) for c in range(6)]
    images = CHANCE.integers(0, 256, (12, 30))
    table = pandas.DataFrame(images, columns=names)
    table.insert(3, "digit", np.arange(12) % 4)
    found = mnistprep.read(save(tmp_path, text(table)))
    assert found.shape == (5, 6)
    assert np.array_equal(found.splits["train"].images.reshape(12, 30), images)


@pytest.mark.parametrize("names", ["pixel{}", "{}", "x{}"])
def test_pixels_out_of_order_are_put_in_order(tmp_path: Path, names: str) -> None:
    """Columns sorted as text (pixel0, pixel1, pixel10, ...) are sorted back, and it is said."""
    table = frame(names)
    pixels = sorted(table.columns[1:])
    same(save(tmp_path, text(table[["label", *pixels]])), notes="in the order of their names")


def test_missing_and_doubled_pixels_are_refused(tmp_path: Path) -> None:
    """Names that skip a number, or have one twice, are no picture."""
    table = frame()
    gap = table.drop(columns="pixel7").assign(pixel25=0)
    with pytest.raises(FormatError, match="some are missing"):
        mnistprep.read(save(tmp_path, text(gap)))
    twice = text(table).replace("pixel7,", "pixel6,", 1)
    with pytest.raises(FormatError, match=r"some are missing|the name of one pixel"):
        mnistprep.read(save(tmp_path, twice))


@pytest.mark.parametrize("header", [True, False])
def test_a_column_that_counts_rows_is_left_out(tmp_path: Path, header: bool) -> None:
    """The index that pandas writes by default is no pixel; it is said to be left out."""
    table = frame()
    same(save(tmp_path, str(table.to_csv(header=header))), notes="left out")
    same(save(tmp_path, text(table.rename_axis("ImageId").reset_index())), notes="'ImageId'")
    shuffled = table.sample(frac=1, random_state=3)
    path = save(tmp_path, str(shuffled.to_csv()))
    found = mnistprep.read(path).splits["train"]
    assert np.array_equal(found.labels, shuffled["label"])
    with pytest.raises(FormatError, match="does not number the rows"):
        mnistprep.read(save(tmp_path, str(table.set_index(LABELS).to_csv())))


@pytest.mark.parametrize(
    "name", ["label", "Labels", "class", "Target", "y", "digit", "class_label", "Y_train", "letter"]
)
@pytest.mark.parametrize("at", [0, 11, 25])
def test_usual_names_of_labels(tmp_path: Path, name: str, at: int) -> None:
    """The label is found by any usual name in any column."""
    table = frame().drop(columns="label")
    table.insert(at, name, LABELS)
    same(save(tmp_path, text(table)))


def test_columns_of_numbers_with_the_label_at_either_end(tmp_path: Path) -> None:
    """Names that say nothing (V1, V2, ...; 0, 1, ...) leave the label to be found by its values."""
    for table in (np.column_stack([LABELS, FLAT]), np.column_stack([FLAT, LABELS])):
        for names in ("V{}", "x{}", "column{}"):
            columns = [names.format(k + 1) for k in range(26)]
            same(save(tmp_path, text(pandas.DataFrame(table, columns=columns))))
    wide = CHANCE.integers(0, 256, (9, 82))
    wide[:, 0] = np.arange(9) % 3
    path = save(tmp_path, text(pandas.DataFrame(wide)))
    assert np.array_equal(mnistprep.read(path).splits["train"].images.reshape(9, 81), wide[:, 1:])


def test_a_first_line_that_only_counts_is_refused_when_short(tmp_path: Path) -> None:
    """0,1,...,25 could be names or a picture; it is not guessed which."""
    table = pandas.DataFrame(np.column_stack([LABELS, FLAT]))
    with pytest.raises(FormatError, match="line 1: counts 0 to 25"):
        mnistprep.read(save(tmp_path, text(table)))


def test_names_that_pandas_made_of_a_picture_are_refused(tmp_path: Path) -> None:
    """A file read without header=None and saved again has lost its first picture."""
    bare = text(header=False)
    again = text(pandas.read_csv(io.StringIO(bare)))
    with pytest.raises(FormatError, match=r"line 1: .* a first picture that was read as names"):
        mnistprep.read(save(tmp_path, again))


def test_other_columns_are_not_taken_for_pixels(tmp_path: Path) -> None:
    """A column that is neither is named in the refusal; two labels are too many."""
    with pytest.raises(FormatError, match="columns 'fold' beside 25 like 'pixel0'"):
        mnistprep.read(save(tmp_path, text(frame().assign(fold=1))))
    with pytest.raises(FormatError, match="2 columns could be the label"):
        mnistprep.read(save(tmp_path, text(frame().assign(target=1))))


@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("kind", ["%d", "%.4f"])
def test_one_hot_labels(tmp_path: Path, where: str, kind: str) -> None:
    """Ten columns with a single 1 are the label, named or not, as in semeion and boone's files."""
    hot = np.eye(10, dtype=int)[LABELS]
    parts = [hot, FLAT] if where == "first" else [FLAT, hot]
    buffer = io.StringIO()
    np.savetxt(buffer, np.column_stack(parts), kind)
    same(save(tmp_path, buffer.getvalue().replace("\n", " \n")))
    table = frame().drop(columns="label")
    for k in range(10):
        table[f"label_{k}"] = hot[:, k]
    path = save(tmp_path, text(table))
    same(path)
    table.loc[11, "label_3"] = 1 - table.loc[11, "label_3"]
    with pytest.raises(FormatError, match="line 13: the 10 columns of the label must hold"):
        mnistprep.read(save(tmp_path, text(table)))


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("quoting", [0, 1])
def test_names_as_labels_become_classes(tmp_path: Path, header: bool, quoting: int) -> None:
    """Texts are classes in alphabetical order, over all splits, separators within quotes."""
    words = WORDS.astype(object)
    words[0] = 'boot, "ankle"'
    table = frame().assign(label=words[LABELS])
    data = text(table, header=header, quoting=quoting)
    save(tmp_path, data, "train.csv")
    save(tmp_path, text(table[:4], header=header), "test.csv")
    found = mnistprep.read(tmp_path)
    assert found.classes == tuple(sorted(set(words[LABELS])))
    for part, count in (("train", 30), ("test", 4)):
        split = found.splits[part]
        assert [found.classes[k] for k in split.labels] == list(words[LABELS][:count])
        assert np.array_equal(split.images, IMAGES[:count])


def test_labels_are_numbers_or_names(tmp_path: Path) -> None:
    """A word among numbers is a mistake, a missing label too; characters are classes."""
    for bad in ("seven", "", "NaN", "2.5"):
        labels = [str(k) for k in LABELS]
        labels[8] = bad
        with pytest.raises(FormatError, match=r"line 10: column 1 is .*, not a whole number"):
            mnistprep.read(save(tmp_path, text(frame().assign(label=labels))))
    characters = np.array(list("0123456789ABCDEFGHIJKLMNOPQRST"))
    for header in (True, False):
        data = text(frame().assign(label=characters), header=header)
        assert mnistprep.read(save(tmp_path, data)).classes == tuple(characters)
    same(save(tmp_path, text(frame().assign(label=LABELS.astype(float)))))


# Golden files


@pytest.mark.parametrize("file", sorted((Path(__file__).parent / "golden/csv-wild").iterdir()))
def test_golden_tables_of_other_tools(file: Path) -> None:
    """pandas' index, Excel's UTF-16, quotes in xz, polars' float32, one-hot, exponents."""
    (split,) = mnistprep.read(file).splits.values()
    assert (len(split), split.images.sum(), split.labels.sum()) == (6, 12_080, 25)
    assert np.array_equal(split.images.reshape(-1), (37 * np.arange(96) + 11) % 256)
    assert np.array_equal(split.labels, 7 * np.arange(6) % 10)
