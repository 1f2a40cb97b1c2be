"""The life of a campaign: which step may follow which, who may take it, and what is written of it.

    draft -> submitted -> approved -> live <-> paused -> ended -> archived

`MOVES` is the whole of it. A step and its row of `campaign_moves` are one transaction with the campaign's row locked:
of two at once the second is judged by what the first left. An edit takes a campaign back to draft, a paused one too:
no version goes live that was not approved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.errors import ConflictError
from geofences.model import TenantId
from geofences.sql import queries
from geofences.store import announce
from geofences.tables import Approval, ChangeKind, tenants
from offers.errors import ApprovalError, InvalidCampaignError
from offers.ledger import release_stopped
from offers.model import CampaignId, CampaignStatus
from offers.store import lock_campaign, put_move
from offers.tables import campaign_moves, campaign_versions

if TYPE_CHECKING:
    from datetime import datetime

Status = CampaignStatus

PERSON: Final = "user:"
"""How the actor of a person begins; everybody else is a server's key or a process of ours."""
SCHEDULER: Final = "scheduler"


class Move(StrEnum):
    """What may be asked of a campaign."""

    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    REJECT = "reject"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


MOVES: Final[dict[Move, tuple[frozenset[CampaignStatus], CampaignStatus]]] = {
    Move.SUBMIT: (frozenset({Status.DRAFT}), Status.SUBMITTED),
    Move.WITHDRAW: (frozenset({Status.SUBMITTED}), Status.DRAFT),
    Move.REJECT: (frozenset({Status.SUBMITTED}), Status.DRAFT),
    Move.APPROVE: (frozenset({Status.SUBMITTED}), Status.LIVE),
    Move.PAUSE: (frozenset({Status.APPROVED, Status.LIVE}), Status.PAUSED),
    Move.RESUME: (frozenset({Status.PAUSED}), Status.LIVE),
    Move.STOP: (frozenset({Status.APPROVED, Status.LIVE, Status.PAUSED}), Status.ENDED),
    Move.ARCHIVE: (frozenset({Status.DRAFT, Status.SUBMITTED, Status.ENDED}), Status.ARCHIVED),
    Move.UNARCHIVE: (frozenset({Status.ARCHIVED}), Status.DRAFT),
}
"""From which states, to which. Live means `approved` until the first day has begun; what ended comes back as ended."""

FOR_GOOD: Final = frozenset({Move.STOP, Move.ARCHIVE})
"""Nothing more may come of the campaign: what is queued expires, and what nobody claimed goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveMade:
    """One step of a campaign's life."""

    move: str
    status: CampaignStatus
    version: int
    at: datetime
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWritten:
    version: int
    created_at: datetime
    created_by: str


def move_campaign(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    campaign_id: CampaignId,
    move: str,
    actor: str,
    now: datetime,
    reason: str | None = None,
    version: int | None = None,
) -> CampaignStatus:
    """One step of a campaign's life; `version` is the one that was looked at.

    ConflictError if its state does not allow it or there is a newer version, ApprovalError if somebody else has to
    approve, InvalidCampaignError for a rejection without a reason.
    """
    step = Move(move)
    row = lock_campaign(connection, tenant_id, campaign_id, version=version)
    allowed, after = MOVES[step]
    if row.status not in allowed:
        raise ConflictError(f"cannot {step} a {row.status} campaign")
    if step is Move.REJECT and not (reason or "").strip():
        raise InvalidCampaignError("a rejection says why: give a reason")
    tenant = connection.execute(
        sa.select(tenants.c.approval, tenants.c.sandbox).where(tenants.c.tenant_id == tenant_id)
    ).one()
    match step:
        case Move.APPROVE:
            _check_approver(connection, row, actor, Approval(tenant.approval))
            after = _running(row, now, sandbox=tenant.sandbox)
        case Move.RESUME:
            after = _running(row, now, sandbox=tenant.sandbox)
        case Move.UNARCHIVE:
            after = _before_archive(connection, campaign_id)
        case _:
            pass
    if step in FOR_GOOD:
        connection.execute(queries("offers")["expire_queued"], {"campaign_id": campaign_id, "reason": "stopped"})
        release_stopped(connection, campaign_id, now=now)
    put_move(connection, row, move=step, status=after, actor=actor, now=now, reason=reason)
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.CAMPAIGN, object_ids=[campaign_id], effective_at=now)
    return after


def _check_approver(connection: sa.Connection, row: Any, actor: str, approval: Approval) -> None:
    """Four eyes: a person never approves what they wrote or submitted themselves."""
    if not actor.startswith(PERSON):
        if approval is Approval.PEOPLE:
            raise ApprovalError("this tenant wants a person to approve campaigns")
        return
    author = connection.execute(
        sa.select(campaign_versions.c.created_by).where(
            campaign_versions.c.campaign_id == row.campaign_id, campaign_versions.c.version == row.version
        )
    ).scalar()
    submitter = connection.execute(
        sa.select(campaign_moves.c.actor)
        .where(campaign_moves.c.campaign_id == row.campaign_id, campaign_moves.c.move == Move.SUBMIT)
        .order_by(campaign_moves.c.move_id.desc())
        .limit(1)
    ).scalar()
    if actor == author:
        raise ApprovalError("you wrote this version: somebody else has to approve it")
    if actor == submitter:
        raise ApprovalError("you submitted it: somebody else has to approve it")


def _running(row: Any, now: datetime, *, sandbox: bool) -> CampaignStatus:
    """A sandbox lives in the time of its data: the wall clock begins nothing there."""
    begun = sandbox or row.starts_at is None or row.starts_at <= now
    return Status.LIVE if begun else Status.APPROVED


def _before_archive(connection: sa.Connection, campaign_id: CampaignId) -> CampaignStatus:
    """Ended stays ended; anything else is a draft again."""
    before = connection.execute(
        sa.select(campaign_moves.c.status)
        .where(campaign_moves.c.campaign_id == campaign_id, campaign_moves.c.status != Status.ARCHIVED)
        .order_by(campaign_moves.c.move_id.desc())
        .limit(1)
    ).scalar()
    return Status.ENDED if before == Status.ENDED else Status.DRAFT


def move_due(connection: sa.Connection, *, now: datetime) -> list[tuple[CampaignId, str]]:
    """Begins what is approved and whose first day has begun, and ends what can be on no more; for the scheduler.

    A campaign that somebody else holds at this moment waits for the next look.
    """
    moved = []
    for row in connection.execute(queries("offers")["lock_due"], {"now": now}).all():
        over = row.ends_at is not None and row.ends_at <= now
        move, status = ("end", Status.ENDED) if over else ("begin", Status.LIVE)
        put_move(connection, row, move=move, status=status, actor=SCHEDULER, now=now)
        moved.append((row, move))
    for row, _ in moved:
        announce(
            connection,
            tenant_id=TenantId(row.tenant_id),
            kind=ChangeKind.CAMPAIGN,
            object_ids=[row.campaign_id],
            effective_at=now,
        )
    return [(CampaignId(row.campaign_id), move) for row, move in moved]


def history(
    connection: sa.Connection, *, tenant_id: TenantId, campaign_id: CampaignId
) -> tuple[list[VersionWritten], list[MoveMade]]:
    """All versions and all steps, oldest first."""
    mine = sa.and_(campaign_moves.c.campaign_id == campaign_id, campaign_moves.c.tenant_id == tenant_id)
    moves = connection.execute(sa.select(campaign_moves).where(mine).order_by(campaign_moves.c.move_id))
    written = sa.and_(campaign_versions.c.campaign_id == campaign_id, campaign_versions.c.tenant_id == tenant_id)
    versions = connection.execute(sa.select(campaign_versions).where(written).order_by(campaign_versions.c.version))
    return (
        [VersionWritten(version=row.version, created_at=row.created_at, created_by=row.created_by) for row in versions],
        [
            MoveMade(
                move=row.move,
                status=CampaignStatus(row.status),
                version=row.version,
                at=row.at,
                actor=row.actor,
                reason=row.reason,
            )
            for row in moves
        ],
    )
