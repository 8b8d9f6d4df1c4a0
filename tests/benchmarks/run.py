"""Measure mnistprep beside its peers and the floors, and print a table for each piece of work.

    python tests/benchmarks/run.py                       everything, about half an hour
    python tests/benchmarks/run.py --only tree,tables    some groups
    python tests/benchmarks/run.py --short               tiny sizes: does everything still run?
    python tests/benchmarks/run.py --write-docs          writes docs/benchmarks.md, too

Exit code 1 when mnistprep raises, or gives other content than the digits; never because of a time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp
from time import monotonic
from typing import Any

# The folder of the package in place of the script's own, whose names would hide those of others.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine, page, summary
from benchmarks.cases import GROUPS, cases
from benchmarks.given import Given
from benchmarks.measuring import Runner, environment, measured

DOCS = Path(__file__).resolve().parents[2] / "docs"
_MEMORY = Path("/dev/shm")


def main() -> None:
    """Measure what was asked for, or take what was measured before; print, write, exit."""
    chosen = _arguments()
    if chosen.results:
        results = [json.loads(path.read_text()) for path in chosen.results]
    else:
        results = [_measure(chosen)]
    if chosen.write_docs:
        (DOCS / "benchmarks.json").write_text(_dumped(results), encoding="utf-8")
        (DOCS / "benchmarks.md").write_text(page.render(results), encoding="utf-8")
    failures = [text for run in results for case in run["cases"] for text in summary.failures(case)]
    print("\n".join(failures), file=sys.stderr, end="\n" if failures else "")
    sys.exit(bool(failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("MNISTPREP_TEST_DATA") or None,
        help="digits in any readable form  [default: MNISTPREP_TEST_DATA, else drawn ones]",
    )
    parser.add_argument(
        "--only", type=_groups, default=list(GROUPS), help=f"groups, of {', '.join(GROUPS)}"
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds of what is not slow")
    parser.add_argument("--short", action="store_true", help="tiny sizes, one round, drawn digits")
    parser.add_argument("--no-peers", action="store_true", help="mnistprep and the floors alone")
    parser.add_argument(
        "--work", type=Path, help="where files are written  [default: /dev/shm or the temp folder]"
    )
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    parser.add_argument("--date", help="the date of the run, for the page")
    parser.add_argument(
        "--results",
        type=Path,
        nargs="+",
        help="measure nothing: take the JSON of earlier runs, the second and later from elsewhere",
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="write docs/benchmarks.json and benchmarks.md"
    )
    return parser.parse_args()


def _groups(text: str) -> list[str]:
    found = text.split(",")
    if unknown := set(found) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: no such group")
    return [name for name in GROUPS if name in found]


def _measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """All cases that were asked for, each printed as soon as it is done."""
    home = chosen.work or (_MEMORY if machine.filesystem(_MEMORY) == "tmpfs" else gettempdir())
    work = Path(mkdtemp(prefix="mnistprep-benchmarks-", dir=home))
    try:
        os.environ.update(environment(work))
        data = None if chosen.short or not chosen.data else Path(chosen.data).resolve()
        (work / "inputs").mkdir()
        about = machine.describe(work)
        runner = Runner(Given(work, work / "out", data, chosen.short), gpu=bool(about["gpu"]))
        runner.prepare("idx")
        found: list[dict[str, Any]] = []
        results: dict[str, Any] = {
            "machine": about,
            "data": {name: runner.given.about[name] for name in ("name", "sizes")},
            "short": chosen.short,
            "date": chosen.date,
            "repeats": chosen.repeats,
            "minutes": 0.0,
            "cases": found,
        }
        begun = monotonic()
        for group in chosen.only:
            for case in cases(group):
                row = measured(runner, group, case, chosen.repeats, peers=not chosen.no_peers)
                print(summary.on_screen(row), flush=True)
                found.append(row)
                results["minutes"] = (monotonic() - begun) / 60
                if chosen.json:  # what an interrupted run has measured is not lost
                    chosen.json.write_text(_dumped(results), encoding="utf-8")
        return results
    finally:
        rmtree(work, ignore_errors=True)


def _dumped(found: Any) -> str:
    """JSON with as many digits as a clock has meaning for."""
    return json.dumps(_rounded(found), indent=1, ensure_ascii=False) + "\n"


def _rounded(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _rounded(each) for name, each in found.items()}
    if isinstance(found, (list, tuple)):
        return [_rounded(each) for each in found]
    return float(f"{found:.5g}") if isinstance(found, float) else found


if __name__ == "__main__":
    main()
