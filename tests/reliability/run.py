"""Throw things at mnistprep in great numbers, and record what happened.

    python tests/reliability/run.py                         everything, hours
    python tests/reliability/run.py kills rot               some parts
    python tests/reliability/run.py fuzzing --case idx --count 5000
    python tests/reliability/run.py --json run.json         keeps the figures
    python tests/reliability/run.py --results run.json --write-docs

Exit code 1 when something happened that must not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

# The folder of the package in place of the script's own, whose names would hide those of others.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from reliability import page
from reliability.trials import PARTS, part

_MEMORY = Path("/dev/shm")


def main() -> None:
    """Run what was asked for, or take what was recorded before; print, write, exit."""
    chosen = _arguments()
    if chosen.one:
        _one(*chosen.one)
        return
    if chosen.results:
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in chosen.results]
    else:
        runs = [_record(chosen)]
    record = page.joined(runs)
    if chosen.json:
        chosen.json.write_text(page.dumped(record), encoding="utf-8")
    if chosen.write_docs:
        page.write(record)
    failures = [text for row in record["cases"] for text in row["shown"]]
    print("\n".join(failures), file=sys.stderr, end="\n" if failures else "")
    sys.exit(any(row["failures"] for row in record["cases"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--case", action="append", help="a case of the part, by name; repeatable")
    parser.add_argument("--count", type=int, help="trials per case; each part has its own default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cases at a time")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"), help="the date of the record")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--results", type=Path, nargs="+", help="recorded before, instead of a run")
    parser.add_argument("--write-docs", action="store_true", help="docs/reliability.md and .json")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    return chosen


def _record(chosen: argparse.Namespace) -> dict[str, Any]:
    work = [
        (name, case, chosen.count or part(name).COUNT, chosen.seed)
        for name in chosen.parts or PARTS
        for case in part(name).cases()
        if not chosen.case or case in chosen.case
    ]
    record: dict[str, Any] = {
        "date": chosen.date,
        "machine": machine.describe(_MEMORY),
        "cases": [],
    }
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for row in pool.map(lambda each: _in_a_process(*each), work):
            print(page.line(row), flush=True)
            record["cases"].append(row)
            if chosen.json:  # what is done is kept, whatever happens to the rest
                chosen.json.write_text(page.dumped(record), encoding="utf-8")
    return record


def _in_a_process(name: str, case: str, count: int, seed: int) -> dict[str, Any]:
    """A case in a process of its own, with its time and the memory of its largest process."""
    command = [sys.executable, __file__, "--one", name, case, str(count), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = done.stderr.strip()[-2000:] or f"exit code {done.returncode}"
        row = {"case": case, "tried": 0, "outcomes": {}, "failures": 1, "shown": [last]}
    else:
        row = json.loads(done.stdout.splitlines()[-1])
    return {"part": name, "seed": seed, **row}


def _one(name: str, case: str, count: str, seed: str) -> None:
    begun = time.monotonic()
    folder = str(_MEMORY) if _MEMORY.is_dir() else gettempdir()
    with TemporaryDirectory(prefix="mnistprep-reliability-", dir=folder) as work:
        trials = part(name).run(case, int(count), int(seed), Path(work))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    row = {
        **trials.document(),
        "seconds": round(time.monotonic() - begun, 1),
        "peak_mb": max(each.ru_maxrss for each in used) >> 10,
    }
    print("\n" + json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
