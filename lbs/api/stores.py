"""Stores: the tenant's own list of its shops. Deleting one deletes its fences; visits stay."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from geofences.errors import ConflictError
from geofences.model import LatLng, StoreId
from geofences.places import StoreInput, delete_stores, put_stores
from geofences.zones import zone, zone_at
from lbs.deps import Permitted, ServicesDep, Tx, own_store
from lbs.fields import ExternalId, JsonObject, Latitude, Longitude, LongText, ShortText, Timezone, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.places import get_store, stores_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.views import StoreView
from offers.hours import OpeningHours

router = APIRouter(prefix="/v1/stores", tags=["stores"], route_class=Route)


class StoreBody(BaseModel):
    """A store as its tenant describes it."""

    model_config = ConfigDict(extra="forbid")

    external_id: ExternalId
    name: ShortText
    lat: Latitude
    lng: Longitude
    timezone: Timezone | None = None
    brand: ShortText | None = None
    categories: Annotated[list[ShortText], Field(max_length=50)] = []
    address: LongText | None = None
    phone: ShortText | None = None
    url: LongText | None = None
    opening_hours: Annotated[
        LongText | None, Field(description="In the syntax of OpenStreetMap.", examples=["Mo-Sa 09:00-18:00; PH off"])
    ] = None
    attributes: JsonObject = {}

    def to_input(self) -> StoreInput:
        """With its time zone found if none was given. InvalidHoursError for hours that nobody can read."""
        location = LatLng(lat=self.lat, lng=self.lng)
        zone_name = self.timezone or zone_at(location)
        if self.opening_hours is not None:
            OpeningHours.parse(self.opening_hours, zone=zone(zone_name), location=location)
        return StoreInput(
            external_id=self.external_id,
            name=self.name,
            location=location,
            timezone=zone_name,
            brand=self.brand,
            categories=tuple(self.categories),
            address=self.address,
            phone=self.phone,
            url=self.url,
            opening_hours=self.opening_hours,
            attributes=self.attributes,
        )


@router.post("", operation_id="create_store", status_code=201, responses=OF_EVERY_WRITE)
def create_store(body: StoreBody, caller: Permitted, connection: Tx, services: ServicesDep) -> StoreView:
    """Create a store. Without `timezone` it gets the zone of its place."""
    if stores_after(connection, caller.tenant_id, after=0, limit=1, external_id=body.external_id):
        raise ConflictError(f"a store with external_id {body.external_id!r} exists already")
    done = put_stores(connection, tenant_id=caller.tenant_id, rows=[body.to_input()], now=services.now())
    store_id, _ = done[body.external_id]
    return StoreView.of(get_store(connection, caller.tenant_id, store_id))


@router.get("", operation_id="list_stores", responses=OF_EVERY_READ)
def list_stores(
    caller: Permitted,
    connection: Tx,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
    external_id: Annotated[ExternalId | None, Query(description="Only the store of this external id.")] = None,
) -> Page[StoreView]:
    """List stores in the order in which they were created; a store manager and a store key see their own."""
    rows = stores_after(
        connection,
        caller.tenant_id,
        after=id_after(cursor),
        limit=limit + 1,
        external_id=external_id,
        only=caller.only_stores,
    )
    page, more = cut(rows, limit)
    return Page(items=[StoreView.of(row) for row in page], next_cursor=cursor_of(page[-1].store_id) if more else None)


@router.get("/{store_id}", operation_id="get_store", responses={**OF_EVERY_READ, **declared(404)})
def read_store(store_id: str, caller: Permitted, connection: Tx) -> StoreView:
    """Get one store."""
    number = own_store(caller, id_of(store_id, "store"))
    return StoreView.of(get_store(connection, caller.tenant_id, number))


@router.put("/{store_id}", operation_id="replace_store", responses={**OF_EVERY_WRITE, **declared(404)})
def replace_store(
    store_id: str, body: StoreBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> StoreView:
    """Replace all that is known of a store; its `external_id` stays."""
    before = get_store(connection, caller.tenant_id, id_of(store_id, "store"))
    if before.external_id != body.external_id:
        raise ConflictError("a store's external_id cannot change: create another store")
    put_stores(connection, tenant_id=caller.tenant_id, rows=[body.to_input()], now=services.now())
    return StoreView.of(get_store(connection, caller.tenant_id, before.store_id))


@router.delete(
    "/{store_id}", operation_id="delete_store", status_code=204, responses={**OF_EVERY_WRITE, **declared(404)}
)
def delete_store(store_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> Response:
    """Delete a store together with its fences; whoever is inside leaves with `fence_changed`."""
    store = get_store(connection, caller.tenant_id, id_of(store_id, "store"))
    now = services.now()
    delete_stores(
        connection,
        tenant_id=caller.tenant_id,
        store_ids=[StoreId(store.store_id)],
        now=now,
        effective_at=services.effective_at(now, sandbox=caller.sandbox),
    )
    return Response(status_code=204)
