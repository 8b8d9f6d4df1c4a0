"""What the tests of reports share: subjects to write about, and a reader of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

import mnistprep
from mnistprep import Dataset, Split
from mnistprep.training import Trained, fit

HOSTILE = '</style><script>alert(1)</script><img src=x onerror="alert(2)">\u202e\x1b[31m'
_VOID = {"meta", "link", "img", "br"}
_PLAIN = {"path", "circle", "line", "rect", "polyline"}  # of SVG, closed where they are opened


@cache
def digits() -> Dataset:
    """600 and 200 drawn digits, the last hundred of train in `valid`."""
    return mnistprep.select(
        mnistprep.load("synth:600,200", workers=1), mnistprep.Selection(validation=100)
    )


@cache
def trained() -> Trained:
    """A model that has seen too little of `digits` to be good: it gets some of them wrong."""
    dataset = digits()
    return fit(
        dataset.splits["train"],
        classes=dataset.classes,
        recipe="mlp",
        epochs=4,
        valid=dataset.splits["valid"],
        device="cpu",
    )


def noise(
    shape: tuple[int, ...], classes: tuple[str, ...], train: int = 60, test: int = 40
) -> Dataset:
    """Random pictures with random labels, which no model gets right and no PNG makes small."""
    random = np.random.default_rng(5)
    splits = {
        name: Split(
            random.integers(0, 256, (count, *shape), dtype=np.uint8),
            random.integers(0, len(classes), count),
        )
        for name, count in (("train", train), ("test", test))
    }
    return Dataset("noise", splits, classes)


def useless(dataset: Dataset) -> Trained:
    """A model that has learnt nothing of a dataset."""
    few = dataset.splits["train"].take(np.arange(1))
    return fit(few, classes=dataset.classes, recipe="mlp", epochs=1, device="cpu")


@dataclass
class Element:
    """An element of a page, with its text and all that is below it."""

    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text)).strip()


class Html(HTMLParser):
    """A page as a list of elements; a tag that is not closed in its place is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close one."""
        assert tag in _PLAIN, f"{tag} is not closed"
        self.elements.append(Element(tag, dict(attrs)))  # type: ignore[arg-type]

    def handle_endtag(self, tag: str) -> None:
        """Close the last one that is open."""
        assert self._open, f"{tag} was not opened"
        assert self._open.pop().tag == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        for element in self._open:
            element.text.append(data)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The elements of that tag that have these attributes (`class_` is any of its words)."""
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(
                value in element.attributes.get("class", "").split()
                if name == "class_"
                else element.attributes.get(name) == value
                for name, value in attributes.items()
            )
        ]

    @property
    def text(self) -> str:
        """All that the page says."""
        return str(self.all("body")[0])
