"""The command line: each command is a file here that parses, makes one library call and prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import click

from mnistprep import __version__
from mnistprep._interrupts import MESSAGE, Interruptible
from mnistprep.cli import _output
from mnistprep.cli._output import Failure as Failure
from mnistprep.cli._output import WrongUsage
from mnistprep.errors import MnistprepError, UsageError, describe

JSON = "mnistprep.json"  # in a context's meta: whether a failure is to be a JSON document too
COMMANDS = (
    "fetch", "export", "convert", "inspect", "verify",
    "train", "evaluate", "predict", "report",
    "formats", "datasets", "recipes",
)  # fmt: skip
_MEMORY = "out of memory; choose fewer examples with --limit"


class Commands(click.Group):
    """A group that imports a command when it is used, and shows errors as messages."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program; nothing that standard output or error does ends in a traceback."""
        _output.prepare()
        try:
            return super().main(*args, **extra)
        except OSError as error:  # of --help and --version, which click prints
            Failure(f"cannot write to standard output: {describe(error)}").show()
            sys.exit(1)
        finally:
            _output.settle()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options of the program itself."""
        with _escaped():
            return super().parse_args(ctx, args)

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
        signals = Interruptible()
        with signals.destructors():
            return self._invoke(ctx, signals)

    def _invoke(self, ctx: click.Context, signals: Interruptible) -> Any:
        try:
            with signals, _escaped():
                return super().invoke(ctx)
        except click.UsageError as error:
            _as_json(ctx, error.format_message(), error.exit_code)
            raise
        except (click.exceptions.Exit, BrokenPipeError):  # that of a help page's reader
            raise
        except BaseException as error:
            _clean(error)
            # Libraries make other exceptions of an interruption, as when it comes in an import.
            came = signals.came and not isinstance(error, Failure)
            failure = Failure(MESSAGE) if came else _failure(error)
            if failure is None:
                raise
        finally:
            if signals.came:  # also when all was done but what a finalizer would have removed
                _clean(None)
        _as_json(ctx, failure.message, failure.exit_code)
        raise failure


def _failure(error: BaseException) -> Failure | None:
    """What a person is told of an error; None for a bug."""
    from mnistprep._extras import no_memory

    said = str(error)
    match error:
        case Failure():
            return error
        case MnistprepError():
            return (WrongUsage if isinstance(error, UsageError) else Failure)(said)
        case KeyboardInterrupt():
            return Failure(MESSAGE)
        case OSError():
            return Failure(describe(error))
        case RuntimeError() if "start new thread" in said:
            return Failure(
                "the system starts no more threads or processes; end some, or raise the "
                "limit (ulimit -u)"
            )
        case MemoryError():
            return Failure(_MEMORY)
        # PyTorch's, and what the system's loader of libraries says.
        case RuntimeError() | ImportError() if no_memory(error):
            return Failure(_MEMORY)
    return None


def _clean(error: BaseException | None) -> None:
    """Remove what was being written and is still there."""
    if staging := sys.modules.get("mnistprep._staging"):
        staging.discard_staging(error)


def _as_json(ctx: click.Context, message: str, code: int) -> None:
    if ctx.meta.get(JSON):
        import json  # not before, for the sake of a quick start

        with suppress(Failure):  # standard output may be what has failed
            _output.echo(json.dumps({"error": message, "exit_code": code}))


@contextmanager
def _escaped() -> Iterator[None]:
    """What click says of an argument has no raw control characters of it."""
    try:
        yield
    except click.UsageError as error:
        raise _output.Misuse(_output.shown(error.format_message()), error.ctx) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a network: mnistprep export --format imagefolder --dataset synth",
)
@click.version_option(__version__, prog_name="mnistprep")
def main() -> None:
    """Get MNIST and its relatives, convert them without losing a bit, and prove the result."""
