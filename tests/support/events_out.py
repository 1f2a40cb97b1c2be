"""Events out, in tests: a receiver of CloudEvents that checks signatures with other people's code, and the loop."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from standardwebhooks import Webhook

from geofences.store import create_devices, create_tenant, device_id_for
from geofences.tables import ConsentSource, Purpose, events
from lbs import clock
from lbs.connections import sqlalchemy_url
from offers.cloud_events import TYPE_PREFIX
from offers.events_out import EventsOut
from offers.push_http import HttpTransport
from offers.ssrf import AddressGuard
from offers.tables import webhooks
from tests.support.data import PROJECT
from tests.support.receivers import EXAMPLE_SECRET, Received, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geofences.model import DeviceId, TenantId
    from offers.webhook_queue import Attempt

REQUIRED = {"specversion": "1.0", "datacontenttype": "application/json"}
COORDINATES = {"lat", "lng", "latitude", "longitude", "location", "position", "accuracy_m"}
MAX_BODY_BYTES = 20_000


class EventReceiver(Receiver):
    """A partner's server that takes CloudEvents; what it was told is in `received`, with the type as the title."""

    def __init__(self, *, secret: str = EXAMPLE_SECRET) -> None:
        super().__init__()
        self.secret = secret
        """May be changed, as its owner would."""

    @property
    def hook(self) -> str:
        return self.url("/events/secret-path")

    @property
    def ids(self) -> list[str]:
        return [event.message_id for event in self.received]

    def verify(self, headers: Any, body: bytes) -> Received:
        Webhook(self.secret).verify(body, dict(headers))
        event = json.loads(body)
        for name, value in REQUIRED.items():
            if event[name] != value:
                raise ValueError(name)
        if headers["content-type"] != "application/cloudevents+json" or len(body) >= MAX_BODY_BYTES:
            raise ValueError("content")
        if event["id"] != headers["webhook-id"] or "." in event["id"] or not event["source"] or not event["subject"]:
            raise ValueError("id, source or subject")
        if datetime.fromisoformat(event["time"]).tzinfo is None or not event["type"].startswith("com.lbs."):
            raise ValueError("time or type")
        if COORDINATES & names_in(event):
            raise ValueError("a coordinate")
        return Received(
            message_id=event["id"],
            title=event["type"].removeprefix("com.lbs."),
            body=event["subject"],
            data=event["data"],
            headers=headers,
            raw=body,
        )


def documented() -> dict[str, dict[str, Any]]:
    """The bodies that the guide shows, by their types."""
    text = (PROJECT / "docs" / "how-to" / "events-out.md").read_text(encoding="utf-8")
    shown = map(json.loads, re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return {event["type"].removeprefix(TYPE_PREFIX): event for event in shown}


def shape(value: Any, name: str = "") -> Any:
    """A body without what differs from run to run: times, and numbers made of what happened."""
    match value:
        case dict(members):
            return {key: shape(member, key) for key, member in members.items()}
        case str(text) if name.endswith(("at", "time")):
            return datetime.fromisoformat(text).tzname()
        case str(text):
            return re.sub(r"\d{6,}|(?<=[/-])\d+|^\d+$", "N", text)
        case float():
            return float
        case _:
            return value


def names_in(value: Any) -> set[str]:
    """Every member name of a JSON value, however deep."""
    match value:
        case dict(members):
            return set(members).union(*map(names_in, members.values()))
        case list(items):
            return set().union(*map(names_in, items))
        case _:
            return set()


@contextmanager
def telling(
    database_url: str,
    *,
    unseal: Callable[[bytes], bytes] = bytes,
    workers: int = 1,
    on_attempts: Callable[[Sequence[Attempt]], None] = lambda _: None,
) -> Iterator[None]:
    """The loop of so many workers, until the block ends."""
    stop = threading.Event()
    database = sa.create_engine(sqlalchemy_url(database_url), pool_size=10, max_overflow=20)
    loops = [
        EventsOut(
            database=database,
            transport=HttpTransport(guard=AddressGuard(allow_private=True), total_timeout_s=1.0),
            unseal=unseal,
            source="https://lbs.example",
            now=clock.now,
            on_attempts=on_attempts,
            rest_s=0.1,
        )
        for _ in range(workers)
    ]
    threads = [threading.Thread(target=loop.run, args=(stop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
        database.dispose()


@dataclass
class Happenings:
    """A tenant of which a test says what its devices do, with no engine between."""

    database: sa.Engine
    tenant_id: TenantId

    @classmethod
    def begin(cls, database: sa.Engine, *devices: str) -> Happenings:
        with database.begin() as connection:
            tenant_id = create_tenant(connection, name="told", sandbox=False).tenant_id
            create_devices(
                connection,
                tenant_id=tenant_id,
                external_ids=list(devices),
                purposes=(Purpose.LOCATION,),
                source=ConsentSource.SERVER,
                at=clock.now(),
            )
            today = clock.now().date()
            connection.execute(
                sa.text("SELECT geofences.make_partitions(:first, :last)"),
                {"first": today - timedelta(days=1), "last": today + timedelta(days=1)},
            )
        return cls(database=database, tenant_id=tenant_id)

    def device(self, external_id: str) -> DeviceId:
        return device_id_for(self.tenant_id, external_id)

    def webhook(self, url: str, *wanted: str, secrets: Sequence[str] = (EXAMPLE_SECRET,)) -> int:
        values = {"tenant_id": self.tenant_id, "url": url, "secrets": [one.encode() for one in secrets]}
        with self.database.begin() as connection:
            made = sa.insert(webhooks).values(**values, events=list(wanted)).returning(webhooks.c.webhook_id)
            return int(connection.execute(made).scalar_one())

    def enter(self, device: str, *numbers: int, connection: sa.Connection | None = None) -> None:
        """Events of these numbers, in one transaction: the caller's, or one that is over then."""
        if connection is None:
            with self.database.begin() as own:
                self.enter(device, *numbers, connection=own)
            return
        device_id, now = self.device(device), clock.now()
        connection.execute(
            sa.insert(events),
            [
                {
                    "event_id": number,
                    "tenant_id": self.tenant_id,
                    "shard": device_id % 64,
                    "seq": number,
                    "type": "visit.entered",
                    "device_id": device_id,
                    "fence_id": 1,
                    "visit_id": number,
                    "root_visit_id": number,
                    "at": now,
                    "clock": now,
                    "confidence": 0.9,
                    "already_inside": False,
                }
                for number in numbers
            ],
        )

    def run(self, statement: str, **parameters: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), parameters)]

    def make_due(self) -> None:
        """Retries wait for hours; a test does not."""
        self.run("UPDATE offers.webhook_events SET due_at = '1970-01-01'")
