"""Stores and fences as the API reads them from Postgres: pages in order of ids, and single ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geofences.errors import NotFoundError
from geofences.model import Area, Cell, Circle, FenceId, FenceKind, LatLng, StoreId, TenantId
from geofences.tiling import spans_about
from lbs.memory import store_row
from lbs.sql import block

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.nearby import StoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFence:
    """The newest version of a fence."""

    fence_id: FenceId
    external_id: str
    name: str | None
    store_id: StoreId | None
    version: int
    shape: Circle | Area
    profile: str
    settings: Mapping[str, float]
    effective_at: datetime
    created_at: datetime
    updated_at: datetime


def stores_after(
    connection: sa.Connection,
    tenant_id: TenantId,
    *,
    after: int,
    limit: int,
    external_id: str | None = None,
    only: Collection[StoreId] | None = None,
) -> list[StoreRow]:
    """Stores in order of ids, those after `after`; with `only`, of these."""
    store_ids = None if only is None else sorted(only)
    return _stores(connection, tenant_id, after=after, limit=limit, external_id=external_id, store_ids=store_ids)


def get_store(connection: sa.Connection, tenant_id: TenantId, store_id: int) -> StoreRow:
    """NotFoundError if the tenant has no such store."""
    for store in _stores(connection, tenant_id, store_id=store_id):
        return store
    raise NotFoundError(f"no store {store_id}")


def fences_after(
    connection: sa.Connection,
    tenant_id: TenantId,
    *,
    after: int,
    limit: int,
    external_id: str | None = None,
    store_id: int | None = None,
    q: str | None = None,
) -> list[StoredFence]:
    """Fences in order of ids, those after `after`; with `q`, whose name or external id holds it."""
    return _fences(connection, tenant_id, after=after, limit=limit, external_id=external_id, store_id=store_id, q=q)


def fences_overlapping(
    connection: sa.Connection, tenant_id: TenantId, shape: Circle | Area, cells: Sequence[Cell], *, limit: int
) -> list[tuple[FenceId, str, str | None]]:
    """Id, external id and name of the fences that share some of the shape, which `cells` cover; the first of them."""
    spans = spans_about(cells)
    circle = shape if isinstance(shape, Circle) else None
    asked = {
        "lat": circle and circle.center.lat,
        "lng": circle and circle.center.lng,
        "radius_m": circle.radius_m if circle else 0.0,
        "wkb": None if isinstance(shape, Circle) else shape.wkb,
    }
    found = connection.execute(
        block("overlapping_fences"),
        {"tenant_id": tenant_id, "lows": spans.low, "highs": spans.high, "limit": limit, **asked},
    )
    return [(FenceId(row.fence_id), row.external_id, row.name) for row in found]


def get_fence(connection: sa.Connection, tenant_id: TenantId, fence_id: int) -> StoredFence:
    """NotFoundError if the tenant has no such fence."""
    for fence in _fences(connection, tenant_id, fence_id=fence_id):
        return fence
    raise NotFoundError(f"no fence {fence_id}")


def _stores(connection: sa.Connection, tenant_id: TenantId, **given: Any) -> list[StoreRow]:
    asked = {"after": 0, "limit": 1, "store_id": None, "store_ids": None, "external_id": None, **given}
    return [store_row(row) for row in connection.execute(block("stores_page"), {"tenant_id": tenant_id, **asked})]


def _fences(connection: sa.Connection, tenant_id: TenantId, **given: Any) -> list[StoredFence]:
    asked = {"after": 0, "limit": 1, "fence_id": None, "external_id": None, "store_id": None, "q": None, **given}
    return [_fence(row) for row in connection.execute(block("fences_page"), {"tenant_id": tenant_id, **asked})]


def _fence(row: Any) -> StoredFence:
    shape: Circle | Area = (
        Circle(center=LatLng(lat=row.lat, lng=row.lng), radius_m=row.radius_m)
        if row.kind == FenceKind.CIRCLE
        else Area(wkb=bytes(row.wkb))
    )
    return StoredFence(
        fence_id=FenceId(row.fence_id),
        external_id=row.external_id,
        name=row.name,
        store_id=None if row.store_id is None else StoreId(row.store_id),
        version=row.version,
        shape=shape,
        profile=row.profile,
        settings=row.settings,
        effective_at=row.effective_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
