"""What the pickle in a file of torch.save asks for, found out by an interpreter that runs nothing.

PyTorch's restricted unpickler runs no code either, but takes a size for a size: 100 bytes can have
it fill gigabytes, set the attributes of tables or turn into sparse and quantised tensors, of which
no dataset and no model here is made. So a file is gone through before PyTorch opens it: the names
it may use are those of plain tensors, and every tensor must lie in the bytes that are there.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar, NoReturn

from mnistprep._text import printable
from mnistprep.errors import FormatError
from mnistprep.formats import _pickle
from mnistprep.formats._shapes import check_shape

# Bytes of a value, by the storage that holds it.
_SIZES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1,
    "Byte": 1, "Bool": 1, "ComplexDouble": 16, "ComplexFloat": 8,
}  # fmt: skip
_DTYPE = re.compile(r"(?:u?int|b?float|complex)\d+\w*|bool|half|double|float|int|long|short")
_KEY = 200  # letters by which a storage goes; these are numbers
_INDEX = 1 << 32  # a number by which a table goes; larger ones can be chosen to have one hash


class _Kind:
    """Stand-in for the type of a storage."""

    def __init__(self, size: int) -> None:
        self.size = size


class _Storage:
    """Stand-in for the values of tensors: how many bytes there are."""

    def __init__(self, room: int, size: int) -> None:
        self.room, self.size = room, size


class _Named:
    """Stand-in for a dtype."""


class _Table(dict[object, object]):
    """Stand-in for OrderedDict: Python 2 hands it all pairs, Python 3 none."""

    def __init__(self, pairs: object = (), *more: object) -> None:
        if more or not isinstance(pairs, (list, tuple)):
            raise FormatError("an OrderedDict of no pairs")
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise FormatError("an OrderedDict of no pairs")
            _check_key(pair[0])
            self[pair[0]] = pair[1]


class _Tensor:
    """Stand-in for a tensor."""

    def __init__(self, storage: object, offset: object, shape: object, steps: object) -> None:
        if not isinstance(storage, _Storage):
            raise FormatError("a tensor without values")
        where = "a tensor"
        sizes, strides = check_shape(shape, where), check_shape(steps, where)
        (first,) = check_shape((offset,), where)
        if len(sizes) != len(strides):
            raise FormatError(f"a tensor of {len(sizes)} axes and {len(strides)} strides")
        reach = first + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True)) + 1
        if 0 not in sizes and reach * storage.size > storage.room:
            raise FormatError(
                f"a tensor of shape {sizes} needs {reach * storage.size:,} bytes, "
                f"its storage has {storage.room:,}"
            )


def _rebuilt(
    storage: object, offset: object, shape: object, strides: object, *more: object
) -> _Tensor:
    """Of _rebuild_tensor; v2 adds whether a gradient is wanted, hooks, and marks of a view."""
    _check_marks(more[2:])
    return _Tensor(storage, offset, shape, strides)


def _rebuilt_as(
    storage: object, offset: object, shape: object, strides: object, *more: object
) -> _Tensor:
    """Of _rebuild_tensor_v3, which has a dtype before the marks."""
    if len(more) < 3 or not isinstance(more[2], _Named):
        raise FormatError("a tensor without a type")
    _check_marks(more[3:])
    return _Tensor(storage, offset, shape, strides)


def _check_marks(marks: tuple[object, ...]) -> None:
    for mark in marks:
        if mark is not None and not (
            type(mark) is dict and all(type(value) is bool for value in mark.values())
        ):
            raise FormatError("a tensor with unknown marks")


def _parameter(data: object, *_: object) -> object:
    if not isinstance(data, _Tensor):
        raise FormatError("a parameter that is no tensor")
    return data


def _size(sizes: object = ()) -> tuple[int, ...]:
    return check_shape(sizes, "a size")


_NAMES: dict[str, object] = {
    "collections.OrderedDict": _Table,
    "torch._utils._rebuild_tensor": _rebuilt,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_tensor_v3": _rebuilt_as,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    "torch.storage.UntypedStorage": _Kind(1),
    "_codecs.encode": _pickle.encode,
    **{f"torch.{name}Storage": _Kind(size) for name, size in _SIZES.items()},
}


class _Unpickler(_pickle.Unpickler):
    def __init__(self, file: IO[bytes], room: Callable[[str], int]) -> None:
        super().__init__(file)
        self.room = room
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: object, name: object) -> object:
        wanted = f"{_text(module)}.{_text(name)}"
        if wanted in _NAMES:
            return _NAMES[wanted]
        if module == "torch" and _DTYPE.fullmatch(_text(name)):
            return _Named()
        raise FormatError(
            f"it wants {printable(wanted, 80)!r}, which no plain tensor needs; "
            "nothing of it was run"
        )

    def persistent_load(self, place: object) -> _Storage:
        if not isinstance(place, tuple) or not 5 <= len(place) <= 6:
            raise FormatError("a place of values that is none")
        mark, kind, key, _, count, *view = place
        if _text(mark) != "storage" or not isinstance(kind, _Kind):
            raise FormatError("a place of values that is none")
        (held,) = check_shape((count,), "a storage")
        if not isinstance(key, (str, bytes)) or len(key) > _KEY:
            raise FormatError("a place of values that is none")
        known = _text(key)
        if known not in self.storages:
            room = self.room(known)
            if held * kind.size > room:
                raise FormatError(
                    f"values of {held * kind.size:,} bytes, the file has {room:,}; it is truncated"
                )
            self.storages[known] = _Storage(held * kind.size, kind.size)
        whole = self.storages[known].room
        if view and view[0] is not None:  # before PyTorch 0.4: of another storage
            _, first, held = view[0] if isinstance(view[0], tuple) else (None, -1, -1)
            first, held = check_shape((first, held), "a view")
            if (first + held) * kind.size > whole:
                raise FormatError("a view beyond its storage")
        return _Storage(min(whole, held * kind.size), kind.size)

    def check_key(self, key: object) -> None:
        _check_key(key)

    def load_state(self: Any) -> None:
        state, table = self.stack.pop(), self.stack[-1]
        # The version that a module gives its state dict; other attributes would change the table.
        if type(table) is not _Table or type(state) is not dict or set(state) - {"_metadata"}:
            raise FormatError("it sets attributes, which no plain tensor needs; nothing was run")

    def load_long4(self) -> NoReturn:
        raise FormatError("a whole number of more than 255 bytes, which no dataset or model has")

    dispatch: ClassVar[dict[int, Any]] = {
        **_pickle.Unpickler.dispatch,
        pickle.BUILD[0]: load_state,
        pickle.LONG4[0]: load_long4,
    }


def _check_key(key: object) -> None:
    if type(key) is int and 0 <= key < _INDEX:
        return
    if not isinstance(key, (str, bytes)):
        raise FormatError(f"a table by {type(key).__name__}, where tensors go by names")


def _text(name: object) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)[:_KEY]


def check_zipped(file: IO[bytes], sizes: Mapping[str, int]) -> None:
    """Raise FormatError for a pickle that asks for more than tensors in storages of `sizes` bytes.

    Damage raises nearly anything.
    """
    _Unpickler(file, lambda key: sizes.get(key, 0)).load()


def check_stream(file: IO[bytes], size: int) -> None:
    """The same for a stream from before PyTorch 1.6, of `size` bytes in all.

    It is five pickles: a mark, a version, about the machine, the content, the order of storages.
    """
    for _ in range(3):
        _Unpickler(file, _nowhere).load()
    content = _Unpickler(file, lambda key: size)
    content.load()
    order = _Unpickler(file, _nowhere).load()
    # PyTorch leaves those that are not named as the memory was.
    if not isinstance(order, list) or {_text(key) for key in order} != set(content.storages):
        raise FormatError("the order of its storages is not that of its tensors; it is damaged")
    # Behind that each storage: how many values it has, in eight bytes, and these.
    end = file.tell() + sum(8 + storage.room for storage in content.storages.values())
    if end > size:
        raise FormatError(f"values of more than its {size:,} bytes; it is truncated")
    if end < size:
        raise FormatError(
            f"something follows the last of its values at byte {end:,}; are two files in one? take "
            "them apart"
        )


def _nowhere(key: str) -> NoReturn:
    raise FormatError("values where none can be")
