"""The push channels of a device: which addresses are accepted, and how they are stored.

An address given by an app can only lead where the installation may call: a browser's push service, or a webhook that
the tenant itself registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import insert

from lbs.auth import CallerKind
from lbs.errors import ForbiddenError
from lbs.fields import JsonObject, LongText
from lbs.webhooks import add_webhook, is_registered
from offers.errors import InvalidSubscriptionError
from offers.push import hash_of_address
from offers.push_webpush import Subscription
from offers.tables import ChannelStatus, channels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from geofences.model import DeviceId
    from lbs.auth import Caller
    from lbs.services import Services

MAX_TOKEN_CHARACTERS = 4096


class ChannelBody(BaseModel):
    """A way to reach the device."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["webpush", "apns", "fcm", "webhook"]
    address: JsonObject | LongText = Field(
        description=(
            "webpush: the browser's PushSubscription `{endpoint, keys: {p256dh, auth}}`; webhook: `{url}`, or just the"
            " URL; apns, fcm: `{token, app?}`, or just the token; `app` is the bundle id or the Firebase project, for a"
            " tenant with several."
        ),
        examples=[{"url": "https://partner.example/offers"}],
    )

    @property
    def full_address(self) -> dict[str, Any]:
        """The address as it is stored, whichever way it was written."""
        if not isinstance(self.address, str):
            return self.address
        return {"url" if self.type == "webhook" else "token": self.address}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A stored channel; its address is a capability and shown only in the export of its own device."""

    channel_id: int
    type: str
    status: str
    address: dict[str, Any]
    created_at: datetime


def put_channels(
    connection: sa.Connection,
    given: Sequence[ChannelBody],
    *,
    caller: Caller,
    device_id: DeviceId,
    services: Services,
) -> None:
    """Makes these the channels of the device: new ones are added, known ones work again, all others go.

    InvalidSubscriptionError for an address that is malformed, ForbiddenAddressError for one that may not be called,
    ForbiddenError for a webhook that an app names and the tenant did not register.
    """
    hashes = []
    for channel in given:
        address = _checked(connection, channel, caller=caller, services=services)
        digest = hash_of_address(address)
        hashes.append((channel.type, digest))
        statement = insert(channels).values(
            tenant_id=caller.tenant_id, device_id=device_id, type=channel.type, address=address, address_hash=digest
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["device_id", "type", "address_hash"], set_={"status": ChannelStatus.ACTIVE}
            )
        )
    kept = sa.tuple_(channels.c.type, channels.c.address_hash).in_(hashes)
    mine = sa.and_(channels.c.tenant_id == caller.tenant_id, channels.c.device_id == device_id)
    connection.execute(sa.delete(channels).where(mine, sa.not_(kept)))


def channels_of(connection: sa.Connection, device_id: DeviceId) -> list[Channel]:
    """The device's channels, oldest first."""
    rows = connection.execute(
        sa.select(channels).where(channels.c.device_id == device_id).order_by(channels.c.channel_id)
    )
    return [
        Channel(
            channel_id=row.channel_id,
            type=row.type,
            status=row.status,
            address=row.address,
            created_at=row.created_at,
        )
        for row in rows
    ]


def _checked(connection: sa.Connection, channel: ChannelBody, *, caller: Caller, services: Services) -> dict[str, Any]:
    """The address in the one form in which it is stored."""
    match channel.type:
        case "webpush":
            subscription = Subscription.parse(channel.full_address)
            services.guard.check_url(subscription.endpoint)
            keys = channel.full_address["keys"]
            return {
                "endpoint": subscription.endpoint,
                "keys": {"p256dh": keys["p256dh"], "auth": keys["auth"]},
            }
        case "webhook":
            url = _text(channel.full_address, "url")
            services.guard.check_url(url)
            if not is_registered(connection, tenant_id=caller.tenant_id, url=url):
                if caller.kind is not CallerKind.SECRET:
                    raise ForbiddenError("this webhook is not registered: only a secret key may bring a new one")
                add_webhook(connection, tenant_id=caller.tenant_id, url=url, vault=services.vault)
            return {"url": url}
        case "apns" | "fcm":
            token = {"token": _text(channel.full_address, "token")}
            return token if "app" not in channel.full_address else {**token, "app": _text(channel.full_address, "app")}
        case _ as never:
            assert_never(never)


def _text(address: dict[str, Any], name: str) -> str:
    value = address.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TOKEN_CHARACTERS:
        raise InvalidSubscriptionError(f"the address needs a text {name!r}")
    return value
