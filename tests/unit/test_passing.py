"""`visit.crossed`: devices that pass through a fence between two positions outside it."""

# mypy: allow-untyped-calls

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon, mapping

from geofences.cover import cover
from geofences.geo import parse_geometry
from geofences.ids import visit_id_of
from geofences.index import FenceIndex
from geofences.log import Entry, EntryKind
from geofences.model import (
    PLAIN,
    POSITION_DTYPE,
    STANDARD,
    Circle,
    DeviceId,
    EndedBy,
    Fence,
    FenceId,
    LatLng,
    TenantId,
)
from geofences.states import ENDINGS, EVENT_TYPES
from lbs.bench.memory_past import Follower, MemoryPast, entry_of
from tests.support.walks import START_US, S

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geofences.model import Area, Positions, Profile

TENANT = TenantId(1)
HERE = LatLng(lat=60.0, lng=24.0)
METERS_A_DEGREE = 111_412
ASKS = replace(STANDARD, crossed_within_s=120)
SURE_M, UNSURE_M = 3.0, 0.01
"""A way through a shape is surely told from so many metres on, and surely not when it stays so far away."""


def _fence(shape: Circle | Area, profile: Profile = ASKS, fence_id: int = 7) -> Fence:
    return Fence(
        fence_id=FenceId(fence_id), version=1, tenant_id=TENANT, shape=shape, profile=profile, cells=cover(shape)
    )


def _circle(radius_m: float = 100, center: LatLng = HERE) -> Circle:
    return Circle(center=center, radius_m=radius_m)


def _walk(*at: tuple[float, float], device_id: int = 1, lng: float = HERE.lng, flags: int = 0) -> Positions:
    """(seconds after the start, metres north of HERE)."""
    rows = np.zeros(len(at), dtype=POSITION_DTYPE)
    for i, (second, north_m) in enumerate(at):
        at_us = START_US + round(second * S)
        rows[i] = (device_id, TENANT, at_us, at_us, HERE.lat + north_m / METERS_A_DEGREE, lng, 5, np.nan, flags)
    return rows


def _follow(*fences: Fence) -> Follower:
    return Follower(FenceIndex(fences), MemoryPast(TENANT))


def _send(follower: Follower, rows: Positions) -> list[tuple[str, int]]:
    """What that tells: events and their seconds, rounded."""
    before = len(follower.past.events)
    follower.take([entry_of(rows, int(rows["recorded_us"].max()))])
    return [
        (str(EVENT_TYPES[int(event["told"])]), round((int(event["at_us"]) - START_US) / S))
        for event in follower.past.events[before:]
    ]


def _crossings(follower: Follower) -> list[Any]:
    return [
        visit
        for own in follower.past.visits.values()
        for visit in own.values()
        if ENDINGS[int(visit["ended_by"])] is EndedBy.CROSSED and visit["status"] == 2
    ]


def test_who_passes_through_is_told_of_once() -> None:
    follower = _follow(_fence(_circle()))
    assert _send(follower, _walk((0, -300), (60, 300), (120, 400))) == [("visit.crossed", 20)]
    (visit,) = _crossings(follower)
    assert round((int(visit["exited_us"]) - START_US) / S) == 40
    assert visit["positions"] == 0
    assert visit["confidence"] > 0.99


def test_it_is_off_unless_a_fence_asks_for_it() -> None:
    for profile in (STANDARD, PLAIN):
        assert _send(_follow(_fence(_circle(), profile)), _walk((0, -300), (60, 300))) == []


def test_fences_that_came_and_went_are_no_longer_looked_for() -> None:
    follower = _follow(_fence(_circle(), STANDARD))
    asking = replace(_fence(_circle(), fence_id=8), valid_to_us=START_US + 100 * S)
    follower.index.add(asking)
    assert follower.index.way().within_us > 0
    assert _send(follower, _walk((0, -300), (60, 300))) == [("visit.crossed", 20)]
    follower.index.forget_before(START_US + 100 * S)
    assert follower.index.way().within_us == 0
    assert _send(follower, _walk((120, -300), (180, 300))) == []


@pytest.mark.parametrize(
    ("walk", "why"),
    [
        (((0, -300), (121, 300)), "too long between"),
        (((0, -3000), (60, 3000)), "a jump, faster than 70 m/s"),
        (((0, -300), (30, -150), (60, -300)), "turned back before it"),
        (((0, -300), (60, 0)), "stopped inside"),
        (((0, 0), (60, 300)), "came from inside"),
    ],
)
def test_what_is_no_passing_through(walk: tuple[tuple[float, float], ...], why: str) -> None:
    follower = _follow(_fence(_circle()))
    _send(follower, _walk(*walk))
    assert _crossings(follower) == [], why


def test_nobody_passes_through_a_fence_that_the_visit_of_goes_on() -> None:
    follower = _follow(_fence(_circle(), replace(ASKS, exit_after_s=600, hold_s=900)))
    told = _send(follower, _walk((0, 0), (40, 0), (70, 300), (110, -300), (150, 300)))
    assert told == [("visit.entered", 0)]


def test_a_late_position_inside_makes_a_visit_of_it_with_the_same_root() -> None:
    follower = _follow(_fence(_circle()))
    _send(follower, _walk((0, -300), (60, 300)))
    (crossing,) = _crossings(follower)
    assert _send(follower, _walk((30, 0))) == [("visit.retracted", 20), ("visit.entered", 30)]
    roots = {int(visit["root_id"]) or visit_id_of(visit) for visit in follower.past.visits[1].values()}
    assert roots == {visit_id_of(crossing)}


def test_a_late_position_outside_says_when_it_really_was() -> None:
    follower = _follow(_fence(_circle()))
    _send(follower, _walk((0, -300), (60, 300)))
    (before,) = _crossings(follower)
    assert _send(follower, _walk((50, -150))) == [("visit.retracted", 20), ("visit.crossed", 51)]
    (after,) = _crossings(follower)
    assert after["root_id"] == visit_id_of(before)


def test_the_next_way_through_is_another_visit_even_if_its_report_comes_late() -> None:
    follower = _follow(_fence(_circle()))
    _send(follower, _walk((0, -300), (60, 300), (200, 300)))
    assert _send(follower, _walk((100, -300))) == [("visit.crossed", 73), ("visit.crossed", 133)]
    assert [int(visit["root_id"]) for visit in _crossings(follower)] == [0, 0, 0]


def test_a_crossing_whose_positions_are_no_longer_kept_stays() -> None:
    city = replace(_fence(_circle(5_000), PLAIN), fence_id=FenceId(8))
    follower = _follow(_fence(_circle()), city)
    _send(follower, _walk((0, -300), (60, 300), (90, 310), (1_000, 320)))
    (crossing,) = _crossings(follower)
    own = follower.past.positions[1]
    own[:] = [row for row in own if row["recorded_us"] >= START_US + 90 * S]
    assert _send(follower, _walk((500, 315))) == []
    assert _crossings(follower) == [crossing]


def test_doubted_positions_are_no_ends_of_a_way() -> None:
    follower = _follow(_fence(_circle()))
    assert _send(follower, _walk((0, -300))) == []
    assert _send(follower, _walk((30, -290), flags=1)) == []
    assert _send(follower, _walk((60, 300))) == [("visit.crossed", 20)]


def test_nobody_is_followed_through_a_time_without_consent() -> None:
    follower = _follow(_fence(_circle()))
    _send(follower, _walk((0, -300)))
    for granted, second in ((False, 20), (True, 25)):
        at_us = START_US + second * S
        entry = Entry(kind=EntryKind.CONSENT, clock_us=at_us, device_id=DeviceId(1), granted=granted)
        follower.take([entry])
    assert _send(follower, _walk((60, 300), (90, -300))) == [("visit.crossed", 70)]


def test_every_version_of_a_fence_counts_in_its_time_and_a_way_once() -> None:
    changed_us = START_US + 30 * S
    first = replace(_fence(_circle()), valid_to_us=changed_us)
    north = LatLng(lat=HERE.lat + 200 / METERS_A_DEGREE, lng=HERE.lng)
    second = replace(_fence(_circle(50, north)), version=2, valid_from_us=changed_us)
    assert _send(_follow(first, second), _walk((0, -300), (60, 300))) == [("visit.crossed", 20)]
    assert _send(_follow(second), _walk((0, -300), (60, 300))) == [("visit.crossed", 45)]
    assert _send(_follow(first), _walk((20, -300), (80, 300))) == []


def test_ways_over_180_degrees() -> None:
    center = LatLng(lat=-17.0, lng=179.9999)
    follower = _follow(_fence(_circle(100, center)))
    rows = _walk((0, 0), (60, 0))
    rows["lat"], rows["lng"] = center.lat, (179.996, -179.996)
    assert _send(follower, rows) == [("visit.crossed", 22)]


def test_ways_through_areas_are_those_that_shapely_finds() -> None:
    """Stars, some with holes and some of two parts; a way is straight in degrees, as the borders are."""
    rng = random.Random(5)
    shapes = [_star(rng) for _ in range(30)]
    fences = [_fence(parse_geometry(mapping(shape))[0], fence_id=i) for i, shape in enumerate(shapes)]
    follower = _follow(*fences)
    ways = []
    for device_id in range(1, 1_500):
        a = HERE.lng + rng.uniform(-0.02, 0.02), HERE.lat + rng.uniform(-0.01, 0.01)
        b = a[0] + rng.gauss(0, 0.01), a[1] + rng.gauss(0, 0.005)
        ways.append(LineString([a, b]))
        rows = _walk((0, 0), (100, 0), device_id=device_id)
        rows["lng"], rows["lat"] = (a[0], b[0]), (a[1], b[1])
        follower.take([entry_of(rows, START_US + 100 * S)])
    found = {(int(visit["device_id"]), int(visit["fence_id"])) for visit in _crossings(follower)}
    checked = told = 0
    for device_id, way in enumerate(ways, start=1):
        for fence_id, shape in enumerate(shapes):
            if any(shape.intersects(Point(end)) for end in way.coords):
                assert (device_id, fence_id) not in found
                continue
            in_meters = shapely.transform(way.intersection(shape), _to_meters)
            apart_m = shapely.transform(way, _to_meters).distance(shapely.transform(shape, _to_meters))
            if in_meters.length >= SURE_M or apart_m >= UNSURE_M:
                checked += 1
                told += in_meters.length >= SURE_M
                assert ((device_id, fence_id) in found) == (in_meters.length >= SURE_M), (device_id, fence_id)
    assert checked > 30_000
    assert told > 500


def _star(rng: random.Random) -> BaseGeometry:
    """About 100 to 400 m across, with many corners."""
    center_lng, center_lat = HERE.lng + rng.uniform(-0.02, 0.02), HERE.lat + rng.uniform(-0.01, 0.01)
    parts = []
    for part in range(rng.choice([1, 1, 2])):
        corners = rng.choice([3, 5, 8, 40])
        turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        reach = np.array([rng.uniform(0.0008, 0.002) for _ in turns])
        ring = np.stack([center_lng + 0.006 * part + 2 * reach * np.cos(turns), center_lat + reach * np.sin(turns)], 1)
        hole = np.array([[center_lng + 0.006 * part, center_lat]]) + (ring - ring.mean(axis=0)) * 0.2
        parts.append(Polygon(ring, [hole] if rng.random() < 0.4 else []))
    shape = shapely.union_all([part for part in parts if part.is_valid])
    return shape if not shape.is_empty else _star(rng)


def _to_meters(degrees: np.ndarray) -> np.ndarray:
    return np.asarray(degrees * np.array([METERS_A_DEGREE / 2, METERS_A_DEGREE]))
