"""Runs every command, and tests that need no PyTorch, on each Python and with the oldest libraries.

    python tests/interpreters.py [VERSION]... [--newest]

Builds the wheel, and for each Python that is there (python3.10 and so on on the path, or pyenv's)
makes a fresh environment of it, the libraries of constraints.txt (--newest: whatever is newest) and
pytest. Then the oldest Python once more, with the lower bounds, as constraints-oldest.txt has them.
Says which Python is missing; the exit code is 1 when anything fails, or none is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from email import message_from_bytes
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from everycommand import check

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
OLDEST = ROOT / "tests" / "constraints-oldest.txt"
# Every form to every other, a server that misbehaves, streams and threads.
TESTS = ("test_download.py", "test_pairs.py", "test_environment.py")


def interpreter(version: str) -> str | None:
    """A Python of that version that runs, if there is one."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    ours = [str(path) for path in sorted(home.glob(f"{version}.*/bin/python"))]
    for python in (*ours, shutil.which(f"python{version}")):
        if python and not subprocess.run([python, "-c", "import ssl"], check=False).returncode:
            return python
    return None


def libraries(wheel: Path) -> list[str]:
    """What a wheel of mnistprep and its extras ask for, without PyTorch."""
    with zipfile.ZipFile(wheel) as archive:
        (place,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(place))
    asked = [line.partition(";") for line in metadata.get_all("Requires-Dist", ())]
    needed = [
        name for name, _, marker in asked if not marker or '"all"' in marker.replace("'", '"')
    ]
    return [name.strip() for name in needed if not name.startswith("torch")]


def tried(python: str, wheel: Path, constraints: Path | None) -> str | None:
    """Install and run everything with one Python; returns what went wrong, if anything."""
    with tempfile.TemporaryDirectory(prefix="mnistprep-") as name:
        folder = Path(name)
        own = str(folder / "venv" / "bin" / "python")
        pinned = ["-c", str(constraints)] if constraints else []
        install = [own, "-m", "pip", "install", "-q", "--no-warn-conflicts", *pinned]
        tools = [*libraries(wheel), "pytest", "hypothesis"]
        (folder / "work").mkdir()
        chosen = [str(ROOT / "tests" / test) for test in TESTS]
        steps = (
            [python, "-m", "venv", folder / "venv"],
            [*install, *tools],
            [*install, "--no-deps", wheel],
            [own, "-W", "error", "-X", "dev", ROOT / "tests" / "everycommand.py",
             folder / "work", folder / "results"],
            [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        )  # fmt: skip
        settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                    "MNISTPREP_OFFLINE": "1", "MNISTPREP_HOME": str(folder / "cache"),
                    "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # fmt: skip
        for step in steps:
            ran = subprocess.run(step, cwd=folder / "work" if "-m" in step else ROOT, env=settings,
                                 capture_output=True, text=True, check=False)  # fmt: skip
            if ran.returncode:
                return f"{step}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
        for run in json.loads((folder / "results").read_text("ascii"))["runs"]:
            if fault := check(run, ascii_only=False):
                return fault
        return None


def main(arguments: list[str]) -> int:
    """Run all that is asked for; say how each went."""
    asked = [word for word in arguments if not word.startswith("-")] or list(VERSIONS)
    constraints = None if "--newest" in arguments else ROOT / "constraints.txt"
    found = {version: python for version in asked if (python := interpreter(version))}
    for version in asked:
        if version not in found:
            print(f"Python {version}: missing; docs/contributing.md says how to get it")
    failures = 0
    with tempfile.TemporaryDirectory(prefix="mnistprep-") as name:
        build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", name, str(ROOT)]
        subprocess.run(build, check=True)
        (wheel,) = Path(name).glob("*.whl")
        jobs = [(f"Python {version}", python, constraints) for version, python in found.items()]
        if VERSIONS[0] in found:
            jobs.append(("oldest libraries", found[VERSIONS[0]], OLDEST))
        for what, python, pinned in jobs:
            begun = time.perf_counter()
            fault = tried(python, wheel, pinned)
            failures += fault is not None
            seconds = time.perf_counter() - begun
            print(f"{what}: {'FAILED' if fault else 'right'} ({seconds:.0f} s)", flush=True)
            if fault:
                print(re.sub("^", "    ", fault, flags=re.MULTILINE))
    return 1 if failures or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
