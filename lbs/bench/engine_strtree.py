"""shapely's STRtree under the protocol, all positions at once: boxes from the tree, then an exact test of what is left.

Circles stand in the tree as boxes that hold them, and are decided by the chord between earth-centred coordinates, which
is right to 1 cm; polygons are prepared and asked by GEOS.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geofences.geodesy import chord_limit_m, ecef_m
from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import Peer, exact_tolerance_m

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geofences.model import Bools, Floats
    from lbs.bench.engine_workload import Fences, Workload


class Tree(Peer):
    name = "shapely_strtree"
    sample = 100_000

    def __init__(self) -> None:
        self._tree: Any = None
        self._shapes: NDArray[np.object_] = np.empty(0, dtype=np.object_)
        self._is_circle: Bools = np.empty(0, dtype=np.bool_)
        self._center_m: Floats = np.empty((0, 3))
        self._limit2_m2: Floats = np.empty(0)
        self._lat: Floats = np.empty(0)
        self._lng: Floats = np.empty(0)

    def prepare(self, workload: Workload) -> None:
        fences = workload.fences
        self._shapes = shapes_of(fences)
        shapely.prepare(self._shapes)
        self._tree = shapely.STRtree(self._shapes)
        self._is_circle = fences.is_circle
        self._center_m = np.column_stack(ecef_m(fences.lat, fences.lng))
        self._limit2_m2 = chord_limit_m(fences.lat, fences.radius_m) ** 2
        self._lat, self._lng = workload.lat, workload.lng

    def answers(self, n: int) -> Answers:
        lat, lng = self._lat[:n], self._lng[:n]
        position, fence = self._tree.query(shapely.points(lng, lat))
        is_circle = self._is_circle[fence]
        inside = np.empty(len(fence), dtype=np.bool_)
        circles, polygons = np.flatnonzero(is_circle), np.flatnonzero(~is_circle)
        at_m = np.column_stack(ecef_m(lat, lng))
        chord_m = at_m[position[circles]] - self._center_m[fence[circles]]
        inside[circles] = (chord_m * chord_m).sum(axis=1) <= self._limit2_m2[fence[circles]]
        asked = position[polygons]
        inside[polygons] = shapely.intersects_xy(self._shapes[fence[polygons]], lng[asked], lat[asked])
        return Answers(position=position[inside], fence=fence[inside])

    def tolerance_m(self, fences: Fences) -> Floats:
        return exact_tolerance_m(fences)

    def run(self, n: int) -> None:
        self.answers(n)

    def explain(self) -> str:
        return "STRtree.query of boxes, then chords for circles and intersects_xy for polygons"

    def close(self) -> None:
        self._tree = None
        self._shapes = np.empty(0, dtype=np.object_)


def shapes_of(fences: Fences) -> NDArray[np.object_]:
    """Polygons, and the boxes of circles."""
    shapes = np.empty(len(fences), dtype=np.object_)
    shapes[fences.is_circle] = shapely.box(*fences.circle_boxes().T)
    polygons = np.flatnonzero(~fences.is_circle)
    shapes[polygons] = shapely.from_wkb([fences.polygon_wkb(i) for i in polygons.tolist()])
    return shapes
