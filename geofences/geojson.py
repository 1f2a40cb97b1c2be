"""GeoJSON geometries as numbers: refuses what is malformed, says where, knows nothing of what shapes mean.

The only other module than `geo` that sees GeoJSON's order of axes: rings are arrays of shape (n, 2), lng then lat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from geofences.errors import InvalidGeometryError
from geofences.model import Floats, LatLng

MAX_VERTICES = 100_000
MAX_LNG_DEG = 360.0
"""A polygon across 180 degrees may be written with longitudes beyond it, at most once round."""


class Ring(NamedTuple):
    path: str
    """Where it stands, e.g. `coordinates[0][1]`."""
    lng_lat: Floats
    """Shape (n, 2), degrees, closed, altitude dropped."""


def read_point(geojson: Mapping[str, object]) -> LatLng:
    """The position of a Point; raises InvalidGeometryError."""
    lng, lat = _position(geojson.get("coordinates"), "coordinates", max_lng_deg=180.0)
    return LatLng(lat=lat, lng=lng)


def read_polygons(geojson: Mapping[str, object]) -> list[list[Ring]]:
    """The polygons of a Polygon or MultiPolygon, each a list of rings, the outer one first.

    Raises InvalidGeometryError for other types and for rings that are open, shorter than 4 positions, not numbers, or
    out of range (longitudes up to MAX_LNG_DEG pass: whoever splits at 180 degrees decides about them).
    """
    kind = geojson.get("type")
    coordinates = geojson.get("coordinates")
    match kind:
        case "Polygon":
            polygons = [_polygon(coordinates, "coordinates")]
        case "MultiPolygon":
            parts = _items(coordinates, "coordinates", "a list of polygons")
            polygons = [_polygon(part, f"coordinates[{i}]") for i, part in enumerate(parts)]
        case _:
            raise InvalidGeometryError(f"type must be Polygon or MultiPolygon, not {kind!r}")
    vertices = sum(len(ring.lng_lat) for rings in polygons for ring in rings)
    if vertices > MAX_VERTICES:
        raise InvalidGeometryError(f"{vertices} vertices are too many: at most {MAX_VERTICES}")
    return polygons


def _polygon(value: object, path: str) -> list[Ring]:
    rings = _items(value, path, "a list of rings")
    return [_ring(ring, f"{path}[{i}]") for i, ring in enumerate(rings)]


def _ring(value: object, path: str) -> Ring:
    positions = _items(value, path, "a list of positions")
    if len(positions) > MAX_VERTICES:
        raise InvalidGeometryError(f"{path}: {len(positions)} vertices are too many: at most {MAX_VERTICES}")
    points = [_position(p, f"{path}[{i}]", max_lng_deg=MAX_LNG_DEG) for i, p in enumerate(positions)]
    if points[0] != points[-1]:
        raise InvalidGeometryError(f"{path}: the ring is not closed: the last position must repeat the first")
    if len(points) < 4:  # noqa: PLR2004 - a triangle, closed
        raise InvalidGeometryError(f"{path}: a ring needs at least 4 positions, this one has {len(points)}")
    return Ring(path, np.array(points, dtype=np.float64))


def _position(value: object, path: str, *, max_lng_deg: float) -> tuple[float, float]:
    numbers = _items(value, path, "a position [lng, lat]")
    if len(numbers) not in (2, 3):
        raise InvalidGeometryError(
            f"{path}: a position is [lng, lat] or [lng, lat, altitude], not {len(numbers)} members"
        )
    lng, lat = (_number(n, f"{path}[{i}]") for i, n in enumerate(numbers[:2]))
    if len(numbers) > 2:  # noqa: PLR2004 - the altitude is dropped, but must be one
        _number(numbers[2], f"{path}[2]")
    if abs(lng) > max_lng_deg:
        raise InvalidGeometryError(f"{path}: longitude {lng} is out of range")
    if abs(lat) > 90.0:  # noqa: PLR2004 - a pole
        raise InvalidGeometryError(f"{path}: latitude {lat} is out of range")
    return lng, lat


def _items(value: object, path: str, what: str) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InvalidGeometryError(f"{path}: expected {what}")
    if not value:
        raise InvalidGeometryError(f"{path}: empty, expected {what}")
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidGeometryError(f"{path}: {value!r:.40} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidGeometryError(f"{path}: not a finite number")
    return number
