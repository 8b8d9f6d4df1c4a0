"""What all readers of a kind do alike: checksums of PNGs, channels first, ends of tars."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.errors import FormatError, UnsupportedError, UsageError
from mnistprep.formats import _samples

IMAGES = np.random.default_rng(3).integers(0, 256, (12, 7, 6), dtype=np.uint8)
LABELS = np.arange(12) % 3


def png(image: np.ndarray, *, wrong: bool = False) -> bytes:
    """A picture as Pillow writes it; `wrong`: with another checksum of its pixels."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    data = bytearray(file.getvalue())
    if wrong:
        data[data.index(b"IEND") - 5] ^= 1
    return bytes(data)


def tree(path: Path, pictures: list[bytes]) -> Path:
    """A folder for each class."""
    for k, (data, label) in enumerate(zip(pictures, LABELS, strict=True)):
        file = path / str(label) / f"{k:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def shard(path: Path, pictures: list[bytes]) -> Path:
    """A shard of WebDataset."""
    with tarfile.open(path.with_suffix(".tar"), "w") as archive:
        for k, (data, label) in enumerate(zip(pictures, LABELS, strict=True)):
            for field, content in (("png", data), ("cls", b"%d" % label)):
                member = tarfile.TarInfo(f"{k:02}.{field}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path.with_suffix(".tar")


def table(path: Path, pictures: list[bytes]) -> Path:
    """A Parquet file."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        arrow.table({"image": pictures, "label": LABELS}), path.with_suffix(".parquet")
    )
    return path.with_suffix(".parquet")


@pytest.mark.parametrize("make", [tree, shard, table])
def test_checksums_of_pictures_count(
    tmp_path: Path, make: Callable[[Path, list[bytes]], Path]
) -> None:
    """A PNG whose pixels have another checksum is damaged, though Pillow opens it."""
    pictures = [png(image) for image in IMAGES]
    split = mnistprep.read(make(tmp_path / "good", pictures)).splits["train"]
    assert sorted(map(bytes, split.images)) == sorted(map(bytes, IMAGES))
    pictures[7] = png(IMAGES[7], wrong=True)
    with pytest.raises(FormatError, match=r"a damaged picture \(wrong checksum"):
        mnistprep.read(make(tmp_path / "bad", pictures))
    pictures[7] = png(IMAGES[7])[:-12]
    with pytest.raises(FormatError, match="or truncated"):
        mnistprep.read(make(tmp_path / "cut", pictures))


def test_the_samples_of_a_shard_are_walked_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other people's PNGs are read in one go: their places are for messages alone."""
    path, walks, samples = shard(tmp_path / "x", [png(image) for image in IMAGES]), [], []
    samples.append(_samples.samples)

    def counted(*arguments: object) -> object:
        walks.append(1)
        return samples[0](*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_samples, "samples", counted)
    assert len(mnistprep.read(path, "webdataset")) == len(IMAGES)
    assert len(walks) < 6


def packed(path: Path, images: np.ndarray, form: str) -> Path:
    """Pictures and labels as somebody's arrays."""
    file = path / f"x.{form}"
    if form == "npz":
        np.savez(file, x_train=images, y_train=LABELS)
    elif form == "safetensors":
        numpy = pytest.importorskip("safetensors.numpy")
        arrays = {"x_train": np.ascontiguousarray(images), "y_train": LABELS}
        numpy.save_file(arrays, file)
    elif form == "h5":
        with pytest.importorskip("h5py").File(file, "w") as archive:
            archive["x_train"], archive["y_train"] = images, LABELS
    else:
        torch = pytest.importorskip("torch")
        torch.save({"x_train": torch.tensor(images), "y_train": torch.tensor(LABELS)}, file)
    return file


@pytest.mark.parametrize("form", ["npz", "safetensors", "pt", "h5"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first_come_last(tmp_path: Path, form: str, channels: int) -> None:
    """Arrays as PyTorch has them, (N, C, H, W), give (N, H, W) or (N, H, W, C)."""
    images = np.random.default_rng(4).integers(0, 256, (12, channels, 9, 8), dtype=np.uint8)
    found = mnistprep.read(packed(tmp_path, images, form)).splits["train"]
    expected = images[:, 0] if channels == 1 else np.moveaxis(images, 1, 3)
    assert np.array_equal(found.images, expected)
    assert found.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("form", ["npz", "safetensors", "pt"])
def test_low_pictures_of_many_channels_come_back(tmp_path: Path, form: str) -> None:
    """What would be taken for channels first is refused before it is written; the rest returns."""
    for shape in ((1, 4, 9), (3, 4, 6), (1, 9, 4), (2, 9, 9), (4, 9, 9)):
        images = np.random.default_rng(5).integers(0, 256, (12, *shape), dtype=np.uint8)
        dataset = Dataset("x", {"train": Split(images, LABELS)}, ("0", "1", "2"))
        path = mnistprep.write(dataset, tmp_path / f"{shape}.{form}")
        assert mnistprep.read(path).digests() == dataset.digests()
    images = np.zeros((12, 1, 9, 8), np.uint8)
    dataset = Dataset("x", {"train": Split(images, LABELS)}, ("0", "1", "2"))
    with pytest.raises(UnsupportedError, match="read as pictures of 1 channels"):
        mnistprep.write(dataset, tmp_path / f"y.{form}")
    assert not (tmp_path / f"y.{form}").exists()


def test_one_hot_labels_say_how_many_classes_there_are(tmp_path: Path) -> None:
    """A class without pictures is one where its column is there."""
    np.savez(tmp_path / "x.npz", x_train=IMAGES, y_train=np.eye(5, dtype=np.uint8)[LABELS])
    assert mnistprep.read(tmp_path / "x.npz").classes == tuple("01234")


@pytest.mark.parametrize("pack", ["w", "w:gz"])
@pytest.mark.parametrize("kind", ["csv", "tree"])
def test_a_damaged_header_is_no_end_of_a_tar(tmp_path: Path, pack: str, kind: str) -> None:
    """Members behind a damaged header are not lost in silence, and two tars are not one."""
    if kind == "csv":
        source = tmp_path / "set"
        dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("0", "1", "2"))
        mnistprep.write(dataset, source, "csv")
    else:
        source = tree(tmp_path / "set", [png(image) for image in IMAGES])
    plain, path = tmp_path / "plain.tar", tmp_path / "x.tar"
    with tarfile.open(plain, "w") as archive:
        archive.add(source, "set")
    with tarfile.open(plain) as archive:
        last = archive.getmembers()[-1].offset
    data = plain.read_bytes()
    for changed in (data[: last + 5] + b"\xff" + data[last + 6 :], data + data):
        if pack == "w:gz":
            import gzip

            changed = gzip.compress(changed)
        path.write_bytes(changed)
        with pytest.raises(FormatError, match=r"no header of a member|something follows the end"):
            mnistprep.read(path)


@pytest.mark.parametrize("form", ["parquet", "arrow", "webdataset", "tfrecord"])
def test_no_size_of_shards_is_one_shard(tmp_path: Path, form: str) -> None:
    """shard=0 puts a split into one file in every form with shards; less is refused."""
    dataset = Dataset("x", {"train": Split(IMAGES, LABELS)}, ("0", "1", "2"))
    path = mnistprep.write(dataset, tmp_path / "x", form, shard=0)
    assert mnistprep.read(path).digests() == dataset.digests()
    suffixes = (".parquet", ".arrow", ".tar", "-of-00001")
    assert sum(file.name.endswith(suffixes) for file in path.rglob("*")) == 1
    with pytest.raises(UsageError, match="shard must be 0"):
        mnistprep.write(dataset, tmp_path / "y", form, shard=-1)
