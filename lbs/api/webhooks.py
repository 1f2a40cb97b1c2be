"""Webhooks: where partners listen. Deliveries are signed as Standard Webhooks says, with the webhook's own secret."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.webhooks import Webhook, add_webhook, get_webhook, move_webhook, remove_webhook, webhooks_after

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=Route)


class WebhookBody(BaseModel):
    """Where a partner listens."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=2048, pattern=r"^[^\x00]*$"),
        Field(description="https, at a public address.", examples=["https://partner.example/offers"]),
    ]


class WebhookView(BaseModel):
    """A webhook."""

    webhook_id: str
    url: str
    paused_reason: str | None = Field(description="Why nothing is sent there any more; null while it works.")
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls(
            webhook_id=str(webhook.webhook_id),
            url=webhook.url,
            paused_reason=webhook.paused_reason,
            created_at=webhook.created_at,
        )


class WebhookWithSecret(WebhookView):
    """A webhook with what its receiver checks signatures with."""

    secret: str = Field(examples=["whsec_..."])


@router.post("", operation_id="create_webhook", status_code=201, responses=OF_EVERY_WRITE)
def create_webhook(body: WebhookBody, caller: Permitted, connection: Tx, services: ServicesDep) -> WebhookWithSecret:
    """Register a webhook and get its secret."""
    services.guard.check_url(body.url)
    webhook, secret = add_webhook(connection, tenant_id=caller.tenant_id, url=body.url, vault=services.vault)
    return WebhookWithSecret(**WebhookView.of(webhook).model_dump(), secret=secret)


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
    """Get a webhook with its secret."""
    webhook = get_webhook(connection, caller.tenant_id, id_of(webhook_id, "webhook"))
    secret = services.vault.unseal(webhook.sealed[0]).decode()
    return WebhookWithSecret(**WebhookView.of(webhook).model_dump(), secret=secret)


@router.put("/{webhook_id}", operation_id="move_webhook", responses={**OF_EVERY_WRITE, **declared(404)})
def replace_webhook(
    webhook_id: str, body: WebhookBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> WebhookView:
    """Give a webhook another URL; its secret stays, and it works again if it was paused."""
    services.guard.check_url(body.url)
    number = id_of(webhook_id, "webhook")
    return WebhookView.of(move_webhook(connection, tenant_id=caller.tenant_id, webhook_id=number, url=body.url))


@router.delete(
    "/{webhook_id}", operation_id="delete_webhook", status_code=204, responses={**OF_EVERY_WRITE, **declared(404)}
)
def delete_webhook(webhook_id: str, caller: Permitted, connection: Tx) -> Response:
    """Delete a webhook; channels that lead there are dropped at the next attempt."""
    remove_webhook(connection, tenant_id=caller.tenant_id, webhook_id=id_of(webhook_id, "webhook"))
    return Response(status_code=204)
