"""Parquet and Arrow columns of every type that polars and pyarrow write, and of any name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from test_hub import IMAGES, LABELS, Notes, pictures, png, saved, table

import mnistprep
from mnistprep.errors import FormatError

NAMES = [f"c{k}" for k in LABELS]
PNGS = [png(image) for image in IMAGES]
FLAT = IMAGES.reshape(6, 16)
INDICES = pa.array(range(6), pa.int32())


def stream(folder: Path, content: pa.Table, batch: int = 4) -> Path:
    path = folder / "x.arrow"
    with ipc.new_stream(str(path), content.schema) as writer:
        writer.write_table(content, max_chunksize=batch)
    return path


def tensors(images: np.ndarray, shape: tuple[int, ...], **said: Any) -> pa.Array:
    storage = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), int(np.prod(shape)))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), shape, **said), storage)


LABELLED = {
    "categories": pl.Series(NAMES, dtype=pl.Categorical),
    "enum": pl.Series(NAMES, dtype=pl.Enum(["c3", "none", "c1", "c2", "c0"])),
    "text": pl.Series(NAMES),
}


@pytest.mark.parametrize("kind", LABELLED)
def test_names_as_polars_writes_them(tmp_path: Path, kind: str) -> None:
    """Categories and texts are names in IPC files, IPC streams and Parquet alike."""
    frame = pl.DataFrame({"image": PNGS, "label": LABELLED[kind]})
    frame.write_ipc(tmp_path / "x.arrow", compression="zstd")
    frame.write_ipc_stream(tmp_path / "y.arrow")
    frame.write_parquet(tmp_path / "z.parquet")
    for path in tmp_path.iterdir():
        found = mnistprep.read(path)
        assert found.classes == ("c0", "c1", "c2", "c3")
        assert found.splits["train"].labels.tolist() == LABELS
        assert np.array_equal(found.splits["train"].images, IMAGES)


VIEWS = pa.array(["c0", "c1", "c2", "c3"], pa.string_view())
STRANGE: dict[str, tuple[Callable[[], pa.Array], str]] = {
    "dictionary of views": (
        lambda: pa.DictionaryArray.from_arrays(pa.array(LABELS, pa.uint8()), VIEWS), "",
    ),
    "null in a dictionary": (
        lambda: pa.DictionaryArray.from_arrays(INDICES, pa.array([*"abcde", None])),
        "row 5: label is null",
    ),
    "runs": (lambda: pa.array(LABELS, pa.run_end_encoded(pa.int32(), pa.int64())), "run_end"),
    "decimals": (lambda: pa.array(LABELS).cast(pa.decimal128(21, 2)), "decimal"),
    "bytes": (lambda: pa.array([name.encode() for name in NAMES], pa.binary_view()), "binary_view"),
    "nulls": (lambda: pa.nulls(6), "row 0: label is null"),
    "list views": (lambda: pa.array([[k] for k in LABELS], pa.list_view(pa.int8())), "list_view"),
    "union": (
        lambda: pa.UnionArray.from_sparse(pa.array([0] * 6, pa.int8()), [pa.array(LABELS)]),
        "sparse_union",
    ),
    "times": (lambda: pa.array(LABELS).cast(pa.timestamp("us")), "timestamp"),
    "extension": (
        lambda: pa.ExtensionArray.from_storage(
            pa.opaque(pa.string(), "a", "b"), pa.array(NAMES)
        ), "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
def test_labels_of_types_that_are_rare(tmp_path: Path, kind: str) -> None:
    """They are read as what they mean, or refused with their type."""
    column, refusal = STRANGE[kind]
    path = stream(tmp_path, table(pa.array(PNGS), column()))
    if refusal:
        with pytest.raises(FormatError, match=refusal):
            mnistprep.read(path)
    else:
        assert mnistprep.read(path).splits["train"].labels.tolist() == LABELS


PICTURES: dict[str, tuple[Callable[[], pa.Array], str]] = {
    "dictionary of views": (
        lambda: pa.DictionaryArray.from_arrays(INDICES, pa.array(PNGS, pa.binary_view())), "",
    ),
    "dictionary of lists": (
        lambda: pa.DictionaryArray.from_arrays(INDICES, pa.array(FLAT.tolist())), "",
    ),
    "struct of a dictionary": (
        lambda: pa.StructArray.from_arrays([pa.array(PNGS).dictionary_encode()], ["bytes"]), "",
    ),
    "tensors": (lambda: tensors(IMAGES, (4, 4)), ""),
    "permuted tensors": (
        lambda: tensors(IMAGES.transpose(0, 2, 1), (4, 4), permutation=[1, 0]), "",
    ),
    "named tensors": (
        lambda: tensors(IMAGES.transpose(0, 2, 1), (4, 4), dim_names=["W", "H"]), "",
    ),
    "channels first": (
        lambda: tensors(IMAGES[:, None], (1, 4, 4), dim_names=["C", "H", "W"]), "",
    ),
    "runs": (
        lambda: pa.RunEndEncodedArray.from_arrays(pa.array(range(1, 7), pa.int32()), PNGS),
        "no column of pictures",
    ),
    "list views": (
        lambda: pa.array(FLAT.tolist(), pa.list_view(pa.uint8())), "no column of pictures",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_types_that_are_rare(tmp_path: Path, kind: str) -> None:
    """Dictionaries and tensors, their order included, are read; others are refused."""
    column, refusal = PICTURES[kind]
    path = stream(tmp_path, table(column()))
    if refusal:
        with pytest.raises(FormatError, match=refusal):
            mnistprep.read(path)
    else:
        assert np.array_equal(mnistprep.read(path).splits["train"].images, IMAGES)


def test_tensors_say_the_shape(tmp_path: Path) -> None:
    """16 pixels of a tensor of 2x8 are no square."""
    path = stream(tmp_path, table(tensors(IMAGES, (2, 8))))
    assert mnistprep.read(path).shape == (2, 8)


def test_a_permutation_that_pyarrow_turns_round_is_refused(tmp_path: Path) -> None:
    """from_numpy_ndarray writes the inverse of what to_numpy_ndarray reads, in three dimensions."""
    colour = np.repeat(IMAGES[:, None], 3, 1).transpose(0, 2, 3, 1)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(colour)
    with pytest.raises(
        FormatError, match=r"permutation, \[2, 0, 1\], that can be understood in two ways"
    ):
        mnistprep.read(stream(tmp_path, table(column)))


def test_a_dictionary_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """A picture and a name that stand in many rows are not copied for each of them."""
    rows = pa.array(np.zeros(100_000, np.int32))
    lists = pa.array(np.zeros((1, 1 << 20), np.uint8).tolist(), pa.list_(pa.uint8()))
    content = table(pa.DictionaryArray.from_arrays(rows, lists), rows)
    with pytest.raises(FormatError, match=r"stands for .* --max-bytes"):
        mnistprep.read(stream(tmp_path, content, len(rows)))
    name = pa.DictionaryArray.from_arrays(rows, pa.array(["a" * (1 << 20)]))
    found = mnistprep.read(stream(tmp_path, pa.table({"p0": rows, "label": name}), len(rows)))
    assert len(found.classes[0]) == 1 << 20


def test_rows_have_a_limit(tmp_path: Path) -> None:
    """A billion labels of a bit each are refused before they are made numbers."""
    count = 1 << 28
    bits = pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bytes(count // 8))])
    batch = pa.record_batch({"p0": bits, "label": bits})
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(str(tmp_path / "x.arrow"), batch.schema, options=options) as writer:
        writer.write_batch(batch)
    with pytest.raises(FormatError, match=r"more than 10,737,418 rows.* --max-bytes"):
        mnistprep.read(tmp_path / "x.arrow")


@pytest.mark.parametrize("name", ["label", "image"])
def test_an_extension_over_a_dictionary_in_parquet_is_refused(tmp_path: Path, name: str) -> None:
    """pyarrow ends the process when it reads one, so it is not let to."""
    columns = {"image": pa.array(PNGS), "label": pa.array(NAMES)}
    kind = pa.opaque(pa.dictionary(pa.int32(), columns[name].type), "a", "b")
    columns[name] = pa.ExtensionArray.from_storage(kind, columns[name].dictionary_encode())
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(FormatError, match=f"column {name} is an extension type over a dictionary"):
        mnistprep.read(tmp_path / "x.parquet")


def test_integers_of_128_bits_are_called_what_they_are(tmp_path: Path) -> None:
    """A file that is not damaged is not said to be."""
    pl.DataFrame({"image": PNGS, "label": pl.Series(LABELS, dtype=pl.Int128)}).write_ipc(
        tmp_path / "x.arrow"
    )
    with pytest.raises(FormatError, match=r"does not read .*more than 64 bits.* plain types"):
        mnistprep.read(tmp_path / "x.arrow")


def test_times_say_no_split(tmp_path: Path) -> None:
    """A column that is called as one of splits, of a type without words, is left out and said."""
    notes = Notes()
    content = table(pictures(), split=pa.array([2**62] * 6).cast(pa.timestamp("s")))
    found = mnistprep.read(stream(tmp_path, content), progress=notes)
    assert len(found.splits["train"]) == 6
    assert any("not read: split" in note for note in notes.notes)


# A column for each pixel


def wide(folder: Path, names: list[str], pixels: np.ndarray, **others: Any) -> Path:
    columns = dict(zip(names, pixels.reshape(len(pixels), -1).T, strict=True))
    content = pa.table({"label": LABELS, **columns, **others})
    return saved(folder, "x.parquet", content=content)


@pytest.mark.parametrize(
    "name",
    ["r{}_c{}", "{}.{}", "pixel_{}_{}", "{},{}", "('{}', '{}')", "x{1}y{0}", "{:02}x{:02}_px"],
)
@pytest.mark.parametrize("height", [8, 5])
def test_columns_named_by_row_and_column(tmp_path: Path, name: str, height: int) -> None:
    """All rows of a picture are read, in whatever order the columns are."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, height, 8), np.uint8)
    names = [name.format(r, c) for r in range(height) for c in range(8)]
    found = mnistprep.read(wide(tmp_path, names, pixels)).splits["train"].images
    assert np.array_equal(found, pixels)


def test_columns_named_by_row_column_and_channel(tmp_path: Path) -> None:
    """The third number is that of the channel."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
    names = [f"{r}_{c}_{k}" for r in range(4) for c in range(4) for k in range(3)]
    found = mnistprep.read(wide(tmp_path, names, pixels)).splits["train"].images
    assert np.array_equal(found, pixels)


def test_columns_numbered_with_floats(tmp_path: Path) -> None:
    """0.0 to 15.0, as pandas numbers columns that were floats, are a square."""
    found = mnistprep.read(wide(tmp_path, [f"{k}.0" for k in range(16)], IMAGES))
    assert np.array_equal(found.splits["train"].images, IMAGES)


def test_columns_of_which_rows_lack_are_refused(tmp_path: Path) -> None:
    """15 of 16 pixels are not folded into a smaller picture."""
    names = [f"r{r}_c{c}" for r in range(4) for c in range(4)][:-1]
    with pytest.raises(FormatError, match="some are missing"):
        mnistprep.read(wide(tmp_path, names, FLAT[:, :-1]))


def test_two_sets_of_pixel_columns_are_refused(tmp_path: Path) -> None:
    """The red channel is no grey picture, nor is the first hundred columns of another name."""
    names = [f"{letter}{k}" for letter in "rgb" for k in range(16)]
    path = wide(tmp_path, names, np.concatenate([FLAT] * 3, axis=1))
    words = "16 columns like 'r0' could be the pixels, and so could 16 like 'g0'"
    with pytest.raises(FormatError, match=re.escape(words)):
        mnistprep.read(path)


def test_an_index_beside_pixel_columns_is_left_out(tmp_path: Path) -> None:
    """`Unnamed: 0`, which pandas writes, and features of another type are no pixels."""
    features = {f"feature{k}": np.zeros(6) for k in range(3)}
    names = [f"pixel{k}" for k in range(16)]
    path = wide(tmp_path, names, IMAGES, **{"Unnamed: 0": np.arange(6, dtype=np.uint8)}, **features)
    assert np.array_equal(mnistprep.read(path).splits["train"].images, IMAGES)
