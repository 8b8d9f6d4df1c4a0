"""`mnistprep verify` of every format of the first table: written, read back, compared, trained."""

from __future__ import annotations

from benchmarks.cases import OURS, Case, Contender, Figure
from benchmarks.given import Given, program

FORMATS = ("idx", "idx-gz", "pkl", "imagefolder", "csv", "npz", "pt", "safetensors")


def _verify(given: Given) -> list[str]:
    asked = [part for name in FORMATS for part in ("--format", name)]
    # What so few digits teach is not enough for any figure; the digests are compared all the same.
    least = ["--min-accuracy", "0"] if given.short else []
    return program("verify", *asked, *given.source, *least, "--quiet")


CASES = (
    Case(
        "mnistprep verify, eight formats",
        (Contender(OURS, command=_verify, role="ours", needs=("torch",), rounds=2),),
        (Figure(most=60),),
        inputs=("idx",),
        pictures=(),
    ),
)
