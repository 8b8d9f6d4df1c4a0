"""The recipes: models of the published sizes, rates and scalings, and lines at the right time."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mnistprep
from mnistprep import Split, cli
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.training import (
    RECIPES,
    Cadence,
    Epoch,
    Line,
    Trained,
    accuracy,
    fit,
    numpy_net,
    probabilities,
    torch_net,
)
from mnistprep.training.batches import TensorLoader

PARAMETERS = {
    "fast": 54_010,
    "mlp": 784 * 256 + 256 + 256 * 10 + 10,
    "lenet5": 6 * 26 + 16 * (6 * 25 + 1) + 257 * 120 + 121 * 84 + 85 * 10,
    "cnn": 16 * 26 + 32 * (16 * 25 + 1) + (32 * 49 + 1) * 10,
    "numpy": 784 * 200 + 200 * 10,
    "mlp2": 785 * 128 + 129 * 256 + 257 * 10,
}


def some(count: int, shape: tuple[int, ...] = (28, 28), classes: int = 10) -> Split:
    """Random pictures and labels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Split(images, random.integers(0, classes, count))


@pytest.fixture(scope="module")
def digits() -> mnistprep.Dataset:
    """A small set that can be learnt."""
    return mnistprep.load("synth:2500,500")


def run(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    result = CliRunner().invoke(cli.main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_models_have_the_published_number_of_parameters(name: str) -> None:
    """Weights and biases of each model for 28x28 pictures in ten classes, counted one by one."""
    row = RECIPES[name]
    used = numpy_net if row.library == "numpy" else torch_net
    shapes = used.shapes(used.blank(row, (28, 28), 10))
    assert sum(math.prod(shape) for shape in shapes.values()) == PARAMETERS[name]


def test_lenet5_has_the_published_shapes_on_the_way() -> None:
    """6x24x24, 6x12x12, 16x8x8, 16x4x4, 256, 120, 84, 10."""
    pictures, shapes = torch.zeros(1, 1, 28, 28, device="meta"), []
    for layer in torch_net.blank(RECIPES["lenet5"], (28, 28), 10):
        pictures = layer(pictures)
        if not isinstance(layer, torch.nn.ReLU):
            shapes.append(tuple(pictures.shape[1:]))
    assert shapes == [
        *((6, 24, 24), (6, 12, 12), (16, 8, 8), (16, 4, 4)),
        *((256,), (120,), (84,), (10,)),
    ]


def test_pixels_are_scaled_as_the_walk_throughs_scale_them() -> None:
    """To 0..1; lenet5 -1..1; numpy 0.01..1; mlp2 by 256, as the pickle has it, bit for bit."""
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    split = Split(pixels, np.zeros(1, np.int64))
    expected = {
        "mlp": pixels / 255,
        "lenet5": pixels / 127.5 - 1,
        "cnn": pixels / 255,
        "mlp2": pixels / 256,
        "numpy": pixels / 255 * 0.99 + 0.01,
    }
    for name, values in expected.items():
        scaling = RECIPES[name].scaling
        assert scaling is not None
        loader = TensorLoader(split, 1, shuffle=False, mean=scaling[0], std=scaling[1])
        (found, _), *_ = loader
        np.testing.assert_allclose(found.numpy()[0], values, rtol=1e-6, atol=1e-7)
        if name == "mlp2":
            assert np.array_equal(found.numpy()[0], values.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "optimiser"),
    [
        ("mlp", lambda weights: torch.optim.Adam(weights)),
        ("lenet5", lambda weights: torch.optim.SGD(weights, lr=0.001, momentum=0.9)),
        ("cnn", lambda weights: torch.optim.Adam(weights, lr=0.001)),
        ("mlp2", lambda weights: torch.optim.SGD(weights, lr=0.001)),
    ],
)
def test_a_plain_loop_ends_in_the_same_weights(name: str, optimiser: object) -> None:
    """The recipe is what its walk-through writes out: model, loss, optimiser, batch and epochs."""
    row, split = RECIPES[name], some(333)
    trained = fit(split, classes=10, recipe=name, epochs=3, device="cpu", seed=5)

    torch.manual_seed(5)
    model = torch_net.resolve(row.model, "mnistprep.training.models")((28, 28), 10)
    step = optimiser(model.parameters())
    images = torch.tensor(split.images)[:, None] / (256 if name == "mlp2" else 255)
    images = images * 2 - 1 if name == "lenet5" else images
    labels, orders = torch.tensor(split.labels), torch.Generator().manual_seed(5)
    for _ in range(3):
        for part in torch.randperm(333, generator=orders).split(row.batch):
            loss = torch.nn.functional.cross_entropy(model(images[part]), labels[part])
            step.zero_grad()
            loss.backward()
            step.step()

    for name, value in model.state_dict().items():
        torch.testing.assert_close(trained.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_published_hyper_parameters() -> None:
    """Batch size, epochs and rate are those of the walk-throughs."""
    published = {
        "mlp": (64, 10, 1e-3),
        "lenet5": (32, 10, 1e-3),
        "cnn": (50, 10, 1e-3),
        "numpy": (1, 5, 0.1),
        "mlp2": (64, 25, 1e-3),
    }
    assert published == {
        name: (RECIPES[name].batch, RECIPES[name].epochs, RECIPES[name].rate) for name in published
    }


def test_lines_come_at_the_published_batches() -> None:
    """Every 100 batches from the first for mlp and cnn, after every 200 for lenet5."""
    told = {
        name: [batch for batch in range(1, batches + 1) if row.cadence.tells(batch)]
        for name, batches in (("mlp", 938), ("lenet5", 1875), ("cnn", 1200))
        if (row := RECIPES[name]).cadence
    }
    assert told["mlp"] == list(range(1, 939, 100))
    assert told["lenet5"] == [200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800]
    assert told["cnn"] == list(range(1, 1201, 100))


def test_lines_and_epochs_are_told_as_they_come(digits: mnistprep.Dataset) -> None:
    """Lines carry batch losses or their mean since the last line, with test accuracy if asked."""
    train, test = digits.splits["train"].take(np.arange(650)), digits.splits["test"]
    row = replace(RECIPES["mlp"], cadence=Cadence(every=11, first=11, mean=True, accuracy=True))
    heard: list[Line | Epoch] = []

    trained = fit(
        train, classes=10, recipe=row, epochs=2, device="cpu", test=test, watch=heard.append
    )

    assert [type(what) for what in heard] == [Line, Epoch, Line, Epoch]
    assert tuple(heard[::2]) == trained.lines
    assert tuple(heard[1::2]) == trained.history
    assert [(line.epoch, line.batch) for line in trained.lines] == [(1, 11), (2, 11)]
    for line, epoch in zip(trained.lines, trained.history, strict=True):
        assert line.loss == pytest.approx(epoch.loss, rel=1e-5)  # one line for the whole epoch
    assert trained.lines[-1].accuracy == pytest.approx(accuracy(trained, test))
    assert re.fullmatch(
        r"epoch 2, batch 11: loss \d\.\d{4}, test accuracy 0\.\d{4}", str(trained.lines[-1])
    )
    assert str(trained.history[0]).startswith("epoch 1: loss ")


def test_the_first_losses_are_those_of_guessing() -> None:
    """The first line of mlp is about ln 10 = 2.3, as published."""
    trained = fit(some(640), classes=10, recipe="mlp", epochs=1, device="cpu")
    assert trained.lines[0].loss == pytest.approx(2.3, abs=0.15)


def test_small_pictures_are_refused_by_models_that_cannot_take_them() -> None:
    """lenet5 needs 16x16, cnn 4x4; below, the message says so and names what goes."""
    for name, fits, small in (("lenet5", (16, 16), (15, 30)), ("cnn", (4, 4), (3, 9))):
        fit(some(20, fits), classes=10, recipe=name, epochs=1, device="cpu")
        with pytest.raises(UnsupportedError, match=f"{name} needs pictures of at least"):
            fit(some(20, small), classes=10, recipe=name, epochs=1, device="cpu")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_colour_and_odd_shapes(name: str) -> None:
    """Pictures that are not square and have three channels, in eleven classes."""
    split = some(40, (17, 23, 3), 11)
    row = replace(RECIPES[name], least_steps=0)
    trained = fit(split, classes=11, recipe=row, epochs=1, device="cpu")
    found = probabilities(trained, split)
    assert found.shape == (40, 11)
    assert found.dtype == np.float32
    assert np.all((found >= 0) & (found <= 1))
    if name != "numpy":
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


# The NumPy network


def test_the_numpy_step_goes_down_the_gradient_of_the_squared_error() -> None:
    """The step is minus the rate times half the numerical gradient, in every weight."""
    random = np.random.default_rng(1)
    network = numpy_net.Network(random.normal(size=(4, 6)), random.normal(size=(3, 4)))
    inputs, target = random.random(6), np.array([0.01, 0.99, 0.01])

    def error() -> float:
        return float(np.square(target - network(inputs[np.newaxis])[0]).sum())

    gradients, before, tiny = {}, numpy_net.weights(network), 1e-6
    for name, array in network.weights.items():
        gradients[name] = np.empty_like(array)
        for at in np.ndindex(array.shape):
            array[at] += tiny
            above = error()
            array[at] -= 2 * tiny
            gradients[name][at] = (above - error()) / (2 * tiny)
            array[at] += tiny
    assert network.learn(inputs, target, 0.1) == pytest.approx(error(), rel=0.2)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            network.weights[name] - before[name], -0.1 * gradient / 2, rtol=1e-5, atol=1e-9
        )


def test_the_numpy_network_starts_as_published() -> None:
    """Weights of both layers have mean 0 and deviation 200 ** -0.5, and there are no biases."""
    network = numpy_net.sigmoid_pair((28, 28), 10, np.random.default_rng(3))
    assert {name: array.shape for name, array in network.weights.items()} == {
        "hidden": (200, 784),
        "output": (10, 200),
    }
    for array in network.weights.values():
        assert array.std() == pytest.approx(200**-0.5, rel=0.05)
        assert abs(array.mean()) < 0.006


@pytest.mark.slow
def test_the_numpy_recipe_learns_and_repeats_itself(digits: mnistprep.Dataset) -> None:
    """A seed decides the weights; 2,500 digits are enough for four right of five."""
    train, test = digits.splits["train"], digits.splits["test"]
    first, again = (fit(train, classes=10, recipe="numpy", seed=1) for _ in range(2))
    assert accuracy(first, test) > 0.8
    assert first.history[-1].loss < first.history[0].loss
    for name, array in first.model.weights.items():
        assert np.array_equal(array, again.model.weights[name])
    with pytest.raises(UsageError, match="computes with NumPy"):
        fit(train, classes=10, recipe="numpy", device="cuda")


def test_the_numpy_recipe_never_loads_torch(tmp_path: Path) -> None:
    """Where PyTorch cannot be imported, it is trained, evaluated and used on a picture."""
    picture = tmp_path / "picture.png"
    mnistprep.write(mnistprep.load("synth:20,4"), tmp_path / "tree", "imagefolder")
    picture = next((tmp_path / "tree" / "test").glob("*/*.png"))
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from mnistprep.cli import main\n"
        "def run(*words): main(words, standalone_mode=False)\n"
        "run('recipes')\n"
        "run('train', '--recipe', 'numpy', '--dataset', 'synth:300,60')\n"
        "run('evaluate', 'model.npz')\n"
        f"run('predict', 'model.npz', {str(picture)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "test: " in done.stdout


# The command


def test_recipes_lists_every_recipe_with_its_figures() -> None:
    """A line for each with published and measured accuracy; --json has all that decides a run."""
    shown = run("recipes")
    for name, row in RECIPES.items():
        (line,) = (line for line in shown.splitlines() if line.startswith(f"{name} "))
        assert row.form in line
        assert row.about in line
        assert row.published is None or f"{row.published:.2%}" in line
        if name != "fast":
            assert len(row.measured) == 3
        assert f"{sum(row.measured) / len(row.measured):.2%}" in line
    (one,) = json.loads(run("recipes", "lenet5", "--json"))["recipes"]
    assert (one["optimiser"], one["settings"], one["rate"]) == ("SGD", {"momentum": 0.9}, 0.001)
    assert "momentum 0.9" in run("recipes", "lenet5")


def test_listing_recipes_does_not_load_torch() -> None:
    """`mnistprep recipes` answers at once."""
    script = "import sys; from mnistprep.cli import recipes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_recipe_of_ones_own_trains() -> None:
    """A row with its own model and optimiser goes through the same loop."""
    row = replace(
        RECIPES["mlp"],
        name="own",
        model=lambda shape, classes: torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(64, classes)
        ),
        optimiser=torch.optim.RMSprop,
    )
    trained: Trained = fit(some(64, (8, 8)), classes=10, recipe=row, epochs=60, device="cpu")
    assert trained.history[-1].loss < trained.history[0].loss
