"""PostGIS as the oracle: random fences and positions, and its verdict on each position and its fence."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import psycopg2

from geofences.cover import cover_all
from geofences.geo import signed_distance_m
from geofences.index import FenceIndex
from geofences.model import STANDARD, Circle, Fence, FenceId, Floats, TenantId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg2 import extensions

    from tests.support.shapes import Sample

Places = tuple[Floats, Floats]
TABLES = """
    CREATE TEMP TABLE f (fence int, center geography(Point), radius_m float8, area geometry, reach_m float8);
    CREATE TEMP TABLE p (fence int, i int, lat float8, lng float8);
"""
HELD = """
    SELECT fence, i FROM p JOIN f USING (fence)
     WHERE CASE WHEN area IS NULL THEN ST_DWithin(center, ST_MakePoint(lng, lat)::geography, radius_m)
                ELSE ST_Covers(area, ST_SetSRID(ST_MakePoint(lng, lat), 4326)) END
"""


def put_fences(oracle: extensions.cursor, samples: Sequence[Sample]) -> None:
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


def put_positions(oracle: extensions.cursor, places: Iterable[Places]) -> None:
    text = io.StringIO()
    for fence, (lats, lngs) in enumerate(places):
        for i, (lat, lng) in enumerate(zip(lats.tolist(), lngs.tolist(), strict=True)):
            text.write(f"{fence}\t{i}\t{lat!r}\t{lng!r}\n")
    text.seek(0)
    oracle.copy_expert("COPY p FROM STDIN", text)


def held_by_oracle(
    oracle: extensions.cursor, samples: Sequence[Sample], places: Sequence[Places]
) -> set[tuple[int, int]]:
    """(fence, i) of each position that its own fence holds, says PostGIS."""
    oracle.execute("TRUNCATE f, p")
    put_fences(oracle, samples)
    put_positions(oracle, places)
    oracle.execute(HELD)
    return {(fence, i) for fence, i in oracle.fetchall()}


def held_by_index(samples: Sequence[Sample], places: Sequence[Places]) -> set[tuple[int, int]]:
    """The same, says an index of them all, in which each fence is its own tenant's."""
    fences = [
        Fence(
            fence_id=FenceId(i),
            version=1,
            tenant_id=TenantId(i),
            shape=sample.shape,
            profile=STANDARD,
            cells=cells,
        )
        for i, (sample, cells) in enumerate(zip(samples, cover_all([s.shape for s in samples]), strict=True))
    ]
    lat, lng = (np.concatenate(column) for column in zip(*places, strict=True))
    each = [len(lats) for lats, _ in places]
    fence = np.repeat(np.arange(len(samples), dtype=np.int32), each)
    i = np.concatenate([np.arange(n) for n in each])
    pairs = FenceIndex(fences).match(fence, lat, lng, np.zeros(len(lat), dtype=np.int64))
    return set(zip(fence[pairs.position].tolist(), i[pairs.position].tolist(), strict=True))


def off_border_m(samples: Sequence[Sample], places: Sequence[Places], pair: tuple[int, int]) -> float:
    """How far a position is from the border of its fence."""
    fence, i = pair
    lat, lng = (column[i : i + 1] for column in places[fence])
    return abs(float(signed_distance_m(samples[fence].shape, lat, lng)[0]))
