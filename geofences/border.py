"""How far positions are from borders made of edges that are straight in lon/lat. Pure columns; knows no shapes.

An edge is a row (lat1, lng1, lat2, lng2) in degrees that never crosses 180 degrees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geofences.geodesy import EQUATOR_M, curvature_m, ecef_m, geodesic_distance_m, wrapped_deg
from geofences.ragged import expand

if TYPE_CHECKING:
    from geofences.model import Floats, Int64s

HALF_EARTH_M = 20_003_931.0
"""Pole to pole: no border is farther."""
CHUNK_EDGES = 1_000_000
"""So many (position, edge) pairs are held at once: about 100 MB."""
PLANE_TURN = 1e-3
"""d tan(lat) / R: how much the scale of longitude changes between a position and its border d away. Up to here the
plane about the position is right to 0.05 %; farther, the nearest point is right and the geodesic measures it."""
PLANE_REACH_M = 50_000.0
"""Farther than this the plane is not asked for a distance at all."""
POLE_TURN = 0.02
POLE_LAT_DEG = 80.0
"""Nearer to a pole than this, with a scale that changes this much, the plane may pick a wrong point: search instead."""
SAMPLES = np.linspace(0.0, 1.0, 33)
SEARCH_ROUNDS = 6
"""Each is 16 times finer than the one before: the last is at a 16-millionth of an edge."""
SEARCHED_EDGES = 4
"""How many edges stay in the search after a round."""


def border_distance_m(edges: Floats, first: Int64s, count: Int64s, lat: Floats, lng: Floats) -> Floats:
    """Distance from each of k positions to the nearest of its edges, shape (k,), metres, never negative.

    `edges` has shape (m, 4); position i is measured against rows first[i] .. first[i] + count[i] - 1; without any it is
    half the earth away. Edges are laid in a plane about the position, scaled by the ellipsoid's two radii of curvature
    there: straight edges stay straight, so a long edge costs nothing. Within 0.1 % or 1 cm of the geodesic distance up
    to 100 km, and within 1 % however far.
    """
    distance_m = np.full(len(lat), HALF_EARTH_M)
    rows = np.flatnonzero(count)
    distance_m[rows] = _border_distance_m(edges, first[rows], count[rows], lat[rows], lng[rows])
    return distance_m


def _border_distance_m(edges: Floats, first: Int64s, count: Int64s, lat: Floats, lng: Floats) -> Floats:
    distance_m = np.empty(len(lat), dtype=np.float64)
    ends = np.cumsum(count)
    begin = 0
    while begin < len(lat):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + CHUNK_EDGES, side="right")))
        part = slice(begin, end)
        distance_m[part] = _chunk_distance_m(edges, first[part], count[part], lat[part], lng[part])
        begin = end
    return distance_m


def _chunk_distance_m(edges: Floats, first: Int64s, count: Int64s, lat: Floats, lng: Floats) -> Floats:
    pair, row = expand(first, count)
    north_m, east_m = _metres_per_degree(lat)
    edge_lat, edge_lng = edges[row, 0], edges[row, 1]
    d_lat, d_lng = edges[row, 2] - edge_lat, edges[row, 3] - edge_lng
    y0, dy = (edge_lat - lat[pair]) * north_m[pair], d_lat * north_m[pair]
    # The middle is brought next to the position, not an end: an edge may be up to 360 degrees long.
    x0 = (wrapped_deg(edge_lng + d_lng / 2.0 - lng[pair]) - d_lng / 2.0) * east_m[pair]
    dx = d_lng * east_m[pair]
    length2 = dx * dx + dy * dy
    along = np.clip(-(x0 * dx + y0 * dy) / np.where(length2 > 0.0, length2, 1.0), 0.0, 1.0)
    square = (x0 + along * dx) ** 2 + (y0 + along * dy) ** 2
    starts = np.cumsum(count) - count
    least = np.minimum.reduceat(square, starts)
    distance_m = np.sqrt(least)

    turn = distance_m * np.abs(np.tan(np.radians(lat))) / EQUATOR_M
    far = np.flatnonzero((turn > PLANE_TURN) | (distance_m > PLANE_REACH_M))
    if len(far):
        hits = np.flatnonzero(square == least[pair])
        nearest = hits[np.searchsorted(pair[hits], far)]
        near_lat = edge_lat[nearest] + along[nearest] * d_lat[nearest]
        near_lng = edge_lng[nearest] + along[nearest] * d_lng[nearest]
        distance_m[far] = geodesic_distance_m(lat[far], lng[far], near_lat, near_lng)
    for i in np.flatnonzero((turn > POLE_TURN) & (np.abs(lat) > POLE_LAT_DEG)):
        own = edges[first[i] : first[i] + count[i]]
        distance_m[i] = _searched_distance_m(own, lat[i : i + 1], lng[i : i + 1])
    return distance_m


def _metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    meridian_m, prime_vertical_m = curvature_m(lat)
    return np.radians(meridian_m), np.radians(prime_vertical_m * np.cos(np.radians(lat)))


def _searched_distance_m(edges: Floats, lat: Floats, lng: Floats) -> float:
    """The same for one position near a pole, where straight edges are spirals: sample each, then the best finer."""
    here = ecef_m(lat, lng)
    low, high = np.zeros(len(edges)), np.ones(len(edges))
    for _ in range(SEARCH_ROUNDS):
        along = low[:, None] + (high - low)[:, None] * SAMPLES
        at = edges[:, None, :2] + along[:, :, None] * (edges[:, None, 2:] - edges[:, None, :2])
        square = np.asarray(sum((p - h) ** 2 for p, h in zip(ecef_m(at[..., 0], at[..., 1]), here, strict=True)))
        edge = np.argsort(square.min(axis=1))[:SEARCHED_EDGES]
        sample, rows = square[edge].argmin(axis=1), np.arange(len(edge))
        low = along[edge][rows, np.maximum(sample - 1, 0)]
        high = along[edge][rows, np.minimum(sample + 1, len(SAMPLES) - 1)]
        nearest = at[edge[0], sample[0]]
        edges = edges[edge]
    return float(geodesic_distance_m(lat, lng, nearest[:1], nearest[1:])[0])
