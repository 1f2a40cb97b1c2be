"""Reservations: what a decision holds of a campaign's stock, and when it goes back.

A reservation is made in the transaction that writes its decision. It changes state by compare-and-set together with the
campaign's counter, so a kill between two statements leaves both or neither. held -> confirmed | released.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from geofences.sql import queries
from offers.model import ReservationState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.model import DeviceId, TenantId
    from offers.model import CampaignId, DecisionId

    ReservationRow = tuple[DecisionId, TenantId, CampaignId, DeviceId, datetime, datetime]


def lock_stock(connection: sa.Connection, campaign_ids: Sequence[CampaignId]) -> dict[CampaignId, int]:
    """What is left of each campaign that has a limit, locked until the transaction ends."""
    rows = connection.execute(queries("offers")["lock_stock"], {"campaign_ids": sorted(campaign_ids)})
    return {row.campaign_id: row.left for row in rows}


def reserve(connection: sa.Connection, rows: Sequence[ReservationRow], *, limited: Mapping[CampaignId, int]) -> None:
    """Holds one unit for each row: (decision, tenant, campaign, device, created_at, expires_at)."""
    if not rows:
        return
    execute_values(
        connection.connection.cursor(),
        "INSERT INTO offers.reservations"
        " (decision_id, tenant_id, campaign_id, device_id, created_at, expires_at, state) VALUES %s",
        rows,
        template=f"(%s, %s, %s, %s, %s, %s, '{ReservationState.HELD}')",
        page_size=1000,
    )
    for campaign_id, n in sorted(Counter(row[2] for row in rows if row[2] in limited).items()):
        connection.execute(queries("offers")["take_stock"], {"campaign_id": campaign_id, "n": n})


def release_refused(connection: sa.Connection, decision_ids: Sequence[int], *, now: datetime) -> None:
    """Gives back what was held for offers that definitely reached nobody."""
    if decision_ids:
        connection.execute(queries("offers")["release_refused"], {"decision_ids": list(decision_ids), "now": now})


def release_expired(connection: sa.Connection, *, now: datetime) -> int:
    """Gives back what was held too long; answers how many."""
    return int(connection.execute(queries("offers")["release_expired"], {"now": now}).scalar_one())
