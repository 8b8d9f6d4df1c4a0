"""webdataset: shards as other people make them, whole and broken."""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path

import numpy as np
import pytest
from shards import DIGITS, check, members, outcome, picture, tar
from test_formats import Notes, numbered
from test_readers import GOLDEN, golden, same

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.errors import FormatError

check = functools.partial(check, format="webdataset")
outcome = functools.partial(outcome, format="webdataset")


def test_golden_webdataset() -> None:
    """ShardWriter's shards: labels first, pax headers, keys with folders, gzip, further fields."""
    golden("webdataset", "webdataset", ("train", "valid", "test"))
    notes = Notes()
    mnistprep.read(GOLDEN / "webdataset", progress=notes)
    assert any("fields of samples that are not read: json" in note for note in notes.notes)
    places = formats.get("webdataset").places(GOLDEN / "webdataset", "train", [5])
    assert places == [f"{GOLDEN}/webdataset/digits-train-000001.tar.gz, sample some.folder/0005"]


@pytest.mark.parametrize(
    "form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["u", "g", "p"]
)
def test_any_tar_will_do(tmp_path: Path, form: int) -> None:
    """USTAR, GNU and pax headers, long names, folders, and every compression."""
    long = "x" * 90 if form == tarfile.USTAR_FORMAT else "ü" * 60 + "/" + "x" * 70
    for folder in ("./", "a.b/c d/", long + "/"):
        content = [(folder + name, data) for name, data in members()]
        check(tar(tmp_path / f"{len(folder)}.data", content, form))
    for packing in ("gz", "bz2", "xz"):
        check(tar(tmp_path / packing, members(), form, f"w:{packing}"))


@pytest.mark.parametrize(
    ("image", "label"),
    [("png", "cls"), ("PNG", "CLS"), ("input.png", "target.cls"), ("jpg", "label"), ("img", "txt"),
     ("image", "class"), ("png", "json"), ("tif", "id"), ("png", "index"), ("webp", "target")],
)  # fmt: skip
def test_fields_have_many_names(tmp_path: Path, image: str, label: str) -> None:
    """The fields that readers know, in any case, of whatever picture format is inside."""
    check(tar(tmp_path / "x.tar", members((image, label))))
    backwards = [
        part for k in range(6) for part in members((image, label))[2 * k : 2 * k + 2][::-1]
    ]
    check(tar(tmp_path / "y.tar", backwards))


@pytest.mark.parametrize("form", ["png", "ppm", "bmp", "gif", "tiff", "webp"])
def test_pictures_of_any_format(tmp_path: Path, form: str) -> None:
    """Lossless pictures give their pixels; grey ones stored as RGB are grey."""
    for colour in (False, True):
        content = []
        for k, (pixels, label) in enumerate(zip(DIGITS.images, DIGITS.labels, strict=True)):
            grey = np.repeat(pixels[..., None], 3, axis=2) if colour else pixels
            options = {"lossless": True} if form == "webp" else {}
            content += [(f"{k}.cls", b"%d\n" % label), (f"{k}.img", picture(grey, form, **options))]
        check(tar(tmp_path / f"{colour}.tar", content))


def test_colour_of_other_people_is_colour(tmp_path: Path) -> None:
    """A set in which one RGB picture is coloured is a colour set, the grey ones before it too."""
    images = np.repeat(DIGITS.images[..., None], 3, axis=3)
    images[3, 0, 0] = 1, 2, 3
    content = []
    for k, (pixels, label) in enumerate(zip(images, DIGITS.labels, strict=True)):
        content += [(f"{k}.cls", b"%d" % label), (f"{k}.png", picture(pixels))]
    check(tar(tmp_path / "x.tar", content), expected=Split(images, DIGITS.labels))
    grey = picture(DIGITS.images[0])
    content[1] = ("0.png", grey)  # a first picture that is grey and nothing else
    with pytest.raises(FormatError, match=r"sample 3: a colour picture"):
        mnistprep.read(tar(tmp_path / "y.tar", content))


def test_jpeg_is_said_to_be_lossy(tmp_path: Path) -> None:
    """JPEG reads, with a note."""
    content = [("0.jpg", picture(np.full((8, 8), 9, np.uint8), "jpeg")), ("0.cls", b"0")]
    notes = Notes()
    mnistprep.read(tar(tmp_path / "x.tar", content), progress=notes)
    assert any("JPEG, which is lossy" in note for note in notes.notes)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (b"2", 2),
        (b' {"label": 2, "id": 9}', 2),
        (b'{"cls": 2}', 2),
        (b'{"class": 2, "width": 4}', 2),
    ],
)
def test_labels_in_json(tmp_path: Path, text: bytes, label: int) -> None:
    """A JSON field is a number or a table with one under a known name."""
    content = [("0.png", picture(DIGITS.images[0])), ("0.json", text), ("0.txt", b"seven")]
    assert mnistprep.read(tar(tmp_path / "x.tar", content)).splits["train"].labels == [label]


def test_options_say_which_field(tmp_path: Path) -> None:
    """Where several fields would do the reader asks, and takes what it is told."""
    one = picture(DIGITS.images[0])
    path = tar(
        tmp_path / "x.tar",
        [
            ("0.in.png", one),
            ("0.out.png", picture(DIGITS.images[1])),
            ("0.cls", b"1"),
            ("0.id", b"5"),
        ],
    )
    with pytest.raises(FormatError, match=r"several pictures \(cls, id, in.png, out.png\)"):
        mnistprep.read(path)
    found = mnistprep.read(path, image="out.png", label="id").splits["train"]
    same(Split(DIGITS.images[1:2], np.array([5])), found.images, found.labels)
    for option in ("image", "label"):
        with pytest.raises(FormatError, match=f"no {'picture' if option == 'image' else 'label'}"):
            mnistprep.read(path, **{"image": "in.png", option: "nothing"})


@pytest.mark.parametrize("field", ["id", "index", "inx", "txt"])
def test_numbers_of_samples_are_no_labels(tmp_path: Path, field: str) -> None:
    """A number that counts the samples is refused; an option says that it is the label."""
    one = picture(DIGITS.images[0])
    content = [(f"{k:03}.{end}", data) for k in range(30) for end, data in
               (("png", one), (field, b"%d" % (k * 7 % 30 + 5)))]  # fmt: skip
    tar(tmp_path / "x" / "train-0.tar", content[:30])
    tar(tmp_path / "x" / "train-1.tar", content[30:])
    for path in (tmp_path / "x", tmp_path / "x" / "train-0.tar"):
        with pytest.raises(FormatError, match=rf"\.{field} is another number for each sample") as e:
            mnistprep.read(path)
        assert f"label={field}" in str(e.value)
        assert mnistprep.read(path, label=field).splits["train"].labels[0] == 5
    with_label = [*content[:2], ("000.cls", b"1")]
    assert mnistprep.read(tar(tmp_path / "y.tar", with_label)).splits["train"].labels == [1]
    twice = [*content[:22], ("1.png", one), (f"1.{field}", b"5")]
    assert len(mnistprep.read(tar(tmp_path / "z.tar", twice))) == 12


def test_shards_of_many_names_find_their_splits(tmp_path: Path) -> None:
    """Splits by file names or folders, numbers in order, bystanders ignored."""
    halves = [members()[:6], members()[6:]]
    for layout in (
        ("train-9.tar", "train-10.tar", "t10k.tar"),
        ("train/000.tar", "train/001.tar", "val/000.tar"),
        ("x-train-00000-of-00002.tar", "x-train-00001-of-00002.tar", "x-dev-00000-of-00001.tar"),
    ):
        folder = tmp_path / layout[0].replace("/", "-")
        for name, content in zip(layout, (*halves, members()), strict=True):
            tar(folder / name, content)
        (folder / "README.md").write_text("hello")
        (folder / "croissant.json").write_text("{}")
        found = mnistprep.read(folder)
        assert [len(part) for part in found.splits.values()] == [6, 6]
        assert list(found.splits)[1] in ("valid", "test")
        same(DIGITS, found.splits["train"].images, found.splits["train"].labels)


def test_what_belongs_to_no_sample_is_said(tmp_path: Path) -> None:
    """Folders are passed over, litter and webdataset's own metadata with a note."""
    content = [
        ("._0000.png", b"junk"),
        ("README", b"hello"),
        ("__meta__/x.json", b"{}"),
        *members(),
    ]
    path = tar(tmp_path / "x.tar", content)
    with tarfile.open(path, "a") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    notes = Notes()
    found = mnistprep.read(path, progress=notes).splits["train"]
    same(DIGITS, found.images, found.labels)
    assert len(notes.notes) == 1
    assert "._0000.png, README, __meta__/x.json" in notes.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[::2] + m[1::2], "sample 0000: its members are not next to each other"),
        (lambda m: m[:5] + m[6:], r"sample 0002: no \.cls"),
        (lambda m: m[:4] + m[5:], r"sample 0002: no \.png"),
        (lambda m: [*m[:4], *m[2:]], r"sample 0001: \.png is there twice"),
        (lambda m: [*m, *m[:2]], "sample 0000: its members are not next to each other"),
        (lambda m: [*m[:3], ("0001.cls", b"seven"), *m[4:]], "'seven', which is no label number"),
        (lambda m: [*m[:3], ("0001.cls", b"-1"), *m[4:]], "'-1', which is no label number"),
        (lambda m: [*m[:3], ("0001.cls", b""), *m[4:]], "'', which is no label number"),
        (lambda m: [*m[:3], ("0001.cls", b"9" * 18), *m[4:]], "must be below"),
        (lambda m: [*m[:2], ("0001.png", b"hello"), *m[3:]], "sample 0001: not a picture"),
        (
            lambda m: [*m[:2], ("0001.png", picture(np.zeros((3, 3), np.uint8))), *m[3:]],
            "sample 0001: 3x3 pixels, the others have 5x5",
        ),
        (lambda m: [*m[:4], ("0001.seg.png", b"x"), *m[4:]], r"further pictures \(seg.png\)"),
    ],
)
def test_what_would_change_the_data_is_refused(
    tmp_path: Path, change: object, message: str
) -> None:
    """Samples that are apart, doubled, incomplete or of other pictures are refused by their key."""
    with pytest.raises(FormatError, match=message) as caught:
        mnistprep.read(tar(tmp_path / "x.tar", change(members())))
    assert str(tmp_path / "x.tar") in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_are_refused(tmp_path: Path, kind: bytes) -> None:
    """No link is followed, wherever it leads."""
    path = tar(tmp_path / "x.tar", members())
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("0009.png")
        link.type, link.linkname = kind, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(FormatError, match=r"'0009.png' is a link or special file"):
        mnistprep.read(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("t-train-0.tar", "t-train-2.tar"), "shard 1 of train is missing"),
        (
            ("t-train-00000-of-00003.tar", "t-train-00002-of-00003.tar"),
            "shard 1 of train is missing",
        ),
        (("t-00001-of-99999.tar",), "shard 0 of train is missing"),
        (("mnist-train.tar", "fashion-train.tar"), "both train, of different sets"),
        (("train.tar", "more.tar"), "more.tar and train.tar are both train"),
        (("valid-0.tar", "val/0.tar"), "val is valid for a second time"),
    ],
)
def test_shards_that_are_no_set_are_refused(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    """A missing shard is found out, and two sets are never run together."""
    for name in names:
        tar(tmp_path / "set" / name, members())
    with pytest.raises(FormatError, match=message):
        mnistprep.read(tmp_path / "set")


def test_other_tars_are_left_to_others(tmp_path: Path, odd: Dataset) -> None:
    """A tar of a picture tree or of IDX files is no samples; captions are no labels."""
    for name in ("imagefolder", "idx", "csv"):
        folder = mnistprep.write(odd, tmp_path / name, name)
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            archive.add(folder, "top")
        assert "webdataset" not in formats.matches(tmp_path / f"{name}.tar")
        assert mnistprep.read(tmp_path / f"{name}.tar").digests() == odd.digests()
    captions = tar(tmp_path / "captions.tar", [members()[0], ("0000.txt", b"a digit")])
    with pytest.raises(FormatError, match="'a digit', which is no label number"):
        mnistprep.read(captions)
    shards = mnistprep.write(odd, tmp_path / "shards", "webdataset")
    with tarfile.open(tmp_path / "shards.tar.gz", "w:gz") as archive:
        archive.add(shards, "top")
    assert mnistprep.read(tmp_path / "shards.tar.gz").digests() == odd.digests()


# Damage


def test_a_truncated_shard_is_never_shorter(tmp_path: Path) -> None:
    """Cut anywhere before its end, a shard is refused."""
    data = tar(tmp_path / "whole.tar", members()[:6]).read_bytes()
    used = 12 * 512
    for size in [*range(0, used + 1, 149), *range(512, used + 1, 512)]:
        assert outcome(tmp_path / "cut.tar", data[:size]) is None, size
    assert outcome(tmp_path / "cut.tar", data[: used + 512]) is not None
    assert outcome(tmp_path / "cut.tar", data + data) is None


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    """Any damage to headers and pictures is refused; labels alone have no checksum."""
    whole = tar(tmp_path / "whole.tar", members()[:4]).read_bytes()
    right = outcome(tmp_path / "cut.tar", whole)
    labels = {512 * k for k in (3, 7)}
    for at in range(0, 8 * 512 + 20, 23):
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        found = outcome(tmp_path / "cut.tar", bytes(data))
        assert found in (None, right) or at in labels, at


@pytest.mark.parametrize("field", [b"77777777777\0", b"\x80" + b"\xff" * 11, b"-1         \0"])
def test_a_hostile_size_costs_nothing(tmp_path: Path, field: bytes) -> None:
    """A member that says it is larger than the file is refused at once."""
    data = bytearray(tar(tmp_path / "x.tar", members()).read_bytes())
    data[124:136] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert outcome(tmp_path / "y.tar", bytes(data)) is None


def test_a_hostile_comment_is_refused(tmp_path: Path) -> None:
    """A comment of mnistprep's that says nonsense is refused, and anybody else's is not read."""
    path = mnistprep.write(Dataset("x", {"train": DIGITS}, numbered(3)), tmp_path / "x.tar")
    data = path.read_bytes()
    for old, new in ((b'"shape": [5, 5]', b'"shape": [5, 0]'), (b'"train"', b'"tra/n"')):
        assert outcome(tmp_path / "y.tar", data.replace(old, new)) is None
    huge = data.replace(b'"shape": [5, 5]}}', b'"shape":[99999]}}')
    assert outcome(tmp_path / "y.tar", huge) is None
    assert outcome(tmp_path / "y.tar", data.replace(b'"mnistprep"', b'"mnistprap"')) is not None


def test_a_picture_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    """One blank picture among many small ones makes no room for as many."""
    big = picture(np.zeros((4000, 4000), np.uint8))
    content = [("0.png", big), ("0.cls", b"0")]
    for k in range(1, 60):
        content += [(f"{k}.png", b"\x89PNG"), (f"{k}.cls", b"0")]
    with pytest.raises(FormatError, match=r"bytes of pictures; .* --max-bytes"):
        mnistprep.read(tar(tmp_path / "x.tar", content))
