"""The index on real and on awkward areas: time zones of 22,000 corners, and polygons across 180 degrees and poles.

And the cells of H3's own test vectors: each is found by the key of any position in it.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
import json

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
import pytest
import shapely
import shapely.geometry

from geofences.cover import cover_all
from geofences.geo import parse_geometry
from geofences.index import FenceIndex, cells_of
from geofences.model import STANDARD, Area, Cell, Circle, Fence, FenceId, Floats, TenantId
from geofences.planar import keys_of_cells, keys_of_positions
from tests.acceptance.test_antimeridian import SPLIT, expected_at, geometry, positions_for
from tests.support.data import data_dir
from tests.support.shapes import GEOD, border_of

CENTERS = ["rand05centers", "rand07centers", "rand09centers", "res02ic", "bc05r15centers"]
BOUNDARIES = ["res01cells", "bc14r12cells"]


def index_of(shapes: list[Circle | Area]) -> FenceIndex:
    return FenceIndex(
        Fence(fence_id=FenceId(i), version=1, tenant_id=TenantId(1), shape=shape, profile=STANDARD, cells=cells)
        for i, (shape, cells) in enumerate(zip(shapes, cover_all(shapes), strict=True))
    )


def found(index: FenceIndex, lat: Floats, lng: Floats) -> set[tuple[int, int]]:
    pairs = index.match(np.ones(len(lat), dtype=np.int32), lat, lng, np.zeros(len(lat), dtype=np.int64))
    return set(zip(pairs.position.tolist(), index.fence_ids(pairs.slot).tolist(), strict=True))


def test_time_zones_hold_the_positions_that_geos_says_they_hold() -> None:
    with gzip.open(data_dir("poly_timezones") / "tz_selected.geojson.gz", "rt") as text:
        features = json.load(text)["features"]
    shapes = [parse_geometry(feature["geometry"])[0] for feature in features]
    assert len(shapes) == 25
    rng = np.random.default_rng(4)
    lats, lngs = [np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))], [rng.uniform(-180, 180, 20_000)]
    for shape in shapes:
        assert isinstance(shape, Area)
        edges = border_of(shape)[:, :2]
        near = edges[rng.integers(len(edges), size=2_000)]
        lng, lat, _ = GEOD.fwd(near[:, 1], near[:, 0], rng.uniform(0, 360, 2_000), 10 ** rng.uniform(-1, 5, 2_000))
        lats.append(lat)
        lngs.append(lng)
    lat, lng = np.concatenate(lats), np.concatenate(lngs)
    expected = set()
    for i, shape in enumerate(shapes):
        assert isinstance(shape, Area)
        rows = np.flatnonzero(shapely.intersects_xy(shapely.from_wkb(shape.wkb), lng, lat))
        expected |= {(row, i) for row in rows.tolist()}
    assert len(expected) > 20_000
    assert found(index_of(shapes), lat, lng) == expected


@pytest.mark.parametrize("name", SPLIT)
def test_an_area_across_180_degrees_or_a_pole_holds_what_is_expected(name: str) -> None:
    lat, lng = positions_for(name)
    index = index_of([parse_geometry(geometry("input", name))[0]])
    got = np.isin(np.arange(len(lat)), [row for row, _ in found(index, lat, lng)])
    np.testing.assert_array_equal(got, expected_at(name, lat, lng))


@pytest.mark.parametrize("name", CENTERS)
def test_the_published_centre_of_a_cell_has_one_of_its_keys(name: str) -> None:
    rows = [line.split() for line in (data_dir("vectors_h3") / f"{name}.txt").read_text().splitlines()]
    cells = np.array([int(row[0], 16) for row in rows])
    lat = np.array([float(row[1]) for row in rows])
    lng = (np.array([float(row[2]) for row in rows]) + 180.0) % 360.0 - 180.0
    res = h3.get_resolution(int(cells[0]))
    np.testing.assert_array_equal(cells_of(lat, lng, res), cells)
    rng = np.random.default_rng(1)
    keys = keys_of_positions(lat, lng, res)
    spread = 0.4 * h3.average_hexagon_edge_length(res, unit="m") * np.sqrt(rng.uniform(0, 1, len(lat)))
    near_lng, near_lat, _ = GEOD.fwd(lng, lat, rng.uniform(0, 360, len(lat)), spread)
    near_keys, near_cells = keys_of_positions(near_lat, near_lng, res), cells_of(near_lat, near_lng, res)
    for cell, key, near_cell, near_key in zip(*(c.tolist() for c in (cells, keys, near_cells, near_keys)), strict=True):
        own = keys_of_cells([Cell(cell)])
        assert key in own
        assert near_key in (own if near_cell == cell else keys_of_cells([Cell(near_cell)]))


@pytest.mark.parametrize("name", BOUNDARIES)
def test_places_in_a_published_cell_have_one_of_its_keys(name: str) -> None:
    """Just inside each corner of its published outline, and on the way to its centre."""
    text = (data_dir("vectors_h3") / f"{name}.txt").read_text()
    tried = 0
    for block in text.split("}")[:-1]:
        name_line, outline = block.split("{")
        cell = int(name_line, 16)
        lat, lng = np.array([line.split() for line in outline.split("\n") if line.strip()], dtype=np.float64).T
        center_lat, center_lng = h3.cell_to_latlng(cell)
        for share in (0.01, 0.3, 0.9):
            azimuth_deg, _, away_m = GEOD.inv(np.full(len(lat), center_lng), np.full(len(lat), center_lat), lng, lat)
            at_lng, at_lat, _ = GEOD.fwd(
                np.full(len(lat), center_lng), np.full(len(lat), center_lat), azimuth_deg, away_m * (1.0 - share)
            )
            res = h3.get_resolution(cell)
            here = cells_of(at_lat, at_lng, res) == cell
            keys = keys_of_positions(at_lat, at_lng, res)
            assert np.all(np.isin(keys[here], keys_of_cells([Cell(cell)])))
            tried += int(here.sum())
    assert tried > 1_000
