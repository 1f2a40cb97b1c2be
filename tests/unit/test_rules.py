"""The rules: what each gate sees, where its threshold lies, and that what is stored says the same again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofences.zones import zone
from offers.decisions import encode_gates
from offers.definition import QuietPolicy
from offers.facts import Facts, OwnQuietTimes, Shopper, Standing
from offers.hours import OpeningHours
from offers.model import Delivery, Gate, Outcome, TriggerType
from offers.rules import GATES, OVER, Place
from offers.schedule import WindowReason
from tests.support.offers import HELSINKI_PLACE, NOON, WILLING, campaign, decided, gate_of, moment

HELSINKI = zone("Europe/Helsinki")
ALWAYS_OPEN = Place(zone=HELSINKI, hours=OpeningHours.parse("24/7", zone=HELSINKI))
NEVER_OPEN = Place(zone=HELSINKI, hours=OpeningHours.parse("off", zone=HELSINKI))


def _says(decision: Any, gate: Gate) -> tuple[bool, Any, Any] | None:
    found = gate_of(decision, gate)
    return None if found is None else (found.passed, found.value, found.threshold)


def test_every_gate_is_asked_in_the_order_of_its_list() -> None:
    assert list(GATES) == list(Gate)
    everything = campaign(
        trigger={"type": "dwell", "min_dwell_s": 10},
        audience={"attribute": "tier", "is": "gold"},
        windows={"only_while_open": True},
        quiet_hours={"times": {"start": "11:00", "end": "13:00"}},
        cool_down_s=60,
        caps=[{"count": 1}],
        holdout_share=0.1,
        stock=5,
        budget={"currency": "EUR", "total": 100},
        offer={"kind": "amount", "value": 5, "currency": "EUR"},
    )
    decision = decided(
        everything,
        moment(trigger=TriggerType.DWELL, dwell_s=10.0),
        place=ALWAYS_OPEN,
        shopper=Shopper(push_consent=True, channels=1, attributes={"tier": "gold"}),
        standing=Standing(used=(0,), offers_at_moment=1, draw=0.5, stock_left=1, budget_left={"total": Decimal(5)}),
    )
    assert [one.gate for one in decision.gates] == list(Gate)
    assert decision.outcome is Outcome.OFFERED
    assert decision.cost == 5


def test_the_first_gate_that_fails_ends_the_asking() -> None:
    decision = decided(shopper=Shopper(push_consent=False, channels=0))
    assert [one.gate for one in decision.gates] == [Gate.CONSENT]
    assert (decision.outcome, decision.reason) == (Outcome.SUPPRESSED, Gate.CONSENT)


def test_a_device_without_any_channel_cannot_be_reached() -> None:
    assert _says(decided(shopper=Shopper(push_consent=True, channels=0)), Gate.REACHABLE) == (False, 0, 1)


@pytest.mark.parametrize(("age_s", "passes"), [(0.0, True), (900.0, True), (900.5, False)])
def test_news_as_old_as_the_staleness_is_the_last_to_count(age_s: float, *, passes: bool) -> None:
    decision = decided(campaign(staleness_s=900), moment(at=NOON - timedelta(seconds=age_s)))
    assert _says(decision, Gate.STALENESS) == (passes, age_s, 900.0)


@pytest.mark.parametrize(("confidence", "passes"), [(0.7, True), (0.69, False)])
def test_confidence_counts_from_its_threshold_on(confidence: float, *, passes: bool) -> None:
    decision = decided(campaign(min_confidence=0.7), moment(confidence=confidence))
    assert _says(decision, Gate.CONFIDENCE) == (passes, confidence, 0.7)


@pytest.mark.parametrize(
    ("wanted", "inside", "passes"), [(True, True, True), (False, True, False), (False, False, True)]
)
def test_being_inside_already_counts_where_it_is_wanted(wanted: bool, inside: bool, passes: bool) -> None:  # noqa: FBT001
    decision = decided(campaign(trigger={"type": "enter", "already_inside": wanted}), moment(already_inside=inside))
    assert _says(decision, Gate.ALREADY_INSIDE) == (passes, inside, wanted)


def test_a_scheduled_offer_asks_neither_for_the_way_in_nor_for_a_dwell() -> None:
    decision = decided(campaign(trigger={"type": "scheduled", "at": "12:00"}), moment(trigger=TriggerType.SCHEDULED))
    assert {Gate.ALREADY_INSIDE, Gate.DWELL}.isdisjoint(one.gate for one in decision.gates)


@pytest.mark.parametrize(("dwell_s", "passes"), [(60.0, True), (59.9, False)])
def test_a_visit_counts_from_its_least_dwell_on(dwell_s: float, *, passes: bool) -> None:
    decision = decided(campaign(trigger={"type": "exit", "min_dwell_s": 60}), moment(dwell_s=dwell_s))
    assert _says(decision, Gate.DWELL) == (passes, dwell_s, 60.0)


def test_without_a_least_dwell_nobody_asks() -> None:
    assert gate_of(decided(campaign(trigger={"type": "exit"})), Gate.DWELL) is None


@pytest.mark.parametrize(
    ("place", "reason", "window", "open_"),
    [
        (ALWAYS_OPEN, WindowReason.LIVE, True, True),
        (NEVER_OPEN, WindowReason.STORE_CLOSED, True, False),
        (HELSINKI_PLACE, WindowReason.HOURS_UNKNOWN, True, False),
    ],
)
def test_a_store_must_surely_be_open(place: Place, reason: WindowReason, *, window: bool, open_: bool) -> None:
    decision = decided(campaign(windows={"only_while_open": True}), place=place)
    assert _says(decision, Gate.WINDOW) == (window, reason, WindowReason.LIVE)
    assert _says(decision, Gate.OPEN) == (open_, reason, WindowReason.LIVE)


def test_an_offer_ends_with_its_window_or_its_reservation_whatever_comes_first() -> None:
    lunch = {"weekly": [{"days": ["mo"], "start": "11:00", "end": "12:30"}]}
    assert decided(campaign(windows=lunch)).expires_at == NOON + timedelta(minutes=30)
    assert decided(campaign(windows=lunch, reservation_ttl_s=60)).expires_at == NOON + timedelta(minutes=1)
    assert decided(campaign(reservation_ttl_s=60)).expires_at == NOON + timedelta(minutes=1)


@pytest.mark.parametrize(("later_s", "passes"), [(1799, True), (1800, False), (1860, False)])
def test_what_is_over_by_the_time_it_becomes_known_is_not_offered(later_s: int, *, passes: bool) -> None:
    """Somebody entered at 12:00 and it was sure some time later; lunch ends at 12:30."""
    lunch = {"weekly": [{"days": ["mo"], "start": "11:00", "end": "12:30"}]}
    clock = NOON + timedelta(seconds=later_s)
    decision = decided(campaign(windows=lunch, staleness_s=86_400), moment(clock=clock))
    assert _says(decision, Gate.WINDOW) == (passes, "live" if passes else OVER, "live")
    assert decision.outcome is (Outcome.OFFERED if passes else Outcome.SUPPRESSED)
    if passes:
        assert decision.expires_at > clock


QUIET = {"start": "11:00", "end": "13:00"}


def test_quiet_hours_defer_an_offer_to_their_end() -> None:
    decision = decided(campaign(quiet_hours={"times": QUIET}, reservation_ttl_s=600))
    assert decision.outcome is Outcome.OFFERED
    assert decision.delivery is Delivery.PUSH
    assert decision.send_at == NOON + timedelta(hours=1)
    assert decision.expires_at == decision.send_at + timedelta(minutes=10)
    until = (NOON + timedelta(hours=1)).isoformat()
    assert _says(decision, Gate.QUIET_HOURS) == (True, until, QuietPolicy.DEFER)


@pytest.mark.parametrize(("end", "passes"), [("13:00", False), ("13:01", True)])
def test_an_offer_that_ends_with_the_quiet_is_not_deferred(end: str, *, passes: bool) -> None:
    windows = {"weekly": [{"days": ["mo"], "start": "10:00", "end": end}]}
    decision = decided(campaign(quiet_hours={"times": QUIET}, windows=windows))
    assert (decision.reason is not Gate.QUIET_HOURS) == passes


def test_quiet_that_never_ends_defers_nothing() -> None:
    decision = decided(campaign(quiet_hours={"times": {"start": "00:00", "end": "00:00"}}))
    assert _says(decision, Gate.QUIET_HOURS) == (False, None, QuietPolicy.DEFER)


@pytest.mark.parametrize(
    ("policy", "outcome", "delivery"),
    [("drop", Outcome.SUPPRESSED, Delivery.PUSH), ("inbox_only", Outcome.OFFERED, Delivery.INBOX)],
)
def test_quiet_hours_drop_an_offer_or_leave_it_in_the_inbox(policy: str, outcome: Outcome, delivery: Delivery) -> None:
    decision = decided(campaign(quiet_hours={"times": QUIET, "policy": policy}))
    assert (decision.outcome, decision.delivery, decision.send_at) == (outcome, delivery, NOON)


def test_the_shoppers_own_quiet_times_count_before_the_campaigns() -> None:
    own = Shopper(push_consent=True, channels=1, quiet_times=OwnQuietTimes(start="20:00", end="21:00"))
    drops = campaign(quiet_hours={"times": QUIET, "policy": "drop"})
    assert decided(drops, shopper=own).outcome is Outcome.OFFERED
    assert decided(drops).outcome is Outcome.SUPPRESSED


def test_quiet_is_meant_in_the_devices_zone_and_at_the_time_of_telling() -> None:
    tokyo = Shopper(push_consent=True, channels=1, timezone="Asia/Tokyo")
    drops = campaign(quiet_hours={"times": {"start": "17:00", "end": "19:00"}, "policy": "drop"})
    assert decided(drops, shopper=tokyo).reason is Gate.QUIET_HOURS  # 18:00 there
    assert decided(drops).outcome is Outcome.OFFERED
    early = moment(at=NOON - timedelta(minutes=10), clock=NOON)
    assert (
        decided(campaign(quiet_hours={"times": {"start": "11:50", "end": "12:00"}, "policy": "drop"}), early).reason
        is None
    )


@pytest.mark.parametrize(
    ("stacking", "standing", "passes"),
    [
        ("combinable", Standing(offers_at_moment=1), True),
        ("combinable", Standing(offers_at_moment=1, exclusive_at_moment=True), False),
        ("exclusive", Standing(offers_at_moment=1), False),
    ],
)
def test_an_exclusive_offer_is_alone_at_its_moment(stacking: str, standing: Standing, *, passes: bool) -> None:
    decision = decided(campaign(stacking=stacking), standing=standing)
    assert _says(decision, Gate.STACKING) == (passes, 1, stacking)


def test_a_moment_that_nobody_has_taken_asks_for_no_stacking() -> None:
    assert gate_of(decided(campaign(stacking="exclusive")), Gate.STACKING) is None


def test_after_a_push_at_this_moment_the_rest_goes_to_the_inbox() -> None:
    standing = Standing(offers_at_moment=1, pushed_at_moment=True)
    assert decided(standing=standing).delivery is Delivery.INBOX
    assert decided(standing=Standing(offers_at_moment=1)).delivery is Delivery.PUSH


@pytest.mark.parametrize(("ago_s", "passes"), [(None, True), (59.0, False), (60.0, True)])
def test_the_cool_down_ends_when_its_time_is_over(ago_s: float | None, *, passes: bool) -> None:
    last = None if ago_s is None else NOON - timedelta(seconds=ago_s)
    decision = decided(campaign(cool_down_s=60), standing=Standing(last_offer_at=last))
    assert _says(decision, Gate.COOL_DOWN) == (passes, ago_s, 60.0)


@pytest.mark.parametrize(("used", "passes"), [((0, 2), True), ((1, 0), False), ((0, 3), False)])
def test_every_cap_must_have_room(used: tuple[int, ...], *, passes: bool) -> None:
    decision = decided(campaign(caps=[{"count": 1}, {"count": 3}]), standing=Standing(used=used))
    assert _says(decision, Gate.CAP) == (passes, list(used), [1, 3])


@pytest.mark.parametrize(
    ("lot", "outcome"), [(0.0, Outcome.HELD_OUT), (0.2, Outcome.OFFERED), (0.19, Outcome.HELD_OUT)]
)
def test_who_draws_less_than_the_share_is_held_out(lot: float, outcome: Outcome) -> None:
    decision = decided(campaign(holdout_share=0.2), standing=Standing(draw=lot))
    assert decision.outcome is outcome
    assert _says(decision, Gate.HOLDOUT) == (outcome is Outcome.OFFERED, lot, 0.2)


@pytest.mark.parametrize(
    ("new", "left", "new_left", "seen"),
    [(False, 1, None, 1), (False, 5, 0, 5), (True, 5, 0, 0), (True, 1, 3, 1), (False, 0, None, 0), (True, 2, None, 2)],
)
def test_stock_is_what_is_left_and_for_new_devices_their_share_of_it(
    left: int, new_left: int | None, seen: int, *, new: bool
) -> None:
    shopper = Shopper(push_consent=True, channels=1, new=new)
    decision = decided(campaign(stock=9), shopper=shopper, standing=Standing(stock_left=left, new_stock_left=new_left))
    assert _says(decision, Gate.STOCK) == (seen > 0, seen, 1)


@pytest.mark.parametrize(("day", "passes"), [("5", True), ("4.99", False)])
def test_the_shortest_budget_must_pay_the_whole_cost(day: str, *, passes: bool) -> None:
    priced = campaign(
        offer={"kind": "percentage", "value": 20, "max_cost": 5}, budget={"currency": "EUR", "total": 100}
    )
    left = {"total": Decimal(100), "day:2026-06-01": Decimal(day)}
    decision = decided(priced, standing=Standing(budget_left=left))
    assert _says(decision, Gate.BUDGET) == (passes, {"scope": "day:2026-06-01", "left": day}, "5.0")


def test_of_budgets_the_shortest_is_told_and_of_equals_the_first_by_name() -> None:
    priced = campaign(
        offer={"kind": "percentage", "value": 20, "max_cost": 5}, budget={"currency": "EUR", "total": 100}
    )
    for day, store, scope in ((7, 9, "day:2026-06-01"), (9, 7, "store:3"), (7, 7, "day:2026-06-01")):
        left = {"total": Decimal(9), "store:3": Decimal(store), "day:2026-06-01": Decimal(day)}
        decision = decided(priced, standing=Standing(budget_left=left))
        assert _says(decision, Gate.BUDGET) == (True, {"scope": scope, "left": "7"}, "5.0")


@pytest.mark.parametrize(("tier", "belongs"), [("gold", True), ("tin", False)])
def test_the_audience_is_asked_of_the_shoppers_attributes(tier: str, *, belongs: bool) -> None:
    shopper = Shopper(push_consent=True, channels=1, attributes={"tier": tier})
    decision = decided(campaign(audience={"attribute": "tier", "is": "gold"}), shopper=shopper)
    assert _says(decision, Gate.AUDIENCE) == (belongs, belongs, True)


def test_consent_is_told_with_what_is_wanted() -> None:
    assert _says(decided(), Gate.CONSENT) == (True, True, True)


def test_what_a_campaign_does_not_limit_is_not_asked() -> None:
    asked = {one.gate for one in decided().gates}
    assert asked.isdisjoint(
        {Gate.AUDIENCE, Gate.OPEN, Gate.QUIET_HOURS, Gate.COOL_DOWN, Gate.CAP, Gate.HOLDOUT, Gate.STOCK, Gate.BUDGET}
    )


instants = st.datetimes(datetime(2020, 1, 1), datetime(2034, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(
    facts=st.builds(
        Facts,
        shopper=st.builds(
            Shopper,
            push_consent=st.booleans(),
            channels=st.integers(0, 3),
            timezone=st.sampled_from([None, "Asia/Tokyo", "America/New_York"]),
            quiet_times=st.sampled_from([None, OwnQuietTimes(start="22:00", end="07:30")]),
            attributes=st.fixed_dictionaries({}, optional={"tier": st.text(), "age": st.floats(allow_nan=False)}),
            new=st.booleans(),
        ),
        standing=st.builds(
            Standing,
            last_offer_at=st.none() | instants,
            used=st.tuples(st.integers(0, 2)),
            draw=st.none() | st.floats(0, 1, exclude_max=True),
            stock_left=st.none() | st.integers(0, 3),
            budget_left=st.dictionaries(st.sampled_from(["total", "store:1"]), st.decimals(0, 99, places=4)),
        ),
        confidence=st.floats(0, 1),
        already_inside=st.booleans(),
        dwell_s=st.floats(0, 1e5),
    ),
    clock=instants,
)
def test_a_decision_asked_again_from_what_is_stored_is_the_same_to_the_bit(facts: Facts, clock: datetime) -> None:
    asked = campaign(
        audience={"any": [{"attribute": "tier", "starts_with": "g"}, {"attribute": "age", "above": 17.5}]},
        quiet_hours={"policy": "defer"}, cool_down_s=60, caps=[{"count": 2}], holdout_share=0.3, min_confidence=0.2,
        budget={"currency": "EUR", "total": 50}, offer={"kind": "amount", "value": 3, "currency": "EUR"},
    )  # fmt: skip

    def ask(known_then: Facts) -> tuple[Any, ...]:
        at = moment(at=clock - timedelta(seconds=5), clock=clock, confidence=known_then.confidence,
                    already_inside=known_then.already_inside, dwell_s=known_then.dwell_s)  # fmt: skip
        made = decided(asked, at, shopper=known_then.shopper, standing=known_then.standing)
        return made, encode_gates(made)

    assert ask(msgspec.json.decode(msgspec.json.encode(facts), type=Facts)) == ask(facts)


def test_the_willing_shopper_of_these_tests_is_offered_the_plainest_campaign() -> None:
    assert decided(shopper=WILLING).outcome is Outcome.OFFERED
