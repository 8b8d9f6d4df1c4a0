"""Tables of labels in Parquet, such as Hugging Face's metadata.parquet beside pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnistprep import _extras
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_columns, _hub_values, _parquetrows


def read(data: bytes, where: str) -> dict[str, list[Any]]:
    """The columns by name; for the numbers of a ClassLabel the names that they stand for.

    Raises FormatError for what is no Parquet, or would crash pyarrow, or has too many rows.
    """
    pyarrow = _extras.load("pyarrow")
    parquet = _extras.load("pyarrow.parquet")
    try:
        source = pyarrow.BufferReader(data)
        with parquet.ParquetFile(source) as opened:
            schema = opened.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise FormatError(f"{where}: two columns of one name")
        columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        for batch in _parquetrows.batches(source, schema.names, len(data), where):
            for column, cells in zip(columns.values(), batch.columns, strict=True):
                column += _hub_values.objects(cells, where)
    except FormatError:
        raise
    except Exception as error:  # pyarrow raises nearly anything on damaged data
        if _extras.no_memory(error):
            raise MemoryError(str(error)) from None
        reason = printable(str(error).partition("\n")[0], 80)
        raise FormatError(f"{where}: not a parquet file that can be read ({reason})") from None
    for name, column in columns.items():
        if classes := _hub_columns.classes_of(schema, name, Path(where)):
            column[:] = [
                classes[cell] if type(cell) is int and 0 <= cell < len(classes) else cell
                for cell in column
            ]
    return columns
