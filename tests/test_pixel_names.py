"""Names of columns that say where a pixel is: read as they say, or refused where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csvtables import CHANCE, Notes

import mnistprep
from mnistprep.errors import FormatError

IMAGES = CHANCE.integers(0, 256, (12, 5, 5), dtype=np.uint8)
IMAGES[:, 0, 0] = IMAGES[:, -1, -1] = 0
LABELS = np.arange(12) % 4
ROWS = [(r, c) for r in range(5) for c in range(5)]
COLUMNS = [(r, c) for c in range(5) for r in range(5)]


def table(folder: Path, kind: str, form: str, places: list[tuple[int, int]]) -> Path:
    """The pictures with these pixels in this order, as CSV or ARFF."""
    names = [form.format(r=r, c=c, k=5 * r + c) for r, c in places]
    rows = [
        ",".join([str(label), *(str(image[r, c]) for r, c in places)])
        for image, label in zip(IMAGES, LABELS, strict=True)
    ]
    path = folder / f"train.{kind}"
    if kind == "csv":
        path.write_text("\n".join([",".join(["label", *names]), *rows]) + "\n")
    else:
        head = ["@relation x", "@attribute class {0,1,2,3}"]
        head += [f"@attribute '{name}' real" for name in names]
        path.write_text("\n".join([*head, "@data", *rows]) + "\n")
    return path


def same(path: Path) -> None:
    split = mnistprep.read(path).splits["train"]
    assert np.array_equal(split.images, IMAGES)
    assert np.array_equal(split.labels, LABELS)


SAID = [
    "x{c}_y{r}", "x{c}y{r}", "y{r}x{c}", "c{c}_r{r}", "r{r}c{c}", "col{c}_row{r}", "row{r}_col{c}",
    "column{c}.row{r}", "w{c}h{r}", "h{r}w{c}", "pixel_x{c}_y{r}", "pixelX{c}Y{r}", "px(x{c};y{r})",
    "x_{c}_y_{r}", "xy_{c}_{r}", "yx_{r}_{c}", "px{c}_py{r}", "{c}x{r}y", "{r}r{c}c", "i{r}j{c}",
    "pixel_col_idx{c}_row_idx{r}", "X{c}Y{r}", "width{c}height{r}",
]  # fmt: skip


@pytest.mark.parametrize("places", [ROWS, COLUMNS, ROWS[::-1]], ids=["rows", "columns", "back"])
@pytest.mark.parametrize("form", SAID)
@pytest.mark.parametrize("kind", ["csv", "arff"])
def test_words_say_which_number_is_the_row(
    tmp_path: Path, kind: str, form: str, places: list[tuple[int, int]]
) -> None:
    """x and y, columns and rows, widths and heights, in whatever order the columns are."""
    same(table(tmp_path, kind, form, places))


@pytest.mark.parametrize(
    "form",
    ["{r}x{c}", "{r}_{c}", "pixel_{r}_{c}", "({r} {c})", "p{r}_p{c}", "img_0_{r}_{c}", "{r}_{c}_0"],
)
@pytest.mark.parametrize("kind", ["csv", "arff"])
def test_without_words_the_row_comes_first(tmp_path: Path, kind: str, form: str) -> None:
    """In any order of the columns but one: that in which x and y would count the same pixels."""
    same(table(tmp_path, kind, form, ROWS))
    same(table(tmp_path, kind, form, ROWS[::-1]))
    path = table(tmp_path, kind, form, COLUMNS)
    with pytest.raises(FormatError, match="row and column or x and y is not clear; name them"):
        mnistprep.read(path)


@pytest.mark.parametrize("form", ["a{r}b{c}", "u{c}v{r}", "patch{r}_px{c}", "行{r}列{c}"])
@pytest.mark.parametrize("kind", ["csv", "arff"])
def test_words_that_nobody_knows_are_refused(tmp_path: Path, kind: str, form: str) -> None:
    """Two numbers behind two words of another meaning are not taken for row and column."""
    with pytest.raises(FormatError, match="which number is the row is not clear; name them r0c0"):
        mnistprep.read(table(tmp_path, kind, form, ROWS))


@pytest.mark.parametrize(
    "form", ["img0_{k}", "img0_px{k}", "px1_{k}", "pixel_0_{k}", "p{k}.0", "px{k}_0", "mnist2_{k}"]
)
@pytest.mark.parametrize("kind", ["csv", "arff"])
def test_a_number_that_all_names_share_says_no_shape(tmp_path: Path, kind: str, form: str) -> None:
    """img0_0, img0_1, ... are 25 pixels of a square as pixel0, pixel1, ... are, in any order."""
    same(table(tmp_path, kind, form, ROWS))
    same(table(tmp_path, kind, form, COLUMNS))


@pytest.mark.parametrize("form", ["1x{k}", "0_{k}", "r0c{k}"])
def test_names_of_one_row_say_that_it_is_one(tmp_path: Path, form: str) -> None:
    """A header of a single row of pixels keeps its shape, as it is written for such pictures."""
    found = mnistprep.read(table(tmp_path, "csv", form, ROWS))
    assert found.shape == (1, 25)


@pytest.mark.parametrize(
    ("form", "turned"),
    [
        ("x{c}_y{r}_c{b}", False), ("r{r}_c{c}_ch{b}", True), ("ch{b}_x{c}_y{r}", True),
        ("{r}_{c}_{b}", False), ("c{b}_h{r}_w{c}", True),
    ],
)  # fmt: skip
def test_colour_with_words_is_upright(tmp_path: Path, form: str, turned: bool) -> None:
    """x, y and a channel; with rows and columns named the order of the columns is free."""
    images = CHANCE.integers(0, 256, (9, 5, 6, 3), dtype=np.uint8)
    places = [(r, c, b) for r in range(5) for c in range(6) for b in range(3)]
    places = sorted(places, key=lambda place: place[1]) if turned else places
    lines = [",".join(["label", *(form.format(r=r, c=c, b=b) for r, c, b in places)])]
    lines += [
        ",".join([str(k % 3), *(str(image[place]) for place in places)])
        for k, image in enumerate(images)
    ]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    found = mnistprep.read(tmp_path / "train.csv")
    assert np.array_equal(found.splits["train"].images, images)


@pytest.mark.parametrize("form", ["x{c}_y{r}", "c{c}r{r}"])
def test_one_row_with_words_is_no_column(tmp_path: Path, form: str) -> None:
    """A picture that is one pixel high is upright, too."""
    path = tmp_path / "train.csv"
    names = ",".join(form.format(r=0, c=c) for c in range(8))
    path.write_text(f"label,{names}\n0,{'1,' * 7}2\n1,{'3,' * 7}4\n")
    assert mnistprep.read(path).shape == (1, 8)


@pytest.mark.parametrize("tiny", ["1e-400", "0.1e-999999999999", "1e-99999999999999"])
def test_what_is_nearly_0_is_not_taken_for_it(tmp_path: Path, tiny: str) -> None:
    """Too small for a float of 64 bits, and no byte; nor a label."""
    for row in (f"1,{tiny},2,3,4", f"{tiny},1,2,3,4"):
        path = tmp_path / "train.csv"
        path.write_text(f"label,pixel0,pixel1,pixel2,pixel3\n0,1,2,3,4\n{row}\n")
        with pytest.raises(FormatError, match=r"line 3: column [12] is .*not a whole number"):
            mnistprep.read(path)


def test_names_without_end_are_no_work_without_end(tmp_path: Path) -> None:
    """Fifty kilobytes of one word, or of many, before two numbers is read in a moment."""
    for start in ("a" * 50_000, "x " * 25_000):
        path = table(tmp_path, "csv", f"{start}{{r}}_{{c}}", ROWS)
        same(path)


def test_more_numbers_than_have_a_meaning_are_refused(tmp_path: Path) -> None:
    """Four numbers, of which two are the same in all names, are not taken as they come."""
    for kind in ("csv", "arff"):
        with pytest.raises(FormatError, match="columns like '5x5_x0_y0'"):
            mnistprep.read(table(tmp_path, kind, "5x5_x{c}_y{r}", COLUMNS))


# Labels in rows without names


def bare(folder: Path, at: int, labels: np.ndarray) -> Path:
    """Rows without names, the label at a place of its own."""
    rows = np.insert(IMAGES.reshape(12, 25).astype(int), at, labels, axis=1)
    np.savetxt(folder / "train.csv", rows, "%d", delimiter=",")
    return folder / "train.csv"


@pytest.mark.parametrize("at", [0, 12, 25])
def test_labels_of_one_class_without_a_name_are_not_guessed(tmp_path: Path, at: int) -> None:
    """Where both ends of all rows are 0 the label may be either, or be in the middle."""
    labels = LABELS if at == 12 else np.zeros(12, int)
    path = bare(tmp_path, at, labels)
    with pytest.raises(FormatError, match=r"values a row are 0 in all rows .*; name the columns"):
        mnistprep.read(path)


@pytest.mark.parametrize("at", [0, 25])
def test_labels_of_one_class_that_is_not_0_are_found(tmp_path: Path, at: int) -> None:
    """A 7 in all rows at one end, and background at the other."""
    notes = Notes()
    split = mnistprep.read(bare(tmp_path, at, np.full(12, 7)), progress=notes).splits["train"]
    assert set(split.labels.tolist()) == {7}
    assert np.array_equal(split.images, IMAGES)
