"""What commands print: fit for any terminal and encoding, and harmless where nobody reads it."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from errno import EINVAL
from typing import IO, Any

import click

from mnistprep._text import printable
from mnistprep.errors import describe


class Failure(click.ClickException):
    """An error of the library, shown as its message; exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on standard error."""
        echo(f"Error: {self.message}", err=True)


class WrongUsage(Failure):
    """An error in how the command was called; exit code 2."""

    exit_code = 2


class Misuse(click.UsageError):
    """What click says of a wrong call, with the usage; exit code 2 also where nobody reads it."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print usage and message on standard error."""
        usage = ""
        if self.ctx is not None:
            usage = f"{self.ctx.get_usage()}\nTry '{self.ctx.command_path} --help' for help.\n\n"
        echo(f"{usage}Error: {self.format_message()}", err=True)


def prepare() -> None:
    """Make the standard streams safe to use, whatever they are and whatever is printed.

    Where one is closed, the null device takes its place, since the next file that is opened would
    have its number, and what a library prints would end up in the data. What an encoding lacks
    comes out as an escape.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            number = os.open(os.devnull, os.O_RDWR)
        stream = getattr(sys, name)
        if stream is None and number:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        elif isinstance(stream, io.TextIOWrapper) and number:
            stream.reconfigure(errors="backslashreplace")


def shown(text: str) -> str:
    """The text with all control characters but line ends as escapes, and what is no text too."""
    return "\n".join(map(printable, text.split("\n")))


def echo(text: str | bytes, *, err: bool = False) -> None:
    """Print a text and a line end, or bytes as they are.

    When the reader of standard output went away (`| head -1`) the rest is dropped and the work goes
    on. Raises Failure when standard output cannot be written to for another reason, such as a full
    disk; what standard error does not take is dropped.
    """
    # Not by click.echo, which takes ASCII for a mistake and prints UTF-8.
    stream = sys.stderr if err else sys.stdout
    try:
        if isinstance(text, str):
            stream.write(f"{shown(text)}\n")
            stream.flush()
        else:
            stream.buffer.write(text)
            stream.buffer.flush()
    except OSError as error:
        _drop(stream)
        gone = isinstance(error, BrokenPipeError) or error.errno == EINVAL  # so on Windows
        if not (err or gone):
            raise Failure(f"cannot write to standard output: {describe(error)}") from None


def settle() -> None:
    """Leave nothing in the standard streams that the interpreter would fail to write at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)


def _drop(stream: IO[Any]) -> None:
    """Let the null device take what is in the stream and what comes."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
