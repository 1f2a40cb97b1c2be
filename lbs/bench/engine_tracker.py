"""Our engine with all that follows a match: the state of every device in every fence, and the events it tells.

What is timed is the tracker that the engine process runs, from packed entries of the log to everything a commit would
write; no Redis and no PostgreSQL. Its devices are known to it, as those of a running engine are. Before it is timed its
enters and exits are held against those that follow from the answers: with profile `plain` a device enters where a
position lies in a fence that its last good one did not lie in, and leaves the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from geofences.log import LIVE, Entry, EntryKind, split_by_shard
from geofences.memory import DeviceFacts
from geofences.states import Told
from geofences.tracking import Tracker
from lbs.bench.engine_answers import MismatchError
from lbs.bench.engine_ours import BATCH, TENANT
from lbs.bench.engine_peer import Timed
from lbs.bench.engine_workload import BEGIN_S, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geofences.batch import Identity
    from geofences.model import Bools, DeviceId, FenceId, Int64s, Positions, Shard
    from geofences.tracking import Effects
    from lbs.bench.engine_answers import Answers
    from lbs.bench.engine_ours import OurIndex
    from lbs.bench.engine_workload import Workload

DEVICE_BITS: Final = 44
"""Microseconds since the workload's begin take fewer: half a year."""
Batch = dict["Shard", list[tuple[str, Entry]]]


class _NoPast:
    """All devices exist and gave consent, and nothing of them is stored."""

    def devices(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
        facts = DeviceFacts(tenant_id=TENANT, scope=LIVE, consented=True)
        return dict.fromkeys(device_ids, facts)

    def known(self, wanted: Sequence[tuple[DeviceId, int]]) -> set[Identity]:
        return self._never(wanted) if wanted else set()

    def good_since(self, device_ids: Sequence[DeviceId], since_us: int) -> NoReturn:
        self._never(device_ids, since_us)

    def visitors(self, fence_id: FenceId, device_ids: Sequence[DeviceId], since_us: int) -> NoReturn:
        self._never(fence_id, device_ids, since_us)

    def stories(self, since_us: Mapping[DeviceId, int]) -> NoReturn:
        self._never(since_us)

    def _never(self, *_: object) -> NoReturn:
        raise AssertionError("every position of the workload is newer than its device's last")


class OurTracker(Timed):
    """Match, state and events."""

    name = "lbs_with_state"
    sample = 1_000_000

    def __init__(self, ours: OurIndex, workload: Workload) -> None:
        self._ours = ours
        self._workload = workload
        self._batches = [_batch(workload.positions, start) for start in range(0, len(workload.lat), BATCH)]
        self._device_ids = np.unique(workload.positions["device_id"]).tolist()
        self._tracker = self._fresh()

    def ready(self) -> None:
        self._tracker = self._fresh()

    def run(self, n: int) -> None:
        assert n == len(self._workload.lat), "the state is of all positions"
        for batch in self._batches:
            self._tracker.handle(batch)

    def check(self, answers: Answers) -> int:
        """How many enters and exits there are; MismatchError if they are not those that follow from the answers."""
        self.ready()
        effects = [self._tracker.handle(batch) for batch in self._batches]
        good = self._good(effects)
        expected = expected_events(answers, self._workload, good)
        told = _told(effects)
        if not np.array_equal(told, expected):
            n = len(self._workload.fences)
            raise MismatchError(
                f"lbs_with_state tells {len(told)} enters and exits at {n} fences where {len(expected)} follow from the"
                f" answers: {len(np.setdiff1d(told, expected))} too many, {len(np.setdiff1d(expected, told))} missing"
            )
        return len(told)

    def _fresh(self) -> Tracker:
        tracker = Tracker(index=self._ours.index, past=_NoPast())
        tracker.meet(self._device_ids)
        return tracker

    def _good(self, effects: Sequence[Effects]) -> Bools:
        """Which positions of the workload were believed."""
        stored = np.concatenate([part for effect in effects for part in effect.positions])
        doubted = _keys(stored["device_id"], stored["recorded_us"])[stored["flags"] != 0]
        positions = self._workload.positions
        return ~np.isin(_keys(positions["device_id"], positions["recorded_us"]), doubted)


EVENT_DTYPE: Final = np.dtype([("device_id", "i8"), ("at_us", "i8"), ("fence", "i8"), ("told", "i8")])


def expected_events(answers: Answers, workload: Workload, good: Bools) -> Positions:
    """Enters and exits in profile `plain`, shape (k,), dtype EVENT_DTYPE, sorted.

    `good` has shape (positions,); the others do not count. Each pair is placed by how many good positions its device
    had before; where a device and a fence have no pair at the place before, that is an enter, and an exit at the place
    after if there is none either. What happens after a device's last position is not known.
    """
    rows = np.flatnonzero(good)
    rows = rows[np.argsort(workload.positions["device_id"][rows], kind="stable")]
    device_id = workload.positions["device_id"][rows]
    at_us = workload.at_us[rows]
    place = np.full(len(good), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))  # rows of one device are neighbours, in order of time
    kept = good[answers.position]
    where, fence = place[answers.position[kept]], answers.fence[kept]
    order = np.lexsort((where, fence))
    where, fence = where[order], fence[order]
    goes_on = (
        (fence[1:] == fence[:-1]) & (where[1:] == where[:-1] + 1) & (device_id[where[1:]] == device_id[where[:-1]])
    )
    enters = np.concatenate([[True], ~goes_on])
    leaves = np.concatenate([~goes_on, [True]])
    after = where[leaves] + 1
    seen_again = np.flatnonzero(after < len(rows))
    seen_again = seen_again[device_id[after[seen_again]] == device_id[after[seen_again] - 1]]
    entered = _events(device_id[where[enters]], at_us[where[enters]], fence[enters], Told.ENTERED)
    left = after[seen_again]
    exited = _events(device_id[left], at_us[left], fence[leaves][seen_again], Told.EXITED)
    return np.sort(np.concatenate([entered, exited]))


def _told(effects: Sequence[Effects]) -> Positions:
    moments = np.concatenate([part for effect in effects for part in effect.moments])
    parts = []
    for told in (Told.ENTERED, Told.EXITED):
        own = moments[moments["told"] == told]
        parts.append(_events(own["device_id"], own["at_us"], own["fence_id"] - 1, told))
    return np.sort(np.concatenate(parts))


def _events(device_id: Int64s, at_us: Int64s, fence: Int64s, told: Told) -> Positions:
    events = np.empty(len(device_id), dtype=EVENT_DTYPE)
    events["device_id"], events["at_us"], events["fence"], events["told"] = device_id, at_us, fence, told
    return events


def _keys(device_id: Int64s, recorded_us: Int64s) -> Int64s:
    return np.asarray((device_id << DEVICE_BITS) | (recorded_us - BEGIN_S * US_PER_S), dtype=np.int64)


def _batch(positions: Positions, start: int) -> Batch:
    """One entry a shard, as the log holds them; its clock is the newest position's."""
    part = positions[start : start + BATCH]
    clock_us = int(part["recorded_us"].max())
    return {
        shard: [(f"{start + 1}-0", Entry(kind=EntryKind.POSITIONS, clock_us=clock_us, positions=own))]
        for shard, own in split_by_shard(part)
    }
