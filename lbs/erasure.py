"""Erasing a device: everything that is stored of a person goes, and only numbers stay.

An erasure is a row that is committed before anything else happens, so one that was begun is finished, whoever dies:
each call of `go_on` takes the next step, and the scheduler calls it for all that wait.

1. The engine is told to forget the device, its rows go, and every process hears of it. From here on nothing of it can
   be asked for, and positions that arrive are not stored.
2. Once every process has surely heard, the engine is told a second time: nothing of the device follows in the log.
3. Once the engine has handled that, what it wrote meanwhile goes too, the log of the shard is written anew without its
   entries, and the row names nobody any more: it is the tombstone (`lbs.tombstones`).

Runs as the system role, because the API's own role may only read the ledger; every statement names tenant and device.
Decisions, reservations and claims stay without their device, so that stock, budgets and reports still add up. A claim
that the person's other devices share goes over to one of them; else nobody can be shown its code again, and a code that
was noted down is good until it ends, for it names nobody. Redemptions name no device.

Postgres away: the caller gets the driver's error. Redis away: the rows are gone, the rest waits for it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from geofences.errors import LogFullError, LogUnavailableError, NotFoundError
from geofences.log import LIVE, Entry, EntryKind, id_after, shard_of
from geofences.model import DeviceId, TenantId
from geofences.store import announce, device_id_for
from geofences.tables import ChangeKind, devices
from geofences.visits import to_us
from lbs.sql import block
from lbs.tables import erasures
from lbs.tombstones import subject_of
from offers.shoppers import user_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from geofences.log import PositionLog
    from lbs.settings import Settings

log = structlog.get_logger(__name__)

STEPS: Final = (
    "notifications",
    "webhook_events",
    "channels",
    "occasion_devices",
    "events",
    "visits",
    "positions",
    "device_last",
    "traffic_seen",
    "consents",
    "user_attributes",
    "users",
    "remembered_writes",
    "dead_letters",
    "devices",
)
"""Tables whose rows are deleted, each by the block `erase_<table>`."""
KEPT_WITHOUT_DEVICE: Final = ("decisions", "reservations", "claims")
"""Tables whose rows lose their device, each by the block `unname_<table>`; first, while the person is known."""
HEARD_AFTER: Final = timedelta(seconds=4)
"""Every process has heard of a change by then, or forgets all devices before it goes on (`lbs.memory`)."""
COUNTED_ENTRIES: Final = 500
REWRITE_EVERY: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """How far one erasure has come."""

    erasure_id: int
    counts: dict[str, int]
    """Rows that went so far, by table; `log_positions` are those that waited in the log."""
    finished: bool


def begin_erasure(
    eraser: sa.Engine, *, settings: Settings, tenant_id: TenantId, external_id: str, actor: str, now: datetime
) -> Erasure:
    """Commits that the device is to be erased; one that is being erased already goes on as it is. NotFoundError."""
    device_id = device_id_for(tenant_id, external_id)
    who = {"tenant_id": tenant_id, "device_id": device_id}
    with eraser.begin() as connection:
        # two at once: the second waits here and then finds the first one's row
        there = connection.execute(block("lock_device"), who).first() is not None
        begun = connection.execute(block("erasure_under_way"), who).one_or_none()
        if begun is None and not there:
            raise NotFoundError(f"no device {external_id!r}")
        if begun is None:
            values = {"subject": subject_of(settings, tenant_id, external_id), "actor": actor, "begun_at": now}
            begun = connection.execute(sa.insert(erasures).values(**who, **values).returning(erasures)).one()
        return _shape(begun)


def go_on(eraser: sa.Engine, position_log: PositionLog, erasure_id: int, *, now: datetime) -> Erasure:
    """Takes the next step if its time has come; repeating it is safe at any moment."""
    with eraser.begin() as connection:
        row = connection.execute(block("lock_erasure"), {"erasure_id": erasure_id}).one()
        if row.finished_at is not None:
            return _shape(row)
        if row.swept_at is None:
            done = _first_sweep(connection, position_log, row, now)
        elif now - row.swept_at < HEARD_AFTER:
            return _shape(row)
        elif row.entry_id is None or _lost(position_log, row):
            done = {"entry_id": _tell_engine(position_log, row, now)}
        else:
            done = _last_sweep(connection, position_log, row, now)
        if not done:
            return _shape(row)
        own = erasures.c.erasure_id == erasure_id
        changed = connection.execute(sa.update(erasures).where(own).values(**done).returning(erasures)).one()
    if changed.finished_at is not None:
        log.info("device.erased", tenant_id=row.tenant_id, erasure_id=erasure_id)
    return _shape(changed)


class Eraser:
    """What the scheduler does each second: goes on with every erasure, and sees to it that Redis forgets on disk."""

    def __init__(self, database: sa.Engine, position_log: PositionLog, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._log = position_log
        self._now = now
        self._rewrite_due = False
        self._rewritten_at: datetime | None = None

    def work(self) -> None:
        """Redis away: what it has a part in waits."""
        with self._database.connect() as connection:
            waiting = connection.execute(block("unfinished_erasures")).scalars().all()
        try:
            for erasure_id in waiting:
                self._rewrite_due |= go_on(self._database, self._log, erasure_id, now=self._now()).finished
            self._rewrite()
        except (LogUnavailableError, LogFullError) as error:
            log.warning("erasure.waits", error=type(error).__name__)

    def _rewrite(self) -> None:
        """The append-only file holds what was appended until it is written anew, which is not for every second."""
        now = self._now()
        rested = self._rewritten_at is None or now - self._rewritten_at >= REWRITE_EVERY
        if self._rewrite_due and rested and self._log.rewrite_file():
            self._rewrite_due, self._rewritten_at = False, now


def _first_sweep(connection: sa.Connection, position_log: PositionLog, row: Any, now: datetime) -> dict[str, Any]:
    waiting = 0
    # without Redis the engine hears of it later; what it writes until then goes with the last sweep
    with suppress(LogUnavailableError, LogFullError):
        waiting = _positions_waiting(connection, position_log, row)
        _tell_engine(position_log, row, now)
    counts = _sweep(connection, row)
    counts["log_positions"] = waiting
    announce(
        connection,
        tenant_id=TenantId(row.tenant_id),
        kind=ChangeKind.DEVICE,
        object_ids=[row.device_id],
        effective_at=now,
    )
    return {"swept_at": now, "counts": counts}


def _last_sweep(connection: sa.Connection, position_log: PositionLog, row: Any, now: datetime) -> dict[str, Any]:
    """Nothing yet if the engine is not that far, or too much waits behind it."""
    shard = shard_of(row.device_id)
    handled = connection.execute(block("shard_offset"), {"shard": shard}).scalar_one()
    # an offset is committed with its effects: whatever the engine wrote of the device is there to be swept
    if id_after(row.entry_id, handled) or not position_log.scrub(shard, handled=handled):
        return {}
    counts = Counter(row.counts) + Counter(_sweep(connection, row))
    who = {"tenant_id": row.tenant_id, "device_id": row.device_id}
    counts["changes"] = connection.execute(block("erase_changes"), who).rowcount
    return {"finished_at": now, "device_id": None, "entry_id": None, "counts": dict.fromkeys(row.counts, 0) | counts}


def _sweep(connection: sa.Connection, row: Any) -> dict[str, int]:
    """Deletes all rows of the device; answers how many of each table changed."""
    who: dict[str, Any] = {"tenant_id": row.tenant_id, "device_id": row.device_id}
    connection.execute(block("lock_device"), who)
    device = sa.select(devices).where(devices.c.device_id == row.device_id, devices.c.tenant_id == row.tenant_id)
    person = getattr(connection.execute(device).one_or_none(), "external_user_id", None)
    more: dict[str, dict[str, Any]] = {
        "users": {"user_key": 0 if person is None else user_key(TenantId(row.tenant_id), person)},
        "dead_letters": {
            "shard": shard_of(row.device_id),
            "packed": DeviceId(row.device_id).to_bytes(8, "little"),
            "written": b"i=%d\n" % row.device_id,
        },
    }
    # messages before reservations, in which order a worker that finishes messages takes them
    changed = {"notifications": connection.execute(block("erase_notifications"), who).rowcount}
    changed |= {table: connection.execute(block(f"unname_{table}"), who).rowcount for table in KEPT_WITHOUT_DEVICE}
    for table in STEPS[1:]:
        changed[table] = connection.execute(block(f"erase_{table}"), who | more.get(table, {})).rowcount
    return changed


def _tell_engine(position_log: PositionLog, row: Any, now: datetime) -> str:
    """Answers the id of the entry. It moves no sandbox's clock: the data of a replay has a time of its own."""
    entry = Entry(kind=EntryKind.ERASED, clock_us=to_us(now), scope=LIVE, device_id=DeviceId(row.device_id))
    return position_log.append([(shard_of(row.device_id), entry)])[0]


def _lost(position_log: PositionLog, row: Any) -> bool:
    """Whether Redis lost its data since the engine was told."""
    shard = shard_of(row.device_id)
    return id_after(row.entry_id, position_log.look({shard: None})[shard].last_id)


def _positions_waiting(connection: sa.Connection, position_log: PositionLog, row: Any) -> int:
    """Of the device, in the entries that the engine handles next."""
    shard = shard_of(row.device_id)
    handled = connection.execute(block("shard_offset"), {"shard": shard}).scalar_one()
    found = position_log.read({shard: handled}, count=COUNTED_ENTRIES).get(shard, [])
    packed = (Entry.from_fields(fields).positions for _, fields in found if b"d" in fields)
    return sum(int((rows["device_id"] == row.device_id).sum()) for rows in packed if rows is not None)


def _shape(row: Any) -> Erasure:
    return Erasure(erasure_id=row.erasure_id, counts=dict(row.counts), finished=row.finished_at is not None)
