"""Runs every command of mnistprep, each in a process of its own, and says how it went.

    python everycommand.py FOLDER RESULTS [USER]

The processes are forked from one that has imported what they need, so that all of them take a few
seconds. What this interpreter was started with (its options, locale, variables) they have too, and
they run as the user of that number. RESULTS gets the JSON of {"runs": [{"argv", "code", "out",
"err"}, ...], "files": {path: [mode, SHA-256], ...}}, paths and texts in latin-1, that is byte by
byte. Every path has a space, letters beyond ASCII, an escape sequence and bytes that are no UTF-8.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import locale
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.cli import COMMANDS, main

ODD = os.fsdecode("a b é数 \x1b[31m".encode())
WILD = os.fsdecode(b"\xff\xe9 wild")
OFFLINE = os.environ.get("MNISTPREP_OFFLINE") == "1"  # or `fetch` would ask the published mirrors
PRELOADED = ("convert", "evaluation", "inspection", "prediction", "report.writing", "sources",
             "training.runs", "verification")  # fmt: skip
CLASSES = (
    "zéro",
    "数字",
    "a,b;'\"",
    "x\x1b[31m\u202e",
    "CON",
    "con",
    "e\u0301",
    "\u00e9",
    "",
    " . ",
)


def digits() -> Dataset:
    """90 drawn digits in classes with all kinds of names."""
    drawn = mnistprep.load("synth:60,30")
    return Dataset("digits", dict(drawn.splits), CLASSES)


def available() -> list[str]:
    """The formats that need nothing which is not installed here."""
    needs_torch = {"pt"} if find_spec("torch") is None else set()
    return [
        name for name in formats.FORMATS if not formats.missing(name) and name not in needs_torch
    ]


def lines(folder: Path) -> list[list[str]]:
    """The commands to run, in order: what one writes another reads."""
    source, model = folder / "digits.npz", folder / f"model {ODD}.npz"
    made = []
    for name in available():
        target = folder / formats.default_output(name, f"{WILD} {ODD}")
        made += [
            ["convert", str(source), str(target), "--to", name],
            ["inspect", str(target)],
            ["verify", str(target), "--input", str(source), "--no-train"],
        ]
    picture = folder / "one.png"
    return [
        *made,
        ["export", "--format", "csv", "--dataset", "synth:20,10", "--output", str(folder / "e")],
        ["export", "--format", "csv", "--dataset", "synth:20,10", "--output", str(folder / "e")],
        *([["fetch", "--mirror", str(folder / f"nowhere {ODD}")]] if OFFLINE else []),
        ["verify", "--dataset", "synth:20,10", "--no-train", "--format", "csv", "--json"],
        ["train", "--recipe", "numpy", "--epochs", "1", "--input", str(source), "-o", str(model)],
        ["evaluate", str(model), "--input", str(source)],
        ["evaluate", str(model), "--input", str(source), "--csv"],
        ["predict", str(model), str(picture)],
        ["predict", str(model), str(picture), "--json"],
        ["report", str(model), str(source), "--output", str(folder / f"{ODD}.html")],
        ["inspect", str(source), "--json"],
        ["inspect", str(folder / f"nothing {ODD} {WILD}")],
        ["inspect", str(folder / f"empty {ODD} {WILD}")],
        ["inspect", str(folder / f"empty {ODD} {WILD}"), "--json"],
        ["convert", str(source), str(folder / f"x {ODD} {WILD}")],
        ["convert", str(source), str(folder / "x"), "--to", ODD],
        ["convert", str(source), str(folder / "x.npz"), "-O", f"{ODD}={WILD}"],
        ["export", "--format", "npz", "--dataset", f"{ODD}{WILD}"],
        [f"{ODD}{WILD}"],
        [f"--{ODD}{WILD}"],
        ["formats"],
        *(["formats", name] for name in formats.FORMATS),
        *([name] for name in ("datasets", "recipes")),
        *([name, "--json"] for name in ("datasets", "recipes", "formats")),
        ["datasets", "kmnist"],
        ["recipes", "numpy"],
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in COMMANDS),
    ]


def run(argv: list[str], folder: Path) -> dict[str, Any]:
    """Run one command in a forked process; returns what it printed, and its exit code."""
    paths = folder / "out.txt", folder / "err.txt"
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        for number, path in enumerate(paths, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        try:
            main(argv, prog_name="mnistprep")
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else 99)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(98)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    out, err = (path.read_bytes().decode("latin-1") for path in paths)
    shown = [os.fsencode(word).decode("latin-1") for word in argv]
    return {"argv": shown, "code": code, "out": out, "err": err}


def check(run: dict[str, Any], *, ascii_only: bool) -> str | None:
    """What is wrong with how a command ended or what it printed; None when nothing is."""
    argv, code, out, err = run["argv"], run["code"], run["out"], run["err"]
    shown = (out + err).replace("\n", "")
    # What cannot be: a source or target that is not there, a cache that is empty.
    said = any(name in argv[-1] for name in ("nothing ", "empty ", f"x {ODD[:3]}"))
    fails = said or argv[:2] == ["fetch", "--mirror"]
    faults = {
        "an exit code that says nothing": code not in (0, 1, 2),
        "a failure": code != 0 and argv[0] in ("verify", "train", "evaluate", "predict", "report"),
        "no failure": code == 0 and fails,
        "a traceback": "Traceback" in shown,
        "a warning": "Warning" in shown,
        "a failure without a word": code != 0 and "rror" not in shown,
    }
    if "--csv" in argv:  # data for other programs, in UTF-8 as they are
        out.encode("latin-1").decode("utf-8")
    else:
        faults["raw control characters"] = any(ord(c) < 32 or ord(c) == 127 for c in shown)
        faults["what is not ASCII"] = ascii_only and not shown.isascii()
    if "--json" in argv:
        json.loads(out)
    found = [fault for fault, there in faults.items() if there]
    return f"{found}: {run}" if found else None


def files(folder: Path) -> dict[str, tuple[str, str]]:
    """The mode and the SHA-256 of everything in a folder that was written there by a command."""
    return {
        os.fsencode(path.relative_to(folder)).decode("latin-1"): (
            oct(path.stat().st_mode),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
        if path.name not in ("out.txt", "err.txt")
    }


def prepare(folder: Path) -> None:
    """Make what the commands read, and import what they need."""
    for name in PRELOADED:
        importlib.import_module(f"mnistprep.{name}")
    source = digits()
    mnistprep.write(source, folder / "digits.npz")
    few = {"test": Split(source.splits["test"].images[:1], source.splits["test"].labels[:1] * 0)}
    mnistprep.write(Dataset("one", few, ("zero",)), folder / "one", "imagefolder")
    (picture,) = (folder / "one" / "test").glob("*/*.png")
    picture.rename(folder / "one.png")
    for argv in lines(folder):
        if argv[0] == "inspect" and Path(argv[1]).name.startswith("empty"):
            Path(argv[1]).mkdir(exist_ok=True)


if __name__ == "__main__":
    place, results = Path(sys.argv[1]), Path(sys.argv[2])
    locale.setlocale(locale.LC_ALL, "")  # as a program with a window does
    prepare(place)
    answer = results.open("w", encoding="ascii")
    if sys.argv[3:]:
        for path in (place, *place.rglob("*")):
            os.chown(path, int(sys.argv[3]), int(sys.argv[3]))
        os.setgroups([])
        os.setgid(int(sys.argv[3]))
        os.setuid(int(sys.argv[3]))
    runs = [run(argv, place) for argv in lines(place)]
    with answer:
        json.dump({"runs": runs, "files": files(place)}, answer)
