"""A scout that reads an input before the fuzzer does, since the HDF5 library may crash on it.

    python -m reliability.fuzz_scout READER

A small process that forks a worker; the worker reads the paths that come on standard input, as the
fuzzer will, and says so. When it dies, or computes for long, the scout reads the path as users do,
with HDF5 in a process of its own, says what became of that, and forks the next worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

_SECONDS = 1  # of computing; the package waits longer for files that are larger


class Scout:
    """The other end: asks a scout, which it starts."""

    def __init__(self, reader: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reliability.fuzz_scout", reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def ask(self, path: Path, flags: int) -> str:
        """What reading gives: "" when this process can do it, else what a user would see."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        os.write(self.process.stdin.fileno(), os.fsencode(path).hex().encode() + b" %d\n" % flags)
        answer = b""
        while not answer.endswith(b"\n"):
            piece = os.read(self.process.stdout.fileno(), 1000)
            if not piece:
                return "the scout ended"
            answer += piece
        return answer.decode(errors="replace").strip()

    def close(self) -> None:
        """End the scout."""
        self.process.communicate()


def _line() -> tuple[Path, int] | None:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1 << 12)  # the next line comes after the answer
        if not piece:
            return None
        line += piece
    path, flags = line.split()
    return Path(os.fsdecode(bytes.fromhex(path.decode()))), int(flags)


def _work(reader: str, told: int) -> None:
    """Read path after path in this process; each is told to the scout first."""
    from reliability.fuzz_readers import READERS
    from reliability.fuzz_target import prepare

    prepare()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    while request := _line():
        path, flags = request
        os.write(told, os.fsencode(path).hex().encode() + b" %d\n" % flags)
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        with contextlib.suppress(BaseException):  # the fuzzer will see it too
            READERS[reader].read(path, flags)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, b"\n")
    os._exit(0)


def _as_users(reader: str, line: bytes) -> bytes:
    from mnistprep.errors import MnistprepError
    from reliability.fuzz_readers import READERS

    name, flags = line.split()
    try:
        READERS[reader].read(Path(os.fsdecode(bytes.fromhex(name.decode()))), int(flags))
    except MnistprepError:
        return b"refused\n"
    except BaseException as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ").encode() + b"\n"
    return b"read\n"


def main(reader: str) -> None:
    """Answer until nobody asks."""
    import faulthandler
    import resource

    import h5py  # noqa: F401  # once, for all workers

    from mnistprep.formats import _isolated
    from reliability.fuzz_readers import READERS  # noqa: F401

    _isolated._SECONDS = _SECONDS
    faulthandler.disable()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        begun, told = os.pipe()
        child = os.fork()
        if not child:
            os.close(begun)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the library's last words
            _work(reader, told)
        os.close(told)
        lines = b""
        while piece := os.read(begun, 1 << 16):
            lines = (lines + piece)[-4096:]
        os.close(begun)
        _, status = os.waitpid(child, 0)
        if not status:
            return
        os.write(1, _as_users(reader, lines.strip().rpartition(b"\n")[2]))


if __name__ == "__main__":
    main(sys.argv[1])
