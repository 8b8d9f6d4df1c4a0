"""Values of CSV, labels that are not there, published files: read exactly, or refused."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from csvtables import CHANCE, FLAT, IMAGES, LABELS, Notes, frame, same, save, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mnistprep
from mnistprep.errors import FormatError

# Numbers


def numbers(pixels: np.ndarray, form: str | None = None) -> str:
    """Rows of label and pixels as pandas prints them."""
    table = frame(pixels=pixels)
    return text(table, float_format=form) if form else text(table)


@pytest.mark.parametrize("scale", [255, 256])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize(
    "form", [None, "%.3f", "%.4f", "%.6f", "%.6g", "%.8f", "%.10e", "%.18e", "%.17g", "%.5g"]
)
def test_fractions_that_are_bytes(tmp_path: Path, scale: int, kind: type, form: str | None) -> None:
    """Bytes over 255 or 256 come back from every way of printing that keeps them apart."""
    same(save(tmp_path, numbers((FLAT / scale).astype(kind), form)))
    same(save(tmp_path, numbers(FLAT.astype(kind) / kind(scale), form)))


def test_more_kinds_of_fractions(tmp_path: Path) -> None:
    """Multiplied by 1/255, in half precision, widened to double, with integers as 0.0 and 255.0."""
    same(save(tmp_path, numbers(FLAT.astype(np.float32) * np.float32(1 / 255))))
    same(save(tmp_path, numbers((FLAT / 255).astype(np.float32).astype(np.float64))))
    same(save(tmp_path, numbers((FLAT / 255).astype(np.float16))))
    same(save(tmp_path, numbers(FLAT.astype(float))))
    buffer = io.StringIO()
    np.savetxt(buffer, np.column_stack([LABELS, FLAT]))
    same(save(tmp_path, buffer.getvalue()))


def test_pixels_that_are_all_0_or_1(tmp_path: Path) -> None:
    """They are bytes, and 1.0 is said to be one; `scale=unit` takes 1 for white."""
    pixels = (FLAT > 128).astype(int)
    for values, said in ((pixels, False), (pixels.astype(float), True)):
        path = save(tmp_path, numbers(values))
        notes = Notes()
        found = mnistprep.read(path, progress=notes).splits["train"].images
        assert np.array_equal(found.reshape(30, 25), pixels)
        assert any("scale=unit" in note for note in notes.notes) == said
        found = mnistprep.read(path, scale="unit").splits["train"].images
        assert np.array_equal(found.reshape(30, 25), 255 * pixels)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("form", [None, "%.6f", "%.4f"])
def test_decimal_commas(tmp_path: Path, separator: str, form: str | None) -> None:
    """Numbers as half of Europe writes them, where no comma separates."""
    table = frame(pixels=FLAT / 255)
    same(save(tmp_path, text(table, sep=separator, decimal=",", float_format=form)))
    same(save(tmp_path, text(table.astype(float), sep=separator, decimal=",")))


CHANGED = {
    "two digits": (lambda: numbers(FLAT / 255, "%.2f"), "neither a byte nor one divided"),
    "normalised": (lambda: numbers((FLAT / 255 - 0.1307) / 0.3081), "neither a byte"),
    "noise": (lambda: numbers(FLAT / 255 + 1e-7), "were changed"),
    "other scale": (lambda: numbers(FLAT / 254), "neither a byte"),
    "halves": (lambda: numbers(FLAT + 0.5), "neither a byte"),
    "one fraction": (lambda: numbers(np.where(FLAT.max() == FLAT, 0.5, FLAT)), "not a whole"),
    "inverted sign": (lambda: numbers(-FLAT), "not a whole number"),
    "too large": (lambda: numbers(FLAT * 257), "pixels end at 255"),
    "infinite": (lambda: numbers(np.where(FLAT > 250, 1e300, FLAT)), "pixels end at 255"),
    "missing": (lambda: numbers(np.where(FLAT > 250, np.nan, FLAT)), "a missing value"),
    "thousands": (
        lambda: text(frame(pixels=FLAT + 1000), sep=";").replace(";1", ";1,"),
        "neither a",
    ),
    "two values": (lambda: numbers(np.where(FLAT > 9, 0.996, 0.0)), "divided by 255 or by 256"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_what_was_changed_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    """Numbers that are no bytes any more, or could be two, are never rounded to some."""
    make, reason = CHANGED[kind]
    path = save(tmp_path, make())
    with pytest.raises(FormatError, match=reason) as caught:
        mnistprep.read(path, "csv")
    assert str(path) in str(caught.value)


def test_random_numbers_are_refused_soon(tmp_path: Path) -> None:
    """Thousands of different numbers are no bytes, and are not collected without end."""
    table = CHANCE.random((200, 101))
    table[:, 0] = 1
    with pytest.raises(FormatError, match="neither bytes nor bytes divided"):
        mnistprep.read(save(tmp_path, text(pandas.DataFrame(table), header=False)))


# What is no table


def workbook() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n <!DOCTYPE html><html>sign in, please, now, or never</html>", "a web page of 60 byt"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "a Git LFS pointer"),
        (workbook(), "a spreadsheet under the name of a CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a spreadsheet under the name"),
        (b"", "an empty file"),
        (b"\n\n\n", "no rows|no format"),
        (bytes(range(256)) * 9, "not plain text|no format"),
    ],
    ids=["page", "pointer", "xlsx", "xls", "empty", "blank", "binary"],
)
def test_what_is_no_table_is_called_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    """Alone, told to be CSV, or beside a good file, the reason is the true one."""
    path = save(tmp_path, content, "test.csv")
    for format in (None, "csv"):
        with pytest.raises(FormatError, match=reason):
            mnistprep.read(path, format)
    save(tmp_path, text(), "train.csv")
    with pytest.raises(FormatError, match=rf"test\.csv: ({reason}|no rows of pictures)"):
        mnistprep.read(tmp_path)


# Labels that are not there, and folders of others


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """A folder as the Digit Recognizer's archive has it, of fewer and smaller pictures."""
    table = frame()
    save(tmp_path, text(table), "train.csv")
    save(tmp_path, text(table.drop(columns="label")[:7]), "test.csv")
    save(tmp_path, "ImageId,Label\n1,0\n2,0\n", "sample_submission.csv")
    return tmp_path


def test_pictures_without_labels_are_refused_or_asked_for(kaggle: Path) -> None:
    """The refusal names the file and both ways out; asked for, they are one more class."""
    with pytest.raises(FormatError) as caught:
        mnistprep.read(kaggle)
    for word in ("test.csv", "no column is called `label`", "--unlabelled", "train.csv"):
        assert word in str(caught.value)
    said = Notes()
    found = mnistprep.read(kaggle, unlabelled=True, progress=said)
    assert found.classes == (*"0123456789", "unlabelled")
    assert found.splits["test"].labels.tolist() == [10] * 7
    assert np.array_equal(found.splits["test"].images, IMAGES[:7])
    assert np.array_equal(found.splits["train"].labels, LABELS)
    assert "sample_submission.csv" in "\n".join(said.notes)


@pytest.mark.parametrize("header", [True, False])
def test_a_file_without_labels_has_one_class(tmp_path: Path, header: bool) -> None:
    """With nothing else there, `unlabelled` is the only class; an index is left out."""
    table = frame().drop(columns="label")
    path = save(tmp_path, text(table, header=header), "test.csv")
    with pytest.raises(FormatError, match="--unlabelled"):
        mnistprep.read(path)
    for data in (text(table, header=header), str(table.to_csv())):
        save(tmp_path, data, "test.csv")
        found = mnistprep.read(path, unlabelled=True)
        assert found.classes == ("unlabelled",)
        assert np.array_equal(found.splits["test"].images, IMAGES)
        assert not found.splits["test"].labels.any()


def test_what_was_unlabelled_stays_so_when_written(kaggle: Path, tmp_path: Path) -> None:
    """The class has its name in the next form too, which needs no option to be read."""
    found = mnistprep.read(kaggle, unlabelled=True)
    again = mnistprep.read(mnistprep.write(found, tmp_path / "out", "csv"))
    assert again.classes == found.classes
    assert again.digests() == found.digests()


def test_several_files_of_a_split_are_refused(tmp_path: Path) -> None:
    """Two train files, or one beside a file of no split's name, are not put together."""
    save(tmp_path, text(), "train.csv")
    save(tmp_path, text().replace(",0", ",1"), "more.csv")  # an equal one is a copy
    with pytest.raises(FormatError, match=r"more\.csv and train\.csv are both train"):
        mnistprep.read(tmp_path)


# Anything


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_dialect_is_read_exactly_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """pandas writes some pictures in some dialect; what is read are these pictures, or nothing."""
    side, count = data.draw(st.integers(4, 6)), data.draw(st.integers(1, 12))
    pixels = data.draw(st.binary(min_size=side * side, max_size=side * side))
    images = np.array([np.roll(np.frombuffer(pixels, np.uint8), 7 * k) for k in range(count)])
    labels = np.array(data.draw(st.lists(st.integers(0, 12), min_size=count, max_size=count)))
    scale = data.draw(st.sampled_from([None, 1.0, 255, 256]))
    values = images if scale is None else images / scale
    names = data.draw(st.sampled_from(["pixel{}", "{}", "x_{}", "V{}"]))
    table = pandas.DataFrame(values, columns=[names.format(k) for k in range(side * side)])
    header = data.draw(st.booleans())
    words = data.draw(st.booleans())
    at = data.draw(st.sampled_from([0, side * side] if not header else [0, 3, side * side]))
    table.insert(at, "label", [f"class {k}" for k in labels] if words else labels)
    content = table.to_csv(
        sep=data.draw(st.sampled_from([",", ";", "\t", "|", " "])),
        quoting=data.draw(st.sampled_from([0, 1, 2])),
        index=data.draw(st.booleans()),
        header=header,
        lineterminator=data.draw(st.sampled_from(["\n", "\r\n", "\r"])),
        float_format=data.draw(st.sampled_from([None, "%.6g", "%.8f"])) if scale != 1.0 else None,
    )
    path = save(tmp_path, str(content).encode(data.draw(st.sampled_from(["utf-8", "utf-16"]))))
    try:
        found = mnistprep.read(path, "csv")
    except FormatError:
        return
    split = found.splits["train"]
    if header:  # without names, a label of zeros beside ink in the last corner cannot be told
        assert np.array_equal(split.images.reshape(count, -1), images)
        expected = [f"class {k}" for k in labels] if words else [str(k) for k in labels]
        assert [found.classes[k] for k in split.labels] == expected


@pytest.mark.parametrize("form", ["plain", "general", "packed"])
def test_damage_is_refused_or_harmless(tmp_path: Path, form: str) -> None:
    """Cut anywhere or with a byte changed, a file reads as pictures or raises FormatError."""
    data = text(frame(pixels=FLAT / 255) if form == "general" else frame())[:1500].encode()
    data = gzip.compress(data, mtime=0) if form == "packed" else data
    chance = np.random.default_rng(5)
    path = tmp_path / "train.csv"
    for k in range(250):
        damaged = bytearray(data[: chance.integers(len(data))] if k % 2 else data)
        for at in chance.integers(0, max(len(damaged), 1), 2):
            if damaged:
                damaged[at] = chance.integers(256)
        path.write_bytes(damaged)
        try:
            mnistprep.read(path, "csv")
        except FormatError as error:
            assert str(path) in str(error)
