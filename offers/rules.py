"""Deciding: one moment, one campaign, one answer with all its reasons. Pure.

The gates are asked in the order of `Gate`; the first that fails ends the asking. `stock` comes last, because only a
moment that passed everything else may take some.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_never

from offers.model import Decision, EventTrigger, Gate, GateResult, Outcome, ScheduledTrigger
from offers.schedule import WindowAnswer, WindowReason, is_live

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from offers.hours import OpeningHours
    from offers.model import Campaign, Cap, Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the offer would be used: a store, or a fence without one (no hours, the zone of its own ground)."""

    zone: ZoneInfo
    hours: OpeningHours | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopper:
    """What has to be known of the person behind the device."""

    push_consent: bool
    channels: int
    """Ways to reach the device, the inbox included."""


def decide(
    campaign: Campaign,
    moment: Moment,
    *,
    place: Place,
    shopper: Shopper,
    earlier_offers: Sequence[datetime],
    stock_left: int | None,
) -> Decision:
    """Answers whether `campaign` is offered at `moment`.

    `earlier_offers` are the times of this campaign's earlier offers to the device that still count; `stock_left` is
    None for a campaign without limit.
    """
    window = is_live(campaign.schedule, at=moment.at, zone=place.zone, hours=place.hours)
    gates: list[GateResult] = []
    for gate in Gate:
        result = _ask(gate, campaign, moment, shopper, window, earlier_offers=earlier_offers, stock_left=stock_left)
        if result is None:
            continue
        gates.append(result)
        if not result.passed:
            break
    failed = None if gates[-1].passed else gates[-1].gate
    return Decision(
        outcome=Outcome.OFFERED if failed is None else Outcome.SUPPRESSED,
        reason=failed,
        gates=tuple(gates),
        expires_at=_expires_at(campaign, moment, window),
    )


def _ask(
    gate: Gate,
    campaign: Campaign,
    moment: Moment,
    shopper: Shopper,
    window: WindowAnswer,
    *,
    earlier_offers: Sequence[datetime],
    stock_left: int | None,
) -> GateResult | None:
    """One gate's answer; None if the campaign does not ask it."""
    definition, trigger = campaign.definition, campaign.definition.trigger
    match gate:
        case Gate.CONSENT:
            return _result(gate, passed=shopper.push_consent, value=shopper.push_consent, threshold=True)
        case Gate.REACHABLE:
            return _result(gate, passed=shopper.channels > 0, value=shopper.channels, threshold=1)
        case Gate.STALENESS:
            age_s = (moment.clock - moment.at).total_seconds()
            return _result(gate, passed=age_s <= definition.staleness_s, value=age_s, threshold=definition.staleness_s)
        case Gate.CONFIDENCE:
            enough = moment.confidence >= definition.min_confidence
            return _result(gate, passed=enough, value=moment.confidence, threshold=definition.min_confidence)
        case Gate.ALREADY_INSIDE:
            if isinstance(trigger, ScheduledTrigger):
                return None
            assert isinstance(trigger, EventTrigger)
            wanted = trigger.already_inside or not moment.already_inside
            return _result(gate, passed=wanted, value=moment.already_inside, threshold=trigger.already_inside)
        case Gate.WINDOW:
            inside = window.reason in {WindowReason.LIVE, WindowReason.STORE_CLOSED, WindowReason.HOURS_UNKNOWN}
            return _result(gate, passed=inside, value=window.reason, threshold=WindowReason.LIVE)
        case Gate.OPEN:
            if not campaign.schedule.only_while_open:
                return None
            return _result(gate, passed=window.live, value=window.reason, threshold=WindowReason.LIVE)
        case Gate.CAP:
            cap = definition.caps[0] if definition.caps else None
            return None if cap is None else _ask_cap(cap, moment, earlier_offers)
        case Gate.STOCK:
            return None if stock_left is None else _result(gate, passed=stock_left > 0, value=stock_left, threshold=1)
    assert_never(gate)


def _ask_cap(cap: Cap, moment: Moment, earlier_offers: Sequence[datetime]) -> GateResult:
    """Counts offers in the rolling window that ends at the moment's clock, half-open: (clock - window_s, clock]."""
    since = None if cap.window_s is None else moment.clock - timedelta(seconds=cap.window_s)
    used = sum(1 for at in earlier_offers if since is None or at > since)
    return _result(Gate.CAP, passed=used < cap.count, value=used, threshold=cap.count)


def _result(gate: Gate, *, passed: bool, value: Any, threshold: Any) -> GateResult:
    return GateResult(gate=gate, passed=passed, value=value, threshold=threshold)


def _expires_at(campaign: Campaign, moment: Moment, window: WindowAnswer) -> datetime:
    """The offer's messages and reservation end with its window, at the latest after the reservation's life."""
    latest = moment.clock + timedelta(seconds=campaign.definition.reservation_ttl_s)
    return latest if window.next_change is None else min(latest, window.next_change)
