"""What a tenant wants to keep for a shorter time than the installation is deleted device by device.

Whole days of raw positions go by partition (`Scheduler.keep_partitions`); this is for the tenants that want less. A
page of devices is one short transaction, so nobody waits for it: kill -9 loses a page, which the next look deletes.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from geofences.model import Kept
from geofences.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

DEVICES_A_PAGE: Final = 20
NOBODY: Final = 0
"""Whose decisions are those of devices that were erased."""
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP: Final = timedelta(days=2)
"""A look reaches back a little before the last one: a late position adds rows that are old already."""


class OldRows:
    """Deletes what each tenant keeps no longer."""

    def __init__(self, database: sa.Engine, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._looked_at: dict[tuple[int, str, int], datetime] = {}
        """When a tenant's rows of a kind were last looked at, for so many days."""

    def forget(self) -> Counter[str]:
        """Answers how many rows of each kind went.

        Of partitioned tables only what became too old since the last look is looked at, or there would be more to
        search every day; all of it the first time, and when a tenant has changed its mind.
        """
        now = self._now()
        forgotten: Counter[str] = Counter()
        with self._database.connect() as connection:
            tenants = connection.execute(queries("offers")["retentions"]).all()
        for tenant in tenants:
            bounds = {kind: self._bounds(tenant.tenant_id, kind, days, now) for kind, days in tenant.retention.items()}
            for device_ids in _pages(self._database, tenant.tenant_id):
                whose: dict[str, Any] = {"tenant_id": tenant.tenant_id, "device_ids": device_ids}
                with self._database.begin() as connection:
                    for kind, asked in bounds.items():
                        block = queries("offers")[f"forget_{Kept(kind)}"]
                        forgotten[kind] += connection.execute(block, whose | asked).rowcount
            self._looked_at |= {(tenant.tenant_id, kind, days): now for kind, days in tenant.retention.items()}
        return forgotten

    def _bounds(self, tenant_id: int, kind: str, days: int, now: datetime) -> dict[str, datetime]:
        kept = timedelta(days=days)
        looked_at = self._looked_at.get((tenant_id, kind, days))
        since = LONG_AGO if looked_at is None else looked_at - kept - OVERLAP
        return {"old_since": since, "old_before": now - kept}


def _pages(database: sa.Engine, tenant_id: int) -> Iterator[list[int]]:
    yield [NOBODY]
    after = NOBODY
    while True:
        with database.connect() as connection:
            asked = {"tenant_id": tenant_id, "after": after, "limit": DEVICES_A_PAGE}
            page = connection.execute(queries("offers")["devices_after"], asked).scalars().all()
        if not page:
            return
        yield list(page)
        after = page[-1]
