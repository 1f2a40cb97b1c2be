"""The tracker: log entries of many shards in, `Effects` out. Reads the past through `Past` and writes nothing.

The engine, `lbs bench engine` and the tests use it alike. The outcome does not depend on how entries are cut into
batches: it goes in waves, one entry of every shard at a time, and what is told keeps the order of the entries.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from geofences.batch import Batch, device_ids, identities, no_told
from geofences.log import LIVE, Entry, EntryKind, shard_of
from geofences.memory import DeviceFacts, Memory
from geofences.model import POSITION_DTYPE, DeviceId, FenceId, Positions, Shard, TenantId
from geofences.refold import catch_up, refold
from geofences.states import NEVER_US, NO_DEVICE, NONE_US, Moments, Status
from geofences.tracks import DUE, SEEN, TOLD, resume
from geofences.trust import MAX_SPEED_MPS
from geofences.wave import ASK, FOLD, SKIP, fire_all, fold_rows, room_needed, set_timer, withdraw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geofences.batch import Identity
    from geofences.index import FenceIndex
    from geofences.model import Int64s
    from geofences.refold import Story
    from geofences.wave import Told

GRACE_US: Final = 2_000_000
"""A phone's position arrives some time after it was recorded: timers of the wall clock wait so long for it. Without
this, many a timer would be overtaken by a position, and everything since folded again."""


class Past(Protocol):
    """What Postgres remembers, as the tracker asks for it."""

    def devices(self, device_ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceFacts]:
        """Facts of the devices that exist."""

    def known(self, wanted: Sequence[tuple[DeviceId, int]]) -> set[Identity]:
        """Identities of stored positions of these (device, recorded_us)."""

    def good_since(self, device_ids: Sequence[DeviceId], since_us: int) -> Positions:
        """Their good positions from a time on."""

    def visitors(self, fence_id: FenceId, device_ids: Sequence[DeviceId], since_us: int) -> set[DeviceId]:
        """Those of the devices with a visit of the fence that was not settled by then."""

    def stories(self, since_us: Mapping[DeviceId, int]) -> Mapping[DeviceId, Story]:
        """Each device's past from the latest time on, at or before `since_us`, at which it was about no fence."""


@dataclass(slots=True)
class Effects:
    """Everything that a batch does to the database."""

    offsets: dict[Shard, str] = field(default_factory=dict)
    """Of each shard the last entry that is in here."""
    positions: list[Positions] = field(default_factory=list)
    """New rows, with their flags."""
    moments: list[Moments] = field(default_factory=list)
    """What became of visits, in order; the last moment of a visit is its row, those that tell something are events."""
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What a correction is due to, by the place of its moment in all moments together."""
    seen: list[Positions] = field(default_factory=list)
    """Where devices were, in order of time."""
    reflagged: list[Positions] = field(default_factory=list)
    """Stored positions whose flags a late one changed."""
    withdrawn_us: dict[DeviceId, int] = field(default_factory=dict)
    """Devices whose location consent was withdrawn, and when."""
    erased: list[DeviceId] = field(default_factory=list)
    """Devices that nobody may remember."""
    dead: list[tuple[Shard, str, bytes, str]] = field(default_factory=list)
    """Entries that failed three times: shard, id, payload, error."""

    def tell(self, moments: Moments, details: Mapping[int, dict[str, Any]] | None = None) -> None:
        start = sum(map(len, self.moments))
        self.moments.append(moments)
        self.details.update({start + i: detail for i, detail in (details or {}).items()})


class Tracker:
    """Follows the devices of the shards it is given. Not thread-safe: a shard has one owner."""

    def __init__(self, *, index: FenceIndex, past: Past) -> None:
        self.index = index
        self.memory = Memory()
        self._past = past
        self._timers: dict[tuple[Shard, TenantId], list[tuple[int, int]]] = {}
        self._settled_us: dict[tuple[Shard, TenantId], int] = {}
        """Up to when the timers of each shard and scope have fired."""

    def next_live_timer_us(self, shard: Shard) -> int:
        """When a tick is worth while for the devices that follow the wall clock; NEVER_US if none waits for one."""
        timers = self._timers.get((shard, LIVE))
        return timers[0][0] + GRACE_US if timers else NEVER_US

    def forget(self, shards: Sequence[Shard]) -> None:
        """Drops all that is remembered of some shards."""
        self.memory.forget_shards(shards)
        for key in [key for key in self._timers if key[0] in shards]:
            del self._timers[key]

    def set_timers(self, rows: Iterable[int], at_us: Iterable[int]) -> None:
        """Looks at devices again at these times of their own clocks."""
        devices = self.memory.world.devices
        for row, due_us in zip(rows, at_us, strict=True):
            device_id = int(devices["device_id"][row])
            key = (shard_of(device_id), TenantId(int(devices["scope"][row])))
            heapq.heappush(self._timers.setdefault(key, []), (due_us, device_id))

    def restore(self, visits: Moments, positions: Positions) -> None:
        """Takes over devices that are about fences.

        `visits` are their live visits as the ledger has them, `positions` their good positions from the oldest of the
        visits' `as_of_us` on, in order of device and time.
        """
        self.meet(list(map(DeviceId, np.unique(visits["device_id"]).tolist())))
        self.memory.make_room(tracks=len(visits))
        rows = self.memory.rows_of(device_ids(visits))
        for i in np.flatnonzero(rows != NO_DEVICE).tolist():
            slot = self.index.slot_of(FenceId(int(visits["fence_id"][i])), int(visits["fence_version"][i]))
            if slot is not None:
                k = resume(self.memory.world, int(rows[i]), visits[i : i + 1], slot)
                self._may_have_acted(int(rows[i]), k)
        catch_up(self.memory, self.index, positions[self.memory.rows_of(device_ids(positions)) != NO_DEVICE])
        for row in np.unique(rows[rows != NO_DEVICE]).tolist():
            self._look_again(row)

    def fence_changed(self, fence_id: FenceId, effective_us: int, effects: Effects) -> None:
        """A version of a fence was closed or added: devices inside are looked at when that takes effect.

        If that is past, devices that had a visit of the fence then, or positions near any version of it since, are
        folded again: they were judged by what was known. All before must be committed.
        """
        for row in self.memory.in_fence(fence_id).tolist():
            self._look_again(row)
        newest = self.index.current_slot(fence_id)
        if effective_us <= 0 or newest is None:
            return
        tables = self.index.tables
        beyond = self.memory.beyond(effective_us, tenant_id=int(tables.fences["tenant_id"][newest]))
        if not len(beyond):
            return
        candidates = [DeviceId(int(d)) for d in self.memory.world.devices["device_id"][beyond]]
        concerned = self._past.visitors(fence_id, candidates, effective_us)
        seen = self._past.good_since(candidates, effective_us)
        for slot in np.flatnonzero(tables.fences["fence_id"] == fence_id).tolist():
            profile = tables.profiles[tables.fences["profile"][slot]]
            buffer_m = max(profile["exit_buffer_m"], MAX_SPEED_MPS * profile["crossed_us"] / 1e6)
            at = np.full(len(seen), slot, dtype=np.int32)
            away_m = self.index.measure(at, *(np.ascontiguousarray(seen[name]) for name in ("lat", "lng")))
            concerned.update(map(DeviceId, seen["device_id"][away_m >= -buffer_m].tolist()))
        device_ids = sorted(concerned)
        nothing = np.empty(0, dtype=POSITION_DTYPE)
        for device_id, story in self._stories(dict.fromkeys(device_ids, effective_us)).items():
            row = self.memory.row_of(device_id)
            scope = TenantId(int(self.memory.world.devices["scope"][row]))
            settled_us = self._settled_us.get((shard_of(device_id), scope), effective_us)
            self._fold_again(
                row,
                nothing,
                story,
                effects,
                settled_us=settled_us,
                clock_us=settled_us,
                filtered=True,
                because="fence_changed",
            )

    def _may_have_acted(self, row: int, k: int) -> None:
        """What timers may have done to a resumed visit: an early guess costs a refold, a late one would be wrong."""
        device, track = self.memory.world.devices[row : row + 1], self.memory.world.tracks[k]
        fence = self.index.tables.fences[track["slot"]]
        if track["status"] == Status.OPEN:
            confirmed_us = track["entered_us"] + self.index.tables.profiles["enter_after_us"][fence["profile"]]
            device["acted_us"] = max(device["acted_us"][0], confirmed_us, track["dwelled_us"])
        if fence["valid_from_us"] > track["entered_us"]:
            device["acted_us"] = max(device["acted_us"][0], fence["valid_from_us"])

    def _look_again(self, row: int) -> None:
        told = no_told(1)
        self.memory.world.counts[DUE] = 0
        set_timer(self.memory.world, self.index.tables, told, row)
        self._take_timers(told)

    def handle(self, found: Mapping[Shard, Sequence[tuple[str, Entry]]]) -> Effects:
        """What these entries do, in their order: all of them, or up to one that must find the effects committed.

        The effects name the last entry of each shard that they hold. On an exception the memory of all these shards
        is void: forget and restore them.
        """
        effects = Effects()
        batch = Batch(self.memory, self.index, self.meet, found)
        for wave in range(max(map(len, found.values()))):
            entries = {shard: queue[wave] for shard, queue in found.items() if wave < len(queue)}
            order, asking = batch.line_up(wave, self.memory.world.devices)
            late = self._ask(batch, order, effects) if asking else {}
            if late and effects.offsets:
                break
            self._fold(batch, wave, order, effects)
            self._refold(batch, late, entries, effects)
            for shard, (entry_id, entry) in entries.items():
                self._end_of_entry(shard, entry, effects)
                effects.offsets[shard] = entry_id
            self._drain(effects)
        # not before: the batch knows devices by their rows
        self.memory.forget_devices(effects.erased)
        return effects

    def _ask(self, batch: Batch, order: Int64s, effects: Effects) -> dict[int, list[int]]:
        """Of those who have to ask: skips repeats, and answers devices with late positions and their rows."""
        world = self.memory.world
        asked = order[batch.rows.todo[order] == ASK]
        positions = batch.rows.positions[asked]
        device = batch.rows.device[asked]
        old = positions["recorded_us"] <= world.devices["newest_us"][device]
        overtaken = old | (positions["recorded_us"] < world.devices["acted_us"][device])
        wanted = positions[old]
        known = self._past.known(
            list(zip(map(DeviceId, wanted["device_id"].tolist()), wanted["recorded_us"].tolist(), strict=True))
        )
        if effects.positions:
            pending = np.concatenate(effects.positions)
            known.update(identities(pending[np.isin(pending["device_id"], wanted["device_id"])]))
        late: dict[int, list[int]] = {}
        fresh: dict[int, list[int]] = {}
        for r, d, is_late, identity in zip(
            asked.tolist(), device.tolist(), overtaken.tolist(), identities(positions), strict=True
        ):
            batch.rows.todo[r] = SKIP
            if identity in known:
                continue
            fresh.setdefault(d, []).append(r)
            if is_late:
                late[d] = fresh[d]
        for d, own in fresh.items():
            if d not in late:
                batch.rows.todo[own] = FOLD
        return late

    def _fold(self, batch: Batch, wave: int, order: Int64s, effects: Effects) -> None:
        if not len(order):
            return
        counts = self.memory.world.counts
        counts[SEEN] = counts[DUE] = 0
        done = 0
        self.memory.make_room(tracks=batch.pairs_in(wave))
        while done < len(order):
            before, told_before = done, counts[TOLD]
            done = fold_rows(self.memory.world, self.index.tables, batch.rows, order, batch.told, done)
            if done < len(order):
                self._make_more_room(effects, stuck=done == before and told_before == 0)
        effects.positions.append(batch.folded(wave))
        effects.seen.append(batch.seen(int(counts[SEEN])))
        self._take_timers(batch.told)

    def _refold(
        self,
        batch: Batch,
        late: Mapping[int, list[int]],
        entries: Mapping[Shard, tuple[str, Entry]],
        effects: Effects,
    ) -> None:
        positions = {
            DeviceId(int(self.memory.world.devices["device_id"][d])): batch.rows.positions[own]
            for d, own in late.items()
        }
        earliest_us = {device_id: int(rows["recorded_us"].min()) for device_id, rows in sorted(positions.items())}
        for device_id, story in self._stories(earliest_us).items():
            self._drain(effects)
            shard = shard_of(device_id)
            _, entry = entries[shard]
            settled_us = max(_settled_us(entry), self._settled_us.get((shard, entry.scope), NONE_US))
            self._fold_again(
                self.memory.row_of(device_id),
                positions[device_id],
                story,
                effects,
                settled_us=settled_us,
                clock_us=entry.clock_us,
                filtered=entry.filters,
                because="late_position",
            )

    def _stories(self, from_us: Mapping[DeviceId, int]) -> Mapping[DeviceId, Story]:
        """What is to be folded again if something changes from these times on."""
        if not from_us:
            return {}
        lookback_us = int(self.index.tables.profiles["enter_after_us"].max(initial=0))
        return self._past.stories({device_id: at_us - lookback_us for device_id, at_us in from_us.items()})

    def _fold_again(
        self,
        d: int,
        late: Positions,
        story: Story,
        effects: Effects,
        *,
        settled_us: int,
        clock_us: int,
        filtered: bool,
        because: str,
    ) -> None:
        outcome = refold(
            self.memory,
            self.index,
            d,
            late,
            story,
            settled_us=settled_us,
            clock_us=clock_us,
            filtered=filtered,
            because=because,
        )
        effects.positions.append(outcome.positions)
        effects.reflagged.append(outcome.reflagged)
        effects.seen.append(outcome.positions[outcome.positions["flags"] == 0])
        effects.tell(outcome.moments, outcome.details)
        self.set_timers([d] * len(outcome.timers_us), outcome.timers_us)

    def _end_of_entry(self, shard: Shard, entry: Entry, effects: Effects) -> None:
        """Consent first, then the timers that are due, in the entry's scope only."""
        if entry.kind is EntryKind.CONSENT and entry.device_id is not None:
            self._consent(entry.device_id, granted=entry.granted, at_us=entry.clock_us)
            if not entry.granted:
                effects.withdrawn_us[entry.device_id] = entry.clock_us
        if entry.kind is EntryKind.ERASED and entry.device_id is not None:
            self.memory.blank(entry.device_id, entry.clock_us)
            effects.erased.append(entry.device_id)
        key = (shard, entry.scope)
        now_us = _settled_us(entry)
        self._settled_us[key] = max(now_us, self._settled_us.get(key, now_us))
        timers = self._timers.get(key, [])
        while timers and timers[0][0] <= now_us:
            due = []
            while timers and timers[0][0] <= now_us:
                due.append(heapq.heappop(timers))
            self._fire(np.array(due, dtype=np.int64), now_us, entry.clock_us, effects)

    def _fire(self, due: Int64s, now_us: int, clock_us: int, effects: Effects) -> None:
        """Timers of shape (n, 2): when each was set for, and whose it is."""
        due_us, rows = np.ascontiguousarray(due[:, 0]), self.memory.rows_of(np.ascontiguousarray(due[:, 1]))
        told = no_told(len(due))
        counts = self.memory.world.counts
        counts[DUE] = done = 0
        while done < len(rows):
            before, told_before = done, counts[TOLD]
            done = fire_all(self.memory.world, self.index.tables, told, rows, due_us, now_us, clock_us, done)
            if done < len(rows):
                self._make_more_room(effects, stuck=done == before and told_before == 0)
        self._take_timers(told)

    def _consent(self, device_id: DeviceId, *, granted: bool, at_us: int) -> None:
        row = self.memory.row_of(device_id)
        if row == NO_DEVICE:
            row = self.meet([device_id]).get(device_id, NO_DEVICE)
        if row == NO_DEVICE:
            return
        self.memory.world.devices["consented"][row] = granted
        if not granted:
            self.memory.make_room(
                moments=int(self.memory.world.counts[TOLD])
                + room_needed(self.memory.world, self.index.tables, row, at_us, 0)
            )
            withdraw(self.memory.world, self.index.tables, row, at_us)
            self.memory.world.devices["floor_us"][row] = at_us

    def meet(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, int]:
        """Loads devices that are met for the first time; one that nobody knows is asked for again the next time."""
        facts = self._past.devices(device_ids)
        return {device_id: self.memory.meet(device_id, facts[device_id]) for device_id in sorted(facts)}

    def _make_more_room(self, effects: Effects, *, stuck: bool) -> None:
        """For moments, when a fold stopped for want of it: `stuck` if not even empty space was enough."""
        if stuck:
            self.memory.make_room(moments=2 * len(self.memory.world.moments))
        self._drain(effects)

    def _drain(self, effects: Effects) -> None:
        counts = self.memory.world.counts
        if counts[TOLD]:
            effects.tell(self.memory.world.moments[: counts[TOLD]].copy())
            counts[TOLD] = 0

    def _take_timers(self, told: Told) -> None:
        n = int(self.memory.world.counts[DUE])
        self.set_timers(told.due_device[:n].tolist(), told.due_us[:n].tolist())


def _settled_us(entry: Entry) -> int:
    """Up to when timers may fire by an entry's clock."""
    return entry.clock_us - GRACE_US if entry.scope == LIVE else entry.clock_us
