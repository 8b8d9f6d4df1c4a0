"""LIBSVM files: what other readers open, and every way in which people have them."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
from test_formats import Notes, content, numbered, split

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, UnsupportedError, UsageError

GOLDEN = Path(__file__).with_name("golden") / "libsvm"
COUNTS = {"train": 6, "valid": 2, "test": 3}
PIXELS = {"train": 12_080, "valid": 4_112, "test": 5_912}  # sums, of the rule in golden/make.py
LABELS = {"train": 25, "valid": 11, "test": 9}

SMALL = Dataset("x", {"train": split(9, (4, 4)), "test": split(5, (4, 4), seed=2)}, numbered(3))
TRAIN = Dataset("x", {"train": SMALL.splits["train"]}, numbered(3))
ROW = "2 1:9 3:255 16:1"


def rows(base: int = 1, way: str = "{}", scale: float = 1, end: str = "\n") -> str:
    """The training split as rows."""
    lines = []
    for image, label in zip(*vars(TRAIN.splits["train"]).values(), strict=True):
        pixels = enumerate(image.reshape(-1).tolist(), base)
        pairs = (f"{k}:{way.format(v / scale if scale != 1 else v)}" for k, v in pixels if v)
        lines.append(" ".join([str(label), *pairs]) + end)
    return "".join(lines)


def save(folder: Path, content: str | bytes, name: str = "train.libsvm") -> Path:
    """A file of that content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(path: Path, **options: object) -> None:
    """The path is a LIBSVM file of the training split."""
    assert formats.matches(path) == ["libsvm"]
    found = mnistprep.read(path, **options)
    assert content(found) == content(TRAIN)
    assert found.classes == TRAIN.classes


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """300 + 60 drawn digits; every class is in both splits."""
    return mnistprep.load("synth:300,60")


# Other readers


@pytest.mark.parametrize("scale", ["byte", "unit"])
def test_scikit_learn_reads_every_pixel(tmp_path: Path, digits: Dataset, scale: str) -> None:
    """load_svmlight_file gives pixels, labels and order, blank pictures included."""
    from sklearn.datasets import load_svmlight_file

    images = digits.splits["train"].images.copy()
    images[::50] = 0
    parts = {"train": Split(images, digits.splits["train"].labels), "test": digits.splits["test"]}
    dataset = Dataset("x", parts, digits.classes)
    folder = mnistprep.write(dataset, tmp_path / "out", "libsvm", scale=scale)
    for name, examples in parts.items():
        x, y = load_svmlight_file(str(folder / f"mnist_{name}.libsvm"), n_features=784)
        pixels = x.toarray() * (255 if scale == "unit" else 1)
        assert np.abs(pixels - examples.images.reshape(len(examples), -1)).max() < 1e-3
        assert y.tolist() == examples.labels.tolist()
    assert content(mnistprep.read(folder)) == content(dataset)


def test_the_rows_are_those_of_the_published_files(tmp_path: Path) -> None:
    """Indices from 1, zeros left out, %.6g, a newline at the end, and a bare label for a blank."""
    images = np.zeros((3, 2, 2), np.uint8)
    images[0] = [[0, 1], [128, 255]]
    dataset = Dataset("x", {"train": Split(images, np.array([5, 0, 12]))}, numbered(13))
    folder = mnistprep.write(dataset, tmp_path / "byte", "libsvm")
    assert (folder / "mnist_train.libsvm").read_bytes() == b"5 2:1 3:128 4:255\n0\n12\n"
    folder = mnistprep.write(dataset, tmp_path / "unit", "libsvm", scale="unit")
    text = (folder / "mnist_train.libsvm").read_text()
    assert text == "5 2:0.00392157 3:0.501961 4:1\n0\n12\n"


@pytest.mark.parametrize("kind", ["sklearn_zero", "sklearn_one", "sklearn_unit"])
def test_files_of_scikit_learn_read(tmp_path: Path, kind: str) -> None:
    """Its files, with indices from 0 and from 1, have the counts and sums they were made of."""
    for name in COUNTS:
        path = GOLDEN / f"{kind}_{name}.txt"
        assert {k: len(v) for k, v in mnistprep.read(path).splits.items()} == {name: COUNTS[name]}
        (tmp_path / path.name).write_bytes(path.read_bytes())
    notes = Notes()
    check_golden(mnistprep.read(tmp_path, progress=notes))
    assert not any("start at 1" in note for note in notes.notes)


@pytest.mark.parametrize("kind", ["mnist", "mnist.scale"])
def test_files_named_as_on_libsvms_page_read(kind: str) -> None:
    """mnist.bz2 is train, mnist.t.bz2 is test."""
    assert formats.matches(GOLDEN / kind) == ["libsvm"]
    check_golden(mnistprep.read(GOLDEN / kind), ("train", "test"))
    assert list(mnistprep.read(GOLDEN / kind / f"{kind}.t.bz2").splits) == ["test"]


def check_golden(found: Dataset, names: tuple[str, ...] = ("train", "valid", "test")) -> None:
    """The splits have the known counts and sums."""
    assert tuple(found.splits) == names
    assert found.shape == (4, 4)
    for name, examples in found.splits.items():
        assert len(examples) == COUNTS[name]
        assert int(examples.images.sum(dtype=int)) == PIXELS[name]
        assert int(examples.labels.sum()) == LABELS[name]
        first = {"train": 0, "valid": 6, "test": 8}[name]
        assert examples.images[0, 0, 0] == (37 * 16 * first + 11) % 256


# What people have


@pytest.mark.parametrize("name", ["train", "mnist", "data.txt", "mnist.tr", "x.svm", "a.b.dat"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_any_name_and_compression_read(tmp_path: Path, name: str, pack: object) -> None:
    """The rows say what a file is, not its name."""
    same(save(tmp_path, pack(rows().encode()), name))  # type: ignore[operator]
    same(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", " \n").replace(" ", "  "),
        lambda t: t.replace(" ", "\t"),
        lambda t: "\n# a comment\n" + t.rstrip("\n"),
        lambda t: t.replace("\n", " # picture\n"),
        lambda t: "\ufeff" + t,
        lambda t: "".join(f"+{line}\n" for line in t.splitlines()),
        lambda t: t.replace(" 1:", ".0 1:"),
        lambda t: t.replace(" 1:", ".000000e+00 1:"),
        lambda t: "".join(line.replace(" 2:", " 2:0") + "\n" for line in t.splitlines()),
    ],
    ids=range(10),
)
def test_styles_that_people_write_read_the_same(tmp_path: Path, change: object) -> None:
    """Line ends, space, comments, signs and decimals of a label do not change the data."""
    same(save(tmp_path, change(rows())))  # type: ignore[operator]


def test_one_zero_in_any_split_shows_that_indices_start_at_0(tmp_path: Path) -> None:
    """All files of a set start at the same index, and one of them can show it."""
    save(tmp_path, "1 0:5 15:7\n", "train.svm")
    save(tmp_path, "0 3:9 15:2\n", "test.svm")
    found = mnistprep.read(tmp_path)
    assert found.splits["train"].images.reshape(-1)[[0, 15]].tolist() == [5, 7]
    assert found.splits["test"].images.reshape(-1)[[3, 15]].tolist() == [9, 2]


def test_where_indices_start_is_said_when_nothing_shows_it(tmp_path: Path) -> None:
    """MNIST's first pixel is never inked: a note says what was taken, and an option settles it."""
    path, notes = save(tmp_path, "3 153:3 780:18\n1 400:7\n"), Notes()
    found = mnistprep.read(path, progress=notes)
    assert found.shape == (28, 28)
    assert found.splits["train"].images.reshape(2, -1)[:, [152, 399, 779]].tolist() == [
        [3, 0, 18],
        [0, 7, 0],
    ]
    assert any("start at 1" in note for note in notes.notes)
    assert any("pictures of 28x28" in note for note in notes.notes)
    moved = mnistprep.read(path, first="0").splits["train"].images.reshape(2, -1)
    assert moved[0, [153, 780]].tolist() == [3, 18]
    comment = "# Generated by dump_svmlight_file\n# Column indices are zero-based\n"
    said = mnistprep.read(save(tmp_path, comment + path.read_text(), "said_train"))
    assert np.array_equal(said.splits["train"].images.reshape(2, -1), moved)


@pytest.mark.parametrize(
    ("last", "shape"),
    [(780, (28, 28)), (784, (28, 28)), (730, (28, 28)), (256, (16, 16)), (64, (8, 8))],
)
def test_the_last_inked_pixel_says_the_shape_where_it_can(
    tmp_path: Path, last: int, shape: tuple[int, int]
) -> None:
    """28x28 as LIBSVM's mnist, whose corner is blank, or a square that is inked to its end."""
    assert mnistprep.read(save(tmp_path, f"1 2:7 {last}:1\n")).shape == shape


@pytest.mark.parametrize("last", [700, 785, 250, 12])
def test_where_the_shape_is_not_known_it_is_asked_for(tmp_path: Path, last: int) -> None:
    """A few rows may leave the end of every picture blank: that is no smaller picture."""
    path = save(tmp_path, f"1 2:7 {last}:1\n")
    with pytest.raises(FormatError, match=r"-R shape=28x28"):
        mnistprep.read(path)
    found = mnistprep.read(path, shape="30x40").splits["train"].images
    assert found.reshape(-1)[[1, last - 1]].tolist() == [7, 1]
    with pytest.raises(FormatError, match="do not fit 9 pixels"):
        mnistprep.read(path, shape="3x3")
    for option in ("shape", "scale", "first"):
        with pytest.raises(UsageError, match=f"{option}="):
            mnistprep.read(path, **{option: "wide"})


@pytest.mark.parametrize("scale", [255, 256])
@pytest.mark.parametrize("way", ["{!r}", "{:.6g}", "{:.5f}", "{:.8g}", "{:.17g}", "{:e}"])
def test_scaled_values_come_back_as_bytes(tmp_path: Path, scale: int, way: str) -> None:
    """Bytes divided by 255 or 256 are read exactly from any usual number of digits."""
    same(save(tmp_path, rows(way=way, scale=scale)))


def test_every_byte_has_one_text_on_each_scale(tmp_path: Path) -> None:
    """All 256 values survive both scales in one picture."""
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    dataset = Dataset("x", {"train": Split(images, np.zeros(1, int))}, ("0",))
    for scale in ("byte", "unit"):
        path = mnistprep.write(dataset, tmp_path / f"{scale}_train.libsvm", scale=scale)
        assert mnistprep.read(path).digests() == dataset.digests()


def test_black_and_white_is_bytes(tmp_path: Path) -> None:
    """0 and 1 alone are bytes, which a note says; written, they must not come to be so."""
    path, notes = save(tmp_path, "1 1:1 4:1\n0 2:1\n"), Notes()
    assert mnistprep.read(path, progress=notes).splits["train"].images.max() == 1
    assert any("taken for bytes" in note for note in notes.notes)
    white = mnistprep.read(path, scale="unit")
    assert white.splits["train"].images.max() == 255
    with pytest.raises(UnsupportedError, match="train is black and white alone"):
        mnistprep.write(white, tmp_path / "out", "libsvm", scale="unit")
    folder = mnistprep.write(white, tmp_path / "out", "libsvm")
    assert mnistprep.read(folder).digests() == white.digests()


def test_what_lies_beside_the_rows_is_named(tmp_path: Path) -> None:
    """A readme in the folder is noted; two files of one split are refused."""
    save(tmp_path, rows(), "mnist")
    save(tmp_path, "hello\n", "README.txt")
    notes = Notes()
    same(tmp_path, progress=notes)
    assert any("README.txt" in note for note in notes.notes)
    save(tmp_path, rows(way="{:.6g}", scale=255), "mnist.scale")
    with pytest.raises(FormatError, match=r"mnist and mnist\.scale are both train"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize(
    "text", ["1\n2\n3\n", "12:30 lunch\n", "a 1:2\n", "1 2 3\n", "1,2 3:4\n", "{1 2:3}\n", "8:30\n"]
)
def test_other_texts_are_no_rows(tmp_path: Path, text: str) -> None:
    """Labels alone, times and tables are not taken for pictures."""
    for name in ("x.txt", "x"):
        with pytest.raises(DetectionError, match="no format recognises"):
            mnistprep.read(save(tmp_path, text, name))


BAD = {
    "twice": ("1 2:3 2:4", "line 2: index 2 after 2; indices must rise"),
    "falling": ("1 3:3 2:4 16:1", "line 2: index 2 after 3; indices must rise"),
    "query": ("1 qid:3 2:4", "line 2: a query id (qid)"),
    "a word": ("1 2:x", "line 2: '2:x' is no pixel"),
    "256": ("1 2:256", "line 2: '2:256' is no pixel"),
    "negative": ("1 2:-4", "line 2: '2:-4' is no pixel"),
    "a fraction": ("1 2:0.5", "line 2: '2:0.5' is no pixel"),
    "nan": ("1 2:nan", "line 2: '2:nan' is no pixel"),
    "no value": ("1 2:", "line 2: '2:' is no pixel"),
    "no index": ("1 :5", "line 2: expected index:value, found ':5'"),
    "three": ("1 2:3:4", "line 2"),
    "spaces": ("1 2: 3", "line 2"),
    "no colon": ("1 2:3 4", "line 2: expected index:value, found '4'"),
    "no label": ("2:3 3:4", "line 2"),
    "minus": ("-1 2:3", "line 2: label '-1': expected a whole number from 0"),
    "half": ("1.5 2:3", "line 2: label '1.5': expected a whole number from 0"),
    "several": ("1,2 2:3", "line 2"),
    "beyond": ("1 1000001:3", "does not say the shape"),
    "far": ("1 99999999999:3", "line 2: expected index:value"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    """File, line and the pair that is wrong."""
    line, message = BAD[kind]
    path = save(tmp_path, f"{ROW}\n{line}\n{ROW}\n")
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path, "libsvm")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_one_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    """Two splits, names, shapes that the last pixel does not say, and nothing at all."""
    wide = Dataset("x", {"train": split(4, (2, 6))}, numbered(3))
    blank = Dataset("x", {"train": Split(np.zeros((3, 4, 4), np.uint8), np.arange(3))}, numbered(3))
    empty = Dataset("x", {"train": split(0, (4, 4))}, numbered(3))
    named = Dataset("x", TRAIN.splits, ("a", "b", "c"))
    colour = Dataset("x", {"train": split(4, (4, 4, 3))}, numbered(3))
    for k, (dataset, message) in enumerate(
        (
            (SMALL, "holds one split, not train and test"),
            (named, "no place for class names"),
            (wide, "cannot say the shape"),
            (blank, "cannot say the shape"),
            (colour, "cannot say the shape"),
            (empty, "how many classes"),
        )
    ):
        with pytest.raises(UnsupportedError, match=message):
            mnistprep.write(dataset, tmp_path / "train.libsvm")
        found = mnistprep.read(mnistprep.write(dataset, tmp_path / str(k), "libsvm"))
        assert (found.digests(), found.classes) == (dataset.digests(), dataset.classes)
    assert not (tmp_path / "train.libsvm").exists()
    same(mnistprep.write(TRAIN, tmp_path / "train.libsvm"))


def test_a_name_that_says_another_split_is_noted(tmp_path: Path) -> None:
    """A single file is read as the split that its name says."""
    notes = Notes()
    mnistprep.write(TRAIN, tmp_path / "test.libsvm", progress=notes)
    assert notes.notes == ["test.libsvm will be read as test, by its name"]


def test_large_pictures_are_recognised(tmp_path: Path) -> None:
    """A row longer than any buffer is still a row."""
    large = Dataset("x", {"train": split(3, (200, 210))}, numbered(3))
    folder = mnistprep.write(large, tmp_path / "large", "libsvm")
    assert formats.matches(folder / "mnist_train.libsvm") == ["libsvm"]
    assert mnistprep.read(folder).digests() == large.digests()


def test_places_are_lines(tmp_path: Path) -> None:
    """Comments and empty lines count as lines, not as rows."""
    path = save(tmp_path, f"# a\n\n{ROW}\n# b\n{ROW}\n")
    assert formats.get("libsvm").places(path, "train", [0, 1]) == [
        f"{path}, line 3",
        f"{path}, line 5",
    ]
