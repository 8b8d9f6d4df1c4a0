"""Pictures that a person makes, drawn here by pen strokes: nine of ten are read right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mnistprep
from mnistprep.training import Trained

Points = list[tuple[float, float]]


def arc(x: float, y: float, across: float, down: float, start: float, stop: float) -> Points:
    """Points on an ellipse about (x, y); degrees clockwise from the right."""
    turns = np.radians(np.linspace(start, stop, 40))
    return [(x + across * float(np.cos(t)), y + down * float(np.sin(t))) for t in turns]


# Pen strokes in a unit square, by hand: the y axis points down.
STROKES: dict[int, list[Points]] = {
    0: [arc(0.5, 0.5, 0.27, 0.42, -90, 270)],
    1: [[(0.52, 0.1), (0.48, 0.9)]],
    2: [[*arc(0.48, 0.32, 0.26, 0.22, 190, 380), (0.25, 0.88), (0.8, 0.86)]],
    3: [[*arc(0.47, 0.3, 0.24, 0.2, 200, 440), *arc(0.47, 0.69, 0.28, 0.21, -80, 160)]],
    4: [[(0.32, 0.12), (0.25, 0.55), (0.78, 0.53)], [(0.68, 0.15), (0.64, 0.92)]],
    5: [[(0.72, 0.12), (0.35, 0.13), (0.32, 0.45), *arc(0.47, 0.65, 0.25, 0.23, -110, 150)]],
    6: [[(0.62, 0.08), (0.36, 0.5), *arc(0.5, 0.7, 0.2, 0.2, 200, 560)]],
    7: [[(0.22, 0.15), (0.76, 0.14), (0.45, 0.92)]],
    8: [[*arc(0.5, 0.3, 0.19, 0.2, 90, 450), *arc(0.5, 0.71, 0.23, 0.21, -90, 270)]],
    9: [[*arc(0.47, 0.33, 0.2, 0.21, 0, 360), (0.67, 0.35), (0.6, 0.92)]],
}


def drawn(
    digit: int, size: tuple[int, int], height: float, pen: float, at: tuple[float, float]
) -> Image.Image:
    """Black on white: a digit of that height in pixels with its middle at `at`, by a round pen."""
    paper = Image.new("L", size, 255)
    draw = ImageDraw.Draw(paper)
    for stroke in STROKES[digit]:
        points = [(at[0] + (x - 0.5) * height, at[1] + (y - 0.5) * height) for x, y in stroke]
        draw.line(points, fill=0, width=round(pen), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
    return paper


def plain(digit: int) -> Image.Image:
    """Black on white, 200x200."""
    return drawn(digit, (200, 200), 150, 14, (100, 100))


def photograph(digit: int) -> Image.Image:
    """Dark grey ink on grey paper with a gradient of light, noise and some specks, in colour."""
    random = np.random.default_rng(digit)
    ink = np.asarray(drawn(digit, (800, 600), 300, 22, (470, 260)), np.float64) / 255
    rows, columns = np.mgrid[0:600, 0:800]
    light = 190 - 70 * rows / 600 - 30 * columns / 800
    grey = np.where(ink < 0.5, 0.35, 1.0) * light + random.normal(0, 4, ink.shape)
    for row, column in random.integers(20, 580, (6, 2)):
        grey[row : row + 3, column : column + 3] = 60
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


CONDITIONS: dict[str, Callable[[int], Image.Image]] = {
    "black on white": plain,
    "white on black": lambda k: Image.fromarray(255 - np.asarray(plain(k))),
    "small": lambda k: drawn(k, (40, 40), 26, 3, (20, 20)),
    "of MNIST's size, off its centre": lambda k: drawn(k, (28, 28), 17, 2, (10, 17)),
    "wide, off its centre": lambda k: drawn(k, (640, 300), 120, 9, (500, 90)),
    "thin pen, large paper": lambda k: drawn(k, (2000, 1600), 700, 5, (700, 900)),
    "thick marker": lambda k: drawn(k, (300, 300), 210, 36, (150, 150)),
    "photograph": photograph,
}


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Trained:
    """`fast`, after one epoch of MNIST where it is at hand, else of synth."""
    try:
        data = mnistprep.read(request.getfixturevalue("real_digits"), "idx-gz")
    except pytest.skip.Exception:
        data = mnistprep.load("synth:20000,1000")
    return mnistprep.train(data, device="cpu")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_nine_of_ten_are_read_right(condition: str, model: Trained) -> None:
    """Drawn digits in every condition, none of them out of a dataset."""
    found = mnistprep.predict(model, [CONDITIONS[condition](digit) for digit in range(10)])
    read = [prediction.label for prediction in found]
    assert sum(a == b for a, b in zip(read, range(10), strict=True)) >= 9, read


def test_a_png_of_the_tree_is_seen_as_it_is(model: Trained, tmp_path: Path) -> None:
    """The pixels of an exported picture reach the model bit for bit."""
    data = mnistprep.load("synth:30,30")
    mnistprep.write(data, tmp_path / "tree", "imagefolder")
    files = sorted((tmp_path / "tree" / "test").glob("*/*.png"))
    for file, prediction in zip(files, mnistprep.predict(model, files), strict=True):
        with Image.open(file) as picture:
            assert np.array_equal(np.asarray(picture), prediction.picture)
