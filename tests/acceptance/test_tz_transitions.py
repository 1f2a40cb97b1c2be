"""Wall times in all gaps and overlaps of 2025 to 2027 mean the instants that were computed from the database itself."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import opening_hours
import pytest

from geofences.zones import first_instant, last_instant, overlap, tzdata_version, zone, zone_names
from tests.support.data import data_dir


def test_every_gap_and_overlap_of_three_years_is_where_the_database_says() -> None:
    if tzdata_version() != "2026f":
        pytest.skip(f"the expected transitions are of tzdata 2026f, installed is {tzdata_version()}")
    with (data_dir("tz_transitions") / "transitions_tzdata2026f.csv").open(encoding="utf-8", newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    assert len(rows) == 659
    for name, instant, _before, _after, kind, local_from, local_to in rows:
        rules, turn = zone(name), datetime.fromisoformat(instant)
        begin, end = datetime.fromisoformat(local_from), datetime.fromisoformat(local_to)
        middle = begin + (end - begin) / 2
        if kind == "gap":
            assert {first_instant(middle, rules), last_instant(middle, rules), first_instant(begin, rules)} == {turn}
        else:
            assert first_instant(begin, rules) == turn - (end - begin)
            assert last_instant(begin, rules) == turn
            assert overlap(turn, rules) == (begin, end)
        assert last_instant(end, rules) == first_instant(end, rules)


def test_the_hours_library_agrees_on_the_zones_off_the_whole_hour_which_alone_it_is_given() -> None:
    """Its own database says when the sun rises there; it is asked through hours that begin at noon."""
    begin, minute = datetime(2020, 1, 1, tzinfo=UTC), timedelta(minutes=1)
    days = [begin + timedelta(days=i) for i in range(0, 16 * 365, 5)]
    noon, seen = "12:00-13:00", set()
    for name in sorted(zone_names()):
        rules = zone(name)
        offsets = tuple(day.astimezone(rules).utcoffset() or timedelta() for day in days)
        if offsets in seen or not any(offset % timedelta(hours=1) for offset in offsets):
            continue
        seen.add(offsets)
        theirs = opening_hours.OpeningHours(noon, timezone=rules)
        for day in days:
            at = first_instant(datetime(day.year, day.month, day.day, 12), rules)  # noqa: DTZ001 - wall time
            assert theirs.is_open(at.astimezone(rules)), (name, day)
            assert not theirs.is_open((at - minute).astimezone(rules)), (name, day)
    assert len(seen) > 10
