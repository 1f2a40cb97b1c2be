"""A shop that is served by the real processes, on servers of its own: for what only they can show."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa

from geofences.model import SHARDS, TenantId
from lbs.connections import Role, database
from lbs.local_process import choose_port
from lbs.settings import Settings
from tests.support.api import HELSINKI, wait_for
from tests.support.cli import Cli, command_environment
from tests.support.live import METRES_A_DEGREE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_KEY = "a secret that only the tests know, and nobody else"
PROCESSES = ("api", "engine", "worker", "scheduler")
ALL = tuple({"purpose": purpose, "version": "1"} for purpose in ("location", "push", "analytics"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedShop:
    """A tenant with one store, through whose door devices walk over HTTP."""

    cli: Cli
    settings: Settings
    system: sa.Engine
    server: httpx.Client
    """With the secret key."""
    tenant_id: TenantId
    store_id: str

    def ask(self, method: str, path: str, *expected: int, **more: Any) -> Any:
        answer = self.server.request(method, path, **more)
        assert answer.status_code in (expected or (200, 201, 202)), f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def device(self, name: str, **body: Any) -> str:
        """Registers a device; answers its token."""
        return str(self.ask("POST", "/v1/devices", json={"device_id": name, "consents": ALL, **body})["device_token"])

    def report(self, name: str, *, north_m: float, ago_s: float = 0.0, lng: float = HELSINKI["lng"]) -> tuple[Any, Any]:
        """One position, so far north of the store; answers where."""
        lat = HELSINKI["lat"] + north_m / METRES_A_DEGREE
        at = (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()
        body = {"device_id": name, "positions": [{"lat": lat, "lng": lng, "accuracy_m": 5, "recorded_at": at}]}
        assert self.ask("POST", "/v1/positions", json=body)["rejected"] == []
        return lat, lng

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.system.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), values)]

    def eventually(self, statement: str, expected: Any, **values: Any) -> None:
        """Waits until a query's only value is what is expected."""
        found: Any = None

        def is_so() -> bool:
            nonlocal found
            found = self.rows(statement, **values)
            return bool(found == [(expected,)])

        try:
            wait_for(is_so)
        except AssertionError as error:
            raise AssertionError(f"{statement}: {found} instead of {expected}") from error


def installed(database_url: str, redis_url: str, home: Path, **more: object) -> tuple[Settings, Cli]:
    """Settings, and the command that has them too."""
    given = {
        "database_url": database_url,
        "redis_url": redis_url,
        "redis_prefix": f"test-{secrets.token_hex(6)}",
        "secret_key": SECRET_KEY,
        "change_delay_s": 0.2,
        "port": choose_port(None),
        "allow_private_addresses": True,
        **more,
    }
    environment = command_environment(home, **{f"LBS_{name.upper()}": str(value) for name, value in given.items()})
    return Settings.model_validate(given), Cli(environment, home)


@contextmanager
def served_shop(database_url: str, redis_url: str, home: Path) -> Iterator[ServedShop]:
    """Its processes run until the block ends."""
    settings, cli = installed(database_url, redis_url, home)
    system = database(settings, Role.SYSTEM)
    made = cli.json("tenant", "create", "shop")
    headers = {"Authorization": f"Bearer {made['keys']['secret']}"}
    with (
        cli.running(*PROCESSES),
        httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", headers=headers, timeout=20) as server,
    ):
        wait_for(lambda: is_ready(server))
        store = server.post("/v1/stores", json={"external_id": "store-1", "name": "Shop", **HELSINKI}).json()
        shop = ServedShop(
            cli=cli,
            settings=settings,
            system=system,
            server=server,
            tenant_id=TenantId(made["tenant_id"]),
            store_id=store["store_id"],
        )
        fence = {"external_id": "door", "store_id": shop.store_id, "profile": "plain", "center": HELSINKI}
        shop.ask("POST", "/v1/fences", json={**fence, "radius_m": 100})
        wait_owned(system)
        yield shop
    system.dispose()


def is_ready(server: httpx.Client) -> bool:
    try:
        return server.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def wait_owned(system: sa.Engine) -> None:
    """An engine works on all shards."""
    owned = sa.text("SELECT count(*) FROM geofences.shards WHERE leased_until > clock_timestamp()")

    def is_so() -> bool:
        with system.connect() as connection:
            return connection.execute(owned).scalar() == SHARDS

    wait_for(is_so)
