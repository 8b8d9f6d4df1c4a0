"""Make the golden MAT-files with SciPy, and with hdf5storage for level 7.3.

    python make_mat.py mat

The layouts are those of the files that people have. The numbers are those of make.py; see README.md
for when.
"""

import sys
from pathlib import Path

import hdf5storage
import numpy as np
from make import COUNTS, split
from scipy.io import savemat


def main(folder: Path) -> None:
    parts = {name: split(first, count) for name, first, count in COUNTS}
    (x, y), (tx, ty) = parts["train"], parts["test"]
    hot = np.eye(10, dtype=np.uint8)
    both = (("train", x, y), ("test", tx, ty))
    rows = {}
    for name, pictures, labels in both:
        rows[f"{name}_x"] = pictures.reshape(-1, 16)
        rows[f"{name}_y"] = hot[labels]
    savemat(folder / "mnist_uint8.mat", rows, do_compression=True)
    hdf5storage.savemat(str(folder / "mnist_uint8_v73.mat"), rows, format="7.3")

    classes = {
        f"{name}{k}": pictures[labels == k].reshape(-1, 16)
        for name, pictures, labels in both
        for k in range(10)
    }
    savemat(folder / "mnist_all.mat", classes)

    ordering = np.array([["label", "data"]], object)
    mldata = {"data": x.reshape(-1, 16).T, "label": y[None].astype(float)}
    savemat(folder / "mnist-original.mat", {"mldata_descr_ordering": ordering, **mldata})

    emnist = {
        name: {
            "images": pictures.swapaxes(1, 2).reshape(-1, 16),  # stored transposed
            "labels": (labels + 1)[:, None].astype(float),
            "writers": np.arange(len(labels))[:, None].astype(float),
        }
        for name, pictures, labels in both
    }
    mapping = np.array([[k + 1, 65 + k, 97 + k] for k in range(26)], float)
    savemat(folder / "emnist-letters.mat", {"dataset": {**emnist, "mapping": mapping}})

    for name, pictures, labels in both:  # SVHN: colour, a picture at the end, 10 for the digit 0
        colour = np.stack([pictures, pictures, 255 - pictures], axis=3)
        digits = np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)
        content = {"X": colour.transpose(1, 2, 3, 0), "y": digits}
        savemat(folder / f"{name}_32x32.mat", content, do_compression=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
