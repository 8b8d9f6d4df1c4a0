"""The contract of every format: what goes in comes out, in the same bytes, known by content."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep._progress import Quiet
from mnistprep.convert import convert, locate
from mnistprep.errors import DetectionError, FormatError, UnsupportedError
from mnistprep.formats._splits import named_split

FORMATS = tuple(name for name in formats.FORMATS if formats.missing(name) is None)
JOINED = {"idx", "idx-gz", "npz"}  # no place for `valid`
NAMELESS = {"pkl"}  # no place for class names
GREY = {"csv"}

MNIST = {
    "train": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


class Notes(Quiet):
    """A Progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)


def split(count: int, shape: tuple[int, ...] = (3, 4), classes: int = 3, seed: int = 1) -> Split:
    """Random pictures in which the highest label occurs, so that labels alone give the classes."""
    chance = np.random.default_rng(seed)
    images = chance.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = chance.integers(0, classes, count)
    labels[:1] = classes - 1
    return Split(images, labels)


def numbered(classes: int) -> tuple[str, ...]:
    return tuple(map(str, range(classes)))


ODD = {
    "odd": odd_dataset(),
    "colour": odd_dataset((12, 20, 3)),
    "many-classes": Dataset("x", {"train": split(40, classes=300)}, numbered(300)),
    "one-class": Dataset("x", {"train": split(7, classes=1), "test": split(3)}, numbered(3)),
    "only-zeros": Dataset("x", {"train": split(9, (5, 5), classes=1)}, ("only",)),
    "one-pixel": Dataset("x", {"train": split(9, (1, 1)), "test": split(4, (1, 1))}, numbered(3)),
    "one-picture": Dataset("x", {"train": split(1)}, numbered(3)),
    "test-only": Dataset("x", {"test": split(8)}, numbered(3)),
    "train-only": Dataset("x", {"train": split(8)}, numbered(3)),
    "with-valid": Dataset(
        "x", {"train": split(9), "valid": split(4, seed=2), "test": split(5)}, numbered(3)
    ),
    "empty-split": Dataset("x", {"train": split(9), "test": split(0)}, numbered(3)),
    "wide": Dataset("x", {"train": split(4, (2, 300))}, numbered(3)),
    "blank": Dataset(
        "x", {"train": Split(np.zeros((9, 4, 4), np.uint8), np.arange(9) % 3)}, numbered(3)
    ),
    "nameless-classes": Dataset("x", {"train": split(9)}, numbered(12)),
    "odd-names": Dataset("x", {"train": split(9)}, ("", "a\nb", "日本 \x00 ..")),
}
REFUSED = {
    ("csv", "colour"): "CSV holds grey pictures; these have channels",
    ("pkl", "empty-split"): "cannot tell an empty test split from a missing one",
}


def target(folder: Path, name: str) -> Path:
    """Where a test puts an output of that format."""
    return folder / formats.default_output(name, "set")


def write(dataset: Dataset, folder: Path, name: str, **options: object) -> Path:
    """Write into a new path of `folder`."""
    return mnistprep.write(dataset, target(folder, name), name, **options)


def content(dataset: Dataset) -> dict[str, tuple[bytes, bytes]]:
    """All that a dataset holds, by split, copied."""
    return {k: (s.images.tobytes(), s.labels.tobytes()) for k, s in dataset.splits.items()}


def tree(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of every file of a folder."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else b"" for p in path.rglob("*")
    }


def round_trip(dataset: Dataset, folder: Path, name: str, **options: object) -> Path:
    """Write, read, compare everything that the form has a place for; returns the output."""
    before = content(dataset)
    path = write(dataset, folder, name, **options)
    assert content(dataset) == before, "the input was changed"
    assert formats.matches(path) == [name]
    found = mnistprep.read(path)

    expected = dataset.joined() if name in JOINED else dataset
    same = content(found)
    if name == "pkl" and "valid" not in dataset.splits:
        same = content(found.joined())
        assert len(found.splits.get("valid", ())) == len(dataset.splits.get("train", ())) // 6
    assert same == content(expected)
    assert found.shape == dataset.shape
    assert found.digests() == dataset.digests()
    if name in NAMELESS:
        assert found.classes == tuple(map(str, range(len(found.classes))))
    else:
        assert found.classes == dataset.classes
    for part, examples in found.splits.items():
        places = formats.get(name).places(path, part, range(len(examples)))
        assert len(set(places)) == len(places) == len(examples)
        assert all(str(path) in place for place in places)
    return path


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_in_comes_out_or_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    """Pictures, labels, order, splits and names come back in any shape; or nothing is left."""
    if (name, kind) in REFUSED:
        with pytest.raises(UnsupportedError, match=REFUSED[name, kind]):
            write(ODD[kind], tmp_path, name)
        assert list(tmp_path.iterdir()) == []
    else:
        round_trip(ODD[kind], tmp_path, name)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The odd set in every form."""
    folder = tmp_path_factory.mktemp("sources")
    return {name: write(ODD["odd"], folder, name) for name in FORMATS}


# Every ordered pair takes its time; test_pairs has them all, with larger sets.
@pytest.mark.parametrize(
    ("first", "second"),
    [pair for pair in itertools.permutations(FORMATS, 2) if {"safetensors", "csv"} & {*pair}],
)
def test_any_form_converts_to_any_other(
    tmp_path: Path, sources: dict[str, Path], first: str, second: str
) -> None:
    """The digests, order included, are the same after each of the ordered pairs of formats."""
    end = target(tmp_path, second)
    convert(sources[first], end, target_format=second)
    assert formats.matches(end) == [second]
    assert mnistprep.read(end).digests() == ODD["odd"].digests()


@pytest.mark.slow
def test_the_real_digits_pass_through_every_form(tmp_path: Path, real_digits: Path) -> None:
    """After a chain through all formats, MNIST has the published digests of its files."""
    source, start = real_digits, "idx-gz"
    for name in (*FORMATS, "idx"):
        end = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        convert(source, end, source_format=start, target_format=name)
        source, start = end, name
    found = mnistprep.read(source, "idx").digests()
    assert {k: (d.images, d.labels) for k, d in found.items()} == MNIST


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in GREY])
def test_colour_stays_colour_even_where_it_is_grey(tmp_path: Path, name: str) -> None:
    """Three equal channels come back as three channels."""
    grey = split(12, (4, 4))
    images = np.repeat(grey.images[..., None], 3, axis=3)
    round_trip(Dataset("x", {"train": Split(images, grey.labels)}, numbered(3)), tmp_path, name)


@pytest.mark.parametrize("name", sorted(JOINED))
def test_the_end_of_train_is_said_where_valid_has_no_place(tmp_path: Path, name: str) -> None:
    """A form without `valid` says where its examples are, and only then."""
    notes = Notes()
    write(ODD["with-valid"], tmp_path, name, progress=notes)
    assert len(notes.notes) == 1
    assert "the last of `train`" in notes.notes[0]
    (tmp_path / "again").mkdir()
    write(ODD["odd"], tmp_path / "again", name, progress=notes)
    assert len(notes.notes) == 1


def test_names_that_are_lost_are_said(tmp_path: Path) -> None:
    """The pickle has no place for class names, and says so."""
    notes = Notes()
    write(ODD["odd"], tmp_path, "pkl", progress=notes)
    assert any("no place for class names" in note for note in notes.notes)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_input_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither the clock, nor another run, nor the number of workers, changes a byte."""
    splits = {"train": split(2600, (2, 2)), "test": split(1100, (2, 2))}
    dataset = Dataset("x", splits, ("a", "b", "c"))
    outputs = []
    for k, workers in enumerate((1, 2)):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda now=now, k=k: now + 1e7 * k)
        (tmp_path / str(k)).mkdir()
        outputs.append(tree(write(dataset, tmp_path / str(k), name, workers=workers)))
    assert outputs[0] == outputs[1]


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Small datasets of any shape, number of classes and choice of splits."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=2)))
    if draw(st.booleans()):
        shape = (*shape, 3)
    classes = draw(st.integers(1, 12))
    splits = {}
    for part in draw(st.sets(st.sampled_from(("train", "valid", "test")), min_size=1)):
        count = draw(st.integers(1, 8))
        pixels = draw(st.binary(min_size=count, max_size=count))
        images = np.resize(np.frombuffer(pixels, np.uint8), (count, *shape))
        labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
        splits[part] = Split(images, np.array(labels))
    names = draw(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            min_size=classes,
            max_size=classes,
            unique=True,
        )
    )
    return Dataset("x", splits, tuple(names))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(dataset=datasets())
def test_any_dataset_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, dataset: Dataset
) -> None:
    """Whatever a form accepts comes back; what it does not is refused as unsupported."""
    folder = tmp_path_factory.mktemp("any")
    try:
        round_trip(dataset, folder, name)
    except UnsupportedError:
        assert name == "csv"
        assert len(dataset.shape) == 3
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>sign in</html>", "a web page of 35 bytes"),
        (b"  <html><body>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "Git LFS pointer"),
        (random.Random(1).randbytes(3000), "no format recognises these 3,000 bytes"),
        (b"once upon a time, there were, you see, three commas\n", "no format recognises"),
    ],
    ids=["empty", "html", "html2", "lfs", "random", "prose"],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".pkl.gz", ".npz", ".csv", ".pt", ".safetensors"])
def test_what_is_no_dataset_is_called_what_it_is(
    tmp_path: Path, content: bytes, message: str, suffix: str
) -> None:
    """No name makes a page, a pointer or noise a dataset, and the message says what it is."""
    path = tmp_path / f"data{suffix}"
    path.write_bytes(content)
    with pytest.raises(DetectionError, match=message):
        mnistprep.read(path)


def test_an_empty_folder_is_called_so(tmp_path: Path) -> None:
    """A folder without anything visible is empty."""
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    with pytest.raises(DetectionError, match="an empty folder"):
        mnistprep.read(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DetectionError, match="nothing here is a dataset"):
        mnistprep.read(tmp_path)


def test_a_dataset_further_inside_is_named_and_not_read(tmp_path: Path) -> None:
    """As in a clone of Fashion-MNIST's repository, where it is in data/fashion."""
    for folder in ("benchmark", "data/mnist", "data/private"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "README.md").write_text("hello")
    write(ODD["odd"], tmp_path / "data" / "fashion", "idx-gz")
    (tmp_path / "data" / "loop").symlink_to(tmp_path)
    with pytest.raises(
        DetectionError, match=r"deeper in it: data/fashion/set_idx-gz \(idx-gz\); give the path"
    ):
        mnistprep.read(tmp_path)


def test_a_folder_of_one_dataset_is_that_dataset(tmp_path: Path) -> None:
    """A path may be the folder around a dataset; several there are listed."""
    write(ODD["odd"], tmp_path, "npz")
    (tmp_path / "readme.txt").write_text("downloaded")
    assert mnistprep.read(tmp_path).digests() == ODD["odd"].digests()
    write(ODD["odd"], tmp_path, "imagefolder")
    with pytest.raises(DetectionError, match=r"set.npz \(npz\), set_images \(imagefolder\)"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize(("name", "other"), list(itertools.product(FORMATS, FORMATS)))
def test_a_reader_refuses_another_format(
    tmp_path: Path, sources: dict[str, Path], name: str, other: str
) -> None:
    """Told the wrong format, a reader raises FormatError with the path in it."""
    path = sources[other]
    if name == other or {name, other} == {"idx", "idx-gz"}:
        assert mnistprep.read(path, name).digests() == ODD["odd"].digests()
        return
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path, name)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_it_is_in_one_line(name: str) -> None:
    """The first line of a module's docstring is a sentence."""
    assert formats.summary(name).endswith(".")


@pytest.mark.parametrize("name", ["npz", "pt", "safetensors", "pkl"])
def test_a_file_for_each_split(tmp_path: Path, name: str) -> None:
    """Files of one format whose names say the splits are one dataset, and each is named."""
    whole = ODD["with-valid"]
    suffix = formats.get(name).SUFFIXES[0]
    for part in whole.splits:
        one = Dataset("x", {"train": whole.splits[part]}, whole.classes)
        mnistprep.write(one, tmp_path / "set" / f"digits_{part}{suffix}", name)
    if name == "pkl":  # which always holds train and valid
        with pytest.raises(FormatError, match="holds train and valid and is not alone"):
            mnistprep.read(tmp_path / "set")
        return
    found = locate(tmp_path / "set")
    assert (found.format, content(found.dataset)) == (name, content(whole))
    assert found.places("valid", [0])[0].startswith(str(tmp_path / "set" / "digits_valid"))
    (tmp_path / "set" / f"test2{suffix}").write_bytes(
        (tmp_path / "set" / f"digits_test{suffix}").read_bytes()
    )
    with pytest.raises(DetectionError, match="several datasets"):
        mnistprep.read(tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("values.csv", None), ("device_1.csv", None), ("latest.csv", None), ("mnist.csv", None),
        ("val.csv", "valid"), ("x_valid.npz", "valid"), ("validation-00000.parquet", "valid"),
        ("valset.h5", "valid"), ("dev.tsv", "valid"), ("training.pt", "train"),
        ("t10k-images", "test"), ("eval.tar", "test"), ("mnist_test.csv", "test"),
    ],
)  # fmt: skip
def test_the_split_that_a_name_says(name: str, expected: str | None) -> None:
    """A word of the name begins it; other words that begin alike do not count."""
    assert named_split(name) == expected


def test_data_that_is_beside_what_is_read_is_told_of(tmp_path: Path) -> None:
    """Of two datasets in a folder one is read, with a note, unless somebody says which."""
    whole = mnistprep.load("synth:20,10")
    for name, split in (("train.npz", "train"), ("test.csv", "test")):
        half = Dataset("half", {split: whole.splits[split]}, whole.classes)
        mnistprep.write(half, tmp_path / name, provenance=False)
    for format, told in ((None, 1), ("csv", 0)):
        notes = Notes()
        found = mnistprep.read(tmp_path, format, progress=notes)
        assert list(found.splits) == ["test"]
        assert ["not read: train.npz (npz)" in note for note in notes.notes] == [True] * told
