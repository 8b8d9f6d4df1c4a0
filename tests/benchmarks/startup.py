"""The smallest command and the import, against Python with what they cannot do without.

Each is a process of its own, from its start to its end.
"""

from __future__ import annotations

import sys

from benchmarks.cases import OURS, Case, Contender, Figure
from benchmarks.given import Given, program

ROUNDS = 20


def _python(statement: str, role: str = "floor") -> Contender:
    """Python that runs one statement."""
    name = OURS if role == "ours" else f"python -c '{statement}'"

    def command(given: Given) -> list[str]:
        return [sys.executable, "-c", statement]

    return Contender(name, command=command, role="ours" if role == "ours" else "floor")


def _case(name: str, ours: Contender, other: Contender) -> Case:
    return Case(name, (ours, other), (Figure(other.name, most=1.3),), pictures=(), rounds=ROUNDS)


CASES = (
    _case(
        "mnistprep --version",
        Contender(OURS, command=lambda given: program("--version"), role="ours"),
        _python("import click"),
    ),
    _case(
        "import mnistprep",
        _python("import mnistprep", role="ours"),
        _python("import click, numpy"),
    ),
)
