"""Parquet and Arrow files of a few kB that stand for gigabytes, by dictionaries or by zeros."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from test_hub import IMAGES, LABELS, png

import mnistprep
from mnistprep.errors import FormatError
from mnistprep.formats import _arrowsizes

PNG = png(IMAGES[0])
ENTRY = 40_000_000  # bytes
ROWS = 30
NUMBERS = 60_000_000  # in all rows, or rows
MANY = 140_000_000  # in lists, where each takes 8 bytes
_MEMORY = 1 << 30  # bytes that a process may have had in the end, of which 300 MB are libraries

_READ = """
import sys
from pathlib import Path
import mnistprep
try:
    mnistprep.read(Path(sys.argv[1]), workers=1)
except mnistprep.MnistprepError as error:
    print(error)
status = Path("/proc/self/status")  # ru_maxrss would be that of the process before it, too
lines = status.read_text().splitlines() if status.exists() else ["VmHWM: 0"]
print(next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


def _saved(path: Path, image: object, label: object, schema: bool = False) -> Path:
    content = pa.table({"image": image, "label": label})
    if path.suffix == ".arrow":
        options = ipc.IpcWriteOptions(compression="zstd")
        with ipc.new_stream(str(path), content.schema, options=options) as writer:
            writer.write_table(content)
    else:
        pq.write_table(content, path, compression="zstd", store_schema=schema)
    return path


def _same(entry: bytes | str, rows: int = ROWS) -> pa.Array:
    """So many rows of one entry."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([entry]))


def _first_is_short(folder: Path) -> Path:
    indices = np.r_[0, np.ones(ROWS - 1, np.int32)].astype(np.int32)
    column = pa.DictionaryArray.from_arrays(pa.array(indices), pa.array([PNG, bytes(ENTRY)]))
    return _saved(folder / "x.parquet", column, [1] * ROWS)


def _in_structs(folder: Path) -> Path:
    column = pa.StructArray.from_arrays([_same(PNG + bytes(ENTRY))], ["bytes"])
    return _saved(folder / "x.parquet", column, [1] * ROWS)


def _padded(folder: Path) -> Path:
    return _saved(folder / "x.parquet", _same(PNG + bytes(ENTRY)), [1] * ROWS)


def _padded_with_schema(folder: Path) -> Path:
    return _saved(folder / "x.parquet", _same(PNG + bytes(ENTRY)), [1] * ROWS, schema=True)


def _zeros(folder: Path) -> Path:
    return _saved(folder / "x.parquet", _same(bytes(ENTRY)), [1] * ROWS)


def _plain(folder: Path) -> Path:
    path = folder / "x.parquet"
    content = pa.table({"image": [bytes(ENTRY)], "label": [1]})
    with pq.ParquetWriter(path, content.schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(ROWS):
            writer.write_table(content)
    return path


def _label(folder: Path) -> Path:
    return _saved(folder / "x.parquet", _same(PNG), _same("a" * ENTRY))


def _lists(folder: Path) -> Path:
    size = NUMBERS // 20
    flat = pa.array(np.zeros(NUMBERS, np.uint8))
    column = pa.FixedSizeListArray.from_arrays(flat, size).cast(pa.list_(pa.uint8()))
    return _saved(folder / "x.parquet", column, [1] * 20)


def _long_row(folder: Path) -> Path:
    """The second of two rows: a look at the first does not find it."""
    flat, ends = pa.array(np.zeros(MANY, np.uint8)), pa.array([0, 784, MANY])
    column = pa.ListArray.from_arrays(ends.cast(pa.int32()), flat)
    return _saved(folder / "x.parquet", column, [1, 1])


def _rows(folder: Path, name: str = "x.parquet") -> Path:
    labels = pa.array(np.zeros(NUMBERS, np.int8))
    return _saved(folder / name, _same(PNG, NUMBERS), labels)


def _rows_in_arrow(folder: Path) -> Path:
    return _rows(folder, "x.arrow")


def _zeros_in_arrow(folder: Path) -> Path:
    return _saved(folder / "x.arrow", pa.array([bytes(ENTRY)] * ROWS), [1] * ROWS)


def _zeros_in_feather(folder: Path) -> Path:
    content = pa.table({"image": [bytes(ENTRY)] * ROWS, "label": [1] * ROWS})
    feather.write_feather(content, str(folder / "x.feather"), compression="zstd")
    return folder / "x.feather"


def _zeros_in_a_dictionary(folder: Path) -> Path:
    entries = pa.array([bytes(ENTRY + k) for k in range(ROWS)])
    column = pa.DictionaryArray.from_arrays(pa.array(range(ROWS), pa.int32()), entries)
    return _saved(folder / "x.arrow", column, [1] * ROWS)


def _structs_of_a_dictionary(folder: Path) -> Path:
    entries = pa.StructArray.from_arrays([pa.array([PNG + bytes(ENTRY)])], ["bytes"])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, np.int32)), entries)
    return _saved(folder / "x.arrow", column, [1] * ROWS)


def _views(kind: pa.DataType) -> pa.Array:
    """Rows that are all of the same bytes: each the length, four of them, and where they are."""
    rows = np.zeros((ROWS, 4), np.int32)
    rows[:, 0] = ENTRY
    return pa.Array.from_buffers(kind, ROWS, [None, pa.py_buffer(rows), pa.py_buffer(bytes(ENTRY))])


def _views_of_pictures(folder: Path) -> Path:
    return _saved(folder / "x.arrow", _views(pa.binary_view()), [1] * ROWS)


def _views_of_labels(folder: Path) -> Path:
    return _saved(folder / "x.arrow", pa.array([PNG] * ROWS), _views(pa.string_view()))


BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an entry that is no picture": (_first_is_short, "row 1: not a picture that can be read"),
    "a struct's entry": (_in_structs, "would become .* --max-bytes"),
    "a picture and zeros": (_padded, "would become .* --max-bytes|behind"),
    "a dictionary in the schema": (_padded_with_schema, "would become .* --max-bytes|behind"),
    "zeros": (_zeros, "row 0: not a picture that can be read"),
    "zeros without a dictionary": (_plain, "would become .* --max-bytes"),
    "a label": (_label, "row 0: label is a text of 40,000,000 characters"),
    "lists of zeros": (_lists, "are not a square"),
    "a long row": (_long_row, "would become .* --max-bytes"),
    "rows": (_rows, "more than 10,737,418 rows"),
    "zeros in Arrow": (_zeros_in_arrow, "would become .* --max-bytes"),
    "zeros in Feather": (_zeros_in_feather, "would become .* --max-bytes"),
    "zeros in a dictionary": (_zeros_in_a_dictionary, "would become .* --max-bytes"),
    "structs of a dictionary": (_structs_of_a_dictionary, "would become .* --max-bytes"),
    "views of pictures": (_views_of_pictures, "row 0: views that stand for .* --max-bytes"),
    "views of labels": (_views_of_labels, "row 0: .*views that stand for .* --max-bytes"),
    "rows in Arrow": (_rows_in_arrow, "more than 10,737,418 rows"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_a_few_kb_do_not_take_gigabytes(tmp_path: Path, kind: str) -> None:
    """The file is refused, and the process has never had a gigabyte of memory."""
    make, message = BOMBS[kind]
    path = make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, timeout=120
    )
    assert not done.stderr
    said, memory = done.stdout.rsplit("\n", 2)[:2]
    assert re.search(message, said), said
    assert int(memory) < _MEMORY


def test_a_dictionary_of_long_pictures_is_read_a_few_at_a_time(tmp_path: Path) -> None:
    """Two entries of 20 MB leave room for three rows in a batch, and every row is what it was."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 4500, 4500), np.uint8)
    entries = pa.array([image.tobytes() for image in noise])
    rows = np.array([0, 1, 1, 0, 1], np.int32)
    column = pa.DictionaryArray.from_arrays(pa.array(rows), entries)
    path = _saved(tmp_path / "x.parquet", column, rows)
    found = mnistprep.read(path).splits["train"]
    assert [int((noise[1] == image).all()) for image in found.images] == rows.tolist()


def test_row_groups_of_all_kinds_lie_in_order(tmp_path: Path) -> None:
    """Groups with and without a dictionary, of long and of short entries, make one table."""
    long = pa.array([png(image) + bytes(200_000) for image in IMAGES])
    short = pa.array([png(image) for image in IMAGES])
    with pq.ParquetWriter(tmp_path / "x.parquet", _schema(), use_dictionary=["image"]) as writer:
        for column in (short, long, short, short, long):
            writer.write_table(pa.table({"image": column, "label": LABELS}, _schema()))
    found = mnistprep.read(tmp_path / "x.parquet").splits["train"]
    assert np.array_equal(found.images, np.tile(IMAGES, (5, 1, 1)))
    assert found.labels.tolist() == LABELS * 5


def _schema() -> pa.Schema:
    return pa.schema({"image": pa.binary(), "label": pa.int64()})


def test_a_table_of_labels_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """A metadata.parquet of a few kB, whose texts would be gigabytes, is refused."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").write_bytes(PNG)
    content = pa.table({"file_name": ["a.png"] * 2000, "label": _same("a" * (1 << 20), 2000)})
    pq.write_table(content, tmp_path / "train" / "metadata.parquet", store_schema=False)
    with pytest.raises(FormatError, match=r"would become .* --max-bytes"):
        mnistprep.read(tmp_path)


def test_a_message_that_is_listed_many_times_is_looked_at_once(tmp_path: Path) -> None:
    """Blocks of a footer are 24 bytes; each of these would have 1,800 buffers looked at."""
    path = tmp_path / "x.arrow"
    wide = pa.record_batch([pa.array([1, 2])] * 901, ["label", *(f"pixel{k}" for k in range(900))])
    with ipc.new_file(
        str(path), wide.schema, options=ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_batch(wide)
    data = path.read_bytes()
    size = int.from_bytes(data[-10:-6], "little")
    footer = bytearray(data[-10 - size : -10])
    whole = _arrowsizes._Bytes(memoryview(bytes(footer)))
    at = whole.field(whole.target(0), 3)  # the list of batches, which moves to the end
    assert at is not None
    first = whole.target(at) + 4
    footer += (200_000).to_bytes(4, "little") + 200_000 * footer[first : first + 24]
    footer[at : at + 4] = (size - at).to_bytes(4, "little")
    path.write_bytes(data[: -10 - size] + footer + len(footer).to_bytes(4, "little") + data[-6:])
    with pytest.raises(FormatError, match="messages do not fit together"):
        mnistprep.read(path)


@pytest.mark.parametrize("name", ["image", "label"])
def test_a_footer_whose_levels_do_not_fit(tmp_path: Path, name: str) -> None:
    """Asked for the sizes of such a column, pyarrow ends the process; its readers raise."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [PNG], "label": [1]}), path)
    data, optional = path.read_bytes(), b"\x25\x02\x18\x05" + name.encode()
    assert data.count(optional) == 1
    path.write_bytes(data.replace(optional, b"\x25\x00\x18\x05" + name.encode()))
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "damaged" in done.stdout
