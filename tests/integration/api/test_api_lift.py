"""Lift from the ledger: who was drawn, who came again, who redeemed, and who does not count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.model import EndedBy, VisitStatus
from geofences.store import device_id_for
from geofences.tables import visits
from offers.lift import Lift, measure_lift
from offers.model import CampaignId
from offers.store import get_campaign
from tests.support.live import CONSENTS
from tests.support.tills import Shop

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

WINDOW_S = 3600.0
EACH_SIDE = 3


class Drawn:
    """A campaign that half of some phones' owners are held out of, decided half an hour ago."""

    def __init__(self, shop: Shop, phone: str | None = None, **more: Any) -> None:
        """Of this phone alone, else of as many as it takes until some are on either side."""
        self.shop = shop
        self.at = datetime.now(UTC) - timedelta(minutes=30)
        self.campaign_id = shop.campaign(holdout_share=0.5, attribution_s=WINDOW_S, **more)
        self.held_out: list[str] = []
        self.offered: list[str] = []
        self._visits = 0
        self._pushes = 0
        if phone is not None:
            self.draw(phone)
        while phone is None and min(len(self.held_out), len(self.offered)) < EACH_SIDE:
            name = f"phone-{len(self.phones)}"
            shop.tenant.device(name, consents=CONSENTS)
            self.draw(name)

    @property
    def phones(self) -> list[str]:
        return self.held_out + self.offered

    def draw(self, phone: str) -> None:
        self.push(phone)
        side = self.held_out if self._outcome(phone) == "held_out" else self.offered
        side.append(phone)

    def push(self, phone: str, after: timedelta = timedelta(0)) -> None:
        self._pushes += 1  # a campaign is due once at an instant
        self.shop.push(self.campaign_id, phone, at=self.at + after + timedelta(microseconds=self._pushes))

    def _outcome(self, phone: str) -> str:
        answer = self.shop.tenant.secret.get(f"/v1/campaigns/{self.campaign_id}/explain", params={"device_id": phone})
        return str(answer.json()["items"][0]["outcome"])

    def visit(self, phone: str, after: timedelta, *, store_id: int | None = None, **more: Any) -> int:
        self._visits += 1
        device_id = device_id_for(self.shop.tenant.tenant_id, phone)
        visit_id = abs(hash((device_id, self._visits)))
        row = {
            "visit_id": visit_id, "root_visit_id": visit_id, "tenant_id": self.shop.tenant.tenant_id, "shard": 0,
            "device_id": device_id, "fence_id": 1, "fence_version": 1, "store_id": store_id or self.shop.store_id,
            "status": VisitStatus.CLOSED, "entered_at": self.at + after, "last_in_at": self.at + after,
            "exited_at": self.at + after, "as_of": self.at + after, "dwell_waits": False, "dwell_s": 1.0,
            "ended_by": EndedBy.EXIT, "already_inside": False, "positions": 2, "confidence": 1.0, **more,
        }  # fmt: skip
        with self.shop.api.system.begin() as connection:
            connection.execute(sa.insert(visits).values(row))
        return visit_id

    def lift(self, *, after: timedelta = timedelta(hours=2)) -> Lift:
        with self.shop.api.system.begin() as connection:
            campaign = get_campaign(
                connection, tenant_id=self.shop.tenant.tenant_id, campaign_id=CampaignId(int(self.campaign_id))
            ).campaign
            return measure_lift(connection, campaign, now=self.at + after)


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def _shares(found: Lift) -> list[tuple[float, float]]:
    return [(round(effect.offered, 6), round(effect.held_out, 6)) for effect in found.effects]


def test_only_new_visits_of_its_stores_within_the_window_count(shop: Shop) -> None:
    drawn = Drawn(shop)
    ours, theirs = drawn.offered, drawn.held_out
    other = int(shop.tenant.store("store-2")["store_id"])
    drawn.visit(ours[0], timedelta(minutes=1))
    drawn.visit(ours[0], timedelta(minutes=5))
    drawn.visit(theirs[0], timedelta(seconds=WINDOW_S))
    for phone in (ours[1], theirs[1]):
        drawn.visit(phone, timedelta(0))
        drawn.visit(phone, timedelta(seconds=WINDOW_S + 1))
        drawn.visit(phone, timedelta(minutes=2), store_id=other)
        drawn.visit(phone, timedelta(minutes=3), status=VisitStatus.RETRACTED)
    found = drawn.lift()
    assert (found.offered, found.held_out, found.waiting) == (len(ours), len(theirs), 0)
    assert _shares(found)[0] == (round(1 / len(ours), 6), round(1 / len(theirs), 6))


def test_the_visit_that_brought_the_lot_does_not_count(shop: Shop) -> None:
    shop.tenant.device("phone", consents=CONSENTS)
    drawn = Drawn(shop, "phone")
    visit_id = drawn.visit("phone", timedelta(minutes=1))
    assert 1.0 in _shares(drawn.lift())[0]
    shop.change(
        "UPDATE offers.decisions SET root_visit_id = :visit_id WHERE campaign_id = :id",
        visit_id=visit_id,
        id=int(drawn.campaign_id),
    )
    assert _shares(drawn.lift())[0] == (0.0, 0.0)


def test_a_person_is_one_with_all_their_phones(shop: Shop) -> None:
    for phone in ("work", "home"):
        shop.tenant.device(phone, external_user_id="ann", consents=CONSENTS)
    drawn = Drawn(shop, "work")
    drawn.visit("home", timedelta(minutes=1))
    found = drawn.lift()
    assert found.offered + found.held_out == 1
    assert 1.0 in _shares(found)[0]


def test_who_got_nothing_for_want_of_stock_counts_as_offered(shop: Shop) -> None:
    drawn = Drawn(shop, stock=1)
    found = drawn.lift()
    assert (found.offered, found.held_out) == (len(drawn.offered), len(drawn.held_out))


def test_only_the_first_lot_of_a_person_counts(shop: Shop) -> None:
    drawn = Drawn(shop)
    for phone in drawn.phones:
        drawn.push(phone, timedelta(minutes=10))
    drawn.visit(drawn.offered[0], timedelta(seconds=WINDOW_S + 60))
    found = drawn.lift()
    assert found.offered + found.held_out == len(drawn.phones)
    assert _shares(found)[0] == (0.0, 0.0)


def test_redemptions_and_revenue_are_of_people(shop: Shop) -> None:
    """Search still shows the offer to those who were held out."""
    drawn = Drawn(shop)
    one, other = drawn.offered[0], drawn.held_out[0]
    for phone, amount in ((one, "30"), (other, "12.50")):
        shop.redeem(shop.claim(drawn.campaign_id, phone)["code"], amount=amount, currency="EUR", order_id=phone)
    found = drawn.lift()
    n, m = len(drawn.offered), len(drawn.held_out)
    assert _shares(found)[1:] == [
        (round(1 / n, 6), round(1 / m, 6)),
        (round(30 / n, 6), round(12.5 / m, 6)),
    ]
    assert found.effects[2].currency == "EUR"


def test_who_was_decided_a_moment_ago_waits(shop: Shop) -> None:
    drawn = Drawn(shop)
    found = drawn.lift(after=timedelta(minutes=59))
    assert (found.offered, found.held_out, found.waiting) == (0, 0, len(drawn.phones))


def test_it_is_told_over_http(shop: Shop) -> None:
    drawn = Drawn(shop)
    answer = shop.tenant.secret.get(f"/v1/campaigns/{drawn.campaign_id}/lift")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["waiting"], body["sample_ratio_ok"], body["attribution_s"]) == (len(drawn.phones), True, WINDOW_S)
    assert [effect["measure"] for effect in body["effects"]] == ["visited", "redeemed"]
    assert body["effects"][0]["low"] is None


def test_without_a_holdout_nobody_is_drawn(shop: Shop) -> None:
    campaign_id = shop.campaign()
    shop.tenant.device("phone", consents=CONSENTS)
    shop.push(campaign_id, "phone")
    body = shop.tenant.secret.get(f"/v1/campaigns/{campaign_id}/lift").json()
    assert (body["offered"], body["held_out"], body["waiting"], body["sample_ratio_p"]) == (0, 0, 0, 1.0)
