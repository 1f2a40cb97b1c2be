"""Which stores are near: all stores in memory, by tenant, found nearest first by exact geodesic distance.

Pure. One writer, any number of reading threads without a lock: tables are replaced, never changed. `StoreTable` keeps
the stores in leaves of neighbours with a bounding box each, in earth-centred coordinates; a straight line is never
longer than the geodesic over it, so whatever a box or a chord puts too far away is too far away.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from geofences.geodesy import ecef_m, geodesic_distance_m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from geofences.model import Bools, Floats, Int64s, LatLng, StoreId, TenantId

LEAF_STORES: Final = 128
FIRST_LEAVES: Final = 4
SLACK_M: Final = 1e-6
"""Rounding could make a chord longer than its geodesic by less."""
SPARE: Final = 4
"""Distances measured beyond those asked for: what else might be as near."""
FRESH_STORES: Final = 512
"""Changed stores that are kept beside the large table before it is built anew."""
SEPARATOR: Final = "\n"
FIELD_SEPARATOR: Final = "\x1f"
"""What no text to be found has in it, so that nothing is found across two fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """One store as a search answers it."""

    store_id: StoreId
    tenant_id: TenantId
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
class StoreQuery:
    """What a store must be like; None asks nothing. Words are compared without regard to case."""

    text: str | None = None
    """Part of the name, brand, address or external id."""
    brand: str | None = None
    category: str | None = None
    accept: Callable[[StoreRow], bool] | None = None
    """Asked of the stores that pass all else, nearest first."""


@dataclass(frozen=True, slots=True)
class Near:
    """A store and how far away it is."""

    distance_m: float
    store: StoreRow

    @property
    def place(self) -> tuple[float, int]:
        """Its place in the order of all answers to one question: what a cursor says."""
        return self.distance_m, self.store.store_id


Found = tuple[float, int, StoreRow]
"""Distance in metres, store id, store: in order as they are."""


class StoreTable:
    """The stores of one tenant as columns. Never changes."""

    def __init__(self, stores: Sequence[StoreRow]) -> None:
        xyz_m = np.column_stack(
            ecef_m(
                np.array([store.location.lat for store in stores], dtype=np.float64),
                np.array([store.location.lng for store in stores], dtype=np.float64),
            )
        )
        leaves = _leaves(xyz_m)
        order = np.concatenate([np.empty(0, dtype=np.int64), *leaves])
        self.stores = [stores[i] for i in order.tolist()]
        self._xyz_m = np.ascontiguousarray(xyz_m[order].T)
        self._lat = np.array([store.location.lat for store in self.stores], dtype=np.float64)
        self._lng = np.array([store.location.lng for store in self.stores], dtype=np.float64)
        self._ids = np.array([store.store_id for store in self.stores], dtype=np.int64)
        ends = np.cumsum([len(leaf) for leaf in leaves], dtype=np.int64)
        self._rows = [np.arange(end - len(leaf), end) for end, leaf in zip(ends, leaves, strict=True)]
        self._low_m = np.ascontiguousarray(np.array([xyz_m[leaf].min(axis=0) for leaf in leaves]).reshape(-1, 3).T)
        self._high_m = np.ascontiguousarray(np.array([xyz_m[leaf].max(axis=0) for leaf in leaves]).reshape(-1, 3).T)
        self._brands = _postings([(store.brand,) if store.brand else () for store in self.stores])
        self._categories = _postings([store.categories for store in self.stores])
        texts = [_haystack(store) for store in self.stores]
        self._text = SEPARATOR.join(texts)
        self._text_starts = np.cumsum([0, *(len(text) + 1 for text in texts)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.stores)

    def matching(self, query: StoreQuery) -> Bools | None:
        """Which rows have the query's words; None for all."""
        masks = []
        if query.brand is not None:
            masks.append(self._mask(self._brands.get(query.brand.casefold(), ())))
        if query.category is not None:
            masks.append(self._mask(self._categories.get(query.category.casefold(), ())))
        if query.text:
            masks.append(self._mask(self._rows_with(query.text.casefold())))
        return np.logical_and.reduce(masks) if masks else None

    def nearest(self, origin: LatLng, mask: Bools | None, radius_m: float, want: int) -> Iterator[Found]:
        """(distance_m, store_id, store) in that order, lazily; `radius_m` may be infinite.

        `want` is how many will probably be asked for: so many are measured at first, then ever more.
        """
        here = np.array(ecef_m(np.array([origin.lat]), np.array([origin.lng])))
        away_m = np.maximum(self._low_m - here, here - self._high_m)
        np.maximum(away_m, 0.0, out=away_m)
        leaf_m = np.sqrt((away_m * away_m).sum(axis=0))
        leaves = np.argsort(leaf_m)[: int(np.count_nonzero(leaf_m <= radius_m + SLACK_M))]
        leaf_m = np.append(leaf_m[leaves], np.inf)
        taken, step, batch = 0, FIRST_LEAVES, want + SPARE
        waiting, measured = _Rows.none(), _Rows.none()
        while True:
            while taken < len(leaves) and waiting.within(leaf_m[taken]) < batch:
                waiting = waiting.plus(self._chords(leaves[taken : taken + step], here, mask))
                taken, step = min(taken + step, len(leaves)), 2 * step
            batch_rows, waiting = waiting.split(batch, leaf_m[taken])
            measured = measured.plus(self._measured(origin, batch_rows, radius_m))
            sure_m = min(waiting.nearest_m, float(leaf_m[taken]))
            order = np.lexsort((self._ids[measured.rows], measured.metres))
            sure = int(np.searchsorted(measured.metres[order], sure_m - SLACK_M)) if sure_m < np.inf else len(order)
            first, rest = order[:sure], order[sure:]
            for metres, row in zip(measured.metres[first].tolist(), measured.rows[first].tolist(), strict=True):
                yield metres, self.stores[row].store_id, self.stores[row]
            if sure_m > radius_m + SLACK_M or sure_m == np.inf:
                return
            measured = _Rows(measured.metres[rest], measured.rows[rest])
            batch *= 2

    def _chords(self, leaves: Int64s, here: Floats, mask: Bools | None) -> _Rows:
        """All rows of some leaves with the straight distances to them."""
        rows = np.concatenate([self._rows[leaf] for leaf in leaves.tolist()])
        if mask is not None:
            rows = rows[mask[rows]]
        apart_m = self._xyz_m[:, rows] - here
        return _Rows(np.sqrt((apart_m * apart_m).sum(axis=0)), rows)

    def _measured(self, origin: LatLng, rows: Int64s, radius_m: float) -> _Rows:
        """Those of the rows within the radius, with their geodesic distances."""
        lat, lng = np.full(len(rows), origin.lat), np.full(len(rows), origin.lng)
        metres = geodesic_distance_m(lat, lng, self._lat[rows], self._lng[rows])
        near = metres <= radius_m
        return _Rows(metres[near], rows[near])

    def _mask(self, rows: Sequence[int] | Int64s) -> Bools:
        mask = np.zeros(len(self.stores), dtype=np.bool_)
        mask[np.asarray(rows, dtype=np.int64)] = True
        return mask

    def _rows_with(self, text: str) -> Int64s:
        """Rows whose text has `text` in it: one scan of all texts at once."""
        if SEPARATOR in text:
            return np.empty(0, dtype=np.int64)
        found, at = [], self._text.find(text)
        while at >= 0:
            row = int(np.searchsorted(self._text_starts, at, side="right")) - 1
            found.append(row)
            at = self._text.find(text, int(self._text_starts[row + 1]))
        return np.array(found, dtype=np.int64)


class _Rows(NamedTuple):
    """Rows of a table and how far away they are, by chord or by geodesic."""

    metres: Floats
    rows: Int64s

    @classmethod
    def none(cls) -> _Rows:
        return cls(np.empty(0, dtype=np.float64), np.empty(0, dtype=np.int64))

    @property
    def nearest_m(self) -> float:
        return float(self.metres.min()) if len(self.metres) else np.inf

    def within(self, bound_m: float) -> int:
        return int(np.count_nonzero(self.metres <= bound_m))

    def plus(self, other: _Rows) -> _Rows:
        if not len(self.rows):
            return other
        return _Rows(np.concatenate([self.metres, other.metres]), np.concatenate([self.rows, other.rows]))

    def split(self, count: int, bound_m: float) -> tuple[Int64s, _Rows]:
        """The `count` nearest of those within the bound, and all the rest."""
        count = min(count, self.within(bound_m))
        if count == len(self.rows):
            return self.rows, _Rows.none()
        order = np.argpartition(self.metres, count)
        return self.rows[order[:count]], _Rows(self.metres[order[count:]], self.rows[order[count:]])


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
        of_tenant = self._tenants.get(tenant_id)
        if of_tenant is None:
            return []
        query = query or StoreQuery()
        found = of_tenant.nearest(origin, query, np.inf if radius_m is None else radius_m, limit)
        wanted = (
            Near(metres, store)
            for metres, store_id, store in found
            if (after is None or (metres, store_id) > after) and (query.accept is None or query.accept(store))
        )
        return list(islice(wanted, limit))


@dataclass(frozen=True, slots=True)
class _TenantStores:
    """A large table, and a small one of what changed since it was built."""

    rows: dict[StoreId, StoreRow]
    base: StoreTable
    alive: Bools
    """Which rows of `base` still hold."""
    fresh: StoreTable
    touched: frozenset[StoreId]

    @classmethod
    def of(cls, rows: dict[StoreId, StoreRow]) -> _TenantStores:
        base = StoreTable(list(rows.values()))
        return cls(rows, base, np.ones(len(base), dtype=np.bool_), StoreTable([]), frozenset())

    def with_changes(self, changed: Mapping[StoreId, StoreRow | None]) -> _TenantStores:
        rows = {**self.rows, **{store_id: row for store_id, row in changed.items() if row is not None}}
        for store_id in [store_id for store_id, row in changed.items() if row is None]:
            rows.pop(store_id, None)
        touched = self.touched | changed.keys()
        if len(touched) > FRESH_STORES:
            return _TenantStores.of(rows)
        alive = np.array([store.store_id not in touched for store in self.base.stores], dtype=np.bool_)
        fresh = StoreTable([rows[store_id] for store_id in sorted(touched) if store_id in rows])
        return _TenantStores(rows, self.base, alive, fresh, touched)

    def nearest(self, origin: LatLng, query: StoreQuery, radius_m: float, want: int) -> Iterator[Found]:
        matching = self.base.matching(query)
        if self.touched:
            matching = self.alive if matching is None else self.alive & matching
        found = self.base.nearest(origin, matching, radius_m, want)
        if not len(self.fresh):
            return found
        return heapq.merge(
            found, self.fresh.nearest(origin, self.fresh.matching(query), radius_m, want), key=lambda t: t[:2]
        )


def _leaves(xyz_m: Floats) -> list[Int64s]:
    """Rows in groups of at most LEAF_STORES neighbours: halved along the widest side until they are small enough."""
    leaves: list[Int64s] = []
    parts = [np.arange(len(xyz_m), dtype=np.int64)] if len(xyz_m) else []
    while parts:
        part = parts.pop()
        if len(part) <= LEAF_STORES:
            leaves.append(part)
            continue
        axis = int(np.argmax(np.ptp(xyz_m[part], axis=0)))
        middle = len(part) // 2
        halves = np.argpartition(xyz_m[part, axis], middle)
        parts += [part[halves[middle:]], part[halves[:middle]]]
    return leaves


def _postings(words: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """The rows that have each word."""
    postings: dict[str, list[int]] = {}
    for row, of_row in enumerate(words):
        for word in {word.casefold() for word in of_row}:
            postings.setdefault(word, []).append(row)
    return postings


def _haystack(store: StoreRow) -> str:
    words = (store.name, store.brand, store.address, store.external_id)
    return FIELD_SEPARATOR.join(word for word in words if word).casefold().replace(SEPARATOR, " ")
