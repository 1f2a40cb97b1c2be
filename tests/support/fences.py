"""Fences of one circle in Porto, and who is found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geofences.cover import cover
from geofences.geo import circle
from geofences.model import FOREVER_US, STANDARD, Circle, Fence, FenceId, LatLng, TenantId

if TYPE_CHECKING:
    from geofences.index import FenceIndex

PORTO = LatLng(lat=41.15, lng=-8.61)


def fence(
    fence_id: int,
    shape: Circle | None = None,
    *,
    version: int = 1,
    tenant: int = 1,
    since_us: int = 0,
    until_us: int = FOREVER_US,
) -> Fence:
    shape = shape or circle(PORTO, 100.0)
    return Fence(
        fence_id=FenceId(fence_id),
        version=version,
        tenant_id=TenantId(tenant),
        shape=shape,
        profile=STANDARD,
        cells=cover(shape),
        valid_from_us=since_us,
        valid_to_us=until_us,
    )


def matched(index: FenceIndex, at: LatLng = PORTO, *, tenant: int = 1, at_us: int = 0) -> list[tuple[int, int]]:
    """(fence, version) of all that hold one position."""
    pairs = index.match(
        np.array([tenant], dtype=np.int32), np.array([at.lat]), np.array([at.lng]), np.array([at_us], dtype=np.int64)
    )
    found = [index.fence_at(slot) for slot in pairs.slot.tolist()]
    return sorted((int(f.fence_id), f.version) for f in found)
