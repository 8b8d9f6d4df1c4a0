"""Numbers out of Arrow columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnistprep import _extras, _limits
from mnistprep.errors import FormatError

_VIEWS = ("binary_view", "string_view")  # of 16 bytes each, the first four its length


def numbers(column: Any) -> npt.NDArray[Any]:
    """The values of a column without nulls, in a type of their own: what `to_numpy` gives.

    That imports pandas where it is installed, which takes longer than reading the digits does.
    """
    types, kind = _extras.load("pyarrow").types, column.type
    if not (types.is_integer(kind) or types.is_floating(kind)):
        values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    letter = "f" if types.is_floating(kind) else "i" if types.is_signed_integer(kind) else "u"
    dtype = np.dtype(f"{letter}{kind.bit_width // 8}")
    if not len(column):
        return np.empty(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * dtype.itemsize)


def plain(column: Any) -> Any:
    """The column without extension types and dictionaries; of numbers, or of lists of them."""
    types = _extras.load("pyarrow").types
    while types.is_dictionary((column := unwrapped(column)).type):
        column = column.dictionary_decode()
    return column


def unwrapped(column: Any) -> Any:
    """The column without extension types."""
    while hasattr(column, "storage"):
        column = column.storage
    return column


def objects(column: Any, where: str) -> list[Any]:
    """The values of a column as Python has them, of texts, bytes or numbers; None for nulls.

    Rows with the same entry of a dictionary share one object, so that they take no memory each.
    Raises FormatError for views that stand for more than the limit: many may be of the same bytes.
    """
    types, column = _extras.load("pyarrow").types, unwrapped(column)
    if types.is_dictionary(column.type):
        places, entries = column.indices.to_pylist(), unwrapped(column.dictionary)
        _check_views(entries, where)
        used = {k: None if k is None else entries[k].as_py() for k in set(places)}
        return [used[k] for k in places]
    _check_views(column, where)
    found: list[Any] = column.to_pylist()
    return found


def _check_views(column: Any, where: str) -> None:
    if str(column.type) in _VIEWS and len(column):
        rows = slice(4 * column.offset, 4 * (column.offset + len(column)), 4)
        size = int(np.frombuffer(column.buffers()[1], "<i4")[rows].sum(dtype=np.int64))
        if size > _limits.most(0):
            raise FormatError(f"{where}: views that stand for {size:,} bytes; {_limits.RAISE}")


def crashes(kind: Any, extended: bool = False) -> bool:
    """Whether a type has a dictionary in an extension type: pyarrow ends the process for that."""
    if hasattr(kind, "storage_type"):
        return crashes(kind.storage_type, True)
    if _extras.load("pyarrow").types.is_dictionary(kind):
        return extended or crashes(kind.value_type)
    return any(crashes(kind.field(k).type, extended) for k in range(kind.num_fields))


def first_null(column: Any) -> int:
    """The row of the first null of a column that has one."""
    return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
