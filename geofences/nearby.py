"""Which stores are near: all stores in memory, by tenant, found nearest first by exact geodesic distance.

Pure. One writer, any number of reading threads without a lock: tables are replaced, never changed.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from geofences.store_map import StoreMap
from geofences.store_table import Found, StoreQuery, StoreRow, StoreTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from geofences.model import Bools, LatLng, StoreId, TenantId

__all__ = ["FRESH_STORES", "Near", "StoreQuery", "StoreRow", "StoreSnapshot"]

FRESH_STORES: Final = 512
"""Changed stores that are kept beside the large table before it is built anew."""


@dataclass(frozen=True, slots=True)
class Near:
    """A store and how far away it is."""

    distance_m: float
    store: StoreRow

    @property
    def place(self) -> tuple[float, int]:
        """Its place in the order of all answers to one question: what a cursor says."""
        return self.distance_m, self.store.store_id


class StoreSnapshot:
    """The stores of all tenants, kept in step by `apply`."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, _TenantStores] = {}
        self._tenant_of: dict[StoreId, TenantId] = {}

    def __len__(self) -> int:
        return len(self._tenant_of)

    def load(self, stores: Iterable[StoreRow]) -> None:
        """Takes these stores in place of all others."""
        by_tenant: dict[TenantId, dict[StoreId, StoreRow]] = {}
        for store in stores:
            by_tenant.setdefault(store.tenant_id, {})[store.store_id] = store
        self._tenants = {tenant_id: _TenantStores.of(rows) for tenant_id, rows in by_tenant.items()}
        self._tenant_of = {store_id: tenant_id for tenant_id, rows in by_tenant.items() for store_id in rows}

    def apply(self, stores: Iterable[StoreRow], *, gone: Iterable[StoreId] = ()) -> None:
        """Takes in stores that are new or changed, and drops those that are gone."""
        changed: dict[TenantId, dict[StoreId, StoreRow | None]] = {}
        for store in stores:
            changed.setdefault(store.tenant_id, {})[store.store_id] = store
            self._tenant_of[store.store_id] = store.tenant_id
        for store_id in gone:
            tenant_id = self._tenant_of.pop(store_id, None)
            if tenant_id is not None:
                changed.setdefault(tenant_id, {})[store_id] = None
        for tenant_id, rows in changed.items():
            before = self._tenants.get(tenant_id) or _TenantStores.of({})
            self._tenants[tenant_id] = before.with_changes(rows)

    def get(self, tenant_id: TenantId, store_id: StoreId) -> StoreRow | None:
        of_tenant = self._tenants.get(tenant_id)
        return None if of_tenant is None else of_tenant.rows.get(store_id)

    def map_of(self, tenant_id: TenantId) -> StoreMap:
        """The tenant's stores of this moment, for drawing."""
        of_tenant = self._tenants.get(tenant_id)
        return StoreMap(StoreTable([])) if of_tenant is None else of_tenant.map

    def search(
        self,
        tenant_id: TenantId,
        *,
        origin: LatLng,
        radius_m: float | None = None,
        query: StoreQuery | None = None,
        limit: int,
        after: tuple[float, int] | None = None,
    ) -> list[Near]:
        """At most `limit` stores by rising (distance_m, store_id), those after the place of a cursor only.

        `radius_m` None searches the whole earth, nearest first.
        """
        walk = self.walk(tenant_id, origin=origin, radius_m=radius_m, query=query, want=limit, after=after)
        return list(islice(walk, limit))

    def walk(
        self,
        tenant_id: TenantId,
        *,
        origin: LatLng,
        radius_m: float | None = None,
        query: StoreQuery | None = None,
        want: int,
        after: tuple[float, int] | None = None,
    ) -> Iterator[Near]:
        """As `search`, one after the other for as long as the caller likes; `want` is how many that will be."""
        of_tenant = self._tenants.get(tenant_id)
        if of_tenant is None:
            return
        bound_m = np.inf if radius_m is None else radius_m
        for metres, _, store in of_tenant.nearest(origin, query or StoreQuery(), bound_m, want, after):
            yield Near(metres, store)


@dataclass(frozen=True, slots=True)
class _TenantStores:
    """A large table, and a small one of what changed since it was built."""

    rows: dict[StoreId, StoreRow]
    base: StoreTable
    alive: Bools
    """Which rows of `base` still hold."""
    fresh: StoreTable
    touched: frozenset[StoreId]
    map: StoreMap

    @classmethod
    def of(cls, rows: dict[StoreId, StoreRow]) -> _TenantStores:
        base = StoreTable(list(rows.values()))
        alive = np.ones(len(base), dtype=np.bool_)
        return cls(rows, base, alive, StoreTable([]), frozenset(), StoreMap(base))

    def with_changes(self, changed: Mapping[StoreId, StoreRow | None]) -> _TenantStores:
        rows = {**self.rows, **{store_id: row for store_id, row in changed.items() if row is not None}}
        for store_id in [store_id for store_id, row in changed.items() if row is None]:
            rows.pop(store_id, None)
        touched = self.touched | changed.keys()
        if len(touched) > FRESH_STORES:
            return _TenantStores.of(rows)
        alive = np.array([store.store_id not in touched for store in self.base.stores], dtype=np.bool_)
        fresh = StoreTable([rows[store_id] for store_id in sorted(touched) if store_id in rows])
        return _TenantStores(rows, self.base, alive, fresh, touched, self.map.with_changes(alive, fresh))

    def nearest(
        self, origin: LatLng, query: StoreQuery, radius_m: float, want: int, after: tuple[float, int] | None
    ) -> Iterator[Found]:
        alive = self.alive if self.touched else None
        found = self.base.nearest(origin, query, radius_m, want, after=after, alive=alive)
        if not len(self.fresh):
            return found
        return heapq.merge(found, self.fresh.nearest(origin, query, radius_m, want, after=after), key=lambda t: t[:2])
