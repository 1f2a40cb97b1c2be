"""Whether one position lies in one area: compiled, even-odd over straight edges in lon/lat, the border inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geofences.compiled import compiled

if TYPE_CHECKING:
    from geofences.fence_tables import FenceTables

HALF_TURN_DEG = 180.0
HAIR = 1e-9
"""Rounding in the share of an area's height."""


@compiled
def _in_rings(lines: Any, first: int, end: int, y: float, x: float, tolerance: float) -> bool:
    """Whether (y, x) lies in the rings or on one of their edges; all in the same unit.

    The count of a ring is not trusted: a reader of replaced tables may find other rows there, and must not leave them.
    Without branches in the inner loop, so that it becomes vector code: `turn` is twice the area of the triangle of edge
    and position, of the sign of the side the position lies on.
    """
    odd, touching = 0, 0
    row = first
    while row < end:
        points = min(max(int(lines[row, 0]), 0), end - row - 1)
        for i in range(row + 1, row + points):
            y1, x1, y2, x2 = float(lines[i, 0]), float(lines[i, 1]), float(lines[i + 1, 0]), float(lines[i + 1, 1])
            dy, dx = y2 - y1, x2 - x1
            turn = dx * (y - y1) - (x - x1) * dy
            odd ^= ((y1 > y) != (y2 > y)) & ((turn > 0.0) == (dy > 0.0))
            touching |= (
                (abs(turn) <= tolerance * (abs(dx) + abs(dy)))
                & (y >= min(y1, y2) - tolerance)
                & (y <= max(y1, y2) + tolerance)
                & (x >= min(x1, x2) - tolerance)
                & (x <= max(x1, x2) + tolerance)
            )
        row += 1 + points
    return (odd | touching) != 0


@compiled
def _in_band(
    lines: Any, bands: Any, band_first: int, band: int, first: int, y: float, x: float, tolerance: float
) -> bool:
    """The same from the edges of one band of latitude, which are all that a ray along it can meet."""
    odd, touching = 0, 0
    if band_first + band + 1 >= len(bands):
        return False
    begin, end = band_first + bands[band_first + band], band_first + bands[band_first + band + 1]
    for place in range(max(begin, 0), min(end, len(bands))):
        i = min(max(first + bands[place], 0), len(lines) - 2)
        y1, x1, y2, x2 = float(lines[i, 0]), float(lines[i, 1]), float(lines[i + 1, 0]), float(lines[i + 1, 1])
        dy, dx = y2 - y1, x2 - x1
        turn = dx * (y - y1) - (x - x1) * dy
        odd ^= ((y1 > y) != (y2 > y)) & ((turn > 0.0) == (dy > 0.0))
        touching |= (
            (abs(turn) <= tolerance * (abs(dx) + abs(dy)))
            & (y >= min(y1, y2) - tolerance)
            & (y <= max(y1, y2) + tolerance)
            & (x >= min(x1, x2) - tolerance)
            & (x <= max(x1, x2) + tolerance)
        )
    return (odd | touching) != 0


@compiled
def _holds(tables: FenceTables, row: int, lat: float, lng: float) -> bool:
    area = tables.areas[row]
    if area.first < 0 or area.end > (len(tables.wide_vertices) if area.is_wide else len(tables.vertices)):
        return False
    y = (lat - area.origin_lat) / area.step_deg
    x = (lng - area.origin_lng) / area.step_deg
    if area.band_count > 0:
        offset = (y - area.band_south) / area.band_height
        if offset < -HAIR or offset > 1.0 + HAIR:
            return False
        band = min(max(int(offset * area.band_count), 0), area.band_count - 1)
        if area.is_wide:
            return _in_band(tables.wide_vertices, tables.bands, area.band_first, band, area.first, y, x, area.tolerance)
        return _in_band(tables.vertices, tables.bands, area.band_first, band, area.first, y, x, area.tolerance)
    if area.is_wide:
        return _in_rings(tables.wide_vertices, area.first, area.end, y, x, area.tolerance)
    return _in_rings(tables.vertices, area.first, area.end, y, x, area.tolerance)


@compiled
def area_holds(tables: FenceTables, row: int, lat: float, lng: float) -> bool:
    """Whether a position, degrees, lies in the area of a row of `areas` or on its border.

    On the border is within its tolerance of an edge: that of the steps its vertices are kept in.
    """
    if _holds(tables, row, lat, lng):
        return True
    # The same place has two names there, and an area may end on either side.
    return abs(lng) == HALF_TURN_DEG and _holds(tables, row, lat, -lng)
