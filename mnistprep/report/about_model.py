"""What a page says of a model: what it is, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, isfinite

import numpy as np

from mnistprep.evaluation import Evaluation
from mnistprep.report import about_outcome, charts
from mnistprep.report.about_data import Source
from mnistprep.report.charts import Chart, Curve
from mnistprep.report.display import Picture, plural, share, text
from mnistprep.training import Trained
from mnistprep.training.trainer import library

_LAYERS = 60  # layers listed


@dataclass(frozen=True)
class ModelPart:
    """All that a page shows of a model."""

    title: str
    about: str
    facts: tuple[tuple[str, str], ...]
    digests: tuple[tuple[str, str], ...]
    layers: tuple[tuple[str, str, str], ...]
    more_layers: int
    parameters: int
    curves: tuple[Chart, ...]
    epochs: tuple[tuple[str, ...], ...]
    outcome: about_outcome.Outcome | None


def describe(
    trained: Trained,
    path: str | None,
    evaluation: Evaluation | None,
    source: Source | None,
    means: Mapping[int, Picture],
) -> ModelPart:
    """How a model came to be; with an evaluation on the dataset of `source`, what came out."""
    layers = [
        (name, tuple(value.shape))
        for name, value in library(trained.recipe).weights(trained.model).items()
    ]
    sizes = [int(np.prod(shape, dtype=np.int64)) for _, shape in layers]
    outcome = None
    if evaluation is not None and source is not None:
        outcome = about_outcome.describe(trained, evaluation, source, means)
    return ModelPart(
        title=trained.recipe.name,
        about=trained.recipe.about,
        facts=_facts(trained, path, source),
        digests=tuple(
            (f"{split} {part}", value)
            for split, digest in trained.digests.items()
            for part, value in (("images", digest.images), ("labels", digest.labels))
        ),
        layers=tuple(
            (name, " × ".join(map(str, shape)), f"{size:,}")
            for (name, shape), size in zip(layers[:_LAYERS], sizes, strict=False)
        ),
        more_layers=max(0, len(layers) - _LAYERS),
        parameters=sum(sizes),
        curves=_curves(trained),
        epochs=_epochs(trained),
        outcome=outcome,
    )


def _facts(
    trained: Trained, path: str | None, source: Source | None
) -> tuple[tuple[str, str], ...]:
    row = trained.recipe
    facts = [("Path", text(path, 200))] if path is not None else []
    facts.append(("Recipe", f"{row.name}: {row.about}"))
    if row.published is not None:
        facts.append(("Published", f"{share(row.published)} of MNIST's test digits right"))
    if trained.history:
        facts.append(("Seed", str(trained.seed)))
    height, width, *depth = trained.shape
    channels = f" × {depth[0]}" if depth else ""
    facts.append(("Input", f"{height} × {width}{channels} pixels"))
    facts.append(("Normalisation", _normalisation(trained.mean, trained.std)))
    facts.append(("Classes", f"{len(trained.classes):,}"))
    if trained.dataset or trained.examples:
        counts = ", ".join(f"{name} {count:,}" for name, count in trained.examples.items())
        name = text(trained.dataset)
        learnt = trained.digests.get("train")
        here = source is not None and learnt is not None and learnt == source.digests.get("train")
        same = "; its train is that of this page" if here else ""
        facts.append(("Trained on", f"{name} ({counts}){same}" if counts else name))
    if trained.history:
        passes = plural(len(trained.history), "epoch")
        kept = "" if trained.epoch == len(trained.history) else f"; kept that of {trained.epoch}"
        facts.append(("Passes", f"{passes}, loss {trained.history[-1].loss:.4f} in the last{kept}"))
    if trained.seconds is not None:
        facts.append(("Time", f"{trained.seconds:.1f} s on {trained.device}"))
    if trained.versions:
        used = ", ".join(f"{text(name)} {text(v)}" for name, v in trained.versions.items())
        facts.append(("Made with", used))
    return tuple(facts)


def _normalisation(mean: float, std: float) -> str:
    """What is done to a pixel before the model sees it."""
    moved = "" if not mean else f" {'−' if mean > 0 else '+'} {abs(mean):.6g}"
    scaled = f"pixel / 255{moved}"
    if std == 1:
        return scaled
    return f"{f'({scaled})' if moved else scaled} / {std:.6g}"


# How it was trained


def _curves(trained: Trained) -> tuple[Chart, ...]:
    history, lines, cadence = trained.history, trained.lines, trained.recipe.cadence
    if len(history) < 2 and len(lines) < 2:
        return ()
    steps = _steps(trained)
    told = [(line.epoch - 1 + line.batch / steps, line) for line in lines]
    losses = [
        Curve(
            "between" if cadence and cadence.mean else "of a batch",
            "faint",
            [(x, line.loss) for x, line in told],
        ),
        Curve("training", "first", [(epoch.number, epoch.loss) for epoch in history]),
        _validation("validation", {e.number: e.valid_loss for e in history}),
    ]
    shares = [
        Curve(
            "test", "first", [(x, said.accuracy) for x, said in told if said.accuracy is not None]
        ),
        _validation("validation", {e.number: e.valid_accuracy for e in history}),
    ]
    drawn = [_chart("Loss", losses, low=0)]
    values = [y for curve in shares for _, y in curve.points]
    if values:  # to the tenths around them, so that a flat curve is not blown up
        low, high = floor(10 * min(values)) / 10, ceil(10 * max(values)) / 10
        drawn.append(_chart("Accuracy", shares, low=low, high=high))
    return tuple(drawn)


def _validation(name: str, values: Mapping[int, float | None]) -> Curve:
    return Curve(name, "second", [(x, y) for x, y in values.items() if y is not None])


def _chart(title: str, drawn: list[Curve], *, low: float, high: float | None = None) -> Chart:
    said = []
    for curve in drawn:
        values = [y for _, y in curve.points if isfinite(y)]
        if values:
            said.append(f"{curve.name} from {values[0]:.4g} to {values[-1]:.4g}")
    alt = f"{title} over the epochs: {'; '.join(said)}"
    return charts.curves(title, "epoch", drawn, low=low, high=high, alt=alt)


def _steps(trained: Trained) -> int:
    """Batches in an epoch: by the size of the training set, else by the last line of an epoch."""
    examples = trained.examples.get("train", 0)
    last = max((line.batch for line in trained.lines), default=1)
    return max(last, ceil(examples / trained.recipe.batch))


def _epochs(trained: Trained) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(epoch.number),
            f"{epoch.loss:.4f}",
            "–" if epoch.valid_loss is None else f"{epoch.valid_loss:.4f}",
            "–" if epoch.valid_accuracy is None else share(epoch.valid_accuracy),
            "–" if epoch.seconds is None else f"{epoch.seconds:.1f}",
        )
        for epoch in trained.history[:1000]
    )
