"""Covers in the plane of one face: the hexagons that meet a circle or an area, by their keys. Compiled.

Inside a face a cell is the hexagon of its key, with great circles for edges, so the answer is that of spherical
geometry: a hexagon meets a circle if it holds the centre or an edge comes near enough. The edges of an area are
straight in lon/lat and nearly so in the plane: hexagons are widened by how much they are bent. Shapes that come near
an edge of their face, or whose edges are bent too much, are declined; `cover` has another way for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geofences.compiled import compiled
from geofences.geodesy import HALF_TURN_DEG, POLE_DEG
from geofences.planar import (
    AXIAL_ZERO,
    FACE_SHIFT,
    FACES,
    Q_SHIFT,
    RES_0_SCALE,
    ROW_HEIGHT,
    Plane,
    best_face,
    pack,
)

if TYPE_CHECKING:
    from geofences.model import Floats, Int64s

DECLINED, TOO_MANY = -1, -2
FACE_MARGIN = 3.0
"""Cells between a shape and the edge of its face."""
WIDEST_BEND = 0.3
"""Spacings of hexagons: edges bent more than this are not taken for straight."""
BEND_BOUND = 1.2
"""An edge of length L bends by at most 1.09 L^2 tan(lat) / 8 to either side."""
STRETCH = 1.6
"""What lengths on the sphere grow by in the plane of a face, at most: 1 / cos^2 of 37.4 degrees."""
STEEPEST_LAT_DEG = 88.0
LARGEST_RAD = 0.2
MOST_TESTS = 2e7
"""Of hexagons against edges, some 0.1 s: for more the other way is faster."""
MASK = 2**Q_SHIFT - 1


@compiled
def _unit(lat: float, lng: float) -> tuple[float, float, float]:
    phi, lam = math.radians(lat), math.radians(lng)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


@compiled
def _scale(res: int) -> float:
    return RES_0_SCALE * math.sqrt(7.0) ** res


@compiled
def _project(axes: Floats, at: tuple[float, float, float]) -> tuple[float, float]:
    """Place in the plane of a face, in spacings."""
    x, y, z = at
    scale = 1.0 / (x * axes[0] + y * axes[1] + z * axes[2])
    return (x * axes[3] + y * axes[4] + z * axes[5]) * scale, (x * axes[6] + y * axes[7] + z * axes[8]) * scale


@compiled
def _lift(axes: Floats, res: int, east: float, north: float) -> tuple[float, float, float]:
    """The unit vector of a place in the plane of a face."""
    s = _scale(res) ** 2
    x = axes[0] + (east * axes[3] + north * axes[6]) / s
    y = axes[1] + (east * axes[4] + north * axes[7]) / s
    z = axes[2] + (east * axes[5] + north * axes[8]) / s
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


@compiled
def key_center(plane: Plane, key: int) -> tuple[float, float]:
    """Latitude and longitude, degrees, of the centre of a key's hexagon."""
    res, face = (key >> FACE_SHIFT) // FACES, (key >> FACE_SHIFT) % FACES
    q, r = ((key >> Q_SHIFT) & MASK) - AXIAL_ZERO, (key & MASK) - AXIAL_ZERO
    x, y, z = _lift(plane.axes[res, 9 * face : 9 * face + 9], res, q + 0.5 * r, r * ROW_HEIGHT)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


@compiled
def key_centers(plane: Plane, keys: Int64s, out: Floats) -> None:
    for i in range(len(keys)):
        out[i, 0], out[i, 1] = key_center(plane, keys[i])


@compiled
def _edge_apart(c: tuple[float, float, float], a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    """The angle, rad, from a unit vector to the great circle between two others less than a right angle apart."""
    nx, ny, nz = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    after_a = c[0] * (ny * a[2] - nz * a[1]) + c[1] * (nz * a[0] - nx * a[2]) + c[2] * (nx * a[1] - ny * a[0])
    before_b = c[0] * (b[1] * nz - b[2] * ny) + c[1] * (b[2] * nx - b[0] * nz) + c[2] * (b[0] * ny - b[1] * nx)
    if after_a >= 0.0 and before_b >= 0.0:
        sine = abs(c[0] * nx + c[1] * ny + c[2] * nz) / math.sqrt(nx * nx + ny * ny + nz * nz)
        return math.asin(min(1.0, sine))
    to_a = math.sqrt((c[0] - a[0]) ** 2 + (c[1] - a[1]) ** 2 + (c[2] - a[2]) ** 2)
    to_b = math.sqrt((c[0] - b[0]) ** 2 + (c[1] - b[1]) ** 2 + (c[2] - b[2]) ** 2)
    return 2.0 * math.asin(min(1.0, min(to_a, to_b) / 2.0))


@compiled
def _meets_cap(
    axes: Floats, res: int, east: float, north: float, c: tuple[float, float, float], radius_rad: float
) -> bool:
    corner = 1.0 / math.sqrt(3.0)
    last = _lift(axes, res, east + corner * math.cos(-math.pi / 6.0), north + corner * math.sin(-math.pi / 6.0))
    for k in range(6):
        turn = math.pi / 6.0 + k * math.pi / 3.0
        at = _lift(axes, res, east + corner * math.cos(turn), north + corner * math.sin(turn))
        if _edge_apart(c, last, at) <= radius_rad:
            return True
        last = at
    return False


@compiled
def circle_keys(plane: Plane, res: int, lat: float, lng: float, radius_rad: float, out: Int64s) -> int:
    """Write the keys of the hexagons that meet a cap of the unit sphere; how many, DECLINED, or TOO_MANY for `out`."""
    c = _unit(lat, lng)
    face, gap = best_face(plane.face_centers, c[0], c[1], c[2])
    if radius_rad > LARGEST_RAD or gap <= plane.cell_gap[res] * FACE_MARGIN + radius_rad:
        return DECLINED
    axes = plane.axes[res, 9 * face : 9 * face + 9]
    mid_east, mid_north = _project(axes, c)
    off = math.acos(min(1.0, c[0] * axes[0] + c[1] * axes[1] + c[2] * axes[2]))
    reach = _scale(res) * (math.tan(off + radius_rad) - math.tan(off)) * 1.01 + 0.6
    count = 0
    for r in range(math.ceil((mid_north - reach) / ROW_HEIGHT), math.floor((mid_north + reach) / ROW_HEIGHT) + 1):
        half = math.sqrt(max(reach * reach - (r * ROW_HEIGHT - mid_north) ** 2, 0.0))
        for q in range(math.ceil(mid_east - half - 0.5 * r), math.floor(mid_east + half - 0.5 * r) + 1):
            east, north = q + 0.5 * r, r * ROW_HEIGHT
            d_east, d_north = mid_east - east, mid_north - north
            holds_center = _in_slabs(d_east, d_north, 0.5)
            if holds_center or _meets_cap(axes, res, east, north, c, radius_rad):
                if count == len(out):
                    return TOO_MANY
                out[count] = pack(res, face, q, r)
                count += 1
    return count


@compiled
def _in_slabs(d_east: float, d_north: float, half: float) -> bool:
    """Whether a place this far from a hexagon's centre lies in it; `half` is half the width between its sides."""
    slant, rise = 0.5 * d_east, ROW_HEIGHT * d_north
    return abs(d_east) <= half and abs(slant + rise) <= half and abs(slant - rise) <= half


@compiled
def _slab(low: float, high: float, p: float, d: float, half: float) -> tuple[float, float]:
    """What of the part low..high of a segment p + t d lies between -half and half."""
    if d == 0.0:
        return (low, high) if abs(p) <= half else (1.0, 0.0)
    t1, t2 = (-half - p) / d, (half - p) / d
    return max(low, min(t1, t2)), min(high, max(t1, t2))


@compiled
def _meets_segment(east: float, north: float, a: Floats, b: Floats, half: float) -> bool:
    x, y, dx, dy = a[0] - east, a[1] - north, b[0] - a[0], b[1] - a[1]
    low, high = _slab(0.0, 1.0, x, dx, half)
    if low > high:
        return False
    low, high = _slab(low, high, 0.5 * x + ROW_HEIGHT * y, 0.5 * dx + ROW_HEIGHT * dy, half)
    if low > high:
        return False
    low, high = _slab(low, high, 0.5 * x - ROW_HEIGHT * y, 0.5 * dx - ROW_HEIGHT * dy, half)
    return low <= high


@compiled
def _meets_area(places: Floats, lines: Floats, rows: int, east: float, north: float, half: float) -> bool:
    """Whether a hexagon meets an edge, or has its centre inside."""
    odd = False
    row = 0
    while row < rows:
        points = int(lines[row, 0])
        for i in range(row + 1, row + points):
            a, b = places[i], places[i + 1]
            if _meets_segment(east, north, a, b, half):
                return True
            if (a[1] > north) != (b[1] > north) and east < (b[0] - a[0]) * (north - a[1]) / (b[1] - a[1]) + a[0]:
                odd = not odd
        row += 1 + points
    return odd


@compiled
def area_keys(plane: Plane, res: int, lines: Floats, rows: int, slack_rad: float, out: Int64s) -> int:
    """The same for an area, given as lines of vertices as `outline.read_wkb` writes them; widened by `slack_rad`."""
    first = _unit(lines[1, 0], lines[1, 1])
    face, _ = best_face(plane.face_centers, first[0], first[1], first[2])
    axes = plane.axes[res, 9 * face : 9 * face + 9]
    places = np.empty((rows, 2), dtype=np.float64)
    steepest_deg, longest2 = 0.0, 0.0
    west, south, east_end, north_end = np.inf, np.inf, -np.inf, -np.inf
    row = 0
    while row < rows:
        points = int(lines[row, 0])
        before = (0.0, 0.0, 0.0)
        for i in range(row + 1, row + 1 + points):
            at = _unit(lines[i, 0], lines[i, 1])
            own, gap = best_face(plane.face_centers, at[0], at[1], at[2])
            if own != face or gap <= plane.cell_gap[res] * FACE_MARGIN or abs(lines[i, 1]) >= HALF_TURN_DEG:
                return DECLINED
            places[i, 0], places[i, 1] = _project(axes, at)
            west, east_end = min(west, places[i, 0]), max(east_end, places[i, 0])
            south, north_end = min(south, places[i, 1]), max(north_end, places[i, 1])
            steepest_deg = max(steepest_deg, abs(lines[i, 0]))
            if i > row + 1:
                if abs(lines[i, 1] - lines[i - 1, 1]) > POLE_DEG:
                    return DECLINED
                step2 = (at[0] - before[0]) ** 2 + (at[1] - before[1]) ** 2 + (at[2] - before[2]) ** 2
                longest2 = max(longest2, step2)
            before = at
        row += 1 + points
    if steepest_deg > STEEPEST_LAT_DEG:
        return DECLINED
    bend_rad = BEND_BOUND * longest2 * math.tan(math.radians(steepest_deg)) / 8.0 + slack_rad
    bend = bend_rad * STRETCH * _scale(res)
    if bend > WIDEST_BEND or longest2 > LARGEST_RAD**2:
        return DECLINED
    count = 0
    reach = 0.6 + bend
    width, height = east_end - west + 2.0 * reach, (north_end - south + 2.0 * reach) / ROW_HEIGHT
    if width * height * rows > MOST_TESTS:
        return DECLINED
    for r in range(math.ceil((south - reach) / ROW_HEIGHT), math.floor((north_end + reach) / ROW_HEIGHT) + 1):
        for q in range(math.ceil(west - reach - 0.5 * r), math.floor(east_end + reach - 0.5 * r) + 1):
            if _meets_area(places, lines, rows, q + 0.5 * r, r * ROW_HEIGHT, 0.5 + bend):
                if count == len(out):
                    return TOO_MANY
                out[count] = pack(res, face, q, r)
                count += 1
    return count
