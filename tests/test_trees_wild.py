"""Trees, archives and heaps of pictures as other people have them: the same set in each layout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_formats import Notes
from trees import IMAGES, LABELS, NAMES, RIGHT, by_pixels, pictures, save, tarred, zipped

import mnistprep
from mnistprep import formats
from mnistprep.errors import FormatError, UsageError

# Names


@pytest.mark.parametrize("pack", ["folder", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("kind", NAMES)
def test_names_and_folders_say_the_labels(tmp_path: Path, kind: str, pack: str) -> None:
    """The same pictures and labels come out of every layout, packed or not."""
    path = pictures(tmp_path / "x", NAMES[kind])
    if pack != "folder":
        make = zipped if pack == "zip" else tarred
        path = make(path, tmp_path / f"y.{pack}")
    assert formats.matches(path) == ["imagefolder"]
    found = mnistprep.read(path)
    named = [int(name.strip("digtclas_ ")) for name in found.classes]
    split = found.splits["train"]
    right = {pixels: named.index(label) for pixels, label in RIGHT.items()}
    assert by_pixels(split) == right
    places = formats.get("imagefolder").places(path, "train", range(len(split)))
    assert len(set(places)) == len(split)
    assert all(place.startswith(str(path)) for place in places)


@pytest.mark.parametrize(
    "names",
    [
        ["1", "2", "3", "4"],
        ["scan_2023_0001", "scan_2023_0002", "scan_2024_0003", "scan_2024_0004"],
        [
            "IMG_20240101_101010",
            "IMG_20240101_111111",
            "IMG_20240102_121212",
            "IMG_20240102_131313",
        ],
        ["0_0", "0_1", "1_0", "1_1"],
        ["1_2", "2_1", "3_4", "4_3"],
        ["7_1", "7_2", "7_3", "7_4"],
        ["a", "b", "c", "d"],
    ],
)
def test_names_that_could_mean_anything_are_not_guessed(tmp_path: Path, names: list[str]) -> None:
    """Ids, years, dates and balanced pairs are refused; without labels they read on request."""
    for name, pixels in zip(names, IMAGES, strict=False):
        save(tmp_path / "x" / f"{name}.png", pixels)
    with pytest.raises(FormatError, match=r"have no label: .* -R unlabelled=yes"):
        mnistprep.read(tmp_path / "x")
    found = mnistprep.read(tmp_path / "x", unlabelled=True)
    assert found.classes == ("unlabelled",)
    assert found.splits["train"].labels.tolist() == [0] * 4
    assert np.array_equal(found.splits["train"].images, IMAGES[:4])


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_folder_called_images_is_no_class(tmp_path: Path, split: str) -> None:
    """Boxes of an object detector beside a folder `images` give no class `images`."""
    for k in range(4):
        save(tmp_path / "x" / split / "images" / f"{k}.png", IMAGES[k])
        (tmp_path / "x" / split / "labels").mkdir(exist_ok=True)
        (tmp_path / "x" / split / "labels" / f"{k}.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(FormatError, match="have no label"):
        mnistprep.read(tmp_path / "x")
    notes = Notes()
    found = mnistprep.read(tmp_path / "x", unlabelled=True, progress=notes)
    assert found.classes == ("unlabelled",)
    assert any("labels: ignored, not a folder of the dataset" in note for note in notes.notes)


def test_words_in_names_are_classes(tmp_path: Path) -> None:
    """cat.1.jpg and dog.1.jpg are of two classes."""
    for k in range(6):
        save(tmp_path / "x" / f"{('cat', 'dog')[k % 2]}.{k}.png", IMAGES[k])
    found = mnistprep.read(tmp_path / "x")
    assert found.classes == ("cat", "dog")
    assert by_pixels(found.splits["train"]) == {IMAGES[k].tobytes(): k % 2 for k in range(6)}


def test_a_test_split_without_labels_is_a_last_class(tmp_path: Path) -> None:
    """Labelled training folders beside a flat test folder: refused, or a class `unlabelled`."""
    pictures(tmp_path / "x" / "train", NAMES["class folders"])
    for k in range(3):
        save(tmp_path / "x" / "test" / f"{k}.png", IMAGES[k])
    with pytest.raises(FormatError, match="have no label"):
        mnistprep.read(tmp_path / "x")
    found = mnistprep.read(tmp_path / "x", unlabelled=True)
    assert found.classes == (*map(str, range(10)), "unlabelled")
    assert found.splits["test"].labels.tolist() == [10, 10, 10]
    assert by_pixels(found.splits["train"]) == RIGHT


# Pictures


def test_sixteen_bits_that_repeat_eight_are_read(tmp_path: Path) -> None:
    """byte * 257 is the byte, in PNG, TIFF and PGM."""
    for suffix in ("png", "tif"):
        save(tmp_path / suffix / "0" / f"a.{suffix}", IMAGES[0].astype(np.uint16) * 257)
        assert np.array_equal(
            mnistprep.read(tmp_path / suffix).splits["train"].images[0], IMAGES[0]
        )
    (tmp_path / "pgm" / "0").mkdir(parents=True)
    words = (IMAGES[0].astype(">u2") * 257).tobytes()
    (tmp_path / "pgm" / "0" / "a.pgm").write_bytes(b"P5 5 6 65535\n" + words)
    assert np.array_equal(mnistprep.read(tmp_path / "pgm").splits["train"].images[0], IMAGES[0])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pgm", b"P5 2 1 15\n\x01\x0f", "brightness up to 15, expected 255"),
        ("a.pgm", b"P2\n# made by hand\n2 1\n7\n1 7\n", "brightness up to 7"),
        ("a.webp", b"RIFF\x04\0\0\0WAVE", "not a picture"),
    ],
)
def test_what_would_be_stretched_is_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    """Pillow stretches other ranges to 255 without a word; that is refused."""
    (tmp_path / "x" / "0").mkdir(parents=True)
    (tmp_path / "x" / "0" / name).write_bytes(data)
    with pytest.raises(FormatError, match=message):
        mnistprep.read(tmp_path / "x", "imagefolder")


def test_lossy_webp_is_said_to_be(tmp_path: Path) -> None:
    """A WebP with loss is read with a note, one without loss without."""
    save(tmp_path / "x" / "0" / "a.webp", np.repeat(IMAGES[0][..., None], 3, axis=2))
    notes = Notes()
    mnistprep.read(tmp_path / "x", progress=notes)
    assert any("a.webp and 0 more are WebP, which is lossy" in note for note in notes.notes)
    save(tmp_path / "x" / "0" / "a.webp", IMAGES[0], lossless=True)
    notes = Notes()
    found = mnistprep.read(tmp_path / "x", progress=notes)
    assert notes.notes == []
    assert np.array_equal(found.splits["train"].images[0], IMAGES[0])


def test_pictures_of_two_sizes_name_both(tmp_path: Path) -> None:
    """The first picture and the one that differs are named."""
    save(tmp_path / "x" / "0" / "a.png", IMAGES[0])
    save(tmp_path / "x" / "1" / "b.png", IMAGES[0].T.copy())
    with pytest.raises(FormatError, match=r"b\.png: 5x6 pixels, the others have 6x5 .*a\.png"):
        mnistprep.read(tmp_path / "x")


@pytest.mark.skipif(os.name == "nt", reason="names and pipes of Unix")
def test_strange_entries_are_named_safely(tmp_path: Path) -> None:
    """A pipe does not block; a newline or a broken byte in a name does not reach the terminal."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    os.mkfifo(top / "3-pipe")
    with pytest.raises(FormatError, match="3-pipe: a link or special file"):
        mnistprep.read(top)
    (top / "3-pipe").unlink()
    (top / "0" / "a\nb.png").write_bytes(b"no")
    with pytest.raises(FormatError, match=r"a\\nb\.png: not a picture"):
        mnistprep.read(top)
    shutil.rmtree(top)
    folder = os.fsencode(tmp_path / "x") + b"/caf\xe9"
    os.makedirs(folder)
    save(tmp_path / "a.png", IMAGES[0])
    shutil.copy(tmp_path / "a.png", folder + b"/a.png")
    with pytest.raises(FormatError, match=r"'caf\\+udce9' is no name in UTF-8"):
        mnistprep.read(tmp_path / "x")


def test_pictures_beside_the_splits_are_not_left_out(tmp_path: Path) -> None:
    """A folder of pictures that is no split is refused, not passed over."""
    pictures(tmp_path / "x" / "train", NAMES["class folders"])
    save(tmp_path / "x" / "extra" / "0" / "a.png", IMAGES[0])
    with pytest.raises(FormatError, match="extra: pictures beside train"):
        mnistprep.read(tmp_path / "x")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """Class folders plane, ship and train are three classes, not one split."""
    for k, name in enumerate(("plane", "ship", "train")):
        save(tmp_path / "x" / name / "a.png", IMAGES[k])
    assert mnistprep.read(tmp_path / "x").classes == ("plane", "ship", "train")


# Sheets


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """24 tiles of 6x5 in 4 rows of 7, the last four blank."""
    tiles = np.concatenate([IMAGES, np.zeros((4, 6, 5), np.uint8)]).reshape(4, 7, 6, 5)
    save(tmp_path / "test.png", tiles.transpose(0, 2, 1, 3).reshape(24, 35))
    return tmp_path / "test.png"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("test.txt", "\n".join(map(str, LABELS))),
        ("test.txt", " ".join(map(str, LABELS))),
        ("test.csv", "label\n" + "\n".join(map(str, LABELS))),
        ("test.csv", "tile,label\n" + "".join(f"{k},{v}\n" for k, v in enumerate(LABELS))),
    ],
)
def test_a_sheet_is_cut_when_asked_for(sheet: Path, name: str, text: str) -> None:
    """Tiles row by row with the labels beside; blank ones beyond them are left out and said."""
    sheet.with_name(name).write_text(text)
    notes = Notes()
    found = mnistprep.read(sheet, "imagefolder", tile="6x5", progress=notes)
    assert np.array_equal(found.splits["test"].images, IMAGES)
    assert found.splits["test"].labels.tolist() == LABELS
    assert ["4 blank tiles" in note for note in notes.notes] == [True]
    places = formats.get("imagefolder").places(sheet, "test", [3])
    assert places == [f"{sheet}, tile 4"]


def test_a_sheet_that_does_not_fit_is_refused(sheet: Path) -> None:
    """Tiles that do not fill it, labels that are missing, too few or too many, wrong options."""
    read = formats.get("imagefolder").read
    with pytest.raises(FormatError, match="one picture; if it is a sheet"):
        read(sheet)
    with pytest.raises(FormatError, match="no labels beside it"):
        read(sheet, tile="6x5")
    assert len(read(sheet, tile="6x5", unlabelled=True)) == 28
    with pytest.raises(FormatError, match="no whole number of tiles"):
        read(sheet, tile="5x6", unlabelled=True)
    with pytest.raises(UsageError, match="expected height x width"):
        read(sheet, tile="6")
    sheet.with_suffix(".txt").write_text("\n".join(map(str, LABELS[:-1])))
    with pytest.raises(FormatError, match="23 labels for 28 tiles, and tile 24 is not blank"):
        read(sheet, tile="6x5")
    sheet.with_suffix(".txt").write_text("1\n" * 29)
    with pytest.raises(FormatError, match="29 labels for 28 tiles"):
        read(sheet, tile="6x5")


# Layouts that are easily taken for others


@pytest.mark.parametrize("pack", ["folder", "zip"])
def test_a_heap_called_as_its_split_is_no_class(tmp_path: Path, pack: str) -> None:
    """testSet/testSet holds pictures without labels, not a class called testSet."""
    top = tmp_path / "x"
    pictures(top / "trainingSet" / "trainingSet", NAMES["class folders"])
    for k in range(3):
        save(top / "testSet" / "testSet" / f"img_{k}.png", IMAGES[k])
    path = zipped(top, tmp_path / "y.zip") if pack == "zip" else top
    with pytest.raises(FormatError, match="have no label"):
        mnistprep.read(path)
    found = mnistprep.read(path, unlabelled=True)
    assert found.classes == (*map(str, range(10)), "unlabelled")
    assert found.splits["test"].labels.tolist() == [10, 10, 10]


def test_an_empty_folder_in_a_class_is_ignored(tmp_path: Path) -> None:
    """What a person left behind without anything in it changes nothing, and is said."""
    top, notes = pictures(tmp_path / "x", NAMES["class folders"]), Notes()
    (top / "7" / "new folder").mkdir()
    assert by_pixels(mnistprep.read(top, progress=notes).splits["train"]) == RIGHT
    assert any("new folder: ignored" in note for note in notes.notes)


@pytest.mark.parametrize("name", ["x.svg", "x.heic", "x.jp2", "x.avif"])
def test_pictures_of_kinds_that_are_not_read_are_not_left_out(tmp_path: Path, name: str) -> None:
    """A picture that cannot be read is refused by name, not ignored."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    (top / "7" / name).write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(FormatError, match=name):
        mnistprep.read(top)


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_a_tree_of_pointers_or_pages_is_a_tree(tmp_path: Path, content: bytes) -> None:
    """Class folders in which nothing is a picture, by name alone, say which file is wrong."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    for path in top.rglob("*.png"):
        path.write_bytes(content)
    with pytest.raises(FormatError, match=r"x/0/10\.png"):
        mnistprep.read(top)


def test_splits_that_are_links_are_named(tmp_path: Path) -> None:
    """A train folder that is a link is refused as one, not passed over."""
    pictures(tmp_path / "real", NAMES["class folders"])
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "train").symlink_to(tmp_path / "real", target_is_directory=True)
    with pytest.raises(FormatError, match="train: a link or special file"):
        mnistprep.read(tmp_path / "x")
