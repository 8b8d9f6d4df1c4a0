"""The five walk-throughs from their own form to their figures, on the real digits, shortened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mnistprep
from mnistprep import Dataset, Selection
from mnistprep.training import RECIPES, Epoch, accuracy, load_checkpoint

pytestmark = pytest.mark.slow

# Share of the test digits after one epoch of a sixth of the training digits, at the least. lenet5
# and mlp2 learn slowly: their loss is seen to fall over three.
ONE_EPOCH = {"mlp": 0.85, "lenet5": 0.0, "cnn": 0.93, "numpy": 0.80, "mlp2": 0.0}


@pytest.fixture(scope="module")
def digits(real_digits: Path) -> Dataset:
    """MNIST as the pickle has it: 50,000, 10,000 and 10,000."""
    return mnistprep.read(real_digits / "mnist.pkl.gz")


@pytest.mark.parametrize("name", ONE_EPOCH)
def test_each_recipe_learns_from_the_form_of_its_walk_through(
    name: str, digits: Dataset, tmp_path: Path
) -> None:
    """Exported, read back, trained for a short while, saved, loaded and evaluated."""
    part = mnistprep.select(digits.joined(), Selection(limit=10_000))
    form = RECIPES[name].form
    path = mnistprep.write(part, tmp_path / ("digits.pkl.gz" if form == "pkl" else "digits"), form)
    told: list[object] = []
    epochs = 1 if ONE_EPOCH[name] else 3

    trained = mnistprep.train(
        mnistprep.read(path), tmp_path / "model", recipe=name, epochs=epochs, watch=told.append
    )

    found = mnistprep.evaluate(tmp_path / "model", path)
    assert found.accuracy == accuracy(trained, part.splits["test"]) >= ONE_EPOCH[name]
    assert isinstance(told[-1], Epoch)
    assert epochs == 1 or trained.history[-1].loss < trained.history[0].loss
    for case in found.wrong[:20]:
        assert (case.path is None) == (form != "imagefolder")
        assert case.path is None or Path(case.path).parent.name == str(case.true)


def test_the_loader_of_mlp_says_what_its_walk_through_does(digits: Dataset, tmp_path: Path) -> None:
    """ImageFolder on the exported tree: 60000, 10000, 938 batches, and 32 in the last."""
    torchvision = pytest.importorskip("torchvision")
    from torchvision import transforms

    mnistprep.write(digits.joined(), tmp_path / "mnist_images", "imagefolder")
    form = transforms.Compose([transforms.Grayscale(1), transforms.ToTensor()])
    train, test = (
        torchvision.datasets.ImageFolder(tmp_path / "mnist_images" / split, form)
        for split in ("train", "test")
    )
    loader = DataLoader(train, 64, shuffle=True)
    assert (len(train), len(test), len(loader), len(train) % 64) == (60_000, 10_000, 938, 32)
    picture, label = test[0]
    assert picture.shape == (1, 28, 28)
    assert label == 0


def test_the_first_epochs_of_mlp2_have_the_published_validation_losses(digits: Dataset) -> None:
    """2.2796, 2.2441 and 2.1890, before seeds part."""
    trained = mnistprep.train(digits, recipe="mlp2", epochs=3, device="cpu")
    losses = [epoch.valid_loss for epoch in trained.history]
    np.testing.assert_allclose(losses, [2.2796, 2.2441, 2.1890], atol=0.03)


def test_the_benchmark_of_full_runs_prints_its_table(digits: Dataset, tmp_path: Path) -> None:
    """A line for each run and a row for each recipe."""
    part = mnistprep.select(digits, Selection(limit=300))
    path = mnistprep.write(part, tmp_path / "digits.pkl.gz")
    script = Path(__file__).parent / "benchmarks" / "reference_runs.py"
    done = subprocess.run(
        [sys.executable, script, path, "--epochs", "1", "--seeds", "2"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in ONE_EPOCH:
        assert done.stdout.count(f"{name:7} seed") == 2
        assert f"| `{name}` | " in done.stdout


def test_a_checkpoint_opens_where_there_is_no_gpu(digits: Dataset, tmp_path: Path) -> None:
    """All tensors of it are on the CPU, wherever it was trained."""
    part = mnistprep.select(digits, Selection(limit=500))
    mnistprep.train(part, tmp_path / "model.pt", epochs=1)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert {value.device.type for value in content["state_dict"].values()} == {"cpu"}
    assert load_checkpoint(tmp_path / "model.pt", device="cpu").device == "cpu"
