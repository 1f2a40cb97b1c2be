"""The test suite of opening_hours.js, case by case: what is equal stays equal, and each difference has its class.

`opening_hours_js_differences.csv` names every case that comes out otherwise; docs/explanation/opening-hours.md says of
each class what we do instead. `python -m tests.acceptance.test_opening_hours_js` writes down which cases differ now.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from geofences.model import LatLng
from geofences.zones import first_instant, zone
from offers.errors import InvalidHoursError
from offers.hours import HORIZON, OpeningHours, State
from tests.support.data import PROJECT, data_dir

if TYPE_CHECKING:
    from collections.abc import Callable

Case = dict[str, Any]
Intervals = list[tuple[datetime, datetime, bool]]

BERLIN = zone("Europe/Berlin")
DIFFERENCES = Path(__file__).with_name("opening_hours_js_differences.csv")
DOCUMENT = PROJECT / "docs" / "explanation" / "opening-hours.md"
EQUAL, REFUSED, DIFFERS, ACCEPTED, NO_TEXT = "equal", "refused", "differs", "accepted", "no text"
A_SUN_MINUTE = timedelta(minutes=2)


@pytest.fixture(scope="module")
def suite() -> dict[str, list[Case]]:
    return _suite()


def _suite() -> dict[str, list[Case]]:
    text = (data_dir("vectors_opening_hours_js") / "cases.json").read_text(encoding="utf-8")
    cases: dict[str, list[Case]] = json.loads(text)
    return cases


def _named() -> dict[tuple[str, int], tuple[str, str]]:
    """(group, case) -> (outcome, class)."""
    with DIFFERENCES.open(encoding="utf-8", newline="") as file:
        return {(row["group"], int(row["case"])): (row["outcome"], row["class"]) for row in csv.DictReader(file)}


def _parse(case: Case) -> OpeningHours:
    place = case["location"] or {}
    location = LatLng(lat=place["lat"], lng=place["lon"]) if place.get("lat") is not None else None
    return OpeningHours.parse(case["value"], zone=BERLIN, country=place.get("country_code"), location=location)


def _instant(text: str) -> datetime:
    if text.endswith("Z"):
        return datetime.fromisoformat(text)
    year, month, day, hour, minute = map(int, re.findall(r"\d+", text))
    local = datetime(year, month, 1, hour, minute, tzinfo=UTC).replace(tzinfo=None)
    return first_instant(local + timedelta(days=day - 1), BERLIN)  # the suite knows a 31 November


def _found(case: Case) -> Intervals:
    hours, at, end = _parse(case), _instant(case["from"]), _instant(case["to"])
    found: Intervals = []
    while at < end:
        state, until = hours.state(at), min(hours.next_change(at) or at + HORIZON, end)
        if state is not State.CLOSED:
            found.append((at, until, state is State.UNKNOWN))
        at = until
    return _joined(found)


def _expected(case: Case) -> Intervals | None:
    """None for the one case whose expectation is a text."""
    if any(not interval["end"] for interval in case["expected"]):
        return None
    return _joined([(_instant(one["start"]), _instant(one["end"]), one["unknown"]) for one in case["expected"]])


def _joined(intervals: Intervals) -> Intervals:
    """Intervals that touch and differ in nothing but their comment are one."""
    joined: Intervals = []
    for start, end, unknown in intervals:
        if joined and joined[-1][1:] == (start, unknown):
            joined[-1] = joined[-1][0], end, unknown
        else:
            joined.append((start, end, unknown))
    return joined


def _outcome(group: str, case: Case) -> str:
    if not isinstance(case["value"], str):
        return NO_TEXT
    try:
        if group == "should_fail":
            _parse(case | {"location": case["location"] if isinstance(case["location"], dict) else None})
            return ACCEPTED
        return EQUAL if _found(case) == _expected(case) else DIFFERS
    except InvalidHoursError:
        return REFUSED


def _outcomes(suite: dict[str, list[Case]]) -> dict[tuple[str, int], str]:
    """What comes out otherwise than the suite has it."""
    right = {"intervals": EQUAL, "should_fail": REFUSED}
    found = {(group, i): _outcome(group, case) for group in right for i, case in enumerate(suite[group])}
    return {case: outcome for case, outcome in found.items() if outcome != right[case[0]]}


def test_every_case_is_equal_or_differs_as_it_is_named(suite: dict[str, list[Case]]) -> None:
    named = {case: outcome for case, (outcome, _) in _named().items()}
    assert _outcomes(suite) == named


def test_the_counts_are_those_of_the_document(suite: dict[str, list[Case]]) -> None:
    assert (len(suite["intervals"]), len(suite["should_fail"])) == (716, 181)
    outcomes = Counter((group, outcome) for (group, _), (outcome, _) in _named().items())
    assert outcomes == {
        ("intervals", REFUSED): 109,
        ("intervals", DIFFERS): 206,
        ("should_fail", ACCEPTED): 38,
        ("should_fail", NO_TEXT): 1,
    }


def test_the_document_counts_every_class() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d*) \| (\d*) \| (\d*) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    told = {
        (outcome, name): int(count)
        for name, *counts in rows
        for outcome, count in zip((DIFFERS, REFUSED, ACCEPTED), counts, strict=True)
        if int(count)
    }
    assert told == Counter((outcome, name) for outcome, name in _named().values() if outcome != NO_TEXT)


def _ours_within_two_minutes(case: Case) -> bool:
    expected, found = _expected(case), _found(case)
    assert expected is not None
    return len(expected) == len(found) and all(
        max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= A_SUN_MINUTE and one[2] == other[2]
        for one, other in zip(expected, found, strict=True)
    )


def _says(pattern: str) -> Callable[[Case], bool]:
    return lambda case: re.search(pattern, "; ".join([case["value"], _parse(case).corrected_to or ""])) is not None


EVIDENCE: dict[str, Callable[[Case], bool]] = {
    "holidays_of_a_state": lambda case: _says(r"\bPH\b")(case) and bool(case["location"]["state"]),
    "calendars_of_a_country": lambda case: _says(r"\bPH\b")(case) and not case["location"]["state"],
    "school_holidays": _says(r"\bSH\b"),
    "holidays_with_weekdays": _says(r"PH.* (Mo|We)|(We|Fr)\W+PH"),
    "open_end": _says(r"[\w)]\+"),
    "sun_to_the_minute": _ours_within_two_minutes,
    "sun_passes_the_end": _says(r"sunrise-0\d:\d\d"),
    "sun_without_a_place": lambda case: _says("sun|dawn")(case) and not (case["location"] or {}).get("lat"),
    "easter_ranges": _says(r"easter.*-|-easter"),
    "points_in_time": _says(r"\d/\d"),
    "dates_from_a_weekday": _says(r"\] -\d days?|\d\+[A-Z]"),
}


def test_what_differs_shows_the_reason_of_its_class(suite: dict[str, list[Case]]) -> None:
    differing = [(i, name) for (_, i), (outcome, name) in _named().items() if outcome == DIFFERS]
    assert {name for _, name in differing} == set(EVIDENCE)
    assert [(i, name) for i, name in differing if not EVIDENCE[name](suite["intervals"][i])] == []


def test_the_next_changes_are_theirs(suite: dict[str, list[Case]]) -> None:
    for case in suite["next_change"]:
        place = case["location"] or {}
        hours = OpeningHours.parse(case["value"], zone=BERLIN, country=place.get("country_code"))
        expected = None if case["expected"] is None else _instant(case["expected"])
        assert hours.next_change(_instant(case["from"])) == expected, case["value"]


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    classes = {case: name for case, (_, name) in _named().items()}
    writer.writerow(("group", "case", "outcome", "class"))
    writer.writerows((*case, outcome, classes.get(case, "?")) for case, outcome in _outcomes(_suite()).items())
