"""Windows that a recurrence rule of RFC 5545 begins, in local wall time. Pure; dateutil reads and expands the rules."""

# mypy: allow-untyped-calls

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from dateutil.rrule import DAILY, rrule, rrulestr

from geofences.zones import first_instant, last_instant
from offers.errors import InvalidScheduleError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2999
"""Days outside are refused; a campaign without an end has no `last_day`."""
MAX_RULE: Final = 500
"""Characters."""
MAX_DURATION: Final = timedelta(days=7)

_RULE = re.compile(r"DTSTART:(\d{4})\d{4}T\d{6}\n(RRULE:[^\n]+)")
_CALENDAR_YEARS = 400
"""After so many years every date has its weekday again."""
_MINUTE = timedelta(minutes=1)
_SOONEST = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringWindow:
    r"""A window of `duration` from each start of a rule: both in the store's wall time.

    >>> window = RecurringWindow.parse("DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;BYDAY=1SA", duration_min=240)
    >>> window.starts(datetime(2026, 7, 1), datetime(2026, 9, 1))
    [datetime.datetime(2026, 7, 4, 10, 0), datetime.datetime(2026, 8, 1, 10, 0)]
    """

    rule: str
    duration: timedelta

    @classmethod
    def parse(cls, rule: object, *, duration_min: object, path: str = "recurring") -> Self:
        """Read a rule of two lines, `DTSTART:YYYYMMDDTHHMMSS` and `RRULE:FREQ=...`, without a zone.

        Days, weeks, months and years recur; what recurs within a day is not a window of offers. Raises
        `InvalidScheduleError` with the path; among others for a rule that never begins.
        """
        if not isinstance(duration_min, int) or not _MINUTE <= timedelta(minutes=duration_min) <= MAX_DURATION:
            most = MAX_DURATION // _MINUTE
            raise InvalidScheduleError(f"{path}.duration_min: expected whole minutes, 1 to {most}")
        if not isinstance(rule, str) or len(rule) > MAX_RULE or not (found := _RULE.fullmatch(rule.strip())):
            raise InvalidScheduleError(
                f'{path}.rule: expected "DTSTART:YYYYMMDDTHHMMSS", a new line and "RRULE:FREQ=..."'
            )
        if not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
            raise InvalidScheduleError(f"{path}.rule: DTSTART: not in the years {FIRST_YEAR} to {LAST_YEAR}")
        try:
            read = _read(rule.strip())
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise InvalidScheduleError(f"{path}.rule: cannot be read: {error}") from error
        if _frequency(read) > DAILY:
            raise InvalidScheduleError(f"{path}.rule: FREQ: DAILY, WEEKLY, MONTHLY and YEARLY are known")
        if not _ever_begins(read):
            raise InvalidScheduleError(f"{path}.rule: never begins")
        return cls(rule=rule.strip(), duration=timedelta(minutes=duration_min))

    def starts(self, begin: datetime, end: datetime) -> list[datetime]:
        """Naive local times at which windows begin, begin <= start < end."""
        return list(_read(self.rule).between(begin, end - _SOONEST, inc=True))

    def next_start(self, at: datetime) -> datetime | None:
        """The first naive local start at or after another one; None if there is none."""
        found: datetime | None = _read(self.rule).after(at, inc=True)
        return found

    def interval(self, start: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The UTC instants of the window that begins at a local time; equal if it is in a gap."""
        return first_instant(start, zone), last_instant(start + self.duration, zone)


@lru_cache(maxsize=1024)
def _read(rule: str) -> rrule:
    # what was expanded is kept, so that the next week does not begin at DTSTART again
    read = rrulestr(rule, cache=True)
    assert isinstance(read, rrule)
    return read


def _frequency(read: rrule) -> int:
    """0 is yearly; the larger, the more often."""
    frequency: int = vars(read)["_freq"]
    return frequency


def _ever_begins(read: rrule) -> bool:
    """Whether a rule has a start at all, in the years before the calendar's last.

    A rule like "30 February" would be looked for up to the year 9999, which takes seconds. So this looks at the last
    years only, whose days fall on the same weekdays as those after DTSTART.
    """
    start: datetime = vars(read)["_dtstart"]
    cycles = (MAXYEAR - start.year) // _CALENDAR_YEARS - 1
    late = read.replace(dtstart=start.replace(year=start.year + cycles * _CALENDAR_YEARS), until=None, count=1)
    return next(iter(late), None) is not None and next(iter(read), None) is not None
