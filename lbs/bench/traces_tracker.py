"""What our tracker tells of traces: entries in order of arrival, and ticks when timers are due, as in the engine.

A visit that late positions replace keeps its root, so it is one enter, told when the first of them was; what was told
and taken back counts as told and never as right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geofences.cover import cover_all
from geofences.ids import visit_id_of
from geofences.index import FenceIndex
from geofences.log import shard_of
from geofences.model import SHARDS, Fence, FenceId, TenantId
from geofences.states import NEVER_US, NONE_US, Told
from geofences.tracking import Tracker
from lbs.bench.memory_past import MemoryPast, entry_of, tick
from lbs.bench.traces_score import DWELL, ENTER, EXIT, Event
from lbs.bench.traces_truth import TENANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geofences.log import Entry
    from geofences.model import Profile, Shard
    from geofences.states import Moments
    from lbs.bench.traces_truth import Trace

UNTOLD: Final = NEVER_US


def index_of(traces: Sequence[Trace], profile: Profile) -> FenceIndex:
    """All their fences, in force since always."""
    fences = [fence for trace in traces for fence in trace.fences]
    covers = cover_all([fence.shape for fence in fences])
    return FenceIndex(
        Fence(
            fence_id=FenceId(fence.fence_id),
            version=1,
            tenant_id=TenantId(TENANT),
            shape=fence.shape,
            profile=profile,
            cells=cells,
        )
        for fence, cells in zip(fences, covers, strict=True)
    )


def told_by_tracker(traces: Sequence[Trace], profile: Profile) -> list[Event]:
    index = index_of(traces, profile)
    events: list[Event] = []
    for start in range(0, len(traces), SHARDS):
        past = MemoryPast(TenantId(TENANT))
        _follow(Tracker(index=index, past=past), past, traces[start : start + SHARDS])
        events += _as_told(past.events)
    return events


def _follow(tracker: Tracker, past: MemoryPast, traces: Sequence[Trace]) -> None:
    """At most one phone a shard; they go on side by side, each by its own clock, until nothing more can happen."""
    ahead = {shard_of(trace.trace + 1): _entries(trace) for trace in traces}
    assert len(ahead) == len(traces), "two phones in one shard would share a clock"
    number = 0
    while True:
        number += 1
        found: dict[Shard, list[tuple[str, Entry]]] = {}
        for shard, entries in ahead.items():
            due_us = tracker.next_live_timer_us(shard)
            if entries and entries[-1].clock_us < due_us:
                found[shard] = [(f"{number}-0", entries.pop())]
            elif due_us < NEVER_US:
                found[shard] = [(f"{number}-0", tick(due_us, int(shard)))]
        if not found:
            return
        past.apply(tracker.handle(found))


def _entries(trace: Trace) -> list[Entry]:
    """One a request, the last one first."""
    received_us = trace.positions["received_us"]
    starts = np.flatnonzero(np.diff(received_us, prepend=-1))
    requests = np.split(trace.positions, starts[1:])
    return [entry_of(request, int(request["received_us"][0])) for request in reversed(requests)]


@dataclass(slots=True)
class _Visit:
    """A visit as it was told last, with the clocks of what was told first."""

    fence_id: int
    device_id: int
    entered_us: int
    entered_clock_us: int
    dwelled_us: int = NONE_US
    dwelled_clock_us: int = UNTOLD
    exited_us: int = NONE_US
    exited_clock_us: int = UNTOLD
    retracted: bool = False

    def see(self, moment: Moments) -> None:
        clock_us = int(moment["clock_us"])
        if moment["dwelled_us"] != self.dwelled_us:
            self.dwelled_us, self.dwelled_clock_us = int(moment["dwelled_us"]), clock_us
        if moment["exited_us"] != self.exited_us:
            self.exited_us, self.exited_clock_us = int(moment["exited_us"]), clock_us

    def events(self) -> Iterable[Event]:
        told = (
            (ENTER, self.entered_us, self.entered_clock_us),
            (DWELL, self.dwelled_us, self.dwelled_clock_us),
            (EXIT, self.exited_us, self.exited_clock_us),
        )
        for kind, at_us, clock_us in told:
            if at_us != NONE_US and not (self.retracted and kind != ENTER):
                yield Event(
                    kind=kind,
                    trace=self.device_id - 1,
                    fence_id=self.fence_id,
                    at_us=at_us,
                    clock_us=clock_us,
                    taken_back=self.retracted,
                )


@dataclass(slots=True)
class _Root:
    """All visits that are told to be one."""

    first_clock_us: int
    visits: dict[int, _Visit] = field(default_factory=dict)
    """By entered_us, in the order in which they were told."""


def _as_told(moments: Sequence[Any]) -> list[Event]:
    roots: dict[int, _Root] = {}
    for moment in moments:
        clock_us, entered_us = int(moment["clock_us"]), int(moment["entered_us"])
        root = roots.setdefault(int(moment["root_id"]) or visit_id_of(moment), _Root(clock_us))
        if moment["told"] == Told.RETRACTED:
            root.visits[entered_us].retracted = True
            continue
        visit = root.visits.get(entered_us)
        if visit is None or visit.retracted:
            visit = root.visits[entered_us] = _Visit(
                fence_id=int(moment["fence_id"]),
                device_id=int(moment["device_id"]),
                entered_us=entered_us,
                entered_clock_us=clock_us,
            )
        visit.see(moment)
    return [event for root in roots.values() for event in _events_of(root)]


def _events_of(root: _Root) -> Iterable[Event]:
    """Of the visits that stand, or of one that was taken back if none does."""
    standing = [visit for visit in root.visits.values() if not visit.retracted]
    shown = standing or list(root.visits.values())[:1]
    shown[0].entered_clock_us = root.first_clock_us
    for visit in shown:
        yield from visit.events()
