"""Windows about every change of every zone's clock, 2020 to 2024, are where arithmetic in UTC says.

These years have what is odd; later ones repeat the rules of the last. LBS_TEST_LAST_YEAR=2035 looks at them too.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from geofences.zones import zone, zone_names
from offers.hours import OpeningHours
from offers.schedule import RecurringWindow, Schedule, intervals, next_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_YEAR, LAST_YEAR = 2020, int(os.environ.get("LBS_TEST_LAST_YEAR", "2024"))
YEARS = LAST_YEAR - FIRST_YEAR + 1
FIRST, LAST = datetime(FIRST_YEAR - 1, 12, 25, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 8, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LENGTH = timedelta(minutes=90)
NIGHT = timedelta(hours=8)
"""Longer than any gap or overlap, and over midnight, where most of them are."""
ABOUT = timedelta(days=3)


class Clock:
    """A zone as the instants at which its offset changes, and nothing else."""

    def __init__(self, name: str) -> None:
        rules = zone(name)
        self.turns: list[datetime] = []
        self.offsets = [_offset(rules, FIRST)]
        at = FIRST
        while at < LAST:
            following = at + DAY
            if (offset := _offset(rules, following)) != self.offsets[-1]:
                before, after = at, following
                while after - before > MINUTE:
                    middle = before + (after - before) // 2
                    middle -= timedelta(seconds=middle.second, microseconds=middle.microsecond)
                    middle = max(middle, before + MINUTE)
                    before, after = (middle, after) if _offset(rules, middle) == self.offsets[-1] else (before, middle)
                self.turns.append(after)
                self.offsets.append(offset)
            at = following

    def day_start(self, day: datetime) -> datetime:
        """When a local day begins for good: the second before its midnight shows an earlier day."""
        first, last = self.meanings(day)
        before = last - timedelta(seconds=1)
        offset = self.offsets[bisect_right(self.turns, before)]
        return last if (before + offset).replace(tzinfo=None) < day else first

    def meanings(self, wall: datetime) -> tuple[datetime, datetime]:
        """The first and the last instant that show a naive local time; in a gap, both are its end."""
        found = [
            instant
            for i, offset in enumerate(self.offsets)
            if bisect_right(self.turns, instant := wall.replace(tzinfo=UTC) - offset) == i
        ]
        if found:
            return min(found), max(found)
        (turn,) = (
            turn
            for turn, before, after in zip(self.turns, self.offsets, self.offsets[1:], strict=False)
            if turn + before <= wall.replace(tzinfo=UTC) < turn + after
        )
        return turn, turn


def _offset(rules: object, at: datetime) -> timedelta:
    return at.astimezone(rules).utcoffset() or timedelta()  # type: ignore[arg-type]


def _walls(clock: Clock, nth: int) -> Iterator[datetime]:
    """Local times in the gap or the overlap of a change, at its ends, and just outside."""
    turn = clock.turns[nth].replace(tzinfo=None)
    low, high = sorted(clock.offsets[nth : nth + 2])
    yield from (turn + low - MINUTE, turn + low, turn + (low + high) / 2, turn + high - MINUTE, turn + high)


def _expected(
    clock: Clock, wall: datetime, begin: datetime, end: datetime, length: timedelta = LENGTH
) -> list[tuple[datetime, datetime]]:
    """Windows of a length that start every day at that time of the wall, inside [begin, end), joined."""
    found: list[tuple[datetime, datetime]] = []
    for days in range(-5, 6):
        start, finish = clock.meanings(wall + days * DAY)[0], clock.meanings(wall + days * DAY + length)[1]
        start, finish = max(start, begin), min(finish, end)
        if start >= finish:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(finish, found[-1][1])
        else:
            found.append((start, finish))
    return found


def test_windows_about_every_change_of_every_clock_are_where_arithmetic_says() -> None:
    """Zones whose clocks do the same are looked at once."""
    alike = {(tuple(clock.turns), tuple(clock.offsets)): (name, clock) for name, clock in _clocks()}
    checked = 0
    for name, clock in alike.values():
        rules = zone(name)
        for nth, turn in enumerate(clock.turns):
            if not FIRST_YEAR <= turn.year <= LAST_YEAR:
                continue
            for wall in _walls(clock, nth):
                begin, end = turn - ABOUT, turn + ABOUT
                expected = _expected(clock, wall, begin, end)
                for schedule in (_rule(wall), _week(wall)):
                    assert intervals(schedule, zone=rules, start=begin, end=end) == expected, (name, turn, schedule)
                    checked += 1
    assert len(alike) > 80
    assert checked > 600 * YEARS


def test_days_blackouts_nights_and_opening_hours_about_every_change_are_where_arithmetic_says() -> None:
    alike = {(tuple(clock.turns), tuple(clock.offsets)): (name, clock) for name, clock in _clocks()}
    checked = 0
    for name, clock in alike.values():
        rules = zone(name)
        for nth, turn in enumerate(clock.turns):
            if not FIRST_YEAR <= turn.year <= LAST_YEAR:
                continue
            begin, end = turn - ABOUT, turn + ABOUT
            local = (turn + clock.offsets[nth + 1]).replace(tzinfo=None)
            day = local.replace(hour=0, minute=0, second=0)
            first, last = clock.day_start(day), clock.day_start(day + DAY)
            dated = Schedule(first_day=day.date(), last_day=day.date())
            assert intervals(dated, zone=rules, start=begin, end=end) == [(first, last)], (name, turn)
            blackout = Schedule(blackout_days=(day.date(),))
            assert intervals(blackout, zone=rules, start=begin, end=end) == [(begin, first), (last, end)], (name, turn)
            for evening in (day + timedelta(hours=22), day + timedelta(hours=23, minutes=30)):
                night = _expected(clock, evening, begin, end, NIGHT)
                assert intervals(_week(evening, NIGHT), zone=rules, start=begin, end=end) == night, (name, turn)
                hours = OpeningHours.parse(f"{evening:%H:%M}-{evening + NIGHT:%H:%M}", zone=rules)
                found = next_windows(Schedule(only_while_open=True), zone=rules, after=begin, n=len(night), hours=hours)
                assert found[:-1] == night[:-1], (name, turn)
            checked += 1
    assert checked > 60 * YEARS


def _clocks() -> Iterator[tuple[str, Clock]]:
    return ((name, Clock(name)) for name in sorted(zone_names()))


def _rule(wall: datetime) -> Schedule:
    rule = f"DTSTART:{wall - 5 * DAY:%Y%m%dT%H%M%S}\nRRULE:FREQ=DAILY;COUNT=11"
    return Schedule(recurring=(RecurringWindow(rule=rule, duration=LENGTH),))


def _week(wall: datetime, length: timedelta = LENGTH) -> Schedule:
    days = ["mo", "tu", "we", "th", "fr", "sa", "su"]
    return Schedule.from_json({"weekly": [{"days": days, "start": f"{wall:%H:%M}", "end": f"{wall + length:%H:%M}"}]})
