"""What a campaign says of its times, as values and as JSON: dates, windows, only while the store is open. Pure.

All times are local wall times of a store; `schedule` says when they come true in a zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from geofences.zones import day_start, first_instant, last_instant
from offers.errors import InvalidScheduleError
from offers.recurrence import FIRST_YEAR, LAST_YEAR, RecurringWindow

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

END_OF_DAY = time.max
"""Stands for 24:00, which `time` cannot say: the instant at which the next local day begins."""

MAX_WINDOWS = 100
MAX_BLACKOUT_DAYS = 366

_WALL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY = timedelta(days=1)


class Weekday(StrEnum):
    """Local days of the week, in the order of `date.weekday()`."""

    MO = "mo"
    TU = "tu"
    WE = "we"
    TH = "th"
    FR = "fr"
    SA = "sa"
    SU = "su"


WEEKDAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyWindow:
    """Local wall time [start, end) on each of some weekdays; an `end` at or before `start` lies on the next day."""

    days: frozenset[Weekday]
    start: time
    end: time

    def __post_init__(self) -> None:
        if not self.days:
            raise InvalidScheduleError("days: a weekly window needs at least one")
        if self.start == END_OF_DAY:
            raise InvalidScheduleError("start: 24:00 can only be an end")

    def on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The UTC instants of the window that starts on one local day, its weekday aside; equal if it is in a gap."""
        start = first_instant(datetime.combine(day, self.start), zone)
        if self.end == END_OF_DAY:
            return start, day_start(day + _DAY, zone)
        last = day if self.end > self.start else day + _DAY
        return start, last_instant(datetime.combine(last, self.end), zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a campaign is on. `Schedule()` is always on.

    `first_day` and `last_day` are local days, both included, and decide on which days windows may start: one that runs
    past midnight on `last_day` is not cut. Without weekly and recurring windows every day is a window, all of it. On a
    blackout day nothing is on, all day.
    """

    first_day: date | None = None
    last_day: date | None = None
    weekly: tuple[WeeklyWindow, ...] = ()
    recurring: tuple[RecurringWindow, ...] = ()
    blackout_days: tuple[date, ...] = ()
    """Rising."""
    only_while_open: bool = False

    def __post_init__(self) -> None:
        named = [("blackout_days", day) for day in self.blackout_days]
        for name, day in (("first_day", self.first_day), ("last_day", self.last_day), *named):
            if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise InvalidScheduleError(f"{name}: not in the years {FIRST_YEAR} to {LAST_YEAR} (for no limit: null)")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise InvalidScheduleError(f"last_day: {self.last_day} is before first_day {self.first_day}")

    @classmethod
    def from_json(cls, obj: object, path: str = "windows") -> Self:
        """Read the JSON form; absent and null mean the default, an unknown key is an error.

        Raises `InvalidScheduleError` with the path of the first fault, e.g. `windows.weekly[0].start: ...`.

        >>> text = {"first_day": "2026-06-01", "last_day": "2026-08-31", "only_while_open": True,
        ...         "weekly": [{"days": ["mo", "tu"], "start": "11:00", "end": "14:30"}],
        ...         "recurring": [], "blackout_days": ["2026-06-19"]}
        >>> Schedule.from_json(text).to_json() == text
        True
        """
        known = ("first_day", "last_day", "weekly", "recurring", "blackout_days", "only_while_open")
        fields = _object(obj, path, known)
        windows = _list(fields.get("weekly", []), f"{path}.weekly")
        rules = _list(fields.get("recurring", []), f"{path}.recurring")
        off = _list(fields.get("blackout_days", []), f"{path}.blackout_days", MAX_BLACKOUT_DAYS)
        only_while_open = fields.get("only_while_open", False)
        if not isinstance(only_while_open, bool):
            raise InvalidScheduleError(f"{path}.only_while_open: expected true or false")
        first_day = _day(fields.get("first_day"), f"{path}.first_day")
        last_day = _day(fields.get("last_day"), f"{path}.last_day")
        weekly = tuple(_weekly_window(window, f"{path}.weekly[{i}]") for i, window in enumerate(windows))
        recurring = tuple(_recurring_window(rule, f"{path}.recurring[{i}]") for i, rule in enumerate(rules))
        blackout = {_day(day, f"{path}.blackout_days[{i}]") or date.min for i, day in enumerate(off)}
        try:
            return cls(
                first_day=first_day,
                last_day=last_day,
                weekly=weekly,
                recurring=recurring,
                blackout_days=tuple(sorted(blackout)),
                only_while_open=only_while_open,
            )
        except InvalidScheduleError as error:
            raise InvalidScheduleError(f"{path}.{error}") from error

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
            "recurring": [
                {"rule": window.rule, "duration_min": window.duration // timedelta(minutes=1)}
                for window in self.recurring
            ],
            "blackout_days": [day.isoformat() for day in self.blackout_days],
            "only_while_open": self.only_while_open,
        }


def wall_time(text: object, path: str) -> time:
    """Read `HH:MM`, 00:00 to 23:59, or 24:00 as `END_OF_DAY`. Raises `InvalidScheduleError` with the path.

    >>> wall_time("11:30", "at"), wall_time("24:00", "at") == END_OF_DAY
    (datetime.time(11, 30), True)
    """
    if text == "24:00":
        return END_OF_DAY
    if not isinstance(text, str) or not _WALL_TIME.fullmatch(text):
        raise InvalidScheduleError(f'{path}: expected a time as "HH:MM", 00:00 to 24:00')
    return time(int(text[:2]), int(text[3:]))


def _weekly_window(value: object, path: str) -> WeeklyWindow:
    fields = _object(value, path, ("days", "start", "end"))
    days = _list(fields.get("days"), f"{path}.days")
    for i, day in enumerate(days):
        if day not in WEEKDAYS:
            raise InvalidScheduleError(f"{path}.days[{i}]: expected one of {', '.join(WEEKDAYS)}")
    start, end = wall_time(fields.get("start"), f"{path}.start"), wall_time(fields.get("end"), f"{path}.end")
    try:
        return WeeklyWindow(days=frozenset(Weekday(day) for day in days), start=start, end=end)
    except InvalidScheduleError as error:
        raise InvalidScheduleError(f"{path}.{error}") from error


def _recurring_window(value: object, path: str) -> RecurringWindow:
    fields = _object(value, path, ("rule", "duration_min"))
    return RecurringWindow.parse(fields.get("rule"), duration_min=fields.get("duration_min"), path=path)


def _object(value: object, path: str, known: tuple[str, ...]) -> dict[str, Any]:
    """The members of a JSON object that are not null."""
    if not isinstance(value, dict):
        raise InvalidScheduleError(f"{path}: expected an object")
    for key in value:
        if key not in known:
            raise InvalidScheduleError(f"{path}.{key}: unknown; known are {', '.join(known)}")
    return {key: member for key, member in value.items() if member is not None}


def _list(value: object, path: str, most: int = MAX_WINDOWS) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidScheduleError(f"{path}: expected a list")
    if len(value) > most:
        raise InvalidScheduleError(f"{path}: more than {most}")
    return value


def _day(value: object, path: str) -> date | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # a day that the calendar does not have
    raise InvalidScheduleError(f'{path}: expected a day as "YYYY-MM-DD"')
