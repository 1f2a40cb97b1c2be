"""The plane about a trace: fences, where somebody really went, and when that was inside. Not the engine's geometry.

Places are metres east and north of an origin. A degree is as long everywhere in the plane as it is at the origin, so
that edges which are straight here are straight in lon/lat; a circle of 150 m is right to 1 cm up to 60 degrees.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from geofences.geodesy import curvature_m
from geofences.model import Area, Circle, Floats, LatLng

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_S: Final = 0.25
"""How exact the times are at which a path crosses a border."""
SEARCHES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    origin: LatLng

    def degrees(self, at_m: Floats) -> tuple[Floats, Floats]:
        """Latitudes and longitudes of places, shape (n, 2)."""
        meridian_m, across_m = curvature_m(np.array([self.origin.lat]))
        north_m = math.radians(1.0) * float(meridian_m[0])
        east_m = math.radians(1.0) * float(across_m[0]) * math.cos(math.radians(self.origin.lat))
        return self.origin.lat + at_m[:, 1] / north_m, self.origin.lng + at_m[:, 0] / east_m


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    center_m: Floats
    """Shape (2,), as all places here."""
    radius_m: float

    @property
    def reach_m(self) -> float:
        """Radius of a circle about the centre that holds the shape."""
        return self.radius_m

    @property
    def depth_most_m(self) -> float:
        return self.radius_m

    def depth_m(self, at_m: Floats) -> Floats:
        """Distances of places, shape (n, 2), to the border: positive inside, negative outside."""
        return np.asarray(self.radius_m - np.hypot(*(at_m - self.center_m).T))

    def spot(self, rng: np.random.Generator, depth_m: float) -> tuple[Floats, Floats]:
        """A place so deep inside, or outside if negative, and the direction out of the shape there."""
        outward = direction(rng)
        return self.center_m + outward * (self.radius_m - depth_m), outward

    def moved(self, by_m: Floats) -> Disc:
        return Disc(center_m=self.center_m + by_m, radius_m=self.radius_m)

    def shape(self, plane: Plane) -> Circle:
        lat, lng = plane.degrees(self.center_m[None])
        return Circle(center=LatLng(lat=float(lat[0]), lng=float(lng[0])), radius_m=self.radius_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convex:
    """A convex polygon."""

    corners_m: Floats
    """Shape (k, 2), counterclockwise."""

    @property
    def center_m(self) -> Floats:
        return np.asarray(self.corners_m.mean(axis=0))

    @property
    def reach_m(self) -> float:
        return float(np.hypot(*(self.corners_m - self.center_m).T).max())

    @property
    def depth_most_m(self) -> float:
        """How deep the centre lies."""
        return float(self.depth_m(self.center_m[None])[0])

    def depth_m(self, at_m: Floats) -> Floats:
        """Distances to the border inside, positive; outside only the sign is right."""
        along = np.roll(self.corners_m, -1, axis=0) - self.corners_m
        to = at_m[:, None, :] - self.corners_m[None]
        left_m = (along[:, 0] * to[:, :, 1] - along[:, 1] * to[:, :, 0]) / np.hypot(*along.T)
        return np.asarray(left_m.min(axis=1))

    def spot(self, rng: np.random.Generator, depth_m: float) -> tuple[Floats, Floats]:
        """As `Disc.spot`, off the middle of a side; inside no other side is much nearer."""
        places = [self._off_side(rng, depth_m) for _ in range(SEARCHES)]
        if depth_m < 0.0:
            return places[0]
        depths_m = self.depth_m(np.array([place for place, _ in places]))
        return places[int(np.argmin(np.abs(depths_m - depth_m)))]

    def moved(self, by_m: Floats) -> Convex:
        return Convex(corners_m=self.corners_m + by_m)

    def shape(self, plane: Plane) -> Area:
        lat, lng = plane.degrees(np.vstack([self.corners_m, self.corners_m[:1]]))
        head = struct.pack("<BII", 1, 6, 1) + struct.pack("<BIII", 1, 3, 1, len(lat))
        return Area(wkb=head + np.column_stack([lng, lat]).astype("<f8").tobytes())

    def _off_side(self, rng: np.random.Generator, depth_m: float) -> tuple[Floats, Floats]:
        side = int(rng.integers(len(self.corners_m)))
        start, end = self.corners_m[side], self.corners_m[(side + 1) % len(self.corners_m)]
        along = (end - start) / np.hypot(*(end - start))
        outward = np.array([along[1], -along[0]])
        return start + (end - start) * rng.uniform(0.3, 0.7) - outward * depth_m, outward


Shape: TypeAlias = Disc | Convex


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where somebody really was: straight and at one speed from each corner to the next."""

    at_s: Floats
    """Shape (k,), from 0 on."""
    corners_m: Floats
    """Shape (k, 2)."""

    def places_m(self, at_s: Floats) -> Floats:
        """Shape (n, 2)."""
        x_m, y_m = self.corners_m.T
        return np.column_stack([np.interp(at_s, self.at_s, x_m), np.interp(at_s, self.at_s, y_m)])

    def stays(self, shape: Shape) -> Iterator[tuple[float, float]]:
        """When it is inside a shape: from and until, seconds. It must begin and end outside."""
        at_s = np.arange(0.0, float(self.at_s[-1]) + SAMPLE_S, SAMPLE_S)
        inside = shape.depth_m(self.places_m(at_s)) >= 0.0
        assert not inside[[0, -1]].any(), "a path begins and ends outside of all fences"
        turns = at_s[1:][np.diff(inside)]
        yield from zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)


class Walk:
    """Makes a path, leg by leg."""

    def __init__(self, begin_m: Floats) -> None:
        self._at_s = [0.0]
        self._corners_m = [begin_m]

    @property
    def now_s(self) -> float:
        return self._at_s[-1]

    def to(self, place_m: Floats, speed_mps: float) -> Walk:
        way_m = float(np.hypot(*(place_m - self._corners_m[-1])))
        return self._reach(place_m, way_m / speed_mps)

    def stay(self, seconds: float) -> Walk:
        return self._reach(self._corners_m[-1], seconds)

    def path(self) -> Path:
        return Path(at_s=np.array(self._at_s), corners_m=np.array(self._corners_m))

    def _reach(self, place_m: Floats, seconds: float) -> Walk:
        self._at_s.append(self.now_s + max(seconds, 1e-3))
        self._corners_m.append(place_m)
        return self


def direction(rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0.0, 2.0 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def place_within(rng: np.random.Generator, shape: Shape, clear_m: float) -> Floats:
    """A place inside that is at least so far from the border, or the centre if the shape is too small for that."""
    reach_m = shape.reach_m
    places = shape.center_m + rng.uniform(-reach_m, reach_m, (SEARCHES, 2))
    deep = np.flatnonzero(shape.depth_m(places) >= clear_m)
    return np.asarray(places[deep[0]] if len(deep) else shape.center_m)


def some_shape(rng: np.random.Generator, least_m: float, most_m: float) -> Shape:
    """A disc or a convex polygon of 4 to 9 corners about the origin; its radius is log-uniform in the range."""
    radius_m = log_uniform(rng, least_m, most_m)
    if rng.random() < 0.5:  # noqa: PLR2004 - one in two
        return Disc(center_m=np.zeros(2), radius_m=radius_m)
    corners = int(rng.integers(4, 10))
    angle = 2.0 * math.pi * (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) / corners
    turned = rng.uniform(0.0, 2.0 * math.pi)
    ring = np.column_stack([np.cos(angle), np.sin(angle) * rng.uniform(0.7, 1.0)]) * radius_m
    return Convex(corners_m=rotated(ring, turned))


def rotated(at_m: Floats, angle: float) -> Floats:
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray(at_m @ turn)


def log_uniform(rng: np.random.Generator, least: float, most: float) -> float:
    return float(np.exp(rng.uniform(math.log(least), math.log(most))))
