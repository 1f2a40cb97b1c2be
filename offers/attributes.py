"""What a tenant's server says of people and devices, for audiences. It counts before what an app says.

Values are merged by name, and null takes one away. What is said of a person holds for all their devices that a server
vouches for, those that come later as well.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.store import announce, device_id_for
from geofences.tables import ChangeKind, devices
from offers.tables import user_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from geofences.model import TenantId
    from geofences.store import Device

MOST: Final = 200
"""Attributes of one person or device."""


class Merged(StrEnum):
    """What became of one row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"
    """There is no such device."""
    TOO_MANY = "too_many"


def attributes_of_user(connection: sa.Connection, device: Device) -> dict[str, Any]:
    """What is said of the person whose device a server says this is."""
    if device.external_user_id is None or not device.user_vouched:
        return {}
    mine = sa.and_(
        user_attributes.c.tenant_id == device.tenant_id,
        user_attributes.c.external_user_id == device.external_user_id,
    )
    found = connection.execute(sa.select(user_attributes.c.attributes).where(mine)).scalar()
    return dict(found or {})


def merge_users(
    connection: sa.Connection, *, tenant_id: TenantId, rows: Mapping[str, Mapping[str, Any]], now: datetime
) -> dict[str, Merged]:
    """Merges attributes into those of people, by external user id. Rows are locked in id order."""
    table = user_attributes.c
    known = {
        row.external_user_id: row.attributes
        for row in connection.execute(
            sa.select(table.external_user_id, table.attributes)
            .where(table.tenant_id == tenant_id, table.external_user_id.in_(list(rows)))
            .order_by(table.external_user_id)
            .with_for_update()
        )
    }
    done = {}
    changed = []
    for user, said in sorted(rows.items()):
        merged, done[user] = _merge(known.get(user), said)
        if done[user] in {Merged.CREATED, Merged.UPDATED}:
            changed.append({"tenant_id": tenant_id, "external_user_id": user, "attributes": merged, "updated_at": now})
    if changed:
        statement = insert(user_attributes)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "external_user_id"],
                set_={name: statement.excluded[name] for name in ("attributes", "updated_at")},
            ),
            changed,
        )
    return done


def merge_devices(
    connection: sa.Connection, *, tenant_id: TenantId, rows: Mapping[str, Mapping[str, Any]], now: datetime
) -> dict[str, Merged]:
    """Merges attributes into what servers say of devices that exist, by their own ids."""
    ids = {device_id_for(tenant_id, external_id): external_id for external_id in rows}
    table = devices.c
    known = {
        row.external_id: row.vouched_attributes
        for row in connection.execute(
            sa.select(table.external_id, table.vouched_attributes)
            .where(table.tenant_id == tenant_id, table.device_id.in_(list(ids)))
            .order_by(table.device_id)
            .with_for_update()
        )
    }
    done = {}
    touched = []
    for device_id, external_id in sorted(ids.items()):
        if external_id not in known:
            done[external_id] = Merged.UNKNOWN
            continue
        merged, outcome = _merge(known[external_id], rows[external_id])
        done[external_id] = outcome
        if outcome is Merged.UPDATED:
            touched.append(device_id)
            connection.execute(
                sa.update(devices)
                .where(table.device_id == device_id)
                .values(vouched_attributes=merged, vouched_at=now, updated_at=now)
            )
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.DEVICE, object_ids=touched, effective_at=now)
    return done


def _merge(before: Mapping[str, Any] | None, said: Mapping[str, Any]) -> tuple[dict[str, Any], Merged]:
    merged = {name: value for name, value in {**(before or {}), **said}.items() if value is not None}
    if len(merged) > MOST:
        return merged, Merged.TOO_MANY
    if before is None:
        return merged, Merged.CREATED
    # true is not 1, though Python has them equal
    same = merged.keys() == before.keys() and all(
        type(merged[name]) is type(before[name]) and merged[name] == before[name] for name in merged
    )
    return merged, Merged.UNCHANGED if same else Merged.UPDATED
