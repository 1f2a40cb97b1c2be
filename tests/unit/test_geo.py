"""Shapes from GeoJSON, and numbers on the ellipsoid, held against GeographicLib."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences import geo
from geofences.border import HALF_EARTH_M
from geofences.errors import InvalidGeometryError
from geofences.geodesy import arc_m, chord_limit_m, ecef_m, wrapped_deg
from geofences.geojson import MAX_VERTICES
from geofences.model import Area, Circle, FenceKind, Floats, LatLng
from tests.support.shapes import GEOD, border_of, positions_about, random_sample

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
HOLE = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6], [0.4, 0.4]]
ACROSS = [[179.9, 10.0], [-179.9, 10.0], [-179.9, 10.2], [179.9, 10.2], [179.9, 10.0]]


def polygon(*rings: object) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def area(*rings: object) -> Area:
    shape, _ = geo.parse_geometry(polygon(*rings))
    assert isinstance(shape, Area)
    return shape


def inside(shape: Area, *lat_lng: tuple[float, float]) -> list[bool]:
    lat, lng = np.array(lat_lng, dtype=np.float64).T
    held: list[bool] = geo.covers(np.repeat(geo.area_columns([shape]).geometry, len(lat)), lat, lng).tolist()
    return held


def reordered(ring: list[list[float]], *, backwards: bool) -> list[list[float]]:
    return ring[::-1] if backwards else ring


# Reading GeoJSON


def test_a_point_with_a_radius_is_a_circle() -> None:
    shape, notes = geo.parse_geometry({"type": "Point", "coordinates": [-8.6, 41.1, 12.0]}, radius_m=150)
    assert shape == Circle(center=LatLng(lat=41.1, lng=-8.6), radius_m=150.0)
    assert notes == []
    assert geo.to_geojson(shape) == {"type": "Point", "coordinates": [-8.6, 41.1]}
    assert geo.kind_of(shape) is FenceKind.CIRCLE


@pytest.mark.parametrize("radius_m", [0.99, 100_000.1, float("nan"), float("inf"), -5.0])
def test_a_radius_out_of_range_is_refused(radius_m: float) -> None:
    with pytest.raises(InvalidGeometryError, match="radius_m"):
        geo.circle(LatLng(lat=0.0, lng=0.0), radius_m)


@pytest.mark.parametrize(("lat", "lng"), [(90.1, 0), (-91, 0), (0, 180.5), (float("nan"), 0), (0, float("inf"))])
def test_a_center_off_the_earth_is_refused(lat: float, lng: float) -> None:
    with pytest.raises(InvalidGeometryError, match="center"):
        geo.circle(LatLng(lat=lat, lng=lng), 100.0)


def test_winding_and_altitude_do_not_matter() -> None:
    high = [[*point, 31.0] for point in SQUARE[::-1]]
    shape, notes = geo.parse_geometry(polygon(high, HOLE))
    assert notes == []
    assert shape == area(SQUARE[::-1], HOLE[::-1])
    written = geo.to_geojson(shape)
    assert written["type"] == "Polygon"
    outer, hole = (np.array(ring) for ring in written["coordinates"])
    assert _signed_area(outer) > 0 > _signed_area(hole)


def test_a_multipolygon_keeps_its_parts_and_merges_only_what_overlaps() -> None:
    far = [[x + 5.0, y] for x, y in SQUARE]
    near = [[x + 0.5, y] for x, y in SQUARE]
    apart, notes = geo.parse_geometry({"type": "MultiPolygon", "coordinates": [[SQUARE], [far]]})
    assert notes == []
    assert geo.kind_of(apart) is FenceKind.MULTIPOLYGON
    merged, notes = geo.parse_geometry({"type": "MultiPolygon", "coordinates": [[SQUARE], [near]]})
    assert len(notes) == 1
    assert "merged" in notes[0]
    assert geo.area_m2(merged) == pytest.approx(geo.area_m2(area(SQUARE)) * 1.5, rel=1e-4)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "GeometryCollection", "geometries": []}, "type must be Polygon or MultiPolygon"),
    ({"type": "LineString", "coordinates": SQUARE}, "type must be"),
    ({}, "type must be"),
    ({"type": "Polygon"}, "coordinates: expected a list of rings"),
    (polygon(), "coordinates: empty"),
    (polygon([]), r"coordinates\[0\]: empty"),
    (polygon(SQUARE, HOLE[:-1]), r"coordinates\[1\]: the ring is not closed"),
    (polygon([[0, 0], [1, 1], [0, 0]]), r"coordinates\[0\]: a ring needs at least 4 positions"),
    (polygon([*SQUARE[:2], ["1", 1.0], SQUARE[0]]), r"coordinates\[0\]\[2\]\[0\]: '1' is not a number"),
    (polygon([*SQUARE[:2], [True, 1.0], SQUARE[0]]), "not a number"),
    (polygon([*SQUARE[:2], [float("nan"), 1.0], SQUARE[0]]), "finite"),
    (polygon([*SQUARE[:2], [10**400, 1.0], SQUARE[0]]), "finite"),
    (polygon([*SQUARE[:2], [1.0], SQUARE[0]]), r"coordinates\[0\]\[2\]: a position is"),
    (polygon([*SQUARE[:2], [1.0, 1.0, 0.0, 0.0], SQUARE[0]]), r"coordinates\[0\]\[2\]: a position is"),
    (polygon([*SQUARE[:2], [1.0, 1.0, "high"], SQUARE[0]]), "not a number"),
    (polygon([*SQUARE[:2], [1.0, 90.5], SQUARE[0]]), r"coordinates\[0\]\[2\]: latitude 90.5"),
    (polygon([*SQUARE[:2], [361.0, 1.0], SQUARE[0]]), "longitude 361"),
    (polygon([*SQUARE[:2], "far", SQUARE[0]]), r"coordinates\[0\]\[2\]: expected a position"),
    (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), "no area"),
    (polygon([[0, 0], [0, 0], [0, 0], [0, 0]]), "no area"),
    (polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]), r"self-intersection at lat 1\.0000000, lng 1\.0000000"),
    (polygon(SQUARE, [[x + 5, y] for x, y in HOLE]), "hole lies outside shell"),
    (polygon(SQUARE, [[x + 0.5, y] for x, y in HOLE]), "self-intersection"),
    (polygon(SQUARE, HOLE, HOLE), "at lat"),
    (polygon([[179, 0], [-179, 2], [-179, 0], [179, 2], [179, 0]]), r"self-intersection at lat 1\.0+, lng -?180\.0"),
    (polygon(ACROSS, [[x, y + 5] for x, y in ACROSS]), "holes overlap each other or lie outside"),
    (polygon(ACROSS, [[10, 0], [11, 0], [11, 1], [10, 0]]), "holes overlap each other or lie outside"),
    ({"type": "Point", "coordinates": [1, 2]}, "radius_m"),
]


@pytest.mark.parametrize(("geojson", "said"), BAD, ids=range(len(BAD)))
def test_a_malformed_geometry_is_refused_with_what_and_where(geojson: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidGeometryError, match=said):
        geo.parse_geometry(geojson)


def test_a_radius_is_refused_for_a_polygon() -> None:
    with pytest.raises(InvalidGeometryError, match="radius_m belongs to a Point"):
        geo.parse_geometry(polygon(SQUARE), radius_m=5.0)


def test_too_many_vertices_are_refused_before_they_cost_anything() -> None:
    with pytest.raises(InvalidGeometryError, match="too many"):
        geo.parse_geometry(polygon([[0.0, 0.0]] * (MAX_VERTICES + 1)))
    with pytest.raises(InvalidGeometryError, match="too many"):
        geo.parse_geometry({"type": "MultiPolygon", "coordinates": [[SQUARE]] * (MAX_VERTICES // 5 + 1)})


HARD_LNG = [-360.0, -181.0, -180.0, -179.9999999999, -90.0, 0.0, 90.0, 179.99999999999, 180.0, 181.0, 360.0]
HARD_LAT = [-90.0, -89.9999999, 0.0, 10.0, 60.0, 89.99999, 90.0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(HARD_LNG) | st.floats(150.0, 210.0), st.sampled_from(HARD_LAT) | st.floats(-90.0, 90.0)
        ),
        min_size=3,
        max_size=6,
    )
)
@settings(max_examples=400, deadline=None)
def test_any_ring_is_a_shape_on_the_earth_or_refused(corners: list[tuple[float, float]]) -> None:
    ring = [list(corner) for corner in corners]
    try:
        shape = area([*ring, ring[0]])
    except InvalidGeometryError:
        return
    assert geo.area_m2(shape) > 0.0
    columns = geo.area_columns([shape])
    assert columns.geometry[0].is_valid
    south, west, north, east = columns.bounds[0]
    assert -90.0 <= south <= north <= 90.0
    assert -180.0 <= west <= east <= 180.0
    assert np.all(np.isfinite(geo.signed_distance_m(shape, np.array([10.0, -90.0]), np.array([180.0, 3.0]))))
    assert geo.parse_geometry(geo.to_geojson(shape))[0] == shape or geo.kind_of(shape) is FenceKind.MULTIPOLYGON


# Across 180 degrees and over the poles


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("west", [179.9, -180.1])
def test_a_polygon_across_180_is_split_whatever_way_it_is_written(west: float, *, backwards: bool) -> None:
    jumping = area(reordered(ACROSS, backwards=backwards))
    written_on = [[west + (0.2 if x < 0 else 0.0), y] for x, y in ACROSS]
    shape, notes = geo.parse_geometry(polygon(reordered(written_on, backwards=backwards)))
    assert isinstance(shape, Area)
    assert ["split" in note for note in notes] == [True]
    for one in (jumping, shape):
        assert geo.kind_of(one) is FenceKind.MULTIPOLYGON
        assert inside(one, (10.1, 180), (10.1, -180), (10.1, 179.95), (10.1, -179.95), (10.1, 0)) == [True] * 4 + [
            False
        ]
        box = geo.bounding_box(one)
        assert (box.south, box.west, box.north, box.east) == pytest.approx((10.0, 179.9, 10.2, -179.9))
        assert len(border_of(one)) == 6  # four sides, two of them cut in two; nothing along 180 degrees


def test_holes_across_180_stay_holes() -> None:
    hole = [[179.99, 10.05], [-179.99, 10.05], [-179.99, 10.15], [179.99, 10.15], [179.99, 10.05]]
    left, right = ([[x + d, y] for x, y in HOLE] for d in (179.0, 180.1))
    shape = area([[179.0, 0.0], [-179.0, 0.0], [-179.0, 11.0], [179.0, 11.0], [179.0, 0.0]], hole, left, right)
    holes = [(10.1, 180.0), (10.1, -179.995), (0.5, 179.5), (0.5, -179.4)]
    assert inside(shape, *holes, (5.0, 180.0), (0.5, 180.0)) == [False] * 4 + [True, True]


def test_a_shape_that_ends_at_180_covers_it_under_both_names() -> None:
    shape = area([[179.0, 0.0], [180.0, 0.0], [180.0, 1.0], [179.0, 1.0], [179.0, 0.0]])
    assert inside(shape, (0.5, 180.0), (0.5, -180.0), (0.5, -179.9999)) == [True, True, False]
    assert len(border_of(shape)) == 4
    assert geo.signed_distance_m(shape, np.array([0.5]), np.array([-179.999]))[0] == pytest.approx(-111.3, abs=0.1)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("south", [False, True])
def test_a_ring_round_a_pole_is_its_smaller_side(*, south: bool, backwards: bool) -> None:
    sign = -1.0 if south else 1.0
    ring = [[x, sign * 80.0] for x in (0.0, 90.0, 180.0, -90.0, 0.0)]
    shape, notes = geo.parse_geometry(polygon(reordered(ring, backwards=backwards)))
    assert isinstance(shape, Area)
    assert ["south pole" if south else "north pole"] == [
        word for word in ("north pole", "south pole") if word in notes[0]
    ]
    assert inside(shape, (sign * 90, 0), (sign * 85, 180), (sign * 80.1, -33), (sign * 79.9, 100)) == [True] * 3 + [
        False
    ]
    distance_m = geo.signed_distance_m(shape, np.array([sign * 90.0, sign * 89.99]), np.array([0.0, 180.0]))
    expected_m = [GEOD.inv(0, sign * 90, 0, sign * 80)[2], GEOD.inv(180, sign * 89.99, 180, sign * 80)[2]]
    assert distance_m.tolist() == pytest.approx(expected_m, rel=1e-4)


def test_a_band_between_two_rings_round_a_pole() -> None:
    outer, inner = ([[x, lat] for x in (0.0, 90.0, 180.0, -90.0, 0.0)] for lat in (70.0, 80.0))
    assert inside(area(outer, inner), (75, 0), (75, 180), (90, 0), (85, 10), (69, 0)) == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_band_of_latitudes_and_the_whole_earth_are_taken_as_they_are() -> None:
    band = area([[-180, 40], [180, 40], [180, 50], [-180, 50], [-180, 40]])
    assert inside(band, (45, 0), (45, 180), (39.9, 0)) == [True, True, False]
    assert len(border_of(band)) == 2
    lat, lng = np.array([45.0, 40.1]), np.array([179.999, -170.0])
    assert geo.signed_distance_m(band, lat, lng)[1] == pytest.approx(11_104, rel=1e-3)
    earth = area([[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]])
    assert geo.area_m2(earth) == pytest.approx(510_065_621_724_088, rel=1e-12)
    assert geo.signed_distance_m(earth, np.array([12.0]), np.array([180.0])).tolist() == [HALF_EARTH_M]


def test_an_ordinary_polygon_never_becomes_its_complement() -> None:
    for ring in (SQUARE, SQUARE[::-1], [[-90, -60], [90, -60], [90, 60], [-90, 60], [-90, -60]]):
        shape, notes = geo.parse_geometry(polygon(ring))
        assert isinstance(shape, Area)
        assert notes == []
        assert inside(shape, (0.5, 0.5), (0.5, 179.0)) == [True, False]


def test_nothing_is_said_through_python_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        geo.parse_geometry(polygon(ACROSS[::-1]))


# Numbers


def test_the_chord_stays_within_a_centimetre_of_the_geodesic_up_to_100_km() -> None:
    lat, azimuth_deg, radius_m = (
        grid.ravel() for grid in np.meshgrid(np.linspace(-90, 90, 61), np.linspace(0, 350, 36), [1, 1e3, 3e4, 7e4, 1e5])
    )
    lng = np.full(len(lat), 33.0)
    far_lng, far_lat, _ = GEOD.fwd(lng, lat, azimuth_deg, radius_m)
    chord_m = np.sqrt(sum((a - b) ** 2 for a, b in zip(ecef_m(lat, lng), ecef_m(far_lat, far_lng), strict=True)))
    assert np.abs(chord_m - chord_limit_m(lat, radius_m)).max() < 0.01
    assert np.abs(arc_m(lat, chord_m) - radius_m).max() < 0.01


def test_the_earth_centred_coordinates_are_those_of_proj() -> None:
    from pyproj import Transformer  # noqa: PLC0415 - the oracle of this test alone

    rng = np.random.default_rng(1)
    lat, lng = rng.uniform(-90, 90, 1000), rng.uniform(-180, 180, 1000)
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    for ours, theirs in zip(ecef_m(lat, lng), to_ecef.transform(lng, lat, np.zeros(1000)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@given(st.floats(-1000.0, 1000.0))
def test_wrapped_longitudes_name_the_same_place(lng: float) -> None:
    there = float(wrapped_deg(np.array([lng]))[0])
    assert -180.0 <= there < 180.0
    assert abs(((there - lng) / 360.0) - round((there - lng) / 360.0)) < 1e-12


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_areas_of_small_fences_are_those_of_geographiclib(seed: int) -> None:
    """Edges are straight in lon/lat here and geodesics there: up to 2 km that is under 0.1 %, short of the poles."""
    rng = np.random.default_rng(seed)
    sample = random_sample(rng, max_radius_m=2_000.0)
    if abs(sample.center.lat) > 80.0:
        return
    if isinstance(sample.shape, Circle):
        azimuths_deg = np.linspace(360.0, 0.0, 3601)
        n = len(azimuths_deg)
        center_lng, center_lat = np.full(n, sample.center.lng), np.full(n, sample.center.lat)
        lng, lat, _ = GEOD.fwd(center_lng, center_lat, azimuths_deg, np.full(n, sample.reach_m))
        expected_m2 = GEOD.polygon_area_perimeter(lng, lat)[0]
    else:
        written = geo.to_geojson(sample.shape)
        polygons = [written["coordinates"]] if written["type"] == "Polygon" else written["coordinates"]
        expected_m2 = sum(GEOD.polygon_area_perimeter(*np.array(ring).T)[0] for rings in polygons for ring in rings)
    assert geo.area_m2(sample.shape) == pytest.approx(
        expected_m2, rel=4e-3 if isinstance(sample.shape, Circle) else 1e-3
    )


@given(st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_the_bounding_box_holds_the_shape(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = random_sample(rng)
    lat, lng = positions_about(rng, sample, 200)
    if isinstance(sample.shape, Circle):
        held = geo.signed_distance_m(sample.shape, lat, lng) >= 0.0
    else:
        held = np.array(inside(sample.shape, *zip(lat, lng, strict=True)))
    box = geo.bounding_box(sample.shape)
    lat, lng = lat[held], lng[held]
    assert np.all((box.south <= lat) & (lat <= box.north))
    in_span = (box.west <= lng) & (lng <= box.east) if box.west <= box.east else (lng >= box.west) | (lng <= box.east)
    assert np.all(in_span | (np.abs(lat) == 90.0))


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_signed_distance_is_the_geodesic_to_the_nearest_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = random_sample(rng)
    lat, lng = positions_about(rng, sample, 8)
    distance_m = geo.signed_distance_m(sample.shape, lat, lng)
    for i in range(len(lat)):
        expected_m = _nearest_m(sample.shape, lat[i], lng[i])
        assert abs(distance_m[i]) == pytest.approx(expected_m, rel=1e-3, abs=0.01)


def test_far_borders_and_long_edges_are_measured_too() -> None:
    shape = area([[-100, 50], [-60, 50], [-60, 51], [-100, 51], [-100, 50]])
    lat, lng = np.array([50.5, 50.0001, 48.0, 10.0]), np.array([-80.0, -80.0, -61.0, 100.0])
    distance_m = geo.signed_distance_m(shape, lat, lng)
    expected_m = [_nearest_m(shape, a, b) for a, b in zip(lat, lng, strict=True)]
    assert np.abs(distance_m).tolist() == pytest.approx(expected_m, rel=1e-2)
    assert (distance_m > 0).tolist() == [True, True, False, False]


def test_the_sign_on_a_circle_is_the_geodesics_to_the_micrometre() -> None:
    shape = geo.circle(LatLng(lat=-41.3, lng=179.9999), 99_999.0)
    n = 360
    ones = np.ones(n)
    for offset_m, sign in ((-1e-5, 1.0), (1e-5, -1.0)):
        lng, lat, _ = GEOD.fwd(179.9999 * ones, -41.3 * ones, np.arange(n), (shape.radius_m + offset_m) * ones)
        assert np.all(np.sign(geo.signed_distance_m(shape, lat, lng)) == sign)


def _signed_area(ring: Floats) -> float:
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2.0


def _nearest_m(shape: Circle | Area, lat: float, lng: float) -> float:
    """By GeographicLib: 401 points on every edge, then the best three edges again, ever finer."""
    if isinstance(shape, Circle):
        return abs(shape.radius_m - float(GEOD.inv(lng, lat, shape.center.lng, shape.center.lat)[2]))
    edges = border_of(shape)
    low, high = np.zeros(len(edges)), np.ones(len(edges))
    best_m = np.inf
    for _ in range(6):
        along = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 401)
        points = edges[:, None, :2] + along[:, :, None] * (edges[:, None, 2:] - edges[:, None, :2])
        flat = points.reshape(-1, 2)
        away_m = GEOD.inv(np.full(len(flat), lng), np.full(len(flat), lat), flat[:, 1], flat[:, 0])[2].reshape(
            along.shape
        )
        best_m = min(best_m, float(away_m.min()))
        edge = np.argsort(away_m.min(axis=1))[:3]
        k = away_m[edge].argmin(axis=1)
        rows = np.arange(len(edge))
        low, high = along[edge][rows, np.maximum(k - 1, 0)], along[edge][rows, np.minimum(k + 1, 400)]
        edges = edges[edge]
    return best_m
