"""Erasing a device: everything that is stored of a person goes, and only numbers stay.

Runs as the system role, because the API's own role may only read the ledger; every statement names tenant and device.
Decisions, reservations and claims stay without their device, so that stock, budgets and reports still add up. A claim
that the person's other devices share goes over to one of them; else nobody can be shown its code again, and a code that
was noted down is good until it ends, for it names nobody. Redemptions name no device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from geofences.errors import NotFoundError
from geofences.store import announce
from geofences.tables import ChangeKind
from lbs.sql import block

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.model import DeviceId, TenantId

STEPS: Final = (
    "notifications",
    "webhook_events",
    "channels",
    "occasion_devices",
    "events",
    "visits",
    "positions",
    "device_last",
    "consents",
    "user_attributes",
    "devices",
)
"""Tables whose rows are deleted, each by the block `erase_<table>`."""
KEPT_WITHOUT_DEVICE: Final = ("decisions", "reservations", "claims")
"""Tables whose rows lose their device, each by the block `unname_<table>`; first, while the person is known."""


def erase_device(eraser: sa.Engine, *, tenant_id: TenantId, device_id: DeviceId, now: datetime) -> dict[str, int]:
    """Deletes all rows of a device in one transaction, and tells every process that remembers it.

    Answers how many rows of each table changed. NotFoundError.
    """
    who = {"tenant_id": tenant_id, "device_id": device_id}
    with eraser.begin() as connection:
        # two at once: the second waits here and then finds nothing
        if connection.execute(block("lock_device"), who).first() is None:
            raise NotFoundError("no such device")
        changed = {table: connection.execute(block(f"unname_{table}"), who).rowcount for table in KEPT_WITHOUT_DEVICE}
        changed |= {table: connection.execute(block(f"erase_{table}"), who).rowcount for table in STEPS}
        announce(connection, tenant_id=tenant_id, kind=ChangeKind.DEVICE, object_ids=[device_id], effective_at=now)
    return changed
