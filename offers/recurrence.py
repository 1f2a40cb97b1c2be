"""Windows that a recurrence rule of RFC 5545 begins, in local wall time. Pure; dateutil expands the rules.

What a rule may say is written down here, not left to the library: days, weeks, months and years recur, at the one time
of DTSTART, so that a day has one start at most and a rule costs no more than its days.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from dateutil.rrule import rrule, rrulestr

from geofences.zones import first_instant, last_instant
from offers.errors import InvalidScheduleError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2999
"""Days outside are refused; a campaign without an end has no `last_day`."""
MAX_RULE: Final = 500
"""Characters."""
MAX_DURATION: Final = timedelta(days=7)
MAX_COUNT: Final = 10_000

_RULE = re.compile(r"DTSTART:(\d{4})\d{4}T\d{6}\nRRULE:(\S+)")
_PART = re.compile(
    r"FREQ=(?P<freq>[A-Z]+)|INTERVAL=(?P<interval>\d{1,5})|COUNT=(?P<count>\d{1,5})|UNTIL=\d{8}(T\d{6})?"
    r"|WKST=(MO|TU|WE|TH|FR|SA|SU)"
    r"|BYDAY=([+-]?\d{0,2}(MO|TU|WE|TH|FR|SA|SU)(,|$))+"
    r"|BYMONTH=((1[0-2]|[1-9])(,|$))+"
    r"|BYMONTHDAY=(-?([12]\d|3[01]|[1-9])(,|$))+"
    r"|BYWEEKNO=(-?([1-4]\d|5[0-3]|[1-9])(,|$))+"
    r"|(BYYEARDAY|BYSETPOS)=([+-]?([12]\d\d|3[0-5]\d|36[0-6]|[1-9]\d?)(,|$))+"
)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_CALENDAR_YEARS, _LOOKED_AT_YEARS = 400, 100
"""After so many years every date has its weekday again; in so many at least a rule must begin once."""
_MINUTE = timedelta(minutes=1)
_SOONEST = timedelta(microseconds=1)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringWindow:
    r"""A window of `duration` from each start of a rule: both in the store's wall time.

    >>> window = RecurringWindow.parse("DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;BYDAY=1SA", duration_min=240)
    >>> window.starts_in_week(datetime(2026, 6, 29))
    (datetime.datetime(2026, 7, 4, 10, 0),)
    """

    rule: str
    duration: timedelta

    @classmethod
    def parse(cls, rule: object, *, duration_min: object, path: str = "recurring") -> Self:
        """Read a rule of two lines, `DTSTART:YYYYMMDDTHHMMSS` and `RRULE:FREQ=...`, without a zone.

        Raises `InvalidScheduleError` with the path; among others for a rule that never begins.
        """
        if not isinstance(duration_min, int) or not _MINUTE <= timedelta(minutes=duration_min) <= MAX_DURATION:
            most = MAX_DURATION // _MINUTE
            raise InvalidScheduleError(f"{path}.duration_min: expected whole minutes, 1 to {most}")
        if not isinstance(rule, str):
            raise InvalidScheduleError(f"{path}.rule: expected a text")
        fault = _fault(rule.strip()[: MAX_RULE + 1])
        if fault is not None:
            raise InvalidScheduleError(f"{path}.rule: {fault}")
        return cls(rule=rule.strip(), duration=timedelta(minutes=duration_min))

    def starts_in_week(self, begin: datetime) -> tuple[datetime, ...]:
        """Naive local times at which windows begin in the seven days from another one on."""
        return _starts(self.rule, begin)

    def next_start(self, at: datetime) -> datetime | None:
        """The first naive local start at or after another one; None if there is none."""
        return _next_start(self.rule, at)

    def over_at(self) -> datetime | None:
        """A naive local time at which the last window is surely over; None if that is not within a hundred years."""
        until = re.search(r"UNTIL=(\d{8})(T\d{6})?", self.rule)
        if until:
            last = datetime.strptime(until[1] + (until[2] or "T235959"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - wall time
        elif "COUNT=" in self.rule:
            starts = iter(_kept(self.rule))
            last = next(starts)
            horizon = min(last.year + _LOOKED_AT_YEARS, LAST_YEAR)
            for start in starts:
                if start.year > horizon:
                    return None
                last = start
        else:
            return None
        return last + self.duration

    def interval(self, start: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The UTC instants of the window that begins at a local time; equal if it is in a gap."""
        return first_instant(start, zone), last_instant(start + self.duration, zone)


@lru_cache(maxsize=4096)
def _fault(rule: str) -> str | None:
    """What is wrong with a rule; None if it can be used."""
    found = _RULE.fullmatch(rule)
    if len(rule) > MAX_RULE or not found:
        return 'expected "DTSTART:YYYYMMDDTHHMMSS", a new line and "RRULE:FREQ=..."'
    if not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
        return f"DTSTART: not in the years {FIRST_YEAR} to {LAST_YEAR}"
    parts = [(part, _PART.fullmatch(part)) for part in found[2].split(";")]
    unknown = next((part for part, read in parts if read is None), None)
    if unknown is not None:
        return f"{unknown[:40]!r} is not known here"
    said = {name: value for _, read in parts if read for name, value in read.groupdict().items() if value}
    if said.get("freq") not in _FREQUENCIES:
        return "FREQ: DAILY, WEEKLY, MONTHLY and YEARLY are known"
    if said.get("interval") and int(said["interval"]) == 0:
        return "INTERVAL: expected 1 or more"
    if said.get("count") and not 1 <= int(said["count"]) <= MAX_COUNT:
        return f"COUNT: expected 1 to {MAX_COUNT}"
    until = re.search(r"UNTIL=(\d{4})", found[2])
    if until and int(until[1]) > LAST_YEAR:
        return f"UNTIL: not after the year {LAST_YEAR}; without it the rule goes on for ever"
    if len({part.partition("=")[0] for part, _ in parts}) < len(parts):
        return "a part comes twice"
    try:
        read = _read(rule)
        return None if _ever_begins(read) else "never begins"
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        return f"cannot be read: {error}"


def _read(rule: str) -> rrule:
    read = rrulestr(rule)
    assert isinstance(read, rrule)
    return read


@lru_cache(maxsize=1024)
def _kept(rule: str) -> rrule:
    return _read(rule)


@lru_cache(maxsize=16_384)
def _starts(rule: str, begin: datetime) -> tuple[datetime, ...]:
    return tuple(_near(rule, begin).between(begin, begin + _WEEK - _SOONEST, inc=True))


@lru_cache(maxsize=16_384)
def _next_start(rule: str, at: datetime) -> datetime | None:
    found: datetime | None = _near(rule, at).after(at, inc=True)
    return found


def _near(rule: str, at: datetime) -> rrule:
    """The rule as it goes on near a time: what recurs by days or weeks need not be counted from its start."""
    read = _kept(rule)
    every = {"DAILY": timedelta(days=1), "WEEKLY": _WEEK}.get(re.findall("FREQ=([A-Z]+)", rule)[0])
    if every is None or "COUNT=" in rule:
        return read
    interval = re.findall(r"INTERVAL=(\d+)", rule)
    every *= int(interval[0]) if interval else 1
    start: datetime = vars(read)["_dtstart"]
    # two rounds before: a week may begin after the day of DTSTART
    rounds = (at - start) // every - 2
    return read.replace(dtstart=start + rounds * every) if rounds > 0 else read


def _ever_begins(read: rrule) -> bool:
    """Whether a rule has a start at all.

    A rule like "30 February" would be looked for up to the year 9999, which takes seconds. So this looks at the last
    years of the calendar only, whose days fall on the same weekdays as those after DTSTART.
    """
    start: datetime = vars(read)["_dtstart"]
    cycles = (MAXYEAR - _LOOKED_AT_YEARS - start.year) // _CALENDAR_YEARS
    late = read.replace(dtstart=start.replace(year=start.year + cycles * _CALENDAR_YEARS), until=None, count=1)
    return next(iter(late), None) is not None and next(iter(read), None) is not None
