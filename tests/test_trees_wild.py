"""Trees, archives and heaps of pictures as other people have them: the same set in each layout."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset
from PIL import Image
from test_formats import Notes

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import DetectionError, FormatError, MnistprepError, UsageError

LABELS = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6]
CHANCE = np.random.default_rng(3)
IMAGES = CHANCE.integers(0, 256, (len(LABELS), 6, 5), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pictures(top: Path, name: Callable[[int, int], str]) -> Path:
    """Every picture under the name that its number and label give."""
    for k, (pixels, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        save(top / name(k, label), pixels)
    return top


def by_pixels(split: Split) -> dict[bytes, int]:
    found = zip(split.images, split.labels.tolist(), strict=True)
    return {image.tobytes(): label for image, label in found}


RIGHT = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}


def zipped(top: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(top.rglob("*")):
            archive.write(path, path.relative_to(top))
    return target


def tarred(top: Path, target: Path) -> Path:
    mode = {".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(target.suffix, "w")
    with tarfile.open(target, mode) as archive:
        archive.add(top, ".")
    return target


# Names


NAMES: dict[str, Callable[[int, int], str]] = {
    "id_label": lambda k, label: f"{k:05}_{label}.png",
    "label_id": lambda k, label: f"{label}_{k}.png",
    "label-id": lambda k, label: f"{label}-{k}.png",
    "img_id_label": lambda k, label: f"img_{k}_label_{label}.png",
    "labelled ids": lambda k, label: f"mnist2-{k}-{label}.png",
    "per class": lambda k, label: f"{label}.{LABELS[:k].count(label) + 1}.png",
    "class folders": lambda k, label: f"{label}/{k}.png",
    "wrapped": lambda k, label: f"mnist_png/digits/{label}/{k}.png",
    "digit 7": lambda k, label: f"digit {label}/{k}.png",
    "class_7": lambda k, label: f"class_{label}/{k}.png",
    "split in a name": lambda k, label: f"MNIST - JPG - training/{label}/{k}.png",
}


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


# Files of labels


def csv_rows(separator: str, header: str | None) -> str:
    rows = [] if header is None else [header]
    rows += [f"{k}.png{separator}{label}" for k, label in enumerate(LABELS)]
    return "\n".join(rows) + "\n"


FILES: dict[str, tuple[str, str]] = {
    "headed": ("labels.csv", csv_rows(",", "filename,label")),
    "annotations": ("annotations.csv", csv_rows(";", "image;class_id")),
    "no header": ("labels.csv", csv_rows(",", None)),
    "odd header": ("labels.csv", csv_rows(",", "what,which")),
    "tabs": ("labels.tsv", csv_rows("\t", "file\tdigit")),
    "caffe": ("train.txt", csv_rows(" ", None)),
    "caffe paths": (
        "train.txt",
        "".join(f"/home/me/x/{k}.png {v}\n" for k, v in enumerate(LABELS)),
    ),
    "windows": ("labels.csv", "\ufeff" + csv_rows(",", "file,label").replace("\n", "\r\n")),
    "ids": ("trainLabels.csv", "id,label\n" + "".join(f"{k},{v}\n" for k, v in enumerate(LABELS))),
    "order": ("label.txt", "".join(f"{label}\n" for label in LABELS)),
    "metadata.csv": ("metadata.csv", csv_rows(",", "file_name,label")),
    "metadata.jsonl": (
        "metadata.jsonl",
        "".join(f'{{"file_name": "{k}.png", "label": {v}}}\n' for k, v in enumerate(LABELS)),
    ),
    "more columns": (
        "labels.csv",
        "width,path,label\n" + "".join(f"5,{k}.png,{v}\n" for k, v in enumerate(LABELS)),
    ),
}


@pytest.mark.parametrize("place", ["beside", "above", "in a split", "zip"])
@pytest.mark.parametrize("kind", FILES)
def test_files_of_labels_are_read(tmp_path: Path, kind: str, place: str) -> None:
    """Tables and lists of labels, beside flat pictures or around a folder of them, in order."""
    name, text = FILES[kind]
    top = tmp_path / "x"
    folder = {"above": top / "images", "in a split": top / "train"}.get(place, top)
    pictures(folder, lambda k, _: f"{k}.png")
    (folder if place == "in a split" else top).joinpath(name).write_text(text, newline="")
    path = zipped(top, tmp_path / "y.zip") if place == "zip" else top
    assert formats.matches(path) == ["imagefolder"]
    split = mnistprep.read(path).splits["train"]
    assert split.labels.tolist() == LABELS
    assert np.array_equal(split.images, IMAGES)


def test_metadata_in_parquet_is_read(tmp_path: Path) -> None:
    """Hugging Face's metadata.parquet, with names for labels."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    names = [f"{k}.png" for k in range(len(LABELS))]
    table = pyarrow.table({"file_name": names, "label": [f"n{label}" for label in LABELS]})
    parquet.write_table(table, top / "metadata.parquet")
    found = mnistprep.read(top)
    assert [found.classes[k] for k in found.splits["train"].labels] == [f"n{x}" for x in LABELS]
    (top / "metadata.parquet").write_bytes((top / "metadata.parquet").read_bytes()[:-20])
    with pytest.raises(FormatError, match=r"metadata\.parquet: not a parquet file"):
        mnistprep.read(top)


def test_lists_of_splits_share_a_heap(tmp_path: Path) -> None:
    """train.txt and test.txt, as Caffe has them, divide one folder of pictures."""
    top = pictures(tmp_path / "x" / "images", lambda k, _: f"{k}.png").parent
    for name, span in (("train", range(20)), ("test", range(20, 24))):
        lines = [f"images/{k}.png {LABELS[k]}\n" for k in span]
        (top / f"{name}.txt").write_text("".join(lines))
    found = mnistprep.read(top)
    assert np.array_equal(found.splits["train"].images, IMAGES[:20])
    assert np.array_equal(found.splits["test"].images, IMAGES[20:])
    assert found.splits["test"].labels.tolist() == LABELS[20:]


@pytest.mark.parametrize("name", ["train_labels.csv", "labels.csv"])
def test_a_file_above_the_splits_is_of_one_or_of_all(tmp_path: Path, name: str) -> None:
    """train_labels.csv is of train alone; labels.csv lists the pictures of all by path."""
    top = tmp_path / "x"
    pictures(top / "train", lambda k, _: f"{k}.png")
    save(top / "test" / "0.png", IMAGES[0])
    start = "" if name.startswith("train") else "train/"
    rows = [f"{start}{k}.png,{label}\n" for k, label in enumerate(LABELS)]
    (top / name).write_text("".join(["name,label\n", *rows]))
    if start:
        (top / name).write_text("".join(["name,label\n", *rows, "test/0.png,7\n"]))
    else:
        (top / "test_labels.csv").write_text("name,label\n0.png,7\n")
    found = mnistprep.read(top)
    assert found.splits["train"].labels.tolist() == LABELS
    assert found.splits["test"].labels.tolist() == [7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("3.png", "33.png", 1), r"lists '33\.png' \(row 4\)"),
        (lambda t: t.replace("5.png,1\n", "", 1), r"5\.png and 0 more pictures are in no file"),
        (lambda t: t + "0.png,7\n", r"'0\.png' is listed twice"),
        (lambda t: t.replace("4.png,4", "4.png,", 1), r"4\.png and 0 more pictures have no label"),
        (lambda t: t.replace("4.png,4", "4.png,4,4", 1), "row 6: 3 values, the first row has 2"),
        (lambda t: t + "\xff", r"labels\.csv, row 26: 1 values|labels\.csv: "),
        (lambda t: "0,1,2\n", r"labels\.csv|have no label"),
    ],
)
def test_files_of_labels_must_fit(
    tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    """A picture that is missing, extra, listed twice or without a label is named."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    (top / "labels.csv").write_text(change(FILES["headed"][1]))
    with pytest.raises(FormatError, match=message):
        mnistprep.read(top)


def test_too_few_labels_in_order_are_refused(tmp_path: Path) -> None:
    """A label a line needs a line for every picture."""
    top = pictures(tmp_path / "x", lambda k, _: f"{k}.png")
    (top / "labels.txt").write_text("1\n2\n")
    with pytest.raises(FormatError, match="2 labels for 24 pictures"):
        mnistprep.read(top)


def test_a_list_of_class_names_beside_class_folders_is_no_file_of_labels(tmp_path: Path) -> None:
    """labels.txt with ten names, as TensorFlow keeps it, changes nothing."""
    top = pictures(tmp_path / "x", NAMES["class folders"])
    (top / "labels.txt").write_text("".join(f"{k}\n" for k in range(10)))
    assert by_pixels(mnistprep.read(top).splits["train"]) == RIGHT


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


# Archives


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
