"""The shard loop: log entries in, committed visits and events out.

Several engines share the shards by lease (`leases`). What happens when something is down: Redis or Postgres away - the
loop gives its shards back if it can, waits and tries again; nothing is lost because the offset moves only with its
effects; kill -9 - the next owner repeats what was not committed; a poison entry - after three attempts it goes to
`dead_letters` and the shard goes on; another engine took a shard over - this one's commits match no row, and it drops
the shard; Redis lost its data - noticed within a second, written down, and the new log read from its start.
"""

from __future__ import annotations

import gc
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from geofences import visits as ledger
from geofences.errors import LogFullError, LogUnavailableError, LostShardError
from geofences.intake import Found, Intake, RawEntry, groups, packed_positions
from geofences.leases import LEASE_S, Leases
from geofences.log import Entry, EntryKind, PositionLog, id_after
from geofences.model import SHARDS, Shard
from geofences.past import StoredPast, unfinished
from geofences.sql import queries
from geofences.tracking import Effects, Tracker
from geofences.visits import ShardPlace, to_us
from geofences.warm import warm_up
from geofences.watch import EngineWatch, NoWatch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from geofences.refresh import FenceSnapshot

log = structlog.get_logger(__name__)

ATTEMPTS = 3
POLL_S = 0.25
RETRY_S = 1.0
LOOK_EVERY_S = 1.0
"""How long the log keeps what is handled, and how long a loss of it may stay unnoticed."""
FORGET_EVERY_S = 600.0
LOADED_TOGETHER = 8
"""Shards that are read from the database at once."""


class Engine:
    """Works on the shards that are leased to it, in one thread."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        position_log: PositionLog,
        snapshot: FenceSnapshot,
        now: Callable[[], datetime],
        beat: Callable[[], None],
        on_batch: Callable[[Effects], None] = lambda _: None,
        lease_s: float = LEASE_S,
        watch: EngineWatch | None = None,
    ) -> None:
        self._database = database
        # a single question needs no BEGIN and no ROLLBACK
        self._asking = database.execution_options(isolation_level="AUTOCOMMIT")
        self._log = position_log
        self._intake = Intake(position_log)
        self._snapshot = snapshot
        self._now = now
        self._beat = beat
        self._on_batch = on_batch
        self._leases = Leases(database, lease_s=lease_s)
        self._watch = watch or NoWatch()
        self._loaded = False
        self._tracker = Tracker(index=snapshot.index, past=StoredPast(self._asking))
        self._places: dict[Shard, ShardPlace] = {}
        """How far each shard has come that this engine works on."""
        self._attempts: dict[tuple[Shard, str], int] = {}
        self._ticked_us: dict[Shard, int] = {}
        self._poll_at_s = self._look_at_s = 0.0
        self._forgot_s = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Works until `stop`, then gives its shards back; a lost server is waited for."""
        warm_up()
        while not stop.is_set():
            try:
                self._work_until(stop)
            except (sa.exc.DBAPIError, LogUnavailableError, LostShardError) as error:
                log.warning("engine.waits", error=type(error).__name__)
                self._let_go()
                stop.wait(RETRY_S)
        self._let_go()

    def _work_until(self, stop: threading.Event) -> None:
        with closing(self._log.wakes()) as wakes:
            wakes.wait(0)  # without the log there is nothing to own
            if not self._loaded:
                self._load_fences()
            log.info("engine.started", owner=self._leases.owner, fences=len(self._snapshot.index))
            while not stop.is_set():
                self._attend()
                self._work(wakes.wait(max(0.0, min(POLL_S, self._poll_at_s - time.monotonic()))), stop)
                self._beat()

    def _load_fences(self) -> None:
        with self._database.connect() as connection:
            self._snapshot.load(connection)
        self._loaded = True
        # fences stay: walking through them again and again would only stop the loop
        gc.collect()
        gc.freeze()

    def _let_go(self) -> None:
        """Forgets all shards, and says so to the others if Postgres is there to be told."""
        for shard in list(self._places):
            self._drop(shard)
        self._leases.forget()
        with suppress(sa.exc.DBAPIError):
            self._leases.release()

    def _attend(self) -> bool:
        """Between batches: keeps the leases and looks after the log; True if any shard is not what it was."""
        change = self._leases.attend()
        for shard in change.gone:
            self._drop(shard)
        self._take_over(change.taken)
        if change:
            self._poll_at_s = 0.0
            self._watch.owns(len(self._places))
            log.info("engine.shards", owned=len(self._places), taken=len(change.taken), gone=len(change.gone))
        begun_anew = False
        if time.monotonic() >= self._look_at_s:
            self._look_at_s = time.monotonic() + LOOK_EVERY_S
            begun_anew = self._look_after_log(self._offsets(self._places))
            entries, oldest_s = self._intake.waiting()
            self._watch.log_waits(entries=entries, oldest_s=oldest_s)
        return bool(change) or begun_anew

    def _drop(self, shard: Shard) -> None:
        self._intake.forget(shard)
        if self._places.pop(shard, None) is not None:
            self._tracker.forget([shard])
        self._ticked_us.pop(shard, None)

    def _offsets(self, shards: Iterable[Shard]) -> dict[Shard, str]:
        """Of those that are owned."""
        return {shard: self._places[shard].offset for shard in shards if shard in self._places}

    def _take_over(self, taken: Iterable[Shard]) -> None:
        shards = sorted(taken)
        if not shards:
            return
        self._look_after_log({shard: self._leases.place(shard).offset for shard in shards})
        missing = [shard for shard in shards if shard not in self._places]
        # many visits take long to load: meanwhile the leases must not run out
        for start in range(0, len(missing), LOADED_TOGETHER):
            held = [shard for shard in missing[start : start + LOADED_TOGETHER] if self._leases.holds(shard)]
            self._load(held)
            self._renew()

    def _renew(self) -> None:
        """Amid long work: prolongs the leases if it is time."""
        for gone in self._leases.renew():
            self._drop(gone)

    def _look_after_log(self, offsets: dict[Shard, str]) -> bool:
        """Forgets what is handled of these shards and sees whether anything else is gone; True if a log began anew."""
        lost = self._intake.look(offsets)
        if not lost:
            return False
        log.error("engine.log_lost", shards=len(lost), entries_at_least=sum(lost.values()))
        self._watch.log_lost(shards=len(lost), entries_at_least=sum(lost.values()))
        for shard, entries in lost.items():
            self._leases.begin_log_anew(shard, entries_at_least=entries)
            self._load([shard])
        return True

    def _load(self, shards: Sequence[Shard]) -> None:
        """(Re)loads memory of shards from Postgres: after take-over, and after a failed batch; LostShardError."""
        places = {shard: self._leases.place(shard) for shard in shards}
        self._tracker.forget(shards)
        with self._database.connect() as connection:
            visits, positions = unfinished(connection, shards)
        self._tracker.restore(visits, positions)
        self._places.update(places)

    def _work(self, woken: set[Shard] | None, stop: threading.Event) -> None:
        """Entries of the woken shards; every poll interval, busy or not, those of all shards, new fences and ticks."""
        shards: Iterable[Shard] = self._places if woken is None else woken
        if time.monotonic() >= self._poll_at_s:
            self._poll_at_s = time.monotonic() + POLL_S
            self._refresh()
            self._append_ticks()
            self._forget_fences()
            shards = self._places
        while (offsets := self._offsets(shards)) and not stop.is_set():
            found, shards = self._intake.read(offsets)
            if found:
                self._refresh()
            for group in groups(found):
                self._work_off(group)
                self._beat()
                if self._attend() or stop.is_set():
                    return  # what was read may be another engine's now; if not, it will be read again
            if time.monotonic() >= self._poll_at_s:
                return

    def _work_off(self, group: Found) -> None:
        begun_s = time.perf_counter()
        self._process(group)
        self._watch.handled(
            entries=self._intake.handled(group, self._offsets(group)),
            positions=packed_positions(group),
            seconds=time.perf_counter() - begun_s,
        )

    def _refresh(self) -> None:
        changed = []
        with self._asking.connect() as connection:
            behind = self._snapshot.is_behind(connection)
        if behind:
            with self._database.connect() as connection:
                changed = self._snapshot.poll(connection)
        for fence_id, effective_us in changed:
            effects = Effects()
            self._tracker.fence_changed(fence_id, effective_us, effects)
            if effects.moments:
                devices = {Shard(int(part["device_id"][0]) % SHARDS) for part in effects.moments if len(part)}
                effects.offsets = self._offsets(devices)
                self._commit(effects)
        # a fence that always was in force, as in a sandbox, is not late
        took_effect_us = [effective_us for _, effective_us in changed if effective_us > 0]
        late_us = to_us(self._now()) - max(took_effect_us) if took_effect_us else None
        self._watch.fences_polled(late_s=None if late_us is None else max(0.0, late_us / 1e6))

    def _append_ticks(self) -> None:
        """Time reaches a shard through its log: a tick for each shard with a timer due."""
        now_us = to_us(self._now())
        due = [
            shard
            for shard in self._places
            if self._ticked_us.get(shard, 0) < self._tracker.next_live_timer_us(shard) <= now_us
        ]
        try:
            self._log.append((shard, Entry(kind=EntryKind.TICK, clock_us=now_us)) for shard in due)
        except LogFullError:
            return  # reading on is what makes room
        self._ticked_us.update(dict.fromkeys(due, now_us))

    def _process(self, found: Found) -> None:
        """Handles and commits a round; if that fails, shard by shard and then entry by entry, to find the culprit."""
        try:
            self._handle(found)
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a batch raises must not stop the other shards
            log.warning("engine.batch_failed", error=type(error).__name__, shards=len(found))
            done = self._offsets(found)
            for shard, entries in found.items():
                if not self._reload(shard):
                    continue
                for entry in entries:
                    if id_after(entry[0], done[shard]) and not self._process_alone(shard, entry):
                        break

    def _process_alone(self, shard: Shard, raw: RawEntry) -> bool:
        """One entry in a transaction of its own; True if the shard can go on to the next one."""
        try:
            self._handle({shard: [raw]})
        except sa.exc.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see _process
            if not self._reload(shard):
                return False
            attempts = self._attempts.get((shard, raw[0]), 0) + 1
            self._attempts[shard, raw[0]] = attempts
            log.warning("engine.entry_failed", shard=shard, entry_id=raw[0], attempts=attempts, error=repr(error)[:200])
            if attempts < ATTEMPTS:
                return self._process_alone(shard, raw)
            self._bury(shard, raw, error)
        self._attempts.pop((shard, raw[0]), None)
        return True

    def _reload(self, shard: Shard) -> bool:
        """Loads a shard again; False if it is another engine's by now."""
        try:
            self._load([shard])
        except LostShardError:
            log.warning("engine.shard_lost", shard=shard)
            self._drop(shard)
            return False
        return True

    def _bury(self, shard: Shard, raw: RawEntry, error: Exception) -> None:
        entry_id, fields = raw
        payload = b"\n".join(key + b"=" + value for key, value in fields.items())
        effects = Effects(offsets={shard: entry_id})
        effects.dead.append((shard, entry_id, payload, f"{type(error).__name__}: {error}"[:1000]))
        log.error("engine.entry_buried", shard=shard, entry_id=entry_id, error=type(error).__name__)
        self._commit(effects)
        self._watch.buried()

    def _handle(self, found: Found) -> None:
        """Entries in, committed effects out; a late position is met with all before it committed."""
        rest = {
            shard: [(entry_id, Entry.from_fields(fields)) for entry_id, fields in entries]
            for shard, entries in sorted(found.items())
        }
        while rest:
            effects = self._tracker.handle(rest)
            self._commit(effects)
            self._renew()
            left = {
                shard: [entry for entry in entries if id_after(entry[0], self._places[shard].offset)]
                for shard, entries in rest.items()
                if shard in self._places
            }
            rest = {shard: entries for shard, entries in left.items() if entries}

    def _commit(self, effects: Effects) -> None:
        begun_s = time.perf_counter()
        with self._database.begin() as connection:
            connection.execute(queries("geofences")["name_commit"], {"name": self._leases.name})
            moved = ledger.commit(connection, effects, self._places)
        self._watch.committed(seconds=time.perf_counter() - begun_s)
        self._places.update(moved)
        self._on_batch(effects)

    def _forget_fences(self) -> None:
        """Now and then, fence versions that can judge nothing any more."""
        if time.monotonic() - self._forgot_s > FORGET_EVERY_S:
            self._forgot_s = time.monotonic()
            self._snapshot.forget_old_versions()
