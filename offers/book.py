"""Live campaigns by store, in memory: what a search shows to anybody. Whether one is pushed is for `rules`."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from offers.model import Campaign, CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geofences.model import StoreId, TenantId
    from offers.model import CampaignId
    from offers.store import StoredCampaign


class OfferBook:
    """One writer; readers in other threads see a tenant's offers before or after a change, never in between."""

    def __init__(self) -> None:
        self._stored: dict[CampaignId, StoredCampaign] = {}
        self._by_store: dict[TenantId, dict[StoreId, tuple[Campaign, ...]]] = {}
        self._everywhere: dict[TenantId, tuple[Campaign, ...]] = {}

    def load(self, campaigns: Iterable[StoredCampaign]) -> None:
        self._stored.clear()
        self.apply(campaigns)

    def apply(self, changed: Iterable[StoredCampaign]) -> None:
        """Takes the newest word on some campaigns; those that are not live disappear."""
        tenants = set()
        for stored in changed:
            tenants.add(stored.campaign.tenant_id)
            if stored.campaign.status is CampaignStatus.LIVE:
                self._stored[stored.campaign.campaign_id] = stored
            else:
                self._stored.pop(stored.campaign.campaign_id, None)
        for tenant_id in tenants:
            self._rebuild(tenant_id)

    def _rebuild(self, tenant_id: TenantId) -> None:
        own = [self._stored[key] for key in sorted(self._stored) if self._stored[key].campaign.tenant_id == tenant_id]
        by_store: dict[StoreId, list[Campaign]] = defaultdict(list)
        for stored in own:
            for store_id in stored.campaign.store_ids | stored.stores_of_fences:
                by_store[store_id].append(stored.campaign)
        self._everywhere[tenant_id] = tuple(stored.campaign for stored in own if stored.campaign.targets_everything)
        self._by_store[tenant_id] = {store_id: tuple(found) for store_id, found in by_store.items()}

    def at(self, tenant_id: TenantId, store_id: StoreId) -> tuple[Campaign, ...]:
        """Live campaigns of a store, whether they are on at this hour or not."""
        named = self._by_store.get(tenant_id, {}).get(store_id, ())
        return named + self._everywhere.get(tenant_id, ())
