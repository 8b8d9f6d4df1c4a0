"""The benchmarks: they run, notice what is wrong, and their page is that of their results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import measuring, page, summary
from benchmarks.cases import GROUPS, OURS, Case, Contender, Figure, Splits, cases
from benchmarks.given import Given, prepare
from benchmarks.memory import FORMATS
from packaging.requirements import Requirement

from mnistprep import formats

ROOT = Path(__file__).parent.parent
RUN = ROOT / "tests" / "benchmarks" / "run.py"
DOCS = ROOT / "docs"
WHOLE = {"training", "verifying", "memory", "growth"}  # processes that take a second and more


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    """The results of a short run, in a process of its own."""
    results = folder / "results.json"
    command = [sys.executable, str(RUN), "--short", "--work", str(folder), "--json", str(results)]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    for group in {case["group"] for case in found["cases"]}:
        for case in cases(group):
            assert f"{group}: {case.name}\n" in done.stdout
    return found


def check(results: dict[str, Any], groups: set[str]) -> None:
    """Every contender of mnistprep and every floor was measured, and content was compared."""
    found = {(case["group"], case["name"]): case for case in results["cases"]}
    assert {group for group, _ in found} == groups
    for group in groups:
        for case in cases(group):
            rows = {row["name"]: row for row in found[group, case.name]["contenders"]}
            for contender in case.contenders:
                if contender.role == "peer" or "cuda" in contender.needs:
                    continue
                row = rows[contender.name]
                assert [each["seconds"] > 0 for each in row["rounds"]] == [True], row
                assert row.get("content") == ("right" if contender.content else None), row


def test_a_short_run_measures_and_compares(tmp_path: Path) -> None:
    """Everything of mnistprep that needs no process of its own runs, with the right content."""
    groups = set(GROUPS) - WHOLE
    check(run(tmp_path, "--no-peers", "--only", ",".join(sorted(groups))), groups)


@pytest.mark.slow
def test_the_other_groups_run_too(tmp_path: Path) -> None:
    """Whole commands, training among them, run and are measured."""
    check(run(tmp_path, "--no-peers", "--only", ",".join(sorted(WHOLE))), WHOLE)


@pytest.mark.slow
def test_peers_that_are_installed_give_the_same_content(tmp_path: Path) -> None:
    """Each peer that is there does the work that mnistprep does; one that is not is named."""
    groups = set(GROUPS) - WHOLE - {"startup"}
    results = run(tmp_path, "--only", ",".join(sorted(groups)))
    for case in results["cases"]:
        assert summary.wrong(case) == []
        for row in case["contenders"]:
            assert row["rounds"] or row["missing"], row


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> measuring.Runner:
    """A short run's runner, its digits drawn."""
    work = tmp_path_factory.mktemp("work")
    (work / "inputs").mkdir()
    given = Given(work, work / "out", None, short=True)
    prepare(given, "idx")
    return measuring.Runner(given, gpu=False)


def altered(given: Given, _: Any) -> Splits:
    """The digits, but for one pixel."""
    splits = {name: given.arrays(name) for name in ("train", "test")}
    splits["test"][0][-1, 14, 14] ^= 1
    return splits


def swapped(given: Given, _: Any) -> Splits:
    """The digits, the first two of test in the other order."""
    splits = {name: given.arrays(name) for name in ("train", "test")}
    for array in splits["test"]:
        array[[0, 1]] = array[[1, 0]]
    return splits


def failing(given: Given) -> Any:
    """A contender that cannot do its work."""
    raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("content", "ordered", "right"),
    [
        (altered, True, False),
        (altered, False, False),
        (swapped, True, False),
        (swapped, False, True),
    ],
)
def test_wrong_content_is_noticed(
    runner: measuring.Runner, content: Any, ordered: bool, right: bool
) -> None:
    """One pixel is enough; another order is wrong where the order is part of the work."""
    contender = Contender(OURS, lambda given: lambda: None, content, role="ours")
    case = measuring.measured(runner, "none", Case("work", (contender,), ordered=ordered), 1)
    assert (summary.failures(case) == []) == right


def test_what_fails_or_is_missing_is_named(runner: measuring.Runner) -> None:
    """Who raises or is not installed is said to be; the failures of peers do not count."""
    contenders = (
        Contender("raises", failing, role="floor"),
        Contender("absent", failing, needs=("no_such_module",)),
        Contender("command", command=lambda given: [sys.executable, "-c", "exit('broken')"]),
    )
    case = measuring.measured(runner, "none", Case("work", contenders), 1)
    assert [row[1] for row in summary.rows(case)] == ["failed", "not installed", "failed"]
    raised, ended = summary.wrong(case)
    assert "no such thing" in raised
    assert "exit code 1: broken" in ended
    assert summary.failures(case) == [raised]


def test_figures_compare_medians_and_peaks() -> None:
    """A ratio is that of medians, in the direction of the figure; memory is the most of it."""

    def row(name: str, seconds: list[float], memory: float) -> dict[str, Any]:
        rounds = [{"seconds": each, "together_mb": memory - k} for k, each in enumerate(seconds)]
        return {"name": name, "role": "peer", "rounds": rounds, "pictures": 10}

    case = {
        "group": "tree",
        "name": "work",
        "contenders": [row(OURS, [1, 2, 9], 250), row("slow", [30], 1), row("floor", [1], 1)],
        "figures": [
            vars(figure)
            for figure in (
                Figure("slow", least=15),
                Figure("slow", least=16),
                Figure("floor", most=2),
                Figure("floor", most=1.9),
                Figure(measure="together_mb", most=250),
                Figure(measure="together_mb", most=249),
                Figure("absent", least=1),
            )
        ],
    }
    assert [one.met for one in summary.figures(case)] == [True, False] * 3 + [None]
    assert [one.floor for one in summary.figures(case)][:3] == ["", "", ""]
    case["contenders"][2]["role"] = "floor"
    assert [one.floor for one in summary.figures(case)][:3] == ["30x", "30x", ""]
    assert [one.measured for one in summary.figures(case)][::2] == [
        "15x",
        "2x",
        "250 MB",
        "not measured",
    ]


def test_the_page_is_that_of_its_results() -> None:
    """docs/benchmarks.md is what the results beside it give, and has every group of the suite."""
    results = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert text == page.render(results)
    for title in GROUPS.values():
        assert re.search(rf"^##+ {re.escape(title)}$", text, re.MULTILINE), title


def test_every_format_is_measured() -> None:
    """Each format is written, read and exported by a case of its own."""
    assert set(FORMATS) == set(formats.FORMATS)
    names = {case.name for group in GROUPS for case in cases(group)}
    for form in set(FORMATS) - {"imagefolder", "csv"}:
        assert {f"{form} written", f"{form} read"} <= names
    assert {"tree written", "tree read", "training CSV written", "training CSV read"} <= names


def test_constraints_pin_the_peers() -> None:
    """The benchmarks' own constraints have all of the extra `bench`, and CI's build of PyTorch."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^bench = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert extra is not None
    wanted = {Requirement(name).name for name in re.findall(r'"(.+?)"', extra[1])} - {"mnistprep"}

    def pins(file: Path) -> dict[str, str]:
        lines = file.read_text(encoding="utf-8").splitlines()
        return dict(re.findall(r"^([\w.-]+)==([\w.]+)", "\n".join(lines), re.MULTILINE))

    own, development = pins(RUN.parent / "constraints.txt"), pins(ROOT / "constraints.txt")
    assert wanted | {"torch"} <= set(own)
    assert [own[name] for name in ("torch", "torchvision")] == [
        development[name] for name in ("torch", "torchvision")
    ]
