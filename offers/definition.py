"""A campaign as a marketer writes it: at once the body of the campaign routes, the stored JSON and what `rules` reads.

One shape, checked in one place. Pure.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, model_validator

from offers.audience import Audience
from offers.recurrence import MAX_DURATION, MAX_RULE, RecurringWindow
from offers.schedule import Schedule, Weekday
from offers.templates import Placeholder, holes, parse
from offers.windows import MAX_BLACKOUT_DAYS

EARLIEST_ZONE: Final = timezone(timedelta(hours=14))
LATEST_ZONE: Final = timezone(timedelta(hours=-12))
"""Where a day begins first on Earth, and where it ends last."""


MAX_URL: Final = 2_000
MOST_MONEY: Final = 1e9
"""Of one offer or order, in any currency."""
MOST_BUDGET: Final = 1e11
"""Of a campaign: it has room in the columns, of which `ledger.UNLIMITED` is the most."""


class Part(BaseModel):
    """A piece of a campaign definition: immutable, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


WallTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", examples=["11:30"])]


class WeeklyHours(Part):
    """Local wall time of the store; an `end` at or before `start` lies on the next day."""

    days: Annotated[list[Weekday], Field(min_length=1, max_length=7)]
    start: WallTime
    end: WallTime


class RecurringHours(Part):
    """Windows of one length that begin whenever a rule says, in the store's wall time."""

    rule: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_RULE,
            description="RFC 5545, without a zone: DTSTART, a new line, and RRULE of days, weeks, months or years.",
            examples=["DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;BYDAY=1SA"],
        ),
    ]
    duration_min: Annotated[int, Field(ge=1, le=MAX_DURATION // timedelta(minutes=1))]


class Windows(Part):
    """When the offer is on, in each store's own time. Nothing said: always."""

    first_day: date | None = None
    last_day: Annotated[date | None, Field(description="Inclusive.")] = None
    weekly: Annotated[list[WeeklyHours], Field(max_length=50)] = []
    recurring: Annotated[list[RecurringHours], Field(max_length=20)] = []
    blackout_days: Annotated[
        list[date], Field(max_length=MAX_BLACKOUT_DAYS, description="Local days on which nothing is on.")
    ] = []
    only_while_open: bool = False

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        return self

    def schedule(self) -> Schedule:
        return Schedule.from_json(self.model_dump(mode="json"))

    @property
    def starts_at(self) -> datetime | None:
        """Before it, it is the first day nowhere on Earth."""
        return None if self.first_day is None else datetime.combine(self.first_day, time(), EARLIEST_ZONE)

    @property
    def ends_at(self) -> datetime | None:
        """From then on, no window can be open anywhere on Earth."""
        ends = []
        if self.last_day is not None:
            ends.append(datetime.combine(self.last_day, time(), LATEST_ZONE) + timedelta(days=1))
        recurring = [RecurringWindow.parse(one.rule, duration_min=one.duration_min).over_at() for one in self.recurring]
        last = [at for at in recurring if at is not None]
        if recurring and not self.weekly and len(last) == len(recurring):
            ends.append(max(last).replace(tzinfo=LATEST_ZONE))
        return min(ends, default=None)


class EventTrigger(Part):
    """A visit's moment that brings the offer."""

    type: Annotated[
        Literal["enter", "already_inside", "dwell", "exit", "crossed"],
        Field(
            description="`already_inside`: the device's first position is inside. "
            "`crossed` needs fences that ask for it by `crossed_within_s`."
        ),
    ]
    already_inside: Annotated[
        bool, Field(description="Also for a device whose first position is inside the fence already.")
    ] = True
    min_dwell_s: Annotated[
        float, Field(ge=0, le=86_400, description="Only visits that have lasted so long: for `dwell` and `exit`.")
    ] = 0.0

    @model_validator(mode="after")
    def _fits_type(self) -> Self:
        if self.min_dwell_s and self.type not in {"dwell", "exit"}:
            raise ValueError("min_dwell_s is for dwell and exit: at any other moment a visit has lasted no time yet")
        if self.type == "already_inside" and not self.already_inside:
            raise ValueError("a trigger already_inside wants those that are already inside")
        return self


class ScheduledTrigger(Part):
    """At a local time of each store, for devices inside or seen near it not long ago."""

    type: Literal["scheduled"]
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["11:30"])]
    days: Annotated[list[Weekday], Field(max_length=7)] = []
    radius_m: Annotated[float, Field(gt=0, le=20_000)] = 1_000
    seen_within_s: Annotated[float, Field(gt=0, le=86_400)] = 1_800


Trigger = Annotated[EventTrigger | ScheduledTrigger, Field(discriminator="type")]


def _short_url(url: HttpUrl) -> HttpUrl:
    """Writing a host in ASCII may make a URL longer than it may be."""
    if len(str(url)) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL} characters")
    return url


class Offer(Part):
    """What the shopper gets."""

    kind: Literal["percentage", "amount", "gift", "other"]
    value: Annotated[float | None, Field(ge=0, le=MOST_MONEY)] = None
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    min_spend: Annotated[float | None, Field(ge=0, le=MOST_MONEY)] = None
    terms: Annotated[str | None, Field(max_length=4000)] = None
    image_url: Annotated[HttpUrl, AfterValidator(_short_url)] | None = None
    deep_link: Annotated[str | None, Field(max_length=2000)] = None
    valid_after_claim_s: Annotated[float | None, Field(ge=1)] = None
    max_cost: Annotated[
        float | None,
        Field(
            gt=0,
            le=MOST_MONEY,
            description="What one redemption costs at most, in the budget's currency; amount: its value.",
        ),
    ] = None

    @property
    def cost(self) -> Decimal | None:
        """What a reservation holds of a budget; None if nobody said."""
        most = self.max_cost if self.max_cost is not None or self.kind != "amount" else self.value
        return None if most is None else Decimal(str(most))

    @property
    def has_price(self) -> bool:
        return self.value is not None and (self.kind == "percentage" or self.currency is not None)

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        if self.kind in {"percentage", "amount"} and self.value is None:
            raise ValueError(f"a {self.kind} offer needs a value")
        if self.kind == "percentage" and self.value is not None and self.value > 100:  # noqa: PLR2004 - per cent
            raise ValueError("a percentage is at most 100")
        if self.kind == "amount" and self.currency is None:
            raise ValueError("an amount offer needs a currency")
        return self


def _template(text: str) -> str:
    parse(text)
    return text


Template = Annotated[str, AfterValidator(_template)]


class Creative(Part):
    """What the message says in one language.

    `{store}`, `{distance}`, `{price}`, `{code}` and `{ends}` stand for what is known then; `{distance|close to you}`
    says what to write where it is not. `{{` and `}}` are braces.
    """

    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    title: Annotated[Template, Field(min_length=1, max_length=200, examples=["Coffee at {store}"])]
    body: Annotated[Template, Field(max_length=1000)] = ""


class CapScope(StrEnum):
    """Which earlier offers to the same person a cap counts."""

    CAMPAIGN = "campaign"
    BRAND = "brand"
    STORE = "store"
    ALL = "all"


class Cap(Part):
    """At most `count` offers to one person: ever, in any `window_s` seconds, or in so many calendar days.

    A person is all devices of one `external_user_id`, else the device. Days are those of the device's zone, else of the
    store's; `days = 1` is today.
    """

    per: Annotated[CapScope, Field(description="Count this campaign's offers, its brand's, the store's, or all.")] = (
        CapScope.CAMPAIGN
    )
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    window_s: Annotated[float | None, Field(gt=0, le=366 * 86_400)] = None
    days: Annotated[int | None, Field(ge=1, le=366)] = None

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window_s is not None and self.days is not None:
            raise ValueError("a cap has window_s or days, not both: give two caps")
        return self


class QuietPolicy(StrEnum):
    """What becomes of an offer made while the shopper wants quiet."""

    DEFER = "defer"
    DROP = "drop"
    INBOX_ONLY = "inbox_only"


class QuietTimes(Part):
    """Wall times of the device's zone, else of the store's; an `end` at or before `start` lies on the next day."""

    start: WallTime
    end: WallTime


class QuietHours(Part):
    """The shopper's own quiet times count where the device has some; `times` are for those that have none."""

    times: QuietTimes | None = None
    policy: QuietPolicy = QuietPolicy.DEFER


class Budget(Part):
    """Money the campaign may promise. Every reservation holds the offer's cost until it ends or is redeemed."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    total: Annotated[float | None, Field(gt=0, le=MOST_BUDGET)] = None
    per_store: Annotated[float | None, Field(gt=0, le=MOST_BUDGET)] = None
    per_day: Annotated[float | None, Field(gt=0, le=MOST_BUDGET, description="Of the store's local days.")] = None


class Redemption(Part):
    """What a till asks before it takes a code."""

    presence_radius_m: Annotated[
        float | None,
        Field(gt=0, le=20_000, description="The phone must have been so near the store; null: not asked."),
    ] = None
    presence_within_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0


class Stacking(StrEnum):
    """Whether a campaign shares a moment with others."""

    EXCLUSIVE = "exclusive"
    COMBINABLE = "combinable"


class CampaignDefinition(Part):
    """A campaign as a marketer writes it. `fences` and `stores` are public ids; with neither, all stores' fences."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    brand: Annotated[str | None, Field(max_length=200)] = None
    fences: Annotated[list[str], Field(max_length=100_000)] = []
    stores: Annotated[list[str], Field(max_length=100_000)] = []
    trigger: Trigger = EventTrigger(type="enter")
    windows: Windows = Windows()
    offer: Offer
    creatives: Annotated[list[Creative], Field(min_length=1, max_length=50)]
    audience: Audience | None = None
    caps: Annotated[list[Cap], Field(max_length=10)] = [Cap(count=1, window_s=86_400)]
    cool_down_s: Annotated[
        float, Field(ge=0, le=366 * 86_400, description="After any offer to the same person, of any campaign.")
    ] = 0.0
    quiet_hours: QuietHours = QuietHours()
    priority: Annotated[
        int, Field(ge=-1000, le=1000, description="Of several campaigns at one moment, higher first.")
    ] = 0
    stacking: Stacking = Stacking.COMBINABLE
    holdout_share: Annotated[
        float, Field(ge=0, le=0.9, description="So many are never offered it, so that its effect can be measured.")
    ] = 0.0
    stock: Annotated[int | None, Field(ge=0, le=2_000_000_000)] = None
    new_device_stock_share: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Of the stock, for devices that an app's publishable key registered within a day "
            "and no server vouched for.",
        ),
    ] = None
    budget: Budget | None = None
    send_rate_per_min: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    reservation_ttl_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3_600
    staleness_s: Annotated[float, Field(gt=0, le=86_400)] = 900
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    redemption: Redemption = Redemption()
    attribution_s: Annotated[
        float, Field(gt=0, le=30 * 86_400, description="How long after the offer a visit or redemption counts as its.")
    ] = 86_400.0

    @model_validator(mode="after")
    def _one_kind_of_target(self) -> Self:
        if self.fences and self.stores:
            raise ValueError("name fences or stores, not both")
        if self.fences and self.trigger.type == "scheduled":
            raise ValueError("a scheduled campaign names stores, because its time is a store's time")
        return self

    @model_validator(mode="after")
    def _price_is_known(self) -> Self:
        for number, creative in enumerate(self.creatives):
            asked = Placeholder.PRICE in holes((creative.title, creative.body))
            if asked and (
                self.offer.value is None or (self.offer.kind != "percentage" and self.offer.currency is None)
            ):
                raise ValueError(f"creatives[{number}] says {{price}}, but the offer has no value in a currency")
        return self

    @model_validator(mode="after")
    def _limits_have_what_they_limit(self) -> Self:
        if self.new_device_stock_share is not None and self.stock is None:
            raise ValueError("new_device_stock_share is a share of stock, and there is none")
        if self.budget is not None and self.offer.cost is None:
            raise ValueError("with a budget, offer.max_cost says what one redemption costs at most")
        if self.budget is not None and self.offer.currency not in {None, self.budget.currency}:
            raise ValueError("the budget is in another currency than the offer")
        if self.brand is None and any(cap.per is CapScope.BRAND for cap in self.caps):
            raise ValueError("a cap per brand needs the campaign's brand")
        return self
