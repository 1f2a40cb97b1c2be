"""Pairing a phone app with a device by a link or its QR code, so that nobody types a token into a phone.

OwnTracks fetches its settings from the link, which works once and for ten minutes: only a hash of the link's code is
kept, in Redis, with whose it is. Traccar Client fetches nothing: its link holds the token itself, and is as secret.
Without Redis no link is made or opened, and both routes answer 503.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from geofences.errors import NotFoundError
from geofences.model import DeviceId, TenantId
from geofences.store import find_device
from lbs.devices import announce_device, device_token

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lbs.auth import Caller
    from lbs.services import Services

PAIRING_S: Final = 600
"""How long the link for OwnTracks works, unless it is used before."""
CODE_BYTES: Final = 16
HTTP_MODE: Final = 3
"""OwnTracks' number for it, on Android and iOS alike."""
TID_CHARACTERS: Final = 2


class _Pending(msgspec.Struct, array_like=True):
    tenant_id: int
    device_id: int
    generation: int
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Links that make a phone speak for a device."""

    owntracks: str
    """Once, until `expires_at`."""
    traccar: str
    """Holds the token."""
    expires_at: datetime


def pair(
    connection: sa.Connection, *, caller: Caller, external_id: str, services: Services, public_url: str
) -> Pairing:
    """New links for a device that exists; NotFoundError. Links made before go on working as long as they would."""
    now = services.now()
    device = find_device(connection, tenant_id=caller.tenant_id, external_id=external_id)
    token = device_token(connection, caller=caller, device_id=device.device_id, services=services)
    claims = services.tokens.read(token)
    code = secrets.token_urlsafe(CODE_BYTES)
    pending = _Pending(claims.tenant_id, claims.device_id, claims.generation, external_id)
    services.redis.set(_key(services, code), msgspec.msgpack.encode(pending), ex=PAIRING_S)
    # last: a device that was never asked for a token before has a generation now
    announce_device(connection, caller=caller, device_id=device.device_id, now=now)
    # the apps know what is at the other end by how its address ends
    settings_url = f"{public_url}/v1/pairings/{code}.otrc"
    return Pairing(
        owntracks=f"owntracks:///config?url={quote(settings_url, safe='')}",
        traccar=f"{public_url}/v1/positions/osmand?id={token}",
        expires_at=now + timedelta(seconds=PAIRING_S),
    )


def owntracks_settings(services: Services, code: str, *, public_url: str) -> dict[str, Any]:
    """What the app is to import, told once; NotFoundError for a code that was used, has ended or never was."""
    # typed for redis-py's two kinds of client at once
    found: Any = services.redis.getdel(_key(services, code))
    if found is None:
        raise NotFoundError("this link was used before or has ended: make a new one")
    pending = msgspec.msgpack.decode(found, type=_Pending)
    # both apps send the user name in headers, where only ASCII arrives; a token names its device without it
    printable = pending.external_id.isascii() and pending.external_id.isprintable()
    name = pending.external_id if printable else "device"
    return {
        "_type": "configuration",
        "mode": HTTP_MODE,
        "url": f"{public_url}/v1/positions/owntracks",
        "auth": True,
        "username": name,
        "password": services.tokens.issue(
            tenant_id=TenantId(pending.tenant_id),
            device_id=DeviceId(pending.device_id),
            generation=pending.generation,
        ),
        "deviceId": name,
        "tid": "".join(filter(str.isalnum, name))[-TID_CHARACTERS:] or "me",
    }


def _key(services: Services, code: str) -> str:
    digest = blake2b(code.encode(), digest_size=16, person=b"lbs pairing").hexdigest()
    return f"{services.settings.redis_prefix}:pairing:{digest}"
