"""Stores and fences in Postgres: upsert by external id; cover cells, versions and change rows in one transaction."""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from geoalchemy2 import WKBElement, WKTElement

from geofences.cover import cover
from geofences.index import cell_of
from geofences.model import Area, Circle, FenceId, FenceKind, LatLng, StoreId, TenantId
from geofences.store import announce
from geofences.tables import ChangeKind, fence_cells, fence_versions, fences, stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CHUNK = 2_000
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""When fences of a sandbox tenant take effect: its data has a clock of its own."""


class Upsert(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInput:
    """A store as its tenant describes it."""

    external_id: str
    name: str
    location: LatLng
    timezone: str
    brand: str | None = None
    categories: tuple[str, ...] = ()
    address: str | None = None
    phone: str | None = None
    url: str | None = None
    opening_hours: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceInput:
    """A fence as its tenant describes it; `settings` override single values of the profile."""

    external_id: str
    kind: FenceKind
    shape: Circle | Area
    profile: str
    settings: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    store_id: StoreId | None = None


def _hash(value: object) -> bytes:
    return blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=16).digest()


def put_stores(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    rows: Sequence[StoreInput],
    now: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, tuple[StoreId, Upsert]]:
    """Upserts by external id, which must be distinct within `rows`. A deleted store comes back."""
    done: dict[str, tuple[StoreId, Upsert]] = {}
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        done |= _put_store_chunk(connection, tenant_id, chunk, now)
        progress(len(chunk))
    touched = [store_id for store_id, outcome in done.values() if outcome is not Upsert.UNCHANGED]
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.STORE, object_ids=touched, effective_at=now)
    return done


def _put_store_chunk(
    connection: sa.Connection, tenant_id: TenantId, rows: Sequence[StoreInput], now: datetime
) -> dict[str, tuple[StoreId, Upsert]]:
    known = {
        row.external_id: row
        for row in connection.execute(
            sa.select(stores.c.external_id, stores.c.store_id, stores.c.content_hash, stores.c.deleted_at).where(
                stores.c.tenant_id == tenant_id, stores.c.external_id.in_([row.external_id for row in rows])
            )
        )
    }
    done: dict[str, tuple[StoreId, Upsert]] = {}
    new, changed = [], []
    for row in rows:
        values = _store_values(tenant_id, row, now)
        before = known.get(row.external_id)
        if before is None:
            new.append(values)
        elif before.deleted_at is None and before.content_hash == values["content_hash"]:
            done[row.external_id] = (StoreId(before.store_id), Upsert.UNCHANGED)
        else:
            changed.append({**values, "key": before.store_id})
            done[row.external_id] = (StoreId(before.store_id), Upsert.UPDATED)
    if new:
        inserted = connection.execute(sa.insert(stores).returning(stores.c.external_id, stores.c.store_id), new)
        done |= {row.external_id: (StoreId(row.store_id), Upsert.CREATED) for row in inserted}
    if changed:
        columns: dict[str, Any] = {name: sa.bindparam(name) for name in changed[0] if name not in {"key", "location"}}
        statement = sa.update(stores).where(stores.c.store_id == sa.bindparam("key"))
        connection.execute(statement.values(**columns, location=sa.bindparam("location"), deleted_at=None), changed)
    return done


def _store_values(tenant_id: TenantId, row: StoreInput, now: datetime) -> dict[str, Any]:
    at = row.location
    return {
        "tenant_id": tenant_id,
        "external_id": row.external_id,
        "name": row.name,
        "brand": row.brand,
        "categories": list(row.categories),
        "address": row.address,
        "phone": row.phone,
        "url": row.url,
        "timezone": row.timezone,
        "opening_hours": row.opening_hours,
        "attributes": dict(row.attributes),
        "location": WKTElement(f"POINT({at.lng!r} {at.lat!r})", srid=4326),
        "cell_r7": cell_of(at, 7),
        "cell_r9": cell_of(at, 9),
        "content_hash": _hash(asdict(row)),
        "updated_at": now,
    }


def put_fences(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    rows: Sequence[FenceInput],
    now: datetime,
    effective_at: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, tuple[FenceId, Upsert]]:
    """Upserts by external id; a change makes a new version that takes over at `effective_at`.

    In a sandbox tenant pass `ALWAYS`: a fence there judges the past too.
    """
    done: dict[str, tuple[FenceId, Upsert]] = {}
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        done |= _put_fence_chunk(connection, tenant_id, chunk, now, effective_at)
        progress(len(chunk))
    touched = [fence_id for fence_id, outcome in done.values() if outcome is not Upsert.UNCHANGED]
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.FENCE, object_ids=touched, effective_at=effective_at)
    return done


def _put_fence_chunk(
    connection: sa.Connection, tenant_id: TenantId, rows: Sequence[FenceInput], now: datetime, effective_at: datetime
) -> dict[str, tuple[FenceId, Upsert]]:
    current = fence_versions.alias()
    known = {
        row.external_id: row
        for row in connection.execute(
            sa.select(
                fences.c.external_id, fences.c.fence_id, fences.c.version, fences.c.deleted_at, current.c.content_hash
            )
            .join_from(
                fences,
                current,
                sa.and_(current.c.fence_id == fences.c.fence_id, current.c.version == fences.c.version),
            )
            .where(fences.c.tenant_id == tenant_id, fences.c.external_id.in_([row.external_id for row in rows]))
            .with_for_update(of=fences)
        )
    }
    done: dict[str, tuple[FenceId, Upsert]] = {}
    new, versions, replaced = [], [], []
    for row in rows:
        content = _fence_hash(row)
        before = known.get(row.external_id)
        if before is None:
            new.append(row)
        elif before.deleted_at is None and before.content_hash == content:
            done[row.external_id] = (FenceId(before.fence_id), Upsert.UNCHANGED)
        else:
            done[row.external_id] = (FenceId(before.fence_id), Upsert.UPDATED)
            replaced.append(
                {
                    "key": before.fence_id,
                    "new_version": before.version + 1,
                    "name": row.name,
                    "store_id": row.store_id,
                    "updated_at": now,
                }
            )
            versions.append((FenceId(before.fence_id), before.version + 1, row, content))
    if new:
        inserted = connection.execute(
            sa.insert(fences).returning(fences.c.external_id, fences.c.fence_id),
            [
                {
                    "tenant_id": tenant_id,
                    "external_id": row.external_id,
                    "name": row.name,
                    "store_id": row.store_id,
                    "version": 1,
                }
                for row in new
            ],
        )
        ids = {row.external_id: FenceId(row.fence_id) for row in inserted}
        done |= {external_id: (fence_id, Upsert.CREATED) for external_id, fence_id in ids.items()}
        versions.extend((ids[row.external_id], 1, row, _fence_hash(row)) for row in new)
    if replaced:
        _end_versions(connection, [row["key"] for row in replaced], effective_at)
        connection.execute(
            sa.update(fences)
            .where(fences.c.fence_id == sa.bindparam("key"))
            .values(
                version=sa.bindparam("new_version"),
                name=sa.bindparam("name"),
                store_id=sa.bindparam("store_id"),
                updated_at=sa.bindparam("updated_at"),
                deleted_at=None,
            ),
            replaced,
        )
    _insert_versions(connection, tenant_id, versions, effective_at)
    return done


def _fence_hash(row: FenceInput) -> bytes:
    shape = row.shape
    packed = (
        struct.pack("<3d", shape.center.lat, shape.center.lng, shape.radius_m)
        if isinstance(shape, Circle)
        else shape.wkb
    )
    return _hash([packed.hex(), row.kind, row.profile, dict(row.settings), row.name, row.store_id])


def _end_versions(connection: sa.Connection, fence_ids: Sequence[int], effective_at: datetime) -> None:
    """Ends the versions in force; one that was to start later than that never starts."""
    connection.execute(
        sa.update(fence_versions)
        .where(fence_versions.c.fence_id.in_(fence_ids), fence_versions.c.ended_at.is_(None))
        .values(ended_at=sa.func.greatest(fence_versions.c.effective_at, effective_at))
    )


def _insert_versions(
    connection: sa.Connection,
    tenant_id: TenantId,
    versions: Iterable[tuple[FenceId, int, FenceInput, bytes]],
    effective_at: datetime,
) -> None:
    rows: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for fence_id, version, fence, content in versions:
        shape = fence.shape
        is_circle = isinstance(shape, Circle)
        rows.append(
            {
                "fence_id": fence_id,
                "version": version,
                "tenant_id": tenant_id,
                "kind": fence.kind,
                "center": WKTElement(f"POINT({shape.center.lng!r} {shape.center.lat!r})", srid=4326)
                if isinstance(shape, Circle)
                else None,
                "radius_m": shape.radius_m if isinstance(shape, Circle) else None,
                "area": None if isinstance(shape, Circle) else WKBElement(shape.wkb, srid=4326),
                "profile": fence.profile,
                "settings": dict(fence.settings),
                "content_hash": content,
                "effective_at": effective_at,
            }
        )
        assert is_circle == (fence.kind is FenceKind.CIRCLE)
        cells.extend(
            {"fence_id": fence_id, "version": version, "cell": cell, "tenant_id": tenant_id} for cell in cover(shape)
        )
    if rows:
        connection.execute(sa.insert(fence_versions), rows)
        connection.execute(sa.insert(fence_cells), cells)


def delete_fences(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    fence_ids: Sequence[FenceId],
    now: datetime,
    effective_at: datetime,
) -> int:
    """Ends the fences at `effective_at`; whoever is inside leaves with `fence_changed`. Answers how many there were."""
    deleted = (
        connection.execute(
            sa.update(fences)
            .where(fences.c.tenant_id == tenant_id, fences.c.fence_id.in_(fence_ids), fences.c.deleted_at.is_(None))
            .values(deleted_at=now)
            .returning(fences.c.fence_id)
        )
        .scalars()
        .all()
    )
    _end_versions(connection, deleted, effective_at)
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.FENCE, object_ids=deleted, effective_at=effective_at)
    return len(deleted)


def delete_stores(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    store_ids: Sequence[StoreId],
    now: datetime,
    effective_at: datetime,
) -> int:
    """Deletes stores together with their fences."""
    deleted = (
        connection.execute(
            sa.update(stores)
            .where(stores.c.tenant_id == tenant_id, stores.c.store_id.in_(store_ids), stores.c.deleted_at.is_(None))
            .values(deleted_at=now)
            .returning(stores.c.store_id)
        )
        .scalars()
        .all()
    )
    of_store = connection.execute(sa.select(fences.c.fence_id).where(fences.c.store_id.in_(deleted))).scalars().all()
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.STORE, object_ids=deleted, effective_at=now)
    delete_fences(
        connection,
        tenant_id=tenant_id,
        fence_ids=[FenceId(fence_id) for fence_id in of_store],
        now=now,
        effective_at=effective_at,
    )
    return len(deleted)
