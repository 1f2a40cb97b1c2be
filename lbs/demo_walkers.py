"""The simulated people of `lbs demo`, passed to the console through Redis: written by the demo alone, gone in seconds.

The demo writes what its own walkers do, which it makes up itself; nothing that the service knows of a device is read
for it, and no route writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from geofences.model import TenantId

EXPIRES_S: Final = 10


class PublishedWalker(msgspec.Struct, frozen=True):
    id: str
    lat: float
    lng: float


_read: Final = msgspec.json.Decoder(list[PublishedWalker])


def publish_walkers(client: redis.Redis, prefix: str, tenant_id: TenantId, walkers: Sequence[PublishedWalker]) -> None:
    client.set(_key(prefix, tenant_id), msgspec.json.encode(list(walkers)), ex=EXPIRES_S)


def published_walkers(client: redis.Redis, prefix: str, tenant_id: TenantId) -> list[PublishedWalker]:
    """Those of the tenant's demo; none if none runs."""
    found = client.get(_key(prefix, tenant_id))
    return _read.decode(found) if isinstance(found, bytes) else []


def _key(prefix: str, tenant_id: TenantId) -> str:
    return f"{prefix}:demo:{tenant_id}:walkers"
