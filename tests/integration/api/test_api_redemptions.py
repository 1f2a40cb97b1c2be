"""Redemption over HTTP: prepare, verify, cancel; every refusal; stock and money go back exactly once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import device_id_for
from offers import codes
from tests.support.api import HELSINKI, problem
from tests.support.tills import BUDGET, Shop, campaign_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

EUR = {"currency": "EUR"}


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


@pytest.fixture
def code_of(shop: Shop) -> Callable[..., str]:
    """A claimed code of a new campaign."""

    def make(device: str = "phone", **definition: Any) -> str:
        shop.tenant.device(device)
        return str(shop.claim(shop.campaign(**definition), device)["code"])

    return make


def test_a_code_is_prepared_verified_and_cancelled(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=3, budget=BUDGET)
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone")["code"]
    assert shop.supply(campaign_id) == (1, "5")
    prepared = shop.prepare(code.lower().replace("-", " "))
    assert prepared["instruction"] == "Take 20 % off, at most 5 EUR."
    assert (prepared["campaign"], prepared["needs_amount"]) == ("Coffee", True)
    done = shop.verify(prepare_token=prepared["prepare_token"], order_id="A-1", amount=12.34, **EUR).json()
    assert (done["state"], done["amount"], done["discount"]) == ("redeemed", "12.34", "2.468")
    assert shop.supply(campaign_id) == (1, "2.468")
    gone = shop.cancel(done["redemption_id"], reason="wrong order").json()
    assert gone["state"] == "cancelled"
    assert shop.supply(campaign_id) == (0, "0")
    refused(shop.verify(code=code), "cancelled")


def test_preparing_changes_nothing(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of()
    tokens = {shop.prepare(code)["prepare_token"] for _ in range(3)}
    assert len(tokens) == 3
    assert shop.redeem(code)["state"] == "redeemed"


def test_repeating_with_the_same_token_gives_the_same_answer(shop: Shop, code_of: Callable[..., str]) -> None:
    token = shop.prepare(code_of())["prepare_token"]
    first = shop.verify(prepare_token=token, order_id="A-1", amount="10", **EUR)
    assert first.status_code == 200
    assert shop.verify(prepare_token=token, order_id="A-1", amount="10", **EUR).json() == first.json()


def test_repeating_with_the_same_order_gives_the_same_answer(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of()
    first = shop.redeem(code, order_id="A-1")
    assert shop.redeem(code, order_id="A-1") == first


def test_a_token_is_repeated_after_its_end(shop: Shop, code_of: Callable[..., str]) -> None:
    """The answer was lost, and the till was off for an hour."""
    token = _old_token(shop, code_of(), redeem=True)
    assert shop.verify(prepare_token=token).json()["state"] == "redeemed"


def test_a_token_that_ran_out_redeems_nothing(shop: Shop, code_of: Callable[..., str]) -> None:
    refused(shop.verify(prepare_token=_old_token(shop, code_of(), redeem=False)), "token_expired")


def _old_token(shop: Shop, code: str, *, redeem: bool) -> str:
    """As `prepare` gave it an hour ago."""
    plain = codes.read(code)
    assert plain is not None
    with shop.api.system.connect() as connection:
        row = connection.execute(
            sa.text("SELECT claim_id FROM offers.claims WHERE code_hash = :hash"),
            {"hash": shop.api.services.codes.hash(shop.tenant.tenant_id, plain)},
        ).one()
        key_id = connection.execute(
            sa.text("SELECT key_id FROM lbs.keys WHERE store_id = :id"), {"id": shop.store_id}
        ).scalar_one()
    tokens = shop.api.services.prepare_tokens
    token = tokens.issue(
        tenant_id=shop.tenant.tenant_id,
        claim_id=row.claim_id,
        store_id=shop.store_id,
        key_id=key_id,
        expires_at=datetime.now(UTC) - timedelta(minutes=55),
    )
    if redeem:
        read = tokens.read(token)
        assert read is not None
        shop.redeem(code)
        shop.change(
            "UPDATE offers.redemptions SET nonce = :nonce WHERE claim_id = :id", nonce=read.nonce, id=row.claim_id
        )
    return token


def test_the_same_token_for_another_order_is_refused(shop: Shop, code_of: Callable[..., str]) -> None:
    token = shop.prepare(code_of())["prepare_token"]
    assert shop.verify(prepare_token=token, order_id="A-1").status_code == 200
    refused(shop.verify(prepare_token=token, order_id="A-2"), "other_order")


def test_another_token_of_the_same_code_is_refused_once_it_is_used(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of()
    first, second = (shop.prepare(code)["prepare_token"] for _ in range(2))
    assert shop.verify(prepare_token=first).status_code == 200
    refused(shop.verify(prepare_token=second), "already_redeemed")
    refused(shop.till.post("/v1/redemptions/prepare", json={"code": code}), "already_redeemed")


def test_many_tills_at_once_redeem_a_code_once(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=5, budget=BUDGET)
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone")["code"]
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda i: shop.verify(code=code, order_id=f"A-{i}", amount="10", **EUR), range(60)))
    assert [answer.status_code for answer in answers].count(200) == 1
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, "already_redeemed")
    assert shop.supply(campaign_id) == (1, "2")


def test_one_till_that_repeats_itself_at_once_is_answered_alike(shop: Shop, code_of: Callable[..., str]) -> None:
    token = shop.prepare(code_of())["prepare_token"]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: shop.verify(prepare_token=token, order_id="A-1"), range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_cancelling_at_once_gives_back_stock_and_money_once(shop: Shop) -> None:
    campaign_id = shop.campaign(stock=5, budget={**BUDGET, "per_store": 60})
    for name in ("a", "b"):
        shop.tenant.device(name)
    kept = shop.redeem(shop.claim(campaign_id, "a")["code"])
    done = shop.redeem(shop.claim(campaign_id, "b")["code"])
    assert kept["redemption_id"] != done["redemption_id"]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: shop.cancel(done["redemption_id"]), range(30)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert shop.supply(campaign_id) == (1, "5")


def test_cancelling_and_repeating_at_once_leaves_one_of_two_states(shop: Shop, code_of: Callable[..., str]) -> None:
    token = shop.prepare(code_of())["prepare_token"]
    done = shop.verify(prepare_token=token).json()
    with ThreadPoolExecutor(10) as pool:
        cancels = [pool.submit(shop.cancel, done["redemption_id"]) for _ in range(5)]
        repeats = [pool.submit(shop.verify, prepare_token=token) for _ in range(10)]
    assert {answer.result().status_code for answer in cancels} == {200}
    for repeat in (answer.result() for answer in repeats):
        if repeat.status_code != 200:
            refused(repeat, "cancelled")
    refused(shop.verify(prepare_token=token), "cancelled")


def test_a_redemption_is_cancelled_in_time_only(shop: Shop, code_of: Callable[..., str]) -> None:
    done = shop.redeem(code_of())
    shop.change(
        "UPDATE offers.redemptions SET redeemed_at = redeemed_at - interval '61 minutes' WHERE redemption_id = :id",
        id=int(done["redemption_id"]),
    )
    refused(shop.cancel(done["redemption_id"]), "too_late")


def test_without_an_amount_the_most_it_may_cost_is_kept(shop: Shop) -> None:
    campaign_id = shop.campaign(budget=BUDGET)
    shop.tenant.device("phone")
    done = shop.redeem(shop.claim(campaign_id, "phone")["code"])
    assert (done["discount"], shop.supply(campaign_id)[1]) == (None, "5")


def test_an_order_that_would_cost_more_costs_the_most(shop: Shop) -> None:
    campaign_id = shop.campaign(budget=BUDGET)
    shop.tenant.device("phone")
    done = shop.redeem(shop.claim(campaign_id, "phone")["code"], amount=1000, **EUR)
    assert (done["discount"], shop.supply(campaign_id)[1]) == ("5", "5")


def test_what_an_order_did_not_cost_goes_back_to_every_budget(shop: Shop) -> None:
    campaign_id = shop.campaign(budget={**BUDGET, "per_store": 50, "per_day": 50})
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone", store_id=str(shop.store_id))["code"]
    shop.redeem(code, amount="5.55", **EUR)
    with shop.api.system.connect() as connection:
        kept = connection.execute(
            sa.text("SELECT reserved FROM offers.budgets WHERE campaign_id = :id"), {"id": int(campaign_id)}
        ).scalars()
        assert list(kept) == [Decimal("1.11")] * 3


def test_an_order_below_the_minimum_is_refused(shop: Shop, code_of: Callable[..., str]) -> None:
    offer = {"kind": "amount", "value": 5, "currency": "EUR", "min_spend": 20}
    code = code_of(offer=offer)
    refused(shop.verify(code=code), "amount_needed")
    refused(shop.verify(code=code, amount="19.99", **EUR), "min_spend")
    assert shop.redeem(code, amount="20", **EUR)["discount"] == "5"


def test_an_order_in_another_currency_is_refused(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of(offer={"kind": "amount", "value": 5, "currency": "EUR"})
    refused(shop.verify(code=code, amount="20", currency="USD"), "currency")


def test_a_code_that_ran_out_is_refused(shop: Shop) -> None:
    shop.tenant.device("phone")
    made = shop.claim(shop.campaign(), "phone")
    token = shop.prepare(made["code"])["prepare_token"]
    shop.age_claim(made["claim_id"], timedelta(hours=2))
    refused(shop.verify(prepare_token=token), "expired")
    refused(shop.till.post("/v1/redemptions/prepare", json={"code": made["code"]}), "expired")


def test_a_code_whose_reservation_was_released_redeems_nothing(shop: Shop) -> None:
    """The scheduler's clock is ahead of the API's."""
    campaign_id = shop.campaign(stock=3)
    shop.tenant.device("phone")
    made = shop.claim(campaign_id, "phone")
    shop.change(
        "UPDATE offers.reservations SET state = 'released', release_reason = 'expired' WHERE campaign_id = :id",
        id=int(campaign_id),
    )
    refused(shop.verify(code=made["code"]), "expired")
    assert shop.tenant.secret.get(f"/v1/claims/{made['claim_id']}").json()["state"] == "claimed"


def test_an_offer_of_one_store_is_refused_at_another(shop: Shop, code_of: Callable[..., str]) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    code = code_of()
    refused(other.verify(code=code), "wrong_store")
    assert shop.redeem(code)["state"] == "redeemed"


def test_windows_count_at_the_till_for_a_claim_that_named_no_store(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of(windows={"last_day": "2020-01-01"})
    refused(shop.verify(code=code), "not_now")


def test_another_stores_key_can_do_nothing_with_a_token_or_redemption(shop: Shop, code_of: Callable[..., str]) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    code = code_of()
    token = shop.prepare(code)["prepare_token"]
    problem(other.verify(prepare_token=token), 404, "unknown-code")
    problem(other.verify(code=code, store_id=str(shop.store_id)), 403, "forbidden")
    problem(other.verify(code="2CDF-HJKM-N3P6", store_id=str(shop.store_id)), 403, "forbidden")
    done = shop.redeem(code)
    problem(other.cancel(done["redemption_id"]), 404, "not-found")
    problem(other.cancel(str(int(done["redemption_id"]) + 10**6)), 404, "not-found")


def test_another_tenants_key_cannot_tell_a_code_from_none(shop: Shop, code_of: Callable[..., str]) -> None:
    stranger = Shop.open(shop.api, shop.api.tenant())
    code = code_of()
    real = problem(stranger.verify(code=code), 404, "unknown-code")
    none = problem(stranger.verify(code=codes.shown(codes.new_code())), 404, "unknown-code")
    assert real["detail"] == none["detail"]
    token = shop.prepare(code)["prepare_token"]
    problem(stranger.verify(prepare_token=token), 404, "unknown-code")
    done = shop.redeem(code)
    problem(stranger.cancel(done["redemption_id"]), 404, "not-found")


def test_a_secret_key_names_the_store(shop: Shop, code_of: Callable[..., str]) -> None:
    code = code_of()
    secret = shop.tenant.secret
    body = problem(secret.post("/v1/redemptions/prepare", json={"code": code}), 422, "malformed")
    assert body["errors"][0]["where"] == "body.store_id"
    named = {"code": code, "store_id": str(shop.store_id)}
    token = secret.post("/v1/redemptions/prepare", json=named).json()["prepare_token"]
    problem(shop.verify(prepare_token=token), 404, "unknown-code")
    done = secret.post("/v1/redemptions/verify", json={"prepare_token": token, "store_id": str(shop.store_id)}).json()
    gone = {"redemption_id": done["redemption_id"], "store_id": str(shop.store_id)}
    assert secret.post("/v1/redemptions/cancel", json=gone).json()["state"] == "cancelled"
    problem(secret.post("/v1/redemptions/verify", json={"code": code, "store_id": "999999999"}), 404, "not-found")


@pytest.mark.parametrize("kind", ["app", "device"])
def test_apps_and_devices_do_not_redeem(shop: Shop, kind: str) -> None:
    client = shop.tenant.app if kind == "app" else shop.tenant.device("phone")
    problem(client.post("/v1/redemptions/verify", json={"code": "2CDF-HJKM-N3P6"}), 403, "forbidden")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"code": "2CDF-HJKM-N3P6", "prepare_token": "x"},
        {"code": "2CDF-HJKM-N3P6", "amount": 5},
        {"code": "2CDF-HJKM-N3P6", "amount": -1, "currency": "EUR"},
        {"code": "2CDF-HJKM-N3P6", "amount": "NaN", "currency": "EUR"},
        {"code": "2CDF-HJKM-N3P6", "amount": 1, "currency": "euro"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    problem(shop.verify(**wrong), 422, "malformed")


def test_presence_fails_closed(shop: Shop) -> None:
    campaign_id = shop.campaign(redemption={"presence_radius_m": 100, "presence_within_s": 600})
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone")["code"]
    refused(shop.verify(code=code), "presence_unknown")
    _seen(shop, "phone", lat=HELSINKI["lat"] + 0.01, seconds_ago=30)
    refused(shop.verify(code=code), "too_far")
    _seen(shop, "phone", lat=HELSINKI["lat"], seconds_ago=700)
    refused(shop.verify(code=code), "too_far")
    _seen(shop, "phone", lat=HELSINKI["lat"], seconds_ago=60, flags=1)
    refused(shop.verify(code=code), "too_far")
    _seen(shop, "phone", lat=HELSINKI["lat"] + 0.0005, seconds_ago=60)
    assert shop.redeem(code)["state"] == "redeemed"


def test_presence_is_that_of_any_of_the_persons_phones(shop: Shop) -> None:
    campaign_id = shop.campaign(redemption={"presence_radius_m": 100})
    for name in ("phone", "watch"):
        shop.tenant.device(name, external_user_id="ann")
    code = shop.claim(campaign_id, "phone")["code"]
    shop.tenant.device("stranger")
    _seen(shop, "stranger", lat=HELSINKI["lat"], seconds_ago=10)
    refused(shop.verify(code=code), "presence_unknown")
    _seen(shop, "watch", lat=HELSINKI["lat"], seconds_ago=10)
    assert shop.redeem(code)["state"] == "redeemed"


def _seen(shop: Shop, device: str, *, lat: float, seconds_ago: float, flags: int = 0) -> None:
    """A position as the engine stores it."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    shop.change(
        "INSERT INTO geofences.positions (tenant_id, device_id, recorded_at, received_at, lat, lng, flags)"
        " VALUES (:tenant, :device, :at, :at, :lat, :lng, :flags)",
        tenant=shop.tenant.tenant_id,
        device=device_id_for(shop.tenant.tenant_id, device),
        at=at,
        lat=lat,
        lng=HELSINKI["lng"],
        flags=flags,
    )


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
    day = datetime.fromisoformat(first["redeemed_at"]).astimezone(_zone(shop)).date()
    answer = shop.till.get("/v1/redemptions/statement", params={"day": str(day)})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "\r\n" in answer.text
    lines = [line.split(",") for line in answer.text.splitlines()]
    assert lines[1][3:] == ["'=cmd()", code.replace("-", "")[-4:], "'=HYPERLINK()", "10.5", "EUR", "2.1", "redeemed"]
    assert lines[2][9] == "cancelled"
    assert lines[3:] == [["total", "", "", "", "", "", "10.5", "EUR", "2.1", ""]]


def _zone(shop: Shop) -> Any:
    from geofences.zones import zone  # noqa: PLC0415

    del shop
    return zone("Europe/Helsinki")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_statements_day_has_as_many_hours_as_the_stores_day(shop: Shop, day: str, hours: int) -> None:
    campaign_id = shop.campaign(stock=9)
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=_zone(shop)).astimezone(UTC)
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


def test_an_idempotency_key_answers_a_claim_and_a_redemption_again(shop: Shop) -> None:
    code = None
    shop.tenant.device("phone")
    body = {"campaign_id": campaign_of(shop.tenant), "device_id": "phone"}
    for expected in ("", "true"):
        answer = shop.tenant.secret.post("/v1/claims", json=body, headers={"Idempotency-Key": "c"})
        assert answer.headers.get("Idempotency-Replayed", "") == expected
        assert code in {None, answer.json()["code"]}
        code = answer.json()["code"]
    for expected in ("", "true"):
        answer = shop.till.post("/v1/redemptions/verify", json={"code": code}, headers={"Idempotency-Key": "v"})
        assert (answer.status_code, answer.headers.get("Idempotency-Replayed", "")) == (200, expected)
