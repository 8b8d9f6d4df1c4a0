"""The parts of what is thrown at mnistprep, and the result of throwing one thing many times."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType

PARTS = ("kills", "fuzzing", "round_trips", "rot")
SHOWN = 20


def part(name: str) -> ModuleType:
    """The module of a part: TITLE, ABOUT, COUNT, cases() and run(case, count, seed, folder)."""
    return import_module(f"reliability.{name}")


@dataclass
class Trials:
    """How often each outcome was seen; a failure is an outcome that must not be.

    `outcomes` counts what is allowed, under a few words that a reader understands, such as
    "refused" or "the same content". `failures` describes each thing that must not happen well
    enough to do it again.
    """

    case: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """Trials made, failed ones among them."""
        return sum(self.outcomes.values()) + len(self.failures)

    def document(self) -> dict[str, object]:
        """What is recorded, ready for JSON."""
        return {
            "case": self.case,
            "tried": self.tried,
            "outcomes": dict(sorted(self.outcomes.items())),
            "failures": len(self.failures),
            "shown": self.failures[:SHOWN],
        }
