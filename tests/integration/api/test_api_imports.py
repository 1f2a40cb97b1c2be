"""Files over HTTP: the body is the file; its rows end up as those of `lbs import` do."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from geofences.tables import fences, stores
from lbs import import_jobs
from lbs.api import imports as routes
from lbs.tables import imports
from tests.support.api import problem, running_api, settings_for, wait_for
from tests.support.people import person
from tests.support.uploads import collection, feature

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import Api, TestTenant

CSV = """external_id,name,lat,lng,opening_hours,floor
a,Kahvila,60.17,24.94,Mo-Fr 08:00-16:00,2
b,Baari,60.171,24.941,,1
c,Nowhere,91,24.9,,
b,Baari Kaksi,60.172,24.942,,1
"""
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[24.93, 60.16], [24.95, 60.16], [24.95, 60.17], [24.93, 60.17], [24.93, 60.16]]],
}


def send(client: httpx.Client, kind: str, body: str | bytes, **query: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/imports/{kind}", content=body, params=query)
    assert answer.status_code == 200, answer.text
    found = dict(answer.json())
    assert client.get(f"/v1/imports/{found['import_id']}").json() == found
    return found


def over(client: httpx.Client, path: str) -> dict[str, Any] | None:
    """The import once it is done."""
    found = dict(client.get(path).json())
    assert found["state"] in {"waiting", "reading", "writing", "done"}
    return found if found["state"] == "done" else None


def stored(api: Api, tenant: TestTenant, table: sa.Table) -> dict[str, Any]:
    with api.system.connect() as connection:
        wanted = sa.select(table).where(table.c.tenant_id == tenant.tenant_id, table.c.deleted_at.is_(None))
        return {row.external_id: row for row in connection.execute(wanted)}


def test_stores_of_a_csv_are_stored_with_an_account_of_every_row(api: Api, tenant: TestTenant) -> None:
    found = send(tenant.secret, "stores", CSV)
    assert (found["state"], found["done"], found["total"], found["error"]) == ("done", 2, 2, None)
    assert found["report"] == {
        "created": 2, "updated": 0, "unchanged": 0, "rows": 4, "duplicates": 1, "dry_run": False, "fences": None,
        "refused": [{"row": 3, "external_id": "c", "reason": "lat 91.0 is out of range"}], "refused_count": 1,
        "warnings": [], "warnings_count": 0,
    }  # fmt: skip
    assert {external_id: row.name for external_id, row in stored(api, tenant, stores).items()} == {
        "a": "Kahvila", "b": "Baari Kaksi",
    }  # fmt: skip


def test_the_same_file_again_changes_nothing(api: Api, tenant: TestTenant) -> None:
    send(tenant.secret, "stores", CSV, fence_radius_m=100)
    before = stored(api, tenant, fences)
    report = send(tenant.secret, "stores", gzip.compress(CSV.encode()), fence_radius_m=100)["report"]
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, 2)
    assert report["fences"] == {"created": 0, "updated": 0, "unchanged": 2}
    assert stored(api, tenant, fences) == before


def test_a_dry_run_shows_how_the_file_is_understood_and_stores_nothing(api: Api, tenant: TestTenant) -> None:
    found = send(tenant.secret, "stores", CSV, dry_run=True, map="name=external_id,opening_hours=")
    preview = found["preview"]
    assert {one["column"]: (one["field"], one["use"]) for one in preview["columns"]} == {
        "external_id": ("name", "field"), "name": (None, "attribute"), "lat": ("lat", "field"), "lng": ("lng", "field"),
        "opening_hours": (None, "ignored"), "floor": (None, "attribute"),
    }  # fmt: skip
    assert preview["accepted"] == found["report"]["created"]
    first = preview["rows"][0]
    assert (first["row"], first["name"], first["lat"], first["timezone"]) == (1, "a", 60.17, "Europe/Helsinki")
    assert first["attributes"] == {"name": "Kahvila", "floor": "2"}
    assert [refused["row"] for refused in preview["refused"]] == [3]
    assert found["report"]["dry_run"]
    assert stored(api, tenant, stores) == {}


def test_fences_of_a_geojson_are_linked_to_their_stores(api: Api, tenant: TestTenant) -> None:
    tenant.store("a")
    text = collection(
        feature(SQUARE, external_id="square", store_external_id="a"),
        feature(SQUARE, external_id="lost", store_external_id="nobody"),
        feature(external_id="round", radius_m=50),
    )
    found = send(tenant.secret, "fences", text, profile="plain")
    assert found["report"]["created"] == 2
    assert [refused["external_id"] for refused in found["report"]["refused"]] == ["lost"]
    rows = stored(api, tenant, fences)
    assert rows["square"].store_id is not None
    assert rows["round"].store_id is None
    preview = send(tenant.secret, "fences", text, dry_run=True)["preview"]
    assert [(row["external_id"], row["kind"], row["radius_m"]) for row in preview["rows"]] == [
        ("square", "polygon", None), ("lost", "polygon", None), ("round", "circle", 50.0),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["stores", "fences"])
def test_bytes_that_are_no_text_are_told_as_well_as_one_can(tenant: TestTenant, kind: str) -> None:
    body = b"external_id,na\xffme,lat\x00,lng\n\xfe,\x00,1,2\n"
    found = send(tenant.secret, kind, body, dry_run=True)
    assert found["preview"]["accepted"] == 0
    assert [refused["row"] for refused in found["report"]["refused"]] == [1]
    assert "lat\ufffd" in {one["column"] for one in found["preview"]["columns"]}


@pytest.mark.parametrize(("kind", "body", "query", "slug"), [
    ("stores", b"", {}, "unreadable-file"),
    ("stores", b"\x1f\x8b\x08broken", {}, "unreadable-file"),
    ("stores", b"\xff\xfea\x00", {}, "unreadable-file"),
    ("stores", CSV.encode(), {"map": "height=lat"}, "invalid-map"),
    ("stores", CSV.encode(), {"map": "lat=y"}, "unreadable-file"),
    ("stores", CSV.encode(), {"fence_radius_m": 0}, "malformed"),
    ("fences", CSV.encode(), {"profile": "strict"}, "malformed"),
])  # fmt: skip
def test_what_cannot_be_a_file_is_refused_by_name(
    tenant: TestTenant, kind: str, body: bytes, query: dict[str, Any], slug: str
) -> None:
    problem(tenant.secret.post(f"/v1/imports/{kind}", content=body, params=query), 422, slug)
    assert stored(tenant.api, tenant, stores) == {}


def test_a_file_that_is_too_large_is_refused_and_stored_nowhere(
    new_database_url: Callable[[], str], redis_url: str
) -> None:
    with running_api(settings_for(new_database_url(), redis_url, max_import_bytes=1_000, max_body_bytes=100)) as api:
        tenant = api.tenant()
        row = "a,Kahvila,60.17,24.94,,\n"
        assert tenant.secret.post("/v1/imports/stores", content=CSV).status_code == 200
        for body in (CSV + 60 * row, (part.encode() for part in [CSV, *(60 * [row])])):
            refusal = problem(tenant.secret.post("/v1/imports/stores", content=body), 413, "body-too-large")
            assert refusal["detail"] == "at most 1000 bytes are accepted"
        # everything else keeps its own limit
        problem(tenant.secret.post("/v1/stores", json={"name": "x" * 200}), 413, "body-too-large")


def test_who_may_not_import_is_refused_before_the_file_is_read(tenant: TestTenant) -> None:
    read = threading.Event()

    def body() -> Any:
        yield CSV.encode()
        read.set()
        yield b"x" * 1_000_000

    analyst = person(tenant, "analyst")
    with httpx.Client(base_url=tenant.api.url, headers=analyst.headers, cookies=analyst.cookies) as client:
        answer = client.post("/v1/imports/stores", content=body())
    problem(answer, 403, "forbidden")


def test_a_long_import_is_answered_at_once_and_asked_after(
    api: Api, tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWERED_WITHIN_S", 0.0)
    lines = "".join(f"s{n},Shop,60.{n:05d},24.9,,\n" for n in range(2_500))
    answer = tenant.secret.post("/v1/imports/stores", content=CSV.partition("\n")[0] + "\n" + lines)
    assert answer.status_code == 202
    path = f"/v1/imports/{answer.json()['import_id']}"
    found = wait_for(lambda: over(tenant.secret, path))
    assert found["report"]["created"] == found["total"] == 2_500
    assert len(stored(api, tenant, stores)) == 2_500


def test_an_import_whose_process_ended_is_told_as_interrupted(api: Api, tenant: TestTenant) -> None:
    import_id = send(tenant.secret, "stores", CSV)["import_id"]
    long_ago = api.services.now() - 2 * import_jobs.SILENT
    with api.system.begin() as connection:
        mine = imports.c.import_id == int(import_id)
        connection.execute(sa.update(imports).where(mine).values(state="writing", seen_at=long_ago))
    assert tenant.secret.get(f"/v1/imports/{import_id}").json()["state"] == "interrupted"


def test_a_process_that_stops_leaves_whole_rows_and_says_so(
    new_database_url: Callable[[], str], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ANSWERED_WITHIN_S", 0.0)
    url = new_database_url()
    lines = "".join(f"s{n},Shop,60.{n:05d},24.9,,\n" for n in range(6_000))
    with running_api(settings_for(url, redis_url)) as api:
        tenant = api.tenant()
        body = CSV.partition("\n")[0] + "\n" + lines
        import_id = int(tenant.secret.post("/v1/imports/stores", content=body).json()["import_id"])
        wait_for(lambda: tenant.secret.get(f"/v1/imports/{import_id}").json()["state"] == "writing")
    with api.system.connect() as connection:
        row = connection.execute(sa.select(imports).where(imports.c.import_id == import_id)).one()
    assert row.state in {"interrupted", "done"}
    assert len(stored(api, tenant, stores)) % 2_000 == 0


def test_an_import_is_in_the_audit_and_is_its_tenants_own(api: Api, tenant: TestTenant) -> None:
    marketer = person(tenant, "marketer")
    import_id = send(marketer, "stores", CSV)["import_id"]
    entry = tenant.secret.get("/v1/audit", params={"limit": 1}).json()["items"][0]
    assert (entry["operation"], entry["object_id"]) == ("import_stores", import_id)
    assert entry["actor"].startswith("user:")
    problem(api.tenant().secret.get(f"/v1/imports/{import_id}"), 404, "not-found")


def test_others_are_answered_while_a_file_is_taken_in(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ANSWERED_WITHIN_S", 0.0)
    lines = "".join(json.dumps(feature(external_id=f"f{n}", radius_m=50 + n)) + "\n" for n in range(300))
    path = f"/v1/imports/{tenant.secret.post('/v1/imports/fences', content=lines).json()['import_id']}"
    while over(tenant.secret, path) is None:
        assert tenant.secret.get("/v1/stores").status_code == 200
