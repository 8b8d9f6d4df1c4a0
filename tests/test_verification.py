"""Proof by digest and by training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import MissingPath, UnknownName, UsageError
from mnistprep.formats import FORMATS, default_output


def changed(dataset: Dataset, split: str, **arrays: np.ndarray) -> Dataset:
    """The dataset with other pictures or labels in one split."""
    part = dataset.splits[split]
    new = Split(arrays.get("images", part.images), arrays.get("labels", part.labels))
    return Dataset(dataset.name, {**dataset.splits, split: new}, dataset.classes)


@pytest.fixture
def small() -> Dataset:
    """A small drawn set."""
    return mnistprep.load("synth:300,60")


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_written_is_right(tmp_path: Path, name: str, small: Dataset) -> None:
    """What a format wrote has the digest of its source, in order."""
    path = mnistprep.write(small, tmp_path / default_output(name, "x"), name)
    report = mnistprep.verify(path, source=small, train=False)
    assert report.right, str(report)
    assert report.exit_code == 0
    assert report.checks[0].order == "original"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("what", ["pixel", "label"])
def test_one_wrong_value_is_found_and_its_place_is_named(
    tmp_path: Path, name: str, what: str, small: Dataset
) -> None:
    """One pixel or one label that differs fails the check, which names file and example."""
    if what == "pixel":
        images = small.splits["train"].images.copy()
        images[261, 3, 4] ^= 1
        wrong = changed(small, "train", images=images)
    else:
        labels = small.splits["train"].labels.copy()
        labels[261] = (labels[261] + 1) % 10
        wrong = changed(small, "train", labels=labels)
    path = mnistprep.write(wrong, tmp_path / default_output(name, "x"), name)
    report = mnistprep.verify(path, source=small, train=False)
    assert report.exit_code == 1
    text = "\n".join(report.checks[0].problems)
    assert str(path) in text
    if what == "pixel":
        assert "row 3, column 4" in text
    else:
        assert f"label {wrong.splits['train'].labels[261]}" in text
    number = {
        "csv": "line 263", "libsvm": "line 262", "arff": "line 1051",
        "pkl": "valid x[11]", "imagefolder": ".png",
    }.get(name, "261")  # fmt: skip
    assert number in text


def test_examples_on_both_sides_of_a_boundary_are_named(tmp_path: Path, small: Dataset) -> None:
    """Where train and valid are stored apart, each wrong example is named in its own part."""
    images = small.splits["train"].images.copy()
    images[[249, 250, 299], 3, 4] ^= 1
    path = mnistprep.write(changed(small, "train", images=images), tmp_path / "x.pkl")
    problems = mnistprep.verify(path, source=small, train=False).checks[0].problems
    named = [problem.partition(":")[0] for problem in problems[1:]]
    places = ["train x[249], y[249]", "valid x[0], y[0]", "valid x[49], y[49]"]
    assert named == [f"{path}, {place}" for place in places]


def test_another_order_is_right_and_said(tmp_path: Path, small: Dataset) -> None:
    """A tree without its index has lost the order, and nothing else."""
    path = mnistprep.write(small, tmp_path / "tree", "imagefolder")
    (path / "index.txt").unlink()
    report = mnistprep.verify(path, source=small, train=False)
    assert report.right
    assert report.checks[0].order == "another"
    victim = next(path.glob("train/3/*.png"))
    victim.rename(path / "train/4" / victim.name)
    problems = mnistprep.verify(path, source=small, train=False).checks[0].problems
    assert any(victim.name in problem and "not one of" in problem for problem in problems)
    assert any("1 of 300 expected examples are missing" in problem for problem in problems)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: 255 - images, "inverted"),
        (lambda images: images.swapaxes(1, 2), "transposed"),
        (lambda images: images[:, :, ::-1], "mirrored"),
        (lambda images: images // 2, "not one of the expected"),
    ],
)
def test_common_mishaps_are_called_by_their_name(
    tmp_path: Path, small: Dataset, change: object, words: str
) -> None:
    """Data that a network could still learn from are wrong all the same, and it is said how."""
    images = change(small.splits["test"].images)  # type: ignore[operator]
    path = mnistprep.write(changed(small, "test", images=images), tmp_path / "x.npz")
    report = mnistprep.verify(path, source=small, train=False)
    assert not report.right
    assert words in str(report)


def test_shuffled_labels_and_lost_examples_are_wrong(tmp_path: Path, small: Dataset) -> None:
    """Labels in another order, and fewer examples than there should be."""
    shuffled = changed(small, "train", labels=small.splits["train"].labels[::-1])
    path = mnistprep.write(shuffled, tmp_path / "labels.npz")
    assert "labels are not theirs" in str(mnistprep.verify(path, source=small, train=False))
    fewer = mnistprep.select(small, mnistprep.Selection(limit=299))
    path = mnistprep.write(fewer, tmp_path / "fewer.npz")
    shown = str(mnistprep.verify(path, source=small, train=False))
    assert "299 examples, expected 300" in shown
    assert "1 of 300 expected examples are missing" in shown


def test_a_missing_split_is_wrong_unless_it_was_not_asked_for(
    tmp_path: Path, small: Dataset
) -> None:
    """Half a dataset is not the dataset."""
    half = mnistprep.select(small, mnistprep.Selection(splits=("test",)))
    path = mnistprep.write(half, tmp_path / "half.npz")
    assert "no train examples" in str(mnistprep.verify(path, source=small, train=False))
    assert mnistprep.verify(path, source=small, splits=["test"], train=False).right


def test_a_split_that_the_source_has_not_is_wrong(tmp_path: Path, small: Dataset) -> None:
    """Pictures that nothing vouches for are no part of what is right, unless they are left out."""
    path = mnistprep.write(small, tmp_path / "x.npz")
    source = Dataset(small.name, {"train": small.splits["train"]}, small.classes)
    report = mnistprep.verify(path, source=source, train=False)
    assert report.exit_code == 1
    assert "has no test examples, and here are 60" in str(report)
    assert mnistprep.verify(path, source=source, splits=("train",), train=False).right


def test_a_moved_boundary_of_valid_is_wrong(tmp_path: Path, small: Dataset) -> None:
    """The digest joins train and valid, and what was held back from training still counts."""
    source = mnistprep.select(small, mnistprep.Selection(validation=60))
    moved = mnistprep.select(small, mnistprep.Selection(validation=100))
    path = mnistprep.write(moved, tmp_path / "moved.pt", "pt")
    report = mnistprep.verify(path, source=source, train=False)
    assert report.exit_code == 1
    assert "valid has 100 examples, expected 60" in str(report)
    assert mnistprep.verify(path, source=source, splits=["test"], train=False).right
    assert mnistprep.verify(path, source=small, train=False).right


def test_examples_that_changed_sides_are_wrong_in_any_order(tmp_path: Path, small: Dataset) -> None:
    """A form that loses the order must still have the same pictures in valid."""
    source = mnistprep.select(small, mnistprep.Selection(validation=60))
    train = source.whole("train")
    for shift, right in ((0, True), (1, False)):
        order = np.roll(np.arange(300), shift)
        order[:240], order[240:] = order[:240][::-1], order[240:][::-1]
        splits = {"train": train.take(order[:240]), "valid": train.take(order[240:])}
        other = Dataset(small.name, {**source.splits, **splits}, small.classes)
        path = mnistprep.write(other, tmp_path / f"{shift}.pt", "pt")
        report = mnistprep.verify(path, source=source, train=False)
        assert report.checks[0].order == "another"
        assert report.right is right
        assert ("valid has other examples" in str(report)) is not right


def test_a_damaged_file_is_a_problem_not_an_exception(tmp_path: Path, small: Dataset) -> None:
    """What cannot be read is in the report, with the file's name."""
    path = mnistprep.write(small, tmp_path / "x.npz")
    path.write_bytes(path.read_bytes()[:5000])
    report = mnistprep.verify(path, source=small, train=False)
    assert not report.right
    assert "x.npz" in report.checks[0].problems[0]


def test_every_format_is_verified_and_what_cannot_hold_the_set_is_said(colour: Dataset) -> None:
    """Without paths every format is written and read back; a refusal is no failure."""
    report = mnistprep.verify(source=colour, train=False)
    assert [check.format for check in report.checks] == list(FORMATS)
    assert report.right, str(report)
    refused = [check.format for check in report.checks if check.refused]
    assert refused == ["csv"]
    assert "cannot hold" in str(report)
    json.dumps(report.to_json())


def test_training_must_reach_the_accuracy(tmp_path: Path) -> None:
    """A model is trained on what was read; below the accuracy asked for, the check fails."""
    dataset = mnistprep.load("synth:2000,300")
    path = mnistprep.write(dataset, tmp_path / "x.npz")
    report = mnistprep.verify(path, source=dataset, min_accuracy=0.5)
    assert report.right, str(report)
    assert report.checks[0].accuracy is not None
    assert report.checks[0].accuracy >= 0.5
    again = mnistprep.verify(path, source=dataset, min_accuracy=1.0)
    assert again.checks[0].accuracy == report.checks[0].accuracy
    assert "was expected" in str(again)


@pytest.mark.slow
def test_a_mix_of_two_datasets_is_neither(tmp_path: Path, real_digits: Path) -> None:
    """Each split may be known; they must be of one dataset, whose name the report gives."""
    digits = mnistprep.load("mnist", mirrors=[real_digits])
    full = mnistprep.load("synth")
    mixed = Dataset(
        "x", {"train": digits.splits["train"], "test": full.splits["test"]}, digits.classes
    )
    report = mnistprep.verify(mnistprep.write(mixed, tmp_path / "x.npz"), train=False)
    assert not report.right
    assert "test is not that of MNIST" in str(report)
    alone = mnistprep.write(full, tmp_path / "y.npz")
    assert str(mnistprep.verify(alone, train=False)).endswith("synth: everything is right")


def test_a_change_far_in_is_not_taken_for_other_labels(tmp_path: Path) -> None:
    """What is said of all pictures was looked at in all of them."""
    dataset = mnistprep.load("synth:20000,10")
    images = dataset.splits["train"].images.copy()
    images[9000:] //= 2
    path = mnistprep.write(changed(dataset, "train", images=images), tmp_path / "x.npz")
    shown = str(mnistprep.verify(path, source=dataset, train=False))
    assert "labels are not theirs" not in shown
    assert "expected examples are missing" in shown


def test_the_caller_is_told_what_is_wrong_with_the_call(tmp_path: Path) -> None:
    """A path that is not there, an unknown dataset, a share beyond 1."""
    with pytest.raises(MissingPath):
        mnistprep.verify(tmp_path / "nowhere")
    with pytest.raises(UnknownName):
        mnistprep.verify(dataset="mnits")
    with pytest.raises(UsageError):
        mnistprep.verify(min_accuracy=98)
    with pytest.raises(UsageError, match="source must be a Dataset"):
        mnistprep.verify(tmp_path, source="mnist")  # type: ignore[arg-type]


def test_the_real_digits_are_known_by_their_digest(tmp_path: Path, real_digits: Path) -> None:
    """What the catalog knows needs no source; a changed pixel is found with a mirror at hand."""
    digits = mnistprep.load("mnist", mirrors=[real_digits])
    path = mnistprep.write(digits, tmp_path / "mnist.safetensors")
    assert mnistprep.verify(path, train=False).right
    assert not mnistprep.verify(path, dataset="kmnist", train=False).right
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    shown = str(mnistprep.verify(path, mirrors=[real_digits], train=False))
    assert "test_images[9999]" in shown
    assert "row 27, column 27" in shown


@pytest.mark.slow
def test_all_formats_hold_mnist_and_train(real_digits: Path) -> None:
    """The whole of `mnistprep verify` on the real digits: right, and 98 % in every format."""
    report = mnistprep.verify(mirrors=[real_digits])
    assert report.right, str(report)
    assert all(check.order == "original" for check in report.checks)
    assert min(check.accuracy or 0 for check in report.checks) >= 0.98
