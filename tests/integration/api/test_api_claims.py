"""Claims over HTTP: one code a person, kept for what a push promised or reserved anew, refused with a reason."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from offers import ledger
from offers.codes import read
from offers.model import CampaignId
from tests.support.api import problem
from tests.support.tills import BUDGET, OFFER, Shop, campaign_of, claim, refused

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

WEEK = ["mo", "tu", "we", "th", "fr", "sa", "su"]


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def _ask(shop: Shop, campaign_id: str, device: str, **more: Any) -> Any:
    body = {"campaign_id": campaign_id, "device_id": device, **more}
    return shop.tenant.secret.post("/v1/claims", json=body)


def _reservations(shop: Shop, campaign_id: str) -> list[tuple[str, str | None]]:
    with shop.api.system.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT state, release_reason FROM offers.reservations WHERE campaign_id = :id ORDER BY created_at"
            ),
            {"id": int(campaign_id)},
        )
        return [(row.state, row.release_reason) for row in rows]


def test_claiming_again_gives_the_same_code(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=5)
    phone = shop.tenant.device("phone")
    first = claim(phone, campaign_id, "phone", store_id=str(shop.store_id))
    assert read(first["code"]) is not None
    assert (first["state"], first["source"]) == ("claimed", "search")
    assert claim(phone, campaign_id, "phone") == first
    assert phone.get(f"/v1/claims/{first['claim_id']}").json() == first
    assert phone.get("/v1/claims", params={"device_id": "phone"}).json()["items"] == [first]
    assert shop.supply(campaign_id)[0] == 1


def test_a_claim_says_what_it_is_for_in_the_readers_language(shop: Shop) -> None:
    creatives = [{"locale": "en", "title": "Coffee at {store}"}, {"locale": "zh", "title": "{store} 送咖啡"}]
    campaign_id = shop.campaign(creatives=creatives)
    phone = shop.tenant.device("phone")
    made = claim(phone, campaign_id, "phone", store_id=str(shop.store_id))
    assert made["title"] == f"Coffee at {made['store_name']}"
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    (listed,) = phone.get("/v1/claims", params={"device_id": "phone"}, headers=chinese).json()["items"]
    assert (listed["title"], listed["offer"]) == (f"{made['store_name']} 送咖啡", made["offer"])


def test_a_claim_of_no_store_says_what_it_is_for(shop: Shop) -> None:
    made = claim(shop.tenant.device("phone"), shop.campaign(creatives=[{"title": "Coffee at {store}"}]), "phone")
    assert (made["store_name"], made["title"]) == (None, "Coffee at")


def test_all_devices_of_a_person_share_a_claim(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=5)
    phone, tablet = (shop.tenant.device(name, external_user_id="ann") for name in ("phone", "tablet"))
    first = claim(phone, campaign_id, "phone")
    assert claim(tablet, campaign_id, "tablet") == first
    assert tablet.get(f"/v1/claims/{first['claim_id']}").json() == first
    assert tablet.get("/v1/claims", params={"device_id": "tablet"}).json()["items"] == [first]
    assert shop.supply(campaign_id)[0] == 1


def test_one_person_claiming_on_many_devices_at_once_gets_one_code(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=50)
    phones = [(name, shop.tenant.device(name, external_user_id="ann")) for name in (f"d{i}" for i in range(12))]
    with ThreadPoolExecutor(12) as pool:
        codes = set(pool.map(lambda phone: claim(phone[1], campaign_id, phone[0])["code"], phones * 2))
    assert len(codes) == 1
    assert shop.supply(campaign_id)[0] == 1


def test_a_claim_keeps_what_a_push_holds(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=1, reservation_ttl_s=600)
    shop.tenant.device("phone", consents=[{"purpose": "push", "version": "1"}])
    shop.push(campaign_id, "phone")
    assert _reservations(shop, campaign_id) == [("held", None)]
    made = shop.claim(campaign_id, "phone")
    assert (made["source"], made["store_id"]) == ("push", str(shop.store_id))
    assert _reservations(shop, campaign_id) == [("held", None)]
    assert shop.supply(campaign_id)[0] == 1


def test_a_claim_of_a_push_keeps_the_terms_of_the_version_that_was_pushed(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone", consents=[{"purpose": "push", "version": "1"}])
    shop.push(campaign_id, "phone")
    path = f"/v1/campaigns/{campaign_id}"
    shop.tenant.secret.post(f"{path}/pause")
    worse = {**OFFER, "stores": [str(shop.store_id)], "offer": {"kind": "percentage", "value": 1, "max_cost": 5}}
    assert shop.tenant.secret.put(path, json=worse).status_code == 200
    code = shop.claim(campaign_id, "phone")["code"]
    assert shop.prepare(code)["offer"]["value"] == 20


def test_a_claim_lasts_as_long_as_the_offer_says(shop: Shop) -> None:
    campaign_id = shop.campaign(offer={"kind": "gift", "valid_after_claim_s": 7200}, reservation_ttl_s=60)
    shop.tenant.device("phone")
    made = shop.claim(campaign_id, "phone")
    lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lasts == timedelta(seconds=7200)


def test_a_claim_that_ran_out_makes_room_for_another(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=1)
    shop.tenant.device("phone")
    first = shop.claim(campaign_id, "phone")
    shop.age_claim(first["claim_id"], timedelta(hours=2))
    over = shop.tenant.secret.get(f"/v1/claims/{first['claim_id']}").json()
    assert (over["state"], over["code"]) == ("expired", None)
    problem(shop.tenant.secret.get(f"/v1/claims/{first['claim_id']}/qr.svg"), 404, "not-found")
    again = shop.claim(campaign_id, "phone")
    assert again["code"] != first["code"]
    assert shop.supply(campaign_id)[0] == 1


def test_two_hundred_claims_at_once_on_a_stock_of_ten_give_ten(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=10, budget=BUDGET)
    names = [f"d{i}" for i in range(200)]
    for name in names:
        shop.tenant.device(name)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda name: _ask(shop, campaign_id, name, store_id=str(shop.store_id)), names))
    made = [answer for answer in answers if answer.status_code == 200]
    assert len(made) == 10
    assert len({answer.json()["code"] for answer in made}) == 10
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, "stock")
    assert shop.supply(campaign_id) == (10, "50")


def test_claims_race_the_release_of_what_ran_out_and_nothing_is_lost(shop: Shop) -> None:
    """A reservation about to run out is claimed or released, never both; the counter says what the rows say."""
    campaign_id = shop.campaign(stock=40, reservation_ttl_s=600)
    names = [f"d{i}" for i in range(40)]
    for name in names:
        shop.tenant.device(name, consents=[{"purpose": "push", "version": "1"}])
        shop.push(campaign_id, name)
    later = datetime.now(UTC) + timedelta(seconds=601)

    def release() -> int:
        with shop.api.system.begin() as connection:
            return ledger.release_expired(connection, now=later)

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(_ask, shop, campaign_id, name) for name in names[:20]]
        released = pool.submit(release)
        answers += [pool.submit(_ask, shop, campaign_id, name) for name in names[20:]]
        made = [answer.result() for answer in answers]
    assert released.result() > 0
    assert {answer.status_code for answer in made} == {200}
    held = _reservations(shop, campaign_id).count(("held", None))
    assert shop.supply(campaign_id)[0] == held
    with shop.api.system.connect() as connection:
        unkept = connection.execute(
            sa.text(
                "SELECT count(*) FROM offers.claims c JOIN offers.reservations r USING (decision_id)"
                " WHERE c.campaign_id = :id AND c.state = 'claimed' AND r.state <> 'held'"
                "   AND c.expires_at > :later"
            ),
            {"id": int(campaign_id), "later": later},
        ).scalar_one()
    assert unkept == 0


@pytest.mark.parametrize(
    ("definition", "gate"),
    [
        ({"stock": 0}, "stock"),
        ({"budget": {"currency": "EUR", "total": 4}}, "budget"),
        ({"audience": {"attribute": "gold", "is": True}}, "audience"),
        ({"windows": {"last_day": "2020-01-01"}}, "window"),
    ],
)
def test_a_claim_is_refused_with_the_gate_that_failed(shop: Shop, definition: dict[str, Any], gate: str) -> None:
    campaign_id = shop.campaign(**definition)
    shop.tenant.device("phone")
    refused(_ask(shop, campaign_id, "phone", store_id=str(shop.store_id)), gate)
    assert shop.supply(campaign_id) == (0, "0")
    assert _reservations(shop, campaign_id) == []


def test_a_claim_at_a_closed_store_is_refused_if_the_campaign_asks_for_open_doors(api: Api, tenant: TestTenant) -> None:
    shop = Shop.open(api, tenant, opening_hours="off")
    campaign_id = shop.campaign(windows={"only_while_open": True})
    tenant.device("phone")
    refused(_ask(shop, campaign_id, "phone", store_id=str(shop.store_id)), "open")


def test_new_devices_get_no_more_than_their_share_of_the_stock(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=10, new_device_stock_share=0.1)
    tokens = [shop.tenant.app.post("/v1/devices", json={"device_id": f"n{i}"}).json()["device_token"] for i in range(2)]
    phones = [shop.api.client(token) for token in tokens]
    claim(phones[0], campaign_id, "n0")
    refused(phones[1].post("/v1/claims", json={"campaign_id": campaign_id, "device_id": "n1"}), "stock")


def test_holdout_caps_and_quiet_hours_do_not_keep_anybody_from_an_offer_they_found(shop: Shop) -> None:
    campaign_id = shop.campaign(
        holdout_share=0.9,
        cool_down_s=86_400,
        quiet_hours={"times": {"start": "00:00", "end": "24:00"}, "policy": "drop"},
    )
    for name in ("a", "b", "c", "d"):
        shop.tenant.device(name)
        assert shop.claim(campaign_id, name)["state"] == "claimed"


def test_an_offer_of_another_store_is_refused(shop: Shop) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    refused(_ask(shop, campaign_id, "phone", store_id=str(other.store_id)), "wrong_store")


def test_a_campaign_that_is_over_is_refused_and_a_draft_is_not_there(shop: Shop) -> None:
    over = shop.campaign()
    shop.tenant.secret.post(f"/v1/campaigns/{over}/stop")
    shop.tenant.device("phone")
    refused(_ask(shop, over, "phone"), "not_live")
    draft = shop.tenant.secret.post(f"/v1/campaigns/{over}/clone").json()["campaign_id"]
    problem(_ask(shop, draft, "phone"), 404, "not-found")


def test_a_claim_outlives_the_stop_of_its_campaign(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=3)
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone")["code"]
    shop.tenant.secret.post(f"/v1/campaigns/{campaign_id}/stop")
    assert shop.redeem(code)["state"] == "redeemed"


def test_an_offer_found_by_search_is_used_once_by_a_person(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=9)
    shop.tenant.device("phone")
    shop.redeem(shop.claim(campaign_id, "phone")["code"])
    refused(_ask(shop, campaign_id, "phone"), "already_redeemed")


def test_a_push_may_bring_an_offer_again_that_was_redeemed(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=9)
    shop.tenant.device("phone", consents=[{"purpose": "push", "version": "1"}])
    shop.redeem(shop.claim(campaign_id, "phone")["code"])
    shop.push(campaign_id, "phone")
    assert shop.claim(campaign_id, "phone")["source"] == "push"


def test_another_devices_token_sees_and_claims_nothing(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    other = shop.tenant.device("other")
    claim_id = shop.claim(campaign_id, "phone")["claim_id"]
    problem(other.get(f"/v1/claims/{claim_id}"), 404, "not-found")
    problem(other.get(f"/v1/claims/{claim_id}/qr.svg"), 404, "not-found")
    problem(other.get("/v1/claims", params={"device_id": "phone"}), 403, "forbidden")
    problem(other.post("/v1/claims", json={"campaign_id": campaign_id, "device_id": "phone"}), 403, "forbidden")


def test_another_tenant_sees_nothing(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    claim_id = shop.claim(campaign_id, "phone")["claim_id"]
    stranger = shop.api.tenant()
    stranger.device("phone")
    problem(stranger.secret.get(f"/v1/claims/{claim_id}"), 404, "not-found")
    body = {"campaign_id": campaign_id, "device_id": "phone"}
    problem(stranger.secret.post("/v1/claims", json=body), 404, "not-found")


def test_the_code_comes_as_a_picture(shop: Shop) -> None:
    campaign_id = shop.campaign()
    phone = shop.tenant.device("phone")
    made = claim(phone, campaign_id, "phone")
    svg = phone.get(f"/v1/claims/{made['claim_id']}/qr.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.headers["cache-control"] == "private, no-store"
    assert b"<svg" in svg.content
    png = phone.get(f"/v1/claims/{made['claim_id']}/qr.png")
    assert png.content.startswith(b"\x89PNG")
    again = phone.post("/v1/claims?include=qr", json={"campaign_id": campaign_id, "device_id": "phone"}).json()
    assert again["qr_svg"].startswith("<svg")


def test_a_code_is_stored_as_a_hash_and_sealed(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    made = shop.claim(campaign_id, "phone")
    code = made["code"].replace("-", "").encode()
    with shop.api.system.connect() as connection:
        row = connection.execute(
            sa.text("SELECT c::text AS everything, code_sealed, code_tail FROM offers.claims c WHERE claim_id = :id"),
            {"id": int(made["claim_id"])},
        ).one()
    assert code not in bytes(row.code_sealed)
    assert code.decode() not in row.everything
    assert row.code_tail == code.decode()[-4:]


def test_a_claim_counts_in_what_a_campaign_has_reserved(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=5, budget={**BUDGET, "per_store": 50, "per_day": 50})
    shop.tenant.device("phone")
    shop.claim(campaign_id, "phone", store_id=str(shop.store_id))
    with shop.api.system.connect() as connection:
        scopes = connection.execute(
            sa.text("SELECT split_part(scope, ':', 1) AS scope, reserved FROM offers.budgets WHERE campaign_id = :id"),
            {"id": CampaignId(int(campaign_id))},
        )
        assert {row.scope: int(row.reserved) for row in scopes} == {"total": 5, "store": 5, "day": 5}
    told = shop.tenant.secret.get(f"/v1/campaigns/{campaign_id}/report").json()["budgets"]
    assert [(one["scope"].split(":")[0], one["most"], one["reserved"]) for one in told] == [
        ("total", "100", "5"), ("day", "50", "5"), ("store", "50", "5"),
    ]  # fmt: skip


def test_everything_is_open_to_an_offer_without_stores(shop: Shop) -> None:
    campaign_id = campaign_of(shop.tenant)
    shop.tenant.device("phone")
    assert shop.redeem(shop.claim(campaign_id, "phone")["code"])["state"] == "redeemed"


def test_a_claim_needs_a_device_that_exists(shop: Shop) -> None:
    problem(_ask(shop, shop.campaign(), "nobody"), 404, "not-found")


@pytest.mark.parametrize(("vouched", "shown"), [(True, 1), (False, 0)])
def test_the_code_of_an_erased_phone_goes_to_the_persons_own_phones_only(
    shop: Shop, *, vouched: bool, shown: int
) -> None:
    """Any app may say that its device is ann's; only the shop's server can know."""
    campaign_id = shop.campaign()
    shop.tenant.device("ann-1", external_user_id="ann")
    shop.claim(campaign_id, "ann-1")
    client = shop.tenant.secret if vouched else shop.tenant.app
    body = {"device_id": "other", "external_user_id": "ann"}
    assert client.post("/v1/devices", json=body).status_code == 201
    assert shop.tenant.secret.delete("/v1/devices/ann-1").status_code == 200
    answer = shop.tenant.secret.get("/v1/claims", params={"device_id": "other"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == shown
