"""Keeps the figures of foot traffic: works off what writers of visits, consents and stores have marked as due.

A mark is written in the transaction of what it is about. Its store's turn is one transaction that takes the marks away
and then works the weeks out anew from the ledger, whatever had been there before: nothing is added up, so nothing can
be lost or counted twice. kill -9, or Postgres away: the turn did not happen, the marks are still there. Two at once:
a store is one's at a time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from geofences.cover import cells_within
from geofences.model import LatLng, StoreId, TenantId
from geofences.periods import AN_HOUR, DAY, Grain, calendar, day_after, day_of, first_day_of
from geofences.rolling import NEVER_US, Stays, figures
from geofences.sql import queries
from geofences.traffic_tables import Due
from geofences.zones import day_start, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date
    from zoneinfo import ZoneInfo

    import sqlalchemy as sa

    from geofences.periods import Calendar
    from geofences.rolling import Figures

TURN_S: Final = 2.0
"""How long one call works before it lets other jobs have their turn."""
STORES_A_LOOK: Final = 100
MONTHS_REST: Final = timedelta(seconds=20)
LONGEST: Final = 60
"""Weeks that are worked out at once."""
AROUND_M: Final = 1_700.0
"""Wider than what heat maps show: a cell is asked for by its ancestor, which does not quite cover it."""
SEEN_DAYS: Final = 62
"""How long it is kept where devices were seen around stores: this month and the one before."""
TIDY_EVERY: Final = timedelta(hours=1)
ALWAYS: Final = datetime(1, 1, 1, tzinfo=UTC)


class Roller:
    """Rolls up what is due, store by store."""

    def __init__(
        self, database: sa.Engine, *, now: Callable[[], datetime], k: int, months_rest: timedelta = MONTHS_REST
    ) -> None:
        self._database = database
        self._now = now
        self._k = k
        self._months_rest = months_rest
        self._looked_at_k = False
        self._tidied_at: datetime | None = None

    def roll_traffic(self, *, turn_s: float = TURN_S) -> int:
        """Works for about so long, or until nothing is due; answers how many stores had their turn."""
        end_s = time.monotonic() + turn_s
        self._begin()
        rolled = 0
        while time.monotonic() < end_s:
            with self._database.connect() as connection:
                asked = {"rested": self._rested(), "limit": STORES_A_LOOK}
                waiting = connection.execute(queries("geofences")["stores_due"], asked).scalars().all()
            if not waiting:
                break
            for store_id in waiting:
                with self._database.begin() as connection:
                    roll_store(connection, StoreId(store_id), k=self._k, now=self._now(), months_before=self._rested())
                rolled += 1
                if time.monotonic() > end_s:
                    break
        return rolled

    def _rested(self) -> datetime:
        return self._now() - self._months_rest

    def _begin(self) -> None:
        """Figures of another k are due; and what was kept for long enough goes."""
        now = self._now()
        if not self._looked_at_k:
            with self._database.begin() as connection:
                connection.execute(queries("geofences")["make_other_k_due"], {"k": self._k})
            self._looked_at_k = True
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            with self._database.begin() as connection:
                connection.execute(queries("geofences")["forget_seen"], {"today": now.date(), "days": SEEN_DAYS})
                connection.execute(queries("geofences")["forget_seen_sooner"], {"today": now.date()})
            self._tidied_at = now


def roll_store(connection: sa.Connection, store_id: StoreId, *, k: int, now: datetime, months_before: datetime) -> None:
    """Works out what is due of a store, months only if they were so before a time; in the caller's transaction."""
    block = queries("geofences")
    named: dict[str, Any] = {"store_id": store_id}
    connection.execute(block["lock_store_traffic"], named)
    store = connection.execute(block["store_to_roll"], named | {"now": now}).one_or_none()
    # taken before anything is read: what is written later leaves marks of its own
    due = connection.execute(block["take_due"], named | {"rested": months_before}).all()
    if store is None:
        return
    place = _Store(store_id, store.tenant_id, zone(store.timezone), store.kept_since or ALWAYS)
    mondays = sorted({day for one in due if one.what == Due.WEEK for day in place.firsts(Grain.WEEK, one.at)})
    months = {day for one in due if one.what == Due.MONTH for day in place.firsts(Grain.MONTH, one.at)}
    for first, last in _runs(mondays):
        _roll(connection, place, calendar(first, last, place.zone), (Grain.HOUR, Grain.DAY, Grain.WEEK), k)
    for month in sorted(months):
        _roll(connection, place, calendar(month, day_after(Grain.MONTH, month), place.zone), (Grain.MONTH,), k)
    touched = {first_day_of(Grain.MONTH, day) for monday in mondays for day in (monday, monday + 6 * DAY)}
    times = [day_start(day, place.zone) for day in sorted(touched)]
    connection.execute(block["make_due"], named | {"tenant_id": place.tenant_id, "what": Due.MONTH, "times": times})
    if any(one.what == Due.AREA for one in due):
        connection.execute(block["drop_area"], named)
        if store.deleted_at is None:
            cells = sorted(cells_within(LatLng(lat=store.lat, lng=store.lng), AROUND_M, 8))
            connection.execute(block["put_area"], named | {"tenant_id": place.tenant_id, "cells": cells})


class _Store:
    """What has to be known of a store to roll it up."""

    def __init__(self, store_id: StoreId, tenant_id: TenantId, local_zone: ZoneInfo, kept_since: datetime) -> None:
        self.store_id = store_id
        self.tenant_id = tenant_id
        self.zone = local_zone
        self.kept_since = kept_since

    def firsts(self, grain: Grain, at: datetime) -> set[date]:
        """Of the periods around the hour that begins at a time: it may lie in two local days."""
        return {first_day_of(grain, day_of(one, self.zone)) for one in (at, at + AN_HOUR)}


def _runs(mondays: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Weeks that follow each other, as [first, last) of at most LONGEST weeks."""
    run: list[date] = []
    for monday in mondays:
        if run and (monday != run[-1] + 7 * DAY or len(run) == LONGEST):
            yield run[0], run[-1] + 7 * DAY
            run = []
        run.append(monday)
    if run:
        yield run[0], run[-1] + 7 * DAY


def _roll(connection: sa.Connection, store: _Store, days: Calendar, grains: tuple[Grain, ...], k: int) -> None:
    """Replaces the figures of the calendar's periods, where all visits of them are still kept."""
    stays = read_stays(connection, store.tenant_id, store.store_id, days)
    found = [(grain, one) for grain, one in figures(stays, days, grains, k) if one.period.starts_at >= store.kept_since]
    for grain in grains:
        connection.execute(
            queries("geofences")["drop_figures"],
            {
                "store_id": store.store_id,
                "grain": grain,
                "start": max(days.starts_at, store.kept_since),
                "end": days.ends_at,
                "kept": [one.period.starts_at for own, one in found if own is grain],
            },
        )
    if found:
        rows = msgspec.json.encode([_row(store, grain, one, k) for grain, one in found]).decode()
        connection.execute(queries("geofences")["put_figures"], {"rows": rows})


def _row(store: _Store, grain: Grain, found: Figures, k: int) -> dict[str, Any]:
    return {
        "store_id": store.store_id,
        "tenant_id": store.tenant_id,
        "grain": grain,
        "starts_at": found.period.starts_at,
        "ends_at": found.period.ends_at,
        "first_day": found.period.first_day,
        "visits": found.visits,
        "visitors": found.visitors,
        "new_visitors": found.new_visitors,
        "passers_by": found.passers_by,
        "median_dwell_s": found.median_dwell_s,
        "p90_dwell_s": found.p90_dwell_s,
        "dwell": [] if grain is Grain.HOUR else found.dwell,
        "k": k,
    }


def read_stays(connection: sa.Connection, tenant_id: TenantId, store_id: StoreId, days: Calendar) -> Stays:
    """The visits of a store that began on some days."""
    named: dict[str, Any] = {"tenant_id": tenant_id, "store_id": store_id}
    times = {"start": days.starts_at, "end": days.ends_at}
    rows = connection.execute(queries("geofences")["stays"], named | times).all()
    device_id, entered_us, dwell_s, counts = zip(*rows, strict=True) if rows else ((), (), (), ())
    devices, which = np.unique(np.array(device_id, dtype=np.int64), return_inverse=True)
    first_us = np.full(len(devices), NEVER_US, dtype=np.int64)
    known = connection.execute(queries("geofences")["first_stays"], named | {"device_ids": devices.tolist()}).all()
    if known:
        first_us[np.searchsorted(devices, [row.device_id for row in known])] = [row.first_us for row in known]
    return Stays(
        device_id=devices[which],
        entered_us=np.array(entered_us, dtype=np.int64),
        dwell_s=np.array(dwell_s, dtype=np.float64),
        counts=np.array(counts, dtype=np.bool_),
        first_us=first_us[which],
    )
