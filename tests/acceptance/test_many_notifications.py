"""Many messages over all four channels to far ends that misbehave, by workers that are killed at random: each ends in
one final state, what is called sent has arrived, and what has arrived is called sent or known to be unknown.

LBS_TEST_NOTIFICATIONS and LBS_TEST_KILLS make it larger; LBS_TEST_SEED makes it another one.
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from geofences.model import LatLng, TenantId
from geofences.places import StoreInput, put_stores
from geofences.store import create_devices, create_tenant, device_id_for
from geofences.tables import ConsentSource, Purpose
from lbs import clock
from lbs.connections import Role, database
from lbs.secrets import Vault
from lbs.webhooks import add_webhook
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.messages import message_id
from offers.outbox import LEASE
from offers.push import ChannelType
from offers.push_tables import push_apps
from offers.store import create_campaign
from offers.tables import channels, notifications
from tests.support.api import settings_for
from tests.support.certificates import Authority
from tests.support.cli import command_environment
from tests.support.data import PROJECT
from tests.support.dying_workers import dying_workers
from tests.support.providers import pem
from tests.support.unruly_sinks import FAULTS, Arrival, Fault, Plan, arrivals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lbs.settings import Settings

NOTIFICATIONS: Final = int(os.environ.get("LBS_TEST_NOTIFICATIONS", "1500"))
KILLS: Final = int(os.environ.get("LBS_TEST_KILLS", "2"))
SEED: Final = int(os.environ.get("LBS_TEST_SEED", "1"))
FAULT_SHARE: Final = 0.05
SHORT_SHARE: Final = 0.05
"""Of the messages end while the test runs."""
SHORT_S: Final = max(20.0, NOTIFICATIONS / 300)
LIVES_S: Final = (0.05, max(1.0, NOTIFICATIONS / 5_000))
GIVE_UP_S: Final = 90 + NOTIFICATIONS / 60
LOOK_S: Final = 5.0
"""What a busy sink may need until it looks at what has arrived."""
DEAD_AFTER_S: Final = 5.0
"""No fault lasts as long: who is still being sent to then was left by a worker that died."""
TYPES: Final = (ChannelType.WEBHOOK, ChannelType.WEBPUSH, ChannelType.APNS, ChannelType.FCM)
GONE: Final = {"gone", "unregistered", "dead_address"}

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(int(GIVE_UP_S) + 300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    first: str
    second: str
    process: subprocess.Popen[str]
    browser: dict[str, str]
    """Keys of every subscription."""
    journal: Path

    def end(self) -> list[Arrival]:
        """All that came."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        return arrivals(self.journal)


@contextmanager
def unruly_sinks(folder: Path) -> Iterator[Sinks]:
    Authority(folder)  # leaves ca.pem and chain.pem
    key, auth = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    plan = Plan(
        chain=str(folder / "chain.pem"),
        journal=str(folder / "journal"),
        seed=SEED,
        fault_share=FAULT_SHARE,
        browser_key=pem(key),
        browser_auth=auth,
    )
    (folder / "plan").write_bytes(msgspec.json.encode(plan))
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.unruly_sinks", str(folder / "plan")],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        first, second = child.stdout.readline().split()
        try:
            yield Sinks(
                first=f"https://127.0.0.1:{first}",
                second=f"https://127.0.0.1:{second}",
                process=child,
                browser={"p256dh": _base64url(point), "auth": _base64url(auth)},
                journal=folder / "journal",
            )
        finally:
            child.kill()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _fill(settings: Settings, system: sa.Engine, sinks: Sinks) -> None:
    """Messages of one live campaign to devices that have all four channels, about ten to a channel; all are due."""
    now = clock.now()
    names = [f"phone-{n}" for n in range(max(40, NOTIFICATIONS // 40))]
    with system.begin() as connection:
        tenant_id = create_tenant(connection, name="many", sandbox=False).tenant_id
        both = (Purpose.LOCATION, Purpose.PUSH)
        create_devices(
            connection, tenant_id=tenant_id, external_ids=names, purposes=both, source=ConsentSource.SERVER, at=now
        )
        store = StoreInput(external_id="s", name="Shop", location=LatLng(lat=10, lng=10), timezone="Etc/UTC")
        store_id = put_stores(connection, tenant_id=tenant_id, rows=[store], now=now)["s"][0]
        definition = {"name": "Many", "offer": {"kind": "other"}, "creatives": [{"title": "t"}], "caps": []}
        campaign_id = create_campaign(
            connection,
            tenant_id=tenant_id,
            definition=CampaignDefinition.model_validate(definition),
            created_by="test",
            now=now,
        )
        for move in ("submit", "approve"):
            move_campaign(connection, tenant_id=tenant_id, campaign_id=campaign_id, move=move, actor="test", now=now)
        _credentials(connection, tenant_id, Vault(settings))
        add_webhook(connection, tenant_id=tenant_id, url=f"{sinks.first}/hook", vault=Vault(settings))
        ways = _channels(connection, tenant_id, names, sinks)
        dice = random.Random(SEED)
        rows = []
        for n in range(NOTIFICATIONS):
            device_id, channel_id, type_ = ways[n % len(ways)]
            lasts_s = dice.uniform(1, SHORT_S) if dice.random() < SHORT_SHARE else 6 * 3600
            rows.append(
                {
                    "notification_id": n + 1,
                    "tenant_id": tenant_id,
                    "decision_id": n + 1,
                    "campaign_id": campaign_id,
                    "device_id": device_id,
                    "store_id": store_id,
                    "channel_id": channel_id,
                    "channel": type_,
                    "state": "queued",
                    "payload": {"title": f"Coffee {n}", "body": "20 % off", "data": {"store_name": "Shop", "n": n}},
                    "created_at": now,
                    "not_before": now,
                    "expires_at": now + timedelta(seconds=lasts_s),
                }
            )
        connection.execute(sa.insert(notifications), rows)
        connection.execute(sa.text("ANALYZE offers.notifications, offers.channels, geofences.devices"))


def _credentials(connection: sa.Connection, tenant_id: TenantId, vault: Vault) -> None:
    apns = {"team_id": "TEAM123456", "key_id": "KEY1234567", "topic": "com.example.shop", "sandbox": False}
    fcm = {"project_id": "shop-1", "client_email": "push@example.org"}
    apns_key = ec.generate_private_key(ec.SECP256R1())
    fcm_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for provider, app, key in (("apns", apns, pem(apns_key)), ("fcm", fcm, pem(fcm_key))):
        stored = {"tenant_id": tenant_id, "provider": provider, "name": "app", "settings": app}
        connection.execute(sa.insert(push_apps).values(**stored, sealed_key=vault.seal(key.encode())))


def _channels(
    connection: sa.Connection, tenant_id: TenantId, names: list[str], sinks: Sinks
) -> list[tuple[int, int, str]]:
    """Device, channel and type of each way to a phone."""
    rows = [
        {
            "tenant_id": tenant_id,
            "device_id": device_id_for(tenant_id, name),
            "type": type_,
            "address": {
                ChannelType.WEBHOOK: {"url": f"{sinks.first}/hook"},
                ChannelType.WEBPUSH: {"endpoint": f"{sinks.first}/push/{n}", "keys": sinks.browser},
                ChannelType.APNS: {"token": f"{n:064x}"},
                ChannelType.FCM: {"token": f"registration:{n}"},
            }[type_],
            "address_hash": f"{n} {type_}".encode(),
        }
        for n, name in enumerate(names)
        for type_ in TYPES
    ]
    connection.execute(sa.insert(channels), rows)
    found = connection.execute(sa.select(channels.c.device_id, channels.c.channel_id, channels.c.type))
    return [tuple(row) for row in found.all()]


def _work_off(system: sa.Engine) -> None:
    """Waits until every message has ended, and makes retries due that would wait for seconds and minutes."""
    give_up_s = time.monotonic() + GIVE_UP_S
    waiting = sa.update(notifications).where(notifications.c.state == "queued", notifications.c.attempts > 0)
    sending = sa.update(notifications).where(notifications.c.state == "sending")
    left = {"queued": 1}
    while left:
        time.sleep(0.5)  # between two looks at the table
        now = clock.now()
        with system.begin() as connection:
            connection.execute(waiting.where(notifications.c.not_before > now).values(not_before=now))
            counted = sa.text("SELECT state, count(*) FROM offers.notifications GROUP BY state")
            left = {state: n for state, n in connection.execute(counted) if state in {"queued", "sending"}}
            if set(left) == {"sending"}:
                taken_before = notifications.c.lease_until < now + LEASE - timedelta(seconds=DEAD_AFTER_S)
                connection.execute(sending.where(taken_before).values(lease_until=now - timedelta(seconds=1)))
        assert time.monotonic() < give_up_s, left


def test_every_message_ends_once_whatever_dies_and_misbehaves(
    fresh_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = settings_for(fresh_database_url, redis_url, allow_private_addresses=True)
    assert settings.secret_key is not None
    system = database(settings, Role.SYSTEM)
    with unruly_sinks(tmp_path) as sinks:
        _fill(settings, system, sinks)
        environment = command_environment(
            tmp_path,
            LBS_DATABASE_URL=fresh_database_url,
            LBS_REDIS_URL=redis_url,
            LBS_REDIS_PREFIX=settings.redis_prefix,
            LBS_SECRET_KEY=settings.secret_key.get_secret_value(),
            LBS_ALLOW_PRIVATE_ADDRESSES="true",
            LBS_CA_FILE=str(tmp_path / "ca.pem"),
            LBS_APNS_URL=sinks.second,
            LBS_FCM_URL=sinks.second,
            LBS_GOOGLE_TOKEN_URL=f"{sinks.second}/token",
        )
        began_s = time.monotonic()
        with dying_workers(environment, tmp_path, kills=KILLS, lives_s=LIVES_S, seed=SEED) as workers:
            _work_off(system)
        took_s = time.monotonic() - began_s
        came = sinks.end()
    with system.connect() as connection:
        rows: list[Any] = list(connection.execute(sa.select(notifications)))
    system.dispose()
    _tell(came, rows, took_s=took_s, killed=workers.killed)
    _check(came, rows)
    assert workers.killed == KILLS
    assert {arrival.fault for arrival in came} == {Fault.NONE, *FAULTS}


def _check(came: list[Arrival], rows: list[Any]) -> None:
    row_of = {message_id(row.notification_id): row for row in rows}
    bodies = defaultdict(set)
    for arrival in came:
        row = row_of.get(arrival.message_id)
        assert row is not None, arrival
        assert arrival.channel == row.channel, arrival
        assert arrival.at_s < row.expires_at.timestamp() + LOOK_S, (arrival, row)
        bodies[arrival.message_id].add(arrival.digest)
    assert [bodies[each] for each in bodies if len(bodies[each]) > 1] == []

    taken = {arrival.message_id for arrival in came if arrival.taken}
    sent = {each for each, row in row_of.items() if row.state in {"sent", "delivered"}}
    unknown = {each for each, row in row_of.items() if row.outcome_unknown}
    assert sent <= taken
    assert taken <= sent | unknown
    for row in rows:
        short = row.expires_at - row.created_at < timedelta(hours=1)
        match row.state:
            case "failed" if not short:
                assert row.reason in GONE, row
            case "expired" | "failed":
                assert short or row.reason in GONE, row
            case state:
                assert state in {"sent", "delivered"}, row
        assert row.lease_until is None, row


def _tell(came: list[Arrival], rows: list[Any], *, took_s: float, killed: int) -> None:
    ids = {arrival.message_id for arrival in came}
    ends_s = {message_id(row.notification_id): row.expires_at.timestamp() for row in rows}
    told = {
        "messages": len(rows),
        "seconds": round(took_s),
        "workers_killed": killed,
        "requests": len(came),
        "repeats": len(came) - len(ids),
        "unknown": sum(row.outcome_unknown for row in rows),
        "states": {
            type_: dict(Counter(f"{row.state} {row.reason or ''}".strip() for row in rows if row.channel == type_))
            for type_ in TYPES
        },
        "faults": Counter(arrival.fault for arrival in came),
        "latest_s_before_end": round(min(ends_s[arrival.message_id] - arrival.at_s for arrival in came), 2),
    }
    print(json.dumps(told, indent=1))  # noqa: T201 - figures of a long run
