"""What the installation holds of a device, table by table: an export tells it, `lbs.erasure` makes it go.

A table that could name a device, a person or a place is in one of the two lists here, or a test fails. Rows are told
with all their columns, so that a new column is told too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lbs.sql import block

if TYPE_CHECKING:
    import sqlalchemy as sa

    from geofences.model import DeviceId, TenantId

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "registration": ("geofences.devices",),
    "consents": ("geofences.consents",),
    "user_attributes": ("offers.user_attributes",),
    "channels": ("offers.channels",),
    "last_seen": ("geofences.device_last",),
    "seen_around_stores": ("geofences.traffic_seen",),
    "positions": ("geofences.positions",),
    "visits": ("geofences.visits",),
    "events": ("geofences.events",),
    "occasions": ("offers.occasion_devices",),
    "decisions": ("offers.decisions",),
    "reservations": ("offers.reservations",),
    "notifications": ("offers.notifications",),
    "claims": ("offers.claims", "offers.redemptions"),
    "remembered_answers": ("lbs.remembered_writes",),
}
"""Of each part of an export the tables that it tells, by the block `export_<section>`."""

NOT_TOLD: Final[dict[str, str]] = {
    "geofences.changes": "numbers of what changed, for a day; those of an erased device go at once",
    "geofences.dead_letters": "entries that could not be handled, which no route may read; erased",
    "offers.webhook_events": "which events still wait for a webhook; the events are told; erased",
    "offers.users": "a number to lock by, made from the person's id; erased with the last device",
    "lbs.erasures": "proof that somebody was erased, under a keyed hash",
    "geofences.stores": "places of stores",
    "geofences.fences": "places of fences",
    "geofences.fence_versions": "places of fences",
    "offers.places": "places of stores",
    "lbs.users": "staff",
    "lbs.user_stores": "staff",
    "lbs.invitations": "staff",
    "lbs.sessions": "staff",
    "lbs.audit": "what staff and servers wrote, by numbers; devices are not named",
}
"""Tables that look as if they named somebody, and why they are no part of an export."""

HIDDEN: Final = frozenset({"tenant_id", "device_id", "shard", "seq", "address_hash", "code_hash", "code_sealed"})
"""Of no use to anybody, or for the program's eyes only."""


def export_of(
    connection: sa.Connection, *, tenant_id: TenantId, device_id: DeviceId
) -> dict[str, list[dict[str, Any]]]:
    """All rows of a device by section; ids are text, so that no reader rounds them."""
    who = {"tenant_id": tenant_id, "device_id": device_id}
    return {
        section: [_told(row) for row in connection.execute(block(f"export_{section}"), who).scalars()]
        for section in SECTIONS
    }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(value) if name.endswith("_id") and isinstance(value, int) else value
        for name, value in row.items()
        if name not in HIDDEN
    }
