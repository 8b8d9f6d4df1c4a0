"""A reader for pickles of NumPy arrays that runs nothing, and the stream that Python 2 wrote.

The names a pickle asks for are answered with the stand-ins below, which note what they are given;
not one function of NumPy or Python runs on the pickle's behalf. The names are all that NumPy's
arrays use, from Python 2 protocol 0 to Python 3 protocol 5.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mnistprep._streams import Inflater
from mnistprep.errors import FormatError
from mnistprep.formats._scale import to_bytes
from mnistprep.formats._shapes import check_shape

_LIBRARIES = (
    "joblib",
    "pandas",
    "sklearn",
    "torch",
    "scipy",
    "PIL",
    "polars",
    "tensorflow",
    "keras",
)
_LARGE = 1 << 20  # bytes
_BYTES = (bytes, bytearray, memoryview)  # what a stream gives for the bytes of an array
_DRAINED = 1 << 29  # bytes
_STEPS = 1 << 21  # operations; a list of as many labels is one each, and all else takes few


class _Refused(FormatError):
    """Raised for what no pickle of arrays does: it is hostile, or damaged."""


class Array:
    """Stand-in for numpy.ndarray: holds shape, dtype and bytes once the pickle has set them."""

    def __init__(self) -> None:
        self.values: npt.NDArray[np.generic] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise FormatError("an array has an unknown state")
        _, shape, dtype, fortran, data = state
        self.values = _build(shape, dtype, fortran, data)


class _DType:
    """Stand-in for numpy.dtype: a code such as "f4" and a byte order; objects are refused."""

    def __init__(self, code: object, *_: object) -> None:
        text = _as_text(code)
        if not isinstance(text, str) or text.lstrip("<>|=")[:1] not in "biuf":
            raise FormatError(f"an array of type {str(code)[:40]!r}, not of plain numbers")
        try:
            self.dtype = np.dtype(text)
        except TypeError:
            raise FormatError(f"an array of unknown type {text[:40]!r}") from None

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and _as_text(state[1]) == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _as_text(value: object) -> object:
    """What Python 2 wrote as bytes and Python 3 as text, as text; comparing them warns."""
    return value.decode("latin1") if isinstance(value, (bytes, bytearray)) else value


def _reconstruct(*_: object) -> Array:
    return Array()


def encode(text: object, codec: object = "latin1", *_: object) -> bytes:
    if not isinstance(text, str) or _as_text(codec) != "latin1":
        raise FormatError("text in another encoding than latin1")
    return text.encode("latin1")


def _table(pairs: object = (), *_: object) -> dict[object, object]:
    """What OrderedDict gives: Python 2 hands it all pairs, Python 3 none."""
    if not isinstance(pairs, (list, tuple)):
        raise FormatError("an OrderedDict of no pairs")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise FormatError("an OrderedDict of no pairs")
    return {key: value for key, value in pairs if isinstance(key, (str, bytes))}


def _no_bytes() -> bytes:
    return b""  # as Python 3 says it in protocols 0 to 2


def _frombuffer(
    data: object, dtype: object, shape: object, order: object = "C", axes: object = None
) -> Array:
    array = Array()
    array.values = _build(shape, dtype, _as_text(order) == "F", data)
    if _as_text(order) == "K" and axes is not None:  # NumPy 2.2: in C order once its axes are moved
        count = array.values.ndim
        if not isinstance(axes, (tuple, list)) or sorted(map(repr, axes)) != [
            repr(axis) for axis in range(count)
        ]:
            raise FormatError(f"an array of {count} axes in no order of them")
        array.values = array.values.transpose(axes)
    return array


def _build(shape: object, dtype: object, fortran: object, data: object) -> npt.NDArray[np.generic]:
    if isinstance(data, str):
        data = encode(data)
    if (
        not isinstance(dtype, _DType)
        or not isinstance(data, _BYTES)
        or not isinstance(shape, tuple)
    ):
        raise FormatError("an array without plain shape, type and bytes")
    size = math.prod(check_shape(shape, "an array")) * dtype.dtype.itemsize
    if size != len(data):
        raise FormatError(f"an array of shape {shape} needs {size:,} bytes, it has {len(data):,}")
    values = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
    # Pictures become bytes at once, so that the floats of all splits never lie side by side.
    return to_bytes(values, f"an array of shape {shape}") if len(shape) > 1 else values


_NAMES: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): encode,
    ("collections", "OrderedDict"): _table,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
}


class _Memo(dict[int, object]):
    """The unpickler's memo, without the bytes of large arrays: NumPy never asks for them again.

    Their places stay, since protocol 4 and later number by counting them.
    """

    def __setitem__(self, key: int, value: object) -> None:
        parts = value if isinstance(value, tuple) else (value,)
        large = any(isinstance(p, (*_BYTES, str)) and len(p) > _LARGE for p in parts)
        super().__setitem__(key, None if large else value)


class _Dispatch(dict[int, Any]):
    """The operations of the unpickler, so many of them: each may take a hundred bytes of memory."""

    def __init__(self, table: dict[int, Any]) -> None:
        super().__init__(table)
        self._left = _STEPS

    def __getitem__(self, code: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Refused(f"more than {_STEPS:,} steps, which no pickle of arrays has")
        return super().__getitem__(code)


# The unpickler in Python, not the one in C: its memo is a dict that a hostile index cannot blow up.
class Unpickler(pickle._Unpickler):
    """Interprets pickles of arrays; what other pickles may hold, a class made of it says."""

    def __init__(self, stream: Inflater | IO[bytes]) -> None:
        super().__init__(stream, encoding="bytes")  # type: ignore[arg-type]  # reads bytearrays
        self.memo = _Memo()
        self.dispatch = _Dispatch(self.dispatch)  # type: ignore[misc]  # of this one alone

    def find_class(self, module: object, name: object) -> object:
        try:
            return _NAMES[_text(module), _text(name)]
        except KeyError:
            wanted = f"{_text(module)}.{_text(name)}"[:80]
            library = wanted.partition(".")[0]
            if library in _LIBRARIES:
                raise _Refused(
                    f"it holds {wanted!r}, an object of {library}; nothing was run: load it where "
                    f"you trust it with {library}, and save the arrays in it with numpy.savez"
                ) from None
            raise _Refused(
                f"it wants to run {wanted!r}, which no pickle of arrays needs; "
                "nothing was run: do not open this file with pickle.load"
            ) from None

    def get_extension(self, code: int) -> None:  # the original asks the registry of the process
        raise _Refused(f"it names extension {code}, which no pickle of arrays does")

    def load_state(self: Any) -> None:  # the original sets attributes of whatever it is given
        state, instance = self.stack.pop(), self.stack[-1]
        if not isinstance(instance, (Array, _DType)):
            raise _Refused("it sets the state of something that is no array; nothing was run")
        instance.__setstate__(state)

    def load_bytes(self: Any) -> None:  # the original reserves whatever size the pickle claims
        self.append(self.read(struct.unpack("<Q", self.read(8))[0]))

    def check_key(self, key: object) -> None:
        """Refuse what is no name: others can be chosen so that a table of them takes for ever."""
        if not isinstance(key, (str, bytes)):
            raise _Refused(f"a table by {type(key).__name__}, where arrays go by names")

    def load_setitem(self: Any) -> None:
        self.check_key(self.stack[-2])
        super().load_setitem()  # type: ignore[misc]

    def load_setitems(self: Any) -> None:
        for key in self.stack[::2]:
            self.check_key(key)
        super().load_setitems()  # type: ignore[misc]

    def load_dict(self: Any) -> None:
        for key in self.stack[::2]:
            self.check_key(key)
        super().load_dict()  # type: ignore[misc]

    def load_set(self: Any) -> None:
        raise _Refused("it holds a set, which no pickle of arrays does; nothing was run")

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: load_set,
        pickle.FROZENSET[0]: load_set,
        pickle.BUILD[0]: load_state,
        pickle.BYTEARRAY8[0]: load_bytes,
    }


def _text(name: object) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)


def load(stream: Inflater) -> object:
    """What the pickle in `stream` holds: tuples, lists, dicts, numbers, strings and Arrays.

    Raises FormatError for a pickle that asks for anything but arrays, before anything is run, and
    for one that is damaged.
    """
    try:
        content = Unpickler(stream).load()
        if stream.read(1):  # reaches the end, where gzip's checksum is compared
            raise FormatError("something follows the pickle")
        return content
    except FormatError as error:
        if isinstance(error, _Refused):
            _drain(stream)
        message = str(error)
        prefix = f"{stream.path}: "
        raise FormatError(message if message.startswith(prefix) else prefix + message) from None
    except MemoryError:
        raise FormatError(f"{stream.path}: a damaged pickle (a size beyond memory)") from None
    # Damage makes the unpickler raise nearly anything: KeyError, struct.error, AttributeError, ...
    except Exception as error:
        _drain(stream)
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        raise FormatError(f"{stream.path}: a damaged pickle ({reason})") from None


def _drain(stream: Inflater) -> None:
    """Read on to where gzip's checksum is compared, which says better what is wrong."""
    for _ in range(_DRAINED // _LARGE):
        if len(stream.read(min(_LARGE, stream.limit))) < _LARGE:
            break


def is_pickle(start: bytes) -> bool:
    """Whether a file that begins so is a pickle.

    Protocol 2 and later have a mark; 0 and 1 open with a tuple, a list, a dict or a name.
    PyTorch's older files are pickles too; the number they begin with tells them apart.
    """
    # A safetensors file (then JSON) or a TFRecord: a length of 64 bits. Some pickles have 0 there.
    if start[4:8] == b"\0\0\0\0" and (
        start[:1] != b"\x80" or start[2:4] == b"\0\0" or start[8:9] == b"{"
    ):
        return False
    if start.startswith(b"]\0"):  # of LZMA alone
        return False
    if start[:1] in (b"(", b"]", b"}") or re.match(rb"c[A-Za-z_][\w.]*\n", start):
        return True
    modern = start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return modern and start[2:6] != b"\x8a\nl\xfc"


def dump(pairs: Iterable[tuple[Iterator[bytes], str, tuple[int, ...]]]) -> Iterator[bytes]:
    """The bytes of ((x, y), (x, y), (x, y)) as Python 2 pickles it with protocol 2.

    Each array is (content in chunks, dtype code such as "f4", shape); x and y alternate.
    Every Python and NumPy reads this stream; what a newer one writes, older ones cannot.
    """
    yield b"\x80\x02"
    for count, (chunks, code, shape) in enumerate(pairs, start=1):
        size = math.prod(shape) * int(code[1:])
        yield (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            b"(K\x01(" + b"".join(map(_integer, shape)) + b"t"
            b"cnumpy\ndtype\n" + _string_header(len(code)) + code.encode() + b"K\x00K\x01\x87R"
            b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + _string_header(size)
        )
        yield from chunks
        yield b"tb"
        if count % 2 == 0:
            yield b"\x86"
    yield b"\x87."


def _integer(number: int) -> bytes:
    if number < 1 << 8:
        return b"K" + bytes([number])
    return (
        b"M" + struct.pack("<H", number) if number < 1 << 16 else b"J" + struct.pack("<i", number)
    )


def _string_header(size: int) -> bytes:
    return b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<i", size)
