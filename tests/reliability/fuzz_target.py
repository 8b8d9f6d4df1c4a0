"""Fuzzing of one reader in a process of its own, and what is watched while an input is read.

    python -m reliability.fuzz_target READER FOLDER SEED RUNS SECONDS

RUNS inputs are tried, or as many as SECONDS allow where that is not 0. Everything found goes into
FOLDER: `counts` (read, refused, crashed, failed), `failures.jsonl` with the inputs in `failed/`,
and what libFuzzer says of a crash or a hang of the whole process.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import mmap
import os
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from reliability.fuzz_scout import Scout
from reliability.fuzz_watch import WATCH, Escape

ALLOWED = ("read", "refused", "crashed")  # the last: HDF5, which users have in a process apart
CPU_SECONDS = 5.0  # that reading a few inputs may take
HANG_SECONDS = 30  # after which libFuzzer ends the process
SCOUTED = ("hdf5", "mat", "sidecars")
MEMORY = 512 << 20  # bytes that one input may add to what the process has ever had in memory
_ADDRESSES = 4 << 30  # bytes of addresses that the process may have beyond what it starts with
_SPILL = 256 << 20  # bytes of a temporary file, which small inputs never need
_AFRESH = 0.3  # of the inputs come of a valid one
_AGAIN = 4  # inputs of which one is read a second time
_LOOK = 16  # inputs between two looks at what they left and took
_OPEN_FILES = 60  # beyond which files are left open
_INSTRUMENTED = ["mnistprep", "zipfile"]  # packages whose coverage guides
_LEFT_OUT = ["mnistprep._ink"]  # atheris never frees the arrays that a traced comparison gives


class Attempts:
    """Inputs of one reader, each put into files, read, some of them twice, and judged."""

    def __init__(self, name: str, folder: Path) -> None:
        from reliability.fuzz_readers import READERS

        self.name, self.reader, self.folder = name, READERS[name], folder
        self.place, self.temporary = folder / "in", folder / "tmp"
        for made in (self.place, self.temporary, folder / "failed"):
            made.mkdir(parents=True, exist_ok=True)
        for used in (self.place, self.temporary):  # by a process that has crashed
            _empty(used)
        self.before, tempfile.tempdir = tempfile.tempdir, str(self.temporary)
        self.watch = WATCH
        self.watch.start(self.temporary)
        self.known: set[str] = set()
        self.recent: list[bytes] = []
        self.scout = Scout(name) if name in SCOUTED else None
        self.peak, self.spent, self.at = _peak(), time.thread_time(), time.monotonic()

    def attempt(self, data: bytes) -> str:
        """Read an input: "read", "refused" or what is wrong, which is written down too.

        What takes a call of the system to know is looked at once for several inputs.
        """
        from reliability import fuzz_layers

        tree = fuzz_layers.decoded(data, "x")
        self.recent.append(data)
        path = self._put(tree)
        self.watch.seen.clear()
        outcome = self._scouted(tree, path)
        self.watch.armed = True
        try:
            outcome = outcome or self._read(path, tree.flags, zlib.crc32(data) % _AGAIN == 0)
        finally:
            self.watch.armed = False
        if outcome in ALLOWED and self.watch.seen:
            outcome = self.watch.seen[0]
        self._take_away(tree, path)
        slow = time.monotonic() - self.at > CPU_SECONDS
        if outcome in ALLOWED and (slow or len(self.recent) >= _LOOK):
            outcome = self._judged() or outcome
            self.recent.clear()
        if outcome not in ALLOWED:
            self._write_down(outcome, data)
        return outcome

    def close(self) -> None:
        """Give temporary files their own place back, and end the watch."""
        if self.scout is not None:
            self.scout.close()
        self.watch.stop()
        tempfile.tempdir = self.before

    def unwatched(self, tree: Any) -> None:
        """Read a tree without a look at what happens."""
        path = self._put(tree)
        try:
            self.reader.read(path, tree.flags)
        finally:
            self._take_away(tree, path)
            _empty(self.temporary)

    def _read(self, path: Path, flags: int, again: bool) -> str:
        from mnistprep.errors import MnistprepError

        try:
            first = self.reader.read(path, flags)
            if again and self.reader.read(path, flags) != first:
                return "read twice, it is not the same"
            return "read"
        except MnistprepError as error:
            message = str(error)
            if not 10 < len(message) < 6000:
                return f"a message of {len(message)} letters: {message:.100}"
            return "refused"
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return _told(error)

    def _scouted(self, tree: Any, path: Path) -> str:
        """What is known of an input before it is read: that HDF5 crashes on it, or nothing."""
        if self.scout is None or not any(b"\x89HDF" in data for _, data in tree.files):
            return ""
        told = self.scout.ask(path, tree.flags)
        return "crashed" if told in ("read", "refused") else told

    def _judged(self) -> str:
        """What is wrong with what the last inputs left or took, if anything."""
        spent, peak = time.thread_time(), _peak()
        seconds, grown = spent - self.spent, peak - self.peak
        self.spent, self.peak, self.at = spent, max(peak, self.peak), time.monotonic()
        told = ""
        if seconds > CPU_SECONDS:
            told = f"took {seconds:.1f} s of computing"
        elif grown > MEMORY:
            told = f"took {grown >> 20} MiB of memory"
        elif os.listdir(self.place):
            told = f"left files beside the input: {os.listdir(self.place)[:3]}"
        elif self._left():
            gc.collect()
            told = f"left temporary files: {left[:3]}" if (left := self._left()) else ""
        elif len(os.listdir("/proc/self/fd")) > _OPEN_FILES:
            gc.collect()
            count = len(os.listdir("/proc/self/fd"))
            told = f"{count} files are open" if count > _OPEN_FILES else ""
        if told:
            _empty(self.place)
            _empty(self.temporary)
            told += f", one of the last {len(self.recent)} inputs"
            for number, data in enumerate(self.recent):
                (self.folder / "failed" / f"{len(self.known)}-{number}").write_bytes(data)
        return told

    def _left(self) -> list[str]:
        """Temporary files that are still there, without the folder of PyTorch's compiler."""
        return [name for name in os.listdir(self.temporary) if not name.startswith("torchinductor")]

    def _put(self, tree: Any) -> Path:
        path = self.place / tree.name.rpartition("/")[2]
        if not tree.folder:
            _write(path, tree.files[0][1])
            return path
        path.mkdir()
        for name, data in tree.files:
            file = path / name
            if "/" in name:
                file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, data)
        return path

    def _take_away(self, tree: Any, path: Path) -> None:
        if not tree.folder:
            os.unlink(path)
            return
        for name, _ in tree.files:
            os.unlink(path / name)
        for top, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(top)

    def _write_down(self, outcome: str, data: bytes) -> None:
        key = "".join(c for c in outcome if not c.isdigit())[:160]
        if key in self.known or len(self.known) >= 40:
            return
        self.known.add(key)
        name = hashlib.sha256(data).hexdigest()[:16]
        (self.folder / "failed" / name).write_bytes(data)
        with (self.folder / "failures.jsonl").open("a") as file:
            file.write(json.dumps({"what": outcome, "input": name}) + "\n")


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/mnistprep/" in frame.filename][-1:]
    places = [f"{Path(f.filename).name}:{f.name}:{f.lineno}" for f in (*ours, *frames[-1:])]
    return f"{type(error).__name__} at {', '.join(places)}: {str(error)[:300]}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _write(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(file, data)
    finally:
        os.close(file)


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def prepare(put: Callable[[object, str, object], None] = setattr) -> None:
    """Have HDF5 read in this process, and allocations that no small input needs be failures."""
    from mnistprep import _arrays, formats
    from mnistprep.formats import _isolated

    for module in ("h5py", "pyarrow.parquet", "pyarrow.dataset", "google_crc32c"):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    if pyarrow := sys.modules.get("pyarrow"):
        pyarrow.set_cpu_count(1)
        pyarrow.set_io_thread_count(1)
    put(formats, "options", lru_cache(formats.options))  # asked for again with every input
    put(_isolated, "run", _isolated._translated)  # what is done where forking is not safe
    in_file = _arrays._in_file

    def small(size: int) -> Any:
        if size >= _SPILL:
            raise Escape(f"a temporary file of {size:,} bytes")
        return in_file(size)

    put(_arrays, "_in_file", small)


def write_seeds(attempts: Attempts, corpus: Path) -> list[bytes]:
    """Write the valid inputs of a reader to a folder; those that are too long stay away."""
    corpus.mkdir(parents=True, exist_ok=True)
    kept, refused = [], []
    made = attempts.folder / "made"
    made.mkdir()
    for number, tree in enumerate(attempts.reader.seeds(made)):
        data = tree.encoded()
        if len(data) <= attempts.reader.longest:
            (corpus / f"seed{number:03}").write_bytes(data)
            if not kept:
                with contextlib.suppress(Exception):
                    attempts.unwatched(tree)  # what libraries do once
            kept.append(data)
            if attempts.attempt(data) != "read":
                refused.append(f"{number} {tree.name}")
    shutil.rmtree(made)
    (attempts.folder / "refused").write_text(", ".join(refused))
    return kept


def _dictionary(tokens: tuple[bytes, ...]) -> str:
    quoted = ("".join(f"\\x{byte:02x}" for byte in token) for token in tokens)
    return "".join(f'"{token}"\n' for token in quoted)


def main(name: str, folder: Path, seed: int, runs: int, seconds: float) -> None:
    """Fuzz a reader; ends the process."""
    import atheris

    warnings.simplefilter("ignore")
    import torch  # before what is instrumented, so that it is not

    torch.set_num_threads(1)
    sys.modules.pop("zipfile", None)
    with atheris.instrument_imports(include=_INSTRUMENTED, exclude=_LEFT_OUT):
        import mnistprep.formats

        for format in mnistprep.formats.FORMATS:
            mnistprep.formats.get(format)
        from reliability import fuzz_readers  # noqa: F401  # and what it imports
    prepare()
    attempts = Attempts(name, folder)
    reader = attempts.reader
    pool = write_seeds(attempts, folder / "corpus")
    (folder / "dictionary").write_text(_dictionary(reader.tokens))
    _run(attempts, pool, seed, runs, seconds)


def _run(attempts: Attempts, pool: list[bytes], seed: int, runs: int, seconds: float) -> None:
    import atheris

    from reliability import fuzz_layers

    reader, folder = attempts.reader, attempts.folder
    with (folder / "counts").open("a+b") as file:
        file.truncate(32)
        counts = mmap.mmap(file.fileno(), 32)
    before = struct.unpack("<4Q", counts)
    done = list(before)
    trees = [fuzz_layers.decoded(data, "x") for data in pool]
    pieces = [data for tree in trees for _, data in tree.files]
    names = sorted({name for tree in trees for name in (tree.name, *(n for n, _ in tree.files))})

    def raw(data: bytes) -> bytes:
        return bytes(atheris.Mutate(data or b"\0", len(data) + 256))

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        chance = Random(number)
        # Most of what is found to be new is refused, and so is what comes of it.
        afresh = chance.random() < _AFRESH
        tree = chance.choice(trees) if afresh else fuzz_layers.decoded(data, "x")
        return fuzz_layers.mutated(tree, chance, raw, names, pieces, reader.changes).encoded()[
            :longest
        ]

    def one(data: bytes) -> None:
        outcome = attempts.attempt(data)
        done[ALLOWED.index(outcome) if outcome in ALLOWED else 3] += 1
        struct.pack_into("<4Q", counts, 0, *done)
        if runs and sum(done) - sum(before) >= runs:
            os._exit(0)

    warnings.simplefilter("error")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (size + _ADDRESSES, size + _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = f"-max_total_time={seconds:.0f}" if seconds else "-runs=-1"
    atheris.Setup(
        [
            "fuzz", limit, f"-seed={seed or 1}", f"-timeout={HANG_SECONDS}", "-len_control=0",
            f"-max_len={reader.longest}", f"-rss_limit_mb={(_peak() + 4 * MEMORY) >> 20}",
            f"-dict={folder / 'dictionary'}", f"-artifact_prefix={folder}/", "-verbosity=0",
            "-mutate_depth=2", str(folder / "corpus"),
        ],
        one,
        custom_mutator=mutate,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
