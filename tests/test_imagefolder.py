"""Trees of pictures as people have them, and that no picture is ever lost or changed unsaid."""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_formats import Notes

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import FormatError, UnsupportedError

CHANCE = np.random.default_rng(0)


def grey(count: int = 1, shape: tuple[int, ...] = (6, 5)) -> np.ndarray:
    """Random pictures."""
    return CHANCE.integers(0, 256, (count, *shape), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str = "L", **options: object) -> np.ndarray:
    """Save with Pillow in that mode; returns the pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return pixels


def tree(top: Path, classes: tuple[str, ...] = ("0", "1"), splits: tuple[str, ...] = ("",)) -> Path:
    """Two pictures in each class folder of each split."""
    for split in splits:
        for name in classes:
            for k, pixels in enumerate(grey(2)):
                save(top / split / name / f"{k}.png", pixels)
    return top


# Somebody else's tree


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("",), ("train",)),
        (("train", "test"), ("train", "test")),
        (("training", "testing"), ("train", "test")),
        (("Train", "Validation", "TEST"), ("train", "valid", "test")),
        (("train", "val", "test"), ("train", "valid", "test")),
        (("train", "dev"), ("train", "valid")),
        (("t10k",), ("test",)),
    ],
)
def test_split_folders_have_many_names(
    tmp_path: Path, folders: tuple[str, ...], splits: tuple[str, ...]
) -> None:
    """train, training, val, testing, t10k, in any case; class folders alone are train."""
    found = mnistprep.read(tree(tmp_path / "x", splits=folders))
    assert tuple(found.splits) == splits
    assert all(split.labels.tolist() == [0, 0, 1, 1] for split in found.splits.values())


def test_the_folder_of_one_split_is_that_split(tmp_path: Path) -> None:
    """A path may end at the split folder."""
    top = tree(tmp_path / "x", splits=("train", "testing"))
    assert list(mnistprep.read(top / "testing").splits) == ["test"]


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    """test and testing side by side are not guessed at."""
    with pytest.raises(FormatError, match="test and testing are the same split; keep one"):
        mnistprep.read(tree(tmp_path / "x", splits=("test", "testing")))


def test_unpadded_numbers_are_numbers(tmp_path: Path) -> None:
    """Folders 0 to 10 are labels 0 to 10, though "10" sorts before "2"; gaps stay gaps."""
    top = tmp_path / "x"
    for k in (0, 1, 2, 9, 10, 12):
        save(top / str(k) / "a.png", np.full((3, 3), k, np.uint8))
    found = mnistprep.read(top)
    assert found.splits["train"].labels.tolist() == [0, 1, 2, 9, 10, 12]
    assert found.splits["train"].images[:, 0, 0].tolist() == [0, 1, 2, 9, 10, 12]
    assert found.classes == tuple(str(k) for k in range(13))


def test_named_folders_are_classes_of_all_splits(tmp_path: Path) -> None:
    """Names are sorted over every split, so that a class that only test has keeps its number."""
    top = tree(tmp_path / "x", ("cat", "dog"), ("train",))
    tree(top, ("bird", "dog"), ("test",))
    found = mnistprep.read(top)
    assert found.classes == ("bird", "cat", "dog")
    assert found.splits["train"].labels.tolist() == [1, 1, 2, 2]
    assert found.splits["test"].labels.tolist() == [0, 0, 2, 2]


def test_names_that_differ_in_case_are_two_classes(tmp_path: Path) -> None:
    """Where the file system keeps A and a apart, so do the labels."""
    top = tree(tmp_path / "x", ("A", "a", "b"))
    if len(list(top.iterdir())) < 3:
        pytest.skip("this file system does not tell A from a")
    assert mnistprep.read(top).classes == ("A", "a", "b")


def test_what_is_no_picture_is_ignored_and_said(tmp_path: Path) -> None:
    """System files, notes and empty folders are passed over, each with a line about it."""
    top = tree(tmp_path / "x", splits=("train", "test"))
    junk = [
        top / ".DS_Store",
        top / "train" / "Thumbs.db",
        top / "train" / "0" / ".DS_Store",
        top / "train" / "0" / "Thumbs.db",
        top / "train" / "1" / "desktop.ini",
        top / "test" / "1" / "notes.txt",
        top / "test" / "1" / "._0.png",
    ]
    for path in junk:
        path.write_bytes(b"\0\0\0\1Bud1")
    (top / "train" / "7").mkdir()
    (top / "__MACOSX").mkdir()
    (top / ".ipynb_checkpoints").mkdir()
    (top / "train" / ".ipynb_checkpoints").mkdir()
    notes = Notes()
    found = mnistprep.read(top, progress=notes)
    assert formats.matches(top) == ["imagefolder"]
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 4, "test": 4}
    for path in (*junk, top / "train" / "7"):
        assert any(str(path) in note for note in notes.notes), path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".pgm", ".tif", ".webp", ".gif"])
def test_other_lossless_formats_are_read(tmp_path: Path, suffix: str) -> None:
    """What Pillow reads without loss comes in as the same bytes."""
    options = {"lossless": True} if suffix == ".webp" else {}
    pixels = save(tmp_path / "x" / "3" / f"a{suffix}", grey()[0], **options)
    assert np.array_equal(mnistprep.read(tmp_path / "x").splits["train"].images[0], pixels)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {"compress_level": 0}),
        ("L", {"optimize": True}),
        ("L", {"dpi": (72, 72)}),
        ("RGB", {}),
        ("RGBA", {}),
        ("LA", {}),
        ("P", {}),
    ],
)
def test_grey_in_any_mode_is_grey(tmp_path: Path, mode: str, options: dict[str, object]) -> None:
    """RGB, RGBA, grey with alpha and palettes come in as grey where their channels agree."""
    pixels = save(tmp_path / "x" / "0" / "a.png", grey()[0], mode, **options)
    split = mnistprep.read(tmp_path / "x").splits["train"]
    assert split.images.shape == (1, 6, 5)
    assert np.array_equal(split.images[0], pixels)


def test_one_bit_pictures_are_black_and_white(tmp_path: Path) -> None:
    """A bit becomes 0 or 255."""
    bits = grey()[0] > 127
    save(tmp_path / "x" / "0" / "a.png", bits.astype(np.uint8) * 255, "1")
    assert np.array_equal(mnistprep.read(tmp_path / "x").splits["train"].images[0], bits * 255)


def transparent(path: Path) -> None:
    rgba = np.repeat(grey()[0][..., None], 4, axis=2)
    rgba[..., 3] = 255
    rgba[2, 2, 3] = 7
    Image.fromarray(rgba).save(path)


def animated(path: Path) -> None:
    first, second = (Image.fromarray(pixels) for pixels in grey(2))
    first.save(path, save_all=True, append_images=[second])


def bomb(path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + b"\0" * 40)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "colour": (lambda p: save(p, grey(1, (6, 5, 3))[0], "RGB"), "a colour picture (its channels"),
    "size": (lambda p: save(p, grey(1, (5, 6))[0]), "5x6 pixels, the others have 6x5"),
    "16 bits": (lambda p: Image.fromarray(grey()[0].astype("u2") * 200).save(p), "no exact 8-bit"),
    "transparent": (transparent, "partly transparent"),
    "animation": (animated, "holds 2 pictures, expected one"),
    "a text": (lambda p: p.write_text("not a picture"), "not a picture that can be read"),
    "a page": (lambda p: p.write_text("<html>404"), "a web page of 9 bytes, not data"),
    "nothing": (lambda p: p.write_bytes(b""), "an empty file"),
    "half": (lambda p: p.write_bytes((p.parent / "0.png").read_bytes()[:70]), "a damaged picture"),
    "bomb": (bomb, "a picture"),
    "a link": (lambda p: p.symlink_to(p.parent / "0.png"), "a link or special file"),
    "a broken link": (lambda p: p.symlink_to(p.parent / "none.png"), "a link or special file"),
    "a folder": (lambda p: p.mkdir(), "a folder inside a class folder"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_picture_is_named(tmp_path: Path, kind: str, workers: int) -> None:
    """One picture that cannot be had exactly, or is none, stops the reading with its name."""
    make, message = WRONG[kind]
    top = tree(tmp_path / "x")
    path = top / "1" / ("b.gif" if kind == "animation" else "b.png")
    make(path)
    with pytest.raises(FormatError) as caught:
        mnistprep.read(top, workers=workers)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_colour_tree_is_read_as_colour(tmp_path: Path) -> None:
    """The first picture decides; grey ones among colour are widened, and a note says so."""
    pixels = grey(1, (6, 5, 3))[0]
    save(tmp_path / "x" / "0" / "a.png", pixels, "RGB")
    plain = save(tmp_path / "x" / "0" / "b.png", grey()[0])
    notes = Notes()
    split = mnistprep.read(tmp_path / "x", progress=notes).splits["train"]
    assert np.array_equal(split.images[0], pixels)
    assert np.array_equal(split.images[1], np.repeat(plain[..., None], 3, axis=2))
    assert any("b.png and 0 more are stored as grey" in note for note in notes.notes)


def test_colour_after_grey_names_the_way_out(tmp_path: Path) -> None:
    """A set whose first picture is grey is grey, unless channels=3 says otherwise."""
    save(tmp_path / "x" / "0" / "a.png", np.zeros((6, 5, 3), np.uint8), "RGB")
    pixels = save(tmp_path / "x" / "0" / "b.png", grey(1, (6, 5, 3))[0], "RGB")
    with pytest.raises(FormatError, match=r"a colour picture .* -R channels=3"):
        mnistprep.read(tmp_path / "x")
    split = mnistprep.read(tmp_path / "x", channels=3).splits["train"]
    assert np.array_equal(split.images, [np.zeros_like(pixels), pixels])


def test_jpeg_is_said_to_be_lossy(tmp_path: Path) -> None:
    """JPEGs are read, with a warning that these are not the original pixels."""
    for k in range(3):
        save(tmp_path / "x" / "0" / f"{k}.jpg", grey()[0])
    notes = Notes()
    assert len(mnistprep.read(tmp_path / "x", progress=notes)) == 3
    assert any("0.jpg and 2 more are JPEG, which is lossy" in note for note in notes.notes)


# What mnistprep wrote


@pytest.fixture
def written(tmp_path: Path, odd: Dataset) -> Path:
    """The odd set as a tree."""
    return mnistprep.write(odd, tmp_path / "out", "imagefolder")


def test_names_are_the_digest_of_the_pixels(written: Path, odd: Dataset) -> None:
    """16 hexadecimal digits of the SHA-256 of height, width and pixels; duplicates differ."""
    order = (written / "index.txt").read_text().splitlines()
    names = [Path(line).stem for line in order]
    images = np.concatenate([split.images for split in odd.splits.values()])
    sizes = struct.pack(">II", 12, 20)
    digests = [hashlib.sha256(sizes + image.tobytes()).hexdigest()[:16] for image in images]
    assert len(set(digests)) < len(digests) == len(order) == len({name.lower() for name in names})
    assert {name for name, digest in zip(names, digests, strict=True) if name == digest} == set(
        digests
    )
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in names)


def test_every_class_has_a_folder_with_a_padded_number(written: Path) -> None:
    """00 to 10 in both splits, the empty class too; names with slashes and accents stay out."""
    for split in ("train", "test"):
        folders = sorted(path.name for path in (written / split).iterdir())
        assert folders == [f"{k:02}" for k in range(11)]
    assert sorted(path.name for path in written.iterdir()) == [
        "index.txt",
        "mnistprep.json",
        "test",
        "train",
    ]


def test_ten_classes_have_one_digit(tmp_path: Path) -> None:
    """MNIST's folders are 0 to 9."""
    dataset = Dataset("x", {"train": Split(grey(10), np.arange(10))}, tuple("0123456789"))
    path = mnistprep.write(dataset, tmp_path / "x", "imagefolder")
    assert sorted(p.name for p in (path / "train").iterdir()) == list("0123456789")


def test_identical_pictures_are_all_kept(tmp_path: Path) -> None:
    """A set of one picture a hundred times, across labels and splits, is a hundred files."""
    images = np.zeros((50, 4, 4), np.uint8)
    split = Split(images, np.arange(50) % 3)
    dataset = Dataset("x", {"train": split, "test": split}, tuple("012"))
    path = mnistprep.write(dataset, tmp_path / "x", "imagefolder")
    assert len({file.name for file in path.rglob("*.png")}) == 100
    assert mnistprep.read(path).digests() == dataset.digests()


def test_without_the_index_the_tree_reads_in_another_order(written: Path, odd: Dataset) -> None:
    """A tree that lost its index holds the same examples."""
    (written / "index.txt").unlink()
    found = mnistprep.read(written)
    for name, digest in found.digests().items():
        assert digest.unordered == odd.digests()[name].unordered
        assert digest.images != odd.digests()[name].images
    assert found.classes == odd.classes


def test_without_the_sidecar_too_the_tree_still_reads(written: Path, odd: Dataset) -> None:
    """Only the class names are then gone; the highest class has a folder, so none is lost."""
    (written / "mnistprep.json").unlink()
    notes = Notes()
    found = mnistprep.read(written, progress=notes)
    assert found.digests() == odd.digests()
    assert found.classes == tuple(map(str, range(11)))
    assert any("05: an empty folder" in note for note in notes.notes)


def test_a_tree_copied_without_its_empty_folders_reads(written: Path, odd: Dataset) -> None:
    """git and some archives leave empty folders out."""
    for folder in written.glob("*/*"):
        if not list(folder.iterdir()):
            folder.rmdir()
    assert mnistprep.read(written).digests() == odd.digests()
    assert mnistprep.read(written).classes == odd.classes


def test_a_lost_picture_is_named(written: Path) -> None:
    """The index shows what is missing."""
    line = (written / "index.txt").read_text().splitlines()[4]
    (written / line).unlink()
    with pytest.raises(FormatError, match=r"index\.txt, line 5: .* is not in the tree") as caught:
        mnistprep.read(written)
    assert line in str(caught.value)


def test_a_picture_in_another_class_is_named(written: Path) -> None:
    """Moving a picture to another class folder does not go unseen."""
    line = (written / "index.txt").read_text().splitlines()[4]
    label = 1 if "/00/" in line else 0
    shutil.move(written / line, written / "train" / f"{label:02}")
    with pytest.raises(FormatError, match="line 5"):
        mnistprep.read(written)


def test_an_added_picture_is_named(written: Path) -> None:
    """A file that the index does not know is not slipped in."""
    save(written / "train" / "03" / "mine.png", grey(1, (12, 20))[0])
    with pytest.raises(FormatError, match=r"mine\.png and 0 more are not in index\.txt"):
        mnistprep.read(written)


def test_a_picture_listed_twice_is_named(written: Path) -> None:
    """An index with a line twice is refused."""
    index = written / "index.txt"
    lines = index.read_text().splitlines()
    index.write_text("\n".join([*lines, lines[3]]))
    with pytest.raises(FormatError, match=f"line {len(lines) + 1}: .*listed twice"):
        mnistprep.read(written)


def test_an_index_cannot_lead_out_of_the_tree(written: Path, tmp_path: Path) -> None:
    """Lines are only ever compared with what was found, never opened."""
    save(tmp_path / "secret.png", grey(1, (12, 20))[0])
    with (written / "index.txt").open("a") as index:
        index.write("../secret.png\n")
    with pytest.raises(FormatError, match=r"'\.\./secret\.png' is not in the tree"):
        mnistprep.read(written)


def test_a_folder_beyond_the_classes_is_named(written: Path) -> None:
    """With the sidecar, class folders are those of the sidecar."""
    save(written / "train" / "11" / "a.png", grey(1, (12, 20))[0])
    with pytest.raises(FormatError, match="class folder '11' is none of the 11 classes"):
        mnistprep.read(written)


def test_windows_line_ends_in_the_index_do_not_matter(written: Path, odd: Dataset) -> None:
    """A checkout that turns LF into CRLF changes nothing."""
    index = written / "index.txt"
    index.write_bytes(index.read_bytes().replace(b"\n", b"\r\n"))
    assert mnistprep.read(written).digests() == odd.digests()


def test_channels_that_png_cannot_hold_are_refused(tmp_path: Path) -> None:
    """Two or four channels are no PNG of mnistprep's, and nothing is written."""
    for channels in (2, 4):
        split = Split(grey(2, (3, 3, channels)), np.arange(2))
        dataset = Dataset("x", {"train": split}, ("0", "1"))
        with pytest.raises(UnsupportedError, match=f"or three channels, not {channels}"):
            mnistprep.write(dataset, tmp_path / "x", "imagefolder")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_was_changed_is_found_by_its_name(tmp_path: Path) -> None:
    """In a tree that mnistprep wrote the names are those of the pixels, duplicates included."""
    images = grey(300, (5, 4))
    images[10:200:7] = images[3]
    split = Split(images, np.arange(300) % 10)
    path = mnistprep.write(
        Dataset("x", {"train": split, "test": split}, tuple("0123456789")),
        tmp_path / "x",
        "imagefolder",
    )
    assert np.array_equal(mnistprep.read(path).splits["test"].images, images)
    victim = path / (path / "index.txt").read_text().split()[42]
    with Image.open(victim) as picture:
        picture.putpixel((1, 1), 255 - picture.getpixel((1, 1)))
        picture.save(victim)
    heard = Notes()
    assert not np.array_equal(mnistprep.read(path, progress=heard).splits["train"].images, images)
    assert [victim.name in note and "changed" in note for note in heard.notes] == [True]
