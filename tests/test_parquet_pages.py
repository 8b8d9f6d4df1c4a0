"""How many values the pages of Parquet files hold, beside what their writers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mnistprep.errors import FormatError
from mnistprep.formats import _parquetpages

CHANCE = np.random.default_rng(3)
LENGTHS = CHANCE.integers(0, 9, 500)
LISTS = [CHANCE.integers(0, 4, length).tolist() for length in LENGTHS]
TABLE = pa.table(
    {
        "lists": pa.array([None if len(row) == 8 else row for row in LISTS], pa.list_(pa.uint8())),
        "texts": [[f"text {number}" * 40 for number in row] for row in LISTS],
        "pairs": pa.array([[row, row] for row in LISTS], pa.list_(pa.list_(pa.float64()))),
        "number": pa.array(LENGTHS),
        "word": [f"{length}" if length else None for length in LENGTHS],
    }
)
WRITTEN: dict[str, dict[str, Any]] = {
    "one page": {},
    "small pages": {"data_page_size": 64, "write_batch_size": 10},
    "row groups": {"row_group_size": 77},
    "version 2 pages": {"data_page_version": "2.0", "data_page_size": 64, "write_batch_size": 10},
    "no dictionary": {"use_dictionary": False, "compression": "none"},
    "checksums and an index": {"write_page_checksum": True, "write_page_index": True},
    "long statistics": {"write_statistics": True, "compression": "gzip"},
}


def found(path: Path) -> list[dict[int, int]]:
    with path.open("rb") as file:
        leaves = range(pq.read_metadata(path).num_columns)
        groups = _parquetpages.sizes(file, path.stat().st_size, leaves, path)
        return [{leaf: pages.values for leaf, pages in group.items()} for group in groups]


def expected(path: Path) -> list[dict[int, int]]:
    """What pyarrow says of a sound file."""
    whole = pq.read_metadata(path)
    groups = [whole.row_group(k) for k in range(whole.num_row_groups)]
    return [{k: group.column(k).num_values for k in range(group.num_columns)} for group in groups]


@pytest.mark.parametrize("how", WRITTEN)
def test_the_pages_have_as_many_values_as_their_writer_says(tmp_path: Path, how: str) -> None:
    """Of lists, lists in lists, texts and numbers, with nulls, in pages of all kinds."""
    path = tmp_path / "x.parquet"
    pq.write_table(TABLE, path, **WRITTEN[how])
    assert found(path) == expected(path)
    assert sum(sum(group.values()) for group in found(path)) > 5 * len(LISTS)


def test_those_of_another_writer_too(tmp_path: Path) -> None:
    """Polars writes headers of its own."""
    path = tmp_path / "x.parquet"
    frame = polars.from_arrow(TABLE)
    assert isinstance(frame, polars.DataFrame)
    frame.write_parquet(path, data_page_size=100, row_group_size=200)
    assert found(path) == expected(path)


def test_damage_is_told_or_changes_nothing_else(tmp_path: Path) -> None:
    """No other exception than FormatError, wherever a byte is another or the file ends."""
    path = tmp_path / "x.parquet"
    pq.write_table(TABLE.slice(0, 20), path, row_group_size=7)
    whole = path.read_bytes()
    refused = 0
    for number in range(600):
        data = bytearray(whole)
        at = len(data) - 1 - int(CHANCE.integers(len(data)) * CHANCE.random() ** 2)
        data[at] = CHANCE.integers(256)
        path.write_bytes(data[:at] if number % 10 == 0 else data)
        with path.open("rb") as file:
            try:
                _parquetpages.sizes(file, path.stat().st_size, range(5), path)
            except FormatError:
                refused += 1
    assert refused > 60


def test_a_page_for_each_value_is_refused_in_time(tmp_path: Path) -> None:
    """Headers are read one by one."""
    path = tmp_path / "x.parquet"
    values = pa.array([[k % 256] for k in range(120_000)], pa.list_(pa.uint8()))
    pq.write_table(
        pa.table({"x": values}), path, data_page_size=1, write_batch_size=1, use_dictionary=False
    )
    with pytest.raises(FormatError, match="more than 100,000 pages; write larger ones"):
        found(path)
