"""The command line, run as a person runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mnistprep
from mnistprep import Dataset
from mnistprep.cli import main

SYNTH = "synth:120,40"
LEFTOVERS = ".mnistprep-*"


def run(
    *arguments: str | Path, cwd: Path, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run mnistprep in a folder; check the exit code, and that no traceback is ever shown."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mnistprep", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in result.stderr
    assert result.returncode == code, result.stdout + result.stderr
    assert not list(cwd.glob(f"**/{LEFTOVERS}"))
    return result


@pytest.fixture
def npz(tmp_path: Path, odd: Dataset) -> Path:
    """The odd dataset as mnist.npz."""
    return mnistprep.write(odd, tmp_path / "odd.npz")


def test_export_writes_the_default_folder_and_refuses_to_do_it_twice(tmp_path: Path) -> None:
    """The name comes from dataset and format; a second run changes nothing; --overwrite does."""
    first = run("export", "--format", "imagefolder", "--dataset", SYNTH, cwd=tmp_path)
    folder = tmp_path / "synth_images"
    assert "train 120, test 40" in first.stdout
    assert len(list(folder.glob("*/*/*.png"))) == 160
    marker = folder / "mine.txt"
    marker.write_text("x")
    again = run("export", "--format", "imagefolder", "--dataset", SYNTH, cwd=tmp_path, code=1)
    assert "exists already" in again.stderr
    assert marker.exists()
    run("export", "--format", "imagefolder", "--dataset", SYNTH, "--overwrite", cwd=tmp_path)
    assert not marker.exists()


def test_export_selects_and_passes_options(tmp_path: Path, npz: Path) -> None:
    """-O, --split, --limit and the rest reach the writer; an input is as good as a dataset."""
    run(
        *("export", "--format", "csv", "--input", npz, "--split", "train", "--limit", "5"),
        *("-O", "header=none", "--output", "out"),
        cwd=tmp_path,
    )
    lines = (tmp_path / "out" / "mnist_train.csv").read_text().splitlines()
    assert len(lines) == 5
    assert not (tmp_path / "out" / "mnist_test.csv").exists()


def test_convert_takes_the_format_from_the_name(tmp_path: Path, npz: Path, odd: Dataset) -> None:
    """A suffix says what to write; without one --to is asked for."""
    run("convert", npz, "copy.safetensors", cwd=tmp_path)
    assert mnistprep.read(tmp_path / "copy.safetensors").digests() == odd.digests()
    asked = run("convert", npz, "copy", cwd=tmp_path, code=2)
    assert "--to" in asked.stderr
    run("convert", npz, "copy", "--to", "idx", cwd=tmp_path)


def test_json_is_one_document_and_nothing_else(tmp_path: Path, npz: Path, odd: Dataset) -> None:
    """Every command prints one JSON document with --json, notes inside."""
    written = json.loads(run("convert", npz, "a.pkl.gz", "--json", cwd=tmp_path).stdout)
    assert written["selected"] == {"train": 37, "test": 13}
    assert any("class names" in note for note in written["notes"])
    found = json.loads(run("inspect", npz, "--json", cwd=tmp_path).stdout)
    assert found["contents"]["test"]["digest"]["images"] == odd.digests()["test"].images
    assert found["contents"]["test"]["identity"] == "unknown"
    report = json.loads(
        run("verify", npz, "--input", npz, "--no-train", "--json", cwd=tmp_path).stdout
    )
    assert report["right"] is True
    names = [
        row["name"] for row in json.loads(run("formats", "--json", cwd=tmp_path).stdout)["formats"]
    ]
    assert names == list(mnistprep.formats.FORMATS)
    rows = json.loads(run("datasets", "--json", cwd=tmp_path).stdout)["datasets"]
    assert {"mnist", "fashion-mnist", "kmnist", "synth"} <= {row["name"] for row in rows}


def test_quiet_says_nothing(tmp_path: Path, npz: Path) -> None:
    """--quiet leaves nothing on either stream when all goes well."""
    result = run("convert", npz, "a.pkl.gz", "--quiet", cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("", "")


def test_inspect_says_what_is_there_and_draws_it(tmp_path: Path, npz: Path) -> None:
    """Format, shape, classes, counts, digests; and a contact sheet that Pillow opens."""
    from PIL import Image

    result = run("inspect", npz, "--preview", "sheet.png", cwd=tmp_path)
    for expected in ("npz", "12 x 20", "37 examples", "11: class/0", "unknown"):
        assert expected in result.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "L"
        assert sheet.height == 2 + 11 * (12 + 2)
    run("inspect", npz, "--preview", "sheet.png", cwd=tmp_path, code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inspect", "nowhere"], 2, ["nowhere", "does not exist"]),
        (["inspect", "empty"], 1, ["empty folder"]),
        (["inspect", "page.gz"], 1, ["web page"]),
        (["inspect", "evil.pkl"], 1, ["evil.pkl", "system", "nothing was run"]),
        (["inspect", "short.npz"], 1, ["short.npz"]),
        (["convert", "odd.npz", "out", "--to", "jpeg"], 2, ["jpeg", "imagefolder"]),
        (["convert", "odd.npz", "out.npz", "-O", "levle=3"], 2, ["levle", "did you mean", "level"]),
        (["convert", "odd.npz", "out.npz", "-O", "level=high"], 2, ["level=int"]),
        (["convert", "odd.npz", "out.npz", "-O", "level=77"], 2, ["0 to 9"]),
        (["convert", "odd.npz", "file.txt", "--to", "npz"], 1, ["file.txt", "exists already"]),
        (["convert", "odd.npz", "out.npz", "--split", "valid"], 2, ["valid", "train, test"]),
        (["convert", "odd.npz", "file.txt/out.npz"], 1, ["cannot write"]),
        (["export", "--format", "npz", "--dataset", "mnits"], 2, ["did you mean 'mnist'"]),
        (["export", "--format", "npz", "--dataset", "synth:x"], 2, ["synth:TRAIN"]),
        (["export", "-f", "npz", "--dataset", "mnist", "--input", "odd.npz"], 2, ["give one"]),
        (["export", "-f", "npz", "--from", "csv"], 2, ["no --input"]),
        (["convert", "odd.npz", "odd.npz", "--overwrite"], 1, ["is or holds the source"]),
        (["convert", "folder", "folder/x.npz", "--overwrite"], 1, ["is or holds the source"]),
        (["convert", "odd.npz", "pipe", "--to", "npz", "--overwrite"], 1, ["neither a file"]),
        (["export"], 2, ["--format"]),
        (["verify", "odd.npz", "--no-train"], 1, ["not that of", "NOT everything"]),
        (["frobnicate"], 2, ["frobnicate"]),
    ],
)
def test_wrong_input_gets_a_message_and_an_exit_code(
    tmp_path: Path, npz: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    """What a person can do wrong ends in words to act on; what was there stays as it was."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.gz").write_text("<!DOCTYPE html><html><body>403</body></html>")
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    (tmp_path / "short.npz").write_bytes(npz.read_bytes()[:900])
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    shutil.copy(npz, tmp_path / "folder" / "x.npz")
    os.mkfifo(tmp_path / "pipe")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(*arguments, cwd=tmp_path, code=code)
    for word in words:
        assert word in result.stderr + result.stdout
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_without_network_or_mirror_the_way_out_is_shown(tmp_path: Path) -> None:
    """A few seconds, exit 1, every mirror that was tried, what to do by hand, and synth."""
    begun = time.monotonic()
    result = run(
        *("export", "--format", "imagefolder"),
        cwd=tmp_path,
        code=1,
        MNISTPREP_OFFLINE="",
        HTTPS_PROXY="http://127.0.0.1:9",  # nothing listens there, so nothing leaves this machine
    )
    assert time.monotonic() - begun < 15
    for word in ("ossci-datasets", "storage.googleapis.com", "--mirror", "--dataset synth"):
        assert word in result.stderr
    assert "yann.lecun.com" not in result.stderr
    offline = run("export", "--format", "imagefolder", cwd=tmp_path, code=1)
    assert "MNISTPREP_OFFLINE" in offline.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM half way: a message, exit 1, no target, no staging folder, no worker."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mnistprep", "export", "--format", "imagefolder"),
            *("--dataset", "synth:60000,0", "--output", "tree", "--workers", "2"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while next(tmp_path.glob(f"{LEFTOVERS}/new/tree/train/*/*.png"), None) is None:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit(1) limits the file size")
def test_a_full_disk_is_a_message(tmp_path: Path, npz: Path) -> None:
    """When the system takes no more bytes, the message says so and nothing stays."""
    result = subprocess.run(
        [
            *("prlimit", "--fsize=2000", sys.executable, "-m", "mnistprep"),
            *("convert", npz, "out.safetensors"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "out.safetensors" in result.stderr
    assert "Traceback" not in result.stderr
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["odd.npz", "odd.npz.mnistprep.json"]


def test_a_reader_that_closes_early_is_no_error(tmp_path: Path) -> None:
    """`| head -1` gets its line, and no traceback follows."""
    code = f"{sys.executable} -m mnistprep formats | head -1"
    result = subprocess.run(code, shell=True, capture_output=True, text=True, check=False)
    assert result.stdout.startswith("idx ")
    assert "Traceback" not in result.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Importing mnistprep, and the version, need neither NumPy nor PyTorch, requests or Pillow."""
    code = (
        "import sys, mnistprep, mnistprep.cli\n"
        "print([m for m in ('numpy', 'torch', 'requests', 'PIL', 'tqdm') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_reading_and_writing_load_neither_torch_nor_requests(tmp_path: Path, npz: Path) -> None:
    """Local files need no network library, and only `pt` needs PyTorch."""
    code = (
        "import sys, mnistprep\n"
        f"data = mnistprep.read({str(npz)!r})\n"
        f"mnistprep.write(data, {str(tmp_path / 'tree')!r}, format='imagefolder')\n"
        "print([m for m in ('torch', 'requests', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_same_command_writes_the_same_bytes(tmp_path: Path, npz: Path) -> None:
    """Twice, and with one worker or two: the same tree to the byte."""
    trees = []
    for name, workers in (("a", "1"), ("b", "2"), ("c", "2")):
        run(
            *("export", "--format", "imagefolder", "--dataset", "synth:2500,100"),
            *("--output", name, "--workers", workers),
            cwd=tmp_path,
        )
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        trees.append({str(p.relative_to(tmp_path / name)): p.read_bytes() for p in files})
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) == 2602


def test_help_has_examples_that_name_real_options(tmp_path: Path) -> None:
    """Every command shows examples; the group shows every command."""
    shown = run("--help", cwd=tmp_path).stdout
    from mnistprep.cli import COMMANDS

    for name in COMMANDS:
        assert f"\n  {name} " in shown
        assert "Examples:" in run(name, "--help", cwd=tmp_path).stdout


def test_mirror_folder_with_the_pickle_alone_is_a_source_of_mnist(
    tmp_path: Path, real_digits: Path
) -> None:
    """A folder with mnist.pkl.gz and nothing else gives the published digests, in order."""
    (tmp_path / "have").mkdir()
    shutil.copy(real_digits / "mnist.pkl.gz", tmp_path / "have")
    run("export", "--format", "idx", "--mirror", "have", "--output", "out", cwd=tmp_path)
    shown = run("inspect", "out", cwd=tmp_path).stdout
    assert "MNIST train, complete, original order" in shown
    assert "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db" in shown
    labels = np.fromfile(tmp_path / "out/MNIST/raw/t10k-labels-idx1-ubyte", np.uint8)[8:]
    assert labels[:3].tolist() == [7, 2, 1]


def test_a_failure_is_json_too(tmp_path: Path, npz: Path) -> None:
    """With --json a failure is one JSON document as well, beside the message on stderr."""
    result = run("convert", npz, npz.parent, "--to", "npz", "--json", cwd=tmp_path, code=1)
    assert "exists already" in json.loads(result.stdout)["error"]
    assert "exists already" in result.stderr


def test_a_mirror_inside_the_target_is_never_overwritten(tmp_path: Path) -> None:
    """--overwrite does not take the folder that the dataset is to come from."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("mine")
    run(
        *("export", "-f", "idx", "--mirror", "data", "--output", "data", "--overwrite"),
        cwd=tmp_path,
        code=1,
    )
    assert (tmp_path / "data" / "thesis.tex").exists()


def test_a_dead_mirror_in_the_environment_hinders_nothing_else(tmp_path: Path) -> None:
    """MNISTPREP_MIRROR is asked for published datasets only; a wrong one is said there."""
    gone = str(tmp_path / "gone")
    run("export", "-f", "npz", "--dataset", SYNTH, cwd=tmp_path, MNISTPREP_MIRROR=gone)
    failed = run("export", "-f", "npz", cwd=tmp_path, code=1, MNISTPREP_MIRROR=gone)
    assert "gone" in failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "missing.npz"],
        ["inspect", ".", "-R", "nope=1"],
        ["convert", "missing.npz", "out.csv"],
        ["export", "--format", "csv", "--limit", "-1"],
        ["export", "--format", "csv", "--split", "nope"],
        ["export", "--format", "nope"],
        ["export", "--format", "csv", "-O", "nope=1"],
    ],
)
def test_wrong_values_are_a_document_too(tmp_path: Path, arguments: list[str]) -> None:
    """With --json, standard output has one document also where an option's value is wrong."""
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["exit_code"] == 2
    assert found["error"]
