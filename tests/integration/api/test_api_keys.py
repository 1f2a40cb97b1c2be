"""Who may do what: keys, device tokens, and that nobody reaches another tenant's things."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

import lbs.tables  # noqa: F401 - so that all tables are known
import offers.tables  # noqa: F401
from geofences.store import use_tenant
from geofences.tables import metadata
from lbs.auth import INSTALLATION, hash_key
from lbs.tables import KeyKind, audit, invitations, keys, sessions, users
from tests.support.api import HELSINKI, LOCATED, Api, TestTenant, position, problem, wait_for
from tests.support.people import installer, person

if TYPE_CHECKING:
    import httpx

TENANT_TABLES = sorted((table for table in metadata.tables.values() if "tenant_id" in table.c), key=str)
PARTITIONED = ("geofences.positions", "geofences.events", "offers.decisions")


def test_a_key_is_shown_once_and_only_its_hash_is_stored(api: Api, tenant: TestTenant) -> None:
    made = tenant.secret.post("/v1/keys", json={"kind": "publishable"}).json()
    assert made["key"].startswith("lbs_pk_")
    assert made["key"].startswith(made["prefix"])
    listed = tenant.secret.get("/v1/keys").json()["items"]
    assert made["key_id"] in [key["key_id"] for key in listed]
    assert "key" not in listed[0]
    with api.system.connect() as connection:
        row = connection.execute(sa.select(keys).where(keys.c.key_id == int(made["key_id"]))).one()
    assert bytes(row.hash) == hash_key(made["key"])
    assert made["key"] not in str(row)


def test_a_revoked_key_is_refused_at_once(tenant: TestTenant) -> None:
    made = tenant.secret.post("/v1/keys", json={"kind": "secret"}).json()
    client = tenant.api.client(made["key"])
    assert client.get("/v1/keys").status_code == 200
    assert tenant.secret.delete(f"/v1/keys/{made['key_id']}").status_code == 204
    problem(client.get("/v1/keys"), 401, "unauthorized")
    problem(tenant.secret.delete(f"/v1/keys/{made['key_id']}"), 404, "not-found")


def test_a_store_key_needs_a_store_of_the_tenant(api: Api, tenant: TestTenant) -> None:
    store = tenant.store()
    made = tenant.secret.post("/v1/keys", json={"kind": "store", "store_id": store["store_id"]})
    assert made.status_code == 201
    assert made.json()["key"].startswith("lbs_st_")
    till = api.client(made.json()["key"])
    problem(till.get("/v1/keys"), 403, "forbidden")
    problem(till.get("/v1/stores/nearby", params=HELSINKI), 403, "forbidden")
    problem(tenant.secret.post("/v1/keys", json={"kind": "store"}), 422, "malformed")
    problem(tenant.secret.post("/v1/keys", json={"kind": "secret", "store_id": "1"}), 422, "malformed")
    problem(tenant.secret.post("/v1/keys", json={"kind": "device"}), 422, "malformed")
    other = api.tenant().store()
    body = {"kind": "store", "store_id": other["store_id"]}
    problem(tenant.secret.post("/v1/keys", json=body), 404, "not-found")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Basic YTpi",
        "Bearer nonsense",
        "Bearer lbs_sk_" + "A" * 43,
        "Bearer lbs_dt_AAAA.AAAA",
        "Bearer lbs_dt_",
        "Bearer lbs_dt_ä.ö",
        "Bearer lbs_dt_" + "A" * 22 + "." + "A" * 43,
    ],
)
def test_without_a_good_key_nothing_is_done(api: Api, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/positions"), ("GET", "/v1/stores/nearby")):
        answer = api.client().request(method, path, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_changed_token_is_refused(tenant: TestTenant) -> None:
    token = tenant.device("phone").headers["Authorization"].removeprefix("Bearer ")
    payload, signature = token.removeprefix("lbs_dt_").split(".")
    flipped = "A" if payload[0] != "A" else "B"
    for forged in (f"lbs_dt_{flipped}{payload[1:]}.{signature}", f"lbs_dt_{payload}.{signature[::-1]}"):
        problem(tenant.api.client(forged).get("/v1/devices/phone"), 401, "unauthorized")


def test_an_app_may_do_nothing_that_needs_a_secret_key(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    secret_routes = [
        ("GET", "/v1/stores"),
        ("POST", "/v1/stores"),
        ("PUT", "/v1/stores/1"),
        ("DELETE", "/v1/stores/1"),
        ("GET", "/v1/fences"),
        ("POST", "/v1/fences"),
        ("GET", "/v1/fences/1"),
        ("PUT", "/v1/fences/1"),
        ("DELETE", "/v1/fences/1"),
        ("POST", "/v1/fences/preview"),
        ("GET", "/v1/webhooks"),
        ("POST", "/v1/webhooks"),
        ("GET", "/v1/webhooks/1"),
        ("PUT", "/v1/webhooks/1"),
        ("DELETE", "/v1/webhooks/1"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", "/v1/keys/1"),
    ]
    bodies: dict[str, Any] = {
        "stores": {"external_id": "s", "name": "S", **HELSINKI},
        "fences": {"external_id": "f", "center": HELSINKI, "radius_m": 10},
        "preview": {"center": HELSINKI, "radius_m": 10},
        "webhooks": {"url": "https://partner.example"},
        "keys": {"kind": "secret"},
    }
    for method, path in secret_routes:
        resource = "preview" if path.endswith("preview") else path.split("/")[2]
        body = bodies[resource] if method in {"POST", "PUT"} else None
        for client in (tenant.app, phone):
            problem(client.request(method, path, json=body), 403, "forbidden")


def test_an_app_and_a_device_may_search(tenant: TestTenant) -> None:
    for client in (tenant.app, tenant.device("phone"), tenant.secret):
        assert client.get("/v1/stores/nearby", params=HELSINKI).status_code == 200
        assert client.get("/v1/push/key").json()["public_key"]


def matched(tenant: TestTenant) -> list[dict[str, Any]]:
    """The fences that hold the middle of Helsinki."""
    (fences,) = tenant.app.post("/v1/fences/match", json={"positions": [HELSINKI]}).json()["items"]
    return list(fences)


def found_nearby(tenant: TestTenant) -> list[dict[str, Any]]:
    """The stores about the middle of Helsinki."""
    return list(tenant.app.get("/v1/stores/nearby", params=HELSINKI).json()["items"])


def test_two_tenants_with_the_same_names_see_nothing_of_each_other(api: Api) -> None:
    ours, theirs = api.tenant(), api.tenant()
    stores = [tenant.store("store-1", name=name) for tenant, name in ((ours, "ours"), (theirs, "theirs"))]
    phones: list[httpx.Client] = []
    for tenant, user in ((ours, "anna"), (theirs, "berta")):
        tenant.secret.post("/v1/fences", json={"external_id": "fence-1", "center": HELSINKI, "radius_m": 100})
        phones.append(tenant.device("phone", external_user_id=user))
        phones[-1].post("/v1/positions", json={"device_id": "phone", "positions": [position()]})
    for tenant, phone, store, user in zip((ours, theirs), phones, stores, ("anna", "berta"), strict=True):
        assert [row["store_id"] for row in tenant.secret.get("/v1/stores").json()["items"]] == [store["store_id"]]
        assert len(tenant.secret.get("/v1/fences").json()["items"]) == 1
        assert phone.get("/v1/devices/phone").json()["external_user_id"] == user
        assert len(tenant.log("phone")) == 2
        (near,) = wait_for(partial(found_nearby, tenant))
        assert near["store_id"] == store["store_id"]
        (held,) = wait_for(partial(matched, tenant))
        assert held["external_id"] == "fence-1"
    problem(ours.secret.get(f"/v1/stores/{stores[1]['store_id']}"), 404, "not-found")
    problem(ours.secret.delete(f"/v1/stores/{stores[1]['store_id']}"), 404, "not-found")
    problem(ours.app.get(f"/v1/stores/{stores[1]['store_id']}/open"), 404, "not-found")
    body = {"external_id": "f", "center": HELSINKI, "radius_m": 10, "store_id": stores[1]["store_id"]}
    problem(ours.secret.post("/v1/fences", json=body), 422, "malformed")
    theirs.device("only-theirs")
    problem(ours.secret.get("/v1/devices/only-theirs"), 404, "not-found")
    problem(ours.secret.delete("/v1/devices/only-theirs"), 404, "not-found")
    foreign = api.client(theirs.device("only-theirs").headers["Authorization"].removeprefix("Bearer "))
    problem(foreign.post("/v1/positions", json={"device_id": "phone", "positions": [position()]}), 403, "forbidden")
    assert theirs.secret.get("/v1/devices/only-theirs").status_code == 200


@pytest.fixture
def filled(api: Api, tenant: TestTenant) -> TestTenant:
    """A tenant with a row in the tables that routes write."""
    tenant.store()
    tenant.secret.post("/v1/fences", json={"external_id": "fence-1", "center": HELSINKI, "radius_m": 100})
    tenant.secret.post("/v1/webhooks", json={"url": "https://partner.example/"}, headers={"Idempotency-Key": "k"})
    tenant.device("phone", consents=[LOCATED], channels=[{"type": "fcm", "address": {"token": "t"}}])
    store_id = tenant.secret.get("/v1/stores").json()["items"][0]["store_id"]
    person(tenant, "store_manager", store_ids=[store_id])
    installer(api)
    assert api.services is not None
    return tenant


def visible(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_the_role_of_the_api_sees_its_tenant_and_no_other(api: Api, filled: TestTenant) -> None:
    with_rows = {"stores", "fences", "fence_versions", "fence_cells", "devices", "consents", "changes", "channels"}
    with_rows |= {"webhooks", "keys", "remembered_writes", "tenants"}
    with_rows |= {"users", "user_stores", "invitations", "sessions", "audit", "traffic_due"}
    for table in TENANT_TABLES:
        with api.services.api.connect() as connection:
            assert visible(connection, table) == 0, f"{table} without a tenant"
        with api.services.api.connect() as connection:
            use_tenant(connection, filled.tenant_id)
            seen = connection.execute(sa.select(table.c.tenant_id).distinct()).scalars().all()
            filled_in = table.name in with_rows and table.fullname != "offers.users"  # of people with devices
            assert seen == ([filled.tenant_id] if filled_in else []), table
        with api.services.api.connect() as connection:
            use_tenant(connection, api.tenant().tenant_id)
            expected = {"keys": 2, "tenants": 1}.get(table.name, 0)
            assert visible(connection, table) == expected, f"{table} as another tenant"


def test_people_of_no_tenant_are_seen_as_the_installation_and_by_no_tenant(api: Api, filled: TestTenant) -> None:
    for table in (users, invitations, sessions, audit):
        with api.services.api.connect() as connection:
            use_tenant(connection, INSTALLATION)
            assert set(connection.execute(sa.select(table.c.tenant_id)).scalars()) == {None}, table
        with api.services.api.connect() as connection:
            use_tenant(connection, filled.tenant_id)
            assert None not in set(connection.execute(sa.select(table.c.tenant_id)).scalars()), table


@pytest.mark.parametrize("statement", ["UPDATE lbs.audit SET actor = 'nobody'", "DELETE FROM lbs.audit"])
def test_the_audit_can_be_added_to_and_not_changed(api: Api, filled: TestTenant, statement: str) -> None:
    for engine in (api.services.api, api.system):
        with engine.connect() as connection:
            use_tenant(connection, filled.tenant_id)
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                connection.execute(sa.text(statement))


def test_the_role_of_the_api_cannot_write_for_another_tenant(api: Api, filled: TestTenant) -> None:
    other = api.tenant()
    with api.services.api.connect() as connection:
        use_tenant(connection, other.tenant_id)
        row = {"tenant_id": filled.tenant_id, "kind": KeyKind.SECRET, "hash": b"x", "prefix": "lbs_sk_"}
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            connection.execute(sa.insert(keys).values(**row))
    with api.services.api.connect() as connection:
        use_tenant(connection, other.tenant_id)
        assert connection.execute(sa.delete(keys).where(keys.c.tenant_id == filled.tenant_id)).rowcount == 0


def test_partitions_refuse_the_role_of_the_api(api: Api, filled: TestTenant) -> None:
    with api.system.connect() as connection:
        children = connection.execute(
            sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent::regclass::text = ANY(:parents)"),
            {"parents": list(PARTITIONED)},
        ).scalars()
        names = list(children)
    assert len(names) >= 3
    for name in names:
        with api.services.api.connect() as connection:
            use_tenant(connection, filled.tenant_id)
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                connection.execute(sa.select(sa.text("1")).select_from(sa.text(name)))


def test_the_reader_cannot_write(api: Api) -> None:
    with (
        api.services.reader.connect() as connection,
        pytest.raises(sa.exc.DBAPIError, match=r"read-only|permission denied"),
    ):
        connection.execute(sa.text("DELETE FROM lbs.keys"))
