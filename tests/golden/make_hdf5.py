"""Make the golden HDF5 files with h5py, to the layouts of their publishers.

    python make_hdf5.py hdf5

The table of splits in `fuel.hdf5` is made by Fuel's own H5PYDataset.create_split_array. The numbers
are those of make.py; see README.md for when.
"""

import collections
import sys
import types
from pathlib import Path

import h5py
import numpy as np
from make import COUNTS, split


def main(folder: Path) -> None:
    parts = {name: split(first, count) for name, first, count in COUNTS}
    with h5py.File(folder / "keras.h5", "w") as file:
        for name, (x, y) in parts.items():
            file.create_dataset(f"x_{name}", data=x, chunks=(1, 4, 4), compression="lzf")
            file[f"y_{name}"] = y
    with h5py.File(folder / "groups.h5", "w", libver="latest") as file:
        for name, (x, y) in parts.items():
            group = file.create_group({"train": "training_data"}.get(name, f"{name}_data"))
            group["images"] = (x.reshape(len(x), 16) / 256).astype(np.float32)
            group["labels"] = y
        file.attrs["classes"] = "in no array"
    for name, (x, y) in parts.items():
        with h5py.File(folder / f"caffe_{name}.h5", "w") as file:
            file["data"] = (x[:, None] * 0.00390625).astype(np.float32)
            file["label"] = y.astype(np.float32)
    with h5py.File(folder / "fuel.hdf5", "w") as file:
        count = sum(len(y) for _, y in parts.values())
        features = file.create_dataset("features", (count, 1, 4, 4), dtype="uint8")
        targets = file.create_dataset("targets", (count, 1), dtype="uint8")
        features[...] = np.concatenate([x for x, _ in parts.values()])[:, None]
        targets[...] = np.concatenate([y for _, y in parts.values()])[:, None]
        for array, names in (
            (features, ("batch", "channel", "height", "width")),
            (targets, ("batch", "index")),
        ):
            for dim, name in zip(array.dims, names, strict=True):
                dim.label = name
        spans, at = {}, 0
        for name, (_, y) in parts.items():
            spans[name] = {"features": (at, at + len(y)), "targets": (at, at + len(y))}
            at += len(y)
        file.attrs["split"] = fuel().create_split_array(spans)
        file.attrs["h5py_interface_version"] = b"0.3"


def fuel() -> type:
    """Fuel's class; it is of 2016, and asks for names that Python and NumPy no longer have."""
    collections.Iterable = collections.abc.Iterable
    np.bool = bool
    resources = types.ModuleType("pkg_resources")
    resources.get_distribution = lambda name: types.SimpleNamespace(version="0", location="")
    resources.DistributionNotFound = LookupError
    sys.modules["pkg_resources"] = resources
    sys.modules["tables"] = types.ModuleType("tables")  # for another class of the module
    from fuel.datasets.hdf5 import H5PYDataset

    return H5PYDataset


if __name__ == "__main__":
    main(Path(sys.argv[1]))
