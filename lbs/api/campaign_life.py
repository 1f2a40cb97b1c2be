"""The steps of a campaign's life over HTTP, who took them, and what it said before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from geofences.errors import NotFoundError
from geofences.model import StoreId
from geofences.store import find_device
from geofences.tables import Purpose, stores
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.errors import NoConsentError
from lbs.fields import ExternalId, SeenVersion, id_of
from lbs.limits import count
from lbs.people import names_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from offers.catalogue import load_place
from offers.lifecycle import Move, history, move_campaign
from offers.model import CampaignId, CampaignStatus
from offers.shoppers import load_recipients
from offers.store import StoredCampaign, get_campaign, lock_campaign, put_move
from offers.trial import LASTS, send_test

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)

TESTS_A_MINUTE = 20
MoveName = Literal["submit", "withdraw", "approve", "pause", "resume", "stop", "archive", "unarchive"]
"""All of `Move` that need no word with them."""


class CampaignState(BaseModel):
    campaign_id: str
    status: CampaignStatus


class Rejection(BaseModel):
    """Why a campaign goes back to its authors."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True)]


class Note(BaseModel):
    """What whoever takes a step wants to have remembered with it."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str | None, StringConstraints(max_length=1000, strip_whitespace=True)] = None


class TrialBody(BaseModel):
    """Whom to send a test to, and which store it is about; none: the campaign's first."""

    model_config = ConfigDict(extra="forbid")

    device_id: ExternalId
    store_id: str | None = None


class TrialMessage(BaseModel):
    message_id: str
    channel: str


class TrialSent(BaseModel):
    """What was queued: one message a channel, and one for the inbox."""

    messages: list[TrialMessage]
    expires_at: datetime


class VersionView(BaseModel):
    version: int
    created_at: datetime
    created_by: str = Field(examples=["user:12"])


class MoveView(BaseModel):
    """One step of a campaign's life."""

    move: str = Field(
        description="As in the routes, `test-send` too, or `edit`, `begin` (its first day), `end` (after its last)."
    )
    status: CampaignStatus = Field(description="After it.")
    version: int
    at: datetime
    actor: str = Field(examples=["user:12", "scheduler"])
    reason: str | None = Field(description="Why a rejection; of other steps what was said with them, if anything.")


class History(BaseModel):
    """Everything that was done to a campaign, oldest first."""

    versions: list[VersionView]
    moves: list[MoveView]
    people: dict[str, str] = Field(description="Names of the actors that are people.", examples=[{"user:12": "Anna"}])


@router.get("/{campaign_id}/history", operation_id="campaign_history", responses={**OF_EVERY_READ, **declared(404)})
def read_history(campaign_id: str, caller: Permitted, connection: Tx) -> History:
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
        people=names_of(connection, {*(one.created_by for one in versions), *(one.actor for one in moves)}),
    )


@router.post("/{campaign_id}/reject", operation_id="reject_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def reject_campaign(
    campaign_id: str,
    body: Rejection,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    version: SeenVersion = None,
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
        version=version,
    )
    return CampaignState(campaign_id=campaign_id, status=status)


@router.post(
    "/{campaign_id}/test-send",
    operation_id="test_send_campaign",
    status_code=202,
    responses={**OF_EVERY_WRITE, **declared(404, 429)},
)
def send_test_message(
    campaign_id: str, body: TrialBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> TrialSent:
    """Send the campaign's message to one device, in any state of the campaign, marked by `data.test`.

    It reserves nothing, counts for no cap, and no window or quiet time holds it back; the device must consent to push.
    At most 20 a minute.
    """
    count(services, "tested", whose=caller.tenant_id, at_most=TESTS_A_MINUTE, told="20 tests a minute are enough")
    now = services.now()
    internal_id = CampaignId(id_of(campaign_id, "campaign"))
    stored = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=internal_id)
    device = find_device(connection, tenant_id=caller.tenant_id, external_id=body.device_id)
    if not device.consented(Purpose.PUSH):
        raise NoConsentError("this device has not consented to push")
    place = load_place(connection, _store_of(connection, stored, body.store_id))
    recipient = load_recipients(connection, [device.device_id], [])[device.device_id]
    sent = send_test(connection, stored.campaign, recipient, place, now=now)
    row = lock_campaign(connection, caller.tenant_id, internal_id)
    put_move(connection, row, move="test-send", status=CampaignStatus(row.status), actor=caller.actor, now=now)
    return TrialSent(
        messages=[TrialMessage(message_id=message, channel=channel) for message, channel in sent.items()],
        expires_at=now + LASTS,
    )


def _store_of(connection: sa.Connection, stored: StoredCampaign, named: str | None) -> StoreId:
    """The store a test is about: the one that is named, else the first of the campaign, else of the tenant."""
    if named is not None:
        return StoreId(id_of(named, "store"))
    targets = stored.campaign.store_ids | stored.stores_of_fences
    if targets:
        return min(targets)
    first = sa.select(sa.func.min(stores.c.store_id)).where(
        stores.c.tenant_id == stored.campaign.tenant_id, stores.c.deleted_at.is_(None)
    )
    found = connection.execute(first).scalar()
    if found is None:
        raise NotFoundError("there is no store to write about")
    return StoreId(found)


# last: its path would hide every other of the same form
@router.post("/{campaign_id}/{move}", operation_id="move_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def post_move(
    campaign_id: str,
    move: MoveName,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    version: SeenVersion = None,
    body: Note | None = None,
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
        reason=None if body is None else body.reason or None,
        version=version,
    )
    return CampaignState(campaign_id=campaign_id, status=status)
