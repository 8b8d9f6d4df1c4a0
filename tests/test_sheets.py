"""Contact sheets: many pictures in one array, in the places where one expects them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import odd_dataset
from PIL import Image

from mnistprep import Dataset, Split
from mnistprep.errors import UsageError
from mnistprep.report import sheets


@pytest.fixture
def split() -> Split:
    """120 pictures of 28x28, each of one grey of its own."""
    greys = np.arange(120, dtype=np.uint8)
    return Split(greys[:, None, None].repeat(28, axis=1).repeat(28, axis=2), greys.astype(np.int64))


def test_a_strip_is_ten_pictures_side_by_side(split: Split) -> None:
    """The first ten pictures in one of 28x280, without gaps."""
    strip = sheets.strip(split)
    assert strip.shape == (28, 280)
    assert strip.dtype == np.uint8
    assert strip[5, 14::28].tolist() == list(range(10))


def test_a_sheet_is_ten_lines_of_ten(split: Split) -> None:
    """The first hundred pictures in one of 280x280, line by line; Pillow takes it as it is."""
    sheet = sheets.sheet(split)
    assert sheet.shape == (280, 280)
    assert np.array_equal(sheet[14::28, 14::28], np.arange(100).reshape(10, 10))
    assert Image.fromarray(sheet).size == (280, 280)
    assert sheets.sheet(split, rows=2, columns=3).shape == (56, 84)


def test_what_is_missing_is_background(split: Split) -> None:
    """A split with fewer pictures gives a sheet of the same size; an empty one gives black."""
    few = split.take(np.array([7, 8]))
    assert sheets.strip(few)[0, ::28].tolist() == [7, 8, *[0] * 8]
    assert sheets.sheet(split.take(np.array([], np.intp))).max() == 0


def test_sheets_of_colour_and_of_other_depths(colour: Dataset) -> None:
    """Three channels stay; of two, the first is drawn, since no screen shows the other."""
    train = colour.splits["train"]
    strip = sheets.strip(train, 3)
    assert strip.shape == (12, 60, 3)
    assert np.array_equal(strip[:, 20:40], train.images[1])
    assert Image.fromarray(strip).mode == "RGB"
    two = odd_dataset((12, 20, 2)).splits["train"]
    assert np.array_equal(sheets.strip(two, 3)[:, 20:40], two.images[1, ..., 0])


def test_by_class_has_a_row_for_each_class(odd: Dataset) -> None:
    """Row by row the pictures of one class, training ones first; a class without keeps its row."""
    sheet = sheets.by_class(odd, columns=4)
    assert sheet.shape == (2 + 11 * 14, 2 + 4 * 22)
    train = odd.splits["train"]
    first = train.images[np.flatnonzero(train.labels == 6)[0]]
    assert np.array_equal(sheet[2 + 6 * 14 : 14 + 6 * 14, 2:22], first)
    assert len(np.unique(sheet[2 + 5 * 14 : 14 + 5 * 14])) == 1
    assert sheets.by_class(odd_dataset((12, 20, 2))).ndim == 2


def test_enlarged_pixels_are_squares(split: Split) -> None:
    """Every pixel becomes a square with the same value."""
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    assert sheets.enlarged(picture, 2).tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]
    assert sheets.enlarged(split.images[0], 10).shape == (280, 280)


def test_sheets_without_size_are_refused(split: Split) -> None:
    """Nothing by nothing is a wrong call."""
    with pytest.raises(UsageError):
        sheets.sheet(split, rows=0)
    with pytest.raises(UsageError):
        sheets.strip(split, 0)
    with pytest.raises(UsageError):
        sheets.enlarged(split.images[0], 0)
