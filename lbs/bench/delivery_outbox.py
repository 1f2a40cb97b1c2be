"""The whole worker: messages that wait in Postgres until they are delivered and written down as delivered."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.model import LatLng
from geofences.places import StoreInput, put_stores
from geofences.store import create_devices, device_id_for
from geofences.tables import ConsentSource, Purpose
from lbs import clock
from lbs.bench.delivery_clients import cost_of
from lbs.connections import Role, database
from lbs.secrets import Vault
from lbs.webhooks import add_webhook
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.push import ChannelType
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.ssrf import AddressGuard
from offers.store import create_campaign
from offers.tables import channels, notifications
from offers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbs.bench.home import BenchHome

DEVICE: Final = "outbox"
PATIENCE_S: Final = 120.0


def through_the_outbox(home: BenchHome, url: str, *, messages: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Webhooks a second of one core of the worker, and of the clock: claimed, asked again, sent, written down."""
    system = database(home.settings, Role.SYSTEM)
    _fill(home, system, f"{url}/outbox", messages)
    transport = HttpTransport(guard=AddressGuard(allow_private=True))
    worker = Worker(
        database=system,
        decider=Decider(database=system, catalogue=Catalogue()),
        senders={ChannelType.WEBHOOK: WebhookSender()},
        transport=transport,
        unseal=Vault(home.settings).unseal,
        now=clock.now,
        beat=lambda: None,
    )
    stop = threading.Event()

    def work() -> None:
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while _left(system) and time.monotonic() < deadline:
            time.sleep(0.1)  # looking more often would itself cost what is measured
        stop.set()
        thread.join()

    cost = cost_of(messages, work)
    assert _left(system) == 0, "not all were delivered"
    system.dispose()
    result = {"per_core_s": cost.per_core_s, "wall_per_s": cost.messages / cost.wall_s}
    say(
        f"webhooks through the outbox: {result['per_core_s']:,.0f} messages/s of the worker's core,"
        f" {result['wall_per_s']:,.0f} by the clock, Postgres and the sink beside it"
    )
    return result


def _left(system: sa.Engine) -> int:
    with system.connect() as connection:
        return int(
            connection.execute(
                sa.text("SELECT count(*) FROM offers.notifications WHERE state IN ('queued', 'sending')")
            ).scalar_one()
        )


def _fill(home: BenchHome, system: sa.Engine, url: str, n: int) -> None:
    """Messages of one live campaign to one device, all due."""
    now = clock.now()
    definition = {"name": "Outbox", "offer": {"kind": "other"}, "creatives": [{"title": "t"}], "caps": []}
    with system.begin() as connection:
        create_devices(
            connection,
            tenant_id=home.tenant_id,
            external_ids=[DEVICE],
            purposes=(Purpose.LOCATION, Purpose.PUSH),
            source=ConsentSource.SERVER,
            at=now,
        )
        store = StoreInput(external_id="outbox", name="Outbox", location=LatLng(lat=10, lng=10), timezone="Etc/UTC")
        store_id = put_stores(connection, tenant_id=home.tenant_id, rows=[store], now=now)["outbox"][0]
        campaign_id = create_campaign(
            connection,
            tenant_id=home.tenant_id,
            definition=CampaignDefinition.model_validate(definition),
            created_by="bench",
            now=now,
        )
        for move in ("submit", "approve"):
            move_campaign(
                connection, tenant_id=home.tenant_id, campaign_id=campaign_id, move=move, actor="bench", now=now
            )
        add_webhook(connection, tenant_id=home.tenant_id, url=url, vault=Vault(home.settings))
        device_id = device_id_for(home.tenant_id, DEVICE)
        channel_id = connection.execute(
            sa.insert(channels)
            .values(
                tenant_id=home.tenant_id,
                device_id=device_id,
                type="webhook",
                address={"url": url},
                address_hash=b"outbox",
            )
            .returning(channels.c.channel_id)
        ).scalar_one()
        payload = {
            "title": "Coffee at Kahvila Kallio",
            "body": "20 % off until 18:00, 120 m from you",
            "data": {"campaign_id": "17", "store_id": "4211", "store_name": "Kahvila Kallio"},
        }
        rows = [
            {
                "notification_id": i + 1,
                "tenant_id": home.tenant_id,
                "decision_id": i + 1,
                "campaign_id": campaign_id,
                "device_id": device_id,
                "store_id": store_id,
                "channel_id": channel_id,
                "channel": "webhook",
                "state": "queued",
                "payload": payload,
                "created_at": now,
                "not_before": now,
                "expires_at": now + timedelta(hours=1),
            }
            for i in range(n)
        ]
        connection.execute(sa.insert(notifications), rows)
