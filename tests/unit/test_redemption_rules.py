"""Without a server: what an order gets off, what a redemption is put down to, tokens, and who may use an offer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geofences.model import DeviceId, StoreId, TenantId
from geofences.zones import zone
from offers import rules
from offers.attribution import WayToTill, attribute, summed
from offers.definition import CampaignDefinition, Offer
from offers.errors import RefusedError
from offers.facts import Shopper, Standing
from offers.hours import OpeningHours
from offers.model import (
    Attribution,
    Campaign,
    CampaignId,
    CampaignStatus,
    ClaimSource,
    Gate,
    Moment,
    Outcome,
    TriggerType,
)
from offers.prepare_tokens import PrepareTokens
from offers.rules import Place
from offers.statement import as_csv
from offers.terms import check_order, discount, instruction, true_cost

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
HELSINKI = Place(zone=zone("Europe/Helsinki"), hours=None)
MONEY = st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False)


def _definition(**more: Any) -> CampaignDefinition:
    said = {"name": "Coffee", "offer": {"kind": "gift"}, "creatives": [{"title": "x"}], **more}
    return CampaignDefinition.model_validate(said)


def _campaign(**more: Any) -> Campaign:
    definition = _definition(**more)
    return Campaign(
        campaign_id=CampaignId(1),
        tenant_id=TenantId(1),
        status=CampaignStatus.LIVE,
        version=1,
        definition=definition,
        schedule=definition.windows.schedule(),
        fence_ids=frozenset(),
        store_ids=frozenset(),
        stock=definition.stock,
        holdout_salt=b"x",
    )


def _moment(store_id: int | None = 1, at: datetime = NOW) -> Moment:
    return Moment(
        trigger=TriggerType.ENTER,
        at=at,
        clock=at,
        device_id=DeviceId(1),
        store_id=None if store_id is None else StoreId(store_id),
        confidence=1.0,
        already_inside=False,
    )


SHOPPER = Shopper(push_consent=False, channels=0)


def test_using_an_offer_asks_no_consent_no_caps_and_no_holdout() -> None:
    campaign = _campaign(holdout_share=0.5, cool_down_s=60)
    standing = Standing(used=(9,), draw=0.0, last_offer_at=NOW, exclusive_at_moment=True, offers_at_moment=1)
    made = rules.usable(campaign, _moment(), place=HELSINKI, shopper=SHOPPER, standing=standing)
    assert (made.outcome, made.cost) == (Outcome.OFFERED, None)
    assert [gate.gate for gate in made.gates] == [Gate.WINDOW]


def test_using_an_offer_costs_what_it_costs_where_there_is_a_budget() -> None:
    offer = {"kind": "percentage", "value": 20, "max_cost": 5}
    for budget, cost in ((None, None), ({"currency": "EUR", "total": 100}, Decimal(5))):
        campaign = _campaign(offer=offer, budget=budget)
        standing = Standing(budget_left={"total": Decimal(100)})
        assert rules.usable(campaign, _moment(), place=HELSINKI, shopper=SHOPPER, standing=standing).cost == cost


@pytest.mark.parametrize(
    ("windows", "hours", "on"),
    [
        ({}, None, True),
        ({}, "off", True),
        ({"weekly": [{"days": ["mo"], "start": "12:00", "end": "13:00"}]}, None, True),
        ({"weekly": [{"days": ["mo"], "start": "12:01", "end": "13:00"}]}, None, False),
        ({"only_while_open": True}, "24/7", True),
        ({"only_while_open": True}, "off", False),
        ({"only_while_open": True}, None, False),
    ],
)
def test_at_the_till_windows_are_open_and_doors_if_they_count(
    windows: dict[str, Any], hours: str | None, *, on: bool
) -> None:
    open_at = None if hours is None else OpeningHours.parse(hours, zone=HELSINKI.zone, location=None)
    place = Place(zone=HELSINKI.zone, hours=open_at)
    assert rules.on_now(_campaign(windows=windows), at=NOW, place=place) is on


@pytest.mark.parametrize(("left", "outcome"), [(1, Outcome.OFFERED), (0, Outcome.SUPPRESSED)])
def test_using_an_offer_asks_the_stock(left: int, outcome: Outcome) -> None:
    made = rules.usable(
        _campaign(stock=5), _moment(None), place=HELSINKI, shopper=SHOPPER, standing=Standing(stock_left=left)
    )
    assert made.outcome is outcome


def test_a_claim_ends_with_the_window_or_with_its_time_whichever_is_first() -> None:
    lunch = {"weekly": [{"days": ["mo"], "start": "11:30", "end": "14:00"}]}
    campaign = _campaign(windows=lunch, reservation_ttl_s=7200)
    at = datetime(2026, 6, 1, 8, 35, tzinfo=UTC)
    assert rules.claimed_until(campaign, _moment(at=at), HELSINKI) == at + timedelta(hours=2)
    late = datetime(2026, 6, 1, 10, 35, tzinfo=UTC)
    assert rules.claimed_until(campaign, _moment(at=late), HELSINKI) == datetime(2026, 6, 1, 11, 0, tzinfo=UTC)
    assert rules.claimed_until(campaign, _moment(None, at=late), HELSINKI) == late + timedelta(hours=2)
    before = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    assert rules.claimed_until(campaign, _moment(at=before), HELSINKI) == before + timedelta(hours=2)


def test_what_an_offer_says_of_its_validity_overrides_the_campaigns_end() -> None:
    offer = {"kind": "gift", "valid_after_claim_s": 86_400}
    campaign = _campaign(offer=offer, windows={"last_day": "2026-06-01"}, reservation_ttl_s=60)
    assert rules.claimed_until(campaign, _moment(), HELSINKI) == NOW + timedelta(days=1)


def test_a_validity_beyond_time_itself_is_ten_years() -> None:
    campaign = _campaign(offer={"kind": "gift", "valid_after_claim_s": 1e300})
    assert rules.claimed_until(campaign, _moment(), HELSINKI) - NOW == timedelta(days=3660)


@pytest.mark.parametrize(
    ("offer", "amount", "off"),
    [
        ({"kind": "percentage", "value": 20}, "12.34", "2.4680"),
        ({"kind": "percentage", "value": 20, "max_cost": 2}, "12.34", "2.0000"),
        ({"kind": "percentage", "value": 20}, None, None),
        ({"kind": "percentage", "value": 33.3}, "0.01", "0.0033"),
        ({"kind": "amount", "value": 5, "currency": "EUR"}, None, "5.0000"),
        ({"kind": "amount", "value": 5, "currency": "EUR"}, "3.20", "3.2000"),
        ({"kind": "gift"}, "3.20", None),
    ],
)
def test_what_an_order_gets_off(offer: dict[str, Any], amount: str | None, off: str | None) -> None:
    found = discount(Offer.model_validate(offer), None if amount is None else Decimal(amount))
    assert found == (None if off is None else Decimal(off))


@given(MONEY, st.integers(0, 100), st.integers(1, 1000))
def test_a_redemption_never_costs_more_than_was_reserved_or_than_the_order(
    amount: Decimal, percent: int, most: int
) -> None:
    cost = true_cost(Offer(kind="percentage", value=percent, max_cost=most), amount)
    assert cost is not None
    assert 0 <= cost <= most
    assert cost <= amount + Decimal("0.0001")


def test_a_minimum_is_reached_by_the_very_amount() -> None:
    definition = _definition(offer={"kind": "gift", "min_spend": 20})
    check_order(definition, amount=Decimal(20), currency="EUR")
    with pytest.raises(RefusedError):
        check_order(definition, amount=Decimal("19.9999"), currency="EUR")


@pytest.mark.parametrize(
    ("offer", "text"),
    [
        ({"kind": "percentage", "value": 20, "max_cost": 5}, "Take 20 % off, at most 5."),
        ({"kind": "amount", "value": 2.5, "currency": "EUR", "min_spend": 10},
         "Take 2.5 EUR off, for an order of 10 EUR or more."),
        ({"kind": "gift"}, "Give the gift: Coffee."),
        ({"kind": "other"}, "Grant the offer: Coffee."),
    ],
)  # fmt: skip
def test_the_till_is_told_what_to_do(offer: dict[str, Any], text: str) -> None:
    assert instruction(_definition(offer=offer)) == text


WAY = WayToTill(source=ClaimSource.PUSH, offered_at=NOW, notified=True, visited=False)


@pytest.mark.parametrize(
    ("way", "after_s", "found"),
    [
        (WAY, 86_400, Attribution.PUSH),
        (WAY, 86_401, Attribution.NONE),
        (WayToTill(source=ClaimSource.PUSH, offered_at=NOW, notified=False, visited=True), 1, Attribution.NONE),
        (WayToTill(source=ClaimSource.SEARCH, offered_at=NOW, notified=True, visited=True), 1, Attribution.SEARCH),
    ],
)
def test_a_redemption_is_put_down_to(way: WayToTill, after_s: int, found: Attribution) -> None:
    assert attribute(way, redeemed_at=NOW + timedelta(seconds=after_s), window_s=86_400) is found


def test_sums_keep_currencies_and_what_was_cancelled_apart() -> None:
    def row(**more: Any) -> SimpleNamespace:
        said = {"store_id": 1, "state": "redeemed", "attributed_to": "push", "currency": "EUR", "n": 2, "visited": 1}
        return SimpleNamespace(**{**said, "amount": Decimal(10), "discount": None, **more})

    found = summed([row(), row(currency="USD", store_id=2), row(currency=None, amount=None), row(state="cancelled")])
    assert (found.count, found.cancelled, found.visited) == (6, 2, 3)
    assert found.amount == {"EUR": Decimal(10), "USD": Decimal(10)}
    assert found.by_store == {1: 4, 2: 2}


def _token(tokens: PrepareTokens) -> str:
    return tokens.issue(tenant_id=1, claim_id=2, store_id=3, key_id=4, expires_at=NOW)


def test_a_token_says_what_it_was_given_for() -> None:
    tokens = PrepareTokens(b"key")
    read = tokens.read(_token(tokens))
    assert read is not None
    assert (read.tenant_id, read.claim_id, read.store_id, read.key_id, read.expires_at) == (1, 2, 3, 4, NOW)
    again = tokens.read(_token(tokens))
    assert again is not None
    assert again.nonce != read.nonce


def test_a_token_that_was_changed_anywhere_is_none() -> None:
    tokens = PrepareTokens(b"key")
    text = _token(tokens)
    for place, character in enumerate(text):
        changed = text[:place] + ("A" if character != "A" else "B") + text[place + 1 :]
        read = tokens.read(changed)
        # the last character of base64 carries bits that nothing reads
        assert read is None or read == tokens.read(text)
    assert PrepareTokens(b"other").read(text) is None


@given(st.text(max_size=300))
def test_any_text_can_be_read_as_a_token(text: str) -> None:
    assert PrepareTokens(b"key").read(f"lbs_rt_{text}") is None


@given(st.text(min_size=1, max_size=40))
def test_no_cell_of_a_statement_begins_a_formula(text: str) -> None:
    row = SimpleNamespace(
        redeemed_at=NOW, redemption_id=1, campaign_id=2, campaign=text, code_tail="XXXX", order_id=text,
        amount=None, currency=None, discount=None, state="redeemed",
    )  # fmt: skip
    import csv  # noqa: PLC0415
    import io  # noqa: PLC0415

    rows = list(csv.reader(io.StringIO(as_csv([row], zone("UTC")), newline="")))
    assert not rows[1][3].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert rows[1][3].removeprefix("'") in {text, text.removeprefix("'")}


@pytest.mark.parametrize(
    "more",
    [
        {"offer": {"kind": "amount", "value": 1e15, "currency": "EUR"}},
        {"offer": {"kind": "gift", "min_spend": 1e10}},
        {"offer": {"kind": "gift", "max_cost": 1}, "budget": {"currency": "EUR", "total": 1e12}},
        {"offer": {"kind": "gift", "max_cost": 1}, "budget": {"currency": "EUR", "per_day": 1e12}},
    ],
)
def test_money_that_no_column_holds_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        _definition(**more)
