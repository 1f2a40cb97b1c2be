"""Which offers can be used near a place, now or at another time. Asked without a device, the same for everybody."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from geofences.nearby import Near
from geofences.zones import zone
from lbs.deps import Permitted, ServicesDep
from lbs.paging import Page
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.searching import NearbyQuery, answered, searcher
from lbs.views import NearStoreView
from offers.definition import Offer
from offers.display import OnOffer
from offers.search import Answer
from offers.wording import MessageValues, say

ROUTE = "offers"
router = APIRouter(prefix="/v1/offers", tags=["search"], route_class=Route)


class OfferView(BaseModel):
    """An offer that can be used at a store."""

    campaign_id: str
    title: str
    body: str
    offer: Offer
    ends_at: datetime | None = Field(description="When it ends at this store, in the store's zone; null: never.")

    @classmethod
    def of(cls, found: OnOffer, near: Near, locale: str | None, at: datetime) -> Self:
        campaign, store = found.listing.campaign, near.store
        values = MessageValues(
            store=store.name, zone=zone(store.timezone), now=at, distance_m=near.distance_m, ends_at=found.ends_at
        )
        text = say(campaign.definition, locale, values)
        return cls(
            campaign_id=str(campaign.campaign_id),
            title=text.title,
            body=text.body,
            offer=campaign.definition.offer,
            ends_at=None if found.ends_at is None else found.ends_at.astimezone(zone(store.timezone)),
        )


class NearOffersView(NearStoreView):
    """A store, how far away it is, and what it offers: what is worth most first, or what ends first if so sorted."""

    offers: list[OfferView]


@router.get(
    "/nearby",
    operation_id="offers_nearby",
    response_model=Page[NearOffersView],
    responses={**OF_EVERY_READ, **declared(404)},
)
def offers_nearby(
    caller: Permitted,
    services: ServicesDep,
    query: Annotated[NearbyQuery, Query()],
    accept_language: Annotated[str | None, Header()] = None,
) -> Response:
    """Find stores with offers that can be used, nearest first or by their offers."""
    search = query.search(caller, route=ROUTE, now=services.now())
    found = searcher(query, caller, services).offers(search)
    page = found[: query.limit]
    locale = (accept_language or "").partition(",")[0].partition(";")[0].strip() or None
    more = len(found) > len(page)
    return answered(
        Page(
            items=[_view(answer, locale, search.at) for answer in page],
            next_cursor=query.cursor_after(page[-1].place, caller, route=ROUTE) if more else None,
        )
    )


def _view(answer: Answer, locale: str | None, at: datetime) -> NearOffersView:
    offers = [OfferView.of(offer, answer.near, locale, at) for offer in answer.offers]
    return NearOffersView(**dict(NearStoreView.near(answer.near)), offers=offers)
