"""Schedules at random about odd days, and in which minutes each is on, by looking at the clock on the wall only."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from geofences.zones import zone
from offers.schedule import END_OF_DAY, RecurringWindow, Schedule, Weekday, WeeklyWindow
from tests.support.wall_clock import DAY, MARGIN, ODD_DAYS, WallClock, wall_clock

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

half_hours = st.integers(0, 47).map(lambda half: time(half // 2, half % 2 * 30))
_windows = st.builds(
    WeeklyWindow,
    days=st.frozensets(st.sampled_from(Weekday), min_size=1),
    start=half_hours,
    end=half_hours | st.just(END_OF_DAY),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[WallClock, ZoneInfo, Schedule]:
    name, day = draw(st.sampled_from(ODD_DAYS))
    first = draw(st.none() | st.integers(-3, 3))
    last = draw(st.none() | st.integers(-3 if first is None else first, 3))
    schedule = Schedule(
        first_day=None if first is None or day.year < 1970 else day + first * DAY,
        last_day=None if last is None or day.year < 1970 else day + last * DAY,
        weekly=tuple(draw(st.lists(_windows, max_size=3))),
        recurring=() if day.year < 1970 else tuple(draw(st.lists(_recurring(day), max_size=2))),
        blackout_days=()
        if day.year < 1970
        else tuple(sorted(day + i * DAY for i in draw(st.sets(st.integers(-5, 5))))),
    )
    return wall_clock(name, day), zone(name), schedule


def live_minutes(clock: WallClock, schedule: Schedule) -> set[int]:
    """Every minute in which the campaign is on, found by looking at the clock only."""
    first = clock.shown[MARGIN // 2].date()
    last = clock.shown[-MARGIN // 2].date()
    days = [first + i * DAY for i in range((last - first).days + 1)]
    days = [d for d in days if (schedule.first_day or d) <= d <= (schedule.last_day or d)]
    off = {m for d in schedule.blackout_days for m in range(clock.over(d - DAY), clock.over(d))}
    if not schedule.weekly and not schedule.recurring:
        return {m for d in days for m in range(clock.over(d - DAY), clock.over(d))} - off
    weekly = {
        m
        for d in days
        for window in schedule.weekly
        if list(Weekday)[d.weekday()] in window.days
        for m in clock.window(d, window.start, None if window.end == END_OF_DAY else window.end)
    }
    recurring = {
        m
        for d in days
        for window in schedule.recurring
        if (start := _start_on(d, window.rule)) is not None
        for m in range(clock.first(start), clock.last(start + window.duration))
    }
    return (weekly | recurring) - off


def _recurring(around: date) -> st.SearchStrategy[RecurringWindow]:
    """Every so many days from a day on, at a time."""
    return st.builds(
        lambda first, at, every, minutes: RecurringWindow.parse(
            f"DTSTART:{around + first * DAY:%Y%m%d}T{at:%H%M}00\nRRULE:FREQ=DAILY;INTERVAL={every}",
            duration_min=minutes,
        ),
        st.integers(-8, 3),
        half_hours,
        st.integers(1, 4),
        st.sampled_from([1, 30, 90, 720, 1440, 2100]),
    )


def _start_on(day: date, rule: str) -> datetime | None:
    """When that rule starts a window on a day, worked out anew."""
    text, every = re.fullmatch(r"DTSTART:(\S+)\nRRULE:FREQ=DAILY;INTERVAL=(\d)", rule).groups()  # type: ignore[union-attr]
    first = datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall time
    days = (day - first.date()).days
    return first + days * DAY if days >= 0 and days % int(every) == 0 else None
