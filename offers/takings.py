"""What came in at the tills of one store, redemption by redemption: for figures that others publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geofences.sql import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.model import StoreId


@dataclass(frozen=True, slots=True, kw_only=True)
class Takings:
    """Redemptions that were not cancelled, as columns: a store has thousands of them a year."""

    redeemed_us: Sequence[int]
    person: Sequence[int]
    """The same for all devices of a person; of whoever was erased, a number of the claim."""
    currency: Sequence[str | None]
    amount_e4: Sequence[int | None]
    """In ten-thousandths of the currency, exactly; None if the till did not say."""


def takings(connection: sa.Connection, *, store_id: StoreId, start: datetime, end: datetime) -> Takings:
    """Those of [start, end), in no order."""
    named = {"store_id": store_id, "start": start, "end": end}
    return Takings(**connection.execute(queries("offers")["takings"], named).mappings().one())
