"""What a redemption is put down to: push, then perhaps a visit, then the till; and a campaign's sums of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from geofences.sql import queries
from offers.model import Attribution, ClaimSource, RedemptionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import Any

    import sqlalchemy as sa

    from geofences.model import DeviceId, StoreId
    from offers.model import CampaignId, DecisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class WayToTill:
    """What came between an offer and its redemption."""

    source: ClaimSource
    offered_at: datetime
    notified: bool
    """A message of it reached somebody, as far as its channel tells."""
    visited: bool
    """The shopper was in the store at some time after the offer."""


def attribute(way: WayToTill, *, redeemed_at: datetime, window_s: float) -> Attribution:
    """A push gets what it was sent for and what came within the window after it; the edge belongs to the window."""
    if way.source is ClaimSource.SEARCH:
        return Attribution.SEARCH
    in_time = redeemed_at - way.offered_at <= timedelta(seconds=window_s)
    return Attribution.PUSH if way.notified and in_time else Attribution.NONE


def way_to_till(
    connection: sa.Connection,
    *,
    decision_id: DecisionId,
    source: ClaimSource,
    device_ids: Sequence[DeviceId],
    store_id: StoreId,
    now: datetime,
) -> WayToTill:
    named = {"decision_id": decision_id, "device_ids": list(device_ids), "store_id": store_id, "now": now}
    row = connection.execute(queries("offers")["way_to_till"], named).one()
    return WayToTill(source=source, offered_at=row.offered_at, notified=row.notified, visited=row.visited)


@dataclass(slots=True, kw_only=True)
class Redeemed:
    """What came of a campaign at the tills. What was cancelled is counted apart, and nowhere else."""

    count: int = 0
    amount: dict[str, Decimal] = field(default_factory=dict)
    """Of the orders, by currency."""
    discount: dict[str, Decimal] = field(default_factory=dict)
    attributed_to_push: int = 0
    from_search: int = 0
    visited: int = 0
    cancelled: int = 0
    by_store: dict[StoreId, int] = field(default_factory=dict)


def redeemed(connection: sa.Connection, campaign_id: CampaignId, *, start: datetime, end: datetime) -> Redeemed:
    """Of the redemptions in [start, end)."""
    named = {"campaign_id": campaign_id, "start": start, "end": end}
    return summed(connection.execute(queries("offers")["redemption_counts"], named))


def summed(rows: Iterable[Any]) -> Redeemed:
    """Rows of the block `redemption_counts`."""
    found = Redeemed()
    for row in rows:
        if row.state == RedemptionState.CANCELLED:
            found.cancelled += row.n
            continue
        found.count += row.n
        found.visited += row.visited
        found.attributed_to_push += row.n if row.attributed_to == Attribution.PUSH else 0
        found.from_search += row.n if row.attributed_to == Attribution.SEARCH else 0
        found.by_store[row.store_id] = found.by_store.get(row.store_id, 0) + row.n
        for sums, more in ((found.amount, row.amount), (found.discount, row.discount)):
            if row.currency is not None and more is not None:
                sums[row.currency] = sums.get(row.currency, Decimal(0)) + more
    return found
