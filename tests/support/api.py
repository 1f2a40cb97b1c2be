"""The HTTP API over a real socket, with real PostgreSQL and Redis, and tenants that a test makes for itself."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import redis
import uvicorn

from geofences.log import Entry, EntryKind, PositionLog, shard_of
from geofences.model import SHARDS, Shard, TenantId
from geofences.roller import Roller
from geofences.store import create_tenant, device_id_for
from lbs.app import create_app
from lbs.auth import create_key
from lbs.connections import Role, database
from lbs.services import Services, build_services
from lbs.settings import Settings
from lbs.tables import KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa
    from fastapi import FastAPI

HELSINKI = {"lat": 60.1699, "lng": 24.9384}
LOCATED = {"purpose": "location", "version": "1"}
SELF_CROSSING = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}


@dataclass
class TestTenant:
    """A tenant of one test, with clients that hold its keys."""

    __test__ = False

    api: Api
    tenant_id: TenantId
    secret: httpx.Client
    app: httpx.Client
    """With the publishable key."""

    def device(self, external_id: str, **body: Any) -> httpx.Client:
        """A client with the token of a device registered now, by default one that may be located."""
        given = {"device_id": external_id, "consents": [LOCATED], **body}
        answer = self.secret.post("/v1/devices", json=given)
        assert answer.status_code in {200, 201}, answer.text
        return self.api.client(answer.json()["device_token"])

    def log(self, external_id: str) -> list[Entry]:
        """What the position log holds of the device's shard about this device, oldest first."""
        device_id = device_id_for(self.tenant_id, external_id)
        return [entry for entry in self.api.log(shard_of(device_id)) if _is_about(entry, device_id)]

    def store(self, external_id: str = "store-1", **body: Any) -> dict[str, Any]:
        answer = self.secret.post("/v1/stores", json={"external_id": external_id, "name": "Shop", **HELSINKI, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@dataclass
class Api:
    """A running API process."""

    url: str
    settings: Settings
    services: Services
    system: sa.Engine
    """For what a test has to put into the database itself."""
    _transport: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, transport=self._transport)

    def tenant(self, *, sandbox: bool = False) -> TestTenant:
        with self.system.begin() as connection:
            tenant_id = create_tenant(connection, name=secrets.token_hex(8), sandbox=sandbox).tenant_id
            secret = create_key(connection, tenant_id, KeyKind.SECRET)
            publishable = create_key(connection, tenant_id, KeyKind.PUBLISHABLE)
        return TestTenant(api=self, tenant_id=tenant_id, secret=self.client(secret), app=self.client(publishable))

    def roll_traffic(self) -> None:
        """Works off what is due of foot traffic, as the scheduler does each second."""
        settings = self.settings
        Roller(self.system, now=self.services.now, k=settings.k_anonymity, months_rest=-timedelta(1)).roll_traffic()

    def log(self, shard: Shard) -> list[Entry]:
        with redis.Redis.from_url(_redis_url(self.settings)) as client:
            found = PositionLog(client, prefix=self.settings.redis_prefix).read({shard: "0-0"}, count=10_000)
        return [Entry.from_fields(fields) for _, fields in found.get(shard, [])]

    def whole_log(self) -> list[Entry]:
        return [entry for shard in range(SHARDS) for entry in self.log(Shard(shard))]


def settings_for(database_url: str, redis_url: str, **given: Any) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "redis_prefix": f"test-{secrets.token_hex(6)}",
            "secret_key": "a secret that only the tests know, and nobody else",
            "change_delay_s": 0.2,
            **given,
        }
    )


@contextmanager
def running_api(settings: Settings, *, change: Callable[[FastAPI], None] = lambda _: None) -> Iterator[Api]:
    """Serves on a free port until the block ends; `change` may add routes for a test."""
    services = build_services(settings)
    app = create_app(settings, services=services)
    change(app)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    system = database(settings, Role.SYSTEM)
    api: Api | None = None
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        api = Api(url=f"http://127.0.0.1:{port}", settings=settings, services=services, system=system)
        yield api
    finally:
        if api is not None:
            api._transport.close()
        server.should_exit = True
        thread.join()
        system.dispose()
        _forget_keys(settings)


def wait_for(condition: Callable[[], Any], *, give_up_s: float = 180.0) -> Any:
    """Waits until the condition is truthy, and answers what it said."""
    give_up_at, pause_s = time.monotonic() + give_up_s, 0.01
    while not (said := condition()):
        assert time.monotonic() < give_up_at, "waited too long"
        time.sleep(pause_s)  # between two looks
        pause_s = min(1.2 * pause_s, 0.1)  # asking takes time from what is waited for
    return said


def position(**given: Any) -> dict[str, Any]:
    """A position in Helsinki, now."""
    return {**HELSINKI, "recorded_at": datetime.now(UTC).isoformat(), **given}


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem of an answer, once it is one of this status and kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def _is_about(entry: Entry, device_id: int) -> bool:
    if entry.kind is EntryKind.POSITIONS:
        return entry.positions is not None and device_id in entry.positions["device_id"]
    return entry.device_id == device_id


def _redis_url(settings: Settings) -> str:
    assert settings.redis_url is not None
    return settings.redis_url.get_secret_value()


def _forget_keys(settings: Settings) -> None:
    with redis.Redis.from_url(_redis_url(settings)) as client:
        try:
            for key in client.scan_iter(match=f"{settings.redis_prefix}:*", count=1000):
                client.delete(key)
        except redis.ConnectionError:  # a test of what happens without Redis
            return
