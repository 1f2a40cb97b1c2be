"""Foot traffic as the API and the command line answer it. Null: withheld (`geofences.withholding`)."""

from __future__ import annotations

from datetime import date as LocalDate  # noqa: N812 - a field is called date
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, Field

from geofences.periods import Grain
from geofences.rolling import MIN_VISIT_S
from lbs import footfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geofences.traffic import Place
    from lbs.footfall import Row

Longer = Literal["day", "week", "month"]


class Hour(BaseModel):
    """One local hour of the store. The figures are null where fewer than k devices came."""

    starts_at: datetime = Field(description="In the store's zone, with its offset.")
    visits: int | None
    visitors: int | None
    median_dwell_s: float | None


class HourlyTraffic(BaseModel):
    store_id: str
    k: int = Field(description="No figure rests on fewer devices.")
    min_visit_s: float = Field(description="Shorter visits do not count.")
    as_of: datetime = Field(description="What was written by then is in the figures.")
    items: list[Hour]


class Revenue(BaseModel):
    currency: str
    amount: str = Field(description="Exact.", examples=["120.5"])


class Figures(BaseModel):
    """One period at one store. A figure is null where it would rest on fewer than k devices, or on nobody."""

    starts_at: datetime = Field(description="In the store's zone, with its offset.")
    ends_at: datetime
    visits: int | None = Field(
        description="Of at least `min_visit_s`, by when they began. Rounded down to a multiple of k until late"
        " positions can no longer change them. Sums leave out what rests on fewer than k devices altogether."
    )
    visitors: int | None = Field(description="Devices, rounded down to a multiple of k.")
    new_visitors: int | None = Field(description="Not seen at the store on an earlier local day.")
    returning_visitors: int | None
    median_dwell_s: float | None = Field(description="Where k devices stayed at least, and at most, as long.")
    p90_dwell_s: float | None
    passers_by: int | None = Field(
        description="Devices that only crossed the fence or stayed for less than `min_visit_s`, and did not come in."
    )
    capture_rate: float | None = Field(description="visitors / (visitors + passers_by).")
    redemptions: int | None = Field(description="Codes used at the store's tills and not taken back since.")
    revenue: list[Revenue] = Field(description="What their orders came to; currencies that are withheld are not there.")
    conversion: float | None = Field(description="redemptions / visitors.")

    @classmethod
    def of(cls, row: Row, place: Place) -> Self:
        period = row.told.period
        return cls(
            starts_at=period.starts_at.astimezone(place.zone),
            ends_at=period.ends_at.astimezone(place.zone),
            revenue=[Revenue(currency=name, amount=footfall.money(sum_)) for name, sum_ in row.revenue.items()],
            **{name: row.figure(name) for name in footfall.FIGURES},
        )


class OfStore(BaseModel):
    store_id: str
    timezone: str
    k: int = Field(description="No figure rests on fewer devices.")
    min_visit_s: float = Field(default=MIN_VISIT_S, description="Shorter visits do not count.")
    as_of: datetime = Field(description="What was written by then is in the figures.")


class Series(OfStore):
    grain: Grain
    items: list[Figures]

    @classmethod
    def of(cls, rows: Sequence[Row], place: Place, grain: Grain, *, k: int, as_of: datetime) -> Self:
        return cls(
            store_id=str(place.store_id),
            timezone=place.zone.key,
            k=k,
            as_of=as_of.astimezone(place.zone),
            grain=grain,
            items=[Figures.of(row, place) for row in rows],
        )


class HourOfToday(BaseModel):
    starts_at: datetime
    visits: int | None
    usual_visits: float | None = Field(
        description="Median of the same hour of that weekday in the last 8 weeks, where at least 4 of them are told."
    )


class Usual(BaseModel):
    """Medians of that weekday in the last 8 weeks, where at least 4 of them are told."""

    visits: float | None
    visitors: float | None


class Today(OfStore):
    date: LocalDate
    hours: list[HourOfToday]
    day: Figures
    usual: Usual


class DwellBar(BaseModel):
    from_s: int
    to_s: int | None = Field(description="Null: no end.")
    visits: int | None = Field(
        description="Of each visitor one visit as long as that, so these are devices, rounded down to a multiple of k."
    )


class OfPeriod(OfStore):
    grain: Longer
    date: LocalDate = Field(description="The first day of the period.")
    starts_at: datetime
    ends_at: datetime


class Dwell(OfPeriod):
    items: list[DwellBar]
    median_dwell_s: float | None
    p90_dwell_s: float | None


class Live(BaseModel):
    store_id: str
    inside: int = Field(description="Devices, rounded down to a multiple of k.")
    k: int
    as_of: datetime


class HeatCell(BaseModel):
    cell: str = Field(description="H3.", examples=["891126d33a7ffff"])
    devices: int = Field(description="Seen there, rounded down to a multiple of k; cells with fewer are left out.")


class Heat(OfPeriod):
    resolution: int
    items: list[HeatCell]


class StoreFigures(BaseModel):
    """One store in one period."""

    store_id: str
    external_id: str
    name: str
    timezone: str
    date: LocalDate = Field(description="The first day of the period, by the store's own calendar.")
    starts_at: datetime
    ends_at: datetime
    visits: int | None
    visitors: int | None
    new_visitors: int | None
    returning_visitors: int | None
    median_dwell_s: float | None


class Overview(BaseModel):
    grain: Longer
    date: LocalDate | None = Field(
        description="The first day of the period, by each store's own calendar; null if no day was asked for."
    )
    k: int
    min_visit_s: float = MIN_VISIT_S
    as_of: datetime
    items: list[StoreFigures]
    next_cursor: str | None
