"""The documents: each command, option and name is in them, each example runs, each link leads."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from math import prod
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from pages import (
    DOCS,
    FENCE,
    MODULE,
    PAGES,
    ROOT,
    RUN,
    SET_UP,
    SHOWN,
    START_UP,
    Reader,
    blocks,
    named,
    sections,
)

import mnistprep
from mnistprep import _extras, catalog, cli, errors, formats, loaders, training
from mnistprep._published import Content, IdxFile
from mnistprep.dataset import Dataset, Split
from mnistprep.errors import UnsupportedError
from mnistprep.training import recipes

COMMANDS: dict[str, click.Command] = {
    name: import_module(f"mnistprep.cli.{name}").command for name in cli.COMMANDS
}


FORMATS_PAGE = DOCS / "reference" / "formats.md"
RECIPES_PAGE = DOCS / "reference" / "recipes.md"

# The examples run on a catalog whose MNIST is a few hundred drawn digits, and which a folder of
# ~/Downloads has: everything else is the real thing, and no test needs the network.


@pytest.fixture(scope="module")
def few_digits() -> Dataset:
    """600 digits, the first 200 of them as the test split too, so that a short training does."""
    drawn = mnistprep.load("synth:600,0").splits["train"]
    test = Split(drawn.images[:200], drawn.labels[:200])
    return Dataset("mnist", {"train": drawn, "test": test}, tuple("0123456789"))


@pytest.fixture
def home(few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder whose Downloads has MNIST in several forms, and a catalog to match."""
    downloads = tmp_path / "home" / "Downloads"
    mnistprep.write(few_digits, downloads / "mnist", "idx-gz")
    mnistprep.write(few_digits, downloads / "mnist.npz")
    mnistprep.write(few_digits, downloads / "mnist.pkl.gz")
    row = replace(
        catalog.get("mnist"),
        splits={name: len(split) for name, split in few_digits.splits.items()},
        files=tuple(published(file, downloads / "mnist") for file in catalog.get("mnist").files),
        whole=(),
        mirrors=(),
        digests=few_digits.digests(),
    )
    monkeypatch.setitem(catalog.DATASETS, "mnist", row)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MNISTPREP_MIRROR", str(downloads / "mnist"))
    return tmp_path / "home"


def published(file: IdxFile, folder: Path) -> IdxFile:
    """The row of a file with the size and digests that it has in the folder."""
    data = gzip.decompress((folder / file.packed.name).read_bytes())
    sums = hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
    return replace(file, plain=Content(file.plain.name, len(data), *sums))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: on a machine that runs other tests, more take many times longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(
    page: Path, home: Path, one_thread: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example of a page runs, in order, and prints what the page shows."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    if "load_dataset" in page.read_text(encoding="utf-8"):
        config = import_module("datasets.config")
        monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf")
        monkeypatch.setattr(config, "HF_DATASETS_OFFLINE", True)
    reader = Reader(monkeypatch)
    for block in blocks(page):
        if block.language in RUN and block.marker not in SET_UP:
            reader.follow(block)


def test_only_known_blocks_are_not_run() -> None:
    """Blocks that do not run are few, and each is of a kind that another test checks."""
    skipped: dict[str, int] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.marker in SET_UP or block.language not in RUN:
                kind = block.marker if block.marker in SET_UP else block.language
                skipped[str(kind)] = skipped.get(str(kind), 0) + 1
            if block.language in SHOWN:
                assert not re.search(r"^(\$ )?mnistprep ", block.text, re.MULTILINE), block.text
    shown = skipped.pop("text")
    assert shown == 2
    assert skipped == {**dict.fromkeys((*SET_UP, *START_UP, MODULE), 1)}


def test_set_up_is_two_commands_that_stand_alone() -> None:
    """README's two commands each make the environment, and CI runs the second as it is."""
    one, two = (block.text for block in blocks(ROOT / "README.md") if block.marker in SET_UP)
    for command in (one, two):
        assert command.count("\n") == 1
        assert command.startswith(
            "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e "
        )
    assert ".venv/bin/mnistprep export --format imagefolder --dataset synth" in one
    assert ".venv/bin/pytest" in two
    run = ROOT / ".ci" / "run"
    assert not run.exists() or SET_UP[1] in run.read_text(encoding="utf-8")


def test_completion_lines_give_completion() -> None:
    """The line for each shell's start-up file runs a program that prints that shell's code."""
    found = {}
    for block in blocks(DOCS / "how-to.md"):
        if block.language in START_UP:
            setting = re.search(r"_MNISTPREP_COMPLETE=(\w+)_source mnistprep", block.text)
            found[block.language] = setting and setting[1]
    assert found == {shell: shell for shell in START_UP}
    for shell in START_UP:
        printed = subprocess.run(
            [sys.executable, "-c", "from mnistprep.cli import main; main(prog_name='mnistprep')"],
            env={**os.environ, "_MNISTPREP_COMPLETE": f"{shell}_source"},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert f"_MNISTPREP_COMPLETE={shell}_complete" in printed


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every link inside the project names a file that is there, and a heading in it."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_index() -> None:
    """docs/index.md links to every other page, and README to it."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert page.name == "index.md" or f"]({page.relative_to(DOCS).as_posix()})" in index, page
    assert "](docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


# Reference


def test_every_command_and_option_is_documented() -> None:
    """Each command has a section that names each of its arguments and options, and no others."""
    texts = sections(DOCS / "reference" / "commands.md", 2)
    for name, command in COMMANDS.items():
        text = texts[f"mnistprep {name}"]
        words = named(text)
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert options <= words, f"{name}: {sorted(options - words)}"
        told = set(re.findall(r"`(--?[A-Za-z][\w-]*)", text))
        assert told <= options | {"--help", "-h"}, f"{name}: {sorted(told - options)}"
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                assert parameter.name.upper().rstrip("S") in words, f"{name}: {parameter.name}"
    assert {title.removeprefix("mnistprep ") for title in texts if "mnistprep" in title} == set(
        COMMANDS
    )


def test_every_public_name_is_documented() -> None:
    """Each public name has a heading in the reference, and its text names each parameter."""
    texts = sections(DOCS / "reference" / "api.md", 3)
    for module in (mnistprep, loaders):
        for name in module.__all__:
            assert name in texts, name
            value = getattr(module, name)
            if not callable(value) or value is mnistprep.MnistprepError:
                continue
            parameters = {key for key in inspect.signature(value).parameters if key != "self"}
            assert parameters <= named(texts[name]), f"{name}: {parameters - named(texts[name])}"
            if isinstance(value, type):
                members = {key for key in vars(value) if not key.startswith("_")}
                assert members <= named(texts[name]), f"{name}: {members - named(texts[name])}"
    whole = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    assert set(training.__all__) <= named(whole)


def test_every_error_is_documented() -> None:
    """Each class of the error tree is in the reference."""
    known = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.MnistprepError)
    }
    text = sections(DOCS / "reference" / "api.md", 2)["Errors"]
    assert known <= named(text), known - named(text)


def test_public_names_are_those_of_the_namespace() -> None:
    """`__all__` is sorted, and is what the package shows and has; nothing else is public."""
    for module in (mnistprep, loaders):
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    assert set(dir(mnistprep)) == set(mnistprep.__all__)
    assert sorted(mnistprep.__all__) == list(mnistprep.__all__)


def test_every_format_is_documented() -> None:
    """Each format has a page with its options and default output, and a row in the table."""
    assert list(table(sections(FORMATS_PAGE, 2)["Properties"])) == list(formats.FORMATS)
    pages = FORMATS_PAGE.with_suffix("")
    assert {page.stem for page in pages.glob("*.md")} == set(formats.FORMATS)
    for name in formats.FORMATS:
        text = (pages / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        parameters = [*formats.options(name).items(), *formats.options(name, "read").items()]
        for key, parameter in parameters:
            assert f"`{formats.describe(key, parameter)}`" in text, f"{name}: {key}"
        assert f"`{formats.default_output(name, 'mnist')}`" in text, name
        assert set(formats.get(name).SUFFIXES) <= named(text), name


def table(text: str) -> dict[str, dict[str, str]]:
    """The table in a text: by the first cell of each row, the text of each further column."""
    rows = [
        [
            re.sub(r"\[(.*?)\]\(.*?\)", r"\1", cell.strip()).replace("`", "")
            for cell in line.strip("| ").split(" | ")
        ]
        for line in text.splitlines()
        if line.startswith("|") and not set(line) <= set("|- ")
    ]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_table_of_properties_is_true(name: str, tmp_path: Path) -> None:
    """What the table says of a format is what writing and reading show."""
    told = table(sections(FORMATS_PAGE, 2)["Properties"])[name]
    random = np.random.default_rng(3)

    def some(*shape: int) -> Dataset:
        splits = {
            split: Split(
                random.integers(0, 256, (6, *shape), dtype=np.uint8), np.array([0, 2, 1, 2, 0, 1])
            )
            for split in ("train", "valid", "test")
        }
        return Dataset("some", splits, ("zero", "one", "two"))

    def back(dataset: Dataset, folder: str) -> Dataset:
        path = tmp_path / folder / formats.default_output(name, "some")
        return mnistprep.read(mnistprep.write(dataset, path, name), name)

    def holds(channels: int) -> bool:
        try:
            return back(some(5, 4, channels), str(channels)).shape == (5, 4, channels)
        except UnsupportedError:
            return False

    grey = some(5, 5)
    found = back(grey, "grey")
    assert told["order"] == ("yes" if found.digests() == grey.digests() else "no")
    assert told["class names"] == ("yes" if found.classes == grey.classes else "no")
    assert told["valid"] == ("yes" if "valid" in found.splits else "no")
    allowed = {(False, False): "1", (False, True): "1 or 3", (True, True): "any"}
    assert told["channels"] == allowed[holds(2), holds(3)]
    assert told["options"] == (", ".join(formats.options(name)) or "none")
    assert told["reading options"] == (", ".join(formats.options(name, "read")) or "none")
    assert told["default output"] == formats.default_output(name, "mnist")
    needs = (_extras.library(module) for module in formats.get(name).NEEDS)
    assert told["needs"] == (", ".join(needs) or "nothing")
    assert told["lossless"] == "yes"


def test_every_recipe_is_documented() -> None:
    """Each recipe has a section, in the order of the table, and a row with what was measured."""
    texts = sections(RECIPES_PAGE, 2)
    assert [title for title in texts if title in training.RECIPES] == list(training.RECIPES)
    measured = table(texts["Measured"])
    assert list(measured) == list(training.RECIPES)
    for name, row in training.RECIPES.items():
        for seed, share in enumerate(row.measured):
            assert measured[name][f"Seed {seed}"] == f"{share:.2%}"


def section_of_recipe(name: str) -> tuple[str, dict[str, str]]:
    """The section of a recipe, and the values in its table."""
    text = sections(RECIPES_PAGE, 2)[name]
    return text, {key: columns["Value"] for key, columns in table(text).items()}


@pytest.mark.parametrize("name", training.RECIPES)
def test_what_is_said_of_a_recipe_is_true(name: str) -> None:
    """The section of a recipe has the values of its row, and counts the weights of its model."""
    row = training.RECIPES[name]
    text, told = section_of_recipe(name)
    used = training.trainer.library(row)
    shapes = used.shapes(used.blank(row, (28, 28), 10)).values()
    settings = ", ".join(f"{key}={value}" for key, value in row.settings.items())
    begins = {
        "form": row.form,
        "library": row.library,
        "model": row.model,
        "parameters": f"{sum(map(prod, shapes)):,}",
        "optimiser": f"{row.optimiser}({settings})" if settings else row.optimiser,
        "rate": f"{row.rate:g}",
        "batch": str(row.batch),
        "epochs": str(row.epochs),
        "threads": str(row.threads or "as"),
        "published": "-" if row.published is None else f"{row.published:.2%}",
    }
    for key, value in begins.items():
        assert re.fullmatch(rf"{re.escape(value)}(\W.*)?", told[key]), f"{key}: {told[key]}"
    assert set(told) == {*begins, "scaling", "prints"}
    assert bool(row.smoothing) == (f"smoothing {row.smoothing}" in told["optimiser"])
    assert (row.schedule is recipes.constant) == (row.schedule.__name__ not in told["rate"])
    assert bool(row.least_steps) == (f"until there are {row.least_steps} steps" in told["epochs"])
    assert row.mixed == ("mixed precision" in text)
    assert row.held_out == ("last sixth" in text.replace("\n", " "))


@pytest.mark.parametrize("name", training.RECIPES)
def test_scaling_and_lines_of_a_recipe_are_as_documented(name: str) -> None:
    """The formula gives what the model is given, and the lines come when the page says."""
    row = training.RECIPES[name]
    _, told = section_of_recipe(name)
    if row.scaling is None:
        assert told["scaling"].startswith("(pixel / 255 - mean) / deviation, both measured")
    else:
        mean, deviation = row.scaling
        for pixel in (0, 100, 255):
            said = eval(told["scaling"], {"pixel": pixel})
            assert said == pytest.approx((pixel / 255 - mean) / deviation)
    if row.cadence is None:
        assert told["prints"].startswith("nothing between epochs")
    else:
        assert f"every {row.cadence.every} batches" in told["prints"]
        first = "of batch 1 of each epoch" in told["prints"]
        assert row.cadence.first == (1 if first else row.cadence.every)
        assert row.cadence.mean == ("mean loss" in told["prints"])
        assert row.cadence.accuracy == ("accuracy on test" in told["prints"])


def test_every_dataset_is_documented() -> None:
    """Each dataset has a section with its licence, and the digests that the catalog knows."""
    texts = sections(DOCS / "reference" / "datasets.md", 2)
    for name, row in catalog.DATASETS.items():
        text = texts[name]
        assert row.licence in text
        assert all(label in text for label in row.classes)
        assert all(mirror in text for mirror in row.mirrors)
        for digest in row.digests.values():
            assert {digest.images, digest.labels, digest.unordered} <= named(text), name
        for file in row.files:
            assert (file.kept.sha256 or file.kept.md5) in named(text), f"{name}: {file.kept}"


# The worked example of a format


@pytest.fixture
def worked_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the format of contributing.md, its module written out and in the table."""
    (module,) = (b for b in blocks(DOCS / "contributing.md") if b.language == MODULE)
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "worked_example.py").write_text(module.text, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(formats.FORMATS, "npy", "worked_example")
    yield "npy"
    sys.modules.pop("worked_example", None)


def test_worked_example_is_a_format(
    worked_example: str, odd: Dataset, colour: Dataset, tmp_path: Path
) -> None:
    """The module of contributing.md is found by content, keeps everything, and names places."""
    for number, dataset in enumerate((odd, colour, odd.joined())):
        path = mnistprep.write(dataset, tmp_path / str(number), worked_example)
        found = mnistprep.read(path)
        assert found.digests() == dataset.digests()
        assert found.classes == dataset.classes
        assert mnistprep.inspect(path).format == worked_example
    report = mnistprep.verify(formats=[worked_example], source=odd, train=False)
    assert report.right, str(report)
    target = tmp_path / "0" / "test_images.npy"
    data = bytearray(target.read_bytes())
    data[-1] ^= 1
    target.write_bytes(data)
    report = mnistprep.verify(tmp_path / "0", source=odd, train=False)
    assert not report.right
    assert f"{target}, row {len(odd.splits['test']) - 1}" in str(report)
    target.write_bytes(data[:-10])
    with pytest.raises(mnistprep.MnistprepError, match=re.escape(str(target))):
        mnistprep.read(tmp_path / "0")
