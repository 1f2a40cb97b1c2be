"""Stores and campaigns for tests of searches, in memory, and what a search answers by looking at every one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from geofences.model import LatLng, StoreId, TenantId
from geofences.nearby import StoreRow, StoreSnapshot
from offers.book import OfferBook
from offers.definition import CampaignDefinition
from offers.display import Display
from offers.model import Campaign, CampaignId, CampaignStatus
from offers.search import Answer, Search, Searcher
from offers.store import StoredCampaign
from offers.timetable import Timetable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

TENANT = TenantId(1)
HERE = LatLng(lat=60.17, lng=24.94)
AT = datetime(2026, 6, 3, 9, tzinfo=UTC)
"""A Wednesday, noon in Helsinki."""
METRE_DEG = 1 / 111_400
"""A metre north, in Helsinki, about."""


def store(number: int, metres: float, **given: Any) -> StoreRow:
    """A store so far north of HERE."""
    fields = {"name": f"Shop {number}", "timezone": "Europe/Helsinki", "tenant_id": TENANT, **given}
    return StoreRow(
        store_id=StoreId(number),
        external_id=f"e{number}",
        location=LatLng(lat=HERE.lat + metres * METRE_DEG, lng=HERE.lng),
        **fields,
    )


def campaign(
    number: int,
    stores: Iterable[int] = (),
    *,
    live: bool = True,
    title: str = "Deal",
    tenant_id: TenantId = TENANT,
    **given: Any,
) -> StoredCampaign:
    """A campaign of these stores; of all if there are none."""
    fields = {"name": "c", "offer": {"kind": "other"}, "creatives": [{"title": title}], **given}
    definition = CampaignDefinition.model_validate(fields)
    return StoredCampaign(
        campaign=Campaign(
            campaign_id=CampaignId(number),
            tenant_id=tenant_id,
            status=CampaignStatus.LIVE if live else CampaignStatus.PAUSED,
            version=1,
            definition=definition,
            schedule=definition.windows.schedule(),
            fence_ids=frozenset(),
            store_ids=frozenset(map(StoreId, stores)),
            stock=definition.stock,
            holdout_salt=b"",
        ),
        stores_of_fences=frozenset(),
        reserved=0,
        created_at=AT,
        updated_at=AT,
        created_by="test",
    )


class Town:
    """Snapshots as the API process has them, and one searcher over them."""

    def __init__(self, stores: Iterable[StoreRow] = (), campaigns: Iterable[StoredCampaign] = ()) -> None:
        self.stores, self.book = StoreSnapshot(), OfferBook()
        self.stores.load(stores)
        self.book.load(campaigns)
        self.sold_out: set[int] = set()
        self.asked: list[list[int]] = []
        self.searcher = Searcher(
            stores=self.stores, book=self.book, display=Display(Timetable()), ask_sold_out=self._ask_sold_out
        )

    def offers(self, **asked: Any) -> list[Answer]:
        return self.searcher.offers(question(**asked))

    def found(self, **asked: Any) -> list[int]:
        """Ids of the stores with offers."""
        return [answer.near.store.store_id for answer in self.offers(**asked)]

    def _ask_sold_out(self, campaign_ids: Sequence[CampaignId]) -> Collection[CampaignId]:
        self.asked.append(list(campaign_ids))
        return [campaign_id for campaign_id in campaign_ids if campaign_id in self.sold_out]


def question(**asked: Any) -> Search:
    return Search(**{"tenant_id": TENANT, "origin": HERE, "at": AT, "limit": 100, **asked})
