"""Files of tensors that promise, name or are more than plain tensors: refused in words."""

from __future__ import annotations

import collections
import json
import math
import pickle
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import mnistprep
from mnistprep import _torchfile
from mnistprep.cli import main
from mnistprep.errors import DataError, FormatError
from mnistprep.evaluation import evaluate
from mnistprep.training import Trained, fit, load_checkpoint, save_checkpoint

DIGITS = mnistprep.load("synth:20,10", workers=1)
IMAGES = torch.arange(36, dtype=torch.uint8).reshape(4, 3, 3)
LABELS = torch.arange(4)
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
BIG = b"\x8b" + struct.pack("<i", 100_000) + b"\x01" * 100_000  # a number of 240,000 digits


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def storage(count: bytes, key: bytes = b"0", kind: bytes = b"torch\nByteStorage") -> bytes:
    """The values of a tensor, as a zip names them."""
    return b"(" + text(b"storage") + b"c" + kind + b"\n" + text(key) + text(b"cpu") + count + b"tQ"


def tensor(shape: bytes, strides: bytes, count: bytes = b"K\4", marks: bytes = b"") -> bytes:
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(count) + b"K\0" + shape + strides
        + b"\x89ccollections\nOrderedDict\n)R" + marks + b"tR"
    )  # fmt: skip


def attribute(name: bytes) -> bytes:
    return b"ccollections\nOrderedDict\n)R}" + text(name) + b"Nsb"


def zipped(path: Path, data: bytes, **members: bytes) -> Path:
    """A file as torch.save writes it, of that pickle and four bytes of values."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data.pkl": data, "version": b"3\n", "data/0": bytes(4)}.items():
            archive.writestr(f"a/{name}", content)
        for name, content in members.items():
            archive.writestr(f"a/{name}", content)
    return path


SIZE = b"J\xff\xff\xff\x3f"
HOSTILE = {
    "bytearray": b"](" + b"cbuiltins\nbytearray\n" + (SIZE + b"\x85R") * 5 + b"e",
    "bytearray, new": b"c__builtin__\nbytearray\n" + SIZE + b"\x85\x81",
    "Tensor": b"ctorch\nTensor\n" + SIZE + b"\x85R",
    "FloatTensor": b"ctorch\nFloatTensor\n" + SIZE + b"\x85\x81",
    "TypedStorage": b"ctorch.storage\nTypedStorage\n" + SIZE + b"\x85R",
    "UntypedStorage": b"ctorch.storage\nUntypedStorage\n" + SIZE + b"\x85R",
    "Counter": b"ccollections\nCounter\n" + text(b"a" * 1000) + b"\x85R",
    "complex": b"cbuiltins\ncomplex\nK\1K\1\x86R",
    "set": b"cbuiltins\nset\n](K\1K\2e\x85R",
    "other codec": b"c_codecs\nencode\n" + text(b"a" * 1000) + text(b"punycode") + b"\x86R",
    "codec of bytes": b"c_codecs\nencode\nU\4aaaa" + text(b"zlib") + b"\x86R",
    "attribute items": attribute(b"items"),
    "attribute keys": attribute(b"keys"),
    "attribute values": attribute(b"values"),
    "attribute of a tensor": tensor(b"K\4\x85", b"K\1\x85") + b"}" + text(b"numpy") + b"Nsb",
    "from a type": b"ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR",
    "tensor beyond its values": tensor(b"K\5\x85", b"K\1\x85"),
    "storage beyond its bytes": tensor(b"K\5\x85", b"K\1\x85", SIZE),
    "strides beyond": tensor(b"K\2\x85", SIZE + b"\x85"),
    "negative stride": tensor(b"K\2\x85", b"J\xff\xff\xff\xff\x85"),
    "sizes without end": tensor(b"(" + b"K\1" * 999 + b"t", b"(" + b"K\1" * 999 + b"t"),
    "a size of a million bits": tensor(BIG + b"\x85", b"K\1\x85"),
    "axes without strides": tensor(b"K\2K\2\x86", b"K\1\x85"),
    "a table of an endless tensor": b"ccollections\nOrderedDict\n"
    + tensor(SIZE + b"K\2\x86", b"K\0K\1\x86") + b"\x85R",
    "a size of an endless tensor": b"ctorch\nSize\n"
    + tensor(SIZE + b"\x85", b"K\0\x85") + b"\x85R",
    "marks": tensor(b"K\4\x85", b"K\1\x85", marks=b"}" + text(b"conj") + b"K\1s"),
    "numbers with one hash": b"}("
    + b"".join(b"\x8a\x10" + (k * ((1 << 61) - 1)).to_bytes(16, "little") + b"N" for k in range(99))
    + b"u",
    "module": b"(" + text(b"module") + b"ctorch\nSize\n" + text(b"a") + text(b"b") + b"tQ",
    "a number of 600 bytes": b"\x8b" + struct.pack("<i", 600) + b"\x01" * 600,
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_plain_tensor_is_refused(tmp_path: Path, kind: str) -> None:
    """As data and as a model, in words and at once."""
    path = zipped(tmp_path / "a.pt", b"\x80\x02" + HOSTILE[kind] + b".")
    for function in (mnistprep.read, load_checkpoint):
        with pytest.raises(FormatError, match=rf"^{re.escape(str(path))}: "):
            function(path)


@pytest.mark.slow
def test_no_pickle_of_tensors_takes_more_than_it_holds(tmp_path: Path) -> None:
    """In a zip and in the older stream, as data and as a model: refused in little memory."""
    paths = []
    for k, data in enumerate(HOSTILE.values()):
        paths.append(zipped(tmp_path / f"{k}.pt", b"\x80\x02" + data + b"."))
        paths.append(tmp_path / f"{k}.old.pt")
        paths[-1].write_bytes(LEGACY + b"\x80\x02" + data + b".\x80\x02](" + text(b"0") + b"e.")
    found = hostile.opened(paths, tmp_path)
    for path, twice in found["said"].items():
        for words, deeds in twice:
            assert words.startswith(f"refused: {path}: "), (path, words)
            assert not deeds, (path, deeds)
    assert found["grown"] < 384 << 20


@pytest.mark.slow
def test_an_older_stream_of_too_many_steps_is_refused(tmp_path: Path) -> None:
    """Twelve million lists in twelve megabytes are not carried out, nor read to the end."""
    (tmp_path / "a.pt").write_bytes(LEGACY + b"\x80\x02" + b"]" * 12_000_000 + b".")
    with pytest.raises(FormatError, match="more than 2,097,152 steps"):
        mnistprep.read(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(LEGACY + b"\x80\x02" + text(bytes(6 << 20)) + b".")
    with pytest.raises(FormatError, match="more than 4,194,304 bytes that say how the tensors lie"):
        mnistprep.read(tmp_path / "b.pt")


def test_an_older_stream_whose_values_are_not_named_is_refused(tmp_path: Path) -> None:
    """PyTorch would leave such a tensor as the memory was."""
    torch.save((IMAGES, LABELS), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    data = (tmp_path / "a.pt").read_bytes()
    at = data.rindex(b"\x80\x02]")
    rest = data[data.index(b".", at) + 1 :]
    (tmp_path / "b.pt").write_bytes(data[:at] + b"\x80\x02]." + rest)
    with pytest.raises(FormatError, match="the order of its storages"):
        mnistprep.read(tmp_path / "b.pt")


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        {"x_train": IMAGES, "y_train": LABELS},
        collections.OrderedDict(x_train=IMAGES, y_train=LABELS.to(torch.int32)),
        [IMAGES, LABELS],
        (IMAGES, LABELS),
        torch.utils.data.TensorDataset(IMAGES, LABELS).tensors,
        ((IMAGES, LABELS), (IMAGES, LABELS)),
        {"train": {"x": IMAGES.clone(), "y": LABELS}, "test": (IMAGES, LABELS.tolist())},
        {"x_train": torch.nn.Parameter(IMAGES / 255), "y_train": LABELS.half()},
        {"x_train": torch.stack([IMAGES, IMAGES], 3)[..., 0], "y_train": LABELS.double()},
        {"x_train": torch._neg_view(-IMAGES.float()), "y_train": LABELS},
        {"x_train": IMAGES, "y_train": LABELS, "classes": json.dumps(list("abcd"))},
    ],
)  # fmt: skip
def test_what_torch_save_writes_of_tensors_is_read(tmp_path: Path, content: Any, new: bool) -> None:
    """Tables, lists and tuples of plain tensors, shared or not, as views or parameters."""
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    dataset = mnistprep.read(tmp_path / "a.pt")
    assert np.array_equal(dataset.splits["train"].images, IMAGES)
    assert dataset.splits["train"].labels.tolist() == [0, 1, 2, 3]


def test_unsigned_labels_that_older_versions_did_not_have_are_read(tmp_path: Path) -> None:
    """uint16, uint32 and uint64 are saved in another way than the other types."""
    for kind in (torch.uint16, torch.uint32, torch.uint64):
        torch.save({"x_train": IMAGES, "y_train": LABELS.to(kind)}, tmp_path / "a.pt")
        assert mnistprep.read(tmp_path / "a.pt").splits["train"].labels.tolist() == [0, 1, 2, 3]


def test_tensors_that_are_not_plain_are_refused_without_a_warning(tmp_path: Path) -> None:
    """What they are made by is named; PyTorch's own warnings do not come before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch, as they are made
        kinds = {
            "qtensor": torch.quantize_per_tensor(IMAGES.float(), 0.1, 0, torch.quint8),
            "sparse": torch.eye(3).to_sparse_csr(),
            "meta": IMAGES.to("meta"),
        }
    for name, images in kinds.items():
        torch.save({"x_train": images, "y_train": LABELS}, tmp_path / f"{name}.pt")
        with pytest.raises(FormatError, match=rf"{name}.*, which no plain tensor needs"):
            mnistprep.read(tmp_path / f"{name}.pt")


def test_members_that_are_compressed_are_inflated(tmp_path: Path) -> None:
    """Zipped again by another tool, a file has the same pictures; they are not mapped then."""
    torch.save({"x_train": IMAGES, "y_train": LABELS}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    assert np.array_equal(mnistprep.read(tmp_path / "b.pt").splits["train"].images, IMAGES)


def test_tensors_saved_on_a_gpu_are_read_without_one(tmp_path: Path) -> None:
    """Where they lay is in the file; they come to the CPU."""
    torch.save({"x_train": IMAGES, "y_train": LABELS}, tmp_path / "a.pt")
    old = zipfile.ZipFile(tmp_path / "a.pt")
    with old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(text(b"cpu"), text(b"cuda:0")))
    assert np.array_equal(mnistprep.read(tmp_path / "b.pt").splits["train"].images, IMAGES)


def test_a_zip_that_readers_see_differently_is_refused(tmp_path: Path) -> None:
    """Two members for one name, as PyTorch looks for names, are one too many."""
    path = zipped(tmp_path / "a.pt", pickle.dumps({}, 2), **{"DATA.PKL": b"\x80\x02N."})
    with pytest.raises(FormatError, match="there twice"):
        mnistprep.read(path, "pt")


# Shapes in pickles and safetensors


def shaped(shape: bytes) -> bytes:
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R(K\1"
        + shape + b"cnumpy\ndtype\nU\x02u1K\0K\1\x87R\x89U\x01atb."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (b"(" + BIG + b"q\x05" + b"h\x05" * 299 + b"t", "300 axes, of at most 64"),
        (b"(" + BIG + b"q\x05" + b"h\x05" * 59 + b"t", "a size is one of 799,993 bits"),
        (b"(" + b"J\xff\xff\xff\x7f" * 60 + b"t", "needs "),
        (b"J\xff\xff\xff\xff\x85", "a size is -1"),
        (b"\x88\x85", "a size is bool"),
    ],
)
def test_sizes_of_a_pickled_array_are_checked_first(
    tmp_path: Path, shape: bytes, words: str
) -> None:
    """No size, and no number of them, makes the reader multiply for minutes."""
    (tmp_path / "a.pkl").write_bytes(shaped(shape))
    with pytest.raises(FormatError, match=words):
        mnistprep.read(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.array(3.0), np.array(1), "x is a single number"),
        (np.zeros((4, 784), "f4"), np.array(1), r"not int64 of shape \(\)"),
        (np.zeros((0, 784), "f4"), np.arange(4), "x has the shape"),
    ],
)
def test_arrays_without_axes_and_labels_without_pictures_are_named(
    tmp_path: Path, x: Any, y: Any, words: str
) -> None:
    """A number where an array is expected, and labels of no pictures, are refused in words."""
    good = np.zeros((4, 784), "f4"), np.arange(4)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(((x, y), good, good), 2))
    with pytest.raises(FormatError, match=words):
        mnistprep.read(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"x_train": x, "y_train": y}, 2))
    with pytest.raises(FormatError, match=r"x_train|y_train"):
        mnistprep.read(tmp_path / "b.pkl")


def tensors(path: Path, header: bytes) -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"a")
    return path


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [
        ([10**17] * 200_000, [0, 1]),
        ([10**4000, 10**4000], [0, 1]),
        ([10**4000] * 500, [0, 1]),
        ([1], [0, 10**4000]),
        ([1], [-(10**4000), 1]),
        ([2**63], [0, 1]),
        ([0] * 65, [0, 0]),
        ("1", [0, 1]),
        ([1], [0, 1, 2]),
    ],
)
def test_sizes_in_a_safetensors_header_are_checked_first(
    tmp_path: Path, shape: Any, offsets: list[int]
) -> None:
    """Sizes and places that no file has are refused at once, however many or long."""
    entry = {"dtype": "U8", "shape": shape, "data_offsets": offsets}
    path = tensors(tmp_path / "a.safetensors", json.dumps({"train_images": entry}).encode())
    with pytest.raises(FormatError, match="no plain type, shape and place"):
        mnistprep.read(path)


def test_a_safetensors_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Also in an entry: readers differ on which of the two they take."""
    entry = b'{"dtype": "U8", "shape": [1, 1, 1], "data_offsets": [0, 1]}'
    path = tensors(tmp_path / "a.safetensors", b'{"x_train": ' + entry + b', "x_train": 5}')
    with pytest.raises(FormatError, match="'x_train' is in the header twice"):
        mnistprep.read(path)
    path = tensors(tmp_path / "b.safetensors", b'{"x_train": {"shape": [1], "shape": [2]}}')
    with pytest.raises(FormatError, match="'shape' is in the header twice"):
        mnistprep.read(path)


# Models


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A model after a few steps."""
    return fit(DIGITS.splits["train"], classes=10, recipe="mlp", epochs=1, device="cpu")


def changed(trained: Trained, path: Path, change: Any) -> Path:
    save_checkpoint(trained, path)
    content = torch.load(path, weights_only=True)
    change(content)
    path.unlink()
    _torchfile.save(content, path)
    return path


def first(content: dict[str, Any], change: Any) -> None:
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = change(content["state_dict"][name])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: first(c, lambda w: w.to("meta")), "_rebuild_meta_tensor_no_storage"),
        (lambda c: first(c, lambda w: w.to_sparse()), "_rebuild_sparse_tensor"),
        (lambda c: first(c, lambda w: w.to(torch.complex64)), "not a table of weights"),
        (lambda c: first(c, lambda w: w[:1].clone().expand(w.shape)), "not a plain tensor"),
        (lambda c: c["state_dict"].update(gate=torch.ones(3)), "'gate', which mlp has none of"),
        (lambda c: c.update(epoch=-1), "expected a number"),
        (lambda c: c.update(epoch=10**700), "more than 255 bytes"),
        (lambda c: c.update(epoch=10**600), "expected a number"),
        (lambda c: c.update(classes=["a"] * 10), "a name twice"),
        (lambda c: c.update(classes=[None] * 10), "no name"),
        (lambda c: c["normalisation"].update(std=-1.0), "above 0"),
        (lambda c: c["normalisation"].update(std=0.0), "above 0"),
        (lambda c: c["normalisation"].update(std=math.nan), "std is nan"),
        (lambda c: c["normalisation"].update(mean=math.inf), "mean is inf"),
        (lambda c: c.update(shape=[10**600, 1]), "a size is one of"),
    ],
)
def test_a_checkpoint_that_no_run_writes_is_refused(
    tmp_path: Path, trained: Trained, change: Any, words: str
) -> None:
    """Weights that are not plain tensors and values that no run has are named."""
    with pytest.raises(FormatError, match=words):
        load_checkpoint(changed(trained, tmp_path / "a.pt", change), device="cpu")


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_bit_that_rots_in_a_tensor_is_found(tmp_path: Path, trained: Trained, kind: str) -> None:
    """PyTorch does not look at the checksums it writes; without them a file is taken as it is."""
    path, opened = tmp_path / "a.pt", mnistprep.read if kind == "dataset" else load_checkpoint
    if kind == "dataset":
        mnistprep.write(DIGITS, path, provenance=False)
    else:
        save_checkpoint(trained, path)
    content = torch.load(path, weights_only=True)
    before = torch.serialization.get_crc32_options()
    try:
        for summed in (True, False):
            torch.serialization.set_crc32_options(summed)
            torch.save(content, path)
            with zipfile.ZipFile(path) as archive:
                largest = max(archive.infolist(), key=lambda member: member.file_size)
            rotten = bytearray(path.read_bytes())
            rotten[largest.header_offset + largest.file_size // 2] ^= 1
            path.write_bytes(rotten)
            if summed:
                with pytest.raises(FormatError, match="damaged PyTorch file: get it again"):
                    opened(path)
            else:
                opened(path)
    finally:
        torch.serialization.set_crc32_options(before)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.bfloat16, torch.float64])
def test_weights_of_other_floats_and_views_are_taken(
    tmp_path: Path, trained: Trained, kind: torch.dtype
) -> None:
    """They are used as single precision; a view that negates gives what it shows."""
    path = changed(trained, tmp_path / "a.pt", lambda c: first(c, lambda w: w.to(kind)))
    assert load_checkpoint(path, device="cpu").recipe.name == "mlp"
    path = changed(trained, tmp_path / "b.pt", lambda c: first(c, lambda w: torch._neg_view(-w)))
    name = next(iter(trained.model.state_dict()))
    found = load_checkpoint(path, device="cpu").model.state_dict()[name]
    assert torch.equal(found, trained.model.state_dict()[name])


@pytest.mark.parametrize("value", [math.nan, math.inf, 3e38])
def test_a_model_that_gives_no_numbers_predicts_nothing(
    tmp_path: Path, trained: Trained, value: float
) -> None:
    """Its label would be 0 whatever the picture: the library and the commands say so."""
    path = changed(
        trained, tmp_path / "a.pt", lambda c: first(c, lambda w: torch.full_like(w, value))
    )
    Image.effect_noise((28, 28), 90).save(tmp_path / "b.png")
    for arguments in (
        ("predict", str(path), str(tmp_path / "b.png"), "--as-is", "--json"),
        ("evaluate", str(path), "--dataset", "synth:20,10"),
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1, result.output
        assert "the model gives no numbers" in result.output
    with pytest.raises(DataError, match="gives no numbers"):
        evaluate(path, DIGITS, device="cpu")
