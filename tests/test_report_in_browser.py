"""Reports as a person meets them: opened from disk in a headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from reportpages import HOSTILE, digits, noise, trained, useless

import mnistprep
from mnistprep.report.writing import write_report
from mnistprep.verification import Check, VerifyReport

PHONE, DESKTOP = (390, 844), (1280, 800)
Open = Callable[..., Any]

# Every visible text whose colour has a contrast below 4.5 to 1 with what is behind it, as WCAG 2.2
# defines it (3 to 1 for large letters).
FAINT = """() => {
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parts(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c.slice(0, 3);
      if (c[3] !== 0) throw new Error('half transparent');
    }
    throw new Error('no background');
  };
  const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement, style = getComputedStyle(element);
    const shown = element.getClientRects().length && !element.closest('.hidden');
    if (!shown || !node.data.trim()) continue;
    const drawn = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(parts(drawn)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24;
    seen += 1;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) faint.push(node.data.trim() + ' ' + drawn);
  }
  if (seen < 30) throw new Error('hardly any text: ' + seen);
  return faint;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium or another, by its name on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(names)} is on the path")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Pages by their name, each written when it is first asked for."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def page(name: str) -> Path:
        path = folder / f"{name}.html"
        write_report(path, *SUBJECTS[name](folder))
        return path

    return page


def _full(folder: Path) -> tuple[Any, ...]:
    tree = mnistprep.write(digits(), folder / "tree", "imagefolder")
    return tree, trained(), mnistprep.verify(tree, source=digits(), train=False)


def _hostile(folder: Path) -> tuple[Any, ...]:
    dataset = noise((12, 20, 3), tuple(f"{k}{HOSTILE}" + "w" * 200 for k in range(45)))
    check = Check("npz", HOSTILE, "x" * 300, "wrong", {}, 0.5, 1.0, ("y" * 900, HOSTILE))
    model = replace(useless(dataset), dataset="z" * 300, versions={HOSTILE: "v" * 300})
    path = mnistprep.write(dataset, folder / f"{'n' * 200}.npz")
    return path, model, VerifyReport((check,))


SUBJECTS: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "full": _full,
    "hostile": _hostile,
    "model": lambda folder: (trained(),),
    "checks": lambda folder: (mnistprep.verify(source=digits(), train=False),),
}


@contextmanager
def opened(browser: Any, path: Path, size: tuple[int, int] = DESKTOP, **settings: Any) -> Iterator:
    """The page in a new window, which must say nothing and ask for nothing but the file."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
    said: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


@pytest.fixture(params=SUBJECTS)
def path(request: pytest.FixtureRequest, pages: Callable[[str], Path]) -> Path:
    """Each of the pages."""
    return pages(request.param)


@pytest.fixture
def full(pages: Callable[[str], Path]) -> Path:
    """The page with everything on it."""
    return pages("full")


def test_a_page_opens_from_disk_without_a_word(browser: Any, path: Path) -> None:
    """No message, no error, no request; every picture is there, and only the page's own style."""
    with opened(browser, path) as page:
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert page.evaluate(broken) == 0
        assert page.evaluate("document.querySelectorAll('script, [style], style').length") == 1
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") != "32px"


@pytest.mark.parametrize("size", [PHONE, DESKTOP, (320, 640)])
def test_nothing_is_wider_than_the_screen(browser: Any, path: Path, size: tuple[int, int]) -> None:
    """The page does not scroll sideways, nor does anything stick out; wide tables scroll alone."""
    sticking = """() => [...document.querySelectorAll('body *')].filter(e =>
      !e.closest('.scroll, .hidden, .first, .few, svg') && e.getClientRects().length
      && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 200))"""
    with opened(browser, path, size) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]
        assert page.evaluate(sticking) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_readable_in_both_schemes(browser: Any, path: Path, scheme: str) -> None:
    """Each text stands out by 4.5 to 1 from what is behind it, opened details too."""
    with opened(browser, path, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(FAINT) == []


def test_dark_is_dark_and_print_is_light(browser: Any, full: Path) -> None:
    """The scheme of the system decides on the screen, paper is white."""
    paper = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    with opened(browser, full, color_scheme="light") as page:
        assert min(page.evaluate(paper)) > 240
    with opened(browser, full, color_scheme="dark") as page:
        assert max(page.evaluate(paper)) < 40
        page.emulate_media(media="print")
        assert min(page.evaluate(paper)) == 255
        assert not page.get_by_role("navigation").is_visible()
        assert page.evaluate(FAINT) == []


def test_the_keyboard_reaches_everything(browser: Any, full: Path) -> None:
    """Tab comes to the skip link first, then to links, tables and details, each with an outline."""
    with opened(browser, full) as page:
        focused = """() => { const e = document.activeElement, box = e.getBoundingClientRect();
          return [e.className, e.tagName, getComputedStyle(e).outlineStyle, box.top >= 0]; }"""
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == ["skip", "A", "solid", True]
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        reached = []
        page.keyboard.press("Tab")
        while (now := page.evaluate(focused))[1] != "BODY" and now[0] != "skip":
            reached.append(now)
            if now[1] == "SUMMARY":
                page.keyboard.press("Enter")
            page.keyboard.press("Tab")
        assert all(outline == "solid" and below for _, _, outline, below in reached)
        tables = sum(name.startswith("scroll") for name, *_ in reached)
        assert tables == page.locator("table").count()
        assert page.locator("details:not([open])").count() == 0


def test_a_screen_reader_is_told_what_there_is(browser: Any, full: Path) -> None:
    """Landmarks, one heading above all, tables with names and headers, pictures in words."""
    with opened(browser, full) as page:
        for role in ("banner", "navigation", "main", "contentinfo"):
            assert page.get_by_role(role).count() == 1, role
        assert page.get_by_role("heading", level=1).count() == 1
        for title in ("At a glance", "What it gets wrong", "Pictures", "Identity"):
            assert page.get_by_role("region", name=title, exact=True).count() == 1
        matrix = page.get_by_role("table", name="Confusion matrix")
        assert matrix.get_by_role("columnheader").count() == 10
        assert matrix.get_by_role("rowheader").count() == 10
        assert page.get_by_role("img", name="Loss over the epochs").count() == 1
        snapshot = page.locator("main").aria_snapshot()
        assert 'img "the first picture of train, of class' in snapshot
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.title() == "tree: mnistprep report"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, path: Path, scheme: str) -> None:
    """The rules of axe-core, which many audits use, are kept."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with opened(browser, path, PHONE, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = axe.run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []


@pytest.mark.slow
def test_a_verified_tree_of_the_real_digits(
    browser: Any, tmp_path: Path, real_digits: Path
) -> None:
    """MNIST, its verification, and what the model gets wrong are at the top of a small page."""
    dataset = mnistprep.load("mnist", mirrors=[real_digits])
    tree = mnistprep.write(dataset, tmp_path / "mnist_images", "imagefolder")
    path = tmp_path / "report.html"
    written = write_report(path, tree, mnistprep.verify(tree, device="cpu"))
    assert written.size < 5_000_000
    for size in (PHONE, DESKTOP):
        with opened(browser, path, size) as page:
            assert page.get_by_role("heading", level=1).inner_text() == "MNIST"
            glance = page.get_by_role("region", name="At a glance").inner_text()
            assert "Train and test, complete, in the original order." in glance
            assert "Verified" in glance
            assert "read as" in glance
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert written.to_json()["evaluation"]["accuracy"] >= 0.98
