"""Any picture in MNIST's form: what the form is, what comes back as it is, what makes no odds."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from handwriting import CONDITIONS, FONT, HANDS, black_on_white, ink, photograph, picture
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import mnistprep
from mnistprep.drawings import as_digit, as_is, open_picture
from mnistprep.errors import FormatError, MissingPath, MnistprepError, UsageError

Field = npt.NDArray[np.uint8]


def drawn(digit: int = 5, seed: int = 0) -> Image.Image:
    """A drawing, black on white, 240x300."""
    random = np.random.default_rng(seed)
    return picture(255 * (1 - ink("school", digit, random, size=(240, 300), height=170)))


def differs(one: Field, other: Field) -> float:
    """The mean difference of two fields as a share of the mean ink of both."""
    gap = np.abs(one.astype(float) - other).mean()
    return float(gap / np.mean([one.mean(), other.mean()]))


def differs_placed(one: Field, other: Field) -> float:
    """`differs`, with one field moved by the pixel that rounding of the centre may decide."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(differs(np.roll(one, move, (0, 1)), other) for move in moves)


def assert_in_form(field: Field, shape: tuple[int, int] = (28, 28)) -> None:
    """White on black, in the box, the centre of mass at the centre."""
    assert (field.dtype, field.shape) == (np.uint8, shape)
    lines, columns = np.nonzero(field)
    high, wide = np.ptp(lines) + 1, np.ptp(columns) + 1
    room = [round(side * 20 / 28) for side in shape]
    assert max(high / room[0], wide / room[1]) == 1
    assert field.max() > 200
    for axis, side in ((0, shape[0]), (1, shape[1])):
        middles = np.arange(side) + 0.5
        centre = (field.sum(1 - axis) * middles).sum() / field.sum()
        assert side // 2 <= centre < side // 2 + 1


# The form


@pytest.mark.parametrize("hand", [*HANDS, FONT])
def test_drawings_are_brought_into_the_form(hand: str) -> None:
    """20 pixels high or wide, white on black, centred by mass, whoever drew it."""
    for digit in range(10):
        random = np.random.default_rng(digit)
        assert_in_form(as_digit(black_on_white(hand, digit, random)))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_is_brought_into_the_form(condition: str) -> None:
    """Also photographs, transparent, coloured, tiny and huge pictures."""
    random = np.random.default_rng(3)
    assert_in_form(as_digit(CONDITIONS[condition]("round", 3, random)))


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (64, 48), (12, 20), (14, 14), (101, 99)])
def test_fields_of_other_shapes(shape: tuple[int, int]) -> None:
    """The box is as large a part of another field, and the aspect ratio is kept."""
    field = as_digit(drawn(), shape)
    assert_in_form(field, shape)
    lines, columns = np.nonzero(field)
    high, wide = np.nonzero(np.asarray(drawn()) < 128)
    ratio = (np.ptp(lines) + 1) / (np.ptp(columns) + 1)
    assert ratio == pytest.approx(np.ptp(high) / np.ptp(wide), rel=0.15)


def test_a_model_of_single_pixels_gets_one() -> None:
    """The smallest field there is takes a picture, too."""
    assert as_digit(drawn(), (1, 1)).shape == (1, 1)
    assert as_digit(drawn(), (1, 30)).shape == (1, 30)


def test_thin_lines_stay_visible() -> None:
    """A line of two pixels in a picture of 2000 becomes a stroke of two pixels in the box of 20."""
    line = Image.new("L", (2000, 2000), 255)
    line.paste(0, (999, 300, 1001, 1700))
    field = as_digit(line)
    assert (np.count_nonzero(field, axis=0) == 20).sum() == 2
    assert (field[4:24].max(1) > 200).all()


def test_thick_strokes_keep_what_they_enclose() -> None:
    """A marker of a quarter of the height leaves the holes of an 8 open."""
    random = np.random.default_rng(1)
    share = ink("school", 8, random, size=(300, 300), height=200, pen=0.2)
    field = as_digit(picture(255 * (1 - share)))
    middle = field[:, 10:19].min(1)
    inside = np.flatnonzero(middle < 100)
    assert (np.diff(inside[(inside > 5) & (inside < 24)]) > 1).any()


# As it is


def assert_as_they_are(images: Field) -> None:
    for image in images:
        assert np.array_equal(as_digit(Image.fromarray(image)), image)


@pytest.mark.slow
def test_the_real_digits_are_in_the_form(real_digits: Path) -> None:
    """Every one of the 70,000 comes back to the bit."""
    dataset = mnistprep.read(real_digits)
    assert sum(map(len, dataset.splits.values())) == 70_000
    for split in dataset.splits.values():
        assert_as_they_are(split.images)


def test_drawn_digits_are_in_the_form() -> None:
    """So does every picture of synth."""
    assert_as_they_are(mnistprep.load("synth:3000,0").splits["train"].images)


def test_pngs_of_a_tree_come_back_as_they_are(tmp_path: Path) -> None:
    """From files, and from copies as other programs store them."""
    dataset = mnistprep.load("synth:20,0")
    mnistprep.write(dataset, tmp_path / "tree", "imagefolder")
    files = sorted((tmp_path / "tree").glob("train/*/*.png"))
    assert len(files) == 20
    found = {as_digit(open_picture(file)).tobytes() for file in files}
    assert found == {image.tobytes() for image in dataset.splits["train"].images}
    image = dataset.splits["train"].images[0]
    for mode in ("RGB", "RGBA", "LA", "P", "I;16"):
        values = image.astype(np.uint16) * 257 if mode == "I;16" else image
        copy = Image.fromarray(values)
        copy.convert(mode).save(tmp_path / "copy.png")
        assert np.array_equal(as_digit(open_picture(tmp_path / "copy.png")), image), mode


def test_a_picture_of_the_right_size_alone_is_not_in_the_form() -> None:
    """28x28 black on white, off-centre, or too small is brought into it, much as it was before."""
    image = mnistprep.load("synth:1,0").splits["train"].images[0]
    moved = np.roll(image, (-3, 3), (0, 1))
    half = np.zeros((28, 28), np.uint8)
    half[2:16, 12:26] = np.asarray(Image.fromarray(image).resize((14, 14)))
    for other in (255 - image, moved, 255 - moved, half):
        field = as_digit(Image.fromarray(other))
        assert_in_form(field)
        larger = as_digit(Image.fromarray(np.pad(image, 20)))
        assert differs(field, larger) < 0.5


def test_the_form_is_kept_once_there() -> None:
    """Doing it twice changes nothing."""
    for name, condition in CONDITIONS.items():
        field = as_digit(condition("quick", 7, np.random.default_rng(5)))
        assert np.array_equal(as_digit(Image.fromarray(field)), field), name


# What makes no odds


def test_the_same_picture_gives_the_same_field() -> None:
    """Nothing is left to chance."""
    photo = photograph("mouse", 4, np.random.default_rng(8))
    assert np.array_equal(as_digit(photo), as_digit(photo))


@pytest.mark.parametrize("digit", range(10))
def test_colour_place_and_size_make_no_odds(digit: int) -> None:
    """Inverted, moved, with more paper, twice and half as large: nearly the same field."""
    original = drawn(digit, seed=digit)
    field = as_digit(original)
    values = np.asarray(original)
    assert np.array_equal(as_digit(Image.fromarray(255 - values)), field)
    assert differs(as_digit(Image.fromarray(np.roll(values, (11, -17), (0, 1)))), field) < 0.05
    margins = ((90, 10), (3, 70))
    assert differs(as_digit(Image.fromarray(np.pad(values, margins, "edge"))), field) < 0.05
    for scale in (2, 0.5):
        size = round(original.width * scale), round(original.height * scale)
        # A pixel of width or place may be rounded the other way; another digit differs by 1.
        assert differs_placed(as_digit(original.resize(size)), field) < 0.45


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_followed(orientation: int, tmp_path: Path) -> None:
    """A picture stored turned or mirrored, with EXIF that says so, is seen upright."""
    turn = Image.Transpose
    undone = (
        None, turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM,
        turn.TRANSPOSE, turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270,
    )[orientation - 1]  # fmt: skip
    original = drawn(4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = original if undone is None else original.transpose(undone)
    for suffix in ("png", "tif", "webp"):
        # Compressed, since Pillow 13 scrambles plain TIFF files that are turned a quarter.
        options = {"compression": "tiff_lzw"} if suffix == "tif" else {"lossless": True}
        stored.save(tmp_path / f"turned.{suffix}", exif=exif, **options)
        field = as_digit(open_picture(tmp_path / f"turned.{suffix}"))
        assert differs(field, as_digit(original)) < 0.02, suffix


def test_damaged_exif_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """The picture itself is whole."""
    drawn().save(tmp_path / "odd.jpg", exif=b"Exif\x00\x00 no table of tags at all")
    assert_in_form(as_digit(open_picture(tmp_path / "odd.jpg")))


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "RGBX"])
def test_every_mode_shows_the_same_digit(mode: str) -> None:
    """Bilevel, palette, print, video, and whole or real numbers."""
    original = drawn(3)
    if mode == "LAB":
        white = Image.new("L", original.size, 128)
        other = Image.merge("LAB", (original, white, white))
    else:
        other = (original.convert("RGB") if mode == "HSV" else original).convert(mode)
    assert differs(as_digit(other), as_digit(original)) < 0.1


def test_16_bits_and_real_numbers() -> None:
    """Deep greys count in full, and numbers without a known range by what they span."""
    values = np.asarray(drawn(6)).astype(np.float64)
    field = as_digit(drawn(6))
    for scaled in (
        (values * 257).astype(np.uint16),
        (values / 255).astype(np.float32),
        (values * 1e6 - 3e7).astype(np.int32),
        np.where(values < 0, np.nan, values * -1e30).astype(np.float32),
    ):
        assert differs(as_digit(Image.fromarray(scaled)), field) < 0.02


@pytest.mark.parametrize("ground", ["black", "white", "grey", "digit"])
@pytest.mark.parametrize("colour", [0, 90, 255])
def test_transparent_ground(colour: int, ground: str) -> None:
    """What is hidden below a transparent ground makes no odds, whatever colour the ink has."""
    share = ink("school", 2, np.random.default_rng(0), size=(240, 300), height=170)
    hidden = {"black": 0, "white": 255, "grey": 90, "digit": np.roll(share, 40, 1) * 255}[ground]
    levels = np.zeros((*share.shape, 4))
    levels[..., :3] = np.where(share > 0, colour, hidden)[..., None]
    levels[..., 3] = share * 255
    field = as_digit(picture(levels))
    assert differs(field, as_digit(picture(255 * (1 - share)))) < 0.02


def test_transparent_palettes_and_colours(tmp_path: Path) -> None:
    """GIFs and PNGs that name one colour as transparent are read like others."""
    original = drawn(2).point(lambda level: 255 * (level > 127))
    field = as_digit(original)
    for name, mode in (("a.gif", "P"), ("a.png", "P"), ("b.png", "L"), ("c.png", "RGB")):
        clear = (255, 255, 255) if mode == "RGB" else 255
        original.convert(mode).save(tmp_path / name, transparency=clear)
        stored = open_picture(tmp_path / name)
        assert "transparency" in stored.info
        assert differs(as_digit(stored), field) < 0.02, (name, mode)


def test_a_sticker_is_paper_with_a_drawing_on_it() -> None:
    """White with round corners cut off, thin ink: the corners are not the drawing."""
    original = drawn(7)
    corners = Image.new("L", original.size, 0)
    box = (0, 0, original.width - 1, original.height - 1)
    ImageDraw.Draw(corners).rounded_rectangle(box, 50, fill=255)
    sticker = original.convert("RGB")
    sticker.putalpha(corners)
    assert differs(as_digit(sticker), as_digit(original)) < 0.02


def test_the_first_picture_of_several_counts(tmp_path: Path) -> None:
    """Of an animation and of a TIFF with pages."""
    for name in ("moves.gif", "pages.tif", "moves.webp"):
        kwargs = {"lossless": True} if name.endswith("webp") else {}
        drawn(1).save(tmp_path / name, save_all=True, append_images=[drawn(8)], **kwargs)
        assert differs(as_digit(open_picture(tmp_path / name)), as_digit(drawn(1))) < 0.02, name


def test_the_callers_picture_is_not_changed() -> None:
    """Neither its pixels nor its size, and the result is the caller's to write to."""
    original = photograph("school", 4, np.random.default_rng(1)).convert("RGBA")
    before = original.tobytes(), original.size, original.mode
    field = as_digit(original)
    field[:] = 0
    assert (original.tobytes(), original.size, original.mode) == before
    image = mnistprep.load("synth:1,0").splits["train"].images[0]
    as_digit(Image.fromarray(image))[:] = 0
    assert image.any()


# What is not the digit


def spoilt(add: Image.Image, box: tuple[int, int]) -> Field:
    """The field of the drawing with something pasted on it."""
    paper = drawn()
    paper.paste(add, box)
    return as_digit(paper)


def test_specks_frames_and_what_the_border_cuts_off_are_left_out() -> None:
    """Dust, a line around, a table's edge and a finger make no odds."""
    field = as_digit(drawn())
    dust = Image.new("L", (9, 9), 0)
    assert differs(spoilt(dust, (20, 20)), field) < 0.02
    assert differs(spoilt(dust, (200, 280)), field) < 0.02
    assert differs(spoilt(Image.new("L", (240, 12), 40), (0, 288)), field) < 0.02
    assert differs(spoilt(Image.new("L", (40, 60), 120), (0, 0)), field) < 0.02
    framed = np.asarray(drawn()).copy()
    framed[4:6, 4:-4] = framed[-6:-4, 4:-4] = framed[4:-4, 4:6] = framed[4:-4, -6:-4] = 0
    assert differs(as_digit(Image.fromarray(framed)), field) < 0.02


def test_strokes_that_do_not_touch_belong_together() -> None:
    """The bar of a 5 that was set on apart stays."""
    body, bar = np.full((300, 240), 255, np.uint8), np.full((300, 240), 255, np.uint8)
    body[80:240, 80:100] = 0
    bar[80:100, 112:170] = 0
    both = as_digit(Image.fromarray(np.minimum(body, bar)))
    assert differs(both, as_digit(Image.fromarray(body))) > 0.3


def test_light_and_shadow_make_hardly_any_odds() -> None:
    """A slope, a vignette and a hard shadow across the digit change little."""
    share = ink("school", 3, np.random.default_rng(0), size=(600, 600), height=300)
    random = np.random.default_rng(1)
    y, x = np.mgrid[-1:1:600j, -1:1:600j]
    field = as_digit(picture(255 * (1 - share)))
    for light in (1 + 0.3 * x, 1 - 0.25 * (x**2 + y**2), np.where(x + y / 3 > 0.1, 0.6, 1)):
        levels = 190 * light * (1 - 0.6 * share) + random.normal(0, 4, share.shape)
        assert differs(as_digit(picture(levels)), field) < 0.25


# Refused


def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    """Text, a short file, an empty one, HEIC, a folder, a device, nothing at all."""
    drawn().save(tmp_path / "whole.png")
    drawn().save(tmp_path / "whole.jpg")
    contents = {
        "text.png": b"not a picture at all",
        "empty.png": b"",
        "short.png": (tmp_path / "whole.png").read_bytes()[:-200],
        "short.jpg": (tmp_path / "whole.jpg").read_bytes()[:-200],
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    }
    for name, data in contents.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"damaged|cannot be read|can be read") as caught:
            as_digit(open_picture(path))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    with pytest.raises(FormatError, match="HEIC photograph"):
        open_picture(tmp_path / "photo.heic")
    with pytest.raises(UsageError, match="is a folder"):
        open_picture(tmp_path)
    with pytest.raises(UsageError, match="not a regular file"):
        open_picture(Path(os.devnull))
    with pytest.raises(MissingPath, match="nowhere"):
        open_picture(tmp_path / "nowhere.png")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Reading from one that nobody writes to would never end."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes in this system's folders")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        open_picture(tmp_path / "pipe")


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_picture_far_larger_than_its_file_is_refused(tmp_path: Path, side: int) -> None:
    """What Pillow warns of, and what it refuses, take neither time nor memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(FormatError, match="million pixels; make it smaller"):
        open_picture(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "F"])
def test_a_picture_without_a_digit_is_refused(mode: str) -> None:
    """Blank paper, whatever its colour, is said to be blank."""
    for colour in (0, 1):
        with pytest.raises(FormatError, match=r"^mine\.png: no digit found"):
            as_digit(Image.new(mode, (300, 200), colour), name="mine.png")


def test_blank_grey_paper_is_refused() -> None:
    """Noise and a slope of light are no ink."""
    random = np.random.default_rng(0)
    levels = np.linspace(120, 190, 400) + random.normal(0, 4, (300, 400))
    with pytest.raises(FormatError, match="no digit found"):
        as_digit(picture(levels))


def test_pillows_warnings_are_not_passed_on(tmp_path: Path) -> None:
    """What it says about odd files is of no use to a person who wants an answer."""
    palette = drawn().convert("P")
    palette.save(tmp_path / "odd.png", transparency=bytes(range(256)))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        as_digit(open_picture(tmp_path / "odd.png"))
    assert not heard


# As it is, when asked for


def test_as_is_only_changes_the_mode() -> None:
    """Grey stays as it is, colour becomes grey or stays, what is transparent becomes black."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (9, 7), dtype=np.uint8)
    colour = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(as_is(Image.fromarray(grey), (9, 7)), grey)
    assert np.array_equal(as_is(Image.fromarray(colour), (9, 7, 3)), colour)
    assert np.array_equal(as_is(Image.fromarray(grey), (9, 7, 3))[..., 1], grey)
    assert as_is(Image.fromarray(colour), (9, 7)).shape == (9, 7)
    clear = np.dstack([colour, np.full((9, 7), 255, np.uint8)])
    clear[:4, :, 3] = 0
    seen = as_is(Image.fromarray(clear), (9, 7, 3))
    assert not seen[:4].any()
    assert np.array_equal(seen[4:], colour[4:])
    with pytest.raises(FormatError, match=r"^mine\.png: 9x7 pixels, .* 7x9$"):
        as_is(Image.fromarray(grey), (7, 9), name="mine.png")


# Anything at all

MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "PA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB",
         "I", "F", "I;16", "I;16B", "I;16L", "RGBX")  # fmt: skip


@given(
    mode=st.sampled_from(MODES),
    size=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    data=st.binary(max_size=400),
    shape=st.sampled_from([(28, 28), (5, 9), (1, 1), (70, 70)]),
)
@example(
    mode="F", size=(4, 1), data=struct.pack("4f", np.inf, -np.inf, np.nan, 3e38), shape=(28, 28)
)
@settings(deadline=None, max_examples=150)
def test_any_picture_gives_a_field_or_an_error_of_the_package(
    mode: str, size: tuple[int, int], data: bytes, shape: tuple[int, int]
) -> None:
    """Any mode, any size, any pixels: never anything else."""
    blank = Image.new(mode, size)
    need = len(blank.tobytes()) if 0 not in size else 0
    if need and data:
        blank = Image.frombytes(mode, size, (data * (need // len(data) + 1))[:need])
    try:
        field = as_digit(blank, shape)
    except FormatError:
        return
    assert (field.dtype, field.shape) == (np.uint8, shape)


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_any_damage_to_a_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A few wrong bytes anywhere in a file: a field or an error of the package, and no warning."""
    suffix = data.draw(st.sampled_from(["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"]))
    written = io.BytesIO()
    drawn().resize((60, 75)).save(written, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    content = bytearray(written.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"a.{suffix}"
    path.write_bytes(content)
    try:
        as_digit(open_picture(path))
    except MnistprepError as error:
        assert str(path) in str(error) or "no digit found" in str(error)
