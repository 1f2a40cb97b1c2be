"""Numbers on the WGS 84 ellipsoid: columns of degrees in, columns of metres out. Knows no shapes and no fences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pyproj import Geod

if TYPE_CHECKING:
    from geofences.model import Floats, Int64s

WGS84 = Geod(ellps="WGS84")
EQUATOR_M = 6_378_137.0
"""Semi-major axis a."""
POLAR_M = 6_356_752.314245179
"""Semi-minor axis b."""
E2 = 0.006694379990141316
"""First eccentricity squared."""
MIN_CURVATURE_M = EQUATOR_M * (1.0 - E2)
"""The smallest radius of curvature anywhere: the meridian's, at the equator."""

TURN_DEG = 360.0
HALF_TURN_DEG = 180.0
POLE_DEG = 90.0

EXACT_WITHIN_M = 0.015
"""The chord is right to 1 cm up to 100 km: what it puts nearer than this to a border is asked of the geodesic."""
CHORD_TRUSTED_M = 150_000.0
"""Beyond this the sphere that replaces the ellipsoid along a chord costs more than centimetres."""


def wrapped_deg(lng_deg: Floats) -> Floats:
    """The same longitudes in [-180, 180). Values already there come back unchanged, bit for bit.

    >>> wrapped_deg(np.array([190.0, -180.0, 180.0, 12.5])).tolist()
    [-170.0, -180.0, -180.0, 12.5]
    """
    inside = (lng_deg >= -HALF_TURN_DEG) & (lng_deg < HALF_TURN_DEG)
    return np.asarray(np.where(inside, lng_deg, (lng_deg + HALF_TURN_DEG) % TURN_DEG - HALF_TURN_DEG))


def ecef_m(lat: Floats, lng: Floats) -> tuple[Floats, Floats, Floats]:
    """Earth-centred, earth-fixed x, y, z in metres of points at height 0; exact to about 1e-9 m."""
    phi, lam = np.radians(lat), np.radians(lng)
    prime_vertical_m = EQUATOR_M / np.sqrt(1.0 - E2 * np.sin(phi) ** 2)
    across_m = prime_vertical_m * np.cos(phi)
    return across_m * np.cos(lam), across_m * np.sin(lam), prime_vertical_m * (1.0 - E2) * np.sin(phi)


def lat_lng_of(x_m: Floats, y_m: Floats, z_m: Floats) -> tuple[Floats, Floats]:
    """Latitudes and longitudes, degrees, of points at height 0: the inverse of `ecef_m`, right to 1e-9 m."""
    lat = np.degrees(np.arctan2(z_m, (1.0 - E2) * np.hypot(x_m, y_m)))
    return lat, np.degrees(np.arctan2(y_m, x_m))


def curvature_m(lat: Floats) -> tuple[Floats, Floats]:
    """Radii of curvature along the meridian and across it, M and N, in metres."""
    w2 = 1.0 - E2 * np.sin(np.radians(lat)) ** 2
    prime_vertical_m = EQUATOR_M / np.sqrt(w2)
    return prime_vertical_m * (1.0 - E2) / w2, prime_vertical_m


def local_radius_m(lat: Floats) -> Floats:
    """Gauss's mean radius sqrt(M N): the sphere that fits best around a latitude."""
    meridian_m, prime_vertical_m = curvature_m(lat)
    return np.asarray(np.sqrt(meridian_m * prime_vertical_m))


def chord_limit_m(lat: Floats, radius_m: Floats) -> Floats:
    """Length of the straight chord under a geodesic of `radius_m` that begins at latitude `lat`.

    r - r^3 / (24 R^2), the first terms of 2 R sin(r / 2 R): within 1 cm up to 100 km, at every latitude and azimuth
    (tests/unit/test_geo.py holds it against GeographicLib).
    """
    return radius_m - radius_m**3 / (24.0 * local_radius_m(lat) ** 2)


def arc_m(lat: Floats, chord_m: Floats) -> Floats:
    """Length of the geodesic over a chord that begins at latitude `lat`: the inverse of `chord_limit_m`."""
    radius_m = local_radius_m(lat)
    return np.asarray(2.0 * radius_m * np.arcsin(np.minimum(1.0, chord_m / (2.0 * radius_m))))


def geodesic_distance_m(lat1: Floats, lng1: Floats, lat2: Floats, lng2: Floats) -> Floats:
    """Geodesic distances on WGS 84, shape (n,), metres, exact to nanometres (Karney 2013, by GeographicLib in PROJ).

    >>> round(float(geodesic_distance_m(*(np.array([x]) for x in (40.6, -73.8, 51.6, -0.5)))[0]))
    5551759
    """
    return np.asarray(WGS84.inv(lng1, lat1, lng2, lat2)[2], dtype=np.float64)


def circle_distance_m(
    *, center_lat: Floats, center_lng: Floats, radius_m: Floats, chord_m: Floats, lat: Floats, lng: Floats
) -> Floats:
    """Signed distances to circles, shape (k,), metres: positive inside, 0 on the border, negative outside.

    `chord_m` is the straight distance from each centre to its position. It decides alone, right to 1 cm, unless the
    border is nearer than EXACT_WITHIN_M or the centre farther than CHORD_TRUSTED_M: those pairs are asked of the
    geodesic, so that the sign is always the geodesic's.
    """
    inside_m = radius_m - arc_m(center_lat, chord_m)
    ask = np.flatnonzero((np.abs(inside_m) < EXACT_WITHIN_M) | (chord_m > CHORD_TRUSTED_M))
    if len(ask):
        inside_m[ask] = radius_m[ask] - geodesic_distance_m(center_lat[ask], center_lng[ask], lat[ask], lng[ask])
    return inside_m


def circle_area_m2(radius_m: float) -> float:
    """Area of a spherical cap of that geodesic radius; within 0.4 % of the ellipsoid's up to 100 km."""
    sphere_m = 6_371_008.8
    return 4.0 * math.pi * sphere_m**2 * math.sin(radius_m / (2.0 * sphere_m)) ** 2


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def ring_areas_m2(edges: Floats, ring: Int64s) -> Floats:
    """Areas on WGS 84 within closed rings whose edges are straight in lon/lat; positive if they run counterclockwise.

    `edges` has shape (m, 4): lat1, lng1, lat2, lng2 in degrees, edge i belonging to ring `ring[i]`; `ring` counts up
    from 0. Integrates b^2 q(phi) / 2 over the longitude, where q is Snyder's authalic function (Map Projections, USGS
    1395, eq. 3-12, without its factor 1 - e^2), by 8 Gauss-Legendre points an edge.

    >>> octant = np.array([[0.0, 0, 0, 90], [0, 90, 90, 90], [90, 90, 90, 0], [90, 0, 0, 0]])
    >>> (ring_areas_m2(octant, np.zeros(4, dtype=np.int64)) * 8 / 1e6).round().tolist()
    [510065622.0]
    """
    e = math.sqrt(E2)
    phi1, phi2 = np.radians(edges[:, 0]), np.radians(edges[:, 2])
    sin_phi = np.sin((phi1 + phi2)[:, None] / 2.0 + (phi2 - phi1)[:, None] / 2.0 * _NODES)
    q = sin_phi / (1.0 - E2 * sin_phi**2) + np.arctanh(e * sin_phi) / e
    # Measured from the latitude where each ring begins: differences of large strips would cost a small ring its digits.
    begins = np.searchsorted(ring, np.arange(ring[-1] + 1))
    strip = (q - q[begins[ring], :1]) @ _WEIGHTS / 2.0
    d_lng = np.radians(edges[:, 3] - edges[:, 1])
    return np.asarray(-(POLAR_M**2) / 2.0 * np.bincount(ring, weights=d_lng * strip))
