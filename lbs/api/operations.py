"""How the installation does: for its operators, and for those of a tenant what concerns them."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lbs.auth import INSTALLATION
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.operations import Operations, of_installation, of_tenant
from lbs.routes import OF_EVERY_READ, Route
from offers.model import NotificationState
from offers.push import ChannelType

router = APIRouter(prefix="/v1", tags=["operation"], route_class=Route)


class LogView(BaseModel):
    """The log that positions lie in until an engine has handled them."""

    lag_s: float = Field(description="How long the oldest entry waits.")
    full: bool = Field(description="Positions are refused until it has room again.")
    entries: int | None = Field(description="Of the whole installation; null for a tenant.")
    bytes: int | None = Field(description="Of the whole installation; null for a tenant.")


class DeciderView(BaseModel):
    """Events that no worker has looked at yet."""

    lag_s: float
    events: int | None = Field(description="Of the whole installation; null for a tenant.")


class QueueView(BaseModel):
    """Messages that have not ended."""

    channel: ChannelType
    state: Literal["due", "later", "sending"]
    messages: int
    oldest_s: float = Field(description="How long the oldest is due; 0 where none is.")


class SentView(BaseModel):
    """Messages written within the last hour, and where they are now."""

    channel: ChannelType
    state: NotificationState
    reason: str | None
    messages: int


class FailedView(BaseModel):
    """Messages that failed for good; `lbs dead-letter replay` sends those again whose offers last."""

    campaign_id: str
    channel: ChannelType
    reason: str
    messages: int
    replayable: int
    last_at: datetime


class ProcessView(BaseModel):
    """A process that lives."""

    id: str
    process: str = Field(examples=["engine"])
    version: str
    started_at: datetime
    heard_s: float = Field(description="Since it last said that it lives, which it does every two seconds.")
    lag_s: float = Field(description="Since its loop went round; of an API process, since its memory was in step.")


class OperationsView(BaseModel):
    """Over all tenants for an operator of the installation, else of the tenant."""

    of: Literal["installation", "tenant"]
    at: datetime
    log: LogView
    decider: DeciderView
    positions_per_s: float = Field(description="Accepted, over the last minute.")
    queue: list[QueueView]
    last_hour: list[SentView]
    dead_entries: int | None = Field(description="Log entries that nobody could handle; null for a tenant.")
    failed: list[FailedView] = Field(description="Of the tenant; empty for the installation.")
    processes: list[ProcessView]
    versions: dict[str, str] = Field(
        description="For a tenant, that of the program alone.", examples=[{"lbs": "0.1.0"}]
    )


@router.get("/operations", operation_id="operations", responses=OF_EVERY_READ)
def operations(caller: Permitted, connection: Tx, services: ServicesDep) -> OperationsView:
    """Say how the log, the queue and the processes do."""
    if caller.tenant_id == INSTALLATION:
        return _view(of_installation(services), "installation")
    return _view(of_tenant(services, connection, caller.tenant_id), "tenant")


def _view(found: Operations, of: Literal["installation", "tenant"]) -> OperationsView:
    now_s = found.at.timestamp()
    return OperationsView(
        of=of,
        at=found.at,
        log=LogView(
            lag_s=round(found.log.oldest_s, 3), full=found.log_full, entries=found.log.count, bytes=found.log_bytes
        ),
        decider=DeciderView(lag_s=round(found.decider.oldest_s, 3), events=found.decider.count),
        positions_per_s=round(found.positions_per_s, 2),
        queue=[
            QueueView(channel=row.channel, state=row.what, messages=row.n, oldest_s=max(0.0, float(row.oldest_s)))
            for row in found.queue
        ],
        last_hour=[
            SentView(channel=row.channel, state=row.state, reason=row.reason, messages=row.n) for row in found.lately
        ],
        dead_entries=found.dead_entries,
        failed=[
            FailedView(
                campaign_id=str(one.campaign_id),
                channel=ChannelType(one.channel),
                reason=one.reason,
                messages=one.messages,
                replayable=one.replayable,
                last_at=one.last_at,
            )
            for one in found.dead_messages
        ],
        processes=[
            ProcessView(
                id=sign.id,
                process=sign.process,
                version=sign.version,
                started_at=datetime.fromtimestamp(sign.started_at, UTC),
                heard_s=round(max(0.0, now_s - sign.said_at), 1),
                lag_s=round(sign.beat_age_s, 1),
            )
            for sign in found.processes
        ],
        versions=found.versions,
    )
