"""What a page says of a verification: a row per format or path, and every problem."""

from __future__ import annotations

from dataclasses import dataclass

from mnistprep._truth import NONE, OTHER, WRONG
from mnistprep.report.display import plural, share, text
from mnistprep.verification import Check, VerifyReport

ROWS = 300  # shown of a verification
PROBLEMS = 40  # shown of each check, and ten times as many of all
_LENGTH = 400  # letters of a problem
_WORDS = {OTHER: "right, in another order", WRONG: "wrong", NONE: "not compared"}


@dataclass(frozen=True)
class CheckRow:
    """A check: what was checked, and how it came out; tone: good, bad or plain."""

    name: str
    format: str
    tone: str
    verdict: str
    content: str
    accuracy: str
    seconds: str
    problems: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class ChecksPart:
    """All that a page shows of a verification."""

    dataset: str
    right: bool
    headline: str
    summary: str
    rows: tuple[CheckRow, ...]
    more: int


def describe(report: VerifyReport) -> ChecksPart:
    """The checks of a verification as a table, and what to say of all of them.

    Where there are too many for a page, those that failed come first.
    """
    checks = report.checks
    if len(checks) > ROWS:
        checks = tuple(sorted(checks, key=lambda check: check.right))[:ROWS]
    rows, left = [], 10 * PROBLEMS
    for check in checks:
        rows.append(_row(check, min(PROBLEMS, left)))
        left -= len(rows[-1].problems)
    wrong = sum(not check.right for check in report.checks)
    refused = sum(check.refused is not None for check in report.checks)
    trained = sum(check.accuracy is not None for check in report.checks)
    how = "by digest and by training" if trained else "by digest"
    said = [f"Compared with {text(report.dataset)} {how}"]
    said += [f"{wrong:,} of {plural(len(report.checks), 'check')} failed"] if wrong else []
    said += [f"{plural(refused, 'form')} cannot hold it"] if refused else []
    return ChecksPart(
        dataset=text(report.dataset),
        right=report.right,
        headline="Verified" if report.right else "Not right",
        summary=f"{'; '.join(said)}.",
        rows=tuple(rows),
        more=len(report.checks) - len(rows),
    )


def _row(check: Check, most: int) -> CheckRow:
    problems = [*check.problems, *([f"cannot hold it: {check.refused}"] if check.refused else [])]
    tone, verdict = ("good", "right") if check.right else ("bad", "wrong")
    if check.refused:
        tone, verdict = "plain", "refused"
    return CheckRow(
        name=text(check.path or check.format),
        format=text(check.format),
        tone=tone,
        verdict=verdict,
        content=_WORDS.get(check.order, "right, in order"),
        accuracy="–" if check.accuracy is None else share(check.accuracy),
        seconds=f"{check.seconds:.1f}",
        problems=tuple(text(problem, _LENGTH) for problem in problems[:most]),
        more=max(0, len(problems) - most),
    )
