"""A campaign's send rate: each push gets a slot, and no two slots are nearer to each other than the rate allows.

Only whoever holds the campaign's row gives out its slots, so the rate is one for all workers; one that finds the row
held leaves the campaign's pushes to the other and waits for nothing. kill -9 loses the slots of that transaction with
it. What a dead worker left behind goes again in a new slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from geofences.sql import queries
from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import sqlalchemy as sa

MINUTE: Final = timedelta(seconds=60)
GRACE: Final = timedelta(seconds=2)
"""How long a slot holds: workers look for due messages every quarter of a second. One that was missed is lost, so that
a worker that stood still makes up for nothing."""


@dataclass(slots=True, kw_only=True)
class Rate:
    """A campaign's slots, while its row is held."""

    interval: timedelta
    next_at: datetime | None


def interval_of(per_min: int) -> timedelta:
    """Between two slots. A slot may be used up to GRACE late, so in no 60 seconds go more than the rate says.

    >>> interval_of(60)
    datetime.timedelta(seconds=1, microseconds=33333)
    """
    return (MINUTE + GRACE) / per_min


def lock_rates(connection: sa.Connection, *, now: datetime) -> dict[int, Rate]:
    """The limited campaigns with pushes that are due, but for those that another worker holds."""
    rows = connection.execute(queries("offers")["lock_rates"], {"now": now})
    return {row.campaign_id: Rate(interval=interval_of(row.per_min), next_at=row.next_send_at) for row in rows}


def is_paced(row: Any) -> bool:
    """Inbox messages disturb nobody, and a test is one message."""
    return row.channel != ChannelType.INBOX and row.decision_id is not None


def take_slot(rate: Rate, row: Any, *, now: datetime) -> datetime | None:
    """When the message may go: not after `now` if it may go now; None if it ends before its turn."""
    if row.slot_at is not None and row.slot_at <= now < row.slot_at + GRACE:
        return now
    slot = now if rate.next_at is None else max(rate.next_at, now)
    if slot >= row.expires_at:
        return None
    rate.next_at = slot + rate.interval
    return slot


def put_back(connection: sa.Connection, parked: Sequence[tuple[int, datetime]], rates: dict[int, Rate]) -> None:
    """Queues messages again for their slots, and writes how far the slots are given out."""
    if parked:
        named = {"notification_ids": [one for one, _ in parked], "times": [slot for _, slot in parked]}
        connection.execute(queries("offers")["park"], named)
    for campaign_id, rate in sorted(rates.items()):
        if rate.next_at is not None:
            connection.execute(queries("offers")["keep_rate"], {"campaign_id": campaign_id, "at": rate.next_at})
