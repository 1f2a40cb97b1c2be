"""People of a tenant: inviting, accepting, changing; and that nobody sees another tenant's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import set_approval
from geofences.tables import Approval
from lbs.passwords import RULE
from lbs.sessions import hash_of
from lbs.tables import invitations
from tests.support.api import HELSINKI, Api, TestTenant, problem
from tests.support.people import (
    PASSWORD,
    accept,
    browser,
    installer,
    invited,
    new_email,
    person,
    sign_in,
    token_of,
)

if TYPE_CHECKING:
    import httpx


@pytest.fixture
def operator(tenant: TestTenant) -> httpx.Client:
    return person(tenant, "operator")


def acceptance(api: Api, token: str, password: str = PASSWORD) -> httpx.Response:
    return api.client().post("/v1/invitations/accept", json={"token": token, "password": password})


def test_an_operator_invites_and_the_link_is_answered_once(tenant: TestTenant, operator: httpx.Client) -> None:
    made = invited(operator, "marketer", email="Anna.Example@EXAMPLE.org ", name="Anna")
    assert made["email"] == "anna.example@example.org"
    assert made["status"] == "invited"
    assert made["created_by"] == f"user:{operator.get('/v1/sessions').json()['user_id']}"
    assert made["invitation_url"].startswith(f"{tenant.api.url}/console/invite#token=")
    read = operator.get(f"/v1/users/{made['user_id']}").json()
    assert "invitation_url" not in read
    assert read in operator.get("/v1/users").json()["items"]


def test_who_accepts_is_active_with_the_name_they_give(api: Api, operator: httpx.Client) -> None:
    made = invited(operator, "marketer")
    body = {"token": token_of(made["invitation_url"]), "password": PASSWORD, "name": "Anna Maria"}
    assert api.client().post("/v1/invitations/accept", json=body).json() == {"email": made["email"]}
    found = operator.get(f"/v1/users/{made['user_id']}").json()
    assert (found["status"], found["name"]) == ("active", "Anna Maria")


def test_an_invitation_counts_once(api: Api, tenant: TestTenant) -> None:
    token = token_of(invited(tenant.secret, "marketer")["invitation_url"])
    assert acceptance(api, token).status_code == 200
    problem(acceptance(api, token, "another long password"), 404, "not-found")


def test_of_many_who_open_an_invitation_at_once_one_gets_in(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    token = token_of(made["invitation_url"])
    passwords = [f"the password number {n}" for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda password: acceptance(api, token, password).status_code, passwords))
    assert sorted(answers) == [200, 404, 404, 404, 404, 404]
    sign_in(api, made["email"], passwords[answers.index(200)])


def test_an_invitation_expires(api: Api, tenant: TestTenant) -> None:
    token = token_of(invited(tenant.secret, "marketer")["invitation_url"])
    with api.system.begin() as connection:
        mine = invitations.c.hash == hash_of(token, "invitation")
        aged = {"expires_at": sa.text("expires_at - interval '7 days'")}
        assert connection.execute(sa.update(invitations).where(mine).values(**aged)).rowcount == 1
    problem(acceptance(api, token), 404, "not-found")


def test_a_new_link_ends_the_one_before(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    again = tenant.secret.post(f"/v1/users/{made['user_id']}/invite").json()
    problem(acceptance(api, token_of(made["invitation_url"])), 404, "not-found")
    assert acceptance(api, token_of(again["invitation_url"])).status_code == 200


def test_a_disabled_person_accepts_nothing(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    path = f"/v1/users/{made['user_id']}"
    tenant.secret.patch(path, json={"status": "disabled"})
    problem(acceptance(api, token_of(made["invitation_url"])), 404, "not-found")
    problem(tenant.secret.post(f"{path}/invite"), 409, "conflict")
    assert tenant.secret.patch(path, json={"status": "active"}).json()["status"] == "invited"
    assert acceptance(api, token_of(made["invitation_url"])).status_code == 200


@pytest.mark.parametrize("password", ["eleven char", "", "ä" * 513, "x" * 1025])
def test_a_password_that_will_not_do_is_refused_with_the_rule(api: Api, tenant: TestTenant, password: str) -> None:
    token = token_of(invited(tenant.secret, "marketer")["invitation_url"])
    answer = acceptance(api, token, password)
    assert problem(answer, 422, "password")["detail"] == RULE
    assert acceptance(api, token, "twelve chars").status_code == 200, "and the invitation is still good"


def test_a_password_is_the_same_however_its_letters_are_typed(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    accept(api, made["invitation_url"], "cafe\u0301 au lait \u212b")
    sign_in(api, made["email"], "caf\u00e9 au lait \u00c5")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "no address"},
        {"email": "two@at@signs"},
        {"email": "a@b\n"},
        {"email": "a" * 250 + "@b.example"},
        {"role": "emperor"},
        {"role": "store_manager"},
        {"role": "marketer", "store_ids": ["1"]},
        {"name": ""},
        {"tenant_id": "1"},
    ],
    ids=str,
)
def test_a_body_that_makes_no_sense_is_refused(tenant: TestTenant, wrong: dict[str, Any]) -> None:
    body = {"email": new_email(), "name": "Anna", "role": "marketer", **wrong}
    answer = tenant.secret.post("/v1/users", json=body)
    if wrong == {"email": "a@b\n"}:
        assert answer.json()["email"] == "a@b", "what stands around it is no part of it"
    else:
        problem(answer, 422, "malformed")


def test_an_address_belongs_to_one_person_of_the_installation(api: Api, tenant: TestTenant) -> None:
    email = invited(tenant.secret, "marketer")["email"]
    body = {"email": email.upper(), "name": "B", "role": "analyst"}
    problem(tenant.secret.post("/v1/users", json=body), 409, "conflict")
    problem(api.tenant().secret.post("/v1/users", json=body), 409, "conflict")


def test_a_tenant_sees_and_changes_nobody_of_another(api: Api, tenant: TestTenant, operator: httpx.Client) -> None:
    theirs = invited(api.tenant().secret, "marketer")
    root = installer(api)
    for user_id in (theirs["user_id"], root.get("/v1/sessions").json()["user_id"]):
        path = f"/v1/users/{user_id}"
        for client in (tenant.secret, operator):
            assert user_id not in [user["user_id"] for user in client.get("/v1/users").json()["items"]]
            problem(client.get(path), 404, "not-found")
            problem(client.patch(path, json={"role": "analyst"}), 404, "not-found")
            problem(client.delete(path), 404, "not-found")
            problem(client.post(f"{path}/invite"), 404, "not-found")


def test_somebody_signed_in_sees_nothing_of_another_tenant(api: Api, tenant: TestTenant) -> None:
    store = api.tenant().store()
    for role in ("marketer", "operator"):
        client = person(tenant, role)
        assert client.get("/v1/stores").json()["items"] == []
        problem(client.get(f"/v1/stores/{store['store_id']}"), 404, "not-found")
        client.headers["LBS-Tenant"] = "1"
        assert client.get("/v1/stores").json()["items"] == [], "the header is nobody's of a tenant"


def test_a_store_manager_and_a_store_key_see_their_stores_only(api: Api, tenant: TestTenant) -> None:
    mine, other = tenant.store("mine"), tenant.store("other")
    manager = person(tenant, "store_manager", store_ids=[mine["store_id"]])
    key = tenant.secret.post("/v1/keys", json={"kind": "store", "store_id": mine["store_id"]}).json()["key"]
    hours = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-02T00:00:00Z"}
    for client in (manager, api.client(key)):
        assert [store["external_id"] for store in client.get("/v1/stores").json()["items"]] == ["mine"]
        assert client.get("/v1/stores", params={"external_id": "other"}).json()["items"] == []
        for path in ("/v1/stores/{}", "/v1/traffic/stores/{}/hours", "/v1/stores/{}/open"):
            assert client.get(path.format(mine["store_id"]), params=hours).status_code in {200, 404}
            problem(client.get(path.format(other["store_id"]), params=hours), 403, "forbidden")
        assert client.get(f"/v1/traffic/stores/{mine['store_id']}/hours", params=hours).status_code == 200


def test_other_stores_and_another_role_take_effect(api: Api, tenant: TestTenant) -> None:
    first, second = tenant.store("first"), tenant.store("second")
    made = invited(tenant.secret, "store_manager", store_ids=[first["store_id"]])
    email, path = accept(api, made["invitation_url"]), f"/v1/users/{made['user_id']}"
    client = sign_in(api, email)
    assert client.get("/v1/stores").status_code == 200
    changed = tenant.secret.patch(path, json={"store_ids": [second["store_id"]]}).json()
    assert changed["store_ids"] == [second["store_id"]]
    problem(client.get("/v1/stores"), 401, "unauthorized")
    assert [row["external_id"] for row in sign_in(api, email).get("/v1/stores").json()["items"]] == ["second"]
    problem(tenant.secret.patch(path, json={"store_ids": []}), 422, "malformed")
    assert tenant.secret.patch(path, json={"role": "analyst"}).json()["store_ids"] == []
    problem(tenant.secret.patch(path, json={"role": "store_manager"}), 422, "malformed")


def test_stores_of_another_tenant_cannot_be_given(api: Api, tenant: TestTenant) -> None:
    theirs = api.tenant().store()
    body = {"email": new_email(), "name": "A", "role": "store_manager", "store_ids": [theirs["store_id"]]}
    problem(tenant.secret.post("/v1/users", json=body), 404, "not-found")
    assert [user["email"] for user in tenant.secret.get("/v1/users").json()["items"]] == []


def test_nobody_takes_their_own_role_or_access_away(operator: httpx.Client) -> None:
    path = f"/v1/users/{operator.get('/v1/sessions').json()['user_id']}"
    problem(operator.patch(path, json={"role": "analyst"}), 409, "conflict")
    problem(operator.patch(path, json={"status": "disabled"}), 409, "conflict")
    problem(operator.delete(path), 409, "conflict")
    assert operator.patch(path, json={"name": "Me", "role": "operator"}).json()["name"] == "Me"


def test_marketer_and_approver_share_the_way_of_a_campaign(tenant: TestTenant) -> None:
    marketer, approver = person(tenant, "marketer"), person(tenant, "approver")
    store = tenant.store()
    fence = {"external_id": "f", "store_id": store["store_id"], "center": HELSINKI, "radius_m": 100}
    assert marketer.post("/v1/fences", json=fence).status_code == 201
    draft = {
        "name": "Coffee",
        "stores": [store["store_id"]],
        "offer": {"kind": "percentage", "value": 10},
        "creatives": [{"title": "Coffee"}],
    }
    made = marketer.post("/v1/campaigns", json=draft)
    assert made.status_code == 201, made.text
    assert made.json()["created_by"] == f"user:{marketer.get('/v1/sessions').json()['user_id']}"
    path = f"/v1/campaigns/{made.json()['campaign_id']}"
    assert marketer.post(f"{path}/submit").status_code == 200
    problem(marketer.post(f"{path}/approve"), 403, "forbidden")
    assert approver.post(f"{path}/approve").json()["status"] == "live"
    problem(approver.post("/v1/campaigns", json=draft), 403, "forbidden")


def test_an_operator_of_the_installation_looks_after_the_tenant_it_names(api: Api, tenant: TestTenant) -> None:
    root = installer(api)
    numbers = {row["tenant_id"] for row in root.get("/v1/tenants", params={"limit": 1000}).json()["items"]}
    assert str(tenant.tenant_id) in numbers
    problem(root.get("/v1/stores"), 403, "forbidden")
    named = {"LBS-Tenant": str(tenant.tenant_id)}
    store = tenant.store()
    assert [row["store_id"] for row in root.get("/v1/stores", headers=named).json()["items"]] == [store["store_id"]]
    problem(root.post("/v1/stores", json={}, headers=named), 403, "forbidden")
    made = root.post("/v1/users", json={"email": new_email(), "name": "O", "role": "operator"}, headers=named).json()
    assert made["user_id"] in [user["user_id"] for user in tenant.secret.get("/v1/users").json()["items"]]
    assert root.get("/v1/sessions", headers=named).json()["tenant"] is None
    for nonsense in ("0", "-1", "x", "99999999999", "2000000000"):
        problem(root.get("/v1/stores", headers={"LBS-Tenant": nonsense}), 404, "not-found")
    assert root.delete("/v1/sessions", headers=named).status_code == 204
    problem(root.get("/v1/sessions"), 401, "unauthorized")


def test_operators_of_the_installation_look_after_their_own_kind(api: Api) -> None:
    root = installer(api)
    made = invited(root, "operator")
    assert made["user_id"] in [
        user["user_id"] for user in root.get("/v1/users", params={"limit": 1000}).json()["items"]
    ]
    problem(root.post("/v1/users", json={"email": new_email(), "name": "M", "role": "marketer"}), 422, "malformed")
    repeated = [root.post(f"/v1/users/{made['user_id']}/invite", headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in repeated] == [200, 200]
    assert root.delete(f"/v1/users/{made['user_id']}").status_code == 204


def test_a_repeated_invitation_is_made_once(tenant: TestTenant, operator: httpx.Client) -> None:
    body, headers = {"email": new_email(), "name": "A", "role": "analyst"}, {"Idempotency-Key": "invite-1"}
    answers = [operator.post("/v1/users", json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert browser(tenant.api).get("/v1/users").status_code == 401


def test_where_only_people_approve_a_secret_key_invites_nobody(api: Api, tenant: TestTenant) -> None:
    """It could approve as whom it invited."""
    made = tenant.secret.post("/v1/users", json={"email": "a@acme.example", "name": "A", "role": "approver"})
    assert made.status_code == 201
    with api.system.begin() as connection:
        set_approval(connection, tenant.tenant_id, Approval.PEOPLE)
    problem(
        tenant.secret.post("/v1/users", json={"email": "b@acme.example", "name": "B", "role": "approver"}),
        403,
        "forbidden",
    )
    problem(tenant.secret.post(f"/v1/users/{made.json()['user_id']}/invite"), 403, "forbidden")
