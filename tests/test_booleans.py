"""Pictures of booleans: black and white, 0 and 255, in every format that has a type for them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import scipy.io
import torch

import mnistprep
from mnistprep.errors import FormatError

INK = np.random.default_rng(0).random((12, 6, 6)) < 0.5
LABELS = np.arange(12) % 3
HOT = np.eye(3, dtype=bool)[LABELS]


def _npz(path: Path) -> None:
    np.savez(path, x_train=INK, y_train=LABELS)


def _npz_in_columns(path: Path) -> None:
    np.savez(path, x_train=np.asfortranarray(INK), y_train=HOT)


def _pkl(path: Path) -> None:
    path.write_bytes(pickle.dumps({"x_train": INK, "y_train": LABELS}))


def _pkl_tuple(path: Path) -> None:
    path.write_bytes(pickle.dumps(((INK.reshape(12, 36), HOT),) * 2))


def _pt(path: Path) -> None:
    torch.save((torch.from_numpy(INK), torch.from_numpy(LABELS)), path)


def _pt_legacy(path: Path) -> None:
    content = torch.from_numpy(INK), torch.from_numpy(LABELS)
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x_train"], file["y_train"] = INK, LABELS


def _mat5(path: Path) -> None:
    content = {"train_x": INK.reshape(12, 36), "train_y": HOT}
    scipy.io.savemat(path, content)


def _mat73(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["train_x"] = INK.reshape(12, 36).T.astype("u1")
        file["train_y"] = HOT.T.astype("u1")
        for name in file:
            file[name].attrs["MATLAB_class"] = np.bytes_("logical")
            file[name].attrs["MATLAB_int_decode"] = np.int32(1)
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"
    with path.open("r+b") as raw:
        raw.write(head)


def _columns() -> pa.Table:
    return pa.table({f"pixel{k}": INK.reshape(12, 36)[:, k] for k in range(36)} | {"label": LABELS})


def _lists() -> pa.Table:
    return pa.table(
        {"image": pa.array(INK.tolist(), pa.list_(pa.list_(pa.bool_()))), "label": LABELS}
    )


def _parquet_columns(path: Path) -> None:
    pq.write_table(_columns(), path)


def _parquet_lists(path: Path) -> None:
    pq.write_table(_lists(), path)


def _arrow_lists(path: Path) -> None:
    content = _lists()
    with ipc.new_stream(str(path), content.schema) as writer:
        writer.write_table(content)


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "npz": ("x.npz", _npz),
    "npz in the order of Fortran": ("x.npz", _npz_in_columns),
    "pkl": ("x.pkl", _pkl),
    "pkl of pairs": ("x.pkl", _pkl_tuple),
    "pt": ("training.pt", _pt),
    "pt of old": ("training.pt", _pt_legacy),
    "hdf5": ("x.h5", _hdf5),
    "mat of level 5": ("x.mat", _mat5),
    "mat of level 7.3": ("x.mat", _mat73),
    "parquet, columns": ("x.parquet", _parquet_columns),
    "parquet, lists": ("x.parquet", _parquet_lists),
    "arrow, lists": ("x.arrow", _arrow_lists),
}


@pytest.mark.parametrize("kind", FILES)
def test_booleans_are_black_and_white(tmp_path: Path, kind: str) -> None:
    """True is 255, and labels beside them, one-hot booleans among them, are what they were."""
    name, write = FILES[kind]
    write(tmp_path / name)
    found = mnistprep.read(tmp_path / name).splits["train"]
    assert np.array_equal(found.images, INK * np.uint8(255))
    assert found.labels.tolist() == LABELS.tolist()


def test_booleans_among_numbers_are_refused(tmp_path: Path) -> None:
    """Columns of booleans beside columns of bytes say no one scale."""
    content = _columns().set_column(0, "pixel0", pa.array(np.full(12, 9, np.uint8)))
    pq.write_table(content, tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="row 0: pixels of types that do not fit together"):
        mnistprep.read(tmp_path / "x.parquet")
