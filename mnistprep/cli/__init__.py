"""The command line: each command is a file here that parses, makes one library call and prints."""

from __future__ import annotations

import errno
import json
import signal
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from mnistprep import __version__
from mnistprep.errors import MnistprepError, UsageError, describe

JSON = "mnistprep.json"  # in a context's meta: whether a failure is to be a JSON document too
COMMANDS = (
    "fetch", "export", "convert", "inspect", "verify",
    "train", "evaluate", "predict", "report",
    "formats", "datasets", "recipes",
)  # fmt: skip


class Failure(click.ClickException):
    """An error of the library, shown as its message; exit code 1."""


class WrongUsage(Failure):
    """An error in how the command was called; exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group that imports a command when it is used, and shows errors as messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"mnistprep.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a person can cause ends in a message and an exit code."""
        try:
            with _terminated_as_interrupted():
                return super().invoke(ctx)
        except MnistprepError as error:
            failure = (WrongUsage if isinstance(error, UsageError) else Failure)(str(error))
        except Failure as error:
            failure = error
        except click.UsageError as error:
            _as_json(ctx, error.format_message(), error.exit_code)
            raise
        except KeyboardInterrupt:
            failure = Failure("interrupted; nothing partial is left behind")
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output went away
                raise
            failure = Failure(describe(error))
        except MemoryError:
            failure = Failure("out of memory; choose fewer examples with --limit")
        _as_json(ctx, failure.message, failure.exit_code)
        raise failure


def _as_json(ctx: click.Context, message: str, code: int) -> None:
    if ctx.meta.get(JSON):
        with suppress(OSError):  # standard output may be what has failed
            click.echo(json.dumps({"error": message, "exit_code": code}))


class _terminated_as_interrupted:  # noqa: N801  (a context manager, named as it reads)
    """SIGTERM within the block does what Ctrl-C does, so that it too leaves nothing behind."""

    def __enter__(self) -> None:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, _interrupt)

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a network: mnistprep export --format imagefolder --dataset synth",
)
@click.version_option(__version__, prog_name="mnistprep")
def main() -> None:
    """Get MNIST and its relatives, convert them without losing a bit, and prove the result."""
