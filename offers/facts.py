"""What is known when an offer is decided: of the shopper, of what they were offered before, of what is left. Pure.

Facts are stored with each decision. With the campaign's version and the place they are all that `rules.decide` takes,
so that a decision can be asked again, years later, and a question "what if" is asked of the same code.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from offers.definition import CapScope
from offers.model import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from offers.model import Campaign, Moment

NEW_FOR: Final = timedelta(days=1)
"""How long a device that nobody vouches for counts as new."""


class OwnQuietTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Wall times in the device's zone between which the shopper wants quiet."""

    start: str
    end: str


class Shopper(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has to be known of the person behind the device."""

    push_consent: bool
    channels: int
    """Ways to reach the device, the inbox included."""
    timezone: str | None = None
    quiet_times: OwnQuietTimes | None = None
    attributes: dict[str, Any] = {}
    """Only those that the campaign's audience asks for."""
    new: bool = False
    """Registered by an app not long ago, and no server vouches for it."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the shopper and the campaign stand at the moment of the decision."""

    last_offer_at: datetime | None = None
    """Of any campaign; None without a cool-down to ask for it."""
    used: tuple[int, ...] = ()
    """Earlier offers that count for each cap of the campaign, in their order."""
    offers_at_moment: int = 0
    pushed_at_moment: bool = False
    exclusive_at_moment: bool = False
    draw: float | None = None
    """In [0, 1): the person's lot for the holdout."""
    stock_left: int | None = None
    new_stock_left: int | None = None
    budget_left: dict[str, Decimal] = {}
    """Money left by the limit's scope."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a decision rests on that is neither the campaign's version nor the place."""

    shopper: Shopper
    standing: Standing
    confidence: float = 1.0
    already_inside: bool = False
    dwell_s: float = 0.0


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An offer that was made before, or that a ghost would have got."""

    at: datetime
    event_at: datetime
    device_id: int
    campaign_id: int
    brand: str | None
    store_id: int | None
    delivery: Delivery
    exclusive: bool
    ghost: bool


def count_used(campaign: Campaign, moment: Moment, given: Sequence[Given], zone: ZoneInfo) -> tuple[int, ...]:
    """For each cap of the campaign, how many earlier offers to the person count.

    A rolling window is half-open, (clock - window_s, clock]; calendar days are those of `zone`, the last of them today.
    """
    counted = []
    for cap in campaign.definition.caps:
        alike: Iterable[Given]
        match cap.per:
            case CapScope.CAMPAIGN:
                alike = (one for one in given if one.campaign_id == campaign.campaign_id)
            case CapScope.BRAND:
                alike = (one for one in given if one.brand == campaign.definition.brand)
            case CapScope.STORE:
                alike = (one for one in given if one.store_id is not None and one.store_id == moment.store_id)
            case CapScope.ALL:
                alike = given
        if cap.window_s is not None:
            since = moment.clock - timedelta(seconds=cap.window_s)
            n = sum(1 for one in alike if one.at > since)
        elif cap.days is not None:
            first_day = local_day(moment.clock, zone) - timedelta(days=cap.days - 1)
            n = sum(1 for one in alike if local_day(one.at, zone) >= first_day)
        else:
            n = sum(1 for _ in alike)
        counted.append(n)
    return tuple(counted)


def standing_of(
    campaign: Campaign,
    moment: Moment,
    given: Sequence[Given],
    *,
    zone: ZoneInfo,
    person: int,
    stock_left: int | None = None,
    new_stock_left: int | None = None,
    budget_left: dict[str, Decimal] | None = None,
) -> Standing:
    """How things stand for a person at a moment. `given` is all that counts for the person, in any order.

    `zone` is whose days count; `person` the number that draws for the holdout.
    """
    definition = campaign.definition
    here = [one for one in given if one.device_id == moment.device_id and one.event_at == moment.at and not one.ghost]
    last = max((one.at for one in given), default=None) if definition.cool_down_s else None
    return Standing(
        last_offer_at=last,
        used=count_used(campaign, moment, given, zone) if given else (0,) * len(definition.caps),
        offers_at_moment=len(here),
        pushed_at_moment=any(one.delivery is Delivery.PUSH for one in here),
        exclusive_at_moment=any(one.exclusive for one in here),
        draw=draw(campaign, person) if definition.holdout_share else None,
        stock_left=stock_left,
        new_stock_left=new_stock_left,
        budget_left=budget_left or {},
    )


def draw(campaign: Campaign, person: int) -> float:
    """A person's lot in [0, 1): always the same for one campaign, independent between campaigns."""
    said = campaign.holdout_salt + campaign.campaign_id.to_bytes(8, "big") + person.to_bytes(8, "big", signed=True)
    return int.from_bytes(blake2b(said, digest_size=8, person=b"lbs holdout").digest(), "big") / 2**64


def local_day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def budget_limits(campaign: Campaign, moment: Moment, zone: ZoneInfo) -> dict[str, Decimal]:
    """The limits of the campaign's budget that an offer at this moment draws on: most money, by scope.

    `zone` is the store's: a day's budget is that of the store's local day.
    """
    budget = campaign.definition.budget
    if budget is None:
        return {}
    limits = {
        "total": budget.total,
        f"store:{moment.store_id}": budget.per_store if moment.store_id is not None else None,
        f"day:{local_day(moment.clock, zone)}": budget.per_day,
    }
    return {scope: Decimal(str(most)) for scope, most in limits.items() if most is not None}


def is_new(*, created_at: datetime, vouched_at: datetime | None, at: datetime) -> bool:
    return vouched_at is None and at.astimezone(UTC) - created_at < NEW_FOR
