"""Foot traffic of a store as it may be told: by local hours, days, ISO weeks and months.

A visit counts once it ended and lasted `MIN_VISIT_S`, unless the device only passed through; it belongs to the local
hour in which it began. A visitor is a device, new if not seen at the store on an earlier local day. Whoever crossed
the fence or stayed for a shorter time, and did not come in, passed by. Who took back the consent to analytics is left
out, with all visits. What is told of a few people is defined in `geofences.withholding`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.periods import DAY, Grain, day_of, period_around, periods
from geofences.rolling import DWELL_S
from geofences.sql import queries
from geofences.tables import stores
from geofences.traffic_tables import Due
from geofences.withholding import rate, rounded
from geofences.zones import zone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from geofences.model import StoreId, TenantId
    from geofences.periods import Period

MOST_DAYS: Final = {Grain.HOUR: 93, Grain.DAY: 1_100, Grain.WEEK: 3_700, Grain.MONTH: 3_700}
"""How long a series may be."""
USUAL_WEEKS: Final = 8
USUAL_AT_LEAST: Final = 4
"""Weeks that must be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One period at one store; a figure is None where it would rest on too few devices."""

    period: Period
    visits: int | None = None
    visitors: int | None = None
    new_visitors: int | None = None
    returning_visitors: int | None = None
    passers_by: int | None = None
    capture_rate: float | None = None
    median_dwell_s: float | None = None
    p90_dwell_s: float | None = None
    dwell: tuple[int | None, ...] = (None,) * len(DWELL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for all figures of one answer."""

    k: int
    settled_before: datetime
    """Periods that ended before can no longer be changed by late positions."""

    @classmethod
    def of(cls, *, k: int, horizon_s: float, now: datetime) -> Self:
        return cls(k=k, settled_before=now - timedelta(seconds=horizon_s))


def told(period: Period, row: Any, rules: Rules) -> Told:
    """From a row of exact figures, if there is one, to what may be told of them."""
    k = rules.k
    # sums were made for a k of their own: a larger one is safe too
    if row is None or row.k < k:
        return Told(period=period)
    visits = row.visits or None
    if visits is not None and period.ends_at > rules.settled_before:
        # whoever looks again and again must not see each visit come in
        visits -= visits % k
    visitors, passers = rounded(row.visitors, k), rounded(row.passers_by, k)
    return Told(
        period=period,
        visits=visits,
        visitors=visitors,
        new_visitors=rounded(row.new_visitors, k),
        returning_visitors=rounded(row.visitors - row.new_visitors, k),
        passers_by=passers,
        capture_rate=None if visitors is None or passers is None else rate(visitors, visitors + passers),
        median_dwell_s=row.median_dwell_s,
        p90_dwell_s=row.p90_dwell_s,
        dwell=tuple(rounded(n, k) for n in row.dwell),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store, and whose it is."""

    tenant_id: TenantId
    store_id: StoreId
    zone: ZoneInfo


def find_place(connection: sa.Connection, store_id: StoreId) -> Place:
    """NotFoundError for a store the caller's tenant does not have."""
    row = connection.execute(
        sa.select(stores.c.tenant_id, stores.c.timezone).where(stores.c.store_id == store_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no store {store_id}")
    return Place(tenant_id=row.tenant_id, store_id=store_id, zone=zone(row.timezone))


def series(
    connection: sa.Connection, place: Place, grain: Grain, first: date, last: date, *, rules: Rules
) -> list[Told]:
    """All periods that touch the local days [first, last), in order.

    ValueError for a range that is empty or too long.
    """
    days = (last - first).days
    if not 0 < days <= MOST_DAYS[grain]:
        raise ValueError(f"from must lie before to, by at most {MOST_DAYS[grain]} days")
    return _series(connection, place, grain, first, last, rules=rules)


def _series(
    connection: sa.Connection, place: Place, grain: Grain, first: date, last: date, *, rules: Rules
) -> list[Told]:
    wanted = periods(grain, first, last, place.zone)
    if not wanted:
        raise ValueError(f"{place.zone.key} never had a {first}")
    rows = connection.execute(
        queries("geofences")["figures"],
        {
            "store_id": place.store_id,
            "grain": grain,
            "start": wanted[0].starts_at,
            "end": wanted[-1].ends_at,
        },
    )
    found = {row.starts_at: row for row in rows}
    return [told(period, found.get(period.starts_at), rules) for period in wanted]


def inside(connection: sa.Connection, place: Place, k: int) -> int:
    """How many devices are in the store now, rounded down to a multiple of k."""
    count = connection.execute(queries("geofences")["inside_now"], {"store_id": place.store_id}).scalar_one()
    return int(count - count % k)


def hours_between(connection: sa.Connection, place: Place, start: datetime, end: datetime, rules: Rules) -> list[Told]:
    """Every local hour that begins in [start, end), in order. ValueError for a range that is empty or too long."""
    if not timedelta(0) < end - start <= MOST_DAYS[Grain.HOUR] * DAY:
        raise ValueError(f"the range must be positive and at most {MOST_DAYS[Grain.HOUR]} days")
    first, last = day_of(start, place.zone), day_of(end, place.zone) + DAY
    found = _series(connection, place, Grain.HOUR, first, last, rules=rules)
    return [one for one in found if start <= one.period.starts_at < end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """Medians over the last weeks, of figures that are told."""

    visits: float | None
    visitors: float | None
    hours: dict[str, float | None]
    """Visits by `wall_hour`."""


def usual(connection: sa.Connection, place: Place, day: date, rules: Rules) -> Usual:
    """Of the weekday of a day, in the weeks before it."""
    before = [day - 7 * weeks * DAY for weeks in range(1, USUAL_WEEKS + 1)]

    def of_all(grain: Grain) -> list[Told]:
        wanted = [period for day in before for period in periods(grain, day, day + DAY, place.zone)]
        return _told_at(connection, place, grain, wanted, rules)

    days = of_all(Grain.DAY)
    hours: dict[str, list[int | None]] = defaultdict(list)
    for one in of_all(Grain.HOUR):
        hours[wall_hour(one.period.starts_at, place.zone)].append(one.visits)
    return Usual(
        visits=_median([one.visits for one in days]),
        visitors=_median([one.visitors for one in days]),
        hours={hour: _median(visits) for hour, visits in hours.items()},
    )


def around(connection: sa.Connection, place: Place, grain: Grain, day: date, rules: Rules) -> Told:
    """The day, week or month that a day lies in."""
    (found,) = _told_at(connection, place, grain, [period_around(grain, day, place.zone)], rules)
    return found


def _told_at(
    connection: sa.Connection, place: Place, grain: Grain, wanted: Sequence[Period], rules: Rules
) -> list[Told]:
    """Several periods in one question."""
    times = [period.starts_at for period in wanted]
    asked = {"store_id": place.store_id, "grain": grain, "times": times}
    found = {row.starts_at: row for row in connection.execute(queries("geofences")["figures_at"], asked)}
    return [told(period, found.get(period.starts_at), rules) for period in wanted]


def wall_hour(at: datetime, local_zone: ZoneInfo) -> str:
    """What a clock on the wall shows: the same on the days when it changes.

    >>> wall_hour(datetime(2026, 6, 1, 12, 0, tzinfo=UTC), zone("Europe/Helsinki"))
    '15:00'
    """
    return at.astimezone(local_zone).strftime("%H:%M")


def _median(told: Sequence[int | None]) -> float | None:
    known = [one for one in told if one is not None]
    return float(median(known)) if len(known) >= USUAL_AT_LEAST else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTold:
    place: Place
    external_id: str
    name: str
    told: Told


def overview(
    connection: sa.Connection,
    tenant_id: TenantId,
    grain: Grain,
    day: date | datetime,
    rules: Rules,
    *,
    after: int,
    limit: int,
    only: Sequence[StoreId] | None,
) -> list[StoreTold]:
    """One period at each store of a page, by the stores' own calendars: around a day, or each its own at an instant."""
    block = queries("geofences")
    named = {"tenant_id": tenant_id, "after": after, "limit": limit, "only": only}
    listed = connection.execute(block["stores_of_overview"], named).all()
    wanted = []
    for store in listed:
        place = Place(tenant_id=tenant_id, store_id=store.store_id, zone=zone(store.timezone))
        own_day = day_of(day, place.zone) if isinstance(day, datetime) else day
        wanted.append((store, place, period_around(grain, own_day, place.zone)))
    asked = {
        "tenant_id": tenant_id,
        "grain": grain,
        "store_ids": [place.store_id for _, place, _ in wanted],
        "first_days": sorted({period.first_day for *_, period in wanted}),
    }
    known = {(row.store_id, row.first_day): row for row in connection.execute(block["figures_of_stores"], asked)}
    return [
        StoreTold(
            place=place,
            external_id=store.external_id,
            name=store.name,
            told=told(period, known.get((place.store_id, period.first_day)), rules),
        )
        for store, place, period in wanted
    ]


def as_of(connection: sa.Connection, store_ids: Sequence[StoreId], grain: Grain, *, now: datetime) -> datetime:
    """What was written by then is in the figures: now, or when the oldest mark was made that waits for the roller."""
    kinds = [Due.WEEK, Due.MONTH] if grain is Grain.MONTH else [Due.WEEK]
    asked = {"store_ids": list(store_ids), "kinds": kinds}
    since = connection.execute(queries("geofences")["due_since"], asked).scalar()
    return now if since is None else min(now, since)
