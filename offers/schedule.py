"""When a campaign is on, in a store's own time: dates, weekly windows, and only while the store is open. Pure.

Windows are local wall times; `geofences.zones` says which instants they mean. Where the clock is put back, the first
occurrence of a wall time starts a window and the last one ends it; where it is put forward over one, the first instant
after the gap does either, so that a window inside the gap is none. All intervals are half-open, in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Self

from geofences.zones import day_start, first_instant, last_instant
from offers.errors import InvalidScheduleError
from offers.hours import HORIZON, OpeningHours, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

END_OF_DAY = time.max
"""Stands for 24:00, which `time` cannot say: the instant at which the next local day begins."""

FIRST_YEAR, LAST_YEAR = 1970, 2999
"""Days outside are refused; a campaign without an end has no `last_day`."""

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_REACH = timedelta(days=2)  # a window lasts at most a day, and a clock put back across midnight shifts it by one more
_STEADY = timedelta(days=21)  # a weekly pattern without a hole for so long has none

Interval = tuple[datetime, datetime | None]
"""Two UTC instants, [start, end); None: it never ends."""


class Weekday(StrEnum):
    """Local days of the week, in the order of `date.weekday()`."""

    MO = "mo"
    TU = "tu"
    WE = "we"
    TH = "th"
    FR = "fr"
    SA = "sa"
    SU = "su"


_WEEKDAYS = tuple(Weekday)


class WindowReason(StrEnum):
    """Why a campaign is on or off at an instant."""

    LIVE = "live"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OUTSIDE_WINDOWS = "outside_windows"
    STORE_CLOSED = "store_closed"
    HOURS_UNKNOWN = "hours_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyWindow:
    """Local wall time [start, end) on each of some weekdays; an `end` at or before `start` lies on the next day."""

    days: frozenset[Weekday]
    start: time
    end: time

    def __post_init__(self) -> None:
        if not self.days:
            raise InvalidScheduleError("a weekly window needs a day")
        if self.start == END_OF_DAY:
            raise InvalidScheduleError("a weekly window cannot start at 24:00")

    def on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The UTC instants of the window that starts on one local day, whatever its weekday; equal if it is in a gap."""
        start = first_instant(datetime.combine(day, self.start), zone)
        if self.end == END_OF_DAY:
            return start, day_start(day + _DAY, zone)
        last = day if self.end > self.start else day + _DAY
        return start, last_instant(datetime.combine(last, self.end), zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a campaign is on. `Schedule()` is always on.

    `first_day` and `last_day` are local days, both included, and decide on which days windows may start: one that runs past
    midnight on `last_day` is not cut. Without weekly windows every day is a window from its beginning to its end.
    """

    first_day: date | None = None
    last_day: date | None = None
    weekly: tuple[WeeklyWindow, ...] = ()
    only_while_open: bool = False

    def __post_init__(self) -> None:
        for day in (self.first_day, self.last_day):
            if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise InvalidScheduleError(f"{day} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise InvalidScheduleError(f"last_day {self.last_day} is before first_day {self.first_day}")

    @classmethod
    def from_json(cls, obj: object, path: str = "windows") -> Self:
        """Read the JSON form; absent and null mean the default, an unknown key is an error.

        Raises `InvalidScheduleError` with the path of the first fault, e.g. `windows.weekly[0].start: ...`.

        >>> text = {"first_day": "2026-06-01", "last_day": "2026-08-31", "only_while_open": True,
        ...         "weekly": [{"days": ["mo", "tu"], "start": "11:00", "end": "14:30"}]}
        >>> Schedule.from_json(text).to_json() == text
        True
        """
        fields = _object(obj, path, ("first_day", "last_day", "weekly", "only_while_open"))
        windows = _list(fields.get("weekly") or [], f"{path}.weekly")
        only_while_open = fields.get("only_while_open") or False
        if not isinstance(only_while_open, bool):
            raise InvalidScheduleError(f"{path}.only_while_open: expected true or false")
        return cls(
            first_day=_day(fields.get("first_day"), f"{path}.first_day"),
            last_day=_day(fields.get("last_day"), f"{path}.last_day"),
            weekly=tuple(_window(window, f"{path}.weekly[{i}]") for i, window in enumerate(windows)),
            only_while_open=only_while_open,
        )

    def to_json(self) -> dict[str, object]:
        """The JSON form with all keys, days in the order of the week."""
        return {
            "first_day": self.first_day and self.first_day.isoformat(),
            "last_day": self.last_day and self.last_day.isoformat(),
            "weekly": [
                {
                    "days": [day.value for day in Weekday if day in window.days],
                    "start": f"{window.start:%H:%M}",
                    "end": "24:00" if window.end == END_OF_DAY else f"{window.end:%H:%M}",
                }
                for window in self.weekly
            ],
            "only_while_open": self.only_while_open,
        }
