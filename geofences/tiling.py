"""Square tiles of the Web Mercator map and the H3 cells that lie in them. Pure; knows no database.

A tile is asked for by spans of cell numbers: the descendants of a cell are one span in each resolution, so a few dozen
spans find everything in a tile by an index over cells, however fine those are. Descendants stick out of their ancestor,
so cells beside the tile are taken along; what lies outside is cut off when it is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geofences.model import Cell, Floats, Int64s

WORLD_M: Final = 2 * math.pi * 6_378_137.0
"""Width and height of the map in its own metres."""
MAX_LAT_DEG: Final = math.degrees(math.atan(math.sinh(math.pi)))
"""85.05: the map ends there."""
MAX_ZOOM: Final = 22
EXTENT: Final = 4096
BUFFER: Final = 64
"""Of EXTENT: how much of its neighbours a tile shows, so that lines and circles meet."""
MARGIN: Final = BUFFER / EXTENT
RES_PER_ZOOM: Final = math.log(2) / math.log(math.sqrt(7))
"""A tile is half as wide as that of the zoom before, a cell the 2.65th part of that of the resolution before."""
FINEST_KEPT: Final = 9
"""Of the cells of fences and stores."""
WHOLE_WORLD_ZOOM: Final = 1
"""Up to here a tile needs nearly all cells."""
SAMPLES: Final = 13
"""Along each side of a tile."""
REACH: Final = 1.8
"""In average edges: how far from its middle a cell, 1.3 times as large, and what is below it reach."""
EARTH_M: Final = 6_356_752.0
"""The smallest radius."""
REMEMBERED_TILES: Final = 4096

_RES_SHIFT: Final = 52
_DIGIT_BITS: Final = 3
_FINEST_RES: Final = 15
_LAST_CHILD: Final = 6


class Spans(NamedTuple):
    """Cell numbers from `low` to `high`, both included."""

    low: list[int]
    high: list[int]


@dataclass(frozen=True, slots=True)
class Tile:
    """0 <= x, y < 2**z; x counts from 180 degrees west, y from the north."""

    z: int
    x: int
    y: int

    @property
    def size_m(self) -> float:
        return WORLD_M / (1 << self.z)

    @property
    def middle_m(self) -> tuple[float, float]:
        return (self.x + 0.5) * self.size_m - WORLD_M / 2, WORLD_M / 2 - (self.y + 0.5) * self.size_m

    @property
    def readable_res(self) -> int:
        """The finest cells that can be told apart in the tile: some 20 pixels wide."""
        return min(int(RES_PER_ZOOM * self.z + 0.5), FINEST_KEPT)

    @property
    def cluster_res(self) -> int:
        """Cells of which some ten lie side by side in the tile."""
        return min(max(int(RES_PER_ZOOM * self.z - 0.4), 0), FINEST_KEPT)

    def near(self, x_m: Floats, y_m: Floats) -> tuple[Int64s, Floats]:
        """Which places lie in the tile or its buffer: their rows, and their x as seen from the tile, without a seam."""
        middle_x_m, middle_y_m = self.middle_m
        half_m = self.size_m * (0.5 + MARGIN)
        across_m = wrapped_m(x_m - middle_x_m)
        rows: Int64s = np.flatnonzero((np.abs(across_m) <= half_m) & (np.abs(y_m - middle_y_m) <= half_m))
        return rows, middle_x_m + across_m[rows]


def wrapped_m(across_m: Floats) -> Floats:
    """The shorter way round the world, in [-half, half)."""
    return np.asarray((across_m + WORLD_M / 2) % WORLD_M - WORLD_M / 2)


def mercator_m(lat: Floats, lng: Floats) -> tuple[Floats, Floats]:
    """X and y on the map of degrees; latitudes beyond its end are at its end.

    >>> x_m, y_m = mercator_m(np.array([0.0, 90.0]), np.array([0.0, 180.0]))
    >>> (x_m / WORLD_M).round(6).tolist(), (y_m / WORLD_M).round(6).tolist()
    ([0.0, 0.5], [0.0, 0.5])
    """
    held = np.radians(np.clip(lat, -MAX_LAT_DEG, MAX_LAT_DEG))
    return lng / 360.0 * WORLD_M, np.arctanh(np.sin(held)) / (2 * math.pi) * WORLD_M


def ancestors(cells: Int64s, res: int) -> Int64s:
    """The cells at `res` above those of one finer or equal resolution, by their numbers.

    >>> hex(ancestors(np.array([0x891126D338FFFFF]), 5)[0])
    '0x851126d3fffffff'
    """
    held = (1 << _DIGIT_BITS * (_FINEST_RES - res)) - 1
    return (cells & ~(0xF << _RES_SHIFT)) | (res << _RES_SHIFT) | held


def outline_m(cell: Cell, near_x_m: float) -> Floats | None:
    """The corners of a cell on the map, shape (n, 2), on the nearer side of the seam; None for one at a pole."""
    corners = np.array(h3.cell_to_boundary(cell), dtype=np.float64)
    x_m, y_m = mercator_m(corners[:, 0], corners[:, 1])
    first_m = near_x_m + float(wrapped_m(x_m[0] - near_x_m))
    x_m = first_m + wrapped_m(x_m - x_m[0])
    return None if np.ptp(x_m) > WORLD_M / 2 else np.column_stack((x_m, y_m))


@lru_cache(maxsize=REMEMBERED_TILES)
def spans_of(tile: Tile, finest: int) -> Spans:
    """Where to look for all cells of resolutions 0 to `finest` that meet the tile; some beside it are among them."""
    res, cells = _cells_about(tile)
    return _spans(cells, res, finest, beside=tile.z <= WHOLE_WORLD_ZOOM)


def spans_about(cells: Sequence[int]) -> Spans:
    """Where to look for all cells that meet those given, which are of one resolution; some beside are among them."""
    return _spans(cells, h3.get_resolution(cells[0]), FINEST_KEPT, beside=True)


def _spans(cells: Sequence[int], res: int, finest: int, *, beside: bool) -> Spans:
    """Of the cells' ancestors, and of their descendants: with those of neighbours, which may stick out, or without."""
    low: list[int] = []
    high: list[int] = []
    for wanted in range(min(finest, FINEST_KEPT) + 1):
        coarse = wanted < res or beside
        for cell in _and_neighbours(h3.cell_to_parent(cell, min(wanted, res)) for cell in cells) if coarse else cells:
            low.append(_descendant(cell, res, wanted, 0))
            high.append(_descendant(cell, res, wanted, _LAST_CHILD))
    return Spans(low, high)


def _cells_about(tile: Tile) -> tuple[int, list[int]]:
    """A resolution, and its cells so near to the tile that a descendant of theirs may meet it.

    First cells of the resolution before, by samples: between two of them lies less than half an edge of the smallest
    cell, so what is not sampled is a neighbour of what is. Then those of their children that are near by their middles.
    """
    if tile.z <= WHOLE_WORLD_ZOOM:
        return 0, list(h3.get_res0_cells())
    res = min(max(int(RES_PER_ZOOM * tile.z - 1.4), 0), FINEST_KEPT - 1)
    x_m, y_m = tile.middle_m
    half_m = tile.size_m * (0.5 + MARGIN)
    steps = np.linspace(-half_m, half_m, SAMPLES)
    lng = np.clip((x_m + steps) / WORLD_M * 360.0, -180.0, 180.0).tolist()
    lat = np.degrees(np.arctan(np.sinh((y_m + steps) / WORLD_M * 2 * math.pi))).tolist()
    sampled = _and_neighbours(h3.latlng_to_cell(a, b, res) for a in lat for b in lng)
    children = np.array([child for cell in sampled for child in h3.cell_to_children(cell, res + 1)], dtype=np.int64)
    middles = np.array([h3.cell_to_latlng(child) for child in children.tolist()], dtype=np.float64)
    child_x_m, child_y_m = mercator_m(middles[:, 0], middles[:, 1])
    reach_m = REACH * h3.average_hexagon_edge_length(res + 1, unit="m")
    # the map stretches towards the poles: as much as at that end of the cell that is nearer to one
    end = np.minimum(np.abs(middles[:, 0]) + np.degrees(reach_m / EARTH_M), MAX_LAT_DEG)
    reach_m = reach_m / np.cos(np.radians(end))
    near = (np.abs(wrapped_m(child_x_m - x_m)) <= half_m + reach_m) & (np.abs(child_y_m - y_m) <= half_m + reach_m)
    return res + 1, children[near].tolist()


def _and_neighbours(cells: Iterable[int]) -> list[int]:
    return sorted({near for cell in set(cells) for near in h3.grid_disk(cell, 1)})


def _descendant(cell: int, res: int, wanted: int, digit: int) -> int:
    """The first or last number at `wanted` below a cell of `res`; the cell itself if it is as fine or finer."""
    if wanted <= res:
        return cell
    number = (cell & ~(0xF << _RES_SHIFT)) | (wanted << _RES_SHIFT)
    for at in range(res + 1, wanted + 1):
        shift = _DIGIT_BITS * (_FINEST_RES - at)
        number = (number & ~(0b111 << shift)) | (digit << shift)
    return number
