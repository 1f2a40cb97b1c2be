"""A cover misses nothing: whatever lies in the shape, or 1 cm outside, has its cell in the cover."""

from __future__ import annotations

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geofences.cover import FINEST_RES, MAX_CELLS, cells_within, cover
from geofences.geo import circle, parse_geometry, signed_distance_m
from geofences.index import cell_of, cells_of
from geofences.model import Area, Circle, Floats, LatLng
from tests.support.shapes import GEOD, PENTAGONS, Sample, positions_about, random_sample

TOLERANCE_M = 0.01


def missed(shape: Circle | Area, lat: Floats, lng: Floats) -> int:
    cells = cover(shape)
    held = signed_distance_m(shape, lat, lng) >= -TOLERANCE_M
    return int(np.sum(held & ~np.isin(cells_of(lat, lng, h3.get_resolution(cells[0])), cells)))


def area(ring: list[list[float]]) -> Area:
    shape, _ = parse_geometry({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    assert isinstance(shape, Area)
    return shape


@given(st.integers(0, 2**32), st.sampled_from([30.0, 1_000.0, 30_000.0, 100_000.0]))
@example(0, 100_000.0)
@settings(max_examples=250, deadline=None)
def test_no_position_of_a_shape_is_missed(seed: int, max_radius_m: float) -> None:
    rng = np.random.default_rng(seed)
    sample = random_sample(rng, max_radius_m=max_radius_m)
    assert missed(sample.shape, *positions_about(rng, sample, 300)) == 0


@pytest.mark.parametrize("radius_m", [5.0, 150.0, 2_500.0, 40_000.0])
def test_nothing_is_missed_at_any_pentagon(radius_m: float) -> None:
    rng = np.random.default_rng(7)
    for pentagon in PENTAGONS:
        corners = [h3.cell_to_latlng(pentagon), *h3.cell_to_boundary(pentagon)]
        for lat, lng in corners:
            shape = circle(LatLng(lat=lat, lng=lng), radius_m)
            sample = Sample(shape=shape, center=shape.center, reach_m=radius_m)
            assert missed(shape, *positions_about(rng, sample, 200)) == 0


@pytest.mark.parametrize("res", range(10))
def test_cells_as_large_as_they_get_hold_thin_shapes(res: int) -> None:
    """Slivers along the edges of cells, where a fill by centres loses everything."""
    rng = np.random.default_rng(res)
    for _ in range(20):
        sample = random_sample(rng)
        cell = h3.latlng_to_cell(sample.center.lat, sample.center.lng, res)
        corners = np.array(h3.cell_to_boundary(cell))
        if np.ptp(corners[:, 1]) > 180.0 or np.abs(corners).max() > 179.0:
            continue
        (lat1, lng1), (lat2, lng2) = corners[:2]
        shape = area([[lng1, lat1], [lng2, lat2], [(lng1 + lng2) / 2 + 1e-6, (lat1 + lat2) / 2 + 1e-6]])
        along = np.linspace(0.0, 1.0, 500)
        lat, lng = lat1 + along * (lat2 - lat1), lng1 + along * (lng2 - lng1)
        assert missed(shape, lat, lng) == 0


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_cover_is_few_sorted_cells_of_one_resolution(seed: int) -> None:
    cells = cover(random_sample(np.random.default_rng(seed)).shape)
    assert 1 <= len(cells) <= MAX_CELLS
    assert list(cells) == sorted(set(cells))
    assert {h3.get_resolution(cell) for cell in cells} <= {h3.get_resolution(cells[0])}
    assert h3.get_resolution(cells[0]) <= FINEST_RES


@pytest.mark.parametrize("radius_m", [50.0, 500.0, 2_500.0, 3_500.0, 9_000.0, 60_000.0, 100_000.0])
def test_the_finest_resolution_that_fits_is_taken(radius_m: float) -> None:
    shape = circle(LatLng(lat=41.15, lng=-8.61), radius_m)
    cells = cover(shape)
    res = h3.get_resolution(cells[0])
    assert set(cells) == cells_within(shape.center, radius_m, res)
    assert res == FINEST_RES or len(cells_within(shape.center, radius_m, res + 1)) > MAX_CELLS


def test_a_city_fence_takes_about_five_cells() -> None:
    rng = np.random.default_rng(3)
    centers = (LatLng(lat=41 + x, lng=-8 + y) for x, y in rng.random((1000, 2)).tolist())
    radii_m = np.exp(rng.uniform(np.log(50.0), np.log(500.0), 1000)).tolist()
    sizes = [len(cover(circle(center, radius_m))) for center, radius_m in zip(centers, radii_m, strict=True)]
    assert 3.0 < float(np.mean(sizes)) < 6.0


def test_huge_shapes_fall_back_to_coarse_cells_and_end() -> None:
    earth = area([[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0]])
    assert len(cover(earth)) == 122
    thread = area([[-180.0, 40.0], [180.0, 40.0], [180.0, 40.0001], [-180.0, 40.0001]])
    lng = np.linspace(-180.0, 180.0, 2001)
    assert missed(thread, np.full(2001, 40.00005), lng) == 0
    cap, _ = parse_geometry({"type": "Polygon", "coordinates": [[[0, -60], [120, -60], [-120, -60], [0, -60]]]})
    rng = np.random.default_rng(1)
    lat, lng = rng.uniform(-90.0, -60.0, 3000), rng.uniform(-180.0, 180.0, 3000)
    assert missed(cap, lat, lng) == 0


def test_many_parts_are_all_covered() -> None:
    ring = np.array([[0.0, 0.0], [1e-3, 0.0], [1e-3, 1e-3], [0.0, 0.0]])
    parts = [[np.add(ring, [i * 0.5, (i % 3) * 0.5]).tolist()] for i in range(40)]
    shape, notes = parse_geometry({"type": "MultiPolygon", "coordinates": parts})
    assert notes == []
    lng, lat = np.array([part[0][1] for part in parts]).T
    assert missed(shape, lat, lng) == 0


@pytest.mark.parametrize("res", [7, 9])
def test_the_cells_within_a_radius_hold_every_position_of_it(res: int) -> None:
    rng = np.random.default_rng(res)
    center, n = LatLng(lat=89.99, lng=179.99), 5000
    azimuth_deg, distance_m = rng.uniform(0, 360, n), 5_000.0 * np.sqrt(rng.uniform(0, 1, n))
    lng, lat, _ = GEOD.fwd(np.full(n, center.lng), np.full(n, center.lat), azimuth_deg, distance_m)
    cells = cells_within(center, 5_000.0, res)
    assert cell_of(center, res) in cells
    assert set(cells_of(lat, lng, res).tolist()) <= cells
    assert len(cells) < 1_500 / 7 ** (9 - res) + 40
