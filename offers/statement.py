"""What one store redeemed on one of its local days, as a till's bookkeeper reads it: CSV (RFC 4180) with totals."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from geofences.sql import queries
from geofences.zones import day_start
from offers.model import RedemptionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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


def rows_of_day(connection: sa.Connection, *, store_id: StoreId, day: date, zone: ZoneInfo) -> Sequence[Any]:
    """All that was redeemed on the day, with what was cancelled of it since, in the order of redemption."""
    start, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    named = {"store_id": store_id, "start": start, "end": end}
    return connection.execute(queries("offers")["statement"], named).all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What was redeemed in one currency, without what was cancelled since."""

    currency: str
    amount: Decimal
    discount: Decimal


def totals_of(rows: Iterable[Any]) -> list[Total]:
    """A total for each currency of the rows, in order of the currencies' codes."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        if row.state == RedemptionState.REDEEMED and row.currency is not None:
            amount, off = sums.get(row.currency, (Decimal(0), Decimal(0)))
            sums[row.currency] = amount + (row.amount or 0), off + (row.discount or 0)
    return [Total(currency=name, amount=amount, discount=off) for name, (amount, off) in sorted(sums.items())]


def as_csv(rows: Sequence[Any], zone: ZoneInfo) -> str:
    """Rows of the block `statement` with a total a currency. Totals leave out what was cancelled."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
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
    for one in totals_of(rows):
        writer.writerow([TOTAL, "", "", "", "", "", money(one.amount), one.currency, money(one.discount), ""])
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
