"""What a command writes never takes the place of what it reads, --overwrite or not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mnistprep
from mnistprep import Dataset
from mnistprep._outputs import refuse, refuse_same
from mnistprep.cli import main
from mnistprep.convert import convert
from mnistprep.errors import FormatError, MnistprepError, TargetError, UsageError
from mnistprep.inspection import inspect
from mnistprep.report.writing import write_report

RAW = Path("MNIST/raw")
TRAIN = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The embedded dataset's first pictures."""
    return mnistprep.load("synth:40,20")


@pytest.fixture
def files(tmp_path: Path, digits: Dataset) -> Path:
    """A folder `ix` of IDX files."""
    return mnistprep.write(digits, tmp_path / "ix", "idx")


def run(*arguments: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [*map(str, arguments)])


def contents(folder: Path) -> dict[Path, bytes]:
    """The bytes of all files of a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", ".", "-o", "{labels}"),
        ("report", ".", "-o", "mnistprep.json"),
        ("report", "{images}", "-o", "{labels}"),
        ("report", "--dataset", "mnist", "--mirror", ".", "-o", "{labels}"),
        ("inspect", ".", "--labels", "{labels}"),
        ("inspect", "{images}", "--labels", "{labels}"),
        ("inspect", ".", "--labels", "MNIST/../mnistprep.json"),
        ("train", "--input", ".", "--recipe", "numpy", "--epochs", "1", "-o", "{labels}"),
        ("train", "--input", "{images}", "--recipe", "numpy", "--epochs", "1", "-o", "{labels}"),
        ("train", "--mirror", ".", "--recipe", "numpy", "-o", "{labels}"),
        ("convert", "{images}", "{labels}", "--to", "npz"),
        ("convert", "{labels}", "{images}", "--to", "idx"),
        ("convert", "{images}", "MNIST/raw/t10k-labels-idx1-ubyte", "--to", "npz"),
        ("convert", ".", "{labels}", "--to", "npz"),
        ("export", "--input", "{images}", "-f", "npz", "-o", "{labels}"),
        ("export", "--dataset", "mnist", "--mirror", ".", "-f", "npz", "-o", "{labels}"),
        ("export", "--dataset", "mnist", "--mirror", ".", "-f", "idx", "-o", "{labels}"),
        ("convert", "MNIST", "../link", "--to", "npz"),
    ],
)
def test_what_is_read_is_not_overwritten(
    files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Files in a source folder, the partner of a source file, links to them: all stay, and why."""
    monkeypatch.chdir(files)
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    monkeypatch.setenv("MNISTPREP_HOME", str(files.parent / "home"))
    os.symlink(files / RAW / TRAIN[0], "../link")
    before = contents(files)
    paths = {"images": RAW / TRAIN[0], "labels": RAW / TRAIN[1]}
    result = run(*(word.format(**paths) for word in arguments), "--overwrite")
    assert result.exit_code == 1
    assert "not overwritten" in result.output
    assert contents(files) == before


def test_the_parts_of_a_source_stay(tmp_path: Path, digits: Dataset) -> None:
    """The labels of a sheet, and the array beside an array, are read with what is named."""
    import numpy as np

    split = digits.splits["train"]
    np.save(tmp_path / "x_train.npy", split.images)
    np.save(tmp_path / "y_train.npy", split.labels)
    with pytest.raises(TargetError, match="belongs with"):
        convert(tmp_path / "x_train.npy", tmp_path / "y_train.npy", target_format="npz",
                overwrite=True)  # fmt: skip
    inspect(mnistprep.write(digits, tmp_path / "d.npz"), preview=tmp_path / "sheet.png")
    (tmp_path / "sheet.csv").write_text("7\n" * 160)
    with pytest.raises(TargetError, match="belongs with"):
        refuse(tmp_path / "sheet.csv", overwrite=True, sources=[tmp_path / "sheet.png"])
    refuse(tmp_path / "sheet.csv", overwrite=True, sources=[tmp_path / "d.npz"])
    with pytest.raises(TargetError, match="belongs with"):
        convert(tmp_path / "d.npz", tmp_path / "d.npz.mnistprep.json", target_format="npz",
                overwrite=True)  # fmt: skip


@pytest.mark.parametrize("target", ["tree/sub", "tree/train/10", "tree/new.npz"])
def test_nothing_is_converted_into_its_source(tmp_path: Path, digits: Dataset, target: str) -> None:
    """A target within the source folder is refused, since it would be read with it next time."""
    tree = mnistprep.write(digits, tmp_path / "tree", "imagefolder")
    name = "npz" if target.endswith("npz") else "imagefolder"
    with pytest.raises(TargetError, match="part of the source"):
        convert(tree, tmp_path / target, target_format=name)
    assert mnistprep.read(tree).digests() == digits.digests()
    assert not (tmp_path / target).exists()


def test_a_new_file_may_lie_beside_what_it_was_made_from(tmp_path: Path, digits: Dataset) -> None:
    """`mnistprep convert . mnist.npz` in a folder of tables changes nothing of theirs."""
    folder = mnistprep.write(digits, tmp_path / "x", "idx")
    convert(folder, folder / "mnist.npz")
    assert mnistprep.read(folder, "idx").digests() == digits.digests()
    assert mnistprep.read(folder / "mnist.npz").digests() == digits.digests()


def test_a_preview_is_not_put_among_the_pictures(tmp_path: Path, digits: Dataset) -> None:
    """A contact sheet within an image tree would be one of its pictures; elsewhere it is not."""
    tree = mnistprep.write(digits, tmp_path / "tree", "imagefolder")
    with pytest.raises(TargetError, match="one of the pictures"):
        inspect(tree, preview=tree / "sheet.png")
    assert mnistprep.read(tree).digests() == digits.digests()
    inspect(mnistprep.write(digits, tmp_path / "ix", "idx"), preview=tmp_path / "ix" / "sheet.png")


def test_what_a_command_has_written_it_may_replace(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that lies in the source folder: a page, a model, a label table, an export."""
    monkeypatch.chdir(files)
    before = {name: contents(files / RAW)[files / RAW / name] for name in TRAIN}
    train = ("train", "--input", ".", "--recipe", "numpy", "--epochs", "1", "--quiet")
    for arguments in (
        ("report", ".", "-o", "page.html"),
        ("inspect", ".", "--labels", "labels.txt"),
        (*train, "-o", "model.npz"),
        ("export", "--dataset", "synth:4,2", "-f", "csv", "-o", "rows"),
    ):
        monkeypatch.setenv("MNISTPREP_MIRROR", str(files))
        for more in ((), ("--overwrite",)):
            result = run(*arguments, *more)
            assert result.exit_code == 0, result.output
    shutil.rmtree("rows")
    Path("model.npz").unlink()
    assert {name: (files / RAW / name).read_bytes() for name in TRAIN} == before
    assert len(mnistprep.read(files).splits["train"]) == 40


def test_two_outputs_are_two_files(files: Path, tmp_path: Path) -> None:
    """A preview and a label table in one place are refused before either is written."""
    for other in ("p.png", "x/../p.png"):
        (tmp_path / "x").mkdir(exist_ok=True)
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="two files"):
                inspect(
                    files, preview=tmp_path / "p.png", labels=tmp_path / other, overwrite=overwrite
                )
    assert not (tmp_path / "p.png").exists()
    os.symlink("p.png", tmp_path / "l.png")
    with pytest.raises(UsageError, match="two files"):
        refuse_same(tmp_path / "p.png", tmp_path / "l.png", "two")
    refuse_same(tmp_path / "p.png", tmp_path / "q.png", "two")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that fails to read")
def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk under a model, a document or a mirror says which file it is."""
    bad = "/proc/self/mem"
    monkeypatch.setenv("MNISTPREP_OFFLINE", "1")
    monkeypatch.setenv("MNISTPREP_HOME", str(tmp_path / "home"))
    for call in (
        lambda: mnistprep.evaluate(bad, mnistprep.load("synth:4,2")),
        lambda: mnistprep.predict(bad, ["x.png"]),
        lambda: write_report(tmp_path / "page.html", bad),
    ):
        with pytest.raises(FormatError, match=f"cannot read {bad}"):
            call()
    with pytest.raises(MnistprepError, match=f"{bad}: cannot be read: {os.strerror(errno.EIO)}"):
        mnistprep.fetch("mnist", [bad])
