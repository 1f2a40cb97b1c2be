"""Foot traffic: what a store's visits come to by its own hours, days, weeks and months, and who is there now.

Every figure is told as `geofences.withholding` says: null where it would rest on fewer than k devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from geofences import traffic
from geofences.heat import RESOLUTIONS, heat
from geofences.model import StoreId
from geofences.periods import Grain, Period, day_of, first_day_of
from geofences.rolling import DWELL_S, MIN_VISIT_S
from geofences.traffic import Place, Rules, find_place
from lbs import footfall
from lbs.deps import Permitted, ServicesDep, Tx, own_store
from lbs.errors import Fault, MalformedError
from lbs.fields import EARLIEST, LATEST, Instant, id_of
from lbs.footfall_views import (
    Dwell,
    DwellBar,
    Figures,
    Heat,
    HeatCell,
    Hour,
    HourlyTraffic,
    HourOfToday,
    Live,
    Longer,
    Overview,
    Series,
    StoreFigures,
    Today,
    Usual,
)
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.settings import Settings

router = APIRouter(prefix="/v1/traffic", tags=["traffic"], route_class=Route)

Format = Annotated[
    Literal["json", "csv", "parquet"], Query(description="CSV and Parquet are flat: one column for each currency.")
]
Day = Annotated[date, Query(ge=EARLIEST.date(), le=LATEST.date(), description="Any local day of the period.")]
OF_A_STORE = {**OF_EVERY_READ, **declared(404)}
OF_A_FILE: dict[int | str, dict[str, Any]] = {
    **OF_A_STORE,
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
        "description": "The periods in order.",
    },
}
HOUR_COLUMNS = ("starts_at", "visits", "visitors", "median_dwell_s")


@dataclass(frozen=True, slots=True)
class Asked:
    """A store that the caller may see."""

    connection: sa.Connection
    place: Place
    rules: Rules
    now: datetime

    def head(self, grain: Grain = Grain.DAY) -> dict[str, Any]:
        known = traffic.as_of(self.connection, [self.place.store_id], grain, now=self.now)
        return {
            "store_id": str(self.place.store_id),
            "timezone": self.place.zone.key,
            "k": self.rules.k,
            "as_of": known.astimezone(self.place.zone),
        }

    def within(self, period: Period) -> dict[str, Any]:
        zone = self.place.zone
        return {
            "date": period.first_day,
            "starts_at": period.starts_at.astimezone(zone),
            "ends_at": period.ends_at.astimezone(zone),
        }


def rules_of(settings: Settings, now: datetime) -> Rules:
    return Rules.of(k=settings.k_anonymity, horizon_s=settings.horizon_s, now=now)


def asked(store_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> Asked:
    number = own_store(caller, id_of(store_id, "store"))
    now = services.now()
    return Asked(connection, find_place(connection, number), rules_of(services.settings, now), now)


@router.get(
    "/stores/{store_id}/hours", operation_id="hourly_traffic", response_model=HourlyTraffic, responses=OF_A_FILE
)
def hours(
    store: Annotated[Asked, Depends(asked)],
    start: Annotated[Instant, Query(description="The first hour begins at or after it.")],
    end: Annotated[Instant, Query(description="The last hour begins before it.")],
    format: Format = "json",  # noqa: A002 - the parameter's public name
) -> HourlyTraffic | Response:
    """Visits, visitors and median dwell of a store for every local hour; days have 23 or 25 when clocks change."""
    zone = store.place.zone
    try:
        found = traffic.hours_between(store.connection, store.place, start, end, store.rules)
    except ValueError as error:
        raise MalformedError(str(error), Fault("query.end", str(error))) from error
    rows = [
        {
            "starts_at": one.period.starts_at.astimezone(zone),
            **{name: getattr(one, name) for name in HOUR_COLUMNS[1:]},
        }
        for one in found
    ]
    if format != "json":
        return _file(rows, HOUR_COLUMNS, store.place, format)
    head = store.head()
    head.pop("timezone")
    return HourlyTraffic(min_visit_s=MIN_VISIT_S, items=[Hour(**row) for row in rows], **head)


@router.get("/stores/{store_id}/series", operation_id="traffic_series", response_model=Series, responses=OF_A_FILE)
def series(
    store: Annotated[Asked, Depends(asked)],
    grain: Annotated[Grain, Query()],
    first: Annotated[date, Query(alias="from", ge=EARLIEST.date(), le=LATEST.date(), description="A local day.")],
    last: Annotated[
        date, Query(alias="to", ge=EARLIEST.date(), le=LATEST.date(), description="The day after the last.")
    ],
    format: Format = "json",  # noqa: A002 - the parameter's public name
) -> Series | Response:
    """Figures of a store for every period that touches the days: visits, visitors, dwell, passers-by, redemptions."""
    try:
        rows = footfall.series(store.connection, store.place, grain, first, last, rules=store.rules)
    except ValueError as error:
        raise MalformedError(str(error), Fault("query.to", str(error))) from error
    if format != "json":
        flat = footfall.table(rows, store.place)
        return _file(flat, list(flat[0]), store.place, format)
    known = traffic.as_of(store.connection, [store.place.store_id], grain, now=store.now)
    return Series.of(rows, store.place, grain, k=store.rules.k, as_of=known)


@router.get("/stores/{store_id}/today", operation_id="traffic_today", responses=OF_A_STORE)
def today(store: Annotated[Asked, Depends(asked)]) -> Today:
    """The store's local day so far, beside what is usual for its weekday."""
    place, rules = store.place, store.rules
    day = day_of(store.now, place.zone)
    after = day + timedelta(days=1)
    (whole,) = footfall.series(store.connection, place, Grain.DAY, day, after, rules=rules)
    so_far = traffic.series(store.connection, place, Grain.HOUR, day, after, rules=rules)
    usual = traffic.usual(store.connection, place, day, rules)
    return Today(
        date=day,
        hours=[
            HourOfToday(
                starts_at=one.period.starts_at.astimezone(place.zone),
                visits=one.visits,
                usual_visits=usual.hours.get(traffic.wall_hour(one.period.starts_at, place.zone)),
            )
            for one in so_far
        ],
        day=Figures.of(whole, place),
        usual=Usual(visits=usual.visits, visitors=usual.visitors),
        **store.head(),
    )


@router.get("/stores/{store_id}/dwell", operation_id="traffic_dwell", responses=OF_A_STORE)
def dwell(
    store: Annotated[Asked, Depends(asked)], grain: Annotated[Longer, Query()], day: Annotated[Day, Query(alias="date")]
) -> Dwell:
    """How long visitors stayed: a histogram with its median and 90th percentile."""
    found = traffic.around(store.connection, store.place, Grain(grain), day, store.rules)
    ends = [*DWELL_S[1:], None]
    return Dwell(
        grain=grain,
        items=[
            DwellBar(from_s=begin, to_s=end, visits=n) for begin, end, n in zip(DWELL_S, ends, found.dwell, strict=True)
        ],
        median_dwell_s=found.median_dwell_s,
        p90_dwell_s=found.p90_dwell_s,
        **store.within(found.period),
        **store.head(Grain(grain)),
    )


@router.get("/stores/{store_id}/live", operation_id="traffic_live", responses=OF_A_STORE)
def live(store: Annotated[Asked, Depends(asked)]) -> Live:
    """How many devices are in the store now."""
    count = traffic.inside(store.connection, store.place, store.rules.k)
    return Live(
        store_id=str(store.place.store_id),
        inside=count,
        k=store.rules.k,
        as_of=store.now.astimezone(store.place.zone),
    )


@router.get("/stores/{store_id}/heat", operation_id="traffic_heat", responses=OF_A_STORE)
def heat_map(
    store: Annotated[Asked, Depends(asked)],
    grain: Annotated[Longer, Query()],
    day: Annotated[Day, Query(alias="date")],
    resolution: Annotated[int, Query(ge=RESOLUTIONS[0], le=RESOLUTIONS[-1], description="Of H3.")] = 9,
) -> Heat:
    """Where devices were seen within about 1.5 km of the store, on the UTC days of the period's dates."""
    period, cells = heat(store.connection, store.place, Grain(grain), day, resolution, k=store.rules.k)
    return Heat(
        grain=grain,
        resolution=resolution,
        items=[HeatCell(cell=cell, devices=devices) for cell, devices in cells],
        **store.within(period),
        **store.head() | {"as_of": store.now.astimezone(store.place.zone)},
    )


@router.get("/stores", operation_id="traffic_overview", responses=OF_EVERY_READ)
def overview(
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    day: Annotated[Day | None, Query(alias="date", description="Without it, each store's own today.")] = None,
    grain: Annotated[Longer, Query()] = "day",
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Overview:
    """All stores in one period, in order of their ids; totals over stores are not told."""
    now = services.now()
    rules = rules_of(services.settings, now)
    only: Sequence[StoreId] | None = None if caller.only_stores is None else sorted(caller.only_stores)
    page, more = cut(
        traffic.overview(
            connection,
            caller.tenant_id,
            Grain(grain),
            day or now,
            rules,
            after=id_after(cursor),
            limit=limit + 1,
            only=only,
        ),
        limit,
    )
    return Overview(
        grain=grain,
        date=None if day is None else first_day_of(Grain(grain), day),
        k=rules.k,
        as_of=traffic.as_of(connection, [row.place.store_id for row in page], Grain(grain), now=now),
        items=[
            StoreFigures(
                store_id=str(row.place.store_id),
                external_id=row.external_id,
                name=row.name,
                timezone=row.place.zone.key,
                date=row.told.period.first_day,
                starts_at=row.told.period.starts_at.astimezone(row.place.zone),
                ends_at=row.told.period.ends_at.astimezone(row.place.zone),
                visits=row.told.visits,
                visitors=row.told.visitors,
                new_visitors=row.told.new_visitors,
                returning_visitors=row.told.returning_visitors,
                median_dwell_s=row.told.median_dwell_s,
            )
            for row in page
        ],
        next_cursor=cursor_of(page[-1].place.store_id) if more else None,
    )


def _file(rows: Sequence[dict[str, Any]], columns: Sequence[str], place: Place, form: str) -> Response:
    name = f"traffic-{place.store_id}.{form}"
    if form == "csv":
        content, kind = footfall.as_csv(rows, columns), "text/csv"
    else:
        content, kind = footfall.as_parquet(rows, columns, place.zone.key), "application/vnd.apache.parquet"
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
