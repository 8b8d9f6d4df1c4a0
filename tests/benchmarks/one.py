"""One measurement: `python -m benchmarks.one REQUEST RESULT`, in a process that does nothing else.

REQUEST is a JSON document, RESULT a file for another: the numbers of the round and what its content
was. measuring.py starts it; the short run calls `measure` for mnistprep without such a process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from benchmarks.cases import Case, Contender, Told, find
from benchmarks.given import Given, content, prepare

_OWN = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def measure(given: Given, case: Case, contender: Contender, *, check: bool) -> dict[str, Any]:
    """The numbers of one round: time, processor time and memory; whether the content is right.

    Preparing is not timed. Memory is that of the whole process until the work is done, and
    `grown_mb` what was added while it was timed; checking comes after all of it.
    """
    assert contender.setup is not None
    run = contender.setup(given)
    size, used, began = _resident(), _cpu(), monotonic()
    start = perf_counter()
    result = run()
    seconds = perf_counter() - start
    found: dict[str, Any] = {
        "seconds": seconds,
        "cpu": _cpu() - used,
        "process_mb": peak(),
        "grown_mb": _resident() - size,
        "began": began,
        "ended": monotonic(),
    }
    if isinstance(result, Told):
        found |= result
    if check and contender.content is not None:
        found["content"] = verdict(given, case, contender, result)
    return found


def verdict(given: Given, case: Case, contender: Contender, result: Any) -> str:
    """`right` when a contender's content is that of the digits, as NumPy alone reads them."""
    assert contender.content is not None
    found = contender.content(given, result)
    if set(found) != set(case.splits):
        return f"wrong: splits {sorted(found)} instead of {sorted(case.splits)}"
    for name in case.splits:
        expected = content(*given.arrays(name), ordered=case.ordered)
        if content(*found[name], ordered=case.ordered) != expected:
            return f"wrong: the examples of {name} are not the digits"
    return "right"


def peak(usage: resource.struct_rusage | None = None) -> float:
    """The most memory in MB of the largest process: this one and its children, or what was told."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    usages = [usage] if usage else [resource.getrusage(who) for who in _OWN]
    return max(each.ru_maxrss for each in usages) * unit / 1e6


def _resident() -> float:
    """Memory of this process in MB; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu() -> float:
    """Processor seconds of this process and of the children that have ended."""
    usages = [resource.getrusage(who) for who in _OWN]
    return sum(each.ru_utime + each.ru_stime for each in usages)


def main() -> None:
    """Do what the request says: prepare a format, measure a round, or check a command's output."""
    request = json.loads(sys.argv[1])
    given = Given(
        Path(request["work"]),
        Path(request["out"]),
        Path(request["data"]) if request["data"] else None,
        request["short"],
    )
    if request["what"] == "prepare":
        prepare(given, request["form"])
        answer: dict[str, Any] = {}
    else:
        case, contender = find(request["group"], request["case"], request["contender"])
        if request["what"] == "check":
            answer = {"content": verdict(given, case, contender, None)}
        else:
            answer = measure(given, case, contender, check=request["check"])
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
