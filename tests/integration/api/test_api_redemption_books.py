"""The books of redemptions over HTTP: reports, a store's statement, erasing and exporting a device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.store import device_id_for
from geofences.zones import zone
from tests.support.api import problem
from tests.support.tills import BUDGET, Shop

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

EUR = {"currency": "EUR"}
HELSINKI_TIME = zone("Europe/Helsinki")


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def test_a_redemption_is_put_down_to_the_push_that_was_sent(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=9)
    for name in ("sent", "unsent", "late"):
        shop.tenant.device(name, consents=[{"purpose": "push", "version": "1"}])
        shop.push(campaign_id, name)
    for name in ("sent", "late"):
        shop.change(
            "UPDATE offers.notifications SET state = 'sent' WHERE device_id = :id",
            id=device_id_for(shop.tenant.tenant_id, name),
        )
    _visited(shop, "sent")
    codes_ = {name: shop.claim(campaign_id, name)["code"] for name in ("sent", "unsent", "late")}
    shop.change(
        "UPDATE offers.reservations SET created_at = created_at - interval '25 hours' WHERE device_id = :id",
        id=device_id_for(shop.tenant.tenant_id, "late"),
    )
    shop.tenant.device("found")
    codes_["found"] = shop.claim(campaign_id, "found")["code"]
    shop.tenant.device("cancelled")
    codes_["cancelled"] = shop.claim(campaign_id, "cancelled")["code"]
    done = {name: shop.redeem(code, amount="10", **EUR) for name, code in codes_.items()}
    shop.cancel(done["cancelled"]["redemption_id"])
    report = shop.tenant.secret.get(f"/v1/campaigns/{campaign_id}/report").json()["redemptions"]
    assert report == {
        "count": 4,
        "amount": {"EUR": "40"},
        "discount": {"EUR": "8"},
        "attributed_to_push": 1,
        "from_search": 1,
        "visited": 1,
        "cancelled": 1,
        "by_store": {str(shop.store_id): 4},
    }


def _visited(shop: Shop, device: str) -> None:
    shop.change(
        "INSERT INTO geofences.visits (visit_id, tenant_id, shard, device_id, fence_id, fence_version, store_id,"
        " root_visit_id, status, entered_at, last_in_at, as_of, dwell_waits, already_inside, positions, confidence)"
        " VALUES (:id, :tenant, 0, :id, 1, 1, :store, :id, 'open', now(), now(), now(), false, false, 1, 1)",
        id=device_id_for(shop.tenant.tenant_id, device),
        tenant=shop.tenant.tenant_id,
        store=shop.store_id,
    )


def test_the_statement_lists_a_stores_day_with_totals(shop: Shop) -> None:
    campaign_id = shop.campaign(name="=cmd()")
    for name in ("a", "b"):
        shop.tenant.device(name)
    code = shop.claim(campaign_id, "a")["code"]
    first = shop.redeem(code, order_id="=HYPERLINK()", amount="10.50", **EUR)
    second = shop.redeem(shop.claim(campaign_id, "b")["code"], order_id="B", amount="3", **EUR)
    shop.cancel(second["redemption_id"])
    day = datetime.fromisoformat(first["redeemed_at"]).astimezone(HELSINKI_TIME).date()
    answer = shop.till.get("/v1/redemptions/statement", params={"day": str(day)})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "\r\n" in answer.text
    lines = [line.split(",") for line in answer.text.splitlines()]
    assert lines[1][3:] == ["'=cmd()", code.replace("-", "")[-4:], "'=HYPERLINK()", "10.5", "EUR", "2.1", "redeemed"]
    assert lines[2][9] == "cancelled"
    assert lines[3:] == [["total", "", "", "", "", "", "10.5", "EUR", "2.1", ""]]
    told = shop.till.get("/v1/redemptions/statement", params={"day": str(day), "format": "json"}).json()
    assert [(line["order_id"], line["state"], line["discount"]) for line in told["items"]] == [
        ("=HYPERLINK()", "redeemed", "2.1"),
        ("B", "cancelled", "0.6"),
    ]
    assert told["totals"] == [{"currency": "EUR", "amount": "10.5", "discount": "2.1"}]
    assert told["items"][0]["cancel_until"] > told["items"][0]["redeemed_at"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_statements_day_has_as_many_hours_as_the_stores_day(shop: Shop, day: str, hours: int) -> None:
    campaign_id = shop.campaign(stock=9)
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=HELSINKI_TIME).astimezone(UTC)
    end = start + timedelta(hours=hours)
    second = timedelta(seconds=1)
    for name, at in (("before", start - second), ("first", start), ("last", end - second), ("after", end)):
        shop.tenant.device(name)
        done = shop.redeem(shop.claim(campaign_id, name)["code"], order_id=name)
        shop.change(
            "UPDATE offers.redemptions SET redeemed_at = :at WHERE redemption_id = :id",
            at=at,
            id=int(done["redemption_id"]),
        )
    text = shop.till.get("/v1/redemptions/statement", params={"day": day}).text
    assert [line.split(",")[5] for line in text.splitlines()[1:]] == ["first", "last"]
    assert text.splitlines()[1].startswith(f"{day}T00:00:00+")


def test_a_statement_is_the_stores_own(shop: Shop) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    params = {"day": "2026-06-01", "store_id": str(shop.store_id)}
    problem(other.till.get("/v1/redemptions/statement", params=params), 403, "forbidden")
    problem(shop.tenant.app.get("/v1/redemptions/statement", params=params), 403, "forbidden")
    assert shop.tenant.secret.get("/v1/redemptions/statement", params=params).status_code == 200
    stranger = shop.api.tenant()
    problem(stranger.secret.get("/v1/redemptions/statement", params=params), 404, "not-found")
    body = problem(shop.tenant.secret.get("/v1/redemptions/statement", params={"day": "2026-06-01"}), 422, "malformed")
    assert body["errors"][0]["where"] == "query.store_id"


def test_erasing_a_device_hides_its_code_and_keeps_the_books(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=9, budget=BUDGET)
    for name in ("used", "open"):
        shop.tenant.device(name)
    shop.redeem(shop.claim(campaign_id, "used")["code"], amount="10", **EUR)
    made = shop.claim(campaign_id, "open")
    before = shop.supply(campaign_id)
    for name in ("used", "open"):
        erased = shop.tenant.secret.delete(f"/v1/devices/{name}").json()["erased"]
        assert erased["claims"] == 1
    assert shop.supply(campaign_id) == before
    assert shop.tenant.secret.get(f"/v1/claims/{made['claim_id']}").json()["code"] is None
    with shop.api.system.connect() as connection:
        left = connection.execute(
            sa.text("SELECT person, device_id, code_sealed FROM offers.claims WHERE campaign_id = :id"),
            {"id": int(campaign_id)},
        ).all()
    assert [tuple(row) for row in left] == [(None, 0, None)] * 2
    assert shop.redeem(made["code"])["state"] == "redeemed"


def test_a_shared_claim_goes_over_to_the_persons_other_device(shop: Shop) -> None:
    campaign_id = shop.campaign()
    for name in ("phone", "tablet"):
        shop.tenant.device(name, external_user_id="ann")
    made = shop.claim(campaign_id, "phone")
    assert shop.tenant.secret.delete("/v1/devices/phone").status_code == 200
    assert shop.claim(campaign_id, "tablet") == made


def test_a_devices_export_has_its_claims_without_a_code_that_could_be_used(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone")["code"]
    shop.redeem(code, order_id="A-1", amount="10", **EUR)
    [found] = shop.tenant.secret.get("/v1/devices/phone/export").json()["claims"]
    assert (found["state"], found["order_id"], found["redeemed_at_store_id"]) == ("redeemed", "A-1", str(shop.store_id))
    assert code.replace("-", "") not in str(found)
