"""The key of a position is always among the keys of its H3 cell, and away from faces' edges it is the only one."""

from __future__ import annotations

import math
import time

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
import pytest

from geofences.index import cells_of
from geofences.model import Cell, Floats
from geofences.packed_keys import pack_keys, unpack_keys, words_for
from geofences.planar import (
    edge_keys,
    keys_of_cell_lists,
    keys_of_cells,
    keys_of_positions,
    plane,
    resolution_of_key,
    to_units,
)
from geofences.planar_cover import key_centers
from tests.support.shapes import FACE_EDGES, PENTAGONS

N = 1_000
"""Positions of each kind."""


def scattered(rng: np.random.Generator, about: Floats, nearest: float, farthest: float) -> Floats:
    """Unit vectors at random distances from given ones, as many orders of magnitude apart as the bounds are."""
    distance = 10 ** rng.uniform(math.log10(nearest), math.log10(farthest), len(about))
    moved = about + rng.normal(size=about.shape) * distance[:, None]
    return np.asarray(moved / np.linalg.norm(moved, axis=1)[:, None])


def vectors(lat: Floats, lng: Floats) -> Floats:
    phi, lam = np.radians(lat), np.radians(lng)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)


def hard_positions(seed: int) -> tuple[Floats, Floats]:
    """Anywhere, at the edges of faces, at pentagons, at the poles and at 180 degrees."""
    rng = np.random.default_rng(seed)
    anywhere = rng.normal(size=(N, 3))
    ends = FACE_EDGES[rng.integers(len(FACE_EDGES), size=N)]
    along = rng.uniform(0, 1, N)[:, None]
    on_edges = (1 - along) * ends[:, 0] + along * ends[:, 1]
    corners = vectors(*np.array([h3.cell_to_latlng(cell) for cell in PENTAGONS]).T)
    poles = np.stack([np.zeros(N), np.zeros(N), rng.choice([-1.0, 1.0], N)], axis=1)
    at_180 = vectors(rng.uniform(-90, 90, N), np.full(N, 180.0))
    x, y, z = np.concatenate(
        [
            scattered(rng, anywhere, 1e-3, 1.0),
            scattered(rng, on_edges / np.linalg.norm(on_edges, axis=1)[:, None], 1e-12, 0.1),
            scattered(rng, corners[rng.integers(12, size=N)], 1e-9, 0.3),
            scattered(rng, poles, 1e-9, 0.3),
            scattered(rng, at_180, 1e-12, 0.01),
        ]
    ).T
    lat, lng = np.degrees(np.arcsin(np.clip(z, -1.0, 1.0))), np.degrees(np.arctan2(y, x))
    named = np.array([[90.0, 180.0], [-90.0, -180.0], [90.0, 37.0], [-90.0, 0.0], [0.0, 180.0], [0.0, -180.0]])
    return np.concatenate([lat, named[:, 0]]), np.concatenate([lng, named[:, 1]])


@pytest.mark.parametrize("res", range(10))
def test_the_key_of_a_position_is_among_those_of_its_cell(res: int) -> None:
    lat, lng = hard_positions(res)
    keys, cells = keys_of_positions(lat, lng, res), cells_of(lat, lng, res)
    for cell in np.unique(cells).tolist():
        own = keys_of_cells([Cell(cell)])
        assert np.all(np.diff(own) > 0)
        assert np.all(np.isin(keys[cells == cell], own)), f"{cell:x}"
    assert {resolution_of_key(key) for key in keys.tolist()} == {res}


@pytest.mark.parametrize("res", [3, 8, 9])
def test_inside_a_face_a_cell_is_one_hexagon_and_the_other_way_round(res: int) -> None:
    rng = np.random.default_rng(res)
    lat, lng = rng.uniform(41.0, 41.3, 3_000), rng.uniform(-8.8, -8.4, 3_000)
    keys, cells = keys_of_positions(lat, lng, res), cells_of(lat, lng, res)
    pairs = np.unique(np.stack([keys, cells], axis=1), axis=0)
    assert len(pairs) == len(np.unique(keys)) == len(np.unique(cells))
    assert all(len(keys_of_cells([Cell(cell)])) == 1 for cell in cells[:100].tolist())
    centers = np.empty((len(pairs), 2))
    key_centers(plane(), pairs[:, 0].copy(), centers)
    assert cells_of(centers[:, 0], centers[:, 1], res).tolist() == pairs[:, 1].tolist()


def test_the_keys_of_many_covers_are_those_of_each() -> None:
    lat, lng = hard_positions(77)
    rng = np.random.default_rng(1)
    lists = [
        [Cell(cell) for cell in sorted(set(cells_of(lat[rows], lng[rows], int(rng.integers(10))).tolist()))]
        for rows in (rng.integers(len(lat), size=rng.integers(1, 6)) for _ in range(200))
    ]
    keys, of = keys_of_cell_lists(lists)
    assert np.all(np.diff(of) >= 0)
    for i, cells in enumerate(lists):
        assert sorted(keys[of == i].tolist()) == sorted(keys_of_cells(cells).tolist())


def test_an_edge_cell_has_few_keys_and_those_of_its_own_hexagon() -> None:
    for cell in PENTAGONS:
        assert 5 <= len(edge_keys(cell)) <= 25
    inner = h3.latlng_to_cell(41.15, -8.61, 9)
    assert keys_of_cells([Cell(inner)])[0] in edge_keys(inner)


def test_units_are_right_to_the_last_digits() -> None:
    lat, lng = hard_positions(5)
    x, y, z = (np.empty(len(lat)) for _ in range(3))
    to_units(lat, lng, x, y, z)
    np.testing.assert_allclose(np.stack([x, y, z], axis=1), vectors(lat, lng), rtol=0, atol=4e-16)


def test_the_plane_is_worked_out_in_milliseconds() -> None:
    plane()
    took_s = []
    for _ in range(5):
        plane.cache_clear()
        begin_s = time.thread_time()
        plane()
        took_s.append(time.thread_time() - begin_s)
    assert min(took_s) < 0.05


def test_keys_are_kept_in_one_word_where_they_lie_near_and_in_two_elsewhere() -> None:
    near = keys_of_positions(np.linspace(41.0, 41.1, 50), np.linspace(-8.0, -8.1, 50), 9)
    far = keys_of_positions(np.linspace(-80.0, 80.0, 50), np.linspace(-170.0, 170.0, 50), 9)
    for keys, words in ((near, 50), (far, 100), (near[:1], 1), (np.sort(np.concatenate([near, far])), 200)):
        packed = np.empty(words_for(keys), dtype=np.uint32)
        assert len(packed) == words
        pack_keys(keys, packed)
        assert unpack_keys(int(keys[0]), packed, len(keys)).tolist() == keys.tolist()
