"""The snapshot of all fences in memory, kept in step with Postgres by numbered changes.

If Postgres is away the snapshot stays as it was and says how old it is; nothing is rebuilt when it comes back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from geofences.index import FenceIndex
from geofences.model import (
    FOREVER_US,
    PROFILES,
    Area,
    Cell,
    Circle,
    Fence,
    FenceId,
    FenceKind,
    LatLng,
    Profile,
    StoreId,
    TenantId,
)
from geofences.sql import queries
from geofences.tables import ChangeKind
from geofences.visits import to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

HORIZON = timedelta(hours=24)


def profile_of(name: str, settings: Mapping[str, float]) -> Profile:
    return replace(PROFILES[name], **settings)


def load_fences(
    connection: sa.Connection, *, horizon_at: datetime, fence_ids: Sequence[int] | None = None
) -> Iterator[Fence]:
    """Every fence version that can still judge a position, streamed."""
    rows = connection.execution_options(yield_per=5_000).execute(
        queries("geofences")["fence_versions"],
        {"horizon_at": horizon_at, "fence_ids": None if fence_ids is None else list(fence_ids)},
    )
    return (_fence(row) for row in rows)


def _fence(row: Any) -> Fence:
    shape: Circle | Area = (
        Circle(center=LatLng(lat=row.lat, lng=row.lng), radius_m=row.radius_m)
        if row.kind == FenceKind.CIRCLE
        else Area(wkb=bytes(row.wkb))
    )
    return Fence(
        fence_id=FenceId(row.fence_id),
        version=row.version,
        tenant_id=TenantId(row.tenant_id),
        shape=shape,
        profile=profile_of(row.profile, row.settings),
        cells=tuple(Cell(cell) for cell in row.cells),
        store_id=None if row.store_id is None else StoreId(row.store_id),
        external_id=row.external_id,
        valid_from_us=to_us(row.effective_at),
        valid_to_us=FOREVER_US if row.ended_at is None else to_us(row.ended_at),
    )


class FenceSnapshot:
    """An index and the number of the newest change in it. One writer; readers use `index` from any thread."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self.index = FenceIndex()
        self.number = 0
        self._now = now

    def load(self, connection: sa.Connection) -> None:
        """All fences. The number is read first: what changes meanwhile is applied again, which does no harm."""
        self.number = connection.execute(queries("geofences")["newest_change"]).scalar_one()
        for fence in load_fences(connection, horizon_at=self._now() - HORIZON):
            self._put(fence)
        self.index.finish()

    def is_behind(self, connection: sa.Connection) -> bool:
        """Whether `poll` would find anything new."""
        return bool(connection.execute(queries("geofences")["newest_change"]).scalar_one() > self.number)

    def poll(self, connection: sa.Connection) -> list[tuple[FenceId, int]]:
        """Applies what is new; answers which fences change, and when (microseconds)."""
        changes = connection.execute(queries("geofences")["changes_after"], {"number": self.number}).all()
        if not changes:
            return []
        fence_ids = sorted({row.object_id for row in changes if row.kind == ChangeKind.FENCE})
        if fence_ids:
            for fence in load_fences(connection, horizon_at=self._now() - HORIZON, fence_ids=fence_ids):
                self._put(fence)
        self.number = changes[-1].number
        return [(FenceId(row.object_id), to_us(row.effective_at)) for row in changes if row.kind == ChangeKind.FENCE]

    def forget_old_versions(self) -> None:
        self.index.forget_before(to_us(self._now() - HORIZON))

    def _put(self, fence: Fence) -> None:
        if self.index.slot_of(fence.fence_id, fence.version) is None:
            self.index.add(fence)
        elif fence.valid_to_us != FOREVER_US:
            self.index.close(fence.fence_id, fence.version, fence.valid_to_us)
