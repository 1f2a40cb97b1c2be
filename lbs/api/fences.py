"""Fences: named shapes that devices enter and leave. A change makes a new version that takes over at `effective_at`."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from geofences import geo
from geofences.errors import ConflictError
from geofences.model import SETTINGS_AT_MOST, FenceId, StoreId, TenantId
from geofences.places import FenceInput, delete_fences, put_fences
from lbs.auth import Caller
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.errors import Fault, MalformedError
from lbs.fields import INT64_MAX, ExternalId, ShortText, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.places import StoredFence, fences_after, get_fence
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.shapes import ShapeBody, shape_fields
from lbs.sql import block

router = APIRouter(prefix="/v1/fences", tags=["fences"], route_class=Route)

Seconds = Annotated[float | None, Field(ge=0, le=SETTINGS_AT_MOST["gap_s"], allow_inf_nan=False)]


class ProfileSettings(BaseModel):
    """Single values that differ from the profile's."""

    model_config = ConfigDict(extra="forbid")

    enter_after_s: Seconds = None
    exit_after_s: Seconds = None
    exit_buffer_m: Annotated[float | None, Field(ge=0, le=SETTINGS_AT_MOST["exit_buffer_m"], allow_inf_nan=False)] = (
        None
    )
    min_confidence: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    dwell_s: Annotated[Seconds, Field(description="0 turns dwell off.")] = None
    hold_s: Seconds = None
    gap_s: Annotated[Seconds, Field(description="0 never ends a visit by silence.")] = None
    crossed_within_s: Annotated[
        float | None,
        Field(
            ge=0,
            le=SETTINGS_AT_MOST["crossed_within_s"],
            allow_inf_nan=False,
            description="Tells `visit.crossed` of devices that pass through between two positions at most so far apart;"
            " 0 tells nothing, 120 is usual.",
        ),
    ] = None


class FenceBody(ShapeBody):
    """A fence as its tenant describes it."""

    external_id: ExternalId
    name: ShortText | None = None
    store_id: Annotated[str | None, Field(description="The store that the fence belongs to.", examples=["17"])] = None
    profile: Annotated[
        Literal["standard", "plain"],
        Field(description="`standard` waits before it believes a crossing; `plain` counts every one at once."),
    ] = "standard"
    settings: ProfileSettings = ProfileSettings()


class FenceView(BaseModel):
    """A fence."""

    fence_id: str = Field(examples=["23"])
    external_id: str
    name: str | None
    store_id: str | None
    geometry: dict[str, Any] = Field(description="GeoJSON; a circle is a Point with `radius_m`.")
    radius_m: float | None
    profile: str
    settings: dict[str, float]
    version: int
    effective_at: datetime = Field(description="From when on positions are judged by this version.")
    created_at: datetime
    updated_at: datetime
    warnings: list[str] = Field(default=[], description="What was changed about the geometry, for people.")

    @classmethod
    def of(cls, fence: StoredFence, warnings: list[str] | None = None) -> Self:
        return cls(
            fence_id=str(fence.fence_id),
            external_id=fence.external_id,
            name=fence.name,
            store_id=None if fence.store_id is None else str(fence.store_id),
            **shape_fields(fence.shape),
            profile=fence.profile,
            settings=dict(fence.settings),
            version=fence.version,
            effective_at=fence.effective_at,
            created_at=fence.created_at,
            updated_at=fence.updated_at,
            warnings=warnings or [],
        )


@router.post("", operation_id="create_fence", status_code=201, responses=OF_EVERY_WRITE)
def create_fence(body: FenceBody, caller: Permitted, connection: Tx, services: ServicesDep) -> FenceView:
    """Create a fence. It is in force everywhere from `effective_at` on."""
    if fences_after(connection, caller.tenant_id, after=0, limit=1, external_id=body.external_id):
        raise ConflictError(f"a fence with external_id {body.external_id!r} exists already")
    return _put(connection, caller, services, body)


@router.get("", operation_id="list_fences", responses=OF_EVERY_READ)
def list_fences(
    caller: Permitted,
    connection: Tx,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
    external_id: Annotated[ExternalId | None, Query(description="Only the fence of this external id.")] = None,
    store_id: Annotated[str | None, Query(description="Only the fences of this store.")] = None,
    q: Annotated[ShortText | None, Query(description="Only those whose name or external id holds this text.")] = None,
) -> Page[FenceView]:
    """List fences in the order in which they were created."""
    rows = fences_after(
        connection,
        caller.tenant_id,
        after=id_after(cursor),
        limit=limit + 1,
        external_id=external_id,
        store_id=None if store_id is None else id_of(store_id, "store"),
        q=q,
    )
    page, more = cut(rows, limit)
    return Page(items=[FenceView.of(row) for row in page], next_cursor=cursor_of(page[-1].fence_id) if more else None)


@router.get("/{fence_id}", operation_id="get_fence", responses={**OF_EVERY_READ, **declared(404)})
def read_fence(fence_id: str, caller: Permitted, connection: Tx) -> FenceView:
    """Get the newest version of a fence."""
    return FenceView.of(get_fence(connection, caller.tenant_id, id_of(fence_id, "fence")))


@router.put("/{fence_id}", operation_id="replace_fence", responses={**OF_EVERY_WRITE, **declared(404)})
def replace_fence(
    fence_id: str, body: FenceBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> FenceView:
    """Replace a fence; its `external_id` stays. Visits under way are judged anew by the new version."""
    before = get_fence(connection, caller.tenant_id, id_of(fence_id, "fence"))
    if before.external_id != body.external_id:
        raise ConflictError("a fence's external_id cannot change: create another fence")
    return _put(connection, caller, services, body)


@router.delete(
    "/{fence_id}", operation_id="delete_fence", status_code=204, responses={**OF_EVERY_WRITE, **declared(404)}
)
def delete_fence(fence_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> Response:
    """Delete a fence; whoever is inside leaves with `fence_changed`."""
    fence = get_fence(connection, caller.tenant_id, id_of(fence_id, "fence"))
    now = services.now()
    delete_fences(
        connection,
        tenant_id=caller.tenant_id,
        fence_ids=[fence.fence_id],
        now=now,
        effective_at=services.effective_at(now, sandbox=caller.sandbox),
    )
    return Response(status_code=204)


def _put(connection: sa.Connection, caller: Caller, services: Services, body: FenceBody) -> FenceView:
    shape, warnings = body.to_shape()
    now = services.now()
    fence = FenceInput(
        external_id=body.external_id,
        kind=geo.kind_of(shape),
        shape=shape,
        profile=body.profile,
        settings=body.settings.model_dump(exclude_none=True),
        name=body.name,
        store_id=_store_of(connection, caller.tenant_id, body.store_id),
    )
    done = put_fences(
        connection,
        tenant_id=caller.tenant_id,
        rows=[fence],
        now=now,
        effective_at=services.effective_at(now, sandbox=caller.sandbox),
    )
    fence_id: FenceId = done[body.external_id][0]
    return FenceView.of(get_fence(connection, caller.tenant_id, fence_id), warnings)


def _store_of(connection: sa.Connection, tenant_id: TenantId, text: str | None) -> StoreId | None:
    if text is None:
        return None
    asked = int(text) if text.isascii() and text.isdecimal() else -1
    found = (
        connection.execute(block("store_exists"), {"tenant_id": tenant_id, "store_id": asked}).scalar()
        if 0 <= asked <= INT64_MAX
        else None
    )
    if found is None:
        raise MalformedError("body.store_id: no such store", Fault("body.store_id", "no such store"))
    return StoreId(found)
