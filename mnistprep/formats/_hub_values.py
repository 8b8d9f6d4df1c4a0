"""Numbers out of Arrow columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnistprep import _extras


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
