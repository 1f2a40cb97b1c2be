"""The stores of one tenant as columns, and the walk over them from a place outwards. Pure; a table never changes.

Stores lie in leaves of neighbours with a bounding box each, in earth-centred coordinates; a straight line is never
longer than the geodesic over it, so whatever a box or a chord puts too far away is too far away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from geofences.geodesy import E2, EQUATOR_M, ecef_m, geodesic_distance_m
from geofences.words import Word, all_in, fold, searchable, words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from geofences.model import Bools, Floats, Int64s, LatLng, StoreId, TenantId

LEAF_STORES: Final = 64
FIRST_LEAVES: Final = 4
SLACK_M: Final = 1e-6
"""Rounding could make a chord longer than its geodesic by less."""
SPARE: Final = 4
"""Distances measured beyond those asked for: what else might be as near."""
PATIENT_STORES: Final = 4096
"""After so many, all texts are looked through at once for the rarest word instead of one after the other."""
SEPARATOR: Final = "\n"
"""What no text to be looked through has in it."""


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
    text: str = field(init=False, repr=False, compare=False)
    """Where a search looks for words, as `searchable` makes it."""

    def __post_init__(self) -> None:
        text = searchable(self.name, self.brand, *self.categories, self.address, self.external_id)
        object.__setattr__(self, "text", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreQuery:
    """What a store must be like; None asks nothing. Texts are compared as `geofences.words` folds them."""

    text: str | None = None
    """Words that must all be found in the name, brand, categories, address or external id."""
    brand: str | None = None
    category: str | None = None
    accept: Callable[[StoreRow], bool] | None = None
    """Asked of stores that pass all else, about nearest first."""
    hint: Callable[[], tuple[Word, Collection[StoreId]] | None] | None = None
    """Asked once when many stores were refused: `accept` takes none but those with this word, and those named."""


Found = tuple[float, int, StoreRow]
"""Distance in metres, store id, store: in order as they are."""


class StoreTable:
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
        self._by_id = np.argsort(self._ids)
        ends = np.cumsum([len(leaf) for leaf in leaves], dtype=np.int64)
        self._rows = [np.arange(end - len(leaf), end) for end, leaf in zip(ends, leaves, strict=True)]
        self._low_m = np.ascontiguousarray(np.array([xyz_m[leaf].min(axis=0) for leaf in leaves]).reshape(-1, 3).T)
        self._high_m = np.ascontiguousarray(np.array([xyz_m[leaf].max(axis=0) for leaf in leaves]).reshape(-1, 3).T)
        self._brands = _postings([(store.brand,) if store.brand else () for store in self.stores])
        self._categories = _postings([store.categories for store in self.stores])
        texts = [store.text for store in self.stores]
        self._text = SEPARATOR.join(texts)
        self._text_starts = np.cumsum([0, *(len(text) + 1 for text in texts)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.stores)

    def nearest(
        self,
        origin: LatLng,
        query: StoreQuery,
        radius_m: float,
        want: int,
        *,
        after: tuple[float, int] | None = None,
        alive: Bools | None = None,
    ) -> Iterator[Found]:
        """(distance_m, store_id, store) in that order, lazily, of rows that are `alive` and that the query wants.

        `radius_m` may be infinite. `want` is how many will probably be asked for: so many are measured at first, then
        ever more. Only those after (distance_m, store_id) `after` are told.
        """
        here = _ecef_m(origin)
        leaves, leaf_m = self._leaves_within(here, radius_m)
        sieve = _Sieve(self, query, alive)
        taken, step, batch = 0, FIRST_LEAVES, want + SPARE
        waiting, measured = _Rows.none(), _Rows.none()
        while True:
            while taken < len(leaves) and waiting.within(leaf_m[taken]) < batch:
                near = self._chords(leaves[taken : taken + step], here, radius_m)
                waiting = waiting.plus(sieve.narrowed(near))
                taken, step = min(taken + step, len(leaves)), 2 * step
            batch_rows, waiting = waiting.split(batch, leaf_m[taken])
            measured = measured.plus(self._measured(origin, sieve.wanted(batch_rows), radius_m))
            if sieve.narrow_now():
                waiting = sieve.narrowed(waiting)
            sure_m = min(waiting.nearest_m, leaf_m[taken])
            order = np.lexsort((self._ids[measured.rows], measured.metres))
            sure = int(np.searchsorted(measured.metres[order], sure_m - SLACK_M)) if sure_m < np.inf else len(order)
            first, rest = order[:sure], order[sure:]
            for metres, row in zip(measured.metres[first].tolist(), measured.rows[first].tolist(), strict=True):
                store = self.stores[row]
                if after is None or (metres, store.store_id) > after:
                    yield metres, store.store_id, store
            if sure_m > radius_m + SLACK_M or sure_m == np.inf:
                return
            measured = _Rows(measured.metres[rest], measured.rows[rest])
            batch = sieve.next_batch(want + SPARE, batch)

    def mask(self, query: StoreQuery, alive: Bools | None) -> Bools | None:
        """Rows of the query's brand and category; None for all."""
        masks = [] if alive is None else [alive]
        if query.brand is not None:
            masks.append(self._mask(self._brands.get(fold(query.brand))))
        if query.category is not None:
            masks.append(self._mask(self._categories.get(fold(query.category))))
        return np.logical_and.reduce(masks) if masks else None

    def having(self, word: Word, named: Collection[StoreId]) -> Bools:
        """Rows whose text may have a word, by one scan of all texts, and those of the stores that are named."""
        found, at = [], self._text.find(word.needle)
        while at >= 0:
            row = int(np.searchsorted(self._text_starts, at, side="right")) - 1
            found.append(row)
            at = self._text.find(word.needle, int(self._text_starts[row + 1]))
        mask = self._mask(np.array(found, dtype=np.int64))
        if named:
            mask[self._rows_of(np.fromiter(named, dtype=np.int64))] = True
        return mask

    def _leaves_within(self, here: Floats, radius_m: float) -> tuple[Int64s, list[float]]:
        """Leaves that may reach into the radius, nearest box first, with their distances and one that is infinite."""
        away_m = np.maximum(self._low_m - here, here - self._high_m)
        np.maximum(away_m, 0.0, out=away_m)
        leaf_m = np.sqrt((away_m * away_m).sum(axis=0))
        if radius_m < np.inf:
            leaves = np.flatnonzero(leaf_m <= radius_m + SLACK_M)
            leaves = leaves[np.argsort(leaf_m[leaves])]
        else:
            leaves = np.argsort(leaf_m)
        return leaves, [*leaf_m[leaves].tolist(), np.inf]

    def _chords(self, leaves: Int64s, here: Floats, radius_m: float) -> _Rows:
        """The rows of some leaves with the straight distances to them, without those that are surely too far."""
        rows = np.concatenate([self._rows[leaf] for leaf in leaves.tolist()])
        apart_m = self._xyz_m[:, rows] - here
        chord_m = np.sqrt((apart_m * apart_m).sum(axis=0))
        if radius_m < np.inf:
            near = chord_m <= radius_m + SLACK_M
            return _Rows(chord_m[near], rows[near])
        return _Rows(chord_m, rows)

    def _measured(self, origin: LatLng, rows: Int64s, radius_m: float) -> _Rows:
        """Those of the rows within the radius, with their geodesic distances."""
        lat, lng = np.full(len(rows), origin.lat), np.full(len(rows), origin.lng)
        metres = geodesic_distance_m(lat, lng, self._lat[rows], self._lng[rows])
        near = metres <= radius_m
        return _Rows(metres[near], rows[near])

    def _rows_of(self, store_ids: Int64s) -> Int64s:
        """The rows of those stores that are here."""
        at = np.minimum(np.searchsorted(self._ids[self._by_id], store_ids), len(self._ids) - 1)
        rows = self._by_id[at]
        return np.asarray(rows[self._ids[rows] == store_ids])

    def _mask(self, rows: Int64s | None) -> Bools:
        mask = np.zeros(len(self.stores), dtype=np.bool_)
        if rows is not None:
            mask[rows] = True
        return mask


class _Sieve:
    """Lets rows through that the query wants."""

    def __init__(self, table: StoreTable, query: StoreQuery, alive: Bools | None) -> None:
        self._table = table
        self._mask = table.mask(query, alive)
        self._query = query
        self._words = None if query.text is None else words(query.text)
        self._asked = self._passed = 0
        self._patient = True

    def narrowed(self, near: _Rows) -> _Rows:
        """Without what is surely not wanted: for all of many rows at once."""
        return near if self._mask is None else near.where(self._mask[near.rows])

    def wanted(self, rows: Int64s) -> Int64s:
        """Those that are surely wanted: asked one by one."""
        self._asked += len(rows)
        stores = self._table.stores
        if self._words is not None:
            chosen = self._words
            rows = rows[_bools(bool(chosen) and all_in(chosen, stores[row].text) for row in rows.tolist())]
        accept = self._query.accept
        if accept is not None:
            rows = rows[_bools(accept(stores[row]) for row in rows.tolist())]
        self._passed += len(rows)
        return rows

    def next_batch(self, want: int, batch: int) -> int:
        """How many to ask next, so that about as many pass as are still wanted; never fewer, nor very many more."""
        missing = (want - self._passed) * self._asked // max(self._passed, 1)
        return min(max(2 * batch, missing), 8 * batch)

    def narrow_now(self) -> bool:
        """Whether `narrowed` has just become narrower, because so many were asked."""
        if not self._patient or self._asked < PATIENT_STORES:
            return False
        self._patient = False
        hint: tuple[Word, Collection[StoreId]] | None = None
        if self._words:
            hint = self._words[0], ()
        elif self._query.hint is not None:
            hint = self._query.hint()
        if hint is None:
            return False
        having = self._table.having(*hint)
        self._mask = having if self._mask is None else self._mask & having
        return True


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

    def where(self, mask: Bools) -> _Rows:
        return _Rows(self.metres[mask], self.rows[mask])

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


def _bools(values: Iterable[bool]) -> Bools:
    return np.fromiter(values, dtype=np.bool_)


def _ecef_m(at: LatLng) -> Floats:
    """As `geodesy.ecef_m`, of one place: a column of three, some ten times as fast."""
    phi, lam = math.radians(at.lat), math.radians(at.lng)
    prime_vertical_m = EQUATOR_M / math.sqrt(1.0 - E2 * math.sin(phi) ** 2)
    across_m = prime_vertical_m * math.cos(phi)
    return np.array(
        [[across_m * math.cos(lam)], [across_m * math.sin(lam)], [prime_vertical_m * (1.0 - E2) * math.sin(phi)]]
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


def _postings(texts: Iterable[Iterable[str]]) -> dict[str, Int64s]:
    """The rows that have each text."""
    postings: dict[str, list[int]] = {}
    for row, of_row in enumerate(texts):
        for text in set(map(fold, of_row)):
            postings.setdefault(text, []).append(row)
    return {text: np.array(rows, dtype=np.int64) for text, rows in postings.items()}
