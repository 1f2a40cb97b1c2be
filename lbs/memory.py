"""What the API process answers from: snapshots of fences and stores, and the device directory, kept in step.

One thread loads them and then follows the numbered changes. If Postgres is away the snapshots stay as they were, their
age grows, and `/readyz` says so; nothing is rebuilt when it comes back.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from geofences.model import LatLng, StoreId, TenantId
from geofences.nearby import StoreRow, StoreSnapshot
from geofences.refresh import FenceSnapshot
from geofences.sql import queries
from geofences.tables import ChangeKind
from lbs.errors import NotReadyError
from lbs.sql import block
from offers.book import OfferBook
from offers.display import Display
from offers.store import load_campaigns
from offers.timetable import Timetable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from lbs.directory import DeviceDirectory

log = structlog.get_logger(__name__)

POLL_S: Final = 0.25
RETRY_S: Final = 1.0
FORGET_EVERY_S: Final = 600.0
FORGETS_AFTER_S: Final = 2.0
"""News of a device that was erased is deleted after some seconds (`lbs.erasure.HEARD_AFTER`): who has heard nothing for
this long asks for all devices anew."""
STALE_S: Final = 10.0
"""A snapshot older than this is no longer called ready."""
FETCHED_ROWS: Final = 5_000


class ApiMemory:
    """Snapshots that one background thread keeps in step; routes read them from any thread."""

    def __init__(
        self,
        reader: sa.Engine,
        *,
        directory: DeviceDirectory,
        now: Callable[[], datetime],
        on_devices: Callable[[sa.Connection, Sequence[int] | None], None] = lambda *_: None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_devices` is told which devices changed; None: any of them may have."""
        self._reader = reader
        self._directory = directory
        self._on_devices = on_devices
        self._now = now
        self._monotonic_s = monotonic_s
        self._fences = FenceSnapshot(now=now)
        self._stores = StoreSnapshot()
        self._offers = OfferBook()
        self.display = Display(Timetable())
        """Of this moment: for searches that ask about now."""
        self._number = 0
        self._loaded = False
        self._fresh_s = -float("inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def fences(self) -> FenceSnapshot:
        """NotReadyError until everything is loaded."""
        self._check_loaded()
        return self._fences

    @property
    def stores(self) -> StoreSnapshot:
        """NotReadyError until everything is loaded."""
        self._check_loaded()
        return self._stores

    @property
    def offers(self) -> OfferBook:
        """NotReadyError until everything is loaded."""
        self._check_loaded()
        return self._offers

    @property
    def age_s(self) -> float:
        """Since the snapshots were last known to be in step; infinite before they are loaded."""
        return self._monotonic_s() - self._fresh_s

    @property
    def ready(self) -> bool:
        return self._loaded and self.age_s < STALE_S

    def sizes(self) -> dict[str, int]:
        return {"fences": len(self._fences.index), "stores": len(self._stores), "devices": len(self._directory)}

    def start(self) -> None:
        """Begins to load; `ready` says when that is done."""
        self._thread = threading.Thread(target=self._follow, name="lbs-memory", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def load(self) -> None:
        """Loads everything, in the calling thread."""
        with self._reader.connect() as connection:
            self._number = connection.execute(queries("geofences")["newest_change"]).scalar_one()
            self._fences.load(connection)
            self._stores.load(_stores(connection))
            self._offers.load(load_campaigns(connection))
        self._directory.forget_all()
        # what is loaded stays: walking through it again and again would only stop the requests
        gc.collect()
        gc.freeze()
        self._fresh_s = self._monotonic_s()
        self._loaded = True
        log.info("memory.loaded", **self.sizes())

    def poll(self) -> None:
        """Applies what changed since the last call."""
        asked_s = self._monotonic_s()
        with self._reader.connect() as connection:
            self._fences.poll(connection)
            changes = connection.execute(queries("geofences")["changes_after"], {"number": self._number}).all()
            if self.age_s > FORGETS_AFTER_S:
                self._directory.forget_all()
                self._on_devices(connection, None)
            else:
                device_ids = _ids(changes, ChangeKind.DEVICE)
                self._directory.forget(device_ids)
                self._on_devices(connection, device_ids)
            campaign_ids = _ids(changes, ChangeKind.CAMPAIGN)
            if campaign_ids:
                self._offers.apply(load_campaigns(connection, campaign_ids=campaign_ids))
            store_ids = _ids(changes, ChangeKind.STORE)
            if store_ids:
                rows = list(_stores(connection, store_ids))
                found = {row.store_id for row in rows}
                self._stores.apply(rows, gone=[StoreId(i) for i in store_ids if i not in found])
        if changes:
            self._number = changes[-1].number
        self._fresh_s = asked_s

    def _check_loaded(self) -> None:
        if not self._loaded:
            raise NotReadyError("this process is still loading stores and fences")

    def _follow(self) -> None:
        forget_at_s = self._monotonic_s() + FORGET_EVERY_S
        while not self._stop.is_set():
            try:
                if not self._loaded:
                    self.load()
                self.poll()
            except sa.exc.SQLAlchemyError as error:
                log.warning("memory.waits", error=type(error).__name__)
                self._stop.wait(RETRY_S)
                continue
            if self._monotonic_s() > forget_at_s:
                self._fences.forget_old_versions()
                forget_at_s = self._monotonic_s() + FORGET_EVERY_S
            self._stop.wait(POLL_S)


def _ids(changes: Sequence[Any], kind: ChangeKind) -> list[int]:
    return sorted({row.object_id for row in changes if row.kind == kind})


def _stores(connection: sa.Connection, store_ids: Sequence[int] | None = None) -> Iterator[StoreRow]:
    rows = connection.execution_options(yield_per=FETCHED_ROWS).execute(
        block("snapshot_stores"), {"store_ids": None if store_ids is None else list(store_ids)}
    )
    return map(store_row, rows)


def store_row(row: Any) -> StoreRow:
    """A row of `snapshot_stores` or `stores_page`."""
    return StoreRow(
        store_id=StoreId(row.store_id),
        tenant_id=TenantId(row.tenant_id),
        external_id=row.external_id,
        name=row.name,
        location=LatLng(lat=row.lat, lng=row.lng),
        timezone=row.timezone,
        brand=row.brand,
        categories=tuple(row.categories),
        address=row.address,
        phone=row.phone,
        url=row.url,
        opening_hours=row.opening_hours,
        attributes=row.attributes,
    )
