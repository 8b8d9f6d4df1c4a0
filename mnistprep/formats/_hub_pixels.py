"""Pictures out of Arrow columns: encoded ones, nested lists of pixels, a column for each pixel."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from mnistprep import _extras, _limits, _png
from mnistprep._arrays import Images
from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _hub_columns, _hub_values
from mnistprep.formats._hub_columns import Columns

Array = npt.NDArray[Any]
_SIZES = {  # what the dimensions of a tensor are called, and their places in a picture
    "h": 0, "height": 0, "row": 0, "rows": 0, "y": 0,
    "w": 1, "width": 1, "col": 1, "cols": 1, "column": 1, "columns": 1, "x": 1,
    "c": 2, "channel": 2, "channels": 2,
}  # fmt: skip


def encoded(column: Any, where: str, row: int) -> list[bytes]:
    """The encoded pictures of a column; raises FormatError for a row that has none."""
    types = _extras.load("pyarrow").types
    entries = data = _hub_values.unwrapped(column)
    if types.is_dictionary(data.type):
        entries = _hub_values.unwrapped(data.dictionary)
    if types.is_struct(entries.type):
        # Flattened, since a null of the struct does not show in its fields as they are.
        found = entries.flatten()[entries.type.get_field_index("bytes")]
        data = found if entries is data else data.from_arrays(data.indices, found)
    pictures = _hub_values.objects(data, f"{where} {row}")
    if None in pictures:
        _refuse_null(pictures.index(None), column, where, row)
    return pictures


def _refuse_null(k: int, column: Any, where: str, row: int) -> NoReturn:
    path = column[k].as_py() if column is not None else None
    name = path.get("path") if isinstance(path, dict) else None
    if name:
        raise FormatError(
            f"{where} {row + k}: no picture, only its path {printable(str(name), 60)!r}; store the "
            "pictures in the file (embed_table_storage of datasets does)"
        )
    raise FormatError(f"{where} {row + k}: no picture; leave such rows out")


def is_bare(data: bytes, shape: tuple[int, ...] | None) -> bool:
    """Whether bytes are as many as the pixels of a picture, and are no encoded picture."""
    from PIL import UnidentifiedImageError

    from mnistprep._pillow import DRAWN, opened

    side = math.isqrt(len(data))
    if not data or len(data) != (side * side if shape is None else math.prod(shape)):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened(io.BytesIO(data), DRAWN).close()
    except UnidentifiedImageError:
        return not data.startswith(_png.SIGNATURE)
    except Exception:  # Pillow knows the form, whatever it thinks of the rest
        return False
    return False


def table(batch: Any, columns: Columns, where: str, row: int) -> Array:
    """The numbers of a batch, (N, ...): of bytes, of a nested column, or of one for each pixel."""
    types = _extras.load("pyarrow").types
    if columns.encoded:
        pictures = encoded(batch.column(0), where, row)
        sizes = {len(data) for data in pictures}
        if len(sizes) > 1:
            raise FormatError(f"{where} {row} or later: pictures of {min(sizes)} and more bytes")
        return np.frombuffer(b"".join(pictures), np.uint8).reshape(len(pictures), *sizes)
    if len(columns.images) == 1 and types.is_nested(_hub_columns.stored(batch.column(0).type)):
        return _tensors(batch.column(0), where, row)
    found = {name: _numbers(batch.column(name), where, row) for name in columns.images}
    kinds = {values.dtype for values in found.values()}
    pixels = np.empty((batch.num_rows, len(found)), np.result_type(*kinds))
    mixed = len(kinds) > 1 and np.dtype(np.bool_) in kinds  # black and white among numbers
    if mixed or any(not np.can_cast(kind, pixels.dtype, "safe") for kind in kinds):
        raise FormatError(f"{where} {row}: pixels of types that do not fit together")
    for k, values in enumerate(found.values()):
        pixels[:, k] = values
    return pixels.reshape(len(pixels), *columns.grid) if columns.grid else pixels


def _tensors(column: Any, where: str, row: int) -> Array:
    """The numbers of a column of lists, in the order that a type of tensors says."""
    types = _extras.load("pyarrow").types
    while hasattr(column, "storage") and not hasattr(column.type, "permutation"):
        column = column.storage
    if types.is_dictionary(column.type):
        if column.null_count:
            raise FormatError(f"{where} {row} or later: a list that is null")
        entries = _tensors(column.dictionary, where, row)
        size = len(column) * entries[:1].nbytes
        if size > _limits.most(0):
            raise FormatError(
                f"{where} {row}: one dictionary stands for {size:,} bytes; {_limits.RAISE}"
            )
        return np.take(entries, _hub_values.numbers(column.indices), axis=0)
    values, kind = _nested(_hub_values.plain(column), where, row), column.type
    if not hasattr(kind, "permutation"):
        return values
    names, order = kind.dim_names or (), kind.permutation or range(len(kind.shape))
    places = [_SIZES.get(name.lower(), 3) for name in names]
    if len(set(places)) == len(order) and 3 not in places:
        order = sorted(range(len(places)), key=places.__getitem__)
    elif any(order[order[k]] != k for k in order):
        # pyarrow writes such a permutation one way and reads it the other way round.
        raise FormatError(
            f"{where} {row}: a permutation, {list(order)}, that can be understood in two ways; "
            "write the tensors row by row, without one"
        )
    values = values.reshape(-1, *kind.shape)
    return np.ascontiguousarray(values.transpose(0, *(1 + k for k in order)))


def _nested(column: Any, where: str, row: int) -> Array:
    types, sizes = _extras.load("pyarrow").types, [len(column)]
    while types.is_nested(column.type):
        if column.null_count:
            raise FormatError(f"{where} {row} or later: a list that is null")
        if types.is_fixed_size_list(column.type):
            size = column.type.list_size
        else:
            lengths = _hub_values.numbers(column.value_lengths())
            size = int(lengths[0]) if len(lengths) else 0
            if (lengths != size).any():
                k = int((lengths != size).argmax()) // math.prod(sizes[1:])
                raise FormatError(f"{where} {row + k}: lists of several lengths, {size} and others")
        sizes.append(size)
        column = column.flatten()
    values = _numbers(column, where, row)
    if 0 in sizes[1:] and sizes[0]:
        raise FormatError(f"{where} {row}: pictures without pixels")
    return values.reshape(sizes)


def _numbers(column: Any, where: str, row: int) -> Array:
    if column.null_count:
        raise FormatError(f"{where} {row} or later: a pixel is null")
    values = _hub_values.numbers(_hub_values.plain(column))
    if values.dtype.kind not in "biuf":
        raise FormatError(f"{where} {row}: {column.type} are no pixels")
    return values


def upright(images: Images, shape: tuple[int, ...] | None, where: str) -> Images:
    """The pictures of a table as (N, H, W) or (N, H, W, C).

    A flat row of pixels has the given `shape`, or is a square. Three sizes are height, width and
    channels, or channels first where only the first is 1 or 3. Raises FormatError.
    """
    sizes = images.shape[1:]
    if len(sizes) == 1:
        side = math.isqrt(sizes[0])
        if shape is not None and math.prod(shape) == sizes[0]:
            return images.reshape(len(images), *shape)
        if side * side != sizes[0]:
            raise FormatError(
                f"{where}: {sizes[0]} pixels a row are not a square, and nothing says the shape"
            )
        return images.reshape(len(images), side, side)
    if len(sizes) == 3 and sizes[0] in (1, 3) and sizes[2] not in (1, 3):
        images = np.ascontiguousarray(np.moveaxis(images, 1, 3))
    if len(sizes) > 3:
        raise FormatError(f"{where}: pictures of {len(sizes)} dimensions")
    return images[..., 0] if images.shape[3:] == (1,) else images
