"""How far one position is from the border of one fence, and how sure that makes its verdict. Compiled; no Python.

Borders of areas are measured as `border.py` does it for columns, which is the reference in the tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from geofences.border import (
    HALF_EARTH_M,
    PLANE_REACH_M,
    PLANE_TURN,
    POLE_LAT_DEG,
    POLE_TURN,
    SEARCH_ROUNDS,
)
from geofences.compiled import borrowing
from geofences.geodesy import CHORD_TRUSTED_M, E2, EQUATOR_M
from geofences.insideness import area_holds
from geofences.model import UNKNOWN_ACCURACY_M

if TYPE_CHECKING:
    from geofences.fence_tables import FenceTables

SIGMAS_PER_ACCURACY = 1.515
"""The radius that holds 68 % of a round Gaussian error, in its standard deviations."""
NO_DOUBT_M = 1e-6
"""Less is no error at all, and its square would leave the range of numbers."""
SEARCH_SAMPLES = 32
SPHERE_M = 6_371_008.8


@borrowing
def confidence_of(distance_m: float, accuracy_m: float, area_m2: float) -> float:
    """Probability that a position lies in a fence whose border is `distance_m` away, as `index.confidence`."""
    sigma_m = (UNKNOWN_ACCURACY_M if math.isnan(accuracy_m) else accuracy_m) / SIGMAS_PER_ACCURACY
    if sigma_m < NO_DOUBT_M:
        return 1.0 if distance_m >= 0.0 else 0.0
    beyond_border = 0.5 * math.erfc(-distance_m / (sigma_m * math.sqrt(2.0)))
    within_area = -math.expm1(-area_m2 / (2.0 * math.pi * sigma_m * sigma_m))
    return min(beyond_border, within_area)


@borrowing
def signed_distance_m(tables: FenceTables, slot: int, lat: float, lng: float, reach_m: float = math.inf) -> float:
    """Distance of a position, degrees, to the border of a slot's shape, metres: >= 0 inside, negative outside.

    Within 0.1 % or 1 cm up to 100 km and within 1 % however far; a border farther than `reach_m` is said to be
    `reach_m` away, and a large area then looks only at its edges up to there. For areas the sign agrees with `match`;
    for circles nearer than 1.5 cm to the border it may not, as only `FenceIndex` asks the geodesic.
    """
    fence = tables.fences[slot]
    if fence.radius_m > 0.0:
        circle = tables.circles[slot]
        x_m, y_m, z_m = _ecef_m(lat, lng)
        dx_m, dy_m, dz_m = x_m - circle.x_m, y_m - circle.y_m, z_m - circle.z_m
        chord_m = math.sqrt(dx_m * dx_m + dy_m * dy_m + dz_m * dz_m)
        center_lat, center_lng = center_of(circle.x_m, circle.y_m, circle.z_m)
        away_m = _arc_m(center_lat, chord_m)
        if chord_m > CHORD_TRUSTED_M:
            away_m = _far_m(center_lat, center_lng, lat, lng)
        inside_m: float = min(max(fence.radius_m - away_m, -reach_m), reach_m)
        return inside_m
    row = tables.boxes[slot].area
    away_m = min(_border_distance_m(tables, row, lat, lng, reach_m), reach_m)
    return away_m if area_holds(tables, row, lat, lng) else -away_m


@borrowing
def _ecef_m(lat: float, lng: float) -> tuple[float, float, float]:
    phi, lam = math.radians(lat), math.radians(lng)
    sin_phi = math.sin(phi)
    prime_vertical_m = EQUATOR_M / math.sqrt(1.0 - E2 * sin_phi * sin_phi)
    across_m = prime_vertical_m * math.cos(phi)
    return across_m * math.cos(lam), across_m * math.sin(lam), prime_vertical_m * (1.0 - E2) * sin_phi


@borrowing
def center_of(x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
    """Latitude and longitude, degrees, of earth-centred coordinates at height 0; right to 1e-9 m."""
    across_m = math.hypot(x_m, y_m)
    return math.degrees(math.atan2(z_m, (1.0 - E2) * across_m)), math.degrees(math.atan2(y_m, x_m))


@borrowing
def _arc_m(lat: float, chord_m: float) -> float:
    """As `geodesy.arc_m`."""
    sin_phi = math.sin(math.radians(lat))
    radius_m = EQUATOR_M * math.sqrt(1.0 - E2) / (1.0 - E2 * sin_phi * sin_phi)
    return 2.0 * radius_m * math.asin(min(1.0, chord_m / (2.0 * radius_m)))


@borrowing
def _between_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    x1_m, y1_m, z1_m = _ecef_m(lat1, lng1)
    x2_m, y2_m, z2_m = _ecef_m(lat2, lng2)
    chord_m = math.sqrt((x2_m - x1_m) ** 2 + (y2_m - y1_m) ** 2 + (z2_m - z1_m) ** 2)
    if chord_m > CHORD_TRUSTED_M:
        return _far_m(lat1, lng1, lat2, lng2)
    return _arc_m((lat1 + lat2) / 2.0, chord_m)


@borrowing
def _far_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """On a sphere: within 0.6 % however far."""
    phi1, phi2, lam = math.radians(lat1), math.radians(lat2), math.radians(lng2 - lng1)
    half = math.sin((phi2 - phi1) / 2.0) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(lam / 2.0) ** 2
    return 2.0 * SPHERE_M * math.asin(min(1.0, math.sqrt(half)))


@borrowing
def _to_edge(
    lat1: float, lng1: float, lat2: float, lng2: float, lat: float, lng: float, north_m: float, east_m: float
) -> tuple[float, float]:
    """Square of the distance to an edge in the plane about the position, and how far along the edge it is nearest."""
    d_lat, d_lng = lat2 - lat1, lng2 - lng1
    y0, dy = (lat1 - lat) * north_m, d_lat * north_m
    # The middle is brought next to the position, not an end: an edge may be up to 360 degrees long.
    middle = lng1 + d_lng / 2.0 - lng
    x0, dx = (middle - 360.0 * math.floor((middle + 180.0) / 360.0) - d_lng / 2.0) * east_m, d_lng * east_m
    length2 = dx * dx + dy * dy
    along = min(max(-(x0 * dx + y0 * dy) / length2, 0.0), 1.0) if length2 > 0.0 else 0.0
    return (x0 + along * dx) ** 2 + (y0 + along * dy) ** 2, along


@borrowing
def _nearest_in_lines(
    lines: Any,
    first: int,
    end: int,
    frame: tuple[float, float, float],
    place: tuple[float, float, float, float],
) -> tuple[float, float, float]:
    """Square of the distance to the nearest edge of lines, m2, and the nearest point of it, degrees."""
    lat, lng, north_m, east_m = place
    origin_lat, origin_lng, step_deg = frame
    least, near_lat, near_lng = math.inf, lat, lng
    row = first
    while row < end:
        points = int(lines[row, 0])
        for i in range(row + 1, row + points):
            lat1, lng1 = origin_lat + lines[i, 0] * step_deg, origin_lng + lines[i, 1] * step_deg
            lat2, lng2 = origin_lat + lines[i + 1, 0] * step_deg, origin_lng + lines[i + 1, 1] * step_deg
            square, along = _to_edge(lat1, lng1, lat2, lng2, lat, lng, north_m, east_m)
            if square < least:
                least = square
                near_lat, near_lng = lat1 + along * (lat2 - lat1), lng1 + along * (lng2 - lng1)
        row += 1 + points
    return least, near_lat, near_lng


@borrowing
def _nearest_in_bands(
    lines: Any,
    bands: Any,
    area: Any,
    frame: tuple[float, float, float],
    place: tuple[float, float, float, float],
    reach_m: float,
) -> tuple[float, float, float]:
    """The same from the bands of latitude, the position's own first, until no band left can hold a nearer edge."""
    lat, lng, north_m, east_m = place
    origin_lat, origin_lng, step_deg = frame
    least, near_lat, near_lng = math.inf, lat, lng
    band_m = area.band_height / area.band_count * step_deg * north_m
    offset = ((lat - origin_lat) / step_deg - area.band_south) / area.band_height * area.band_count
    own = min(max(math.floor(offset), -1), area.band_count)
    beyond = max(-offset, offset - area.band_count, 0.0)
    for away in range(area.band_count + 2):
        between_m = max(away - 1.0, 0.0) * band_m if beyond == 0.0 else (beyond + max(away - 1.0, 0.0)) * band_m
        if between_m * between_m > least or between_m > reach_m:
            break
        for side in range(2 if away else 1):
            band = own + away if side == 0 else own - away
            if band < 0 or band >= area.band_count:
                continue
            begin = area.band_first + bands[area.band_first + band]
            for at in range(begin, area.band_first + bands[area.band_first + band + 1]):
                i = area.first + bands[at]
                lat1, lng1 = origin_lat + lines[i, 0] * step_deg, origin_lng + lines[i, 1] * step_deg
                lat2, lng2 = origin_lat + lines[i + 1, 0] * step_deg, origin_lng + lines[i + 1, 1] * step_deg
                square, along = _to_edge(lat1, lng1, lat2, lng2, lat, lng, north_m, east_m)
                if square < least:
                    least = square
                    near_lat, near_lng = lat1 + along * (lat2 - lat1), lng1 + along * (lng2 - lng1)
    return least, near_lat, near_lng


@borrowing
def _border_distance_m(tables: FenceTables, row: int, lat: float, lng: float, reach_m: float) -> float:
    area = tables.areas[row]
    sin_phi = math.sin(math.radians(lat))
    w2 = 1.0 - E2 * sin_phi * sin_phi
    prime_vertical_m = EQUATOR_M / math.sqrt(w2)
    north_m = math.radians(prime_vertical_m * (1.0 - E2) / w2)
    east_m = math.radians(prime_vertical_m * math.cos(math.radians(lat)))
    place = lat, lng, north_m, east_m
    frame = area.origin_lat, area.origin_lng, area.step_deg
    degrees = 0.0, 0.0, 1.0
    has_own_border = area.border_first >= 0
    if has_own_border:
        found = _nearest_in_lines(tables.wide_vertices, area.border_first, area.border_end, degrees, place)
    elif area.is_wide and area.band_count:
        found = _nearest_in_bands(tables.wide_vertices, tables.bands, area, frame, place, reach_m)
    elif area.is_wide:
        found = _nearest_in_lines(tables.wide_vertices, area.first, area.end, frame, place)
    elif area.band_count:
        found = _nearest_in_bands(tables.vertices, tables.bands, area, frame, place, reach_m)
    else:
        found = _nearest_in_lines(tables.vertices, area.first, area.end, frame, place)
    least, near_lat, near_lng = found
    if math.isinf(least):
        return min(reach_m, HALF_EARTH_M)
    distance_m = math.sqrt(least)
    turn = distance_m * abs(math.tan(math.radians(lat))) / EQUATOR_M
    if turn > POLE_TURN and abs(lat) > POLE_LAT_DEG:
        if has_own_border:
            return _searched_m(tables.wide_vertices, area.border_first, area.border_end, degrees, lat, lng)
        if area.is_wide:
            return _searched_m(tables.wide_vertices, area.first, area.end, frame, lat, lng)
        return _searched_m(tables.vertices, area.first, area.end, frame, lat, lng)
    if turn > PLANE_TURN or distance_m > PLANE_REACH_M:
        return _between_m(lat, lng, near_lat, near_lng)
    return distance_m


@borrowing
def _searched_m(lines: Any, first: int, end: int, frame: tuple[float, float, float], lat: float, lng: float) -> float:
    """Distance to the nearest edge near a pole, where straight edges are spirals: each is sampled, ever finer."""
    origin_lat, origin_lng, step_deg = frame
    nearest_m = math.inf
    row = first
    while row < end:
        points = int(lines[row, 0])
        for i in range(row + 1, row + points):
            lat1, lng1 = origin_lat + lines[i, 0] * step_deg, origin_lng + lines[i, 1] * step_deg
            lat2, lng2 = origin_lat + lines[i + 1, 0] * step_deg, origin_lng + lines[i + 1, 1] * step_deg
            low, high = 0.0, 1.0
            for _round in range(SEARCH_ROUNDS):
                best, best_m = 0, math.inf
                for sample in range(SEARCH_SAMPLES + 1):
                    along = low + (high - low) * sample / SEARCH_SAMPLES
                    away_m = _between_m(lat, lng, lat1 + along * (lat2 - lat1), lng1 + along * (lng2 - lng1))
                    if away_m < best_m:
                        best, best_m = sample, away_m
                nearest_m = min(nearest_m, best_m)
                width = (high - low) / SEARCH_SAMPLES
                low, high = low + max(best - 1, 0) * width, low + min(best + 1, SEARCH_SAMPLES) * width
        row += 1 + points
    return nearest_m
