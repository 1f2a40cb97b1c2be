"""What a device that was erased leaves behind: when that was, by whom, how many rows went. It names nobody.

A tombstone stands under a keyed hash of the client's own id. Whoever comes with that id is told apart from the one who
left: positions alone bring nobody back, and who registers again begins anew, with nothing that was recorded before.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import sqlalchemy as sa

from geofences.errors import ConflictError
from geofences.store import device_id_for
from geofences.tables import devices
from lbs.errors import ErasedError
from lbs.secrets import derive
from lbs.sql import block

if TYPE_CHECKING:
    from geofences.model import TenantId
    from lbs.settings import Settings


def subject_of(settings: Settings, tenant_id: TenantId, external_id: str) -> bytes:
    """Under what the tombstone of a device stands: without `LBS_SECRET_KEY` nobody can tell of which."""
    return hmac.digest(derive(settings, "erasures"), f"{tenant_id}:{external_id}".encode(), "sha256")


def begin_anew(connection: sa.Connection, *, settings: Settings, tenant_id: TenantId, external_id: str) -> None:
    """Call it after a device was created, in the same transaction: what was recorded before the erasing never counts.

    ConflictError while the erasing goes on: what it has still to remove could not be told from what is new.
    """
    row = _tombstone(connection, settings, tenant_id, external_id)
    if row.unfinished:
        raise ConflictError("the device of this id is being erased: register it again in some seconds")
    if row.erased_at is not None:
        own = devices.c.device_id == device_id_for(tenant_id, external_id)
        connection.execute(sa.update(devices).where(own).values(erased_at=row.erased_at))


def check_not_erased(connection: sa.Connection, *, settings: Settings, tenant_id: TenantId, external_id: str) -> None:
    """Call it after positions alone created a device, in the same transaction; ErasedError."""
    own = devices.c.device_id == device_id_for(tenant_id, external_id)
    if connection.execute(sa.select(devices.c.erased_at).where(own)).scalar() is not None:
        return  # somebody else has registered it at this very moment
    row = _tombstone(connection, settings, tenant_id, external_id)
    if row.unfinished or row.erased_at is not None:
        raise ErasedError("this device was erased: nothing was stored; who wants it back registers it")


def _tombstone(
    connection: sa.Connection, settings: Settings, tenant_id: TenantId, external_id: str
) -> sa.Row[tuple[int, object]]:
    subject = subject_of(settings, tenant_id, external_id)
    return connection.execute(block("tombstone"), {"tenant_id": tenant_id, "subject": subject}).one()
