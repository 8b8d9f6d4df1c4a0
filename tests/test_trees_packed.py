"""Trees in archives: nothing leads out, nothing is lost, damage is found; and golden trees."""

from __future__ import annotations

import io
import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset
from PIL import Image
from trees import IMAGES, LABELS, NAMES, by_pixels, pictures, save, tarred, zipped

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, MnistprepError


def hostile_tar(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(data))


def test_archives_that_lead_out_are_refused(tmp_path: Path) -> None:
    """Links, absolute names and names with .. are refused, never followed."""
    good = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(good, "png")
    for name in ("../a/0/x.png", "/0/x.png"):
        member = tarfile.TarInfo(name)
        member.size = len(good.getvalue())
        hostile_tar(tmp_path / "a.tar", member, good.getvalue())
        with pytest.raises(FormatError, match="leads out"):
            mnistprep.read(tmp_path / "a.tar", "imagefolder")
    link = tarfile.TarInfo("0/x.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hostile_tar(tmp_path / "a.tar", link)
    with pytest.raises(FormatError, match="link"):
        mnistprep.read(tmp_path / "a.tar", "imagefolder")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("0/x.png", good.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("0/x.png", good.getvalue())
    with pytest.raises(FormatError, match="two members"):
        mnistprep.read(tmp_path / "a.zip")


@pytest.mark.parametrize("pack", ["zip", "tar", "tar.gz"])
def test_damage_in_an_archive_gives_the_right_data_or_an_error(tmp_path: Path, pack: str) -> None:
    """Cut anywhere or with a byte changed anywhere, an archive never gives other pictures."""
    data = Dataset("x", {"train": Split(IMAGES[:8], np.array(LABELS[:8]))}, tuple("0123456789"))
    path = mnistprep.write(data, tmp_path / f"x.{pack}", "imagefolder", provenance=False)
    whole, chance, changed = path.read_bytes(), random.Random(5), 0
    for k in range(60):
        content = bytearray(whole)
        if k % 2:
            del content[chance.randrange(len(whole)) :]
        else:
            content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        try:
            found = mnistprep.read(path, "imagefolder")
        except MnistprepError:
            changed += 1
            continue
        # A tar has no checksum of its contents: class names may change, pictures may not unsaid.
        assert found.splits["train"].images.tobytes() == data.splits["train"].images.tobytes()
        assert found.splits["train"].labels.tolist() == LABELS[:8]
    assert changed > 20


def test_a_zip_that_lists_fewer_members_is_found_out(tmp_path: Path) -> None:
    """A changed length in the directory of a zip hides members; the number of them tells."""
    path = zipped(pictures(tmp_path / "x", NAMES["class folders"]), tmp_path / "y.zip")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))
    data[at + 32] = 90  # the length of a comment
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"holds \d+ members of \d+; it is damaged"):
        mnistprep.read(path, "imagefolder")


def test_a_tar_cut_between_members_is_found_out(tmp_path: Path) -> None:
    """Without the mark of its end a tar was cut, though all that is there is whole."""
    path = tarred(pictures(tmp_path / "x", NAMES["class folders"]), tmp_path / "y.tar")
    with tarfile.open(path) as archive:
        cut = archive.getmembers()[-1].offset
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError, match="truncated or damaged"):
        mnistprep.read(path)


def test_archives_of_other_things_are_left_to_others(tmp_path: Path) -> None:
    """Samples of WebDataset, arrays and tables with a picture beside them are no trees."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k:03}.png")
    for k, label in enumerate(LABELS):
        (top / f"{k:03}.cls").write_text(str(label))
    module = formats.get("imagefolder")
    assert not module.sniff(tarred(top, tmp_path / "samples.tar"))
    arrays = mnistprep.write(odd_dataset(), tmp_path / "set.npz", provenance=False)
    assert not module.sniff(arrays)
    (tmp_path / "mixed").mkdir()
    save(tmp_path / "mixed" / "preview.png", IMAGES[0])
    shutil.copy(arrays, tmp_path / "mixed" / "set.npz")
    assert not module.sniff(tmp_path / "mixed")
    path = zipped(tmp_path / "mixed", tmp_path / "mixed.zip")
    assert not module.sniff(path)
    assert mnistprep.read(path).digests() == odd_dataset().digests()
    with pytest.raises(DetectionError):
        save(tmp_path / "one" / "preview.png", IMAGES[0])
        mnistprep.read(tmp_path / "one")


# Files that other tools made


def golden_split(first: int, count: int) -> Split:
    """The numbers that tests/golden/make.py states."""
    pixels = (37 * (16 * first + np.arange(16 * count)) + 11) % 256
    labels = (7 * (first + np.arange(count))) % 10
    return Split(pixels.astype(np.uint8).reshape(count, 4, 4), labels)


@pytest.mark.parametrize("name", ["mnist_png.tar.gz", "heap"])
def test_golden_trees(name: str) -> None:
    """A tar by GNU tar with a wrapping folder, and TIFFs with metadata.parquet by pandas."""
    if name == "heap":
        pytest.importorskip("pyarrow")
    found = mnistprep.read(Path(__file__).parent / "golden" / "trees" / name)
    for part, (first, count) in {"train": (0, 6), "test": (8, 3)}.items():
        expected = golden_split(first, count)
        assert len(found.splits[part]) == count
        assert by_pixels(found.splits[part]) == by_pixels(expected)
    assert len(found.classes) == 10 or found.classes[-1] == "8"


def test_golden_flat_names() -> None:
    """Info-ZIP's zip of PGMs whose names say id and label: twelve pictures, known sums."""
    found = mnistprep.read(Path(__file__).parent / "golden" / "trees" / "flat.zip")
    expected = golden_split(0, 6)
    split = found.splits["train"]
    assert np.array_equal(split.images[:6], expected.images)
    assert np.array_equal(split.images[6:], 255 - expected.images)
    assert split.labels.tolist() == [*expected.labels.tolist()] * 2
    assert int(split.images.sum()) == 12 * 16 * 255 // 2
