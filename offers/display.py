"""What is on at each store at this moment, for whoever asks: kept until it changes. Pure.

Knows no stock and no shopper: that is for `usable`. For times that move on, as `timetable`, on which it stands. Threads
may share one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from offers.timetable import FOREVER

if TYPE_CHECKING:
    from datetime import datetime

    from geofences.model import StoreId
    from geofences.nearby import StoreRow
    from offers.book import Listing, Shelf
    from offers.timetable import Timetable

MAX_KEPT: Final = 200_000
"""Stores; when there are more, all are forgotten and come anew as they are asked for."""


class OnOffer(NamedTuple):
    """An offer that is on at a store, and when it ends there; None: never."""

    listing: Listing
    ends_at: datetime | None


class _Kept(NamedTuple):
    store: StoreRow
    listings: tuple[Listing, ...]
    since: datetime
    until: datetime
    on: tuple[OnOffer, ...]


class Display:
    def __init__(self, timetable: Timetable) -> None:
        self.timetable = timetable
        self._kept: dict[StoreId, _Kept] = {}

    def on(self, store: StoreRow, shelf: Shelf, at: datetime) -> tuple[OnOffer, ...]:
        """The offers of a store's shelf that are on at an instant in UTC, in the shelf's order."""
        kept = self._kept.get(store.store_id)
        if (
            kept is None
            or kept.store is not store
            or kept.listings != shelf.listings
            or not kept.since <= at < kept.until
        ):
            kept = self._look(store, shelf, at)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[store.store_id] = kept
        return kept.on

    def _look(self, store: StoreRow, shelf: Shelf, at: datetime) -> _Kept:
        until, on = FOREVER, []
        for listing in shelf.listings:
            live = self.timetable.live(listing.timing, store, at)
            until = min(until, live.until)
            if live.on:
                on.append(OnOffer(listing, live.ends_at))
        return _Kept(store, shelf.listings, at, until, tuple(on))
