"""Tables of labels in Parquet, such as Hugging Face's metadata.parquet beside pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnistprep import _extras, _limits
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_columns, _hub_values

_ROW = 100  # bytes that a row takes at least, in memory
_BATCH = 1000  # rows


def read(data: bytes, where: str) -> dict[str, list[Any]]:
    """The columns by name; for the numbers of a ClassLabel the names that they stand for.

    Raises FormatError for what is no Parquet, or would crash pyarrow, or has too many rows.
    """
    pyarrow = _extras.load("pyarrow")
    parquet = _extras.load("pyarrow.parquet")
    try:
        with parquet.ParquetFile(pyarrow.BufferReader(data)) as opened:
            schema = opened.schema_arrow
            _check(schema, where)
            if _ROW * opened.metadata.num_rows > _limits.most(len(data)):
                raise FormatError(f"{where}: {opened.metadata.num_rows:,} rows; {_limits.RAISE}")
            columns: dict[str, list[Any]] = {name: [] for name in schema.names}
            for batch in opened.iter_batches(_BATCH, use_threads=False):
                batch.validate(full=True)
                for column, cells in zip(columns.values(), batch.columns, strict=True):
                    column += _hub_values.objects(cells)
    except FormatError:
        raise
    except Exception as error:  # pyarrow raises nearly anything on damaged data
        reason = printable(str(error).partition("\n")[0], 80)
        raise FormatError(f"{where}: not a parquet file that can be read ({reason})") from None
    for name, column in columns.items():
        if classes := _hub_columns.classes_of(schema, name, Path(where)):
            column[:] = [
                classes[cell] if type(cell) is int and 0 <= cell < len(classes) else cell
                for cell in column
            ]
    return columns


def _check(schema: Any, where: str) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise FormatError(f"{where}: two columns of one name")
    for field in schema:
        if _hub_values.crashes(field.type):
            raise FormatError(
                f"{where}: column {printable(field.name, 40)} is an extension type over a "
                "dictionary, which pyarrow does not read; write it as a plain column"
            )
