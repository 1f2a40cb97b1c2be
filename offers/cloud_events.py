"""Events out as CloudEvents 1.0: what kinds there are, what a subscription may name, and the body of each. Pure.

A body says where and when a device was by the names of fences and stores, never by a coordinate. The same event always
has the same id: it follows from the row that the event is about.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from geofences.model import EventType
from offers.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

CONTENT_TYPE: Final = "application/cloudevents+json"
TYPE_PREFIX: Final = "com.lbs."
"""CloudEvents asks for the reverse name of whoever says what the types mean: this program, on any installation."""
VERIFIED: Final = "redemption.verified"
CANCELLED: Final = "redemption.cancelled"
TEST: Final = "webhook.test"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

NAMES: Final = (*EventType, *(f"decision.{outcome}" for outcome in Outcome), VERIFIED, CANCELLED)
"""Every kind of event that happens by itself."""
PATTERNS: Final = (*NAMES, "visit.*", "decision.*", "redemption.*")
"""What a subscription may name: an event, or a whole group; also those of a group that a later version adds."""


def kind_of(name: str) -> str:
    """The group of an event's name.

    >>> kind_of("visit.entered")
    'visit'
    """
    return name.partition(".")[0]


def message_id(name: str, ref_id: int) -> str:
    """The id of an event, as CloudEvents `id` and as `webhook-id`; the specification forbids full stops in the latter.

    >>> message_id("visit.entered", 12), message_id("decision.offered", 12), message_id("redemption.cancelled", 12)
    ('event-12', 'decision-12', 'redemption-12-cancelled')
    """
    match kind_of(name):
        case "visit":
            return f"event-{ref_id}"
        case "redemption":
            return f"redemption-{ref_id}-{name.partition('.')[2]}"
        case kind:
            return f"{kind}-{ref_id}"


def encode(
    name: str, ref_id: int, *, source: str, subject: str, at: datetime, data: Mapping[str, Any]
) -> tuple[str, bytes]:
    """The id of an event and its body, in CloudEvents' structured mode. `at` (aware) is when it happened."""
    id_ = message_id(name, ref_id)
    body = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": TYPE_PREFIX + name,
        "subject": subject,
        "time": at,
        "datacontenttype": "application/json",
        "data": data,
    }
    return id_, msgspec.json.encode(body)


def visit_data(row: Any) -> dict[str, Any]:
    return {
        **_whose(row),
        "visit_id": str(row.visit_id),
        "root_visit_id": str(row.root_visit_id),
        "fence_id": str(row.fence_id),
        "fence_external_id": row.fence_external_id,
        **_where(row),
        "at": row.at,
        "known_at": row.known_at,
        "confidence": row.confidence,
        "already_inside": row.already_inside,
        "correction": _correction(row.detail),
    }


def decision_data(row: Any) -> dict[str, Any]:
    return {
        **_whose(row),
        "decision_id": str(row.decision_id),
        "outcome": row.outcome,
        "reason": row.reason,
        "campaign_id": str(row.campaign_id),
        "campaign_version": row.campaign_version,
        **_where(row),
        "trigger": row.trigger_type,
        # as the event's own id says it
        "event_id": None if row.event_id is None else message_id(EventType.ENTERED, row.event_id),
        "root_visit_id": _text(row.root_visit_id),
        "delivery": row.delivery,
        "event_at": row.event_at,
        "decided_at": row.decided_at,
    }


def redemption_data(row: Any, *, cancelled: bool) -> dict[str, Any]:
    """What was redeemed; that it was cancelled later is told by the later event alone."""
    return {
        **_whose(row),
        "redemption_id": str(row.redemption_id),
        "claim_id": str(row.claim_id),
        "campaign_id": str(row.campaign_id),
        "decision_id": str(row.decision_id),
        **_where(row),
        "order_id": row.order_id,
        "amount": _money(row.amount),
        "currency": row.currency,
        "discount": _money(row.discount),
        "attributed_to": row.attributed_to,
        "redeemed_at": row.redeemed_at,
        **({"cancelled_at": row.cancelled_at, "cancel_reason": row.cancel_reason} if cancelled else {}),
    }


def _whose(row: Any) -> dict[str, Any]:
    """The client's own texts; null once the device is erased."""
    return {"device_id": row.device_external_id, "external_user_id": row.external_user_id}


def _where(row: Any) -> dict[str, Any]:
    return {"store_id": _text(row.store_id), "store_external_id": row.store_external_id}


def _correction(detail: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Why something is told again, with what was told before and what is true; times as people read them.

    >>> _correction({"because": "late_position", "recorded_us": 0, "was": {"exited_us": None}})
    {'because': 'late_position', 'recorded_at': '1970-01-01T00:00:00+00:00', 'was': {'exited_at': None}}
    """
    return None if detail is None else dict(_in_words(name, value) for name, value in detail.items())


def _in_words(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_us"):
        at = None if value is None else (_EPOCH + timedelta(microseconds=value)).isoformat()
        return name.removesuffix("_us") + "_at", at
    return name, _correction(value) if isinstance(value, dict) else value


def _money(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
