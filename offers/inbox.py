"""The in-app inbox: what a device can read, and what a stream of it sends next. Reads only; `outbox` fills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geofences.sql import queries
from offers.messages import message_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.model import DeviceId

NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxItem:
    """One message in an inbox; `seq` grows in the order of arrival and is what a stream resumes from."""

    notification_id: int
    device_id: int
    seq: int
    title: str
    body: str
    data: dict[str, Any]
    delivered: bool
    opened: bool
    created_at: datetime
    expires_at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "message_id": message_id(self.notification_id),
            "title": self.title,
            "body": self.body,
            "data": self.data,
            "opened": self.opened,
            "created_at": self.created_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
        }


def read_inbox(
    connection: sa.Connection, device_id: DeviceId, *, before: int = NEWEST, limit: int, now: datetime
) -> list[InboxItem]:
    """Newest first, those with a seq below `before`."""
    rows = connection.execute(
        queries("offers")["inbox"], {"device_id": device_id, "before": before, "limit": limit, "now": now}
    )
    return [_item(row, device_id) for row in rows]


def arrived_after(
    connection: sa.Connection, device_ids: Sequence[DeviceId], *, after: int, now: datetime
) -> list[InboxItem]:
    """Oldest first, of several devices at once: one query serves all streams of a process."""
    rows = connection.execute(
        queries("offers")["inbox_after"], {"device_ids": list(device_ids), "after": after, "now": now}
    )
    return [_item(row, row.device_id) for row in rows]


def _item(row: Any, device_id: int) -> InboxItem:
    return InboxItem(
        notification_id=row.notification_id,
        device_id=device_id,
        seq=row.inbox_seq,
        title=row.payload["title"],
        body=row.payload["body"],
        data=row.payload["data"],
        delivered=row.delivered_at is not None,
        opened=row.opened_at is not None,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
