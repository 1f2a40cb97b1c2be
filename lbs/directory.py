"""What the API process remembers of devices: who they are, whether they may be located, which tokens still hold.

Loaded on a miss over the reader's connection, forgotten when the change feed or a route of this process says so. If
Postgres is away, devices that are remembered go on working; others get the driver's error.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from geofences.model import DeviceId, TenantId
from geofences.store import device_id_for
from lbs.sql import block

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

REMEMBERED_DEVICES: Final = 200_000
"""About 60 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a request needs to know of a device."""

    device_id: DeviceId
    tenant_id: TenantId
    generation: int
    """Device tokens of another generation are revoked."""
    located: bool
    """Consents to being located now."""
    sandbox: bool


class DeviceDirectory:
    """Devices by id, the least recently used one forgotten first. Safe to share between threads."""

    def __init__(self, reader: sa.Engine, *, size: int = REMEMBERED_DEVICES) -> None:
        self._reader = reader
        self._size = size
        self._known: OrderedDict[DeviceId, DeviceFacts] = OrderedDict()
        self._forgotten = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def remembered(self, device_id: DeviceId) -> DeviceFacts | None:
        """The device if it is in memory; never blocks on a server."""
        with self._lock:
            facts = self._known.get(device_id)
            if facts is not None:
                self._known.move_to_end(device_id)
            return facts

    def load(self, device_id: DeviceId) -> DeviceFacts | None:
        """The device from Postgres; None if there is none. A stranger is not remembered, so it may come to exist."""
        before = self._forgotten
        with self._reader.connect() as connection:
            row = connection.execute(block("device_facts"), {"device_id": device_id}).one_or_none()
        if row is None:
            return None
        facts = DeviceFacts(
            device_id=device_id,
            tenant_id=TenantId(row.tenant_id),
            generation=row.generation,
            located=row.located,
            sandbox=row.sandbox,
        )
        with self._lock:
            # something was forgotten while the row was on its way: it may be this one, and already old
            if before == self._forgotten:
                self._known[device_id] = facts
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return facts

    def find(self, device_id: DeviceId) -> DeviceFacts | None:
        """From memory, else from Postgres."""
        return self.remembered(device_id) or self.load(device_id)

    def find_external(self, tenant_id: TenantId, external_id: str) -> DeviceFacts | None:
        """By the client's own id for it."""
        return self.find(device_id_for(tenant_id, external_id))

    def forget(self, device_ids: Iterable[int]) -> None:
        """These changed: the next question is asked of Postgres."""
        with self._lock:
            self._forgotten += 1
            for device_id in device_ids:
                self._known.pop(DeviceId(device_id), None)

    def forget_all(self) -> None:
        with self._lock:
            self._forgotten += 1
            self._known.clear()
