"""PostGIS is the oracle: the index may differ from it only within 1 cm of a border."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psycopg2
import pytest

from geofences.geo import signed_distance_m
from tests.support.oracle import TABLES, held_by_index, held_by_oracle, off_border_m, put_fences, put_positions
from tests.support.shapes import positions_about, random_sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2 import extensions

pytestmark = pytest.mark.servers

FENCES = 500
POSITIONS = 400
"""Of each fence; together 200,000 trials."""
BORDER_M = 0.01


@pytest.fixture
def oracle(database_url: str) -> Iterator[extensions.cursor]:
    """A cursor with empty temporary tables for fences and positions, rolled back afterwards."""
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            yield cursor
    finally:
        connection.rollback()
        connection.close()


def test_200_000_verdicts_are_those_of_postgis(oracle: extensions.cursor) -> None:
    rng = np.random.default_rng(20_261_122)
    samples = [random_sample(rng) for _ in range(FENCES)]
    places = [positions_about(rng, sample, POSITIONS) for sample in samples]
    expected = held_by_oracle(oracle, samples, places)
    got = held_by_index(samples, places)
    assert sum(len(lats) for lats, _ in places) == 200_000
    assert 50_000 < len(expected) < 150_000
    for pair in got ^ expected:
        assert off_border_m(samples, places, pair) <= BORDER_M, (samples[pair[0]], pair)


def test_distances_to_the_borders_of_city_fences_are_those_of_postgis(oracle: extensions.cursor) -> None:
    rng = np.random.default_rng(5)
    samples = [s for s in (random_sample(rng, max_radius_m=2_000.0) for _ in range(400)) if abs(s.center.lng) < 179.0]
    samples = [s for s in samples if abs(s.center.lat) < 80.0][:200]
    places = [positions_about(rng, sample, 50) for sample in samples]
    put_fences(oracle, samples)
    put_positions(oracle, places)
    # PostGIS draws a geography's edges as geodesics: they are cut so short that it does not matter.
    oracle.execute(
        "WITH b AS MATERIALIZED (SELECT *, ST_Boundary(ST_Segmentize(area, reach_m / 2e6))::geography AS border FROM f)"
        " SELECT CASE WHEN area IS NULL THEN abs(radius_m - ST_Distance(center, at)) ELSE ST_Distance(border, at) END"
        " FROM p JOIN b USING (fence), CAST(ST_SetSRID(ST_MakePoint(lng, lat), 4326) AS geography) AS at"
        " ORDER BY fence, i"
    )
    expected_m = np.array([row[0] for row in oracle.fetchall()])
    got_m = np.concatenate([signed_distance_m(s.shape, *at) for s, at in zip(samples, places, strict=True)])
    assert len(expected_m) == len(samples) * 50
    np.testing.assert_allclose(np.abs(got_m), expected_m, rtol=5e-3, atol=0.01)
