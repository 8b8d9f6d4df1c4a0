"""ARFF: every way in which people have it, and what a file can hold."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_formats import Notes, content, numbered, split

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import _textrows
from mnistprep.formats import arff as arff_format

SMALL = Dataset("x", {"train": split(9, (4, 4)), "test": split(5, (4, 4), seed=2)}, numbered(3))
TRAIN = SMALL.splits["train"]


def text(
    *,
    head: str = "@relation x\n",
    names: list[str] | None = None,
    kind: str = "real",
    label: str = "@attribute class {0,1,2}\n",
    at: int = 16,
    rows: list[list[str]] | None = None,
    separator: str = ",",
) -> str:
    """The training split as ARFF, in a style of one's own."""
    names = names or [f"pixel{k}" for k in range(1, 17)]
    lines = [f"@attribute {name} {kind}\n" for name in names]
    lines.insert(at, label)
    if rows is None:
        rows = [list(map(str, image.reshape(-1))) for image in TRAIN.images]
        for row, number in zip(rows, TRAIN.labels, strict=True):
            row.insert(at, str(number))
    data = "".join(separator.join(row) + "\n" for row in rows)
    return f"{head}{''.join(lines)}@data\n{data}"


def save(folder: Path, content: str | bytes, name: str = "x_train.arff") -> Path:
    """A file of that content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(path: Path, **options: object) -> Dataset:
    """The path is an ARFF file of the training split."""
    assert formats.matches(path) == ["arff"]
    found = mnistprep.read(path, **options)
    assert content(found) == {"train": content(SMALL)["train"]}
    assert found.classes == SMALL.classes
    return found


# What people have


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_compressed_files_read_alone_and_in_a_folder(tmp_path: Path, pack: object) -> None:
    """gzip, bzip2 and xz around a file are seen through, as is a name that says so and lies."""
    save(tmp_path, pack(text().encode()), "x_train.arff.gz")  # type: ignore[operator]
    same(tmp_path / "x_train.arff.gz")
    same(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.upper(),
        lambda t: t.replace("@relation", "% a comment\n\n  %x\n@RELATION").replace("real", "REAL"),
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: t.replace("@data\n", "@data\n% first\n\n").rstrip("\n"),
        lambda t: t.replace(",", ", ").replace("\n", " \n"),
        lambda t: t.replace("@attribute ", "@ATTRIBUTE\t").replace(" real", "\treal [0,255] %x"),
        lambda t: t.replace("{0,1,2}", "{ 0, '1' ,\"2\" }"),
        lambda t: t.replace("{0,1,2}", "{0 1 2} % digits"),
        lambda t: t.replace("{0,1,2}", "{2,0,1}"),
        lambda t: t.replace("{0,1,2}", "numeric"),
        lambda t: t.replace("{0,1,2}", "string"),
        lambda t: t.replace("real", "INTEGER"),
        lambda t: t.replace("class", "'class'").replace("pixel", "att_"),
        lambda t: t.replace("attribute class", "attribute Label"),
        lambda t: t.replace("attribute class", "attribute digitvalue"),
        lambda t: t.split("@data")[0] + "@data" + t.split("@data")[1].replace(",", "\t"),
    ],
    ids=range(17),
)
def test_styles_that_people_write_read_the_same(tmp_path: Path, change: object) -> None:
    """Case, comments, space, quotes, line ends and types of the class do not change the data."""
    same(save(tmp_path, change(text())))  # type: ignore[operator]


@pytest.mark.parametrize("at", [0, 7, 16])
@pytest.mark.parametrize("name", ["class", "label", "y", "Target", "odd"])
def test_the_class_is_found_in_any_column(tmp_path: Path, at: int, name: str) -> None:
    """By its name, or as the only nominal column."""
    same(save(tmp_path, text(label=f"@attribute {name} {{0,1,2}}\n", at=at)))


@pytest.mark.parametrize("style", ["pixel{}", "{}", "px_{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_pixels_are_put_in_the_order_of_their_names(tmp_path: Path, style: str, first: int) -> None:
    """Columns that are numbered, or named by row and column, may come in any order."""
    order = random.Random(1).sample(range(16), 16)
    for names in (
        [style.format(k + first) for k in range(16)],
        [style.format(f"{k // 4 + first}x{k % 4 + first}") for k in range(16)],
    ):
        rows = [
            [*(str(image.reshape(-1)[k]) for k in order), str(label)]
            for image, label in zip(TRAIN.images, TRAIN.labels, strict=True)
        ]
        same(save(tmp_path, text(names=[names[k] for k in order], rows=rows)))


def test_pixels_that_are_missing_are_missed(tmp_path: Path) -> None:
    """A gap in the numbers means that columns were dropped; where is not guessed."""
    names = [f"pixel{k}" for k in range(1, 16)] + ["pixel20"]
    with pytest.raises(FormatError, match="numbered 1 to 20 with gaps"):
        mnistprep.read(save(tmp_path, text(names=names)))


@pytest.mark.parametrize("scale", [255, 256])
@pytest.mark.parametrize("way", ["{!r}", "{:.6g}", "{:.5f}", "{:e}", "{:.17g}"])
def test_scaled_values_come_back_as_bytes(tmp_path: Path, scale: int, way: str) -> None:
    """Bytes divided by 255 or 256 are read exactly from any usual number of digits."""
    rows = [
        [*(way.format(int(v) / scale) for v in image.reshape(-1)), str(label)]
        for image, label in zip(TRAIN.images, TRAIN.labels, strict=True)
    ]
    same(save(tmp_path, text(rows=rows)))


def test_black_and_white_is_said_to_be_two_things(tmp_path: Path) -> None:
    """Pixels of 0 and 1 alone are bytes, which a note says; scale=unit makes 1 white."""
    rows = [["0", "1"] * 8 + ["2"], ["1"] * 16 + ["0"]]
    path, notes = save(tmp_path, text(rows=rows)), Notes()
    assert mnistprep.read(path, progress=notes).splits["train"].images.max() == 1
    assert ["taken for bytes" in note for note in notes.notes] == [True]
    found = mnistprep.read(path, scale="unit").splits["train"].images
    assert sorted(set(found.reshape(-1).tolist())) == [0, 255]


def test_columns_that_are_no_pixels_are_left_out_and_said(tmp_path: Path) -> None:
    """An id or a file name in front of the pixels is noted."""
    names = ["id", *(f"pixel{k}" for k in range(16))]
    rows = [
        ["7", *map(str, image.reshape(-1)), str(label)]
        for image, label in zip(TRAIN.images, TRAIN.labels, strict=True)
    ]
    notes = Notes()
    same(save(tmp_path, text(names=names, rows=rows, at=17)), progress=notes)
    assert any("left out: id" in note for note in notes.notes)


def test_sparse_rows_leave_out_zeros_and_the_first_class(tmp_path: Path) -> None:
    """In a sparse row what is not there is 0, or the first value of the list: Weka's rule."""
    path = save(tmp_path, text(rows=[["{0 9, 15 255,16 1}"], ["{}"], ["{ 3 7 }"]]))
    found = mnistprep.read(path).splits["train"]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.images.reshape(3, 16)[:, [0, 3, 15]].tolist() == [[9, 0, 255], [0] * 3, [0, 7, 0]]


def test_pixels_that_are_nominal_are_numbers_all_the_same(tmp_path: Path) -> None:
    """A list of values is a type as good as another; in sparse rows it hides what is left out."""
    kind = "{0,1,2,9,255}"
    path = save(tmp_path, text(kind=kind, rows=[["9", "255"] * 8 + ["2"]]))
    assert mnistprep.read(path).splits["train"].images.reshape(-1)[:2].tolist() == [9, 255]
    with pytest.raises(FormatError, match="sparse row of nominal pixels"):
        mnistprep.read(save(tmp_path, text(kind=kind, rows=[["{0 9}"]])))


def test_class_lists_of_two_files_are_one(tmp_path: Path) -> None:
    """Each file may list the values that it has, in its own order."""
    for name, label in (("train", "{cat,dog,owl}"), ("test", "{owl,cat}")):
        rows = [["1"] * 16 + ["owl"], ["2"] * 16 + ["cat"]]
        label = f"@attribute class {label}\n"
        save(tmp_path, text(label=label, rows=rows), f"{name}.arff")
    found = mnistprep.read(tmp_path)
    assert found.classes == ("cat", "dog", "owl")
    assert [part.labels.tolist() for part in found.splits.values()] == [[2, 0], [2, 0]]


BAD = {
    "missing": (["1"] * 7 + ["?"] + ["1"] * 8 + ["0"], "line 21: column 8 is missing (?)"),
    "no class": (["1"] * 16 + ["?"], "line 21: the class is missing"),
    "short": (["1"] * 16, "line 21: expected 17 values, found 16"),
    "long": (["1"] * 18, "line 21: expected 17 values, found 18"),
    "256": (["256"] + ["1"] * 16, "line 21: column 1 is '256', not a pixel"),
    "negative": (["-1"] + ["1"] * 16, "line 21: column 1 is '-1', not a pixel"),
    "a fraction": (["9"] * 9 + ["0.5"] + ["1"] * 7, "line 21: column 10 is '0.5', not a pixel"),
    "a word": (["x"] + ["1"] * 16, "line 21: column 1 is 'x', not a pixel"),
    "underscores": (["1_0"] + ["1"] * 16, "line 21: column 1 is '1_0', not a pixel"),
    "infinite": (["inf"] + ["1"] * 16, "line 21: column 1 is 'inf', not a pixel"),
    "another class": (["1"] * 16 + ["7"], "line 21: class '7' is not in the list of 'class'"),
    "a weight": (["1"] * 16 + ["1", "{5}"], "line 21: expected 17 values, found 18"),
    "sparse twice": (["{1 2,1 3}"], "line 21: not a sparse row"),
    "sparse beyond": (["{99 2}"], "line 21: not a sparse row"),
    "sparse open": (["{1 2"], "line 21: not a sparse row"),
    "sparse comma": (["{1 2,}"], "line 21: not a sparse row"),
    "sparse missing": (["{1 2,3 ?}"], "line 21: column 4 is missing (?)"),
    "sparse 256": (["{1 256}"], "line 21: column 2 is '256', not a pixel"),
    "stray quote": (["'1"] + ["1"] * 16, "line 21: expected 17 values, found 0"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    """File, line and column of the first value that is no pixel or class."""
    row, message = BAD[kind]
    good = ["9"] * 16 + ["2"]
    path = save(tmp_path, text(rows=[good, row, good]))
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path, "arff")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("@relation x\n@attribute a real\n", "no @data here"),
        ("@relation x\n@data\n", "@data before any @attribute"),
        ("@relation x\nhello\n", "line 2: expected @attribute or @data"),
        ("@relation x\n@attribute 'a real\n@data\n", "an @attribute without a name"),
        ("@relation x\n@attribute a\n@data\n", "no type for 'a'"),
        ("@relation x\n@attribute a {b c, d}\n@data\n", "stand in quotes"),
        ("@relation x\n@attribute a {b,b}\n@data\n", "two values of one name"),
        ("@relation x\n@attribute a {b\n@data\n", "not a list in braces"),
        (text(label="@attribute pixel17 real\n"), "a file without labels"),
        (text(label="@attribute class date\n"), "a class of type date"),
        (text(kind="string"), "is of type string; pixels are numbers"),
        (text(names=["label", *(f"p{k}" for k in range(15))]), "could each be the class"),
        (text(names=[f"p{k}" for k in range(15)], rows=[]), "15 pixels a row are not a square"),
    ],
)
def test_a_bad_header_is_said(tmp_path: Path, content: str, message: str) -> None:
    """What the header lacks, in words."""
    with pytest.raises(FormatError, match=message):
        mnistprep.read(save(tmp_path, content))


def test_a_shape_that_is_not_square_can_be_said(tmp_path: Path) -> None:
    """By the names of the columns, or by the caller."""
    wide = Dataset("x", {"train": split(4, (2, 6))}, numbered(3))
    path = mnistprep.write(wide, tmp_path / "train.arff")
    assert mnistprep.read(path).digests() == wide.digests()
    plain = save(tmp_path, text(names=[f"p{k}" for k in range(12)], rows=[["1"] * 13], at=12))
    assert mnistprep.read(plain, shape="2x6").shape == (2, 6)
    for shape in ("28x28", "x", "3", "0x12"):
        with pytest.raises(UsageError, match="shape="):
            mnistprep.read(plain, shape=shape)


def test_one_file_can_hold_train_and_test_when_told_where(tmp_path: Path) -> None:
    """train=N cuts a file in two; beyond its end, or in a folder of several, it is an error."""
    path = save(tmp_path, text(), "whole.arff")
    found = mnistprep.read(path, train=6)
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 6, "test": 3}
    assert np.array_equal(np.concatenate([p.images for p in found.splits.values()]), TRAIN.images)
    with pytest.raises(UsageError, match="train=10"):
        mnistprep.read(path, train=10)


def test_a_set_laid_out_as_openmls_keeps_its_boundary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of as many pictures as published, without a split in its name, is two splits."""
    monkeypatch.setitem(arff_format.OPENML, "train", 12)
    monkeypatch.setitem(arff_format.OPENML, "test", 5)
    parts = {"train": split(12, (28, 28)), "test": split(5, (28, 28), seed=2)}
    dataset, notes = Dataset("x", parts, numbered(3)), Notes()
    path = mnistprep.write(dataset, tmp_path / "mnist_784.arff")
    found = mnistprep.read(path, progress=notes)
    assert content(found) == content(dataset)
    assert any("12 of train and then 5 of test" in note for note in notes.notes)
    first, second = (arff_format.places(path, part, [0])[0] for part in ("train", "test"))
    lines = path.read_text().splitlines()
    assert first == f"{path}, line {lines.index('@DATA') + 2}"
    assert second == f"{path}, line {lines.index('@DATA') + 14}"
    assert list(mnistprep.read(path, train=17).splits) == ["train"]
    whole = Dataset("x", {"train": split(17, (28, 28))}, numbered(3))
    with pytest.raises(UnsupportedError, match="is read as"):
        mnistprep.write(whole, tmp_path / "other.arff")


def test_what_one_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    """Two splits, colour, and names that are numbers in another order need a folder."""
    images = np.zeros((3, 4, 4, 3), np.uint8)
    colour = Dataset("x", {"train": Split(images, np.arange(3))}, numbered(3))
    swapped = Dataset("x", {"train": TRAIN}, ("1", "0", "2"))
    for dataset, message in (
        (SMALL, "holds one split, not train and test"),
        (colour, "grey pictures"),
        (swapped, "numbers in another order"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            mnistprep.write(dataset, tmp_path / "train.arff")
        folder = mnistprep.write(dataset, tmp_path / message, "arff")
        found = mnistprep.read(folder)
        assert (found.digests(), found.classes) == (dataset.digests(), dataset.classes)


def test_names_and_an_empty_split_fit_in_one_file(tmp_path: Path) -> None:
    """The class list says the names even where there are no rows."""
    names = ("a b", "?", "")
    for examples in (TRAIN, Split(np.empty((0, 4, 4), np.uint8), np.empty(0, int))):
        dataset = Dataset("x", {"train": examples}, names)
        path = mnistprep.write(dataset, tmp_path / f"train{len(examples)}.arff")
        found = mnistprep.read(path)
        assert content(found) == content(dataset)
        assert (found.classes, found.shape) == (names, (4, 4))


def test_options_have_their_values(tmp_path: Path) -> None:
    """-O name cannot lead out of the folder, nor give a split another's name."""
    for name in ("../x", "test", "", "a b"):
        with pytest.raises(UsageError, match="letters"):
            mnistprep.write(SMALL, tmp_path / "x", "arff", name=name)
    with pytest.raises(UsageError, match="types='float'"):
        mnistprep.write(SMALL, tmp_path / "x", "arff", types="float")
    path = mnistprep.write(SMALL, tmp_path / "x", "arff", name="digits")
    assert (path / "digits_train.arff").is_file()


def test_long_comments_and_large_pictures_are_recognised(tmp_path: Path) -> None:
    """A page of comments before @relation, and a row longer than any buffer, change nothing."""
    same(save(tmp_path, "% about this set\n" * 3000 + text()))
    large = Dataset("x", {"train": split(3, (300, 310))}, numbered(3))
    folder = mnistprep.write(large, tmp_path / "large", "arff")
    assert formats.matches(folder / "mnist_train.arff") == ["arff"]
    assert mnistprep.read(folder).digests() == large.digests()


def test_a_zip_of_the_folder_reads(tmp_path: Path) -> None:
    """An archive around the files is opened, and places are named in it."""
    folder = mnistprep.write(SMALL, tmp_path / "x", "arff")
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    assert content(mnistprep.read(tmp_path / "packed.zip")) == content(SMALL)


@pytest.mark.parametrize("size", [40, 200, 1000])
def test_blocks_may_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The size of the steps in which a file is read does not show in what is read."""
    monkeypatch.setattr(_textrows, "_BLOCK", size)
    monkeypatch.setattr(_textrows, "_SPAN", 2)
    path = save(tmp_path, text().replace("@data\n", "@data\n\n% one\n").rstrip("\n"))
    same(path)
    lines = path.read_text().splitlines()
    places = arff_format.places(path, "train", range(9))
    assert places == [f"{path}, line {lines.index('% one') + 2 + k}" for k in range(9)]
    path.write_text(path.read_text() + "?")
    with pytest.raises(FormatError, match=f"line {len(lines)}: "):
        mnistprep.read(path)
