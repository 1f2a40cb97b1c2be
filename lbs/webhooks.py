"""The tenant's webhooks: where partners listen, what they subscribe to, and their secrets, which are sealed at rest."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import ConflictError, NotFoundError
from offers.push import ChannelType, hash_of_address
from offers.push_webhook import SECRET_PREFIX
from offers.tables import channels, webhooks
from offers.webhook_queue import forget_waiting, go_on, tell_again

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    old_secret_until: datetime | None
    """Until then the second secret signs too; None if there is no second."""
    events: tuple[str, ...]
    """Names or groups of events that it subscribes to."""
    paused_reason: str | None
    created_at: datetime


def new_secret() -> str:
    """As Standard Webhooks says: `whsec_` and base64 of random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def add_webhook(
    connection: sa.Connection, *, tenant_id: TenantId, url: str, vault: Vault, events: Sequence[str] = ()
) -> tuple[Webhook, str]:
    """Registers a URL with a new secret; ConflictError if it is registered already."""
    secret = new_secret()
    statement = insert(webhooks).values(
        tenant_id=tenant_id, url=url, secrets=[vault.seal(secret.encode())], events=_once(events)
    )
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
    statement = sa.select(webhooks).where(_is(tenant_id, webhook_id))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"no webhook {webhook_id}")
    return _webhook(row)


def replace_webhook(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    webhook_id: int,
    url: str,
    events: Sequence[str] | None,
    since: datetime | None,
    until: datetime,
) -> Webhook:
    """Gives a webhook another URL and other events (None: as before); it works again if it was paused.

    It goes on where it stopped, or with all that became known from `since` on and before `until`. NotFoundError,
    ConflictError.
    """
    before = get_webhook(connection, tenant_id, webhook_id)
    if url != before.url and is_registered(connection, tenant_id=tenant_id, url=url):
        raise ConflictError("this URL is registered already")
    wanted = list(before.events) if events is None else _once(events)
    changed = sa.update(webhooks).where(_is(tenant_id, webhook_id)).values(url=url, events=wanted, paused_reason=None)
    webhook = _webhook(connection.execute(changed.returning(webhooks)).one())
    if url != before.url:
        move_channels(connection, tenant_id=tenant_id, url=before.url, to=url)
    if since is None:
        go_on(connection, webhook_id=webhook_id, types=wanted)
    else:
        forget_waiting(connection, webhook_id=webhook_id)
        tell_again(connection, tenant_id=tenant_id, webhook_id=webhook_id, since=since, until=until, types=wanted)
    return webhook


def move_channels(connection: sa.Connection, *, tenant_id: TenantId, url: str, to: str) -> None:
    """Devices that were reached at one URL are reached at the other."""
    address = {"url": to}
    theirs = sa.and_(
        channels.c.tenant_id == tenant_id,
        channels.c.type == ChannelType.WEBHOOK,
        channels.c.address["url"].astext == url,
    )
    connection.execute(sa.update(channels).where(theirs).values(address=address, address_hash=hash_of_address(address)))


def rotate_secret(
    connection: sa.Connection, *, tenant_id: TenantId, webhook_id: int, old_until: datetime | None, vault: Vault
) -> tuple[Webhook, str]:
    """Adds a new secret; the one before signs too until `old_until`, the one before that no more. NotFoundError."""
    before = get_webhook(connection, tenant_id, webhook_id)
    secret = new_secret()
    kept = [] if old_until is None else [before.sealed[0]]
    values = {"secrets": [vault.seal(secret.encode()), *kept], "old_secret_until": old_until}
    changed = sa.update(webhooks).where(_is(tenant_id, webhook_id)).values(values)
    return _webhook(connection.execute(changed.returning(webhooks)).one()), secret


def remove_webhook(connection: sa.Connection, *, tenant_id: TenantId, webhook_id: int) -> None:
    """Channels that lead there find no secret any more and are dropped at the next attempt. NotFoundError."""
    if connection.execute(sa.delete(webhooks).where(_is(tenant_id, webhook_id))).rowcount == 0:
        raise NotFoundError(f"no webhook {webhook_id}")
    forget_waiting(connection, webhook_id=webhook_id)


def _is(tenant_id: TenantId, webhook_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(webhooks.c.tenant_id == tenant_id, webhooks.c.webhook_id == webhook_id)


def _once(events: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(events))


def _webhook(row: Any) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        sealed=tuple(bytes(secret) for secret in row.secrets),
        old_secret_until=row.old_secret_until,
        events=tuple(row.events),
        paused_reason=row.paused_reason,
        created_at=row.created_at,
    )
