"""Areas in steps and bands hold what GEOS says they hold, their border included, and are as large and as far away."""

# mypy: allow-untyped-calls

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences import geo
from geofences.cover import cover
from geofences.errors import InvalidGeometryError
from geofences.index import FenceIndex
from geofences.kernel import confidence_columns, signed_distance_m
from geofences.model import STANDARD, Area, Bools, Circle, Fence, FenceId, Floats, TenantId
from geofences.outline import BANDED_EDGES
from tests.support.shapes import border_of, positions_about, random_sample


def index_of(shape: Circle | Area) -> FenceIndex:
    return FenceIndex(
        [
            Fence(
                fence_id=FenceId(1),
                version=1,
                tenant_id=TenantId(1),
                shape=shape,
                profile=STANDARD,
                cells=cover(shape),
            )
        ]
    )


def inside(shape: Area, lat: Floats, lng: Floats) -> Bools:
    pairs = index_of(shape).match(np.ones(len(lat), dtype=np.int32), lat, lng, np.zeros(len(lat), dtype=np.int64))
    return np.isin(np.arange(len(lat)), pairs.position)


def star(rng: np.random.Generator, corners: int, radius_deg: float) -> Area:
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2.0 * math.pi / corners
    radii = radius_deg * rng.uniform(0.5, 1.0, corners)
    ring = np.stack([10.0 + radii * np.cos(angles), 50.0 + radii * np.sin(angles)], axis=1).tolist()
    hole = np.stack([10.0 + 0.2 * radii * np.cos(angles), 50.0 + 0.2 * radii * np.sin(angles)], axis=1).tolist()
    shape, _ = geo.parse_geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]], [*hole, hole[0]]]})
    assert isinstance(shape, Area)
    return shape


@pytest.mark.parametrize("corners", [3, 20, BANDED_EDGES // 2, 500, 4_000])
@pytest.mark.parametrize("radius_deg", [0.001, 0.1, 8.0])
def test_an_area_holds_what_geos_says_it_holds(corners: int, radius_deg: float) -> None:
    rng = np.random.default_rng(corners)
    shape = star(rng, corners, radius_deg)
    lat, lng = (c + 1.1 * radius_deg * rng.uniform(-1, 1, 4_000) for c in (50.0, 10.0))
    geometry = shapely.from_wkb(shape.wkb)
    np.testing.assert_array_equal(inside(shape, lat, lng), shapely.intersects_xy(geometry, lng, lat))


@pytest.mark.parametrize("corners", [3, 20, 500])
@pytest.mark.parametrize("radius_deg", [0.001, 0.1, 8.0])
def test_corners_and_places_on_edges_count_as_inside(corners: int, radius_deg: float) -> None:
    rng = np.random.default_rng(corners)
    shape = star(rng, corners, radius_deg)
    lat1, lng1, lat2, lng2 = border_of(shape).T
    assert inside(shape, lat1, lng1).all()
    along = rng.uniform(0, 1, len(lat1))
    assert inside(shape, lat1 + along * (lat2 - lat1), lng1 + along * (lng2 - lng1)).all()


def test_a_micrometre_beside_an_edge_is_outside() -> None:
    shape, _ = geo.parse_geometry(
        {"type": "Polygon", "coordinates": [[[10, 50], [10.001, 50], [10.001, 50.001], [10, 50.001], [10, 50]]]}
    )
    assert isinstance(shape, Area)
    beside_deg = 2e-11
    lat = np.array([50.0 - beside_deg, 50.0005, 50.0005, 50.001 + beside_deg])
    lng = np.array([10.0005, 10.0 - beside_deg, 10.001 + beside_deg, 10.0005])
    assert not inside(shape, lat, lng).any()
    assert inside(shape, np.round(lat, 9), np.round(lng, 9)).all()


@given(st.integers(0, 2**32), st.sampled_from([100.0, 5_000.0, 100_000.0]))
@settings(max_examples=60, deadline=None)
def test_distances_and_sizes_are_those_of_the_reference(seed: int, max_radius_m: float) -> None:
    rng = np.random.default_rng(seed)
    shape = (sample := random_sample(rng, max_radius_m=max_radius_m)).shape
    index = index_of(shape)
    lat, lng = positions_about(rng, sample, 100)
    far_lat, far_lng = np.degrees(np.arcsin(rng.uniform(-1, 1, 20))), rng.uniform(-180, 180, 20)
    lat, lng = np.concatenate([lat, far_lat]), np.concatenate([lng, far_lng])
    expected_m = geo.signed_distance_m(shape, lat, lng)
    got_m = index.measure(np.zeros(len(lat), dtype=np.int32), lat, lng)
    off_m = np.abs(got_m - expected_m)
    within = np.where(np.abs(expected_m) < 1e5, 1e-3, 2e-2)
    assert np.all((off_m <= 0.01) | (off_m <= within * np.abs(expected_m)))
    sure = np.abs(expected_m) > 1e-4
    np.testing.assert_array_equal((got_m >= 0.0)[sure], (expected_m >= 0.0)[sure])
    assert index.area_m2(np.zeros(1, dtype=np.int32))[0] == pytest.approx(geo.area_m2(shape), rel=2e-3)


@pytest.mark.parametrize("corners", [20, 4_000])
def test_a_border_beyond_reach_is_said_to_be_at_reach(corners: int) -> None:
    tables = index_of(star(np.random.default_rng(1), corners, 0.1)).tables
    for lat in (49.0, 49.85, 50.05, 51.5):
        whole_m = signed_distance_m(tables, 0, lat, 10.0)
        for reach_m in (10.0, 500.0, 50_000.0):
            assert signed_distance_m(tables, 0, lat, 10.0, reach_m) == pytest.approx(
                math.copysign(min(abs(whole_m), reach_m), whole_m), rel=1e-12
            )


def test_the_compiled_confidence_is_the_formula() -> None:
    rng = np.random.default_rng(3)
    distance_m, accuracy_m = rng.normal(size=1_000) * 50.0, rng.uniform(0.0, 60.0, 1_000)
    area_m2 = 10 ** rng.uniform(-2, 7, 1_000)
    believed = np.empty(1_000)
    confidence_columns(distance_m, accuracy_m, area_m2, believed)
    sigma_m = accuracy_m / 1.515
    border = [0.5 * math.erfc(-d / (s * math.sqrt(2.0))) for d, s in zip(distance_m, sigma_m, strict=True)]
    expected = np.minimum(border, 1.0 - np.exp(-area_m2 / (2.0 * math.pi * sigma_m**2)))
    np.testing.assert_allclose(believed, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("damage", ["cut off", "big-endian", "empty", "header only"])
def test_what_is_no_multipolygon_is_refused_and_leaves_nothing(damage: str) -> None:
    shape = star(np.random.default_rng(1), 5, 0.1)
    index = FenceIndex()
    good = index_of(shape)
    cells = cover(shape)
    wkb = shape.wkb
    damaged = {"cut off": wkb[:-7], "big-endian": b"\0" + wkb[1:], "empty": b"", "header only": wkb[:9]}
    broken = Fence(
        fence_id=FenceId(2),
        version=1,
        tenant_id=TenantId(1),
        shape=Area(wkb=damaged[damage]),
        profile=STANDARD,
        cells=cells,
    )
    for into in (index, good):
        before = len(into)
        with pytest.raises(InvalidGeometryError):
            into.add_all([broken])
        assert len(into) == before
        assert into.current_slot(FenceId(2)) is None
