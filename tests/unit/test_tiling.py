"""Whatever lies in a tile, its cell of every resolution is in one of the tile's spans, and few others are."""

from __future__ import annotations

import math
from random import Random

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
import pytest

from geofences.tiling import WORLD_M, Tile, ancestors, outline_m, spans_of

CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))


def tiles() -> list[Tile]:
    rng = Random(5)
    found = []
    for z in (2, 3, 5, 8, 11, 14, 18):
        last = 2**z - 1
        found += [Tile(z, x * last, y * last) for x, y in CORNERS]
        found += [Tile(z, rng.randint(0, last), rng.randint(0, last)) for _ in range(6)]
    return found


@pytest.mark.parametrize("tile", tiles(), ids=lambda tile: f"{tile.z}-{tile.x}-{tile.y}")
def test_cells_of_all_resolutions_in_a_tile_are_in_its_spans(tile: Tile) -> None:
    rng, spans = Random(7), spans_of(tile, 9)
    middle_x_m, middle_y_m = tile.middle_m
    for _ in range(20):
        x_m, y_m = (middle + rng.choice([-0.51, 0.51, rng.uniform(-0.5, 0.5)]) * tile.size_m
                    for middle in (middle_x_m, middle_y_m))  # fmt: skip
        lat, lng = math.degrees(math.atan(math.sinh(y_m / WORLD_M * 2 * math.pi))), x_m / WORLD_M * 360
        for res in range(10 if -180 <= lng <= 180 else 0):
            cell = h3.latlng_to_cell(lat, lng, res)
            assert any(low <= cell <= high for low, high in zip(*spans, strict=True)), res


def test_spans_of_a_city_tile_reach_a_cell_or_two_beyond_it() -> None:
    tile = Tile(12, 2331, 1185)
    spans = spans_of(tile, 9)
    held = sum(h3.get_resolution(low) == 9 and high != low for low, high in zip(*spans, strict=True))
    assert 10 < held < 150


def test_ancestors_are_those_of_h3() -> None:
    cells = np.array([h3.latlng_to_cell(lat, lng, 9) for lat, lng in ((60.17, 24.94), (-33.9, 151.2), (0.1, -0.1))])
    for res in range(10):
        assert ancestors(cells, res).tolist() == [h3.cell_to_parent(cell, res) for cell in cells.tolist()]


def test_an_outline_stays_on_one_side_of_the_seam_and_none_goes_round_a_pole() -> None:
    seam = h3.latlng_to_cell(-16.8, 180.0, 6)
    for side_m in (-WORLD_M / 2, WORLD_M / 2):
        outline = outline_m(seam, side_m)
        assert outline is not None
        assert np.abs(outline[:, 0] - side_m).max() < 20_000
    assert outline_m(h3.latlng_to_cell(90.0, 0.0, 3), 0.0) is None
