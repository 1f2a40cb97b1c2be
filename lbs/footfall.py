"""Foot traffic together with what came in at the tills, which `geofences` does not know; as rows and as files."""

from __future__ import annotations

import csv
import importlib
import io
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geofences import traffic
from geofences.periods import calendar, day_after
from geofences.withholding import counted, rate
from offers.takings import takings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

    import sqlalchemy as sa

    from geofences.model import Bools, Int64s
    from geofences.periods import Grain
    from geofences.traffic import Place, Rules, Told

FIGURES: Final = (
    "visits", "visitors", "new_visitors", "returning_visitors", "median_dwell_s", "p90_dwell_s", "passers_by",
    "capture_rate", "redemptions", "conversion",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One period at one store."""

    told: Told
    redemptions: int | None = None
    revenue: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def conversion(self) -> float | None:
        return rate(self.redemptions, self.told.visitors)

    def figure(self, name: str) -> Any:
        return getattr(self, name) if name in {"redemptions", "conversion"} else getattr(self.told, name)


def series(
    connection: sa.Connection, place: Place, grain: Grain, first: date, last: date, *, rules: Rules
) -> list[Row]:
    """As `geofences.traffic.series`, with the redemptions."""
    found = traffic.series(connection, place, grain, first, last, rules=rules)
    begin, end = found[0].period, found[-1].period
    sold = takings(connection, store_id=place.store_id, start=begin.starts_at, end=end.ends_at)
    if not sold.redeemed_us:
        return [Row(told=one) for one in found]
    days = calendar(begin.first_day, day_after(grain, end.first_day), place.zone)
    hour = days.hour_numbers(np.array(sold.redeemed_us, dtype=np.int64))
    who = np.unique(sold.person, return_inverse=True)[1].astype(np.int64)
    starts = [period.starts_at for period in days.periods(grain)]

    def in_sums(own: Bools) -> Int64s:
        """Which of these redemptions count in a period, as places in the columns."""
        return np.flatnonzero(own)[counted(hour[own], who[own], days, k=rules.k).of(grain)]

    period = days.numbers(grain)[hour]
    counts = np.bincount(period[in_sums(np.ones(len(who), dtype=np.bool_))], minlength=len(starts))
    redeemed = dict(zip(starts, counts.tolist(), strict=True))
    revenue: dict[datetime, dict[str, Decimal]] = defaultdict(dict)
    currency = np.array([None if e4 is None else one for one, e4 in zip(sold.currency, sold.amount_e4, strict=True)])
    # money of each currency stands for itself: of six orders one may have been paid in another
    for one in sorted({name for name in currency.tolist() if name is not None}):
        sums: dict[int, int] = defaultdict(int)
        for place_in in in_sums(currency == one).tolist():
            sums[period[place_in]] += sold.amount_e4[place_in] or 0
        for number, amount_e4 in sums.items():
            revenue[starts[number]][one] = Decimal(amount_e4).scaleb(-4)
    return [
        Row(
            told=one,
            redemptions=redeemed.get(one.period.starts_at) or None,
            revenue=revenue.get(one.period.starts_at, {}),
        )
        for one in found
    ]


def table(rows: Sequence[Row], place: Place) -> list[dict[str, Any]]:
    """Flat rows in the store's time; each currency that occurs has a column `revenue.EUR`."""
    currencies = sorted({currency for row in rows for currency in row.revenue})
    return [
        {
            "starts_at": row.told.period.starts_at.astimezone(place.zone),
            "ends_at": row.told.period.ends_at.astimezone(place.zone),
            **{name: row.figure(name) for name in FIGURES},
            **{f"revenue.{currency}": row.revenue.get(currency) for currency in currencies},
        }
        for row in rows
    ]


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """A figure that is withheld is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return money(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def as_parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], zone_name: str) -> bytes:
    """A figure that is withheld is null."""
    # pyarrow takes half a second to load, and everything else does without it
    pa: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    sink = io.BytesIO()
    types = [(name, _parquet_type(pa, name, zone_name)) for name in columns]
    values = [{name: row[name] for name in columns} for row in rows]
    parquet.write_table(pa.Table.from_pylist(values, schema=pa.schema(types)), sink)
    return sink.getvalue()


def _parquet_type(pa: Any, name: str, zone_name: str) -> Any:
    if name.endswith("_at"):
        return pa.timestamp("us", tz=zone_name)
    if name.startswith("revenue."):
        return pa.decimal128(38, 4)
    return pa.float64() if name.endswith(("_s", "_rate", "conversion")) else pa.int64()


def money(value: Decimal) -> str:
    return f"{value.normalize():f}"
