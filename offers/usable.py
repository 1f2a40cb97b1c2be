"""Which offers a search may show at a store, now or at another time. Pure; what only Postgres knows is handed in.

`usable` is the one place that says so. What depends on who asks belongs there too: an anonymous search has no shopper
and shows the same offers to everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geofences.words import Word, all_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from geofences.model import DeviceId, StoreId
    from geofences.nearby import StoreRow
    from offers.book import Listing, TenantBook
    from offers.model import Campaign, CampaignId
    from offers.timetable import Timetable

    AskSoldOut = Callable[[Sequence[CampaignId]], Collection[CampaignId]]
    """Which of some campaigns with a limited stock have none left."""


def usable(campaign: Campaign, *, live: bool, sold_out: Collection[CampaignId], shopper: DeviceId | None) -> bool:
    """Whether an offer can be used: it is on at the store, there is some left, and it is for this shopper.

    `live` is the campaign's window in the store's time, opening hours included where it asks for them; `sold_out` are
    campaigns without stock; `shopper` None is anybody.
    """
    del shopper  # nothing that a campaign says depends on it yet
    return live and campaign.campaign_id not in sold_out


@dataclass(frozen=True, slots=True)
class UsableOffer:
    """An offer at a store, and when it ends there."""

    listing: Listing
    ends_at: datetime | None


class UsableOffers:
    """The offers of one search, store by store; each store is looked at once, and stock is asked for in bulk."""

    def __init__(
        self,
        book: TenantBook,
        timetable: Timetable,
        *,
        at: datetime,
        wanted: Sequence[Word],
        shopper: DeviceId | None,
        ask_sold_out: AskSoldOut,
    ) -> None:
        self._book = book
        self._timetable = timetable
        self._at = at
        self._wanted = wanted
        self._shopper = shopper
        self._ask_sold_out = ask_sold_out
        self._asked: set[CampaignId] = set()
        self._sold_out: set[CampaignId] = set()
        self._found: dict[StoreId, list[UsableOffer]] = {}

    def beside(self, store_id: StoreId) -> str | None:
        """What `StoreQuery.beside` asks: titles of the store's offers, None if it never has one."""
        shelf = self._book.at(store_id)
        return shelf.text if shelf.listings else None

    def at(self, store: StoreRow) -> list[UsableOffer]:
        """As far as is known: stock that was not asked for counts as left."""
        found = self._found.get(store.store_id)
        if found is None:
            found = self._found[store.store_id] = self._look(store)
        return found

    def ask_stock(self, stores: Sequence[StoreRow]) -> None:
        """Stock moves too fast for a snapshot: it is asked for once a campaign and search, for many stores at once."""
        limited = {
            offer.listing.campaign.campaign_id
            for store in stores
            for offer in self.at(store)
            if offer.listing.campaign.stock is not None
        }
        unknown = sorted(limited - self._asked)
        if not unknown:
            return
        self._asked.update(unknown)
        gone = set(self._ask_sold_out(unknown))
        if gone:
            self._sold_out |= gone
            self._found.clear()

    def _look(self, store: StoreRow) -> list[UsableOffer]:
        missing = [word for word in self._wanted if not word.in_text(store.text)]
        found = []
        for listing in self._book.at(store.store_id).listings:
            live, ends_at = self._timetable.live(listing.timing, store, self._at)
            may = usable(listing.campaign, live=live, sold_out=self._sold_out, shopper=self._shopper)
            if may and (not missing or all_in(missing, listing.text)):
                found.append(UsableOffer(listing, ends_at))
        return found
