"""Whether two answers about the same positions are the same, pair by pair; knows no peer.

A peer may differ only as near to a fence's border as its own arithmetic explains, which it states in metres, fence by
fence. How near a position is to a border is worked out here from geodesics and the polygon's corners, by none of those
compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geofences.geodesy import curvature_m, geodesic_distance_m, wrapped_deg
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from geofences.model import Floats, Int64s
    from lbs.bench.engine_workload import Fences, Workload

NAMED = 3
"""How many wrong pairs an error names."""


class MismatchError(CommandError):
    """Two answers differ by more than the arithmetic explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which of the first n positions lie in which fences: parallel columns of shape (k,), in any order."""

    position: Int64s
    fence: Int64s

    def packed(self, fences: int) -> Int64s:
        """One number a pair, sorted."""
        return np.sort(self.position.astype(np.int64) * fences + self.fence)

    def within(self, n: int) -> Answers:
        """The pairs of the first n positions."""
        kept = self.position < n
        return Answers(position=self.position[kept], fence=self.fence[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was compared: `pairs` of the engine with a peer, of which `near_border` differ, all within its tolerance."""

    positions: int
    pairs: int
    near_border: int
    widest_m: float
    """The largest distance to a border among those that differ; 0 if none does."""


def compare(
    name: str, ours: Answers, theirs: Answers, *, workload: Workload, positions: int, tolerance_m: Floats
) -> Agreement:
    """Hold a peer's answers about the first so many positions against the engine's.

    `tolerance_m` has shape (fences,): how far from a fence's border a verdict may differ; NaN for fences that the peer
    cannot answer for, which are left out. Raises MismatchError that names pairs, also if one answer holds a pair twice
    or there is no pair to compare.
    """
    fences = workload.fences
    asked = ~np.isnan(tolerance_m)
    mine, other = (
        Answers(position=a.position[asked[a.fence]], fence=a.fence[asked[a.fence]]).packed(len(fences))
        for a in (ours.within(positions), theirs)
    )
    for owner, packed in (("lbs", mine), (name, other)):
        if np.any(packed[1:] == packed[:-1]):
            raise MismatchError(f"{owner} names a pair twice, at {len(fences)} fences")
    if not len(mine):
        raise MismatchError(f"lbs and {name}: no position of {positions} lies in any of {len(fences)} fences")
    differing = np.setxor1d(mine, other, assume_unique=True)
    position, fence = differing // len(fences), differing % len(fences)
    away_m = border_distance_m(fences, fence, workload.lat[position], workload.lng[position])
    wrong = np.flatnonzero(away_m > tolerance_m[fence])
    if len(wrong):
        ours_only = np.isin(differing, mine)
        named = "; ".join(
            f"only {'lbs' if ours_only[i] else name} has position {position[i]}"
            f" ({workload.lat[position[i]]:.7f}, {workload.lng[position[i]]:.7f}) in fence {fence[i]}"
            f" ({'circle' if fences.is_circle[fence[i]] else 'polygon'}), {away_m[i]:.6f} m from its border"
            f" where at most {tolerance_m[fence[i]]:.6f} m are explained"
            for i in wrong[:NAMED]
        )
        raise MismatchError(
            f"lbs and {name} differ at {len(fences)} fences in {len(wrong)} of {len(mine)} pairs: {named}"
        )
    return Agreement(
        positions=positions,
        pairs=len(mine),
        near_border=len(differing),
        widest_m=float(away_m.max(initial=0.0)),
    )


def border_distance_m(fences: Fences, fence: Int64s, lat: Floats, lng: Floats) -> Floats:
    """Distance of each position to the border of its fence, shape (k,), metres, >= 0."""
    distance_m = np.empty(len(fence), dtype=np.float64)
    circles = np.flatnonzero(fences.is_circle[fence])
    own = fence[circles]
    away_m = geodesic_distance_m(fences.lat[own], fences.lng[own], lat[circles], lng[circles])
    distance_m[circles] = np.abs(away_m - fences.radius_m[own])
    for i in np.flatnonzero(~fences.is_circle[fence]).tolist():
        distance_m[i] = _ring_distance_m(fences.ring(int(fence[i])), float(lat[i]), float(lng[i]))
    return distance_m


def _ring_distance_m(ring: Floats, lat: float, lng: float) -> float:
    """To the nearest edge, in the plane that touches the ellipsoid at the position; right to 1e-4 of the distance."""
    meridian_m, prime_vertical_m = curvature_m(np.array([lat]))
    east_m = np.radians(wrapped_deg(ring[:, 0] - lng)) * prime_vertical_m * np.cos(np.radians(lat))
    north_m = np.radians(ring[:, 1] - lat) * meridian_m
    corner = np.column_stack([east_m, north_m])
    edge = np.diff(corner, axis=0)
    along = np.clip(-(corner[:-1] * edge).sum(axis=1) / np.maximum((edge * edge).sum(axis=1), 1e-300), 0.0, 1.0)
    nearest = corner[:-1] + along[:, None] * edge
    return float(np.hypot(nearest[:, 0], nearest[:, 1]).min())
