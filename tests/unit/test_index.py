"""The index answers what brute force answers, keeps tenants and times apart, and changes while it is read."""

# mypy: allow-untyped-calls

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.cell_table import entries_of
from geofences.cover import cover
from geofences.errors import ConflictError, NotFoundError
from geofences.fence_records import HeldFence
from geofences.geo import circle
from geofences.index import BLOCK, FIRST_SLOTS, FenceIndex, confidence
from geofences.model import (
    PLAIN,
    Bools,
    Circle,
    FenceId,
    Floats,
    StoreId,
    TenantId,
)
from tests.support.fences import PORTO, fence, matched
from tests.support.shapes import GEOD, Sample, away, positions_about, random_sample


def held(sample: Sample, lat: Floats, lng: Floats) -> Bools:
    """By GeographicLib and GEOS alone."""
    if isinstance(sample.shape, Circle):
        center_lng, center_lat = np.full(len(lat), sample.center.lng), np.full(len(lat), sample.center.lat)
        return np.asarray(GEOD.inv(center_lng, center_lat, lng, lat)[2] <= sample.shape.radius_m)
    geometry = shapely.from_wkb(sample.shape.wkb)
    other_name = np.where(np.abs(lng) == 180.0, -lng, lng)
    return np.asarray(shapely.intersects_xy(geometry, lng, lat) | shapely.intersects_xy(geometry, other_name, lat))


@given(st.integers(0, 2**32), st.sampled_from([200.0, 5_000.0, 100_000.0]))
@settings(max_examples=30, deadline=None)
def test_the_index_answers_what_brute_force_answers(seed: int, max_radius_m: float) -> None:
    rng = np.random.default_rng(seed)
    samples = [random_sample(rng, max_radius_m=max_radius_m) for _ in range(12)]
    fences = [replace(fence(i), shape=s.shape, cells=cover(s.shape)) for i, s in enumerate(samples)]
    fences = [replace(f, tenant_id=TenantId(1 + i % 2), valid_from_us=i * 10) for i, f in enumerate(fences)]
    index = FenceIndex(fences[:8])
    for one in fences[8:]:
        index.add(one)

    places = [positions_about(rng, s, 40) for s in samples]
    lat, lng = (np.concatenate(column) for column in zip(*places, strict=True))
    tenant_id, at_us = rng.integers(1, 3, len(lat)).astype(np.int32), rng.integers(0, 150, len(lat))
    pairs = index.match(tenant_id, lat, lng, at_us)

    expected = []
    for one, sample in zip(fences, samples, strict=True):
        rows = held(sample, lat, lng) & (tenant_id == one.tenant_id) & (one.valid_from_us <= at_us)
        slot = index.current_slot(one.fence_id)
        expected += [(row, slot) for row in np.flatnonzero(rows).tolist()]
    got = list(zip(pairs.position.tolist(), pairs.slot.tolist(), strict=True))
    assert got == sorted(got)
    assert got == sorted(expected)
    assert pairs.position.dtype == np.int64
    assert pairs.slot.dtype == np.int32

    distance_m = index.measure(pairs.slot, lat[pairs.position], lng[pairs.position])
    assert np.all(distance_m >= 0.0)


def test_an_empty_index_and_an_empty_batch_match_nothing() -> None:
    assert matched(FenceIndex()) == []
    nothing = FenceIndex([fence(1)]).match(
        np.empty(0, dtype=np.int32), np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    )
    assert len(nothing.position) == len(nothing.slot) == 0
    assert len(FenceIndex().measure(np.empty(0, dtype=np.int32), np.empty(0), np.empty(0))) == 0


def test_a_batch_larger_than_a_block_keeps_its_positions_apart() -> None:
    n = 2 * BLOCK + 5
    index = FenceIndex([fence(1)])
    at = np.flatnonzero(np.arange(n) % 1000 == 3)
    lat, lng = np.full(n, 10.0), np.full(n, 10.0)
    lat[at], lng[at] = PORTO.lat, PORTO.lng
    pairs = index.match(np.ones(n, dtype=np.int32), lat, lng, np.zeros(n, dtype=np.int64))
    assert pairs.position.tolist() == at.tolist()


def test_tenants_never_see_each_other() -> None:
    index = FenceIndex([fence(1, tenant=1), fence(2, tenant=2), fence(3, tenant=1)])
    assert matched(index, tenant=1) == [(1, 1), (3, 1)]
    assert matched(index, tenant=2) == [(2, 1)]
    assert matched(index, tenant=3) == []


def test_a_position_is_judged_by_the_version_in_force_at_its_time() -> None:
    far = circle(away(PORTO, 90.0, 5_000.0), 100.0)
    index = FenceIndex([fence(1, since_us=100)])
    index.close(FenceId(1), 1, 200)
    index.add(fence(1, far, version=2, since_us=200))
    assert [matched(index, at_us=t) for t in (99, 100, 199, 200)] == [[], [(1, 1)], [(1, 1)], []]
    assert [matched(index, far.center, at_us=t) for t in (199, 200, 10**15)] == [[], [(1, 2)], [(1, 2)]]
    assert index.fence_at(index.slot_of(FenceId(1), 1) or 0).valid_to_us == 200
    assert [index.slot_in_force(FenceId(1), t) for t in (99, 150, 200)] == [
        None,
        index.slot_of(FenceId(1), 1),
        index.slot_of(FenceId(1), 2),
    ]
    assert index.current_slot(FenceId(1)) == index.slot_of(FenceId(1), 2)


def test_versions_may_come_in_any_order() -> None:
    index = FenceIndex([fence(1, version=3, since_us=20), fence(1, version=2, since_us=10, until_us=20)])
    assert index.current_slot(FenceId(1)) == index.slot_of(FenceId(1), 3)
    assert [matched(index, at_us=t) for t in (5, 15, 25)] == [[], [(1, 2)], [(1, 3)]]


def test_old_versions_are_forgotten_and_their_slots_rest_once() -> None:
    coarse = circle(PORTO, 50_000.0)
    index = FenceIndex([fence(1, coarse), fence(2), fence(3)])
    first = index.slot_of(FenceId(1), 1)
    assert len(index._resolutions) == 2
    index.close(FenceId(1), 1, 500)
    assert index.forget_before(499) == 0
    assert index.forget_before(500) == 1
    assert len(index) == 2
    assert len(index._resolutions) == 1
    assert index.slot_of(FenceId(1), 1) is index.current_slot(FenceId(1)) is None
    assert matched(index, at_us=10) == [(2, 1), (3, 1)]
    assert index.add(fence(4)) != first
    assert index.forget_before(500) == 0
    assert index.add(fence(5)) == first
    assert matched(index, at_us=10) == [(2, 1), (3, 1), (4, 1), (5, 1)]


def test_forgetting_everything_leaves_nothing_behind() -> None:
    index = FenceIndex(fence(i, version=v) for i in range(5) for v in (1, 2))
    for i in range(5):
        for version in (1, 2):
            index.close(FenceId(i), version, 7)
    assert index.forget_before(7) == 10
    assert len(index) == 0
    assert len(index._cells) == len(index._ids) == len(index._resolutions) == len(index._ending) == 0
    assert matched(index) == []


def test_a_fence_is_given_back_as_it_was_but_for_its_shape() -> None:
    one = replace(fence(7, version=3, tenant=9, since_us=5), external_id="Rua da Bainharia 1ª", store_id=StoreId(12))
    index = FenceIndex([one])
    got = index.fence_at(0)
    for name in HeldFence.__slots__:
        assert getattr(got, name) == getattr(one, name)
    assert index.fence_at(index.add(fence(8))).store_id is None


def test_what_is_not_there_is_said() -> None:
    index = FenceIndex([fence(1)])
    with pytest.raises(ConflictError):
        index.add(fence(1))
    with pytest.raises(ConflictError):
        index.add_all([fence(2), fence(2)])
    with pytest.raises(ValueError, match="no cells"):
        index.add(replace(fence(3), cells=()))
    assert len(index) == 1
    with pytest.raises(NotFoundError):
        index.close(FenceId(1), 2, 5)
    with pytest.raises(NotFoundError):
        index.fence_at(FIRST_SLOTS - 1)
    assert index.slot_of(FenceId(9), 1) is index.current_slot(FenceId(9)) is index.slot_in_force(FenceId(9), 0) is None


def test_the_index_grows_and_its_buckets_stay_sorted() -> None:
    index = FenceIndex()
    for i in range(3 * FIRST_SLOTS):
        index.add(fence(i))
    assert len(matched(index)) == len(index) == 3 * FIRST_SLOTS
    for key in np.unique(index.tables.cell_keys[index.tables.cell_keys != 0]).tolist():
        assert entries_of(index._cells.buckets, key).tolist() == list(range(0, 2 * 3 * FIRST_SLOTS, 2))


def test_profiles_are_told_in_microseconds() -> None:
    index = FenceIndex([fence(1), replace(fence(2), profile=PLAIN)])
    slot = np.array([index.current_slot(FenceId(1)), index.current_slot(FenceId(2))], dtype=np.int32)
    profiles = index.tables.profiles[index.tables.fences["profile"][slot]]
    assert profiles["enter_after_us"].tolist() == [30_000_000, 0]
    assert profiles["exit_after_us"].tolist() == [60_000_000, 0]
    assert profiles["dwell_us"].tolist() == [120_000_000, 0]
    assert profiles["hold_us"].tolist() == [300_000_000, 0]
    assert profiles["gap_us"].tolist() == [1_800_000_000, 0]
    assert profiles["exit_buffer_m"].tolist() == [20.0, 0.0]
    assert index.min_confidence(slot).tolist() == [0.5, 0.0]
    assert index.fence_ids(slot).tolist() == [1, 2]
    assert index.area_m2(slot).tolist() == pytest.approx([np.pi * 1e4] * 2, rel=1e-6)
    assert index.contains(int(slot[0]), PORTO.lat, PORTO.lng)
    assert not index.contains(int(slot[0]), PORTO.lat + 0.001, PORTO.lng)


def test_a_border_counts_as_inside_and_a_hair_beyond_does_not() -> None:
    index = FenceIndex([fence(1, circle(PORTO, 5_000.0))])
    for offset_m, expected in ((-1e-6, [(1, 1)]), (1e-6, [])):
        for azimuth_deg in range(0, 360, 7):
            assert matched(index, away(PORTO, azimuth_deg, 5_000.0 + offset_m)) == expected


# Confidence


def one_confidence(distance_m: float, accuracy_m: float, area_m2: float) -> float:
    return float(confidence(*(np.array([x]) for x in (distance_m, accuracy_m, area_m2)))[0])


@pytest.mark.parametrize(
    ("distance_m", "accuracy_m", "area_m2", "expected"),
    [
        (0.0, 20.0, 1e12, 0.5),
        (1.515, 1.515 * 1.515, 1e12, 0.8413447460685429),  # one sigma inside
        (-1.515, 1.515 * 1.515, 1e12, 0.15865525393145707),
        (1e6, 1.515, 2 * np.pi, 0.6321205588285577),  # as large as one sigma's disc
        (5.0, 0.0, 10.0, 1.0),
        (0.0, 0.0, 10.0, 1.0),
        (-1e-9, 0.0, 10.0, 0.0),
        (-1e5, 5.0, 1e4, 0.0),
    ],
)
def test_confidence_is_the_published_formula(
    distance_m: float, accuracy_m: float, area_m2: float, expected: float
) -> None:
    assert one_confidence(distance_m, accuracy_m, area_m2) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_an_unknown_accuracy_counts_as_20_m() -> None:
    assert one_confidence(7.0, float("nan"), 5e3) == one_confidence(7.0, 20.0, 5e3)


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e4), st.floats(1e-4, 1e14))
def test_confidence_is_a_probability_that_rises_inward(distance_m: float, accuracy_m: float, area_m2: float) -> None:
    here = one_confidence(distance_m, accuracy_m, area_m2)
    assert 0.0 <= here <= one_confidence(distance_m + 1.0, accuracy_m, area_m2) <= 1.0
