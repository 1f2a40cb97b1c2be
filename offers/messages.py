"""What an offer says: one notification row a channel of the device, and one for its inbox. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from geofences.ids import stable_id
from offers.model import Delivery, NotificationId, NotificationState
from offers.push import ChannelType, Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from offers.catalogue import NamedPlace
    from offers.definition import Creative
    from offers.model import Campaign, Decision, DecisionId, Moment
    from offers.shoppers import Recipient

NOTIFICATION_COLUMNS: Final = (
    "notification_id", "tenant_id", "decision_id", "campaign_id", "device_id", "store_id", "channel_id", "channel",
    "state", "reason", "payload", "created_at", "not_before", "expires_at", "position_received_at",
)  # fmt: skip


def message_id(notification_id: int) -> str:
    """How providers and apps know a notification: 11 base64url characters.

    >>> notification_id_of(message_id(1234567890123)) == 1234567890123
    True
    """
    return base64.urlsafe_b64encode(notification_id.to_bytes(8, "big")).rstrip(b"=").decode()


def notification_id_of(text: str) -> NotificationId:
    """The inverse of `message_id`; ValueError for anything else."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(raw) != 8:  # noqa: PLR2004 - an int64
        raise ValueError("not a message id")
    return NotificationId(int.from_bytes(raw, "big", signed=True))


def choose_creative(creatives: Sequence[Creative], locale: str | None) -> Creative:
    """The text in the reader's language: the same locale, else the same language, else the first."""
    wanted = (locale or "").replace("_", "-").lower()
    for creative in creatives:
        if creative.locale.lower() == wanted:
            return creative
    language = wanted.split("-")[0]
    for creative in creatives:
        if creative.locale.lower().split("-")[0] == language:
            return creative
    return creatives[0]


def notification_rows(
    *,
    campaign: Campaign,
    moment: Moment,
    place: NamedPlace,
    decision_id: DecisionId,
    decision: Decision,
    recipient: Recipient,
) -> list[dict[str, object]]:
    """Rows of `NOTIFICATION_COLUMNS`. In a sandbox they end at once: a replay writes to nobody."""
    payload = msgspec.Raw(msgspec.json.encode(_payload(campaign, place, decision_id, decision.expires_at, recipient)))
    state, reason = (NotificationState.SUPPRESSED, "replay") if recipient.sandbox else (NotificationState.QUEUED, None)
    pushed = recipient.channels if decision.delivery is Delivery.PUSH else ()
    channels: list[tuple[int | None, str]] = [(None, ChannelType.INBOX), *pushed]
    return [
        {
            "notification_id": stable_id(b"notification", decision_id, channel_id or 0),
            "tenant_id": campaign.tenant_id,
            "decision_id": decision_id,
            "campaign_id": campaign.campaign_id,
            "device_id": moment.device_id,
            "store_id": place.store_id,
            "channel_id": channel_id,
            "channel": channel,
            "state": state,
            "reason": reason,
            "payload": payload,
            "created_at": moment.clock,
            "not_before": decision.send_at,
            "expires_at": decision.expires_at,
            "position_received_at": moment.received_at,
        }
        for channel_id, channel in channels
    ]


def _payload(
    campaign: Campaign, place: NamedPlace, decision_id: DecisionId, expires_at: datetime, recipient: Recipient
) -> dict[str, Any]:
    definition = campaign.definition
    creative = choose_creative(definition.creatives, recipient.locale)
    return {
        "title": creative.title.replace("{store}", place.name),
        "body": creative.body.replace("{store}", place.name),
        "data": {
            "campaign_id": str(campaign.campaign_id),
            "decision_id": str(decision_id),
            "store_id": None if place.store_id is None else str(place.store_id),
            "store_name": place.name,
            "offer": definition.offer.model_dump(mode="json", exclude_none=True),
            "expires_at": expires_at.isoformat(),
        },
    }


def to_message(notification_id: int, payload: dict[str, Any], *, expires_at: datetime, created_at: datetime) -> Message:
    return Message(
        message_id=message_id(notification_id),
        title=payload["title"],
        body=payload["body"],
        data=payload["data"],
        expires_at=expires_at,
        created_at=created_at,
    )
