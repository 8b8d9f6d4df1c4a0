"""What every test file shares: the real digits where they are, odd datasets everywhere."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from httpserver import Server, running
from tinydata import TINY, fill, isolated, publish

from mnistprep import Dataset, Split
from mnistprep.catalog import Published

# torchvision registers operators for a CUDA build of PyTorch when it is imported; beside a CPU
# build that fails, and the datasets and transforms that the tests read with do not need them.
sys.modules.setdefault("torchvision._meta_registrations", ModuleType("_meta_registrations"))

# Each process of pytest-xdist has a processor; with a thread on every one they wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them the commands
# that they start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the cache of the person who runs it, or asks a published mirror."""
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    monkeypatch.delenv("MNISTPREP_MIRROR", raising=False)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, settings untouched from outside, and short waits for servers."""
    return isolated(monkeypatch, tmp_path)


@pytest.fixture
def server(cache: Path) -> Iterator[Server]:
    """A server with the files of the tiny dataset, compressed."""
    with running() as server:
        fill(server, "", TINY)
        yield server


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, server: Server) -> Published:
    """The tiny dataset, published on the server."""
    return publish(monkeypatch, (server.base,))


def digits_folder() -> Path | None:
    """The folder with the real digits that MNISTPREP_TEST_DATA names, or None."""
    folder = os.environ.get("MNISTPREP_TEST_DATA", "")
    for candidate in (Path(folder), Path(folder) / "mnist") if folder else ():
        if (candidate / "train-images-idx3-ubyte.gz").is_file():
            return candidate.resolve()
    return None


@pytest.fixture(scope="session")
def real_digits() -> Path:
    """The folder with the real digits: LeCun's four files in gzip, and mnist.pkl.gz."""
    folder = digits_folder()
    if folder is None:
        pytest.skip("MNISTPREP_TEST_DATA names no folder with the real MNIST digits")
    return folder


def odd_dataset(
    shape: tuple[int, ...] = (12, 20), *, classes: int = 11, train: int = 37, test: int = 13
) -> Dataset:
    """Pictures that are not MNIST's: another shape, an empty class, duplicates, named classes."""
    random = np.random.default_rng(7)
    splits = {}
    for name, count in (("train", train), ("test", test)):
        images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        labels = random.integers(0, classes, count)
        labels[labels == 5] = 6  # class 5 stays empty
        images[1::9] = images[0]  # duplicates, in one class and across classes
        labels[1:20:9] = labels[0]
        splits[name] = Split(images, labels)
    return Dataset("odd", splits, tuple(f"class/{k} é" for k in range(classes)))


@pytest.fixture
def odd() -> Dataset:
    """37 + 13 grey pictures of 12x20 in 11 classes, one of them empty, with duplicates."""
    return odd_dataset()


@pytest.fixture
def colour() -> Dataset:
    """The same with three channels."""
    return odd_dataset((12, 20, 3))
