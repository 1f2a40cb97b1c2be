"""Which stores are near, and when they are open. Answered from memory: a change shows within a second."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from geofences.errors import NotFoundError
from lbs.deps import Permitted, ServicesDep, own_store
from lbs.fields import Instant, id_of
from lbs.paging import Page
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.searching import NearbyQuery, answered, searcher
from lbs.views import NearStoreView
from offers.catalogue import hours_of
from offers.hours import State

ROUTE = "stores"
router = APIRouter(prefix="/v1/stores", tags=["search"], route_class=Route)


class OpenAnswer(BaseModel):
    """Whether a store is open."""

    open: bool | None = Field(description="null: nobody knows its hours.")
    next_change: datetime | None = Field(description="When that changes next, within a year.")
    reason: str = Field(description="`open`, `closed`, `unknown` or `no_opening_hours`.", examples=["open"])


@router.get(
    "/nearby",
    operation_id="stores_nearby",
    response_model=Page[NearStoreView],
    responses={**OF_EVERY_READ, **declared(404)},
)
def stores_nearby(caller: Permitted, services: ServicesDep, query: Annotated[NearbyQuery, Query()]) -> Response:
    """Find stores, nearest first or by what they offer."""
    search = query.search(caller, route=ROUTE, now=services.now())
    found = searcher(query, caller, services).stores(search)
    page = found[: query.limit]
    more = len(found) > len(page)
    return answered(
        Page(
            items=[NearStoreView.near(answer.near) for answer in page],
            next_cursor=query.cursor_after(page[-1].place, caller, route=ROUTE) if more else None,
        )
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
    hours = hours_of(store.opening_hours, store.timezone, store.location)
    if hours is None:
        return OpenAnswer(open=None, next_change=None, reason="no_opening_hours")
    instant = at or services.now()
    state = hours.state(instant)
    return OpenAnswer(open=state is State.OPEN, next_change=hours.next_change(instant), reason=state.value)
