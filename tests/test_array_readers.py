"""Arrays that other tools wrote, where one of two readings is wrong: the right one, or none."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
import torch
from test_imagefolder import Notes

import mnistprep
from mnistprep.errors import FormatError

CHANCE = np.random.default_rng(4)
X = CHANCE.integers(0, 256, (10, 6, 6), dtype=np.uint8)
Y = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])


def idx(path: Path, values: npt.NDArray[np.generic]) -> None:
    """An IDX file of bytes or of 32-bit integers."""
    kind = 0x08 if values.dtype == np.uint8 else 0x0C
    start = struct.pack(f">4B{values.ndim}I", 0, 0, kind, values.ndim, *values.shape)
    path.write_bytes(start + values.astype(">u1" if kind == 0x08 else ">i4").tobytes())


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
@pytest.mark.parametrize("name", ["train-labels-idx2-ubyte", "train-labels-idx1-ubyte"])
def test_one_hot_labels_in_idx(tmp_path: Path, name: str, kind: type) -> None:
    """The first column of such a table is no label."""
    idx(tmp_path / "train-images-idx3-ubyte", X)
    idx(tmp_path / name, np.eye(10, dtype=kind)[Y])
    found = mnistprep.read(tmp_path)
    assert found.splits["train"].labels.tolist() == Y.tolist()
    assert found.classes == tuple("0123456789")


@pytest.mark.parametrize("width", [2, 3, 9])
def test_a_table_that_is_not_one_hot_in_idx(tmp_path: Path, width: int) -> None:
    """Such as of numbers and labels: nothing says which column is which."""
    idx(tmp_path / "train-images-idx3-ubyte", X)
    idx(tmp_path / "train-labels-idx2-int", np.stack([np.arange(10), *[Y] * (width - 1)], 1))
    with pytest.raises(FormatError, match="train-labels-idx2-int"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize("role", ["images", "labels"])
def test_two_idx_files_of_one_role(tmp_path: Path, role: str) -> None:
    """Of dots and of dashes: the same twice is one; others are refused."""
    idx(tmp_path / "train-images-idx3-ubyte", X)
    idx(tmp_path / "train-labels-idx1-ubyte", Y.astype(np.uint8))
    first = tmp_path / f"train-{role}-idx{3 if role == 'images' else 1}-ubyte"
    other = first.with_name(first.name.replace("-idx", ".idx"))
    other.write_bytes(first.read_bytes())
    assert np.array_equal(mnistprep.read(tmp_path).splits["train"].images, X)
    idx(other, 255 - X if role == "images" else (9 - Y).astype(np.uint8))
    with pytest.raises(FormatError, match=r"train-.*idx"):
        mnistprep.read(tmp_path)


@pytest.mark.parametrize("more", ["train2", "train_extra", "extra", "data"])
def test_more_archives_than_a_dataset_has(tmp_path: Path, more: str) -> None:
    """A folder with train.npz and test.npz, and another with examples, which would be lost."""
    for name in ("train", "test", more):
        np.savez(tmp_path / f"{name}.npz", x=X, y=Y)
    with pytest.raises(FormatError, match=f"{more}.npz"):
        mnistprep.read(tmp_path)
    (tmp_path / f"{more}.npz").unlink()
    np.save(tmp_path / "weights.npy", X)
    heard = Notes()
    assert len(mnistprep.read(tmp_path, progress=heard)) == 20
    assert any("weights.npy" in note for note in heard.notes)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_square_one_hot_labels_of_matlab(tmp_path: Path, axis: str) -> None:
    """As many examples as classes: the labels lie as the pictures do."""
    table, hot = X.reshape(10, -1), np.eye(10, dtype=np.uint8)[Y]
    content = {"train_x": table, "train_y": hot}
    if axis == "columns":
        content = {name: values.T for name, values in content.items()}
    scipy.io.savemat(tmp_path / "x.mat", content)
    assert mnistprep.read(tmp_path / "x.mat").splits["train"].labels.tolist() == Y.tolist()


def test_splits_of_two_scales(tmp_path: Path) -> None:
    """Black and white as 0.0 and 1.0 beside bytes as real numbers: 1 cannot be both."""
    mask = (X > 127).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_train=mask, y_train=Y, x_test=X.astype(np.float32), y_test=Y)
    with pytest.raises(FormatError, match="one scale"):
        mnistprep.read(tmp_path / "x.npz")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_arrays_in_any_order_of_axes(tmp_path: Path, axes: tuple[int, ...], protocol: int) -> None:
    """NumPy writes the order that lies in memory, in protocol 5 with the axes moved."""
    images = np.ascontiguousarray(X.transpose(axes)).transpose(np.argsort(axes))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(((images, Y), (images, Y)), protocol))
    assert np.array_equal(mnistprep.read(tmp_path / "x.pkl").splits["train"].images, X)


@pytest.mark.parametrize("shape", ["(10, 6+1)", "(10, 6.0, 6)", "(10, 'a')"])
def test_a_header_of_numpy_that_is_none(tmp_path: Path, shape: str) -> None:
    """What NumPy says of it has addresses of memory in it."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + bytes(400)
    (tmp_path / "x_train.npy").write_bytes(data)
    np.save(tmp_path / "y_train.npy", Y)
    with pytest.raises(FormatError, match="damaged header of an array") as caught:
        mnistprep.read(tmp_path)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("name", ["training_letters.pt", "test_byclass.pt"])
def test_the_cache_of_emnist(tmp_path: Path, name: str) -> None:
    """torchvision keeps it transposed, as the files have it; a table of names is anybody's."""
    pair = torch.from_numpy(X), torch.from_numpy(Y)
    torch.save(pair, tmp_path / name)
    with pytest.raises(FormatError, match="on their side"):
        mnistprep.read(tmp_path / name)
    torch.save({"images": pair[0], "labels": pair[1]}, tmp_path / name)
    assert len(mnistprep.read(tmp_path / name)) == 10


@pytest.mark.parametrize("name", ["scale_factor", "add_offset"])
def test_numbers_that_netcdf_packs(tmp_path: Path, name: str) -> None:
    """What is stored is not what is meant."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x_train"], file["y_train"] = X, Y
    assert len(mnistprep.read(tmp_path / "x.h5")) == 10
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["x_train"].attrs[name] = 2.0
    with pytest.raises(FormatError, match=f"x_train: stored with a {name}"):
        mnistprep.read(tmp_path / "x.h5")
