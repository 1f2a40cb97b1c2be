"""PostGIS is the oracle: the index may differ from it only within 1 cm of a border."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import psycopg2
import pytest

from geofences.cover import cover
from geofences.geo import signed_distance_m
from geofences.index import FenceIndex
from geofences.model import STANDARD, Circle, Fence, FenceId, Floats, TenantId
from tests.support.shapes import Sample, positions_about, random_sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
            cursor.execute(
                "CREATE TEMP TABLE f"
                " (fence int, center geography(Point), radius_m float8, area geometry, reach_m float8);"
                "CREATE TEMP TABLE p (fence int, i int, lat float8, lng float8)"
            )
            yield cursor
    finally:
        connection.rollback()
        connection.close()


def put_fences(oracle: extensions.cursor, samples: list[Sample]) -> None:
    for i, sample in enumerate(samples):
        if isinstance(sample.shape, Circle):
            oracle.execute(
                "INSERT INTO f (fence, center, radius_m) VALUES (%s, ST_MakePoint(%s, %s)::geography, %s)",
                (i, sample.center.lng, sample.center.lat, sample.shape.radius_m),
            )
        else:
            oracle.execute(
                "INSERT INTO f (fence, area, reach_m) VALUES (%s, ST_SetSRID(%s::geometry, 4326), %s)",
                (i, psycopg2.Binary(sample.shape.wkb), sample.reach_m),
            )


def put_positions(oracle: extensions.cursor, places: Iterable[tuple[Floats, Floats]]) -> None:
    text = io.StringIO()
    for fence, (lats, lngs) in enumerate(places):
        for i, (lat, lng) in enumerate(zip(lats.tolist(), lngs.tolist(), strict=True)):
            text.write(f"{fence}\t{i}\t{lat!r}\t{lng!r}\n")
    text.seek(0)
    oracle.copy_expert("COPY p FROM STDIN", text)


def test_200_000_verdicts_are_those_of_postgis(oracle: extensions.cursor) -> None:
    rng = np.random.default_rng(20_261_122)
    samples = [random_sample(rng) for _ in range(FENCES)]
    places = [positions_about(rng, sample, POSITIONS) for sample in samples]
    put_fences(oracle, samples)
    put_positions(oracle, places)
    oracle.execute(
        "SELECT fence, i FROM p JOIN f USING (fence)"
        " WHERE CASE WHEN area IS NULL THEN ST_DWithin(center, ST_MakePoint(lng, lat)::geography, radius_m)"
        " ELSE ST_Covers(area, ST_SetSRID(ST_MakePoint(lng, lat), 4326)) END"
    )
    expected = {(fence, i) for fence, i in oracle.fetchall()}

    index = FenceIndex(
        Fence(
            fence_id=FenceId(i),
            version=1,
            tenant_id=TenantId(i),  # each fence is asked about its own positions only
            shape=sample.shape,
            profile=STANDARD,
            cells=cover(sample.shape),
        )
        for i, sample in enumerate(samples)
    )
    lat, lng = (np.concatenate(column) for column in zip(*places, strict=True))
    tenant_id = np.repeat(np.arange(FENCES, dtype=np.int32), POSITIONS)
    pairs = index.match(tenant_id, lat, lng, np.zeros(len(lat), dtype=np.int64))
    got = {divmod(row, POSITIONS) for row in pairs.position.tolist()}

    assert len(lat) == 200_000
    assert 50_000 < len(expected) < 150_000
    for fence, i in got ^ expected:
        at_lat, at_lng = (column[i : i + 1] for column in places[fence])
        off_m = float(signed_distance_m(samples[fence].shape, at_lat, at_lng)[0])
        assert abs(off_m) <= BORDER_M, (samples[fence], at_lat, at_lng)


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
