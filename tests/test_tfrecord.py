"""tfrecord: folders that TFDS and TensorFlow open, and records as other people write them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shards import example
from test_formats import ODD, Notes, numbered
from test_formats import split as some
from test_readers import same

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError, UnsupportedError
from mnistprep.formats import _example

# What mnistprep wrote


def test_the_tfrecord_package_reads_it(tmp_path: Path, odd: Dataset) -> None:
    """A reader in pure Python gives the features of every example, in order."""
    from tfrecord.reader import tfrecord_loader

    folder = mnistprep.write(odd, tmp_path / "out", "tfrecord", shard=20) / "odd" / "3.0.1"
    assert len(list(folder.glob("odd-train.tfrecord-*-of-00002"))) == 2
    for part, split in odd.splits.items():
        files = sorted(folder.glob(f"odd-{part}.tfrecord-*"))
        kinds = {"image": "byte", "label": "int"}
        rows = [row for file in files for row in tfrecord_loader(str(file), None, kinds)]
        pictures = [np.asarray(Image.open(io.BytesIO(row["image"]))) for row in rows]
        same(split, pictures, [row["label"][0] for row in rows])


def run(folder: Path, text: str) -> None:
    """Run a script with TensorFlow in a process of its own, which it may fill with warnings."""
    script = "import mnistprep, numpy as np, tensorflow as tf, tensorflow_datasets as tfds\n"
    done = subprocess.run(
        [sys.executable, "-c", script + textwrap.dedent(text)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_tfds_and_tensorflow_read_it(tmp_path: Path) -> None:
    """tfds.load, builder_from_directory and tf.data give every pixel, label and name, in order."""
    digits = mnistprep.load("synth:300,60")
    parts = {
        "train": Split(digits.splits["train"].images[:200], digits.splits["train"].labels[:200]),
        "valid": Split(digits.splits["train"].images[200:], digits.splits["train"].labels[200:]),
        "test": digits.splits["test"],
    }
    for name in ("mnist", "fashion-mnist", "my own"):
        dataset = Dataset(name, parts, tuple(f"class {k}" for k in range(10)))
        mnistprep.write(dataset, tmp_path / name, "tfrecord", shard=90)
    run(
        tmp_path,
        """
        for name in ("mnist", "fashion-mnist", "my own"):
            code = name.replace("-", "_").replace(" ", "_")
            dataset = mnistprep.read(name)
            builder = tfds.builder_from_directory(f"{name}/{code}/3.0.1")
            assert builder.info.features["label"].names == list(dataset.classes)
            for part, split in dataset.splits.items():
                called = "validation" if part == "valid" else part
                for found in (
                    tfds.load(code, data_dir=name, split=called, download=False),
                    builder.as_dataset(split=called),
                ):
                    rows = list(found.as_numpy_iterator())
                    assert np.array_equal([row["image"][..., 0] for row in rows], split.images)
                    assert [row["label"] for row in rows] == split.labels.tolist()
                files = tf.io.gfile.glob(f"{name}/{code}/3.0.1/{code}-{called}.tfrecord-*")
                form = {
                    "image": tf.io.FixedLenFeature([], tf.string),
                    "label": tf.io.FixedLenFeature([], tf.int64),
                }
                rows = [
                    tf.io.parse_single_example(data, form)
                    for data in tf.data.TFRecordDataset(sorted(files))
                ]
                pictures = [tf.io.decode_png(row["image"]).numpy()[..., 0] for row in rows]
                assert np.array_equal(pictures, split.images)
                assert [int(row["label"]) for row in rows] == split.labels.tolist()
        """,
    )


@pytest.mark.slow
def test_tfds_reads_every_odd_set(tmp_path: Path) -> None:
    """Any shape, colour and number of classes; only an empty split is nothing to TFDS."""
    for kind, dataset in ODD.items():
        if kind != "empty-split":
            mnistprep.write(dataset, tmp_path / kind, "tfrecord", shard=7)
    run(
        tmp_path,
        """
        import pathlib
        for folder in pathlib.Path(".").iterdir():
            dataset = mnistprep.read(folder)
            builder = tfds.builder_from_directory(str(next(folder.glob("*/*"))))
            assert builder.info.features["label"].num_classes == len(dataset.classes)
            for part, split in dataset.splits.items():
                called = "validation" if part == "valid" else part
                rows = builder.as_dataset(split=called, as_supervised=True)
                rows = list(rows.as_numpy_iterator())
                pictures = np.array([image for image, _ in rows]).reshape(split.images.shape)
                assert np.array_equal(pictures, split.images)
                assert [label for _, label in rows] == split.labels.tolist()
        """,
    )


def test_the_bytes_are_protobufs_own(tmp_path: Path) -> None:
    """Examples are byte for byte those of another encoder, in sorted order, for any label."""
    for label in (0, 1, 127, 128, 300, 2**31 - 1):
        expected = example({"image": b"x" * 200, "label": label})
        found = _example.features(_example.example(b"x" * 200, label))
        assert found == _example.features(expected)
        assert (found["image"].values(), found["label"].integers()) == ([b"x" * 200], [label])
        assert len(_example.example(b"x" * 200, label)) == len(expected)


@pytest.mark.parametrize("size", [0, 1, 90, 91, 92, 93, 127, 128, 300, 20_000])
def test_an_example_of_its_own_is_known_at_once(size: int) -> None:
    """The short way gives what was put in, for labels of one byte, and else nothing."""
    picture = bytes(k % 251 for k in range(size))
    for label in (0, 9, 127):
        assert _example.plain(_example.example(picture, label)) == (picture, label)
    assert _example.plain(_example.example(picture, 128)) is None
    other = _example.example(picture, 1).replace(b"image", b"imago", 1)
    assert _example.plain(other) is None


def test_the_short_way_never_differs_from_the_long_one() -> None:
    """With any bit of an example changed, what the short way still takes is what it holds."""
    data = _example.example(b"a picture", 5)
    assert all(_example.plain(data[:k]) is None for k in range(len(data)))
    for k in range(8 * len(data)):
        changed = bytearray(data)
        changed[k // 8] ^= 1 << k % 8
        if (found := _example.plain(bytes(changed))) is not None:
            features = _example.features(bytes(changed))
            assert found == (features["image"].values()[0], features["label"].integers()[0])


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\r\nb", "\u2028", "a\x0bb", " a", ""])
def test_names_that_a_line_cannot_hold(tmp_path: Path, name: str) -> None:
    """Class names with ends of lines in them come back."""
    dataset = Dataset("x", {"train": some(3, (4, 4), classes=1)}, (name,))
    path = mnistprep.write(dataset, tmp_path / "x", "tfrecord")
    assert mnistprep.read(path).classes == (name,)


def test_names_that_tfds_cannot_keep_are_said(tmp_path: Path) -> None:
    """Names with line ends are in mnistprep.json alone, with a note; a folder below has numbers."""
    notes = Notes()
    path = mnistprep.write(ODD["odd-names"], tmp_path / "x", "tfrecord", progress=notes)
    assert any("TFDS has no place for class names" in note for note in notes.notes)
    assert mnistprep.read(path).classes == ODD["odd-names"].classes
    assert mnistprep.read(path / "x" / "3.0.1").classes == ("0", "1", "2")


def test_channels_that_png_lacks_are_refused(tmp_path: Path) -> None:
    """Two and four channels are refused before anything is written."""
    for channels in (2, 4):
        dataset = Dataset("x", {"train": some(3, (4, 4, channels))}, numbered(3))
        with pytest.raises(UnsupportedError, match=f"three channels, not {channels}"):
            mnistprep.write(dataset, tmp_path / "x", "tfrecord")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_reads_at_every_level(tmp_path: Path, odd: Dataset, colour: Dataset) -> None:
    """data_dir, name and version are the same dataset, names included; two are told apart."""
    path = mnistprep.write(odd, tmp_path / "out", "tfrecord")
    for folder in (path, path / "odd", path / "odd" / "3.0.1", tmp_path):
        found = mnistprep.read(folder)
        assert found.digests() == odd.digests()
        assert found.classes == odd.classes
    (path / "more" / "config").mkdir(parents=True)
    shutil.move(path / "odd" / "3.0.1", path / "more" / "config" / "1.2.3")
    assert mnistprep.read(path / "more").digests() == odd.digests()
    shutil.copytree(path / "more" / "config" / "1.2.3", path / "more" / "config" / "1.2.4")
    with pytest.raises(FormatError, match=r"several datasets: more/config/1.2.[34], more/config"):
        mnistprep.read(path)
