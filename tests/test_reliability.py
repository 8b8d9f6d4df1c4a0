"""The page of the recorded runs is that of their record, and what was recorded was run whole."""

from __future__ import annotations

import json

from reliability import page
from reliability.trials import part


def test_the_page_is_that_of_the_record() -> None:
    """The tables of docs/reliability.md are those of docs/reliability.json."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, json.loads(page.RECORD.read_text(encoding="utf-8"))) == text


def test_what_was_recorded_was_run_whole() -> None:
    """Each case has the promised number of trials, and none failed; the page says what lacks."""
    record = json.loads(page.RECORD.read_text(encoding="utf-8"))
    rows = {(row["part"], row["case"]): row for row in record["cases"]}
    for (name, case), row in rows.items():
        assert case in part(name).cases()
        assert row["tried"] >= part(name).COUNT
        assert row["failures"] == 0
