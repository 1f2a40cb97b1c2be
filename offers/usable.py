"""Which offers a search may show at a store, now or at another time. Pure; what only Postgres knows is handed in.

`usable` is the one place that says so. What depends on who asks belongs there too: an anonymous search has no shopper
and shows the same offers to everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geofences.words import Word, all_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from geofences.model import DeviceId, StoreId
    from geofences.nearby import StoreRow
    from offers.book import TenantBook
    from offers.display import Display, OnOffer
    from offers.model import Campaign, CampaignId

    AskSoldOut = Callable[[Sequence[CampaignId]], Collection[CampaignId]]
    """Which of some campaigns with a limited stock have none left."""


def usable(campaign: Campaign, *, sold_out: Collection[CampaignId], shopper: DeviceId | None) -> bool:
    """Whether an offer that is on at a store can be used: there is some left, and it is for this shopper.

    `sold_out` are campaigns without stock; `shopper` None is anybody.
    """
    del shopper  # nothing that a campaign says depends on it yet
    return campaign.campaign_id not in sold_out


class UsableOffers:
    """The offers of one search; stock is asked for in bulk."""

    def __init__(
        self,
        book: TenantBook,
        display: Display,
        *,
        at: datetime,
        wanted: Sequence[Word] | None,
        shopper: DeviceId | None,
        ask_sold_out: AskSoldOut,
    ) -> None:
        self._book = book
        self._display = display
        self._at = at
        self._wanted = wanted
        self._shopper = shopper
        self._ask_sold_out = ask_sold_out
        self._asked: set[CampaignId] = set()
        self._sold_out: set[CampaignId] = set()

    def may_be_at(self, store: StoreRow) -> bool:
        """Whether a store has an offer that is on and has the words; stock is left aside."""
        shelf = self._book.at(store.store_id)
        if not shelf.listings:
            return False
        if not self._wanted:
            return self._wanted is None and bool(self._display.on(store, shelf, self._at))
        # words before windows: where hardly any store has them, no window has to be looked at
        missing = [word for word in self._wanted if not word.in_text(store.text)]
        if missing and not all_in(missing, shelf.text):
            return False
        on = self._display.on(store, shelf, self._at)
        return any(all_in(missing, offer.listing.text) for offer in on) if missing else bool(on)

    def hint(self) -> tuple[Word, Collection[StoreId]] | None:
        """What `StoreQuery.hint` asks: the rarest word, and stores that have it in the titles of their offers."""
        if not self._wanted:
            return None
        named = self._book.stores_with(self._wanted[0])
        return None if named is None else (self._wanted[0], named)

    def at(self, store: StoreRow) -> list[OnOffer]:
        """The offers of a store that can be used; stock that was not asked for counts as left."""
        return [offer for offer in self._found(store) if self._is_usable(offer)]

    def ask_stock(self, stores: Sequence[StoreRow]) -> None:
        """Stock moves too fast for a snapshot: it is asked for once a campaign and search, for many stores at once."""
        limited = {
            offer.listing.campaign.campaign_id
            for store in stores
            for offer in self._found(store)
            if offer.listing.campaign.stock is not None and self._is_usable(offer)
        }
        unknown = sorted(limited - self._asked)
        if unknown:
            self._asked.update(unknown)
            self._sold_out.update(self._ask_sold_out(unknown))

    def _found(self, store: StoreRow) -> Sequence[OnOffer]:
        """The offers of a store that are on and have the words."""
        on = self._display.on(store, self._book.at(store.store_id), self._at)
        if not self._wanted:
            return on
        missing = [word for word in self._wanted if not word.in_text(store.text)]
        return [offer for offer in on if all_in(missing, offer.listing.text)] if missing else on

    def _is_usable(self, offer: OnOffer) -> bool:
        return usable(offer.listing.campaign, sold_out=self._sold_out, shopper=self._shopper)
