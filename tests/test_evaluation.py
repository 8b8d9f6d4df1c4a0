"""Evaluation: right figures, every wrong case with its picture, words for what does not fit."""

from __future__ import annotations

import csv
import io
import json
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

import mnistprep
from mnistprep import Dataset, Split
from mnistprep._progress import Quiet
from mnistprep.errors import DataError, MissingPath, UnknownName, UsageError
from mnistprep.evaluation import Evaluation, Wrong, evaluate
from mnistprep.formats import FORMATS, default_output
from mnistprep.training import RECIPES, Trained, fit, predict, probabilities

SHORT = replace(RECIPES["fast"], least_steps=1)  # learns a little, and gets enough wrong


class Notes(Quiet):
    """A Progress that keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Drawn digits, some of them as a validation split."""
    drawn = mnistprep.load("synth:600,150", workers=1)
    return mnistprep.select(drawn, mnistprep.Selection(validation=90))


@pytest.fixture(scope="module")
def trained(digits: Dataset) -> Trained:
    """A model that gets some of the digits right and some wrong."""
    return model_of(digits)


@pytest.fixture(scope="module")
def forms(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The digits in every form."""
    folder = tmp_path_factory.mktemp("forms")
    return {
        name: mnistprep.write(digits, folder / default_output(name, "digits"), name)
        for name in FORMATS
    }


def model_of(dataset: Dataset, recipe: Any = SHORT) -> Trained:
    """A model trained on a dataset for a moment."""
    train = dataset.splits["train"]
    return fit(train, classes=dataset.classes, recipe=recipe, device="cpu")


# Figures


def assert_as_scikit_learn(found: Evaluation, trained: Trained, split: Split) -> None:
    """The figures of scikit-learn for the same predictions."""
    predicted, labels = predict(trained, split), list(range(len(found.classes)))
    expected = confusion_matrix(split.labels, predicted, labels=labels)
    assert found.confusion.tolist() == expected.tolist()
    precision, recall, _, _ = precision_recall_fscore_support(
        split.labels, predicted, labels=labels, zero_division=np.nan
    )
    for mine, theirs in ((found.precision, precision), (found.recall, recall)):
        given = [math.nan if share is None else share for share in mine]
        np.testing.assert_allclose(given, theirs, rtol=1e-12, equal_nan=True)
    assert found.accuracy == float(np.mean(predicted == split.labels))


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_figures_are_those_of_scikit_learn(digits: Dataset, trained: Trained, split: str) -> None:
    """Matrix, precision, recall and accuracy agree with scikit-learn, on each split as stored."""
    found = evaluate(trained, digits, split=split)
    assert found.total == len(digits.splits[split])
    assert 0 < found.right < found.total
    assert_as_scikit_learn(found, trained, digits.splits[split])


def test_undefined_figures_are_none_null_and_a_dash(odd: Dataset) -> None:
    """A class that is never predicted has no precision, one without examples no recall."""
    model = model_of(odd)
    found = evaluate(model, odd)
    assert_as_scikit_learn(found, model, odd.splits["test"])
    assert found.recall[5] is None
    assert None in found.precision
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["recall"][5] is None
    rows = [line.split() for line in str(found).split("\n\n")[2].splitlines()[1:]]
    assert [row[-1] == "-" for row in rows] == [share is None for share in found.recall]
    assert [row[-2] == "-" for row in rows] == [share is None for share in found.precision]


def test_figures_of_the_numpy_recipe(digits: Dataset) -> None:
    """The recipe without PyTorch is evaluated as well; its confidence is the output."""
    model = model_of(digits, RECIPES["numpy"])
    found = evaluate(model, digits)
    assert_as_scikit_learn(found, model, digits.splits["test"])
    outputs = probabilities(model, digits.splits["test"])
    assert [case.confidence for case in found.wrong] == [
        float(outputs[case.index].max()) for case in found.wrong
    ]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_evaluation_adds_up(data: st.DataObject) -> None:
    """Figures follow from the labels; JSON and CSV hold every case, whatever the names are."""
    size = data.draw(st.integers(1, 5))
    names = data.draw(st.lists(st.text(max_size=9), min_size=size, max_size=size, unique=True))
    label = st.integers(0, size - 1)
    cases = data.draw(st.lists(st.tuples(label, label, st.floats(0, 1)), min_size=1))
    confusion = np.zeros((size, size), np.int64)
    for true, predicted, _ in cases:
        confusion[true, predicted] += 1
    wrong = [Wrong("test", k, *case, None) for k, case in enumerate(cases) if case[0] != case[1]]
    found = Evaluation("x", "test", tuple(names), confusion, tuple(wrong), "fast")

    assert found.right + len(found.wrong) == found.total == len(cases)
    for k in range(size):
        hits = sum(true == predicted == k for true, predicted, _ in cases)
        taken = sum(predicted == k for _, predicted, _ in cases)
        there = sum(true == k for true, _, _ in cases)
        assert found.precision[k] == (hits / taken if taken else None)
        assert found.recall[k] == (hits / there if there else None)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [Wrong(**case) for case in document["wrong"]] == wrong
    rows = list(csv.DictReader(io.StringIO(found.to_csv(), newline="")))
    assert [(int(row["index"]), int(row["true"]), int(row["predicted"])) for row in rows] == [
        (case.index, case.true, case.predicted) for case in wrong
    ]
    found_names = [row["true_class"] for row in rows]
    for name, case in zip(found_names, wrong, strict=True):
        assert name in (names[case.true], f"'{names[case.true]}")  # a ' before a formula
        assert len(name) < 2 or name[0] not in "=+-@"
    lines = str(found).split("\n")
    assert lines[-1].endswith(f"{found.right} / {found.total} = {found.accuracy:.4f}")
    assert all(letter.isprintable() for line in lines for letter in line)


@pytest.mark.parametrize(
    ("confusion", "words"),
    [
        (np.eye(3), "2 classes"),
        (np.zeros((2, 2)), "one example or more"),
        ([[2, -1], [0, 0]], "one example or more"),
        ([[2, 1], [0, 0]], "another number than 0 wrong"),
    ],
)
def test_parts_that_do_not_fit_are_refused(confusion: Any, words: str) -> None:
    """A matrix of another size, without examples, or with other errors than are listed."""
    with pytest.raises(DataError, match=words):
        Evaluation("x", "test", ("a", "b"), np.array(confusion), (), "fast")


def test_many_classes_have_no_matrix_in_the_text() -> None:
    """With 300 classes the text has figures and confusions; the matrix is in the JSON."""
    random = np.random.default_rng(3)
    part = Split(random.integers(0, 256, (900, 4, 4), dtype=np.uint8), np.arange(900) % 300)
    data = Dataset("wide", {"train": part, "test": part}, tuple(f"class {k}" for k in range(300)))
    found = evaluate(model_of(data), data)
    shown = str(found)
    assert "by true (row)" not in shown
    assert max(map(len, shown.splitlines())) < 80
    _, figures, often, _ = shown.split("\n\n")
    assert len(figures.splitlines()) == 301
    assert len(often.splitlines()) == 12
    assert np.shape(found.to_json()["confusion"]) == (300, 300)


def test_long_class_names_leave_the_matrix_narrow(odd: Dataset) -> None:
    """Columns are headed by label numbers where a name is long; rows have both."""
    _, matrix, *_ = str(evaluate(model_of(odd), odd)).split("\n\n")
    _, heads, first, *_ = matrix.splitlines()
    assert heads.split() == ["true", *map(str, range(11))]
    assert first.startswith("0 class/0 é  ")


# Wrong cases


def assert_pictures(found: Evaluation, tree: Path) -> None:
    """Every wrong case names a file with the pixels evaluated, in the folder of its class."""
    examples = mnistprep.read(tree).splits[found.split]
    assert found.wrong
    for case in found.wrong:
        assert case.path is not None
        with Image.open(case.path) as picture:
            assert np.array_equal(np.asarray(picture), examples.images[case.index])
        assert Path(case.path).parent == tree / found.split / str(case.true)
        assert examples.labels[case.index] == case.true != case.predicted
    assert len({case.path for case in found.wrong}) == len(found.wrong)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("indexed", [True, False])
def test_wrong_cases_of_a_tree_name_their_pictures(
    tmp_path: Path, digits: Dataset, trained: Trained, split: str, indexed: bool
) -> None:
    """With or without the index, the path of a wrong case is the picture that was evaluated."""
    tree = mnistprep.write(digits, tmp_path / "tree", "imagefolder")
    if not indexed:
        (tree / "index.txt").unlink()
        (tree / "mnistprep.json").unlink()
    assert_pictures(evaluate(trained, tree, split=split), tree)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "imagefolder"])
def test_other_forms_name_split_and_index(
    digits: Dataset, trained: Trained, forms: dict[str, Path], name: str
) -> None:
    """A form without a file for each picture gives no path; index counts within the split."""
    found = evaluate(trained, forms[name])
    assert found.confusion.tolist() == evaluate(trained, digits).confusion.tolist()
    labels = digits.splits["test"].labels
    predicted = predict(trained, digits.splits["test"])
    shares = probabilities(trained, digits.splits["test"])
    assert [case.index for case in found.wrong] == np.flatnonzero(predicted != labels).tolist()
    for case in found.wrong:
        assert (case.split, case.path) == ("test", None)
        assert (case.true, case.predicted) == (labels[case.index], predicted[case.index])
        assert case.confidence == pytest.approx(shares[case.index].max(), abs=1e-6)
        assert f"  test[{case.index}]\n" in str(found)


def test_a_joined_valid_is_train_and_no_split(trained: Trained, forms: dict[str, Path]) -> None:
    """Splits are those of the form: IDX has all 600 as train, the pickle its own valid."""
    assert evaluate(trained, forms["idx"], split="train").total == 600
    assert evaluate(trained, forms["pkl"], split="valid").total == 90
    with pytest.raises(UnknownName, match=r"unknown split 'valid'.*train, test"):
        evaluate(trained, forms["idx"], split="valid")


def test_a_large_set_takes_no_more_memory(digits: Dataset) -> None:
    """Pictures are walked in chunks: three times as many need no more memory at a time."""
    model = model_of(digits, RECIPES["numpy"])
    peaks = []
    for count in (8192, 3 * 8192):
        images = np.resize(digits.splits["test"].images, (count, 28, 28))
        labels = np.resize(predict(model, digits.splits["test"]), count)
        labels[[5, count - 2]] = (labels[[5, count - 2]] + 1) % 10
        data = Dataset("many", {"test": Split(images, labels)}, digits.classes)
        tracemalloc.start()
        found = evaluate(model, data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert [case.index for case in found.wrong] == [5, count - 2]
    assert peaks[1] < 1.05 * peaks[0]


@pytest.mark.slow
def test_wrong_digits_of_the_real_set_are_found_in_its_tree(
    tmp_path: Path, real_digits: Path
) -> None:
    """Of the 10,000 test digits as PNGs, each that is misread is named by its file."""
    digits = mnistprep.read(real_digits, "idx-gz")
    model = fit(digits.splits["train"], classes=digits.classes, device="cpu")
    test = Dataset("mnist", {"test": digits.splits["test"]}, digits.classes)
    tree = mnistprep.write(test, tmp_path / "mnist_images", "imagefolder")
    found = evaluate(model, tree)
    assert found.accuracy > 0.98
    assert_as_scikit_learn(found, model, digits.splits["test"])
    assert_pictures(found, tree)


# What does not fit


def first(dataset: Dataset, count: int, classes: tuple[str, ...]) -> Dataset:
    """A dataset `few` of the first test examples, with those class names."""
    return Dataset("few", {"test": dataset.splits["test"].take(np.arange(count))}, classes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: first(d, 0, d.classes), "few: test is empty"),
        (
            lambda d: Dataset(
                "small", {"test": Split(np.zeros((3, 20, 16), np.uint8), np.zeros(3, int))}, ("0",)
            ),
            "takes pictures of 28x28, those of small are 20x16",
        ),
        (lambda d: first(d, 1, (*d.classes, "ten")), r"has 10 classes .*, few has 11"),
        (lambda d: first(d, 1, d.classes[::-1]), r"\(9, 8, .*: the same names for other"),
        (lambda d: first(d, 1, tuple("abcdefgh")), r"has 10 .*, few has 8 \(a, b, c, d, ...\)"),
    ],
)
def test_data_that_do_not_fit_the_model_are_refused(
    digits: Dataset, trained: Trained, change: Callable[[Dataset], Dataset], words: str
) -> None:
    """No examples, other pictures, other classes: the message has both sides."""
    with pytest.raises(UsageError, match=words):
        evaluate(trained, change(digits))


def test_other_class_names_are_noted_and_fewer_are_not(digits: Dataset, trained: Trained) -> None:
    """Classes go by label; numbers alone, and the first of the names, are no other names."""
    notes = Notes()
    few = first(digits, 1, digits.classes[:8])
    found = evaluate(trained, few, progress=notes)
    assert found.classes == digits.classes
    assert notes.notes == []
    letters = Dataset("letters", digits.splits, tuple("abcdefghij"))
    assert evaluate(trained, letters, progress=notes).classes == letters.classes
    named = evaluate(replace(trained, classes=letters.classes), few, progress=notes)
    assert named.classes == letters.classes
    assert notes.notes == [
        "the model has 10 classes (0, 1, 2, 3, ...), letters has 10 (a, b, c, d, ...): "
        "taken to be the same, by label",
        "the model has 10 classes (a, b, c, d, ...), few has 8 (0, 1, 2, 3, ...): "
        "taken to be the same, by label",
    ]


def test_a_model_that_has_diverged_is_not_evaluated(digits: Dataset) -> None:
    """Where the model gives no numbers there is no prediction to count."""
    model = model_of(digits)
    with torch.no_grad():
        for weights in model.model.parameters():
            weights.fill_(math.nan)
    with pytest.raises(DataError, match="the model gives no numbers"):
        evaluate(model, digits)


def test_a_path_that_is_missing_or_no_model_is_refused(tmp_path: Path, digits: Dataset) -> None:
    """The model's path is checked before anything else is done."""
    with pytest.raises(MissingPath):
        evaluate(tmp_path / "nowhere.pt", digits)
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(mnistprep.MnistprepError, match=r"text\.pt"):
        evaluate(tmp_path / "text.pt", digits)
