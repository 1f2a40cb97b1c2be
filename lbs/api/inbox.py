"""The app's side of delivery: the inbox, its stream, and receipts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec
from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from geofences.model import DeviceId, TenantId
from geofences.store import use_tenant
from lbs.auth import CallerKind
from lbs.deps import Permitted, ServicesDep, Tx, own_device
from lbs.errors import Fault, ForbiddenError, MalformedError
from lbs.fields import INT64_MAX, ExternalId
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, place_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.streams import Stream
from offers import outbox
from offers.inbox import NEWEST, InboxItem, read_inbox
from offers.messages import notification_id_of

router = APIRouter(prefix="/v1", tags=["inbox"], route_class=Route)

PING_S = 15


class InboxView(BaseModel):
    """One message in the inbox."""

    message_id: str
    title: str
    body: str
    data: dict[str, Any]
    opened: bool
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, item: InboxItem) -> Self:
        return cls(**item.to_json())


class ReceiptKind(StrEnum):
    """What the app saw happen to a message."""

    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    OPENED = "opened"
    DISMISSED = "dismissed"


class ReceiptBody(BaseModel):
    """A receipt; with a device token `device_id` may be left out."""

    model_config = ConfigDict(extra="forbid")

    message_id: str = Field(min_length=1, max_length=32)
    event: ReceiptKind
    device_id: ExternalId | None = None


class ReceiptView(BaseModel):
    recorded: bool = Field(description="False if the message was as far along already, or is not the device's.")


@router.get("/devices/{device_id}/inbox", operation_id="read_inbox", responses=OF_EVERY_READ)
def get_inbox(
    device_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[InboxView]:
    """Offers that have not ended, newest first. Reading with the device's own token counts as delivered."""
    device = own_device(caller, device_id)
    before = NEWEST if cursor is None else min(max(place_of(cursor, int), 0), INT64_MAX)
    rows = read_inbox(connection, device, before=before, limit=limit + 1, now=services.now())
    page, more = cut(rows, limit)
    if caller.kind is CallerKind.DEVICE:
        ids = [item.notification_id for item in page]
        outbox.mark(connection, device_id=device, notification_ids=ids, opened=False, now=services.now())
    return Page(items=[InboxView.of(item) for item in page], next_cursor=cursor_of(page[-1].seq) if more else None)


@router.get(
    "/devices/{device_id}/stream",
    operation_id="stream_inbox",
    response_class=EventSourceResponse,
    responses={
        **OF_EVERY_READ,
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events"},
    },
)
async def stream_inbox(
    device_id: str,
    caller: Permitted,
    services: ServicesDep,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> Response:
    """Server-sent events, one `offer` a message, as they arrive. `Last-Event-ID` resumes without loss."""
    device = own_device(caller, device_id)
    after = _after(last_event_id)
    stream = services.streams.open(device, after=services.streams.newest() if after is None else after)
    return EventSourceResponse(_events(services, caller.tenant_id, stream), ping=PING_S)


async def _events(services: Services, tenant_id: TenantId, stream: Stream) -> AsyncIterator[ServerSentEvent]:
    try:
        while (item := await stream.items.get()) is not None:
            yield ServerSentEvent(data=msgspec.json.encode(item.to_json()).decode(), event="offer", id=str(item.seq))
            # the event has left: a client that did not get it will ask for it again by Last-Event-ID
            await run_in_threadpool(_mark_delivered, services, tenant_id, stream.device_id, item.notification_id)
    finally:
        services.streams.close(stream)


def _mark_delivered(services: Services, tenant_id: TenantId, device_id: DeviceId, notification_id: int) -> None:
    with services.api.begin() as connection:
        use_tenant(connection, tenant_id)
        outbox.mark(
            connection, device_id=device_id, notification_ids=[notification_id], opened=False, now=services.now()
        )


@router.post("/receipts", operation_id="post_receipt", responses={**OF_EVERY_WRITE, **declared(404)})
def post_receipt(body: ReceiptBody, caller: Permitted, connection: Tx, services: ServicesDep) -> ReceiptView:
    """Tell what became of a message on the phone."""
    if body.device_id is not None:
        device = own_device(caller, body.device_id)
    elif caller.device_id is not None:
        device = caller.device_id
    else:
        raise ForbiddenError("with a secret key, name the device_id")
    try:
        notification_id = notification_id_of(body.message_id)
    except ValueError as error:
        fault = Fault("body.message_id", "not a message id")
        raise MalformedError(fault.message, fault) from error
    moved = outbox.mark(
        connection,
        device_id=device,
        notification_ids=[notification_id],
        opened=body.event is ReceiptKind.OPENED,
        now=services.now(),
    )
    return ReceiptView(recorded=moved > 0)


def _after(last_event_id: str | None) -> int | None:
    """The sequence to resume after; an id that is none of ours means: from now on."""
    if last_event_id is None or not last_event_id.isascii() or not last_event_id.isdecimal():
        return None
    return min(int(last_event_id), INT64_MAX) if len(last_event_id) <= len(str(INT64_MAX)) else None
