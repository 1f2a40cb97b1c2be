"""The audit: one row for each write of a key or a person, in the write's own transaction, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lbs.tables import audit
from tests.support.api import HELSINKI, LOCATED, Api, TestTenant, position, problem
from tests.support.people import PASSWORD, accept, installer, invited, person, sign_in, token_of

if TYPE_CHECKING:
    import httpx


def entries(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    answer = client.get("/v1/audit", params={"limit": 100, **params})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_a_write_of_a_key_names_key_operation_object_and_request(tenant: TestTenant) -> None:
    answer = tenant.secret.post("/v1/keys", json={"kind": "publishable"}, headers={"X-Request-Id": "my-request-1"})
    (entry,) = entries(tenant.secret)
    assert entry["actor"].startswith("key:")
    assert (entry["operation"], entry["object_id"]) == ("create_key", answer.json()["key_id"])
    assert entry["request_id"] == "my-request-1"
    assert answer.json()["key"] not in str(entry)


def test_what_a_person_does_is_named_from_signing_in_to_signing_out(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    client = sign_in(api, accept(api, made["invitation_url"]))
    store = client.post("/v1/stores", json={"external_id": "s", "name": "S", **HELSINKI}).json()
    client.get("/v1/stores")
    client.delete(f"/v1/stores/{store['store_id']}")
    client.delete("/v1/sessions")
    found = [(entry["operation"], entry["object_id"]) for entry in entries(tenant.secret)]
    assert found == [
        ("sign_out", made["user_id"]),
        ("delete_store", store["store_id"]),
        ("create_store", store["store_id"]),
        ("sign_in", made["user_id"]),
        ("accept_invitation", made["user_id"]),
        ("invite_user", made["user_id"]),
    ]
    assert {entry["actor"] for entry in entries(tenant.secret)[:5]} == {f"user:{made['user_id']}"}


def test_a_move_of_a_campaign_is_named(tenant: TestTenant) -> None:
    store = tenant.store()
    draft = {
        "name": "Coffee",
        "stores": [store["store_id"]],
        "offer": {"kind": "percentage", "value": 10},
        "creatives": [{"title": "Coffee"}],
    }
    campaign_id = tenant.secret.post("/v1/campaigns", json=draft).json()["campaign_id"]
    tenant.secret.post(f"/v1/campaigns/{campaign_id}/submit")
    found = [(entry["operation"], entry["object_id"]) for entry in entries(tenant.secret)[:2]]
    assert found == [("move_campaign:submit", campaign_id), ("create_campaign", campaign_id)]


def test_a_write_that_was_refused_leaves_nothing(tenant: TestTenant) -> None:
    problem(tenant.secret.post("/v1/keys", json={"kind": "nonsense"}), 422, "malformed")
    problem(tenant.secret.delete("/v1/keys/999999999"), 404, "not-found")
    problem(person(tenant, "analyst").post("/v1/stores", json={}), 403, "forbidden")
    assert {entry["operation"] for entry in entries(tenant.secret)} == {"invite_user", "accept_invitation", "sign_in"}


def test_a_repeated_write_leaves_one_row(tenant: TestTenant) -> None:
    for _ in range(2):
        tenant.secret.post("/v1/keys", json={"kind": "publishable"}, headers={"Idempotency-Key": "once"})
    assert len(entries(tenant.secret)) == 1


def test_phones_and_positions_leave_nothing_and_no_row_names_a_device(api: Api, tenant: TestTenant) -> None:
    tenant.app.post("/v1/devices", json={"device_id": "from-the-app", "consents": [LOCATED]})
    assert entries(tenant.secret) == []
    phone = tenant.device("phone-of-anna")  # a server registers it
    phone.post("/v1/positions", json={"device_id": "phone-of-anna", "positions": [position()]})
    tenant.secret.post("/v1/positions", json={"device_id": "phone-of-anna", "positions": [position()]})
    phone.patch("/v1/devices/phone-of-anna", json={"locale": "fi"})
    assert tenant.secret.delete("/v1/devices/phone-of-anna").status_code == 200
    found = entries(tenant.secret)
    assert [(entry["operation"], entry["object_id"]) for entry in found] == [
        ("erase_device", None),
        ("register_device", None),
    ]
    with api.system.connect() as connection:
        assert "anna" not in str(connection.execute(sa.select(audit)).all())


def test_pages_go_from_the_newest_to_the_oldest(tenant: TestTenant) -> None:
    made = [tenant.secret.post("/v1/keys", json={"kind": "publishable"}).json()["key_id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        page = tenant.secret.get("/v1/audit", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [entry["object_id"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]


def test_each_tenant_reads_its_own_and_so_does_the_installation(api: Api, tenant: TestTenant) -> None:
    other = api.tenant()
    other.store()
    assert entries(tenant.secret) == []
    assert entries(person(tenant, "operator"))[0]["operation"] == "sign_in"
    root = installer(api)
    mine = f"user:{root.get('/v1/sessions').json()['user_id']}"
    assert entries(root)[0]["actor"] == mine
    root.post("/v1/keys", json={"kind": "publishable"}, headers={"LBS-Tenant": str(other.tenant_id)})
    assert entries(other.secret)[0]["actor"] == mine
    assert entries(root)[0]["operation"] == "sign_in"


def test_no_password_token_or_address_is_in_it(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "operator")
    client = sign_in(api, accept(api, made["invitation_url"]))
    client.post(f"/v1/users/{made['user_id']}/invite")
    text = str(entries(tenant.secret))
    session = str(client.cookies["lbs_session"])
    for secret in (token_of(made["invitation_url"]), PASSWORD, session, made["email"]):
        assert secret not in text
