"""Polygons across 180 degrees and over poles, upload refusals, and distances, by the published vectors of others."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry

from geofences.errors import InvalidGeometryError
from geofences.geo import area_columns, covers, geodesic_distance_m, parse_geometry
from geofences.model import Area, Bools, Floats
from tests.support.data import data_dir

SPLIT = [
    "almost-180", "complex-split", "crossing-latitude", "cw-only", "cw-split", "extra-crossing", "great-circle",
    "issues-124", "issues-164", "issues-174", "issues-201", "issues-230", "issues-81", "latitude-band",
    "multi-no-antimeridian", "multi-split", "north-pole", "one-hole", "over-180", "point-on-antimeridian", "simple",
    "south-pole", "split", "two-holes",
]  # fmt: skip
SAME_AS = {"one-ccw-hole": "one-hole"}
"""Inputs whose expected output is that of another, since winding does not matter."""
SELF_CROSSING = ["force-north-pole", "overlap", "issues-182"]
"""Swaths of satellites that overlap themselves, and a ring that crosses itself: refused, with the place."""


def geometry(*path: str) -> dict[str, Any]:
    folder = data_dir("poly_antimeridian").joinpath(*path[:-1])
    found: dict[str, Any] = json.loads((folder / f"{path[-1]}.json").read_text())
    return dict(found.get("geometry", found))


def positions_for(name: str) -> tuple[Floats, Floats]:
    """Lat and lng all over the earth, and as many about the expected polygons."""
    rng = np.random.default_rng(len(name))
    west, south, east, north = shapely.bounds(shapely.geometry.shape(geometry("output", "flat", name)))
    lat = np.concatenate([rng.uniform(-90, 90, 20_000), rng.uniform(south, north, 20_000)])
    lng = np.concatenate([rng.uniform(-180, 180, 20_000), rng.uniform(west, east, 20_000)])
    return lat, lng


def expected_at(name: str, lat: Floats, lng: Floats) -> Bools:
    return np.asarray(shapely.intersects_xy(shapely.geometry.shape(geometry("output", "flat", name)), lng, lat))


def got_at(geojson: dict[str, Any], lat: Floats, lng: Floats) -> Bools:
    shape, _ = parse_geometry(geojson)
    assert isinstance(shape, Area)
    return covers(np.repeat(area_columns([shape]).geometry, len(lat)), lat, lng)


@pytest.mark.parametrize("name", [*SPLIT, *SAME_AS])
def test_a_fence_contains_what_the_expected_polygons_contain(name: str) -> None:
    expected_name = SAME_AS.get(name, name)
    lat, lng = positions_for(expected_name)
    expected = expected_at(expected_name, lat, lng)
    assert expected.any()
    np.testing.assert_array_equal(got_at(geometry("input", name), lat, lng), expected)


def test_all_holes_stay_where_the_expected_output_lost_one() -> None:
    """The peer keeps one of the two holes (its output shows it): ours differs there, and nowhere else."""
    lat, lng = positions_for("issues-171")
    lost = shapely.polygons(geometry("input", "issues-171")["coordinates"][1])
    in_lost = np.asarray(shapely.contains_xy(lost, lng, lat))
    assert in_lost.any()
    expected = expected_at("issues-171", lat, lng)
    np.testing.assert_array_equal(got_at(geometry("input", "issues-171"), lat, lng), expected & ~in_lost)


def test_winding_never_makes_a_complement() -> None:
    """The peer reads a clockwise ring as all the rest of the earth; people who send one mean its inside."""
    lat, lng = positions_for("both-poles")
    expected = expected_at("both-poles", lat, lng)
    np.testing.assert_array_equal(got_at(geometry("input", "both-poles"), lat, lng), ~expected)


def test_an_open_ring_is_refused_and_equals_the_expected_once_closed() -> None:
    ring = geometry("input", "issues-187")["coordinates"][0]
    with pytest.raises(InvalidGeometryError, match=r"coordinates\[0\]: the ring is not closed"):
        parse_geometry({"type": "Polygon", "coordinates": [ring]})
    lat, lng = positions_for("issues-187")
    got = got_at({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, lat, lng)
    np.testing.assert_array_equal(got, expected_at("issues-187", lat, lng))


@pytest.mark.parametrize("name", SELF_CROSSING)
def test_a_polygon_that_crosses_itself_is_refused_with_the_place(name: str) -> None:
    with pytest.raises(InvalidGeometryError, match=r"self-intersection at lat -?\d+\.\d+, lng -?\d+\.\d+"):
        parse_geometry(geometry("input", name))


def test_no_input_is_left_out() -> None:
    special = {"issues-171", "both-poles", "issues-187", "line", "multi-line", "simple-with-ccw-hole"}
    names = {path.stem for path in (data_dir("poly_antimeridian") / "input").glob("*.json")}
    assert names == {*SPLIT, *SAME_AS, *SELF_CROSSING, *special}


GOOD = ["good-polygon", "multipolygon"]
REFUSED = [
    "bad-featurelist", "bad-polygonloop", "badcoordtype", "different-first-last", "geometrycollection_nested",
    "geometrycollection_single", "multipoint-multidimension", "multipoint-nondimension",
    "point-labeled-as-a-multipolygon", "short-line", "short-linearring", "unknowntype", "notype", "badcoord",
    "point-string", "point-toofew", "point-toomany", "point",
]  # fmt: skip
ADVICE = ["polygon_winding_order", "bad-polygon-interiorring-rhr", "different-first-size"]
"""Only the advice of RFC 7946 on winding, or an altitude on one position: put right without a word."""


def hinted(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data_dir("vectors_geojsonhint") / kind / f"{name}.geojson").read_text())
    if found.get("type") == "FeatureCollection":
        found = found["features"][0]
    return dict(found.get("geometry", found))


@pytest.mark.parametrize("name", GOOD)
def test_good_polygons_are_accepted(name: str) -> None:
    assert parse_geometry(hinted("good", name))[1] == []


@pytest.mark.parametrize("name", ADVICE)
def test_polygons_against_mere_advice_are_put_right(name: str) -> None:
    assert parse_geometry(hinted("bad", name))[1] == []


@pytest.mark.parametrize("name", REFUSED)
def test_bad_geometries_are_refused(name: str) -> None:
    geojson = hinted("bad", name)
    with pytest.raises(InvalidGeometryError):
        parse_geometry(geojson, radius_m=100.0 if geojson.get("type") == "Point" else None)


def test_a_good_file_with_latitudes_off_the_earth_is_refused() -> None:
    with pytest.raises(InvalidGeometryError, match=r"coordinates\[0\]\[0\]\[0\]: latitude -107"):
        parse_geometry(hinted("good", "issue82"))


def test_distances_are_those_of_geodtest() -> None:
    rows = json.loads((data_dir("vectors_geodesic") / "geodtest20.json").read_text())
    assert len(rows) == 20
    _assert_distances(rows, tolerance_m=1e-8)


def test_distances_are_right_in_the_special_cases() -> None:
    rows = json.loads((data_dir("vectors_geodesic") / "geodsolve_special.json").read_text())
    assert len(rows) == 21
    for row in rows:
        _assert_distances([row], tolerance_m=row["tol"])


def _assert_distances(rows: list[dict[str, float]], *, tolerance_m: float) -> None:
    lat1, lng1, lat2, lng2 = (np.array([row[k] for row in rows]) for k in ("lat1", "lon1", "lat2", "lon2"))
    np.testing.assert_allclose(
        geodesic_distance_m(lat1, lng1, lat2, lng2), [row["s12"] for row in rows], rtol=0, atol=tolerance_m
    )
