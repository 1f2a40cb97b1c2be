"""Foot traffic of a store, by its own local hours. No figure rests on fewer than k devices."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from geofences.traffic import MIN_VISIT_S, HourOfTraffic, hourly_traffic
from lbs.deps import Permitted, ServicesDep, Tx, own_store
from lbs.errors import Fault, MalformedError
from lbs.fields import Instant, id_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route

router = APIRouter(prefix="/v1/traffic", tags=["traffic"], route_class=Route)


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
    items: list[Hour]


@router.get(
    "/stores/{store_id}/hours",
    operation_id="hourly_traffic",
    response_model=HourlyTraffic,
    responses={
        **OF_EVERY_READ,
        **declared(404),
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The hours in order."},
    },
)
def hours(
    store_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    start: Annotated[Instant, Query(description="The first hour begins at or after it.")],
    end: Annotated[Instant, Query(description="The last hour begins before it.")],
    format: Annotated[Literal["json", "csv"], Query()] = "json",  # noqa: A002 - the parameter's public name
) -> HourlyTraffic | Response:
    """Visits, visitors and median dwell of a store for every local hour; days have 23 or 25 when clocks change."""
    number = own_store(caller, id_of(store_id, "store"))
    k = services.settings.k_anonymity
    try:
        found = hourly_traffic(connection, store_id=number, start=start, end=end, k=k)
    except ValueError as error:
        raise MalformedError(str(error), Fault("query.end", str(error))) from error
    if format == "csv":
        return Response(
            _csv(found),
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="traffic-{number}.csv"'},
        )
    return HourlyTraffic(
        store_id=store_id,
        k=k,
        min_visit_s=MIN_VISIT_S,
        items=[
            Hour(
                starts_at=hour.starts_at,
                visits=hour.visits,
                visitors=hour.visitors,
                median_dwell_s=hour.median_dwell_s,
            )
            for hour in found
        ],
    )


def _csv(found: list[HourOfTraffic]) -> str:
    """A withheld hour has empty figures."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["starts_at", "visits", "visitors", "median_dwell_s"])
    for hour in found:
        writer.writerow([hour.starts_at.isoformat(), hour.visits, hour.visitors, hour.median_dwell_s])
    return text.getvalue()
