"""The training CSV: written from arrays, read to arrays of bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.cases import Case, Contender, Figure, Splits
from benchmarks.given import Given
from benchmarks.ours import bytes_read, bytes_written, read_back, reads, writes
from benchmarks.pictures import only

FILE = "mnist_train.csv"


def _columns(given: Given) -> list[str]:
    height, width = given.about["shape"]
    return ["label", *(f"{y}x{x}" for y in range(1, height + 1) for x in range(1, width + 1))]


def _table(given: Given) -> Any:
    """The rows of the file, label first, as an array of bytes."""
    import numpy as np

    images, labels = given.arrays("train")
    return np.column_stack([labels, images.reshape(len(labels), -1)]).astype(np.uint8)


def _target(given: Given) -> str:
    folder = given.target("csv")
    folder.mkdir()
    return str(folder / FILE)


def _source(given: Given) -> str:
    return str(given.made("csv") / FILE)


def _pandas_writes(given: Given) -> Callable[[], Any]:
    import pandas

    frame, target = pandas.DataFrame(_table(given), columns=_columns(given)), _target(given)
    return lambda: frame.to_csv(target, index=False)


def _polars_writes(given: Given) -> Callable[[], Any]:
    import polars

    frame, target = polars.DataFrame(_table(given), schema=_columns(given)), _target(given)
    return lambda: frame.write_csv(target)


def _pyarrow_writes(given: Given) -> Callable[[], Any]:
    import pyarrow
    from pyarrow import csv

    columns = [pyarrow.array(column) for column in _table(given).T]
    table, target = pyarrow.table(columns, names=_columns(given)), _target(given)
    return lambda: csv.write_csv(table, target)


def _numpy_writes(given: Given) -> Callable[[], Any]:
    import numpy as np

    table, target, header = _table(given), _target(given), ",".join(_columns(given))
    return lambda: np.savetxt(target, table, "%d", ",", header=header, comments="")


def _datumaro_writes(given: Given) -> Callable[[], Any]:
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(given.made("idx-gz")), "mnist")
    dataset.init_cache()
    train = dataset.subsets()["train"].as_dataset()
    return lambda: train.export(str(given.target("csv")), "mnist_csv", save_media=True)


def _pandas_reads(dtype: Any) -> Callable[[Given], Callable[[], Any]]:
    def setup(given: Given) -> Callable[[], Any]:
        import pandas

        return lambda: pandas.read_csv(_source(given), dtype=dtype).to_numpy()

    return setup


def _polars_reads(given: Given) -> Callable[[], Any]:
    import polars

    return lambda: polars.read_csv(_source(given)).to_numpy()


def _polars_reads_bytes(given: Given) -> Callable[[], Any]:
    import polars

    schema = dict.fromkeys(_columns(given), polars.UInt8)
    return lambda: polars.read_csv(_source(given), schema=schema).to_numpy()


def _pyarrow_reads(given: Given) -> Callable[[], Any]:
    import numpy as np
    import pyarrow
    from pyarrow import csv

    options = csv.ConvertOptions(column_types=dict.fromkeys(_columns(given), pyarrow.uint8()))

    def run() -> Any:
        table = csv.read_csv(_source(given), convert_options=options)
        return np.column_stack([column.to_numpy() for column in table.columns])

    return run


def _numpy_reads(given: Given) -> Callable[[], Any]:
    import numpy as np

    return lambda: np.loadtxt(_source(given), np.uint8, delimiter=",", skiprows=1)


def _datumaro_reads(given: Given) -> Callable[[], Any]:
    import numpy as np
    from datumaro.components.dataset import Dataset

    def run() -> Any:
        # Its folder holds one file: it takes every table that it finds.
        dataset = Dataset.import_from(str(folder), "mnist_csv")
        rows = [(item.annotations[0].label, item.media.data) for item in dataset]
        return np.stack([np.append(label, pixels) for label, pixels in rows])

    folder = given.out / "one"
    folder.mkdir()
    (folder / FILE).symlink_to(_source(given))
    return run


def _rows(given: Given, table: Any) -> Splits:
    """The content of a table that has been read, label first."""
    return only((table[:, 1:], table[:, 0]))


_PANDAS = ("pandas",)
_POLARS = ("polars",)
_PYARROW = ("pyarrow",)
_DATUMARO = ("datumaro",)
_WRITTEN = read_back("csv")
CASES = (
    Case(
        "training CSV written",
        (
            writes("csv", "train"),
            writes("csv", "train", name="mnistprep, 1 worker", workers=1),
            bytes_written("csv", "train"),
            Contender("pandas", _pandas_writes, _WRITTEN, needs=_PANDAS, rounds=2),
            Contender("polars", _polars_writes, _WRITTEN, needs=_POLARS),
            Contender("pyarrow.csv", _pyarrow_writes, _WRITTEN, needs=_PYARROW),
            Contender("numpy.savetxt", _numpy_writes, _WRITTEN, rounds=1),
            Contender("datumaro", _datumaro_writes, _WRITTEN, needs=_DATUMARO, rounds=1),
        ),
        (Figure("pandas", least=10), Figure("datumaro", least=15), Figure("polars", most=1)),
        inputs=("csv", "idx-gz"),
        splits=("train",),
        pictures=("train",),
    ),
    Case(
        "training CSV read",
        (
            reads("csv", FILE),
            bytes_read("csv", "train"),
            Contender("pandas", _pandas_reads(None), _rows, needs=_PANDAS, rounds=3),
            Contender(
                "pandas, dtype=uint8", _pandas_reads("uint8"), _rows, needs=_PANDAS, rounds=3
            ),
            Contender("polars", _polars_reads, _rows, needs=_POLARS),
            Contender("polars, schema of UInt8", _polars_reads_bytes, _rows, needs=_POLARS),
            Contender("pyarrow.csv, uint8", _pyarrow_reads, _rows, needs=_PYARROW),
            Contender("numpy.loadtxt", _numpy_reads, _rows, rounds=1),
            Contender("datumaro", _datumaro_reads, _rows, needs=_DATUMARO, rounds=1),
        ),
        (
            Figure("pandas", least=3),
            Figure("pandas, dtype=uint8", least=3),
            Figure("polars", most=1),
            Figure("polars, schema of UInt8", most=1),
            Figure(measure="together_mb", most=300),
        ),
        inputs=("csv",),
        splits=("train",),
        pictures=("train",),
    ),
)
