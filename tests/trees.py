"""One small set of pictures as people lay it out, for the tests of trees."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mnistprep import Split

LABELS = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6]
CHANCE = np.random.default_rng(3)
IMAGES = CHANCE.integers(0, 256, (len(LABELS), 6, 5), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pictures(top: Path, name: Callable[[int, int], str]) -> Path:
    """Every picture under the name that its number and label give."""
    for k, (pixels, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        save(top / name(k, label), pixels)
    return top


def by_pixels(split: Split) -> dict[bytes, int]:
    found = zip(split.images, split.labels.tolist(), strict=True)
    return {image.tobytes(): label for image, label in found}


RIGHT = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}


def zipped(top: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(top.rglob("*")):
            archive.write(path, path.relative_to(top))
    return target


def tarred(top: Path, target: Path) -> Path:
    mode = {".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(target.suffix, "w")
    with tarfile.open(target, mode) as archive:
        archive.add(top, ".")
    return target


NAMES: dict[str, Callable[[int, int], str]] = {
    "id_label": lambda k, label: f"{k:05}_{label}.png",
    "label_id": lambda k, label: f"{label}_{k}.png",
    "label-id": lambda k, label: f"{label}-{k}.png",
    "img_id_label": lambda k, label: f"img_{k}_label_{label}.png",
    "labelled ids": lambda k, label: f"mnist2-{k}-{label}.png",
    "per class": lambda k, label: f"{label}.{LABELS[:k].count(label) + 1}.png",
    "class folders": lambda k, label: f"{label}/{k}.png",
    "wrapped": lambda k, label: f"mnist_png/digits/{label}/{k}.png",
    "digit 7": lambda k, label: f"digit {label}/{k}.png",
    "class_7": lambda k, label: f"class_{label}/{k}.png",
    "split in a name": lambda k, label: f"MNIST - JPG - training/{label}/{k}.png",
}
