"""Stores, fences, and the searches that are answered from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api import HELSINKI, SELF_CROSSING, Api, TestTenant, problem, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

SQUARE = {
    "type": "Polygon",
    "coordinates": [[[24.93, 60.16], [24.95, 60.16], [24.95, 60.17], [24.93, 60.17], [24.93, 60.16]]],
}
CIRCLE = {"center": HELSINKI, "radius_m": 100}


def test_a_store_is_created_read_replaced_and_deleted(tenant: TestTenant) -> None:
    store = tenant.store(brand="Kahvila", categories=["coffee"], opening_hours="Mo-Fr 08:00-18:00", attributes={"a": 1})
    assert store["timezone"] == "Europe/Helsinki"
    path = f"/v1/stores/{store['store_id']}"
    assert tenant.secret.get(path).json() == store
    changed = {"external_id": "store-1", "name": "New", **HELSINKI, "timezone": "Europe/Stockholm"}
    after = tenant.secret.put(path, json=changed).json()
    assert (after["store_id"], after["name"], after["timezone"], after["brand"]) == (
        store["store_id"],
        "New",
        "Europe/Stockholm",
        None,
    )
    problem(tenant.secret.put(path, json={**changed, "external_id": "other"}), 409, "conflict")
    problem(tenant.secret.post("/v1/stores", json=changed), 409, "conflict")
    assert tenant.secret.delete(path).status_code == 204
    for answer in (tenant.secret.get(path), tenant.secret.delete(path), tenant.secret.put(path, json=changed)):
        problem(answer, 404, "not-found")
    back = tenant.secret.post("/v1/stores", json=changed)
    assert back.status_code == 201, "a deleted store's external id is free again"


@pytest.mark.parametrize(
    ("given", "slug", "where"),
    [
        ({"lat": 91}, "malformed", "body.lat"),
        ({"lng": 181}, "malformed", "body.lng"),
        ({"timezone": "Mars/Base"}, "malformed", "body.timezone"),
        ({"opening_hours": "Mo-Xx nonsense ["}, "invalid-opening-hours", None),
        ({"categories": ["a\0"]}, "malformed", "body"),
        ({"nme": "typo"}, "malformed", "body.nme"),
        ({"name": ""}, "malformed", "body.name"),
    ],
)
def test_a_store_that_cannot_be_is_refused(
    tenant: TestTenant, given: Mapping[str, Any], slug: str, where: str | None
) -> None:
    body = {"external_id": "store-1", "name": "Shop", **HELSINKI, **given}
    answer = problem(tenant.secret.post("/v1/stores", json=body), 422, slug)
    if where is not None:
        assert [fault["where"] for fault in answer["errors"]] == [where]


def test_ids_that_are_none_are_not_found(tenant: TestTenant) -> None:
    for text in ("abc", "-1", "1.0", "9" * 30, "%00", "\u0661"):
        for resource in ("stores", "fences", "webhooks"):
            problem(tenant.secret.get(f"/v1/{resource}/{text}"), 404, "not-found")


def test_lists_go_on_where_the_page_before_ended(tenant: TestTenant) -> None:
    for i in range(5):
        tenant.store(f"store-{i}")
    seen: list[str] = []
    cursor = None
    while True:
        page = tenant.secret.get("/v1/stores", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [store["external_id"] for store in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert seen == [f"store-{i}" for i in range(5)]
    (found,) = tenant.secret.get("/v1/stores", params={"external_id": "store-3"}).json()["items"]
    assert found["external_id"] == "store-3"
    for bad in ("nonsense", "e30", "äö"):
        problem(tenant.secret.get("/v1/stores", params={"cursor": bad}), 422, "malformed")
    for limit in (0, 1001):
        problem(tenant.secret.get("/v1/stores", params={"limit": limit}), 422, "malformed")


def test_a_fence_is_created_read_replaced_and_deleted(tenant: TestTenant) -> None:
    store = tenant.store()
    body = {"external_id": "fence-1", "store_id": store["store_id"], **CIRCLE, "settings": {"dwell_s": 60}}
    created = tenant.secret.post("/v1/fences", json=body)
    assert created.status_code == 201
    fence = created.json()
    assert fence["geometry"] == {"type": "Point", "coordinates": [HELSINKI["lng"], HELSINKI["lat"]]}
    assert (fence["radius_m"], fence["version"], fence["settings"]) == (100, 1, {"dwell_s": 60})
    assert fence["store_id"] == store["store_id"]
    path = f"/v1/fences/{fence['fence_id']}"
    assert tenant.secret.get(path).json() == fence
    square = {"external_id": "fence-1", "geometry": SQUARE, "profile": "plain"}
    after = tenant.secret.put(path, json=square).json()
    assert (after["fence_id"], after["version"], after["geometry"]["type"]) == (fence["fence_id"], 2, "Polygon")
    problem(tenant.secret.post("/v1/fences", json=square), 409, "conflict")
    problem(tenant.secret.put(path, json={**square, "external_id": "x"}), 409, "conflict")
    assert [row["fence_id"] for row in tenant.secret.get("/v1/fences").json()["items"]] == [fence["fence_id"]]
    assert tenant.secret.delete(path).status_code == 204
    for answer in (tenant.secret.get(path), tenant.secret.delete(path), tenant.secret.put(path, json=square)):
        problem(answer, 404, "not-found")


@pytest.mark.parametrize(
    ("given", "slug", "says"),
    [
        ({"geometry": SELF_CROSSING}, "invalid-geometry", "coordinates[0]: self-intersection at lat 0.5"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "invalid-geometry", "coordinates[0]"),
        ({"geometry": {"type": "LineString", "coordinates": []}}, "invalid-geometry", "LineString"),
        ({"geometry": {"type": "Point", "coordinates": [0, 0]}}, "invalid-geometry", "radius_m"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [0, 91], [1, 1], [0, 0]]]}},
            "invalid-geometry",
            "91",
        ),
        ({"geometry": {}}, "invalid-geometry", "type"),
        ({}, "malformed", "give either geometry or center"),
        ({**CIRCLE, "geometry": SQUARE}, "malformed", "give either geometry or center"),
        ({"center": HELSINKI}, "malformed", "radius_m"),
        ({**CIRCLE, "radius_m": 0.5}, "malformed", "body.radius_m"),
        ({**CIRCLE, "store_id": "1234567"}, "malformed", "no such store"),
        ({**CIRCLE, "store_id": "x"}, "malformed", "no such store"),
        ({**CIRCLE, "profile": "fancy"}, "malformed", "body.profile"),
        ({**CIRCLE, "settings": {"dwel_s": 1}}, "malformed", "body.settings.dwel_s"),
        ({**CIRCLE, "settings": {"dwell_s": -1}}, "malformed", "body.settings.dwell_s"),
    ],
)
def test_a_fence_that_cannot_be_is_refused_with_the_place(
    tenant: TestTenant, given: Mapping[str, Any], slug: str, says: str
) -> None:
    answer = problem(tenant.secret.post("/v1/fences", json={"external_id": "f", **given}), 422, slug)
    assert says in answer["detail"]


def test_a_preview_shows_the_cells_and_stores_nothing(tenant: TestTenant) -> None:
    preview = tenant.secret.post("/v1/fences/preview", json={"geometry": SQUARE}).json()
    assert preview["kind"] == "polygon"
    assert preview["area_m2"] == pytest.approx(1_237_196, rel=1e-4)
    assert preview["resolution"] == 9
    assert all(len(cell) == 15 for cell in preview["cells"])
    assert preview["warnings"] == []
    across = [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]]
    split = tenant.secret.post(
        "/v1/fences/preview", json={"geometry": {"type": "Polygon", "coordinates": across}}
    ).json()
    assert (split["kind"], len(split["warnings"])) == ("multipolygon", 1)
    problem(tenant.secret.post("/v1/fences/preview", json={"geometry": SELF_CROSSING}), 422, "invalid-geometry")
    problem(tenant.app.post("/v1/fences/preview", json=CIRCLE), 403, "forbidden")
    assert tenant.secret.get("/v1/fences").json()["items"] == []


def test_a_preview_names_the_fences_it_overlaps_but_not_those_it_touches(tenant: TestTenant) -> None:
    beside = {
        "type": "Polygon",
        "coordinates": [[[24.95, 60.16], [24.97, 60.16], [24.97, 60.17], [24.95, 60.17], [24.95, 60.16]]],
    }
    stored: dict[str, dict[str, Any]] = {
        "square": {"geometry": SQUARE},
        "beside": {"geometry": beside},
        "circle": {"center": {"lat": 60.165, "lng": 24.94}, "radius_m": 20},
        "large": {"center": {"lat": 60.165, "lng": 24.94}, "radius_m": 90_000},
        "far": {"center": {"lat": 61.5, "lng": 24.94}, "radius_m": 20},
    }
    for external_id, shape in stored.items():
        assert tenant.secret.post("/v1/fences", json={"external_id": external_id, **shape}).status_code == 201

    def overlapped(shape: Mapping[str, Any]) -> list[str]:
        preview = tenant.secret.post("/v1/fences/preview", json=shape).json()
        return [fence["external_id"] for fence in preview["overlaps"]]

    assert overlapped({"geometry": SQUARE}) == ["square", "circle", "large"]
    assert overlapped({"geometry": beside}) == ["beside", "large"]
    assert overlapped({"center": {"lat": 60.165, "lng": 24.9406}, "radius_m": 20}) == ["square", "circle", "large"]
    assert overlapped({"center": {"lat": 60.165, "lng": 24.941}, "radius_m": 20}) == ["square", "large"]
    assert overlapped({"center": {"lat": 0, "lng": 0}, "radius_m": 20}) == []


def test_a_preview_says_how_sure_one_can_be_inside(tenant: TestTenant) -> None:
    def best(radius_m: float) -> float:
        shape = {"center": HELSINKI, "radius_m": radius_m}
        return float(tenant.secret.post("/v1/fences/preview", json=shape).json()["best_confidence"])

    assert best(15) < 0.5 < best(16)
    assert best(100) == pytest.approx(1.0)


def test_fences_are_found_by_store_and_by_text(tenant: TestTenant) -> None:
    store = tenant.store()
    for external_id, name, store_id in (
        ("door-1", "Main door", store["store_id"]),
        ("yard-1", None, store["store_id"]),
        ("door-2", "50% off", None),
    ):
        body = {"external_id": external_id, "name": name, "store_id": store_id, **CIRCLE}
        assert tenant.secret.post("/v1/fences", json=body).status_code == 201

    def found(**params: str) -> list[str]:
        return [fence["external_id"] for fence in tenant.secret.get("/v1/fences", params=params).json()["items"]]

    assert found(store_id=store["store_id"]) == ["door-1", "yard-1"]
    assert found(q="DOOR") == ["door-1", "door-2"]
    assert found(q="0%") == ["door-2"], "no wildcard"
    assert found(store_id=store["store_id"], q="main") == ["door-1"]
    problem(tenant.secret.get("/v1/fences", params={"store_id": "x"}), 404, "not-found")


def test_a_match_says_which_fences_hold_a_position(tenant: TestTenant) -> None:
    fence = tenant.secret.post("/v1/fences", json={"external_id": "fence-1", **CIRCLE}).json()
    positions = [HELSINKI, {"lat": 60.2, "lng": 24.9384}, {**HELSINKI, "accuracy_m": 500}]

    def matched() -> Any:
        answer = tenant.app.post("/v1/fences/match", json={"positions": positions})
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        return items if items[0] else None

    at_center, outside, unsure = wait_for(matched)
    (hit,) = at_center
    assert (hit["fence_id"], hit["external_id"]) == (fence["fence_id"], "fence-1")
    assert hit["signed_distance_m"] == pytest.approx(100, abs=0.01)
    assert hit["confidence"] > 0.99
    assert outside == []
    assert unsure[0]["confidence"] < 0.2

    tenant.secret.delete(f"/v1/fences/{fence['fence_id']}")
    wait_for(lambda: matched() is None)
    problem(tenant.app.post("/v1/fences/match", json={"positions": [HELSINKI] * 1001}), 422, "malformed")
    problem(tenant.app.post("/v1/fences/match", json={"positions": [{"lat": 91, "lng": 0}]}), 422, "malformed")


def test_a_fence_of_a_sandbox_was_always_in_force(api: Api) -> None:
    sandbox = api.tenant(sandbox=True)
    fence = sandbox.secret.post("/v1/fences", json={"external_id": "f", **CIRCLE}).json()
    assert fence["effective_at"] == "1970-01-01T00:00:00Z"


def nearby(tenant: TestTenant, **params: Any) -> list[str]:
    answer = tenant.app.get("/v1/stores/nearby", params=params)
    assert answer.status_code == 200, answer.text
    return [store["external_id"] for store in answer.json()["items"]]


@pytest.fixture
def street(tenant: TestTenant) -> TestTenant:
    """Five shops in a row to the north, each about 111 m from the next."""
    for i in range(5):
        tenant.store(
            f"store-{i}",
            name=f"Shop {i}",
            lat=HELSINKI["lat"] + i / 1000,
            brand="Kahvila" if i % 2 else "Leipomo",
            categories=["coffee"] if i < 3 else ["bread"],
            opening_hours="24/7" if i == 4 else "Mo-Su 00:00-00:01" if i == 3 else None,
        )
    wait_for(lambda: len(nearby(tenant, **HELSINKI)) == 5)
    return tenant


def test_stores_come_nearest_first_page_by_page(street: TestTenant) -> None:
    assert nearby(street, **HELSINKI) == [f"store-{i}" for i in range(5)]
    first = street.app.get("/v1/stores/nearby", params={**HELSINKI, "limit": 2}).json()
    assert first["items"][0]["distance_m"] == 0
    assert first["items"][1]["distance_m"] == pytest.approx(111.4, abs=0.2)
    second = street.app.get("/v1/stores/nearby", params={**HELSINKI, "limit": 2, "cursor": first["next_cursor"]}).json()
    assert [store["external_id"] for store in second["items"]] == ["store-2", "store-3"]
    third = street.app.get("/v1/stores/nearby", params={**HELSINKI, "limit": 2, "cursor": second["next_cursor"]}).json()
    assert [store["external_id"] for store in third["items"]] == ["store-4"]
    assert third["next_cursor"] is None


def test_a_search_can_be_narrowed(street: TestTenant) -> None:
    assert nearby(street, **HELSINKI, radius_m=150) == ["store-0", "store-1"]
    assert nearby(street, **HELSINKI, brand="kahvila") == ["store-1", "store-3"]
    assert nearby(street, **HELSINKI, category="bread") == ["store-3", "store-4"]
    assert nearby(street, **HELSINKI, q="shop 2") == ["store-2"]
    assert nearby(street, **HELSINKI, open_at="2026-06-01T12:00:00Z") == ["store-4"]
    assert nearby(street, **HELSINKI, open_at="2026-05-31T21:00:30Z") == ["store-3", "store-4"]
    assert nearby(street, **HELSINKI, open_now=True, radius_m=500)[-1:] == ["store-4"]
    assert nearby(street, cell="891126d338fffff", limit=1) == ["store-0"]


@pytest.mark.parametrize(
    ("params", "slug"),
    [
        ({}, "malformed"),
        ({"lat": 60}, "malformed"),
        ({**HELSINKI, "cell": "891126d338fffff"}, "malformed"),
        ({"cell": "xyz"}, "invalid-position"),
        ({"cell": "ffffffffffffffff"}, "invalid-position"),
        ({"lat": 91, "lng": 0}, "malformed"),
        ({"lat": "NaN", "lng": 0}, "malformed"),
        ({**HELSINKI, "radius_m": "inf"}, "malformed"),
        ({**HELSINKI, "cursor": "AAAA"}, "malformed"),
        ({**HELSINKI, "open_at": "9999-12-31T23:59:59Z"}, "malformed"),
    ],
)
def test_a_search_from_nowhere_is_refused(tenant: TestTenant, params: Mapping[str, Any], slug: str) -> None:
    problem(tenant.app.get("/v1/stores/nearby", params=dict(params)), 422, slug)


def test_a_store_says_whether_it_is_open(street: TestTenant) -> None:
    ids = {
        store["external_id"]: store["store_id"]
        for store in street.app.get("/v1/stores/nearby", params=HELSINKI).json()["items"]
    }
    answer = street.app.get(f"/v1/stores/{ids['store-3']}/open", params={"at": "2026-05-31T21:00:30Z"}).json()
    assert answer == {"open": True, "next_change": "2026-05-31T21:01:00Z", "reason": "open"}
    closed = street.app.get(f"/v1/stores/{ids['store-3']}/open", params={"at": "2026-05-31T21:01:00Z"}).json()
    assert closed == {"open": False, "next_change": "2026-06-01T21:00:00Z", "reason": "closed"}
    unknown = street.app.get(f"/v1/stores/{ids['store-0']}/open").json()
    assert unknown == {"open": None, "next_change": None, "reason": "no_opening_hours"}
    problem(street.app.get("/v1/stores/1234567/open"), 404, "not-found")


def test_a_deleted_store_is_found_no_more(street: TestTenant) -> None:
    (store,) = street.secret.get("/v1/stores", params={"external_id": "store-1"}).json()["items"]
    street.secret.delete(f"/v1/stores/{store['store_id']}")
    wait_for(lambda: nearby(street, **HELSINKI) == ["store-0", "store-2", "store-3", "store-4"])
