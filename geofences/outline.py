"""Areas as compiled code reads them: their vertices in steps from an origin, their bounds, area and bands.

A polygon of ordinary size keeps its vertices as 32-bit steps: of 0.8 um for one of 1 km, and never more than 3 um.
Lines of vertices follow each other: a row (n, 1 for an outer ring), then n vertices, lat and lng; rings are closed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geofences.compiled import compiled
from geofences.geodesy import E2, HALF_TURN_DEG, POLAR_M, POLE_DEG

if TYPE_CHECKING:
    from geofences.fence_tables import Vertices
    from geofences.model import Floats, Int32s

LARGEST_STEP_DEG = 2.0**-35
"""2.9e-11 degrees, 3 um: an area of more than 0.12 degrees, 14 km, keeps its vertices in degrees instead."""
MOST_STEPS = 2**31 - 2
BANDED_EDGES = 96
"""An area with more edges than this gets bands."""
ENTRIES_PER_EDGE = 4
"""So often an edge may stand in bands, on average."""
LITTLE_ENDIAN, POLYGON, MULTIPOLYGON = 1, 3, 6
HEADER_BYTES = 9
"""Byte order, type, and how many polygons or rings follow."""
SHORT_RAD = 1e-3
"""Two Gauss-Legendre points are exact to 1e-12 of the area for an edge that spans less latitude."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)


@compiled
def _uint32_at(data: np.ndarray, at: int) -> int:
    low = np.int64(data[at]) | np.int64(data[at + 1]) << 8
    return int(low | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24)


@compiled
def read_wkb(wkb: np.ndarray, lines: Floats) -> int:
    """Lines of a little-endian 2D MULTIPOLYGON; returns the rows written, 0 if it is none.

    `wkb` has shape (n,), uint8; `lines` has room for n // 12 rows of (lat, lng).
    """
    if len(wkb) < HEADER_BYTES or wkb[0] != LITTLE_ENDIAN or _uint32_at(wkb, 1) != MULTIPOLYGON:
        return 0
    row, at = 0, HEADER_BYTES
    flat = lines.view(np.uint8).reshape(-1)
    for _polygon in range(_uint32_at(wkb, 5)):
        if at + HEADER_BYTES > len(wkb) or wkb[at] != LITTLE_ENDIAN or _uint32_at(wkb, at + 1) != POLYGON:
            return 0
        rings = _uint32_at(wkb, at + 5)
        at += HEADER_BYTES
        for ring in range(rings):
            points = _uint32_at(wkb, at) if at + 4 <= len(wkb) else 0
            at += 4
            if points == 0 or at + 16 * points > len(wkb) or row + 1 + points > len(lines):
                return 0
            lines[row, 0], lines[row, 1] = points, 1.0 if ring == 0 else 0.0
            row += 1
            for _point in range(points):
                for byte in range(8):
                    flat[16 * row + 8 + byte] = wkb[at + byte]
                    flat[16 * row + byte] = wkb[at + 8 + byte]
                row += 1
                at += 16
    return row


@compiled
def _authalic(sin_phi: float) -> float:
    """Snyder's q without its factor 1 - e^2; the series of artanh(e s) / e ends where e^14 does."""
    es2 = E2 * sin_phi * sin_phi
    series = 1.0 + es2 * (1 / 3 + es2 * (1 / 5 + es2 * (1 / 7 + es2 * (1 / 9 + es2 * (1 / 11 + es2 / 13)))))
    return sin_phi * (1.0 / (1.0 - es2) + series)


@compiled
def _ring_area_m2(lines: Floats, first: int, points: int) -> float:
    """As `geodesy.ring_areas_m2`; positive if the ring runs counterclockwise."""
    start = _authalic(math.sin(math.radians(lines[first, 0])))
    total = 0.0
    for i in range(first, first + points - 1):
        phi1, phi2 = math.radians(lines[i, 0]), math.radians(lines[i + 1, 0])
        middle, half = (phi1 + phi2) / 2.0, (phi2 - phi1) / 2.0
        strip = 0.0
        if abs(half) < SHORT_RAD:
            offset = half / math.sqrt(3.0)
            sines = math.sin(middle - offset), math.sin(middle + offset)
            strip = _authalic(sines[0]) - start + (_authalic(sines[1]) - start)
        else:
            for k in range(len(NODES)):
                strip += WEIGHTS[k] * (_authalic(math.sin(middle + half * NODES[k])) - start)
        total += math.radians(lines[i + 1, 1] - lines[i, 1]) * strip / 2.0
    return -(POLAR_M**2) / 2.0 * total


@compiled
def measure(lines: Floats, rows: int, out: Floats) -> None:
    """Fill `out` with south, west, north, east, area_m2, and 1 if a vertex lies at 180 degrees or at a pole."""
    south, west, north, east = np.inf, np.inf, -np.inf, -np.inf
    area_m2, at_seam = 0.0, 0.0
    row = 0
    while row < rows:
        points = int(lines[row, 0])
        ring_m2 = abs(_ring_area_m2(lines, row + 1, points))
        area_m2 += ring_m2 if lines[row, 1] == 1.0 else -ring_m2
        for i in range(row + 1, row + 1 + points):
            lat, lng = lines[i, 0], lines[i, 1]
            south, north = min(south, lat), max(north, lat)
            west, east = min(west, lng), max(east, lng)
            if abs(lng) == HALF_TURN_DEG or abs(lat) == POLE_DEG:
                at_seam = 1.0
        row += 1 + points
    out[0], out[1], out[2], out[3], out[4], out[5] = south, west, north, east, area_m2, at_seam


@compiled
def to_steps(
    lines: Floats, rows: int, origin_lat: float, origin_lng: float, step_deg: float, out: Vertices, first: int
) -> None:
    row = 0
    while row < rows:
        points = int(lines[row, 0])
        out[first + row, 0], out[first + row, 1] = points, int(lines[row, 1])
        for i in range(row + 1, row + 1 + points):
            out[first + i, 0] = int(np.rint((lines[i, 0] - origin_lat) / step_deg))
            out[first + i, 1] = int(np.rint((lines[i, 1] - origin_lng) / step_deg))
        row += 1 + points


def step_of(half_extent_deg: float) -> float:
    """The finest power of two in whose steps that many degrees can be counted with 31 bits."""
    return float(2.0 ** math.ceil(math.log2(max(half_extent_deg, 1e-9) / MOST_STEPS)))


@compiled
def band_edges(lines: Floats, rows: int, margin_deg: float, out: Int32s) -> int:
    """Write bands of equal height from the southernmost vertex to the northernmost; returns their number.

    `out` receives where each band begins, one more than there are bands, counted from its start, then the rows of the
    edges' first vertices. The number of bands is such that ENTRIES_PER_EDGE rows an edge are enough; `out` has room for
    (ENTRIES_PER_EDGE + 2) * rows.
    """
    south, north, spans, edges = np.inf, -np.inf, 0.0, 0
    row = 0
    while row < rows:
        points = int(lines[row, 0])
        for i in range(row + 1, row + 1 + points):
            south, north = min(south, lines[i, 0]), max(north, lines[i, 0])
            if i > row + 1:
                spans += abs(lines[i, 0] - lines[i - 1, 0]) + 2.0 * margin_deg
                edges += 1
        row += 1 + points
    height = north - south
    bands = max(1, min(edges, int((ENTRIES_PER_EDGE - 2) * edges * height / max(spans, 1e-300))))
    scale = bands / height if height > 0.0 else 0.0
    for band in range(bands + 1):
        out[band] = 0
    for filling in range(2):
        row = 0
        while row < rows:
            points = int(lines[row, 0])
            for i in range(row + 1, row + points):
                low = min(lines[i, 0], lines[i + 1, 0]) - margin_deg - south
                high = max(lines[i, 0], lines[i + 1, 0]) + margin_deg - south
                for band in range(max(0, int(low * scale)), min(bands - 1, int(high * scale)) + 1):
                    if filling:
                        out[out[band]] = i
                        out[band] += 1
                    else:
                        out[band] += 1
            row += 1 + points
        if not filling:
            begin = bands + 1
            for band in range(bands):
                count = out[band]
                out[band] = begin
                begin += count
            out[bands] = begin
    for band in range(bands - 1, 0, -1):
        out[band] = out[band - 1]
    out[0] = bands + 1
    return bands
