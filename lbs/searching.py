"""What both searches near a place are asked with, in one place, and cursors that say how far one has come.

A cursor belongs to its question: to the tenant, the route and every parameter but `limit`.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Final, Self

import sqlalchemy as sa
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from geofences.index import cell_center
from geofences.model import LatLng
from geofences.sql import queries
from geofences.store import use_tenant
from lbs.auth import Caller
from lbs.errors import Fault, MalformedError
from lbs.fields import Instant, Latitude, Longitude, ShortText
from lbs.paging import DEFAULT_LIMIT, MAX_LIMIT, cursor_of, place_of
from lbs.routes import JSON_TYPE
from lbs.services import Services
from offers.display import Display
from offers.model import CampaignId
from offers.search import Place, Search, Searcher, Sort
from offers.timetable import Timetable
from offers.usable import ANYBODY, Seeker

SORTED_RADIUS_M: Final = 5_000.0
"""How far a search looks that is not sorted by distance and says nothing of it."""

_CURSORS: Final[dict[Sort, Any]] = {
    Sort.DISTANCE: tuple[str, Sort, tuple[float, int]],
    Sort.VALUE: tuple[str, Sort, tuple[int, str, float, float, int]],
    Sort.ENDS_SOON: tuple[str, Sort, tuple[int, float, int]],
}
"""Digest of the question, its order, and the place in it: what a cursor holds."""


class NearbyQuery(BaseModel):
    """Where, what, when, and in which order."""

    lat: Latitude | None = None
    lng: Longitude | None = None
    cell: Annotated[
        str | None, Field(max_length=16, description="H3 cell in place of lat and lng: says less about the asker.")
    ] = None
    radius_m: Annotated[
        float | None,
        Field(
            gt=0,
            le=20_100_000,
            allow_inf_nan=False,
            description="None: nearest first, without end; 5000 where `sort` is not `distance`.",
        ),
    ] = None
    q: Annotated[
        ShortText | None,
        Field(
            description="Words, or their beginnings, in any order: in the store's name, brand, categories, address or"
            " external id, and in the titles of its offers where offers are searched. Case, accents and width do not"
            " matter; Chinese needs no spaces."
        ),
    ] = None
    category: Annotated[ShortText | None, Field(description="One of the store's categories.")] = None
    brand: Annotated[ShortText | None, Field(description="The store's brand.")] = None
    open_now: Annotated[bool, Field(description="Only stores that are surely open now, in their own time.")] = False
    open_at: Annotated[
        Instant | None,
        Field(description="Only stores that are surely open then; offers are those that can be used then."),
    ] = None
    sort: Annotated[
        Sort,
        Field(
            description="`value`: stores by their best offer: amounts of money by currency, then percentages, then"
            " gifts. `ends_soon`: stores by the offer that ends first. Stores without offers come last."
        ),
    ] = Sort.DISTANCE
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Items of a page.")] = DEFAULT_LIMIT
    cursor: Annotated[
        str | None, Field(max_length=200, description="`next_cursor` of the page before; none for the first page.")
    ] = None

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.open_now and self.open_at is not None:
            raise ValueError("give open_now or open_at, not both")
        return self

    def search(self, caller: Caller, *, route: str, now: datetime) -> Search:
        """The question of one page, asked for one more than its items; MalformedError."""
        radius_m = SORTED_RADIUS_M if self.radius_m is None and self.sort is not Sort.DISTANCE else self.radius_m
        return Search(
            tenant_id=caller.tenant_id,
            origin=_origin(self),
            at=(self.open_at or now).astimezone(UTC),
            radius_m=radius_m,
            text=self.q,
            brand=self.brand,
            category=self.category,
            only_open=self.open_now or self.open_at is not None,
            sort=self.sort,
            limit=self.limit + 1,
            after=None if self.cursor is None else self._place(caller, route),
        )

    def cursor_after(self, place: Place, caller: Caller, *, route: str) -> str:
        return cursor_of((self._digest(caller, route), self.sort, place))

    def _place(self, caller: Caller, route: str) -> Place:
        assert self.cursor is not None
        digest, sort, *_ = place_of(self.cursor, tuple[str, str, Any])
        if digest != self._digest(caller, route) or sort != self.sort:
            fault = Fault("query.cursor", "a cursor of another search: repeat all parameters of the page before")
            raise MalformedError(fault.message, fault)
        return tuple(place_of(self.cursor, _CURSORS[self.sort])[2])

    def _digest(self, caller: Caller, route: str) -> str:
        said = self.model_dump_json(exclude={"limit", "cursor"})
        return blake2b(f"{caller.tenant_id} {route} {said}".encode(), digest_size=8, person=b"lbs search").hexdigest()


def searcher(query: NearbyQuery, caller: Caller, services: Services) -> Searcher:
    """Over this moment's snapshots; NotReadyError."""

    def sold_out(campaign_ids: Any) -> list[Any]:
        # a connection is taken only now: most searches need none, and are answered while Postgres is away
        with services.api.begin() as connection:
            use_tenant(connection, caller.tenant_id)
            return _sold_out(connection, campaign_ids)

    memory = services.memory
    return Searcher(
        stores=memory.stores,
        book=memory.offers,
        # one question of another time must not make the next one of now look everything up again
        display=memory.display if query.open_at is None else Display(Timetable()),
        ask_sold_out=sold_out,
        seeker=_seeker(caller, services),
    )


def _seeker(caller: Caller, services: Services) -> Seeker:
    """What is known of the device that searches; a key of an app or a server searches for anybody."""
    if caller.device_id is None:
        return ANYBODY
    with services.api.begin() as connection:
        use_tenant(connection, caller.tenant_id)
        row = connection.execute(queries("offers")["seeker"], {"device_id": caller.device_id}).one_or_none()
    return ANYBODY if row is None else Seeker(attributes=row.attributes, used=frozenset(map(CampaignId, row.used)))


def answered(page: BaseModel) -> Response:
    """As the framework would write it, which takes it apart and checks it once more; some times as fast."""
    return Response(page.model_dump_json(), media_type=JSON_TYPE)


def _sold_out(connection: sa.Connection, campaign_ids: Any) -> list[Any]:
    return list(connection.execute(queries("offers")["sold_out"], {"campaign_ids": list(campaign_ids)}).scalars())


def _origin(query: NearbyQuery) -> LatLng:
    """Where to search from; MalformedError unless there is exactly one place."""
    if query.cell is not None and query.lat is None and query.lng is None:
        return cell_center(query.cell)
    if query.cell is None and query.lat is not None and query.lng is not None:
        return LatLng(lat=query.lat, lng=query.lng)
    fault = Fault("query", "give lat and lng, or cell")
    raise MalformedError(fault.message, fault)
