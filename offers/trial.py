"""Tests: a campaign's message to one device that somebody names, whatever the campaign's state.

No decision brings it: it reserves nothing, counts for no cap, and no window or rate holds it back. It goes the way of
every message, with the consent and the channels of the device asked before it is sent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from geofences.ids import stable_id
from offers.decisions import NEW_NOTIFICATIONS_CHANNEL
from offers.messages import message_id, payload_of
from offers.model import NotificationState
from offers.push import ChannelType
from offers.tables import notifications
from offers.wording import MessageValues

if TYPE_CHECKING:
    from datetime import datetime

    from offers.catalogue import NamedPlace
    from offers.model import Campaign
    from offers.shoppers import Recipient

LASTS: Final = timedelta(minutes=10)
"""Whoever tests looks at the phone now."""
TEST_CODE: Final = "TEST"


def send_test(
    connection: sa.Connection, campaign: Campaign, recipient: Recipient, place: NamedPlace, *, now: datetime
) -> dict[str, str]:
    """Queues the message for the inbox and every channel of the device; answers the channel of each message id."""
    expires_at = now + LASTS
    values = MessageValues(store=place.name, zone=place.place.zone, now=now, code=TEST_CODE, ends_at=expires_at)
    payload = payload_of(
        campaign, place, values, locale=recipient.locale, expires_at=expires_at, decision_id=None, test=True
    )
    state = NotificationState.SUPPRESSED if recipient.sandbox else NotificationState.QUEUED
    sent = {}
    for channel_id, channel in ((None, ChannelType.INBOX), *recipient.channels):
        about = f"{now.isoformat()} {channel_id or 0}"
        notification_id = stable_id(b"test", campaign.campaign_id, recipient.device_id, text=about)
        connection.execute(
            sa.insert(notifications).values(
                notification_id=notification_id,
                tenant_id=campaign.tenant_id,
                campaign_id=campaign.campaign_id,
                device_id=recipient.device_id,
                store_id=place.store_id,
                channel_id=channel_id,
                channel=channel,
                state=state,
                reason="replay" if recipient.sandbox else None,
                payload=msgspec.json.decode(payload),
                created_at=now,
                not_before=now,
                expires_at=expires_at,
            )
        )
        sent[message_id(notification_id)] = channel
    connection.execute(sa.text(f"NOTIFY {NEW_NOTIFICATIONS_CHANNEL}"))
    return sent
