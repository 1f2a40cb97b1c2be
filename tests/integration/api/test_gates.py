"""Every gate, over HTTP: a device walks in, and the stored decision says which gate let it through or not, and why."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api import problem, wait_for
from tests.support.live import CONSENTS, Live, Shop, living

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.servers

ONCE: dict[str, Any] = {"caps": []}
"""Without the cap that a campaign has unless it says otherwise."""


@pytest.fixture(scope="module")
def live(new_database_url: Callable[[], str], redis_url: str) -> Iterator[Live]:
    with living(new_database_url(), redis_url) as running:
        yield running


@pytest.fixture
def shop(live: Live) -> Shop:
    return live.shop()


def _outcome(decision: dict[str, Any]) -> tuple[str, str | None]:
    return decision["outcome"], decision["reason"]


def _gate(decision: dict[str, Any], gate: str) -> dict[str, Any]:
    (found,) = (one for one in decision["gates"] if one["gate"] == gate)
    return dict(found)


def _wall(after: timedelta) -> str:
    return (datetime.now(UTC) + after).strftime("%H:%M")


def _quiet_now() -> dict[str, str]:
    return {"start": _wall(timedelta(hours=-1)), "end": _wall(timedelta(hours=1))}


def test_who_consented_and_walks_in_is_offered_it(shop: Shop) -> None:
    campaign = shop.campaign()
    shop.device("anna")
    shop.enter("anna")
    decision = shop.decision(campaign, "anna")
    assert _outcome(decision) == ("offered", None)
    assert [one["gate"] for one in decision["gates"]] == [
        "consent", "reachable", "staleness", "confidence", "already_inside", "window", "cap",
    ]  # fmt: skip
    assert decision["delivery"] == "push"


def test_without_push_consent_nothing_is_offered(shop: Shop) -> None:
    campaign = shop.campaign()
    shop.device("anna", consents=CONSENTS[:1])
    shop.enter("anna")
    decision = shop.decision(campaign, "anna")
    assert _outcome(decision) == ("suppressed", "consent")
    assert decision["gates"] == [{"gate": "consent", "passed": False, "value": False, "threshold": True}]


def test_news_that_is_older_than_the_campaign_allows_is_stale(shop: Shop) -> None:
    campaign = shop.campaign(staleness_s=0.5)
    shop.device("anna")
    time.sleep(1.2)  # the fence must have stood when the position of a second ago was recorded
    shop.enter("anna", ago_s=1.0)
    decision = shop.decision(campaign, "anna")
    assert _outcome(decision) == ("suppressed", "staleness")
    assert _gate(decision, "staleness")["value"] >= 1.0


def test_who_is_perhaps_inside_is_not_sure_enough(shop: Shop) -> None:
    sure, unsure = shop.campaign(min_confidence=0.99), shop.campaign(min_confidence=0.3)
    shop.device("anna")
    shop.enter("anna", accuracy_m=150.0)
    assert _outcome(shop.decision(sure, "anna")) == ("suppressed", "confidence")
    assert _outcome(shop.decision(unsure, "anna")) == ("offered", None)


def test_who_is_inside_already_counts_only_where_that_is_wanted(shop: Shop) -> None:
    unwanted = shop.campaign(trigger={"type": "enter", "already_inside": False})
    only = shop.campaign(trigger={"type": "already_inside"})
    shop.device("anna")
    shop.report("anna", 0)
    assert _outcome(shop.decision(unwanted, "anna")) == ("suppressed", "already_inside")
    assert _outcome(shop.decision(only, "anna")) == ("offered", None)
    shop.device("bert")
    shop.enter("bert")
    assert _outcome(shop.decision(unwanted, "bert")) == ("offered", None)
    assert shop.decisions(only, "bert") == []


def test_a_visit_must_last_as_long_as_the_campaign_wants(live: Live) -> None:
    shop = live.shop(settings={"dwell_s": 1.0, "hold_s": 300.0})
    short = shop.campaign(trigger={"type": "dwell", "min_dwell_s": 0.5})
    long = shop.campaign(trigger={"type": "dwell", "min_dwell_s": 2.0})
    shop.device("anna")
    shop.enter("anna")
    time.sleep(1.2)  # the dwell itself: a second of it is asked for
    shop.report("anna", 0)
    assert _outcome(shop.decision(short, "anna")) == ("offered", None)
    decision = shop.decision(long, "anna")
    assert _outcome(decision) == ("suppressed", "dwell")
    assert _gate(decision, "dwell") == {"gate": "dwell", "passed": False, "value": 1.0, "threshold": 2.0}


def test_only_the_audience_is_offered_it(shop: Shop) -> None:
    gold = shop.campaign(audience={"all": [{"attribute": "tier", "is": "gold"}, {"attribute": "age", "at_least": 18}]})
    for name, attributes in (("anna", {"tier": "gold", "age": 18}), ("bert", {"tier": "gold", "age": 17})):
        shop.device(name, attributes=attributes)
        shop.enter(name)
    assert _outcome(shop.decision(gold, "anna")) == ("offered", None)
    assert _outcome(shop.decision(gold, "bert")) == ("suppressed", "audience")


def test_outside_its_windows_nothing_is_offered(shop: Shop) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    over = shop.campaign(windows={"last_day": yesterday})
    shop.device("anna")
    shop.enter("anna")
    decision = shop.decision(over, "anna")
    assert _outcome(decision) == ("suppressed", "window")
    assert _gate(decision, "window")["value"] == "ended"


@pytest.mark.parametrize(("hours", "expected"), [("24/7", ("offered", None)), ("off", ("suppressed", "open"))])
def test_a_closed_store_offers_nothing_while_only_open_hours_count(
    live: Live, hours: str, expected: tuple[str, str | None]
) -> None:
    shop = live.shop(opening_hours=hours)
    campaign = shop.campaign(windows={"only_while_open": True})
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(campaign, "anna")) == expected


def test_in_the_shoppers_quiet_hours_a_campaign_defers_drops_or_is_in_the_inbox_only(shop: Shop) -> None:
    campaigns = {
        policy: shop.campaign(quiet_hours={"policy": policy, "times": _quiet_now()})
        for policy in ("defer", "drop", "inbox_only")
    }
    shop.device("anna", timezone="UTC")
    shop.enter("anna")
    deferred = shop.decision(campaigns["defer"], "anna")
    assert _outcome(deferred) == ("offered", None)
    assert datetime.fromisoformat(deferred["send_at"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert datetime.fromisoformat(deferred["expires_at"]) > datetime.fromisoformat(deferred["send_at"])
    assert _outcome(shop.decision(campaigns["drop"], "anna")) == ("suppressed", "quiet_hours")
    in_inbox = shop.decision(campaigns["inbox_only"], "anna")
    assert (_outcome(in_inbox), in_inbox["delivery"]) == (("offered", None), "inbox")


def test_quiet_hours_are_those_of_the_devices_own_zone(shop: Shop) -> None:
    campaign = shop.campaign(quiet_hours={"policy": "drop", "times": _quiet_now()})
    shop.device("anna", timezone="Asia/Tokyo")
    shop.enter("anna")
    assert _outcome(shop.decision(campaign, "anna")) == ("offered", None)


def test_a_deferred_offer_is_never_told_after_its_end(live: Live) -> None:
    """The campaign's window closes before the quiet does."""
    shop = live.shop(timezone="UTC")
    days = ["mo", "tu", "we", "th", "fr", "sa", "su"]
    weekly = [{"days": days, "start": _wall(timedelta(hours=-2)), "end": _wall(timedelta(minutes=10))}]
    campaign = shop.campaign(windows={"weekly": weekly}, quiet_hours={"times": _quiet_now()})
    shop.device("anna", timezone="UTC")
    shop.enter("anna")
    assert _outcome(shop.decision(campaign, "anna")) == ("suppressed", "quiet_hours")


def test_an_exclusive_campaign_shares_a_moment_with_none_and_the_higher_priority_comes_first(shop: Shop) -> None:
    low = shop.campaign(priority=1, stacking="exclusive")
    high = shop.campaign(priority=5)
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(high, "anna")) == ("offered", None)
    assert _outcome(shop.decision(low, "anna")) == ("suppressed", "stacking")


def test_an_exclusive_campaign_that_comes_first_keeps_the_others_out(shop: Shop) -> None:
    exclusive, other = shop.campaign(priority=5, stacking="exclusive"), shop.campaign()
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(exclusive, "anna")) == ("offered", None)
    assert _outcome(shop.decision(other, "anna")) == ("suppressed", "stacking")


def test_a_moment_brings_one_push_and_the_rest_to_the_inbox(shop: Shop) -> None:
    first, second = shop.campaign(priority=2), shop.campaign(priority=1)
    shop.device("anna")
    shop.enter("anna")
    assert shop.decision(first, "anna")["delivery"] == "push"
    assert shop.decision(second, "anna")["delivery"] == "inbox"


def test_after_any_offer_a_campaign_that_cools_down_waits(shop: Shop) -> None:
    other = shop.campaign(priority=9)
    cool = shop.campaign(cool_down_s=3600, **ONCE)
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(other, "anna")) == ("offered", None)
    decision = shop.decision(cool, "anna")
    assert _outcome(decision) == ("suppressed", "cool_down")
    assert _gate(decision, "cool_down")["value"] == 0.0


@pytest.mark.parametrize("window", [{}, {"window_s": 3600}, {"days": 1}])
def test_a_cap_counts_earlier_offers_of_the_campaign(shop: Shop, window: dict[str, Any]) -> None:
    campaign = shop.campaign(caps=[{"per": "campaign", "count": 1, **window}])
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(campaign, "anna")) == ("offered", None)
    shop.leave_and_enter("anna")
    decision = shop.decision(campaign, "anna", n=2)
    assert _outcome(decision) == ("suppressed", "cap")
    assert _gate(decision, "cap") == {"gate": "cap", "passed": False, "value": [1], "threshold": [1]}


def test_a_rolling_cap_forgets(shop: Shop) -> None:
    campaign = shop.campaign(caps=[{"count": 1, "window_s": 0.9}])
    shop.device("anna")
    shop.enter("anna")
    shop.decision(campaign, "anna")
    shop.leave_and_enter("anna")
    assert _outcome(shop.decision(campaign, "anna", n=2)) == ("offered", None)


@pytest.mark.parametrize(
    ("per", "brand", "expected"),
    [
        ("campaign", "Acme", ("offered", None)),
        ("brand", "Acme", ("suppressed", "cap")),
        ("brand", "Other", ("offered", None)),
        ("store", "Other", ("suppressed", "cap")),
        ("all", "Other", ("suppressed", "cap")),
    ],
)
def test_a_cap_counts_the_offers_it_names(shop: Shop, per: str, brand: str, expected: tuple[str, str | None]) -> None:
    first = shop.campaign(priority=9, brand="Acme", **ONCE)
    second = shop.campaign(brand=brand, caps=[{"per": per, "count": 1}])
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(first, "anna")) == ("offered", None)
    assert _outcome(shop.decision(second, "anna")) == expected


def test_a_cap_counts_all_devices_of_a_person(shop: Shop) -> None:
    campaign = shop.campaign(caps=[{"count": 1}])
    for phone in ("phone", "tablet"):
        shop.device(phone, external_user_id="anna")
    shop.device("stranger", external_user_id="bert")
    for device in ("phone", "tablet", "stranger"):
        shop.enter(device)
        shop.decision(campaign, device)
    assert [_outcome(shop.decision(campaign, device))[0] for device in ("phone", "tablet", "stranger")] == [
        "offered", "suppressed", "offered",
    ]  # fmt: skip


def test_the_held_out_are_never_offered_it_and_hold_nothing(shop: Shop) -> None:
    campaign = shop.campaign(holdout_share=0.9, stock=100)
    names = [f"device {n}" for n in range(12)]
    for name in names:
        shop.device(name)
        shop.enter(name)
    outcomes = [_outcome(shop.decision(campaign, name)) for name in names]
    assert set(outcomes) <= {("offered", None), ("held_out", "holdout")}
    assert outcomes.count(("held_out", "holdout")) >= 6
    reserved = shop.server.get(f"/v1/campaigns/{campaign}").json()["reserved"]
    assert reserved == outcomes.count(("offered", None))


def test_a_ghost_consumes_caps(shop: Shop) -> None:
    held = shop.campaign(holdout_share=0.9, priority=9)
    after = shop.campaign(caps=[{"per": "all", "count": 1}])
    for name in (f"device {n}" for n in range(6)):
        shop.device(name)
        shop.enter(name)
        if shop.decision(held, name)["outcome"] == "held_out":
            assert _outcome(shop.decision(after, name)) == ("suppressed", "cap")
            return
    pytest.fail("nobody of six was held out, at nine in ten")


def test_what_is_out_of_stock_is_not_offered(shop: Shop) -> None:
    campaign = shop.campaign(stock=1)
    for name in ("anna", "bert"):
        shop.device(name)
        shop.enter(name)
        shop.decision(campaign, name)
    assert _outcome(shop.decision(campaign, "anna")) == ("offered", None)
    decision = shop.decision(campaign, "bert")
    assert _outcome(decision) == ("suppressed", "stock")
    assert _gate(decision, "stock")["value"] == 0


@pytest.mark.parametrize(
    ("budget", "scope"),
    [({"total": 7.5}, "total"), ({"total": 1000, "per_store": 7.5}, "store"), ({"per_day": 7.5}, "day")],
)
def test_money_that_is_not_there_is_not_promised(shop: Shop, budget: dict[str, float], scope: str) -> None:
    campaign = shop.campaign(
        offer={"kind": "percentage", "value": 20, "max_cost": 5}, budget={"currency": "EUR", **budget}
    )
    for name in ("anna", "bert"):
        shop.device(name)
        shop.enter(name)
        shop.decision(campaign, name)
    assert _outcome(shop.decision(campaign, "anna")) == ("offered", None)
    decision = shop.decision(campaign, "bert")
    assert _outcome(decision) == ("suppressed", "budget")
    gate = _gate(decision, "budget")
    assert (gate["value"]["scope"].partition(":")[0], float(gate["value"]["left"])) == (scope, 2.5)


def test_a_budget_without_a_cost_is_refused(shop: Shop) -> None:
    body = {
        "name": "x", "offer": {"kind": "percentage", "value": 20}, "creatives": [{"title": "x"}],
        "budget": {"currency": "EUR", "total": 5},
    }  # fmt: skip
    answer = shop.server.post("/v1/campaigns", json=body)
    assert "max_cost" in problem(answer, 422, "malformed")["detail"]


def test_a_message_shows_a_code_that_the_till_takes(live: Live) -> None:
    shop = live.shop()
    campaign = shop.campaign(creatives=[{"title": "20 % off with {code}"}], stock=5)
    shop.device("anna")
    shop.enter("anna")
    assert _outcome(shop.decision(campaign, "anna")) == ("offered", None)
    items = wait_for(lambda: shop.server.get("/v1/devices/anna/inbox").json()["items"])
    (claim,) = shop.server.get("/v1/claims", params={"device_id": "anna"}).json()["items"]
    assert items[0]["title"] == f"20 % off with {claim['code']}"
    assert shop.server.get(f"/v1/campaigns/{campaign}").json()["reserved"] == 1
    sale = {"code": claim["code"], "store_id": shop.store_id, "order_id": "1", "amount": "10", "currency": "EUR"}
    assert shop.server.post("/v1/redemptions/verify", json=sale).status_code == 200
