"""PostGIS under the protocol: a prepared query a position, and one join of many positions. The SQL is in queries.sql.

Circles by their geodesic on the ellipsoid, polygons by their straight edges in lon/lat: the same meaning as ours. One
connection without parallel workers, so one core of the server; the positions of the join are in a table already.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.sql import queries
from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import Peer, exact_tolerance_m
from lbs.connections import Role, database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geofences.model import Floats
    from lbs.bench.engine_workload import Fences, Workload
    from lbs.bench.home import BenchHome

WGS84_SRID = 4326
HAS_SRID = 0x2000_0000
"""The bit of a geometry's type that says in extended well-known binary that its SRID follows."""


class FenceTable:
    """The fences in PostgreSQL, with an index, and a connection to ask through. Both ways of asking share it."""

    def __init__(self, home: BenchHome) -> None:
        self._pooled = database(home.settings, Role.ADMIN).raw_connection()
        driver: Any = self._pooled.driver_connection
        driver.autocommit = True
        self.cursor: Any = driver.cursor()
        self._filled_for: Workload | None = None

    def fill(self, workload: Workload) -> None:
        """Once a workload, whoever asks first."""
        if self._filled_for is workload:
            return
        cursor = self.cursor
        cursor.execute("DROP SCHEMA IF EXISTS bench CASCADE")
        cursor.execute("CREATE SCHEMA bench")
        cursor.execute("DISCARD ALL")
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SET search_path = public")
        cursor.execute(sql("fence_table"))
        cursor.copy_expert(sql("copy_fences"), Lines(_fence_lines(workload.fences)))
        cursor.execute(sql("fence_index"))
        cursor.execute("VACUUM ANALYZE bench.fences")
        self._filled_for = workload

    def explain(self, statement: str, parameters: Sequence[object] = ()) -> str:
        self.cursor.execute(f"EXPLAIN {statement}", parameters)
        return "\n".join(line for (line,) in self.cursor.fetchall())

    def close(self) -> None:
        self._filled_for = None
        self.cursor.execute("DROP SCHEMA IF EXISTS bench CASCADE")


class PreparedQueries(Peer):
    """One EXECUTE a position."""

    name = "postgis_prepared"
    sample = 4_000

    def __init__(self, table: FenceTable) -> None:
        self._table = table
        self._places: list[tuple[float, float]] = []

    def prepare(self, workload: Workload) -> None:
        self._table.fill(workload)
        self._table.cursor.execute(sql("prepare_match"))
        self._places = list(
            zip(workload.lng[: self.sample].tolist(), workload.lat[: self.sample].tolist(), strict=True)
        )

    def answers(self, n: int) -> Answers:
        pairs = [(i, fence) for i, place in enumerate(self._places[:n]) for (fence,) in self._ask(place)]
        return as_answers(pairs)

    def tolerance_m(self, fences: Fences) -> Floats:
        return exact_tolerance_m(fences)

    def run(self, n: int) -> None:
        for place in self._places[:n]:
            self._ask(place)

    def explain(self) -> str:
        return self._table.explain("EXECUTE bench_match (%s, %s)", self._places[0])

    def close(self) -> None:
        self._table.close()

    def _ask(self, place: tuple[float, float]) -> list[tuple[int]]:
        cursor = self._table.cursor
        cursor.execute("EXECUTE bench_match (%s, %s)", place)
        found: list[tuple[int]] = cursor.fetchall()
        return found


class Join(Peer):
    """One statement for all positions."""

    name = "postgis_join"
    sample = 20_000

    def __init__(self, table: FenceTable) -> None:
        self._table = table
        self._positions = 0

    def prepare(self, workload: Workload) -> None:
        self._table.fill(workload)
        cursor = self._table.cursor
        cursor.execute(sql("position_table"))
        lat, lng = workload.lat[: self.sample], workload.lng[: self.sample]
        self._positions = len(lat)
        lines = (f"{i}\t{point_hex(x, y)}\n" for i, (x, y) in enumerate(zip(lng.tolist(), lat.tolist(), strict=True)))
        cursor.copy_expert(sql("copy_positions"), Lines(lines))
        cursor.execute("ANALYZE bench_positions")

    def answers(self, n: int) -> Answers:
        return as_answers(self._ask()).within(n)

    def tolerance_m(self, fences: Fences) -> Floats:
        return exact_tolerance_m(fences)

    def run(self, n: int) -> None:
        assert n == self._positions, "the join is of the whole table"
        self._ask()

    def explain(self) -> str:
        return self._table.explain(sql("match_join"))

    def close(self) -> None:
        self._table.close()

    def _ask(self) -> list[tuple[int, int]]:
        self._table.cursor.execute(sql("match_join"))
        pairs: list[tuple[int, int]] = self._table.cursor.fetchall()
        return pairs


def sql(name: str) -> str:
    return queries("lbs.bench")[name].text


def as_answers(pairs: Sequence[tuple[int, int]]) -> Answers:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Answers(position=columns[:, 0], fence=columns[:, 1])


class Lines:
    """Lines as a file that COPY reads, made as it asks for them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = ""

    def read(self, size: int) -> str:
        parts, length = [self._rest], len(self._rest)
        while length < size and (line := next(self._lines, None)) is not None:
            parts.append(line)
            length += len(line)
        text = "".join(parts)
        self._rest = text[size:]
        return text[:size]


def point_hex(lng: float, lat: float) -> str:
    return struct.pack("<BIIdd", 1, 1 | HAS_SRID, WGS84_SRID, lng, lat).hex()


def _fence_lines(fences: Fences) -> Iterator[str]:
    boxes = iter(fences.circle_boxes().tolist())
    for i in range(len(fences)):
        if fences.is_circle[i]:
            west, south, east, north = next(boxes)
            corners = np.array([(west, south), (east, south), (east, north), (west, north), (west, south)])
            center = point_hex(float(fences.lng[i]), float(fences.lat[i]))
            yield f"{i}\t{float(fences.radius_m[i])!r}\t{center}\t{polygon_hex(corners)}\n"
        else:
            yield f"{i}\t\\N\t\\N\t{polygon_hex(fences.ring(i))}\n"


def polygon_hex(ring: Floats) -> str:
    head = struct.pack("<BIIII", 1, 3 | HAS_SRID, WGS84_SRID, 1, len(ring))
    return (head + ring.astype("<f8").tobytes()).hex()
