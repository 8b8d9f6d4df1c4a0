"""npz, pt and safetensors that claim what they do not hold, or hold what is no dataset."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError, MnistprepError, UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)
LABELS = np.arange(9) % 3


def refused(path: Path, message: str) -> None:
    """Reading says that, names the file, and reserves no memory to speak of."""
    tracemalloc.start()
    try:
        with pytest.raises(MnistprepError) as caught:
            mnistprep.read(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def holds(path: Path) -> None:
    """The file is a dataset of the arrays above."""
    split = mnistprep.read(path).splits["train"]
    assert np.array_equal(split.images, IMAGES)
    assert np.array_equal(split.labels, LABELS)


# npz


@pytest.mark.parametrize(
    "names", [("x_train", "y_train"), ("train_images", "train_labels")], ids=["Keras", "other"]
)
@pytest.mark.parametrize("label", ["u1", "<i4", ">i8"])
def test_npz_of_other_names_and_types(tmp_path: Path, names: tuple[str, str], label: str) -> None:
    """Keras's names and MedMNIST's, in any integer type, column order and a column of labels."""
    x, y = names
    np.savez(tmp_path / "a.npz", **{x: np.asfortranarray(IMAGES), y: LABELS.astype(label)})
    holds(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", **{x: IMAGES / 255, y: LABELS[:, None].astype(label)})
    holds(tmp_path / "b.npz")


def npy(shape: str, descr: str = "'|u1'", data: bytes = b"") -> bytes:
    """An array file with that text for its shape."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def archive(path: Path, **members: bytes) -> Path:
    """A zip of those array files."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (npy("(0, 1152921504606846976, 1152921504606846976)"), "array is too big"),
        (npy("(0, 1180591620717411303424, 1)"), "Maximum allowed dimension"),
        (npy("(0, 2147483648, 1)"), "found uint8 of shape (0, 2147483648, 1)"),
        (npy("(1000000, 1000, 1000)"), "needs 1,000,000,000,000 bytes, the archive has 0"),
        (npy("(-1, 2, 2)"), "needs -4 bytes"),
        (npy("(2, 2"), "a damaged header of an array"),
        (npy("(" * 300), "a damaged header of an array"),
        (npy("()", data=b"1"), "found uint8 of shape ()"),
        (npy("(1,)", "'|O'", b"cposix\nsystem\n."), "holds pickled objects"),
        (npy("(1,)", "[('a', '|O')]", b"12345678"), "holds pickled objects"),
        (npy("(1, 1, 1)", "'<M8[s]'", bytes(8)), "found datetime64[s]"),
        (npy("(1, 1, 1)", "'<f4'", b"\0\0\xc0\x7f"), "cannot be had back exactly"),
        (b"\x93NUMPY\3\0" + npy("(0, 2, 2)")[8:], "an array file of version (3, 0)"),
        (b"hello", "truncated or damaged archive"),
        (b"", "truncated or damaged archive"),
    ],
)
def test_npz_with_a_wrong_array(tmp_path: Path, images: bytes, message: str) -> None:
    """Sizes, types and headers are judged before anything is made of them."""
    labels = npy("(1,)", data=b"\0")
    refused(archive(tmp_path / "a.npz", x_train=images, y_train=labels), message)


def test_npz_that_claims_terabytes(tmp_path: Path) -> None:
    """A size in the zip's directory that deflate cannot reach is not believed."""
    path = archive(tmp_path / "a.npz", x_train=npy("(1000000, 1000, 1000)"))
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    claim = struct.pack("<HHQ", 1, 8, 10**12 + len(npy("(1000000, 1000, 1000)")))
    entry = data[at : at + 24] + b"\xff" * 4 + struct.pack("<HH", 11, len(claim))
    entry += data[at + 32 : end] + claim
    sizes = struct.pack("<II", len(entry), at)
    path.write_bytes(data[:at] + entry + data[end : end + 12] + sizes + b"\0\0")
    refused(path, "needs 1,000,000,000,000 bytes, the archive has ")


def test_npz_of_python_2_is_read(tmp_path: Path) -> None:
    """Sizes written as 9L are read, without NumPy's warning about them."""
    images = npy("(9L, 4L, 5L)", data=IMAGES.tobytes())
    labels = npy("(9L,)", data=LABELS.astype("u1").tobytes())
    holds(archive(tmp_path / "a.npz", x_train=images, y_train=labels))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": IMAGES}, "x_train and y_train go together; one is missing"),
        ({"a": IMAGES, "b": LABELS}, "no arrays named train_images or x_train here, but: a, b"),
        ({"x_train": IMAGES, "y_train": LABELS / 2}, "expected one integer an example"),
        ({"x_train": IMAGES, "y_train": LABELS + 2**30}, "beyond the 1,048,576 classes"),
        ({"x_train": IMAGES / 3, "y_train": LABELS}, "the pictures cannot be had back exactly"),
        ({"x_train": IMAGES[:, 0], "y_train": LABELS}, "expected pictures (N, H, W)"),
    ],
)
def test_npz_of_something_else(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    """The message says which array is wrong and what was expected."""
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", message)


def test_npz_has_levels(tmp_path: Path) -> None:
    """level=0 stores, level=9 packs; the content is the same."""
    dataset = Dataset("x", {"train": Split(IMAGES * 0, LABELS)}, ("0", "1", "2"))
    sizes = []
    for level in (0, 9):
        path = mnistprep.write(dataset, tmp_path / f"{level}.npz", level=level)
        sizes.append(path.stat().st_size)
        assert mnistprep.read(path).digests() == dataset.digests()
    assert sizes[0] > sizes[1]
    with pytest.raises(UsageError, match="level must be 0 to 9, not 10"):
        mnistprep.write(dataset, tmp_path / "x.npz", level=10)


# safetensors


def tensors(path: Path, header: object, data: bytes = b"") -> Path:
    """A safetensors file with that header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(shape: list[object], first: int, last: int, dtype: object = "U8") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


PAIR = {"train_images": entry([1, 1, 1], 8, 9), "train_labels": entry([1], 0, 8, "I64")}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({**PAIR, "train_images": entry([0, 2**60, 2**60], 9, 9)}, "array is too big"),
        ({**PAIR, "train_images": entry([0, 2**70, 1], 9, 9)}, "no plain type, shape"),
        ({**PAIR, "train_images": entry([2**40, 1, 1], 8, 9)}, "needs 1,099,511,627,776 bytes"),
        ({**PAIR, "train_images": entry([1, 1, 1], 8, 2**60)}, "needs 1 bytes at 8"),
        ({**PAIR, "train_images": entry([2, 1, 1], 8, 10)}, "the file has 1; it is truncated"),
        ({**PAIR, "train_images": entry([1, 1, 1], 7, 8)}, "overlap or leave a gap at byte 8"),
        ({**PAIR, "train_images": entry([0, 1, 1], 8, 8)}, "expected 8 bytes of tensors, found 9"),
        ({**PAIR, "train_images": entry([-1, 1, 1], 8, 7)}, "no plain type, shape and place"),
        ({**PAIR, "train_images": entry([True, 1, 1], 8, 9)}, "no plain type, shape and place"),
        ({**PAIR, "train_images": entry([1, 1, 1], 8, 9, ["U8"])}, "no plain type, shape"),
        ({**PAIR, "train_images": entry([1, 1, 1], 8, 9, "F8_E4M3")}, "no plain type, shape"),
        ({**PAIR, "train_images": 5}, "no plain type, shape and place"),
        ({**PAIR, "__metadata__": {"classes": 7}}, "`classes` must be a JSON list of names"),
        ({**PAIR, "__metadata__": {"classes": "[" * 9999}}, "`classes` must be a JSON list"),
        ({**PAIR, "__metadata__": [1]}, "__metadata__ is not a table of strings"),
        ({"train_images": PAIR["train_images"]}, "overlap or leave a gap at byte 0"),
        (b"{" + b"[" * 9999, "the header is not a JSON table"),
        (b"{\xff}", "the header is not a JSON table"),
    ],
)
def test_safetensors_with_a_wrong_header(tmp_path: Path, header: object, message: str) -> None:
    """Every number of a header is checked against the file before an array is made."""
    refused(tensors(tmp_path / "a.safetensors", header, bytes(9)), message)


def test_safetensors_is_known_whatever_the_length_of_its_header(tmp_path: Path) -> None:
    """Lengths whose first bytes look like another format's mark are still lengths."""
    for length in (*range(0x110, 0x180, 8), 0x228, 0x250, 0x258, 0x278, 0x280, 0x380, 0x480, 0x580):
        text = json.dumps(PAIR).encode()
        path = tensors(tmp_path / "a.safetensors", text + b" " * (length - len(text)), bytes(9))
        assert mnistprep.formats.matches(path) == ["safetensors"]
    assert len(mnistprep.read(path)) == 1


# pt


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train_images": 1}, "train_images is not a plain tensor"),
        ([1, 2], "holds a list, not a table of tensors"),
        ("text", "holds a str, not a table of tensors"),
        ({"a": torch.zeros(3)}, "no arrays named train_images or x_train here, but: a"),
        ({"train_images": torch.zeros(1, 2, 2)}, "go together; one is missing"),
        ({"train_images": torch.zeros(2, 2, 2, dtype=torch.bfloat16)}, "torch.bfloat16"),
        ({"train_images": torch.zeros(2, 2, 2).to_sparse()}, "_rebuild_sparse_tensor"),
        ({"train_images": torch.zeros(1, 1, 1).expand(10**6, 10**3, 10**3)}, "not a plain tensor"),
        ({"train_images": torch.zeros(2, 2, 2, device="meta")}, "which no plain tensor needs"),
    ],
)
def test_pt_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    """What is no table of whole tensors is said to be none."""
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", message)


class Gadget:
    """Runs a command when it is unpickled by pickle itself."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch proof",)


@pytest.mark.parametrize("zipped", [True, False])
def test_pt_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    """A file that wants to run something is refused, and nothing is."""
    monkeypatch.chdir(tmp_path)
    torch.save(Gadget(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "a.pt", "nothing of it was run")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_pt_does_not_depend_on_the_name_of_its_file(tmp_path: Path) -> None:
    """Two names, one content: the bytes are the same."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("a", "b", "c"))
    first = mnistprep.write(dataset, tmp_path / "first.pt")
    second = mnistprep.write(dataset, tmp_path / "another-name.pt")
    assert first.read_bytes() == second.read_bytes()


def test_pt_of_other_layouts(tmp_path: Path) -> None:
    """Slices, column order, tensors that need a gradient and a list for a pair are read."""
    wide = torch.from_numpy(np.repeat(IMAGES, 2, axis=2))[:, :, ::2]
    labels = torch.from_numpy(LABELS)
    torch.save({"x_train": wide, "y_train": labels}, tmp_path / "a.pt")
    holds(tmp_path / "a.pt")
    scaled = (torch.from_numpy(IMAGES) / 255).requires_grad_()
    torch.save([scaled, labels.to(torch.uint8)], tmp_path / "b.pt")
    holds(tmp_path / "b.pt")


# The sidecar


@pytest.mark.parametrize("name", ["imagefolder", "csv"])
@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2**32 - 1, 2**32 - 1]},
        {"shape": [2**200, 1]},
        {"shape": [0, 5]},
        {"shape": [4]},
        {"shape": [4.0, 5.0]},
        {"shape": None},
        {"classes": "012"},
        {"classes": [0, 1, 2]},
        {"classes": None},
    ],
)
def test_a_damaged_sidecar_is_named(tmp_path: Path, name: str, change: dict[str, object]) -> None:
    """Impossible shapes and classes are refused with the sidecar's path and a way out."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("0", "1", "2"))
    path = mnistprep.write(dataset, tmp_path / "x", name)
    sidecar = path / "mnistprep.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **change}))
    with pytest.raises(FormatError) as caught:
        mnistprep.read(path)
    assert str(sidecar) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 9999, "\ud800", "{"])
def test_a_sidecar_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    """What is not JSON of mnistprep's can be removed, the message says."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("0", "1", "2"))
    path = mnistprep.write(dataset, tmp_path / "x", "csv")
    (path / "mnistprep.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FormatError, match="remove it to read without"):
        mnistprep.read(path)
    (path / "mnistprep.json").unlink()


def test_a_picture_that_is_not_as_large_as_the_sidecar_says(tmp_path: Path) -> None:
    """The first picture is compared before room is made for all."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("0", "1", "2"))
    path = mnistprep.write(dataset, tmp_path / "x", "imagefolder")
    sidecar = path / "mnistprep.json"
    sidecar.write_text(json.dumps({"classes": ["0", "1", "2"], "shape": [40_000, 40_000]}))
    with pytest.raises(FormatError, match="4x5 pixels, expected 40000x40000"):
        mnistprep.read(path)


def test_validation_arrays_of_any_naming_are_read_and_others_refused(tmp_path: Path) -> None:
    """val_images are the validation split; an array without a place is not dropped in silence."""
    images, labels = np.zeros((6, 4, 4), np.uint8), np.arange(6)
    arrays = {
        f"{k}_{what}": a
        for k in ("train", "val")
        for what, a in (("images", images), ("labels", labels))
    }
    np.savez(tmp_path / "x.npz", **arrays)
    assert list(mnistprep.read(tmp_path / "x.npz").splits) == ["train", "valid"]
    np.savez(tmp_path / "y.npz", **arrays, writers=labels)
    with pytest.raises(FormatError, match="writers"):
        mnistprep.read(tmp_path / "y.npz")


def test_channels_of_grey_pictures_are_seen_through(tmp_path: Path) -> None:
    """(N, 1, H, W) and (N, H, W, 1) are the same grey pictures."""
    images = np.arange(2 * 30, dtype=np.uint8).reshape(2, 5, 6)
    for x in (images, images[:, None], images[..., None]):
        np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(2))
        assert np.array_equal(mnistprep.read(tmp_path / "x.npz").splits["train"].images, images)


@pytest.mark.parametrize("ending", [".npz", ".h5", ".mat"])
def test_files_with_other_class_names_are_not_put_together(tmp_path: Path, ending: str) -> None:
    """A label would mean another class in each of the files."""
    images = np.arange(3 * 25, dtype=np.uint8).reshape(3, 5, 5)
    for split, names in (("train", ("a", "b", "c")), ("test", ("c", "b", "a"))):
        part = Split(images, np.arange(3))
        target = tmp_path / f"{split}{ending}"
        mnistprep.write(Dataset("d", {split: part}, names), target, provenance=False)
    refused(tmp_path, "classes" if ending == ".npz" else "class names")


def test_archives_with_other_class_names_are_not_put_together(tmp_path: Path) -> None:
    """The same where an archive says its split by its name alone."""
    images = np.arange(3 * 25, dtype=np.uint8).reshape(3, 5, 5)
    for split, names in (("train", ["a", "b", "c"]), ("test", ["c", "b", "a"])):
        text = np.array(json.dumps(names))
        np.savez(tmp_path / f"{split}.npz", x=images, y=np.arange(3), classes=text)
    refused(tmp_path, "class names are not those of the other files")
