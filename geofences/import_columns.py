"""Which column of an upload means what, and its cells as values. Pure.

A column is known by its name or by what `--map` says; what is not known becomes an attribute.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from geofences.errors import GeofencesError
from geofences.import_rows import UnreadableFileError
from geofences.model import SETTINGS_AT_MOST, LatLng

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geofences.import_rows import Row

Fields = dict[str, tuple[str, ...]]
"""Column names that mean a field, the best first."""

PLACE: Final[Fields] = {
    "external_id": ("external_id", "id"),
    "name": ("name",),
    "brand": ("brand",),
    "lat": ("lat", "latitude"),
    "lng": ("lng", "lon", "longitude"),
    "address": ("address",),
}
STORE_FIELDS: Final[Fields] = PLACE | {
    name: (name,) for name in ("category", "timezone", "opening_hours", "phone", "url")
}
SETTINGS: Final = tuple(SETTINGS_AT_MOST)
FENCE_FIELDS: Final[Fields] = (
    PLACE
    | {"radius_m": ("radius_m", "radius"), "store": ("store_external_id", "store_id"), "profile": ("profile",)}
    | {name: (name,) for name in SETTINGS}
)
POSITION_FIELDS: Final[Fields] = {
    "device_id": ("device_id",),
    "recorded_at": ("recorded_at",),
    "lat": PLACE["lat"],
    "lng": PLACE["lng"],
    "accuracy_m": ("accuracy_m", "accuracy"),
    "speed_mps": ("speed_mps", "speed"),
    "mocked": ("mocked",),
}
_POLE_DEG: Final = 90.0
_HALF_TURN_DEG: Final = 180.0
_NUMBER: Final = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class MapError(GeofencesError):
    """A `--map` that cannot be meant."""


class RowRefusedError(Exception):
    """Inside the readers: this row is refused, for the reason given."""


@dataclass(slots=True, kw_only=True)
class ColumnMap:
    """Finds the fields of rows, and remembers how it did for each set of columns."""

    fields: Fields
    mapped: Mapping[str, str] = field(default_factory=dict)
    """Field by field the one column that `--map` gave it."""
    ignored: frozenset[str] = frozenset()
    _plans: dict[tuple[str, ...], tuple[dict[str, str], tuple[str, ...]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, fields: Fields) -> ColumnMap:
        """Of `external_id=id,lat=latitude,timezone=`; an empty right side ignores that column. Raises MapError.

        >>> ColumnMap.parse("lat=y,timezone=", STORE_FIELDS).mapped
        {'lat': 'y'}
        """
        mapped: dict[str, str] = {}
        ignored: set[str] = set()
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, column = (piece.strip() for piece in part.partition("="))
            if not equals or not name:
                raise MapError(f"--map: {part!r} is not of the form field=column")
            if name in mapped or name in ignored:
                raise MapError(f"--map: {name!r} stands there twice")
            if not column:
                ignored.add(name)
            elif name not in fields:
                raise MapError(f"--map: no field {name!r}; there are {', '.join(fields)}")
            else:
                mapped[name] = column
        return cls(fields=fields, mapped=mapped, ignored=frozenset(ignored))

    def pick(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The known fields of one row, and the rest; empty cells are in neither."""
        used, rest = self.plan(tuple(values))
        return (
            {name: values[column] for name, column in used.items() if not _is_empty(values[column])},
            {column: values[column] for column in rest if not _is_empty(values[column])},
        )

    def plan(self, columns: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
        """For rows with these columns: which column holds which field, and the other columns."""
        plan = self._plans.get(columns)
        if plan is None:
            plan = self._plans[columns] = self._make_plan(columns)
        return plan

    def _make_plan(self, columns: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
        by_name = {column.casefold(): column for column in reversed(columns)} | {column: column for column in columns}
        used: dict[str, str] = {}
        for name, aliases in self.fields.items():
            wanted = (self.mapped[name],) if name in self.mapped else aliases
            found = next((by_name[w] for w in wanted if w in by_name and by_name[w] not in self.ignored), None)
            if found is not None:
                used[name] = found
        taken = {*used.values(), *self.ignored}
        return used, tuple(column for column in columns if column not in taken)

    def understood(self) -> dict[str, str | None]:
        """Every column that any row had, with the field it holds; None for one that holds none."""
        found: dict[str, str | None] = {}
        for columns, (used, _) in self._plans.items():
            fields = {column: name for name, column in used.items()}
            for column in columns:
                found[column] = found.get(column) or fields.get(column)
        return found

    def check_seen(self) -> None:
        """Raises UnreadableFileError if `--map` names a column that no row had: it must be misspelt."""
        seen = {column for columns in self._plans for column in columns}
        folded = seen | {column.casefold() for column in seen}
        for name, column in self.mapped.items():
            if seen and column not in folded:
                raise UnreadableFileError(f"--map says {name}={column}, but no row has a column {column!r}")


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def text_of(name: str, value: Any) -> str | None:
    """A cell as text, as it was given; RowRefusedError if it is none or cannot be stored."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowRefusedError(f"{name} is not text")
    text = value if isinstance(value, str) else str(value)
    check_storable(name, text)
    return text


def check_storable(name: str, value: Any) -> None:
    """RowRefusedError for what PostgreSQL cannot hold: NUL, bytes that were not UTF-8, and numbers that are none."""
    match value:
        case str():
            _check_text(name, value)
        case dict():
            for key, member in value.items():
                _check_text(name, key)
                check_storable(name, member)
        case list():
            for member in value:
                check_storable(name, member)
        case float() if not math.isfinite(value):
            raise RowRefusedError(f"{name} is not a finite number")
        case _:
            pass


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise RowRefusedError(f"{name} holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RowRefusedError(f"{name} is not UTF-8") from None


def number_of(name: str, value: Any) -> float | None:
    """A cell as a finite number; RowRefusedError.

    >>> number_of("lat", "41.15"), number_of("lat", None)
    (41.15, None)
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowRefusedError(f"{name} is not a number")
    # Python would also take 1_000 and digits of other scripts
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise RowRefusedError(f"{name} is not a number: {value[:40]!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RowRefusedError(f"{name} is not a finite number")
    return number


def place_of(fields: Mapping[str, Any]) -> LatLng:
    """Where a row is; RowRefusedError for nowhere, off the earth, and (0, 0), which stands for `unknown`."""
    lat, lng = number_of("lat", fields.get("lat")), number_of("lng", fields.get("lng"))
    if lat is None or lng is None:
        raise RowRefusedError("lat is missing" if lat is None else "lng is missing")
    if abs(lat) > _POLE_DEG:
        raise RowRefusedError(f"lat {lat} is out of range")
    if abs(lng) > _HALF_TURN_DEG:
        raise RowRefusedError(f"lng {lng} is out of range")
    if lat == 0 and lng == 0:
        raise RowRefusedError("the position is (0, 0)")
    return LatLng(lat=lat, lng=lng)


def external_id_of(row: Row, columns: ColumnMap, fields: Mapping[str, Any]) -> str | None:
    """The external id as it was given, None if there is none; a feature's own id comes before a column `id`."""
    column = columns.plan(tuple(row.values))[0].get("external_id")
    is_alias = column is not None and "external_id" not in columns.mapped and column.casefold() == "id"
    value = fields.get("external_id")
    use_feature_id = "external_id" not in columns.mapped and (value is None or is_alias)
    if use_feature_id and not _is_empty(row.feature_id):
        value, column = row.feature_id, None
    if isinstance(value, float):
        # 1.50 was read as 1.5: the source knows better
        feature = json.loads(row.source, parse_float=str)
        value = feature["id"] if column is None else feature["properties"][column]
    return text_of("external_id", value)
