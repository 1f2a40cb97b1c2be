"""Foot traffic of stores by local hour: visits, visitors and the median dwell, never resting on fewer than k devices.

A visit counts once it ended and lasted `MIN_VISIT_S`, unless the device only passed through; it belongs to the local
hour in which it began. A visitor is a device. Who took back the consent to analytics is left out, with all visits.
Hours are the store's own, so a day has 23 or 25 of them when the clock changes, by the pinned zone database.
Totals over hours are not published: with them a withheld hour could be worked out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.model import EndedBy, StoreId, VisitStatus
from geofences.tables import Purpose, consents, stores, visits
from geofences.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

MIN_VISIT_S = 120.0
MAX_RANGE = timedelta(days=93)


_left_out: Final = sa.exists().where(
    consents.c.device_id == visits.c.device_id,
    consents.c.purpose == Purpose.ANALYTICS,
    ~consents.c.granted,
)
"""Visits of who said no to analytics, whenever they were; who has not said anything counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfTraffic:
    """One local hour at one store; the figures are None where fewer than k devices came."""

    starts_at: datetime
    """Aware, in the store's zone."""
    visits: int | None
    visitors: int | None
    median_dwell_s: float | None

    @property
    def withheld(self) -> bool:
        return self.visitors is None


def hourly_traffic(
    connection: sa.Connection, *, store_id: StoreId, start: datetime, end: datetime, k: int
) -> list[HourOfTraffic]:
    """Every local hour that begins in [start, end), in order. Runs under the caller's tenant.

    Raises NotFoundError for a store the tenant does not have, ValueError for a range that is empty or too long.
    """
    if not timedelta(0) < end - start <= MAX_RANGE:
        raise ValueError(f"the range must be positive and at most {MAX_RANGE.days} days")
    zone_name = connection.execute(sa.select(stores.c.timezone).where(stores.c.store_id == store_id)).scalar()
    if zone_name is None:
        raise NotFoundError(f"no store {store_id}")
    local_zone = zone(zone_name)
    hours = list(local_hours(start, end, local_zone))
    if not hours:
        return []
    rows = connection.execute(
        sa.select(visits.c.device_id, visits.c.entered_at, visits.c.dwell_s).where(
            visits.c.store_id == store_id,
            visits.c.entered_at >= hours[0],
            visits.c.entered_at < hours[-1] + timedelta(hours=1),
            visits.c.status == VisitStatus.CLOSED,
            visits.c.dwell_s >= MIN_VISIT_S,
            visits.c.ended_by != EndedBy.CROSSED,
            ~_left_out,
        )
    )
    dwells: dict[datetime, list[float]] = defaultdict(list)
    devices: dict[datetime, set[int]] = defaultdict(set)
    for row in rows:
        hour = hour_of(row.entered_at, local_zone)
        dwells[hour].append(row.dwell_s)
        devices[hour].add(row.device_id)
    return [_shape(hour.astimezone(local_zone), dwells[hour], len(devices[hour]), k) for hour in hours]


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


def _shape(starts_at: datetime, dwell_s: list[float], visitors: int, k: int) -> HourOfTraffic:
    if visitors < k:
        return HourOfTraffic(starts_at=starts_at, visits=None, visitors=None, median_dwell_s=None)
    return HourOfTraffic(
        starts_at=starts_at, visits=len(dwell_s), visitors=visitors, median_dwell_s=round(median(dwell_s), 1)
    )
