"""Make the golden tables of people who do not write plain CSV; see README.md for the tools.

    python make_csv.py DIRECTORY

They hold the numbers that make.py states: pixel k is (37 * k + 11) % 256 over all pictures of 4x4,
label k is (7 * k) % 10; 6 pictures of train.
"""

# ruff: noqa: UP031

import os
import sys

import numpy as np
import pandas
import polars

PIXELS = ((37 * np.arange(96) + 11) % 256).reshape(6, 16)
LABELS = 7 * np.arange(6) % 10


def main(folder):
    frame = pandas.DataFrame(PIXELS, columns=["pixel%d" % k for k in range(16)])
    frame.insert(0, "label", LABELS)

    def path(name):
        return os.path.join(folder, "train_" + name)

    frame.to_csv(path("index.csv"))  # pandas' own default
    frame.to_csv(path("excel.tsv"), sep="\t", index=False, encoding="utf-16", lineterminator="\r\n")
    frame.to_csv(path("quoted.csv.xz"), sep=";", index=False, quoting=1)
    single = (PIXELS / np.float32(255)).astype(np.float32)
    table = polars.DataFrame(single, schema=["x%d" % k for k in range(16)], orient="row")
    table = table.with_columns(polars.Series("class", LABELS))
    table.write_csv(path("single.csv"))
    rows = np.column_stack([PIXELS / 256, np.eye(10)[LABELS]])
    np.savetxt(path("onehot.csv"), rows, "%.6f")
    np.savetxt(path("exponents.csv"), np.column_stack([LABELS, PIXELS]), delimiter=",")


if __name__ == "__main__":
    main(sys.argv[1])
