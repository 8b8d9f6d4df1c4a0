"""docs/benchmarks.md, written from the JSON of a run: no number in it is typed by hand."""

from __future__ import annotations

from typing import Any

from benchmarks.cases import GROUPS
from benchmarks.summary import Reached, figures, table, wrong

_INTRO = """# Benchmarks

What mnistprep takes for its work, beside other tools that do the same and beside the floor: the
least that any tool has to do. This page is written by the benchmark itself, from
[benchmarks.json](benchmarks.json), which has every round.

## How to run it

`python tests/benchmarks/run.py` measures all groups and prints the tables;
`--only tree,tables` some of them, `--short` all of them in a tiny size, without meaning in the
times; `--help` lists the other options. The digits are those in the folder that `--data` or
`MNISTPREP_TEST_DATA` names, else drawn ones (`synth`). Tools that are not installed are left out,
and said to be. The extra `bench` has them, in an environment of their own: datumaro asks for older
versions of pandas, pyarrow and Pillow than `constraints.txt` has, so the versions are those of
`tests/benchmarks/constraints.txt`.

`pip install -c tests/benchmarks/constraints.txt -e '.[bench]'`

`python tests/benchmarks/run.py --write-docs` writes this page.

## How it is measured

- Every measurement is a process of its own. It imports the tool and prepares what it works on;
  then the clock starts, for the work alone. A command is measured from the start of its process to
  the end.
- Contenders of a case take turns, and each round begins with another one. A time is the median of
  the rounds; what takes long has fewer of them.
- All contenders have the same files or arrays. After the first round, outside of the time, what
  each has read or written is compared with the digits, as NumPy alone reads them.
- Files are in a memory file system where there is one, so that no disk is measured.
- "CPU" is the time of all processors together; it depends least on what else the machine does.
- "MB process" is the largest process at its largest, with what was prepared; "MB together" is that
  process and its children, where what they share counts once.
- "To ours" is the median time as a multiple of that of mnistprep, the first line of a table. A
  floor writes or reads the same bytes and does nothing else, so that no tool can be beyond it;
  beside each figure that compares with a tool stands what the floor itself reaches.
- The floor of a tree written has its PNGs deflated already. Deflating those of the 70,000 digits
  took 0.28 s of processor time on 2026-11-23, with their checksums 0.31 s (zlib at level 1: 1.0 s),
  beside 0.40 s for the calls of the system: with both cores busy all the time 0.35 s, or 15x the
  Pillow loop of that day, before a name, the index or a digest is made. On that machine 15x is out
  of reach.
"""


def render(results: list[dict[str, Any]]) -> str:
    """The page for a run, and for runs on other machines after it."""
    first, *others = results
    parts = [_INTRO, _machine(first, "The machine"), _reached(first), _groups(first, 2)]
    for other in others:
        parts += [_machine(other, f"Another machine: {other['machine']['processor']}")]
        parts += [_reached(other), _groups(other, 3)]
    return "\n".join(parts).rstrip() + "\n"


def _machine(run: dict[str, Any], title: str) -> str:
    machine = run["machine"]
    data = run["data"]
    sizes = " and ".join(f"{count:,} ({name})" for name, count in data["sizes"].items())
    facts = [
        ("Processor", f"{machine['processor']}, {machine['cores']} cores used"),
        ("GPU", machine["gpu"] or "none; what needs one was not run"),
        ("Memory", f"{machine['memory_gb']} GB"),
        ("System", f"{machine['system']}, Python {machine['python']}"),
        ("Files in", machine["files"] or "an unknown file system"),
        ("Load before the start", f"{machine['load']:g}"),
        ("The run", f"{run['minutes']:.0f} minutes, rounds asked for: {run['repeats']}"),
        ("Digits", f"{data['name']}, {sizes}"),
        ("Versions", ", ".join(f"{name} {found}" for name, found in machine["versions"].items())),
        ("Not installed", ", ".join(machine["absent"]) or "nothing"),
    ]
    sizes_mb = [
        each["process_mb"]
        for case in run["cases"]
        for contender in case["contenders"]
        for each in contender["rounds"]
    ]
    if sizes_mb:
        least = f"not told apart below {min(sizes_mb):.0f} MB"
        facts.append(
            ("Peaks of memory", f"{least}, where a process begins that another one starts")
        )
    if machine["threads"]:
        facts.append(("OMP_NUM_THREADS", machine["threads"]))
    if run["date"]:
        facts.insert(0, ("Date", run["date"]))
    lines = [f"## {title}", "", *(f"- {name}: {text}." for name, text in facts), ""]
    if run["short"]:
        lines += ["**A short run, of a few hundred pictures: its times say nothing.**", ""]
    return "\n".join(lines)


def _reached(run: dict[str, Any]) -> str:
    """The figures in words and as a table."""
    found = [figure for case in run["cases"] for figure in figures(case)]
    judged = [figure for figure in found if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    words = f"{len(judged) - len(missed)} of {len(judged)} figures that were measured are met."
    if missed:
        words += f" Not met: {'; '.join(map(_missed, missed))}."
    heads = ["Work", "Required", "Measured", "", "The floor itself"]
    return "\n".join(["### Figures", "", words, "", _table([heads, *map(_figure, found)]), ""])


def _figure(one: Reached) -> list[str]:
    verdict = "" if one.met is None else "met" if one.met else "**not met**"
    return [one.case, one.required, one.measured, verdict, one.floor]


def _missed(one: Reached) -> str:
    text = f"{one.case}, {one.required}: {one.measured}"
    return f"{text}, where the floor itself reaches {one.floor}" if one.floor else text


def _groups(run: dict[str, Any], level: int) -> str:
    lines = []
    for group, title in GROUPS.items():
        lines += [f"{'#' * level} {title}", ""]
        cases = [case for case in run["cases"] if case["group"] == group]
        if not cases:
            lines += ["Not measured here.", ""]
        for case in cases:
            lines += [f"{'#' * (level + 1)} {case['name']}", "", _table(table(case)), ""]
            for text in wrong(case):
                lines += [f"Not counted on: {text.strip().splitlines()[-1]}", ""]
    return "\n".join(lines)


def _table(rows: list[list[str]]) -> str:
    heads, *body = rows
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
