"""Questions about fences that store nothing: which fences hold a position, and what a geometry would become."""

from datetime import datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from geofences import geo
from geofences.cover import cover
from geofences.index import FenceIndex, confidence
from geofences.model import FenceKind, TenantId
from geofences.visits import to_us
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import Latitude, Longitude
from lbs.places import fences_overlapping
from lbs.routes import OF_EVERY_WRITE, Route
from lbs.shapes import ShapeBody, shape_fields

router = APIRouter(prefix="/v1/fences", tags=["fences"], route_class=Route)

RESOLUTION_SHIFT = 52
"""Where an H3 index keeps its resolution, in 4 bits."""

MOST_OVERLAPS = 20


class MatchPosition(BaseModel):
    """A position to be matched."""

    model_config = ConfigDict(extra="forbid")

    lat: Latitude
    lng: Longitude
    accuracy_m: Annotated[float | None, Field(ge=0, allow_inf_nan=False, description="68 % radius.")] = None


class MatchBody(BaseModel):
    """Positions to be matched with the tenant's fences as they are now."""

    model_config = ConfigDict(extra="forbid")

    positions: Annotated[list[MatchPosition], Field(min_length=1, max_length=1000)]


class MatchedFence(BaseModel):
    """A fence that holds the position."""

    fence_id: str
    external_id: str
    signed_distance_m: float = Field(description="To the nearest border; positive inside.")
    confidence: float = Field(description="Probability that the position really lies in the fence.")


class MatchAnswer(BaseModel):
    """One list for each position, in their order."""

    items: list[list[MatchedFence]]


class OverlappedFence(BaseModel):
    """A fence that exists already."""

    fence_id: str
    external_id: str
    name: str | None


class PreviewAnswer(BaseModel):
    """What a fence of this shape would be."""

    kind: FenceKind
    geometry: dict[str, Any]
    radius_m: float | None
    area_m2: float
    cells: list[str] = Field(description="H3 cells by which the engine finds the fence.")
    resolution: int = Field(description="H3 resolution of the cells.")
    best_confidence: float = Field(
        description="Of a position well inside from a phone that does not say how accurate it is (20 m). Where that is"
        " less than the profile's `min_confidence`, hardly anybody ever enters."
    )
    overlaps: list[OverlappedFence] = Field(description="Fences that share some of it, the first 20.")
    warnings: list[str]


@router.post("/match", operation_id="match_fences", responses=OF_EVERY_WRITE)
def match_fences(body: MatchBody, caller: Permitted, services: ServicesDep) -> MatchAnswer:
    """Find the fences that hold each position. Nothing is stored and no visit begins."""
    return MatchAnswer(items=_match(services.memory.fences.index, caller.tenant_id, body.positions, services.now()))


@router.post("/preview", operation_id="preview_fence", responses=OF_EVERY_WRITE)
def preview_fence(body: ShapeBody, caller: Permitted, connection: Tx) -> PreviewAnswer:
    """Clean a geometry and show its area and the very cells that the engine would use. Nothing is stored."""
    shape, warnings = body.to_shape()
    cells = cover(shape)
    area_m2 = geo.area_m2(shape)
    overlaps = fences_overlapping(connection, caller.tenant_id, shape, cells, limit=MOST_OVERLAPS)
    return PreviewAnswer(
        kind=geo.kind_of(shape),
        **shape_fields(shape),
        area_m2=area_m2,
        cells=[f"{cell:x}" for cell in cells],
        resolution=(cells[0] >> RESOLUTION_SHIFT) & 0xF,
        best_confidence=float(confidence(np.array([np.inf]), np.array([np.nan]), np.array([area_m2]))[0]),
        overlaps=[
            OverlappedFence(fence_id=str(fence_id), external_id=external_id, name=name)
            for fence_id, external_id, name in overlaps
        ],
        warnings=warnings,
    )


def _match(
    index: FenceIndex, tenant_id: TenantId, positions: list[MatchPosition], now: datetime
) -> list[list[MatchedFence]]:
    lat = np.array([position.lat for position in positions], dtype=np.float64)
    lng = np.array([position.lng for position in positions], dtype=np.float64)
    accuracy_m = np.array([position.accuracy_m for position in positions], dtype=np.float64)  # None becomes NaN
    pairs = index.match(
        np.full(len(positions), tenant_id, dtype=np.int32),
        lat,
        lng,
        np.full(len(positions), to_us(now), dtype=np.int64),
    )
    rows, slots = pairs.position, pairs.slot
    distance_m = index.measure(slots, lat[rows], lng[rows])
    believed = confidence(distance_m, accuracy_m[rows], index.area_m2(slots))
    found: list[list[MatchedFence]] = [[] for _ in positions]
    for row, slot, metres, value in zip(
        rows.tolist(), slots.tolist(), distance_m.tolist(), believed.tolist(), strict=True
    ):
        fence = index.fence_at(slot)
        found[row].append(
            MatchedFence(
                fence_id=str(fence.fence_id), external_id=fence.external_id, signed_distance_m=metres, confidence=value
            )
        )
    return found
