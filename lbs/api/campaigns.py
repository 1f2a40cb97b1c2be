"""Campaigns: drafting them, and what came of them. A campaign's windows are always its stores' own time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Self

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from geofences.model import StoreId
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import INT32_MAX, SeenVersion, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from offers.catalogue import hours_of
from offers.definition import CampaignDefinition
from offers.definition import Windows as WindowsDefinition
from offers.lift import LEAST_P, Effect, Measure, measure_lift
from offers.model import CampaignId, CampaignStatus
from offers.schedule import Schedule, next_windows
from offers.store import (
    StoredCampaign,
    create_campaign,
    get_campaign,
    load_campaigns,
    load_store_place,
    load_version,
    update_campaign,
)

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)


class CampaignView(CampaignDefinition):
    """A campaign as it is stored."""

    campaign_id: str = Field(examples=["12"])
    status: CampaignStatus
    version: int
    reserved: int = Field(description="Units of the stock that are held or redeemed.")
    created_at: datetime
    updated_at: datetime
    created_by: str

    @classmethod
    def of(cls, stored: StoredCampaign) -> Self:
        campaign = stored.campaign
        return cls(
            **dict(campaign.definition),
            campaign_id=str(campaign.campaign_id),
            status=campaign.status,
            version=campaign.version,
            reserved=stored.reserved,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
            created_by=stored.created_by,
        )


class Window(BaseModel):
    """One time the campaign is on, in the store's own time."""

    starts_at: datetime
    ends_at: datetime | None = Field(description="Null: it never ends.")


class Windows(BaseModel):
    timezone: str
    items: list[Window]


class DraftWindows(BaseModel):
    """Windows that need not be stored yet, and a store to look at them from."""

    model_config = ConfigDict(extra="forbid")

    windows: WindowsDefinition
    store_id: str
    n: Annotated[int, Field(ge=1, le=100)] = 10


class EffectView(BaseModel):
    """One thing measured on both sides. The interval is of `difference`, at 95 %."""

    measure: Measure = Field(
        description="`visited`: the share of people who came to one of the campaign's stores once more; `redeemed`: the"
        " share who used it at a till; `revenue`: what a person's orders with it came to, on average."
    )
    currency: str | None = Field(description="Of `revenue`.", examples=["EUR"])
    offered: float
    held_out: float
    difference: float
    low: float | None = Field(description="Null while fewer than 30 people on a side are through.")
    high: float | None

    @classmethod
    def of(cls, found: Effect) -> Self:
        return cls(
            measure=found.measure,
            currency=found.currency,
            offered=found.offered,
            held_out=found.held_out,
            difference=found.difference,
            low=found.low,
            high=found.high,
        )


class LiftView(BaseModel):
    """What the messages changed: people by their first lot, each looked at for one attribution window after it."""

    campaign_id: str
    attribution_s: float
    offered: int = Field(description="People whose window is over, whether or not the message reached them.")
    held_out: int
    waiting: int = Field(description="People whose window is not over yet.")
    sample_ratio_p: float = Field(description="How likely fair lots fall at least so unevenly.")
    sample_ratio_ok: bool = Field(description="False: something kept people out on one side only; trust no figure.")
    effects: list[EffectView]


@router.post("", operation_id="create_campaign", status_code=201, responses=OF_EVERY_WRITE)
def post_campaign(body: CampaignDefinition, caller: Permitted, connection: Tx, services: ServicesDep) -> CampaignView:
    """Create a draft. Nothing is offered before it is submitted and approved."""
    campaign_id = create_campaign(
        connection, tenant_id=caller.tenant_id, definition=body, created_by=caller.actor, now=services.now()
    )
    return CampaignView.of(get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=campaign_id))


@router.get("", operation_id="list_campaigns", responses=OF_EVERY_READ)
def list_campaigns(
    caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[CampaignView]:
    """List campaigns in the order in which they were created."""
    rows = list(load_campaigns(connection, tenant_id=caller.tenant_id, after=id_after(cursor), limit=limit + 1))
    page, more = cut(rows, limit)
    return Page(
        items=[CampaignView.of(row) for row in page],
        next_cursor=cursor_of(page[-1].campaign.campaign_id) if more else None,
    )


@router.get("/{campaign_id}", operation_id="get_campaign", responses={**OF_EVERY_READ, **declared(404)})
def read_campaign(
    campaign_id: str,
    caller: Permitted,
    connection: Tx,
    version: Annotated[int | None, Query(ge=1, le=INT32_MAX, description="What it said then; none: now.")] = None,
) -> CampaignView:
    """Get one campaign, as it is or as a version of it was written."""
    stored = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id))
    if version is not None:
        definition = load_version(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id), version=version)
        stored = replace(stored, campaign=replace(stored.campaign, definition=definition, version=version))
    return CampaignView.of(stored)


@router.put("/{campaign_id}", operation_id="replace_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def put_campaign(
    campaign_id: str,
    body: CampaignDefinition,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    version: SeenVersion = None,
) -> CampaignView:
    """Replace a campaign that is not live; makes a new version, which is a draft until it is approved."""
    update_campaign(
        connection,
        tenant_id=caller.tenant_id,
        campaign_id=_id(campaign_id),
        definition=body,
        actor=caller.actor,
        now=services.now(),
        edited=version,
    )
    return CampaignView.of(get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id)))


@router.post(
    "/{campaign_id}/clone",
    operation_id="clone_campaign",
    status_code=201,
    responses={**OF_EVERY_WRITE, **declared(404)},
)
def clone_campaign(campaign_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> CampaignView:
    """Make a new draft that says the same."""
    stored = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id))
    return post_campaign(stored.campaign.definition, caller, connection, services)


@router.get("/{campaign_id}/windows", operation_id="preview_windows", responses={**OF_EVERY_READ, **declared(404)})
def preview_windows(
    campaign_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    store_id: Annotated[str, Query(description="The store whose time and opening hours count.")],
    n: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Windows:
    """The next times the campaign is on at a store."""
    campaign = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id)).campaign
    return _next_windows(connection, campaign.schedule, store_id=store_id, n=n, now=services.now())


@router.post("/windows", operation_id="preview_draft_windows", responses={**OF_EVERY_WRITE, **declared(404)})
def preview_draft_windows(body: DraftWindows, _: Permitted, connection: Tx, services: ServicesDep) -> Windows:
    """The next times that windows would be on at a store; stores nothing."""
    schedule = body.windows.schedule()
    return _next_windows(connection, schedule, store_id=body.store_id, n=body.n, now=services.now())


def _next_windows(connection: sa.Connection, schedule: Schedule, *, store_id: str, n: int, now: datetime) -> Windows:
    place = load_store_place(connection, StoreId(id_of(store_id, "store")))
    hours = hours_of(place.opening_hours, place.zone.key, place.location)
    found = next_windows(schedule, zone=place.zone, after=now, n=n, hours=hours)
    return Windows(
        timezone=place.zone.key,
        items=[
            Window(
                starts_at=starts_at.astimezone(place.zone),
                ends_at=None if ends_at is None else ends_at.astimezone(place.zone),
            )
            for starts_at, ends_at in found
        ],
    )


@router.get("/{campaign_id}/lift", operation_id="lift_of_campaign", responses={**OF_EVERY_READ, **declared(404)})
def lift(campaign_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> LiftView:
    """Compare those who were offered it with those who were held out by lot. Needs a `holdout_share`."""
    campaign = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id)).campaign
    found = measure_lift(connection, campaign, now=services.now())
    return LiftView(
        campaign_id=campaign_id,
        attribution_s=campaign.definition.attribution_s,
        offered=found.offered,
        held_out=found.held_out,
        waiting=found.waiting,
        sample_ratio_p=found.sample_ratio_p,
        sample_ratio_ok=found.sample_ratio_p >= LEAST_P,
        effects=[EffectView.of(effect) for effect in found.effects],
    )


def _id(text: str) -> CampaignId:
    return CampaignId(id_of(text, "campaign"))
