"""The tracker on walks among fences: the order of arrival changes nothing, and an independent reference agrees."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geofences.cover import cover
from geofences.ids import visit_id
from geofences.index import FenceIndex
from geofences.model import FOREVER_US, PLAIN, POSITION_DTYPE, STANDARD, Circle, EndedBy, Fence, FenceId, LatLng
from geofences.states import EVENT_TYPES, NONE_US
from geofences.tracking import Effects
from lbs.bench.memory_past import Follower, MemoryPast, entry_of, tick
from tests.support.reference import Crossing, reference_ledger
from tests.support.walks import DEVICES, START_US, TENANT, S, some_fences, some_order, some_walk

if TYPE_CHECKING:
    from geofences.model import Positions, Profile

HERE = LatLng(lat=60.0, lng=24.0)


def _in_order(index: FenceIndex, rows: Positions, end_us: int) -> Follower:
    follower = Follower(index, MemoryPast(TENANT))
    for row in np.lexsort((rows["lat"], rows["recorded_us"])):
        follower.take([entry_of(rows[row : row + 1].copy(), int(rows["recorded_us"][row]))])
    _end(follower, end_us)
    return follower


def _end(follower: Follower, end_us: int) -> None:
    for device_id in DEVICES[:2]:
        follower.take([tick(end_us, device_id)])


def _in_any_order(index: FenceIndex, rows: Positions, end_us: int, rng: random.Random) -> Follower:
    """Arrived somehow, cut somehow, with ticks and restarts between."""
    follower = Follower(index, MemoryPast(TENANT))
    _, arrival = some_order(rng, rows)
    clock_us = 0
    while arrival:
        size = rng.choice([1, 1, 2, 5, 20])
        chunk, arrival = arrival[:size], arrival[size:]
        entries = []
        for device_id in DEVICES:
            own = rows[[row for row in chunk if rows["device_id"][row] == device_id]]
            if len(own):
                clock_us = max(clock_us, int(own["recorded_us"].max()))
                entries.append(entry_of(own.copy(), clock_us))
        if rng.random() < 0.3:
            entries.append(tick(clock_us, rng.choice(DEVICES)))
        for batch in [entries] if rng.random() < 0.5 else [[entry] for entry in entries]:
            follower.take(batch)
        if rng.random() < 0.1:
            follower.restart()
    _end(follower, end_us)
    return follower


@pytest.mark.parametrize("seed", range(40))
def test_the_ledger_does_not_depend_on_the_order_of_arrival(seed: int) -> None:
    rng = random.Random(seed)
    index = FenceIndex(some_fences(rng))
    rows = np.concatenate([some_walk(rng, device_id) for device_id in DEVICES])
    end_us = int(rows["recorded_us"].max()) + rng.choice([0, 50, 500, 4000]) * S
    expected = _in_order(index, rows, end_us).past
    found = _in_any_order(index, rows, end_us, rng).past
    assert found.ledger() == expected.ledger()
    assert found.flags() == expected.flags()


@pytest.mark.parametrize("seed", range(80, 110))
def test_a_change_of_fences_learned_late_makes_the_ledger_of_one_known_in_time(seed: int) -> None:
    rng = random.Random(seed)
    fences = some_fences(rng)
    rows = np.concatenate([some_walk(rng, device_id) for device_id in DEVICES])
    rows = rows[np.lexsort((rows["lat"], rows["recorded_us"]))]
    end_us = int(rows["recorded_us"].max()) + 500 * S
    expected = _in_order(FenceIndex(fences), rows, end_us).past

    index = FenceIndex([replace(fence, valid_to_us=FOREVER_US) for fence in fences if fence.version == 1])
    follower = Follower(index, MemoryPast(TENANT))
    changes = [fence for fence in fences if fence.version == 1 and fence.valid_to_us != FOREVER_US]
    learned = {fence.fence_id: rng.randrange(len(rows)) for fence in changes}
    for place in range(len(rows)):
        for fence in changes:
            if learned[fence.fence_id] == place:
                _learn(follower, fence, [new for new in fences if new.fence_id == fence.fence_id and new.version > 1])
        follower.take([entry_of(rows[place : place + 1].copy(), int(rows["recorded_us"][place]))])
    _end(follower, end_us)
    assert follower.past.ledger() == expected.ledger()


def _learn(follower: Follower, ended: Fence, successors: list[Fence]) -> None:
    """The index hears that a version ended, and the tracker that devices may have been judged without that."""
    for fence in successors:
        follower.index.add(fence)
    follower.index.close(ended.fence_id, ended.version, ended.valid_to_us)
    effects = Effects()
    follower.tracker.fence_changed(ended.fence_id, ended.valid_to_us, effects)
    follower.past.apply(effects)


@pytest.mark.parametrize("seed", range(40, 80))
def test_the_ledger_is_that_of_the_reference(seed: int) -> None:
    rng = random.Random(seed)
    fences = some_fences(rng)
    rows = np.concatenate([some_walk(rng, device_id) for device_id in DEVICES])
    end_us = int(rows["recorded_us"].max()) + rng.choice([0, 50, 500, 4000]) * S
    found = _in_order(FenceIndex(fences), rows, end_us).past.ledger()
    expected, crossings = reference_ledger(fences, rows, end_us)
    visits = [visit for visit in found if visit[6] != EndedBy.CROSSED]
    assert list(map(_counted, visits)) == list(map(_counted, expected))
    _compare_crossings([visit for visit in found if visit[6] == EndedBy.CROSSED], crossings)


def _compare_crossings(found: list[tuple[Any, ...]], expected: list[Crossing]) -> None:
    """Times agree to 1.5 m of the way; ways of less than 3 m through a fence may be there or not."""
    left = list(expected)
    for device_id, fence_id, entered_us, exited_us, *_ in found:
        same = [
            crossing
            for crossing in left
            if (crossing.device_id, crossing.fence_id) == (device_id, fence_id)
            and abs(crossing.entered_us - entered_us) * crossing.speed_mps <= 1.5e6
            and abs(crossing.exited_us - exited_us) * crossing.speed_mps <= 1.5e6
        ]
        assert same, (device_id, fence_id, entered_us, exited_us, left)
        left.remove(same[0])
    assert all(crossing.length_m < 3 for crossing in left), left


def _counted(visit: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row of a visit that lasts is written now and then: only one that ended has all its positions."""
    return visit[:8] if visit[5] == "closed" else visit[:7]


def _positions(*at: tuple[int, float], accuracy_m: float = 5) -> Positions:
    """(seconds after the start, metres north of the fence's centre)."""
    rows = np.zeros(len(at), dtype=POSITION_DTYPE)
    for i, (second, north_m) in enumerate(at):
        recorded_us = START_US + second * S
        rows[i] = (1, TENANT, recorded_us, recorded_us, HERE.lat + north_m / 111_412, HERE.lng, accuracy_m, np.nan, 0)
    return rows


def _one_fence(profile: Profile) -> FenceIndex:
    shape = Circle(center=HERE, radius_m=100)
    fence = Fence(fence_id=FenceId(7), version=1, tenant_id=TENANT, shape=shape, profile=profile, cells=cover(shape))
    return FenceIndex([fence])


def _told(follower: Follower) -> list[tuple[str, int]]:
    """Events and their seconds."""
    return [
        (str(EVENT_TYPES[int(event["told"])]), (int(event["at_us"]) - START_US) // S) for event in follower.past.events
    ]


def _send(follower: Follower, rows: Positions, *, at_s: int) -> None:
    follower.take([entry_of(rows, START_US + at_s * S)])


def test_a_late_exit_ends_a_visit_that_went_on() -> None:
    follower = Follower(_one_fence(PLAIN), MemoryPast(TENANT))
    _send(follower, _positions((0, 500), (60, 0), (120, 10)), at_s=120)
    _send(follower, _positions((90, 500)), at_s=130)
    assert _told(follower) == [
        ("visit.entered", 60),
        ("visit.exited", 90),
        ("visit.entered", 120),
    ]
    first, second = follower.past.events[0], follower.past.events[2]
    assert second["root_id"] != 0, "what looked like one visit is told as one"
    assert first["root_id"] == 0


def test_an_entry_that_was_earlier_replaces_the_visit_and_keeps_its_root() -> None:
    follower = Follower(_one_fence(PLAIN), MemoryPast(TENANT))
    _send(follower, _positions((0, 500), (60, 0)), at_s=60)
    _send(follower, _positions((30, 0)), at_s=70)
    assert _told(follower) == [("visit.entered", 60), ("visit.entered", 30), ("visit.retracted", 60)]
    earlier = follower.past.visits[1][7, START_US + 30 * S]
    assert earlier["root_id"] == visit_id(TENANT, 1, 7, START_US + 60 * S)
    assert {detail["because"] for detail in follower.details} == {"late_position"}


def test_an_exit_that_was_later_is_corrected_and_explained() -> None:
    follower = Follower(_one_fence(PLAIN), MemoryPast(TENANT))
    _send(follower, _positions((0, 500), (60, 0), (100, 500)), at_s=100)
    _send(follower, _positions((80, 500)), at_s=110)
    assert _told(follower) == [("visit.entered", 60), ("visit.exited", 100), ("visit.corrected", 60)]
    assert follower.details == [
        {
            "because": "late_position",
            "recorded_us": START_US + 80 * S,
            "was": _facts(exited_s=100, ended_by="exit"),
            "is": _facts(exited_s=80, ended_by="exit"),
        }
    ]


def _facts(*, exited_s: int, ended_by: str) -> dict[str, Any]:
    return {
        "status": "closed",
        "entered_us": START_US + 60 * S,
        "dwelled_us": None,
        "exited_us": START_US + exited_s * S,
        "ended_by": ended_by,
    }


def test_a_position_that_comes_after_its_timer_takes_back_what_the_timer_did() -> None:
    follower = Follower(_one_fence(STANDARD), MemoryPast(TENANT))
    _send(follower, _positions((0, 500), (60, 0), (75, 0), (90, 0), (105, 0)), at_s=105)
    _send(follower, _positions((120, 0)), at_s=120)
    follower.take([tick(START_US + 2000 * S, 1)])
    assert _told(follower)[-1] == ("visit.exited", 120)
    _send(follower, _positions((1500, 0)), at_s=2010)
    assert _told(follower)[-1] == ("visit.corrected", 60)
    assert [(v["exited_us"], v["last_in_us"]) for v in follower.past.visits[1].values()] == [
        (NONE_US, START_US + 1500 * S)
    ]


def test_one_long_log_of_one_device_does_not_fill_memory() -> None:
    follower = Follower(_one_fence(PLAIN), MemoryPast(TENANT))
    flips = _positions(*((10 * i, 0 if i % 2 else 500) for i in range(2000)))
    follower.take([entry_of(flips, START_US + 20_000 * S)])
    assert len(follower.past.events) == 1999
    assert len(follower.tracker.memory.world.tracks) == 1024 * 2 ** max(0, (1000 - 1).bit_length() - 10)
