"""When a campaign is on, in a store's own time: dates, windows, and only while the store is open. Pure.

Windows are local wall times; `geofences.zones` says which instants they mean. Where the clock is put back, the first
occurrence of a wall time starts a window and the last one ends it; where it is put forward over one, the first instant
after the gap does either, so that a window inside the gap is none. All intervals are half-open, in UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from geofences.zones import day_start, first_instant
from offers.hours import HORIZON, OpeningHours, State
from offers.recurrence import LAST_YEAR, RecurringWindow
from offers.windows import END_OF_DAY, WEEKDAYS, Schedule, Weekday, WeeklyWindow, wall_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

__all__ = [
    "END_OF_DAY",
    "Interval",
    "RecurringWindow",
    "Schedule",
    "Weekday",
    "WeeklyWindow",
    "WindowAnswer",
    "WindowReason",
    "intervals",
    "is_live",
    "next_windows",
    "occurrences",
    "wall_time",
]

Interval = tuple[datetime, datetime | None]
"""Two UTC instants, [start, end); None: it never ends."""

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_REACH = timedelta(days=2)  # a window lasts at most a day, and a clock put back across midnight shifts it by one more
_MAX_RUNNING = 4096
_RUNNING: dict[tuple[Schedule, ZoneInfo], Interval] = {}
"""The window that was on when somebody asked last: it answers whoever asks again before it ends."""
_STEADY = timedelta(days=21)  # a weekly pattern without a hole for so long has none


class WindowReason(StrEnum):
    """Why a campaign is on or off at an instant."""

    LIVE = "live"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OUTSIDE_WINDOWS = "outside_windows"
    BLACKOUT_DAY = "blackout_day"
    STORE_CLOSED = "store_closed"
    HOURS_UNKNOWN = "hours_unknown"


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a campaign is on, why, and the UTC instant at which that ends.

    `next_change` is None if it never ends, or not within `hours.HORIZON` where opening hours decide.
    """

    live: bool
    reason: WindowReason
    next_change: datetime | None


def is_live(schedule: Schedule, *, at: datetime, zone: ZoneInfo, hours: OpeningHours | None = None) -> WindowAnswer:
    """Whether the campaign is on at a store at an aware instant.

    With `only_while_open` a store without hours, or whose hours say `unknown`, is not open: an offer is not made on a
    guess. Otherwise `hours` are not looked at. A few us once a zone's week has been looked at, else some 100.

    >>> from geofences.zones import zone
    >>> lunch = Schedule.from_json({"weekly": [{"days": ["mo", "tu"], "start": "11:00", "end": "14:30"}]})
    >>> is_live(lunch, at=datetime(2026, 6, 1, 13, 30, tzinfo=UTC), zone=zone("Europe/Lisbon"))
    ... # doctest: +NORMALIZE_WHITESPACE
    WindowAnswer(live=False, reason=<WindowReason.OUTSIDE_WINDOWS: 'outside_windows'>,
        next_change=datetime.datetime(2026, 6, 2, 10, 0, tzinfo=datetime.timezone.utc))
    """
    at = at.astimezone(UTC)
    window = _current(schedule, zone, at)
    if window is None:
        return WindowAnswer(live=False, reason=WindowReason.ENDED, next_change=None)
    start, end = window
    inside = start <= at
    if not schedule.only_while_open:
        reason = WindowReason.LIVE if inside else _why_outside(schedule, at, zone)
        return WindowAnswer(live=inside, reason=reason, next_change=end if inside else start)
    live = next(_live(schedule, zone, at, hours), None)
    if live and live[0] <= at:
        return WindowAnswer(live=True, reason=WindowReason.LIVE, next_change=live[1])
    if not inside:
        reason = _why_outside(schedule, at, zone)
    elif hours is not None and hours.state(at) is State.CLOSED:
        reason = WindowReason.STORE_CLOSED
    else:
        reason = WindowReason.HOURS_UNKNOWN
    return WindowAnswer(live=False, reason=reason, next_change=live and live[0])


def _current(schedule: Schedule, zone: ZoneInfo, at: datetime) -> Interval | None:
    """The window that is on at an instant, from that instant or an earlier one on, else the next one."""
    key = schedule, zone
    kept = _RUNNING.get(key)
    if kept is not None and kept[0] <= at and (kept[1] is None or at < kept[1]):
        return kept
    window = next(_windows(schedule, zone, at), None)
    if window is not None and window[0] <= at:
        if len(_RUNNING) >= _MAX_RUNNING:
            _RUNNING.clear()
        _RUNNING[key] = window
    return window


def intervals(schedule: Schedule, *, zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The campaign's windows inside [start, end), in order, touching ones joined; opening hours are left aside."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    found = []
    for begin, finish in _windows(schedule, zone, start):
        if begin >= end:
            break
        found.append((begin, end if finish is None else min(finish, end)))
    return found


def next_windows(
    schedule: Schedule, *, zone: ZoneInfo, after: datetime, n: int, hours: OpeningHours | None = None
) -> list[Interval]:
    """The next `n` intervals in which the campaign is on; one that is running is given from `after` on.

    Fewer if it ends before. With `only_while_open` they are cut to opening hours, looked at for `hours.HORIZON`; a
    store without hours has none. The end of an interval that never ends is None, and so is that of one whose recurring
    windows touch each other for longer than the horizon.
    """
    return list(islice(_live(schedule, zone, after.astimezone(UTC), hours), n))


def occurrences(
    local_time: time,
    days: frozenset[Weekday] | None,
    first_day: date | None,
    last_day: date | None,
    *,
    zone: ZoneInfo,
    start: datetime,
    end: datetime,
) -> list[datetime]:
    """The UTC instants in [start, end) at which a local time comes, once on each local day.

    `days` None means every weekday. In a gap it is the first instant after it, in an overlap the first occurrence. A
    day that a zone leaves out has none.

    >>> from geofences.zones import zone
    >>> begin, end = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    >>> found = occurrences(time(1, 30), None, None, None, zone=zone("Europe/Lisbon"), start=begin, end=end)
    >>> [f"{instant:%d %H:%M}" for instant in found]  # the clock went from 01:00 to 02:00 on the 29th
    ['28 01:30', '29 01:00']
    """
    found = []
    # a day early and late: a wall time in a gap, or one that a clock put back repeats, may leave its date
    for day in _days(start.astimezone(zone).date() - _DAY, end.astimezone(zone).date() + _DAY, first_day, last_day):
        if days is not None and WEEKDAYS[day.weekday()] not in days:
            continue
        begin, finish = day_start(day, zone), day_start(day + _DAY, zone)
        instant = finish if local_time == END_OF_DAY else first_instant(datetime.combine(day, local_time), zone)
        if begin < finish and start <= instant < end:
            found.append(instant.astimezone(UTC))
    return found


def _why_outside(schedule: Schedule, at: datetime, zone: ZoneInfo) -> WindowReason:
    today = at.astimezone(zone).date()
    if schedule.first_day and today < schedule.first_day:
        return WindowReason.NOT_STARTED
    if today in schedule.blackout_days:
        return WindowReason.BLACKOUT_DAY
    return WindowReason.OUTSIDE_WINDOWS


def _live(schedule: Schedule, zone: ZoneInfo, after: datetime, hours: OpeningHours | None) -> Iterator[Interval]:
    windows = _windows(schedule, zone, after)
    if not schedule.only_while_open:
        return windows
    return iter(()) if hours is None else _while_open(windows, hours, after + HORIZON)


def _while_open(windows: Iterator[Interval], hours: OpeningHours, until: datetime) -> Iterator[Interval]:
    """The windows cut to opening hours; none that begins after `until`, since a store may be closed for good."""
    for begin, end in windows:
        instant: datetime | None = begin
        while instant is not None and instant < until and (end is None or instant < end):
            change = hours.next_change(instant)
            if hours.is_open(instant):
                yield instant, _earlier(change, end)
            elif change is None:
                return
            instant = change
        if begin >= until:
            return


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((instant for instant in (one, other) if instant is not None), default=None)


def _windows(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[Interval]:
    """The windows that end after an instant, from it on, in order and disjoint, touching ones joined."""
    pattern = schedule.weekly or schedule.recurring
    windows = _pattern(schedule, zone, after) if pattern else _whole_days(schedule, zone, after)
    return _without(windows, schedule.blackout_days, zone) if schedule.blackout_days else windows


def _without(windows: Iterator[Interval], blackout_days: tuple[date, ...], zone: ZoneInfo) -> Iterator[Interval]:
    off = _off(blackout_days, zone)
    for begin, end in windows:
        left = begin
        for off_from, on_again in off[bisect_right(off, left, key=itemgetter(1)) :]:
            if end is not None and off_from >= end:
                break
            if left < off_from:
                yield left, off_from
            left = on_again
        if end is None or left < end:
            yield left, end


@lru_cache(maxsize=4096)
def _off(blackout_days: tuple[date, ...], zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """What lies between the beginning and the end of blackout days, in order, days that touch joined."""
    found: list[tuple[datetime, datetime]] = []
    for day in blackout_days:
        begin, end = day_start(day, zone), day_start(day + _DAY, zone)
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], end
        elif begin < end:  # a zone may leave a day out
            found.append((begin, end))
    return found


def _whole_days(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[Interval]:
    begin = max(day_start(schedule.first_day, zone), after) if schedule.first_day else after
    end = day_start(schedule.last_day + _DAY, zone) if schedule.last_day else None
    if end is None or begin < end:  # a zone may leave a day out
        yield begin, end


def _pattern(schedule: Schedule, zone: ZoneInfo, after: datetime) -> Iterator[Interval]:
    longest = max((window.duration for window in schedule.recurring), default=timedelta())
    first = max(after.astimezone(zone).date() - _REACH - longest, schedule.first_day or date.min)
    last = schedule.last_day or date(LAST_YEAR, 12, 31)
    monday = _monday(first)
    running: tuple[datetime, datetime] | None = None
    steady = False
    while (monday := _next_week(schedule, monday)) <= last:
        for begin, end in _week(schedule, zone, monday):
            if end <= after:
                continue
            if running is None:
                running = max(begin, after), end
            elif steady or begin <= running[1]:
                running = running[0], max(running[1], end)
            else:
                yield running
                running = begin, end
            steady = False
        monday += _WEEK
        if running and schedule.recurring and running[1] - running[0] > HORIZON:
            yield running[0], None
            return
        if running and running[1] - running[0] > _STEADY and not schedule.recurring:
            if schedule.last_day is None:
                yield running[0], None
                return
            steady = True  # a pattern without a hole has none until its last days: go there
            monday = max(monday, _monday(schedule.last_day - _STEADY))
    if running:
        yield running


def _next_week(schedule: Schedule, monday: date) -> date:
    """That week or a later one, if no window starts earlier; the last there is if none starts any more."""
    if schedule.weekly:
        return monday
    starts = (window.next_start(datetime.combine(monday, time())) for window in schedule.recurring)
    soonest = min((start for start in starts if start is not None), default=None)
    return date.max if soonest is None else _monday(soonest.date())


@lru_cache(maxsize=4096)
def _week(schedule: Schedule, zone: ZoneInfo, monday: date) -> tuple[tuple[datetime, datetime], ...]:
    """The windows that start in the seven local days from `monday` on, by start; not joined."""
    days = list(_days(monday, monday + 6 * _DAY, schedule.first_day, schedule.last_day))
    found = [
        window.on(day, zone) for day in days for window in schedule.weekly if WEEKDAYS[day.weekday()] in window.days
    ]
    found += [
        window.interval(start, zone)
        for window in schedule.recurring
        for start in window.starts_in_week(datetime.combine(monday, time()))
        if start.date() in days
    ]
    return tuple(sorted((begin, end) for begin, end in found if begin < end))


def _days(first: date, last: date, not_before: date | None, not_after: date | None) -> Iterator[date]:
    """The days first..last, both included, that lie in not_before..not_after."""
    day, last = max(first, not_before or first), min(last, not_after or last)
    while day <= last:
        yield day
        day += _DAY


def _monday(day: date) -> date:
    return day - day.weekday() * _DAY
