"""Compiles what is compiled, so that no position waits for it: some ten seconds once, then read from disk in one.

`python -m geofences.warm` does nothing else; set-up calls it, and an engine does the same before it takes a shard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geofences.cover import cover
from geofences.geo import parse_geometry
from geofences.index import FenceIndex
from geofences.log import LIVE, Entry, EntryKind
from geofences.memory import DeviceFacts
from geofences.model import PLAIN, POSITION_DTYPE, STANDARD, Circle, DeviceId, Fence, FenceId, LatLng, Shard, TenantId
from geofences.refold import Story
from geofences.states import MOMENT_DTYPE, NONE_US
from geofences.tracking import Effects, Tracker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geofences.model import Positions

TENANT: Final = TenantId(1)
WALKER: Final = DeviceId(64)
HOUR_US: Final = 3_600_000_000
SQUARE: Final = {"type": "Polygon", "coordinates": [[[24.0, 60.0], [24.01, 60.0], [24.01, 60.01], [24.0, 60.0]]]}


class _NoPast:
    """Knows two devices, and nothing of what they did."""

    def devices(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
        return {device_id: DeviceFacts(tenant_id=TENANT, scope=LIVE, consented=True) for device_id in device_ids}

    def known(self, _wanted: object) -> set[Any]:
        return set()

    def good_since(self, _device_ids: object, _since_us: int) -> Positions:
        return np.empty(0, dtype=POSITION_DTYPE)

    def visitors(self, _fence_id: object, _device_ids: object, _since_us: int) -> set[DeviceId]:
        return set()

    def stories(self, since_us: Mapping[DeviceId, int]) -> dict[DeviceId, Story]:
        nothing = np.empty(0, dtype=MOMENT_DTYPE)
        story = Story(positions=np.empty(0, dtype=POSITION_DTYPE), visits=nothing, good=None, suspects=())
        return dict.fromkeys(since_us, story)


def warm_up() -> None:
    """Goes once through matching, tracking, a late position, a timer, a withdrawal and a restart."""
    index = FenceIndex(_fences())
    tracker = Tracker(index=index, past=_NoPast())
    there, away = (60.004, 24.008), (61.0, 25.0)
    moments = [*_take(tracker, _positions(1, there, away, there)).moments]
    _take(tracker, _positions(0, there))
    tracker.fence_changed(FenceId(1), NONE_US, Effects())
    live = np.concatenate(moments)[:1]
    live["status"], live["told"] = 0, 0
    again = Tracker(index=index, past=_NoPast())
    again.restore(live, _positions(1, there, there))
    consent = Entry(kind=EntryKind.CONSENT, clock_us=HOUR_US, device_id=WALKER, granted=False)
    again.handle({Shard(0): [("1-0", consent)]})
    tracker.handle({Shard(0): [("9-0", Entry(kind=EntryKind.TICK, clock_us=24 * HOUR_US))]})
    tracker.forget([Shard(0)])


def _fences() -> list[Fence]:
    circle = Circle(center=LatLng(lat=60.004, lng=24.008), radius_m=500.0)
    area, _ = parse_geometry(SQUARE)
    return [
        Fence(fence_id=FenceId(i), version=1, tenant_id=TENANT, shape=shape, profile=profile, cells=cover(shape))
        for i, (shape, profile) in enumerate(((circle, PLAIN), (area, STANDARD)), start=1)
    ]


def _positions(first_hour: int, *places: tuple[float, float]) -> Positions:
    rows = np.zeros(len(places), dtype=POSITION_DTYPE)
    for i, (lat, lng) in enumerate(places):
        at_us = (first_hour + i) * HOUR_US
        rows[i] = (WALKER, TENANT, at_us, at_us, lat, lng, 5.0, np.nan, 0)
    return rows


def _take(tracker: Tracker, positions: Positions) -> Effects:
    clock_us = int(positions["recorded_us"].max())
    entry = Entry(kind=EntryKind.POSITIONS, clock_us=clock_us, positions=positions)
    return tracker.handle({Shard(0): [("1-0", entry)]})


if __name__ == "__main__":
    warm_up()
