"""Random fences and positions where geometry is hard: poles, 180 degrees, pentagons, borders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np
from pyproj import Geod

from geofences.errors import InvalidGeometryError
from geofences.geo import circle, parse_geometry
from geofences.model import Area, Circle, Floats, LatLng

GEOD = Geod(ellps="WGS84")
PENTAGONS = sorted(h3.get_pentagons(9))


def _face_edges() -> Floats:
    """The 30 edges of H3's icosahedron, shape (30, 2, 3): unit vectors of neighbouring pentagons."""
    lat, lng = np.radians([h3.cell_to_latlng(cell) for cell in PENTAGONS]).T
    corners = np.stack([np.cos(lat) * np.cos(lng), np.cos(lat) * np.sin(lng), np.sin(lat)], axis=1)
    pairs = [(a, b) for i, a in enumerate(corners) for b in corners[:i] if a @ b > 0.4]
    return np.array(pairs)


FACE_EDGES = _face_edges()
CITIES = [LatLng(lat=41.15, lng=-8.61), LatLng(lat=60.17, lng=24.94), LatLng(lat=-33.87, lng=151.21)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    shape: Circle | Area
    center: LatLng
    reach_m: float
    """Nothing of the shape is farther from the centre."""


def random_place(rng: np.random.Generator) -> LatLng:
    """A city, a pentagon's neighbourhood, a pole's, near 180 degrees, near an edge of a face, or anywhere."""
    match rng.integers(6):
        case 0:
            city = CITIES[rng.integers(len(CITIES))]
            return away(city, rng.uniform(0, 360), rng.uniform(0, 5_000))
        case 1:
            lat, lng = h3.cell_to_latlng(PENTAGONS[rng.integers(len(PENTAGONS))])
            return away(LatLng(lat=lat, lng=lng), rng.uniform(0, 360), 10 ** rng.uniform(0, 4))
        case 2:
            pole = LatLng(lat=math.copysign(90.0, rng.uniform(-1, 1)), lng=0.0)
            return away(pole, rng.uniform(0, 360), 10 ** rng.uniform(0, 6))
        case 3:
            edge = LatLng(lat=rng.uniform(-85, 85), lng=180.0)
            return away(edge, rng.uniform(0, 360), 10 ** rng.uniform(-1, 4))
        case 4:
            a, b = FACE_EDGES[rng.integers(len(FACE_EDGES))]
            x, y, z = a + rng.uniform() * (b - a)
            on_edge = LatLng(lat=math.degrees(math.atan2(z, math.hypot(x, y))), lng=math.degrees(math.atan2(y, x)))
            return away(on_edge, rng.uniform(0, 360), 10 ** rng.uniform(-1, 4))
        case _:
            return LatLng(lat=math.degrees(math.asin(rng.uniform(-1, 1))), lng=rng.uniform(-180, 180))


def away(start: LatLng, azimuth_deg: float, distance_m: float) -> LatLng:
    lng, lat, _ = GEOD.fwd(start.lng, start.lat, azimuth_deg, distance_m)
    return LatLng(lat=lat, lng=lng)


def random_sample(rng: np.random.Generator, *, max_radius_m: float = 100_000.0) -> Sample:
    """A circle, or a star of 3 to 40 corners with or without a hole, of 5 m to `max_radius_m`."""
    while True:
        center, radius_m = random_place(rng), math.exp(rng.uniform(math.log(5.0), math.log(max_radius_m)))
        if rng.random() < 0.5:
            return Sample(shape=circle(center, radius_m), center=center, reach_m=radius_m)
        rings = [_star(rng, center, radius_m, least=0.5)]
        if rng.random() < 0.3:
            rings.append(_star(rng, center, radius_m * 0.3, least=0.2))
        try:
            shape, _ = parse_geometry({"type": "Polygon", "coordinates": rings})
        except InvalidGeometryError:  # a few corners about a pole need not make a simple ring in lon/lat
            continue
        return Sample(shape=shape, center=center, reach_m=radius_m)


def rich_sample(rng: np.random.Generator) -> Sample:
    """As `random_sample`, and sometimes an area of many corners or parts, which the index keeps in another way."""
    kind = rng.random()
    while kind < 0.3:
        center, radius_m = random_place(rng), math.exp(rng.uniform(math.log(50.0), math.log(100_000.0)))
        if kind < 0.15:
            polygons = [[_star(rng, center, radius_m, least=0.9, corners=int(rng.integers(100, 3_000)))]]
        else:
            spots = [away(center, azimuth_deg, radius_m * 0.6) for azimuth_deg in (0.0, 120.0, 240.0)]
            polygons = [[_star(rng, spot, radius_m * 0.4, least=0.5)] for spot in spots]
        try:
            shape, _ = parse_geometry({"type": "MultiPolygon", "coordinates": polygons})
        except InvalidGeometryError:  # about a pole
            continue
        return Sample(shape=shape, center=center, reach_m=radius_m)
    return random_sample(rng)


def _star(
    rng: np.random.Generator, center: LatLng, radius_m: float, *, least: float, corners: int | None = None
) -> list[list[float]]:
    n = corners or int(rng.integers(3, 41))
    azimuths_deg = np.sort((np.arange(n) + rng.uniform(-0.4, 0.4, n)) * 360.0 / n)
    lng, lat, _ = GEOD.fwd(
        np.full(n, center.lng), np.full(n, center.lat), azimuths_deg, radius_m * rng.uniform(least, 1.0, n)
    )
    ring = np.stack([lng, lat], axis=1).tolist()
    return [*ring, ring[0]]


def positions_about(rng: np.random.Generator, sample: Sample, n: int) -> tuple[Floats, Floats]:
    """Positions, lat and lng: half of them over the neighbourhood, half within metres or millimetres of the border."""
    azimuth_deg, distance_m = rng.uniform(0, 360, n), sample.reach_m * 1.3 * np.sqrt(rng.uniform(0, 1, n))
    start_lat, start_lng = np.full(n, sample.center.lat), np.full(n, sample.center.lng)
    near = np.arange(n) % 2 == 1
    nudge_m = rng.choice([-1.0, 1.0], n) * 10 ** rng.uniform(-2.5, 1.5, n)
    if isinstance(sample.shape, Circle):
        distance_m[near] = np.abs(sample.shape.radius_m + nudge_m)[near]
    else:
        edges = border_of(sample.shape)
        edge, along = edges[rng.integers(len(edges), size=n)], rng.uniform(0, 1, n)
        start_lat[near] = (edge[:, 0] + along * (edge[:, 2] - edge[:, 0]))[near]
        start_lng[near] = (edge[:, 1] + along * (edge[:, 3] - edge[:, 1]))[near]
        distance_m[near] = np.abs(nudge_m)[near]
    lng, lat, _ = GEOD.fwd(start_lng, start_lat, azimuth_deg, distance_m)
    return np.asarray(lat), np.asarray(lng)


def border_of(area: Area) -> Floats:
    """The border's edges, shape (m, 4): lat1, lng1, lat2, lng2."""
    from geofences.geo import area_columns  # noqa: PLC0415 - what is tested should not be needed to import this

    return area_columns([area]).edges[0]
