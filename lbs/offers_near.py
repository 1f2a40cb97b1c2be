"""Offers near a place as answers show them: what `GET /v1/offers/nearby` tells, and positions that ask for it too."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from geofences.nearby import Near
from geofences.zones import zone
from lbs.auth import Caller
from lbs.fields import language_of
from lbs.paging import Page
from lbs.searching import NearbyQuery, searcher
from lbs.services import Services
from lbs.views import NearStoreView
from offers.definition import Offer
from offers.display import OnOffer
from offers.search import Answer
from offers.wording import MessageValues, say

ROUTE = "offers"
"""What cursors of this search belong to."""


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


def offers_page(
    query: NearbyQuery, caller: Caller, services: Services, *, accept_language: str | None
) -> Page[NearOffersView]:
    """One page of the search, worded in the first language that the asker accepts; NotReadyError, MalformedError."""
    search = query.search(caller, route=ROUTE, now=services.now())
    found = searcher(query, caller, services).offers(search)
    page = found[: query.limit]
    locale = language_of(accept_language)
    more = len(found) > len(page)
    return Page(
        items=[_view(answer, locale, search.at) for answer in page],
        next_cursor=query.cursor_after(page[-1].place, caller, route=ROUTE) if more else None,
    )


def _view(answer: Answer, locale: str | None, at: datetime) -> NearOffersView:
    offers = [OfferView.of(offer, answer.near, locale, at) for offer in answer.offers]
    return NearOffersView(**dict(NearStoreView.near(answer.near)), offers=offers)
