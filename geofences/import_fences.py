"""Rows of an upload to fences: polygons, multipolygons, and points with a radius. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geofences.errors import InvalidGeometryError
from geofences.geo import circle, kind_of, parse_geometry
from geofences.import_columns import SETTINGS, RowRefusedError, number_of, place_of, text_of
from geofences.importing import Upload, auto_id, take_row
from geofences.model import PROFILES, SETTINGS_AT_MOST, Area, Circle
from geofences.places import FenceInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geofences.import_columns import ColumnMap
    from geofences.import_rows import Broken, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRow:
    """A fence, and the store it names by the store's external id."""

    fence: FenceInput
    store_external_id: str | None
    warnings: tuple[str, ...] = ()


def read_fences(rows: Iterable[Row | Broken], *, columns: ColumnMap, profile: str) -> Upload[FenceRow]:
    """All rows as fences of `profile`, unless a row names its own."""

    def build(
        row: Row, external_id: str | None, fields: dict[str, Any], _others: dict[str, Any]
    ) -> tuple[str, FenceRow]:
        return _fence(row, external_id, fields, profile)

    upload: Upload[FenceRow] = Upload()
    for row in rows:
        upload.rows += 1
        take_row(upload, row, columns, build)
    columns.check_seen()
    for external_id, (number, read) in upload.accepted.items():
        for warning in read.warnings:
            upload.remark(number, external_id, warning)
    return upload


def _fence(row: Row, external_id: str | None, fields: dict[str, Any], profile: str) -> tuple[str, FenceRow]:
    words = {name: text_of(name, fields.get(name)) for name in ("name", "brand", "address", "store", "profile")}
    profile = words["profile"] or profile
    if profile not in PROFILES:
        raise RowRefusedError(f"no profile {profile!r}; there are {', '.join(sorted(PROFILES))}")
    shape, warnings = _shape(row, fields)
    if external_id is None:
        external_id = auto_id(words["brand"], words["name"], words["address"], _content(shape))
    fence = FenceInput(
        external_id=external_id,
        kind=kind_of(shape),
        shape=shape,
        profile=profile,
        settings=_settings(fields),
        name=words["name"],
    )
    return external_id, FenceRow(fence=fence, store_external_id=words["store"], warnings=tuple(warnings))


def _shape(row: Row, fields: dict[str, Any]) -> tuple[Circle | Area, list[str]]:
    radius_m = number_of("radius_m", fields.get("radius_m"))
    try:
        if row.geometry is None or row.geometry.get("type") == "Point":
            if radius_m is None:
                raise RowRefusedError("a point needs radius_m to be a fence")
            coordinates = {} if row.geometry is None else _lng_lat(row.geometry)
            return circle(place_of({**fields, **coordinates}), radius_m), []
        return parse_geometry(row.geometry)
    except InvalidGeometryError as error:
        raise RowRefusedError(str(error)) from error


def _lng_lat(geometry: Any) -> dict[str, Any]:
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) not in (2, 3):
        raise RowRefusedError("coordinates: expected [lng, lat]")
    return {"lng": coordinates[0], "lat": coordinates[1]}


def _content(shape: Circle | Area) -> object:
    if isinstance(shape, Circle):
        return [shape.center.lat, shape.center.lng, shape.radius_m]
    return shape.wkb.hex()


def _settings(fields: dict[str, Any]) -> dict[str, float]:
    """Single values that override the profile's."""
    settings = {}
    for name in SETTINGS:
        value = number_of(name, fields.get(name))
        if value is None:
            continue
        if not 0 <= value <= SETTINGS_AT_MOST[name]:
            raise RowRefusedError(f"{name} {value} is out of range: 0 to {SETTINGS_AT_MOST[name]:g}")
        settings[name] = value
    return settings
