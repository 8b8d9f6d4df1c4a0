"""The most memory that an export takes, as a whole process, in every format."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import Case, Contender, Figure
from benchmarks.given import Given, program
from benchmarks.ours import NEEDS, read_back

LIMIT = 300  # MB
# All of them, which a test sees to; importing them here would count as memory of each.
FORMATS = (
    "idx", "idx-gz", "pkl", "imagefolder", "csv", "npz", "pt", "safetensors", "parquet", "arrow",
    "webdataset", "tfrecord", "hdf5", "mat", "arff", "libsvm",
)  # fmt: skip


def _export(form: str) -> Callable[[Given], list[str]]:
    def command(given: Given) -> list[str]:
        output = str(given.target(form))
        return program("export", "--format", form, *given.source, "--output", output, "--quiet")

    return command


CASES = (
    Case(
        "mnistprep export",
        tuple(
            Contender(
                form,
                content=read_back(form),
                command=_export(form),
                role="ours",
                needs=NEEDS.get(form, ()),
                rounds=2,
            )
            for form in FORMATS
        ),
        tuple(Figure(of=form, measure="together_mb", most=LIMIT) for form in FORMATS),
        inputs=("idx",),
    ),
)
