"""At which store, and until when, a code counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.live import CONSENTS
from tests.support.tills import OFFER, Shop, refused

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def test_an_offer_of_one_store_is_refused_at_another(shop: Shop) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    shop.tenant.device("phone")
    code = shop.claim(shop.campaign(), "phone")["code"]
    refused(other.verify(code=code), "wrong_store")
    assert shop.redeem(code)["state"] == "redeemed"


def test_windows_count_at_the_till_for_a_claim_that_named_no_store(shop: Shop) -> None:
    shop.tenant.device("phone")
    code = shop.claim(shop.campaign(windows={"last_day": "2020-01-01"}), "phone")["code"]
    refused(shop.verify(code=code), "not_now")


def test_windows_count_at_the_till_for_a_push_that_named_no_store(shop: Shop) -> None:
    """It was offered for a place without a store; now, at a store, it is over."""
    campaign_id = shop.campaign()
    shop.tenant.device("phone", consents=CONSENTS)
    shop.push(campaign_id, "phone")
    made = shop.claim(campaign_id, "phone")
    assert made["source"] == "push"
    shop.change("UPDATE offers.claims SET store_id = NULL WHERE claim_id = :id", id=int(made["claim_id"]))
    shop.change(
        "UPDATE offers.campaign_versions SET definition = jsonb_set(definition, '{windows,last_day}', '\"2020-01-01\"')"
        " WHERE campaign_id = :id",
        id=int(campaign_id),
    )
    refused(shop.verify(code=made["code"]), "not_now")


def test_where_a_code_was_claimed_for_it_holds_though_the_campaign_left_the_store(shop: Shop) -> None:
    other = Shop.open(shop.api, shop.tenant, "store-2")
    campaign_id = shop.campaign()
    shop.tenant.device("phone")
    code = shop.claim(campaign_id, "phone", store_id=str(shop.store_id))["code"]
    path = f"/v1/campaigns/{campaign_id}"
    assert shop.tenant.secret.post(f"{path}/pause").status_code == 200
    definition = {**OFFER, "stores": [str(other.store_id)]}
    assert shop.tenant.secret.put(path, json=definition).status_code == 200
    assert shop.redeem(code)["state"] == "redeemed"
