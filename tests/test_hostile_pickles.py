"""Pickles that want more than arrays, wherever a file can hold one: refused before anything runs.

All are opened in one process that is watched by an audit hook, as a dataset and as a model.
"""

from __future__ import annotations

import codecs
import gzip
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from test_pickle import ARGUMENT, GOOD, HOSTILE, SYSTEM, X, Y, text

import mnistprep
from mnistprep.errors import FormatError

_PRIME = (1 << 61) - 1  # integers that differ by it have one hash


def _call(module: bytes, name: bytes, *, by_stack: bool = False) -> bytes:
    if by_stack:
        return b"\x80\x04" + text(module) + text(name) + b"\x93" + ARGUMENT + b"R."
    return b"\x80\x02c" + module + b"\n" + name + b"\n" + ARGUMENT + b"R."


NAMES = {
    f"{module}.{name}, {way}": _call(module.encode(), name.encode(), by_stack=way == "by stack")
    for way in ("by text", "by stack")
    for module, name in (
        ("os", "system"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "exec"),
        ("builtins", "__import__"), ("__builtin__", "execfile"), ("importlib", "import_module"),
        ("runpy", "run_path"), ("pty", "spawn"), ("webbrowser", "open"), ("code", "interact"),
        ("timeit", "timeit"), ("pdb", "run"), ("cProfile", "run"), ("bdb", "Bdb"),
        ("shutil", "rmtree"), ("pip", "main"), ("socket", "create_connection"),
        ("urllib.request", "urlopen"), ("operator", "attrgetter"), ("operator", "methodcaller"),
        ("functools", "partial"), ("functools", "reduce"), ("itertools", "starmap"),
        ("types", "CodeType"), ("types", "FunctionType"), ("marshal", "loads"),
        ("pickle", "loads"), ("_pickle", "loads"), ("dill", "loads"), ("joblib", "load"),
        ("copyreg", "__newobj__"), ("copyreg", "_reconstructor"), ("copy_reg", "add_extension"),
        ("torch", "load"), ("torch.storage", "_load_from_bytes"), ("torch.hub", "load"),
        ("torch._utils", "_rebuild_tensor_v2"), ("torch.jit", "load"), ("pandas", "read_pickle"),
        ("numpy", "load"), ("numpy", "fromfile"), ("numpy", "memmap"), ("numpy", "save"),
        ("numpy.f2py", "compile"), ("numpy.lib.npyio", "load"), ("numpy.ctypeslib", "load_library"),
        ("numpy.core.multiarray", "x.y"), ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy.core.multiarray", "scalar"), ("numpy.distutils.exec_command", "exec_command"),
        ("numpy.core._internal", "_ctypes"), ("numpy.random._pickle", "__generator_ctor"),
        ("_codecs", "decode"), ("_codecs", "lookup"), ("_codecs", "register"), ("codecs", "open"),
        ("collections", "namedtuple"), ("collections", "OrderedDict.fromkeys"),
        ("__main__", "Gadget"), ("", "system"), ("os.path", "os.system"), ("sys", "modules"),
        ("mnistprep", "write"), ("mnistprep.formats._pickle", "pickle.loads"),
        ("logging", "config"),
    )
}  # fmt: skip


def _encoded(codec: str, data: bytes = bytes(1 << 20)) -> bytes:
    """_codecs.encode of what a codec gives, or would become."""
    name = codec.encode()
    return (
        b"\x80\x02c_codecs\nencode\nX" + struct.pack("<I", len(data)) + data + b"X"
        + struct.pack("<I", len(name)) + name + b"\x86R."
    )  # fmt: skip


def _array(shape: bytes, code: bytes, data: bytes, kind: bytes = b"numpy\nndarray") -> bytes:
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nc" + kind + b"\nK\0\x85U\1b\x87R(K\1"
        + shape + b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\0K\1\x87R\x89U"
        + bytes([len(data)]) + data + b"tb."
    )  # fmt: skip


def _long(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little")
    return b"\x8b" + struct.pack("<i", len(data)) + data


ARRAYS = {
    "object dtype": _array(b"K\1\x85", b"O8", b"proof"),
    "object dtype in bytes": _array(b"K\1\x85", b"|O", b"12345678"),
    "void dtype": _array(b"K\1\x85", b"V8", b"12345678"),
    "structured dtype": _array(b"K\1\x85", b"u1,O", b"123456789"),
    "datetime": _array(b"K\1\x85", b"M8[ns]", b"12345678"),
    "unicode dtype": _array(b"K\1\x85", b"U2", b"12345678"),
    "endless dtype": _array(b"K\1\x85", b"u" + b"1" * 60, b"12345678"),
    "hostile dtype": _array(b"K\1\x85", b"u1)(,O", b"12345678"),
    "matrix": _array(b"K\1\x85", b"u1", b"1", b"numpy\nmatrix"),
    "memmap": _array(b"K\1\x85", b"u1", b"1", b"numpy\nmemmap"),
    "chararray": _array(b"K\1\x85", b"u1", b"1", b"numpy.core.defchararray\nchararray"),
    "recarray": _array(b"K\1\x85", b"u1", b"1", b"numpy\nrecarray"),
    "subclass by stack": _array(b"K\1\x85", b"u1", b"1", b"os\nsystem"),
    "shape too large": _array(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"u1", b"1"),
    "shape of 10^1000": _array(_long(10**1000) + b"\x85", b"u1", b"1"),
    "shape of 10^9000": _array(_long(10**9000) + b"\x85", b"u1", b"1"),
    "negative shape": _array(b"J\xff\xff\xff\xff\x85", b"u1", b"1"),
    "two negative sizes": _array(b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"u1", b"1"),
    "shape of texts": _array(b"U\1a\x85", b"u1", b"1"),
    "shape of 100 axes": _array(b"(" + b"K\1" * 100 + b"t", b"u1", b"1"),
    "shape with nothing": _array(b"K\0J\xff\xff\xff\x7f\x86", b"u1", b""),
    "no state": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN\x85RNb.",
    "state of seven": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN\x85R(NNNNNNNtb.",
    "frombuffer of nothing": b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(NNNNtR.",
    "ndarray of a buffer": b"\x80\x02cnumpy\nndarray\nK\1\x85\x85R.",
    "strides": b"\x80\x02cnumpy\nndarray\n)\x81N}U\7stridesK\1\x85s\x86b.",
}
CODECS = {
    codec: _encoded(codec)
    for codec in ("zlib", "zlib_codec", "bz2", "bz2_codec", "rot13", "hex", "base64", "uu",
                  "quopri", "utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape",
                  "mbcs",
                  "undefined", "../../latin1", "latin1\0", "LATIN1")
}  # fmt: skip
OPERATIONS = {
    "extension 2": b"\x80\x02\x83\1\0.",
    "extension 0": b"\x80\x02\x82\0.",
    "persistent in a tuple": b"\x80\x02(K\1Qt.",
    "next buffer read-only": b"\x80\x05\x97\x98.",
    "inst of two": b"((S'proof'\n(S'x'\niposix\nsystem\nt.",
    "obj on a number": b"\x80\x02(K\1K\2o.",
    "newobj on a text": b"\x80\x02U\1a)\x81.",
    "newobj on our own": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)\x81.",
    "newobj_ex on our own": b"\x80\x04" + text(b"numpy") + text(b"ndarray") + b"\x93)}\x92}b.",
    "reduce a text": b"\x80\x02U\6system" + ARGUMENT + b"R.",
    "reduce without arguments": b"\x80\x02cnumpy\ndtype\nNR.",
    "build a text": b"\x80\x02U\6system}b.",
    "build a table": b"\x80\x02}}U\1aK\1sb.",
    "name by numbers": b"\x80\x04K\1K\2\x93.",
    "name by bytes": b"\x80\x04C\2osC\6system\x93.",
    "name from a frame": b"\x80\x04\x95\x0e\0\0\0\0\0\0\0"
    + text(b"os")
    + text(b"system")
    + b"\x93.",
    "name by put and get": b"\x80\x04" + text(b"os") + b"p7\n0" + text(b"system") + b"q\x080"
    b"g7\nh\x08\x93" + ARGUMENT + b"R.",
    "memo swapped": b"\x80\x02" + GOOD[2:-1] + b"q\0" + SYSTEM + b"q\0" + ARGUMENT + b"R.",
    "memo that is not there": b"\x80\x02h\x63.",
    "memo negative": b"(NpX\n.",
    "memo beyond": b"\x80\x02j\xff\xff\xff\xff.",
    "two pickles": GOOD + b"\x80\x02" + SYSTEM + ARGUMENT + b"R.",
    "append to an array": GOOD[:-1] + b"0cnumpy\nndarray\n)\x81K\1a.",
    "extend a text": b"\x80\x02U\1a(K\1e.",
    "set an item of a text": b"\x80\x02U\1aK\0K\1s.",
    "unpopped marks": b"\x80\x02((((.",
    "popped beyond": b"\x80\x0200000.",
    "unknown operation": b"\x80\x02\xff.",
    "protocol 255": b"\x80\xffN.",
    "frame within a frame": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x95\xff\0\0\0\0\0\0\0"
    + b"N" * 16
    + b".",
    "a frame cut": b"\x80\x04\x95\x10\0\0\0\0\0\0\0N.",
    "negative long": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "long in words": b"L" + b"9" * 5000 + b"L\n.",
    "string without quotes": b"S'abc\n.",
    "string escapes": b"S'\\x'\n.",
    "unicode cut": b"V\\ud8\n.",
}
_ones = b"".join(_long(k * _PRIME) + b"N" for k in range(1, 40_000))
_loop: dict[str, Any] = {}
_loop["train"] = _loop
_tower: dict[str, Any] = {"x_train": X, "y_train": Y}
for _ in range(40):
    _tower = {"train": _tower, "test": _tower}
SIZES = {
    "one hash": b"\x80\x02}(" + _ones + b"u.",
    "one hash, dict": b"(" + _ones + b"d.",
    "one hash, set": b"\x80\x04\x8f(" + _ones + b"\x90.",
    "one hash, frozenset": b"\x80\x04(" + _ones + b"\x91.",
    "a table in itself": pickle.dumps(_loop, 2),
    "a tower of tables": pickle.dumps(_tower, 2),
    "a label of 10^30": pickle.dumps({"x_train": X, "y_train": [10**30] * 6}, 2),
    "a name of 10^9000": pickle.dumps({10**9000: X}, 2),
    "a list in itself": b"\x80\x02]q\0h\0a.",
    "doubled 10,000 times": b"\x80\x02N" + b"2\x86" * 10_000 + b".",
    "binunicode8": b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b".",
    "long4": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "long1": b"\x80\x02\x8a\xff.",
    "frame of 16 GB": b"\x80\x04\x95" + (1 << 34).to_bytes(8, "little") + b"N.",
    "memo of 2^31": b"\x80\x02Nr\xff\xff\xff\xff0N.",
}
FAMILIES = {
    "known": HOSTILE, "names": NAMES, "arrays": ARRAYS, "codecs": CODECS,
    "operations": OPERATIONS, "sizes": SIZES,
}  # fmt: skip


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _objects(data: bytes) -> bytes:
    """A .npy whose header promises objects, which are the pickle behind it."""
    buffer = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + data


WRAPPED = {
    "pkl": lambda data: data,
    "pkl.gz": gzip.compress,
    "pkl.gz.gz": lambda data: gzip.compress(gzip.compress(data)),
    "pt": lambda data: _zip({"a/data.pkl": data, "a/version": b"3\n", "a/byteorder": b"little"}),
    "old.pt": lambda data: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + data * 2,
    "script.pt": lambda data: _zip(
        {"a/data.pkl": data, "a/constants.pkl": data, "a/code/x.py": b""}
    ),
    "npz": lambda data: _zip({"x_train.npy": _objects(data), "y_train.npy": _objects(data)}),
    "npy": _objects,
    "zip": lambda data: _zip({"mnist.pkl": data}),
}


def _is_unpacking(deed: str) -> bool:
    return "mnistprep-" in deed or deed in (
        "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.rename", "os.chmod", "shutil.rmtree",
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrap", ["pkl", *(pytest.param(k, marks=pytest.mark.slow) for k in WRAPPED if k != "pkl")]
)
def test_no_gadget_runs(tmp_path: Path, wrap: str) -> None:
    """Each is refused in words, as data and as a model; the process starts and writes nothing."""
    cases = tmp_path / "cases"
    cases.mkdir()
    paths = []
    for family, members in FAMILIES.items():
        for k, data in enumerate(members.values()):
            path = cases / f"{family}{k}.{wrap}"
            path.write_bytes(WRAPPED[wrap](data))
            paths.append(path)
    found = hostile.opened(paths, tmp_path)
    packed = "gz" in wrap or wrap == "zip"
    assert len(found["said"]) == sum(map(len, FAMILIES.values())) > 200
    for path, twice in found["said"].items():
        for words, deeds in twice:
            assert words.startswith("refused: "), (path, words)
            # Archives and nested compression are unpacked into a folder of their own.
            done = [deed for deed in deeds if not (packed and _is_unpacking(deed))]
            assert not done, (path, done)
    assert found["grown"] < 256 << 20
    assert [path.name for path in tmp_path.iterdir()] == ["cases"]


def test_a_registered_extension_is_not_used(tmp_path: Path) -> None:
    """What another library registered in the process is not reached by its number."""
    import copyreg

    copyreg.add_extension("codecs", "encode", 240)
    copyreg._extension_cache[240] = codecs.encode  # type: ignore[attr-defined]
    try:
        for data in (b"\x80\x02\x82\xf0.", b"\x80\x02\x82\xf0X\1\0\0\0aX\5\0\0\0rot13\x86R."):
            (tmp_path / "x.pkl").write_bytes(data)
            with pytest.raises(FormatError, match="names extension 240"):
                mnistprep.read(tmp_path / "x.pkl", "pkl")
    finally:
        copyreg.remove_extension("codecs", "encode", 240)
        copyreg._extension_cache.pop(240, None)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("operation", [b"(", b"]", b"}", b"N", b"N2"])
def test_a_gigabyte_of_operations_takes_little(tmp_path: Path, operation: bytes) -> None:
    """A megabyte of gzip can hold a thousand million of them; two million are carried out."""
    data = operation * ((64 << 20) // len(operation))
    (tmp_path / "x.pkl.gz").write_bytes(gzip.compress(b"\x80\x02" + data, 1))
    found = hostile.opened([tmp_path / "x.pkl.gz"], tmp_path)
    (first, _), _ = found["said"].values().__iter__().__next__()
    assert "more than 2,097,152 steps" in first
    assert found["grown"] < 512 << 20
