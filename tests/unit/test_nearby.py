"""The search in memory gives what a look at every store would give, in the same order."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.errors import InvalidPositionError
from geofences.geodesy import geodesic_distance_m
from geofences.index import cell_center
from geofences.model import LatLng, StoreId, TenantId
from geofences.nearby import FRESH_STORES, StoreQuery, StoreRow, StoreSnapshot

TENANT = TenantId(1)

lats = st.one_of(st.sampled_from([-90.0, 0.0, 90.0, 60.17]), st.floats(-90, 90))
lngs = st.one_of(st.sampled_from([-180.0, 0.0, 180.0, 24.94]), st.floats(-180, 180))
places = st.builds(LatLng, lat=lats, lng=lngs)


def store(number: int, at: LatLng, *, tenant_id: TenantId = TENANT, name: str | None = None) -> StoreRow:
    return StoreRow(
        store_id=StoreId(number),
        tenant_id=tenant_id,
        external_id=f"e{number}",
        name=name or f"Shop {number}",
        location=at,
        timezone="UTC",
        brand="Even" if number % 2 == 0 else None,
        categories=("third",) if number % 3 == 0 else (),
    )


def by_hand(stores: list[StoreRow], origin: LatLng) -> list[tuple[float, int]]:
    """All distances, sorted: slow and plain."""
    if not stores:
        return []
    n = len(stores)
    metres = geodesic_distance_m(
        np.full(n, origin.lat),
        np.full(n, origin.lng),
        np.array([row.location.lat for row in stores]),
        np.array([row.location.lng for row in stores]),
    )
    return sorted(zip(metres.tolist(), [row.store_id for row in stores], strict=True))


def places_of(snapshot: StoreSnapshot, origin: LatLng, limit: int = 10_000, **asked: object) -> list[tuple[float, int]]:
    return [near.place for near in snapshot.search(TENANT, origin=origin, limit=limit, **asked)]  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    at=st.lists(places, max_size=300),
    origin=places,
    limit=st.integers(1, 50),
    radius_m=st.none() | st.floats(1, 2.1e7),
)
def test_a_search_equals_a_look_at_every_store(
    at: list[LatLng], origin: LatLng, limit: int, radius_m: float | None
) -> None:
    stores = [store(i, place) for i, place in enumerate(at, start=1)]
    snapshot = StoreSnapshot()
    snapshot.load(stores)
    expected = [place for place in by_hand(stores, origin) if place[0] <= (radius_m or math.inf)]
    assert places_of(snapshot, origin, limit, radius_m=radius_m) == expected[:limit]
    assert places_of(snapshot, origin, radius_m=radius_m) == expected


@settings(deadline=None)
@given(at=st.lists(places, min_size=1, max_size=200), origin=places, size=st.integers(1, 20))
def test_pages_put_together_are_the_whole(at: list[LatLng], origin: LatLng, size: int) -> None:
    snapshot = StoreSnapshot()
    snapshot.load([store(i, place) for i, place in enumerate(at, start=1)])
    pages: list[tuple[float, int]] = []
    while page := places_of(snapshot, origin, size, after=pages[-1] if pages else None):
        pages += page
    assert pages == places_of(snapshot, origin)


def test_stores_at_one_place_come_in_order_of_their_ids() -> None:
    here = LatLng(lat=60.17, lng=24.94)
    numbers = list(range(1, 301))
    random.Random(1).shuffle(numbers)
    snapshot = StoreSnapshot()
    snapshot.load(store(i, here) for i in numbers)
    assert places_of(snapshot, here) == [(0.0, i) for i in range(1, 301)]


@pytest.mark.parametrize("changes", [3, FRESH_STORES + 50])
def test_changes_are_seen_as_if_loaded_anew(changes: int) -> None:
    rng = random.Random(changes)

    def anywhere() -> LatLng:
        return LatLng(lat=60 + rng.random(), lng=24 + rng.random())

    rows = {i: store(i, anywhere()) for i in range(1, 1000)}
    snapshot = StoreSnapshot()
    snapshot.load(rows.values())
    for _ in range(4):
        moved = [store(rng.randrange(1, 1500), anywhere()) for _ in range(changes)]
        gone = rng.sample(sorted(rows), 20)
        snapshot.apply(moved, gone=[StoreId(i) for i in gone if i not in {row.store_id for row in moved}])
        for i in gone:
            rows.pop(i)
        rows |= {row.store_id: row for row in moved}
        origin = anywhere()
        assert places_of(snapshot, origin) == by_hand(list(rows.values()), origin)
        assert len(snapshot) == len(rows)


def test_a_tenant_finds_its_own_stores_only() -> None:
    here = LatLng(lat=0.0, lng=0.0)
    snapshot = StoreSnapshot()
    snapshot.load([store(1, here), store(2, here, tenant_id=TenantId(2))])
    assert places_of(snapshot, here) == [(0.0, 1)]
    assert snapshot.get(TENANT, StoreId(2)) is None
    assert snapshot.search(TenantId(3), origin=here, limit=5) == []


def test_words_narrow_the_search() -> None:
    here = LatLng(lat=0.0, lng=0.0)
    snapshot = StoreSnapshot()
    snapshot.load(store(i, LatLng(lat=i / 100, lng=0.0), name=f"Käse {i}\nHaus") for i in range(1, 13))

    def found(query: StoreQuery) -> list[int]:
        return [near.store.store_id for near in snapshot.search(TENANT, origin=here, query=query, limit=50)]

    assert found(StoreQuery(brand="EVEN")) == [2, 4, 6, 8, 10, 12]
    assert found(StoreQuery(brand="even", category="Third")) == [6, 12]
    assert found(StoreQuery(text="KÄSE 1")) == [1, 10, 11, 12]
    assert found(StoreQuery(text="e3 haus 3 kase")) == [3]
    assert found(StoreQuery(text="3 haus")) == [3]
    assert found(StoreQuery(text="a\nb")) == []
    assert found(StoreQuery(text="käse 1", category="third")) == [12]
    assert found(StoreQuery(accept=lambda row: row.store_id > 10)) == [11, 12]
    assert found(StoreQuery(brand="unknown")) == []


def test_a_cell_stands_for_its_middle() -> None:
    assert cell_center("891126d338fffff").lat == pytest.approx(60.1702, abs=1e-4)
    for text in ("", "0", "xyz", "891126d338ffffe", "ffffffffffffffff", "-1"):
        with pytest.raises(InvalidPositionError):
            cell_center(text)
