"""DuckDB's spatial join under the protocol, one thread. It knows no ellipsoid, so a circle is a polygon of 64 corners.

The corners lie on the circle, at geodesic distances. Its edges cut off at most r (1 - cos(pi / 64)), 0.12 % of the
radius: nearer to a border its verdict may be another. Polygons are compared as all others are.
"""

from __future__ import annotations

import struct
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.geodesy import WGS84
from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import EXACT_M, ROUNDING_M, Peer
from lbs.bench.extras import extra

if TYPE_CHECKING:
    from geofences.model import Floats
    from lbs.bench.engine_workload import Fences, Workload

CORNERS = 64
CUT_OFF = (1.0 - np.cos(np.pi / CORNERS)) * 1.02
"""Of the radius; the two per cent are for edges that are straight in lon/lat and not on the ground."""
JOIN = """
SELECT p.position, f.fence_id
FROM positions AS p
JOIN fences AS f ON ST_Intersects(f.shape, p.at)
"""


class DuckJoin(Peer):
    name = "duckdb_spatial"
    sample = 200_000

    def __init__(self) -> None:
        self._connection: Any = None
        self._positions = 0

    def prepare(self, workload: Workload) -> None:
        duckdb, arrow = extra("duckdb"), extra("pyarrow")
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute(f"LOAD '{_extension(duckdb.__version__)}'")
        n = self._positions = min(self.sample, len(workload.lat))
        fences = workload.fences
        fence_rows = arrow.table({"fence_id": np.arange(len(fences)), "wkb": _polygons(fences)})
        position_rows = arrow.table({"position": np.arange(n), "lng": workload.lng[:n], "lat": workload.lat[:n]})
        for name, rows, columns in (
            ("fences", fence_rows, "fence_id, ST_GeomFromWKB(wkb) AS shape"),
            ("positions", position_rows, "position, ST_Point(lng, lat) AS at"),
        ):
            self._connection.register("given", rows)
            self._connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM given")  # noqa: S608 - ours
            self._connection.unregister("given")

    def answers(self, n: int) -> Answers:
        found = self._connection.execute(JOIN).fetchnumpy()
        return Answers(position=np.asarray(found["position"]), fence=np.asarray(found["fence_id"])).within(n)

    def tolerance_m(self, fences: Fences) -> Floats:
        return np.where(fences.is_circle, EXACT_M + CUT_OFF * fences.radius_m, ROUNDING_M)

    def run(self, n: int) -> None:
        assert n == self._positions, "the join is of the whole table"
        self._connection.execute(JOIN).fetchnumpy()

    def explain(self) -> str:
        rows = self._connection.execute(f"EXPLAIN {JOIN}").fetchall()
        return "\n".join(text for _, text in rows)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _extension(version: str) -> str:
    """The file that the package of the extension brings; DuckDB would fetch it from its own server otherwise."""
    extra("duckdb_extension_spatial")
    return str(files("duckdb_extension_spatial") / "extensions" / f"v{version}" / "spatial.duckdb_extension")


def _polygons(fences: Fences) -> list[bytes]:
    """Every fence as a polygon in well-known binary."""
    circles = np.flatnonzero(fences.is_circle)
    rings = iter(circle_rings(fences.lat[circles], fences.lng[circles], fences.radius_m[circles]))
    head = struct.pack("<BIII", 1, 3, 1, CORNERS + 1)
    return [
        head + next(rings).astype("<f8").tobytes() if is_circle else fences.polygon_wkb(i)
        for i, is_circle in enumerate(fences.is_circle.tolist())
    ]


def circle_rings(lat: Floats, lng: Floats, radius_m: Floats) -> Floats:
    """Closed rings inscribed in circles, shape (n, 65, 2): lng and lat in degrees, counterclockwise."""
    azimuth_deg = np.linspace(360.0, 0.0, CORNERS, endpoint=False)
    turn, n = len(azimuth_deg), len(lat)
    ring_lng, ring_lat, _ = WGS84.fwd(
        np.repeat(lng, turn), np.repeat(lat, turn), np.tile(azimuth_deg, n), np.repeat(radius_m, turn)
    )
    corners = np.stack([ring_lng, ring_lat], axis=-1).reshape(n, turn, 2)
    return np.concatenate([corners, corners[:, :1]], axis=1)
