"""A slow oracle for local time: it walks through UTC minute by minute and looks at the clock on the wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from geofences.zones import zone

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MARGIN = 5 * 1440
"""Minutes walked before and after the part that a test asks about, so that what begins or ends outside is seen too."""

ODD_DAYS = [
    ("America/St_Johns", date(2010, 11, 7)),  # put back across midnight, from 00:01
    ("America/St_Johns", date(2010, 3, 14)),  # forward at 00:01
    ("America/St_Johns", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Antarctica/Troll", date(2026, 3, 29)),  # two hours
    ("Antarctica/Troll", date(2026, 10, 25)),
    ("Africa/Cairo", date(2026, 4, 24)),  # midnight does not exist
    ("Africa/Cairo", date(2026, 10, 30)),  # 23:00 comes twice
    ("Asia/Tehran", date(2022, 3, 22)),
    ("Asia/Tehran", date(2022, 9, 21)),
    ("America/Sao_Paulo", date(2018, 11, 4)),  # midnight does not exist
    ("America/Sao_Paulo", date(2019, 2, 17)),
    ("America/Nuuk", date(2026, 3, 29)),  # the last hour of the day does not exist
    ("America/Nuuk", date(2026, 10, 25)),
    ("America/Havana", date(2025, 11, 2)),  # put back to midnight exactly
    ("Atlantic/Azores", date(2026, 10, 25)),
    ("Atlantic/Azores", date(2026, 3, 29)),
    ("Europe/Dublin", date(2026, 3, 29)),  # winter time is the one with a negative shift
    ("Europe/Dublin", date(2026, 10, 25)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that does not exist
    ("Pacific/Kwajalein", date(1969, 10, 1)),  # 23 hours twice
    ("Asia/Kathmandu", date(2026, 7, 1)),  # nothing happens
]
"""Local days around which clocks do odd things."""


class WallClock:
    """What the clock on the wall showed in each minute of ten days and a margin.

    `begin` is the UTC instant of the first minute, `shown` the naive wall time of each.
    """

    def __init__(self, name: str, begin: datetime, shown: tuple[datetime, ...]) -> None:
        self.name, self.begin, self.shown = name, begin, shown
        self._last = {wall: i for i, wall in enumerate(shown)}
        self._first = {wall: i for i, wall in reversed(list(enumerate(shown)))}
        self._over = {wall.date(): i + 1 for i, wall in enumerate(shown)}

    def __repr__(self) -> str:
        return f"WallClock({self.name}, {self.begin})"

    def instant(self, minute: int) -> datetime:
        return self.begin + minute * MINUTE

    def minute(self, instant: datetime) -> int:
        whole, rest = divmod(instant - self.begin, MINUTE)
        assert not rest
        return whole

    def first(self, wall: datetime) -> int:
        """The first minute that shows a wall time, or the first after the clock jumped over it."""
        return self._first[wall] if wall in self._first else self._jump(wall)

    def last(self, wall: datetime) -> int:
        """As `first`, but the last minute that shows it."""
        return self._last[wall] if wall in self._last else self._jump(wall)

    def over(self, day: date) -> int:
        """The first minute after which no minute shows that day or one before it."""
        return max(minute for shown, minute in self._over.items() if shown <= day)

    def window(self, day: date, start: time, end: time | None) -> range:
        """The minutes of a window that starts on a day; `end` None is 24:00."""
        first = self.first(datetime.combine(day, start))
        if end is None:
            return range(first, self.over(day))
        return range(first, self.last(datetime.combine(day + DAY if end <= start else day, end)))

    def _jump(self, wall: datetime) -> int:
        return next(i for i in range(1, len(self.shown)) if self.shown[i - 1] < wall < self.shown[i])


@cache
def wall_clock(name: str, day: date) -> WallClock:
    """The ten days around a local day in a zone, and the margin."""
    rules = zone(name)
    begin = datetime.combine(day, time(), UTC) - 5 * DAY - MARGIN * MINUTE
    minutes = 10 * 1440 + 2 * MARGIN
    shown = tuple((begin + i * MINUTE).astimezone(rules).replace(tzinfo=None, fold=0) for i in range(minutes))
    return WallClock(name, begin, shown)
