"""docs/reliability.md: its tables come from docs/reliability.json, the record of the runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reliability.trials import part

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, RECORD = DOCS / "reliability.md", DOCS / "reliability.json"
_BLOCK = re.compile(r"(?<=<!-- recorded -->\n).*?(?=<!-- /recorded -->)", re.DOTALL)


def joined(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several records as one: of a case that is there twice, the later one counts."""
    first, *others = runs
    rows = {(row["part"], row["case"]): row for run in (first, *others) for row in run["cases"]}
    return {**first, "cases": list(rows.values())}


def dumped(record: dict[str, Any]) -> str:
    """The record as it is kept."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def write(record: dict[str, Any]) -> None:
    """Keep the record, and put its tables into the page."""
    RECORD.write_text(dumped(record), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")


def filled(text: str, record: dict[str, Any]) -> str:
    """The page with the tables of this record in the place that is marked for them."""
    tables = tuple(_tables(record))
    text, times = _BLOCK.subn(lambda _: "\n" + "\n".join(tables) + "\n", text)
    if times != 1:
        raise ValueError("the page has no single place for what is recorded")
    return text


def line(row: dict[str, Any]) -> str:
    """A case in one line, for the screen."""
    outcomes = ", ".join(f"{count:,} {name}" for name, count in row["outcomes"].items())
    return (
        f"{row['part']} {row['case']}: {row['tried']:,} tried: {outcomes}; "
        f"{row['failures']} failed; {row.get('seconds', 0):.0f} s, {row.get('peak_mb', 0)} MB"
    )


def _tables(record: dict[str, Any]) -> Iterable[str]:
    about = record["machine"]
    yield (
        f"Recorded on {record['date']}: {about['cores']} cores ({about['processor']}), "
        f"{about['memory_gb']} GB, {about['system']}, Python {about['python']}. A row is a process "
        "of its own; memory is that of its largest process, the libraries that it loads included.\n"
    )
    for name in dict.fromkeys(row["part"] for row in record["cases"]):
        what = part(name)
        rows = [row for row in record["cases"] if row["part"] == name]
        outcomes = sorted({outcome for row in rows for outcome in row["outcomes"]})
        total = sum(row["tried"] for row in rows)
        yield f"### {what.TITLE}\n\n{what.ABOUT.strip()}\n"
        heads = ["case", "tried", *outcomes, "must not be", "seconds", "peak MB"]
        yield _row(heads)
        yield _row(["---", *["---:"] * (len(heads) - 1)])
        for row in rows:
            counts = [f"{row['outcomes'].get(outcome, 0):,}" for outcome in outcomes]
            rest = [str(row["failures"]), f"{row['seconds']:.0f}", str(row["peak_mb"])]
            yield _row([row["case"], f"{row['tried']:,}", *counts, *rest])
        sums = [f"{sum(row['outcomes'].get(each, 0) for row in rows):,}" for each in outcomes]
        failures = str(sum(row["failures"] for row in rows))
        yield _row(["**all**", f"{total:,}", *sums, failures, "", ""]) + "\n"
        if lacking := [case for case in what.cases() if case not in {row["case"] for row in rows}]:
            yield f"Run short with every change, and not yet recorded long: {', '.join(lacking)}.\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
