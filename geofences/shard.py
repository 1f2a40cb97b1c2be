"""The memory of one shard, and what a batch of its log entries does: entries in, `Effects` out.

Reads devices through a callable and writes nothing, so the engine can throw a failed batch away with its memory and
load the shard again. The outcome does not depend on how entries are cut into batches.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geofences.batch import Batch, Word
from geofences.filters import Fix, Trust, judge
from geofences.log import LIVE, Entry, EntryKind
from geofences.model import STANDARD, DeviceId, EndedBy, FenceId, Flag, Profile, Shard, TenantId, Verdict
from geofences.tracker import NEVER_US, Event, Fold, Visit
from geofences.visits import DeviceFacts, Effects, Identity, LastSeen, NumberedEvent, ShardPlace, StoredPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geofences.index import FenceIndex

    LoadDevices = Callable[[Sequence[DeviceId]], dict[DeviceId, DeviceFacts]]
    KnownIdentities = Callable[[Sequence[tuple[DeviceId, int]]], set[Identity]]

LAST_SEEN_EVERY_US = 60_000_000


@dataclass(slots=True, kw_only=True)
class Device:
    """What memory holds of one device; Postgres could give all of it back."""

    device_id: DeviceId
    tenant_id: TenantId
    scope: TenantId
    consented: bool
    newest_us: int
    trust: Trust
    visits: dict[FenceId, Visit] = field(default_factory=dict)
    """Candidate and open ones."""
    last_cell: int = 0
    last_seen_us: int = -NEVER_US
    timers: set[int] = field(default_factory=set)
    """When the shard is to look at the device again: pending entries of its heap, each once."""

    @property
    def last_good_us(self) -> int:
        return -NEVER_US if self.trust.good is None else self.trust.good.at_us


class ShardMemory:
    """Devices, their unfinished visits and their timers. Not thread-safe: a shard has one owner."""

    def __init__(
        self,
        shard: Shard,
        place: ShardPlace,
        *,
        index: FenceIndex,
        load_devices: LoadDevices,
        known_identities: KnownIdentities,
    ) -> None:
        self.shard = shard
        self.place = place
        self._index = index
        self._load_devices = load_devices
        self._known_identities = known_identities
        self._devices: dict[DeviceId, Device] = {}
        self._timers: dict[TenantId, list[tuple[int, DeviceId]]] = {}

    def restore(self, visits: Sequence[Visit]) -> None:
        """Takes over the candidate and open visits of the shard."""
        self._meet({visit.device_id for visit in visits})
        for visit in visits:
            device = self._devices.get(visit.device_id)
            if device is not None:
                device.visits[visit.fence_id] = visit
        for device in self._devices.values():
            self._schedule(device)

    def next_live_timer_us(self) -> int:
        timers = self._timers.get(LIVE)
        return timers[0][0] if timers else NEVER_US

    def fence_changed(self, fence_id: FenceId, effective_us: int) -> None:
        """Wakes the devices inside a fence when its new version, or its end, takes effect."""
        for device in self._devices.values():
            if fence_id in device.visits:
                self._push_timer(device, max(effective_us, 0))

    def handle(self, entries: Sequence[tuple[str, Entry]]) -> Effects:
        """Everything these entries do, in their order. On an exception this memory is void: load the shard again."""
        effects = Effects(shard=self.shard, before=self.place, offset=entries[-1][0])
        arrays = [entry.positions for _, entry in entries if entry.positions is not None]
        self._meet({DeviceId(device) for array in arrays for device in array["device_id"].tolist()})
        batch = Batch(arrays, index=self._index, visits_of=self._visits_of)
        batch.known |= self._known_repeats(batch)
        for _, entry in entries:
            if entry.positions is not None:
                for row in batch.next_rows(len(entry.positions)):
                    self._position(batch, row, entry, effects)
            elif entry.kind is EntryKind.CONSENT:
                self._consent(entry, effects)
            self._tick(entry, effects)
        return effects

    def _visits_of(self, device_id: DeviceId) -> dict[FenceId, Visit]:
        device = self._devices.get(device_id)
        return {} if device is None else device.visits

    def _known_repeats(self, batch: Batch) -> set[Identity]:
        """Identities of stored positions that this batch may repeat: only what is not newer than the newest can be."""
        not_newer = [
            (position.device_id, position.recorded_us)
            for position in batch.stored
            if (device := self._devices.get(position.device_id)) is not None
            and position.recorded_us <= device.newest_us
        ]
        return self._known_identities(not_newer) if not_newer else set()

    def advanced(self, effects: Effects) -> None:
        """The effects are committed: go on from there."""
        self.place = ShardPlace(epoch=self.place.epoch, offset=effects.offset, seq=self.place.seq + len(effects.events))

    def _meet(self, device_ids: set[DeviceId]) -> None:
        """Loads devices that are met for the first time. One that nobody knows is asked for again the next time."""
        strangers = sorted(device_ids - self._devices.keys())
        if strangers:
            facts = self._load_devices(strangers)
            self._devices.update({device_id: _device(device_id, known) for device_id, known in facts.items()})

    def _position(self, batch: Batch, row: int, entry: Entry, effects: Effects) -> None:
        position = batch.stored[row]
        device = self._devices.get(position.device_id)
        if device is None or not device.consented or position.identity in batch.known:
            return
        batch.known.add(position.identity)
        fix = Fix(position.recorded_us, position.lat, position.lng)
        late = position.recorded_us < device.newest_us
        device.newest_us = max(device.newest_us, position.recorded_us)
        flags = Flag.LATE if late else Flag(0)
        if late or not entry.filters:
            trust = device.trust if late else Trust(good=fix)
        else:
            flags, trust = judge(
                fix, accuracy_m=position.accuracy_m, mocked=Flag.MOCKED in position.flags, trust=device.trust
            )
        effects.positions.append(position.flagged(position.flags | flags))
        if flags:
            device.trust = trust
            return
        self._advance(device, batch.words(row, device.visits), position, entry, effects)
        device.trust = trust
        self._remember_place(device, position, batch.cell_r9(row), effects)
        self._schedule(device)

    def _advance(
        self, device: Device, words: dict[FenceId, Word], position: StoredPosition, entry: Entry, effects: Effects
    ) -> None:
        """One good position moves every fence it lies in or that the device was inside."""
        for fence_id in sorted(words.keys() | device.visits.keys()):
            self._follow_fence(device, fence_id, at_us=position.recorded_us, clock_us=entry.clock_us, effects=effects)
            word = words.get(fence_id)
            visit = device.visits.get(fence_id)
            if word is None or (visit is None and word.verdict is not Verdict.IN):
                continue
            fence = self._index.fence_at(word.slot)
            fold = self._fold(device, fence.profile, visit)
            fold.verdict(
                word.verdict,
                fence=fence,
                device_id=device.device_id,
                at_us=position.recorded_us,
                confidence=word.confidence,
            )
            self._keep(
                device,
                fence_id,
                visit,
                fold,
                clock_us=entry.clock_us,
                effects=effects,
                received_us=position.received_us,
            )

    def _tick(self, entry: Entry, effects: Effects) -> None:
        """Lets the timers fire that are due by the entry's clock, in its scope only."""
        timers = self._timers.get(entry.scope, [])
        while timers and timers[0][0] <= entry.clock_us:
            due_us, device_id = heapq.heappop(timers)
            device = self._devices.get(device_id)
            if device is None:
                continue
            device.timers.discard(due_us)
            for fence_id in sorted(device.visits):
                self._follow_fence(device, fence_id, at_us=entry.clock_us, clock_us=entry.clock_us, effects=effects)
                visit = device.visits.get(fence_id)
                if visit is None:
                    continue
                fold = self._fold(device, self._profile(visit), visit)
                fold.settle(entry.clock_us)
                self._keep(device, fence_id, visit, fold, clock_us=entry.clock_us, effects=effects)
            self._schedule(device)

    def _consent(self, entry: Entry, effects: Effects) -> None:
        if entry.device_id is None:
            return
        self._meet({entry.device_id})
        device = self._devices.get(entry.device_id)
        if device is None:
            return
        device.consented = entry.granted
        if not entry.granted:
            for fence_id, visit in sorted(device.visits.items()):
                fold = self._fold(device, self._profile(visit), visit)
                fold.settle(entry.clock_us)
                fold.end(entry.clock_us, EndedBy.CONSENT)
                self._keep(device, fence_id, visit, fold, clock_us=entry.clock_us, effects=effects)

    def _follow_fence(self, device: Device, fence_id: FenceId, at_us: int, clock_us: int, effects: Effects) -> None:
        """If the fence that a visit began with is no longer in force at `at_us`, carries the visit over or ends it."""
        visit = device.visits.get(fence_id)
        if visit is None:
            return
        old_slot = self._index.slot_of(fence_id, visit.fence_version)
        ends_us = at_us if old_slot is None else self._index.valid_to_us(old_slot)
        if old_slot is not None and at_us < ends_us:
            return
        fold = self._fold(device, self._profile(visit), visit)
        fold.settle(ends_us)
        slot = self._index.slot_in_force(fence_id, at_us)
        good = device.trust.good
        if slot is not None and good is not None and self._index.contains(slot, good.lat, good.lng):
            fold.carry_over(self._index.fence_at(slot).version)
        else:
            fold.end(ends_us, EndedBy.FENCE_CHANGED)
        self._keep(device, fence_id, visit, fold, clock_us=clock_us, effects=effects)

    def _fold(self, device: Device, profile: Profile, visit: Visit | None) -> Fold:
        return Fold(profile=profile, visit=visit, last_us=device.last_good_us, events=[], finished=[])

    def _keep(
        self,
        device: Device,
        fence_id: FenceId,
        before: Visit | None,
        fold: Fold,
        *,
        clock_us: int,
        effects: Effects,
        received_us: int | None = None,
    ) -> None:
        """Takes what a fold did into memory and into the effects."""
        for ended in fold.finished:
            effects.visits[ended.visit_id] = ended
        current = None if fold.visit is None or fold.visit.finished else fold.visit
        if current is None:
            device.visits.pop(fence_id, None)
        else:
            device.visits[fence_id] = current
            if current is not before:
                effects.visits[current.visit_id] = current
        for event in fold.events:
            number = self.place.seq + len(effects.events) + 1
            told = Event(type=event.type, at_us=event.at_us, visit=event.visit, received_us=received_us)
            effects.events.append(NumberedEvent(seq=number, clock_us=clock_us, event=told))

    def _profile(self, visit: Visit) -> Profile:
        slot = self._index.slot_of(visit.fence_id, visit.fence_version)
        if slot is None:
            slot = self._index.current_slot(visit.fence_id)
        return STANDARD if slot is None else self._index.fence_at(slot).profile

    def _schedule(self, device: Device) -> None:
        due_us = NEVER_US
        for visit in device.visits.values():
            due_us = min(due_us, self._fold(device, self._profile(visit), visit).due_us())
        # one that is pending and earlier schedules the next when it fires: without this, every position would add one
        if due_us < min(device.timers, default=NEVER_US):
            self._push_timer(device, due_us)

    def _push_timer(self, device: Device, due_us: int) -> None:
        if due_us not in device.timers:
            device.timers.add(due_us)
            heapq.heappush(self._timers.setdefault(device.scope, []), (due_us, device.device_id))

    def _remember_place(self, device: Device, position: StoredPosition, cell: int, effects: Effects) -> None:
        """Where a device was last, written only when its cell changes or a minute has passed."""
        at_us = position.recorded_us
        if cell == device.last_cell and at_us < device.last_seen_us + LAST_SEEN_EVERY_US:
            return
        device.last_cell, device.last_seen_us = cell, at_us
        effects.last_seen[device.device_id] = LastSeen(
            tenant_id=device.tenant_id,
            device_id=device.device_id,
            cell_r9=cell,
            lat=position.lat,
            lng=position.lng,
            seen_us=at_us,
        )


def _device(device_id: DeviceId, known: DeviceFacts) -> Device:
    good = None if known.good is None else Fix(*known.good)
    return Device(
        device_id=device_id,
        tenant_id=known.tenant_id,
        scope=known.tenant_id if known.sandbox else LIVE,
        consented=known.consented,
        newest_us=-NEVER_US if known.newest_us is None else known.newest_us,
        trust=Trust.restored(good, tuple(Fix(*suspect) for suspect in known.suspects)),
    )
