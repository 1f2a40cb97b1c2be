"""The index is edited fence by fence while it is read, and is then what a fresh one would be, in little memory."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.cover import cover, cover_all
from geofences.fence_records import FIRST_SLOTS
from geofences.fence_tables import NEVER_US, NONE
from geofences.geo import circle, parse_geometry
from geofences.index import FenceIndex
from geofences.kernel import match_columns
from geofences.model import Area, Circle, Fence, FenceId
from geofences.planar import plane
from tests.support.fences import PORTO, fence, matched
from tests.support.shapes import away, positions_about, random_sample


@given(st.lists(st.tuples(st.sampled_from("acf"), st.integers(0, 7)), max_size=40), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_edits_in_any_order_leave_what_a_fresh_index_has(edits: list[tuple[str, int]], seed: int) -> None:
    """`a` adds a version of a fence, `c` closes its newest, `f` forgets all that is closed."""
    rng = np.random.default_rng(seed)
    samples = [random_sample(rng, max_radius_m=3_000.0) for _ in range(8)]
    index, version = FenceIndex(), 0
    held_now: dict[tuple[int, int], Fence] = {}
    for what, i in edits:
        if what == "a":
            version += 1
            shape = samples[int(rng.integers(8))].shape
            held_now[i, version] = replace(fence(i, version=version), shape=shape, cells=cover(shape))
            index.add(held_now[i, version])
        elif what == "c" and (versions := [v for j, v in held_now if j == i]):
            newest = i, max(versions)
            held_now[newest] = replace(held_now[newest], valid_to_us=50)
            index.close(FenceId(i), newest[1], 50)
        elif what == "f":
            gone = [key for key, one in held_now.items() if one.valid_to_us == 50]
            assert index.forget_before(50) == len(gone)
            for key in gone:
                del held_now[key]
    fresh = FenceIndex(held_now.values())
    lat, lng = (np.concatenate(c) for c in zip(*(positions_about(rng, s, 40) for s in samples), strict=True))
    for at_us in (0, 60):
        columns = np.ones(len(lat), dtype=np.int32), lat, lng, np.full(len(lat), at_us, dtype=np.int64)
        found = []
        for one in (index, fresh):
            pairs, fences = one.match(*columns), one.tables.fences
            names = zip(fences["fence_id"][pairs.slot], fences["version"][pairs.slot], strict=True)
            found.append(sorted(zip(pairs.position.tolist(), names, strict=True)))
        assert found[0] == found[1]
    for i in range(8):
        assert chain_of(index, i) == chain_of(fresh, i) == sorted(v for j, v in held_now if j == i)


def chain_of(index: FenceIndex, fence_id: int) -> list[int]:
    """Versions of a fence, from the oldest along `next_slot`."""
    fences = index.tables.fences
    held_there = (fences["version"] > 0) & (fences["valid_to_us"] > NEVER_US)
    slots = np.flatnonzero(held_there & (fences["fence_id"] == fence_id))
    if not len(slots):
        return []
    (slot,) = set(slots.tolist()) - set(fences["next_slot"][slots].tolist())
    versions = []
    while slot != NONE:
        versions.append(int(fences["version"][slot]))
        slot = int(fences["next_slot"][slot])
    return versions


def test_readers_see_whole_answers_while_fences_come_and_go() -> None:
    """The lasting fence is always found; what comes and goes is found where it is, or not at all."""
    index = FenceIndex([fence(0)])
    there, elsewhere = fence(1), fence(1, circle(away(PORTO, 10.0, 150.0), 100.0))
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = index.match(
                np.ones(64, dtype=np.int32), np.full(64, PORTO.lat), np.full(64, PORTO.lng), np.zeros(64, np.int64)
            )
            per_position = np.bincount(found.position, minlength=64)
            if not (np.all(per_position >= 1) and np.all(index.tables.fences["radius_m"][found.slot] == 100.0)):
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for round_ in range(300):
        index.add(replace(there if round_ % 2 else elsewhere, version=round_))
        index.close(FenceId(1), round_, 1)
        index.forget_before(1)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert matched(index) == [(0, 1)]


def test_a_batch_that_began_before_arrays_were_replaced_sees_no_half_of_what_came_since() -> None:
    index = FenceIndex([fence(0)])
    before = index.tables
    for i in range(1, 3 * FIRST_SLOTS):
        index.add(fence(i))
    assert index.tables is not before
    assert before.sealed[0] <= len(before.fences)
    born = before.fences["born"]
    assert np.all(np.diff(born[born > 0]) >= 0)
    later = match_columns(
        before,
        plane(),
        np.array([9]),
        np.ones(1, dtype=np.int32),
        np.array([PORTO.lat]),
        np.array([PORTO.lng]),
        np.zeros(1, dtype=np.int64),
        9,
        np.empty(0, dtype=np.int64),
    )[1]
    assert later.tolist() == list(range(int(before.sealed[0]) - 1))


def test_finishing_what_grows_gives_memory_back_and_changes_no_answer() -> None:
    index = FenceIndex()
    saved_bytes = 0
    for i in range(1_000):
        index.add(fence(i))
        if i % 25 == 0:
            growing_bytes = index.nbytes
            index.finish()
            saved_bytes = max(saved_bytes, growing_bytes - index.nbytes)
            assert len(matched(index)) == i + 1
    assert saved_bytes > 1_000


def test_a_fence_of_a_city_takes_less_than_400_bytes() -> None:
    """Half the fences are polygons of 6 to 60 corners here; the larger the index, the less of each is spare room."""
    rng = np.random.default_rng(2)
    shapes: list[Circle | Area] = []
    for _ in range(6_000):
        center = away(PORTO, rng.uniform(0, 360), rng.uniform(0, 20_000))
        radius_m = float(np.exp(rng.uniform(np.log(50.0), np.log(500.0))))
        if rng.random() < 0.7:
            shapes.append(circle(center, radius_m))
            continue
        n = int(rng.integers(6, 61))
        turns = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) * 2.0 * np.pi / n
        ring = [
            [center.lng + radius_m / 84_000 * np.cos(t), center.lat + radius_m / 111_000 * np.sin(t)] for t in turns
        ]
        polygon, _ = parse_geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
        shapes.append(polygon)
    fences = [
        replace(fence(i), shape=s, cells=c) for i, (s, c) in enumerate(zip(shapes, cover_all(shapes), strict=True))
    ]
    index = FenceIndex(fences)
    assert index.nbytes / len(index) < 400.0
