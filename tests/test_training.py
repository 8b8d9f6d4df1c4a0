"""The reference trainer: learns, repeats itself, takes any shape, leaves torch as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mnistprep
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UnknownName, UsageError
from mnistprep.synth import generate
from mnistprep.training import RECIPES, Trained, accuracy, fit, predict, probabilities, torch_net
from mnistprep.training.devices import available, choose
from mnistprep.training.recipes import one_cycle, standard


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """A small set that can be learnt."""
    return generate(2000, 500, workers=1)


@pytest.fixture(scope="module")
def train(digits: Dataset) -> Split:
    """Its training split."""
    return digits.splits["train"]


def some(shape: tuple[int, ...], count: int = 37, classes: int = 11, seed: int = 0) -> Split:
    """Random pictures and labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Split(images, rng.integers(0, classes, count))


def weights(trained: Trained) -> torch.Tensor:
    """All parameters as one vector."""
    return torch.nn.utils.parameters_to_vector(trained.model.parameters()).detach().cpu()


@pytest.mark.parametrize("device", available())
def test_fast_learns_a_small_set(digits: Dataset, train: Split, device: str) -> None:
    """Two thousand pictures are enough for nine right out of ten, on every device there is."""
    trained = fit(train, classes=10, device=device)

    assert accuracy(trained, digits.splits["test"]) > 0.9
    assert trained.device.startswith(device)


def test_fast_reaches_98_percent_on_the_real_digits(real_digits: Path) -> None:
    """One epoch on MNIST ends well above the 98 % that verification asks for."""
    dataset = mnistprep.read(real_digits).joined()

    trained = fit(dataset.splits["train"], classes=10, device="cpu")

    assert accuracy(trained, dataset.splits["test"]) >= 0.982


@pytest.mark.slow
def test_fast_reaches_98_percent_on_synth() -> None:
    """One epoch on the embedded dataset ends above the 98 % that verification asks for."""
    dataset = generate()

    trained = fit(dataset.splits["train"], classes=10, device="cpu")

    assert accuracy(trained, dataset.splits["test"]) >= 0.98


def test_same_seed_same_weights_whatever_the_callers_torch_is_set_to() -> None:
    """On a CPU a seed decides every weight, not the global random state or thread count."""
    split = some((6, 10))
    threads = torch.get_num_threads()
    first = weights(fit(split, classes=11, seed=3, device="cpu"))
    try:
        torch.set_num_threads(threads % 2 + 1)
        torch.manual_seed(99)
        second = weights(fit(split, classes=11, seed=3, device="cpu"))
    finally:
        torch.set_num_threads(threads)

    assert torch.equal(first, second)
    assert not torch.equal(first, weights(fit(split, classes=11, seed=4, device="cpu")))


def test_training_leaves_torch_as_it_was() -> None:
    """The caller's random state and thread count are the same after a run, and after a failure."""
    split = some((8, 8))
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    fit(split, classes=11, device="cpu")
    with pytest.raises(RuntimeError, match="out of steps"):
        fit(split, classes=11, device="cpu", progress=_Failing())

    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("shape", "count"),
    [((12, 20), 37), ((9, 7, 3), 37), ((1, 1), 37), ((28, 28), 1), ((1, 30), 130), ((37, 33), 5)],
)
def test_any_shape_and_size_trains(shape: tuple[int, ...], count: int) -> None:
    """Odd, colour, single-pixel and single-example sets train and predict known labels."""
    split = some(shape, count)

    trained = fit(split, classes=11, device="cpu")
    found = predict(trained, split)

    assert found.dtype == np.int64
    assert found.shape == (count,)
    assert 0 <= found.min() <= found.max() < 11
    assert np.isfinite(trained.history[-1].loss)


def test_a_tiny_set_is_learnt_by_heart() -> None:
    """A small set gets as many epochs as it takes for the recipe's least number of steps."""
    split = some((12, 20))

    trained = fit(split, classes=11, device="cpu")

    assert len(trained.history) == RECIPES["fast"].least_steps
    assert accuracy(trained, split) == 1.0


def test_a_read_only_memory_map_trains_without_a_warning(tmp_path: object) -> None:
    """Pictures that are a read-only map of a file are taken as they are."""
    path = f"{tmp_path}/pictures"
    some((8, 8)).images.tofile(path)
    images = np.memmap(path, np.uint8, "r", shape=(37, 8, 8))
    split = Split(images, some((8, 8)).labels)

    trained = fit(split, classes=11, device="cpu")

    assert torch.equal(weights(trained), weights(fit(some((8, 8)), classes=11, device="cpu")))


def test_validation_is_scored_and_never_learnt_from(train: Split) -> None:
    """A validation split adds figures to each epoch and changes no weight."""
    part, held_out = train.take(np.arange(500)), train.take(np.arange(500, 700))
    short = replace(RECIPES["fast"], least_steps=20)

    plain = fit(part, classes=10, recipe=short, device="cpu")
    scored = fit(part, classes=10, recipe=short, device="cpu", valid=held_out)

    assert torch.equal(weights(plain), weights(scored))
    assert plain.history[-1].valid_accuracy is None
    last = scored.history[-1]
    assert last.valid_accuracy == pytest.approx(accuracy(scored, held_out))
    assert last.valid_loss is not None
    assert 0 < last.valid_loss < scored.history[0].valid_loss


def test_half_precision_and_channels_last_learn_as_well(
    digits: Dataset, train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU run does differently, done here on the CPU, still learns the digits."""
    monkeypatch.setattr(torch_net, "_layout", lambda device: torch.channels_last)

    short = replace(RECIPES["fast"], least_steps=120)
    trained = fit(train, classes=10, recipe=short, device="cpu", mixed=True)

    assert accuracy(trained, digits.splits["test"]) > 0.85
    assert {parameter.dtype for parameter in trained.model.parameters()} == {torch.float32}
    exact = fit(train, classes=10, recipe=short, device="cpu", mixed=False)
    test = digits.splits["test"]
    assert not np.array_equal(probabilities(trained, test), probabilities(exact, test))


def test_scaling_is_the_mean_and_deviation_of_the_training_pictures() -> None:
    """Both are those of all pixels as 0..1, whatever the number of pictures."""
    split = some((12, 20, 3), 1000)
    pixels = split.images / 255

    assert standard(split) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-12)


def test_pictures_of_one_colour_are_not_divided_by_zero() -> None:
    """A set with no contrast at all trains; its deviation counts as 1."""
    split = Split(np.full((5, 3, 3), 7, np.uint8), np.arange(5))

    trained = fit(split, classes=5, device="cpu")

    assert trained.std == 1.0
    assert np.isfinite(trained.history[-1].loss)


def test_progress_adds_up() -> None:
    """The steps reported add up to the total announced, in examples."""
    seen = _Counting()

    fit(some((8, 8)), classes=11, device="cpu", progress=seen)

    assert seen.total == seen.done == 37 * RECIPES["fast"].least_steps


def test_one_cycle_goes_up_and_down() -> None:
    """The rate starts at zero, is whole at the end of the warm-up, and ends at zero."""
    assert one_cycle(0.0) == 0.0
    assert one_cycle(0.2) == 1.0
    assert one_cycle(0.6) == pytest.approx(0.5)
    assert one_cycle(1.0) == 0.0


def test_recipes_are_known_by_their_own_names() -> None:
    """Each key is its recipe's name, and an unknown name is answered with the known ones."""
    assert all(recipe.name == key for key, recipe in RECIPES.items())
    with pytest.raises(UnknownName, match=r"unknown recipe 'fats' .*did you mean 'fast'"):
        fit(some((8, 8)), classes=11, recipe="fats")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": some((8, 8), 0)}, "nothing to train on"),
        ({"classes": 3}, r"train has label 1?\d; 3 classes end at 2"),
        ({"valid": some((8, 9))}, r"train has pictures of \(8, 8\), valid of \(8, 9\)"),
        ({"device": "tpu"}, "no device 'tpu' here; there is auto, .*cpu"),
        ({"seed": -1}, r"seed must be 0 to 18446744073709551615, not -1"),
    ],
)
def test_calls_that_cannot_be_right_are_refused(arguments: dict[str, object], message: str) -> None:
    """Each says what is wrong with it."""
    call = {"train": some((8, 8)), "classes": 11, "device": "cpu", **arguments}
    with pytest.raises(UsageError, match=message):
        fit(**call)


def test_a_model_refuses_pictures_of_another_shape() -> None:
    """Predicting on pictures that the model cannot take names both shapes."""
    trained = fit(some((8, 8)), classes=11, device="cpu")

    with pytest.raises(UsageError, match=r"trained on pictures of \(8, 8\), these are \(8, 9\)"):
        predict(trained, some((8, 9)))
    with pytest.raises(UsageError, match="empty"):
        accuracy(trained, some((8, 8), 0))
    assert predict(trained, some((8, 8), 0)).shape == (0,)


def test_auto_takes_the_fastest_device_there_is() -> None:
    """Auto is the first device of the list, and a device that is missing is refused by name."""
    assert choose("auto").type == available()[0]
    assert available()[-1] == "cpu"
    missing = {"cuda", "mps"} - set(available())
    for name in missing:
        with pytest.raises(UsageError, match=f"no device '{name}' here; there is auto, .*cpu"):
            choose(name)


class _Counting:
    """A Progress that adds up."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, what: str, total: int | None, unit: str) -> None:
        self.total += total or 0

    def advance(self, count: int) -> None:
        self.done += count

    def note(self, message: str) -> None:
        pass


class _Failing(_Counting):
    """A Progress that breaks the run."""

    def advance(self, count: int) -> None:
        raise RuntimeError("out of steps")


@pytest.mark.slow
def test_the_benchmark_of_seeds_runs(tmp_path: Path) -> None:
    """tests/benchmarks/fast_seeds.py prints a line for each seed, and least, mean and largest."""
    path = mnistprep.write(mnistprep.load("synth:200,50"), tmp_path / "x.npz")
    script = Path(__file__).parent / "benchmarks" / "fast_seeds.py"
    shown = subprocess.run(
        [sys.executable, script, path, "--seeds", "2"], capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in shown.stdout.splitlines()[-5:]] == [
        *("0", "1", "min", "mean", "max")
    ]
