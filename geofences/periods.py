"""The fixed calendar of a store: local hours, days, ISO weeks and months, as instants. Pure, and knows no clock.

Days never overlap and leave nothing out (`zones.day_start`), so they have 23, 24 or 25 hours; hours divide their day
in the same way, also where a clock changes by half an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar, assert_never

import numpy as np

from geofences.zones import day_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zoneinfo import ZoneInfo

    from geofences.model import Int64s

DAY: Final = timedelta(days=1)
AN_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PLAIN_HOURS_US: Final = np.arange(24, dtype=np.int64) * 3_600_000_000
Found = TypeVar("Found")


class Grain(StrEnum):
    """How long a period is; figures exist for these only."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """[starts_at, ends_at) in UTC, which begins on the local day `first_day`."""

    first_day: date
    starts_at: datetime
    ends_at: datetime


def first_day_of(grain: Grain, day: date) -> date:
    """The day with which the period around a day begins; of an hour that is its day.

    >>> first_day_of(Grain.WEEK, date(2026, 3, 1)), first_day_of(Grain.MONTH, date(2026, 3, 31))
    (datetime.date(2026, 2, 23), datetime.date(2026, 3, 1))
    """
    match grain:
        case Grain.HOUR | Grain.DAY:
            return day
        case Grain.WEEK:
            return day - day.weekday() * DAY
        case Grain.MONTH:
            return day.replace(day=1)
        case _:
            assert_never(grain)


def day_after(grain: Grain, day: date) -> date:
    """The first day after the period around a day."""
    first = first_day_of(grain, day)
    match grain:
        case Grain.HOUR | Grain.DAY:
            return first + DAY
        case Grain.WEEK:
            return first + 7 * DAY
        case Grain.MONTH:
            return (first + 31 * DAY).replace(day=1)
        case _:
            assert_never(grain)


def day_of(at: datetime, local_zone: ZoneInfo) -> date:
    """The local day that an instant belongs to."""
    day = at.astimezone(local_zone).date()
    if at < day_start(day, local_zone):
        return day - DAY
    return day + DAY if at >= day_start(day + DAY, local_zone) else day


def period_around(grain: Grain, day: date, local_zone: ZoneInfo) -> Period:
    """The day, week or month that a day lies in; without length where the zone never had that day."""
    first = first_day_of(grain, day)
    starts_at, ends_at = day_start(first, local_zone), day_start(day_after(grain, day), local_zone)
    return Period(first_day=first, starts_at=starts_at, ends_at=ends_at)


def periods(grain: Grain, first: date, last: date, local_zone: ZoneInfo) -> list[Period]:
    """All periods of one grain that touch the local days [first, last), in order: edges that cut one are moved out."""
    day, found = first_day_of(grain, first), []
    while day < last:
        after = day_after(grain, day)
        starts_at, ends_at = day_start(day, local_zone), day_start(after, local_zone)
        between = _hours_after(starts_at, ends_at, local_zone) if grain is Grain.HOUR else []
        found += [
            Period(first_day=day, starts_at=begin, ends_at=end)
            for begin, end in pairwise((starts_at, *between, ends_at))
            if begin < end  # Apia had no 30 December 2011
        ]
        day = after
    return found


def _is_plain(begin: datetime, end: datetime, local_zone: ZoneInfo) -> bool:
    """Whether a day is like most: no clock changes."""
    return end - begin == DAY and begin.astimezone(local_zone).utcoffset() == end.astimezone(local_zone).utcoffset()


def _hours_after(begin: datetime, end: datetime, local_zone: ZoneInfo) -> list[datetime]:
    """When the hours of a local day begin, but for the first."""
    if _is_plain(begin, end, local_zone):
        return [begin + hour * AN_HOUR for hour in range(1, 24)]
    return [hour for hour in local_hours(begin, end, local_zone) if hour > begin]


def hour_of(at: datetime, local_zone: ZoneInfo) -> datetime:
    """The UTC instant at which the local hour of `at` began.

    >>> from geofences.zones import zone
    >>> hour_of(datetime(2026, 6, 1, 12, 50, tzinfo=UTC), zone("Asia/Kolkata")).isoformat()
    '2026-06-01T12:30:00+00:00'
    """
    local = at.astimezone(local_zone)
    return (at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)).astimezone(UTC)


def local_hours(start: datetime, end: datetime, local_zone: ZoneInfo) -> Iterator[datetime]:
    """The UTC instants in [start, end) at which a local hour begins."""
    hour = hour_of(start, local_zone)
    while hour < end:
        if hour >= start:
            yield hour
        # half an hour more, so that an hour of 30 or 90 minutes (Lord Howe's clock change) is neither lost nor doubled
        hour = max(hour_of(hour + timedelta(minutes=90), local_zone), hour + timedelta(minutes=30))


def _once_each(method: Callable[[Calendar, Grain], Found]) -> Callable[[Calendar, Grain], Found]:
    """A method whose answers are kept with its calendar."""

    def kept(self: Calendar, grain: Grain) -> Found:
        key = (method.__name__, grain)
        if key not in self.known:
            self.known[key] = method(self, grain)
        found: Found = self.known[key]
        return found

    return kept


class Calendar:
    """The local days [first, last) of a zone with the hours in them, to look many instants up at once.

    A stretch is the days that lie in one ISO week and in one month: weeks and months are made of whole ones, where
    the days are.
    """

    def __init__(self, first: date, last: date, local_zone: ZoneInfo) -> None:
        """Without an object for each hour: a year has 8,760, and many calendars are kept."""
        self._days: list[date] = []
        hours: list[Int64s] = []
        begin, day = day_start(first, local_zone), first
        while day < last:
            after = day_start(day + DAY, local_zone)
            if begin < after:  # Apia had no 30 December 2011
                self._days.append(day)
                if _is_plain(begin, after, local_zone):
                    hours.append(to_us(begin) + _PLAIN_HOURS_US)
                else:
                    between = _hours_after(begin, after, local_zone)
                    hours.append(np.array([to_us(begin), *map(to_us, between)], dtype=np.int64))
            begin, day = after, day + DAY
        self._day_of_hour = np.repeat(np.arange(len(hours)), [len(one) for one in hours]).astype(np.int64)
        self._starts_us = np.concatenate(hours) if hours else np.empty(0, dtype=np.int64)
        self._edges_us = np.append(self._starts_us, to_us(begin))
        self.known: dict[tuple[str, Grain], Any] = {}

    @property
    def starts_at(self) -> datetime:
        return from_us(int(self._edges_us[0]))

    @property
    def ends_at(self) -> datetime:
        return from_us(int(self._edges_us[-1]))

    def hour_numbers(self, at_us: Int64s) -> Int64s:
        """The hour of each instant in these days, counted from 0; shape (n,)."""
        return np.asarray(np.searchsorted(self._starts_us, at_us, side="right") - 1, dtype=np.int64)

    @_once_each
    def numbers(self, grain: Grain) -> Int64s:
        """Of each hour the number of the period that it lies in, counted from 0."""
        if grain is Grain.HOUR:
            return np.arange(len(self._starts_us), dtype=np.int64)
        return self._numbered([first_day_of(grain, day) for day in self._days])

    @_once_each
    def periods(self, grain: Grain) -> list[Period]:
        """By their numbers; the first and the last may be cut by the first or last day."""
        number = self.numbers(grain)
        last = np.flatnonzero(np.append(np.diff(number), 1))
        first = np.append(0, last[:-1] + 1)
        return [
            Period(
                first_day=first_day_of(grain, self._days[self._day_of_hour[begin]]),
                starts_at=from_us(int(self._edges_us[begin])),
                ends_at=from_us(int(self._edges_us[end + 1])),
            )
            for begin, end in zip(first.tolist(), last.tolist(), strict=True)
        ]

    @_once_each
    def new_since_us(self, grain: Grain) -> Int64s:
        """Of each period, from when on a first visit makes a device new: for an hour the beginning of its day."""
        spans = self.periods(grain)
        if grain is not Grain.HOUR:
            return np.array([to_us(span.starts_at) for span in spans], dtype=np.int64)
        begins: dict[date, int] = {}
        return np.array([begins.setdefault(span.first_day, to_us(span.starts_at)) for span in spans], dtype=np.int64)

    @cached_property
    def stretches(self) -> Int64s:
        """Of each hour the number of its stretch."""
        return self._numbered([max(first_day_of(Grain.WEEK, day), day.replace(day=1)) for day in self._days])

    def _numbered(self, firsts: list[date]) -> Int64s:
        """Of each hour a number that counts up where `firsts`, one of each day, changes."""
        changes = [one != before for before, one in pairwise(firsts)]
        return np.asarray(np.cumsum([0, *changes])[self._day_of_hour], dtype=np.int64)


@lru_cache(maxsize=64)
def calendar(first: date, last: date, local_zone: ZoneInfo) -> Calendar:
    """One calendar for all stores of a zone: making it takes longer than using it."""
    return Calendar(first, last, local_zone)


def to_us(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    return _EPOCH + at_us * _MICROSECOND
