"""Which offers a search may show at a store, now or at another time. Pure; what only Postgres knows is handed in.

`usable` is the one place that says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from geofences.words import Word, all_in
from offers.audience import fits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from geofences.model import StoreId
    from geofences.nearby import StoreRow
    from offers.book import TenantBook
    from offers.display import Display, OnOffer
    from offers.model import Campaign, CampaignId

    AskSoldOut = Callable[[Sequence[CampaignId]], Collection[CampaignId]]
    """Which of some campaigns with a limited stock have none left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeker:
    """What matters of whoever searches."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    used: frozenset[CampaignId] = frozenset()
    """Campaigns whose offer the person has redeemed."""


ANYBODY: Final = Seeker()
"""Has no attributes and has used nothing: an anonymous search shows everybody the same."""


def usable(campaign: Campaign, *, sold_out: Collection[CampaignId], seeker: Seeker = ANYBODY) -> bool:
    """Whether an offer that is on at a store can be used: there is some left, and it is for whoever searches.

    `sold_out` are campaigns without stock or money.
    """
    if campaign.campaign_id in sold_out or campaign.campaign_id in seeker.used:
        return False
    audience = campaign.definition.audience
    return audience is None or fits(audience, seeker.attributes)


class UsableOffers:
    """The offers of one search; stock is asked for in bulk."""

    def __init__(
        self,
        book: TenantBook,
        display: Display,
        *,
        at: datetime,
        wanted: Sequence[Word] | None,
        seeker: Seeker,
        ask_sold_out: AskSoldOut,
    ) -> None:
        self._book = book
        self._display = display
        self._at = at
        self._wanted = wanted
        self._seeker = seeker
        self._ask_sold_out = ask_sold_out
        self._asked: set[CampaignId] = set()
        self._sold_out: set[CampaignId] = set()

    def may_be_at(self, store: StoreRow) -> bool:
        """Whether a store has an offer for this seeker that is on and has the words; stock counts as left."""
        shelf = self._book.at(store.store_id)
        if not shelf.listings:
            return False
        if not self._wanted:
            return self._wanted is None and any(map(self._is_usable, self._display.on(store, shelf, self._at)))
        # words before windows: where hardly any store has them, no window has to be looked at
        missing = [word for word in self._wanted if not word.in_text(store.text)]
        if missing and not all_in(missing, shelf.text):
            return False
        on = self._display.on(store, shelf, self._at)
        return any(self._is_usable(offer) and (not missing or all_in(missing, offer.listing.text)) for offer in on)

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
            if _is_limited(offer.listing.campaign) and self._is_usable(offer)
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
        return usable(offer.listing.campaign, sold_out=self._sold_out, seeker=self._seeker)


def _is_limited(campaign: Campaign) -> bool:
    return campaign.stock is not None or campaign.definition.budget is not None
