"""Real stores and cities are found by words as people type them, and nearest first as a look at every one says."""

from __future__ import annotations

import csv
import json
import math
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from pyproj import Geod

from geofences.model import LatLng, StoreId, TenantId
from geofences.nearby import StoreQuery, StoreRow, StoreSnapshot
from tests.support.data import data_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

TENANT = TenantId(1)
GEOD = Geod(ellps="WGS84")


def city(name: str) -> list[StoreRow]:
    text = (data_dir(name) / "stores.geojson").read_text(encoding="utf-8")
    return [_store(i, feature) for i, feature in enumerate(json.loads(text)["features"], start=1)]


def _store(number: int, feature: dict[str, Any]) -> StoreRow:
    lng, lat = feature["geometry"]["coordinates"]
    said = feature["properties"]
    return StoreRow(
        store_id=StoreId(number), tenant_id=TENANT, external_id=str(feature["id"]), name=said.get("name") or "",
        location=LatLng(lat=lat, lng=lng), timezone=said["timezone"], brand=said.get("brand"),
        categories=(said["category"],), opening_hours=said.get("opening_hours"),
    )  # fmt: skip


def snapshot(stores: Sequence[StoreRow]) -> StoreSnapshot:
    found = StoreSnapshot()
    found.load(stores)
    return found


def by_hand(stores: Sequence[StoreRow], origin: LatLng) -> list[tuple[float, int]]:
    """(metres, id) of all, by a library call for each."""
    return sorted(
        (GEOD.inv(origin.lng, origin.lat, row.location.lng, row.location.lat)[2], row.store_id) for row in stores
    )


def plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


@pytest.mark.parametrize(
    ("name", "origin", "question", "at_least"),
    [
        ("osm_helsinki", LatLng(lat=60.17, lng=24.94), "KAHVILA", 3),
        ("osm_helsinki", LatLng(lat=60.17, lng=24.94), "cafe", 20),
        ("osm_porto", LatLng(lat=41.15, lng=-8.61), "farmacia", 10),
        ("osm_porto", LatLng(lat=41.15, lng=-8.61), "pão", 2),
        ("osm_porto", LatLng(lat=41.15, lng=-8.61), "CAFÉ", 20),
    ],
)
def test_all_stores_of_a_city_whose_name_begins_so_are_found_nearest_first(
    name: str, origin: LatLng, question: str, at_least: int
) -> None:
    stores = city(name)
    wanted = {row.store_id for row in stores if any(w.startswith(plain(question)) for w in plain(row.name).split())}
    assert len(wanted) >= at_least
    near = snapshot(stores).search(TENANT, origin=origin, query=StoreQuery(text=question), limit=5_000)
    assert wanted <= {found.store.store_id for found in near}
    assert [found.place for found in near] == sorted(found.place for found in near)
    expected = {number: metres for metres, number in by_hand(stores, origin)}
    assert all(math.isclose(found.distance_m, expected[found.store.store_id], abs_tol=1e-6) for found in near)


def test_cities_of_the_world_are_found_without_their_accents() -> None:
    with (data_dir("places_geonames") / "cities15000.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cities = [
        StoreRow(
            store_id=StoreId(int(row["geonameid"])), tenant_id=TENANT, external_id=row["geonameid"], name=row["name"],
            location=LatLng(lat=float(row["lat"]), lng=float(row["lon"])), timezone=row["timezone"],
        )
        for row in rows
    ]  # fmt: skip
    assert len(cities) > 30_000
    world = snapshot(cities)
    somewhere = LatLng(lat=-48.0, lng=-123.0)
    for question, name in (
        ("sao paulo", "São Paulo"), ("zurich", "Zürich"), ("lodz", "Łódź"), ("reykjavik", "Reykjavík"),
        ("paulo sao", "São Paulo"), ("iskenderun", "İskenderun"), ("saint denis", "Saint-Denis"),
    ):  # fmt: skip
        near = world.search(TENANT, origin=somewhere, query=StoreQuery(text=question), limit=100)
        assert name in {found.store.name for found in near}, question
    whole = world.search(TENANT, origin=somewhere, limit=50)
    assert [found.store.store_id for found in whole] == [number for _, number in by_hand(cities, somewhere)[:50]]
