"""From a position sent to the first byte at a webhook, at shares of what the whole service can deliver."""

from __future__ import annotations

import asyncio
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import sqlalchemy as sa

from geofences.store import create_devices, device_id_for
from geofences.tables import ConsentSource, Purpose
from lbs import clock
from lbs.bench.load import CONNECTIONS, Sink, request_bytes, status_of
from lbs.connections import Role, database
from lbs.secrets import Vault
from lbs.webhooks import add_webhook
from offers.tables import channels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbs.bench.home import BenchHome

FLOOD: Final = 1_500
WARM: Final = 200
SHARES: Final = (0.1, 0.5, 0.9)
SECONDS: Final = 6.0
MOST: Final = 12_000
PATIENCE_S: Final = 60.0


def by_load(home: BenchHome, *, say: Callable[[str], None]) -> dict[str, Any]:
    """First as fast as it goes, then each share of that at a steady rate: p50 and p99 in ms."""
    return asyncio.run(_by_load(home, say))


async def _by_load(home: BenchHome, say: Callable[[str], None]) -> dict[str, Any]:
    sink = Sink()
    await sink.start()
    with home.api() as url, home.process("lbs", "engine"), home.process("lbs", "worker"):
        await _set_up(home, url)
        _phones(home, sink.url, MOST)
        await asyncio.sleep(3)  # the fence takes effect, and the processes are up
        phones = iter(range(MOST))
        first = [next(phones) for _ in range(WARM)]
        await _walk_in(home, url, sink, first, per_s=None)
        flood = [next(phones) for _ in range(FLOOD)]
        sent_s = await _walk_in(home, url, sink, flood, per_s=None)
        last_s = max(sink.arrived_s[f"/{i}"] for i in flood)
        most = FLOOD / (last_s - min(sent_s.values()))
        say(f"position to delivery: {most:,.0f} deliveries/s at most, all processes on this machine")
        result: dict[str, Any] = {"most_per_s": most, "at": {}}
        for share in SHARES:
            batch = [next(phones) for _ in range(int(share * most * SECONDS))]
            sent_s = await _walk_in(home, url, sink, batch, per_s=share * most)
            took_ms = sorted(1e3 * (sink.arrived_s[f"/{i}"] - sent_s[i]) for i in batch)
            found = {"p50": median(took_ms), "p99": quantiles(took_ms, n=100)[98], "n": len(took_ms)}
            result["at"][f"{share:.0%}"] = found
            say(f"at {share:.0%}: p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms ({len(took_ms)} deliveries)")
    await sink.close()
    return result


async def _set_up(home: BenchHome, url: str) -> None:
    headers = {"Authorization": f"Bearer {home.secret_key}"}
    center = {"lat": 10.0, "lng": 10.0}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:

        async def post(path: str, body: object) -> Any:
            answer = await client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()

        store = await post("/v1/stores", {"external_id": "bench", "name": "Bench", **center})
        fence = {"external_id": "bench", "store_id": store["store_id"], "center": center, "radius_m": 100}
        await post("/v1/fences", {**fence, "profile": "plain"})
        offer = {"offer": {"kind": "other"}, "creatives": [{"title": "t"}], "caps": []}
        campaign = await post("/v1/campaigns", {"name": "Bench", "stores": [store["store_id"]], **offer})
        for move in ("submit", "approve"):
            await post(f"/v1/campaigns/{campaign['campaign_id']}/{move}", None)


def _phones(home: BenchHome, sink_url: str, n: int) -> None:
    """Devices walker-0, walker-1, ... each with a webhook of its own path."""
    system = database(home.settings, Role.SYSTEM)
    names = [f"walker-{i}" for i in range(n)]
    vault = Vault(home.settings)
    with system.begin() as connection:
        create_devices(
            connection,
            tenant_id=home.tenant_id,
            external_ids=names,
            purposes=(Purpose.LOCATION, Purpose.PUSH),
            source=ConsentSource.SERVER,
            at=clock.now(),
        )
        for i in range(n):
            add_webhook(connection, tenant_id=home.tenant_id, url=f"{sink_url}/{i}", vault=vault)
        rows = [
            {
                "tenant_id": home.tenant_id,
                "device_id": device_id_for(home.tenant_id, name),
                "type": "webhook",
                "address": {"url": f"{sink_url}/{i}"},
                "address_hash": name.encode(),
            }
            for i, name in enumerate(names)
        ]
        connection.execute(sa.insert(channels), rows)
    system.dispose()
    owner = database(home.settings, Role.ADMIN)
    with owner.begin() as connection:  # as autovacuum would by and by: only the owner may
        connection.execute(sa.text("ANALYZE offers.channels, offers.webhooks, geofences.devices"))
    owner.dispose()


async def _walk_in(
    home: BenchHome, url: str, sink: Sink, phones: Sequence[int], *, per_s: float | None
) -> dict[int, float]:
    """Each phone reports once that it is at the store; returns, when all messages are there, when each was sent."""
    parts = urlsplit(url)
    sent_s: dict[int, float] = {}
    begin_s = time.perf_counter()
    queue = iter(enumerate(phones))

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for order, phone in queue:
            if per_s is not None:
                await asyncio.sleep(begin_s + order / per_s - time.perf_counter())
            position = {"lat": 10.0, "lng": 10.0, "recorded_at": clock.now().timestamp(), "accuracy_m": 5}
            body = msgspec.json.encode({"device_id": f"walker-{phone}", "positions": [position]})
            sent_s[phone] = time.perf_counter()
            writer.write(request_bytes(url, "/v1/positions", body, key=home.secret_key))
            status = await status_of(reader)
            assert status.endswith(b"202"), status
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    deadline = time.perf_counter() + PATIENCE_S
    while not all(f"/{phone}" in sink.arrived_s for phone in phones):
        assert time.perf_counter() < deadline, "some messages did not arrive"
        await asyncio.sleep(0.05)
    return sent_s
