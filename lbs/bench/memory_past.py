"""A past in memory: the ledger as dictionaries, for what runs the tracker without a database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.batch import identities
from geofences.log import LIVE, Entry, EntryKind, shard_of
from geofences.memory import DeviceFacts
from geofences.model import POSITION_DTYPE, DeviceId, FenceId, TenantId
from geofences.refold import Story, came_to_nothing
from geofences.states import ENDINGS, MOMENT_DTYPE, NONE_US, STATUSES, Status, Told
from geofences.tracking import Effects, Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geofences.index import FenceIndex
    from geofences.model import Positions
    from geofences.states import Moments

GOOD, IMPOSSIBLE = 0, 4


@dataclass
class MemoryPast:
    """Answers as Postgres would, and takes effects as a commit would."""

    tenant_id: TenantId
    positions: dict[int, list[np.void]] = field(default_factory=dict)
    visits: dict[int, dict[tuple[int, int], np.void]] = field(default_factory=dict)
    """By device_id, then by fence_id and entered_us."""
    events: list[np.void] = field(default_factory=list)

    def devices(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
        return {device_id: self._facts(device_id) for device_id in device_ids}

    def known(self, wanted: Sequence[tuple[DeviceId, int]]) -> set[Any]:
        asked = set(wanted)
        rows = [
            row
            for device_id in {device_id for device_id, _ in wanted}
            for row in self.positions.get(device_id, [])
            if (device_id, int(row["recorded_us"])) in asked
        ]
        return set(identities(_table(rows)))

    def good_since(self, device_ids: Sequence[DeviceId], since_us: int) -> Positions:
        rows = [
            row
            for device_id in sorted(device_ids)
            for row in self._sorted(device_id)
            if row["recorded_us"] >= since_us and row["flags"] == GOOD
        ]
        return _table(rows)

    def visitors(self, fence_id: FenceId, device_ids: Sequence[DeviceId], since_us: int) -> set[DeviceId]:
        return {
            device_id
            for device_id in device_ids
            if any(visit["fence_id"] == fence_id for visit in self._not_settled(device_id, since_us))
        }

    def stories(self, since_us: Mapping[DeviceId, int]) -> dict[DeviceId, Story]:
        return {device_id: self._story(device_id, at_us) for device_id, at_us in since_us.items()}

    def _story(self, device_id: DeviceId, since_us: int) -> Story:
        start_us = since_us
        while True:
            visits = self._not_settled(device_id, start_us)
            about = [v for v in visits if v["status"] != Status.RETRACTED]
            began_us = min([start_us, *(int(v["entered_us"]) for v in about)])
            if began_us == start_us:
                break
            start_us = began_us
        before = [row for row in self._sorted(device_id) if row["recorded_us"] < start_us]
        good, suspects = _trust(before)
        return Story(
            positions=_table([row for row in self._sorted(device_id) if row["recorded_us"] >= start_us]),
            visits=np.array(visits, dtype=MOMENT_DTYPE),
            good=good,
            suspects=suspects,
        )

    def apply(self, effects: Effects) -> None:
        for part in effects.positions:
            for row in part:
                self.positions.setdefault(int(row["device_id"]), []).append(row.copy())
        for part in effects.reflagged:
            for row in part:
                self._reflag(row)
        for part in effects.moments:
            for moment in part:
                self._apply_moment(moment)

    def ledger(self) -> list[tuple[Any, ...]]:
        """The current visits, as SEMANTICS names their columns."""
        return sorted(
            (
                int(v["device_id"]),
                int(v["fence_id"]),
                int(v["entered_us"]),
                int(v["exited_us"]),
                int(v["dwelled_us"]),
                STATUSES[int(v["status"])].value,
                str(ENDINGS[int(v["ended_by"])]),
                int(v["positions"]),
                round(float(v["confidence"]), 12),
                int(v["already_inside"]),
                int(v["fence_version"]),
            )
            for own in self.visits.values()
            for v in own.values()
            if v["status"] != Status.RETRACTED
        )

    def flags(self) -> list[tuple[Any, ...]]:
        return sorted((*identity, int(row["flags"])) for identity, row in self._identified())

    def live(self) -> Moments:
        return np.array(
            [v for own in self.visits.values() for v in own.values() if v["status"] <= Status.OPEN], dtype=MOMENT_DTYPE
        )

    def _identified(self) -> list[tuple[Any, np.void]]:
        rows = [row for own in self.positions.values() for row in own]
        return [
            ((i[0], i[1], i[2], i[3], str(i[4]), i[5]), row)
            for i, row in zip(identities(_table(rows)), rows, strict=True)
        ]

    def _apply_moment(self, moment: np.void) -> None:
        own = self.visits.setdefault(int(moment["device_id"]), {})
        key = int(moment["fence_id"]), int(moment["entered_us"])
        if moment["told"] != Told.STATE:
            self.events.append(moment.copy())
        if came_to_nothing(moment):
            held = own.get(key)
            if held is not None and held["status"] == Status.CANDIDATE:
                del own[key]
            return
        own[key] = moment.copy()

    def _reflag(self, row: np.void) -> None:
        wanted = identities(_table([row]))[0]
        for held in self.positions[int(row["device_id"])]:
            if identities(_table([held]))[0] == wanted:
                held["flags"] = row["flags"]

    def _not_settled(self, device_id: int, since_us: int) -> list[np.void]:
        return [
            v
            for _, v in sorted(self.visits.get(device_id, {}).items())
            if v["settled_us"] == NONE_US or v["settled_us"] >= since_us
        ]

    def _sorted(self, device_id: int) -> list[np.void]:
        return sorted(
            self.positions.get(device_id, []), key=lambda r: (int(r["recorded_us"]), float(r["lat"]), float(r["lng"]))
        )

    def _facts(self, device_id: int) -> DeviceFacts:
        rows = self._sorted(device_id)
        good, suspects = _trust(rows)
        return DeviceFacts(
            tenant_id=self.tenant_id,
            scope=LIVE,
            consented=True,
            newest_us=int(rows[-1]["recorded_us"]) if rows else None,
            acted_us=max([NONE_US, *(int(v["settled_us"]) for v in self.visits.get(device_id, {}).values())]),
            good=good,
            suspects=suspects,
        )


def _trust(rows: Sequence[np.void]) -> tuple[Any, tuple[Any, ...]]:
    good = [i for i, row in enumerate(rows) if row["flags"] == GOOD]
    start = good[-1] + 1 if good else 0
    suspects = tuple(_fix(row) for row in rows[start:] if row["flags"] == IMPOSSIBLE) if good else ()
    return (_fix(rows[good[-1]]) if good else None), suspects


def _fix(row: np.void) -> tuple[int, float, float]:
    return int(row["recorded_us"]), float(row["lat"]), float(row["lng"])


def _table(rows: Sequence[np.void]) -> Positions:
    return np.array(rows, dtype=POSITION_DTYPE) if rows else np.empty(0, dtype=POSITION_DTYPE)


@dataclass
class Follower:
    """A tracker with its past: entries in, ledger out. `restart` is what a kill does to it."""

    index: FenceIndex
    past: MemoryPast

    def __post_init__(self) -> None:
        self.tracker = Tracker(index=self.index, past=self.past)
        self._last = 0
        self.details: list[dict[str, Any]] = []
        """What corrections said of themselves."""

    def restart(self) -> None:
        self.tracker = Tracker(index=self.index, past=self.past)
        live = self.past.live()
        since: dict[int, int] = {}
        for visit in live:
            device_id, as_of_us = int(visit["device_id"]), int(visit["as_of_us"])
            since[device_id] = min(as_of_us, since.get(device_id, as_of_us))
        positions = [self.past.good_since([DeviceId(d)], us) for d, us in sorted(since.items())]
        table = np.concatenate([np.empty(0, dtype=POSITION_DTYPE), *positions])
        self.tracker.restore(live, table)

    def take(self, entries: Sequence[Entry]) -> None:
        """Entries in order, each for its device's shard, all in one batch."""
        queues: dict[Any, list[tuple[str, Entry]]] = {}
        for entry in entries:
            device_id = int(entry.positions["device_id"][0]) if entry.positions is not None else entry.device_id or 0
            self._last += 1
            queues.setdefault(shard_of(device_id), []).append((f"{self._last}-0", entry))
        while queues:
            effects = self.tracker.handle(queues)
            self.past.apply(effects)
            self.details += [detail for _, detail in sorted(effects.details.items()) if detail]
            queues = {
                shard: [e for e in queue if int(e[0][:-2]) > int(effects.offsets.get(shard, "0-0")[:-2])]
                for shard, queue in queues.items()
            }
            queues = {shard: queue for shard, queue in queues.items() if queue}


def entry_of(positions: Positions, clock_us: int, *, filters: bool = True) -> Entry:
    return Entry(kind=EntryKind.POSITIONS, clock_us=clock_us, positions=positions, filters=filters)


def tick(clock_us: int, device_id: int) -> Entry:
    return Entry(kind=EntryKind.TICK, clock_us=clock_us, device_id=DeviceId(device_id))
