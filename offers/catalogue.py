"""What the decider keeps in memory: live campaigns by what they wait for, and the places offers are used at.

A snapshot that follows the numbered changes; the truth stays in Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geofences.ids import stable_id
from geofences.model import FenceId, LatLng, StoreId, TenantId
from geofences.sql import queries
from geofences.tables import ChangeKind
from geofences.zones import zone, zone_at
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours
from offers.model import Campaign, CampaignId, CampaignStatus, TriggerType
from offers.rules import Place
from offers.store import load_campaigns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy as sa


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPlace:
    """A place with what a message says of it."""

    place: Place
    name: str
    location: LatLng
    store_id: StoreId | None
    place_id: int
    """Follows from what a decision knows of it: zone, hours, location."""
    opening_hours: str | None


def hours_of(text: str | None, zone_name: str, location: LatLng) -> OpeningHours | None:
    """Opening hours as rules need them: None where there are none or nobody can read them."""
    if not text:
        return None
    try:
        return OpeningHours.parse(text, zone=zone(zone_name), location=location)
    except InvalidHoursError:
        return None


class Catalogue:
    """Live campaigns and places. Not thread-safe: it belongs to the decider's thread."""

    def __init__(self) -> None:
        self._number = -1
        self._campaigns: dict[CampaignId, Campaign] = {}
        self._waiting: dict[tuple[TenantId, TriggerType], dict[CampaignId, Campaign]] = {}
        self._fence_places: dict[FenceId, NamedPlace] = {}
        self._store_places: dict[StoreId, NamedPlace] = {}

    def refresh(self, connection: sa.Connection) -> None:
        """Applies what changed since the last call; everything, the first time."""
        if self._number < 0:
            self._number = connection.execute(queries("geofences")["newest_change"]).scalar_one()
            self._put(stored.campaign for stored in load_campaigns(connection))
            return
        changes = connection.execute(queries("geofences")["changes_after"], {"number": self._number}).all()
        if not changes:
            return
        touched = {row.object_id for row in changes if row.kind == ChangeKind.CAMPAIGN}
        if touched:
            self._put(stored.campaign for stored in load_campaigns(connection, campaign_ids=sorted(touched)))
        if any(row.kind in {ChangeKind.STORE, ChangeKind.FENCE} for row in changes):
            self._fence_places.clear()
            self._store_places.clear()
        self._number = changes[-1].number

    def _put(self, campaigns: Iterable[Campaign]) -> None:
        for campaign in campaigns:
            before = self._campaigns.pop(campaign.campaign_id, None)
            if before is not None:
                self._waiting[_key(before)].pop(before.campaign_id, None)
            if campaign.status is CampaignStatus.LIVE:
                self._campaigns[campaign.campaign_id] = campaign
                self._waiting.setdefault(_key(campaign), {})[campaign.campaign_id] = campaign

    def campaign(self, campaign_id: CampaignId) -> Campaign | None:
        """A live campaign."""
        return self._campaigns.get(campaign_id)

    def campaigns_for(
        self, *, tenant_id: TenantId, trigger: TriggerType, fence_id: FenceId, store_id: StoreId | None
    ) -> list[Campaign]:
        """Live campaigns that such an event at such a place concerns, in id order."""
        waiting = self._waiting.get((tenant_id, trigger), {})
        return [waiting[key] for key in sorted(waiting) if waiting[key].wants(fence_id=fence_id, store_id=store_id)]

    def load_places(
        self, connection: sa.Connection, *, fence_ids: Sequence[FenceId], store_ids: Sequence[StoreId]
    ) -> None:
        """Makes sure that `fence_place` and `store_place` know these."""
        missing = [fence_id for fence_id in fence_ids if fence_id not in self._fence_places]
        if missing:
            for row in connection.execute(queries("offers")["places"], {"fence_ids": missing}):
                self._fence_places[row.fence_id] = _place(row)
        absent = [store_id for store_id in store_ids if store_id not in self._store_places]
        if absent:
            for row in connection.execute(queries("offers")["store_places"], {"store_ids": absent}):
                self._store_places[row.store_id] = _place(row)

    def fence_place(self, fence_id: FenceId) -> NamedPlace:
        return self._fence_places[fence_id]

    def store_place(self, store_id: StoreId) -> NamedPlace:
        return self._store_places[store_id]


def place_of_store(connection: sa.Connection, store_id: StoreId) -> NamedPlace:
    """Of a store that surely exists, for those who keep none in memory."""
    return _place(connection.execute(queries("offers")["store_places"], {"store_ids": [store_id]}).one())


def _key(campaign: Campaign) -> tuple[TenantId, TriggerType]:
    return campaign.tenant_id, TriggerType(campaign.definition.trigger.type)


def _place(row: Any) -> NamedPlace:
    location = LatLng(lat=row.lat, lng=row.lng)
    zone_name = row.timezone or zone_at(location)
    return NamedPlace(
        place=Place(zone=zone(zone_name), hours=hours_of(row.opening_hours, zone_name, location)),
        name=row.name or "",
        location=location,
        store_id=None if row.store_id is None else StoreId(row.store_id),
        place_id=place_id_of(row.tenant_id, zone_name, row.opening_hours, location),
        opening_hours=row.opening_hours,
    )


def place_id_of(tenant_id: int, zone_name: str, opening_hours: str | None, location: LatLng) -> int:
    """The number of a row of `offers.places`."""
    said = f"{zone_name}\n{location.lat!r}\n{location.lng!r}\n{opening_hours or ''}"
    return stable_id(b"place", tenant_id, text=said)
