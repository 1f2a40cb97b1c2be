"""H3 cells that surely contain a shape: whatever lies in the shape, or within 1 cm of it, lies in one of its cells.

Why nothing is missed. A cell is kept if a set that certainly contains the cell (its footprint) meets a set that
certainly contains the shape, so every cell that meets the shape is kept, if it is looked at. Cells are looked at from
the cell of one point of each part, outward over the neighbours of kept cells. A part is connected, hence so are the
cells it meets, and they all are reached. Nothing relies on children lying inside their parents (they do not), nor on
a fill by centres.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np

from geofences import geo
from geofences.errors import InvalidGeometryError
from geofences.geodesy import HALF_TURN_DEG, MIN_CURVATURE_M, POLE_DEG, TURN_DEG, circle_area_m2
from geofences.model import Area, Bools, Cell, Circle, LatLng
from geofences.outline import measure, read_wkb
from geofences.planar import plane, resolution_of_key
from geofences.planar_cover import DECLINED, TOO_MANY, area_keys, circle_keys, key_centers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geofences.model import Floats, Int64s

FINEST_RES = 9
"""Measured best: about 5.4 cells a fence in a city, and three positions of four end at one empty cell."""
MAX_CELLS = 256
SLACK_RAD = 1e-8
"""6 cm: covers the promised 1 cm, and where the two ends of a computed cell edge are rounded."""
EDGE_MARGIN = 1.02
"""Footprints of cells are pushed outward by so much in lon/lat."""
LARGEST_CELL = 1.3
"""No cell is larger than this many average ones (the largest of each resolution is 1.14 to 1.21)."""
BENT_EDGE = 0.01
"""Circumradius times tan(lat) above which a cell's edge bends visibly in lon/lat and is drawn as several."""
PIECES = 8

NEAR_POLE = 3.0
"""Circumradii from a pole within which lon/lat is too bent to draw a cell in."""
REMEMBERED_CELLS = 2**15
"""Fences of one city share their cells; about 10 MB."""

SMALL_RAD = 0.0004
"""2.5 km: a circle of that radius takes about MAX_CELLS of the finest cells."""

Vector = tuple[float, float, float]
Meets = Callable[[list[int]], Iterable[bool]]
"""Which cells meet a shape."""


class _Cap(NamedTuple):
    """A cell on the unit sphere, as H3 sees it: latitudes are taken as those of a sphere."""

    x: float
    y: float
    z: float
    circumradius_rad: float


def cover(shape: Circle | Area) -> tuple[Cell, ...]:
    """Sorted H3 cells, all of one resolution, that surely contain the shape.

    At the finest resolution up to FINEST_RES that needs at most MAX_CELLS; resolution 0 has 122 cells in all.

    Circle: on the unit sphere with the same latitudes and longitudes no path is longer than its length on WGS 84
    divided by the smallest radius of curvature, so the circle lies in the cap of radius_m / MIN_CURVATURE_M. Away from
    the edges of the icosahedron's faces `planar_cover` gives the cells; else a cell lies in the cap of its
    circumradius, as the farthest point of a spherical polygon is a vertex, and is kept if both caps meet.
    Polygon: likewise; else kept if the hull of the cell's vertices in lon/lat, pushed outward by 2 %, meets it. Great
    circles leave their chord in lon/lat by at most L^2 tan(lat) / 8; where that could near the 2 % an edge is drawn as
    8, and within three circumradii of a pole the footprint is the whole belt of latitudes.
    """
    keys = _shape_keys(shape)
    if keys is not None:
        return tuple(sorted(map(Cell, _cells_of_keys(keys))))
    return tuple(map(Cell, sorted(_flooded_cells(shape))))


def cover_all(shapes: Sequence[Circle | Area]) -> list[tuple[Cell, ...]]:
    """The covers of many shapes: as `cover` gives them, but faster, as neighbours share their cells."""
    found = [_shape_keys(shape) for shape in shapes]
    keys = np.concatenate([np.empty(0, dtype=np.int64), *(k for k in found if k is not None)])
    distinct, which = np.unique(keys, return_inverse=True)
    cells = np.array(_cells_of_keys(distinct), dtype=np.int64)[which].tolist() if len(keys) else []
    covers: list[tuple[Cell, ...]] = []
    begin = 0
    for shape, own in zip(shapes, found, strict=True):
        if own is None:
            covers.append(tuple(map(Cell, sorted(_flooded_cells(shape)))))
            continue
        covers.append(tuple(sorted(cells[begin : begin + len(own)])))
        begin += len(own)
    return covers


def _shape_keys(shape: Circle | Area) -> Int64s | None:
    """The keys of the hexagons in the plane that surely contain the shape; None if it is not for one plane."""
    out = np.empty(MAX_CELLS, dtype=np.int64)
    if isinstance(shape, Circle):
        radius_rad = shape.radius_m / MIN_CURVATURE_M + SLACK_RAD
        for res in range(_first_res(circle_area_m2(shape.radius_m)), -1, -1):
            count = circle_keys(plane(), res, shape.center.lat, shape.center.lng, radius_rad, out)
            if count != TOO_MANY:
                return None if count == DECLINED else out[:count]
        return None
    lines, rows = _lines(shape)
    measured = np.empty(6, dtype=np.float64)
    measure(lines, rows, measured)
    for res in range(_first_res(float(measured[4])), -1, -1):
        count = area_keys(plane(), res, lines, rows, SLACK_RAD, out)
        if count != TOO_MANY:
            return None if count == DECLINED else out[:count]
    return None


def _lines(shape: Area) -> tuple[Floats, int]:
    wkb = np.frombuffer(bytearray(shape.wkb), dtype=np.uint8)
    lines = np.empty((len(wkb) // 12 + 1, 2), dtype=np.float64)
    rows = read_wkb(wkb, lines)
    if not rows:
        raise InvalidGeometryError("an area is no little-endian WKB of a multipolygon")
    return lines, rows


def _cells_of_keys(keys: Int64s) -> list[int]:
    """The H3 cells whose centres are those of the hexagons; a key is of one resolution, and all of them are."""
    centers = np.empty((len(keys), 2), dtype=np.float64)
    key_centers(plane(), keys, centers)
    return list(map(h3.latlng_to_cell, *centers.T.tolist(), map(resolution_of_key, keys.tolist())))


def _flooded_cells(shape: Circle | Area) -> list[int]:
    if isinstance(shape, Circle):
        return _circle_cells(shape)
    geometry = geo.prepared(shape)
    return _small_area_cells(shape, geometry) or _area_cells(shape, geometry)


def _circle_cells(shape: Circle) -> list[int]:
    radius_rad = shape.radius_m / MIN_CURVATURE_M
    return _finest_cells([shape.center], partial(_circle_meets, _vector(shape.center), radius_rad), geo.area_m2(shape))


def _area_cells(shape: Area, geometry: Any) -> list[int]:
    return _finest_cells(geo.first_positions(geometry), partial(_area_meets, geometry), geo.area_m2(shape))


def _small_area_cells(shape: Area, geometry: Any) -> list[int] | None:
    """What `_area_cells` gives, or less, but sooner, for an area in a small circle: of its cells those that meet it.

    The circle goes through the corners of the area's box, from whose middle nothing in the box is farther.
    """
    box = geo.bounding_box(shape)
    if box.west > box.east:
        return None
    middle = LatLng(lat=(box.south + box.north) / 2.0, lng=(box.west + box.east) / 2.0)
    corners = (_vector(LatLng(lat=lat, lng=box.west)) for lat in (box.south, box.north))
    reach_rad = max(_apart_rad(_vector(middle), corner) for corner in corners)
    if reach_rad > SMALL_RAD:
        return None
    start = h3.latlng_to_cell(middle.lat, middle.lng, FINEST_RES)
    around = _flood({start}, partial(_circle_meets, _vector(middle), reach_rad), most=MAX_CELLS)
    if around is None or len(around) == 1:
        return around
    return [cell for cell, met in zip(around, _area_meets(geometry, around), strict=True) if met]


def _finest_cells(starts: list[LatLng], meets: Meets, area_m2: float) -> list[int]:
    for res in range(_first_res(area_m2), -1, -1):
        cells = _flood({h3.latlng_to_cell(start.lat, start.lng, res) for start in starts}, meets, most=MAX_CELLS)
        if cells is not None:
            return cells
    raise AssertionError("resolution 0 has fewer cells than MAX_CELLS")


def cells_within(center: LatLng, radius_m: float, res: int = FINEST_RES) -> frozenset[Cell]:
    """Cells of one resolution that surely hold every position within `radius_m` of `center`, however many they are."""
    radius_rad = radius_m / MIN_CURVATURE_M
    out = np.empty(MAX_CELLS, dtype=np.int64)
    while True:
        count = circle_keys(plane(), res, center.lat, center.lng, radius_rad + SLACK_RAD, out)
        if count == DECLINED:
            break
        if count != TOO_MANY:
            return frozenset(map(Cell, _cells_of_keys(out[:count])))
        out = np.empty(4 * len(out), dtype=np.int64)
    meets = partial(_circle_meets, _vector(center), radius_rad)
    cells = _flood({h3.latlng_to_cell(center.lat, center.lng, res)}, meets, most=h3.get_num_cells(res))
    assert cells is not None
    return frozenset(map(Cell, cells))


def _first_res(area_m2: float) -> int:
    """The finest resolution at which MAX_CELLS of the largest cells could hold that area."""
    for res in range(FINEST_RES, 0, -1):
        if area_m2 <= MAX_CELLS * LARGEST_CELL * h3.average_hexagon_area(res, unit="m^2"):
            return res
    return 0


def _flood(starts: set[int], meets: Meets, *, most: int) -> list[int] | None:
    """The cells that meet a shape, from its starts outward; None as soon as there are more than `most`."""
    seen, front = set(starts), list(starts)
    kept: list[int] = []
    while front:
        hit = [cell for cell, met in zip(front, meets(front), strict=True) if met]
        kept += hit
        if len(kept) > most:
            return None
        around = {near for cell in hit for near in h3.grid_disk(cell, 1)} - seen
        seen |= around
        front = list(around)
    return kept


def _circle_meets(center: Vector, radius_rad: float, cells: list[int]) -> list[bool]:
    return [_apart_rad(center, cap) <= radius_rad + cap.circumradius_rad + SLACK_RAD for cap in map(_cap, cells)]


def _area_meets(geometry: Any, cells: list[int]) -> Bools:
    return geo.touches(geometry, [_footprint(cell) for cell in cells])


@lru_cache(maxsize=REMEMBERED_CELLS)
def _cap(cell: int) -> _Cap:
    lat, lng = h3.cell_to_latlng(cell)
    center = _vector(LatLng(lat=lat, lng=lng))
    corners = (_vector(LatLng(lat=lat, lng=lng)) for lat, lng in h3.cell_to_boundary(cell))
    reach = max(_apart_rad(center, corner) for corner in corners)
    return _Cap(*center, reach)


@lru_cache(maxsize=REMEMBERED_CELLS)
def _footprint(cell: int) -> list[tuple[float, float]]:
    """Corners, lng then lat in degrees, whose hull in lon/lat surely contains the cell."""
    lat, lng = h3.cell_to_latlng(cell)
    reach_rad = _cap(cell).circumradius_rad
    if math.radians(POLE_DEG - abs(lat)) < NEAR_POLE * reach_rad:
        edge = math.copysign(abs(lat) - math.degrees(reach_rad) * EDGE_MARGIN, lat)
        pole = math.copysign(POLE_DEG, lat)
        return [(x, y) for x in (-HALF_TURN_DEG, HALF_TURN_DEG) for y in (edge, pole)]
    corners = h3.cell_to_boundary(cell)
    if reach_rad * math.tan(math.radians(abs(lat))) > BENT_EDGE:
        corners = _bent(corners)
    steps = [((x - lng + HALF_TURN_DEG) % TURN_DEG - HALF_TURN_DEG, y - lat) for y, x in corners]
    return [(lng + EDGE_MARGIN * east, lat + EDGE_MARGIN * north) for east, north in steps]


def _bent(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same outline, lat and lng in degrees, with each great circle cut into PIECES."""
    points = np.array([_vector(LatLng(lat=lat, lng=lng)) for lat, lng in corners])
    part = np.linspace(0.0, 1.0, PIECES, endpoint=False)[:, None, None]
    x, y, z = ((1.0 - part) * points + part * np.roll(points, -1, axis=0)).reshape(-1, 3).T
    return list(zip(np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)), strict=True))


def _vector(at: LatLng) -> Vector:
    phi, lam = math.radians(at.lat), math.radians(at.lng)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


def _apart_rad(a: Vector | _Cap, b: Vector | _Cap) -> float:
    return 2.0 * math.asin(min(1.0, math.dist(a[:3], b[:3]) / 2.0))


def parents(cells: Sequence[int], res: int) -> list[Cell]:
    """Of each cell the one of a coarser or the same resolution that H3 puts it in."""
    return [Cell(h3.cell_to_parent(cell, res)) for cell in cells]


def cell_text(cell: int) -> str:
    """As H3 writes it.

    >>> cell_text(617700169958293503)
    '8928308280fffff'
    """
    return str(h3.int_to_str(cell))
