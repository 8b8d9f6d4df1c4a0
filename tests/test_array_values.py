"""Arrays whose numbers are another type than bytes, or which hold more than pictures and labels."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_formats import Notes

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError, MnistprepError

IMAGES = np.random.default_rng(6).integers(0, 256, (40, 8, 8), dtype=np.uint8)
IMAGES[0].flat = np.arange(64) * 4 + 3  # 3 to 255
LABELS = np.arange(40) % 4
FORMS = ["npz", "npy", "h5", "mat", "pt", "pkl", "parquet", "arrow", "safetensors"]


def saved(folder: Path, form: str, images: np.ndarray) -> Path:
    """The pictures with the labels, as a tool of each form's own saves them."""
    path = folder / f"x.{form}"
    if form == "npz":
        np.savez(path, images=images, labels=LABELS)
    elif form == "npy":
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", LABELS)
        return folder
    elif form == "h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["images"], file["labels"] = images, LABELS
    elif form == "mat":
        scipy = pytest.importorskip("scipy.io")
        scipy.savemat(path, {"train_images": images, "train_labels": LABELS})
    elif form == "pt":
        torch = pytest.importorskip("torch")
        native = images.astype(images.dtype.newbyteorder("="))
        torch.save((torch.tensor(native), torch.tensor(LABELS)), path)
    elif form == "pkl":
        rows = images.reshape(len(images), -1)
        path.write_bytes(pickle.dumps(((rows, LABELS), (rows, LABELS)), protocol=2))
    elif form == "safetensors":
        numpy = pytest.importorskip("safetensors.numpy")
        numpy.save_file({"train_images": images, "train_labels": LABELS}, path)
    else:
        arrow = pytest.importorskip("pyarrow")
        native = images.astype(images.dtype.newbyteorder("="))
        table = arrow.table({"image": list(map(list, native.reshape(len(native), -1)))})
        table = table.append_column("label", [LABELS])
        if form == "arrow":
            with arrow.ipc.new_file(path, table.schema) as file:
                file.write_table(table)
        else:
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
    return path


def right(path: Path) -> None:
    """The path has the pictures above."""
    found = mnistprep.read(path).splits["train"]
    assert np.array_equal(found.images, IMAGES)
    assert np.array_equal(found.labels, LABELS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["i1", "i2", "f4"])
def test_pictures_around_zero_are_refused(tmp_path: Path, form: str, kind: str) -> None:
    """byte - 128 is no byte in any type, a signed one of eight bits among them."""
    path = saved(tmp_path, form, (IMAGES.astype(int) - 128).astype(kind))
    with pytest.raises(FormatError, match="neither bytes nor bytes divided"):
        mnistprep.read(path)


@pytest.mark.parametrize("kind", ["i1", "<i2", ">i2", ">u4", "<u8", ">f4", "<f2"])
def test_bytes_in_any_type_of_number(tmp_path: Path, kind: str) -> None:
    """Whole numbers that a byte has are read, whatever holds them."""
    images = IMAGES % 128 if kind == "i1" else IMAGES
    path = saved(tmp_path, "npz", images.astype(kind))
    assert np.array_equal(mnistprep.read(path).splits["train"].images, images)


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, -1, 256, 0.5, 1e30])
@pytest.mark.parametrize("kind", ["<f2", ">f4", "f8"])
def test_one_value_that_is_no_pixel(tmp_path: Path, wrong: float, kind: str) -> None:
    """The picture with it is named; in no type does it wrap round to a byte."""
    for scale in (1, 255):
        with np.errstate(over="ignore"):
            images = (IMAGES / scale).astype(kind)
            images[17, 3, 3] = wrong / scale
        with pytest.raises(FormatError, match="picture 17 holds values that are neither"):
            mnistprep.read(saved(tmp_path, "npz", images))


def test_a_negative_zero_is_black(tmp_path: Path) -> None:
    """-0.0 equals 0, and is read as it."""
    values = IMAGES / 255
    values[values == 0] = -0.0
    right(saved(tmp_path, "npz", values))


SCALED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float64": lambda x: x / 255,
    "float32": lambda x: x.astype("f4") / np.float32(255),
    "float16": lambda x: (x / 255).astype("f2"),
    "float32 in float64": lambda x: (x / 255).astype("f4").astype("f8"),
    "float16 in float32": lambda x: (x / 255).astype("f2").astype("f4"),
    "float16 in float64": lambda x: (x / 255).astype("f2").astype(">f8"),
    "times 1/255": lambda x: x * (1 / 255),
    "times 1/255 in float32": lambda x: x.astype("f4") * np.float32(1 / 255),
    "times 1/255 in float32, in float64": lambda x: (x.astype("f4") * np.float32(1 / 255)).astype(
        "f8"
    ),
    "times 1/255 in float16": lambda x: x.astype("f2") * np.float16(1 / 255),
    "long double": lambda x: x.astype("g") / 255,
    "float64 in long double": lambda x: (x / 255).astype("g"),
    "256ths": lambda x: (x.astype("f2") / np.float16(256)).astype("f8"),
}


@pytest.mark.parametrize("how", SCALED)
def test_scaled_in_any_of_the_usual_ways(tmp_path: Path, how: str) -> None:
    """Division, or multiplication as Keras's Rescaling does it, in a type and put in a wider."""
    values = SCALED[how](IMAGES)
    kinds = ["npz"] if values.dtype.char == "g" else ["npz", "pkl", "pt"]
    for form in kinds:
        right(saved(tmp_path, form, values))


def test_scaled_pictures_that_became_lists(tmp_path: Path) -> None:
    """float32 pixels become doubles in a list of Python's, and doubles in Parquet."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = (IMAGES.reshape(40, 64).astype("f4") / 255).tolist()
    parquet.write_table(arrow.table({"image": values, "label": LABELS}), tmp_path / "x.parquet")
    right(tmp_path / "x.parquet")


def test_two_ways_of_scaling_are_not_mixed(tmp_path: Path) -> None:
    """Values that two ways of scaling would give, but no single one, are refused."""
    values = IMAGES / 255
    other = (IMAGES / 255).astype("f4").astype("f8")
    values[20:] = other[20:]
    with pytest.raises(FormatError, match="picture 20 holds values that are neither"):
        mnistprep.read(saved(tmp_path, "npz", values))


@pytest.mark.parametrize("kind", ["<f4", "<i4"])
def test_pixels_of_several_bytes_in_a_column(tmp_path: Path, kind: str) -> None:
    """The bytes of float32 or int32 pixels would be a square too, twice as wide."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = (IMAGES / 255 if kind == "<f4" else IMAGES).astype(kind)
    table = arrow.table({"image": [image.tobytes() for image in values], "label": LABELS})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="32 numbers of four bytes each"):
        mnistprep.read(tmp_path / "x.parquet")


# Names of classes


NAMES = ("zero", "óne", "", "three")


@pytest.mark.parametrize("called", ["classes", "class_names", "target_names"])
@pytest.mark.parametrize(
    "texts",
    [
        np.array(NAMES),
        np.array(NAMES).astype(">U9"),
        np.array([name.encode() for name in NAMES]),
        np.array('["zero", "óne", "", "three"]'),
    ],
    ids=["text", "big-endian", "bytes", "JSON"],
)
def test_npz_with_names_of_classes(tmp_path: Path, called: str, texts: np.ndarray) -> None:
    """Names of classes are read from an archive of all, and of one split."""
    for name in ("some.npz", "test.npz"):
        np.savez(tmp_path / name, images=IMAGES, labels=LABELS, **{called: texts})
        found = mnistprep.read(tmp_path / name)
        assert found.classes == NAMES
        assert np.array_equal(next(iter(found.splits.values())).images, IMAGES)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (np.arange(4), "holds int64 of shape (4,), expected the names of classes"),
        (np.eye(4)[LABELS], "holds float64 of shape (40, 4), expected the names of classes"),
        (np.array([NAMES, NAMES]), "of shape (2, 4), expected the names of classes"),
        (np.array([b"\xff\xfe"]), "expected the names of classes"),
        (np.array(["a", "b"]), "is outside 2 classes"),
        (np.array(["a", "b", "a", "c"]), "two classes have the same name"),
        (np.array(NAMES, object), "holds pickled objects"),
        (np.array("zero"), "must be a JSON list of names"),
    ],
)
def test_npz_with_other_things_called_classes(
    tmp_path: Path, texts: np.ndarray, message: str
) -> None:
    """What is called classes and is no list of names is never left out in silence."""
    for name in ("some.npz", "test.npz"):
        np.savez(tmp_path / name, images=IMAGES, labels=LABELS, classes=texts)
        with pytest.raises(MnistprepError) as caught:
            mnistprep.read(tmp_path / name)
        assert message in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


def test_npz_with_two_lists_of_classes(tmp_path: Path) -> None:
    """Which is meant is not guessed."""
    names = np.array(NAMES)
    np.savez(tmp_path / "x.npz", x=IMAGES, y=LABELS, classes=names, class_names=names)
    with pytest.raises(FormatError, match="class_names, classes are both names of classes"):
        mnistprep.read(tmp_path / "x.npz")


def test_npz_with_millions_of_empty_names(tmp_path: Path) -> None:
    """Names without letters take no bytes; their number is still limited."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<U0", "fortran_order": False, "shape": (1 << 40,)}
    )
    np.savez(tmp_path / "x.npz", x=IMAGES, y=LABELS)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("classes.npy", header.getvalue())
    with pytest.raises(FormatError):
        mnistprep.read(tmp_path / "x.npz")


def test_names_of_classes_in_a_file_of_their_own(tmp_path: Path) -> None:
    """classes.npy beside the arrays is read; what cannot be is told of."""
    saved(tmp_path, "npy", IMAGES)
    np.save(tmp_path / "classes.npy", np.array(NAMES))
    assert mnistprep.read(tmp_path).classes == NAMES
    assert mnistprep.read(tmp_path / "images.npy").classes == NAMES
    for other in (np.arange(4), np.array(NAMES, object)):  # as scikit-learn's encoder has them
        np.save(tmp_path / "classes.npy", other)
        notes = Notes()
        assert mnistprep.read(tmp_path, progress=notes).classes == ("0", "1", "2", "3")
        (note,) = [note for note in notes.notes if "names of classes are not read" in note]
        assert "classes.npy" in note


def test_names_of_classes_elsewhere(tmp_path: Path) -> None:
    """safetensors has them in its metadata; those in an attribute of HDF5 are told of."""
    save = pytest.importorskip("safetensors.numpy").save_file
    for called in ("classes", "class_names"):
        arrays = {"images": IMAGES, "labels": LABELS}
        save(arrays, tmp_path / "x.safetensors", metadata={called: '["a", "b", "c", "d"]'})
        assert mnistprep.read(tmp_path / "x.safetensors").classes == ("a", "b", "c", "d")
    path = saved(tmp_path, "h5", IMAGES)
    with pytest.importorskip("h5py").File(path, "a") as file:
        file.attrs["classes"] = list(NAMES)
    notes = Notes()
    assert mnistprep.read(path, progress=notes).classes == ("0", "1", "2", "3")
    assert notes.notes == ["x.h5: the attribute classes is ignored"]


# Shapes


@pytest.mark.parametrize("form", ["npz", "npy", "h5", "pt", "pkl", "safetensors"])
@pytest.mark.parametrize("shape", [(1, 64), (64, 1), (1, 1, 64)])
def test_pictures_of_one_row_are_told_of(tmp_path: Path, form: str, shape: tuple[int, ...]) -> None:
    """They may be square ones whose rows were joined; pictures of other sizes need no note."""
    if form == "pkl":
        values = IMAGES.reshape(40, *shape)
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(((values, LABELS), (values, LABELS))))
    else:
        path = saved(tmp_path, form, IMAGES.reshape(40, *shape))
    notes = Notes()
    found = mnistprep.read(path, progress=notes)
    assert np.array_equal(found.splits["train"].images.reshape(IMAGES.shape), IMAGES)
    assert any("if they are 8x8 ones as rows, store them as (N, 64)" in n for n in notes.notes)
    if form != "pkl":
        notes = Notes()
        mnistprep.read(saved(tmp_path, form, IMAGES), progress=notes)
        assert notes.notes == []
    assert formats.matches(path)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels_first_are_told_of(tmp_path: Path, channels: int) -> None:
    """What may be rows is not taken for channels, but said."""
    images = np.repeat(IMAGES[:, None], channels, axis=1)
    notes = Notes()
    found = mnistprep.read(saved(tmp_path, "npz", images), progress=notes)
    assert found.shape == (channels, 8, 8)
    assert any("if the channels are first, store them last" in note for note in notes.notes)
