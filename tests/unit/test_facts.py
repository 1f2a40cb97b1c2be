"""What counts towards caps, cool-downs and moments; the lots of the holdout; which budgets an offer draws on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofences.model import StoreId
from geofences.zones import zone
from offers.facts import Facts, Given, Shopper, Standing, budget_limits, draw, is_new, standing_of
from offers.model import Delivery
from tests.support.offers import NOON, campaign, moment

HELSINKI = zone("Europe/Helsinki")


def _given(ago: timedelta = timedelta(0), **more: Any) -> Given:
    made: dict[str, Any] = {
        "at": NOON - ago, "event_at": NOON - ago, "device_id": 7, "campaign_id": 1, "brand": None, "store_id": 3,
        "delivery": Delivery.PUSH, "exclusive": False, "ghost": False, **more,
    }  # fmt: skip
    return Given(**made)


def _used(cap: dict[str, Any], *before: Given, brand: str | None = None, place: str = "Europe/Helsinki") -> int:
    asked = campaign(caps=[cap], brand=brand)
    (n,) = standing_of(asked, moment(), before, zone=zone(place), person=7).used
    return n


def test_what_is_not_stored_means_the_same_for_ever() -> None:
    """Decisions of years ago are read with it."""
    shopper = Shopper(push_consent=True, channels=1, timezone=None, quiet_times=None, attributes={}, new=False)
    standing = Standing(
        last_offer_at=None, used=(), offers_at_moment=0, pushed_at_moment=False, exclusive_at_moment=False, draw=None,
        stock_left=None, new_stock_left=None, budget_left={},
    )  # fmt: skip
    facts = Facts(shopper=shopper, standing=standing, confidence=1.0, already_inside=False, dwell_s=0.0)
    stored = b'{"shopper":{"push_consent":true,"channels":1},"standing":{}}'
    assert msgspec.json.decode(stored, type=Facts) == facts


@pytest.mark.parametrize(("ago_s", "counts"), [(0, 1), (59.999, 1), (60, 0)])
def test_a_rolling_window_is_open_at_its_beginning(ago_s: float, counts: int) -> None:
    assert _used({"window_s": 60}, _given(timedelta(seconds=ago_s))) == counts


def test_a_cap_without_window_counts_forever() -> None:
    assert _used({}, _given(timedelta(days=4000))) == 1


@pytest.mark.parametrize(
    ("days", "place", "ago", "counts"),
    [
        # 12:00 in Helsinki, so today began twelve hours ago there
        (1, "Europe/Helsinki", timedelta(hours=12), 1),
        (1, "Europe/Helsinki", timedelta(hours=12, seconds=1), 0),
        (2, "Europe/Helsinki", timedelta(hours=36), 1),
        (2, "Europe/Helsinki", timedelta(hours=36, seconds=1), 0),
        # 18:00 in Tokyo
        (1, "Asia/Tokyo", timedelta(hours=18), 1),
        (1, "Asia/Tokyo", timedelta(hours=18, seconds=1), 0),
    ],
)
def test_calendar_days_are_those_of_the_zone(days: int, place: str, ago: timedelta, counts: int) -> None:
    assert _used({"days": days}, _given(ago), place=place) == counts


@pytest.mark.parametrize(("per", "counts"), [("campaign", 1), ("brand", 2), ("store", 3), ("all", 5)])
def test_a_cap_counts_what_it_is_per(per: str, counts: int) -> None:
    before = [
        _given(brand="Acme", store_id=9),
        _given(campaign_id=2, brand="Acme"),
        _given(campaign_id=3, brand="Other"),
        _given(campaign_id=4, brand="Other", store_id=3),
        _given(campaign_id=5, brand="Third", store_id=9),
    ]
    before[1] = _given(campaign_id=2, brand="Acme", store_id=3)
    assert _used({"per": per}, *before, brand="Acme") == counts


def test_offers_without_a_store_are_no_stores_offers() -> None:
    asked = campaign(caps=[{"per": "store"}])
    nowhere = standing_of(asked, moment(store_id=None), [_given(store_id=None)], zone=HELSINKI, person=7)
    assert nowhere.used == (0,)


def test_a_ghost_counts_for_caps_and_the_cool_down_and_not_at_its_moment() -> None:
    asked = campaign(caps=[{"per": "all"}], cool_down_s=60)
    standing = standing_of(asked, moment(), [_given(ghost=True)], zone=HELSINKI, person=7)
    assert (standing.used, standing.last_offer_at) == ((1,), NOON)
    assert (standing.offers_at_moment, standing.pushed_at_moment) == (0, False)


def test_a_moment_is_one_devices_one_instant() -> None:
    before = [
        _given(campaign_id=2, delivery=Delivery.INBOX, exclusive=True),
        _given(campaign_id=3, device_id=8),
        _given(timedelta(seconds=1), campaign_id=4),
    ]
    standing = standing_of(campaign(), moment(), before, zone=HELSINKI, person=7)
    assert (standing.offers_at_moment, standing.pushed_at_moment, standing.exclusive_at_moment) == (1, False, True)
    pushed = standing_of(campaign(), moment(), [_given(campaign_id=2)], zone=HELSINKI, person=7)
    assert (pushed.pushed_at_moment, pushed.exclusive_at_moment) == (True, False)


def test_the_cool_down_looks_at_the_newest_offer_of_any_campaign() -> None:
    before = [_given(timedelta(hours=2)), _given(timedelta(hours=1), campaign_id=9), _given(timedelta(hours=3))]
    asked = campaign(cool_down_s=60)
    assert standing_of(asked, moment(), before, zone=HELSINKI, person=7).last_offer_at == NOON - timedelta(hours=1)


@given(st.integers(-(2**62), 2**62), st.integers(1, 2**40), st.binary(min_size=16, max_size=16))
def test_a_lot_is_a_number_below_one_and_always_the_same(person: int, number: int, salt: bytes) -> None:
    lot = draw(campaign(number=number, salt=salt), person)
    assert 0 <= lot < 1
    assert lot == draw(campaign(number=number, salt=salt), person)


def test_lots_are_even_and_independent_between_campaigns() -> None:
    """4,000 people: a fifth is held out within four standard deviations, of both campaigns a twenty-fifth."""
    first, second = campaign(number=1), campaign(number=2)
    held = [(draw(first, person) < 0.2, draw(second, person) < 0.2) for person in range(4_000)]
    for share, n in ((0.2, sum(one for one, _ in held)), (0.2, sum(two for _, two in held)),
                     (0.04, sum(one and two for one, two in held))):  # fmt: skip
        assert abs(n - 4_000 * share) < 4 * (4_000 * share * (1 - share)) ** 0.5


def test_another_salt_draws_other_lots() -> None:
    assert draw(campaign(salt=b"a"), 1) != draw(campaign(salt=b"b"), 1)


def test_an_offer_draws_on_the_budgets_that_are_limited() -> None:
    priced = {"kind": "amount", "value": 5, "currency": "EUR"}
    asked = campaign(offer=priced, budget={"currency": "EUR", "total": 100.5, "per_store": 20, "per_day": 30})
    late = moment(clock=datetime(2026, 6, 1, 21, 30, tzinfo=UTC))  # half past midnight in Helsinki
    assert budget_limits(asked, late, HELSINKI) == {
        "total": Decimal("100.5"), "store:3": Decimal(20), "day:2026-06-02": Decimal(30),
    }  # fmt: skip
    only_total = campaign(offer=priced, budget={"currency": "EUR", "total": 1})
    assert list(budget_limits(only_total, moment(store_id=StoreId(1)), HELSINKI)) == ["total"]
    assert budget_limits(campaign(), moment(), HELSINKI) == {}


@pytest.mark.parametrize(
    ("age", "vouched", "new"),
    [
        (timedelta(hours=23, minutes=59), False, True),
        (timedelta(days=1), False, False),
        (timedelta(0), True, False),
    ],
)
def test_a_device_is_new_for_a_day_unless_somebody_vouches(age: timedelta, *, vouched: bool, new: bool) -> None:
    assert is_new(created_at=NOON - age, vouched_at=NOON if vouched else None, at=NOON) is new
