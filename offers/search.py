"""Searching stores and offers near a place: what is asked, in which order it is answered, and page by page. Pure.

Every order is total, ties are broken by distance and store id, and a page begins after a place in that order and not
after a number of items. So whatever keeps its place is told once, whatever else comes and goes between two pages; what
changed its place is told where it is now.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, assert_never

from geofences.nearby import Near, StoreQuery
from geofences.words import words
from offers.errors import TooManyStoresError
from offers.usable import ANYBODY, UsableOffers
from offers.worth import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geofences.model import LatLng, TenantId
    from geofences.nearby import StoreRow, StoreSnapshot
    from offers.book import OfferBook
    from offers.display import Display, OnOffer
    from offers.usable import AskSoldOut, Seeker

MAX_SORTED: Final = 20_000
"""Stores that one search sorts by their offers."""

NEVER_US: Final = 2**62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Sort(StrEnum):
    DISTANCE = "distance"
    VALUE = "value"
    ENDS_SOON = "ends_soon"


Place = tuple[int | float | str, ...]
"""Where an answer stands: by distance (distance_m, store_id), else what its best offer is worth or when it ends
first, and then these two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One question. `after` is the place of the last answer of the page before."""

    tenant_id: TenantId
    origin: LatLng
    at: datetime
    radius_m: float | None = None
    text: str | None = None
    brand: str | None = None
    category: str | None = None
    only_open: bool = False
    sort: Sort = Sort.DISTANCE
    limit: int
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A store, its offers that can be used in the order asked for, and its place among all answers."""

    near: Near
    offers: list[OnOffer]
    place: Place


class Searcher:
    """Answers from one moment's snapshots; `display` is one for times like those asked about."""

    def __init__(
        self,
        *,
        stores: StoreSnapshot,
        book: OfferBook,
        display: Display,
        ask_sold_out: AskSoldOut,
        seeker: Seeker = ANYBODY,
    ) -> None:
        self._stores = stores
        self._book = book
        self._display = display
        self._ask_sold_out = ask_sold_out
        self._seeker = seeker

    def offers(self, search: Search) -> list[Answer]:
        """Stores with an offer that can be used. TooManyStoresError if more than MAX_SORTED would have to be sorted."""
        offers = self._usable(search)
        query = StoreQuery(
            brand=search.brand,
            category=search.category,
            accept=(lambda store: self._is_open(store, search) and offers.may_be_at(store))
            if search.only_open
            else offers.may_be_at,
            hint=offers.hint,
        )
        if search.sort is not Sort.DISTANCE:
            return [answer for answer in self._sorted(search, query, offers) if answer.offers][: search.limit]
        walk = self._walk(search, query)
        found: list[Answer] = []
        want = search.limit
        while len(found) < search.limit and (nears := list(islice(walk, want))):
            offers.ask_stock([near.store for near in nears])
            found += [_answer(near, of_store, search.sort) for near in nears if (of_store := offers.at(near.store))]
            want *= 2  # all of a whole page may be sold out
        return found[: search.limit]

    def stores(self, search: Search) -> list[Answer]:
        """Stores, whether they offer something or not; sorted by their offers, those without come last."""
        query = StoreQuery(
            text=search.text,
            brand=search.brand,
            category=search.category,
            accept=(lambda store: self._is_open(store, search)) if search.only_open else None,
        )
        if search.sort is Sort.DISTANCE:
            nears = islice(self._walk(search, query), search.limit)
            return [Answer(near, [], near.place) for near in nears]
        # words of a store alone decide here, so all of its offers count
        return self._sorted(search, query, self._usable(replace(search, text=None)))[: search.limit]

    def _usable(self, search: Search) -> UsableOffers:
        return UsableOffers(
            self._book.of(search.tenant_id),
            self._display,
            at=search.at,
            wanted=None if search.text is None else words(search.text),
            seeker=self._seeker,
            ask_sold_out=self._ask_sold_out,
        )

    def _is_open(self, store: StoreRow, search: Search) -> bool:
        return self._display.timetable.is_open(store, search.at)

    def _walk(self, search: Search, query: StoreQuery) -> Iterator[Near]:
        by_distance = search.sort is Sort.DISTANCE
        return self._stores.walk(
            search.tenant_id,
            origin=search.origin,
            radius_m=search.radius_m,
            query=query,
            want=search.limit if by_distance else MAX_SORTED,
            after=search.after if by_distance else None,  # type: ignore[arg-type]  # a place is what its sort says
        )

    def _sorted(self, search: Search, query: StoreQuery, offers: UsableOffers) -> list[Answer]:
        nears = list(islice(self._walk(search, query), MAX_SORTED + 1))
        if len(nears) > MAX_SORTED:
            raise TooManyStoresError(
                f"more than {MAX_SORTED} stores within {search.radius_m:.0f} m would have to be sorted by"
                f" {search.sort}: take a smaller radius_m"
            )
        offers.ask_stock([near.store for near in nears])
        answers = (_answer(near, offers.at(near.store), search.sort) for near in nears)
        after = search.after
        later = (answer for answer in answers if after is None or answer.place > after)
        return heapq.nsmallest(search.limit, later, key=attrgetter("place"))


def _answer(near: Near, offers: list[OnOffer], sort: Sort) -> Answer:
    match sort:
        case Sort.DISTANCE:
            return Answer(near, sorted(offers, key=_by_worth), near.place)
        case Sort.VALUE:
            ordered = sorted(offers, key=_by_worth)
            return Answer(near, ordered, (*(ordered[0].listing.worth if ordered else NOTHING), *near.place))
        case Sort.ENDS_SOON:
            ordered = sorted(offers, key=_by_end)
            return Answer(near, ordered, (_ends_us(ordered[0]) if ordered else NEVER_US + 1, *near.place))
    assert_never(sort)


def _by_worth(offer: OnOffer) -> tuple[object, ...]:
    return (*offer.listing.worth, offer.listing.campaign.campaign_id)


def _by_end(offer: OnOffer) -> tuple[object, ...]:
    return (_ends_us(offer), offer.listing.campaign.campaign_id)


def _ends_us(offer: OnOffer) -> int:
    return NEVER_US if offer.ends_at is None else (offer.ends_at - _EPOCH) // _MICROSECOND
