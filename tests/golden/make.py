"""Make the golden files with other people's tools; see README.md for which, and when.

    python make.py pickles DIRECTORY NAME     needs NumPy alone, runs on Python 2.7 and later
    python make.py others DIRECTORY           needs everything that README.md names

All hold the same numbers: pixel k of a split that starts at picture `first` is
(37 * (16 * first + k) + 11) % 256 in pictures of 4x4, label k is (7 * (first + k)) % 10.
"""

# ruff: noqa: B905, SIM117, UP031

import gzip
import os
import pickle
import sys

import numpy as np

COUNTS = (("train", 0, 6), ("valid", 6, 2), ("test", 8, 3))


def split(first, count):
    pixels = (37 * (16 * first + np.arange(16 * count)) + 11) % 256
    labels = (7 * (first + np.arange(count))) % 10
    return pixels.astype(np.uint8).reshape(count, 4, 4), labels.astype(np.int64)


def pickles(folder, name):
    content = tuple(
        ((x.reshape(len(x), 16) / 256.0).astype(np.float32), y)
        for x, y in (split(first, count) for _, first, count in COUNTS)
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with open(os.path.join(folder, "%s-p%d.pkl" % (name, protocol)), "wb") as file:
            pickle.dump(content, file, protocol)


def others(folder):
    import idx2numpy
    import pandas
    import safetensors.torch
    import torch
    from PIL import Image

    train, valid, test = (split(first, count) for _, first, count in COUNTS)
    os.makedirs(os.path.join(folder, "idx"))
    for prefix, (x, y) in (("train", train), ("t10k", test)):
        for kind, array in (("images-idx3", x), ("labels-idx1", y.astype(np.uint8))):
            path = os.path.join(folder, "idx", "%s-%s-ubyte" % (prefix, kind))
            idx2numpy.convert_to_file(path, array)
    # QMNIST's labels: a table of int32, the class in column 0.
    os.makedirs(os.path.join(folder, "qmnist"))
    table = np.arange(48).reshape(6, 8).astype(np.int32)
    table[:, 0] = train[1]
    base = os.path.join(folder, "qmnist", "qmnist-train-")
    idx2numpy.convert_to_file(base + "images-idx3-ubyte", train[0])
    idx2numpy.convert_to_file(base + "labels-idx2-int", table)
    os.makedirs(os.path.join(folder, "idx-gz"))
    for name in sorted(os.listdir(os.path.join(folder, "idx"))):
        with open(os.path.join(folder, "idx", name), "rb") as file:
            with gzip.open(os.path.join(folder, "idx-gz", name + ".gz"), "wb") as target:
                target.write(file.read())

    arrays = {"x_train": train[0], "y_train": train[1].astype(np.uint8)}
    arrays.update(x_test=test[0], y_test=test[1].astype(np.uint8))
    np.savez(os.path.join(folder, "keras.npz"), **arrays)
    np.savez_compressed(os.path.join(folder, "keras-deflated.npz"), **arrays)

    tensors = {}
    for name, (x, y) in (("train", train), ("valid", valid), ("test", test)):
        tensors[name + "_images"], tensors[name + "_labels"] = map(torch.from_numpy, (x, y))
    torch.save(tensors, os.path.join(folder, "tensors.pt"))
    safetensors.torch.save_file(tensors, os.path.join(folder, "tensors.safetensors"))
    pair = (tensors["train_images"], tensors["train_labels"])
    torch.save(pair, os.path.join(folder, "training.pt"))
    path = os.path.join(folder, "training-legacy.pt")
    torch.save(pair, path, _use_new_zipfile_serialization=False)

    os.makedirs(os.path.join(folder, "csv"))
    for name, (x, y) in (("train", train), ("test", test)):
        rows = x.reshape(len(x), 16)
        titles = {
            "rowcol": ["%dx%d" % (r, c) for r in range(1, 5) for c in range(1, 5)],
            "pixel0": ["pixel%d" % k for k in range(16)],
            "pixel1": ["pixel%d" % k for k in range(1, 17)],
        }
        for dialect, columns in titles.items():
            frame = pandas.DataFrame(rows, columns=columns)
            frame.insert(0, "label", y)
            frame.to_csv(os.path.join(folder, "csv", dialect + "_" + name + ".csv"), index=False)
        table = np.column_stack([y, rows])
        path = os.path.join(folder, "csv", "none_%s.csv" % name)
        np.savetxt(path, table, fmt="%d", delimiter=",")

    # One picture of every kind that means the same grey: L, RGB, RGBA, palette, LA, L interlaced.
    for name, (x, y) in (("train", train), ("test", test)):
        for k, (pixels, label) in enumerate(zip(x, y)):
            target = os.path.join(folder, "imagefolder", name, str(label))
            os.makedirs(target)
            mode = ("L", "RGB", "RGBA", "P", "LA", "L")[k]
            Image.fromarray(pixels).convert(mode).save(os.path.join(target, "%d.png" % k))


if __name__ == "__main__":
    {"pickles": pickles, "others": others}[sys.argv[1]](*sys.argv[2:])
