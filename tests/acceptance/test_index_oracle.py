"""The index against PostGIS on as many random trials as one likes: LBS_ORACLE_TRIALS=10000000 pytest <this file>.

Every trial is a position and a fence; cities, faces' edges, pentagons, poles and 180 degrees are taken equally often.
"""

from __future__ import annotations

import os

import numpy as np
import psycopg2
import pytest

from tests.support.oracle import TABLES, held_by_index, held_by_oracle, off_border_m
from tests.support.shapes import positions_about, rich_sample

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TRIALS = int(os.environ.get("LBS_ORACLE_TRIALS", "200000"))
FENCES, POSITIONS = 500, 400
SEED = int(os.environ.get("LBS_ORACLE_SEED", "1"))
BORDER_M = 0.01


@pytest.mark.timeout(0)
def test_no_verdict_differs_from_postgis_beyond_1_cm_of_a_border(database_url: str) -> None:
    wrong, near, held = [], 0, 0
    rounds = -(-TRIALS // (FENCES * POSITIONS))
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as oracle:
            oracle.execute(TABLES)
            for number in range(rounds):
                rng = np.random.default_rng([SEED, number])
                samples = [rich_sample(rng) for _ in range(FENCES)]
                places = [positions_about(rng, sample, POSITIONS) for sample in samples]
                expected, got = held_by_oracle(oracle, samples, places), held_by_index(samples, places)
                held += len(expected)
                for pair in got ^ expected:
                    if off_border_m(samples, places, pair) <= BORDER_M:
                        near += 1
                    else:
                        wrong.append((number, samples[pair[0]], pair, pair in expected))
    finally:
        connection.rollback()
        connection.close()
    print(f"{rounds * FENCES * POSITIONS:,} trials, {held:,} held, {near:,} otherwise within 1 cm, {len(wrong)} wrong")  # noqa: T201
    assert wrong == []
    assert 0.2 < held / (rounds * FENCES * POSITIONS) < 0.8
