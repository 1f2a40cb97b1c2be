from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from geofences.log import EntryKind
from geofences.store import device_id_for
from geofences.tables import ChangeKind, changes, consents, devices, positions, visits
from offers.tables import channels, webhooks
from tests.support.api import HELSINKI, LOCATED, Api, TestTenant, problem, running_api, settings_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geofences.model import DeviceId

AT = datetime.now(UTC)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def subscription(endpoint: str = "https://push.example/abc") -> dict[str, Any]:
    """A PushSubscription as a browser makes it."""
    point = (
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    return {"endpoint": endpoint, "keys": {"p256dh": base64url(point), "auth": base64url(bytes(16))}}


def channel(kind: str, **address: Any) -> dict[str, Any]:
    return {"channels": [{"type": kind, "address": address}]}


def test_an_app_registers_and_its_token_speaks_for_the_device(tenant: TestTenant) -> None:
    answer = tenant.app.post("/v1/devices", json={"timezone": "Europe/Helsinki", "locale": "fi-FI"})
    assert answer.status_code == 201
    body = answer.json()
    assert body["device_token"].startswith("lbs_dt_")
    device = tenant.api.client(body["device_token"]).get(f"/v1/devices/{body['device_id']}").json()
    assert (device["device_id"], device["timezone"], device["locale"]) == (
        body["device_id"],
        "Europe/Helsinki",
        "fi-FI",
    )


def test_a_publishable_key_does_not_become_a_device_that_exists(tenant: TestTenant) -> None:
    tenant.device("phone")
    problem(tenant.app.post("/v1/devices", json={"device_id": "phone"}), 409, "conflict")


def test_a_secret_key_registers_again_and_changes_what_it_names(tenant: TestTenant) -> None:
    tenant.device("phone", attributes={"tier": "gold"}, external_user_id="anna")
    again = tenant.secret.post("/v1/devices", json={"device_id": "phone", "locale": "sv"})
    assert again.status_code == 200
    device = tenant.secret.get("/v1/devices/phone").json()
    assert (device["attributes"], device["external_user_id"], device["locale"]) == ({"tier": "gold"}, "anna", "sv")


def test_a_token_reads_and_changes_its_own_device_only(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    tenant.device("other")
    assert phone.patch("/v1/devices/phone", json={"attributes": {"a": 1}}).json()["attributes"] == {"a": 1}
    for call in (phone.get, phone.delete):
        problem(call("/v1/devices/other"), 403, "forbidden")
    problem(phone.get("/v1/devices/other/export"), 403, "forbidden")
    problem(phone.patch("/v1/devices/other", json={}), 403, "forbidden")
    problem(phone.post("/v1/devices", json={"device_id": "other"}), 403, "forbidden")
    problem(tenant.app.get("/v1/devices/phone"), 403, "forbidden")
    problem(tenant.secret.get("/v1/devices/nobody"), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"timezone": "Mars/Base"}, "body.timezone"),
        ({"locale": "fi fi"}, "body.locale"),
        ({"attributes": {"a": "x" * 20_000}}, "body.attributes"),
        ({"attributes": {"a": "\0"}}, "body"),
        ({"attributes": {"\0": [1]}}, "body"),
        ({"device_id": ""}, "body.device_id"),
        ({"device_id": "a\0b"}, "body"),
        ({"unknown": 1}, "body.unknown"),
        ({"consents": [{"purpose": "everything", "version": "1"}]}, "body.consents[0].purpose"),
        ({"consents": [LOCATED, LOCATED]}, "body.consents"),
        ({"consents": [{**LOCATED, "at": "0001-01-01T00:00:00Z"}]}, "body.consents[0].at"),
        ({"consents": [{**LOCATED, "at": "2026-01-01T00:00:00"}]}, "body.consents[0].at"),
        ({"channels": [{"type": "pigeon", "address": {}}]}, "body.channels[0].type"),
    ],
)
def test_a_malformed_device_is_refused_with_the_place(tenant: TestTenant, body: Mapping[str, Any], where: str) -> None:
    answer = problem(tenant.app.post("/v1/devices", json=body), 422, "malformed")
    assert [fault["where"] for fault in answer["errors"]] == [where]


def test_web_push_addresses_are_checked_before_they_are_kept(tenant: TestTenant) -> None:
    phone = tenant.device("phone", **channel("webpush", **subscription()))
    (kept,) = phone.get("/v1/devices/phone").json()["channels"]
    assert (kept["type"], kept["status"]) == ("webpush", "active")
    for bad in (
        {},
        {"endpoint": "https://push.example"},
        {**subscription(), "keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        {**subscription(), "endpoint": 7},
    ):
        problem(phone.patch("/v1/devices/phone", json=channel("webpush", **bad)), 422, "invalid-channel")
    for endpoint in ("https://127.0.0.1/x", "http://push.example/x", "https://169.254.169.254/", "https://[::1]/"):
        answer = phone.patch("/v1/devices/phone", json=channel("webpush", **subscription(endpoint)))
        problem(answer, 422, "forbidden-address")
    assert len(phone.get("/v1/devices/phone").json()["channels"]) == 1


def test_the_given_channels_replace_the_others(tenant: TestTenant) -> None:
    phone = tenant.device("phone", channels=[{"type": kind, "address": {"token": kind}} for kind in ("apns", "fcm")])
    phone.patch("/v1/devices/phone", json=channel("fcm", token="fcm"))
    assert [kept["type"] for kept in phone.get("/v1/devices/phone").json()["channels"]] == ["fcm"]
    phone.patch("/v1/devices/phone", json={"attributes": {}})
    assert len(phone.get("/v1/devices/phone").json()["channels"]) == 1
    phone.patch("/v1/devices/phone", json={"channels": []})
    assert phone.get("/v1/devices/phone").json()["channels"] == []


def test_an_app_names_only_webhooks_that_the_tenant_registered(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    hook = channel("webhook", url="https://partner.example/offers")
    problem(phone.patch("/v1/devices/phone", json=hook), 403, "forbidden")
    problem(tenant.app.post("/v1/devices", json=hook), 403, "forbidden")
    assert tenant.secret.patch("/v1/devices/phone", json=hook).status_code == 200
    (registered,) = tenant.secret.get("/v1/webhooks").json()["items"]
    assert registered["url"] == "https://partner.example/offers"
    assert phone.patch("/v1/devices/phone", json=hook).status_code == 200
    private = channel("webhook", url="http://10.0.0.1/")
    problem(tenant.secret.patch("/v1/devices/phone", json=private), 422, "forbidden-address")


def test_a_change_of_consent_is_announced_and_told_to_the_engine(api: Api, tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    phone.patch("/v1/devices/phone", json={"consents": [LOCATED]})
    assert {entry.granted for entry in tenant.log("phone")} == {True}, "every word is told, so that a repeat repeats it"
    phone.patch("/v1/devices/phone", json={"consents": [{**LOCATED, "granted": False}]})
    assert [(entry.kind, entry.granted) for entry in tenant.log("phone")][-1] == (EntryKind.CONSENT, False)
    with api.system.connect() as connection:
        kinds = connection.execute(
            sa.select(changes.c.kind).where(
                changes.c.tenant_id == tenant.tenant_id,
                changes.c.object_id == device_id_for(tenant.tenant_id, "phone"),
            )
        ).scalars()
        assert set(kinds) == {ChangeKind.DEVICE}


def test_tokens_can_be_revoked_and_given_anew(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    assert phone.get("/v1/devices/phone").status_code == 200
    problem(phone.post("/v1/devices/phone/revoke-tokens"), 403, "forbidden")
    assert tenant.secret.post("/v1/devices/phone/revoke-tokens").status_code == 204
    problem(phone.get("/v1/devices/phone"), 401, "unauthorized")
    assert tenant.device("phone").get("/v1/devices/phone").status_code == 200


def test_registrations_of_an_app_are_limited(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, register_per_minute=3)) as few:
        tenant = few.tenant()
        answers = [tenant.app.post("/v1/devices", json={}) for _ in range(8)]
        assert answers[0].status_code == 201
        problem(answers[-1], 429, "too-many-requests")
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        assert tenant.secret.post("/v1/devices", json={}).status_code == 201


def _ledger_rows(connection: sa.Connection, tenant: TestTenant, device_id: DeviceId) -> None:
    """A stored position and a visit, as the engine would have written them."""
    common = {"tenant_id": tenant.tenant_id, "device_id": device_id}
    connection.execute(sa.insert(positions).values(**common, recorded_at=AT, received_at=AT, **HELSINKI, flags=0))
    connection.execute(
        sa.insert(visits).values(
            **common,
            visit_id=device_id,
            root_visit_id=device_id,
            shard=device_id % 64,
            fence_id=1,
            fence_version=1,
            status="closed",
            entered_at=AT,
            last_in_at=AT,
            as_of=AT,
            exited_at=AT,
            dwell_waits=False,
            dwell_s=0,
            ended_by="exit",
            already_inside=True,
            positions=1,
            confidence=1,
        )
    )


def test_an_export_holds_all_and_erasing_leaves_nothing(api: Api, tenant: TestTenant) -> None:
    phone = tenant.device("phone", **channel("fcm", token="a-token"))
    device_id = device_id_for(tenant.tenant_id, "phone")
    with api.system.begin() as connection:
        _ledger_rows(connection, tenant, device_id)
    export = phone.get("/v1/devices/phone/export").json()
    assert [place["lat"] for place in export["positions"]] == [HELSINKI["lat"]]
    assert [visit["status"] for visit in export["visits"]] == ["closed"]
    assert export["channels"][0]["address"] == {"token": "a-token"}

    erased = phone.delete("/v1/devices/phone").json()["erased"]
    assert {table: n for table, n in erased.items() if n} == {
        "channels": 1,
        "consents": 1,
        "devices": 1,
        "positions": 1,
        "visits": 1,
    }
    with api.system.connect() as connection:
        for table in (devices, consents, positions, visits, channels):
            left = sa.select(sa.func.count()).where(table.c.device_id == device_id)
            assert connection.execute(left).scalar() == 0, table.name
    problem(tenant.secret.get("/v1/devices/phone"), 404, "not-found")
    assert tenant.log("phone")[-1].kind is EntryKind.ERASED
    again = tenant.secret.delete("/v1/devices/phone").json()
    assert (again["finished"], again["erased"]) == (False, erased), "no engine has handled it yet"
    problem(phone.get("/v1/devices/phone"), 401, "unauthorized")
    problem(tenant.secret.post("/v1/devices", json={"device_id": "phone"}), 409, "conflict")


def test_a_webhooks_secret_is_sealed_at_rest(api: Api, tenant: TestTenant) -> None:
    made = tenant.secret.post("/v1/webhooks", json={"url": "https://partner.example/a"}).json()
    with api.system.connect() as connection:
        (sealed,) = connection.execute(
            sa.select(webhooks.c.secrets).where(webhooks.c.tenant_id == tenant.tenant_id)
        ).scalar_one()
    assert made["secret"].encode() not in bytes(sealed)
    assert api.services.vault.unseal(bytes(sealed)).decode() == made["secret"]
