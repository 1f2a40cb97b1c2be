"""Recurrence rules begin when dateutil's own test suite says."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from offers.errors import InvalidScheduleError
from offers.recurrence import RecurringWindow
from tests.support.data import data_dir

LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time
REFUSED = {
    "FREQ: DAILY, WEEKLY, MONTHLY and YEARLY are known": re.compile(r"FREQ=(HOURLY|MINUTELY|SECONDLY)"),
    "is not known here": re.compile(r"BYHOUR|BYMINUTE|BYSECOND"),
    "DTSTART: not in the years 1970 to 2999": re.compile(r"DTSTART:9"),
    "never begins": re.compile(r"UNTIL=19970901"),
    'a new line and "RRULE:FREQ=..."': re.compile(r"RDATE|EXDATE|EXRULE|RRULE.*\nRRULE"),
}
"""What we refuse of them and why, by the end of the message."""


def test_standard_rules_begin_when_they_should_and_what_is_refused_is_named() -> None:
    cases = json.loads((data_dir("vectors_rrule_dateutil") / "rrule_cases.json").read_text(encoding="utf-8"))
    standard = [case for case in cases if not case["nonstandard"]]
    assert len(standard) == 234
    outcome = Counter(_outcome(case) for case in standard)
    assert outcome == {"right": 106, **dict(zip(REFUSED, (63, 57, 1, 1, 6), strict=True))}


def _outcome(case: dict[str, Any]) -> str:
    expected = [datetime.fromisoformat(text) for text in case["expected"]]
    try:
        window = RecurringWindow.parse(case["text"], duration_min=60)
    except InvalidScheduleError as error:
        for why, rule in REFUSED.items():
            if str(error).endswith(why):
                return why if rule.search(case["text"]) else f"refused: {case['text']!r}"
        return f"{case['text']!r}: {error}"
    found: list[datetime] = []
    at = LONG_AGO
    while len(found) < len(expected) and (start := window.next_start(at)) is not None:
        found.append(start)
        at = start + timedelta(seconds=1)
    over = window.next_start(at) is None or not re.search("COUNT|UNTIL", case["text"])
    return "right" if found == expected and over else f"wrong: {case['text']!r}"
