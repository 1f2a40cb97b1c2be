"""The road, measured: HTTP into the log, the log into the ledger, a position to its delivery.

Every figure has its floor beside it from the same run: a route that only checks the key and decodes, and a bare binary
COPY of the same rows into the same table. Workload: seeded; 20,000 devices that stroll among 5,000 circles of 60 to
300 m in an area of 55 by 55 km, about one position of six inside a fence, profile `standard`.
"""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import numpy as np
import sqlalchemy as sa

from geofences.engine import Engine
from geofences.log import Entry, EntryKind, PositionLog, split_by_shard
from geofences.model import POSITION_DTYPE, SHARDS, Circle, LatLng, Positions
from geofences.refresh import FenceSnapshot
from geofences.store import create_devices, device_id_for
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_us
from geofences.warm import warm_up
from lbs import clock
from lbs.bench.home import BenchHome, put_circles
from lbs.bench.load import Sink, hammer, request_bytes
from lbs.connections import Role, database, redis_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from geofences.tracking import Effects

DEVICES = 20_000
PREPARED_REQUESTS = 1_024
POSITIONS_IN_LOG = 300_000
PACKED = 1_000
BATCHES = (1, 100, 1000)
ROUNDS = 5
LEDGER_ROUNDS = 3
FENCES = 5_000
SOUTH_DEG, HEIGHT_DEG = 60.0, 0.5
WEST_DEG, WIDTH_DEG = 24.0, 1.0
COPY_ROWS = 60_000
DELIVERIES = 400
FIRST_DELIVERIES = 40
"""Not counted: processes connect, and compiled code is read from the disk."""
PATIENCE_S = 20.0
DELIVERIES_A_SECOND = 20.0
SEED = 20_261_122
PG_EPOCH_US = 946_684_800_000_000


def run(home: BenchHome, *, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """All parts in order; `seconds` is how long each HTTP figure is measured, in rounds."""
    put_circles(home, circles(), profile="standard")
    put_devices(home, DEVICES)
    result: dict[str, Any] = {"http": {}, "decode_only": {}, "devices": DEVICES, "fences": FENCES}
    with home.api() as url, home.baseline() as floor_url:
        for batch in BATCHES:
            rate, floor = _http(home, url, floor_url, batch, seconds)
            result["http"][str(batch)], result["decode_only"][str(batch)] = rate, floor
            say(f"HTTP, {batch} a request: {rate:,.0f} positions/s; decode only: {floor:,.0f}")
    rounds = [_ledger_round(home, say) for _ in range(LEDGER_ROUNDS)]
    for name, rates in zip(("first_met", "log_to_ledger", "copy_floor"), zip(*rounds, strict=True), strict=True):
        result[name] = median(rates)
    result["delivery_ms"] = asyncio.run(_deliver(home))
    say(f"position to delivery: p50 {result['delivery_ms']['p50']:.1f} ms, p99 {result['delivery_ms']['p99']:.1f} ms")
    return result


def put_devices(home: BenchHome, n: int) -> None:
    """Devices d0, d1, ... that consented to everything."""
    engine = database(home.settings, Role.SYSTEM)
    with engine.begin() as connection:
        create_devices(
            connection,
            tenant_id=home.tenant_id,
            external_ids=[f"d{i}" for i in range(n)],
            purposes=(Purpose.LOCATION, Purpose.PUSH),
            source=ConsentSource.SERVER,
            at=clock.now(),
        )
    engine.dispose()


def _places(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Latitudes and longitudes of n places, evenly in the area."""
    return SOUTH_DEG + rng.uniform(0, HEIGHT_DEG, n), WEST_DEG + rng.uniform(0, WIDTH_DEG, n)


def circles() -> list[Circle]:
    rng = np.random.default_rng(SEED)
    lat, lng = _places(rng, FENCES)
    radius_m = rng.uniform(60, 300, FENCES)
    return [
        Circle(center=LatLng(lat=lat_deg, lng=lng_deg), radius_m=radius)
        for lat_deg, lng_deg, radius in zip(lat.tolist(), lng.tolist(), radius_m.tolist(), strict=True)
    ]


def _http(home: BenchHome, url: str, floor_url: str, batch: int, seconds: float) -> tuple[float, float]:
    """Positions a second through one API process and through its floor: medians of rounds in which they take turns."""
    ways = [(url, _requests(home, url, "/v1/positions", batch))]
    ways.append((floor_url, _requests(home, floor_url, "/v1/decode-only", batch)))
    for way, requests in ways:  # after this every device is in the directory, and the key on the ring
        asyncio.run(hammer(way, requests, seconds=0, at_least=2 * len(requests)))
    client = redis_client(home.settings)
    rates: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        client.flushdb()  # nobody handles the log here: it must not grow to its limit
        for (way, requests), found in zip(ways, rates, strict=True):
            tally = asyncio.run(hammer(way, requests, seconds=seconds / ROUNDS))
            assert not tally.refused, f"{tally.refused} requests were refused"
            found.append(tally.answers * batch / tally.seconds)
    client.close()
    return median(rates[0]), median(rates[1])


def _requests(home: BenchHome, url: str, path: str, batch: int) -> list[bytes]:
    rng = np.random.default_rng(SEED)
    lat, lng = _places(rng, PREPARED_REQUESTS * min(batch, 100))
    now_s = clock.now().timestamp()
    requests = []
    for i in range(PREPARED_REQUESTS):
        rows = rng.integers(0, len(lat), batch)
        positions = [
            {
                "lat": round(float(lat[row]), 6),
                "lng": round(float(lng[row]), 6),
                "recorded_at": round(now_s - 0.001 * k, 3),
                "accuracy_m": 8,
            }
            for k, row in enumerate(rows)
        ]
        body = msgspec.json.encode({"device_id": f"d{i % DEVICES}", "positions": positions})
        requests.append(request_bytes(url, path, body, key=home.secret_key))
    return requests


def _positions(home: BenchHome, n: int) -> Positions:
    rng = np.random.default_rng(SEED + 1)
    rows = np.zeros(n, dtype=POSITION_DTYPE)
    ids = np.array([device_id_for(home.tenant_id, f"d{i}") for i in range(DEVICES)])
    now_us = to_us(clock.now())
    rows["device_id"] = ids[np.arange(n) % DEVICES]
    rows["tenant_id"] = home.tenant_id
    rows["recorded_us"] = now_us - 600_000_000 + (np.arange(n) // DEVICES) * 15_000_000
    rows["received_us"] = now_us
    # every device stays about one place, so that its steps are those of a walker and not of an aeroplane
    lat, lng = _places(rng, DEVICES)
    rows["lat"] = lat[np.arange(n) % DEVICES] + rng.normal(0, 0.0003, n)
    rows["lng"] = lng[np.arange(n) % DEVICES] + rng.normal(0, 0.0006, n)
    rows["accuracy_m"] = 8
    rows["speed_mps"] = np.nan
    return rows


def _ledger_round(home: BenchHome, say: Callable[[str], None]) -> tuple[float, float, float]:
    """Devices met, positions a second from the log to the ledger, and of the bare COPY right after."""
    owner = database(home.settings, Role.ADMIN)
    with owner.begin() as connection:
        connection.execute(
            sa.text("TRUNCATE geofences.positions, geofences.visits, geofences.events, geofences.device_last")
        )
    owner.dispose()
    first_met, ledger = _log_to_ledger(home)
    floor = _copy_floor(home)
    say(f"log to ledger: {ledger:,.0f} positions/s; bare COPY: {floor:,.0f}; devices met: {first_met:,.0f}/s")
    return first_met, ledger, floor


def _log_to_ledger(home: BenchHome) -> tuple[float, float]:
    """Positions a second from entries that wait in the log to committed positions, visits and events.

    First of an engine that meets every device for the first time, a position each, then of one that knows them all.
    """
    client = redis_client(home.settings)
    client.flushdb()
    system = database(home.settings, Role.SYSTEM)
    with system.begin() as connection:
        connection.execute(sa.text("UPDATE geofences.shards SET \"offset\" = '0-0', epoch = epoch + 1"))
    position_log = PositionLog(client, prefix=home.settings.redis_prefix)
    rows = _positions(home, DEVICES + POSITIONS_IN_LOG)
    _append(position_log, rows[:DEVICES])
    handled = 0
    begun_s, ended_s = [0.0, 0.0], [0.0, 0.0]
    stop = threading.Event()

    def on_batch(effects: Effects) -> None:
        nonlocal handled
        handled += sum(map(len, effects.positions))
        if handled == DEVICES:
            ended_s[0] = time.perf_counter()
            _append(position_log, rows[DEVICES:])  # the engine waits until all of it is there
            begun_s[1] = time.perf_counter()
        elif handled == len(rows):
            ended_s[1] = time.perf_counter()
            stop.set()

    engine = Engine(
        database=system,
        position_log=position_log,
        snapshot=FenceSnapshot(now=clock.now),
        now=clock.now,
        beat=lambda: None,
        on_batch=on_batch,
    )
    warm_up()
    begun_s[0] = time.perf_counter()
    engine.run(stop)
    system.dispose()
    return DEVICES / (ended_s[0] - begun_s[0]), POSITIONS_IN_LOG / (ended_s[1] - begun_s[1])


def _append(position_log: PositionLog, rows: Positions) -> None:
    """As a backlog comes about: each entry was appended soon after its positions were recorded."""
    for start in range(0, len(rows), PACKED * SHARDS):
        for shard, part in split_by_shard(rows[start : start + PACKED * SHARDS]):
            appended_us = int(part["recorded_us"].max()) + 1_000_000
            position_log.append([(shard, Entry(kind=EntryKind.POSITIONS, clock_us=appended_us, positions=part))])


def _copy_floor(home: BenchHome) -> float:
    """Rows a second of a bare binary COPY of the same rows into the same table with its indexes."""
    rows = _positions(home, POSITIONS_IN_LOG)
    chunks = [_binary_copy(rows[start : start + COPY_ROWS]) for start in range(0, len(rows), COPY_ROWS)]
    system = database(home.settings, Role.SYSTEM)
    begin = time.perf_counter()
    for chunk in chunks:
        with system.begin() as connection:
            connection.connection.cursor().copy_expert(
                "COPY geofences.positions (tenant_id, device_id, recorded_at, received_at, lat, lng, accuracy_m, flags)"
                " FROM STDIN (FORMAT binary)",
                _Bytes(chunk),
            )
    seconds = time.perf_counter() - begin
    system.dispose()
    return len(rows) / seconds


class _Bytes:
    """What psycopg2 reads COPY data from, without a copy of it."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def read(self, n: int = -1) -> bytes:
        part = self._data[self._at :] if n < 0 else self._data[self._at : self._at + n]
        self._at += len(part)
        return bytes(part)


def _binary_copy(rows: Positions) -> bytes:
    """PostgreSQL's binary COPY format: for each row the number of columns, then length and value of each."""
    columns = (
        ("tenant_id", ">i4", rows["tenant_id"]),
        ("device_id", ">i8", rows["device_id"]),
        ("recorded_at", ">i8", rows["recorded_us"] - PG_EPOCH_US),
        ("received_at", ">i8", rows["received_us"] - PG_EPOCH_US),
        ("lat", ">f8", rows["lat"]),
        ("lng", ">f8", rows["lng"]),
        ("accuracy_m", ">f4", rows["accuracy_m"]),
        ("flags", ">i2", rows["flags"]),
    )
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for name, kind, _ in columns:
        fields += [(f"{name}_bytes", ">i4"), (name, kind)]
    packed = np.zeros(len(rows), dtype=np.dtype(fields))
    packed["n"] = len(columns)
    for name, kind, values in columns:
        packed[f"{name}_bytes"] = np.dtype(kind).itemsize
        packed[name] = values
    header = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    return header + packed.tobytes() + struct.pack(">h", -1)


async def _deliver(home: BenchHome) -> dict[str, float]:
    """From sending a position that enters a fence to the first byte at the webhook's sink, at a steady rate."""
    sink = Sink()
    await sink.start()
    with home.api() as url, home.process("lbs", "engine"), home.process("lbs", "worker"):
        headers = {"Authorization": f"Bearer {home.secret_key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            sent_s = await _walk_in(client, sink)
            await _arrived(sink, len(sent_s))
    await sink.close()
    missing = sent_s.keys() - sink.arrived_s.keys()
    assert not missing, f"{len(missing)} of {len(sent_s)} messages did not arrive"
    counted = list(sent_s.items())[FIRST_DELIVERIES:]
    took_ms = sorted(1e3 * (sink.arrived_s[path] - at_s) for path, at_s in counted)
    return {"p50": median(took_ms), "p99": quantiles(took_ms, n=100)[98], "n": len(took_ms)}


async def _arrived(sink: Sink, n: int) -> None:
    """Waits until so many messages arrived, but not for ever."""
    deadline = time.perf_counter() + PATIENCE_S
    while len(sink.arrived_s) < n and time.perf_counter() < deadline:  # noqa: ASYNC110 - nobody else counts
        await asyncio.sleep(0.05)


async def _walk_in(client: httpx.AsyncClient, sink: Sink) -> dict[str, float]:
    """Sets up a store, a campaign and devices of the sink; then each device walks in once. Path -> when it was sent."""

    async def post(path: str, body: object) -> Any:
        answer = await client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    store = await post("/v1/stores", {"external_id": "bench", "name": "Bench", "lat": 10.0, "lng": 10.0})
    center = {"lat": 10.0, "lng": 10.0}
    await post(
        "/v1/fences",
        {"external_id": "bench", "store_id": store["store_id"], "center": center, "radius_m": 100, "profile": "plain"},
    )
    campaign = await post(
        "/v1/campaigns",
        {
            "name": "Bench",
            "stores": [store["store_id"]],
            "offer": {"kind": "other"},
            "creatives": [{"title": "t"}],
            "caps": [],
        },
    )
    for move in ("submit", "approve"):
        await post(f"/v1/campaigns/{campaign['campaign_id']}/{move}", None)
    consents = [{"purpose": purpose, "version": "1", "at": clock.now().isoformat()} for purpose in ("location", "push")]
    for i in range(FIRST_DELIVERIES + DELIVERIES):
        channels = [{"type": "webhook", "address": f"{sink.url}/{i}"}]
        await post("/v1/devices", {"device_id": f"walker-{i}", "channels": channels, "consents": consents})
    await asyncio.sleep(3)  # the fence takes effect, and the processes are up
    sent_s: dict[str, float] = {}
    waiting = []
    for i in range(FIRST_DELIVERIES + DELIVERIES):
        if i == FIRST_DELIVERIES:
            await _arrived(sink, FIRST_DELIVERIES)
        position = {**center, "recorded_at": clock.now().isoformat(), "accuracy_m": 5}
        sent_s[f"/{i}"] = time.perf_counter()
        body = {"device_id": f"walker-{i}", "positions": [position]}
        waiting.append(asyncio.create_task(post("/v1/positions", body)))
        await asyncio.sleep(1 / DELIVERIES_A_SECOND)
    await asyncio.gather(*waiting)
    return sent_s
