"""The plain rule of many who use PostGIS: inside after outside is an enter, outside after inside an exit.

It takes positions as they arrive, and knows no accuracy and no mocked flag. An event is told when its
position arrives, with the time at which that was recorded. Dwell: the first position inside that was recorded 120 s
after the enter's.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from geofences.model import Circle
from lbs.bench.engine_postgis import Lines, point_hex, sql
from lbs.bench.traces_score import Event
from lbs.bench.traces_truth import TRUE_DWELL_S, US_PER_S
from lbs.connections import Role, database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lbs.bench.traces_truth import Trace
    from lbs.settings import Settings


def told_by_postgis(settings: Settings, traces: Sequence[Trace]) -> list[Event]:
    with closing(database(settings, Role.ADMIN).raw_connection()) as connection:
        cursor: Any = connection.cursor()
        cursor.execute(sql("trace_tables"))
        cursor.copy_expert(sql("copy_traced_fences"), Lines(_fence_lines(traces)))
        cursor.copy_expert(sql("copy_traced_positions"), Lines(_position_lines(traces)))
        cursor.execute("ANALYZE traced_fences, traced_positions")
        cursor.execute(sql("trace_rule"), {"dwell_us": round(TRUE_DWELL_S * US_PER_S)})
        return [
            Event(kind=kind, trace=trace, fence_id=fence_id, at_us=recorded_us, clock_us=received_us)
            for kind, trace, fence_id, recorded_us, received_us in cursor.fetchall()
        ]


def _fence_lines(traces: Sequence[Trace]) -> Iterator[str]:
    for trace in traces:
        for fence in trace.fences:
            if isinstance(fence.shape, Circle):
                center = point_hex(fence.shape.center.lng, fence.shape.center.lat)
                columns = f"{fence.shape.radius_m!r}\t{center}\t\\N"
            else:
                columns = f"\\N\t\\N\tSRID=4326;{fence.shape.wkb.hex()}"
            yield f"{fence.fence_id}\t{trace.trace}\t{columns}\n"


def _position_lines(traces: Sequence[Trace]) -> Iterator[str]:
    for trace in traces:
        columns = trace.positions[["recorded_us", "received_us", "lng", "lat"]].tolist()
        for arrival, (recorded_us, received_us, lng, lat) in enumerate(columns):
            yield f"{trace.trace}\t{arrival}\t{recorded_us}\t{received_us}\t{point_hex(lng, lat)}\n"
