"""HDF5: its real readers, the layouts of the wild, and links that lead out."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_formats import ODD, Notes, split, tree
from test_readers import COUNTS, LABELS, PIXELS

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, UnsupportedError, UsageError
from mnistprep.formats import hdf5

GOLDEN = Path(__file__).with_name("golden") / "hdf5"
LAYOUTS = ("keras", "fuel", "caffe", "hf")


def write(dataset: Dataset, folder: Path, layout: str, **options: object) -> Path:
    """Write a layout to the kind of path it needs."""
    path = folder / ("out.hdf5" if layout in ("keras", "fuel") else "out")
    return mnistprep.write(dataset, path, "hdf5", layout=layout, **options)


def check(path: Path, dataset: Dataset, notes: int = 0) -> Dataset:
    """What is read is that dataset, in order; returns it."""
    told = Notes()
    found = mnistprep.read(path, progress=told)
    assert found.digests() == dataset.digests()
    assert list(found.splits) == list(dataset.splits)
    assert len(told.notes) == notes, told.notes
    return found


# What mnistprep wrote


@pytest.mark.parametrize(
    ("layout", "compression"),
    [
        *((layout, "none") for layout in LAYOUTS),
        *(pytest.param(layout, "gzip", marks=pytest.mark.slow) for layout in LAYOUTS),
    ],
)
def test_every_layout_keeps_everything(tmp_path: Path, layout: str, compression: str) -> None:
    """Pictures, labels, splits and class names come back from each layout, for every odd set."""
    odd = {**ODD, "flat": Dataset("x", {"train": split(5, (1, 4, 7))}, ("0", "1", "2"))}
    if compression == "none":
        odd = {name: odd[name] for name in ("odd", "colour", "empty-split")}
    for name, dataset in odd.items():
        (tmp_path / name).mkdir()
        path = write(dataset, tmp_path / name, layout, compression=compression)
        assert formats.matches(path) == ["hdf5"]
        found = check(path, dataset)
        assert found.classes == dataset.classes
        assert found.shape == dataset.shape
        for part, examples in dataset.splits.items():
            places = hdf5.places(path, part, range(len(examples)))
            assert len(set(places)) == len(examples)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_input_same_bytes(
    tmp_path: Path, layout: str, odd: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No layout holds a time."""
    (tmp_path / "again").mkdir()
    first = tree(write(odd, tmp_path, layout))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e7)
    assert tree(write(odd, tmp_path / "again", layout)) == first


def test_h5py_reads_keras_keys(tmp_path: Path, odd: Dataset) -> None:
    """h5py finds uint8 arrays under the names of Keras, and the class names as JSON."""
    with h5py.File(write(odd, tmp_path, "keras")) as file:
        assert sorted(file) == ["classes", "x_test", "x_train", "y_test", "y_train"]
        for name, examples in odd.splits.items():
            assert file[f"x_{name}"].dtype == file[f"y_{name}"].dtype == np.uint8
            assert np.array_equal(file[f"x_{name}"], examples.images)
            assert np.array_equal(file[f"y_{name}"], examples.labels)
        assert "class/0 é" in file["classes"].asstr()[()]


def test_a_fuel_file_is_as_fuel_writes_it(tmp_path: Path) -> None:
    """Features, targets and the table of splits have the types, axes and rows of Fuel's own."""
    dataset = ODD["with-valid"]
    with (
        h5py.File(write(dataset, tmp_path, "fuel")) as file,
        h5py.File(GOLDEN / "fuel.hdf5") as fuel,
    ):
        images = np.concatenate([part.images for part in dataset.splits.values()])
        assert np.array_equal(file["features"], images[:, None])
        assert file["targets"].shape == (18, 1)
        for name in ("features", "targets"):
            axes = [dim.label for dim in fuel[name].dims]
            assert [dim.label for dim in file[name].dims] == axes
        rows, theirs = file.attrs["split"], fuel.attrs["split"]
        assert rows.dtype.names == theirs.dtype.names
        for key in ("split", "source", "available", "comment"):
            assert sorted(rows[key]) == sorted(theirs[key])
        assert {(bytes(r["split"]), r["start"], r["stop"]) for r in rows} == {
            (b"train", 0, 9), (b"valid", 9, 13), (b"test", 13, 18),
        }  # fmt: skip
        assert not any(rows["indices"])


def test_caffe_layer_finds_its_files(tmp_path: Path, odd: Dataset) -> None:
    """The list names files with float data (N, 1, H, W), divided by 256, and float labels."""
    folder = write(odd, tmp_path, "caffe")
    for name, examples in odd.splits.items():
        (line,) = (folder / f"{name}.txt").read_text().splitlines()
        with h5py.File(folder / line) as file:
            assert file["data"].dtype == file["label"].dtype == np.float32
            assert np.array_equal(file["data"], examples.images[:, None] / np.float32(256))
            assert np.array_equal(file["label"], examples.labels)


@pytest.mark.parametrize("kind", ["with-valid", "colour"])
def test_hugging_face_reads_hf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """load_dataset("hdf5") has each file as a split, every pixel and label in order."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    folder = write(ODD[kind], tmp_path, "hf")
    found = datasets.load_dataset("hdf5", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    names = {"validation": "valid"}
    assert {names.get(name, name) for name in found} == set(ODD[kind].splits)
    for name, table in found.items():
        examples = ODD[kind].splits[names.get(name, name)]
        columns = table.with_format("numpy")[:]
        assert np.array_equal(columns["image"], examples.images)
        assert np.array_equal(columns["label"], examples.labels)


def test_a_split_without_examples_is_said_where_its_reader_fails(
    tmp_path: Path, odd: Dataset
) -> None:
    """Hugging Face fails on a file without rows: the note says so, other layouts have none."""
    empty = Dataset("e", {**odd.splits, "test": odd.splits["test"].take(np.arange(0))}, odd.classes)
    for layout in ("hf", "caffe"):
        told = Notes()
        path = mnistprep.write(empty, tmp_path / layout, "hdf5", layout=layout, progress=told)
        assert any("load_dataset fails" in line for line in told.notes) is (layout == "hf")
        assert mnistprep.read(path).digests() == empty.digests()


def test_what_cannot_be_written_is_said_before(
    tmp_path: Path, odd: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is not called as a file is, and float32 holds only so many classes."""
    with pytest.raises(UsageError, match="layout=hf is a folder of files"):
        mnistprep.write(odd, tmp_path / "x.h5", layout="hf")
    with pytest.raises(UsageError, match="expected layout=keras"):
        mnistprep.write(odd, tmp_path / "x.h5", layout="other")
    monkeypatch.setattr(hdf5, "_FLOAT_LABELS", 10)
    with pytest.raises(UnsupportedError, match="float32 end at 10 classes"):
        mnistprep.write(odd, tmp_path / "x", "hdf5", layout="caffe")
    assert list(tmp_path.iterdir()) == []


# What others wrote


@pytest.mark.parametrize("name", ["keras.h5", "groups.h5", "fuel.hdf5", "caffe"])
def test_golden_files_have_the_known_numbers(tmp_path: Path, name: str) -> None:
    """Files that h5py made to other people's layouts have the counts and sums of the rule."""
    path = GOLDEN / name
    if name == "caffe":
        path = tmp_path
        for file in GOLDEN.glob("caffe_*.h5"):
            shutil.copy(file, path)
    found = mnistprep.read(path)
    assert {part: len(examples) for part, examples in found.splits.items()} == COUNTS
    for part, examples in found.splits.items():
        assert examples.images.shape[1:] == (4, 4)
        assert examples.images.sum() == PIXELS[part]
        assert examples.labels.sum() == LABELS[part]


TRAIN, TEST = split(30, (6, 6), 10), split(12, (6, 6), 10, seed=2)
WHOLE = Dataset("x", {"train": TRAIN, "test": TEST}, tuple("0123456789"))
HOT = np.eye(10, dtype=np.uint8)
WILD = {
    "train_images": lambda x, y, s: {f"{s}_images": x, f"{s}_labels": y},
    "Coursera": lambda x, y, s: {f"{s}_set_x": x, f"{s}_set_y": y},
    "one-hot": lambda x, y, s: {f"X_{s}": x, f"Y_{s}": HOT[y]},
    "USPS": lambda x, y, s: {f"{s}/data": x.reshape(-1, 36) / 255, f"{s}/target": y},
    "groups": lambda x, y, s: {f"{s}/images": x[:, None], f"{s}/labels": y[:, None]},
    "trainX": lambda x, y, s: {f"{s}X": x.astype("f4") / 256, f"{s}Y": y.astype(float)},
    "big-endian": lambda x, y, s: {f"{s}-x": x.astype(">i4"), f"{s}-y": y.astype(">i2")},
    "double": lambda x, y, s: {f"x_{s}": x.astype(float), f"y_{s}": y},
}


@pytest.mark.parametrize("kind", WILD)
def test_arrays_are_found_by_their_names(tmp_path: Path, kind: str) -> None:
    """Whatever the names, scale, type and shape are, the same pictures and labels come out."""
    with h5py.File(tmp_path / "digits.h5", "w") as file:
        for name, examples in WHOLE.splits.items():
            for key, values in WILD[kind](examples.images, examples.labels, name).items():
                file[key] = values
        file["description"] = "digits of somebody"
    check(tmp_path / "digits.h5", WHOLE, notes=1)


@pytest.mark.parametrize("keys", [("images", "labels"), ("X", "y"), ("data", "label")])
def test_a_file_without_split_names_is_the_split_it_is_called(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    """Files called after splits are those splits, alone or in a folder, else `train`."""
    for name, examples in WHOLE.splits.items():
        with h5py.File(tmp_path / f"mnist_{name}.h5", "w") as file:
            file[keys[0]], file[keys[1]] = examples.images, examples.labels
    check(tmp_path, WHOLE)
    check(tmp_path / "mnist_test.h5", Dataset("x", {"test": TEST}, WHOLE.classes))
    (tmp_path / "mnist_train.h5").rename(tmp_path / "digits.h5")
    check(tmp_path / "digits.h5", Dataset("x", {"train": TRAIN}, WHOLE.classes))


def test_several_files_of_a_split_are_one_and_said(tmp_path: Path) -> None:
    """Parts come in the order of their numbers, and nothing is merged without a word."""
    for number, rows in ((2, slice(0, 10)), (10, slice(10, 30))):
        with h5py.File(tmp_path / f"train_{number}.h5", "w") as file:
            file["images"], file["labels"] = TRAIN.images[rows], TRAIN.labels[rows]
    check(tmp_path, Dataset("x", {"train": TRAIN}, WHOLE.classes), notes=1)
    places = hdf5.places(tmp_path, "train", [9, 10])
    assert [place.split(", ")[1] for place in places] == ["images[9]", "images[0]"]


def test_channels_first_or_last_come_as_last(tmp_path: Path) -> None:
    """Colour is found in either place, or refused where the shape does not tell."""
    images = np.random.default_rng(1).integers(0, 256, (9, 8, 7, 3), dtype=np.uint8)
    dataset = Dataset("x", {"train": Split(images, TRAIN.labels[:9])}, WHOLE.classes)
    for key, values in {
        "x": images, "images": images.transpose(0, 3, 1, 2), "data": images.transpose(0, 3, 1, 2)
    }.items():  # fmt: skip
        with h5py.File(tmp_path / f"{key}.h5", "w") as file:
            file[key], file["labels"] = values, TRAIN.labels[:9]
        assert np.array_equal(mnistprep.read(tmp_path / f"{key}.h5").splits["train"].images, images)
    assert dataset.shape == (8, 7, 3)
    with h5py.File(tmp_path / "unclear.h5", "w") as file:
        file["x"], file["y"] = np.zeros((9, 8, 7, 6), np.uint8), TRAIN.labels[:9]
    with pytest.raises(FormatError, match="does not show which axis is the channel"):
        mnistprep.read(tmp_path / "unclear.h5")


def test_class_names_of_others_are_kept(tmp_path: Path) -> None:
    """A list of texts, of any kind of text, names the classes; one-hot columns count them."""
    for key, names in {
        "classes": [f"c{k}" for k in range(12)],
        "list_classes": np.array([f"c{k}" for k in range(12)], "S"),
    }.items():
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["x_train"], file["y_train"], file[key] = TRAIN.images, TRAIN.labels, names
        assert mnistprep.read(tmp_path / "x.h5").classes == tuple(f"c{k}" for k in range(12))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x_train"], file["y_train"] = TRAIN.images, np.eye(15)[TRAIN.labels]
    assert len(mnistprep.read(tmp_path / "x.h5").classes) == 15


def test_an_enumerated_type_of_labels_names_the_classes(tmp_path: Path) -> None:
    """Its names are those of the numbers, in their order; those of other numbers are told of."""
    path = tmp_path / "x.h5"
    notes = Notes()

    def given(classes: list[str], values: dict[str, int], top: int = 10) -> tuple[str, ...]:
        with h5py.File(path, "w") as file:
            kind = h5py.enum_dtype(values, basetype="u1")
            file["x_train"] = TRAIN.images
            file.create_dataset("y_train", data=TRAIN.labels % top, dtype=kind)
            if classes:
                file["classes"] = classes
        found = mnistprep.read(path, progress=notes)
        assert np.array_equal(found.splits["train"].labels, TRAIN.labels % top)
        return found.classes

    names = {f"c{k}": k for k in reversed(range(12))}
    assert given([], names) == tuple(f"c{k}" for k in range(12))
    assert given([f"c{k}" for k in range(12)], names) == tuple(f"c{k}" for k in range(12))
    with pytest.raises(FormatError, match="names its classes in 2 ways"):
        given(["a", "b"], names)
    assert notes.notes == []
    assert given([], {"one": 1, "two": 2, "three": 3}, top=4) == ("0", "1", "2", "3")
    assert notes.notes == ["x.h5: what y_train calls its numbers is ignored"]


def test_names_of_attributes_in_any_letters_do_no_harm(tmp_path: Path) -> None:
    """Names that are no UTF-8 are as good as others; an array of such a name cannot be opened."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x_train"], file["y_train"] = TRAIN.images, TRAIN.labels
        for place in (file, file["x_train"], file["y_train"]):
            place.attrs[b"caf\xe9"] = place.attrs["tea"] = 1
    assert np.array_equal(mnistprep.read(path).splits["train"].images, TRAIN.images)
    with h5py.File(path, "r+") as file:
        file[b"cl\xe9s"] = TRAIN.labels
    refused(path, "clés: a name that is not UTF-8")


def refused(path: Path, message: str) -> None:
    """The file is refused with that reason, and its path."""
    with pytest.raises(FormatError, match=message) as caught:
        mnistprep.read(path)
    assert str(path) in str(caught.value)


def test_what_is_no_dataset_is_refused_with_the_reason(tmp_path: Path) -> None:
    """No labels, unknown arrays, changed values, several answers: each is said."""
    path = tmp_path / "x.h5"
    x, y = TRAIN.images, TRAIN.labels
    for content, message in (
        ({"train": x, "test": x, "neighbors": y, "distances": y}, "it has no labels"),
        ({"x_train": x}, "x_train and y_train go together"),
        ({"x_train": x, "y_train": y, "weights": y}, "holds weights too, which no dataset has"),
        ({"x_train": x, "train_images": x, "y_train": y}, "are both the images of train"),
        ({"x_train": x / 254, "y_train": y}, "cannot be had back exactly"),
        ({"x_train": x, "y_train": y[:-1]}, "expected 30 labels"),
        ({"x_train": x, "y_train": y + 0.5}, "expected one integer an example"),
        ({"x_train": x, "y_train": HOT[y] + HOT[y]}, "a single 1"),
        ({"x_train": x.reshape(-1, 12, 3)[:, :, 0], "y_train": y}, "square ones"),
        ({"x": x, "y": y, "x_test": x, "y_test": y}, "of no split beside"),
        ({"x_train": x, "y_train": y - 1}, "labels must be 0 or more"),
        ({"model_weights/dense/kernel": y}, "no arrays named train_images"),
        ({}, "no arrays named train_images"),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            for key, values in content.items():
                file[key] = values
        refused(path, message)


def test_nothing_is_followed_out_of_a_file(tmp_path: Path) -> None:
    """External and soft links, virtual arrays and outside storage are refused, never opened."""
    secret, path = tmp_path / "secret.bin", tmp_path / "x.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = TRAIN.images
    x = TRAIN.images
    for kind, message in (
        ("external", "an external link"), ("soft", "a soft link"), ("virtual", "a virtual array"),
        ("storage", "in another file"), ("object", "holds object values"), ("loop", "groups in"),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            file["y_train"] = TRAIN.labels
            if kind == "external":
                file["x_train"] = h5py.ExternalLink("secret.bin", "x")
            elif kind == "soft":
                file["x_train"] = h5py.SoftLink("/y_train")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(x.shape, x.dtype)
                layout[:] = h5py.VirtualSource(str(secret), "x", x.shape)
                file.create_virtual_dataset("x_train", layout)
            elif kind == "storage":
                file.create_dataset("x_train", x.shape, "u1", external=[(str(secret), 0, x.size)])
            elif kind == "object":
                file.create_dataset("x_train", (30,), h5py.vlen_dtype(np.uint8))
            else:
                file["x_train"] = x
                group = file.create_group("again")
                group["again"] = group
        refused(path, message)


def test_what_was_never_written_is_not_read_as_zeros(tmp_path: Path) -> None:
    """An array of a huge size without data, or with missing chunks, is refused at once."""
    for options in ({}, {"chunks": (1, 28, 28)}, {"chunks": (1, 28, 28), "compression": "gzip"}):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            images = file.create_dataset("x_train", (1 << 30, 28, 28), "u1", **options)
            if options:
                images[5] = 1
            file["y_train"] = TRAIN.labels
        refused(tmp_path / "x.h5", "never fully written|promises")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        images = file.create_dataset(
            "x_train", (30, 6, 6), "u1", chunks=(1, 6, 6), compression="gzip"
        )
        images[:20] = TRAIN.images[:20]
        file["y_train"] = TRAIN.labels
    refused(tmp_path / "x.h5", "20 of 30 chunks were written")


def test_rows_of_no_split_are_not_dropped(tmp_path: Path) -> None:
    """A table of splits that leaves rows out, overlaps or lists rows is refused."""
    for spans, message in (
        ({"train": (0, 6), "valid": (6, 8), "test": (9, 11)}, "leave rows out at row 8"),
        ({"train": (0, 6), "valid": (5, 8), "test": (8, 11)}, "overlap"),
        ({"train": (0, 6), "valid": (6, 8), "test": (8, 10)}, "end at row 10 of 11"),
        ({"train": (0, 6), "valid": (6, 8), "what": (8, 11)}, "neither train, valid nor test"),
    ):
        path = shutil.copy(GOLDEN / "fuel.hdf5", tmp_path / "fuel.hdf5")
        with h5py.File(path, "a") as file:
            rows = file.attrs["split"]
            rows = np.concatenate([rows[:2]] * 3)
            for k, (name, span) in enumerate(spans.items()):
                rows["source"][2 * k : 2 * k + 2] = b"features", b"targets"
                rows["split"][2 * k : 2 * k + 2] = name.encode()
                rows["start"][2 * k : 2 * k + 2], rows["stop"][2 * k : 2 * k + 2] = span
            file.attrs["split"] = rows
        refused(Path(path), message)


def test_dimensions_of_netcdf_are_no_data(tmp_path: Path) -> None:
    """A dimension that only has a name and a length is an array without data there."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x_train"], file["y_train"] = TRAIN.images, TRAIN.labels
        for axis, length in enumerate(TRAIN.images.shape):
            scale = file.create_dataset(f"d{axis}", (length,), ">f4")
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{length:10}")
            file["x_train"].dims[axis].attach_scale(scale)
    assert np.array_equal(mnistprep.read(path).splits["train"].images, TRAIN.images)


def test_matlab_files_are_not_claimed(tmp_path: Path) -> None:
    """A file with MATLAB's header is left to `mat`; one with another header is HDF5."""
    for header, claimed in ((b"MATLAB 7.3 MAT-file, Platform", False), (b"something else", True)):
        path = tmp_path / "x.h5"
        with h5py.File(path, "w", userblock_size=512) as file:
            file["x_train"], file["y_train"] = TRAIN.images, TRAIN.labels
        with path.open("r+b") as raw:
            raw.write(header)
        assert hdf5.sniff(path) == claimed


def test_a_folder_with_other_datasets_is_not_claimed(tmp_path: Path) -> None:
    """HDF5 files that no split names, or a single one, leave the folder to what else is there."""
    write(ODD["odd"], tmp_path, "keras")
    assert not hdf5.sniff(tmp_path)
    assert mnistprep.read(tmp_path).digests() == ODD["odd"].digests()
    shutil.copy(tmp_path / "out.hdf5", tmp_path / "copy.hdf5")
    with pytest.raises(DetectionError, match="several datasets"):
        mnistprep.read(tmp_path)
    assert not hdf5.sniff(tmp_path / "nothing")
