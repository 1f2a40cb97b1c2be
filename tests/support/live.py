"""The whole service in one test process: the API over HTTP, and engine and worker as threads beside it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from geofences.engine import Engine
from geofences.refresh import FenceSnapshot
from lbs import clock
from lbs.connections import Role, database
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.push_http import HttpTransport
from offers.ssrf import AddressGuard
from offers.worker import Worker
from tests.support.api import HELSINKI, Api, TestTenant, running_api, settings_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

COFFEE: dict[str, Any] = {
    "name": "Coffee",
    "offer": {"kind": "percentage", "value": 20},
    "creatives": [{"title": "Coffee at {store}"}],
}
METRES_A_DEGREE = 111_400.0
INSIDE_M, OUTSIDE_M = 90.0, 115.0
CONSENTS = [{"purpose": purpose, "version": "1"} for purpose in ("location", "push")]


@dataclass
class Shop:
    """A tenant with one store and its fence, through whose door devices walk over HTTP."""

    tenant: TestTenant
    store_id: str
    fence_id: str
    lat: float

    @property
    def server(self) -> httpx.Client:
        return self.tenant.secret

    def campaign(self, *, live: bool = True, **more: Any) -> str:
        """A live campaign of the store; give what differs from the plainest one."""
        answer = self.server.post("/v1/campaigns", json={**COFFEE, "stores": [self.store_id], **more})
        assert answer.status_code == 201, answer.text
        campaign_id = str(answer.json()["campaign_id"])
        for move in ("submit", "approve") if live else ():
            assert self.server.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
        return campaign_id

    def device(self, name: str, **body: Any) -> None:
        answer = self.server.post("/v1/devices", json={"device_id": name, "consents": CONSENTS, **body})
        assert answer.status_code in {200, 201}, answer.text

    def report(self, name: str, *ago_s: float, north_m: float = INSIDE_M, accuracy_m: float = 5.0) -> None:
        """Reports positions so many seconds ago, so far north of the store: the fence ends at 100 m."""
        now = datetime.now(UTC)
        lat = self.lat + north_m / METRES_A_DEGREE
        positions = [
            {
                "lat": lat,
                "lng": HELSINKI["lng"],
                "accuracy_m": accuracy_m,
                "recorded_at": (now - timedelta(seconds=ago)).isoformat(),
            }
            for ago in ago_s
        ]
        answer = self.server.post("/v1/positions", json={"device_id": name, "positions": positions})
        assert answer.status_code == 202, answer.text
        assert answer.json()["rejected"] == []

    def enter(self, name: str, *, ago_s: float = 0.0, **how: Any) -> None:
        """Comes from outside and walks in."""
        self.report(name, ago_s + 300, north_m=3_000)
        self.report(name, ago_s, **how)

    def leave_and_enter(self, name: str) -> None:
        """Steps out of the door and in again, no faster than people move."""
        for north_m in (OUTSIDE_M, INSIDE_M):
            time.sleep(0.5)  # 25 m: faster would be a jump, which the tracker does not believe
            self.report(name, 0, north_m=north_m)

    def decisions(self, campaign_id: str, name: str) -> list[dict[str, Any]]:
        answer = self.server.get(f"/v1/campaigns/{campaign_id}/explain", params={"device_id": name})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def decision(self, campaign_id: str, name: str, n: int = 1) -> dict[str, Any]:
        """The newest of the device's decisions, once there are n."""
        found: list[dict[str, Any]] = wait_for(
            lambda: found if len(found := self.decisions(campaign_id, name)) >= n else None
        )
        assert len(found) == n
        assert all(one["reproduced"] for one in found)
        return found[0]


@dataclass
class Live:
    api: Api

    def shop(self, *, lat: float = HELSINKI["lat"], settings: dict[str, Any] | None = None, **store: Any) -> Shop:
        tenant = self.api.tenant()
        made = tenant.store(lat=lat, **store)
        fence = {
            "external_id": "door",
            "store_id": made["store_id"],
            "profile": "plain",
            "settings": settings or {},
            "center": {"lat": lat, "lng": HELSINKI["lng"]},
            "radius_m": 100,
        }
        answer = tenant.secret.post("/v1/fences", json=fence)
        assert answer.status_code == 201, answer.text
        shop = Shop(tenant=tenant, store_id=made["store_id"], fence_id=answer.json()["fence_id"], lat=lat)
        # a position is judged by the fence in force when it was recorded
        time.sleep(2 * self.api.settings.change_delay_s)
        return shop


@contextmanager
def living(database_url: str, redis_url: str, **settings: Any) -> Iterator[Live]:
    """Everything runs until the block ends."""
    given = settings_for(database_url, redis_url, **settings)
    with running_api(given) as api:
        wait_for(lambda: api.services.memory.ready)
        system = database(given, Role.SYSTEM)
        engine = Engine(
            database=system,
            position_log=api.services.position_log,
            snapshot=FenceSnapshot(now=clock.now),
            now=clock.now,
            beat=lambda: None,
        )
        worker = Worker(
            database=system,
            decider=Decider(database=system, catalogue=Catalogue(), book=api.services.codes),
            senders={},
            transport=HttpTransport(guard=AddressGuard(allow_private=False)),
            unseal=bytes,
            now=clock.now,
            beat=lambda: None,
        )
        stop = threading.Event()
        threads = [threading.Thread(target=part.run, args=(stop,)) for part in (engine, worker)]
        for thread in threads:
            thread.start()
        try:
            yield Live(api)
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=30)
            system.dispose()
