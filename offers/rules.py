"""Deciding: one moment, one campaign, one answer with all its reasons. Pure.

The gates are asked in the order of `Gate`; the first that fails ends the asking. What is scarce comes last, because
only a moment that passed everything else may take some.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from geofences.zones import zone as zone_named
from offers.audience import fits
from offers.definition import EventTrigger, QuietPolicy, Stacking
from offers.model import Decision, Delivery, Gate, GateResult, Outcome
from offers.schedule import Schedule, WindowAnswer, WindowReason, is_live
from offers.windows import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from offers.definition import CampaignDefinition
    from offers.facts import OwnQuietTimes, Shopper, Standing
    from offers.hours import OpeningHours
    from offers.model import Campaign, Moment

ON = frozenset({WindowReason.LIVE, WindowReason.STORE_CLOSED, WindowReason.HOURS_UNKNOWN})
"""The campaign's windows are open, whatever the store's doors are."""
OVER: Final = "over"
"""What the window says that was on when it happened, and ended before it became known."""
EVERY_GATE: Final = tuple(Gate)
USE_GATES: Final = (Gate.AUDIENCE, Gate.WINDOW, Gate.OPEN, Gate.STOCK, Gate.BUDGET)
"""What counts for using an offer, rather than for telling of it."""
USE_GATES_ANYWHERE: Final = (Gate.AUDIENCE, Gate.STOCK, Gate.BUDGET)
MOST_VALID_S: Final = 10 * 366 * 86_400
"""Ten years: time does not reach as far as a number may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the offer would be used: a store, or a fence without one (no hours, the zone of its own ground)."""

    zone: ZoneInfo
    hours: OpeningHours | None


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what the clocks say to it."""

    campaign: Campaign
    moment: Moment
    shopper: Shopper
    standing: Standing
    window: WindowAnswer
    quiet: WindowAnswer | None
    """The shopper's wish for quiet, as a window; None if they have none."""


_Said = tuple[bool, Any, Any] | None
"""Whether a gate lets the offer through, the value it saw and its threshold; None if the campaign does not ask it."""


def decide(campaign: Campaign, moment: Moment, *, place: Place, shopper: Shopper, standing: Standing) -> Decision:
    """Answers whether `campaign` is offered at `moment`, how it is told, and until when it holds.

    The same arguments give the same answer, to the bit.
    """
    asked = _Asked(
        campaign=campaign,
        moment=moment,
        shopper=shopper,
        standing=standing,
        window=is_live(campaign.schedule, at=moment.at, zone=place.zone, hours=place.hours),
        quiet=_quiet(campaign, moment, place, shopper),
    )
    gates = _ask(asked, EVERY_GATE)
    failed = _failed(gates)
    send_at = _send_at(asked)
    latest = send_at + timedelta(seconds=campaign.definition.reservation_ttl_s)
    ends_at = asked.window.next_change
    return Decision(
        outcome=_outcome(failed),
        reason=failed,
        gates=gates,
        delivery=Delivery.INBOX
        if standing.pushed_at_moment or _is_quiet(asked, QuietPolicy.INBOX_ONLY)
        else Delivery.PUSH,
        send_at=send_at,
        expires_at=latest if ends_at is None else min(latest, ends_at),
        cost=None if campaign.definition.budget is None else campaign.definition.offer.cost,
    )


def usable(campaign: Campaign, moment: Moment, *, place: Place, shopper: Shopper, standing: Standing) -> Decision:
    """Answers whether somebody who asks for the offer by themselves may have it, and until when they may use it.

    Nothing is pushed, so consent, quiet hours, caps and the holdout are not asked; a moment without a store asks no
    windows, which then count at the till.
    """
    window = is_live(campaign.schedule, at=moment.at, zone=place.zone, hours=place.hours)
    asked = _Asked(campaign=campaign, moment=moment, shopper=shopper, standing=standing, window=window, quiet=None)
    gates = _ask(asked, USE_GATES if moment.store_id is not None else USE_GATES_ANYWHERE)
    failed = _failed(gates)
    return Decision(
        outcome=_outcome(failed),
        reason=failed,
        gates=gates,
        delivery=Delivery.INBOX,
        send_at=moment.clock,
        expires_at=claimed_until(campaign, moment, place),
        cost=None if campaign.definition.budget is None else campaign.definition.offer.cost,
    )


def on_now(campaign: Campaign, *, at: datetime, place: Place) -> bool:
    """Whether the campaign's windows, and the store's doors if it asks for them, are open."""
    return is_live(campaign.schedule, at=at, zone=place.zone, hours=place.hours).live


def claimed_until(campaign: Campaign, moment: Moment, place: Place) -> datetime:
    """When a claim made at `moment` ends: what the offer itself says, else the reservation's time within the window."""
    definition = campaign.definition
    if definition.offer.valid_after_claim_s is not None:
        return moment.clock + timedelta(seconds=min(definition.offer.valid_after_claim_s, MOST_VALID_S))
    latest = moment.clock + timedelta(seconds=definition.reservation_ttl_s)
    if moment.store_id is None:
        return latest
    window = is_live(campaign.schedule, at=moment.clock, zone=place.zone, hours=place.hours)
    return min(latest, window.next_change) if window.live and window.next_change is not None else latest


def _ask(asked: _Asked, gates: Iterable[Gate]) -> tuple[GateResult, ...]:
    """Up to the first that fails."""
    results: list[GateResult] = []
    for gate in gates:
        said = GATES[gate](asked)
        if said is not None:
            results.append(GateResult(gate=gate, passed=said[0], value=said[1], threshold=said[2]))
            if not said[0]:
                break
    return tuple(results)


def _failed(gates: tuple[GateResult, ...]) -> Gate | None:
    return None if not gates or gates[-1].passed else gates[-1].gate


def _outcome(failed: Gate | None) -> Outcome:
    if failed is None:
        return Outcome.OFFERED
    return Outcome.HELD_OUT if failed is Gate.HOLDOUT else Outcome.SUPPRESSED


def _quiet(campaign: Campaign, moment: Moment, place: Place, shopper: Shopper) -> WindowAnswer | None:
    zone = place.zone if shopper.timezone is None else zone_named(shopper.timezone)
    return quiet(campaign.definition, shopper.quiet_times, zone=zone, at=moment.clock)


def quiet(
    definition: CampaignDefinition, own: OwnQuietTimes | None, *, zone: ZoneInfo, at: datetime
) -> WindowAnswer | None:
    """Whether it is quiet in a zone, as a window; None if nobody wants quiet.

    The shopper's own times count before the campaign's; both are wall times of the device's zone, else the store's.
    """
    times = own or definition.quiet_hours.times
    return None if times is None else is_live(_every_day(times.start, times.end), at=at, zone=zone)


@lru_cache(maxsize=1_000)
def _every_day(start: str, end: str) -> Schedule:
    return Schedule.from_json({"weekly": [{"days": list(WEEKDAYS), "start": start, "end": end}]})


def _is_quiet(asked: _Asked, policy: QuietPolicy) -> bool:
    quiet = asked.quiet is not None and asked.quiet.live
    return quiet and asked.campaign.definition.quiet_hours.policy is policy


def _send_at(asked: _Asked) -> datetime:
    if asked.quiet is None or asked.quiet.next_change is None or not _is_quiet(asked, QuietPolicy.DEFER):
        return asked.moment.clock
    return asked.quiet.next_change


def _consent(asked: _Asked) -> _Said:
    return asked.shopper.push_consent, asked.shopper.push_consent, True


def _reachable(asked: _Asked) -> _Said:
    return asked.shopper.channels > 0, asked.shopper.channels, 1


def _staleness(asked: _Asked) -> _Said:
    age_s = (asked.moment.clock - asked.moment.at).total_seconds()
    most_s = asked.campaign.definition.staleness_s
    return age_s <= most_s, age_s, most_s


def _confidence(asked: _Asked) -> _Said:
    least = asked.campaign.definition.min_confidence
    return asked.moment.confidence >= least, asked.moment.confidence, least


def _already_inside(asked: _Asked) -> _Said:
    trigger = asked.campaign.definition.trigger
    if not isinstance(trigger, EventTrigger):
        return None
    return (
        trigger.already_inside or not asked.moment.already_inside,
        asked.moment.already_inside,
        trigger.already_inside,
    )


def _dwell(asked: _Asked) -> _Said:
    trigger = asked.campaign.definition.trigger
    if not isinstance(trigger, EventTrigger) or not trigger.min_dwell_s:
        return None
    return asked.moment.dwell_s >= trigger.min_dwell_s, asked.moment.dwell_s, trigger.min_dwell_s


def _audience(asked: _Asked) -> _Said:
    rule = asked.campaign.definition.audience
    if rule is None:
        return None
    belongs = fits(rule, asked.shopper.attributes)
    # what the attributes are is a fact, which an erasure takes away
    return belongs, belongs, True


def _window(asked: _Asked) -> _Said:
    """Asked of the moment; what was on then and is over by the time it became known is not offered any more."""
    window = asked.window
    if window.live and window.next_change is not None and window.next_change <= asked.moment.clock:
        return False, OVER, WindowReason.LIVE
    return window.reason in ON, window.reason, WindowReason.LIVE


def _open(asked: _Asked) -> _Said:
    if not asked.campaign.schedule.only_while_open:
        return None
    return asked.window.live, asked.window.reason, WindowReason.LIVE


def _quiet_hours(asked: _Asked) -> _Said:
    """`defer` passes only if the quiet ends before the offer does."""
    if asked.quiet is None or not asked.quiet.live:
        return None
    policy, until, ends_at = (
        asked.campaign.definition.quiet_hours.policy,
        asked.quiet.next_change,
        asked.window.next_change,
    )
    match policy:
        case QuietPolicy.DROP:
            passed = False
        case QuietPolicy.INBOX_ONLY:
            passed = True
        case QuietPolicy.DEFER:
            passed = until is not None and (ends_at is None or until < ends_at)
    return passed, None if until is None else until.isoformat(), policy


def _stacking(asked: _Asked) -> _Said:
    """Several campaigns at one moment: an exclusive one shares it with none."""
    standing, stacking = asked.standing, asked.campaign.definition.stacking
    if not standing.offers_at_moment:
        return None
    shared = stacking is Stacking.COMBINABLE and not standing.exclusive_at_moment
    return shared, standing.offers_at_moment, stacking


def _cool_down(asked: _Asked) -> _Said:
    cool_down_s, last = asked.campaign.definition.cool_down_s, asked.standing.last_offer_at
    if not cool_down_s:
        return None
    since_s = None if last is None else (asked.moment.clock - last).total_seconds()
    return since_s is None or since_s >= cool_down_s, since_s, cool_down_s


def _cap(asked: _Asked) -> _Said:
    counts = [cap.count for cap in asked.campaign.definition.caps]
    if not counts:
        return None
    used = asked.standing.used
    return all(mine < count for mine, count in zip(used, counts, strict=True)), list(used), counts


def _holdout(asked: _Asked) -> _Said:
    draw, share = asked.standing.draw, asked.campaign.definition.holdout_share
    return None if draw is None else (draw >= share, draw, share)


def _stock(asked: _Asked) -> _Said:
    left, new_left = asked.standing.stock_left, asked.standing.new_stock_left
    if left is None:
        return None
    if asked.shopper.new and new_left is not None:
        left = min(left, new_left)
    return left > 0, left, 1


def _budget(asked: _Asked) -> _Said:
    cost, money = asked.campaign.definition.offer.cost, asked.standing.budget_left
    if cost is None or not money:
        return None
    scope, left = min(money.items(), key=lambda item: (item[1], item[0]))
    return left >= cost, {"scope": scope, "left": str(left)}, str(cost)


GATES: Final[Mapping[Gate, Callable[[_Asked], _Said]]] = {
    Gate.CONSENT: _consent,
    Gate.REACHABLE: _reachable,
    Gate.STALENESS: _staleness,
    Gate.CONFIDENCE: _confidence,
    Gate.ALREADY_INSIDE: _already_inside,
    Gate.DWELL: _dwell,
    Gate.AUDIENCE: _audience,
    Gate.WINDOW: _window,
    Gate.OPEN: _open,
    Gate.QUIET_HOURS: _quiet_hours,
    Gate.STACKING: _stacking,
    Gate.COOL_DOWN: _cool_down,
    Gate.CAP: _cap,
    Gate.HOLDOUT: _holdout,
    Gate.STOCK: _stock,
    Gate.BUDGET: _budget,
}
