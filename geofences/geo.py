"""Shapes: the only importer of shapely. Reads GeoJSON, makes it valid, splits it at 180 degrees, and answers for it.

Degrees and metres outside, lon/lat planes inside: shapely takes (lng, lat), everyone else (lat, lng). Knows no cells.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geofences.border import border_distance_m
from geofences.errors import InvalidGeometryError
from geofences.geodesy import (
    HALF_TURN_DEG,
    MIN_CURVATURE_M,
    POLE_DEG,
    TURN_DEG,
    circle_area_m2,
    circle_distance_m,
    ecef_m,
    geodesic_distance_m,
    ring_areas_m2,
)
from geofences.geojson import Ring, read_point, read_polygons
from geofences.model import Area, Bools, Circle, FenceKind, Floats, Int64s, LatLng
from geofences.seam import Pole, crosses_180, pole_cap, unrolled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AreaColumns",
    "Box",
    "area_columns",
    "area_m2",
    "bounding_box",
    "circle",
    "covers",
    "first_positions",
    "geodesic_distance_m",
    "kind_of",
    "parse_geometry",
    "prepared",
    "signed_distance_m",
    "to_geojson",
    "touches",
]

MIN_RADIUS_M = 1.0
MAX_RADIUS_M = 100_000.0
MIN_AREA_M2 = 1e-4
"""One square centimetre: less is a line."""
SMALL_AREA_DEG2 = 1e-4
"""So much is more than MIN_AREA_M2 even at a pole: only what is smaller need be measured."""
LONGEST_EDGE_DEG = 170.0
SEAM_SLIVER_DEG = 1e-9
"""0.1 mm: what rounding leaves over where two halves meet at 180 degrees."""

Geometries = NDArray[np.object_]
"""A column of geometries made by `area_columns`; None where a slot holds none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Degrees. `west > east` when it crosses 180 degrees, as a GeoJSON bbox does."""

    south: float
    west: float
    north: float
    east: float


class AreaColumns(NamedTuple):
    """What there is to know of k areas before a position is asked about."""

    geometry: Geometries
    """Shape (k,): what `covers` and `touches` take."""
    edges: list[Floats]
    """Borders, arrays (m, 4) of lat1, lng1, lat2, lng2 in degrees; m is 0 for the whole earth."""
    area_m2: Floats
    """Shape (k,)."""
    bounds: Floats
    """Shape (k, 4): south, west, north, east in degrees, in [-180, 180] also for shapes across 180 degrees."""


def parse_geometry(geojson: Mapping[str, object], *, radius_m: float | None = None) -> tuple[Circle | Area, list[str]]:
    """Make a fence's shape of a GeoJSON Polygon or MultiPolygon, or of a Point and a radius, with warnings for people.

    Winding is put right and altitude dropped without a word. An edge of more than 180 degrees of longitude is read as
    crossing 180 degrees, a ring round a pole as its smaller side; both are split at 180 degrees and warned of.
    Raises InvalidGeometryError that says what is wrong and where.
    """
    kind = geojson.get("type")
    if kind == "Point":
        if radius_m is None:
            raise InvalidGeometryError("a Point needs radius_m to be a fence")
        return circle(read_point(geojson), radius_m), []
    if radius_m is not None:
        raise InvalidGeometryError(f"radius_m belongs to a Point, not to {kind!r}")
    warnings: list[str] = []
    parts = [_shape_of(rings, warnings) for rings in read_polygons(geojson)]
    merged = shapely.multipolygons(_polygons(parts))
    if not merged.is_valid:
        merged = shapely.multipolygons(_polygons(shapely.union_all(parts)))
        warnings.append("coordinates: parts that overlap or share an edge were merged into one")
    if warnings:
        # written out and read again, an edge of more than 180 degrees would mean the short way
        merged = shapely.multipolygons(_polygons(shapely.segmentize(merged, LONGEST_EDGE_DEG)))
    merged = shapely.orient_polygons(merged)
    area = Area(wkb=shapely.to_wkb(merged, byte_order=1))
    if merged.is_empty or (merged.area < SMALL_AREA_DEG2 and area_m2(area) < MIN_AREA_M2):
        raise InvalidGeometryError("coordinates: the shape has no area")
    return area, warnings


def circle(center: LatLng, radius_m: float) -> Circle:
    """A checked circle: 1 m <= radius_m <= 100 km, and a centre on the earth."""
    if not (math.isfinite(center.lat) and abs(center.lat) <= POLE_DEG):
        raise InvalidGeometryError(f"center: latitude {center.lat} is out of range")
    if not (math.isfinite(center.lng) and abs(center.lng) <= HALF_TURN_DEG):
        raise InvalidGeometryError(f"center: longitude {center.lng} is out of range")
    if not MIN_RADIUS_M <= radius_m <= MAX_RADIUS_M:  # also refuses NaN
        raise InvalidGeometryError(f"radius_m: {radius_m} is not within {MIN_RADIUS_M:g} and {MAX_RADIUS_M:g}")
    return Circle(center=center, radius_m=float(radius_m))


def kind_of(shape: Circle | Area) -> FenceKind:
    if isinstance(shape, Circle):
        return FenceKind.CIRCLE
    parts = shapely.get_num_geometries(shapely.from_wkb(shape.wkb))
    return FenceKind.POLYGON if parts == 1 else FenceKind.MULTIPOLYGON


def to_geojson(shape: Circle | Area) -> dict[str, Any]:
    """The shape as RFC 7946 writes it; a circle as the Point of its centre, without its radius."""
    if isinstance(shape, Circle):
        return {"type": "Point", "coordinates": [shape.center.lng, shape.center.lat]}
    polygons = [[_listed(ring) for ring in _rings(part)] for part in shapely.get_parts(shapely.from_wkb(shape.wkb))]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def area_m2(shape: Circle | Area) -> float:
    """Area on WGS 84 between edges that are straight in lon/lat; of a circle within 0.4 %."""
    if isinstance(shape, Circle):
        return circle_area_m2(shape.radius_m)
    return float(area_columns([shape]).area_m2[0])


def bounding_box(shape: Circle | Area) -> Box:
    """The smallest box that holds the shape; of a circle, one at most 1 % larger."""
    if isinstance(shape, Circle):
        return _circle_box(shape)
    bounds = shapely.bounds(shapely.get_parts(shapely.from_wkb(shape.wkb)))
    south, north = float(bounds[:, 1].min()), float(bounds[:, 3].max())
    spans = sorted((float(w), float(e)) for w, e in bounds[:, [0, 2]])
    west, east = spans[0][0], max(e for _, e in spans)
    widest_gap, reach = west + TURN_DEG - east, spans[0][1]
    for w, e in spans[1:]:
        if w - reach > widest_gap:
            widest_gap, west, east = w - reach, w, reach
        reach = max(reach, e)
    return Box(south=south, west=west, north=north, east=east)


def area_columns(areas: Sequence[Area]) -> AreaColumns:
    """Read areas, all at once.

    Where a shape was split at 180 degrees both halves have an edge there, and over a pole one along it: neither is a
    border. Geometries are indexed for `covers` here: GEOS would else do it later, in the first thread to ask.
    """
    geometry = shapely.from_wkb([area.wkb for area in areas])
    parts, area_of_part = shapely.get_parts(geometry, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    is_edge = ring_of_point[:-1] == ring_of_point[1:]
    edges = np.concatenate([points[:-1, ::-1], points[1:, ::-1]], axis=1)[is_edge]
    ring_of_edge, area_of_ring = ring_of_point[:-1][is_edge], area_of_part[part_of_ring]
    area_of_point = area_of_ring[ring_of_point]

    is_outer = np.diff(part_of_ring, prepend=-1) > 0
    ring_m2 = np.abs(ring_areas_m2(edges, ring_of_edge)) * np.where(is_outer, 1.0, -1.0)
    shapely.prepare(geometry)
    begins = np.searchsorted(area_of_point, np.arange(len(areas)))
    shapely.intersects_xy(geometry, *points[begins].T)
    west, south, east, north = shapely.bounds(geometry).T
    return AreaColumns(
        geometry=geometry,
        edges=_borders(edges, area_of_ring[ring_of_edge], len(areas)),
        area_m2=np.asarray(np.bincount(area_of_ring, weights=ring_m2), dtype=np.float64),
        bounds=np.stack([south, west, north, east], axis=1),
    )


def prepared(area: Area) -> Any:
    """The geometry of an area alone, for `touches`."""
    geometry = shapely.from_wkb(area.wkb)
    shapely.prepare(geometry)
    return geometry


def first_positions(geometry: Any) -> list[LatLng]:
    """One position of each part of a geometry."""
    starts = (shapely.get_coordinates(part)[0] for part in shapely.get_parts(geometry))
    return [LatLng(lat=float(lat), lng=float(lng)) for lng, lat in starts]


def covers(geometries: Geometries, lat: Floats, lng: Floats) -> Bools:
    """Whether each geometry holds its position, border included; all of shape (k,), False where a geometry is None."""
    inside = np.asarray(shapely.intersects_xy(geometries, lng, lat))
    seam = np.flatnonzero(np.abs(lng) == HALF_TURN_DEG)
    if len(seam):  # the same place has two names there, and a shape may end on either side
        inside[seam] |= shapely.intersects_xy(geometries[seam], -lng[seam], lat[seam])
    return inside


def touches(geometry: Any, corners: Sequence[Sequence[tuple[float, float]]]) -> Bools:
    """Whether a prepared geometry meets each convex hull of corners, given as (lng, lat) in degrees.

    Corners may lie beyond 180 degrees: they stand for the same places on the other side as well.
    """
    rings = np.array(list(chain.from_iterable(corners)))
    of = np.repeat(np.arange(len(corners)), [len(c) for c in corners])
    hulls = shapely.convex_hull(shapely.multipoints(rings, indices=of))
    meets = np.asarray(shapely.intersects(geometry, hulls))
    west, _, east, _ = shapely.bounds(hulls).T
    for beyond, turn in ((west < -HALF_TURN_DEG, TURN_DEG), (east > HALF_TURN_DEG, -TURN_DEG)):
        rows = np.flatnonzero(beyond & ~meets)
        if len(rows):
            meets[rows] = shapely.intersects(geometry, _shifted(hulls[rows], turn))
    return meets


def signed_distance_m(shape: Circle | Area, lat: Floats, lng: Floats) -> Floats:
    """Distance of each position to the border of one shape, shape (n,), metres: >= 0 inside, negative outside."""
    if isinstance(shape, Circle):
        center = np.full(len(lat), shape.center.lat), np.full(len(lat), shape.center.lng)
        squares = [(p - c) ** 2 for p, c in zip(ecef_m(lat, lng), ecef_m(*center), strict=True)]
        chord_m = np.asarray(np.sqrt(sum(squares)))
        return circle_distance_m(
            center_lat=center[0],
            center_lng=center[1],
            radius_m=np.full(len(lat), shape.radius_m),
            chord_m=chord_m,
            lat=lat,
            lng=lng,
        )
    area = area_columns([shape])
    first, count = np.zeros(len(lat), dtype=np.int64), np.full(len(lat), len(area.edges[0]), dtype=np.int64)
    distance_m = border_distance_m(area.edges[0], first, count, lat, lng)
    return np.where(covers(np.repeat(area.geometry, len(lat)), lat, lng), distance_m, -distance_m)


def _shape_of(rings: Sequence[Ring], warnings: list[str]) -> Any:
    """One polygon of the input as valid geometry in [-180, 180]."""
    if not any(crosses_180(ring.lng_lat) for ring in rings):
        polygon = _polygon(*(ring.lng_lat for ring in rings))
        return _checked(polygon, rings[0].path.rpartition("[")[0] if len(rings) > 1 else rings[0].path)
    outer = _split(rings[0], warnings)
    holes = [_split(ring, warnings) for ring in rings[1:]]
    if not holes:
        return outer
    rest = shapely.difference(outer, shapely.union_all(holes))
    if not math.isclose(rest.area, outer.area - sum(hole.area for hole in holes), rel_tol=1e-9):
        raise InvalidGeometryError(f"{rings[0].path}: its holes overlap each other or lie outside it")
    return rest


def _split(ring: Ring, warnings: list[str]) -> Any:
    """The inside of one ring, cut at 180 degrees: the parts on both sides, in [-180, 180]."""
    if not crosses_180(ring.lng_lat):
        return _checked(_polygon(ring.lng_lat), ring.path)
    flat, turns = unrolled(ring.lng_lat)
    if turns == 0:
        shape = _cut(_checked(_polygon(flat), ring.path), ring.path)
        how = "it was split there" if shape.geom_type == "MultiPolygon" else "its longitudes were wrapped"
        warnings.append(f"{ring.path}: taken to lie across 180 degrees; {how}")
        return shape
    if abs(turns) > 1:
        raise InvalidGeometryError(f"{ring.path}: the ring goes round the earth {abs(turns)} times")
    poles: tuple[Pole, Pole] = ("north", "south")
    caps = {pole: _cap(ring, pole) for pole in poles}
    smaller = min(poles, key=lambda pole: area_m2(Area(wkb=shapely.to_wkb(caps[pole]))))
    warnings.append(f"{ring.path}: the ring goes round the earth; the smaller side, over the {smaller} pole, was taken")
    return caps[smaller]


def _cap(ring: Ring, pole: Pole) -> Any:
    wide = _checked(_polygon(pole_cap(ring.lng_lat, pole)), ring.path)
    cut = _polygons(shapely.intersection(wide, shapely.box(-HALF_TURN_DEG, -POLE_DEG, HALF_TURN_DEG, POLE_DEG)))
    if not len(cut):
        raise InvalidGeometryError(f"{ring.path}: the ring has no area")
    return shapely.multipolygons(cut)


def _cut(polygon: Any, path: str) -> Any:
    west, _, east, _ = polygon.bounds
    turns = range(math.floor((west + HALF_TURN_DEG) / TURN_DEG), math.ceil((east - HALF_TURN_DEG) / TURN_DEG) + 1)
    centers = [TURN_DEG * turn for turn in turns]
    windows = [shapely.box(c - HALF_TURN_DEG, -POLE_DEG, c + HALF_TURN_DEG, POLE_DEG) for c in centers]
    pieces = [_shifted(shapely.intersection(polygon, w), -c) for w, c in zip(windows, centers, strict=True)]
    parts = _polygons(pieces)
    west_lng, _, east_lng, _ = shapely.bounds(parts).T
    kept = parts[east_lng - west_lng > SEAM_SLIVER_DEG]
    joined = shapely.union_all(kept)
    if not math.isclose(joined.area, shapely.area(kept).sum(), rel_tol=1e-9):
        raise InvalidGeometryError(f"{path}: the shape overlaps itself on its way round the earth")
    return joined


def _checked(polygon: Any, path: str) -> Any:
    if shapely.area(shapely.convex_hull(polygon)) == 0.0:
        raise InvalidGeometryError(f"{path}: the ring has no area")
    if not polygon.is_valid:
        what, lng, lat = _reason(polygon)
        raise InvalidGeometryError(f"{path}: {what} at lat {lat:.7f}, lng {lng:.7f}")
    return polygon


def _reason(polygon: Any) -> tuple[str, float, float]:
    said = shapely.is_valid_reason(polygon)
    found = re.fullmatch(r"(.*)\[(\S+) (\S+)\]", said)
    if found is None:
        return said, math.nan, math.nan
    lng = (float(found[2]) + HALF_TURN_DEG) % TURN_DEG - HALF_TURN_DEG
    return found[1].strip().lower(), lng, float(found[3])


def _polygons(geometries: Any) -> Any:
    """The polygons among the parts of what may also hold the points and lines that cutting leaves."""
    parts = shapely.get_parts(shapely.get_parts(geometries))
    return parts[shapely.area(parts) > 0.0]


def _polygon(outer: Floats, *holes: Floats) -> Any:
    return shapely.polygons(shapely.linearrings(outer), [shapely.linearrings(hole) for hole in holes] or None)


def _shifted(geometry: Any, lng_deg: float) -> Any:
    return shapely.transform(geometry, lambda points: np.add(points, [lng_deg, 0.0]))


def _rings(polygon: Any) -> list[Any]:
    return [polygon.exterior, *polygon.interiors]


def _listed(ring: Any) -> list[list[float]]:
    points: list[list[float]] = shapely.get_coordinates(ring).tolist()
    return points


def _circle_box(shape: Circle) -> Box:
    lat, lng = shape.center.lat, shape.center.lng
    reach = shape.radius_m / MIN_CURVATURE_M
    south, north = lat - math.degrees(reach), lat + math.degrees(reach)
    if south <= -POLE_DEG or north >= POLE_DEG:
        return Box(south=max(south, -POLE_DEG), west=-HALF_TURN_DEG, north=min(north, POLE_DEG), east=HALF_TURN_DEG)
    side = math.degrees(math.asin(math.sin(reach) / math.cos(math.radians(lat))))
    west, east = (((lng + d) + HALF_TURN_DEG) % TURN_DEG - HALF_TURN_DEG for d in (-side, side))
    return Box(south=south, west=west, north=north, east=east)


def _borders(edges: Floats, area: Int64s, areas: int) -> list[Floats]:
    """The edges of each area that are a border; `area` counts up from 0."""
    at_pole = (np.abs(edges[:, 0]) == POLE_DEG) & (edges[:, 0] == edges[:, 2])
    on_seam = (np.abs(edges[:, 1]) == HALF_TURN_DEG) & (edges[:, 1] == edges[:, 3])
    plain = np.flatnonzero(~at_pole & ~on_seam)
    ends = np.searchsorted(area[plain], np.arange(1, areas))
    borders = [own.copy() for own in np.split(edges[plain], ends)]  # copies: one area must not keep the others alive
    for i in np.unique(area[on_seam]).tolist():
        borders[i] = np.concatenate([borders[i], _open_seam(edges[on_seam & (area == i)])])
    return borders


def _open_seam(edges: Floats) -> Floats:
    """What of the edges on 180 degrees has the shape on one side only."""
    sides = []
    for side in (HALF_TURN_DEG, -HALF_TURN_DEG):
        lats = edges[edges[:, 1] == side][:, [0, 2]]
        lines = shapely.linestrings(np.stack([np.zeros_like(lats), lats], axis=2))
        sides.append(shapely.union_all(lines))
    left = shapely.get_parts(shapely.symmetric_difference(*sides))
    open_lats = [shapely.get_coordinates(line)[[0, -1], 1] for line in left if line.length > SEAM_SLIVER_DEG]
    return np.array([[a, HALF_TURN_DEG, b, HALF_TURN_DEG] for a, b in open_lats], dtype=np.float64).reshape(-1, 4)
