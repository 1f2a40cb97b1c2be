"""The whole road in one test process: a tenant with stores and fences, the engine, the decider and the worker.

Everything is real but the clock, which a test may move; the engine and the worker run as threads.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import redis
import sqlalchemy as sa

from geofences.engine import Engine
from geofences.log import LIVE, Entry, EntryKind, PositionLog, shard_of
from geofences.model import POSITION_DTYPE, Circle, DeviceId, FenceKind, LatLng, TenantId
from geofences.places import ALWAYS, FenceInput, StoreInput, put_fences, put_stores
from geofences.refresh import FenceSnapshot
from geofences.store import create_devices, create_tenant, device_id_for
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_us
from lbs.connections import sqlalchemy_url
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.push_http import HttpTransport
from offers.ssrf import AddressGuard
from offers.store import create_campaign
from offers.tables import channels, notifications
from offers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from offers.model import CampaignId
    from offers.push import ChannelType, PushSender

HELSINKI = LatLng(lat=60.1699, lng=24.9384)
NOON = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
"""A Monday, 12:00 in Helsinki."""


@dataclass
class MovableClock:
    """A clock that a test sets; it stands still in between."""

    at: datetime = NOON

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Road:
    """Handles on everything a test wants to do on the road."""

    database: sa.Engine
    log: PositionLog
    clock: Callable[[], datetime]
    tenant_id: TenantId
    scope: TenantId = LIVE
    senders: Mapping[ChannelType, PushSender] = field(default_factory=dict)

    def store(
        self,
        external_id: str,
        at: LatLng = HELSINKI,
        *,
        radius_m: float = 100,
        profile: str = "plain",
        settings: Mapping[str, float] | None = None,
        opening_hours: str | None = None,
        timezone: str = "Europe/Helsinki",
    ) -> int:
        """A store with a circle about it, in force since always."""
        store = StoreInput(
            external_id=external_id,
            name=f"Shop {external_id}",
            location=at,
            timezone=timezone,
            opening_hours=opening_hours,
        )
        with self.database.begin() as connection:
            stores = put_stores(connection, tenant_id=self.tenant_id, rows=[store], now=self.clock())
            store_id = stores[external_id][0]
            fence = FenceInput(
                external_id=external_id,
                kind=FenceKind.CIRCLE,
                profile=profile,
                settings=dict(settings or {}),
                store_id=store_id,
                shape=Circle(center=at, radius_m=radius_m),
            )
            put_fences(connection, tenant_id=self.tenant_id, rows=[fence], now=self.clock(), effective_at=ALWAYS)
        return store_id

    def campaign(self, **definition: Any) -> CampaignId:
        """A live campaign; give what differs from the plainest one."""
        made = {
            "name": "Coffee",
            "offer": {"kind": "percentage", "value": 20},
            "creatives": [{"title": "Coffee at {store}", "body": "20 % off"}],
            **definition,
        }
        with self.database.begin() as connection:
            campaign_id = create_campaign(
                connection,
                tenant_id=self.tenant_id,
                definition=CampaignDefinition.model_validate(made),
                created_by="test",
                now=self.clock(),
            )
            for move in ("submit", "approve"):
                move_campaign(
                    connection,
                    tenant_id=self.tenant_id,
                    campaign_id=campaign_id,
                    move=move,
                    actor="test",
                    now=self.clock(),
                )
        return campaign_id

    def device(self, external_id: str, *, purposes: tuple[Purpose, ...] = (Purpose.LOCATION, Purpose.PUSH)) -> DeviceId:
        with self.database.begin() as connection:
            create_devices(
                connection,
                tenant_id=self.tenant_id,
                external_ids=[external_id],
                purposes=purposes,
                source=ConsentSource.SERVER,
                at=self.clock(),
            )
        return device_id_for(self.tenant_id, external_id)

    def channel(self, device_id: DeviceId, type_: ChannelType, address: Mapping[str, Any]) -> None:
        """One more way to reach the device."""
        with self.database.begin() as connection:
            connection.execute(
                sa.insert(channels).values(
                    tenant_id=self.tenant_id,
                    device_id=device_id,
                    type=type_,
                    address=dict(address),
                    address_hash=f"{device_id} {type_}".encode(),
                )
            )

    def make_due(self) -> None:
        """Retries wait for seconds; a test does not."""
        with self.database.begin() as connection:
            waiting = sa.update(notifications).where(notifications.c.state == "queued")
            connection.execute(waiting.values(not_before=ALWAYS))

    def report(
        self,
        device_id: DeviceId,
        *points: LatLng,
        every_s: float = 15,
        accuracy_m: float = 5,
        start: datetime | None = None,
    ) -> None:
        """Appends points of one device as one entry, `every_s` apart, the last one now (or the first at `start`)."""
        now = self.clock()
        first = now - timedelta(seconds=every_s * (len(points) - 1)) if start is None else start
        rows = np.zeros(len(points), dtype=POSITION_DTYPE)
        for i, point in enumerate(points):
            at_us = to_us(first + timedelta(seconds=every_s * i))
            rows[i] = (device_id, self.tenant_id, at_us, to_us(now), point.lat, point.lng, accuracy_m, np.nan, 0)
        entry = Entry(kind=EntryKind.POSITIONS, clock_us=to_us(now), scope=self.scope, positions=rows)
        self.log.append([(shard_of(device_id), entry)])

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self.database.connect() as connection:
            return list(connection.execute(sa.text(statement), parameters))

    def eventually(self, statement: str, expected: Any, *, within_s: float = 60, **parameters: Any) -> None:
        """Waits until a query's rows (as tuples) equal `expected`."""
        deadline = time.monotonic() + within_s
        while True:
            found = [tuple(row) for row in self.rows(statement, **parameters)]
            if found == expected:
                return
            assert time.monotonic() < deadline, f"{statement}: {found} instead of {expected}"
            time.sleep(0.02)


@contextmanager
def open_road(
    database_url: str,
    redis_url: str,
    prefix: str,
    *,
    clock: Callable[[], datetime],
    sandbox: bool = False,
    senders: Mapping[ChannelType, PushSender] | None = None,
    transport: HttpTransport | None = None,
    unseal: Callable[[bytes], bytes] = bytes,
    decides: bool = True,
) -> Iterator[Road]:
    """A road in a database of its own, with engine and (if it `decides`) worker running until the block ends."""
    database = sa.create_engine(sqlalchemy_url(database_url))
    position_log = PositionLog(redis.Redis.from_url(redis_url), prefix=prefix)
    with database.begin() as connection:
        tenant = create_tenant(connection, name="road", sandbox=sandbox)
        connection.execute(sa.text("SELECT geofences.make_partitions(:day, :day)"), {"day": clock().date()})
        day_after = clock().date() + timedelta(days=1)
        connection.execute(sa.text("SELECT geofences.make_partitions(:day, :day)"), {"day": day_after})
    senders = senders or {}
    try:
        with working(
            database,
            position_log,
            clock=clock,
            senders=senders,
            transport=transport,
            unseal=unseal,
            decides=decides,
        ):
            yield Road(
                database=database,
                log=position_log,
                clock=clock,
                tenant_id=tenant.tenant_id,
                scope=tenant.tenant_id if sandbox else LIVE,
                senders=senders,
            )
    finally:
        database.dispose()


@contextmanager
def working(
    database: sa.Engine,
    position_log: PositionLog,
    *,
    clock: Callable[[], datetime],
    senders: Mapping[ChannelType, PushSender],
    transport: HttpTransport | None = None,
    unseal: Callable[[bytes], bytes] = bytes,
    decides: bool = True,
) -> Iterator[None]:
    """Engine and (if it `decides`) worker, running until the block ends."""
    engine = Engine(
        database=database, position_log=position_log, snapshot=FenceSnapshot(now=clock), now=clock, beat=lambda: None
    )
    worker = Worker(
        database=database,
        decider=Decider(database=database, catalogue=Catalogue()),
        senders=senders,
        transport=transport or HttpTransport(guard=AddressGuard(allow_private=True)),
        unseal=unseal,
        now=clock,
        beat=lambda: None,
    )
    with running(*((engine, worker) if decides else (engine,))):
        yield


class Part(Protocol):
    """An engine or a worker."""

    def run(self, stop: threading.Event) -> None: ...


@contextmanager
def running(*parts: Part) -> Iterator[None]:
    """Each in a thread of its own, until the block ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=part.run, args=(stop,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
