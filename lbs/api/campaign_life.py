"""The steps of a campaign's life over HTTP, who took them, and what it said before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lbs.deps import SecretCaller, ServicesDep, Tx
from lbs.fields import id_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from offers.lifecycle import Move, history, move_campaign
from offers.model import CampaignId, CampaignStatus
from offers.store import get_campaign

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)

MoveName = Literal["submit", "withdraw", "approve", "pause", "resume", "stop", "archive", "unarchive"]
"""All of `Move` that need no word with them."""


class CampaignState(BaseModel):
    campaign_id: str
    status: CampaignStatus


class Rejection(BaseModel):
    """Why a campaign goes back to its authors."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True)]


class VersionView(BaseModel):
    version: int
    created_at: datetime
    created_by: str = Field(examples=["user:12"])


class MoveView(BaseModel):
    """One step of a campaign's life."""

    move: str = Field(description="As in the routes, or `edit`, `begin` (its first day), `end` (after its last).")
    status: CampaignStatus = Field(description="After it.")
    version: int
    at: datetime
    actor: str = Field(examples=["user:12", "scheduler"])
    reason: str | None = Field(description="Of a rejection.")


class History(BaseModel):
    """Everything that was done to a campaign, oldest first."""

    versions: list[VersionView]
    moves: list[MoveView]


@router.get("/{campaign_id}/history", operation_id="campaign_history", responses={**OF_EVERY_READ, **declared(404)})
def read_history(campaign_id: str, caller: SecretCaller, connection: Tx) -> History:
    """List the campaign's versions and the steps of its life, with who made them."""
    internal_id = CampaignId(id_of(campaign_id, "campaign"))
    get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=internal_id)
    versions, moves = history(connection, tenant_id=caller.tenant_id, campaign_id=internal_id)
    return History(
        versions=[
            VersionView(version=one.version, created_at=one.created_at, created_by=one.created_by) for one in versions
        ],
        moves=[
            MoveView(
                move=one.move,
                status=one.status,
                version=one.version,
                at=one.at,
                actor=one.actor,
                reason=one.reason,
            )
            for one in moves
        ],
    )


@router.post("/{campaign_id}/reject", operation_id="reject_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def reject_campaign(
    campaign_id: str, body: Rejection, caller: SecretCaller, connection: Tx, services: ServicesDep
) -> CampaignState:
    """Send a submitted campaign back to draft, saying why."""
    status = move_campaign(
        connection,
        tenant_id=caller.tenant_id,
        campaign_id=CampaignId(id_of(campaign_id, "campaign")),
        move=Move.REJECT,
        actor=caller.actor,
        now=services.now(),
        reason=body.reason,
    )
    return CampaignState(campaign_id=campaign_id, status=status)


# last: its path would hide every other of the same form
@router.post("/{campaign_id}/{move}", operation_id="move_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def post_move(
    campaign_id: str, move: MoveName, caller: SecretCaller, connection: Tx, services: ServicesDep
) -> CampaignState:
    """Take a campaign one step on: draft, submitted, approved, live, paused, ended, archived.

    `approve` answers `approved` if its first day has begun nowhere on Earth yet. `stop` expires what is queued.
    """
    status = move_campaign(
        connection,
        tenant_id=caller.tenant_id,
        campaign_id=CampaignId(id_of(campaign_id, "campaign")),
        move=move,
        actor=caller.actor,
        now=services.now(),
    )
    return CampaignState(campaign_id=campaign_id, status=status)
