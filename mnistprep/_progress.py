"""How long work reports on itself: the library calls a Progress, the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What readers, writers, downloads and the trainer call; all methods must return at once."""

    def start(self, what: str, total: int | None, unit: str) -> None:
        """A phase begins: `what` is a short phrase, `total` its size in `unit` if known."""

    def advance(self, count: int) -> None:
        """`count` more units of the phase are done."""

    def note(self, message: str) -> None:
        """One line that the person should see, such as what a form cannot keep."""


class Quiet:
    """A Progress that shows nothing and forgets everything."""

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Ignore the phase."""

    def advance(self, count: int) -> None:
        """Ignore the step."""

    def note(self, message: str) -> None:
        """Ignore the line."""


quiet = Quiet()
