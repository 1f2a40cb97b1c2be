"""Which offers can be used near a place, now or at another time. The same for everybody: no device is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field

from geofences.nearby import Near, StoreQuery, StoreRow
from geofences.sql import queries
from geofences.zones import zone
from lbs.auth import Caller
from lbs.deps import AppCaller, ServicesDep, Tx
from lbs.fields import Instant, Latitude, Longitude, ShortText
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page
from lbs.places_found import cursor_of_place, origin_of, place_of_cursor
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.services import Services
from lbs.views import NearStoreView
from offers.catalogue import hours_of
from offers.definition import Offer
from offers.model import Campaign
from offers.schedule import WindowAnswer, is_live
from offers.wording import MessageValues, say

router = APIRouter(prefix="/v1/offers", tags=["search"], route_class=Route)


class OfferView(BaseModel):
    """An offer that can be used at a store."""

    campaign_id: str
    title: str
    body: str
    offer: Offer
    ends_at: datetime | None = Field(description="When it ends at this store, in the store's zone; null: never.")

    @classmethod
    def of(cls, campaign: Campaign, near: Near, window: WindowAnswer, locale: str | None, at: datetime) -> Self:
        store, ends_at = near.store, window.next_change
        values = MessageValues(
            store=store.name, zone=zone(store.timezone), now=at, distance_m=near.distance_m, ends_at=ends_at
        )
        text = say(campaign.definition, locale, values)
        return cls(
            campaign_id=str(campaign.campaign_id),
            title=text.title,
            body=text.body,
            offer=campaign.definition.offer,
            ends_at=None if ends_at is None else ends_at.astimezone(zone(store.timezone)),
        )


class NearOffersView(NearStoreView):
    """A store, how far away it is, and what it offers."""

    offers: list[OfferView]


@router.get("/nearby", operation_id="offers_nearby", responses={**OF_EVERY_READ, **declared(404)})
def offers_nearby(
    caller: AppCaller,
    services: ServicesDep,
    connection: Tx,
    lat: Annotated[Latitude | None, Query()] = None,
    lng: Annotated[Longitude | None, Query()] = None,
    cell: Annotated[
        str | None, Query(max_length=16, description="H3 cell in place of lat and lng: says less about the asker.")
    ] = None,
    radius_m: Annotated[
        float | None, Query(gt=0, le=20_100_000, allow_inf_nan=False, description="None: nearest first, without end.")
    ] = None,
    q: Annotated[ShortText | None, Query(description="Part of the store's name, brand or address.")] = None,
    category: Annotated[ShortText | None, Query()] = None,
    brand: Annotated[ShortText | None, Query()] = None,
    open_at: Annotated[Instant | None, Query(description="Offers that can be used then; none: now.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> Page[NearOffersView]:
    """Find stores with offers that can be used, nearest first."""
    at = open_at or services.now()
    usable = _Usable(services, connection, caller, at)
    found = services.memory.stores.search(
        caller.tenant_id,
        origin=origin_of(lat, lng, cell),
        radius_m=radius_m,
        query=StoreQuery(text=q, brand=brand, category=category, accept=lambda store: bool(usable.at(store))),
        limit=limit + 1,
        after=None if cursor is None else place_of_cursor(cursor),
    )
    page = found[:limit]
    locale = (accept_language or "").partition(",")[0].partition(";")[0].strip() or None
    return Page(
        items=[_view(near, usable, locale, at) for near in page],
        next_cursor=cursor_of_place(page[-1].place) if len(found) > limit else None,
    )


def _view(near: Near, usable: _Usable, locale: str | None, at: datetime) -> NearOffersView:
    offers = [OfferView.of(campaign, near, window, locale, at) for campaign, window in usable.at(near.store)]
    return NearOffersView(**dict(NearStoreView.near(near)), offers=offers)


class _Usable:
    """Which campaigns are on at a store at one time and not sold out; each store is asked once."""

    def __init__(self, services: Services, connection: Tx, caller: Caller, at: datetime) -> None:
        self._book = services.memory.offers
        self._connection = connection
        self._tenant_id = caller.tenant_id
        self._at = at
        self._sold_out: dict[int, bool] = {}
        self._found: dict[int, list[tuple[Campaign, WindowAnswer]]] = {}

    def at(self, store: StoreRow) -> list[tuple[Campaign, WindowAnswer]]:
        if store.store_id not in self._found:
            self._found[store.store_id] = list(self._look(store))
        return self._found[store.store_id]

    def _look(self, store: StoreRow) -> list[tuple[Campaign, WindowAnswer]]:
        campaigns = self._book.at(self._tenant_id, store.store_id)
        if not campaigns:
            return []
        hours = hours_of(store.opening_hours, store.timezone, store.location)
        windows = [
            (campaign, is_live(campaign.schedule, at=self._at, zone=zone(store.timezone), hours=hours))
            for campaign in campaigns
        ]
        self._ask_stock([campaign for campaign, window in windows if window.live])
        return [
            (campaign, window)
            for campaign, window in windows
            if window.live and not self._sold_out[campaign.campaign_id]
        ]

    def _ask_stock(self, campaigns: list[Campaign]) -> None:
        """Stock moves too fast for the snapshot: it is asked of Postgres, once a campaign and request."""
        unknown = {campaign.campaign_id for campaign in campaigns if campaign.campaign_id not in self._sold_out}
        limited = sorted(campaign.campaign_id for campaign in campaigns if campaign.stock is not None)
        asked = [campaign_id for campaign_id in limited if campaign_id in unknown]
        gone: set[int] = set()
        if asked:
            rows = self._connection.execute(queries("offers")["sold_out"], {"campaign_ids": asked})
            gone = set(rows.scalars())
        self._sold_out.update({campaign_id: campaign_id in gone for campaign_id in unknown})
