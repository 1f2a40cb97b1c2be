"""Foot traffic is what a recount says, and whoever has all of it finds out nothing about fewer than k devices."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.periods import Calendar, Grain, to_us
from geofences.rolling import NEVER_US, Stays, figures
from geofences.traffic import Rules, Told, told
from geofences.zones import zone
from tests.support.footfall import Clock, Recount, Visit, period_of, random_ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SPANS: Final = {
    "Europe/Helsinki": (date(2026, 3, 2), date(2026, 4, 6), date(2026, 3, 1)),
    "America/New_York": (date(2026, 10, 26), date(2026, 12, 7), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 3, 30), date(2026, 5, 4), date(2026, 4, 1)),
    "Asia/Kathmandu": (date(2026, 1, 26), date(2026, 3, 2), date(2026, 2, 1)),
    "Atlantic/Azores": (date(2026, 9, 28), date(2026, 11, 2), date(2026, 10, 1)),
}
"""Whole weeks around a change of the clock, with a month that lies in them, or nearly: weeks and months overlap."""
LATER: Final = datetime(2030, 1, 1, tzinfo=UTC)
NAMES: Final = (
    "visits", "visitors", "new_visitors", "returning_visitors", "passers_by", "median_dwell_s", "p90_dwell_s"
)  # fmt: skip


def stays_of(ledger: Sequence[Visit]) -> Stays:
    first: dict[int, int] = {}
    for visit in ledger:
        if visit.counts:
            first[visit.device] = min(to_us(visit.entered_at), first.get(visit.device, NEVER_US))
    return Stays(
        device_id=np.array([visit.device for visit in ledger], dtype=np.int64),
        entered_us=np.array([to_us(visit.entered_at) for visit in ledger], dtype=np.int64),
        dwell_s=np.array([visit.dwell_s for visit in ledger], dtype=np.float64),
        counts=np.array([visit.counts for visit in ledger], dtype=np.bool_),
        first_us=np.array([first.get(visit.device, NEVER_US) for visit in ledger], dtype=np.int64),
    )


def published(
    ledger: Iterable[Visit], name: str, k: int, *, settled_before: datetime = LATER
) -> dict[tuple[str, Any], Told]:
    """All reports there are, by grain and what names the period (`tests.support.footfall.period_of`)."""
    first, last, month = SPANS[name]
    rules = Rules(k=k, settled_before=settled_before)
    found = {}
    for begin, end, grains in (
        (first, last, (Grain.HOUR, Grain.DAY, Grain.WEEK)),
        (month, (month + timedelta(days=31)).replace(day=1), (Grain.MONTH,)),
    ):
        calendar = Calendar(begin, end, zone(name))
        own = [v for v in ledger if calendar.starts_at <= v.entered_at < calendar.ends_at]
        whole = stays_of([v for v in ledger if v.entered_at < calendar.ends_at])
        kept = np.isin(whole.entered_us, [to_us(v.entered_at) for v in own])
        stays = Stays(**{field: getattr(whole, field)[kept] for field in Stays.__slots__})
        for grain, one in figures(stays, calendar, grains, k):
            key = one.period.starts_at if grain is Grain.HOUR else one.period.first_day
            row = SimpleNamespace(
                k=k, **{field: getattr(one, field) for field in type(one).__slots__ if field != "period"}
            )
            found[grain.value, key] = told(one.period, row, rules)
    return found


def recount(ledger: Iterable[Visit], name: str, k: int) -> tuple[Recount, list[tuple[str, Any]]]:
    first, last, month = SPANS[name]
    clock = Clock(zone(name), min(first, month), max(last, (month + timedelta(days=31)).replace(day=1)))
    counted = Recount(ledger, clock, k)
    inside = [hour for hour in counted.hours if first <= hour[1] < last]
    keys = [(grain, key) for grain in ("hour", "day", "week") for key in {period_of(grain, hour) for hour in inside}]
    return counted, [*keys, ("month", month)]


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_what_a_recount_says(name: str, seed: int) -> None:
    first, last, _ = SPANS[name]
    ledger = random_ledger(seed, first, (last - first).days, devices=30 + 40 * seed, a_day=6 + 12 * seed)
    counted, keys = recount(ledger, name, 5)
    found = published(ledger, name, 5)
    assert sum(one.visits is not None for one in found.values()) > 5
    for grain, key in keys:
        expected = counted.told(grain, key)
        own = found.get((grain, key))
        for figure in NAMES:
            value = getattr(own, figure, None)
            if figure.endswith("_s") and expected[figure] is not None:
                assert value == round(expected[figure] / 10) * 10, (grain, key, figure)
            else:
                assert value == expected[figure], (grain, key, figure)
        if grain != "hour" and own is not None:
            assert own.dwell == expected["dwell"]


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Helsinki", date(2026, 3, 29), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24),
        ("Atlantic/Azores", date(2026, 10, 25), 25),
    ],
)
def test_a_day_has_the_hours_that_the_wall_clock_shows(name: str, day: date, hours: int) -> None:
    calendar = Calendar(day, day + timedelta(days=1), zone(name))
    clock = Clock(zone(name), day, day + timedelta(days=1))
    assert [hour.starts_at for hour in calendar.periods(Grain.HOUR)] == [at for at, _ in clock.hours()]
    assert len(calendar.periods(Grain.HOUR)) == hours


# The attacker knows all reports, the calendar and the rules, and adds and subtracts.


@st.composite
def small_ledgers(draw: st.DrawFn) -> list[Visit]:
    """Few devices, few hours, around the end of a month: where cells are small and subtracting might help."""
    start = datetime(2026, 3, 26, tzinfo=UTC)
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 9),
                st.integers(0, 10),
                st.sampled_from((9, 10, 11)),
                st.integers(0, 59),
                st.sampled_from((30.0, 150.0, 700.0)),
            ),
            min_size=5,
            max_size=60,
        )
    )
    found = {}
    for device, day, hour, minute, dwell_s in rows:
        at = start + timedelta(days=day, hours=hour, minutes=minute)
        found[device, at] = Visit(device, at, dwell_s)
    return list(found.values())


def hidden_cells(counted: Recount) -> list[tuple[int, frozenset[datetime]]]:
    """What the attacker is after: how many visits there were of 1..k-1 devices in any period, or beside one in another.

    As the hours of each such cell in which anybody came.
    """
    busy = [hour for hour in counted.hours if counted.numbers("hour", hour[0])]
    periods = {
        frozenset(at for at, day in busy if period_of(grain, (at, day)) == name)
        for grain in ("hour", "day", "stretch", "week", "month")
        for name in {period_of(grain, hour) for hour in busy}
    }
    sets = periods | {part for a in periods for b in periods for part in (a - b, a & b)}
    cells = []
    for cell in sets:
        numbers = [number for at in cell for number in counted.numbers("hour", at)]
        if 0 < len(counted.devices(numbers)) < counted.k:
            cells.append((len(numbers), cell))
    return cells


class Span:
    """Everything that can be had from reports by adding, subtracting and multiplying: exact elimination."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, dict[int, Fraction], Fraction]] = []

    def add(self, cell: Iterable[int], value: int) -> None:
        row, value_ = self._reduced({number: Fraction(1) for number in cell}, Fraction(value))
        if row:
            pivot = min(row)
            scale = row[pivot]
            self._rows.append((pivot, {number: x / scale for number, x in row.items()}, value_ / scale))

    def says(self, cell: Iterable[int]) -> Fraction | None:
        """The value of a cell if it follows from the reports."""
        row, value = self._reduced({number: Fraction(1) for number in cell}, Fraction(0))
        return None if row else -value

    def _reduced(self, row: dict[int, Fraction], value: Fraction) -> tuple[dict[int, Fraction], Fraction]:
        for pivot, own, own_value in self._rows:
            factor = row.get(pivot)
            if factor:
                for number, x in own.items():
                    row[number] = row.get(number, Fraction(0)) - factor * x
                value -= factor * own_value
                row = {number: x for number, x in row.items() if x}
        return row, value


@settings(max_examples=15)
@given(small_ledgers(), st.sampled_from((2, 3, 5)))
def test_nothing_of_fewer_than_k_devices_follows_from_all_reports_together(ledger: list[Visit], k: int) -> None:
    found = published(ledger, "Europe/Helsinki", k)
    counted, _ = recount(ledger, "Europe/Helsinki", k)
    # which hours are empty is more than the attacker knows, and makes everything else easier to work out
    busy = [hour for hour in counted.hours if counted.numbers("hour", hour[0])]
    places = {at: number for number, (at, _) in enumerate(busy)}
    span = Span()
    for (grain, key), one in found.items():
        if one.visits is not None:
            span.add([places[hour[0]] for hour in busy if period_of(grain, hour) == key], one.visits)
    for visits, cell in hidden_cells(counted):
        value = span.says([places[at] for at in cell])
        assert value is None or value != visits, "a sum over the visits of fewer than k devices was had"


@settings(max_examples=15)
@given(small_ledgers(), st.sampled_from((2, 3, 5)))
def test_sums_are_made_of_whole_parts_that_rest_on_k_devices(ledger: list[Visit], k: int) -> None:
    """Two visits that count in the same reports cannot be told apart; what can be is of k devices."""
    counted, keys = recount(ledger, "Europe/Helsinki", k)
    parts: dict[frozenset[tuple[str, Any]], list[int]] = {}
    for number in range(len(counted.ledger)):
        where = frozenset(
            (grain, key)
            for grain, key in keys
            if number in counted.numbers(grain, key) and number in counted.in_sum[grain]
        )
        if where:
            parts.setdefault(where, []).append(number)
    assert all(len(counted.devices(part)) >= k for part in parts.values())


@settings(max_examples=15)
@given(small_ledgers(), st.sampled_from((2, 3, 5)))
def test_differences_of_numbers_of_devices_are_never_below_k(ledger: list[Visit], k: int) -> None:
    """New and returning against all, bars of the histogram, a day against one of its hours, passers-by: any pair."""
    numbers = {
        value
        for one in published(ledger, "Europe/Helsinki", k).values()
        for value in (one.visitors, one.new_visitors, one.returning_visitors, one.passers_by, *one.dwell)
        if value is not None
    }
    assert all(value >= k for value in numbers)
    assert not any(0 < abs(a - b) < k or (a + b) % k > 0 for a, b in combinations(numbers, 2))


@settings(max_examples=15)
@given(small_ledgers(), st.integers(0, 60))
def test_looking_twice_at_a_day_that_is_not_over_shows_no_single_visit(ledger: list[Visit], so_many: int) -> None:
    k, never = 5, datetime(2020, 1, 1, tzinfo=UTC)
    in_order = sorted(ledger, key=lambda visit: visit.entered_at)
    before, after = (
        published(part, "Europe/Helsinki", k, settled_before=never)
        for part in (in_order[:so_many], in_order[: so_many + 1])
    )
    for key, one in after.items():
        earlier = before.get(key)
        seen = 0 if earlier is None or earlier.visits is None else earlier.visits
        assert ((one.visits or 0) - seen) % k == 0


def test_the_attacker_succeeds_where_plain_sums_are_told() -> None:
    """The attacker is worth something: exact totals of all visits give the withheld hour away."""
    span = Span()
    span.add([1, 2, 3], 12)
    span.add([1], 6)
    span.add([2], 5)
    assert span.says([3]) == 1


def test_an_hour_of_few_and_an_empty_one_look_alike() -> None:
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    found = published([Visit(device, at, 600) for device in range(4)], "Europe/Helsinki", 5)
    empty = Told(period=found["hour", at].period)
    assert found["hour", at] == Told(period=empty.period, dwell=found["hour", at].dwell)
