"""A fence's shape as requests and answers write it: GeoJSON, or a centre and a radius."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from geofences import geo
from geofences.model import Area, Circle, LatLng
from lbs.fields import Latitude, Longitude


class PointBody(BaseModel):
    """A place."""

    model_config = ConfigDict(extra="forbid")

    lat: Latitude
    lng: Longitude

    def to_latlng(self) -> LatLng:
        return LatLng(lat=self.lat, lng=self.lng)


class ShapeBody(BaseModel):
    """Either `geometry` (Polygon or MultiPolygon; or Point with `radius_m`) or `center` with `radius_m`."""

    model_config = ConfigDict(extra="forbid")

    geometry: Annotated[
        dict[str, Any] | None,
        Field(
            description="GeoJSON as RFC 7946 says. Straight edges in longitude and latitude; the border is inside.",
            examples=[
                {
                    "type": "Polygon",
                    "coordinates": [[[24.93, 60.16], [24.95, 60.16], [24.95, 60.17], [24.93, 60.17], [24.93, 60.16]]],
                }
            ],
        ),
    ] = None
    center: PointBody | None = None
    radius_m: Annotated[float | None, Field(ge=1, le=100_000, allow_inf_nan=False)] = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.geometry is None) == (self.center is None):
            raise ValueError("give either geometry or center with radius_m")
        if self.center is not None and self.radius_m is None:
            raise ValueError("a center needs radius_m")
        return self

    def to_shape(self) -> tuple[Circle | Area, list[str]]:
        """The shape, and what was changed about it; InvalidGeometryError says what is wrong and where."""
        if self.center is not None:
            assert self.radius_m is not None
            return geo.circle(self.center.to_latlng(), self.radius_m), []
        assert self.geometry is not None
        return geo.parse_geometry(self.geometry, radius_m=self.radius_m)


def shape_fields(shape: Circle | Area) -> dict[str, Any]:
    """`geometry` and `radius_m` of an answer; a circle is a Point with its radius."""
    return {"geometry": geo.to_geojson(shape), "radius_m": shape.radius_m if isinstance(shape, Circle) else None}
