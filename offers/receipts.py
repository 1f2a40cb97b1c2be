"""Receipts: what the app saw happen to a message, each event with the first time it is told of.

An event implies those before it: what was opened or dismissed had been displayed, and what was displayed, delivered.
Times are the least that receipts tell, so a message ends up the same in whatever order they come and however often.
A receipt is believed before a provider is: it ends repeats, and what a worker learns later changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from geofences.sql import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.model import DeviceId
    from offers.model import NotificationId


class ReceiptKind(StrEnum):
    """What the app saw happen to a message."""

    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    OPENED = "opened"
    DISMISSED = "dismissed"


IMPLIED: Final[Mapping[ReceiptKind, tuple[ReceiptKind, ...]]] = {
    ReceiptKind.DELIVERED: (),
    ReceiptKind.DISPLAYED: (ReceiptKind.DELIVERED,),
    ReceiptKind.OPENED: (ReceiptKind.DELIVERED, ReceiptKind.DISPLAYED),
    ReceiptKind.DISMISSED: (ReceiptKind.DELIVERED, ReceiptKind.DISPLAYED),
}
"""What must have happened before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    notification_id: NotificationId
    event: ReceiptKind
    at: datetime | None = None
    """The phone's word; None: now."""


@dataclass(slots=True, kw_only=True)
class Told:
    """What is known of one message."""

    earliest: datetime
    """When it was sent, or written if nobody knows of that yet: nothing can have happened to it before."""
    times: dict[ReceiptKind, datetime]
    changed: bool = False

    def hear(self, event: ReceiptKind, at: datetime) -> bool:
        """Whether that was news."""
        happened_at = max(at, self.earliest)
        news = event not in self.times or happened_at < self.times[event]
        for one in (event, *IMPLIED[event]):
            self.times[one] = min(happened_at, self.times.get(one, happened_at))
        self.changed |= news
        return news


def record(connection: sa.Connection, *, device_id: DeviceId, receipts: Sequence[Receipt], now: datetime) -> list[bool]:
    """Of each receipt whether it told something new, in the caller's transaction.

    A message that is not the device's, or was not sent, is nothing new.
    """
    named = {"device_id": device_id, "notification_ids": sorted({receipt.notification_id for receipt in receipts})}
    known = {row.notification_id: _told(row) for row in connection.execute(queries("offers")["lock_told"], named)}
    news = [
        receipt.notification_id in known
        and known[receipt.notification_id].hear(receipt.event, min(receipt.at or now, now))
        for receipt in receipts
    ]
    changed = {number: told for number, told in known.items() if told.changed}
    if changed:
        times = {kind.value: [told.times.get(kind) for told in changed.values()] for kind in ReceiptKind}
        connection.execute(queries("offers")["put_told"], {"notification_ids": list(changed), **times})
    return news


def mark_delivered(
    connection: sa.Connection, *, device_id: DeviceId, notification_ids: Iterable[NotificationId], now: datetime
) -> None:
    """The device has read these itself."""
    receipts = [Receipt(notification_id=number, event=ReceiptKind.DELIVERED) for number in notification_ids]
    if receipts:
        record(connection, device_id=device_id, receipts=receipts, now=now)


def _told(row: sa.Row[tuple[object, ...]]) -> Told:
    times = {kind: getattr(row, f"{kind}_at") for kind in ReceiptKind}
    return Told(earliest=row.earliest, times={kind: at for kind, at in times.items() if at is not None})
