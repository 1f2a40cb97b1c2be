"""Messages that failed for good, and sending them once more by command, while their offers last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from geofences.sql import queries
from offers.decisions import NEW_NOTIFICATIONS_CHANNEL

if TYPE_CHECKING:
    from datetime import datetime

    from geofences.model import TenantId
    from offers.model import CampaignId
    from offers.push import ChannelType


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Of which tenant's dead letters is spoken; None: of any."""

    tenant_id: TenantId
    campaign_id: CampaignId | None = None
    channel: ChannelType | None = None
    reason: str | None = None

    def named(self) -> dict[str, object]:
        return {
            "tenant_id": self.tenant_id,
            "campaign_id": self.campaign_id,
            "channel": self.channel,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """How many messages failed for one reason, and how many of them could be sent again now."""

    campaign_id: CampaignId
    channel: str
    reason: str
    messages: int
    replayable: int
    last_at: datetime


def dead_letters(connection: sa.Connection, which: Which, *, now: datetime) -> list[DeadLetters]:
    """By campaign, channel and reason.

    One can be sent again while its offer lasts, its reservation is held and its address is not known to be dead.
    """
    rows = connection.execute(queries("offers")["dead_letters"], which.named() | {"now": now})
    return [DeadLetters(**row) for row in rows.mappings()]


def replay(connection: sa.Connection, which: Which, *, now: datetime) -> int:
    """Queues again those that can be sent, with the ids that they had; answers how many."""
    again = connection.execute(queries("offers")["replay_dead_letters"], which.named() | {"now": now}).rowcount
    if again:
        connection.execute(sa.text(f"NOTIFY {NEW_NOTIFICATIONS_CHANNEL}"))
    return again
