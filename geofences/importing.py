"""Rows of an upload to stores: what is accepted, what is refused and why, what a person should look at. Pure.

Rows come from `import_files.read_rows`. Of two rows with one external id the last one wins. A store without a time zone
gets that of its coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from geofences.import_columns import RowRefusedError, check_storable, external_id_of, place_of, text_of
from geofences.import_rows import Broken
from geofences.places import StoreInput
from geofences.zones import zone, zone_names, zones_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from geofences.import_columns import ColumnMap
    from geofences.import_rows import Row

T = TypeVar("T")

_MAX_OFFSET_GAP: Final = timedelta(hours=2)
"""Neighbouring zones differ by an hour or two; a larger gap is a wrong zone or a wrong place."""
_OSM_ADDRESS: Final = (("addr:street", "addr:housenumber"), ("addr:postcode", "addr:city"))
_NAMES: Final = ("name", "brand", "operator", "address")
"""What a store without a name is called, in this order; failing all, its external id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that was left out."""

    row: int
    external_id: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something odd in a row that was taken all the same."""

    row: int
    external_id: str
    warning: str


@dataclass(slots=True, kw_only=True)
class Upload(Generic[T]):
    """What a file comes to."""

    rows: int = 0
    accepted: dict[str, tuple[int, T]] = field(default_factory=dict)
    """By external id: the row's number and what it says."""
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def accept(self, row: int, external_id: str, value: T) -> None:
        # the last one wins, and it also takes the place of the first in the order
        self.duplicates += self.accepted.pop(external_id, None) is not None
        self.accepted[external_id] = (row, value)

    def refuse(self, row: int, external_id: str | None, reason: str) -> None:
        self.refused.append(Refused(row=row, external_id=external_id, reason=reason))

    def remark(self, row: int, external_id: str, warning: str) -> None:
        self.remarks.append(Remark(row=row, external_id=external_id, warning=warning))


def read_stores(
    rows: Iterable[Row | Broken],
    *,
    columns: ColumnMap,
    at: datetime,
    hours_remark: Callable[[str], str | None] = lambda _: None,
) -> Upload[StoreInput]:
    """All rows as stores. `hours_remark` says what is to be said of opening hours, which are kept in any case.

    `at` is the instant at which a given zone is compared with that of the coordinates.
    """
    upload: Upload[StoreInput] = Upload()
    for row in rows:
        upload.rows += 1
        take_row(upload, row, columns, _store)
    columns.check_seen()
    _fill_zones(upload, at)
    for external_id, (number, store) in upload.accepted.items():
        remark = store.opening_hours and hours_remark(store.opening_hours)
        if remark:
            upload.remark(number, external_id, f"opening_hours are {remark}")
    return upload


def take_row(
    upload: Upload[T],
    row: Row | Broken,
    columns: ColumnMap,
    build: Callable[[Row, str | None, dict[str, Any], dict[str, Any]], tuple[str, T]],
) -> None:
    """One row into the upload, as `build(row, external_id, fields, others)` makes it."""
    if isinstance(row, Broken):
        upload.refuse(row.row, None, row.reason)
        return
    external_id = None
    try:
        fields, others = columns.pick(row.values)
        external_id = external_id_of(row, columns, fields)
        known_as, value = build(row, external_id, fields, others)
    except RowRefusedError as error:
        upload.refuse(row.row, _readable(external_id), str(error))
    else:
        upload.accept(row.row, known_as, value)


def _readable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "replace").decode()


def auto_id(*parts: object) -> str:
    """A stand-in for a missing external id: the same content always has the same one."""
    return "auto:" + blake2b(msgspec.json.encode(parts), digest_size=12).hexdigest()


def _store(row: Row, external_id: str | None, fields: dict[str, Any], others: dict[str, Any]) -> tuple[str, StoreInput]:
    words = {
        name: text_of(name, fields.get(name))
        for name in ("name", "brand", "address", "timezone", "opening_hours", "phone", "url")
    }
    for name, value in others.items():
        check_storable(name, value)
    location = place_of({**fields, **_point(row.geometry, fields)})
    timezone = words["timezone"]
    if timezone is not None and timezone not in zone_names():
        raise RowRefusedError(f"unknown time zone {timezone!r}")
    if external_id is None:
        external_id = auto_id(words["brand"], words["name"], words["address"], location.lat, location.lng)
    address = words["address"] or _osm_address(others)
    store = StoreInput(
        external_id=external_id,
        name=_name({**others, **words, "address": address}) or external_id,
        location=location,
        timezone=timezone or "",
        brand=words["brand"],
        categories=_categories(fields.get("category")),
        address=address,
        phone=words["phone"],
        url=words["url"],
        opening_hours=words["opening_hours"],
        attributes=others,
    )
    return external_id, store


def _point(geometry: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The coordinates of a Point; a feature without geometry may have them as properties."""
    if geometry is None:
        return {}
    coordinates = geometry.get("coordinates")
    if geometry.get("type") != "Point" or not isinstance(coordinates, list) or len(coordinates) not in (2, 3):
        if "lat" in fields and "lng" in fields:
            return {}
        raise RowRefusedError(f"a store needs a Point, not {str(geometry.get('type'))[:40]!r}")
    return {"lng": coordinates[0], "lat": coordinates[1]}


def _name(words: Mapping[str, Any]) -> str | None:
    return next((value for name in _NAMES if isinstance(value := words.get(name), str) and value.strip()), None)


def _osm_address(tags: Mapping[str, Any]) -> str | None:
    parts = (" ".join(str(tags[tag]) for tag in pair if tag in tags) for pair in _OSM_ADDRESS)
    return ", ".join(filter(None, parts)) or None


def _categories(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    texts = (text_of("category", item) for item in listed)
    return tuple(part.strip() for text in texts if text for part in text.split(";") if part.strip())


def _fill_zones(upload: Upload[StoreInput], at: datetime) -> None:
    """Zones for the stores that name none, and a warning where the given one is hours from that of the coordinates."""
    entries = list(upload.accepted.items())
    if not entries:
        return
    places = [store.location for _, (_, store) in entries]
    found = zones_at([place.lat for place in places], [place.lng for place in places])
    for (external_id, (number, store)), there in zip(entries, found, strict=True):
        if not store.timezone:
            upload.accepted[external_id] = (number, replace(store, timezone=there))
        elif store.timezone != there and _offset_gap(store.timezone, there, at) > _MAX_OFFSET_GAP:
            upload.remark(
                number, external_id, f"the time zone {store.timezone} is hours away from {there} of its place"
            )


def _offset_gap(a: str, b: str, at: datetime) -> timedelta:
    first, second = at.astimezone(zone(a)).utcoffset(), at.astimezone(zone(b)).utcoffset()
    assert first is not None
    assert second is not None
    return abs(first - second)
