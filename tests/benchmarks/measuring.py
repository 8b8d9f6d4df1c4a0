"""Rounds over the contenders of a case, each measurement in a fresh process."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

from benchmarks import one, processes
from benchmarks.cases import Case, Contender
from benchmarks.given import Given, prepare
from benchmarks.processes import Ended, Failed

_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Runner:
    """Measures contenders on what is given; mnistprep, in the short run, within this process.

    gpu: whether PyTorch has one.
    """

    given: Given
    gpu: bool

    def missing(self, contender: Contender) -> str | None:
        """The first of what a contender needs that is not there."""
        for name in contender.needs:
            if not (self.gpu if name == "cuda" else find_spec(name)):
                return name
        return None

    def prepare(self, form: str) -> None:
        """Make the dataset in a format; the first time only."""
        if self.given.short:
            prepare(self.given, form)
        elif not self.given.made(form).exists():
            self._asked({"what": "prepare", "form": form})

    def round(self, group: str, case: Case, contender: Contender, *, first: bool) -> dict[str, Any]:
        """One measurement, in a folder of its own; in the first its memory and content as well.

        Raises Failed.
        """
        names = {"group": group, "case": case.name, "contender": contender.name}
        with self._folder() as given:
            mine = replace(self, given=given)
            if contender.command:
                return mine._command(names, case, contender, first)
            return mine._function(names, case, contender, first)

    @contextmanager
    def _folder(self) -> Iterator[Given]:
        out = self.given.work / "out"
        out.mkdir()
        try:
            yield replace(self.given, out=out)
        finally:
            rmtree(out)

    def _function(
        self, names: dict[str, Any], case: Case, contender: Contender, first: bool
    ) -> dict[str, Any]:
        samples: list[tuple[float, float]] = []
        # Peers have a process of their own always: libraries of some cannot be in one together.
        if self.given.short and contender.role != "peer":
            try:
                found = one.measure(self.given, case, contender, check=first)
            except Exception:
                raise Failed(traceback.format_exc()) from None
        else:
            request = {"what": "measure", "check": first, **names}
            found, ended = self._asked(request, watch=first)
            samples = ended.samples
        began, stop = found.pop("began"), found.pop("ended")
        taken = [size for at, size in samples if began <= at <= stop]
        together = {"together_mb": max([*taken, found["process_mb"]])} if first else {}
        return found | together

    def _command(
        self, names: dict[str, Any], case: Case, contender: Contender, first: bool
    ) -> dict[str, Any]:
        assert contender.command is not None
        ended = self._run(contender.command(self.given), watch=first)
        largest = one.peak(ended.usage)
        found: dict[str, Any] = {
            "seconds": ended.seconds,
            "cpu": ended.usage.ru_utime + ended.usage.ru_stime,
            "process_mb": largest,
        }
        if contender.tells:
            found |= contender.tells(ended.output)
        if first:
            found["together_mb"] = max([*(size for _, size in ended.samples), largest])
        if first and contender.content:
            if self.given.short:
                found["content"] = one.verdict(self.given, case, contender, None)
            else:
                found |= self._asked({"what": "check", **names})[0]
        return found

    def _asked(
        self, request: dict[str, Any], *, watch: bool = False
    ) -> tuple[dict[str, Any], Ended]:
        """The answer of benchmarks.one to a request, and its process."""
        answer = self.given.work / "answer.json"
        answer.unlink(missing_ok=True)
        paths = {"work": self.given.work, "out": self.given.out, "data": self.given.data}
        asked = {name: str(path) if path else None for name, path in paths.items()}
        whole = json.dumps({**asked, "short": self.given.short, **request})
        ended = self._run([sys.executable, "-m", "benchmarks.one", whole, str(answer)], watch=watch)
        found: dict[str, Any] = json.loads(answer.read_text())
        return found, ended

    def _run(self, command: list[str], *, watch: bool) -> Ended:
        work = self.given.work
        return processes.run(command, work, environment(work), watch=watch)


def environment(work: Path) -> dict[str, str]:
    """That of this process, without the network and with caches of the run's own."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_TESTS), os.environ.get("PYTHONPATH")])),
        "MNISTPREP_OFFLINE": "1",
        "MNISTPREP_HOME": str(work / "home"),
        "HF_HOME": str(work / "hf"),
        "HF_HUB_OFFLINE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def measured(
    runner: Runner, group: str, case: Case, repeats: int, *, peers: bool = True
) -> dict[str, Any]:
    """A case with all rounds of its contenders, as it stands in the JSON file.

    Contenders alternate, and each round begins with another one, so that what else the machine does
    meets all of them. What fails once is not tried again.
    """
    rows: dict[str, dict[str, Any]] = {}
    ready = []
    for contender in case.contenders:
        if contender.role == "peer" and not peers:
            continue
        row: dict[str, Any] = {"name": contender.name, "role": contender.role, "rounds": []}
        row["pictures"] = (
            runner.given.scaled(contender.pictures)
            if contender.pictures
            else sum(runner.given.count[name] for name in case.pictures)
        )
        rows[contender.name] = row
        if name := runner.missing(contender):
            row["missing"] = name
        else:
            ready.append(contender)
    for form in case.inputs if ready else ():
        runner.prepare(form)
    wanted = 1 if runner.given.short else case.rounds or repeats
    for number in range(wanted):
        turn = number % max(1, len(ready))
        for contender in ready[turn:] + ready[:turn]:
            row = rows[contender.name]
            if "failed" in row or number >= (contender.rounds or wanted):
                continue
            try:
                found = runner.round(group, case, contender, first=number == 0)
            except Failed as error:
                row["failed"] = str(error)
                continue
            if "content" in found:
                row["content"] = found.pop("content")
            row["rounds"].append(found)
    figures = [asdict(figure) for figure in case.figures]
    return {"group": group, "name": case.name, "contenders": [*rows.values()], "figures": figures}
