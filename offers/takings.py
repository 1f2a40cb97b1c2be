"""What came in at the tills of one store, redemption by redemption: for figures that others publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geofences.sql import queries

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    import sqlalchemy as sa

    from geofences.model import StoreId


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """One redemption that was not cancelled."""

    redeemed_us: int
    person: int
    """The same for all devices of a person; of whoever was erased, a number of the claim."""
    currency: str | None
    amount: Decimal | None


def takings(connection: sa.Connection, *, store_id: StoreId, start: datetime, end: datetime) -> list[Taking]:
    """Those of [start, end), in order."""
    named = {"store_id": store_id, "start": start, "end": end}
    rows = connection.execute(queries("offers")["takings"], named).mappings()
    return [Taking(**row) for row in rows]
