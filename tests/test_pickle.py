"""Hostile, damaged and unusual pickles: nothing runs, and what is wrong is said."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import pickletools
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mnistprep
from mnistprep.errors import FormatError

X = np.arange(6 * 16, dtype=np.uint8).reshape(6, 16)
Y = np.arange(6, dtype=np.int64) % 3
GOOD = pickle.dumps(((X, Y),) * 3, 2)
RUN = "touch proof"


def load(folder: Path, data: bytes) -> mnistprep.Dataset:
    """Read `data` as a pickle, in a folder where a command that runs leaves a proof."""
    path = folder / "data.pkl"
    path.write_bytes(data)
    before = Path.cwd()
    os.chdir(folder)
    try:
        return mnistprep.read(path, "pkl")
    finally:
        os.chdir(before)
        assert [p.name for p in folder.iterdir()] == ["data.pkl"], "something was run"


class Gadget:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


def text(name: bytes) -> bytes:
    return b"\x8c" + bytes([len(name)]) + name


SYSTEM = b"cposix\nsystem\n"
ARGUMENT = b"(X" + struct.pack("<I", len(RUN)) + RUN.encode() + b"t"
HOSTILE = {
    "reduce": b"\x80\x02" + SYSTEM + ARGUMENT + b"R.",
    "protocol 0": b"(" + SYSTEM + b"(S'" + RUN.encode() + b"'\ntRt.",
    "inst": b"((S'" + RUN.encode() + b"'\niposix\nsystem\nt.",
    "obj": b"\x80\x02((" + SYSTEM + b"U\x0b" + RUN.encode() + b"ot.",
    "newobj": b"\x80\x02" + SYSTEM + ARGUMENT + b"\x81.",
    "newobj_ex": b"\x80\x04" + SYSTEM + ARGUMENT + b"}\x92.",
    "build": b"\x80\x02" + SYSTEM + b"}b.",
    "global by stack": b"\x80\x04" + text(b"os") + text(b"system") + b"\x93" + ARGUMENT + b"R.",
    "name by memo": b"\x80\x04" + text(b"os") + b"\x94" + text(b"system") + b"\x940"
    b"0h\x00h\x01\x93" + ARGUMENT + b"R.",
    "dotted name": b"\x80\x04" + text(b"numpy") + text(b"ndarray.__reduce__") + b"\x93.",
    "dotted module": b"\x80\x04" + text(b"numpy.ndarray") + text(b"dump") + b"\x93.",
    "attribute of numpy": b"\x80\x02cnumpy\nfromfile\n" + ARGUMENT + b"R.",
    "numpy load": b"\x80\x02cnumpy\nload\n" + ARGUMENT + b"R.",
    "runstring": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + ARGUMENT + b"R.",
    "scalar": b"\x80\x02cnumpy.core.multiarray\nscalar\n.",
    "builtins": b"\x80\x02c__builtin__\neval\n" + ARGUMENT + b"R.",
    "getattr": b"\x80\x02cbuiltins\ngetattr\n.",
    "bytes of a size": b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.",
    "copyreg": b"\x80\x02ccopy_reg\n_reconstructor\n.",
    "codecs": b"\x80\x02c_codecs\ndecode\n.",
    "persistent id": b"\x80\x02U\x05proofQ.",
    "persistent text": b"(Pproof\nt.",
    "extension 1": b"\x80\x02\x82\x01.",
    "extension 4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "buffer": b"\x80\x05\x97.",
    "reduce after an array": pickle.dumps((X, Y), 2)[:-1] + b"0" + SYSTEM + ARGUMENT + b"R.",
    "in a list": pickle.dumps([[X, Y], [Gadget(os.system, RUN)]], 4),
    "in a state": pickle.dumps({"x": Gadget(os.system, RUN)}, 2),
    "class with a state": b"\x80\x02cnumpy\nndarray\n)\x81}U\x04dataU\x05proofsb.",
    "setting attributes": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x08__code__K\x01sb.",
    "slots": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}U\x0c__defaults__N)s\x86b.",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path, kind: str, packed: bool) -> None:
    """Every way to reach a function is refused before it runs, with the name of what it wanted."""
    data = HOSTILE[kind]
    with pytest.raises(FormatError) as caught:
        load(tmp_path, gzip.compress(data) if packed else data)
    message = str(caught.value)
    assert "data.pkl: " in message
    if b"system" in data:
        assert "system" in message
        assert "nothing was run" in message


def test_the_stand_ins_stay_as_they_are(tmp_path: Path) -> None:
    """What a pickle sets on the functions it may name does not outlive the reading."""
    good = pickle.dumps(((X, Y), (X, Y), (X, Y)), 2)
    for data in HOSTILE.values():
        with pytest.raises(FormatError):
            load(tmp_path, data)
    assert load(tmp_path, good).splits["train"].images.tobytes() == X.tobytes()


GIGANTIC = {
    "memo index": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "memo text index": b"(Np999999999999\nt.",
    "binstring": b"\x80\x02T\xff\xff\xff\x7f.",
    "negative binstring": b"\x80\x02T\xff\xff\xff\xff.",
    "binbytes": b"\x80\x03B\xff\xff\xff\xff.",
    "binbytes8": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    "bytearray8": b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
    "bytearray8 of 16 GB": b"\x80\x05\x96" + (1 << 34).to_bytes(8, "little") + b".",
    "binbytes8 of 16 GB": b"\x80\x04\x8e" + (1 << 34).to_bytes(8, "little") + b".",
    "frame": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f.",
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "marks": b"\x80\x02" + b"(" * 20_000 + b".",
    "nested": b"\x80\x02" + b"N" + b"\x85" * 20_000 + b".",
    "nested lists": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "billion laughs": b"\x80\x02" + b"N" + b"2\x86" * 60 + b".",
    "huge shape": GOOD.replace(b"K\x06K\x10", b"J\xff\xff\xff\x7fK\x10"),
    "negative shape": GOOD.replace(b"K\x06K\x10", b"J\xff\xff\xff\xffK\x10"),
    "digits": b"(L" + b"9" * 100_000 + b"L\nt.",
    "empty": b"\x80\x02.",
    "endless line": b"(V" + b"a" * 3_000_000,
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", GIGANTIC)
def test_no_pickle_takes_more_memory_than_its_file(tmp_path: Path, kind: str, packed: bool) -> None:
    """Sizes that a file only claims are refused without being reserved."""
    data = GIGANTIC[kind]
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"data\.pkl: "):
            load(tmp_path, gzip.compress(data) if packed else data)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_truncated_pickle_is_named_at_every_length(tmp_path: Path) -> None:
    """No prefix of a pickle is taken for one, plain or in gzip."""
    whole = pickle.dumps(((X, Y), (X[:0], Y[:0]), (X, Y)), 2)
    assert len(load(tmp_path, whole)) == 12
    for size in range(0, len(whole), 7):
        with pytest.raises(FormatError, match=r"data\.pkl: "):
            load(tmp_path, whole[:size])
    packed = gzip.compress(whole)
    for size in range(0, len(packed), 7):
        with pytest.raises(FormatError, match=r"data\.pkl: "):
            load(tmp_path, packed[:size])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (7, "not ((x, y), (x, y), (x, y))"),
        ((X, None), "train is not a pair"),
        ((X, Y, X), "train is not a pair"),
        (((X, Y), (X, None)), "test is not a pair of arrays"),
        (((X, Y),) * 4, "not ((x, y), (x, y), (x, y))"),
        (((X, Y[:3]),) * 3, "6 pictures need as many labels"),
        (((X[:, :15], Y),) * 3, "15 values a picture are not a square"),
        (((X, Y.astype(float)),) * 3, "y must be one integer an example"),
        (((X, Y - 1),) * 3, "labels must be 0 or more, not -1"),
        (((X, Y + 2**30),) * 3, "beyond the 1,048,576 classes"),
        (((X, Y * 2**40),) * 3, "labels must be below 2**31"),
        (((X.astype("f4") / 3, Y),) * 3, "the pictures cannot be had back exactly"),
        (((X.astype("f4") + np.nan, Y),) * 3, "the pictures cannot be had back exactly"),
        (((X.astype("f4") + np.inf, Y),) * 3, "the pictures cannot be had back exactly"),
        (((X.astype("i4") + 300, Y),) * 3, "the pictures cannot be had back exactly"),
        (((X.astype("i8") - 1, Y),) * 3, "the pictures cannot be had back exactly"),
        (((X.astype("c8"), Y),) * 3, "not of plain numbers"),
        (((X.astype("S3"), Y),) * 3, "not of plain numbers"),
        (((X.astype("O"), Y),) * 3, "not of plain numbers"),
        (((np.float64(3), np.float64(2)),) * 3, "scalar"),
        (((X[:0], Y[:0]),) * 3, "it holds no pictures"),
    ],
)
def test_what_is_not_three_splits_of_pictures_is_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    """A pickle of something else says what was expected."""
    with pytest.raises(mnistprep.MnistprepError) as caught:
        load(tmp_path, pickle.dumps(content, 2))
    assert message in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [
        (256, "f4"),
        (256, "f8"),
        (256, "f2"),
        (255, "f4"),
        (255, "f8"),
        (1, "f4"),
        (1, "f8"),
        (1, "u1"),
        (1, "i8"),
        (1, ">i4"),
        (256, ">f4"),
    ],
)
def test_pixels_come_back_from_every_number_type(
    tmp_path: Path, protocol: int, scale: int, dtype: str
) -> None:
    """256ths, 255ths and bytes, in either byte order, give the exact bytes."""
    every = np.arange(2 * 256, dtype=np.uint8).reshape(2, 256)
    x = (every / scale).astype(dtype) if scale > 1 else every.astype(dtype)
    found = load(tmp_path, pickle.dumps(((x, Y[:2]), (x[:1], Y[:1]), (x, Y[:2])), protocol))
    assert found.splits["train"].images.tobytes() == every.tobytes()
    assert found.splits["train"].shape == (16, 16)
    assert len(found.splits["valid"]) == 1


def test_255ths_divided_in_single_precision_come_back(tmp_path: Path) -> None:
    """float32(byte) / float32(255) differs in the last bit from the double quotient."""
    every = np.arange(256, dtype=np.uint8).reshape(1, 256)
    x = every.astype(np.float32) / np.float32(255)
    found = load(tmp_path, pickle.dumps(((x, Y[:1]), (x, Y[:1]), (x, Y[:1])), 2))
    assert found.splits["train"].images.tobytes() == every.tobytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_in_any_layout_come_back(tmp_path: Path, protocol: int) -> None:
    """Column order, strided views, lists for tuples, three dimensions and two splits are read."""
    fortran = np.asfortranarray(X / np.float32(256))
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    shaped = X.reshape(6, 2, 8)
    content = [[fortran, Y], [wide, Y.astype(np.uint8)]]
    found = load(tmp_path, pickle.dumps(content, protocol))
    assert list(found.splits) == ["train", "test"]
    assert found.splits["train"].images.tobytes() == X.tobytes()
    assert found.splits["test"].images.tobytes() == X.tobytes()
    found = load(tmp_path, pickle.dumps(((shaped, Y),) * 3, protocol))
    assert found.shape == (2, 8)


def test_what_is_written_needs_only_what_python_2_knew(tmp_path: Path) -> None:
    """The stream has protocol 2's opcodes and names NumPy by its oldest module path alone."""
    dataset = mnistprep.Dataset(
        "x", {"train": mnistprep.Split(X.reshape(6, 4, 4), Y)}, ("0", "1", "2")
    )
    data = gzip.decompress(mnistprep.write(dataset, tmp_path / "x.pkl.gz").read_bytes())
    operations = list(pickletools.genops(io.BytesIO(data)))
    assert max(operation.proto for operation, _, _ in operations) == 2
    assert {argument for operation, argument, _ in operations if operation.name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    (x, y), valid, test = pickle.loads(data, encoding="latin1")
    assert (x.dtype, x.shape, y.dtype) == (np.float32, (5, 16), np.int64)
    assert np.array_equal(x * 256, X[:5])
    assert len(valid[0]) == 1
    assert len(test[0]) == 0


@pytest.mark.slow
def test_the_published_pickle_needs_little_memory(real_digits: Path) -> None:
    """Reading mnist.pkl.gz holds the floats of one split at most, and gives MNIST's digests."""
    tracemalloc.start()
    try:
        found = mnistprep.read(real_digits / "mnist.pkl.gz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {name: len(split) for name, split in found.splits.items()} == {
        "train": 50_000,
        "valid": 10_000,
        "test": 10_000,
    }
    assert found.digests()["train"].images.startswith("ba891046e6505d7a")
    assert peak < 300 << 20


@pytest.mark.parametrize("protocol", range(6))
def test_large_arrays_of_every_protocol_read(tmp_path: Path, protocol: int) -> None:
    """Arrays beyond a megabyte, whose bytes the reader does not keep, change nothing."""
    images = np.random.default_rng(0).integers(0, 256, (500, 784), dtype=np.uint8)
    pair = ((images / 256).astype(np.float32), np.arange(500) % 10)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps((pair, pair, pair), protocol=protocol))
    dataset = mnistprep.read(path)
    for split in dataset.splits.values():
        assert np.array_equal(split.images.reshape(500, 784), images)
        assert np.array_equal(split.labels, pair[1])


def test_a_name_without_gz_gets_no_gzip(tmp_path: Path) -> None:
    """mnist.pkl opens with pickle.load(open(path, "rb")), as its name says."""
    path = mnistprep.write(mnistprep.load("synth:60,10"), tmp_path / "mnist.pkl")
    with path.open("rb") as file:
        train, valid, test = pickle.load(file, encoding="latin1")
    assert [len(x) for x, _ in (train, valid, test)] == [50, 10, 10]


SMALL = mnistprep.load("synth:36,12")


def _tables() -> dict[str, object]:
    """Other pickles of the digits that people pass around."""
    train, test = SMALL.splits["train"], SMALL.splits["test"]
    flat = [part.images.reshape(len(part), -1) for part in (train, test)]
    return {
        # the loaders of well-known courses and books
        "training_images": {
            "training_images": flat[0], "training_labels": train.labels,
            "test_images": flat[1], "test_labels": test.labels,
        },
        "train_img": {
            "train_img": flat[0], "train_label": train.labels.astype(np.uint8),
            "test_img": flat[1], "test_label": test.labels.astype(np.uint8),
        },
        "floats and lists": {
            "x_train": (flat[0] / 255).astype(np.float32), "y_train": train.labels.tolist(),
            "x_test": (flat[1] / 255).astype(np.float32), "y_test": test.labels.tolist(),
        },
        "six arrays": (*(flat[0][:20], train.labels[:20]), *(flat[0][20:], train.labels[20:]),
                       *(flat[1], test.labels)),
        "four arrays": [train.images, train.labels, test.images, test.labels],
    }  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", _tables())
def test_tables_and_rows_of_arrays(tmp_path: Path, kind: str, protocol: int) -> None:
    """A dict of arrays by their usual names, or the arrays one after the other."""
    path = tmp_path / "mnist.pkl"
    path.write_bytes(pickle.dumps(_tables()[kind], protocol))
    assert mnistprep.read(path).digests() == SMALL.digests()


def test_a_table_of_other_things_is_refused(tmp_path: Path) -> None:
    """What is no array is named."""
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"x_train": SMALL.splits["train"].images, "y_train": "abc"}))
    with pytest.raises(FormatError, match=r"'y_train' in it is not an array of numbers"):
        mnistprep.read(path)
