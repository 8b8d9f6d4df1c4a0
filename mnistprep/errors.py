"""Everything mnistprep raises on purpose.

    MnistprepError
    |-- UsageError            the call itself is wrong (also a ValueError)
    |   |-- UnknownName       a format, dataset, recipe or option nobody knows
    |   `-- MissingPath       a path that does not exist (also a FileNotFoundError)
    |-- DataError             arrays that are not a split or a dataset (also a ValueError)
    |-- FormatError           a file or tree that is not what it should be
    |   `-- DetectionError    no format, or more than one, recognises a path
    |-- UnsupportedError      a form that cannot hold this dataset
    |-- TargetError           a target that exists, or cannot be written
    |-- FetchError            no source gave the dataset
    |   `-- OfflineError      nothing in the cache, and the network is not to be used
    `-- MissingDependency     an optional library is not installed (also an ImportError)

The message is written for the person at the terminal: what is wrong, where, what was expected,
what to do. It holds one or two lines, never a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

from mnistprep._text import printable

_LONGEST = 5000  # characters of a message, in which a path may have 4096


class MnistprepError(Exception):
    """Raised for anything wrong with the data, the call or the world; never for a bug.

    Its message has no control characters and an end, whatever names and numbers are in it.
    """

    def __init__(self, *words: object) -> None:
        said = (printable(word, _LONGEST) if isinstance(word, str) else word for word in words)
        super().__init__(*said)


class UsageError(MnistprepError, ValueError):
    """Raised when the call itself is wrong: an option, a value, a combination."""


class UnknownName(UsageError):
    """Raised when a name is not in a table; the message lists the names that are."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches  # not before, for the sake of a quick start

        names = list(known)
        close = get_close_matches(name, names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        listed = ", ".join(names) or "there are none"
        super().__init__(f"unknown {kind} {name!r}{hint}; known: {listed}")
        self.kind, self.name, self.known = kind, name, names

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class MissingPath(UsageError, FileNotFoundError):
    """Raised when a path given by the caller does not exist."""


class DataError(MnistprepError, ValueError):
    """Raised when arrays cannot be a Split or splits cannot be a Dataset."""


class FormatError(MnistprepError):
    """Raised when a file or tree is truncated, damaged, mislabelled or hostile."""


class DetectionError(FormatError):
    """Raised when no format recognises a path, or more than one does."""


class UnsupportedError(MnistprepError):
    """Raised before anything is written, when a form cannot hold the dataset without loss."""


class TargetError(MnistprepError):
    """Raised when a target exists already or cannot be written; it is as it was before."""


class FetchError(MnistprepError):
    """Raised when every source has failed; the message lists each attempt with its reason."""

    def __init__(self, *words: object) -> None:
        super().__init__(*words)
        lines = " ".join(map(str, words)).split("\n")  # one for each attempt
        self.args = ("\n".join(map(printable, lines)),)


class OfflineError(FetchError):
    """Raised when the cache lacks the dataset and the network is switched off."""


class MissingDependency(MnistprepError, ImportError):
    """Raised when a format needs a library that is not installed."""


def describe(error: OSError) -> str:
    """The system's own words for an error, with the file where that says more."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
