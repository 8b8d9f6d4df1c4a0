"""What rounds come to: medians, ratios, figures met or not; as rows for the screen and the page."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

HEADS = (
    "contender", "rounds", "median", "least - most", "CPU", "µs/picture", "pictures/s",
    "MB process", "MB together", "to ours", "reached",
)  # fmt: skip
_MEMORY = {"process_mb", "together_mb", "grown_mb"}
_WORDS = {
    "seconds": "time",
    "each": "time per picture",
    "training_seconds": "time of training",
    "accuracy": "accuracy",
    "together_mb": "peak memory",
    "process_mb": "peak memory of the largest process",
    "grown_mb": "memory added",
}


def value(contender: dict[str, Any], measure: str) -> float | None:
    """The median of a measure over the rounds; of memory the most; None without a round."""
    rounds = contender["rounds"]
    if not rounds:
        return None
    if measure == "each":
        found: float | None = value(contender, "seconds")
        count = contender["pictures"]
        return found / count if found is not None and count else None
    over = max if measure in _MEMORY else median
    told = [each[measure] for each in rounds if measure in each]
    return float(over(told)) if told else None


@dataclass(frozen=True)
class Reached:
    """A figure, what was measured, and whether that is enough; None where it was not measured.

    floor: the same ratio of the floor of the case, which no tool can be beyond; "" without one.
    """

    group: str
    case: str
    required: str
    measured: str
    met: bool | None
    floor: str = ""


def figures(case: dict[str, Any]) -> list[Reached]:
    """The figures of a case."""
    return [_reached(case, row) for row in case["figures"]]


def _reached(case: dict[str, Any], row: dict[str, Any]) -> Reached:
    contenders = {one["name"]: one for one in case["contenders"]}
    measure, against = row["measure"], row["against"]
    least, most = row["least"], row["most"]
    bound = most if least is None else least
    word = "at most" if least is None else "at least"
    whose = "" if row["of"] == "mnistprep" else f"{row['of']}: "
    if against:
        required = f"{whose}{word} {bound:g}x {against}"
    else:
        required = f"{whose}{word} {shown(measure, bound)}"
    if measure != "seconds":
        required += f" ({_WORDS[measure]})"
    own = value(contenders[row["of"]], measure) if row["of"] in contenders else None
    other = value(contenders[against], measure) if against in contenders else None
    if own is None or (against and other is None):
        return Reached(case["group"], case["name"], required, "not measured", None)
    floor = next((one for one in case["contenders"] if one["role"] == "floor"), None)
    least_time = value(floor, measure) if floor and floor["name"] != against else None
    reach = ""
    if against and other is not None:
        found = other / own if most is None else own / other
        text = f"{found:.3g}x"
        if least_time:
            reach = f"{other / least_time if most is None else least_time / other:.3g}x"
    else:
        found, text = own, shown(measure, own)
    return Reached(
        case["group"],
        case["name"],
        required,
        text,
        found <= bound if least is None else found >= bound,
        reach,
    )


def shown(measure: str, number: float) -> str:
    """A number in the unit of its measure."""
    if measure in _MEMORY:
        return f"{number:.0f} MB"
    if measure == "accuracy":
        return f"{number:.2%}"
    return seconds(number)


def seconds(number: float) -> str:
    """A time with three digits, in seconds or a part of them."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if number * factor >= 1:
            return f"{_three(number * factor)} {unit}"
    return f"{_three(number * 1e6)} µs"


def _three(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def rows(case: dict[str, Any]) -> list[list[str]]:
    """A row for each contender, in the columns of HEADS, or why it has none."""
    ours = next((one for one in case["contenders"] if one["role"] == "ours"), None)
    own = value(ours, "seconds") if ours else None
    found = []
    for contender in case["contenders"]:
        middle = value(contender, "seconds")
        if middle is None:
            found.append([contender["name"], _why(contender), *[""] * (len(HEADS) - 2)])
            continue
        times = [each["seconds"] for each in contender["rounds"]]
        each, used = value(contender, "each"), value(contender, "cpu")
        found.append(
            [
                contender["name"],
                str(len(times)),
                seconds(middle),
                f"{seconds(min(times))} - {seconds(max(times))}",
                "" if used is None else seconds(used),
                "" if each is None else _three(each * 1e6),
                "" if each is None else f"{float(f'{1 / each:.3g}'):,.0f}",
                f"{value(contender, 'process_mb'):.0f}",
                f"{value(contender, 'together_mb'):.0f}",
                "" if contender is ours or not own else f"{middle / own:.3g}x",
                _told(contender),
            ]
        )
    return found


def table(case: dict[str, Any]) -> list[list[str]]:
    """The heads and the rows of a case, without the columns that nobody fills."""
    whole = [list(HEADS), *rows(case)]
    used = [place for place in range(len(HEADS)) if any(row[place] for row in whole[1:])]
    return [[row[place] for place in used] for row in whole]


def _told(contender: dict[str, Any]) -> str:
    """What a training came to."""
    share, taken = value(contender, "accuracy"), value(contender, "training_seconds")
    parts = ["" if share is None else f"{share:.2%} right"]
    parts += [] if taken is None else [f"training {seconds(taken)}"]
    return ", ".join(filter(None, parts))


def _why(contender: dict[str, Any]) -> str:
    if name := contender.get("missing"):
        return "no GPU" if name == "cuda" else "not installed"
    return "failed" if "failed" in contender else "not run"


def failures(case: dict[str, Any]) -> list[str]:
    """The same without peers: of mnistprep, and of the floors, which are this project's too."""
    ours = [one for one in case["contenders"] if one["role"] != "peer"]
    return wrong({**case, "contenders": ours})


def wrong(case: dict[str, Any]) -> list[str]:
    """What is wrong with contenders of a case: exceptions, and content that is not the digits."""
    return [
        f"{case['name']}, {one['name']}: {text}"
        for one in case["contenders"]
        for text in (one.get("failed"), one.get("content"))
        if text not in (None, "right")
    ]


def aligned(lines: list[list[str]]) -> str:
    """Rows as lines of columns, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in lines
    )


def on_screen(case: dict[str, Any]) -> str:
    """A case as text: its table, then its figures."""
    lines = [f"\n{case['group']}: {case['name']}", aligned(table(case))]
    for figure in figures(case):
        lines.append(f"  {figure.required}: {figure.measured}{_verdict(figure.met)}")
    return "\n".join([*lines, *(f"  FAILED {text}" for text in wrong(case))])


def _verdict(met: bool | None) -> str:
    return "" if met is None else ", met" if met else ", NOT MET"
