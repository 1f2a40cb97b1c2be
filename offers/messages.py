"""What an offer says: one notification row a channel of the device, and one for its inbox. Pure."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from geofences.geo import geodesic_distance_m
from geofences.ids import stable_id
from offers.model import Delivery, NotificationId, NotificationState
from offers.push import ChannelType, Message
from offers.wording import MessageValues, say

if TYPE_CHECKING:
    from datetime import datetime

    from geofences.model import LatLng
    from offers.catalogue import NamedPlace
    from offers.definition import Offer
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


def away_m(position: LatLng, place: LatLng) -> float:
    """The geodesic between two places."""
    there = np.array([position.lat]), np.array([position.lng])
    return float(geodesic_distance_m(*there, np.array([place.lat]), np.array([place.lng]))[0])


def notification_rows(
    *,
    campaign: Campaign,
    moment: Moment,
    place: NamedPlace,
    decision_id: DecisionId,
    decision: Decision,
    recipient: Recipient,
    position: LatLng | None = None,
    code: str | None = None,
) -> list[dict[str, object]]:
    """Rows of `NOTIFICATION_COLUMNS`. In a sandbox they end at once: a replay writes to nobody.

    `position` is where the device was, for `{distance}`; `code` is of a claim made with the decision, for `{code}`.
    """
    values = MessageValues(
        store=place.name,
        zone=place.place.zone,
        now=moment.clock,
        distance_m=None if position is None else away_m(position, place.location),
        code=code,
        ends_at=decision.expires_at,
    )
    data = {"decision_id": str(decision_id)}
    payload = payload_of(campaign, place, values, locale=recipient.locale, expires_at=decision.expires_at, **data)
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
            "payload": msgspec.Raw(payload.encode()),
            "created_at": moment.clock,
            "not_before": decision.send_at,
            "expires_at": decision.expires_at,
            "position_received_at": moment.received_at,
        }
        for channel_id, channel in channels
    ]


def payload_of(
    campaign: Campaign,
    place: NamedPlace,
    values: MessageValues,
    *,
    locale: str | None,
    expires_at: datetime,
    **more: Any,
) -> str:
    """What a message says, as it is stored; `more` goes into its data."""
    definition = campaign.definition
    text = say(definition, locale, values)
    data = {
        "campaign_id": str(campaign.campaign_id),
        "store_id": None if place.store_id is None else str(place.store_id),
        "store_name": place.name,
        "offer": _as_json(definition.offer),
        "expires_at": expires_at.isoformat(),
    }
    return msgspec.json.encode({"title": text.title, "body": text.body, "data": data | more}).decode()


@lru_cache(maxsize=1_000)
def _as_json(offer: Offer) -> msgspec.Raw:
    """The same in thousands of messages."""
    return msgspec.Raw(msgspec.json.encode(offer.model_dump(mode="json", exclude_none=True)))


def to_message(notification_id: int, payload: dict[str, Any], *, expires_at: datetime, created_at: datetime) -> Message:
    return Message(
        message_id=message_id(notification_id),
        title=payload["title"],
        body=payload["body"],
        data=payload["data"],
        expires_at=expires_at,
        created_at=created_at,
    )
