"""The stores of one tenant as a map shows them: one by one where they stand apart, else counted by H3 cell. Pure.

Counts are made once for each resolution and change of stores; a tile takes those that lie in it. The cells of the large
table are kept when a few stores change.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from geofences.index import cells_of
from geofences.tiling import FINEST_KEPT, ancestors, mercator_m, wrapped_m

if TYPE_CHECKING:
    from collections.abc import Collection

    from geofences.model import Bools, Floats, Int64s, StoreId
    from geofences.store_table import StoreRow, StoreTable
    from geofences.tiling import Tile

SINGLE_FROM_ZOOM: Final = 14
"""From here on every store is shown by itself."""


class Mark(NamedTuple):
    """Where something is drawn, and what: a store, or how many there are about that place."""

    x_m: float
    y_m: float
    store: StoreRow | None
    stores: int


class Bounds(NamedTuple):
    """Degrees; `west > east` across 180 degrees."""

    west: float
    south: float
    east: float
    north: float


class _Columns:
    """Of one table: computed when a map is first asked for, and never again."""

    def __init__(self, table: StoreTable) -> None:
        self.table = table

    @cached_property
    def lat(self) -> Floats:
        return np.array([store.location.lat for store in self.table.stores], dtype=np.float64)

    @cached_property
    def lng(self) -> Floats:
        return np.array([store.location.lng for store in self.table.stores], dtype=np.float64)

    @cached_property
    def cells(self) -> Int64s:
        return cells_of(self.lat, self.lng, FINEST_KEPT)


class _Groups(NamedTuple):
    """Stores by cell: where their middle is, how many they are, and one of them."""

    x_m: Floats
    y_m: Floats
    stores: Int64s
    first: Int64s


class StoreMap:
    """Of the rows of `base` that are `alive`, and all of `fresh`."""

    def __init__(self, base: StoreTable, *, alive: Bools | None = None, fresh: StoreTable | None = None) -> None:
        self._base = _Columns(base)
        self._alive = alive
        self._fresh = None if fresh is None else _Columns(fresh)
        self._groups: dict[int, _Groups] = {}

    def with_changes(self, alive: Bools, fresh: StoreTable) -> StoreMap:
        changed = StoreMap(self._base.table, alive=alive, fresh=fresh)
        changed._base = self._base
        return changed

    def marks(self, tile: Tile) -> list[Mark]:
        """What to draw in a tile and its buffer. A group is drawn at one place, whichever tiles show it."""
        groups = self._singles if tile.z >= SINGLE_FROM_ZOOM else self._of_res(tile.cluster_res)
        rows, x_m = tile.near(groups.x_m, groups.y_m)
        shown = zip(x_m.tolist(), *(column[rows].tolist() for column in groups[1:]), strict=True)
        return [Mark(x, y, self._store(first) if count == 1 else None, count) for x, y, count, first in shown]

    def bounds(self, only: Collection[StoreId] | None = None) -> Bounds | None:
        """The smallest box about the stores, or about those of them named; None if there are none."""
        lat, lng = self._column("lat"), self._column("lng")
        if only is not None:
            named = np.array([self._store(row).store_id in only for row in range(len(lat))], dtype=np.bool_)
            lat, lng = lat[named], lng[named]
        if not len(lat):
            return None
        around = np.unique(lng)
        gaps = np.append(np.diff(around), around[0] + 360.0 - around[-1])
        widest = int(np.argmax(gaps))
        # the box begins where the widest gap ends
        west, east = float(around[(widest + 1) % len(around)]), float(around[widest])
        return Bounds(west=west, south=float(lat.min()), east=east, north=float(lat.max()))

    @cached_property
    def _places_m(self) -> tuple[Floats, Floats]:
        return mercator_m(self._column("lat"), self._column("lng"))

    @cached_property
    def _singles(self) -> _Groups:
        x_m, y_m = self._places_m
        return _Groups(x_m, y_m, np.ones(len(x_m), dtype=np.int64), np.arange(len(x_m), dtype=np.int64))

    @cached_property
    def _rows(self) -> Int64s:
        """Of the base, those that hold."""
        rows = np.arange(len(self._base.table), dtype=np.int64)
        return rows if self._alive is None else rows[self._alive]

    def _column(self, name: str) -> Floats:
        base = getattr(self._base, name)[self._rows]
        return base if self._fresh is None else np.concatenate([base, getattr(self._fresh, name)])

    def _store(self, row: int) -> StoreRow:
        held = self._base.table.stores if row < len(self._rows) or self._fresh is None else self._fresh.table.stores
        found: StoreRow = held[int(self._rows[row]) if row < len(self._rows) else row - len(self._rows)]
        return found

    def _of_res(self, res: int) -> _Groups:
        groups = self._groups.get(res)
        if groups is None:
            groups = self._groups[res] = self._grouped(res)
        return groups

    def _grouped(self, res: int) -> _Groups:
        x_m, y_m = self._places_m
        _, first, group, count = np.unique(
            ancestors(self._column("cells").astype(np.int64), res),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        # as seen from the first of them, so that 180 degrees lies between no two
        across_m = np.bincount(group, wrapped_m(x_m - x_m[first][group]), len(first)) / count
        middle_x_m = wrapped_m(x_m[first] + across_m)
        return _Groups(middle_x_m, np.bincount(group, y_m, len(first)) / count, count, first)
