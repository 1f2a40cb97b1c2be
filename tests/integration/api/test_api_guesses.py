"""Wrong codes lock a till's key out for a while; mistyped ones hardly do, and nobody else is locked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from offers.codes import new_code
from tests.support.api import problem, running_api, settings_for
from tests.support.own_redis import own_redis
from tests.support.tills import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

GUESSES = 10
"""As the setting is by default."""
MISTYPED = "2CDF-HJKM-N3P3"


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def _guess(shop: Shop, times: int) -> None:
    for _ in range(times):
        problem(shop.verify(code=new_code()), 404, "unknown-code")


def _locked(shop: Shop) -> None:
    answer = shop.till.post("/v1/redemptions/prepare", json={"code": new_code()})
    problem(answer, 429, "too-many-requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 900


def test_a_key_that_guesses_waits_even_with_a_good_code(shop: Shop) -> None:
    shop.tenant.device("phone")
    code = shop.claim(shop.campaign(), "phone")["code"]
    _guess(shop, GUESSES)
    _locked(shop)
    problem(shop.verify(code=code), 429, "too-many-requests")


def test_a_till_that_mistypes_is_not_locked(shop: Shop) -> None:
    for _ in range(5 * GUESSES - 1):
        problem(shop.verify(code=MISTYPED), 422, "malformed-code")
    shop.tenant.device("phone")
    shop.redeem(shop.claim(shop.campaign(), "phone")["code"])
    problem(shop.verify(code=MISTYPED), 422, "malformed-code")
    _locked(shop)


def test_codes_that_were_used_or_ran_out_are_no_guesses(shop: Shop) -> None:
    shop.tenant.device("phone")
    code = shop.claim(shop.campaign(), "phone")["code"]
    shop.redeem(code)
    for _ in range(2 * GUESSES):
        assert shop.verify(code=code).status_code == 409


def test_a_lock_out_is_one_keys_and_one_stores(shop: Shop) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    _guess(shop, GUESSES)
    _locked(shop)
    _guess(other, 1)
    secret = shop.tenant.secret
    body = {"code": new_code(), "store_id": str(shop.store_id)}
    problem(secret.post("/v1/redemptions/prepare", json=body), 404, "unknown-code")


def test_a_key_of_many_stores_has_an_allowance_in_all(shop: Shop) -> None:
    shops = [shop, *(Shop.open(shop.api, shop.tenant, f"s{i}") for i in range(11))]
    answers = [
        shop.tenant.secret.post(
            "/v1/redemptions/prepare", json={"code": new_code(), "store_id": str(shops[i % len(shops)].store_id)}
        ).status_code
        for i in range(10 * GUESSES + 1)
    ]
    assert answers == [404] * (10 * GUESSES) + [429]


def test_a_forged_token_counts_as_a_guess(shop: Shop) -> None:
    for _ in range(GUESSES):
        problem(shop.verify(prepare_token="lbs_rt_AAAA.BBBB"), 404, "unknown-code")
    _locked(shop)


def test_tills_go_on_without_redis(new_database_url: Callable[[], str]) -> None:
    with ExitStack() as server:
        redis_url = server.enter_context(own_redis())
        with running_api(settings_for(new_database_url(), redis_url)) as api:
            shop = Shop.open(api, api.tenant())
            shop.tenant.device("phone")
            code = shop.claim(shop.campaign(), "phone")["code"]
            server.close()
            _guess(shop, 1)
            assert shop.redeem(code)["state"] == "redeemed"
