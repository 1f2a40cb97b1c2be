"""Credentials of the tenants' apps at Apple and Google; the keys are sealed at rest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import NotFoundError
from offers.errors import InvalidCredentialsError
from offers.push import ChannelType
from offers.push_apns import ApnsApp
from offers.push_fcm import FcmApp
from offers.push_tables import push_apps

if TYPE_CHECKING:
    from datetime import datetime

    from geofences.model import TenantId
    from lbs.secrets import Vault

PROVIDERS: Final = (ChannelType.APNS, ChannelType.FCM)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushApp:
    """What may be shown of an app: all but its key."""

    push_app_id: int
    provider: ChannelType
    name: str
    """The bundle id, or the Firebase project: what an address may name as its `app`."""
    settings: dict[str, Any]
    created_at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "push_app_id": str(self.push_app_id),
            "provider": self.provider,
            "name": self.name,
            **self.settings,
            "created_at": self.created_at.isoformat(),
        }


def service_account(text: str) -> FcmApp:
    """Read the JSON that Google gives out for a service account; InvalidCredentialsError."""
    try:
        read = json.loads(text)
        wanted = {name: read[name] for name in ("project_id", "client_email", "private_key")}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCredentialsError("not the JSON of a service account") from error
    return FcmApp.parse(wanted)


def put_app(connection: sa.Connection, *, tenant_id: TenantId, app: ApnsApp | FcmApp, vault: Vault) -> PushApp:
    """Adds an app, or gives one of that name new credentials."""
    if isinstance(app, ApnsApp):
        provider, name = ChannelType.APNS, app.topic
        settings: dict[str, Any] = {
            "team_id": app.team_id,
            "key_id": app.key_id,
            "topic": app.topic,
            "sandbox": app.sandbox,
        }
    else:
        provider, name = ChannelType.FCM, app.project_id
        settings = {"project_id": app.project_id, "client_email": app.client_email}
    new = {"settings": settings, "sealed_key": vault.seal(app.private_key.encode())}
    statement = (
        insert(push_apps)
        .values(tenant_id=tenant_id, provider=provider, name=name, **new)
        .on_conflict_do_update(index_elements=["tenant_id", "provider", "name"], set_=new)
        .returning(push_apps)
    )
    return _push_app(connection.execute(statement).one())


def apps_of(connection: sa.Connection, tenant_id: TenantId) -> list[PushApp]:
    """The tenant's apps, oldest first: of each provider the first is that of addresses that name none."""
    mine = sa.select(push_apps).where(push_apps.c.tenant_id == tenant_id).order_by(push_apps.c.push_app_id)
    return [_push_app(row) for row in connection.execute(mine)]


def remove_app(connection: sa.Connection, *, tenant_id: TenantId, provider: ChannelType, name: str) -> None:
    """Forget an app; its messages wait for credentials until their offers end. NotFoundError."""
    mine = sa.and_(push_apps.c.tenant_id == tenant_id, push_apps.c.provider == provider, push_apps.c.name == name)
    if connection.execute(sa.delete(push_apps).where(mine)).rowcount == 0:
        raise NotFoundError(f"no {provider} app {name!r}")


def _push_app(row: Any) -> PushApp:
    return PushApp(
        push_app_id=row.push_app_id,
        provider=ChannelType(row.provider),
        name=row.name,
        settings=row.settings,
        created_at=row.created_at,
    )
