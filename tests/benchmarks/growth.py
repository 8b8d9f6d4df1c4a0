"""What twenty times as many pictures cost: time for each, and the most memory, as whole processes.

An export of drawn digits from IDX files, `mnistprep export --input IDX`, so that the time is that
of the format; and one of `--dataset synth:N`, which draws them on the way.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import Case, Contender, Figure
from benchmarks.given import Given, program
from benchmarks.ours import NEEDS

FEW, MANY = 60_000, 1_200_000
_MANY = {"imagefolder": 200_000}  # so many files
SLOWER, LARGER = 1.15, 1.10


def _named(count: int) -> str:
    return f"{count:,} pictures"


def _export(form: str, count: int, *, drawn: bool) -> Callable[[Given], list[str]]:
    def command(given: Given) -> list[str]:
        source = (
            ["--dataset", f"synth:{given.scaled(count)},0"]
            if drawn
            else ["--input", str(given.made(f"synth:{count}"))]
        )
        output = str(given.target(form))
        return program("export", "--format", form, *source, "--output", output, "--quiet")

    return command


def _case(form: str, *, drawn: bool = False) -> Case:
    counts = FEW, _MANY.get(form, MANY)
    few, many = map(_named, counts)
    return Case(
        f"{form}, digits drawn on the way" if drawn else f"{form}, from IDX files",
        tuple(
            Contender(
                _named(count),
                command=_export(form, count, drawn=drawn),
                role="ours",
                needs=NEEDS.get(form, ()),
                rounds=3,
                pictures=count,
            )
            for count in counts
        ),
        (
            Figure(few, of=many, measure="each", most=SLOWER),
            Figure(few, of=many, measure="together_mb", most=LARGER),
        ),
        inputs=() if drawn else tuple(f"synth:{count}" for count in counts),
    )


CASES = (
    *(_case(form) for form in ("idx", "csv", "imagefolder", "webdataset", "parquet")),
    _case("idx", drawn=True),
)
