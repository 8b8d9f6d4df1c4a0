"""Every format into every other, with datasets, options and selections that hypothesis draws."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import mnistprep
from mnistprep import Dataset, Split, formats
from mnistprep.convert import convert
from mnistprep.dataset import default_classes
from mnistprep.errors import UnsupportedError, UsageError
from mnistprep.selection import Selection, select
from reliability.trials import Trials

TITLE = "Round trips"
ABOUT = """\
Hypothesis draws a dataset, which is written in the format of the row and from there converted to
each of the formats, with options, selections and kinds of target drawn as well, and read back.
Pictures have 1x1 to 64x64 pixels and one or three channels, all 0, all 255, with a single inked
pixel, black and white, random, repeated within and across classes and splits; there are 1 to 300
classes, some without examples, under names that are empty, numbers, equal but for case, reserved,
or full of quotes, slashes, line ends and controls; 0 to 1,000 examples in a split, and any of the
splits. Right is a copy with the same digests in the same order, the same names of classes and the
same `valid`, where the form has a place for them; or a refusal before anything is written, for a
reason that the page of the format states."""
COUNT = 640

FORMATS = [name for name in formats.FORMATS if formats.missing(name) is None]
_AT_ONCE = 4  # formats that a dataset is converted to
JOINED = {"idx", "idx-gz", "npz"}  # where `valid` becomes the end of `train`
_SINGLE = {
    "csv": ("set.csv", "set.csv.gz"),
    "libsvm": ("set.libsvm",),
    "arff": ("set.arff",),
    "parquet": ("set.parquet",),
    "arrow": ("set.arrow",),
    "webdataset": ("set.tar", "set.tar.gz"),
    "imagefolder": ("set.zip", "set.tar", "set.tar.gz"),
    "pkl": ("set.pkl",),
    "hdf5": ("set",),
}
_UNSAID = {"csv", "libsvm", "arff"}  # whose single files are train unless their name says other
_NUMBERED = {"csv", "libsvm"}  # whose single files have no place for names
_ONE_SPLIT = "one .* holds one split"
# Why a format may refuse a dataset, and the words of its page that say so.
REASONS: dict[str, dict[str, str]] = {
    "pkl": {
        "cannot tell an empty": "an empty split",
        "how many classes there are": "more than 256 classes",
    },
    "csv": {
        "CSV holds grey pictures": "Grey pictures only",
        _ONE_SPLIT: "A single file holds one split",
        "shape that is not square": "Pictures that are not square",
        "no place for class names": "no class names other than the numbers",
        "how many classes there are": "more than 256 classes",
        "not known as a table": "without examples, with fewer than five",
        "leaves open which column": "another column than the first",
    },
    "libsvm": {
        _ONE_SPLIT: "A single file holds one split",
        "no place for class names": "numbers for class names",
        "how many classes there are": "more than 256 classes",
        "cannot say the shape": "in a shape that the rule above",
        "black and white alone": "black and white alone",
    },
    "arff": {
        _ONE_SPLIT: "A single file holds one split",
        "holds grey pictures": "A single file holds grey pictures",
        "numbers in another order": "names that are numbers in another order",
    },
    "parquet": {_ONE_SPLIT: "A single file holds one split"},
    "arrow": {_ONE_SPLIT: "A single file holds one split"},
    "webdataset": {
        _ONE_SPLIT: "A single file holds one split",
        "class names are too many": "names of its classes",
    },
}
_HOSTILE = (
    "", " ", ".", "..", "...", "/", "\\", "a/b", "../x", "C:\\x", "a,b", 'quo"te', "it's", "`",
    "%41", "{a,b}", "?", "\t", "\n", "a\nb", "a\r\nb", "\r", "\x00", "\x1b[31mred", "\u202egnp",
    "\u2028", "\ufeffbom", "\x85", "é", "é", "\u65e5\u672c", "\U0001f600", "ß", "SS", "ı", "İ",
    "cat", "Cat", "CAT", "CON", "con", "nul.txt", "LPT1", "aux", " lead", "trail ", "dot.",
    ".hidden", "-", "--", "-x", "#", "# a", "@data", "=1+1", "null", "None", "NaN", "nan",
    "inf", "true", "0", "1", "2", "10", "01", "001", "1.0", "-1", "1e3", "+1", "٣", "²",
    "train", "test", "valid", "label", "class", "unlabelled", "N/A", "%", "a b", "a  b", "a:b",
    "a;b", "a|b", "x" * 300, "\u00e9" * 200, "0" * 30, "9" * 400,
)  # fmt: skip
_SIDES = st.one_of(st.integers(1, 9), st.sampled_from((1, 2, 3, 5, 16, 28, 31, 32, 64)))
_CLASSES = st.one_of(st.integers(1, 12), st.sampled_from((1, 10, 11, 100, 101, 255, 256, 257, 300)))
_SPLITS = (
    ("train", "test"), ("train", "valid", "test"), ("train",), ("test",), ("train", "valid"),
    ("valid",), ("valid", "test"),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A form to write: the name of the target, and options of the format."""

    target: str
    options: dict[str, Any]


def cases() -> list[str]:
    """The format that is read, for all targets."""
    return FORMATS


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Small datasets of any kind that a Dataset can be."""
    height = draw(_SIDES)
    width = height if draw(st.booleans()) else draw(_SIDES)
    shape = (height, width, 3) if draw(st.integers(0, 3)) == 0 else (height, width)
    classes = draw(_CLASSES)
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pool = _pictures(draw(st.sampled_from(_KINDS)), (draw(st.integers(1, 40)), *shape), chance)
    labels = np.arange(classes)
    match draw(st.sampled_from(("all", "all", "gaps", "no ends", "one"))):
        case "gaps":
            labels = np.sort(chance.permutation(labels)[: 1 + classes // 2])
        case "no ends":
            labels = labels[classes > 2 : max(1, classes - 1)]
        case "one":
            labels = labels[chance.integers(classes) :][:1]
    splits = {}
    for name in draw(st.sampled_from(_SPLITS)):
        many = np.prod(shape) <= 100 and draw(st.integers(0, 9)) == 0
        sizes = st.integers(100, 1000) if many else st.one_of(st.integers(0, 3), st.integers(0, 30))
        count = draw(sizes)
        order = chance.integers(len(pool), size=count)
        splits[name] = Split(pool[order], chance.choice(labels, count).astype(np.int64))
    names = draw(_names(classes))
    return Dataset(
        draw(st.sampled_from(("set", "mnist", "emnist-letters", "a b", "é"))), splits, names
    )


_KINDS = ("random", "random", "blank", "white", "dot", "black and white", "ones", "sparse")


def _pictures(
    kind: str, shape: tuple[int, ...], chance: np.random.Generator
) -> np.ndarray[Any, Any]:
    pixels = chance.integers(0, 256, shape, dtype=np.uint8)
    if kind == "random":
        return pixels
    images = np.zeros(shape, np.uint8)
    if kind == "white":
        images[:] = 255
    elif kind == "dot":
        rows = images.reshape(len(images), -1)
        rows[:, chance.integers(rows.shape[1])] = chance.integers(1, 256)
    elif kind == "black and white":
        images[:] = (pixels > 127) * 255
    elif kind == "ones":
        images[:] = pixels > 127
    elif kind == "sparse":
        images[:] = pixels * (pixels % 7 == 0)
    return images


def _names(classes: int) -> st.SearchStrategy[tuple[str, ...]]:
    numbers = tuple(map(str, range(classes)))
    letters = st.characters(exclude_categories=("Cs",))
    texts = st.one_of(st.sampled_from(_HOSTILE), st.text(letters, max_size=8))
    count = min(classes, 12)
    hostile = st.lists(texts, min_size=count, max_size=count, unique=True).map(
        lambda found: (*found, *(f"class {k}" for k in range(count, classes)))
    )
    return st.one_of(
        st.just(numbers),
        st.just(numbers[::-1]),
        st.just(tuple(f"class {k}" for k in range(classes))),
        hostile.filter(lambda found: len(set(found)) == classes),
    )


@st.composite
def plans(draw: st.DrawFn, name: str) -> Plan:
    """A target of the format with any of its options; the defaults every other time."""
    target = formats.default_output(name, "set")
    if name in _SINGLE and draw(st.integers(0, 3)) == 0:
        target = draw(st.sampled_from(_SINGLE[name]))
    options = {}
    if draw(st.booleans()):
        for key, option in formats.options(name).items():
            if draw(st.booleans()):
                options[key] = draw(_value(key, option.annotation))
    return Plan(target, options)


def _value(key: str, kind: Any) -> st.SearchStrategy[Any]:
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(0, 9) if key == "level" else st.sampled_from((0, 1, 3, 7, 1000))
    return st.sampled_from(("mnist", "a", "x-y", "7", "é", "a.b"))


@st.composite
def selections(draw: st.DrawFn) -> Selection | None:
    """A selection every fourth time; which may ask for what is not there."""
    if draw(st.integers(0, 3)):
        return None
    some = st.none() | st.integers(0, 9)
    splits = draw(st.sampled_from(((), ("train",), ("test",), ("train", "test"), ("valid",))))
    return Selection(splits, draw(some), draw(some), draw(some), draw(some))


def run(case: str, count: int, seed: int, folder: Path) -> Trials:
    """Make `count` conversions of what was written as `case`, as many to each format."""
    trials = Trials(case)
    start = random.Random(f"{seed} {case}").randrange(1 << 30)
    while trials.tried < count:
        _draw(trials, count, -(-(count - trials.tried) // _AT_ONCE), start, folder)
        start += 1
    return trials


def _draw(trials: Trials, count: int, datasets_: int, start: int, folder: Path) -> None:
    first = trials.case

    @seed(start)
    @settings(
        max_examples=datasets_,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        datasets(),
        plans(first),
        st.tuples(*map(plans, FORMATS)),
        st.lists(selections(), min_size=len(FORMATS), max_size=len(FORMATS)),
    )
    def each(
        dataset: Dataset, plan: Plan, ends: tuple[Plan, ...], chosen: list[Selection | None]
    ) -> None:
        # All are drawn, since what hypothesis draws must not depend on what was drawn before.
        turn = [(trials.tried + k) % len(FORMATS) for k in range(_AT_ONCE)]
        drawn = [(FORMATS[k], ends[k], chosen[k]) for k in turn]
        source = folder / "source" / plan.target
        told = f"{first} {plan} of {describe(dataset)}"
        begun: Dataset | None = None
        if trials.tried < count:
            try:
                begun = written(dataset, source, first, plan)
            except Exception as error:
                trials.failures.append(f"{told}: {type(error).__name__}: {error}"[:2000])
            if begun is None:
                trials.outcomes["refused on writing"] += 1
        for second, end, selection in drawn if begun is not None else ():
            if trials.tried >= count:
                break
            try:
                trials.outcomes[converted(begun, source, second, end, selection, folder)] += 1
            except Exception as error:
                what = f"{told}, to {second} {end} {selection}: {type(error).__name__}: {error}"
                trials.failures.append(what[:2000])
            shutil.rmtree(folder / "end", ignore_errors=True)
        shutil.rmtree(folder / "source", ignore_errors=True)

    each()


def written(dataset: Dataset, path: Path, name: str, plan: Plan) -> Dataset | None:
    """What is read from the dataset written, after it was compared; None where it was refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _done(lambda: mnistprep.write(dataset, path, name, **plan.options), name, path):
        return None
    return _same(dataset, path, name, plan)


def converted(
    begun: Dataset, source: Path, name: str, plan: Plan, chosen: Selection | None, folder: Path
) -> str:
    """What became of a conversion, in a word; AssertionError where it is not right."""
    path = folder / "end" / plan.target
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        expected = begun if chosen is None else select(begun, chosen)
    except UsageError:
        expected = None

    def work() -> object:
        return convert(source, path, target_format=name, selection=chosen, **plan.options)

    if expected is None:
        try:
            work()
        except UsageError:
            return "refused: nothing to select"
        raise AssertionError("a selection of what is not there was not refused")
    if not _done(work, name, path):
        return "refused, as its page says"
    _same(expected, path, name, plan)
    return "the same"


def _done(work: Callable[[], object], name: str, path: Path) -> bool:
    """Whether it was written; a refusal must have a reason that is known, and leave nothing."""
    try:
        work()
    except UnsupportedError as error:
        reasons = REASONS.get(name, {})
        assert any(re.search(reason, str(error)) for reason in reasons), f"refused: {error}"
    except UsageError as error:
        assert re.search(_EXCLUSIVE, str(error)), f"refused: {error}"
    else:
        return True
    assert not list(path.parent.iterdir()), "a refusal left something"
    return False


_EXCLUSIVE = (
    r"^name=.*: letters|is for image=png|is for layout=folders|has no shards|needs a header|"
    r"is called \.csv\.gz|is a folder of files|no place for compression|compression="
)


def _same(expected: Dataset, path: Path, name: str, plan: Plan) -> Dataset:
    """What is read, after it was compared with what was written."""
    found = mnistprep.read(path, workers=1)
    single = plan.target in _SINGLE.get(name, ())
    if single and name in _UNSAID:
        (part,) = expected.splits.values()
        expected = Dataset(expected.name, {"train": part}, expected.classes)
    assert found.digests() == expected.digests(), "other digests"
    classes = expected.classes
    if name == "pkl" or (name in _NUMBERED and single):
        classes = default_classes(split.labels for split in expected.splits.values())
    assert found.classes == classes, f"other classes: {found.classes}"
    joined = name in JOINED and plan.options.get("names") != "medmnist"
    holds = expected.joined() if joined else expected
    sizes = {split: len(part) for split, part in holds.splits.items()}
    read = {split: len(part) for split, part in found.splits.items()}
    if name == "pkl" and not {"train", "valid"} <= set(sizes):
        sizes, read = ({k: len(v) for k, v in d.joined().splits.items()} for d in (holds, found))
    assert read == sizes, f"other splits: {read}, not {sizes}"
    return found


def describe(dataset: Dataset) -> str:
    """The dataset in a line from which it can be made again."""
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    named = f"{len(dataset.classes)} classes, {dataset.classes[:14]}"
    return f"{dataset.name!r} {dataset.shape} {sizes}, {named}"
