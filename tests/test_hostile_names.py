"""Names of files and classes that are made to fool a terminal, a page or a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mnistprep
from mnistprep import Dataset, Split, cli
from mnistprep._text import printable
from mnistprep.errors import FetchError, FormatError
from mnistprep.evaluation import evaluate
from mnistprep.training import fit, save_checkpoint

NAMES = {
    "newline": "a\nError: b", "carriage return": "a\rb", "colour": "\x1b[31ma",
    "title": "\x1b]0;a\7",
    "8-bit escape": "\x9b31ma", "backspace": "a\b\b", "override": "\u202egnp.x",
    "isolate": "\u2066a",
    "mark": "\u200fa", "separator": "a\u2028b", "next line": "a\x85b", "form feed": "a\x0cb",
    "delete": "a\x7f", "dash": "--json", "script": "<script>alert(1)<\\script>",
    "attribute": "a\" onload='alert(1)' x=\"", "comment": "--><img src=x onerror=alert(1)>",
    "template": "{{7*7}}{% raw %}", "formula": "=1+1", "format": "{0.__class__}%s%n",
    "ampersand": "&lt;b&#62;", "not UTF-8": os.fsdecode(b"\xff\xfe"), "long": "x" * 200,
    "tag": "\U000e0041a", "zero width": "a\u200bb",
}  # fmt: skip
_BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028\u2029")


def digits(classes: tuple[str, ...]) -> Dataset:
    """Eight pictures of each of the classes, in two splits."""
    random = np.random.default_rng(1)
    count = 8 * len(classes)
    labels = np.arange(count) % len(classes)
    splits = {
        name: Split(random.integers(0, 256, (count, 28, 28), dtype=np.uint8), labels)
        for name in ("train", "test")
    }
    return Dataset("x", splits, classes)


class Page(HTMLParser):
    """The scripts, handlers and foreign addresses of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what would run or reach out."""
        self.scripts += tag == "script"
        for key, value in attrs:
            if key.startswith("on") or (
                "alert(" in (value or "") and key in ("href", "src", "style")
            ):
                self.found.append(f"{tag} {key}={value}")
        if tag in ("iframe", "object", "embed", "base", "form"):
            self.found.append(tag)


def run(*arguments: str) -> tuple[int, str]:
    """The exit code of a command, and all that it printed."""
    result = CliRunner().invoke(cli.main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def clean(output: str, name: str) -> None:
    """Nothing in an output acts on a terminal or passes for another line."""
    assert not any(c != "\n" and not c.isprintable() for c in output), repr(output)
    assert not _BIDI & set(output)
    assert name.isprintable() or name not in output


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in ("newline", "override") else pytest.mark.slow)
        for kind in NAMES
    ],
)
def test_no_name_reaches_the_terminal_raw(tmp_path: Path, kind: str) -> None:
    """Every command, on files and classes so named, prints text, and JSON that is JSON."""
    name = NAMES[kind]
    classes = (name.encode("utf-8", "replace").decode(), "1", f"{kind} 2")
    folder = tmp_path / name
    folder.mkdir()
    source = digits(classes)
    data, tree = folder / f"{name[:40]}.npz", folder / "tree"
    mnistprep.write(source, data)
    mnistprep.write(source, tree, "imagefolder")
    model, broken = folder / "model.npz", folder / "broken.npz"
    trained = fit(source.splits["train"], classes=classes, recipe="numpy", epochs=1)
    save_checkpoint(trained, model)
    broken.write_bytes(data.read_bytes()[:400])
    picture = str(next(tree.rglob("*.png")))
    page = folder / f"{name[:40]}.html"
    for arguments in (
        ("inspect", str(data)), ("inspect", str(tree)), ("inspect", str(broken)),
        ("inspect", str(folder)), ("inspect", str(folder / name)),
        ("convert", str(data), str(folder / "again.csv")), ("convert", str(data), str(data)),
        ("convert", str(data), str(folder / f"{name[:40]}.tfr"), "--to", "csv"),
        ("verify", str(data), "--input", str(tree), "--no-train"),
        ("verify", str(broken), "--input", str(tree), "--no-train"),
        ("evaluate", str(model), "--input", str(data)),
        ("predict", str(model), picture, "--as-is"), ("predict", str(model), str(broken)),
        ("predict", str(data), picture), ("evaluate", str(broken), "--input", str(data)),
        ("report", str(data), str(model), "--output", str(page)),
        ("report", str(broken), "--output", str(page)),
    ):  # fmt: skip
        for extra in ((), ("--json",)):
            code, output = run(*arguments, *extra)
            assert code in (0, 1, 2)
            clean(output, name)
            if extra and arguments[0] != "report":
                start = output.index("{")
                json.JSONDecoder().raw_decode(output[start:])
    found = page.read_bytes().decode()
    assert not any(ord(c) < 32 and c not in "\n\t" for c in found)
    assert not _BIDI & set(found)
    plain = mnistprep.write(digits(("0", "1", "2")), tmp_path / "plain.npz")
    ours = tmp_path / "plain.html"
    run("report", str(plain), str(model), "--output", str(ours))
    assert Page(found).found == []
    assert Page(found).scripts == Page(ours.read_text()).scripts


def test_messages_are_one_line(tmp_path: Path) -> None:
    """A name with line ends makes no line of its own in an error; attempts do."""
    assert str(FormatError("a\nb\x1b: c")) == "a\\nb\\x1b: c"
    assert str(FetchError("a\n  b\x1b")) == "a\n  b\\x1b"
    assert printable("\u202e\u2066\ud800") == "\\u202e\\u2066\\ud800"


def test_a_spreadsheet_runs_nothing() -> None:
    """What it would take for a formula has a mark before it; a lone sign is a class as it is."""
    classes = ("=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-1+1", "\t=1", "+", "-")
    source = digits(classes)
    model = fit(source.splits["train"], classes=classes, recipe="numpy", epochs=1)
    wrong = evaluate(model, source).to_csv()
    cells = [cell for row in csv.reader(wrong.splitlines()) for cell in row]
    assert not [cell for cell in cells if len(cell) > 1 and cell[0] in "=+-@\t"]
    assert {"'@SUM(1)", "'=cmd|' /C calc'!A0"} & set(cells)
