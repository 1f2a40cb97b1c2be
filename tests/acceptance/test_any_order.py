"""Traces delivered in any order, twice, cut anywhere, with engines killed meanwhile: the ledger of in-order delivery.

LBS_TEST_TRACES and LBS_TEST_KILLS make it as large as you like; docs/operations.md names the large run.
"""

from __future__ import annotations

import os
import random
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa

from geofences.log import Entry, EntryKind, split_by_shard
from geofences.model import SHARDS, Circle, FenceKind, LatLng, Positions, Shard, TenantId
from geofences.places import ALWAYS, FenceInput, StoreInput, put_fences, put_stores
from geofences.store import create_devices, create_tenant, device_id_for
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_datetime
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.store import create_campaign
from tests.support.engines import Town, open_town
from tests.support.real_traces import real_traces
from tests.support.road import NOON
from tests.support.walks import START_US, S, some_order, some_walk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(7200)]

TRACES = int(os.environ.get("LBS_TEST_TRACES", "200"))
KILLS = int(os.environ.get("LBS_TEST_KILLS", "3"))
REAL_SHARE = 0.2
FENCES = 60
SETTINGS: tuple[tuple[str, dict[str, float]], ...] = (
    ("plain", {}),
    ("standard", {}),
    (
        "standard",
        {
            "enter_after_s": 0,
            "exit_buffer_m": 30,
            "min_confidence": 0.3,
            "hold_s": 100,
            "gap_s": 0,
            "crossed_within_s": 120,
        },
    ),
)
LEDGER = """
SELECT d.external_id, f.external_id, v.entered_at, v.exited_at, v.dwelled_at, v.dwell_s, v.status, v.ended_by,
       v.positions, v.confidence, v.already_inside
FROM geofences.visits v JOIN geofences.devices d USING (device_id) JOIN geofences.fences f USING (fence_id)
WHERE v.tenant_id = :tenant AND v.status <> 'retracted' ORDER BY 1, 2, 3
"""
FLAGS = """
SELECT d.external_id, p.recorded_at, p.lat, p.lng, p.accuracy_m, p.flags
FROM geofences.positions p JOIN geofences.devices d USING (device_id) WHERE p.tenant_id = :tenant ORDER BY 1, 2, 3, 4, 5
"""


def _traces(rng: random.Random) -> list[Positions]:
    """Real ones, moved to begin in one night, and generated ones; a trace's place is its device."""
    real = real_traces()
    rng.shuffle(real)
    chosen = real[: int(TRACES * REAL_SHARE)]
    for trace in chosen:
        trace["recorded_us"] += START_US + rng.randint(0, 300) * S - trace["recorded_us"][0]
        trace["received_us"] = trace["recorded_us"]
    traces = [*chosen, *(some_walk(rng, 1) for _ in range(TRACES - len(chosen)))]
    latest_us = START_US + 40 * 3600 * S
    return [trace[trace["recorded_us"] < latest_us] for trace in traces]


def _make_tenant(town: Town, name: str, traces: list[Positions], rng: random.Random) -> TenantId:
    """Circles where the traces go, a store and a campaign, and a device for each trace."""
    with town.database.begin() as connection:
        tenant_id = create_tenant(connection, name=name, sandbox=True).tenant_id
        here = LatLng(lat=60.0, lng=24.0)
        shop = StoreInput(external_id="shop", name="Shop", location=here, timezone="Europe/Helsinki")
        store_id = put_stores(connection, tenant_id=tenant_id, rows=[shop], now=NOON)["shop"][0]
        fences = []
        for i in range(FENCES):
            trace = rng.choice(traces)
            position = trace[rng.randrange(len(trace))]
            center = LatLng(lat=float(position["lat"]), lng=float(position["lng"]))
            profile, settings = SETTINGS[i % len(SETTINGS)]
            fences.append(
                FenceInput(
                    external_id=f"f{i}",
                    kind=FenceKind.CIRCLE,
                    profile=profile,
                    settings=settings,
                    store_id=store_id,
                    shape=Circle(center=center, radius_m=rng.uniform(40, 400)),
                )
            )
        put_fences(connection, tenant_id=tenant_id, rows=fences, now=NOON, effective_at=ALWAYS)
        create_devices(
            connection,
            tenant_id=tenant_id,
            external_ids=[f"d{i}" for i in range(len(traces))],
            purposes=[Purpose.LOCATION, Purpose.PUSH],
            source=ConsentSource.REPLAY,
            at=NOON,
        )
        campaign_id = create_campaign(
            connection,
            tenant_id=tenant_id,
            definition=CampaignDefinition.model_validate(
                {
                    "name": "Coffee",
                    "offer": {"kind": "percentage", "value": 20},
                    "creatives": [{"title": "Coffee", "body": "20 % off"}],
                }
            ),
            created_by="test",
            now=NOON,
        )
        for move in ("submit", "approve"):
            move_campaign(connection, tenant_id=tenant_id, campaign_id=campaign_id, move=move, actor="test", now=NOON)
    return tenant_id


def _own(traces: list[Positions], tenant_id: TenantId) -> list[Positions]:
    mine = [trace.copy() for trace in traces]
    for i, trace in enumerate(mine):
        trace["device_id"] = device_id_for(tenant_id, f"d{i}")
        trace["tenant_id"] = tenant_id
    return mine


def _entries(tenant_id: TenantId, chunks: list[Positions]) -> list[tuple[Shard, Entry]]:
    """One after the other; the clock is the newest time so far."""
    made = []
    clock_us = START_US
    for chunk in chunks:
        clock_us = max(clock_us, int(chunk["recorded_us"].max()))
        made += [
            (shard, Entry(kind=EntryKind.POSITIONS, clock_us=clock_us, scope=tenant_id, positions=part))
            for shard, part in split_by_shard(chunk)
        ]
    return made


def _ticks(tenant_id: TenantId) -> list[tuple[Shard, Entry]]:
    end_us = START_US + 48 * 3600 * S
    return [(Shard(s), Entry(kind=EntryKind.TICK, clock_us=end_us, scope=tenant_id)) for s in range(SHARDS)]


def _chunks_in_order(traces: list[Positions]) -> list[Positions]:
    rows = np.concatenate(traces)
    rows = rows[np.argsort(rows["recorded_us"], kind="stable")]
    return np.array_split(rows, max(1, len(rows) // 500))


def _chunks_in_any_order(traces: list[Positions], rng: random.Random) -> list[Positions]:
    """Each trace in an order of its own, cut at random; the pieces of several traces travel together."""
    pieces: list[tuple[float, Positions]] = []
    for trace in traces:
        _, arrival = some_order(rng, trace)
        start = rng.random()
        while arrival:
            size = rng.choice([1, 3, 8, 20])
            piece, arrival = arrival[:size], arrival[size:]
            start += rng.random() / 20
            pieces.append((start, trace[piece]))
    pieces.sort(key=lambda piece: piece[0])
    chunks = []
    while pieces:
        size = rng.choice([1, 10, 40])
        some, pieces = pieces[:size], pieces[size:]
        chunks.append(np.concatenate([rows for _, rows in some]))
    return chunks


def _kill_at_random(town: Town, rng: random.Random) -> int:
    """Two engines work; one after the other is killed until the log is handled and there were kills enough."""
    town.start(2)
    victims = count()
    kills = 0
    while kills < KILLS:
        time.sleep(rng.uniform(0.3, 3.0))
        victim = town.processes[next(victims)]
        victim.kill()
        victim.wait()
        kills += 1
        town.start(1)
    return kills


def _rows(town: Town, statement: str, tenant_id: TenantId) -> list[tuple[Any, ...]]:
    with town.database.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement), {"tenant": tenant_id})]


def test_any_order_any_kill_one_ledger(
    fresh_database_url: str, redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    rng = random.Random(11)
    traces = _traces(rng)
    with open_town(fresh_database_url, redis_url, redis_prefix, tmp_path) as town:
        with town.database.begin() as connection:
            days = {"first": to_datetime(START_US).date(), "last": to_datetime(START_US + 72 * 3600 * S).date()}
            connection.execute(sa.text("SELECT geofences.make_partitions(:first, :last)"), days)
        seed = rng.random()
        tenants = {name: _make_tenant(town, name, traces, random.Random(seed)) for name in ("in order", "in any order")}
        plain, mixed = tenants.values()
        town.log.append(_entries(plain, _chunks_in_order(_own(traces, plain))) + _ticks(plain))
        town.log.append(_entries(mixed, _chunks_in_any_order(_own(traces, mixed), rng)) + _ticks(mixed))
        kills = _kill_at_random(town, rng)
        town.wait_handled(within_s=3600)

        expected = _rows(town, LEDGER, plain)
        found = _rows(town, LEDGER, mixed)
        corrections = _rows(
            town,
            "SELECT type, count(*), count(detail ->> 'because') FROM geofences.events"
            " WHERE tenant_id = :tenant AND type IN ('visit.corrected', 'visit.retracted') GROUP BY 1 ORDER BY 1",
            mixed,
        )
        # shown by pytest -s: the figures of a large run
        sys.stdout.write(f"\n{len(traces)} traces, {kills} kills, {len(expected)} visits, corrections {corrections}\n")
        assert _rows(town, "SELECT entry_id, error FROM geofences.dead_letters WHERE :tenant > 0", mixed) == []
        assert len(expected) > TRACES / 2
        assert found == expected
        assert _rows(town, FLAGS, mixed) == _rows(town, FLAGS, plain)
        assert corrections
        assert all(told == explained for _, told, explained in corrections)

        Decider(database=town.database, catalogue=Catalogue()).work()
        decided = "SELECT count(*), count(DISTINCT (campaign_id, device_id, root_visit_id, trigger_type))"
        for tenant_id in tenants.values():
            made, distinct = _rows(town, f"{decided} FROM offers.decisions WHERE tenant_id = :tenant", tenant_id)[0]
            assert made == distinct > 0
