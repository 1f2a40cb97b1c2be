"""Which stores are near, and when they are open. Answered from memory: a change shows within a second."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from geofences.errors import NotFoundError
from geofences.nearby import StoreQuery, StoreRow
from geofences.zones import zone
from lbs.deps import Permitted, ServicesDep, own_store
from lbs.fields import Instant, Latitude, Longitude, ShortText, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page
from lbs.places_found import cursor_of_place, origin_of, place_of_cursor
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.views import NearStoreView
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours, State

router = APIRouter(prefix="/v1/stores", tags=["search"], route_class=Route)


class OpenAnswer(BaseModel):
    """Whether a store is open."""

    open: bool | None = Field(description="null: nobody knows its hours.")
    next_change: datetime | None = Field(description="When that changes next, within a year.")
    reason: str = Field(description="`open`, `closed`, `unknown` or `no_opening_hours`.", examples=["open"])


@router.get("/nearby", operation_id="stores_nearby", responses={**OF_EVERY_READ, **declared(404)})
def stores_nearby(
    caller: Permitted,
    services: ServicesDep,
    lat: Annotated[Latitude | None, Query()] = None,
    lng: Annotated[Longitude | None, Query()] = None,
    cell: Annotated[
        str | None, Query(max_length=16, description="H3 cell in place of lat and lng: says less about the asker.")
    ] = None,
    radius_m: Annotated[
        float | None, Query(gt=0, le=20_100_000, allow_inf_nan=False, description="None: nearest first, without end.")
    ] = None,
    q: Annotated[ShortText | None, Query(description="Part of the name, brand, address or external id.")] = None,
    category: Annotated[ShortText | None, Query()] = None,
    brand: Annotated[ShortText | None, Query()] = None,
    open_now: Annotated[bool, Query(description="Only stores that are surely open now.")] = False,  # noqa: FBT002
    open_at: Annotated[Instant | None, Query(description="Only stores that are surely open then.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[NearStoreView]:
    """Find stores, nearest first."""
    at = services.now() if open_now else open_at
    found = services.memory.stores.search(
        caller.tenant_id,
        origin=origin_of(lat, lng, cell),
        radius_m=radius_m,
        query=StoreQuery(
            text=q,
            brand=brand,
            category=category,
            accept=None if at is None else lambda store: state_of(store, at) is State.OPEN,
        ),
        limit=limit + 1,
        after=None if cursor is None else place_of_cursor(cursor),
    )
    page = found[:limit]
    return Page(
        items=[NearStoreView.near(near) for near in page],
        next_cursor=cursor_of_place(page[-1].place) if len(found) > limit else None,
    )


@router.get("/{store_id}/open", operation_id="store_open", responses={**OF_EVERY_READ, **declared(404)})
def store_open(
    store_id: str,
    caller: Permitted,
    services: ServicesDep,
    at: Annotated[Instant | None, Query(description="None: now.")] = None,
) -> OpenAnswer:
    """Say whether a store is open, in its own time zone."""
    store = services.memory.stores.get(caller.tenant_id, own_store(caller, id_of(store_id, "store")))
    if store is None:
        raise NotFoundError(f"no store {store_id}")
    hours = hours_of(store)
    if hours is None:
        return OpenAnswer(open=None, next_change=None, reason="no_opening_hours")
    instant = at or services.now()
    state = hours.state(instant)
    return OpenAnswer(open=state is State.OPEN, next_change=hours.next_change(instant), reason=state.value)


def hours_of(store: StoreRow) -> OpeningHours | None:
    """None where there are none, or none that can be read (an import may have brought them)."""
    if not store.opening_hours:
        return None
    try:
        return OpeningHours.parse(store.opening_hours, zone=zone(store.timezone), location=store.location)
    except InvalidHoursError:
        return None


def state_of(store: StoreRow, at: datetime) -> State:
    hours = hours_of(store)
    return State.UNKNOWN if hours is None else hours.state(at)
