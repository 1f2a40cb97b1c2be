"""How things look in answers, where several routes answer with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from geofences.nearby import Near, StoreRow


class StoreView(BaseModel):
    """A store."""

    store_id: str = Field(examples=["17"])
    external_id: str = Field(examples=["store-42"])
    name: str
    lat: float
    lng: float
    timezone: str = Field(examples=["Europe/Helsinki"])
    brand: str | None
    categories: list[str]
    address: str | None
    phone: str | None
    url: str | None
    opening_hours: str | None = Field(examples=["Mo-Sa 09:00-18:00"])
    attributes: dict[str, Any]

    @classmethod
    def of(cls, row: StoreRow) -> Self:
        return cls(**_store_fields(row))


class NearStoreView(StoreView):
    """A store and how far away it is."""

    distance_m: float = Field(description="Geodesic distance on WGS 84.")

    @classmethod
    def near(cls, found: Near) -> Self:
        return cls(**_store_fields(found.store), distance_m=found.distance_m)


def _store_fields(row: StoreRow) -> dict[str, Any]:
    return {
        "store_id": str(row.store_id),
        "external_id": row.external_id,
        "name": row.name,
        "lat": row.location.lat,
        "lng": row.location.lng,
        "timezone": row.timezone,
        "brand": row.brand,
        "categories": list(row.categories),
        "address": row.address,
        "phone": row.phone,
        "url": row.url,
        "opening_hours": row.opening_hours,
        "attributes": dict(row.attributes),
    }
