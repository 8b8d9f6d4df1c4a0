"""A process of its own that opens hostile files, and tells what it did and how much it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# What no reading of data does. An audit hook cannot be taken off, so that each run is a process.
WATCH = """
import json, os, resource, sys
import mnistprep
from mnistprep.errors import MnistprepError
import mnistprep.formats.pkl, mnistprep.training.checkpoints, torch, pickle, mnistprep.formats.npz
import mnistprep.formats.pt, mnistprep.convert
from mnistprep.training import load_checkpoint

top = os.getcwd()
said, deeds = {}, []
FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "webbrowser.", "code.__new__",
             "pty.", "ftplib.", "urllib.", "builtins.input", "syslog.")
ALLOWED = ("os.scandir", "os.listdir", "os.putenv", "os.walk")

def watch(event, arguments):
    if event.startswith(FORBIDDEN) and event not in ALLOWED:
        deeds.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        deeds.append(f"open {arguments[0]} {arguments[1]}")
    elif event in ("compile", "exec") and "proof" in repr(arguments):
        deeds.append(event)

warm = json.loads(sys.argv[1])
for name in warm[:1]:  # what is imported at the first use is imported before
    for function in (mnistprep.read, load_checkpoint):
        try:
            function(name)
        except MnistprepError:
            pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.addaudithook(watch)
for name in warm:
    for function in (mnistprep.read, load_checkpoint):
        del deeds[:]
        try:
            function(name)
            words = "read"
        except MnistprepError as error:
            words = f"refused: {error}"
        except BaseException as error:
            words = f"FAILED: {error!r}"
        said.setdefault(name, []).append([words, list(deeds)])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"said": said, "grown": (after - before) << 10}))
"""


def opened(paths: list[Path], folder: Path, *, timeout: int = 120) -> dict[str, Any]:
    """What became of each file, as a dataset and as a model, in a process that is watched.

    said: by path, twice the words and the forbidden deeds; grown: bytes that the process grew by.
    """
    result = subprocess.run(
        [sys.executable, "-c", WATCH, json.dumps([str(path) for path in paths])],
        cwd=folder, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    found: dict[str, Any] = json.loads(result.stdout)
    return found
