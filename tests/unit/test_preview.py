"""The preview of a campaign's next windows is what a walk through the minutes finds, across clock changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geofences.zones import zone as zone_named
from offers.hours import OpeningHours
from offers.schedule import Schedule, WindowReason, is_live, next_windows
from tests.support.campaigns_at_random import cases, half_hours, live_minutes
from tests.support.wall_clock import MARGIN, WallClock

if TYPE_CHECKING:
    from datetime import time
    from zoneinfo import ZoneInfo


WALKED = MARGIN + 10 * 1440


def _open_minutes(clock: WallClock, opens: time, closes: time) -> set[int]:
    days = sorted({wall.date() for wall in clock.shown[1440:-2880]})
    return {minute for day in days for minute in clock.window(day, opens, closes)}


def _runs(minutes: set[int], start: int) -> list[tuple[int, int]]:
    """The minutes from a start on as [begin, end)."""
    runs: list[tuple[int, int]] = []
    for minute in sorted(m for m in minutes if start <= m < WALKED):
        if runs and runs[-1][1] == minute:
            runs[-1] = runs[-1][0], minute + 1
        else:
            runs.append((minute, minute + 1))
    return runs


@settings(deadline=None, max_examples=200)
@given(
    case=cases(),
    only_while_open=st.booleans(),
    hours=st.tuples(half_hours, half_hours),
    start=st.integers(MARGIN, MARGIN + 8 * 1440),
    n=st.integers(1, 6),
)
def test_the_next_windows_are_those_that_a_walk_through_the_minutes_finds(
    case: tuple[WallClock, ZoneInfo, Schedule],
    only_while_open: bool,  # noqa: FBT001 - hypothesis names it
    hours: tuple[time, time],
    start: int,
    n: int,
) -> None:
    clock, zone, schedule = case
    # known to be wrong by part of an hour, see docs/explanation/opening-hours.md: hours of a day that never was
    assume(not (only_while_open and zone.key == "Pacific/Apia"))
    opens, closes = hours
    schedule = replace(schedule, only_while_open=only_while_open)
    opening = OpeningHours.parse(f"{opens:%H:%M}-{closes:%H:%M}", zone=zone)
    minutes = live_minutes(clock, schedule)
    if only_while_open:
        minutes &= _open_minutes(clock, opens, closes)
    found = next_windows(schedule, zone=zone, after=clock.instant(start), n=n, hours=opening)
    for i, (begin, end) in enumerate(_runs(minutes, start)[:n]):
        assert found[i][0] == clock.instant(begin)
        if end < WALKED:  # one that the walk has seen end
            assert found[i][1] == clock.instant(end)
    seen = len(_runs(minutes, start))
    assert all(begin >= clock.instant(WALKED) - timedelta(minutes=1) for begin, _ in found[seen:])


def test_a_campaign_of_one_day_that_a_zone_leaves_out_is_never_on() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    zone, day = zone_named("Pacific/Apia"), date(2011, 12, 30)
    schedule = Schedule(first_day=day, last_day=day)
    before = datetime(2011, 12, 20, tzinfo=UTC)
    assert next_windows(schedule, zone=zone, after=before, n=3) == []
    assert is_live(schedule, at=before, zone=zone).reason is WindowReason.ENDED
