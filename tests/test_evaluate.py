"""The command `evaluate`: its text, JSON and CSV, where its data come from, and wrong calls."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import mnistprep
from mnistprep import Dataset, Split, cli
from mnistprep.evaluation import evaluate
from mnistprep.formats import default_output
from mnistprep.training import RECIPES, Recipe, Trained, fit, save_checkpoint

FAST = RECIPES["fast"]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Drawn digits."""
    return mnistprep.load("synth:600,150", workers=1)


@pytest.fixture(scope="module")
def trained(digits: Dataset) -> Trained:
    """A model that gets some of the digits right and some wrong."""
    model = model_of(digits, replace(FAST, least_steps=1))
    return replace(model, recipe=FAST, dataset="synth:600,150")


@pytest.fixture(scope="module")
def checkpoint(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model in a file."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save_checkpoint(trained, path)
    return path


@pytest.fixture(scope="module")
def forms(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The digits in some forms."""
    folder = tmp_path_factory.mktemp("forms")
    return {
        name: mnistprep.write(digits, folder / default_output(name, "digits"), name)
        for name in ("imagefolder", "csv", "npz", "idx")
    }


def model_of(dataset: Dataset, recipe: Recipe) -> Trained:
    """A model trained on a dataset."""
    train = dataset.splits["train"]
    return fit(train, classes=dataset.classes, recipe=recipe, device="cpu")


def call(*arguments: str | Path, code: int = 0) -> Result:
    """Run `mnistprep evaluate` in this process; no exception may get out of it."""
    result = CliRunner().invoke(cli.main, ["evaluate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def test_text_ends_with_what_is_looked_for(checkpoint: Path, forms: dict[str, Path]) -> None:
    """Every wrong case first, then matrix, classes and confusions, right / total last."""
    tree = forms["imagefolder"]
    shown = call(checkpoint, "--input", tree).stdout
    found = evaluate(checkpoint, tree)
    cases, matrix, figures, often, verdict = shown.rstrip("\n").split("\n\n")
    rows = [line.split() for line in cases.splitlines()]
    assert rows[0] == ["true", "predicted", "confidence", "where"]
    assert rows[1:] == [
        [str(case.true), str(case.predicted), f"{case.confidence:.4f}", case.path]
        for case in found.wrong
    ]
    counts = [list(map(int, line.split()[1:])) for line in matrix.splitlines()[2:]]
    assert counts == found.confusion.tolist()
    assert figures.splitlines()[1].split()[:2] == ["0", str(found.confusion[0].sum())]
    times = [int(line.split()[-1]) for line in often.splitlines()[2:]]
    assert times == sorted(times, reverse=True)
    off_diagonal = found.confusion - np.diag(found.confusion.diagonal())
    assert times[0] == off_diagonal.max()
    share = f"{found.right} / {found.total} = {found.accuracy:.4f}"
    assert verdict == f"digits_images test, recipe fast: {share}"


def test_json_holds_everything(checkpoint: Path, forms: dict[str, Path]) -> None:
    """One document with the figures, the matrix, every case and the notes."""
    document = json.loads(call(checkpoint, "--input", forms["npz"], "--json").stdout)
    found = evaluate(checkpoint, forms["npz"])
    assert document == {**found.to_json(), "notes": []}
    assert document["accuracy"] == document["right"] / document["total"]


def test_csv_holds_the_wrong_cases(checkpoint: Path, forms: dict[str, Path]) -> None:
    """A header and a line for each case; --quiet leaves it as it is."""
    for path in (forms["imagefolder"], forms["csv"]):
        shown = call(checkpoint, "--input", path, "--csv", "--quiet").stdout
        rows = list(csv.DictReader(io.StringIO(shown, newline="")))
        assert [
            (row["split"], int(row["index"]), int(row["true"]), int(row["predicted"]), row["path"])
            for row in rows
        ] == [
            (case.split, case.index, case.true, case.predicted, case.path or "")
            for case in evaluate(checkpoint, path).wrong
        ]
        assert all(0 <= float(row["confidence"]) <= 1 for row in rows)


def test_a_checkpoint_names_its_dataset(tmp_path: Path, checkpoint: Path, trained: Trained) -> None:
    """Without --dataset and --input, it is the set that the model was trained on."""
    assert "synth test" in call(checkpoint).stdout
    assert "/ 30 =" in call(checkpoint, "--dataset", "synth:60,30").stdout
    for name, words in (("mine.npz", "was trained on 'mine.npz'"), ("", "does not say")):
        path = tmp_path / f"{name}.pt"
        save_checkpoint(replace(trained, dataset=name), path)
        refused = call(path, code=2)
        assert words in refused.stderr
        assert "--dataset or --input" in refused.stderr


def test_a_bare_state_dict_is_evaluated(tmp_path: Path, digits: Dataset) -> None:
    """The file of a walk-through has no metadata; --recipe says what it is a model of."""
    model = model_of(digits, replace(RECIPES["mlp"], epochs=2))
    path = tmp_path / "mnist.pth"
    save_checkpoint(replace(model, recipe=RECIPES["mlp"]), path, plain=True)
    data = mnistprep.write(digits, tmp_path / "digits.npz")
    shown = call(path, "--input", data, "--recipe", "mlp").stdout
    assert f"recipe mlp: {evaluate(model, digits).right} / 150" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--json", "--csv"], 2, "give one"),
        (["--input", "{npz}", "--dataset", "mnist"], 2, "give one"),
        (["--input", "{npz}", "--mirror", "x"], 2, "give one"),
        (["--from", "npz"], 2, "there is no --input"),
        (["--input", "{npz}", "--split", "valid"], 2, "unknown split 'valid'"),
        (["--input", "{npz}", "--split", "all"], 2, "'all'"),
        (["--input", "{npz}", "--from", "csv"], 1, "digits.npz"),
        (["--input", "{npz}", "--recipe", "cnn"], 2, "not of cnn"),
        (["--input", "{npz}", "--recipe", "mpl"], 2, "mpl"),
        (["--dataset", "mnits"], 2, "did you mean 'mnist'"),
        (["--dataset", "synth:9,0"], 2, "test is empty"),
        (["--input", "nowhere"], 2, "does not exist"),
        (["--input", "{model}"], 1, "model.pt"),
    ],
)
def test_wrong_calls_get_words_and_a_code(
    checkpoint: Path, forms: dict[str, Path], arguments: list[str], code: int, words: str
) -> None:
    """What a person can do wrong ends in a message; nothing is printed as a result."""
    given = [text.format(npz=forms["npz"], model=checkpoint) for text in arguments]
    result = call(checkpoint, *given, code=code)
    assert words in result.stderr
    assert (result.stdout == "") != ("--json" in arguments)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    """Names that would write to the terminal are escaped in text and CSV."""
    names = ("\x1b[31mred", "=1+1", 'a,"b', "line\nbreak", "x" * 200, "\u202eback")  # as sorted
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6), dtype=np.uint8)
    labels = np.arange(60) % 6
    parts = {name: Split(images, labels) for name in ("train", "test")}
    model = model_of(Dataset("hostile", parts, names), replace(FAST, least_steps=1))
    tree = tmp_path / "tree"
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tree / "test" / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        name = os.fsencode(folder) + b'/\xff\x1b[2J\n,"%d.png' % k
        Image.fromarray(image).save(os.fsdecode(name))
    save_checkpoint(replace(model, recipe=FAST), tmp_path / "model.pt")

    shown = call(tmp_path / "model.pt", "--input", tree)
    for text in (shown.stdout, shown.stderr):
        assert all(letter.isprintable() for line in text.split("\n") for letter in line)
    assert "\\x1b[31mred" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) < 700  # a path may be long, a column not
    rows = call(tmp_path / "model.pt", "--input", tree, "--csv").stdout_bytes.decode("utf-8")
    cases = list(csv.DictReader(io.StringIO(rows, newline="")))
    document = json.loads(call(tmp_path / "model.pt", "--input", tree, "--json").stdout)
    assert len(cases) == len(document["wrong"]) > 0
    escaped = {*names[2:4], "\\x1b[31mred", "'=1+1", names[4], "\\u202eback"}
    assert {case["true_class"] for case in cases} <= escaped
    assert all(os.path.isfile(case["path"]) for case in document["wrong"])


def test_the_command_runs_without_warnings(
    tmp_path: Path, checkpoint: Path, forms: dict[str, Path]
) -> None:
    """As a process of its own, with warnings as errors: the text on one stream, nothing else."""
    ran = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "mnistprep", "evaluate", checkpoint),
            *("--input", forms["idx"], "--device", "cpu"),
        ],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert ran.stdout.splitlines()[-1].startswith("digits_idx test, recipe fast: ")
    assert ran.stderr == ""
