"""Webhooks: where partners listen. Deliveries are signed as Standard Webhooks says, with the webhook's own secret."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import INT64_MAX, Instant, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.webhooks import (
    Webhook,
    add_webhook,
    get_webhook,
    remove_webhook,
    replace_webhook,
    rotate_secret,
    webhooks_after,
)
from offers.cloud_events import PATTERNS
from offers.webhook_queue import attempts_before, put_test, tell_again

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=Route)

DAY_S: Final = 86_400
OF_ONE: Final = {**OF_EVERY_WRITE, **declared(404)}

Pattern = Literal[PATTERNS]  # type: ignore[valid-type]  # the one list of them
Patterns = Annotated[list[Pattern], Field(max_length=len(PATTERNS))]


class WebhookBody(BaseModel):
    """Where a partner listens, and to what."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2048, pattern=r"^[^\x00]*$"),
        Field(description="https, at a public address.", examples=["https://partner.example/offers"]),
    ]
    events: Annotated[
        Patterns | None,
        Field(
            description="Events to be told of, by name or group. Without it a new webhook gets none, and one that is "
            "replaced keeps its own.",
            examples=[["visit.entered", "redemption.*"]],
        ),
    ] = None


class WebhookChange(WebhookBody):
    """A webhook as it shall be from now on."""

    since: Annotated[
        Instant | None,
        Field(description="Drop what waits, and send all that became known from then on. None: send what waits."),
    ] = None


class WebhookView(BaseModel):
    """A webhook."""

    webhook_id: str
    url: str
    events: list[str]
    paused_reason: str | None = Field(description="Why no events are sent there any more; null while it works.")
    old_secret_until: datetime | None = Field(description="Until then the secret before signs too; null: one secret.")
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls(
            webhook_id=str(webhook.webhook_id),
            url=webhook.url,
            events=list(webhook.events),
            paused_reason=webhook.paused_reason,
            old_secret_until=webhook.old_secret_until,
            created_at=webhook.created_at,
        )


class WebhookWithSecret(WebhookView):
    """A webhook with what its receiver checks signatures with."""

    secret: str = Field(examples=["whsec_..."])


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: int = Field(
        default=DAY_S, ge=0, le=7 * DAY_S, description="How long both sign. 0: the old one ends at once."
    )


class ReplayBody(BaseModel):
    """What is sent again."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Instant, Field(description="All that became known from then on.")]
    until: Annotated[Instant | None, Field(description="And before; none: until now.")] = None
    types: Annotated[
        Patterns | None, Field(min_length=1, description="By name or group; none: what the webhook subscribes to.")
    ] = None

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until must be later than since")
        return self


class Replayed(BaseModel):
    """Events that wait to be sent again."""

    queued: int


class TestQueued(BaseModel):
    """A test on its way: look for its id among the attempts."""

    event_id: str = Field(examples=["webhook-7216441023381937421"])


class AttemptView(BaseModel):
    """One attempt to deliver an event."""

    event_id: str = Field(description="The `id` of the event, and its `webhook-id`.")
    type: str
    attempt: int = Field(description="From 1.")
    at: datetime
    duration_ms: float
    delivered: bool
    status: int | None = Field(description="Of HTTP; null if no answer came.")
    reason: str = Field(examples=["accepted", "server_error", "timeout", "unreachable"])
    next_attempt_at: datetime | None = Field(description="Null once delivered, and after the last attempt.")

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls.model_validate(row, from_attributes=True)


@router.post("", operation_id="create_webhook", status_code=201, responses=OF_EVERY_WRITE)
def create_webhook(body: WebhookBody, caller: Permitted, connection: Tx, services: ServicesDep) -> WebhookWithSecret:
    """Register a webhook and get its secret."""
    services.guard.check_url(body.url)
    webhook, secret = add_webhook(
        connection, tenant_id=caller.tenant_id, url=body.url, vault=services.vault, events=body.events or ()
    )
    return _with_secret(webhook, secret)


@router.get("", operation_id="list_webhooks", responses=OF_EVERY_READ)
def list_webhooks(
    caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[WebhookView]:
    """List webhooks, without their secrets."""
    rows = webhooks_after(connection, caller.tenant_id, after=id_after(cursor), limit=limit + 1)
    page, more = cut(rows, limit)
    return Page(
        items=[WebhookView.of(row) for row in page], next_cursor=cursor_of(page[-1].webhook_id) if more else None
    )


@router.get("/{webhook_id}", operation_id="get_webhook", responses={**OF_EVERY_READ, **declared(404)})
def read_webhook(webhook_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> WebhookWithSecret:
    """Get a webhook with its secret, the newest of two."""
    webhook = get_webhook(connection, caller.tenant_id, id_of(webhook_id, "webhook"))
    return _with_secret(webhook, services.vault.unseal(webhook.sealed[0]).decode())


@router.put("/{webhook_id}", operation_id="move_webhook", responses=OF_ONE)
def change_webhook(
    webhook_id: str, body: WebhookChange, caller: Permitted, connection: Tx, services: ServicesDep
) -> WebhookView:
    """Give a webhook another URL or other events; its secret stays. One that was paused goes on where it stopped.

    What waits is sent at once, or with `since` all that became known from then on. Events that it no longer subscribes
    to are dropped.
    """
    services.guard.check_url(body.url)
    webhook = replace_webhook(
        connection,
        tenant_id=caller.tenant_id,
        webhook_id=id_of(webhook_id, "webhook"),
        url=body.url,
        events=body.events,
        since=body.since,
        until=services.now(),
    )
    return WebhookView.of(webhook)


@router.delete("/{webhook_id}", operation_id="delete_webhook", status_code=204, responses=OF_ONE)
def delete_webhook(webhook_id: str, caller: Permitted, connection: Tx) -> Response:
    """Delete a webhook; what waits for it is dropped, and channels that lead there at their next attempt."""
    remove_webhook(connection, tenant_id=caller.tenant_id, webhook_id=id_of(webhook_id, "webhook"))
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate-secret", operation_id="rotate_webhook_secret", responses=OF_ONE)
def rotate_webhook_secret(
    webhook_id: str, body: Rotation, caller: Permitted, connection: Tx, services: ServicesDep
) -> WebhookWithSecret:
    """Replace a webhook's secret: both sign for a while, so that the receiver can change over without a gap.

    A second rotation in that time ends the oldest of the three at once.
    """
    old_until = services.now() + timedelta(seconds=body.overlap_s) if body.overlap_s else None
    webhook, secret = rotate_secret(
        connection,
        tenant_id=caller.tenant_id,
        webhook_id=id_of(webhook_id, "webhook"),
        old_until=old_until,
        vault=services.vault,
    )
    return _with_secret(webhook, secret)


@router.post("/{webhook_id}/replay", operation_id="replay_webhook", status_code=202, responses=OF_ONE)
def replay_webhook(
    webhook_id: str, body: ReplayBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> Replayed:
    """Send again what became known in a time, with the same ids, behind what waits already.

    It need not have been told before: a new webhook gets the past in this way.
    """
    webhook = get_webhook(connection, caller.tenant_id, id_of(webhook_id, "webhook"))
    queued = tell_again(
        connection,
        tenant_id=caller.tenant_id,
        webhook_id=webhook.webhook_id,
        since=body.since,
        until=body.until or services.now(),
        types=webhook.events if body.types is None else body.types,
    )
    return Replayed(queued=queued)


@router.post("/{webhook_id}/test", operation_id="test_webhook", status_code=202, responses=OF_ONE)
def send_test_event(webhook_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> TestQueued:
    """Send a `webhook.test` event, whatever the webhook subscribes to; a paused one gets it when it goes on."""
    webhook = get_webhook(connection, caller.tenant_id, id_of(webhook_id, "webhook"))
    event_id = put_test(connection, tenant_id=caller.tenant_id, webhook_id=webhook.webhook_id, now=services.now())
    return TestQueued(event_id=event_id)


@router.get(
    "/{webhook_id}/attempts", operation_id="list_webhook_attempts", responses={**OF_EVERY_READ, **declared(404)}
)
def list_webhook_attempts(
    webhook_id: str, caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[AttemptView]:
    """List the attempts to deliver events, newest first."""
    webhook = get_webhook(connection, caller.tenant_id, id_of(webhook_id, "webhook"))
    before = INT64_MAX if cursor is None else id_after(cursor)
    rows = attempts_before(connection, webhook.webhook_id, before=before, limit=limit + 1)
    page, more = cut(rows, limit)
    return Page(
        items=[AttemptView.of(row) for row in page], next_cursor=cursor_of(page[-1].attempt_id) if more else None
    )


def _with_secret(webhook: Webhook, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**WebhookView.of(webhook).model_dump(), secret=secret)
