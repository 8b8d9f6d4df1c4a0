"""mnistprep train: checkpoints, stopping and going on, several processes, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import mnistprep
from mnistprep import Dataset, Split, cli
from mnistprep.errors import FormatError, MnistprepError, TargetError, UsageError
from mnistprep.training import (
    RECIPES,
    Stopped,
    Trained,
    accuracy,
    fit,
    load_checkpoint,
    probabilities,
    save_checkpoint,
    trainer,
)

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A small set that can be learnt, with a validation split."""
    drawn = mnistprep.load("synth:1500,300")
    return mnistprep.select(drawn, mnistprep.Selection(validation=300))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in an empty folder."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    """A command run in this process."""
    return CliRunner().invoke(cli.main, list(map(str, arguments)))


def weights(trained: Trained) -> dict[str, np.ndarray]:
    """All weights as arrays."""
    found = trainer.library(trained.recipe).weights(trained.model)
    return {name: np.asarray(value) for name, value in found.items()}


def same(left: Trained, right: Trained) -> bool:
    """Whether two models have the same weights, bit for bit."""
    mine, theirs = weights(left), weights(right)
    return list(mine) == list(theirs) and all(np.array_equal(mine[k], theirs[k]) for k in mine)


# Checkpoints


@pytest.mark.parametrize("name", RECIPES)
def test_a_checkpoint_gives_back_the_model(name: str, digits: Dataset) -> None:
    """What is loaded has the weights, the figures and all that was told, but no times."""
    trained = mnistprep.train(digits, "model", recipe=name, epochs=2, device="cpu", seed=7)

    loaded = load_checkpoint("model", device="cpu")

    assert same(loaded, trained)
    test = digits.splits["test"]
    assert np.array_equal(probabilities(loaded, test), probabilities(trained, test))
    fields = ("recipe", "seed", "shape", "classes", "mean", "std", "epoch", "lines", "dataset")
    for field in (*fields, "examples", "digests", "versions"):
        assert getattr(loaded, field) == getattr(trained, field), field
    assert loaded.history == tuple(replace(epoch, seconds=None) for epoch in trained.history)
    assert loaded.history[1].valid_accuracy is not None
    assert loaded.examples == {"train": 1200, "valid": 300, "test": 300}
    assert loaded.digests == digits.digests()
    assert not Path("model.resume").exists()


def test_a_checkpoint_is_plain_values_and_a_state_dict(digits: Dataset) -> None:
    """torch.load opens it with weights_only=True; everything is on the CPU and of plain types."""
    mnistprep.train(digits, "model.pt", recipe="cnn", epochs=1, device="cpu")

    content = torch.load("model.pt", weights_only=True)

    assert content["recipe"] == "cnn"
    assert content["classes"] == list("0123456789")
    assert content["normalisation"] == {"mean": 0.0, "std": 1.0}
    assert content["seed"] == 0
    assert set(content["versions"]) == {"mnistprep", "python", "numpy", "torch"}
    assert content["dataset"]["digests"]["test"]["images"] == digits.digests()["test"].images
    assert {value.device.type for value in content["state_dict"].values()} == {"cpu"}
    kinds = (str, int, float, list, dict, torch.Tensor, type(None))

    def walk(value: object) -> None:
        assert type(value) in kinds
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            for part in parts:
                walk(part)

    walk({key: value for key, value in content.items() if key != "state_dict"})


@pytest.mark.parametrize("name", ["mlp", "numpy"])
def test_the_same_run_gives_the_same_bytes(name: str, digits: Dataset) -> None:
    """Two runs with the same seed write the same file, under any name; another seed does not."""
    for path, seed in (("one", 1), ("two.pt", 1), ("three", 2)):
        mnistprep.train(digits, path, recipe=name, epochs=1, device="cpu", seed=seed)
    one, two, three = (Path(path).read_bytes() for path in ("one", "two.pt", "three"))
    assert one == two
    assert one != three


@pytest.mark.parametrize("name", ["mlp", "lenet5", "cnn", "numpy", "mlp2"])
def test_a_bare_state_dict_is_written_and_read(name: str, digits: Dataset) -> None:
    """--plain writes weights alone, and their shapes say which recipe they are of."""
    trained = mnistprep.train(digits, "mnist.pth", recipe=name, epochs=1, device="cpu", plain=True)

    assert same(load_checkpoint("mnist.pth", device="cpu"), trained)
    assert same(load_checkpoint("mnist.pth", recipe=name, device="cpu"), trained)
    if name != "numpy":
        content = torch.load("mnist.pth", weights_only=True)
        assert all(isinstance(value, torch.Tensor) for value in content.values())
    other = "cnn" if name != "cnn" else "mlp"
    with pytest.raises(FormatError, match=f"another model than {other}"):
        load_checkpoint("mnist.pth", recipe=other)


def test_somebody_elses_mnist_pth_is_read(digits: Dataset) -> None:
    """The state dict of a module with other names, as a walk-through saves it, gives the model."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer1 = torch.nn.Linear(784, 256)
            self.layer2 = torch.nn.Linear(256, 10)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.layer2(torch.relu(self.layer1(pictures.flatten(1))))

    network = Network()
    torch.save(network.state_dict(), "mnist.pth")

    loaded = load_checkpoint("mnist.pth", device="cpu")

    assert loaded.recipe.name == "mlp"
    split = digits.splits["test"]
    pictures = torch.tensor(split.images)[:, None] / 255
    expected = network(pictures).softmax(1).detach().numpy()
    np.testing.assert_allclose(probabilities(loaded, split), expected, rtol=1e-4, atol=1e-6)


def test_what_is_no_checkpoint_is_refused(digits: Dataset) -> None:
    """Each with the file, what it is instead, and nothing of it run."""
    trained = mnistprep.train(digits, "model.pt", recipe="mlp", epochs=1, device="cpu")
    whole = Path("model.pt").read_bytes()
    Path("half.pt").write_bytes(whole[: len(whole) // 2])
    Path("text.pt").write_text("weights")
    Path("empty.pt").write_bytes(b"")
    torch.save(trained.model, "module.pt")
    torch.save({"0.weight": torch.zeros(3, 4), "0.bias": torch.zeros(3)}, "other.pth")
    mnistprep.write(digits, "data.pt")
    mnistprep.write(digits, "data.npz")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for path, message in {
        "half.pt": "truncated or damaged",
        "text.pt": "neither a checkpoint nor a state dict",
        "empty.pt": "an empty file, no model",
        "module.pt": "nothing of it was run",
        "other.pth": "are those of no recipe",
        "data.pt": "neither a checkpoint nor a state dict",
        "data.npz": "neither a checkpoint nor a state dict",
        "folder": "a folder, no model",
        "pipe": "neither a file nor a folder",
        "/dev/zero": "neither a file nor a folder",
        "missing.pt": "missing.pt",
    }.items():
        with pytest.raises(MnistprepError, match=message) as caught:
            load_checkpoint(path)
        assert path in str(caught.value)
    with pytest.raises(UsageError, match=r"model.pt is a model of mlp, not of cnn"):
        load_checkpoint("model.pt", recipe="cnn")
    with pytest.raises(FormatError, match="a trained model, not a dataset"):
        mnistprep.read("model.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "mnistprep checkpoint 9"},
        {"recipe": "unheard"},
        {"recipe": ["mlp"]},
        {"classes": "0123456789"},
        {"classes": list("01234")},
        {"classes": []},
        {"shape": [28, 27]},
        {"shape": [1 << 40, 1 << 40]},
        {"shape": ["a", "b"]},
        {"shape": []},
        {"normalisation": {"mean": "0", "std": 1.0}},
        {"history": [{"number": 1, "loss": "<script>"}]},
        {"history": [{"unknown": 1}]},
        {"history": [{"number": 1, "loss": None}]},
        {"history": [{"number": float("inf"), "loss": 1.0}]},
        {"history": [{"number": 1, "loss": 10**400}]},
        {"shape": [float("inf"), 28]},
        {"normalisation": {"mean": 10**400, "std": 1.0}},
        {"dataset": {"name": "x", "examples": {"train": None}, "digests": {}}},
        {"state_dict": {"1.weight": torch.eye(3).to_sparse()}},
        {"state_dict": {name: torch.zeros(1).expand(256, 784) for name in ("1.weight",)}},
        {"recipe": "numpy", "state_dict": {"hidden": torch.zeros(1).expand(200, 784)}},
        {"lines": [3]},
        {"dataset": None},
        {"dataset": {"name": "x", "examples": {}, "digests": {"train": 3}}},
        {"state_dict": {}},
        {"state_dict": {"1.weight": 3}},
        {"versions": [1]},
    ],
    ids=str,
)
def test_damaged_metadata_is_an_error_of_the_package(
    change: dict[str, Any], digits: Dataset
) -> None:
    """A checkpoint whose parts are missing or of another kind is refused with its path."""
    save_checkpoint(fit(digits.splits["train"], classes=10, recipe="mlp", epochs=1), "model.pt")
    content = torch.load("model.pt", weights_only=True)
    torch.save({**content, **change}, "changed.pt")
    with pytest.raises(MnistprepError, match=r"changed\.pt"):
        load_checkpoint("changed.pt")
    for key in change:
        del content[key]
    torch.save(content, "without.pt")
    with pytest.raises(MnistprepError, match=r"without\.pt"):
        load_checkpoint("without.pt")


def test_the_measured_normalisation_of_fast_is_not_guessed(digits: Dataset) -> None:
    """A bare state dict of fast is refused, since its scaling is not in the file."""
    with pytest.raises(UsageError, match="write a checkpoint"):
        mnistprep.train(digits, "bare.pth", epochs=1, plain=True, device="cpu")
    trained = fit(digits.splits["train"], classes=10, epochs=1, device="cpu")
    torch.save(trained.model.state_dict(), "bare.pth")
    with pytest.raises(UsageError, match="normalisation was measured"):
        load_checkpoint("bare.pth")


def test_a_recipe_of_ones_own_is_not_saved_under_a_known_name(digits: Dataset) -> None:
    """A checkpoint that could not be loaded again is not written."""
    row = replace(RECIPES["mlp"], rate=1e-2)
    trained = fit(digits.splits["train"], classes=10, recipe=row, epochs=1, device="cpu")
    with pytest.raises(MnistprepError, match="not one of RECIPES"):
        save_checkpoint(trained, "model.pt")
    assert not Path("model.pt").exists()


# Stopping and going on


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(
    "name", ["fast", "mlp", "lenet5", pytest.param("numpy", marks=pytest.mark.slow)]
)
def test_a_run_goes_on_to_the_same_weights(name: str, keep: str, digits: Dataset) -> None:
    """From wherever it stopped, with Adam, momentum or none, last or best."""
    train, valid = digits.splits["train"], digits.splits["valid"]
    row = replace(RECIPES[name], least_steps=0)
    stops: list[Stopped] = []
    asked: dict[str, Any] = {"classes": 10, "recipe": row, "epochs": 4, "device": "cpu"}
    asked.update(valid=valid, keep=keep)
    whole = fit(train, save=stops.append, **asked)

    assert len(stops) == 3
    for stopped in stops[::2]:
        rest = fit(train, resume=stopped, **asked)
        assert same(rest, whole)
        assert rest.epoch == whole.epoch
        assert [(e.loss, e.valid_loss) for e in rest.history] == [
            (e.loss, e.valid_loss) for e in whole.history
        ]
        assert rest.lines == whole.lines


def test_the_best_epoch_is_the_first_with_the_highest_validation_accuracy(digits: Dataset) -> None:
    """Its weights are kept, and score on the validation split what its Epoch says."""
    train, valid = digits.splits["train"], digits.splits["valid"]
    trained = fit(train, classes=10, recipe="cnn", epochs=5, valid=valid, keep="best", device="cpu")
    shares = [epoch.valid_accuracy or 0 for epoch in trained.history]
    assert trained.epoch == shares.index(max(shares)) + 1
    assert accuracy(trained, valid) == pytest.approx(max(shares))
    with pytest.raises(UsageError, match="validation split, and there is none"):
        fit(train, classes=10, keep="best")


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mnistprep", "train", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a file is there."""
    for _ in range(6000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"{path} never came")


LONG = ("--recipe", "mlp2", "--dataset", "synth:12000,300", "--epochs", "8", "--device", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_killed_goes_on_to_the_same_file(number: signal.Signals) -> None:
    """Nothing is there under the final name; --resume ends in the bytes of a run without a stop."""
    process = started(*LONG, "--output", "model.pt")
    wait_for(Path("model.pt.resume"), process)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=20)

    assert process.returncode == (-number if number == signal.SIGKILL else 1)
    assert "Traceback" not in complaint
    if number != signal.SIGKILL:
        assert "model.pt.resume has what it takes to go on" in complaint
    assert not Path("model.pt").exists()
    again = run("train", *LONG, "--output", "model.pt")
    assert again.exit_code == 1
    assert "--resume goes on with it" in again.output
    assert run("evaluate", "model.pt.resume").exit_code == 0  # what there is can be looked at

    resumed = run("train", *LONG, "--output", "model.pt", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "epoch 1:" not in resumed.output  # it did go on
    whole = run("train", *LONG, "--output", "whole.pt")
    assert whole.exit_code == 0
    assert Path("model.pt").read_bytes() == Path("whole.pt").read_bytes()
    assert sorted(path.name for path in Path().iterdir()) == ["model.pt", "whole.pt"]


def test_a_state_is_only_gone_on_with_by_its_own_run(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed, recipe, length or dataset is refused with both values; overwriting is asked."""
    monkeypatch.setattr("mnistprep.training.runs._PAUSE", 0.0)
    asked: dict[str, Any] = {"recipe": "mlp2", "epochs": 3, "device": "cpu"}

    def stop(what: object) -> None:
        if Path("model.pt.resume").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mnistprep.train(digits, "model.pt", watch=stop, **asked)
    small = mnistprep.select(digits, mnistprep.Selection(limit=100))
    for change, key in (
        ({"seed": 9}, "seed"),
        ({"recipe": "mlp"}, "recipe"),
        ({"epochs": 4}, "epochs"),
        ({"keep": "best"}, "keep"),
        ({"dataset": small}, "examples"),
    ):
        call = {"dataset": digits, **asked, **change}
        with pytest.raises(UsageError, match=f"the state of another run: {key} is"):
            mnistprep.train(output="model.pt", resume=True, **call)
    with pytest.raises(TargetError, match="--overwrite starts from the beginning"):
        mnistprep.train(digits, "model.pt", **asked)
    anew = mnistprep.train(digits, "model.pt", overwrite=True, **asked)
    assert len(anew.history) == 3
    assert not Path("model.pt.resume").exists()


def test_resuming_with_nothing_kept_starts_from_the_beginning() -> None:
    """It says so, so that a script may always ask for it."""
    result = run("train", "--recipe", "mlp", "--dataset", "synth:200,50", "--resume", "--epochs", 1)
    assert result.exit_code == 0
    assert "no model.pt.resume to go on with" in result.stderr


# Several processes


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes of one run."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         "--standalone", "-m", "mnistprep", "train", *arguments],
        capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "mlp", "fast"])
def test_two_processes_learn_what_one_does(name: str) -> None:
    """torchrun with gloo: one checkpoint, said once, with weights of one process up to rounding."""
    asked = ("--recipe", name, "--dataset", "synth:2001,400", "--epochs", "2", "--device", "cpu")
    alone = run("train", *asked, "--output", "alone.pt", "--json")
    together = torchrun(*asked, "--output", "together.pt", "--json")

    assert together.returncode == 0, together.stderr
    said, expected = json.loads(together.stdout), json.loads(alone.stdout)
    assert said["accuracy"] == pytest.approx(expected["accuracy"], abs=0.011)
    for mine, theirs in zip(said["history"], expected["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=0.01)
    one, two = (load_checkpoint(path, device="cpu") for path in ("alone.pt", "together.pt"))
    for key, value in weights(one).items():
        assert np.corrcoef(value.ravel(), weights(two)[key].ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_a_batch_smaller_than_the_processes_is_learnt_from() -> None:
    """65 examples in batches of 64: the last batch has nothing for the second process."""
    for name in ("lenet5", "cnn", "mlp2"):
        batch = RECIPES[name].batch
        asked = ("--recipe", name, "--dataset", f"synth:{batch + 1},10", "--epochs", "2")
        done = torchrun(*asked, "--output", f"{name}.pt", "--device", "cpu", "--quiet")
        assert done.returncode == 0, done.stderr
        assert len(load_checkpoint(f"{name}.pt").history) == 2


# The command


def test_training_from_a_path_and_from_a_name(digits: Dataset) -> None:
    """Lines at the recipe's cadence, an epoch with its time, the result; the same from any form."""
    mnistprep.write(digits, "tree", "imagefolder")
    mnistprep.write(digits, "digits.pkl.gz")
    for path in ("tree", "digits.pkl.gz"):
        asked = ("--input", path, "--recipe", "mlp", "--epochs", 2, "--output", f"{path}.pt")
        result = run("train", *asked, "--device", "cpu")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0].startswith("epoch 1, batch 1: loss 2.")
        assert lines[1].startswith("epoch 1: loss ")
        assert "validation accuracy 0." in lines[1]
        assert lines[1].endswith(" s")
        assert "mlp, trained on 1,200 examples" in lines[-2]
        assert lines[-1].startswith("test: ")
    assert same(load_checkpoint("tree.pt"), load_checkpoint("digits.pkl.gz.pt"))


def test_json_is_one_document_and_quiet_is_quiet() -> None:
    """--json has history, lines and accuracy; --quiet prints nothing."""
    asked = ("train", "--recipe", "numpy", "--dataset", "synth:300,60", "--epochs", "2")
    result = run(*asked, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert document["path"] == "model.npz"
    assert [epoch["number"] for epoch in document["history"]] == [1, 2]
    assert 0 <= document["accuracy"] <= 1
    quiet = run(*asked, "--quiet", "--overwrite")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_mlp2_takes_the_last_sixth_for_validation_where_there_is_none() -> None:
    """As the pickle has it: 50,000 and 10,000 of 60,000; --validation asks for another number."""
    asked = ("train", "--recipe", "mlp2", "--dataset", "synth:600,50", "--epochs", 1, "--json")
    document = json.loads(run(*asked).stdout)
    assert document["examples"] == {"train": 500, "valid": 100, "test": 50}
    assert document["history"][0]["valid_loss"] is not None
    document = json.loads(run(*asked, "--validation", "50", "--output", "other.pt").stdout)
    assert document["examples"] == {"train": 550, "valid": 50, "test": 50}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--recipe", "mpl"), 2, "did you mean 'mlp'"),
        (("--recipe", "numpy", "--device", "cuda"), 2, "computes with NumPy"),
        (("--keep", "best"), 2, "there is none"),
        (("--limit", "0"), 2, "the training split is empty"),
        (("--input", "missing"), 2, "missing"),
        (("--validation", "200"), 2, "the training split is empty"),
        (("--output", "taken"), 1, "taken exists already"),
        (("--output", ""), 1, "exists already"),
        (("--output", "taken/model.pt"), 1, "not a folder"),
        (("--epochs", "0"), 2, "epochs"),
    ],
)
def test_wrong_calls_end_in_one_line(arguments: tuple[str, ...], code: int, message: str) -> None:
    """What is wrong is said before anything is trained, and nothing is written."""
    Path("taken").write_text("mine")
    source = () if "--input" in arguments else ("--dataset", "synth:200,50")
    result = run("train", *source, "--device", "cpu", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in Path().iterdir()] == ["taken"]
    assert Path("taken").read_text() == "mine"


def test_the_source_is_never_overwritten(digits: Dataset) -> None:
    """Not as the checkpoint, a file or a folder, and not even with --overwrite."""
    mnistprep.write(digits, "digits.npz")
    mnistprep.write(digits, "tree", "imagefolder")
    mnistprep.write(digits, "model.pt.resume", "npz")
    before = Path("digits.npz").read_bytes()
    for source, target in (
        ("digits.npz", "digits.npz"),
        ("tree", "tree"),
        ("model.pt.resume", "model.pt"),
    ):
        asked = ("--input", source, "--output", target, "--overwrite", "--epochs", 1)
        result = run("train", "--recipe", "mlp", *asked)
        assert result.exit_code == 1, result.output
    assert Path("digits.npz").read_bytes() == before
    assert Path("tree").is_dir()


def test_a_path_called_mnist_is_not_taken_for_mnist(digits: Dataset) -> None:
    """A model trained on it is evaluated on what one names, not on the dataset of that name."""
    mnistprep.write(digits, "mnist", "imagefolder")
    assert run("train", "--input", "mnist", "--recipe", "mlp", "--epochs", 1).exit_code == 0
    result = run("evaluate", "model.pt")
    assert result.exit_code == 2
    assert "was trained on './mnist', which is no name of a dataset" in result.output


def test_processes_that_nobody_started_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher's WORLD_SIZE without an address to meet at is wrong usage."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    result = run("train", "--dataset", "synth:60,10", "--device", "cpu")
    assert result.exit_code == 2
    assert "start the processes by torchrun" in result.output


def test_a_folder_where_the_state_goes_is_refused_before_training(digits: Dataset) -> None:
    """Not after it."""
    Path("model.pt.resume").mkdir()
    with pytest.raises(TargetError, match=r"model\.pt\.resume is where .*something else"):
        mnistprep.train(digits, "model.pt", overwrite=True)


def test_a_set_without_test_or_train(digits: Dataset) -> None:
    """Without test there is no share at the end; without train there is nothing to learn from."""
    train = Dataset("part", {"train": digits.splits["train"]}, digits.classes)
    mnistprep.write(train, "train.npz")
    result = run("train", "--input", "train.npz", "--recipe", "cnn", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert "test" not in result.stdout.splitlines()[-1]
    test = Dataset("part", {"test": digits.splits["test"]}, digits.classes)
    mnistprep.write(test, "test.npz")
    result = run("train", "--input", "test.npz", "--output", "other.pt")
    assert result.exit_code == 2
    assert "no train split to learn from, only test" in result.output


def test_class_names_and_other_shapes_are_in_the_checkpoint(odd: Dataset) -> None:
    """Eleven named classes of 12x20 pictures come back with the model."""
    trained = mnistprep.train(odd, "odd.pt", recipe="cnn", epochs=1, device="cpu")
    loaded = load_checkpoint("odd.pt")
    assert loaded.classes == odd.classes
    assert loaded.shape == (12, 20)
    assert same(loaded, trained)


def test_an_empty_validation_split_is_none(digits: Dataset) -> None:
    """It is not scored."""
    empty = Split(np.empty((0, 28, 28), np.uint8), np.empty(0, np.int64))
    splits = {"train": digits.splits["train"], "valid": empty}
    trained = mnistprep.train(Dataset("x", splits, digits.classes), recipe="cnn", epochs=1)
    assert trained.history[0].valid_loss is None


@pytest.mark.slow
def test_the_numpy_recipe_refuses_several_processes() -> None:
    """It learns one example at a time, and says so."""
    done = torchrun("--recipe", "numpy", "--dataset", "synth:60,10")
    assert done.returncode != 0
    assert "learns one example at a time, in one process" in done.stderr
    assert not Path("model.npz").exists()
