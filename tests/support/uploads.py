"""Uploads as texts, for the tests of their readers."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from geofences.import_columns import FENCE_FIELDS, STORE_FIELDS, ColumnMap
from geofences.import_fences import read_fences
from geofences.import_files import read_rows
from geofences.importing import read_stores

if TYPE_CHECKING:
    from geofences.import_fences import FenceRow
    from geofences.importing import Upload
    from geofences.places import StoreInput

AT = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "external_id,name,lat,lng"


def stores(text: str, column_map: str = "", **more: Any) -> Upload[StoreInput]:
    return read_stores(read_rows(io.StringIO(text)), columns=ColumnMap.parse(column_map, STORE_FIELDS), at=AT, **more)


def fences(text: str, profile: str = "standard") -> Upload[FenceRow]:
    return read_fences(read_rows(io.StringIO(text)), columns=ColumnMap(fields=FENCE_FIELDS), profile=profile)


def feature(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    identity = {"id": properties.pop("feature_id")} if "feature_id" in properties else {}
    point = {"type": "Point", "coordinates": [24.94, 60.17]}
    return {"type": "Feature", **identity, "properties": properties, "geometry": geometry or point}


def collection(*features: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features)})


def only(upload: Upload[Any]) -> Any:
    assert not upload.refused
    ((_, value),) = upload.accepted.values()
    return value
