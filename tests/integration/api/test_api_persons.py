"""Who a device's person is, what is said of them and by whom, and their quiet times, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import device_id_for
from geofences.tables import devices
from lbs.identity import user_hash, user_hash_key
from offers.attributes import merge_devices, merge_users
from offers.shoppers import load_recipients
from offers.tables import user_attributes
from tests.support.api import Api, TestTenant, position, problem

if TYPE_CHECKING:
    import httpx

    from offers.shoppers import Recipient

pytestmark = pytest.mark.servers

GOLD = {"attribute": "tier", "is": "gold"}


def registered(tenant: TestTenant, device: str, **body: Any) -> httpx.Client:
    """A device that an app registered with the publishable key."""
    answer = tenant.app.post("/v1/devices", json={"device_id": device, **body})
    assert answer.status_code == 201, answer.text
    return tenant.api.client(answer.json()["device_token"])


def recipient(api: Api, tenant: TestTenant, device: str) -> Recipient:
    from offers.definition import CampaignDefinition  # noqa: PLC0415
    from offers.model import Campaign, CampaignId, CampaignStatus  # noqa: PLC0415

    definition = CampaignDefinition.model_validate(
        {"name": "x", "offer": {"kind": "gift"}, "creatives": [{"title": "x"}], "audience": GOLD}
    )
    asking = Campaign(
        campaign_id=CampaignId(1), tenant_id=tenant.tenant_id, status=CampaignStatus.LIVE, version=1,
        definition=definition, schedule=definition.windows.schedule(), fence_ids=frozenset(), store_ids=frozenset(),
        stock=None, holdout_salt=b"",
    )  # fmt: skip
    device_id = device_id_for(tenant.tenant_id, device)
    with api.system.connect() as connection:
        return load_recipients(connection, [device_id], [asking])[device_id]


def hash_of(tenant: TestTenant, user: str) -> str:
    return user_hash(user_hash_key(tenant.api.settings, tenant.tenant_id), user)


def test_an_app_that_names_somebody_is_kept_apart_from_their_devices(api: Api, tenant: TestTenant) -> None:
    tenant.device("annas", external_user_id="anna")
    thief = registered(tenant, "thiefs", external_user_id="anna")
    seen = thief.get("/v1/devices/thiefs").json()
    assert (seen["external_user_id"], seen["user_vouched"]) == ("anna", False)
    assert recipient(api, tenant, "thiefs").person != recipient(api, tenant, "annas").person
    assert not recipient(api, tenant, "thiefs").shared


@pytest.mark.parametrize("how", ["hash", "secret key"])
def test_a_server_makes_two_devices_one_persons(api: Api, tenant: TestTenant, how: str) -> None:
    tenant.device("first", external_user_id="anna")
    second = registered(tenant, "second", external_user_id="anna")
    if how == "hash":
        body = {"external_user_id": "anna", "external_user_hash": hash_of(tenant, "anna")}
        answer = second.patch("/v1/devices/second", json=body)
    else:
        answer = tenant.secret.patch("/v1/devices/second", json={"external_user_id": "anna"})
    assert answer.json()["user_vouched"] is True
    assert recipient(api, tenant, "second").person == recipient(api, tenant, "first").person


@pytest.mark.parametrize(
    "body",
    [
        {"external_user_id": "bert"},
        {"external_user_id": "anna", "external_user_hash": "0" * 64},
        {"external_user_id": "anna", "external_user_hash": "\u00e4"},
        {"external_user_hash": "0" * 64},
    ],
)
def test_an_app_cannot_change_whose_device_a_server_said_it_is(tenant: TestTenant, body: dict[str, Any]) -> None:
    phone = tenant.device("phone", external_user_id="anna")
    problem(phone.patch("/v1/devices/phone", json=body), 403, "forbidden")
    assert phone.get("/v1/devices/phone").json()["external_user_id"] == "anna"


def test_a_hash_of_another_tenant_proves_nothing(api: Api, tenant: TestTenant) -> None:
    foreign = hash_of(api.tenant(), "anna")
    body = {"device_id": "phone", "external_user_id": "anna", "external_user_hash": foreign}
    problem(tenant.app.post("/v1/devices", json=body), 403, "forbidden")


def test_whoever_logs_in_next_takes_the_device_with_their_hash(tenant: TestTenant) -> None:
    phone = tenant.device("phone", external_user_id="anna")
    body = {"external_user_id": "bert", "external_user_hash": hash_of(tenant, "bert").upper()}
    seen = phone.patch("/v1/devices/phone", json=body).json()
    assert (seen["external_user_id"], seen["user_vouched"]) == ("bert", True)


def test_an_app_cannot_make_itself_gold_where_a_server_said_silver(api: Api, tenant: TestTenant) -> None:
    phone = tenant.device("phone", attributes={"tier": "silver"})
    phone.patch("/v1/devices/phone", json={"attributes": {"tier": "gold", "theme": "dark"}})
    assert phone.get("/v1/devices/phone").json()["attributes"] == {"tier": "silver", "theme": "dark"}
    assert recipient(api, tenant, "phone").attributes["tier"] == "silver"
    replaced = tenant.secret.patch("/v1/devices/phone", json={"attributes": {"a": 1}})
    assert replaced.json()["attributes"] == {"a": 1}


def test_what_is_said_of_a_person_holds_for_all_devices_and_later_ones(api: Api, tenant: TestTenant) -> None:
    tenant.device("first", external_user_id="anna", attributes={"tier": "silver"})
    with api.system.begin() as connection:
        merge_users(connection, tenant_id=tenant.tenant_id, rows={"anna": {"tier": "gold"}}, now=datetime.now(UTC))
    tenant.device("later", external_user_id="anna")
    registered(tenant, "thiefs", external_user_id="anna")
    assert [recipient(api, tenant, name).attributes.get("tier") for name in ("first", "later", "thiefs")] == [
        "gold", "gold", None,
    ]  # fmt: skip
    assert tenant.secret.get("/v1/devices/later").json()["user_attributes"] == {"tier": "gold"}


def test_what_is_said_of_a_device_is_merged_and_vouches_for_it(api: Api, tenant: TestTenant) -> None:
    phone = registered(tenant, "phone", attributes={"tier": "gold"})
    with api.system.begin() as connection:
        merge_devices(
            connection, tenant_id=tenant.tenant_id, rows={"phone": {"tier": "silver", "age": 41}}, now=datetime.now(UTC)
        )
    assert phone.get("/v1/devices/phone").json()["attributes"] == {"tier": "silver", "age": 41}
    assert _vouched(api, tenant, "phone")


def test_erasing_the_last_device_forgets_what_was_said_of_the_person(api: Api, tenant: TestTenant) -> None:
    for name in ("first", "second"):
        tenant.device(name, external_user_id="anna")
    with api.system.begin() as connection:
        merge_users(connection, tenant_id=tenant.tenant_id, rows={"anna": {"a": 1}}, now=datetime.now(UTC))

    def left() -> int:
        mine = sa.select(sa.func.count()).where(user_attributes.c.tenant_id == tenant.tenant_id)
        with api.system.connect() as connection:
            return int(connection.execute(mine).scalar_one())

    tenant.secret.delete("/v1/devices/first")
    assert left() == 1
    tenant.secret.delete("/v1/devices/second")
    assert left() == 0


def test_quiet_times_are_set_kept_and_taken_away(api: Api, tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    night = {"start": "21:00", "end": "08:00"}
    assert phone.patch("/v1/devices/phone", json={"quiet_times": night}).json()["quiet_times"] == night
    assert phone.patch("/v1/devices/phone", json={"locale": "fi"}).json()["quiet_times"] == night
    quiet = recipient(api, tenant, "phone").quiet_times
    assert quiet is not None
    assert (quiet.start, quiet.end) == ("21:00", "08:00")
    assert phone.patch("/v1/devices/phone", json={"quiet_times": None}).json()["quiet_times"] is None
    for wrong in ({"start": "25:00", "end": "08:00"}, {"start": "21:00"}, "night"):
        problem(phone.patch("/v1/devices/phone", json={"quiet_times": wrong}), 422, "malformed")


def _vouched(api: Api, tenant: TestTenant, device: str) -> bool:
    mine = sa.select(devices.c.vouched_at).where(devices.c.device_id == device_id_for(tenant.tenant_id, device))
    with api.system.connect() as connection:
        return connection.execute(mine).scalar_one() is not None


def test_only_a_server_vouches_for_a_device(api: Api, tenant: TestTenant) -> None:
    phone = registered(tenant, "phone")
    phone.patch("/v1/devices/phone", json={"locale": "fi"})
    assert not _vouched(api, tenant, "phone")
    tenant.secret.patch("/v1/devices/phone", json={"locale": "sv"})
    assert _vouched(api, tenant, "phone")
    tenant.device("servers")
    tenant.secret.post("/v1/positions", json={"device_id": "seen", "positions": [position()]})
    assert [_vouched(api, tenant, name) for name in ("servers", "seen")] == [True, True]
