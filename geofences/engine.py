"""The shard loop: log entries in, committed visits and events out.

What happens when something is down: Redis or Postgres away - the loop waits and tries again, nothing is lost because
the offset moves only with its effects; kill -9 - the next owner repeats what was not committed; a poison entry - after
three attempts it goes to `dead_letters` and the shard goes on; another engine takes over - this one's commits match no
row.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from geofences import visits as ledger
from geofences.errors import LogUnavailableError
from geofences.log import START, Entry, EntryKind, PositionLog, id_after
from geofences.model import POSITION_DTYPE, SHARDS, DeviceId, Shard
from geofences.shard import ShardMemory
from geofences.visits import DeviceFacts, Effects, Identity, to_us

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from geofences.refresh import FenceSnapshot

log = structlog.get_logger(__name__)

ENGINE_LOCK = 5_242_002
"""Advisory lock: one engine works, others stand by."""
ATTEMPTS = 3
POLL_S = 0.25
RETRY_S = 1.0
READ_COUNT = 32
"""Entries of a shard in one round; an entry holds at most 1,000 positions."""
POSITIONS_A_COMMIT = 20_000
"""Shards of a round share a transaction until it holds about so many."""
TRIM_EVERY_S = 1.0
FORGET_EVERY_S = 600.0

RawEntry = tuple[str, dict[bytes, bytes]]


class Engine:
    """Owns all shards while it holds the engine lock."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        position_log: PositionLog,
        snapshot: FenceSnapshot,
        now: Callable[[], datetime],
        beat: Callable[[], None],
        on_batch: Callable[[Sequence[Effects]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._log = position_log
        self._snapshot = snapshot
        self._now = now
        self._beat = beat
        self._on_batch = on_batch
        self._shards: dict[Shard, ShardMemory] = {}
        self._attempts: dict[tuple[Shard, str], int] = {}
        self._ticked_us: dict[Shard, int] = {}
        self._trimmed_s = 0.0
        self._forgot_s = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Works until `stop`; a lost server is waited for."""
        while not stop.is_set():
            try:
                self._own_and_work(stop)
            except (sa.exc.DBAPIError, LogUnavailableError) as error:
                log.warning("engine.waits", error=type(error).__name__)
                self._shards.clear()
                stop.wait(RETRY_S)

    def _own_and_work(self, stop: threading.Event) -> None:
        with self._database.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
            while not holder.execute(sa.text("SELECT pg_try_advisory_lock(:lock)"), {"lock": ENGINE_LOCK}).scalar():
                self._beat()
                if stop.wait(RETRY_S):
                    return
            log.info("engine.started", shards=SHARDS)
            wakes = self._log.wakes()
            try:
                self._take_over()
                while not stop.is_set():
                    self._work(wakes.wait(POLL_S))
                    # holding the lock is what makes this process the owner: a lost connection ends the ownership
                    holder.execute(sa.text("SELECT 1"))
                    self._beat()
            finally:
                wakes.close()
                self._shards.clear()

    def _take_over(self) -> None:
        with self._database.connect() as connection:
            self._snapshot.load(connection)
            places = ledger.load_places(connection)
        last_ids = self._log.last_ids()
        for shard, place in places.items():
            if id_after(place.offset, last_ids[shard]):
                log.error("engine.log_lost", shard=shard, offset=place.offset, last_id=last_ids[shard])
                with self._database.begin() as connection:
                    ledger.reset_place(connection, shard)
        for shard in places:
            self._load(shard)

    def _load(self, shard: Shard) -> None:
        """(Re)loads one shard's memory from Postgres: after take-over, and after a failed batch."""
        with self._database.connect() as connection:
            place = ledger.load_places(connection)[shard]
            unfinished = ledger.load_unfinished(connection, shard)
        memory = ShardMemory(
            shard,
            place,
            index=self._snapshot.index,
            load_devices=self._load_devices,
            known_identities=self._known_identities,
        )
        memory.restore(unfinished)
        self._shards[shard] = memory

    def _load_devices(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
        with self._database.connect() as connection:
            return ledger.load_devices(connection, device_ids)

    def _known_identities(self, wanted: Sequence[tuple[DeviceId, int]]) -> set[Identity]:
        with self._database.connect() as connection:
            return ledger.known_identities(connection, wanted)

    def _work(self, woken: set[Shard] | None) -> None:
        """One round: new fences, then entries of the woken shards (all of them when nobody said which)."""
        if woken is None:
            self._refresh()
            self._append_ticks()
        shards = self._shards if woken is None else woken
        while True:
            cursors = {shard: self._shards[shard].place.offset for shard in shards}
            found = self._log.read(cursors, count=READ_COUNT)
            if not found:
                break
            self._refresh()
            for group in _groups(found):
                self._process(group)
                self._beat()
            shards = {shard for shard, entries in found.items() if len(entries) == READ_COUNT}
            self._trim()
            if not shards:
                break

    def _refresh(self) -> None:
        with self._database.connect() as connection:
            changed = self._snapshot.poll(connection)
        for fence_id, effective_us in changed:
            for memory in self._shards.values():
                memory.fence_changed(fence_id, effective_us)

    def _append_ticks(self) -> None:
        """Time reaches a shard through its log: a tick for each shard with a timer due."""
        now_us = to_us(self._now())
        due = [
            shard
            for shard, memory in self._shards.items()
            if memory.next_live_timer_us() <= now_us and self._ticked_us.get(shard, 0) < memory.next_live_timer_us()
        ]
        self._log.append((shard, Entry(kind=EntryKind.TICK, clock_us=now_us)) for shard in due)
        self._ticked_us.update(dict.fromkeys(due, now_us))

    def _process(self, found: dict[Shard, list[RawEntry]]) -> None:
        """Handles and commits a round; if that fails, shard by shard and then entry by entry, to find the culprit."""
        try:
            self._commit([self._handle(shard, entries) for shard, entries in sorted(found.items())])
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a batch raises must not stop the other shards
            log.warning("engine.batch_failed", error=type(error).__name__, shards=len(found))
            for shard, entries in found.items():
                self._load(shard)
                for entry in entries:
                    if not self._process_alone(shard, entry):
                        break

    def _process_alone(self, shard: Shard, raw: RawEntry) -> bool:
        """One entry in a transaction of its own; True if the shard can go on to the next one."""
        try:
            self._commit([self._handle(shard, [raw])])
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see _process
            self._load(shard)
            attempts = self._attempts.get((shard, raw[0]), 0) + 1
            self._attempts[shard, raw[0]] = attempts
            log.warning("engine.entry_failed", shard=shard, entry_id=raw[0], attempts=attempts, error=repr(error)[:200])
            if attempts < ATTEMPTS:
                return self._process_alone(shard, raw)
            self._bury(shard, raw, error)
        self._attempts.pop((shard, raw[0]), None)
        return True

    def _bury(self, shard: Shard, raw: RawEntry, error: Exception) -> None:
        entry_id, fields = raw
        payload = b"\n".join(key + b"=" + value for key, value in fields.items())
        effects = Effects(shard=shard, before=self._shards[shard].place, offset=entry_id)
        effects.dead.append((entry_id, payload, f"{type(error).__name__}: {error}"[:1000]))
        log.error("engine.entry_buried", shard=shard, entry_id=entry_id, error=type(error).__name__)
        self._commit([effects])

    def _handle(self, shard: Shard, raw: Sequence[RawEntry]) -> Effects:
        return self._shards[shard].handle([(entry_id, Entry.from_fields(fields)) for entry_id, fields in raw])

    def _commit(self, batch: list[Effects]) -> None:
        with self._database.begin() as connection:
            ledger.commit(connection, batch)
        for effects in batch:
            self._shards[effects.shard].advanced(effects)
        self._on_batch(batch)

    def _trim(self) -> None:
        """Forgets what is handled: log entries, and now and then fence versions that can judge nothing any more."""
        if time.monotonic() - self._forgot_s > FORGET_EVERY_S:
            self._forgot_s = time.monotonic()
            self._snapshot.forget_old_versions()
        if time.monotonic() - self._trimmed_s > TRIM_EVERY_S:
            self._trimmed_s = time.monotonic()
            self._log.trim(
                {shard: memory.place.offset for shard, memory in self._shards.items() if memory.place.offset != START}
            )


def _groups(found: dict[Shard, list[RawEntry]]) -> Iterator[dict[Shard, list[RawEntry]]]:
    """A round cut into transactions of bearable size, shards in order."""
    group: dict[Shard, list[RawEntry]] = {}
    size = 0
    for shard, entries in sorted(found.items()):
        group[shard] = entries
        size += sum(len(fields.get(b"d", b"")) for _, fields in entries) // POSITION_DTYPE.itemsize
        if size >= POSITIONS_A_COMMIT:
            yield group
            group, size = {}, 0
    if group:
        yield group
