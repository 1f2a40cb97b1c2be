"""Fence versions as columns, one row a slot, and the exact answers that need nothing but a row and a position."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from geofences import geo
from geofences.border import border_distance_m
from geofences.geodesy import (
    EXACT_WITHIN_M,
    HALF_TURN_DEG,
    chord_limit_m,
    circle_distance_m,
    ecef_m,
    geodesic_distance_m,
)
from geofences.model import Area, Bools, Circle, Fence, Floats, Int32s, Int64s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

US_PER_S = 1_000_000
NEVER_US = -(2**62)
"""The `valid_to_us` of a slot that holds nothing."""
BOUNDS_MARGIN_DEG = 1e-6
"""10 cm: more than rounding, and more than the 1 cm that a verdict may be off."""
_TYPES = {"Int64s": np.int64, "Int32s": np.int32, "Floats": np.float64, "Bools": np.bool_}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """All of one length. Only the index writes them; numbers that belong to circles are 0 for areas."""

    fence_id: Int64s
    version: Int64s
    tenant_id: Int32s
    is_circle: Bools
    center_lat: Floats
    center_lng: Floats
    x_m: Floats
    y_m: Floats
    z_m: Floats
    radius_m: Floats
    chord_limit_m: Floats
    south: Floats
    west: Floats
    north: Floats
    east: Floats
    """Bounds in degrees, a little wider than the shape."""
    area_m2: Floats
    valid_from_us: Int64s
    valid_to_us: Int64s
    enter_after_us: Int64s
    exit_after_us: Int64s
    exit_buffer_m: Floats
    min_confidence: Floats
    dwell_us: Int64s
    hold_us: Int64s
    gap_us: Int64s
    geometry: NDArray[np.object_]
    """What `geo.covers` takes; None for a circle."""
    edges: NDArray[np.object_]
    """The borders that `border_distance_m` takes, an array (m, 4) an area; None for a circle."""
    fence: NDArray[np.object_]

    @classmethod
    def empty(cls, slots: int) -> Self:
        columns: dict[str, Any] = {
            f.name: np.zeros(slots, dtype=_TYPES.get(str(f.type), np.object_)) for f in fields(cls)
        }
        columns["valid_to_us"].fill(NEVER_US)
        for name in ("geometry", "edges", "fence"):
            columns[name].fill(None)
        return cls(**columns)

    def grown(self, slots: int) -> Columns:
        """A longer copy; readers keep the shorter one."""
        wide = Columns.empty(slots)
        for field in fields(self):
            old = getattr(self, field.name)
            getattr(wide, field.name)[: len(old)] = old
        return wide

    def fill(self, slot: Int32s, fences: Sequence[Fence]) -> None:
        """Write versions into empty slots. Their times come last: until then a slot is never in force."""
        self.fence[slot] = as_objects(fences)
        self.fence_id[slot] = [fence.fence_id for fence in fences]
        self.version[slot] = [fence.version for fence in fences]
        self.tenant_id[slot] = [fence.tenant_id for fence in fences]
        profiles = [fence.profile for fence in fences]
        self.enter_after_us[slot] = _us(profile.enter_after_s for profile in profiles)
        self.exit_after_us[slot] = _us(profile.exit_after_s for profile in profiles)
        self.exit_buffer_m[slot] = [profile.exit_buffer_m for profile in profiles]
        self.min_confidence[slot] = [profile.min_confidence for profile in profiles]
        self.dwell_us[slot] = _us(profile.dwell_s for profile in profiles)
        self.hold_us[slot] = _us(profile.hold_s for profile in profiles)
        self.gap_us[slot] = _us(profile.gap_s for profile in profiles)
        circles = [
            (s, fence.shape) for s, fence in zip(slot.tolist(), fences, strict=True) if isinstance(fence.shape, Circle)
        ]
        if circles:
            self._fill_circles(np.array([s for s, _ in circles], dtype=np.int32), [shape for _, shape in circles])
        areas = [
            (s, fence.shape) for s, fence in zip(slot.tolist(), fences, strict=True) if isinstance(fence.shape, Area)
        ]
        if areas:
            self._fill_areas(np.array([s for s, _ in areas], dtype=np.int32), [shape for _, shape in areas])
        self.valid_from_us[slot] = [fence.valid_from_us for fence in fences]
        self.valid_to_us[slot] = [fence.valid_to_us for fence in fences]

    def clear(self, slot: int) -> None:
        self.valid_to_us[slot] = NEVER_US
        self.geometry[slot] = self.edges[slot] = self.fence[slot] = None

    def near(self, slot: Int32s, lat: Floats, lng: Floats) -> Bools:
        """Whether each position lies in the bounds of its slot: false only where `inside` is; all of shape (k,)."""
        in_belt = (self.south[slot] <= lat) & (lat <= self.north[slot])
        return np.asarray(in_belt & (self.west[slot] <= lng) & (lng <= self.east[slot]))

    def inside(self, slot: Int32s, lat: Floats, lng: Floats) -> Bools:
        """Whether each position lies in the shape of its slot, border included; all of shape (k,)."""
        inside = np.zeros(len(slot), dtype=np.bool_)
        is_circle = self.is_circle[slot]
        rows = np.flatnonzero(is_circle)
        inside[rows] = self._inside_circle(slot[rows], lat[rows], lng[rows])
        rows = np.flatnonzero(~is_circle)
        inside[rows] = geo.covers(self.geometry[slot[rows]], lat[rows], lng[rows])
        return inside

    def signed_distance_m(self, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
        """From each position to the border of its slot's shape, metres: >= 0 where `inside`, negative elsewhere."""
        distance_m = np.empty(len(slot), dtype=np.float64)
        is_circle = self.is_circle[slot]
        rows = np.flatnonzero(is_circle)
        own = slot[rows]
        distance_m[rows] = circle_distance_m(
            center_lat=self.center_lat[own],
            center_lng=self.center_lng[own],
            radius_m=self.radius_m[own],
            chord_m=self._chord_m(own, lat[rows], lng[rows]),
            lat=lat[rows],
            lng=lng[rows],
        )
        rows = np.flatnonzero(~is_circle)
        distance_m[rows] = self._area_distance_m(slot[rows], lat[rows], lng[rows])
        return distance_m

    def _fill_circles(self, slot: Int32s, shapes: Sequence[Circle]) -> None:
        lat, lng = np.array([s.center.lat for s in shapes]), np.array([s.center.lng for s in shapes])
        radius_m = np.array([s.radius_m for s in shapes])
        self.is_circle[slot] = True
        self.center_lat[slot], self.center_lng[slot], self.radius_m[slot] = lat, lng, radius_m
        self.x_m[slot], self.y_m[slot], self.z_m[slot] = ecef_m(lat, lng)
        self.chord_limit_m[slot] = chord_limit_m(lat, radius_m)
        self.area_m2[slot] = [geo.area_m2(s) for s in shapes]
        boxes = [geo.bounding_box(s) for s in shapes]
        self._fill_bounds(slot, np.array([[b.south, b.west, b.north, b.east] for b in boxes]))

    def _fill_areas(self, slot: Int32s, shapes: Sequence[Area]) -> None:
        areas = geo.area_columns(shapes)
        self.is_circle[slot] = False
        self.geometry[slot], self.edges[slot] = areas.geometry, as_objects(areas.edges)
        self.area_m2[slot] = areas.area_m2
        self._fill_bounds(slot, areas.bounds)

    def _fill_bounds(self, slot: Int32s, bounds: Floats) -> None:
        """Bounds with a margin; a box that reaches 180 degrees or goes across it is open to both sides."""
        south, west, north, east = bounds.T
        across = (
            (west > east) | (west - BOUNDS_MARGIN_DEG < -HALF_TURN_DEG) | (east + BOUNDS_MARGIN_DEG > HALF_TURN_DEG)
        )
        self.south[slot], self.north[slot] = south - BOUNDS_MARGIN_DEG, north + BOUNDS_MARGIN_DEG
        self.west[slot] = np.where(across, -np.inf, west - BOUNDS_MARGIN_DEG)
        self.east[slot] = np.where(across, np.inf, east + BOUNDS_MARGIN_DEG)

    def _chord_m(self, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
        x_m, y_m, z_m = ecef_m(lat, lng)
        dx_m, dy_m, dz_m = x_m - self.x_m[slot], y_m - self.y_m[slot], z_m - self.z_m[slot]
        return np.asarray(np.sqrt(dx_m * dx_m + dy_m * dy_m + dz_m * dz_m))

    def _inside_circle(self, slot: Int32s, lat: Floats, lng: Floats) -> Bools:
        """The chord decides, except so near to the border that its error could show: there the geodesic is asked."""
        left_m = self.chord_limit_m[slot] - self._chord_m(slot, lat, lng)
        inside: Bools = left_m >= 0.0
        near = np.flatnonzero(np.abs(left_m) < EXACT_WITHIN_M)
        if len(near):
            own = slot[near]
            away_m = geodesic_distance_m(self.center_lat[own], self.center_lng[own], lat[near], lng[near])
            inside[near] = away_m <= self.radius_m[own]
        return inside

    def _area_distance_m(self, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
        if not len(slot):
            return np.empty(0, dtype=np.float64)
        slots, which = np.unique(slot, return_inverse=True)
        edges = self.edges[slots].tolist()
        count = np.array([len(e) for e in edges], dtype=np.int64)
        first = np.cumsum(count) - count
        distance_m = border_distance_m(np.concatenate(edges), first[which], count[which], lat, lng)
        return np.where(geo.covers(self.geometry[slot], lat, lng), distance_m, -distance_m)


def as_objects(items: Sequence[object]) -> NDArray[np.object_]:
    """A column of objects, which numpy does not look into."""
    column = np.empty(len(items), dtype=np.object_)
    column[:] = items
    return column


def _us(seconds: Iterable[float]) -> list[int]:
    return [round(s * US_PER_S) for s in seconds]
