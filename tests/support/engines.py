"""Real engine processes on one database and log, and a walk of many devices for them to work on.

The walk is a sandbox's: its entries carry the data's clock, so what the ledger says depends on nothing but the entries.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import redis
import sqlalchemy as sa

from geofences.log import Entry, EntryKind, PositionLog, id_after, split_by_shard
from geofences.model import POSITION_DTYPE, Circle, FenceKind, LatLng
from geofences.past import load_places
from geofences.places import ALWAYS, FenceInput, put_fences
from geofences.store import create_devices, create_tenant, device_id_for
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_us
from lbs.connections import sqlalchemy_url
from tests.support.cli import command_environment
from tests.support.data import PROJECT
from tests.support.road import HELSINKI, NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geofences.model import Shard

DEVICES = 256
STEP_S = 20
LEDGERS = {
    "positions": (
        "SELECT device_id, recorded_at, lat, lng, flags FROM geofences.positions ORDER BY device_id, recorded_at, lat"
    ),
    "visits": "SELECT * FROM geofences.visits ORDER BY visit_id",
    "events": "SELECT shard, seq, event_id, type, at, clock FROM geofences.events ORDER BY shard, seq",
}


@dataclass
class Town:
    """A database with fences and devices, its log, and the engines that work on both."""

    database: sa.Engine
    log: PositionLog
    environment: dict[str, str]
    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, n: int = 1) -> None:
        for _ in range(n):
            home = self.home / f"engine{len(self.processes)}"
            home.mkdir()
            with (home / "out").open("wb") as output:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "lbs", "engine"],
                        env={**self.environment, "LBS_HOME": str(home)},
                        cwd=PROJECT,
                        stdout=output,
                        stderr=output,
                    )
                )

    def send(self, steps: list[list[tuple[Shard, Entry]]]) -> None:
        for step in steps:
            self.log.append(step)

    def owned(self) -> Counter[str]:
        """How many shards each engine holds now."""
        with self.database.connect() as connection:
            rows = connection.execute(
                sa.text("SELECT owner FROM geofences.shards WHERE leased_until > clock_timestamp()")
            )
            return Counter(rows.scalars())

    def wait_shared(self, engines: int, *, within_s: float = 180) -> float:
        """Waits until so many engines own all shards in fair parts; answers how long that took."""
        begun_s = time.monotonic()
        while True:
            owned = self.owned()
            if len(owned) == engines and owned.total() == 64 and max(owned.values()) - min(owned.values()) <= 1:
                return time.monotonic() - begun_s
            assert time.monotonic() < begun_s + within_s, f"{owned} instead of {engines} engines"
            time.sleep(0.05)

    def wait_handled(self, *, within_s: float = 240) -> None:
        """Waits until everything that is in the log now is committed."""
        targets = self.log.last_ids()
        deadline = time.monotonic() + within_s
        while True:
            with self.database.connect() as connection:
                places = load_places(connection)
            if not any(id_after(target, places[shard].offset) for shard, target in targets.items()):
                return
            assert time.monotonic() < deadline, "the log is not handled"
            time.sleep(0.05)

    def ledgers(self) -> dict[str, list[tuple[Any, ...]]]:
        with self.database.connect() as connection:
            return {
                name: [tuple(row) for row in connection.execute(sa.text(statement))]
                for name, statement in LEDGERS.items()
            }


@contextmanager
def open_town(database_url: str, redis_url: str, prefix: str, home: Path, **settings: str) -> Iterator[Town]:
    """Fences, devices and partitions of the walk; whatever engines were started are killed at the end."""
    database = sa.create_engine(sqlalchemy_url(database_url))
    with database.begin() as connection:
        tenant = create_tenant(connection, name="town", sandbox=True)
        for days in (0, 1):
            day = (NOON + timedelta(days=days)).date()
            connection.execute(sa.text("SELECT geofences.make_partitions(:day, :day)"), {"day": day})
        put_fences(connection, tenant_id=tenant.tenant_id, rows=_fences(), now=NOON, effective_at=ALWAYS)
        create_devices(
            connection,
            tenant_id=tenant.tenant_id,
            external_ids=[f"d{i}" for i in range(DEVICES)],
            purposes=[Purpose.LOCATION],
            source=ConsentSource.SERVER,
            at=NOON,
        )
    environment = command_environment(
        home, LBS_DATABASE_URL=database_url, LBS_REDIS_URL=redis_url, LBS_REDIS_PREFIX=prefix, **settings
    )
    client = redis.Redis.from_url(redis_url)
    town = Town(database=database, log=PositionLog(client, prefix=prefix), environment=environment, home=home)
    try:
        yield town
    finally:
        for process in town.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        client.close()
        database.dispose()


def _fences() -> list[FenceInput]:
    return [
        FenceInput(
            external_id=f"f{i}",
            kind=FenceKind.CIRCLE,
            profile="plain" if i % 2 else "standard",
            shape=Circle(
                center=LatLng(lat=HELSINKI.lat + 0.004 * (i // 4), lng=HELSINKI.lng + 0.008 * (i % 4)), radius_m=150
            ),
        )
        for i in range(16)
    ]


def walk(town: Town, steps: int, *, seed: int = 5) -> list[list[tuple[Shard, Entry]]]:
    """For each step one entry a shard, every device a little further on its way."""
    dice = random.Random(seed)
    with town.database.connect() as connection:
        tenant_id = connection.execute(sa.text("SELECT tenant_id FROM geofences.tenants")).scalar_one()
    rows = np.zeros(DEVICES, dtype=POSITION_DTYPE)
    rows["device_id"] = [device_id_for(tenant_id, f"d{i}") for i in range(DEVICES)]
    rows["tenant_id"] = tenant_id
    rows["lat"] = [HELSINKI.lat + dice.uniform(0, 0.012) for _ in range(DEVICES)]
    rows["lng"] = [HELSINKI.lng + dice.uniform(0, 0.024) for _ in range(DEVICES)]
    rows["accuracy_m"] = 8
    rows["speed_mps"] = np.nan
    made = []
    for step in range(steps):
        at_us = to_us(NOON + timedelta(seconds=STEP_S * step))
        rows["recorded_us"] = rows["received_us"] = at_us
        rows["lat"] += [dice.gauss(0, 0.0006) for _ in range(DEVICES)]
        rows["lng"] += [dice.gauss(0, 0.0012) for _ in range(DEVICES)]
        made.append(
            [
                (shard, Entry(kind=EntryKind.POSITIONS, clock_us=at_us, scope=tenant_id, positions=part))
                for shard, part in split_by_shard(rows.copy())
            ]
        )
    return made
