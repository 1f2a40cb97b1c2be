"""Whether one position lies in one area: compiled, even-odd over straight edges in lon/lat, the border inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.compiled import borrowing, inlined

if TYPE_CHECKING:
    from geofences.fence_tables import FenceTables

HALF_TURN_DEG = 180.0
HAIR = 1e-9
"""Rounding in the share of an area's height."""


BESIDE, CROSSED, ON_IT = 0, 1, 2


@borrowing
def _edge_says(y1: float, x1: float, y2: float, x2: float, y: float, x: float, tolerance: float) -> int:
    """Whether a ray eastward from (y, x) crosses an edge, or the edge itself is met.

    `turn` is twice the area of the triangle of edge and position, of the sign of the side the position lies on.
    """
    dy, dx = y2 - y1, x2 - x1
    turn = dx * (y - y1) - (x - x1) * dy
    if (
        abs(turn) <= tolerance * (abs(dx) + abs(dy))
        and abs(y - 0.5 * (y1 + y2)) <= 0.5 * abs(dy) + tolerance
        and abs(x - 0.5 * (x1 + x2)) <= 0.5 * abs(dx) + tolerance
    ):
        return ON_IT
    return CROSSED if (y1 > y) != (y2 > y) and (turn > 0.0) == (dy > 0.0) else BESIDE


@borrowing
def _in_rings(lines: Any, first: int, end: int, y: float, x: float, tolerance: float, low: Any, high: Any) -> bool:
    """Whether (y, x) lies in the rings or on one of their edges; all in the same unit.

    Most edges lie wholly north or south of the position and are passed with two comparisons a vertex: vertices less
    than `low` are south of it by more than the tolerance, those greater than `high` are north. The count of a ring is
    not trusted: a reader of replaced tables may find other rows there, and must not leave them.
    """
    odd = False
    row = first
    while row < end:
        ring = lines[row + 1 : row + 1 + min(max(int(lines[row, 0]), 0), end - row - 1)]
        before = np.int64(0)
        for i in range(len(ring)):
            latitude = ring[i, 0]
            side = np.int64(latitude > high) - np.int64(latitude < low)
            if (side != before or side == 0) and i > 0:
                y1, x1, y2, x2 = float(ring[i - 1, 0]), float(ring[i - 1, 1]), float(latitude), float(ring[i, 1])
                says = _edge_says(y1, x1, y2, x2, y, x, tolerance)
                if says == ON_IT:
                    return True
                odd ^= says == CROSSED
            before = side
        row += 1 + len(ring)
    return odd


@borrowing
def _in_band(
    lines: Any, bands: Any, band_first: int, band: int, first: int, y: float, x: float, tolerance: float
) -> bool:
    """The same from the edges of one band of latitude, which are all that a ray along it can meet."""
    odd = False
    if band_first + band + 1 >= len(bands):
        return False
    begin, end = band_first + bands[band_first + band], band_first + bands[band_first + band + 1]
    for place in range(max(begin, 0), min(end, len(bands))):
        i = min(max(first + bands[place], 0), len(lines) - 2)
        y1, x1, y2, x2 = float(lines[i, 0]), float(lines[i, 1]), float(lines[i + 1, 0]), float(lines[i + 1, 1])
        says = _edge_says(y1, x1, y2, x2, y, x, tolerance)
        if says == ON_IT:
            return True
        odd ^= says == CROSSED
    return odd


@borrowing
def _holds(areas: Any, vertices: Any, wide_vertices: Any, bands: Any, row: int, lat: float, lng: float) -> bool:
    area = areas[row]
    if area.first < 0 or area.end > (len(wide_vertices) if area.is_wide else len(vertices)):
        return False
    y = (lat - area.origin_lat) / area.step_deg
    x = (lng - area.origin_lng) / area.step_deg
    if area.band_count > 0:
        offset = (y - area.band_south) / area.band_height
        if offset < -HAIR or offset > 1.0 + HAIR:
            return False
        band = min(max(int(offset * area.band_count), 0), area.band_count - 1)
        if area.is_wide:
            return _in_band(wide_vertices, bands, area.band_first, band, area.first, y, x, area.tolerance)
        return _in_band(vertices, bands, area.band_first, band, area.first, y, x, area.tolerance)
    low, high = y - area.tolerance, y + area.tolerance
    if area.is_wide:
        return _in_rings(wide_vertices, area.first, area.end, y, x, area.tolerance, low, high)
    whole_low, whole_high = np.int64(np.ceil(low)), np.int64(np.floor(high))
    return _in_rings(vertices, area.first, area.end, y, x, area.tolerance, whole_low, whole_high)


@inlined
def area_holds(tables: FenceTables, row: int, lat: float, lng: float) -> bool:
    """Whether a position, degrees, lies in the area of a row of `areas` or on its border.

    On the border is within its tolerance of an edge: that of the steps its vertices are kept in.
    """
    areas, vertices, wide_vertices, bands = tables.areas, tables.vertices, tables.wide_vertices, tables.bands
    # At 180 degrees the same place has two names, and an area may end on either side.
    return _holds(areas, vertices, wide_vertices, bands, row, lat, lng) or (
        abs(lng) == HALF_TURN_DEG and _holds(areas, vertices, wide_vertices, bands, row, lat, -lng)
    )
