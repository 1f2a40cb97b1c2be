"""Invented devices take no more of the stock than the campaign leaves to devices nobody vouches for.

LBS_TEST_FAKES says how many are invented; docs/operations.md names the large run.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.api import HELSINKI, wait_for
from tests.support.live import CONSENTS, INSIDE_M, METRES_A_DEGREE, Shop, living

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]

FAKES = int(os.environ.get("LBS_TEST_FAKES", "500"))
THREADS = 8
STOCK, SHARE = 100, 0.2
LIMIT = 20


def test_invented_devices_get_their_share_and_no_more(new_database_url: Callable[[], str], redis_url: str) -> None:
    with living(new_database_url(), redis_url, register_per_minute=10**6) as live:
        shop = live.shop()
        campaign = shop.campaign(stock=STOCK, new_device_stock_share=SHARE, staleness_s=3_600, reservation_ttl_s=7_200)
        # one of the shop's own customers, whom its server vouches for
        shop.device("customer")
        inside = {"lat": shop.lat + INSIDE_M / METRES_A_DEGREE, "lng": HELSINKI["lng"], "accuracy_m": 5}

        def invent(number: int) -> str:
            """Registers with the publishable key that is in everybody's app, and walks in."""
            name = f"fake {number}"
            made = shop.tenant.app.post("/v1/devices", json={"device_id": name, "consents": CONSENTS})
            assert made.status_code == 201, made.text
            token = str(made.json()["device_token"])
            body = {"device_id": name, "positions": [{**inside, "recorded_at": datetime.now(UTC).isoformat()}]}
            answer = shop.tenant.app.post("/v1/positions", json=body, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 202, answer.text
            return token

        with ThreadPoolExecutor(THREADS) as pool:
            tokens = list(pool.map(invent, range(FAKES)))
        wait_for(lambda: _decided(live.api.system) == FAKES, give_up_s=600)
        assert _held(live.api.system) == [(True, LIMIT)]
        _try_to_claim(shop, campaign, tokens[: 5 * LIMIT])
        assert _held(live.api.system) == [(True, LIMIT)]

        shop.enter("customer")
        assert shop.decision(campaign, "customer")["outcome"] == "offered"
        assert _held(live.api.system) == [(False, 1), (True, LIMIT)]


def _try_to_claim(shop: Shop, campaign: str, tokens: list[str]) -> None:
    """Who got the offer may claim it; nobody else among the invented gets anything by asking."""

    def claim(given: tuple[int, str]) -> int:
        number, token = given
        body = {"campaign_id": campaign, "device_id": f"fake {number}"}
        return shop.tenant.app.post("/v1/claims", json=body, headers={"Authorization": f"Bearer {token}"}).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(claim, enumerate(tokens)))
    assert set(answers) <= {200, 201, 409}
    assert answers.count(409) >= len(tokens) - LIMIT


def _decided(system: sa.Engine) -> int:
    with system.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM offers.decisions")).scalar_one())


def _held(system: sa.Engine) -> list[tuple[Any, ...]]:
    """Units held, of devices nobody vouches for and of the others."""
    statement = "SELECT new_device, count(*) FROM offers.reservations WHERE state = 'held' GROUP BY 1 ORDER BY 1"
    with system.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]
