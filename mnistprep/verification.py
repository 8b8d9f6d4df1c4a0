"""Proof that a form holds a dataset: read it back, compare digests, train on what was read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mnistprep import _provenance, convert, formats, sources
from mnistprep._differences import differences
from mnistprep._progress import Progress, quiet
from mnistprep._staging import staging_folder
from mnistprep._text import printable
from mnistprep._truth import NONE, ORIGINAL, OTHER, WRONG, Truth
from mnistprep.dataset import Dataset, Digest
from mnistprep.errors import MnistprepError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from mnistprep.training import Trained


@dataclass(frozen=True)
class Check:
    """What was found out about one path or one format.

    dataset: what it was compared with, or found to be. order: "original" (the digests of the files
    in their order match), "another" (the order-free digests do), "wrong", or "-" when nothing could
    be compared. accuracy: share of the test split that the recipe got right, None without training.
    seconds: for all of it. problems: what is wrong and where; none when all is right. refused: why
    the format cannot hold the dataset. missing: what to install before the format can be checked.
    trained: the model behind the accuracy.
    """

    format: str
    path: str | None
    dataset: str
    order: str
    digests: dict[str, Digest]
    accuracy: float | None
    seconds: float
    problems: tuple[str, ...] = ()
    refused: str | None = None
    missing: str | None = None
    trained: Trained | None = field(default=None, compare=False, repr=False)

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of `verify`: a Check per format or path."""

    checks: tuple[Check, ...]

    @property
    def dataset(self) -> str:
        """What was compared with, or found: one name, or several with commas."""
        return ", ".join(dict.fromkeys(check.dataset for check in self.checks))

    @property
    def right(self) -> bool:
        """Whether every check is right."""
        return all(check.right for check in self.checks)

    @property
    def exit_code(self) -> int:
        """0 when everything is right, 1 otherwise."""
        return 0 if self.right else 1

    def to_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists, strings and numbers."""
        checks = []
        for check in self.checks:
            document = asdict(replace(check, trained=None))
            del document["trained"]
            checks.append({**document, "right": check.right})
        return {"dataset": self.dataset, "right": self.right, "checks": checks}

    def __str__(self) -> str:
        named = [printable(check.path or check.format) for check in self.checks]
        width = max(map(len, ["format", *named]))
        lines = [f"{'format':{width}}  order     digest  accuracy  seconds"]
        for name, check in zip(named, self.checks, strict=True):
            digest = {ORIGINAL: "right", OTHER: "right", WRONG: "WRONG", NONE: "-"}[check.order]
            share = "-" if check.accuracy is None else f"{check.accuracy:.4f}"
            lines.append(
                f"{name:{width}}  {check.order:8}  {digest:6}  {share:>8}  {check.seconds:7.1f}"
            )
        for name, check in zip(named, self.checks, strict=True):
            problems = map(printable, check.problems)
            lines += [p if p.startswith(name) else f"{name}: {p}" for p in problems]
            refused = printable(check.refused or "")
            lines += [f"{name}: cannot hold this dataset: {refused}"] if refused else []
            lines += [f"{name}: not checked: {check.missing}"] if check.missing else []
        verdict = "everything is right" if self.right else "NOT everything is right"
        return "\n".join([*lines, f"{printable(self.dataset)}: {verdict}"])


@dataclass(frozen=True)
class _Demands:
    """What is asked of everything that is verified."""

    splits: tuple[str, ...]
    train: bool
    accuracy: float | None
    recipe: str
    device: str
    seed: int
    workers: int | None
    reading: Mapping[str, Any]


class _Heard:
    """A Progress that keeps what a reader notes, which may say what is wrong."""

    def __init__(self, progress: Progress) -> None:
        self.notes: list[str] = []
        self.start, self.advance, self._note = progress.start, progress.advance, progress.note

    def note(self, message: str) -> None:
        """Keep the line."""
        self.notes.append(message)

    def pass_on(self) -> None:
        """Show what was kept."""
        for message in self.notes:
            self._note(message)


def verify(
    *paths: convert.PathLike,
    format: str | None = None,
    formats: Sequence[str] = (),
    dataset: str | None = None,
    source: Dataset | None = None,
    mirrors: Sequence[str | Path] = (),
    splits: Sequence[str] = (),
    train: bool = True,
    min_accuracy: float | None = None,
    recipe: str = "fast",
    device: str = "auto",
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = quiet,
    **options: Any,
) -> VerifyReport:
    """Prove that `paths` hold a dataset, or, without paths, that every format keeps it.

    Without paths the dataset (`source`, or the one named `dataset`, by default mnist) is written in
    each of `formats` (all by default) to a temporary folder and read back from there. With paths,
    what is there must be `source`, or the dataset named, or, with neither, one that the catalog
    knows by its digest. `format` says what the paths are, where their content does not. `splits`
    are the ones that must be there, train and test by default. Then `recipe` is trained on what
    was read, and must reach `min_accuracy` on the test split (0.98, unless the catalog has another
    figure for the dataset), with train=False not. `mirrors` are where the dataset is to be had,
    `options` what the format of the paths takes for reading. A format whose library is not
    installed is left out, and the report says so, unless it is one of `formats`.

    Nothing that is wrong with the data raises: it is in the report, with the place where the form
    lets it be found. Raises UsageError, UnknownName, MissingPath, and FetchError where a dataset is
    needed and cannot be had.
    """
    if min_accuracy is not None and not 0 <= min_accuracy <= 1:
        raise UsageError(f"min-accuracy is a share from 0 to 1, not {min_accuracy}")
    if source is not None and dataset is not None:
        raise UsageError("give a source or the name of a dataset, not both")
    if source is not None and not isinstance(source, Dataset):
        raise UsageError(f"source must be a Dataset, not {type(source).__name__}")

    if train:
        from mnistprep.training import devices, recipes

        recipes.get(recipe)
        devices.choose(device)

    def load(name: str) -> Dataset:
        drawn = seed if name == dataset else 0  # what the catalog recognised is synth of seed 0
        return sources.load(name, mirrors=mirrors, seed=drawn, workers=workers, progress=progress)

    demands = _Demands(tuple(splits), train, min_accuracy, recipe, device, seed, workers, options)
    if paths:
        truth = Truth(dataset, source, load)
        checks = [_check(Path(path), format, truth, demands, str(path), progress) for path in paths]
        return VerifyReport(tuple(checks))
    return _verify_formats(formats, dataset or "mnist", source, load, demands, progress)


def _verify_formats(
    names: Sequence[str],
    dataset: str,
    source: Dataset | None,
    load: Callable[[str], Dataset],
    demands: _Demands,
    progress: Progress,
) -> VerifyReport:
    for name in names:
        formats.get(name)
        formats.check_installed(name)
    whole = load(dataset) if source is None else source
    truth = Truth(dataset if source is None else None, whole, load)
    checks = []
    for name in names or formats.FORMATS:
        begun = perf_counter()
        if lacking := formats.missing(name):
            checks.append(Check(name, None, truth.title, NONE, {}, None, 0.0, missing=lacking))
            continue
        with staging_folder(Path(tempfile.gettempdir())) as folder:
            target = folder / formats.default_output(name, whole.name)
            try:
                convert.write(whole, target, name, workers=demands.workers, progress=progress)
            except UnsupportedError as error:
                seconds = perf_counter() - begun
                checks.append(
                    Check(name, None, truth.title, NONE, {}, None, seconds, refused=str(error))
                )
                continue
            checks.append(_check(target, name, truth, demands, None, progress, begun))
    return VerifyReport(tuple(checks))


def _check(
    path: Path,
    format: str | None,
    truth: Truth,
    demands: _Demands,
    shown: str | None,
    progress: Progress,
    begun: float | None = None,
) -> Check:
    begun = perf_counter() if begun is None else begun
    name, order, digests, accuracy, trained = format or NONE, NONE, {}, None, None
    problems: list[str] = []
    try:
        heard = _Heard(progress)
        source = convert.locate(
            path, format, workers=demands.workers, progress=heard, **demands.reading
        )
        found, name = source.dataset, source.format
        digests = found.digests()
        truth = truth.settled(found, digests)
        order, problems = _compare(source, digests, truth, demands.splits)
        problems = problems or _lies_with(source, digests, truth, order, demands)
        if problems:
            problems += heard.notes
        else:
            heard.pass_on()
        if not problems and demands.train:
            trained, accuracy, problems = _train(found, digests, truth, demands, progress)
    except UsageError:
        raise
    except MnistprepError as error:
        order, problems = WRONG, [str(error)]
    seconds = perf_counter() - begun
    return Check(
        name,
        shown,
        truth.title,
        order,
        digests,
        accuracy,
        seconds,
        tuple(problems),
        trained=trained,
    )


def _compare(
    source: convert.Found, digests: dict[str, Digest], truth: Truth, splits: tuple[str, ...]
) -> tuple[str, list[str]]:
    found, where = source.dataset, source.path
    orders, problems = [], []
    for split in splits or truth.splits():
        if split not in digests:
            problems.append(f"{where}: no {split} examples here")
            continue
        if split not in truth.splits():
            problems.append(f"{where}: {truth.title} has no {split} examples to compare with")
            continue
        order = truth.order(found, split, digests[split])
        orders.append(order)
        if order == WRONG:
            true = truth.examples(found, split)
            problems.append(f"{where}: {split} is not that of {truth.title}, by its digest")
            if truth.unnamed:
                problems[-1] += "; --dataset or --input say what it should be"
            elif true is None:
                problems[-1] += "; --mirror says where to get what it should be, to find the place"
            if true is not None and true.parts(split):
                problems += differences(found, true, split, source.places)
    for split in () if splits else sorted(digests.keys() - set(truth.splits())):
        if count := sum(map(len, found.parts(split))):
            problems.append(
                f"{where}: {truth.title} has no {split} examples, and here are {count:,}; "
                "--split NAME says which to compare"
            )
    if problems:
        return WRONG, problems
    return (OTHER if OTHER in orders else ORIGINAL), []


def _lies_with(
    source: convert.Found, digests: dict[str, Digest], truth: Truth, order: str, demands: _Demands
) -> list[str]:
    """What no digest shows: names of classes, where `valid` begins, the document of the export."""
    problems = truth.misnamed(source.dataset, str(source.path))
    if "train" in (demands.splits or truth.splits()):
        problems += truth.misdivided(source.dataset, str(source.path), order)
    as_written = not demands.reading  # options can ask for other labels and pictures
    sums = digests if order == ORIGINAL else {}  # a tree may have lost its order
    found = source.dataset if as_written else None
    return problems + _provenance.disagreements(source.at, source.path, found, sums)


def _train(
    found: Dataset,
    digests: dict[str, Digest],
    truth: Truth,
    demands: _Demands,
    progress: Progress,
) -> tuple[Trained | None, float | None, list[str]]:
    if not all(sum(map(len, found.parts(name))) for name in ("train", "test")):
        progress.note("no training: it needs a train and a test split")
        return None, None, []
    from mnistprep.training import trainer

    trained = trainer.fit(
        found.whole("train"),
        classes=found.classes,
        recipe=demands.recipe,
        seed=demands.seed,
        device=demands.device,
        progress=progress,
    )
    sizes = {name: len(split) for name, split in found.splits.items()}
    trained = replace(trained, dataset=truth.title, examples=sizes, digests=digests)
    accuracy = trainer.accuracy(trained, found.whole("test"))
    least = truth.accuracy if demands.accuracy is None else demands.accuracy
    if accuracy < least:
        reached = (
            f"{demands.recipe} reached {accuracy:.4f} on test, {least} was expected "
            "(--min-accuracy asks for another share, --no-train for none)"
        )
        return trained, accuracy, [reached]
    return trained, accuracy, []
