"""The words of the offers domain: a stored campaign, its states, and what a decision is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType

import msgspec

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from geofences.model import DeviceId, EventId, FenceId, StoreId, TenantId, VisitId
    from offers.definition import CampaignDefinition
    from offers.schedule import Schedule

CampaignId = NewType("CampaignId", int)
DecisionId = NewType("DecisionId", int)
NotificationId = NewType("NotificationId", int)
ClaimId = NewType("ClaimId", int)
RedemptionId = NewType("RedemptionId", int)


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"


class TriggerType(StrEnum):
    ENTER = "enter"
    ALREADY_INSIDE = "already_inside"
    DWELL = "dwell"
    EXIT = "exit"
    CROSSED = "crossed"
    SCHEDULED = "scheduled"


class Outcome(StrEnum):
    OFFERED = "offered"
    HELD_OUT = "held_out"
    SUPPRESSED = "suppressed"


class Delivery(StrEnum):
    """How an offer reaches the shopper: by every channel, or only where the app looks for it."""

    PUSH = "push"
    INBOX = "inbox"


class Gate(StrEnum):
    """Every reason an offer may not be made, in the order in which they are asked."""

    CONSENT = "consent"
    REACHABLE = "reachable"
    STALENESS = "staleness"
    CONFIDENCE = "confidence"
    ALREADY_INSIDE = "already_inside"
    DWELL = "dwell"
    AUDIENCE = "audience"
    WINDOW = "window"
    OPEN = "open"
    QUIET_HOURS = "quiet_hours"
    STACKING = "stacking"
    COOL_DOWN = "cool_down"
    CAP = "cap"
    HOLDOUT = "holdout"
    STOCK = "stock"
    BUDGET = "budget"


class ReservationState(StrEnum):
    """held -> confirmed (redeemed) | released. A ghost holds nothing: it counts for caps and the cool-down."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    GHOST = "ghost"


class ReleaseReason(StrEnum):
    EXPIRED = "expired"
    REFUSED = "refused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


class ClaimState(StrEnum):
    """claimed -> redeemed -> cancelled, or claimed -> expired. One that ran out says so once somebody looks."""

    CLAIMED = "claimed"
    REDEEMED = "redeemed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ClaimSource(StrEnum):
    """How the shopper came by the offer."""

    PUSH = "push"
    SEARCH = "search"


class RedemptionState(StrEnum):
    REDEEMED = "redeemed"
    CANCELLED = "cancelled"


class Attribution(StrEnum):
    """What a redemption is put down to."""

    PUSH = "push"
    SEARCH = "search"
    NONE = "none"


class Refusal(StrEnum):
    """Why an offer cannot be claimed or a code not be used: a claim may also be refused with the word of a `Gate`."""

    NOT_LIVE = "not_live"
    WRONG_STORE = "wrong_store"
    ALREADY_REDEEMED = "already_redeemed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word of the interface
    OTHER_ORDER = "other_order"
    NOT_NOW = "not_now"
    AMOUNT_NEEDED = "amount_needed"
    MIN_SPEND = "min_spend"
    CURRENCY = "currency"
    PRESENCE_UNKNOWN = "presence_unknown"
    TOO_FAR = "too_far"
    TOO_LATE = "too_late"


class NotificationState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    FAILED = "failed"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"


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
    holdout_salt: bytes

    @property
    def targets_everything(self) -> bool:
        return not self.fence_ids and not self.store_ids

    def wants(self, *, fence_id: FenceId, store_id: StoreId | None) -> bool:
        return self.targets_everything or fence_id in self.fence_ids or store_id in self.store_ids


class Moment(msgspec.Struct, frozen=True, kw_only=True):
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
    dwell_s: float = 0.0
    """How long the visit had lasted."""
    received_at: datetime | None = None


class GateResult(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    gate: Gate
    passed: bool
    value: Any
    threshold: Any


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with all its reasons: every gate asked, up to the first that failed."""

    outcome: Outcome
    reason: Gate | None
    gates: tuple[GateResult, ...]
    delivery: Delivery
    send_at: datetime
    """When its messages may go: after quiet hours."""
    expires_at: datetime
    """When the offer, its reservation and its messages end."""
    cost: Decimal | None
    """What it holds of the campaign's budget; None without one."""
