"""Redis GEOSEARCH under the protocol, pipelined: circles only, on a sphere.

Redis keeps points, not fences: it is asked for the centres within the largest radius, and the answer is cut to each
circle's own radius here (not timed). Its distances are those of a sphere of 6,372,797.56 m, up to 0.6 % from the
ellipsoid's, between points on a grid of about half a metre: so near to a border its verdict may be another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from redis.connection import parse_url

from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import Peer
from lbs.bench.engine_wire import Wire, command

if TYPE_CHECKING:
    from geofences.model import Floats
    from lbs.bench.engine_workload import Fences, Workload

SPHERE_ERROR = 0.006
"""The ellipsoid's radii of curvature lie between 6,335,439 and 6,399,594 m."""
GRID_M = 0.8
"""A coordinate has 26 bits: steps of 0.6 m of longitude and 0.3 m of latitude."""
KEY = "lbs:bench:fences"


class GeoSearch(Peer):
    name = "redis_geosearch"
    sample = 20_000

    def __init__(self, url: str) -> None:
        given = parse_url(url)
        self._wire = Wire(given.get("host", "localhost"), int(given.get("port", 6379)))
        if "password" in given:
            self._wire.send([command("AUTH", *(given[key] for key in ("username", "password") if key in given))])
        self._searches: list[bytes] = []
        self._radius_m: Floats = np.empty(0)

    def prepare(self, workload: Workload) -> None:
        fences = workload.fences
        lat, lng = fences.lat.tolist(), fences.lng.tolist()
        circles = np.flatnonzero(fences.is_circle).tolist()
        self._wire.send([command("DEL", KEY)])
        self._wire.send([command("GEOADD", KEY, repr(lng[i]), repr(lat[i]), str(i)) for i in circles])
        self._radius_m = fences.radius_m
        farthest_m = float(fences.radius_m[fences.is_circle].max()) * (1.0 + SPHERE_ERROR) + GRID_M
        around = ("BYRADIUS", f"{farthest_m:.2f}", "m", "WITHDIST")
        self._searches = [
            command("GEOSEARCH", KEY, "FROMLONLAT", repr(x), repr(y), *around)
            for x, y in zip(workload.lng[: self.sample].tolist(), workload.lat[: self.sample].tolist(), strict=True)
        ]

    def answers(self, n: int) -> Answers:
        rows = [
            (i, int(fence), float(distance_m)) for i, found in enumerate(self._ask(n)) for fence, distance_m in found
        ]
        position, fence, away_m = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        position, fence = position.astype(np.int64), fence.astype(np.int64)
        inside = away_m <= self._radius_m[fence]
        return Answers(position=position[inside], fence=fence[inside])

    def tolerance_m(self, fences: Fences) -> Floats:
        return np.where(fences.is_circle, GRID_M + SPHERE_ERROR * fences.radius_m, np.nan)

    def run(self, n: int) -> None:
        self._ask(n)

    def explain(self) -> str:
        return "GEOSEARCH key FROMLONLAT lng lat BYRADIUS largest m WITHDIST, 500 in a pipeline"

    def close(self) -> None:
        self._wire.send([command("DEL", KEY)])

    def _ask(self, n: int) -> list[Any]:
        return self._wire.send(self._searches[:n])
