"""Cells in the plane: H3's hexagons by icosahedron face and axial coordinates, without H3's digits. Compiled.

H3 lays a grid of hexagons on each face of an icosahedron, seen from the earth's centre (gnomonic), and a position
belongs to the hexagon of its face whose centre is nearest. The key of a position names that hexagon: (resolution, face,
q, r) in one integer. Inside a face a cell is one hexagon. Across an edge of a face it is one on each side, and there a
cell has every key that a position in it can get (`cell_keys` says why). Latitudes are taken as those of a sphere, as H3
takes them. Face centres, axes and scale follow from the centres of H3's twelve pentagons; no table of H3 is copied.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain, combinations
from typing import TYPE_CHECKING, NamedTuple

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from geofences.compiled import compiled, compiled_loosely, keep_results
from geofences.geodesy import MIN_CURVATURE_M

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geofences.model import Cell, Floats, Int64s

Faces = NDArray[np.uint8]

RESOLUTION_SHIFT = 52
"""Where an H3 index keeps its resolution, in 4 bits."""
FACES = 20
FINEST_RES = 15
CLASS_III_RAD = math.asin(math.sqrt(3.0 / 28.0))
"""By how much the grid of odd resolutions is turned against that of even ones."""
RES_0_SCALE = 2.0 / (3.0 - math.sqrt(5.0))
"""Hexagon spacings of resolution 0 to the distance from the earth's centre to the plane of a face."""
ROW_HEIGHT = math.sqrt(3.0) / 2.0
"""Of rows of hexagons, in spacings."""
REACH = 0.58
"""In spacings: a hexagon's corner is 0.5774 from its centre; the rest is for rounding."""
EDGE_GAP = 0.72
"""How much faster than distance the gap between the cosines to the two nearest faces can change: |F - G| is 0.7136."""
WIDEST_CELL = 1.6
"""No cell's circumradius is more than so many average edges (1.3 seen)."""
ON_EDGE = 1e-12
"""Positions so near to an edge of a face may be put on either side by rounding."""

TABLE_STEPS_PER_DEG = 2
TABLE_COLUMNS = 360 * TABLE_STEPS_PER_DEG + 1
TABLE_ROWS = 180 * TABLE_STEPS_PER_DEG + 1
SEVERAL = 255
"""In the table: more than one face is possible."""
FACE_SHIFT, Q_SHIFT, AXIAL_ZERO = 54, 27, 2**26
AXIAL_ZERO_KEY = (AXIAL_ZERO << Q_SHIFT) + AXIAL_ZERO

HALF_PI_HIGH, HALF_PI_LOW = 1.5707963267341256, 6.077100506506192e-11
"""Pi / 2 as fdlibm splits it: the product of the first with a small integer is exact."""

S1, S2, S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
S4, S5, S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
C1, C2, C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
C4, C5, C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11
"""fdlibm's polynomials for sine and cosine up to a quarter of pi."""


class Plane(NamedTuple):
    """What turns positions into keys."""

    face_centers: Floats
    """Shape (20, 3): unit vectors."""
    axes: Floats
    """Shape (16, 180): by resolution, nine numbers a face: the centre, and both axes in spacings of hexagons."""
    neighbours: Int64s
    """Shape (20, 3): the faces next to each."""
    face_table: Faces
    """Shape (361 * 721,): the face of each half degree of latitude and longitude, or SEVERAL."""
    cell_gap: Floats
    """Shape (16,): by resolution, the gap of cosines from which on a cell lies in one face."""


@lru_cache(maxsize=1)
def plane() -> Plane:
    """Worked out once, in about 10 ms."""
    keep_results()
    corners = np.array([_unit(*h3.cell_to_latlng(pentagon)) for pentagon in sorted(h3.get_pentagons(0))])
    next_to = corners @ corners.T > math.cos(math.radians(90.0)) + 0.4
    faces = [t for t in combinations(range(len(corners)), 3) if all(next_to[a, b] for a, b in combinations(t, 2))]
    assert len(faces) == FACES
    centers = np.array([corners[list(face)].sum(axis=0) for face in faces])
    centers /= np.linalg.norm(centers, axis=1)[:, None]
    to_corner = corners[[face[0] for face in faces]]
    to_corner = to_corner - np.sum(to_corner * centers, axis=1)[:, None] * centers
    east = to_corner / np.linalg.norm(to_corner, axis=1)[:, None]
    north = np.cross(centers, east)
    axes = np.empty((FINEST_RES + 1, FACES, 9), dtype=np.float64)
    for res in range(FINEST_RES + 1):
        turned, scale = (CLASS_III_RAD if res % 2 else 0.0), RES_0_SCALE * math.sqrt(7.0) ** res
        axes[res, :, 0:3] = centers
        axes[res, :, 3:6] = scale * (math.cos(turned) * east + math.sin(turned) * north)
        axes[res, :, 6:9] = scale * (math.cos(turned) * north - math.sin(turned) * east)
    table = np.empty(TABLE_ROWS * TABLE_COLUMNS, dtype=np.uint8)
    _fill_face_table(centers, table)
    edges_rad = (h3.average_hexagon_edge_length(res, unit="m") / MIN_CURVATURE_M for res in range(FINEST_RES + 1))
    return Plane(
        face_centers=centers,
        axes=axes.reshape(FINEST_RES + 1, FACES * 9),
        neighbours=np.argsort(-(centers @ centers.T), axis=1, kind="stable")[:, 1:4].copy(),
        face_table=table,
        cell_gap=np.array([EDGE_GAP * WIDEST_CELL * edge_rad for edge_rad in edges_rad]),
    )


def keys_of_cells(cells: Sequence[Cell]) -> Int64s:
    """Every key that a position in one of the cells can get, each once."""
    centers = _centers(cells)
    keys = np.array(cells, dtype=np.int64)
    if not inner_keys(plane(), keys, centers):
        return keys
    several = [edge_keys(cell) for cell, key in zip(cells, keys.tolist(), strict=True) if key == 0]
    return np.unique(np.concatenate([keys[keys != 0], *several]))


def keys_of_cell_lists(lists: Sequence[Sequence[Cell]]) -> tuple[Int64s, Int64s]:
    """The same for many lists at once: keys, and which list each belongs to; each pair once."""
    counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    cells = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(counts.sum()))
    of = np.repeat(np.arange(len(lists), dtype=np.int64), counts)
    distinct, which = np.unique(cells, return_inverse=True)
    centers = _centers(distinct.tolist())
    key_of = distinct.copy()
    inner_keys(plane(), key_of, centers)
    keys = key_of[which]
    at_edges = np.flatnonzero(key_of == 0)
    if not len(at_edges):
        return keys, of
    several = {i: edge_keys(int(distinct[i])) for i in at_edges.tolist()}
    rows = np.flatnonzero(keys == 0)
    more = [several[i] for i in which[rows].tolist()]
    more_of = np.repeat(of[rows], [len(m) for m in more])
    keys, of = np.concatenate([keys[keys != 0], *more]), np.concatenate([of[keys != 0], more_of])
    pairs = np.unique(np.stack([of, keys], axis=1), axis=0)
    return pairs[:, 1].copy(), pairs[:, 0].copy()


def edge_keys(cell: int) -> Int64s:
    """The same for one cell that may lie across an edge of a face."""
    outline = np.array([_unit(lat, lng) for lat, lng in h3.cell_to_boundary(cell)])
    return _cell_keys(plane(), resolution_of(cell), outline)


def keys_of_positions(lat: Floats, lng: Floats, res: int) -> Int64s:
    """The key of each position, shape (n,)."""
    x, y, z = (np.empty(len(lat), dtype=np.float64) for _ in range(3))
    face, keys = np.empty(len(lat), dtype=np.uint8), np.empty(len(lat), dtype=np.int64)
    to_units(lat, lng, x, y, z)
    to_faces(plane(), lat, lng, x, y, z, face)
    to_keys(plane(), res, x, y, z, face, keys, np.empty(len(lat)), np.empty(len(lat)))
    return keys


def resolution_of(cell: int) -> int:
    return (cell >> RESOLUTION_SHIFT) & 0xF


def _centers(cells: Sequence[int]) -> Floats:
    flat = np.fromiter(chain.from_iterable(map(h3.cell_to_latlng, cells)), dtype=np.float64, count=2 * len(cells))
    return flat.reshape(-1, 2)


def resolution_of_key(key: int) -> int:
    return (key >> FACE_SHIFT) // FACES


def _unit(lat: float, lng: float) -> tuple[float, float, float]:
    phi, lam = math.radians(lat), math.radians(lng)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


@compiled
def best_face(centers: Floats, x: float, y: float, z: float) -> tuple[int, float]:
    """The nearest face, and by how much its cosine is larger than that of the second."""
    best, second, face = -2.0, -2.0, 0
    for f in range(FACES):
        cosine = x * centers[f, 0] + y * centers[f, 1] + z * centers[f, 2]
        if cosine > best:
            second, best, face = best, cosine, f
        elif cosine > second:
            second = cosine
    return face, best - second


@compiled
def _fill_face_table(centers: Floats, table: Faces) -> None:
    half_deg = 0.5 / TABLE_STEPS_PER_DEG
    reach = 0.7136 * math.radians(half_deg) * math.sqrt(2.0) * 1.01
    for row in range(TABLE_ROWS):
        phi = math.radians(min((row + 0.5) / TABLE_STEPS_PER_DEG - 90.0, 90.0))
        for column in range(TABLE_COLUMNS):
            lam = math.radians((column + 0.5) / TABLE_STEPS_PER_DEG - 180.0)
            x, y, z = math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)
            face, gap = best_face(centers, x, y, z)
            table[row * TABLE_COLUMNS + column] = face if gap > reach else SEVERAL


@compiled_loosely
def _sin_cos(angle_deg: float) -> tuple[float, float]:
    """Fdlibm's kernels, chosen and signed by the quarter turn without a branch."""
    angle = angle_deg * (math.pi / 180.0)
    turn = np.rint(angle * (2.0 / math.pi))
    a = (angle - turn * HALF_PI_HIGH) - turn * HALF_PI_LOW
    w = a * a
    odd = w * (S4 + w * (S5 + w * S6))
    odd = S1 + w * (S2 + w * (S3 + odd))
    even = w * (C4 + w * (C5 + w * C6))
    even = C1 + w * (C2 + w * (C3 + even))
    sine, cosine = a + a * w * odd, 1.0 - 0.5 * w + w * w * even
    quarter = np.int64(turn) & 3
    is_odd = (quarter & 1) != 0
    sin, cos = (cosine if is_odd else sine), (sine if is_odd else cosine)
    return (-sin if quarter >= 2 else sin), (-cos if (quarter == 1) | (quarter == 2) else cos)  # noqa: PLR2004 - quarters


@compiled_loosely
def to_units(lat: Floats, lng: Floats, x: Floats, y: Floats, z: Floats) -> None:
    """Unit vectors of positions in degrees, right to 3e-16; becomes vector code."""
    for i in range(len(lat)):
        sin_lng, cos_lng = _sin_cos(lng[i])
        sin_lat, cos_lat = _sin_cos(lat[i])
        x[i], y[i], z[i] = cos_lat * cos_lng, cos_lat * sin_lng, sin_lat


@compiled
def to_faces(plane: Plane, lat: Floats, lng: Floats, x: Floats, y: Floats, z: Floats, face: Faces) -> None:
    """The face of each position: by table, and by its nearest centre where the table names several."""
    for i in range(len(lat)):
        row = np.int64((lat[i] + 90.0) * TABLE_STEPS_PER_DEG)
        column = np.int64((lng[i] + 180.0) * TABLE_STEPS_PER_DEG)
        face[i] = plane.face_table[row * TABLE_COLUMNS + column]
    for i in range(len(lat)):
        if face[i] == SEVERAL:
            face[i] = best_face(plane.face_centers, x[i], y[i], z[i])[0]


@compiled_loosely
def to_keys(
    plane: Plane, res: int, x: Floats, y: Floats, z: Floats, face: Faces, keys: Int64s, east: Floats, north: Floats
) -> None:
    """The key of each unit vector on its face; `east` and `north` receive its place in the plane, in spacings.

    The nearest centre is found by rounding three coordinates that sum to 0 and mending the one that was rounded most.
    Two loops: the first waits for axes that differ from row to row, the second becomes vector code.
    """
    axes = plane.axes[res]
    for i in range(len(x)):
        k = np.int64(face[i]) * 9
        scale = 1.0 / (x[i] * axes[k] + y[i] * axes[k + 1] + z[i] * axes[k + 2])
        east[i] = (x[i] * axes[k + 3] + y[i] * axes[k + 4] + z[i] * axes[k + 5]) * scale
        north[i] = (x[i] * axes[k + 6] + y[i] * axes[k + 7] + z[i] * axes[k + 8]) * scale
    for i in range(len(x)):
        r = north[i] * (1.0 / ROW_HEIGHT)
        q = east[i] - 0.5 * r
        s = -q - r
        near_q, near_r, near_s = np.rint(q), np.rint(r), np.rint(s)
        off_q, off_r, off_s = abs(near_q - q), abs(near_r - r), abs(near_s - s)
        mend_q = (off_q > off_r) & (off_q > off_s)
        mend_r = (off_r > off_s) & (not mend_q)
        whole_q = np.int32(-near_r - near_s if mend_q else near_q)
        whole_r = np.int32(-near_q - near_s if mend_r else near_r)
        grid = (res * FACES + np.int64(face[i])) << FACE_SHIFT
        keys[i] = grid + (np.int64(whole_q) << Q_SHIFT) + np.int64(whole_r) + AXIAL_ZERO_KEY


@compiled
def pack(res: int, face: int, q: int, r: int) -> int:
    return ((res * FACES + face) << FACE_SHIFT) + (q << Q_SHIFT) + r + AXIAL_ZERO_KEY


@compiled
def inner_keys(plane: Plane, cells: Int64s, centers: Floats) -> int:
    """Replace each cell that surely lies in one face by its one key, the others by 0; returns how many these are.

    `centers` has shape (n, 2), lat and lng. From the cell's centre to any place in it the gap between the cosines to
    the two nearest faces shrinks by less than EDGE_GAP times the way; the gap is larger, so all of it is on one face.
    """
    at_edges = 0
    for i in range(len(cells)):
        res = (cells[i] >> RESOLUTION_SHIFT) & 0xF
        phi, lam = math.radians(centers[i, 0]), math.radians(centers[i, 1])
        x, y, z = math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)
        face, gap = best_face(plane.face_centers, x, y, z)
        if gap <= plane.cell_gap[res]:
            cells[i] = 0
            at_edges += 1
            continue
        axes = plane.axes[res, 9 * face : 9 * face + 9]
        scale = 1.0 / (x * axes[0] + y * axes[1] + z * axes[2])
        r = (x * axes[6] + y * axes[7] + z * axes[8]) * scale / ROW_HEIGHT
        q = (x * axes[3] + y * axes[4] + z * axes[5]) * scale - 0.5 * r
        cells[i] = pack(res, face, int(np.rint(q)), int(np.rint(r)))
    return at_edges


@compiled
def _dot(a: Floats, b: Floats) -> float:
    return float(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


@compiled
def _cut(points: Floats, count: int, normal: Floats, out: Floats) -> int:
    """What a plane through the earth's centre leaves of a polygon of `count` corners; returns how many it has then."""
    kept = 0
    for i in range(count):
        a, b = points[i], points[(i + 1) % count]
        side_a = _dot(a, normal) + ON_EDGE
        side_b = _dot(b, normal) + ON_EDGE
        if side_a >= 0.0:
            out[kept] = a
            kept += 1
        if (side_a >= 0.0) != (side_b >= 0.0):
            out[kept] = a + (b - a) * (side_a / (side_a - side_b))
            kept += 1
    return kept


@compiled
def _cell_keys(plane: Plane, res: int, outline: Floats) -> Int64s:
    """Every key that a position within an outline, unit vectors of shape (n, 3), can get.

    A position in the cell with face f lies in the part of the cell that is left when it is cut along the three edges of
    f. In the plane of f great circles are straight, so no place of that part is farther from the mean of its corners
    than the farthest corner, rho. The position's hexagon has its centre within REACH of it, so within rho + REACH of
    the mean; the key of every such hexagon is given.
    """
    keys = np.empty(64, dtype=np.int64)
    count = 0
    part, spare = np.empty((40, 3)), np.empty((40, 3))
    east, north = np.empty(40), np.empty(40)
    for face in range(FACES):
        corners = len(outline)
        part[:corners] = outline
        for side in range(3):
            normal = plane.face_centers[face] - plane.face_centers[plane.neighbours[face, side]]
            corners = _cut(part, corners, normal, spare)
            part, spare = spare, part
        if corners == 0 or _dot(part[0], plane.face_centers[face]) <= 0.0:
            continue
        axes = plane.axes[res, 9 * face : 9 * face + 9]
        for i in range(corners):
            scale = 1.0 / _dot(part[i], axes[0:3])
            east[i], north[i] = _dot(part[i], axes[3:6]) * scale, _dot(part[i], axes[6:9]) * scale
        mid_east, mid_north = east[:corners].mean(), north[:corners].mean()
        reach = REACH
        for i in range(corners):
            reach = max(reach, REACH + math.hypot(east[i] - mid_east, north[i] - mid_north))
        for r in range(math.ceil((mid_north - reach) / ROW_HEIGHT), math.floor((mid_north + reach) / ROW_HEIGHT) + 1):
            half = math.sqrt(max(reach * reach - (r * ROW_HEIGHT - mid_north) ** 2, 0.0))
            for q in range(math.ceil(mid_east - half - 0.5 * r), math.floor(mid_east + half - 0.5 * r) + 1):
                if count == len(keys):
                    longer = np.empty(2 * count, dtype=np.int64)
                    longer[:count] = keys
                    keys = longer
                keys[count] = pack(res, face, q, r)
                count += 1
    return keys[:count].copy()
