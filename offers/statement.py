"""What one store redeemed on one of its local days, as a till's bookkeeper reads it: CSV (RFC 4180) with totals."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from geofences.sql import queries
from geofences.zones import day_start
from offers.model import RedemptionState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from zoneinfo import ZoneInfo

    import sqlalchemy as sa

    from geofences.model import StoreId

COLUMNS: Final = (
    "redeemed_at", "redemption_id", "campaign_id", "campaign", "code_tail", "order_id", "amount", "currency",
    "discount", "state",
)  # fmt: skip
TOTAL: Final = "total"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet would take for the beginning of a formula."""


def statement(connection: sa.Connection, *, store_id: StoreId, day: date, zone: ZoneInfo) -> str:
    """All that was redeemed on the day, with what was cancelled of it since, and a total a currency."""
    start, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    named = {"store_id": store_id, "start": start, "end": end}
    return as_csv(connection.execute(queries("offers")["statement"], named), zone)


def as_csv(rows: Iterable[Any], zone: ZoneInfo) -> str:
    """Rows of the block `statement`. Totals leave out what was cancelled."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    totals: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        writer.writerow(
            [
                row.redeemed_at.astimezone(zone).isoformat(timespec="seconds"),
                row.redemption_id,
                row.campaign_id,
                plain(row.campaign),
                row.code_tail,
                plain(row.order_id or ""),
                money(row.amount),
                row.currency or "",
                money(row.discount),
                row.state,
            ]
        )
        if row.state == RedemptionState.REDEEMED and row.currency is not None:
            amount, off = totals.get(row.currency, (Decimal(0), Decimal(0)))
            totals[row.currency] = amount + (row.amount or 0), off + (row.discount or 0)
    for currency, (amount, off) in sorted(totals.items()):
        writer.writerow([TOTAL, "", "", "", "", "", money(amount), currency, money(off), ""])
    return text.getvalue()


def plain(text: str) -> str:
    """Text that no spreadsheet runs as a formula.

    >>> plain("A-17"), plain("=1+1"), plain("-3")
    ('A-17', "'=1+1", "'-3")
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def money(value: Decimal | None) -> str:
    """Without zeros that say nothing.

    >>> money(Decimal("12.5000")), money(Decimal("100")), money(None)
    ('12.5', '100', '')
    """
    return "" if value is None else f"{value.normalize():f}"
