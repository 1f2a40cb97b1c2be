"""Recurrence rules begin when dateutil's own tests say; which of them are refused, and why, is named case by case.

`rrule_refusals.csv` has a row for each case that is not right, with its class.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from offers.errors import InvalidScheduleError
from offers.recurrence import RecurringWindow
from tests.support.data import data_dir

LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time
REFUSALS = Path(__file__).with_name("rrule_refusals.csv")
CLASSES = {
    "several_a_day": ("FREQ: DAILY, WEEKLY, MONTHLY and YEARLY are known", r"FREQ=(HOURLY|MINUTELY|SECONDLY)"),
    "times_of_day": ("is not known here", r"BYHOUR|BYMINUTE|BYSECOND"),
    "easter": ("is not known here", r"BYEASTER"),
    "far_future": ("DTSTART: not in the years 1970 to 2999", r"DTSTART:9"),
    "never_begins": ("never begins", r"UNTIL=19970901"),
    "sets_of_rules": ('a new line and "RRULE:FREQ=..."', r"RDATE|EXDATE|EXRULE|RRULE.*\nRRULE"),
}
"""What is refused: the end of the message, and what the text has to have for it to be right."""


def test_every_rule_begins_when_it_should_or_is_refused_as_it_is_named() -> None:
    cases = json.loads((data_dir("vectors_rrule_dateutil") / "rrule_cases.json").read_text(encoding="utf-8"))
    assert len(cases) == 255
    outcomes = {i: _outcome(case) for i, case in enumerate(cases)}
    assert {i: outcome for i, outcome in outcomes.items() if outcome != "right"} == _named()


def test_as_many_are_right_and_refused_as_is_said() -> None:
    assert Counter(_named().values()) == {
        "several_a_day": 63,
        "times_of_day": 57,
        "easter": 21,
        "sets_of_rules": 6,
        "far_future": 1,
        "never_begins": 1,
    }  # 106 of 255 are right


def _named() -> dict[int, str]:
    with REFUSALS.open(encoding="utf-8", newline="") as file:
        return {int(row["case"]): row["class"] for row in csv.DictReader(file)}


def _outcome(case: dict[str, Any]) -> str:
    expected = [datetime.fromisoformat(text) for text in case["expected"]]
    try:
        window = RecurringWindow.parse(case["text"], duration_min=60)
    except InvalidScheduleError as error:
        fitting = (
            name
            for name, (message, rule) in CLASSES.items()
            if str(error).endswith(message) and re.search(rule, case["text"])
        )
        return next(fitting, f"{case['text']!r}: {error}")
    found: list[datetime] = []
    at = LONG_AGO
    while len(found) < len(expected) and (start := window.next_start(at)) is not None:
        found.append(start)
        at = start + timedelta(seconds=1)
    over = window.next_start(at) is None or not re.search("COUNT|UNTIL", case["text"])
    return "right" if found == expected and over else f"wrong: {case['text']!r}"
