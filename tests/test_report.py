"""Reports: pages about datasets, models and verifications, as the file says it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import odd_dataset
from PIL import Image
from reportpages import HOSTILE, Html, digits, noise, trained, useless

import mnistprep
from mnistprep import Dataset, Split, catalog
from mnistprep._progress import quiet
from mnistprep.errors import FormatError, TargetError, UsageError
from mnistprep.evaluation import evaluate
from mnistprep.report import census, charts, display, duplicates
from mnistprep.report.writing import write_report
from mnistprep.training import save_checkpoint
from mnistprep.verification import Check, VerifyReport

LIMIT = 5_000_000  # bytes of a page
NOTHING = Split(np.empty((0, 28, 28), np.uint8), np.empty(0, np.int64))


def page(tmp_path: Path, *about: object) -> Html:
    """The page about these subjects, checked for what holds of all pages."""
    path = tmp_path / "page.html"
    written = write_report(path, *about, overwrite=True)  # type: ignore[arg-type]
    assert written.size == path.stat().st_size < LIMIT
    html = Html(path)
    check(html)
    return html


def check(html: Html) -> None:
    """What holds of all pages: self-contained, no script, and in order for every reader."""
    (policy,) = html.all("meta", **{"http-equiv": "Content-Security-Policy"})
    (style,) = html.all("style")
    own = base64.b64encode(hashlib.sha256("".join(style.text).encode()).digest()).decode()
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{own}'" in policy.attributes["content"]
    for element in html.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style", element
            if name in ("src", "href"):
                assert value.startswith(("data:", "#")), value
    assert not re.search(r"url\(|@import", "".join(style.text))
    tags = {element.tag for element in html.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    ids = [e.attributes["id"] for e in html.elements if "id" in e.attributes]
    assert len(set(ids)) == len(ids)
    for element in html.elements:
        wanted = element.attributes.get("aria-labelledby", "").split()
        wanted += (
            [element.attributes.get("href", "#").removeprefix("#")] if element.tag == "a" else []
        )
        assert set(wanted) <= set(ids), wanted
    assert all(image.attributes["alt"] for image in html.all("img"))
    assert all(str(table).strip() for table in html.all("caption"))
    assert len(html.all("caption")) == len(html.all("table"))
    assert all(cell.attributes["scope"] for cell in html.all("th"))
    levels = [int(e.tag[1]) for e in html.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels


def picture(uri: str) -> np.ndarray:
    """The pixels of a picture in a page."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"), validate=True)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


# Datasets


def test_a_dataset_is_described(tmp_path: Path, odd: Dataset) -> None:
    """Path, format, size, classes, counts and digests are on the page, as inspect has them."""
    path = mnistprep.write(odd, tmp_path / "odd.npz")
    html = page(tmp_path, path)
    found = mnistprep.inspect(path)
    assert "50 pictures of 12 × 20 pixels in 11 classes" in html.text
    assert "Not a published dataset" in html.text
    for text in (str(path), "npz", *odd.classes):
        assert text in html.text
    for content in found.contents.values():
        for digest in (content.digest.images, content.digest.labels, content.digest.unordered):
            assert digest in html.text
    rows = [str(row) for row in html.all("tr")]
    for label, name in enumerate(odd.classes):
        train, test = (found.counts[split][label] for split in ("train", "test"))
        assert any(re.fullmatch(rf"{re.escape(name)} ?{train} ?{test}", row) for row in rows)


def test_what_the_catalog_knows_is_said_at_the_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known set gets its name; half of it, another order and a mixture are called that."""
    whole = digits().joined()
    sizes = {name: len(split) for name, split in whole.splits.items()}
    row = replace(catalog.get("synth"), title="SOME", splits=sizes, digests=whole.digests())
    monkeypatch.setitem(catalog.DATASETS, "synth", row)
    html = page(tmp_path, whole)
    assert str(html.all("h1")[0]) == "SOME"
    assert "Train and test, complete, in the original order." in html.text
    train, test = whole.splits["train"], whole.splits["test"]
    back = train.take(np.arange(len(train))[::-1])
    other = page(tmp_path, Dataset("x", {"train": back, "test": test}, whole.classes))
    assert "of which train is in another order, test is in the original order" in other.text
    half = page(tmp_path, Dataset("x", {"test": test}, whole.classes))
    assert "Test, complete, in the original order; train is not here." in half.text
    mixed = page(tmp_path, Dataset("x", {"train": test, "test": train}, whole.classes))
    assert str(mixed.all("h1")[0]) == "x"
    assert "train is SOME test" in mixed.text


def test_pictures_of_a_page_are_those_of_the_dataset(tmp_path: Path) -> None:
    """One digit, a strip of ten, a sheet of a hundred, a row per class, and the mean pictures."""
    dataset = digits()
    html = page(tmp_path, dataset)
    train = dataset.splits["train"]
    shown = {image.attributes["alt"]: picture(image.attributes["src"]) for image in html.all("img")}
    (one,) = (p for alt, p in shown.items() if alt.startswith("the first picture of train"))
    assert np.array_equal(one, train.images[0])
    (strip,) = (p for alt, p in shown.items() if alt.startswith("the first ten of train"))
    assert np.array_equal(strip, np.concatenate(list(train.images[:10]), axis=1))
    sheet = shown["the first 100 pictures of train, line by line"]
    assert np.array_equal(sheet[28:56, 28:56], train.images[11])
    row = shown["the first 16 pictures of class 3"]
    assert np.array_equal(row[:, :28], train.images[np.flatnonzero(train.labels == 3)[0]])
    everything = [s.images[s.labels == 3] for s in dataset.splits.values()]
    mean = np.concatenate(everything).mean(axis=0)
    assert np.abs(shown["mean of all pictures of class 3"] - mean).max() <= 0.51


def test_pixel_statistics_are_right(odd: Dataset, colour: Dataset) -> None:
    """Mean, deviation and the share of background are those that NumPy gives for all pixels."""
    for dataset in (odd, colour, digits()):
        for name, found in census.take(dataset, quiet).splits.items():
            pixels = dataset.splits[name].images / 255
            assert found.mean == pytest.approx(pixels.mean())
            assert found.std == pytest.approx(pixels.std())
            assert found.background == pytest.approx((pixels == 0).mean())
            assert found.counts.sum() == len(pixels)


def test_equal_pictures_are_found_within_and_across_splits(tmp_path: Path) -> None:
    """How many there are, where they are, and which have several labels."""
    dataset = noise((9, 9), ("a", "b", "c"), train=30, test=20)
    train, test = (dataset.splits[name] for name in ("train", "test"))
    images, labels = train.images.copy(), train.labels.copy()
    images[[4, 9]] = images[2]
    labels[[2, 4, 9]] = [0, 0, 1]
    later = test.images.copy()
    later[7], later[8] = images[20], images[2]
    changed = Dataset(
        "x", {"train": Split(images, labels), "test": Split(later, test.labels)}, dataset.classes
    )
    found = duplicates.find(changed, census.take(changed, quiet))
    assert (found.total, found.conflicting) == (2, 1 + (labels[20] != test.labels[7]))
    assert found.within == {"train": 2, "test": 0}
    assert found.across == {("train", "test"): 2}
    assert [group.size for group in found.groups] == [4, 2]
    assert [m[:2] for m in found.groups[0].members] == [
        ("train", 2),
        ("train", 4),
        ("train", 9),
        ("test", 8),
    ]
    html = page(tmp_path, mnistprep.write(changed, tmp_path / "tree", "imagefolder"))
    assert "train repeats 2 pictures; 2 pictures of test are in train too" in html.text
    assert len(html.all("ul", class_="twins")) == 1
    assert re.search(r"labelled a, b", html.text)
    names = {path.name for path in (tmp_path / "tree" / "test").rglob("*.png")}
    assert any(name in html.text for name in names)
    assert "No two pictures are equal" in page(tmp_path, dataset).text


ODD_SETS = {
    "colour": lambda: odd_dataset((12, 20, 3)),
    "two channels": lambda: odd_dataset((12, 20, 2)),
    "large": lambda: noise((300, 200, 3), ("a", "b"), 9, 5),
    "one pixel": lambda: noise((1, 1), ("a", "b")),
    "300 classes": lambda: noise((28, 28), tuple(f"class {k}" for k in range(300)), 900, 600),
    "5,000 classes": lambda: noise((8, 8), tuple(map(str, range(5000)))),
    "empty test": lambda: Dataset("x", {"train": digits().splits["train"], "test": NOTHING},
                                  digits().classes),
    "no test": lambda: Dataset("x", {"train": digits().splits["train"]}, digits().classes),
    "only valid": lambda: Dataset("x", {"valid": digits().splits["valid"]}, digits().classes),
    "nothing": lambda: Dataset("x", {"train": NOTHING, "test": NOTHING}, ()),
    "one class": lambda: Dataset("x", {"test": Split(digits().splits["test"].images,
                                                     np.zeros(200, np.int64))}, ("all",)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_SETS)
def test_odd_sets_have_pages(tmp_path: Path, name: str) -> None:
    """Whatever a dataset can be, its page is in order, and small."""
    dataset = ODD_SETS[name]()
    html = page(tmp_path, dataset)
    assert len(html.all("table")) == 2
    for image in html.all("img"):
        pixels = picture(image.attributes["src"])
        assert pixels.ndim == 2 or pixels.shape[2] == 3
    if name == "5,000 classes":
        assert "4,936 classes more" in html.text
    if name == "nothing":
        assert "every split is empty" in html.text


def test_large_pictures_are_shrunk(tmp_path: Path) -> None:
    """A picture is averaged down block by block, to the same shape for all."""
    picture_ = np.arange(100 * 60, dtype=np.uint32).reshape(1, 100, 60) % 251
    small = display.tiles(picture_.astype(np.uint8))
    assert small.shape == (1, 34, 20)
    assert small[0, 1, 1] == round(picture_[0, 3:6, 3:6].mean())
    assert display.tiles(np.zeros((2, 96, 96, 3), np.uint8)).shape == (2, 32, 32, 3)


# Models


def test_a_model_is_tested_on_the_dataset(tmp_path: Path) -> None:
    """Accuracy, matrix and figures of each class are those of evaluate."""
    html = page(tmp_path, digits(), trained())
    found = evaluate(trained(), digits())
    assert found.total > found.right > 0
    assert f"{100 * found.accuracy:.2f}\N{NO-BREAK SPACE}% right" in html.source
    assert f"{found.right} of the 200 pictures of test" in html.text
    shades = re.compile("zero|[rw][1-5]")
    cells = [c for c in html.all("td") if shades.fullmatch(c.attributes.get("class", ""))]
    assert [int(str(cell)) for cell in cells] == found.confusion.ravel().tolist()
    terms = [str(term) for term in html.all("dt")]
    assert {"Recipe", "Seed", "Input", "Normalisation", "Passes", "Made with"} <= set(terms)
    assert "203,530 parameters" in html.text
    titles = [str(caption) for caption in html.all("figcaption")]
    assert "Loss" in titles and "Accuracy" in titles


def test_wrong_cases_are_grouped_and_sorted(tmp_path: Path) -> None:
    """The most frequent confusion first, in each the surest case first, each with its PNG."""
    tree = mnistprep.write(digits(), tmp_path / "tree", "imagefolder")
    html = page(tmp_path, tree, trained())
    found = evaluate(trained(), tree)
    cases = [case for case in html.all("img", class_="small") if "title" in case.attributes]
    assert [c.attributes["alt"] for c in cases] == [_alt(c, tree) for c in _sorted(found.wrong)]
    assert len(cases) == found.total - found.right
    groups = [str(title) for title in html.all("h3") if " read as " in str(title)]
    sizes = [int(str(p).split()[0]) for p in html.all("p", class_="size")]
    assert sizes == sorted(sizes, reverse=True)
    assert len(groups) == len(sizes) == sum(n > 1 for n in _counts(found.wrong).values())
    for case in cases:
        with Image.open(tree / case.attributes["title"]) as image:
            assert np.array_equal(np.asarray(image), picture(case.attributes["src"]))


def _counts(wrong: tuple) -> dict:
    return {
        pair: sum((c.true, c.predicted) == pair for c in wrong)
        for pair in {(c.true, c.predicted) for c in wrong}
    }


def _sorted(wrong: tuple) -> list:
    counts = _counts(wrong)
    return sorted(
        wrong,
        key=lambda c: (-counts[c.true, c.predicted], c.true, c.predicted, -c.confidence, c.index),
    )


def _alt(case: object, tree: Path) -> str:
    sure = display.share(case.confidence, 1 if case.confidence > 0.99 else 0)
    place = Path(case.path).relative_to(tree).as_posix()
    return f"{case.true} read as {case.predicted}, {sure} sure; {place}"


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3), (64, 64, 3)])
def test_a_useless_model_has_a_small_page(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """With thousands of wrong cases, of noise with long names, the rest is counted."""
    names = tuple(f'{k} <"&>' * 50 for k in range(70))
    dataset = noise(shape, names, 300, 1500)
    html = page(tmp_path, dataset, useless(dataset))
    cases = [i for i in html.all("img") if " sure; " in i.attributes["alt"]]
    assert 50 < len(cases) <= 700
    assert "30 are left out" in html.text
    assert re.search(r"and [\d,]+ more", html.text)


def test_tests_on_what_was_learnt_are_called_that(tmp_path: Path) -> None:
    """A model that is tested on the pictures it was trained on is said to be."""
    seen = Dataset("x", {"train": digits().whole("train")}, digits().classes)
    own = replace(trained(), dataset="x", examples={"train": 600}, digests=seen.digests())
    assert "trained on the very pictures" in page(tmp_path, seen, own).text
    assert "trained on the very pictures" not in page(tmp_path, digits(), own).text
    assert "its train is that of this page" in page(tmp_path, digits(), own).text


def test_a_run_that_diverged_has_a_page(tmp_path: Path) -> None:
    """Losses that are no numbers are left out of the curves."""
    from mnistprep.training import Epoch, Line

    history = (Epoch(1, float("nan")), Epoch(2, float("inf")), Epoch(3, 2.0))
    lines = tuple(Line(1 + k // 9, 1 + k % 9, 2.3 if k else float("nan")) for k in range(27))
    model = replace(trained(), history=history, lines=lines)
    html = page(tmp_path, digits(), model)
    assert not re.search(r'points="[^"]*(nan|inf)', html.source)


def test_curves_of_many_lines_are_thinned() -> None:
    """However long a run was, a curve has a few hundred points, and keeps its ends."""
    points = [(k / 1000, 1 / (1 + k)) for k in range(10_000)]
    chart = charts.curves("Loss", "epoch", [charts.Curve("a", "first", points)], alt="", low=0)
    assert len(chart.lines[0][2].split()) <= charts.POINTS
    assert charts.ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert charts.ticks(0.97, 0.987)[0] <= 0.97
    assert len(charts.ticks(3, 3)) > 1


# Verifications


def test_a_verification_is_shown_with_its_problems(tmp_path: Path) -> None:
    """A right one says so; of a wrong one every problem is on the page."""
    html = page(tmp_path, mnistprep.verify(source=digits(), formats=["npz", "csv"], train=False))
    assert "Verified" in html.text
    assert [str(cell) for cell in html.all("td", class_="good-text")] == ["right", "right"]
    images = digits().splits["test"].images.copy()
    images[3, 4, 5] ^= 1
    splits = {**digits().splits, "test": Split(images, digits().splits["test"].labels)}
    path = mnistprep.write(Dataset("x", splits, digits().classes), tmp_path / "x.npz")
    report = mnistprep.verify(path, source=digits(), train=False)
    html = page(tmp_path, path, report)
    assert "Not right" in html.text and "Verified" not in html.text
    assert "row 4, column 5" in html.text


def test_a_format_that_cannot_hold_the_dataset_is_not_wrong(
    tmp_path: Path, colour: Dataset
) -> None:
    """A refusal is neither right nor wrong, and its reason is on the page."""
    report = mnistprep.verify(source=colour, formats=["csv", "npz"], train=False)
    html = page(tmp_path, report)
    assert "Verified" in html.text
    assert "cannot hold" in html.text


def test_the_model_of_a_verification_is_shown(tmp_path: Path) -> None:
    """What was trained to verify is tested picture by picture, and its seed and data are named."""
    path = mnistprep.write(digits(), tmp_path / "x.npz")
    report = mnistprep.verify(
        path, source=digits(), recipe="mlp", min_accuracy=0.1, device="cpu", seed=7
    )
    assert "trained" not in json.dumps(report.to_json())
    assert report.checks[0] == replace(report.checks[0], trained=None)
    html = page(tmp_path, path, report)
    assert f"{100 * report.checks[0].accuracy:.2f}\N{NO-BREAK SPACE}% right" in html.source
    assert re.search(r"Seed ?7", html.text)


# Whatever the texts are


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    """Names of classes, files and problems are shown as text, without control characters."""
    dataset = noise((8, 8), tuple(f"{k}{HOSTILE}" for k in range(3)))
    folder = tmp_path / 'a"><script>alert(3)<'
    folder.mkdir()
    path = mnistprep.write(dataset, folder / "b'&<img src=y>.npz")
    check_ = Check("npz", HOSTILE, HOSTILE, "wrong", {}, None, 1.0, (HOSTILE, "\udc80"))
    model = replace(useless(dataset), dataset=HOSTILE, versions={HOSTILE: HOSTILE})
    html = page(tmp_path, path, model, VerifyReport((check_,)))
    assert "alert(1)" in html.text and "img src=y" in html.text
    for letter in "\u202e\x1b\udc80":
        assert letter not in html.source


def test_the_same_subjects_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the time, the machine or the number of workers is in a page."""
    tree = mnistprep.write(digits(), tmp_path / "tree", "imagefolder")
    pages = []
    for workers in (1, 2, 2):
        path = tmp_path / "page.html"
        write_report(path, tree, trained(), workers=workers, overwrite=True)
        pages.append(path.read_bytes())
    assert pages[0] == pages[1] == pages[2]


# Calls


def test_subjects_are_known_by_their_content(tmp_path: Path) -> None:
    """A checkpoint, a dataset and a document are told apart whatever their names end in."""
    dataset = mnistprep.write(digits(), tmp_path / "data.pt")
    save_checkpoint(trained(), tmp_path / "model.pt")
    report = mnistprep.verify(dataset, source=digits(), train=False)
    (tmp_path / "checks").write_text(json.dumps({**report.to_json(), "notes": []}))
    paths = [dataset, tmp_path / "model.pt", tmp_path / "checks"]
    written = write_report(tmp_path / "page.html", *paths)
    document = written.to_json()
    assert document["dataset"]["format"] == "pt"
    assert document["model"]["recipe"] == "mlp"
    assert document["evaluation"]["total"] == 200
    assert document["verification"]["right"] is True
    json.dumps(document, allow_nan=False)


def test_bare_state_dicts_and_numpy_models_are_models(tmp_path: Path) -> None:
    """What a walk-through saved, and an .npz of weights, are tested like any checkpoint."""
    from mnistprep.training import fit

    save_checkpoint(trained(), tmp_path / "mnist.pth", plain=True)
    small = digits().splits["train"]
    network = fit(small, classes=digits().classes, recipe="numpy", epochs=1)
    save_checkpoint(network, tmp_path / "numpy.npz")
    bare = write_report(tmp_path / "a.html", tmp_path / "mnist.pth", digits(), recipe="mlp")
    assert bare.to_json()["evaluation"]["right"] == evaluate(trained(), digits()).right
    array = write_report(tmp_path / "b.html", tmp_path / "numpy.npz", digits())
    assert array.to_json()["model"]["recipe"] == "numpy"


# With an accuracy and seconds, what `verify --json` prints.
CHECK = (
    '{"checks": [{"format": "npz", "path": "x.npz", "dataset": "mnist", "order": "original", '
    '"digests": {}, "accuracy": %s, "seconds": %s, "problems": [], "refused": null}], '
    '"right": true}'
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"checks": [', "damaged JSON"),
        ('{"error": "no network", "exit_code": 1}', "no network"),
        ('{"checks": [], "right": true}', "not what"),
        ('{"checks": [{"format": 1}], "right": true}', "not what"),
        ('{"a": {"b": 1}}', "not what"),
        *(
            (CHECK % values, "not what")
            for values in (
                ("NaN", "1"),
                ("Infinity", "1"),
                ("1.5", "1"),
                ("-0.1", "1"),
                ("1e400", "1"),
                ("0.9", "NaN"),
                ("0.9", "Infinity"),
                ("null", "1e400"),
                ("0.9", "-1"),
            )
        ),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, content: str, words: str) -> None:
    """A JSON file that is no verification is called that, and nothing is written."""
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(FormatError, match=words):
        write_report(tmp_path / "page.html", tmp_path / "x.json")
    assert not (tmp_path / "page.html").exists()


def test_a_document_of_many_checks_has_a_small_page(tmp_path: Path) -> None:
    """Of 20,000 checks a page shows some, those that failed first, and counts the others."""
    row = json.loads(CHECK % ("0.99", "1"))["checks"][0]
    wrong = {**row, "path": "wrong.npz", "problems": ["&" * 500] * 90, "order": "wrong"}
    checks = [*[row] * 20_000, *[wrong] * 200]
    (tmp_path / "x.json").write_text(json.dumps({"checks": checks, "right": False}))
    html = page(tmp_path, tmp_path / "x.json")
    assert len(html.source) < 2_000_000
    assert len(html.all("tr")) < 400
    assert "19,900 more" in html.text and "wrong.npz" in html.text
    assert "20,200 checks" in html.text


def test_wrong_calls_are_refused(tmp_path: Path, odd: Dataset) -> None:
    """Nothing to report on, two of a kind, a model of other pictures, a target that is there."""
    with pytest.raises(UsageError, match="there is none"):
        write_report(tmp_path / "page.html")
    with pytest.raises(UsageError, match="two"):
        write_report(tmp_path / "page.html", odd, digits())
    with pytest.raises(UsageError, match="12x20"):
        write_report(tmp_path / "page.html", odd, trained())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(TargetError):
        write_report(tmp_path / "page.html", odd)
    assert (tmp_path / "page.html").read_text() == "mine"


# The command


def run(*arguments: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `mnistprep report` in a folder; check the exit code, and that there is no traceback."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mnistprep", "report", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in result.stderr
    assert result.returncode == code, result.stdout + result.stderr
    return result


def test_the_command_writes_a_page_and_says_so(tmp_path: Path, odd: Dataset) -> None:
    """The page is written once; --json has what the page says; --overwrite replaces it."""
    mnistprep.write(odd, tmp_path / "odd.npz")
    said = run("odd.npz", "--output", "page.html", "--json", cwd=tmp_path).stdout
    document = json.loads(said)
    assert document["path"] == "page.html"
    assert document["bytes"] == (tmp_path / "page.html").stat().st_size
    assert document["dataset"]["splits"] == {"train": 37, "test": 13}
    assert document["dataset"]["equal"]["within"]["train"] == 4
    check(Html(tmp_path / "page.html"))
    before = (tmp_path / "page.html").read_bytes()
    assert "exists already" in run("odd.npz", "-o", "page.html", cwd=tmp_path, code=1).stderr
    shown = run("odd.npz", "-o", "page.html", "--overwrite", cwd=tmp_path).stdout
    assert shown.startswith("page.html: odd.npz, ")
    assert (tmp_path / "page.html").read_bytes() == before


def test_the_command_verifies(tmp_path: Path) -> None:
    """--verify exits with 1 for what is wrong or cannot be read, and the page says why."""
    good = mnistprep.write(digits(), tmp_path / "good.npz")
    shuffled = digits().splits["test"].labels[::-1]
    splits = {**digits().splits, "test": Split(digits().splits["test"].images, shuffled)}
    mnistprep.write(Dataset("bad", splits, digits().classes), tmp_path / "bad.npz")
    (tmp_path / "short.npz").write_bytes(good.read_bytes()[:5000])
    for name, words in (("bad", "labels are not theirs"), ("short", "short.npz")):
        arguments = (f"{name}.npz", "--verify", "--input", "good.npz", "-o", f"{name}.html")
        run(*arguments, "--device", "cpu", cwd=tmp_path, code=1)
        html = Html(tmp_path / f"{name}.html")
        check(html)
        assert "Not right" in html.text
        assert words in html.text


def test_the_command_says_what_is_wrong_with_the_call(tmp_path: Path, odd: Dataset) -> None:
    """No subject, two datasets, a source beside a dataset, --verify without one."""
    mnistprep.write(odd, tmp_path / "odd.npz")
    (tmp_path / "x.json").write_text("{}")
    for arguments, words in (
        ((), "there is none"),
        (("odd.npz", "odd.npz"), "two"),
        (("odd.npz", "--dataset", "mnist"), "--verify"),
        (("odd.npz", "--input", "odd.npz", "--mirror", "."), "give one"),
        (("--verify",), "--verify needs"),
        (("x.json", "--verify"), "--verify needs"),
    ):
        result = run(*arguments, "-o", "page.html", cwd=tmp_path, code=2)
        assert words in result.stderr, result.stderr
    assert not (tmp_path / "page.html").exists()


def test_the_command_takes_a_dataset_by_name(tmp_path: Path) -> None:
    """--dataset alone, or for a model to be tested on."""
    save_checkpoint(trained(), tmp_path / "model.pt")
    named = ("--dataset", "synth:100,50", "--seed", "3", "--device", "cpu", "--json")
    document = json.loads(run("model.pt", *named, "-o", "a.html", cwd=tmp_path).stdout)
    assert document["evaluation"]["total"] == 50
    alone = json.loads(run("model.pt", "--json", "-o", "b.html", cwd=tmp_path).stdout)
    assert "evaluation" not in alone
    assert any("not tested" in note for note in alone["notes"])
