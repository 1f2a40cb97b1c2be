"""A tenant's rows as CSV, GeoJSON or Parquet, streamed: memory does not grow with the table.

Ids are text, so that no reader rounds them. Times are ISO 8601 in UTC with Z; Parquet has them typed.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from geofences.geo import to_geojson
from geofences.model import Area
from geofences.sql import queries
from geofences.store import find_tenant
from lbs.connections import Role, database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import sqlalchemy as sa

    from lbs.settings import Settings

FETCH: Final = 5_000
"""Rows that travel, and that make a group of a Parquet file."""

TEXT, NUMBER, COUNT, TIME, JSON = "text", "number", "count", "time", "json"

COLUMNS: Final[dict[str, dict[str, str]]] = {
    "visits": {
        "visit_id": TEXT,
        "device_id": TEXT,
        "store_id": TEXT,
        "fence_id": TEXT,
        "fence_external_id": TEXT,
        "entered_at": TIME,
        "exited_at": TIME,
        "dwell_s": NUMBER,
        "ended_by": TEXT,
        "positions": COUNT,
        "confidence": NUMBER,
    },
    "events": {
        "event_id": TEXT,
        "type": TEXT,
        "device_id": TEXT,
        "fence_id": TEXT,
        "fence_external_id": TEXT,
        "at": TIME,
        "confidence": NUMBER,
    },
    "stores": {
        "store_id": TEXT,
        "external_id": TEXT,
        "name": TEXT,
        "lat": NUMBER,
        "lng": NUMBER,
        "timezone": TEXT,
    },
    "fences": {
        "fence_id": TEXT,
        "external_id": TEXT,
        "name": TEXT,
        "store_external_id": TEXT,
        "kind": TEXT,
        "lat": NUMBER,
        "lng": NUMBER,
        "radius_m": NUMBER,
        "profile": TEXT,
        "settings": JSON,
        "geometry": JSON,
    },
    "decisions": {
        "decision_id": TEXT,
        "campaign_id": TEXT,
        "campaign_name": TEXT,
        "device_id": TEXT,
        "store_id": TEXT,
        "store_external_id": TEXT,
        "trigger": TEXT,
        "outcome": TEXT,
        "reason": TEXT,
        "event_at": TIME,
        "decided_at": TIME,
    },
    "redemptions": {
        "redemption_id": TEXT,
        "campaign_id": TEXT,
        "campaign_name": TEXT,
        "store_id": TEXT,
        "store_external_id": TEXT,
        "device_id": TEXT,
        "state": TEXT,
        "order_id": TEXT,
        "amount": NUMBER,
        "currency": TEXT,
        "discount": NUMBER,
        "attributed_to": TEXT,
        "visited": TEXT,
        "redeemed_at": TIME,
        "cancelled_at": TIME,
    },
}
"""What each export holds, in this order."""


def export(
    settings: Settings,
    tenant_name: str,
    what: str,
    *,
    form: str,
    sink: BinaryIO,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Writes the rows of one kind to a sink; answers how many."""
    engine = database(settings, Role.SYSTEM)
    writer = {"csv": _write_csv, "geojson": _write_geojson, "parquet": _write_parquet}[form]
    try:
        with engine.connect() as connection:
            tenant = find_tenant(connection, tenant_name)
            # a server-side cursor: rows are fetched as they are written
            result = connection.execution_options(yield_per=FETCH).execute(
                queries("lbs.commands")[f"export_{what}"], {"tenant_id": tenant.tenant_id}
            )
            return writer(sink, COLUMNS[what], _counted(result, advance))
    finally:
        engine.dispose()


def _counted(result: sa.CursorResult[Any], advance: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    for partition in result.mappings().partitions():
        for row in partition:
            values = dict(row)
            values["geometry"] = _geometry(values)
            yield values
        advance(len(partition))


def _geometry(row: dict[str, Any]) -> dict[str, Any] | None:
    """The shape of a fence, the place of a store, or where a visit, event or decision was."""
    if row.get("wkb") is not None:
        return to_geojson(Area(wkb=bytes(row["wkb"])))
    lat, lng = (row.get(f"place_{axis}", row.get(axis)) for axis in ("lat", "lng"))
    return None if lat is None or lng is None else {"type": "Point", "coordinates": [lng, lat]}


def _plain(kind: str, value: Any) -> Any:
    """As CSV and GeoJSON write it; None stays None."""
    if value is None:
        return None
    match kind:
        case "text":
            return str(value)
        case "time":
            return iso(value)
        case _:
            return value


def iso(at: datetime) -> str:
    """In UTC, ending in Z, with as many digits as there are.

    >>> iso(datetime(2013, 7, 1, 0, 0, 58, tzinfo=UTC))
    '2013-07-01T00:00:58Z'
    """
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _write_csv(sink: BinaryIO, columns: dict[str, str], rows: Iterator[dict[str, Any]]) -> int:
    text = io.TextIOWrapper(sink, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        cells = ((kind, _plain(kind, row[name])) for name, kind in columns.items())
        writer.writerow([_compact(cell) if kind == JSON and cell is not None else cell for kind, cell in cells])
        count += 1
    text.flush()
    text.detach()  # the sink belongs to the caller
    return count


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _write_geojson(sink: BinaryIO, columns: dict[str, str], rows: Iterator[dict[str, Any]]) -> int:
    sink.write(b'{"type":"FeatureCollection","features":[')
    count = 0
    for row in rows:
        geometry = row["geometry"]
        properties = {name: _plain(kind, row[name]) for name, kind in columns.items() if name != "geometry"}
        # settings are single properties, so that an export can be imported again
        properties |= properties.pop("settings", None) or {}
        feature = {"type": "Feature", "properties": properties, "geometry": geometry}
        sink.write((b",\n" if count else b"\n") + _compact(feature).encode())
        count += 1
    sink.write(b"\n]}\n")
    sink.flush()
    return count


def _write_parquet(sink: BinaryIO, columns: dict[str, str], rows: Iterator[dict[str, Any]]) -> int:
    # pyarrow takes half a second to load, and the other formats do without it
    pa: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")

    types = {
        TEXT: pa.string(),
        NUMBER: pa.float64(),
        COUNT: pa.int64(),
        TIME: pa.timestamp("us", tz="UTC"),
        JSON: pa.string(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    count = 0
    with parquet.ParquetWriter(sink, schema) as writer:
        while group := list(islice(rows, FETCH)):
            writer.write_table(_table(pa, schema, columns, group))
            count += len(group)
    return count


def _table(pa: Any, schema: Any, columns: dict[str, str], group: Sequence[dict[str, Any]]) -> Any:
    def cell(kind: str, value: Any) -> Any:
        if value is None or kind == TIME:
            return value
        return _compact(value) if kind == JSON else _plain(kind, value)

    arrays = [
        pa.array([cell(kind, row[name]) for row in group], type=schema.field(name).type)
        for name, kind in columns.items()
    ]
    return pa.table(arrays, schema=schema)
