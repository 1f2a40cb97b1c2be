"""Positions of a file through the real log and engine, into a sandbox tenant, in the data's own time.

The file is never in memory: only some `ROWS_AHEAD` rows wait in the log. If the engine or the worker is not there, or
stops in the middle, the replay ends with a CommandError; what was appended stays in the log for when they are back.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy as sa

from geofences.import_columns import POSITION_FIELDS, ColumnMap
from geofences.import_files import open_upload, read_rows
from geofences.log import Entry, EntryKind
from geofences.model import POSITION_DTYPE, SHARDS, DeviceId, EventType, Flag, Shard, VisitStatus
from geofences.position_rows import NoPosition, PositionRow, read_positions
from geofences.refresh import profile_of
from geofences.store import Tenant, create_devices, device_id_for, find_tenant
from geofences.tables import ConsentSource, Purpose, events, fence_versions, positions, visits
from geofences.visits import to_datetime, to_us
from lbs import clock
from lbs.connections import Role, database, position_log
from lbs.replay_watch import ReplayWatch
from lbs.runtime import CommandError
from lbs.uploads import Progress, quiet
from offers.tables import decisions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from lbs.settings import Settings

REPLAY_LOCK: Final = 5_242_007
"""Held shared while a replay needs the partitions of its data; the scheduler drops none meanwhile."""
ENTRY_ROWS: Final = 1_000
STEP_US: Final = 30_000_000
"""In data time: an entry spans no more, and every shard learns the time at least so often."""
ROWS_AHEAD: Final = 40_000
ENTRIES_AHEAD: Final = 4_000


@dataclass(slots=True)
class Tally:
    """Rows of the file."""

    rows: int = 0
    appended: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def replay(
    settings: Settings,
    tenant_name: str,
    file: Path,
    *,
    filters: bool = True,
    column_map: str = "",
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Returns when every position is handled and every event decided; counts as INTERFACE promises them."""
    columns = ColumnMap.parse(column_map, POSITION_FIELDS)
    started_s = time.monotonic()
    system = database(settings, Role.SYSTEM)
    try:
        with system.connect() as connection:
            tenant = find_tenant(connection, tenant_name)
        if not tenant.sandbox:
            raise CommandError(
                f"{tenant.name} is not a sandbox tenant: make one with `lbs tenant create NAME --sandbox`"
            )
        with _partitions_kept(system):
            before = _count(system, tenant)
            tally = Tally()
            run = _Run(settings, system, tenant, filters=filters, tally=tally)
            with (
                progress("Replaying", file.stat().st_size) as advance,
                open_upload(file, on_read=advance) as text,
            ):
                for row in read_positions(read_rows(text), columns):
                    run.take(row)
                run.finish()
            after = _count(system, tenant)
    finally:
        system.dispose()
    gained = {name: after[name] - before[name] for name in after}
    return {
        "positions": tally.rows,
        "accepted": gained["positions"],
        "rejected": tally.rejected.total(),
        "duplicates": tally.appended - gained["positions"],
        "visits": gained["visits"],
        "events": gained["events"],
        "corrections": gained["corrections"],
        "decisions": gained["decisions"],
        "seconds": round(time.monotonic() - started_s, 3),
        "rejected_by_reason": dict(sorted(tally.rejected.items())),
    }


@contextmanager
def _partitions_kept(system: sa.Engine) -> Iterator[None]:
    with system.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
        holder.execute(sa.text("SELECT pg_advisory_lock_shared(:lock)"), {"lock": REPLAY_LOCK})
        try:
            yield
        finally:
            # the session ends the lock; a pooled connection would keep it
            holder.invalidate()


def _count(system: sa.Engine, tenant: Tenant) -> dict[str, int]:
    """What the tenant has, by table."""
    confirmed = visits.c.status.in_([VisitStatus.OPEN, VisitStatus.CLOSED])
    corrected = events.c.type.in_([EventType.CORRECTED, EventType.RETRACTED])
    wanted = {
        "positions": (positions, sa.true()),
        "visits": (visits, confirmed),
        "events": (events, sa.true()),
        "corrections": (events, corrected),
        "decisions": (decisions, sa.true()),
    }
    with system.connect() as connection:
        return {
            name: connection.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.tenant_id == tenant.tenant_id, condition)
            ).scalar_one()
            for name, (table, condition) in wanted.items()
        }


def _longest_timer_us(system: sa.Engine, tenant: Tenant) -> int:
    """How long after a position anything can still happen by itself, with the tenant's fences; 0: nothing ever does."""
    wanted = sa.select(fence_versions.c.profile, fence_versions.c.settings).where(
        fence_versions.c.tenant_id == tenant.tenant_id
    )
    with system.connect() as connection:
        profiles = [profile_of(row.profile, row.settings) for row in connection.execute(wanted.distinct())]
    waits_s = (wait_s for p in profiles for wait_s in (p.enter_after_s, p.exit_after_s, p.dwell_s, p.hold_s, p.gap_s))
    return round(max(waits_s, default=0.0) * 1e6)


class _Run:
    """Cuts the rows into entries, gives every shard the data's time, and keeps the log short."""

    def __init__(self, settings: Settings, system: sa.Engine, tenant: Tenant, *, filters: bool, tally: Tally) -> None:
        self._system = system
        self._tenant = tenant
        self._filters = filters
        self._tally = tally
        self._log = position_log(settings)
        self._watch = ReplayWatch(settings, system, self._log)
        self._horizon_us = round(settings.horizon_s * 1e6)
        self._newest_us = to_us(clock.now()) + round(settings.future_s * 1e6)
        self._longest_timer_us = _longest_timer_us(system, tenant)
        self._clock_us: int | None = None
        self._next_step_us = 0
        self._waiting: dict[Shard, list[PositionRow]] = {Shard(shard): [] for shard in range(SHARDS)}
        self._last_position_us: dict[Shard, int] = {}
        self._devices: dict[str, DeviceId] = {}
        self._strangers: set[str] = set()
        self._days: set[date] = set()
        self._ready: list[tuple[Shard, Entry]] = []
        self._ready_rows = 0

    def take(self, row: PositionRow | NoPosition) -> None:
        self._tally.rows += 1
        reason = row.reason if isinstance(row, NoPosition) else self._objection(row)
        if isinstance(row, NoPosition) or reason is not None:
            self._tally.rejected[str(reason)] += 1
            return
        if self._clock_us is None or row.recorded_us > self._clock_us:
            if row.recorded_us >= self._next_step_us:
                self._step(row.recorded_us)
            self._clock_us = row.recorded_us
        device_id = self._devices.get(row.device_id)
        if device_id is None:
            device_id = self._devices[row.device_id] = device_id_for(self._tenant.tenant_id, row.device_id)
            self._strangers.add(row.device_id)
        shard = Shard(device_id % SHARDS)
        waiting = self._waiting[shard]
        waiting.append(row)
        if len(waiting) >= ENTRY_ROWS:
            self._pack(shard)
            self._append()

    def finish(self) -> None:
        """Appends the rest and a last tick for every shard, and waits until all is handled and decided."""
        if self._clock_us is None:
            return
        for shard in self._waiting:
            self._pack(shard)
            self._ready.append((shard, self._tick()))
        self._append(all_of_it=True)
        self._watch.wait_decided()

    def _objection(self, row: PositionRow) -> str | None:
        if row.recorded_us > self._newest_us:
            return "in_future"
        if self._filters and self._clock_us is not None and row.recorded_us < self._clock_us - self._horizon_us:
            return "too_old"
        return None

    def _step(self, next_us: int) -> None:
        """The data's clock is about to pass a step: what waits goes out, and idle shards are told the time."""
        self._next_step_us = next_us + STEP_US
        if self._clock_us is None:
            return
        for shard, waiting in self._waiting.items():
            if waiting:
                self._last_position_us[shard] = self._clock_us
                self._pack(shard)
            elif shard in self._last_position_us and self._clock_us <= self._timers_end_us(shard):
                self._ready.append((shard, self._tick()))
        self._append()

    def _timers_end_us(self, shard: Shard) -> int:
        """When the last timer has fired that the shard's newest position can have set; a step later to be sure."""
        return self._last_position_us[shard] + self._longest_timer_us + (STEP_US if self._longest_timer_us else -1)

    def _tick(self) -> Entry:
        assert self._clock_us is not None
        return Entry(kind=EntryKind.TICK, clock_us=self._clock_us, scope=self._tenant.tenant_id, filters=self._filters)

    def _pack(self, shard: Shard) -> None:
        rows, self._waiting[shard] = self._waiting[shard], []
        if not rows:
            return
        assert self._clock_us is not None
        packed = np.zeros(len(rows), dtype=POSITION_DTYPE)
        packed["device_id"] = [self._devices[row.device_id] for row in rows]
        packed["tenant_id"] = self._tenant.tenant_id
        packed["recorded_us"] = [row.recorded_us for row in rows]
        packed["received_us"] = self._clock_us
        packed["lat"] = [row.lat for row in rows]
        packed["lng"] = [row.lng for row in rows]
        packed["accuracy_m"] = [row.accuracy_m for row in rows]
        packed["speed_mps"] = [row.speed_mps for row in rows]
        packed["flags"] = [Flag.MOCKED if row.mocked else 0 for row in rows]
        entry = Entry(
            kind=EntryKind.POSITIONS,
            clock_us=self._clock_us,
            scope=self._tenant.tenant_id,
            filters=self._filters,
            positions=packed,
        )
        self._ready.append((shard, entry))
        self._ready_rows += len(rows)
        self._last_position_us[shard] = self._clock_us
        self._tally.appended += len(rows)

    def _append(self, *, all_of_it: bool = False) -> None:
        """Sends what is ready, once it is worth a round trip; the engine needs devices and partitions first."""
        worth_it = self._ready_rows >= ROWS_AHEAD // 4 or len(self._ready) >= ENTRIES_AHEAD // 4
        if not self._ready or not (worth_it or all_of_it):
            return
        self._make_partitions()
        self._make_devices()
        self._log.append(self._ready)
        self._ready, self._ready_rows = [], 0
        self._watch.appended(wait_for_all=all_of_it)

    def _make_partitions(self) -> None:
        """For the days of the data and the day after each, when its timers may fire."""
        days = {
            to_datetime(us).date() + timedelta(days=after)
            for _, entry in self._ready
            for column in ([entry.clock_us], [] if entry.positions is None else entry.positions["recorded_us"].tolist())
            for us in column
            for after in (0, 1)
        } - self._days
        if days:
            with self._system.begin() as connection:
                for day in sorted(days):
                    connection.execute(sa.text("SELECT geofences.make_partitions(:day, :day)"), {"day": day})
            self._days |= days

    def _make_devices(self) -> None:
        if self._strangers:
            with self._system.begin() as connection:
                create_devices(
                    connection,
                    tenant_id=self._tenant.tenant_id,
                    external_ids=sorted(self._strangers),
                    purposes=[Purpose.LOCATION, Purpose.PUSH],
                    source=ConsentSource.REPLAY,
                    at=clock.now(),
                )
            self._strangers.clear()
