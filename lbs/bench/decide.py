"""Deciding, measured: events that wait in Postgres until decisions with all their reasons are committed.

The floor, from the same run, is bare inserts of the very rows that the decider wrote: decisions, reservations and
messages, in transactions of the same size, with nothing asked and nothing counted. What the reasons cost is the time to
encode them and the difference between the floor with and without them. Workload: seeded; 20,000 devices, a quarter of
which share their owner with another, enter 500 stores in every zone a chain may have, where one campaign waits with
every gate there is and one with a cap only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import sqlalchemy as sa
from psycopg2.extras import execute_values

from geofences.ids import stable_id
from geofences.model import SHARDS, Circle, EventType, FenceKind, LatLng
from geofences.places import ALWAYS, FenceInput, StoreInput, put_fences, put_stores
from geofences.store import device_id_for
from lbs import clock
from lbs.bench.ingest import put_devices
from lbs.connections import Role, database
from offers import decisions, explain, ledger, messages, rows
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.store import create_campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geofences.model import FenceId, StoreId
    from lbs.bench.home import BenchHome
    from offers.model import DecisionId

DEVICES: Final = 20_000
STORES: Final = 500
ROUNDS: Final = 3
SAMPLED: Final = 20
"""Every so many answers are kept for a look."""
CHECKED: Final = 200
SEED: Final = 20_261_123
ZONES: Final = ("Europe/Helsinki", "Europe/Lisbon", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe")
EVERY_GATE: Final[dict[str, Any]] = {
    "audience": {"any": [{"attribute": "tier", "one_of": ["gold", "silver"]}, {"attribute": "visits", "at_least": 3}]},
    "windows": {"weekly": [{"days": ["mo", "tu", "we", "th", "fr", "sa", "su"], "start": "00:00", "end": "24:00"}]},
    "quiet_hours": {"policy": "inbox_only", "times": {"start": "22:00", "end": "07:00"}},
    "caps": [{"per": "campaign", "count": 1, "window_s": 86_400}, {"per": "all", "count": 4, "days": 7}],
    "cool_down_s": 60,
    "holdout_share": 0.1,
    "stock": 1_000_000,
    "budget": {"currency": "EUR", "total": 50_000_000, "per_day": 25_000_000},
    "offer": {"kind": "amount", "value": 5, "currency": "EUR"},
}
TABLES: Final = {
    "decisions": decisions.DECISION_COLUMNS,
    "reservations": ledger.RESERVATION_COLUMNS,
    "notifications": messages.NOTIFICATION_COLUMNS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    stores: list[tuple[StoreId, FenceId]]
    campaign_ids: list[int]


def run(home: BenchHome, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Medians of rounds; every round decides the same events anew."""
    put_devices(home, DEVICES)
    engine = database(home.settings, Role.SYSTEM)
    town = _build(engine, home)
    found: list[dict[str, float]] = []
    for number in range(ROUNDS):
        _put_events(engine, home, town, number)
        rates = _round(engine)
        found.append(rates)
        say(
            f"round {number + 1}: {rates['decisions_per_s']:,.0f} decisions/s, bare inserts"
            f" {rates['bare_inserts_per_s']:,.0f}, reasons {rates['reasons_share']:.1%}"
        )
    result: dict[str, Any] = {name: median(rates[name] for rates in found) for name in found[0]}
    result |= {"events": DEVICES, "stores": STORES, "campaigns": 2, "outcomes": _outcomes(engine)}
    engine.dispose()
    return result


def _build(engine: sa.Engine, home: BenchHome) -> Town:
    rng = np.random.default_rng(SEED)
    places = [LatLng(lat=float(lat), lng=float(lng)) for lat, lng in rng.uniform((-60, -170), (70, 170), (STORES, 2))]
    now = clock.now()
    with engine.begin() as connection:
        shops = [
            StoreInput(external_id=f"s{i}", name=f"Shop {i}", location=place, timezone=ZONES[i % len(ZONES)])
            for i, place in enumerate(places)
        ]
        stores = put_stores(connection, tenant_id=home.tenant_id, rows=shops, now=now)
        fences = [
            FenceInput(
                external_id=f"s{i}",
                kind=FenceKind.CIRCLE,
                profile="plain",
                store_id=stores[f"s{i}"][0],
                shape=Circle(center=place, radius_m=100.0),
            )
            for i, place in enumerate(places)
        ]
        put_fences(connection, tenant_id=home.tenant_id, rows=fences, now=now, effective_at=ALWAYS)
        pairs = connection.execute(
            sa.text("SELECT store_id, fence_id FROM geofences.fences WHERE tenant_id = :tenant_id ORDER BY fence_id"),
            {"tenant_id": home.tenant_id},
        ).all()
        connection.execute(
            sa.text(
                "UPDATE geofences.devices SET attributes = jsonb_build_object('tier', (ARRAY['gold', 'silver', 'tin'])"
                "[1 + abs(device_id % 3)], 'visits', abs(device_id % 7)),"
                " timezone = CASE WHEN device_id % 2 = 0 THEN 'Asia/Tokyo' END,"
                " external_user_id = CASE WHEN device_id % 4 = 0 THEN 'u' || (device_id % 1000) END,"
                " user_vouched = true"
            )
        )
        campaign_ids = [_campaign(connection, home, more) for more in (EVERY_GATE, {"caps": [{"count": 100}]})]
    return Town(stores=[(row.store_id, row.fence_id) for row in pairs], campaign_ids=campaign_ids)


def _campaign(connection: sa.Connection, home: BenchHome, more: dict[str, Any]) -> int:
    plain = {"name": "bench", "offer": {"kind": "other"}, "creatives": [{"title": "At {store}"}]}
    definition = CampaignDefinition.model_validate(plain | more)
    tenant_id, now = home.tenant_id, clock.now()
    campaign_id = create_campaign(connection, tenant_id=tenant_id, definition=definition, created_by="bench", now=now)
    for move in ("submit", "approve"):
        move_campaign(connection, tenant_id=tenant_id, campaign_id=campaign_id, move=move, actor="bench", now=now)
    return campaign_id


def _put_events(engine: sa.Engine, home: BenchHome, town: Town, number: int) -> None:
    """One event a device, as the engine would have written it, in every shard; nothing is decided of it yet."""
    rng = np.random.default_rng([SEED, number])
    now = clock.now() + timedelta(minutes=5 * number)
    events = []
    seqs = [0] * SHARDS
    with engine.begin() as connection:
        for shard, seq in connection.execute(sa.text("SELECT shard, seq FROM geofences.shards")):
            seqs[shard] = seq
        for i, place in enumerate(rng.integers(0, STORES, DEVICES)):
            device_id = device_id_for(home.tenant_id, f"d{i}")
            store_id, fence_id = town.stores[place]
            shard = device_id % SHARDS
            seqs[shard] += 1
            visit = stable_id(b"visit", device_id, number)
            at = now - timedelta(seconds=float(rng.uniform(0, 20)))
            events.append(
                (stable_id(b"event", visit), home.tenant_id, shard, seqs[shard], EventType.ENTERED, device_id, fence_id,
                 store_id, visit, visit, at, now, now, 0.97, False)
            )  # fmt: skip
        execute_values(
            connection.connection.cursor(),
            "INSERT INTO geofences.events (event_id, tenant_id, shard, seq, type, device_id, fence_id, store_id,"
            " visit_id, root_visit_id, at, clock, received_at, confidence, already_inside) VALUES %s",
            events,
            page_size=1_000,
        )
        for shard, seq in enumerate(seqs):
            connection.execute(
                sa.text("UPDATE geofences.shards SET seq = :seq WHERE shard = :shard"), {"shard": shard, "seq": seq}
            )


def _round(engine: sa.Engine) -> dict[str, float]:
    """Decides what waits, checks the answers, then inserts the same rows barely, with and without reasons."""
    ids: list[DecisionId] = []
    sample: list[decisions.Answer] = []
    sizes: list[int] = []

    def note(answers: Sequence[decisions.Answer]) -> None:
        # of all answers only a few are kept: the worker keeps none, and so many would occupy the garbage collector
        sizes.append(len(answers))
        ids.extend(answer.question.decision_id for answer in answers)
        sample.extend(answers[::SAMPLED])

    decider = Decider(database=engine, catalogue=Catalogue())
    begun_s = time.perf_counter()
    decider.work(note)
    decided_s = time.perf_counter() - begun_s
    _check(engine, sample)
    begun_s = time.perf_counter()
    for answer in sample:
        decisions.encode_gates(answer.decision)
        msgspec.json.encode(answer.facts)
    encode_s = (time.perf_counter() - begun_s) * len(ids) / len(sample)
    with_s, without_s = _insert_again(engine, ids, parts=len(sizes))
    return {
        "decisions_per_s": len(ids) / decided_s,
        "bare_inserts_per_s": len(ids) / with_s,
        "of_bare_inserts": with_s / decided_s,
        "reasons_share": (encode_s + with_s - without_s) / decided_s,
    }


def _check(engine: sa.Engine, made: Sequence[decisions.Answer]) -> None:
    """No time is told before a sample of what was stored, asked again, says the same to the bit."""
    with engine.connect() as connection:
        for answer in made[:: max(1, len(made) // CHECKED)]:
            moment = answer.question.moment
            found = explain.stored(
                connection,
                campaign_id=answer.question.campaign.campaign_id,
                device_id=moment.device_id,
                limit=1,
            )
            assert found[0].reproduced, f"a stored decision says something else when asked again: {found[0]}"


def _insert_again(engine: sa.Engine, ids: list[DecisionId], *, parts: int) -> tuple[float, float]:
    """Seconds to insert the rows of these decisions into the emptied tables: with their reasons, and without."""
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.begin() as connection:
        for table, columns in TABLES.items():
            statement = (
                f"SELECT to_json(r)::text FROM (SELECT {', '.join(columns)} FROM offers.{table}"  # noqa: S608
                " WHERE decision_id = ANY(:ids) ORDER BY decision_id) AS r"
            )
            texts = connection.execute(sa.text(statement), {"ids": ids}).scalars()
            found[table] = [msgspec.json.decode(text) for text in texts]
    timed = []
    for keep in (True, False):
        with engine.begin() as connection:
            for table in TABLES:
                statement = f"DELETE FROM offers.{table} WHERE decision_id = ANY(:ids)"  # noqa: S608
                connection.execute(sa.text(statement), {"ids": ids})
        timed.append(_insert(engine, found, parts=parts, keep=keep))
    return timed[0], timed[1]


def _insert(engine: sa.Engine, found: dict[str, list[dict[str, Any]]], *, parts: int, keep: bool) -> float:
    """In as many transactions as the decider had, and by its own statement."""
    batches = [
        {
            table: [
                row if keep or table != "decisions" else {**row, "gates": [], "facts": {}} for row in mine[part::parts]
            ]
            for table, mine in found.items()
        }
        for part in range(parts)
    ]
    begun_s = time.perf_counter()
    for batch in batches:
        with engine.begin() as connection:
            for table, columns in TABLES.items():
                rows.insert(connection, f"offers.{table}", columns, batch[table])
    return time.perf_counter() - begun_s


def _outcomes(engine: sa.Engine) -> dict[str, int]:
    statement = "SELECT outcome || coalesce(': ' || reason, ''), count(*) FROM offers.decisions GROUP BY 1 ORDER BY 1"
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.text(statement))}
