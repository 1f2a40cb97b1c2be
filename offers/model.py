"""The words of the offers domain: what a campaign says, what a decision is made of. Pure.

`CampaignDefinition` is at once the request body of the campaign routes, the stored JSON and what `rules` reads: one
shape, checked in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from offers.recurrence import MAX_DURATION, MAX_RULE
from offers.schedule import Schedule, Weekday
from offers.windows import MAX_BLACKOUT_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geofences.model import DeviceId, EventId, FenceId, StoreId, TenantId, VisitId

CampaignId = NewType("CampaignId", int)
DecisionId = NewType("DecisionId", int)
NotificationId = NewType("NotificationId", int)


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


class TriggerType(StrEnum):
    ENTER = "enter"
    DWELL = "dwell"
    EXIT = "exit"
    CROSSED = "crossed"
    SCHEDULED = "scheduled"


class Outcome(StrEnum):
    OFFERED = "offered"
    SUPPRESSED = "suppressed"


class Gate(StrEnum):
    """Every reason an offer may not be made, in the order in which they are asked."""

    CONSENT = "consent"
    REACHABLE = "reachable"
    STALENESS = "staleness"
    CONFIDENCE = "confidence"
    ALREADY_INSIDE = "already_inside"
    WINDOW = "window"
    OPEN = "open"
    CAP = "cap"
    STOCK = "stock"


class ReservationState(StrEnum):
    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"


class ReleaseReason(StrEnum):
    EXPIRED = "expired"
    REFUSED = "refused"
    STOPPED = "stopped"


class NotificationState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"


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


class EventTrigger(Part):
    """A visit's moment that brings the offer."""

    type: Annotated[
        Literal["enter", "dwell", "exit", "crossed"],
        Field(description="`crossed` needs fences that ask for it by `crossed_within_s`."),
    ]
    already_inside: Annotated[
        bool, Field(description="Also for a device whose first position is inside the fence already.")
    ] = True


class ScheduledTrigger(Part):
    """At a local time of each store, for devices inside or seen near it not long ago."""

    type: Literal["scheduled"]
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["11:30"])]
    days: Annotated[list[Weekday], Field(max_length=7)] = []
    radius_m: Annotated[float, Field(gt=0, le=20_000)] = 1_000
    seen_within_s: Annotated[float, Field(gt=0, le=86_400)] = 1_800


Trigger = Annotated[EventTrigger | ScheduledTrigger, Field(discriminator="type")]


class Offer(Part):
    """What the shopper gets."""

    kind: Literal["percentage", "amount", "gift", "other"]
    value: Annotated[float | None, Field(ge=0)] = None
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    min_spend: Annotated[float | None, Field(ge=0)] = None
    terms: Annotated[str | None, Field(max_length=4000)] = None
    image_url: HttpUrl | None = None
    deep_link: Annotated[str | None, Field(max_length=2000)] = None
    valid_after_claim_s: Annotated[float | None, Field(gt=0)] = None

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        if self.kind in {"percentage", "amount"} and self.value is None:
            raise ValueError(f"a {self.kind} offer needs a value")
        if self.kind == "percentage" and self.value is not None and self.value > 100:  # noqa: PLR2004 - per cent
            raise ValueError("a percentage is at most 100")
        if self.kind == "amount" and self.currency is None:
            raise ValueError("an amount offer needs a currency")
        return self


class Creative(Part):
    """What the message says in one language; `{store}` stands for the store's name."""

    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    body: Annotated[str, Field(max_length=1000)] = ""


class Cap(Part):
    """At most `count` offers of this campaign to one device, ever or in any `window_s` seconds."""

    per: Literal["device"] = "device"
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    window_s: Annotated[float | None, Field(gt=0, le=366 * 86_400)] = None


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
    caps: Annotated[list[Cap], Field(max_length=1)] = [Cap(count=1, window_s=86_400)]
    stock: Annotated[int | None, Field(ge=0, le=2_000_000_000)] = None
    reservation_ttl_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3_600
    staleness_s: Annotated[float, Field(gt=0, le=86_400)] = 900
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _one_kind_of_target(self) -> Self:
        if self.fences and self.stores:
            raise ValueError("name fences or stores, not both")
        if self.fences and self.trigger.type == "scheduled":
            raise ValueError("a scheduled campaign names stores, because its time is a store's time")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A stored campaign with its targets resolved to internal ids."""

    campaign_id: CampaignId
    tenant_id: TenantId
    status: CampaignStatus
    version: int
    definition: CampaignDefinition
    schedule: Schedule
    fence_ids: frozenset[FenceId]
    store_ids: frozenset[StoreId]
    stock: int | None

    @property
    def targets_everything(self) -> bool:
        return not self.fence_ids and not self.store_ids

    def wants(self, *, fence_id: FenceId, store_id: StoreId | None) -> bool:
        return self.targets_everything or fence_id in self.fence_ids or store_id in self.store_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What happened, to whom and where: the question a decision answers."""

    trigger: TriggerType
    at: datetime
    """When it happened at the shop."""
    clock: datetime
    """The log's clock when it became known: a decision knows no other."""
    device_id: DeviceId
    store_id: StoreId | None
    confidence: float
    already_inside: bool
    event_id: EventId | None = None
    root_visit_id: VisitId | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    gate: Gate
    passed: bool
    value: Any
    threshold: Any

    def to_json(self) -> Mapping[str, Any]:
        return {"gate": self.gate, "passed": self.passed, "value": self.value, "threshold": self.threshold}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An answer with all its reasons: every gate asked, up to the first that failed."""

    outcome: Outcome
    reason: Gate | None
    gates: tuple[GateResult, ...]
    expires_at: datetime
    """When the offer, its reservation and its messages end."""
