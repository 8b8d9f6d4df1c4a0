"""Pickles and files of torch.save whose arrays are nested, as tutorials and people write them."""

from __future__ import annotations

import collections
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import mnistprep
from mnistprep.errors import FormatError

CHANCE = np.random.default_rng(5)
X, Y = CHANCE.integers(0, 256, (12, 6, 6), dtype=np.uint8), CHANCE.integers(0, 5, 12)
TEST_X, TEST_Y = CHANCE.integers(0, 256, (7, 6, 6), dtype=np.uint8), CHANCE.integers(0, 5, 7)
HOT, TEST_HOT = np.eye(5)[Y], np.eye(5)[TEST_Y]
NESTED = {
    "table of tables": {
        "train": {"images": X, "labels": Y},
        "test": {"images": TEST_X, "labels": TEST_Y},
    },
    "table of pairs": {"train": (X, Y), "test": (TEST_X, TEST_Y)},
    "table of lists": {"training": [X, Y], "testing": [TEST_X, TEST_Y]},
    "lists of labels": {"train": (X, Y.tolist()), "test": (TEST_X, TEST_Y.tolist())},
    "ordered": collections.OrderedDict(x_train=X, y_train=Y, x_test=TEST_X, y_test=TEST_Y),
    "four": (X, Y, TEST_X, TEST_Y),
    "four, sorted": [X, TEST_X, Y, TEST_Y],
    "pairs": ((X, Y), (TEST_X, TEST_Y)),
    "one-hot pairs": ((X, HOT), (TEST_X, TEST_HOT)),
    "one-hot bytes": ((X, HOT.astype("u1")), (TEST_X, TEST_HOT.astype("u1"))),
    "one-hot table": {"x_train": X, "y_train": HOT, "x_test": TEST_X, "y_test": TEST_HOT},
}


def check(path: Path) -> None:
    """The path is the pictures and labels above, in order."""
    found = mnistprep.read(path)
    assert list(found.splits) == ["train", "test"]
    for name, images, labels in (("train", X, Y), ("test", TEST_X, TEST_Y)):
        assert np.array_equal(found.splits[name].images, images)
        assert np.array_equal(found.splits[name].labels, labels)
    assert found.classes == tuple("01234")


def tensors(content: object) -> object:
    """The same with tensors for arrays."""
    if isinstance(content, np.ndarray):
        return torch.tensor(content)
    if isinstance(content, dict):
        return type(content)((key, tensors(value)) for key, value in content.items())
    nested = isinstance(content, (tuple, list)) and not isinstance(content[0], int)
    return type(content)(map(tensors, content)) if nested else content  # type: ignore[call-arg]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", NESTED)
def test_pickles(tmp_path: Path, kind: str, protocol: int) -> None:
    """Every way of nesting reads the same, with every protocol."""
    path = tmp_path / "digits.pkl"
    path.write_bytes(pickle.dumps(NESTED[kind], protocol))
    check(path)


@pytest.mark.parametrize("kind", NESTED)
def test_files_of_torch(tmp_path: Path, kind: str) -> None:
    """Every way of nesting reads the same."""
    path = tmp_path / "digits.pt"
    torch.save(tensors(NESTED[kind]), path)
    check(path)


@pytest.mark.parametrize(
    "content", [(X, X, TEST_X, Y), (X, Y, Y, TEST_Y), {"train": {"a": X}}, {"train": (Y, X)}]
)
def test_what_could_be_two_things_is_refused(tmp_path: Path, content: object) -> None:
    """Arrays that are no pictures with labels are refused in both forms."""
    path = tmp_path / "digits.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(FormatError, match=r"digits\.pkl"):
        mnistprep.read(path)
    path = tmp_path / "digits.pt"
    torch.save(tensors(content), path)
    with pytest.raises(FormatError, match=r"digits\.pt"):
        mnistprep.read(path)


def test_objects_of_libraries_are_called_so(tmp_path: Path) -> None:
    """A pickle of pandas is not called an attack; nothing in it is run all the same."""
    path = tmp_path / "digits.pkl"
    path.write_bytes(pickle.dumps(pandas.DataFrame(X[0])))
    with pytest.raises(FormatError, match=r"an object of pandas; nothing was run: load it where"):
        mnistprep.read(path)
    path.write_bytes(b"ccollections\nOrderedDict\n(S'abc'\ntR.")
    with pytest.raises(FormatError, match="an OrderedDict of no pairs"):
        mnistprep.read(path)


def test_a_program_of_torch_is_called_so(tmp_path: Path) -> None:
    """A model that was scripted is neither damaged nor run, and nothing warns."""
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates what people have saved with it
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), path)
    with pytest.raises(FormatError, match=r"model\.pt: a TorchScript model, not a dataset"):
        mnistprep.read(path)
