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
