"""Where a campaign's decisions were triggered, by H3 cell."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import id_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from offers.model import CampaignId
from offers.store import get_campaign
from offers.triggers import COARSEST_RES, FINEST_RES, triggers

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)


class TriggeredCellView(BaseModel):
    cell: str = Field(
        description="H3 cell of the stores or fences that decisions were about.", examples=["891126d338fffff"]
    )
    decisions: int = Field(description="Rounded down to a multiple of `k`.")
    devices: int = Field(description="Rounded down to a multiple of `k`.")


class Triggers(BaseModel):
    """A cell in which fewer than `k` devices were decided about counts nowhere, in no resolution."""

    k: int
    resolution: int
    items: list[TriggeredCellView]


@router.get("/{campaign_id}/triggers", operation_id="campaign_triggers", responses={**OF_EVERY_READ, **declared(404)})
def campaign_triggers(
    campaign_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    resolution: Annotated[int, Query(ge=COARSEST_RES, le=FINEST_RES, description="Of the H3 cells.")] = 9,
) -> Triggers:
    """Count the campaign's decisions, whatever their outcome, by the place that they were about."""
    number = CampaignId(id_of(campaign_id, "campaign"))
    get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=number)
    k = services.settings.k_anonymity
    found = triggers(connection, caller.tenant_id, number, res=resolution, k=k)
    return Triggers(
        k=k,
        resolution=resolution,
        items=[TriggeredCellView(cell=f"{one.cell:x}", decisions=one.decisions, devices=one.devices) for one in found],
    )
