"""Make the golden files of Hugging Face's datasets, pandas and polars: see README.md.

    python make_parquet.py DIRECTORY

The numbers are those of make.py.
"""

import sys
from pathlib import Path

import datasets
import pandas
import polars
from make import COUNTS, split

NAMES = {"train": "train", "valid": "validation", "test": "test"}


def main(folder):
    digits = datasets.ClassLabel(names=[str(k) for k in range(10)])
    features = datasets.Features({"image": datasets.Image(), "label": digits})
    parts = datasets.DatasetDict()
    for name, first, count in COUNTS:
        pixels, labels = split(first, count)
        rows = {"image": list(pixels), "label": labels}
        parts[NAMES[name]] = datasets.Dataset.from_dict(rows, features)
    (folder / "parquet" / "data").mkdir(parents=True)
    for name, part in parts.items():
        part.to_parquet(folder / "parquet" / "data" / f"{name}-00000-of-00001.parquet")
    parts.save_to_disk(folder / "arrow")

    # A column of arrays, as Array2D stores it.
    pixels, labels = split(0, 6)
    array = datasets.Array2D((4, 4), "uint8")
    features = datasets.Features({"image": array, "label": datasets.Value("int32")})
    table = datasets.Dataset.from_dict({"image": list(pixels), "label": labels}, features)
    table.to_parquet(folder / "parquet-arrays.parquet")

    # A column for each pixel, the class last and a text, as OpenML's dataset_554.pq.
    columns = [f"pixel{k}" for k in range(1, 17)]
    frame = pandas.DataFrame(pixels.reshape(6, 16), columns=columns)
    frame["class"] = pandas.Categorical(labels.astype(str))
    frame.to_parquet(folder / "parquet-wide.parquet")

    # An Arrow file (not a stream) of polars, with a column of lists.
    rows = {"image": pixels.reshape(6, 16).tolist(), "label": labels}
    polars.DataFrame(rows).write_ipc(folder / "polars.arrow")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
