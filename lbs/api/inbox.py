"""The app's side of delivery: the inbox, its stream, and receipts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Self

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from geofences.model import DeviceId, TenantId
from geofences.store import use_tenant
from lbs.auth import CallerKind
from lbs.deps import Permitted, ServicesDep, Tx, own_device
from lbs.errors import Fault, ForbiddenError, MalformedError
from lbs.fields import INT64_MAX, ExternalId, Instant
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, place_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.streams import Stream
from offers.inbox import NEWEST, InboxItem, read_inbox
from offers.messages import notification_id_of
from offers.model import NotificationId
from offers.receipts import Receipt, ReceiptKind, mark_delivered, record

router = APIRouter(prefix="/v1", tags=["inbox"], route_class=Route)

PING_S = 15
MOST_RECEIPTS = 100


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


MessageId = Annotated[str, Field(min_length=1, max_length=32)]
HappenedAt = Annotated[
    Instant | None,
    Field(description="The phone's time of it; taken as not before it was sent and not after now. Null: now."),
]


class QueuedReceipt(BaseModel):
    """One of several receipts."""

    model_config = ConfigDict(extra="forbid")

    message_id: MessageId
    event: ReceiptKind
    at: HappenedAt = None


class ReceiptBody(BaseModel):
    """A receipt, or `receipts` that the app kept while offline; with a device token `device_id` may be left out."""

    model_config = ConfigDict(extra="forbid")

    message_id: MessageId | None = None
    event: ReceiptKind | None = None
    at: HappenedAt = None
    receipts: Annotated[list[QueuedReceipt] | None, Field(min_length=1, max_length=MOST_RECEIPTS)] = None
    device_id: ExternalId | None = None

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        alone = (self.message_id is not None, self.event is not None)
        if self.receipts is None and not all(alone):
            raise ValueError("send message_id and event, or receipts")
        if self.receipts is not None and (any(alone) or self.at is not None):
            raise ValueError("send message_id and event, or receipts, not both")
        return self


class ReceiptView(BaseModel):
    recorded: bool = Field(
        description="False if it was known already or the message is not the device's; no need to repeat it."
    )


class ReceiptsView(BaseModel):
    """The answers to `receipts`, in their order."""

    receipts: list[ReceiptView]


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
        unread = [NotificationId(item.notification_id) for item in page if not item.delivered]
        mark_delivered(connection, device_id=device, notification_ids=unread, now=services.now())
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
            if not item.delivered:
                await run_in_threadpool(_mark_delivered, services, tenant_id, stream.device_id, item.notification_id)
    finally:
        services.streams.close(stream)


def _mark_delivered(services: Services, tenant_id: TenantId, device_id: DeviceId, notification_id: int) -> None:
    with services.api.begin() as connection:
        use_tenant(connection, tenant_id)
        number = NotificationId(notification_id)
        mark_delivered(connection, device_id=device_id, notification_ids=[number], now=services.now())


@router.post("/receipts", operation_id="post_receipt", responses={**OF_EVERY_WRITE, **declared(404)})
def post_receipt(
    body: ReceiptBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> ReceiptView | ReceiptsView:
    """Tell what became of a message on the phone, or of up to 100 at once. Repeating it changes nothing."""
    if body.device_id is not None:
        device = own_device(caller, body.device_id)
    elif caller.device_id is not None:
        device = caller.device_id
    else:
        raise ForbiddenError("with a secret key, name the device_id")
    if body.receipts is not None:
        return ReceiptsView(receipts=_record(connection, device, body.receipts, now=services.now()))
    assert body.message_id is not None
    assert body.event is not None
    if _number_of(body.message_id) is None:
        fault = Fault("body.message_id", "not a message id")
        raise MalformedError(fault.message, fault)
    alone = QueuedReceipt(message_id=body.message_id, event=body.event, at=body.at)
    return _record(connection, device, [alone], now=services.now())[0]


def _record(
    connection: sa.Connection, device_id: DeviceId, receipts: Sequence[QueuedReceipt], *, now: datetime
) -> list[ReceiptView]:
    """Text that names no message is as good as one that nobody has: a queue with it in it must not come again."""
    numbers = [_number_of(receipt.message_id) for receipt in receipts]
    known = [
        Receipt(notification_id=number, event=receipt.event, at=receipt.at)
        for number, receipt in zip(numbers, receipts, strict=True)
        if number is not None
    ]
    news = iter(record(connection, device_id=device_id, receipts=known, now=now))
    return [ReceiptView(recorded=number is not None and next(news)) for number in numbers]


def _number_of(message_id: str) -> NotificationId | None:
    try:
        return notification_id_of(message_id)
    except ValueError:
        return None


def _after(last_event_id: str | None) -> int | None:
    """The sequence to resume after; an id that is none of ours means: from now on."""
    if last_event_id is None or not last_event_id.isascii() or not last_event_id.isdecimal():
        return None
    return min(int(last_event_id), INT64_MAX) if len(last_event_id) <= len(str(INT64_MAX)) else None
