"""Shapes as files state them, checked before anything is multiplied or made of them."""

from __future__ import annotations

from mnistprep.errors import FormatError

_AXES = 64  # of an array of NumPy 2; PyTorch and HDF5 have no more either
_SIDE = 1 << 63  # what no size can be


def check_shape(shape: object, where: str) -> tuple[int, ...]:
    """The shape, when it is a list or tuple of at most 64 sizes from 0 to 2**63 - 1.

    Raises FormatError, which starts with `where`, for anything else; multiplying 100,000 sizes, or
    sizes of 1,000,000 digits, would take minutes.
    """
    if not isinstance(shape, (list, tuple)):
        raise FormatError(f"{where}: no plain shape, but {type(shape).__name__}")
    if len(shape) > _AXES:
        raise FormatError(f"{where}: a shape of {len(shape):,} axes, of at most {_AXES}")
    for size in shape:
        if type(size) is not int:
            raise FormatError(f"{where}: no plain shape, a size is {type(size).__name__}")
        if not 0 <= size < _SIDE:
            said = f"{size}" if size.bit_length() < 100 else f"one of {size.bit_length():,} bits"
            raise FormatError(f"{where}: no plain shape, a size is {said}")
    return tuple(shape)
