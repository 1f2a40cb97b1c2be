"""Live campaigns by store, in memory: what a search shows to anybody. Whether one is pushed is for `rules`."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from geofences.words import searchable
from offers.model import CampaignStatus
from offers.timetable import Timing
from offers.worth import worth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geofences.model import StoreId, TenantId
    from geofences.words import Word
    from offers.model import Campaign, CampaignId
    from offers.schedule import Schedule
    from offers.store import StoredCampaign
    from offers.worth import Worth


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A live campaign with what a search asks of it again and again."""

    campaign: Campaign
    timing: Timing
    text: str
    """Its titles in all languages, as `searchable` makes them."""
    worth: Worth


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a store offers, whether it is on at this hour or not."""

    listings: tuple[Listing, ...] = ()
    """In the order of campaign ids, those of all stores after those that name the store."""
    text: str = ""
    """All their titles."""

    @classmethod
    def of(cls, listings: Iterable[Listing]) -> Shelf:
        found = tuple(listings)
        return cls(found, "".join(listing.text for listing in found))

    def plus(self, other: Shelf) -> Shelf:
        return Shelf(self.listings + other.listings, self.text + other.text) if self.listings else other


@dataclass(frozen=True, slots=True)
class TenantBook:
    """The offers of one tenant at one time. Never changes."""

    listed: dict[CampaignId, tuple[Listing, frozenset[StoreId]]] = field(default_factory=dict)
    """Campaigns that are live, and the stores that they name."""
    by_store: dict[StoreId, Shelf] = field(default_factory=dict)
    everywhere: Shelf = Shelf()

    def at(self, store_id: StoreId) -> Shelf:
        """The same object as long as nothing changes at the store, unless there are offers of all stores too."""
        shelf = self.by_store.get(store_id, EMPTY)
        return shelf.plus(self.everywhere) if self.everywhere.listings else shelf

    def stores_with(self, word: Word) -> set[StoreId] | None:
        """Stores with an offer whose titles have a word; None: it is an offer of all stores."""
        if word.in_text(self.everywhere.text):
            return None
        having = [stores for listing, stores in self.listed.values() if word.in_text(listing.text)]
        return set().union(*having)


class OfferBook:
    """One writer; readers in other threads see a tenant's offers before or after a change, never in between."""

    def __init__(self) -> None:
        self._timings: WeakValueDictionary[Schedule, Timing] = WeakValueDictionary()
        self._tenants: dict[TenantId, TenantBook] = {}

    def of(self, tenant_id: TenantId) -> TenantBook:
        return self._tenants.get(tenant_id, _NO_BOOK)

    def load(self, campaigns: Iterable[StoredCampaign]) -> None:
        """Takes these campaigns in place of all others."""
        self._tenants = {}
        self.apply(campaigns)

    def apply(self, changed: Iterable[StoredCampaign]) -> None:
        """Takes the newest word on some campaigns; those that are not live disappear."""
        by_tenant: dict[TenantId, list[StoredCampaign]] = {}
        for stored in changed:
            by_tenant.setdefault(stored.campaign.tenant_id, []).append(stored)
        for tenant_id, of_tenant in by_tenant.items():
            self._tenants[tenant_id] = self._changed(self.of(tenant_id), of_tenant)

    def _changed(self, before: TenantBook, changed: Iterable[StoredCampaign]) -> TenantBook:
        gone: dict[StoreId, set[CampaignId]] = {}
        come: dict[StoreId, list[Listing]] = {}
        listed = dict(before.listed)
        everywhere = {listing.campaign.campaign_id: listing for listing in before.everywhere.listings}
        for stored in changed:
            campaign_id = stored.campaign.campaign_id
            everywhere.pop(campaign_id, None)
            for store_id in listed.pop(campaign_id, _UNLISTED)[1]:
                gone.setdefault(store_id, set()).add(campaign_id)
            if stored.campaign.status is not CampaignStatus.LIVE:
                continue
            listing = self._listing(stored.campaign)
            stores = stored.campaign.store_ids | stored.stores_of_fences
            listed[campaign_id] = listing, stores
            if stored.campaign.targets_everything:
                everywhere[campaign_id] = listing
            for store_id in stores:
                come.setdefault(store_id, []).append(listing)
        by_store = dict(before.by_store)
        for store_id in gone.keys() | come.keys():
            kept = (
                listing
                for listing in by_store.get(store_id, EMPTY).listings
                if listing.campaign.campaign_id not in gone.get(store_id, ())
            )
            shelf = Shelf.of(sorted(chain(kept, come.get(store_id, ())), key=_campaign_id))
            if shelf.listings:
                by_store[store_id] = shelf
            else:
                by_store.pop(store_id, None)
        return TenantBook(listed, by_store, Shelf.of(everywhere[campaign_id] for campaign_id in sorted(everywhere)))

    def _listing(self, campaign: Campaign) -> Listing:
        timing = self._timings.get(campaign.schedule)
        if timing is None:
            timing = self._timings[campaign.schedule] = Timing.of(campaign.schedule)
        titles = searchable(*(creative.title for creative in campaign.definition.creatives))
        return Listing(campaign, timing, titles, worth(campaign.definition.offer))


EMPTY = Shelf()
_NO_BOOK = TenantBook()
_UNLISTED: tuple[None, frozenset[StoreId]] = (None, frozenset())


def _campaign_id(listing: Listing) -> CampaignId:
    return listing.campaign.campaign_id
