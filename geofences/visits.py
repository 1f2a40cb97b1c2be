"""The ledger in Postgres: what the engine commits.

All effects of a batch are one transaction together with the shards' offsets: if it fails or the process dies, nothing
of it happened, and the log still holds the entries. Runs as the system role: it sets `tenant_id` itself.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from psycopg2.extras import execute_values

from geofences.batch import LAST_SEEN_RESOLUTION
from geofences.binary_copy import Column, binary_copy, times, words
from geofences.errors import LostShardError
from geofences.ids import event_id, visit_id
from geofences.index import cells_of
from geofences.model import SHARDS, EventType, Shard
from geofences.states import ENDINGS, EVENT_TYPES, MOMENT_DTYPE, NONE_US, STATUSES, Status, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from geofences.model import Int64s, Positions
    from geofences.states import Moments
    from geofences.tracking import Effects

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_EVENTS_CHANNEL = "lbs_events"
NO_STORE: Final = 0
FEW_ROWS: Final = 64
HEAT_RESOLUTION: Final = 10
"""Cells of about 130 m: the finest that foot traffic is told of."""


def to_datetime(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def to_us(at: datetime) -> int:
    """Exact: `timestamp()` would round through a float."""
    return (at - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """How far one shard has come."""

    epoch: int
    offset: str
    seq: int


def commit(connection: sa.Connection, effects: Effects, places: Mapping[Shard, ShardPlace]) -> dict[Shard, ShardPlace]:
    """Writes effects in the caller's transaction, and answers how far their shards have come then.

    `places` say how far they had come. LostShardError if one of them moved on without this engine.
    """
    cursor = connection.connection.cursor()
    moments = np.concatenate([np.empty(0, dtype=MOMENT_DTYPE), *effects.moments])
    told = np.flatnonzero(moments["told"] != Told.STATE)
    events = moments[told]
    shard = events["device_id"] % SHARDS
    happened = np.bincount(shard, minlength=SHARDS)
    moved = {
        shard: ShardPlace(epoch=places[shard].epoch, offset=offset, seq=places[shard].seq + int(happened[shard]))
        for shard, offset in effects.offsets.items()
    }
    _advance(cursor, places, moved)
    _copy_positions(cursor, effects.positions)
    _update_flags(cursor, effects.reflagged)
    _write_visits(cursor, _last_of_each(moments))
    if len(events):
        seq = _numbers(shard, {shard: place.seq for shard, place in places.items()})
        _write_events(cursor, events, seq, [effects.details.get(place) for place in told.tolist()])
        cursor.execute(f"NOTIFY {NEW_EVENTS_CHANNEL}")
    _write_last_seen(cursor, effects.seen)
    if effects.withdrawn_us:
        execute_values(
            cursor,
            "UPDATE geofences.consents AS c SET withdrawn_at = v.at FROM (VALUES %s) AS v (device_id, at)"
            " WHERE c.device_id = v.device_id AND c.purpose = 'location'",
            [(device_id, to_datetime(at_us)) for device_id, at_us in effects.withdrawn_us.items()],
        )
    if effects.dead:
        execute_values(
            cursor,
            "INSERT INTO geofences.dead_letters (shard, entry_id, payload, error) VALUES %s ON CONFLICT DO NOTHING",
            effects.dead,
        )
    return moved


def _advance(cursor: Any, before: Mapping[Shard, ShardPlace], after: Mapping[Shard, ShardPlace]) -> None:
    rows = [(shard, place.epoch, before[shard].offset, place.offset, place.seq) for shard, place in after.items()]
    execute_values(
        cursor,
        'UPDATE geofences.shards AS s SET "offset" = v.after, seq = v.seq'
        " FROM (VALUES %s) AS v (shard, epoch, before, after, seq)"
        ' WHERE s.shard = v.shard AND s.epoch = v.epoch AND s."offset" = v.before',
        sorted(rows),
        template="(%s::smallint, %s::integer, %s::text, %s::text, %s::bigint)",
        page_size=len(rows),
    )
    if cursor.rowcount != len(rows):
        raise LostShardError(f"one of the shards {sorted(after)} moved on without this engine")


def _copy(cursor: Any, table: str, columns: Sequence[Column]) -> None:
    names = ", ".join(column.name for column in columns)
    cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)", io.BytesIO(binary_copy(columns)))


def _upsert(cursor: Any, table: str, columns: Sequence[Column], on_conflict: str) -> None:
    """Inserts rows of which some may be there: a few as they are, many by a temporary table, which costs 2 ms."""
    names = ", ".join(column.name for column in columns)
    insert = f"INSERT INTO geofences.{table} ({names})"
    if len(columns[0].values) <= FEW_ROWS:
        rows = zip(*(column.python() for column in columns), strict=True)
        execute_values(cursor, f"{insert} VALUES %s {on_conflict}", list(rows))
        return
    cursor.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS changed_{table} (LIKE geofences.{table}) ON COMMIT DELETE ROWS"
    )
    _copy(cursor, f"pg_temp.changed_{table}", columns)
    cursor.execute(f"{insert} SELECT {names} FROM pg_temp.changed_{table} {on_conflict}")  # noqa: S608 - our own names


def _copy_positions(cursor: Any, parts: Sequence[Positions]) -> None:
    rows = [part for part in parts if len(part)]
    if not rows:
        return
    positions = np.concatenate(rows)
    _copy(
        cursor,
        "geofences.positions",
        [
            Column("tenant_id", ">i4", positions["tenant_id"]),
            Column("device_id", ">i8", positions["device_id"]),
            times("recorded_at", positions["recorded_us"]),
            times("received_at", positions["received_us"]),
            Column("lat", ">f8", positions["lat"]),
            Column("lng", ">f8", positions["lng"]),
            Column("accuracy_m", ">f4", positions["accuracy_m"], np.isnan(positions["accuracy_m"])),
            Column("speed_mps", ">f4", positions["speed_mps"], np.isnan(positions["speed_mps"])),
            Column("flags", ">i2", positions["flags"]),
        ],
    )


def _update_flags(cursor: Any, parts: Sequence[Positions]) -> None:
    for part in parts:
        for row in part.tolist():
            device_id, _, recorded_us, _, lat, lng, accuracy_m, _, flags = row
            cursor.execute(
                "UPDATE geofences.positions SET flags = %s WHERE device_id = %s AND recorded_at = %s AND lat = %s"
                " AND lng = %s AND accuracy_m IS NOT DISTINCT FROM %s::real AND flags & 1 = %s",
                (
                    flags,
                    device_id,
                    to_datetime(recorded_us),
                    lat,
                    lng,
                    None if np.isnan(accuracy_m) else accuracy_m,
                    flags & 1,
                ),
            )


def _last_of_each(moments: Moments) -> Moments:
    """The last moment of each visit."""
    if not len(moments):
        return moments
    keys = [moments[name] for name in ("entered_us", "fence_id", "device_id")]
    order = np.lexsort(keys)
    same = np.ones(len(order) - 1, dtype=np.bool_)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    return np.asarray(moments[order[np.append(~same, True)]])


def _visit_ids(moments: Moments) -> Int64s:
    keys = zip(*(moments[name].tolist() for name in ("tenant_id", "device_id", "fence_id", "entered_us")), strict=True)
    return np.fromiter((visit_id(*key) for key in keys), dtype=np.int64, count=len(moments))


def _write_visits(cursor: Any, visits: Moments) -> None:
    # a candidate that fell silent stays, retracted: a late position may still fill the silence
    dropped = (
        (visits["status"] == Status.RETRACTED) & (visits["told"] == Told.STATE) & (visits["settled_us"] == NONE_US)
    )
    nothing = visits[dropped]
    if len(nothing):
        cursor.execute(
            "DELETE FROM geofences.visits WHERE visit_id = ANY(%s) AND status = 'candidate'",
            (_visit_ids(nothing).tolist(),),
        )
    rows = visits[~dropped]
    if not len(rows):
        return
    columns = _visit_columns(rows)
    changes = ", ".join(f"{column.name} = EXCLUDED.{column.name}" for column in columns[1:])
    _upsert(cursor, "visits", columns, f"ON CONFLICT (visit_id) DO UPDATE SET {changes}")


def _visit_columns(rows: Moments) -> list[Column]:
    ids = _visit_ids(rows)
    closed = rows["exited_us"] != NONE_US
    return [
        Column("visit_id", ">i8", ids),
        Column("tenant_id", ">i4", rows["tenant_id"]),
        Column("shard", ">i2", rows["device_id"] % SHARDS),
        Column("device_id", ">i8", rows["device_id"]),
        Column("fence_id", ">i8", rows["fence_id"]),
        Column("fence_version", ">i4", rows["fence_version"]),
        Column("store_id", ">i8", rows["store_id"], rows["store_id"] == NO_STORE),
        Column("root_visit_id", ">i8", np.where(rows["root_id"] == 0, ids, rows["root_id"])),
        words("status", rows["status"], STATUSES),
        times("entered_at", rows["entered_us"]),
        times("last_in_at", rows["last_in_us"]),
        times("out_since", rows["out_since_us"], none_us=NONE_US),
        times("exited_at", rows["exited_us"], none_us=NONE_US),
        times("dwelled_at", rows["dwelled_us"], none_us=NONE_US),
        times("as_of", rows["as_of_us"]),
        times("settled_at", rows["settled_us"], none_us=NONE_US),
        Column("dwell_waits", ">i1", rows["dwell_waits"]),
        Column("dwell_s", ">f8", np.where(closed, (rows["exited_us"] - rows["entered_us"]) / 1e6, 0.0), ~closed),
        words("ended_by", rows["ended_by"], ENDINGS),
        Column("already_inside", ">i1", rows["already_inside"]),
        Column("positions", ">i4", rows["positions"]),
        Column("confidence", ">f8", rows["confidence"]),
    ]


def _numbers(shard: Int64s, last: Mapping[Shard, int]) -> Int64s:
    """Numbers for events in order, counting on in each shard."""
    order = np.argsort(shard, kind="stable")
    numbers = np.empty(len(shard), dtype=np.int64)
    begins = np.searchsorted(shard[order], np.arange(SHARDS))
    numbers[order] = np.arange(len(shard)) - begins[shard[order]] + 1
    return np.asarray(numbers + np.array([last.get(Shard(s), 0) for s in range(SHARDS)])[shard])


def _write_events(cursor: Any, events: Moments, seq: Int64s, details: Sequence[Mapping[str, Any] | None]) -> None:
    visit_ids = _visit_ids(events)
    ids = np.array(
        [
            event_id(type_, visit, at_us, corrected_us=None if detail is None else clock_us)
            for type_, visit, at_us, clock_us, detail in zip(
                [EventType(EVENT_TYPES[told] or "") for told in events["told"].tolist()],
                visit_ids.tolist(),
                events["at_us"].tolist(),
                events["clock_us"].tolist(),
                details,
                strict=True,
            )
        ],
        dtype=np.int64,
    )
    _copy(
        cursor,
        "geofences.events",
        [
            Column("event_id", ">i8", ids),
            Column("tenant_id", ">i4", events["tenant_id"]),
            Column("shard", ">i2", events["device_id"] % SHARDS),
            Column("seq", ">i8", seq),
            words("type", events["told"], EVENT_TYPES),
            Column("device_id", ">i8", events["device_id"]),
            Column("fence_id", ">i8", events["fence_id"]),
            Column("store_id", ">i8", events["store_id"], events["store_id"] == NO_STORE),
            Column("visit_id", ">i8", visit_ids),
            Column("root_visit_id", ">i8", np.where(events["root_id"] == 0, visit_ids, events["root_id"])),
            times("at", events["at_us"]),
            times("clock", events["clock_us"]),
            times("received_at", events["received_us"], none_us=NONE_US),
            Column("confidence", ">f8", events["confidence"]),
            Column("already_inside", ">i1", events["already_inside"]),
            _detail_column(details),
        ],
    )


def _detail_column(details: Sequence[Mapping[str, Any] | None]) -> Column:
    """The few jsonb values of corrections; the binary form of one is its version, 1, and its text."""
    known = [b"", *(b"\x01" + msgspec.json.encode(detail) for detail in details if detail is not None)]
    explained = np.array([detail is not None for detail in details])
    return Column("detail", "S", np.where(explained, np.cumsum(explained), 0), ~explained, tuple(known))


def _write_last_seen(cursor: Any, parts: Sequence[Positions]) -> None:
    """Where devices were last: of each device the newest of what was seen."""
    rows = [part for part in parts if len(part)]
    if not rows:
        return
    seen = np.concatenate(rows)
    seen = seen[np.argsort(seen["recorded_us"], kind="stable")[::-1]]
    seen = seen[np.unique(seen["device_id"], return_index=True)[1]]
    columns = [
        Column("device_id", ">i8", seen["device_id"]),
        Column("tenant_id", ">i4", seen["tenant_id"]),
        Column("cell_r9", ">i8", cells_of(seen["lat"], seen["lng"], LAST_SEEN_RESOLUTION)),
        Column("cell_r10", ">i8", cells_of(seen["lat"], seen["lng"], HEAT_RESOLUTION)),
        Column("lat", ">f8", seen["lat"]),
        Column("lng", ">f8", seen["lng"]),
        times("seen_at", seen["recorded_us"]),
    ]
    _upsert(
        cursor,
        "device_last",
        columns,
        "ON CONFLICT (device_id) DO UPDATE SET cell_r9 = EXCLUDED.cell_r9, cell_r10 = EXCLUDED.cell_r10,"
        " lat = EXCLUDED.lat, lng = EXCLUDED.lng, seen_at = EXCLUDED.seen_at"
        " WHERE device_last.seen_at < EXCLUDED.seen_at",
    )
