"""`include=offers`: what can be used near, in the answer to positions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.support.api import HELSINKI, TestTenant, position, problem, running_api, settings_for, wait_for

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.servers

URL = "/v1/positions?include=offers"
CAMPAIGN: dict[str, Any] = {
    "name": "c",
    "stores": ["s1"],
    "offer": {"kind": "percentage", "value": 20},
    "creatives": [{"title": "Coffee at {store}"}, {"title": "Kahvia: {store}", "locale": "fi"}],
}
FAR = {"lat": 61.5, "lng": 23.8}


@pytest.fixture
def street(tenant: TestTenant) -> TestTenant:
    """One store with an offer."""
    tenant.store("s1")
    campaign_id = tenant.secret.post("/v1/campaigns", json=CAMPAIGN).json()["campaign_id"]
    for move in ("submit", "approve"):
        assert tenant.secret.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    wait_for(lambda: tenant.app.get("/v1/offers/nearby", params=HELSINKI).json()["items"])
    return tenant


def send(client: httpx.Client, *positions: dict[str, Any], url: str = URL, **headers: str) -> httpx.Response:
    return client.post(url, json={"device_id": "phone", "positions": list(positions)}, headers=headers)


def test_offers_near_the_newest_accepted_position_are_those_of_the_search(street: TestTenant) -> None:
    phone = street.device("phone")
    now = datetime.now(UTC)
    newest = position(recorded_at=(now - timedelta(seconds=1)).isoformat())
    older = position(recorded_at=(now - timedelta(minutes=5)).isoformat(), **FAR)
    never = position(recorded_at=(now + timedelta(hours=1)).isoformat(), **FAR)
    answer = send(phone, never, newest, older)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], [one["reason"] for one in body["rejected"]]) == (2, ["in_future"])
    assert body["offers"] == phone.get("/v1/offers/nearby", params=HELSINKI).json()["items"]
    assert [item["external_id"] for item in body["offers"]] == ["s1"]
    assert body["offers"][0]["distance_m"] == 0.0


def test_offers_are_in_the_language_that_is_asked_for(street: TestTenant) -> None:
    phone = street.device("phone")
    (store,) = send(phone, position(), **{"Accept-Language": "fi-FI,fi;q=0.9"}).json()["offers"]
    assert store["offers"][0]["title"] == "Kahvia: Shop"


def test_message_pack_is_answered_the_same(street: TestTenant) -> None:
    phone = street.device("phone")
    body = msgspec.msgpack.encode({"device_id": "phone", "positions": [position()]})
    answer = phone.post(URL, content=body, headers={"Content-Type": "application/msgpack"})
    assert [item["external_id"] for item in answer.json()["offers"]] == ["s1"]


def test_without_the_parameter_nothing_is_added(street: TestTenant) -> None:
    phone = street.device("phone")
    assert send(phone, position(), url="/v1/positions").json() == {"accepted": 1, "rejected": []}
    assert send(phone, position(), url="/v1/positions?other=1").json() == {"accepted": 1, "rejected": []}


def test_with_no_position_nobody_knows_what_is_near(street: TestTenant) -> None:
    phone = street.device("phone")
    assert send(phone, position(lat=0, lng=0)).json()["offers"] is None
    assert len(street.log("phone")) == 1, "the consent and nothing else"


def test_anything_else_cannot_be_included(street: TestTenant) -> None:
    phone = street.device("phone")
    for url in ("/v1/positions?include=stores", "/v1/positions?include=offers&include=x"):
        body = problem(send(phone, position(), url=url), 422, "malformed")
        assert body["errors"][0]["where"] == "query.include"


def test_positions_are_taken_though_the_search_cannot_answer(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url)) as api:
        tenant = api.tenant()
        phone = tenant.device("phone")
        api.services.memory._loaded = False
        answer = send(phone, position())
        api.services.memory._loaded = True
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": [], "offers": None})
