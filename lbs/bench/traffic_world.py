"""The stores and the ledger of `lbs bench traffic`; and its figures counted a second time, one device after another."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.cover import cells_within
from geofences.heat import RADIUS_M
from geofences.model import Circle, FenceKind, LatLng, StoreId
from geofences.places import ALWAYS, FenceInput, StoreInput, put_fences, put_stores
from geofences.roller import Roller
from geofences.sql import queries
from geofences.zones import zone
from lbs import clock
from lbs.connections import Role, database

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbs.bench.home import BenchHome

ZONE: Final = "Europe/Helsinki"
DAYS: Final = 400
START: Final = datetime(2025, 5, 5, tzinfo=UTC)
"""A Monday."""
NOW: Final = START + timedelta(days=DAYS, hours=-4)
APART_DEG: Final = 0.05
MIN_VISIT_S: Final = 120
SEEN_EVERYWHERE: Final = 20_000_000
"""From so many visits on somebody is seen in each cell around each store on each day."""


def make_stores(home: BenchHome, count: int) -> list[StoreId]:
    """Far enough from each other that no heat map shows two."""
    names = [f"s{number}" for number in range(count)]
    spots = [_spot(number) for number in range(count)]
    system = database(home.settings, Role.SYSTEM)
    with system.begin() as connection:
        made = put_stores(
            connection,
            tenant_id=home.tenant_id,
            rows=[
                StoreInput(external_id=name, name=name, location=spot, timezone=ZONE)
                for name, spot in zip(names, spots, strict=True)
            ],
            now=clock.now(),
        )
        fences = [
            FenceInput(
                external_id=name,
                kind=FenceKind.CIRCLE,
                shape=Circle(center=spot, radius_m=50),
                profile="standard",
                store_id=made[name][0],
            )
            for name, spot in zip(names, spots, strict=True)
        ]
        put_fences(connection, tenant_id=home.tenant_id, rows=fences, now=clock.now(), effective_at=ALWAYS)
    system.dispose()
    return [made[name][0] for name in names]


def write_ledger(home: BenchHome, stores: list[StoreId], visits: int, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Empties the tables, writes the ledger without triggers, and lets the roller work all of it off."""
    block = queries("lbs.bench")
    admin = database(home.settings, Role.ADMIN)
    named: dict[str, Any] = {"tenant_id": home.tenant_id, "start": START, "days": DAYS, "now": NOW}
    cells = {store_id: cells_within(_spot(place), RADIUS_M, 10) for place, store_id in enumerate(stores)}
    around = [(cell, store_id) for store_id, own in cells.items() for cell in sorted(own)]
    with admin.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text("SELECT setseed(0.5)"))
        connection.execute(
            sa.text(
                "TRUNCATE geofences.visits, geofences.traffic, geofences.traffic_due, geofences.traffic_seen,"
                " offers.redemptions, offers.claims"
            )
        )
        devices = max(visits // len(stores) // 8, 50)
        size = {"stores": len(stores), "visits": visits, "devices": devices}
        # of a table that grows by millions indexes are better made at the end
        listed = connection.execute(block["traffic_indexes"]).all()
        for name, _ in listed:
            connection.execute(sa.text(f"DROP INDEX geofences.{name}"))
        connection.execute(block["traffic_visits"], named | size)
        connection.execute(block["traffic_inside"], named)
        connection.execute(
            block["traffic_sightings"],
            named
            | {
                "cells": [cell for cell, _ in around],
                "places": [store_id for _, store_id in around],
                "share": min(visits / SEEN_EVERYWHERE, 1.0),
            },
        )
        for _, definition in listed:
            connection.execute(sa.text(definition))
        connection.execute(block["traffic_claims"], named)
        connection.execute(block["traffic_redemptions"])
        connection.execute(block["traffic_due_all"], named)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    say(f"{visits:,} visits written")
    system = database(home.settings, Role.SYSTEM)
    begin = clock.now()
    roller = Roller(system, now=clock.now, k=home.settings.k_anonymity, months_rest=timedelta(0))
    while roller.roll_traffic(turn_s=60):
        say(f"rolled up for {(clock.now() - begin).total_seconds():.0f} s")
    roll_s = (clock.now() - begin).total_seconds()
    system.dispose()
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE geofences.traffic"))
        sizes = connection.execute(block["traffic_sizes"]).mappings().one()
    admin.dispose()
    return {"roll_s": roll_s, **sizes}


def _spot(place: int) -> LatLng:
    return LatLng(lat=60.0 + place // 25 * APART_DEG, lng=20.0 + place % 25 * 2 * APART_DEG)


class Recount:
    """One store's whole ledger in sets: what of it can be compared without knowing what is left out of sums."""

    def __init__(self, connection: sa.Connection, store_id: StoreId) -> None:
        rows = connection.execute(queries("lbs.bench")["traffic_ledger"], {"store_id": store_id}).all()
        local = zone(ZONE)
        self.came: dict[date, set[int]] = defaultdict(set)
        self.passed: dict[date, set[int]] = defaultdict(set)
        self.first: dict[int, date] = {}
        self.bars: dict[date, list[tuple[int, float]]] = defaultdict(list)
        for device_id, entered_at, dwell_s in rows:
            day = entered_at.astimezone(local).date()
            if dwell_s < MIN_VISIT_S:
                self.passed[day].add(device_id)
                continue
            self.came[day].add(device_id)
            self.bars[day].append((device_id, dwell_s))
            self.first[device_id] = min(day, self.first.get(device_id, day))

    def of(self, first: date, last: date, k: int) -> dict[str, int | None]:
        """Devices on the days [first, last), as they are told."""
        days = [first + timedelta(days=n) for n in range((last - first).days)]
        came = set().union(*(self.came[day] for day in days))
        passed = set().union(*(self.passed[day] for day in days)) - came
        new = {device_id for device_id in came if self.first[device_id] >= first}
        found = {"visitors": came, "new_visitors": new, "returning_visitors": came - new, "passers_by": passed}
        return {name: len(devices) // k * k or None for name, devices in found.items()}

    def longest(self, first: date, last: date, k: int) -> int | None:
        """Devices with a visit of 20 to 30 minutes: one bar of the histogram."""
        days = [first + timedelta(days=n) for n in range((last - first).days)]
        bar = {device_id for day in days for device_id, dwell_s in self.bars[day] if 1_200 <= dwell_s < 1_800}  # noqa: PLR2004
        return len(bar) // k * k or None
