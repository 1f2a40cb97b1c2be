"""The ledger in Postgres: what the engine reads when it takes a shard over, and what it commits.

All effects of a batch are one transaction together with the shards' offsets: if it fails or the process dies, nothing
of it happened, and the log still holds the entries. Runs as the system role: it sets `tenant_id` itself.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg2.extras import execute_values

from geofences.errors import LostShardError
from geofences.model import DeviceId, EndedBy, FenceId, Flag, Shard, StoreId, TenantId, VisitId, VisitStatus
from geofences.sql import queries
from geofences.tracker import Event, Visit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy as sa

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_EVENTS_CHANNEL = "lbs_events"

Identity: TypeAlias = "tuple[int, int, float, float, float | None, bool]"
"""What makes two positions of one device the same: device, recorded_us, lat, lng, accuracy_m, mocked."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPosition:
    """One row for `positions`, and for the look-up of duplicates."""

    tenant_id: TenantId
    device_id: DeviceId
    recorded_us: int
    received_us: int
    lat: float
    lng: float
    accuracy_m: float | None
    speed_mps: float | None
    flags: Flag

    def flagged(self, flags: Flag) -> StoredPosition:
        return self if flags == self.flags else replace(self, flags=flags)

    @property
    def identity(self) -> Identity:
        return (self.device_id, self.recorded_us, self.lat, self.lng, self.accuracy_m, Flag.MOCKED in self.flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedEvent:
    seq: int
    clock_us: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    tenant_id: TenantId
    device_id: DeviceId
    cell_r9: int
    lat: float
    lng: float
    seen_us: int


@dataclass(slots=True, kw_only=True)
class Effects:
    """Everything one batch of one shard does to the database."""

    shard: Shard
    before: ShardPlace
    offset: str
    positions: list[StoredPosition] = field(default_factory=list)
    visits: dict[VisitId, Visit] = field(default_factory=dict)
    events: list[NumberedEvent] = field(default_factory=list)
    last_seen: dict[DeviceId, LastSeen] = field(default_factory=dict)
    dead: list[tuple[str, bytes, str]] = field(default_factory=list)
    """Entries that failed three times: id, payload, error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What the engine has to know of a device when it first meets it."""

    tenant_id: TenantId
    sandbox: bool
    """Of a sandbox tenant: follows its replay's clock."""
    consented: bool
    newest_us: int | None
    """Time of the newest position of any kind."""
    good: tuple[int, float, float] | None
    """Time and place of the newest good position."""
    suspects: tuple[tuple[int, float, float], ...]
    """Positions since then that were flagged for an impossible speed, oldest first."""


def commit(connection: sa.Connection, batch: Sequence[Effects]) -> None:
    """Writes the effects of several shards in the caller's transaction; LostShardError if one is no longer ours."""
    cursor = connection.connection.cursor()
    for effects in sorted(batch, key=lambda e: e.shard):
        _advance(cursor, effects)
    _copy_positions(cursor, [position for effects in batch for position in effects.positions])
    _write_visits(cursor, [(effects.shard, visit) for effects in batch for visit in effects.visits.values()])
    _copy_events(cursor, [(effects.shard, event) for effects in batch for event in effects.events])
    _write_last_seen(cursor, [seen for effects in batch for seen in effects.last_seen.values()])
    dead = [(effects.shard, *letter) for effects in batch for letter in effects.dead]
    if dead:
        execute_values(
            cursor,
            "INSERT INTO geofences.dead_letters (shard, entry_id, payload, error) VALUES %s ON CONFLICT DO NOTHING",
            dead,
        )
    if any(effects.events for effects in batch):
        cursor.execute(f"NOTIFY {NEW_EVENTS_CHANNEL}")


def _advance(cursor: Any, effects: Effects) -> None:
    cursor.execute(
        'UPDATE geofences.shards SET "offset" = %s, seq = %s WHERE shard = %s AND epoch = %s AND "offset" = %s',
        (
            effects.offset,
            effects.before.seq + len(effects.events),
            effects.shard,
            effects.before.epoch,
            effects.before.offset,
        ),
    )
    if cursor.rowcount != 1:
        raise LostShardError(f"shard {effects.shard} moved on without this engine")


def _copy(cursor: Any, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    buffer = io.StringIO()
    for row in rows:
        buffer.write("\t".join("\\N" if value is None else str(value) for value in row))
        buffer.write("\n")
    buffer.seek(0)
    cursor.copy_expert(f"COPY geofences.{table} ({columns}) FROM STDIN", buffer)


def _copy_positions(cursor: Any, positions: list[StoredPosition]) -> None:
    if positions:
        _copy(
            cursor,
            "positions",
            "tenant_id, device_id, recorded_at, received_at, lat, lng, accuracy_m, speed_mps, flags",
            (
                (
                    p.tenant_id,
                    p.device_id,
                    to_datetime(p.recorded_us),
                    to_datetime(p.received_us),
                    repr(p.lat),
                    repr(p.lng),
                    p.accuracy_m,
                    p.speed_mps,
                    int(p.flags),
                )
                for p in positions
            ),
        )


def _copy_events(cursor: Any, events: list[tuple[Shard, NumberedEvent]]) -> None:
    if events:
        _copy(
            cursor,
            "events",
            "event_id, tenant_id, shard, seq, type, device_id, fence_id, store_id, visit_id, root_visit_id, at, clock,"
            " received_at, confidence, already_inside",
            (
                (
                    numbered.event.event_id,
                    visit.tenant_id,
                    shard,
                    numbered.seq,
                    numbered.event.type,
                    visit.device_id,
                    visit.fence_id,
                    visit.store_id,
                    visit.visit_id,
                    visit.visit_id,
                    to_datetime(numbered.event.at_us),
                    to_datetime(numbered.clock_us),
                    None if numbered.event.received_us is None else to_datetime(numbered.event.received_us),
                    repr(visit.confidence),
                    "t" if visit.already_inside else "f",
                )
                for shard, numbered in events
                for visit in (numbered.event.visit,)
            ),
        )


VISIT_COLUMNS = (
    "visit_id, tenant_id, shard, device_id, fence_id, fence_version, store_id, root_visit_id, status, entered_at,"
    " last_in_at, out_since, exited_at, dwelled_at, dwell_waits, dwell_s, ended_by, already_inside, positions,"
    " confidence"
)


def _write_visits(cursor: Any, visits: list[tuple[Shard, Visit]]) -> None:
    nothing = [visit.visit_id for _, visit in visits if visit.status is VisitStatus.RETRACTED]
    if nothing:
        cursor.execute("DELETE FROM geofences.visits WHERE visit_id = ANY(%s) AND status = 'candidate'", (nothing,))
    rows = [_visit_row(shard, visit) for shard, visit in visits if visit.status is not VisitStatus.RETRACTED]
    if rows:
        execute_values(
            cursor,
            f"INSERT INTO geofences.visits ({VISIT_COLUMNS}) VALUES %s"  # noqa: S608 - our own constant
            " ON CONFLICT (visit_id) DO UPDATE SET"
            " fence_version = EXCLUDED.fence_version, status = EXCLUDED.status, last_in_at = EXCLUDED.last_in_at,"
            " out_since = EXCLUDED.out_since, exited_at = EXCLUDED.exited_at, dwelled_at = EXCLUDED.dwelled_at,"
            " dwell_waits = EXCLUDED.dwell_waits, dwell_s = EXCLUDED.dwell_s, ended_by = EXCLUDED.ended_by,"
            " positions = EXCLUDED.positions, confidence = EXCLUDED.confidence",
            rows,
            page_size=1000,
        )


def _visit_row(shard: Shard, visit: Visit) -> tuple[object, ...]:
    def at(us: int | None) -> datetime | None:
        return None if us is None else to_datetime(us)

    return (
        visit.visit_id,
        visit.tenant_id,
        shard,
        visit.device_id,
        visit.fence_id,
        visit.fence_version,
        visit.store_id,
        visit.visit_id,
        visit.status,
        at(visit.entered_us),
        at(visit.last_in_us),
        at(visit.out_since_us),
        at(visit.exited_us),
        at(visit.dwelled_us),
        visit.dwell_waits,
        None if visit.exited_us is None else (visit.exited_us - visit.entered_us) / 1e6,
        visit.ended_by,
        visit.already_inside,
        visit.positions,
        visit.confidence,
    )


def _write_last_seen(cursor: Any, seen: list[LastSeen]) -> None:
    if seen:
        execute_values(
            cursor,
            "INSERT INTO geofences.device_last (device_id, tenant_id, cell_r9, lat, lng, seen_at) VALUES %s"
            " ON CONFLICT (device_id) DO UPDATE SET cell_r9 = EXCLUDED.cell_r9, lat = EXCLUDED.lat, lng = EXCLUDED.lng,"
            " seen_at = EXCLUDED.seen_at WHERE device_last.seen_at < EXCLUDED.seen_at",
            [(s.device_id, s.tenant_id, s.cell_r9, s.lat, s.lng, to_datetime(s.seen_us)) for s in seen],
            page_size=1000,
        )


def load_places(connection: sa.Connection) -> dict[Shard, ShardPlace]:
    rows = connection.execute(queries("geofences")["shard_places"])
    return {Shard(row.shard): ShardPlace(epoch=row.epoch, offset=row.offset, seq=row.seq) for row in rows}


def reset_place(connection: sa.Connection, shard: Shard) -> None:
    """After Redis lost its data: read the new stream from its start, under a new epoch."""
    connection.execute(queries("geofences")["reset_shard"], {"shard": shard})


def load_unfinished(connection: sa.Connection, shard: Shard) -> list[Visit]:
    """Candidate and open visits of a shard, as `tracker` holds them."""
    rows = connection.execute(queries("geofences")["unfinished_visits"], {"shard": shard})

    def us(at: datetime | None) -> int | None:
        return None if at is None else to_us(at)

    return [
        Visit(
            visit_id=VisitId(row.visit_id),
            tenant_id=TenantId(row.tenant_id),
            device_id=DeviceId(row.device_id),
            fence_id=FenceId(row.fence_id),
            fence_version=row.fence_version,
            store_id=None if row.store_id is None else StoreId(row.store_id),
            status=VisitStatus(row.status),
            entered_us=to_us(row.entered_at),
            last_in_us=to_us(row.last_in_at),
            out_since_us=us(row.out_since),
            exited_us=us(row.exited_at),
            dwelled_us=us(row.dwelled_at),
            dwell_waits=row.dwell_waits,
            ended_by=None if row.ended_by is None else EndedBy(row.ended_by),
            already_inside=row.already_inside,
            positions=row.positions,
            confidence=row.confidence,
        )
        for row in rows
    ]


def load_devices(connection: sa.Connection, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
    """Facts of the devices that exist; the others were erased, and their positions go nowhere."""
    rows = connection.execute(queries("geofences")["device_facts"], {"device_ids": list(device_ids)})
    return {
        DeviceId(row.device_id): DeviceFacts(
            tenant_id=TenantId(row.tenant_id),
            sandbox=row.sandbox,
            consented=row.consented,
            newest_us=None if row.newest_at is None else to_us(row.newest_at),
            good=None if row.good_at is None else (to_us(row.good_at), row.good_lat, row.good_lng),
            suspects=tuple(
                (to_us(at), lat, lng)
                for at, lat, lng in zip(row.suspect_at, row.suspect_lat, row.suspect_lng, strict=True)
            ),
        )
        for row in rows
    }


def known_identities(connection: sa.Connection, wanted: Sequence[tuple[DeviceId, int]]) -> set[Identity]:
    """Identities of stored positions of these (device, recorded_us), to tell a repeat from a late position."""
    rows = connection.execute(
        queries("geofences")["positions_at"],
        {
            "device_ids": [device for device, _ in wanted],
            "recorded_at": [to_datetime(us) for _, us in wanted],
        },
    )
    return {
        (
            row.device_id,
            to_us(row.recorded_at),
            row.lat,
            row.lng,
            None if row.accuracy_m is None else struct.unpack("f", struct.pack("f", row.accuracy_m))[0],
            Flag.MOCKED in Flag(row.flags),
        )
        for row in rows
    }
