"""Foot traffic computed a second time, visit by visit, in plain Python: nothing here is the code under test.

Only the rules of time zones are shared. A ledger is a list of `Visit`; `recount` gives what should be told of it.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.tables import visits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

LATEST = datetime(9999, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
BARS = (120, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 14400)


@dataclass(frozen=True, slots=True)
class Visit:
    """One closed visit."""

    device: int
    entered_at: datetime
    dwell_s: float
    ended_by: str = "exit"

    @property
    def counts(self) -> bool:
        return self.dwell_s >= 120 and self.ended_by != "crossed"


@dataclass(slots=True)
class Clock:
    """The wall clock of a place: when its hours and days begin, found by looking at it every quarter of an hour."""

    zone: ZoneInfo
    first: date
    last: date

    end: datetime = LATEST

    def hours(self) -> list[tuple[datetime, date]]:
        """Each hour of the days [first, last), with its day: it begins when the minutes are 0, or with its day."""
        at = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC) - DAY
        found: list[tuple[datetime, date]] = []
        today = self.first - DAY
        while True:
            wall = at.astimezone(self.zone)
            # a clock that is put back over midnight does not bring the day before back
            day = max(wall.date(), today)
            if day >= self.last:
                self.end = at
                return found
            if day >= self.first and (wall.minute == 0 or day != today):
                found.append((at, day))
            today = day
            at += QUARTER


def period_of(grain: str, hour: tuple[datetime, date]) -> Any:
    """What names the period that an hour lies in."""
    at, day = hour
    names: dict[str, Any] = {
        "hour": at,
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "stretch": (day.isocalendar()[:2], day.month),
    }
    return names[grain]


class Recount:
    """A ledger looked at through a wall clock."""

    def __init__(self, ledger: Iterable[Visit], clock: Clock, k: int) -> None:
        self.k = k
        self.hours = clock.hours()
        self.ledger = sorted(ledger, key=lambda visit: visit.entered_at)
        self._hour: dict[int, tuple[datetime, date]] = {}
        for number, visit in enumerate(self.ledger):
            place = bisect_right(self.hours, visit.entered_at, key=lambda hour: hour[0])
            if place and visit.entered_at < clock.end:
                self._hour[number] = self.hours[place - 1]
        self._lists: dict[tuple[str, Any], list[int]] = defaultdict(list)
        for number, hour in self._hour.items():
            for grain in ("hour", "day", "stretch", "week", "month"):
                self._lists[grain, period_of(grain, hour)].append(number)
        self.first_day: dict[int, date] = {}
        for number, (_, day) in self._hour.items():
            visit = self.ledger[number]
            if visit.counts:
                self.first_day[visit.device] = min(day, self.first_day.get(visit.device, day))
        self.in_sum = self._sums()

    def numbers(self, grain: str, name: Any, *, counts: bool | None = True) -> list[int]:
        """Visits of a period."""
        own = self._lists[grain, name]
        return [number for number in own if counts is None or self.ledger[number].counts is counts]

    def devices(self, numbers: Iterable[int]) -> set[int]:
        return {self.ledger[number].device for number in numbers}

    def names(self, grain: str) -> list[Any]:
        return list(dict.fromkeys(period_of(grain, hour) for hour in self.hours))

    def _sums(self) -> dict[str, set[int]]:
        """Of each grain, the visits that count in sums: see rule 2 of `geofences.withholding`."""
        kept: dict[str, set[int]] = {"hour": set(), "day": set(), "stretch": set()}
        below: set[int] = set()
        for grain in ("hour", "day", "stretch"):
            kept[grain] |= below
            for name in self.names(grain):
                rest = [number for number in self.numbers(grain, name) if number not in below]
                if len(self.devices(rest)) >= self.k:
                    kept[grain] |= set(rest)
            below = kept[grain]
        return {"hour": kept["hour"], "day": kept["day"], "week": kept["stretch"], "month": kept["stretch"]}

    def told(self, grain: str, name: Any, *, settled: bool = True) -> dict[str, Any]:
        """What should be told of one period."""
        came, short = self.numbers(grain, name), self.numbers(grain, name, counts=False)
        visitors = self.devices(came)
        first = name if grain != "hour" else next(day for at, day in self.hours if at == name)
        new = {device for device in visitors if self.first_day[device] >= first}
        passers = self.devices(short) - visitors
        visits = len(set(came) & self.in_sum[grain])
        lengths = sorted(self.ledger[number].dwell_s for number in came)
        bars: dict[int, set[int]] = defaultdict(set)
        for number in came:
            bars[max(bar for bar in BARS if bar <= self.ledger[number].dwell_s)].add(self.ledger[number].device)
        return {
            "visits": (visits if settled else visits - visits % self.k) or None,
            "visitors": self.rounded(visitors),
            "new_visitors": self.rounded(new),
            "returning_visitors": self.rounded(visitors - new),
            "passers_by": self.rounded(passers),
            "median_dwell_s": self._quantile(came, lengths, 0.5),
            "p90_dwell_s": self._quantile(came, lengths, 0.9),
            "dwell": tuple(self.rounded(bars[bar]) for bar in BARS) if grain != "hour" else None,
        }

    def rounded(self, devices: set[int]) -> int | None:
        return len(devices) // self.k * self.k or None

    def _quantile(self, numbers: Sequence[int], lengths: Sequence[float], share: float) -> float | None:
        if not lengths:
            return None
        place = share * (len(lengths) - 1)
        low = int(place)
        high = min(low + 1, len(lengths) - 1)
        at = lengths[low] + (lengths[high] - lengths[low]) * (place - low)
        shorter = {self.ledger[n].device for n in numbers if self.ledger[n].dwell_s <= at}
        longer = {self.ledger[n].device for n in numbers if self.ledger[n].dwell_s >= at}
        return at if min(len(shorter), len(longer)) >= self.k else None


def random_ledger(seed: int, first: date, days: int, *, devices: int, a_day: float) -> list[Visit]:
    """Visits of a small shop: busy and quiet days and hours, regulars, people who pass by and who come twice."""
    chance = random.Random(seed)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    ledger: dict[tuple[int, datetime], Visit] = {}
    for number in range(days):
        for _ in range(int(chance.expovariate(1 / a_day))):
            device = min(int(chance.expovariate(3 / devices)), devices - 1)
            hour = chance.choice((9, 11, 12, 12, 17, 17, 17, 23))
            at = start + timedelta(days=number, hours=hour, seconds=chance.randrange(3600))
            length = chance.choice((30.0, 90.0, 120.0, 300.0, 600.0, 1810.0, 4000.0, 15000.0))
            ended_by = "crossed" if length == 30.0 and chance.random() < 0.5 else "exit"
            ledger[device, at] = Visit(device, at, length, ended_by)
    return list(ledger.values())


def put_visits(
    connection: sa.Connection, tenant_id: int, store_id: int, ledger: Sequence[Visit], *, first_id: int
) -> dict[Visit, int]:
    """Writes closed visits as the engine would; answers their ids."""
    ids = {visit: first_id + number for number, visit in enumerate(ledger)}
    rows = [
        {
            "visit_id": number, "tenant_id": tenant_id, "shard": 0, "device_id": visit.device, "fence_id": 1,
            "fence_version": 1, "store_id": store_id, "root_visit_id": number, "status": "closed",
            "entered_at": visit.entered_at, "last_in_at": visit.entered_at, "as_of": visit.entered_at,
            "exited_at": visit.entered_at + timedelta(seconds=visit.dwell_s), "dwell_waits": False,
            "dwell_s": visit.dwell_s, "ended_by": visit.ended_by, "already_inside": False, "positions": 2,
            "confidence": 1.0,
        }
        for visit, number in ids.items()
    ]  # fmt: skip
    if rows:
        connection.execute(sa.insert(visits), rows)
    return ids
