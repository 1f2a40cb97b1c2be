"""The sample city: its stores, and the flat plane in metres on which the demo's people walk."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from geofences.model import LatLng

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DATA_FILE: Final = "helsinki.geojson"
TIMEZONE: Final = "Europe/Helsinki"
METRES_PER_DEGREE: Final = 111_320.0
"""Of latitude, on a sphere; over the two kilometres of the city the error stays below a few metres."""
PASSED_M: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A point of the plane, in metres east and north of its middle."""

    x_m: float
    y_m: float

    def distance_m(self, other: Spot) -> float:
        return math.hypot(self.x_m - other.x_m, self.y_m - other.y_m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """An equirectangular plane about `middle`: fine for a city, wrong for a country."""

    middle: LatLng

    def spot(self, at: LatLng) -> Spot:
        return Spot(
            x_m=(at.lng - self.middle.lng) * METRES_PER_DEGREE * math.cos(math.radians(self.middle.lat)),
            y_m=(at.lat - self.middle.lat) * METRES_PER_DEGREE,
        )

    def place(self, spot: Spot) -> LatLng:
        return LatLng(
            lat=self.middle.lat + spot.y_m / METRES_PER_DEGREE,
            lng=self.middle.lng + spot.x_m / (METRES_PER_DEGREE * math.cos(math.radians(self.middle.lat))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A store of the sample city."""

    external_id: str
    name: str
    category: str
    spot: Spot
    has_hours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """All stores, and the features they came from."""

    plane: Plane
    shops: Sequence[Shop]
    features: Sequence[dict[str, Any]]

    def of(self, *categories: str) -> list[Shop]:
        """The stores of these categories, in the order of the file."""
        return [shop for shop in self.shops if shop.category in categories]

    def busiest(self, shops: Iterable[Shop]) -> Shop:
        """The one with the most neighbours, which people pass on their way to them."""
        return max(shops, key=lambda shop: sum(shop.spot.distance_m(near.spot) < PASSED_M for near in self.shops))

    def write(self, path: Path, shops: Iterable[Shop]) -> None:
        """Write some stores as GeoJSON, as an upload would look."""
        wanted = {shop.external_id for shop in shops}
        chosen = [feature for feature in self.features if feature["id"] in wanted]
        text = json.dumps({"type": "FeatureCollection", "features": chosen}, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")


def load_city() -> City:
    """The sample city as it comes with the package."""
    text = files("lbs.demo").joinpath(DATA_FILE).read_text(encoding="utf-8")
    features = json.loads(text)["features"]
    places = [_place(feature) for feature in features]
    plane = Plane(
        middle=LatLng(
            lat=(min(place.lat for place in places) + max(place.lat for place in places)) / 2,
            lng=(min(place.lng for place in places) + max(place.lng for place in places)) / 2,
        )
    )
    shops = [
        Shop(
            external_id=feature["id"],
            name=feature["properties"]["name"],
            category=feature["properties"]["category"],
            spot=plane.spot(place),
            has_hours="opening_hours" in feature["properties"],
        )
        for feature, place in zip(features, places, strict=True)
    ]
    return City(plane=plane, shops=shops, features=features)


def _place(feature: dict[str, Any]) -> LatLng:
    lng, lat = feature["geometry"]["coordinates"]
    return LatLng(lat=lat, lng=lng)
