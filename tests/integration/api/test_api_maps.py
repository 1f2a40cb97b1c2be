"""Tiles of stores, fences and cells, and where a map opens: as MapLibre asks for them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyproj import Geod

from geofences.tiling import Tile, mercator_m
from tests.support.api import HELSINKI, problem, wait_for
from tests.support.mvt import Feature, read_tile
from tests.support.people import person

if TYPE_CHECKING:
    import httpx

    from tests.support.api import Api, TestTenant

POLYGON = {
    "type": "Polygon",
    "coordinates": [[[24.93, 60.16], [24.95, 60.16], [24.95, 60.17], [24.93, 60.17], [24.93, 60.16]]],
}


def tile_at(lat: float, lng: float, z: int) -> Tile:
    n = 2**z
    x = int((lng + 180) / 360 * n)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n)
    return Tile(z, min(x, n - 1), min(max(y, 0), n - 1))


def get(client: httpx.Client, layer: str, tile: Tile, **headers: str) -> httpx.Response:
    return client.get(f"/v1/tiles/{layer}/{tile.z}/{tile.x}/{tile.y}.mvt", headers=headers)


def features(client: httpx.Client, layer: str, tile: Tile) -> list[Feature]:
    answer = get(client, layer, tile)
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    layers = read_tile(answer.content)
    assert list(layers) == [layer]
    return layers[layer]


def stored(tenant: TestTenant, *stores: dict[str, Any]) -> list[str]:
    """Their ids, once the process has heard of them."""
    ids = [tenant.store(f"store-{n}", **body)["store_id"] for n, body in enumerate(stores)]
    snapshot = tenant.api.services.memory.stores
    wait_for(lambda: all(snapshot.get(tenant.tenant_id, int(store_id)) for store_id in ids))  # type: ignore[arg-type]
    return ids


def test_a_store_stands_by_itself_where_one_looks_closely(tenant: TestTenant) -> None:
    (store_id,) = stored(tenant, {"name": "Kahvila"})
    (found,) = features(tenant.secret, "stores", tile_at(**HELSINKI, z=16))
    assert found.properties == {"store_id": store_id, "external_id": "store-0", "name": "Kahvila"}
    assert found.kind == 1
    ((x, y),) = found.corners
    assert 0 <= x <= 4096
    assert 0 <= y <= 4096


def test_stores_of_one_cell_are_counted_below_zoom_14(tenant: TestTenant) -> None:
    near = {"lat": HELSINKI["lat"] + 0.0001, "lng": HELSINKI["lng"]}
    stored(tenant, HELSINKI, near, {"lat": 61.5, "lng": 23.76})
    found = features(tenant.secret, "stores", tile_at(60.8, 24.4, z=5))
    assert sorted(one.properties.get("count", 0) for one in found) == [0, 2]
    assert len(features(tenant.secret, "stores", tile_at(**HELSINKI, z=14))) == 2


def test_stores_on_both_sides_of_180_degrees_are_counted_where_they_are(tenant: TestTenant) -> None:
    stored(
        tenant, {"lat": -16.80, "lng": 179.9999}, {"lat": -16.80, "lng": -179.9999}, {"lat": -16.80, "lng": 179.9998}
    )
    west, east = (features(tenant.secret, "stores", tile_at(-16.8, lng, z=8)) for lng in (-179.99, 179.99))
    # in the buffers of both tiles beside the seam, and at the edge that they share
    assert [one.properties.get("count") for one in west + east if one.properties.get("count", 0) > 1]
    for feature in west:
        assert abs(feature.corners[0][0]) < 30
    for feature in east:
        assert abs(feature.corners[0][0] - 4096) < 30


def test_a_deleted_store_leaves_the_map(tenant: TestTenant) -> None:
    first, second = stored(tenant, HELSINKI, HELSINKI)
    tile = tile_at(**HELSINKI, z=15)
    assert len(features(tenant.secret, "stores", tile)) == 2
    tenant.secret.delete(f"/v1/stores/{first}")
    wait_for(lambda: [one.properties["store_id"] for one in features(tenant.secret, "stores", tile)] == [second])


def test_a_circle_is_drawn_where_it_is_and_as_large_as_it_is(tenant: TestTenant) -> None:
    body = {"external_id": "round", "name": "Round", "center": HELSINKI, "radius_m": 500}
    fence = tenant.secret.post("/v1/fences", json=body).json()
    tile = tile_at(**HELSINKI, z=12)
    (found,) = features(tenant.secret, "fences", tile)
    assert found.kind == 3
    assert found.properties == {
        "fence_id": fence["fence_id"], "external_id": "round", "name": "Round", "kind": "circle", "radius_m": 500.0,
    }  # fmt: skip
    lng, lat, _ = Geod(ellps="WGS84").fwd([HELSINKI["lng"]] * 4, [HELSINKI["lat"]] * 4, [0, 90, 180, 270], [500] * 4)
    x_m, y_m = mercator_m(np.array(lat), np.array(lng))
    west, north = tile.middle_m[0] - tile.size_m / 2, tile.middle_m[1] + tile.size_m / 2
    xs = [x for x, _ in found.corners]
    ys = [y for _, y in found.corners]
    unit_m = tile.size_m / 4096
    assert (min(xs), max(xs)) == pytest.approx(((x_m[3] - west) / unit_m, (x_m[1] - west) / unit_m), abs=1)
    assert (min(ys), max(ys)) == pytest.approx(((north - y_m[0]) / unit_m, (north - y_m[2]) / unit_m), abs=1)


def test_a_polygon_is_drawn_and_an_edited_one_anew(tenant: TestTenant) -> None:
    fence = tenant.secret.post("/v1/fences", json={"external_id": "square", "geometry": POLYGON}).json()
    tile = tile_at(**HELSINKI, z=13)
    before = get(tenant.secret, "fences", tile)
    (found,) = read_tile(before.content)["fences"]
    assert found.properties["kind"] == "polygon"
    assert get(tenant.secret, "fences", tile, **{"If-None-Match": before.headers["etag"]}).status_code == 304
    tenant.secret.put(
        f"/v1/fences/{fence['fence_id']}", json={"external_id": "square", "center": HELSINKI, "radius_m": 80}
    )
    after = get(tenant.secret, "fences", tile, **{"If-None-Match": before.headers["etag"]})
    (found,) = read_tile(after.content)["fences"]
    assert found.properties["kind"] == "circle"
    tenant.secret.delete(f"/v1/fences/{fence['fence_id']}")
    assert get(tenant.secret, "fences", tile).status_code == 204


def test_only_large_fences_are_drawn_from_afar(tenant: TestTenant) -> None:
    for name, radius_m in (("small", 200), ("large", 20_000)):
        tenant.secret.post("/v1/fences", json={"external_id": name, "center": HELSINKI, "radius_m": radius_m})
    names = {
        z: {one.properties["external_id"] for one in features(tenant.secret, "fences", tile_at(**HELSINKI, z=z))}
        for z in (3, 8, 12)
    }
    assert names == {3: set(), 8: {"large"}, 12: {"small", "large"}}


def test_a_circle_across_180_degrees_is_drawn_on_both_sides(tenant: TestTenant) -> None:
    body = {"external_id": "dateline", "center": {"lat": -16.8, "lng": 179.999}, "radius_m": 2_000}
    tenant.secret.post("/v1/fences", json=body)
    for lng in (179.99, -179.99):
        (found,) = features(tenant.secret, "fences", tile_at(-16.8, lng, z=12))
        assert all(-64 <= x <= 4160 and -64 <= y <= 4160 for x, y in found.corners)
        assert max(x for x, _ in found.corners) - min(x for x, _ in found.corners) < 4000


def test_cells_are_those_that_the_engine_looks_fences_up_by(tenant: TestTenant) -> None:
    body = {"external_id": "round", "center": HELSINKI, "radius_m": 300}
    tenant.secret.post("/v1/fences", json=body)
    preview = tenant.secret.post("/v1/fences/preview", json={"center": HELSINKI, "radius_m": 300}).json()
    drawn: dict[str, Feature] = {}
    for x, y in ((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)):
        middle = tile_at(**HELSINKI, z=13)
        for one in features(tenant.secret, "cells", Tile(13, middle.x + x, middle.y + y)):
            drawn[one.properties["cell"]] = one
    assert set(drawn) == set(preview["cells"])
    assert all(one.properties["fences"] == 1 and one.kind == 3 for one in drawn.values())
    assert features(tenant.secret, "cells", tile_at(**HELSINKI, z=9)) == []


@pytest.mark.parametrize("layer", ["stores", "fences", "cells"])
def test_poles_and_the_seam_do_no_harm(tenant: TestTenant, layer: str) -> None:
    ring = [[lng, 80] for lng in (-180, -120, -60, 0, 60, 120, -180)]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    assert tenant.secret.post("/v1/fences", json={"external_id": "pole", "geometry": polygon}).status_code == 201
    for n, (lat, lng) in enumerate([(90, 0), (-90, 10), (85.05, 180), (-85.05, -180), (84.9, 179.99)]):
        tenant.store(f"edge-{n}", lat=lat, lng=lng)
        body = {"external_id": f"edge-{n}", "center": {"lat": lat, "lng": lng}, "radius_m": 90_000}
        assert tenant.secret.post("/v1/fences", json=body).status_code == 201
    for z in (0, 1, 2, 5, 9, 14, 22):
        n = 2**z
        for x, y in {(0, 0), (n - 1, 0), (0, n - 1), (n - 1, n - 1), (n // 2, n // 2)}:
            assert get(tenant.secret, layer, Tile(z, x, y)).status_code in {200, 204}, (z, x, y)
    if layer == "fences":
        assert features(tenant.secret, layer, tile_at(84.0, 0, z=3))


def test_a_tile_that_is_none_is_not_found(tenant: TestTenant) -> None:
    problem(tenant.secret.get("/v1/tiles/stores/3/8/0.mvt"), 404, "not-found")
    problem(tenant.secret.get("/v1/tiles/stores/23/0/0.mvt"), 422, "malformed")
    problem(tenant.secret.get("/v1/tiles/roads/3/0/0.mvt"), 422, "malformed")


def test_a_tile_is_one_tenants_own_and_private(api: Api, tenant: TestTenant) -> None:
    stored(tenant, HELSINKI)
    tenant.secret.post("/v1/fences", json={"external_id": "round", "center": HELSINKI, "radius_m": 300})
    tile = tile_at(**HELSINKI, z=14)
    stranger = api.tenant()
    for layer in ("stores", "fences", "cells"):
        answer = get(tenant.secret, layer, tile)
        assert answer.status_code == 200
        assert "private" in answer.headers["cache-control"]
        assert get(stranger.secret, layer, tile).status_code == 204


def test_a_large_tile_is_packed_for_who_reads_that(tenant: TestTenant) -> None:
    for n in range(40):
        body = {"external_id": f"f{n}", "center": {"lat": 60.17 + n / 2e4, "lng": 24.94}, "radius_m": 100 + n}
        tenant.secret.post("/v1/fences", json=body)
    tile = tile_at(60.17, 24.94, z=12)
    packed, plain = (
        get(tenant.secret, "fences", tile),
        get(tenant.secret, "fences", tile, **{"Accept-Encoding": "identity"}),
    )
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert read_tile(packed.content) == read_tile(plain.content)


def test_a_map_opens_where_the_stores_are(tenant: TestTenant) -> None:
    assert tenant.secret.get("/v1/map/bounds").json() == {"bounds": None}
    stored(tenant, HELSINKI, {"lat": 59.4, "lng": 24.7})
    assert tenant.secret.get("/v1/map/bounds").json() == {"bounds": [24.7, 59.4, 24.9384, 60.1699]}


def test_a_map_across_180_degrees_does_not_show_the_whole_world(tenant: TestTenant) -> None:
    stored(tenant, {"lat": -17.0, "lng": 178.0}, {"lat": -18.0, "lng": -179.0}, {"lat": -16.5, "lng": 179.5})
    assert tenant.secret.get("/v1/map/bounds").json() == {"bounds": [178.0, -18.0, -179.0, -16.5]}


def test_a_store_manager_sees_all_stores_and_opens_the_map_at_their_own(tenant: TestTenant) -> None:
    own, _ = stored(tenant, HELSINKI, {"lat": 59.4, "lng": 24.7})
    manager = person(tenant, "store_manager", store_ids=[own])
    assert manager.get("/v1/map/bounds").json() == {"bounds": [24.9384, 60.1699, 24.9384, 60.1699]}
    assert len(features(manager, "stores", tile_at(59.4, 24.7, z=15))) == 1


def test_places_on_the_map_are_those_of_web_mercator() -> None:
    x_m, y_m = mercator_m(np.array([0.0, 60.1699, -33.9]), np.array([0.0, 24.9384, 151.2]))
    assert x_m.tolist() == pytest.approx([0.0, 2_776_129.0, 16_831_507.0], rel=1e-4)
    assert y_m.tolist() == pytest.approx([0.0, 8_437_943.0, -4_016_190.0], rel=1e-3)
    assert all(a != b for a, b in pairwise(x_m.tolist()))
