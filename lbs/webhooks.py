"""The tenant's webhooks: where partners listen, each with a secret that is sealed at rest."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import ConflictError, NotFoundError
from offers.push_webhook import SECRET_PREFIX
from offers.tables import webhooks

if TYPE_CHECKING:
    from datetime import datetime

    from geofences.model import TenantId
    from lbs.secrets import Vault

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a partner listens."""

    webhook_id: int
    url: str
    sealed: tuple[bytes, ...] = field(repr=False)
    """Secrets, newest first, as `Vault.seal` made them of their `whsec_` text."""
    paused_reason: str | None
    created_at: datetime


def new_secret() -> str:
    """As Standard Webhooks says: `whsec_` and base64 of random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def add_webhook(connection: sa.Connection, *, tenant_id: TenantId, url: str, vault: Vault) -> tuple[Webhook, str]:
    """Registers a URL with a new secret; ConflictError if it is registered already."""
    secret = new_secret()
    statement = insert(webhooks).values(tenant_id=tenant_id, url=url, secrets=[vault.seal(secret.encode())])
    row = connection.execute(statement.on_conflict_do_nothing().returning(webhooks)).one_or_none()
    if row is None:
        raise ConflictError("this URL is registered already")
    return _webhook(row), secret


def is_registered(connection: sa.Connection, *, tenant_id: TenantId, url: str) -> bool:
    statement = sa.select(webhooks.c.webhook_id).where(webhooks.c.tenant_id == tenant_id, webhooks.c.url == url)
    return connection.execute(statement).first() is not None


def webhooks_after(connection: sa.Connection, tenant_id: TenantId, *, after: int, limit: int) -> list[Webhook]:
    """Webhooks in order of ids, those after `after`."""
    rows = connection.execute(
        sa.select(webhooks)
        .where(webhooks.c.tenant_id == tenant_id, webhooks.c.webhook_id > after)
        .order_by(webhooks.c.webhook_id)
        .limit(limit)
    )
    return [_webhook(row) for row in rows]


def get_webhook(connection: sa.Connection, tenant_id: TenantId, webhook_id: int) -> Webhook:
    """NotFoundError if the tenant has no such webhook."""
    statement = sa.select(webhooks).where(webhooks.c.tenant_id == tenant_id, webhooks.c.webhook_id == webhook_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"no webhook {webhook_id}")
    return _webhook(row)


def move_webhook(connection: sa.Connection, *, tenant_id: TenantId, webhook_id: int, url: str) -> Webhook:
    """Gives a webhook another URL and lets it work again if it was paused; NotFoundError, ConflictError."""
    before = get_webhook(connection, tenant_id, webhook_id)
    if url != before.url and is_registered(connection, tenant_id=tenant_id, url=url):
        raise ConflictError("this URL is registered already")
    mine = sa.and_(webhooks.c.tenant_id == tenant_id, webhooks.c.webhook_id == webhook_id)
    statement = sa.update(webhooks).where(mine).values(url=url, paused_reason=None).returning(webhooks)
    return _webhook(connection.execute(statement).one())


def remove_webhook(connection: sa.Connection, *, tenant_id: TenantId, webhook_id: int) -> None:
    """Channels that lead there find no secret any more and are dropped at the next attempt. NotFoundError."""
    mine = sa.and_(webhooks.c.tenant_id == tenant_id, webhooks.c.webhook_id == webhook_id)
    if connection.execute(sa.delete(webhooks).where(mine)).rowcount == 0:
        raise NotFoundError(f"no webhook {webhook_id}")


def _webhook(row: Any) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        sealed=tuple(bytes(secret) for secret in row.secrets),
        paused_reason=row.paused_reason,
        created_at=row.created_at,
    )
