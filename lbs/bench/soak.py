"""A long load on the whole road, at a share of what it can carry, while fences are edited.

First the most that the road carries is measured: requests as fast as they are answered, held back only while the engine
is behind. Then the same devices report at a share of that, by the clock, for as long as is asked, and fences change
through the API all the while. At the end PostGIS says which positions of some devices lay in which version of which
fence, and the ledger must say the same.

Workload: seeded. Devices go round circles of 40 to 300 m about places of the area at 1 to 12 m/s and send their last
reports together, as a phone does that wakes now and then; fences are circles of profile `plain`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import numpy as np
import psutil
import sqlalchemy as sa

from geofences.sql import queries
from geofences.store import device_id_for
from geofences.tables import fences
from lbs import clock
from lbs.bench.home import BenchHome, put_circles
from lbs.bench.ingest import FENCES, HEIGHT_DEG, SEED, SOUTH_DEG, WEST_DEG, WIDTH_DEG, circles, put_devices
from lbs.bench.load import CONNECTIONS, request_bytes, status_of
from lbs.connections import Role, database
from lbs.local_process import choose_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEVICES: Final = 15_000
REPORTED_TOGETHER: Final = 25
"""Positions of a request."""
MOST_BEHIND: Final = 60_000
"""While the most is measured: positions that were answered and that the engine has not handled yet."""
MEASURED_S, SETTLING_S = 20.0, 3.0
"""The most is measured so long, and from so long after the last device was met."""
LOOK_EVERY_S: Final = 2.0
CHECKED_DEVICES: Final = 400
WIDEST_M: Final = 400.0
REMOVED_SHARE: Final = 0.1
"""So many of the edits remove a fence and draw another one."""
DRAINED_WITHIN_S: Final = 60.0
M_PER_DEG: Final = 111_195.0


@dataclass(slots=True)
class Look:
    """How things stand at one moment of the load."""

    at_s: float
    waiting: int
    """Entries of the log."""
    oldest_s: float
    handled: int
    engine_mb: float
    api_mb: float


@dataclass
class Walkers:
    """Where every device is at any time; each has a time of its own up to which it has reported."""

    rng: np.random.Generator
    n: int

    def __post_init__(self) -> None:
        self.lat = SOUTH_DEG + self.rng.uniform(0, HEIGHT_DEG, self.n)
        self.lng = WEST_DEG + self.rng.uniform(0, WIDTH_DEG, self.n)
        self.radius_m = self.rng.uniform(40, 300, self.n)
        self.turn_rad_s = self.rng.uniform(1, 12, self.n) / self.radius_m
        self.phase = self.rng.uniform(0, 2 * np.pi, self.n)

    def body(self, i: int, at_s: np.ndarray) -> bytes:
        """A request with the device's positions at these times, oldest first."""
        angle = self.phase[i] + self.turn_rad_s[i] * at_s
        lat = self.lat[i] + self.radius_m[i] * np.sin(angle) / M_PER_DEG
        wide = M_PER_DEG * np.cos(np.radians(self.lat[i]))
        lng = self.lng[i] + self.radius_m[i] * np.cos(angle) / wide
        rows = zip(lat.tolist(), lng.tolist(), at_s.tolist(), strict=True)
        positions = [{"lat": y, "lng": x, "recorded_at": round(at, 3), "accuracy_m": 6} for y, x, at in rows]
        return msgspec.json.encode({"device_id": f"d{i}", "positions": positions})


@dataclass
class Road:
    """API and engine, as the load sees them."""

    home: BenchHome
    url: str
    metrics_url: str
    engine: psutil.Process
    api: psutil.Process
    walkers: Walkers
    answered: int = 0
    """Positions that were answered 202."""
    refused: int = 0
    looks: list[Look] = field(default_factory=list)

    async def send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, i: int, at_s: np.ndarray) -> None:
        body = self.walkers.body(i, at_s)
        writer.write(request_bytes(self.url, "/v1/positions", body, key=self.home.secret_key))
        if (await status_of(reader)).endswith(b"202"):
            self.answered += len(at_s)
        else:
            self.refused += len(at_s)

    async def look(self, client: httpx.AsyncClient, begin_s: float) -> Look:
        text = (await client.get(self.metrics_url)).text
        figures = {
            name: float(value)
            for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        }
        look = Look(
            at_s=time.perf_counter() - begin_s,
            waiting=int(figures["lbs_engine_log_entries"]),
            oldest_s=figures["lbs_engine_log_oldest_seconds"],
            handled=int(figures["lbs_engine_positions_total"]),
            engine_mb=self.engine.memory_info().rss / 1e6,
            api_mb=self.api.memory_info().rss / 1e6,
        )
        self.looks.append(look)
        return look


def run(
    home: BenchHome, *, minutes: float, share: float, edits_a_second: float, say: Callable[[str], None],
    forward: Callable[[int], None], devices: int = DEVICES, measured_s: float = MEASURED_S,
) -> dict[str, Any]:  # fmt: skip
    """`forward` is called with every second of the load that has passed."""
    put_circles(home, circles(), profile="plain")
    put_devices(home, devices)
    say(f"{devices:,} devices and {FENCES:,} fences are there")
    metrics_port = choose_port(None)
    home = replace(home, environment={**home.environment, "LBS_METRICS_PORT": str(metrics_port)})
    with home.process("lbs", "engine") as engine, home.api_process() as (url, api):
        road = Road(
            home=home,
            url=url,
            metrics_url=f"http://127.0.0.1:{metrics_port}/metrics",
            engine=psutil.Process(engine.pid),
            api=psutil.Process(api.pid),
            walkers=Walkers(np.random.default_rng(SEED), devices),
        )
        result = asyncio.run(
            _load(
                road,
                seconds=60 * minutes,
                share=share,
                edits_a_second=edits_a_second,
                measured_s=measured_s,
                say=say,
                forward=forward,
            )
        )
    say("PostGIS and the ledger are compared")
    return {**result, **check(home, devices), "looks": [asdict(look) for look in road.looks]}


async def _load(
    road: Road, *, seconds: float, share: float, edits_a_second: float, measured_s: float,
    say: Callable[[str], None], forward: Callable[[int], None],
) -> dict[str, Any]:  # fmt: skip
    async with httpx.AsyncClient(timeout=30) as client:
        most = await _most(road, client, measured_s)
        say(f"the road carries {most:,.0f} positions/s")
        await _drained(road, client)
        rate = share * most
        say(f"{rate:,.0f} positions/s and {edits_a_second:g} edits/s for {seconds / 60:g} min")
        road.looks.clear()
        before = road.answered
        editing = asyncio.create_task(_edit(road, edits_a_second))
        late_s = await _steady(road, client, rate, seconds, forward)
        editing.cancel()
        edits = 0
        with suppress(asyncio.CancelledError):
            edits = await editing
        sent = road.answered - before
        drained_s = await _drained(road, client)
    return {
        "most_positions_s": most,
        "positions_s": sent / seconds,
        "seconds": seconds,
        "edits": edits,
        "refused": road.refused,
        "latest_request_s": late_s,
        "drained_s": drained_s,
    }


async def _most(road: Road, client: httpx.AsyncClient, measured_s: float) -> float:
    """Positions a second that are answered and handled while requests come as fast as the engine keeps up."""
    begin_s = time.perf_counter()
    begin_at_s = clock.now().timestamp() - 3_600
    turns = itertools.count()
    may = asyncio.Event()
    may.set()
    over = False

    async def one() -> None:
        reader, writer = await _connected(road)
        while not over:
            await may.wait()
            turn, i = divmod(next(turns), road.walkers.n)
            await road.send(reader, writer, i, begin_at_s + REPORTED_TOGETHER * turn + np.arange(REPORTED_TOGETHER))
        writer.close()

    senders = [asyncio.create_task(one()) for _ in range(CONNECTIONS)]
    marks: list[tuple[float, int]] = []
    measured_from_s = np.inf
    while not marks or marks[-1][0] < measured_from_s + measured_s:
        await asyncio.sleep(0.1)
        look = await road.look(client, begin_s)
        if road.answered - look.handled > MOST_BEHIND:
            may.clear()
        else:
            may.set()
        if measured_from_s == np.inf and road.answered > road.walkers.n * REPORTED_TOGETHER:
            measured_from_s = look.at_s + SETTLING_S
        if look.at_s >= measured_from_s:
            marks.append((look.at_s, look.handled))
    over = True
    may.set()
    await asyncio.gather(*senders)
    (first_s, first), (last_s, last) = marks[0], marks[-1]
    return (last - first) / (last_s - first_s)


async def _steady(
    road: Road, client: httpx.AsyncClient, rate: float, seconds: float, forward: Callable[[int], None]
) -> float:
    """Requests by the clock; how late the latest one was sent, seconds."""
    begin_s = time.perf_counter()
    began_at_s = clock.now().timestamp()
    every_s = road.walkers.n / rate  # between two positions of a device
    steps_s = every_s * np.arange(1 - REPORTED_TOGETHER, 1)
    requests: Iterator[int] = iter(range(int(seconds * rate / REPORTED_TOGETHER)))
    latest_s = 0.0

    async def one() -> None:
        nonlocal latest_s
        reader, writer = await _connected(road)
        for k in requests:
            due_s = k * REPORTED_TOGETHER / rate
            wait_s = due_s - (time.perf_counter() - begin_s)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            latest_s = max(latest_s, -wait_s)
            await road.send(reader, writer, k % road.walkers.n, began_at_s + due_s + steps_s)
        writer.close()

    async def watch() -> None:
        told = 0
        while True:
            await road.look(client, begin_s)
            now = int(time.perf_counter() - begin_s)
            forward(now - told)
            told = now
            await asyncio.sleep(LOOK_EVERY_S)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return latest_s


async def _edit(road: Road, edits_a_second: float) -> int:
    """Moves and resizes fences, or removes one and draws another, until cancelled; answers how many edits."""
    rng = np.random.default_rng(SEED + 2)
    headers = {"Authorization": f"Bearer {road.home.secret_key}"}
    known = _fence_ids(road.home)
    drawn = circles()
    done = 0
    begin_s = time.perf_counter()
    async with httpx.AsyncClient(base_url=road.url, headers=headers, timeout=30) as client:
        try:
            while True:
                await asyncio.sleep(max(0.0, done / edits_a_second - (time.perf_counter() - begin_s)))
                name = str(rng.choice(list(known)))
                old = drawn[int(name[1:].split("-", maxsplit=1)[0])].center
                north_m, east_m = rng.uniform(-150, 150, 2)
                lat = old.lat + north_m / M_PER_DEG
                lng = old.lng + east_m / (M_PER_DEG * float(np.cos(np.radians(old.lat))))
                body = {
                    "external_id": name,
                    "center": {"lat": lat, "lng": lng},
                    "radius_m": float(rng.uniform(60, 300)),
                    "profile": "plain",
                }
                if rng.uniform() < REMOVED_SHARE:
                    (await client.delete(f"/v1/fences/{known.pop(name)}")).raise_for_status()
                    body["external_id"] = f"{name.split('-', maxsplit=1)[0]}-{done}"
                    made = await client.post("/v1/fences", json=body)
                    made.raise_for_status()
                    known[str(body["external_id"])] = made.json()["fence_id"]
                else:
                    (await client.put(f"/v1/fences/{known[name]}", json=body)).raise_for_status()
                done += 1
        except asyncio.CancelledError:
            return done


async def _drained(road: Road, client: httpx.AsyncClient) -> float:
    """Waits until the engine has handled what was answered; seconds."""
    begin_s = time.perf_counter()
    while time.perf_counter() - begin_s < DRAINED_WITHIN_S:
        look = await road.look(client, begin_s)
        road.looks.pop()
        if look.handled >= road.answered and not look.waiting:
            break
        await asyncio.sleep(0.1)
    return time.perf_counter() - begin_s


async def _connected(road: Road) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(road.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


def _fence_ids(home: BenchHome) -> dict[str, str]:
    engine = database(home.settings, Role.SYSTEM)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(fences.c.external_id, fences.c.fence_id).where(fences.c.tenant_id == home.tenant_id)
        ).all()
    engine.dispose()
    return {row.external_id: str(row.fence_id) for row in rows}


def check(home: BenchHome, devices: int) -> dict[str, int]:
    """Positions of some devices, the pairs that PostGIS finds, and those that the ledger lacks or has too many."""
    own = queries("lbs.bench")
    step = max(1, devices // CHECKED_DEVICES)
    ids = [device_id_for(home.tenant_id, f"d{i}") for i in range(0, devices, step)]
    engine = database(home.settings, Role.SYSTEM)
    with engine.begin() as connection:
        connection.execute(own["soak_versions"], {"tenant_id": home.tenant_id})
        connection.execute(own["soak_versions_index"])
        connection.execute(own["soak_positions"], {"device_ids": ids})
        connection.execute(sa.text("ANALYZE soak_versions"))
        connection.execute(sa.text("ANALYZE soak_positions"))
        row = connection.execute(own["soak_wrong_pairs"], {"device_ids": ids, "widest_m": WIDEST_M}).one()
    engine.dispose()
    return {
        "checked_positions": row.positions,
        "checked_pairs": row.pairs,
        "missing_pairs": row.missing,
        "extra_pairs": row.extra,
    }
